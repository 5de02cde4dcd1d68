"""Pairs that are refreshed: ngspice follows the law, and each pair decides by itself."""

import pytest

from memristive.devices.measured_device import load_device
from studies.refresh_cell import by_law, compared


@pytest.mark.parametrize("name", ["generic-pcm", "taox"])
def test_pairs_in_ngspice_follow_the_law(name):
    device = load_device(name)
    found, _ = compared(device, by_law(device, 2, 70, 1))
    assert found["refreshes"] >= 2 and found["trims"] >= 2 and found["pulses_otherwise"] == 0
    assert found["x_deviation"] < 2e-3
