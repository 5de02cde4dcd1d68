"""The datasets: XPUE and 012345 as drawn in the paper, MNIST as the paper preprocesses it.

Every dataset is a `Dataset`; pixels are levels between 0 and 1.
"""

import functools
import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

MNIST_FILE = Path(__file__).parent / "data" / "mnist.npz"
MNIST_SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"
MNIST_SOURCE = "restore it with: git checkout data/mnist.npz"
TEMPLATE_IMAGES = 100  # training images averaged into each class's template (Jurj 2024)
ENCODINGS = ("binary", "grey")
SMALLEST = 3  # pixels a side: a fifth of fewer is none above another


class DatasetError(RuntimeError):
    """A dataset's file is missing or is not what it should be."""


@dataclass(frozen=True)
class Dataset:
    """Patterns to train on, one a class: `patterns` classes x inputs, `labels` their names, `shape` rows x columns."""

    name: str
    patterns: np.ndarray
    labels: tuple
    shape: tuple


def _drawn(name: str, labels: Iterable[str], shape: tuple[int, int], drawings: Sequence[str]) -> Dataset:
    patterns = np.array([[float(pixel) for pixel in drawing.replace(" ", "")] for drawing in drawings])
    return Dataset(name, patterns, tuple(labels), shape)


def xpue() -> Dataset:
    """Four 3x3 symbols: X, +, U, = (Jurj 2024); no image's pixels contain another's."""
    return _drawn("xpue", "X+U=", (3, 3), ["101 010 101", "010 111 010", "101 101 111", "111 000 111"])


def digits_012345() -> Dataset:
    """The digits 0 to 5, three pixels wide and five high (Jurj 2024)."""
    return _drawn("012345", "012345", (5, 3), [
        "111 101 101 101 111", "010 010 010 010 010", "111 001 111 100 111",
        "111 001 111 001 111", "101 101 111 001 001", "111 100 111 001 111"])


MNIST_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_mnist(*names: str, first: int | None = None, path: Path = MNIST_FILE) -> dict[str, np.ndarray]:
    """MNIST's canonical arrays of these `names`, all by default (LeCun, Cortes, Burges; CC BY-SA 3.0): a dictionary.

    Only the `first` images or labels of each are kept in memory. Raises DatasetError if the file is missing, or differs
    from the one committed by a single bit.
    """
    try:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != MNIST_SHA256:
                raise DatasetError(f"{path} is not the MNIST file of this project (checksum differs); {MNIST_SOURCE}")
            with zipfile.ZipFile(file) as archive:
                unknown = [name for name in names if name not in MNIST_ARRAYS]
                if unknown:
                    raise DatasetError(f"MNIST has {', '.join(MNIST_ARRAYS)}, no {unknown[0]!r}")
                return {name: _read_array(archive, f"{name}.npy", first) for name in names or MNIST_ARRAYS}
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); {MNIST_SOURCE}") from error


def _read_array(archive: zipfile.ZipFile, member: str, first: int | None) -> np.ndarray:
    """The `first` rows of a .npy file (format 1.0) in a zip archive; np.load would unpack all of it."""
    with archive.open(member) as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        shape = (shape[0] if first is None else min(first, shape[0]), *shape[1:])
        return np.frombuffer(bytearray(file.read(int(np.prod(shape)) * dtype.itemsize)), dtype).reshape(shape)


def shrink(images: np.ndarray, size: int) -> np.ndarray:
    """`images` (8-bit, n x rows x columns) resized with Pillow's default filter, as n x size^2 grey levels 0 to 255.

    Raises DatasetError for other shapes and numbers, and for a size below 3, of which too few pixels are left.
    """
    images = np.asarray(images)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DatasetError(f"images must be 8-bit (uint8), n x rows x columns, got {images.dtype} of shape {images.shape}")
    if size < SMALLEST:
        raise DatasetError(f"size must be {SMALLEST} or more, got {size}")
    small = [np.asarray(Image.fromarray(image).resize((size, size))).ravel() for image in images]
    return np.array(small, np.uint8).reshape(len(images), size * size)


def encode(images: np.ndarray, size: int = 10, encoding: str = "binary") -> np.ndarray:
    """Pixel levels between 0 and 1 of 8-bit `images` (n x rows x columns), n x size^2.

    binary (Jurj 2024): on if strictly above the 20th largest of 100 pixels, a fifth of the pixels at any size.
    grey: proportional to the grey level, the brightest pixel of each image at 1 (exposure, as a camera would set it).
    Raises DatasetError for another encoding, and for images that `shrink` does not take.
    """
    if encoding not in ENCODINGS:
        raise DatasetError(f"encoding must be {' or '.join(ENCODINGS)}, got {encoding!r}")
    grey = shrink(images, size)
    if encoding == "grey":
        return grey / np.maximum(grey.max(axis=1, keepdims=True), 1)
    rank = round(size * size / 5)
    return (grey > np.sort(grey, axis=1)[:, -rank, None]).astype(float)


@functools.cache  # scripts ask for their options' defaults and for what was chosen
def mnist_templates(size: int = 10, encoding: str = "binary") -> Dataset:
    """The paper's training set: the mean of each digit's first 100 training images, as 8-bit, encoded."""
    labels = load_mnist("y_train")["y_train"]
    of_digit = [np.flatnonzero(labels == digit)[:TEMPLATE_IMAGES] for digit in range(10)]
    images = load_mnist("x_train", first=int(np.max(of_digit)) + 1)["x_train"]
    means = np.array([images[indices].mean(axis=0) for indices in of_digit])
    patterns = encode(means.astype(np.uint8), size, encoding)
    patterns.setflags(write=False)  # all that ask share them
    return Dataset("mnist", patterns, tuple("0123456789"), (size, size))
