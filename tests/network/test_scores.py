"""Scores of decisions that were counted by hand."""

import math

import numpy as np
import pytest

from memristive.network.decisions import (
    SILENT,
    TIED,
    confusion,
    decide,
    decision_name,
    deviations,
    end_of_read,
    equal_templates,
    interval,
    largest_deviation,
    strict_scores,
    summary,
)
from memristive.network.design import Schedule

NAN = math.nan
SPIKES = 1e-6 * np.array([
    [100, 140, 180, NAN],   # class 0 by 40 us
    [100.3, 100, 150, 190],  # class 1 by 0.3 us: a tie at a resolution of 0.5 us
    [NAN, NAN, NAN, NAN],   # silent
    [130, 120, 110, 140],   # class 2, label 3 comes fourth
    [160, 120, 150, 140],   # class 1, label 3 comes second
    [125, 120, 110, 140],   # class 2, label 0 comes third
])
LABELS = np.array([0, 1, 0, 3, 3, 0])
SCHEDULE = Schedule(sampling_step=11e-6)


def test_strict_and_papers_decisions():
    strict, paper = decide(SPIKES, 0.5e-6, 11e-6)
    assert strict.tolist() == [0, TIED, SILENT, 2, 1, 2]
    assert paper.tolist() == [0, 0, 0, 2, 1, 2]  # 100 and 100.3 us fall into one sample, at 110 us; silence is class 0
    assert decide(SPIKES, 0.2e-6)[0][1] == 1 and (decide(SPIKES, 0.2e-6)[1] == -1).all()


def test_summary_counts_undecided_as_wrong_and_the_third_as_among_three():
    scores = summary(LABELS, SPIKES, 0.5e-6, SCHEDULE)
    assert scores["samples"] == 6
    assert scores["strict_accuracy"] == scores["strict_first_100"] == pytest.approx(1 / 6)
    assert scores["top3_accuracy"] == pytest.approx(4 / 6)  # images 0, 1, 4 and 5
    assert (scores["silent"], scores["tied"], scores["resolution"]) == (1, 1, 0.5e-6)
    assert scores["recall"].tolist() == pytest.approx([1 / 3, 0, NAN, 0], nan_ok=True)
    assert scores["strict_interval_95"] == interval(1, 6)
    assert scores["paper_rule_accuracy"] == scores["paper_rule_first_100"] == pytest.approx(2 / 6)
    assert summary(LABELS, SPIKES, 0.5e-6).keys() == scores.keys() - {"paper_rule_accuracy", "paper_rule_first_100"}


def test_first_hundred_images_have_their_accuracy():
    """The first 60 of 102 images are right."""
    spikes = 1e-6 * np.array([[100.0, 140.0]] * 60 + [[140.0, 100.0]] * 42)
    scores = summary(np.zeros(102, int), spikes, 0.5e-6, SCHEDULE)
    assert scores["paper_rule_first_100"] == scores["strict_first_100"] == pytest.approx(0.6)
    assert scores["paper_rule_accuracy"] == scores["strict_accuracy"] == pytest.approx(60 / 102)


def test_confusion_has_a_column_for_each_kind_of_undecided():
    counts = confusion(LABELS, np.array([0, TIED, SILENT, 2, 1, 2]), 4)
    assert counts.tolist() == [[1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 1, 0], [0] * 6, [0, 1, 1, 0, 0, 0]]
    assert [decision_name(d, "abcd") for d in (1, TIED, SILENT)] == ["b", "tied", "silent"]


def test_images_that_overlap_two_templates_equally():
    patterns = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], float)
    images = np.array([[0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]], float)
    assert equal_templates(patterns, images) == pytest.approx(3 / 5)


def test_interval_is_wilsons():
    """Wilson 1927: centre (p + z^2 / 2n) / (1 + z^2 / n)."""
    low, high = interval(60, 100)
    z2 = 1.959964**2
    assert (low + high) / 2 == pytest.approx((0.6 + z2 / 200) / (1 + z2 / 100), rel=1e-6)
    assert low == pytest.approx(0.5020, abs=1e-4)


def test_a_spike_that_one_read_lacks_deviates_by_as_much_as_that_read_continued():
    spikes, others = np.array([[50, 60, NAN, NAN], [50, NAN, 70, NAN]]), np.array([[51, 58, 59, 61], [NAN, 52, NAN, NAN]])
    found = deviations(spikes, others, np.array([60.0, 70.0]), np.array([58.0, 150.0]))
    assert found[0].tolist() == [1, 2, 1, 0]
    assert found[1, :3].tolist() == [100, 18, 80] and np.isnan(found[1, 3])
    assert end_of_read(spikes, 150.0).tolist() == [60, 70] and largest_deviation(spikes, others, 150.0) == 100
    assert largest_deviation(spikes[:1], others[:1], 150.0) == 2
    assert largest_deviation(np.full((2, 3), NAN), np.full((2, 3), NAN), 150.0) is None


def test_tied_and_silent_images_count_as_wrong():
    row = strict_scores(np.array([4, 7, 7, 1, 2]), np.array([4, -1, -1, -2, 1]))
    assert (row["strict_accuracy"], row["silent"], row["tied"]) == (0.2, 2, 1)
