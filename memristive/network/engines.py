"""ngspice and the closed form behind one interface, with the same chip and the same noise in each presentation."""

import dataclasses
from typing import Protocol

import numpy as np

from memristive.devices.channel import Values
from memristive.network.chip import Chip, on_chip
from memristive.network.closed_form import crossbar_of
from memristive.network.layer import Layer
from memristive.network.ngspice_layer import NgspiceLayer
from memristive.network.setup import CLOSED_FORM, ENGINES, NGSPICE, Setup, check_levels, check_write, write_window
from memristive.spice.parameters import ParameterError
from memristor import state_rate


class Engine(Protocol):
    """Interface to read and write a crossbar, whose states (classes x inputs, V) are an argument of each call."""

    @property
    def name(self) -> str:
        """Name, one of `ENGINES`."""

    @property
    def rate(self) -> float:
        """Rate in V/s at which a write changes X at level 1."""

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int) -> np.ndarray:
        """Return the first spike times in s (classes, nan: silent) of one image (inputs, levels 0 to 1).

        Once `wanted` neurons have fired, later spikes may be nan, too. Each read begins a new presentation, with new noise.
        """

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """Return the states (inputs, V) of a `column` after one write of `pulse` s: up, or down if `sign` is -1."""


class _ChipEngine:
    """Base of both engines: adds stuck cells, and noise that depends only on the chip and the number of the presentation."""

    def __init__(self, setup: Setup, chip: Chip, first: int) -> None:
        self._chip, self._count = chip, first - 1
        self._setup = on_chip(setup, None if chip.ideal else chip)
        self.rate = float(state_rate(setup.memristor, setup.schedule.input_voltage))

    def _next_noise(self) -> np.ndarray | None:
        self._count += 1
        return self._chip.threshold_noise("learning", self._count) if self._chip.read_noise else None

    def _gains(self, column: int) -> Values:
        """Return the write gains K in S of a column's cells in this presentation."""
        if self._setup.devices.cells is None:
            return self._setup.memristor.transconductance
        gains = self._setup.devices.cells.transconductance[column]
        return gains * self._chip.write_factors(self._count, column) if self._chip.write_noise else gains

    def _stuck(self, states: np.ndarray, column: int, written: np.ndarray) -> np.ndarray:
        result = np.array(states, float)
        result[column] = written
        return self._chip.with_stuck_cells(result)[column]


class NgspiceEngine(_ChipEngine):
    """Engine whose reads and writes are transients of ngspice."""

    name = NGSPICE

    def __init__(self, setup: Setup, chip: Chip, first: int = 0) -> None:
        super().__init__(setup, chip, first)
        self._layer = NgspiceLayer(Layer.of_setup(self._setup, chip.classes, chip.inputs))
        self._phi_share = setup.memristor.switch_threshold / setup.schedule.phi_voltage

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int) -> np.ndarray:
        """Return the first spike times, as `Engine.spikes` does. Raises SimulationError."""
        check_levels("images", image[None], states.shape[1])
        noise = self._next_noise()
        return self._layer.read(states, image, wanted, jitter=0.0 if noise is None else noise)[0]

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """Return the written states, as `Engine.write` does. Raises SimulationError."""
        check_write(states, image, pulse)
        window, area = write_window(pulse, self._phi_share)
        written = self._layer.write_column(np.asarray(states, float), column, image * (area / window), np.ones(len(image)),
                                           float(sign * window), self._gains(column))
        return self._stuck(states, column, written)


class ClosedFormEngine(_ChipEngine):
    """Engine whose reads and writes are formulas, one image at a time; the compiled `learning.crossbar_training` is faster."""

    name = CLOSED_FORM

    def __init__(self, setup: Setup, chip: Chip, first: int = 0) -> None:
        super().__init__(setup, chip, first)
        self._crossbar = crossbar_of(self._setup)
        self._crossbar.warn_of_doubts()

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int = 0) -> np.ndarray:
        """Return the first spike times of all neurons; arguments as in `Engine.spikes`."""
        noise = self._next_noise()
        return self._crossbar.read(states, image, 0.0 if noise is None else noise).spikes

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """Return the written states, as `Engine.write` does."""
        cells = dataclasses.replace(self._crossbar.cells.at(column), transconductance=self._gains(column))
        return self._stuck(states, column, self._crossbar.write_column(states, column, image, sign, pulse, cells))


def make_engine(name: str, setup: Setup, chip: Chip, first: int = 0) -> Engine:
    """Return the engine called `name`.

    Parameters
    ----------
    name : str
        "ngspice" or "closed-form".
    setup : Setup
        The nominal design.
    chip : Chip
        Chip whose deviations are simulated; in `Chip(classes, inputs)` all devices are alike.
    first : int
        Number of the first presentation, for resumed trainings: the noise depends on this number.

    Raises
    ------
    ParameterError
        The name is unknown.
    """
    check_engine(name)
    return ClosedFormEngine(setup, chip, first) if name == CLOSED_FORM else NgspiceEngine(setup, chip, first)


def check_engine(name: str) -> None:
    """Raise ParameterError unless `name` is one of `ENGINES`."""
    if name not in ENGINES:
        raise ParameterError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")
