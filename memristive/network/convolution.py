"""Convolutions: the layer whose rows are a window of the image (docs/convolution.md).

In the circuit of a read, the patches follow each other on the rows of the first crossbar. In each
of them a ramp rises. The latch of a kernel and a region is a capacitor: while a patch of its region
is shown and the kernel's membrane is above the threshold, the ramp pulls the capacitor down to its
own voltage. So the capacitor holds the lowest voltage that the ramp had at a spike, that is, the
earliest spike of all patches. The capacitor is not reset between patches. In the end the ramp rises
once more. When the ramp exceeds the capacitor's voltage, a comparator raises the row of the next
crossbar that belongs to the latch.

Nodes: row_l_k, column_l_j, membrane_l_j and output_j as in `netlists`; held_r_m is the latch of
kernel m in region r, which drives row_1_(r x kernels + m).
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.network.kinds import Kept, Kind
from memristive.network.netlists import (
    KERNEL_TRIGGER,
    NO_LOAD,
    ModelStates,
    SharpTrigger,
    add_layers,
    layers_circuit,
    stage_nodes,
)
from memristive.parameters import Fields, ParameterError, Parameters, quantity
from snn_circuit import Points, add_source, edges, names

if TYPE_CHECKING:
    from memristive.network.networks import Network

REST = 8.0  # time constants of the membranes between two patches, in which they fall to 0
GUARD = 1e-6  # s for which the ramp stays at its end, until no region is shown
EMPTY = 1.2  # V of a latch without a spike; the ramp ends at 1 V
# A latch follows the ramp within 5 ns. Its charge is as large as a membrane's, because it has
# to govern ngspice's steps, and the gates of the cells must not.
LATCH_FARAD, LATCH_SIEMENS = 1e-4, 2e4


class SpikeLatch(SubCircuit):
    """Latch of the earliest spike. Nodes: spike, region, ramp, replay, held, row.

    The node `spike` is the output of the kernel's neuron. `volts` (V) is its height, and that of
    the row in the replay, once the ramp has passed the held voltage. The switch of the row has an
    amplifier, as that of a `SharpTrigger`.
    """

    def __init__(self, volts: float) -> None:
        super().__init__("spike_latch", "spike", "region", "ramp", "replay", "held", "row")
        self.C("held", "held", self.gnd, LATCH_FARAD, raw_spice=f"ic={EMPTY}")
        self.B(
            "pull",
            "held",
            self.gnd,
            # an open switch lets a little through
            current_expression=f"{LATCH_SIEMENS!r}*v(region)*max(2*v(spike)/{volts!r}-1,0)"
            "*max(v(held)-v(ramp),0)",
        )
        self.VCVS("high", "high", self.gnd, "replay", self.gnd, voltage_gain=volts)
        passed = f"{SharpTrigger.GAIN!r}*(v(ramp)-v(held))*v(replay)+v(replay)-1"
        self.B("passed", "passed", self.gnd, voltage_expression=passed)
        self.S("row", "high", "row", "passed", self.gnd, model=f"{KERNEL_TRIGGER}_switch")
        self.R("row", "row", self.gnd, NO_LOAD)


@dataclass(frozen=True)
class Convolution(Parameters, Kind):
    """Layer whose rows are a window of the image (docs/convolution.md).

    The image of the first layer has grey pixels. That of a layer above has a pixel for each region
    of the convolution below, with a channel for each kernel there.

    The window moves over the image, one patch after the other, and the columns of the crossbar are
    kernels. For each kernel and each region of the image a latch keeps the earliest spike of all
    patches. These pooled spikes are the outputs of the layer, region by region: output r x kernels
    + m is that of kernel m in region r. If there are as many regions as patches, nothing is pooled.
    """

    entry: ClassVar = "convolution"
    trigger: ClassVar = KERNEL_TRIGGER
    start_images: ClassVar = 100
    examined: ClassVar = 20

    height: int = quantity(28, 1, 10_000, "", "rows of pixels of an image")
    width: int = quantity(28, 1, 10_000, "", "columns of pixels of an image")
    window: int = quantity(7, 1, 1000, "", "pixels a side of the window")
    stride: int = quantity(1, 1, 1000, "", "pixels from one patch to the next")
    regions: int = quantity(4, 1, 1000, "", "regions a side, in which the earliest spike is kept")
    bias_level: float = quantity(
        0.2,
        0.0,
        1.0,
        "",
        "level of the bias row in writes; at a full level it would move the drives of all patches",
    )
    channels: int = quantity(1, 1, 10_000, "", "of a pixel: kernels of the layer below")

    newer: ClassVar = ("channels",)

    def check(self) -> None:
        """Raise ParameterError if the window exceeds the image, or a region has no patch."""
        if self.window > min(self.height, self.width):
            raise ParameterError(
                f"window must fit in an image of {self.height} x {self.width} pixels, got "
                f"{self.window}"
            )
        if self.regions > min(self.places):
            raise ParameterError(
                f"regions must be at most {min(self.places)}, the patches of a side, got "
                f"{self.regions}"
            )

    @property
    def places(self) -> tuple[int, int]:
        """Number of patches from top to bottom, and from left to right."""
        down, across = (
            (side - self.window) // self.stride + 1 for side in (self.height, self.width)
        )
        return down, across

    @property
    def position_bits(self) -> int:  # type: ignore[override]
        return math.ceil(math.log2(np.bincount(self.patches[:, 0]).max()))

    @property
    def image_shape(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def inputs(self) -> int:
        """Number of levels, or of spikes, of an image."""
        return self.height * self.width * self.channels

    @functools.cached_property
    def patches(self) -> np.ndarray:
        """Patches, row by row of the image: integers, patches x (1 + rows of the crossbar).

        Each row of the array has the index of the patch's region, the indices of the pixels (and
        channels) in its window, and `inputs`, the index of the bias in `Network.rows`.
        """
        inputs = np.arange(self.inputs).reshape(self.height, self.width, -1)
        side = self.window, self.window
        windows = np.lib.stride_tricks.sliding_window_view(inputs, side, (0, 1))
        chosen = np.moveaxis(windows[:: self.stride, :: self.stride], 2, -1)
        chosen = chosen.reshape(-1, self.rows_on(0))
        down, across = (np.arange(count) * self.regions // count for count in self.places)
        regions = (down[:, None] * self.regions + across).reshape(-1, 1)
        return np.hstack([regions, chosen, np.full_like(regions, self.inputs)])

    def inputs_of(self, rows: int) -> int:
        return self.inputs

    def outputs_of(self, neurons: int) -> int:
        return neurons * self.regions**2

    def rows_on(self, inputs: int) -> int:
        return self.window**2 * self.channels

    def windows(self, levels: np.ndarray) -> np.ndarray:
        """Return the levels of the rows in each patch, ... x patches x rows."""
        rows = slice(1, None if levels.shape[-1] > self.inputs else -1)
        return levels[..., self.patches[:, rows]]

    def kept(self, times: np.ndarray, settled: np.ndarray) -> Kept:
        """Return the first spikes, the settled membranes and the winning patches of all outputs.

        In each region the patch wins on which the kernel's neuron fires first. Without a spike, or
        of simultaneous ones, that on which the membrane settles highest.

        Parameters
        ----------
        times, settled : arrays, ... x patches x kernels
            Of all patches: first spikes in s (nan: silent), settled membranes in thresholds.

        Returns
        -------
        three arrays, ... x outputs
            First spikes in s, settled membranes in thresholds, and winning patches (rows of
            `patches`).
        """
        of_patches, best = self.patches[:, 0], []
        for region in range(self.regions**2):
            members = np.flatnonzero(of_patches == region)
            own = np.nan_to_num(times[..., members, :], nan=np.inf)
            first = own == own.min(axis=-2, keepdims=True)
            ranks = np.where(first, settled[..., members, :], -np.inf)
            best.append(members[ranks.argmax(axis=-2)])
        winners = np.stack(best, axis=-2)
        kept = (np.take_along_axis(values, winners, axis=-2) for values in (times, settled))
        flat = (*winners.shape[:-2], -1)
        return *(values.reshape(flat) for values in kept), winners.reshape(flat)  # type: ignore[return-value]

    # The netlist of a read

    def slot(self, window: float, tau: float) -> float:
        """Return the time in s from one patch to the next."""
        return window + REST * tau

    def before(self, window: float, tau: float) -> float:
        return len(self.patches) * self.slot(window, tau)

    def kept_nodes(self, neurons: int) -> list[str]:
        """Return the nodes of the latches, region by region."""
        return [f"held_{region}_{m}" for region, m in np.ndindex(self.regions**2, neurons)]

    def comments(self, begin: float) -> list[str]:
        return [
            f"{len(self.patches)} patches one after the other. Their latches (held_r_m: "
            f"kernel m, region r) drive the next layer from {begin:.9g} s on."
        ]

    def circuit(
        self,
        network: "Network",
        volts: np.ndarray,
        title: str,
        cells: ModelStates | None,
        noise: Sequence[np.ndarray],
    ) -> Circuit:
        """Return the circuit that reads all patches in turn, and the layers above."""
        design, tau = network.design, network.parameters.neuron.time_constant
        circuit, count = layers_circuit(network, title, cells), len(self.patches)
        starts = self.slot(design.window, tau) * np.arange(count)
        end = self.before(design.window, tau)

        def pulses(heights: np.ndarray, begin: np.ndarray = starts) -> Points:
            points = [(0.0, 0.0)]
            for start, height in zip(begin.tolist(), heights.tolist(), strict=True):
                if height:
                    points += edges(start, design.window, design.rise, height)
            return points[1:] if points[1:2] == [(0.0, 0.0)] else points

        for k, pixels in enumerate(self.patches[:, 1:-1].T):
            add_source(circuit, f"row_0_{k}", pulses(volts[pixels]))
        add_source(circuit, "pulse", pulses(np.ones(count)))
        add_source(circuit, "replay", pulses(np.ones(1), np.array([end])))
        ramp = [(0.0, 0.0)]
        for start in [*starts.tolist(), end]:
            top = start + design.window
            ramp += [(start, 0.0), (top, 1.0), (top + GUARD, 1.0), (top + 2 * GUARD, 0.0)]
        add_source(circuit, "ramp", ramp[1:])
        for region in range(self.regions**2):
            own = starts[self.patches[:, 0] == region]
            shown = [
                corner
                for start in own.tolist()
                for corner in edges(start, design.window, GUARD / 2, 1.0)
            ]
            add_source(circuit, f"region_{region}", shown if own[0] == 0 else [(0.0, 0.0), *shown])
        kernels = network.layers[0].neurons
        circuit.subcircuit(SpikeLatch(design.row_voltage))
        for j, held in enumerate(self.kept_nodes(kernels)):
            region, m = divmod(j, kernels)
            nodes = f"region_{region}", "ramp", "replay", held, f"row_1_{j}"
            circuit.X(f"latch_{region}_{m}", "spike_latch", f"spike_{m}", *nodes)
        above: list[np.ndarray | None] = [None, *noise[1:]] if noise else []
        add_layers(circuit, network, cells, above, names("spike", kernels))
        for c, node in enumerate(stage_nodes(network.layers[0], 0) if noise else []):
            # 1 V for 1 A: PySpice's sources of current give a unit that ngspice reads as 1e-18
            name = f"noise_0_{c}"
            add_source(circuit, name, pulses(noise[0][:, c]))
            circuit.VCCS(name, circuit.gnd, node, name, circuit.gnd, transconductance=1.0)
        return circuit

    # Files and other software

    def values(self, window: float, tau: float) -> dict[tuple[str, str], float]:
        return {
            ("pause_between_patches", "s"): self.slot(window, tau) - window,
            ("patch_window", ""): self.window,
            ("patch_stride", ""): self.stride,
            ("patch_regions", ""): self.regions,
            ("image_height", ""): self.height,
            ("image_width", ""): self.width,
        }

    def nir(self, nir: ModuleType, weights: np.ndarray) -> tuple[Fields, list[int], Fields]:
        down, across = self.places
        if down % self.regions or across % self.regions:
            raise ParameterError(
                f"NIR pools regions of one size: {down} x {across} places do not divide into "
                f"{self.regions} x {self.regions} regions"
            )
        kernels = weights[:, :-1].reshape(-1, 1, self.window, self.window)
        plain = {"padding": 0, "dilation": 1, "groups": 1, "bias": weights[:, -1]}
        node = nir.Conv2d(self.image_shape, kernels, self.stride, **plain)
        pool = np.array(self.places) // self.regions
        pooled = len(weights), self.regions, self.regions
        kept = {
            "pool": nir.SumPool2d(pool, pool, np.zeros(2, int)),
            "first": nir.Threshold(np.full(pooled, 0.5)),
            "flatten": nir.Flatten({"input": np.array(pooled)}, 0, -1),
        }
        return {"conv": node}, [len(weights), down, across], kept

    def software_sums(
        self, values: np.ndarray, weights: np.ndarray, bias: np.ndarray
    ) -> np.ndarray:
        each = self.windows(values) @ weights.T + bias
        regions = [self.patches[:, 0] == region for region in range(self.regions**2)]
        return np.concatenate([each[:, members].max(axis=1) for members in regions], axis=1)
