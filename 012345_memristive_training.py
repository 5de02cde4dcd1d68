"""012345 training: a 6 x 15 crossbar of memristors learns six 5x3 digits in one ngspice transient
(Jurj 2024, section 3).

The steps are as in XPUE_memristive_training.py. Change a number, run it again. Writes
voltages/012345.json, results/paper/012345_training.json and figures/012345_*.png in about 4 s.
"""

from datasets import digits_012345
from memristive.cli.script import run
from memristive.network.design import Schedule, Setup
from memristor import MemristorParameters
from snn_circuit import NeuronParameters
from XPUE_memristive_training import train

# The paper's device, neuron and pulses, in SI units. Every parameter that is not given here has a
# default.
MEMRISTOR = MemristorParameters(transconductance=5e-9)
NEURON = NeuronParameters(feedback_resistance=1e3, threshold=4.0)
SCHEDULE = Schedule(pulse=5e-3, period=15e-3, input_voltage=1.0, phi_voltage=1.2)


def main(arguments: list[str] | None = None) -> None:
    """Train on the digits 0 to 5, one pattern for each class, pixels from 0 to 1."""
    train(digits_012345(), Setup(MEMRISTOR, NEURON, SCHEDULE), __doc__, arguments)


if __name__ == "__main__":
    run(main)
