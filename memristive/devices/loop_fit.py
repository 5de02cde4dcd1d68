"""Fit of the emulator to a measured I-V loop (SciPy's least squares)."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters

LIMITS = {"transconductance": (1e-15, 1e-3), "leak_resistance": (1e6, 1e15), "kp": (1e-15, 1.0)}  # S, ohm, A/V^2


@dataclass(frozen=True)
class LoopFit:
    """Emulator fitted to an I-V loop.

    `errors` are the standard errors of the fitted parameters, by name. `rms` and `largest` are distances between the fitted and
    the measured current, as shares of the largest current.
    """

    memristor: MemristorParameters
    start: float  # V, X at the first point
    errors: dict[str, float]
    rms: float
    largest: float
    current: np.ndarray  # A, of the fitted emulator


def loop_current(memristor: MemristorParameters, start: float, time: np.ndarray, voltage: np.ndarray) -> np.ndarray:
    """Return the emulator's current in A over a loop with phi high, from X = `start` V; the gate's lift is neglected.

    `time` in s and `voltage` in V are arrays of equal length.
    """
    steps, means = np.diff(time), (voltage[1:] + voltage[:-1]) / 2
    decay = np.exp(-steps / memristor.write_time_constant)
    states = np.empty(len(time))
    states[0] = start
    for k in range(len(steps)):
        charged = memristor.transconductance * memristor.leak_resistance * means[k]
        states[k + 1] = charged + (states[k] - charged) * decay[k]
    overdrive = states - memristor.threshold_voltage
    drain, source = np.maximum(voltage, 0), np.minimum(voltage, 0)  # the lower terminal is the transistor's source
    reach = np.maximum(overdrive - source, 0)
    across = np.minimum(drain - source, reach)
    return np.asarray(np.sign(voltage) * memristor.gain * (reach * across - across**2 / 2))


def fit_loop(time: np.ndarray, voltage: np.ndarray, current: np.ndarray, capacitance: float = 1e-9) -> LoopFit:
    """Fit K, R_leak, gain and Vto of the emulator to a measured I-V loop.

    Parameters
    ----------
    time, voltage, current : arrays
        In s, V and A; time must rise.
    capacitance : float
        Memory capacitor in F, large against the gate's.

    Raises
    ------
    ParameterError
        There are fewer than twenty points, time does not rise, or current or voltage is constant.
    """
    if len(time) < 20 or not (np.diff(time) > 0).all():
        raise ParameterError(f"a loop needs at least 20 points with rising time, got {len(time)}")
    if not np.ptp(voltage) > 0 or not np.ptp(current) > 0:
        raise ParameterError("voltage and current of a loop must not be constant")
    top, volts, duration = float(np.abs(current).max()), float(np.abs(voltage).max()), float(time[-1] - time[0])
    base = MemristorParameters(capacitance=capacitance, junction_current=1e-300)

    def memristor(p: np.ndarray) -> MemristorParameters:
        rate, tau, gain = np.exp(p[:3])  # V/s per V, s, A/V^2
        total = base.memory_capacitance
        free = {"transconductance": rate * total, "leak_resistance": tau / total, "kp": gain}
        limited: dict[str, Any] = {name: float(np.clip(value, *LIMITS[name])) for name, value in free.items()}
        return dataclasses.replace(base, **limited, threshold_voltage=float(np.clip(p[3], -1e4, 1e4)))

    def residuals(p: np.ndarray) -> np.ndarray:
        return (loop_current(memristor(p), p[4], time, voltage) - current) / top

    fits = []
    for reach in (1.0, 10.0):  # V, range of X to start from
        for threshold in (0.0, -3 * reach):
            start = [np.log(4 * reach / volts / duration), np.log(100 * duration), np.log(top / volts / (reach - threshold)),
                     threshold, 0.0]
            fits.append(least_squares(residuals, start, x_scale=[1, 3, 1, reach, reach], max_nfev=400))
    best = min(fits, key=lambda fit: fit.cost)
    found = memristor(best.x)
    sigma = _standard_errors(best)
    errors = {"transconductance": found.transconductance * sigma[0], "leak_resistance": found.leak_resistance * sigma[1],
              "kp": found.kp * sigma[2], "threshold_voltage": sigma[3], "start": sigma[4]}
    return LoopFit(found, float(best.x[4]), {key: float(value) for key, value in errors.items()},
                   float(np.sqrt(np.mean(best.fun**2))), float(np.abs(best.fun).max()), best.fun * top + current)


def _standard_errors(fit: Any) -> np.ndarray:
    """Return the standard errors of fitted parameters, larger if the residuals of neighbouring points are correlated."""
    residuals = fit.fun
    variance = residuals @ residuals / max(1, len(residuals) - len(fit.x))
    correlation = float(np.clip(residuals[1:] @ residuals[:-1] / max(residuals @ residuals, 1e-300), 0.0, 0.99))
    inflation = (1 + correlation) / (1 - correlation)
    return np.sqrt((np.linalg.pinv(fit.jac)**2).sum(axis=1) * variance * inflation)
