"""Evidence for docs/export.md: what a start from software saves on a chip.

scikit-learn's MLPClassifier learns digits (40 hidden neurons) and
MNIST's grey 10x10 images (100). Its weights become those of a circuit, of emulators or of epiram,
on an ideal chip and on chips whose cells and thresholds differ by 5 and 10 %. There the network
learns for some presentations. For comparison a network with random weights learns on the same
chips, with the settings of `memristive.learning.build`. All settings were chosen on other splits of
digits and on held-out training images of MNIST.

Closed form, strict accuracy on all test images. Writes results/chips/weights.json and
figures/weights.png in some minutes on two cores. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import functools
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.cli.script import Record, add_resume, make_parser, run
from memristive.datasets import Dataset, matching_dataset
from memristive.io.weights import load_weights
from memristive.learning.build import build
from memristive.learning.training import learn
from memristive.network.chip import Chip
from memristive.network.networks import Network
from memristive.plotting import COLOURS, WIDTH, over_seeds
from memristive.scores.decisions import score_row

HIDDEN = {"digits": 40, "mnist": 100}
SPREADS, PRESENTATIONS = (0.0, 0.05, 0.1), (300, 1000, 3000, 10_000)
SOFTWARE, SCRATCH = "software", "random"


@dataclass(frozen=True)
class Start:
    """Network of a `device` on a chip, with weights of `origin` (`SOFTWARE` or `SCRATCH`)."""

    data: str
    device: str | None
    origin: str
    spread: float
    seed: int

    def rows(self) -> list[dict[str, Any]]:
        """Return the accuracies after 0 and more presentations on the chip."""
        data = matching_dataset(self.data, seed=self.seed)
        images, classes = data.training.levels, len(data.labels)
        spread = self.spread
        chip = Chip(seed=self.seed, cell_gain=spread, neuron_threshold=spread) if spread else None
        layers, software = mlp(self.data, self.seed)

        known: dict[str, Any] = {"chip": chip, "seed": self.seed}
        if self.origin == SCRATCH:
            network, rule = build(images, classes, HIDDEN[self.data], self.device, **known)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of clipped weights
                network, rule = load_weights(layers, images, self.device, **known)
        found = [(0, accuracy(network, data))]
        for count in PRESENTATIONS:
            shorter = dataclasses.replace(rule, presentations=count)
            found.append((count, accuracy(learn(network, shorter, *data.training).network, data)))
        return [
            asdict(self) | {"presentations": count, "strict_accuracy": value, "software": software}
            for count, value in found
        ]


def accuracy(network: Network, data: Dataset) -> float:
    """Return the strict accuracy of a network on the test images."""
    spikes = network.first_spikes(data.test.levels)
    return float(score_row(data.test.labels, spikes)["strict_accuracy"])


@functools.cache
def mlp(name: str, seed: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], float]:
    """Return the weights and biases of a trained MLP, and its test accuracy."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    data = matching_dataset(name, seed=seed)
    large: dict[str, Any] = (
        {"max_iter": 25, "early_stopping": True} if name == "mnist" else {"max_iter": 600}
    )
    network = MLPClassifier((HIDDEN[name],), alpha=1e-3, random_state=seed, **large)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(*data.training)
    layers = [(w.T, b) for w, b in zip(network.coefs_, network.intercepts_, strict=True)]
    return layers, float(network.score(*data.test))


def main(arguments: list[str] | None = None) -> None:
    """Carry and train all networks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "chips", parameters=False))
    parser.add_common("--seeds", 3)
    options = parser.parse_args(arguments)
    tasks = [
        Start(data, device, origin, spread, seed)
        for data in HIDDEN
        for device in (None, "epiram")
        for origin in (SOFTWARE, SCRATCH)
        for spread in SPREADS
        for seed in range(1, options.seeds + 1)
    ]
    record = Record(options, "weights", {"hidden": HIDDEN, "seeds": options.seeds})
    parts = record.run_tasks(Start.rows, tasks)
    rows = [row for part in parts for row in part]
    record.write({"rows": rows}, ngspice=False)
    table = pd.DataFrame(rows).fillna({"device": "emulators"})
    kinds = ["data", "device", "origin", "spread", "presentations"]
    means = table.groupby(kinds, sort=False)[["strict_accuracy", "software"]].mean()
    print(means.to_string(float_format="{:.4f}".format))
    record.plot(figure(table))


def figure(table: pd.DataFrame) -> Figure:
    """Draw accuracy over presentations on the chip: a panel for each spread and set of images."""
    drawn, axes = plt.subplots(
        len(HIDDEN), len(SPREADS), figsize=(WIDTH, 5.0), sharex=True, sharey="row"
    )
    table = table.assign(accuracy=100 * table["strict_accuracy"])
    for line, data in zip(axes, HIDDEN, strict=True):
        for axis, spread in zip(line, SPREADS, strict=True):
            of = table[(table["data"] == data) & (table["spread"] == spread)]
            axis.axhline(100 * of["software"].mean(), color="black", linewidth=0.8, label="MLP")
            for (device, origin), colour in zip(
                [(d, o) for d in ("emulators", "epiram") for o in (SOFTWARE, SCRATCH)],
                COLOURS,
                strict=False,
            ):
                chosen = of[(of["device"] == device) & (of["origin"] == origin)]
                groups = chosen.groupby("presentations")["accuracy"]
                look = {"color": colour, "markersize": 4, "label": f"{device}, {origin} weights"}
                style = "o-" if origin == SOFTWARE else "s--"
                over_seeds(axis, groups.mean().index, groups, fmt=style, **look)
            axis.set_xscale("symlog", linthresh=100)
            axis.set_title(f"{data}, spread {spread:.0%}")
            axis.grid(alpha=0.3)
        line[0].set_ylabel("test accuracy (%)")
    for axis in axes[-1]:
        axis.set_xlabel("presentations on the chip")
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return drawn


if __name__ == "__main__":
    run(main)
