"""What the test script does: reload voltages, read every test image in ngspice on all cores, score, report, plot."""

import argparse
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from datasets import encode, load_mnist
from memristive.cli.chip_options import add_carry_options, add_chip_options, aged, chip_to_test
from memristive.cli.command_line import (
    Parser,
    add_quantities,
    draw,
    figures_loaded,
    file_name,
    make_parser,
    netlist_of,
    print_energy,
    warn_of_closed_form,
    warn_of_range,
    whole_number,
    write_netlist,
)
from memristive.cli.evaluation import read_all, worker_count
from memristive.cli.experiments import (
    OF_THE_TRAINING,
    SIZE,
    Experiment,
    add_engine,
    add_size_and_encoding,
    describe,
    mnist_experiment,
    network_of,
    schedule_of,
    stem_for,
    trained_by,
    with_room,
    written_with,
)
from memristive.cli.kept import kept_if_stopped
from memristive.io.claims import claimed
from memristive.io.files import atomic_write
from memristive.io.predictions import Partial, decisions_table, refuse_fewer, table_path
from memristive.io.results import path_in_project, results_path, write_results
from memristive.io.voltages import Voltages, checksum, load_voltages, states_of
from memristive.single_layer.closed_form import BATCH, Crossbar
from memristive.single_layer.energy import read_energy
from memristive.single_layer.engines import CLOSED_FORM, NGSPICE
from memristive.single_layer.hebbian import read_network, reading
from memristive.single_layer.scores import UNDECIDED, confusion, decide, equal_templates, summary
from memristive.single_layer.spike_decoding import lead, resolution_of, strict_decision
from memristive.spice.ngspice import signals_deferred as signals_held
from memristive.spice.session import NgspiceSession, netlist_text
from snn_circuit import names

CLASSES = 10
SEEN = 100  # test images that tell whether membranes stay in range
PAPER_FIRST_100 = 0.60  # Jurj 2024, figure of the MNIST test


def testing_script(description: str, arguments: list[str] | None) -> None:
    """The test script from arguments to figures."""
    parser = make_test_parser(description)
    options = parser.parse_args(arguments)
    if options.scheduler and options.jobs:
        parser.error("--jobs has no bearing on a test with --scheduler: its workers do the work")
    for name in ("jobs", "scheduler"):
        if options.engine != NGSPICE and vars(options)[name]:
            parser.error(f"--{name} has no bearing on a test with --engine {options.engine}: it takes a second")
    experiment = mnist_experiment(options.size, options.encoding)
    path = options.voltages or experiment.voltages_path("hebbian")
    voltages = load_voltages(path, "mnist", CLASSES, options.size**2, (options.encoding,))
    given = with_room(vars(options), experiment.schedule)
    experiment = dataclasses.replace(experiment, schedule=schedule_of(voltages, experiment.schedule, given, path),
                                     network=network_of(voltages, experiment.network, path),
                                     chip=chip_to_test(options, voltages, path))
    used = describe(experiment, voltages=path_in_project(path), **states_of(voltages), **written_with(voltages),
                    trained_by=trained_by(voltages), engine=options.engine, **({"age": options.age} if options.age else {}))
    voltages = dataclasses.replace(voltages, states=aged(options, experiment.chip, voltages.states))
    name = test_stem(experiment, voltages, options.engine)
    made_with, table = {**used, "samples": options.samples}, table_path(options.figures, name)
    partial = Partial.of(options.figures, name, {**used, "states": checksum(voltages.states)})
    with claimed([(results_path(options.figures, name), made_with)], [*netlist_of(options), table, partial.path], options.force):
        refuse_fewer(options, name, options.samples)
        partial.refuse_another(options.force)
        print(f"loaded {CLASSES} x {options.size**2} cells <- {path}")
        _test(options, experiment, voltages, used, partial)


def test_stem(experiment: Experiment, voltages: Voltages, engine: str) -> str:
    """Stem of a test's files, as in mnist_test_error_driven_results.json; the engine that tested is named unless ngspice."""
    stem = stem_for(experiment, voltages).replace("mnist", "mnist_test", 1)
    return stem if engine == NGSPICE else f"{stem}_by_{engine.replace('-', '_')}"


def _test(options: argparse.Namespace, experiment: Experiment, voltages: Voltages, used: dict[str, Any],
          partial: Partial) -> None:
    """Read the images, keep decisions and scores, then report."""
    network, schedule, states = experiment.network, experiment.schedule, voltages.states
    arrays = load_mnist("x_test", "y_test", first=options.samples)
    images, labels = encode(arrays["x_test"], options.size, options.encoding), arrays["y_test"].astype(int)
    del arrays
    write_netlist(options.netlist, lambda: _first_read(experiment, states, images[0]))

    stem, resolution = test_stem(experiment, voltages, options.engine), resolution_of(voltages.rule, network.neuron)
    start, table = time.perf_counter(), table_path(options.figures, stem)
    spikes = _read(options, experiment, voltages, images, labels, partial)
    seconds = time.perf_counter() - start
    with signals_held():  # the reads of minutes are there
        atomic_write(table, decisions_table(range(len(labels)), labels, spikes, schedule, resolution))
    scores = summary(labels, spikes, schedule, resolution) | {"seconds": seconds}
    # On a chip no two cells are alike, and images that overlap two templates alike may well be decided.
    templates = voltages.rule == "hebbian" and options.encoding == "binary" and experiment.chip is None
    if templates:
        scores["equal_templates"] = equal_templates(experiment.dataset.patterns, images)
    session = NgspiceSession() if options.engine == NGSPICE else None
    if session:
        scores["read_energy"] = read_energy(session, network, schedule, states, images[0], experiment.devices)
    results = write_results(options.figures, stem, session, used, scores)
    partial.drop(len(labels))
    print(f"wrote {table}\nwrote {results}")

    print_scores(scores, of_the_paper=templates and options.size == SIZE)
    if session:
        print_energy("presenting the first image", scores["read_energy"])
    warn_of_range(network, schedule, states, images[:SEEN], experiment.chip, rule=voltages.rule)
    if not session:
        warn_of_closed_form(network, schedule)
    figures_loaded()
    import plotting
    from memristive.cli.page_figures import lead_histogram
    strict, _ = decide(spikes, schedule, resolution)
    digits = experiment.dataset.labels
    counts = confusion(labels, strict, CLASSES)
    draw(options, f"{stem}_confusion", plotting.confusion, counts, digits, list(UNDECIDED.values()))
    draw(options, f"{stem}_leads", lead_histogram, np.array([lead(times) for times in spikes[strict >= 0]]))


def make_test_parser(description: str) -> Parser:
    """The script's options."""
    parser = make_parser(description)
    parser.add_argument("--voltages", type=file_name, metavar="FILE",
                        help="trained voltages, also in the paper's flat layout (default: "
                        "voltages/mnist.json, with encoding and size where given)")
    parser.add_argument("--samples", type=whole_number(1, 10000), default=10000, metavar="N",
                        help="only the first N test images, 1 to 10000 (default: all 10000)")
    parser.add_argument("--jobs", type=whole_number(1, 1024), metavar="N",
                        help="worker processes, each with its own ngspice (default: one a core)")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT",
                        help="use the workers of this Dask scheduler instead (pip install -r requirements/cluster.txt)")
    add_engine(parser, "reads the images")
    add_size_and_encoding(parser)
    add_carry_options(parser)
    add_chip_options(parser)
    add_quantities(parser, mnist_experiment(SIZE).schedule, ("pulse", "rise", "input_voltage", "sampling_step"), OF_THE_TRAINING)
    return parser


def _read(options: argparse.Namespace, experiment: Experiment, voltages: Voltages, images: np.ndarray, labels: np.ndarray,
          partial: Partial) -> np.ndarray:
    """First spikes of all `images`. A run that ends early, for whatever reason, keeps what is finished in `partial`."""
    schedule, states = experiment.schedule, voltages.states
    resolution = resolution_of(voltages.rule, experiment.network.neuron)
    found = np.full((len(images), len(states)), np.nan)
    seen = np.zeros(len(images), bool)
    with kept_if_stopped(lambda: partial.keep(np.flatnonzero(seen), labels[seen], found[seen], schedule, resolution)):
        _read_all(options, experiment, states, images, labels, resolution, found, seen)
    return found


def _read_all(options: argparse.Namespace, experiment: Experiment, states: np.ndarray, images: np.ndarray, labels: np.ndarray,
              resolution: float, found: np.ndarray, seen: np.ndarray) -> None:
    """Fill `found` with first spikes, and say in `seen` which images have theirs."""
    right = np.zeros(len(images), bool)
    with tqdm(total=len(images), desc="testing", unit="image", dynamic_ncols=True, leave=False, disable=None) as bar:
        def watch(indices: Sequence[int], spikes: np.ndarray) -> None:
            for k, times in zip(indices, spikes, strict=True):
                found[k], right[k], seen[k] = times, strict_decision(times, resolution) == labels[k], True
            bar.set_postfix(accuracy=f"{right[seen].mean():.1%}", refresh=False)
            bar.update(len(indices))

        if options.engine == CLOSED_FORM:
            for first in range(0, len(images), BATCH):
                batch = images[first:first + BATCH]
                watch(range(first, first + len(batch)), _computed(experiment, states, batch, first))
        else:
            read_all(experiment.network, experiment.schedule, states, images, options.jobs or worker_count(), options.scheduler,
                     watch, bar.write, experiment.chip)


def _computed(experiment: Experiment, states: np.ndarray, images: np.ndarray, first: int) -> np.ndarray:
    """First spikes of `images` by the closed form, the first of them being image number `first` of the test."""
    network, schedule, chip = experiment.network, experiment.schedule, experiment.chip
    crossbar = chip.crossbar(network, schedule) if chip else Crossbar.of(network, schedule)
    if chip and chip.read_noise:
        return np.array([crossbar.with_jitter(chip.jitter("test", first + k)).read(states, image).spikes
                         for k, image in enumerate(images)])
    return crossbar.first_spikes(states, images)


def _first_read(experiment: Experiment, states: np.ndarray, image: np.ndarray) -> str:
    """The netlist of the whole network, reading the first image."""
    nodes = names("membrane", CLASSES) + names("output", CLASSES)
    schedule = experiment.schedule
    circuit = read_network(experiment.network, schedule, states, image, "MNIST test, first image", experiment.devices)
    solver = reading(experiment.network, states, schedule.input_voltage * image, devices=experiment.devices)
    return netlist_text(circuit, solver, schedule.pulse, nodes, nodes)


def _share(value: float) -> str:
    """A share in per cent, or that there is none."""
    return "-" if np.isnan(value) else f"{value:.1%}"


def print_scores(scores: dict[str, Any], of_the_paper: bool) -> None:
    """Print the scores as an aligned table; beside those of a network `of_the_paper` its number."""
    low, high = scores["strict_interval_95"]
    count = scores["samples"]
    rows = [("images", f"{count}"),
            ("strict accuracy", f"{scores['strict_accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})"),
            ("paper's rule", f"{scores['paper_rule_accuracy']:.2%}"),
            (f"paper's rule, first {min(100, count)}",
             f"{scores['paper_rule_first_100']:.0%}" + f" (paper: {PAPER_FIRST_100:.0%})" * (of_the_paper and count >= 100)),
            ("top-3 accuracy", f"{scores['top3_accuracy']:.2%}"),
            ("silent, tied", f"{scores['silent']}, {scores['tied']} (a lead below {scores['resolution'] * 1e6:.3g} us is a tie)"),
            ("recall by class", "  ".join(f"{digit}: {_share(value)}" for digit, value in enumerate(scores["recall"]))),
            ("time", f"{scores['seconds']:.1f} s, {scores['seconds'] / count * 1e3:.1f} ms an image")]
    if "equal_templates" in scores:
        equal = f"{scores['equal_templates']:.2%} of the images: tied, or silent, by construction"
        rows.insert(-2, ("two best templates equal", equal))
    for name, value in rows:
        print(f"{name:<24} {value}")
