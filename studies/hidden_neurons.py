"""How many hidden neurons does it take? Accuracy and learning curves of one layer and of two, MNIST's grey 10x10 images.

Trains and tests networks of each size in closed form, with the doses that were chosen for 200 hidden neurons (docs/layers.md).
Writes results/hidden_neurons.json and figures/hidden_neurons_*.png. Two minutes on two cores. Ctrl-C saves a checkpoint for
--resume.
"""

import dataclasses
import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import plotting
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, apply_settings, make_parser
from memristive.cli.parallel import run_resumable
from memristive.cli.progress import print_rows
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.multilayer.clipping import warn_of_layers
from memristive.multilayer.layer_network import initial_network
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.engines import CLOSED_FORM
from memristive.single_layer.error_rule import learning_curve
from plotting import BLUE, COLOURS, GREY, WIDTH
from studies.layer_experiments import accuracy_summary, layered_dataset, learn, score_row

RULE = LayeredRule(presentations=300_000)
HIDDEN = (0, 25, 50, 100, 200, 400)  # 0: a single layer
DRAWN = (0, 25, 100, 400)  # learning curves in the figure
WINDOW = 5000  # presentations in a running accuracy
POINTS = 120  # of a learning curve
Task = tuple[int, LayeredRule, int]  # hidden neurons, rule, test images


def main(arguments: list[str] | None = None) -> None:
    """Train networks of all sizes, test them, plot."""
    parser = add_jobs(add_resume(make_parser(__doc__)))
    parser.add_number("--seeds", 1, 100, 2, "networks of each size")
    parser.add_number("--samples", 1, 10_000, 10_000, "only the first N test images")
    options = parser.parse_args(arguments)
    (rule,) = apply_settings(options, rule=RULE)
    record = options.results / "hidden_neurons.json"
    parameters = {"dataset": "mnist", "hidden": HIDDEN, "seeds": options.seeds, "samples": options.samples,
                  "learning": rule.as_dict(), "engine": CLOSED_FORM}
    check_overwriting(record, parameters, options.force)

    # 1. Train and test all networks, side by side.
    tasks = [(hidden, dataclasses.replace(rule, seed=seed), options.samples)
             for hidden in HIDDEN for seed in range(1, options.seeds + 1)]
    found = run_resumable(train_and_test, tasks, [rule.presentations] * len(tasks), options, record, parameters)
    rows, curves = [one["row"] for one in found], [one["curve"] for one in found]

    # 2. Save, print, plot.
    sizes = accuracy_summary(rows, "seeds", "hidden")
    write_results(record, parameters, {"rows": rows, "summary": sizes, "learning_curves": curves}, ngspice=False)
    print_rows(sizes)
    plotting.save(accuracy_figure(sizes, rule.presentations), options.figures / "hidden_neurons_accuracy.png")
    plotting.save(curves_figure(curves), options.figures / "hidden_neurons_learning.png")


def train_and_test(task: Task) -> dict[str, Any]:
    """Return the scores and the learning curve of one network. Runs in a worker."""
    (hidden, rule, samples), data = task, layered_dataset("mnist")
    images, labels = data.test.levels[:samples], data.test.labels[:samples]
    network = initial_network((hidden,) if hidden else (), 10, data.training.levels, rule)
    learning = learn(network, rule, data.training)
    warn_of_layers(learning.network, images)
    accuracy, writes = learning_curve(learning.history, WINDOW)
    points = np.unique(np.geomspace(min(100, len(accuracy)), len(accuracy), POINTS).astype(int)) - 1
    name = {"hidden": hidden, "seed": rule.seed}
    return {"row": {**name, **score_row(labels, learning.network.first_spikes(images)),
                    "presentations_that_wrote": int(writes[-1])},
            "curve": {**name, "presentations": (points + 1).tolist(), "running_accuracy": accuracy[points].tolist()}}


def accuracy_figure(sizes: list[dict[str, Any]], presentations: int) -> Figure:
    """Draw test accuracy against hidden neurons: the mean of the seeds as a line, lowest to highest as bars."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    single, *two = sizes
    hidden, means = [size["hidden"] for size in two], 100 * np.array([size["mean"] for size in two])
    around = np.abs(100 * np.array([[size["lowest"], size["highest"]] for size in two]).T - means)
    axis.errorbar(hidden, means, around, color=BLUE, marker="o", markersize=4, capsize=3,
                  label="two layers (mean of the seeds, lowest to highest)")
    for size, mean in zip(two, means, strict=True):
        axis.annotate(f"{mean:.2f}", (size["hidden"], 100 * size["highest"]), textcoords="offset points", xytext=(0, 4),
                      ha="center", fontsize=9)
    axis.axhline(100 * single["mean"], color=GREY, linestyle="--", label=f"one layer: {single['mean']:.2%}")
    axis.set_xscale("log", base=2)
    axis.set_xticks(hidden, list(map(str, hidden)))
    axis.set(xlabel="hidden neurons", ylabel="strict test accuracy (%)",
             title=f"MNIST, grey 10x10, {presentations:,} presentations, closed form")
    lowest = 100 * min(*(size["lowest"] for size in two), single["mean"])
    highest = 100 * max(size["highest"] for size in two)
    space = 0.1 * (highest - lowest) + 0.2
    axis.set_ylim(lowest - space, highest + space)
    axis.grid(alpha=0.3)
    axis.legend(loc="center right")
    return figure


def curves_figure(curves: list[dict[str, Any]]) -> Figure:
    """Draw the share of wrong answers during the training, for the first seed of each size in `DRAWN`."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.8))
    for colour, hidden in zip(COLOURS, DRAWN, strict=False):
        curve = next(one for one in curves if one["hidden"] == hidden)
        axis.plot(curve["presentations"], 100 * (1 - np.array(curve["running_accuracy"])), color=colour,
                  label=f"two layers, {hidden} hidden neurons" if hidden else "one layer")
    axis.set(xscale="log", yscale="log", xlabel="presentations (training images)", ylabel="wrong while learning (%)",
             title=f"Learning curves (over the last {WINDOW:,} presentations, or all there were; seed 1)")
    axis.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


if __name__ == "__main__":
    from studies import hidden_neurons  # workers import what they run

    sys.exit(run(hidden_neurons.main))
