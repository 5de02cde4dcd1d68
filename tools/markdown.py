"""Tables in Markdown."""

from collections.abc import Sequence
from typing import Any


def markdown(heading: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as an aligned Markdown table."""
    cells = [[str(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in cells
    ]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])
