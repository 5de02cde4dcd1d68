"""Writes of a measured device, whose steps depend on its state: the mean change of X, the factor on
the noise, and the number of pulses of a dose. Kernels compile these functions.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memristive.parameters import ParameterError, Parameters, curve, quantity

BEYOND = 1e-3  # of the range, within which writes end beyond its bounds


class Flow(NamedTuple):
    """Write curves of a device: its range of X, and the rates dX/dq on an even grid of this range.
    q is the change that X would have with the nominal gain K.
    """

    up: np.ndarray  # array, for positive voltages, from the lowest X on
    down: (
        np.ndarray
    )  # array, for negative voltages, from the highest X on; the numbers are positive
    low: float  # V
    span: float  # V


def moved(flow: Flow, state: float, charge: float) -> float:
    """Return X in V after a write along the curves of a device, exactly: between grid points, X(t)
    is an exponential.

    Parameters
    ----------
    flow : Flow
        Curves of the device. Below the range, the upward rate keeps its first value. Above the
        range it falls to 0 within the share `BEYOND` of the range, so that writes end there. For
        downward writes the two ends change places.
    state : float
        X in V before.
    charge : float
        Change in V that the nominal gain K makes: K V t / (C + C_gate), negative for negative
        voltages.
    """
    rates = flow.up if charge > 0.0 else flow.down
    last, left, x = len(rates) - 1, abs(charge) / flow.span, (state - flow.low) / flow.span
    x = x if charge > 0.0 else 1.0 - x
    k = int(np.floor(x * last)) if x < 1.0 else last
    while left > 0.0:
        if k < 0:
            end, rate, slope = 0.0, rates[0], 0.0
        elif k < last:
            end, slope = (k + 1) / last, (rates[k + 1] - rates[k]) * last
            rate = rates[k] + slope * (x - k / last)
        else:
            end, slope = 1.0 + BEYOND, -rates[last] / BEYOND
            rate = rates[last] + slope * (x - 1.0)
        if rate <= 0.0:
            break
        bend = slope * left
        x_after = x + rate * left * (
            np.expm1(min(bend, 700.0)) / bend if abs(bend) > 1e-12 else 1.0
        )
        if x_after <= end or k == last:
            x = min(x_after, end)
            break
        ratio = slope * (end - x) / rate
        left -= (
            np.log1p(max(ratio, -1.0 + 1e-16)) / slope if abs(ratio) > 1e-12 else (end - x) / rate
        )
        x, k = end, max(k + 1, 0)
    return flow.low + flow.span * (x if charge > 0.0 else 1.0 - x)


# `moved` for arrays of states and charges that broadcast
move = np.vectorize(moved, excluded={0}, otypes=[float])


def noise_factor(curve: np.ndarray, flow: Flow, state: float) -> float:
    """Return the factor on the device's `write_noise` at the `state` X in V. `curve` holds factors
    on an even grid of the range; an empty curve is 1 everywhere.
    """
    last = len(curve) - 1
    if last < 1:
        return 1.0
    place = min(max((state - flow.low) / flow.span, 0.0), 1.0) * last
    k = min(int(place), last - 1)
    return curve[k] + (place - k) * (curve[k + 1] - curve[k])


def drawn_number(wanted: float, whole: int, rng: np.random.Generator) -> float:
    """Return the number of pulses that a cell gets if its dose asks for `wanted` pulses. If `whole`
    is 1, the number is rounded at random: the fraction of `wanted` is the probability of rounding
    up. If it is more, a dose below this number becomes this number of pulses, or none. 0: the
    number is not rounded.
    """
    if wanted <= 0.0 or not whole:
        return max(wanted, 0.0)
    group = float(whole) if wanted < whole else 1.0
    parts = wanted / group
    return group * (np.floor(parts) + (rng.random() < parts - np.floor(parts)))


@dataclass(frozen=True)
class WriteCurve(Parameters):
    """Write gain of a device whose steps depend on its state: one curve for positive and one for
    negative voltages over X.

    Above `high` the upward gain falls to 0 within the share `BEYOND` of the range, and below `low`
    the downward gain, so that writes end there.

    Parameters
    ----------
    low, high : float
        Range of X in V.
    up, down : tuples of float
        Gain in units of the transconductance K on an even grid of X from `low` to `high`; straight
        lines between its points.
    """

    low: float = quantity(-1.5, -1e6, 1e6, "V", "lowest X")
    high: float = quantity(1.5, -1e6, 1e6, "V", "highest X")
    up: tuple[float, ...] = curve((1.0, 1.0), "gain upwards")
    down: tuple[float, ...] = curve((1.0, 1.0), "gain downwards")

    def check(self) -> None:
        if not self.low < self.high:
            raise ParameterError(f"low must be below high, got {self.low:g} and {self.high:g} V")

    @property
    def span(self) -> float:
        """Width of the range of X in V."""
        return self.high - self.low

    @property
    def flow(self) -> Flow:
        """The curves in the form that the function `moved` takes."""
        return Flow(np.array(self.up), np.array(self.down[::-1]), self.low, self.span)

    def points(self, up: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return two arrays, the points of the curve of one direction (upward if `up`): X in V, and
        the gain. The gain falls to 0 beyond the end at which writes end, and is constant beyond the
        other end. Straight lines join the points; before the first and after the last point these
        lines continue.
        """
        span, gains = self.high - self.low, self.up if up else self.down
        grid, beyond = np.linspace(self.low, self.high, len(gains)), BEYOND * span
        below, above = (span, beyond) if up else (beyond, span)
        ends = (gains[0], 0.0) if up else (0.0, gains[-1])
        return (
            np.array([self.low - below, *grid, self.high + above]),
            np.array([ends[0], *gains, ends[1]]),
        )

    def expression(self) -> str:
        """Return the expression for ngspice of the write gain at X times the voltage between the
        nodes input and neuron.
        """
        up, down = (_table(*self.points(way)) for way in (True, False))
        volts = "v(input)-v(neuron)"
        return f"uramp({volts})*pwl(v(gate),{up})-uramp(-({volts}))*pwl(v(gate),{down})"


def _table(x: np.ndarray, y: np.ndarray) -> str:
    """Return, as text, the points (x, y) of ngspice's pwl(), which continues its first and its
    last straight line.
    """
    return ",".join(f"{number!r}" for number in np.column_stack([x, y]).ravel().tolist())
