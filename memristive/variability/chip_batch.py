"""Many chips at once in closed form: the same images, the same rule, a leading axis for the chips."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.error_rule import SIMULTANEOUS, SMALLEST_DOSE, ErrorDrivenRule, check_labels, presentation_order
from memristive.single_layer.setup import Setup
from memristive.single_layer.spike_decoding import RESOLUTION
from memristive.variability.chip import Chip, on_chip
from memristor import read_current, state_rate

BATCH = 1000  # images at a time, so that memory stays flat
HIGHEST = 50.0  # V, highest state that cells are programmed to


def stack_crossbars(crossbars: Sequence[Crossbar]) -> Crossbar:
    """Return the crossbars of many chips as one, with a leading axis for the chips."""
    def stacked(parts: Sequence[Any]) -> Any:
        arrays = [name for name, value in vars(parts[0]).items() if isinstance(value, np.ndarray)]
        return dataclasses.replace(parts[0], **{name: np.array([vars(part)[name] for part in parts]) for name in arrays})

    return dataclasses.replace(crossbars[0], cells=stacked([one.cells for one in crossbars]),
                               neurons=stacked([one.neurons for one in crossbars]))


class ChipBatch:
    """The error-driven rule on many chips, with the same images in the same order.

    Parameters
    ----------
    chips : sequence of Chip
    setup : Setup
        The nominal design.
    """

    def __init__(self, chips: Sequence[Chip], setup: Setup) -> None:
        self.chips = chips
        self._nominal = Crossbar.of(setup)
        self._noisy = any(chip.read_noise for chip in chips)
        self.crossbar = stack_crossbars([Crossbar.of(on_chip(setup, chip)) for chip in chips])
        self._rate = float(state_rate(setup.memristor, setup.schedule.input_voltage))

    def learn(self, states: np.ndarray, rule: ErrorDrivenRule, images: np.ndarray, labels: np.ndarray) -> Iterator[np.ndarray]:
        """Train on images (n x inputs) by the `rule`, from `states` (chips x classes x inputs, V).

        Yields the states after each presentation, always the same array. Raises ParameterError for invalid labels.
        """
        check_labels(labels, len(images), np.shape(states)[-2])
        states = self.with_stuck_cells(states)
        for k, index in enumerate(presentation_order(rule.seed, rule.presentations, len(images))):
            image, label = images[index], int(labels[index])
            dose = max(1 - k / rule.presentations, SMALLEST_DOSE) * rule.dose
            spikes = self.read(states, image, "learning", k)
            wrong, silent = first_wrong_neurons(spikes, label, rule.margin)
            potentiated = np.flatnonzero((wrong >= 0) | silent)
            depressed = np.flatnonzero(wrong >= 0)
            self._write(states, potentiated, np.full(len(potentiated), label), image, 1, dose, k)
            self._write(states, depressed, wrong[depressed], image, -1, dose, k)
            yield states

    def with_stuck_cells(self, states: np.ndarray) -> np.ndarray:
        """Return `states` (chips x classes x inputs, V) with the stuck cells of each chip at their fixed values."""
        shape = (len(self.chips), *states.shape[-2:])
        pairs = zip(self.chips, np.broadcast_to(states, shape), strict=True)
        return np.array([chip.with_stuck_cells(of_chip) for chip, of_chip in pairs])

    def read(self, states: np.ndarray, image: np.ndarray, stream: str, count: int) -> np.ndarray:
        """Return the first spikes in s (chips x classes) of one image, read number `count` of a `stream` of reads."""
        crossbar = self.crossbar
        if self._noisy:
            crossbar = crossbar.with_jitter(np.array([chip.threshold_noise(stream, count) for chip in self.chips]))
        return crossbar.read(states, image).spikes

    def accuracies(self, states: np.ndarray, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return each chip's strict accuracy on `images` (n x inputs). Raises ParameterError for invalid labels."""
        check_labels(labels, len(images), np.shape(states)[-2])
        states, right = self.with_stuck_cells(states), np.zeros(len(self.chips))
        for first in range(0, len(images), BATCH):
            part, jitter = slice(first, first + BATCH), np.zeros(1)
            if self._noisy:
                jitter = np.array([[chip.threshold_noise("test", k) for k in range(first, first + len(images[part]))]
                                   for chip in self.chips])
            spikes = self.crossbar.race(states, images[part], jitter).spikes
            right += strictly_right(spikes, labels[part]).sum(axis=-1)
        return right / len(images)

    def programmed(self, states: np.ndarray, calibrated: bool) -> np.ndarray:
        """Return states (chips x classes x inputs, V) written and verified cell by cell: each carries the ideal cell's current.

        The reference is the current of an ideal cell in `states` (classes x inputs, V) at the full input voltage. With
        `calibrated`, each column is scaled by the deviation of its neuron's threshold and gain.
        """
        volts, nominal = self.crossbar.schedule.input_voltage, self._nominal
        wanted = np.broadcast_to(read_current(nominal.cells, states, volts), (len(self.chips), *states.shape))
        if calibrated:
            actual, neurons = self.crossbar.neurons, nominal.neurons
            scale = actual.threshold / neurons.threshold * neurons.feedback_resistance / actual.feedback_resistance
            wanted = wanted * np.asarray(scale)[..., None]
        low, high = np.zeros_like(wanted), np.full_like(wanted, HIGHEST)
        for _ in range(40):  # bisection: HIGHEST / 2**40 is nanovolts
            middle = (low + high) / 2
            above = read_current(self.crossbar.cells, middle, volts) > wanted
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return self.with_stuck_cells((low + high) / 2)

    def _write(self, states: np.ndarray, which: np.ndarray, columns: np.ndarray, image: np.ndarray, sign: int, dose: float,
               count: int) -> None:
        """Write one column of each chip in `which`, in place."""
        if not len(which):
            return
        cells = self.crossbar.cells.map(lambda values: values[which, columns])
        if any(self.chips[chip].write_noise for chip in which):
            factors = [self.chips[chip].write_factors(count, int(column)) for chip, column in zip(which, columns, strict=True)]
            cells = dataclasses.replace(cells, transconductance=cells.transconductance * np.array(factors))
        states[which, columns] = self.crossbar.write(states[which, columns], image, sign, dose / self._rate, cells)
        for chip in which:  # the leak of a written column does not change stuck cells
            if self.chips[chip].stuck_off or self.chips[chip].stuck_on:
                states[chip] = self.chips[chip].with_stuck_cells(states[chip])


def first_wrong_neurons(spikes: np.ndarray, label: int, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Return `error_rule.first_wrong_neuron` for each chip (-1: none), and if the right neuron is silent.

    `spikes`: chips x classes, s.
    """
    times = np.where(np.isnan(spikes), np.inf, spikes)
    right = times[:, label].copy()
    times[:, label] = np.inf
    wrong = times.argmin(axis=1)
    first = times[np.arange(len(times)), wrong]
    with np.errstate(invalid="ignore"):
        clear = np.isinf(first) | (first - right >= max(margin, SIMULTANEOUS))
    return np.where(clear, -1, wrong), np.isinf(right)


def strictly_right(spikes: np.ndarray, labels: np.ndarray, resolution: float = RESOLUTION) -> np.ndarray:
    """Return if the strict decision on each image is right (... x images); `spikes`: ... x images x classes, s."""
    times = np.where(np.isnan(spikes), np.inf, spikes)
    index = np.broadcast_to(labels[:, None], (*times.shape[:-1], 1))
    right = np.take_along_axis(times, index, -1)[..., 0]
    np.put_along_axis(times, index, np.inf, -1)
    with np.errstate(invalid="ignore"):
        return times.min(axis=-1) - right > resolution
