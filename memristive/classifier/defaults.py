"""What suits a table: dose, margin and start that a MemristiveClassifier takes where none is given.

How they were chosen stands in docs/reproducing.md.
"""

import dataclasses
import math
from statistics import NormalDist

import numpy as np

from memristive.multilayer.layer_network import LayeredNetwork, thresholds_per_volt, with_bias
from memristive.multilayer.layer_rule import LayeredRule

EPOCHS, PRESENTATIONS = 40, 3_000  # of `fit`, at least: few samples are presented more often
DOSE, LARGEST_DOSE = 2.4, 0.1  # V times features, V: a write moves a membrane by about as much, whatever their number
# Classes up to which they hold; of more, each is presented less often than the others together undo (tables of 5 to 100 classes).
# Where classes of few features overlap, errors never end, and cells of hidden layers run away with larger doses.
FEW_CLASSES, CLASSES_OF_LARGEST = 10, 5
# Fewer samples are learned with more room between them and their neighbours.
MARGIN, MANY, LARGEST_MARGIN = 4e-6, 1500, 12e-6  # s, samples, s
HIDDEN = 2.0  # dose of hidden cells over that of output cells
# A single hidden layer of fewer neurons per class, and of fewer than those in all, is given less of it by `fit`: its errors do
# not end, and its cells would run away. Not by `partial_fit`, which gives less anyway.
PER_CLASS, ENOUGH = 5, 50
ONLINE = 0.2  # share of the dose that `partial_fit` gives, of which nobody knows how long it will go on
# Cells of the first hidden layer start alike whatever the number of features: what a row at full level adds to a membrane, in
# thresholds. Few features drive few neurons, which is well for them, as long as some fire and learn.
START_WEIGHT, START_WEIGHT_SPREAD, LARGEST_START = 0.06, 0.2, 10.0
ACTIVE = 12  # neurons expected to start plastic, of fewer than 24 the half
# Of several hidden layers all have to fire from the start, and errors grow on their way back, the more so the larger the dose.
DEEP_DOSE, DEEP_START, DEEP_START_SPREAD = 0.03, 2.0, 1.5  # V at most, thresholds
DEEP_ERROR_SCALE, LEAST_ERROR_SCALE = 130.0, 10.0  # V per V of dose, V


def suited_dose(features: int, classes: int, hidden: tuple[int, ...]) -> float:
    """The dose in V for a table and the sizes of the `hidden` layers."""
    deep = len(hidden) > 1
    return min(DOSE / features * min(1.0, FEW_CLASSES / classes), LARGEST_DOSE * min(1.0, CLASSES_OF_LARGEST / classes),
               DEEP_DOSE if deep else math.inf)


def hidden_share(classes: int, hidden: tuple[int, ...]) -> float:
    """The share of the hidden cells' suited dose that `fit` gives them."""
    return min(1.0, hidden[0] / min(PER_CLASS * classes, ENOUGH)) if len(hidden) == 1 else 1.0


def suited_margin(samples: int) -> float:
    """The margin in s for so many samples."""
    return min(MARGIN * max(1.0, math.sqrt(MANY / samples)), LARGEST_MARGIN)


def rule_with(dose: float, margin: float, seed: int, hidden: tuple[int, ...]) -> LayeredRule:
    """The rule with a dose in V and a margin in s."""
    scale = max(DEEP_ERROR_SCALE * dose, LEAST_ERROR_SCALE) if len(hidden) > 1 else LayeredRule.error_scale
    return LayeredRule(hidden_dose=HIDDEN * dose, output_dose=dose, margin=margin, error_scale=scale, seed=seed)


def started(rule: LayeredRule, levels: np.ndarray, hidden: tuple[int, ...]) -> LayeredRule:
    """The `rule` with a start for the first of the `hidden` layers on `levels` (samples x rows, without the bias)."""
    if len(hidden) > 1:
        return dataclasses.replace(rule, start_drive=DEEP_START, start_drive_spread=DEEP_START_SPREAD)
    neurons, rows = hidden[0], with_bias(levels)
    drive = START_WEIGHT * rows.sum(axis=1).mean()
    spread = min(START_WEIGHT_SPREAD * math.sqrt((rows**2).sum(axis=1).mean()), LARGEST_START)
    enough = rule.reach + spread * NormalDist().inv_cdf(min(0.5, ACTIVE / neurons))
    return dataclasses.replace(rule, start_drive=min(max(drive, enough), LARGEST_START), start_drive_spread=spread)


def firing(network: LayeredNetwork, levels: np.ndarray, seed: int) -> LayeredNetwork:
    """The `network` with a start for its later hidden layers: driven by what fires for `levels`, they start as the first does."""
    rng = np.random.default_rng([seed, 2])
    per_volt = thresholds_per_volt(network.parameters, network.design)
    for layer in range(1, len(network.states) - 1):
        fired = with_bias(~np.isnan(network.forward(levels)[layer - 1])).sum(axis=1).mean()  # as many rows are driven
        start = rng.normal(DEEP_START / fired, DEEP_START_SPREAD / math.sqrt(fired), network.states[layer].shape) / per_volt
        states = list(network.states)
        states[layer] = network.design.reference_state + start
        network = dataclasses.replace(network, states=tuple(states))
    return network
