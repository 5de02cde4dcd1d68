"""MNIST without labels: the closed form learns, the training set assigns a digit to each neuron, ngspice reads.

The circuit is that of `circuit.py`. One bias sets the pace of learning: K, 1 / R_leak, the homeostatic current and its leak
are proportional to this bias. It falls over the run, so that the weights first move fast and then average over hundreds of
images. All constants were chosen by training on the first 50,000 training images and testing on the other 10,000.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memristive.learning.stdp.circuit import SelfLearningParameters, SelfLearningSetup
from memristive.learning.stdp.closed_form import constants, present_all, spike_times
from memristive.network.networks import Network
from memristive.network.ngspice_layer import NgspiceLayer
from memristive.network.setup import Schedule
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristive.spice.session import temporary_circuits
from memristor import MemristorParameters
from snn_circuit import NeuronParameters

DIGITS = 10
TARGET = 5.0  # V for each V of the input: K R_leak at any pace
PULSE = 0.6e-3  # s
CONTENDERS = 10  # neurons that ngspice simulates in a read: the first ones in closed form
STEP = 1000  # presentations between two changes of the pace


@dataclass(frozen=True)
class MnistLearning(Parameters):
    """Size, duration and time constants of learning MNIST without labels."""

    neurons: int = quantity(100, DIGITS, 2000, "", "neurons: at least one for each digit")
    epochs: int = quantity(3, 1, 1000, "", "presentations of each training image")
    seed: int = quantity(1, 0, 2**32 - 1, "", "seed of start states and order")
    first_time_constant: float = quantity(8.7e-3, 1e-4, 1e3, "s", "R_leak (C + C_gate) at first")
    last_time_constant: float = quantity(1.3, 1e-4, 1e4, "s", "the same at the end of the run; its inverse falls linearly, in "
                                         f"steps of {STEP:,} images")
    homeostasis_rate: float = quantity(84.0, 0.0, 1e6, "V/s", "growth of a threshold while its neuron fires, at first")
    homeostasis_memory: float = quantity(0.11, 1e-6, 1e6, "s", "time constant of a threshold's leak at first, for each neuron")

    def check(self) -> None:
        """Raise ParameterError if cells forget within a pulse, or faster at the end than at first."""
        if not PULSE < self.first_time_constant <= self.last_time_constant:
            raise ParameterError(f"first_time_constant must be above the pulse of {PULSE:g} s and not above last_time_constant, "
                                 f"got {self.first_time_constant:g} s and {self.last_time_constant:g} s")

    def pace(self, share: float) -> float:
        """Return the bias after a `share` of the run, relative to its start."""
        return 1 - share + share * self.first_time_constant / self.last_time_constant

    def setup(self, pace: float = 1.0) -> SelfLearningSetup:
        """Return the circuit with the bias at `pace`."""
        leak = self.first_time_constant / pace / MemristorParameters().memory_capacitance
        capacitance = 10e-9
        return SelfLearningSetup(
            MemristorParameters(transconductance=TARGET / leak, leak_resistance=leak),
            NeuronParameters(feedback_resistance=1.5e3, threshold=1.0, hysteresis=0.025),
            Schedule(pulse=PULSE, period=1.5e-3, sampling_step=11e-6),
            learning=SelfLearningParameters(homeostasis_current=self.homeostasis_rate * pace * capacitance,
                                            homeostasis_capacitance=capacitance,
                                            homeostasis_resistance=self.homeostasis_memory * self.neurons / pace / capacitance))


@dataclass
class NetworkState:
    """State of a network; learning changes it.

    Parameters
    ----------
    states : array, neurons x inputs, V
    homeostasis : array, neurons, V
    """

    states: np.ndarray
    homeostasis: np.ndarray


def draw_start(learning: MnistLearning, inputs: int, images: int) -> tuple[NetworkState, np.ndarray]:
    """Return the initial state, and the order of presentation: in each epoch a permutation of the images' indices."""
    generator = np.random.default_rng(learning.seed)
    states = generator.uniform(0.5, 1.5, (learning.neurons, inputs))
    shuffler = np.random.default_rng(generator.integers(0, 2**32, 4))
    order = np.concatenate([shuffler.permutation(images) for _ in range(learning.epochs)])
    return NetworkState(states, np.zeros(learning.neurons)), order


def learn(learning: MnistLearning, network: NetworkState, images: np.ndarray, order: np.ndarray) -> Iterator[np.ndarray]:
    """Learn images in closed form; yield the winners of each `STEP` presentations.

    Parameters
    ----------
    learning : MnistLearning
    network : NetworkState
        Changes in place.
    images : array, n x inputs
        Levels from 0 to 1.
    order : array, presentations
        Index of the image of each presentation.
    """
    for first in range(0, len(order), STEP):
        k = constants(learning.setup(learning.pace(first / len(order))))
        yield present_all(network.states, network.homeostasis, images, order[first:first + STEP], k)


def assign_digits(learning: MnistLearning, network: NetworkState, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the digit of each neuron: the digit whose images the neuron wins most often.

    A neuron that wins no image gets the digit with the most images.

    Parameters
    ----------
    learning, network, images
        As in `learn`; the network does not change.
    labels : array, n
        Digits of the images.
    """
    k, counts = constants(learning.setup()), np.zeros((learning.neurons, DIGITS), int)
    for image, label in zip(images, labels, strict=True):
        times = spike_times(network.states, network.homeostasis, image, k)
        counts[times.argmin(), label] += times.min() < np.inf
    counts[counts.sum(axis=1) == 0] = counts.sum(axis=0)
    return counts.argmax(axis=1)


def digit_spikes(spikes: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Return for each of the ten digits the first spike in s among its neurons; nan if none fires.

    So two neurons of one digit do not tie.

    Parameters
    ----------
    spikes : array, neurons, s
        First spikes; nan or inf for silent neurons.
    digits : array, neurons
        Digit of each neuron.
    """
    times = np.full(DIGITS, np.inf)
    np.fmin.at(times, digits, spikes)
    return np.where(np.isinf(times), np.nan, times)


def read_in_closed_form(learning: MnistLearning, network: NetworkState, images: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Return the first spike of each digit for each image: images x digits in s, nan if no neuron of the digit fires.

    Parameters
    ----------
    learning, network, images
        As in `learn`; the network does not change.
    digits : array, neurons
        Digit of each neuron.
    """
    k = constants(learning.setup())
    return np.array([digit_spikes(spike_times(network.states, network.homeostasis, image, k), digits) for image in images])


def read_in_ngspice(learning: MnistLearning, network: NetworkState, images: np.ndarray, digits: np.ndarray,
                    contenders: int = CONTENDERS) -> Iterator[np.ndarray]:
    """Yield for one image after the other the first spike of each digit in s, nan if no neuron of the digit fires.

    Inhibition and writes are left out, because the winner is known before either begins. A read ends one sampling step after
    the winner's spike.

    Parameters
    ----------
    learning, network, images, digits
        As in `read_in_closed_form`.
    contenders : int
        Number of neurons that are simulated. They are those that fire first in closed form.
    """
    setup, k, count = learning.setup(), constants(learning.setup()), min(contenders, learning.neurons)
    with temporary_circuits():
        reader = NgspiceLayer(Network.of(setup, network.states[:count]).layers[0])
        for image in images:
            predicted = spike_times(network.states, network.homeostasis, image, k)
            chosen = np.sort(np.argsort(predicted, kind="stable")[:count])
            spikes = reader.read(network.states[chosen], image, 1, jitter=network.homeostasis[chosen])[0]
            yield digit_spikes(spikes, digits[chosen])
