"""Error-driven training by settled membranes alone, compiled: stands in for the closed form to compare many trainings.

It leaves out the input's edge, the finite gain of op-amps, and rails, which move all neurons of an image nearly alike. Writes
are those of the closed form, for cells that conduct. A million presentations a second.
"""

import math
from typing import Any

import numpy as np

from memristive.compiled import compiled
from memristive.single_layer import error_rule, setup
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.error_rule import SMALLEST_DOSE, ErrorDrivenRule
from memristor import state_rate

first_wrong_neuron = compiled(error_rule.first_wrong_neuron)
write_window = compiled(setup.write_window)


class SettledTraining:
    """Training and reads of a crossbar whose devices are alike.

    Parameters
    ----------
    nominal : Setup
    classes : int
    images : array, n x inputs, levels 0 to 1
    labels : array, n
    """

    def __init__(self, nominal: setup.Setup, classes: int, images: np.ndarray, labels: np.ndarray) -> None:
        memristor, schedule, neurons = nominal.memristor, nominal.schedule, Crossbar.of(nominal).neurons
        self._shape, self._labels = (classes, images.shape[1]), labels.astype(np.int64)
        # The inputs of each image that are not 0, and their volts.
        ends = np.concatenate([[0], np.count_nonzero(images, axis=1).cumsum()])
        self._images = ends, np.nonzero(images)[1], schedule.input_voltage * images[images > 0]
        self._read: tuple[Any, ...] = (
            memristor.capacitance / memristor.memory_capacitance, memristor.threshold_voltage,
            neurons.membrane_gain * neurons.feedback_resistance * memristor.gain / 2, neurons.threshold, neurons.time_constant,
            schedule.pulse)
        self._rate = float(state_rate(memristor, schedule.input_voltage))
        self._write = (*self._read[:2], memristor.switch_threshold / schedule.phi_voltage, memristor.write_time_constant,
                       memristor.transconductance * memristor.leak_resistance)

    def train(self, rule: ErrorDrivenRule, order: np.ndarray) -> tuple[np.ndarray, int]:
        """Return states (classes x inputs, V) after a training on the images `order`, and the number of images that wrote."""
        states = np.full(self._shape, rule.start_state)
        pulses = np.maximum(1 - np.arange(len(order)) / len(order), SMALLEST_DOSE) * rule.dose / self._rate
        return states, _train(states, self._images, self._labels, (order, pulses, rule.margin), self._read, self._write)

    def spikes(self, states: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Return first spike times in s (len(images) x classes) of images with these numbers; nan: silent."""
        spikes = np.empty((len(images), len(states)))
        for row, k in zip(spikes, images, strict=True):
            _spikes(states, *_driven(self._images, k), self._read, row)
        return spikes


@compiled
def _driven(images: tuple[np.ndarray, ...], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs that image `k` drives, and their volts."""
    ends, inputs, volts = images
    return inputs[ends[k]:ends[k + 1]], volts[ends[k]:ends[k + 1]]


@compiled
def _spikes(states: np.ndarray, inputs: np.ndarray, volts: np.ndarray, read: tuple[float, ...], spikes: np.ndarray) -> None:
    share, threshold_voltage, scale, threshold, time_constant, pulse = read
    for j in range(len(states)):
        settled = 0.0
        for k in range(len(inputs)):
            start = max(states[j, inputs[k]] - threshold_voltage, 0.0)
            drop = min(volts[k], 3 / (2 + share) * start)
            mean = start - share / 2 * drop
            settled += scale * drop * (mean + math.sqrt(max(mean * mean - (1 - share) / 3 * (drop * drop), 0.0)))
        spikes[j] = time_constant * math.log(settled / (settled - threshold)) if settled > threshold else np.nan
        if spikes[j] > pulse:
            spikes[j] = np.nan


@compiled
def _write(column: np.ndarray, inputs: np.ndarray, volts: np.ndarray, sign: int, pulse: float,
           write: tuple[float, ...]) -> None:
    share, threshold_voltage, phi_share, time_constant, transresistance = write
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
def _train(states: np.ndarray, images: tuple[np.ndarray, ...], labels: np.ndarray, course: tuple[np.ndarray, np.ndarray, float],
           read: tuple[float, ...], write: tuple[float, ...]) -> int:
    order, pulses, margin = course
    spikes, wrote = np.empty(len(states)), 0
    for k, pulse in zip(order, pulses):  # noqa: B905 (numba)
        label, (inputs, volts) = labels[k], _driven(images, k)
        _spikes(states, inputs, volts, read, spikes)
        offender, silent = first_wrong_neuron(spikes, label, margin), np.isnan(spikes[label])
        wrong = -1 if offender is None else int(offender)
        if wrong >= 0 or silent:
            wrote += 1
            _write(states[label], inputs, volts, 1, pulse, write)
        if wrong >= 0:
            _write(states[wrong], inputs, volts, -1, pulse, write)
    return wrote
