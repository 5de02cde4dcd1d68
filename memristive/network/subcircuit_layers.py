"""Layers in ngspice whose cells are a SPICE model's subcircuit: reads, back-reads and writes.

A parameter sets a subcircuit's state at t = 0, and it cannot be altered in a loaded circuit. So a circuit lives as long as its
states, and one transient makes many reads, or all writes of a layer.

A crossbar without capacitances follows its rows at once. Its rows change only when the image comes and when neurons of the layer
below fire. So the crossbar shows the patterns of its rows one after the other, for a nanosecond each, which no state notices. The
drives that it gives then go to a circuit of the membranes alone, at the times of the changes.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PySpice.Spice.Netlist import Circuit

from memristive.devices.channel import drawn_number
from memristive.devices.characterise import EDGE, characterise
from memristive.devices.measured_device import emulator
from memristive.devices.spice_model import SpiceModel
from memristive.network.layers import LayeredNetwork, with_bias
from memristive.network.netlists import LayerDesign, column_nodes
from memristive.network.ngspice_layers import MEMBRANE_STEP, READING_LAYERS, ColumnDose
from memristive.network.parts import LayerPart, add_drives, driven_membranes
from memristive.network.setup import edges
from memristive.network.spike_decoding import first_spikes
from memristive.network.two_terminal import HALF, ONE_TRANSISTOR, REST, DeviceArray, array_network
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import NeuronParameters, Points, names

BATCH = 50  # patterns of a transient
PATTERN = 1e-9  # s: while a crossbar shows one pattern
STEP = 1e-9  # s: edge of a drive when a row steps up
MEMBRANES = dataclasses.replace(READING_LAYERS, max_step=MEMBRANE_STEP * READING_LAYERS.max_step, trtol=1e6)
# One or two time points in each pattern: only max_step governs. Gear, because the trapezoidal rule rings on the currents that
# hold a state within its bounds.
CROSSBAR = Solver(max_step=PATTERN / 2, reltol=1e-5, trtol=1e6, chgtol=1e-18, abstol=1e-15, method="gear")


class Write(NamedTuple):
    """Write of one column: its direction, and the number of pulses of each row."""

    column: int
    up: bool
    numbers: np.ndarray


class ModelCells:
    """SPICE model in the cells of a network: reads, back-reads and writes in ngspice, also for trainings.

    A network's states are X of the emulator of the model's measured curves. Its cell gets the model's state that conducts alike.

    Parameters
    ----------
    model : SpiceModel
    scheme : str
        One of `two_terminal.SCHEMES`, for writes. Reads leave out closed access switches, because only a thousandth of the read
        voltage falls across them.
    """

    def __init__(self, model: SpiceModel, scheme: str = ONE_TRANSISTOR) -> None:
        self.model, self.found = model, characterise(model)
        self.device = self.found.device
        self._array, self._emulated = DeviceArray(model, self.device, scheme), emulator(self.device)

    def states(self, emulated: ArrayLike) -> np.ndarray:
        """Return the model's states (any shape) for X in V."""
        return self.found.map.state(self._emulated.share(emulated))

    def written(self, emulated: np.ndarray, writes: Sequence[Write]) -> np.ndarray:
        """Return the states X in V (columns x rows) of a crossbar after writes one after the other. Raises SimulationError."""
        states = write_columns(self._array, self.states(emulated), writes)
        return np.asarray(self._emulated.state(self.found.map.share(states)))

    def read_images(self, network: LayeredNetwork, images: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Read images; what a read moves is not kept.

        Parameters
        ----------
        network : LayeredNetwork
        images : array, n x inputs, levels 0 to 1

        Returns
        -------
        times : list of arrays, n x neurons, s
            First spikes of each layer; nan for a neuron that is silent within the window.
        settled : list of arrays, n x neurons
            Membranes in thresholds, if all rows that are high at the end of the read stay high.

        Raises
        ------
        SimulationError
            ngspice cannot complete a transient.
        """
        changes, patterns, times, settled = [np.zeros(1)] * len(images), list(with_bias(images)[:, None]), [], []
        for layer, states in enumerate(network.states):
            part = LayerPart(network.parameters, network.design, network.neuron(layer), network.sizes[layer + 1],
                             states.shape[1], layer == len(network.states) - 1)
            together = np.vstack(patterns)
            drives = [self._drives(part, states, together[k:k + BATCH]) for k in range(0, len(together), BATCH)]
            of_images = np.split(np.vstack(drives), np.cumsum([len(shown) for shown in patterns])[:-1])
            times.append(_spikes(part, changes, of_images))
            settled.append(part.neuron.membrane_gain * np.array([shown[-1] for shown in of_images]) / part.neuron.threshold)
            changes = [np.append(0.0, np.unique(spikes[~np.isnan(spikes)])) for spikes in times[-1]]
            patterns = [with_bias(spikes <= moments[:, None]) for spikes, moments in zip(times[-1], changes, strict=True)]
        return times, settled

    def read(self, network: LayeredNetwork, image: np.ndarray, label: int,
             rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return first spikes in s and settled membranes in thresholds of each layer; a model has no noise."""
        times, settled = self.read_images(network, image[None])
        return [layer[0] for layer in times], [layer[0] for layer in settled]

    def read_back(self, network: LayeredNetwork, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return what `LayeredNetwork.read_back` computes, from the currents of the rows.

        Positive and negative errors are read one after the other. So each device sees the polarity of a read, because many
        devices conduct differently in reverse.
        """
        design, states = network.design, network.states[layer]
        volts, rows = design.column_voltage(layer == len(network.states) - 1), states.shape[1] - 1
        circuit, errors_of_columns = Circuit("back-read"), design.column_errors(errors)
        self.model.add_to(circuit)
        for c, error in enumerate(errors_of_columns.tolist()):
            _add_steps(circuit, f"column_0_{c}", -volts * np.maximum([error, -error], 0.0))
        for k in range(rows):
            circuit.V(f"row_0_{k}", f"row_0_{k}", circuit.gnd, 0)
        self._add_cells(circuit, design, states, names("column_0", len(errors_of_columns)), range(rows))
        positive, negative = -_shown(circuit, [f"i(vrow_0_{k})" for k in range(rows)], 2)
        return (positive - negative) / (network.parameters.memristor.gain * volts * max(1, design.pairs))

    def write(self, network: LayeredNetwork, layer: int, doses: Sequence[ColumnDose], rng: np.random.Generator) -> np.ndarray:
        """Return the layer's states in V after pulses, whose numbers are drawn as the closed form draws them."""
        pulses = network.pulses
        assert pulses
        return self.written(network.states[layer], [
            Write(column, dose > 0, np.array([drawn_number(share * abs(dose) / pulses.step, bool(pulses.whole), rng)
                                              for share in shares.tolist()])) for column, dose, shares in doses])

    def _drives(self, part: LayerPart, states: np.ndarray, patterns: np.ndarray) -> np.ndarray:
        """Return the neurons' drives in V (patterns x neurons) for levels of the rows (patterns x rows with the bias)."""
        used = np.flatnonzero(patterns.any(axis=0))
        circuit = Circuit("patterns")
        self.model.add_to(circuit)
        add_drives(circuit, dataclasses.replace(part, rows=len(used)))
        for k, row in enumerate(used):
            _add_steps(circuit, f"row_0_{k}", part.design.row_voltage * patterns[:, row])
        self._add_cells(circuit, part.design, states, column_nodes(part.design, 0, part.neurons), used)
        return _shown(circuit, names("drive_0", part.neurons), len(patterns))

    def _add_cells(self, circuit: Circuit, design: LayerDesign, states: np.ndarray, columns: Sequence[str],
                   rows: Iterable[int]) -> None:
        """Add the cells of some `rows`, which become rows 0, 1, ... of the circuit; a reference column comes last."""
        reference = np.full((len(columns) - len(states), states.shape[1]), design.reference_state)
        of_model = self.states(np.vstack([states, reference]))
        for (c, node), (k, row) in itertools.product(enumerate(columns), enumerate(rows)):
            self.model.add_cell(circuit, f"cell_0_{c}_{k}", f"row_0_{k}", node, float(of_model[c, row]))


def _add_steps(circuit: Circuit, node: str, volts: np.ndarray) -> None:
    """Add a source that holds each of the `volts` for `PATTERN`; at the corners of a PWL source ngspice would cut its steps."""
    times = PATTERN * (np.arange(len(volts))[:, None] + [0.1, 0.9]).ravel()
    table = ",".join(map(repr, np.stack([times, np.repeat(volts, 2)], axis=1).ravel().tolist()))
    circuit.B(node, node, circuit.gnd, voltage_expression=f"pwl(time,{table})")


def _shown(circuit: Circuit, vectors: Sequence[str], count: int) -> np.ndarray:
    """Return the vectors (patterns x vectors) of a circuit that shows `count` patterns."""
    loaded = NgspiceSession().load(circuit, CROSSBAR, vectors)
    try:
        waves = loaded.run(count * PATTERN)
        middle = PATTERN * (np.arange(count) + 0.5)
        nearest = np.abs(waves.time[:, None] - middle).argmin(axis=0)  # within a quarter of a pattern
        return waves.stack(vectors)[:, nearest].T
    finally:
        loaded.unload()


def _spikes(part: LayerPart, changes: Sequence[np.ndarray], drives: Sequence[np.ndarray]) -> np.ndarray:
    """Return the first spikes in s (images x neurons) for each image's `drives` in V (patterns x neurons).

    A pattern begins at its time of the image's `changes` in s. The first one rises with the image's edge.
    """
    membranes, rise, found = names("membrane_0", part.neurons), part.design.rise, []
    loaded = NgspiceSession().load(driven_membranes(part), MEMBRANES, membranes)
    try:
        for moments, volts in zip(changes, drives, strict=True):
            time = np.unique(np.concatenate([[0.0, rise], moments[1:], moments[1:] + STEP]).round(12))
            stepped = np.clip((time[:, None] - moments[1:]) / STEP, 0.0, 1.0) @ np.diff(volts, axis=0)
            levels = np.minimum(time / rise, 1.0)[:, None] * volts[0] + stepped
            loaded.alter({f"vdrive_0_{j} pwl": np.stack([time, level], axis=1).ravel().tolist()
                          for j, level in enumerate(levels.T)})
            waves = loaded.run(part.design.window)
            found.append(first_spikes(waves.time, waves.stack(membranes), None, part.neuron, 0.0, part.design.window))
    finally:
        loaded.unload()
    return np.array(found)


def write_columns(array: DeviceArray, states: np.ndarray, writes: Sequence[Write]) -> np.ndarray:
    """Return the states (columns x rows) of a crossbar after writes one after the other, in one transient.

    The pulses of a row are joined to one, and the written column is selected for the longest of these. Raises SimulationError.
    """
    rows: list[Points] = [[(0.0, 0.0)] for _ in states.T]
    controls: list[Points] = [[(0.0, 0.0)] for _ in states]
    time, model = 0.0, array.model
    for column, up, numbers in writes:
        numbers = np.where(numbers > 2 * EDGE, numbers, 0.0)  # shorter pulses would be all edge
        if not numbers.any():  # a selected column without rows would only disturb
            continue
        volts, width = array.row_voltage(up), model.width_up if up else model.width_down
        phi = volts / array.row_voltage() if array.scheme == HALF else 1.0
        begin = time + REST * width / 2
        driven = [(rows[i], volts, numbers[i]) for i in np.flatnonzero(numbers)]
        for points, level, count in [*driven, (controls[column], phi, numbers.max())]:
            points += edges(begin, count * width, EDGE * width, level)
        time = begin + (numbers.max() + REST / 2) * width
    if not time:
        return states
    circuit = array_network(array, NeuronParameters(), states, rows, controls, 1.0, neurons=False, title="writes of columns")
    vectors = array.state_names(*states.shape)
    loaded = NgspiceSession().load(circuit, array.writing(5 * min(model.width_up, model.width_down)), vectors)
    try:
        return loaded.run(time).stack(vectors)[:, -1].reshape(states.shape)
    finally:
        loaded.unload()
