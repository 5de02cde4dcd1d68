"""Tables in Markdown."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from memristive.parameters import Parameters


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


def engineering(value: float) -> str:
    """Return a number as `--set` takes it: very large and small ones with an exponent that is a
    multiple of three.
    """
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:g}"
    power = 3 * math.floor(math.log10(abs(value)) / 3 + 1e-9)
    return f"{value / 10.0**power:g}e{power}"


def defaults(parameters: Parameters) -> list[tuple[str, str, str]]:
    """Return name, value with unit, and meaning of each `quantity` of `parameters`."""
    return [
        (
            field.name,
            f"{engineering(getattr(parameters, field.name))} {field.metadata['unit']}".strip(),
            field.metadata["meaning"],
        )
        for field in dataclasses.fields(parameters)  # type: ignore[arg-type]
        if field.metadata
    ]
