"""The learning rule as plain array functions."""

import numpy as np
import pytest

from memristive.learning.rule import hidden_errors, overlap_times


@pytest.mark.parametrize(("spike", "expected"), [(100e-6, [100e-6, 70e-6, 0, 0, 0]),
                                                 (np.nan, [200e-6, 170e-6, 100e-6, 0, 0])])  # silent: until the window's end
def test_a_row_is_written_from_its_step_to_the_spike(spike, expected):
    rows = np.array([0.0, 30e-6, 100e-6, 240e-6, np.nan])
    np.testing.assert_allclose(overlap_times(rows, spike, 200e-6), expected, rtol=1e-12)


def test_only_hidden_neurons_within_reach_have_errors():
    read_back, settled = np.array([0.3, -0.2, 0.1, -0.4]), np.array([0.89, 0.9, 1.4, 0.2])
    assert hidden_errors(read_back, settled, 0.9, 2.0).tolist() == [0, -0.1, 0.05, 0]
