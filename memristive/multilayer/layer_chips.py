"""Chips of multilayer networks: each layer, with its reference column, draws its devices from one description and seed."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

from memristive.multilayer.layer_netlist import LayerChip
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip
from snn_circuit import NetworkParameters

SUPPORTED = ("cell_gain", "cell_write_gain", "cell_leak", "neuron_threshold")  # deviations that multilayer networks can have
NOMINAL = NetworkParameters()
SEED_STEP = 7919  # between the seeds of two layers


def layer_chips(chip: Chip, sizes: Sequence[int], pairs: int = 0) -> tuple[LayerChip, ...]:
    """Return the devices of each layer.

    Parameters
    ----------
    chip : Chip
        Deviations and seed; its shape is not used.
    sizes : sequence of int
        Inputs, then the neurons of each layer.
    pairs : int
        Differential pairs of a synapse; 0: one cell, and a reference column.

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
        columns = 2 * pairs * neurons or neurons + 1
        part = dataclasses.replace(chip, classes=columns, inputs=below + 1, seed=(chip.seed + layer * SEED_STEP) % 2**32)
        cells, thresholds = part.cells(NOMINAL.memristor), part.neurons(NOMINAL.neuron).threshold / NOMINAL.neuron.threshold
        writable = slice(None) if pairs else slice(-1)
        layers.append(LayerChip(cells.gain / NOMINAL.memristor.gain,
                                (cells.transconductance / NOMINAL.memristor.transconductance)[writable],
                                part.leaks()[writable], thresholds[:neurons]))
    return tuple(layers)
