"""The race of carried weights: what a spread moves, by the law of the membrane."""

import dataclasses

import numpy as np
import pytest

from memristive.datasets import matching_dataset
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.network.chip import Chip
from memristive.network.design import LayerDesign
from memristive.network.networks import network_on_chip
from snn_circuit import NeuronParameters
from studies.device_variability import race_of, weight_share


@pytest.mark.parametrize("design", [LayerDesign(), LayerDesign(pairs=1)])
def test_the_race_explains_what_a_spread_moves(design):
    """The lead moves as the law of the membrane, V = D (1 - exp(-t / tau)), says for the thresholds
    of the same chips.
    """
    data, tau = matching_dataset("mnist"), NeuronParameters().time_constant
    levels, rule = data.test.levels[:500], LayeredRule(start_drive=3.0)
    drawn = initial_network((), 10, data.training.levels, rule, design)
    spikes = drawn.first_spikes(levels)
    order = np.argsort(spikes, axis=1)[:, :2]
    first, second = np.take_along_axis(spikes, order, 1).T
    moved = []
    for seed in range(1, 6):
        (devices,) = network_on_chip(drawn, Chip(seed=seed, neuron_threshold=0.01)).devices
        share = devices.neurons.threshold / NeuronParameters().threshold
        times = -tau * np.log(1 - share * (1 - np.exp(-spikes / tau)))
        one, other = np.take_along_axis(times, order, 1).T
        moved.append(np.abs(other - one - (second - first)) / first)
    found = race_of(drawn, levels, 5)
    assert found["lead"] == pytest.approx(np.median((second - first) / first))
    assert found["moved_by_neurons"] == pytest.approx(np.nanmedian(moved), rel=0.03)

    # Weights of +-0.4 V, cells of about 5 V.
    even = np.where(np.arange(10) % 2, 0.2, -0.2)[:, None] * np.ones(101)
    states = 5 + np.concatenate([even, -even]) if design.pairs else 5 + 2 * even
    drawn = dataclasses.replace(drawn, states=(states,))
    assert weight_share(drawn, levels) == pytest.approx(0.4 / 5, rel=0.01)
