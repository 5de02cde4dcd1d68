"""Devices with one gradual direction (docs/devices.md). Pulses of one polarity move the state step
by step, a single one of the other polarity to an end of the range.

The steps of such devices are large and noisy, and their distribution depends on the state x. So the
device is two tables of quantiles instead of a mean and a noise.
"""

from dataclasses import dataclass

import numpy as np

from memristive.parameters import ParameterError, Parameters

Quantiles = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class OneSided(Parameters):
    """Distributions of a pulse of each polarity over the state x, the share of the range.

    Both tables have a row for each quantile, at even probabilities from 0 to 1, and a column for
    each x, on an even grid from 0 to 1. Straight lines join the entries.

    Parameters
    ----------
    gradual : tuple of tuples of float
        Change of x by a gradual pulse, with its sign. The mean of all entries gives the direction.
    abrupt : tuple of tuples of float
        x after an abrupt pulse.

    Raises
    ------
    ParameterError
        A table has rows of several lengths, less than two rows or columns, or falling quantiles.
        Or the gradual pulses have no direction.
    """

    gradual: Quantiles
    abrupt: Quantiles

    def check(self) -> None:
        for name in ("gradual", "abrupt"):
            rows = getattr(self, name)
            lengths = {len(row) for row in rows}
            if len(rows) < 2 or len(lengths) != 1 or min(lengths) < 2:
                raise ParameterError(
                    f"{name} must have two or more rows of one length, of two or more values, got "
                    f"{len(rows)} rows of {', '.join(map(str, sorted(lengths)))} values"
                )
            if np.any(np.diff(rows, axis=0) < 0):
                raise ParameterError(f"{name} must not fall from row to row: rows are quantiles")
        if not self.mean_step:
            raise ParameterError("gradual must have a direction: its mean is 0")

    @property
    def sign(self) -> int:
        """1 if gradual pulses raise the state, -1 if they lower it."""
        return 1 if np.mean(self.gradual) > 0 else -1

    @property
    def mean_step(self) -> float:
        """Mean change of x by a gradual pulse over all x, as a positive number."""
        return abs(float(np.mean(middles(self.gradual))))

    def last_room(self, share: float) -> float:
        """Return the room, 1 - x or x, at which the mean gradual step towards the end of the range
        first exceeds a `share` of its mean over all x. With less room a cell hardly moves.
        """
        steps = self.sign * middles(self.gradual).mean(axis=0)
        steps = steps[::-1] if self.sign > 0 else steps
        room, above = np.linspace(0, 1, len(steps)), steps > share * self.mean_step
        k = int(np.argmax(above))
        around = slice(max(k - 1, 0), k + 1)
        return float(np.interp(share * self.mean_step, steps[around], room[around]))

    @property
    def noise(self) -> float:
        """Standard deviation of a gradual pulse's step, root mean square over all x."""
        return float(np.sqrt(np.mean(np.var(middles(self.gradual), axis=0))))


def middles(table: Quantiles) -> np.ndarray:
    """Return the means of neighbouring quantiles, which are equally probable: one row less than
    the `table`.
    """
    rows = np.array(table)
    return (rows[1:] + rows[:-1]) / 2
