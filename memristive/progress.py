"""Progress of long work: a bar on a terminal, elsewhere a line each minute."""

import sys
from collections.abc import Iterable
from typing import TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")
MINUTE = 60  # s


class Lines:
    """Stream that gets the states of a bar as lines."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        """Write `text` as a line, without what moves the cursor; nothing if it is empty."""
        line = text.strip("\r\n ")
        if line:
            self.stream.write(f"{line}\n")
            self.stream.flush()

    def flush(self) -> None:
        """Flush the stream."""
        self.stream.flush()


def progress(
    steps: Iterable[T],
    total: int | None,
    description: str,
    unit: str,
    shown: bool = True,
    every: float = MINUTE,
) -> "tqdm[T]":
    """Return `steps`, of `total` steps in all (None: unknown), with a progress bar on a terminal,
    shown after two seconds. If standard error is no terminal, a line is written about `every` so
    many seconds, after a step. The bar counts in `unit`. Without `shown` there is none.
    """
    bar = {"total": total, "desc": description, "unit": unit, "leave": False, "disable": not shown}
    if sys.stderr.isatty():
        return tqdm(steps, delay=2, dynamic_ncols=True, **bar)  # type: ignore[call-overload]
    quiet = {"delay": every, "mininterval": every, "miniters": 1, "ncols": 80}
    return tqdm(steps, file=Lines(sys.stderr), **quiet, **bar)  # type: ignore[call-overload]
