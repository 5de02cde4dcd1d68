"""Operating range of multilayer networks: clipping against ngspice, and what `layered_problems` reports."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import datasets
from memristive.io.voltages import load
from memristive.learning.rule import LayeredRule
from memristive.learning.start import initial_network
from memristive.network.checks import (
    OperatingRangeWarning,
    layered_problems,
    rails,
    required_stage_voltages,
    warn_of_layers,
)
from memristive.network.engines import read
from memristive.network.networks import Network
from memristive.network.setup import LayerDesign
from memristive.network.spike_decoding import strict_decision
from snn_circuit import NetworkParameters, NeuronParameters
from tests.network.networks import devices_of, on_a_chip, random_network

IMAGES = np.array([[1.0, 1.0], [1.0, 0.5]])


def neurons(**changes):
    return NetworkParameters(neuron=NeuronParameters(**changes))


def summing(share):
    return Network((share * np.array([[10.0, 9.0, 11.0], [8.0, 9.0, 10.5]]),))


def summing_above(share):
    """Return a network whose second layer reaches a `share` of the summing stage's swing after the first layer has fired."""
    outputs = np.array([[-55.0, 15.5, 28.0], [6.0, 7.0, 8.0]])
    return Network((np.array([[8.0, 6.0, 6.0], [6.0, 7.0, 7.0]]), share * outputs))


def inverting(share):
    return Network((np.array([[share * 15.3] * 3, [6.0, 7.5, 7.0]]),), neurons(rail_low=-60.0))


def reference(share):
    return Network((np.array([[7.5, 7.5, 7.5], [6.0, 7.5, 7.0]]),), neurons(inverting_rail_high=10 / share))


def loaded_reference(share):
    """All inverting stages of the layer load its output resistance."""
    states = 6 + 0.01 * np.arange(36)[:, None] * np.ones(3)
    return Network((states,), neurons(amplifier_output_resistance=285.0 * share))


def on_chip(share):
    rng = np.random.default_rng(1)
    return on_a_chip(Network((5 + 10 * share * rng.normal(0, 1, (6, 3)), np.full((3, 7), 6.0))))


def apart(network, expected):
    """Largest difference in s of a last layer's spikes in ngspice from those `expected`."""
    found = read(network, IMAGES, "ngspice", wanted=len(network.states[-1]))
    assert np.array_equal(np.isnan(found), np.isnan(expected[-1]))
    return np.nanmax(np.abs(found - expected[-1]))


@pytest.mark.parametrize(("network", "beyond", "words"), [
    (summing, 1.05, "summing stage of layer 1"), (summing_above, 1.2, "summing stage of layer 2"),
    (inverting, 1.1, "inverting stage of layer 1"), (reference, 1.05, "negative input's inverting stage of layer 1"),
    (loaded_reference, 1.1, "negative input's inverting stage of layer 1"), (on_chip, 1.3, "summing stage of layer 1")])
def test_ngspice_leaves_the_closed_form_at_the_rail(ngspice, network, beyond, words):
    below, above = network(0.98), network(beyond)
    shares = [(required_stage_voltages(each, IMAGES).max(axis=0) / rails(each)).max() for each in (below, above)]
    assert 0.9 < shares[0] <= 1 < shares[1] < 1.2
    assert apart(below, below.forward(IMAGES)) < 0.1e-6
    for free, railed in zip(below.forward(IMAGES, rails=False), below.forward(IMAGES), strict=True):
        assert railed == pytest.approx(free, nan_ok=True)
    assert apart(above, above.forward(IMAGES, rails=False)) > 0.5e-6
    assert apart(above, above.forward(IMAGES)) < 0.2e-6
    assert layered_problems(below, IMAGES) == []
    problem, = layered_problems(above, IMAGES)
    assert words in problem
    smaller = dataclasses.replace(above, design=LayerDesign(stage_swing=7.5))  # the remedy that the message names
    assert layered_problems(smaller, IMAGES) == []


def test_images_that_clipping_decides_are_counted_as_in_ngspice(ngspice):
    rng = np.random.default_rng(6)
    network, images = Network((rng.normal(20, 4, (3, 9)),)), rng.random((12, 8))
    found, seen, free = (
        [strict_decision(times, 0.2e-6) for times in spikes]  # s: rails give way by 10 mV per volt of overdrive
        for spikes in (read(network, images, "ngspice"), network.first_spikes(images), network.forward(images, rails=False)[-1]))
    assert found == seen
    assert np.sum(np.array(found) != free) > 1 and "of 12 images" in layered_problems(network, images)[0]


def test_clipping_after_the_spike_has_no_effect(ngspice):
    """The bias makes both outputs fire before the hidden neurons, which would take the stages far beyond their rails."""
    late = Network((np.full((2, 3), 6.2), np.array([[69.0, 69.0, 11.0], [69.0, 69.0, 10.0]])))
    hidden, outputs = late.forward(IMAGES)
    assert np.nanmin(hidden) > outputs.max()
    assert (required_stage_voltages(late, IMAGES) <= rails(late)).all() and layered_problems(late, IMAGES) == []
    assert apart(late, [hidden, outputs]) < 0.13e-6


def test_clipping_that_does_not_move_first_spikes_is_no_problem():
    hidden = np.array([[5.0, 5.0, 69.0], [5.0, 5.0, 6.5]])  # the first fires at once, clipped or not
    network = Network((hidden, np.array([[5.0, 6.0, 9.0], [5.0, 5.0, 8.0]])))
    assert (required_stage_voltages(network, IMAGES) > rails(network)).any() and layered_problems(network, IMAGES) == []


@pytest.mark.parametrize("row_voltage", [1.0, 0.5])
def test_cells_at_the_reference_require_the_stage_swing_and_chips_the_gains_of_their_cells(row_voltage):
    """Calculated by hand: 10 V with all three rows high. A dark row requires nothing."""
    network = Network((np.full((2, 3), 5.0),), design=LayerDesign(row_voltage=row_voltage))
    assert required_stage_voltages(network, IMAGES[:1])[0, 0] == pytest.approx([10.0, 0.0, 10.0], rel=0.01, abs=1e-3)
    channel = np.array([[3.0, 1.0, 1.5], [3.0, 1.0, 1.0], [3.0, 1.0, 1.0]])
    network = dataclasses.replace(network, devices=(devices_of(network, 0, channel),))
    required = required_stage_voltages(network, np.array([[0.0, 1.0]]))[0, 0]
    assert required == pytest.approx([25 / 3, 5 / 3, 20 / 3], rel=0.01)


def diverged():
    network = random_network((3, 5, 4), seed=2)
    network.states[1][0, 0] = -71.0
    return network


def silent():
    """Return a network whose second layer never fires, because its cells conduct less than their reference."""
    network = random_network((3, 5, 4, 2), seed=2, spread=1.5)
    network.states[1][:] = 1.0
    return network


def begun(design=None, **changes):
    return initial_network((4,), 2, np.ones((1, 3)), LayeredRule(start_drive=3.0, start_weight=1.5), design, neurons(**changes))


@pytest.mark.parametrize(("network", "words"), [
    (diverged(), "layer 2 diverge"), (silent(), "layer 2 fires for 100%"), (begun(amplifier_gain=5e3), "neuron.amplifier_gain"),
    (begun(LayerDesign(rise=100e-6)), "design.rise"), (begun(), None)])
def test_what_is_out_of_range_is_a_warning(network, words):
    images = np.random.default_rng(1).random((6, 3))
    problems = layered_problems(network, images)
    if words is None:
        assert problems == []
    else:
        assert any(words in problem for problem in problems)
        with pytest.warns(OperatingRangeWarning, match=words) as warned:
            warn_of_layers(network, images)
        assert len(warned) == len(problems)


@pytest.mark.parametrize(("firing", "dark", "reported"), [(8, 2, 0), (8, 3, 1), (4, 0, 0), (3, 0, 1)])
def test_silent_hidden_neurons_are_reported(firing, dark, reported):
    """Two of 40 images may be dark, and 4 of 8 hidden neurons must fire."""
    hidden = np.array([[8.0, 5.0]] * firing + [[5.0, 5.0]] * (8 - firing))
    network = Network((hidden, np.full((4, 9), 9.0)))
    problems = layered_problems(network, (np.arange(40) >= dark)[:, None].astype(float), hidden_dose="dose")
    assert ["dose" in problem for problem in problems] == [True] * reported


@pytest.mark.parametrize(("second", "labels", "word"), [
    ([5.0, 9.0], [0] * 20 + [1] * 20, None),  # each neuron wins the images of its class
    ([9.0, 9.5], [0] * 20 + [1] * 20, "neuron 1 wins 100%"), ([9.0, 9.5], [0] * 6 + [1] * 34, "neurons 0 win none"),
    ([9.0, 9.5], [0] * 4 + [1] * 36, None)])
def test_a_class_neuron_that_wins_nearly_all_images_is_reported(second, labels, word):
    """Neuron 0 has a large weight of pixel 0, neuron 1 one of pixel 1, and in a collapsed network of both pixels."""
    network = Network((np.array([[9.0, 5.0, 6.0], [*second, 6.0]]),))
    images = np.array([[1.0, 0.0]] * 20 + [[0.0, 1.0]] * 20) if second[0] < 9 else np.full((40, 2), 0.5)
    problems = layered_problems(network, images, labels=np.array(labels))
    assert problems == [] if word is None else word in problems[0]


def test_a_last_layer_that_does_not_fire_is_reported():
    network = Network((np.full((2, 3), 4.0),))
    problem, = layered_problems(network, IMAGES)
    assert "layer 1" in problem and "hidden" not in problem


def test_no_stage_clips_in_the_trained_networks():
    for name, images in (("mnist", datasets.encode(datasets.load_mnist()["x_test"][:100], 10, "grey")),
                         ("xor", np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]))):
        network = load(Path("voltages") / f"layers_{name}.json")
        assert (required_stage_voltages(network, images) < 0.9 * rails(network)).all()
        assert layered_problems(network, images) == []
