"""Networks of several layers, whose errors flow back through the same memristors: train one, test it (docs/layers.md).

--data mnist: MNIST's grey images; digits: scikit-learn's 8x8 digits, one split of 1,437 and 360 a seed; mnist_shifted and
digits_shifted: the same, trained also on copies moved by a pixel (of 28) or half a pixel (of 8); xor: what one layer cannot.
Writes voltages/layers_DATA.json, figures/layers_DATA_results.json and pictures. In the closed form about a minute for MNIST,
seconds for the others; with --engine ngspice every read, back-read and write is a transient: seconds for XOR, hours for digits.
--test-only reads a voltages file and tests it, with --test-engine ngspice image by image, a line an image in
figures/layers_DATA_test_decisions.csv.gz. --netlist writes the whole network, reading one image.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import dataclasses
import functools
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

import plotting
from memristive.cli.chip_options import add_chip_options, chip_to_test, chosen_chip
from memristive.cli.command_line import (
    BEFORE_TRAINING,
    Parser,
    add_quantities,
    draw,
    file_name,
    make_parser,
    netlist_of,
    quantities,
    whole_number,
    write_netlist,
)
from memristive.cli.evaluation import worker_count
from memristive.cli.experiments import SIZE, VOLTAGES, say_of_cells_that_are_off
from memristive.cli.page_figures import learning_figure
from memristive.io.checkpoints import checkpoint_path
from memristive.io.claims import claimed, differences
from memristive.io.files import atomic_write
from memristive.io.predictions import Partial, decisions_table, refuse_fewer, table_path
from memristive.io.results import load_results, path_in_project, results_path, versions, write_results
from memristive.io.voltages import FORMAT, Voltages, VoltagesError, checksum, save_layers, states_of
from memristive.multilayer.layer_network import LayeredNetwork
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.engines import CLOSED_FORM, ENGINES, NGSPICE
from memristive.single_layer.error_rule import learning_curve
from memristive.single_layer.scores import UNDECIDED, confusion
from memristive.single_layer.spike_decoding import RESOLUTION, strict_decision
from memristive.spice.ngspice import signals_deferred as signals_held
from memristive.spice.session import NgspiceSession
from studies import layers_figures
from studies.error_example import an_error, energies, print_energies, read_back
from studies.layer_experiments import (
    SPLIT,
    TASKS,
    LayeredData,
    LayeredPlan,
    LayeredTask,
    LayeredTraining,
    first_read,
    load_network,
    on_chip,
    read_tests,
    refuse_idle,
    refuse_size,
    rule_of,
    scores,
    stem_of,
    warn_of_layers,
)

LAYERS = "layers"  # the rule that their files name
UNTRAINED = ("engine", "hidden", "resume", "seeds", *(field.name for field in dataclasses.fields(LayeredRule)))


def make_layers_parser() -> Parser:
    """The study's options."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", choices=list(TASKS), default="mnist", help="what to learn (default: mnist)")
    parser.add_argument("--hidden", type=whole_number(1, 10000), nargs="*", metavar="N", help="neurons of each hidden layer; "
                        "nothing for a single layer (default: 200; 300 for mnist_shifted, 100 for digits, 16 for xor)")
    parser.add_argument("--size", type=int, choices=range(4, 29), metavar="N",
                        help=f"MNIST images are shrunk to N x N pixels, 4 to 28 (default: {SIZE})")
    parser.add_argument("--engine", choices=ENGINES, help="what trains (default: closed-form)")
    parser.add_argument("--test-engine", choices=ENGINES, default=CLOSED_FORM, help="what tests (default: closed-form)")
    parser.add_argument("--test-only", action="store_true", help="train nothing: test the network in --voltages")
    parser.add_argument("--samples", type=whole_number(1, 10000), metavar="N", help="only the first N test images (default: all)")
    parser.add_argument("--voltages", type=file_name, metavar="FILE",
                        help="where the voltages go, or with --test-only come from (default: "
                        "voltages/layers_DATA.json, with the size where given)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of an interrupted training")
    parser.add_argument("--seeds", type=whole_number(1, 1000), metavar="K", help="train and test K networks, from --seed on; the "
                        "voltages kept are the first one's (default: 1)")
    parser.add_argument("--carry-over", action="store_true",
                        help="with --test-only: test on another chip than the one trained on, the ex-situ case")
    parser.add_argument("--jobs", type=whole_number(1, 1024), metavar="N",
                        help="worker processes that test in ngspice (default: one a core)")
    add_chip_options(parser)
    add_quantities(parser, LayeredRule())
    return parser


def refuse_ignored(parser: Parser, options: argparse.Namespace) -> None:
    """End with one line if an option is given that would be ignored."""
    refuse_size(parser, options.data, options.size)
    for name in UNTRAINED if options.test_only else ():
        given = vars(options).get(name)
        if given is not None and given is not False:  # 0 is given as well
            parser.error(f"--{name.replace('_', '-')} has no bearing on a test with --test-only: nothing is trained")
    if options.jobs and options.test_engine != NGSPICE:
        parser.error("--jobs has no bearing on a test by the closed form: give --test-engine ngspice as well")
    if options.carry_over and not options.test_only:
        parser.error("--carry-over needs --test-only: what is trained here is tested on its own chip")


def main(arguments: list[str] | None = None) -> None:
    """Run the study with the given command-line arguments."""
    parser = make_layers_parser()
    options = parser.parse_args(arguments)
    refuse_ignored(parser, options)
    options.size = options.size or SIZE
    task, stem = TASKS[options.data], stem_of(options.data, options.size)
    path = Path(options.voltages or VOLTAGES / f"{stem}.json")
    (judge_saved if options.test_only else train_and_test)(parser, options, task, stem, path)


def counted(parser: Parser, options: argparse.Namespace, data: LayeredData) -> int:
    """How many test images are asked for; a refusal if there are not as many."""
    if (options.samples or 0) > len(data.test_labels):
        parser.error(f"--samples: {options.data} has {len(data.test_labels)} test images, got {options.samples}")
    return options.samples or len(data.test_labels)


def judge_saved(parser: Parser, options: argparse.Namespace, task: LayeredTask, stem: str, path: Path) -> None:
    """Test the network in a voltages file."""
    network, voltages = load_network(path, task, options.size)
    rule = rule_of(voltages, path)
    data, chip = task.data(options.size, rule.seed), chip_to_test(options, voltages, path)
    network, count, session = on_chip(network, chip), counted(parser, options, data), NgspiceSession()
    kept = {key: voltages.origin.get(key) for key in ("learning", "engine", "network", "design")}
    used = {"dataset": task.name, "sizes": network.sizes, **kept, "voltages": path_in_project(path), "samples": count,
            **states_of(voltages, *network.states), **({"chip": chip.as_dict()} if chip else {}),
            "test_engine": options.test_engine}
    name = f"{stem}_test" if options.test_engine == NGSPICE else f"{stem}_test_by_closed_form"
    table = table_path(options.figures, name)
    partial = Partial.of(options.figures, name, {**used, "states": used["states"]["number"]})
    with claimed([(results_path(options.figures, name), used)], [*netlist_of(options), table, partial.path], options.force):
        refuse_fewer(options, name, count)
        partial.refuse_another(options.force)
        print(f"loaded {' - '.join(map(str, network.sizes))} neurons <- {path}")
        write_netlist(options.netlist, lambda: first_read(network, data.test_images[0]))
        images, labels = data.test_images[:count], data.test_labels[:count]
        warn_of_layers(network, images)
        start = time.perf_counter()
        spikes = read_tests(network, images, labels, options.test_engine, partial, options.jobs or worker_count())
        seconds = time.perf_counter() - start
        with signals_held():  # the reads of an hour are there
            atomic_write(table, decisions_table(range(count), labels, spikes, None, RESOLUTION))
        found = scores(labels, spikes) | {"seconds": seconds}
        if options.test_engine == NGSPICE:
            found["energy"] = energies(session, network, rule, an_error(network, rule, data))
        partial.drop(count)
        print(f"wrote {table}\nwrote {write_results(options.figures, name, session, used, found)}")
    print_scores(found, options.test_engine)
    if "energy" in found:
        print_energies(found["energy"])
    counts = confusion(labels, np.array([strict_decision(times) for times in spikes]), task.classes)
    draw(options, f"{name}_confusion", plotting.confusion, counts, task.names, list(UNDECIDED.values()))
    pictures(options, name, network, task, rule, data, session)  # beside the training's own, which may be another network's


def train_and_test(parser: Parser, options: argparse.Namespace, task: LayeredTask, stem: str, path: Path) -> None:
    """Train one network, or one a seed, and test each."""
    hidden = task.hidden if options.hidden is None else tuple(options.hidden)
    refuse_idle(parser, options, hidden)
    plan = LayeredPlan(task, quantities(task.rule, vars(options)), hidden, options.size, options.engine or CLOSED_FORM)
    data, session, seeds = plan.data(), NgspiceSession(), options.seeds or 1
    # A chip is named by the shape of its last layer.
    chip = chosen_chip(options, task.classes, (hidden[-1] if hidden else data.images.shape[1]) + 1)
    plan, count = dataclasses.replace(plan, chip=chip), counted(parser, options, data)
    tested = {**plan.as_dict(), "seeds": seeds, "samples": count, "test_engine": options.test_engine}
    earlier = {key: value for key, value in tested.items() if key != "seeds"}  # of fewer networks
    made_with = [(path, {**plan.as_dict(), "rule": LAYERS, "format": FORMAT}),
                 (results_path(options.figures, stem), earlier if options.resume else tested)]
    checkpoints = [checkpoint_of(path, number) for number in range(seeds)]
    partials = [partial_of(options, stem, plan.rule.seed + number).path for number in range(seeds)]
    with claimed(made_with, [*netlist_of(options), *checkpoints, *partials], options.force):
        kept = finished(options, stem, tested) if seeds > 1 and (options.resume or not options.force) else []
        rows = not_begun_again(kept, path) if options.resume else []
        trainings = begun(options, plan, data, path, len(rows))
        first, wrote = trainings[0], results_path(options.figures, stem)
        for training in trainings:
            partial_of(options, stem, training.plan.rule.seed, training.parameters).refuse_another(options.force)
        if rows:
            print(f"{len(rows)} of {seeds} networks are finished: {wrote}")
            network, voltages = load_network(path, task, options.size)
            others = differences(voltages.origin, plan.as_dict())
            if not states_of(voltages, *network.states)["states"]["as_trained"]:
                others.append("its voltages (changed since)")
            if others:
                raise VoltagesError(f"{path}: is not the first of the finished networks: {', '.join(others)}; give its file")
            first.learning.network = on_chip(network, plan.chip)
        write_netlist(options.netlist, lambda: first_read(first.network, data.images[0]), BEFORE_TRAINING)
        store = functools.partial(write_results, options.figures, stem, session, {**first.parameters, **tested})
        for training in trainings[len(rows):]:
            training.train()
            if training is first:
                keep(first, path, session)
            rows.append(judge(training, options, count, stem))
            if len(rows) >= len(kept):  # fewer would be lost with the next interruption: those there are the very same
                store(results(rows))
            if training is first and NGSPICE in (plan.engine, options.test_engine):  # which takes a minute
                rows[0]["energy"] = energies(session, first.network, plan.rule, an_error(first.network, plan.rule, data))
                if len(rows) >= len(kept):
                    store(results(rows))
            training.kept()
        print(f"wrote {wrote}")
    if "energy" in rows[0]:
        print_energies(rows[0]["energy"])
    if first.learning.done:  # of a network from its voltages file nobody knows how it learned
        accuracy, writes = learning_curve(first.learning.history)
        shown = np.unique(np.linspace(0, len(accuracy) - 1, 2000).astype(int))
        draw(options, f"{stem}_learning", learning_figure, accuracy[shown], writes[shown], shown + 1)
    pictures(options, stem, first.network, task, plan.rule, data, session)


def checkpoint_of(path: Path, number: int) -> Path:
    """Where the progress of network `number` of several goes; `path`: where the first one's voltages go."""
    return checkpoint_path(path.with_stem(f"{path.stem}_{number + 1}") if number else path)


def finished(options: argparse.Namespace, stem: str, made_with: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of those networks of several that a run has finished: one that was interrupted, or one of fewer networks."""
    found = load_results(options.figures, stem) if results_path(options.figures, stem).exists() else {}
    parameters = found.get("parameters", {}) if isinstance(found, dict) else {}
    stored = parameters.get("seeds", 1) if isinstance(parameters, dict) else 0
    seeds = min(stored, made_with["seeds"]) if isinstance(stored, int) else 0
    if not parameters or not seeds or differences(parameters, {**made_with, "seeds": seeds}):
        return []
    row = {key: value for key, value in found.items() if key not in ("parameters", "versions")}
    rows: list[dict[str, Any]] = found.get("all_seeds", [row])
    try:  # the file may have been in other hands
        whole = [row["seed"] for row in rows] == [made_with["learning"]["seed"] + k for k in range(len(rows))]
        whole = whole and all(0 <= row["strict_accuracy"] <= 1 for row in rows)
    except (KeyError, TypeError):
        whole = False
    return rows if whole and len(rows) <= seeds else []


def not_begun_again(rows: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Those of the finished `rows` before the first whose training has been interrupted since."""
    begun_again = (number for number in range(len(rows)) if checkpoint_of(path, number).exists())
    return rows[:next(begun_again, len(rows))]


def begun(options: argparse.Namespace, plan: LayeredPlan, data: LayeredData, path: Path, done: int) -> list[LayeredTraining]:
    """The trainings of all seeds; but for the first `done` at their start, or where an interrupted run left them."""
    found: list[LayeredTraining] = []
    some = any(checkpoint_of(path, number).exists() for number in range(options.seeds or 1))
    for number in range(options.seeds or 1):
        own = dataclasses.replace(plan, rule=dataclasses.replace(plan.rule, seed=plan.rule.seed + number))
        checkpoint = checkpoint_of(path, number)
        training = LayeredTraining(own, own.data() if plan.task.name in SPLIT else data, checkpoint)
        if number >= done:
            training.begin(options.resume and (checkpoint.exists() or (number == 0 and not some)), options.force)
        found.append(training)
    return found


def keep(training: LayeredTraining, path: Path, session: NgspiceSession) -> None:
    """Save what has been learned."""
    network, made = training.network, training.parameters
    origin = {**made, "versions": versions(session), "states": checksum(*network.states)}
    save_layers(path, network.states, Voltages(network.states[-1], made["dataset"], "grey", LAYERS, origin))
    print(f"trained {' - '.join(map(str, network.sizes))} neurons by {made['engine']} in {training.seconds:.1f} s, "
          f"{len(training.learning.history)} presentations, {int(training.learning.history[:, 1].sum())} wrote -> {path}")


def partial_of(options: argparse.Namespace, stem: str, seed: int, made: Mapping[str, Any] = MappingProxyType({})) -> Partial:
    """Where the decisions go if the test of the network `made` of a seed ends early: of several, each has a file of its own."""
    return Partial.of(options.figures, stem + f"_seed_{seed}" * bool(options.seeds), {**made, "test_engine": options.test_engine})


def judge(training: LayeredTraining, options: argparse.Namespace, count: int, stem: str) -> dict[str, Any]:
    """Test what has been learned; what the results say of one seed."""
    images, labels = training.data.test_images[:count], training.data.test_labels[:count]
    partial = partial_of(options, stem, training.plan.rule.seed, training.parameters)
    warn_of_layers(training.network, images, start=training.start)
    say_of_cells_that_are_off(training.plan.engine, training.network.parameters.memristor, *training.network.states)
    spikes = read_tests(training.network, images, labels, options.test_engine, partial, options.jobs or worker_count())
    partial.drop(count)
    found = scores(labels, spikes)
    print_scores(found, options.test_engine, f"seed {training.plan.rule.seed}: " if options.seeds else "")
    writes = int(training.learning.history[:, 1].sum())
    return {"seed": training.plan.rule.seed, "seconds": training.seconds, "writes": writes, **found}


def results(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The first seed's row as it is, and all rows with their mean where there are several."""
    if len(rows) == 1:
        return rows[0]
    accuracies = [row["strict_accuracy"] for row in rows]
    return {**rows[0], "mean_strict_accuracy": float(np.mean(accuracies)), "all_right": accuracies.count(1.0), "all_seeds": rows}


def pictures(options: argparse.Namespace, stem: str, network: LayeredNetwork, task: LayeredTask, rule: LayeredRule,
             data: LayeredData, session: NgspiceSession) -> None:
    """Draw what there is to see of a network with hidden neurons."""
    if len(network.states) == 1:
        return
    names, shape = task.names, task.shape(options.size)
    if min(shape) > 1:
        draw(options, f"{stem}_hidden", layers_figures.hidden_images, network, shape, names)
    draw(options, f"{stem}_raster", layers_figures.raster, network, data.test_images[0], shape, int(data.test_labels[0]), names)
    error = an_error(network, rule, data)
    draw(options, f"{stem}_back_read", layers_figures.back_read, *read_back(session, network, error), rule, str(error))


def print_scores(found: dict[str, Any], engine: str, who: str = "") -> None:
    """Print the accuracy with its interval."""
    low, high = found["strict_interval_95"]
    print(f"{who}strict accuracy {found['strict_accuracy']:.2%} on {found['samples']} test images by {engine} (95 % interval "
          f"{low:.2%} to {high:.2%}); {found['silent']} silent, {found['tied']} tied")


if __name__ == "__main__":
    sys.exit(run(main))
