"""Layers in ngspice: reads layer by layer, back-reads, writes; every circuit is loaded once, then altered and run.

A layer's spikes become the sources of the next layer's rows: its neurons' outputs are ideal switches, so nothing above bears
on what lies below. Many columns are cut into blocks, which do not bear on each other either
(tests/learning/test_layers_in_ngspice.py holds all of it against the whole network in one transient). A chip's devices move in
where their cells do: channels and write gains are altered, thresholds are applied to the membranes.
"""

import numpy as np

from learning.decoding import first_spikes
from learning.layer_circuit import (
    LayerChip,
    back_circuit,
    column_circuit,
    layer_gain_changes,
    layer_names,
    layer_state_changes,
    layered_network,
)
from learning.layers import LayeredNetwork, start_delay
from learning.pulses import WRITING
from memristor import state_rate
from snn_circuit import OFF, NetworkParameters
from spice.session import LoadedCircuit, NgspiceSession, Solver

ROWS = 10  # circuits of later layers have room for 10, 20, 30, ... rows that step up
EDGE = 0.5e-6  # s, of the sources that stand for a neuron's output, centred on its spike: the membranes run as after a step
# The edge's breakpoints cost most of a read: in between, membranes are exponentials that few points follow well.
READING_LAYERS = Solver(max_step=15e-6, reltol=1e-5, trtol=100.0, chgtol=1e-7, method="trap")
BLOCK_CELLS = 2500  # cells of a circuit, about: larger ones do not fit the processor's cache


class LayeredReader:
    """Presents images to a `LayeredNetwork` whose states may change between two reads."""

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, solver: Solver = READING_LAYERS) -> None:
        self._first = _FirstLayer(session, network, solver)
        self._later = [_LaterLayer(session, network, layer, solver) for layer in range(1, len(network.states))]
        self._step, self._window = solver.max_step, network.design.window
        self._delay = start_delay(network.design.rise, network.parameters.neuron.time_constant)

    def read(self, network: LayeredNetwork, image: np.ndarray, wanted: int = 2,
             label: int | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """First spike times in s of each layer (nan: silent, or later than the read), and where its membranes settle.

        That is in thresholds, from where they are when the read ends: exact for the first layer, whose drive stands still.

        `image`: inputs, levels 0 to 1. The read ends once `wanted` output neurons have fired, among them `label` if it is given,
        at the latest with the window; the closed form foretells when. Raises SimulationError.
        """
        stop = self._needed(network.forward(image[None])[-1][0], wanted, label)
        while True:
            times, settled = self._run(network, image, stop)
            fired = times[-1]
            if stop >= self._window or (np.sum(~np.isnan(fired)) >= wanted and (label is None or not np.isnan(fired[label]))):
                return times, settled
            stop = self._window

    def _needed(self, spikes: np.ndarray, wanted: int, label: int | None) -> float:
        ordered = np.sort(np.where(np.isnan(spikes), np.inf, spikes))
        last = max(ordered[wanted - 1], ordered[0] if label is None or np.isnan(spikes[label]) else spikes[label])
        if label is not None and np.isnan(spikes[label]):
            last = np.inf
        return float(min(last + self._step, self._window))

    def _run(self, network: LayeredNetwork, image: np.ndarray, stop: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        found = [self._first.run(network.states[0], image, stop)]
        for circuits, states in zip(self._later, network.states[1:], strict=True):
            found.append(circuits.run(states, found[-1][0], stop))
        scale = -np.expm1(-(stop - self._delay) / network.parameters.neuron.time_constant)
        thresholds = [_thresholds(network, layer) for layer in range(len(found))]
        return ([spikes for spikes, _ in found],
                [membranes / (scale * volts) for (_, membranes), volts in zip(found, thresholds, strict=True)])


class _FirstLayer:
    """The layer that sees the image, its columns in blocks with a reference column each."""

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, solver: Solver) -> None:
        self._parameters, self._design, self._thresholds = network.parameters, network.design, _thresholds(network, 0)
        states = network.states[0]
        blocks = -(-states.size // BLOCK_CELLS)
        self._blocks = [block.tolist() for block in np.array_split(np.arange(len(states)), blocks)]
        self._circuits = [_load(session, network, states[block], 0, solver) for block in self._blocks]
        if network.chip is not None:
            for block, circuit in zip(self._blocks, self._circuits, strict=True):
                channel = network.chip[0].channel[[*block, -1]]
                circuit.alter(layer_gain_changes(network.parameters.memristor, 0, channel))
        self._states = states.copy()

    def run(self, states: np.ndarray, image: np.ndarray, stop: float) -> tuple[np.ndarray, np.ndarray]:
        """First spike times in s, and the membranes at `stop` in V; of `states`, what has changed is sent."""
        changes: dict[str, float | list[float]] = {f"erow_0_{k} gain": volts
                                                   for k, volts in enumerate((image * self._design.row_voltage).tolist())}
        found = []
        for block, circuit in zip(self._blocks, self._circuits, strict=True):
            for place, column in enumerate(block):
                if not np.array_equal(states[column], self._states[column]):
                    circuit.alter(layer_state_changes(0, place, states[column]))
            circuit.alter(changes)
            found.append(_race(circuit, 0, self._thresholds[block], self._parameters, stop))
        self._states = states.copy()
        return np.concatenate([spikes for spikes, _ in found]), np.concatenate([membranes for _, membranes in found])


class _LaterLayer:
    """A layer driven by spikes: only the rows that step up are simulated, in circuits of as many rows as needed."""

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, layer: int, solver: Solver) -> None:
        self._session, self._network, self._layer, self._solver = session, network, layer, solver
        self._chip, self._thresholds = None if network.chip is None else network.chip[layer], _thresholds(network, layer)
        self._circuits: dict[int, LoadedCircuit] = {}

    def run(self, states: np.ndarray, spikes: np.ndarray, stop: float) -> tuple[np.ndarray, np.ndarray]:
        """First spike times in s, and the membranes at `stop` in V, with rows that step up at `spikes` (s; nan: never)."""
        fired = np.flatnonzero(~np.isnan(spikes))
        fired = fired[np.argsort(spikes[fired])]
        rows = max(ROWS, -(-len(fired) // ROWS) * ROWS)
        if rows not in self._circuits:
            room = np.full((len(states), rows + 1), self._network.design.reference_state)
            self._circuits[rows] = _load(self._session, self._network, room, self._layer, self._solver)
        volts = self._network.design.row_voltage
        changes: dict[str, float | list[float]] = {f"vrow_{self._layer}_{k} pwl": [0.0, 0.0, 1.0, 0.0] for k in range(rows)}
        for place, spike in enumerate(spikes[fired].tolist()):
            start = max(spike - EDGE / 2, 0.0)
            changes[f"vrow_{self._layer}_{place} pwl"] = [0.0, 0.0, start, 0.0, start + EDGE, volts, 1.0, volts]
        for j, column in enumerate(states):
            cells = np.full(rows + 1, self._network.design.reference_state)
            cells[:len(fired)], cells[-1] = column[fired], column[-1]
            changes |= layer_state_changes(self._layer, j, cells)
        if self._chip is not None:
            channel = np.ones((len(states) + 1, rows + 1))
            channel[:, :len(fired)], channel[:, -1] = self._chip.channel[:, fired], self._chip.channel[:, -1]
            changes |= layer_gain_changes(self._network.parameters.memristor, self._layer, channel)
        self._circuits[rows].alter(changes)
        return _race(self._circuits[rows], self._layer, self._thresholds, self._network.parameters, stop)


def _load(session: NgspiceSession, network: LayeredNetwork, states: np.ndarray, layer: int, solver: Solver) -> LoadedCircuit:
    """A layer's circuit with the columns `states` (columns x rows), loaded; its feedback is that of the whole layer."""
    sources = [OFF] * (states.shape[1] - 1) if layer else None
    circuit = layered_network(network.parameters, network.design, [states], sources, layer, triggers=False,
                              fan_in=network.states[layer].shape[1])
    loaded = session.load(circuit, solver, layer_names("membrane", layer, len(states)))
    loaded.alter({"vpulse pwl": [0.0, 0.0, network.design.rise, 1.0, 1.0, 1.0]})
    return loaded


def _thresholds(network: LayeredNetwork, layer: int) -> np.ndarray:
    """The firing thresholds of a layer's neurons in V."""
    relative = np.ones(len(network.states[layer])) if network.chip is None else network.chip[layer].threshold
    return network.parameters.neuron.threshold * relative


def _race(circuit: LoadedCircuit, layer: int, thresholds: np.ndarray, parameters: NetworkParameters,
          stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Run a layer's circuit: first spike times in s, and the membranes at `stop` in V; `thresholds` in V of its neurons.

    Without triggers a spike is the membrane's first crossing of the threshold; one that is above it never loses its spike.
    """
    waves = circuit.run(stop)
    membranes = waves.stack(layer_names("membrane", layer, len(thresholds)))
    # Twice the read's length, so that its last point counts.
    return first_spikes(waves.time, membranes, membranes, parameters.neuron, 0.0, 2 * stop, thresholds), membranes[:, -1]


class BackReader:
    """Back-reads of one layer: columns driven with errors, row currents measured."""

    RISE, STOP = 1e-6, 3e-6  # s

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, layer: int) -> None:
        states = network.states[layer]
        self._network, self._columns, self._rows = network, states.shape[0], states.shape[1] - 1
        self._currents = [f"vrow_0_{k}#branch" for k in range(self._rows)]
        circuit = back_circuit(network.parameters, network.design, states)
        self._circuit = session.load(circuit, WRITING, [f"i(vrow_0_{k})" for k in range(self._rows)])
        self._circuit.alter({"vpulse pwl": [0.0, 0.0, self.RISE, 1.0, 1.0, 1.0]})
        if network.chip is not None:
            self._circuit.alter(layer_gain_changes(network.parameters.memristor, 0, network.chip[layer].channel[:, :-1]))
        self._states = states.copy()

    def read(self, states: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """What the rows (without the bias) show in V while the columns carry `errors`: as `LayeredNetwork.read_back`."""
        for j in np.flatnonzero((states != self._states).any(axis=1)):
            self._circuit.alter(layer_state_changes(0, int(j), states[j, :-1]))
        self._states = states.copy()
        driven = np.append(errors, -errors.sum())
        largest = np.abs(driven).max()
        if largest == 0:
            return np.zeros(self._rows)
        volts = self._network.design.back_voltage / largest
        self._circuit.alter({f"ecolumn_0_{j} gain": volts * error for j, error in enumerate(driven)})
        waves = self._circuit.run(self.STOP)
        return waves.stack(self._currents)[:, -1] / (self._network.parameters.memristor.gain * self._network.design.back_voltage)


class ColumnWriter:
    """Writes one column of a layer of `rows` rows at a time; its phi alone is high, so it is simulated alone.

    `chip`: of that layer, if its cells write with gains of their own.
    """

    EDGE = 0.02  # of the window, duration of each edge

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, rows: int, chip: LayerChip | None = None) -> None:
        self._network, self._rows, self._chip = network, rows, chip
        self._names = [f"xcell_0_0_{k}.gate" for k in range(rows)]
        self._circuit = session.load(column_circuit(network.parameters, rows), WRITING, self._names)
        self._rate = float(state_rate(network.parameters.memristor, network.design.row_voltage))

    def write(self, column: np.ndarray, levels: np.ndarray, high: np.ndarray, pulse: float, place: int = 0) -> np.ndarray:
        """A `column`'s states (rows, V) after one write: row k is at `levels[k]` of the row voltage for the last `high[k]` of a
        `pulse` in s (negative: at the opposite voltage), phi for as long as the longest of them. `place`: which column it is,
        on a chip. Raises SimulationError.
        """
        window = abs(pulse) * high.max()
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
        volts = np.sign(pulse) * levels * design.row_voltage
        for k in range(self._rows):
            up = end - abs(pulse) * high[k] if high[k] < high.max() else 2 * edge
            shape = [0.0, 0.0, up - edge / 2, 0.0, up + edge / 2, volts[k], end + 2 * edge, volts[k], end + 3 * edge, 0.0]
            changes[f"vrow_0_{k} pwl"] = shape if volts[k] and high[k] > 0 else [0.0, 0.0, 1.0, 0.0]
        if self._chip is not None:
            gains = self._network.parameters.memristor.transconductance * self._chip.write[place]
            changes |= {f"g.xcell_0_0_{k}.gcharge gain": gain for k, gain in enumerate(gains.tolist())}
        self._circuit.alter(changes | layer_state_changes(0, 0, column))
        return self._circuit.run(end + 4 * edge).stack(self._names)[:, -1]
