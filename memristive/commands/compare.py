"""Which device, way to write, spread or other value learns best? Networks that differ in one thing.

Each network is built with the settings that suit its device, trained and tested in closed form,
several times with other seeds. Devices are presets or device files. --vary changes a field over
values: of a device (write_noise, spread), of the chip (neuron_threshold, cell_gain), of late writes
(late_forget), of passive arrays (disturb_up) or of the rule (presentations); a wrong name prints
the fields. Lowest and highest of the seeds are printed beside the mean.

Writes results/devices/compare_NAME.json and figures/compare_NAME.png; with device files or images
of your own all goes to own/. Seconds to a minute for each network. Ctrl-C saves a checkpoint for
--resume.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memristive.accounting.overview import with_unit
from memristive.cli.runs import Run, evaluate, field_named, means_of
from memristive.cli.script import (
    Record,
    add_resume,
    keep_apart,
    make_parser,
    table,
    whole_number,
)
from memristive.devices.measured_device import DEVICES, device_record, load_device
from memristive.network.recipe import AT_ONCE, LATE, Conv, Dense, Recipe
from memristive.parameters import Fields, ParameterError
from memristive.plotting import BLUE, COLOURS, VERMILLION, WIDTH, over_seeds
from memristive.writing.late import check_late

WRITES = {"at-once": AT_ONCE, "late": LATE}
COLOUR_OF = {AT_ONCE: VERMILLION, LATE: BLUE}


def main(arguments: list[str] | None = None) -> None:
    """Train and test all networks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--data", "digits")
    parser.add_argument("--size", type=int, metavar="N", help="shrink images to N x N pixels")
    parser.add_common("--hidden", (), "default: one layer")
    parser.add_argument(
        "--convolution",
        nargs="?",
        const=1,
        default=0,
        type=whole_number(1, 10),
        metavar="N",
        help="networks with a convolution, or with N of them, one above the other",
    )
    parser.add_common("--device", None, "one or several; default: all presets", nargs="+")
    parser.add_number("--pairs", 0, 64, 1, "pairs of a synapse; 0: single cells")
    parser.add_argument(
        "--write", nargs="+", choices=WRITES, default=list(WRITES), help="default: at-once late"
    )
    parser.add_argument(
        "--vary", nargs="+", metavar="FIELD", default=[], help="name of a field, and its values"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=VALUE",
        dest="settings",
        help="other values of fields, for all networks",
    )
    parser.add_common("--seeds", 3)
    parser.add_argument("--held-out", action="store_true", help="test on held-out training images")
    options = parser.parse_args(arguments)
    devices = [load_device(name) for name in options.device or DEVICES]
    keep_apart(options, options.data, *(options.device or ()))
    if options.write == ["late"]:
        for device in devices:
            check_late(device)
    name, values = varied(options.vary)
    layers: list[Conv | Dense] = [Conv()] * options.convolution
    layers += map(Dense, options.hidden)
    changed = (varied(setting.split("=", 1), "--set") for setting in options.settings)
    settings: Fields = {field: numbers[0] for field, numbers in changed}

    # 1. All networks.
    runs = [
        Run(
            Recipe(
                layers,
                device,
                WRITES[write],
                options.pairs,
                None,
                seed,
                settings | ({name: value} if name else {}),
            ),
            options.data,
            options.size,
            options.held_out,
            columns={"device": device.name, "write": WRITES[write]}
            | ({name: value} if name else {}),
        )
        for device, write, value, seed in itertools.product(
            devices, options.write, values, range(1, options.seeds + 1)
        )
        if write == "at-once" or not device.levels  # doses wait at a gate already
    ]
    words = [Path(options.data).stem, *["convolution"] * options.convolution]
    words += [str(options.size or ""), *map(str, options.hidden), name.rpartition(".")[2]]
    words += [device.name for device in devices] if options.device else []
    record = Record(
        options,
        "compare_" + "_".join(filter(None, words)),
        {
            "devices": [device_record(device) for device in devices],
            "networks": [
                {"data": run.data, "size": run.size, "held_out": run.held_out}
                | {"recipe": run.recipe.as_dict() | {"device": run.columns["device"]}}
                for run in runs
            ],
            **runs[0].dataset.recorded,
        },
    )

    # 2. Train and test.
    rows = pd.DataFrame(record.run_tasks(evaluate, runs))

    # 3. Save, print, plot.
    record.write({"rows": rows.to_dict("records")}, ngspice=False)
    kinds = ["device", "write", *([name] if name else [])]
    print(printed(means_of(rows, kinds), kinds))
    record.plot(lines(rows, name) if name else ranking(means_of(rows, kinds)))


def varied(words: Sequence[str], option: str = "--vary") -> tuple[str, list[float]]:
    """Return the full name of a field and its values, from the words of an `option`; without words
    "" and one value.
    """
    if not words:
        return "", [0.0]
    name, *texts = words
    full = field_named(name)
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        numbers = []
    if not numbers:
        raise ParameterError(
            f"{option} {name} needs one or more numbers as values, got {' '.join(texts) or 'none'}"
        )
    return full, [int(value) if value == int(value) and value > 1 else value for value in numbers]


def printed(means: pd.DataFrame, kinds: Sequence[str]) -> str:
    """Return the means as the text of a table."""
    seeds = int(means["seeds"].max())
    rows = [
        (
            *(row[kind] for kind in kinds),
            f"{row['mean']:.1f}",
            f"{row['min']:.1f} to {row['max']:.1f}" if seeds > 1 else "",
            f"{row['pulses_per_cell']:,.1f}",
            with_unit(row["write_energy_J"], "J"),
        )
        for row in means.to_dict("records")
    ]
    heading = (*kinds, "accuracy (%)", f"of {seeds} seeds", "pulses a cell", "all writes")
    return table(heading, rows)


def lines(rows: pd.DataFrame, name: str) -> Figure:
    """Draw accuracy over the values of a field: a line for each device and way to write."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 3.6))
    accuracy = rows.assign(accuracy=100 * rows["strict_accuracy"])
    for (device, write), colour in zip(
        accuracy[["device", "write"]].drop_duplicates().itertuples(index=False),
        itertools.cycle(COLOURS),
        strict=False,
    ):
        groups = accuracy[(accuracy["device"] == device) & (accuracy["write"] == write)].groupby(
            name
        )
        style = {"fmt": "o-" if write == LATE else "s--", "color": colour, "markersize": 4}
        over_seeds(
            axis,
            groups["accuracy"].mean().index,
            groups["accuracy"],
            label=f"{device}, {write}",
            **style,
        )
    values = np.array(sorted(set(rows[name])), float)
    positive = values[values > 0]
    if len(positive) > 1 and positive[-1] / positive[0] >= 50:
        axis.set_xscale("symlog", linthresh=positive[0])
    axis.set(xlabel=name.replace("_", " ").replace(".", ": "), ylabel="test accuracy (%)")
    axis.grid(alpha=0.3)
    figure.legend(
        *axis.get_legend_handles_labels(),
        loc="outside upper center",
        ncols=4,
        title=f"means of {rows['seed'].nunique()} seeds, bars: lowest to highest",
    )
    return figure


def ranking(means: pd.DataFrame) -> Figure:
    """Draw accuracies of devices, best at the top."""
    order = means.groupby("device")["mean"].max().sort_values(ascending=False).index
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 1.2 + 0.3 * len(order)))
    dots(axis, means, "device", list(order))
    axis.set_xlabel(f"test accuracy (%), means of {means['seeds'].max()} seeds")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right upper", title="written")
    return figure


def dots(axis: Axes, means: pd.DataFrame, kind: str, order: list[str]) -> None:
    """Draw mean accuracies, with a line for each value of the column `kind`, in this `order`, and a
    mark for each way to write. Bars go from the lowest to the highest seed.
    """
    for write, group in means.groupby("write"):
        axis.errorbar(
            group["mean"],
            group[kind].map(order.index),
            xerr=[(group["mean"] - group["min"]).clip(0), (group["max"] - group["mean"]).clip(0)],
            fmt="s" if write == AT_ONCE else "o",
            color=COLOUR_OF[str(write)],
            capsize=2.0,
            markersize=5,
            label=str(write),
        )
    axis.set_yticks(range(len(order)), order)
    axis.set_ylim(len(order) - 0.4, -0.6)
    axis.grid(alpha=0.3)
