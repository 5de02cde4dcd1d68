"""Fit of the laws of `Aging` to readings of devices without pulses (docs/drift.md)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import least_squares

from memristive.parameters import ParameterError

LEAST = 1e-12  # relative residual of a fit, below which only rounding is left
MISFIT = 0.2  # relative residual of a fit that describes nothing
CONSTANT, DRIFT, RELAXATION = LAWS = ("constant", "drift", "relaxation")


@dataclass(frozen=True)
class RetentionFit:
    """Laws fitted to conductances over time.

    Parameters
    ----------
    exponents : array, devices
        Drift exponents, and
    errors : array, devices
        their standard errors.
    start : float
        First time in s.
    time_constant, rest : float
        Of the relaxation, in s and S.
    criteria : dict
        Akaike's corrected criterion of each of `LAWS`, 0 for the best. A law whose value is larger
        by 10 has hardly any support.
    residuals : dict
        Root mean square of the relative residuals of each law.
    """

    exponents: np.ndarray
    errors: np.ndarray
    start: float
    time_constant: float
    rest: float
    criteria: dict[str, float]
    residuals: dict[str, float]

    @property
    def law(self) -> str:
        """The law with the lowest criterion."""
        return min(self.criteria, key=lambda name: self.criteria[name])

    def changes(self, lowest: float, highest: float) -> dict[str, float]:
        """Return the fields of `Aging` of the better law, for a device whose conductance ranges
        from `lowest` to `highest` S.
        """
        if self.law == RELAXATION:
            share = (self.rest - lowest) / (highest - lowest)
            rest = {"retention": self.time_constant, "rest": float(np.clip(share, 0.0, 1.0))}
            return {"drift": 0.0, "drift_spread": 0.0, **rest}
        variance = 0.0
        if len(self.exponents) > 1:  # of the devices, without the fits' own
            variance = float(np.var(self.exponents, ddof=1) - np.mean(self.errors**2))
        return {
            "drift": float(self.exponents.mean()),
            "drift_spread": float(np.sqrt(max(variance, 0.0))),
            "drift_start": self.start,
            "retention": 0.0,
            "rest": 0.0,
        }


def fit_retention(
    time: Sequence[float] | np.ndarray,
    conductance: Sequence[float] | np.ndarray,
    device: Sequence[object] | np.ndarray | None = None,
) -> RetentionFit:
    """Fit both laws to readings of devices that nobody writes.

    Relative residuals are normally distributed, as a drift over decades of conductance needs it.
    Each device has its own conductance at the start and its own exponent; the time constant and
    the rest are common.

    Parameters
    ----------
    time : array_like, readings, s
        Since the last write.
    conductance : array_like, readings, S
    device : array_like, readings, optional
        Name of each reading's device; None: all are of one device.

    Raises
    ------
    ParameterError
        Times or conductances are not above 0, there are too few readings, or conductances change
        by no more than their scatter. Or the better law misses them by more than 20 %.
    """
    seconds, siemens = (np.asarray(given, float) for given in (time, conductance))
    names = np.zeros(len(seconds)) if device is None else np.asarray(device)
    kinds, places = np.unique(names, return_inverse=True)
    count, devices = len(seconds), len(kinds)
    for values, name, unit in ((siemens, "conductance", "S"), (seconds, "time", "s")):
        for row in np.flatnonzero(~((values > 0) & np.isfinite(values)))[:1]:
            raise ParameterError(
                f"{name} must be above 0, of one sign in all rows, got {values[row]:g} {unit} in "
                f"row {row + 1}"
            )
    numbers = {CONSTANT: devices + 1, DRIFT: 2 * devices + 1, RELAXATION: devices + 3}
    least = max(numbers.values()) + 2
    if count < least or np.bincount(places).min() < 3:
        raise ParameterError(
            f"{count} readings of {devices} device(s) cannot tell the laws apart: give {least} or "
            "more, and three or more of each device, at different times"
        )
    start, logs = float(seconds.min()), np.log(siemens)
    decades = np.log(seconds / start)
    slopes, errors = np.zeros(devices), np.zeros(devices)
    rests = {law: np.zeros(count) for law in LAWS}
    for k in range(devices):
        own = places == k
        line = stats.linregress(decades[own], logs[own])
        slopes[k], errors[k] = line.slope, line.stderr
        rests[CONSTANT][own] = logs[own] - logs[own].mean()
        rests[DRIFT][own] = logs[own] - line.intercept - line.slope * decades[own]
    rests[RELAXATION], time_constant, rest = _relaxation(seconds, logs, places)
    squares = {law: max(float(np.mean(misses**2)), LEAST**2) for law, misses in rests.items()}
    criteria = {
        law: count * np.log(squares[law]) + 2 * k * count / (count - k - 1)
        for law, k in numbers.items()
    }
    if slopes.mean() >= 0:  # it grows: no drift
        criteria[DRIFT] = np.inf
    fit = RetentionFit(
        -slopes,
        errors,
        start,
        time_constant,
        rest,
        {law: float(value - min(criteria.values())) for law, value in criteria.items()},
        {law: float(np.sqrt(square)) for law, square in squares.items()},
    )
    if fit.law == CONSTANT:
        raise ParameterError(
            f"conductances change by no more than their scatter of {fit.residuals[CONSTANT]:.2g} up"
            f" to {seconds.max():g} s: there is no law to fit"
        )
    if (missed := fit.residuals[fit.law]) > MISFIT:
        raise ParameterError(
            f"no law fits these readings over time: the better one, {fit.law}, misses them by "
            f"{missed:.0%} (rms), more than {MISFIT:.0%}. Are there pulses between them? Then name "
            "their direction in a column 'direction'"
        )
    return fit


def _relaxation(
    seconds: np.ndarray, logs: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Return the residuals of the relaxation that fits best, its time constant in s, and its rest
    in S. `places`: number of each reading's device.
    """
    first = np.array([logs[places == k][0] for k in range(places.max() + 1)])

    def residuals(values: np.ndarray) -> np.ndarray:
        tau, rest, begin = np.exp(values[0]), np.exp(values[1]), np.exp(values[2:])[places]
        return logs - np.log(rest + (begin - rest) * np.exp(-seconds / tau))

    lowest, highest = logs.min() - 20, logs.max() + 5
    low = [np.log(seconds.min()) - 5, *np.full(len(first) + 1, lowest)]
    high = [np.log(seconds.max()) + 10, *np.full(len(first) + 1, highest)]
    tries = [
        least_squares(residuals, [tau, end, *first], bounds=(low, high))
        for tau in np.log(np.quantile(seconds, [0.1, 0.5, 0.9]))
        for end in (logs.min() - 0.1, logs.max() + 0.1)
    ]
    best = min(tries, key=lambda one: one.cost)
    return best.fun, float(np.exp(best.x[0])), float(np.exp(best.x[1]))
