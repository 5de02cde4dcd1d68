"""Characterisation of a SPICE model: curves, r and range of tungsten oxide against its equations,
in a device file.
"""

import json
import math
import tempfile
from pathlib import Path

import pytest

from memristive.cli.script import exit_code
from memristive.commands import measure as spice_device
from memristive.devices.measured_device import load_device, model_of
from memristive.io.records import load_results
from tests.helpers import outputs

MODELS = Path(__file__).parents[1] / "devices" / "models"


def test_device_file_of_tungsten_oxide(ngspice, tmp_path):
    """WOx moves by sinh(12.5 V) at any x, up to its slow forgetting; the range is that of its
    state, 0 to 1.
    """
    assert exit_code(spice_device.main, ["wox", *outputs(tmp_path)]) == 0
    device = load_device(str(tmp_path / "wox_device.json"))
    full = math.sinh(12.5 * 0.65)
    assert device.up == pytest.approx([0.006e-3 * full] * 33, rel=5e-3)
    assert (device.half_up, device.half_down) == pytest.approx(
        [math.sinh(12.5 * 0.325) / full] * 2, rel=0.02
    )
    assert (device.third_up, device.third_down) == pytest.approx(
        [math.sinh(12.5 * 0.65 / 3) / full] * 2, rel=0.05
    )
    assert device.highest_conductance == pytest.approx(8e-5 * math.sinh(0.17) / 0.1, rel=5e-3)
    assert device.lowest_conductance == pytest.approx(1e-6 * (1 - math.exp(-0.05)) / 0.1, rel=5e-3)
    ranges = [
        (8e-5 * math.sinh(1.7 * v) - 1e-6 * (1 - math.exp(-0.5 * v))) / v for v in (0.05, 0.1)
    ]
    assert device.read_curve[4] == pytest.approx(ranges[0] / ranges[1], rel=1e-4)
    assert 0 < device.misfit < 0.005 and model_of(device).width_up == device.width_up == 1e-3


def test_device_file_of_a_filament_with_its_gate(ngspice, tmp_path):
    """The same level from both sides, no change where the gate is at 0 V, and SET without RESET
    never below the level.
    """
    assert exit_code(spice_device.main, ["stanford_1t1r", *outputs(tmp_path)]) == 0
    device = load_device(str(tmp_path / "stanford_1t1r_device.json"))
    assert (device.levels[0], device.levels[-1]) == (0.0, 1.0) and model_of(device).gate_pin == 3
    record = load_results(tmp_path / "spice_device_stanford_1t1r.json")
    span = device.highest_conductance - device.lowest_conductance
    below, above, blind = record["levels"].values()
    assert above == pytest.approx(below, abs=1e-3 * span)
    assert min(b - a for a, b in zip(below, blind, strict=True)) > -1e-3 * span
    assert max(record["disturb"].values()) < 1e-6


def test_a_model_without_curves_leaves_no_file(ngspice, tmp_path, monkeypatch, capsys):
    """The cause stands in one line, and the temporary folder is empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    pulse = {"voltage": 1.0, "width": 1e-6}
    model = {"file": str(MODELS / "runaway.lib"), "subcircuit": "runaway", "state_node": "x"}
    model |= {"up": pulse, "down": pulse | {"voltage": -1.0}}
    (tmp_path / "model.json").write_text(json.dumps(model), encoding="utf-8")
    assert exit_code(spice_device.main, [str(tmp_path / "model.json"), *outputs(tmp_path)]) == 1
    assert "runaway.lib, line 5" in capsys.readouterr().err
    assert not list(folder.iterdir()) and not list(tmp_path.glob("*_device.json"))
