"""MNIST without labels: the closed form learns, the training set names the neurons, ngspice reads the test images.

The circuit is that of memristive/stdp/stdp_circuit.py. One bias sets the pace of all that learns (K, 1 / R_leak, homeostatic current
and leak are proportional to it) and falls over the run, from wide strides to an average over hundreds of images. All constants
were chosen by training on the first 50,000 training images and looking at the other 10,000.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memristive.single_layer.ngspice_crossbar import Reader
from memristive.single_layer.pulses import READING, Schedule
from memristive.single_layer.spike_decoding import strict_decision
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristive.spice.session import NgspiceSession
from memristive.stdp.stdp_circuit import (
    LEARNING,
    SelfLearningCircuit,
    SelfLearningParameters,
    self_learning_network,
    winners,
)
from memristive.variability.chip import Chip
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters, names, state_names

DIGITS = 10
TARGET = 5.0  # V per V of the input: K R_leak at any pace
PULSE = 0.6e-3  # s
CONTENDERS = 10  # neurons whose columns ngspice simulates: those that the closed form puts first
PART = 10  # presentations in one transient of a large network
# Of a stretch: a quarter fewer time points; the cells that were compared after two presentations kept their states to 0.1 uV.
STRETCH_SOLVER = dataclasses.replace(LEARNING, trtol=70.0)
STRETCH = 1000  # presentations in one go, between which the pace falls and progress is shown


@dataclass(frozen=True)
class MnistLearning(Parameters):
    """How MNIST is learned without labels."""

    neurons: int = quantity(100, DIGITS, 2000, "", "neurons: at least one a digit")
    epochs: int = quantity(3, 1, 1000, "", "times that every training image is presented")
    seed: int = quantity(1, 0, 2**32 - 1, "", "of start states and order")
    first_time_constant: float = quantity(8.7e-3, 1e-4, 1e3, "s", "R_leak (C + C_gate) at first")
    last_time_constant: float = quantity(1.3, 1e-4, 1e4, "s", "the same where the run ends; its inverse falls in a straight "
                                         f"line, a step every {STRETCH:,} images: the last of N has at most N times the first")
    homeostasis_rate: float = quantity(84.0, 0.0, 1e6, "V/s", "growth of a threshold while its neuron fires, at first")
    homeostasis_memory: float = quantity(0.11, 1e-6, 1e6, "s", "time constant of a threshold's leak at first, for each neuron")

    def check(self) -> None:
        if not self.first_time_constant > PULSE:
            raise ParameterError(f"first_time_constant of {self.first_time_constant:g} s forgets within a pulse: it must exceed "
                                 f"{PULSE:g} s")
        if not self.first_time_constant <= self.last_time_constant:
            raise ParameterError(f"first_time_constant must not exceed last_time_constant, got {self.first_time_constant:g} "
                                 f"and {self.last_time_constant:g} s")

    def pace(self, share: float) -> float:
        """The bias, 1 at first, when a `share` of the run is over."""
        return 1 - share + share * self.first_time_constant / self.last_time_constant

    def circuit(self, pace: float = 1.0) -> SelfLearningCircuit:
        """The circuit while the bias is at `pace`."""
        leak = self.first_time_constant / pace / MemristorParameters().memory_capacitance
        capacitance = 10e-9
        return SelfLearningCircuit(
            NetworkParameters(MemristorParameters(transconductance=TARGET / leak, leak_resistance=leak),
                              NeuronParameters(feedback_resistance=1.5e3, threshold=1.0, hysteresis=0.025)),
            SelfLearningParameters(homeostasis_current=self.homeostasis_rate * pace * capacitance,
                                   homeostasis_capacitance=capacitance,
                                   homeostasis_resistance=self.homeostasis_memory * self.neurons / pace / capacitance),
            Schedule(pulse=PULSE, period=1.5e-3, sampling_step=11e-6))


@dataclass
class Network:
    """What is learned: changes from stretch to stretch."""

    states: np.ndarray  # neurons x inputs, V
    homeostasis: np.ndarray  # neurons, V

    def copy(self) -> "Network":
        """The same, not to change when this does."""
        return Network(self.states.copy(), self.homeostasis.copy())

    def apart(self, other: "Network") -> dict[str, float]:
        """How far the states and the homeostatic voltages are from those of `other`, in V."""
        states = self.states - other.states
        return {"largest_deviation_V": float(np.abs(states).max()), "rms_deviation_V": float(np.sqrt(np.mean(states ** 2))),
                "homeostasis_deviation_V": float(np.abs(self.homeostasis - other.homeostasis).max())}


def begin(learning: MnistLearning, inputs: int) -> tuple[Network, np.ndarray]:
    """The network at first, and a seed for the order of presentation."""
    generator = np.random.default_rng(learning.seed)
    states = generator.uniform(0.5, 1.5, (learning.neurons, inputs))
    return Network(states, np.zeros(learning.neurons)), generator.integers(0, 2**32, 4)


def presentation_order(learning: MnistLearning, count: int, seed: np.ndarray) -> np.ndarray:
    """Indices of `count` images in the order of presentation, a permutation of all for each epoch."""
    generator = np.random.default_rng(seed)
    return np.concatenate([generator.permutation(count) for _ in range(learning.epochs)])


def stretches(learning: MnistLearning, network: Network, images: np.ndarray, order: np.ndarray) -> Iterator[np.ndarray]:
    """Learn `images` (n x inputs, 0 to 1) in `order`, by the closed form; yields the winners of each stretch."""
    from memristive.stdp.stdp_closed_form import numbers, present_all  # loads numba

    for first in range(0, len(order), STRETCH):
        design = learning.circuit(learning.pace(first / len(order)))
        yield present_all(network.states, network.homeostasis, images, order[first:first + STRETCH], numbers(design))


def first_to_fire(learning: MnistLearning, network: Network, images: np.ndarray) -> np.ndarray:
    """The neuron that fires first at each image by the closed form, SILENT where none does."""
    from memristive.stdp.stdp_closed_form import first_neurons, numbers

    return first_neurons(network.states, network.homeostasis, images, numbers(learning.circuit()))


def closed_form_decisions(learning: MnistLearning, network: Network, images: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """The strict decisions on `images` (n x inputs, 0 to 1) by the closed form, the neurons standing for `digits`."""
    from memristive.stdp.stdp_closed_form import numbers, spike_times

    circuit = numbers(learning.circuit())
    spikes = (spike_times(network.states, network.homeostasis, image, circuit) for image in images)
    return np.array([decide(np.where(np.isinf(times), np.nan, times), digits) for times in spikes])


def digit_leads(learning: MnistLearning, network: Network, images: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """By how much in s the first spike comes before that of any other digit (array of images; inf where no other fires)."""
    from memristive.stdp.stdp_closed_form import numbers, spike_times

    circuit, leads = numbers(learning.circuit()), np.full(len(images), np.inf)
    for n, image in enumerate(images):
        times = np.full(DIGITS, np.inf)
        np.minimum.at(times, digits, spike_times(network.states, network.homeostasis, image, circuit))
        first, second = np.sort(times)[:2]
        if np.isfinite(second):
            leads[n] = second - first
    return leads


def name_neurons(first: np.ndarray, labels: np.ndarray, neurons: int) -> np.ndarray:
    """The digit that each neuron stands for: the one for whose training images it fired first most often.

    A neuron that never did takes the commonest digit of all, which it will hardly ever have to answer.
    """
    counts = np.zeros((neurons, DIGITS), int)
    fired = first >= 0
    np.add.at(counts, (first[fired], labels[fired]), 1)
    counts[counts.sum(axis=1) == 0] = counts.sum(axis=0)
    return counts.argmax(axis=1)


def decide(spikes: np.ndarray, digits: np.ndarray) -> int:
    """The strict decision of neurons that stand for `digits` by their first `spikes` (s, nan: silent): a digit, TIED or SILENT.

    Two neurons of the same digit do not tie.
    """
    return strict_decision(first_spikes_of_digits(spikes, digits))


def first_spikes_of_digits(spikes: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """When the first of the neurons that stand for each digit fires (s, nan: none), by all their first `spikes`."""
    times = np.full(DIGITS, np.inf)
    np.minimum.at(times, digits, np.where(np.isnan(spikes), np.inf, spikes))
    return np.where(np.isinf(times), np.nan, times)


class NgspiceReader:
    """Reads images in ngspice, their inhibition and writes left out: who fires first is decided before both."""

    def __init__(self, session: NgspiceSession, learning: MnistLearning, network: Network, contenders: int = CONTENDERS) -> None:
        from memristive.stdp.stdp_closed_form import numbers

        design, self._network = learning.circuit(), network
        self._count = min(contenders, learning.neurons)
        self._numbers = numbers(design)
        chip = Chip(self._count, network.states.shape[1])  # an ideal one, whose thresholds can be altered
        self._reader = Reader(session, design.network, design.schedule, self._count, READING, chip)

    def spikes(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The neurons simulated, and their first spikes in s (nan: not seen to fire by a sampling step after the first)."""
        from memristive.stdp.stdp_closed_form import spike_times

        states, homeostasis = self._network.states, self._network.homeostasis
        foretold = spike_times(states, homeostasis, image, self._numbers)
        chosen = np.sort(np.argsort(foretold, kind="stable")[:self._count])
        return chosen, self._reader.spikes(states[chosen], image, 1, homeostasis[chosen])


class Stretch(NamedTuple):
    """Some presentations as the closed form foretells them."""

    winners: np.ndarray  # presentations, SILENT where no neuron fires
    leads: np.ndarray  # presentations, by how much the first spike comes before the second in s, inf where there is none


def stretch_by_closed_form(learning: MnistLearning, network: Network, images: np.ndarray) -> Stretch:
    """Learn `images` (n x inputs) one after the other at the first pace, by the closed form."""
    from memristive.stdp.stdp_closed_form import numbers, present, spike_times  # loads numba

    circuit, found, leads = numbers(learning.circuit()), np.empty(len(images), int), np.full(len(images), np.inf)
    for n, image in enumerate(images):
        first, second = np.sort(spike_times(network.states, network.homeostasis, image, circuit))[:2]
        if np.isfinite(second):
            leads[n] = second - first
        found[n] = present(network.states, network.homeostasis, image, circuit)
    return Stretch(found, leads)


def stretches_in_ngspice(session: NgspiceSession, learning: MnistLearning, network: Network,
                         images: np.ndarray) -> Iterator[np.ndarray]:
    """Learn `images` (n x inputs) at the first pace in ngspice, neurons, inhibition and all; yields the winners of each part.

    Transients of `PART` presentations, each from the states, thresholds and membranes that the last one left: one of
    hundreds would keep gigabytes of waveforms.
    """
    design, (neurons, inputs) = learning.circuit(), network.states.shape
    gates, voltages = state_names(neurons, inputs), names("homeostasis", neurons)
    for first in range(0, len(images), PART):
        part = images[first:first + PART]
        circuit = self_learning_network(design, network.states, part, network.homeostasis)
        circuit.raw_spice += ".options klu\n"  # thousands of cells take ngspice's older solver 1.4 times as long
        loaded = session.load(circuit, STRETCH_SOLVER, gates + voltages + names("output", neurons))
        try:
            # At rest a membrane stands as far below ground as its homeostatic voltage stands above.
            loaded.alter({f"c.xneuron_{j}.cmembrane ic": -float(volts) for j, volts in enumerate(network.homeostasis)})
            waves = loaded.run(design.schedule.stop(len(part)))
            found = winners(waves, design, neurons, len(part))
            network.states = waves.stack(gates)[:, -1].reshape(neurons, inputs)
            network.homeostasis = waves.stack(voltages)[:, -1]
        finally:
            session.unload(loaded)
        yield found
