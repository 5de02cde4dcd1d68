"""Measured devices: the study of the presets, `python memristor.py --device`, and one layer of
them.
"""

import json

from memristive.commands import loop as device
from memristive.commands import presets as device_presets
from memristive.devices.measured_device import DEVICES, device_record
from memristive.io.records import load_table
from tests.helpers import outputs


def test_ngspice_follows_the_steps_of_every_preset(ngspice, tmp_path, capsys):
    device_presets.main(outputs(tmp_path))
    rows = load_table(tmp_path / "device_presets.json")
    assert set(rows.device) == set(DEVICES) and (rows.largest_deviation_share_of_range < 5e-4).all()
    assert "taox-hfox" in capsys.readouterr().out
    assert (tmp_path / "device_presets.png").exists()


def test_a_device_file_draws_curves_and_a_pinched_loop(ngspice, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(device_record(DEVICES["alox-hfo2"]) | {"name": "mine"}))
    device.main(["--device", str(file), *outputs(tmp_path)])
    record = json.loads((tmp_path / "device_mine.json").read_text())
    low, high = record["loop_share_of_range"]
    assert record["largest_deviation_share_of_range"] < 2e-3 and low < 0.05 and high > 0.6
