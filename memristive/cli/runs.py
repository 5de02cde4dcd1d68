"""Sweeps: networks that are trained and tested alike, except for what is varied.

A `Run` is one network: built, trained and tested in closed form by the library's verbs. A sweep is
a list of runs, a table of their rows, and means over the seeds.
"""

import dataclasses
import difflib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from memristive.accounting.dissipation import write_costs
from memristive.datasets import Dataset, Images, matching_dataset
from memristive.devices.measured_device import MeasuredDevice
from memristive.learning.build import (
    build,
    initial_network,
    learning_of,
    presented_to_devices,
    stuck_cells,
)
from memristive.learning.rule import LayeredRule, Rule
from memristive.learning.training import Learning, train
from memristive.network.chip import Chip, device_chip
from memristive.network.networks import Network, network_on_chip
from memristive.parameters import ParameterError
from memristive.scores.checks import OperatingRangeWarning, layered_problems
from memristive.scores.decisions import score_row
from memristive.writing.pulses import Counts, no_counts
from memristive.writing.ways import PulseWrites
from memristor import Aging

AT_ONCE, LATE = "at once", "late"
HELD_OUT = 10_000  # most images
AGING = {one.name for one in dataclasses.fields(Aging) if not one.name.startswith("endurance")}
# what `Run.changes` may name, as "device.write_noise"
GROUPS = {"device": MeasuredDevice, "chip": Chip, "rule": LayeredRule, "pulses": PulseWrites}


@dataclass(frozen=True)
class Run:
    """A network of one device to be trained and tested.

    Parameters
    ----------
    device : MeasuredDevice
    data : str
        A dataset, or the path of a file of one's own images.
    size : int, optional
        Rows of pixels.
    hidden : tuple of int
        Neurons of hidden layers; with `convolution` kernels and layers above; (): what suits.
    convolution : bool
    pairs : int
    late : bool
    whole : bool
        False: pulses of any width without noise, for comparison.
    seed : int
        Of the start, of the order of images, of the split, and of the chip.
    presentations : int, optional
        None: as many as suit the images.
    held_out : bool
        Test on held-out training images.
    changes : dict
        Other values of fields of `GROUPS`, by names such as "device.write_noise".
    columns : dict
        Further columns of the row.
    """

    device: MeasuredDevice
    data: str = "digits"
    size: int | None = None
    hidden: tuple[int, ...] = ()
    convolution: bool = False
    pairs: int = 1
    late: bool = False
    whole: bool = True
    seed: int = 1
    presentations: int | None = None
    held_out: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, group: str) -> dict[str, Any]:
        """Return the changed fields of one of `GROUPS`."""
        start = f"{group}."
        return {
            name.removeprefix(start): value
            for name, value in self.changes.items()
            if name.startswith(start)
        }

    @property
    def dataset(self) -> Dataset:
        """Images to learn and to test."""
        return data_of(self.data, self.size, self.held_out, self.seed)

    def prepared(self) -> tuple[Network, LayeredRule]:
        """Return the untrained network and its rule."""
        data = self.dataset
        images = data.training.levels.reshape(-1, *data.shape)
        device = dataclasses.replace(self.device, **self.changed("device"))
        chip = device_chip(device, self.seed)
        if changes := self.changed("chip"):
            chip = dataclasses.replace(chip or Chip(seed=self.seed), **changes)
        learning = {"seed": self.seed} | self.changed("rule")
        shown = self.presentations
        if shown is None and not self.convolution:
            shown = presented_to_devices(len(images), self.late)
        if shown:
            learning = {"presentations": shown} | learning
        if self.whole:
            shape: dict[str, Any] | None = {} if self.convolution else None
            cells = (device, self.pairs, self.late)
            classes, hidden = len(data.labels), self.hidden or None
            network, rule = build(images, classes, hidden, *cells, shape, chip, **learning)
        else:
            made, rule = learning_of(device, 1 + len(self.hidden), self.pairs, whole=False)
            rule = dataclasses.replace(rule, **learning)
            levels = data.training.levels
            network = initial_network(self.hidden, len(data.labels), levels, rule, **made)
            network = network_on_chip(network, chip or stuck_cells(device, self.seed))
        if changes := self.changed("pulses"):
            assert network.pulses
            pulses = dataclasses.replace(network.pulses, **changes)
            network = dataclasses.replace(network, pulses=pulses)
        return network, rule  # type: ignore[return-value]  # devices have the rule of layers

    def trained(self) -> tuple[Network, LayeredRule, Counts]:
        """Return the trained network, its rule, and the numbers of its pulses."""
        network, rule = self.prepared()
        network, counts = learned(network, rule, self.dataset.training)
        return network, rule, counts


def learned(network: Network, rule: Rule, training: Images) -> tuple[Network, Counts]:
    """Return a network after a training in closed form, and the numbers of its pulses."""
    learning, counts = Learning.start(network, rule), no_counts(network)
    for _ in train(learning, rule, *training, counts=counts):
        pass
    return learning.network, counts


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


def evaluate(run: Run) -> dict[str, Any]:
    """Return the row of `examined`, and warn of what is out of range. Runs in a worker."""
    row, problems = examined(run)
    kind = ", ".join(f"{name}: {row[name]}" for name in ("device", *run.columns, "seed"))
    for problem in problems:
        warnings.warn(f"{kind}: {problem}", OperatingRangeWarning, stacklevel=2)
    return row


def examined(run: Run) -> tuple[dict[str, Any], list[str]]:
    """Train and test the network of a `run`. Return scores, pulses and energy of its writes as a
    row, and a message for each quantity that is out of range.
    """
    network, rule, counts = run.trained()
    test = run.dataset.test
    return {
        **{"device": run.device.name, **run.columns, "seed": run.seed},
        "presentations": rule.presentations,
        **score_row(test.labels, network.first_spikes(test.levels)),
        **write_costs(run.device, counts),
    }, layered_problems(network, test.levels, labels=test.labels)


def means_of(table: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    """Return a row for each kind of run, in the order of the table: mean, standard deviation,
    lowest and highest accuracy over the seeds, in %, mean pulses a cell and energy of all writes.
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
        for group, of in GROUPS.items()
        for one in dataclasses.fields(of)
        if "unit" in one.metadata
    }
    found = [full for full, short in known.items() if name in (full, short)]
    if found and found[0].partition(".")[2] in AGING:
        raise ParameterError(f"{found[0]} counts in time only: use memristive test --age SECONDS")
    if found:
        return found[0]
    close = difflib.get_close_matches(name.rpartition(".")[2], list(known.values()), 3, 0.7)
    near = [full for full, short in known.items() if short in close] or list(known)
    raise ParameterError(f"no field {name!r}; did you mean {', '.join(near)}?")
