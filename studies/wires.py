"""What do resistive wires cost, and does learning on the chip win it back? One layer, MNIST, grey 10x10 images.

Wires of 0.01, 0.1 and 0.35 ohm a cell; cells of the paper, and cells with channels 100 times narrower and feedback resistors
100 times larger. Ex situ: trained without wires, then read with them. In situ: the error-driven rule reads and writes through
the wires. The wire solver trains and reads all test images, ngspice reads the first of them as well (--ngspice). Junctions are
isolated, as depressions through wires need. Writes results/wires.json and figures/wires.png. 15 minutes on two cores. Ctrl-C
saves a checkpoint for --resume.
"""

import dataclasses
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import plotting
from datasets import Dataset, mnist
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, apply_settings, make_parser, table, whole_number
from memristive.cli.parallel import run_resumable
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.single_layer.closed_form import crossbar_of
from memristive.single_layer.energy import isolated
from memristive.single_layer.engines import CLOSED_FORM, make_engine
from memristive.single_layer.error_rule import ErrorDrivenRule, ErrorDrivenTrainer, initial_state
from memristive.single_layer.ngspice_crossbar import Reader
from memristive.single_layer.scores import decide
from memristive.single_layer.setup import Setup
from memristive.single_layer.spike_decoding import RESOLUTION
from memristive.variability.chip import Chip, on_chip
from memristive.variability.chip_engines import chip_engine
from plotting import BLUE, GREY, VERMILLION, WIDTH
from studies.layer_experiments import score_row

RESISTANCES = (0.01, 0.1, 0.35)  # ohm, of the wires from cell to cell
NARROWER = {1: "the paper's cells", 100: "channels 100 times narrower"}
ROUTES = {"in situ": (BLUE, "-", "learned through the wires (in situ)"),
          "ex situ": (VERMILLION, "--", "learned without wires (ex situ)")}


@dataclass(frozen=True)
class Task:
    """A network on a chip with wires: how much `narrower` its channels are, `resistance` in ohm, images that engines read."""

    narrower: int
    resistance: float
    in_situ: bool
    rule: ErrorDrivenRule
    samples: int
    in_ngspice: int

    def setup(self, dataset: Dataset) -> Setup:
        """Return the nominal design: narrow channels carry less current, and the feedback makes up for it."""
        memristor, neuron = dataset.setup.memristor, dataset.setup.neuron
        return dataset.setup.replace(
            memristor=isolated(dataclasses.replace(memristor, width=memristor.width / self.narrower)),
            neuron=dataclasses.replace(neuron, feedback_resistance=neuron.feedback_resistance * self.narrower))


def main(arguments: list[str] | None = None) -> None:
    """Train with and without wires, read with wires, plot."""
    parser = add_jobs(add_resume(make_parser(__doc__)))
    parser.add_argument("--samples", type=whole_number(1, 10_000), default=10_000, metavar="N", help="only the first N images")
    parser.add_argument("--ngspice", type=whole_number(0, 10_000), default=200, metavar="N",
                        help="test images that ngspice reads as well (default: 200)")
    options = parser.parse_args(arguments)
    (rule,) = apply_settings(options, rule=mnist(encoding="grey").rule)
    record = options.results / "wires.json"
    parameters = {"dataset": "mnist", "encoding": "grey", "resistances": RESISTANCES, "narrower": list(NARROWER),
                  "samples": options.samples, "ngspice": options.ngspice, "learning": rule.as_dict()}
    check_overwriting(record, parameters, options.force)

    # 1. Train and read: without wires, then both routes for each resistance.
    routes = [(0.0, True), *((ohm, in_situ) for ohm in RESISTANCES for in_situ in (True, False))]
    tasks = [Task(narrower, ohm, in_situ, rule, options.samples, min(options.ngspice, options.samples) * (ohm > 0))
             for narrower in NARROWER for ohm, in_situ in routes]
    rows = run_resumable(evaluate, tasks, [rule.presentations] * len(tasks), options, record, parameters)

    # 2. Save, print, plot.
    write_results(record, parameters, {"rows": rows}, ngspice=options.ngspice > 0)
    print(table(("channels", "ohm", "route", "accuracy", "silent", "first spike/us", "by ngspice", "decided differently"),
                [(f"1/{row['narrower']}", row["resistance_ohm"], row["route"], f"{row['strict_accuracy']:.2%}", row["silent"],
                  f"{1e6 * row['first_spike_s']:.1f}", row["ngspice_images"], row["decided_differently"]) for row in rows]))
    plotting.save(wires_figure(rows), options.figures / "wires.png")


def evaluate(task: Task) -> dict[str, Any]:
    """Return the scores of a network. Runs in a worker."""
    dataset = mnist(encoding="grey")
    setup, chip = task.setup(dataset), Chip(row_resistance=task.resistance, column_resistance=task.resistance)

    # 1. Train, with the wires or without.
    engine = (chip_engine(CLOSED_FORM, setup, chip) if task.in_situ and task.resistance
              else make_engine(CLOSED_FORM, setup, chip.classes, chip.inputs))
    learning = initial_state(task.rule, chip.classes, chip.inputs)
    deque(ErrorDrivenTrainer(engine, task.rule, dataset.training.levels, dataset.training.labels).presentations(learning), 0)

    # 2. Read the test images with the wires, the first of them in ngspice too.
    images, labels, wired = dataset.test.levels[:task.samples], dataset.test.labels[:task.samples], on_chip(setup, chip)
    spikes = crossbar_of(wired).first_spikes(learning.states, images)
    reader = Reader(wired, chip.classes)
    simulated = np.array([reader.spikes(learning.states, image, wanted=2) for image in images[:task.in_ngspice]])
    reader.unload()
    simulated = simulated.reshape(task.in_ngspice, chip.classes)
    solved, judged = (decide(times, RESOLUTION)[0] for times in (spikes[:task.in_ngspice], simulated))
    return {"narrower": task.narrower, "resistance_ohm": task.resistance, "route": "in situ" if task.in_situ else "ex situ",
            **score_row(labels, spikes), "writes": int(learning.history[:, 1].sum()),
            "first_spike_s": float(np.nanmedian(np.fmin.reduce(spikes, axis=1))),
            "ngspice_images": task.in_ngspice, "decided_differently": int(np.sum(solved != judged)),
            "ngspice_accuracy": float(np.mean(judged == labels[:task.in_ngspice])) if task.in_ngspice else None}


def wires_figure(rows: list[dict[str, Any]]) -> Figure:
    """Draw accuracy against the resistance of the wires, one panel for each width of the channels."""
    figure, axes = plt.subplots(1, len(NARROWER), figsize=(WIDTH, 3.4), sharey=True)
    for axis, (narrower, title) in zip(axes, NARROWER.items(), strict=True):
        chosen = [row for row in rows if row["narrower"] == narrower]
        axis.axhline(100 * chosen[0]["strict_accuracy"], color=GREY, linewidth=0.8, zorder=0, label="no wires")
        for route, (colour, dashes, label) in ROUTES.items():
            points = [(row["resistance_ohm"], 100 * row["strict_accuracy"]) for row in chosen[1:] if row["route"] == route]
            axis.plot(*np.reshape(points, (-1, 2)).T, dashes, color=colour, marker="o" if route == "in situ" else "s",
                      markersize=4, label=label)
        axis.set(xscale="log", xlabel="wire from cell to cell (ohm)", title=title)
        axis.set_xticks(RESISTANCES, [f"{ohm:g}" for ohm in RESISTANCES])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("strict test accuracy (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


if __name__ == "__main__":
    from studies import wires  # workers import what they run

    sys.exit(run(wires.main))
