"""Laws of a cell without voltage: drift, relaxation and endurance (docs/drift.md)."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from memristive.parameters import Fields, FloatOrArray, ParameterError, Parameters, quantity

# of random numbers: drift exponents, and pulses that the cells survive
DRIFT_STREAM, ENDURANCE_STREAM = 11, 13


@dataclass(frozen=True, kw_only=True)
class Aging(Parameters):
    """Laws of a cell without voltage; by default it keeps its state.

    Parameters
    ----------
    drift, drift_spread : float
        Exponent nu of G(t) = G (t / t0)^-nu, with the time t since the last write of the cell: mean
        and standard deviation from device to device. No cell has an exponent below 0.
    drift_start : float
        t0 in s: until then the conductance G after the write stays.
    retention, rest : float
        Time constant in s with which x relaxes, and the x that it relaxes to.
    endurance, endurance_spread : float
        Pulses after which a cell sticks where it is: mean, and relative standard deviation of a
        log-normal distribution from device to device. 0: cells survive all pulses.

    Raises
    ------
    ParameterError
        Both laws are given.
    """

    drift: float = quantity(0.0, 0.0, 1.0, "", "exponent nu of (t / t0)^-nu; 0: no drift")
    drift_spread: float = quantity(
        0.0, 0.0, 1.0, "", "device-to-device: standard deviation of the drift exponent"
    )
    drift_start: float = quantity(1.0, 1e-9, 1e9, "s", "t0, at which the drift begins")
    retention: float = quantity(0.0, 0.0, 1e9, "s", "without voltage x loses 63 %; 0: it keeps")
    rest: float = quantity(0.0, 0.0, 1.0, "", "x that a cell relaxes to")
    endurance: float = quantity(0.0, 0.0, 1e15, "", "pulses until a cell sticks; 0: it never does")
    endurance_spread: float = quantity(
        0.0, 0.0, 10.0, "", "device-to-device: relative standard deviation of the endurance"
    )

    newer: ClassVar[tuple[str, ...]] = ("drift_start",)  # which `as_dict` leaves out without drift

    def check(self) -> None:
        if self.drifts and self.retention:
            raise ParameterError(
                f"drift and retention are two laws: give one, got {self.drift:g} and "
                f"{self.retention:g} s"
            )

    def as_dict(self) -> Fields:
        content = super().as_dict()
        if not self.drifts:
            content.pop("drift_start")
        return content

    @property
    def drifts(self) -> bool:
        """True if conductances drift."""
        return bool(self.drift or self.drift_spread)

    @property
    def aging(self) -> "Aging | None":
        """These laws alone, without the other fields of a device; None if there are none."""
        names = [field.name for field in dataclasses.fields(Aging)]
        keeps = not (self.drifts or self.retention or self.endurance)
        return None if keeps else Aging(**{name: getattr(self, name) for name in names})

    def exponents(self, shape: tuple[int, int], seed: int, layer: int) -> np.ndarray:
        """Return the drift exponents of the cells of a `layer` (counted from 0) of a chip with this
        `seed`: array of this `shape`.
        """
        rng = np.random.default_rng([seed, DRIFT_STREAM, layer])
        return np.maximum(self.drift + self.drift_spread * rng.standard_normal(shape), 0.0)

    def limits(self, shape: tuple[int, int], seed: int, layer: int) -> np.ndarray:
        """Return the number of pulses after which each cell sticks; arguments as of `exponents`.
        All are 0 without an `endurance`, and then no cell sticks.
        """
        rng, sigma = (
            np.random.default_rng([seed, ENDURANCE_STREAM, layer]),
            np.sqrt(np.log1p(self.endurance_spread**2)),
        )
        return self.endurance * np.exp(sigma * rng.standard_normal(shape) - sigma**2 / 2)

    def aged(
        self,
        x: FloatOrArray,
        zero: FloatOrArray,
        exponents: FloatOrArray,
        age: FloatOrArray,
        seconds: float,
    ) -> np.ndarray:
        """Return x after some more `seconds` without a write; all arguments broadcast.

        Parameters
        ----------
        x : array_like
            States as shares of the range.
        zero : array_like
            x at which a cell would not conduct, 0 or below.
        exponents : array_like
            From `exponents`.
        age : array_like, s
            Time since the last write.
        seconds : float
        """
        if self.retention:
            return self.rest + (np.asarray(x) - self.rest) * np.exp(-seconds / self.retention)
        before, after = (np.maximum(time, self.drift_start) for time in (age, age + seconds))
        return zero + (np.asarray(x) - zero) * (after / before) ** -exponents
