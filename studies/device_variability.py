"""Evidence for docs/chips.md: carried weights fail where in-situ learning does not.

Do weights survive a chip whose devices differ? Ex situ (carried to the chip) against in situ
(learned on it), MNIST 10x10.

Random chips of one layer are simulated in closed form. Each chip has one kind of deviation: a
spread of neurons, of cells or of both, stuck cells, noise, or decay. In a further section a short
training on the chip repairs carried weights. Writes results/chips/imperfect_chips.json and
figures/imperfect_chips_*.png; 15 minutes on two cores. --short computes a tenth, in a minute, and
writes imperfect_chips_short*.

--hidden 100 instead varies neurons and cells of networks with 100 hidden neurons, reference columns
included. Writes results/chips/imperfect_layers.json and figures/imperfect_layers.png. 5 minutes.
--circuits compares the circuits of this project: which deviation ruins carried weights, and why?
Writes results/chips/imperfect_circuits.json. 10 minutes. --device FILE trains one layer of a
measured device, a preset or a device file, with a differential pair in each synapse. All cells have
the file's curves and noise; the study sets their spread. Writes
results/chips/imperfect_device_NAME.json and figures/imperfect_device_NAME.png. 3 minutes.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from memristive import plotting
from memristive.classifier.defaults import (
    learning_rule,
    suited_dose,
    suited_margin,
    untrained_network,
)
from memristive.cli.parallel import run_tasks
from memristive.cli.script import (
    Record,
    add_resume,
    apply_settings,
    keep_apart,
    make_parser,
    print_rows,
    run,
    whole_number,
)
from memristive.commands.chips import DEVIATIONS as FIELDS
from memristive.datasets import Dataset, matching_dataset
from memristive.devices.measured_device import device_record, load_device
from memristive.io.records import describe, load_results
from memristive.io.voltages import describe_network
from memristive.learning.build import (
    DEVICE_PRESENTATIONS,
    initial_network,
    learning_of,
    paper_network,
)
from memristive.learning.rule import LayeredRule, Rule
from memristive.learning.training import learn
from memristive.network.chip import Chip
from memristive.network.design import CLOSED_FORM, LayerDesign, Schedule
from memristive.network.networks import Network, network_on_chip
from memristive.plotting import BLUE, COLOURS, GREY, VERMILLION, WIDTH
from memristive.scores.decisions import score_row

# Colour, line and label of each route by which a chip gets its weights.
ROUTES = {
    "in situ": (BLUE, "-", "learned on the chip (in situ)"),
    "ex situ": (VERMILLION, "--", "carried to the chip (ex situ)"),
}
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
SPREADS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
LONG: dict[str, Any] = {
    "chips": 10,
    "few": 5,
    "encodings": ("grey", "binary"),
    "spreads": SPREADS,
    "sections": ("spread", "stuck", "read noise", "write noise", "retention", "recovery"),
}
SHORT: dict[str, Any] = {
    "chips": 3,
    "few": 3,
    "encodings": ("grey",),
    "spreads": (0.02, 0.1),
    "sections": ("spread",),
}
LAYERS: dict[str, Any] = {
    "chips": 5,
    "encodings": ("grey",),
    "spreads": SPREADS[:5],
    "sections": ("spread",),
}
CARRIED: dict[str, Any] = {
    "chips": 10,
    "chips in situ": 3,
    "encodings": ("grey",),
    "spreads": SPREADS[1:4],
    "sections": ("spread",),
}
SMALL_SPREAD = 0.01  # of the chips on which `race_of` measures how far a lead moves
EPOCHS = 3  # of a layer of emulators

States = tuple[np.ndarray, ...]  # V, an array for each layer
Made = tuple[Network, Rule]  # untrained network and its rule
Change = Callable[[Any], Any]  # applies --set to a rule


def paper(data: Dataset, change: Change) -> Made:
    """Return the paper's layer and its rule for the images of `data`. `change` applies the user's
    --set to the rule.
    """
    rule = change(data.rule)
    return paper_network(data.setup, rule, *data.patterns.shape), rule


def emulators(data: Dataset, change: Change, pairs: int = 0, dose: float = 1.0) -> Made:
    """Return one layer of emulators for the images of `data`, and the rule of MemristiveClassifier.

    The rule's dose is multiplied by `dose`; `change` applies the user's --set to the rule. `pairs`:
    number of differential pairs; 0: a reference column.
    """
    levels = data.training.levels
    rule = learning_rule(
        dose * suited_dose(levels.shape[1], 10, ()), suited_margin(len(levels)), 1, ()
    )
    rule = change(dataclasses.replace(rule, presentations=EPOCHS * len(levels)))
    return untrained_network(rule, levels, (), 10, {"design": LayerDesign(pairs=pairs)}), rule


def measured(data: Dataset, change: Change, device: str) -> Made:
    """Return one layer of differential pairs of a measured device for the images of `data`, and its
    rule, to which `change` applies the user's --set.
    """
    made, rule = learning_of(load_device(device), layers=1, pairs=1)
    rule = change(dataclasses.replace(rule, presentations=DEVICE_PRESENTATIONS))
    return initial_network((), 10, data.training.levels, rule, **made), rule


def hidden_layer(data: Dataset, change: Change, neurons: Sequence[int]) -> Made:
    """Return a network of emulators with reference columns and hidden layers (`neurons` of each),
    and the rule of `memristive train`, to which `change` applies the user's --set.
    """
    rule = change(LayeredRule(presentations=300_000))
    return initial_network(tuple(neurons), 10, data.training.levels, rule), rule


CIRCUITS: dict[str, Callable[[Dataset, Change], Made]] = {
    "the paper's layer": paper,
    "reference column": emulators,
    "the same, five times the dose": functools.partial(emulators, dose=5.0),
    "differential pairs": functools.partial(emulators, pairs=1),
    "EpiRAM, differential pairs": functools.partial(measured, device="epiram"),
    "reference columns, 100 hidden": functools.partial(hidden_layer, neurons=[100]),
}


@dataclass(frozen=True)
class ChipRun:
    """Chips that get their weights by one route.

    Parameters
    ----------
    columns : dict
        Columns of the record: section, encoding and the quantities that vary.
    route : str
        Key of `ROUTES`.
    chips : sequence of Chip
    rule : ErrorDrivenRule or LayeredRule
    samples : int
        Number of test images.
    network : Network
        Untrained.
    states : tuple of arrays, V, optional
        States that are carried to the chip, or from which its training starts. None: those of the
        untrained network.
    """

    columns: Mapping[str, Any]
    route: str
    chips: Sequence[Chip]
    rule: Rule
    samples: int
    network: Network
    states: States | None = None

    @property
    def data(self) -> Dataset:
        """MNIST in the encoding of this run."""
        return matching_dataset("mnist", encoding=self.columns["encoding"])

    def on(self, chip: Chip, states: States | None = None) -> Network:
        """Return the network on a chip, with `states` in place of its own states."""
        network = (
            self.network if states is None else dataclasses.replace(self.network, states=states)
        )
        return network_on_chip(network, None if chip.ideal else chip)

    def learned(self, chip: Chip) -> States:
        """Return the states of the network after a training on a chip."""
        spread = f", spread {self.columns['spread']:g}" if "spread" in self.columns else ""
        name = f"{self.route}{spread}, chip {chip.seed}"
        network = self.on(chip, self.states)
        return learn(network, self.rule, *self.data.training, name=name).network.states

    def states_on(self, chip: Chip) -> States:
        """Return the states of a chip that got its weights by this run's route: learned on the
        chip, or carried.
        """
        if self.route == "in situ":
            return self.learned(chip)
        assert self.states
        return self.states

    def first_spikes(self, chip: Chip, states: States) -> np.ndarray:
        """Return the first spikes in s (images x classes) of a chip with the given states, for the
        first `samples` test images.
        """
        return self.on(chip, states).first_spikes(self.data.test.levels[: self.samples])

    def accuracy(self, chip: Chip, states: States) -> float:
        """Return the strict accuracy of a chip with these states."""
        labels = self.data.test.first(self.samples)[1]
        return float(score_row(labels, self.first_spikes(chip, states))["strict_accuracy"])


def plan(
    extent: Mapping[str, Any],
    ideal: ChipRun,
    states: States,
    deviations: Sequence[str],
) -> Iterator[ChipRun]:
    """Yield the tasks of one encoding in the order of the record.

    Parameters
    ----------
    extent : dict
        `LONG`, `SHORT`, `LAYERS` or `CARRIED`.
    ideal : ChipRun
        Training of the ideal chip. All other tasks change something of it.
    states : tuple of arrays, V
        States that the ideal chip has learned.
    deviations : sequence of str
        Keys of `DEVIATIONS`.
    """

    def tasks(
        section: str,
        points: Sequence[tuple[dict[str, Any], dict[str, float]]],
        chips: int,
        routes: Sequence[str] = ("in situ",),
        **more: Any,
    ) -> Iterator[ChipRun]:
        """Yield a task for each route and point of a `section`. A point has columns of the record,
        and fields of `Chip` that are not 0. `chips`: number of chips.
        """
        for route in routes:
            for columns, deviations in points:
                yield dataclasses.replace(
                    ideal,
                    **{
                        "columns": {"section": section, **ideal.columns, **columns},
                        "route": route,
                        "chips": [Chip(seed=seed, **deviations) for seed in range(1, chips + 1)],  # type: ignore[arg-type]
                        "states": None if route == "in situ" else states,
                        **more,
                    },
                )

    for deviation in deviations:
        points = [
            ({"deviation": deviation, "spread": s}, dict.fromkeys(DEVIATIONS[deviation], s))
            for s in extent["spreads"]
        ]
        for route in ROUTES:
            yield from tasks(
                "spread", points, extent.get(f"chips {route}", extent["chips"]), (route,)
            )
    if "stuck" not in extent["sections"]:
        return
    few, both = extent["few"], DEVIATIONS["both"]
    yield from tasks(
        "stuck",
        [
            ({"stuck_share": share}, {"stuck_off": share / 2, "stuck_on": share / 2})
            for share in STUCK
        ],
        few,
        tuple(ROUTES),
    )
    if ideal.columns["encoding"] == "binary":
        return
    for count in RECOVERY:
        for spread in (0.02, 0.1):
            for start, first in (("ex-situ weights", states), ("fresh cells", None)):
                yield from tasks(
                    "recovery",
                    [
                        (
                            {"spread": spread, "start": start, "presentations": count},
                            dict.fromkeys(both, spread),
                        )
                    ],
                    few,
                    states=first,
                    rule=dataclasses.replace(ideal.rule, presentations=count),
                )
    yield from tasks(
        "write noise",
        [({"write_noise": noise}, {"write_noise": noise}) for noise in WRITE_NOISE],
        few,
    )
    yield from tasks("retention", [({"spread": 0.1}, dict.fromkeys(both, 0.1))], few)
    for margin in MARGINS:
        points = [
            ({"margin_us": 1e6 * margin, "read_noise_V": noise}, {"read_noise": noise})
            for noise in READ_NOISE
        ]
        yield from tasks(
            "read noise", points, min(few, 3), rule=dataclasses.replace(ideal.rule, margin=margin)
        )


def aged(chip: Chip, states: States, decay_spread: float, age_time_constants: float) -> States:
    """Return a layer's `states` on a `chip` after `age_time_constants` time constants of decay,
    with rates that differ by `decay_spread`.
    """
    chip = dataclasses.replace(chip, decay_rate=1.0, decay_spread=decay_spread)
    return (chip.after_decay(states[0], age_time_constants),)


def evaluate(task: ChipRun) -> list[dict[str, Any]]:
    """Return the accuracies of a task's chips as rows of the record: a single row, or in the
    section "retention" one for each time since the training and each spread of decay rates.
    """
    learned, rows = [task.states_on(chip) for chip in task.chips], []
    ages = [
        {"decay_spread": spread, "age_time_constants": age}
        for spread in DECAY_SPREADS
        for age in AGES
    ]
    for columns in ages if task.columns["section"] == "retention" else [{}]:
        values = [
            task.accuracy(chip, aged(chip, states, **columns) if columns else states)
            for chip, states in zip(task.chips, learned, strict=True)
        ]
        rows.append(
            {
                **task.columns,
                **columns,
                "route": task.route,
                "chips": len(values),
                "accuracies": values,
                "accuracy_mean": float(np.mean(values)),
                "accuracy_low": min(values),
                "accuracy_high": max(values),
            }
        )
    return rows


def learn_ideal(task: ChipRun) -> tuple[States, float]:
    """Train the ideal chip; return its states and its test accuracy."""
    states = task.learned(task.chips[0])
    return states, task.accuracy(task.chips[0], states)


def race_of(task: ChipRun, states: States, chips: int) -> dict[str, float]:
    """Return the quantities that decide which deviation ruins carried weights: leads and their
    changes (medians over test images and `chips` chips), and the size of the weights.

    Returns
    -------
    dict
        "lead" of the first spike over the second on the ideal chip; "moved_by_neurons" and
        "moved_by_cells", the absolute change of this lead by a spread of `SMALL_SPREAD`; all as
        shares of the first spike's time. "weight" is the result of `weight_share`.
    """
    window = task.network.design.window

    def spikes(chip: Chip) -> np.ndarray:
        return np.nan_to_num(task.first_spikes(chip, states), nan=window)

    ideal = spikes(task.chips[0])
    order = np.argsort(ideal, axis=1)[:, :2]
    first, second = np.take_along_axis(ideal, order, 1).T
    found = {
        "lead": float(np.median((second - first) / first)),
        "weight": weight_share(task, states),
    }
    for deviation in ("neurons", "cells"):
        spreads = dict.fromkeys(DEVIATIONS[deviation], SMALL_SPREAD)
        read = [spikes(Chip(seed=seed, **spreads)) for seed in range(1, chips + 1)]  # type: ignore[arg-type]
        leads = [-np.subtract(*np.take_along_axis(times, order, 1).T) for times in read]
        found[f"moved_by_{deviation}"] = float(
            np.median(np.abs(np.array(leads) - (second - first)) / first)
        )
    return found


def weight_share(task: ChipRun, states: States) -> float:
    """Return the rms weight of the first layer as a share of the rms conductance of its cells.

    A weight is the difference of two conductances: of a cell and its reference, or of a pair. In
    the paper's layer it is the difference from the mean of the row, because a current that all
    columns have in common does not change the order of spikes. Rows are weighted by the mean square
    of their level in the test images.
    """
    network, first, half = task.network, states[0], len(states[0]) // 2
    levels, cells = (
        network.read_levels(task.data.test.levels),
        first - network.parameters.memristor.threshold_voltage,
    )
    if network.design.pairs:
        weights = first[:half] - first[half:]
    else:
        weights = first - (
            network.design.reference_state if network.design.reference else first.mean(axis=0)
        )
    power = (levels**2).mean(axis=0)
    return float(
        np.sqrt(
            ((power * weights**2).sum() / len(weights)) / ((power * cells**2).sum() / len(cells))
        )
    )


def main(arguments: list[str] | None = None) -> None:
    """Train and test all chips, save, plot."""
    parser = add_resume(make_parser(__doc__, "chips"))
    parser.add_argument(
        "--short", action="store_true", help="three chips, grey images, only spreads of 2 and 10 %%"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--hidden",
        type=whole_number(1, 10_000),
        nargs="*",
        metavar="N",
        help="neurons of each hidden layer",
    )
    other.add_argument("--circuits", action="store_true", help="all circuits of this project")
    other.add_argument(
        "--device",
        metavar="FILE",
        help="one layer of a measured device: a preset's name or a device file",
    )
    parser.add_common("--samples", 10_000)
    options = parser.parse_args(arguments)
    keep_apart(options, options.device)
    carried = options.circuits or options.device
    extent = SHORT if options.short else LAYERS if options.hidden else CARRIED if carried else LONG

    # 1. Circuits with their rules.
    parameters: dict[str, Any] = {
        "extent": {**extent, "samples": options.samples},
        "engine": CLOSED_FORM,
    }
    name = "chips"
    made: dict[str, Callable[[Dataset, Change], Made]] = dict.fromkeys(extent["encodings"], paper)
    if options.hidden:
        name, made = "layers", {"grey": functools.partial(hidden_layer, neurons=options.hidden)}
    elif options.circuits:
        name, made = "circuits", CIRCUITS
    elif options.device:
        device = load_device(options.device)
        name, made = (
            f"device_{device.name}",
            {"grey": functools.partial(measured, device=options.device)},
        )
        parameters["device"] = device_record(device)
    starts = []
    for case, make in made.items():
        encoding = case if case in extent["encodings"] else "grey"
        data = matching_dataset("mnist", encoding=encoding)
        network, rule = make(data, lambda rule: apply_settings(options, rule=rule)[0])
        columns = {"encoding": encoding} | ({"circuit": case} if options.circuits else {})
        starts.append(ChipRun(columns, "in situ", [Chip()], rule, options.samples, network))
        parameters[case] = {"learning": dataclasses.asdict(rule)}
        if isinstance(network.design, Schedule):
            parameters[case] |= describe(data.setup)
        elif carried:
            parameters[case] |= describe_network(data.name, data.shape, network, rule)
        else:
            parameters[case]["hidden"] = options.hidden
    record = Record(
        options, f"imperfect_{name}{'_short' * options.short}", parameters, [options.device]
    )

    # 2. Ideal chips learn: their states are the ex-situ weights.
    ideal = dict(
        run_tasks(learn_ideal, starts, options.jobs, options.scheduler, None, "ideal chips")
    )
    results: dict[str, Any] = {"ideal": {case: ideal[k][1] for k, case in enumerate(made)}}

    # 3. Imperfect chips learn and are tested.
    tasks = [
        task
        for k, (case, start) in enumerate(zip(made, starts, strict=True))
        for task in plan(
            extent,
            start,
            ideal[k][0],
            ["both"] if options.hidden else list(DEVIATIONS),
        )
    ]
    sizes = [
        len(task.chips) * (task.rule.presentations if task.route == "in situ" else 1)
        for task in tasks
    ]
    results["rows"] = [row for found in record.run_tasks(evaluate, tasks, sizes) for row in found]
    if carried:
        names = list(made) if options.circuits else [name.removeprefix("device_")]
        results["race"] = {
            circuit: race_of(starts[k], ideal[k][0], extent["chips"])
            for k, circuit in enumerate(names)
        }

    # 4. Save, print, plot.
    record.write(results, ngspice=False)
    print(
        "accuracy of ideal chips: "
        + ", ".join(f"{case} {accuracy:.1%}" for case, accuracy in results["ideal"].items())
    )
    print_rows(results["rows"], drop=["accuracies"])
    for circuit, found in results.get("race", {}).items():
        print(
            f"{circuit}: the first spike leads by {found['lead']:.1%} of its time, and a spread of "
            f"1 % moves this lead by {found['moved_by_neurons']:.1%} (neurons) or "
            f"{found['moved_by_cells']:.1%} (cells); weights are {found['weight']:.0%} of the "
            "cells' conductance"
        )
    if not options.circuits:
        draw(record.path, options.figures)


def draw(record: str | Path, folder: str | Path) -> None:
    """Write the figures of a record to a folder."""
    found = load_results(record)
    drawn = figures(found["rows"], found["ideal"])
    for part, figure in drawn.items():
        plotting.save(
            figure, Path(folder) / f"{Path(record).stem}{f'_{part}' * (len(drawn) > 1)}.png"
        )


def figures(rows: Sequence[Mapping[str, Any]], ideal: Mapping[str, float]) -> dict[str, Figure]:
    """Return the figures of a record by name. Lines are means over chips, bands go from the lowest
    to the highest chip.

    Parameters
    ----------
    rows : sequence of dict
        Rows of `device_variability.evaluate`.
    ideal : dict
        Accuracy of an ideal chip by encoding.
    """
    table = pd.DataFrame(rows)
    parts = {
        "in_situ": (in_situ_figure, ["spread"]),
        "noise": (noise_figure, ["read noise", "write noise"]),
        "retention": (retention_figure, ["retention"]),
        "recovery": (recovery_figure, ["recovery"]),
    }
    found = {
        name: (draw, table[table.section.isin(sections)])
        for name, (draw, sections) in parts.items()
    }
    return {name: draw(part, ideal) for name, (draw, part) in found.items() if len(part)}


def in_situ_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy against the spread of cells and thresholds, in situ and ex situ, for grey
    images.
    """
    rows = rows[(rows.encoding == "grey") & (rows.deviation == "both")]
    figure, axis = plt.subplots(figsize=(0.8 * WIDTH, 3.9))
    for route, (colour, dashes, label) in ROUTES.items():
        # at a spread of 0 both routes have the accuracy of the ideal chip
        start = dict.fromkeys(("accuracy_mean", "accuracy_low", "accuracy_high"), ideal["grey"])
        start["spread"] = 0.0
        found = pd.concat([pd.DataFrame([start]), rows.loc[rows.route == route, list(start)]])
        band(axis, found, "spread", 100, color=colour, linestyle=dashes, label=label)
    finish(
        axis,
        ideal["grey"],
        f"MNIST, {rows.chips.iloc[0]} chips for each spread",
        "spread of cells and thresholds (%)",
        "test accuracy (%)",
    )
    figure.legend(handles=handles(axis), loc="outside lower center", ncols=2)
    return figure


def noise_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy against threshold noise for several margins of the rule, and against write
    noise.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharey=True)
    margins = sorted(rows.margin_us.dropna().unique())
    for k, margin in enumerate(margins):
        band(
            left,
            rows[(rows.margin_us == margin) & (rows.read_noise_V > 0)],
            "read_noise_V",
            1e3,
            color=plt.get_cmap("viridis")(k / len(margins)),
            label=f"{margin:g} µs",
        )
    left.legend(title="margin of the rule", loc="lower left")
    band(right, rows[rows.section == "write noise"], "write_noise", 100, color=BLUE)
    finish(
        left,
        ideal["grey"],
        "threshold noise",
        "spread of a threshold over reads (mV)",
        "test accuracy (%)",
    )
    finish(right, ideal["grey"], "write noise", "spread of each write, relative to its dose (%)")
    for axis in (left, right):
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
    right.legend(handles=handles(right), loc="lower left")
    left.set_ylim(10 * np.floor(10 * rows.accuracy_low.min()), 100)
    return figure


def retention_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy against the time since the training, for cells that decay at different
    rates.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    for spread, colour in zip(sorted(rows.decay_spread.unique()), COLOURS, strict=False):
        band(
            axis,
            rows[rows.decay_spread == spread],
            "age_time_constants",
            color=colour,
            label=f"rates spread by {100 * spread:g} %",
        )
    finish(
        axis,
        ideal["grey"],
        "Forgetting: chips of 10 % spread, trained in situ, grey images",
        "time since training (mean time constants)",
        "test accuracy (%)",
    )
    axis.legend(handles=handles(axis), loc="lower left")
    return figure


def recovery_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy after a short training on the chip, which starts from ex-situ weights or from
    untrained cells.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.4))
    lines = [
        (spread, start)
        for spread in sorted(rows.spread.unique(), reverse=True)
        for start in sorted(rows.start.unique())
    ]
    for (spread, start), colour in zip(lines, COLOURS, strict=False):
        band(
            axis,
            rows[(rows.spread == spread) & (rows.start == start)],
            "presentations",
            color=colour,
            label=f"{100 * spread:g} % spread, from {start}",
            linestyle="-" if start == "ex-situ weights" else "--",
        )
    finish(
        axis,
        ideal["grey"],
        "How soon a chip recovers: grey images",
        "presentations on the chip (images)",
        "test accuracy (%)",
    )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.legend(handles=handles(axis), loc="lower right")
    return figure


def band(axis: Axes, rows: pd.DataFrame, x: str, scale: float = 1.0, **style: Any) -> None:
    """Draw the mean of the chips over the column `x`, times `scale`, as a line, and a band from the
    lowest to the highest chip.
    """
    axis.plot(
        scale * rows[x], 100 * rows.accuracy_mean, **{"marker": "o", "markersize": 3, **style}
    )
    axis.fill_between(
        scale * rows[x],
        100 * rows.accuracy_low,
        100 * rows.accuracy_high,
        color=style["color"],
        alpha=0.2,
        linewidth=0,
    )


def handles(axis: Axes) -> list[Any]:
    """Return the entries of a legend: those of the axis, and one for the bands."""
    return [
        *axis.get_legend_handles_labels()[0],
        Patch(color=GREY, alpha=0.25, linewidth=0, label="lowest to highest chip"),
    ]


def finish(axis: Axes, ideal: float, title: str, x: str, y: str = "") -> None:
    """Draw the `ideal` chip's accuracy (a share) as a line; set title and the labels `x`, `y` of
    the axes.
    """
    axis.axhline(100 * ideal, color=GREY, linewidth=0.8, zorder=0, label="an ideal chip")
    axis.set(title=title, xlabel=x, ylabel=y, ylim=(0, 100))
    axis.grid(alpha=0.3)


if __name__ == "__main__":
    run(main)
