"""Training in ngspice: against the closed form."""

import dataclasses

import numpy as np
import pytest

from memristive.learning.layered_training import LayeredLearning, initial_network, train_layers
from memristive.learning.ngspice_training import read_in_ngspice, train_in_ngspice
from memristive.learning.rule import LayeredRule
from memristive.network.netlists import LayerDesign
from tests.network.networks import RULE, XOR, on_a_chip, random_network

pytestmark = pytest.mark.usefixtures("ngspice")


@pytest.mark.parametrize(("hidden", "chip", "scale", "volts"), [
    ((6,), False, 1, 1.0), ((6,), True, 1, 1.0), ((6, 5), False, 3, 1.0), ((6, 5), True, 1, 0.5), ((6,), False, 1, 2.0)])
def test_training_in_ngspice_finds_the_errors_and_makes_the_writes_of_the_closed_form(hidden, chip, scale, volts):
    images, labels = XOR
    rule = dataclasses.replace(RULE, presentations=12, error_scale=scale * RULE.error_scale)
    start = initial_network(hidden, 2, images, rule, LayerDesign(row_voltage=volts, transresistance=20e3 / volts))
    start = on_a_chip(start) if chip else start
    closed, circuit = LayeredLearning.start(start, rule), LayeredLearning.start(start, rule)
    list(train_layers(closed, rule, images, labels))
    steps = list(train_in_ngspice(circuit, rule, images, labels))
    assert circuit.history[:, 1].sum() >= 2
    assert np.array_equal(circuit.history, closed.history)
    assert steps[-1] == (12, closed.history[:, 0].mean())
    for ours, theirs, before in zip(circuit.network.states, closed.network.states, start.states, strict=True):
        assert ours == pytest.approx(theirs, abs=3e-3)
        assert np.abs(theirs - before).max() > 0.05


def test_a_right_answer_within_the_margin_counts_as_right_and_is_written():
    generator = np.random.default_rng(3)
    images, labels = generator.random((30, 6)), np.arange(30) % 3
    images[np.arange(30), labels] = 1.0
    first, rule = LayeredRule(presentations=600, margin=4e-6), LayeredRule(presentations=12, margin=20e-6, hidden_dose=1e-3)
    start = LayeredLearning.start(initial_network((8,), 3, images, first), first)
    list(train_layers(start, first, images, labels))
    found = []
    for run in (train_layers, train_in_ngspice):
        learning = LayeredLearning.start(start.network, rule)
        list(run(learning, rule, images, labels))
        found.append(learning.history)
    assert np.array_equal(*found) and found[0].all(axis=1).any()


def test_reads_yield_the_last_layer_of_each_image():
    network, images = random_network((9, 12, 4), seed=5, spread=1.0), np.random.default_rng(7).random((3, 9))
    found, exact = np.array(list(read_in_ngspice(network, images))), network.first_spikes(images)
    assert (np.sum(~np.isnan(found), axis=1) >= 2).all()
    assert np.nanmax(np.abs(found - exact)) < 0.1e-6
