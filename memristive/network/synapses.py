"""Signs of weights: which columns of a crossbar belong to a neuron, and which of them subtract.

The kernel has no such objects: it gets the numbers `pairs` and `reference`.
"""

from dataclasses import dataclass

import numpy as np

from memristive.spice.pyspice import Circuit
from snn_circuit import names


@dataclass(frozen=True)
class Synapses:
    """Columns of each neuron. Columns of pairs are ordered by polarity (positive first), by pair,
    by neuron. A reference column is the last.

    Parameters
    ----------
    pairs : int
        Differential pairs of a synapse; 0: one cell.
    reference : bool
        True adds a column of cells at rest, whose current is subtracted from every column's.
    """

    pairs: int = 0
    reference: bool = False

    @property
    def cells(self) -> int:
        """Number of cells of a synapse, whose currents add up on one side."""
        return self.pairs or 1

    @property
    def sides(self) -> int:
        """2 if each of these cells has another one that subtracts."""
        return 2 if self.pairs else 1

    def stages(self, neurons: int) -> int:
        """Return the number of stages for columns that subtract, in a layer of some `neurons`."""
        return neurons * (self.sides - 1) + self.reference

    def columns_of(self, chosen: np.ndarray, neurons: int, cells: int) -> np.ndarray:
        """Return the indices of the columns of the `chosen` of all `neurons`, if a synapse has so
        many `cells`; for one cell these are the inputs of stages.
        """
        own = np.arange(self.sides * cells)[:, None] * neurons + chosen
        return np.concatenate([own.ravel(), np.full(int(self.reference), neurons)])

    def errors(self, errors: np.ndarray) -> np.ndarray:
        """Return the error of each column in a back-read of `errors` (neurons). Negative columns of
        pairs get minus their neuron's error, a reference column minus the sum of all errors.
        """
        positive, negative = (np.tile(errors, n * self.cells) for n in (1, self.sides - 1))
        return np.concatenate([positive, -negative, np.full(int(self.reference), -errors.sum())])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of the `values` (columns x ...) at the input of each stage."""
        shape = values.shape[1:]
        return values.reshape(self.sides, self.cells, -1, *shape).sum(axis=1).reshape(-1, *shape)

    def difference(self, values: np.ndarray) -> np.ndarray:
        """Return for each neuron the sum of the `values` (columns x ...) with their signs."""
        sums = self.sums(values)
        own = sums[: len(sums) // self.sides - self.reference]
        return own - sums[len(own) :] if self.stages(1) else own

    def parts(self, weights: np.ndarray) -> np.ndarray:
        """Return the part of the `weights` (neurons x rows) in each column that is written."""
        signed = np.repeat([weights, -weights][: self.sides], self.cells, axis=0)
        return signed.reshape(-1, weights.shape[1]) / self.sides

    def nodes(self, layer: int, neurons: int) -> list[str]:
        """Return the name of each column's node in the layer of this number. Node column_l_j leads
        to neuron j. With pairs, the neuron's positive columns share this node, and its negative
        columns share opposite_l_j.
        """
        own, other = (names(f"{side}_{layer}", neurons) for side in ("column", "opposite"))
        last = [f"column_{layer}_{neurons}"] * self.reference
        return own * self.cells + other * self.pairs + last

    def add_stages(self, circuit: Circuit, layer: int, neurons: int, stage: str) -> list[str]:
        """Add the stages of columns that subtract, with the subcircuit `stage`. Return the node
        `negative` of each neuron (ground if there are none).
        """
        inputs = list(dict.fromkeys(self.nodes(layer, neurons)))[neurons:]
        ends = [f"{layer}"] * self.reference or names(f"{layer}", neurons * (self.sides - 1))
        for end, node in zip(ends, inputs, strict=True):
            circuit.X(f"reference_{end}", stage, node, f"negative_{end}")
        nodes = [f"negative_{end}" for end in ends] or [circuit.gnd]
        return nodes * (neurons // len(nodes))
