"""Measured devices: the study of the presets, `python memristor.py --device`, and one layer trained from errors."""

import json

import numpy as np
import pytest

from memristive.cli.main import run
from memristive.devices.measured_device import DEVICES, device_record, emulator
from memristive.io.results import load_table
from memristive.learning.error_rule import ErrorDrivenRule
from memristive.learning.measured_setup import measured_rule, measured_setup
from memristive.network.chip import Chip
from memristive.network.engines import make_engine
from memristive.network.setup import Setup
from studies import device, device_presets, error_driven


def arguments(folder):
    return ["--results", str(folder), "--figures", str(folder)]


def test_ngspice_follows_the_published_law_of_every_preset(ngspice, tmp_path, capsys):
    device_presets.main(arguments(tmp_path))
    rows = load_table(tmp_path / "device_presets.json")
    assert set(rows.device) == set(DEVICES) and (rows.largest_deviation_share_of_range < 3e-3).all()
    assert "taox-hfox" in capsys.readouterr().out
    assert (tmp_path / "device_presets.png").exists()


def test_a_device_file_draws_curves_and_a_pinched_loop(ngspice, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(device_record(DEVICES["alox-hfo2"]) | {"name": "mine", "pulses_up": 20, "pulses_down": 20}))
    device.main(["--device", str(file), *arguments(tmp_path)])
    record = json.loads((tmp_path / "device_mine.json").read_text())
    low, high = record["loop_share_of_range"]
    assert record["largest_deviation_share_of_range"] < 2e-3 and low < 0.05 and high > 0.6


def test_presets_are_listed_and_unknown_ones_are_one_line(capsys):
    device.main(["--devices"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in DEVICES)
    assert run(device.main, ["--device", "unobtainium"]) == 2
    assert "none of ag-si" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ag-si", "epiram"])
def test_one_layer_of_measured_devices_reads_and_writes_alike_in_both_engines(ngspice, name):
    rng, emulated = np.random.default_rng(4), emulator(DEVICES[name], array=True)
    images = rng.random((4, 20))
    setup, rule = measured_setup(emulated, Setup(), images), measured_rule(emulated, ErrorDrivenRule())
    states = emulated.state(rng.uniform(0.3, 0.7, (3, 20)))
    closed, circuit = (make_engine(engine, setup, Chip(3, 20)) for engine in ("closed-form", "ngspice"))
    spikes = closed.spikes(states, images[0])
    assert not np.isnan(spikes).any()
    assert circuit.spikes(states, images[0], wanted=3) == pytest.approx(spikes, abs=20e-9)
    pulse = rule.dose / circuit.rate
    for sign in (1, -1):
        written = closed.write(states, 0, images[0], sign, pulse)
        assert circuit.write(states, 0, images[0], sign, pulse) == pytest.approx(written, abs=6e-3)
        assert np.sign(written - states[0]).tolist() == [sign] * 20


def test_error_driven_learns_xpue_with_a_measured_device(ngspice, tmp_path, capsys):
    error_driven.main(["--data", "xpue", "--device", "epiram", "--engine", "closed-form", "--voltages",
                       str(tmp_path / "v.json"), *arguments(tmp_path)])
    record = json.loads((tmp_path / "xpue_closed_form_epiram_test.json").read_text())
    assert record["strict_accuracy"] == 1.0
