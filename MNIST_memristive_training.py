"""MNIST training: a 10 x 100 crossbar of memristors learns ten 10x10 templates in one ngspice
transient (Jurj 2024, section 3).

The steps are as in XPUE_memristive_training.py. Change a number, run it again. Writes
voltages/mnist.json, results/paper/mnist_training.json and figures/mnist_*.png in about 4 s.
"""

from datasets import mnist
from memristive.cli.script import run
from memristive.network.design import Schedule, Setup
from memristor import MemristorParameters
from snn_circuit import NeuronParameters
from XPUE_memristive_training import train

# The paper's device, neuron and pulses, in SI units. Every parameter that is not given here has a
# default.
MEMRISTOR = MemristorParameters(transconductance=5e-9)
SIZE = 10  # images are shrunk to SIZE x SIZE pixels
NEURON = NeuronParameters(feedback_resistance=1e3 * 10**2 / SIZE**2, threshold=4.0)
SCHEDULE = Schedule(
    pulse=2e-3, period=6e-3, input_voltage=1.0, phi_voltage=1.2, sampling_step=11e-6
)


def main(arguments: list[str] | None = None) -> None:
    """Train on the mean of 100 training images of each digit, with its 20 brightest pixels on."""
    train(mnist(SIZE), Setup(MEMRISTOR, NEURON, SCHEDULE), __doc__, arguments)


if __name__ == "__main__":
    run(main)
