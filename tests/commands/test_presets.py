"""Measured devices: the study of the presets."""

from memristive.commands import presets as device_presets
from memristive.devices.measured_device import DEVICES
from memristive.io.records import load_table
from tests.helpers import outputs


def test_ngspice_follows_the_steps_of_every_preset(ngspice, tmp_path, capsys):
    device_presets.main(outputs(tmp_path))
    rows = load_table(tmp_path / "device_presets.json")
    assert set(rows.device) == set(DEVICES) and (rows.largest_deviation_share_of_range < 5e-4).all()
    assert "taox-hfox" in capsys.readouterr().out
    assert (tmp_path / "device_presets.png").exists()
