"""MNIST without labels: what is learned, how neurons are named and decide, and that ngspice learns and reads the same."""

import dataclasses

import numpy as np
import pytest

from memristive.single_layer.spike_decoding import SILENT, TIED
from memristive.spice.parameters import ParameterError
from memristive.stdp import mnist_learning as unsupervised_mnist
from memristive.stdp.mnist_learning import (
    MnistLearning,
    Network,
    NgspiceReader,
    begin,
    closed_form_decisions,
    decide,
    digit_leads,
    first_to_fire,
    name_neurons,
    presentation_order,
    stretch_by_closed_form,
    stretches,
    stretches_in_ngspice,
)

FEW = MnistLearning(neurons=10, epochs=1, seed=3)


@pytest.fixture(scope="module")
def training(mnist):
    """3,000 grey training images and their labels."""
    from datasets import encode

    return encode(mnist["x_train"][:3000], 10, "grey"), mnist["y_train"][:3000].astype(int)


@pytest.fixture(scope="module")
def learned(training):
    """20 neurons that have seen them once."""
    learning = dataclasses.replace(FEW, neurons=20)
    network, seed = begin(learning, 100)
    winners = list(stretches(learning, network, training[0], presentation_order(learning, 3000, seed)))
    return learning, network, np.concatenate(winners)


def test_the_pace_of_each_stretch_is_that_of_its_beginning(monkeypatch):
    """From 1 at first straight down towards that of the last time constant, 1.3 s for 8.7 ms."""
    monkeypatch.setattr(unsupervised_mnist, "STRETCH", 2)
    asked, circuit = [], MnistLearning.circuit
    monkeypatch.setattr(MnistLearning, "circuit", lambda self, pace=1.0: asked.append(pace) or circuit(self, pace))
    list(stretches(FEW, begin(FEW, 30)[0], np.zeros((8, 30)), np.arange(8)))
    assert asked == pytest.approx([1 - share + share * 8.7e-3 / 1.3 for share in (0, 0.25, 0.5, 0.75)])


def test_a_training_begins_as_the_committed_ones_did():
    states = begin(MnistLearning(), 100)[0].states
    assert (states.min(), states.max(), states.mean()) == pytest.approx((0.5, 1.5, 1.0), abs=0.01)
    learning = MnistLearning()
    assert (learning.homeostasis_rate, learning.homeostasis_memory, learning.epochs) == (84.0, 0.11, 3)


def test_every_neuron_condenses_into_a_digit_without_labels(training, learned, digit_images, mnist):
    learning, network, winners = learned
    late = winners[-1000:]
    assert np.mean(late == SILENT) < 0.02
    assert np.bincount(late[late >= 0], minlength=20).min() > 10  # homeostasis: all take part
    digits = name_neurons(first_to_fire(learning, network, training[0]), training[1], 20)
    first = first_to_fire(learning, network, digit_images["grey"])
    assert np.mean(digits[first] == mnist["y_test"][:40]) > 0.6
    # Weights are an average of the images won: those of the last third correlate with them.
    won = training[0][presentation_order(learning, 3000, begin(learning, 100)[1])][2000:][winners[2000:] == 0]
    assert np.corrcoef(network.states[0], won.mean(axis=0))[0, 1] > 0.95


def test_ngspice_reads_whom_the_closed_form_foretells(ngspice, learned, digit_images):
    learning, network, _ = learned
    images = digit_images["grey"][:12]
    for contenders in (10, 20):  # some columns, all columns
        reader = NgspiceReader(ngspice, learning, network, contenders)
        found = [reader.spikes(image) for image in images[:12 if contenders == 10 else 4]]
        first = [chosen[np.nanargmin(spikes)] for chosen, spikes in found]
        assert first == first_to_fire(learning, network, images[:len(first)]).tolist()


def test_ngspice_learns_as_the_closed_form_does_over_several_transients(ngspice, training, monkeypatch):
    monkeypatch.setattr(unsupervised_mnist, "PART", 2)
    images = training[0][:4, 30:60]  # three rows of pixels: enough to fire, quick to simulate
    images = images / images.max(axis=1, keepdims=True)
    learning = dataclasses.replace(FEW, homeostasis_rate=500.0)
    (circuit, _), (closed, _) = begin(learning, 30), begin(learning, 30)
    for network in (circuit, closed):
        network.states += 2.5
    found = np.concatenate(list(stretches_in_ngspice(ngspice, learning, circuit, images)))
    foretold = stretch_by_closed_form(learning, closed, images)
    assert found.tolist() == foretold.winners.tolist() and found.min() >= 0
    assert np.abs(circuit.states - closed.states).max() < 0.05
    assert np.abs(circuit.homeostasis - closed.homeostasis).max() < 5e-3


def test_the_closed_form_decides_strictly(training):
    """Neurons alike in all but their digit tie, those of one digit do not, and too weak ones are silent."""
    image, states = training[0][:1], np.full((3, 100), 3.0)
    for raised, digits, decision in (([0, 0, 1], [4, 4, 7], 4), ([0, 0, 1], [4, 7, 7], TIED), ([0, 1, 1], [2, 7, 7], 2),
                                     ([9, 9, 9], [4, 4, 7], SILENT)):
        network = Network(states, np.array(raised, float))
        assert closed_form_decisions(FEW, network, image, np.array(digits)).tolist() == [decision]


def test_a_digit_leads_by_the_first_spike_of_any_other(training):
    """Neurons alike in all but their thresholds: their spikes are as far apart whichever digits they stand for."""
    image, network = training[0][:1], Network(np.full((3, 100), 3.0), np.array([0.0, 0.1, 0.3]))
    near, far = (digit_leads(FEW, network, image, np.array(digits))[0] for digits in ([4, 7, 7], [4, 4, 7]))
    found = stretch_by_closed_form(FEW, network.copy(), image)
    assert near == found.leads[0] and 2 * near < far < 600e-6
    assert digit_leads(FEW, network, image, np.array([4, 4, 4])).tolist() == [np.inf]


def test_the_pace_falls_from_stretch_to_stretch_but_not_within_one(training, monkeypatch):
    monkeypatch.setattr(unsupervised_mnist, "STRETCH", 2)
    images, (falling, _), (even, _) = training[0][:4], begin(FEW, 100), begin(FEW, 100)
    found = list(stretches(FEW, falling, images, np.arange(4)))
    assert [len(part) for part in found] == [2, 2]
    stretch_by_closed_form(FEW, even, images)
    moved = np.abs(even.states - begin(FEW, 100)[0].states).max(axis=1), np.abs(falling.states - even.states).max(axis=1)
    assert moved[0].max() > 0.1 and moved[1].max() > 0.03


def test_one_bias_slows_all_that_learns_alike():
    fast, slow = FEW.circuit(1.0), FEW.circuit(0.25)
    assert slow.write_time_constant == pytest.approx(4 * fast.write_time_constant)
    assert slow.target == pytest.approx(fast.target) == pytest.approx(5.0)
    assert slow.learning.homeostasis_rate == pytest.approx(fast.learning.homeostasis_rate / 4)
    assert slow.learning.homeostasis_time_constant == pytest.approx(4 * fast.learning.homeostasis_time_constant)
    assert FEW.circuit(FEW.pace(1.0)).write_time_constant == pytest.approx(FEW.last_time_constant)


def test_neurons_take_the_digit_they_fired_for_most():
    first = np.array([0, 0, 0, 1, 1, SILENT, 1, 3])
    assert name_neurons(first, np.array([7, 7, 2, 4, 4, 9, 7, 2]), 4).tolist() == [7, 4, 7, 2]


def test_two_neurons_of_one_digit_do_not_tie():
    digits = np.array([3, 3, 8])
    assert decide(np.array([50e-6, 50e-6, 60e-6]), digits) == 3
    assert decide(np.array([60e-6, np.nan, 50e-6]), digits) == 8
    assert decide(np.array([50e-6, np.nan, 50.01e-6]), digits) == TIED
    assert decide(np.full(3, np.nan), digits) == SILENT


def test_learning_that_makes_no_sense_is_refused():
    with pytest.raises(ParameterError, match="neurons must be 10 to"):
        MnistLearning(neurons=9)
    with pytest.raises(ParameterError, match="must not exceed last_time_constant"):
        MnistLearning(first_time_constant=2.0, last_time_constant=1.0)
    with pytest.raises(ParameterError, match="forgets within a pulse"):
        MnistLearning(first_time_constant=5e-4)


def test_networks_are_as_far_apart_as_their_states_whatever_the_sign():
    one = Network(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.1, 0.2]))
    other = one.copy()
    assert set(one.apart(other).values()) == {0.0}
    other.states += [[0.0, 0.0], [0.3, -0.4]]
    other.homeostasis += [0.05, -0.02]
    for found in (one.apart(other), other.apart(one)):
        assert found == pytest.approx({"largest_deviation_V": 0.4, "rms_deviation_V": 0.25, "homeostasis_deviation_V": 0.05})


def test_thresholds_that_are_raised_already_count_from_the_start_of_a_transient(ngspice, training, monkeypatch):
    """A membrane at rest stands as far below ground as its threshold is raised: one that began at 0 V would fire too early."""
    monkeypatch.setattr(unsupervised_mnist, "PART", 1)
    images = training[0][:2, 30:60]
    images, learning = images / images.max(axis=1, keepdims=True), dataclasses.replace(FEW, neurons=10)
    circuit, closed = (Network(begin(learning, 30)[0].states + 2.5, np.linspace(0.4, 0.0, 10)) for _ in range(2))
    found = np.concatenate(list(stretches_in_ngspice(ngspice, learning, circuit, images)))
    assert found.tolist() == stretch_by_closed_form(learning, closed, images).winners.tolist()
    assert np.abs(circuit.states - closed.states).max() < 0.05


def test_inverse_time_constant_of_forgetting_falls_in_a_straight_line():
    learning = MnistLearning()
    first, last = 1 / learning.first_time_constant, 1 / learning.last_time_constant
    for share in (0.0, 0.25, 0.5, 1.0):
        memristor = learning.circuit(learning.pace(share)).network.memristor
        inverse = 1 / (memristor.leak_resistance * memristor.memory_capacitance)
        assert inverse == pytest.approx(first + share * (last - first))


def test_each_epoch_presents_every_image_once_in_an_order_of_its_own():
    first, second, third = presentation_order(MnistLearning(epochs=3), 50, np.array([1, 2])).reshape(3, 50)
    for order in (first, second, third):
        assert sorted(order) == list(range(50)) and list(order) != sorted(order)
    assert len({tuple(order) for order in (first, second, third)}) == 3
