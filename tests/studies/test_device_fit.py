"""Fit of a measured device: known parameters from noisy curves in each layout, a known loop, and one line for bad input."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from memristive.cli.main import run
from memristive.devices.curve_fit import loop_current
from memristive.devices.measured_device import MeasuredDevice, load_device
from memristor import MemristorParameters
from studies import device_fit

DEVICE = MeasuredDevice("true", 40, 40, 0.5, 0.3, 2e-6, 8.0)
UP = DEVICE.conductance(DEVICE.after(0.0, np.arange(41)))
DOWN = DEVICE.conductance(DEVICE.after(1.0, np.arange(41), False))


def long(*sweeps):
    """The layout with a direction, of pairs (direction, conductances)."""
    parts = [pd.DataFrame({"pulse": range(len(curve)), "conductance": curve, "direction": name}) for name, curve in sweeps]
    return pd.concat(parts)


def fitted_text(tmp_path, rows, *options):
    (tmp_path / "curve.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return run(device_fit.main, [str(tmp_path / "curve.csv"), "--results", str(tmp_path), "--figures", str(tmp_path), *options])


def fitted(tmp_path, table, *options):
    return fitted_text(tmp_path, [table.to_csv(index=False)], *options)


@pytest.mark.parametrize("columns", [1, 2])
def test_conductances_are_in_siemens(ngspice, tmp_path, columns):
    """From 1 to 4 uS in 40 pulses as a capacitor is charged, with a time constant of 20 pulses, and back likewise."""
    up = [1e-6 + 3e-6 * (1 - math.exp(-k / 20)) / (1 - math.exp(-2)) for k in range(41)]
    down = [5e-6 - value for value in up]
    if columns == 1:
        rows = ["pulse,conductance,direction", *(f"{k},{value:.8e},up" for k, value in enumerate(up)),
                *(f"{k},{value:.8e},down" for k, value in enumerate(down))]
    else:
        rows = ["up;down", *(f"{one:.8e};{other:.8e}" for one, other in zip(up, down, strict=True))]
    assert fitted_text(tmp_path, rows) == 0
    device = load_device(str(tmp_path / "curve_device.json"))
    assert device.highest_conductance == pytest.approx(4e-6, rel=0.02)
    assert device.lowest_conductance == pytest.approx(1e-6, rel=0.02)


def test_time_is_in_seconds_and_current_in_amperes(tmp_path):
    """A channel of 100 uA/V^2 whose gate charges by 5 V/s at 1 V, over 2 s: i = Kp ((X - Vto) v - v^2/2), X - Vto = 2 V + dX."""
    rows = ["time,voltage,current"]
    for k in range(401):
        t, v = k / 200, math.sin(math.pi * k / 100)
        moved = 5.0 * (1 - math.cos(2 * math.pi * t)) / (2 * math.pi)
        rows.append(f"{t},{v:.9f},{1e-4 * ((2.0 + moved) * v - v * v / 2):.9e}")
    assert fitted_text(tmp_path, rows, "--kind", "iv") == 0
    found = json.loads((tmp_path / "device_fit_curve.json").read_text())["memristor"]
    assert found["kp"] == pytest.approx(1e-4, rel=0.1)
    assert found["transconductance"] / found["capacitance"] == pytest.approx(5.0, rel=0.1)  # the gate adds 0.3 %


def test_noisy_sweeps_give_the_device_and_ngspice_follows_it(ngspice, tmp_path, capsys):
    rng = np.random.default_rng(3)
    noisy = long(*((name, curve + 0.005e-6 * rng.standard_normal(len(curve))) for _ in range(3)
                   for name, curve in (("up", UP), ("down", DOWN))))
    assert fitted(tmp_path, noisy) == 0
    device = load_device(str(tmp_path / "curve_device.json"))
    assert (device.pulses_up, device.pulses_down) == (40, 40)
    assert device.curvature_up == pytest.approx(0.5, rel=0.05) and device.curvature_down == pytest.approx(0.3, rel=0.05)
    assert device.on_off_ratio == pytest.approx(8.0, rel=0.05) and 0 < device.cycle_noise < 0.01
    record = json.loads((tmp_path / "device_fit_curve.json").read_text())
    assert record["ngspice_rms_share_of_range"] == pytest.approx(record["rms_share_of_range"], abs=1e-3)
    assert (tmp_path / "device_fit_curve.png").exists() and "--device" in capsys.readouterr().out


def test_two_columns_give_the_same_device(ngspice, tmp_path):
    assert fitted(tmp_path, pd.DataFrame({"potentiation": UP, "depression": DOWN})) == 0
    assert load_device(str(tmp_path / "curve_device.json")).curvature_up == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("directions", [["up", "down"], ["down"]])
def test_pulses_may_count_from_one(ngspice, tmp_path, directions):
    table = long(("up", UP), ("down", DOWN))
    assert fitted(tmp_path, table[(table["pulse"] > 0) | ~table["direction"].isin(directions)]) == 0
    device = load_device(str(tmp_path / "curve_device.json"))
    assert (device.pulses_up, device.pulses_down) == (40, 40)
    assert (device.curvature_up, device.curvature_down) == pytest.approx((0.5, 0.3), rel=0.01)


def test_a_curve_that_bends_the_other_way_is_fitted_with_a_warning(tmp_path, capsys):
    other = MeasuredDevice(pulses_up=40, pulses_down=40, curvature_up=-0.5, curvature_down=0.3, highest_conductance=2e-6)
    curve = other.conductance(other.after(0.0, np.arange(41)))
    assert fitted(tmp_path, long(("up", curve), ("down", DOWN))) == 0
    assert "negative curvature" in capsys.readouterr().err
    assert "rms_share_of_range" in json.loads((tmp_path / "device_fit_curve.json").read_text())


def test_a_loop_gives_an_emulator_with_the_same_currents(tmp_path):
    memristor = MemristorParameters(transconductance=1e-9, leak_resistance=1e9, capacitance=1e-9, kp=1e-4, threshold_voltage=-1.0,
                                    junction_current=1e-300)
    time = np.linspace(0, 2.0, 400)
    voltage = np.sin(2 * np.pi * time)
    current = loop_current(memristor, 0.2, time, voltage)
    assert fitted(tmp_path, pd.DataFrame({"time": time, "voltage": voltage, "current": current}), "--kind", "iv") == 0
    assert json.loads((tmp_path / "device_fit_curve.json").read_text())["rms_share_of_peak"] < 0.01


@pytest.mark.parametrize(("table", "word"), [
    (long(("up", UP)), "direction 'down'"), (long(("up", UP[:4]), ("down", DOWN)), "at least 5 points"),
    (long(("up", -UP), ("down", DOWN)), "positive"),
    (long(("up", 1e7 * UP), ("down", 1e7 * DOWN)), "conductances must be in S"),
    (long(("up", UP[:1].repeat(9)), ("down", UP[:1].repeat(9))), "all equal"),
    (long(("up", UP), ("down", ["1e-6", "abc", *DOWN])), "'abc'"),
    (long(("up", UP), ("sideways", DOWN)), "'sideways'"), (long(("up", UP)).drop(columns="pulse"), "'pulse' is missing"),
    (pd.DataFrame({"one": UP}), "two columns"), (pd.DataFrame(), "cannot be read")])
def test_bad_input_is_one_line(tmp_path, capsys, table, word):
    assert fitted(tmp_path, table) == 2
    error = capsys.readouterr().err
    assert word in error and error.count("\n") == 1 and not (tmp_path / "curve_device.json").exists()
