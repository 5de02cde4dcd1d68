"""Training from errors: one loop for every network, on any engine (docs/layers.md).

The circuit decides by first spike. The engine reads, reads back and writes. Python, as the teacher,
only chooses which phi to pulse. In closed form the compiled kernel runs the same rule.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from memristive.closed_form.kernel_arrays import Seen
from memristive.engines.engine import Engine, opened
from memristive.files import FileProblem, restored_progress
from memristive.learning import rule as rules
from memristive.learning.rule import Doses, Rule, doses_of
from memristive.network.design import CLOSED_FORM, NGSPICE
from memristive.network.inputs import as_images, as_labels
from memristive.network.networks import KernelArrays, Network
from memristive.parameters import Fields, ParameterError, Values, check_kind
from memristive.scores.checks import warn_of_layers
from memristive.writing.base import Due, Plan
from memristive.writing.pulses import Counts, no_counts
from memristive.writing.ways import Ways, forget, kernel_ways, waiting_of

RUNNING = 1000  # last presentations, over which the running accuracy is the share of right answers
# presentations between two reports of a training; each block of them has a stream of random numbers
BLOCK = 1000


@dataclass
class Learning:
    """State of a training, as checkpoints keep it.

    Parameters
    ----------
    network : Network
    history : array of bool, presentations x 2
        For each presentation: True if the answer was right before the write, and True if cells were
        written.
    done : int
        Presentations done.
    """

    network: Network
    history: np.ndarray = field(repr=False)
    done: int = 0

    @classmethod
    def start(cls, network: Network, rule: Rule) -> "Learning":
        """Return a training before its first presentation."""
        return cls(network, np.zeros((rule.presentations, 2), bool))

    def arrays(self) -> Fields:
        """Return all arrays that a training changes, by name, for a checkpoint."""
        layers = {f"states_{k}": states for k, states in enumerate(self.network.states)}
        waiting = waiting_of(kernel_ways(self.network))
        layers |= {f"held_{k}": of_layer for k, of_layer in enumerate(waiting)}
        layers |= {f"wear_{k}": of_layer for k, of_layer in enumerate(self.network.wear)}
        return {**layers, "history": self.history, "done": self.done}

    def restored(self, arrays: Values, file: object = "the checkpoint") -> "Learning":
        """Return this training, which has just been started, as far as the `arrays` of the
        checkpoint `file` have come. Raises FileProblem, which names file and entry, if an array
        does not suit it.
        """
        stored = restored_progress(arrays, self.arrays(), file)
        done = int(stored["done"])
        if not 0 <= done <= len(self.history):
            raise FileProblem(f"{file}: done must be 0 to {len(self.history)}, got {done}")
        layers = range(len(self.network.states))
        states = tuple(stored[f"states_{k}"] for k in layers)
        waiting = tuple(stored[f"held_{k}"] for k in layers if f"held_{k}" in stored)
        network = dataclasses.replace(self.network, states=states, waiting=waiting)
        if network.wears:
            network = network.worn(tuple((stored[f"wear_{k}"] - network.wear[k]).T for k in layers))
        return Learning(network, stored["history"].copy(), done)

    @property
    def running_accuracy(self) -> float:
        """Share of right answers among the last `RUNNING` presentations."""
        return float(self.history[max(0, self.done - RUNNING) : self.done, 0].mean())


def learn(
    network: Network,
    rule: Rule,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    engine: str | Engine = CLOSED_FORM,
    name: str = "",
) -> Learning:
    """Train a network from start to end, and return the finished training, with the trained
    `network`.

    Parameters
    ----------
    network : Network
        Untrained, or trained before.
    rule : LayeredRule or ErrorDrivenRule
    images : array_like, n x inputs or n x height x width, levels 0 to 1
    labels : array_like, n
        Numbers of the classes, from 0. The output neuron number k learns the class k, so names
        cannot be labels: number them by ``np.unique(labels, return_inverse=True)[1]``, or use
        `MemristiveClassifier`.
    engine : str or Engine
        "closed-form", "ngspice", or any `Engine`, such as `NgspiceNetwork` with a SPICE model in
        each cell.
    name : str
        Name of the network, with which warnings begin.

    Returns
    -------
    Learning

    Raises
    ------
    ParameterError
        The engine is unknown, or the network has other numbers of inputs or classes. Or the images
        are no levels from 0 to 1, or the labels are no numbers of classes, or are all equal. Or the
        network is a passive array, in which pulses disturb other cells: emulators in ngspice cannot
        simulate this.
    SimulationError
        ngspice cannot complete a transient.

    Warns
    -----
    OperatingRangeWarning
        Of the trained network: stages clip, neurons are silent, one neuron wins far too many
        images, or states diverge.
    """
    check_kind("network", network, Network)
    check_kind("rule", rule, rules.LayeredRule, rules.ErrorDrivenRule)
    images = as_images(images, network.sizes[0], empty=False, shape=network.image_shape)
    labels = as_labels(labels, len(images), network.sizes[-1])
    if len(labels) > 1 and np.ptp(labels) == 0:
        raise ParameterError(
            f"labels must name two classes or more, got {labels[0]} for all {len(labels)} images"
        )
    learning = Learning.start(network, rule)
    deque(train(learning, rule, images, labels, engine=engine), 0)
    dose = "rule.dose" if isinstance(rule, rules.ErrorDrivenRule) else "rule.output_dose"
    warn_of_layers(learning.network, images, output_dose=dose, labels=labels, name=name)
    return learning


def train(
    learning: Learning,
    rule: Rule,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    engine: str | Engine = CLOSED_FORM,
    block: int = BLOCK,
    counts: Counts | None = None,
) -> Iterator[tuple[int, float]]:
    """Present the remaining images and update `learning`; other arguments and exceptions are those
    of `learn`.

    Parameters
    ----------
    learning : Learning
        Up to date whenever this function yields: after every presentation, in closed form after
        every `block` of them, and at multiples of 1,000.
    rule, images, labels, engine
    block : int
        Has no effect on what is learned.
    counts : Counts, optional
        From `no_counts`; in closed form the pulses of each cell are added to it.

    Yields
    ------
    (int, float)
        Presentations done, running accuracy.

    Raises
    ------
    ParameterError
        The rule has more presentations than `learning`.
    """
    network = learning.network
    images = as_images(images, network.sizes[0], empty=False, shape=network.image_shape)
    labels = as_labels(labels, len(images), network.sizes[-1])
    if rule.presentations > len(learning.history):
        raise ParameterError(
            f"presentations must be at most {len(learning.history)}, as at the start of this "
            f"training, got {rule.presentations}"
        )
    if engine == NGSPICE and network.way.half:
        raise ParameterError(
            "disturb_up and disturb_down must be 0 to train emulators in ngspice, which switch by "
            "phi; train in closed form"
        )
    if network.wears and engine != CLOSED_FORM:
        raise ParameterError("endurance counts pulses in closed form only: train with this engine")
    if engine == CLOSED_FORM:
        network.warn_of_doubts()
        yield from _train_compiled(
            learning, rule, images, labels, block, counts or no_counts(network)
        )
        return
    with opened(engine, network) as own:
        for order, rng in _blocks(learning, rule, len(images), BLOCK):
            for index in order.tolist():
                train_on_image(learning, rule, own, images[index], int(labels[index]), rng)
                yield learning.done, learning.running_accuracy


def _blocks(
    learning: Learning, rule: Rule, count: int, block: int
) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    """Yield for one block after the other the indices of its images, of `count` in all, and a
    random generator. A block ends at a multiple of `block` or of `BLOCK` presentations, or with the
    training.
    """
    rng = write_generator(rule, learning.done)
    while learning.done < rule.presentations:
        rng = rng if learning.done % BLOCK else write_generator(rule, learning.done)
        stop = min((learning.done // size + 1) * size for size in (block, BLOCK))
        yield rule.order(count, learning.done, min(stop, rule.presentations)), rng


def _train_compiled(
    learning: Learning,
    rule: Rule,
    images: np.ndarray,
    labels: np.ndarray,
    block: int,
    counts: Counts,
) -> Iterator[tuple[int, float]]:
    network, arrays = learning.network, KernelArrays(learning.network)
    doses, waiting, counted = (
        rules.doses_of(rule),
        0,
        tuple(pulses.copy() for pulses in counts.pulses),
    )
    for order, rng in _blocks(learning, rule, len(images), block):
        # only a block's levels are copied, so that memory does not grow with the number of images
        levels = network.rows(images[order])
        rows = network.read_levels(images[order])
        stop, history = learning.done + len(order), np.zeros((len(order), 2), np.bool_)
        noise = chip_noise(network, learning.done, stop)
        drawing = None if arrays.quiet and not network.pulses else rng
        machine = rules.Machine(
            arrays.layers,
            arrays.timing,
            arrays.ways,
            counts if network.pulses else None,
            arrays.states,
            arrays.work,
            arrays.patches,
            noise.write,
            np.zeros(1, int),
            network.neurons,
            drawing,
        )
        waiting = rules.train_compiled(
            *(machine, arrays.patches, doses, noise.read, levels, rows, labels[order]),
            *(learning.done, history, waiting, drawing),
        )
        if stop % BLOCK == 0:  # as a training that is resumed here
            forget(arrays.ways.late, arrays.ways.gate, waiting)
            waiting = 0
        learning.network = arrays.trained(learning.network, waiting)
        if network.wears:
            used = tuple(  # of all directions
                (pulses - before).reshape(-1, *pulses.shape[-2:]).sum(axis=0)
                for pulses, before in zip(counts.pulses, counted, strict=True)
            )
            counted = tuple(pulses.copy() for pulses in counts.pulses)
            learning.network = learning.network.worn(used)
            if stop % BLOCK == 0:  # until then, worn cells can still be written
                arrays = KernelArrays(learning.network)
        learning.history[learning.done : stop], learning.done = history, stop
        yield stop, learning.running_accuracy


def train_on_image(
    learning: Learning,
    rule: Rule,
    engine: Engine,
    image: np.ndarray,
    label: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Present an `image` (inputs, levels): read, and unless the right neuron, `label`, leads by the
    margin, read back and write.

    Updates `learning`; returns the first spikes of the last layer in s (nan: silent). Raises
    SimulationError.
    """
    done, network = learning.done, learning.network
    noise, ways, doses = chip_noise(network, done, done + 1), kernel_ways(network), doses_of(rule)
    read = engine.read(
        network, image, label=label, rng=rng, jitter=noise.read[0] if len(noise.read) else 0.0
    )
    seen = network.seen(*map(tuple, read))
    right, error, wrong = rules.judged(doses, seen.times[-1], label, done)
    if error:
        factors = noise.write[0] if noise.write is not None and len(noise.write) else None
        states = list(network.states)

        def read_back(engine: Engine, k: int, errors: np.ndarray) -> np.ndarray:
            noise = network.layers[k].back_noise(errors, rng)
            return engine.read_back(network, k, errors) + noise

        def write(engine: Engine, k: int, planned: Plan, due: Due) -> None:
            states[k] = engine.write(network, k, network.way.writes(due, factors), rng)

        corrected_layers(
            network, engine, read_back, write, doses, ways, seen, image, label, wrong, done
        )
        network = dataclasses.replace(network, states=tuple(states))
    forget(ways.late, ways.gate, 1)
    network = dataclasses.replace(network, waiting=waiting_of(ways))
    # Assigned last, all at once: an interrupted presentation leaves `learning` as it was before.
    learning.history[done] = right, error
    learning.network, learning.done = network, done + 1
    return seen.times[-1]


def corrected_layers(
    network: Network,
    machine: rules.M,
    read_back: Callable[[rules.M, int, np.ndarray], np.ndarray],
    write: Callable[[rules.M, int, Plan, Due], None],
    doses: Doses,
    ways: Ways,
    seen: Seen,
    image: np.ndarray,
    label: int,
    wrong: int,
    done: int,
) -> list[np.ndarray]:
    """Call `rule.correct` for a `network` and an `image` (inputs, levels), and return the errors of
    each layer's outputs, from the first layer on.
    """
    errors = rules.correct(
        *(machine, read_back, write, network.neurons, network.design.pairs, doses, ways, seen),
        *(network.rows(image[None])[0], network.patches, label, wrong, done),
    )
    return errors[::-1]


def chip_noise(network: Network, first: int, stop: int) -> rules.Noise:
    """Return the random noise of the network's chip in the presentations from number `first` on,
    before number `stop`. Every engine gets the same noise.
    """
    chip, write = network.chip, None if network.pulses else np.zeros((0, 0, 0))
    if chip and chip.write_noise and not network.pulses:
        write = np.array(
            [
                [chip.write_factors(k, column) for column in range(chip.classes)]
                for k in range(first, stop)
            ]
        )
    return rules.Noise(network.jitter("learning", first, stop), write)


def write_generator(rule: Rule, done: int) -> np.random.Generator:
    """Return the generator of the random numbers of reads and writes in the `BLOCK` presentations
    that begin with number `done`.
    """
    return np.random.default_rng([rule.seed, 3, done])


def learning_curve(history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the running accuracy over the last `RUNNING` presentations, and the number of
    presentations so far in which cells were written.

    Both are arrays with a value for each presentation; `history`: as in `Learning`.
    """
    right = np.cumsum(history[:, 0])
    counts = np.minimum(np.arange(1, len(right) + 1), RUNNING)
    before = np.concatenate([np.zeros(min(RUNNING, len(right)), int), right[:-RUNNING]])
    return (right - before) / counts, np.cumsum(history[:, 1])
