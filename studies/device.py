"""Experiments on one memristor, run by `python memristor.py`: I-V loop and fingerprints, STDP window, measured devices."""

import memristor
from memristive.cli.options import make_parser
from memristive.spice.parameters import ParameterError
from studies.device_presets import list_devices, run_device
from studies.iv import run_iv
from studies.stdp_window import run_stdp


def main(arguments: list[str] | None = None) -> None:
    """Run the I-V experiment, or the one that an option asks for."""
    parser = make_parser(memristor.__doc__, netlist=True)
    parser.add_argument("--stdp", action="store_true", help="measure the STDP window instead of the I-V loop")
    parser.add_argument("--device", metavar="NAME", help="update curves and I-V loop of a measured device: preset or device file")
    parser.add_argument("--devices", action="store_true", help="list the presets of measured devices")
    options = parser.parse_args(arguments)
    if options.device and (options.settings or options.parameters or options.netlist or options.stdp):
        raise ParameterError("--device cannot be combined with --set, --parameters, --netlist or --stdp: the device sets all "
                             "parameters")
    if options.devices:
        list_devices()
    elif options.device:
        run_device(options)
    else:
        (run_stdp if options.stdp else run_iv)(options)
