"""The layers' rule as plain array functions, which `layer_kernel` compiles and the teacher in ngspice calls."""

import numpy as np
import pytest

from memristive.multilayer.layer_rule import errors, falling, overlaps, plastic


def test_doses_fall_linearly_to_zero_over_the_run():
    assert [falling(done, 8) for done in (0, 2, 4, 8)] == [1.0, 0.75, 0.5, 0.0]


@pytest.mark.parametrize("label, wrong, driven", [
    (2, 0, [-1, 0, 1, 0]), (0, 3, [1, 0, 0, -1]), (1, -1, [0, 1, 0, 0]),
])
def test_the_right_column_is_driven_up_and_the_offender_down(label, wrong, driven):
    assert errors(4, label, wrong).tolist() == driven


def test_a_row_is_written_for_as_long_as_it_is_high_before_its_columns_neuron_fires():
    rows = np.array([0.0, 30e-6, 100e-6, 140e-6, np.nan])
    np.testing.assert_allclose(overlaps(rows, 100e-6, 200e-6), [100e-6, 70e-6, 0, 0, 0], rtol=1e-12)


def test_a_silent_neurons_write_lasts_to_the_end_of_the_window():
    rows = np.array([0.0, 30e-6, 250e-6, np.nan])
    np.testing.assert_allclose(overlaps(rows, np.nan, 200e-6), [200e-6, 170e-6, 0, 0], rtol=1e-12)


def test_only_neurons_whose_membranes_come_within_reach_are_written():
    read_back = np.array([0.3, -0.2, 0.1, -0.4])
    settled = np.array([0.89, 0.9, 1.4, 0.2])
    assert plastic(read_back, settled, 0.9, 1.0).tolist() == [0, -0.2, 0.1, 0]
    assert plastic(read_back, settled, 0.9, 2.0).tolist() == [0, -0.1, 0.05, 0]
