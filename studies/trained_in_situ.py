"""Evidence for docs/own_model.md: a SPICE model learns Prezioso's letters, and XOR.

The first crossbar that was trained in situ, with your SPICE model: 3x3 letters z, v, n. Then
XOR, with hidden neurons.

M. Prezioso et al., Nature 521, 61 (2015): ten inputs (nine pixels and a bias), three outputs,
differential pairs, V/2. Each of 30 patterns is a letter as drawn or with one pixel flipped. After
each epoch every weight gets one fixed pulse, whose sign is that of the gradient over all patterns
(the Manhattan rule of that paper). Here ngspice reads and writes the subcircuits, and the first
spike decides. A second rule is this project's: only images that are decided wrongly count, each
with the error +1 of the right column and -1 of the wrong column that fires first.

XOR needs hidden neurons. Their errors are read back through the same subcircuits (docs/layers.md),
and each error is followed by writes of whole pulses.

Writes results/devices/trained_in_situ.json and figures/trained_in_situ.png. Ten seeds, two models,
two tasks: 10 minutes on two cores.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.script import Record, add_resume, keep_apart, make_parser, run
from memristive.datasets import Images, xor, zvn
from memristive.devices.measured_device import emulator, load_device, model_of
from memristive.engines.engine import ModelCells, NgspiceNetwork
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule, first_wrong_neuron, output_errors
from memristive.learning.settings import measured_design, measured_parameters, measured_pulses
from memristive.learning.training import Learning
from memristive.learning.training import train as train_network
from memristive.network.networks import Network, with_bias
from memristive.network.two_terminal import HALF
from memristive.writing.pulses import ModelWrite

MANHATTAN, FIRST_SPIKE = RULES = ("manhattan", "first-spike")
XOR = "xor"
PUBLISHED = 15  # epochs until no error, their mean
MOST = 60  # epochs of the letters
# of x before training, around the balance: elsewhere steps that depend on x pull all cells, and
# training stalls
SPREAD = 0.1
# thresholds of a membrane for a weight of 1, the whole conductance range; at lower gains more
# neurons are silent
GAIN = 8.0
# of the Manhattan rule: output tanh(SLOPE u) of a membrane of u thresholds; wanted +-TARGET, as
# theirs
SLOPE, TARGET = 0.1, 0.85
MARGIN = 5e-6  # s by which the right neuron has to lead, for the first-spike rule
WINDOW = 300e-6  # s: two membrane time constants
HIDDEN, XOR_EPOCHS, XOR_MARGIN = 24, 100, 3e-6  # neurons, epochs at most, s
# In thresholds: drive of a whole weight, bias of hidden neurons, spread of their drives at the
# start; first doses of hidden cells per volt read back, and of output cells. Chosen in closed form
# for tungsten oxide, VTEAM and the molecular memristor.
XOR_GAIN, XOR_BIAS, XOR_SPREAD, HIDDEN_DOSE, OUTPUT_DOSE = 4.0, 0.25, 2.5, 0.02, 0.1


def main(arguments: list[str] | None = None) -> None:
    """Train, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_argument(
        "--device",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="files of python -m memristive measure (default: those of vteam and wox)",
    )
    parser.add_common("--seeds", 10)
    options = parser.parse_args(arguments)
    devices = options.device or [
        str(options.default_results / f"{model}_device.json") for model in ("vteam", "wox")
    ]
    keep_apart(options, *devices)
    tasks = list(itertools.product(devices, (*RULES, XOR), range(options.seeds)))
    models = [model_of(load_device(file)).sha256 for file in devices]
    record = Record(
        options,
        "trained_in_situ",
        {
            "devices": devices,
            "models": models,
            "scheme": HALF,
            "rules": RULES,
            "seeds": options.seeds,
            "most_epochs": MOST,
            "spread": SPREAD,
            "gain": GAIN,
            "slope": SLOPE,
            "target": TARGET,
            "margin": MARGIN,
            "window": WINDOW,
            "hidden": HIDDEN,
        },
        others=devices,
    )

    rows = record.run_tasks(train, tasks)
    record.write({"published_epochs": PUBLISHED, "rows": rows})

    epochs = pd.DataFrame(rows).groupby(["device", "rule"], sort=False).epochs
    print(
        epochs.agg(["size", "count", "mean", "min", "max"]).to_string(float_format="{:.1f}".format)
    )
    record.plot(figure(pd.DataFrame(rows)))


def letters(cells: ModelCells, rule: str, seed: int) -> list[int]:
    """Learn z, v, n until no error, for `MOST` epochs at most; return the number of errors, of 30,
    before each epoch's write.
    """
    emulated, dataset, errors = emulator(cells.device), zvn().training, list[int]()
    # nine pixels and a bias
    x = np.random.default_rng(seed).normal(cells.device.balance, SPREAD, (6, 10)).clip(0.0, 1.0)
    design = measured_design(emulated, 1, GAIN, window=WINDOW)
    network = Network((emulated.state(x),), measured_parameters(emulated), design)
    while True:
        (spikes,), (membranes,) = cells.read_images(network, dataset.levels)
        errors.append(count_wrong(spikes, dataset.labels))
        if not errors[-1] or len(errors) > MOST:
            return errors
        signal = (
            output_signal(membranes, dataset.labels)
            if rule == MANHATTAN
            else spike_signal(spikes, dataset.labels)
        )
        sign = np.sign(signal.T @ with_bias(dataset.levels))
        writes = [
            ModelWrite(j, up, (column > 0 if up else column < 0).astype(float))
            for up in (True, False)
            for j, column in enumerate(np.vstack([sign, -sign]))
        ]
        network = dataclasses.replace(network, states=(cells.written(network.states[0], writes),))


def hidden_layer(cells: ModelCells, seed: int) -> list[int]:
    """Learn XOR until no error; return the number of errors, of 4, at the start and after each
    epoch.
    """
    emulated, dataset = emulator(cells.device), xor().training
    per_threshold = (emulated.high - emulated.low) / XOR_GAIN  # V of X
    rule = LayeredRule(
        presentations=XOR_EPOCHS * len(dataset.labels),
        hidden_dose=HIDDEN_DOSE * per_threshold,
        output_dose=OUTPUT_DOSE * per_threshold,
        final_dose=0.3,
        margin=XOR_MARGIN,
        start_drive=0.0,
        start_drive_spread=XOR_SPREAD,
        start_weight=0.0,
        start_weight_spread=per_threshold,
        seed=seed,
    )
    network = initial_network(
        (HIDDEN,),
        2,
        dataset.levels,
        rule,
        measured_design(emulated, 1, XOR_GAIN, hidden_bias=XOR_BIAS),
        measured_parameters(emulated),
        measured_pulses(emulated, scheme=HALF),
    )
    return until_right(network, rule, dataset, cells, NgspiceNetwork(network, cells=cells))


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


def train(task: tuple[str, str, int]) -> dict[str, Any]:
    """Train one network until it makes no error; return its errors in each epoch as a row. `task`:
    device file, rule or `XOR`, seed. Runs in a worker.
    """
    file, kind, seed = task
    cells = ModelCells(model_of(load_device(file)), HALF)
    errors = hidden_layer(cells, seed) if kind == XOR else letters(cells, kind, seed)
    return {
        "device": cells.device.name,
        "rule": kind,
        "seed": seed,
        "errors": errors,
        "epochs": None if errors[-1] else len(errors) - 1,
    }


def count_wrong(spikes: np.ndarray, labels: np.ndarray) -> int:
    """Return the number of images whose first `spikes` (images x classes, s) do not decide strictly
    right.
    """
    right = [
        first_wrong_neuron(times, label, 0.0) is None and not np.isnan(times[label])
        for times, label in zip(spikes, labels.tolist(), strict=True)
    ]
    return right.count(False)


def output_signal(membranes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the signal of the Manhattan rule for each output (images x classes): target minus
    output, times the slope of the output. An output is the tanh of `SLOPE` times the settled
    membrane; `membranes` are in thresholds.
    """
    outputs = np.tanh(SLOPE * membranes)
    return (np.where(np.eye(membranes.shape[1])[labels] > 0, TARGET, -TARGET) - outputs) * (
        1 - outputs**2
    )


def spike_signal(spikes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the signal of the first-spike rule for each output, from first `spikes` (both images x
    classes): 1 for the right and -1 for the first wrong neuron of a wrong image, else 0.
    """
    found = np.zeros(spikes.shape)
    for k, (times, label) in enumerate(zip(spikes, labels.tolist(), strict=True)):
        wrong = first_wrong_neuron(times, label, MARGIN)
        if wrong is not None or np.isnan(times[label]):
            found[k] = output_errors(len(times), label, -1 if wrong is None else wrong)
    return found


def figure(rows: pd.DataFrame) -> Figure:
    """Draw errors over epochs of each network, and for each seed the number of epochs until no
    error is left.
    """
    drawn, axes = plt.subplot_mosaic(
        [["letters", "until"], ["xor", "until"]], figsize=(plotting.WIDTH, 5.0), width_ratios=[3, 2]
    )
    until, groups = axes["until"], rows.groupby(["device", "rule"], sort=False)
    for k, ((device, kind), of) in enumerate(groups):
        over, colour = axes["xor" if kind == XOR else "letters"], plotting.COLOURS[k]
        for errors in of.errors:
            over.plot(errors, color=colour, linewidth=0.8, alpha=0.6)
        over.plot([], [], color=colour, label=device if kind == XOR else f"{device}, {kind}")
        places = k + np.linspace(-0.25, 0.25, len(of))
        until.plot(places, of.epochs, "o", color=colour, markersize=4)
        until.hlines(of.epochs.mean(), k - 0.35, k + 0.35, color=colour)
    until.axhline(
        PUBLISHED, color=plotting.GREY, linestyle="--", label="published mean (Manhattan)"
    )
    axes["letters"].set(ylabel="errors of 30 patterns", title="Letters z, v, n: one layer")
    axes["xor"].set(
        xlabel="epoch", ylabel="errors of 4 patterns", title=f"XOR: {HIDDEN} hidden neurons"
    )
    until.set(ylabel="epochs until no error", title="Each seed, and means", ylim=(0, None))
    names = [f"{device}\n{kind}" for (device, kind), _ in groups]
    until.set_xticks(range(len(names)), names, rotation=60)
    axes["letters"].sharex(axes["xor"])
    for axis in axes.values():
        axis.legend()
    return drawn


if __name__ == "__main__":
    run(main)
