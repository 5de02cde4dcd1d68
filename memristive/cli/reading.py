"""Tests of networks: read many images on all cores or on a cluster, decide, score, save and print.

A task is a range of images; circuits stay loaded between tasks.
"""

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np

from memristive.cli.parallel import run_tasks
from memristive.cli.script import Record, table
from memristive.datasets import DATASETS, Dataset, matching_dataset
from memristive.engines.engine import NgspiceNetwork, check_engine, reads
from memristive.io.networks import network_of
from memristive.io.records import save_decisions
from memristive.io.voltages import UNNAMED, Voltages, read_voltages
from memristive.learning.rule import Rule
from memristive.network.design import CLOSED_FORM, NGSPICE, Schedule
from memristive.network.networks import READ_BLOCK, Network
from memristive.parameters import ParameterError, Values
from memristive.scores.checks import warn_of_range
from memristive.scores.decisions import RESOLUTION, decide, summary

RANGE = 50  # images in a task of the paper's layer: a second of work
PATCHES = 400  # patches in a task of a convolution: ten seconds of work
CHECKED = 100  # images whose membranes are compared with threshold and rail
OF_NETWORK = (
    "default: the dataset in the voltages file; of the file of the training, the images that it "
    "left out, of others all"
)
NEURONS = 3  # spikes to wait for in the paper's layer, for the top-3 accuracy

_readers: dict[str, NgspiceNetwork] = {}  # the last reader of this process, by its network


class Range(NamedTuple):
    """Task of `read_range`: a network and the `images` (n x inputs, levels 0 to 1) that it reads.

    `first` is the number of the first of these images in the whole set. The noise of the reads
    depends on this number.
    """

    network: Network
    images: np.ndarray
    first: int


def ranges(network: Network, images: np.ndarray) -> list[Range]:
    """Return tasks of `read_range` that together read all `images`."""
    size = RANGE if network.paper else READ_BLOCK
    patches = sum(len(layer.kind.patches) for layer in network.layers)
    if patches and not network.layers[0].read_noise:  # a block shares its noise
        size = min(size, max(1, PATCHES // patches))
    return [Range(network, images[k : k + size], k) for k in range(0, len(images), size)]


def read_range(task: Range) -> list[np.ndarray]:
    """Return the first spikes in ngspice, an array for each layer (images x neurons, s; nan:
    silent, or after the end of the read).
    """
    network, images, first = task
    key = joblib.hash(network)
    if key not in _readers:
        for reader in _readers.values():
            reader.unload()
        _readers.clear()
        _readers[key] = NgspiceNetwork(network)
    _readers[key].reset()  # the result does not depend on earlier ranges
    spikes = reads(
        network,
        images,
        _readers[key],
        NEURONS if network.paper else 2,
        first=first,
    )
    return [np.array(layer) for layer in zip(*spikes, strict=True)]


def trained_network(
    path: Path, data: str | None = None
) -> tuple[Network, Rule | None, Voltages, Dataset]:
    """Return the network and the rule in a voltages file, what else the file holds, and images,
    encoded as in the training.

    `data`: a dataset or a file of one's own images; None: the dataset that the file names. If it is
    the file of the training and has no test set, the images are the ones that the training left
    out. Of another file they are all. Values of a file are scaled as in the training. Raises
    ParameterError if the network cannot read them.

    Warns
    -----
    UserWarning
        Values are clipped, their scale is unknown, or images of the training may be among them.
    """
    voltages = read_voltages(path, data if data in DATASETS else "")
    name = data or voltages.origin.get("dataset", "mnist")
    if not data and name not in DATASETS:
        raise ParameterError(
            f"{path}: dataset {name!r} is none of {', '.join(DATASETS)}; name one of them, or a "
            "file of your images, with --data"
        )
    seed = (voltages.origin.get("learning") or {}).get("seed", 1)
    find = functools.partial(
        matching_dataset,
        name,
        voltages.shape[0],
        seed,
        voltages.encoding,
        scale=voltages.scale,
    )
    dataset = find()
    of_training = voltages.origin.get("data_checksum")
    if of_training is None:  # an old file has only the name
        same = Path(name).stem == voltages.origin.get("dataset")
    else:
        same = dataset.checksum == of_training
    if name not in DATASETS and not same:
        dataset = find(whole=True)
    if voltages.scale is None and dataset.scale and dataset.scale != (0.0, 1.0):
        low, high = dataset.scale
        warnings.warn(
            f"{path} does not record the scale of its images: {name} is scaled by its own values, "
            f"{low:g} to {high:g}",
            stacklevel=2,
        )
    unknown = ""
    if voltages.origin.get("dataset") == UNNAMED or "weights_of" in voltages.origin:
        unknown = f"{path} does not record which images its weights have learned"
    elif name not in DATASETS and not same and Path(name).stem == voltages.origin.get("dataset"):
        unknown = f"{name} has changed since the training, so all its images are read"
    if unknown:
        warnings.warn(
            f"{unknown}: images of {name} that the network has learned flatter it", stacklevel=2
        )
    network, rule = network_of(voltages, dataset.setup)
    check_images(dataset, network)
    return network, rule, voltages, dataset


def check_images(dataset: Dataset, network: Network) -> None:
    """Raise ParameterError unless the images of a `Dataset` have the inputs and the classes of a
    network.
    """
    (classes, inputs), (height, width) = dataset.patterns.shape, network.image_shape or (0, 0)
    if (inputs, classes) != (network.sizes[0], network.sizes[-1]):
        raise ParameterError(
            f"the network has {network.sizes[0]} inputs and {network.sizes[-1]} classes, "
            f"{dataset.name} has {inputs} and {classes}"
        )
    if dataset.shape == (width, height) != (height, width):
        raise ParameterError(
            f"the network reads images of {height} x {width}, images of {dataset.name} are "
            f"{width} x {height}: transpose them"
        )


def read_images(
    network: Network,
    images: np.ndarray,
    engine: str = NGSPICE,
    jobs: int | None = None,
    scheduler: str | None = None,
) -> np.ndarray:
    """Return the first spike times of all images.

    Parameters
    ----------
    network : Network
    images : array, n x inputs, levels 0 to 1
    engine : str
        "ngspice" or "closed-form".
    jobs, scheduler
        Worker processes, and address of a Dask scheduler, as in `parallel.run_tasks`.

    Returns
    -------
    array, n x classes, s
        nan for a neuron that had not fired when its read ended.

    Raises
    ------
    ParameterError
        The number of inputs of the images differs from the network's.
    SimulationError
        ngspice fails, or a worker died twice.

    Warns
    -----
    OperatingRangeWarning
        Membranes of the paper's layer clip or stay silent on the first 100 images.
    ClosedFormWarning
        The closed form is not exact for these parameters.
    """
    check_engine(engine)
    if network.paper:  # studies of other networks warn with their labels
        warn_of_range(network.setup, network.states[0], images[:CHECKED])
    if engine == CLOSED_FORM:
        network.warn_of_doubts()
        return network.first_spikes(images)
    tasks = ranges(network, images)
    results = dict(
        run_tasks(
            read_range, tasks, jobs, scheduler, [len(task.images) for task in tasks], "reading"
        )
    )
    return np.vstack([results[k][-1] for k in range(len(tasks))])


def save_test(
    record: Record,
    labels: np.ndarray,
    spikes: np.ndarray,
    engine: str,
    classes: Sequence[str],
    resolution: float = RESOLUTION,
    schedule: Schedule | None = None,
    **more: object,
) -> np.ndarray:
    """Write the record and NAME_decisions.csv.gz beside it, print the scores, and return the strict
    decisions (images).

    Parameters
    ----------
    record : Record
    labels : array, images
    spikes : array, images x classes, s
        First spike times, nan for silent neurons.
    engine : str
        Engine that read the images.
    classes : sequence of str
        Names of the classes.
    resolution : float
        Leads up to this time, in s, are ties. Tied and silent images count as wrong.
    schedule : Schedule, optional
        Adds decisions by the paper's rule, which samples outputs with this schedule's step.
    **more
        Further results for the record.
    """
    scores = {**summary(labels, spikes, resolution, schedule), **more}
    save_decisions(
        record.path.with_name(f"{record.path.stem}_decisions.csv.gz"),
        labels,
        spikes,
        resolution,
        schedule,
    )
    record.write(scores, ngspice=engine == NGSPICE)
    print_scores(scores, classes)
    return decide(spikes, resolution)[0]


def print_scores(scores: Values, labels: Sequence[str]) -> None:
    """Print the scores that `decisions.summary` computed, one a line. `labels` are the names of the
    classes.
    """

    def percent(share: float) -> str:
        return "-" if np.isnan(share) else f"{share:.1%}"

    low, high = scores["strict_interval_95"]
    rows = [
        ("images", str(scores["samples"])),
        (
            "strict accuracy",
            f"{scores['strict_accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})",
        ),
        ("silent", str(scores["silent"])),
        ("tied", f"{scores['tied']} (lead up to {scores['resolution'] * 1e6:.3g} us)"),
        (
            "recall by class",
            "  ".join(
                f"{label}: {percent(value)}"
                for label, value in zip(labels, scores["recall"], strict=True)
            ),
        ),
    ]
    if "equal_templates" in scores:
        rows.append(
            (
                "two best templates equal",
                f"{scores['equal_templates']:.2%} of the images: tied or silent",
            )
        )
    print(table(("score", "value"), rows))
