"""The error-driven rule: which neuron is depressed, the order of images, learning in ngspice, decisions on given spikes."""

import dataclasses
import math
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import xpue
from memristive.learning.error_rule import (
    ErrorDrivenTrainer,
    LearningState,
    initial_state,
    learning_curve,
)
from memristive.learning.rule import ErrorDrivenRule, first_wrong_neuron
from memristive.network.chip import Chip
from memristive.network.engines import make_engine
from memristive.network.setup import Setup
from memristive.network.spike_decoding import lead, strict_decision
from tests.network.networks import paper_layer

NAN = math.nan
RULE = ErrorDrivenRule(presentations=60, start_state=7.0, dose=0.15, margin=10e-6, seed=3)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 100))
def test_images_come_in_random_permutations_one_after_the_other(presentations, count, seed):
    indices = ErrorDrivenRule(seed=seed).order(count, 0, presentations)
    assert len(indices) == presentations
    for start in range(0, presentations - count + 1, count):
        assert sorted(indices[start:start + count]) == list(range(count))
    rest = indices[presentations // count * count:]
    assert len(set(rest)) == len(rest)  # no image twice within the last, shorter round either
    assert (ErrorDrivenRule(seed=seed).order(count, 0, presentations) == indices).all()
    long = ErrorDrivenRule(seed=seed).order(100, 0, 200)
    assert (long[:100] != long[100:]).any() and (long != ErrorDrivenRule(seed=seed + 1).order(100, 0, 200)).any()


@pytest.mark.parametrize(("spikes", "label", "margin", "expected"), [
    ([1e-4, 2e-4, 3e-4], 0, 5e-5, None), ([1e-4, 1.00001e-4, NAN], 0, 0.0, None),  # right and ahead by the margin
    ([1e-4, 2e-4, 3e-4], 0, 1.1e-4, 1), ([1e-4, NAN, 1.5e-4], 0, 1e-4, 2),  # right, but too close
    ([1e-4, 2e-4, 3e-4], 1, 5e-5, 0), ([3e-4, 2e-4, 1e-4], 0, 5e-5, 2),  # another one first
    ([NAN, 2e-4, 1e-4], 0, 5e-5, 2), ([1e-4, NAN, NAN], 0, 5e-5, None), ([NAN, NAN, NAN], 0, 5e-5, None),
    ([1e-4, 1e-4, NAN], 1, 1e-6, 0), ([1e-4, 1e-4, NAN], 1, 0.0, 0)])  # a tie is too close, also without a margin
def test_first_wrong_neuron_comes_before_the_margin_is_over(spikes, label, margin, expected):
    assert first_wrong_neuron(np.array(spikes), label, margin) == expected


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40), st.integers(1, 50))
def test_learning_curve_is_the_share_of_right_answers_in_the_window(rows, window):
    accuracy, writes = learning_curve(np.array(rows), window)
    naive = [sum(right for right, _ in rows[max(0, k - window):k]) / min(k, window) for k in range(1, len(rows) + 1)]
    assert accuracy == pytest.approx(naive)
    assert writes.tolist() == [sum(written for _, written in rows[:k + 1]) for k in range(len(rows))]


def test_a_learning_state_of_arrays_holds_numbers():
    """np.load gives arrays without dimensions."""
    state = LearningState(np.full((3, 2), 3), np.array(3), np.zeros((4, 2), bool))
    assert (type(state.done), state.done) == (int, 3) and state.states.dtype == float
    start = initial_state(RULE, 3, 2)
    assert start.states.tolist() == [[7.0, 7.0]] * 3 and start.done == 0 and not start.history.any()
    assert start.history.shape == (60, 2)


# In the circuit

def test_all_classes_are_right_after_learning_and_none_before(ngspice):
    learning, layer = initial_state(RULE, 4, 9), paper_layer(Setup(), 4, 9)
    trainer = ErrorDrivenTrainer(make_engine("ngspice", Setup(), Chip(4, 9)), RULE, xpue().patterns, np.arange(4))
    deque(trainer.presentations(learning), 0)
    before, after = ([layer.read(states, image, 5)[0] for image in xpue().patterns]
                     for states in (initial_state(RULE, 4, 9).states, learning.states))
    assert all(strict_decision(spikes) < 0 for spikes in before)  # equal columns tie
    assert [strict_decision(spikes) for spikes in after] == [0, 1, 2, 3]
    assert min(lead(spikes) for spikes in after) >= RULE.margin
    assert not learning.history[-8:, 1].any() and learning.history[-8:, 0].all() and learning.history[:4, 1].any()


# With spikes that are given

class Answers:
    """An engine with given spikes; a write moves a column by 1 V and is noted."""

    name, rate = "answers", 100.0

    def __init__(self, answers):
        self._answers = iter(answers)
        self.writes = []

    def spikes(self, states, image, wanted):
        return np.array(next(self._answers))

    def write(self, states, column, image, sign, pulse):
        self.writes.append((column, image.tolist(), sign, pulse))
        return states[column] + sign


EASY = ErrorDrivenRule(presentations=4, start_state=3.0, dose=0.2, margin=1e-5, seed=5)
PATTERNS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def answered(*answers, rule=EASY, done=0):
    """Return the engine and the state of a learning after reads with these first spikes of three classes (us)."""
    engine, learning = Answers(1e-6 * np.array(answers)), initial_state(rule, 3, 2)
    learning.done = done
    teacher = ErrorDrivenTrainer(engine, rule, PATTERNS, np.arange(3))
    for _ in answers:
        teacher.present(learning)
    return engine, learning


@pytest.mark.parametrize("done", range(3))  # any class may be the right one
@pytest.mark.parametrize(("right", "rival", "third", "writes", "history"), [
    (100, 111, 200, [], [True, False]),  # leads by more than the margin
    (100, NAN, NAN, [], [True, False]),  # fires alone
    (100, 109, 200, ["right", "rival"], [True, True]),  # leads too little
    (NAN, 150, NAN, ["right", "rival"], [False, True]),
    (NAN, NAN, NAN, ["right"], [False, True])])
def test_columns_are_written_after_an_error_or_a_small_lead(done, right, rival, third, writes, history):
    label = int(EASY.order(3, 0, 4)[done])
    other = (label + 1) % 3
    engine, learning = answered([{label: right, other: rival}.get(j, third) for j in range(3)], done=done)
    image, pulse = PATTERNS[label].tolist(), pytest.approx((1 - done / 4) * 0.2 / 100.0)  # the dose falls linearly
    expected = [{"right": (label, image, 1, pulse), "rival": (other, image, -1, pulse)}[name] for name in writes]
    assert sorted(engine.writes) == sorted(expected, key=lambda write: write[0])
    assert learning.history[done].tolist() == history and learning.done == done + 1
    expected = 3.0 + np.array([writes.count("right") * (j == label) - writes.count("rival") * (j == other) for j in range(3)])
    assert learning.states[:, 0].tolist() == expected.tolist()


def test_dose_stays_above_a_hundredth():
    engine, _ = answered([NAN, NAN, NAN], rule=dataclasses.replace(EASY, presentations=1000), done=998)
    assert engine.writes[0][3] == pytest.approx(0.01 * 0.2 / 100.0)


def test_of_a_tie_the_lower_class_counts_as_first():
    label = int(EASY.order(3, 0, 4)[0])
    for tied in ([j for j in range(3) if j != label], [label, (label + 1) % 3]):
        _, learning = answered([100.0 if j in tied else 200.0 for j in range(3)])
        assert learning.history[0, 0] == (label == min(tied))
