"""Measured devices: the study of the presets, `python memristor.py --device`, and one layer of them."""

import json

import numpy as np
import pytest

from memristive.cli.script import exit_code
from memristive.devices.measured_device import DEVICES, device_record, emulator
from memristive.io.results import load_table
from memristive.network.engines import make_engine
from memristive.network.layer import ColumnDose
from memristive.network.networks import Network
from memristive.network.setup import Schedule, Setup
from snn_circuit import NeuronParameters
from studies import device, device_presets


def arguments(folder):
    return ["--results", str(folder), "--figures", str(folder)]


def test_ngspice_follows_the_steps_of_every_preset(ngspice, tmp_path, capsys):
    device_presets.main(arguments(tmp_path))
    rows = load_table(tmp_path / "device_presets.json")
    assert set(rows.device) == set(DEVICES) and (rows.largest_deviation_share_of_range < 5e-4).all()
    assert "taox-hfox" in capsys.readouterr().out
    assert (tmp_path / "device_presets.png").exists()


def test_a_device_file_draws_curves_and_a_pinched_loop(ngspice, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(device_record(DEVICES["alox-hfo2"]) | {"name": "mine"}))
    device.main(["--device", str(file), *arguments(tmp_path)])
    record = json.loads((tmp_path / "device_mine.json").read_text())
    low, high = record["loop_share_of_range"]
    assert record["largest_deviation_share_of_range"] < 2e-3 and low < 0.05 and high > 0.6


def test_presets_are_listed_and_unknown_ones_are_one_line(capsys):
    device.main(["--devices"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in DEVICES)
    assert exit_code(device.main, ["--device", "unobtainium"]) == 2
    assert "unobtainium" in (error := capsys.readouterr().err) and error.count("\n") == 1


@pytest.mark.parametrize("name", ["ag-si", "epiram"])
def test_one_layer_of_measured_devices_reads_and_writes_alike_in_both_engines(ngspice, name):
    rng, emulated = np.random.default_rng(4), emulator(DEVICES[name])
    images, voltage = rng.random((4, 20)), emulated.device.read_voltage
    middle = float(emulated.device.conductance(0.5)) * voltage * images.mean() * 20  # A of a column in the middle of its range
    setup = Setup(emulated.memristor, NeuronParameters(feedback_resistance=7.0 / middle, amplifier_gain=1e7),
                  Schedule(input_voltage=voltage))
    states = emulated.state(rng.uniform(0.3, 0.7, (3, 20)))
    network = Network.of(setup, states)
    closed, circuit = (make_engine(engine, network) for engine in ("closed-form", "ngspice"))
    (spikes,), _ = closed.read(network, images[0])
    assert not np.isnan(spikes).any()
    assert circuit.read(network, images[0], wanted=3)[0][0] == pytest.approx(spikes, abs=20e-9)
    for sign in (1, -1):
        doses = [ColumnDose(0, sign * 0.01 * (emulated.high - emulated.low), images[0])]
        written, simulated = (engine.write(network, 0, doses, rng)[0] for engine in (closed, circuit))
        assert simulated == pytest.approx(written, abs=0.5e-3)
        assert np.sign(written - states[0]).tolist() == [sign] * 20
