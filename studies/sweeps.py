"""Evidence for docs/devices.md, docs/writes_late.md, docs/writes_gate.md, docs/chips.md: sweeps.

Sweeps: networks that differ in one property, behind sentences of four pages.

- device_learning (docs/devices.md): can published synapses learn online? A synapse is a single
  cell, one differential pair, or four pairs. For comparison, one pair is also trained by pulses of
  any width without noise. Two layers have 400-100-10 neurons on the central 20x20 pixels, as
  NeuroSim's network. On scikit-learn's digits, networks of one and of two layers have one pair.
- late_ways (docs/writes_late.md): fractions of a pulse rounded at random; Manhattan,
  a pulse to each row whose input is above half; a digital memory that keeps the remainder; late;
  and EaPU, in which a dose below the write noise is written as this noise, or not at all.
- late_poverty (docs/writes_late.md, "How poor"): leak, spread and offset of the capacitor, and a
  passive array whose half-selected cells move by the share r of a step.
- gate_commit (docs/writes_gate.md): how often must a 1T1R cell be written? Step, scatter, stuck
  cells, leak of X.
- one_sided (docs/devices.md): pairs of devices with one gradual direction, late and rounded.
  Rounded writes, which need many pulses, are tried in one layer only; in two layers on MNIST pcm
  has one seed, and taox is not tried.
- device_spread (docs/chips.md): what do layers lose on a chip whose devices differ?

All networks learn MNIST by the settings of `memristive.learning.build`, except for the property.
Closed form, strict accuracy on all test images. Writes results/*/NAME.json and, of device_learning,
late_poverty and gate_commit, figures/NAME.png; half an hour for device_learning and late_ways on
two cores, minutes for the others. Ctrl-C saves a checkpoint for --resume.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.runs import Run, evaluate, means_of
from memristive.cli.script import Record, add_resume, make_parser, run
from memristive.commands.chips import DEVIATIONS
from memristive.devices.measured_device import (
    DEVICES,
    GATE_DEVICES,
    ONE_SIDED_DEVICES,
    MeasuredDevice,
    device_record,
)
from memristive.learning.settings import LATE_DOSE
from memristive.network import recipe as recipes
from memristive.network.recipe import EXACT, LATE, Recipe
from memristive.parameters import Fields, Values
from memristive.plotting import COLOURS, GREY, WIDTH, over_seeds
from memristive.writing.late import late_settings

# device_learning. NeuroSim's accuracies, 400-100-10, in %: NeuroSim 2.0 (Table I of the paper in
# docs/devices.md) and 3.0 (its manual, Tables I and II).
NEUROSIM = {
    "ag-si": (73, 72),
    "taox-tio2": (10, None),
    "pcmo": (10, 33),
    "alox-hfo2": (41, 20),
    "epiram": (91.5, 92),
    "taox-hfox": (None, 80),
}
SIZES = {1: "one layer, 100-10", 2: "two layers, 400-100-10"}
CELLS = {0: "single cells", 1: "one pair", 4: "four pairs"}
# late_ways
ROUNDED, MANHATTAN, REMAINDER = "rounded", "Manhattan", "remainder"
EAPU = "EaPU"
DEEP_SEEDS = 3  # of two layers
# The size of a dose means nothing to the Manhattan rule: it does not fall. The margin is the best
# of four on held-out images.
UNFALLING = {"rule.final_dose": 1.0, "rule.margin": 60e-6}
# late_poverty: fields of `PulseWrites` and their values. A share of 1e-4 is a time constant of
# 10,000 presentations.
POOR, HALF_SELECTED = ("pcmo", "epiram", "taox-hfox"), "half-selected"
POVERTY: dict[str, tuple[float, ...]] = {
    "late_forget": (0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2),
    "late_spread": (0.0, 0.1, 0.2, 0.3, 0.5, 0.8),
    "late_offset": (0.0, 0.1, 0.2, 0.3, 0.5, 0.8),
    HALF_SELECTED: (0.0, 0.02, 0.05, 0.1, 0.2),
}
# gate_commit: shares of the range of gate voltages (step), of the range of conductance (scatter),
# of the cells, and of X - rest in one presentation (leak)
LI, WANG = "li-1t1r", "wang-1t1r"
SHOWN = {10: 100_000, 8: 200_000}  # presentations of images of 10x10 and of 8x8 pixels
HIDDEN = {10: (), 8: (54,)}
GATE: dict[str, tuple[float, ...]] = {
    "step": (0.0, 0.01, 0.02, 0.04, 0.08, 0.12, 0.2),
    "scatter": (0.0, 0.02, 0.045, 0.09, 0.15),
    "stuck": (0.0, 0.05, 0.11, 0.2, 0.3),
    "leak": (0.0, 1e-7, 1e-6, 1e-5, 1e-4),
}
LOWEST = 82  # % in the figure; a strong leak leaves less
WAITS, AT_ONCE, TO_GROUND = WAYS = ("with a step", "at each dose", "leak towards 0 V")
# one_sided: most seeds of two layers on MNIST, where cells need hundreds of pulses
SLOW = {"pcm": 1, "taox": 0}
# device_spread
SPREADS, DIFFERING = (0.0, 0.1, 0.2), DEVIATIONS["both"]
LABELS = {
    "late_forget": "forgotten in a presentation",
    "late_spread": "spread of the limits",
    "late_offset": "offset of the windows",
    HALF_SELECTED: "r of half-selected cells",
    "step": "step of X before a write (%)",
    "scatter": "scatter of a write (%)",
    "stuck": "stuck cells (%)",
    "leak": "leak in a presentation (%)",
}


def device_learning(seeds: int) -> Iterator[Run]:
    """Yield the networks of each preset: one layer with all `seeds`, two layers with one. Two
    layers get more presentations if they have several pairs, or pulses of any width, because then
    they gain.
    """
    for layers, count in ((1, seeds), (2, 1)):
        for seed, device in itertools.product(range(1, count + 1), DEVICES.values()):
            for pairs, whole in ((0, True), (1, True), (4, True), (1, False)):
                deep = (240_000 if pairs > 1 else 120_000) if whole else 500_000
                shown = 200_000 if layers == 1 else deep
                columns = {"data": "mnist", "layers": layers, "pairs": pairs, "whole": whole}
                yield network(device, seed, layers, shown, columns, pairs=pairs, whole=whole)
            columns = {"data": "digits", "layers": layers, "pairs": 1, "whole": True}
            yield network(device, seed, layers, 60_000, columns)


def late_ways(seeds: int) -> Iterator[Run]:
    """Yield the networks of four ways to write, of one layer and of two."""
    for layers, count in ((1, seeds), (2, min(seeds, DEEP_SEEDS))):
        for device in DEVICES.values():
            for seed in range(1, count + 1):
                for way in (ROUNDED, MANHATTAN, REMAINDER, LATE, EAPU):
                    exact = {"pulses.late_forget": 0.0, "pulses.late_spread": 0.0}
                    changes: Fields = {}
                    if way == REMAINDER:
                        changes = exact | {"pulses.late_keeps": 1}
                    if way == EAPU:
                        noise = round(device.write_noise / device.mean_step)
                        changes = {"pulses.whole": max(1, noise)}
                    if way == MANHATTAN:
                        # due by a single input above half; what is left is forgotten at once
                        half = LATE_DOSE * late_settings(device)["late"] / 2
                        manhattan = {"forget": 1.0, "spread": 0.0, "pulses": 1}
                        changes = {f"pulses.late_{name}": to for name, to in manhattan.items()}
                        changes |= {"pulses.late": half, **UNFALLING}
                    late = way not in (ROUNDED, EAPU)
                    columns = {"layers": layers, "late": late, "series": "way", "value": way}
                    shown = 100_000 if layers == 1 else 120_000
                    yield network(device, seed, layers, shown, columns, late=late, changes=changes)


def late_poverty(seeds: int) -> Iterator[Run]:
    """Yield the networks of poorer and poorer capacitors, and of passive arrays."""
    points = [(True, name, value) for name in POVERTY for value in POVERTY[name]]
    points += [(False, HALF_SELECTED, r) for r in POVERTY[HALF_SELECTED]]
    for device, seed, (late, name, value) in itertools.product(POOR, range(1, seeds + 1), points):
        changes = {f"pulses.{name}": value}
        if name == HALF_SELECTED:
            changes = {"pulses.disturb_up": value, "pulses.disturb_down": value}
        columns = {"layers": 1, "late": late, "series": name, "value": value}
        yield network(DEVICES[device], seed, 1, 100_000, columns, late=late, changes=changes)


def network(
    device: MeasuredDevice,
    seed: int,
    layers: int,
    presentations: int,
    columns: Values,
    late: bool = False,
    whole: bool = True,
    pairs: int = 1,
    changes: Values = MappingProxyType({}),
) -> Run:
    """Return one network of pairs. One layer learns MNIST, two layers
    its central pixels, both `columns["data"]` if it names other images.
    """
    data = str(columns.get("data", "mnist"))
    central = "_central" * (layers == 2 and data == "mnist")
    recipe = Recipe(
        (100,) * (layers - 1),
        device,
        LATE if late else recipes.AT_ONCE if whole else EXACT,
        pairs,
        seed=seed,
        changes={"rule.presentations": presentations} | dict(changes),
    )
    return Run(recipe, data + central, columns=columns)


def gate_commit(seeds: int) -> Iterator[Run]:
    """Yield the networks of 1T1R cells."""
    points = [
        *((device, 10, way, "usual", 0.0) for device in (LI, WANG) for way in (WAITS, AT_ONCE)),
        *((LI, 10, WAITS, name, x) for name in GATE for x in GATE[name]),
        *((LI, 10, AT_ONCE, name, x) for name in ("scatter", "stuck") for x in GATE[name]),
        *((LI, 10, TO_GROUND, "leak", x) for x in GATE["leak"]),
        *((LI, 8, way, "usual", 0.0) for way in (WAITS, AT_ONCE)),
    ]
    for name, size, way, series, value in points:
        device = GATE_DEVICES[name]
        varied: dict[str, Fields] = {
            "step": {"pulses.gate_step": value * (device.gate_high - device.gate_low)},
            "scatter": {"device.write_noise": value},
            "stuck": {"device.stuck": value},
            "leak": {"pulses.gate_forget": value},
        }
        changes = varied.get(series, {})
        if way != WAITS:
            changes = changes | {f"pulses.gate_{'step' if way == AT_ONCE else 'rest'}": 0.0}
        for seed in range(1, seeds + 1):
            yield Run(
                Recipe(
                    HIDDEN[size],
                    device,
                    seed=seed,
                    changes={"rule.presentations": SHOWN[size]} | changes,
                ),
                "mnist",
                size,
                columns={"size": size, "way": way, "series": series, "value": value},
            )


def one_sided(seeds: int) -> Iterator[Run]:
    """Yield pairs of the presets with one gradual direction."""
    for data, layers in itertools.product(("mnist", "digits"), (1, 2)):
        for name, device in ONE_SIDED_DEVICES.items():
            for late in (True, False) if layers == 1 else (True,):
                for seed in range(1, seeds + 1):
                    if data == "mnist" and layers == 2 and seed > SLOW.get(name, seed):
                        continue
                    shown = 60_000 if data == "digits" else 100_000 if layers == 1 else 120_000
                    columns = {"data": data, "layers": layers, "late": late}
                    yield network(device, seed, layers, shown, columns, late=late)


def device_spread(seeds: int) -> Iterator[Run]:
    """Yield one layer of each preset on chips whose devices and neurons differ."""
    for device, late, spread, seed in itertools.product(
        DEVICES.values(), (False, True), SPREADS, range(1, seeds + 1)
    ):
        changes = {f"chip.{name}": spread for name in DIFFERING} if spread else {}
        columns = {"way": LATE if late else ROUNDED, "spread": spread}
        yield network(device, seed, 1, 100_000, columns, late=late, changes=changes)


@dataclass(frozen=True)
class Sweep:
    """Networks of a record: function that yields them, folder, number of seeds, further parameters,
    and the way to draw them.
    """

    runs: Callable[[int], Iterator[Run]]
    folder: str
    seeds: int
    parameters: Callable[[int], Values] = lambda seeds: {}
    drawn: Callable[[pd.DataFrame], Figure] | None = None


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, parameters=False))
    parser.add_argument("name", choices=SWEEPS)
    parser.add_common("--seeds", None, "default: 3, of late_ways and device_spread 5")
    options = parser.parse_args(arguments)
    sweep = SWEEPS[options.name]
    if options.results is options.default_results:
        options.results = options.results / sweep.folder
    seeds = options.seeds or sweep.seeds
    runs = list(sweep.runs(seeds))
    devices = {
        run.recipe.device.name: device_record(run.recipe.device)
        for run in runs
        if run.recipe.device
    }
    known = {"devices": devices, "seeds": seeds, **sweep.parameters(seeds)}
    record = Record(options, options.name, known)
    rows = record.run_tasks(evaluate, runs)
    record.write({"rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    means = means_of(table, ["device", *runs[0].columns])
    print(means.to_string(index=False, float_format="{:.4g}".format))
    if sweep.drawn:
        record.plot(sweep.drawn(table))


def learning_figure(table: pd.DataFrame) -> Figure:
    """Draw device_learning: accuracies with whole pulses and noise, a panel for each size of
    network, means over the seeds, and bars from the lowest to the highest. The panel of two layers
    also has the accuracies that NeuroSim published for this size.
    """
    devices, table = list(table.device.unique()), table.assign(accuracy=100 * table.strict_accuracy)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 4.2), sharex=True, sharey=True)
    for axis, (layers, size) in zip(axes, SIZES.items(), strict=True):
        for version, marker in enumerate("xd" * (layers == 2)):
            published = [NEUROSIM.get(device, (None, None))[version] for device in devices]
            x, label = np.array(published, float), f"NeuroSim {version + 2}.0"
            axis.plot(x, range(len(devices)), marker, color=GREY, label=label)
        own = table[(table.data == "mnist") & table.whole & (table.layers == layers)]
        for k, (pairs, kind) in enumerate(CELLS.items()):
            runs = own[own.pairs == pairs].groupby("device", sort=False).accuracy
            mean = runs.mean().clip(runs.min(), runs.max())
            places = [devices.index(device) + 0.2 * (k - 1) for device in mean.index]
            bars = [mean - runs.min(), runs.max() - mean]
            style = {"fmt": "osD"[k], "color": COLOURS[k], "markersize": 5, "capsize": 2.5}
            axis.errorbar(mean, places, xerr=bars, label=kind, **style)
        axis.set(title=f"{size}, seeds: {own.seed.nunique()}", xlabel="test accuracy on MNIST (%)")
        axis.grid(alpha=0.3, axis="x")
    axes[0].set_yticks(range(len(devices)), devices)
    axes[0].invert_yaxis()
    axes[0].set_xlim(0, 100)
    figure.legend(
        *axes[-1].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=5,
        title="the same devices, pulses and noise in both panels; bars: lowest to highest seed",
    )
    return figure


def drawn_series(
    table: pd.DataFrame,
    series: Values,
    lines: Mapping[str, tuple[str, Fields]],
    share: float = 1.0,
    cost: str = "pulses",
) -> tuple[Figure, np.ndarray]:
    """Draw accuracy, and below it pulses a cell (named `cost`), over the values of each of the
    `series`, times `share`. Lines are means over the seeds, bars go from the lowest to the highest.

    `lines`: for each label, a query that selects rows, and arguments of `Axes.errorbar`.
    """
    figure, axes = plt.subplots(2, len(series), figsize=(WIDTH * 1.25, 4.6), sharex="col")
    table = table.assign(accuracy=100 * table.strict_accuracy)
    apart = HALF_SELECTED in series  # in the last column accuracy falls much lower
    for row, shared in zip(axes, (len(series) - apart, len(series)), strict=True):
        for axis in row[1:shared]:
            axis.sharey(row[0])
    for column, name in zip(axes.T, series, strict=True):
        of_series = table[table.series == name]
        if name in ("late_forget", "leak"):
            column[1].set_xscale("symlog", linthresh=1e-5)
        for label, (which, look) in lines.items():
            groups = of_series.query(which).groupby("value")
            x = share * np.array(list(groups.groups), float)
            over_seeds(column[0], x, groups.accuracy, label=label, **look)
            over_seeds(column[1], x, groups.pulses_per_cell, **look)
        column[1].set_yscale("log")
        column[1].set_xlabel(LABELS[name])
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[1, 0].set_ylabel(f"{cost} of a cell")
    figure.legend(
        *axes[0, -1 if share == 1 else 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=6,
        title=f"means of {table.seed.nunique()} seeds, bars: lowest to highest",
    )
    return figure, axes


def poverty_figure(table: pd.DataFrame) -> Figure:
    """Draw late_poverty: a line for each device, dashed if it is written rounded."""
    lines = {
        device if late else f"{device}, rounded": (
            f"device == '{device}' and late == {late}",
            {
                "fmt": "o-" if late else "o--",
                "color": colour,
                "markerfacecolor": colour if late else "white",
                "markersize": 5,
            },
        )
        for device, colour in zip(POOR, COLOURS, strict=False)
        for late in (True, False)
    }
    figure, axes = drawn_series(table, POVERTY, lines)
    axes[0, -1].set_title("(another scale)")
    return figure


def commit_figure(table: pd.DataFrame) -> Figure:
    """Draw gate_commit: a line for each way."""
    lines = {
        way: (f"way == '{way}'", {"color": colour})
        for way, colour in zip(WAYS, COLOURS, strict=False)
    }
    figure, axes = drawn_series(table, GATE, lines, 100, "writes")
    axes[1, -1].set_xticks([0.0, 1e-5, 1e-3], ["0", "$10^{-5}$", "$10^{-3}$"])
    axes[0, 0].set_ylim(LOWEST, 100 * table.strict_accuracy.max() + 0.5)
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    return figure


SWEEPS = {
    "device_learning": Sweep(
        device_learning,
        "devices",
        3,
        lambda seeds: {"seeds": [seeds, 1]},
        learning_figure,
    ),
    "late_ways": Sweep(
        late_ways, "devices", 5, lambda seeds: {"seeds": [seeds, min(seeds, DEEP_SEEDS)]}
    ),
    "late_poverty": Sweep(
        late_poverty, "devices", 3, lambda seeds: {"series": POVERTY}, poverty_figure
    ),
    "gate_commit": Sweep(
        gate_commit,
        "devices",
        3,
        lambda seeds: {"presentations": SHOWN, "series": GATE},
        commit_figure,
    ),
    "one_sided": Sweep(
        one_sided,
        "devices",
        3,
        drawn=lambda table: plotting.one_sided_steps(list(ONE_SIDED_DEVICES.values())),
    ),
    "device_spread": Sweep(
        device_spread,
        "chips",
        5,
        lambda seeds: {"deviations": DIFFERING, "presentations": 100_000},
    ),
}


if __name__ == "__main__":
    run(main)
