"""Engines: they read, read back and write a network, one image at a time, in closed form or in
ngspice.

The cells in ngspice are emulators, or a SPICE model's subcircuits. A parameter sets a subcircuit's
state at t = 0, and this parameter cannot be altered in a loaded circuit. So a circuit has to be
loaded again whenever states change, and one transient makes many reads, or all writes of a layer.

A crossbar without capacitances follows its rows at once. Its rows change only when the image comes
and when neurons of the layer below fire. So one transient applies the patterns of the rows one
after the other, for a nanosecond each, in which no state changes. The resulting drives then go to a
circuit of the membranes alone, at the times at which the rows change.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from memristive.devices.characterise import PULSE_EDGE, characterise
from memristive.devices.characterise_gate import measure_levels, set_cells
from memristive.devices.measured_device import MeasuredDevice, emulator
from memristive.devices.spice_model import SpiceModel
from memristive.engines.neuron_layer import NeuronLayer
from memristive.engines.ngspice_layer import LAST_WAIT, NgspiceLayer
from memristive.engines.solvers import READING_LAYERS
from memristive.network.design import CLOSED_FORM, ENGINES, FloatOrArray, edges
from memristive.network.inputs import MOST_NEURONS, as_images
from memristive.network.layer import Layer
from memristive.network.netlists import add_drives
from memristive.network.networks import READ_BLOCK, Network, read_generator, with_bias
from memristive.network.two_terminal import HALF, ONE_TRANSISTOR, REST, DeviceArray, array_network
from memristive.parameters import ParameterError, as_whole, check_kind
from memristive.scores.checks import warn_of_layers
from memristive.spice.pyspice import Circuit
from memristive.spice.session import Solver, run_once, temporary_circuits
from memristive.writing.base import Write
from memristive.writing.gate import GateWrite
from memristive.writing.pulses import ModelWrite
from snn_circuit import NeuronParameters, Points, names

RUN = 50  # patterns of a transient
PATTERN = 1e-9  # s: while a crossbar shows one pattern
ROW_EDGE = 1e-9  # s: edge of a drive when a row steps up
# One or two time points in each pattern: only max_step governs. Gear, because the trapezoidal rule
# rings on the currents that hold a state within its bounds.
CROSSBAR = Solver(
    max_step=PATTERN / 2, reltol=1e-5, trtol=1e6, chgtol=1e-18, abstol=1e-15, method="gear"
)


# of each layer: first spikes in s, settled membranes in thresholds, and the winning patches of a
# convolution
Reads = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]
Read = tuple[np.ndarray, np.ndarray]  # the first two of one layer


class ModelCells:
    """SPICE model in the cells of a network: reads, back-reads and writes in ngspice, also for
    trainings.

    The states of a network are voltages X of an emulator, which follows the model's measured
    curves. Each subcircuit gets the state of the model that has the same conductance as its
    emulator.

    Parameters
    ----------
    model : SpiceModel
    scheme : str
        One of `two_terminal.SCHEMES`, for writes. Reads leave out the access switches, which are
        closed in a read: only a thousandth of the read voltage falls across them.
    """

    def __init__(self, model: SpiceModel, scheme: str = ONE_TRANSISTOR) -> None:
        self.model = model
        self.found = measure_levels(model) if model.has_levels else characterise(model)
        self.device: MeasuredDevice = self.found.device
        self.array, self._emulated = DeviceArray(model, self.device, scheme), emulator(self.device)

    def states(self, emulated: ArrayLike) -> np.ndarray:
        """Return the model's states (any shape) for X in V."""
        return np.asarray(self.found.map.state(self._emulated.share(emulated)))

    def layer(self, layer: Layer) -> "SubcircuitLayer":
        """Return `layer` with these cells, as a `SubcircuitLayer`."""
        return SubcircuitLayer(self, layer)

    def read_images(self, network: Network, images: np.ndarray) -> Reads:
        """Return what `Engine.read` does, of n `images` (n x inputs, levels 0 to 1)."""
        return NgspiceNetwork(network, cells=self).forward(network, images)

    def written(self, emulated: np.ndarray, writes: Sequence[ModelWrite]) -> np.ndarray:
        """Return the states X in V (columns x rows) of a crossbar after `writes`, one after the
        other. `emulated`: the states before. Raises SimulationError.
        """
        states = write_columns(self.array, self.states(emulated), writes)
        return np.asarray(self._emulated.state(self.found.map.share(states)))

    def set_at_gates(self, emulated: np.ndarray, writes: Sequence[GateWrite]) -> np.ndarray:
        """Return the states X in V (columns x rows) of a crossbar of 1T1R cells after `writes` at
        their gate voltages. `emulated`: the states before. Raises SimulationError.

        One RESET and one SET go to all cells. Cells whose gates stay at 0 V do not change (within
        1e-14 of the state, `memristive measure`) and are left out.
        """
        states = self.states(emulated)
        gates, reset = np.full(states.shape, np.nan), np.zeros(states.shape, bool)
        for column, of_column, first in writes:
            gates[column], reset[column] = of_column, first
        due = ~np.isnan(gates)
        if due.any():
            states[due] = set_cells(self.model, states[due], gates[due], reset[due])
        return np.asarray(self._emulated.state(self.found.map.share(states)))


class SubcircuitLayer:
    """One layer whose cells are a SPICE model, with the methods of `ngspice_layer.NgspiceLayer`.
    Changes of the states by a read are not kept.

    Reads take one image or many, ... x inputs.
    """

    def __init__(self, cells: ModelCells, layer: Layer) -> None:
        self._cells, self._layer, self._membranes = cells, layer, NgspiceLayer(layer)
        self._pattern = max(PATTERN, 2 * cells.model.settle)

    def read(
        self,
        states: np.ndarray,
        levels: np.ndarray,
        wanted: int = 0,
        stop: float | None = None,
        noise: None = None,
    ) -> Read:
        """Return first spikes in s and settled membranes in thresholds (... x neurons) of reads at
        `levels` (... x inputs). `states`: columns x rows, V.

        Every read lasts for the window: `wanted`, `stop` and `noise` have no effect here.
        """
        rows = list(self._with_bias(np.atleast_2d(levels))[:, None])
        return self._race(states, [np.zeros(1)] * len(rows), rows, levels.shape[:-1])

    def read_steps(
        self, states: np.ndarray, spikes: np.ndarray, stop: float | None = None, noise: None = None
    ) -> Read:
        """Return first spikes in s and settled membranes in thresholds (... x neurons), while rows
        step up at `spikes` (... x inputs, s; nan: never). `stop` and `noise` have no effect here.
        """
        every = np.atleast_2d(spikes)
        changes = [np.append(0.0, np.unique(times[~np.isnan(times)])) for times in every]
        patterns = [
            self._with_bias(times <= moments[:, None])
            for times, moments in zip(every, changes, strict=True)
        ]
        return self._race(states, changes, patterns, spikes.shape[:-1])

    def _race(
        self,
        states: np.ndarray,
        changes: Sequence[np.ndarray],
        patterns: Sequence[np.ndarray],
        shape: tuple[int, ...],
    ) -> Read:
        layer, together, spikes = self._layer, np.vstack(patterns), []
        drives = np.vstack(
            [self._drives(states, together[k : k + RUN]) for k in range(0, len(together), RUN)]
        )
        of_images = np.split(drives, np.cumsum([len(shown) for shown in patterns])[:-1])
        for moments, volts in zip(changes, of_images, strict=True):
            # A pattern begins at its time of the image's `changes`. The first one rises with the
            # image's edge.
            time = np.unique(
                np.concatenate([[0.0, layer.rise], moments[1:], moments[1:] + ROW_EDGE]).round(12)
            )
            stepped = np.clip((time[:, None] - moments[1:]) / ROW_EDGE, 0.0, 1.0) @ np.diff(
                volts, axis=0
            )
            rising = np.minimum(time / layer.rise, 1.0)[:, None] * volts[0]
            spikes.append(self._membranes.race(time, (rising + stepped).T, layer.window))
        self._membranes.unload()
        last = (
            layer.neuron.membrane_gain
            * np.array([volts[-1] for volts in of_images])
            / layer.neuron.threshold
        )
        return np.reshape(spikes, (*shape, -1)), last.reshape(*shape, -1)

    def _with_bias(self, levels: np.ndarray) -> np.ndarray:
        return levels if self._layer.bias is None else with_bias(levels)

    def read_back(self, states: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Return the back-read: for each row except the bias row, the sum over the neurons of error
        x weight, in V times the unit of the `errors` (neurons). Currents of the rows give the sums.

        Many devices conduct differently in reverse. Positive and negative errors are therefore
        applied one after the other, so that each device always sees the polarity of a read.
        """
        layer, circuit, errors_of_columns = (
            self._layer,
            Circuit("back-read"),
            self._layer.synapses.errors(errors),
        )
        self._cells.model.add_to(circuit, compiled=True)
        for c, error in enumerate(errors_of_columns.tolist()):
            volts = -layer.back_voltage * np.maximum([error, -error], 0.0)
            _add_steps(circuit, f"column_0_{c}", volts, self._pattern)
        for k in range(layer.inputs):
            circuit.V(f"row_0_{k}", f"row_0_{k}", circuit.gnd, 0)
        self._add_cells(
            circuit, states, names("column_0", len(errors_of_columns)), range(layer.inputs)
        )
        rows = [f"i(vrow_0_{k})" for k in range(layer.inputs)]
        positive, negative = -_shown(circuit, rows, 2, self._pattern)
        return (positive - negative) / (
            layer.memristor.gain * layer.back_voltage * layer.synapses.cells
        )

    def write(
        self, states: np.ndarray, doses: Sequence[Write], rng: np.random.Generator
    ) -> np.ndarray:
        """Return the layer's states in V (columns x rows) after the writes `doses`, by pulses or at
        gate voltages. Numbers of pulses are drawn at random as in the closed form.
        """
        return self._layer.way.in_model(self._cells, states, list(doses), rng)

    def _drives(self, states: np.ndarray, patterns: np.ndarray) -> np.ndarray:
        """Return the neurons' drives in V (patterns x neurons) for levels of the rows (patterns x
        rows with the bias).
        """
        used, layer = np.flatnonzero(patterns.any(axis=0)), self._layer
        circuit = Circuit("patterns")
        self._cells.model.add_to(circuit, compiled=True)
        add_drives(circuit, layer, layer.neurons, len(used))
        for k, row in enumerate(used):
            volts = layer.row_voltage * patterns[:, row]
            _add_steps(circuit, f"row_0_{k}", volts, self._pattern)
        self._add_cells(circuit, states, layer.synapses.nodes(0, layer.neurons), used)
        return _shown(circuit, names("drive_0", layer.neurons), len(patterns), self._pattern)

    def _add_cells(
        self, circuit: Circuit, states: np.ndarray, columns: Sequence[str], rows: Iterable[int]
    ) -> None:
        """Add the cells of some `rows`, which become rows 0, 1, ... of the circuit; a reference
        column comes last.
        """
        of_model = self._cells.states(self._layer.with_reference(states))
        for (c, node), (k, row) in itertools.product(enumerate(columns), enumerate(rows)):
            self._cells.model.add_cell(
                circuit, f"cell_0_{c}_{k}", f"row_0_{k}", node, float(of_model[c, row])
            )


def _add_steps(circuit: Circuit, node: str, volts: np.ndarray, pattern: float) -> None:
    """Add a behavioural source at a `node` that holds each of the `volts` for `pattern` s. At each
    corner of a PWL source ngspice would shorten its time steps.
    """
    times = pattern * (np.arange(len(volts))[:, None] + [0.1, 0.9]).ravel()
    table = ",".join(map(repr, np.stack([times, np.repeat(volts, 2)], axis=1).ravel().tolist()))
    circuit.B(node, node, circuit.gnd, voltage_expression=f"pwl(time,{table})")


def _shown(circuit: Circuit, vectors: Sequence[str], count: int, pattern: float) -> np.ndarray:
    """Return the values of the `vectors` in the middle of each pattern (patterns x vectors, V or
    A). Rows of a circuit get `count` patterns one after the other, for `pattern` s each.
    """
    solver = dataclasses.replace(CROSSBAR, max_step=pattern / 2)
    waves = run_once(circuit, solver, vectors, count * pattern)
    middle = pattern * (np.arange(count) + 0.5)
    nearest = np.abs(waves.time[:, None] - middle).argmin(axis=0)  # within a quarter of a pattern
    return waves.stack(vectors)[:, nearest].T


def write_columns(
    array: DeviceArray, states: np.ndarray, writes: Sequence[ModelWrite]
) -> np.ndarray:
    """Return the model's states (columns x rows) of a crossbar after writes one after the other, in
    one transient.

    The pulses of a row are joined to one long pulse, and the written column is selected for the
    longest of these. Raises SimulationError.
    """
    rows: list[Points] = [[(0.0, 0.0)] for _ in states.T]
    controls: list[Points] = [[(0.0, 0.0)] for _ in states]
    model = array.model
    time = start = model.settle
    for column, up, numbers in writes:
        # shorter pulses would be all edge
        numbers = np.where(numbers > 2 * PULSE_EDGE, numbers, 0.0)
        if not numbers.any():  # a selected column without rows would only disturb
            continue
        volts, width = array.row_voltage(up), model.width_up if up else model.width_down
        phi = volts / array.row_voltage() if array.scheme == HALF else 1.0
        begin = time + REST * width / 2
        driven = [(rows[i], volts, numbers[i] * width) for i in np.flatnonzero(numbers)]
        selected = numbers.max() * width + model.settle  # with what the pulses still move
        for points, level, seconds in [*driven, (controls[column], phi, selected)]:
            points += edges(begin, seconds, PULSE_EDGE * width, level)
        time = begin + (numbers.max() + REST / 2) * width + model.settle
    if time == start:
        return states
    circuit = array_network(
        array,
        NeuronParameters(),
        states,
        rows,
        controls,
        1.0,
        neurons=False,
        title="writes of columns",
    )
    vectors = array.state_names(*states.shape)
    waves = run_once(
        circuit, array.writing(5 * min(model.width_up, model.width_down)), vectors, time
    )
    return waves.stack(vectors)[:, -1].reshape(states.shape)


@runtime_checkable
class Engine(Protocol):
    """Interface to a network whose states may change between two calls, but not its shape and
    parameters.
    """

    def read(
        self,
        network: Network,
        image: np.ndarray,
        wanted: int = 2,
        label: int | None = None,
        rng: np.random.Generator | None = None,
        jitter: FloatOrArray = 0.0,
    ) -> Reads:
        """Read an image (inputs, levels 0 to 1); return the first spikes in s, the settled
        membranes in thresholds, and the winning patches.

        These are lists with an array for each layer, as in `Seen`. A spike is nan if the neuron had
        not fired when the read ended. A read may end once `wanted` output neurons and the neuron of
        the `label` have fired. `rng` draws the devices' read noise; `jitter` (classes, V) is the
        threshold noise of the output neurons.
        """

    def read_back(self, network: Network, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the back-read of a layer (counted from 0): for each row but the bias row the sum
        of error x weight over the neurons. Unit: V times the unit of the `errors` (neurons).
        """

    def write(
        self,
        network: Network,
        layer: int,
        doses: Sequence[Write],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Return the states of a layer (columns x rows, V) after the writes `doses` of its columns,
        one after the other. `rng` draws the numbers and the noise of pulses.
        """


class NgspiceNetwork:
    """Network in ngspice, one `NgspiceLayer` for each layer; the states may change between two
    calls.

    Parameters
    ----------
    network : Network
    solver : Solver
    cells : ModelCells, optional
        SPICE model in every cell; None: emulators.
    """

    def __init__(
        self, network: Network, solver: Solver = READING_LAYERS, cells: ModelCells | None = None
    ) -> None:
        self.layers: list[Any] = [
            cells.layer(layer) if cells else NgspiceLayer(layer, solver) for layer in network.layers
        ]
        if network.neuron:
            self.layers = [NeuronLayer(network.layers[0], network.neuron)]
        self._window, self._emulated = network.design.window, cells is None

    def read(
        self,
        network: Network,
        image: np.ndarray,
        wanted: int = 2,
        label: int | None = None,
        rng: np.random.Generator | None = None,
        jitter: FloatOrArray = 0.0,
    ) -> Reads:
        """Read one image.

        Parameters
        ----------
        network : Network
            Network to read, of the same shape and parameters as this one.
        image : array, inputs, levels 0 to 1
        wanted : int
            The read may end some us after this many output neurons have fired, or at the end of the
            window. SPICE models in the cells and neurons of one's own read for the whole window.
        label : int, optional
            For learning. The read also waits for this output neuron. Hidden neurons are read for
            the whole window, because their settled membranes decide which of them are written.
        rng : Generator, optional
            Generator of the read noise, if the devices have any.
        jitter : array (classes) or float, V
            Threshold noise: shift of each threshold. Only in the paper's layer.

        Returns
        -------
        times : list of arrays, outputs, s
            First spikes of each layer; nan for a neuron that has not fired by the end of the read.
        settled : list of arrays, outputs
            Membranes in thresholds at which neurons would settle if rows that are high at the end
            of the read stayed high.
        winners : list of arrays, outputs of a convolution; empty for a dense layer
            Patches from which the spikes come.

        Raises
        ------
        SimulationError
            ngspice cannot complete a transient.
        """
        if not self._emulated:
            return self.forward(network, image)
        # ngspice's own drives end the read, also if wires have resistance
        if network.paper:
            times, membranes = self.layers[0].read(network.states[0], image, wanted, jitter=jitter)
            return [times], [membranes], [np.zeros(0, np.int64)]
        wanted = min(wanted, network.sizes[-1])
        predicted, noise = network.drawn(image[None], rng or read_generator(0))
        stop = min(_decided(predicted[-1][0], wanted, label) + LAST_WAIT, self._window)
        found = self.forward(network, image, noise, stop, stop if label is None else self._window)
        if stop < self._window and np.isinf(_decided(found[0][-1], wanted, label)):
            found = self.forward(network, image, noise)
        return found

    def forward(
        self,
        network: Network,
        image: np.ndarray,
        noise: Sequence[np.ndarray] = (),
        stop: float | None = None,
        hidden_stop: float | None = None,
    ) -> Reads:
        """Return what `read` does, of an `image` (inputs, levels). Layers of SPICE models also take
        n images (n x inputs).

        `noise`: noise currents as `Network.drawn` returns them. `stop` and `hidden_stop`: end in s
        of the read of the last layer and of the others; None: the window.
        """
        first_stop, *stops = [
            *[hidden_stop or self._window] * (len(self.layers) - 1),
            stop or self._window,
        ]
        # subcircuits bend by themselves
        levels = network.design.read_levels(image) if self._emulated else image
        kinds, of_first = [layer.kind for layer in network.layers], noise[0] if noise else None
        shown = kinds[0].windows(levels)
        found = self.layers[0].read(network.states[0], shown, 0, first_stop, of_first)
        kept = [kinds[0].kept(*found)]
        for k, until in enumerate(stops, 1):
            shown, of_layer = kinds[k].windows(kept[-1][0]), noise[k] if noise else None
            found = self.layers[k].read_steps(network.states[k], shown, until, of_layer)
            kept.append(kinds[k].kept(*found))
        times, settled, winners = (list(parts) for parts in zip(*kept, strict=True))
        return times, settled, winners

    def read_back(self, network: Network, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the back-read of a layer (counted from 0): for each row but the bias row the sum
        of error x weight over the neurons. Unit: V times the unit of the `errors` (neurons).
        """
        return np.asarray(self.layers[layer].read_back(network.states[layer], errors))

    def write(
        self,
        network: Network,
        layer: int,
        doses: Sequence[Write],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Return the states of a layer (columns x rows, V) after the writes `doses`, one after the
        other.
        """
        return np.asarray(self.layers[layer].write(network.states[layer], doses, rng))

    def reset(self) -> None:
        """Restore the initial state of all circuits. Otherwise old states in undriven rows would
        move spikes by nanoseconds.
        """
        for layer in self.layers:
            layer.reset()

    def unload(self) -> None:
        """Remove all circuits from ngspice."""
        for layer in self.layers:
            layer.unload()


def _decided(spikes: np.ndarray, wanted: int, label: int | None) -> float:
    """Return the time in s at which `wanted` neurons and the neuron of the `label` have fired; inf
    if they never do. `spikes`: neurons, s; nan: silent.
    """
    times = np.where(np.isnan(spikes), np.inf, spikes)
    return float(max(np.sort(times)[wanted - 1], 0.0 if label is None else times[label]))


@contextlib.contextmanager
def opened(engine: str | Engine, network: Network) -> Iterator[Engine]:
    """Provide `engine` itself, or, if it is a name of `ENGINES`, a new `NgspiceNetwork` for the
    `network`, whose circuits are unloaded at the end of the block. Raises ParameterError for
    another name.
    """
    if isinstance(engine, Engine):
        yield engine
        return
    check_engine(engine)
    with temporary_circuits():
        yield NgspiceNetwork(network)


def reads(
    network: Network,
    images: np.ndarray,
    engine: Engine,
    wanted: int = 2,
    seed: int = 0,
    first: int = 0,
) -> Iterator[list[np.ndarray]]:
    """Yield for each of the `images` (n x inputs, levels) a list with the first spikes of each
    layer: arrays, neurons, s; nan: none.

    A read may end once `wanted` output neurons have fired; neurons that have not fired by then are
    nan. Other neurons may fire before the end, so more than `wanted` spikes may be finite. The
    noise belongs to the images number `first`, `first` + 1, ... of a set, drawn with `seed`.
    """
    images = as_images(images, network.sizes[0], shape=network.image_shape)
    rng, noise = read_generator(seed, first), network.jitter("test", first, first + len(images))
    for k, image in enumerate(images):
        rng = read_generator(seed, first + k) if (first + k) % READ_BLOCK == 0 else rng
        yield engine.read(network, image, wanted, rng=rng, jitter=noise[k] if len(noise) else 0.0)[
            0
        ]


def read(
    network: Network,
    images: ArrayLike,
    engine: str | Engine = CLOSED_FORM,
    *,
    wanted: int = 2,
    seed: int = 0,
    watch: Callable[[Iterator[list[np.ndarray]]], Iterable[list[np.ndarray]]] = lambda steps: steps,
) -> np.ndarray:
    """Read images, and return the first spikes of the output neurons: the first one names the
    class.

    Parameters
    ----------
    network : Network
    images : array_like, n x inputs or n x height x width, levels 0 to 1
    engine : str or Engine
        "closed-form", "ngspice", or any `Engine`, such as `NgspiceNetwork` with a SPICE model in
        each cell.
    wanted : int
        In ngspice a read may end once this many output neurons have fired; more may fire before its
        end. The closed form, SPICE models in the cells and neurons of one's own read for the whole
        window.
    seed : int
        Seed of what a read draws anew: the read noise of measured devices and the threshold noise
        of a chip. It is drawn for one image after the other, so the spikes of an image depend on
        its place among the images. Without these noises they do not.
    watch : callable
        Wraps the iterator over images, e.g. with a progress bar; the closed form reads all at once.

    Returns
    -------
    array, n x classes, s
        nan for a neuron that is silent, or had not fired when its read ended.

    Raises
    ------
    ParameterError
        The engine is unknown, or the images have another number of inputs than the network, or
        levels outside 0 to 1, or `wanted` is no whole number from 1.
    SimulationError
        ngspice cannot complete a transient.

    Warns
    -----
    OperatingRangeWarning
        Stages clip, too many images have no spike, or cells have diverged.
    """
    check_kind("network", network, Network)
    images, wanted = (
        as_images(images, network.sizes[0], shape=network.image_shape),
        as_whole("wanted", wanted, 1, MOST_NEURONS),
    )
    if engine == CLOSED_FORM:
        network.warn_of_doubts()
        spikes = network.first_spikes(images, seed)
    else:
        with opened(engine, network) as own:
            outputs = [times[-1] for times in watch(reads(network, images, own, wanted, seed))]
        spikes = np.array(outputs).reshape(-1, network.sizes[-1])
    warn_of_layers(network, images, "the doses", "the doses")
    return spikes


def check_engine(name: str) -> None:
    """Raise ParameterError unless `name` is one of `ENGINES`."""
    if name not in ENGINES:
        raise ParameterError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")
