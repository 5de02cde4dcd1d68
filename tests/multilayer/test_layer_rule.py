"""The learning rule as plain array functions."""

import numpy as np
import pytest

from memristive.multilayer.layer_rule import dose_factor, hidden_errors, output_errors, overlap_times


def test_doses_fall_linearly_to_zero_over_the_run():
    assert [dose_factor(done, 8, 0.0) for done in (0, 2, 4, 8)] == [1.0, 0.75, 0.5, 0.0]


@pytest.mark.parametrize(("label", "wrong", "errors"), [
    (2, 0, [-1, 0, 1, 0]), (0, 3, [1, 0, 0, -1]), (1, -1, [0, 1, 0, 0]),
])
def test_label_has_a_positive_error_and_the_first_wrong_neuron_a_negative_one(label, wrong, errors):
    assert output_errors(4, label, wrong).tolist() == errors


@pytest.mark.parametrize(("spike", "expected"), [(100e-6, [100e-6, 70e-6, 0, 0, 0]),
                                                 (np.nan, [200e-6, 170e-6, 100e-6, 0, 0])])  # silent: until the window's end
def test_a_row_is_written_from_its_step_to_the_spike(spike, expected):
    rows = np.array([0.0, 30e-6, 100e-6, 240e-6, np.nan])
    np.testing.assert_allclose(overlap_times(rows, spike, 200e-6), expected, rtol=1e-12)


def test_only_hidden_neurons_within_reach_have_errors():
    read_back, settled = np.array([0.3, -0.2, 0.1, -0.4]), np.array([0.89, 0.9, 1.4, 0.2])
    assert hidden_errors(read_back, settled, 0.9, 2.0).tolist() == [0, -0.1, 0.05, 0]
