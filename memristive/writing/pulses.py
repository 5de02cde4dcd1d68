"""Measured devices are written by whole pulses: at each error a dose is rounded at random to a
number of pulses, or the pulses have any width (docs/devices.md).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memristive.closed_form.kernel_arrays import (
    NOISE,
    RATE,
    Arrays,
    LayerArrays,
    Timing,
    current,
    loaded,
    row_of,
    values_of,
)
from memristive.compiled import compiled
from memristive.devices import write_curve
from memristive.devices.cells import Cells
from memristive.ledger import COMPUTED, SELECTED, Ledger, Line, Technology, wire_lines
from memristive.parameters import Fields, Parameters, curve, quantity
from memristive.writing.at_once import AtOnce, ColumnDose, moved
from memristive.writing.base import Laboratory, WrittenCells, WrittenLayer, WrittenNetwork
from memristor import read_current

drawn_number = compiled(write_curve.drawn_number)
noise_factor = compiled(write_curve.noise_factor, inline="always")


@dataclass(frozen=True)
class PulseSettings(Parameters):
    """Identical pulses, and the noises of the device."""

    step: float = quantity(0.05, 1e-9, 100.0, "V", "mean change of X by one pulse")
    width: float = quantity(1e-5, 1e-15, 10.0, "s", "of a pulse")
    write_noise: float = quantity(0.0, 0.0, 100.0, "V", "standard deviation of X after one pulse")
    read_noise: float = quantity(
        0.0,
        0.0,
        100.0,
        "V",
        "standard deviation of one reading of a cell, drawn anew for each read",
    )
    whole: int = quantity(
        1,
        0,
        10_000,
        "",
        "1: whole pulses, fractions rounded at random; n: doses below n pulses are n or none; 0: "
        "pulses of any width",
    )
    disturb_up: float = quantity(
        0.0, 0.0, 1.0, "", "step of a half-selected cell over the full step, upwards; 0: none moves"
    )
    disturb_down: float = quantity(0.0, 0.0, 1.0, "", "the same downwards")
    thirds: int = quantity(
        0,
        0,
        1,
        "",
        "1: V/3, unselected cells see a third of the voltage, backwards; 0: V/2, they see none",
    )
    noise_curve: tuple[float, ...] = curve((), "factors on the write noise over X")


class ModelWrite(NamedTuple):
    """Write of one column of a SPICE model's cells: its direction, and the number of pulses of each
    row (fractions allowed).
    """

    column: int
    up: bool
    numbers: np.ndarray


class Pulses(NamedTuple):
    """Pulses that write a measured device."""

    step: float  # V, mean change of X by one pulse
    width: float  # s
    whole: int  # 1: whole pulses, fractions are rounded at random; n: to n pulses or none
    noise: float  # V, standard deviation of what one pulse adds
    # step of a half-selected cell over the full step, downwards and upwards
    disturb: tuple[float, float]
    # True: V/3, unselected cells see a third of the voltage backwards; False: V/2, they see nothing
    thirds: bool
    noise_curve: np.ndarray  # factors on `noise` over the range; empty: 1 everywhere


class Counts(NamedTuple):
    """Numbers of pulses that writes have used: one array for each layer."""

    # 2 x rows x columns, downwards and upwards
    pulses: Arrays
    conducted: Arrays  # the same, sum of pulses x conductance in S at the read voltage
    writes: Arrays  # columns, writes of at least one pulse


class RoundedPulses(AtOnce):
    """Pulses at each error, whose fractions are rounded at random, or of any width."""

    @property
    def rounds(self) -> bool:
        return bool(self.settings.whole)

    @property
    def half(self) -> float:
        if not (self.settings.disturb_up or self.settings.disturb_down):
            return 0.0
        return 1 / 3 if self.settings.thirds else 1 / 2

    def arrays(self, network: WrittenNetwork) -> Fields:
        settings = self.settings
        pulses = Pulses(
            settings.step,
            settings.width,
            int(settings.whole),
            settings.write_noise,
            (float(settings.disturb_down), float(settings.disturb_up)),
            bool(settings.thirds),
            np.array(settings.noise_curve, float),
        )
        return {"pulses": pulses}

    def in_ngspice(
        self,
        layer: WrittenLayer,
        write_column: Callable[..., np.ndarray],
        states: np.ndarray,
        write: ColumnDose,
        rng: np.random.Generator,
    ) -> np.ndarray:
        place, dose, shares, _ = write
        pulses, cells, curve = self.settings, layer.devices.cells, layer.memristor.curve
        ones = np.ones(len(shares))
        stuck = layer.write_gains[place] == 0.0
        numbers, noise = np.zeros(len(shares)), [list[float]() for _ in shares]
        scale = ones if cells is None else (cells.write_noise * np.ones_like(cells.gain))[place]
        for k, share in enumerate(shares.tolist()):  # draws in the order of the kernel
            numbers[k] = write_curve.drawn_number(
                share * abs(dose) / pulses.step, pulses.whole, rng
            )
            if pulses.write_noise and not stuck[k]:
                noise[k] = [
                    pulses.write_noise * rng.standard_normal() for _ in range(math.ceil(numbers[k]))
                ]
        states = states.copy()
        for pulse in range(math.ceil(numbers.max())):
            parts = np.clip(numbers - pulse, 0.0, 1.0)
            column = write_column(states, place, parts, ones, math.copysign(pulses.width, dose))
            if pulses.write_noise:
                noise_curve = np.array(pulses.noise_curve)
                added = scale * [
                    write_curve.noise_factor(noise_curve, curve.flow, state)
                    * (draws[pulse] if pulse < len(draws) else 0.0)
                    for state, draws in zip(states[place], noise, strict=True)
                ]
                noisy = np.clip(column + np.sqrt(parts) * added, curve.low, curve.high)
                column = np.where((parts > 0) & ~stuck, noisy, column)
            states[place] = column
        return states[place]

    def numbers(self, write: ColumnDose, whole: int, rng: np.random.Generator) -> np.ndarray:
        """Return the number of pulses of each row of a `write`, rounded at random (`whole`)."""
        wanted = (write.shares * abs(write.dose) / self.settings.step).tolist()
        return np.array([write_curve.drawn_number(number, whole, rng) for number in wanted])

    def in_model(
        self,
        cells: WrittenCells,
        states: np.ndarray,
        writes: list[ColumnDose],
        rng: np.random.Generator,
    ) -> np.ndarray:
        whole = self.settings.whole
        model_writes = [
            ModelWrite(write.column, write.dose > 0, self.numbers(write, whole, rng))
            for write in writes
        ]
        return np.asarray(cells.written(states, model_writes))

    def ledgers(
        self,
        technology: Technology,
        laboratory: Laboratory,
        layer: WrittenLayer,
        states: np.ndarray,
        writes: list[ColumnDose],
        doses: list[tuple[float, np.ndarray]],
    ) -> list[Ledger]:
        """One column is written after the other."""
        return [self.pulse_ledger(technology, laboratory, layer, states, writes)]

    def pulse_ledger(
        self,
        technology: Technology,
        laboratory: Laboratory,
        layer: WrittenLayer,
        states: np.ndarray,
        writes: list[ColumnDose],
    ) -> Ledger:
        """Return the ledger of the pulses of some `writes`, one after the other. Other arguments
        are as in `ledgers`.
        """
        selected, disturbed, lines, supplies, seconds = 0.0, 0.0, 0.0, 0.0, 0.0
        for dose in writes:
            up = int(dose.dose > 0)
            numbers = dose.shares * abs(dose.dose) / self.settings.step
            joules = pulse_energies(
                layer, states, dose.column, numbers, laboratory.joules[up], laboratory.half
            )
            selected, disturbed = selected + joules[0], disturbed + joules[1]
            supplies += laboratory.supplies * float(numbers.sum())
            lines += technology.line_capacitance * (
                layer.width * float(numbers.sum()) * laboratory.volts[up] ** 2
                + layer.rows * technology.supply**2
            )
            width = float(np.ceil(numbers.max())) * laboratory.widths[up]
            seconds += width + technology.driver_step
        return Ledger.of(
            [
                Line(SELECTED, selected, COMPUTED, True),
                Line("write: array, half-selected cells", disturbed, COMPUTED, True),
                Line("write: supplies within cells", supplies, COMPUTED, False),
                *wire_lines("write", lines, 0.0),
            ],
            {"write": seconds},
        )


def pulse_energies(
    layer: WrittenLayer,
    states: np.ndarray,
    column: int,
    numbers: np.ndarray,
    joules: float,
    half: float,
) -> tuple[float, float]:
    """Return the energies in J of the selected cells and of the half-selected ones, while rows of a
    `layer` get `numbers` of pulses.

    A pulse takes V^2 G t, with G at the read voltage before the write. In a passive array, cells of
    driven rows in other columns see a share of the pulse's voltage, and so do cells of waiting rows
    in the written column. With V/3 all other cells see a third, too (`disturb`).

    Parameters
    ----------
    layer : Layer
    states : array, columns x rows, V
    column : int
        Number of the written column.
    numbers : array, rows
        Pulses of each row.
    joules : float
        V^2 t of a pulse in J/S.
    half : float
        Share of the voltage across half-selected cells: 1/2, 1/3, or 0 with access switches.
    """
    cells, volts = Cells.of(layer.memristor, layer.devices.cells), layer.row_voltage
    siemens = read_current(cells, layer.with_reference(states), np.full(layer.rows, volts))
    siemens = siemens[: layer.columns] / volts
    selected, others = siemens[column], siemens.sum(axis=0) - siemens[column]
    waits = numbers.max() - numbers
    seen = numbers @ others + waits @ selected + (waits @ others) * (half < 1 / 2)
    return float(numbers @ selected) * joules, float(seen) * half**2 * joules


def no_counts(network: WrittenNetwork) -> Counts:
    """Return the counts of pulses of a `Network` before its training: all 0."""
    shapes = [states.T.shape for states in network.states]
    return Counts(
        tuple(np.zeros((2, *shape)) for shape in shapes),
        tuple(np.zeros((2, *shape)) for shape in shapes),
        tuple(np.zeros(columns) for _, columns in shapes),
    )


@compiled
def write_pulses(
    layer: LayerArrays,
    timing: Timing,
    pulses: Pulses,
    states: np.ndarray,
    c: int,
    high: np.ndarray,
    dose: float,
    counts: Counts,
    k: int,
    loads: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Write column `c` of layer `k` by as many pulses as the `dose` in V asks for, and update
    `counts` and `loads`.

    `states`: rows x columns, V; `loads`: conductances of the columns in S. Row i gets the share
    `high[i]` of the dose. Each pulse adds its noise. For a fraction of a pulse the noise is
    multiplied by the square root of the fraction. States stay in the range of the device.
    """
    up, load, numbers, cells, flow = (
        1 if dose > 0 else 0,
        0.0,
        np.empty(len(high)),
        layer.cells,
        layer.flow,
    )
    counted, conducted = counts.pulses[k][up], counts.conducted[k][up]
    per_pulse = math.copysign(timing.write_voltage, dose) * pulses.width  # V s
    for i in range(len(high)):
        r = row_of(cells, i)
        number = drawn_number(high[i] * abs(dose) / pulses.step, pulses.whole, rng)
        numbers[i] = number
        if number > 0.0:
            counted[i, c] += number
            conducted[i, c] += (
                number
                * current(values_of(cells, r, c), states[i, c], timing.row_voltage)
                / timing.row_voltage
            )
            charge = cells[RATE, r, c] * per_pulse
            if pulses.noise == 0.0:
                states[i, c] = moved(flow, states[i, c], number * charge)
            while number > 0.0 and pulses.noise > 0.0 and charge != 0.0:  # not a stuck cell
                part = min(number, 1.0)
                noise = pulses.noise * cells[NOISE, r, c]
                noise *= noise_factor(pulses.noise_curve, flow, states[i, c])
                state = (
                    moved(flow, states[i, c], part * charge)
                    + noise * math.sqrt(part) * rng.standard_normal()
                )
                states[i, c] = min(max(state, flow.low), flow.low + flow.span)
                number -= part
        load += loaded(cells, r, c, states[i, c])
    loads[c] = load
    counts.writes[k][c] += numbers.max() > 0.0
    if pulses.disturb[0] > 0.0 or pulses.disturb[1] > 0.0:
        disturb(layer, pulses, states, c, numbers, up, per_pulse, loads)


@compiled
def disturb(
    layer: LayerArrays,
    pulses: Pulses,
    states: np.ndarray,
    c: int,
    numbers: np.ndarray,
    up: int,
    per_pulse: float,
    loads: np.ndarray,
) -> None:
    """Move the cells of a passive array that a write of column `c` disturbs, and update `loads`.

    In an upward write by the V/2 scheme, the written column is at -V/2 and all other columns are at
    0 V. Row i is at +V/2 for `numbers[i]` pulses, and then waits at 0 V until the last row has
    ended. So V/2, in the direction of the write, is across the cells of driven rows in other
    columns and of waiting rows in the written column. In the V/3 scheme, waiting rows are at -V/6
    and other columns at +V/6. Then V/3 is across the same cells, and -V/3 across the cells of
    waiting rows in other columns. In a downward write (`up` is 0) all signs change. `per_pulse`: V
    s of one pulse across a selected cell.
    """
    cells, flow, longest = layer.cells, layer.flow, numbers.max()
    forwards, backwards = (
        pulses.disturb[up] * per_pulse,
        -pulses.disturb[1 - up] * per_pulse if pulses.thirds else 0.0,
    )
    for i in range(len(numbers)):
        r, waits = row_of(cells, i), longest - numbers[i]
        for other in range(states.shape[1]):
            driven, back = (waits, 0.0) if other == c else (numbers[i], backwards * waits)
            if driven > 0.0 or back != 0.0:
                before, rate = states[i, other], cells[RATE, r, other]
                after = moved(flow, before, rate * forwards * driven)
                if back != 0.0:
                    after = moved(flow, after, rate * back)
                states[i, other] = after
                loads[other] += loaded(cells, r, other, after) - loaded(cells, r, other, before)
