"""Simulated devices of one kind, as a table and as networks."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from memristive.devices.measured_device import device_record
from studies.device_fit import readings_of_devices
from studies.device_kind import KNOWN, KindRun, measured, only, rows_of


def test_readings_come_back_from_their_table():
    devices = [measured(seed) for seed in (0, 1)]
    found = list(readings_of_devices(pd.concat(map(rows_of, devices))))
    for one, other in zip(devices, found, strict=True):
        assert one.name == other.name and np.array_equal(one.conductance, other.conductance)
        assert np.array_equal(one.direction[1:], other.direction[1:])
    low, high = (
        np.array([end(device.conductance) for device in devices]) for end in (np.min, np.max)
    )
    assert np.abs(low[0] / low[1] - 1) > 0.01 and (high - low > 0.5e-7).all()


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
