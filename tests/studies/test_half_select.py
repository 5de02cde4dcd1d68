"""Passive arrays: the price of half-selected cells, and the subcircuit in ngspice against the
closed form.
"""

import numpy as np
import pytest

from memristive.cli.script import exit_code
from memristive.devices.measured_device import MeasuredDevice
from memristive.io.records import load_results
from studies import subcircuit_layer
from studies.half_select import evaluate


@pytest.mark.parametrize("r_down", [0.2, 0.0])
def test_half_selected_cells_drift_unless_up_and_down_cancel(r_down):
    """Equal steps: with r = 0.2 in both directions most of the accuracy stays, in one direction it
    is lost.
    """
    device = MeasuredDevice.straight("straight", 100, 100, half_up=0.2, half_down=r_down)
    accuracy = evaluate((device, "v/2", 1e-2, 3000))["strict_accuracy"]
    assert accuracy > 0.7 if r_down else accuracy < 0.5


def test_ngspice_with_the_subcircuit_decides_and_writes_as_the_closed_form(ngspice, tmp_path):
    arguments = [
        "--models",
        "vteam",
        "--samples",
        "2",
        "--presentations",
        "4",
        "--jobs",
        "1",
        "--results",
        str(tmp_path),
    ]
    assert exit_code(subcircuit_layer.main, arguments) == 0
    row = load_results(tmp_path / "subcircuit_layer.json")["rows"][0]
    assert row["same_decisions"] == 2 and row["same_errors"] == 4 and row["written"] > 0
    assert row["largest_difference_steps"] < 0.01 and row["spike_difference_s"] < 30e-9
    assert np.isfinite(row["rms_difference_steps"])
