"""One layer in ngspice: read, read back, write. Circuits are loaded once, then altered and run.

A read is divided where nothing flows back: at the neurons' outputs, and at the op-amp outputs that
drive the membranes through a transconductance. The currents of a crossbar that an image drives are
constant after the image's edge, so only the edge is simulated. A second circuit holds the membranes
alone, which go on from where the edge has left them. If spikes drive the rows, one circuit holds
everything.

Only driven rows are simulated. A row at 0 V gives its columns no current, but its cells load them:
a column is at the op-amp's output over its gain, not quite at ground. One resistor for each column
stands for these cells. A layer of many columns is divided into blocks, which are independent. With
resistive wires everything depends on everything, so the whole crossbar is simulated.
tests/engines/test_whole_network.py compares the results with one transient of the whole network.

For a chip, `alter` sets the values of cells and neurons. Two values cannot be altered, or need not
be: Vto, by which the states are shifted instead, and the neurons' thresholds, with which the
simulated membranes are compared.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from memristive.devices.cells import Cells, cell_changes, neuron_changes
from memristive.engines.solvers import READING_LAYERS, WRITING, WRITING_LAYERS, curved_share
from memristive.network.design import FloatOrArray
from memristive.network.layer import Layer
from memristive.network.netlists import (
    NEVER,
    NO_LOAD,
    back_circuit,
    column_circuit,
    crossbar_circuit,
    membrane_circuit,
)
from memristive.parameters import Fields
from memristive.scores.decisions import first_spikes
from memristive.spice.pyspice import Circuit
from memristive.spice.session import (
    LoadedCircuit,
    NgspiceSession,
    SimulationError,
    Solver,
    Waveforms,
)
from memristive.writing.base import Write
from memristor import leaked
from snn_circuit import names, state_changes

# circuits have 10, 20, 30, ... rows, or multiples of a tenth of the layer's rows if that is more
ROWS = 10
# approximate number of cells in a circuit: larger circuits do not fit the processor's cache
BLOCK_CELLS = 2500
# longest steps of a crossbar in edges of the image, of membranes in time constants
EDGE_STEP, MEMBRANE_STEP = 0.1, 1 / 60
FINER = 1 / 40  # factor on steps if rows may lift the gates non-linearly (`solvers.read_solver`)
# share of a column's current by cells that are lifted non-linearly, above which steps are finer
CURVED = 0.2
# end of a crossbar's run, in edges: the currents through the gates' capacitances have then ended
SETTLED = 1.2
# V below Vto: so low are the cells of a circuit's spare rows, which then carry no current
OFF = 1.0
LAST_WAIT = 3e-6  # s, from the last spike that is waited for to the end of a read
WRITE_EDGE = 0.02  # duration of each edge as a share of the time for which phi is high
# s: with shorter edges, rounding of channel charges is a current above ngspice's tolerance
SHORTEST_WRITE = 1e-6
BACK_RISE, BACK_STOP = 1e-6, 3e-6  # s


@dataclass(eq=False)
class _RowPool:
    """Circuits that hold a few rows of a layer, the bias row last. There is a circuit for each of
    the `blocks`, groups into which the neurons are divided.
    """

    blocks: list[np.ndarray]  # neurons of each circuit
    columns: list[np.ndarray]  # columns of each circuit
    circuits: list[LoadedCircuit]
    inputs: np.ndarray  # input that each row is assigned to; -1: none
    states: np.ndarray  # V, columns x circuit's rows, as in the circuits

    def __iter__(self) -> Iterator[tuple[np.ndarray, LoadedCircuit]]:
        return zip(self.blocks, self.circuits, strict=True)


class NgspiceLayer:
    """One layer in ngspice: reads, back-reads and writes; its states (columns x rows, V) are an
    argument of each call.

    Parameters
    ----------
    layer : Layer
    solver : Solver
        All time steps of reads are scaled by the ratio of its `max_step` to the `max_step` of
        `READING_LAYERS`.
    """

    def __init__(self, layer: Layer, solver: Solver = READING_LAYERS) -> None:
        self._layer, self._cells = layer, layer.devices.cells
        self._bias, self._memristor = int(layer.bias is not None), layer.memristor
        self._solver, self._scale = (
            dataclasses.replace(solver, trtol=1e6),
            solver.max_step / READING_LAYERS.max_step,
        )
        self._pools: dict[tuple[int, bool, float], _RowPool] = {}
        self._circuits: dict[object, LoadedCircuit] = {}  # membranes, back-reads, writes
        neurons = layer.circuits
        # V, s
        self._thresholds, self.time_constant = (
            np.full(layer.neurons, neurons.threshold),
            neurons.time_constant,
        )
        # Cells of another Vto conduct like cells of the nominal Vto and a shifted state.
        self._shift = np.zeros((layer.width, layer.rows))
        if self._cells is not None:
            self._shift = self._cells.shift(layer.memristor)

    # Reads

    def read(
        self,
        states: np.ndarray,
        levels: np.ndarray,
        wanted: int = 1,
        stop: float | None = None,
        noise: np.ndarray | None = None,
        jitter: FloatOrArray = 0.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the first spike times and the settled membranes while an image drives the rows.

        Parameters
        ----------
        states : array, columns x rows, V
        levels : array, inputs, 0 to 1; or reads x inputs
            Reads are made one after the other. Without noise, reads at equal levels are made once,
            because they give equal spikes.
        wanted : int
            The read ends `LAST_WAIT` after this many neurons have fired, or all that will, and not
            before `Layer.after` since the first spike.
        stop : float, s, optional
            End of the read in the place of `wanted`.
        noise : array, reads (or 1) x inputs of stages, A, optional
            Noise currents from the read noise of the cells: one for each neuron, and then one for
            the reference column, or with pairs for each neuron's negative columns.
        jitter : array (neurons) or float, V
            Threshold noise: shift of each threshold. Ignored for several reads.

        Returns
        -------
        times : array, (reads x) neurons, s
            nan for a neuron that does not fire by `stop` or within the window.
        settled : array, (reads x) neurons
            Settled membranes in thresholds.
        """
        if levels.ndim > 1:
            place = np.arange(len(levels))
            if noise is None or not self._layer.read_noise:
                levels, place = np.unique(levels, axis=0, return_inverse=True)
                noise = None
            own = [None] * len(levels) if noise is None else noise[:, None]
            results = [
                self.read(states, of_read, wanted, stop, of_noise)
                for of_read, of_noise in zip(levels, own, strict=True)
            ]
            each, ends = (np.array(values)[place] for values in zip(*results, strict=True))
            return each, ends
        layer, thresholds = self._layer, self._thresholds + jitter
        pool, places, inputs = self._assign_rows(
            states, np.flatnonzero(levels), False, self._finer(states, levels)
        )
        gains = np.zeros(pool.states.shape[1])
        gains[places], gains[len(pool.inputs) :] = levels[inputs], 1.0
        changes = {
            f"erow_0_{k} gain": volts
            for k, volts in enumerate((gains * layer.row_voltage).tolist())
        }
        loads = self._loads(states, levels == 0)
        early, starts, drives, begin = [], [], [], SETTLED * layer.rise
        for block, circuit in pool:
            circuit.alter(
                changes
                | self._load_changes(block, loads)
                | self._noise(block, noise, [len(gains) - 1], [0])
            )
            waves = circuit.run(begin)
            early.append(self._first_spikes(waves, thresholds[block], begin))
            starts.append(waves.stack(names("membrane_0", len(block)))[:, -1])
            drives.append(waves.stack(names("drive_0", len(block)))[:, -1])
        first, start, drive = (np.concatenate(parts) for parts in (early, starts, drives))
        ends = layer.neuron.membrane_gain * drive
        if stop is None:
            fires = ends > thresholds
            ratio = np.divide(ends - start, ends - thresholds, where=fires, out=np.ones(len(ends)))
            times = np.sort((begin + self.time_constant * np.log(ratio))[fires])
            stop = (
                max(times[min(wanted, len(times)) - 1], times[0] + layer.after) + LAST_WAIT
                if len(times)
                else 0.0
            )
        stop = max(min(stop, layer.window) - begin, layer.rise)
        late = begin + self.race(np.zeros(1), drive[:, None], stop, start, thresholds)
        return np.where(np.isnan(first), late, first), ends / thresholds

    def race(
        self,
        time: np.ndarray,
        drives: np.ndarray,
        stop: float,
        start: FloatOrArray = 0.0,
        thresholds: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the first spikes in s (neurons; nan: none up to `stop` s) of membranes that are
        simulated alone.

        The membranes are at `start` (neurons, V) at t = 0. Their drives have the values `drives`
        (neurons x times, V) at the times `time` in s. `thresholds`: neurons, V; None: the layer's.
        """
        layer, values = self._layer, self._layer.devices.neurons
        if "membranes" not in self._circuits:
            step = MEMBRANE_STEP * layer.neuron.time_constant * self._scale
            loaded = self._load(
                "membranes",
                membrane_circuit(layer),
                dataclasses.replace(self._solver, max_step=step),
                names("membrane_0", layer.neurons),
            )
            if values is not None:
                loaded.alter(neuron_changes(values, range(layer.neurons), "membrane"))
        circuit = self._circuits["membranes"]
        points = np.stack([np.broadcast_to(time, drives.shape), drives], axis=2).reshape(
            len(drives), -1
        )
        circuit.alter(
            {f"vdrive_0_{j} pwl": [*row, 1.0, row[-1]] for j, row in enumerate(points.tolist())}
            | {
                f"c.xmembrane_0_{j}.cmembrane ic": volts
                for j, volts in enumerate(np.broadcast_to(start, len(drives)).tolist())
            }
        )
        return self._first_spikes(
            circuit.run(stop), self._thresholds if thresholds is None else thresholds, stop
        )

    def read_steps(
        self, states: np.ndarray, spikes: np.ndarray, stop: float, noise: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return first spikes and settled membranes as `read` does, while rows step up at `spikes`
        (inputs, s; nan: never; or reads x inputs).

        `stop`: end of the read in s. `noise`: currents in A, rows of each read x inputs of stages
        (as in `read`).
        """
        if spikes.ndim > 1:
            own = [None] * len(spikes) if noise is None else np.split(noise, len(spikes))
            found = [
                self.read_steps(states, of_read, stop, of_noise)
                for of_read, of_noise in zip(spikes, own, strict=True)
            ]
            each, ends = map(np.array, zip(*found, strict=True))
            return each, ends
        layer, times, settled = self._layer, [], []
        pool, places, inputs = self._assign_rows(
            states, np.flatnonzero(~np.isnan(spikes)), True, self._finer(states, None)
        )
        steps = np.full(len(pool.inputs), NEVER)
        # every row starts at 0 V
        steps[places] = np.maximum(spikes[inputs], self._solver.max_step / 2)
        changes = {f"v.xrow_0_{k}.vat dc": spike for k, spike in enumerate(steps.tolist())}
        slots, loads = [*places.tolist(), len(pool.inputs)], self._loads(states, np.isnan(spikes))
        for block, circuit in pool:
            circuit.alter(
                changes
                | self._load_changes(block, loads)
                | self._noise(block, noise, slots, np.append(inputs, -1))
            )
            waves = circuit.run(stop)
            times.append(self._first_spikes(waves, self._thresholds[block], stop))
            drives = waves.stack(names("drive_0", len(block)))[:, -1]
            settled.append(layer.neuron.membrane_gain * drives / self._thresholds[block])
        return np.concatenate(times), np.concatenate(settled)

    def _finer(self, states: np.ndarray, levels: np.ndarray | None) -> float:
        """Return the factor by which the time steps of a read are scaled: below 1 if inputs lift
        many gates non-linearly. `levels`: inputs; None: all may be high.
        """
        volts = self._layer.row_voltage * (
            np.ones(self._layer.inputs) if levels is None else levels
        )
        cells = Cells.of(self._memristor, self._cells).at(
            slice(self._layer.columns), slice(self._layer.inputs)
        )
        return (
            FINER if curved_share(cells, states[:, : self._layer.inputs], volts) > CURVED else 1.0
        )

    def _noise(
        self,
        block: np.ndarray,
        noise: np.ndarray | None,
        slots: Iterable[int],
        rows: np.ndarray | Sequence[int] | slice,
    ) -> dict[str, float]:
        """Return the changes for `alter` that set the noise currents of a `block` of neurons. Rows
        `rows` of `noise` (as in `read` or `read_steps`) go to the rows `slots` of the circuit, one
        for each.
        """
        if not self._layer.read_noise or noise is None:
            return {}
        siemens = noise[rows][:, self._stage_inputs(block)] / self._layer.row_voltage
        return {
            f"gnoise_0_{c}_{k} gain": gain
            for k, of_row in zip(slots, siemens.tolist(), strict=True)
            for c, gain in enumerate(of_row)
        }

    def _stage_inputs(self, block: np.ndarray) -> np.ndarray:
        """Return the inputs of stages of a `block` of neurons, as indices of the `noise` of `read`:
        first its positive columns, then its negative ones or the reference.
        """
        return self._layer.synapses.columns_of(block, self._layer.neurons, 1)

    def _loads(self, states: np.ndarray, undriven: np.ndarray) -> np.ndarray:
        """Return for each input of a stage the conductance in S with which the cells of `undriven`
        inputs (True for each) load it.
        """
        if self._layer.wired:
            return np.zeros(self._layer.columns)
        return self._layer.stage_loads(states, np.append(undriven, np.zeros(self._bias, bool)))

    def _load_changes(self, block: np.ndarray, loads: np.ndarray) -> dict[str, float]:
        ohms = 1 / np.maximum(loads[self._stage_inputs(block)], 1 / NO_LOAD)
        return {f"rload_0_{c}": ohm for c, ohm in enumerate(ohms.tolist())}

    def _first_spikes(self, waves: Waveforms, thresholds: np.ndarray, stop: float) -> np.ndarray:
        """Return the first times in s up to `stop` at which the membranes cross their `thresholds`,
        nan for none; the circuits have no triggers.
        """
        membranes = waves.stack(names("membrane_0", len(thresholds)))
        # with the last point
        return first_spikes(
            waves.time, membranes, None, self._layer.neuron, 0.0, 2 * stop, thresholds
        )

    def _assign_rows(
        self, states: np.ndarray, driven: np.ndarray, steps: bool, finer: float
    ) -> tuple[_RowPool, np.ndarray, np.ndarray]:
        """Assign a row of a circuit to each of the inputs `driven` (indices), and set the `states`
        of their cells.

        An input keeps its row until another input needs it. `steps`: True if spikes drive the rows.
        `finer`: factor on the time steps. Returns the circuits, the indices of their rows in use
        (without the bias row), and the input of each of these rows.
        """
        layer = self._layer
        step = max(ROWS, layer.rows // 10)
        key = layer.inputs if layer.wired else max(1, -(-len(driven) // step)) * step, steps, finer
        if key not in self._pools:
            self._pools[key] = self._load_rows(*key)
        pool = self._pools[key]
        new = driven[~np.isin(driven, pool.inputs)]
        free = np.flatnonzero(~np.isin(pool.inputs, driven))[: len(new)]
        pool.inputs[free] = new
        self._place_cells(pool, free, new)
        places = np.flatnonzero(np.isin(pool.inputs, driven) | layer.wired)
        inputs = pool.inputs[places]
        bias = np.full(self._bias, -1)
        slots, sources = np.append(places, bias + 1 + key[0]), np.append(inputs, bias)
        target = np.full(pool.states.shape, self._memristor.threshold_voltage - OFF)
        target[:, slots] = (layer.with_reference(states) - self._shift)[:, sources]
        for columns, circuit in zip(pool.columns, pool.circuits, strict=True):
            _alter_states(circuit, pool.states[columns], target[columns])
        pool.states = target
        return pool, places, inputs

    def _load_rows(self, rows: int, steps: bool, finer: float) -> _RowPool:
        layer = self._layer
        total = rows + self._bias
        number = 1 if layer.wired else min(layer.neurons, -(-layer.columns * total // BLOCK_CELLS))
        blocks, circuits = np.array_split(np.arange(layer.neurons), number), []
        step = self._solver.max_step * finer if steps else EDGE_STEP * layer.rise * finer
        for block in blocks:
            circuit = crossbar_circuit(
                layer, len(block), total, self._solver.max_step if steps else 0.0
            )
            saved = [
                name for kind in ("membrane", "drive") for name in names(f"{kind}_0", len(block))
            ]
            circuits.append(
                NgspiceSession().load(
                    circuit, dataclasses.replace(self._solver, max_step=step), saved
                )
            )
            if layer.devices.neurons is not None:
                for kind in ("stages", "membrane"):
                    circuits[-1].alter(neuron_changes(layer.devices.neurons, block, kind))
        own = layer.synapses
        columns = [own.columns_of(block, layer.neurons, own.cells) for block in blocks]
        inputs = np.arange(rows) if layer.wired else np.full(rows, -1)
        pool = _RowPool(
            blocks, columns, circuits, inputs, np.full((len(self._shift), total), layer.rest)
        )
        fixed = np.arange(0 if layer.wired else rows, total)
        self._place_cells(pool, fixed, np.append(inputs, np.full(self._bias, -1))[fixed])
        return pool

    def _place_cells(self, pool: _RowPool, places: np.ndarray, inputs: np.ndarray) -> None:
        """Give the cells in the circuit's rows `places` (indices) the values of the chip's cells at
        `inputs`.
        """
        if self._cells is None or not len(places):
            return
        for columns, circuit in zip(pool.columns, pool.circuits, strict=True):
            values = self._cells.at(*np.ix_(columns, inputs))
            circuit.alter(
                cell_changes(values, self._memristor, name="cell_0", places=places.tolist())
            )

    def reset(self) -> None:
        """Forget which row each input of the circuit has. The order of the rows changes the last
        digits of a read, so reads are then repeatable.
        """
        for pool in self._pools.values():
            if not self._layer.wired:
                pool.inputs[:] = -1

    # Back-reads

    def read_back(self, states: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Return for each row except the bias row the sum over the neurons of error x (X - X_ref),
        in V times the unit of the `errors` (neurons).

        With pairs, the result is the sum of error x (X+ - X-), averaged over the pairs.
        """
        layer = self._layer
        currents = [f"i(vrow_0_{k})" for k in range(layer.inputs)]
        if "back" not in self._circuits:
            loaded = self._load("back", back_circuit(layer), WRITING, currents)
            loaded.alter({"vpulse pwl": [0.0, 0.0, BACK_RISE, 1.0, 1.0, 1.0]})
            if self._cells is not None:
                loaded.alter(
                    cell_changes(
                        self._cells.at(slice(None), slice(layer.inputs)),
                        self._memristor,
                        name="cell_0",
                    )
                )
            self._of_back = np.full((layer.width, layer.inputs), np.nan)
        circuit, target = (
            self._circuits["back"],
            (layer.with_reference(states) - self._shift)[:, : layer.inputs],
        )
        _alter_states(circuit, self._of_back, target)
        self._of_back = target
        driven = layer.back_voltage * layer.synapses.errors(errors)
        circuit.alter({f"ecolumn_0_{c} gain": volts for c, volts in enumerate(driven.tolist())})
        waves = circuit.run(BACK_STOP)
        return waves.stack(currents)[:, -1] / (
            self._memristor.gain * layer.back_voltage * layer.synapses.cells
        )

    # Writes

    def write(
        self,
        states: np.ndarray,
        doses: Sequence[Write],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Return the states of the layer (columns x rows, V) after the writes `doses`, one after
        the other.
        """
        states = states.copy()
        for dose in doses:
            states[dose.column] = self._layer.way.in_ngspice(
                self._layer, self.write_column, states, dose, rng
            )
        return states

    def write_column(
        self,
        states: np.ndarray,
        column: int,
        levels: np.ndarray,
        high: np.ndarray,
        pulse: float,
        gains: FloatOrArray | None = None,
    ) -> np.ndarray:
        """Return the states (rows, V) of a `column` after one write, in which its phi is high for
        as long as some row is high.

        Parameters
        ----------
        states : array, columns x rows, V
        column : int
        levels : array, rows
            Shares of the write voltage, from 0 to 1.
        high : array, rows
            Share of the pulse for which each row is high; all rows fall together.
        pulse : float
            Width in s; negative: at the negative voltage. `lengthened` makes short pulses longer,
            at a lower voltage.
        gains : array, rows, S, optional
            Write gains of the column's cells in this write; None: the chip's.
        """
        layer, memristor = self._layer, self._memristor
        pulse, levels, window = lengthened(pulse, levels, high)
        if window == 0:
            return states[column]
        together, place = bool((high == high[0]).all()), column if layer.wired else 0
        written = slice(None) if layer.wired else slice(column, column + 1)
        changes, stop = self._waves(levels, high, pulse, window, together, place)
        shift, back, stuck = self._shift[: layer.columns][written], 0.0, np.zeros(layer.rows, bool)
        if self._cells is not None:
            own = self._cells.at(written)
            if gains is not None:
                factor = np.zeros(len(own.gain), bool)
                factor[place] = True
                own = dataclasses.replace(
                    own, transconductance=np.where(factor[:, None], gains, own.transconductance)
                )
            changes |= cell_changes(own, memristor, write=True, name="cell_0")
            stuck = own.transconductance[place] == 0
            # A shifted state must not leak towards the shift. (The correction is too small for
            # cells that do not conduct, whose capacitance is below C + C_gate.)
            leak = own.leak
            back = 0.0 if memristor.curve else (shift * (1 - leaked(window, leak)[0]))[place]
            shift = 0.0 * shift if memristor.curve else shift
        changes |= state_changes(
            np.ndindex(len(shift), layer.rows), (states[written] - shift).ravel().tolist(), "cell_0"
        )

        def run(solver: Solver) -> Waveforms:
            key = "write", together, solver
            if key not in self._circuits:
                self._load(
                    key,
                    column_circuit(layer, together),
                    solver,
                    [f"xcell_0_{c}_{k}.gate" for c, k in np.ndindex(len(shift), layer.rows)],
                )
            circuit = self._circuits[key]
            circuit.alter(changes)
            return circuit.run(stop)

        try:
            waves = run(WRITING_LAYERS)
        except SimulationError:
            waves = run(WRITING)
        after = waves.stack(f"xcell_0_{place}_{k}.gate" for k in range(layer.rows))[:, -1] + back
        return np.where(stuck, states[column], after)

    def _waves(
        self,
        levels: np.ndarray,
        high: np.ndarray,
        pulse: float,
        window: float,
        together: bool,
        place: int,
    ) -> tuple[Fields, float]:
        """Return the changes for `alter` by which a write drives rows and phi, and the end of the
        transient in s. `levels`, `high`, `pulse`: as in `write_column`. `window`: time in s for
        which phi number `place` is high. `together`: all rows rise at the same time.
        """
        edge, memristor = WRITE_EDGE * window, self._memristor
        phi = 1.2 if memristor.switch_threshold < 1 else 2 * memristor.switch_threshold
        # The switch opens and closes as phi's edges cross its threshold. Rows that are high from
        # the start rise before that, and all rows fall after it: the overlap of row and phi is
        # exact.
        crossing = edge * memristor.switch_threshold / phi
        start, end = 3 * edge, 3 * edge + window
        changes: Fields = {
            f"vphi_{c} pwl": [0.0, 0.0, 1.0, 0.0]
            for c in range(self._layer.columns * self._layer.wired)
        }
        opening = [start - crossing, 0.0, start - crossing + edge, phi]
        closing = [end - edge + crossing, phi, end + crossing, 0.0]
        changes[f"vphi_{place} pwl"] = [0.0, 0.0, *opening, *closing]
        volts = (np.sign(pulse) * levels * self._layer.write_voltage).tolist()
        fall = [end + 2 * edge, 1.0, end + 3 * edge, 0.0]
        if together:
            changes["vpulse pwl"] = [0.0, 0.0, 1.5 * edge, 0.0, 2.5 * edge, 1.0, *fall]
            return changes | {
                f"erow_0_{k} gain": level for k, level in enumerate(volts)
            }, end + 4 * edge
        for k, level in enumerate(volts):
            up = end - abs(pulse) * high[k] if high[k] < high.max() else 2 * edge
            shape = np.array([0.0, 0.0, up - edge / 2, 0.0, up + edge / 2, 1.0, *fall])
            shape[1::2] *= level
            changes[f"vrow_0_{k} pwl"] = (
                shape.tolist() if level and high[k] > 0 else [0.0, 0.0, 1.0, 0.0]
            )
        return changes, end + 4 * edge

    def _load(
        self, key: object, circuit: Circuit, solver: Solver, saved: list[str]
    ) -> LoadedCircuit:
        self._circuits[key] = NgspiceSession().load(circuit, solver, saved)
        return self._circuits[key]

    def unload(self) -> None:
        """Remove all circuits from ngspice; they are loaded again when they are needed."""
        for circuit in [
            *self._circuits.values(),
            *(circuit for pool in self._pools.values() for circuit in pool.circuits),
        ]:
            circuit.unload()
        self._circuits.clear()
        self._pools.clear()


def _alter_states(circuit: LoadedCircuit, before: np.ndarray, states: np.ndarray) -> None:
    """Give the cells of a circuit their `states` (columns x rows, V) if these differ from those
    `before`.
    """
    changed = states != before
    circuit.alter(state_changes(np.argwhere(changed).tolist(), states[changed].tolist(), "cell_0"))


def lengthened(
    pulse: float, levels: np.ndarray, high: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """Return a write of the same dose during which phi is high for at least `SHORTEST_WRITE`.

    It is the width of its pulse in s, its levels (rows), and the time in s for which phi is high (0
    if no row is high).

    Arguments are as in `write_column`. A `pulse` that is too short is made longer, with lower
    `levels`.
    """
    window = float(abs(pulse) * high.max())
    slower = max(1.0, SHORTEST_WRITE / window) if window else 1.0
    return pulse * slower, levels / slower, window * slower
