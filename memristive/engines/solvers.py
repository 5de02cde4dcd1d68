"""Tolerances of each kind of transient: training, writing, reading."""

import dataclasses

import numpy as np

from memristive.devices.cells import Cells, Devices, Wires
from memristive.network import two_terminal
from memristive.network.design import Setup
from memristive.spice.session import Solver
from memristor import Channel, read_current, trained_state

# Training must give every class the same voltage to 0.02 %. Otherwise the scatter, not the
# patterns, decides between classes that an image overlaps equally (docs/circuit.md). The charge
# floor `chgtol` saves steps at the edges, where empty gates would ask for most of them.
TRAINING = Solver(max_step=200e-6, reltol=1e-6, trtol=3.0, chgtol=1e-12, method="trap")
CAREFUL = dataclasses.replace(TRAINING, max_step=20e-6, chgtol=1e-13)
SHORT_EDGE = 10e-6  # s: TRAINING suits edges of this length and longer
SMALL_STATE = 2.5  # V: TRAINING suits trained states of this height and above
# A write of a few mV to one column must not disturb any other cell; the tolerance decides that, not
# physics.
WRITING = Solver(max_step=1e-3, reltol=1e-5, trtol=70.0, method="trap")
# Trapezoidal integration is four times as exact per step as Gear's, and does not ring if op-amps
# have no poles. The charge floor `chgtol` lets the membranes (1e-3 C), not the gates (1e-11 C),
# govern the step.
# A step h of the trapezoidal rule makes a membrane of time constant tau late or early by the share
# (h / tau)^2 / 12, so steps are short while membranes rise and long once they have settled.
READING = Solver(max_step=150e-6, reltol=1e-6, trtol=0.1, chgtol=1e-4, method="trap")
COARSE = Solver(max_step=20e-6, reltol=1e-5, trtol=7.0, chgtol=1e-14, method="trap")
READING_LAYERS = Solver(max_step=1e-6, reltol=1e-6, trtol=100.0, chgtol=1e-7, method="trap")
# Rows rise one after the other here. Each rise lifts the gates, non-linearly if a gate is below its
# row. With WRITING's tolerances X would be off by up to 4 mV at any dose. Currents below 10 pA are
# not resolved, because over the steps of short edges the rounding of the gates' charges would stop
# Newton's method.
WRITING_LAYERS = dataclasses.replace(WRITING, reltol=1e-6, trtol=1.0, abstol=1e-11)
# F: larger gates (3.5e-12 by default) keep their charge in a read only if the charge governs the
# step
LARGE_GATE = 6e-12
# in C_gate: a larger memory capacitor holds the gate still, so that only max_step limits a read's
# steps
HOLDING = 100.0
# in inputs: X - Vto above which gates are lifted linearly, below which not at all
WELL_ABOVE, WELL_BELOW = 1.5, -2.0
# A/V^2, A: absolute tolerance for channels that conduct little
SMALL_GAIN, SMALL_CURRENT = 1e-6, 1e-12
WRITE_SHARE = 1e-6  # absolute tolerance of currents as a share of the write current
NEGLIGIBLE = 0.01  # share of a column's current
# V: gates of channels with a higher Vto change their capacitance late in a write
LATE_CHANNEL = 0.5


def curved_share(cells: Channel, states: np.ndarray, volts: np.ndarray) -> float:
    """Return the share of a column's current that flows through cells whose gates the input lifts
    non-linearly; the largest of all columns. `states`: columns x rows, V; `volts`: voltages of the
    rows.
    """
    overdrive, row = states - cells.threshold_voltage, np.abs(volts)
    curved = (overdrive > WELL_BELOW * row) & (overdrive < WELL_ABOVE * row)
    if not curved.any():
        return 0.0
    currents = read_current(cells, states, row)
    return float(
        np.max((currents * curved).sum(axis=-1) / np.maximum(currents.sum(axis=-1), 1e-30))
    )


def training_solver(setup: Setup, solver: Solver = TRAINING) -> Solver:
    """Return `TRAINING` adapted to the cells and pulses of a Hebbian training; any other `solver`
    unchanged.

    TRAINING fails for channels with a high Vto, whose gates change their capacitance during a
    write. At this jump of the capacitance ngspice's steps become so short that rounding stops
    Newton's method, in half of the networks tried. With ten times the tolerance and short steps
    ngspice trains all of these networks, and the states of the classes differ by 0.03 %.

    With TRAINING ngspice also steps over short edges, and over gates that get little charge, so
    that the states of the classes differ by up to 1.6 %, with `CAREFUL` by 0.02 %.
    """
    if solver != TRAINING:
        return solver
    if setup.array:
        return setup.array.writing(setup.writing.pulse)
    memristor, schedule = setup.memristor, setup.schedule
    if memristor.threshold_voltage > LATE_CHANNEL:
        solver = dataclasses.replace(TRAINING, reltol=1e-5, max_step=20e-6)
    elif (
        schedule.rise < SHORT_EDGE
        or trained_state(memristor, schedule.input_voltage, schedule.pulse) < SMALL_STATE
    ):
        solver = CAREFUL
    # ngspice finds no solution for tiny column currents or large write currents with a tolerance of
    # 0.1 pA.
    tolerance = max(
        SMALL_CURRENT * (memristor.gain < SMALL_GAIN),
        WRITE_SHARE * memristor.transconductance * schedule.input_voltage,
    )
    return dataclasses.replace(solver, abstol=max(solver.abstol, tolerance))


def read_solver(
    setup: Setup, states: np.ndarray, images: np.ndarray, solver: Solver = READING
) -> Solver:
    """Return `READING` adapted to the device and to the cells' states; any other `solver`
    unchanged.

    The default steps are too long in two cases. If X - Vto is not well above the input, the input
    lifts the gate non-linearly. If X is below Vto, the gate has another capacitance. With the
    default steps membranes would be off by up to 3 %, and writes by a fifth of a dose of 5 mV.
    Spikes of membranes near the threshold would be off by 8 us and more.

    Parameters
    ----------
    setup : Setup
    states : array, classes x inputs, V
    images : array, n x inputs or inputs
        Levels from 0 to 1.
    solver : Solver
    """
    if solver != READING:
        return solver
    if setup.array:
        return two_terminal.ARRAY_READING
    memristor = setup.memristor
    if memristor.gate_capacitance > LARGE_GATE:
        return COARSE
    if memristor.capacitance > HOLDING * memristor.gate_capacitance:
        return dataclasses.replace(COARSE, max_step=2e-6, trtol=100.0, chgtol=1e-7)
    cells = Cells.of(memristor, setup.devices.cells)
    if any(
        curved_share(cells, states, row) > NEGLIGIBLE
        for row in np.atleast_2d(setup.schedule.input_voltage * images)
    ):
        # A tenth of a gate's charge: with less, a membrane that rises from 0 V would ask for steps
        # that rounding spoils.
        return dataclasses.replace(READING, reltol=1e-6, trtol=1.0, max_step=10e-6, chgtol=1e-12)
    neuron = setup.neuron
    charge = neuron.membrane_capacitance * neuron.threshold  # C, of a membrane that fires
    return dataclasses.replace(
        READING,
        max_step=min(READING.max_step, neuron.time_constant),
        chgtol=min(READING.chgtol, charge / 6),
    )


def driven_rows(patterns: np.ndarray, devices: Devices) -> np.ndarray:
    """Return the indices of the rows that some of the `patterns` (n x inputs) drives, at least one.
    If wires have resistance, all rows matter and are returned.
    """
    if devices.wires != Wires():
        return np.arange(patterns.shape[1])
    return np.flatnonzero(patterns.any(axis=0)) if patterns.any() else np.arange(1)
