"""Run a script: one line for each expected error, exit codes, SIGTERM as Ctrl-C.

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


def run(main: Callable[[list[str] | None], int | None], arguments: list[str] | None = None) -> int:
    """Run a script's `main(arguments)`; return its exit code."""
    received = []

    def stop(number: int, frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    warnings.showwarning = _show_warning
    name = Path(sys.argv[0]).name
    try:
        code = main(arguments) or 0
        print(end="", flush=True)
        return code
    except KeyboardInterrupt:
        number = signal.SIGTERM if received else signal.SIGINT
        message, code = f"stopped by {'SIGTERM' if received else 'Ctrl-C'}", 128 + number
    except WRONG_INPUT as error:
        message, code = str(error), 2
    except FAILED as error:
        message, code = str(error), 1
    except OSError as error:  # of standard output
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:  # the reader of a pipe has ended, as in `| head`
            return 1
        message, code = f"output cannot be written: {error.strerror}", 1
    print(f"{name}: {message}", file=sys.stderr)
    return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
