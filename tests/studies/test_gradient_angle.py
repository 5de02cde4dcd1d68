"""What one write of the layers' rule does, against the gradient that it should follow."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from memristive.multilayer.layer_network import LayeredNetwork
from memristive.multilayer.layer_rule import LayeredRule
from studies import gradient_angle as layer_gradient
from tests.learning.test_layers import random_network

LEVELS = np.array([1.0, 0.5, 1.0])  # of two inputs and the bias
ONCE = dataclasses.replace(LayeredRule(), presentations=1)


@pytest.fixture
def played(monkeypatch):
    """played(hidden, output, descent): what is measured of a network whose write and gradient these are."""
    network = random_network((2, 3, 2), seed=3)

    def play(hidden, output, descent):
        def write(learning, *_):
            states = tuple(states + change for states, change in zip(network.states, (hidden, output), strict=True))
            learning.network = dataclasses.replace(network, states=states)
            return []
        monkeypatch.setattr(layer_gradient, "train", write)
        monkeypatch.setattr(layer_gradient, "lag_gradient", lambda *_: [-slopes for slopes in descent])
        return layer_gradient.measure(network, LayeredRule(presentations=1), LEVELS[:2], 1, 0)
    return play


@pytest.mark.parametrize(("least", "share"), [(4e-3, 2 / 3), (1e-3, 1.0)])
def test_neurons_written_by_a_thousandth_of_the_most_count_as_written(played, least, share):
    """The second of them is written against its gradient; the most that one is written is 2."""
    descent = np.outer([3, -5, -4], LEVELS), np.array([[0.0, 0, 0, 1], [0, 0, 1, 0]])
    found = played(np.outer([2, least, -1], LEVELS), np.array([[1.0, 1, 0, 0], [0, 0, 2, 0]]), descent)
    assert found["same_sign"] == pytest.approx(share)


def test_angles_are_those_of_what_was_written_and_of_who_has_a_gradient(played):
    """Writes and gradients are played, of three hidden neurons the second one's gradient is 0."""
    descent = np.outer([3, 0, 4], LEVELS), np.array([[0.0, 0, 0, 1], [0, 0, 1, 0]])
    found = played(np.outer([1, 2, -1], LEVELS), np.array([[1.0, 1, 0, 0], [0, 0, 2, 0]]), descent)
    assert found["output_column"] == pytest.approx((0 + 90) / 2)
    assert found["output"] == pytest.approx(np.degrees(np.arccos(2 / 12**0.5)))
    assert found["without_gradient"] == pytest.approx(4 / 6) and found["same_sign"] == 0.5  # of the two that have one
    assert found["hidden_with_gradient"] == pytest.approx(np.degrees(np.arccos(-1 / 50**0.5)))
    assert found["hidden"] == pytest.approx(np.degrees(np.arccos(-1 / 150**0.5)))


@pytest.fixture
def lone():
    """A network of one driven hidden neuron, an image, and the output that fires last and the one that fires first for it."""
    network, image = LayeredNetwork((np.full((1, 7), 6.0), np.array([[7.0, 7.2], [5.5, 8.0]]))), np.linspace(0.2, 1.0, 6)
    wrong = int(np.argmin(network.first_spikes(image[None])[0]))
    return network, image, 1 - wrong, wrong


def test_a_lone_driven_hidden_neuron_is_written_along_its_gradient(lone):
    """With one hidden neuron that has a gradient, the hidden write points along it: the rule leaves only factors out."""
    network, image, right, wrong = lone
    found = layer_gradient.measure(network, ONCE, image, right, wrong)
    assert found["hidden"] < 3 and found["without_gradient"] == 0 and found["same_sign"] == 1
    assert found["output_column"] < 15 and found["gain"] > 0


@pytest.mark.parametrize(("after", "gain"), [((48e-6, 49e-6), 3e-6), ((48e-6, np.nan), 104e-6), ((np.nan, 49e-6), -99e-6)])
def test_a_neuron_that_a_write_has_silenced_counts_as_firing_when_the_window_ends(monkeypatch, lone, after, gain):
    """Spikes are played: the right neuron was 2 us late, and leads by 1 us after the write, or one of them is silent."""
    network, image, right, wrong = lone
    assert network.design.window == pytest.approx(150e-6)
    played = {True: (52e-6, 50e-6), False: after}
    monkeypatch.setattr(LayeredNetwork, "first_spikes", lambda self, images: np.array(
        [[dict(zip((right, wrong), played[self is network], strict=True))[j] for j in range(2)]]))
    assert layer_gradient.measure(network, ONCE, image, right, wrong)["gain"] == pytest.approx(gain, rel=1e-9, abs=0)


def test_errors_are_those_the_rule_would_write_for_and_no_more_than_asked_for():
    """Spikes are played, in us, of three neurons and a margin of 5 us: right by enough, right by too little, silent, wrong."""
    times = 1e-6 * np.array([[50, 60, 70], [50, 52, 70], [np.nan, 60, 70], [60, 50, 70], [60, 70, 50]])
    network = SimpleNamespace(first_spikes=lambda images: times[:len(images)])
    rule, labels = LayeredRule(margin=5e-6), np.zeros(5, int)
    asked = {count: layer_gradient.errors_of(network, rule, np.zeros((5, 2)), labels, count) for count in (1, 2, 9)}
    assert asked == {1: ([(1, 0, 1)], 0), 2: ([(1, 0, 1), (3, 0, 1)], 1), 9: ([(1, 0, 1), (3, 0, 1), (4, 0, 2)], 1)}
