"""Sweeps: networks that are trained and tested alike, except for what is varied.

A `Run` is one network: built from its recipe, trained and tested in closed form by the library's
verbs. A sweep is a list of runs, a table of their rows, and means over the seeds.
"""

import dataclasses
import difflib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

import memristive.learning.build
from memristive.accounting.dissipation import write_costs
from memristive.datasets import Dataset, Images, matching_dataset
from memristive.devices.aging import Aging
from memristive.devices.measured_device import MeasuredDevice
from memristive.files import read_json
from memristive.learning.build import build
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning, train
from memristive.network.chip import Chip
from memristive.network.networks import Network
from memristive.network.recipe import Conv, Dense, Recipe
from memristive.parameters import Fields, ParameterError, Values
from memristive.scores.checks import OperatingRangeWarning, layered_problems
from memristive.scores.decisions import score_row
from memristive.writing.pulses import Counts, no_counts
from memristive.writing.ways import PulseWrites

HELD_OUT = 10_000  # most images
AGING = {one.name for one in dataclasses.fields(Aging) if not one.name.startswith("endurance")}
TUNED = Path(memristive.learning.build.__file__).with_name("tuned.json")
# of a tuned convolution, what measured devices take: doses and weights follow from their pulses
FOR_DEVICES = ("rule.presentations", "rule.margin", "rule.start_drive_spread")
# what --vary of `memristive compare` may name, as "device.write_noise"
GROUPS = {"device": MeasuredDevice, "chip": Chip, "rule": LayeredRule, "pulses": PulseWrites}


@dataclass(frozen=True)
class Run:
    """A network to be trained and tested.

    Parameters
    ----------
    recipe : Recipe
        Its seed also selects the split of the images.
    data : str
        A dataset, or the path of a file of one's own images.
    size : int, optional
        Rows of pixels.
    held_out : bool
        Test on held-out training images.
    columns : dict
        Further columns of the row.
    """

    recipe: Recipe
    data: str = "digits"
    size: int | None = None
    held_out: bool = False
    columns: Values = field(default_factory=dict)

    @property
    def dataset(self) -> Dataset:
        """Images to learn and to test."""
        return data_of(self.data, self.size, self.held_out, self.recipe.seed)

    def changed(self, changes: Values) -> "Run":
        """Return this run with further changes of its recipe."""
        return dataclasses.replace(self, recipe=self.recipe.changed(changes))

    def prepared(self) -> tuple[Network, LayeredRule]:
        """Return the untrained network and its rule."""
        data = self.dataset
        images = data.training.levels.reshape(-1, *data.shape)
        network, rule = build(self.recipe.spread(), images, len(data.labels))
        return network, rule  # type: ignore[return-value]  # devices have the rule of layers

    def trained(self) -> tuple[Network, LayeredRule, Counts]:
        """Return the trained network, its rule, and the numbers of its pulses."""
        network, rule = self.prepared()
        learning, counts = Learning.start(network, rule), no_counts(network)
        for _ in train(learning, rule, *self.dataset.training, counts=counts):
            pass
        return learning.network, rule, counts


def tuned(data: str, convolution: bool = False, device: bool = False) -> Recipe | None:
    """Return the recipe whose settings were chosen on held-out images of a dataset; None if there
    is none. With a `device`, the settings of emulators do not count.
    """
    recipe = read_json(TUNED, "tuned recipes").get(data + " convolution" * convolution)
    if not recipe or (device and not convolution):
        return None
    layers = [Conv(**layer) if convolution else Dense(**layer) for layer in recipe["layers"]]
    kept = recipe["changes"].items()
    changes = {name: value for name, value in kept if not device or name in FOR_DEVICES}
    return Recipe(layers, changes=changes)


def data_of(name: str, size: int | None, held_out: bool, seed: int = 1) -> Dataset:
    """Return the dataset; if `held_out`, its test set are the last training images."""
    dataset = matching_dataset(name, size, seed)
    if not held_out:
        return dataset
    levels, labels = dataset.training
    images = len(labels) // (5 if name == "mnist_shifted" else 1)  # before shifted copies
    kept = max(images * 5 // 6, images - HELD_OUT)
    trained = np.arange(len(labels)) % images < kept
    parts = {
        "train": Images(levels[trained], labels[trained]),
        "test": Images(levels[kept:images], labels[kept:images]),
    }
    return dataclasses.replace(dataset, load_images=parts.__getitem__)


def evaluate(run: Run) -> Fields:
    """Return the row of `examined`, and warn of what is out of range. Runs in a worker."""
    row, problems = examined(run)
    kind = ", ".join(f"{name}: {row[name]}" for name in ("device", *run.columns, "seed"))
    for problem in problems:
        warnings.warn(f"{kind}: {problem}", OperatingRangeWarning, stacklevel=2)
    return row


def examined(
    run: Run, trained: tuple[Network, LayeredRule, Counts] | None = None
) -> tuple[Fields, list[str]]:
    """Test the network of a `run`, which is trained if it is not given. Return scores, pulses and
    energy of its writes as a row, and a message for each quantity that is out of range.
    """
    network, rule, counts = trained or run.trained()
    device = run.recipe.device
    assert device
    test = run.dataset.test
    return {
        **{"device": device.name, **run.columns, "seed": run.recipe.seed},
        "presentations": rule.presentations,
        **score_row(test.labels, network.first_spikes(test.levels)),
        **write_costs(device, counts),
    }, layered_problems(network, test.levels, labels=test.labels)


def means_of(table: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    """Return a row for each kind of run, in the order of the table. It has mean, standard
    deviation, lowest and highest accuracy over the seeds, in %, mean pulses a cell and energy of
    all writes.
    """
    groups = table.groupby(list(kinds), sort=False)
    accuracy = 100 * groups["strict_accuracy"].agg(["mean", "std", "min", "max"])
    costs = groups[["pulses_per_cell", "write_energy_J"]].mean()
    return accuracy.assign(seeds=groups.size()).join(costs).reset_index()


def field_named(name: str) -> str:
    """Return the full name of a field of a run, such as "device.write_noise" for "write_noise".
    Raises ParameterError if there is none.
    """
    known = {
        f"{group}.{one.name}": one.name
        for group, kind in GROUPS.items()
        for one in dataclasses.fields(kind)
        if "unit" in one.metadata
    }
    names = [full for full, short in known.items() if name in (full, short)]
    if names and names[0].partition(".")[2] in AGING:
        raise ParameterError(f"{names[0]} counts in time only: use memristive test --age SECONDS")
    if names:
        return names[0]
    close = difflib.get_close_matches(name.rpartition(".")[2], list(known.values()), 3, 0.7)
    near = [full for full, short in known.items() if short in close] or list(known)
    raise ParameterError(f"no field {name!r}; did you mean {', '.join(near)}?")
