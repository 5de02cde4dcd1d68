"""The first crossbar that was trained in situ, with your SPICE model: 3x3 letters z, v, n, pairs of devices, half voltages.

M. Prezioso et al., Nature 521, 61 (2015): ten inputs (nine pixels and a bias), three outputs, differential pairs, V/2. Each of
30 patterns is a letter as drawn or with one pixel flipped. After each epoch every weight gets one fixed pulse, whose sign is that
of the gradient over all patterns (their Manhattan rule). Here ngspice reads and writes the subcircuits, and the first spike
decides. The second rule is this project's: only images that are decided wrongly count, with +1 for the right column and -1 for
the wrong one that fires first.

Writes results/trained_in_situ.json and figures/trained_in_situ.png. Ten seeds, two models, two rules: 8 minutes on two cores.
"""

import dataclasses
import sys
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import plotting
from datasets import zvn
from memristive.cli.main import run
from memristive.cli.options import Parser, add_jobs, add_resume, make_parser, table
from memristive.cli.parallel import run_resumable
from memristive.devices.characterise import write
from memristive.devices.measured_device import load_device
from memristive.devices.spice_model import load_model
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.learning.rule import first_wrong_neuron, output_errors
from memristive.network.ngspice_array import NgspiceArray
from memristive.network.setup import Schedule, Setup
from memristive.network.two_terminal import HALF, SCHEMES, DeviceArray
from snn_circuit import NeuronParameters

MANHATTAN, FIRST_SPIKE = RULES = ("manhattan", "first-spike")
PUBLISHED = 15  # epochs until no error, their mean
MOST = 60  # epochs
START, SPREAD = 0.5, 0.1  # x of the cells before training: mean and standard deviation
SUM_SWING = 15.0  # V of the summing stages while every row is high and every cell at x = 1, below the rail of 20 V
GAIN = 8.0  # thresholds of a membrane for a weight of 1, the whole conductance range; at lower gains more neurons are silent
SLOPE, TARGET = 0.1, 0.85  # of the Manhattan rule: output tanh(SLOPE u) of a membrane of u thresholds; wanted +-TARGET, as theirs
MARGIN = 5e-6  # s by which the right neuron has to lead, for the first-spike rule
READ = Schedule(pulse=300e-6, period=1e-3)  # two membrane time constants


def main(arguments: list[str] | None = None) -> None:
    """Train, save, print, plot."""
    parser: Parser = add_jobs(add_resume(make_parser(__doc__, parameters=False)))
    parser.add_argument("--device", nargs="+", default=["results/vteam_device.json", "results/wox_device.json"], metavar="FILE",
                        help="files of python -m studies.spice_device (default: those of vteam and wox)")
    parser.add_argument("--scheme", choices=SCHEMES, default=HALF, help=f"selection of cells (default: {HALF})")
    parser.add_number("--seeds", 1, 1000, 10, "networks of each model and rule, which start differently")
    options = parser.parse_args(arguments)
    tasks = [(file, options.scheme, rule, seed) for file in options.device for rule in RULES for seed in range(options.seeds)]
    parameters = {"devices": options.device, "scheme": options.scheme, "rules": RULES, "seeds": options.seeds, "start": START,
                  "most_epochs": MOST, "spread": SPREAD, "gain": GAIN, "slope": SLOPE, "target": TARGET, "margin": MARGIN,
                  "read": dataclasses.asdict(READ)}
    record = options.results / "trained_in_situ.json"
    check_overwriting(record, parameters, options.force, others=options.device)

    rows = run_resumable(train, tasks, [1] * len(tasks), options, record, parameters)
    write_results(record, parameters, {"published_epochs": PUBLISHED, "rows": rows})

    print(table(("device", "rule", "no error", "epochs: mean", "least", "most"), [
        (device, rule, f"{len(epochs)} of {count}", *((f"{np.mean(epochs):.1f}", min(epochs), max(epochs)) if epochs else "---"))
        for device, rule, epochs, count in grouped(rows)]))
    print(f"published experiment: {PUBLISHED} epochs on average until no error")
    plotting.save(figure(rows), options.figures / "trained_in_situ.png")


def crossbar(file: str, scheme: str, seed: int) -> NgspiceArray:
    """Return an untrained network of six columns and ten rows, its cells at random states around the middle of the range."""
    device = load_device(file)
    array = DeviceArray(load_model(device.model), device, scheme)
    across = device.read_voltage * (device.highest_conductance - device.lowest_conductance)  # A, by which a whole weight differs
    feedback = SUM_SWING / (10 * device.read_voltage * device.highest_conductance)
    neuron = NeuronParameters(feedback_resistance=feedback)
    neuron = dataclasses.replace(neuron, membrane_transconductance=GAIN * neuron.threshold / (
        feedback * across * neuron.membrane_resistance))
    setup = Setup(neuron=neuron, schedule=dataclasses.replace(READ, input_voltage=device.read_voltage), array=array)
    # A cell is prepared by pulses up from the erased state, as many as the device's curve needs for its x.
    counts = np.arange(int(np.ceil(device.pulses())) + 1)
    wanted = np.random.default_rng(seed).normal(START, SPREAD, (6, 10))
    pulses = np.rint(np.interp(wanted, device.after(0.0, counts), counts)).astype(int)
    return NgspiceArray(setup, write(array.model, [array.erased], True, counts[-1])[0, pulses])


def train(task: tuple[str, str, str, int]) -> dict[str, Any]:
    """Train one network until it makes no error; return the number of errors, of 30, before each epoch's write."""
    file, scheme, rule, seed = task
    network, letters, errors = crossbar(file, scheme, seed), zvn().training, []
    images, labels = np.hstack([letters.levels, np.ones((len(letters.levels), 1))]), letters.labels  # the bias is the tenth row
    threshold = NeuronParameters().threshold
    while True:
        spikes, membranes = network.read(images)
        strict = [first_wrong_neuron(times, label, 0.0) is None and not np.isnan(times[label])
                  for times, label in zip(spikes, labels, strict=True)]
        errors.append(strict.count(False))
        if not errors[-1] or len(errors) > MOST:
            break
        signal = output_signal(membranes / threshold, labels) if rule == MANHATTAN else spike_signal(spikes, labels)
        sign = np.sign(signal.T @ images)
        sign = np.vstack([sign, -sign])
        network.write(sign > 0, up=True)
        network.write(sign < 0, up=False)
    return {"device": load_device(file).name, "rule": rule, "seed": seed, "errors": errors,
            "epochs": None if errors[-1] else len(errors) - 1}


def output_signal(membranes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the error of each output (images x classes) times its slope, for the Manhattan rule; `membranes` in thresholds."""
    outputs = np.tanh(SLOPE * membranes)
    return (np.where(np.eye(membranes.shape[1])[labels] > 0, TARGET, -TARGET) - outputs) * (1 - outputs**2)


def spike_signal(spikes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the error of each output (images x classes): 1 for the right and -1 for the first wrong neuron of a wrong image."""
    found = np.zeros(spikes.shape)
    for k, (times, label) in enumerate(zip(spikes, labels.tolist(), strict=True)):
        wrong = first_wrong_neuron(times, label, MARGIN)
        if wrong is not None or np.isnan(times[label]):
            found[k] = output_errors(len(times), label, -1 if wrong is None else wrong)
    return found


def grouped(rows: list[dict[str, Any]]) -> list[tuple[str, str, list[int], int]]:
    """Return device, rule, the epochs of the networks that made no error, and the count of all networks."""
    kinds = dict.fromkeys((row["device"], row["rule"]) for row in rows)
    of = {kind: [row["epochs"] for row in rows if (row["device"], row["rule"]) == kind] for kind in kinds}
    return [(*kind, [epochs for epochs in found if epochs is not None], len(found)) for kind, found in of.items()]


def figure(rows: list[dict[str, Any]]) -> Figure:
    """Draw errors over epochs of each network, and epochs until no error of each seed."""
    drawn, (over, until) = plt.subplots(1, 2, figsize=(plotting.WIDTH, 3.6), width_ratios=[3, 2])
    for k, (device, rule, epochs, _) in enumerate(groups := grouped(rows)):
        colour = plotting.COLOURS[k]
        for row in rows:
            if (row["device"], row["rule"]) == (device, rule):
                over.plot(row["errors"], color=colour, linewidth=0.8, alpha=0.6)
        over.plot([], [], color=colour, label=f"{device}, {rule}")
        until.plot(k + np.linspace(-0.25, 0.25, len(epochs)), epochs, "o", color=colour, markersize=4)
        if epochs:
            until.hlines(np.mean(epochs), k - 0.35, k + 0.35, color=colour)
    until.axhline(PUBLISHED, color=plotting.GREY, linestyle="--", label="published mean")
    over.set(xlabel="epoch", ylabel="errors of 30 patterns", title="Errors of each network")
    over.legend()
    until.set(ylabel="epochs until no error", title="Each seed, and means", ylim=(0, None))
    until.set_xticks(range(len(groups)), [f"{device}\n{rule}" for device, rule, *_ in groups], rotation=30)
    until.legend()
    return drawn


if __name__ == "__main__":
    sys.exit(run(main))
