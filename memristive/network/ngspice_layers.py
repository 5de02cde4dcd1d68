"""Multilayer networks in ngspice: reads layer by layer, back-reads, and writes. Circuits are loaded once, then altered and run.

A read is divided where nothing flows back (`network.parts`). The currents of the first crossbar are constant after the image's
edge, so only the edge is simulated. A second circuit holds the membranes alone, and the voltages at the end of the edge drive
them. The spikes of these membranes drive the rows of the next layer. Only driven rows are simulated, because a row at 0 V
carries no current to a column at virtual ground. A layer of many columns is divided into blocks, which are independent.
tests/network/test_ngspice_layers.py compares the results with those of the whole network in one transient. For a chip, `alter`
sets the values of cells and neurons, except the neurons' thresholds, which are compared with the simulated membranes.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.devices.channel import Values, leaked
from memristive.network.closed_form import Cells
from memristive.network.layers import LayeredNetwork, read_generator
from memristive.network.ngspice_crossbar import first_that_ends
from memristive.network.parts import (
    NEVER,
    LayerPart,
    back_circuit,
    column_circuit,
    image_circuit,
    layer_state_changes,
    membrane_circuit,
    spike_circuit,
)
from memristive.network.solvers import WELL_ABOVE, WRITING
from memristive.network.spike_decoding import first_spikes
from memristive.spice.session import LoadedCircuit, NgspiceSession, Solver, Waveforms
from snn_circuit import CellValues, cell_changes, names, neuron_changes

ROWS = 10  # circuits have 10, 20, 30, ... rows, or multiples of a tenth of the layer's rows if that is more
BLOCK_CELLS = 2500  # approximate number of cells in a circuit: larger circuits do not fit the processor's cache
READING_LAYERS = Solver(max_step=1e-6, reltol=1e-5, trtol=100.0, chgtol=1e-7, method="trap")
EDGE_STEP, MEMBRANE_STEP = 0.1, 5.0  # in `max_step`: steps of a crossbar over the image's edge, and of membranes alone
FINER = 1 / 40  # factor on steps if rows may lift the gates non-linearly (`solvers.solver_for_cells`)
SETTLED = 1.2  # end of a first crossbar's run, in edges: the currents through the gates' capacitances have then ended
# Rows rise one after the other here. Each rise lifts the gates, non-linearly if a gate is below its row. With WRITING's
# tolerances X would be off by up to 4 mV at any dose. Currents below 10 pA are not resolved, because over the steps of short
# edges the rounding of the gates' charges would stop Newton's method.
WRITING_LAYERS = dataclasses.replace(WRITING, reltol=1e-6, trtol=1.0, abstol=1e-11)
MARGIN = 3e-6  # s, from the last spike that the closed form predicts to the end of a read


class LayeredReader:
    """Reader that presents images to a `LayeredNetwork`, whose states may change between two reads.

    Parameters
    ----------
    network : LayeredNetwork
    solver : Solver
        Its `max_step` is the distance between time points in later layers. All other steps are in proportion to it.
    """

    def __init__(self, network: LayeredNetwork, solver: Solver = READING_LAYERS) -> None:
        self._first = _FirstLayer(network, 0, solver)
        self._later = [_LaterLayer(network, layer, solver) for layer in range(1, len(network.states))]
        self._window = network.design.window

    def read(self, network: LayeredNetwork, image: np.ndarray, wanted: int = 2, label: int | None = None,
             rng: np.random.Generator | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Read one image.

        Parameters
        ----------
        network : LayeredNetwork
            Network to read, of the same shape and parameters as the reader's network.
        image : array, inputs, levels 0 to 1
        wanted : int
            The read ends once this many output neurons have fired, as the closed form predicts, or at the end of the window.
        label : int, optional
            For learning. The read also waits for this output neuron. Hidden neurons are read for the whole window, because
            their settled membranes decide which of them are written.
        rng : Generator, optional
            Generator of the read noise, if the devices have any.

        Returns
        -------
        times : list of arrays, neurons, s
            First spikes of each layer; nan for a neuron that has not fired by the end of the read.
        settled : list of arrays, neurons
            Membranes in thresholds at which neurons would settle if rows that are high at the end of the read stayed high.

        Raises
        ------
        SimulationError
            ngspice cannot complete a transient.
        """
        wanted = min(wanted, network.sizes[-1])
        predicted, noise = network.drawn(image[None], rng or read_generator(0))
        stop = min(_decided(predicted[-1][0], wanted, label) + MARGIN, self._window)
        times, settled = self._run(network, image, noise, stop, stop if label is None else self._window)
        if stop < self._window and np.isinf(_decided(times[-1], wanted, label)):
            times, settled = self._run(network, image, noise, self._window, self._window)
        return times, settled

    def reset(self) -> None:
        """Restore the initial state of all circuits, because old states in undriven rows move spikes by nanoseconds."""
        for layer in (self._first, *self._later):
            layer.reset()

    def unload(self) -> None:
        """Remove all circuits from ngspice."""
        for layer in (self._first, *self._later):
            layer.unload()

    def _run(self, network: LayeredNetwork, image: np.ndarray, noise: Sequence[np.ndarray], stop: float,
             hidden_stop: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        first_stop, *stops = [*[hidden_stop] * len(self._later), stop]
        found = [self._first.run(network.states[0], network.design.read_levels(image), first_stop, noise[0])]
        for layer, states, layer_stop, drawn in zip(self._later, network.states[1:], stops, noise[1:], strict=True):
            found.append(layer.run(states, found[-1][0], layer_stop, drawn))
        return [times for times, _ in found], [settled for _, settled in found]


def _decided(spikes: np.ndarray, wanted: int, label: int | None) -> float:
    """Return the time in s at which `wanted` neurons and the neuron of the `label` have fired, inf if they never do."""
    times = np.where(np.isnan(spikes), np.inf, spikes)
    return float(max(np.sort(times)[wanted - 1], 0.0 if label is None else times[label]))


@dataclass(eq=False)
class _RowPool:
    """Circuits that hold a few rows of a layer, the bias row last. Each circuit holds one of the `blocks` of neurons."""

    blocks: list[np.ndarray]  # neurons of each circuit
    circuits: list[LoadedCircuit]
    inputs: np.ndarray  # input that each row is assigned to; -1: none
    states: np.ndarray  # V, columns x (rows + 1), as in the circuits

    def __iter__(self) -> Iterator[tuple[np.ndarray, LoadedCircuit]]:
        return zip(self.blocks, self.circuits, strict=True)


class _Layer:
    """Crossbar of a layer in circuits with few rows. An input keeps its row of a circuit until another input needs the row."""

    SAVED: tuple[str, ...] = ("membrane", "drive")
    ALTERED: tuple[str, ...] = ("stages", "membrane")  # what a chip's neurons change in these circuits

    def __init__(self, network: LayeredNetwork, layer: int, solver: Solver) -> None:
        self._parameters, self._design = network.parameters, network.design
        self._columns, self._fan_in = network.states[layer].shape
        self._neurons, self._last = network.sizes[layer + 1], layer == len(network.states) - 1
        self._neuron, self._start, self._noise = network.neuron(layer), network.start_time, network.read_noise > 0
        self._cells, self._values = network.of_layer(layer).cells, network.of_layer(layer).neurons
        self._solver = dataclasses.replace(solver, trtol=1e6)  # max_step alone determines the time points
        overdrive = network.design.reference_state - network.parameters.memristor.threshold_voltage
        self._finer = FINER if overdrive < WELL_ABOVE * network.design.row_voltage else 1.0
        self._pools: dict[int, _RowPool] = {}
        self._thresholds = np.full(self._neurons, network.parameters.neuron.threshold)  # V
        if self._values is not None:
            self._thresholds = self._values.threshold

    def _circuit(self, part: LayerPart) -> tuple[Circuit, Solver]:
        raise NotImplementedError

    def _part(self, neurons: int, rows: int) -> LayerPart:
        return LayerPart(self._parameters, self._design, self._neuron, neurons, rows, self._last, self._noise)

    def _steps(self, share: float) -> Solver:
        return dataclasses.replace(self._solver, max_step=share * self._solver.max_step)

    def _assign_rows(self, states: np.ndarray, driven: np.ndarray) -> tuple[_RowPool, np.ndarray, np.ndarray]:
        """Assign a row to each of the inputs `driven`, and set the `states` (columns x inputs, V) of their cells.

        Returns the circuits, the rows that the inputs have got, and the input of each of these rows.
        """
        step = max(ROWS, self._fan_in // 10)
        rows = max(1, -(-len(driven) // step)) * step
        if rows not in self._pools:
            self._pools[rows] = self._load_circuits(rows)
        pool = self._pools[rows]
        new = driven[~np.isin(driven, pool.inputs)]
        places = np.flatnonzero(~np.isin(pool.inputs, driven))[:len(new)]
        pool.inputs[places] = new
        self._place_cells(pool, places, new)
        places = np.flatnonzero(np.isin(pool.inputs, driven))
        inputs, slots = pool.inputs[places], np.append(places, rows)
        target = self._shifted(states)[:, np.append(inputs, -1)]
        for block, circuit in pool:
            columns = self._design.columns(block, self._neurons)
            changed = pool.states[np.ix_(columns, slots)] != target[columns]
            cells = [(c, int(slots[k])) for c, k in np.argwhere(changed).tolist()]
            circuit.alter(layer_state_changes(cells, target[columns][changed].tolist()))
        pool.states[:, slots] = target
        return pool, places, inputs

    def _load_circuits(self, rows: int) -> _RowPool:
        number = min(self._neurons, -(-self._columns * (rows + 1) // BLOCK_CELLS))
        blocks = np.array_split(np.arange(self._neurons), number)
        circuits = []
        for block in blocks:
            circuit, solver = self._circuit(self._part(len(block), rows + 1))
            saved = [name for kind in self.SAVED for name in names(f"{kind}_0", len(block))]
            circuits.append(NgspiceSession().load(circuit, solver, saved))
            if self._values is not None:
                circuits[-1].alter({change: value for kind in self.ALTERED
                                    for change, value in neuron_changes(self._values, block, kind).items()})
        states = np.full((self._columns, rows + 1), self._design.reference_state)
        pool = _RowPool(blocks, circuits, np.full(rows, -1), states)
        self._place_cells(pool, np.array([rows]), np.array([-1]))
        return pool

    def reset(self) -> None:
        """Restore the circuits to the state in which `_load_circuits` leaves them."""
        for pool in self._pools.values():
            used = np.flatnonzero(pool.inputs >= 0)
            for block, circuit in pool:
                columns = len(self._design.columns(block, self._neurons)) + (self._design.pairs == 0)  # with the reference
                cells = list(itertools.product(range(columns), [*used.tolist(), len(pool.inputs)]))
                circuit.alter(layer_state_changes(cells, [self._design.reference_state] * len(cells)))
                if self._cells is not None:
                    alike = CellValues.alike(self._parameters.memristor, (columns, len(used)))
                    circuit.alter(cell_changes(alike, self._parameters.memristor, name="cell_0", places=used.tolist()))
            pool.inputs[:] = -1
            pool.states[:] = self._design.reference_state
            self._place_cells(pool, np.array([len(pool.inputs)]), np.array([-1]))

    def unload(self) -> None:
        """Remove the circuits from ngspice."""
        for circuit in itertools.chain.from_iterable(pool.circuits for pool in self._pools.values()):
            circuit.unload()
        self._pools.clear()

    def _noise_of(self, block: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the noise currents of the neurons of a `block`; `noise` has those of the layer (... x inputs of stages)."""
        negative = self._neurons + block if self._design.pairs else np.array([self._neurons])
        return noise[:, np.append(block, negative)]

    def _shifted(self, states: np.ndarray) -> np.ndarray:
        """Return the states (columns x inputs, V) that cells of the nominal Vto need to conduct like those of the chip."""
        return states if self._cells is None else states - self._cells.shift(self._parameters.memristor)[:self._columns]

    def _place_cells(self, pool: _RowPool, places: np.ndarray, inputs: np.ndarray) -> None:
        """Give the cells of the rows `places` the values of the chip's cells at `inputs`, also in the reference column."""
        if self._cells is None:
            return
        memristor, reference = self._parameters.memristor, self._design.reference_state
        for block, circuit in pool:
            columns = self._design.columns(block, self._neurons)
            if not self._design.pairs:
                columns = np.append(columns, self._columns)
                cells = [(len(columns) - 1, int(place)) for place in places]
                circuit.alter(layer_state_changes(cells, (reference - self._cells.shift(memristor)[-1, inputs]).tolist()))
            values = CellValues(*(each[np.ix_(columns, inputs)] for each in vars(self._cells).values()))
            circuit.alter(cell_changes(values, memristor, name="cell_0", places=places.tolist()))

    def _first_spikes(self, waves: Waveforms, block: np.ndarray, stop: float) -> np.ndarray:
        """Return the first spike times in s of a block up to `stop` s: the membranes' first crossings of the threshold.

        The circuits have no triggers, so the membranes alone count.
        """
        membranes = waves.stack(names("membrane_0", len(block)))
        return first_spikes(waves.time, membranes, None, self._parameters.neuron, 0.0, 2 * stop,  # includes the last point
                            self._thresholds[block])


class _FirstLayer(_Layer):
    """Layer whose rows the image drives."""

    SAVED = ("drive",)
    ALTERED = ("stages",)

    def __init__(self, network: LayeredNetwork, layer: int, solver: Solver) -> None:
        super().__init__(network, layer, solver)
        circuit = membrane_circuit(self._part(self._neurons, self._fan_in))
        self._membranes = NgspiceSession().load(circuit, self._steps(MEMBRANE_STEP), names("membrane_0", self._neurons))
        self._tau: Values = self._parameters.neuron.time_constant
        if self._values is not None:
            self._membranes.alter(neuron_changes(self._values, range(self._neurons), "membrane"))
            self._tau = self._parameters.neuron.membrane_resistance * self._values.membrane_capacitance

    def _circuit(self, part: LayerPart) -> tuple[Circuit, Solver]:
        return image_circuit(part), self._steps(EDGE_STEP * self._finer)

    def run(self, states: np.ndarray, image: np.ndarray, stop: float, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the neurons' first spike times in s up to `stop`, and their settled membranes in thresholds.

        `noise`: currents in A, 1 x inputs of stages.
        """
        pool, places, inputs = self._assign_rows(states, np.flatnonzero(image))
        levels = np.zeros(len(pool.inputs) + 1)
        levels[places], levels[-1] = image[inputs], 1.0
        changes = {f"erow_0_{k} gain": volts for k, volts in enumerate((levels * self._design.row_voltage).tolist())}
        drives = []
        for block, circuit in pool:
            drawn = self._noise_of(block, noise)[0].tolist() if self._noise else []
            circuit.alter(changes | {f"gnoise_0_{c} gain": amperes for c, amperes in enumerate(drawn)})
            drives += circuit.run(SETTLED * self._design.rise).stack(names("drive_0", len(block)))[:, -1].tolist()
        self._membranes.alter({f"edrive_0_{j} gain": volts for j, volts in enumerate(drives)})
        waves = self._membranes.run(stop)
        ends = waves.stack(names("membrane_0", self._neurons))[:, -1]
        risen = -np.expm1(-(stop - self._start) / self._tau)
        return self._first_spikes(waves, np.arange(self._neurons), stop), ends / (risen * self._thresholds)

    def unload(self) -> None:
        """Remove the circuits from ngspice."""
        super().unload()
        self._membranes.unload()


class _LaterLayer(_Layer):
    """Layer whose rows step up at the spikes of the layer below."""

    def _circuit(self, part: LayerPart) -> tuple[Circuit, Solver]:
        return spike_circuit(part, self._solver.max_step), self._steps(self._finer)

    def run(self, states: np.ndarray, spikes: np.ndarray, stop: float, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first spike times in s up to `stop`, and settled membranes in thresholds, if rows step up at `spikes` (s).

        `noise`: currents in A, rows x inputs of stages.
        """
        pool, places, inputs = self._assign_rows(states, np.flatnonzero(~np.isnan(spikes)))
        steps = np.full(len(pool.inputs), NEVER)
        steps[places] = np.maximum(spikes[inputs], self._solver.max_step / 2)  # every row starts at 0 V
        changes = {f"v.xrow_0_{k}.vat dc": spike for k, spike in enumerate(steps.tolist())}
        times, settled = [], []
        slots, siemens = np.append(places, len(pool.inputs)), noise[np.append(inputs, -1)] / self._design.row_voltage
        for block, circuit in pool:
            drawn = np.ndenumerate(self._noise_of(block, siemens)) if self._noise else ()
            circuit.alter(changes | {f"gnoise_0_{c}_{slots[k]} gain": float(gain) for (k, c), gain in drawn})
            waves = circuit.run(stop)
            times.append(self._first_spikes(waves, block, stop))
            drives = waves.stack(names("drive_0", len(block)))[:, -1]
            settled.append(self._neuron.membrane_gain * drives / self._thresholds[block])
        return np.concatenate(times), np.concatenate(settled)


class BackReader:
    """Reader for back-reads of one layer: the columns carry errors, and the row currents are measured."""

    RISE, STOP = 1e-6, 3e-6  # s

    def __init__(self, network: LayeredNetwork, layer: int) -> None:
        states = network.states[layer]
        self._network, self._rows = network, states.shape[1] - 1
        self._volts = network.design.column_voltage(layer == len(network.states) - 1)
        self._currents = [f"i(vrow_0_{k})" for k in range(self._rows)]
        circuit = back_circuit(network.parameters, network.design, states)
        self._circuit = NgspiceSession().load(circuit, WRITING, self._currents)
        self._circuit.alter({"vpulse pwl": [0.0, 0.0, self.RISE, 1.0, 1.0, 1.0]})
        cells, memristor = network.of_layer(layer).cells, network.parameters.memristor
        self._states, self._shift = states.copy(), np.zeros(states.shape)
        if cells is not None:
            self._circuit.alter(cell_changes(cells.of(slice(None), slice(-1)), memristor, name="cell_0"))
            shift = cells.shift(memristor)
            self._states, self._shift = np.full(states.shape, np.nan), shift[:len(states)]
            if not network.design.pairs:
                reference = (network.design.reference_state - shift[-1, :-1]).tolist()
                self._circuit.alter(layer_state_changes([(len(states), k) for k in range(self._rows)], reference))

    def read(self, states: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Return the sum of error x (X - X_ref) for each row, as `LayeredNetwork.read_back` defines it.

        Parameters
        ----------
        states : array, columns x rows with the bias, V
        errors : array, neurons
            +-1 in the last layer, V in a hidden one.

        Raises
        ------
        SimulationError
            ngspice cannot complete the transient.
        """
        changed = states[:, :-1] != self._states[:, :-1]
        shifted = (states - self._shift)[:, :-1]
        self._circuit.alter(layer_state_changes(np.argwhere(changed).tolist(), shifted[changed].tolist()))
        self._states = states.copy()
        driven = self._network.design.column_errors(errors)
        self._circuit.alter({f"ecolumn_0_{c} gain": self._volts * error for c, error in enumerate(driven)})
        waves = self._circuit.run(self.STOP)
        pairs = max(1, self._network.design.pairs)
        return waves.stack(self._currents)[:, -1] / (self._network.parameters.memristor.gain * self._volts * pairs)


class ColumnDose(NamedTuple):
    """Write of one column: the signed dose in V, of which each row gets a share from 0 to 1."""

    column: int
    dose: float
    shares: np.ndarray


class ColumnWriter:
    """Writer of columns of a layer. Only one column's phi is high at a time, so this column is simulated alone.

    Parameters
    ----------
    network : LayeredNetwork
    rows : int
        Rows of the layer, with the bias.
    cells : CellValues, optional
        A chip's cells of the layer. None: all alike.
    """

    EDGE = 0.02  # duration of each edge as a share of the time for which phi is high
    SHORTEST = 1e-6  # s: with shorter edges, rounding of channel charges is a current above ngspice's tolerance

    def __init__(self, network: LayeredNetwork, rows: int, cells: CellValues | None = None) -> None:
        self._network, self._rows, self._cells = network, rows, cells
        self._names = [f"xcell_0_0_{k}.gate" for k in range(rows)]
        self._circuits = dict[tuple[bool, Solver], LoadedCircuit]()

    def _circuit(self, together: bool, solver: Solver) -> LoadedCircuit:
        if (together, solver) not in self._circuits:
            circuit = column_circuit(self._network.parameters, self._rows, together)
            self._circuits[together, solver] = NgspiceSession().load(circuit, solver, self._names)
        return self._circuits[together, solver]

    @classmethod
    def lengthened(cls, pulse: float, levels: np.ndarray, high: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Return a pulse of the same dose, during which phi is high for at least `SHORTEST`.

        A longer pulse has lower levels. Returns its width in s, its levels, and the time in s for which phi is high (0 if no
        row is high).
        """
        window = float(abs(pulse) * high.max())
        slower = max(1.0, cls.SHORTEST / window) if window else 1.0
        return pulse * slower, levels / slower, window * slower

    def write(self, column: np.ndarray, levels: np.ndarray, high: np.ndarray, pulse: float, place: int = 0) -> np.ndarray:
        """Return a column's states after one write, in which phi is high for as long as some row is high.

        Parameters
        ----------
        column : array, rows, V
            States before the write.
        levels : array, rows
            Levels: shares of the write voltage, from 0 to 1.
        high : array, rows
            Share of the pulse for which each row is high; all rows fall together.
        pulse : float
            Width in s; negative: at the negative voltage. `lengthened` makes short pulses longer, at a lower voltage.
        place : int
            Number of the column, which selects the values of a chip's cells.

        Raises
        ------
        SimulationError
            ngspice cannot complete the transient.
        """
        pulse, levels, window = self.lengthened(pulse, levels, high)
        if window == 0:
            return column
        edge = self.EDGE * window
        design, memristor = self._network.design, self._network.parameters.memristor
        phi = 1.2 if memristor.switch_threshold < 1 else 2 * memristor.switch_threshold
        # The switch opens and closes as phi's edges cross its threshold. Rows that are high from the start rise before that, and
        # all rows fall after it: the overlap of row and phi is exact.
        crossing = edge * memristor.switch_threshold / phi
        start, end = 3 * edge, 3 * edge + window
        changes: dict[str, float | list[float]] = {"vphi pwl": [0.0, 0.0, start - crossing, 0.0, start - crossing + edge, phi,
                                                  end - edge + crossing, phi, end + crossing, 0.0]}
        volts = (np.sign(pulse) * levels * design.writing).tolist()
        fall = [end + 2 * edge, 1.0, end + 3 * edge, 0.0]
        together = bool((high == high[0]).all())
        if together:
            changes["vpulse pwl"] = [0.0, 0.0, 1.5 * edge, 0.0, 2.5 * edge, 1.0, *fall]
            changes |= {f"erow_0_{k} gain": level for k, level in enumerate(volts)}
        else:
            for k, level in enumerate(volts):
                up = end - abs(pulse) * high[k] if high[k] < high.max() else 2 * edge
                shape = np.array([0.0, 0.0, up - edge / 2, 0.0, up + edge / 2, 1.0, *fall])
                shape[1::2] *= level
                changes[f"vrow_0_{k} pwl"] = shape.tolist() if level and high[k] > 0 else [0.0, 0.0, 1.0, 0.0]
        shift = back = np.zeros(self._rows)
        if self._cells is not None:
            own = self._cells.of(slice(place, place + 1), slice(None))
            changes |= cell_changes(own, memristor, write=True, name="cell_0")
            if not memristor.curve:
                # As in `ngspice_crossbar.Writer`: another Vto is a shifted state, which must not leak towards the shift.
                shift = own.shift(memristor)[0]
                back = shift * (1 - leaked(window, Cells.of(memristor, own).leak)[0])
        changes |= layer_state_changes(np.ndindex(1, self._rows), (column - shift).tolist())

        def run(solver: Solver) -> Waveforms:
            circuit = self._circuit(together, solver)
            circuit.alter(changes)
            return circuit.run(end + 4 * edge)
        written = first_that_ends((WRITING_LAYERS, WRITING), run).stack(self._names)[:, -1] + back
        return written if self._cells is None else np.where(self._cells.transconductance[place] == 0, column, written)
