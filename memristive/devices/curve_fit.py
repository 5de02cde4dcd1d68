"""Fit a measured device: its update law to pulse curves, the emulator to an I-V loop (SciPy's least squares)."""

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from memristive.devices.measured_device import LINEAR, MeasuredDevice
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters

FEWEST = 5  # points of a curve
LARGEST = 0.1  # S: no synapse conducts so well
LIMITS = {"transconductance": (1e-15, 1e-3), "leak_resistance": (1e6, 1e15), "kp": (1e-15, 1.0)}  # S, ohm, A/V^2
REPLICATES = 40  # simulated measurements behind a standard error


@dataclass(frozen=True)
class PulseFit:
    """Fitted update law with standard errors, and its residuals as shares of the conductance range."""

    device: MeasuredDevice
    errors: dict[str, float]
    rms: float
    largest: float
    up: np.ndarray  # S, measured means after 0, 1, ... potentiating pulses
    down: np.ndarray  # S


def fit_pulses(up: Sequence[np.ndarray], down: Sequence[np.ndarray], name: str = "device", **more: Any) -> PulseFit:
    """Fit the update law to measured potentiation and depression curves.

    Parameters
    ----------
    up, down : sequences of arrays, S
        One array for each sweep: conductance after 0, 1, 2, ... identical pulses.
    name : str
    **more
        Other fields of `MeasuredDevice`, e.g. read_voltage and source.

    Raises
    ------
    ParameterError
        A direction is missing, has fewer than five points, unequal sweeps, or conductances that are not positive, all equal, or
        above 0.1 S, as those in uS are.
    """
    means, noises = {}, []
    for direction, sweeps in (("up", up), ("down", down)):
        if not len(sweeps) or min(map(len, sweeps)) < FEWEST:
            raise ParameterError(f"direction {direction!r} needs at least {FEWEST} points, got "
                                 f"{min(map(len, sweeps)) if len(sweeps) else 0}")
        if len(set(map(len, sweeps))) > 1:
            raise ParameterError(f"sweeps of direction {direction!r} must have equal numbers of points")
        means[direction] = np.mean(sweeps, axis=0)
    values = np.concatenate([*up, *down])
    if not np.isfinite(values).all() or (values <= 0).any():
        raise ParameterError(f"conductances must be positive numbers in S, got {values[~(values > 0)][0]:g}")
    if values.max() > LARGEST:
        raise ParameterError(f"conductances must be in S, {LARGEST:g} S at most, got {values.max():g}; multiply uS by 1e-6")
    if np.ptp(values) <= 1e-9 * values.max():
        raise ParameterError(f"conductances are all equal ({values[0]:g} S): there is nothing to fit")
    device, deviation = _fit(means["up"], means["down"], name, more)
    for direction, sweeps in (("up", up), ("down", down)):
        for sweep in sweeps:
            share = _share(device, sweep)
            noises.append(share[1:] - device.after(share[:-1], 1, direction == "up"))
    device = dataclasses.replace(device, cycle_noise=min(1.0, float(np.std(np.concatenate(noises)))))
    return PulseFit(device, _bootstrap_errors(device, len(up), len(down)), float(np.sqrt(np.mean(deviation**2))),
                    float(np.abs(deviation).max()), means["up"], means["down"])


def _share(device: MeasuredDevice, conductance: np.ndarray) -> np.ndarray:
    low = device.lowest_conductance
    return (np.asarray(conductance) - low) / (device.highest_conductance - low)


def _fit(up: np.ndarray, down: np.ndarray, name: str, more: dict[str, Any]) -> tuple[MeasuredDevice, np.ndarray]:
    """Return the device whose law fits two curves (S), and the residuals as shares of its range."""
    scale = float(np.ptp([*up, *down]))
    share_up, share_down = np.linspace(0, 1, len(up)), np.linspace(0, 1, len(down))

    def residuals(p: np.ndarray) -> np.ndarray:
        low, high, bend_up, bend_down = p
        law_up = low + (high - low) * _saturating(bend_up, share_up)
        law_down = high - (high - low) * _saturating(bend_down, share_down)
        return np.concatenate([law_up - up / scale, law_down - down / scale])

    start = [min(up.min(), down.min()) / scale, max(up.max(), down.max()) / scale, 1.0, 1.0]
    fit = least_squares(residuals, start, x_scale=[1, 1, 5, 5])
    low, high, *bends = fit.x
    if up[-1] <= up[0] or down[-1] >= down[0]:
        raise ParameterError("conductances must rise with the pulses up and fall with the pulses down")
    if not 0 < low < high:
        raise ParameterError(f"the fitted conductances must be positive and rise, got {low * scale:g} to {high * scale:g} S")
    a_up, a_down = (float(np.clip(1 / bend if bend else np.inf, -LINEAR, LINEAR)) for bend in bends)
    device = MeasuredDevice(name, len(up) - 1, len(down) - 1, a_up, a_down, high * scale, high / low, **more)
    return device, fit.fun / (high - low)


def _bootstrap_errors(device: MeasuredDevice, sweeps_up: int, sweeps_down: int) -> dict[str, float]:
    """Return the spread of the fitted values over simulated measurements: noise of single pulses adds up along a curve."""
    rng, fits = np.random.default_rng(0), []
    for _ in range(REPLICATES):
        curves = []
        for up, sweeps in ((True, sweeps_up), (False, sweeps_down)):
            share = [np.full(sweeps, 0.0 if up else 1.0)]
            for _ in range(device.pulses_up if up else device.pulses_down):
                share.append(device.after(share[-1], 1, up) + device.cycle_noise * rng.standard_normal(sweeps))
            curves.append(device.conductance(np.mean(share, axis=1)))
        with contextlib.suppress(ParameterError):
            fits.append(_fit(curves[0], curves[1], device.name, {})[0])
    names = ("lowest_conductance", "highest_conductance", "curvature_up", "curvature_down")
    return {name: float(np.std([getattr(fit, name) for fit in fits])) if fits else np.nan for name in names}


def _standard_errors(fit: Any) -> np.ndarray:
    """Return the standard errors of fitted parameters; residuals of neighbouring points are correlated to first order."""
    residuals = fit.fun
    variance = residuals @ residuals / max(1, len(residuals) - len(fit.x))
    correlation = float(np.clip(residuals[1:] @ residuals[:-1] / max(residuals @ residuals, 1e-300), 0.0, 0.99))
    inflation = (1 + correlation) / (1 - correlation)
    return np.sqrt((np.linalg.pinv(fit.jac)**2).sum(axis=1) * variance * inflation)


def _saturating(bend: float, share: np.ndarray) -> np.ndarray:
    """Return (1 - exp(-bend p)) / (1 - exp(-bend)), which is p for bend = 0."""
    if abs(bend) < 1e-6:
        return share
    law = np.expm1(-abs(bend) * share) / np.expm1(-abs(bend))
    return law if bend > 0 else law * np.exp(bend * (1 - share))  # both multiplied by exp(bend): nothing overflows


@dataclass(frozen=True)
class LoopFit:
    """Emulator fitted to an I-V loop; residuals are shares of the largest current."""

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
        Fewer than twenty points, a time that does not rise, or a current or voltage that is constant.
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
        return dataclasses.replace(base, **{name: float(np.clip(value, *LIMITS[name])) for name, value in free.items()},
                                   threshold_voltage=float(np.clip(p[3], -1e4, 1e4)))

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
