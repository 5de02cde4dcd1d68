"""Train the MNIST network (10 classes x 100 inputs) in situ in ngspice (Jurj 2024, section 3). About 3 s.

Writes voltages/mnist.json, figures/mnist_*.png and figures/mnist_training_results.json. With --rule error-driven it learns
from its errors on the training set instead of one pulse a class (about 20 minutes; --resume goes on after a stop), and
writes the same with mnist_error_driven in the names, with --engine closed-form mnist_closed_form. --encoding and --size add to
the names likewise.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys

from memristive.cli.experiments import add_size_and_encoding, mnist_experiment
from memristive.cli.training import training_script


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    training_script(__doc__, mnist_experiment, arguments, add_size_and_encoding)


if __name__ == "__main__":
    sys.exit(run(main))
