"""Measured synaptic devices: their update law, and the emulator's parameters that reproduce it.

The field describes a device by its conductance over identical pulses (P.-Y. Chen, X. Peng, S. Yu, IEEE TCAD 37, 3067, 2018,
eq. 8 to 10). With p the share of all pulses and x the share of the conductance range, potentiation is

    x = B (1 - exp(-p / A)),   B = 1 / (1 - exp(-1 / A)),

and depression is its mirror image with its own A. While phi is high the emulator follows the same law,
dX/dt = (K V - X / R_leak) / (C + C_gate): the leak resistor is the device's nonlinearity (docs/devices.md).
"""

import dataclasses
import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristor import MemristorParameters

FORMAT = "measured synaptic device"
CHANNEL = 1e-6  # m, width and length: a channel of megaohms charges the paper's gate, 10^4 times as large, in 0.1 ms
LINEAR = 100.0  # curvature A from which on a curve is a straight line to 0.13 % of its range


@dataclass(frozen=True)
class MeasuredDevice(Parameters):
    """Synaptic device as measured: conductance over identical pulses.

    `curvature_up` and `curvature_down` are A in the update law: large values are straight lines. Negative values bend the other
    way, which the emulator cannot follow.
    """

    name: str = "device"
    pulses_up: int = quantity(100, 1, 10**7, "", "pulses from the lowest to the highest conductance")
    pulses_down: int = quantity(100, 1, 10**7, "", "pulses from the highest to the lowest conductance")
    curvature_up: float = quantity(LINEAR, -1e6, 1e6, "", "A of potentiation, in units of all pulses")
    curvature_down: float = quantity(LINEAR, -1e6, 1e6, "", "A of depression, in units of all pulses")
    highest_conductance: float = quantity(1e-5, 1e-15, 10.0, "S", "at the end of a potentiation")
    on_off_ratio: float = quantity(10.0, 1.0001, 1e9, "", "highest over lowest conductance")
    cycle_noise: float = quantity(0.0, 0.0, 1.0, "", "cycle-to-cycle: standard deviation of one pulse's step, share of the range")
    voltage_up: float = quantity(1.0, -100.0, 100.0, "V", "potentiating pulse in the laboratory")
    width_up: float = quantity(1e-3, 1e-12, 1e3, "s", "its width")
    voltage_down: float = quantity(-1.0, -100.0, 100.0, "V", "depressing pulse in the laboratory")
    width_down: float = quantity(1e-3, 1e-12, 1e3, "s", "its width")
    read_voltage: float = quantity(0.1, 1e-3, 10.0, "V", "at which the conductance is read")
    source: str = ""

    def check(self) -> None:
        for name in ("curvature_up", "curvature_down"):
            if abs(getattr(self, name)) < 0.01:
                raise ParameterError(f"{name} must be at least 0.01 in magnitude, got {getattr(self, name):g}")

    @property
    def lowest_conductance(self) -> float:
        """Conductance in S at the end of a depression."""
        return self.highest_conductance / self.on_off_ratio

    def curve(self, share: ArrayLike, up: bool = True) -> np.ndarray:
        """Return the share of the conductance range after a share of all pulses, in a full sweep up or down (any shape)."""
        return self.after(0.0 if up else 1.0, np.asarray(share, float) * (self.pulses_up if up else self.pulses_down), up)

    def after(self, start: ArrayLike, pulses: ArrayLike, up: bool = True) -> np.ndarray:
        """Return the share of the range after identical pulses.

        Parameters
        ----------
        start : array_like
            Share of the conductance range before, 0 to 1.
        pulses : array_like
            Number of pulses, 0 or above; fractions are pulses of a shorter width. Broadcasts with `start`.
        up : bool
            Potentiation, or depression.
        """
        bound, count = self.bound(up), self.pulses_up if up else self.pulses_down
        decay = np.exp(-np.asarray(pulses, float) / ((self.curvature_up if up else self.curvature_down) * count))
        return bound + (np.asarray(start, float) - bound) * decay

    def bound(self, up: bool = True) -> float:
        """Return the share of the range that pulses of one direction approach: B for up, 1 - B for down."""
        b = float(1 / -np.expm1(-1 / (self.curvature_up if up else self.curvature_down)))
        return b if up else 1 - b

    def conductance(self, share: ArrayLike) -> np.ndarray:
        """Return the conductance in S at a share of the range."""
        low = self.lowest_conductance
        return low + np.asarray(share, float) * (self.highest_conductance - low)


@dataclass(frozen=True)
class Emulator:
    """The emulator's parameters for a measured device, and the pulses that write it.

    Parameters
    ----------
    device : MeasuredDevice
    memristor : MemristorParameters
    pulse_up, pulse_down : float
        Width in s of one pulse at +1 V and at -1 V.
    low, high : float
        X in V at the lowest and at the highest conductance.
    """

    device: MeasuredDevice
    memristor: MemristorParameters
    pulse_up: float
    pulse_down: float
    low: float
    high: float

    def state(self, share: ArrayLike) -> np.ndarray:
        """Return X in V at a share of the conductance range."""
        return self.low + np.asarray(share, float) * (self.high - self.low)

    def share(self, state: ArrayLike) -> np.ndarray:
        """Return the share of the conductance range at X in V."""
        return (np.asarray(state, float) - self.low) / (self.high - self.low)


def emulator(device: MeasuredDevice, array: bool = False, window: float = 3.0, capacitance: float = 1e-9,
             leak_resistance: float = 1e6) -> Emulator:
    """Return the emulator's parameters for a measured device.

    Parameters
    ----------
    device : MeasuredDevice
    array : bool
        Leak in proportion to the voltage across the synapse, so that pulses do not disturb rows at 0 V, and a clamp at the
        ends of the conductance range.
    window : float
        Range of X in V.
    capacitance : float
        Memory capacitor in F, large against the gate's, so that the lift of the gate does not matter.
    leak_resistance : float
        Leak in ohm at 1 V; sets the duration of a pulse.

    Raises
    ------
    ParameterError
        A curve bends the other way: the emulator saturates at both ends.
    """
    if min(device.curvature_up, device.curvature_down) < 0:
        raise ParameterError(f"device {device.name}: its steps must shrink from pulse to pulse, the emulator cannot follow a "
                             f"negative curvature; got curvature_up {device.curvature_up:g} and curvature_down "
                             f"{device.curvature_down:g}")
    up, down = device.bound(True), 1 - device.bound(False)
    low = -window * (1 + up - down) / 2
    saturation = window * (up + down - 1) / 2  # K R_leak at 1 V
    gain = device.highest_conductance * (device.on_off_ratio - 1) / device.on_off_ratio / window
    limits = {"lowest_state": low, "highest_state": low + window} if array else {}
    memristor = MemristorParameters(
        **limits, transconductance=saturation / leak_resistance, leak_resistance=1e12 if array else leak_resistance,
        leak_per_volt=1 / leak_resistance if array else 0.0, capacitance=capacitance, kp=gain, width=CHANNEL, length=CHANNEL,
        junction_current=1e-300,
        threshold_voltage=low - device.read_voltage / 2 - window / (device.on_off_ratio - 1))
    tau = leak_resistance * memristor.memory_capacitance
    return Emulator(device, memristor, tau / (device.curvature_up * device.pulses_up),
                    tau / (device.curvature_down * device.pulses_down), low, low + window)


CHEN = "P.-Y. Chen, X. Peng, S. Yu, IEEE TCAD 37, 3067 (2018), Table I"
NEUROSIM = "MLP+NeuroSim V3.0 manual, section 9"

DEVICES = {device.name: device for device in (
    MeasuredDevice(
        name="ag-si", pulses_up=97, pulses_down=100, curvature_up=0.4992, curvature_down=0.2003, highest_conductance=1 / 26e6,
        on_off_ratio=12.5, cycle_noise=0.035, voltage_up=3.2, width_up=300e-6, voltage_down=-2.8, width_down=300e-6,
        source=f"Ag:a-Si; {CHEN}"),
    MeasuredDevice(
        name="taox-tio2", pulses_up=102, pulses_down=102, curvature_up=0.6619, curvature_down=0.6855, highest_conductance=1 / 5e6,
        on_off_ratio=2.0, cycle_noise=0.01, voltage_up=3.0, width_up=40e-3, voltage_down=-3.0, width_down=10e-3,
        source=f"TaOx/TiO2; {CHEN}"),
    MeasuredDevice(
        name="pcmo", pulses_up=50, pulses_down=50, curvature_up=0.3006, curvature_down=0.1003, highest_conductance=1 / 23e6,
        on_off_ratio=6.84, cycle_noise=0.01, voltage_up=-2.0, width_up=1e-3, voltage_down=2.0, width_down=1e-3,
        source=f"PCMO; {CHEN}"),
    MeasuredDevice(
        name="alox-hfo2", pulses_up=40, pulses_down=40, curvature_up=0.6292, curvature_down=2.0633,
        highest_conductance=1 / 16.9e3, on_off_ratio=4.43, cycle_noise=0.05, voltage_up=0.9,
        width_up=100e-6, voltage_down=-1.0, width_down=100e-6,
        source=f"AlOx/HfO2; {CHEN}"),
    MeasuredDevice(
        name="epiram", pulses_up=64, pulses_down=64, curvature_up=2.5199, curvature_down=2.5199, highest_conductance=1 / 81e3,
        on_off_ratio=50.2, cycle_noise=0.02, voltage_up=5.0, width_up=5e-6, voltage_down=-3.0, width_down=5e-6,
        source=f"EpiRAM; S. Choi et al., Nature Materials 17, 335 (2018); {NEUROSIM}"),
    MeasuredDevice(
        name="taox-hfox", pulses_up=128, pulses_down=128, curvature_up=31.57, curvature_down=1.9973,
        highest_conductance=1 / 100e3, on_off_ratio=10.0, cycle_noise=0.037, voltage_up=1.6,
        width_up=50e-9, voltage_down=-1.6, width_down=50e-9,
        source=f"TaOx/HfOx; {NEUROSIM}"),
)}


def device_record(device: MeasuredDevice) -> dict[str, Any]:
    """Return the content of a device file."""
    return {"format": FORMAT, **dataclasses.asdict(device)}


def load_device(name: str) -> MeasuredDevice:
    """Return a preset by name, or the device in a JSON file that `studies.device_fit` wrote.

    Raises ParameterError for an unknown name or a damaged file.
    """
    if name in DEVICES:
        return DEVICES[name]
    try:
        content: dict[str, Any] = json.loads(Path(name).read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise ValueError(f"format is {content.get('format')!r}, expected {FORMAT!r}")
        known = {field.name for field in dataclasses.fields(MeasuredDevice)}
        return MeasuredDevice(**{key: value for key, value in content.items() if key in known})
    except (OSError, ValueError, AttributeError, TypeError) as error:
        near = difflib.get_close_matches(name.lower(), DEVICES, 1)
        hint = f"; did you mean {near[0]}?" if near else f" ({error})"
        raise ParameterError(f"device {name!r} is none of {', '.join(DEVICES)}, and no device file{hint}") from None
