"""MNIST without labels: how many test images does a circuit recognise that has learned by itself? (docs/stdp.md)

The closed form learns all 60,000 training images without labels. The training labels then assign a digit to each neuron, and the
closed form and ngspice read the test images with the thresholds that homeostasis has set. Writes voltages/NAME.json,
results/NAME.json and figures/NAME_*.png; NAME is mnist_stdp_grey_100 for 100 neurons. Writes figures/mnist_stdp_accuracy.png
from all these records. 10 to 30 s without ngspice (--samples 0), 2 minutes more with --samples 10000 --contenders 3.

--stretch N instead lets ngspice learn the first N presentations, with neurons and inhibition, and compares its winners with the
closed form. Writes results/NAME_stretch.json. 20 minutes for 500 presentations and 50 neurons.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import plotting
from datasets import ENCODINGS, load_dataset
from memristive.cli.main import run
from memristive.cli.options import apply_settings, make_parser
from memristive.cli.progress import print_rows, progress
from memristive.io.files import check_overwriting
from memristive.io.results import describe, load_table, write_results
from memristive.io.voltages import save_voltages
from memristive.learning.stdp import mnist_learning
from memristive.learning.stdp.mnist_learning import CONTENDERS, PART, STEP, MnistLearning
from memristive.network.scores import decide, strict_scores
from memristive.network.spike_decoding import RESOLUTION, lead
from studies.unsupervised_figures import accuracy_against_neurons, receptive_fields, thresholds_over_time

PUBLISHED = (("Diehl, Cook 2015, 28x28", 100, 0.829), ("Diehl, Cook 2015, 28x28", 400, 0.870),
             ("Querlioz et al. 2013, 28x28", 300, 0.935))


def main(arguments: list[str] | None = None) -> None:
    """Learn, assign digits, test, plot."""
    parser = make_parser(__doc__)
    parser.add_argument("--encoding", choices=ENCODINGS, default="grey",
                        help="pixels on or off, or voltages proportional to grey levels (default: grey)")
    parser.add_argument("--neurons", type=int, default=100, metavar="N", help="neurons (default: 100)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of start states and order (default: 1)")
    parser.add_number("--samples", 0, 10_000, 10_000, "test images that ngspice reads")
    parser.add_number("--contenders", 1, 2000, CONTENDERS, "neurons that ngspice simulates in a read, the first in closed form")
    parser.add_number("--stretch", 1, 60_000, None, "learn the first N presentations in ngspice, and compare")
    parser.add_argument("--voltages", type=Path, metavar="FILE", help="learned states (default: voltages/NAME.json)")
    options = parser.parse_args(arguments)

    # 1. Data and circuit.
    learning, = apply_settings(options, learning=MnistLearning(neurons=options.neurons, seed=options.seed))
    dataset, setup = load_dataset("mnist", encoding=options.encoding), learning.setup()
    name = f"mnist_stdp_{options.encoding}_{learning.neurons}" + f"_seed_{learning.seed}" * (learning.seed != 1)
    parameters = {"dataset": "mnist", "shape": dataset.shape, "encoding": options.encoding, "rule": "stdp",
                  "learning": learning.as_dict(), **describe(setup), "self_learning": setup.learning.as_dict()}
    if options.stretch:
        compare_learning(options, learning, dataset.training.levels, name, parameters)
        return
    path, record = options.voltages or Path("voltages") / f"{name}.json", options.results / f"{name}.json"
    tested = {**parameters, "samples": options.samples, "contenders": options.contenders}
    check_overwriting(path, parameters, options.force)
    check_overwriting(record, tested, options.force, others=[path])

    # 2. Learn without labels.
    images = dataset.training.levels
    network, order = mnist_learning.draw_start(learning, images.shape[1], len(images))
    winners, homeostasis = [], [network.homeostasis.copy()]
    steps = mnist_learning.learn(learning, network, images, order)
    for found in progress(steps, -(-len(order) // STEP), "learning", f"{STEP} images"):
        winners.append(found)
        homeostasis.append(network.homeostasis.copy())

    # 3. Assign a digit to each neuron, by the training labels.
    digits = mnist_learning.assign_digits(learning, network, images, dataset.training.labels)
    save_voltages(path, network.states, ngspice=False, **parameters, homeostasis=network.homeostasis, digits=digits)

    # 4. Test in closed form and in ngspice.
    test, results = dataset.test, dict[str, Any]()
    spikes = mnist_learning.read_in_closed_form(learning, network, test.levels, digits)
    computed = decide(spikes, RESOLUTION)[0]
    network_of_row = {"encoding": options.encoding, "neurons": learning.neurons, "seed": learning.seed}
    rows = [{**network_of_row, "engine": "closed-form", "images": len(test.labels), **strict_scores(test.labels, computed)}]
    if options.samples:
        reads = mnist_learning.read_in_ngspice(learning, network, test.levels[:options.samples], digits, options.contenders)
        simulated = decide(np.array(list(progress(reads, options.samples, "reading in ngspice", "image"))), RESOLUTION)[0]
        rows.append({**network_of_row, "engine": "ngspice", "images": options.samples,
                     **strict_scores(test.labels[:options.samples], simulated)})
        different = np.flatnonzero(simulated != computed[:options.samples])
        results["different_decisions"] = [{"image": n, "lead_s": lead(spikes[n])} for n in different.tolist()]
    write_results(record, tested, {"rows": rows, **results}, ngspice=bool(options.samples))
    print_rows(rows)

    # 5. Plot.
    thresholds = setup.neuron.threshold + np.array(homeostasis)
    records = sorted(set(options.results.glob("mnist_stdp_*.json")) - set(options.results.glob("*_stretch.json")))
    tests = pd.concat(map(load_table, records))
    plotting.save(receptive_fields(network.states, digits, dataset.shape), options.figures / f"{name}_fields.png")
    plotting.save(thresholds_over_time(thresholds, np.concatenate(winners), STEP), options.figures / f"{name}_thresholds.png")
    plotting.save(accuracy_against_neurons(tests[tests.images == 10_000], PUBLISHED), options.figures / "mnist_stdp_accuracy.png")


def compare_learning(options: argparse.Namespace, learning: MnistLearning, images: np.ndarray, name: str,
                     parameters: dict[str, Any]) -> None:
    """Learn the first presentations in ngspice and in closed form, and record winners and deviations.

    The closed form learns twice: alone from the same start, and restarted from ngspice's states before each transient. A
    deviation of the restarted one counts only after transients in which all winners were the same.
    """
    record, parameters = options.results / f"{name}_stretch.json", {**parameters, "stretch": options.stretch}
    check_overwriting(record, parameters, options.force)
    simulated, order = mnist_learning.draw_start(learning, images.shape[1], len(images))
    alone, before, images = simulated.copy(), simulated.copy(), images[order[:options.stretch]]
    winners, different, deviations = list[int](), list[dict[str, Any]](), list[dict[str, float]]()
    parts = mnist_learning.learn_in_ngspice(learning, simulated, images)
    for found in progress(parts, -(-len(images) // PART), "learning in ngspice", f"{PART} images"):
        first, part = len(winners), images[len(winners):len(winners) + len(found)]
        for start, network in (("same", alone), ("restarted", before)):
            predicted, leads = mnist_learning.present_with_leads(learning, network, part)
            different += [{"closed_form": start, "presentation": int(first + n), "lead_s": leads[n]}
                          for n in np.flatnonzero(predicted != found)]
        if np.array_equal(predicted, found):  # the winners of the restarted one
            deviations.append(before.deviations(simulated))
        winners += found.tolist()
        before = simulated.copy()
    largest = max(deviations, key=lambda deviation: deviation["largest_deviation_V"], default={})
    rows = [{"closed_form": start, "presentations": len(winners),
             "same_winners": len(winners) - sum(row["closed_form"] == start for row in different), **deviation}
            for start, deviation in (("same", alone.deviations(simulated)), ("restarted", largest))]
    write_results(record, parameters, {"rows": rows, "different_winners": different, "winners": winners})
    print_rows(rows)


if __name__ == "__main__":
    sys.exit(run(main))
