"""Reads and writes of a crossbar in ngspice, image by image and column by column. Circuits stay loaded and are altered.

Only the rows that an image drives are simulated: a cell between an input at 0 V and a column at virtual ground carries no
current, so the waveforms are the same without this cell (tests/network/test_ngspice_crossbar.py).
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from memristive.devices.channel import leaked
from memristive.network.closed_form import Cells, crossbar_of
from memristive.network.setup import WRITE_EDGE, Setup, check_write, edges, write_window
from memristive.network.solvers import READING, WRITING, solver_for_cells, solver_for_device
from memristive.network.spike_decoding import first_spikes
from memristive.spice.session import LoadedCircuit, NgspiceSession, SimulationError, Solver, Waveforms
from snn_circuit import (
    OFF,
    CellValues,
    Wires,
    cell_changes,
    names,
    network,
    state_changes,
    state_names,
    threshold_changes,
)

# A read is simulated only until its decision, whose time the closed form predicts. If it ends too early, it is run again.
# (Stopping a longer run early would be simpler, but ngspice 44 leaks 2 kB each time.)
SAFETY = 0.01  # allowed relative error of predicted settled membranes

ROWS = 5  # circuits of 5, 10, 15, ... rows are kept, so that an image wastes at most four


class Reader:
    """Reader that presents images to a crossbar through circuits that stay loaded in ngspice.

    Parameters
    ----------
    setup : Setup
        If its wires have resistance, the whole network is simulated, because each cell then affects all others.
    classes : int
    solver : Solver
    """

    def __init__(self, setup: Setup, classes: int, solver: Solver = READING) -> None:
        self._setup, self._classes, schedule = setup, classes, setup.schedule
        self._solver = solver_for_device(solver, setup.memristor)
        self._wired = setup.devices.wires != Wires()
        self._crossbar = crossbar_of(setup)
        self._circuits: dict[tuple[int, Solver], _ReadCircuit] = {}
        # The column currents rise over the input's edge and stand still after it: V(t) = V(inf) * (1 - exp(-(t - delay) / tau)).
        tau = self._crossbar.neurons.time_constant
        self._delay = schedule.rise + tau * np.log(-np.expm1(-schedule.rise / tau) * tau / schedule.rise)
        self._shortest = max(0.6 * float(np.max(tau)), 2 * schedule.rise)  # by then the membranes show which neurons never fire
        self._thresholds = np.broadcast_to(self._crossbar.neurons.threshold, classes)

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int, jitter: np.ndarray | None = None) -> np.ndarray:
        """Return the first spike times of one image.

        Parameters
        ----------
        states : array, classes x inputs, V
        image : array, inputs
            Levels from 0 to 1.
        wanted : int
            The read ends once this many neurons have fired, or no other neuron can fire.
        jitter : array, classes, V, optional
            Read noise: shift of the neurons' thresholds in this read.

        Returns
        -------
        array, classes, s
            nan for a neuron that had not fired when the read ended.

        Raises
        ------
        ParameterError
            The image does not fit the states, or a level is outside 0 to 1.
        SimulationError
            ngspice cannot complete the transient.
        """
        predicted, schedule = self._crossbar.read(states, image).settled, self._setup.schedule
        driven = np.arange(len(image)) if self._wired else np.flatnonzero(image)
        solver = solver_for_cells(self._solver, self._crossbar.cells, states, image * schedule.input_voltage)
        circuit = self._circuit(len(image) if self._wired else max(1, -(-len(driven) // ROWS)) * ROWS, solver)
        volts, pulse = image[driven] * schedule.input_voltage, schedule.pulse
        circuit.set(states[:, driven], volts, driven)
        self._thresholds = np.broadcast_to(self._crossbar.neurons.threshold, self._classes)
        if jitter is not None:
            self._thresholds = self._thresholds + jitter
        if jitter is not None or circuit.jittered:  # by an earlier read
            circuit.alter(threshold_changes(self._thresholds - self._setup.neuron.threshold))
            circuit.jittered = jitter is not None
        needed = self._needed(predicted, np.full(self._classes, np.nan), wanted)
        stop = 0.0
        while stop < min(needed, pulse):
            stop = min(max(needed, 1.1 * stop, self._shortest), pulse)
            waves = circuit.run(stop)
            membranes = waves.stack(names("membrane", self._classes))
            needed = self._needed(*self._seen(waves.time, membranes), wanted)
        return first_spikes(waves.time, membranes, waves.stack(names("output", self._classes)), self._setup.neuron,
                            0.0, pulse, self._thresholds)

    def unload(self) -> None:
        """Remove the circuits from ngspice; the next read loads them again."""
        for circuit in self._circuits.values():
            circuit.unload()
        self._circuits.clear()

    def _circuit(self, rows: int, solver: Solver) -> "_ReadCircuit":
        if (rows, solver) not in self._circuits:
            self._circuits[rows, solver] = _ReadCircuit(self._setup, self._classes, rows, solver)
        return self._circuits[rows, solver]

    def _seen(self, time: np.ndarray, membranes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the settled membranes in V, extrapolated, and the time points in s before the spikes (nan: no spike)."""
        settled = membranes[:, -1] / -np.expm1(-(time[-1] - self._delay) / self._crossbar.neurons.time_constant)
        above = membranes >= self._thresholds[:, None]
        return settled, np.where(above[:, -1], time[np.argmax(above, axis=1) - 1], np.nan)

    def _needed(self, settled: np.ndarray, spikes: np.ndarray, wanted: int) -> float:
        """Return the duration in s that a read needs, from `settled` membranes in V and known `spikes` in s (nan: unknown).

        By then `wanted` neurons have fired, or all that can, and the paper's rule has sampled the first spike.
        """
        # The nearer to the threshold a membrane settles, the later it may cross it: up to the end of the pulse.
        share = np.minimum(self._thresholds / np.maximum((1 - SAFETY) * settled, self._thresholds), 1 - 1e-9)
        expected = np.where(np.isnan(spikes), self._delay - self._crossbar.neurons.time_constant * np.log1p(-share), spikes)
        times = np.sort(expected[~np.isnan(spikes) | (settled >= (1 - SAFETY) * self._thresholds)])
        if not len(times):
            return self._shortest
        last = max(times[min(wanted, len(times)) - 1], times[0] + self._setup.schedule.sampling_step)
        # One step more, so that the last spike lies between time points as the others do.
        return last + self._solver.max_step


class _ReadCircuit:
    """Read circuit of some rows, loaded in ngspice; rows that an image does not need stay at 0 V.

    For each image, the rows are assigned to the inputs that it drives, and `alter` gives their cells the values of the chip's
    cells. Vto cannot be altered, so states are shifted by its deviation. With resistive wires, every row belongs to one input.
    """

    def __init__(self, setup: Setup, classes: int, rows: int, solver: Solver) -> None:
        self.jittered = False
        self._rows, self._cells = rows, [(j, i) for j in range(classes) for i in range(rows)]
        schedule, devices, self._memristor = setup.schedule, setup.devices, setup.memristor
        self._reassigned = devices.cells if devices.wires == Wires() else None
        placed = devices if self._reassigned is None else dataclasses.replace(devices, cells=None)
        circuit = network(setup.network, np.zeros((classes, rows)), None, title="read", devices=placed)
        self._loaded = NgspiceSession().load(circuit, solver, names("membrane", classes) + names("output", classes))
        self._loaded.alter({"vpulse pwl": [0.0, 0.0, schedule.rise, 1.0, schedule.pulse, 1.0]})
        self.run, self.alter, self.unload = self._loaded.run, self._loaded.alter, self._loaded.unload

    def set(self, states: np.ndarray, volts: np.ndarray, driven: np.ndarray) -> None:
        """Set the states (classes x driven rows, V) and the voltages of the inputs `driven`; ngspice gets only what changes."""
        if self._reassigned is not None:
            cells = self._reassigned.of(slice(None), driven)
            self._loaded.alter(cell_changes(cells, self._memristor))
            states = states - (cells.threshold_voltage - self._memristor.threshold_voltage)
        padded_volts, padded_states = np.zeros(self._rows), np.zeros((len(states), self._rows))
        padded_volts[:len(volts)], padded_states[:, :len(volts)] = volts, states
        changes = {f"einput_{k} gain": volt for k, volt in enumerate(padded_volts)}
        self._loaded.alter(changes | state_changes(self._cells, padded_states.ravel()))


class Writer:
    """Writer of one column of a crossbar at a time: the inputs apply the image while only that column's phi is high.

    Columns are independent, because inputs are ideal and each column has a phi. So the column is simulated alone, with all its
    cells.
    """

    def __init__(self, setup: Setup, inputs: int, solver: Solver = WRITING) -> None:
        self._setup, self._solver, self._circuits = setup, solver, dict[Solver, LoadedCircuit]()
        self._phi_share = setup.memristor.switch_threshold / setup.schedule.phi_voltage
        self._cells = [(0, i) for i in range(inputs)]
        self._states = state_names(1, inputs)

    def _circuit(self, solver: Solver) -> LoadedCircuit:
        if solver not in self._circuits:
            circuit = network(self._setup.network, np.zeros((1, len(self._cells))), None, [OFF], neurons=False, title="write")
            self._circuits[solver] = NgspiceSession().load(circuit, solver, self._states)
        return self._circuits[solver]

    def write(self, column: np.ndarray, image: np.ndarray, sign: int, pulse: float,
              cells: CellValues | None = None) -> np.ndarray:
        """Return a column's states after one write.

        Parameters
        ----------
        column : array, inputs, V
            States before the write.
        image : array, inputs
            Levels from 0 to 1.
        sign : int
            1 potentiates, -1 depresses.
        pulse : float
            Width in s.
        cells : CellValues, optional
            Values of a chip's cells in this column, 1 x inputs. Every write needs them, or none.

        Raises
        ------
        ParameterError
            The image does not fit the column, or the pulse is not above 0 s.
        SimulationError
            ngspice cannot complete the transient.
        """
        check_write(column, image, pulse)
        memristor, shift = self._setup.memristor, np.zeros(len(column))
        volts = image * self._setup.schedule.input_voltage
        back = shift  # added to the states at the end of the transient
        changes = _write_changes(self._setup, image, sign, pulse, 0)
        if cells is not None:
            changes |= cell_changes(cells, memristor, write=True)
        if cells is not None and not memristor.curve:
            # A cell with another Vto conducts like a cell with the nominal Vto and a shifted state. But it would leak towards
            # the shift instead of 0 V, which `back` corrects. (The correction is too small for cells that do not conduct, whose
            # capacitance is below C + C_gate.)
            shift = cells.shift(memristor)[0]
            back = shift * (1 - leaked(write_window(pulse, self._phi_share)[0], Cells.of(memristor, cells).leak)[0])
        written = volts if cells is None else np.where(cells.transconductance[0] != 0, volts, 0.0)  # not the stuck cells
        changes |= state_changes(self._cells, column - shift)

        def run(solver: Solver) -> Waveforms:
            circuit = self._circuit(solver)
            circuit.alter(changes)
            return _end_of_write(circuit, pulse)
        careful = solver_for_cells(self._solver, memristor, column - shift, written)
        return first_that_ends((careful, self._solver), run).stack(self._states)[:, -1] + back


class WiredWriter:
    """Writer of one column of a chip with resistive wires. The whole crossbar is simulated, because all cells load the rows."""

    def __init__(self, setup: Setup, classes: int, inputs: int) -> None:
        self._setup, self._shape = setup, (classes, inputs)
        circuit = network(setup.network, np.zeros(self._shape), None, [OFF] * classes, neurons=False, title="write",
                          devices=setup.devices)
        self._states = state_names(*self._shape)
        self._circuit = NgspiceSession().load(circuit, WRITING, self._states)

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float,
              transconductance: np.ndarray) -> np.ndarray:
        """Return the column's states, as `Writer.write` does.

        `states`: classes x inputs, V; `transconductance`: write gains of the column's cells, inputs, S.
        """
        check_write(states, image, pulse)
        changes: dict[str, Any] = {f"vphi_{j} pwl": np.ravel(OFF) for j in range(len(states)) if j != column}
        changes |= {f"g.xcell_{column}_{i}.gcharge gain": value for i, value in enumerate(transconductance)}
        changes |= _write_changes(self._setup, image, sign, pulse, column)
        self._circuit.alter(changes | state_changes(np.ndindex(self._shape), states.ravel()))
        return _end_of_write(self._circuit, pulse).stack(self._states)[:, -1].reshape(self._shape)[column]


def first_that_ends(solvers: Iterable[Solver], run: Callable[[Solver], Waveforms]) -> Waveforms:
    """Return `run(solver)` for the first solver with which ngspice completes the run; raise SimulationError if none does."""
    *tighter, last = dict.fromkeys(solvers)
    for solver in tighter:
        with contextlib.suppress(SimulationError):
            return run(solver)
    return run(last)


def _write_changes(setup: Setup, image: np.ndarray, sign: int, pulse: float, column: int) -> dict[str, Any]:
    """Return the `alter` changes that apply an image to the inputs and a pulse to the phi of a `column`."""
    schedule = setup.schedule
    shape = np.array(edges(0.0, pulse, WRITE_EDGE * pulse, 1.0))
    changes = {f"einput_{i} gain": volts for i, volts in enumerate(sign * schedule.input_voltage * image)}
    return changes | {"vpulse pwl": np.ravel(shape), f"vphi_{column} pwl": np.ravel(shape * (1.0, schedule.phi_voltage))}


def _end_of_write(circuit: LoadedCircuit, pulse: float) -> Waveforms:
    try:
        return circuit.run((1 + 2 * WRITE_EDGE) * pulse)
    except SimulationError:
        # One write in 100,000 leaves a last step of 1e-15 s, too short for ngspice: a slightly later end avoids it.
        return circuit.run((1 + 2.1 * WRITE_EDGE) * pulse)
