"""The ex-situ route, for comparison: logistic regression trained in software, its weights written into the memristors.

Each weight becomes a state X = centre + scale * weight: shifted to positive, scaled so that the largest lies `swing` from
the centre; the winner hardly ever changes, since every class's column is shifted alike, and where states lie well above the input
(a small --swing) currents are in proportion to them. Writes
voltages/mnist_ex_situ.json (or _grey) and figures/mnist_ex_situ_training_results.json with the software's test accuracy. About
10 s.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from datasets import encode, load_mnist
from memristive.cli.command_line import add_quantities, file_name, make_parser, quantities, warn
from memristive.cli.experiments import Experiment, add_size_and_encoding, describe, mnist_experiment
from memristive.io.claims import claimed
from memristive.io.results import results_path, versions, write_results
from memristive.io.voltages import FORMAT, Voltages, checksum, save_voltages
from memristive.single_layer.scores import interval
from memristive.spice.parameters import Parameters, quantity
from memristive.spice.session import NgspiceSession

RULE = "ex-situ"


@dataclass(frozen=True)
class Mapping(Parameters):
    """How weights become states."""

    swing: float = quantity(1.5, 1e-3, 1000.0, "V", "largest distance of a state from the centre")
    iterations: int = quantity(300, 1, 100000, "", "most iterations of the logistic regression")


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "nothing is simulated here; the test script writes the netlist that reads"})
    parser.add_argument("--voltages", type=file_name, metavar="FILE",
                        help="where the voltages go (default: voltages/mnist_ex_situ.json)")
    add_size_and_encoding(parser)
    add_quantities(parser, Mapping())
    options = parser.parse_args(arguments)
    mapping = quantities(Mapping(), vars(options))
    experiment = mnist_experiment(options.size, options.encoding)
    path = Path(options.voltages or experiment.voltages_path(RULE))
    parameters = describe(experiment, mapping=mapping.as_dict())
    results = results_path(options.figures, f"{experiment.stem(RULE)}_training")
    with claimed([(path, {**parameters, "rule": RULE, "format": FORMAT}), (results, parameters)], (), options.force):
        _carry_over(options, experiment, mapping, path, parameters)


def _carry_over(options: argparse.Namespace, experiment: Experiment, mapping: Mapping, path: Path,
                parameters: dict[str, Any]) -> None:
    """Train in software, map the weights to states, keep both, then report."""
    images, labels = experiment.training_images()
    arrays = load_mnist("x_test", "y_test")
    test = encode(arrays["x_test"], options.size, options.encoding)

    # Without intercepts: the network has no input that is always on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below
        model = LogisticRegression(max_iter=mapping.iterations, fit_intercept=False).fit(images, labels)
    warn(f"the logistic regression has not converged in {mapping.iterations} iterations (a higher --iterations)"
         * bool(model.n_iter_.max() >= mapping.iterations))
    right = int(np.sum(model.predict(test) == arrays["y_test"]))
    low, high = interval(right, len(test))

    weights = model.coef_ - model.coef_.mean(axis=0)
    states = experiment.rule.start_state + weights * mapping.swing / np.abs(weights).max()
    session = NgspiceSession()
    origin = parameters | {"versions": versions(session), "states": checksum(states)}
    save_voltages(path, Voltages(states, "mnist", options.encoding, RULE, origin))
    results = {"software_accuracy": right / len(test), "software_interval_95": [low, high], "samples": len(test)}
    wrote = write_results(options.figures, f"{experiment.stem(RULE)}_training", session, parameters, results)
    print(f"logistic regression in software: {right / len(test):.2%} on {len(test)} test images "
          f"(95 % interval {low:.2%} to {high:.2%})")
    off = int(np.sum(states <= experiment.network.memristor.threshold_voltage))
    warn(f"{off} of {states.size} states are at or below the channels' threshold, where no cell conducts: those weights are "
         "lost; a smaller --swing keeps them" if off else "")
    print(f"wrote {states.shape[0]} x {states.shape[1]} states, {states.min():.3f} to {states.max():.3f} V -> {path}")
    print(f"wrote {wrote}")


if __name__ == "__main__":
    sys.exit(run(main))
