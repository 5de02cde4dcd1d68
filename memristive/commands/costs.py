"""Costs of a trained network: energy, latency, wear, area (docs/costs.md).

`python -m memristive costs NETWORK.json` prints the ledger of an inference (mean over test images)
and of an error (mean over the first errors on training images, with the first dose). With
--training it trains the network again, in closed form, and adds the ledger of the training.
Energies are counted at the pins and by part. Values that the circuit does not fix are assumed:
--parameters lists these values, --set technology.NAME=VALUE changes them.

Writes results/costs/costs_NAME.json and figures/costs_NAME.png. Without a network it draws all
records as figures/costs.png. Takes seconds in closed form, and with --training as long as a
training in closed form.
"""

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from memristive import plotting
from memristive.accounting import costs, dissipation
from memristive.accounting.costs import Accounts, TrainingCosts
from memristive.accounting.overview import (
    IMAGES,
    areas,
    described,
    first_errors,
    inferences,
    training_costs,
)
from memristive.cli.reading import OF_NETWORK, trained_network
from memristive.cli.script import (
    Record,
    apply_settings,
    keep_apart,
    make_parser,
)
from memristive.datasets import Images
from memristive.devices.measured_device import load_device
from memristive.io.records import load_results
from memristive.ledger import ASSUMED, Ledger, Line, Technology, assumptions, mean
from memristive.network.chip import device_chip
from memristive.network.design import Schedule
from memristive.network.networks import Network, network_on_chip
from memristive.parameters import Fields, ParameterError, Values
from memristive.plotting import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, WIDTH
from memristive.scores.decisions import decide, resolution_of
from memristive.writing.at_once import ColumnDose

CHOSEN_ON, LOSS = 10_000, 1e-3  # training images, least loss of accuracy that counts
FACTORS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # by which all times are shortened
# parts of the figure and their colours
READS, WRITES, BIAS, CURRENTS, WIRES, LATE, MEMBRANES = (
    "array: reads",
    "array: writes",
    "amplifiers: bias",
    "amplifiers: column currents",
    "wires and their drivers",
    "late capacitors and comparators",
    "membranes",
)
PARTS = {
    READS: BLUE,
    WRITES: SKY,
    BIAS: VERMILLION,
    CURRENTS: ORANGE,
    WIRES: GREEN,
    LATE: PURPLE,
    MEMBRANES: GREY,
}

VISIBLE = 0.2  # %, least share that the legend names


def main(arguments: list[str] | None = None) -> None:
    """Load, compute, save, print, plot."""
    parser = make_parser(__doc__, "costs")
    parser.add_argument("networks", type=Path, nargs="*", metavar="NETWORK", help="voltages files")
    parser.add_common("--data", None, OF_NETWORK)
    parser.add_common("--device", None, "default: the preset that is in the cells")
    parser.add_number("--images", 1, 10_000, IMAGES, "test images")
    parser.add_number(
        "--faster",
        1,
        1000,
        1,
        "factor by which all times of a read are shortened, and op-amps are faster",
    )
    parser.add_argument("--training", action="store_true", help="also the costs of the training")
    options = parser.parse_args(arguments)
    (technology,) = apply_settings(options, technology=Technology())
    keep_apart(options, *options.networks, options.device)
    for path in options.networks:
        name, ledgers = ledgers_of(options, path, technology)
        plotting.save(bars({name: ledgers}), options.figures / f"costs_{name}.png")
    if not options.networks:
        drawn = all_ledgers(options.results)
        if not drawn:
            parser.error(f"{options.results} has no records: name the voltages file of a network")
        plotting.save(bars(drawn), options.figures / "costs.png")


def all_ledgers(folder: Path) -> dict[str, dict[str, Ledger]]:
    """Return the ledgers of all records in a folder, by the name of the record and by kind."""
    return {
        path.stem.removeprefix("costs_"): {
            kind: Ledger(tuple(Line(**line) for line in lines), record["times_s"][kind])
            for kind, lines in record["ledgers"].items()
        }
        for path in sorted(folder.glob("costs_*.json"))
        for record in [load_results(path)]
    }


def ledgers_of(
    options: argparse.Namespace, path: Path, technology: Technology
) -> tuple[str, dict[str, Ledger]]:
    """Compute the ledgers of the network in a file, write the record, and print; return the name of
    the record and the ledgers.
    """
    # 1. The network, its device and its images.
    network, rule, voltages, dataset = trained_network(path, options.data)
    if options.device and not network.pulses:
        raise ParameterError(f"{path}: --device is for cells of measured devices")
    if options.training and rule is None and not network.paper:
        raise ParameterError(
            f"{path} records no rule, which --training needs: save(path, network, rule)"
        )
    device = load_device(options.device) if options.device else dissipation.device_of(network)
    chip = voltages.chip
    if chip is None and device:
        chip = device_chip(device, rule.seed if rule else 1)
    network = network_on_chip(network, chip)
    if network.wired:
        raise ParameterError(
            f"{path}: costs leave out the resistance of wires, and this chip has it"
        )
    slow = network
    if options.faster > 1:
        network = network.faster(options.faster)
        bandwidth = options.faster * technology.amplifier_bandwidth
        technology = dataclasses.replace(technology, amplifier_bandwidth=bandwidth)
        rule = rule and dataclasses.replace(rule, margin=rule.margin / options.faster)
    accounts = Accounts(technology, device)
    record = Record(
        options,
        f"costs_{path.stem}" + f"_faster_{options.faster}" * (options.faster > 1),
        {
            "network": path.stem,
            "technology": technology.as_dict(),
            "device": device and device.name,
            "images": options.images,
            "training": options.training,
            **({"faster": options.faster} if options.faster > 1 else {}),
            **dataset.recorded,
        },
        [path],
    )

    # 2. Ledgers of an inference, an error, a training.
    tests = dataset.test if dataset.load_images else dataset.training
    shown = tests.levels[: options.images]
    resolution = resolution_of(voltages.rule, slow.parameters.neuron)
    ledgers = {"inference": mean(inferences(network, shown, accounts, resolution))}
    error = rule and first_errors(network, rule, *dataset.training, accounts)
    if error:
        ledgers["error"] = error
    results: Fields = {}
    if options.training:
        trained = (
            training_costs(network, rule, *dataset.training, accounts)
            if rule
            else hebbian(network, dataset.patterns, accounts)
        )
        ledgers["training"] = trained.ledger
        results["errors"], results["curve"] = trained.errors, trained.curve
        if trained.network:
            scored = shortened(trained.network, {"test": tests}, resolution)
            results["trained_accuracy"] = scored[0]["test"]
        if network.pulses and trained.counts:
            results["wear"] = costs.wear(trained.counts, technology.endurance)

    # 3. What the ledger answers.
    # a factor is chosen on training images
    shorter = shortened(
        network,
        {"training_accuracy": dataset.training.first(CHOSEN_ON), "strict_accuracy": tests},
        resolution,
    )
    kept = [
        row for row in shorter if row["training_accuracy"] >= shorter[0]["training_accuracy"] - LOSS
    ][-1]
    results |= {
        "ledgers": {name: ledger.rows() for name, ledger in ledgers.items()},
        "times_s": {name: ledger.times for name, ledger in ledgers.items()},
        "area_m2": costs.area(network, technology),
        "cells": sum(layer.rows * layer.width for layer in network.layers),
        "shorter": shorter,
        "fastest": kept,
        "assumptions": assumptions(technology),
    }
    record.write(results, ngspice=False)
    for name, ledger in ledgers.items():
        print("\n" + described(name, ledger))
    print(answers(results))
    return record.path.stem.removeprefix("costs_"), ledgers


def hebbian(network: Network, patterns: np.ndarray, accounts: Accounts) -> TrainingCosts:
    """Return the costs of the paper's training: one long write for each class, from empty cells."""
    design, result = network.design, TrainingCosts()
    assert isinstance(design, Schedule)
    state = dataclasses.replace(network, states=(0.0 * network.states[0],))
    for j, pattern in enumerate(patterns):
        dose = ColumnDose(j, design.pulse * network.layers[0].write_rate, pattern)
        nothing = [np.zeros(len(patterns))]
        result.ledger += accounts.correct(state, costs.Correction(nothing, [[]], [[dose]], [[]]))
        states = state.states[0].copy()
        states[j] = network.states[0][j]
        state = dataclasses.replace(state, states=(states,))
    result.errors = len(patterns)
    return result


def shortened(network: Network, sets: Mapping[str, Images], resolution: float) -> list[Fields]:
    """Return a row for each of `FACTORS`: the factor by which all times of a read are shortened,
    and the strict accuracy on each of the `sets` under its name.

    All spikes are then earlier by this factor, and two spikes that are then closer than the
    `resolution` (s) are a tie.
    """
    spikes = {name: network.first_spikes(images.levels) for name, images in sets.items()}
    return [
        {"factor": factor}
        | {
            name: float(np.mean(decide(spikes[name] / factor, resolution)[0] == images.labels))
            for name, images in sets.items()
        }
        for factor in FACTORS
    ]


def part_of(name: str) -> str:
    """Return the part of the figure's bars to which the ledger's line `name` belongs."""
    phase, _, what = name.partition(": ")
    if what.startswith("array"):
        return WRITES if phase == "write" else READS
    words = {"wires": WIRES, "bias": BIAS, "currents": CURRENTS, "membranes": MEMBRANES}
    return next((part for word, part in words.items() if word in what), LATE)


def answers(results: Values) -> str:
    """Return what the results say about costs, as sentences to print."""
    fastest = results["fastest"]
    lines = [
        areas(results["area_m2"]),
        f"times shortened by {fastest['factor']} (--faster) cost at most {LOSS:.1%} on training "
        f"images: {fastest['strict_accuracy']:.2%} of the test images instead of "
        f"{results['shorter'][0]['strict_accuracy']:.2%}"
        if fastest["factor"] > 1
        else f"shorter times cost more than {LOSS:.1%} on training images",
    ]
    if "wear" in results:
        wear = results["wear"]
        lines.append(
            f"pulses a cell: mean {wear['mean']:,.0f}, 99 % below {wear['quantile_99']:,.0f}, most "
            f"{wear['most']:,.0f}; beyond the endurance {wear['share_beyond_endurance']:.1%}"
        )
    return "\n" + "\n".join(lines)


def bars(networks: Mapping[str, Mapping[str, Ledger]]) -> Figure:
    """Draw each ledger as a stacked bar of shares of the energy, with the sum beside it. Each
    network has a line, and each kind of ledger a column. Parts that are assumed are hatched.
    """
    kinds = list(dict.fromkeys(kind for ledgers in networks.values() for kind in ledgers))
    figure, axes = plt.subplots(
        1,
        len(kinds),
        figsize=(WIDTH, 1.5 + 0.3 * len(networks)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    lines = pd.DataFrame(
        {"network": name, "ledger": kind, "joules": line.joules}
        | {"part": part_of(line.name), "assumed": line.kind == ASSUMED}
        for name, ledgers in networks.items()
        for kind, ledger in ledgers.items()
        for line in ledger.lines
    )
    used: set[str] = set()
    parts = pd.MultiIndex.from_product([PARTS, [False, True]])
    for axis, kind in zip(axes.flat, kinds, strict=True):
        own = (
            lines[lines["ledger"] == kind]
            .pivot_table("joules", "network", ["part", "assumed"], "sum")
            .reindex(list(networks))
        )
        shares = 100 * own.div(own.sum(axis=1), axis=0).reindex(columns=parts)
        used.update(part for part, _ in parts[(shares > VISIBLE).any()])
        look: Fields = {"color": [PARTS[part] for part, _ in parts], "width": 0.62}
        look |= {"edgecolor": "white", "linewidth": 0.5, "stacked": True, "legend": False}
        shares.plot.barh(ax=axis, **look)
        for bars_of, (_, is_assumed) in zip(axis.containers, parts, strict=True):
            for bar in bars_of:
                bar.set_hatch("///" * is_assumed)
        for y, joules in enumerate(own.sum(axis=1)):
            text = EngFormatter("J", places=1)(joules) if joules else ""
            axis.text(103, y, text, va="center", fontsize=8)
        axis.set_title(kind)
        axis.set(xlim=(0, 100), xticks=(0, 50, 100), xlabel="share of the energy (%)", ylabel="")
    first = axes.flat[0]
    first.set_yticks(range(len(networks)), [name.replace("_", " ") for name in networks])
    first.margins(y=0.01)
    first.invert_yaxis()
    handles = [Patch(color=PARTS[part], label=part) for part in PARTS if part in used]
    handles.append(Patch(facecolor="0.5", edgecolor="white", hatch="///", label="assumed"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=8)
    return figure
