"""Fits of devices with one gradual direction."""

import json

import numpy as np
import pytest

from memristive.devices.curve_fit import merged
from memristive.devices.measured_device import device_record, load_device
from memristive.devices.one_sided import OneSided
from memristive.devices.one_sided_fit import fit_one_sided
from memristive.io.records import to_json
from memristive.parameters import ParameterError

LOW, SPAN = 2e-6, 8e-6
RNG = np.random.default_rng(3)


def sweeps(gradual_up, count=60, pulses=15):
    """Readings of sweeps up and down. A gradual pulse moves by 0.05 + 0.1 room, with a noise of
    0.02 + 0.06 room; an abrupt one ends at the other end, within 0.02.
    """
    siemens, direction, x = [], [], 0.5
    for sweep in range(count):
        up = sweep % 2 == 0
        siemens.append(x)
        direction.append(0)
        for _ in range(pulses):
            if up == gradual_up:
                room = 1 - x if up else x
                step = 0.05 + 0.1 * room + (0.02 + 0.06 * room) * RNG.standard_normal()
                x += step if up else -step
            else:
                x = abs(0.02 * RNG.standard_normal())
                x = 1 - x if up else x
            x = min(max(x, 0.0), 1.0)
            siemens.append(x)
            direction.append(1 if up else -1)
    return LOW + SPAN * np.array(siemens), np.array(direction), np.ones(len(siemens))


@pytest.mark.parametrize("up", [True, False])
def test_the_fit_finds_direction_steps_noise_and_ends(up):
    device = fit_one_sided([sweeps(up, 400)], "mine")
    found, x = device.one_sided, np.linspace(0, 1, len(device.one_sided.gradual[0]))
    room = 1 - x if up else x
    middles = (np.array(found.gradual)[1:] + np.array(found.gradual)[:-1]) / 2
    inner = (room > 0.15) & (room < 0.85)
    assert found.sign == (1 if up else -1)
    assert np.abs(middles.mean(axis=0) - found.sign * (0.05 + 0.1 * room))[inner].max() < 0.015
    assert middles.std(axis=0)[inner] == pytest.approx((0.02 + 0.06 * room)[inner], rel=0.25)
    ends = np.array(found.abrupt)
    assert np.abs(ends - (0 if up else 1)).max() < 0.1
    assert device.lowest_conductance == pytest.approx(LOW, rel=0.02)


def test_cells_of_several_ranges_become_one_device_with_spreads():
    cells = [sweeps(True) for _ in range(6)]
    wider = [(of[0] * (1 + 0.1 * k), *of[1:]) for k, of in enumerate(cells)]
    device = fit_one_sided(wider, "mine")
    expected = np.std(1 + 0.1 * np.arange(6)) / 1.25
    assert device.range_spread == pytest.approx(expected, rel=0.05)
    assert device.lowest_spread == pytest.approx(expected * LOW / SPAN, rel=0.05)
    assert device.one_sided.mean_step == pytest.approx(0.1, rel=0.1)


def test_only_steps_of_single_pulses_count():
    """Half of the readings are missing, so that many steps are of two pulses or more."""
    siemens, direction, pulses = sweeps(True, 200)
    kept = np.random.default_rng(1).random(len(siemens)) < 0.5
    some = fit_one_sided([(siemens[kept], *merged(kept, direction, pulses))], "mine")
    whole = fit_one_sided([(siemens, direction, pulses)], "mine")
    assert some.one_sided.mean_step == pytest.approx(whole.one_sided.mean_step, rel=0.1)


def test_two_abrupt_directions_and_too_few_pulses_are_refused():
    siemens, direction, pulses = sweeps(True)
    with pytest.raises(ParameterError, match="pulses"):
        fit_one_sided([(siemens[:18], direction[:18], pulses[:18])], "mine")
    jumps = np.where(direction > 0, LOW + SPAN, LOW)
    with pytest.raises(ParameterError, match="gradual"):
        fit_one_sided([(jumps, direction, pulses)], "mine")


def test_its_file_gives_the_same_device_and_names_a_wrong_table(tmp_path):
    device, path = fit_one_sided([sweeps(True)], "mine"), tmp_path / "mine.json"
    path.write_text(to_json(device_record(device)))
    assert load_device(str(path)) == device
    content = json.loads(path.read_text())
    content["one_sided"]["gradual"][0].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(ParameterError, match="gradual"):
        load_device(str(path))
    with pytest.raises(ParameterError, match="abrupt"):
        OneSided(((0.0, 0.0), (0.1, 0.1)), ((1.0, 1.0), (0.9, 0.9)))
