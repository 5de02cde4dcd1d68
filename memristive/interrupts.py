"""Ctrl-C during imports: one line instead of a traceback, as `memristive.cli.script.run` prints
later.

Scripts and studies import this module first, because importing the other modules takes a second,
during which a user may press Ctrl-C. IPython and pytest handle Ctrl-C themselves.
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
