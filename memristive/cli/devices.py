"""Options --device and --scheme: the paper's method with two-terminal devices of a SPICE model."""

import argparse
from pathlib import Path

import numpy as np

from memristive.cli.script import Parser, keep_apart
from memristive.io import records
from memristive.learning.hebbian import array_setup
from memristive.network.design import Setup
from memristive.network.two_terminal import HALF, ONE_TRANSISTOR, SCHEMES
from memristive.parameters import ParameterError


def add_device(parser: Parser) -> Parser:
    """Add --device and --scheme, for `on_device`; return the parser."""
    parser.add_argument(
        "--device",
        metavar="FILE",
        help="two-terminal devices of a SPICE model in the place of emulators: the "
        "file that python -m memristive measure writes",
    )
    parser.add_argument(
        "--scheme",
        choices=SCHEMES,
        help="how these devices are selected: by access switches, or by half "
        f"voltages (default: {ONE_TRANSISTOR})",
    )
    parser.set_defaults(default_voltages=parser.get_default("voltages"))
    return parser


def on_device(options: argparse.Namespace, setup: Setup, patterns: np.ndarray) -> Setup:
    """Return the `setup` with the devices of --device in its cells, and print the states that their
    curves predict for a training of `patterns`.

    The names of device and scheme are added to the name of the default voltages file, and outputs
    about a user's own device go to the folder own/. Without --device, `setup` is returned
    unchanged. Raises ParameterError if --device is no device file or has a gate.
    """
    if not options.device:
        if options.scheme:
            raise ParameterError("--scheme is for two-terminal devices, so it needs --device")
        return setup
    if not Path(options.device).is_file():
        raise ParameterError(
            f"--device must be the device file of a SPICE model, {options.device!r} is no file; "
            "write one with: python -m memristive measure MODEL, a model's .json file or one of "
            "the project's, such as vteam"
        )
    from memristive.devices.measured_device import load_device  # emulators need none

    networks, device = keep_apart(options, options.device), load_device(options.device)
    if device.levels:
        raise ParameterError(
            f"--device {options.device} is a cell with a gate, which learns from errors: use "
            "python -m memristive train --device"
        )
    setup = array_setup(setup, device, options.scheme or ONE_TRANSISTOR, patterns)
    print_prediction(setup, patterns)
    if options.voltages == options.default_voltages:
        options.voltages = networks / f"{options.voltages.stem}{setup.suffix}.json"
    return setup


def print_prediction(setup: Setup, patterns: np.ndarray) -> None:
    """Print the number of pulses for each class, and the states that the curves predict."""
    array = setup.array
    assert array
    device = array.device
    x, on = array.trained(patterns), patterns > 0
    report = records.report
    report(
        f"{device.name}, {array.scheme}: each class gets {array.pulses:.0f} pulses of "
        f"{device.voltage_up:g} V and {device.width_up:g} s, as one"
    )
    report(
        f"expected share of the conductance range: {x[on].min():.1%} to {x[on].max():.1%} in "
        f"pixels that are on, up to {x[~on].max(initial=0):.1%} in the others"
    )
    if array.scheme == HALF:
        report(f"half-selected cells take {array.disturb:.2%} of a step (r) from each pulse")
