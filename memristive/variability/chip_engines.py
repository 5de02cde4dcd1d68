"""Both engines on one imperfect chip: the same devices, and the same noise for the same presentation."""

import dataclasses
from typing import ClassVar

import numpy as np

from memristive.single_layer.engines import CLOSED_FORM, NGSPICE, Engine, check_engine
from memristive.single_layer.ngspice_crossbar import Reader, WiredWriter, Writer
from memristive.single_layer.pulses import Schedule
from memristive.spice.session import NgspiceSession
from memristive.variability.chip import Chip
from memristor import check_phi, state_rate
from snn_circuit import NetworkParameters


class ChipEngine:
    """What both have in common: an `Engine` that counts its reads, since a chip's noise follows from their number.

    `first`: the number of the next presentation, so that a training that goes on meets the noise that it would have met.
    """

    name: ClassVar[str]

    def __init__(self, parameters: NetworkParameters, schedule: Schedule, chip: Chip, first: int = 0) -> None:
        check_phi(schedule.phi_voltage, parameters.memristor)
        self._chip, self._count = chip, first - 1
        self._cells = chip.cells(parameters.memristor)
        self.rate = float(state_rate(parameters.memristor, schedule.input_voltage))

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int) -> np.ndarray:
        """As `Engine.spikes`; the next presentation begins."""
        self._count += 1
        return self._read(states, image, wanted, self._chip.jitter("learning", self._count) if self._chip.read_noise else None)

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """As `Engine.write`: what is stuck stays where it is."""
        gains = self._cells.transconductance[column]
        if self._chip.write_noise:
            gains = gains * self._chip.write_factors(self._count, column)
        written = np.array(states, float)
        written[column] = self._write(states, column, image, sign, pulse, gains)
        return self._chip.held(written)[column]

    def _read(self, states: np.ndarray, image: np.ndarray, wanted: int, jitter: np.ndarray | None) -> np.ndarray:
        raise NotImplementedError

    def _write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float,
               gains: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class ChipInNgspice(ChipEngine):
    """Every read and every write is a transient of ngspice."""

    name = NGSPICE

    def __init__(self, session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, chip: Chip,
                 first: int = 0) -> None:
        super().__init__(parameters, schedule, chip, first)
        self._reader = Reader(session, parameters, schedule, chip.classes, chip=chip)
        wired = chip.row_resistance or chip.column_resistance
        self._writer = None if wired else Writer(session, parameters, schedule, chip.inputs)
        self._wired_writer = WiredWriter(session, parameters, schedule, chip) if wired else None

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
    """Every read and every write is a formula; wires must not resist (ParameterError)."""

    name = CLOSED_FORM

    def __init__(self, parameters: NetworkParameters, schedule: Schedule, chip: Chip, first: int = 0) -> None:
        super().__init__(parameters, schedule, chip, first)
        self._crossbar = chip.crossbar(parameters, schedule)

    def _read(self, states: np.ndarray, image: np.ndarray, wanted: int, jitter: np.ndarray | None) -> np.ndarray:
        crossbar = self._crossbar if jitter is None else self._crossbar.with_jitter(jitter)
        return crossbar.read(states, image).spikes

    def _write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float,
               gains: np.ndarray) -> np.ndarray:
        cells = dataclasses.replace(self._crossbar.column(column), transconductance=gains)
        return self._crossbar.write(states[column], image, sign, pulse, cells)


def chip_engine(name: str, session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, chip: Chip,
                first: int = 0) -> Engine:
    """The engine called `name` for a `chip`; only ngspice needs the session. Raises ParameterError."""
    check_engine(name)
    if name == CLOSED_FORM:
        return ChipInClosedForm(parameters, schedule, chip, first)
    return ChipInNgspice(session, parameters, schedule, chip, first)
