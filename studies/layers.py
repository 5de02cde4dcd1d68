"""Multilayer networks: errors flow back through the memristors that carried the spikes forward (docs/layers.md).

--data mnist: grey images; fashion: Fashion-MNIST (`make fashion` installs it); digits: scikit-learn's 8x8 digits, one split of
1,437 and 360 images for each seed; mnist_shifted and digits_shifted: trained also on copies moved by one pixel of 28, or half a
pixel of 8; xor: a task that one layer cannot learn.
--engine says what reads and writes during the training, --test-engine what reads the test images. Writes
voltages/layers_NAME.json, results/layers_NAME.json and figures/layers_NAME_*.png. In closed form 90 s for MNIST, seconds for
the others; in ngspice 2 minutes for 10 networks of XOR, hours for the digits. --test-only tests the network in --voltages
again, on its own chip or on another one (--chip), and writes the decisions image by image.
"""

import argparse
import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import EngFormatter

import decision_plots
import plotting
from datasets import Dataset, Images
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, apply_settings, make_parser, table, whole_number
from memristive.cli.progress import progress, write_netlist
from memristive.io.checkpoints import checkpoint_at_interrupt, checkpoint_path, resumed, save_checkpoint
from memristive.io.files import check_overwriting, to_json
from memristive.io.predictions import save_decisions
from memristive.io.results import write_results
from memristive.io.voltages import save_voltages
from memristive.multilayer.clipping import warn_of_layers
from memristive.multilayer.layer_netlist import LayerDesign, layered_read_netlist
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, initial_network, train_layers
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.ngspice_trainer import train_in_ngspice
from memristive.single_layer.energy import UNCOUNTED
from memristive.single_layer.engines import CLOSED_FORM, ENGINES, NGSPICE
from memristive.single_layer.error_rule import learning_curve
from memristive.single_layer.scores import confusion, decide
from memristive.single_layer.spike_decoding import RESOLUTION
from memristive.variability.chip import Chip, load_chip
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters
from studies import layers_figures
from studies.error_example import back_read, error_energies, find_error
from studies.layer_experiments import (
    DEFAULTS,
    NAMES,
    describe_network,
    file_stem,
    layered_dataset,
    load_network,
    network_on_chip,
    read_tests,
    score_row,
)

CHECKPOINT_EVERY = 30  # s
TRAIN = {NGSPICE: train_in_ngspice, CLOSED_FORM: train_layers}


def main(arguments: list[str] | None = None) -> None:
    """Train and test networks, or test a saved one."""
    parser = add_jobs(add_resume(make_parser(__doc__, netlist=True)))
    parser.add_argument("--data", choices=NAMES, default="mnist", help="dataset (default: mnist)")
    parser.add_argument("--hidden", type=whole_number(1, 10_000), nargs="*", metavar="N",
                        help="neurons of each hidden layer; nothing for a single layer (default: 200; 300 for mnist_shifted, "
                        "100 for digits, 200 for digits_shifted, 16 for xor)")
    parser.add_argument("--size", type=int, metavar="N", help="shrink images to N x N pixels")
    parser.add_argument("--engine", choices=ENGINES, default=CLOSED_FORM, help="engine that trains (default: closed-form)")
    parser.add_argument("--test-engine", choices=ENGINES, default=CLOSED_FORM, help="engine that tests (default: closed-form)")
    parser.add_argument("--samples", type=whole_number(1, 10_000), metavar="N", help="only the first N test images")
    parser.add_argument("--seeds", type=whole_number(1, 1000), default=1, metavar="K",
                        help="train and test K networks, from rule.seed on; the first one is saved (default: 1)")
    parser.add_argument("--chip", metavar="NAME", help="chip file or preset (docs/chips.md)")
    parser.add_argument("--voltages", type=Path, metavar="FILE", help="trained network (default: voltages/layers_NAME.json)")
    parser.add_argument("--test-only", action="store_true", help="train nothing, test the network in --voltages")
    options = parser.parse_args(arguments)
    (test_saved if options.test_only else train_and_test)(options)


def train_and_test(options: argparse.Namespace) -> None:
    """Train a network for each seed, test it, and look closely at the first one."""
    # 1. Data, device, neuron, layers, rule and chip.
    rule, hidden = DEFAULTS.get(options.data, DEFAULTS["mnist"])
    hidden = hidden if options.hidden is None else tuple(options.hidden)
    dataset = layered_dataset(options.data, options.size)
    classes, inputs = len(dataset.labels), int(np.prod(dataset.shape))
    memristor, neuron, design, rule, chip = apply_settings(
        options, memristor=MemristorParameters(), neuron=NeuronParameters(), design=LayerDesign(), rule=rule,
        chip=load_chip(options.chip or "ideal", classes, (hidden[-1] if hidden else inputs) + 1))
    chip = None if chip.ideal else chip

    def prepared(number: int) -> tuple[Dataset, LayeredNetwork, LayeredRule]:
        """Return data, untrained network and rule of one of the seeds."""
        seeded = dataclasses.replace(rule, seed=rule.seed + number)
        data = layered_dataset(options.data, options.size, seeded.seed)
        start = initial_network(hidden, classes, data.training.levels, seeded, design, NetworkParameters(memristor, neuron))
        return data, network_on_chip(start, chip), seeded

    dataset, start, _ = prepared(0)
    stem = file_stem(dataset)
    path, record = options.voltages or Path("voltages") / f"{stem}.json", options.results / f"{stem}.json"
    made_with = describe_network(dataset, start, rule, options.engine, chip)
    parameters = {**made_with, "seeds": options.seeds, "samples": len(dataset.test.labels[:options.samples]),
                  "test_engine": options.test_engine}
    check_overwriting(path, made_with, options.force, [options.chip])
    check_overwriting(record, parameters, options.force, [options.chip, path])
    write_netlist(options.netlist, layered_read_netlist(start, dataset.training.levels[0], dataset.labels, "training image 0"),
                  options.force, [options.chip, path])

    # 2. Train and test one network after the other, with a checkpoint from time to time and at Ctrl-C.
    checkpoint = checkpoint_path(path)
    state: dict[str, Any] = resumed(checkpoint, parameters, options.resume, options.force) or {"rows": "[]"}
    rows: list[dict[str, Any]] = json.loads(str(state["rows"]))
    with checkpoint_at_interrupt(checkpoint, lambda: state, parameters):
        for number in range(len(rows), options.seeds):
            data, start, seeded = prepared(number)
            learning = LayeredLearning.restored(start, state) if "done" in state else LayeredLearning.start(start, seeded)
            train(learning, options.engine, seeded, data.training, state,
                  functools.partial(save_checkpoint, checkpoint, state, parameters))
            accuracy, writes = learning_curve(learning.history)
            if number == 0:
                save_voltages(path, learning.network.states, ngspice=options.engine == NGSPICE, **made_with)
                shown = np.unique(np.linspace(0, len(accuracy) - 1, 2000).astype(int))
                plotting.save(plotting.learning_figure(accuracy[shown], writes[shown], shown + 1),
                              options.figures / f"{stem}_learning.png")
            images, labels = data.test.levels[:options.samples], data.test.labels[:options.samples]
            warn_of_layers(learning.network, images)
            spikes = read_tests(learning.network, images, options.test_engine, options.jobs)
            rows.append({"seed": seeded.seed, "presentations_that_wrote": int(writes[-1]), **score_row(labels, spikes)})
            state = {"rows": to_json(rows)}

        # 3. Save, with the energies of an error of the first network.
        network = network_on_chip(load_network(path, dataset.name)[0], chip)
        results: dict[str, Any] = {"rows": rows, "mean_strict_accuracy": np.mean([row["strict_accuracy"] for row in rows]),
                                   "networks_without_mistakes": sum(row["strict_accuracy"] == 1 for row in rows)}
        if NGSPICE in (options.engine, options.test_engine):
            results["energy"] = error_energies(network, rule, find_error(network, rule, dataset.training))
        write_results(record, parameters, results)
    checkpoint.unlink(missing_ok=True)

    # 4. Print, and draw the first network.
    print_rows(rows)
    if "energy" in results:
        print_energies(results["energy"])
    draw(options, stem, network, dataset, rule)


def train(learning: LayeredLearning, engine: str, rule: LayeredRule, training: Images, state: dict[str, Any],
          save: Callable[[], None]) -> None:
    """Make the remaining presentations; keep the checkpoint's `state` up to date, and `save` it every half minute."""
    saved = time.perf_counter()
    with progress(range(0), rule.presentations, f"learning, seed {rule.seed}", "image") as bar:
        for done, accuracy in TRAIN[engine](learning, rule, training.levels, training.labels):
            state |= learning.arrays()
            bar.update(done - bar.n)
            bar.set_postfix(accuracy=f"{accuracy:.1%}", refresh=False)
            if time.perf_counter() > saved + CHECKPOINT_EVERY:
                save()
                saved = time.perf_counter()


def test_saved(options: argparse.Namespace) -> None:
    """Test the network in a voltages file."""
    # 1. The network, on the chip that it was trained on or on another one, and the images that it has not seen.
    path = options.voltages or Path("voltages") / f"{file_stem(layered_dataset(options.data, options.size))}.json"
    network, rule, dataset, voltages = load_network(path, options.data)
    (chip,) = apply_settings(options, chip=load_chip(options.chip, network.sizes[-1], network.sizes[-2] + 1) if options.chip
                             else voltages.chip or Chip())
    chip = None if chip.ideal else chip
    network = network_on_chip(network, chip)
    images, labels = dataset.test.levels[:options.samples], dataset.test.labels[:options.samples]
    name = f"{file_stem(dataset)}_test" + "_by_closed_form" * (options.test_engine == CLOSED_FORM)
    parameters = {**describe_network(dataset, network, rule, voltages.engine, chip), "voltages": path, "samples": len(images),
                  "test_engine": options.test_engine}
    check_overwriting(options.results / f"{name}.json", parameters, options.force, [path, options.chip])
    write_netlist(options.netlist, layered_read_netlist(network, images[0], dataset.labels, "test image 0"), options.force,
                  [path, options.chip])
    warn_of_layers(network, images)

    # 2. Read, decide, save.
    spikes = read_tests(network, images, options.test_engine, options.jobs)
    results: dict[str, Any] = {"seed": rule.seed, **score_row(labels, spikes)}
    if options.test_engine == NGSPICE:
        results["energy"] = error_energies(network, rule, find_error(network, rule, dataset.training))
    save_decisions(options.results / f"{name}_decisions.csv.gz", labels, spikes, RESOLUTION)
    write_results(options.results / f"{name}.json", parameters, results)

    # 3. Print and plot.
    print_rows([results])
    if "energy" in results:
        print_energies(results["energy"])
    counts = confusion(labels, decide(spikes, RESOLUTION)[0], classes=network.sizes[-1])
    plotting.save(decision_plots.confusion(counts, dataset.labels), options.figures / f"{name}_confusion.png")
    draw(options, name, network, dataset, rule)


def draw(options: argparse.Namespace, name: str, network: LayeredNetwork, dataset: Dataset, rule: LayeredRule) -> None:
    """Draw the hidden weights, the spikes of one test image and the back-read of one error."""
    if len(network.states) == 1:
        return
    image, label, shape, labels = dataset.test.levels[0], int(dataset.test.labels[0]), dataset.shape, dataset.labels
    example = find_error(network, rule, dataset.training)
    if min(shape) > 1:
        plotting.save(layers_figures.hidden_images(network, shape, labels), options.figures / f"{name}_hidden.png")
    plotting.save(layers_figures.raster(network, image, shape, label, labels), options.figures / f"{name}_raster.png")
    plotting.save(layers_figures.back_read_figure(*back_read(network, example), rule, example, labels),
                  options.figures / f"{name}_back_read.png")


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print the accuracy of each network."""
    print(table(("seed", "images", "strict accuracy", "95 % interval", "silent", "tied"),
                [(row["seed"], row["samples"], f"{row['strict_accuracy']:.2%}",
                  f"{row['interval_95_low']:.2%} to {row['interval_95_high']:.2%}", row["silent"], row["tied"]) for row in rows]))


def print_energies(energies: dict[str, float]) -> None:
    """Print the energies of one error."""
    unit = EngFormatter("J", places=2)
    print(table(("energy of one error", ""), [(name.removesuffix("_J").replace("_", " "), unit(joules))
                                              for name, joules in energies.items() if name.endswith("_J")]))
    print(f"the read takes {energies['read_time_s'] * 1e6:.1f} us; op-amps and transconductances are ideal and not counted"
          f"{UNCOUNTED}")


if __name__ == "__main__":
    sys.exit(run(main))
