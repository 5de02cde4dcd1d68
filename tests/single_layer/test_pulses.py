"""Pulses: their area, their corners, their limits."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memristive.single_layer.pulses import CAREFUL, READING, TRAINING, Schedule, check_levels, edges, suited
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters

levels = st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=8)
schedules = st.builds(
    lambda pulse, gap, rise: Schedule(pulse=pulse, period=pulse * (1 + rise) + gap, rise=pulse * rise),
    st.floats(1e-4, 1e-2), st.floats(1e-4, 1e-2), st.floats(0.001, 0.9))


@given(schedules, levels)
def test_each_pulse_has_the_area_of_level_times_length_and_starts_with_its_period(schedule, voltages):
    points = np.array(schedule.train(voltages))
    times, volts = points.T
    assert (np.diff(times) > 0).all()  # ngspice wants increasing times
    assert points[0].tolist() == [0.0, 0.0]
    for k, level in enumerate(voltages):
        inside = (times >= k * schedule.period) & (times < (k + 1) * schedule.period)
        if level:
            pulse = points[inside]
            assert pulse[0] == pytest.approx([k * schedule.period, 0.0])
            assert pulse[1] == pytest.approx([k * schedule.period + schedule.rise, level])
            assert pulse[-1] == pytest.approx([k * schedule.period + schedule.pulse + schedule.rise, 0.0])
            assert np.trapezoid(pulse[:, 1], pulse[:, 0]) == pytest.approx(level * schedule.pulse)
        else:
            assert not volts[inside].any()
    assert schedule.stop(len(voltages)) == pytest.approx(len(voltages) * schedule.period)


def test_edges_end_where_the_next_level_begins():
    assert edges(3.0, 5.0, 0.5, -0.7) == [(3.0, 0.0), (3.5, -0.7), (8.0, -0.7), (8.5, 0.0)]


def test_schedule_knows_its_limits():
    with pytest.raises(ParameterError, match=r"period must exceed pulse \+ rise, got 0.005 s for 0.005 \+ 1e-05 s"):
        Schedule(period=5e-3)
    with pytest.raises(ParameterError, match=r"period must exceed pulse \+ rise"):
        Schedule(period=4e-3)
    with pytest.raises(ParameterError, match=r"rise must be below the pulse, got 0\.005 s for 0.005 s"):
        Schedule(rise=5e-3)
    with pytest.raises(ParameterError, match=r"step must be below the pulse, got 0\.006 s for 0.005 s"):
        Schedule(sampling_step=6e-3)
    assert dataclasses.replace(Schedule(), period=5.02e-3).period == 5.02e-3


@pytest.mark.parametrize(("changes", "careful"), [
    ({}, False), ({"rise": 9.9e-6}, True), ({"rise": 1e-5}, False), ({"pulse": 1.7e-3}, True), ({"pulse": 1.8e-3}, False),
    ({"input_voltage": 0.3}, True), ({"input_voltage": 0.4}, False)])
def test_short_edges_and_small_states_take_a_careful_training(changes, careful):
    """States of 1.41 V/ms at 1 V: below 2.5 V."""
    cell, schedule = MemristorParameters(), dataclasses.replace(Schedule(), **changes)
    assert suited(TRAINING, cell, schedule) == (CAREFUL if careful else TRAINING)
    assert suited(TRAINING, cell) == TRAINING and suited(READING, cell, schedule) == READING
    assert suited(TRAINING.tightened(), cell, schedule) == TRAINING.tightened()


@pytest.mark.parametrize(("solver", "volts", "farads", "changes"), [
    (READING, 3.0, 6e-12, {}), (READING, 0.0, 6.1e-12, {"trtol": 7.0, "chgtol": 1e-14}), (TRAINING, 0.5, 9e-12, {}),
    (TRAINING, 0.51, 1e-12, {"reltol": 1e-5, "max_step": 20e-6}), (READING.tightened(), 3.0, 9e-12, {})])
def test_solver_suits_the_cells_unless_it_is_one_of_its_own(solver, volts, farads, changes):
    usual = MemristorParameters()
    cell = dataclasses.replace(usual, threshold_voltage=volts, width=usual.width * farads / usual.gate_capacitance)
    assert cell.gate_capacitance == pytest.approx(farads)
    assert suited(solver, cell) == dataclasses.replace(solver, **changes)


@pytest.mark.parametrize(("patterns", "fine"), [
    ([[0.0, 1.0]], True), ([[0.0, 1.0001]], False), ([[-1e-4, 1.0]], False), ([[1.5, 0]], False), (np.zeros((0, 2)), True),
    ([[0.0]], False)])
def test_levels_are_from_0_to_1_and_of_as_many_inputs(patterns, fine):
    try:
        check_levels("patterns", np.array(patterns), 2)
    except ParameterError as error:
        assert not fine and "patterns" in str(error)
    else:
        assert fine
