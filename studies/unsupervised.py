"""Evidence for docs/learning.md: the circuit alone gives each pattern a neuron, and names digits.

Patterns without a teacher: does the circuit alone give each pattern a neuron of its own?

One ngspice transient for each seed presents the patterns in random order, without labels. Writes
results/stdp/stdp_NAME.json, and for the first seed figures/stdp_NAME_winners.png. About 3 s for
each seed of XPUE, 10 s for 012345.

--data mnist: how many test images does a circuit recognise that has learned by itself? The closed
form learns all 60,000 training images without labels. The training labels then assign a digit to
each neuron, and the closed form and ngspice read the test images with the thresholds that
homeostasis has set. Writes results/stdp/NAME.json and figures/NAME_fields.png; NAME is
mnist_stdp_grey_100 for 100 neurons. Writes figures/mnist_stdp_accuracy.png from all these records.
10 to 30 s without ngspice (--samples 0), 2 minutes more with --samples 10000 --contenders 3.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.script import Record, make_parser, print_rows, run
from memristive.datasets import Dataset, digits_012345, mnist, xpue
from memristive.io.records import describe, load_table
from memristive.network.design import Schedule
from memristive.parameters import Fields
from memristive.plotting import COLOURS, WIDTH, line_style, over_seeds
from memristive.progress import progress
from memristive.scores.checks import warn_of_range
from memristive.scores.decisions import RESOLUTION, decide, lead, strict_scores
from memristive.stdp import stdp_learning
from memristive.stdp.stdp_circuit import SelfLearningParameters, SelfLearningSetup, simulate
from memristive.stdp.stdp_learning import (
    CONTENDERS,
    PACE_STEP,
    PARTS,
    START,
    Learned,
    MnistLearning,
    draw_trial,
    predicted_winners,
)
from snn_circuit import NeuronParameters

PUBLISHED = {
    "Diehl, Cook 2015, 28x28": ((100, 400), (82.9, 87.0)),
    "Querlioz et al. 2013, 28x28": ((300,), (93.5,)),
}


@dataclass(frozen=True)
class PatternRun:
    """A dataset, the circuit that suits it, and the number of presentations.

    With `dual_rail` each pixel v drives two inputs, v and 1 - v.
    """

    dataset: Dataset
    setup: SelfLearningSetup
    presentations: int
    dual_rail: bool


RUNS = {
    "xpue": PatternRun(xpue(), SelfLearningSetup(), 160, dual_rail=False),
    # The digit 1 has five pixels, 2 and 3 have eleven. Inputs v and 1 - v give all patterns the
    # same number of rows at 1 V.
    "012345": PatternRun(
        digits_012345(),
        SelfLearningSetup(
            neuron=NeuronParameters(feedback_resistance=3e3, threshold=4.0),
            schedule=Schedule(pulse=0.3e-3, period=3e-3),
            learning=SelfLearningParameters(homeostasis_current=0.2e-6),
        ),
        240,
        dual_rail=True,
    ),
}


def main(arguments: list[str] | None = None) -> None:
    """Learn patterns in ngspice, or MNIST in closed form."""
    parser = make_parser(__doc__, "stdp", parameters=False)
    parser.add_argument("--data", choices=(*RUNS, "mnist"), default="xpue", help="default: xpue")
    parser.add_common("--seeds", 1, "of patterns; default: 1")
    for name, what in (
        ("--spread", "relative device-to-device spread of cells and thresholds"),
        ("--flipped", "share of pixels flipped at each presentation"),
    ):
        meaning = f"of patterns: {what} (default: 0)"
        parser.add_argument(name, type=float, default=0.0, metavar="X", help=meaning)
    parser.add_number("--neurons", 1, 2000, 100, "of MNIST")
    parser.add_number("--seed", 0, 2**32 - 1, 1, "of MNIST's start states and order")
    parser.add_number("--samples", 0, 10_000, 10_000, "test images of MNIST that ngspice reads")
    parser.add_number(
        "--contenders",
        1,
        2000,
        CONTENDERS,
        "neurons that ngspice simulates in a read of MNIST, the first in closed form",
    )
    options = parser.parse_args(arguments)
    (learn_mnist if options.data == "mnist" else learn_alone)(options)


def learn_alone(options: argparse.Namespace) -> None:
    """Draw trials, let the circuit learn, compare with the closed form, save, print, plot."""
    task = RUNS[options.data]
    patterns, labels, setup = task.dataset.patterns, task.dataset.labels, task.setup
    endings = "_spread" * bool(options.spread) + "_flipped" * bool(options.flipped)
    record = Record(
        options,
        f"stdp_{options.data}{endings}",
        {
            "dataset": options.data,
            "dual_rail": task.dual_rail,
            "start_states_V": START,
            **describe(setup),
            "learning": setup.learning.as_dict(),
            "neurons": len(patterns),
            "presentations": task.presentations,
            "spread": options.spread,
            "flipped": options.flipped,
            "seed": 1,
            "seeds": options.seeds,
        },
    )

    # 1. Start states, order of presentation, flipped pixels and devices, all drawn from the seed.
    noise = task.dual_rail, options.spread, options.flipped
    seeds = range(1, options.seeds + 1)
    trials = [draw_trial(setup, patterns, task.presentations, seed, *noise) for seed in seeds]

    # 2. One transient for each seed, and the winners in closed form.
    runs, rows = [], list[Fields]()
    for seed, trial in zip(seeds, trials, strict=True):
        watch = partial(progress, total=PARTS, description=f"learning, seed {seed}", unit="part")
        outcome = simulate(trial.setup, trial.states, trial.images, parts=PARTS, watch=watch)
        learned = Learned(len(patterns), trial.order, *outcome)
        runs.append(learned)
        owners = zip(labels, learned.neurons.tolist(), strict=True)
        row = {"seed": seed, **{f"neuron_of_{label}": j for label, j in owners}}
        row |= {"one_to_one": learned.one_to_one, "purity": learned.purity}
        if not options.spread:  # the closed form does not model a spread of devices
            same = predicted_winners(trial) == learned.winners
            row["winners_as_closed_form"] = int(same.sum())
        rows.append(row)
    warn_of_range(setup, runs[0].states[-1], trials[0].images, consecutive=True)

    # 3. Save, print, plot the first seed.
    record.write(
        {"rows": rows, "states_V": runs[0].states[-1], "homeostasis_V": runs[0].homeostasis[-1]}
    )
    print_rows(rows)
    chip = trials[0].setup.thresholds
    thresholds = np.full(len(patterns), setup.neuron.threshold) if chip is None else chip
    record.plot(winners_and_thresholds(runs[0], labels, thresholds), "winners")


def winners_and_thresholds(
    learned: Learned, labels: Sequence[str], thresholds: np.ndarray
) -> Figure:
    """Draw the winner of each presentation, coloured by pattern, and each neuron's threshold (V)
    after it.

    `thresholds` (neurons, V) are those to which homeostasis adds.
    """
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 5.0), sharex=True)
    neurons = learned.states.shape[1]
    for pattern, label in enumerate(labels):
        shown = np.flatnonzero(learned.order == pattern)
        upper.plot(
            shown,
            learned.winners[shown],
            "|",
            color=COLOURS[pattern],
            markersize=11,
            markeredgewidth=1.8,
            label=label,
        )
    upper.set(ylabel="neuron that fires first", yticks=range(neurons), ylim=(neurons - 0.4, -0.6))
    upper.legend(title="pattern", loc="center left", bbox_to_anchor=(1.0, 0.5))
    for j in range(neurons):
        lower.plot(
            thresholds[j] + learned.homeostasis[:, j], **line_style(j, neurons), label=str(j)
        )
    lower.set(xlabel="presentation", ylabel="threshold (V)")
    lower.legend(title="neuron", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def learn_mnist(options: argparse.Namespace) -> None:
    """Learn without labels, assign digits, test, save, print, plot."""
    learning = MnistLearning(neurons=options.neurons, seed=options.seed)
    dataset, setup = mnist(encoding="grey"), learning.setup()
    ending = f"_seed_{learning.seed}" * (learning.seed != 1)
    record = Record(
        options,
        f"mnist_stdp_grey_{learning.neurons}{ending}",
        {
            "dataset": "mnist",
            "shape": dataset.shape,
            "encoding": "grey",
            "rule": "stdp",
            "learning": learning.as_dict(),
            **describe(setup),
            "self_learning": setup.learning.as_dict(),
            "samples": options.samples,
            "contenders": options.contenders,
        },
    )

    # 1. Learn without labels, then assign a digit to each neuron, by the training labels.
    images = dataset.training.levels
    network, order = stdp_learning.draw_start(learning, images.shape[1], len(images))
    steps = stdp_learning.learn_digits(learning, network, images, order)
    for _ in progress(steps, -(-len(order) // PACE_STEP), "learning", f"{PACE_STEP} images"):
        pass
    digits = stdp_learning.assign_digits(learning, network, images, dataset.training.labels)

    # 2. Test in closed form and in ngspice.
    test, results = dataset.test, Fields()
    spikes = stdp_learning.read_in_closed_form(learning, network, test.levels, digits)
    decided = {"closed-form": decide(spikes, RESOLUTION)[0]}
    if options.samples:
        levels, count = test.levels[: options.samples], options.contenders
        reads = stdp_learning.read_in_ngspice(learning, network, levels, digits, count)
        simulated = list(progress(reads, options.samples, "reading in ngspice", "image"))
        decided["ngspice"] = decide(np.array(simulated), RESOLUTION)[0]
        other = decided["ngspice"] != decided["closed-form"][: options.samples]
        results["different_decisions"] = [
            {"image": n, "lead_s": lead(spikes[n])} for n in np.flatnonzero(other).tolist()
        ]
    known = {"encoding": "grey", "neurons": learning.neurons, "seed": learning.seed}
    rows = [
        {
            **known,
            "engine": engine,
            "images": len(decisions),
            **strict_scores(test.labels[: len(decisions)], decisions),
        }
        for engine, decisions in decided.items()
    ]
    record.write({"rows": rows, **results}, ngspice=bool(options.samples))
    print_rows(rows)

    # 3. Plot.
    record.plot(receptive_fields(network.states, digits, dataset.shape), "fields")
    tests = pd.concat(map(load_table, sorted(options.results.glob("mnist_stdp_*.json"))))
    figure = accuracy_against_neurons(tests[tests.images == 10_000])
    plotting.save(figure, options.figures / "mnist_stdp_accuracy.png")


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


def accuracy_against_neurons(tests: pd.DataFrame) -> Figure:
    """Draw test accuracies over the number of neurons: mean and range of the seeds in closed form,
    single runs in ngspice, and published networks.

    `tests`: columns neurons, seed, engine, strict_accuracy.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2))
    tests = tests.assign(accuracy=100 * tests.strict_accuracy)
    computed, simulated = (tests[tests.engine == name] for name in ("closed-form", "ngspice"))
    groups = computed.groupby("neurons").accuracy
    label = f"10x10, read by the closed form (mean and range of {tests.seed.nunique()} seeds)"
    over_seeds(axis, groups.mean().index, groups, color=COLOURS[0], label=label)
    look: Fields = {"linestyle": "none", "markersize": 10, "markerfacecolor": "none"}
    axis.plot(
        simulated.neurons, simulated.accuracy, marker="s", label="10x10, read by ngspice", **look
    )
    for colour, (source, points) in zip(COLOURS[2:], PUBLISHED.items(), strict=False):
        axis.plot(*points, marker="D", color=colour, label=source, **look)
    counts = sorted(
        {*tests.neurons, *(count for points in PUBLISHED.values() for count in points[0])}
    )
    axis.set(xscale="log", xlabel="neurons", ylabel="test accuracy (%)")
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.minorticks_off()
    axis.legend(loc="lower right", fontsize=8)
    return figure


if __name__ == "__main__":
    run(main)
