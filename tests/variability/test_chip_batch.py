"""Many chips at once: each learns as it would alone, is judged as it would be alone, and can be programmed as asked."""

import dataclasses
from collections import deque

import numpy as np
import pytest

from datasets import encode
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.error_rule import ErrorDrivenRule, Teacher, begin, offender
from memristive.single_layer.pulses import Schedule
from memristive.single_layer.spike_decoding import strict_decision
from memristive.variability import chip_batch as ensembles
from memristive.variability.chip import Chip
from memristive.variability.chip_batch import Ensemble, offenders, strictly_right
from memristive.variability.chip_engines import ChipInClosedForm, ChipInNgspice, chip_engine
from memristor import read_current

CHIPS = [Chip(), Chip(seed=2, cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1),
         Chip(seed=3, read_noise=0.05, write_noise=0.5, stuck_off=0.05, stuck_on=0.05, cell_threshold=0.05)]


@pytest.fixture(scope="module")
def lessons(mnist):
    """Sixty grey training images and their labels."""
    return encode(mnist["x_train"][:60], 10, "grey"), mnist["y_train"][:60].astype(int)


@pytest.fixture(scope="module")
def rule():
    return ErrorDrivenRule(presentations=60, start_state=4.5, dose=0.1, margin=1e-6, seed=4)


def taught(engine, chip, rule, lessons):
    """States and history of one chip that learns alone."""
    learning = begin(rule, 10, 100)
    learning.states = chip.held(learning.states)
    for _ in Teacher(engine, rule, *lessons).presentations(learning):
        pass
    return learning


def test_chips_learn_together_as_each_would_alone(parameters, mnist_schedule, lessons, rule):
    ensemble = Ensemble(CHIPS, parameters, mnist_schedule)
    states = deque(ensemble.learn(np.full((len(CHIPS), 10, 100), rule.start_state), rule, *lessons), maxlen=1).pop()
    for chip, together in zip(CHIPS, states, strict=True):
        alone = taught(ChipInClosedForm(parameters, mnist_schedule, chip), chip, rule, lessons)
        assert together == pytest.approx(alone.states, abs=1e-9)
        assert alone.history[:, 1].sum() > 20  # it did write
    assert (states[2][CHIPS[2].stuck] == CHIPS[2].held(states[2])[CHIPS[2].stuck]).all()


@pytest.mark.parametrize("faults", [{"stuck_off": 0.2}, {"stuck_on": 0.2}])
def test_writes_leave_what_is_stuck_where_it_is(parameters, mnist_schedule, lessons, rule, faults):
    chip = Chip(seed=5, **faults)
    leaky = dataclasses.replace(parameters, memristor=dataclasses.replace(parameters.memristor, leak_resistance=1e9))
    few, start = dataclasses.replace(rule, presentations=3), np.full((1, 10, 100), rule.start_state)
    states = deque(Ensemble([chip], leaky, mnist_schedule).learn(start, few, *lessons), maxlen=1).pop()
    assert np.array_equal(chip.held(states[0]), states[0]) and chip.stuck.any()
    assert (states[0][~chip.stuck] != rule.start_state).any()


def test_both_engines_learn_the_same_on_a_chip_with_noise(ngspice, parameters, mnist_schedule, lessons, rule):
    chip, few = CHIPS[2], dataclasses.replace(rule, presentations=12)
    computed = taught(chip_engine("closed-form", ngspice, parameters, mnist_schedule, chip), chip, few, lessons)
    simulated = taught(chip_engine("ngspice", ngspice, parameters, mnist_schedule, chip), chip, few, lessons)
    assert (simulated.history == computed.history).all()
    assert simulated.history[:, 1].sum() >= 8
    assert simulated.states == pytest.approx(computed.states, abs=3e-3)  # of writes of 0.1 V, with 0.35 % of leak and corners
    assert np.abs(computed.states - chip.held(np.full((10, 100), 4.5))).max() > 0.2


def test_a_training_that_goes_on_meets_the_noise_it_would_have_met(parameters, mnist_schedule, lessons, rule):
    chip = CHIPS[2]
    whole = taught(ChipInClosedForm(parameters, mnist_schedule, chip), chip, rule, lessons)
    learning = begin(rule, 10, 100)
    learning.states = chip.held(learning.states)
    for _ in Teacher(ChipInClosedForm(parameters, mnist_schedule, chip), rule, *lessons).presentations(learning):
        if learning.done == 25:
            break
    for _ in Teacher(ChipInClosedForm(parameters, mnist_schedule, chip, first=25), rule, *lessons).presentations(learning):
        pass
    assert (learning.states == whole.states).all()


def test_engine_with_wires_writes_through_the_whole_network(ngspice, parameters, mnist_schedule):
    chip = Chip(classes=2, inputs=3, row_resistance=1e-6, column_resistance=1e-6, cell_write_gain=0.2, write_noise=0.3)
    bare = dataclasses.replace(chip, row_resistance=0.0, column_resistance=0.0)
    states, image = np.full((2, 3), 4.0), np.array([1.0, 0.0, 0.5])
    wired, computed = (engine.write(states, 1, image, 1, 50e-6) for engine in (
        ChipInNgspice(ngspice, parameters, mnist_schedule, chip, 1), ChipInClosedForm(parameters, mnist_schedule, bare, 1)))
    assert wired == pytest.approx(computed, abs=0.3e-3)
    assert wired[0] > 4.04


@pytest.mark.parametrize("margin", [2e-6, 0.0])
def test_rule_for_many_chips_is_the_rule_for_one(margin):
    generator = np.random.default_rng(1)
    spikes = generator.uniform(100e-6, 110e-6, (400, 5))
    spikes[generator.random((400, 5)) < 0.3] = np.nan
    spikes[:3], spikes[3:6] = np.nan, 100e-6
    for label in range(5):
        wrong, silent = offenders(spikes, label, margin)
        alone = [offender(times, label, margin) for times in spikes]
        assert [None if j < 0 else j for j in wrong] == alone
        assert (silent == np.isnan(spikes[:, label])).all()
        right = strictly_right(spikes, np.full(400, label), 1e-6)
        assert (right == [strict_decision(times, 1e-6) == label for times in spikes]).all()


def test_read_noise_costs_accuracy_and_is_each_image_s_own(parameters, mnist_schedule, lessons, rule):
    quiet = Ensemble(CHIPS[:1], parameters, mnist_schedule)
    states = deque(quiet.learn(np.full((1, 10, 100), rule.start_state), rule, *lessons), maxlen=1).pop()
    noisy = Ensemble([Chip(read_noise=0.3)], parameters, mnist_schedule)
    accuracy = [ensemble.accuracies(states, *lessons)[0] for ensemble in (quiet, noisy)]
    assert accuracy[1] < accuracy[0] - 0.1
    chip, crossbar = Chip(read_noise=0.3), Chip().crossbar(parameters, mnist_schedule)
    by_hand = [strict_decision(crossbar.with_jitter(chip.jitter("test", k)).read(states[0], image).spikes) == label
               for k, (image, label) in enumerate(zip(*lessons, strict=True))]
    assert accuracy[1] == np.mean(by_hand)


def test_accuracies_are_those_of_the_images_one_by_one_in_batches_of_any_size(parameters, mnist_schedule, lessons, monkeypatch):
    chips = [CHIPS[2], dataclasses.replace(CHIPS[2], seed=8, neuron_threshold=0.2)]
    ensemble, (images, labels) = Ensemble(chips, parameters, mnist_schedule), (lessons[0][:13], lessons[1][:13])
    states = np.random.default_rng(3).uniform(4.0, 5.0, (2, 10, 100))
    labels[::2] = [strict_decision(ensemble.read(ensemble.held(states), image, "test", k)[1])  # so that some are right
                   for k, image in list(enumerate(images))[::2]]
    right = [[strict_decision(spikes) == label for spikes in ensemble.read(ensemble.held(states), image, "test", k)]
             for k, (image, label) in enumerate(zip(images, labels, strict=True))]
    assert np.mean(right, axis=0)[0] != np.mean(right, axis=0)[1] > 0.3
    for batch in (1000, 5):
        monkeypatch.setattr(ensembles, "BATCH", batch)
        assert ensemble.accuracies(states, images, labels) == pytest.approx(np.mean(right, axis=0))


def test_strictly_right_is_first_by_more_than_the_resolution():
    spikes = np.array([[1e-3, 1e-3 + 2.0**-20, np.nan], [np.nan, np.nan, np.nan], [np.nan, np.nan, 1e-3]])
    assert strictly_right(spikes, np.array([0, 0, 2]), spikes[0, 1] - spikes[0, 0]).tolist() == [False, False, True]
    assert strictly_right(spikes, np.array([0, 0, 2]), 2.0**-21).tolist() == [True, False, True]


def test_programmed_cells_carry_the_ideal_current_and_calibrated_columns_spike_on_time(parameters, mnist_schedule, digit_images):
    chips = [Chip(seed=seed, cell_gain=0.1, cell_threshold=0.1, neuron_threshold=0.1, neuron_gain=0.1) for seed in (1, 2)]
    ensemble, nominal = Ensemble(chips, parameters, mnist_schedule), Crossbar.of(parameters, mnist_schedule)
    states = np.random.default_rng(2).uniform(2.5, 4.5, (10, 100))
    verified = ensemble.programmed(states, calibrated=False)
    carried = read_current(ensemble.crossbar.cells, verified, 1.0)
    assert carried == pytest.approx(np.broadcast_to(read_current(nominal.cells, states, 1.0), carried.shape), rel=1e-9)
    # Binary images drive every cell at that voltage, so that only the neurons are left to differ; measured, they do not either.
    images = digit_images["binary"][:5]
    ideal = nominal.first_spikes(states, images)
    calibrated = ensemble.crossbar.first_spikes(ensemble.programmed(states, calibrated=True), images)
    assert calibrated == pytest.approx(np.broadcast_to(ideal, calibrated.shape), abs=0.3e-6)
    assert np.nanmax(np.abs(ensemble.crossbar.first_spikes(verified, images) - ideal)) > 5e-6


def test_cells_are_programmed_up_to_fifty_volts(parameters, mnist_schedule):
    ensemble = Ensemble([Chip(seed=1)], parameters, mnist_schedule)
    for wanted, found in ((49.0, 49.0), (60.0, 50.0)):
        assert ensemble.programmed(np.full((10, 100), wanted), calibrated=False) == pytest.approx(found, rel=1e-9)


def test_silent_neurons_are_written_by_doses_that_fall_to_a_hundredth(parameters):
    """From 0 V on nobody fires: the right column gains (1 - k/300) x 1 mV a presentation, at least 10 uV (edges take 2 %)."""
    rule, ensemble = ErrorDrivenRule(presentations=300, dose=1e-3), Ensemble([Chip(classes=2, inputs=3)], parameters, Schedule())
    gone_through = [states.copy() for states in ensemble.learn(np.zeros((1, 2, 3)), rule, np.ones((1, 3)), np.zeros(1, int))]
    assert gone_through[0][0] == pytest.approx(np.array([[1e-3] * 3, [0.0] * 3]), rel=0.03)
    assert (gone_through[150] - gone_through[149])[0, 0] == pytest.approx(0.5e-3, rel=0.03)
    assert (gone_through[-1] - gone_through[-2])[0, 0] == pytest.approx(1e-5, rel=0.03)


def test_what_is_stuck_stands_there_before_anything_is_written_and_the_start_stays_as_it_was(parameters):
    chip = Chip(classes=2, inputs=50, seed=6, stuck_on=0.3, stuck_off=0.3)
    ensemble, start = Ensemble([chip], parameters, Schedule()), np.full((1, 2, 50), 3.0)
    first = next(ensemble.learn(start, ErrorDrivenRule(presentations=2, margin=0.0), np.zeros((1, 50)), np.zeros(1, int)))
    assert set(np.round(first[0].ravel(), 3)) == {0.0, 3.0, 7.0}  # an image without a pixel writes nothing
    assert (start == 3.0).all()


def test_cells_that_are_stuck_cannot_be_programmed(parameters):
    chip = Chip(classes=2, inputs=50, seed=6, stuck_on=0.3, stuck_off=0.3)
    programmed = Ensemble([chip], parameters, Schedule()).programmed(np.full((2, 50), 3.0), calibrated=False)[0]
    assert set(np.round(programmed.ravel(), 6)) == {0.0, 3.0, 7.0}
