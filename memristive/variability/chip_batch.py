"""Many chips at once in the closed form: the same images, the same rule, a leading axis for the chips."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from memristive.single_layer.closed_form import Cells, Crossbar
from memristive.single_layer.error_rule import SIMULTANEOUS, SMALLEST_DOSE, ErrorDrivenRule, check_labels, order
from memristive.single_layer.pulses import Schedule
from memristive.single_layer.spike_decoding import RESOLUTION
from memristive.variability.chip import Chip
from memristor import read_current, state_rate
from snn_circuit import NetworkParameters

BATCH = 1000  # images at a time, so that memory stays flat
HIGHEST = 50.0  # V, up to which cells are programmed


def together(crossbars: Sequence[Crossbar]) -> Crossbar:
    """Crossbars of one network as one: arrays get a leading axis for the chips."""
    cells = {name: np.array([vars(one.cells)[name] for one in crossbars])
             for name, value in vars(crossbars[0].cells).items() if isinstance(value, np.ndarray)}
    neurons = {name: np.array([vars(one.neurons)[name] for one in crossbars])
               for name, value in vars(crossbars[0].neurons).items() if isinstance(value, np.ndarray)}
    return dataclasses.replace(crossbars[0], cells=dataclasses.replace(crossbars[0].cells, **cells),
                               neurons=dataclasses.replace(crossbars[0].neurons, **neurons))


class Ensemble:
    """The error-driven rule on many chips, which all see the same images in the same order."""

    def __init__(self, chips: Sequence[Chip], parameters: NetworkParameters, schedule: Schedule) -> None:
        self.chips = chips
        self._nominal = Crossbar.of(parameters, schedule)
        self._noisy = any(chip.read_noise for chip in chips)
        self.crossbar = together([chip.crossbar(parameters, schedule) for chip in chips])
        self._rate = float(state_rate(parameters.memristor, schedule.input_voltage))

    def learn(self, states: np.ndarray, rule: ErrorDrivenRule, images: np.ndarray, labels: np.ndarray,
              ) -> Iterator[np.ndarray]:
        """Present images (n x inputs) by the `rule`, starting from `states` (chips x classes x inputs, V).

        Yields after each presentation the states so far; the array is the same one every time. Raises ParameterError for labels
        that are no class numbers.
        """
        check_labels(labels, len(images), np.shape(states)[-2])
        states = self.held(states)
        for k, index in enumerate(order(rule, len(images))):
            image, label = images[index], int(labels[index])
            dose = max(1 - k / rule.presentations, SMALLEST_DOSE) * rule.dose
            spikes = self.read(states, image, "learning", k)
            wrong, silent = offenders(spikes, label, rule.margin)
            potentiated = np.flatnonzero((wrong >= 0) | silent)
            depressed = np.flatnonzero(wrong >= 0)
            self._write(states, potentiated, np.full(len(potentiated), label), image, 1, dose, k)
            self._write(states, depressed, wrong[depressed], image, -1, dose, k)
            yield states

    def held(self, states: np.ndarray) -> np.ndarray:
        """`states` as the chips hold them: chips x classes x inputs."""
        shape = (len(self.chips), *states.shape[-2:])
        return np.array([chip.held(own) for chip, own in zip(self.chips, np.broadcast_to(states, shape), strict=True)])

    def read(self, states: np.ndarray, image: np.ndarray, stream: str, count: int) -> np.ndarray:
        """First spikes in s (chips x classes) of one image, read number `count` of a `stream` of reads."""
        crossbar = self.crossbar
        if self._noisy:
            crossbar = crossbar.with_jitter(np.array([chip.jitter(stream, count) for chip in self.chips]))
        return crossbar.read(states, image).spikes

    def accuracies(self, states: np.ndarray, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Each chip's share of strictly right decisions on `images` (n x inputs), which it sees in the `states` given.

        Raises ParameterError for labels that are no class numbers.
        """
        check_labels(labels, len(images), np.shape(states)[-2])
        states, right = self.held(states), np.zeros(len(self.chips))
        for first in range(0, len(images), BATCH):
            part, jitter = slice(first, first + BATCH), np.zeros(1)
            if self._noisy:
                jitter = np.array([[chip.jitter("test", k) for k in range(first, first + len(images[part]))]
                                   for chip in self.chips])
            spikes = self.crossbar.race(states, images[part], jitter).spikes
            right += strictly_right(spikes, labels[part]).sum(axis=-1)
        return right / len(images)

    def programmed(self, states: np.ndarray, calibrated: bool) -> np.ndarray:
        """States (chips x classes x inputs, V) written and verified cell by cell, so that each carries the ideal cell's current.

        That is what an ideal cell in `states` (classes x inputs) carries at the full input voltage. `calibrated`: each neuron was
        measured too, and its whole column is scaled by what its threshold and its gain are off.
        """
        volts, nominal = self.crossbar.schedule.input_voltage, self._nominal
        wanted = np.broadcast_to(read_current(nominal.cells, states, volts), (len(self.chips), *states.shape))
        if calibrated:
            own, neurons = self.crossbar.neurons, nominal.neurons
            scale = own.threshold / neurons.threshold * neurons.feedback_resistance / own.feedback_resistance
            wanted = wanted * np.asarray(scale)[..., None]
        low, high = np.zeros_like(wanted), np.full_like(wanted, HIGHEST)
        for _ in range(40):  # bisection: HIGHEST / 2**40 is nanovolts
            middle = (low + high) / 2
            above = read_current(self.crossbar.cells, middle, volts) > wanted
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return self.held((low + high) / 2)

    def _write(self, states: np.ndarray, which: np.ndarray, columns: np.ndarray, image: np.ndarray, sign: int, dose: float,
               count: int) -> None:
        """Write one column of each chip in `which`, in place."""
        if not len(which):
            return
        cells = self.crossbar.cells.map(lambda values: values[which, columns])
        noisy = [k for k, chip in enumerate(which) if self.chips[chip].write_noise]
        if noisy:
            cells = self._with_write_noise(cells, which, columns, count)
        states[which, columns] = self.crossbar.write(states[which, columns], image, sign, dose / self._rate, cells)
        for chip in which:  # the leak of a written column does not move what is stuck
            if self.chips[chip].stuck_off or self.chips[chip].stuck_on:
                states[chip] = self.chips[chip].held(states[chip])

    def _with_write_noise(self, cells: Cells, which: np.ndarray, columns: np.ndarray, count: int) -> Cells:
        factors = [self.chips[chip].write_factors(count, int(column)) for chip, column in zip(which, columns, strict=True)]
        return dataclasses.replace(cells, transconductance=cells.transconductance * np.array(factors))


def offenders(spikes: np.ndarray, label: int, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """For each chip (spikes: chips x classes, s) the offender as `error_driven.offender` has it, -1 for none; and silence."""
    times = np.where(np.isnan(spikes), np.inf, spikes)
    right = times[:, label].copy()
    times[:, label] = np.inf
    wrong = times.argmin(axis=1)
    first = times[np.arange(len(times)), wrong]
    with np.errstate(invalid="ignore"):
        clear = np.isinf(first) | (first - right >= max(margin, SIMULTANEOUS))
    return np.where(clear, -1, wrong), np.isinf(right)


def strictly_right(spikes: np.ndarray, labels: np.ndarray, resolution: float = RESOLUTION) -> np.ndarray:
    """Whether the strict decision on each of many images is right: `spikes` ... x images x classes in s, `labels` images."""
    times = np.where(np.isnan(spikes), np.inf, spikes)
    index = np.broadcast_to(labels[:, None], (*times.shape[:-1], 1))
    right = np.take_along_axis(times, index, -1)[..., 0]
    np.put_along_axis(times, index, np.inf, -1)
    with np.errstate(invalid="ignore"):
        return times.min(axis=-1) - right > resolution
