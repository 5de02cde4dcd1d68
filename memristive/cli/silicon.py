"""Options --silicon, --corner, --temperature and --mismatch: the paper's method in a foundry's
transistors.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memristive.cli import script
from memristive.cli.silicon_alone import learn_alone
from memristive.datasets import Dataset
from memristive.devices.foundry import CORNERS, FOUNDRIES, Process
from memristive.files import read_json, restored
from memristive.io.records import check_overwriting, report, to_json, write_file
from memristive.parameters import Fields, ParameterError
from memristive.scores.decisions import confusion, decide, decision_name, lead

if TYPE_CHECKING:
    from memristive.engines.silicon import SiliconLayer

FORMAT = "memristive silicon voltages"
RESOLUTION = 10e-9  # s, longest lead that counts as a tie: half a time step


def add_silicon(parser: script.Parser) -> script.Parser:
    """Add the options of a foundry's transistors; return the parser."""
    parser.add_argument(
        "--silicon", choices=list(FOUNDRIES), help="cells, pumps and neurons in its transistors"
    )
    parser.add_argument(
        "--corner",
        nargs="+",
        choices=[*CORNERS, "all"],
        default=["typical"],
        help="of --silicon; several corners or temperatures give a table and no voltages file",
    )
    parser.add_argument(
        "--temperature",
        nargs="+",
        type=float,
        default=[27.0],
        metavar="C",
        help="of --silicon (default: 27)",
    )
    parser.add_argument(
        "--mismatch",
        type=int,
        default=0,
        metavar="SEED",
        help="of --silicon: chip whose transistors differ",
    )
    parser.add_argument(
        "--window",
        type=float,
        default=10e-6,
        metavar="S",
        help="of --silicon: longest read (default: 1e-5)",
    )
    parser.set_defaults(default_voltages=parser.get_default("voltages"))
    return script.add_jobs(parser)


def _layers(options: argparse.Namespace, dataset: Dataset) -> list["SiliconLayer"]:
    """Return the layer in each corner at each temperature; the first one names the files."""
    # the paper's circuit needs none
    from memristive.engines.silicon import SiliconLayer, SiliconPulses

    for other in ("settings", "parameters", "netlist", "device"):
        if getattr(options, other, None):
            raise ParameterError(f"{other} of the paper's circuit are not for --silicon")
    corners = CORNERS if "all" in options.corner else dict.fromkeys(options.corner)
    processes = [
        Process(options.silicon, corner, temperature, options.mismatch)
        for corner in corners
        for temperature in dict.fromkeys(options.temperature)
    ]
    process = processes[0]
    process.header()  # a missing package ends the script before anything is written
    if options.voltages == options.default_voltages:
        stem = options.voltages.stem
        options.voltages = options.voltages.with_name(f"{stem}_{process.name}.json")
    columns, rows = dataset.patterns.shape
    pulses = SiliconPulses(window=options.window)
    return [SiliconLayer(one, columns, rows, pulses) for one in processes]


def take_process(options: argparse.Namespace) -> bool:
    """Return True if the network is on silicon: --silicon, or a file that it has written. The
    process of such a file stands for options that are not given.
    """
    if options.silicon or options.voltages.suffix != ".json" or not options.voltages.is_file():
        return bool(options.silicon)
    content = read_json(options.voltages, "trained voltages")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return False
    process = restored(Process, content["process"], "process")
    options.silicon = process.foundry
    options.mismatch = options.mismatch or process.mismatch
    return True


def train_on_silicon(options: argparse.Namespace, dataset: Dataset) -> None:
    """Train the patterns of a dataset, save, print, plot."""
    if options.alone:
        return learn_alone(options, dataset)
    layer, *others = _layers(options, dataset)
    if others:
        return _compare(options, dataset, [layer, *others], None)
    parameters: Fields = {
        "dataset": dataset.name,
        "process": layer.process.as_dict(),
        "pulses": layer.pulses.as_dict(),
    }
    check_overwriting(options.voltages, parameters, options.force, option="--voltages FILE")
    name = f"{dataset.name}_{layer.process.name}"
    record = script.Record(options, f"{name}_training", parameters, others=[options.voltages])
    states, waves = layer.train(dataset.patterns)
    content = {"format": FORMAT, **parameters, "voltages": states}
    write_file(options.voltages, to_json(content))
    report(f"wrote {options.voltages}")
    power = layer.power(waves)
    record.write({"voltages": states, "seconds": waves.time[-1], "power": power})
    import plotting  # here, because --help needs no matplotlib

    on = dataset.patterns > 0
    print(
        f"X after {waves.time[-1]:.3g} s at {power:.3g} W: {states[on].min():.3f} to "
        f"{states[on].max():.3f} V in pixels that are on, up to {states[~on].max():.3f} V in others"
    )
    figure = plotting.weight_images(states, dataset.shape, dataset.labels, "state X (V)")
    plotting.save(figure, options.figures / f"{name}_trained.png")


def read_on_silicon(options: argparse.Namespace, dataset: Dataset) -> None:
    """Read the patterns of a dataset with trained cells, decide, save, print, plot."""
    layer, *others = _layers(options, dataset)
    states = _voltages(options.voltages, dataset, layer)
    if others:
        return _compare(options, dataset, [layer, *others], states)
    name = f"{dataset.name}_{layer.process.name}"
    parameters = {
        "dataset": dataset.name,
        "voltages": options.voltages,
        "process": layer.process.as_dict(),
        "pulses": layer.pulses.as_dict(),
    }
    record = script.Record(options, f"{name}_inference", parameters, others=[options.voltages])
    spikes, waves = layer.read(states, dataset.patterns)
    strict, _ = decide(spikes, RESOLUTION, RESOLUTION)
    labels, truth = dataset.labels, np.arange(len(spikes))
    decisions = [decision_name(one, labels) for one in strict]
    leads, power = [lead(times) for times in spikes], layer.power(waves)
    record.write(
        {
            "strict_accuracy": np.mean(strict == truth),
            "decisions": decisions,
            "first_spike_times": spikes,
            "leads": leads,
            "power": power,
        }
    )
    import plotting  # here, because --help needs no matplotlib

    script.print_decisions(labels, decisions, spikes, leads)
    print(
        f"train accuracy: strict {sum(strict == truth)}/{len(truth)}; {power:.3g} W, "
        f"{power * layer.pulses.window:.3g} J a read of {layer.pulses.window:g} s"
    )
    figure = plotting.confusion(confusion(truth, strict, len(truth)), labels)
    plotting.save(figure, options.figures / f"{name}_train_confusion.png")


def _compare(
    options: argparse.Namespace,
    dataset: Dataset,
    layers: Sequence["SiliconLayer"],
    states: np.ndarray | None,
) -> None:
    """Train and read the patterns of a dataset in several conditions, or with `states` only read
    them; save and print a table.
    """
    from memristive.cli.parallel import run_tasks  # here: the import takes long

    process, kind = layers[0].process, "reads" if states is not None else "conditions"
    conditions = [layer.process.as_dict() for layer in layers]
    name = f"{dataset.name}_{process.foundry}_{kind}"
    parameters = {"dataset": dataset.name, "conditions": conditions}
    parameters |= {"voltages": options.voltages} if states is not None else {}
    record = script.Record(options, name, parameters)
    tasks = [(layer, dataset.patterns, states) for layer in layers]
    results = run_tasks(
        _condition, tasks, options.jobs, options.scheduler, description="conditions"
    )
    rows = [row for _, row in sorted(results, key=lambda one: one[0])]
    record.write({"conditions": rows})
    script.print_rows(rows)


def _condition(task: tuple["SiliconLayer", np.ndarray, np.ndarray | None]) -> Fields:
    """Return the row of `_compare`'s table of a layer, patterns, and states in V (None: train)."""
    layer, patterns, states = task
    row: Fields = {"corner": layer.process.corner, "C": layer.process.temperature}
    if states is None:
        states, waves = layer.train(patterns)
        on = patterns > 0
        row |= {"lowest X on (V)": states[on].min(), "highest X off (V)": states[~on].max()}
        row["write (W)"] = layer.power(waves)
    spikes, waves = layer.read(states, patterns)
    strict, _ = decide(spikes, RESOLUTION, RESOLUTION)
    fired = spikes[~np.isnan(spikes)]
    return row | {
        "right": int(np.sum(strict == np.arange(len(patterns)))),
        "of": len(patterns),
        "first spike (s)": fired.min() if len(fired) else None,
        "least lead (s)": min(map(lead, spikes)),
        "read (W)": layer.power(waves),
    }


def _voltages(path: Path, dataset: Dataset, layer: "SiliconLayer") -> np.ndarray:
    """Return the states (classes x inputs, V) of a file of `train_on_silicon`."""
    content = read_json(path, "trained voltages on silicon")
    if content.get("format") != FORMAT or content.get("dataset") != dataset.name:
        raise ParameterError(
            f"{path}: no voltages of {dataset.name} on silicon; write them with the training "
            f"script and --silicon {layer.process.foundry}"
        )
    process = restored(Process, content["process"], "process")
    if (process.foundry, process.mismatch) != (layer.process.foundry, layer.process.mismatch):
        raise ParameterError(
            f"{path} was trained with --silicon {process.foundry} --mismatch {process.mismatch}, "
            "read it with the same"
        )
    states = np.array(content["voltages"], float)
    if states.shape != dataset.patterns.shape:
        raise ParameterError(
            f"{path}: voltages must be {dataset.patterns.shape} numbers, got {states.shape}"
        )
    return states
