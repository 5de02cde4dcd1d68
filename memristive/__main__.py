"""Commands of the project: `python -m memristive COMMAND`."""

import importlib
import sys

from memristive.cli.script import exit_code, table
from memristive.parameters import did_you_mean

# each command is a module of memristive.commands, and answers a question
COMMANDS = {
    "fit": "what are the steps, noises and spreads of my device? From a table",
    "measure": "can my SPICE model learn in a crossbar? ngspice measures it",
    "report": "what is my device worth in a network that learns? A page",
    "train": "how well does a network learn my images, in a circuit of my device?",
    "test": "how well does a trained network read images, here or on another chip?",
    "table": "how well do memristors learn my table, beside scikit-learn's classifiers?",
    "compare": "which device, way to write, spread or other value learns best?",
    "chips": "do weights survive on chips whose cells differ?",
    "costs": "what energy, time, wear and area does a network take?",
    "export": "how do I take a device or a network elsewhere? SPICE, Verilog-A, tables",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; without one, list them. Return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print("python -m memristive COMMAND, with one of these:\n")
        print(table(("command", "question"), list(COMMANDS.items())))
        print("\nOptions: python -m memristive COMMAND --help. Pages: docs/guide.md")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS)
        print(f"memristive: {name!r} is none of {', '.join(COMMANDS)}{hint}", file=sys.stderr)
        return 2
    sys.argv[0] = f"memristive {name}"
    return exit_code(importlib.import_module(f"memristive.commands.{name}").main, rest)


if __name__ == "__main__":
    sys.exit(main())
