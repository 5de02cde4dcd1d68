"""Simulated devices of one kind, as a table and as networks."""

import dataclasses
import json

import pytest

from memristive.devices.measured_device import device_record
from studies.device_kind import KNOWN, KindRun, only


def test_a_spread_of_the_range_costs_accuracy_if_cells_conduct_at_zero():
    """The cells of a pair have half of the highest conductance in common, and it no longer cancels
    if they differ.
    """
    wide = dataclasses.replace(only(KNOWN, "range_spread"), range_spread=0.5)
    found = [
        KindRun(json.dumps(device_record(device)), "", 1, False, 5000).result()["strict_accuracy"]
        for device in (only(KNOWN), wide)
    ]
    assert found[0] > 0.7 and found[1] < found[0] - 0.1
    assert only(KNOWN).spread == 0 and only(KNOWN, "spread").spread == pytest.approx(0.2)
