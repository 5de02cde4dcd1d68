"""The ngspice library of this process: find it, start it through PySpice, and handle its complaints
and Ctrl-C.
"""

import contextlib
import ctypes
import ctypes.util
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence

from memristive.parameters import NgspiceMissing, SimulationError
from memristive.spice.pyspice import NgSpiceCommandError, NgSpiceShared

# the first whose level 3 MOSFET takes initial conditions by `alter` and whose library resumes
OLDEST_NGSPICE = 34
INSTALL_HINT = (
    "Debian, Ubuntu: apt-get install libngspice0; macOS: brew install libngspice; conda: conda "
    "install -c conda-forge ngspice-lib; Windows: pyspice-post-installation --install-ngspice-dll"
)
MOST_CIRCUITS = 100  # ngspice 44 has a table of 100, and crashes when the 101st circuit is removed
# Time points of a run between two looks at its progress: few runs have so many, and after a pause
# ngspice 39 goes on less exactly (0.09 % of a device's range in the place of 0.02 %).
LOOK = 30_000
MODULE = re.compile(r"(?m)^pre_osdi (.+)")
FIRST_LOOK = f"stop after {LOOK}"  # stays with a circuit
LAST_WORD = 10.0  # s within which ngspice must stop once it is told to
LIMIT_LOOK = 0.1  # s between two looks at a run's time limit
SOON = 5.0  # s within which most runs end by themselves after Ctrl-C, even on a busy machine

ERROR = re.compile(r"(?<![\w.#])errors?\b(?!\s*=)", re.IGNORECASE)  # the word, not a part of a name
# Lines on stderr without anything being wrong (ngspice 39 to 47).
HARMLESS = re.compile(
    r"losing old state|condition met: stop|pause requested|simulation interrupted|^Note:|^Using "
    r"|^\s*$|set breakpoint in the past|^time: .*, bkpt: |"  # a pause before the last run's end
    r"^Checking parameters for |tmax is now set|^Trying gmin =|^Supplies reduced to"
)
WARNING = re.compile(r"^(\*+ )?warning(:|\()(?!.*ignored)|^\.model ", re.IGNORECASE)
FATAL = re.compile(r"cannot recover|^Fatal error")
UNNEEDED = re.compile(
    r"Unsupported Ngspice version|spinit|losing old state|Unit is None|Model issue on line"
    r"|breakpoint in the past"
)
BESIDE = (
    "PySpice's own simulator and NgspiceSession cannot share a process: they would exchange each "
    "other's circuits; use one of them, or two processes"
)


def find_library() -> str:
    """Return the path or name of ngspice's shared library; raise NgspiceMissing if there is
    none.
    """
    if os.environ.get("NGSPICE_LIBRARY_PATH"):
        return os.environ["NGSPICE_LIBRARY_PATH"]
    if sys.platform == "win32":
        return str(NgSpiceShared.LIBRARY_PATH)
    prefix, ending = os.path.join(sys.prefix, "lib"), "dylib" if sys.platform == "darwin" else "so"
    candidates = [
        os.path.join(prefix, f"libngspice.{ending}"),
        f"/opt/homebrew/lib/libngspice.{ending}",
    ]
    library = ctypes.util.find_library("ngspice") or next(filter(os.path.exists, candidates), None)
    if not library:
        raise NgspiceMissing(f"the shared library of ngspice was not found ({INSTALL_HINT})")
    return library


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM to the end of the block, because an exception in ngspice's callbacks
    would be lost. Of several signals in the block only the first one is handled.
    """
    # only the main thread handles signals
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[tuple[int, object]] = []
    handlers: dict[int, Callable] = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    for number in handlers:
        signal.signal(number, lambda *arguments: received.append(arguments))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in received[:1]:
            handlers[number](number, frame)


def _is_needed(record: logging.LogRecord) -> bool:
    """Return False for records to drop from PySpice's log: errors, which become exceptions, and
    warnings of no meaning.
    """
    return record.levelno < logging.ERROR and not UNNEEDED.search(record.getMessage())


class Ngspice(NgSpiceShared):
    """PySpice's interface to ngspice, with three additions: the printed lines are kept, complaints
    become exceptions, and Ctrl-C stops a run.

    After a fatal complaint every call raises SimulationError.
    """

    # ngspice keeps every command until then; joined alters are long
    NUMBER_OF_EXEC_CALLS_TO_RELEASE_MEMORY = 200

    def __init__(self, *arguments: object, **more: object) -> None:
        self._printed: list[str] = []
        self._owner = threading.current_thread()
        self._loading = False
        self.end = ""  # reason why ngspice has given up; empty while it works
        self.circuits: list[object] = []  # loaded circuits, the oldest first
        # circuits that were unloaded to make room for others
        self.aside: weakref.WeakSet[object] = weakref.WeakSet()
        self.modules: set[str] = set()  # of Verilog-A, loaded for the life of the process
        self.results_of: object = None  # the run whose results ngspice holds
        self.limit: float | None = None  # s of processor time, of a run
        self._begin = 0.0  # processor time at which the run began
        super().__init__(*arguments, **more)

    def send_char(self, message: str, ngspice_id: int) -> int:
        """Keep a line that ngspice prints, which begins with "stdout " or "stderr "; return 0."""
        self._printed.append(message)
        return 0

    def load_circuit(self, circuit: object) -> None:
        """Load a netlist into ngspice. `load` calls this method; if PySpice's own simulator calls
        it, SimulationError is raised.
        """
        if not self._loading:
            raise SimulationError(BESIDE)
        super().load_circuit(circuit)

    def check(self) -> None:
        """Raise SimulationError if ngspice has given up or belongs to another thread."""
        here = threading.current_thread()
        if here is not self._owner and self._owner.is_alive():
            raise SimulationError(
                f"ngspice belongs to thread {self._owner.name!r} and is not thread-safe: "
                f"{here.name!r} needs a process of its own"
            )
        self._owner = here
        if self.end:
            raise SimulationError(f"ngspice has given up ({self.end}); start a new process")

    def load(self, circuit: object, text: str) -> None:
        """Load `text`, the netlist of `circuit`. Raises SimulationError with ngspice's complaints.

        If `MOST_CIRCUITS` are loaded, the oldest is unloaded first and added to `aside`; before a
        new module of Verilog-A all are.
        """
        self.check()
        self.aside.discard(circuit)
        # A module of Verilog-A adds a type of device, for which older circuits have no room:
        # ngspice crashes when it removes them.
        modules = set(MODULE.findall(text)) - self.modules
        while self.circuits and (modules or len(self.circuits) >= MOST_CIRCUITS):
            oldest = self.circuits[0]
            self.unload(oldest)
            self.aside.add(oldest)
        self.modules |= modules
        self._printed.clear()
        refused = ""
        with signals_deferred():
            self._loading = True
            try:
                # ngspice repeats the title: it may hold "error"
                self.load_circuit("* circuit\n" + text.partition("\n")[2])
                self.circuits.append(circuit)
                self.exec_command(FIRST_LOOK)
            except NameError as error:  # PySpice's base class of errors
                refused = str(error) or "Error"
            finally:
                self._loading = False
        try:
            self._raise_complaints(self._printed, refused)
        except SimulationError:
            self.circuits = [other for other in self.circuits if other is not circuit]
            # A netlist that ngspice could parse stays loaded in spite of a complaint. `setcirc`
            # prints a heading and a line for each circuit.
            if not self.end and len(self._execute("setcirc")) - 1 > len(self.circuits):
                self._execute("setcirc 1;remcirc")
            raise

    def select(self, circuit: object) -> None:
        """Direct the following commands at a loaded circuit; raise SimulationError if it is not
        loaded.
        """
        if circuit not in self.circuits:
            raise SimulationError("this circuit has been unloaded")
        # the newest is 1
        self.send([f"setcirc {len(self.circuits) - self.circuits.index(circuit)}"])

    def unload(self, circuit: object) -> None:
        """Remove a circuit and free its memory."""
        if circuit in self.aside:
            self.aside.remove(circuit)
            return
        self.select(circuit)
        self.send(["remcirc"])
        self.circuits.remove(circuit)

    def send(self, commands: Sequence[str]) -> None:
        """Execute ngspice commands, in as few calls of the library as possible. Raises
        SimulationError with ngspice's complaints.
        """
        self.check()
        line = ""
        for command in [*commands, ""]:
            if line and (not command or len(line) + len(command) >= self.MAX_COMMAND_LENGTH):
                with signals_deferred():
                    self._execute(line)
                self._raise_complaints(self._printed)
                line = ""
            line = f"{line};{command}" if line else command

    def run(self, command: str, pause: float | None = None, points: int = LOOK) -> None:
        """Run an analysis to its end, to the time `pause` in s or to so many time `points`.

        `points` is a multiple of `LOOK`: the next one that the run has not reached.
        ngspice works in a thread of its own while the main thread waits for it or for a signal.
        Ctrl-C stops the run in seconds. Raises SimulationError with ngspice's complaints.
        """
        stops = [f"stop when time > {pause!r}"] if pause is not None else []
        if points > LOOK:
            stops.append(f"stop after {points}")
        self.send(stops)
        self.check()
        if command != "resume":
            self._begin = time.process_time()
        done = threading.Event()

        def target() -> None:
            # Modules of Verilog-A are computed in parallel, where threads take more time than they
            # save. OpenMP counts for each thread anew.
            with contextlib.suppress(AttributeError):
                ctypes.CDLL(self.LIBRARY_PATH).omp_set_num_threads(1)
            self._execute(command)
            done.set()

        try:
            # or Ctrl-C at this moment would leave a run behind, and the next command crash beside
            # it
            with signals_deferred():
                threading.Thread(target=target, daemon=True).start()
            limit, ended = self.limit, False
            while not ended:
                ended = done.wait(limit and LIMIT_LOOK)
                if limit and time.process_time() - self._begin > limit:
                    raise SimulationError(f"it takes longer than {limit:g} s")
        except BaseException as error:
            with signals_deferred():
                # a command beside a run is the last resort: ngspice is not thread-safe
                if not done.wait(0 if isinstance(error, SimulationError) else SOON):
                    self._execute("stop when time > 0")
                if done.wait(LAST_WORD):
                    self._delete_breakpoints()
                else:
                    self.end = "a run could not be stopped"
            raise
        printed = self._printed.copy()
        if stops:
            self._delete_breakpoints()
        self._raise_complaints(printed)

    def free(self, run: object) -> None:
        """Free the results of `run`, unless another run has begun."""
        if run is not None and self.results_of is run:
            self.results_of = None
            if not self.end:
                self.send(["destroy all"])

    def _delete_breakpoints(self) -> None:
        # `status` lists the saved vectors, too, which must stay
        lines = [line.split() for line in self._execute("status")]
        for number, *words in lines:
            if "stop" in words and words != FIRST_LOOK.split():
                self._execute(f"delete {number}")

    def _execute(self, command: str) -> list[str]:
        """Execute a command; return the lines that it printed on stdout."""
        self._printed.clear()
        try:
            self.exec_command(command)
        # PySpice looks for "error" anywhere; `_raise_complaints` decides
        except NgSpiceCommandError:
            pass
        except NameError as error:
            self._printed.append(f"stderr {error}")
        return [
            message.partition(" ")[2] for message in self._printed if message.startswith("stdout")
        ]

    def _raise_complaints(self, printed: Sequence[str], refused: str = "") -> None:
        lines = [message.partition(" ") for message in printed]
        complaining = [
            text.strip()
            for stream, _, text in lines
            if not HARMLESS.search(text.strip())
            and (stream == "stderr" or (stream == "stdout" and ERROR.search(text)))
        ]
        if not refused and all(map(WARNING.search, complaining)):
            return
        complaints = "; ".join(dict.fromkeys(complaining)) or refused
        if any(map(FATAL.search, complaining)):
            self.end = complaints
        raise SimulationError(complaints)


def start_ngspice() -> Ngspice:
    """Return the ngspice of this process. The first call starts ngspice, and ngspice then does not
    read the user's settings files.

    Raises
    ------
    NgspiceMissing
        The library is missing, unusable or too old.
    SimulationError
        PySpice's own simulator uses ngspice in this process.
    """
    library = find_library()
    for name in ("NgSpiceShared", "Vector"):
        logging.getLogger(f"PySpice.Spice.NgSpice.Shared.{name}").addFilter(_is_needed)
    NgSpiceShared.LIBRARY_PATH = os.path.abspath(library) if os.path.isfile(library) else library
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            # ngspice reads .spiceinit of the working folder; from version 38 on, one in this
            # variable's folder comes first.
            open(".spiceinit", "w", encoding="ascii").close()
            before = os.environ.get("SPICE_USERINIT_DIR")
            os.environ["SPICE_USERINIT_DIR"] = folder
            try:
                ngspice = Ngspice.new_instance()
            finally:
                del os.environ["SPICE_USERINIT_DIR"]
                if before is not None:
                    os.environ["SPICE_USERINIT_DIR"] = before
    # AttributeError: a library without ngspice's functions
    except (OSError, NameError, AttributeError) as error:
        raise NgspiceMissing(f"{library} cannot be used: {error} ({INSTALL_HINT})") from error
    if not isinstance(ngspice, Ngspice):
        raise SimulationError(BESIDE)
    if (ngspice.ngspice_version or 0) < OLDEST_NGSPICE:
        raise NgspiceMissing(
            f"{library} is ngspice {ngspice.ngspice_version}, need {OLDEST_NGSPICE} or newer "
            f"({INSTALL_HINT})"
        )
    return ngspice
