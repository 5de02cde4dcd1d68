"""The memristor emulator: parameters, SPICE subcircuits, closed form.

Run alone, it simulates the emulator in ngspice and writes results/devices/memristor.json, figures/memristor_iv.png (pinched
hysteresis loop, state over time) and figures/memristor_fingerprints.png (loops at several frequencies). With --stdp it measures
the STDP window and writes results/devices/memristor_stdp.json and figures/memristor_stdp.png. About 2 s each.
"""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.devices.channel import BEYOND, Flow
from memristive.spice.parameters import ParameterError, Parameters, quantity

DeviceModels = dict[str, tuple[str, dict[str, float]]]  # SPICE models by name: kind and parameters
MOST_THROUGH = 1e-4  # largest share of the write current through an open switch: 70 uV of X in a read of 0.5 ms
SURFACE_POTENTIAL = 0.6  # V, ngspice's default phi of MOSFET models
EDGE_COUPLING = 5.8e-3  # V, see first_write_offset
OXIDE_PERMITTIVITY = 3.9 * 8.854214871e-12  # F/m, silicon dioxide; the constant of ngspice's MOSFET models


@dataclass(frozen=True)
class WriteCurve:
    """Write gain of a device whose steps depend on its state: one curve for positive and one for negative voltages.

    Beyond the ends of the range the gain falls to 0 within `channel.BEYOND` of it, so that writes end there.

    Parameters
    ----------
    low, high : float
        Range of X in V.
    up, down : tuples of float
        Gain in units of the transconductance K on an even grid of X from `low` to `high`; straight lines between its points.
    """

    low: float
    high: float
    up: tuple[float, ...]
    down: tuple[float, ...]

    @property
    def flow(self) -> Flow:
        """The curves as an argument of `channel.moved`, the law of a write."""
        return Flow(np.array(self.up), np.array(self.down[::-1]), self.low, self.high - self.low)

    def expression(self) -> str:
        """Return the expression for ngspice of the write gain at X times the voltage between the nodes input and neuron."""
        span = self.high - self.low
        beyond = BEYOND * span
        x = np.array
        up = _table(x([self.low - span, *np.linspace(self.low, self.high, len(self.up)), self.high + beyond]),
                    x([self.up[0], *self.up, 0.0]))
        down = _table(x([self.low - beyond, *np.linspace(self.low, self.high, len(self.down)), self.high + span]),
                      x([0.0, *self.down, self.down[-1]]))
        volts = "v(input)-v(neuron)"
        return f"uramp({volts})*pwl(v(gate),{up})-uramp(-({volts}))*pwl(v(gate),{down})"


def _table(x: np.ndarray, y: np.ndarray) -> str:
    """Return the points of a `pwl` of ngspice, which continues its first and its last straight line."""
    return ",".join(f"{number!r}" for number in np.column_stack([x, y]).ravel().tolist())


@dataclass(frozen=True)
class MemristorParameters(Parameters):
    """Emulator of V. Saxena (arXiv:1711.06819), with the values of Jurj's networks (Electronics 2024, 13, 4665).

    While phi is high, a transconductance charges the memory capacitor with the time integral of the voltage across the
    synapse. The capacitor's voltage X gates an NMOS transistor, whose channel is the synapse.
    """

    transconductance: float = quantity(5e-9, 1e-15, 1e-3, "S", "K, charges the memory per volt across the synapse")
    leak_resistance: float = quantity(1e12, 1e6, 1e18, "ohm", "from the transconductance's output to ground")
    capacitance: float = quantity(1e-13, 1e-18, 1e-3, "F", "the explicit memory capacitor C")
    width: float = quantity(100e-6, 1e-8, 1e-1, "m", "channel width W (ngspice's default)")
    length: float = quantity(100e-6, 1e-8, 1e-1, "m", "channel length L (ngspice's default)")
    oxide_thickness: float = quantity(100e-9, 1e-10, 1e-5, "m", "gate oxide tox (ngspice's default)")
    kp: float = quantity(1.3e-4, 1e-15, 1.0, "A/V^2", "transconductance parameter Kp of the channel")
    threshold_voltage: float = quantity(0.0, -1e4, 1e4, "V", "Vto of the channel")
    junction_current: float = quantity(1e-14, 1e-300, 1e-3, "A", "saturation current Is of the junctions to bulk")
    switch_threshold: float = quantity(0.5, 1e-3, 100.0, "V", "phi above this writes, below it remembers")
    switch_on: float = quantity(1e-3, 1e-4, 1e6, "ohm", "closed switch")  # below 1e-4 writes are off by mV
    # Reads treat the switch as open. It lets R_leak / (R_leak + R_off) of the write current through, visible below 1e15 ohm.
    switch_off: float = quantity(1e20, 1e16, 1e30, "ohm", "open switch")
    curve: WriteCurve | None = None  # of a measured device: its gain over X, in units of the transconductance

    def check(self) -> None:
        if isinstance(self.curve, Mapping):  # from a file
            object.__setattr__(self, "curve", WriteCurve(self.curve["low"], self.curve["high"], tuple(self.curve["up"]),
                                                         tuple(self.curve["down"])))
        if self.leak_resistance / self.switch_off > MOST_THROUGH:
            raise ParameterError(f"leak_resistance must be at most {MOST_THROUGH:g} of switch_off, or the open switch conducts "
                                 f"write current, got {self.leak_resistance:g} ohm for {self.switch_off:g} ohm")

    @property
    def gate_capacitance(self) -> float:
        """Capacitance of the transistor's gate, eps_ox * W * L / tox, in F: 34 times the explicit capacitor by default."""
        return OXIDE_PERMITTIVITY * self.width * self.length / self.oxide_thickness

    @property
    def memory_capacitance(self) -> float:
        """Capacitance that the transconductance charges, C + C_gate, in F."""
        return self.capacitance + self.gate_capacitance

    @property
    def share(self) -> float:
        """Share C / (C + C_gate) of the explicit capacitor in the memory."""
        return self.capacitance / self.memory_capacitance

    @property
    def pinch(self) -> float:
        """Ratio of the lifted gate's overdrive to the overdrive at rest, for a saturated channel."""
        return 3 / (2 + self.share)

    @property
    def write_time_constant(self) -> float:
        """Time constant R_leak (C + C_gate) in s with which a cell leaks while it is written."""
        return self.leak_resistance * self.memory_capacitance

    @property
    def gain(self) -> float:
        """Gain Kp * W / L of the channel in A/V^2."""
        return self.kp * self.width / self.length

    def channel_model(self) -> dict[str, float]:
        """Return the keyword arguments of the NMOS model."""
        return {"level": 3, "vto": self.threshold_voltage, "kp": self.kp, "tox": self.oxide_thickness,
                "is": self.junction_current}


def state_rate(parameters: MemristorParameters, voltage: ArrayLike) -> np.ndarray:
    """Return dX/dt in V/s while phi is high: K * V / (C + C_gate), for `voltage` V across the synapse (any shape)."""
    return parameters.transconductance * np.asarray(voltage, float) / parameters.memory_capacitance


def trained_state(parameters: MemristorParameters, voltage: ArrayLike, duration: ArrayLike) -> np.ndarray:
    """Return the state in V after a pulse of `voltage` V for `duration` s from X = 0 (any shape), without the leak.

    The leak would lower this state by less than the share `duration` / `write_time_constant`.
    """
    return state_rate(parameters, voltage) * duration


def first_write_offset(parameters: MemristorParameters) -> float:
    """Return the voltage in V that a cell gains, beyond `trained_state`, when it is written from X = 0.

    Below Vto, Meyer's gate capacitance is smaller than C_gate, so the same charge raises X further. At Vto = 0, the floor of
    25 mV of ngspice's saturation voltage couples the input's edge into the gate and adds 5.8 mV.
    """
    if parameters.threshold_voltage > 0:
        below = np.linspace(-parameters.threshold_voltage, 0.0, 1001)  # X - Vto
        share = np.where(below <= -SURFACE_POTENTIAL, 1.0, np.where(below <= -SURFACE_POTENTIAL / 2, -below / SURFACE_POTENTIAL,
                                                                    2 / 3 + below / SURFACE_POTENTIAL / 3))
        gained = float(np.trapezoid(1 - share, below))
    else:
        gained = EDGE_COUPLING if parameters.threshold_voltage == 0 else 0.0
    return gained * parameters.gate_capacitance / parameters.memory_capacitance


def rounding(parameters: MemristorParameters, seconds: float) -> float:
    """Return the upper bound of the relative error of X after a write of `seconds`, by rounding of X / switch_on in ngspice.

    A double resolves 2.2e-16 of a number. With the paper's 1 mohm, this is 0.2 pA for each volt of X, and this current charges
    C + C_gate.
    """
    return float(np.finfo(float).eps) * seconds / (parameters.switch_on * parameters.memory_capacitance)


def altered_state(element: str, state: float) -> dict[str, float]:
    """Return the `alter` changes that give a memristor of a loaded circuit another state in V at t = 0.

    `element` is its name in the circuit, "xsynapse" for `circuit.X("synapse", ...)`. The state has two values: the
    capacitor's, and the charge of the channel's gate.
    """
    return {f"c.{element}.cmemory ic": state, f"m.{element}.mchannel icvgs": state}


class Cell(SubCircuit):
    """Subcircuit whose device models stand outside, so that all instances share one: this loads 3.5 times faster."""

    def __init__(self, name: str, nodes: tuple[str, ...], device_models: DeviceModels) -> None:
        super().__init__(name, *nodes, x0=0)
        self.device_models = {f"{name}_{key}": model for key, model in device_models.items()}

    def add_to(self, circuit: Circuit) -> None:
        """Define this subcircuit and its device models in the PySpice `circuit`.

        Raises ParameterError if the name is taken, because PySpice would silently replace the other subcircuit.
        """
        if self.name.lower() in (str(other).lower() for other in circuit.subcircuit_names):
            raise ParameterError(f"the circuit already has a subcircuit {self.name!r}; choose another name")
        for name in self.device_models:
            if name in map(str, circuit.model_names):
                raise ParameterError(f"the circuit already has a model {name!r}; give this {self.name!r} another name")
        circuit.subcircuit(self)
        for name, (kind, values) in self.device_models.items():
            circuit.model(name, kind, **values)


class ReadMemristor(Cell):
    """Emulator while phi is low: memory capacitor and channel. The instance parameter x0 is X in V at t = 0.

    Nodes: neuron (S), input (D). Transconductance and leak are left out: the open switch cuts them off. With `per_instance`
    (the cells of a chip) width, length, Vto and capacitance are instance parameters too (w, l, vto, c).
    """

    def __init__(self, parameters: MemristorParameters, name: str = "read_memristor",
                 nodes: tuple[str, ...] = ("neuron", "input"), device_models: DeviceModels | None = None,
                 per_instance: bool = False) -> None:
        channel = parameters.channel_model()
        super().__init__(name, nodes, ({} if per_instance else {"channel": ("nmos", channel)}) | (device_models or {}))
        value: dict[str, float | str] = {"c": parameters.capacitance, "w": parameters.width, "l": parameters.length}
        if per_instance:
            self.parameters.update(value, vto=parameters.threshold_voltage)
            value = {key: f"{{{key}}}" for key in value}
            self.model(f"{name}_channel", "nmos", **channel | {"vto": "{vto}"})
        self.C("memory", "gate", self.gnd, value["c"], raw_spice="ic={x0}")
        # The gate's own charge must start at X too: without ic here the channel would drain the memory at t = 0.
        self.MOSFET("channel", "input", "gate", "neuron", self.gnd, model=f"{name}_channel", w=value["w"], l=value["l"],
                    raw_spice="ic=0,{x0},0")


class Memristor(ReadMemristor):
    """The whole emulator. Nodes: neuron (S), input (D), phi. Instance parameter x0: the state at t = 0 in V.

    Use transients from initial conditions: an operating point finds only the final X of K and leak. For an I-V curve, ramp
    the source. `altered_state` changes X(0) of a loaded circuit.

    X(0) is the state with the input at 0 V. Let inputs rise from 0 V, if only within a nanosecond, because ngspice does not
    resolve a jump at t = 0. After a jump, a gate below the input stays up to a fifth of its voltage too high.

    The channel's bulk is at ground. A terminal below about -0.5 V conducts through its junction to the bulk: 617 A from an
    ideal source at -1 V. The synapse's current is the current on the neuron's side. Behind resistors the junction's current
    changes the states; `junction_current=1e-300` prevents this.

    Use `switch_on=1e3` for writes of tenths of a second, for decay through the leak, and for gates much smaller than the
    paper's. With the paper's 1 mohm ngspice rounds X by percents a second (`rounding`).

    With `per_instance`, the write gain is an instance parameter as well (k).
    """

    def __init__(self, parameters: MemristorParameters, name: str = "memristor", per_instance: bool = False) -> None:
        write = {"vt": parameters.switch_threshold, "vh": 0, "ron": parameters.switch_on, "roff": parameters.switch_off}
        super().__init__(parameters, name, ("neuron", "input", "phi"), {"write": ("sw", write)}, per_instance)
        if per_instance:
            self.parameters["k"] = parameters.transconductance
        control = ("input", "neuron")
        if parameters.curve:  # the gain of Gcharge can be altered, the expression of a source cannot
            self.B("product", "product", self.gnd, voltage_expression=parameters.curve.expression())
            control = ("product", self.gnd)
        self.VCCS("charge", self.gnd, "pump", *control, transconductance="{k}" if per_instance else parameters.transconductance)
        self.R("leak", "pump", self.gnd, parameters.leak_resistance)
        self.S("write", "pump", "gate", "phi", self.gnd, model=f"{name}_write")


if __name__ == "__main__":
    if importlib.util.find_spec("studies") is None:
        sys.exit("memristor.py: its experiments are not installed; run `python memristor.py` in the folder of the project")

    from memristive.cli.script import run
    from studies.device import main

    run(main)
