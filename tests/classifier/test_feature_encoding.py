"""Features as input levels."""

import numpy as np

from memristive.classifier.feature_encoding import FeatureEncoding

# the last feature is constant
TRAINING = np.array([[1.0, -2.0, 7.0], [3.0, 0.0, 7.0], [5.0, 2.0, 7.0]])


def test_training_data_fill_the_range_and_other_values_are_clipped():
    encoding = FeatureEncoding.of(TRAINING, complement=False)
    assert encoding.levels(TRAINING).tolist() == [[0.0, 0.0, 0.5], [0.5, 0.5, 0.5], [1.0, 1.0, 0.5]]
    assert encoding.levels(np.array([[9.0, -9.0, 8.0]])).tolist() == [[1.0, 0.0, 0.5]]


def test_with_complements_every_sample_drives_its_rows_with_the_same_total():
    levels = FeatureEncoding.of(TRAINING).levels(np.array([[1.0, 9.0, 7.0], [4.0, -1.0, 0.0]]))
    assert levels.tolist() == [[0.0, 1.0, 0.5, 1.0, 0.0, 0.5], [0.75, 0.25, 0.5, 0.25, 0.75, 0.5]]
    assert levels.sum(axis=1).tolist() == [3.0, 3.0]
