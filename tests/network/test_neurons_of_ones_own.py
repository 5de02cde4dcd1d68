"""Neurons of one's own in networks: the closed form by their curves against ngspice."""

import dataclasses
import warnings

import numpy as np
import pytest

import memristive
from datasets import xpue
from memristive.devices.neuron_model import (
    MeasuredNeuron,
    law,
    load_neuron_model,
    measure_neuron,
)
from memristive.engines.engine import read
from memristive.io import networks
from memristive.learning.build import build
from memristive.network.design import NGSPICE
from memristive.network.recipe import Recipe
from memristive.parameters import ParameterError

DIGITS = np.array(
    [
        [int(pixel) for pixel in digit]
        for digit in (
            *("111101101101111", "010110010010111", "111001111100111"),
            *("111001011001111", "101101111001001", "111100111001111"),
        )
    ]
)


@pytest.fixture(scope="module", params=["opamp", "axon_hillock"])
def neuron(request):
    return measure_neuron(load_neuron_model(request.param), request.param)


def of_patterns(neuron, patterns, **of_recipe):
    """Return a network whose cells are high at the patterns' pixels, each a little different."""
    network, rule = build(Recipe(None, neuron=neuron, **of_recipe), patterns, len(patterns))
    spread = np.random.default_rng(1).uniform(-0.4, 0.4, patterns.shape)
    states = np.where(patterns > 0, 4.5, 0.5) + spread
    return dataclasses.replace(network, states=(states,)), rule


def test_the_closed_form_predicts_the_spikes_of_the_subcircuits(neuron):
    patterns = DIGITS if neuron.name == "opamp" else xpue().patterns
    network, _ = of_patterns(neuron, patterns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predicted = read(network, patterns)
    found = read(network, patterns, NGSPICE, wanted=len(patterns))
    np.testing.assert_array_equal(np.isnan(predicted), np.isnan(found))
    np.testing.assert_allclose(predicted, found, rtol=0.01)
    assert (np.nanargmin(found, axis=1) == np.arange(len(patterns))).all()


def test_a_network_learns_with_them_and_comes_back_from_its_file(neuron, tmp_path):
    images, labels = np.tile(DIGITS, (20, 1)), np.tile(np.arange(6), 20)
    network, rule = build(Recipe(None, neuron=neuron), images, labels)
    network = memristive.learn(network, rule, images, labels).network
    assert (np.nanargmin(network.first_spikes(DIGITS), axis=1) == np.arange(6)).all()
    networks.save(tmp_path / "network.json", network, rule)
    again = networks.load(tmp_path / "network.json")
    np.testing.assert_array_equal(again.first_spikes(DIGITS), network.first_spikes(DIGITS))


def test_other_networks_refuse_a_neuron(neuron):
    with pytest.raises(ParameterError, match="neuron"):
        Recipe((), neuron=neuron)


def test_neurons_of_a_chip_differ_alike_in_both_engines(neuron):
    spread = dataclasses.replace(
        neuron, draws=9, threshold_spread=0.05, time_constant_spread=0.1, leak_spread=0.05
    )
    network, _ = of_patterns(spread, DIGITS, chip="device", seed=2)
    alike = read(of_patterns(neuron, DIGITS)[0], DIGITS)
    if neuron.name == "axon_hillock":  # its file names no parameter
        with pytest.raises(ParameterError, match="time_parameter"):
            read(network, DIGITS[:1], NGSPICE)
        return
    predicted, found = read(network, DIGITS), read(network, DIGITS, NGSPICE, wanted=6)
    np.testing.assert_allclose(found, predicted, rtol=0.02)
    assert np.nanmax(np.abs(found / alike - 1)) > 0.1


def test_each_neuron_of_a_chip_follows_its_own_law():
    currents = np.geomspace(1.01e-6, 1e-4, 200)
    neuron = MeasuredNeuron(
        "own", tuple(currents), tuple(law(currents, 1e-7, 1e-5, 1e-6)), 1e-7, 1e-5, 1e-6
    )
    images, labels = np.eye(3), np.arange(3)
    spread = dataclasses.replace(
        neuron, draws=9, threshold_spread=0.05, time_constant_spread=0.1, leak_spread=0.2
    )
    network, _ = build(Recipe(None, neuron=spread, chip="device", seed=4), images, labels)
    own, ideal = network.setup.devices.neurons, neuron.parameters()
    slower = own.membrane_capacitance / ideal.membrane_capacitance
    least = own.threshold / ideal.threshold * 1e-6
    reached = network.crossbar.currents(network.states[0], images)
    expected = 1e-7 + 1e-5 * slower * np.log(reached / (reached - least))
    np.testing.assert_allclose(network.first_spikes(images), expected, rtol=1e-3)
    assert np.corrcoef(np.log(least), np.log(slower))[0, 1] < 0  # one resistance does both
    with pytest.raises(ParameterError, match="--draws"):
        build(Recipe(None, neuron=neuron, chip="device"), images, labels)
