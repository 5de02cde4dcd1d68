"""Do weights survive on chips whose cells and neurons differ? Does a short training repair them?

NETWORK is a voltages file of any kind of network, trained on an ideal chip or on another one. Its
weights are carried to random chips, whose neurons (thresholds), cells (read and write gains) or
both differ by a spread. There the network reads the test images, before and after a training on the
chip with --repair presentations. All in closed form. docs/chips.md says why chips lose weights.
--neuron FILE: neurons differ as a measured neuron of a foundry does (docs/silicon.md), times the
factors of --spread.

Writes results/chips/chips_NAME.json and figures/chips_NAME.png; for a file of your own to own/.
Seconds to a minute for each chip. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from memristive.cli.reading import OF_NETWORK, trained_network
from memristive.cli.script import Record, add_resume, keep_apart, make_parser, table
from memristive.devices.neuron_model import load_neuron
from memristive.learning.training import learn
from memristive.network.chip import Chip, neuron_chip
from memristive.network.networks import network_on_chip
from memristive.parameters import Fields, ParameterError, check_range
from memristive.plotting import COLOURS, WIDTH, over_seeds
from memristive.scores.decisions import score_row

# fields of `Chip` that a spread sets, and their values at a spread of 1
CELLS = {"cell_gain": 1.0, "cell_write_gain": 1.0}
DEVIATIONS = {
    "neurons": {"neuron_threshold": 1.0},
    "cells": CELLS,
    "both": {"neuron_threshold": 1.0, **CELLS},
}
FACTORS = (0.0, 1.0, 2.0, 4.0)  # on the spreads of a neuron
SPREADS, REPAIR = (0.0, 0.02, 0.05, 0.1, 0.2), 3000


@dataclass(frozen=True)
class OnChip:
    """A network carried to one chip."""

    path: Path
    data: str | None
    deviation: str
    spread: float
    fields: dict[str, float]  # of `Chip`
    seed: int  # of the chip
    repair: int  # presentations of the training on the chip; 0: none


def main(arguments: list[str] | None = None) -> None:
    """Carry the network to all chips, test, repair, test again, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "chips", parameters=False))
    parser.add_argument("network", type=Path, metavar="NETWORK", help="voltages file")
    parser.add_common("--data", None, OF_NETWORK)
    parser.add_argument(
        "--spread",
        type=float,
        nargs="+",
        metavar="S",
        help=f"relative standard deviations (default: {' '.join(map(str, SPREADS))}), or factors",
    )
    parser.add_argument("--neuron", metavar="FILE", help="measured with --draws")
    parser.add_number("--chips", 1, 1000, 3, "random chips for each spread")
    parser.add_number("--repair", 0, 10**9, REPAIR, "presentations of the training on a chip")
    options = parser.parse_args(arguments)
    keep_apart(options, options.network, options.data)
    _, rule, voltages, dataset = trained_network(options.network, options.data)
    if rule is None and options.repair:
        raise ParameterError(
            f"{options.network} records no rule, which --repair needs: save(path, network, rule), "
            "or --repair 0"
        )
    deviations = DEVIATIONS
    if options.neuron:
        own = neuron_chip(load_neuron(options.neuron))
        deviations = {"neurons": {name: getattr(own, name) for name in own.deviations}}
    spreads = options.spread or (FACTORS if options.neuron else SPREADS)
    for spread, values in itertools.product(spreads, deviations.values()):
        for name, value in values.items():
            fields = Chip.__dataclass_fields__[name].metadata
            check_range("--spread", spread * value, fields)
    chips = [
        OnChip(
            *(options.network, options.data, deviation, spread),
            {name: spread * value for name, value in deviations[deviation].items()},
            *(seed, options.repair),
        )
        for deviation, spread, seed in itertools.product(
            deviations, spreads, range(1, options.chips + 1)
        )
        if spread or deviation == list(deviations)[-1]  # without a spread all are alike
    ]
    record = Record(
        options,
        f"chips_{options.network.stem}",
        {
            "network": options.network.stem,
            "origin": voltages.origin,
            "data": options.data,
            "spreads": spreads,
            **({"neuron": options.neuron} if options.neuron else {}),
            "chips": options.chips,
            "repair": options.repair,
            **dataset.recorded,
        },
        others=[options.network],
    )
    rows = pd.DataFrame(record.run_tasks(evaluate, chips))
    record.write({"rows": rows.to_dict("records")}, ngspice=False)
    percent = rows.assign(carried=100 * rows["carried"], repaired=100 * rows["repaired"])
    means = percent.groupby(["deviation", "spread"], sort=False)
    columns = ["carried", "repaired"] if options.repair else ["carried"]
    lines = [
        (
            *kind,
            *(
                f"{means_of[name].mean():.1f} ({means_of[name].min():.1f} lowest)"
                for name in columns
            ),
        )
        for kind, means_of in means
    ]
    heading = {"carried": "carried (%)", "repaired": f"after {options.repair:,} on the chip (%)"}
    print(table(("deviation", "spread", *(heading[name] for name in columns)), lines))
    record.plot(figure(percent, columns, options.repair))


def evaluate(task: OnChip) -> Fields:
    """Return the accuracies of a network on a chip, before and after the training there."""
    network, rule, _, dataset = trained_network(task.path, task.data)
    images = dataset.test if dataset.load_images else dataset.training
    chip = network.chip or Chip(network.sizes[-1], network.states[-1].shape[1])
    changes: Fields = task.fields
    chip = dataclasses.replace(chip, seed=task.seed, **changes)
    network = network_on_chip(network, None if chip.ideal else chip)

    def accuracy() -> float:
        return float(
            score_row(images.labels, network.first_spikes(images.levels))["strict_accuracy"]
        )

    row = {"deviation": task.deviation, "spread": task.spread, "chip": task.seed}
    accuracies = {"carried": accuracy(), "repaired": float("nan")}
    if task.repair and rule:
        short = dataclasses.replace(rule, presentations=task.repair)
        network = learn(network, short, *dataset.training).network
        accuracies["repaired"] = accuracy()
    return row | accuracies


def figure(rows: pd.DataFrame, columns: list[str], repair: int) -> Figure:
    """Draw accuracy over the spread, carried and repaired: a panel for each deviation."""
    deviations = rows["deviation"].unique()
    drawn, axes = plt.subplots(1, len(deviations), figsize=(WIDTH, 3.2), sharey=True, squeeze=False)
    names = {"carried": "carried to the chip", "repaired": f"after {repair:,} images on the chip"}
    for axis, deviation in zip(axes[0], deviations, strict=True):
        groups = rows[(rows["deviation"] == deviation) | (rows["spread"] == 0)].groupby("spread")
        for name, colour in zip(columns, COLOURS[1::-1], strict=False):
            over_seeds(
                axis,
                groups[name].mean().index,
                groups[name],
                label=names[name],
                color=colour,
                markersize=4,
            )
        axis.set(title=deviation, xlabel="spread")
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("test accuracy (%)")
    drawn.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        title=f"means of {rows['chip'].nunique()} chips, bars: lowest to highest",
    )
    return drawn
