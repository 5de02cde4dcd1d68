"""Convolutions: the layer whose rows are a window of the image (docs/convolution.md).

In the circuit of a read, the patches follow each other on the rows of the first crossbar. In each
of them a ramp rises. The latch of a kernel and a region is a capacitor. While a patch of its region
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np

from memristive.network.kinds import KERNEL_TRIGGER, Kept, Kind, ModelStates, Stack
from memristive.network.netlists import (
    NO_LOAD,
    SharpTrigger,
    add_layers,
    layers_circuit,
    stage_nodes,
)
from memristive.parameters import Fields, ParameterError, Parameters, quantity
from memristive.spice.pyspice import Circuit, SubCircuit
from snn_circuit import Points, add_source, edges, names

REST = 8.0  # time constants of the membranes between two patches, in which they fall to 0
GUARD = 1e-6  # s for which the ramp stays at its end, until no region is shown
EMPTY = 1.2  # V of a latch without a spike; the ramp ends at 1 V
# A latch follows the ramp within 5 ns. Its charge is as large as a membrane's, because it has
# to govern ngspice's steps, and the gates of the cells must not.
LATCH_FARAD, LATCH_SIEMENS = 1e-4, 2e4


class SpikeLatch(SubCircuit):
    """Latch of the earliest spike. Nodes: spike, region, ramp, held.

    The node `spike` is the output of the kernel's neuron, `volts` (V) its height.
    """

    def __init__(self, volts: float) -> None:
        super().__init__("spike_latch", "spike", "region", "ramp", "held")
        self.C("held", "held", self.gnd, LATCH_FARAD, raw_spice=f"ic={EMPTY}")
        self.B(
            "pull",
            "held",
            self.gnd,
            # an open switch lets a little through
            current_expression=f"{LATCH_SIEMENS!r}*v(region)*max(2*v(spike)/{volts!r}-1,0)"
            "*max(v(held)-v(ramp),0)",
        )


class SpikeReplay(SubCircuit):
    """Row that rises to `volts` V once the ramp has passed the held voltage. Nodes: held, ramp,
    replay, row. The switch of the row has an amplifier, as in a `SharpTrigger`.
    """

    def __init__(self, volts: float) -> None:
        super().__init__("spike_replay", "held", "ramp", "replay", "row")
        self.VCVS("high", "high", self.gnd, "replay", self.gnd, voltage_gain=volts)
        passed = f"{SharpTrigger.GAIN!r}*(v(ramp)-v(held))*v(replay)+v(replay)-1"
        self.B("passed", "passed", self.gnd, voltage_expression=passed)
        self.S("row", "high", "row", "passed", self.gnd, model=f"{KERNEL_TRIGGER}_switch")
        self.R("row", "row", self.gnd, NO_LOAD)


def of_layer(name: str, layer: int) -> str:
    """Return the name of a node or source of a convolution, whose number counts from 0."""
    return f"{name}_{layer}" if layer else name


def rising_ramp(start: float, window: float) -> Points:
    """Return the points of a ramp from 0 to 1 V, which begins at `start` s and falls at the end."""
    top = start + window
    return [(start, 0.0), (top, 1.0), (top + GUARD, 1.0), (top + 2 * GUARD, 0.0)]


@dataclass(frozen=True)
class Convolution(Parameters, Kind):
    """Layer whose rows are a window of the image (docs/convolution.md).

    The image of the first layer has grey pixels. In a layer above, it has a pixel for each region
    of the convolution below, with a channel for each kernel there.

    The window moves over the image, one patch after the other, and the columns of the crossbar are
    kernels. For each kernel and each region of the image a latch keeps the earliest spike of all
    patches. These pooled spikes are the outputs of the layer, region by region: output r x kernels
    + m belongs to kernel m in region r. If there are as many regions as patches, nothing is pooled.
    Regions may overlap: a patch is then read once for each of its regions.
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
    overlap: int = quantity(
        0, 0, 1000, "", "patches by which each region reaches into its neighbours"
    )

    newer: ClassVar = ("channels", "overlap")

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
        """Patches, row by row of the image: integers, reads x (1 + rows of the crossbar).

        Each row of the array has the index of the patch's region, the indices of the pixels (and
        channels) in its window, and `inputs`, the index of the bias in `Network.rows`. A patch in
        several regions has several rows.
        """
        inputs = np.arange(self.inputs).reshape(self.height, self.width, -1)
        side = self.window, self.window
        windows = np.lib.stride_tricks.sliding_window_view(inputs, side, (0, 1))
        chosen = np.moveaxis(windows[:: self.stride, :: self.stride], 2, -1)
        chosen = chosen.reshape(-1, self.rows_on(0))
        down, across = (self._members(count) for count in self.places)
        # places down x across x regions down x across
        place, region = np.nonzero(np.einsum("ia,jb->ijab", down, across).reshape(len(chosen), -1))
        return np.column_stack([region, chosen[place], np.full(len(place), self.inputs)])

    def _members(self, count: int) -> np.ndarray:
        """Return True where a place of `count` a side is in a region (count x regions)."""
        own = np.arange(count) * self.regions // count
        edges = np.searchsorted(own, np.arange(self.regions + 1))
        place = np.arange(count)[:, None]
        return (place >= edges[:-1] - self.overlap) & (place < edges[1:] + self.overlap)

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

        In each region the patch wins for which the kernel's neuron fires first. Without a spike, or
        if spikes are simultaneous, the patch wins for which the membrane settles highest.

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

    def kept_nodes(self, layer: int, neurons: int) -> list[str]:
        """Return the nodes of the latches, region by region."""
        return [
            f"{of_layer('held', layer)}_{region}_{m}"
            for region, m in np.ndindex(self.regions**2, neurons)
        ]

    def comments(self, begin: float) -> list[str]:
        return [
            f"{len(self.patches)} patches one after the other. Their latches (held_r_m: kernel m, "
            f"region r) drive the next layer from {begin:.9g} s on."
        ]

    def circuit(
        self,
        dense: Callable[..., Circuit],
        network: Stack,
        volts: np.ndarray,
        title: str,
        cells: ModelStates | None,
        noise: Sequence[np.ndarray],
    ) -> Circuit:
        """Return the circuit that reads all patches in turn, and then the layers above. The patches
        of a convolution come after the patches of the convolution below.
        """
        first = network.layers[0]
        tau = first.neuron.time_constant
        circuit, begin = layers_circuit(network, title, cells), 0.0
        circuit.subcircuit(SpikeLatch(first.row_voltage))
        circuit.subcircuit(SpikeReplay(first.row_voltage))

        def source(name: str, heights: np.ndarray, begins: np.ndarray) -> None:
            points = [(0.0, 0.0)]
            for start, height in zip(begins.tolist(), heights.tolist(), strict=True):
                if height:
                    points += edges(start, first.window, first.rise, height)
            add_source(circuit, name, points[1:] if points[1:2] == [(0.0, 0.0)] else points)

        def shown(name: str, begins: np.ndarray) -> None:
            corners = [
                corner
                for start in begins.tolist()
                for corner in edges(start, first.window, GUARD / 2, 1.0)
            ]
            add_source(circuit, name, corners if begins[0] == 0 else [(0.0, 0.0), *corners])

        ramp, held = [(0.0, 0.0)], list[str]()
        spikes, pulses = list[list[str]](), list[str]()
        for k, layer in enumerate(network.layers):
            kind = layer.kind
            if not isinstance(kind, Convolution):
                break
            count = len(kind.patches)
            starts = begin + kind.slot(first.window, tau) * np.arange(count)
            begin += kind.before(first.window, tau)
            spikes.append(names(of_layer("spike", k), layer.neurons))
            pulses.append(of_layer("pulse", k))
            if k:
                for p, start in enumerate(starts):
                    shown(f"shown_{k}_{p}", np.array([start]))
            for row, inputs in enumerate(kind.patches[:, 1:-1].T):
                if k:  # the latch that the window shows
                    parts = (f"v(shown_{k}_{p})*v({held[i]})" for p, i in enumerate(inputs))
                    seen, node = f"seen_{k}_{row}", f"row_{k}_{row}"
                    circuit.B(seen, seen, circuit.gnd, voltage_expression="+".join(parts))
                    circuit.X(seen, "spike_replay", seen, "ramp", pulses[k], node)
                else:
                    source(f"row_0_{row}", volts[inputs], starts)
            source(pulses[k], np.ones(count), starts)
            for start in starts.tolist():
                ramp += rising_ramp(start, first.window)
            for region in range(kind.regions**2):
                shown(f"{of_layer('region', k)}_{region}", starts[kind.patches[:, 0] == region])
            held = kind.kept_nodes(k, layer.neurons)
            for j, node in enumerate(held):
                region, m = divmod(j, layer.neurons)
                nodes = spikes[k][m], f"{of_layer('region', k)}_{region}", "ramp", node
                circuit.X(node.replace("held", "latch", 1), "spike_latch", *nodes)
            for c, node in enumerate(stage_nodes(layer, k) if noise else []):
                for row, of_row in enumerate(noise[k][:, c].reshape(count, -1).T):
                    name = f"noise_{k}_{c}_{row}"
                    # 1 V for 1 A: PySpice's sources of current give a unit that ngspice reads as
                    # 1e-18
                    source(name, of_row, starts)
                    risen = f"*v(row_{k}_{row})/{layer.row_voltage!r}" if k else ""
                    circuit.B(name, circuit.gnd, node, current_expression=f"v({name}){risen}")
        source("replay", np.ones(1), np.array([begin]))
        add_source(circuit, "ramp", [*ramp, *rising_ramp(begin, first.window)][1:])
        for j, node in enumerate(held):
            circuit.X(f"replay_{j}", "spike_replay", node, "ramp", "replay", f"row_{k}_{j}")
        above = len(network.layers) - k
        own = [*[None] * k, *noise[k:]] if noise else []
        add_layers(circuit, network, cells, own, spikes, [*pulses, *["replay"] * above])
        return circuit

    # Files and other software

    def values(self, window: float, tau: float) -> dict[tuple[str, str], float]:
        return {
            ("pause_between_patches", "s"): self.slot(window, tau) - window,
            ("patch_window", ""): self.window,
            ("patch_stride", ""): self.stride,
            ("patch_regions", ""): self.regions,
            ("patch_overlap", ""): self.overlap,
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
        kernels = weights[:, :-1].reshape(-1, self.window, self.window, self.channels)
        kernels = np.moveaxis(kernels, -1, 1)
        plain = {"padding": 0, "dilation": 1, "groups": 1, "bias": weights[:, -1]}
        node = nir.Conv2d(self.image_shape, kernels, self.stride, **plain)
        pool, more = np.array(self.places) // self.regions, np.full(2, self.overlap)
        pooled = len(weights), self.regions, self.regions
        kept = {
            "pool": nir.SumPool2d(pool + 2 * more, pool, more),
            "first": nir.Threshold(np.full(pooled, 0.5)),
        }
        return {"conv": node}, [len(weights), down, across], kept

    def software_sums(
        self, values: np.ndarray, weights: np.ndarray, bias: np.ndarray
    ) -> np.ndarray:
        each = self.windows(values) @ weights.T + bias
        regions = [self.patches[:, 0] == region for region in range(self.regions**2)]
        return np.concatenate([each[:, members].max(axis=1) for members in regions], axis=1)
