"""Measured synaptic devices: the mean step of a pulse at each state, the noises, and an emulator
that follows these steps.

The state x is the share of the conductance range, 0 to 1. Networks need no more of a device than
two curves, the mean step of one pulse up and of one pulse down at each x, and its noises. The
formula that others use (the field's law: P.-Y. Chen, X. Peng, S. Yu, IEEE TCAD 37, 3067, 2018, eq.
8 to 10) is the case that both curves are straight lines (docs/devices.md).
"""

import dataclasses
import functools
import json
import warnings
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from memristive.devices.aging import Aging
from memristive.devices.one_sided import OneSided
from memristive.devices.spice_model import (
    SpiceModel,
    check_model,
    unchanged_model,
)
from memristive.devices.write_curve import Flow, WriteCurve, move
from memristive.files import FileProblem, read_json, restored
from memristive.parameters import (
    Fields,
    ParameterError,
    curve,
    did_you_mean,
    quantity,
)
from memristor import ISOLATED, MemristorParameters

FORMAT = "device curves"
# m, width and length: the paper's gate is 10^4 times as large, and a channel of megaohms charges it
# in 0.1 ms
CHANNEL = 1e-6
WINDOW, LARGEST_READS = 3.0, 30.0  # smallest range of X, in V and in read voltages
CAPACITANCE = 1e-9  # F, of the memory
PULSE = 10e-6  # s, of the emulator
SOFT = 0.99  # a sweep to a bound that steps only approach ends at this share of the way
# `misfit` of a device, above which a warning is due
MISFIT = 0.05
ALIKE = 0.05  # of a mean step: below it, rounding or a fit can put the balance anywhere
# above it, the curves do not describe the device, and `memristive measure` writes no file
LARGEST_MISFIT = 0.2
TURNING_WINDOW = (
    "a window that depends on the direction, such as (v(row,column) > 0 ? 1 - v(x) : v(x))"
)
LOCK = 0.1  # of the largest step: pulses with less leave an end of the range slowly
# steps of a 1T1R cell without a limit of its current: one pulse crosses the range
ABRUPT = (1.0, 1.0)
STEEPEST = -0.999  # slope of steps: at -1, one pulse reaches the same x from anywhere
# of the fit of rates; more would amplify details of a curve that are shorter than a step
ITERATIONS = 10


@dataclass(frozen=True)
class MeasuredDevice(Aging):
    """Synaptic device as measured: two curves of steps, the read current, noises, and the laws of
    `Aging`.

    Parameters
    ----------
    name, source : str
        Name of the device, and origin of its data.
    lowest_conductance, highest_conductance : float
        In S, at the read voltage. A conductance G has the state x = (G - lowest) / (highest -
        lowest).
    up, down : tuples of float
        Mean change of x by one pulse, as positive numbers, on an even grid of x from 0 to 1;
        straight lines between its points.
    write_noise, read_noise : float
        Standard deviations as shares of the range. Write noise is the random part of one pulse's
        step and stays in the device. Read noise is the error of one reading and does not.
    noise_curve : tuple of float
        Factors by which the write noise is multiplied at each x, on an even grid of x. (): the
        noise is the same at each x.
    read_voltage : float
        In V.
    read_curve : tuple of float
        Bend of the read current, on an even grid of V from 0 to the read voltage. A value is the
        difference of i/V between x = 1 and x = 0, over this difference at the read voltage; (1, 1)
        is ohmic. A part of i/V that all states have in common does not count, because weights are
        differences of conductances.
    voltage_up, width_up, voltage_down, width_down : float
        Pulses in the laboratory, in V and s.
    spread, range_spread, write_noise_spread, read_noise_spread : float
        Relative standard deviations from device to device: of the steps, of the range (highest -
        lowest conductance), and of both noises.
    lowest_spread : float
        Standard deviation of the lowest conductance from device to device, as a share of the range.
    model, model_sha256 : str
        Model file of the device's SPICE subcircuit (memristive.devices.spice_model), "" without
        one, and the model's hash when it was measured, "" in files of earlier versions.
    half_up, half_down : float
        r: step of a pulse at half of the voltage, which half-selected cells take, over the step of
        a full pulse.
    third_up, third_down : float
        Step at a third of the voltage over the step of a full pulse.
    misfit : float
        Distance of predicted sweeps from the SPICE model (the largest), or without a model from the
        readings (rms), as a share of the range.
    levels : tuple of float
        Of a 1T1R cell: x after RESET and a SET at each gate voltage, on an even grid from
        `gate_low` to `gate_high`, in rising order. (): no gate chooses the level.
    gate_low, gate_high : float
        Lowest and highest gate voltage of SET in V.
    stuck : float
        Share of the cells that no pulse changes. They stand anywhere in the range.
    supply_energy : float
        Energy in J that supplies within a cell of transistors give while a pulse lasts.
    one_sided : OneSided, optional
        Steps of a device with one gradual direction, whose pulses the other way are abrupt. `up`
        and `down` then are its mean gradual step.

    Raises
    ------
    ParameterError
        A value is out of range, or a curve has one point or negative ones.
    """

    name: str = "device"
    lowest_conductance: float = quantity(1e-6, 0.0, 0.1, "S", "at x = 0")
    highest_conductance: float = quantity(1e-5, 1e-15, 0.1, "S", "at x = 1")
    up: tuple[float, ...] = curve((0.01, 0.01), "mean steps of pulses up over x")
    down: tuple[float, ...] = curve((0.01, 0.01), "mean steps of pulses down over x")
    write_noise: float = quantity(
        0.0,
        0.0,
        1.0,
        "",
        "cycle-to-cycle: standard deviation of one pulse's step, share of the range",
    )
    read_noise: float = quantity(
        0.0, 0.0, 1.0, "", "cycle-to-cycle: standard deviation of one reading, share of the range"
    )
    read_voltage: float = quantity(0.1, 1e-3, 10.0, "V", "at which the conductance is read")
    read_curve: tuple[float, ...] = curve((1.0, 1.0), "bend of the read current over the voltage")
    voltage_up: float = quantity(1.0, -100.0, 100.0, "V", "potentiating pulse in the laboratory")
    width_up: float = quantity(1e-3, 1e-12, 1e3, "s", "its width")
    voltage_down: float = quantity(-1.0, -100.0, 100.0, "V", "depressing pulse in the laboratory")
    width_down: float = quantity(1e-3, 1e-12, 1e3, "s", "its width")
    spread: float = quantity(
        0.0, 0.0, 2.0, "", "device-to-device: relative standard deviation of the steps"
    )
    range_spread: float = quantity(0.0, 0.0, 2.0, "", "device-to-device: the same of the range")
    lowest_spread: float = quantity(
        0.0, 0.0, 2.0, "", "device-to-device: of the lowest conductance, share of the range"
    )
    write_noise_spread: float = quantity(
        0.0, 0.0, 2.0, "", "device-to-device: relative standard deviation of the write noise"
    )
    read_noise_spread: float = quantity(
        0.0, 0.0, 2.0, "", "device-to-device: the same of the read noise"
    )
    noise_curve: tuple[float, ...] = curve((), "factors on the write noise over x")
    source: str = ""
    model: str = ""
    model_sha256: str = ""
    half_up: float = quantity(
        0.0, 0.0, 1.0, "", "r: step at half of the voltage over the full step, potentiation"
    )
    half_down: float = quantity(0.0, 0.0, 1.0, "", "likewise, depression")
    third_up: float = quantity(0.0, 0.0, 1.0, "", "r at a third of the voltage, potentiation")
    third_down: float = quantity(0.0, 0.0, 1.0, "", "likewise, depression")
    misfit: float = quantity(
        0.0, 0.0, 1.0, "", "distance of the curves from sweeps of the SPICE model, or readings"
    )
    levels: tuple[float, ...] = curve((), "x over the gate voltage", rising=True)
    gate_low: float = quantity(0.0, -100.0, 100.0, "V", "lowest gate voltage of SET")
    gate_high: float = quantity(0.0, -100.0, 100.0, "V", "highest gate voltage of SET")
    stuck: float = quantity(0.0, 0.0, 1.0, "", "share of the cells that no pulse changes")
    supply_energy: float = quantity(
        0.0, -1.0, 1.0, "J", "of a pulse, from supplies within the cell"
    )
    one_sided: OneSided | None = None

    unwritten: ClassVar = (
        *("model_sha256", "misfit", "noise_curve", "range_spread", "lowest_spread"),
        *("write_noise_spread", "read_noise_spread", "levels", "gate_low", "gate_high", "stuck"),
        *("drift", "drift_spread", "retention", "rest", "endurance", "endurance_spread"),
        *("supply_energy", "one_sided"),
    )
    newer: ClassVar = (
        *("read_noise", "read_curve", "voltage_up", "width_up", "voltage_down", "width_down"),
        *("spread", "source", "model", "half_up", "half_down", "third_up", "third_down"),
        "drift_start",
        *unwritten,
    )

    def check(self) -> None:
        super().check()
        if self.levels and not self.gate_low < self.gate_high:
            raise ParameterError(
                f"gate_low must be below gate_high, got {self.gate_low:g} and {self.gate_high:g} V"
            )
        if not self.lowest_conductance < self.highest_conductance:
            raise ParameterError(
                "lowest_conductance must be below highest_conductance, got "
                f"{self.lowest_conductance:g} and {self.highest_conductance:g} S"
            )
        for name in ("up", "down"):
            if not max(getattr(self, name)) > 0:
                raise ParameterError(
                    f"{name} must have a step above 0: these pulses change nothing"
                )
        if min(self.read_curve) <= 0 or abs(self.read_curve[-1] - 1) > 1e-6:
            raise ParameterError(
                f"read_curve must be above 0 and end at 1, got {min(self.read_curve):g} to "
                f"{self.read_curve[-1]:g} at the end"
            )

    @property
    def on_off_ratio(self) -> float:
        """Highest over lowest conductance; inf if the lowest is 0."""
        return (
            self.highest_conductance / self.lowest_conductance
            if self.lowest_conductance
            else np.inf
        )

    @property
    def mean_step(self) -> float:
        """Mean change of x by one pulse over both sweeps."""
        return 2 / (self.pulses(True) + self.pulses(False))

    def step(self, x: ArrayLike, up: bool = True) -> np.ndarray:
        """Return the mean change of x by one pulse (`up`, or else down), as a positive number, at
        states `x` (any shape).
        """
        curve = self.up if up else self.down
        return np.interp(np.asarray(x, float), np.linspace(0, 1, len(curve)), curve)

    def noise(self, x: ArrayLike) -> np.ndarray:
        """Return the write noise of one pulse at states `x` (any shape): its standard deviation as
        a share of the range.
        """
        curve = self.noise_curve or (1.0, 1.0)
        return self.write_noise * np.interp(
            np.asarray(x, float), np.linspace(0, 1, len(curve)), curve
        )

    def rates(self, up: bool = True) -> np.ndarray:
        """Return the rate dx/dn, the change of x per pulse for a continuous number of pulses n, on
        the even grid of the step curve, as positive numbers.

        Between grid points rates are straight lines. From a grid point, following the rate over n =
        1 gives the step of the curve: exactly for curves of two points, within 1 % of the largest
        step for more.
        """
        return np.array(_rates(self.up)) if up else np.array(_rates(self.down[::-1])[::-1])

    def after(self, start: ArrayLike, pulses: ArrayLike, up: bool = True) -> np.ndarray:
        """Return x after noise-free pulses of one direction.

        Parameters
        ----------
        start : array_like
            x before, 0 to 1.
        pulses : array_like
            Number of pulses, 0 or above; fractions are pulses of a shorter width. Broadcasts with
            `start`.
        up : bool
            True: potentiation. False: depression.
        """
        pulses = np.asarray(pulses, float)
        return np.asarray(move(self.flow, start, pulses if up else -pulses))

    @property
    def flow(self) -> Flow:
        """Rates of both directions, in the form that `write_curve.moved` takes."""
        return Flow(self.rates(True), self.rates(False)[::-1], 0.0, 1.0)

    @property
    def balance(self) -> float:
        """State x at which a pulse up and a pulse down cancel. Equal numbers of both pull a cell to
        this state.

        Without such a state the balance is 0.5. It is also 0.5 if steps up and down agree within
        `ALIKE` at all x: then pulses pull cells nowhere, and rounding errors could place the
        balance anywhere.
        """
        grid = np.linspace(0, 1, 1001)
        gain = self.step(grid) - self.step(grid, up=False)
        falls = np.flatnonzero((gain[:-1] > 0) & (gain[1:] <= 0))
        return (
            float(grid[falls[0] + 1])
            if len(falls) and np.abs(gain).max() > ALIKE * self.mean_step
            else 0.5
        )

    def pulses(self, up: bool = True) -> float:
        """Return the number of pulses, each with the mean step, that move x across the range. If
        steps become 0 at some x, they move it across 99 % of the way to this x. inf if already the
        first step is 0.
        """
        rates = np.array(_rates(self.up if up else self.down[::-1]))
        stop = np.flatnonzero(rates <= 0)
        grid = np.linspace(0, 1, len(rates))
        end = SOFT * grid[stop[0]] if len(stop) else 1.0
        if not end:
            return np.inf
        knots = np.append(grid[grid < end], end)
        first, last = (
            part(np.interp(knots, grid, rates)) for part in (lambda r: r[:-1], lambda r: r[1:])
        )
        ratio = last / first
        with np.errstate(divide="ignore", invalid="ignore"):
            seconds = (
                np.where(np.abs(ratio - 1) < 1e-9, 1.0, np.log(ratio) / (ratio - 1))
                * np.diff(knots)
                / first
            )
        return float(seconds.sum())

    def conductance(self, x: ArrayLike) -> np.ndarray:
        """Return the conductance in S at the read voltage, at states `x` (any shape)."""
        low = self.lowest_conductance
        return low + np.asarray(x, float) * (self.highest_conductance - low)


@dataclass(frozen=True)
class Emulator:
    """The emulator's parameters for a measured device, and the pulses that write it.

    Parameters
    ----------
    device : MeasuredDevice
    memristor : MemristorParameters
        Parameters of the emulator. The transconductance moves X by the device's mean step in one
        pulse.
    pulse : float
        Width in s of one pulse at +1 V or at -1 V.
    low, high : float
        X in V at the lowest and at the highest conductance.
    """

    device: MeasuredDevice
    memristor: MemristorParameters
    pulse: float
    low: float
    high: float

    def state(self, x: ArrayLike) -> np.ndarray:
        """Return X in V at the shares `x` of the conductance range (any shape)."""
        return self.low + np.asarray(x, float) * (self.high - self.low)

    def share(self, state: ArrayLike) -> np.ndarray:
        """Return the shares of the conductance range at the states X in V (any shape)."""
        return (np.asarray(state, float) - self.low) / (self.high - self.low)


def emulator(device: MeasuredDevice) -> Emulator:
    """Return the emulator's parameters for a measured device.

    The range of X is 3 V. For read voltages above 0.1 V it is larger, because the I-V curves of
    channels of low conductance would bend otherwise. The memory capacitor is large against the
    gate's capacitance, so that inputs hardly lift the gate.
    """
    window = max(WINDOW, LARGEST_READS * device.read_voltage)
    step = device.mean_step
    low, span = -window / 2, device.highest_conductance - device.lowest_conductance
    curve = WriteCurve(
        low, low + window, *(tuple((device.rates(up) / step).tolist()) for up in (True, False))
    )
    memristor = MemristorParameters(
        capacitance=CAPACITANCE,
        kp=span / window,
        width=CHANNEL,
        length=CHANNEL,
        junction_current=ISOLATED,
        curve=curve,
        aging=device.aging,
        threshold_voltage=low - device.read_voltage / 2 - window * device.lowest_conductance / span,
    )
    charge = window * step / PULSE  # V/s
    memristor = dataclasses.replace(
        memristor, transconductance=charge * memristor.memory_capacitance
    )
    return Emulator(device, memristor, PULSE, low, low + window)


@functools.lru_cache(maxsize=256)
def _rates(curve: tuple[float, ...]) -> tuple[float, ...]:
    """Return the rates dx/dn on an even grid of x that make the upward steps of `curve`: following
    the rates over one pulse, n = 1, gives the step.
    """
    steps = np.array(curve)
    if len(steps) == 2:  # exact: the flow of a straight line makes steps on a straight line
        slope = max(steps[1] - steps[0], STEEPEST)
        return tuple((steps * (np.log1p(slope) / slope if abs(slope) > 1e-12 else 1.0)).tolist())
    grid = np.linspace(0, 1, len(steps))
    ends = grid + steps  # a flow cannot carry a state beyond one that was above it
    steps = (np.maximum.accumulate(ends) + np.minimum.accumulate(ends[::-1])[::-1]) / 2 - grid
    middle = grid + steps / 2  # a step is the mean rate on its way, so it corrects the rate there
    rates = np.interp(grid, middle, steps)
    # in twice the range, with constant rates beyond 1, so that no step ends at the bound
    for _ in range(ITERATIONS):
        moves = (
            move(
                Flow(np.append(rates, np.full(len(grid) - 1, rates[-1])), rates, 0.0, 2.0),
                grid,
                1.0,
            )
            - grid
        )
        rates *= np.interp(
            grid, middle, np.where(steps > 0, steps / np.maximum(moves, 1e-300), 1.0)
        )
    return tuple(rates.tolist())


def device_record(device: MeasuredDevice) -> Fields:
    """Return the content of a device file."""
    return {"format": FORMAT, **device.as_dict()}


def device_of_record(content: Fields) -> MeasuredDevice:
    """Return the device of a device file's content. Raises ParameterError, which names the field,
    for other content.
    """
    kind = content.get("format") if isinstance(content, dict) else None
    if kind != FORMAT:
        raise ParameterError(
            f"format is {kind!r:.60}, expected {FORMAT!r}; memristive fit and "
            "memristive measure write such files"
        )
    # file, kind: of old fits
    values = {key: value for key, value in content.items() if key not in ("format", "file", "kind")}
    if "levels" in values:
        values = {"up": ABRUPT, "down": ABRUPT} | values
    if values.get("one_sided"):
        step = restored(OneSided, values["one_sided"], "one_sided").mean_step
        values = {"up": [step] * 2, "down": [step] * 2} | values
    return restored(MeasuredDevice, values)


def model_of(device: MeasuredDevice) -> SpiceModel:
    """Return the SPICE model that a device's file names, and from which the device's curves were
    measured.

    Raises ParameterError if the file names no model, if the model has changed since it was
    measured, or if `load_model` refuses it.
    """
    if not device.model:
        raise ParameterError(
            f"device {device.name} names no SPICE model; write its file with: python -m "
            "memristive measure MODEL.json"
        )
    warn_of_device(device)
    return unchanged_model(device.model, device.model_sha256)


def _presets() -> dict[str, MeasuredDevice]:
    """Return the devices of presets/ by name."""
    texts = [
        file.read_text(encoding="utf-8")
        for file in files("memristive.devices").joinpath("presets").iterdir()
        if file.name.endswith(".json")
    ]
    return {
        device.name: device
        for device in sorted(map(device_of_record, map(json.loads, texts)), key=lambda d: d.name)
    }


def load_device(name: str) -> MeasuredDevice:
    """Return the device of a preset, given its name, or of a device file, given its path.

    Raises ParameterError for an unknown name or a damaged file, and if the device's SPICE model has
    changed since the measurement. Warns as `warn_of_device` does.
    """
    if name in PRESETS:
        return PRESETS[name]
    try:
        device = device_of_record(read_json(name, "a device file"))
        check_model(device.model, device.model_sha256)
    except FileProblem as error:
        hint = did_you_mean(name, PRESETS) or f" ({error})"
        if name.endswith((".csv", ".txt")):
            raise ParameterError(
                f"{name} holds readings: make a device file of it with: memristive fit {name}"
                if "does not exist" not in str(error)
                else f"{name} does not exist; readings become a device with: memristive fit FILE"
            ) from None
        raise ParameterError(
            f"device {name!r} is none of {', '.join(PRESETS)}, and no device file{hint}"
        ) from None
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}") from None
    warn_of_device(device)
    return device


def cure_of_misfit(device: MeasuredDevice) -> str:
    """Return what may bring a device's curves closer to its SPICE model."""
    if max(device.up + device.down) > LARGEST_MISFIT:
        return "give the model file shorter pulses"
    if device.up[0] < LOCK * max(device.up) or device.down[-1] < LOCK * max(device.down):
        return f"pulses leave an end of the range slowly; give the state {TURNING_WINDOW}"
    return "steps depend on earlier pulses, as with a second state, which curves cannot describe"


def warn_of_device(device: MeasuredDevice) -> None:
    """Warn if a device forgets, or if its curves do not describe its SPICE model or readings."""
    if device.retention:
        warnings.warn(
            f"device {device.name} forgets: without voltage x loses 63 % in "
            f"{device.retention:.2g} s. Trainings by its curves keep states; its SPICE model "
            "loses them between writes and reads, so that neurons may stay silent",
            stacklevel=1,
        )
    if device.misfit > MISFIT:
        data, cure = "sweeps of its SPICE model", cure_of_misfit(device)
        if not device.model:
            data, cure = "its readings", "compare both in the figure of memristive fit"
        warnings.warn(
            f"the curves of device {device.name} follow {data} only within {device.misfit:.0%} of "
            f"the range, so networks of the device do not do what they predict: {cure}",
            stacklevel=1,
        )  # 1: once in a process


PRESETS = _presets()
# without those whose level is set by the gate, and those with one gradual direction
DEVICES = {
    name: device for name, device in PRESETS.items() if not (device.levels or device.one_sided)
}
