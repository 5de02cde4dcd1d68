"""Which dose and margin suit the error-driven rule? Chosen on training images held out from training, never on test images.

Trains on the first 50,000 training images in the closed form, tests on the other 10,000 (strict), for each dose and margin.
Prints a table and writes figures/dose_and_margin_results.json. About 10 minutes.
"""

if __name__ == "__main__":
    from workflow.loading import run

import argparse
import dataclasses
import itertools
import sys
import time
from typing import Any

import numpy as np

from datasets import ENCODINGS
from learning.closed_form import Crossbar
from learning.decoding import strict_decision
from learning.engines import CLOSED_FORM, ClosedFormEngine
from learning.error_driven import ErrorDrivenRule, Teacher, begin
from records.claims import claimed
from records.results import results_path, write_results
from workflow.command_line import make_parser, progress, whole_number
from workflow.experiments import Experiment, mnist_experiment

TRAINED = 50000  # training images trained on; the rest is held out
# In V and s. Larger doses and longer runs hurt: a write takes X / 5,000 V of its dose off every cell of its column (leak).
GRID = {"binary": ((10e-3, 20e-3, 40e-3), (1e-6, 2e-6)), "grey": ((30e-3, 60e-3), (1e-6, 2e-6))}


def held_out_accuracy(experiment: Experiment, rule: ErrorDrivenRule, images: np.ndarray, labels: np.ndarray) -> float:
    """Strict accuracy on the held-out images after training by `rule` on the first ones (n x inputs, 0 to 1)."""
    learning = begin(rule, *experiment.dataset.patterns.shape)
    engine = ClosedFormEngine(experiment.network, experiment.schedule, *experiment.dataset.patterns.shape)
    teacher = Teacher(engine, rule, images[:TRAINED], labels[:TRAINED])
    for _ in progress(teacher.presentations(learning), rule.presentations, f"{rule.dose:g} V, {rule.margin:g} s", "image"):
        pass
    spikes = Crossbar.of(experiment.network, experiment.schedule).first_spikes(learning.states, images[TRAINED:])
    return float(np.mean([strict_decision(times) == label for times, label in zip(spikes, labels[TRAINED:], strict=True)]))


def main(arguments: list[str] | None = None) -> int:
    """Run the study with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "nothing is simulated here", "--voltages": "nothing is kept here"})
    parser.add_argument("--presentations", type=whole_number(1, 10**8), default=600000, metavar="N",
                        help="training images presented in each run (default: 600000)")
    parser.add_argument("--encoding", choices=ENCODINGS, help="only this encoding (default: both)")
    options = parser.parse_args(arguments)
    made_with = {"trained_on": f"the first {TRAINED} training images", "engine": CLOSED_FORM,
                 "presentations": options.presentations, "encoding": options.encoding or "both"}
    with claimed({results_path(options.figures, "dose_and_margin"): made_with}, (), options.force):
        _try_all(options, made_with)
    return 0


def _try_all(options: argparse.Namespace, made_with: dict[str, Any]) -> None:
    """Train and test with every dose and margin; print and keep the accuracies."""
    rows = []
    print(f"{'encoding':<8}  {'dose/V':>7}  {'margin/us':>9}  {'held-out':>8}  {'time/s':>6}")
    for encoding in [options.encoding] if options.encoding else ENCODINGS:
        experiment = mnist_experiment(encoding=encoding)
        images, labels = experiment.training_images()
        for dose, margin in itertools.product(*GRID[encoding]):
            start = time.perf_counter()
            rule = dataclasses.replace(experiment.rule, presentations=options.presentations, dose=dose, margin=margin)
            accuracy = held_out_accuracy(experiment, rule, images, labels)
            rows.append({"encoding": encoding, **rule.as_dict(), "held_out_accuracy": accuracy})
            print(f"{encoding:<8}  {dose:>7.3f}  {margin * 1e6:>9.2f}  {accuracy:>8.2%}  {time.perf_counter() - start:>6.0f}",
                  flush=True)
    print(f"wrote {write_results(options.figures, 'dose_and_margin', None, made_with, {'runs': rows})}")


if __name__ == "__main__":
    sys.exit(run(main))
