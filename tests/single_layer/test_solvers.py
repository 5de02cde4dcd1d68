"""Solvers that a device, its pulses or the states of its cells ask for; their effect against tight tolerances."""

import dataclasses

import numpy as np
import pytest

from memristive.single_layer.hebbian import read_solver
from memristive.single_layer.setup import Schedule, Setup
from memristive.single_layer.solvers import CAREFUL, READING, TRAINING, WRITING, solver_for_cells, solver_for_device
from memristive.variability.chip import Chip, on_chip
from memristor import MemristorParameters

MEMRISTOR = MemristorParameters()


@pytest.mark.parametrize(("changes", "careful"), [
    ({}, False), ({"rise": 9.9e-6}, True), ({"rise": 1e-5}, False), ({"pulse": 1.7e-3}, True), ({"pulse": 1.8e-3}, False),
    ({"input_voltage": 0.3}, True), ({"input_voltage": 0.4}, False)])
def test_short_edges_and_small_states_take_a_careful_training(changes, careful):
    """The states rise by 1.41 V/ms at 1 V."""
    schedule = Schedule(**changes)
    assert solver_for_device(TRAINING, MEMRISTOR, schedule) == (CAREFUL if careful else TRAINING)
    assert solver_for_device(TRAINING, MEMRISTOR) == TRAINING and solver_for_device(READING, MEMRISTOR, schedule) == READING
    assert solver_for_device(TRAINING.tightened(), MEMRISTOR, schedule) == TRAINING.tightened()


@pytest.mark.parametrize(("solver", "volts", "farads", "changes"), [
    (READING, 3.0, 6e-12, {}), (READING, 0.0, 6.1e-12, {"trtol": 7.0, "chgtol": 1e-14}), (TRAINING, 0.5, 9e-12, {}),
    (TRAINING, 0.51, 1e-12, {"reltol": 1e-5, "max_step": 20e-6}), (READING.tightened(), 3.0, 9e-12, {})])
def test_large_gates_and_late_channels_have_their_solvers(solver, volts, farads, changes):
    cell = dataclasses.replace(MEMRISTOR, threshold_voltage=volts, width=MEMRISTOR.width * farads / MEMRISTOR.gate_capacitance)
    assert cell.gate_capacitance == pytest.approx(farads)
    assert solver_for_device(solver, cell) == dataclasses.replace(solver, **changes)


@pytest.mark.parametrize(("states", "volts", "careful"), [
    ([[3.0, 3.0, 3.0]], [1.0, 1.0, 1.0], False), ([[3.0, 1.4, 3.0]], [1.0, 1.0, 1.0], True),
    ([[3.0, 1.4, 3.0]], [1.0, 0.9, 1.0], False), ([[3.0, 1.6, 3.0]], [1.0, 1.0, 1.0], False),
    ([[3.0, -1.0, 3.0]], [1.0, 1.0, 1.0], False), ([[3.0, 0.0, 3.0]], [1.0, 0.0, 1.0], False),
    ([[30.0, 0.1, 30.0]], [1.0, 1.0, 1.0], False), ([[30.0, 1.4, 30.0]], [1.0, 1.0, 1.0], True),
    ([[3.0, 3.0, 3.0], [3.0, 1.0, 1.0]], [1.0, 1.0, 1.0], True),
    ([[30.0] * 3, [1.4, -10.0, -10.0]], [1.0, 1.0, 1.0], True)])  # the share counts in each column
def test_reads_are_careful_if_cells_not_well_above_their_input_carry_current(states, volts, careful):
    found = solver_for_cells(READING, MEMRISTOR, np.array(states), np.array(volts))
    expected = dataclasses.replace(READING, reltol=1e-6, trtol=1.0, max_step=10e-6, chgtol=1e-14) if careful else READING
    assert found == expected
    assert solver_for_cells(READING, MEMRISTOR, np.array(states), np.array([[0.0] * 3, volts])) == found
    assert solver_for_cells(READING.tightened(), MEMRISTOR, np.array(states), np.array(volts)) == READING.tightened()


@pytest.mark.parametrize(("state", "volts", "careful"), [
    (1.6, 1.0, False), (1.4, 1.0, True), (1.4, 0.9, False), (-1.9, 1.0, True), (-2.1, 1.0, False), (-1.0, 0.4, False),
    (0.5, 0.0, False)])
def test_writes_are_careful_if_one_such_cell_is_driven(state, volts, careful):
    found = solver_for_cells(WRITING, MEMRISTOR, np.array([3.0, state]), np.array([1.0, volts]))
    assert found == (dataclasses.replace(WRITING, reltol=1e-6, trtol=1.0) if careful else WRITING)
    assert solver_for_cells(TRAINING, MEMRISTOR, np.array([3.0, state]), np.array([1.0, volts])) == TRAINING


@pytest.mark.parametrize(("above", "careful"), [(1.4, True), (1.6, False)])
def test_on_a_chip_the_cells_thresholds_count(above, careful):
    setup = on_chip(Setup(), Chip(1, 9, cell_threshold=1.0))
    states = setup.devices.cells.threshold_voltage + above
    assert states.min() < 1.4 < 1.6 < states.max()  # the nominal threshold would give another answer
    assert (read_solver(setup, states, np.ones(9)) != READING) is careful
    for volts in (1.0, 3.0):  # cells at 2.5 V are well above an input of 1 V, not of 3 V
        pulsed = Setup(schedule=Schedule(input_voltage=volts))
        assert (read_solver(pulsed, np.full((1, 3), 2.5), np.ones(3)) != READING) is (volts > 1)
