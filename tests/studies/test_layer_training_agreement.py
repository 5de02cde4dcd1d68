"""Training of multilayer networks in ngspice beside the closed form: the same errors, the same writes."""

import dataclasses

import numpy as np
import pytest

from memristive.io.results import load_results, load_table
from memristive.multilayer.layer_network import LayeredLearning, initial_network
from memristive.spice.parameters import ParameterError
from studies.layer_experiments import DEFAULTS, layered_dataset, learn
from studies.layer_training_agreement import advance, apart, beyond_margin, main

RULE = dataclasses.replace(DEFAULTS["digits"][0], presentations=400, margin=3e-6)


@pytest.fixture(scope="module")
def training():
    return layered_dataset("digits").training


@pytest.fixture(scope="module")
def start(training):
    return LayeredLearning.start(initial_network((10,), 10, training.levels, RULE), RULE)


def test_ngspice_makes_the_errors_and_writes_of_the_closed_form(tmp_path, ngspice):
    main(["--data", "digits", "--hidden", "10", "--after", "100", "--stretch", "8", "--results", str(tmp_path)])
    record, layers = load_results(tmp_path / "layers_in_step_digits.json"), load_table(tmp_path / "layers_in_step_digits.json")
    assert record["wrote"] >= 3 and record["presentations"] == 8
    assert record["in_step_differently"] == [] and record["free_differently"] == 0
    assert (layers.in_step_apart_V < 1e-3).all() and (layers.free_apart_V < 3e-3).all() and (layers.moved_V > 0.03).all()


def test_the_closed_form_goes_on_from_any_presentation(start, training):
    whole = learn(start.network, RULE, training)
    parts = advance(advance(start, RULE, training, 13), RULE, training, 400)
    assert start.done == 0 and np.array_equal(whole.history, parts.history)
    assert all(map(np.array_equal, whole.network.states, parts.network.states))


def test_leads_below_the_margin_are_written(start, training):
    learning = advance(start, RULE, training, 200)
    for done in range(200, 220):
        wrote = advance(learning, RULE, training, done + 1).history[done, 1]
        assert wrote == (not beyond_margin(learning.network, RULE, training, done) >= 0)  # nan: the right neuron is silent
        learning = advance(learning, RULE, training, done + 1)


def test_cells_that_do_not_conduct_are_compared_apart(start):
    low = [states.copy() for states in start.network.states]
    for states in low:
        states[0, 0] = -9.0
    moved = tuple(states + np.where(states < 0, 4e-3, 1e-3) for states in low)
    one, other = (dataclasses.replace(start.network, states=states) for states in (tuple(low), moved))
    assert apart(one, other, one) == pytest.approx(np.array([[1e-3, 4e-3], [1e-3, 4e-3]]))


def test_a_stretch_beyond_the_end_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="presentations"):
        main(["--set", "rule.presentations=20100", "--results", str(tmp_path)])
