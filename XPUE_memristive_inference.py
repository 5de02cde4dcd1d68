"""Present the 4 training patterns of XPUE to the trained network in ngspice: decisions, leads, train accuracy. About 2 s.

Reads voltages/xpue.json (or --voltages FILE, also in the paper's flat layout); writes figures/xpue_membranes.png,
figures/xpue_raster.png, figures/xpue_train_confusion.png and figures/xpue_inference_results.json.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys

from memristive.cli.experiments import xpue_experiment
from memristive.cli.inference import inference_script


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    inference_script(__doc__, xpue_experiment, arguments)


if __name__ == "__main__":
    sys.exit(run(main))
