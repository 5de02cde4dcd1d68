"""Tables in Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def markdown(heading: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return `heading` and `rows` as an aligned Markdown table."""
    cells = [[str(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in cells
    ]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])


def percent(share: float, digits: int = 2) -> str:
    """Return a share as text: a percentage with some decimal `digits`."""
    return f"{share:.{digits}%}"


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation of shares as text, in percent. A single share has no
    deviation.
    """
    if len(values) == 1:
        return percent(values[0])
    return f"{percent(float(np.mean(values)))} ± {100 * np.std(values, ddof=1):.2f}"
