"""Evidence for docs/devices.md, docs/writes_late.md, docs/writes_gate.md: sweeps.

Sweeps: networks that differ in one property, behind tables of three pages. Two layers have
400-100-10 neurons on the central 20x20 pixels.

- late_ways (docs/writes_late.md, "Four ways"): fractions of a pulse rounded at random; Manhattan,
  a pulse to each row whose input is above half; a digital memory that keeps the remainder; late;
  and EaPU, in which a dose below the write noise is written as this noise, or not at all.
- gate_commit (docs/writes_gate.md): how often must a 1T1R cell be written? Step, scatter, stuck
  cells, leak of X.
- one_sided (docs/devices.md): pairs of devices with one gradual direction, late and rounded.
  Rounded writes, which need many pulses, are tried in one layer only; in two layers on MNIST pcm
  has one seed, and taox is not tried.

All networks learn MNIST by the settings of `memristive.learning.build`, except for the property.
Closed form, strict accuracy on all test images. Writes results/devices/NAME.json and, of
gate_commit and one_sided, figures/NAME.png; half an hour for late_ways on two cores, minutes for
the others. Ctrl-C saves a checkpoint for --resume.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.runs import Run, evaluate, means_of
from memristive.cli.script import Record, add_resume, make_parser, run
from memristive.devices.measured_device import (
    DEVICES,
    GATE_DEVICES,
    ONE_SIDED_DEVICES,
    MeasuredDevice,
    device_record,
)
from memristive.learning.settings import LATE_DOSE
from memristive.network import recipe as recipes
from memristive.network.recipe import LATE, Recipe
from memristive.parameters import Fields, Values
from memristive.plotting import COLOURS, WIDTH, over_seeds
from memristive.writing.late import late_settings

# late_ways
ROUNDED, MANHATTAN, REMAINDER = "rounded", "Manhattan", "remainder"
EAPU = "EaPU"
DEEP_SEEDS = 3  # of two layers
# The size of a dose means nothing to the Manhattan rule: it does not fall. The margin is the best
# of four on held-out images.
UNFALLING = {"rule.final_dose": 1.0, "rule.margin": 60e-6}
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
LABELS = {
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
                    yield network(device, seed, layers, late, columns, changes)


def network(
    device: MeasuredDevice,
    seed: int,
    layers: int,
    late: bool,
    columns: Values,
    changes: Values = MappingProxyType({}),
    data: str = "mnist",
) -> Run:
    """Return one network of pairs. One layer learns MNIST, two layers its central pixels, both
    `data` if it names other images.
    """
    shown = 60_000 if data == "digits" else 100_000 if layers == 1 else 120_000
    recipe = Recipe(
        (100,) * (layers - 1),
        device,
        LATE if late else recipes.AT_ONCE,
        1,
        seed=seed,
        changes={"rule.presentations": shown, **changes},
    )
    central = "_central" * (layers == 2 and data == "mnist")
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
                    columns = {"data": data, "layers": layers, "late": late}
                    yield network(device, seed, layers, late, columns, data=data)


@dataclass(frozen=True)
class Sweep:
    """Networks of a record: function that yields them, number of seeds, further parameters, and the
    way to draw them.
    """

    runs: Callable[[int], Iterator[Run]]
    seeds: int
    parameters: Callable[[int], Values] = lambda seeds: {}
    drawn: Callable[[pd.DataFrame], Figure] | None = None


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_argument("name", choices=SWEEPS)
    parser.add_common("--seeds", None, "default: 3, of late_ways 5")
    options = parser.parse_args(arguments)
    sweep = SWEEPS[options.name]
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


def commit_figure(table: pd.DataFrame) -> Figure:
    """Draw gate_commit: accuracy, and below it writes of a cell, over the values of each series, a
    line for each way: means over the seeds, and bars from the lowest to the highest.
    """
    figure, axes = plt.subplots(
        2, len(GATE), figsize=(WIDTH * 1.25, 4.6), sharex="col", sharey="row"
    )
    table = table.assign(accuracy=100 * table.strict_accuracy)
    for column, name in zip(axes.T, GATE, strict=True):
        if name == "leak":
            column[1].set_xscale("symlog", linthresh=1e-5)
        for way, colour in zip(WAYS, COLOURS, strict=False):
            groups = table[(table.series == name) & (table.way == way)].groupby("value")
            x = 100 * np.array(list(groups.groups), float)
            over_seeds(column[0], x, groups.accuracy, label=way, color=colour)
            over_seeds(column[1], x, groups.pulses_per_cell, color=colour)
        column[1].set_yscale("log")
        column[1].set_xlabel(LABELS[name])
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[1, 0].set_ylabel("writes of a cell")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=6,
        title=f"means of {table.seed.nunique()} seeds, bars: lowest to highest",
    )
    axes[1, -1].set_xticks([0.0, 1e-5, 1e-3], ["0", "$10^{-5}$", "$10^{-3}$"])
    axes[0, 0].set_ylim(LOWEST, table.accuracy.max() + 0.5)
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    return figure


SWEEPS = {
    "late_ways": Sweep(late_ways, 5, lambda seeds: {"seeds": [seeds, min(seeds, DEEP_SEEDS)]}),
    "gate_commit": Sweep(
        gate_commit, 3, lambda seeds: {"presentations": SHOWN, "series": GATE}, commit_figure
    ),
    "one_sided": Sweep(
        one_sided,
        3,
        drawn=lambda table: plotting.one_sided_steps(list(ONE_SIDED_DEVICES.values())),
    ),
}


if __name__ == "__main__":
    run(main)
