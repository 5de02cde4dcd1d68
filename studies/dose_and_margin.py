"""Which dose, margin, start and number of presentations suit the error-driven rule? Measured on held-out training images.

Each sixth of MNIST's training images in turn is held out: the network learns from the others and is tested on it (strict).
Test images are never used. Trained and read in closed form. Prints a table and writes results/dose_and_margin.json. About 15
minutes on two cores.
"""

import dataclasses
import sys

import numpy as np

from datasets import ENCODINGS, mnist
from memristive.cli.main import run
from memristive.cli.options import add_jobs, make_parser
from memristive.cli.parallel import run_tasks
from memristive.cli.progress import print_rows
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.learning.crossbar_training import CompiledCrossbar, learn_on_chip
from memristive.learning.error_rule import ErrorDrivenRule
from memristive.network.chip import Chip
from memristive.network.scores import decide
from memristive.network.spike_decoding import RESOLUTION

FOLDS = 6
# Presentations, dose (V), margin (s), start (V). Larger doses and longer runs lower all cells: a write takes X / 5,000 V of
# its dose from every cell of its column (leak).
TRIED = {
    "binary": [(600000, 20e-3, 2e-6, 3.0), (600000, 10e-3, 2e-6, 3.0), (600000, 40e-3, 2e-6, 3.0), (600000, 20e-3, 1e-6, 3.0),
               (600000, 40e-3, 2e-6, 4.0), (2400000, 20e-3, 2e-6, 4.0)],
    "grey": [(600000, 30e-3, 1e-6, 5.2), (600000, 10e-3, 1e-6, 5.2), (600000, 60e-3, 1e-6, 5.2), (600000, 60e-3, 0.5e-6, 5.2),
             (600000, 60e-3, 1.5e-6, 5.2), (600000, 60e-3, 2e-6, 5.2), (600000, 60e-3, 1.5e-6, 4.5), (600000, 60e-3, 1.5e-6, 6.5),
             (600000, 100e-3, 1.5e-6, 6.5), (600000, 100e-3, 2e-6, 6.5), (1200000, 60e-3, 1.5e-6, 6.5),
             (2400000, 30e-3, 1e-6, 5.2), (2400000, 30e-3, 1.5e-6, 6.5)]}


def main(arguments: list[str] | None = None) -> None:
    """Train with each setting, print and save the accuracies."""
    parser = add_jobs(make_parser(__doc__, parameters=False))
    parser.add_argument("--encoding", choices=ENCODINGS, help="only this encoding (default: both)")
    parser.add_number("--seed", 0, 2**32 - 1, 1, "of the order of presentation")
    parser.add_number("--samples", 60, 60_000, 60_000, "only N training images")
    options = parser.parse_args(arguments)
    record = options.results / "dose_and_margin.json"
    parameters = {"folds": FOLDS, "seed": options.seed, "encoding": options.encoding or "both", "samples": options.samples}
    check_overwriting(record, parameters, options.force)

    # 1. Train and test with each setting, on each part of the images.
    settings = [(encoding, ErrorDrivenRule(presentations, start, dose, margin, options.seed))
                for encoding in ([options.encoding] if options.encoding else ENCODINGS)
                for presentations, dose, margin, start in TRIED[encoding]]
    tasks = [(encoding, rule, fold, options.samples) for encoding, rule in settings for fold in range(FOLDS)]
    sizes = [rule.presentations for _, rule, _, _ in tasks]
    found = dict(run_tasks(held_out_accuracy, tasks, options.jobs, options.scheduler, sizes, "trainings"))

    # 2. Compare each setting with the first of its encoding, part by part: more certain than the accuracies themselves.
    rows, first = [], dict[str, np.ndarray]()
    for k, (encoding, rule) in enumerate(settings):
        accuracies = np.array([found[k * FOLDS + fold] for fold in range(FOLDS)])
        gain = accuracies - first.setdefault(encoding, accuracies)
        rows.append({"encoding": encoding, **dataclasses.asdict(rule), "held_out_accuracies": accuracies,
                     "held_out_accuracy_mean": accuracies.mean(), "gain_mean": gain.mean(),
                     "gain_standard_error": gain.std(ddof=1) / np.sqrt(FOLDS)})
    write_results(record, parameters, {"rows": rows}, ngspice=False)
    print_rows(rows, drop=["held_out_accuracies"])


def held_out_accuracy(task: tuple[str, ErrorDrivenRule, int, int]) -> float:
    """Return the strict accuracy on one part of the images after a training on all the others. Runs in a worker."""
    encoding, rule, fold, samples = task
    dataset = mnist(encoding=encoding)
    images, labels = dataset.training.levels[:samples], dataset.training.labels[:samples]
    held = np.array_split(np.arange(len(labels)), FOLDS)[fold]
    others = np.setdiff1d(np.arange(len(labels)), held)
    states = learn_on_chip(dataset.setup, Chip(), rule, images[others], labels[others])
    spikes = CompiledCrossbar(dataset.setup, Chip()).first_spikes(states, images[held])
    return float(np.mean(decide(spikes, RESOLUTION)[0] == labels[held]))


if __name__ == "__main__":
    from studies import dose_and_margin  # workers import what they run

    sys.exit(run(dose_and_margin.main))
