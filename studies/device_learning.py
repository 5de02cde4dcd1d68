"""Can published synapses learn online? Networks of measured devices on MNIST, beside the accuracies that NeuroSim found for them.

Whole pulses, the published cycle-to-cycle noise, all 10,000 test images, strict decisions. One layer (grey 10x10) and two layers
(400-100-10 on the central 20x20 pixels, NeuroSim's network): single cells and differential pairs, whole pulses and pulses of any
width, with noise and without. A control trains the same layer by gradient descent. Chips with 10 % spread learn in situ or get
the weights of an ideal chip (ex situ). Trained and tested in closed form; `python -m studies.ngspice_layers --data mnist
--voltages voltages/device_NAME_1.json` reads a trained network in ngspice. Writes results/device_learning.json,
figures/device_learning.png and the networks of seed 1 with one pair. 50 minutes on two cores; one layer alone (--layers 1) takes
15 minutes, and --short a minute. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

import plotting
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, make_parser, table
from memristive.cli.parallel import run_resumable
from memristive.devices.measured_device import DEVICES
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.io.voltages import save_voltages
from plotting import BLUE, GREY, VERMILLION, WIDTH
from studies.layer_experiments import describe_network
from studies.measured_networks import ACCURACY, ALL, COST, SGD, Task, evaluate, load_settings

# Online learning, 400-100-10, in %: NeuroSim 2.0 (Table I of the paper in docs/devices.md) and 3.0 (its manual, Tables I and II).
NEUROSIM = {"ag-si": (73, 72), "taox-tio2": (10, None), "pcmo": (10, 33), "alox-hfo2": (41, 20), "epiram": (91.5, 92),
            "taox-hfox": (None, 80)}
SPREAD = 0.1  # device to device
SHORT = 40_000  # presentations
CASES = ["device", "layers", "rule", "aim", "pairs", "whole", "noise", "spread", "route"]


def main(arguments: list[str] | None = None) -> None:
    """Train and test all networks."""
    parser = add_jobs(add_resume(make_parser(__doc__, parameters=False)))
    parser.add_argument("--devices", nargs="+", choices=list(ALL), default=list(ALL), metavar="NAME",
                        help=f"of {', '.join(ALL)} (default: all)")
    parser.add_argument("--layers", nargs="+", type=int, choices=(1, 2), default=[1, 2], help="default: 1 2")
    parser.add_number("--seeds", 1, 100, 3, "networks of one layer of each kind")
    parser.add_number("--deep-seeds", 1, 100, 3, "networks of two layers of each kind")
    parser.add_argument("--short", action="store_true", help="one layer of one pair, one seed, few presentations")
    options = parser.parse_args(arguments)

    # 1. Everything that is trained.
    seeds = (options.seeds, options.deep_seeds)
    tasks = list(short_tasks() if options.short else all_tasks(options.devices, options.layers, seeds))
    record = options.results / f"device_learning{'_short' * options.short}.json"
    parameters = {"devices": options.devices, "layers": options.layers, "seeds": seeds, "tasks": len(tasks),
                  "settings": [{"case": key, **values} for key, values in load_settings().items()]}
    check_overwriting(record, parameters, options.force)

    # 2. Train and test.
    rows = run_resumable(evaluate, tasks, [task.layers**3 for task in tasks], options, record, parameters)

    # 3. Save, print, plot.
    write_results(record, parameters, {"rows": rows}, ngspice=False)
    if not options.short:
        save_networks([task for task in tasks if task == Task(task.device, task.layers)])
    found = summary(rows)
    heading = ("device", "layers", "rule", "aim", "pairs", "pulses", "noise", "chip", "accuracy", "pulses a cell",
               "column writes")
    print(table(heading, [described(row) for _, row in found.iterrows()]))
    if not options.short:
        plotting.save(accuracy_figure(found), options.figures / "device_learning.png")


def short_tasks() -> Iterator[Task]:
    """Yield one task for each preset."""
    for device in DEVICES:
        yield Task(device, presentations=SHORT)


def all_tasks(devices: list[str], layers: list[int], seeds: tuple[int, int]) -> Iterator[Task]:
    """Yield the tasks of the whole study; `seeds`: networks of one layer and of two layers."""
    for number in sorted(layers, reverse=True):  # the longest first
        for device, seed in itertools.product(devices, range(1, seeds[number - 1] + 1)):
            task = Task(device, number, seed=seed)
            for pairs, whole, noise in itertools.product((0, 1), (True, False), (True, False)):
                if number == 1 or whole == noise:
                    yield dataclasses.replace(task, pairs=pairs, whole=whole, noise=noise)
            yield from (dataclasses.replace(task, pairs=pairs) for pairs in ((2, 4) if number == 1 else (4,)))
            if number == 1:
                for pairs in (0, 1):
                    yield from (dataclasses.replace(task, pairs=pairs, rule=SGD, aim=aim) for aim in (ACCURACY, COST))
                    yield dataclasses.replace(task, pairs=pairs, aim=COST)
                yield from (dataclasses.replace(task, spread=SPREAD, route=route) for route in ("in situ", "ex situ"))


def summary(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the means over the seeds, with the lowest and the highest accuracy."""
    groups = pd.DataFrame(rows).groupby(CASES, sort=False)
    found = groups.mean(numeric_only=True).drop(columns="seed")
    accuracy = groups["strict_accuracy"]
    return found.assign(lowest=accuracy.min(), highest=accuracy.max(), seeds=accuracy.size()).reset_index()


def described(row: pd.Series) -> tuple[str, ...]:
    """Return a row of the printed table."""
    chip = f"{row['spread']:.0%}, {row['route']}" if row["spread"] else "ideal"
    return (row["device"], row["layers"], row["rule"], row["aim"], row["pairs"], "whole" if row["whole"] else "any width",
            "yes" if row["noise"] else "no", chip, f"{row['strict_accuracy']:.2%}", f"{row['pulses_per_cell']:,.0f}",
            f"{row['column_writes']:,.0f}")


def save_networks(tasks: list[Task]) -> None:
    """Train once more and save networks, for reads in ngspice."""
    for task in tasks:
        network, rule, _ = task.trained()
        save_voltages(Path("voltages") / f"device_{task.device}_{task.layers}.json", network.states, ngspice=False,
                      **describe_network(task.dataset, network, rule))


def accuracy_figure(found: pd.DataFrame) -> Figure:
    """Draw the accuracies of each device: NeuroSim's, and ours with whole pulses and noise."""
    devices = [name for name in NEUROSIM if name in set(found["device"])]
    chosen = found[(found["rule"] != SGD) & (found["aim"] == ACCURACY) & found["whole"] & found["noise"] & (found["spread"] == 0)]
    ours = chosen.set_index(["device", "layers", "pairs"])["strict_accuracy"]
    figure, axis = plt.subplots(figsize=(WIDTH, 4.4))
    for y, device in enumerate(devices):
        for version, marker, published in zip(("2.0", "3.0"), "xd", NEUROSIM[device], strict=True):
            if published is not None:
                axis.plot(published, y, marker, color=GREY, markersize=7, label=f"NeuroSim {version}: 400-100-10")
        for layers, colour, offset in ((1, BLUE, -0.12), (2, VERMILLION, 0.12)):
            points = [(pairs, 100 * float(ours[device, layers, pairs])) for pairs in (0, 1, 4) if (device, layers, pairs) in ours]
            name = "one layer, 10x10" if layers == 1 else "two layers, 400-100-10"
            if points:
                axis.plot([accuracy for _, accuracy in points], [y + offset] * len(points), color=colour, linewidth=1.5)
            for (pairs, accuracy), fill in zip(points, ("white", colour, colour), strict=False):
                kind = {0: "single cells", 1: "one pair", 4: "four pairs"}[pairs]
                axis.plot(accuracy, y + offset, "D" if pairs == 4 else "o", color=colour, markerfacecolor=fill, markersize=6,
                          label=f"{name}: {kind}")
    axis.set_yticks(range(len(devices)), devices)
    axis.invert_yaxis()
    axis.set(xlabel="test accuracy on MNIST (%)", xlim=(0, 100),
             title="The same devices, pulses and noise: online learning with single cells and with pairs")
    handles, labels = axis.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=3, fontsize=8)
    axis.grid(alpha=0.3, axis="x")
    return figure


if __name__ == "__main__":
    from studies import device_learning  # workers import what they run

    sys.exit(run(device_learning.main))
