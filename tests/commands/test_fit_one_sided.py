"""Readings of a device with one gradual direction become a device file."""

import numpy as np
import pandas as pd
import pytest

from memristive.commands.fit import main
from memristive.devices.measured_device import load_device
from tests.helpers import outputs


def test_a_device_with_one_gradual_direction_is_fitted(tmp_path):
    """Cells of two ranges that jump up and come down by a tenth of the range, with noise."""
    rng, rows = np.random.default_rng(5), []
    for device, span in (("a", 8e-6), ("b", 9e-6)):
        x = 0.0
        for sweep in range(40):
            up = sweep % 2 == 0
            for pulse in range(16):
                if pulse:
                    step = 0.1 + 0.05 * rng.standard_normal()
                    x = 1 - 0.02 * rng.random() if up else min(max(x - step, 0.0), 1.0)
                rows.append((device, sweep, pulse, 1e-6 + span * x, "up" if up else "down"))
    names = ["device", "sweep", "pulse", "conductance", "direction"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "jumps.csv", index=False)
    main([str(tmp_path / "jumps.csv"), *outputs(tmp_path)])
    device = load_device(str(tmp_path / "jumps_device.json"))
    assert device.one_sided.sign == -1 and device.range_spread > 0.03
    middle = np.array(device.one_sided.gradual)[:, 10]
    assert np.mean((middle[1:] + middle[:-1]) / 2) == pytest.approx(-0.1, abs=0.02)
    assert np.min(np.array(device.one_sided.abrupt)) > 0.95
