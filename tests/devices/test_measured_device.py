"""Measured devices: limits of the update law, and the emulator in ngspice against it."""

import numpy as np
import pytest

from memristive.devices.measured_device import DEVICES, MeasuredDevice, device_record, emulator, load_device
from memristive.devices.pulse_train import apply_pulses
from memristive.io.files import to_json
from memristive.spice.parameters import ParameterError


def test_a_large_curvature_is_a_straight_line():
    device = MeasuredDevice(pulses_up=50, curvature_up=1e5)
    share = np.linspace(0, 1, 11)
    assert device.curve(share) == pytest.approx(share, abs=1e-5)


@pytest.mark.parametrize("name", DEVICES)
def test_a_sweep_ends_at_the_bounds(name):
    device = DEVICES[name]
    assert device.after(0.0, device.pulses_up, up=True) == pytest.approx(1.0)
    assert device.after(1.0, device.pulses_down, up=False) == pytest.approx(0.0, abs=1e-12)
    assert device.conductance([0.0, 1.0]) == pytest.approx([device.lowest_conductance, device.highest_conductance])


def test_the_law_is_that_of_the_paper():
    """P.-Y. Chen et al. 2018, eq. 8 to 10, written with conductances."""
    device = DEVICES["alox-hfo2"]
    low, high, p = 1 / 16.9e3 / 4.43, 1 / 16.9e3, np.arange(41)
    b = (high - low) / (1 - np.exp(-40 / (0.6292 * 40)))
    assert device.conductance(device.curve(p / 40)) == pytest.approx(b * (1 - np.exp(-p / (0.6292 * 40))) + low)


def test_one_pulse_after_the_other_is_many_at_once():
    device, share = DEVICES["pcmo"], 0.3
    for _ in range(7):
        share = device.after(share, 1, up=True)
    assert share == pytest.approx(device.after(0.3, 7, up=True))


@pytest.mark.parametrize("name", ["ag-si", "epiram"])
@pytest.mark.parametrize("array", [False, True])
def test_ngspice_follows_the_law(name, array):
    device = DEVICES[name]
    conductance = apply_pulses(emulator(device, array), [1] * device.pulses_up + [-1] * device.pulses_down)
    law = np.concatenate([device.curve(np.arange(device.pulses_up + 1) / device.pulses_up),
                          device.after(1.0, np.arange(1, device.pulses_down + 1), up=False)])
    share = (conductance - device.lowest_conductance) / (device.highest_conductance - device.lowest_conductance)
    assert share == pytest.approx(law, abs=0.0012)


def test_random_pulses_in_ngspice_follow_the_law():
    device, rng = DEVICES["taox-hfox"], np.random.default_rng(1)
    directions = rng.choice([1, -1], 60)
    share = [0.5]
    for direction in directions:
        share.append(device.after(share[-1], 1, direction > 0))
    conductance = apply_pulses(emulator(device, array=True), directions, start=0.5)
    assert conductance == pytest.approx(device.conductance(np.array(share)), abs=0.001 * device.highest_conductance)


def test_a_curve_that_bends_the_other_way_has_no_emulator():
    with pytest.raises(ParameterError, match="curvature_up"):
        emulator(MeasuredDevice(curvature_up=-0.5))


def test_device_files(tmp_path):
    path = tmp_path / "device.json"
    path.write_text(to_json(device_record(DEVICES["pcmo"])))
    assert load_device(str(path)) == DEVICES["pcmo"]
    path.write_text("{}")
    for name in (str(path), "unknown"):
        with pytest.raises(ParameterError, match="ag-si"):
            load_device(name)
