"""The first import of a program that is run: Ctrl-C and SIGTERM are one line while Python loads all the rest.

Pages and studies import it under `if __name__ == "__main__":` above all else, and nothing else imports it. It loads nothing that
takes time itself.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NoReturn

END_WITHIN = 10.0  # s, for a stopped program's own end
_stopped: list[int] = []  # its exit code, once there is one


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Nothing is open yet that would have to be saved. An exception would come out of libraries as an ImportError of theirs."""
    said = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    with contextlib.suppress(OSError):
        os.write(2, f"{os.path.basename(sys.argv[0])}: stopped by {said}\n".encode())
    os._exit(128 + number)


@atexit.register  # the first to be registered, and so called when all others have been
def _end_before_finalizers() -> None:
    """From Python 3.13 on one of them waits for the end of every worker, also of those that wait for the end of this process."""
    if _stopped:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(_stopped[0])


def _say(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if isinstance(error, (ImportError, MemoryError, OSError, RuntimeError)):
        try:
            from memristive.cli.process import unloadable
            said = unloadable(error)
        except (ImportError, MemoryError):
            said = f"a library cannot be loaded, or memory is short ({kind.__name__}: {error})".replace(": )", ")")
        print(f"{os.path.basename(sys.argv[0])}: {said}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _say  # until `run` takes over
_numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_before = {number: signal.signal(number, _end) for number in _numbers if signal.getsignal(number) is not signal.SIG_IGN}


if {"--show", "--sho", "--sh"}.isdisjoint(sys.argv):  # no windows, whatever may be set there, even nonsense
    os.environ["MPLBACKEND"] = "agg"
    os.environ["MATPLOTLIBRC"] = os.devnull  # no settings of the user's either
else:
    try:
        import matplotlib  # noqa: F401
    except ValueError as error:
        print(f"{os.path.basename(sys.argv[0])}: MPLBACKEND: {error}", file=sys.stderr)
        sys.exit(2)


def run(main: Callable[[list[str] | None], int | None]) -> int:
    """As `command_line.run`, which takes over from here what is to happen at a signal."""
    from memristive.cli import command_line

    def loaded(arguments: list[str] | None) -> int | None:
        if signal.SIGINT in _before:  # the others are `run`'s by now
            signal.signal(signal.SIGINT, _before[signal.SIGINT])
        return main(arguments)

    try:
        code = command_line.run(loaded)
        if code > 128:  # a signal: what is left in this process has nothing to save, and may wait for workers that never came
            _stopped.append(code)
            end = threading.Timer(END_WITHIN, os._exit, (code,))
            end.daemon = True
            with contextlib.suppress(RuntimeError):  # no room for a thread
                end.start()
        return code
    finally:
        for number, handler in _before.items():
            signal.signal(number, handler)
