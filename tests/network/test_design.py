"""Pulses: their area, corners and limits; levels, patterns and writes that are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memristive.network.design import Schedule, edges, write_window
from memristive.parameters import ParameterError

levels = st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=8)
schedules = st.builds(
    lambda pulse, gap, rise: Schedule(
        pulse=pulse, period=pulse * (1 + rise) + gap, rise=pulse * rise
    ),
    st.floats(1e-4, 1e-2),
    st.floats(1e-4, 1e-2),
    st.floats(0.001, 0.9),
)


@given(schedules, levels)
def test_each_pulse_has_the_area_of_level_times_length_and_starts_with_its_period(
    schedule, voltages
):
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
            assert pulse[-1] == pytest.approx(
                [k * schedule.period + schedule.pulse + schedule.rise, 0.0]
            )
            assert np.trapezoid(pulse[:, 1], pulse[:, 0]) == pytest.approx(level * schedule.pulse)
        else:
            assert not volts[inside].any()
    assert schedule.stop(len(voltages)) == pytest.approx(len(voltages) * schedule.period)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"period": 5e-3}, "period"),
        ({"rise": 5e-3}, "rise"),
        ({"sampling_step": 6e-3}, "sampling_step"),
    ],
)
def test_pulses_that_overlap_or_have_no_top_are_refused(changes, name):
    with pytest.raises(ParameterError, match=name):
        Schedule(**changes)


def test_a_write_lasts_while_phi_is_above_its_share_and_has_the_area_of_its_input():
    pulse, share = 3e-5, 0.4
    times, volts = np.array(edges(0.0, pulse, 0.1 * pulse, 1.0)).T
    fine = np.linspace(0, times[-1], 1_000_001)
    level = np.interp(fine, times, volts)
    above = level > share
    window, area = write_window(pulse, share)
    assert window == pytest.approx(np.ptp(fine[above]), rel=1e-5)
    assert area == pytest.approx(np.trapezoid(level * above, fine), rel=1e-5)
