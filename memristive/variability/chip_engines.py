"""Both engines on one imperfect chip: the same devices, and the same noise in the same presentation."""

import dataclasses

import numpy as np

from memristive.single_layer.closed_form import crossbar_of
from memristive.single_layer.engines import CLOSED_FORM, NGSPICE, Engine, check_engine
from memristive.single_layer.ngspice_crossbar import Reader, WiredWriter, Writer
from memristive.single_layer.setup import Setup
from memristive.variability.chip import Chip, on_chip
from memristor import state_rate


class ChipEngine:
    """An `Engine` that counts its reads, since a chip's noise follows from their number.

    Parameters
    ----------
    name : str
        "ngspice" or "closed-form".
    setup : Setup
        The nominal design.
    chip : Chip
    first : int
        Number of the next presentation, so that a resumed training meets the same noise.

    Raises
    ------
    ParameterError
        The name is unknown.
    """

    def __init__(self, name: str, setup: Setup, chip: Chip, first: int = 0) -> None:
        check_engine(name)
        self.name, self._chip, self._count = name, chip, first - 1
        self._cells, chip_setup = chip.cells(setup.memristor), on_chip(setup, chip)
        self.rate = float(state_rate(setup.memristor, setup.schedule.input_voltage))
        if name == CLOSED_FORM:
            self._crossbar = crossbar_of(chip_setup)
            return
        wired = chip.row_resistance or chip.column_resistance
        self._reader = Reader(chip_setup, chip.classes)
        self._writer = WiredWriter(chip_setup, chip.classes, chip.inputs) if wired else Writer(setup, chip.inputs)

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int) -> np.ndarray:
        """Read as `Engine.spikes`; the next presentation begins."""
        self._count += 1
        noise = self._chip.threshold_noise("learning", self._count) if self._chip.read_noise else None
        if self.name == NGSPICE:
            return self._reader.spikes(states, image, wanted, noise)
        crossbar = self._crossbar if noise is None else self._crossbar.with_jitter(noise)
        return crossbar.read(states, image).spikes

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """Write as `Engine.write`; stuck cells keep their values."""
        gains = self._cells.transconductance[column]
        if self._chip.write_noise:
            gains = gains * self._chip.write_factors(self._count, column)
        written = np.array(states, float)
        if self.name == CLOSED_FORM:
            cells = dataclasses.replace(self._crossbar.column(column), transconductance=gains)
            written[column] = self._crossbar.write_column(states, column, image, sign, pulse, cells)
        elif isinstance(self._writer, WiredWriter):
            written[column] = self._writer.write(states, column, image, sign, pulse, gains)
        else:
            values = dataclasses.replace(self._cells.of(slice(column, column + 1), slice(None)), transconductance=gains[None])
            written[column] = self._writer.write(states[column], image, sign, pulse, values)
        return self._chip.with_stuck_cells(written)[column]


def chip_engine(name: str, setup: Setup, chip: Chip, first: int = 0) -> Engine:
    """Return the engine called `name` for a `chip`; arguments as those of `ChipEngine`."""
    return ChipEngine(name, setup, chip, first)
