"""Evidence for docs/chips.md: learning through wires wins back what their resistance costs.

Cost of resistive wires in accuracy, ex situ and in situ: one layer, MNIST, grey 10x10 images.

Wires have 0.01, 0.1 or 0.35 ohm from cell to cell. Cells are those of the paper, or have channels
100 times narrower, with feedback resistors 100 times larger. Ex situ, networks are trained without
wires, then read with them. In situ, the error-driven rule reads and writes through the wires. A
numerical solver of the wires trains and reads. The junctions to bulk are off, because they would
weaken depressions through wires. Writes results/one_layer/wires.json and figures/wires.png. 15
minutes on two cores. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.datasets import Dataset, mnist
from memristive.engines.engine import read
from memristive.learning.build import paper_network
from memristive.learning.rule import ErrorDrivenRule
from memristive.learning.training import learn
from memristive.network.chip import Chip
from memristive.network.design import Setup
from memristive.network.networks import network_on_chip
from memristive.plotting import BLUE, GREY, VERMILLION, WIDTH
from memristive.scores.decisions import score_row
from memristor import ISOLATED

RESISTANCES = (0.01, 0.1, 0.35)  # ohm, of the wires from cell to cell
SAMPLES = 10_000  # test images
NARROWER = {1: "the paper's cells", 100: "channels 100 times narrower"}
ROUTES = {
    "in situ": (BLUE, "o-", "learned through the wires (in situ)"),
    "ex situ": (VERMILLION, "s--", "learned without wires (ex situ)"),
}


@dataclass(frozen=True)
class WiredRun:
    """Network with wires of a `resistance` in ohm, tested on `samples` images. Its channels are
    narrower than the paper's by the factor `narrower`. It is trained with the wires (`in_situ`) or
    without.
    """

    narrower: int
    resistance: float
    in_situ: bool
    rule: ErrorDrivenRule
    samples: int

    def setup(self, dataset: Dataset) -> Setup:
        """Return the setup of `dataset` with the channels of this run. Narrow channels carry less
        current, so the feedback resistor is larger by the same factor.
        """
        memristor, neuron = dataset.setup.memristor, dataset.setup.neuron
        return dataset.setup.replace(
            memristor=dataclasses.replace(
                memristor, width=memristor.width / self.narrower, junction_current=ISOLATED
            ),
            neuron=dataclasses.replace(
                neuron, feedback_resistance=neuron.feedback_resistance * self.narrower
            ),
        )


def main(arguments: list[str] | None = None) -> None:
    """Train with and without wires, read with wires, plot."""
    parser = add_resume(make_parser(__doc__, "one_layer", parameters=False))
    options, rule = parser.parse_args(arguments), mnist(encoding="grey").rule
    record = Record(
        options,
        "wires",
        {
            "dataset": "mnist",
            "encoding": "grey",
            "resistances": RESISTANCES,
            "narrower": list(NARROWER),
            "samples": SAMPLES,
            "learning": rule.as_dict(),
        },
    )

    # 1. Train and read: without wires, then both routes for each resistance.
    routes = [(0.0, True), *((ohm, in_situ) for ohm in RESISTANCES for in_situ in (True, False))]
    tasks = [WiredRun(narrower, *route, rule, SAMPLES) for narrower in NARROWER for route in routes]
    rows = record.run_tasks(evaluate, tasks)

    # 2. Save, print, plot.
    record.write({"rows": rows}, ngspice=False)
    print_rows(rows)
    record.plot(wires_figure(rows))


def evaluate(task: WiredRun) -> dict[str, Any]:
    """Train a network and read the test images; return its scores as a row. Runs in a worker."""
    dataset = mnist(encoding="grey")
    chip = Chip(row_resistance=task.resistance, column_resistance=task.resistance)

    # 1. Train, with the wires or without.
    start = paper_network(task.setup(dataset), task.rule, *dataset.patterns.shape)
    learning = learn(
        network_on_chip(start, chip if task.in_situ else None), task.rule, *dataset.training
    )

    # 2. Read the test images with the wires.
    images, labels = dataset.test.first(task.samples)
    spikes = read(network_on_chip(learning.network, chip), images)
    return {
        "narrower": task.narrower,
        "resistance_ohm": task.resistance,
        "route": "in situ" if task.in_situ else "ex situ",
        **score_row(labels, spikes),
        "writes": int(learning.history[:, 1].sum()),
        "first_spike_s": float(np.nanmedian(np.fmin.reduce(spikes, axis=1))),
    }


def wires_figure(rows: list[dict[str, Any]]) -> Figure:
    """Draw accuracy against the resistance of the wires, one panel for each width of the
    channels.
    """
    figure, axes = plt.subplots(1, len(NARROWER), figsize=(WIDTH, 3.4), sharey=True)
    table = pd.DataFrame(rows).assign(accuracy=lambda of: 100 * of.strict_accuracy)
    for axis, (narrower, title) in zip(axes, NARROWER.items(), strict=True):
        own = table[table.narrower == narrower]
        ideal, wired = own[own.resistance_ohm == 0], own[own.resistance_ohm > 0]
        axis.axhline(ideal.accuracy.item(), color=GREY, linewidth=0.8, zorder=0, label="no wires")
        for route, (colour, style, label) in ROUTES.items():
            of = wired[wired.route == route]
            look = {"color": colour, "markersize": 4, "label": label}
            axis.plot(of.resistance_ohm, of.accuracy, style, **look)
        axis.set(xscale="log", xlabel="wire from cell to cell (ohm)", title=title)
        axis.set_xticks(RESISTANCES, [f"{ohm:g}" for ohm in RESISTANCES])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("strict test accuracy (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


if __name__ == "__main__":
    run(main)
