"""Multilayer networks: errors flow back through the memristors that carried the spikes forward
(docs/layers.md).

--data mnist: grey images; fashion: Fashion-MNIST (`make fashion` installs it); digits:
scikit-learn's 8x8 digits, one split of 1,437 and 360 images for each seed; mnist_shifted: trained
also on copies shifted by a pixel of the 28x28 images; xor: a task that one layer cannot learn.
--engine selects what trains, --test-engine what reads the test images: ngspice or the closed form.
Writes voltages/layers_NAME.json, results/layers/layers_NAME.json and figures/layers_NAME_*.png. In
closed form 90 s for MNIST, seconds for the others; in ngspice 2 minutes for 10 networks of XOR,
hours for the digits. studies.read_test tests the network again, on its own chip or on another one.
"""

import argparse
import dataclasses
import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import plotting
from datasets import DATASETS, Dataset, Images, dataset_name, matching_dataset
from memristive.cli.reading import read_images
from memristive.cli.script import (
    Record,
    add_resume,
    apply_settings,
    make_parser,
    print_rows,
    progress,
    run,
)
from memristive.engines.engine import NgspiceNetwork
from memristive.engines.read_netlist import netlist
from memristive.io.records import (
    check_overwriting,
    checkpoint_at_interrupt,
    checkpoint_path,
    resumed,
    save_checkpoint,
    to_json,
)
from memristive.io.voltages import describe_network, load_network, save_voltages
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule, first_wrong_neuron, output_errors
from memristive.learning.training import Learning, learning_curve, train
from memristive.network.chip import load_chip
from memristive.network.design import CLOSED_FORM, NGSPICE, LayerDesign
from memristive.network.networks import Network, network_on_chip
from memristive.scores.checks import warn_of_layers
from memristive.scores.decisions import score_row
from memristive.spice.session import temporary_circuits
from memristive.writing.pulses import Counts, no_counts
from memristor import MemristorParameters
from plotting import BLACK, GREY, SKY, VERMILLION, WIDTH
from snn_circuit import NetworkParameters, NeuronParameters

SEARCHED = 2000  # training images among which `find_error` searches
CHECKPOINT_EVERY = 30  # s


def main(arguments: list[str] | None = None) -> None:
    """Train and test a network for each seed, and draw figures of the first network."""
    parser = add_resume(make_parser(__doc__, "layers", netlist=True))
    parser.add_argument(
        "--data",
        type=dataset_name,
        metavar="DATA",
        default="mnist",
        help=f"{', '.join(DATASETS)}, or a file of your own images (default: mnist)",
    )
    parser.add_common(
        "--hidden",
        None,
        "default: 200; 300 for mnist_shifted, 100 for digits, 16 for xor",
    )
    parser.add_argument("--size", type=int, metavar="N", help="shrink images to N x N pixels")
    parser.add_common("--engine", CLOSED_FORM)
    parser.add_common("--test-engine", CLOSED_FORM)
    parser.add_common("--samples", None)
    parser.add_common("--seeds", 1, "from rule.seed on; the first network is saved; default: 1")
    parser.add_argument("--chip", metavar="NAME", help="chip file or preset (docs/chips.md)")
    parser.add_argument(
        "--voltages",
        type=Path,
        metavar="FILE",
        help="trained network (default: voltages/layers_NAME.json)",
    )
    options = parser.parse_args(arguments)

    # 1. Data, device, neuron, layers, rule and chip.
    dataset = matching_dataset(options.data, options.size)
    hidden = dataset.hidden if options.hidden is None else tuple(options.hidden)
    classes, inputs = len(dataset.labels), int(np.prod(dataset.shape))
    memristor, neuron, design, rule, chip = apply_settings(
        options,
        memristor=MemristorParameters(),
        neuron=NeuronParameters(),
        design=LayerDesign(),
        rule=dataset.layer_rule,
        chip=load_chip(options.chip or "ideal", classes, (hidden[-1] if hidden else inputs) + 1),
    )
    chip = None if chip.ideal else chip

    def prepared(number: int) -> tuple[Dataset, Network, LayeredRule]:
        """Return data, untrained network and rule of the seed rule.seed + `number`."""
        seeded = dataclasses.replace(rule, seed=rule.seed + number)
        data = matching_dataset(options.data, options.size, seeded.seed)
        start = initial_network(
            hidden,
            classes,
            data.training.levels,
            seeded,
            design,
            NetworkParameters(memristor, neuron),
        )
        return data, network_on_chip(start, chip), seeded

    dataset, start, _ = prepared(0)
    stem = f"layers_{dataset.name}{dataset.size_suffix}"
    path = options.voltages or Path("voltages") / f"{stem}.json"
    made_with = describe_network(dataset.name, dataset.shape, start, rule, options.engine)
    parameters = {
        **made_with,
        "seeds": options.seeds,
        "samples": len(dataset.test.labels[: options.samples]),
        "test_engine": options.test_engine,
    }
    check_overwriting(path, made_with, options.force, [options.chip], "--voltages FILE")
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

    # 2. Train and test one network after the other, with a checkpoint from time to time and at
    #    Ctrl-C.
    def drawn(learning: Learning) -> None:
        accuracy, writes = learning_curve(learning.history)
        shown = np.unique(np.linspace(0, len(accuracy) - 1, 2000).astype(int))
        record.plot(plotting.learning_figure(accuracy[shown], writes[shown], shown + 1), "learning")

    rows, first = train_and_test(options, path, parameters, made_with, prepared, drawn)

    # 3. Save.
    network = first or network_on_chip(load_network(path, dataset.name)[0], chip)
    record.write(
        {
            "rows": rows,
            "mean_strict_accuracy": np.mean([row["strict_accuracy"] for row in rows]),
            "networks_without_mistakes": sum(row["strict_accuracy"] == 1 for row in rows),
        }
    )
    checkpoint_path(path).unlink(missing_ok=True)

    # 4. Print, and draw a back-read of the first network.
    print_rows(rows)
    if hidden:
        example = find_error(network, rule, *dataset.training)
        figure = back_read_figure(*back_read(network, example), rule, example, dataset.labels)
        record.plot(figure, "back_read")


def train_and_test(
    options: argparse.Namespace,
    path: Path,
    parameters: dict[str, Any],
    made_with: dict[str, Any],
    prepared: Callable[[int], tuple[Dataset, Network, LayeredRule]],
    drawn: Callable[[Learning], None] = lambda learning: None,
) -> tuple[list[dict[str, Any]], Network | None]:
    """Train and test one network after the other, with a checkpoint beside `path`, which the caller
    deletes once its record is written.

    Parameters
    ----------
    options : Namespace
        Of a parser with the engines, --samples, --seeds and `add_resume`.
    path : Path
        File of the first network.
    parameters, made_with : dict
        Parameters for the record, and entries for the file of each network.
    prepared : callable
        Gets the number of a seed, counted from 0; returns data, untrained network and rule.
    drawn : callable
        Gets the training of the first network and draws its figures.

    Returns
    -------
    rows : list of dict
        Scores of each network, with its pulses a cell if it is written by pulses.
    first : Network or None
        The first network; None if an earlier, interrupted run has trained it.
    """
    checkpoint, first = checkpoint_path(path), None
    state: dict[str, Any] = {"rows": "[]"}
    state = resumed(checkpoint, parameters, options.resume, options.force, state) or state
    rows: list[dict[str, Any]] = json.loads(str(state["rows"]))
    with checkpoint_at_interrupt(checkpoint, lambda: state, parameters):
        for number in range(len(rows), options.seeds):
            data, start, rule = prepared(number)
            learning = Learning.start(start, rule)
            if "done" in state:
                learning = learning.restored(state, checkpoint)
            counts = no_counts(start) if start.pulses else None
            save = functools.partial(save_checkpoint, checkpoint, state, parameters)
            make_presentations(learning, options.engine, rule, data.training, state, save, counts)
            if number == 0:
                first = learning.network
                trained = options.engine == NGSPICE
                save_voltages(path, first.states, ngspice=trained, overwrite=True, **made_with)
                drawn(learning)
            images, labels = data.test.first(options.samples)
            name = f"{data.name}, seed {rule.seed}"
            warn_of_layers(learning.network, images, labels=labels, name=name)
            spikes = read_images(
                learning.network,
                images,
                options.test_engine,
                jobs=options.jobs,
                scheduler=options.scheduler,
            )
            writes = learning_curve(learning.history)[1][-1]
            row: dict[str, Any] = {"seed": rule.seed, "presentations_that_wrote": int(writes)}
            if counts:
                cells = sum(states.size for states in start.states)
                row["pulses_a_cell"] = float(state["pulses"]) / cells
            rows.append(row | score_row(labels, spikes))
            state = {"rows": to_json(rows)}
            save_checkpoint(checkpoint, state, parameters)
    return rows, first


def make_presentations(
    learning: Learning,
    engine: str,
    rule: LayeredRule,
    training: Images,
    state: dict[str, Any],
    save: Callable[[], None],
    counts: Counts | None = None,
) -> None:
    """Make the remaining presentations; keep the checkpoint's `state` up to date, and `save` it
    every half minute.

    With `counts` from `no_counts`, the state also holds the number of pulses of all cells together.
    """
    before = float(state.get("pulses", 0.0))
    saved = time.perf_counter()
    with progress(range(0), rule.presentations, f"learning, seed {rule.seed}", "image") as bar:
        for done, accuracy in train(learning, rule, *training, engine=engine, counts=counts):
            state |= learning.arrays()
            if counts:
                state["pulses"] = before + sum(float(of.sum()) for of in counts.pulses)
            bar.update(done - bar.n)
            bar.set_postfix(accuracy=f"{accuracy:.1%}", refresh=False)
            if time.perf_counter() > saved + CHECKPOINT_EVERY:
                save()
                saved = time.perf_counter()


@dataclass(frozen=True)
class ErrorExample:
    """Image after which the rule writes: an example of an error.

    Parameters
    ----------
    image : array, inputs
        Levels 0 to 1.
    label : int
        Class of the image.
    wrong : int
        First wrong neuron, which fires too early.
    written : bool
        False if the network makes no error. Then `wrong` is the first wrong neuron, which fires
        late enough.
    """

    image: np.ndarray
    label: int
    wrong: int
    written: bool = True


def find_error(
    network: Network, rule: LayeredRule, images: np.ndarray, labels: np.ndarray
) -> ErrorExample:
    """Return the first image with an error: its right neuron fires, and a wrong neuron fires before
    it or too soon after it.

    `images`: n x inputs; `labels`: n. Without an error among the first 2,000, return the first
    image with its first wrong neuron.
    """
    images, labels = images[:SEARCHED], labels[:SEARCHED]
    times = network.first_spikes(images)
    for image, label, spikes in zip(images, labels.tolist(), times, strict=True):
        wrong = first_wrong_neuron(spikes, label, rule.margin)
        if wrong is not None and not np.isnan(spikes[label]):
            return ErrorExample(image, label, wrong)
    label = int(labels[0])
    second = next(j for j in np.argsort(times[0]).tolist() if j != label)
    return ErrorExample(images[0], label, second, written=False)


def back_read(network: Network, example: ErrorExample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the back-read of the last layer in ngspice, then in closed form, and the settled
    membranes of the layer below.

    Each is an array with a value for each neuron of the layer below: back-reads in V, membranes in
    thresholds.
    """
    last = len(network.states) - 1
    errors = output_errors(network.sizes[-1], example.label, example.wrong)
    with temporary_circuits():
        circuits = NgspiceNetwork(network)
        _, settled = circuits.read(network, example.image, label=example.label)
        simulated = circuits.layers[last].read_back(network.states[last], errors)
    return simulated, network.read_back(last, errors), settled[last - 1]


def back_read_figure(
    simulated: np.ndarray,
    computed: np.ndarray,
    settled: np.ndarray,
    rule: LayeredRule,
    example: ErrorExample,
    labels: Sequence[str],
) -> Figure:
    """Draw the back-read of each hidden neuron, and the difference between the engines.

    Parameters
    ----------
    simulated, computed : arrays, hidden neurons, V
        Back-read in ngspice and in closed form: the error that flows back through the memristors.
    settled : array, hidden neurons
        Voltage to which each membrane settles, in units of the threshold. Only neurons at
        `rule.reach` or above are written.
    rule : LayeredRule
    example : ErrorExample
    labels : sequence of str
    """
    order = np.argsort(computed)[::-1]
    place, plastic = np.arange(len(order)), (settled >= rule.reach)[order]
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(WIDTH, 5.0), sharex=True, height_ratios=(2.2, 1)
    )
    upper.bar(
        place[plastic],
        computed[order][plastic],
        color=SKY,
        width=0.8,
        label=f"closed form, written (membrane at {rule.reach:g} thresholds or above)",
    )
    upper.bar(
        place[~plastic],
        computed[order][~plastic],
        color="#cccccc",
        width=0.8,
        label="closed form, not written",
    )
    upper.scatter(
        place, simulated[order], color=BLACK, s=5, zorder=3, label="ngspice: current of the row"
    )
    upper.axhline(0, color=GREY, linewidth=0.8)
    reason = "was too early" if example.written else "fires second (the network makes no error)"
    upper.set(
        ylabel="read back (V)",
        title=f"Back-read for a {labels[example.label]}, where the neuron of "
        f"{labels[example.wrong]} {reason}",
    )
    upper.legend()
    lower.scatter(place, 1e3 * (simulated - computed)[order], color=VERMILLION, s=8)
    lower.axhline(0, color=GREY, linewidth=0.8)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    lower.set(
        xlabel="hidden neuron, sorted by its back-read", ylabel="ngspice less closed\nform (mV)"
    )
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    run(main)
