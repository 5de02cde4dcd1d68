"""Run a script: print one line for each expected error, return exit codes, and treat SIGTERM as Ctrl-C.

Exit codes: 0 done; 1 ngspice, a file or standard output failed; 2 wrong input; 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memristive.io.files import FileProblem, NotOverwritten
from memristive.io.voltages import VoltagesError
from memristive.spice.errors import NgspiceMissing, SimulationError
from memristive.spice.parameters import ParameterError

WRONG_INPUT = (ParameterError, VoltagesError, NotOverwritten, NgspiceMissing)
FAILED = (SimulationError, FileProblem)


class _Output:
    """Standard output that drops lines once it is closed or full, so that the script still writes its files."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write `text` to the stream; return its length."""
        return self._attempt(lambda: self.stream.write(text)) or len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._attempt(self.stream.flush)

    def _attempt(self, action: Callable[[], Any]) -> Any:
        try:
            return action() if self.failure is None else None
        except OSError as error:
            self.failure = error
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


def run(main: Callable[[list[str] | None], int | None], arguments: list[str] | None = None) -> int:
    """Run a script's `main(arguments)`; return its exit code."""
    received = []

    def stop(number: int, frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    warnings.showwarning = _show_warning
    name = Path(sys.argv[0]).name
    output = sys.stdout = _Output(sys.stdout)
    try:
        code = main(arguments) or 0
        output.flush()
        if output.failure is None:
            return code
        if output.failure.errno == errno.EPIPE:  # the reader of a pipe has ended, as in `| head`
            return 1
        message, code = f"output cannot be written: {output.failure.strerror}", 1
    except KeyboardInterrupt:
        number = signal.SIGTERM if received else signal.SIGINT
        message, code = f"stopped by {'SIGTERM' if received else 'Ctrl-C'}", 128 + number
    except WRONG_INPUT as error:
        message, code = str(error), 2
    except FAILED as error:
        message, code = str(error), 1
    finally:
        sys.stdout = output.stream
    print(f"{name}: {message}", file=sys.stderr)
    return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
