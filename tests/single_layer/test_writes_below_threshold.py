"""Writes of cells below Vto follow from Meyer's gate capacitances, which the closed form leaves out there."""

import numpy as np
import pytest

from memristive.single_layer.engines import ClosedFormEngine, NgspiceEngine
from memristive.single_layer.setup import Schedule, Setup
from memristive.single_layer.solvers import WRITING

SETUP = Setup(schedule=Schedule(pulse=2e-3, period=6e-3))


def meyer(overdrive, drop, gate, phi=0.6):
    """Return the gate's capacitances in F to source, drain and bulk as ngspice has them (Meyer, RCA Review 32, 1971).

    `overdrive`: V of the gate over Vto at the source; `drop`: V from drain to source; `phi`: the model's surface potential.
    """
    if overdrive <= 0:
        bulk = gate * min(-overdrive / phi, 1.0)
        source = 2 / 3 * gate * max(1 + 2 * overdrive / phi, 0.0)
        saturated, drain = drop >= 0.025, 0.0
    else:
        bulk, source, drain, saturated = 0.0, 2 / 3 * gate, 0.0, drop >= overdrive
    if not saturated:
        reach = max(overdrive, 0.025)
        source, drain = (source * (1 - (one / (2 * reach - drop))**2) for one in (reach - drop, reach))
    return source, drain, bulk


def written_by_meyer(state, dose, device, steps=20_000):
    """Return X in V after a write of `dose` V at an input of 1 or -1 V. The input rises, the pump runs, the input falls."""
    volts, gate = float(np.sign(dose)), device.gate_capacitance
    levels = volts * np.concatenate([np.linspace(0, 1, steps), np.ones(steps), np.linspace(1, 0, steps)])
    pumped = np.repeat([0.0, dose * device.memory_capacitance / steps, 0.0], steps)
    for before, level, charge in zip(levels, levels[1:], pumped[1:], strict=False):
        mean = (before + level) / 2
        source, drain, bulk = meyer(state - device.threshold_voltage - min(mean, 0.0), abs(mean), gate)
        state += (charge + (drain if volts > 0 else source) * (level - before)) / (device.capacitance + source + drain + bulk)
    return state


@pytest.mark.parametrize(("state", "dose"), [(1.0, -0.5), (0.0, -2.0), (-0.1, -0.02), (-0.5, -0.1), (-2.0, 2.4), (0.1, 2.4)])
def test_writes_below_the_threshold_are_those_of_meyers_capacitances(ngspice, state, dose):
    closed, simulated = ClosedFormEngine(SETUP, 1, 1), NgspiceEngine(SETUP, 1, 1, writing=WRITING.tightened(10))
    sign, pulse = int(np.sign(dose)), abs(dose) / closed.rate
    conducting, = closed.write(np.array([[9.0]]), 0, np.ones(1), sign, pulse) - 9.0  # the whole change of a conducting cell
    found = simulated.write(np.array([[state]]), 0, np.ones(1), sign, pulse)
    assert found == pytest.approx(written_by_meyer(state, conducting, SETUP.memristor), abs=0.03)
