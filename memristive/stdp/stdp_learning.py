"""Learning without a teacher, in the circuit of `stdp_circuit`: patterns and MNIST.

Patterns: ngspice learns, in one transient for each trial. MNIST: the closed form learns, the
training set assigns a digit to each neuron, and ngspice reads. For MNIST one bias sets the pace of
learning: K, 1 / R_leak, the homeostatic current and its leak are proportional to this bias. It
falls over the run, so that the weights first move fast and then average over hundreds of images.
All constants were chosen by training on the first 50,000 training images and testing on the other
10,000.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memristive.engines.ngspice_layer import NgspiceLayer
from memristive.network.chip import Chip
from memristive.network.design import Schedule
from memristive.network.networks import Network
from memristive.parameters import Parameters, quantity
from memristive.scores.decisions import SILENT
from memristive.spice.session import temporary_circuits
from memristive.stdp.stdp_circuit import (
    SelfLearningParameters,
    SelfLearningSetup,
    constants,
    learn_images,
    spike_times,
)
from memristor import MemristorParameters
from snn_circuit import NeuronParameters

START = (1.5, 2.5)  # V, range of the states at first
# presentations of each pattern, the last of a trial, that determine the neuron of the pattern
LAST = 10
PARTS = 40  # of a transient, for a progress bar


@dataclass(frozen=True)
class Trial:
    """One trial: its circuit, its patterns, and all that is random.

    Parameters
    ----------
    setup : SelfLearningSetup
        Circuit with the devices of the trial's chip.
    patterns : array, patterns x inputs
        Levels from 0 to 1.
    states : array, neurons x inputs, V
        X at first.
    order : array, presentations
        Pattern of each presentation.
    images : array, presentations x inputs
        Patterns with flipped pixels.
    """

    setup: SelfLearningSetup
    patterns: np.ndarray
    states: np.ndarray
    order: np.ndarray
    images: np.ndarray


def draw_trial(
    setup: SelfLearningSetup,
    patterns: np.ndarray,
    presentations: int,
    seed: int,
    dual_rail: bool = False,
    spread: float = 0.0,
    flipped: float = 0.0,
) -> Trial:
    """Return a trial with a neuron for each pattern. Start, order, chip and flipped pixels are
    random and follow from `seed`.

    Parameters
    ----------
    setup : SelfLearningSetup
    patterns : array, patterns x pixels
        Levels from 0 to 1.
    presentations, seed : int
    dual_rail : bool
        Each pixel v drives two inputs, v and 1 - v, so that all patterns have the same weight.
    spread : float
        Relative device-to-device spread of channel gain, write gain and firing threshold.
    flipped : float
        Share of the pixels that are flipped at each presentation.

    Raises
    ------
    ParameterError
        `spread` is out of range.
    """
    neurons = len(patterns)

    def rails(images: np.ndarray) -> np.ndarray:
        return np.hstack([images, 1 - images]) if dual_rail else images

    generator = np.random.default_rng(seed)
    states = generator.uniform(*START, (neurons, rails(patterns).shape[1]))
    order = generator.integers(0, len(patterns), presentations)
    pixels = patterns[order]
    pixels = np.where(generator.random(pixels.shape) < flipped, 1 - pixels, pixels)
    if spread:
        chip = Chip(
            neurons,
            states.shape[1],
            seed,
            cell_gain=spread,
            cell_write_gain=spread,
            neuron_threshold=spread,
        )
        setup = setup.replace(devices=chip.devices(setup.parameters))
    return Trial(setup, rails(patterns), states, order, rails(pixels))


@dataclass(frozen=True)
class Learned:
    """Outcome of a trial, presentation by presentation.

    Parameters
    ----------
    patterns : int
        Number of patterns, including those that were never presented.
    order : array, presentations
        Pattern of each presentation.
    winners : array, presentations
        Index of the neuron that fired first; SILENT if none fired.
    states : array, (1 + presentations) x neurons x inputs, V
        X before each presentation and at the end.
    homeostasis : array, (1 + presentations) x neurons, V
        Homeostatic voltages at the same times.
    """

    patterns: int
    order: np.ndarray
    winners: np.ndarray
    states: np.ndarray
    homeostasis: np.ndarray

    @property
    def wins(self) -> np.ndarray:
        """Number of wins of each neuron in the last `LAST` presentations of each pattern (patterns
        x neurons).
        """
        last = [self.winners[self.order == pattern][-LAST:] for pattern in range(self.patterns)]
        return np.array(
            [np.bincount(won[won != SILENT], minlength=self.states.shape[1]) for won in last]
        )

    @property
    def neurons(self) -> np.ndarray:
        """Index, for each pattern, of the neuron that won most of the pattern's last `LAST`
        presentations; SILENT if no neuron won any of them.
        """
        return np.where(self.wins.any(axis=1), self.wins.argmax(axis=1), SILENT)

    @property
    def one_to_one(self) -> bool:
        """True if every pattern has a neuron of its own."""
        return len(set(self.neurons)) == self.patterns and SILENT not in self.neurons

    @property
    def purity(self) -> float:
        """Share of the last `LAST` presentations of each pattern that the pattern's own neuron won,
        over all patterns.
        """
        shown = sum(
            min(LAST, int(np.sum(self.order == pattern))) for pattern in range(self.patterns)
        )
        return float(self.wins.max(axis=1).sum() / shown)


def predicted_winners(trial: Trial) -> np.ndarray:
    """Return the index of the winner in each presentation of a trial (SILENT: none), in closed
    form.

    The closed form does not model devices that differ, stages at their rails, and membranes that
    have not yet fallen back when the next pattern begins.
    """
    volts = trial.setup.schedule.input_voltage * trial.images
    return learn_images(
        trial.states.copy(),
        np.zeros(len(trial.states)),
        volts,
        np.arange(len(volts)),
        constants(trial.setup),
    )


DIGITS = 10
TARGET = 5.0  # V for each V of the input: K R_leak at any pace
PULSE = 0.6e-3  # s
CONTENDERS = 10  # neurons that ngspice simulates in a read: the first ones in closed form
PACE_STEP = 1000  # presentations between two changes of the pace


@dataclass(frozen=True)
class MnistLearning(Parameters):
    """Size, duration and time constants of learning MNIST without labels."""

    neurons: int = quantity(100, DIGITS, 2000, "", "neurons: at least one for each digit")
    epochs: int = quantity(3, 1, 1000, "", "presentations of each training image")
    seed: int = quantity(1, 0, 2**32 - 1, "", "seed of start states and order")
    first_time_constant: float = quantity(8.7e-3, 1e-4, 1e3, "s", "R_leak (C + C_gate) at first")
    last_time_constant: float = quantity(
        1.3,
        1e-4,
        1e4,
        "s",
        f"the same at the end of the run; its inverse falls linearly, in steps of {PACE_STEP:,} "
        "images",
    )
    homeostasis_rate: float = quantity(
        84.0, 0.0, 1e6, "V/s", "growth of a threshold while its neuron fires, at first"
    )
    homeostasis_memory: float = quantity(
        0.11, 1e-6, 1e6, "s", "time constant of a threshold's leak at first, for each neuron"
    )

    def pace(self, share: float) -> float:
        """Return the pace of learning after a `share` of the run, relative to that at the start."""
        return 1 - share + share * self.first_time_constant / self.last_time_constant

    def setup(self, pace: float = 1.0) -> SelfLearningSetup:
        """Return the circuit at a `pace` of learning, which is relative to the start of the run.

        K, 1 / R_leak, and the current and leak of homeostasis are in proportion to `pace`, as one
        bias sets them all (docs/learning.md). `pace` falls over the run.
        """
        leak = self.first_time_constant / pace / MemristorParameters().memory_capacitance
        capacitance = 10e-9
        return SelfLearningSetup(
            MemristorParameters(transconductance=TARGET / leak, leak_resistance=leak),
            NeuronParameters(feedback_resistance=1.5e3, threshold=1.0, hysteresis=0.025),
            Schedule(pulse=PULSE, period=1.5e-3, sampling_step=11e-6),
            learning=SelfLearningParameters(
                homeostasis_current=self.homeostasis_rate * pace * capacitance,
                homeostasis_capacitance=capacitance,
                homeostasis_resistance=self.homeostasis_memory * self.neurons / pace / capacitance,
            ),
        )


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


def draw_start(
    learning: MnistLearning, inputs: int, images: int
) -> tuple[NetworkState, np.ndarray]:
    """Return the initial state of a network with some `inputs`, and the index of the image in each
    presentation: in each epoch a permutation of all `images` (their number).
    """
    generator = np.random.default_rng(learning.seed)
    states = generator.uniform(0.5, 1.5, (learning.neurons, inputs))
    shuffler = np.random.default_rng(generator.integers(0, 2**32, 4))
    order = np.concatenate([shuffler.permutation(images) for _ in range(learning.epochs)])
    return NetworkState(states, np.zeros(learning.neurons)), order


def learn_digits(
    learning: MnistLearning, network: NetworkState, images: np.ndarray, order: np.ndarray
) -> Iterator[np.ndarray]:
    """Learn images in closed form, in runs of `PACE_STEP` presentations. The bias changes from run
    to run.

    Parameters
    ----------
    learning : MnistLearning
    network : NetworkState
        Changes in place.
    images : array, n x inputs
        Levels from 0 to 1.
    order : array, presentations
        Index of the image of each presentation.

    Yields
    ------
    array of int, presentations of the run
        Index of the neuron that fires first in each presentation; SILENT if none fires.
    """
    for first in range(0, len(order), PACE_STEP):
        k = constants(learning.setup(learning.pace(first / len(order))))
        yield learn_images(
            network.states, network.homeostasis, images, order[first : first + PACE_STEP], k
        )


def assign_digits(
    learning: MnistLearning, network: NetworkState, images: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Return the digit of each neuron: the digit whose images the neuron wins most often.

    A neuron that wins no image gets the digit with the most images.

    Parameters
    ----------
    learning, network, images
        As in `learn_digits`; the network does not change.
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

    Two neurons of one digit can therefore not tie.

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


def read_in_closed_form(
    learning: MnistLearning, network: NetworkState, images: np.ndarray, digits: np.ndarray
) -> np.ndarray:
    """Return the first spike of each digit for each image, in closed form: images x digits in s,
    nan if no neuron of the digit fires.

    Parameters
    ----------
    learning, network, images
        As in `learn_digits`; the network does not change.
    digits : array, neurons
        Digit of each neuron.
    """
    k = constants(learning.setup())
    return np.array(
        [
            digit_spikes(spike_times(network.states, network.homeostasis, image, k), digits)
            for image in images
        ]
    )


def read_in_ngspice(
    learning: MnistLearning,
    network: NetworkState,
    images: np.ndarray,
    digits: np.ndarray,
    contenders: int = CONTENDERS,
) -> Iterator[np.ndarray]:
    """Yield for one image after the other the first spike of each digit (array of ten, s),
    simulated in ngspice; nan if no neuron of the digit fires.

    Inhibition and writes are left out, because the winner is known before either begins. A read
    ends one sampling step after the winner's spike.

    Parameters
    ----------
    learning, network, images, digits
        As in `read_in_closed_form`.
    contenders : int
        Number of neurons that ngspice simulates: those that fire first in closed form.
    """
    setup, k, count = (
        learning.setup(),
        constants(learning.setup()),
        min(contenders, learning.neurons),
    )
    with temporary_circuits():
        reader = NgspiceLayer(Network.of(setup, network.states[:count]).layers[0])
        for image in images:
            predicted = spike_times(network.states, network.homeostasis, image, k)
            chosen = np.sort(np.argsort(predicted, kind="stable")[:count])
            spikes = reader.read(
                network.states[chosen], image, 1, jitter=network.homeostasis[chosen]
            )[0]
            yield digit_spikes(spikes, digits[chosen])
