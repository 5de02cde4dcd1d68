"""The paper's method: pulse schedules, training in one ngspice transient, inference, first-spike decoding.

Data flow: patterns -> schedule -> netlist -> ngspice -> waveforms -> states or spike times -> decisions.
"""

from dataclasses import dataclass

import numpy as np

from memristor import check_phi
from parameters import ParameterError, Parameters, quantity
from simulation import Solver
from snn_circuit import OFF, names, network, state_names

SILENT, TIED = -1, -2  # decisions that are none: no neuron fired; two fired too close together to tell
RESOLUTION = 0.02e-6  # s, the lead below which two spikes count as simultaneous; measured noise: docs/reliability.md


@dataclass(frozen=True)
class Schedule(Parameters):
    """Pulses of training and inference (Jurj 2024, section 3): class after class, input and phi start together."""

    pulse: float = quantity(5e-3, 1e-6, 10.0, "s", "length of a pulse")
    period: float = quantity(15e-3, 1e-6, 100.0, "s", "from one class's pulse to the next")
    rise: float = quantity(10e-6, 1e-9, 1e-2, "s", "duration of each edge")
    input_voltage: float = quantity(1.0, 1e-3, 100.0, "V", "input pulse of a full pixel")
    phi_voltage: float = quantity(1.2, 1e-3, 100.0, "V", "phi pulse")
    sampling_step: float = quantity(10e-6, 1e-9, 1e-1, "s", "the paper's time step; only its decision rule uses it")

    def check(self):
        if not self.pulse + self.rise < self.period:
            raise ParameterError(f"period must exceed pulse + rise, got {self.period:g} s for "
                                 f"{self.pulse:g} + {self.rise:g} s")
        if not self.rise < self.pulse:
            raise ParameterError(f"rise must be below the pulse, got {self.rise:g} s for {self.pulse:g} s")
        if not self.sampling_step < self.pulse:
            raise ParameterError(f"step must be below the pulse, got {self.sampling_step:g} s for {self.pulse:g} s")

    def start(self, k):
        """Start of the k-th pulse in s."""
        return k * self.period

    def stop(self, count):
        """End of a schedule of `count` pulses in s."""
        return count * self.period

    def train(self, levels):
        """Piecewise-linear source (s, V) of one pulse a period; `levels` in V, 0 leaves a period out."""
        points = [(0.0, 0.0)]
        for k, level in enumerate(levels):
            if level:
                points += edges(self.start(k), self.pulse, self.rise, level)
        return points if points[1:2] != [(0.0, 0.0)] else points[1:]


def edges(start, pulse, rise, level):
    """The four corners of a trapezoidal pulse whose area is exactly level * pulse."""
    return [(start, 0.0), (start + rise, level), (start + pulse, level), (start + pulse + rise, 0.0)]


# Training must keep charge to 1 %, which loose tolerances do not: docs/performance.md.
TRAINING = Solver(max_step=200e-6, reltol=1e-5, trtol=70.0, method="trap")
# A write of a few mV to some columns must not disturb any other cell: the tolerance decides that, not physics.
WRITING = Solver(max_step=1e-3, reltol=1e-5, trtol=70.0, method="trap")
# Reading follows membranes; trapezoidal integration is four times as exact per step and does not ring without op-amp poles.
# The charge floor lets the membranes (1e-3 C), not the gates (1e-11 C), govern the step.
READING = Solver(max_step=20e-6, reltol=1e-5, trtol=100.0, chgtol=1e-7, method="trap")


@dataclass(frozen=True)
class Training:
    """What a training transient gave: waveforms over `time` (s) in V, and the `states` at its end, classes x inputs."""

    time: np.ndarray
    inputs: np.ndarray
    controls: np.ndarray
    states_over_time: np.ndarray
    states: np.ndarray


def hebbian_network(parameters, schedule, patterns):
    """Netlist that trains `patterns` (classes x inputs, 0 to 1): class j's pattern while phi_j alone is pulsed."""
    check_phi(schedule.phi_voltage, parameters.memristor)
    classes, inputs = patterns.shape
    sources = [schedule.train(schedule.input_voltage * patterns[:, i]) for i in range(inputs)]
    controls = [schedule.train(schedule.phi_voltage * np.eye(classes)[j]) for j in range(classes)]
    return network(parameters, np.zeros((classes, inputs)), sources, controls, neurons=False,
                   title="in-situ Hebbian training")


def inference_network(parameters, schedule, states, patterns):
    """Netlist that presents `patterns` (images x inputs, 0 to 1) one after the other to trained cells, every phi at 0."""
    sources = [schedule.train(schedule.input_voltage * patterns[:, i]) for i in range(patterns.shape[1])]
    return network(parameters, states, sources, [OFF] * len(states),
                   title="inference")


def read_network(parameters, schedule, states, image, title="read"):
    """Netlist of the whole network that reads one `image` (inputs, levels 0 to 1) once."""
    points = [edges(0.0, schedule.pulse, schedule.rise, schedule.input_voltage * level) for level in image]
    return network(parameters, states, points, title=title)


def train_hebbian(session, parameters, schedule, patterns, solver=TRAINING, watch=lambda steps: steps):
    """Train all classes in one ngspice transient; return a `Training`.

    `watch` wraps the iterator over the presentations, for a progress bar. Raises SimulationError.
    """
    classes, inputs = patterns.shape
    cells = state_names(classes, inputs)
    circuit = session.load(hebbian_network(parameters, schedule, patterns), solver,
                           names("input", inputs) + names("phi", classes) + cells)
    waves = _last(watch(circuit.run(schedule.stop(classes), pauses=[schedule.stop(k) for k in range(1, classes)])))
    over_time = waves.stack(cells)
    training = Training(waves.time, waves.stack(names("input", inputs)), waves.stack(names("phi", classes)), over_time,
                        over_time[:, -1].reshape(classes, inputs))
    session.unload(circuit)
    return training


@dataclass(frozen=True)
class Inference:
    """What an inference transient gave: waveforms over `time` (s) in V, and first spikes in s, images x classes."""

    time: np.ndarray
    membranes: np.ndarray
    outputs: np.ndarray
    spikes: np.ndarray


def infer(session, parameters, schedule, states, patterns, solver=READING, watch=lambda steps: steps):
    """Present `patterns` in one ngspice transient to cells in `states`; return an `Inference`.

    Spike times count from each pulse's start; nan where a neuron stays silent. Raises SimulationError.
    """
    classes = len(states)
    circuit = session.load(inference_network(parameters, schedule, states, patterns), solver,
                           names("membrane", classes) + names("output", classes))
    stops = [schedule.stop(k) for k in range(1, len(patterns) + 1)]
    waves = _last(watch(circuit.run(stops[-1], pauses=stops[:-1])))
    membranes, outputs = waves.stack(names("membrane", classes)), waves.stack(names("output", classes))
    session.unload(circuit)
    spikes = [first_spikes(waves.time, membranes, outputs, parameters.neuron, schedule.start(k), schedule.period)
              for k in range(len(patterns))]
    return Inference(waves.time, membranes, outputs, np.array(spikes))


def _last(waveforms):
    for waves in waveforms:
        last = waves
    return last


def first_spikes(time, membranes, outputs, neuron, start, duration):
    """First spike of each neuron in s after `start`, nan if it does not fire within `duration` s (array of classes).

    A spike is the output going high. It falls between two of the simulator's own, unequal time points; within that step
    its time is where the membrane (a smooth curve, unlike the output) crosses the trigger's threshold. ngspice's switch can
    go high early, within its hysteresis, after a rejected step: therefore the membrane must have crossed as well.
    """
    first, last = np.searchsorted(time, [start, start + duration])
    result = np.full(len(membranes), np.nan)
    fired = (outputs[:, first:last] > neuron.output_high / 2) & (membranes[:, first:last] >= neuron.threshold)
    for j in np.flatnonzero(fired.any(axis=1)):
        k = first + int(np.argmax(fired[j]))
        result[j] = _crossing(time, membranes[j], k, neuron.threshold) - start if k > first else 0.0
    return result


def _crossing(time, membrane, k, threshold):
    """Where `membrane` rises through `threshold` between the time points k - 1 and k, by the cubic through four points."""
    low = max(0, min(k - 2, len(time) - 4))
    t, v = time[low:low + 4] - time[k], membrane[low:low + 4]
    # Inverse interpolation: time as a cubic in the rising membrane voltage gives the crossing without a search.
    if np.all(np.diff(v) > 0):
        others = ~np.eye(4, dtype=bool)
        lagrange = np.divide(threshold - v, v[:, None] - v, out=np.ones((4, 4)), where=others).prod(axis=1)
        estimate = time[k] + float(t @ lagrange)
        if time[k - 1] <= estimate <= time[k]:
            return estimate
    share = (threshold - membrane[k - 1]) / (membrane[k] - membrane[k - 1])
    return time[k - 1] + share * (time[k] - time[k - 1])


def strict_decision(spikes, resolution=RESOLUTION):
    """The class that fires first, if it leads by more than `resolution` s; else TIED, or SILENT if none fires."""
    order = np.sort(np.where(np.isnan(spikes), np.inf, spikes))
    if np.isinf(order[0]):
        return SILENT
    return int(np.nanargmin(spikes)) if order[1] - order[0] > resolution else TIED


def lead(spikes):
    """How long in s the first neuron fires before the second; inf if it fires alone, nan if none fires."""
    order = np.sort(np.where(np.isnan(spikes), np.inf, spikes))
    return np.nan if np.isinf(order[0]) else order[1] - order[0]


def paper_decision(spikes, step):
    """Jurj's rule on waveforms sampled every `step` s: the earliest spike, ties to the lower class, silence is class 0."""
    samples = np.ceil(np.where(np.isnan(spikes), np.inf, spikes) / step)
    return int(np.argmin(samples))


def ranking(spikes):
    """Classes in the order in which they fired; those that stayed silent are not in it."""
    return [int(j) for j in np.argsort(spikes, kind="stable") if not np.isnan(spikes[j])]
