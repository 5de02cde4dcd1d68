"""Training by settled membranes learns as the closed form does; held-out images are not learned from."""

import dataclasses

import numpy as np
import pytest

from datasets import mnist
from memristive.io.results import load_table
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.engines import ClosedFormEngine
from memristive.single_layer.error_rule import ErrorDrivenTrainer, initial_state, presentation_order
from studies import dose_and_margin
from studies.settled_training import SettledTraining


@pytest.fixture(scope="module")
def grey():
    return mnist(encoding="grey")


def settled(dataset, count, **schedule):
    """Return a settled training on the first images, with another schedule."""
    setup = dataset.setup.replace(schedule=dataclasses.replace(dataset.setup.schedule, **schedule))
    return SettledTraining(setup, 10, dataset.training.levels[:count], dataset.training.labels[:count])


def test_settled_membranes_learn_as_the_closed_form_does(grey):
    images, labels = grey.training.levels[:2000], grey.training.labels[:2000]
    rule = dataclasses.replace(grey.rule, presentations=400, dose=60e-3)
    learning = initial_state(rule, 10, 100)
    for _ in ErrorDrivenTrainer(ClosedFormEngine(grey.setup, 10, 100), rule, images, labels).presentations(learning):
        pass
    training = settled(grey, 2000)
    states, wrote = training.train(rule, presentation_order(rule.seed, 400, 2000))
    assert wrote == pytest.approx(learning.history[:, 1].sum(), abs=4)
    moved = np.abs(learning.states - rule.start_state)
    assert np.abs(states - learning.states).mean() < 0.25 * moved.mean()  # an early decision may differ
    exact = Crossbar.of(grey.setup).first_spikes(learning.states, images[:50])
    spikes = training.spikes(learning.states, np.arange(50))
    assert np.array_equal(np.isnan(spikes), np.isnan(exact))
    assert np.ptp(spikes - exact, axis=1) == pytest.approx(0, abs=0.3e-6)  # the edge delays all neurons alike


def test_a_neuron_that_would_fire_after_the_pulse_is_silent(grey):
    states = np.random.default_rng(1).uniform(2, 5, (10, 100))
    whole = settled(grey, 50).spikes(states, np.arange(50))
    pulse = float(np.nanmedian(whole))
    short = settled(grey, 50, pulse=pulse).spikes(states, np.arange(50))
    assert np.array_equal(short, np.where(whole > pulse, np.nan, whole), equal_nan=True)


@pytest.mark.parametrize(("start", "columns"), [(4.5, 2), (1.0, 1)])
def test_a_write_is_that_of_the_closed_form(grey, start, columns):
    """Cells alike: all neurons fire together, and the lowest other class is depressed; from 1 V on none fires."""
    rule = dataclasses.replace(grey.rule, presentations=1, dose=0.1, start_state=start)
    states, wrote = settled(grey, 1).train(rule, np.array([0]))
    engine, label = ClosedFormEngine(grey.setup, 10, 100), int(grey.training.labels[0])
    expected = np.full((10, 100), start)
    for column, sign in ((label, 1), (0 if label else 1, -1))[:columns]:
        expected[column] = engine.write(expected, column, grey.training.levels[0], sign, rule.dose / engine.rate)
    driven = grey.training.levels[0] > 0
    assert wrote == 1 and states[:, driven] == pytest.approx(expected[:, driven], abs=1e-7 if start > 2 else 0.03)
    assert (np.ptp(states, axis=1) > 0).sum() == columns


def test_held_out_images_are_not_learned_from(grey):
    """False labels of one part change the accuracy on the others only."""
    rule, labels = dataclasses.replace(grey.rule, presentations=300), grey.training.labels[:600].copy()
    usual = dose_and_margin.held_out_accuracies(settled(grey, 600), rule, labels)
    wrong = labels.copy()
    wrong[:100] = (labels[:100] + 5) % 10
    training = SettledTraining(grey.setup, 10, grey.training.levels[:600], wrong)
    changed = dose_and_margin.held_out_accuracies(training, rule, labels)
    assert usual.mean() > 0.3
    assert changed[0] == usual[0] and (changed[1:] < usual[1:]).any()


def test_gains_are_those_against_the_first_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(dose_and_margin, "TRIED", {"grey": [(300, 30e-3, 1e-6, 5.2), (500, 100e-3, 2e-6, 4.5)]})
    dose_and_margin.main(["--encoding", "grey", "--samples", "600", "--seed", "7", "--results", str(tmp_path)])
    rows = load_table(tmp_path / "dose_and_margin.json")
    assert rows.seed.tolist() == [7, 7] and rows.dose.tolist() == [30e-3, 100e-3] and rows.start_state.tolist() == [5.2, 4.5]
    gains = np.array(rows.held_out_accuracies[1]) - np.array(rows.held_out_accuracies[0])
    assert rows.gain_mean.tolist() == pytest.approx([0, gains.mean()])
    assert rows.gain_standard_error.tolist() == pytest.approx([0, gains.std(ddof=1) / np.sqrt(6)])
