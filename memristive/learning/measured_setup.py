"""One layer of measured devices: setup and rule for error-driven training."""

import dataclasses

import numpy as np

from memristive.devices.measured_device import Emulator
from memristive.learning.error_rule import ErrorDrivenRule
from memristive.network.closed_form import STILL_GAIN
from memristive.network.operating_range import USUAL, settled_membranes
from memristive.network.setup import Setup

DOSE = 0.01  # of the conductance range, change of a cell by a first write


def measured_setup(emulator: Emulator, setup: Setup, images: np.ndarray) -> Setup:
    """Return `setup` with a measured device, read and written at its read voltage.

    The leak is in proportion to the voltage, so that a write at a lower voltage only takes longer. The feedback resistor puts
    the membranes of cells in the middle of their range, on average `images` (n x inputs, 0 to 1), at 1.7 thresholds. The op-amps
    have a larger gain, so that columns do not move against the gates, which their capacitors hold.
    """
    schedule = dataclasses.replace(setup.schedule, input_voltage=emulator.device.read_voltage)
    setup = setup.replace(memristor=emulator.memristor, schedule=schedule)
    middle = np.full((1, images.shape[1]), emulator.state(0.5))
    share = float(settled_membranes(setup, middle, images).mean()) / setup.neuron.threshold
    feedback = USUAL / share * setup.neuron.feedback_resistance
    return setup.replace(neuron=dataclasses.replace(setup.neuron, feedback_resistance=feedback, amplifier_gain=STILL_GAIN))


def measured_rule(emulator: Emulator, rule: ErrorDrivenRule) -> ErrorDrivenRule:
    """Return `rule` with a start in the middle of the conductance range and a dose in proportion to it."""
    return dataclasses.replace(rule, start_state=float(emulator.state(0.5)), dose=DOSE * (emulator.high - emulator.low))
