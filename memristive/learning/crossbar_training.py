"""Training of one layer from its errors in closed form, on an ideal or imperfect chip, by the compiled kernel.

The kernel takes columns as independent. Resistive wires couple them, so with wires `error_rule.ErrorDrivenTrainer` learns
instead, with the wire solver.
"""

import math
from collections import deque
from collections.abc import Iterator

import numpy as np

from memristive.devices.channel import read_current
from memristive.learning import compiled_rule
from memristive.learning.error_rule import (
    ErrorDrivenTrainer,
    LearningState,
    initial_state,
    learning_curve,
)
from memristive.learning.rule import ErrorDrivenRule, check_labels
from memristive.network import kernel
from memristive.network.chip import Chip, on_chip
from memristive.network.closed_form import Cells, Crossbar
from memristive.network.engines import make_engine
from memristive.network.setup import CLOSED_FORM, Setup, check_levels, write_window
from memristive.neuron import start_delay
from memristor import state_rate
from snn_circuit import NeuronParameters

BLOCK = 500  # presentations between two reports of a training
HIGHEST = 50.0  # V, highest state that cells are programmed to


class CompiledCrossbar:
    """One layer without resistive wires, which the compiled kernel reads and trains.

    Parameters
    ----------
    setup : Setup
        The nominal design.
    chip : Chip
        Deviations from it; `Chip(classes, inputs)` has none.
    """

    def __init__(self, setup: Setup, chip: Chip) -> None:
        self.chip, self.crossbar = chip, Crossbar.of(on_chip(setup, None if chip.ideal else chip))
        self.crossbar.warn_of_doubts()
        self._layer = kernel_layer(self.crossbar, setup, chip.classes, chip.inputs)
        self._pulse = kernel_pulse(self.crossbar, setup.neuron)

    def first_spikes(self, states: np.ndarray, images: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        """Return the first spike times of all neurons.

        Parameters
        ----------
        states : array, classes x inputs, V
        images : array, n x inputs, levels 0 to 1
        noise : array, n x classes, V, optional
            Read noise: shift of the thresholds.

        Returns
        -------
        array, n x classes, s
            nan for silent neurons.
        """
        check_levels("images", images, np.shape(states)[-1])
        times = np.empty((len(images), len(states)))
        cells, work = self._prepared(states)
        kernel.present((self._layer,), self._pulse, cells, work, np.ascontiguousarray(images, float),
                       kernel.EMPTY_TABLE if noise is None else noise, (times,), np.random.default_rng(0))
        return times

    def train(self, learning: LearningState, rule: ErrorDrivenRule, images: np.ndarray,
              labels: np.ndarray) -> Iterator[tuple[float, int]]:
        """Present the remaining images; for each, yield the running accuracy and the number of presentations that wrote.

        `images` are n x inputs, levels 0 to 1; `labels` are n class numbers. `learning` is updated after each block of `BLOCK`
        presentations. Raises ParameterError for images or labels that do not fit.
        """
        check_levels("images", images, learning.states.shape[1])
        check_labels(labels, len(images), len(learning.states))
        order = rule.order(len(images), 0, rule.presentations)
        doses = compiled_rule.Doses(rule.presentations, 0.0, rule.dose, 0.0, rule.least_dose, rule.margin, 1.0, 1.0, 0.0)
        levels, classes = np.ascontiguousarray(images, float), np.asarray(labels, np.int64)
        states, work = self._prepared(self.chip.with_stuck_cells(learning.states))
        counts = kernel.Counts((np.zeros((0, 0)),), (np.zeros((0, 0, 0)),), (np.zeros(0),))
        while learning.done < rule.presentations:
            first, stop = learning.done, min((learning.done // BLOCK + 1) * BLOCK, rule.presentations)
            history = np.zeros((stop - first, 2), bool)
            compiled_rule.train((self._layer,), self._pulse, doses, kernel.NO_PULSES, counts, self._noise(first, stop), states,
                                work, levels, levels, classes, order[first:stop], first, history, np.random.default_rng(0))
            learning.history[first:stop], learning.states, learning.done = history, states[0].T.copy(), stop
            right, writes = learning_curve(learning.history[:stop])
            yield from zip(right[first:].tolist(), writes[first:].tolist(), strict=True)

    def _prepared(self, states: np.ndarray) -> tuple[tuple[np.ndarray, ...], kernel.Work]:
        cells, classes = (np.array(np.transpose(states), float, order="C"),), len(states)
        work = kernel.Work((np.zeros(classes),), (np.zeros((2, classes)),), (np.zeros((2, 0, classes)),), (np.empty(classes),),
                           (np.empty(classes),), (np.zeros((0, 0)),))
        kernel.prepare((self._layer,), self._pulse, cells, work)
        return cells, work

    def _noise(self, first: int, stop: int) -> compiled_rule.Noise:
        """Return the chip's noise in presentations `first` to `stop`; ngspice gets the same numbers."""
        chip, count = self.chip, range(first, stop)
        read = np.array([chip.threshold_noise("learning", k) for k in count]) if chip.read_noise else compiled_rule.NO_NOISE.read
        write = (np.array([[chip.write_factors(k, column) for column in range(chip.classes)] for k in count])
                 if chip.write_noise else compiled_rule.NO_NOISE.write)
        return compiled_rule.Noise(read, write)


def kernel_layer(crossbar: Crossbar, setup: Setup, classes: int, inputs: int) -> kernel.Layer:
    """Return the cells and neurons of a crossbar as the kernel's `Layer`."""
    cells, neurons = crossbar.cells, crossbar.neurons
    values = [cells.gain, cells.threshold_voltage, cells.share, cells.pinch, cells.transconductance / cells.memory_capacitance,
              cells.leak]
    rows = inputs if any(isinstance(value, np.ndarray) for value in values) else 1
    return kernel.Layer(
        np.array([np.broadcast_to(np.transpose(value), (rows, classes)) for value in values], float),
        np.array([np.broadcast_to(value, classes) for value in (*neurons.stages, neurons.threshold, neurons.time_constant, 0.0)],
                 float), setup.memristor.gain, float(state_rate(setup.memristor, setup.schedule.input_voltage)), 0, False,
        cells.curve.flow if cells.curve else kernel.NO_FLOW)


def kernel_pulse(crossbar: Crossbar, neuron: NeuronParameters) -> kernel.Pulse:
    """Return the voltages and times of a crossbar's reads and writes as the kernel's `Pulse`."""
    schedule, tau = crossbar.schedule, neuron.time_constant
    window, area = write_window(1.0, crossbar.phi_share)
    volts, start = schedule.input_voltage, math.exp(start_delay(schedule.rise, tau) / tau)
    return kernel.Pulse(schedule.rise, schedule.pulse, tau, start, volts, volts, 0.0, 0.0, float(window), float(area), True)


def train(engine: str, setup: Setup, chip: Chip, learning: LearningState, rule: ErrorDrivenRule, images: np.ndarray,
          labels: np.ndarray) -> Iterator[tuple[float, int]]:
    """Present the remaining images on an engine, "ngspice" or "closed-form".

    Parameters
    ----------
    engine : str
    setup : Setup
        The nominal design.
    chip : Chip
        Deviations from it; `Chip(classes, inputs)` has none.
    learning : LearningState
        Updated after each presentation, or in closed form after each block of `BLOCK` presentations.
    rule : ErrorDrivenRule
    images : array, n x inputs, levels 0 to 1
    labels : array of int, n

    Yields
    ------
    (float, int)
        Running accuracy and number of presentations that wrote, for each presentation.

    Raises
    ------
    ParameterError
        Labels are invalid, images do not fit, or the engine is unknown.
    SimulationError
        ngspice cannot complete a transient.
    """
    if engine == CLOSED_FORM and not (chip.row_resistance or chip.column_resistance):
        return CompiledCrossbar(setup, chip).train(learning, rule, images, labels)
    learning.states = chip.with_stuck_cells(learning.states)
    return ErrorDrivenTrainer(make_engine(engine, setup, chip, learning.done), rule, images, labels).presentations(learning)


def learn_on_chip(setup: Setup, chip: Chip, rule: ErrorDrivenRule, images: np.ndarray, labels: np.ndarray,
                  start: np.ndarray | None = None) -> np.ndarray:
    """Return the states (classes x inputs, V) after a whole training in closed form.

    Parameters
    ----------
    setup : Setup
        The nominal design.
    chip : Chip
    rule : ErrorDrivenRule
    images : array, n x inputs, levels 0 to 1
    labels : array of int, n
    start : array, classes x inputs, V, optional
        States before the training. None: the rule's initial states.
    """
    learning = initial_state(rule, chip.classes, chip.inputs)
    learning.states = learning.states if start is None else start
    deque(train(CLOSED_FORM, setup, chip, learning, rule, images, labels), 0)
    return learning.states


def programmed(setup: Setup, chip: Chip, states: np.ndarray, calibrated: bool) -> np.ndarray:
    """Return the states (classes x inputs, V) of a chip whose cells were written and verified one by one.

    Each cell then carries the current that an ideal cell in `states` (classes x inputs, V) carries at the full input voltage.
    With `calibrated`, the currents of a column also make up for the deviations of its neuron's threshold and gain.
    """
    volts, crossbar, neuron = setup.schedule.input_voltage, Crossbar.of(on_chip(setup, chip)), setup.neuron
    wanted = read_current(Cells.of(setup.memristor), states, volts)
    if calibrated:
        actual = crossbar.neurons
        wanted = wanted * (actual.threshold / neuron.threshold * neuron.feedback_resistance / actual.stages.feedback)[:, None]
    low, high = np.zeros_like(wanted), np.full_like(wanted, HIGHEST)
    for _ in range(40):  # bisection: HIGHEST / 2**40 is below a nanovolt
        middle = (low + high) / 2
        above = read_current(crossbar.cells, middle, volts) > wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return chip.with_stuck_cells((low + high) / 2)
