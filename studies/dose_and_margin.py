"""Which dose, margin, start and number of presentations suit the error-driven rule? Measured on held-out training images.

Each sixth of MNIST's training images in turn is held out: the network learns from the others and is tested on it (strict).
Test images are never used. Reads by settled membranes alone (studies.settled_training): the closed form would take hours.
Prints a table and writes results/dose_and_margin.json. About 3 minutes.
"""

import dataclasses
import sys

import numpy as np

from datasets import ENCODINGS, mnist
from memristive.cli.main import run
from memristive.cli.options import make_parser
from memristive.cli.progress import print_rows, progress
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.single_layer.error_rule import ErrorDrivenRule, presentation_order
from memristive.single_layer.spike_decoding import strict_decision
from studies.settled_training import SettledTraining

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
    """Train with each setting, save and print the accuracies."""
    parser = make_parser(__doc__, parameters=False)
    parser.add_argument("--encoding", choices=ENCODINGS, help="only this encoding (default: both)")
    parser.add_number("--seed", 0, 2**32 - 1, 1, "of the order of presentation")
    parser.add_number("--samples", 60, 60_000, 60_000, "only N training images")
    options = parser.parse_args(arguments)
    record = options.results / "dose_and_margin.json"
    parameters = {"folds": FOLDS, "seed": options.seed, "encoding": options.encoding or "both", "samples": options.samples}
    check_overwriting(record, parameters, options.force)

    rows = []
    for encoding in [options.encoding] if options.encoding else ENCODINGS:
        dataset, first = mnist(encoding=encoding), None
        labels = dataset.training.labels[:options.samples]
        training = SettledTraining(dataset.setup, 10, dataset.training.levels[:options.samples], labels)
        for presentations, dose, margin, start in progress(TRIED[encoding], len(TRIED[encoding]), encoding, "training"):
            rule = ErrorDrivenRule(presentations, start, dose, margin, options.seed)
            accuracies = held_out_accuracies(training, rule, labels)
            first = accuracies if first is None else first
            gain = accuracies - first  # on the same images: more certain than the accuracies themselves
            rows.append({"encoding": encoding, **dataclasses.asdict(rule), "held_out_accuracies": accuracies,
                         "held_out_accuracy_mean": accuracies.mean(), "gain_mean": gain.mean(),
                         "gain_standard_error": gain.std(ddof=1) / np.sqrt(FOLDS)})

    write_results(record, parameters, {"rows": rows}, ngspice=False)
    print_rows(rows, drop=["held_out_accuracies"])


def held_out_accuracies(training: SettledTraining, rule: ErrorDrivenRule, labels: np.ndarray) -> np.ndarray:
    """Return the strict accuracy on each of the `FOLDS` parts of the images after a training on all the others."""
    accuracies = []
    for held in np.array_split(np.arange(len(labels)), FOLDS):
        others = np.setdiff1d(np.arange(len(labels)), held)
        states, _ = training.train(rule, others[presentation_order(rule.seed, rule.presentations, len(others))])
        decisions = [strict_decision(times) for times in training.spikes(states, held)]
        accuracies.append(np.mean(decisions == labels[held]))
    return np.array(accuracies)


if __name__ == "__main__":
    sys.exit(run(main))
