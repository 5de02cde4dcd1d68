"""Costs of a trained network: energy, latency, wear, area (docs/costs.md).

`python -m studies.costs NETWORK.json` prints the ledger of an inference (mean over test images) and
of an error (mean over the first errors on training images, with the first dose). With --training it
trains the network again, in closed form, and adds the ledger of the training. Energies are counted
at the pins and by part. Values that the circuit does not fix are assumed: --parameters lists these
values, --set technology.NAME=VALUE changes them.

Writes results/costs/costs_NAME.json and figures/costs_NAME.png. Without a network it draws all
records as figures/costs.png. Takes seconds in closed form, and with --training as long as a
training in closed form. --engine ngspice simulates the arrays of one inference and one error:
seconds for one layer, minutes for 200 hidden neurons. It prints how far the closed form deviates.
"""

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

import plotting
from datasets import DATASETS, Dataset, Images, matching_dataset
from memristive.cli.script import (
    Record,
    apply_settings,
    keep_apart,
    make_parser,
    progress,
    run,
    table,
)
from memristive.costs import costs, dissipation
from memristive.costs.costs import Accounts, Times, TrainingCosts
from memristive.devices.measured_device import load_device
from memristive.io.records import load_results
from memristive.io.voltages import network_of, read_voltages
from memristive.learning.build import initial_network, paper_network
from memristive.learning.rule import LayeredRule, Rule
from memristive.ledger import ASSUMED, Ledger, Line, Technology, assumptions, mean
from memristive.network.chip import Chip, device_chip
from memristive.network.design import CLOSED_FORM, NGSPICE, Schedule
from memristive.network.networks import Network, network_on_chip
from memristive.network.two_terminal import HALF, ONE_TRANSISTOR
from memristive.parameters import ParameterError
from memristive.scores.decisions import decide, end_of_read, resolution_of
from memristive.writing.at_once import ColumnDose
from plotting import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, WIDTH

IMAGES, ERRORS, SEARCHED = 100, 20, 2000
CHOSEN_ON, LOSS = 10_000, 1e-3  # training images, least loss of accuracy that counts
FACTORS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # by which all times are shortened
SCHEMES = {ONE_TRANSISTOR: 0.0, HALF: 1 / 2, "v/3": 1 / 3}
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
VISIBLE = 0.2  # %, least share that a bar shows


def main(arguments: list[str] | None = None) -> None:
    """Load, compute, save, print, plot."""
    parser = make_parser(__doc__, "costs")
    parser.add_argument("networks", type=Path, nargs="*", metavar="NETWORK", help="voltages files")
    parser.add_argument("--data", choices=DATASETS, help="default: that in the voltages file")
    parser.add_common("--device", None, "default: the preset that is in the cells")
    parser.add_argument(
        "--scheme", choices=SCHEMES, help="array of measured devices (default: as it was trained)"
    )
    parser.add_common("--engine", CLOSED_FORM, "of the arrays in an inference and an error")
    parser.add_number("--images", 1, 10_000, IMAGES, "test images; ngspice reads only the first")
    parser.add_argument(
        "--one-by-one",
        action="store_true",
        help="write emulators' columns one after the other (default: all of one sign together)",
    )
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
            kind: Ledger(tuple(Line(**line) for line in lines))
            for kind, lines in load_results(path)["ledgers"].items()
        }
        for path in sorted(folder.glob("costs_*.json"))
        if not path.stem.endswith("_ngspice")
    }


def ledgers_of(
    options: argparse.Namespace, path: Path, technology: Technology
) -> tuple[str, dict[str, Ledger]]:
    """Compute the ledgers of the network in a file, write the record, and print; return the name of
    the record and the ledgers.
    """
    # 1. The network, its device and its images.
    voltages = read_voltages(path, options.data or "")
    data = options.data or voltages.origin.get("dataset", "")
    if data not in DATASETS:
        raise ParameterError(
            f"{path}: dataset {data!r} is none of {', '.join(DATASETS)}; --data names one of them"
        )
    seed = (voltages.origin.get("learning") or {}).get("seed", 1)
    dataset = matching_dataset(data, voltages.shape[0], seed, voltages.encoding)
    network, rule = network_of(voltages, dataset.setup)
    device = load_device(options.device) if options.device else dissipation.device_of(network)
    chip = voltages.chip
    if chip is None and device:
        chip = device_chip(device, seed)
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
    half = SCHEMES[options.scheme] if options.scheme else None
    engine = options.engine
    accounts = Accounts(technology, device, engine, half, not options.one_by_one)
    record = Record(
        options,
        f"costs_{path.stem}"
        + f"_faster_{options.faster}" * (options.faster > 1)
        + "_one_by_one" * options.one_by_one
        + "_ngspice" * (engine == NGSPICE),
        {
            "network": path.stem,
            "technology": technology.as_dict(),
            "device": device and device.name,
            "scheme": options.scheme,
            "images": options.images,
            "engine": engine,
            "training": options.training,
            # columns of hidden layers of emulators
            "together": accounts.together and len(network.layers) > 1 and not network.pulses,
            **({"faster": options.faster} if options.faster > 1 else {}),
        },
        [path],
    )

    # 2. Ledgers of an inference, an error, a training.
    tests = dataset.test if dataset.load_images else dataset.training
    shown = tests.levels[: 1 if engine == NGSPICE else options.images]
    resolution = resolution_of(voltages.rule, slow.parameters.neuron)
    computed = dataclasses.replace(accounts, engine=CLOSED_FORM)

    def measured(accounts: Accounts) -> dict[str, tuple[Ledger, Times]]:
        """Return ledgers and durations of an inference, and of an error if there is one."""
        found = {
            "inference": _mean(
                [costs.inference(network, image, accounts, resolution) for image in shown]
            )
        }
        count = 1 if engine == NGSPICE else ERRORS
        error = rule and first_errors(network, rule, dataset.training, accounts, count)
        return found | ({"error": error} if error else {})

    found = measured(accounts)
    results: dict[str, Any] = {}
    if engine == NGSPICE:  # of the same image and the same error
        results["closed_form"] = {
            name: ledger.rows() for name, (ledger, _) in measured(computed).items()
        }
    if options.training:
        trained = (
            trained_costs(network, rule, chip, dataset, computed)
            if rule
            else hebbian(network, dataset.patterns, computed)
        )
        found["training"] = trained.ledger, trained.times
        results["errors"], results["curve"] = trained.errors, trained.curve
        if trained.network:
            scored = shortened(trained.network, {"test": tests}, resolution)
            results["trained_accuracy"] = scored[0]["test"]
        if network.pulses and trained.counts:
            results["wear"] = costs.wear(trained.counts, technology.endurance)

    # 3. What the ledger answers.
    ledgers = {name: ledger for name, (ledger, _) in found.items()}
    times = {name: durations for name, (_, durations) in found.items()}
    half = network.way.half if half is None else half
    longer = {
        name: _mean([costs.inference(network, image, computed, wait) for image in shown])[0].sum()
        for name, wait in (("second spike", None), ("window", np.inf))
    }
    results |= {
        "ledgers": {name: ledger.rows() for name, ledger in ledgers.items()},
        "times_s": times,
        "area_m2": costs.area(network, technology, half),
        "cells": sum(of.rows * (of.columns + of.reference) for of in network.layers),
        # a factor is chosen on training images
        "shorter": shortened(
            network,
            {"training_accuracy": dataset.training.first(CHOSEN_ON), "strict_accuracy": tests},
            resolution,
        ),
        "until_J": longer,
        "grey_by_voltage_over_time": grey_levels(network, shown),
        "assumptions": assumptions(technology),
    }
    record.write(results, ngspice=engine == NGSPICE)
    if engine == NGSPICE:
        print(compared(ledgers, results["closed_form"]))
    for name, ledger in ledgers.items():
        print(f"\n{name}: {described(ledger, times[name])}")
    print(answers(results))
    return record.path.stem.removeprefix("costs_"), ledgers


def _mean(found: list[tuple[Ledger, Times]]) -> tuple[Ledger, Times]:
    ledgers, times = zip(*found, strict=True)
    return mean(list(ledgers)), costs.added(times, 1 / len(times))


def first_errors(
    network: Network, rule: Rule, training: Images, accounts: Accounts, count: int
) -> tuple[Ledger, Times] | None:
    """Return the mean ledger and durations of the first `count` errors on training images, each
    with its read and its first dose; None if the first `SEARCHED` images bring no error.
    """
    found = []
    for image, label in zip(*training.first(SEARCHED), strict=True):
        spikes, correction = costs.corrected(network, rule, image, int(label))
        if correction:
            own = spikes[-1][int(label)]
            stop = float(end_of_read(spikes[-1], network.design.window))
            stop = max(stop, network.design.window if np.isnan(own) else float(own))
            parts = (
                accounts.read(network, image, spikes, stop),
                accounts.correct(network, correction),
            )
            found.append((parts[0][0] + parts[1][0], costs.added([parts[0][1], parts[1][1]])))
        if len(found) == count:
            break
    return _mean(found) if found else None


def compared(simulated: Mapping[str, Ledger], computed: Mapping[str, Any]) -> str:
    """Return a line of text for each ledger: by how much its entries in closed form deviate from
    those of ngspice at most.
    """
    return "\n".join(
        f"{name}: lines of the closed form deviate by at most "
        + "{:.2%}".format(
            max(
                abs(line["joules"] / own.joules - 1)
                for line, own in zip(computed[name], ledger.lines, strict=True)
            )
        )
        for name, ledger in simulated.items()
        if name in computed
    )


def trained_costs(
    network: Network, rule: Rule, chip: Chip | None, dataset: Dataset, accounts: Accounts
) -> TrainingCosts:
    """Train the network again from its start in closed form, and return the costs."""
    images, labels = dataset.training
    if isinstance(rule, LayeredRule):
        start = initial_network(
            tuple(layer.neurons for layer in network.layers[:-1]),
            network.sizes[-1],
            images,
            rule,
            network.design,  # type: ignore[arg-type]  # a LayerDesign
            network.parameters,
            network.pulses,
            network.convolution,
        )
    else:
        start = paper_network(network.setup, rule, *network.states[0].shape)
    with progress(range(0), rule.presentations, "training", "image") as bar:

        def watch(steps: Any) -> Any:
            for done, accuracy in steps:
                bar.update(done - bar.n)
                yield done, accuracy

        return costs.training(
            network_on_chip(start, chip), rule, images, labels, accounts, watch=watch
        )


def hebbian(network: Network, patterns: np.ndarray, accounts: Accounts) -> TrainingCosts:
    """Return the costs of the paper's training: one long write for each class, from empty cells."""
    design, found = network.design, TrainingCosts()
    assert isinstance(design, Schedule)
    state = dataclasses.replace(network, states=(0.0 * network.states[0],))
    for j, pattern in enumerate(patterns):
        dose = ColumnDose(j, design.pulse * network.layers[0].write_rate, pattern)
        nothing = [np.zeros(len(patterns))]
        written = accounts.correct(state, costs.Correction(nothing, [[dose]], [[]]))
        found.ledger += written[0]
        found.times = costs.added([found.times, written[1]])
        states = state.states[0].copy()
        states[j] = network.states[0][j]
        state = dataclasses.replace(state, states=(states,))
    found.errors = len(patterns)
    return found


def shortened(network: Network, sets: Mapping[str, Images], resolution: float) -> list[Any]:
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


def grey_levels(network: Network, images: np.ndarray) -> float:
    """Return the ratio of two energies of the image's rows: grey levels given as voltages over grey
    levels given as durations, at equal charge through an ohmic cell.
    """
    levels = np.array([network.read_levels(image[None])[0] for image in images])
    inputs = levels[:, : network.sizes[0]]
    return float(np.square(inputs).sum() / inputs.sum())


def part_of(name: str) -> str:
    """Return the part of the figure's bars to which the ledger's line `name` belongs."""
    phase, _, found = name.partition(": ")
    if found.startswith("array"):
        return WRITES if phase == "write" else READS
    words = {"wires": WIRES, "bias": BIAS, "currents": CURRENTS, "membranes": MEMBRANES}
    return next((part for word, part in words.items() if word in found), LATE)


def described(ledger: Ledger, times: Times) -> str:
    """Return a ledger as text: sums, lines, durations."""
    joules, seconds = EngFormatter("J", places=2), EngFormatter("s", places=1)
    known = ledger.sum() - ledger.sum(kind=ASSUMED)
    rows = [
        (
            line.name,
            joules(line.joules),
            line.kind,
            "pins" if line.pins else "",
            line.note,
        )
        for line in ledger.lines
    ]
    durations = ", ".join(f"{phase} {seconds(value)}" for phase, value in times.items())
    return (
        f"{joules(ledger.sum())} in all parts, {joules(ledger.sum(pins=True))} at the pins, "
        f"{joules(known)} without what is assumed; {durations}\n"
        + table(("part", "energy", "kind", "fed by", "note"), rows)
    )


def answers(results: Mapping[str, Any]) -> str:
    """Return what the results say about costs, as sentences to print."""
    shorter = results["shorter"]
    first = shorter[0]
    kept = [
        row for row in shorter if row["training_accuracy"] >= first["training_accuracy"] - LOSS
    ][-1]
    area = results["area_m2"]
    parts = ", ".join(f"{name} {1e12 * value:,.0f}" for name, value in area.items() if value)
    until, own = (
        results["until_J"],
        Ledger(tuple(Line(**r) for r in results["ledgers"]["inference"])),
    )
    lines = [
        "a read that ends with the second spike takes "
        f"{until['second spike'] / own.sum():.3g} times the energy, one that lasts for the window "
        f"{until['window'] / own.sum():.3g} times",
        f"area in um^2: {parts}",
        f"times shortened by {kept['factor']}, which costs at most {LOSS:.1%} on training images: "
        f"strict accuracy on test images {kept['strict_accuracy']:.2%} instead of "
        f"{first['strict_accuracy']:.2%}",
        "grey levels by voltage take "
        f"{results['grey_by_voltage_over_time']:.2f} times the array's energy of levels by time",
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
    used: set[str] = set()
    for axis, kind in zip(axes.flat, kinds, strict=True):
        for y, ledgers in enumerate(networks.values()):
            if kind in ledgers:
                used |= stacked(axis, y, ledgers[kind])
        axis.set_title(kind)
        axis.set(xlim=(0, 100), xticks=(0, 50, 100), xlabel="share of the energy (%)")
    first = axes.flat[0]
    first.set_yticks(range(len(networks)), [name.replace("_", " ") for name in networks])
    first.margins(y=0.01)
    first.invert_yaxis()
    handles = [Patch(color=PARTS[part], label=part) for part in PARTS if part in used]
    handles.append(Patch(facecolor="0.5", edgecolor="white", hatch="///", label="assumed"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=8)
    return figure


def stacked(axis: Axes, y: float, ledger: Ledger) -> set[str]:
    """Draw a ledger as a bar at height `y`, with its sum at the right end; return its parts."""
    left, total, used = 0.0, ledger.sum(), set()
    shares: dict[tuple[str, bool], float] = {}
    for line in ledger.lines:
        key = part_of(line.name), line.kind == ASSUMED
        shares[key] = shares.get(key, 0.0) + 100 * line.joules / total
    for part, colour in PARTS.items():
        for is_assumed in (False, True):
            share = shares.get((part, is_assumed), 0.0)
            if share > VISIBLE:
                used.add(part)
                axis.barh(
                    y,
                    share,
                    left=left,
                    height=0.62,
                    color=colour,
                    hatch="///" * is_assumed,
                    edgecolor="white",
                    linewidth=0.5,
                )
                left += share
    axis.text(103, y, EngFormatter("J", places=1)(total), va="center", fontsize=8)
    return used


if __name__ == "__main__":
    run(main)
