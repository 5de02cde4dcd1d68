"""Kinds of layers: how the rows of a crossbar see the image, or the layer below.

A `Kind` owns what differs from one kind to the next: reads, spikes that are kept, circuit, costs,
and entries of files. The kernel has no kinds: it gets the arrays `patches`, one for each layer.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from memristive.devices.spice_model import SpiceModel
from memristive.parameters import Fields
from memristive.spice.pyspice import Circuit

Kept = tuple[np.ndarray, np.ndarray, np.ndarray]
Nodes = Fields  # of NIR, by name
# Subcircuits at the neurons' outputs: the second does not latch, as a kernel fires on many patches.
TRIGGER, KERNEL_TRIGGER = "schmitt_trigger", "kernel_trigger"


class Stack(Protocol):
    """Layers in series with their states, as netlists see a `Network`."""

    @property
    def states(self) -> tuple[np.ndarray, ...]: ...  # columns x rows, V
    @property
    def layers(self) -> Sequence[Any]: ...  # of `Layer`, which stands above this file


class ModelStates(Protocol):
    """SPICE model whose subcircuit stands in each cell."""

    model: SpiceModel

    def states(self, emulated: ArrayLike) -> np.ndarray:
        """Return the model's states (any shape) for X in V."""


class Kind:
    """Dense layer: each row is a pixel or a neuron below. Other kinds are subclasses."""

    entry: ClassVar[str] = ""  # of the kind's fields in files; "": none
    trigger: ClassVar[str] = TRIGGER  # subcircuit at the neurons' outputs
    start_images: ClassVar[int] = 1000  # of which the first layer's start follows
    examined: ClassVar[int] = 200  # images, for checks of the operating range
    bias_level: float = 1.0  # of the bias row in writes
    position_bits: int = 0  # that tell which patch has won

    @property
    def patches(self) -> np.ndarray:
        """Indices of the rows of each read, for the kernel; empty if a read has all rows."""
        return np.zeros((0, 0), np.int64)

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """Height and width of an image in pixels, if they matter."""
        return None

    def inputs_of(self, rows: int) -> int:
        """Return the number of outputs of the layer below, for `rows` without the bias row."""
        return rows

    def outputs_of(self, neurons: int) -> int:
        """Return the number of outputs of a layer of some `neurons`."""
        return neurons

    def rows_on(self, inputs: int) -> int:
        """Return the number of rows without the bias row, above a layer with `inputs` outputs."""
        return inputs

    def windows(self, levels: np.ndarray) -> np.ndarray:
        """Return the levels of the rows in each read of an image; here there is a single read.

        `levels`: ... x inputs, with or without a bias as last.
        """
        return levels

    def kept(self, times: np.ndarray, settled: np.ndarray) -> Kept:
        """Return first spikes, settled membranes and winning patches of the outputs. `times` and
        `settled` hold the spikes and membranes of all reads.
        """
        return times, settled, np.zeros(0, np.int64)

    # The netlist of a read

    def before(self, window: float, tau: float) -> float:
        """Return the time in s that reads take before the layers above begin. `window`: of a read;
        `tau`: time constant of the membranes.
        """
        return 0.0

    def circuit(
        self,
        dense: Callable[..., Circuit],
        network: Stack,
        volts: np.ndarray,
        title: str,
        cells: ModelStates | None,
        noise: Sequence[np.ndarray],
    ) -> Circuit:
        """Return the circuit that reads an image whose rows are at `volts`, with this as first
        layer. `dense`: `netlists.dense_circuit`, which takes the other arguments.
        """
        return dense(network, volts, title, cells, noise)

    def kept_nodes(self, layer: int, neurons: int) -> list[str]:
        """Return the nodes that keep spikes of layer number `layer`."""
        return []

    def comments(self, begin: float) -> list[str]:
        """Return comments for a netlist whose layers above begin at `begin` s."""
        return []

    # Files and other software

    def values(self, window: float, tau: float) -> dict[tuple[str, str], float]:
        """Return what a laboratory builds beside the crossbar, by name and unit."""
        return {}

    def nir(self, nir: ModuleType, weights: np.ndarray) -> tuple[Fields, list[int], Fields]:
        """Return the nodes of a layer's drives in NIR, by name, the shape of their outputs, and the
        nodes between the spikes and the layer above. `weights`: neurons x rows, the bias last.
        """
        return {"affine": nir.Affine(weights[:, :-1], weights[:, -1])}, [len(weights)], {}

    def by_neuron(self, neurons: int) -> np.ndarray:
        """Return the indices of the outputs in the order of other software, neuron by neuron."""
        return np.arange(self.outputs_of(neurons)).reshape(-1, neurons).T.ravel()

    def software_sums(
        self, values: np.ndarray, weights: np.ndarray, bias: np.ndarray
    ) -> np.ndarray:
        """Return the sums of this layer in software (n x outputs) for `values` (n x inputs)."""
        return values @ weights.T + bias


DENSE = Kind()
