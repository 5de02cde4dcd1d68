"""Multilayer networks: errors flow back through the memristors that carried the spikes forward
(docs/layers.md).

--data mnist: grey images; fashion: Fashion-MNIST (`make fashion` installs it); digits:
scikit-learn's 8x8 digits, one split of 1,437 and 360 images for each seed; mnist_shifted and
digits_shifted: trained also on shifted copies (by a pixel of the 28x28 images, or half a pixel of
the 8x8 images); xor: a task that one layer cannot learn. --engine selects what trains,
--test-engine what reads the test images: ngspice or the closed form. Writes
voltages/layers_NAME.json, results/layers/layers_NAME.json and figures/layers_NAME_*.png. In closed
form 90 s for MNIST, seconds for the others; in ngspice 2 minutes for 10 networks of XOR, hours for
the digits. studies.read_test tests the network again, on its own chip or on another one.
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
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

import plotting
from datasets import DATASETS, Dataset, Images, matching_dataset
from memristive.cli.reading import read_images
from memristive.cli.script import (
    Record,
    add_resume,
    apply_settings,
    make_parser,
    print_rows,
    progress,
    run,
    table,
)
from memristive.costs.energy import (
    UNCOUNTED,
    back_read_energy,
    layer_write_energy,
    layers_read_energy,
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
from memristive.learning.rule import LayeredRule, first_wrong_neuron, output_errors, overlap_times
from memristive.learning.training import Learning, learning_curve, train
from memristive.network.chip import load_chip
from memristive.network.design import CLOSED_FORM, NGSPICE, LayerDesign
from memristive.network.networks import Network, network_on_chip
from memristive.scores.checks import warn_of_layers
from memristive.scores.decisions import RESOLUTION, TIED, score_row, strict_decision
from memristive.spice.session import temporary_circuits
from memristive.writing.pulses import Counts, no_counts
from memristor import MemristorParameters
from plotting import BLACK, BLUE, GREY, ORANGE, SKY, VERMILLION, WIDTH
from snn_circuit import NetworkParameters, NeuronParameters

SEARCHED = 2000  # training images among which `find_error` searches
CHECKPOINT_EVERY = 30  # s
SHOWN = 50  # hidden neurons whose weights are drawn


def main(arguments: list[str] | None = None) -> None:
    """Train and test a network for each seed, and draw figures of the first network."""
    parser = add_resume(make_parser(__doc__, "layers", netlist=True))
    parser.add_argument(
        "--data", choices=DATASETS, default="mnist", help="dataset (default: mnist)"
    )
    parser.add_common(
        "--hidden",
        None,
        "default: 200; 300 for mnist_shifted, 100 for digits, 200 for digits_shifted, 16 for xor",
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

    # 3. Save, with the energies of an error of the first network.
    network = first or network_on_chip(load_network(path, dataset.name)[0], chip)
    example = find_error(network, rule, *dataset.training)
    results: dict[str, Any] = {
        "rows": rows,
        "mean_strict_accuracy": np.mean([row["strict_accuracy"] for row in rows]),
        "networks_without_mistakes": sum(row["strict_accuracy"] == 1 for row in rows),
    }
    if NGSPICE in (options.engine, options.test_engine):
        results["energy"] = error_energies(network, rule, example)
    record.write(results)
    checkpoint_path(path).unlink(missing_ok=True)

    # 4. Print, and draw the first network.
    print_rows(rows)
    if "energy" in results:
        print_energies(results["energy"])
    if hidden:
        figures = {
            "raster": raster(
                network,
                dataset.test.levels[0],
                dataset.shape,
                int(dataset.test.labels[0]),
                dataset.labels,
            ),
            "back_read": back_read_figure(
                *back_read(network, example), rule, example, dataset.labels
            ),
        }
        if min(dataset.shape) > 1:
            figures["hidden"] = hidden_images(network, dataset.shape, dataset.labels)
        for name, figure in figures.items():
            record.plot(figure, name)


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


def print_energies(energies: dict[str, float]) -> None:
    """Print the energies of the reads and writes that one error needs."""
    unit = EngFormatter("J", places=2)
    print(
        table(
            ("energy of one error", ""),
            [
                (name.removesuffix("_J").replace("_", " "), unit(joules))
                for name, joules in energies.items()
                if name.endswith("_J")
            ],
        )
    )
    print(
        f"the read takes {energies['read_time_s'] * 1e6:.1f} us; op-amps and transconductances are "
        f"ideal and not counted{UNCOUNTED}"
    )


def hidden_images(network: Network, shape: tuple[int, int], labels: Sequence[str]) -> Figure:
    """Draw the states of up to `SHOWN` neurons of the first hidden layer, one image for each. The
    title of an image is the class that the neuron's spike supports most.

    The colours cover only 98 % of all states, because pixels that are seldom on have states far
    from the others.
    """
    first, last, reference = network.states[0], network.states[-1], network.design.reference_state
    direct = len(network.states) == 2
    supported = last[:, :-1].argmax(axis=0) if direct else np.zeros(len(first), int)
    chosen = np.sort(np.linspace(0, len(first) - 1, min(SHOWN, len(first))).astype(int))
    chosen = chosen[np.argsort(supported[chosen], kind="stable")]
    far = float(np.quantile(np.abs(first - reference), 0.98))
    lines = -(-len(chosen) // 10)
    figure, axes = plt.subplots(
        lines, 10, figsize=(WIDTH, max(0.55 + 0.83 * lines, 2.6)), squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, k in zip(axes.flat, chosen, strict=False):
        image = axis.imshow(
            first[k, :-1].reshape(shape), cmap="cividis", vmin=reference - far, vmax=reference + far
        )
        if direct:
            axis.set_title(labels[supported[k]], fontsize=9, pad=2)
    figure.colorbar(
        image,
        ax=axes,
        label=f"state X (V); {reference:g} V has no weight",
        aspect=40,
        extend="both",
    )
    figure.suptitle(
        "Hidden neurons' weights" + ", under the class that each one's spike helps most" * direct,
        fontsize=10,
    )
    return figure


def raster(
    network: Network, image: np.ndarray, shape: tuple[int, int], label: int, labels: Sequence[str]
) -> Figure:
    """Draw the first spikes of all layers while the network reads one `image` (inputs, levels 0 to
    1).
    """
    layers = [times[0] * 1e6 for times in network.forward(image[None])]
    heights = [2.6] * (len(layers) - 1) + [0.6 + 0.16 * len(layers[-1])]
    figure = plt.figure(figsize=(WIDTH, 0.9 + sum(heights)))
    grid = figure.add_gridspec(len(layers), 2, width_ratios=(1, 4.4), height_ratios=heights)
    picture = figure.add_subplot(grid[0, 0])
    picture.imshow(image.reshape(shape), cmap="cividis", vmin=0, vmax=1)
    picture.set(title=f"a {labels[label]}", xticks=[], yticks=[])
    axis: Axes | None = None
    decided = np.nan if np.isnan(layers[-1]).all() else float(np.nanmin(layers[-1]))
    for number, times in enumerate(layers):
        axis = figure.add_subplot(grid[number, 1], sharex=axis)
        if number < len(layers) - 1:
            _hidden_spikes(
                axis,
                times,
                network.states[number + 1] if number == len(layers) - 2 else None,
                label,
            )
            axis.tick_params(labelbottom=False)
        else:
            _output_spikes(axis, times, label, labels)
            axis.set(
                xlabel="first spike (µs after the image)", xlim=(0, network.design.window * 1e6)
            )
        axis.axvline(decided, color=VERMILLION, linestyle=":", linewidth=1)
    if len(layers) > 1:  # outside: within a panel the marks of the legend would look like spikes
        which = "neuron of the last hidden layer" if len(layers) > 2 else "hidden neuron"
        looks = (
            (BLUE, f"{which} that helps the right class more than the others"),
            (ORANGE, "less"),
        )
        marks = [
            Line2D([], [], linestyle="", marker="o", markersize=4, color=colour, label=text)
            for colour, text in looks
        ]
        figure.legend(handles=marks, loc="outside upper center", ncols=2)
    return figure


def _hidden_spikes(axis: Axes, times: np.ndarray, above: np.ndarray | None, label: int) -> None:
    """Draw the spikes of hidden neurons (`times`, s) in the order in which they fire.

    The states of the last layer, `above`, set the colours: a blue neuron helps the class `label`
    more than the others. None: a single colour.
    """
    order = np.argsort(times)[: np.sum(~np.isnan(times))]
    colours: np.ndarray | str = GREY
    if above is not None:
        others = np.delete(above[:, :-1], label, axis=0).mean(axis=0)
        colours = np.where(above[label, :-1] > others, BLUE, ORANGE)[order]
    axis.scatter(times[order], range(len(order)), color=colours, s=9)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axis.set(
        ylabel="hidden neurons, as they fire",
        title=f"{len(order)} of {len(times)} hidden neurons fire",
    )
    axis.invert_yaxis()
    axis.grid(alpha=0.3)


def _output_spikes(axis: Axes, times: np.ndarray, label: int, labels: Sequence[str]) -> None:
    fired = ~np.isnan(times)
    colours = np.where(np.arange(len(times)) == label, BLUE, GREY)
    axis.scatter(times[fired], np.flatnonzero(fired), color=colours[fired], s=30, zorder=3)
    axis.hlines(np.flatnonzero(fired), times[fired], 1e4, colors=colours[fired])
    tied = strict_decision(times * 1e-6) == TIED
    decision = (
        f"undecided: two outputs fire within {RESOLUTION * 1e9:g} ns"
        if tied
        else "the first output decides"
    )
    axis.set_title(
        f"{decision}, after {np.nanmin(times):.1f} µs; outputs stay high"
        if fired.any()
        else "no output fires"
    )
    axis.set_yticks(range(len(times)), labels)
    axis.set(ylabel="output neuron", ylim=(len(times) - 0.5, -0.5))


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


def error_energies(network: Network, rule: LayeredRule, example: ErrorExample) -> dict[str, float]:
    """Return a dict with the energies in J of the example's read, back-read and writes, and the
    duration of the read in s.

    Writes have the first dose. The output columns are those of the right and of the wrong neuron.
    The hidden column is that of a neuron with an error of 1 V.
    """
    last, neuron, rate = (
        len(network.states) - 1,
        network.parameters.neuron,
        network.layers[0].write_rate,
    )
    layers, seconds = layers_read_energy(network, example.image)
    found = {"read_time_s": seconds} | {
        f"read_layer_{k}_J": energy for k, energy in enumerate(layers, 1)
    }
    levels = np.append(example.image, 1.0)
    times = [layer[0] for layer in network.forward(example.image[None])]
    for name, column, sign in (("right", example.label, 1), ("wrong", example.wrong, -1)):
        high, volts = np.ones(len(levels)), levels
        if last:
            rows = np.append(times[last - 1], network.start_time)
            high = (
                overlap_times(rows, times[last][column], network.design.window)
                / neuron.time_constant
            )
            volts = np.ones(len(high))
        found[f"write_{name}_output_J"] = layer_write_energy(
            network, last, volts, high, sign * rule.output_dose / rate
        )
    if last:
        found["back_read_J"] = back_read_energy(
            network, last, output_errors(network.sizes[-1], example.label, example.wrong)
        )
        found["write_hidden_J"] = layer_write_energy(
            network, 0, levels, np.ones(len(levels)), rule.hidden_dose / rate
        )
    return found


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
