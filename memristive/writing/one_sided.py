"""Pairs of devices with one gradual direction (docs/devices.md).

The weight G+ - G- moves one way by gradual pulses on G+, the other way by gradual pulses on G-. So
both cells move towards the same end of their range. If a cell of a pair has run out of room, the
pair is refreshed: the difference is read, and both cells get an abrupt pulse. Then gradual pulses
on one of them bring the difference back, with a read after each. Doses are rounded at random to
pulses, or wait on a capacitor until pulses are due. Trainings in closed form and in ngspice call
these functions.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from memristive.closed_form.kernel_arrays import (
    RATE,
    LayerArrays,
    Timing,
    current,
    loaded,
    row_of,
    values_of,
)
from memristive.compiled import compiled
from memristive.devices.cells import Cells
from memristive.devices.measured_device import Emulator
from memristive.devices.one_sided import OneSided
from memristive.ledger import ASSUMED, SELECTED, Ledger, Line, Technology, wire_lines
from memristive.parameters import Fields, ParameterError, quantity
from memristive.writing.at_once import ColumnDose
from memristive.writing.base import Due, Laboratory, WrittenLayer, WrittenNetwork
from memristive.writing.late import LatePulses, LateSettings, capacitor_ledger
from memristive.writing.pulses import Counts, drawn_number
from memristor import read_current

# Share of the mean step: a cell whose next step is smaller is refreshed, because its pulses would
# be noise only. Change of a difference that a refresh may leave, in mean steps: a smaller one asks
# for more pulses, but their noise leaves no smaller error. Both were chosen on held-out images of
# MNIST, on which shares from 0.1 to 0.75 and one to four steps differ by at most a point.
REFRESH_STEP, TOLERANCE = 0.1, 2.0
TRIES = 20  # most gradual pulses of a refresh
GRADUAL, ABRUPT = 1, 2  # kinds of a pulse; 0: none


@dataclass(frozen=True)
class OneSidedSettings(LateSettings):
    """Distributions of the pulses, and limits of a refresh."""

    one_sided: OneSided | None = None
    refresh_at: float = quantity(
        0.0, 0.0, 1.0, "", "room of a cell below which its pair is refreshed, share of its range"
    )
    tolerance: float = quantity(
        0.0, 0.0, 1.0, "", "change of a pair's difference that a refresh may leave, share of range"
    )


def one_sided_settings(emulator: Emulator) -> Fields:
    """Return the fields of `PulseWrites` for pairs of a device with one gradual direction, for
    which the `emulator` stands; {} for other devices.
    """
    pulses = emulator.device.one_sided
    if not pulses:
        return {}
    return {
        "one_sided": pulses,
        "refresh_at": pulses.last_room(REFRESH_STEP),
        "tolerance": TOLERANCE * pulses.mean_step,
    }


def check_pairs(settings: OneSidedSettings, pairs: int) -> None:
    """Raise ParameterError if single cells have only one gradual direction."""
    if settings.one_sided and not pairs:
        raise ParameterError(
            "pairs must be 1 or more for a device with one gradual direction, got 0: a single cell "
            "could not learn the other direction"
        )


class Sided(NamedTuple):
    """Values of `OneSidedSettings` and of its pulses for the compiled functions."""

    gradual: np.ndarray  # quantiles x states
    abrupt: np.ndarray
    sign: float  # of a gradual pulse
    refresh_at: float
    tolerance: float
    noise: float  # standard deviation of reading a difference, share of the range
    step: float  # V, mean change of X by one pulse
    width: float  # s, of a pulse


def sided_arrays(settings: OneSidedSettings) -> Sided:
    """Return the kernel's `Sided`."""
    pulses = settings.one_sided
    assert pulses
    tables = np.array(pulses.gradual, float), np.array(pulses.abrupt, float)
    noise = settings.read_noise * pulses.mean_step / settings.step
    return Sided(
        *tables,
        float(pulses.sign),
        settings.refresh_at,
        settings.tolerance,
        math.sqrt(2) * noise,
        settings.step,
        settings.width,
    )


@compiled(inline="always")
def drawn_entry(table: np.ndarray, x: float, rng: np.random.Generator) -> float:
    """Return a random value at the state `x` from a `table` of quantiles, quantiles x states."""
    last, most = table.shape[1] - 1, table.shape[0] - 1
    column, row = x * last, rng.random() * most
    k, q = min(int(column), last - 1), min(int(row), most - 1)
    share, part = column - k, row - q
    lower = table[q, k] + (table[q, k + 1] - table[q, k]) * share
    upper = table[q + 1, k] + (table[q + 1, k + 1] - table[q + 1, k]) * share
    return float(lower + (upper - lower) * part)


@compiled(inline="always")
def read_difference(sided: Sided, reads: np.ndarray, rng: np.random.Generator) -> float:
    """Return the difference of two conductances as a refresh reads it."""
    noise = sided.noise * rng.standard_normal() if sided.noise > 0.0 else 0.0
    return float(reads[0] - reads[1] + noise)


@compiled
def next_pulses(
    sided: Sided,
    x: np.ndarray,
    reads: np.ndarray,
    numbers: np.ndarray,
    wanted: np.ndarray,
    phase: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the kinds of pulses (2 x rows) that a column and the other column of its pair get in
    one `phase` of a write. All rows share the phases.

    First come the gradual pulses of the dose, then the abrupt pulses of the pairs that are
    refreshed, then the gradual pulses that bring their difference back.

    Parameters
    ----------
    sided : Sided
    x : array, 2 x rows
        States of both columns, shares of the range.
    reads : array, 2 x rows
        Conductances of both columns, in units of the nominal range.
    numbers : array, rows
        Pulses of the dose.
    wanted : array, rows
        Difference of the conductances that a refresh restores; nan: the pair is not refreshed.
        Filled before the abrupt pulses, where a written pair has run out of room.
    phase : int
        Counted from 0.
    rng : Generator
        Draws the noise of the reads of a refresh, if the device has any.
    """
    kinds, doses = np.zeros(x.shape, np.int64), int(np.ceil(numbers.max()))
    for i in range(x.shape[1]):
        if phase < doses:
            kinds[0, i] = GRADUAL if numbers[i] > phase else 0
            continue
        room = (1.0 - x[:, i]) if sided.sign > 0 else x[:, i]
        if phase == doses:
            if numbers[i] > 0 and min(room[0], room[1]) < sided.refresh_at:
                wanted[i] = read_difference(sided, reads[:, i], rng)
            kinds[:, i] = 0 if np.isnan(wanted[i]) else ABRUPT
        elif phase <= doses + TRIES and not np.isnan(wanted[i]):
            difference = read_difference(sided, reads[:, i], rng)
            missing = sided.sign * (wanted[i] - difference)
            side = 0 if missing > 0 else 1
            if abs(missing) > sided.tolerance and room[side] > sided.refresh_at:
                kinds[side, i] = GRADUAL
    return kinds


@compiled
def after_pulses(
    sided: Sided,
    x: np.ndarray,
    kinds: np.ndarray,
    gains: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the states (2 x rows, shares of the range) after pulses of some `kinds`. `gains`:
    steps of each cell over the nominal ones; 0: a stuck cell.
    """
    result = x.copy()
    for side in range(2):
        for i in range(x.shape[1]):
            if kinds[side, i] and gains[side, i] != 0.0:
                state = x[side, i]
                if kinds[side, i] == GRADUAL:
                    state += gains[side, i] * drawn_entry(sided.gradual, state, rng)
                else:
                    state = drawn_entry(sided.abrupt, state, rng)
                result[side, i] = min(max(state, 0.0), 1.0)
    return result


def phases(
    sided: Sided,
    x: np.ndarray,
    numbers: np.ndarray,
    gains: np.ndarray,
    rng: np.random.Generator,
    read: Callable[[np.ndarray], np.ndarray],
    wanted: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each phase of a write the kinds of its pulses, and the states `x` after it. The
    next phase begins with what then stands in `x`. `read` returns `reads` for states; other
    arguments are as in `next_pulses` and `after_pulses`.
    """
    phase, wanted = 0, np.full(len(numbers), np.nan) if wanted is None else wanted
    while (kinds := next_pulses(sided, x, read(x), numbers, wanted, phase, rng)).any():
        after = after_pulses(sided, x, kinds, gains, rng)
        x[:] = after
        yield kinds, after
        phase += 1


class OneSidedWrites(LatePulses):
    """Gradual pulses on one side of a pair, and refreshes. Without `late`, doses are rounded."""

    @property
    def rounds(self) -> bool:
        return not self.settings.late

    def arrays(self, network: WrittenNetwork) -> Fields:
        late = super().arrays(network)["late"] if self.settings.late else None
        return {"sided": self._sided, "late": late}

    def writes(self, due: Due, factors: np.ndarray | None = None) -> list[ColumnDose]:
        """Leave out the columns that would need the abrupt direction."""
        sign = self._sided.sign
        return [write for write in super().writes(due, factors) if write.dose * sign > 0]

    def in_ngspice(
        self,
        layer: WrittenLayer,
        write_column: Callable[..., np.ndarray],
        states: np.ndarray,
        write: ColumnDose,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Emulators make the move of each pulse, and what they reach decides on the next pulse. The
        other column of the pair changes in `states`.
        """
        curve, columns = layer.memristor.curve, self._columns(layer, write)
        numbers, span, sided = self.numbers(write, 1, rng), curve.high - curve.low, self._sided
        x, gains = (states[columns] - curve.low) / span, layer.write_gains[columns]
        read = self._reading(layer, columns)
        for kinds, after in phases(sided, x, numbers, gains, rng, read):
            for side, column in enumerate(columns):
                if kinds[side].any():
                    volts = curve.low + span * after[side]
                    states[column] = self.emulated(layer, write_column, states, column, volts)
                    x[side] = np.clip((states[column] - curve.low) / span, 0.0, 1.0)
        return states[write.column]

    @property
    def _sided(self) -> Sided:
        return sided_arrays(self.settings)

    def _columns(self, layer: WrittenLayer, write: ColumnDose) -> list[int]:
        """Return the numbers of the written column and of the other one of its pair."""
        return [write.column, (write.column + layer.columns // 2) % layer.columns]

    def _reading(
        self, layer: WrittenLayer, columns: list[int]
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that gives the conductances of two `columns` (2 x rows, in units of the
        nominal range) for their states (shares).
        """
        memristor, volts = layer.memristor, np.full(layer.rows, layer.row_voltage)
        low, span = memristor.curve.low, memristor.curve.high - memristor.curve.low
        cells = Cells.of(memristor, layer.devices.cells)

        def read(x: np.ndarray) -> np.ndarray:
            both = zip(columns, low + span * x, strict=True)
            amperes = [read_current(cells.at(column), volts_of, volts) for column, volts_of in both]
            return np.array(amperes) / (layer.row_voltage * memristor.gain * span)

        return read

    def started(
        self, states: tuple[np.ndarray, ...], curve: Any, rng: np.random.Generator
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Refresh each pair once, with the difference of its wanted states."""
        span, refreshed = curve.high - curve.low, []
        for wanted in states:
            x = ((wanted - curve.low) / span).reshape(2, -1)
            nothing, ones = np.zeros(x.shape[1]), np.ones(x.shape)
            for _ in phases(self._sided, x, nothing, ones, rng, np.copy, x[0] - x[1]):
                pass
            refreshed.append((curve.low + span * x).reshape(wanted.shape))
        return tuple(refreshed), ()

    def capacitors(self, layer: WrittenLayer) -> int:
        return super().capacitors(layer) if self.settings.late else 0

    def ledgers(
        self,
        technology: Technology,
        laboratory: Laboratory,
        layer: WrittenLayer,
        states: np.ndarray,
        writes: list[ColumnDose],
        doses: list[tuple[float, np.ndarray]],
    ) -> list[Ledger]:
        """One pair of columns is written after the other, with the pulses and refreshes of one
        random draw. A read of a refresh lasts as long as a gradual pulse, and two comparators
        check its result.
        """
        sided, settings, curve = self._sided, self.settings, layer.memristor.curve
        up, span, states = int(sided.sign > 0), curve.high - curve.low, states.copy()
        rng, unit = np.random.default_rng(0), layer.memristor.gain * span  # S
        selected, reads, checks, lines, seconds = 0.0, 0.0, 0.0, 0.0, 0.0
        for write in writes:
            columns = self._columns(layer, write)
            x, numbers = (states[columns] - curve.low) / span, self.numbers(write, 1, rng)
            read, gains = self._reading(layer, columns), layer.write_gains[columns]
            refreshed, siemens = np.zeros(layer.rows, bool), unit * read(x)
            for kinds, after in phases(sided, x, numbers, gains, rng, read):
                for kind, way in ((GRADUAL, up), (ABRUPT, 1 - up)):
                    chosen = kinds == kind
                    selected += float(siemens[chosen].sum()) * laboratory.joules[way]
                    lines += layer.columns * float(chosen.sum()) * laboratory.volts[way] ** 2
                    seconds += laboratory.widths[way] * bool(chosen.any())
                first = (kinds == ABRUPT).any(axis=0)  # read before its abrupt pulses, too
                refreshed, before = refreshed | first, siemens
                siemens, again = unit * read(after), refreshed & kinds.any(axis=0)
                reads += float(before[:, first].sum() + siemens[:, again].sum())
                checks += int(first.sum() + again.sum())
                seconds += laboratory.widths[up] * (int(first.any()) + int(again.any()))
            lines += layer.rows * technology.supply**2
            seconds += technology.driver_step
            for side, column in enumerate(columns):
                states[column] = curve.low + span * x[side]
        ledger = Ledger.of(
            [
                Line(SELECTED, selected, self.kind, True),
                Line(
                    "write: array, reads of refreshes",
                    layer.row_voltage**2 * reads * laboratory.widths[up],
                    ASSUMED,
                    True,
                    "V^2 G t, as long as a gradual pulse",
                ),
                Line(
                    "write: comparators of refreshes",
                    2 * checks * technology.comparator_energy,
                    ASSUMED,
                    False,
                    "two limits for each read of a pair",
                ),
                *wire_lines("write", technology.line_capacitance * lines, 0.0),
            ],
            {"commit" if settings.late else "write": seconds},
        )
        if not settings.late:
            return [ledger]
        scale = technology.late_window / (settings.late * settings.step)
        return [ledger, capacitor_ledger(technology, layer, doses, scale)]


@compiled
def write_pair(
    layer: LayerArrays,
    timing: Timing,
    sided: Sided,
    states: np.ndarray,
    c: int,
    high: np.ndarray,
    dose: float,
    counts: Counts,
    k: int,
    loads: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Write column `c` of layer `k`, refresh its pairs that run out of room, and update `counts`
    and `loads`. A `dose` in the abrupt direction does nothing: its pair has another column.
    Arguments are as in `write_pulses`.
    """
    if dose * sided.sign <= 0.0:
        return
    cells, flow, rows = layer.cells, layer.flow, len(high)
    columns, gains, x = np.zeros(2, np.int64), np.zeros((2, rows)), np.zeros((2, rows))
    reads, unit = np.zeros((2, rows)), timing.row_voltage * layer.nominal_gain * flow.span  # A
    columns[0], columns[1] = c, (c + states.shape[1] // 2) % states.shape[1]
    numbers, wanted = np.zeros(rows), np.full(rows, np.nan)
    for i in range(rows):
        numbers[i] = drawn_number(high[i] * abs(dose) / sided.step, 1, rng)
    counts.writes[k][c] += numbers.max() > 0.0
    for side in range(2):
        for i in range(rows):
            rate = cells[RATE, row_of(cells, i), columns[side]]
            gains[side, i] = rate * timing.write_voltage * sided.width / sided.step
            x[side, i] = (states[i, columns[side]] - flow.low) / flow.span
    phase = 0
    while True:
        for side in range(2):
            for i in range(rows):
                cell = values_of(cells, row_of(cells, i), columns[side])
                volts = flow.low + flow.span * x[side, i]
                reads[side, i] = current(cell, volts, timing.row_voltage) / unit
        kinds = next_pulses(sided, x, reads, numbers, wanted, phase, rng)
        if not kinds.any():
            break
        for side in range(2):
            for i in range(rows):
                if kinds[side, i]:
                    way = int((kinds[side, i] == GRADUAL) == (sided.sign > 0))
                    counts.pulses[k][way, i, columns[side]] += 1.0
                    siemens = reads[side, i] * unit / timing.row_voltage
                    counts.conducted[k][way, i, columns[side]] += siemens
        x = after_pulses(sided, x, kinds, gains, rng)
        phase += 1
    for side in range(2):
        load = 0.0
        for i in range(rows):
            if gains[side, i] != 0.0:  # a stuck cell may stand outside of the range
                states[i, columns[side]] = flow.low + flow.span * x[side, i]
            load += loaded(cells, row_of(cells, i), columns[side], states[i, columns[side]])
        loads[columns[side]] = load
