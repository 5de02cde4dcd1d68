"""The range of the closed form: where spikes leave those of ngspice, a doubt says so."""

import pytest

from studies.closed_form_range import BOUND, LAYERS, PAPER, Point


@pytest.mark.parametrize(
    ("point", "doubted"),
    [
        (Point(PAPER, "neuron", "amplifier_gain", 1e5), False),
        (Point(PAPER, "neuron", "membrane_resistance", 0.1), True),
        (Point(LAYERS, "memristor", "capacitance", 1e-14), False),
        (Point(LAYERS, "design", "row_voltage", 0.3), False),
    ],
)
def test_a_spike_agrees_within_the_bound_or_is_doubted(point, doubted):
    row = point.result()
    assert row["spikes"] > 0
    assert bool(row["doubts"]) == doubted
    assert (row["difference_s"] > BOUND) == doubted
