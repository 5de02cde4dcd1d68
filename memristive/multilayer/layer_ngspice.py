"""Layers in ngspice: reads layer by layer, back-reads, writes; every circuit is loaded once, then altered and run.

A read is cut where nothing flows back (`layer_parts`). Of a crossbar that an image drives only the edge is simulated, since it
stands still from then on; its neurons' membranes follow, driven by what came out; their spikes are the sources of the next
layer's rows. Only driven rows are there, as one at 0 V carries no current to a column at virtual ground; many columns are cut
into blocks, which do not bear on each other (tests/learning/test_layers_in_ngspice.py holds all of it against the whole
network in one transient). A chip's devices move in where their cells do: channels and write gains are altered, thresholds are
applied to the membranes.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.multilayer.layer_netlist import LayerChip, layer_names
from memristive.multilayer.layer_network import LayeredNetwork, start_delay
from memristive.multilayer.layer_subcircuits import (
    NEVER,
    back_circuit,
    column_circuit,
    image_circuit,
    layer_gain_changes,
    layer_state_changes,
    membrane_circuit,
    spike_circuit,
)
from memristive.single_layer.ngspice_crossbar import first_that_ends
from memristive.single_layer.pulses import WELL_ABOVE, WRITING
from memristive.single_layer.spike_decoding import first_spikes
from memristive.spice.session import LoadedCircuit, NgspiceSession, Solver, Waveforms

ROWS = 10  # circuits have room for 10, 20, 30, ... driven rows, or for every tenth of the layer's if that is more
BLOCK_CELLS = 2500  # cells of a circuit, about: larger ones do not fit the processor's cache
READING_LAYERS = Solver(max_step=1e-6, reltol=1e-5, trtol=100.0, chgtol=1e-7, method="trap")
EDGE_STEP, MEMBRANE_STEP = 0.2, 5.0  # steps of a crossbar over the image's edge, and of bare membranes, in `max_step`
FINER = 1 / 40  # as long steps where cells are not well above their rows, whose gates bend (`memristive.single_layer.pulses.followed`)
SETTLED = 1.2  # in edges: while the input rises, currents flow through the gates' capacitances; now they have ended
# A gate below its row is lifted along a bent curve, and rows that rise one after the other lift it in turn: WRITING ends up to
# 4 mV off, whatever the dose. Currents are not solved further than 10 pA: over the steps of short edges, the rounding of the
# gates' charges keeps Newton from it.
WRITING_LAYERS = dataclasses.replace(WRITING, reltol=1e-6, trtol=1.0, abstol=1e-11)
MARGIN = 3e-6  # s, by which a read outlasts what the closed form foretells


class LayeredReader:
    """Presents images to a `LayeredNetwork` whose states may change between two reads.

    `solver`: its `max_step` is the distance of time points in later layers; the others follow from it.
    """

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, solver: Solver = READING_LAYERS) -> None:
        self._first = _FirstLayer(session, network, 0, solver)
        self._later = [_LaterLayer(session, network, layer, solver) for layer in range(1, len(network.states))]
        self._window = network.design.window

    def read(self, network: LayeredNetwork, image: np.ndarray, wanted: int = 2,
             label: int | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """First spike times in s of each layer (nan: silent, or later than the read), and where its membranes would settle, in
        thresholds, if the rows that have stepped up until then stayed.

        `image`: inputs, levels 0 to 1. The read ends once `wanted` output neurons have fired, among them `label` if it is given,
        at the latest with the window; the closed form foretells when. A `label` is for learning: hidden neurons are then watched
        for the whole window, since how far they settle decides who is written. Raises SimulationError.
        """
        wanted = min(wanted, network.sizes[-1])
        stop = self._needed(network.forward(image[None])[-1][0], wanted, label)
        while True:
            times, settled = self._run(network, image, stop, stop if label is None else self._window)
            fired = times[-1]
            if stop >= self._window or (np.sum(~np.isnan(fired)) >= wanted and (label is None or not np.isnan(fired[label]))):
                return times, settled
            stop = self._window

    def forget(self) -> None:
        """Take all circuits back to where they began: what lies in rows that nothing drives moves spikes by nanoseconds."""
        for layer in (self._first, *self._later):
            layer.forget()

    def _needed(self, spikes: np.ndarray, wanted: int, label: int | None) -> float:
        ordered = np.sort(np.where(np.isnan(spikes), np.inf, spikes))
        last = max(ordered[wanted - 1], ordered[0] if label is None or np.isnan(spikes[label]) else spikes[label])
        if label is not None and np.isnan(spikes[label]):
            last = np.inf
        return float(min(last + MARGIN, self._window))

    def _run(self, network: LayeredNetwork, image: np.ndarray, stop: float,
             hidden_stop: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        times, settled = self._first.run(network.states[0], image, hidden_stop if self._later else stop)
        found = [(times, settled)]
        for layer, states in zip(self._later, network.states[1:], strict=True):
            found.append(layer.run(states, found[-1][0], stop if layer is self._later[-1] else hidden_stop))
        return [spikes for spikes, _ in found], [membranes for _, membranes in found]


@dataclass(eq=False)
class _Room:
    """Circuits of one layer with rows to lend, the bias having one more, the last; its columns are cut into `blocks`."""

    blocks: list[np.ndarray]  # the columns of each circuit
    circuits: list[LoadedCircuit]
    tenants: np.ndarray  # the input that has each row; -1: none
    states: np.ndarray  # V, columns x (rows + 1), as the circuits have them

    def __iter__(self) -> Iterator[tuple[np.ndarray, LoadedCircuit]]:
        return zip(self.blocks, self.circuits, strict=True)


class _Layer:
    """A crossbar in circuits of as many rows as needed; an input keeps its row as long as no other one needs it."""

    SAVED: tuple[str, ...] = ("membrane", "drive")

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, layer: int, solver: Solver) -> None:
        self._session, self._parameters, self._design = session, network.parameters, network.design
        self._columns, self._fan_in = network.states[layer].shape
        self._chip = None if network.chip is None else network.chip[layer]
        # How far apart the points are is a matter of max_step alone.
        self._solver = dataclasses.replace(solver, trtol=1e6)
        overdrive = network.design.reference_state - network.parameters.memristor.threshold_voltage
        self._finer = FINER if overdrive < WELL_ABOVE * network.design.row_voltage else 1.0
        self._rooms: dict[int, _Room] = {}
        relative = np.ones(self._columns) if self._chip is None else self._chip.threshold
        self.thresholds = network.parameters.neuron.threshold * relative  # V

    def _circuit(self, columns: int, rows: int) -> tuple[Circuit, Solver]:
        raise NotImplementedError

    def _steps(self, share: float) -> Solver:
        return dataclasses.replace(self._solver, max_step=share * self._solver.max_step)

    def _lodge(self, states: np.ndarray, driven: np.ndarray) -> tuple[_Room, np.ndarray, np.ndarray]:
        """Circuits that have the inputs `driven` with their `states` (columns x inputs, V), their rows, and whose they are."""
        step = max(ROWS, self._fan_in // 10)
        rows = max(1, -(-len(driven) // step)) * step
        if rows not in self._rooms:
            self._rooms[rows] = self._furnish(rows)
        room = self._rooms[rows]
        new = driven[~np.isin(driven, room.tenants)]
        places = np.flatnonzero(~np.isin(room.tenants, driven))[:len(new)]
        room.tenants[places] = new
        if self._chip is not None:
            self._equip(room, places, self._chip.channel[:, new])
        places = np.flatnonzero(np.isin(room.tenants, driven))
        inputs, slots = room.tenants[places], np.append(places, rows)
        wanted = states[:, np.append(inputs, -1)]
        for block, circuit in room:
            changed = room.states[np.ix_(block, slots)] != wanted[block]
            cells = [(j, int(slots[k])) for j, k in np.argwhere(changed).tolist()]
            circuit.alter(layer_state_changes(cells, wanted[block][changed].tolist()))
        room.states[:, slots] = wanted
        return room, places, inputs

    def _furnish(self, rows: int) -> _Room:
        blocks = np.array_split(np.arange(self._columns), -(-self._columns * (rows + 1) // BLOCK_CELLS))
        circuits = []
        for block in blocks:
            circuit, solver = self._circuit(len(block), rows + 1)
            saved = [name for kind in self.SAVED for name in layer_names(kind, 0, len(block))]
            circuits.append(self._session.load(circuit, solver, saved))
        states = np.full((self._columns, rows + 1), self._design.reference_state)
        room = _Room(blocks, circuits, np.full(rows, -1), states)
        if self._chip is not None:
            self._equip(room, np.array([rows]), self._chip.channel[:, -1:])
        return room

    def forget(self) -> None:
        """Every row as `_furnish` left it."""
        for room in self._rooms.values():
            lent = np.flatnonzero(room.tenants >= 0)
            for block, circuit in room:
                cells = list(itertools.product(range(len(block)), [*lent.tolist(), len(room.tenants)]))
                circuit.alter(layer_state_changes(cells, [self._design.reference_state] * len(cells)))
            if self._chip is not None:
                self._equip(room, lent, np.ones((self._columns + 1, len(lent))))
            room.tenants[:] = -1
            room.states[:] = self._design.reference_state

    def _equip(self, room: _Room, places: np.ndarray, channel: np.ndarray) -> None:
        for block, circuit in room:
            circuit.alter(layer_gain_changes(self._parameters.memristor, places.tolist(), channel[np.append(block, -1)]))

    def _race(self, waves: Waveforms, membranes: np.ndarray, block: np.ndarray, stop: float) -> np.ndarray:
        """First spike times in s of some columns, from their `membranes` (columns x time points, V) up to `stop` s.

        Without triggers a spike is the membrane's first crossing of the threshold; one that is above it never loses its spike.
        """
        # The last point counts.
        return first_spikes(waves.time, membranes, None, self._parameters.neuron, 0.0, 2 * stop, self.thresholds[block])


class _FirstLayer(_Layer):
    """The layer that sees the image."""

    SAVED = ("drive",)

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, layer: int, solver: Solver) -> None:
        super().__init__(session, network, layer, solver)
        circuit = membrane_circuit(self._parameters, self._design, self._columns, self._fan_in)
        self._delay = start_delay(self._design.rise, self._parameters.neuron.time_constant)
        self._membranes = session.load(circuit, self._steps(MEMBRANE_STEP), layer_names("membrane", 0, self._columns))

    def _circuit(self, columns: int, rows: int) -> tuple[Circuit, Solver]:
        solver = self._steps(EDGE_STEP * self._finer)
        return image_circuit(self._parameters, self._design, columns, rows, self._fan_in), solver

    def run(self, states: np.ndarray, image: np.ndarray, stop: float) -> tuple[np.ndarray, np.ndarray]:
        """First spike times in s up to `stop`, and where the membranes settle, in thresholds: their drive stands still."""
        room, places, inputs = self._lodge(states, np.flatnonzero(image))
        levels = np.zeros(len(room.tenants) + 1)
        levels[places], levels[-1] = image[inputs], 1.0
        changes = {f"erow_0_{k} gain": volts for k, volts in enumerate((levels * self._design.row_voltage).tolist())}
        drives = []
        for block, circuit in room:
            circuit.alter(changes)
            drives += circuit.run(SETTLED * self._design.rise).stack(layer_names("drive", 0, len(block)))[:, -1].tolist()
        self._membranes.alter({f"edrive_0_{j} gain": volts for j, volts in enumerate(drives)})
        waves = self._membranes.run(stop)
        membranes = waves.stack(layer_names("membrane", 0, self._columns))
        risen = -np.expm1(-(stop - self._delay) / self._parameters.neuron.time_constant)
        return self._race(waves, membranes, np.arange(self._columns), stop), membranes[:, -1] / (risen * self.thresholds)


class _LaterLayer(_Layer):
    """A layer that spikes drive."""

    def _circuit(self, columns: int, rows: int) -> tuple[Circuit, Solver]:
        edge = self._solver.max_step
        return spike_circuit(self._parameters, self._design, columns, rows, self._fan_in, edge), self._steps(self._finer)

    def run(self, states: np.ndarray, spikes: np.ndarray, stop: float) -> tuple[np.ndarray, np.ndarray]:
        """First spike times in s up to `stop`, and where the membranes would settle, in thresholds, with rows that step up at
        `spikes` (s; nan: never).
        """
        room, places, inputs = self._lodge(states, np.flatnonzero(~np.isnan(spikes)))
        steps = np.full(len(room.tenants), NEVER)
        steps[places] = np.maximum(spikes[inputs], self._solver.max_step / 2)  # every row starts at 0 V
        changes = {f"v.xrow_0_{k}.vat dc": spike for k, spike in enumerate(steps.tolist())}
        neuron = self._design.neuron(self._parameters.neuron, self._parameters.memristor, self._fan_in)
        found, settled = [], []
        for block, circuit in room:
            circuit.alter(changes)
            waves = circuit.run(stop)
            found.append(self._race(waves, waves.stack(layer_names("membrane", 0, len(block))), block, stop))
            drives = waves.stack(layer_names("drive", 0, len(block)))[:, -1]
            settled.append(neuron.membrane_gain * drives / self.thresholds[block])
        return np.concatenate(found), np.concatenate(settled)


class BackReader:
    """Back-reads of one layer: columns driven with errors, row currents measured."""

    RISE, STOP = 1e-6, 3e-6  # s

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, layer: int) -> None:
        states = network.states[layer]
        self._network, self._columns, self._rows = network, states.shape[0], states.shape[1] - 1
        self._volts = network.design.column_voltage(layer == len(network.states) - 1)
        self._currents = [f"vrow_0_{k}#branch" for k in range(self._rows)]
        circuit = back_circuit(network.parameters, network.design, states)
        self._circuit = session.load(circuit, WRITING, [f"i(vrow_0_{k})" for k in range(self._rows)])
        self._circuit.alter({"vpulse pwl": [0.0, 0.0, self.RISE, 1.0, 1.0, 1.0]})
        if network.chip is not None:
            channel = network.chip[layer].channel[:, :-1]
            self._circuit.alter(layer_gain_changes(network.parameters.memristor, range(self._rows), channel))
        self._states = states.copy()

    def read(self, states: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """What the rows (without the bias) show while the columns carry `errors`: as `LayeredNetwork.read_back`."""
        changed = states[:, :-1] != self._states[:, :-1]
        self._circuit.alter(layer_state_changes(np.argwhere(changed).tolist(), states[:, :-1][changed].tolist()))
        self._states = states.copy()
        driven = np.append(errors, -errors.sum())
        self._circuit.alter({f"ecolumn_0_{j} gain": self._volts * error for j, error in enumerate(driven)})
        waves = self._circuit.run(self.STOP)
        return waves.stack(self._currents)[:, -1] / (self._network.parameters.memristor.gain * self._volts)


class ColumnWriter:
    """Writes one column of a layer of `rows` rows at a time; its phi alone is high, so it is simulated alone.

    `chip`: of that layer, if its cells write with gains of their own.
    """

    EDGE = 0.02  # of the window, duration of each edge
    SHORTEST = 1e-6  # s: below, rounded channel charges over steps of the edges' length are currents above ngspice's tolerance

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, rows: int, chip: LayerChip | None = None) -> None:
        self._session, self._network, self._rows, self._chip = session, network, rows, chip
        self._names = [f"xcell_0_0_{k}.gate" for k in range(rows)]
        self._circuits = dict[tuple[bool, Solver], LoadedCircuit]()

    def _circuit(self, together: bool, solver: Solver) -> LoadedCircuit:
        if (together, solver) not in self._circuits:
            circuit = column_circuit(self._network.parameters, self._rows, together)
            self._circuits[together, solver] = self._session.load(circuit, solver, self._names)
        return self._circuits[together, solver]

    @classmethod
    def lengthened(cls, pulse: float, levels: np.ndarray, high: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Pulse in s and levels with which `write` gives the dose over `SHORTEST` at least, and its window in s (0: no dose)."""
        window = float(abs(pulse) * high.max())
        slower = max(1.0, cls.SHORTEST / window) if window else 1.0
        return pulse * slower, levels / slower, window * slower

    def write(self, column: np.ndarray, levels: np.ndarray, high: np.ndarray, pulse: float, place: int = 0) -> np.ndarray:
        """A `column`'s states (rows, V) after one write: row k is at `levels[k]` of the row voltage for the last `high[k]` of a
        `pulse` in s (negative: at the opposite voltage), phi for as long as the longest of them, but none shorter than
        `SHORTEST`: smaller doses come at a lower voltage. `place`: which column it is, on a chip. Raises SimulationError.
        """
        pulse, levels, window = self.lengthened(pulse, levels, high)
        if window == 0:
            return column
        edge = self.EDGE * window
        design, memristor = self._network.design, self._network.parameters.memristor
        phi = 1.2 if memristor.switch_threshold < 1 else 2 * memristor.switch_threshold
        # phi opens and closes as its edges cross the switch's threshold; rows that are high from the start rise before that, and
        # all fall after: the overlap of row and phi is exact.
        crossing = edge * memristor.switch_threshold / phi
        start, end = 3 * edge, 3 * edge + window
        changes: dict[str, float | list[float]] = {"vphi pwl": [0.0, 0.0, start - crossing, 0.0, start - crossing + edge, phi,
                                                  end - edge + crossing, phi, end + crossing, 0.0]}
        volts = (np.sign(pulse) * levels * design.row_voltage).tolist()
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
        if self._chip is not None:
            gains = self._network.parameters.memristor.transconductance * self._chip.write[place]
            changes |= {f"g.xcell_0_0_{k}.gcharge gain": gain for k, gain in enumerate(gains.tolist())}
        changes |= layer_state_changes(np.ndindex(1, self._rows), column.tolist())

        def run(solver: Solver) -> Waveforms:
            circuit = self._circuit(together, solver)
            circuit.alter(changes)
            return circuit.run(end + 4 * edge)
        return first_that_ends((WRITING_LAYERS, WRITING), run).stack(self._names)[:, -1]
