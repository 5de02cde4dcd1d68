"""Gradient of spike times: the exact one follows differences of the closed form with ideal op-amps,
the local rule is that of the package, and each rule writes as its name says.
"""

import dataclasses
import math

import numpy as np
import pytest

from memristive.datasets import Images, matching_dataset
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.network.chip import Chip
from memristive.network.design import LayerDesign
from memristive.network.networks import Network, network_on_chip
from studies.gradients import RULES, lag_gradient, measure, train_with, usual_start
from tests.network.networks import random_network, with_gain

ONCE = LayeredRule(presentations=1, margin=100e-6)


@pytest.mark.parametrize("sizes", [(6, 3), (6, 5, 3), (5, 6, 5, 3)])
@pytest.mark.parametrize(("spread", "volts"), [(0.0, 1.0), (0.1, 1.0), (0.0, 0.5)])
def test_gradient_is_that_of_finite_differences(sizes, spread, volts):
    image, chip = np.linspace(0.2, 1.0, sizes[0]), Chip(cell_gain=spread, neuron_threshold=spread)
    design = LayerDesign(row_voltage=volts, transresistance=20e3 / volts)
    drawn = (
        network_on_chip(
            dataclasses.replace(with_gain(random_network(sizes, seed), 1e8), design=design), chip
        )
        for seed in range(50)
    )
    network = next(one for one in drawn if np.sum(~np.isnan(one.first_spikes(image[None]))) >= 2)
    wrong, label = np.argsort(network.first_spikes(image[None])[0])[:2]

    def lag(layer, cell, change):
        states = [array.copy() for array in network.states]
        states[layer].flat[cell] += change
        times = dataclasses.replace(network, states=tuple(states)).first_spikes(image[None])[0]
        return times[label] - times[wrong]

    for layer, gradient in enumerate(lag_gradient(network, image, label, wrong)):
        assert gradient.shape == network.states[layer].shape
        exact = np.array([lag(layer, k, 1e-5) - lag(layer, k, -1e-5) for k in range(gradient.size)])
        exact = exact.reshape(gradient.shape) / 2e-5
        assert np.abs(exact).max() > 1e-7
        assert gradient == pytest.approx(exact, rel=1e-4, abs=1e-5 * np.abs(exact).max())


# Angles


def test_a_single_hidden_neuron_is_written_along_its_gradient():
    """With one hidden neuron, and equal drives of both output neurons, the rule leaves out positive
    factors only.
    """
    network, image = (
        Network((np.full((1, 7), 6.0), np.array([[7.0, 7.2], [5.5, 8.0]]))),
        np.linspace(0.2, 1.0, 6),
    )
    wrong = int(np.argmin(network.first_spikes(image[None])[0]))
    found = measure(network, ONCE, image, 1 - wrong, wrong)
    assert found["hidden_degrees"] < 3 and found["without_gradient_1"] == 0


def test_silent_hidden_neurons_are_written_without_a_gradient():
    # settled membranes of 1.37 and 0.93 thresholds
    hidden = np.vstack([np.full(7, 6.0), np.full(7, 5.34)])
    network, image = (
        Network((hidden, np.array([[7.0, 6.5, 7.2], [5.5, 5.5, 8.0]]))),
        np.linspace(0.2, 1.0, 6),
    )
    assert np.isnan(network.forward(image[None])[0][0]).tolist() == [False, True]
    wrong = int(np.argmin(network.first_spikes(image[None])[0]))
    found = measure(network, ONCE, image, 1 - wrong, wrong)
    # cos^2 of the angle is the share of the written square along the gradient
    share = found["without_gradient_1"]
    assert 0.05 < share < 0.95 and found["written_degrees_1"] < 3
    assert np.cos(np.radians(found["hidden_degrees"])) ** 2 == pytest.approx(1 - share, abs=0.01)


# Rules


def changes(rule, network, image, label):
    """Change of each layer's states by one presentation."""
    training = Images(image[None], np.array([label]))
    written, counts = train_with(RULES[rule], network, ONCE, training)
    assert counts.tolist() == [1, 0]
    return [after - before for after, before in zip(written.states, network.states, strict=True)]


@pytest.mark.parametrize("sizes", [(6, 5, 3), (5, 6, 5, 3)])
def test_the_exact_rule_writes_along_the_gradient(sizes):
    image = np.linspace(0.2, 1.0, sizes[0])
    drawn = (with_gain(random_network(sizes, seed), 1e8) for seed in range(100))
    network = next(
        one
        for one in drawn
        if not any(np.isnan(times).any() for times in one.forward(image[None])[1:])
    )
    wrong, label = np.argsort(network.first_spikes(image[None])[0])[:2]
    written = [changes(rule, network, image, label) for rule in ("exact", "local")]
    gradients = lag_gradient(network, image, label, wrong)
    for gradient, exact, local in zip(gradients, *written, strict=True):
        length = np.linalg.norm(local)
        assert np.linalg.norm(exact) == pytest.approx(length, rel=1e-3)
        along = -gradient * length / np.linalg.norm(gradient)
        assert exact == pytest.approx(along, rel=1e-2, abs=2e-3 * np.abs(along).max())


def test_the_local_rule_is_that_of_the_package():
    training = matching_dataset("digits").training
    rule = LayeredRule(presentations=1000, error_scale=10.0, seed=5)
    network = usual_start(rule, training.levels, (12, 12))
    written = learn(network, rule, *training).network
    found, counts = train_with(RULES["local"], network, rule, training)
    assert counts[0] > 300
    for one, other in zip(found.states, written.states, strict=True):
        assert np.array_equal(one, other)


def test_two_factors_scale_the_local_write_if_both_outputs_fire_together():
    """Two hidden neurons alike, whose weights both outputs have in turn: A is equal in both."""
    network = Network((np.full((2, 7), 6.0), np.array([[7.0, 6.0, 7.2], [6.0, 7.0, 7.2]])))
    image, neuron = np.linspace(0.2, 1.0, 6), network.parameters.neuron
    spike = network.first_spikes(image[None])[0, 0]
    factor, end = (
        -math.expm1(-time / neuron.time_constant) for time in (spike, network.design.window)
    )
    local, scaled = (changes(rule, network, image, 0) for rule in ("local", "two factors"))
    for one, other in zip(local, scaled, strict=True):
        assert np.abs(one).max() > 1e-3
        assert other == pytest.approx(one * factor / end, rel=0.02, abs=1e-6)


def test_without_a_lag_all_rules_write_alike():
    """The label's neuron is silent, as all its weights are negative."""
    network = Network((np.full((2, 7), 6.0), np.array([[4.0, 4.0, 4.0], [7.0, 7.0, 7.2]])))
    training = Images(np.linspace(0.2, 1.0, 6)[None], np.array([0]))
    local, exact = (train_with(RULES[rule], network, ONCE, training) for rule in ("local", "exact"))
    assert local[1].tolist() == exact[1].tolist() == [1, 1]
    for one, other in zip(local[0].states, exact[0].states, strict=True):
        assert np.array_equal(one, other)
