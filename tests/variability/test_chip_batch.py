"""Many chips at once: each learns, is tested and is programmed as it would be alone."""

import dataclasses
from collections import deque

import numpy as np
import pytest

from datasets import encode
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.error_rule import ErrorDrivenRule, ErrorDrivenTrainer, first_wrong_neuron, initial_state
from memristive.single_layer.setup import Setup
from memristive.single_layer.spike_decoding import strict_decision
from memristive.variability.chip import Chip
from memristive.variability.chip_batch import ChipBatch, first_wrong_neurons, strictly_right
from memristive.variability.chip_engines import chip_engine
from memristor import MemristorParameters, read_current

CHIPS = [Chip(), Chip(seed=2, cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1),
         Chip(seed=3, read_noise=0.05, write_noise=0.5, stuck_off=0.05, stuck_on=0.05, cell_threshold=0.05)]
RULE = ErrorDrivenRule(presentations=60, start_state=4.5, dose=0.1, margin=1e-6, seed=4)


@pytest.fixture(scope="module")
def training_set(mnist):
    """Sixty grey training images and their labels."""
    return encode(mnist["x_train"][:60], 10, "grey"), mnist["y_train"][:60].astype(int)


def train_alone(name, setup, chip, rule, training_set, stops=()):
    """Return the final state of one chip; at each presentation in `stops` the training is interrupted and resumed."""
    learning = initial_state(rule, chip.classes, chip.inputs)
    learning.states = chip.with_stuck_cells(learning.states)
    for stop in (*stops, rule.presentations):
        trainer = ErrorDrivenTrainer(chip_engine(name, setup, chip, learning.done), rule, *training_set)
        while learning.done < stop:
            trainer.present(learning)
    return learning


def train_batch(chips, setup, rule, training_set):
    start = np.full((chips[0].classes, chips[0].inputs), rule.start_state)
    return deque(ChipBatch(chips, setup).learn(start, rule, *training_set), maxlen=1).pop()


def test_chips_learn_together_as_each_would_alone(mnist_setup, training_set):
    for chip, states in zip(CHIPS, train_batch(CHIPS, mnist_setup, RULE, training_set), strict=True):
        alone = train_alone("closed-form", mnist_setup, chip, RULE, training_set)
        assert states == pytest.approx(alone.states, abs=1e-9)
        assert alone.history[:, 1].sum() > 20
        assert np.array_equal(chip.with_stuck_cells(states), states)


def test_both_engines_learn_the_same_on_a_chip_with_noise(ngspice, mnist_setup, training_set):
    rule = dataclasses.replace(RULE, presentations=12)
    simulated, computed = (train_alone(name, mnist_setup, CHIPS[2], rule, training_set) for name in ("ngspice", "closed-form"))
    assert (simulated.history == computed.history).all() and simulated.history[:, 1].sum() >= 8
    assert simulated.states == pytest.approx(computed.states, abs=3e-3)  # writes of 0.1 V


def test_a_resumed_training_meets_the_same_noise(mnist_setup, training_set):
    whole, resumed = (train_alone("closed-form", mnist_setup, CHIPS[2], RULE, training_set, stops) for stops in ((), (25,)))
    assert (whole.states == resumed.states).all()


def test_leak_does_not_change_stuck_cells(mnist_setup, training_set):
    chip = Chip(seed=5, stuck_off=0.1, stuck_on=0.1)
    leaky = mnist_setup.replace(memristor=MemristorParameters(leak_resistance=1e9))
    states, = train_batch([chip], leaky, dataclasses.replace(RULE, presentations=3), training_set)
    assert np.array_equal(chip.with_stuck_cells(states), states)
    assert (states[~chip.stuck] != RULE.start_state).any()


@pytest.mark.parametrize("margin", [2e-6, 0.0])
def test_decisions_of_many_chips_are_those_of_one(margin):
    generator = np.random.default_rng(1)
    spikes = generator.uniform(100e-6, 110e-6, (400, 5))
    spikes[generator.random((400, 5)) < 0.3] = np.nan
    spikes[:3], spikes[3:6] = np.nan, 100e-6
    for label in range(5):
        wrong, silent = first_wrong_neurons(spikes, label, margin)
        assert [None if j < 0 else j for j in wrong] == [first_wrong_neuron(times, label, margin) for times in spikes]
        assert (silent == np.isnan(spikes[:, label])).all()
        right = strictly_right(spikes, np.full(400, label), 1e-6)
        assert (right == [strict_decision(times, 1e-6) == label for times in spikes]).all()


def test_accuracy_counts_each_image_with_its_own_read_noise(mnist_setup, training_set):
    images, labels = np.tile(training_set[0], (17, 1)), np.tile(training_set[1], 17)  # more than a batch
    chips = [Chip(), Chip(read_noise=0.3), Chip(seed=8, neuron_threshold=0.2)]
    states = train_batch([Chip()], mnist_setup, RULE, training_set)[0]
    batch = ChipBatch(chips, mnist_setup)
    right = [[strict_decision(spikes) == label for spikes in batch.read(batch.with_stuck_cells(states), image, "test", k)]
             for k, (image, label) in enumerate(zip(images, labels, strict=True))]
    accuracies = batch.accuracies(states, images, labels)
    assert accuracies == pytest.approx(np.mean(right, axis=0))
    assert accuracies[1] < accuracies[0] - 0.1


def test_programmed_cells_carry_the_ideal_current_and_calibrated_columns_fire_on_time(mnist_setup, digit_images):
    chips = [Chip(seed=seed, cell_gain=0.1, cell_threshold=0.1, neuron_threshold=0.1, neuron_gain=0.1) for seed in (1, 2)]
    batch, nominal = ChipBatch(chips, mnist_setup), Crossbar.of(mnist_setup)
    states = np.random.default_rng(2).uniform(2.5, 4.5, (10, 100))
    verified = batch.programmed(states, calibrated=False)
    carried = read_current(batch.crossbar.cells, verified, 1.0)
    assert carried == pytest.approx(np.broadcast_to(read_current(nominal.cells, states, 1.0), carried.shape), rel=1e-9)
    images = digit_images["binary"][:5]  # drive the cells at the voltage of the reference
    ideal = nominal.first_spikes(states, images)
    calibrated = batch.crossbar.first_spikes(batch.programmed(states, calibrated=True), images)
    assert calibrated == pytest.approx(np.broadcast_to(ideal, calibrated.shape), abs=0.3e-6)
    assert np.nanmax(np.abs(batch.crossbar.first_spikes(verified, images) - ideal)) > 5e-6


def test_stuck_cells_cannot_be_programmed():
    chip = Chip(classes=2, inputs=50, seed=6, stuck_on=0.3, stuck_off=0.3)
    programmed = ChipBatch([chip], Setup()).programmed(np.full((2, 50), 3.0), calibrated=False)[0]
    assert set(np.round(programmed.ravel(), 6)) == {0.0, 3.0, 7.0}


def test_doses_of_a_silent_neuron_fall_to_a_hundredth():
    """No neuron fires: the right column gains (1 - k/300) x 1 mV a presentation, at least 10 uV (edges take 2 %)."""
    rule = ErrorDrivenRule(presentations=300, dose=1e-3)
    run = ChipBatch([Chip(classes=2, inputs=3)], Setup()).learn(np.zeros((1, 2, 3)), rule, np.ones((1, 3)), np.zeros(1, int))
    states = np.array([found[0].copy() for found in run])
    assert states[0] == pytest.approx(np.array([[1e-3] * 3, [0.0] * 3]), rel=0.03)
    assert np.diff(states, axis=0)[[149, -1], 0] == pytest.approx(np.array([[0.5e-3] * 3, [1e-5] * 3]), rel=0.03)
