"""How well does a network learn your images, in a circuit of your device? (docs/layers.md)

DATA is a data set of the project, or a file of your own images. The network has one layer
(--hidden), several ones, through which errors flow back, or a convolution (--convolution). Cells
are the paper's emulators, or measured devices (--device), which may write late. --engine selects
what trains, --test-engine what reads the test images: ngspice or the closed form. Images of mnist
are grey, and mnist_shifted is also trained on copies shifted by a pixel. Each seed of digits,
scikit-learn's, has its own split into 1,437 and 360 images. One layer cannot learn xor. --held-out
tests on a sixth of the training images, at most 10,000: settings are chosen so.

Writes voltages/layers_NAME.json, results/layers/layers_NAME.json and figures/layers_NAME_*.png, or
convolution_NAME; for your own files all in own/. In closed form one to two minutes for MNIST, ten
for a convolution, seconds for the others; in ngspice 2 minutes for 10 networks of XOR, hours for
the digits. Ctrl-C saves a checkpoint for --resume. `memristive test` tests the network again.
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.parallel import run_tasks
from memristive.cli.reading import read_images
from memristive.cli.runs import data_of, tuned
from memristive.cli.script import (
    NETWORKS,
    Record,
    add_resume,
    apply_settings,
    changed_settings,
    keep_apart,
    make_parser,
    table,
    whole_number,
)
from memristive.datasets import Dataset, Images
from memristive.devices.measured_device import load_device
from memristive.engines.read_netlist import netlist
from memristive.io.networks import describe_network, load
from memristive.io.nir_graph import drives
from memristive.io.records import (
    check_overwriting,
    checkpoint_at_interrupt,
    checkpoint_path,
    report,
    resumed,
    save_checkpoint,
    to_json,
)
from memristive.io.voltages import save_voltages
from memristive.io.weights import load_weights
from memristive.learning.build import build
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning, learning_curve, train
from memristive.network.chip import chosen_chip, load_chip
from memristive.network.convolution import Convolution
from memristive.network.design import CLOSED_FORM, NGSPICE
from memristive.network.networks import Network, network_on_chip
from memristive.network.recipe import AT_ONCE, LATE, Conv, Dense, Recipe
from memristive.parameters import Fields, ParameterError
from memristive.plotting import WIDTH
from memristive.progress import progress
from memristive.scores.checks import warn_of_layers
from memristive.scores.decisions import score_row
from memristive.writing.pulses import Counts, no_counts

LARGE = 28  # pixels a side
HIDDEN = (100,)  # neurons of a hidden layer of emulators, by default
SHOWN = 32  # kernels that are drawn
CHECKPOINT_EVERY = 30  # s


def main(arguments: list[str] | None = None) -> None:
    """Train and test a network for each seed, and draw figures of the first network."""
    parser = add_resume(make_parser(__doc__, "layers", netlist=True))
    parser.add_common("--data", "mnist")
    parser.add_common("--hidden", None, "default: what suits the images; with --device none")
    parser.add_argument("--size", type=int, metavar="N", help="shrink images to N x N pixels")
    parser.add_argument(
        "--convolution",
        action="store_true",
        help="the first layer reads the image window by window; --hidden are layers above it",
    )
    for name, meaning in {
        "--kernels": "with --convolution: columns that read a window; two numbers: a convolution "
        "above a convolution",
        "--window": "pixels a side of a window",
        "--regions": "regions a side, each with the first spike of a kernel",
        "--stride": "pixels from one window to the next",
        "--overlap": "patches by which each region reaches into its neighbours",
    }.items():
        number = whole_number(int(name != "--overlap"), 10_000)
        parser.add_argument(name, type=number, nargs="+", metavar="N", help=meaning)
    parser.add_common("--device", None, "default: the paper's emulator")
    parser.add_number("--pairs", 0, 64, 1, "with --device: pairs of a synapse; 0: single cells")
    parser.add_argument("--late", action="store_true", help="with --device: synapses write late")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="start from a ReLU network of other software: .npz, .safetensors or .nir",
    )
    parser.add_argument("--held-out", action="store_true", help="test on held-out training images")
    parser.add_common("--engine", CLOSED_FORM)
    parser.add_common("--test-engine", CLOSED_FORM)
    parser.add_common("--samples", None)
    parser.add_common("--seeds", 1, "from rule.seed on; the first network is saved; default: 1")
    parser.add_common("--chip", None)
    parser.add_common("--voltages", None, "default: voltages/NAME.json")
    options = parser.parse_args(arguments)
    if options.late and not options.device:
        raise ParameterError("--late is for measured devices, so it needs --device")
    if options.weights and (options.hidden or options.convolution):
        raise ParameterError("--weights has its own layers: leave --hidden and --convolution out")
    folder = keep_apart(options, options.device, options.weights, options.data)

    # 1. Data, cells, layers, rule and chip.
    dataset, start, rule = start_of(options)(0)
    device = load_device(options.device).name if options.device else None
    stem = "convolution" if options.convolution else "layers"
    stem += f"_{dataset.name}{dataset.size_suffix * (not options.convolution)}"
    stem += f"_{options.weights.stem}" if options.weights else ""
    stem += f"_{device}" + "_late" * options.late if device else ""
    if options.convolution and options.results is options.default_results:
        options.results = options.results.with_name("convolution")
    beside = "_network" * (folder != NETWORKS)  # the record has the plain name
    path = options.voltages or folder / f"{stem}{beside}.json"
    made_with = describe_network(dataset.name, dataset.shape, start, rule, options.engine)
    made_with |= dataset.recorded
    if options.weights:
        made_with["weights_of"] = options.weights.name
    kind = {}
    if options.convolution or device or options.held_out or options.weights:
        weights = sum(layer.neurons * layer.rows for layer in start.layers)
        kind = {"device": device, "weights": weights, "held_out": options.held_out}
    parameters = {
        **made_with,
        **kind,
        "seeds": options.seeds,
        "samples": len(dataset.test.labels[: options.samples]),
        "test_engine": options.test_engine,
    }
    check_overwriting(
        path, made_with, options.force, [options.chip], "--voltages FILE --results DIR"
    )
    record = Record(options, stem, parameters, [options.chip, path])
    record.write_netlist(
        functools.partial(
            netlist,
            start,
            dataset.training.levels[0],
            dataset.labels,
            "training image 0",
        )
    )

    # 2. Train and test the networks, with a checkpoint from time to time and at Ctrl-C.
    def trained(learning: Learning) -> None:
        first = learning.network.states
        ngspice = options.engine == NGSPICE
        recipe: Fields = {"recipe": start.recipe.as_dict()} if start.recipe else {}
        save_voltages(path, first, ngspice=ngspice, overwrite=True, **made_with, **recipe)
        record.plot(plotting.learning_figure(*learning_curve(learning.history)), "learning")

    rows = train_and_test(options, path, parameters, trained)

    # 3. Save.
    accuracies = [row["strict_accuracy"] for row in rows]
    results = {"rows": rows, "mean_strict_accuracy": np.mean(accuracies)}
    if not kind:
        results["networks_without_mistakes"] = accuracies.count(1.0)
    record.write(results, ngspice=not kind or NGSPICE in (options.engine, options.test_engine))
    for checkpoint in checkpoints_of(path, options.seeds):
        checkpoint.unlink(missing_ok=True)

    # 4. Print, and draw the kernels of the first network.
    pulses = ("pulses a cell",) if "pulses_a_cell" in rows[0] else ()
    heading = ("seed", "accuracy (%)", "95 % interval", "silent", "tied", "images that wrote")
    print(table((*heading, *pulses), list(map(shown, rows))))
    if options.convolution:
        record.plot(kernels_figure(load(path)), "kernels")


Start = Callable[[int], tuple[Dataset, Network, LayeredRule]]


def start_of(options: argparse.Namespace) -> Start:
    """Return a function that gets the number of a seed, counted from 0, and returns data, untrained
    network and rule.
    """
    size = options.size
    if options.convolution and not size and tuned(options.data, True):
        size = None if options.data == "digits" else LARGE
    data = functools.partial(data_of, options.data, size, options.held_out)
    if options.weights:
        return tuned_weights(options, data)
    recipe = recipe_of(options)
    first = data()
    images, classes = first.training.levels.reshape(-1, *first.shape), len(first.labels)
    network, rule = build(recipe, images, classes)
    groups = {
        "memristor": network.parameters.memristor,
        "neuron": network.parameters.neuron,
        "design": network.design,
        "rule": rule,
        "chip": chosen_chip(options.chip or "ideal", None, (classes, network.states[-1].shape[1])),
    }
    changes = changed_settings(options, **groups)
    seed = int(changes.pop("rule.seed", recipe.seed))
    recipe = recipe.changed(changes)

    def start_with(number: int) -> tuple[Dataset, Network, LayeredRule]:
        seeded = recipe.replace(seed=seed + number)
        seen = data(seeded.seed)
        images = seen.training.levels.reshape(-1, *seen.shape)
        start, rule = build(seeded.spread(), images, classes)
        return seen, start, rule  # type: ignore[return-value]  # layers have this rule

    return start_with


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Return the recipe of the options, without --set."""
    known = None if options.size else tuned(options.data, options.convolution, bool(options.device))
    recipe = known or Recipe(() if options.device or options.convolution else HIDDEN)
    layers = list(recipe.layers or ())
    if options.convolution:
        fields = ("kernels", "window", "regions", "stride", "overlap")
        given = {name: getattr(options, name) or [] for name in fields}
        count = max(1, *map(len, given.values()))
        if count > 1:  # the tuned recipe has one
            recipe = Recipe([Conv()] * count)
        layers = [
            dataclasses.replace(layer, **{name: of[k] for name, of in given.items() if of[k:]})
            for k, layer in enumerate(recipe.convolutions or [Conv()])
        ]
        layers += map(Dense, options.hidden or ())
    elif options.hidden is not None:
        layers = list(map(Dense, options.hidden))
    return Recipe(
        layers,
        options.device,
        LATE if options.late else AT_ONCE,
        options.pairs if options.device else None,
        options.chip,
        changes=recipe.changes,
    )


def tuned_weights(options: argparse.Namespace, data: Callable[..., Dataset]) -> Start:
    """Return the function of `start_of` for a network with the weights of other software."""
    dataset = data()
    device = load_device(options.device) if options.device else None
    levels = dataset.training.levels.reshape(-1, *dataset.shape)
    network, loaded = load_weights(
        options.weights,
        levels,
        device,
        options.pairs,
        options.late,
        labels=dataset.training.labels,
    )
    shape = network.states[-1].shape
    rule, chip = apply_settings(
        options, rule=loaded, chip=load_chip(options.chip or "ideal", len(dataset.labels), shape[1])
    )
    network = network_on_chip(network, None if chip.ideal else chip)

    def start_with(number: int) -> tuple[Dataset, Network, LayeredRule]:
        seeded = dataclasses.replace(rule, seed=rule.seed + number)
        return data(seeded.seed), network, seeded

    return start_with


def shown(row: Fields) -> tuple[object, ...]:
    """Return a row of the record as cells of a table to print."""
    low, high = (100 * row[f"interval_95_{end}"] for end in ("low", "high"))
    return (
        row["seed"],
        f"{100 * row['strict_accuracy']:.2f}",
        f"{low:.1f} to {high:.1f}",
        row["silent"],
        row["tied"],
        f"{row['presentations_that_wrote']:,}",
        *(f"{row[name]:,.1f}" for name in ("pulses_a_cell",) if name in row),
    )


@dataclass(frozen=True)
class SeedTraining:
    """Training of the network of one seed.

    Parameters
    ----------
    options : Namespace
    parameters : dict
        Parameters of the record.
    number : int
        Of the seed, counted from 0.
    checkpoint : Path
    alone : bool
        No other network is trained at the same time.
    """

    options: argparse.Namespace
    parameters: Fields
    number: int
    checkpoint: Path
    alone: bool


def train_and_test(
    options: argparse.Namespace,
    path: Path,
    parameters: Fields,
    trained: Callable[[Learning], None],
) -> list[Fields]:
    """Train and test a network for each seed, several at a time with --jobs or --scheduler; return
    their rows: scores, and pulses a cell if they are written by pulses.

    Each network has a checkpoint beside `path`, the file of the first one, which the caller deletes
    once the record is written. `trained` gets the training of the first network.
    """
    checkpoints, rows = checkpoints_of(path, options.seeds), {}
    if options.resume and not any(map(Path.exists, checkpoints)):
        resumed(checkpoints[0], parameters, True, options.force)  # raises
    for number, checkpoint in enumerate(checkpoints):
        resume = options.resume and checkpoint.exists()
        state = resumed(checkpoint, parameters, resume, options.force) or {}
        if "row" in state:
            rows[number] = json.loads(str(state["row"]))
        elif not resume:
            checkpoint.unlink(missing_ok=True)
    left = [number for number in range(options.seeds) if number not in rows]
    alone = len(left) == 1 or (options.jobs == 1 and not options.scheduler)
    tasks = [SeedTraining(options, parameters, k, checkpoints[k], alone) for k in left]
    results = run_tasks(train_one, tasks, options.jobs, options.scheduler, None, "networks")
    try:
        for k, (row, learning) in results:
            if learning:
                trained(learning)
            rows[left[k]] = row
            save_checkpoint(checkpoints[left[k]], {"row": to_json(row)}, parameters)
    except BaseException:
        if not alone and any(map(Path.exists, checkpoints)):
            report(f"saved checkpoints beside {path}; go on with --resume")
        raise
    return [rows[number] for number in range(options.seeds)]


def checkpoints_of(path: Path, seeds: int) -> list[Path]:
    """Return the checkpoints of all networks, of which the first one goes to `path`."""
    others = [path.with_stem(f"{path.stem}_{number}") for number in range(2, seeds + 1)]
    return list(map(checkpoint_path, [path, *others]))


def train_one(task: SeedTraining) -> tuple[Fields, Learning | None]:
    """Train and test one network, from its checkpoint if there is one; return its row, and of the
    first network the training. Runs in a worker.
    """
    options, checkpoint, parameters = task.options, task.checkpoint, task.parameters
    data, start, rule = start_of(options)(task.number)
    learning, state = Learning.start(start, rule), {}
    if checkpoint.exists():
        state = resumed(checkpoint, parameters, True, False) or {}
    if "done" in state:  # a run may end before its first presentation
        learning = learning.restored(state, checkpoint)
    counts = no_counts(start) if start.pulses else None
    with checkpoint_at_interrupt(checkpoint, lambda: state, parameters):
        make_presentations(learning, task, rule, data.training, state, counts)
        images, labels = data.test.first(options.samples)
        name = f"{data.name}, seed {rule.seed}"
        warn_of_layers(learning.network, images, labels=labels, name=name)
        spikes = read_images(
            learning.network,
            images,
            options.test_engine,
            jobs=options.jobs if task.alone else 1,
            scheduler=options.scheduler if task.alone else None,
        )
    writes = learning_curve(learning.history)[1][-1]
    row: Fields = {"seed": rule.seed, "presentations_that_wrote": int(writes)}
    if counts:
        cells = sum(states.size for states in start.states)
        row["pulses_a_cell"] = float(state["pulses"]) / cells
    return row | score_row(labels, spikes), None if task.number else learning


def make_presentations(
    learning: Learning,
    task: SeedTraining,
    rule: LayeredRule,
    training: Images,
    state: Fields,
    counts: Counts | None,
) -> None:
    """Make the remaining presentations; keep the checkpoint's `state` up to date, and save it every
    half minute and at the end.

    With `counts` from `no_counts`, the state also holds the number of pulses of all cells together.
    """
    before, saved = float(state.get("pulses", 0.0)), time.perf_counter()
    bar = progress(range(0), rule.presentations, f"learning, seed {rule.seed}", "image")
    with bar if task.alone else contextlib.nullcontext():
        steps = train(learning, rule, *training, engine=task.options.engine, counts=counts)
        for done, accuracy in steps:
            state |= learning.arrays()
            if counts:
                state["pulses"] = before + sum(float(pulses.sum()) for pulses in counts.pulses)
            if task.alone:
                bar.update(done - bar.n)
                bar.set_postfix(accuracy=f"{accuracy:.1%}", refresh=False)
            if time.perf_counter() > saved + CHECKPOINT_EVERY or done == rule.presentations:
                save_checkpoint(task.checkpoint, state, task.parameters)
                saved = time.perf_counter()


def kernels_figure(network: Network) -> Figure:
    """Draw the kernels' weights: thresholds by which a full pixel, or a spike of the layer below,
    lifts the settled membrane. Above another convolution, a line is a kernel, and a column one of
    the kernels below.
    """
    drawn = []
    for layer, states in zip(network.layers, network.states, strict=True):
        kind = layer.kind
        if isinstance(kind, Convolution):
            weights = drives(layer, states)[:SHOWN, :-1]  # without the bias row
            weights = weights.reshape(-1, kind.window, kind.window, kind.channels)
            if kind.channels > 1:
                weights = weights[: SHOWN // 4, ..., : SHOWN // 2]
            drawn.append(np.moveaxis(weights, -1, 1))
    lines = [-(-len(of) // 8) if of.shape[1] == 1 else len(of) for of in drawn]
    heights = [0.82 * lines[0], *(0.45 * count for count in lines[1:])]
    figure = plt.figure(
        figsize=(WIDTH, 0.2 + 0.2 * len(drawn) + sum(heights)), layout="constrained"
    )
    parts = figure.subfigures(len(drawn), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, kernels, count in zip(parts, drawn, lines, strict=True):
        across, far = max(8, kernels.shape[1]), float(np.abs(kernels).max())
        axes = part.subplots(count, across, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, kernel in zip(axes.flat, kernels.reshape(-1, *kernels.shape[2:]), strict=False):
            image = axis.imshow(kernel, cmap="RdBu", vmin=-far, vmax=far)
        part.colorbar(image, ax=axes, aspect=40, label="weight (thresholds)")
    return figure
