"""Evidence for docs/learning.md: the circuit alone gives each pattern a neuron.

Patterns without a teacher: does the circuit alone give each pattern a neuron of its own?
(docs/learning.md)

One ngspice transient for each seed presents the patterns in random order, without labels. --netlist
writes the circuit of the first seed, which also runs in `ngspice -b` alone. Writes
results/stdp/stdp_NAME.json, and for the first seed figures/stdp_NAME_winners.png. About 3 s for
each seed of XPUE, 10 s for 012345. MNIST: python -m studies.unsupervised_mnist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.cli.script import Record, apply_settings, make_parser, progress, run
from memristive.datasets import Dataset, digits_012345, xpue
from memristive.io.records import describe
from memristive.network.design import Schedule
from memristive.plotting import COLOURS, WIDTH, line_style
from memristive.scores.checks import warn_of_range
from memristive.stdp.stdp_circuit import SelfLearningParameters, SelfLearningSetup
from memristive.stdp.stdp_learning import (
    PARTS,
    START,
    Learned,
    batch_netlist,
    draw_trial,
    learn_patterns,
    predicted_winners,
)
from snn_circuit import NeuronParameters


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
    """Draw trials, let the circuit learn, compare with the closed form, plot."""
    parser = make_parser(__doc__, "stdp", netlist=True)
    parser.add_argument("--data", choices=RUNS, default="xpue", help="dataset (default: xpue)")
    parser.add_number("--neurons", 1, 1000, None, "neurons (default: one for each pattern)")
    parser.add_number(
        "--seed", 0, 2**32 - 1, 1, "first seed of start states, order, flips and spread"
    )
    parser.add_common("--seeds", 1)
    parser.add_number(
        "--presentations",
        1,
        100_000,
        None,
        "images presented (default: 160 for XPUE, 240 for 012345)",
    )
    parser.add_argument(
        "--spread",
        type=float,
        default=0.0,
        metavar="X",
        help="relative device-to-device spread of cells and thresholds (default: 0)",
    )
    parser.add_argument(
        "--flipped",
        type=float,
        default=0.0,
        metavar="X",
        help="share of pixels flipped at each presentation (default: 0)",
    )
    options = parser.parse_args(arguments)

    # 1. Data and circuit.
    task = RUNS[options.data]
    patterns, labels = task.dataset.patterns, task.dataset.labels
    groups = ("memristor", "neuron", "schedule", "learning")
    settings = apply_settings(options, **{group: getattr(task.setup, group) for group in groups})
    setup = task.setup.replace(**dict(zip(groups, settings, strict=True)))
    presentations, neurons = (
        options.presentations or task.presentations,
        options.neurons or len(patterns),
    )
    name = (
        f"stdp_{options.data}"
        + "_spread" * bool(options.spread)
        + "_flipped" * bool(options.flipped)
    )
    record = Record(
        options,
        name,
        {
            "dataset": options.data,
            "dual_rail": task.dual_rail,
            "start_states_V": START,
            **describe(setup),
            "learning": setup.learning.as_dict(),
            "neurons": neurons,
            "presentations": presentations,
            "spread": options.spread,
            "flipped": options.flipped,
            "seed": options.seed,
            "seeds": options.seeds,
        },
    )

    # 2. Start states, order of presentation, flipped pixels and devices, all drawn from the seed.
    seeds = range(options.seed, options.seed + options.seeds)
    trials = [
        draw_trial(
            setup,
            patterns,
            presentations,
            neurons,
            seed,
            task.dual_rail,
            options.spread,
            options.flipped,
        )
        for seed in seeds
    ]
    record.write_netlist(lambda: batch_netlist(trials[0], labels))

    # 3. One transient for each seed, and the winners in closed form.
    runs, rows = [], list[dict[str, Any]]()
    for seed, trial in zip(seeds, trials, strict=True):
        learned = learn_patterns(
            trial, partial(progress, total=PARTS, description=f"learning, seed {seed}", unit="part")
        )
        runs.append(learned)
        rows.append(
            {
                "seed": seed,
                **{
                    f"neuron_of_{label}": int(j)
                    for label, j in zip(labels, learned.neurons, strict=True)
                },
                "one_to_one": learned.one_to_one,
                "purity": learned.purity,
            }
        )
        if not options.spread:  # the closed form does not model a spread of devices
            rows[-1]["winners_as_closed_form"] = int(
                np.sum(predicted_winners(trial) == learned.winners)
            )
    warn_of_range(setup, runs[0].states[-1], trials[0].images, consecutive=True)

    # 4. Record and table.
    record.write(
        {"rows": rows, "states_V": runs[0].states[-1], "homeostasis_V": runs[0].homeostasis[-1]}
    )
    frame = pd.DataFrame(rows)
    print(frame.round(3).to_string(index=False))
    print(
        f"another neuron for each pattern: {frame.one_to_one.sum()} of {len(rows)} seeds; it won "
        f"{frame.purity.mean():.1%} of the last presentations"
    )

    # 5. Plot the first seed.
    chip = trials[0].setup.thresholds
    thresholds = np.full(neurons, setup.neuron.threshold) if chip is None else chip
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


if __name__ == "__main__":
    run(main)
