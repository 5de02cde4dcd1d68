"""Training of networks of one or more layers from their errors, in closed form (docs/layers.md).

`ngspice_training` does the same in ngspice.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.learning import compiled_rule
from memristive.learning.error_rule import RUNNING
from memristive.learning.rule import LayeredRule, check_labels
from memristive.network.kernel import Counts
from memristive.network.layers import (
    KernelArrays,
    LayeredNetwork,
    PulseWrites,
    no_counts,
    pulse_values,
    states_of_weights,
    thresholds_per_volt,
    with_bias,
)
from memristive.network.netlists import LayerDesign
from memristive.network.setup import check_levels
from memristive.spice.parameters import ParameterError
from snn_circuit import NetworkParameters

BLOCK = 1000  # presentations between two reports of a training


def initial_network(hidden: tuple[int, ...], classes: int, images: np.ndarray, rule: LayeredRule,
                    design: LayerDesign | None = None, parameters: NetworkParameters | None = None,
                    pulses: PulseWrites | None = None) -> LayeredNetwork:
    """Return an untrained network with random states.

    The two cells of a differential pair start equally far above and below `design.reference_state`.

    Parameters
    ----------
    hidden : tuple of int
        Neurons of each hidden layer.
    classes : int
    images : array, n x inputs, levels 0 to 1
        Images over which the membranes of the first layer settle with the mean and the spread that the rule gives.
    rule : LayeredRule
        Distribution of the start and its seed.
    design : LayerDesign, optional
    parameters : NetworkParameters, optional
    pulses : PulseWrites, optional
    """
    check_levels("images", images, np.shape(images)[-1])
    design, parameters = design or LayerDesign(), parameters or NetworkParameters()
    rng = np.random.default_rng([rule.seed, 1])
    levels = with_bias(design.read_levels(images))
    mean, power = levels.sum(axis=1).mean(), (levels**2).sum(axis=1).mean()
    per_volt = thresholds_per_volt(parameters, design)
    sizes = (levels.shape[1] - 1, *hidden, classes)
    states = [rng.normal(rule.start_drive / mean / per_volt, rule.start_drive_spread / math.sqrt(power) / per_volt,
                         (sizes[1], sizes[0] + 1))]
    states += [rng.normal(rule.start_weight, rule.start_weight_spread, (above, below + 1))
               for below, above in itertools.pairwise(sizes[1:])]
    return LayeredNetwork(tuple(states_of_weights(start, design, parameters.memristor) for start in states), parameters, design,
                          pulses=pulses)


@dataclass
class LayeredLearning:
    """State of a training, as checkpoints keep it.

    Parameters
    ----------
    network : LayeredNetwork
    history : array of bool, presentations x 2
        For each presentation: True if the answer was right before the write, and True if cells were written.
    done : int
        Presentations done.
    """

    network: LayeredNetwork
    history: np.ndarray
    done: int = 0

    @classmethod
    def start(cls, network: LayeredNetwork, rule: LayeredRule) -> LayeredLearning:
        """Return a training before its first presentation."""
        return cls(network, np.zeros((rule.presentations, 2), bool))

    def arrays(self) -> dict[str, Any]:
        """Return everything that changes, by name, for a checkpoint."""
        layers = {f"states_{k}": states for k, states in enumerate(self.network.states)}
        return {**layers, "history": self.history, "done": self.done}

    @classmethod
    def restored(cls, network: LayeredNetwork, arrays: dict[str, np.ndarray]) -> LayeredLearning:
        """Return the training that a checkpoint's `arrays` hold; `network` gives everything but the states."""
        states = tuple(arrays[f"states_{k}"] for k in range(len(network.states)))
        return cls(dataclasses.replace(network, states=states), arrays["history"].copy(), int(arrays["done"]))

    @property
    def running_accuracy(self) -> float:
        """Share of right answers among the last `RUNNING` presentations."""
        return float(self.history[max(0, self.done - RUNNING):self.done, 0].mean())


def train_layers(learning: LayeredLearning, rule: LayeredRule, images: np.ndarray, labels: np.ndarray,
                 block: int = BLOCK, counts: Counts | None = None) -> Iterator[tuple[int, float]]:
    """Present the remaining images in closed form and update `learning`.

    Parameters
    ----------
    learning : LayeredLearning
        Up to date whenever this function yields.
    rule : LayeredRule
    images : array, n x inputs, levels 0 to 1
    labels : array of int, n
    block : int
        Presentations between two yields.
    counts : Counts, optional
        From `no_counts`; the pulses of each cell are added to it.

    Yields
    ------
    (int, float)
        Presentations done, running accuracy.

    Raises
    ------
    ParameterError
        Images or labels do not fit the network, or the rule has more presentations than `learning`.
    """
    check_levels("images", images, learning.network.sizes[0])
    check_labels(labels, len(images), learning.network.sizes[-1])
    if rule.presentations > len(learning.history):
        raise ParameterError(f"presentations must be at most {len(learning.history)}, as at the start of this training, got "
                             f"{rule.presentations}")
    arrays = KernelArrays(learning.network)
    doses = compiled_rule.Doses(rule.presentations, rule.hidden_dose, rule.output_dose, rule.final_dose, 0.0, rule.margin,
                         rule.final_margin, rule.error_scale, rule.reach)
    pulses = pulse_values(learning.network.pulses)
    counts = counts or no_counts(learning.network)
    rng = write_generator(rule, learning.done)
    levels, classes = with_bias(images), np.asarray(labels, np.int64)
    rows = learning.network.design.read_levels(levels)  # an ohmic device gives the same array: less memory to read
    while learning.done < rule.presentations:
        stop = min((learning.done // block + 1) * block, rule.presentations)
        order = rule.order(len(images), learning.done, stop)
        history = np.zeros((len(order), 2), np.bool_)
        rng = rng if learning.done % BLOCK else write_generator(rule, learning.done)
        compiled_rule.train(arrays.layers, arrays.pulse, doses, pulses, counts, compiled_rule.NO_NOISE, arrays.states,
                            arrays.work, levels, rows, classes, order, learning.done, history, rng)
        learning.network = arrays.trained(learning.network)
        learning.history[learning.done:stop], learning.done = history, stop
        yield stop, learning.running_accuracy


def learn_layers(network: LayeredNetwork, rule: LayeredRule, images: np.ndarray, labels: np.ndarray,
                 watch: Callable[[Iterator[tuple[int, float]]], Iterable[Any]] = lambda steps: steps) -> LayeredLearning:
    """Train a network in closed form from start to end, and return the finished training.

    Parameters
    ----------
    network : LayeredNetwork
        Untrained.
    rule : LayeredRule
    images : array, n x inputs, levels 0 to 1
    labels : array of int, n
    watch : callable
        Wraps the iterator over blocks of `BLOCK` presentations, e.g. with a progress bar.
    """
    learning = LayeredLearning.start(network, rule)
    deque(watch(train_layers(learning, rule, images, labels)), 0)
    return learning


def write_generator(rule: LayeredRule, done: int) -> np.random.Generator:
    """Return a generator of the random numbers of reads and writes in `BLOCK` presentations, the first of number `done`."""
    return np.random.default_rng([rule.seed, 3, done])


