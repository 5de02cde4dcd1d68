"""Datasets: XPUE and 012345 as drawn in the paper, MNIST as the paper preprocesses it,
Fashion-MNIST, scikit-learn's digits.

To add a dataset, write one function that returns a `Dataset` and add it to `DATASETS`. Pixels are
levels between 0 and 1.
"""

import argparse
import dataclasses
import functools
import gzip
import hashlib
import inspect
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from memristive.network.design import Schedule, Setup
from memristive.network.inputs import scaled
from memristive.parameters import Fields, ParameterError, did_you_mean
from snn_circuit import NeuronParameters

if TYPE_CHECKING:
    from memristive.io.voltages import Voltages
    from memristive.learning.rule import ErrorDrivenRule

INSTALLED = Path(__file__).parent / "data"  # exists if pip has installed the project
MNIST_FILE = (INSTALLED if INSTALLED.exists() else Path(__file__).parents[1] / "data") / "mnist.npz"
MNIST_SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"
MNIST_SOURCE = "restore it with: git checkout data/mnist.npz"
FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"  # of Debian's package
FASHION_SOURCE = (
    "install it with: apt-get install dataset-fashion-mnist, "
    "or set FASHION_MNIST_DIR to a folder that has it"
)
FASHION_LABELS = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
)
TEMPLATE_IMAGES = 100  # training images averaged into each class's template (Jurj 2024)
ENCODINGS = ("binary", "grey")
SIZE = 10  # pixels a side of MNIST's and Fashion-MNIST's images, by default
# settings of the error-driven rule for grey images
GREY = {"start_state": 4.5, "dose": 0.1, "margin": 1e-6}
SMALLEST = 3  # pixels a side: in smaller binary images no pixel is on


class DatasetError(ParameterError):
    """A dataset's file is missing or damaged, or a dataset lacks the wanted images, size or
    encoding.
    """


class Images(NamedTuple):
    """Images of a training or test set: `levels` n x inputs from 0 to 1, `labels` n class
    numbers.
    """

    levels: np.ndarray
    labels: np.ndarray

    def first(self, count: int | None) -> "Images":
        """Return the first `count` images; None: all."""
        return Images(self.levels[:count], self.labels[:count])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Patterns, images and the settings to train on them.

    Parameters
    ----------
    name : str
    patterns : array, classes x inputs
        One pattern for each class, levels 0 to 1; the Hebbian rule trains them.
    labels : tuple of str
        Names of the classes.
    shape : tuple of int
        Rows and columns of an image.
    encoding : str
        "binary" or "grey".
    setup : Setup
        Pulses and feedback resistor that suit the images.
    settings : dict
        Parameters of the error-driven rule that differ from its defaults.
    load_images : callable, optional
        ``load_images("train")`` and ``load_images("test")`` return the training and the test set,
        and are called when a set is first needed. Without this function, the patterns are the
        training set and there is no test set.
    scale : tuple of float, optional
        Of a file of one's own: its values that are the levels 0 and 1.
    checksum : int, optional
        Of a file of one's own: `memristive.io.tables.checksum` of its content.
    """

    name: str
    patterns: np.ndarray
    labels: tuple[str, ...]
    shape: tuple[int, int]
    encoding: str = "binary"
    setup: Setup = Setup()
    settings: Mapping[str, float] = field(default_factory=dict)
    load_images: Callable[[str], Images] | None = field(default=None, repr=False)
    scale: tuple[float, float] | None = None
    checksum: int | None = None

    @property
    def recorded(self) -> Fields:
        """Scale and checksum of a file of one's own, for the parameters of records and networks;
        nothing for the datasets of the project, which do not change.
        """
        own = {"scale": self.scale, "data_checksum": self.checksum}
        return {} if self.checksum is None else own

    @property
    def size_suffix(self) -> str:
        """Ending of file names for a dataset in another size than its default, e.g. _14x14; else
        "".
        """
        rows, columns = self.shape
        return f"_{rows}x{columns}" * (self.name.startswith(("mnist", "fashion")) and rows != SIZE)

    @property
    def rule(self) -> "ErrorDrivenRule":
        """Error-driven rule that suits the images."""
        from memristive.learning.rule import ErrorDrivenRule

        return ErrorDrivenRule(**self.settings)  # type: ignore[arg-type]

    @functools.cached_property
    def training(self) -> Images:
        """Training set; the patterns for a dataset without images."""
        return (
            self.load_images("train")
            if self.load_images
            else Images(self.patterns, np.arange(len(self.patterns)))
        )

    @functools.cached_property
    def test(self) -> Images:
        """Test set. Raises DatasetError if there is none."""
        if self.load_images is None:
            raise DatasetError(f"dataset {self.name} has patterns only, no test images")
        return self.load_images("test")


def _drawn(
    name: str,
    labels: Iterable[str],
    shape: tuple[int, int],
    drawings: Sequence[str],
    **settings: float,
) -> Dataset:
    patterns = np.array(
        [[float(pixel) for pixel in drawing.replace(" ", "")] for drawing in drawings]
    )
    return Dataset(name, patterns, tuple(labels), shape, settings=settings)


def own_patterns(path: Path) -> Dataset:
    """Return a dataset of the patterns in a text file. A line has one pattern: its rows in 0 and 1,
    then its name ("101 010 101 X").

    Raises DatasetError if a line is no pattern, if patterns differ in shape, share a name or are
    equal, or if there are fewer than two.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = [line.split() for line in text.splitlines() if line.strip()]
    names, drawings = [line[-1] for line in lines], [line[:-1] for line in lines]
    shape = (len(drawings[0]), len("".join(drawings[0][:1]))) if lines else (0, 0)
    pattern = re.compile(rf"(?:[01]{{{shape[1]}}} ){{{shape[0]}}}")
    name = re.compile(rf"(?![01]{{{shape[1]}}}$)[\w+=]+")  # a row is no name
    wrong = [
        " ".join(line)
        for k, (line, rows) in enumerate(zip(lines, drawings, strict=True))
        if not shape[1]
        or not pattern.fullmatch("".join(f"{row} " for row in rows))
        or not name.fullmatch(names[k])
        or names[k] in names[:k]
        or rows in drawings[:k]
    ]
    if wrong or len(lines) < 2:
        raise DatasetError(
            f"{path} must hold two or more patterns of one shape, no two alike: in each line the "
            "rows in 0 and 1, and then a name of its own, as in '101 010 101 X'; got "
            + (repr(wrong[0]) if wrong else f"{len(lines)} lines")
        )
    return _drawn(path.stem, names, shape, list(map("".join, drawings)))


def recorded_patterns(voltages: "Voltages") -> Dataset | None:
    """Return the dataset of a network that was trained on `own_patterns`; None for others."""
    if not voltages.patterns:
        return None
    return Dataset(voltages.dataset, np.array(voltages.patterns), voltages.labels, voltages.shape)


def xpue() -> Dataset:
    """Return four 3x3 symbols: X, +, U, = (Jurj 2024); no pattern contains another."""
    return _drawn(
        "xpue",
        "X+U=",
        (3, 3),
        ["101 010 101", "010 111 010", "101 101 111", "111 000 111"],
        presentations=200,
        start_state=7.0,
        dose=50e-3,
        margin=10e-6,
    )


def digits_012345() -> Dataset:
    """Return the digits 0 to 5, three pixels wide and five high (Jurj 2024)."""
    return _drawn(
        "012345",
        "012345",
        (5, 3),
        [
            "111 101 101 101 111",
            "010 010 010 010 010",
            "111 001 111 100 111",
            "111 001 111 001 111",
            "101 101 111 001 001",
            "111 100 111 001 111",
        ],
        presentations=600,
        start_state=7.0,
        dose=50e-3,
        margin=5e-6,
    )


def load_mnist(*names: str, path: Path = MNIST_FILE) -> dict[str, np.ndarray]:
    """Return MNIST's original arrays (x_train, y_train, x_test, y_test) by name, by default all
    (LeCun, Cortes, Burges; CC BY-SA 3.0).

    Raises DatasetError if the file is missing or damaged.
    """
    try:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != MNIST_SHA256:
                raise DatasetError(
                    f"{path} is not the MNIST file of this project (checksum differs); "
                    f"{MNIST_SOURCE}"
                )
        with np.load(path) as arrays:
            return {name: arrays[name] for name in names or arrays.files}
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); {MNIST_SOURCE}") from error


def shrink(images: np.ndarray, size: int) -> np.ndarray:
    """Return `images` (8 bit, n x rows x columns) resized with Pillow's default filter: n x size^2
    grey levels 0 to 255.

    Raises DatasetError for a size below 3.
    """
    if size < SMALLEST:
        raise DatasetError(f"size must be {SMALLEST} or more, got {size}")
    # as Pillow does it: rows first, then columns, each rounded to 8 bit
    narrow = _resize_rows(images, size)
    return (
        _resize_rows(narrow.transpose(0, 2, 1), size)
        .transpose(0, 2, 1)
        .reshape(len(images), size * size)
    )


def _resize_rows(images: np.ndarray, size: int) -> np.ndarray:
    """Return `images` with `size` columns. All are resized at once, because rows do not depend on
    each other.
    """
    count, rows, columns = images.shape
    stack = Image.fromarray(images.reshape(count * rows, columns))
    return np.asarray(stack.resize((size, count * rows))).reshape(count, rows, size)


def encode(images: np.ndarray, size: int = SIZE, encoding: str = "binary") -> np.ndarray:
    """Return the levels (n x size^2, 0 to 1) of 8-bit `images` (n x rows x columns).

    - binary (Jurj 2024): a pixel is on if it is brighter than the 20th brightest of 100; in other
      sizes the rank is a fifth of the pixels.
    - grey: levels are proportional to the grey level, and 1 for the brightest pixel of each
      image.

    Raises DatasetError for another encoding, and for images that `shrink` refuses.
    """
    if encoding not in ENCODINGS:
        raise DatasetError(f"encoding must be {' or '.join(ENCODINGS)}, got {encoding!r}")
    grey = shrink(images, size)
    if encoding == "grey":
        return grey / np.maximum(grey.max(axis=1, keepdims=True), 1)
    rank = round(size * size / 5)
    return (grey > np.sort(grey, axis=1)[:, -rank, None]).astype(float)


def mnist(size: int = SIZE, encoding: str = "binary") -> Dataset:
    """Return MNIST shrunk to `size` x `size` pixels, with the `encoding` "binary" or "grey" (see
    `encode`). The patterns are the paper's templates (Jurj 2024).

    A template is the mean of a digit's first 100 training images, as 8 bit, encoded as the images
    are.
    """

    def load_images(part: str) -> Images:
        arrays = load_mnist(f"x_{part}", f"y_{part}")
        return Images(encode(arrays[f"x_{part}"], size, encoding), arrays[f"y_{part}"].astype(int))

    images, labels = load_mnist("x_train", "y_train").values()
    means = np.array(
        [images[labels == digit][:TEMPLATE_IMAGES].mean(axis=0) for digit in range(10)]
    )
    grey = {"presentations": 36000, **GREY}
    neuron = NeuronParameters(
        feedback_resistance=NeuronParameters.feedback_resistance * 100 / size**2
    )
    setup = Setup(neuron=neuron, schedule=Schedule(pulse=2e-3, period=6e-3, sampling_step=11e-6))
    return Dataset(
        "mnist",
        encode(means.astype(np.uint8), size, encoding),
        tuple("0123456789"),
        (size, size),
        encoding,
        setup,
        grey if encoding == "grey" else {},
        load_images,
    )


def mnist_shifted(size: int = SIZE) -> Dataset:
    """Return MNIST in grey, shrunk to `size` x `size` pixels, trained also on copies of its images
    that are moved by one pixel of the 28x28 images.
    """
    plain = mnist(size, "grey")

    def load_images(part: str) -> Images:
        if part == "test":
            return plain.test
        arrays = load_mnist("x_train", "y_train")
        return Images(
            encode(moved_by_a_pixel(arrays["x_train"]), size, "grey"),
            np.tile(arrays["y_train"].astype(int), 5),
        )

    return dataclasses.replace(plain, name="mnist_shifted", load_images=load_images)


def moved_by_a_pixel(images: np.ndarray) -> np.ndarray:
    """Return `images` (n x rows x columns), then all of them moved by a pixel down, up, right and
    left, with dark edges.
    """
    _, rows, columns = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return np.concatenate([padded[:, y : y + rows, x : x + columns] for y, x in corners])


def read_idx(path: Path) -> np.ndarray:
    """Return the 8-bit array of a compressed IDX file, the format of MNIST's original files. Raises
    DatasetError if the file is missing or damaged.
    """
    try:
        content = gzip.decompress(path.read_bytes())
        dimensions = content[3]
        shape = np.frombuffer(content, ">u4", dimensions, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read ({error}); {FASHION_SOURCE}") from error


def fashion(size: int = SIZE) -> Dataset:
    """Return Fashion-MNIST in grey, shrunk to size x size pixels (H. Xiao, K. Rasul, R. Vollgraf,
    arXiv:1708.07747; MIT licence).

    Levels are proportional to the grey level; 255 is 1. Reads the compressed IDX files in the
    folder FASHION_MNIST_DIR, by default the files of Debian's package. Raises DatasetError if one
    is missing or damaged.
    """
    folder = Path(os.environ.get("FASHION_MNIST_DIR", FASHION_FOLDER))

    def images(part: str) -> Images:
        pixels, labels = (
            read_idx(folder / f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")
        )
        return Images(shrink(pixels, size) / 255, labels.astype(int))

    return from_images("fashion", images("train"), images("t10k"), (size, size), FASHION_LABELS)


def mnist_central() -> Dataset:
    """Return the central 20x20 pixels of MNIST in grey, which NeuroSim uses (P.-Y. Chen, X. Peng,
    S. Yu, 2018).
    """
    arrays = load_mnist()
    train, test = (
        Images(
            encode(arrays[f"x_{part}"][:, 4:24, 4:24], 20, "grey"), arrays[f"y_{part}"].astype(int)
        )
        for part in ("train", "test")
    )
    return from_images("mnist_central", train, test, (20, 20))


def digits(seed: int = 1) -> Dataset:
    """Return scikit-learn's 8x8 digits in grey: 1,437 training and 360 test images, which `seed`
    selects.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    levels, labels = load_digits(return_X_y=True)
    split = train_test_split(levels / 16, labels, test_size=0.2, random_state=seed, stratify=labels)
    train, test = Images(split[0], split[2]), Images(split[1], split[3])
    return from_images("digits", train, test, (8, 8))


def xor() -> Dataset:
    """Return XOR, which one layer cannot learn; its four images are for training and for
    testing.
    """
    images = Images(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0]))
    return Dataset(
        "xor",
        np.full((2, 2), 0.5),
        ("0", "1"),
        (1, 2),
        "grey",
        load_images=lambda part: images,
    )


def from_images(
    name: str, train: Images, test: Images, shape: tuple[int, int], labels: Sequence[str] = ()
) -> Dataset:
    """Return a dataset of grey images with settings that suit them.

    The patterns are the mean images of the classes. `shape`: rows and columns of an image.
    `labels`: names of the classes, by default their numbers.
    """
    from memristive.learning.build import grey_settings, paper_setup  # patterns need no layers

    classes = int(train.labels.max()) + 1
    patterns = np.array([train.levels[train.labels == k].mean(axis=0) for k in range(classes)])
    names = tuple(labels) or tuple(str(k) for k in range(classes))
    return Dataset(
        name,
        patterns,
        names,
        shape,
        "grey",
        paper_setup(train.levels),
        grey_settings(train.levels),
        {"train": train, "test": test}.__getitem__,
    )


DATASETS: dict[str, Callable[..., Dataset]] = {
    "xpue": xpue,
    "012345": digits_012345,
    "mnist": mnist,
    "mnist_shifted": mnist_shifted,
    "mnist_central": mnist_central,
    "fashion": fashion,
    "digits": digits,
    "xor": xor,
}


def load_dataset(name: str, **options: Any) -> Dataset:
    """Return a dataset by name; `options` are size, encoding or seed, if the dataset takes them.
    Raises DatasetError for an unknown name or option, or a damaged file.
    """
    if name not in DATASETS:
        raise DatasetError(f"dataset must be one of {', '.join(DATASETS)}, got {name!r}")
    given = {key: value for key, value in options.items() if value is not None}
    try:
        return DATASETS[name](**given)
    except TypeError:
        raise DatasetError(f"dataset {name} has no {' or '.join(given)} to choose") from None


def dataset_name(text: str) -> str:
    """Return the argument of --data if it is one of `DATASETS` or a file of one's own. Raises
    ArgumentTypeError for others.
    """
    if text not in DATASETS and not Path(text).is_file():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no file, and none of {', '.join(DATASETS)}: name one of them, or a CSV, "
            f".npz or .npy file"
            f"{did_you_mean(text, DATASETS)}"
        )
    return text


@functools.cache
def own_images(
    path: Path, seed: int, whole: bool, scale: tuple[float, float] | None, stamp: object
) -> Dataset:
    """Return the images or samples in a file (`memristive.io.tables.read_table`) as a dataset.

    Levels are the file's values if the training samples lie from 0 to 1. Others are scaled
    together, by the least and the largest value of the training samples, or by the `scale` of a
    network that was trained on other images. A file with x_train, y_train, x_test and y_test has a
    test set of its own. Of another file a fifth of each class is the test set, drawn by the `seed`.
    For networks that are trained already (`whole`), all images are both training set and test set.
    Patterns are the means of the classes. `stamp`: as in `_content`. Raises DatasetError if all
    values are equal.
    """
    from sklearn.model_selection import train_test_split

    from memristive.io.voltages import shape_of

    values, labels, trained, checksum = _content(path, stamp)
    names, numbers = np.unique(labels, return_inverse=True)
    shape = values.shape[1:] if values.ndim == 3 else shape_of(values.shape[1])
    rows = np.arange(len(values))
    if trained:
        train, test = np.split(rows, [trained])
    elif whole:
        train = test = rows
    else:
        train, test = train_test_split(rows, test_size=0.2, stratify=numbers, random_state=seed)
    raw = values.reshape(len(values), -1)
    low, high = float(raw[train].min()), float(raw[train].max())
    if low == high:
        raise DatasetError(f"{path}: all values of the training images are {low:g}")
    scale = scale or ((0.0, 1.0) if low >= 0 and high <= 1 else (low, high))
    levels = scaled(raw, scale, path)
    sets = {
        "train": Images(levels[train], numbers[train]),
        "test": Images(levels[test], numbers[test]),
    }
    dataset = from_images(path.stem, sets["train"], sets["test"], shape, tuple(map(str, names)))
    return dataclasses.replace(dataset, scale=scale, checksum=checksum)


@functools.cache
def _content(path: Path, stamp: object) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return the samples and labels in a file, the number of samples of a training set of its own
    (0: none), which come first, and the checksum. `stamp`: of the file, as a changed file is read
    again.
    """
    from memristive.io.tables import ENDINGS, checksum, read_arrays, read_table

    values, labels = read_table(path)
    parts = read_arrays(path) if path.suffix in ENDINGS else []
    trained = len(parts[0][1]) if len(parts) == 2 else 0
    return values, labels, trained, checksum(values, labels)


def _stamp(path: Path) -> tuple[int, int]:
    """Return time and size of a file, which differ once it has changed."""
    about = path.stat()
    return about.st_mtime_ns, about.st_size


def matching_dataset(
    name: str,
    size: int | None = None,
    seed: int = 1,
    encoding: str = "grey",
    whole: bool = False,
    scale: tuple[float, float] | None = None,
) -> Dataset:
    """Return the dataset `name`. Arguments that this dataset does not take are ignored. Equal
    arguments return the same object.

    Parameters
    ----------
    name : str
        One of `DATASETS`, or the path of a file of one's own (`own_images`).
    size : int, optional
        Rows of pixels of an image.
    seed : int
        Selects the 360 test images of scikit-learn's digits.
    encoding : str
        "binary" or "grey".
    whole : bool
        Of a file without a test set of its own, all images are test images.
    scale : tuple of float, optional
        Values of a file that are the levels 0 and 1; None: by its training images.

    Raises
    ------
    DatasetError
        The images do not come in this size.
    """
    if name not in DATASETS:
        return own_images(Path(name), seed, whole, scale, _stamp(Path(name)))
    if size is not None and size < 1:
        raise DatasetError(f"size must be {SMALLEST} or more, got {size}")
    accepted = inspect.signature(DATASETS[name]).parameters
    given = {"size": size, "encoding": encoding, "seed": seed}
    dataset = _kept(
        name,
        **{key: value for key, value in given.items() if key in accepted and value is not None},
    )
    if size not in (None, dataset.shape[0]):
        raise DatasetError(
            f"the images of {name} have {dataset.shape[0]} rows of pixels, got size {size}"
        )
    return dataset


_kept = functools.cache(load_dataset)  # so that the tasks of a worker process share their images
