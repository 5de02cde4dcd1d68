"""012345 inference: the trained crossbar reads its six patterns in ngspice; the neuron that fires
first names the class.

The steps are as in XPUE_memristive_inference.py. Reads voltages/012345.json, which
012345_memristive_training.py writes, or any file in the paper's flat layout. Writes
results/paper/012345_inference.json and figures/012345_*.png in about 3 s.
"""

from datasets import digits_012345
from memristive.cli.paper import reading_task
from memristive.cli.script import run
from XPUE_memristive_inference import read_patterns


def main(arguments: list[str] | None = None) -> None:
    """Read the digits 0 to 5."""
    digits = digits_012345()
    read_patterns(
        reading_task("012345", (6, 15), lambda voltages: digits, __doc__, arguments, digits)
    )


if __name__ == "__main__":
    run(main)
