"""Ctrl-C during imports: one line instead of a traceback, as `memristive.cli.script.run` prints
later.

Scripts and studies import this module before all others, because those take a second. IPython and
pytest have a way of their own.
"""

import sys
from types import TracebackType


def _print_one_line(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("stopped by Ctrl-C", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _print_one_line
