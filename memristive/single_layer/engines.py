"""One interface for both engines, ngspice and the closed form: what learns or is tested runs on either."""

from typing import Protocol

import numpy as np

from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.ngspice_crossbar import Reader, Writer
from memristive.single_layer.pulses import READING, WRITING, Schedule
from memristive.spice.parameters import ParameterError
from memristive.spice.session import NgspiceSession, Solver
from memristor import check_phi, state_rate
from snn_circuit import NetworkParameters

NGSPICE, CLOSED_FORM = "ngspice", "closed-form"
ENGINES = (NGSPICE, CLOSED_FORM)


class Engine(Protocol):
    """Reads and writes a crossbar whose states (classes x inputs, V) go with each call. Both may raise SimulationError."""

    @property
    def name(self) -> str:
        """One of `ENGINES`, as results and options name it."""

    @property
    def rate(self) -> float:
        """Change of X in V per s of a write by a full pixel."""

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int) -> np.ndarray:
        """First spike times in s of one image (inputs, levels 0 to 1): classes, nan for silent neurons.

        Neurons that come after the first `wanted` may be missing.
        """

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """The column's states (inputs, V) after one write of `pulse` s: up, or down if `sign` is -1."""


def check_engine(name: str) -> None:
    """Raise ParameterError for a name of no engine."""
    if name not in ENGINES:
        raise ParameterError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")


class NgspiceEngine:
    """Every read and every write is a transient of ngspice."""

    name = NGSPICE

    def __init__(self, session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, classes: int, inputs: int,
                 reading: Solver = READING, writing: Solver = WRITING) -> None:
        check_phi(schedule.phi_voltage, parameters.memristor)
        self.spikes = Reader(session, parameters, schedule, classes, reading).spikes
        self._writer = Writer(session, parameters, schedule, inputs, writing)
        self.rate = float(state_rate(parameters.memristor, schedule.input_voltage))

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """As `Engine.write`. Raises SimulationError."""
        return self._writer.write(states[column], image, sign, pulse)


class ClosedFormEngine:
    """Every read and every write is a formula: tens of thousands a second."""

    name = CLOSED_FORM

    def __init__(self, parameters: NetworkParameters, schedule: Schedule, classes: int, inputs: int) -> None:
        from memristive.single_layer.compiled_read import CompiledRead  # here: importing numba takes a second

        check_phi(schedule.phi_voltage, parameters.memristor)
        self._crossbar = Crossbar.of(parameters, schedule)
        self._read, self._shape = CompiledRead(self._crossbar, classes, inputs), (classes, inputs, inputs)
        self.rate = float(state_rate(parameters.memristor, schedule.input_voltage))

    def spikes(self, states: np.ndarray, image: np.ndarray, wanted: int = 0) -> np.ndarray:
        """As `Engine.spikes`; no neuron is missing. Raises ParameterError for other shapes or levels."""
        if (*np.shape(states), len(image)) != self._shape:
            raise ParameterError(f"states must be {self._shape[0]} x {self._shape[1]} and images {self._shape[2]} levels, got "
                                 f"{' x '.join(map(str, np.shape(states)))} and {len(image)}")
        return self._read(states, image)

    def write(self, states: np.ndarray, column: int, image: np.ndarray, sign: int, pulse: float) -> np.ndarray:
        """As `Engine.write`."""
        return self._crossbar.write(states[column], image, sign, pulse, self._crossbar.column(column))


def make_engine(name: str, session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, classes: int,
                inputs: int) -> Engine:
    """The engine called `name` for a crossbar of classes x inputs; only ngspice needs the session. Raises ParameterError."""
    check_engine(name)
    if name == CLOSED_FORM:
        return ClosedFormEngine(parameters, schedule, classes, inputs)
    return NgspiceEngine(session, parameters, schedule, classes, inputs)
