"""Present the 6 training patterns of 012345 to the trained network in ngspice: decisions, leads, train accuracy. About 3 s.

Reads voltages/012345.json (or --voltages FILE, also in the paper's flat layout); writes figures/012345_membranes.png,
figures/012345_raster.png, figures/012345_train_confusion.png and figures/012345_inference_results.json.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys

from memristive.cli.experiments import digits_experiment
from memristive.cli.inference import inference_script


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    inference_script(__doc__, digits_experiment, arguments)


if __name__ == "__main__":
    sys.exit(run(main))
