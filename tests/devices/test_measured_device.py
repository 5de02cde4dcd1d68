"""Measured devices: steps and flows of their curves, the field's law, device files."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from memristive.devices.characterise import STATE, one_cell
from memristive.devices.measured_device import (
    DEVICES,
    MeasuredDevice,
    emulator,
    load_device,
)
from memristive.parameters import ParameterError
from memristive.spice.session import Solver, run_once
from snn_circuit import add_source, edges

GRID = np.linspace(0, 1, 33)
SHAPES = {
    "shrinking": 0.05 * np.exp(-3 * GRID) + 0.002,
    "growing": 0.01 + 0.05 * GRID**2,
    "equal": np.full(33, 0.02),
    "wavy": 0.03 + 0.02 * np.sin(9 * GRID),
    "soft": 0.05 * (1 - GRID),
    "abrupt": 0.85 * (1 - GRID),
}


@pytest.mark.parametrize("name", DEVICES)
def test_a_sweep_crosses_the_range(name):
    device = DEVICES[name]
    assert device.after(0.0, device.pulses(True), True) == pytest.approx(1.0, abs=1e-3)
    assert device.after(1.0, device.pulses(False), False) == pytest.approx(0.0, abs=1e-3)
    assert device.conductance([0.0, 1.0]) == pytest.approx(
        [device.lowest_conductance, device.highest_conductance]
    )


@pytest.mark.parametrize("name", ["epiram", "pcmo", "taox-hfox"])
def test_ngspice_follows_the_steps_of_presets(ngspice, name):
    device, own, count = DEVICES[name], emulator(DEVICES[name]), 20
    circuit, volts, phi = (
        one_cell(own.memristor, 1.2, own.low, "pulses"),
        [(0.0, 0.0)],
        [(0.0, 0.0)],
    )
    starts = 2 * own.pulse * np.arange(1, 2 * count + 1)
    for start, sign in zip(starts, [1] * count + [-1] * count, strict=True):
        volts += edges(start, own.pulse, 1e-3 * own.pulse, sign)
        phi += edges(start, own.pulse, 1e-3 * own.pulse, 1.2)
    add_source(circuit, "input", volts)
    add_source(circuit, "phi", phi)
    solver = Solver(max_step=own.pulse / 10, reltol=1e-5, trtol=7.0, chgtol=1e-18, abstol=1e-16)
    waves = run_once(circuit, solver, [STATE], starts[-1] + 2 * own.pulse)
    x = own.share(np.interp(starts + 1.5 * own.pulse, waves.time, waves[STATE]))
    rise = device.after(0.0, np.arange(1, count + 1))
    fall = device.after(rise[-1], np.arange(1, count + 1), False)
    assert x == pytest.approx(np.concatenate([rise, fall]), abs=5e-4)


def test_the_law_is_that_of_the_paper():
    """P.-Y. Chen et al. 2018, eq. 8 to 10, written with conductances: AlOx/HfO2 over 40 pulses up,
    and 40 down.
    """
    device = DEVICES["alox-hfo2"]
    low, high, p = 1 / 16.9e3 / 4.43, 1 / 16.9e3, np.arange(41)
    up, down = (
        (high - low) / (1 - np.exp(-1 / a)) * (1 - np.exp(-p / 40 / a)) for a in (0.6292, 2.0633)
    )
    assert device.conductance(device.after(0.0, p)) == pytest.approx(low + up)
    assert device.conductance(device.after(1.0, p, up=False)) == pytest.approx(high - down)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("up", [True, False])
def test_one_pulse_makes_the_step_of_the_curve(shape, up):
    curve = SHAPES[shape]
    device = MeasuredDevice(up=tuple(curve), down=tuple(curve[::-1]))
    inside = curve <= 1 - GRID
    start = GRID if up else 1 - GRID
    made = np.abs(device.after(start, 1, up) - start)
    assert made[inside] == pytest.approx(curve[inside], abs=0.01 * curve.max())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_flow_is_the_solution_of_its_differential_equation(shape):
    device = MeasuredDevice(up=tuple(SHAPES[shape]))
    rates = device.rates()
    for pulses in (0.3, 4.0, 20.0):
        exact = solve_ivp(
            lambda n, x: np.interp(x, GRID, rates),
            (0, pulses),
            [0.05],
            rtol=1e-9,
            atol=1e-12,
            max_step=0.05,
        ).y[0, -1]
        if exact < 1:
            assert device.after(0.05, pulses) == pytest.approx(exact, abs=1e-6)
        else:
            assert 1 <= device.after(0.05, pulses) <= 1.001  # the bound


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"up": (0.1,)}, "up"),
        ({"down": (0.1, -0.1)}, "down"),
        ({"up": (0.0, 0.0)}, "up"),
        ({"highest_conductance": 13.8}, r"highest_conductance.* S"),
        ({"lowest_conductance": 1e-5}, "lowest_conductance"),
        ({"read_curve": (1.0, 0.5)}, "read_curve"),
    ],
)
def test_a_wrong_value_is_named(wrong, word):
    with pytest.raises(ParameterError, match=word):
        MeasuredDevice(**wrong)


def test_pulses_of_both_directions_pull_a_cell_to_its_balance():
    soft, equal = load_device("pcmo"), load_device("linear")
    assert equal.balance == 0.5
    low = 0.9
    for _ in range(100):
        high = float(soft.after(low, 1))
        low = float(soft.after(high, 1, up=False))
    assert low < soft.balance < high


def test_a_missing_table_of_readings_is_called_missing(tmp_path):
    path = tmp_path / "pulses.csv"
    with pytest.raises(ParameterError, match="does not exist"):
        load_device(str(path))
    path.write_text("pulse,conductance\n")
    with pytest.raises(ParameterError, match="memristive fit"):
        load_device(str(path))
