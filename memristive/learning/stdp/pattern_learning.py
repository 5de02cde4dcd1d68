"""Patterns learned without a teacher: one ngspice transient for each trial, its outcome, and its netlist for `ngspice -b`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memristive.learning.hebbian import Watch
from memristive.learning.stdp.circuit import LEARNING, SelfLearningSetup, self_learning_network, simulate
from memristive.learning.stdp.closed_form import constants, present_all
from memristive.network.chip import Chip
from memristive.network.spike_decoding import SILENT
from memristive.spice.netlist import netlist_text
from memristive.spice.parameters import ParameterError
from snn_circuit import names, state_names

START = (1.5, 2.5)  # V, range of the states at first
LAST = 10  # presentations of each pattern, the last of a trial, that determine the neuron of the pattern
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


def draw_trial(setup: SelfLearningSetup, patterns: np.ndarray, presentations: int, neurons: int, seed: int,
               dual_rail: bool = False, spread: float = 0.0, flipped: float = 0.0) -> Trial:
    """Return a trial; its start, its order, its chip and its flipped pixels are random and follow from `seed`.

    Parameters
    ----------
    setup : SelfLearningSetup
    patterns : array, patterns x pixels
        Levels from 0 to 1.
    presentations, neurons, seed : int
    dual_rail : bool
        Each pixel v drives two inputs, v and 1 - v, so that all patterns have the same weight.
    spread : float
        Relative device-to-device spread of channel gain, write gain and firing threshold.
    flipped : float
        Share of the pixels that are flipped at each presentation.

    Raises
    ------
    ParameterError
        There are fewer neurons than patterns, or `spread` or `flipped` is out of range.
    """
    if neurons < len(patterns):
        raise ParameterError(f"neurons must be {len(patterns)} or more, one for each pattern, got {neurons}")
    if not 0 <= flipped <= 1:
        raise ParameterError(f"flipped must be a share from 0 to 1, got {flipped:g}")

    def rails(images: np.ndarray) -> np.ndarray:
        return np.hstack([images, 1 - images]) if dual_rail else images

    generator = np.random.default_rng(seed)
    states = generator.uniform(*START, (neurons, rails(patterns).shape[1]))
    order = generator.integers(0, len(patterns), presentations)
    pixels = patterns[order]
    pixels = np.where(generator.random(pixels.shape) < flipped, 1 - pixels, pixels)
    if spread:
        chip = Chip(neurons, states.shape[1], seed, cell_gain=spread, cell_write_gain=spread, neuron_threshold=spread)
        setup = setup.replace(devices=chip.devices(setup.network))
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
        Neuron that fired first; SILENT if none fired.
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
        """Number of wins of each neuron in the last `LAST` presentations of each pattern: patterns x neurons."""
        last = [self.winners[self.order == pattern][-LAST:] for pattern in range(self.patterns)]
        return np.array([np.bincount(won[won != SILENT], minlength=self.states.shape[1]) for won in last])

    @property
    def neurons(self) -> np.ndarray:
        """Neuron that won most of the last presentations of each pattern; SILENT if no neuron won one."""
        return np.where(self.wins.any(axis=1), self.wins.argmax(axis=1), SILENT)

    @property
    def one_to_one(self) -> bool:
        """True if every pattern has a neuron of its own."""
        return len(set(self.neurons)) == self.patterns and SILENT not in self.neurons

    @property
    def purity(self) -> float:
        """Share of wins of each pattern's own neuron in the last `LAST` presentations of the pattern, over all patterns."""
        shown = sum(min(LAST, int(np.sum(self.order == pattern))) for pattern in range(self.patterns))
        return float(self.wins.max(axis=1).sum() / shown)


def learn(trial: Trial, watch: Watch = lambda parts: parts) -> Learned:
    """Run a trial in ngspice; `watch` wraps the iterator over the `PARTS` parts of the transient, e.g. with a progress bar."""
    return Learned(len(trial.patterns), trial.order, *simulate(trial.setup, trial.states, trial.images, parts=PARTS, watch=watch))


def predicted_winners(trial: Trial) -> np.ndarray:
    """Return the winner of each presentation of a trial in closed form.

    The closed form does not model devices that differ, stages at their rails, and membranes that have not yet fallen back when
    the next pattern begins.
    """
    volts = trial.setup.schedule.input_voltage * trial.images
    return present_all(trial.states.copy(), np.zeros(len(trial.states)), volts, np.arange(len(volts)), constants(trial.setup))


def batch_netlist(trial: Trial, labels: Sequence[str]) -> str:
    """Return the netlist of a trial for `ngspice -b` alone: it learns, then prints the winners and the learned states.

    Parameters
    ----------
    trial : Trial
    labels : sequence of str
        Names of the patterns.
    """
    (neurons, inputs), schedule, setup = trial.states.shape, trial.setup.schedule, trial.setup
    gates, outputs, high = state_names(neurons, inputs), names("output", neurons), setup.neuron.output_high / 2
    circuit = self_learning_network(setup, trial.states, trial.images)
    text = netlist_text(circuit, LEARNING, schedule.stop(len(trial.order)), gates + outputs, outputs)
    text = re.sub(r"\.print .*\n|\.end\n", "", text)
    lines = [".control", "run", "echo", "echo The neuron that fires at the last presentation of each pattern:",
             f"let fired = {' + '.join(f'(v({output}) gt {high:g})' for output in outputs)}",
             f"let number = {' + '.join(f'{j}*(v({output}) gt {high:g})' for j, output in enumerate(outputs))}"]
    for pattern, label in enumerate(labels):
        shown = np.flatnonzero(trial.order == pattern)
        if len(shown):
            time = schedule.start(int(shown[-1])) + schedule.pulse
            lines += [f"meas tran fired_{pattern} find fired at={time:.9g}",
                      f"meas tran found_{pattern} find number at={time:.9g}", f"let neuron = floor(found_{pattern} + 0.5)",
                      f"let count = floor(fired_{pattern} + 0.5)", "if count = 1",
                      f"echo pattern {label} is won by neuron $&neuron", "else",
                      f"echo pattern {label}: $&count neurons fire", "end"]
    lines += ["echo", "echo Learned states in V, neuron by neuron:", "let last = length(time) - 1"]
    for j in range(neurons):
        row = gates[j * inputs:(j + 1) * inputs]
        lines += [f"let x{i} = floor(10*v({gate})[last] + 0.5)/10" for i, gate in enumerate(row)]
        lines.append(f"echo neuron {j}: " + " ".join(f"$&x{i}" for i in range(inputs)))
    # Without "quit" ngspice 39 ends with exit code 1: there is no .print line.
    return text + "\n".join([*lines, "quit 0", ".endc", ".end", ""])
