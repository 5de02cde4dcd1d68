"""Layers in ngspice whose cells are a SPICE model's subcircuit: reads, back-reads and writes.

A parameter sets a subcircuit's state at t = 0, and it cannot be altered in a loaded circuit. So a circuit lives as long as its
states, and one transient makes many reads, or all writes of a layer.

A crossbar without capacitances follows its rows at once. Its rows change only when the image comes and when neurons of the layer
below fire. So the crossbar shows the patterns of its rows one after the other, for a nanosecond each, which no state notices. The
drives that it gives then go to a circuit of the membranes alone, at the times of the changes.
"""

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
from memristive.network.engines import NgspiceNetwork
from memristive.network.layer import Layer, add_drives, column_nodes
from memristive.network.networks import Network, with_bias
from memristive.network.ngspice_layer import ColumnDose, NgspiceLayer
from memristive.network.setup import edges
from memristive.network.two_terminal import HALF, ONE_TRANSISTOR, REST, DeviceArray, array_network
from memristive.spice.session import Solver, run_once
from snn_circuit import NeuronParameters, Points, names

BATCH = 50  # patterns of a transient
PATTERN = 1e-9  # s: while a crossbar shows one pattern
STEP = 1e-9  # s: edge of a drive when a row steps up
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
        self.array, self._emulated = DeviceArray(model, self.device, scheme), emulator(self.device)

    def states(self, emulated: ArrayLike) -> np.ndarray:
        """Return the model's states (any shape) for X in V."""
        return self.found.map.state(self._emulated.share(emulated))

    def layer(self, layer: Layer) -> "SubcircuitLayer":
        """Return a layer of these cells."""
        return SubcircuitLayer(self, layer)

    def read_images(self, network: Network, images: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return first spikes in s and settled membranes in thresholds (n x neurons) of each layer, of reads of n `images`."""
        return NgspiceNetwork(network, cells=self).forward(network, images)

    def written(self, emulated: np.ndarray, writes: Sequence[Write]) -> np.ndarray:
        """Return the states X in V (columns x rows) of a crossbar after writes one after the other. Raises SimulationError."""
        states = write_columns(self.array, self.states(emulated), writes)
        return np.asarray(self._emulated.state(self.found.map.share(states)))


class SubcircuitLayer:
    """One layer whose cells are a SPICE model: methods as those of `ngspice_layer.NgspiceLayer`; what a read moves is not kept.

    Reads take one image or many, ... x inputs.
    """

    def __init__(self, cells: ModelCells, layer: Layer) -> None:
        self._cells, self._layer, self._membranes = cells, layer, NgspiceLayer(layer)

    def read(self, states: np.ndarray, levels: np.ndarray, wanted: int = 0, stop: float | None = None,
             noise: None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return first spikes in s and settled membranes in thresholds (... x neurons); every read lasts for the window."""
        rows = list(self._with_bias(np.atleast_2d(levels))[:, None])
        return self._race(states, [np.zeros(1)] * len(rows), rows, levels.shape[:-1])

    def read_steps(self, states: np.ndarray, spikes: np.ndarray, stop: float | None = None,
                   noise: None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return what `read` returns, while rows step up at `spikes` (... x inputs, s; nan: never)."""
        every = np.atleast_2d(spikes)
        changes = [np.append(0.0, np.unique(times[~np.isnan(times)])) for times in every]
        patterns = [self._with_bias(times <= moments[:, None]) for times, moments in zip(every, changes, strict=True)]
        return self._race(states, changes, patterns, spikes.shape[:-1])

    def _race(self, states: np.ndarray, changes: Sequence[np.ndarray], patterns: Sequence[np.ndarray],
              shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        layer, together, found = self._layer, np.vstack(patterns), []
        drives = np.vstack([self._drives(states, together[k:k + BATCH]) for k in range(0, len(together), BATCH)])
        of_images = np.split(drives, np.cumsum([len(shown) for shown in patterns])[:-1])
        for moments, volts in zip(changes, of_images, strict=True):
            # A pattern begins at its time of the image's `changes`. The first one rises with the image's edge.
            time = np.unique(np.concatenate([[0.0, layer.rise], moments[1:], moments[1:] + STEP]).round(12))
            stepped = np.clip((time[:, None] - moments[1:]) / STEP, 0.0, 1.0) @ np.diff(volts, axis=0)
            rising = np.minimum(time / layer.rise, 1.0)[:, None] * volts[0]
            found.append(self._membranes.race(time, (rising + stepped).T, layer.window))
        self._membranes.unload()
        last = layer.neuron.membrane_gain * np.array([volts[-1] for volts in of_images]) / layer.neuron.threshold
        return np.reshape(found, (*shape, -1)), last.reshape(*shape, -1)

    def _with_bias(self, levels: np.ndarray) -> np.ndarray:
        return levels if self._layer.bias is None else with_bias(levels)

    def read_back(self, states: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Return what `NgspiceLayer.read_back` does, from the currents of the rows.

        Positive and negative errors are read one after the other. So each device sees the polarity of a read, because many
        devices conduct differently in reverse.
        """
        layer, circuit, errors_of_columns = self._layer, Circuit("back-read"), self._layer.column_errors(errors)
        self._cells.model.add_to(circuit)
        for c, error in enumerate(errors_of_columns.tolist()):
            _add_steps(circuit, f"column_0_{c}", -layer.back_voltage * np.maximum([error, -error], 0.0))
        for k in range(layer.inputs):
            circuit.V(f"row_0_{k}", f"row_0_{k}", circuit.gnd, 0)
        self._add_cells(circuit, states, names("column_0", len(errors_of_columns)), range(layer.inputs))
        positive, negative = -_shown(circuit, [f"i(vrow_0_{k})" for k in range(layer.inputs)], 2)
        return (positive - negative) / (layer.memristor.gain * layer.back_voltage * max(1, layer.pairs))

    def write(self, states: np.ndarray, doses: Sequence[ColumnDose], rng: np.random.Generator) -> np.ndarray:
        """Return the layer's states in V after pulses, whose numbers are drawn as the closed form draws them."""
        pulses = self._layer.pulses
        assert pulses
        return self._cells.written(states, [
            Write(column, dose > 0, np.array([drawn_number(share * abs(dose) / pulses.step, bool(pulses.whole), rng)
                                              for share in shares.tolist()])) for column, dose, shares, _ in doses])

    def _drives(self, states: np.ndarray, patterns: np.ndarray) -> np.ndarray:
        """Return the neurons' drives in V (patterns x neurons) for levels of the rows (patterns x rows with the bias)."""
        used, layer = np.flatnonzero(patterns.any(axis=0)), self._layer
        circuit = Circuit("patterns")
        self._cells.model.add_to(circuit)
        add_drives(circuit, layer, layer.neurons, len(used))
        for k, row in enumerate(used):
            _add_steps(circuit, f"row_0_{k}", layer.row_voltage * patterns[:, row])
        self._add_cells(circuit, states, column_nodes(layer, 0, layer.neurons), used)
        return _shown(circuit, names("drive_0", layer.neurons), len(patterns))

    def _add_cells(self, circuit: Circuit, states: np.ndarray, columns: Sequence[str], rows: Iterable[int]) -> None:
        """Add the cells of some `rows`, which become rows 0, 1, ... of the circuit; a reference column comes last."""
        reference = np.full((len(columns) - len(states), states.shape[1]), self._layer.rest)
        of_model = self._cells.states(np.vstack([states, reference]))
        for (c, node), (k, row) in itertools.product(enumerate(columns), enumerate(rows)):
            self._cells.model.add_cell(circuit, f"cell_0_{c}_{k}", f"row_0_{k}", node, float(of_model[c, row]))


def _add_steps(circuit: Circuit, node: str, volts: np.ndarray) -> None:
    """Add a source that holds each of the `volts` for `PATTERN`; at the corners of a PWL source ngspice would cut its steps."""
    times = PATTERN * (np.arange(len(volts))[:, None] + [0.1, 0.9]).ravel()
    table = ",".join(map(repr, np.stack([times, np.repeat(volts, 2)], axis=1).ravel().tolist()))
    circuit.B(node, node, circuit.gnd, voltage_expression=f"pwl(time,{table})")


def _shown(circuit: Circuit, vectors: Sequence[str], count: int) -> np.ndarray:
    """Return the vectors (patterns x vectors) of a circuit that shows `count` patterns."""
    waves = run_once(circuit, CROSSBAR, vectors, count * PATTERN)
    middle = PATTERN * (np.arange(count) + 0.5)
    nearest = np.abs(waves.time[:, None] - middle).argmin(axis=0)  # within a quarter of a pattern
    return waves.stack(vectors)[:, nearest].T


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
    waves = run_once(circuit, array.writing(5 * min(model.width_up, model.width_down)), vectors, time)
    return waves.stack(vectors)[:, -1].reshape(states.shape)
