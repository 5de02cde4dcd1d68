"""Chips of layers: from one description and seed, each layer's crossbar with its reference column draws its own devices."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

from memristive.multilayer.layer_netlist import LayerChip
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip
from snn_circuit import NetworkParameters

SUPPORTED = ("cell_gain", "cell_write_gain", "neuron_threshold")  # of a chip's deviations, those that layers know
NOMINAL = NetworkParameters()


def layer_chips(chip: Chip, sizes: Sequence[int]) -> tuple[LayerChip, ...]:
    """The layers of a chip of `sizes` (inputs, then neurons of each layer): draws of their own, the reference columns included.

    The chip's own shape does not matter. Raises ParameterError for deviations that layers do not know.
    """
    other = [name for name in chip.deviations if name not in SUPPORTED]
    if other:
        raise ParameterError(f"layers know a chip's {', '.join(SUPPORTED)}, as ten-percent has, not its {', '.join(other)}")
    layers = []
    for layer, (below, neurons) in enumerate(pairwise(sizes)):
        own = dataclasses.replace(chip, classes=neurons + 1, inputs=below + 1, seed=(chip.seed + layer * 7919) % 2**32)
        cells, triggers = own.cells(NOMINAL.memristor), own.neurons(NOMINAL.neuron)
        layers.append(LayerChip(cells.gain / NOMINAL.memristor.gain,
                                (cells.transconductance / NOMINAL.memristor.transconductance)[:-1],
                                (triggers.threshold / NOMINAL.neuron.threshold)[:-1]))
    return tuple(layers)
