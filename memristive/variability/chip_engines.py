"""Both engines on one imperfect chip: the same devices, and the same noise in the same presentation."""

import dataclasses
from typing import ClassVar

import numpy as np

from memristive.single_layer.closed_form import crossbar_of
from memristive.single_layer.engines import CLOSED_FORM, NGSPICE, Engine, check_engine
from memristive.single_layer.ngspice_crossbar import Reader, WiredWriter, Writer
from memristive.single_layer.setup import Setup
from memristive.variability.chip import Chip, on_chip
from memristor import state_rate


class ChipEngine:
    """Base of both: an `Engine` that counts its reads, since a chip's noise follows from their number.

    `first` is the number of the next presentation, so that a resumed training meets the same noise.
    """

    name: ClassVar[str]

    def __init__(self, setup: Setup, chip: Chip, first: int = 0) -> None:
        self._chip, self._count = chip, first - 1
        self._setup = on_chip(setup, chip)
        self._cells = chip.cells(setup.memristor)
        self.rate = float(state_rate(setup.memristor, setup.schedule.input_voltage))

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int) -> np.ndarray:
        """Read as `Engine.spikes`; the next presentation begins."""
        self._count += 1
        noise = self._chip.threshold_noise("learning", self._count) if self._chip.read_noise else None
        return self._read(states, image, wanted, noise)

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """Write as `Engine.write`; stuck cells keep their values."""
        gains = self._cells.transconductance[column]
        if self._chip.write_noise:
            gains = gains * self._chip.write_factors(self._count, column)
        written = np.array(states, float)
        written[column] = self._write(states, column, image, sign, pulse, gains)
        return self._chip.with_stuck_cells(written)[column]

    def _read(self, states: np.ndarray, image: np.ndarray, wanted: int, jitter: np.ndarray | None) -> np.ndarray:
        raise NotImplementedError

    def _write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float,
               gains: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class ChipInNgspice(ChipEngine):
    """Engine whose reads and writes are transients of ngspice."""

    name = NGSPICE

    def __init__(self, setup: Setup, chip: Chip, first: int = 0) -> None:
        super().__init__(setup, chip, first)
        self._reader = Reader(self._setup, chip.classes)
        wired = chip.row_resistance or chip.column_resistance
        self._writer = None if wired else Writer(setup, chip.inputs)
        self._wired_writer = WiredWriter(self._setup, chip.classes, chip.inputs) if wired else None

    def _read(self, states: np.ndarray, image: np.ndarray, wanted: int, jitter: np.ndarray | None) -> np.ndarray:
        return self._reader.spikes(states, image, wanted, jitter)

    def _write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float,
               gains: np.ndarray) -> np.ndarray:
        if self._wired_writer:
            return self._wired_writer.write(states, column, image, sign, pulse, gains)
        assert self._writer
        cells = dataclasses.replace(self._cells.of(slice(column, column + 1), slice(None)), transconductance=gains[None])
        return self._writer.write(states[column], image, sign, pulse, cells)


class ChipInClosedForm(ChipEngine):
    """Engine whose reads and writes are formulas, or with resistive wires a linear solver."""

    name = CLOSED_FORM

    def __init__(self, setup: Setup, chip: Chip, first: int = 0) -> None:
        super().__init__(setup, chip, first)
        self._crossbar = crossbar_of(self._setup)

    def _read(self, states: np.ndarray, image: np.ndarray, wanted: int, jitter: np.ndarray | None) -> np.ndarray:
        crossbar = self._crossbar if jitter is None else self._crossbar.with_jitter(jitter)
        return crossbar.read(states, image).spikes

    def _write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float,
               gains: np.ndarray) -> np.ndarray:
        cells = dataclasses.replace(self._crossbar.column(column), transconductance=gains)
        return self._crossbar.write_column(states, column, image, sign, pulse, cells)


def chip_engine(name: str, setup: Setup, chip: Chip, first: int = 0) -> Engine:
    """Return the engine called `name` for a `chip`; `setup` is its nominal design. Raises ParameterError."""
    check_engine(name)
    return ChipInClosedForm(setup, chip, first) if name == CLOSED_FORM else ChipInNgspice(setup, chip, first)
