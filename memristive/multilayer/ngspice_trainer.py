"""Layers taught wholly in ngspice: every read, back-read and write is a transient; Python only chooses whose phi to pulse.

The choices are those of `layer_rule`, the very functions that the compiled closed form runs.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, presentation_order, start_delay
from memristive.multilayer.layer_ngspice import BackReader, ColumnWriter, LayeredReader
from memristive.multilayer.layer_rule import LayeredRule, errors, falling, overlaps, plastic
from memristive.single_layer.error_rule import RUNNING, offender
from memristive.spice.session import NgspiceSession
from memristor import state_rate


class LayeredTeacher:
    """Runs the rule on images (n x inputs, levels 0 to 1) with `labels` (n) in one `NgspiceSession`."""

    def __init__(self, session: NgspiceSession, network: LayeredNetwork, rule: LayeredRule, images: np.ndarray,
                 labels: np.ndarray) -> None:
        self._rule, self._images, self._labels = rule, images, labels
        self._reader = LayeredReader(session, network)
        self._back = [BackReader(session, network, layer) for layer in range(1, len(network.states))]
        chips = network.chip or [None] * len(network.states)
        self._writers = [ColumnWriter(session, network, states.shape[1], chip)
                         for states, chip in zip(network.states, chips, strict=True)]
        self._rate = float(state_rate(network.parameters.memristor, network.design.row_voltage))
        self._tau = network.parameters.neuron.time_constant
        self._start = start_delay(network.design.rise, self._tau)

    def present(self, learning: LayeredLearning) -> None:
        """Present the next image: read, and where the right neuron does not lead, back-read and write. Raises SimulationError."""
        k = learning.done
        index = presentation_order(self._rule, len(self._images), k, k + 1)[0]
        image, label = self._images[index], int(self._labels[index])
        times, settled = self._reader.read(learning.network, image, label=label)
        wrong = offender(times[-1], label, self._rule.margin)
        silent = bool(np.isnan(times[-1][label]))
        right = not silent and not bool((times[-1] < times[-1][label]).any())
        if silent or wrong is not None:
            found = errors(len(times[-1]), label, -1 if wrong is None else wrong)
            states = self._correct(learning.network, image, times, settled, found, falling(k, self._rule.presentations))
            learning.network = dataclasses.replace(learning.network, states=states)
        learning.history[k] = right, silent or wrong is not None
        learning.done = k + 1

    def presentations(self, learning: LayeredLearning) -> Iterator[tuple[int, float]]:
        """Present the images still to come; yields (done, running accuracy) after each, as `layers.train` does."""
        while learning.done < self._rule.presentations:
            self.present(learning)
            yield learning.done, float(learning.history[max(0, learning.done - RUNNING):learning.done, 0].mean())

    def _correct(self, network: LayeredNetwork, image: np.ndarray, times: list[np.ndarray], settled: list[np.ndarray],
                 found: np.ndarray, share: float) -> tuple[np.ndarray, ...]:
        """The states after all back-reads, from the last layer down, and then all writes."""
        columns = [found]
        for layer in range(len(network.states) - 1, 0, -1):
            back = self._back[layer - 1].read(network.states[layer], columns[0])
            scale = 1.0 if layer == len(network.states) - 1 else self._rule.error_scale
            columns.insert(0, plastic(back, settled[layer - 1], self._rule.reach, scale))
        result = []
        for layer, (states, column_errors) in enumerate(zip(network.states, columns, strict=True)):
            last = layer == len(network.states) - 1
            pulse = share * (self._rule.output_dose if last else self._rule.hidden_dose) / self._rate
            rows = np.append(times[layer - 1], self._start) if layer else np.empty(0)
            states = states.copy()
            for j in np.flatnonzero(column_errors):
                levels, high = np.append(image, 1.0), np.ones(states.shape[1])
                if layer:
                    levels, high = high, overlaps(rows, times[layer][j], network.design.window) / self._tau
                states[j] = self._writers[layer].write(states[j], levels, high, pulse * column_errors[j], int(j))
            result.append(states)
        return tuple(result)
