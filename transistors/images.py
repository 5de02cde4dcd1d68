"""Images for the circuit of transistors, and their order: the contest's, other draws from MNIST,
and patterns such as XPUE.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from memristive.parameters import ParameterError

LABELS = {"mnist10": tuple(range(10)), "mnist017": (0, 1, 7)}
SHA256 = {
    "mnist10": "9c7fd4db02f655862f8f50a94bf331da47a77986e747a201d82f46d7dd4a07b0",
    # published with the tasks
    "mnist017": "7e615774a3a79e96bd5f50bf16ae2eda0b4b7521a47cb154d759ba7ac8f04a3e",
}
TRAIN, TEST = 24, 50  # images of each class in the contest
PASSES = 20  # over the training images, in the contest


@dataclass(frozen=True)
class Split:
    """Training and test images of one experiment: pixels from 0 to 1 (images x inputs), and for
    each its class number.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    def orders(self, passes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return two arrays of indices: of the training images in `passes` passes, each shuffled
        anew, and of the test images, shuffled once.
        """
        rng, count = np.random.default_rng(seed), len(self.train)
        passed = [rng.permutation(count) for _ in range(passes)]
        return np.concatenate([np.zeros(0, int), *passed]), rng.permutation(len(self.test))

    def lessons(self, passes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return two arrays, in the order of `passes` passes that are each shuffled anew: the
        training images (presentations x inputs) and their labels (presentations).
        """
        order, _ = self.orders(passes, seed)
        return self.train[order], self.train_labels[order]


def small_images(pixels: np.ndarray) -> np.ndarray:
    """Return `pixels` (n x 28 x 28, bytes) as n x 16 block means, each image scaled to a mean of
    0.5 and a standard deviation of 0.25, and then cut to 0 to 1.
    """
    blocks = (pixels.reshape(-1, 4, 7, 4, 7).mean(axis=(2, 4)) / 255).reshape(-1, 16)
    centred = blocks - blocks.mean(axis=1, keepdims=True)
    return np.clip(centred / (blocks.std(axis=1, keepdims=True) + 1e-6) * 0.25 + 0.5, 0, 1)


def frozen_images(task: str, mnist: Mapping[str, np.ndarray]) -> Split:
    """Return the contest's fixed images, made from MNIST; raise ParameterError if their hash is not
    the published one.

    Parameters
    ----------
    task : str
        "mnist10" or "mnist017".
    mnist : mapping
        Arrays x_train, x_test (n x 28 x 28, bytes), y_train, y_test (n).
    """
    rng, parts = np.random.default_rng(0), []
    for split, count in (("train", TRAIN), ("test", TEST)):
        labels = mnist[f"y_{split}"]
        chosen = rng.permutation(
            np.concatenate(
                [rng.permutation(np.flatnonzero(labels == c))[:count] for c in LABELS[task]]
            )
        )
        parts += [small_images(mnist[f"x_{split}"][chosen]), labels[chosen].astype("<i8")]
    digest = hashlib.sha256(b"spicenn2-dataset-content-v1\n")
    for name, array in zip(("train_x", "train_y", "test_x", "test_y"), parts, strict=True):
        kind = "<f8" if name.endswith("x") else "<i8"
        digest.update(
            json.dumps([name, kind, list(array.shape)], separators=(",", ":")).encode() + b"\n"
        )
        digest.update((array.astype(kind) + 0).tobytes())  # + 0 turns -0 into 0
    if digest.hexdigest() != SHA256[task]:
        raise ParameterError(
            f"the arrays of {task} do not have the published SHA-256; is MNIST's file the original "
            "one?"
        )
    return Split(*parts)


def drawn_images(task: str, mnist: Mapping[str, np.ndarray], seed: int, test: int = 100) -> Split:
    """Return training and validation images for choosing parameters, drawn at random from MNIST's
    training images that the contest does not use. Each class has 24 training images; the validation
    images are the test set of the `Split`.

    Parameters
    ----------
    task : str
        "mnist10" or "mnist017".
    mnist : mapping
        Arrays x_train (n x 28 x 28, bytes) and y_train (n).
    seed : int
        Of the draw.
    test : int
        Validation images of each class.
    """
    frozen, rng, labels = (
        np.random.default_rng(0),
        np.random.default_rng([48, seed]),
        mnist["y_train"],
    )
    used = np.concatenate(
        [frozen.permutation(np.flatnonzero(labels == c))[:TRAIN] for c in LABELS[task]]
    )
    free = [rng.permutation(np.setdiff1d(np.flatnonzero(labels == c), used)) for c in LABELS[task]]
    first = rng.permutation(np.concatenate([one[:TRAIN] for one in free]))
    second = rng.permutation(np.concatenate([one[TRAIN : TRAIN + test] for one in free]))
    return Split(
        small_images(mnist["x_train"][first]),
        labels[first].astype(int),
        small_images(mnist["x_train"][second]),
        labels[second].astype(int),
    )


def pattern_images(patterns: np.ndarray) -> Split:
    """Return a `Split` with one image for each of the `patterns` (classes x inputs): the pattern
    and, beside it, its complement. Training and test images are the same.

    So all images have the same sum. The circuit's score is a mean of its inputs, weighted by
    conductances. Only with equal sums does a conductance above or below the mean of its column act
    as a signed weight.
    """
    both, labels = np.hstack([patterns, 1 - patterns]), np.arange(len(patterns))
    return Split(both, labels, both, labels)
