"""Solvers that a device, its pulses or the states of its cells ask for; their effect against tight
tolerances.
"""

import numpy as np
import pytest

from memristive.engines.solvers import READING, read_solver
from memristive.network.chip import Chip, on_chip
from memristive.network.design import Setup


@pytest.mark.parametrize(
    ("states", "volts", "careful"),
    [
        ([[3.0, 3.0, 3.0]], [1.0, 1.0, 1.0], False),
        ([[3.0, 1.4, 3.0]], [1.0, 1.0, 1.0], True),
        ([[3.0, 1.4, 3.0]], [1.0, 0.9, 1.0], False),
        ([[30.0] * 3, [1.4, -10.0, -10.0]], [1.0, 1.0, 1.0], True),
    ],
)  # the share counts in each column
def test_reads_are_careful_if_cells_not_well_above_their_input_carry_current(
    states, volts, careful
):
    found = read_solver(Setup(), np.array(states), np.array(volts))
    assert (found != READING) is careful


@pytest.mark.parametrize(("above", "careful"), [(1.4, True), (1.6, False)])
def test_on_a_chip_the_cells_thresholds_count(above, careful):
    setup = on_chip(Setup(), Chip(1, 9, cell_threshold=1.0))
    states = setup.devices.cells.threshold_voltage + above
    # the nominal threshold would give another answer
    assert states.min() < 1.4 < 1.6 < states.max()
    assert (read_solver(setup, states, np.ones(9)) != READING) is careful
