"""Evidence for docs/reproducing.md: logistic regression's weights, written into the memristors.

Ex situ, for comparison: logistic regression trained in software, its weights written into the
memristors.

Each weight becomes a state X = centre + scale * weight. The centre is the start state of the
dataset's rule, and the scale puts the largest weight 1.5 V away from the centre. Centre and scale
are the same in all columns, so the winner hardly ever changes. Writes voltages/NAME_ex_situ.json
and results/one_layer/NAME_ex_situ_training.json with the software's test accuracy. About 10 s for
MNIST.
"""

import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from memristive.cli.script import Record, make_parser, run
from memristive.datasets import DATASETS, ENCODINGS, load_dataset
from memristive.io.records import check_overwriting, describe
from memristive.io.voltages import save_voltages
from memristive.scores.decisions import interval

SWING = 1.5  # V, largest distance of a state from the centre
ITERATIONS = 300  # at most, of the logistic regression


def main(arguments: list[str] | None = None) -> None:
    """Train in software, map the weights to states, save states and accuracy."""
    parser = make_parser(__doc__, "one_layer", parameters=False)
    parser.add_argument(
        "--data", choices=DATASETS, default="mnist", help="dataset (default: mnist)"
    )
    parser.add_argument(
        "--encoding",
        choices=ENCODINGS,
        help="pixels on or off, or voltages proportional to grey levels",
    )
    parser.add_common("--voltages", None, "default: voltages/NAME_ex_situ.json")
    options = parser.parse_args(arguments)

    # 1. Data and parameters.
    dataset = load_dataset(options.data, encoding=options.encoding)
    training, test = dataset.training, dataset.test
    ending = "_grey" * (dataset.name == "mnist" and dataset.encoding == "grey")
    name = f"{dataset.name}_ex_situ{ending}"
    path = options.voltages or Path("voltages") / f"{name}.json"
    parameters = {
        "dataset": dataset.name,
        "shape": dataset.shape,
        "encoding": dataset.encoding,
        "rule": "ex-situ",
        **describe(dataset.setup),
        "mapping": {"swing": SWING, "iterations": ITERATIONS},
    }
    check_overwriting(path, parameters, options.force, option="--voltages FILE")
    record = Record(options, f"{name}_training", parameters, others=[path])

    # 2. Train in software. Without intercepts: the network has no input that is always on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=ITERATIONS, fit_intercept=False).fit(*training)
    right, count = int(np.sum(model.predict(test.levels) == test.labels)), len(test.labels)
    low, high = interval(right, count)

    # 3. Map weights to states. A common shift of all classes changes no decision.
    weights = model.coef_ - model.coef_.mean(axis=0)
    states = dataset.rule.start_state + weights * SWING / np.abs(weights).max()

    # 4. Save and print.
    save_voltages(path, states, overwrite=True, **parameters)
    record.write(
        {"software_accuracy": right / count, "software_interval_95": [low, high], "samples": count}
    )
    print(
        f"logistic regression in software: {right / count:.2%} of {count} test images (95 % "
        f"interval {low:.2%} to {high:.2%})"
    )


if __name__ == "__main__":
    run(main)
