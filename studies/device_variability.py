"""Evidence for docs/chips.md: carried weights fail where in-situ learning does not.

Do weights survive a chip whose devices differ? Ex situ (carried to the chip) against in situ
(learned on it), MNIST 10x10.

Random chips of the paper's layer are simulated in closed form. Each chip has one kind of deviation:
a spread of neurons, of cells or of both, stuck cells, noise, or decay. In a further section a short
training on the chip repairs carried weights. Writes results/chips/imperfect_chips.json and
figures/imperfect_chips_*.png; 15 minutes on two cores.

--circuits compares the circuits of this project: which deviation ruins carried weights, and why?
Writes results/chips/imperfect_circuits.json. 10 minutes.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from memristive.classifier.defaults import (
    learning_rule,
    suited_dose,
    suited_margin,
    untrained_network,
)

from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.commands.chips import DEVIATIONS as FIELDS
from memristive.datasets import Dataset, matching_dataset
from memristive.devices.measured_device import load_device
from memristive.io.records import describe
from memristive.io.voltages import describe_network
from memristive.learning.build import initial_network, paper_network
from memristive.learning.rule import LayeredRule, Rule
from memristive.learning.settings import DEVICE_PRESENTATIONS, learning_of
from memristive.learning.training import learn
from memristive.network.chip import Chip
from memristive.network.design import CLOSED_FORM, LayerDesign
from memristive.network.networks import Network, network_on_chip
from memristive.plotting import BLUE, COLOURS, GREY, VERMILLION, WIDTH, over_seeds
from memristive.scores.decisions import score_row

IN_SITU, EX_SITU = ROUTES = ("in situ", "ex situ")
# parameters of `Chip` that a spread sets, in the order of the record
DEVIATIONS = {name: FIELDS[name] for name in ("both", "neurons", "cells")}
STUCK = (0.01, 0.02, 0.05, 0.1, 0.2)  # share of the cells, half of them off, half on
READ_NOISE = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # V
MARGINS = (0.0, 0.5e-6, 1e-6, 2e-6, 4e-6, 8e-6)  # s
WRITE_NOISE = (0.1, 0.3, 1.0, 3.0)  # share of the dose
RECOVERY = (100, 300, 1000, 3000, 10000)  # presentations
# time since the training, in mean time constants of the cells' decay
AGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
DECAY_SPREADS = (0.0, 0.1, 0.3)  # relative spread of the cells' decay rates
# Extents of the study. chips: for each spread; few: chips for each point of the other sections.
ENCODINGS = ("grey", "binary")
LONG: dict[str, Any] = {"chips": 10, "few": 5, "spreads": (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)}
CARRIED: dict[str, Any] = {"chips": 10, "chips in situ": 3, "spreads": (0.02, 0.05, 0.1)}
SMALL_SPREAD = 0.01  # of the chips on which `race_of` measures how far a lead moves
EPOCHS = 3  # of a layer of emulators
PAPER = "the paper's layer"

Made = tuple[Network, Rule]  # untrained network and its rule


def paper(data: Dataset) -> Made:
    """Return the paper's layer and its rule for the images of `data`."""
    return paper_network(data.setup, data.rule, *data.patterns.shape), data.rule


def emulators(data: Dataset, pairs: int = 0, dose: float = 1.0) -> Made:
    """Return one layer of emulators for the images of `data`, and the rule of MemristiveClassifier,
    whose dose is multiplied by `dose`. `pairs`: number of differential pairs; 0: a reference
    column.
    """
    levels = data.training.levels
    dose *= suited_dose(levels.shape[1], 10, ())
    rule = learning_rule(dose, suited_margin(len(levels)), 1, ())
    rule = dataclasses.replace(rule, presentations=EPOCHS * len(levels))
    return untrained_network(rule, levels, (), 10, {"design": LayerDesign(pairs=pairs)}), rule


def epiram(data: Dataset) -> Made:
    """Return one layer of differential pairs of EpiRAM for the images of `data`, and its rule."""
    made, rule = learning_of(load_device("epiram"), layers=1, pairs=1)
    rule = dataclasses.replace(rule, presentations=DEVICE_PRESENTATIONS)
    return initial_network((), 10, data.training.levels, rule, **made), rule


def hidden_layer(data: Dataset) -> Made:
    """Return 100 hidden neurons of emulators with reference columns, and the rule of `memristive
    train`.
    """
    rule = LayeredRule(presentations=300_000)
    return initial_network((100,), 10, data.training.levels, rule), rule


CIRCUITS: dict[str, Callable[[Dataset], Made]] = {
    PAPER: paper,
    "reference column": emulators,
    "the same, five times the dose": functools.partial(emulators, dose=5.0),
    "differential pairs": functools.partial(emulators, pairs=1),
    "EpiRAM, differential pairs": epiram,
    "reference columns, 100 hidden": hidden_layer,
}


@functools.cache
def started(circuit: str, encoding: str) -> Made:
    """Return the untrained network of a circuit and its rule."""
    return CIRCUITS[circuit](matching_dataset("mnist", encoding=encoding))


@functools.cache
def ideal(circuit: str, encoding: str) -> Network:
    """Return the trained network of a circuit on an ideal chip."""
    training = matching_dataset("mnist", encoding=encoding).training
    return learn(*started(circuit, encoding), *training, name="ideal chip").network


def accuracy(network: Network, encoding: str) -> float:
    """Return the strict accuracy of a network on MNIST's test images."""
    levels, labels = matching_dataset("mnist", encoding=encoding).test
    return float(score_row(labels, network.first_spikes(levels))["strict_accuracy"])


@dataclass(frozen=True)
class ChipRun:
    """Chips of a `circuit` that get their weights by one `route`.

    `chips`: their number. `deviations`: fields of `Chip`. `carried`: on the chip the weights of the
    ideal chip are the start of the training. `rule`: changed fields of the rule. `columns`:
    quantities that vary, of the record.
    """

    section: str
    encoding: str
    route: str
    chips: int
    deviations: Mapping[str, float]
    columns: Mapping[str, Any]
    circuit: str = PAPER
    carried: bool = False
    rule: Mapping[str, Any] = field(default_factory=dict)

    def network(self, seed: int) -> Network:
        """Return the network on the chip number `seed`, learned there or carried."""
        start, rule = started(self.circuit, self.encoding)
        if self.carried or self.route == EX_SITU:
            start = ideal(self.circuit, self.encoding)
        placed = network_on_chip(start, Chip(seed=seed, **self.deviations))  # type: ignore[arg-type]
        if self.route == EX_SITU:
            return placed
        rule = dataclasses.replace(rule, **self.rule)
        training = matching_dataset("mnist", encoding=self.encoding).training
        return learn(placed, rule, *training, name=f"{self.columns}, chip {seed}").network


def paper_runs() -> Iterator[ChipRun]:
    """Yield the runs of the paper's layer in the order of the record."""
    for encoding in ENCODINGS:
        yield from spread_runs(LONG, PAPER, encoding)
        few = functools.partial(ChipRun, encoding=encoding, route=IN_SITU, chips=LONG["few"])
        for route, share in itertools.product(ROUTES, STUCK):
            halves = {"stuck_off": share / 2, "stuck_on": share / 2}
            columns = {"stuck_share": share}
            yield few(section="stuck", route=route, deviations=halves, columns=columns)
        if encoding == "binary":
            continue
        for count, spread, carried in itertools.product(RECOVERY, (0.02, 0.1), (True, False)):
            start = "ex-situ weights" if carried else "fresh cells"
            yield few(
                section="recovery",
                deviations=dict.fromkeys(DEVIATIONS["both"], spread),
                columns={"spread": spread, "start": start, "presentations": count},
                carried=carried,
                rule={"presentations": count},
            )
        for noise in WRITE_NOISE:
            of = {"write_noise": noise}
            yield few(section="write noise", deviations=of, columns=of)
        differing = dict.fromkeys(DEVIATIONS["both"], 0.1)
        yield few(section="retention", deviations=differing, columns={"spread": 0.1})
        for margin, noise in itertools.product(MARGINS, READ_NOISE):
            yield few(
                section="read noise",
                chips=3,
                deviations={"read_noise": noise},
                columns={"margin_us": 1e6 * margin, "read_noise_V": noise},
                rule={"margin": margin},
            )


def spread_runs(extent: Mapping[str, Any], circuit: str, encoding: str) -> Iterator[ChipRun]:
    """Yield the runs of a circuit on chips whose neurons, cells or both differ."""
    for deviation, route, spread in itertools.product(DEVIATIONS, ROUTES, extent["spreads"]):
        yield ChipRun(
            "spread",
            encoding,
            route,
            extent.get(f"chips {route}", extent["chips"]),
            dict.fromkeys(DEVIATIONS[deviation], spread),
            {"deviation": deviation, "spread": spread},
            circuit,
        )


def aged(network: Network, decay_spread: float, age_time_constants: float) -> Network:
    """Return a network of one layer on a chip after `age_time_constants` time constants of decay,
    with rates that differ by `decay_spread`.
    """
    assert network.chip
    chip = dataclasses.replace(network.chip, decay_rate=1.0, decay_spread=decay_spread)
    states = chip.after_decay(network.states[0], age_time_constants)
    return dataclasses.replace(network, states=(states,))


def evaluate(task: ChipRun) -> list[dict[str, Any]]:
    """Return the accuracies of a task's chips as rows of the record: a single row, or in the
    section "retention" one for each time since the training and each spread of decay rates.
    """
    networks, rows = [task.network(seed) for seed in range(1, task.chips + 1)], []
    ages: list[dict[str, float]] = [{}]
    if task.section == "retention":
        names = ("decay_spread", "age_time_constants")
        ages = [dict(zip(names, of, strict=True)) for of in itertools.product(DECAY_SPREADS, AGES)]
    for age in ages:
        values = [
            accuracy(aged(network, **age) if age else network, task.encoding)
            for network in networks
        ]
        rows.append(
            {
                "section": task.section,
                "encoding": task.encoding,
                "circuit": task.circuit,
                **task.columns,
                **age,
                "route": task.route,
                "chips": len(values),
                "accuracies": values,
                "accuracy_mean": float(np.mean(values)),
                "accuracy_low": min(values),
                "accuracy_high": max(values),
            }
        )
    return rows


def race_of(network: Network, levels: np.ndarray, chips: int) -> dict[str, float]:
    """Return the quantities that decide which deviation ruins carried weights: leads and their
    changes (medians over images and chips), and the size of the weights.

    Parameters
    ----------
    network : Network
        Trained on an ideal chip.
    levels : array, images x inputs
        Test images.
    chips : int

    Returns
    -------
    dict
        "lead" of the first spike over the second on the ideal chip; "moved_by_neurons" and
        "moved_by_cells", the absolute change of this lead by a spread of `SMALL_SPREAD`; all as
        shares of the first spike's time. "weight" is the result of `weight_share`.
    """

    def spikes(of: Network) -> np.ndarray:
        return np.nan_to_num(of.first_spikes(levels), nan=network.design.window)

    before = spikes(network)
    order = np.argsort(before, axis=1)[:, :2]
    first, second = np.take_along_axis(before, order, 1).T
    found = {
        "lead": float(np.median((second - first) / first)),
        "weight": weight_share(network, levels),
    }
    for deviation in ("neurons", "cells"):
        spreads = dict.fromkeys(DEVIATIONS[deviation], SMALL_SPREAD)
        read = [
            spikes(network_on_chip(network, Chip(seed=seed, **spreads)))  # type: ignore[arg-type]
            for seed in range(1, chips + 1)
        ]
        leads = [-np.subtract(*np.take_along_axis(times, order, 1).T) for times in read]
        found[f"moved_by_{deviation}"] = float(
            np.median(np.abs(np.array(leads) - (second - first)) / first)
        )
    return found


def weight_share(network: Network, levels: np.ndarray) -> float:
    """Return the rms weight of the first layer as a share of the rms conductance of its cells.

    A weight is the difference of two conductances: of a cell and its reference, or of a pair. In
    the paper's layer it is the difference from the mean of the row, because a current that all
    columns have in common does not change the order of spikes. Rows are weighted by the mean square
    of their level in the test images (`levels`).
    """
    first = network.states[0]
    cells, half = first - network.parameters.memristor.threshold_voltage, len(first) // 2
    if network.design.pairs:
        weights = first[:half] - first[half:]
    elif network.design.reference:
        weights = first - network.design.reference_state
    else:
        weights = first - first.mean(axis=0)
    power = (network.read_levels(levels) ** 2).mean(axis=0)
    return float(
        np.sqrt(
            ((power * weights**2).sum() / len(weights)) / ((power * cells**2).sum() / len(cells))
        )
    )


def main(arguments: list[str] | None = None) -> None:
    """Train and test all chips, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "chips", parameters=False))
    parser.add_argument("--circuits", action="store_true", help="all circuits of this project")
    options = parser.parse_args(arguments)
    extent = CARRIED if options.circuits else LONG
    if options.circuits:
        cases = {circuit: (circuit, "grey") for circuit in CIRCUITS}
        tasks = [task for case in cases.values() for task in spread_runs(extent, *case)]
    else:
        cases = {encoding: (PAPER, encoding) for encoding in ENCODINGS}
        tasks = list(paper_runs())
    parameters: dict[str, Any] = {"extent": extent, "engine": CLOSED_FORM}
    for name, (circuit, encoding) in cases.items():
        data = matching_dataset("mnist", encoding=encoding)
        network, rule = started(circuit, encoding)
        parameters[name] = {"learning": dataclasses.asdict(rule)} | (
            describe(data.setup)
            if circuit == PAPER
            else describe_network(data.name, data.shape, network, rule)
        )
    name = "circuits" if options.circuits else "chips"
    record = Record(options, f"imperfect_{name}", parameters)

    found = record.run_tasks(evaluate, tasks)
    rows = [row for of_task in found for row in of_task]
    if not options.circuits:
        for row in rows:
            del row["circuit"]
    results: dict[str, Any] = {
        "ideal": {case: accuracy(ideal(*of), of[1]) for case, of in cases.items()},
        "rows": rows,
    }
    if options.circuits:
        levels = matching_dataset("mnist").test.levels
        results["race"] = {
            case: race_of(ideal(*of), levels, extent["chips"]) for case, of in cases.items()
        }
    record.write(results, ngspice=False)
    print_rows(rows, drop=["accuracies"])
    if options.circuits:
        print_rows([{"circuit": case, **race} for case, race in results["race"].items()])
        return
    table = pd.DataFrame(rows).explode("accuracies")
    table["accuracy"] = 100 * table.accuracies.astype(float)
    for part, (draw, sections) in FIGURES.items():
        of_part = table[table.section.isin(sections) & (table.encoding == "grey")]
        record.plot(draw(of_part, 100 * results["ideal"]["grey"]), part)


def in_situ_figure(rows: pd.DataFrame, best: float) -> Figure:
    """Draw accuracy against the spread of cells and thresholds, in situ and ex situ."""
    figure, axis = plt.subplots(figsize=(0.8 * WIDTH, 3.9))
    rows = rows[rows.deviation == "both"]
    labels = ("learned on the chip (in situ)", "carried to the chip (ex situ)")
    for route, colour, label in zip(ROUTES, (BLUE, VERMILLION), labels, strict=True):
        lines(axis, rows[rows.route == route], "spread", 100, color=colour, label=label)
    finish(axis, best, "spread of cells and thresholds (%)")
    axis.set(ylabel="test accuracy (%)", ylim=(0, 100))
    axis.legend(title=f"{rows.chips.iloc[0]} chips for each spread, bars: lowest to highest")
    return figure


def noise_figure(rows: pd.DataFrame, best: float) -> Figure:
    """Draw accuracy against threshold noise for several margins of the rule, and against write
    noise.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharey=True)
    reads = rows[rows.read_noise_V > 0]
    for k, (margin, of) in enumerate(reads.groupby("margin_us")):
        colour = plt.get_cmap("viridis")(k / len(MARGINS))
        lines(left, of, "read_noise_V", 1e3, color=colour, label=f"{margin:g} µs")
    lines(right, rows[rows.section == "write noise"], "write_noise", 100, color=BLUE)
    finish(left, best, "spread of a threshold over reads (mV)")
    finish(right, best, "spread of each write, relative to its dose (%)")
    left.legend(title="margin of the rule", loc="lower left")
    for axis in (left, right):
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
    left.set_ylabel("test accuracy (%)")
    return figure


def retention_figure(rows: pd.DataFrame, best: float) -> Figure:
    """Draw accuracy against the time since the training, for cells that decay at different
    rates.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    for (spread, of), colour in zip(rows.groupby("decay_spread"), COLOURS, strict=False):
        label = f"rates spread by {100 * float(str(spread)):g} %"
        lines(axis, of, "age_time_constants", color=colour, label=label)
    finish(axis, best, "time since training (mean time constants)")
    axis.set(ylabel="test accuracy (%)", ylim=(0, 100))
    axis.legend(loc="lower left")
    return figure


def recovery_figure(rows: pd.DataFrame, best: float) -> Figure:
    """Draw accuracy after a short training on the chip, which starts from ex-situ weights or from
    untrained cells.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.4))
    rows = rows.assign(label=rows.spread.map("spread {:.0%}".format) + ", from " + rows.start)
    for (label, of), colour in zip(rows.groupby("label"), COLOURS, strict=False):
        lines(axis, of, "presentations", color=colour, label=str(label))
    finish(axis, best, "presentations on the chip (images)")
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set(ylabel="test accuracy (%)", ylim=(0, 100))
    axis.legend(loc="lower right")
    return figure


def lines(axis: Axes, rows: pd.DataFrame, x: str, scale: float = 1.0, **style: Any) -> None:
    """Draw accuracy over the column `x`, times `scale`: means, lowest and highest chip."""
    groups = rows.groupby(x).accuracy
    over_seeds(axis, scale * groups.mean().index, groups, markersize=3, **style)


def finish(axis: Axes, best: float, x: str) -> None:
    """Draw the accuracy of an ideal chip as a line, and set the label of the axis x."""
    axis.axhline(best, color=GREY, linewidth=0.8, zorder=0, label="an ideal chip")
    axis.set_xlabel(x)
    axis.grid(alpha=0.3)


# for each figure the function that draws it, and sections of the record
FIGURES = {
    "in_situ": (in_situ_figure, ["spread"]),
    "noise": (noise_figure, ["read noise", "write noise"]),
    "retention": (retention_figure, ["retention"]),
    "recovery": (recovery_figure, ["recovery"]),
}


if __name__ == "__main__":
    run(main)
