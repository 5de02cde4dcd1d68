"""What the studies of layers share: data sets, training with progress and checkpoints, voltages files, testing."""

import argparse
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import shift
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from datasets import encode, load_mnist
from memristive.cli.command_line import progress, warn
from memristive.cli.experiments import SIZE, network_of
from memristive.cli.kept import kept_if_stopped, save_whole, way_on
from memristive.cli.layer_reads import read_layers
from memristive.io.checkpoints import AFRESH, load_checkpoint, refuse_progress
from memristive.io.predictions import Partial
from memristive.io.voltages import Voltages, VoltagesError, load_layers
from memristive.multilayer.clipping import MOST, complaint
from memristive.multilayer.layer_chips import layer_chips
from memristive.multilayer.layer_netlist import LayerDesign, layered_network
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, begin, train
from memristive.multilayer.layer_ngspice import READING_LAYERS
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.layer_sessions import train_in_ngspice
from memristive.single_layer.engines import CLOSED_FORM, NGSPICE
from memristive.single_layer.pulses import edges
from memristive.single_layer.scores import interval
from memristive.single_layer.spike_decoding import RESOLUTION, SILENT, TIED, strict_decision
from memristive.spice.parameters import ParameterError
from memristive.spice.session import netlist_text
from memristive.variability.chip import Chip
from snn_circuit import names

XOR_IMAGES, XOR_LABELS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
CHECKPOINT_EVERY = 30  # s
SIZED = ("mnist", "mnist_shifted")  # whose images come in any size
SPLIT = ("digits", "digits_shifted")  # what has a split of its own for each seed
SHIFTS = ((0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5))  # pixels


@dataclass(frozen=True)
class LayeredData:
    """Images (n x inputs, levels 0 to 1) and labels of a data set, to train on and to test on."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def with_moved(images: np.ndarray) -> np.ndarray:
    """MNIST's `images` (n x 28 x 28), then all of them moved by a pixel down, up, right and left, dark where nothing was."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return np.concatenate([padded[:, y:y + images.shape[1], x:x + images.shape[2]] for y, x in corners])


def with_shifted(images: np.ndarray) -> np.ndarray:
    """The 8x8 `images` (n x 64, levels 0 to 1), then all of them moved by each of `SHIFTS`, dark where nothing was."""
    squares = images.reshape(-1, 8, 8)
    moved = [shift(squares, (0.0, *by), order=1).reshape(images.shape) for by in SHIFTS]
    return np.concatenate([images, *moved])


@dataclass(frozen=True)
class LayeredTask:
    """What layers learn: the rule that was chosen on held-out training images (XOR's by its four images), the hidden neurons."""

    name: str
    rule: LayeredRule
    hidden: tuple[int, ...]
    classes: int = 10

    @property
    def names(self) -> list[str]:
        """Of the classes."""
        return [str(j) for j in range(self.classes)]

    def shape(self, size: int) -> tuple[int, int]:
        """Rows and columns of an image."""
        return {"xor": (1, 2), "digits": (8, 8), "digits_shifted": (8, 8)}.get(self.name, (size, size))

    def data(self, size: int, seed: int) -> LayeredData:
        """Its images; `size` is the side of MNIST's, `seed` chooses the 360 of scikit-learn's 1,797 digits that are tested.

        digits_shifted: the same split, the images trained on also half a pixel up, down, left and right; mnist_shifted: MNIST,
        the images trained on also moved by one of its 28 pixels.
        """
        if self.name == "xor":
            return LayeredData(XOR_IMAGES, XOR_LABELS, XOR_IMAGES, XOR_LABELS)
        if self.name in SPLIT:
            images, labels = load_digits(return_X_y=True)
            trained, tested, train_labels, test_labels = train_test_split(images / 16, labels, test_size=360, random_state=seed,
                                                                          stratify=labels)
            if self.name == "digits_shifted":
                trained, train_labels = with_shifted(trained), np.tile(train_labels, 1 + len(SHIFTS))
            return LayeredData(trained, train_labels, tested, test_labels)
        arrays = load_mnist()
        trained, labels = arrays["x_train"], arrays["y_train"].astype(int)
        if self.name == "mnist_shifted":
            trained, labels = with_moved(trained), np.tile(labels, 5)
        return LayeredData(encode(trained, size, "grey"), labels,
                           encode(arrays["x_test"], size, "grey"), arrays["y_test"].astype(int))


TASKS = {task.name: task for task in (
    LayeredTask("mnist", LayeredRule(), (200,)),
    LayeredTask("mnist_shifted", LayeredRule(), (300,)),
    LayeredTask("digits", LayeredRule(presentations=60_000, start_drive_spread=0.5), (100,)),
    LayeredTask("digits_shifted", LayeredRule(presentations=150_000, start_drive_spread=0.5), (200,)),
    LayeredTask("xor", LayeredRule(presentations=240, hidden_dose=0.3, output_dose=0.6, margin=10e-6, start_weight=0.5,
                                   start_weight_spread=1.0), (16,), 2))}


def stem_of(data: str, size: int) -> str:
    """What the files of a data set's layers are called by; `size` is the side of MNIST's images."""
    return f"layers_{data}" + f"_{size}x{size}" * (size != SIZE)


def refuse_size(parser: argparse.ArgumentParser, data: str, size: int | None) -> None:
    """End with one line if the option --size is given for a data set whose images come in one size."""
    if size is not None and data not in SIZED:
        parser.error(f"--size is of MNIST's images; {data} has its own")


# What has no bearing on networks of so many hidden layers.
IDLE = {0: ("hidden_dose", "start_weight", "start_weight_spread", "reach", "error_scale"), 1: ("error_scale",)}


def refuse_idle(parser: argparse.ArgumentParser, options: argparse.Namespace, hidden: Sequence[int]) -> None:
    """End with one line if an option of the rule is given that would be ignored, with `hidden` neurons in each hidden layer."""
    for name in IDLE.get(len(hidden), ()):
        if name in vars(options):
            parser.error(f"--{name.replace('_', '-')} has no bearing on a network "
                         + ("without hidden layers" if not hidden else "of one hidden layer: its errors come from the last one"))


def on_chip(network: LayeredNetwork, chip: Chip | None) -> LayeredNetwork:
    """The `network` on a chip (None: an ideal one). Raises ParameterError for deviations that layers do not have."""
    return dataclasses.replace(network, chip=layer_chips(chip, network.sizes) if chip else None)


@dataclass(frozen=True)
class LayeredPlan:
    """Which network is to be trained how; `size` is the side of MNIST's images."""

    task: LayeredTask
    rule: LayeredRule
    hidden: tuple[int, ...]
    size: int = SIZE
    engine: str = CLOSED_FORM
    chip: Chip | None = None  # an ideal one

    def data(self) -> LayeredData:
        """The images; what is held back of the digits depends on the rule's seed."""
        return self.task.data(self.size, self.rule.seed)

    def begin(self, data: LayeredData) -> LayeredNetwork:
        """The untrained network. Raises ParameterError for a chip whose deviations layers do not have."""
        return on_chip(begin(self.hidden, self.task.classes, data.images, self.rule), self.chip)

    def as_dict(self) -> dict[str, Any]:
        """As plain numbers, for the files that record how a result was made."""
        return {"dataset": self.task.name, "hidden": list(self.hidden), "learning": self.rule.as_dict(), "engine": self.engine,
                **({"size": self.size} if self.task.name in SIZED else {}),
                **({"chip": self.chip.as_dict()} if self.chip else {})}


def learn(learning: LayeredLearning, rule: LayeredRule, data: LayeredData) -> LayeredLearning:
    """The `learning` after the whole run of the rule, in closed form."""
    for _ in train(learning, rule, data.images, data.labels):
        pass
    return learning


class LayeredTraining:
    """A training from its start, or its checkpoint, to trained states; `parameters` are all that made them."""

    def __init__(self, plan: LayeredPlan, data: LayeredData, checkpoint: Path) -> None:
        self.plan, self.data, self.seconds = plan, data, 0.0
        self._checkpoint, self._again = checkpoint, way_on(False)
        self.start = start = plan.begin(data)
        self.learning = LayeredLearning.begin(start, plan.rule)
        self.parameters = {**plan.as_dict(), "sizes": list(start.sizes), "network": start.parameters.as_dict(),
                           "design": start.design.as_dict()}

    @property
    def network(self) -> LayeredNetwork:
        """As it is now."""
        return self.learning.network

    def begin(self, resume: bool, force: bool) -> None:
        """Go on from the checkpoint, or see that there is none whose progress would be lost.

        Raises VoltagesError for a checkpoint that cannot be used, NotOverwritten for one that neither option speaks of.
        """
        self._again = way_on(force)
        if resume:
            self._load()
        elif not force:
            refuse_progress(self._checkpoint, self._load, "presentations of this training")

    def _load(self) -> int:
        like = {**self.learning.arrays(), "seconds": 0.0}
        found = load_checkpoint(self._checkpoint, self.parameters, like)
        learning = LayeredLearning.restored(self.start, found)
        if not 0 < learning.done <= len(learning.history) or learning.history[learning.done:].any() or found["seconds"] < 0:
            raise VoltagesError(f"{self._checkpoint}: says that {learning.done} of {len(learning.history)} presentations are "
                                f"done, which its history does not show; {AFRESH}")
        self.learning, self.seconds = learning, float(found["seconds"])
        return learning.done

    def train(self) -> None:
        """Run the rule to its end, with progress and checkpoints, also one when it is interrupted."""
        images, labels, rule, learning = self.data.images, self.data.labels, self.plan.rule, self.learning
        if self.plan.engine == NGSPICE:
            steps = train_in_ngspice(learning, rule, images, labels)
        else:
            steps = train(learning, rule, images, labels)
        with (kept_if_stopped(self.save),
              progress(range(0), rule.presentations, "learning", "image", quick=0.5) as bar):
            self._present(steps, bar)
            self.save()  # until the voltages are written, the only place of what was learned

    def _present(self, steps: Iterator[tuple[int, float]], bar: "tqdm[int]") -> None:
        began, saved = time.perf_counter() - self.seconds, time.perf_counter()
        for done, accuracy in steps:
            self.seconds = time.perf_counter() - began
            bar.update(done - bar.n)
            bar.set_postfix(accuracy=f"{accuracy:.1%}", refresh=False)
            if time.perf_counter() - saved > CHECKPOINT_EVERY:
                self.save()
                saved = time.perf_counter()

    def save(self) -> str:
        """Write the checkpoint, if anything is done; what to say of it."""
        if not self.learning.done:
            return ""
        save_whole(self._checkpoint, {**self.learning.arrays(), "seconds": self.seconds}, self.parameters)
        return f"{self.learning.done} presentations are saved in {self._checkpoint}; {self._again}"

    def kept(self) -> None:
        """The voltages are saved: a checkpoint has done its work."""
        self._checkpoint.unlink(missing_ok=True)


def load_network(path: Path, task: LayeredTask, size: int) -> tuple[LayeredNetwork, Voltages]:
    """The network of a voltages file with the parameters that it was trained with, on an ideal chip. Raises VoltagesError."""
    states, voltages = load_layers(path, task.name, math.prod(task.shape(size)), task.classes)
    try:
        design = LayerDesign(**voltages.origin["design"])
    except (KeyError, TypeError, ParameterError) as error:
        raise VoltagesError(f"{path}: its design cannot be used: {error}") from error
    return LayeredNetwork(states, network_of(voltages, LayeredNetwork.parameters, path), design), voltages


def rule_of(voltages: Voltages, path: Path) -> LayeredRule:
    """The rule that trained the voltages of the file `path`. Raises VoltagesError."""
    try:
        return LayeredRule(**voltages.origin["learning"])
    except (KeyError, TypeError, ParameterError) as error:
        raise VoltagesError(f"{path}: its rule cannot be used: {error}") from error


def warn_of_layers(network: LayeredNetwork, images: np.ndarray, options: bool = True,
                   start: LayeredNetwork | None = None) -> None:
    """Say on standard error if stages clip on `images` (n x inputs, levels 0 to 1), and which dose should be smaller; of a
    network that clipped at its `start` already, that this should be lower.

    `options`: the doses are options of the page.
    """
    hidden, output = ("--hidden-dose", "--output-dose") if options else ("hidden_dose", "output_dose")
    said = complaint(network, images, hidden, output)
    if said and start is not None and complaint(start, images):
        said = complaint(network, images, "--start-drive", output)
    warn(said)
    parts = (images[k:k + MOST] for k in range(0, len(images), MOST))  # as a rule the first part tells
    silent = len(images) and all(np.isnan(network.first_spikes(part)).all() for part in parts)
    warn(f"no neuron of the last layer fires for any of {len(images)} images" * bool(silent))


def first_read(network: LayeredNetwork, image: np.ndarray) -> str:
    """The netlist of the whole network reading one image, for: ngspice -b."""
    design = network.design
    rows = [edges(0.0, design.window, design.rise, design.row_voltage * level) for level in image]
    circuit = layered_network(network.parameters, design, network.states, rows, chip=network.chip)
    circuit["Vpulse"].values = edges(0.0, design.window, design.rise, 1.0)
    nodes = names(f"membrane_{len(network.states) - 1}", len(network.states[-1]))
    return netlist_text(circuit, dataclasses.replace(READING_LAYERS, max_step=0.2e-6), design.window, nodes, nodes)


def read_tests(network: LayeredNetwork, images: np.ndarray, labels: np.ndarray, engine: str, partial: Partial,
               jobs: int = 1) -> np.ndarray:
    """First spikes in s (images x classes) by an `engine`, ngspice on `jobs` processes.

    A run that ends early keeps what is finished in `partial`.
    """
    if engine == CLOSED_FORM:
        return network.first_spikes(images)
    found: list[np.ndarray] = []
    with kept_if_stopped(lambda: partial.keep(range(len(found)), labels[:len(found)], np.array(found), None, RESOLUTION)):
        _read_all(network, images, labels, jobs, found)
    return np.array(found)


def _read_all(network: LayeredNetwork, images: np.ndarray, labels: np.ndarray, jobs: int, found: list[np.ndarray]) -> None:
    """Add to `found`, image by image, when the outputs fire in ngspice."""
    right = 0
    with progress(read_layers(network, images, jobs), len(images), "testing", "image") as bar:
        for read, label in zip(bar, labels, strict=True):
            found.append(read.layers[-1])
            right += strict_decision(found[-1]) == label
            bar.set_postfix(accuracy=f"{right / len(found):.1%}", refresh=False)


def scores(labels: np.ndarray, spikes: np.ndarray) -> dict[str, Any]:
    """Strict accuracy of first spikes (images x classes, s), its interval, and how many images were not decided."""
    decisions = np.array([strict_decision(times) for times in spikes])
    right = int(np.sum(decisions == labels))
    return {"samples": len(labels), "strict_accuracy": right / len(labels), "strict_interval_95": interval(right, len(labels)),
            "silent": int(np.sum(decisions == SILENT)), "tied": int(np.sum(decisions == TIED))}
