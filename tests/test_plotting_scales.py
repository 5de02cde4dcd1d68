"""Scales of the figures: which unit an axis has, from femtoamperes on, and from how many milliseconds on."""

import pytest

from plotting import prefixed, time_scale


@pytest.mark.parametrize(("values", "factor", "unit"), [
    ([2e-14, -1e-15], 1e15, "fA"), ([3e-16], 1e15, "fA"), ([-4e-12, 1e-13], 1e12, "pA"), ([7e13], 1e-12, "TA"),
    ([7e15], 1e-12, "TA")])
def test_the_largest_value_decides_the_prefix_of_all(values, factor, unit):
    found, name = prefixed(values, "A")
    assert found == pytest.approx(factor, rel=1e-9, abs=0) and name == unit


@pytest.mark.parametrize(("span", "factor", "unit"), [(1.9e-3, 1e6, "µs"), (2e-3, 1e3, "ms"), (5.0, 1e3, "ms")])
def test_pulses_from_two_milliseconds_on_are_shown_in_milliseconds(span, factor, unit):
    """The paper's of 2 ms among them."""
    assert time_scale(span) == (factor, unit)
