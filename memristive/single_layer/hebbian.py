"""The paper's method: Hebbian training in one ngspice transient, and inference by first spikes.

Data flow: patterns -> schedule -> netlist -> ngspice -> waveforms -> states or spike times -> decisions.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.single_layer.closed_form import Cells
from memristive.single_layer.pulses import READING, TRAINING, Schedule, check_levels, edges, followed, suited
from memristive.single_layer.spike_decoding import first_spikes
from memristive.spice.session import NgspiceSession, SimulationError, Solver, Waveforms
from memristor import check_phi
from snn_circuit import ALIKE, Devices, NetworkParameters, Wires, names, network, state_names

Watch = Callable[[Iterator[Waveforms]], Iterable[Waveforms]]  # wraps the presentations, for a progress bar


@dataclass(frozen=True)
class Training:
    """What a training transient gave: waveforms over `time` (s) in V, and the `states` at its end, classes x inputs."""

    time: np.ndarray
    inputs: np.ndarray
    controls: np.ndarray
    states_over_time: np.ndarray
    states: np.ndarray


def hebbian_network(parameters: NetworkParameters, schedule: Schedule, patterns: np.ndarray,
                    devices: Devices = ALIKE) -> Circuit:
    """Netlist that trains `patterns` (classes x inputs, 0 to 1): class j's pattern while phi_j alone is pulsed."""
    check_phi(schedule.phi_voltage, parameters.memristor)
    classes, inputs = patterns.shape
    sources = [schedule.train(schedule.input_voltage * patterns[:, i]) for i in range(inputs)]
    controls = [schedule.train(schedule.phi_voltage * np.eye(classes)[j]) for j in range(classes)]
    return network(parameters, np.zeros((classes, inputs)), sources, controls, neurons=False,
                   title="in-situ Hebbian training", devices=devices)


def inference_network(parameters: NetworkParameters, schedule: Schedule, states: np.ndarray, patterns: np.ndarray,
                      devices: Devices = ALIKE) -> Circuit:
    """Netlist that presents `patterns` (images x inputs, 0 to 1) one after the other to trained cells, every phi at 0.

    An open switch (1e20 ohm) cuts pump and leak off: the cells are read-mode cells, as in every other read.
    """
    sources = [schedule.train(schedule.input_voltage * patterns[:, i]) for i in range(patterns.shape[1])]
    return network(parameters, states, sources, title="inference", devices=devices)


def read_network(parameters: NetworkParameters, schedule: Schedule, states: np.ndarray, image: np.ndarray,
                 title: str = "read", devices: Devices = ALIKE) -> Circuit:
    """Netlist of the whole network that reads one `image` (inputs, levels 0 to 1) once."""
    points = [edges(0.0, schedule.pulse, schedule.rise, schedule.input_voltage * level) for level in image]
    return network(parameters, states, points, title=title, devices=devices)


def train_hebbian(session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, patterns: np.ndarray,
                  solver: Solver = TRAINING, watch: Watch = lambda steps: steps, devices: Devices = ALIKE,
                  whole: bool = False) -> Training:
    """Train all classes in one ngspice transient; return a `Training`.

    `watch` wraps the iterator over the presentations, for a progress bar; `devices` are those of a chip. Rows that no pattern
    drives stay at 0 V, and their cells with them; they are left out unless the `whole` network is asked for. Raises
    SimulationError, and ParameterError for levels that are none.
    """
    check_levels("patterns", patterns, patterns.shape[1])
    chosen = suited(solver, parameters.memristor, schedule)
    try:
        return _train_hebbian(session, parameters, schedule, patterns, chosen, watch, devices, whole)
    except SimulationError:
        if chosen == solver:
            raise
        return _train_hebbian(session, parameters, schedule, patterns, solver, watch, devices, whole)  # with edges of nanoseconds


def _train_hebbian(session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, patterns: np.ndarray,
                   solver: Solver, watch: Watch, devices: Devices, whole: bool) -> Training:
    classes, inputs = patterns.shape
    rows = np.arange(inputs) if whole else driven_rows(patterns, devices)
    cells = state_names(classes, len(rows))
    circuit = session.load(hebbian_network(parameters, schedule, patterns[:, rows], devices.of_rows(rows)),
                           solver,
                           names("input", len(rows)) + names("phi", classes) + cells)
    waves = _last(watch(circuit.run(schedule.stop(classes), pauses=[schedule.stop(k) for k in range(1, classes)])))
    voltages = np.zeros((inputs, len(waves.time)))
    voltages[rows] = waves.stack(names("input", len(rows)))
    over_time = np.zeros((classes, inputs, len(waves.time)))
    over_time[:, rows] = waves.stack(cells).reshape(classes, len(rows), -1)
    training = Training(waves.time, voltages, waves.stack(names("phi", classes)), over_time.reshape(classes * inputs, -1),
                        over_time[:, :, -1].copy())
    session.unload(circuit)
    return training


def scatter(states: np.ndarray, patterns: np.ndarray) -> float:
    """By what share of their mean the classes' cells of full level differ, which one pulse writes alike (classes x inputs)."""
    means = [row[pattern == 1].mean() for row, pattern in zip(states, patterns, strict=True) if (pattern == 1).any()]
    return float(np.ptp(means) / np.mean(means)) if means else 0.0


def driven_rows(patterns: np.ndarray, devices: Devices) -> np.ndarray:
    """The rows that some of `patterns` drives, at least one; all where wires resist, since then every row matters."""
    if devices.wires != Wires():
        return np.arange(patterns.shape[1])
    return np.flatnonzero(patterns.any(axis=0)) if patterns.any() else np.arange(1)


@dataclass(frozen=True)
class Inference:
    """What an inference transient gave: waveforms over `time` (s) in V, and first spikes in s, images x classes."""

    time: np.ndarray
    membranes: np.ndarray
    outputs: np.ndarray
    spikes: np.ndarray


def reading(parameters: NetworkParameters, states: np.ndarray, volts: np.ndarray, solver: Solver = READING,
            devices: Devices = ALIKE) -> Solver:
    """The `solver` for reads of cells in `states` (classes x inputs, V), a chip's `devices`, by `volts` (images x inputs)."""
    return followed(suited(solver, parameters.memristor), Cells.of(parameters.memristor, devices.cells), states, volts)


def infer(session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, states: np.ndarray, patterns: np.ndarray,
          solver: Solver = READING, watch: Watch = lambda steps: steps, devices: Devices = ALIKE) -> Inference:
    """Present `patterns` in one ngspice transient to cells in `states`, or a chip's `devices`; return an `Inference`.

    Rows that no pattern drives carry no current and are left out. Spike times count from each pulse's start; nan where a
    neuron stays silent. Raises SimulationError, and ParameterError for patterns that are none or do not fit the states.
    """
    check_levels("patterns", patterns, np.shape(states)[1])
    classes, rows = len(states), driven_rows(patterns, devices)
    driven = inference_network(parameters, schedule, states[:, rows], patterns[:, rows], devices.of_rows(rows))
    solver = reading(parameters, states, schedule.input_voltage * patterns, solver, devices)
    circuit = session.load(driven, solver, names("membrane", classes) + names("output", classes))
    stops = [schedule.stop(k) for k in range(1, len(patterns) + 1)]
    waves = _last(watch(circuit.run(stops[-1], pauses=stops[:-1])))
    membranes, outputs = waves.stack(names("membrane", classes)), waves.stack(names("output", classes))
    session.unload(circuit)
    thresholds = devices.neurons.threshold if devices.neurons else None
    spikes = [first_spikes(waves.time, membranes, outputs, parameters.neuron, schedule.start(k), schedule.pulse, thresholds)
              for k in range(len(patterns))]
    return Inference(waves.time, membranes, outputs, np.array(spikes))


def _last(waveforms: Iterable[Waveforms]) -> Waveforms:
    for waves in waveforms:
        last = waves
    return last
