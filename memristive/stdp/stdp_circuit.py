"""A crossbar that learns by itself, as one netlist: STDP without a teacher, closed through three additions to the network.

Each neuron's own output opens its column's phi; a neuron that has fired shunts the membranes of all others until the input
ends; and a homeostatic voltage that grows while the neuron fires, and leaks, raises its threshold. The emulator's leak
makes the write an average of the images for which the neuron fired first (memristive/stdp/stdp_closed_form.py). Nothing runs here.

Nodes: input_i, column_j, membrane_j, output_j, phi_j, homeostasis_j, threshold_j, fired (the sum of all outputs in V), and
xcell_j_i.gate, the state of cell (neuron j, input i).
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.single_layer.operating_range import rail
from memristive.single_layer.pulses import Schedule
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristive.spice.session import Solver, Waveforms
from memristive.variability.chip import Chip
from memristor import Memristor, check_phi
from snn_circuit import Devices, NetworkParameters, add_neuron, cell_arguments, names, neuron_arguments

# Tighter tolerances move no winner (docs/stdp.md); looser ones lose gate charge.
LEARNING = Solver(max_step=200e-6, reltol=1e-4, trtol=20.0, method="trap")
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
            raise ParameterError(f"leak_resistance of {memristor.leak_resistance:g} ohm forgets within a pulse: its time "
                                 f"constant of {self.write_time_constant:.3g} s must exceed the pulse of {pulse:g} s")
        if not self.learning.inhibition_threshold < neuron.output_high:
            raise ParameterError("inhibition_threshold must be below output_high, or no neuron holds the others down, got "
                                 f"{self.learning.inhibition_threshold:g} V for {neuron.output_high:g} V")

    @property
    def write_time_constant(self) -> float:
        """R_leak (C + C_gate) in s: how fast a cell that is written forgets."""
        return self.network.memristor.write_time_constant

    @property
    def sure_inhibition(self) -> float:
        """Shunts of less, in ohm, hold a membrane below its threshold even where its stages are at their rails."""
        neuron = self.network.neuron
        return neuron.threshold / max(rail(neuron) - neuron.threshold, 1e-30) * neuron.membrane_resistance

    @property
    def target(self) -> float:
        """K R_leak in V per V of the input: what a cell that is written for ever tends to."""
        return self.network.memristor.transconductance * self.network.memristor.leak_resistance

    def as_dict(self) -> dict:
        """The parameters as plain nested numbers."""
        return dataclasses.asdict(self)

SPREADS = ("cell_gain", "cell_threshold", "cell_write_gain", "cell_capacitance", "neuron_threshold", "neuron_gain",
           "neuron_time_constant")  # of a chip's deviations, those that the circuit knows


def self_learning_network(design: SelfLearningCircuit, states: np.ndarray, images: np.ndarray,
                          homeostasis: np.ndarray | None = None, chip: Chip | None = None) -> Circuit:
    """Netlist that presents `images` (presentations x inputs, levels 0 to 1), one a period; return a PySpice `Circuit`.

    `states`: the cells' X at t = 0, neurons x inputs, in V; `homeostasis`: the homeostatic voltages at t = 0 in V (default 0);
    membranes start at 0 V. `chip`: whose devices differ. Raises ParameterError for shapes that do not fit, and for what it does
    not do: cells that are stuck or forget, noise, wires that resist.
    """
    neurons, inputs = np.shape(states)
    if not len(images):
        raise ParameterError("a circuit that learns needs at least one image, got none")
    if np.ndim(images) != 2 or np.shape(images)[1] != inputs:
        raise ParameterError(f"{neurons} x {inputs} states need images of {inputs} pixels, got {np.shape(images)[1:]}")
    if chip is not None:
        chip.check_shape(neurons, inputs)
        other = [name for name in chip.deviations if name not in SPREADS]
        if other:
            raise ParameterError(f"a circuit that learns by itself knows a chip's spreads, not its {', '.join(other)}")
    devices = chip.devices(design.network) if chip else Devices()
    circuit = Circuit("crossbar that learns by itself: STDP without a teacher")
    cell = Memristor(design.network.memristor, own=devices.cells is not None)
    cell.add_to(circuit)
    add_neuron(circuit, design.network.neuron, own=devices.neurons is not None)
    circuit.model("inhibition", "sw", vt=design.learning.inhibition_threshold, vh=0,
                  ron=design.learning.inhibition_resistance, roff=1e12)
    circuit.R("fired", "fired", circuit.gnd, 1.0)
    for i, levels in enumerate(np.transpose(images)):
        points = design.schedule.train(design.schedule.input_voltage * levels)
        circuit.PieceWiseLinearVoltageSource(f"input_{i}", f"input_{i}", circuit.gnd, values=points)
    own_cells, own_neurons = cell_arguments(design.network, devices.cells, True), neuron_arguments(devices.neurons)
    for j in range(neurons):
        circuit.X(f"neuron_{j}", "lapicque_neuron", f"column_{j}", f"threshold_{j}", f"membrane_{j}", f"output_{j}",
                  **own_neurons(j))
        _close_the_loop(circuit, design, j, 0.0 if homeostasis is None else float(homeostasis[j]))
        for i in range(inputs):
            circuit.X(f"cell_{j}_{i}", cell.name, f"column_{j}", f"input_{i}", f"phi_{j}", x0=float(states[j][i]),
                      **own_cells(j, i))
    return circuit


def _close_the_loop(circuit: Circuit, design: SelfLearningCircuit, j: int, start: float) -> None:
    """From output j to its phi, to its inhibition of the others, and to its homeostatic voltage, at first `start` V.

    The threshold's rise enters the neuron where a negative column would, divided by what follows: the membrane settles, and
    rests, that much lower, which moves its crossing exactly as a threshold that much higher would.
    """
    neuron, learning = design.network.neuron, design.learning
    high = neuron.output_high
    output, homeostasis = f"output_{j}", f"homeostasis_{j}"
    circuit.VCVS(f"phi_{j}", f"phi_{j}", circuit.gnd, output, circuit.gnd, voltage_gain=design.schedule.phi_voltage / high)
    circuit.VCCS(f"fired_{j}", circuit.gnd, "fired", output, circuit.gnd, transconductance=1.0)
    circuit.S(f"inhibit_{j}", f"membrane_{j}", circuit.gnd, "fired", output, model="inhibition")
    circuit.VCCS(homeostasis, circuit.gnd, homeostasis, output, circuit.gnd,
                 transconductance=learning.homeostasis_current / high)
    circuit.C(homeostasis, homeostasis, circuit.gnd, learning.homeostasis_capacitance, raw_spice=f"ic={start!r}")
    circuit.R(homeostasis, homeostasis, circuit.gnd, learning.homeostasis_resistance)
    circuit.VCVS(f"threshold_{j}", f"threshold_{j}", circuit.gnd, homeostasis, circuit.gnd, voltage_gain=1 / neuron.membrane_gain)


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
