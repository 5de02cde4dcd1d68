"""What every script's process keeps to: SIGTERM ends it as Ctrl-C does, and output that nobody takes costs no results."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from types import FrameType
from typing import TextIO, cast

SAFE_PATH = "PYTHONSAFEPATH"  # for Python's children: not to look for modules in the working folder
AGAIN = 0.02  # s, after which a stop that Python has dropped comes again
# A closed terminal sends SIGHUP; Windows knows neither that nor a SIGTERM from outside.
TERMINATING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Within it SIGTERM and SIGHUP do what Ctrl-C does; yields the list of those that came.

    They call Ctrl-C's handler of the moment: where Ctrl-C is held back for a while (ngspice at work), so are they. What was
    ignored from the start (SIGHUP under nohup) stays ignored. In another thread than the main one nothing is changed.
    None is lost where Python drops exceptions (see `_dropped_stops_come_again`).
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        ctrl_c = signal.getsignal(signal.SIGINT)
        if not callable(ctrl_c):  # ignored: a shell starts background jobs like that
            raise KeyboardInterrupt
        ctrl_c(signal.SIGINT, frame)

    heeded = [number for number in TERMINATING if _main_thread() and signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        with _dropped_stops_come_again(came):
            yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _dropped_stops_come_again(came: Sequence[int]) -> Iterator[None]:
    """What is raised in a finalizer, a callback of weak references (each import has one) or of C goes no further: Python
    prints it and works on. Within this context a KeyboardInterrupt dropped like that is not printed; its signal, the last
    that `came`, comes again once its place has been left.
    """
    if not _main_thread():
        yield
        return
    before, timers = sys.unraisablehook, list[threading.Timer]()

    def again(dropped: "sys.UnraisableHookArgs") -> None:
        if not (issubclass(dropped.exc_type, KeyboardInterrupt) and _main_thread()):
            return before(dropped)
        timers.append(threading.Timer(AGAIN, _to_main_thread, (signal.Signals(came[-1] if came else signal.SIGINT),)))
        timers[-1].daemon = True
        timers[-1].start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()


def _to_main_thread(number: signal.Signals) -> None:
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)  # wakes it where it waits
    else:
        _thread.interrupt_main(number)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Within it Ctrl-C, SIGTERM and SIGHUP are ignored: for the moments in which a stopped run saves and clears up."""
    numbers = [signal.SIGINT, *TERMINATING] if _main_thread() else []
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def children_kept_apart() -> Iterator[None]:
    """Processes started within it take no modules from the working folder (a random.py of the user's), and never see Ctrl-C,
    SIGTERM and SIGHUP, which reach whole groups: this one ends them.

    Blocked, not ignored: what comes within it is delivered here at its end. Threads started within it spare theirs, too.
    """
    with _safe_path(), _signals_blocked():
        yield


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[SAFE_PATH]
        if before is not None:
            os.environ[SAFE_PATH] = before


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    if not (_main_thread() and hasattr(signal, "pthread_sigmask")):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # started within, by whatever starts a worker, Python 3.11's unblocks the signals again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, *TERMINATING])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unloadable(error: BaseException) -> str:
    """One line on a library that cannot be loaded, mostly for want of memory, or on what the system refused."""
    if isinstance(error, OSError) and error.strerror:  # too many files, no room on the disk
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    said = " ".join(str(error).split())[:200]
    return f"a library cannot be loaded, or memory is short ({type(error).__name__}{': ' * bool(said)}{said})"


class Output:
    """A text stream that goes on taking text when it can no longer be written; `problem` is then the first error.

    The file descriptor becomes the null device's: processes started later write there as well.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.problem: Exception | None = None

    def write(self, text: str) -> int:
        """As a stream's, but never raises OSError."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:  # ValueError: closed, or a character that its encoding lacks
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """As a stream's, but never raises OSError."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.problem = self.problem or error
        with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextlib.contextmanager
def guarded_output() -> Iterator[Output]:
    """Within it, printing never fails: yields what stands in for standard output."""
    _open_descriptors()
    out, err = sys.stdout, sys.stderr
    guarded = Output(out)
    sys.stdout, sys.stderr = cast(TextIO, guarded), cast(TextIO, Output(err))
    try:
        yield guarded
    finally:
        guarded.flush()
        sys.stdout, sys.stderr = out, err


def _open_descriptors() -> None:
    """Started with a standard stream closed (`>&-`), a file opened later would get its number, and all that is printed."""
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            break
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  for the rest of the process
