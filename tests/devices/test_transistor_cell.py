"""The cell of transistors, as a device: with SPICE's level 1 instead of a foundry's models."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from memristive.devices.characterise import PERIOD, loop, read_cells, supply_energy, write_cells
from memristive.devices.measured_device import MeasuredDevice
from memristive.devices.spice_model import PRESETS, load_model
from memristive.engines.engine import write_columns
from memristive.network.two_terminal import DeviceArray
from memristive.parameters import ParameterError

LIBRARY = Path(__file__).parent / "models" / "level1_cell.lib"
TAIL, CAPACITANCE = 20e-9, 200e-15  # A of the pump, F
OXIDE = 3.9 * 8.854e-12 / 8e-9 * 10e-12  # F, of the channel's gate of 0.5 by 20 um
WIDTH = 2e-6  # s
STATES = np.array([2.0, 2.3])  # V

pytestmark = pytest.mark.usefixtures("ngspice")


@pytest.fixture
def cell(tmp_path):
    path = tmp_path / "cell.json"
    content = json.loads((PRESETS / "gf180mcu_cell.json").read_text(encoding="utf-8"))
    del content["foundry"]
    path.write_text(json.dumps(content | {"file": str(LIBRARY)}), encoding="utf-8")
    return dataclasses.replace(
        load_model(str(path)), voltage_up=0.4, voltage_down=-0.4, width_up=WIDTH, width_down=WIDTH
    )


def test_channel_conducts_as_its_gate_says(cell):
    """Half of the capacitance of a channel in triode lifts its gate as the row rises."""
    volts = cell.read_voltage
    gate = STATES + volts * OXIDE / 2 / (CAPACITANCE + OXIDE)
    expected = 100e-6 * 0.5 / 20 * (gate - 0.6 - 0.6 - volts / 2) * (1 + 0.01 * volts)
    assert read_cells(cell, STATES) == pytest.approx(expected, rel=2e-3)


def test_pump_moves_the_gate_by_its_tail_current(cell):
    """One side of the pair takes the whole current. The channel's gate adds to the capacitor."""
    most, least = TAIL * WIDTH / CAPACITANCE, TAIL * WIDTH / (CAPACITANCE + OXIDE)
    for up, sign in ((True, 1), (False, -1)):
        moved = write_cells(cell, STATES, up)[:, -1] - STATES
        idle = write_cells(cell, STATES, up, share=0.0)[:, -1] - STATES
        change = sign * (moved - idle)
        assert ((least < change) & (change < most)).all()
        assert np.abs(idle).max() < 0.05 * most


def test_loop_of_a_selected_cell_shows_what_the_pump_has_moved(cell):
    """Between the two times at half of the sine's peak, the whole tail current charges the gate."""
    period = 12e-6
    volts, amperes = loop(cell, 1.9, period, period / 200)
    up, down = period / 12, 5 * period / 12
    time = np.arange(len(volts)) * period / 200
    conductance = np.interp([up, down], time, amperes) / np.interp([up, down], time, volts)
    moved = TAIL * (down - up) / (CAPACITANCE + OXIDE)
    assert np.diff(conductance) == pytest.approx(100e-6 * 0.5 / 20 * moved, rel=0.1)


def test_supply_gives_the_currents_of_bias_pair_and_mirrors(cell):
    """20 nA each in bias and tail. The side that charges the gate takes as much again in two
    mirrors, the other side none: 60 nA in the mean. The length of channels, modulated, adds 6 %.
    """
    width = PERIOD * WIDTH
    assert supply_energy(cell, STATES) == pytest.approx(3.3 * 3 * TAIL * width, rel=0.1, abs=0)


def test_only_the_selected_column_is_written(cell):
    array = DeviceArray(cell, MeasuredDevice("cell"), "1t1r")
    states = np.full((2, 2), 2.0)
    after = write_columns(array, states, [(1, True, np.array([1.0, 0.0]))])
    assert after[0] == pytest.approx(states[0], abs=1e-3)
    assert after[1, 0] - 2.0 == pytest.approx(TAIL * WIDTH / CAPACITANCE, rel=0.1)
    assert after[1, 1] == pytest.approx(2.0, abs=0.02)


def test_cell_that_selects_itself_needs_no_half_voltages(cell):
    with pytest.raises(ParameterError, match="v/2"):
        DeviceArray(cell, MeasuredDevice("cell"), "v/2")
    with pytest.raises(ParameterError, match="gate_pin"):
        dataclasses.replace(cell, gate_pin=0)
    with pytest.raises(ParameterError, match="foundry"):
        dataclasses.replace(cell, foundry="gf")
