"""The pulses of training and inference, and how each kind of transient is integrated."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from memristive.spice.netlist import Solver
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristor import Channel, MemristorParameters, read_current, trained_state
from snn_circuit import Points

Values = np.ndarray | float


@dataclass(frozen=True)
class Schedule(Parameters):
    """Pulses of training and inference (Jurj 2024, section 3): class after class, input and phi start together."""

    pulse: float = quantity(5e-3, 1e-6, 10.0, "s", "length of a pulse")
    period: float = quantity(15e-3, 1e-6, 100.0, "s", "from one class's pulse to the next")
    rise: float = quantity(10e-6, 1e-9, 1e-2, "s", "duration of each edge")
    input_voltage: float = quantity(1.0, 1e-3, 100.0, "V", "input pulse of a full pixel")
    phi_voltage: float = quantity(1.2, 1e-3, 100.0, "V", "phi pulse")
    sampling_step: float = quantity(10e-6, 1e-9, 1e-1, "s", "the paper's time step; only its decision rule uses it")

    def check(self) -> None:
        if not self.pulse + self.rise < self.period:
            raise ParameterError(f"period must exceed pulse + rise, got {self.period:g} s for "
                                 f"{self.pulse:g} + {self.rise:g} s")
        if not self.rise < self.pulse:
            raise ParameterError(f"rise must be below the pulse, got {self.rise:g} s for {self.pulse:g} s")
        if not self.sampling_step < self.pulse:
            raise ParameterError(f"sampling_step must be below the pulse, got {self.sampling_step:g} s for {self.pulse:g} s")

    def start(self, k: int) -> float:
        """Start of the k-th pulse in s."""
        return k * self.period

    def stop(self, count: int) -> float:
        """End of a schedule of `count` pulses in s."""
        return count * self.period

    def train(self, levels: np.ndarray) -> Points:
        """Piecewise-linear source (s, V) of one pulse a period; `levels` in V, 0 leaves a period out."""
        points = [(0.0, 0.0)]
        for k, level in enumerate(levels):
            if level:
                points += edges(self.start(k), self.pulse, self.rise, level)
        return points if points[1:2] != [(0.0, 0.0)] else points[1:]


def edges(start: float, pulse: float, rise: float, level: float) -> Points:
    """The four corners of a trapezoidal pulse whose area is exactly level * pulse."""
    return [(start, 0.0), (start + rise, level), (start + pulse, level), (start + pulse + rise, 0.0)]


def check_width(name: str, levels: np.ndarray, inputs: int) -> None:
    """Raise ParameterError unless the `levels` called `name` are n x `inputs`."""
    if np.ndim(levels) != 2 or np.shape(levels)[1] != inputs:
        raise ParameterError(f"{name} must be n x {inputs}, got {' x '.join(map(str, np.shape(levels)))}")


def check_levels(name: str, levels: np.ndarray, inputs: int) -> None:
    """Raise ParameterError unless the `levels` called `name` are n x `inputs`, each from 0 to 1."""
    check_width(name, levels, inputs)
    if np.size(levels) and not (np.min(levels) >= 0 and np.max(levels) <= 1):
        raise ParameterError(f"{name} must be levels from 0 to 1, got {np.min(levels):g} to {np.max(levels):g}: scale them")


def check_write(states: np.ndarray, image: np.ndarray, pulse: Values) -> None:
    """Raise ParameterError unless an `image` (... x inputs, 0 to 1) can be written to `states` (... x inputs) by `pulse` in s."""
    check_levels("images", np.reshape(image, (-1, np.shape(image)[-1])), np.shape(states)[-1])
    if not np.all((np.asarray(pulse) > 0) & np.isfinite(pulse)):
        raise ParameterError(f"a write's pulse must be above 0 s, and finite, got {np.min(pulse):g}")


WRITE_EDGE = 0.1  # duration of each edge of a write as a share of its pulse, so that a short pulse keeps its shape


def write_window(pulse: Values, phi_share: float) -> tuple[Values, Values]:
    """How long in s a write of `pulse` s lasts, and the s that its input would be at full level to give the same area.

    The window is phi above `phi_share` of its level; input and phi rise and fall together over `WRITE_EDGE` of the pulse.
    """
    edge = WRITE_EDGE * pulse
    return pulse + edge * (1 - 2 * phi_share), pulse - edge * phi_share**2


# Training must give every class the same voltage to 0.02 %, or the scatter, not the patterns, decides between classes that an
# image overlaps alike: docs/reliability.md. What scatters is the steep gate capacitance near X = 0; the charge floor spares the
# edges, where gates that stay empty would otherwise ask for most of the steps.
TRAINING = Solver(max_step=200e-6, reltol=1e-6, trtol=3.0, chgtol=1e-12, method="trap")
CAREFUL = dataclasses.replace(TRAINING, max_step=20e-6, chgtol=1e-13)
SHORT_EDGE = 10e-6  # s, from which on TRAINING will do
LITTLE = 2.5  # V of a trained state, below which TRAINING will not do
# A write of a few mV to some columns must not disturb any other cell: the tolerance decides that, not physics.
WRITING = Solver(max_step=1e-3, reltol=1e-5, trtol=70.0, method="trap")
# Reading follows membranes; trapezoidal integration is four times as exact per step and does not ring without op-amp poles.
# The charge floor lets the membranes (1e-3 C), not the gates (1e-11 C), govern the step.
READING = Solver(max_step=20e-6, reltol=1e-5, trtol=100.0, chgtol=1e-7, method="trap")
LARGE_GATE = 6e-12  # F: gates of more keep their charge in a read only if it governs the step too (3.5e-12 as a rule)
WELL_ABOVE, BURIED = 1.5, -2.0  # times the input: X - Vto of cells that follow it as one expects, conducting or off
LITTLE_CARRIED = 0.01  # of a column's current
LATE_CHANNEL = 0.5  # V: the gates of channels with a higher threshold change their capacitance late in a write


def suited(solver: Solver, memristor: MemristorParameters, schedule: Schedule | None = None) -> Solver:
    """The usual `READING` or `TRAINING` as it must be for cells like this, and their `schedule`; any other `solver` as it is.

    At a jump of capacitance, TRAINING's tolerance asks for steps so short that rounding keeps Newton's method from it: ngspice
    gave up on half the networks tried. Ten times that and short steps train all, classes alike to 0.03 %. Short edges, and gates
    that get little charge, are stepped over by TRAINING: classes differed by up to 1.6 %, with `CAREFUL` by 0.02 %.
    """
    if solver == READING and memristor.gate_capacitance > LARGE_GATE:
        return dataclasses.replace(READING, trtol=7.0, chgtol=1e-14)
    if solver == TRAINING and memristor.threshold_voltage > LATE_CHANNEL:
        return dataclasses.replace(TRAINING, reltol=1e-5, max_step=20e-6)
    if solver == TRAINING and schedule and (schedule.rise < SHORT_EDGE or trained_state(
            memristor, schedule.input_voltage, schedule.pulse) < LITTLE):
        return CAREFUL
    return solver


def followed(solver: Solver, cells: Channel, states: np.ndarray, volts: np.ndarray) -> Solver:
    """The usual `READING` or `WRITING` as it must be for `cells` in `states` (classes x inputs, V) at inputs of `volts` (images x
    inputs, or inputs); any other `solver` as it is.

    A gate whose X - Vto is not well above the input is lifted along a bent curve, and below Vto its capacitance is another:
    the usual steps are too wide for either. Membranes were off by up to 3 %, spikes by 8 us and more near the threshold, writes
    by a fifth of a dose of 5 mV. From X - Vto of 1.5 times the input on, and where such cells carry next to no current, all is
    well.
    """
    if solver not in (READING, WRITING):
        return solver
    overdrive, rows = states - cells.threshold_voltage, np.abs(np.atleast_2d(volts))
    weak = [(overdrive > BURIED * row) & (overdrive < WELL_ABOVE * row) for row in rows]
    if solver == WRITING:
        return dataclasses.replace(WRITING, reltol=1e-6, trtol=1.0) if np.any(weak) else solver
    for row, some in zip(rows, weak, strict=True):
        currents = read_current(cells, states, row) if some.any() else np.zeros(some.shape)
        if np.any((currents * some).sum(axis=-1) > LITTLE_CARRIED * currents.sum(axis=-1)):
            return dataclasses.replace(READING, reltol=1e-6, trtol=1.0, max_step=10e-6, chgtol=1e-14)
    return solver
