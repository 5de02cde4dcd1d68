"""Experiments on one memristor, run by `python memristor.py`: I-V loop and fingerprints, or with --stdp the STDP window."""

import memristor
from memristive.cli.options import make_parser
from studies.iv import run_iv
from studies.stdp_window import run_stdp


def main(arguments: list[str] | None = None) -> None:
    """Run the I-V experiment, or with --stdp the STDP experiment."""
    parser = make_parser(memristor.__doc__, netlist=True)
    parser.add_argument("--stdp", action="store_true", help="measure the STDP window instead of the I-V loop")
    options = parser.parse_args(arguments)
    (run_stdp if options.stdp else run_iv)(options)
