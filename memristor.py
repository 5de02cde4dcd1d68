"""The memristor emulator: its parameters, its SPICE subcircuits, its closed form.

Run by itself it simulates the emulator in ngspice and writes figures/memristor_iv.png (pinched hysteresis loop, state
over time), figures/memristor_fingerprints.png (loops at several frequencies) and figures/memristor_results.json.
With --stdp it measures the STDP window instead and writes figures/memristor_stdp.png and
figures/memristor_stdp_results.json. About 3 s each.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.spice.parameters import ParameterError, Parameters, quantity

DeviceModels = dict[str, tuple[str, dict[str, float]]]  # SPICE models by name: kind and parameters
ROUNDED = 1e-3  # of X: from there on pages say what ngspice rounds
MOST_THROUGH = 1e-4  # of the write current, that an open switch lets through: 70 uV of X in a read of 0.5 ms
OXIDE_PERMITTIVITY = 3.9 * 8.854214871e-12  # F/m, silicon dioxide; the constant of ngspice's MOSFET models


@dataclass(frozen=True)
class MemristorParameters(Parameters):
    """The emulator of V. Saxena (arXiv:1711.06819) as Jurj (Electronics 2024, 13, 4665) uses it in the networks.

    A transconductance charges the memory capacitor with the time integral of the voltage across the synapse while phi
    is high; the capacitor's voltage X gates an NMOS transistor whose channel is the synapse.
    """

    transconductance: float = quantity(5e-9, 1e-15, 1.0, "S", "K, charges the memory per volt across the synapse")
    leak_resistance: float = quantity(1e12, 1e6, 1e18, "ohm", "from the transconductance's output to ground")
    capacitance: float = quantity(1e-13, 1e-18, 1e-3, "F", "the explicit memory capacitor C")
    width: float = quantity(100e-6, 1e-8, 1e-1, "m", "channel width W (ngspice's default)")
    length: float = quantity(100e-6, 1e-8, 1e-1, "m", "channel length L (ngspice's default)")
    oxide_thickness: float = quantity(100e-9, 1e-10, 1e-5, "m", "gate oxide tox (ngspice's default)")
    kp: float = quantity(1.3e-4, 1e-9, 1.0, "A/V^2", "transconductance parameter Kp of the channel")
    threshold_voltage: float = quantity(0.0, -10.0, 10.0, "V", "Vto of the channel")
    junction_current: float = quantity(1e-14, 1e-300, 1e-3, "A", "saturation current Is of the junctions to bulk")
    switch_threshold: float = quantity(0.5, 1e-3, 100.0, "V", "phi above this writes, below it remembers")
    switch_on: float = quantity(1e-3, 1e-4, 1e6, "ohm", "closed switch")  # of less ngspice's writes are off by millivolts
    # From 1e15 ohm down, with the usual leak, what it lets through is seen in reads, which take it as open, as all rules but the
    # Hebbian one do: R_leak / (R_leak + R_off) of the write current.
    switch_off: float = quantity(1e20, 1e16, 1e30, "ohm", "open switch")

    def check(self) -> None:
        if self.leak_resistance / self.switch_off > MOST_THROUGH:
            raise ParameterError(f"leak_resistance must be at most {MOST_THROUGH:g} of switch_off, or the open switch lets what "
                                 f"writes through, got {self.leak_resistance:g} ohm for {self.switch_off:g} ohm")

    @property
    def gate_capacitance(self) -> float:
        """Capacitance of the transistor's own gate, eps_ox * W * L / tox, in F: it dwarfs the explicit capacitor."""
        return OXIDE_PERMITTIVITY * self.width * self.length / self.oxide_thickness

    @property
    def memory_capacitance(self) -> float:
        """All that the transconductance charges, C + C_gate, in F."""
        return self.capacitance + self.gate_capacitance

    @property
    def write_time_constant(self) -> float:
        """R_leak (C + C_gate) in s: how fast a cell that is written forgets."""
        return self.leak_resistance * self.memory_capacitance

    @property
    def gain(self) -> float:
        """Kp * W / L in A/V^2."""
        return self.kp * self.width / self.length

    def channel_model(self) -> dict[str, float]:
        """Keyword arguments of the NMOS model."""
        return {"level": 3, "vto": self.threshold_voltage, "kp": self.kp, "tox": self.oxide_thickness,
                "is": self.junction_current}


class Channel(Protocol):
    """What the closed form of a channel needs: `MemristorParameters`, or arrays of many cells' own values (any shape)."""

    @property
    def gain(self) -> Any:
        """A/V^2, Kp W/L."""
    @property
    def threshold_voltage(self) -> Any:
        """V, Vto."""
    @property
    def capacitance(self) -> Any:
        """F, the explicit memory capacitor."""
    @property
    def gate_capacitance(self) -> Any:
        """F, of the channel's own gate."""


def check_phi(phi_voltage: float, parameters: MemristorParameters) -> None:
    """Raise ParameterError if phi never crosses the write switch, so that the state could not change."""
    if not phi_voltage > parameters.switch_threshold:
        raise ParameterError(f"phi_voltage must exceed switch_threshold, or nothing is ever written, got "
                             f"{phi_voltage:g} V for {parameters.switch_threshold:g} V")


def state_rate(parameters: MemristorParameters, voltage: ArrayLike) -> np.ndarray:
    """dX/dt in V/s while phi is high: K * V / (C + C_gate), for `voltage` V across the synapse (any shape)."""
    return parameters.transconductance * np.asarray(voltage, float) / parameters.memory_capacitance


def trained_state(parameters: MemristorParameters, voltage: ArrayLike, duration: ArrayLike) -> np.ndarray:
    """Closed form of a cell's state in V after a pulse of `voltage` V for `duration` s, from X = 0 (any shape), but for the
    leak, which takes `duration` over the time constant R_leak (C + C_gate) of it.
    """
    return state_rate(parameters, voltage) * duration


def rounding(parameters: MemristorParameters, seconds: float) -> float:
    """Up to which share of X a write of so many seconds may be off in ngspice, by what it rounds of X / `switch_on`.

    A double holds 1 + 2.2e-16: over 1 mohm, the paper's, 0.2 pA for each volt of X, on the charge (C + C_gate) X.
    """
    return float(np.finfo(float).eps) * seconds / (parameters.switch_on * parameters.memory_capacitance)


def channel_current(parameters: Channel, state: ArrayLike, voltage: ArrayLike) -> np.ndarray:
    """Channel current in A from the input to a neuron at 0 V: Shichman and Hodges' square law, as level 3 reduces to.

    `state` X (V) and `voltage` V >= 0 (V) broadcast. Off for X below Vto, saturated for X - Vto below V, else linear.
    """
    overdrive = np.maximum(np.asarray(state, float) - parameters.threshold_voltage, 0.0)
    drop = np.minimum(np.asarray(voltage, float), overdrive)
    return parameters.gain * (overdrive * drop - drop**2 / 2)


def raised_state(parameters: Channel, state: ArrayLike, voltage: ArrayLike) -> np.ndarray:
    """The floating gate's voltage in V while the input is at `voltage` V: the channel lifts the gate it is coupled to.

    The gate keeps its charge C X + Q. With the overdrives s = X - Vto over the neuron's side (at 0 V) and d = s - V over the
    input's, the derivatives of Q = 2/3 C_gate (s^2 + s d + d^2) / (s + d) are J. E. Meyer's capacitances (RCA Review 32, 1971);
    in saturation d = 0. So s solves a quadratic equation, in saturation a linear one (docs/closed_form.md). A channel that is
    off at 0 V, `state` X (V) up to Vto, is not coupled. Shapes broadcast; negative voltages lower the gate.
    """
    share = parameters.capacitance / (parameters.capacitance + parameters.gate_capacitance)
    start, v = np.asarray(state, float) - parameters.threshold_voltage, np.asarray(voltage, float)
    root = np.sqrt(np.maximum((start - share / 2 * v) ** 2 - (1 - share) / 3 * v**2, 0.0))
    linear = (start + (1 - share / 2) * v + root) / 2
    pinched = (3 * start + 2 * (1 - share) * np.minimum(v, 0.0)) / (2 + share)
    lifted = np.where(pinched > np.maximum(v, 0.0), linear, pinched)
    return parameters.threshold_voltage + np.where(start > 0, lifted, start)


def read_current(parameters: Channel, state: ArrayLike, voltage: ArrayLike) -> np.ndarray:
    """Channel current in A while the input is at `voltage` V >= 0 and the gate floats; shapes broadcast.

    It is `channel_current` at `raised_state`, in which everything but one root cancels: reads spend their time here.
    """
    share = parameters.capacitance / (parameters.capacitance + parameters.gate_capacitance)
    start = np.maximum(np.asarray(state, float) - parameters.threshold_voltage, 0.0)
    pinched = 3 / (2 + share) * start
    drop = np.minimum(np.asarray(voltage, float), pinched)  # a drain beyond pinch-off changes neither charge nor current
    mean = start - share / 2 * drop
    return parameters.gain / 2 * drop * (mean + np.sqrt(mean * mean - (1 - share) / 3 * (drop * drop)))


def altered_state(element: str, state: float) -> dict[str, float]:
    """The `alter` changes that give a memristor of a loaded circuit another state in V at t = 0.

    `element`: its X with the name it has there, "xsynapse" for `circuit.X("synapse", ...)`, or the path to it. Two values are
    its state: the capacitor's, and the charge of the channel's own gate.
    """
    # Of the channel's ic the gate's alone, which is a third of what ngspice has to read.
    return {f"c.{element}.cmemory ic": state, f"m.{element}.mchannel icvgs": state}


def _defines(circuit: Circuit, name: str) -> bool:
    return name.lower() in (str(other).lower() for other in circuit.subcircuit_names)


def _check_free(circuit: Circuit, name: str) -> None:
    if _defines(circuit, name):
        raise ParameterError(f"the circuit has a subcircuit {name!r} already; give another one another name")


class Cell(SubCircuit):
    """A subcircuit with device models. Models stand beside, not inside, it: one for all instances loads 3.5x faster."""

    def __init__(self, name: str, nodes: tuple[str, ...], device_models: DeviceModels) -> None:
        super().__init__(name, *nodes, x0=0)
        self.device_models = {f"{name}_{key}": model for key, model in device_models.items()}

    def add_to(self, circuit: Circuit) -> None:
        """Define this subcircuit and its device models in the PySpice `circuit`.

        Raises ParameterError if there is one of its name: PySpice would put this one into the other's place.
        """
        _check_free(circuit, self.name)
        for name in self.device_models:
            if name in map(str, circuit.model_names):
                raise ParameterError(f"the circuit has a model {name!r} already; give this {self.name!r} another name")
        circuit.subcircuit(self)
        for name, (kind, values) in self.device_models.items():
            circuit.model(name, kind, **values)


class ReadMemristor(Cell):
    """The emulator while phi is low: memory capacitor and channel, both starting at the instance parameter x0 (V).

    Nodes: neuron (S), input (D). The open switch cuts pump and leak off, so they are left out. `own`: for the cells of a
    chip, whose width, length, Vto and capacitance are instance parameters too (w, l, vto, c), and their models their own.
    """

    def __init__(self, parameters: MemristorParameters, name: str = "read_memristor",
                 nodes: tuple[str, ...] = ("neuron", "input"), device_models: DeviceModels | None = None,
                 own: bool = False) -> None:
        channel = parameters.channel_model()
        super().__init__(name, nodes, ({} if own else {"channel": ("nmos", channel)}) | (device_models or {}))
        value: dict[str, float | str] = {"c": parameters.capacitance, "w": parameters.width, "l": parameters.length}
        if own:
            self.parameters.update(value, vto=parameters.threshold_voltage)
            value = {key: f"{{{key}}}" for key in value}
            self.model(f"{name}_channel", "nmos", **channel | {"vto": "{vto}"})
        self.C("memory", "gate", self.gnd, value["c"], raw_spice="ic={x0}")
        # The gate's own charge must start at X too: without ic here the channel would drain the memory at t = 0.
        self.MOSFET("channel", "input", "gate", "neuron", self.gnd, model=f"{name}_channel", w=value["w"], l=value["l"],
                    raw_spice="ic=0,{x0},0")


class Memristor(ReadMemristor):
    """The whole emulator. Nodes: neuron (S), input (D), phi. Instance parameter x0: the state at t = 0 in V.

    The state is one of transients from initial conditions: an operating point or DC sweep knows no X but the one that K and the
    leak come to in the end. For a current against voltage, ramp the source. `altered_state` gives a loaded one another X(0).

    X(0) is the state with the input at 0 V: let inputs rise from there, if only within a nanosecond. One that is up at t = 0 is
    a jump that no step of ngspice resolves: a gate that begins below it stays too high, by up to a fifth of its voltage.

    The channel's bulk is at ground: a terminal below about -0.5 V conducts through its junction, from an ideal source at -1 V
    617 A. The synapse's own current is that on the neuron's side. Joints of a chain and nodes behind resistors are held there
    by it, and states written otherwise: `junction_current=1e-300` isolates.

    Writes of tenths of a second or longer, decays through the leak, and cells much smaller than the paper's want a `switch_on`
    of 1e3: over its 1 mohm what ngspice rounds is off by per cents of X a second, more the smaller the gate (`rounding`).

    With `own`, the write gain is an instance parameter as well (k).
    """

    def __init__(self, parameters: MemristorParameters, name: str = "memristor", own: bool = False) -> None:
        write = {"vt": parameters.switch_threshold, "vh": 0, "ron": parameters.switch_on, "roff": parameters.switch_off}
        super().__init__(parameters, name, ("neuron", "input", "phi"), {"write": ("sw", write)}, own)
        if own:
            self.parameters["k"] = parameters.transconductance
        self.VCCS("charge", self.gnd, "pump", "input", "neuron",
                  transconductance="{k}" if own else parameters.transconductance)
        self.R("leak", "pump", self.gnd, parameters.leak_resistance)
        self.S("write", "pump", "gate", "phi", self.gnd, model=f"{name}_write")


class MemristorChain(SubCircuit):
    """`count` memristors in series between neuron and input, sharing phi; `memristor` is the name of the subcircuit of each."""

    def __init__(self, count: int, memristor: str = "memristor", name: str = "memristor_chain") -> None:
        if not (isinstance(count, (int, np.integer)) and count >= 1):
            raise ParameterError(f"a chain needs 1 memristor or more, got {count!r}")
        if not isinstance(memristor, str):
            raise ParameterError(f"memristor must be a subcircuit's name, whose parameters `add_to` takes; got {memristor!r:.60}")
        super().__init__(name, "neuron", "input", "phi", x0=0)
        self.memristor = memristor
        nodes = ["neuron", *(f"joint_{k}" for k in range(1, count)), "input"]
        for k in range(count):
            self.X(k, memristor, nodes[k], nodes[k + 1], "phi", x0="{x0}")

    def add_to(self, circuit: Circuit, parameters: MemristorParameters | None = None) -> None:
        """Define the chain in the PySpice `circuit`, and if missing the `Memristor` of these `parameters` (None: the usual).

        Raises ParameterError if there is a chain of this name, or for `parameters` of a memristor that is there.
        """
        _check_free(circuit, self.name)
        if not _defines(circuit, self.memristor):
            Memristor(parameters or MemristorParameters(), self.memristor).add_to(circuit)
        elif parameters is not None:
            raise ParameterError(f"the circuit has a memristor {self.memristor!r} already: a chain of it takes no parameters; "
                                 "for another one, name it: memristor=...")
        circuit.subcircuit(self)


if __name__ == "__main__":
    from studies.device import main

    sys.exit(run(main))
