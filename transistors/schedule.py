"""Schedule of images in one transient, and its netlist: start-up, training images with labels, test images without labels.

The times, voltages and options are those of the contest mnist4-circuit-learning-v0 (docs/transistors.md).
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memristive.spice.parameters import ParameterError
from transistors.circuit import BIAS, CONTROLS, SLOT, TARGET, models

LABELS = {"mnist10": tuple(range(10)), "mnist017": (0, 1, 7)}
SHA256 = {"mnist10": "9c7fd4db02f655862f8f50a94bf331da47a77986e747a201d82f46d7dd4a07b0",
          "mnist017": "7e615774a3a79e96bd5f50bf16ae2eda0b4b7521a47cb154d759ba7ac8f04a3e"}  # published with the tasks
TRAIN, TEST = 24, 50  # images of each class in the contest
STARTUP = 20e-3  # s
STEP = 10e-6  # s, the longest step
EDGE = 0.01 * SLOT  # s, rise or fall time of every source
LOW, HIGH = 0.3, 1.7  # V, of a black and a white pixel
ON = 3.0  # V, of reset, learn and clock
OPTIONS = ".options reltol=1e-5 abstol=1e-12 vntol=1e-7 temp=27"
KLU = "klu"  # solves the same equations as ngspice's default solver in two thirds of the time; needs ngspice 42


@dataclass(frozen=True)
class Images:
    """Images of one experiment: pixels from 0 to 1 (images x inputs), and for each its class number."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def small_images(pixels: np.ndarray) -> np.ndarray:
    """Return 28 x 28 images (bytes) as 16 block means each, scaled to a mean of 0.5 and a deviation of 0.25, cut to 0 to 1."""
    blocks = (pixels.reshape(-1, 4, 7, 4, 7).mean(axis=(2, 4)) / 255).reshape(-1, 16)
    centred = blocks - blocks.mean(axis=1, keepdims=True)
    return np.clip(centred / (blocks.std(axis=1, keepdims=True) + 1e-6) * 0.25 + 0.5, 0, 1)


def frozen_images(task: str, mnist: Mapping[str, np.ndarray]) -> Images:
    """Return the contest's fixed images, made from MNIST; raise ParameterError if their hash is not the published one.

    Parameters
    ----------
    task : str
        "mnist10" or "mnist017".
    mnist : mapping
        Arrays x_train, y_train, x_test, y_test.
    """
    rng, parts = np.random.default_rng(0), []
    for split, count in (("train", TRAIN), ("test", TEST)):
        labels = mnist[f"y_{split}"]
        chosen = rng.permutation(np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:count] for c in LABELS[task]]))
        parts += [small_images(mnist[f"x_{split}"][chosen]), labels[chosen].astype("<i8")]
    images = Images(*parts)
    digest = hashlib.sha256(b"spicenn2-dataset-content-v1\n")
    for name, array in zip(("train_x", "train_y", "test_x", "test_y"), parts, strict=True):
        kind = "<f8" if name.endswith("x") else "<i8"
        digest.update(json.dumps([name, kind, list(array.shape)], separators=(",", ":")).encode() + b"\n")
        digest.update((array.astype(kind) + 0).tobytes())  # + 0 turns -0 into 0
    if digest.hexdigest() != SHA256[task]:
        raise ParameterError(f"the arrays of {task} do not have the published SHA-256; is MNIST's file the original one?")
    return images


def drawn_images(task: str, mnist: Mapping[str, np.ndarray], seed: int, test: int = 100) -> Images:
    """Return random images for choosing parameters, all from MNIST's training images that the contest does not use.

    Parameters
    ----------
    task : str
    mnist : mapping
    seed : int
    test : int
        Test images of each class.
    """
    frozen, rng, labels = np.random.default_rng(0), np.random.default_rng([48, seed]), mnist["y_train"]
    used = np.concatenate([frozen.permutation(np.flatnonzero(labels == c))[:TRAIN] for c in LABELS[task]])
    free = [rng.permutation(np.setdiff1d(np.flatnonzero(labels == c), used)) for c in LABELS[task]]
    first = rng.permutation(np.concatenate([one[:TRAIN] for one in free]))
    second = rng.permutation(np.concatenate([one[TRAIN:TRAIN + test] for one in free]))
    return Images(small_images(mnist["x_train"][first]), labels[first].astype(int),
                  small_images(mnist["x_train"][second]), labels[second].astype(int))


def presentation_order(images: Images, passes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the training images in `passes` shuffled passes, and those of the test images, shuffled once."""
    rng, count = np.random.default_rng(seed), len(images.train_labels)
    passed = [rng.permutation(count) for _ in range(passes)]
    return np.concatenate([np.zeros(0, int), *passed]), rng.permutation(len(images.test_labels))


def pin_names(inputs: int, classes: int) -> tuple[list[str], list[str]]:
    """Return the names of the driven pins, in the contest's order, and of the outputs."""
    driven = [*BIAS, *CONTROLS, *(f"in{i}" for i in range(inputs)), *(f"target{c}" for c in range(classes))]
    return driven, [f"out{c}" for c in range(classes)]


@dataclass(frozen=True)
class Schedule:
    """Images of one transient in order, each with its label (-1: none).

    `learning` is True for the images that the circuit learns from. With `carried`, the supplies are on from the first moment
    and nothing is reset, because weights come as initial conditions.
    """

    images: np.ndarray
    labels: np.ndarray
    learning: np.ndarray
    classes: int = 10
    startup: float = STARTUP
    carried: bool = False

    @property
    def inputs(self) -> int:
        """Number of pixels."""
        return self.images.shape[1]

    @property
    def begins(self) -> np.ndarray:
        """Start of each image in s."""
        return self.startup + np.arange(len(self.images)) * SLOT

    @property
    def stop(self) -> float:
        """End of the transient in s."""
        return self.startup + len(self.images) * SLOT


def contest_schedule(images: Images, passes: int) -> tuple[Schedule, np.ndarray]:
    """Return the contest's schedule, and the indices of its test images in the order of the schedule."""
    first, second = presentation_order(images, passes)
    shown = np.vstack([images.train[first], images.test[second]])
    labels = np.r_[images.train_labels[first], np.full(len(second), -1)]
    return Schedule(shown, labels, np.arange(len(shown)) < len(first)), second


def sources(schedule: Schedule) -> list[str]:
    """Return the netlist lines of all drivers, each with an ammeter in series: V_pin carries the current of the pin.

    The waveforms are behavioural sources of time, as in the contest. ngspice could step over their edges, because they set no
    breakpoints. So two pulse sources set them: the clock at every image, and a guard without connection during start-up.
    """
    driven, _ = pin_names(schedule.inputs, schedule.classes)
    values = {name: np.full(len(schedule.images), BIAS[name]) for name in BIAS}
    values |= {"reset": np.zeros(len(schedule.images)), "learn": np.where(schedule.learning, ON, 0.0)}
    values |= {f"in{i}": LOW + (HIGH - LOW) * schedule.images[:, i] for i in range(schedule.inputs)}
    values |= {f"target{c}": np.where(schedule.labels == c, TARGET, 0.0) for c in range(schedule.classes)}
    lines = []
    for name in driven:
        if name == "clock":
            times = f"{schedule.startup:.16g} {EDGE:.16g} {EDGE:.16g} {SLOT / 2 - EDGE:.16g} {SLOT:.16g}"
            lines.append(f"V_clock clock 0 PULSE(0 {ON:g} {times})")
            continue
        points = _points(schedule, values[name], name == "reset")
        lines += [f"V_{name} {name} drive_{name} 0", f"B_{name} drive_{name} 0 V=pwl(time,"]
        lines += [f"+ {t:.16g}, {v:.16g}," for t, v in points[:-1]] + [f"+ {points[-1][0]:.16g}, {points[-1][1]:.16g})"]
    guard = f"{EDGE:.16g} {EDGE:.16g} {schedule.startup - 2 * EDGE:.16g} {2 * schedule.stop:.16g}"
    return [*lines, f"V_guard guard 0 PULSE(0 1 0 {guard})"]


def _points(schedule: Schedule, values: np.ndarray, reset: bool) -> list[tuple[float, float]]:
    """Return the corners (s, V) of one waveform, without points between two equal ones."""
    before = values[0] if len(set(values)) == 1 else 0.0
    points = [(0.0, before if schedule.carried else 0.0), (EDGE, before), (schedule.startup, before)]
    if reset and not schedule.carried:
        points = [(0.0, 0.0), (EDGE, ON), (schedule.startup - EDGE, ON), (schedule.startup, 0.0)]
    for begin, value in zip(schedule.begins, values, strict=True):
        points += [(begin + EDGE, value), (begin + SLOT, value)]
    return [point for k, point in enumerate(points)
            if k in (0, len(points) - 1) or not points[k - 1][1] == point[1] == points[k + 1][1]]


def deck(circuit: str, schedule: Schedule, step: float = STEP, save: Sequence[str] = (), transistor_models: str = "",
         initial: Collection[str] = ()) -> str:
    """Return the complete netlist for ``ngspice -b -r``: models, drivers, circuit, loads, and what to save.

    Parameters
    ----------
    circuit : str
        Lines of the circuit's elements.
    schedule : Schedule
    step : float
        Longest time step in s.
    save : sequence of str
        Internal nodes to save beside the pins.
    transistor_models : str
        Other .model lines, for a chip whose transistors differ.
    initial : collection of str
        Lines of .ic, for weights that are carried to a chip.
    """
    driven, outputs = pin_names(schedule.inputs, schedule.classes)
    pins = " ".join([*driven, *outputs])
    loads = [f"{kind}load{c} {name} 0 {value}" for c, name in enumerate(outputs) for kind, value in (("R", "1g"), ("C", "1p"))]
    saved = [*(f"v({name})" for name in [*outputs, *driven]), *(f"i(V_{name})" for name in driven),
             *(f"v(xlearner.{node})" for node in save)]
    return "\n".join([
        "learner of transistors", transistor_models or models(), f"{OPTIONS} {KLU}", *sources(schedule),
        f".subckt learner {pins}", circuit.rstrip(), ".ends learner", f"Xlearner {pins} learner", *loads, *initial,
        *(f".save {' '.join(saved[k:k + 20])}" for k in range(0, len(saved), 20)),
        f".tran {step:.16g} {schedule.stop:.16g} 0 {step:.16g} uic", ".end", ""])
