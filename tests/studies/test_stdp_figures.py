"""What figures of the circuit that learns by itself show of many seeds, many neurons, and a long run."""

import numpy as np
import pytest

from studies import unsupervised_figures as stdp_figures
from studies.unsupervised_figures import Accuracy


def test_bars_reach_from_the_lowest_seed_to_the_highest_and_seeds_are_counted():
    found = [Accuracy("grey", neurons, rate, None) for neurons, rate in ((100, 0.80), (100, 0.88), (100, 0.90), (300, 0.95))]
    axis, = stdp_figures.accuracy_against_neurons(found, ()).axes
    _, _, (bar,) = axis.containers[0].lines
    assert bar.get_segments()[0][:, 1] == pytest.approx([80, 90])
    assert "3 seeds" in axis.get_legend().get_texts()[0].get_text()


def test_of_many_neurons_those_of_every_digit_are_shown():
    digits = np.array([0] * 150 + [1] * 50)
    figure = stdp_figures.receptive_fields(np.random.default_rng(1).random((200, 4)), digits, (2, 2))
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert (titles.count("0"), titles.count("1")) == (75, 25)


def test_snapshots_are_closer_at_the_start():
    assert stdp_figures.snapshots(100, 5).tolist() == [0, 6, 25, 56, 100]
