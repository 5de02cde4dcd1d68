"""Fit of a measured device: a known device from each layout of a table, a known loop, and one line
for bad input.
"""

import json
import math

import numpy as np
import pandas as pd
import pytest

from memristive import build
from memristive.cli.script import exit_code
from memristive.commands import fit as device_fit
from memristive.devices.measured_device import load_device
from tests.helpers import outputs

# From 1 to 4 uS in 40 pulses as a capacitor is charged, with a time constant of 20 pulses, and back
# likewise.
UP = 1e-6 + 3e-6 * np.expm1(-np.arange(41) / 20) / np.expm1(-2)
DOWN = 5e-6 - UP


def long(*sweeps):
    """Return sweeps, pairs of (direction, conductances), as a table with one row for each pulse."""
    parts = [
        pd.DataFrame({"pulse": range(len(curve)), "conductance": curve, "direction": name})
        for name, curve in sweeps
    ]
    return pd.concat(parts)


def fitted(tmp_path, table, *options):
    table.to_csv(tmp_path / "curve.csv", index=False)
    return exit_code(device_fit.main, [str(tmp_path / "curve.csv"), *outputs(tmp_path), *options])


def test_a_file_gives_the_device_in_siemens(tmp_path, capsys):
    assert fitted(tmp_path, long(("up", UP), ("down", DOWN))) == 0
    device = load_device(str(tmp_path / "curve_device.json"))
    assert (device.lowest_conductance, device.highest_conductance) == pytest.approx(
        (1e-6, 4e-6), rel=1e-3
    )
    assert device.up[0] == pytest.approx((1 - math.exp(-1 / 20)) / (1 - math.exp(-2)), rel=0.01)
    assert json.loads((tmp_path / "device_fit_curve.json").read_text())["rms_share_of_range"] < 1e-3
    assert (tmp_path / "device_fit_curve.png").exists() and "--device" in capsys.readouterr().out


def test_a_device_that_no_mean_pulse_follows_is_not_written(tmp_path, capsys):
    """Every second sweep has pulses thirty times as strong."""
    n = np.arange(41)
    ups = [1e-6 + 3e-6 * (1 - (1 - rate) ** n) for rate in (0.01, 0.3) * 3]
    sweeps = [sweep for up in ups for sweep in (("up", up), ("down", 5e-6 - up))]
    assert fitted(tmp_path, long(*sweeps)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "no device file" in lines[-1] and not (tmp_path / "curve_device.json").exists()
    assert (tmp_path / "device_fit_curve.png").exists()


def test_other_readings_in_a_file_of_the_same_name_replace_nothing(tmp_path, capsys):
    assert fitted(tmp_path, long(("up", UP), ("down", DOWN))) == 0
    before = (tmp_path / "curve_device.json").read_bytes()
    assert fitted(tmp_path, long(("up", UP), ("down", DOWN))) == 0
    assert fitted(tmp_path, long(("up", 0.9 * UP), ("down", DOWN))) == 2
    assert (
        "readings" in capsys.readouterr().err
        and (tmp_path / "curve_device.json").read_bytes() == before
    )


def test_several_devices_give_their_spread_and_each_cell_is_drawn_from_it(tmp_path):
    """Three devices without noise, whose ranges are 0.8, 1 and 1.2 of the usual one: the spread is
    0.2.
    """
    tables = [
        long(("up", scale * UP), ("down", scale * DOWN)).assign(device=f"d{scale}")
        for scale in (0.8, 1.0, 1.2)
    ]
    assert fitted(tmp_path, pd.concat(tables)) == 0
    device = load_device(str(tmp_path / "curve_device.json"))
    assert (device.lowest_conductance, device.highest_conductance) == pytest.approx(
        (1e-6, 4e-6), rel=0.01
    )
    assert device.range_spread == pytest.approx(0.2, rel=0.01)
    assert max(device.spread, device.lowest_spread) < 0.01
    record = json.loads((tmp_path / "device_fit_curve.json").read_text())
    assert record["spreads"]["range"]["spread"] == device.range_spread
    assert [one["name"] for one in record["devices"]] == ["d0.8", "d1.0", "d1.2"]
    gains = build(np.eye(4), 2, device=device, chip="device")[0].devices[0].cells.gain
    assert 0.05 < gains.std() / gains.mean() < 0.4
    assert build(np.eye(4), 2, device=device)[0].devices is None


@pytest.mark.parametrize(
    ("table", "word"),
    [
        (long(("up", UP), ("down", ["1e-6", "abc", *DOWN])), "'abc'"),
        (pd.DataFrame({"time (weeks)": range(1, 7), "conductance": [1e-6] * 6}), "'time (s)'"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, table, word):
    assert fitted(tmp_path, table) == 2
    error = capsys.readouterr().err
    assert (
        word in error and error.count("\n") == 1 and not (tmp_path / "curve_device.json").exists()
    )


@pytest.mark.parametrize("named", [False, True])
def test_readings_over_time_give_the_device_a_drift(tmp_path, capsys, named):
    time = np.tile(np.logspace(0, 6, 20), 2)
    scatter = np.exp(0.01 * np.random.default_rng(1).standard_normal(40))
    exponent = np.repeat([0.03, 0.07], 20)
    readings = pd.DataFrame(
        {
            "Device": np.repeat(["a", "b"], 20),
            "Time (s)": time,
            "Conductance (S)": 1e-5 * time**-exponent * scatter,
        }
    )
    assert not fitted(tmp_path, readings, *(["--device", "epiram"] if named else []))
    assert "--device" in capsys.readouterr().out
    file = tmp_path / "curve_device.json"
    assert file.exists() == named
    if named:
        device = load_device(str(file))
        assert (device.up, device.read_voltage) == (load_device("epiram").up, 0.1)
        assert device.drift == pytest.approx(0.05, abs=0.002)
        assert device.drift_spread == pytest.approx(0.04 / np.sqrt(2), abs=0.003)
