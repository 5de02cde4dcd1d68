"""Learning on a chip: in both engines, resumed, with stuck cells, and programmed instead."""

import dataclasses

import numpy as np
import pytest

from datasets import encode
from memristive.devices.channel import read_current
from memristive.learning.crossbar_training import learn_on_chip, programmed, train
from memristive.learning.error_rule import initial_state
from memristive.learning.rule import ErrorDrivenRule
from memristive.network.chip import Chip, on_chip
from memristive.network.closed_form import Crossbar
from memristive.network.setup import Setup
from memristor import MemristorParameters

CHIP = Chip(seed=3, read_noise=0.05, write_noise=0.5, stuck_off=0.05, stuck_on=0.05, cell_threshold=0.05)
RULE = ErrorDrivenRule(presentations=60, start_state=4.5, dose=0.1, margin=1e-6, seed=4)


@pytest.fixture(scope="module")
def training_set(mnist):
    """Sixty grey training images and their labels."""
    return encode(mnist["x_train"][:60], 10, "grey"), mnist["y_train"][:60].astype(int)


def learned(name, setup, chip, rule, training_set):
    learning = initial_state(rule, chip.classes, chip.inputs)
    list(train(name, setup, chip, learning, rule, *training_set))
    return learning


def test_both_engines_learn_the_same_on_a_chip_with_noise(ngspice, mnist_setup, training_set):
    rule = dataclasses.replace(RULE, presentations=12)
    simulated, computed = (learned(name, mnist_setup, CHIP, rule, training_set) for name in ("ngspice", "closed-form"))
    assert (simulated.history == computed.history).all() and simulated.history[:, 1].sum() >= 8
    assert simulated.states == pytest.approx(computed.states, abs=3e-3)  # writes of 0.1 V


@pytest.mark.parametrize("name", ["ngspice", "closed-form"])
def test_a_resumed_training_meets_the_same_noise(ngspice, name):
    """A closed-form training reports, and can be interrupted, after a block of presentations."""
    count, stop = (6, 2) if name == "ngspice" else (600, 500)
    chip, rule = dataclasses.replace(CHIP, classes=2, inputs=3), dataclasses.replace(RULE, presentations=count)
    training_set, setup = (np.array([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]), np.arange(2)), Setup()
    whole, resumed = learned(name, setup, chip, rule, training_set), initial_state(rule, 2, 3)
    for _ in zip(range(stop), train(name, setup, chip, resumed, rule, *training_set), strict=False):
        pass
    assert resumed.done == stop
    list(train(name, setup, chip, resumed, rule, *training_set))
    assert (whole.states == resumed.states).all() and (whole.history == resumed.history).all()


def test_leak_does_not_change_stuck_cells(mnist_setup, training_set):
    chip = Chip(seed=5, stuck_off=0.1, stuck_on=0.1)
    leaky = mnist_setup.replace(memristor=MemristorParameters(leak_resistance=1e9))
    states = learn_on_chip(leaky, chip, dataclasses.replace(RULE, presentations=3), *training_set)
    assert np.array_equal(chip.with_stuck_cells(states), states)
    assert (states[~chip.stuck] != RULE.start_state).any()


def test_programmed_cells_carry_the_ideal_current_and_calibrated_columns_fire_on_time(mnist_setup, digit_images):
    nominal, states = Crossbar.of(mnist_setup), np.random.default_rng(2).uniform(2.5, 4.5, (10, 100))
    images = digit_images["binary"][:5]  # drive the cells at the voltage of the reference
    ideal = nominal.first_spikes(states, images)
    for seed in (1, 2):
        chip = Chip(seed=seed, cell_gain=0.1, cell_threshold=0.1, neuron_threshold=0.1, neuron_gain=0.1)
        crossbar = Crossbar.of(on_chip(mnist_setup, chip))
        verified, calibrated = (programmed(mnist_setup, chip, states, calibrated=flag) for flag in (False, True))
        assert read_current(crossbar.cells, verified, 1.0) == pytest.approx(read_current(nominal.cells, states, 1.0), rel=1e-9)
        assert crossbar.first_spikes(calibrated, images) == pytest.approx(ideal, abs=0.3e-6)
        assert np.nanmax(np.abs(crossbar.first_spikes(verified, images) - ideal)) > 5e-6


def test_stuck_cells_cannot_be_programmed():
    chip = Chip(classes=2, inputs=50, seed=6, stuck_on=0.3, stuck_off=0.3)
    found = programmed(Setup(), chip, np.full((2, 50), 3.0), calibrated=False)
    assert set(np.round(found.ravel(), 6)) == {0.0, 3.0, 7.0}


def test_doses_of_a_silent_neuron_fall_to_a_hundredth():
    """No neuron fires: the right column gains (1 - k/300) x 1 mV a presentation, at least 10 uV (edges take 2 %)."""
    rule = ErrorDrivenRule(presentations=300, dose=1e-3)
    found = learn_on_chip(Setup(), Chip(2, 3), rule, np.ones((1, 3)), np.zeros(1, int), np.zeros((2, 3)))
    expected = 1e-3 * np.maximum(1 - np.arange(300) / 300, 0.01).sum()
    assert found == pytest.approx(np.array([[expected] * 3, [0.0] * 3]), rel=0.03)
