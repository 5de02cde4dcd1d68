"""Accuracy over the number of hidden neurons, from none (one layer) to 400: MNIST's grey 10x10
images.

Trains and tests networks of each size in closed form, with the doses that were chosen for 200
hidden neurons (docs/layers.md). Writes results/layers/hidden_neurons.json and
figures/hidden_neurons_accuracy.png. Two minutes on two cores. Ctrl-C saves a checkpoint for
--resume.
"""

import dataclasses
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from datasets import matching_dataset
from memristive.cli.script import Record, add_resume, apply_settings, make_parser, run
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.network.design import CLOSED_FORM
from memristive.scores.decisions import score_row
from plotting import BLUE, GREY, WIDTH

RULE = LayeredRule(presentations=300_000)
HIDDEN = (0, 25, 50, 100, 200, 400)  # 0: a single layer


def main(arguments: list[str] | None = None) -> None:
    """Train networks of all sizes, test them, plot."""
    parser = add_resume(make_parser(__doc__, "layers"))
    parser.add_common("--seeds", 2)
    parser.add_common("--samples", 10_000)
    options = parser.parse_args(arguments)
    (rule,) = apply_settings(options, rule=RULE)
    record = Record(
        options,
        "hidden_neurons",
        {
            "dataset": "mnist",
            "hidden": HIDDEN,
            "seeds": options.seeds,
            "samples": options.samples,
            "learning": rule.as_dict(),
            "engine": CLOSED_FORM,
        },
    )

    # 1. Train and test all networks, side by side.
    tasks = [
        (hidden, dataclasses.replace(rule, seed=seed), options.samples)
        for hidden in HIDDEN
        for seed in range(1, options.seeds + 1)
    ]
    rows = record.run_tasks(train_and_test, tasks, [rule.presentations] * len(tasks))

    # 2. Save, print, plot.
    accuracies = pd.DataFrame(rows).groupby("hidden").strict_accuracy
    sizes = accuracies.agg(seeds="size", mean="mean", lowest="min", highest="max").reset_index()
    record.write({"rows": rows}, ngspice=False)
    print(sizes.to_string(index=False))
    record.plot(accuracy_figure(sizes, rule.presentations), "accuracy")


def train_and_test(task: tuple[int, LayeredRule, int]) -> dict[str, Any]:
    """Train a network and score its test images; `task` has the number of hidden neurons, the rule
    and the number of images. Returns a row. Runs in a worker.
    """
    (hidden, rule, samples), data = task, matching_dataset("mnist")
    images, labels = data.test.first(samples)
    network = initial_network((hidden,) if hidden else (), 10, data.training.levels, rule)
    name = f"{hidden} hidden neurons, seed {rule.seed}"
    learning = learn(network, rule, *data.training, name=name)
    return {
        "hidden": hidden,
        "seed": rule.seed,
        **score_row(labels, learning.network.first_spikes(images)),
        "presentations_that_wrote": int(learning.history[:, 1].sum()),
    }


def accuracy_figure(sizes: pd.DataFrame, presentations: int) -> Figure:
    """Draw test accuracy against hidden neurons: the mean of the seeds as a line, lowest to highest
    as bars.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    single, two = sizes["mean"][0], sizes[1:]
    around = [100 * (two["mean"] - two.lowest), 100 * (two.highest - two["mean"])]
    axis.errorbar(
        two.hidden,
        100 * two["mean"],
        around,
        color=BLUE,
        marker="o",
        markersize=4,
        capsize=3,
        label="two layers (mean of the seeds, lowest to highest)",
    )
    for hidden, mean, highest in zip(two.hidden, two["mean"], two.highest, strict=True):
        axis.annotate(
            f"{100 * mean:.2f}",
            (hidden, 100 * highest),
            textcoords="offset points",
            xytext=(0, 4),
            ha="center",
            fontsize=9,
        )
    axis.axhline(100 * single, color=GREY, linestyle="--", label=f"one layer: {single:.2%}")
    axis.set_xscale("log", base=2)
    axis.set_xticks(two.hidden, two.hidden.astype(str))
    axis.set(
        xlabel="hidden neurons",
        ylabel="strict test accuracy (%)",
        title=f"MNIST, grey 10x10, {presentations:,} presentations, closed form",
    )
    lowest, highest = 100 * min(two.lowest.min(), single), 100 * two.highest.max()
    space = 0.1 * (highest - lowest) + 0.2
    axis.set_ylim(lowest - space, highest + space)
    axis.grid(alpha=0.3)
    axis.legend(loc="center right")
    return figure


if __name__ == "__main__":
    run(main)
