"""Datasets, default rules, training, saved networks and scores that the studies of multilayer networks share."""

import dataclasses
import functools
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import shift

from datasets import DATASETS, Dataset, DatasetError, Images, encode, load_dataset, load_mnist
from memristive.cli.layered_reads import read_layers
from memristive.cli.progress import progress
from memristive.io.voltages import Voltages, load_layers
from memristive.multilayer.layer_chips import layer_chips
from memristive.multilayer.layer_netlist import LayerDesign
from memristive.multilayer.layer_network import BLOCK, LayeredLearning, LayeredNetwork, train_layers
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.engines import CLOSED_FORM
from memristive.single_layer.scores import decide, strict_scores
from memristive.single_layer.spike_decoding import RESOLUTION
from memristive.variability.chip import Chip

XOR = Images(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0]))
# Rule and hidden neurons of each dataset, chosen on held-out training images (XOR: on its four images). Others: as MNIST.
DEFAULTS = {
    "mnist": (LayeredRule(), (200,)),
    "mnist_shifted": (LayeredRule(), (300,)),
    "digits": (LayeredRule(presentations=60_000, start_drive_spread=0.5), (100,)),
    "digits_shifted": (LayeredRule(presentations=150_000, start_drive_spread=0.5), (200,)),
    "fashion": (LayeredRule(presentations=2_400_000, hidden_dose=40e-3, output_dose=80e-3, margin=18e-6, final_margin=0.1),
                (200,)),
    "xor": (LayeredRule(presentations=240, hidden_dose=0.3, output_dose=0.6, margin=10e-6, start_weight=0.5,
                        start_weight_spread=1.0), (16,))}
NAMES = list(dict.fromkeys([*DEFAULTS, *DATASETS]))


def layered_dataset(name: str, size: int | None = None, seed: int = 1) -> Dataset:
    """Return a dataset in grey; the same object for the same arguments.

    Parameters
    ----------
    name : str
        One of `NAMES`. mnist_shifted and digits_shifted are trained also on copies of their images, moved by one pixel of 28
        or by half a pixel of 8. xor has its four images for training and for testing.
    size : int, optional
        Rows of pixels of an image, for datasets that are shrunk to any size.
    seed : int
        Selects the 360 test images of scikit-learn's digits.

    Raises
    ------
    DatasetError
        The images do not come in this size.
    """
    maker = DATASETS.get(name.removesuffix("_shifted"))
    accepted = inspect.signature(maker).parameters if maker else {}
    given = {"size": size, "encoding": "grey", "seed": seed}
    dataset = _load(name, **{key: value for key, value in given.items() if key in accepted and value is not None})
    if size not in (None, dataset.shape[0]):
        raise DatasetError(f"the images of {name} have {dataset.shape[0]} rows of pixels, got size {size}")
    return dataset


@functools.cache
def _load(name: str, **options: Any) -> Dataset:
    if name == "xor":
        return Dataset("xor", np.full((2, 2), 0.5), ("0", "1"), (1, 2), "grey", load_images=lambda part: XOR)
    dataset = load_dataset(name.removesuffix("_shifted"), **options)
    if name == dataset.name:
        return dataset
    return dataclasses.replace(dataset, name=name, load_images=lambda part: dataset.test if part == "test" else _shifted(dataset))


def _shifted(dataset: Dataset) -> Images:
    """Return the training images of mnist or digits with four moved copies."""
    if dataset.name == "mnist":  # moved before they are shrunk
        arrays = load_mnist("x_train", "y_train")
        copies = encode(moved_by_a_pixel(arrays["x_train"]), dataset.shape[0], "grey")
        return Images(copies, np.tile(arrays["y_train"].astype(int), 5))
    levels = dataset.training.levels.reshape(-1, *dataset.shape)
    moved = [shift(levels, (0.0, *by), order=1) for by in ((0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5))]
    copies = np.concatenate([levels, *moved])
    return Images(copies.reshape(len(copies), -1), np.tile(dataset.training.labels, 5))


def moved_by_a_pixel(images: np.ndarray) -> np.ndarray:
    """Return `images` (n x rows x columns), then all of them moved by a pixel down, up, right and left, with dark edges."""
    _, rows, columns = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return np.concatenate([padded[:, y:y + rows, x:x + columns] for y, x in corners])


def file_stem(dataset: Dataset) -> str:
    """Return the stem of all files of a dataset: layers_mnist, layers_mnist_14x14, layers_digits."""
    return f"layers_{dataset.name}{dataset.size_suffix}"


def describe_network(dataset: Dataset, network: LayeredNetwork, rule: LayeredRule, engine: str = CLOSED_FORM,
                     chip: Chip | None = None) -> dict[str, Any]:
    """Return everything that determines a trained network, for records, checkpoints and voltages files."""
    return {"dataset": dataset.name, "shape": dataset.shape, "encoding": "grey", "rule": "layers", "engine": engine,
            "hidden": network.sizes[1:-1], "learning": rule.as_dict(), "network": network.parameters.as_dict(),
            "design": network.design.as_dict(), **({"pulses": network.pulses.as_dict()} if network.pulses else {}),
            **({"chip": chip.as_dict()} if chip else {})}


def network_on_chip(network: LayeredNetwork, chip: Chip | None) -> LayeredNetwork:
    """Return `network` with the devices of a chip; None: all alike. Raises ParameterError for unsupported deviations."""
    return dataclasses.replace(network, chip=layer_chips(chip, network.sizes) if chip else None)


def load_network(path: Path, name: str) -> tuple[LayeredNetwork, LayeredRule, Dataset, Voltages]:
    """Return the network of a voltages file on an ideal chip, its rule, its dataset, and the file's content.

    Raises VoltagesError if the file is missing, damaged, or of another dataset.
    """
    voltages = load_layers(path, name)
    design, rule = LayerDesign(**voltages.origin["design"]), LayeredRule(**voltages.origin["learning"])
    dataset = layered_dataset(name, voltages.origin.get("shape", [None])[0], rule.seed)
    return LayeredNetwork(voltages.states, voltages.setup().network, design), rule, dataset, voltages


def learn(network: LayeredNetwork, rule: LayeredRule, training: Images, bar: bool = False) -> LayeredLearning:
    """Return the training after all presentations of the rule, in closed form; with a progress `bar` if not in a worker."""
    learning = LayeredLearning.start(network, rule)
    steps = train_layers(learning, rule, training.levels, training.labels)
    for _ in progress(steps, -(-rule.presentations // BLOCK), "learning", f"{BLOCK} images") if bar else steps:
        pass
    return learning


def read_tests(network: LayeredNetwork, images: np.ndarray, engine: str, jobs: int | None = None) -> np.ndarray:
    """Return first spikes (images x classes, s; nan: silent) by an engine; ngspice reads on `jobs` processes."""
    if engine == CLOSED_FORM:
        return network.first_spikes(images)
    return np.array([read.layers[-1] for read in read_layers(network, images, jobs)])


def score_row(labels: np.ndarray, spikes: np.ndarray) -> dict[str, Any]:
    """Return samples, strict accuracy with its 95 % interval, silent and tied images, as columns of a table."""
    return {"samples": len(labels), **strict_scores(labels, decide(spikes, RESOLUTION)[0])}


def accuracy_summary(rows: Sequence[dict[str, Any]], count: str, *keys: str) -> list[dict[str, Any]]:
    """Return mean, lowest and highest strict accuracy of the rows with equal `keys`; column `count` is their number."""
    groups: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row["strict_accuracy"])
    return [{**dict(zip(keys, values, strict=True)), count: len(found), "mean": float(np.mean(found)), "lowest": min(found),
             "highest": max(found)} for values, found in groups.items()]
