"""Closed form of one read, compiled by numba, for online learning: one image after another.

The arithmetic is that of `closed_form.Crossbar.read`, cell by cell (tests/single_layer/test_closed_form.py compares them).
The import takes a second, and so does compiling: import this module only where there are thousands of presentations.
"""

from typing import Any

import numpy as np

from memristive.compiled import compiled
from memristive.single_layer.closed_form import BELOW, SHARES, Crossbar
from memristive.spice.parameters import ParameterError


class CompiledRead:
    """Reads of classes x inputs cells of a `Crossbar`, whose arrays may differ from cell to cell and neuron to neuron."""

    def __init__(self, crossbar: Crossbar, classes: int, inputs: int) -> None:
        cells, (neurons, edge) = crossbar.cells, crossbar.for_images
        share = cells.capacitance / cells.memory_capacitance
        of_cells = [np.array(np.broadcast_to(values, (classes, inputs)), float)
                       for values in (cells.gain, cells.threshold_voltage, share)]
        of_neurons = [np.array(np.broadcast_to(values, (1, classes))[0], float) for values in (
            neurons.feedback_resistance, neurons.amplifier_gain, neurons.membrane_gain, neurons.rail, neurons.threshold,
            neurons.time_constant)]
        of_edge = np.array(np.broadcast_to(edge, (len(edge), 1, classes))[:, 0])
        schedule = crossbar.schedule
        self._values: tuple[Any, ...] = (*of_cells, *of_neurons, of_edge, schedule.rise, schedule.pulse, schedule.input_voltage)

    def __call__(self, states: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Return the first spikes in s (classes), nan for silent neurons, of an image (inputs).

        Raises ParameterError for levels outside 0 to 1.
        """
        return _first_spikes(states, image, *self._values)


@compiled
def _first_spikes(states: np.ndarray, image: np.ndarray, gain: np.ndarray, threshold_voltage: np.ndarray, share: np.ndarray,
                  feedback: np.ndarray, amplifier_gain: np.ndarray, membrane_gain: np.ndarray, rail: np.ndarray,
                  threshold: np.ndarray, time_constant: np.ndarray, edge: np.ndarray, rise: float, pulse: float,
                  input_voltage: float) -> np.ndarray:
    classes, inputs = states.shape
    for i in range(inputs):
        if not 0.0 <= image[i] <= 1.0:
            raise ParameterError("images must be levels from 0 to 1: scale them")
    spikes, currents = np.full(classes, np.nan), np.empty(len(SHARES))
    for j in range(classes):
        currents[:] = 0.0
        for i in range(inputs):
            start = states[j, i] - threshold_voltage[j, i]
            if image[i] == 0.0 or start <= 0.0:
                continue
            k = share[j, i]
            for s in range(len(SHARES)):
                volts = max(SHARES[s] * input_voltage * image[i] - BELOW[s], 0.0)
                drop = min(volts, 3 / (2 + k) * start)
                mean = start - k / 2 * drop
                currents[s] += gain[j, i] / 2 * drop * (mean + np.sqrt(mean * mean - (1 - k) / 3 * (drop * drop)))
        conductance = (currents[-2] - currents[-1]) / BELOW[-1]
        resistance = feedback[j] / (1 + feedback[j] * conductance / amplifier_gain[j])
        settled = membrane_gain[j] * min(resistance * currents[-2], rail[j])
        risen = 0.0
        for s in range(len(edge)):
            risen += edge[s, j] * membrane_gain[j] * min(resistance * currents[s], rail[j])
        if settled > threshold[j]:
            spike = rise + time_constant[j] * np.log((settled - risen) / (settled - threshold[j]))
            if risen > threshold[j]:
                spike = rise * np.sqrt(threshold[j] / risen)
            if spike <= pulse:
                spikes[j] = spike
    return spikes
