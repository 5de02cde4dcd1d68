"""Present the 10 training patterns of MNIST to the trained network in ngspice: decisions, leads, train accuracy. About 8 s.

Reads voltages/mnist.json (or --voltages FILE, also in the paper's flat layout); writes figures/mnist_membranes.png,
figures/mnist_raster.png, figures/mnist_train_confusion.png and figures/mnist_inference_results.json.
--encoding and --size choose the file and the patterns, and add to the names.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys

from memristive.cli.experiments import add_size_and_encoding, mnist_experiment
from memristive.cli.inference import inference_script


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    inference_script(__doc__, mnist_experiment, arguments, add_size_and_encoding)


if __name__ == "__main__":
    sys.exit(run(main))
