"""A crossbar that learns by itself, as one netlist: STDP without a teacher, closed through three additions to the network.

Each neuron's own output opens its column's phi; a neuron that has fired shunts the membranes of all others until the input
ends; and a homeostatic voltage that grows while the neuron fires, and leaks, raises its threshold. The emulator's leak
makes the write an average of the images for which the neuron fired first (learning/stdp.py). Nothing runs here.

Nodes: input_i, column_j, membrane_j, output_j, phi_j, homeostasis_j, threshold_j, fired (the sum of all outputs in V), and
xcell_j_i.gate, the state of cell (neuron j, input i).
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.Netlist import Circuit

from learning.pulses import Schedule
from memristor import Memristor, check_phi
from snn_circuit import NetworkParameters, add_neuron, names
from spice.parameters import ParameterError, Parameters, quantity
from spice.session import Solver, Waveforms

# Switches flip at time points, so that the longest step bounds how late; the gates' charge (1e-12 C) governs the step.
LEARNING = Solver(max_step=50e-6, reltol=1e-4, trtol=7.0, method="trap")
SILENT = -1  # the winner of a presentation in which no neuron fired


@dataclass(frozen=True)
class SelfLearningParameters(Parameters):
    """What closes the loop from a neuron's output to its own synapses, its threshold and its rivals."""

    inhibition_threshold: float = quantity(0.5, 1e-3, 100.0, "V", "sum of the other outputs above which a membrane is shunted")
    inhibition_resistance: float = quantity(1e-3, 1e-9, 1e3, "ohm", "of the closed shunt across a membrane")
    homeostasis_current: float = quantity(0.5e-6, 0.0, 1.0, "A", "charges a neuron's homeostatic capacitor while it fires")
    homeostasis_capacitance: float = quantity(1e-9, 1e-15, 1.0, "F", "its voltage is added to the neuron's threshold")
    homeostasis_resistance: float = quantity(320e6, 1.0, 1e15, "ohm", "leak of the homeostatic capacitor")

    @property
    def homeostasis_rate(self) -> float:
        """How fast the threshold rises while the neuron fires, in V/s."""
        return self.homeostasis_current / self.homeostasis_capacitance

    @property
    def homeostasis_time_constant(self) -> float:
        """Time in s in which a raised threshold falls to 1/e."""
        return self.homeostasis_resistance * self.homeostasis_capacitance


@dataclass(frozen=True)
class SelfLearningCircuit:
    """All parameters of a crossbar that learns by itself; those with which none could learn raise ParameterError."""

    network: NetworkParameters = NetworkParameters()
    learning: SelfLearningParameters = SelfLearningParameters()
    schedule: Schedule = Schedule(pulse=0.6e-3, period=3e-3)

    def __post_init__(self) -> None:
        memristor, neuron, pulse = self.network.memristor, self.network.neuron, self.schedule.pulse
        check_phi(self.schedule.phi_voltage, memristor)
        if not self.write_time_constant > pulse:
            raise ParameterError(f"leak_resistance of {memristor.leak_resistance:g} ohm forgets within a pulse: its time constant "
                                 f"of {self.write_time_constant:.3g} s must exceed the pulse of {pulse:g} s")
        if not self.learning.inhibition_threshold < neuron.output_high:
            raise ParameterError("inhibition_threshold must be below output_high, or no neuron holds the others down, got "
                                 f"{self.learning.inhibition_threshold:g} V for {neuron.output_high:g} V")

    @property
    def write_time_constant(self) -> float:
        """R_leak (C + C_gate) in s: how fast a cell that is written forgets."""
        return self.network.memristor.leak_resistance * self.network.memristor.memory_capacitance

    @property
    def target(self) -> float:
        """K R_leak in V per V of the input: what a cell that is written for ever tends to."""
        return self.network.memristor.transconductance * self.network.memristor.leak_resistance

    def as_dict(self) -> dict:
        """The parameters as plain nested numbers."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Spread:
    """How the devices of one chip differ from the nominal ones (device to device): factors, 1 for no spread."""

    channel_gain: np.ndarray  # neurons x inputs, on Kp
    write_gain: np.ndarray  # neurons x inputs, on K
    threshold: np.ndarray  # neurons, on the firing threshold

    @classmethod
    def drawn(cls, generator: np.random.Generator, neurons: int, inputs: int, spread: float) -> "Spread":
        """Log-normal factors with the standard deviation `spread` of their logarithm, for cells and neurons alike."""
        return cls(*(np.exp(spread * generator.standard_normal(shape)) for shape in
                     ((neurons, inputs), (neurons, inputs), neurons)))


def self_learning_network(design: SelfLearningCircuit, states: np.ndarray, images: np.ndarray,
                          homeostasis: np.ndarray | None = None, spread: Spread | None = None) -> Circuit:
    """Netlist that presents `images` (presentations x inputs, levels 0 to 1), one a period; return a PySpice `Circuit`.

    `states`: the cells' X at t = 0, neurons x inputs, in V; `homeostasis`: the homeostatic voltages at t = 0 in V (default 0);
    `spread`: of this chip's devices. Raises ParameterError for shapes that do not fit.
    """
    neurons, inputs = np.shape(states)
    if not len(images):
        raise ParameterError("a circuit that learns needs at least one image, got none")
    if np.ndim(images) != 2 or np.shape(images)[1] != inputs:
        raise ParameterError(f"{neurons} x {inputs} states need images of {inputs} pixels, got {np.shape(images)[1:]}")
    circuit = Circuit("crossbar that learns by itself: STDP without a teacher")
    add_neuron(circuit, design.network.neuron)
    circuit.model("inhibition", "sw", vt=design.learning.inhibition_threshold, vh=0,
                  ron=design.learning.inhibition_resistance, roff=1e12)
    circuit.R("fired", "fired", circuit.gnd, 1.0)
    for i, levels in enumerate(np.transpose(images)):
        points = design.schedule.train(design.schedule.input_voltage * levels)
        circuit.PieceWiseLinearVoltageSource(f"input_{i}", f"input_{i}", circuit.gnd, values=points)
    start = np.zeros(neurons) if homeostasis is None else homeostasis
    for j in range(neurons):
        offset = 0.0 if spread is None else design.network.neuron.threshold * float(spread.threshold[j] - 1)
        _add_self_learning_neuron(circuit, design, j, float(start[j]), offset)
    _add_cells(circuit, design, states, spread)
    return circuit


def _add_self_learning_neuron(circuit: Circuit, design: SelfLearningCircuit, j: int, start: float, offset: float) -> None:
    """Neuron j with its phi, its inhibition by the others, and its homeostatic voltage, at first `start` V.

    The threshold's rise enters where a negative column would (`offset` V belongs to this chip): the membrane settles, and
    rests, that much lower, which moves its crossing exactly as a threshold that much higher would.
    """
    high, learning = design.network.neuron.output_high, design.learning
    node = {name: f"{name}_{j}" for name in ("column", "membrane", "output", "phi", "homeostasis", "threshold")}
    circuit.X(f"neuron_{j}", "lapicque_neuron", node["column"], node["threshold"], node["membrane"], node["output"])
    circuit.VCVS(f"phi_{j}", node["phi"], circuit.gnd, node["output"], circuit.gnd,
                 voltage_gain=design.schedule.phi_voltage / high)
    circuit.VCCS(f"fired_{j}", circuit.gnd, "fired", node["output"], circuit.gnd, transconductance=1.0)
    circuit.S(f"inhibit_{j}", node["membrane"], circuit.gnd, "fired", node["output"], model="inhibition")
    circuit.VCCS(f"homeostasis_{j}", circuit.gnd, node["homeostasis"], node["output"], circuit.gnd,
                 transconductance=learning.homeostasis_current / high)
    circuit.C(f"homeostasis_{j}", node["homeostasis"], circuit.gnd, learning.homeostasis_capacitance, raw_spice=f"ic={start!r}")
    circuit.R(f"homeostasis_{j}", node["homeostasis"], circuit.gnd, learning.homeostasis_resistance)
    foot = f"offset_{j}" if offset else circuit.gnd
    circuit.VCVS(f"threshold_{j}", node["threshold"], foot, node["homeostasis"], circuit.gnd, voltage_gain=1.0)
    if offset:
        circuit.V(f"offset_{j}", foot, circuit.gnd, offset)


def _add_cells(circuit: Circuit, design: SelfLearningCircuit, states: np.ndarray, spread: Spread | None) -> None:
    """The crossbar; with a `spread` every cell is a subcircuit of its own."""
    nominal = Memristor(design.network.memristor)
    if spread is None:
        nominal.add_to(circuit)
    for (j, i), state in np.ndenumerate(states):
        cell = nominal
        if spread is not None:
            memristor = design.network.memristor
            device = dataclasses.replace(memristor, kp=memristor.kp * float(spread.channel_gain[j, i]),
                                         transconductance=memristor.transconductance * float(spread.write_gain[j, i]))
            cell = Memristor(device, f"memristor_{j}_{i}")
            cell.add_to(circuit)
        circuit.X(f"cell_{j}_{i}", cell.name, f"column_{j}", f"input_{i}", f"phi_{j}", x0=float(state))


def winners(waves: Waveforms, design: SelfLearningCircuit, neurons: int, presentations: int) -> np.ndarray:
    """The neuron that fired first in each presentation of a transient (array of presentations), SILENT if none did."""
    outputs = waves.stack(names("output", neurons)) > design.network.neuron.output_high / 2
    found = np.full(presentations, SILENT)
    for k in range(presentations):
        start = design.schedule.start(k)
        low, high = np.searchsorted(waves.time, [start, start + design.schedule.pulse])
        fired = outputs[:, low:high]
        if fired.any():
            found[k] = np.argmax(fired[:, np.argmax(fired.any(axis=0))])
    return found
