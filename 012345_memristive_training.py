"""Train the 012345 network (6 classes x 15 inputs) in situ in ngspice (Jurj 2024, section 3). About 2 s.

Writes voltages/012345.json, figures/012345_*.png and figures/012345_training_results.json; with --rule error-driven, which
learns from its errors instead of one pulse a class, the same with 012345_error_driven in the names
(--engine closed-form: 012345_closed_form).
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys

from memristive.cli.experiments import digits_experiment
from memristive.cli.training import training_script


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    training_script(__doc__, digits_experiment, arguments)


if __name__ == "__main__":
    sys.exit(run(main))
