"""Passive arrays: the price of half-selected cells."""

import pytest

from memristive.devices.measured_device import MeasuredDevice
from studies.half_select import evaluate


@pytest.mark.parametrize("r_down", [0.2, 0.0])
def test_half_selected_cells_drift_unless_up_and_down_cancel(r_down):
    """Equal steps: with r = 0.2 in both directions most of the accuracy stays, in one direction it
    is lost.
    """
    device = MeasuredDevice("straight", half_up=0.2, half_down=r_down)
    accuracy = evaluate((device, "v/2", 1e-2))["strict_accuracy"]
    assert accuracy > 0.7 if r_down else accuracy < 0.5
