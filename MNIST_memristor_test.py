"""Test accuracy on MNIST's test images, every one simulated in ngspice. About 1 minute for all 10,000 on two cores.

Reads voltages/mnist.json (or --voltages FILE, also in the paper's flat layout). Writes mnist_test_results.json,
mnist_test_decisions.csv.gz (every image's label, decisions and spike times; a read in ngspice ends once the decision stands:
later spikes are blank) and the figures mnist_test_confusion.png and mnist_test_leads.png; for other voltages their rule,
encoding and size are in the names.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys

from memristive.cli.testing import testing_script


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    testing_script(__doc__, arguments)


if __name__ == "__main__":
    sys.exit(run(main))
