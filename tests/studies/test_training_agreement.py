"""One training on two engines: equal decisions, and differences that are found."""

import numpy as np
import pytest

from memristive.io.results import load_results
from memristive.single_layer.engines import ClosedFormEngine
from studies import training_agreement
from studies.training_agreement import APART, COURSES, Course, Decision, both_engines, compare_training, starting_states

IN_STEP, FREE = COURSES[:2]


@pytest.fixture(scope="module")
def dataset(templates):
    return templates


def closed_form(dataset, threshold):
    setup = dataset.setup
    return ClosedFormEngine(setup.replace(neuron=type(setup.neuron)(threshold=threshold)), 10, 100)


@pytest.mark.parametrize(("spikes", "label", "decision", "edges"), [
    ([10.0, 13.0, 20.0], 0, (True, None, False), (3, 2, 7)),  # leads by more than the margin of 1 us
    ([10.0, 10.4, 20.0], 0, (True, 1, True), (0.4, -0.6, 9.6)),  # by less
    ([10.0, 13.0, 20.0], 2, (False, 0, True), (-10, -11, 3)),
    ([10.0, 10.0, 10.0], 1, (False, 0, True), (0, -1, 0)),  # ties: the lower class counts as first
    ([np.nan, 13.0, np.nan], 0, (False, 1, True), (-np.inf, -np.inf, np.inf)),
    ([np.nan, 13.0, np.nan], 1, (True, None, False), (np.inf, np.inf, np.inf)),
    ([np.nan, np.nan, np.nan], 1, (False, None, True), (np.nan, np.nan, np.inf))])
def test_decision_of_a_read(spikes, label, decision, edges):
    found = Decision.of(np.array(spikes) * 1e-6, label, 1e-6)
    assert (found.right, found.wrong_neuron, found.writes) == decision
    assert [found.lead_s, found.beyond_margin_s, found.among_others_s] == pytest.approx([1e-6 * edge for edge in edges],
                                                                                        nan_ok=True)


def test_nearest_edge_counts_unless_it_is_a_tie_or_decides_nothing():
    assert Decision(True, None, False, 3e-9, 2e-9, 1e-9).nearest == 2e-9  # no other neuron is written
    assert Decision(True, 1, True, 3e-9, -2e-9, 1e-9).nearest == 1e-9
    assert Decision(False, 1, True, 0.0, -1e-6, 0.0).nearest == 1e-6


@pytest.mark.parametrize("course", [IN_STEP, FREE, Course("tightened", True, tightened=True)])
def test_both_engines_decide_alike(ngspice, dataset, course):
    row, different = compare_training(both_engines(dataset, course), dataset, 8, course)
    assert (row["decided_alike"], row["answered_alike"], row["wrote_alike"], different) == (8, 1, 1, [])
    assert row["wrote"] > 4 and row["nearest_s"] > 1e-9
    assert row["states_differ_max_V"] < (20e-6 if course.tightened else 1e-3) < row["states_moved_mean_V"] < 9e-3


def test_different_decisions_are_counted_and_listed(dataset):
    """Thresholds of 4 and 4.4 V, margins in s: later spikes have larger leads."""
    engines = closed_form(dataset, 4.0), closed_form(dataset, 4.4)
    row, different = compare_training(engines, dataset, 100, IN_STEP)
    assert 0 < len(different) // 2 == 100 - row["decided_alike"]
    assert different[0]["lead_s"] != different[1]["lead_s"] and different[0]["presentation"] == different[1]["presentation"]
    assert row["states_differ_max_V"] < 1e-9  # after those that were decided alike
    row, different = compare_training(engines, dataset, 100, FREE)
    assert len(different) == 2 and row["decided_alike"] < 100  # only the first: later ones belong to another training
    assert row["states_differ_max_V"] > 1e-3


def test_starts_of_the_courses(dataset):
    alike, apart, trained = (starting_states(Course("", False, start), dataset) for start in ("alike", "apart", "trained"))
    assert (alike == dataset.rule.start_state).all()
    assert (apart - alike).std() == pytest.approx(APART, rel=0.1)
    assert trained.std() > 0.1


def test_record_has_a_row_for_each_course(ngspice, tmp_path):
    training_agreement.main(["--presentations", "1", "--results", str(tmp_path)])
    rows = load_results(tmp_path / "engines_training.json")["rows"]
    assert [row["course"] for row in rows] == [course.name for course in COURSES]
    assert all(row["decided_alike"] == row["presentations"] == 1 for row in rows)
