"""Exact gradient of spike times, against finite differences with ideal op-amps; one write of the
rule, compared with it.
"""

import dataclasses

import numpy as np
import pytest

from memristive.io.records import load_table
from memristive.learning.rule import LayeredRule
from memristive.network.chip import Chip
from memristive.network.design import LayerDesign
from memristive.network.networks import Network, network_on_chip
from studies.gradient_angle import lag_gradient, main, measure
from tests.helpers import outputs
from tests.network.networks import random_network, with_gain


def test_a_single_hidden_neuron_is_written_along_its_gradient():
    """With one hidden neuron, and equal drives of both output neurons, the rule leaves out positive
    factors only.
    """
    network, image = (
        Network((np.full((1, 7), 6.0), np.array([[7.0, 7.2], [5.5, 8.0]]))),
        np.linspace(0.2, 1.0, 6),
    )
    wrong = int(np.argmin(network.first_spikes(image[None])[0]))
    found = measure(network, LayeredRule(presentations=1), image, 1 - wrong, wrong)
    assert found["hidden_degrees"] < 3 and found["without_gradient_1"] == 0
    assert found["output_column_degrees"] < 15 and found["lead_gain_s"] > 0


def test_silent_hidden_neurons_are_written_without_a_gradient():
    # settled membranes of 1.37 and 0.93 thresholds
    hidden = np.vstack([np.full(7, 6.0), np.full(7, 5.34)])
    network, image = (
        Network((hidden, np.array([[7.0, 6.5, 7.2], [5.5, 5.5, 8.0]]))),
        np.linspace(0.2, 1.0, 6),
    )
    assert np.isnan(network.forward(image[None])[0][0]).tolist() == [False, True]
    wrong = int(np.argmin(network.first_spikes(image[None])[0]))
    found = measure(network, LayeredRule(presentations=1), image, 1 - wrong, wrong)
    # cos^2 of the angle is the share of the written square along the gradient
    share = found["without_gradient_1"]
    assert 0.05 < share < 0.95 and found["written_degrees_1"] < 3
    assert np.cos(np.radians(found["hidden_degrees"])) ** 2 == pytest.approx(1 - share, abs=0.01)


def test_the_writes_go_downhill(tmp_path):
    main(
        [
            "--hidden",
            "30",
            "--errors",
            "20",
            "--seeds",
            "1",
            "--set",
            "rule.presentations=2000",
            *outputs(tmp_path),
        ]
    )
    stages = load_table(tmp_path / "layer_gradient.json").groupby("stage")
    assert (stages.size() > 5).all() and len(stages) == 2
    assert (stages.lead_gain_s.agg(lambda gains: (gains > 0).mean()) > 0.8).all()
    assert (stages.hidden_degrees.median() < 80).all() and (
        stages.output_degrees.median() < 30
    ).all()


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
