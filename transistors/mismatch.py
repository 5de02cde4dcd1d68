"""Transistors whose thresholds differ: weights learned on the chip against weights carried to it
(docs/transistors.md).

Thresholds deviate by 2, 5, 10 or 20 mV (standard deviation), or by each transistor's area after
Pelgrom. A chip learns by itself, or it gets the weights that an ideal chip has learned. Then only
one part of the circuit deviates, which shows which transistors must match. All images are drawn
from MNIST's training images, without those of the contest. The law, the model in
transistors/law.py, simulates five chips of each spread, with three and with ten digits. --engine
ngspice simulates three digits only, on chips whose transistors all deviate. Writes
results/transistors/transistor_mismatch[_ngspice].json and
figures/transistor_mismatch[_ngspice].png. Two minutes by the law; ten minutes of computing time in
ngspice.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.script import Record, make_parser, run
from memristive.datasets import load_mnist
from memristive.plotting import BLUE, VERMILLION, WIDTH
from memristive.progress import progress
from transistors.circuit import (
    PELGROM,
    PRESETS,
    SLOT,
    LearnerParameters,
    draw_thresholds,
    netlist,
    on_chip,
)
from transistors.images import LABELS, PASSES, Split, drawn_images
from transistors.law import Law
from transistors.transient import (
    STARTUP,
    Transient,
    contest_transient,
    deck,
    predictions,
    sampled,
    simulate,
)

SPREADS: dict[str, float | None] = {
    "ideal": 0.0,
    "2 mV": 2e-3,
    "5 mV": 5e-3,
    "10 mV": 10e-3,
    "20 mV": 20e-3,
    "by area": None,
}
PARTS = {
    "reads": ("mread",),
    "writes": ("mup", "mdown", "minv"),
    "comparison": ("mpair", "mmargin"),
    # beginnings of names
    "current sources": ("mscore", "mlabel", "mdiode", "mcopy", "mbalance", "mlevel", "mmean"),
}
SPREADS_OF_PARTS = {"10 mV": 10e-3, "50 mV": 50e-3}
FIRST_CHIP = 500  # seed; the sizes were chosen on chips with other seeds
FIRST_DRAW = 300  # seed of the images; the sizes were chosen on images of other seeds


def main(arguments: list[str] | None = None) -> None:
    """Let chips learn, carry weights to them, record and plot both accuracies."""
    parser = make_parser(__doc__, "transistors", parameters=False)
    parser.add_argument(
        "--engine", choices=("law", "ngspice"), default="law", help="what computes (default: law)"
    )
    parser.add_number(
        "--chips", 1, 1000, None, "chips of each spread (default: 5 by the law, 1 in ngspice)"
    )
    options = parser.parse_args(arguments)
    in_ngspice = options.engine == "ngspice"
    chips, tasks = (
        options.chips or (1 if in_ngspice else 5),
        ["mnist017"] if in_ngspice else list(LABELS),
    )
    name = "transistor_mismatch" + "_ngspice" * in_ngspice
    sizes = {task: PRESETS[f"{task}_chips"] for task in tasks}
    record = Record(
        options,
        name,
        {
            "engine": options.engine,
            "chips": chips,
            "passes": PASSES,
            "spreads_V": SPREADS,
            "parts": PARTS,
            "pelgrom_V_m": PELGROM,
            "learners": {task: sizes[task].as_dict() for task in tasks},
        },
    )

    # 1. Each chip learns its own draw of images; the weights that it is given were learned by an
    #    ideal chip from the same draw.
    mnist, rows, measure = (
        load_mnist(),
        list[dict[str, Any]](),
        by_ngspice if in_ngspice else by_law,
    )
    cases = [(task, chip) for task in tasks for chip in range(chips)]
    for task, chip in progress(cases, len(cases), options.engine, "chip"):
        images = drawn_images(task, mnist, FIRST_DRAW + chip, test=50 if in_ngspice else 100)
        ideal: np.ndarray | None = None
        plan = [("all", *spread) for spread in SPREADS.items()]
        plan += (
            []
            if in_ngspice
            else [(part, *spread) for part in PARTS for spread in SPREADS_OF_PARTS.items()]
        )
        for part, spread, deviation in plan:
            thresholds = draw_thresholds(
                netlist(sizes[task], LABELS[task]), FIRST_CHIP + chip, deviation
            )
            thresholds = {
                name: volts if name.startswith(PARTS.get(part, "m")) else 0.0
                for name, volts in thresholds.items()
            }
            learned, carried, weights = measure(sizes[task], task, images, thresholds, ideal)
            ideal = weights if ideal is None else ideal
            rows.append(
                {
                    "task": task,
                    "chip": chip,
                    "part": part,
                    "spread": spread,
                    "learned_on_chip": learned,
                    "carried_to_chip": carried,
                }
            )

    # 2. Record, table, figure.
    record.write({"rows": rows}, in_ngspice)
    means = (
        pd.DataFrame(rows)
        .groupby(["task", "part", "spread"], sort=False)[["learned_on_chip", "carried_to_chip"]]
        .mean()
    )
    print(means.round(4))
    record.plot(mismatch_figure(pd.DataFrame(rows), options.engine))


def by_law(
    learner: LearnerParameters,
    task: str,
    images: Split,
    thresholds: dict[str, float],
    ideal: np.ndarray | None,
) -> tuple[float, float, np.ndarray]:
    """Simulate a chip by the law; return its accuracies (shares) with learned and with `ideal`
    weights, and the learned weights (classes x inputs, V).

    `thresholds`: each transistor's deviation in V by its name. Without `ideal` weights, both
    accuracies are those of the learned ones.
    """
    law = Law(learner, LABELS[task], thresholds=thresholds)
    weights = law.train(*images.lessons(PASSES))
    learned, carried = (
        float(np.mean(law.decided(states, images.test) == images.test_labels))
        for states in (weights, weights if ideal is None else ideal)
    )
    return learned, carried, weights


def by_ngspice(
    learner: LearnerParameters,
    task: str,
    images: Split,
    thresholds: dict[str, float],
    ideal: np.ndarray | None,
) -> tuple[float, float, np.ndarray]:
    """Return what `by_law` returns (same arguments), simulated by ngspice: one transient trains and
    tests, another one tests the `ideal` weights.
    """
    chip, models = on_chip(netlist(learner, LABELS[task]), thresholds)
    transient, shown = contest_transient(images, PASSES)
    labels = images.test_labels[shown]
    cells = [f"n_w{c}_{i}" for c in LABELS[task] for i in range(transient.inputs)]
    trace = simulate(deck(chip, transient, save=cells, transistor_models=models), transient.stop)
    end = STARTUP + transient.learning.sum() * SLOT - 1e-7
    weights = np.array([sampled(trace, f"v(xlearner.{cell})", end) for cell in cells])
    learned = float(np.mean(predictions(trace, transient, ~transient.learning)[0] == labels))
    if ideal is None:
        return learned, learned, weights
    test = Transient(
        images.test[shown], np.full(len(shown), -1), np.zeros(len(shown), bool), carried=True
    )
    states = [
        f".ic v(xlearner.{cell})={volts:.9g}" for cell, volts in zip(cells, ideal, strict=True)
    ]
    trace = simulate(deck(chip, test, transistor_models=models, initial=states), test.stop)
    return learned, float(np.mean(predictions(trace, test, ~test.learning)[0] == labels)), weights


def mismatch_figure(rows: pd.DataFrame, engine: str) -> Figure:
    """Draw the accuracies of learned and of carried weights over the spread: means as lines, chips
    as points.
    """
    tasks = list(rows.task.unique())
    figure, axes = plt.subplots(1, len(tasks), figsize=(WIDTH, 3.4), squeeze=False)
    for axis, task in zip(axes.flat, tasks, strict=True):
        part = rows[(rows.task == task) & (rows.part == "all")]
        for column, colour, marker, label, shift in (
            ("learned_on_chip", BLUE, "o", "learned on the chip", -0.06),
            ("carried_to_chip", VERMILLION, "s", "carried to the chip", 0.06),
        ):
            place = part.spread.map(list(SPREADS).index) + shift
            axis.plot(
                place,
                100 * part[column],
                marker,
                color=colour,
                markersize=3.5,
                alpha=0.5,
                linestyle="none",
            )
            means = part.groupby("spread", sort=False)[column].mean()
            at = np.arange(len(means)) + shift
            axis.plot(at[:-1], 100 * means.iloc[:-1], color=colour, label=label)
            axis.plot(at[-1:], 100 * means.iloc[-1:], "_", color=colour, markersize=16)
        axis.axhline(
            100 / len(LABELS[task]),
            color=plotting.GREY,
            linestyle="--",
            linewidth=1,
            label="chance",
        )
        axis.set_xticks(range(len(SPREADS)), list(SPREADS))
        axis.set(
            xlabel="standard deviation of thresholds",
            ylabel="accuracy (%)",
            title=f"{len(LABELS[task])} digits, "
            f"{'ngspice' if engine == 'ngspice' else 'by the law'}",
        )
        axis.set_ylim(0, 100)
        axis.grid(alpha=0.3)
    axes[0, 0].legend(loc="lower left")
    return figure


if __name__ == "__main__":
    run(main)
