"""Chips of multilayer networks: each layer, with its reference column, draws its devices from one description and seed."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

from memristive.multilayer.layer_netlist import LayerChip
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip
from snn_circuit import NetworkParameters

SUPPORTED = ("cell_gain", "cell_write_gain", "neuron_threshold")  # deviations that multilayer networks can have
NOMINAL = NetworkParameters()
SEED_STEP = 7919  # between the seeds of two layers


def layer_chips(chip: Chip, sizes: Sequence[int]) -> tuple[LayerChip, ...]:
    """Return the devices of each layer.

    Parameters
    ----------
    chip : Chip
        Deviations and seed; its shape is not used.
    sizes : sequence of int
        Inputs, then the neurons of each layer.

    Raises
    ------
    ParameterError
        The chip has deviations other than `SUPPORTED`.
    """
    other = [name for name in chip.deviations if name not in SUPPORTED]
    if other:
        raise ParameterError(f"several layers support a chip's {', '.join(SUPPORTED)} only, got {', '.join(other)}")
    layers = []
    for layer, (below, neurons) in enumerate(pairwise(sizes)):
        part = dataclasses.replace(chip, classes=neurons + 1, inputs=below + 1, seed=(chip.seed + layer * SEED_STEP) % 2**32)
        cells, neuron_values = part.cells(NOMINAL.memristor), part.neurons(NOMINAL.neuron)
        layers.append(LayerChip(cells.gain / NOMINAL.memristor.gain,
                                (cells.transconductance / NOMINAL.memristor.transconductance)[:-1],
                                (neuron_values.threshold / NOMINAL.neuron.threshold)[:-1]))
    return tuple(layers)
