"""Energies against the dissipation of the channels by the square law; ideal switches on phi draw
nothing.
"""

import dataclasses

import numpy as np
import pytest

from memristive.accounting.energy import read_energy, write_energy
from memristive.datasets import xpue
from memristive.network.chip import Chip, on_chip
from memristive.network.design import Schedule, Setup
from memristor import channel_current, raised_state, read_current, state_rate

SETUP = Setup(schedule=Schedule(pulse=2e-3, period=6e-3, input_voltage=0.9))
STATES = np.array([[3.0, 4.0, 2.5], [3.5, 2.0, 5.0]])
IMAGE = np.array([1.0, 0.0, 0.5])

pytestmark = pytest.mark.usefixtures("ngspice")


def with_pulses(**changes):
    return SETUP.replace(schedule=dataclasses.replace(SETUP.schedule, **changes))


def dissipated(volts, pulse, states=STATES):
    """Return the energy in J that channels between inputs at `volts` and columns at 0 V dissipate
    in `pulse` s.
    """
    lifted = raised_state(SETUP.memristor, states, volts)
    return float(np.sum(volts * channel_current(SETUP.memristor, lifted, volts)) * pulse)


@pytest.mark.parametrize("rise", [10e-6, 1e-3])
def test_a_read_costs_the_dissipation_of_its_channels_edges_included(rise):
    levels, pulse = (np.arange(200) + 0.5) / 200, SETUP.schedule.pulse
    edge = sum(dissipated(0.9 * level * IMAGE, rise / 200) for level in levels)
    energy = read_energy(with_pulses(rise=rise), STATES, IMAGE)
    assert energy["inputs"] == pytest.approx(
        dissipated(0.9 * IMAGE, pulse - rise) + 2 * edge, rel=2e-3
    )
    assert energy["phi"] == pytest.approx(0, abs=1e-9 * energy["inputs"])


def test_reading_weak_cells_takes_the_steps_that_they_need():
    """The usual steps are 3 % off."""
    joules = read_energy(Setup(), np.full((1, 9), 0.3), np.ones(9))["inputs"]
    assert joules == pytest.approx(
        9 * read_current(SETUP.memristor, 0.3, 1.0) * Setup().schedule.pulse, rel=5e-3
    )


@pytest.mark.parametrize("volts", [0.9, 5.0, 14.0])
def test_a_depression_costs_the_dissipation_of_channels_whose_source_is_the_input(volts):
    """A junction that is not isolated would conduct exp(V / 26 mV) times its saturation current."""
    pulse, levels = 1e-6, volts * IMAGE
    overdrive = np.maximum(raised_state(SETUP.memristor, STATES, -levels) + levels, 0.0)
    drop = np.minimum(overdrive, levels)
    expected = float(
        np.sum(levels * SETUP.memristor.gain * (overdrive * drop - drop**2 / 2)) * pulse
    )
    energy = write_energy(with_pulses(input_voltage=volts), STATES, IMAGE, 1, pulse, -1)
    assert energy["inputs"] == pytest.approx(expected, rel=0.05)  # edges and all


def test_a_depression_at_a_voltage_that_no_junction_blocks_is_unknown():
    setup = with_pulses(input_voltage=15.1)
    assert np.isnan(write_energy(setup, STATES, IMAGE, 1, 1e-6, -1)["inputs"])
    assert write_energy(setup, STATES, IMAGE, 1, 1e-6)["inputs"] > 0


def test_a_long_write_costs_more_the_stronger_its_column_becomes():
    """dX/dt = K V / (C + C_gate) in the written column adds gain V^2 dX to its power, integrated
    over the pulse.
    """
    pulse, volts, states = 1e-3, 0.9 * IMAGE, np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 5.0]])
    added = float(
        np.sum(SETUP.memristor.gain * volts**2 * state_rate(SETUP.memristor, volts)) * pulse**2 / 2
    )
    still = dissipated(volts, pulse, states)
    strong, weak = (
        write_energy(SETUP, states, IMAGE, column, pulse)["inputs"] for column in (1, 0)
    )
    assert strong == pytest.approx(still + added, rel=0.01) and added > 0.1 * still
    assert still < weak < still + 0.9 * added  # cells at 0 V conduct nothing until they have risen


@pytest.mark.parametrize(
    ("volts", "pulse", "joules"),
    [(1.0, 5e-3, 11.246e-6), (1.5, 2e-3, 5.750e-6), (2.0, 0.5e-3, 0.4693e-6)],
)
def test_a_write_from_zero_costs_the_integral_of_its_curved_power(volts, pulse, joules):
    """First pattern of XPUE: V i over X(t), from Meyer's charge, integrated apart from this
    code.
    """
    patterns = xpue().patterns
    found = write_energy(
        Setup(schedule=Schedule(input_voltage=volts)),
        np.zeros(patterns.shape),
        patterns[0],
        0,
        pulse,
    )
    assert found["inputs"] == pytest.approx(joules, rel=1.5e-3)


def test_on_a_chip_its_devices_dissipate():
    """The energy of cells with one state at one level is in proportion to their mean gain. Wires
    take part of the voltage.
    """
    states, image = np.full((2, 3), 3.0), np.array([1.0, 0.0, 1.0])
    chip = Chip(classes=2, inputs=3, seed=5, cell_gain=0.5)
    share = np.mean((chip.cells(SETUP.memristor).gain / SETUP.memristor.gain)[:, [0, 2]])
    wires = Chip(classes=2, inputs=3, row_resistance=1e3, column_resistance=1e3)
    ideal, spread, wired = (
        read_energy(on_chip(SETUP, kind), states, image)["inputs"] for kind in (None, chip, wires)
    )
    assert spread / ideal == pytest.approx(share, rel=0.01) and 0.2 * ideal < wired < 0.95 * ideal
    ideal, spread = (
        write_energy(on_chip(SETUP, kind), states, image, 1, 20e-6)["inputs"]
        for kind in (None, chip)
    )
    assert spread / ideal == pytest.approx(share, rel=0.01)
