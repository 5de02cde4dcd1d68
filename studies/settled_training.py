"""Error-driven training by settled membranes alone, compiled: a stand-in for the closed form where many trainings are compared.

What it leaves out moves all neurons of an image next to alike: the input's edge, the op-amps' finite gain, rails. Writes are the
closed form's, for cells that conduct. A million presentations a second; what is trained in earnest is trained by an engine.
"""

import math

import numpy as np

from memristive.cli.experiments import Experiment
from memristive.single_layer import error_rule as error_driven
from memristive.single_layer import pulses
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.compiled import compiled
from memristive.single_layer.error_rule import SMALLEST_DOSE, ErrorDrivenRule
from memristor import state_rate

offender = compiled(error_driven.offender)
write_window = compiled(pulses.write_window)


class SettledTraining:
    """Trains and tests a crossbar of an ideal chip on images (n x inputs, levels 0 to 1) with labels (n)."""

    def __init__(self, experiment: Experiment, images: np.ndarray, labels: np.ndarray) -> None:
        memristor, crossbar = experiment.network.memristor, Crossbar.of(experiment.network, experiment.schedule)
        neurons, schedule = crossbar.neurons, experiment.schedule
        self._labels = labels.astype(np.int64)
        # Of each image only what is not 0: the places, and the volts there.
        self._ends = np.concatenate([[0], np.count_nonzero(images, axis=1).cumsum()])
        self._inputs = np.nonzero(images)[1]
        self._volts = schedule.input_voltage * images[images > 0]
        self._shape = experiment.dataset.patterns.shape
        self._read = (memristor.capacitance / memristor.memory_capacitance, memristor.threshold_voltage,
                      neurons.membrane_gain * neurons.feedback_resistance * memristor.gain / 2, neurons.threshold,
                      neurons.time_constant, schedule.pulse)
        self._write = (float(state_rate(memristor, schedule.input_voltage)), crossbar.phi_share,
                       memristor.write_time_constant, memristor.transconductance * memristor.leak_resistance)

    def train(self, rule: ErrorDrivenRule, order: np.ndarray) -> tuple[np.ndarray, int]:
        """States (classes x inputs, V) after presenting the images `order` by the rule, and how many presentations wrote."""
        states = np.full(self._shape, rule.start_state)
        wrote = _train(states, self._ends, self._inputs, self._volts, self._labels, order, rule.dose, rule.margin, self._read,
                       self._write)
        return states, wrote

    def spikes(self, states: np.ndarray, which: np.ndarray) -> np.ndarray:
        """First spike times in s (len(which) x classes) of some of the images; nan: silent."""
        found = np.empty((len(which), len(states)))
        for row, k in zip(found, which, strict=True):
            part = slice(self._ends[k], self._ends[k + 1])
            _spikes(states, self._inputs[part], self._volts[part], self._read, row)
        return found


@compiled
def _spikes(states: np.ndarray, inputs: np.ndarray, volts: np.ndarray, read: tuple[float, ...], found: np.ndarray) -> None:
    share, threshold_voltage, scale, threshold, time_constant, pulse = read
    for j in range(len(states)):
        settled = 0.0
        for k in range(len(inputs)):
            start = max(states[j, inputs[k]] - threshold_voltage, 0.0)
            drop = min(volts[k], 3 / (2 + share) * start)
            mean = start - share / 2 * drop
            settled += scale * drop * (mean + math.sqrt(max(mean * mean - (1 - share) / 3 * (drop * drop), 0.0)))
        found[j] = time_constant * math.log(settled / (settled - threshold)) if settled > threshold else np.nan
        if found[j] > pulse:
            found[j] = np.nan


@compiled
def _write(column: np.ndarray, inputs: np.ndarray, volts: np.ndarray, sign: int, pulse: float, share: float,
           threshold_voltage: float, write: tuple[float, ...]) -> None:
    _, phi_share, time_constant, transresistance = write
    window, area = write_window(pulse, phi_share)
    leak = -math.expm1(-window / time_constant)
    before = column.copy()
    column *= 1 - leak
    for k in range(len(inputs)):
        v, start = sign * volts[k], before[inputs[k]] - threshold_voltage
        mean = start - share / 2 * v
        lift = ((1 - share / 2) * v - start + math.sqrt(max(mean * mean - (1 - share) / 3 * v * v, 0.0))) / 2
        column[inputs[k]] += (transresistance * v * area / window - lift) * leak


@compiled
def _train(states: np.ndarray, ends: np.ndarray, inputs: np.ndarray, volts: np.ndarray, labels: np.ndarray, order: np.ndarray,
           dose: float, margin: float, read: tuple[float, ...], write: tuple[float, ...]) -> int:
    spikes, wrote = np.empty(len(states)), 0
    for k in range(len(order)):
        first, end, label = ends[order[k]], ends[order[k] + 1], labels[order[k]]
        there, level = inputs[first:end], volts[first:end]
        _spikes(states, there, level, read, spikes)
        pulse = max(1 - k / len(order), SMALLEST_DOSE) * dose / write[0]
        found, silent = offender(spikes, label, margin), np.isnan(spikes[label])
        wrong = -1 if found is None else int(found)
        if wrong >= 0 or silent:
            wrote += 1
            _write(states[label], there, level, 1, pulse, read[0], read[1], write)
        if wrong >= 0:
            _write(states[wrong], there, level, -1, pulse, read[0], read[1], write)
    return wrote
