"""MNIST inference: the trained crossbar reads its ten templates in ngspice; the neuron that fires
first names the class.

The steps are as in XPUE_memristive_inference.py. Reads voltages/mnist.json, which
MNIST_memristive_training.py writes, or any file in the paper's flat layout. Writes
results/paper/mnist_inference.json and figures/mnist_*.png in about 4 s.
"""

from datasets import mnist
from memristive.cli.paper import reading_task
from memristive.cli.script import run
from XPUE_memristive_inference import read_patterns


def main(arguments: list[str] | None = None) -> None:
    """Read the ten templates, in the size and encoding of the voltages file."""
    read_patterns(
        reading_task(
            "mnist",
            (10, None),
            lambda voltages: mnist(voltages.shape[0], voltages.encoding),
            __doc__,
            arguments,
        )
    )


if __name__ == "__main__":
    run(main)
