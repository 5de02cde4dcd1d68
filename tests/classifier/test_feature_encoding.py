"""Features as input levels: what the training data's range becomes, and what lies outside it."""

import numpy as np
import pytest

from memristive.classifier.feature_encoding import FeatureEncoding

TRAINING = np.array([[1.0, -2.0, 7.0], [3.0, 0.0, 7.0], [5.0, 2.0, 7.0]])


def test_training_data_fill_the_range_and_what_stood_still_is_half_way():
    encoding = FeatureEncoding.of(TRAINING, complement=False)
    assert encoding.levels(TRAINING).tolist() == [[0.0, 0.0, 0.5], [0.5, 0.5, 0.5], [1.0, 1.0, 0.5]]
    assert encoding.levels(np.array([[9.0, -9.0, 8.0]])).tolist() == [[1.0, 0.0, 0.5]]


def test_with_complements_every_sample_drives_its_rows_by_the_same_total():
    encoding = FeatureEncoding.of(TRAINING)
    levels = encoding.levels(np.array([[1.0, 9.0, 7.0], [4.0, -1.0, 0.0]]))
    assert levels.tolist() == [[0.0, 1.0, 0.5, 1.0, 0.0, 0.5], [0.75, 0.25, 0.5, 0.25, 0.75, 0.5]]
    assert levels.sum(axis=1).tolist() == [3.0, 3.0]


def test_share_that_lies_outside_the_training_data_is_told():
    encoding = FeatureEncoding.of(TRAINING)
    assert encoding.clipped(TRAINING) == 0.0
    assert encoding.clipped(np.array([[0.9, 0.0, 7.0], [5.1, 2.1, 99.0]])) == pytest.approx(4 / 6)  # 99 where all was 7
    assert encoding.clipped(np.array([[1.0, 0.0, 6.9]])) == pytest.approx(1 / 3)


def test_a_value_too_far_outside_for_floats_is_clipped_without_a_word():
    """Else NumPy warns of an overflow, in the midst of a prediction."""
    encoding = FeatureEncoding.of(np.array([[0.0], [1e-9]]), complement=False)
    with np.errstate(over="raise"):
        assert encoding.levels(np.array([[1e300], [-1e300]])).tolist() == [[1.0], [0.0]]


def test_range_that_floats_do_not_have_is_half_way():
    """That of values near the largest float is not finite, and to divide by that of subnormal ones is not either."""
    with np.errstate(divide="raise", invalid="raise", over="ignore"):
        wide = FeatureEncoding.of(np.array([[-1e308], [1e308]]), complement=False)
        assert wide.levels(np.array([[0.0], [1e308]])).tolist() == [[0.5], [0.5]]
        narrow = FeatureEncoding.of(np.array([[0.0], [1e-310]]), complement=False)
        assert narrow.levels(np.array([[1e-310]])).tolist() == [[0.5]]
    half = FeatureEncoding.of(np.array([[-1e307], [1e307]]), complement=False)
    assert half.levels(np.array([[0.0], [5e306]])).tolist() == [[0.5], [0.75]]
    assert half.levels(np.array([[1e308], [-1e308]])).tolist() == [[1.0], [0.0]]
