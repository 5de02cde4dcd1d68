"""Train the XPUE network (4 classes x 9 inputs) in situ in ngspice (Jurj 2024, section 3). About 2 s.

Writes voltages/xpue.json, figures/xpue_*.png and figures/xpue_training_results.json; with --rule error-driven, which learns
from its errors instead of one pulse a class, the same with xpue_error_driven in the names
(--engine closed-form: xpue_closed_form).
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys

from memristive.cli.experiments import xpue_experiment
from memristive.cli.training import training_script


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    training_script(__doc__, xpue_experiment, arguments)


if __name__ == "__main__":
    sys.exit(run(main))
