"""The learning rule as plain array functions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memristive.learning.rule import (
    ErrorDrivenRule,
    LayeredRule,
    first_wrong_neuron,
)

NAN = math.nan


@pytest.mark.parametrize("rule", [ErrorDrivenRule, LayeredRule])
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 100))
def test_images_come_in_random_permutations_one_after_the_other(rule, presentations, count, seed):
    indices = rule(seed=seed).order(count, 0, presentations)
    assert len(indices) == presentations
    for start in range(0, presentations - count + 1, count):
        assert sorted(indices[start : start + count]) == list(range(count))
    rest = indices[presentations // count * count :]
    assert len(set(rest)) == len(rest)  # no image twice within the last, shorter round either
    assert (
        rule(seed=seed).order(count, presentations // 2, presentations)
        == indices[presentations // 2 :]
    ).all()
    assert (rule(seed=seed).order(100, 0, 99) != rule(seed=seed + 1).order(100, 0, 99)).any()


@pytest.mark.parametrize(
    ("spikes", "label", "margin", "expected"),
    [
        # right and ahead by the margin
        ([1e-4, 2e-4, 3e-4], 0, 5e-5, None),
        ([1e-4, 1.00001e-4, NAN], 0, 0.0, None),
        ([1e-4, 2e-4, 3e-4], 0, 1.1e-4, 1),
        ([1e-4, NAN, 1.5e-4], 0, 1e-4, 2),  # right, but too close
        ([1e-4, 2e-4, 3e-4], 1, 5e-5, 0),
        ([3e-4, 2e-4, 1e-4], 0, 5e-5, 2),  # another one first
        ([NAN, 2e-4, 1e-4], 0, 5e-5, 2),
        ([1e-4, NAN, NAN], 0, 5e-5, None),
        ([NAN, NAN, NAN], 0, 5e-5, None),
        # a tie is too close, also without a margin
        ([1e-4, 1e-4, NAN], 1, 1e-6, 0),
        ([1e-4, 1e-4, NAN], 1, 0.0, 0),
    ],
)
def test_first_wrong_neuron_comes_before_the_margin_is_over(spikes, label, margin, expected):
    assert first_wrong_neuron(np.array(spikes), label, margin) == expected
