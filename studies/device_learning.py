"""Evidence for docs/devices.md: what published synapses reach in one and two layers.

Can published synapses learn online? Networks of measured devices, beside the accuracies that
NeuroSim found on MNIST.

Networks are trained by whole pulses with the device's noises, and scored strictly on all test
images. On MNIST they have one layer (grey 10x10), or two (400-100-10 on the central 20x20 pixels,
as NeuroSim's network). A synapse is a single cell, one differential pair, or four pairs. For
comparison, one pair is also trained by pulses of any width without noise. On scikit-learn's digits,
networks of one and of two layers have one pair. All settings follow from the device's curves
(memristive.learning.build). The closed form trains and tests; `python -m studies.agreement
--voltages voltages/device_NAME_1.json` reads a trained network in ngspice.

With --late, synapses have one pair behind a poor capacitor (docs/writes_late.md), and the record is
device_learning_late.json. Otherwise writes results/devices/device_learning.json,
figures/device_learning.png and the networks of one layer with one pair,
voltages/device_NAME_1.json. Takes half an hour on two cores, ten minutes with --layers 1, a minute
with --short. With --device FILE it trains your device with one pair, in one and in two layers, and
prints the accuracies (mean, lowest and highest of the seeds) beside those of the presets in the
record. That takes some minutes. Ctrl-C saves a checkpoint for --resume.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.cli.runs import Run
from memristive.cli.script import Record, add_resume, keep_apart, make_parser, run, table
from memristive.devices.measured_device import DEVICES, device_record, load_device
from memristive.io.records import check_overwriting, load_table
from memristive.io.voltages import describe_network, save_voltages
from memristive.network.networks import network_on_chip
from memristive.plotting import COLOURS, GREY, WIDTH
from memristive.writing.late import check_late

MNIST, DIGITS = "mnist", "digits"
IMAGES = {
    (MNIST, 1): "mnist",
    (MNIST, 2): "mnist_central",
    (DIGITS, 1): "digits",
    (DIGITS, 2): "digits",
}
HIDDEN_OF = {1: (), 2: (100,)}
# Online learning, 400-100-10, in %: NeuroSim 2.0 (Table I of the paper in docs/devices.md) and 3.0
# (its manual, Tables I and II).
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
SHORT = 40_000  # presentations with --short
RECORD = "device_learning"
CASES = ["data", "device", "layers", "pairs", "whole"]


def device_run(
    name: str,
    layers: int = 1,
    pairs: int = 1,
    whole: bool = True,
    seed: int = 1,
    data: str = MNIST,
    short: bool = False,
    late: bool = False,
) -> Run:
    """Return a network of one device to be trained and tested.

    Parameters
    ----------
    name : str
        Of a preset, or path of a device file.
    layers : int
        1, or 2 with 100 hidden neurons.
    pairs, whole, seed, late
        As in `Run`.
    data : str
        `MNIST` or `DIGITS`.
    short : bool
        Train with `SHORT` presentations. Otherwise two layers get more of them if they have several
        pairs, or pulses of any width, because then they gain.
    """
    deep = (240_000 if pairs > 1 else 120_000) if whole else 500_000
    shown = (100_000 if late else 200_000) if layers == 1 else deep
    if short or data == DIGITS:
        shown = SHORT if short else 60_000
    return Run(
        load_device(name),
        IMAGES[data, layers],
        hidden=HIDDEN_OF[layers],
        pairs=pairs,
        late=late,
        whole=whole,
        seed=seed,
        presentations=shown,
        columns={"data": data, "layers": layers, "pairs": pairs, "whole": whole},
    )


def is_saved(run: Run) -> bool:
    """Return True if the study saves this network: one layer of one pair, trained in full."""
    usual = {"data": MNIST, "layers": 1, "pairs": 1, "whole": True}
    return run.columns == usual and run.presentations != SHORT and run.seed == 1


def described_network(run: Run) -> dict[str, Any]:
    """Return everything that determines the trained network, for its voltages file."""
    network, rule = run.prepared()
    network = network_on_chip(network, None)
    return describe_network(run.dataset.name, run.dataset.shape, network, rule)


def main(arguments: list[str] | None = None) -> None:
    """Train and test all networks."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--device", None, "default: all presets")
    parser.add_argument(
        "--data", choices=(MNIST, DIGITS), default=MNIST, help="with --device (default: mnist)"
    )
    parser.add_argument(
        "--layers", nargs="+", type=int, choices=(1, 2), help="default: 1 2; with --short 1"
    )
    parser.add_common("--seeds", None, "of one layer; default: 3; with --short 1")
    parser.add_number("--deep-seeds", 1, 100, 1, "networks of two layers of each kind")
    parser.add_argument(
        "--short", action="store_true", help=f"one pair, {SHORT:,} presentations of each network"
    )
    parser.add_argument(
        "--late", action="store_true", help="one pair that writes late (docs/writes_late.md)"
    )
    parser.add_argument(
        "--voltages",
        type=Path,
        metavar="FOLDER",
        help="default: voltages, or the folder of --results",
    )
    options = parser.parse_args(arguments)
    folder = options.voltages or keep_apart(options, options.device)

    if options.late and options.device:
        check_late(load_device(options.device))

    # 1. All networks that are trained.
    names = [options.device] if options.device else list(DEVICES)
    layers = options.layers or ([1] if options.short else [1, 2])
    seeds = options.seeds or (1 if options.short else 3), options.deep_seeds
    kind = {"late": options.late, "short": options.short}
    ending = "".join(f"_{word}" for word, chosen in kind.items() if chosen)
    if options.device or ending:
        tasks = [
            device_run(device, number, seed=seed, data=options.data, **kind)
            for number in layers
            for device in names
            for seed in range(1, seeds[number - 1] + 1)
        ]
    else:
        tasks = list(all_tasks(names, layers, seeds))
    name = RECORD
    if options.device:
        name += f"_{load_device(options.device).name}_{options.data}"
    record = Record(
        options,
        name + ending,
        {
            "devices": {name: device_record(load_device(name)) for name in names},
            "layers": layers,
            "seeds": seeds,
            "tasks": len(tasks),
            "data": options.data,
        },
    )
    networks = {
        k: folder / f"device_{task.device.name}_1{'_late' * task.late}.json"
        for k, task in enumerate(tasks)
        if not options.device and is_saved(task)
    }
    for k, path in networks.items():
        check_overwriting(path, described_network(tasks[k]), options.force, [record.path])

    # 2. Train and test.
    rows = record.run_tasks(
        trained_row, tasks, [(task.presentations or 1) * (1 + len(task.hidden)) for task in tasks]
    )

    # 3. Save, print, plot.
    states = [row.pop("states", None) for row in rows]
    for k, path in networks.items():
        save_voltages(
            path,
            tuple(np.array(layer, float) for layer in states[k]),
            ngspice=False,
            overwrite=True,
            **described_network(tasks[k]),
        )
    record.write({"rows": rows}, ngspice=False)
    found = summary(pd.DataFrame(rows))
    if options.device:
        # of presets, written the same way
        print(comparison(found, options.default_results / f"{RECORD}{ending}.json"))
        return
    print(
        table(
            (
                "data",
                "device",
                "layers",
                "pairs",
                "pulses",
                "accuracy",
                "pulses a cell",
                "column writes",
            ),
            [described(row) for _, row in found.iterrows()],
        )
    )
    if not options.short and not options.late:
        record.plot(accuracy_figure(found[found["data"] == MNIST]))


def all_tasks(devices: list[str], layers: list[int], seeds: tuple[int, int]) -> Iterator[Run]:
    """Yield the tasks of the whole study; `seeds`: number of seeds for networks of one layer, and
    of two layers.
    """
    for number in layers:
        for seed, device in itertools.product(range(1, seeds[number - 1] + 1), devices):
            yield from (device_run(device, number, pairs, seed=seed) for pairs in (0, 1, 4))
            yield device_run(device, number, whole=False, seed=seed)
            yield device_run(device, number, seed=seed, data=DIGITS)


def trained_row(run: Run) -> dict[str, Any]:
    """Train and test a network; return its row, which for a network to be saved has its states,
    too. Runs in a worker.
    """
    network, rule, counts = run.trained()
    states = {"states": network.states} if is_saved(run) else {}
    return run.row(network, rule, counts) | states


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each kind of network (`CASES`): means over the seeds, lowest and highest
    accuracy, number of seeds.
    """
    groups = rows.groupby(CASES, sort=False)
    accuracy = groups["strict_accuracy"]
    return (
        groups.mean(numeric_only=True)
        .drop(columns="seed")
        .assign(lowest=accuracy.min(), highest=accuracy.max(), seeds=accuracy.size())
        .reset_index()
    )


def described(row: pd.Series) -> tuple[str, ...]:
    """Return a row of `summary` as the texts of a line of the printed table."""
    return (
        row["data"],
        row["device"],
        row["layers"],
        row["pairs"],
        "whole" if row["whole"] else "any width",
        f"{row['strict_accuracy']:.2%}",
        f"{row['pulses_per_cell']:,.0f}",
        f"{row['column_writes']:,.0f}",
    )


def comparison(found: pd.DataFrame, record: Path) -> str:
    """Return a table of accuracies, best first. It has the networks of one device (`found`), and
    those of the presets, which a `record` contains.

    Accuracies are means over the seeds, with the lowest and the highest if there are several.
    """
    presets = [summary(load_table(record))] if record.exists() else []
    both = pd.concat([found, *presets])
    both = both[(both["pairs"] == 1) & both["whole"] & (both["data"] == found["data"].iloc[0])]
    both = both.drop_duplicates(["device", "layers"]).set_index(["device", "layers"])
    means = (
        both["strict_accuracy"]
        .unstack()[list(found["layers"])]
        .sort_values(list(found["layers"]), ascending=False)
    )
    shown = {
        place: f"{row['strict_accuracy']:.2%}"
        + f" ({row['lowest']:.1%} to {row['highest']:.1%})" * (row["seeds"] > 1)
        for place, row in both.iterrows()
    }
    return table(
        ("device", *(f"{k} layer{'s' * (k > 1)}" for k in sorted(means))),
        [(device, *(shown.get((device, k), "") for k in sorted(means))) for device in means.index],
    )


def accuracy_figure(found: pd.DataFrame) -> Figure:
    """Draw each device's accuracies with whole pulses and noise, a panel for each size of network:
    means over the seeds, and bars from the lowest to the highest. The panel of two layers also has
    the accuracies that NeuroSim published for this size.
    """
    devices, ours = list(found["device"].unique()), found[found["whole"]]
    sizes = {layers: SIZES[layers] for layers in sorted(ours["layers"].unique())}
    figure, axes = plt.subplots(
        1, len(sizes), figsize=(WIDTH, 4.2), sharex=True, sharey=True, squeeze=False
    )
    for axis, (layers, size) in zip(axes[0], sizes.items(), strict=True):
        for version, marker in enumerate("xd") if layers == 2 else ():
            published = [NEUROSIM.get(device, (None, None))[version] for device in devices]
            label = f"NeuroSim {version + 2}.0"
            axis.plot(
                np.array(published, float), range(len(devices)), marker, color=GREY, label=label
            )
        for shift, (pairs, kind), colour, marker in zip(
            (-0.2, 0.0, 0.2), CELLS.items(), COLOURS, "osD", strict=False
        ):
            runs = ours[(ours["layers"] == layers) & (ours["pairs"] == pairs)]
            mean, lowest, highest = (
                100 * runs[name] for name in ("strict_accuracy", "lowest", "highest")
            )
            axis.errorbar(
                mean,
                [devices.index(device) + shift for device in runs["device"]],
                xerr=[mean - lowest, highest - mean],
                fmt=marker,
                color=colour,
                markersize=5,
                capsize=2.5,
                label=kind,
            )
        seeds = int(ours[ours["layers"] == layers]["seeds"].max())
        axis.set(
            title=f"{size}, {seeds} seed{'s' * (seeds > 1)}", xlabel="test accuracy on MNIST (%)"
        )
        axis.grid(alpha=0.3, axis="x")
    axes[0, 0].set_yticks(range(len(devices)), devices)
    axes[0, 0].invert_yaxis()
    axes[0, 0].set_xlim(0, 100)
    figure.legend(
        *axes[0, -1].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=5,
        title="the same devices, pulses and noise in both panels; bars: lowest to highest seed",
    )
    return figure


if __name__ == "__main__":
    run(main)
