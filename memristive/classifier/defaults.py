"""Dose, margin and initial states that suit a table of data. A MemristiveClassifier uses them if
the user gives none.

docs/reproducing.md describes how these values were chosen.
"""

import dataclasses
import math
from statistics import NormalDist
from typing import Any

import numpy as np

from memristive.devices.measured_device import MeasuredDevice, emulator
from memristive.learning.build import LATE_DOSE, initial_network, measured_pulses
from memristive.learning.rule import LayeredRule
from memristive.network.design import LayerDesign
from memristive.network.networks import Network, states_of_weights, thresholds_per_volt, with_bias

# smallest numbers in a `fit`, so small tables are presented more often
EPOCHS, PRESENTATIONS = 40, 3_000
# V times features, V: a write moves a membrane by about as much for any number of features
DOSE, LARGEST_DOSE = 2.4, 0.1
# Numbers of classes up to which these doses hold. With more classes, writes for the others undo
# those for a class more often. With larger doses, cells of hidden layers run away where classes of
# few features overlap.
FEW_CLASSES, CLASSES_OF_LARGEST = 10, 5
# s, samples, s: fewer samples are learned with a larger margin
MARGIN, MANY, LARGEST_MARGIN = 4e-6, 1500, 12e-6
# factor for synapses that write late: a lead must survive the noise of pulses that come later
LATE_MARGIN = 2.0
HIDDEN_SHARE = 2.0  # dose of hidden cells over that of output cells
# `fit` gives a smaller dose to a single hidden layer with fewer neurons per class and in all,
# because its errors do not end.
PER_CLASS, ENOUGH = 5, 50
ONLINE = 0.2  # dose factor of `partial_fit`: the number of later calls is unknown
# The first hidden layer starts alike for any number of features. In thresholds: mean and standard
# deviation of the weight of a row at full level, and the largest mean and standard deviation of the
# drive of a neuron.
START_WEIGHT, START_WEIGHT_SPREAD, LARGEST_START = 0.06, 0.2, 10.0
# hidden neurons expected to be written from the start on; of fewer than 24 neurons, half of them
ACTIVE = 12
# With several hidden layers all must fire from the start, and errors grow on their way back, in
# proportion to the dose. V, largest dose; drives at the start in thresholds
DEEP_DOSE, DEEP_START, DEEP_START_SPREAD = 0.03, 2.0, 1.5
# hidden layers from which a network starts in equal parts; standard deviation over output neurons
# of the membrane in thresholds at the end of their part
DEEP_LAYERS, LAST_SPREAD = 4, 0.3
DEEP_ERROR_SCALE, LEAST_ERROR_SCALE = 130.0, 10.0  # V per V of dose, V


def suited_dose(features: int, classes: int, hidden: tuple[int, ...]) -> float:
    """Return the dose in V of `MemristiveClassifier(dose=None)` for numbers of `features` and
    `classes` and the sizes of the `hidden` layers.
    """
    deep = len(hidden) > 1
    return min(
        DOSE / features * min(1.0, FEW_CLASSES / classes),
        LARGEST_DOSE * min(1.0, CLASSES_OF_LARGEST / classes),
        DEEP_DOSE if deep else math.inf,
    )


def hidden_share(classes: int, hidden: tuple[int, ...]) -> float:
    """Return the factor by which `fit` multiplies the dose of hidden cells: below 1 for a single
    small hidden layer (fewer neurons than the `classes` need), else 1. `hidden`: sizes of the
    hidden layers.
    """
    return min(1.0, hidden[0] / min(PER_CLASS * classes, ENOUGH)) if len(hidden) == 1 else 1.0


def device_dose(dose: float, device: MeasuredDevice, pairs: int, late: bool) -> float:
    """Return the dose in V for a measured device, from the usual `dose` in V of the default
    memristor. `pairs`, `late`: as in `MemristiveClassifier`.

    If steps depend on the state, the first pulses change X by more than the mean, so the dose is
    smaller. For synapses that write late, the dose is a fixed share of the dose at which a pulse is
    due, whatever the device. If a gate sets the level, the dose is a change of the gate voltage.
    """
    if device.levels:
        emulated = emulator(device)
        return dose * (device.gate_high - device.gate_low) / (emulated.high - emulated.low)
    if not late:
        return dose * device.mean_step / max(*device.up, *device.down)
    pulses = measured_pulses(emulator(device), late=True)
    return max(1, pairs) * LATE_DOSE * pulses.late * pulses.step


def suited_margin(samples: int, late: bool = False) -> float:
    """Return the margin in s that suits this number of training `samples`; `late`: True for
    synapses that write late.
    """
    margin = min(MARGIN * max(1.0, math.sqrt(MANY / samples)), LARGEST_MARGIN)
    return LATE_MARGIN * margin if late else margin


def learning_rule(dose: float, margin: float, seed: int, hidden: tuple[int, ...]) -> LayeredRule:
    """Return the learning rule of a MemristiveClassifier for a dose in V, a margin in s, a `seed`,
    and the sizes of the `hidden` layers.
    """
    scale = (
        max(DEEP_ERROR_SCALE * dose, LEAST_ERROR_SCALE)
        if len(hidden) > 1
        else LayeredRule.error_scale
    )
    return LayeredRule(
        hidden_dose=HIDDEN_SHARE * dose,
        output_dose=dose,
        margin=margin,
        error_scale=scale,
        seed=seed,
    )


def untrained_network(
    rule: LayeredRule,
    levels: np.ndarray,
    hidden: tuple[int, ...],
    classes: int,
    devices: dict[str, Any],
) -> Network:
    """Return an untrained network with random states, in which enough neurons fire for learning.

    Arguments are those of `firing_start`. From `DEEP_LAYERS` hidden layers on, few neurons of late
    layers would fire in time (docs/layers.md): such networks start in equal parts of the window.
    """
    network = firing_start(rule, levels, hidden, classes, devices)
    return start_in_parts(network, levels, rule.seed) if len(hidden) >= DEEP_LAYERS else network


def start_in_parts(network: Network, levels: np.ndarray, seed: int) -> Network:
    """Return a network whose layers fire one after the other: the mean membrane of layer k reaches
    the threshold at the end of the k-th of equal parts of the window. A last part is left for later
    output neurons.

    `levels` are the training samples (samples x rows, without the bias). The states of `network`
    are replaced.
    """
    design = network.design
    assert isinstance(design, LayerDesign)
    rng, states = np.random.default_rng([seed, 7]), list(network.states)
    tau = network.parameters.neuron.time_constant
    per_volt = thresholds_per_volt(network.parameters, design)
    for k in range(len(states)):
        end = (k + 1) / (len(states) + 1) * design.window
        network = dataclasses.replace(network, states=tuple(states))
        start = network.start_time
        heights = np.ones((len(levels), states[k].shape[1])) if k else with_bias(levels)
        rises = (
            with_bias(network.forward(levels)[k - 1], start) if k else np.full_like(heights, start)
        )
        # what a weight of one threshold adds to the membrane until the end of the part
        reached = heights * np.where(rises < end, -np.expm1((rises - end) / tau), 0.0)
        spread = LAST_SPREAD if k == len(states) - 1 else DEEP_START_SPREAD / DEEP_START
        weights = rng.normal(
            1 / reached.sum(axis=1).mean(),
            spread / math.sqrt((reached**2).sum(axis=1).mean()),
            (network.layers[k].neurons, states[k].shape[1]),
        )
        states[k] = states_of_weights(weights / per_volt, design, network.parameters.memristor)
    return dataclasses.replace(network, states=tuple(states))


def firing_start(
    rule: LayeredRule,
    levels: np.ndarray,
    hidden: tuple[int, ...],
    classes: int,
    devices: dict[str, Any],
) -> Network:
    """Return an untrained network in which each hidden layer is driven by the neurons that fire
    below.

    `levels` are the training samples (samples x rows without the bias), `hidden` the sizes of the
    hidden layers. `devices` holds parameters, design and pulses of the network, the arguments of
    `initial_network`.
    """
    pulses = devices.get("pulses")
    if not hidden and pulses and pulses.late:
        # few late writes would not overcome random weights: on iris they cost five points
        rule = dataclasses.replace(rule, start_drive=0.0, start_drive_spread=0.0)
    elif len(hidden) == 1:
        rule = single_layer_start(rule, levels, hidden[0])
    elif hidden:
        rule = dataclasses.replace(
            rule, start_drive=DEEP_START, start_drive_spread=DEEP_START_SPREAD
        )
    network = initial_network(hidden, classes, levels, rule, **devices)
    assert isinstance(network.design, LayerDesign)
    rng, per_volt = (
        np.random.default_rng([rule.seed, 2]),
        thresholds_per_volt(network.parameters, network.design),
    )
    # later hidden layers start as the first does, driven by the neurons that fire below
    for layer in range(1, len(hidden)):
        firing = with_bias(~np.isnan(network.forward(levels)[layer - 1])).sum(axis=1).mean()
        shape = (network.sizes[layer + 1], network.sizes[layer] + 1)
        start = (
            rng.normal(DEEP_START / firing, DEEP_START_SPREAD / math.sqrt(firing), shape) / per_volt
        )
        states = list(network.states)
        states[layer] = states_of_weights(start, network.design, network.parameters.memristor)
        network = dataclasses.replace(network, states=tuple(states))
    return network


def single_layer_start(rule: LayeredRule, levels: np.ndarray, neurons: int) -> LayeredRule:
    """Return `rule` with initial weights that let enough neurons of the only hidden layer fire.

    `levels` are the training samples (samples x rows, without the bias).
    """
    rows = with_bias(levels)
    drive = START_WEIGHT * rows.sum(axis=1).mean()
    spread = min(START_WEIGHT_SPREAD * math.sqrt((rows**2).sum(axis=1).mean()), LARGEST_START)
    enough = rule.reach + spread * NormalDist().inv_cdf(min(0.5, ACTIVE / neurons))
    return dataclasses.replace(
        rule, start_drive=min(max(drive, enough), LARGEST_START), start_drive_spread=spread
    )
