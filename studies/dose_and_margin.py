"""Which dose, margin, start and number of presentations suit the error-driven rule? Asked of training images that are held out.

Six times another 10,000 of the 60,000 training images are held out, the network learns from the rest and is tested on them
(strict). Test images are never looked at. Reads by settled membranes alone (`studies.settled_training`), else there would be
hours of it. Prints a table and writes figures/dose_and_margin_results.json, row by row. About 3 minutes.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import dataclasses
import sys
import time
from typing import Any

import numpy as np

from datasets import ENCODINGS
from memristive.cli.command_line import make_parser, progress, whole_number
from memristive.cli.experiments import mnist_experiment
from memristive.io.claims import claimed
from memristive.io.earlier import earlier_kept
from memristive.io.results import results_path, write_results
from memristive.single_layer.error_rule import ErrorDrivenRule, order
from memristive.single_layer.spike_decoding import strict_decision
from studies.settled_training import SettledTraining

NAME = "dose_and_margin"
FOLDS = 6
# Presentations, dose (V), margin (s), start (V). Larger doses and longer runs take more off the cells: a write takes X / 5,000 V
# of its dose from every cell of its column (leak).
TRIED = {
    "binary": [(600000, 20e-3, 2e-6, 3.0), (600000, 10e-3, 2e-6, 3.0), (600000, 40e-3, 2e-6, 3.0), (600000, 20e-3, 1e-6, 3.0),
               (600000, 40e-3, 2e-6, 4.0), (2400000, 20e-3, 2e-6, 4.0)],
    "grey": [(600000, 30e-3, 1e-6, 5.2), (600000, 10e-3, 1e-6, 5.2), (600000, 60e-3, 1e-6, 5.2), (600000, 60e-3, 0.5e-6, 5.2),
             (600000, 60e-3, 1.5e-6, 5.2), (600000, 60e-3, 2e-6, 5.2), (600000, 60e-3, 1.5e-6, 4.5), (600000, 60e-3, 1.5e-6, 6.5),
             (600000, 100e-3, 1.5e-6, 6.5), (600000, 100e-3, 2e-6, 6.5), (1200000, 60e-3, 1.5e-6, 6.5),
             (2400000, 30e-3, 1e-6, 5.2), (2400000, 30e-3, 1.5e-6, 6.5)]}


def held_out_accuracies(training: SettledTraining, rule: ErrorDrivenRule, labels: np.ndarray) -> np.ndarray:
    """Strict accuracy on each of the `FOLDS` parts of the images after training by `rule` on all the others."""
    found = []
    for held in np.array_split(np.arange(len(labels)), FOLDS):
        others = np.setdiff1d(np.arange(len(labels)), held)
        states, _ = training.train(rule, others[order(rule, len(others))])
        decisions = [strict_decision(times) for times in training.spikes(states, held)]
        found.append(np.mean(decisions == labels[held]))
    return np.array(found)


def main(arguments: list[str] | None = None) -> int:
    """Run the study with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "nothing is simulated here", "--voltages": "nothing is kept here"})
    parser.add_argument("--encoding", choices=ENCODINGS, help="only this encoding (default: both)")
    parser.add_argument("--seed", type=whole_number(0, 2**32 - 1), default=1, metavar="N",
                        help="of the order of presentation (default: 1)")
    options = parser.parse_args(arguments)
    made_with = {"folds": FOLDS, "seed": options.seed, "encoding": options.encoding or "both"}
    with claimed([(results_path(options.figures, NAME), made_with)], (), options.force), \
            earlier_kept(options.figures, NAME, lambda results: len(results["runs"])):
        _try_all(options, made_with)
    return 0


def _try_all(options: argparse.Namespace, made_with: dict[str, Any]) -> None:
    """Train and test with everything that is tried; print and keep the accuracies."""
    rows: list[dict[str, Any]] = []
    print(f"{'images':<6}  {'presentations':>13}  {'dose/V':>6}  {'margin/us':>9}  {'start/V':>7}  {'held-out':>8}  "
          f"{'against the first':>17}  {'time/s':>6}")
    for encoding in [options.encoding] if options.encoding else ENCODINGS:
        experiment = mnist_experiment(encoding=encoding)
        images, labels = experiment.training_images()
        training, first = SettledTraining(experiment, images, labels), None
        for presentations, dose, margin, start in progress(TRIED[encoding], len(TRIED[encoding]), encoding, "training"):
            begun = time.perf_counter()
            rule = dataclasses.replace(experiment.rule, presentations=presentations, dose=dose, margin=margin, start_state=start,
                                       seed=options.seed)
            found = held_out_accuracies(training, rule, labels)
            first = found if first is None else first
            gain = found - first  # of the same images: much surer than the accuracies themselves
            error = gain.std(ddof=1) / np.sqrt(FOLDS)
            rows.append({"encoding": encoding, **rule.as_dict(), "held_out_accuracies": found, "gain": gain.mean(),
                         "standard_error": error})
            wrote = write_results(options.figures, NAME, None, made_with, {"runs": rows})
            print(f"{encoding:<6}  {presentations:>13}  {dose:>6.3f}  {margin * 1e6:>9.1f}  {start:>7.1f}  {found.mean():>8.2%}  "
                  f"{100 * gain.mean():>+8.2f} +- {100 * error:<5.2f}  {time.perf_counter() - begun:>6.0f}", flush=True)
    print(f"wrote {wrote}")


if __name__ == "__main__":
    sys.exit(run(main))
