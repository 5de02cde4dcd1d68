"""Reading a trained crossbar image by image, fast: one circuit kept in ngspice, altered, run, read.

Only the rows an image drives are simulated: a cell between an input at 0 V and a column at virtual ground carries no
current, so its waveforms are unchanged without it (tests/test_readout.py holds that against the whole network).
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from memristive.single_layer.closed_form import Cells, Crossbar
from memristive.single_layer.pulses import (
    READING,
    WRITE_EDGE,
    WRITING,
    Schedule,
    check_write,
    edges,
    followed,
    suited,
    write_window,
)
from memristive.single_layer.spike_decoding import first_spikes
from memristive.spice.session import LoadedCircuit, NgspiceSession, SimulationError, Solver, Waveforms
from memristive.variability.chip import Chip
from snn_circuit import (
    ALIKE,
    OFF,
    CellValues,
    Devices,
    NetworkParameters,
    Wires,
    cell_changes,
    names,
    network,
    state_changes,
    state_names,
    threshold_changes,
)

# A read is simulated for no longer than its decision takes, which the closed form foretells: where it foretold too little,
# the read is run again. (Ending a longer run early would be simpler, but then ngspice 44 loses 2 kB each time.)
SAFETY = 0.01  # error of settled membrane voltages that is allowed for

ROWS = 5  # circuits with room for 5, 10, 15, ... driven rows are kept, so that an image wastes at most four


class Reader:
    """Presents images to a crossbar through persistent circuits in one `NgspiceSession`.

    `schedule` gives pulse and edges; states go with each call, so that training may change them between two reads. `chip`:
    whose devices differ; if its wires resist, the whole network is simulated, since then every cell sees every other.
    """

    def __init__(self, session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, classes: int,
                 solver: Solver = READING, chip: Chip | None = None) -> None:
        self._session, self._parameters, self._schedule = session, parameters, schedule
        self._solver = suited(solver, parameters.memristor)
        self._classes = classes
        self._devices = chip.devices(parameters) if chip else ALIKE
        # What is foretold does not know of wires: at worst the first run is too short, and is run again.
        unwired = dataclasses.replace(chip, row_resistance=0.0, column_resistance=0.0) if chip else None
        self._crossbar = unwired.crossbar(parameters, schedule) if unwired else Crossbar.of(parameters, schedule)
        self._circuits: dict[tuple[int, Solver], _ReadCircuit] = {}
        # The column currents rise over the input's edge and stand still after it: V(t) = V(inf) * (1 - exp(-(t - delay) / tau)).
        tau = self._crossbar.neurons.time_constant
        self._delay = schedule.rise + tau * np.log(-np.expm1(-schedule.rise / tau) * tau / schedule.rise)
        self._shortest = max(0.6 * float(np.max(tau)), 2 * schedule.rise)  # by then the membranes tell who will never fire
        self._thresholds = np.broadcast_to(self._crossbar.neurons.threshold, classes)

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int, jitter: np.ndarray | None = None) -> np.ndarray:
        """First spike times in s of one image: array of classes, nan for a neuron not (yet) fired when the read ended.

        `states`: classes x inputs in V; `image`: pixel levels 0 to 1. The read ends once `wanted` neurons have fired, or
        once no other neuron can fire any more. `jitter` in V (classes) moves the thresholds of a chip's neurons for this read.
        Raises SimulationError, and ParameterError for an image that does not fit the states, or with other levels.
        """
        foretold = self._crossbar.read(states, image).settled
        whole = self._devices.wires != Wires()
        driven = np.arange(len(image)) if whole else np.flatnonzero(image)
        solver = followed(self._solver, self._crossbar.cells, states, image * self._schedule.input_voltage)
        circuit = self._circuit(len(image) if whole else max(1, -(-len(driven) // ROWS)) * ROWS, solver)
        volts, pulse = image[driven] * self._schedule.input_voltage, self._schedule.pulse
        circuit.set(states[:, driven], volts, driven)
        self._thresholds = np.broadcast_to(self._crossbar.neurons.threshold, self._classes)
        if jitter is not None:
            self._thresholds = self._thresholds + jitter
        if jitter is not None or circuit.jittered:  # by a read before this one
            circuit.alter(threshold_changes(self._thresholds - self._parameters.neuron.threshold))
            circuit.jittered = jitter is not None
        needed = self._needed(foretold, np.full(self._classes, np.nan), wanted)
        stop = 0.0
        while stop < min(needed, pulse):
            stop = min(max(needed, 1.1 * stop, self._shortest), pulse)
            waves = circuit.run(stop)
            membranes = waves.stack(names("membrane", self._classes))
            needed = self._needed(*self._seen(waves.time, membranes), wanted)
        return first_spikes(waves.time, membranes, waves.stack(names("output", self._classes)), self._parameters.neuron,
                            0.0, pulse, self._thresholds)

    def _circuit(self, rows: int, solver: Solver) -> "_ReadCircuit":
        if (rows, solver) not in self._circuits:
            self._circuits[rows, solver] = _ReadCircuit(self._session, self._parameters, self._schedule, self._classes, rows,
                                                        solver, self._devices)
        return self._circuits[rows, solver]

    def _seen(self, time: np.ndarray, membranes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Settled membrane voltages in V by what they have done so far, and the time points in s before spikes (nan: none)."""
        settled = membranes[:, -1] / -np.expm1(-(time[-1] - self._delay) / self._crossbar.neurons.time_constant)
        above = membranes >= self._thresholds[:, None]
        return settled, np.where(above[:, -1], time[np.argmax(above, axis=1) - 1], np.nan)

    def _needed(self, settled: np.ndarray, spikes: np.ndarray, wanted: int) -> float:
        """How long in s the read must last: until `wanted` neurons have fired, or all that ever will, and the paper's
        sample of the first spike is over."""
        # The nearer to the threshold a membrane settles, the later it may cross it: up to the end of the pulse.
        share = np.minimum(self._thresholds / np.maximum((1 - SAFETY) * settled, self._thresholds), 1 - 1e-9)
        expected = np.where(np.isnan(spikes), self._delay - self._crossbar.neurons.time_constant * np.log1p(-share), spikes)
        times = np.sort(expected[~np.isnan(spikes) | (settled >= (1 - SAFETY) * self._thresholds)])
        if not len(times):
            return self._shortest
        last = max(times[min(wanted, len(times)) - 1], times[0] + self._schedule.sampling_step)
        # A step more than that, so that the last spike lies between time points as the others do.
        return last + self._solver.max_step


class _ReadCircuit:
    """A loaded read circuit of some rows; those beyond the image's stay at 0.

    The rows are lent to whichever inputs an image drives: a chip's cells move in with their values, altered, and with their
    states shifted by what their Vto is off. Where its wires resist, every row is its input's for good.
    """

    def __init__(self, session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, classes: int, rows: int,
                 solver: Solver, devices: Devices) -> None:
        self.jittered = False
        self._rows, self._cells = rows, [(j, i) for j in range(classes) for i in range(rows)]
        self._memristor = parameters.memristor
        self._tenants = devices.cells if devices.wires == Wires() else None
        placed = devices if self._tenants is None else dataclasses.replace(devices, cells=None)
        circuit = network(parameters, np.zeros((classes, rows)), None, title="read", devices=placed)
        self._loaded = session.load(circuit, solver, names("membrane", classes) + names("output", classes))
        self._loaded.alter({"vpulse pwl": [0.0, 0.0, schedule.rise, 1.0, schedule.pulse, 1.0]})
        self.run, self.alter = self._loaded.run, self._loaded.alter

    def set(self, states: np.ndarray, volts: np.ndarray, driven: np.ndarray) -> None:
        """Set the cells (classes x driven rows) and the inputs `driven`, in V; only what changes is sent."""
        if self._tenants is not None:
            cells = self._tenants.of(slice(None), driven)
            self._loaded.alter(cell_changes(cells, self._memristor))
            states = states - (cells.threshold_voltage - self._memristor.threshold_voltage)
        padded_volts, padded_states = np.zeros(self._rows), np.zeros((len(states), self._rows))
        padded_volts[:len(volts)], padded_states[:, :len(volts)] = volts, states
        changes = {f"einput_{k} gain": volt for k, volt in enumerate(padded_volts)}
        self._loaded.alter(changes | state_changes(self._cells, padded_states.ravel()))


class Writer:
    """Writes one column of a crossbar at a time: the inputs pulse the image while that column's phi alone is high.

    Columns are independent (ideal inputs, own phi), so the column is simulated alone, with all its cells.
    """

    def __init__(self, session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, inputs: int,
                 solver: Solver = WRITING) -> None:
        self._schedule, self._parameters, self._solver = schedule, parameters, solver
        self._session, self._circuits = session, dict[Solver, LoadedCircuit]()
        self._phi_share = Crossbar.of(parameters, schedule).phi_share
        self._cells = [(0, i) for i in range(inputs)]
        self._states = state_names(1, inputs)

    def _circuit(self, solver: Solver) -> LoadedCircuit:
        if solver not in self._circuits:
            circuit = network(self._parameters, np.zeros((1, len(self._cells))), None, [OFF], neurons=False, title="write")
            self._circuits[solver] = self._session.load(circuit, solver, self._states)
        return self._circuits[solver]

    def write(self, column: np.ndarray, image: np.ndarray, sign: int, pulse: float,
              cells: CellValues | None = None) -> np.ndarray:
        """A `column`'s states (inputs, V) after one write: potentiated by `image` (0 to 1), or depressed if `sign` is -1.

        `pulse` in s is the dose. `cells`: what a chip's cells of this column (1 x inputs) have of their own; all of them, or
        none, from one write to the next. Raises SimulationError, and ParameterError for an image or a pulse that is none.
        """
        check_write(column, image, pulse)
        memristor, shift = self._parameters.memristor, np.zeros(len(column))
        back = shift  # what is added to the states that ngspice ends with
        changes = _write_changes(self._schedule, image, sign, pulse, 0)
        if cells is not None:
            # Cells whose Vto is off conduct as shifted states of the usual Vto do, but those would leak towards the shift. (So do
            # cells that do not conduct, with less capacitance than C + C_gate: theirs is taken off too little.)
            shift = cells.threshold_voltage[0] - memristor.threshold_voltage
            window, _ = write_window(pulse, self._phi_share)
            back = shift * (1 - Crossbar.forgotten(Cells.of(memristor, cells), window)[0])
            changes |= cell_changes(cells, memristor, write=True)
        volts = image * self._schedule.input_voltage
        written = volts if cells is None else np.where(cells.transconductance[0] != 0, volts, 0.0)  # what is stuck is not
        changes |= state_changes(self._cells, column - shift)

        def run(solver: Solver) -> Waveforms:
            circuit = self._circuit(solver)
            circuit.alter(changes)
            return _end_of_write(circuit, pulse)
        careful = followed(self._solver, memristor, column - shift, written)
        return first_that_ends((careful, self._solver), run).stack(self._states)[:, -1] + back


class WiredWriter:
    """Writes one column of a chip whose wires resist: the whole crossbar is simulated, as all of it loads the rows."""

    def __init__(self, session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, chip: Chip,
                 solver: Solver = WRITING) -> None:
        self._schedule, self._shape = schedule, (chip.classes, chip.inputs)
        circuit = network(parameters, np.zeros(self._shape), None, [OFF] * chip.classes, neurons=False, title="write",
                          devices=chip.devices(parameters))
        self._states = state_names(*self._shape)
        self._circuit = session.load(circuit, solver, self._states)

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float,
              transconductance: np.ndarray) -> np.ndarray:
        """As `Writer.write`, given all `states` (classes x inputs, V) and the write gains (inputs, S) of this column's cells."""
        check_write(states, image, pulse)
        changes: dict[str, Any] = {f"vphi_{j} pwl": np.ravel(OFF) for j in range(len(states)) if j != column}
        changes |= {f"g.xcell_{column}_{i}.gcharge gain": value for i, value in enumerate(transconductance)}
        changes |= _write_changes(self._schedule, image, sign, pulse, column)
        self._circuit.alter(changes | state_changes(np.ndindex(self._shape), states.ravel()))
        return _end_of_write(self._circuit, pulse).stack(self._states)[:, -1].reshape(self._shape)[column]


def first_that_ends(solvers: Iterable[Solver], run: Callable[[Solver], Waveforms]) -> Waveforms:
    """What `run` gives with the first of the `solvers` whose steps ngspice can end: the usual ones, where no tighter will do.

    Raises SimulationError if it cannot end the last one's either.
    """
    *tighter, last = dict.fromkeys(solvers)
    for solver in tighter:
        with contextlib.suppress(SimulationError):
            return run(solver)
    return run(last)


def _write_changes(schedule: Schedule, image: np.ndarray, sign: int, pulse: float, column: int) -> dict[str, Any]:
    """The `alter` changes that pulse the inputs with an image and the phi of a `column`."""
    shape = np.array(edges(0.0, pulse, WRITE_EDGE * pulse, 1.0))
    changes = {f"einput_{i} gain": volts for i, volts in enumerate(sign * schedule.input_voltage * image)}
    return changes | {"vpulse pwl": np.ravel(shape), f"vphi_{column} pwl": np.ravel(shape * (1.0, schedule.phi_voltage))}


def _end_of_write(circuit: LoadedCircuit, pulse: float) -> Waveforms:
    try:
        return circuit.run((1 + 2 * WRITE_EDGE) * pulse)
    except SimulationError:
        # One write in 100,000 leaves a last step of 1e-15 s, too short for ngspice: a slightly later end leaves another.
        return circuit.run((1 + 2.1 * WRITE_EDGE) * pulse)
