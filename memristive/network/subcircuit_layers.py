"""Layers of differential pairs in ngspice whose cells are a SPICE model's subcircuit: reads, back-reads and writes.

A parameter sets a subcircuit's state at t = 0, and it cannot be altered in a loaded circuit. So a circuit lives as long as its
states, and one transient makes many reads, or all writes of a layer.

A crossbar without capacitances follows its rows at once. Its rows change only when the image comes and when neurons of the layer
below fire. So the crossbar shows the patterns of its rows one after the other, for a nanosecond each, which no state notices. The
drives that it gives then go to a circuit of the membranes alone, at the times of the changes.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.devices.channel import drawn_number
from memristive.devices.characterise import EDGE, Characterisation, characterise
from memristive.devices.measured_device import emulator
from memristive.devices.spice_model import SpiceModel
from memristive.network.layers import LayeredNetwork, with_bias
from memristive.network.netlists import column_nodes
from memristive.network.ngspice_layers import MEMBRANE_STEP, READING_LAYERS, ColumnDose
from memristive.network.parts import LayerPart, add_drives, driven_membranes
from memristive.network.setup import edges
from memristive.network.spike_decoding import first_spikes
from memristive.network.two_terminal import HALF, REST, DeviceArray, array_network
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


def model_states(network: LayeredNetwork, found: Characterisation) -> tuple[np.ndarray, ...]:
    """Return states of the characterised model that conduct as the cells of each layer do (columns x rows)."""
    emulated = emulator(found.device)
    return tuple(found.map.state(emulated.share(states)) for states in network.states)


def read_subcircuits(network: LayeredNetwork, model: SpiceModel, states: Sequence[np.ndarray],
                     images: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Read images; what a read moves is not kept.

    Closed access switches are left out, because a thousandth of the read voltage falls across them.

    Parameters
    ----------
    network : LayeredNetwork
        Layers of pairs; gives the neurons and the voltages, not the states.
    model : SpiceModel
    states : sequence of arrays, columns x rows with the bias
        States of the model in each layer.
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
    for layer, of_layer in enumerate(states):
        part = LayerPart(network.parameters, network.design, network.neuron(layer), network.sizes[layer + 1],
                         of_layer.shape[1], layer == len(states) - 1)
        together = np.vstack(patterns)
        drives = np.vstack([_drives(part, model, of_layer, together[k:k + BATCH]) for k in range(0, len(together), BATCH)])
        drives_of_images = np.split(drives, np.cumsum([len(shown) for shown in patterns])[:-1])
        times.append(_spikes(part, changes, drives_of_images))
        last = np.array([drive[-1] for drive in drives_of_images])
        settled.append(part.neuron.membrane_gain * last / part.neuron.threshold)
        fired = [np.unique(spikes[~np.isnan(spikes)]) for spikes in times[-1]]
        changes = [np.append(0.0, moments) for moments in fired]
        patterns = [with_bias(spikes <= moments[:, None]) for spikes, moments in zip(times[-1], changes, strict=True)]
    return times, settled


def _drives(part: LayerPart, model: SpiceModel, states: np.ndarray, patterns: np.ndarray) -> np.ndarray:
    """Return the neurons' drives in V (patterns x neurons) for levels of the rows (patterns x rows with the bias)."""
    used = np.flatnonzero(patterns.any(axis=0))
    circuit = Circuit("patterns")
    model.add_to(circuit)
    add_drives(circuit, dataclasses.replace(part, rows=len(used)))
    for k, row in enumerate(used):
        _add_steps(circuit, f"row_0_{k}", part.design.row_voltage * patterns[:, row])
    for c, node in enumerate(column_nodes(part.design, 0, part.neurons)):
        for k, row in enumerate(used):
            model.add_cell(circuit, f"cell_0_{c}_{k}", f"row_0_{k}", node, float(states[c, row]))
    return _shown(circuit, names("drive_0", part.neurons), len(patterns))


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


def read_back_subcircuits(network: LayeredNetwork, model: SpiceModel, layer: int, states: np.ndarray,
                          errors: np.ndarray) -> np.ndarray:
    """Return what `LayeredNetwork.read_back` computes, from the row currents of the subcircuits at `states`.

    Positive and negative errors are read one after the other. So each device sees the polarity of a read, because many devices
    conduct differently in reverse.
    """
    volts = network.design.column_voltage(layer == len(network.states) - 1)
    circuit = Circuit("back-read")
    model.add_to(circuit)
    for c, error in enumerate(network.design.column_errors(errors).tolist()):
        _add_steps(circuit, f"column_0_{c}", -volts * np.maximum([error, -error], 0.0))
    rows = states.shape[1] - 1
    for k in range(rows):
        circuit.V(f"row_0_{k}", f"row_0_{k}", circuit.gnd, 0)
        for c in range(len(states)):
            model.add_cell(circuit, f"cell_0_{c}_{k}", f"row_0_{k}", f"column_0_{c}", float(states[c, k]))
    positive, negative = -_shown(circuit, [f"i(vrow_0_{k})" for k in range(rows)], 2)
    return (positive - negative) / (network.parameters.memristor.gain * volts * network.design.pairs)


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


class ModelCircuits:
    """Reads, back-reads and writes for a training in ngspice, with a SPICE model's subcircuit in every cell.

    Parameters
    ----------
    model : SpiceModel
    scheme : str
        One of `two_terminal.SCHEMES`.
    """

    def __init__(self, model: SpiceModel, scheme: str) -> None:
        self._model, self._found = model, characterise(model)
        self._array, self._emulated = DeviceArray(model, self._found.device, scheme), emulator(self._found.device)

    def read(self, network: LayeredNetwork, image: np.ndarray, label: int,
             rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return first spikes in s and settled membranes in thresholds of each layer; models have no noise to draw."""
        times, settled = read_subcircuits(network, self._model, model_states(network, self._found), image[None])
        return [layer[0] for layer in times], [layer[0] for layer in settled]

    def read_back(self, network: LayeredNetwork, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the back-read of the neurons below `layer`."""
        return read_back_subcircuits(network, self._model, layer, model_states(network, self._found)[layer], errors)

    def write(self, network: LayeredNetwork, layer: int, doses: Sequence[ColumnDose], rng: np.random.Generator) -> np.ndarray:
        """Return the layer's states in V after pulses, whose numbers are drawn as the closed form draws them."""
        pulses = network.pulses
        assert pulses
        writes = [Write(column, dose > 0, np.array([drawn_number(share * abs(dose) / pulses.step, bool(pulses.whole), rng)
                                                    for share in shares.tolist()])) for column, dose, shares in doses]
        written = write_columns(self._array, model_states(network, self._found)[layer], writes)
        return np.asarray(self._emulated.state(self._found.map.share(written)))
