"""Evidence for docs/silicon.md: networks on chips of GF180MCU, whose transistors differ.

Closed form: one layer with the measured neuron learns digits and MNIST's grey 10x10 images. Neurons
have the spreads of results/devices/gf180mcu_neuron.json, pumps of rows 8 %, both times a factor.
The states of an ideal network are carried to ten chips, corrected there, and learned there from the
start. Doses are chosen on the last fifth of the training images.

--task xpue: every transistor in ngspice. States that typical transistors have learned are carried
to chips whose gates are scaled down, so that mismatch grows. A chip that errs writes its errors.
Needs make silicon.

--task circuit: XPUE's training and the read of an image with all transistors, and a neuron's curve
in the corners at -20, 27 and 85 C. Needs make silicon.

Writes results/devices/silicon_TASK.json, figures/silicon_circuit.png, and figures/silicon_chips.png
from the records that are there.
Ten minutes. Ctrl-C saves a checkpoint for --resume.
"""

import argparse
import dataclasses
import functools
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from memristive.cli.script import Record, add_resume, make_parser, run, table
from memristive.datasets import matching_dataset, xpue
from memristive.devices.foundry import Process
from memristive.devices.neuron_model import (
    law,
    load_neuron,
    load_neuron_model,
    measure_neuron,
)
from memristive.engines.silicon import SiliconLayer
from memristive.files import read_json
from memristive.learning.build import build
from memristive.learning.training import learn
from memristive.network.chip import Chip, neuron_chip
from memristive.network.networks import Network, network_on_chip
from memristive.network.recipe import Recipe
from memristive.parameters import Fields
from memristive.plotting import COLOURS, WIDTH
from memristive.scores.decisions import score_row

NEURON = Path("results/devices/gf180mcu_neuron.json")
DRAWN = ("digits", "mnist", "xpue")  # tasks of figures/silicon_chips.png
TASKS = ("circuit", *DRAWN)
PUMPS = 0.08  # relative spread of the gain of rows' pumps (30 draws in ngspice)
DOSES = (0.01, 0.03, 0.1, 0.3, 1.0)  # V
REPAIRS = (0.003, 0.01, 0.03)
FACTORS = {"digits": (1, 2, 4), "mnist": (1,)}  # on the spreads
CHIPS, REPAIR = 10, 6000  # presentations of a correction
TRAININGS = ("carried", "corrected", "scratch")
LABELS = ("carried", "carried, then corrected on the chip", "learned on the chip from the start")
# in ngspice: factor on gates, rounds, pulse in s, margin as a share of the rival's spike
SCALE, ROUNDS, PULSE, MARGIN = 1 / 6, 5, 1.5e-6, 0.05


@dataclass(frozen=True)
class OnChips:
    """A dataset on one chip; factor 0: choose the doses."""

    data: str
    factor: int
    seed: int
    doses: tuple[float, float] = (0.0, 0.0)


def main(arguments: list[str] | None = None) -> None:
    """Run the tasks, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_argument("--task", choices=TASKS, nargs="+", default=TASKS)
    options = parser.parse_args(arguments)
    for task in options.task:
        if task == "circuit":
            of_circuit(options)
            continue
        shown = in_ngspice(options) if task == "xpue" else in_closed_form(options, task)
        print(table(*shown))
    records = {name: options.results / f"silicon_{name}.json" for name in DRAWN}
    rows = {
        name: read_json(path, "a record")["rows"] for name, path in records.items() if path.exists()
    }
    drawn = Record(options, "silicon_chips", {"tasks": list(rows)})
    drawn.plot(figure(rows))


def in_closed_form(
    options: argparse.Namespace, data: str
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Write the record of a dataset; return the heading and the rows of its table."""
    given = {"data": data, "pumps": PUMPS, "doses": DOSES, "repairs": REPAIRS, "repair": REPAIR}
    record = Record(options, f"silicon_{data}", {**given, "neuron": NEURON, "chips": CHIPS})
    chosen = chosen_doses(data)
    tasks = [
        OnChips(data, *one, chosen) for one in itertools.product(FACTORS[data], range(1, CHIPS + 1))
    ]
    rows = record.run_tasks(evaluate, tasks)
    record.write({"doses": chosen, "rows": rows}, ngspice=False)
    lines = []
    for factor in FACTORS[data]:
        chips = [row for row in rows if row["factor"] == factor]
        values = {
            kind: 100 * np.array([row[kind] for row in chips]) for kind in ("ideal", *TRAININGS)
        }
        lines.append(
            (data, factor, *(f"{v.mean():.1f} ({v.min():.1f} lowest)" for v in values.values()))
        )
    return ("data", "spread", "ideal", *TRAININGS), lines


def parts(data: str, held: bool) -> tuple[np.ndarray, ...]:
    """Return training images and labels, and those for the test: of the test set, or `held` out."""
    dataset = matching_dataset(data)
    images, labels = dataset.training.levels, dataset.training.labels
    if not held:
        return images, labels, dataset.test.levels, dataset.test.labels
    first = len(images) * 4 // 5
    last = slice(first, first + 4000)
    return images[:first], labels[:first], images[last], labels[last]


def start(task: OnChips, held: bool = False) -> tuple[Network, Any, tuple[np.ndarray, ...], Chip]:
    """Return the untrained network, its rule, the images, and the chip."""
    neuron, images = load_neuron(NEURON), parts(task.data, held)
    own = neuron_chip(neuron)
    spreads: Fields = {name: task.factor * getattr(own, name) for name in own.deviations}
    chip = dataclasses.replace(own, seed=task.seed, row_write_gain=task.factor * PUMPS, **spreads)
    return *build(Recipe(layers=None, neuron=neuron), images[0], images[1]), images, chip


def share(network: Network, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the strict accuracy."""
    return float(score_row(labels, network.first_spikes(images))["strict_accuracy"])


def chosen_doses(data: str) -> tuple[float, float]:
    """Return the doses of a training and of a correction that do best on held-out images, on a
    chip that the test does not use.
    """
    network, rule, (images, labels, *test), chip = start(OnChips(data, 1, 1000), held=True)

    def trained(one: Network, dose: float, **changes: Any) -> Network:
        own = dataclasses.replace(rule, dose=dose, **changes)
        return learn(one, own, images, labels).network

    ideal = {dose: trained(network, dose) for dose in DOSES}
    best = max(DOSES, key=lambda dose: share(ideal[dose], *test))
    carried = network_on_chip(ideal[best], chip)
    short = max(
        REPAIRS, key=lambda dose: share(trained(carried, dose, presentations=REPAIR), *test)
    )
    return best, short


@functools.cache
def ideal_network(data: str, dose: float) -> Network:
    """Return the network that an ideal chip learns."""
    network, rule, (images, labels, *_), _ = start(OnChips(data, 1, 1))
    return learn(network, dataclasses.replace(rule, dose=dose), images, labels).network


def evaluate(task: OnChips) -> Fields:
    """Return the accuracies of a chip: ideal, carried, corrected, learned from the start."""
    network, rule, (images, labels, *test), chip = start(task)
    dose, short = task.doses
    rule = dataclasses.replace(rule, dose=dose)
    ideal = ideal_network(task.data, dose)
    carried = network_on_chip(ideal, chip)
    correction = dataclasses.replace(rule, dose=short, presentations=REPAIR)
    corrected = learn(carried, correction, images, labels).network
    scratch = learn(network_on_chip(network, chip), rule, images, labels).network
    networks = dict(zip(TRAININGS, (carried, corrected, scratch), strict=True))
    row = {"factor": task.factor, "chip": task.seed, "ideal": share(ideal, *test)}
    return row | {kind: share(one, *test) for kind, one in networks.items()}


CONDITIONS = (("typical", 27.0), ("ff", -20.0), ("ss", 85.0), ("fs", 27.0), ("sf", 27.0))


def of_circuit(options: argparse.Namespace) -> None:
    """Write the record of a training, a read and curves of XPUE's layer, and draw them."""
    record = Record(options, "silicon_circuit", {"conditions": CONDITIONS})
    patterns, process = xpue().patterns, Process("gf180mcu")
    layer = SiliconLayer(process, *patterns.shape)
    states, trained = layer.train(patterns)
    spikes, waves = layer.read(states, patterns[:1])
    model = load_neuron_model(process.foundry)
    curves = {
        f"{corner}, {celsius:g} C": measure_neuron(
            model, process=process.replace(corner=corner, temperature=celsius)
        )
        for corner, celsius in CONDITIONS
    }
    idle = load_neuron(NEURON).power
    record.write(
        {
            "training": {"seconds": trained.time[-1], "power": layer.power(trained)},
            "read": {"spikes": spikes, "power": layer.power(waves), "neuron_idle": idle},
            "curves": {name: neuron.as_dict() for name, neuron in curves.items()},
        }
    )
    drawn, ((top, right), (bottom, curve)) = plt.subplots(2, 2, figsize=(WIDTH, 5.6))
    on = patterns[0] > 0
    for i, lit in enumerate(on):
        line = trained[f"gate_0_{i}"]
        colour, label = COLOURS[int(lit)], "pixel on" if lit else "pixel off"
        first = list(on).index(lit) == i
        top.plot(1e6 * trained.time, line, color=colour, label=label if first else None)
    top.set(title="a training: cells of neuron X", xlabel="time (us)", ylabel="gate X (V)")
    top.legend()
    for j in range(len(patterns)):
        right.plot(
            *(1e6 * waves.time, waves[f"output_{j}"], ("-", "-", "-", "--")[j]),
            color=COLOURS[j],
            label=xpue().labels[j],
        )
    right.set(title="a read of X: outputs of neurons", xlabel="time (us)", ylabel="output (V)")
    right.set_xlim(3, 14)
    right.legend(title="neuron")
    typical_one = curves["typical, 27 C"]
    amperes = np.array(typical_one.current)
    times = np.array(typical_one.time)
    bottom.loglog(1e6 * amperes, 1e6 * times, "o", markersize=4, label="ngspice")
    fitted = 1e6 * law(amperes, *typical_one.law)
    bottom.loglog(1e6 * amperes, fitted, color=COLOURS[1], label="t0 + tau ln(I / (I - I_th))")
    for k, (name, neuron) in enumerate(curves.items()):
        change = 100 * (neuron.spikes(amperes) / times - 1)
        if k:
            curve.semilogx(1e6 * amperes, change, color=COLOURS[k], label=name)
    for axis, title in (
        (bottom, "first spike and its law"),
        (curve, "corners beside typical, 27 C"),
    ):
        axis.set(title=title, xlabel="current of the column (uA)", ylabel="first spike (us)")
        axis.legend(fontsize="small")
    curve.set_ylabel("change of the first spike (%)")
    record.plot(drawn)


def in_ngspice(options: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Write the record of XPUE in transistors; return the heading and the rows of its table."""
    given = {"scale": SCALE, "rounds": ROUNDS, "pulse": PULSE, "margin": MARGIN, "chips": 8}
    record = Record(options, "silicon_xpue", given)
    rows = record.run_tasks(correct, list(range(1, 9)))
    record.write({"rows": rows})
    lines = [(row["chip"], *row["right"]) for row in rows]
    most = max(map(len, lines))
    heading = ("chip", "carried", *(f"round {k}" for k in range(1, most - 1)))
    return heading, [line + ("",) * (most - len(line)) for line in lines]


@functools.cache
def typical() -> np.ndarray:
    """Return the states that typical transistors learn."""
    patterns = xpue().patterns
    return SiliconLayer(Process("gf180mcu", scale=SCALE), *patterns.shape).train(patterns)[0]


def correct(seed: int) -> Fields:
    """Return the numbers of right decisions of a chip: carried, and after each round of writes."""
    patterns = xpue().patterns
    truth, right = np.arange(len(patterns)), []
    states = typical()
    process = Process("gf180mcu", scale=SCALE, mismatch=seed)
    layer = SiliconLayer(process, *patterns.shape)
    for k in range(ROUNDS + 1):
        spikes = np.nan_to_num(layer.read(states, patterns)[0], nan=1.0)
        own = spikes[truth, truth]
        spikes[truth, truth] = 2.0
        rivals, others = spikes.argmin(axis=1), spikes.min(axis=1)
        right.append(int((own < others).sum()))
        wrong = np.flatnonzero(own >= (1 - MARGIN) * others)
        if not len(wrong) or k == ROUNDS:
            break
        columns = [int(column) for q in wrong for column in (q, rivals[q])]
        levels = np.array([sign * patterns[q] for q in wrong for sign in (1, -1)])
        states, _ = layer.write(states, columns, levels, PULSE)
    return {"chip": seed, "right": right}


def figure(rows: dict[str, list[Fields]]) -> Figure:
    """Draw accuracy over the spread of chips, and right decisions in ngspice."""
    drawn, axes = plt.subplots(1, len(rows), figsize=(WIDTH, 3.4), squeeze=False)
    for axis, (name, of_data) in zip(axes[0], rows.items(), strict=True):
        if name == "xpue":
            chips = np.array([row["chip"] for row in of_data])
            axis.bar(chips - 0.2, [row["right"][0] for row in of_data], 0.4, color=COLOURS[1])
            axis.bar(chips + 0.2, [row["right"][-1] for row in of_data], 0.4, color=COLOURS[0])
            title = "XPUE in ngspice, gates / 6"
            axis.set(title=title, xlabel="chip", ylabel="right (of 4)", yticks=range(5))
            continue
        for kind, label, colour, move in zip(
            TRAININGS, LABELS, (COLOURS[1], COLOURS[0], COLOURS[2]), (-0.05, 0, 0.05), strict=True
        ):
            points = {
                f: 100 * np.array([row[kind] for row in of_data if row["factor"] == f])
                for f in FACTORS[name]
            }
            mean = np.array([v.mean() for v in points.values()])
            low = mean - [v.min() for v in points.values()]
            high = [v.max() for v in points.values()] - mean
            at = np.array(FACTORS[name]) + move
            axis.errorbar(at, mean, (low, high), marker="o", color=colour, label=label, capsize=2)
        axis.axhline(100 * of_data[0]["ideal"], color="0.4", linestyle="--", label="ideal chip")
        title = "digits" if name == "digits" else "MNIST 10x10"
        axis.set(title=title, xlabel="factor on the foundry's spread", ylabel="test accuracy (%)")
        axis.set_xticks(FACTORS[name])
        axis.set_xlim(0.5, FACTORS[name][-1] + 0.5)
    drawn.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return drawn


if __name__ == "__main__":
    run(main)
