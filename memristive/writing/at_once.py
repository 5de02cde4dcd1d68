"""Emulators are written at once, each for a time in proportion to its dose (docs/circuit.md)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import memristor
from memristive.closed_form.kernel_arrays import (
    LEAK,
    RATE,
    SAFE_MATH,
    LayerArrays,
    Timing,
    loaded,
    raised_state,
    row_of,
    values_of,
)
from memristive.compiled import compiled
from memristive.devices import write_curve
from memristive.devices.write_curve import Flow
from memristive.writing.base import Due, Way, WrittenLayer

leaked = compiled(memristor.leaked, inline="always")
moved = compiled(write_curve.moved)
written = compiled(memristor.written, inline="always")


class ColumnDose(NamedTuple):
    """Write of one column: the signed dose in V, of which each row gets a share from 0 to 1.

    `factors`: write gain of each row over its usual value; they describe the random noise of this
    write.
    """

    column: int
    dose: float
    shares: np.ndarray
    factors: np.ndarray | float = 1.0


class AtOnce(Way):
    """Writes of emulators, whose duration is in proportion to the dose."""

    def writes(self, due: Due, factors: np.ndarray | None = None) -> list[ColumnDose]:
        columns = due.columns.tolist()
        shares = np.broadcast_to(due.shares, (len(columns), due.shares.shape[1]))
        return [
            ColumnDose(c, dose, high, 1.0 if factors is None else factors[c])
            for c, dose, high in zip(columns, due.doses.tolist(), shares, strict=True)
        ]

    def in_ngspice(
        self,
        layer: WrittenLayer,
        write_column: Callable[..., np.ndarray],
        states: np.ndarray,
        write: ColumnDose,
        rng: np.random.Generator,
    ) -> np.ndarray:
        column, dose, shares, factors = write
        ones, cells = np.ones(len(shares)), layer.devices.cells
        levels, high = (ones, shares) if layer.timed else (shares, ones)
        window, area = layer.write_law(dose / layer.write_rate)
        gains = None if cells is None else cells.transconductance[column] * factors
        scale = area / window if window else 1.0
        return write_column(states, column, levels * scale, high, window, gains)


@compiled(fastmath=SAFE_MATH)
def write_at_once(
    layer: LayerArrays,
    flow: Flow | None,
    timing: Timing,
    states: np.ndarray,
    c: int,
    high: np.ndarray,
    seconds: float,
    factors: np.ndarray,
) -> float:
    """Write column `c` of `states` (rows x columns, V), and return the conductance in S with which
    its cells load the column afterwards.

    The write lasts `abs(seconds)` s, at the negative voltage if `seconds` is below 0. Row i gets
    the share `high[i]` of the voltage or of the time, since only the product of both counts.
    `factors`: write gain of each row over the nominal gain, or empty.
    """
    load, cells, volts, rows = (
        0.0,
        layer.cells,
        math.copysign(timing.write_voltage, seconds),
        len(high),
    )
    if flow is not None:
        for i in range(rows):
            k, factor = row_of(cells, i), factors[i] if len(factors) else 1.0
            charge = cells[RATE, k, c] * factor * volts * high[i] * abs(seconds) * timing.write_area
            states[i, c] = moved(flow, states[i, c], charge)
            load += loaded(cells, k, c, states[i, c])
        return load
    # shares of time: phi is high as long as the longest row
    longest = 1.0
    if not timing.lifts:
        longest = 0.0
        for i in range(rows):
            longest = max(longest, high[i])
    window = abs(seconds) * timing.write_window * longest
    if window == 0.0:
        longest, window = 1.0, 1e-300  # s: nothing is written
    # mean of the input over the window, in units of its level
    area = abs(seconds) * timing.write_area / window
    if cells.shape[1] == 1 and len(factors) == 0:  # one law for all rows: vectorised
        cell, leak, charged = (
            values_of(cells, 0, c),
            cells[LEAK, 0, c],
            cells[RATE, 0, c] / cells[LEAK, 0, c] * volts * area,
        )
        share = leaked(window, leak)
        for i in range(rows):
            lift = (
                raised_state(cell, states[i, c], volts * high[i]) - states[i, c]
                if timing.lifts
                else 0.0
            )
            states[i, c] = written(states[i, c], charged * high[i], lift, share)
            load += loaded(cells, 0, c, states[i, c])
        return load
    share, before = 0.0, np.nan
    for i in range(rows):
        k = row_of(cells, i)
        mean = volts * high[i] * area
        leak = cells[LEAK, k, c]
        if leak != before:
            share, before = leaked(window, leak), leak
        gain = cells[RATE, k, c] * (factors[i] if len(factors) else 1.0)
        lift = (
            raised_state(values_of(cells, k, c), states[i, c], volts * high[i]) - states[i, c]
            if timing.lifts
            else 0.0
        )
        if gain != 0.0:  # not a stuck cell; noise may reverse the sign of a write
            states[i, c] = written(states[i, c], gain * mean / leak, lift, share)
        load += loaded(cells, k, c, states[i, c])
    return load
