"""Evidence for docs/learning.md: what 100 neurons recognise without labels.

MNIST without labels: how many test images does a circuit recognise that has learned by itself?
(docs/learning.md)

The closed form learns all 60,000 training images without labels. The training labels then assign a
digit to each neuron, and the closed form and ngspice read the test images with the thresholds that
homeostasis has set. Writes voltages/NAME.json, results/stdp/NAME.json and figures/NAME_*.png; NAME
is mnist_stdp_grey_100 for 100 neurons. Writes figures/mnist_stdp_accuracy.png from all these
records. 10 to 30 s without ngspice (--samples 0), 2 minutes more with --samples 10000 --contenders
3.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.script import Record, apply_settings, make_parser, print_rows, progress, run
from memristive.datasets import ENCODINGS, load_dataset
from memristive.io.records import check_overwriting, describe, load_table
from memristive.io.voltages import save_voltages
from memristive.plotting import COLOURS, WIDTH
from memristive.scores.decisions import RESOLUTION, decide, lead, strict_scores
from memristive.stdp import stdp_learning
from memristive.stdp.stdp_learning import CONTENDERS, PACE_STEP, MnistLearning

PUBLISHED = (
    ("Diehl, Cook 2015, 28x28", 100, 0.829),
    ("Diehl, Cook 2015, 28x28", 400, 0.870),
    ("Querlioz et al. 2013, 28x28", 300, 0.935),
)


def main(arguments: list[str] | None = None) -> None:
    """Learn, assign digits, test, plot."""
    parser = make_parser(__doc__, "stdp")
    parser.add_argument(
        "--encoding",
        choices=ENCODINGS,
        default="grey",
        help="pixels on or off, or voltages proportional to grey levels (default: grey)",
    )
    parser.add_argument(
        "--neurons", type=int, default=100, metavar="N", help="neurons (default: 100)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="S",
        help="seed of start states and order (default: 1)",
    )
    parser.add_number("--samples", 0, 10_000, 10_000, "test images that ngspice reads")
    parser.add_number(
        "--contenders",
        1,
        2000,
        CONTENDERS,
        "neurons that ngspice simulates in a read, the first in closed form",
    )
    parser.add_argument(
        "--voltages", type=Path, metavar="FILE", help="learned states (default: voltages/NAME.json)"
    )
    options = parser.parse_args(arguments)

    # 1. Data and circuit.
    (learning,) = apply_settings(
        options, learning=MnistLearning(neurons=options.neurons, seed=options.seed)
    )
    dataset, setup = load_dataset("mnist", encoding=options.encoding), learning.setup()
    name = f"mnist_stdp_{options.encoding}_{learning.neurons}" + f"_seed_{learning.seed}" * (
        learning.seed != 1
    )
    parameters = {
        "dataset": "mnist",
        "shape": dataset.shape,
        "encoding": options.encoding,
        "rule": "stdp",
        "learning": learning.as_dict(),
        **describe(setup),
        "self_learning": setup.learning.as_dict(),
    }
    path = options.voltages or Path("voltages") / f"{name}.json"
    check_overwriting(path, parameters, options.force, option="--voltages FILE")
    record = Record(
        options,
        name,
        {**parameters, "samples": options.samples, "contenders": options.contenders},
        others=[path],
    )

    # 2. Learn without labels.
    images = dataset.training.levels
    network, order = stdp_learning.draw_start(learning, images.shape[1], len(images))
    steps = stdp_learning.learn_digits(learning, network, images, order)
    for _ in progress(steps, -(-len(order) // PACE_STEP), "learning", f"{PACE_STEP} images"):
        pass

    # 3. Assign a digit to each neuron, by the training labels.
    digits = stdp_learning.assign_digits(learning, network, images, dataset.training.labels)
    save_voltages(
        path,
        network.states,
        ngspice=False,
        overwrite=True,
        **parameters,
        homeostasis=network.homeostasis,
        digits=digits,
    )

    # 4. Test in closed form and in ngspice.
    test, results = dataset.test, dict[str, Any]()
    spikes = stdp_learning.read_in_closed_form(learning, network, test.levels, digits)
    computed = decide(spikes, RESOLUTION)[0]
    network_of_row = {
        "encoding": options.encoding,
        "neurons": learning.neurons,
        "seed": learning.seed,
    }
    rows = [
        {
            **network_of_row,
            "engine": "closed-form",
            "images": len(test.labels),
            **strict_scores(test.labels, computed),
        }
    ]
    if options.samples:
        reads = stdp_learning.read_in_ngspice(
            learning, network, test.levels[: options.samples], digits, options.contenders
        )
        simulated = decide(
            np.array(list(progress(reads, options.samples, "reading in ngspice", "image"))),
            RESOLUTION,
        )[0]
        rows.append(
            {
                **network_of_row,
                "engine": "ngspice",
                "images": options.samples,
                **strict_scores(test.labels[: options.samples], simulated),
            }
        )
        different = np.flatnonzero(simulated != computed[: options.samples])
        results["different_decisions"] = [
            {"image": n, "lead_s": lead(spikes[n])} for n in different.tolist()
        ]
    record.write({"rows": rows, **results}, ngspice=bool(options.samples))
    print_rows(rows)

    # 5. Plot.
    tests = pd.concat(map(load_table, sorted(options.results.glob("mnist_stdp_*.json"))))
    record.plot(receptive_fields(network.states, digits, dataset.shape), "fields")
    plotting.save(
        accuracy_against_neurons(tests[tests.images == 10_000], PUBLISHED),
        options.figures / "mnist_stdp_accuracy.png",
    )


def receptive_fields(states: np.ndarray, digits: np.ndarray, shape: tuple[int, int]) -> Figure:
    """Draw the states (neurons x inputs, V) of up to 100 neurons as images of `shape` (rows,
    columns), sorted by the neurons' `digits`.
    """
    chosen = np.argsort(digits, kind="stable")
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(100, len(chosen))).astype(int)]
    columns = 10 if len(chosen) > 20 else 5
    rows = -(-len(chosen) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 0.3 + 0.83 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, j in zip(axes.flat, chosen, strict=False):
        image = axis.imshow(states[j].reshape(shape), vmin=0, vmax=states.max())
        axis.set_title(str(digits[j]), fontsize=8, pad=2)
    figure.colorbar(image, ax=axes, label="state X (V)", aspect=40)
    return figure


def accuracy_against_neurons(
    tests: pd.DataFrame, published: Sequence[tuple[str, int, float]]
) -> Figure:
    """Draw test accuracies over the number of neurons: mean and range of the seeds in closed form,
    single runs in ngspice.

    Parameters
    ----------
    tests : DataFrame
        Columns encoding, neurons, engine, strict_accuracy.
    published : sequence
        Published networks: source, number of neurons, accuracy as a share.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2))
    for (encoding, runs), colour in zip(
        tests.groupby("encoding", sort=False), COLOURS, strict=False
    ):
        simulated = runs[runs.engine == "ngspice"]
        rates = 100 * runs[runs.engine == "closed-form"].groupby("neurons").strict_accuracy.agg(
            ["mean", "min", "max"]
        )
        seeds = int(runs[runs.engine == "closed-form"].groupby("neurons").size().max())
        axis.errorbar(
            rates.index,
            rates["mean"],
            [rates["mean"] - rates["min"], rates["max"] - rates["mean"]],
            fmt="o-",
            color=colour,
            markersize=5,
            linewidth=1,
            capsize=5,
            label=f"{encoding} 10x10, read by the closed form"
            + f" (mean and range of {seeds} seeds)" * (seeds > 1),
        )
        if len(simulated):
            axis.plot(
                simulated.neurons,
                100 * simulated.strict_accuracy,
                "s",
                color=colour,
                markersize=11,
                markerfacecolor="none",
                label=f"{encoding} 10x10, read by ngspice",
            )
    for colour, source in zip(
        COLOURS[2:], dict.fromkeys(name for name, _, _ in published), strict=False
    ):
        points = [(neurons, 100 * rate) for name, neurons, rate in published if name == source]
        axis.plot(
            *np.transpose(points),
            "D",
            color=colour,
            markersize=9,
            markerfacecolor="none",
            label=source,
        )
    counts = sorted({*tests.neurons, *(neurons for _, neurons, _ in published)})
    axis.set(
        xscale="log",
        xlabel="neurons",
        ylabel="test accuracy (%)",
        xlim=(min(counts) / 1.3, max(counts) * 1.3),
    )
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.minorticks_off()
    axis.legend(loc="lower right", fontsize=8)
    return figure


if __name__ == "__main__":
    run(main)
