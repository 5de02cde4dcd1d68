"""The experiments on one memristor that `python memristor.py` starts: the IV experiment, or with --stdp the STDP window."""

import argparse
import dataclasses

import memristor
from memristive.cli.command_line import Parser, add_quantities, make_parser, quantities
from memristor import MemristorParameters, check_phi
from studies.iv import IV_TRANSCONDUCTANCE, IvExperiment, run_iv
from studies.stdp_window import StdpExperiment, check_edges, run_stdp

IV_MEMRISTOR = dataclasses.replace(MemristorParameters(), transconductance=IV_TRANSCONDUCTANCE)


def _parser(stdp: bool) -> Parser:
    parser = make_parser(memristor.__doc__, {"--voltages": "one memristor has no trained voltages"})
    parser.add_argument("--stdp", action="store_true", help="measure the STDP window (its options: --stdp --help)")
    add_quantities(parser, MemristorParameters() if stdp else IV_MEMRISTOR)
    add_quantities(parser, StdpExperiment() if stdp else IvExperiment())
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Run the IV experiment and the fingerprint sweep, or the STDP experiment."""
    # Which experiment it is decides the options there are and their defaults, so this is looked up first.
    mode = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    mode.add_argument("--stdp", action="store_true")
    stdp = mode.parse_known_args(arguments)[0].stdp
    options = _parser(stdp).parse_args(arguments)
    given = vars(options)
    if stdp:
        parameters, pairing = quantities(MemristorParameters(), given), quantities(StdpExperiment(), given)
        check_phi(pairing.phi_voltage, parameters)
        check_edges(pairing, parameters)
        run_stdp(options, parameters, pairing)
    else:
        parameters, sine = quantities(IV_MEMRISTOR, given), quantities(IvExperiment(), given)
        check_phi(sine.phi_voltage, parameters)
        run_iv(options, parameters, sine)
