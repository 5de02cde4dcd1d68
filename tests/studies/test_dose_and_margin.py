"""The stand-in by which doses and margins are compared: it learns as the closed form does."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import sem

from memristive.cli.experiments import Experiment, mnist_experiment
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.engines import ClosedFormEngine
from memristive.single_layer.error_rule import Teacher, begin, order
from studies import dose_and_margin
from studies.settled_training import SettledTraining


@pytest.mark.parametrize("encoding", ["binary", "grey"])
def test_settled_membranes_learn_as_the_closed_form_does(encoding):
    experiment = mnist_experiment(encoding=encoding)
    images, labels = (values[:2000] for values in experiment.training_images())
    rule = dataclasses.replace(experiment.rule, presentations=400, dose=60e-3)
    learning = begin(rule, 10, 100)
    engine = ClosedFormEngine(experiment.network, experiment.schedule, 10, 100)
    for _ in Teacher(engine, rule, images, labels).presentations(learning):
        pass
    training = SettledTraining(experiment, images, labels)
    states, wrote = training.train(rule, order(rule, len(images)))
    assert wrote == pytest.approx(learning.history[:, 1].sum(), abs=4)
    moved = np.abs(learning.states - rule.start_state)
    assert np.abs(states - learning.states).mean() < 0.25 * moved.mean()  # one early decision may fall otherwise
    exact = Crossbar.of(experiment.network, experiment.schedule).first_spikes(learning.states, images[:50])
    found = training.spikes(learning.states, np.arange(50))
    assert np.array_equal(np.isnan(found), np.isnan(exact))
    assert np.ptp(found - exact, axis=1) == pytest.approx(0, abs=0.3e-6)  # the edge delays all neurons alike
    assert (found.argmin(axis=1) == exact.argmin(axis=1)).mean() > 0.95


def test_a_neuron_that_would_fire_behind_the_pulse_is_silent():
    """With a pulse that ends at the middle of all first spikes, half of them."""
    experiment = mnist_experiment(encoding="grey")
    images, labels = (values[:50] for values in experiment.training_images())
    states = np.random.default_rng(1).uniform(2, 5, (10, 100))
    whole = SettledTraining(experiment, images, labels).spikes(states, np.arange(50))
    pulse = float(np.nanmedian(whole))
    schedule = dataclasses.replace(experiment.schedule, pulse=pulse)
    found = SettledTraining(dataclasses.replace(experiment, schedule=schedule), images, labels).spikes(states, np.arange(50))
    assert np.array_equal(found, np.where(whole > pulse, np.nan, whole), equal_nan=True)


def settled(levels, state, **schedule):
    """First spikes in us of images that have the same level at all inputs, of neurons whose cells are all at `state` V."""
    experiment = mnist_experiment(encoding="grey")
    experiment = dataclasses.replace(experiment, schedule=dataclasses.replace(experiment.schedule, **schedule))
    images = np.repeat(np.array(levels)[:, None], 100, axis=1)
    found = SettledTraining(experiment, images, np.zeros(len(levels))).spikes(np.full((10, 100), state), np.arange(len(levels)))
    return 1e6 * found[:, 0]


def test_a_cell_that_is_pinched_off_lets_no_more_current_through():
    """From 1.48 times the cell's X on: of the gate's charge a part is the input's. Below that, the more the sooner."""
    low, more, most = settled([0.7, 0.9, 1.0], 0.6)
    assert np.isfinite(low) and low > more == most
    assert np.all(np.diff(settled([0.7, 0.9, 1.0], 0.7)) < 0)


def test_half_the_level_at_twice_the_input_voltage_is_the_same():
    assert settled([0.4, 0.8], 3.0, input_voltage=0.5) == pytest.approx(settled([0.2, 0.4], 3.0, input_voltage=1.0))
    assert np.isfinite(settled([0.4, 0.8], 3.0, input_voltage=0.5)).all()


def test_a_write_is_the_closed_form_s():
    experiment = mnist_experiment(encoding="grey")
    images, labels = (values[:1] for values in experiment.training_images())
    rule = dataclasses.replace(experiment.rule, presentations=1, dose=0.5)
    states, wrote = SettledTraining(experiment, images, labels).train(rule, np.array([0]))
    engine = ClosedFormEngine(experiment.network, experiment.schedule, 10, 100)
    label, start = int(labels[0]), np.full((10, 100), rule.start_state)
    wrong = 0 if label else 1  # all fire together: the lowest class counts as first
    assert wrote == 1
    for column, sign in ((label, 1), (wrong, -1)):
        assert states[column] == pytest.approx(engine.write(start, column, images[0], sign, rule.dose / engine.rate), abs=1e-7)
    assert np.ptp(np.delete(states, [label, wrong], axis=0)) == 0


def test_a_right_neuron_that_is_silent_is_written_alone():
    """From a start at which nobody fires, so that there is no wrong one."""
    experiment = mnist_experiment(encoding="grey")
    images, labels = (values[:1] for values in experiment.training_images())
    rule = dataclasses.replace(experiment.rule, presentations=1, dose=0.1, start_state=1.0)
    states, wrote = SettledTraining(experiment, images, labels).train(rule, np.array([0]))
    assert wrote == 1 and (states[labels[0]] > rule.start_state).any()
    assert np.all(np.delete(states, labels[0], axis=0) == rule.start_state)


def test_what_is_held_out_is_not_learned_from(tmp_path, monkeypatch, capsys):
    """With the labels of one part falsified, what is learned for that part stays as it was, what is learned from it does not."""
    experiment = mnist_experiment(encoding="grey")
    images, labels = (values[:600] for values in experiment.training_images())
    rule = dataclasses.replace(experiment.rule, presentations=300)
    usual = dose_and_margin.held_out_accuracies(SettledTraining(experiment, images, labels), rule, labels)
    assert usual.shape == (6,) and usual.mean() > 0.3
    wrong = labels.copy()
    wrong[:100] = (labels[:100] + 5) % 10
    falsified = dose_and_margin.held_out_accuracies(SettledTraining(experiment, images, wrong), rule, labels)
    assert falsified[0] == usual[0]
    assert (falsified[1:] < usual[1:]).any()

    monkeypatch.setattr(dose_and_margin, "TRIED", {"grey": [(300, 30e-3, 1e-6, 5.2), (300, 100e-3, 1e-6, 5.2)]})
    monkeypatch.setattr(Experiment, "training_images", lambda experiment: (images, labels))
    dose_and_margin.main(["--encoding", "grey", "--figures", str(tmp_path)])
    first, second = json.loads((tmp_path / "dose_and_margin_results.json").read_text())["runs"]
    assert (first["gain"], first["standard_error"]) == (0, 0) and second["dose"] == 0.1
    assert second["gain"] == pytest.approx(np.mean(second["held_out_accuracies"]) - np.mean(first["held_out_accuracies"]))
    assert "against the first" in capsys.readouterr().out


def test_a_lead_of_ten_nanoseconds_decides_nothing():
    """Of the two images of each part the right neuron leads by 10 ns and by 30 ns: as everywhere, 20 ns are a tie."""
    spikes = 1e-6 * np.array([[50.0, 50.01, 80.0], [50.0, 50.03, np.nan]])
    training = SimpleNamespace(train=lambda rule, which: (None, 0), spikes=lambda states, held: spikes)
    rule = mnist_experiment(encoding="grey").rule
    assert dose_and_margin.held_out_accuracies(training, rule, np.zeros(12, int)).tolist() == [0.5] * 6


def test_every_training_has_the_seed_asked_for_and_a_gain_its_standard_error(tmp_path, monkeypatch):
    """Made-up accuracies of the six parts: what is given with a mean of six is its own error, not the spread of the six."""
    made_up, asked = iter([[0.5] * 6, [0.51, 0.53, 0.52, 0.56, 0.50, 0.57]]), []
    monkeypatch.setattr(dose_and_margin, "TRIED", {"grey": [(300, 30e-3, 1e-6, 5.2), (500, 100e-3, 2e-6, 4.5)]})
    monkeypatch.setattr(Experiment, "training_images", lambda experiment: (np.eye(2, 100), np.arange(2)))
    monkeypatch.setattr(dose_and_margin, "held_out_accuracies",
                        lambda training, rule, labels: asked.append(rule) or np.array(next(made_up)))
    dose_and_margin.main(["--encoding", "grey", "--seed", "7", "--figures", str(tmp_path)])
    assert [(rule.seed, rule.presentations, rule.dose, rule.margin, rule.start_state) for rule in asked] == [
        (7, 300, 30e-3, 1e-6, 5.2), (7, 500, 100e-3, 2e-6, 4.5)]
    second = json.loads((tmp_path / "dose_and_margin_results.json").read_text())["runs"][1]
    assert second["seed"] == 7 and second["gain"] == pytest.approx(0.19 / 6)
    assert second["standard_error"] == pytest.approx(sem([0.01, 0.03, 0.02, 0.06, 0.0, 0.07]))
