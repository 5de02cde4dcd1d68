"""A small network of each kind, whose neurons fire, and an image that it reads."""

import functools

import numpy as np

from memristive.devices.measured_device import emulator
from memristive.learning.build import build, initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.settings import measured_design, measured_parameters
from memristive.network.chip import Chip
from memristive.network.convolution import Convolution
from memristive.network.design import LayerDesign
from memristive.network.networks import network_on_chip
from tests.network.networks import MEASURED, pulses_of

IMAGES = np.random.default_rng(3).random((20, 36)) * (np.random.default_rng(4).random(36) < 0.8)
IMAGE = IMAGES[0]
CHIP = Chip(cell_gain=0.05, cell_threshold=0.02, neuron_threshold=0.05, seed=4)
NOISY_CHIP = Chip(cell_gain=0.05, neuron_threshold=0.05, read_noise=0.02, seed=3)
WINDOWS = Convolution(6, 6, window=3, regions=2)
STACK = (
    Convolution(6, 6, window=3, regions=3),
    Convolution(3, 3, window=2, regions=2, channels=2),
)
RULE = LayeredRule(
    start_drive=0.3, start_drive_spread=0.5, start_weight=0.2, start_weight_spread=0.5, seed=1
)
BIASES = {"hidden_bias": 1.6, "output_bias": 1.9}


def layers(hidden, device=None, pairs=1, chip=None, kinds=(), **pulses):
    """A network of random weights, which are not trained."""
    made = {"design": LayerDesign(**BIASES)}
    if device:
        emulated = emulator(MEASURED[device])
        made = {
            "design": measured_design(emulated, pairs, 1.0, **BIASES),
            "parameters": measured_parameters(emulated),
            "pulses": pulses_of(emulated, **pulses),
        }
    network = initial_network(hidden, 2, IMAGES, RULE, kinds=kinds, **made)
    return network_on_chip(network, chip)


KINDS = {
    "paper": lambda: build(IMAGES, 2)[0],
    "paper, noisy chip": lambda: build(IMAGES, 2, chip=NOISY_CHIP)[0],
    "paper, wires": lambda: build(IMAGES, 2, chip=Chip(row_resistance=2, column_resistance=2))[0],
    "hidden": functools.partial(layers, (3,)),
    "two hidden, chip": functools.partial(layers, (3, 4), chip=CHIP),
    "pairs": lambda: build(IMAGES, 2, device="epiram")[0],
    "two pairs, hidden, chip": functools.partial(layers, (3,), "pcmo", 2, CHIP),
    "reference": lambda: build(IMAGES, 2, device="epiram", pairs=0)[0],
    "read noise": functools.partial(layers, (3,), "noisy"),
    "late, hidden, chip": functools.partial(layers, (3,), "pcmo", chip=CHIP, late=True),
    "gate": lambda: build(IMAGES, 2, device="li-1t1r")[0],
    "convolution": functools.partial(layers, (2,), kinds=(WINDOWS,)),
    "convolution, noise, chip": functools.partial(
        layers, (2,), "noisy", chip=CHIP, kinds=(WINDOWS,)
    ),
    "convolution of overlapping regions, late": functools.partial(
        layers, (2,), "epiram", kinds=(Convolution(6, 6, 3, 1, 2, overlap=1),), late=True
    ),
    "two convolutions, hidden": functools.partial(layers, (2, 2, 3), kinds=STACK),
    "two convolutions, noise, chip": functools.partial(
        layers, (2, 2), "noisy", chip=CHIP, kinds=STACK
    ),
}
