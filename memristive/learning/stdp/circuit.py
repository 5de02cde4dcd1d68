"""Crossbar that learns without a teacher, by spike-timing-dependent plasticity (STDP): netlist and transient.

Three additions to the network close the loop. A neuron's output opens the phi of its own column. A neuron that has fired
shunts the membranes of all others until the input ends (inhibition). A homeostatic voltage grows while a neuron fires, leaks
at all times, and raises the threshold of this neuron. The leak of the emulator makes the weights an average of the images that
the neuron won (closed_form.py).

Nodes: input_i, column_j, membrane_j, output_j, phi_j, homeostasis_j, threshold_j, fired (the sum of all outputs in V), and
xcell_j_i.gate, the state of cell (neuron j, input i).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.learning.hebbian import Watch
from memristive.network.setup import Schedule, Setup, check_levels
from memristive.network.spike_decoding import SILENT
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristive.spice.session import Solver, Waveforms, run_once
from memristor import Memristor, MemristorParameters
from snn_circuit import NeuronParameters, add_neuron, cell_arguments, names, neuron_arguments, state_names

# Tighter tolerances change no winner; looser ones lose gate charge.
LEARNING = Solver(max_step=200e-6, reltol=1e-4, trtol=20.0, method="trap")


@dataclass(frozen=True)
class SelfLearningParameters(Parameters):
    """Inhibition and homeostasis: the elements between a neuron's output, the other neurons and its threshold."""

    inhibition_threshold: float = quantity(0.5, 1e-3, 100.0, "V", "sum of the other outputs above which a membrane is shunted")
    inhibition_resistance: float = quantity(1e-3, 1e-9, 1e3, "ohm", "closed shunt across a membrane")
    homeostasis_current: float = quantity(0.5e-6, 0.0, 1.0, "A", "charges a neuron's homeostatic capacitor while it fires")
    homeostasis_capacitance: float = quantity(1e-9, 1e-15, 1.0, "F", "its voltage is added to the neuron's threshold")
    homeostasis_resistance: float = quantity(320e6, 1.0, 1e15, "ohm", "leak of the homeostatic capacitor")

    @property
    def homeostasis_rate(self) -> float:
        """Growth of the threshold while the neuron fires, in V/s."""
        return self.homeostasis_current / self.homeostasis_capacitance

    @property
    def homeostasis_time_constant(self) -> float:
        """Time constant in s with which a raised threshold falls back."""
        return self.homeostasis_resistance * self.homeostasis_capacitance


@dataclass(frozen=True)
class SelfLearningSetup(Setup):
    """Device, neuron, pulses, inhibition and homeostasis of a crossbar that learns by itself; the defaults suit XPUE.

    Parameters
    ----------
    memristor, neuron, schedule, devices
        As in `Setup`. The leak makes a cell forget while it is written: X tends to K R_leak V, 5 V for each V of its input.
    learning : SelfLearningParameters

    Raises
    ------
    ParameterError
        A cell forgets within one pulse, or no output reaches the inhibition's threshold: nothing could be learned.
    """

    memristor: MemristorParameters = MemristorParameters(leak_resistance=1e9)
    neuron: NeuronParameters = NeuronParameters(feedback_resistance=5e3)
    schedule: Schedule = Schedule(pulse=0.6e-3, period=3e-3)
    learning: SelfLearningParameters = SelfLearningParameters()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.memristor.write_time_constant > self.schedule.pulse:
            raise ParameterError(f"leak_resistance of {self.memristor.leak_resistance:g} ohm forgets within a pulse: its time "
                                 f"constant is {self.memristor.write_time_constant:.3g} s, the pulse {self.schedule.pulse:g} s")
        if not self.learning.inhibition_threshold < self.neuron.output_high:
            raise ParameterError("inhibition_threshold must be below output_high, or no neuron inhibits another, got "
                                 f"{self.learning.inhibition_threshold:g} V for {self.neuron.output_high:g} V")


def self_learning_network(setup: SelfLearningSetup, states: np.ndarray, images: np.ndarray | Sequence[np.ndarray],
                          homeostasis: np.ndarray | None = None) -> Circuit:
    """Return the netlist that presents one image in each period; membranes start at 0 V.

    Parameters
    ----------
    setup : SelfLearningSetup
        Devices may differ from cell to cell; resistances of wires are left out.
    states : array, neurons x inputs, V
        X of the cells at t = 0.
    images : array, presentations x inputs
        Levels from 0 to 1.
    homeostasis : array, neurons, V, optional
        Homeostatic voltages at t = 0, by default 0.

    Raises
    ------
    ParameterError
        The images do not fit the states, or a level is outside 0 to 1.
    """
    neurons, inputs = np.shape(states)
    check_levels("images", np.asarray(images), inputs)
    devices, schedule = setup.devices, setup.schedule
    circuit = Circuit("crossbar that learns by itself: STDP without a teacher")
    cell = Memristor(setup.memristor, per_instance=devices.cells is not None)
    cell.add_to(circuit)
    add_neuron(circuit, setup.neuron, per_instance=devices.neurons is not None)
    circuit.model("inhibition", "sw", vt=setup.learning.inhibition_threshold, vh=0,
                  ron=setup.learning.inhibition_resistance, roff=1e12)
    circuit.R("fired", "fired", circuit.gnd, 1.0)
    for i, levels in enumerate(np.transpose(images)):
        circuit.PieceWiseLinearVoltageSource(f"input_{i}", f"input_{i}", circuit.gnd,
                                             values=schedule.train(schedule.input_voltage * levels))
    cell_values, neuron_values = cell_arguments(setup.network, devices.cells, True), neuron_arguments(devices.neurons)
    for j in range(neurons):
        circuit.X(f"neuron_{j}", "lapicque_neuron", f"column_{j}", f"threshold_{j}", f"membrane_{j}", f"output_{j}",
                  **neuron_values(j))
        _add_feedback(circuit, setup, j, 0.0 if homeostasis is None else float(homeostasis[j]))
        for i in range(inputs):
            circuit.X(f"cell_{j}_{i}", cell.name, f"column_{j}", f"input_{i}", f"phi_{j}", x0=float(states[j][i]),
                      **cell_values(j, i))
    return circuit


def _add_feedback(circuit: Circuit, setup: SelfLearningSetup, j: int, start: float) -> None:
    """Connect output j with its phi, the inhibition of the other neurons, and its homeostatic voltage (`start` V at t = 0).

    The homeostatic voltage enters the neuron where a negative column would, divided by the gain that follows. The membrane
    then settles, and rests, lower by this voltage, which has the same effect on its crossing as a higher threshold.
    """
    high, learning = setup.neuron.output_high, setup.learning
    output, homeostasis = f"output_{j}", f"homeostasis_{j}"
    circuit.VCVS(f"phi_{j}", f"phi_{j}", circuit.gnd, output, circuit.gnd, voltage_gain=setup.schedule.phi_voltage / high)
    circuit.VCCS(f"fired_{j}", circuit.gnd, "fired", output, circuit.gnd, transconductance=1.0)
    circuit.S(f"inhibit_{j}", f"membrane_{j}", circuit.gnd, "fired", output, model="inhibition")
    circuit.VCCS(homeostasis, circuit.gnd, homeostasis, output, circuit.gnd,
                 transconductance=learning.homeostasis_current / high)
    circuit.C(homeostasis, homeostasis, circuit.gnd, learning.homeostasis_capacitance, raw_spice=f"ic={start!r}")
    circuit.R(homeostasis, homeostasis, circuit.gnd, learning.homeostasis_resistance)
    circuit.VCVS(f"threshold_{j}", f"threshold_{j}", circuit.gnd, homeostasis, circuit.gnd,
                 voltage_gain=1 / setup.neuron.membrane_gain)


def winners(waves: Waveforms, setup: SelfLearningSetup, neurons: int, presentations: int) -> np.ndarray:
    """Return the number of the neuron that fired first in each presentation of a transient; SILENT if none fired."""
    outputs = waves.stack(names("output", neurons)) > setup.neuron.output_high / 2
    found = np.full(presentations, SILENT)
    for k in range(presentations):
        start = setup.schedule.start(k)
        low, high = np.searchsorted(waves.time, [start, start + setup.schedule.pulse])
        fired = outputs[:, low:high]
        if fired.any():
            found[k] = np.argmax(fired[:, np.argmax(fired.any(axis=0))])
    return found


def simulate(setup: SelfLearningSetup, states: np.ndarray, images: np.ndarray, parts: int = 1,
             watch: Watch = lambda waves: waves) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Present images one after the other in one ngspice transient, in which the circuit learns by itself.

    Parameters
    ----------
    setup, states, images
        As in `self_learning_network`.
    parts : int
        Number of parts of the transient that `watch` counts.
    watch : callable
        Wraps the iterator over the parts, e.g. with a progress bar.

    Returns
    -------
    winners : array, presentations
        Neuron that fired first; SILENT if none fired.
    states : array, (1 + presentations) x neurons x inputs, V
        X before each presentation and at the end.
    homeostasis : array, (1 + presentations) x neurons, V
        Homeostatic voltages at the same times.

    Raises
    ------
    SimulationError
        ngspice cannot complete the transient.
    """
    (neurons, inputs), schedule, stop = states.shape, setup.schedule, setup.schedule.stop(len(images))
    gates, voltages = state_names(neurons, inputs), names("homeostasis", neurons)
    waves = run_once(self_learning_network(setup, states, images), LEARNING, gates + voltages + names("output", neurons), stop,
                     pauses=np.linspace(0, stop, parts + 1)[1:-1], watch=watch)
    times = schedule.period * np.arange(len(images) + 1)
    at_times = [np.array([np.interp(times, waves.time, waves[name]) for name in kind]).T for kind in (gates, voltages)]
    return winners(waves, setup, neurons, len(images)), at_times[0].reshape(-1, neurons, inputs), at_times[1]
