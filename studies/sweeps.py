"""Evidence for docs/writes_late.md, docs/writes_gate.md, docs/devices.md, docs/chips.md: sweeps.

Sweeps: networks that differ in one property, behind sentences of three pages.

- late_ways (docs/writes_late.md, "Four ways"): fractions of a pulse rounded at random; Manhattan,
  a pulse to each row whose input is above half; a digital memory that keeps the remainder; late;
  and EaPU, in which a dose below the write noise is written as this noise, or not at all.
- late_poverty (docs/writes_late.md, "How poor"): leak, spread, offset, pulses at a time of the
  capacitor, and a passive array whose half-selected cells move by the share r of a step.
- gate_commit (docs/writes_gate.md): how often must a 1T1R cell be written? Step, scatter, stuck
  cells, leak of X.
- one_sided (docs/devices.md): pairs of devices with one gradual direction, late and rounded.
  Rounded writes, which need many pulses, are tried in one layer only; in two layers on MNIST pcm
  has one seed, and taox is not tried.
- device_spread (docs/chips.md): what do layers lose on a chip whose devices differ?

All networks learn MNIST by the settings of `memristive.learning.build`, except for the property.
Closed form, strict accuracy on all test images. Writes results/*/NAME.json and, of late_poverty and
gate_commit, figures/NAME.png; half an hour for late_ways on two cores, minutes for the others.
Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.runs import Run, evaluate
from memristive.cli.script import Record, add_resume, make_parser, print_rows, run
from memristive.commands.chips import DEVIATIONS
from memristive.devices.measured_device import (
    DEVICES,
    GATE_DEVICES,
    ONE_SIDED_DEVICES,
    MeasuredDevice,
    device_record,
)
from memristive.learning.build import LATE_DOSE
from memristive.plotting import COLOURS, WIDTH, over_seeds
from memristive.writing.late import late_settings

# late_ways
ROUNDED, MANHATTAN, REMAINDER, LATE = "rounded", "Manhattan", "remainder", "late"
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
    "late_pulses": (1, 2, 4, 8, 16),
    HALF_SELECTED: (0.0, 0.02, 0.05, 0.1, 0.2),
}
# gate_commit: shares of the range of gate voltages (step), of the range of conductance (scatter),
# of the cells, and of X - rest in one presentation (leak)
LI, WANG = "li-1t1r", "wang-1t1r"
SHOWN = {10: 100_000, 8: 200_000}  # presentations of images of 10x10 and of 8x8 pixels
HIDDEN = {10: (), 8: (54,)}
PUBLISHED = 0.9171  # Li et al., 8x8 images, 64-54-10
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
    "late_pulses": "pulses at a time",
    HALF_SELECTED: "r of half-selected cells",
    "step": "step of X before a write (%)",
    "scatter": "scatter of a write (%)",
    "stuck": "stuck cells (%)",
    "leak": "leak in a presentation (%)",
}


def late_ways(seeds: int) -> Iterator[Run]:
    """Yield the networks of four ways to write, of one layer and of two."""
    for layers, count in ((1, seeds), (2, min(seeds, DEEP_SEEDS))):
        for device in DEVICES.values():
            for seed in range(1, count + 1):
                for way in (ROUNDED, MANHATTAN, REMAINDER, LATE, EAPU):
                    exact = {"pulses.late_forget": 0.0, "pulses.late_spread": 0.0}
                    changes: dict[str, Any] = {}
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
                    yield layer(
                        device, seed, way not in (ROUNDED, EAPU), changes, "way", way, layers
                    )


def late_poverty(seeds: int) -> Iterator[Run]:
    """Yield the networks of poorer and poorer capacitors, and of passive arrays."""
    points = [(True, name, value) for name in POVERTY for value in POVERTY[name]]
    points += [(False, HALF_SELECTED, r) for r in POVERTY[HALF_SELECTED]]
    for device in POOR:
        for seed in range(1, seeds + 1):
            for late, name, value in points:
                changes = {f"pulses.{name}": value}
                if name == HALF_SELECTED:
                    changes = {"pulses.disturb_up": value, "pulses.disturb_down": value}
                if name == "late_pulses":  # it also waits for as many
                    changes = {"pulses.late": value, "pulses.late_pulses": int(value)}
                yield layer(DEVICES[device], seed, late, changes, name, value)


def layer(
    device: MeasuredDevice,
    seed: int,
    late: bool,
    changes: dict[str, Any],
    series: str,
    value: Any,
    layers: int = 1,
) -> Run:
    """Return one network of pairs that learns MNIST; two layers learn its central pixels."""
    return Run(
        device,
        "mnist" if layers == 1 else "mnist_central",
        hidden=(100,) * (layers - 1),
        late=late,
        seed=seed,
        presentations=100_000 if layers == 1 else 120_000,
        changes=changes,
        columns={"layers": layers, "late": late, "series": series, "value": value},
    )


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
        varied: dict[str, dict[str, Any]] = {
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
                device,
                "mnist",
                size,
                HIDDEN[size],
                seed=seed,
                presentations=SHOWN[size],
                changes=changes,
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
                    run = layer(device, seed, late, {}, "", "", layers)
                    if data == "digits":
                        run = dataclasses.replace(run, data=data, presentations=60_000)
                    yield dataclasses.replace(
                        run, columns={"data": data, "layers": layers, "late": late}
                    )


def device_spread(seeds: int) -> Iterator[Run]:
    """Yield one layer of each preset on chips whose devices and neurons differ."""
    for device in DEVICES.values():
        for late in (False, True):
            for spread in SPREADS:
                for seed in range(1, seeds + 1):
                    changes = {f"chip.{name}": spread for name in DIFFERING} if spread else {}
                    run = layer(device, seed, late, changes, "spread", spread)
                    columns = {"way": LATE if late else ROUNDED, "spread": spread}
                    yield dataclasses.replace(run, columns=columns)


@dataclass(frozen=True)
class Sweep:
    """Networks of a record: function that yields them, folder, number of seeds, columns that the
    record keeps, further parameters and results, and the way to draw them.
    """

    runs: Callable[[int], Iterator[Run]]
    folder: str
    seeds: int
    keeps: tuple[str, ...]
    parameters: Callable[[int], Mapping[str, Any]] = lambda seeds: {}
    results: Mapping[str, Any] = field(default_factory=dict)
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
    devices = {run.device.name: device_record(run.device) for run in runs}
    known = {"devices": devices, "seeds": seeds, **sweep.parameters(seeds)}
    record = Record(options, options.name, known)
    found = record.run_tasks(evaluate, runs, [run.presentations or 1 for run in runs])
    for row in found:
        row[WRITES] = row["pulses_per_cell"]
    rows = [{name: row[name] for name in sweep.keeps} for row in found]
    record.write({**sweep.results, "rows": rows}, ngspice=False)
    table = pd.DataFrame(rows)
    kinds = [name for name in sweep.keeps if name in KINDS]
    means = table.groupby(kinds, sort=False).mean(numeric_only=True).drop(columns="seed")
    print_rows([dict(row) for row in means.reset_index().to_dict("records")])  # type: ignore[arg-type]
    if sweep.drawn:
        record.plot(sweep.drawn(table))


def losses(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the loss by each spread for each device and way, in points: `accuracy` without spread,
    `loss` and its standard `error` over the seeds.
    """
    accuracy = 100 * rows.pivot_table("strict_accuracy", ["device", "way", "seed"], "spread")
    lost = pd.Series(accuracy.rsub(accuracy[0.0], axis=0).drop(columns=0.0).stack())
    found = lost.groupby(["device", "way", "spread"], sort=False).agg(loss="mean", error="sem")
    return found.join(accuracy[0.0].groupby(["device", "way"]).mean().rename("accuracy"))


def drawn_series(
    table: pd.DataFrame,
    series: Mapping[str, Any],
    lines: Mapping[str, tuple[str, dict[str, Any]]],
    share: float = 1.0,
    cost: str = "pulses_per_cell",
) -> tuple[Figure, np.ndarray]:
    """Draw accuracy, and below it a `cost`, over the values of each of the `series`, times `share`:
    means over the seeds, and bars from the lowest to the highest.

    `lines`: for each label, a query that selects rows, and arguments of `Axes.errorbar`.
    """
    figure, axes = plt.subplots(2, len(series), figsize=(WIDTH * 1.25, 4.6), sharex="col")
    table = table.assign(accuracy=100 * table.strict_accuracy)
    for column, name in zip(axes.T, series, strict=True):
        of_series = table[table.series == name]
        for label, (which, look) in lines.items():
            found = of_series.query(which).groupby("value")
            x = share * np.array(list(found.groups), float)
            over_seeds(column[0], x, found.accuracy, label=label, **look)
            over_seeds(column[1], x, found[cost], **look)
        column[1].set_yscale("log")
        column[1].set_xlabel(LABELS[name])
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[1, 0].set_ylabel(f"{cost.split('_')[0]} of a cell")
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
    for axis in axes[0, 1:-1]:  # the last one falls much lower
        axis.sharey(axes[0, 0])
    for axis in axes[1, 1:]:
        axis.sharey(axes[1, 0])
    axes[0, -1].set_title("(another scale)")
    axes[0, 0].set_xscale("symlog", linthresh=1e-5)
    axes[0, 3].set_xscale("log", base=2)
    axes[1, 3].xaxis.set_major_formatter("{x:g}")
    return figure


def commit_figure(table: pd.DataFrame) -> Figure:
    """Draw gate_commit: a line for each way."""
    lines = {
        way: (f"way == '{way}'", {"color": colour})
        for way, colour in zip(WAYS, COLOURS, strict=False)
    }
    figure, axes = drawn_series(table, GATE, lines, 100, WRITES)
    for row in axes:
        for axis in row[1:]:
            axis.sharey(row[0])
    axes[0, -1].set_xscale("symlog", linthresh=1e-5)
    axes[1, -1].set_xticks([0.0, 1e-5, 1e-3], ["0", "$10^{-5}$", "$10^{-3}$"])
    axes[0, 0].set_ylim(LOWEST, 100 * table.strict_accuracy.max() + 0.5)
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    return figure


WRITES, SCORES = "writes_per_cell", ("samples", "interval_95_low", "interval_95_high")
KINDS = ("data", "device", "layers", "size", "late", "way", "series", "value", "spread")
MEASURED = ("strict_accuracy", "pulses_per_cell", WRITES, *SCORES, "silent", "tied")
LATE_COLUMNS = ("device", "layers", "late", "seed", "series", "value", *MEASURED[:2])
SWEEPS = {
    "late_ways": Sweep(
        late_ways,
        "devices",
        5,
        LATE_COLUMNS,
        lambda seeds: {"seeds": [seeds, min(seeds, DEEP_SEEDS)]},
    ),
    "late_poverty": Sweep(
        late_poverty,
        "devices",
        3,
        LATE_COLUMNS,
        lambda seeds: {"series": POVERTY},
        drawn=poverty_figure,
    ),
    "gate_commit": Sweep(
        gate_commit,
        "devices",
        3,
        ("device", "size", "seed", "way", "series", "value", "strict_accuracy", WRITES),
        lambda seeds: {"presentations": SHOWN, "series": GATE},
        {"published_accuracy": PUBLISHED},
        commit_figure,
    ),
    "one_sided": Sweep(
        one_sided,
        "devices",
        3,
        (
            *("data", "layers", "device", "late", "seed", "samples", "strict_accuracy"),
            *(*SCORES[1:], "silent", "tied", "refreshes_per_cell", "pulses_per_cell"),
            *("most_pulses", "write_energy_J", "column_writes", "share_beyond_endurance"),
        ),
        drawn=lambda table: plotting.one_sided_steps(list(ONE_SIDED_DEVICES.values())),
    ),
    "device_spread": Sweep(
        device_spread,
        "chips",
        5,
        ("device", "way", "spread", "seed", "samples", "strict_accuracy", *MEASURED[4:]),
        lambda seeds: {"deviations": DIFFERING, "presentations": 100_000},
    ),
}


if __name__ == "__main__":
    run(main)
