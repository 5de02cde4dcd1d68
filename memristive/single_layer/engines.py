"""One interface for both engines, ngspice and the closed form: training and testing run on either."""

from typing import Protocol

import numpy as np

from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.ngspice_crossbar import Reader, Writer
from memristive.single_layer.setup import CLOSED_FORM, NGSPICE, Setup
from memristive.single_layer.solvers import READING, WRITING
from memristive.spice.parameters import ParameterError
from memristive.spice.session import Solver
from memristor import state_rate

ENGINES = (NGSPICE, CLOSED_FORM)


class Engine(Protocol):
    """Reads and writes a crossbar; its states (classes x inputs, V) are an argument of each call."""

    @property
    def name(self) -> str:
        """Name, one of `ENGINES`."""

    @property
    def rate(self) -> float:
        """Change of X in V per s of a write by a full pixel."""

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int) -> np.ndarray:
        """Return the first spike times in s (classes, nan: silent) of one image (inputs, levels 0 to 1).

        Neurons that fire after the first `wanted` may be nan too.
        """

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """Return the column's states (inputs, V) after one write of `pulse` s: up, or down if `sign` is -1."""


def check_engine(name: str) -> None:
    """Raise ParameterError unless `name` is one of `ENGINES`."""
    if name not in ENGINES:
        raise ParameterError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")


class NgspiceEngine:
    """Engine whose reads and writes are transients of ngspice."""

    name = NGSPICE

    def __init__(self, setup: Setup, classes: int, inputs: int, reading: Solver = READING, writing: Solver = WRITING) -> None:
        self.spikes = Reader(setup, classes, reading).spikes
        self._writer = Writer(setup, inputs, writing)
        self.rate = float(state_rate(setup.memristor, setup.schedule.input_voltage))

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """Write as `Engine.write`. Raises SimulationError."""
        return self._writer.write(states[column], image, sign, pulse)


class ClosedFormEngine:
    """Engine whose reads and writes are formulas: tens of thousands a second."""

    name = CLOSED_FORM

    def __init__(self, setup: Setup, classes: int, inputs: int) -> None:
        from memristive.single_layer.compiled_read import CompiledRead  # here: importing numba takes a second

        self._crossbar = Crossbar.of(setup)
        self._crossbar.warn_of_doubts()
        self._read, self._shape = CompiledRead(self._crossbar, classes, inputs), (classes, inputs, inputs)
        self.rate = float(state_rate(setup.memristor, setup.schedule.input_voltage))

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int = 0) -> np.ndarray:
        """Read as `Engine.spikes`, all neurons. Raises ParameterError for other shapes or levels."""
        if (*np.shape(states), len(image)) != self._shape:
            raise ParameterError(f"states must be {self._shape[0]} x {self._shape[1]} and images {self._shape[2]} levels, got "
                                 f"{' x '.join(map(str, np.shape(states)))} and {len(image)}")
        return self._read(states, image)

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """Write as `Engine.write`."""
        return self._crossbar.write(states[column], image, sign, pulse, self._crossbar.column(column))


def make_engine(name: str, setup: Setup, classes: int, inputs: int) -> Engine:
    """Return the engine called `name` for a crossbar of classes x inputs, all devices alike. Raises ParameterError."""
    check_engine(name)
    return ClosedFormEngine(setup, classes, inputs) if name == CLOSED_FORM else NgspiceEngine(setup, classes, inputs)
