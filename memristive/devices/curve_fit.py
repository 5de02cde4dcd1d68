"""Fit of a measured device to its pulses: the steps of both directions over the state, and the
noises of writing and reading.

A pulse moves the state x by its mean step s(x) and a write noise, which stays. A reading y adds a
read noise, which does not:

    x[n+1] = x[n] + s(x[n]) + write[n],    y[n] = x[n] + read[n]

About an estimate m of x[n], where the steps have the slope g, both equations together give

    y[n+1] - (1 + g) y[n] + g m = s(m) + write[n] + read[n+1] - (1 + g) read[n]

This is a linear regression for the curves s. The noise of neighbouring steps is correlated, because
they share a reading. Read noise makes neighbours differ in sign, and write noise does not, so the
likelihood separates the two. m is the estimate from the readings up to n, as in an extended Kalman
filter. An estimate from all readings would contain the noise of y[n+1], too. This correlation would
bend the curves. Curves and m are improved in turn.

With several pulses between two readings, the curves of the previous round give the path m[0] = m,
m[1], ... of the pulses from m. A step or write noise at m[j] reaches the next reading with the gain
P[j], which is the product of 1 + slope over the later pulses. So the regression has the sum of P[j]
s(m[j]) in place of s(m), and the sum of P[j] write[j] in place of write[n]. The product of 1 +
slope over all pulses replaces 1 + g.

A curve has `POINTS` points with straight lines between them. A penalty on its second differences
smooths it (P. H. C. Eilers and B. D. Marx, Statistical Science 11, 89, 1996). The restricted
likelihood chooses the strength of the penalty. Where data cannot choose, the curve is straight,
because a prior prefers simple curves (D. Simpson et al., Statistical Science 32, 1, 2017).

The interval of a noise holds all values that the readings do not contradict: the likelihood there,
with the other noise and the strengths of the penalty at their best, is not much below its maximum
(profile likelihood). Standard errors would not do. Few readings far apart fit much write noise on
straight curves about as well as much read noise on bent curves, so the likelihood has a long ridge.
If the ridge reaches from no write noise to no read noise, the fit assumes that both are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import Akima1DInterpolator
from scipy.linalg import (
    LinAlgError,
    cho_solve,
    cho_solve_banded,
    cholesky,
    cholesky_banded,
    solve_banded,
)
from scipy.optimize import minimize, nnls
from scipy.special import stdtrit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from memristive.devices.measured_device import MeasuredDevice
from memristive.parameters import Fields, ParameterError

POINTS = 21  # of a curve; one cell is 5 % of the range
FEWEST = 3  # pulses of each direction that a fit needs
MOST = 1000  # pulses between two readings, all of which the fit follows
LARGEST = 0.1  # S: no synapse conducts so well
NOISY = 0.1  # readings below 0 by this share of the highest may be noise
# noise that counts as none, as a share of the range; summand that keeps a matrix regular
SMALLEST_NOISE, REGULAR = 1e-5, 1e-6
BENT = 0.05  # typical second difference of a curve, in units of its largest step
# of the logs of noises and second differences
BOUNDS = [(np.log(SMALLEST_NOISE), 0.0)] * 2 + [(np.log(1e-6), 0.0)] * 2
REPLAYS = 200  # with write noise, which give the distance of readings from mean pulses
# Intervals: probability outside, parameters that two straight curves take from the steps, and drop
# of the log of the likelihood, beyond that at the ends, up to which a finer lattice looks again. A
# lattice has `LATTICE` values of each noise, up to `WIDE` times the noise of the steps, and
# strengths of the penalty that multiply the typical second difference by exp(`STRENGTHS`).
OUTSIDE, STRAIGHT, NEAR = 0.05, 4, 3.0
LATTICE, LATTICES, WIDE = 12, 4, 10
STRENGTHS = np.arange(-4.0, 3.0, 1.5)
# most rounds of states and curves in turn; change of a state below which they end
ROUNDS, CHANGE = 10, 1e-3

# Single bad readings: robust standard deviations from the curves and share of the range beyond
# which they lie, steps around that give the standard deviation, rounds, and the largest share of
# readings (or this many)
FAR, SIZE, AROUND, SEARCHES, SPIKES, FEW_SPIKES = 6.0, 0.01, 31, 8, 0.01, 3
DEVIATION = 1.4826  # standard deviation of normal values over their median distance from 0
DEGREES, STIFF = 4, 0.1  # of Student's distribution, and weight of the penalty, in `order_losses`

SECOND = np.diff(np.eye(POINTS), 2, axis=0)
BENDS = SECOND.T @ SECOND


@dataclass(frozen=True)
class PulseFit:
    """Device that was fitted to readings, with standard errors and intervals, and a replay of the
    sweeps with its mean steps.

    Parameters
    ----------
    device : MeasuredDevice
    errors : dict
        Standard errors of `up` and `down` (arrays).
    direction, pulses : arrays, readings
        Direction of the pulses before each reading (1 up, -1 down, 0 at the start of a sweep), and
        their number.
    reading, state : arrays, readings
        x as it was read, and its estimate without read noise.
    replay, band : arrays, readings
        x if each pulse makes the device's mean step, from the start of each sweep on, and the
        standard deviation of a reading about this x.
    equal_noises : bool
        True if the readings cannot tell write noise and read noise apart. Then the device has the
        likeliest noises of equal size.
    intervals : dict
        95 % intervals of `write_noise` and `read_noise`, pairs of shares of the range; empty if
        `fit_pulses` was told whether the noises are equal.
    left_out, jumps : arrays
        Indices of given readings that lie beyond six robust standard deviations. The fit does not
        use `left_out`, because the next reading returns. Before `jumps` the state has moved.
    """

    device: MeasuredDevice
    errors: Fields
    direction: np.ndarray
    pulses: np.ndarray
    reading: np.ndarray
    state: np.ndarray
    replay: np.ndarray
    band: np.ndarray
    equal_noises: bool
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    left_out: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    jumps: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    @property
    def rms(self) -> float:
        """Root mean square of the distances between readings and replay, as a share of the
        range.
        """
        return float(np.sqrt(np.mean((self.reading - self.replay) ** 2)))

    @property
    def missed(self) -> float:
        """The same of the states without read noise, which no curve follows."""
        return float(np.sqrt(np.mean((self.state - self.replay) ** 2)))

    @property
    def largest(self) -> float:
        """Largest distance between a reading and the replay, as a share of the range."""
        return float(np.abs(self.reading - self.replay).max())

    def steps(self, up: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return two arrays (readings after pulses of one direction): the states x before the
        pulses, and the measured steps as positive changes of x. `up`: True for pulses up.

        If there are several pulses between two readings, state and step are means over these
        pulses.
        """
        after = np.flatnonzero(self.direction == (1 if up else -1))
        number = self.pulses[after]
        steps = (self.reading[after] - self.reading[after - 1]) * (1 if up else -1) / number
        return _before(self.state, after, (number - 1) / (2 * number)), steps

    def starts(self, up: bool) -> np.ndarray:
        """Return the states x before each pulse of one direction (`up`: True for pulses up).
        Between two readings, the states before the pulses are spaced evenly.
        """
        after = np.flatnonzero(self.direction == (1 if up else -1))
        number = self.pulses[after]
        return _before(
            self.state, np.repeat(after, number), np.concatenate([np.arange(n) / n for n in number])
        )


def fit_pulses(
    conductance: ArrayLike,
    direction: ArrayLike,
    name: str = "device",
    pulses: ArrayLike = 1,
    equal_noises: bool | None = None,
    most: int = 10_000,
    **more: Any,
) -> PulseFit:
    """Fit the step curves and noises of a device to raw pulses in any order.

    The range of x is the range of the conductances without read noise, so sweeps need not close.
    Single readings far from those around are left out, and their pulses count to the next reading.

    Parameters
    ----------
    conductance : array_like, readings, S
        In the order of measurement.
    direction : array_like, readings
        Pulse before each reading: above 0 for up, below 0 for down, 0 for a reading that starts a
        sweep.
    name : str
    pulses : array_like, readings
        Number of pulses between the last reading and each one. Default: 1. Curves and write noise
        belong to one pulse.
    equal_noises : bool, optional
        True: write noise and read noise have the same size. False: they have not. Default: they
        have if the readings cannot tell them apart, which their `intervals` show.
    most : int
        Largest number of readings to fit: the first of more readings.
    **more
        Other fields of `MeasuredDevice`, e.g. read_voltage and source.

    Raises
    ------
    ParameterError
        A direction has fewer than three pulses or moves the conductance the other way. Or
        conductances are not positive, are all equal, or are above 0.1 S, as numbers in uS would be,
        or too few lie inside the range. Or a number of pulses is not a whole number from 1 to 1000.
    """
    values, signs = np.asarray(conductance, float), np.sign(np.asarray(direction, float))
    signs[:1] = 0  # no reading is before the first
    numbers = np.where(signs, pulses, 0)[:most]
    values, signs = values[:most], signs[:most]
    _check(values, signs, numbers)
    numbers = numbers.astype(int)
    with threadpool_limits(1):  # more threads take ten times as long for such small matrices
        try:
            kept, jumps = _without_spikes(values, signs, numbers)
            left_out = np.flatnonzero(~kept)
            signs, numbers = merged(kept, signs, numbers)
            values = values[kept]
            low, span = values.min(), np.ptp(values)
            readings, after = (values - low) / span, np.flatnonzero(signs)
            grid, *_, rough, _ = _estimate(readings, signs, numbers, after)
            after = after[_moving(after, signs, numbers, (rough - grid[0]) / (grid[-1] - grid[0]))]
            data, equal, intervals = (readings, signs, numbers, after), bool(equal_noises), None
            estimate = _estimate(*data, equal)
            if equal_noises is None:
                intervals, likeliest = _noise_intervals(estimate[-1])
                # a maximum beside the highest one
                if not ((intervals[:, 0] <= estimate[3]) & (estimate[3] <= intervals[:, 1])).all():
                    estimate = _estimate(*data, start=likeliest)
                    intervals, _ = _noise_intervals(estimate[-1])
                    # a ridge of the likelihood may have its best point outside of the lattice
                    intervals[:, 0] = np.minimum(intervals[:, 0], estimate[3])
                    intervals[:, 1] = np.maximum(intervals[:, 1], estimate[3])
                if equal := not intervals[:, 0].any():
                    estimate = _estimate(*data, equal)
            grid, curves, curve_errors, noises, state, _ = estimate
        except LinAlgError:
            raise ParameterError(
                "too few readings lie between the lowest and the highest conductance to find the "
                "steps of both directions: read after fewer pulses, or start sweeps at other states"
            ) from None
    state = np.where(np.isin(np.arange(len(state)), [after - 1, after]), state, rough)
    width = grid[-1] - grid[0]
    up, down = curves / width
    read, write = noises / width
    device = MeasuredDevice(
        name,
        max(0.0, low + span * grid[0]),
        low + span * grid[-1],
        tuple(up),
        tuple(down),
        write_noise=float(write),
        read_noise=float(read),
        **more,
    )
    errors = {
        "up": curve_errors[0] / width,
        "down": curve_errors[1] / width,
    }
    shares = {}
    if intervals is not None:
        shares = dict(
            zip(
                ("read_noise", "write_noise"), map(tuple, (intervals / width).tolist()), strict=True
            )
        )
    state = (state - grid[0]) / width
    replay, band = _replay(device, state, signs, numbers)
    reading = (values - device.lowest_conductance) / (
        device.highest_conductance - device.lowest_conductance
    )
    return PulseFit(
        device,
        errors,
        signs,
        numbers,
        reading,
        state,
        replay,
        band,
        equal,
        shares,
        left_out,
        jumps,
    )


def merged(
    kept: np.ndarray, direction: np.ndarray, pulses: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions and numbers of pulses before the readings that `kept` (a mask) marks.
    Pulses of readings that are left out count to the next one, which starts a sweep if they have
    several directions. Arguments: as in `PulseFit`.
    """
    signs, numbers, own, count = list[float](), list[int](), None, 0
    for stays, sign, number in zip(kept, direction, pulses, strict=True):
        own, count = sign if own in (None, sign) else 0, count + number
        if stays:
            signs.append(own)
            numbers.append(count if own else 0)
            own, count = None, 0
    return np.array(signs), np.array(numbers)


def order_losses(conductance: np.ndarray, directions: Sequence[np.ndarray]) -> np.ndarray:
    """Return minus the log of the likelihood of readings for each of several sequences of
    `directions`, which begin sweeps at the same readings or have no pulses there (0). Each step is
    of one pulse.
    """
    y, after = (
        (conductance - conductance.min()) / np.ptp(conductance),
        np.flatnonzero(directions[0]),
    )
    rests = np.array([_rests(y, after, signs, np.ones(len(y))) for signs in directions])
    scale = max(DEVIATION * np.median(np.abs(rests), axis=1).min(), SMALLEST_NOISE)
    return (DEGREES + 1) / 2 * np.log1p((rests / scale) ** 2 / DEGREES).sum(axis=1)


def _rests(
    y: np.ndarray, after: np.ndarray, direction: np.ndarray, pulses: np.ndarray
) -> np.ndarray:
    """Return the differences between the steps before the readings `after` (indices) and smooth
    curves of steps that are not negative. The differences follow Student's distribution, so that
    single bad readings hardly count. `y`: readings from 0 to 1.
    """
    number, signs = np.maximum(pulses[after], 1), direction[after, None]
    hats = _hats(_before(y, after, (number - 1) / (2 * number)), np.linspace(0, 1, POINTS))[0]
    design = number[:, None] * np.hstack([hats * (signs > 0), -hats * (signs < 0)])
    steps, stiff = y[after] - y[after - 1], np.sqrt(STIFF) * np.kron(np.eye(2), SECOND)
    weights, none = np.ones(len(after)), np.zeros(len(stiff))
    for _ in range(ROUNDS):
        weighted = np.vstack([weights[:, None] * design, stiff])
        rest = steps - design @ nnls(weighted, np.append(weights * steps, none))[0]
        scale = max(DEVIATION * np.median(np.abs(rest)), SMALLEST_NOISE)
        weights = 1 / np.sqrt(1 + (rest / scale) ** 2 / DEGREES)
    return np.asarray(rest)


def _without_spikes(
    values: np.ndarray, direction: np.ndarray, pulses: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask of the readings that a fit uses, and the indices of readings before which the
    state moved by chance.

    A reading far from the curves is left out for a try. If the next one is far, too, the state has
    moved, and the reading stays; after the first reading of a sweep, that one was wrong.
    """
    kept, moved = np.ones(len(values), bool), np.zeros(len(values), bool)
    for _ in range(SEARCHES):
        far = np.flatnonzero(kept)[_far(values[kept], *merged(kept, direction, pulses))]
        new = far[(np.diff(far, prepend=-2) > 1) & ~moved[far]]  # the next one only follows
        if len(new) + np.count_nonzero(~kept) > max(FEW_SPIKES, SPIKES * len(values)):
            kept[:] = True  # not single ones
            break
        if not len(new):
            break
        for n in new:
            begin = int(np.flatnonzero(kept[:n])[-1]) + 1
            moved[begin], kept[begin:n], kept[n] = begin < n, True, begin < n
            kept[begin - 1] &= not (begin < n and direction[begin - 1] == 0)
    return kept, far[kept[far]]


def _far(values: np.ndarray, direction: np.ndarray, pulses: np.ndarray) -> np.ndarray:
    """Return the indices of readings further than `FAR` robust standard deviations from the curves.
    The standard deviation comes from all steps, or from the `AROUND` steps of the same direction
    from the nearest states if it is larger there. Readings by far nearer than the furthest one
    wait, as it may have bent the curves.
    """
    y, after = (values - values.min()) / np.ptp(values), np.flatnonzero(direction)
    rest = np.abs(_rests(y, after, direction, pulses))
    scale = np.full(len(rest), np.median(rest))
    for sign in (1, -1):
        own = np.flatnonzero(direction[after] == sign)
        own = own[np.argsort(y[after[own] - 1])]
        starts = np.clip(np.arange(len(own)) - AROUND // 2, 0, max(len(own) - AROUND, 0))
        near = [np.median(rest[own[one : one + AROUND]]) for one in starts]
        scale[own] = np.maximum(scale[own], near)
    away = np.where(rest > SIZE, rest / np.maximum(DEVIATION * scale, SMALLEST_NOISE), 0.0)
    return after[away > max(FAR, away.max() / 2)]


def _check(values: np.ndarray, direction: np.ndarray, pulses: np.ndarray) -> None:
    """Raise ParameterError for readings that no device can give. Arguments: `conductance`,
    `direction` and `pulses` of `fit_pulses`, as arrays.
    """
    for reading in np.flatnonzero(
        (direction != 0) & ~((pulses >= 1) & (pulses <= MOST) & (pulses % 1 == 0))
    )[:1]:
        raise ParameterError(
            f"pulses between two readings must be a whole number from 1 to {MOST}, got "
            f"{pulses[reading]:g} before reading {reading + 1}"
        )
    for sign, word in ((1, "up"), (-1, "down")):
        if (count := np.count_nonzero(direction == sign)) < FEWEST:
            raise ParameterError(
                f"direction {word!r} needs at least {FEWEST} pulses, each with a reading before "
                f"it, got {count}"
            )
    wrong = ~(values > -NOISY * values.max())
    if wrong.any():
        worst = wrong.argmax()
        raise ParameterError(
            f"conductances must be positive numbers in S, got {values[worst]:g} in reading "
            f"{worst + 1}"
        )
    if values.max() > LARGEST:
        raise ParameterError(
            f"conductances must be {LARGEST:g} S at most, got {values.min():g} to "
            f"{values.max():g}: write their unit into the header, as in 'conductance (uS)' or "
            "'resistance (kOhm)', or multiply shares of a range, 0 to 1, by the range in S"
        )
    if np.ptp(values) <= 1e-9 * values.max():
        raise ParameterError(
            f"conductances are all equal ({values[0]:g} S): there is nothing to fit"
        )
    steps = np.diff(values, prepend=values[:1])
    wrong = [
        f"{word!r}: these pulses do not {change} the conductance"
        for sign, word, change in ((1, "up", "raise"), (-1, "down", "lower"))
        if not sign * steps[direction == sign].sum() > 0
    ]
    if wrong:
        raise ParameterError(
            f"direction {', and '.join(wrong)}: "
            + (
                "are directions swapped, or the newest rows first?"
                if len(wrong) > 1
                else "are its rows in the order of measurement? Reverse a column LTD that rises"
            )
        )


def _before(x: np.ndarray, after: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return x at a `share` of the way from the reading before some pulses to the reading after
    them. `after` holds the indices of the readings after pulses.
    """
    return x[after - 1] + share * (x[after] - x[after - 1])


def _hats(x: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights with which the points of a curve give its value at each x (x values x
    `POINTS`), and the derivatives of these weights.
    """
    place = np.clip((x - grid[0]) / (grid[1] - grid[0]), 0, POINTS - 1)
    left, rows = np.minimum(place.astype(int), POINTS - 2), np.arange(len(x))
    weights, slopes = np.zeros((2, len(x), POINTS))
    weights[rows, left], weights[rows, left + 1] = left + 1 - place, place - left
    slopes[rows, left], slopes[rows, left + 1] = -1 / (grid[1] - grid[0]), 1 / (grid[1] - grid[0])
    return weights, slopes


def _regress(
    logs: np.ndarray,
    design: np.ndarray,
    target: np.ndarray,
    slope: np.ndarray,
    writes: np.ndarray,
    shared: np.ndarray,
    bent: np.ndarray,
) -> tuple:
    """Return minus the log of the restricted likelihood, and the parts of the regression.

    The parts are the Cholesky factors of the noise's covariance and of the normal equations, the
    right side of these equations, and the curves. The regression fits `target` by `design` times
    the curves. `slope` and `writes`: see `_chained`; `shared` is True where two neighbouring steps
    share a reading. `logs` are logarithms of the noises (read, write) and of the standard
    deviations of second differences (up, down), whose typical values are `bent`.
    """
    (read, write), smooth = np.exp(2 * logs[:2]), logs[2:]
    noise, white = _whitened(read, write, design, target, slope, writes, shared)
    prior = np.kron(np.diag(np.exp(-2 * smooth)), BENDS) + REGULAR * np.eye(2 * POINTS)
    factor = cholesky(white[:, :-1].T @ white[:, :-1] + prior, lower=True)
    right = white[:, :-1].T @ white[:, -1]
    curves = cho_solve((factor, True), right)
    loss = (
        np.log(noise[0]).sum()
        + np.log(np.diag(factor)).sum()
        + (POINTS - 2) * smooth.sum()
        + (np.exp(smooth) / bent).sum()
        + (white[:, -1] @ white[:, -1] - right @ curves) / 2
    )
    return loss, noise, factor, right, curves


def _whitened(
    read: float,
    write: float,
    design: np.ndarray,
    target: np.ndarray,
    slope: np.ndarray,
    writes: np.ndarray,
    shared: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the Cholesky factor of the noise's covariance (banded), and design and target, side by
    side, in units of this noise. `read` and `write` are variances, the rest is as in `_regress`.
    """
    variance = write * writes + read * (1 + (1 + slope) ** 2)
    noise = cholesky_banded([variance, np.append(-read * (1 + slope[1:]) * shared, 0)], lower=True)
    return noise, solve_banded((1, 0), noise, np.column_stack([design, target]))


def _moving(
    after: np.ndarray, direction: np.ndarray, pulses: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """Return a mask of the readings with indices `after`: True where the fit uses the pulses
    before.

    A run of pulses in one direction counts until it is within one grid cell of its bound, which
    cuts off steps and noise. `x` is the state at each reading, 0 to 1.
    """
    # the last pulse
    up, before = direction[after] > 0, _before(x, after, (pulses[after] - 1) / pulses[after])
    stopped = np.where(up, 1 - before, before) * (POINTS - 1) < 1
    run = np.cumsum(np.append(True, (np.diff(after) > 1) | (up[1:] != up[:-1])))
    return np.maximum.accumulate(2 * run + stopped) == 2 * run


def _path(
    start: np.ndarray,
    end: np.ndarray,
    pulses: np.ndarray,
    up: np.ndarray,
    grid: np.ndarray,
    curves: np.ndarray | None,
) -> tuple[list[np.ndarray], ...]:
    """Return three lists with an entry for each of the pulses that follow the states `start`. They
    are the change of the state before this pulse, and the weights and slopes of `_hats` at the
    state there.

    The path follows the curves (up, down), and without curves it is straight to the states `end`.
    Weights and slopes have columns for both curves (negative for down), and are 0 for readings that
    had all their pulses.
    """
    ways, weights, slopes = [np.zeros(len(start))], list[np.ndarray](), list[np.ndarray]()
    for j in range(pulses.max()):
        x, left = start + ways[-1], pulses[:, None] > j
        for columns, hats in zip((weights, slopes), _hats(x, grid), strict=True):
            columns.append(np.hstack([hats * (up & left), -hats * (~up & left)]))
        step = (end - start) / pulses if curves is None else weights[-1] @ curves
        ways.append(np.clip(x + step, grid[0], grid[-1]) - start)
    return ways[:-1], weights, slopes


def _chained(
    ways: list[np.ndarray], weights: list[np.ndarray], bends: list[np.ndarray], pulses: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return how the state after several pulses depends on the curves, on the state before and on
    write noise, to first order.

    `ways` and `weights`: see `_path`. `bends`: slopes of the curves along that path.

    Returns
    -------
    design, rest : arrays, readings x points of both curves, and readings
        The change of the state is design @ curves + rest.
    slope, writes : arrays, readings
        Derivative of the change with respect to the state before, and the variance from write
        noises of variance 1.
    """
    design, (rest, slope, writes) = np.zeros_like(weights[0]), np.zeros((3, len(pulses)))
    for j, (way, hats, bend) in enumerate(zip(ways, weights, bends, strict=True)):
        design = design + bend[:, None] * design + hats
        rest = rest + bend * (rest - way)
        slope = slope + bend + bend * slope
        writes = (1 + bend) ** 2 * writes + (pulses > j)
    return design, rest, slope, writes


def _estimate(
    y: np.ndarray,
    direction: np.ndarray,
    pulses: np.ndarray,
    after: np.ndarray,
    equal: bool = False,
    start: np.ndarray | None = None,
) -> tuple:
    """Return a tuple: the grid of x, the curves (up, down) on it, their errors, and the noises
    (read, write). The last two entries are the estimated states at all readings, and the first two
    arguments of the last `_regress`.

    `y` are readings from 0 to 1. `after` holds the indices of the readings after those pulses that
    the fit uses. `equal`: both noises have the same size.
    `start`: first `logs` of `_regress`.
    """
    before, up, shared, number = (
        after - 1,
        direction[after, None] > 0,
        np.diff(after) == 1,
        pulses[after],
    )
    filtered, states, largest, curves = y, y, np.ones(2), None
    bends = ways = [np.zeros(len(after))] * number.max()
    logs = np.log([max(SMALLEST_NOISE, 0.5 * np.std(y[after] - y[before]))] * 2 + [0.01] * 2)
    logs, free = logs if start is None else start, [0, 0, 1, 2] if equal else [0, 1, 2, 3]
    for _ in range(ROUNDS):
        used = states[np.union1d(before, after)]
        grid = np.linspace(used.min(), used.max(), POINTS)
        earlier, (ways, weights, slopes) = (
            (filtered, ways),
            _path(filtered[before], y[after], number, up, grid, curves),
        )
        design, rest, slope, writes = _chained(ways, weights, bends, number)
        target = y[after] - (1 + slope) * y[before] + slope * filtered[before] - rest
        data = design, target, slope, writes, shared, BENT * largest
        logs = minimize(
            lambda p, *args: _regress(p[free], *args)[0],
            logs[1:] if equal else logs,
            data,
            "L-BFGS-B",
            bounds=BOUNDS[1:] if equal else BOUNDS,
            options={"ftol": 1e-7},
        ).x[free]
        _, noise, factor, right, curves = _regress(logs, *data)
        last = logs, data
        filtered, states = y.copy(), y.copy()
        read, residual = np.exp(2 * logs[0]), target - design @ curves
        filtered[after] -= read * solve_banded((1, 0), noise, residual) / noise[0]
        all_readings = read * cho_solve_banded((noise, True), residual)
        states[after] -= all_readings
        states[before] += (1 + slope) * all_readings
        bends, largest = (
            [each @ curves for each in slopes],
            np.maximum(curves.reshape(2, -1).max(axis=1), 1e-4),
        )
        if (
            max(np.abs(filtered - earlier[0]).max(), np.abs(np.subtract(ways, earlier[1])).max())
            < CHANGE
        ):
            break
    curves = nnls(factor.T, np.linalg.solve(factor, right))[0].reshape(2, -1)
    errors = np.sqrt(np.diag(cho_solve((factor, True), np.eye(2 * POINTS)))).reshape(2, -1)
    return grid, curves, errors, np.exp(logs[:2]), states, last


def _likelihoods(
    data: tuple[np.ndarray, ...], noises: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return minus the log of the restricted likelihood on a lattice of `noises` (read, write),
    with the penalty's strengths at their best. Return the logs of these strengths, too (values of
    each noise x 2). `data` are the arguments of `_regress` after `logs`.
    """
    *regression, bent = data
    smooth = np.stack(np.meshgrid(*(np.log(bent)[:, None] + STRENGTHS), indexing="ij"), -1)
    smooth = np.clip(smooth.reshape(-1, 2), *np.transpose(BOUNDS[2:]))
    prior = np.zeros((len(smooth), 2 * POINTS + 1, 2 * POINTS + 1))
    for k, part in enumerate((slice(POINTS), slice(POINTS, 2 * POINTS))):
        prior[:, part, part] = np.exp(-2 * smooth[:, k])[:, None, None] * BENDS
    prior += REGULAR * np.eye(2 * POINTS + 1)
    constant = ((POINTS - 2) * smooth + np.exp(smooth) / bent).sum(axis=1)
    shape = [len(values) for values in noises]
    losses, best = np.zeros(shape), np.zeros(shape, int)
    for place in np.ndindex(*shape):
        read, write = (values[k] ** 2 for values, k in zip(noises, place, strict=True))
        noise, white = _whitened(read, write, *regression)
        # the last entry is the root of the sum of squares that the curves leave
        factor = np.diagonal(np.linalg.cholesky(white.T @ white + prior), axis1=1, axis2=2)
        loss = np.log(factor[:, :-1]).sum(axis=1) + factor[:, -1] ** 2 / 2 + constant
        best[place] = loss.argmin()
        losses[place] = loss.min() + np.log(noise[0]).sum()
    return losses, smooth[best]


def _noise_intervals(last: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % intervals of the noises (read, write) by profile likelihood, and the likeliest
    `logs` of `_regress`. `last`: the last entry of `_estimate`.
    """
    logs, data = last
    (read, write), gain = np.exp(2 * logs[:2]), data[3].mean()
    most = np.sqrt([read + write * gain / 2, write + 2 * read / gain])
    boxes = [(SMALLEST_NOISE, WIDE * max(one, SMALLEST_NOISE)) for one in most]
    # Student's distribution for the few steps that curves leave
    drop = stdtrit(max(len(data[1]) - STRAIGHT, 1), 1 - OUTSIDE / 2) ** 2 / 2
    for _ in range(LATTICES):
        axes = [np.linspace(*box, LATTICE) for box in boxes]
        losses, smooth = _likelihoods(data, axes)
        boxes = [
            (axis[max(near.min() - 1, 0)], axis[min(near.max() + 1, LATTICE - 1)])
            for axis, near in zip(
                axes, np.nonzero(losses < losses.min() + drop + NEAR), strict=True
            )
        ]
    place = np.unravel_index(losses.argmin(), losses.shape)
    fine = [np.linspace(axis[0], axis[-1], 50 * LATTICE) for axis in axes]
    profiles = []
    for k in (0, 1):  # of one noise, with the other at its best
        profile = Akima1DInterpolator(axes[1 - k], losses, axis=1 - k)(fine[1 - k]).min(axis=1 - k)
        profiles.append(Akima1DInterpolator(axes[k], profile)(fine[k]))
    least = min(map(np.min, profiles))
    ends = [
        values[profile < least + drop][[0, -1]]
        for values, profile in zip(fine, profiles, strict=True)
    ]
    intervals = np.where(np.array(ends) <= SMALLEST_NOISE, 0.0, ends)
    noises = [np.log(axis[k]) for axis, k in zip(axes, place, strict=True)]
    return intervals, np.array([*noises, *smooth[place]])


def pulsed(
    device: MeasuredDevice,
    x: np.ndarray,
    direction: np.ndarray,
    pulses: np.ndarray,
    noise: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Simulate pulses with `noise` times the device's write noise: replace the states `x` (readings
    x simulations). `direction`, `pulses`: as in `PulseFit`.
    """
    for n in np.flatnonzero(direction):
        x[n] = x[n - 1]
        for _ in range(pulses[n]):
            step = device.step(x[n], direction[n] > 0) * direction[n]
            drawn = noise * device.noise(x[n]) * rng.standard_normal(len(noise))
            x[n] = np.clip(x[n] + step + drawn, 0, 1)


def _replay(
    device: MeasuredDevice, state: np.ndarray, direction: np.ndarray, pulses: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays (readings). The first is x if each pulse since the start of the sweep makes
    the device's mean step; the second is the standard deviation of a reading about this x, of
    replays with write noise. `state`: estimated x at each reading, used at the starts of sweeps.
    `direction`, `pulses`: as in `PulseFit`.
    """
    x = np.repeat(state[:, None], 1 + REPLAYS, axis=1)
    noise = np.append(0, np.ones(REPLAYS))  # the first one has mean steps
    pulsed(device, x, direction, pulses, noise, np.random.default_rng(1))
    variance = ((x[:, 1:] - x[:, :1]) ** 2).mean(axis=1)
    return x[:, 0], np.sqrt(variance + device.read_noise**2)
