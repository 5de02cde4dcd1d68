"""Finding ngspice's shared library and starting it: a copy of our own, without anybody's settings files."""

import contextlib
import ctypes.util
import functools
import locale
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PySpice.Spice.NgSpice.Shared import NgSpiceCommandError, NgSpiceShared, Vector, ffi

from spice.errors import NgspiceMissing, SimulationError
from spice.interrupts import signals_held
from spice.words import ERROR

OLDEST_NGSPICE = 34  # the oldest whose level 3 MOSFET takes initial conditions by `alter` and whose shared library resumes

INSTALL_HINT = ("Debian, Ubuntu: apt-get install libngspice0; macOS: brew install libngspice; "
                "conda: conda install -c conda-forge ngspice-lib; Windows: pyspice-post-installation --install-ngspice-dll")

# Notes on ngspice's start or on a circuit left behind, without a bearing on any result, and what `spice.words` says whole.
UNNEEDED = re.compile(r"Unsupported Ngspice version|spinit|losing old state|Unit is None|Model issue on line")

NO_COPY = ("a second ngspice in a process needs a copy of the library in the temporary folder, which has no room for it or lets "
           "nothing be executed; set TMPDIR to a folder that does")
LOOK = 0.05  # s between two looks for a signal while ngspice runs
BEGINS_WITHIN = 30.0  # s, for ngspice's background thread; where memory is short there is none, and ngspice does not say so


@contextlib.contextmanager
def decimal_points() -> Iterator[None]:
    """ngspice writes and reads numbers as the process's locale does, expressions of netlists among them: here as C's does."""
    before = locale.setlocale(locale.LC_NUMERIC)
    if before == "C":
        yield
        return
    locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


def find_library() -> str:
    """Path or name of ngspice's shared library; raise NgspiceMissing if there is none."""
    if os.environ.get("NGSPICE_LIBRARY_PATH"):
        return os.environ["NGSPICE_LIBRARY_PATH"]
    if sys.platform == "win32":
        return str(NgSpiceShared.LIBRARY_PATH)
    prefix = os.path.join(sys.prefix, "lib")
    ending = "dylib" if sys.platform == "darwin" else "so"
    candidates = [os.path.join(prefix, f"libngspice.{ending}"), f"/opt/homebrew/lib/libngspice.{ending}"]
    found = ctypes.util.find_library("ngspice") or next(filter(os.path.exists, candidates), None)
    if not found:
        raise NgspiceMissing(f"the shared library of ngspice was not found ({INSTALL_HINT})")
    return found


def _file_of(library: str) -> str | None:
    """The file behind a library's path, or behind a bare name that only the system's loader knows (Linux); None if unknown."""
    if os.path.isfile(library):
        return library
    with contextlib.suppress(OSError):
        ctypes.CDLL(library)
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            paths = {line.split(maxsplit=5)[5].strip() for line in maps if os.path.basename(library) in line}
        return next(filter(os.path.isfile, paths), None)
    return None


class _QuietLog(logging.Filter):
    """Keeps from the user what is harmless, or what the session raises as an exception anyway."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR and not UNNEEDED.search(record.getMessage())


@functools.cache
def _allow_second_start() -> None:
    """PySpice declares ngspice's functions at each start; cffi refuses the second time."""
    declare = ffi.cdef
    declared = bool(NgSpiceShared._instances)

    def declare_once(source: str) -> None:
        nonlocal declared
        if not declared:
            declare(source)
            declared = True
    ffi.cdef = declare_once


class Ngspice(NgSpiceShared):
    """PySpice's ngspice that runs in ngspice's own background thread, so that a signal can stop it at any time."""

    # ngspice keeps every command until told to forget; PySpice tells it after 10,000, megabytes of joined alters.
    NUMBER_OF_EXEC_CALLS_TO_RELEASE_MEMORY = 200

    def __init__(self) -> None:
        self._ended = threading.Lock()  # held while the background thread runs
        self._began = False
        self.stuck = False  # a run that could not be stopped goes on in the background thread
        super().__init__()

    @property
    def _error_in_stdout(self) -> bool:
        """PySpice looks for the letters "error" anywhere, in names and titles too."""
        return any(ERROR.search(line) for line in self._stdout)

    @_error_in_stdout.setter
    def _error_in_stdout(self, seen: bool | None) -> None:
        pass

    @staticmethod
    def _background_thread_running(ended: bool, ngspice_id: int, user_data: Any) -> int:
        session = ffi.from_handle(user_data)
        session._began = True
        if ended and session._ended.locked():
            session._ended.release()
        return 0

    def run_in_background(self, command: str, deliver: Callable[[], None]) -> None:
        """Send `command` to the background thread and wait for its end; `deliver` is called again and again meanwhile.

        What `deliver` raises ends the run; should ngspice not stop within a second, `stuck` is set, and this one is lost.
        Raises NameError if ngspice refuses the command or its thread does not begin, NgSpiceCommandError if it complained.
        """
        if str(self.library_path) in {str(other.library_path) for other in NgSpiceShared._instances.values()}:
            raise NameError(f"PySpice's own simulator has taken over the library that this one runs in: {NO_COPY}")
        self._number_of_exec_calls += 1
        self.clear_output()
        self._ended.acquire(blocking=False)
        self._began, latest = False, time.monotonic() + BEGINS_WITHIN
        if self._ngspice_shared.ngSpice_Command(f"bg_{command}".encode("ascii")):
            raise NameError(f"ngspice refused {command!r}")
        try:
            while not self._ended.acquire(timeout=LOOK):
                deliver()
                if not self._began and time.monotonic() > latest:
                    raise NameError("ngspice could not start a thread: too little memory")
        except BaseException:
            self._ngspice_shared.ngSpice_Command(b"bg_halt")  # waits up to a second
            if self._ngspice_shared.ngSpice_running():
                self.stuck = True
            else:
                self._ended.acquire(timeout=1)
            raise
        if self._error_in_stdout or self._error_in_stderr:
            raise NgSpiceCommandError(f"{command!r} failed")


_kept: list[Ngspice] = []  # for ever: a run that cannot be stopped goes on calling back


def start_ngspice() -> Ngspice:
    """An ngspice that nothing else in this process uses, no settings file read; raise NgspiceMissing if there is none to be had.

    It is a copy of the library: what PySpice's own simulator does with the library leaves it alone, and so does an ngspice
    that has given up, as some errors make it do.
    """
    for speaker in (NgSpiceShared, Vector):
        speaker._logger.addFilter(_QuietLog())
    _allow_second_start()
    try:
        os.getcwd()  # ngspice starts in a folder of its own, and must come back
    except OSError as error:
        raise SimulationError("the working folder is not there any more; ngspice needs one to start") from error
    library = find_library()
    if os.path.isfile(library):
        library = os.path.abspath(library)
    NgSpiceShared.LIBRARY_PATH = library  # for PySpice's own simulator, which finds it on fewer systems
    try:
        ngspice = _start_copy(library)
    except Exception as error:  # whatever PySpice or cffi raise here means the same to the user
        raise NgspiceMissing(f"{library} cannot be used: {error} ({INSTALL_HINT})") from error
    if (ngspice.ngspice_version or 0) < OLDEST_NGSPICE:
        raise NgspiceMissing(f"{library} is ngspice {ngspice.ngspice_version}, "
                             f"{OLDEST_NGSPICE} or newer is needed ({INSTALL_HINT})")
    _kept.append(ngspice)
    return ngspice


def _start_copy(library: str) -> Ngspice:
    # Stopped while the folder is made or emptied, its megabytes would stay.
    with signals_held(), tempfile.TemporaryDirectory(prefix="ngspice_", ignore_cleanup_errors=True) as folder:
        file, scripts = _file_of(library), ""
        if file:
            with contextlib.suppress(OSError):  # a folder where nothing may be executed: then the library itself, once
                copy = shutil.copy(file, os.path.join(folder, f"ngspice_{len(_kept)}{os.path.splitext(file)[1]}"))
                ctypes.CDLL(copy)
                library = copy
                scripts = _own_models(file, folder)
        in_use = {str(ngspice.library_path) for ngspice in [*_kept, *NgSpiceShared._instances.values()]}
        if library in in_use:
            raise SimulationError(NO_COPY)
        Ngspice.LIBRARY_PATH = library
        with _environment("SPICE_SCRIPTS", scripts), _without_settings_files(folder), decimal_points():
            return Ngspice()  # PySpice would leave the process in C's locale


def _own_models(library: str, folder: str) -> str:
    """Copy ngspice's spinit and the code models that it loads to `folder`; the folder, or "" if there are none to be found.

    A code model knows one ngspice, that which loaded it last: with a copy, no other of this process can take it away.
    """
    places = [os.environ.get("SPICE_SCRIPTS", ""), *(os.path.join(parent, "share", "ngspice", "scripts")
                                                     for parent in map(str, Path(library).resolve().parents))]
    spinit = next(filter(os.path.isfile, (os.path.join(place, "spinit") for place in places if place)), None)
    if not spinit:
        return ""

    def copied(found: re.Match[str]) -> str:
        own = os.path.join(folder, f"{len(_kept)}_{os.path.basename(found[2])}")
        return found[1] + (shutil.copy(found[2], own) if os.path.isfile(found[2]) else found[2])
    with open(spinit, encoding="utf-8", errors="surrogateescape") as file:
        text = re.sub(r"(?m)^(\s*codemodel\s+)(\S+)", copied, file.read())
    with open(os.path.join(folder, "spinit"), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    return folder


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """A variable of the environment, for a while, unless the value is ""."""
    if not value:
        yield
        return
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@contextlib.contextmanager
def _without_settings_files(folder: str) -> Any:
    """ngspice reads the first .spiceinit of the working folder and the home: here an empty one in `folder`.

    (It exports ngSpice_nospiceinit for that. In ngspice 44 the call crashes before ngSpice_Init and does nothing after it.)
    """
    with open(os.path.join(folder, ".spiceinit"), "w", encoding="ascii"):
        pass
    with _environment("SPICE_USERINIT_DIR", folder), contextlib.chdir(folder):  # from ngspice 38 on it comes first
        yield
