"""Evidence for docs/writes_gate.md: cells with a gate learn in ngspice.

Filaments with transistors learn in ngspice: XPUE, the letters z, v, n, and XOR.

The cell is a SPICE model with a gate as the third pin, the filament of Stanford's model in series
with a transistor by default. X of each cell is its gate voltage. The error rule moves X by a
formula, the law of the closed form. ngspice reads all cells, and writes those that are due: one
RESET and one SET go to the whole crossbar, and each cell's gate chooses what they do to it
(docs/writes_gate.md). XPUE are the paper's four symbols. Letters are the 30 patterns of Prezioso et
al. (Nature 521, 61, 2015). XOR has 24 hidden neurons, whose errors are read back through the
same cells.

Writes results/devices/gate_cells.json and figures/gate_cells.png in some minutes on two cores.
Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.script import Record, add_resume, keep_apart, make_parser, print_rows, run
from memristive.datasets import Dataset, Images, xor, xpue, zvn
from memristive.devices.measured_device import emulator, load_device, model_of
from memristive.devices.spice_model import load_model
from memristive.engines.engine import ModelCells, NgspiceNetwork
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule, first_wrong_neuron
from memristive.learning.settings import measured_design, measured_parameters, measured_pulses
from memristive.learning.training import Learning
from memristive.learning.training import train as train_network
from memristive.network.networks import Network
from memristive.parameters import Fields, ParameterError
from memristive.writing.gate import GateWrite

MODEL = "stanford_1t1r"
STEP = 0.03  # of the range of gate voltages: move of X at which a device is written


class Task(NamedTuple):
    """Data to learn, and the settings of the network.

    `gain` is the drive of the largest weight, `biases` are the constant drives of hidden and of
    output neurons, all in thresholds. `doses` are the first doses of hidden cells (for the largest
    weight read back) and of output cells, as shares of the range of gate voltages. `margin` is in
    s, `epochs` is the largest number of epochs.
    """

    dataset: Callable[[], Dataset]
    hidden: tuple[int, ...]
    gain: float
    biases: tuple[float, float]
    doses: tuple[float, float]
    margin: float
    epochs: int


TASKS = {
    "XPUE": Task(xpue, (), 4.0, (0.0, 1.2), (0.0, 0.06), 5e-6, 30),
    "letters": Task(zvn, (), 4.0, (0.0, 1.2), (0.0, 0.06), 5e-6, 30),
    "XOR": Task(xor, (24,), 4.0, (0.25, 1.2), (0.05, 0.05), 3e-6, 60),
}
SPREAD = 4.0  # thresholds, of the drives of hidden neurons at the start


def main(arguments: list[str] | None = None) -> None:
    """Train, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_argument(
        "--device",
        metavar="FILE",
        help="file of python -m memristive measure for a cell with a gate (default: that of "
        f"{MODEL})",
    )
    parser.add_common("--seeds", 3)
    options = parser.parse_args(arguments)
    device = options.device or str(options.default_results / f"{MODEL}_device.json")
    keep_apart(options, device)
    model = model_of(load_device(device))
    if not model.gate_pin:
        raise ParameterError(
            f"--device {device} has no gate; cells with two pins learn in python -m memristive "
            f"table TABLE.csv --device {device}"
        )
    record = Record(
        options,
        "gate_cells",
        {"model": model.sha256, "seeds": options.seeds, "step": STEP, "tasks": list(TASKS)},
        others=[device],
    )
    seeds = range(1, options.seeds + 1)
    tasks = [(load_device(device).model, name, seed) for name in TASKS for seed in seeds]
    rows = record.run_tasks(learned, tasks)
    record.write({"rows": rows})
    print_rows(rows, drop=["errors"])
    record.plot(figure(rows))


def prepared(cells: ModelCells, task: Task, seed: int) -> tuple[Network, LayeredRule]:
    """Return an untrained network of 1T1R cells for a task, and its rule."""
    emulated, dataset = emulator(cells.device), task.dataset().training
    span = cells.device.gate_high - cells.device.gate_low
    window = emulated.high - emulated.low
    rule = LayeredRule(
        presentations=task.epochs * len(dataset.labels),
        hidden_dose=task.doses[0] * span / window,
        output_dose=task.doses[1] * span,
        final_dose=0.3,
        margin=task.margin,
        start_drive=0.0,
        start_drive_spread=SPREAD if task.hidden else 0.0,
        start_weight=0.0,
        start_weight_spread=window / task.gain if task.hidden else 0.0,
        seed=seed,
    )
    design = measured_design(
        emulated, 1, task.gain, hidden_bias=task.biases[0], output_bias=task.biases[1]
    )
    pulses = dataclasses.replace(measured_pulses(emulated), gate_step=STEP * span)
    classes = int(dataset.labels.max()) + 1
    network = initial_network(
        task.hidden, classes, dataset.levels, rule, design, measured_parameters(emulated), pulses
    )
    return network, rule


class CountingEngine(NgspiceNetwork):
    """Network in ngspice that counts the writes of its cells."""

    writes = 0

    def write(
        self, network: Network, layer: int, doses: Sequence[GateWrite], rng: np.random.Generator
    ) -> np.ndarray:
        """Count the writes `doses`, make them, and return the states of the layer (columns x rows,
        V) afterwards.
        """
        self.writes += sum(int((write.gates == write.gates).sum()) for write in doses)
        return super().write(network, layer, doses, rng)


def learned(task: tuple[str, str, int]) -> Fields:
    """Train one network in ngspice until it makes no error; return its errors in each epoch as a
    row. `task`: model, key of `TASKS`, seed. Runs in a worker.
    """
    name, kind, seed = task
    cells, chosen = ModelCells(load_model(name)), TASKS[kind]
    network, rule = prepared(cells, chosen, seed)
    engine = CountingEngine(network, cells=cells)
    errors = until_right(network, rule, chosen.dataset().training, cells, engine)
    return {
        "task": kind,
        "seed": seed,
        "errors": errors,
        "epochs": None if errors[-1] else len(errors) - 1,
        "writes_per_cell": engine.writes / sum(states.size for states in network.states),
    }


def until_right(
    network: Network,
    rule: LayeredRule,
    training: Images,
    cells: ModelCells,
    engine: NgspiceNetwork,
) -> list[int]:
    """Train a network of SPICE models (`cells`) until no error is left; return the number of errors
    at the start and after each epoch.
    """
    learning, errors = Learning.start(network, rule), list[int]()
    steps = train_network(learning, rule, *training, engine=engine)
    for done in range(0, rule.presentations + 1, len(training.labels)):
        while learning.done < done:
            next(steps)
        spikes = cells.read_images(learning.network, training.levels)[0][-1]
        errors.append(count_wrong(spikes, training.labels))
        if not errors[-1]:
            break
    return errors


def count_wrong(spikes: np.ndarray, labels: np.ndarray) -> int:
    """Return the number of images whose first `spikes` (images x classes, s) do not decide strictly
    right.
    """
    right = [
        first_wrong_neuron(times, label, 0.0) is None and not np.isnan(times[label])
        for times, label in zip(spikes, labels.tolist(), strict=True)
    ]
    return right.count(False)


def figure(rows: list[Fields]) -> Figure:
    """Draw the share of wrong images over epochs of each network."""
    drawn, axes = plt.subplots(1, len(TASKS), figsize=(plotting.WIDTH, 2.8), sharey=True)
    for axis, (kind, task) in zip(axes, TASKS.items(), strict=True):
        count = len(task.dataset().training.labels)
        for row in rows:
            if row["task"] == kind:
                wrong = [100 * errors / count for errors in row["errors"]]
                axis.plot(wrong, "o-", markersize=3, linewidth=0.9, alpha=0.7)
        axis.set(xlabel="epoch", title=kind)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set(ylabel="errors (%)", ylim=(0, None))
    return drawn


if __name__ == "__main__":
    run(main)
