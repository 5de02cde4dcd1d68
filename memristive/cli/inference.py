"""What every inference script does: reload voltages, present each training pattern in ngspice, decide, report, plot."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from memristive.cli.chip_options import trained_on
from memristive.cli.command_line import (
    Parser,
    add_quantities,
    draw,
    figures_loaded,
    file_name,
    make_parser,
    netlist_of,
    print_energy,
    progress,
    warn,
    warn_of_range,
    write_netlist,
)
from memristive.cli.experiments import OF_THE_TRAINING, Experiment, describe, network_of, schedule_of, stem_for, written_with
from memristive.io.claims import claimed
from memristive.io.results import path_in_project, results_path, write_results
from memristive.io.voltages import Voltages, load_voltages, states_of
from memristive.single_layer.energy import read_energy
from memristive.single_layer.hebbian import infer, inference_network, reading
from memristive.single_layer.scores import UNDECIDED, confusion, decide, decision_name
from memristive.single_layer.spike_decoding import lead, resolution_of
from memristive.spice.session import NgspiceSession, netlist_text
from snn_circuit import names

READ_OPTIONS = ("pulse", "period", "rise", "input_voltage", "sampling_step")  # of the schedule: phi stays at 0


def inference_script(description: str, make_experiment: Callable[..., Experiment], arguments: list[str] | None,
                     add_options: Callable[[Parser], None] = lambda parser: None) -> None:
    """An inference script from arguments to figures. `make_experiment` is called with size and encoding where given."""
    parser = make_parser(description)
    parser.add_argument("--voltages", type=file_name, metavar="FILE",
                        help="trained voltages, also in the paper's flat layout (default: "
                        f"voltages/{make_experiment().dataset.name}.json, with encoding and size where given)")
    add_options(parser)
    add_quantities(parser, make_experiment().schedule, READ_OPTIONS, OF_THE_TRAINING)
    options = parser.parse_args(arguments)
    experiment = make_experiment(**{key: getattr(options, key) for key in ("size", "encoding") if hasattr(options, key)})
    path = options.voltages or experiment.voltages_path("hebbian")
    classes, inputs = experiment.dataset.patterns.shape
    voltages = load_voltages(path, experiment.dataset.name, classes, inputs, (experiment.encoding,))
    experiment = dataclasses.replace(experiment, schedule=schedule_of(voltages, experiment.schedule, vars(options), path),
                                     network=network_of(voltages, experiment.network, path),
                                     chip=trained_on(voltages, path))
    used = describe(experiment, voltages=path_in_project(path), **states_of(voltages), **written_with(voltages))
    voltages = dataclasses.replace(voltages, states=experiment.held(voltages.states))
    name = f"{stem_for(experiment, voltages)}_inference"
    with claimed([(results_path(options.figures, name), used)], netlist_of(options), options.force):
        print(f"loaded {classes} x {inputs} cells <- {path}")
        _infer(options, experiment, voltages, used)


def _infer(options: argparse.Namespace, experiment: Experiment, voltages: Voltages, used: dict[str, Any]) -> None:
    """Present the patterns, keep the results, then report."""
    dataset, patterns = experiment.dataset, experiment.dataset.patterns
    network, schedule, classes = experiment.network, experiment.schedule, len(patterns)
    nodes = names("membrane", classes) + names("output", classes)
    write_netlist(options.netlist, lambda: netlist_text(
        inference_network(network, schedule, voltages.states, patterns, experiment.devices),
        reading(network, voltages.states, schedule.input_voltage * patterns, devices=experiment.devices), schedule.stop(classes),
        nodes, nodes))
    session = NgspiceSession()
    result = infer(session, network, schedule, voltages.states, patterns,
                   watch=lambda runs: progress(runs, classes, "inference", "pattern"), devices=experiment.devices)
    resolution = resolution_of(voltages.rule, network.neuron)
    strict, paper = decide(result.spikes, schedule, resolution)
    truth = np.arange(classes)
    energy = read_energy(session, network, schedule, voltages.states, patterns[0], experiment.devices)

    stem = stem_for(experiment, voltages)
    results = {"strict_accuracy": np.mean(strict == truth), "paper_rule_accuracy": np.mean(paper == truth),
               "decisions": [decision_name(d, dataset.labels) for d in strict], "first_spike_times": result.spikes,
               "leads": [lead(times) for times in result.spikes], "resolution": resolution, "read_energy": energy}
    print(f"wrote {write_results(options.figures, f'{stem}_inference', session, used, results)}")

    print_decisions(dataset.labels, result.spikes, strict, resolution)
    print(f"train accuracy: strict {np.sum(strict == truth)}/{classes}, "
          f"by the paper's rule {np.sum(paper == truth)}/{classes}")
    print_energy(f"presenting {dataset.labels[0]!r}", energy)
    warn_of_range(network, schedule, voltages.states, patterns, experiment.chip, own=True, rule=voltages.rule)
    warn("the chip's read noise is left out: all patterns are read in one transient" * bool(
        experiment.chip and experiment.chip.read_noise))
    figures_loaded()
    import plotting
    from memristive.cli import page_figures
    starts = [schedule.start(k) for k in range(classes)]
    draw(options, f"{stem}_membranes", page_figures.membranes_figure, result.time, result.membranes, result.outputs,
         network.neuron.threshold, dataset.labels, starts, network.neuron.output_high, shown(result.spikes))
    draw(options, f"{stem}_raster", plotting.spike_raster, result.spikes, dataset.labels)
    draw(options, f"{stem}_train_confusion", plotting.confusion, confusion(truth, strict, classes), dataset.labels,
         list(UNDECIDED.values()))


def shown(spikes: np.ndarray) -> float:
    """How much of a pulse in s is drawn: a millisecond, or more if the first of a pattern's `spikes` (x classes, s) is later."""
    latest = float(np.nanmax(np.fmin.reduce(spikes, axis=1), initial=0.0))
    return max(1e-3, 0.5e-3 * np.ceil(1.1 * latest / 0.5e-3))  # in half milliseconds, of which the axis has round numbers


def print_decisions(labels: Sequence[str], spikes: np.ndarray, decisions: np.ndarray, resolution: float) -> None:
    """Print each presented pattern's decision, first spike time and lead over the next neuron."""
    print(f"{'pattern':>7}  {'decision':>8}  {'first spike':>12}  {'lead':>12}")
    for label, times, decision in zip(labels, spikes, decisions, strict=True):
        first = "-" if np.isnan(times).all() else f"{np.nanmin(times) * 1e6:9.3f} us"
        ahead = lead(times)
        gap = "-" if np.isnan(ahead) else "fires alone" if np.isinf(ahead) else f"{ahead * 1e6:9.3f} us"
        print(f"{label:>7}  {decision_name(decision, labels):>8}  {first:>12}  {gap:>12}")
    print(f"a lead below {resolution * 1e6:g} us counts as a tie")
