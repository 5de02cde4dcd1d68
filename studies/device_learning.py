"""Can published synapses learn online? Networks of measured devices on MNIST, beside the accuracies that NeuroSim found for them.

Whole pulses, the published cycle-to-cycle noise, all 10,000 test images, strict decisions. One layer (grey 10x10) and two layers
(400-100-10 on the central 20x20 pixels, NeuroSim's network): single cells and differential pairs, and one pair with pulses of any
width without noise. A control trains the same layer by gradient descent. Trained and tested in closed form; `python -m
studies.agreement layers --data mnist --voltages voltages/device_NAME_1.json` reads a trained network in ngspice. The settings in
device_learning.csv were chosen on held-out training images. Writes results/device_learning.json, figures/device_learning.png and
the networks of seed 1 with one pair. At most 50 minutes on two cores, 15 with one layer alone (--layers 1), one with --short.
Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import plotting
from datasets import Dataset, matching_dataset
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, make_parser, table
from memristive.cli.parallel import run_resumable
from memristive.devices.measured_device import DEVICES, MeasuredDevice, emulator
from memristive.io.files import check_overwriting
from memristive.io.networks import describe_network
from memristive.io.results import write_results
from memristive.io.voltages import save_voltages
from memristive.learning.gradient_descent import gradient_accuracy, train_by_gradient
from memristive.learning.layered_training import LayeredLearning, initial_network, train_layers
from memristive.learning.rule import LayeredRule
from memristive.network.kernel import Counts
from memristive.network.layers import LayeredNetwork, no_counts
from memristive.network.measured_layers import measured_design, measured_parameters, measured_pulses
from memristive.network.scores import score_row
from plotting import BLUE, GREY, VERMILLION, WIDTH

SETTINGS = Path(__file__).with_suffix(".csv")
KEY = ("rule", "aim", "device", "layers", "pairs", "whole_pulses")
DATA, HIDDEN = {1: "mnist", 2: "mnist_central"}, {1: (), 2: (100,)}
ERRORS, SGD = "errors", "sgd"  # learning rules
ACCURACY, COST = "accuracy", "cost"  # settings with the best held-out accuracy; with the fewest pulses at equal accuracy
ENDURANCE = 1e5  # pulses that a cell survives
# Online learning, 400-100-10, in %: NeuroSim 2.0 (Table I of the paper in docs/devices.md) and 3.0 (its manual, Tables I and II).
NEUROSIM = {"ag-si": (73, 72), "taox-tio2": (10, None), "pcmo": (10, 33), "alox-hfo2": (41, 20), "epiram": (91.5, 92),
            "taox-hfox": (None, 80)}
SHORT = 40_000  # presentations
CASES = ["device", "layers", "rule", "aim", "pairs", "whole"]


@dataclass(frozen=True)
class Task:
    """A network of one measured device to be trained and tested.

    Parameters
    ----------
    device : str
        Name of a preset.
    layers : int
        1: MNIST's grey 10x10 images. 2: 100 hidden neurons on the central 20x20 pixels.
    pairs : int
        Differential pairs of a synapse; 0: single cells.
    whole : bool
        Whole pulses with the device's cycle-to-cycle noise, or pulses of any width without noise.
    seed : int
    rule : str
        `ERRORS`: first spikes and local writes. `SGD`: gradient descent in software, one layer.
    aim : str
        `ACCURACY` or `COST`.
    presentations : int
        0: as the settings say.
    """

    device: str
    layers: int = 1
    pairs: int = 1
    whole: bool = True
    seed: int = 1
    rule: str = ERRORS
    aim: str = ACCURACY
    presentations: int = 0

    @property
    def dataset(self) -> Dataset:
        """Images that the network learns."""
        return matching_dataset(DATA[self.layers])

    def prepared(self) -> tuple[LayeredNetwork, LayeredRule]:
        """Return the untrained network and its rule."""
        chosen = load_settings()[self.rule, self.aim, self.device, self.layers, self.pairs, int(self.whole)]
        emulated = emulator(DEVICES[self.device])
        pulses = measured_pulses(emulated, self.whole, noise=self.whole)
        design = measured_design(emulated, self.pairs, chosen["gain"], hidden_bias=chosen["hidden_bias"],
                                 output_bias=chosen["output_bias"], output_gain=chosen["output_gain"])
        rule = LayeredRule(
            presentations=self.presentations or int(chosen["presentations"]), hidden_dose=chosen["hidden_dose"] * pulses.step,
            output_dose=chosen["output_dose"] * pulses.step, final_dose=chosen["final_dose"], margin=chosen["margin_us"] * 1e-6,
            final_margin=chosen["final_margin"], reach=chosen["reach"], start_drive=0.0,
            start_drive_spread=chosen["start_drive_spread"], start_weight=0.0,
            start_weight_spread=chosen["start_weight_spread"] * (emulated.high - emulated.low), seed=self.seed)
        network = initial_network(HIDDEN[self.layers], 10, self.dataset.training.levels, rule, design,
                                  measured_parameters(emulated), pulses)
        return network, rule

    def trained(self) -> tuple[LayeredNetwork, LayeredRule, Counts]:
        """Return the network after its training, in closed form, its rule, and the pulses of its cells."""
        (network, rule), training = self.prepared(), self.dataset.training
        if self.rule == SGD:
            network, counts = train_by_gradient(network, rule, training.levels, training.labels)
            return network, rule, counts
        learning, counts = LayeredLearning.start(network, rule), no_counts(network)
        for _ in train_layers(learning, rule, training.levels, training.labels, counts=counts):
            pass
        return learning.network, rule, counts


@functools.cache
def load_settings() -> dict[Any, dict[Any, float]]:
    """Return the settings of all networks by `KEY`; doses in pulses, gain and biases in thresholds, margin in us."""
    return pd.read_csv(SETTINGS).set_index(list(KEY)).to_dict("index")


def main(arguments: list[str] | None = None) -> None:
    """Train and test all networks."""
    parser = add_jobs(add_resume(make_parser(__doc__, parameters=False)))
    known = [name for name in DEVICES if name in {case[KEY.index("device")] for case in load_settings()}]
    parser.add_argument("--devices", nargs="+", choices=known, default=known, metavar="NAME",
                        help=f"of {', '.join(known)}, which have settings in {SETTINGS.name} (default: all)")
    parser.add_argument("--layers", nargs="+", type=int, choices=(1, 2), default=[1, 2], help="default: 1 2")
    parser.add_number("--seeds", 1, 100, 3, "networks of one layer of each kind")
    parser.add_number("--deep-seeds", 1, 100, 3, "networks of two layers of each kind")
    parser.add_argument("--short", action="store_true", help="one layer of one pair, one seed, few presentations")
    options = parser.parse_args(arguments)

    # 1. Everything that is trained.
    seeds = (options.seeds, options.deep_seeds)
    tasks = list(short_tasks(options.devices) if options.short else all_tasks(options.devices, options.layers, seeds))
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
    heading = ("device", "layers", "rule", "aim", "pairs", "pulses", "accuracy", "pulses a cell", "column writes")
    print(table(heading, [described(row) for _, row in found.iterrows()]))
    if not options.short:
        plotting.save(accuracy_figure(found), options.figures / "device_learning.png")


def short_tasks(devices: list[str]) -> Iterator[Task]:
    """Yield one task for each device."""
    for device in devices:
        yield Task(device, presentations=SHORT)


def all_tasks(devices: list[str], layers: list[int], seeds: tuple[int, int]) -> Iterator[Task]:
    """Yield the tasks of the whole study; `seeds`: how many networks to train, (with one layer, with two)."""
    for number in sorted(layers, reverse=True):  # the longest first
        for device, seed in itertools.product(devices, range(1, seeds[number - 1] + 1)):
            task = Task(device, number, seed=seed)
            yield from (dataclasses.replace(task, pairs=pairs) for pairs in (0, 1, 4))
            yield dataclasses.replace(task, whole=False)
            if number == 1:
                yield from (dataclasses.replace(task, pairs=pairs, rule=rule, aim=COST)
                            for pairs in (0, 1) for rule in (ERRORS, SGD))


def evaluate(task: Task) -> dict[str, Any]:
    """Train and test a network; return scores and costs as a row. Runs in a worker."""
    network, rule, counts = task.trained()
    test = task.dataset.test
    if task.rule == SGD:
        scores = {"samples": len(test.labels), "strict_accuracy": gradient_accuracy(network, test.levels, test.labels)}
    else:
        scores = score_row(test.labels, network.first_spikes(test.levels))
    columns = ("device", "layers", "pairs", "whole", "seed", "rule", "aim")
    return {**{name: getattr(task, name) for name in columns}, "presentations": rule.presentations, **scores,
            **write_costs(DEVICES[task.device], counts)}


def write_costs(device: MeasuredDevice, counts: Counts) -> dict[str, float]:
    """Return what the writes of a training cost, with the pulses of the laboratory.

    The energy is that of the pulses in the cells, with the conductance that each had at the read voltage.
    """
    pulses = np.concatenate([layer.ravel() for layer in counts.pulses])
    per_siemens = (device.voltage_down**2 * device.width_down, device.voltage_up**2 * device.width_up)
    energy = sum(float(siemens.sum()) * factor for layer in counts.conducted
                 for siemens, factor in zip(layer, per_siemens, strict=True))
    return {"pulses_per_cell": float(pulses.mean()), "most_pulses": float(pulses.max()), "write_energy_J": energy,
            "column_writes": sum(float(layer.sum()) for layer in counts.writes),
            "share_beyond_endurance": float((pulses > ENDURANCE).mean())}


def summary(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the means over the seeds, with the lowest and the highest accuracy."""
    groups = pd.DataFrame(rows).groupby(CASES, sort=False)
    found = groups.mean(numeric_only=True).drop(columns="seed")
    accuracy = groups["strict_accuracy"]
    return found.assign(lowest=accuracy.min(), highest=accuracy.max(), seeds=accuracy.size()).reset_index()


def described(row: pd.Series) -> tuple[str, ...]:
    """Return a row of the printed table."""
    return (row["device"], row["layers"], row["rule"], row["aim"], row["pairs"], "whole" if row["whole"] else "any width",
            f"{row['strict_accuracy']:.2%}", f"{row['pulses_per_cell']:,.0f}", f"{row['column_writes']:,.0f}")


def save_networks(tasks: list[Task]) -> None:
    """Train once more and save networks, for reads in ngspice."""
    for task in tasks:
        network, rule, _ = task.trained()
        save_voltages(Path("voltages") / f"device_{task.device}_{task.layers}.json", network.states, ngspice=False,
                      **describe_network(task.dataset.name, task.dataset.shape, network, rule))


def accuracy_figure(found: pd.DataFrame) -> Figure:
    """Draw the accuracies of each device: NeuroSim's, and ours with whole pulses and noise."""
    devices = [name for name in NEUROSIM if name in set(found["device"])]
    chosen = found[(found["rule"] != SGD) & (found["aim"] == ACCURACY) & found["whole"]]
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
