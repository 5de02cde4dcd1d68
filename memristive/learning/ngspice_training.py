"""Multilayer networks trained in ngspice: every read, back-read and write is a transient; Python selects the phi to pulse.

The rule is that of learning/rule.py, whose functions the compiled closed form runs as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from memristive.learning.layered_training import BLOCK, LayeredLearning, write_generator
from memristive.learning.rule import (
    LayeredRule,
    dose_factor,
    first_wrong_neuron,
    hidden_errors,
    is_right,
    margin_factor,
    output_errors,
    overlap_times,
)
from memristive.network.layers import READ_BLOCK, LayeredNetwork, read_generator
from memristive.network.ngspice_layer import ColumnDose
from memristive.network.ngspice_network import NgspiceNetwork
from memristive.spice.parameters import ParameterError
from memristive.spice.session import temporary_circuits

if TYPE_CHECKING:
    from memristive.network.subcircuit_layers import ModelCells


def read_in_ngspice(network: LayeredNetwork, images: np.ndarray, wanted: int = 2, seed: int = 0) -> Iterator[np.ndarray]:
    """Read images in ngspice, layer by layer; the circuits are unloaded at the end.

    Parameters
    ----------
    network : LayeredNetwork
    images : array, n x inputs, levels 0 to 1
    wanted : int
        A read ends once this many output neurons have fired.
    seed : int
        Seed of the read noise, as in `LayeredNetwork.forward`.

    Yields
    ------
    array, classes, s
        First spikes of the last layer; nan for a neuron that has not fired by the end of the read.

    Raises
    ------
    SimulationError
        ngspice cannot complete a transient.
    """
    reader, rng = NgspiceNetwork(network), None
    try:
        for k, image in enumerate(images):
            rng = read_generator(seed, k) if k % READ_BLOCK == 0 else rng
            yield reader.read(network, image, wanted, rng=rng)[0][-1]
    finally:
        reader.unload()


def train_in_ngspice(learning: LayeredLearning, rule: LayeredRule, images: np.ndarray, labels: np.ndarray,
                     cells: ModelCells | None = None) -> Iterator[tuple[int, float]]:
    """Train in ngspice, with the arguments of `layered_training.train_layers`; yield after every presentation.

    `cells`: a SPICE model in every cell; None: emulators. Raises SimulationError, and ParameterError if pulses disturb other
    cells, as in a passive array. Emulators with phi cannot do this.
    """
    pulses = learning.network.pulses
    if not cells and pulses and max(pulses.disturb_up, pulses.disturb_down) > 0:
        raise ParameterError("disturb_up and disturb_down must be 0 to train emulators in ngspice, which switch by phi; "
                             "train in closed form")
    with temporary_circuits():
        trainer = NgspiceTrainer(NgspiceNetwork(learning.network, cells=cells), rule, images, labels)
        while learning.done < rule.presentations:
            trainer.present(learning)
            yield learning.done, learning.running_accuracy


class NgspiceTrainer:
    """The rule in ngspice, on images (n x inputs, levels 0 to 1) with `labels` (n), by the reads and writes of `circuits`."""

    def __init__(self, circuits: NgspiceNetwork, rule: LayeredRule, images: np.ndarray, labels: np.ndarray) -> None:
        self._circuits, self._rule, self._images, self._labels = circuits, rule, images, labels
        self._rng: np.random.Generator | None = None

    def present(self, learning: LayeredLearning) -> np.ndarray:
        """Present the next image: read, and unless the right neuron leads, read back and write.

        Updates `learning`; returns the first spikes of the last layer in s. Raises SimulationError.
        """
        k = learning.done
        rule = self._rule
        index = rule.order(len(self._images), k, k + 1)[0]
        image, label = self._images[index], int(self._labels[index])
        self._rng = rng = write_generator(rule, k) if self._rng is None or k % BLOCK == 0 else self._rng
        times, settled = self._circuits.read(learning.network, image, label=label, rng=rng)
        margin = rule.margin * margin_factor(k, rule.presentations, rule.final_margin)
        wrong = first_wrong_neuron(times[-1], label, margin)
        silent = bool(np.isnan(times[-1][label]))
        if silent or wrong is not None:
            errors = output_errors(len(times[-1]), label, -1 if wrong is None else wrong)
            states = self._correct(learning.network, image, times, settled, errors, k, rng)
            learning.network = dataclasses.replace(learning.network, states=states)
        learning.history[k] = is_right(times[-1], label), silent or wrong is not None
        learning.done = k + 1
        return times[-1]

    def _correct(self, network: LayeredNetwork, image: np.ndarray, times: list[np.ndarray], settled: list[np.ndarray],
                 errors: np.ndarray, done: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return the states after all back-reads, from the last layer to the first, and then all writes."""
        rule, design, last = self._rule, network.design, len(network.states) - 1
        found = [errors]
        for layer in range(last, 0, -1):
            back = self._circuits.layers[layer].read_back(network.states[layer], found[0])
            back = back + network.back_noise(found[0], len(back), rng)
            found.insert(0, hidden_errors(back, settled[layer - 1], rule.reach, 1.0 if layer == last else rule.error_scale))
        factor, result = dose_factor(done, rule.presentations, rule.final_dose), []
        for layer, layer_errors in enumerate(found):
            dose, neurons = factor * (rule.output_dose if layer == last else rule.hidden_dose), len(layer_errors)
            pair, doses = done % max(1, design.pairs), []  # in turn
            for j in np.flatnonzero(layer_errors).tolist():
                shares = np.append(image, 1.0)
                if layer:
                    rows = np.append(times[layer - 1], network.start_time)
                    shares = overlap_times(rows, times[layer][j], design.window) / network.parameters.neuron.time_constant
                signs = {pair * neurons + j: 1.0, (design.pairs + pair) * neurons + j: -1.0} if design.pairs else {j: 1.0}
                doses += [ColumnDose(column, sign * dose * layer_errors[j], shares) for column, sign in signs.items()]
            result.append(self._circuits.layers[layer].write(network.states[layer], doses, rng))
        return tuple(result)
