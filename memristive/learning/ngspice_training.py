"""Multilayer networks trained in ngspice: every read, back-read and write is a transient; Python selects the phi to pulse.

The rule is that of learning/rule.py, whose functions the compiled closed form runs as well.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from memristive.devices.channel import drawn_number
from memristive.learning.layered_training import BLOCK, LayeredLearning, epoch_order, write_generator
from memristive.learning.rule import (
    LayeredRule,
    dose_factor,
    first_wrong_neuron,
    hidden_errors,
    is_right,
    margin_factor,
    output_errors,
    overlap_times,
)
from memristive.network.layers import READ_BLOCK, LayeredNetwork, read_generator
from memristive.network.ngspice_layers import BackReader, ColumnDose, ColumnWriter, LayeredReader
from memristive.spice.parameters import ParameterError
from memristive.spice.session import temporary_circuits


def read_in_ngspice(network: LayeredNetwork, images: np.ndarray, wanted: int = 2, seed: int = 0) -> Iterator[np.ndarray]:
    """Read images in ngspice, layer by layer; the circuits are unloaded at the end.

    Parameters
    ----------
    network : LayeredNetwork
    images : array, n x inputs, levels 0 to 1
    wanted : int
        A read ends once this many output neurons have fired.
    seed : int
        Seed of the read noise, as in `LayeredNetwork.forward`.

    Yields
    ------
    array, classes, s
        First spikes of the last layer; nan for a neuron that has not fired by the end of the read.

    Raises
    ------
    SimulationError
        ngspice cannot complete a transient.
    """
    reader, rng = LayeredReader(network), None
    try:
        for k, image in enumerate(images):
            rng = read_generator(seed, k) if k % READ_BLOCK == 0 else rng
            yield reader.read(network, image, wanted, rng=rng)[0][-1]
    finally:
        reader.unload()


def train_in_ngspice(learning: LayeredLearning, rule: LayeredRule, images: np.ndarray, labels: np.ndarray,
                     circuits: Circuits | None = None) -> Iterator[tuple[int, float]]:
    """Train in ngspice, with the arguments of `layered_training.train_layers`; yield after every presentation.

    `circuits`: of emulators by default, or `subcircuit_layers.ModelCells`, which put a SPICE model in every cell. Raises
    SimulationError.
    """
    with temporary_circuits():
        trainer = NgspiceTrainer(circuits or EmulatorCircuits(learning.network), rule, images, labels)
        while learning.done < rule.presentations:
            trainer.present(learning)
            yield learning.done, learning.running_accuracy


class Circuits(Protocol):
    """Circuits of a network that learns in ngspice."""

    def read(self, network: LayeredNetwork, image: np.ndarray, label: int,
             rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return first spikes in s and settled membranes in thresholds of each layer, as `LayeredReader.read` does."""

    def read_back(self, network: LayeredNetwork, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the back-read through a layer (counted from 0), as `LayeredNetwork.read_back` does."""

    def write(self, network: LayeredNetwork, layer: int, doses: Sequence[ColumnDose], rng: np.random.Generator) -> np.ndarray:
        """Return the states of a layer in V after writes of its columns, one after the other."""


class EmulatorCircuits:
    """Circuits with the emulator in every cell.

    Parameters
    ----------
    network : LayeredNetwork
        Network before the training.

    Raises
    ------
    ParameterError
        The network's pulses disturb other cells, as in a passive array. Emulators with phi cannot do this.
    """

    def __init__(self, network: LayeredNetwork) -> None:
        if network.pulses and max(network.pulses.disturb_up, network.pulses.disturb_down) > 0:
            raise ParameterError("disturb_up and disturb_down must be 0 to train emulators in ngspice, which switch by phi; "
                                 "train in closed form")
        self._reader = LayeredReader(network)
        self._back = [BackReader(network, layer) for layer in range(1, len(network.states))]
        self._writers = [ColumnWriter(network, states.shape[1], network.of_layer(layer).cells)
                         for layer, states in enumerate(network.states)]

    def read(self, network: LayeredNetwork, image: np.ndarray, label: int,
             rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Read one image."""
        return self._reader.read(network, image, label=label, rng=rng)

    def read_back(self, network: LayeredNetwork, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the back-read through a layer."""
        return self._back[layer - 1].read(network.states[layer], errors)

    def write(self, network: LayeredNetwork, layer: int, doses: Sequence[ColumnDose], rng: np.random.Generator) -> np.ndarray:
        """Return the states of a layer in V after writes of its columns."""
        states = network.states[layer].copy()
        for dose in doses:
            states[dose.column] = self._written(network, layer, states[dose.column], dose, rng)
        return states

    def _written(self, network: LayeredNetwork, layer: int, column: np.ndarray, write: ColumnDose,
                 rng: np.random.Generator) -> np.ndarray:
        """Return a column's states in V after a write."""
        (place, dose, shares), writer, pulses = write, self._writers[layer], network.pulses
        ones = np.ones(len(shares))
        if pulses is None:
            # An image's levels are voltages; spikes are times.
            levels, high = (ones, shares) if layer else (shares, ones)
            return writer.write(column, levels, high, dose / network.write_rate, place)
        curve, cells = network.parameters.memristor.curve, network.of_layer(layer).cells
        stuck = np.zeros(len(shares), bool) if cells is None else cells.transconductance[place] == 0
        numbers, noise = np.zeros(len(shares)), [list[float]() for _ in shares]
        for k, share in enumerate(shares.tolist()):  # draws in the order of the kernel
            numbers[k] = drawn_number(share * abs(dose) / pulses.step, bool(pulses.whole), rng)
            if pulses.write_noise and not stuck[k]:
                noise[k] = [pulses.write_noise * rng.standard_normal() for _ in range(math.ceil(numbers[k]))]
        for pulse in range(math.ceil(numbers.max())):
            parts = np.clip(numbers - pulse, 0.0, 1.0)
            column = writer.write(column, parts, ones, math.copysign(pulses.width, dose), place)
            if pulses.write_noise and curve:
                added = [draws[pulse] if pulse < len(draws) else 0.0 for draws in noise]
                noisy = np.clip(column + np.sqrt(parts) * added, curve.low, curve.high)
                column = np.where((parts > 0) & ~stuck, noisy, column)
        return column


class NgspiceTrainer:
    """The rule in ngspice, on images (n x inputs, levels 0 to 1) with `labels` (n), by the reads and writes of `circuits`."""

    def __init__(self, circuits: Circuits, rule: LayeredRule, images: np.ndarray, labels: np.ndarray) -> None:
        self._circuits, self._rule, self._images, self._labels = circuits, rule, images, labels
        self._rng: np.random.Generator | None = None

    def present(self, learning: LayeredLearning) -> np.ndarray:
        """Present the next image: read, and unless the right neuron leads, read back and write.

        Updates `learning`; returns the first spikes of the last layer in s. Raises SimulationError.
        """
        k = learning.done
        rule = self._rule
        index = epoch_order(rule, len(self._images), k, k + 1)[0]
        image, label = self._images[index], int(self._labels[index])
        self._rng = rng = write_generator(rule, k) if self._rng is None or k % BLOCK == 0 else self._rng
        times, settled = self._circuits.read(learning.network, image, label, rng)
        margin = rule.margin * margin_factor(k, rule.presentations, rule.final_margin)
        wrong = first_wrong_neuron(times[-1], label, margin)
        silent = bool(np.isnan(times[-1][label]))
        if silent or wrong is not None:
            errors = output_errors(len(times[-1]), label, -1 if wrong is None else wrong)
            states = self._correct(learning.network, image, times, settled, errors, k, rng)
            learning.network = dataclasses.replace(learning.network, states=states)
        learning.history[k] = is_right(times[-1], label), silent or wrong is not None
        learning.done = k + 1
        return times[-1]

    def _correct(self, network: LayeredNetwork, image: np.ndarray, times: list[np.ndarray], settled: list[np.ndarray],
                 errors: np.ndarray, done: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return the states after all back-reads, from the last layer to the first, and then all writes."""
        rule, design, last = self._rule, network.design, len(network.states) - 1
        found = [errors]
        for layer in range(last, 0, -1):
            back = self._circuits.read_back(network, layer, found[0])
            back = back + network.back_noise(found[0], len(back), rng)
            found.insert(0, hidden_errors(back, settled[layer - 1], rule.reach, 1.0 if layer == last else rule.error_scale))
        factor, result = dose_factor(done, rule.presentations, rule.final_dose), []
        for layer, layer_errors in enumerate(found):
            dose, neurons = factor * (rule.output_dose if layer == last else rule.hidden_dose), len(layer_errors)
            pair, doses = done % max(1, design.pairs), []  # in turn
            for j in np.flatnonzero(layer_errors).tolist():
                shares = np.append(image, 1.0)
                if layer:
                    rows = np.append(times[layer - 1], network.start_time)
                    shares = overlap_times(rows, times[layer][j], design.window) / network.parameters.neuron.time_constant
                signs = {pair * neurons + j: 1.0, (design.pairs + pair) * neurons + j: -1.0} if design.pairs else {j: 1.0}
                doses += [ColumnDose(column, sign * dose * layer_errors[j], shares) for column, sign in signs.items()]
            result.append(self._circuits.write(network, layer, doses, rng))
        return tuple(result)
