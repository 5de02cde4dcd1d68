"""Exact gradient of spike times: against finite differences of the closed form with ideal op-amps."""

import dataclasses

import numpy as np
import pytest

from memristive.learning.gradient import angle, lag_gradient
from memristive.network.chip import Chip
from memristive.network.design import LayerDesign
from memristive.network.networks import network_on_chip
from tests.network.networks import random_network, with_gain


@pytest.mark.parametrize("sizes", [(6, 3), (6, 5, 3), (5, 6, 5, 3)])
@pytest.mark.parametrize(("spread", "volts"), [(0.0, 1.0), (0.1, 1.0), (0.0, 0.5)])
def test_gradient_is_that_of_finite_differences(sizes, spread, volts):
    image, chip = np.linspace(0.2, 1.0, sizes[0]), Chip(cell_gain=spread, neuron_threshold=spread)
    design = LayerDesign(row_voltage=volts, transresistance=20e3 / volts)
    drawn = (network_on_chip(dataclasses.replace(with_gain(random_network(sizes, seed), 1e8), design=design), chip)
             for seed in range(50))
    network = next(one for one in drawn if np.sum(~np.isnan(one.first_spikes(image[None]))) >= 2)
    wrong, label = np.argsort(network.first_spikes(image[None])[0])[:2]

    def lag(layer, j, k, change):
        states = [array.copy() for array in network.states]
        states[layer][j, k] += change
        times = dataclasses.replace(network, states=tuple(states)).first_spikes(image[None])[0]
        return times[label] - times[wrong]
    found, step = lag_gradient(network, image, label, wrong), 1e-5
    for layer, gradient in enumerate(found):
        assert gradient.shape == network.states[layer].shape
        exact = np.array([[(lag(layer, j, k, step) - lag(layer, j, k, -step)) / (2 * step) for k in range(gradient.shape[1])]
                          for j in range(gradient.shape[0])])
        assert np.abs(exact).max() > 1e-7
        assert gradient == pytest.approx(exact, rel=1e-4, abs=1e-5 * np.abs(exact).max())


def test_a_silent_neuron_has_no_gradient():
    network = random_network((3, 2))
    network.states[0][0] = 4.0
    with pytest.raises(ValueError, match="must both fire"):
        lag_gradient(network, np.ones(3), 0, 1)


def test_angle():
    assert angle(np.array([1.0, 0]), np.array([0.0, 2])) == pytest.approx(90)
    assert np.isnan(angle(np.zeros(2), np.ones(2)))
    parallel = np.array([0.1, 0.7, 0.3])  # with three times itself a cosine of 1 + 2e-16
    assert [angle(parallel, 3 * parallel), angle(parallel, -3 * parallel)] == pytest.approx([0, 180], abs=1e-5)
