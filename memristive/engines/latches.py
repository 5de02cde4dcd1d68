"""Circuit of a convolution that reads one image: all patches in turn, latches, and then the layers
above (docs/convolution.md).

The patches follow each other on the rows of the first crossbar. In each of them a ramp rises. The
latch of a kernel and a region is a capacitor: while a patch of its region is shown and the kernel's
membrane is above the threshold, the ramp pulls the capacitor down to its own voltage. So the
capacitor holds the lowest voltage that the ramp had at a spike, that is, the earliest spike of all
patches. The capacitor is not reset between patches. In the end the ramp rises once more. When the
ramp exceeds the capacitor's voltage, a comparator raises the row of the next crossbar that belongs
to the latch.

Nodes: row_l_k, column_l_j, membrane_l_j and output_j as in `netlists`; held_r_m is the latch of
kernel m in region r, which drives row_1_(r x kernels + m). These functions run nothing.
"""

from collections.abc import Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.engines.engine import ModelCells
from memristive.engines.netlists import (
    KERNEL_TRIGGER,
    SharpTrigger,
    add_layer,
    add_noise,
    layers_circuit,
    read_voltages,
    stage_nodes,
)
from memristive.network.design import edges
from memristive.network.inputs import as_image
from memristive.network.layer import NO_LOAD
from memristive.network.networks import Network
from memristive.parameters import ParameterError
from snn_circuit import Points, add_source, names

REST = 8.0  # time constants of the membranes between two patches, in which they fall to 0
GUARD = 1e-6  # s for which the ramp stays at its end, until no region is shown
EMPTY = 1.2  # V of a latch without a spike; the ramp ends at 1 V
# A latch follows the ramp within 5 ns. Its charge is as large as that of a membrane, because it has
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


def slot(network: Network) -> float:
    """Return the time in s from one patch to the next."""
    return network.design.window + REST * network.parameters.neuron.time_constant


def replay_start(network: Network) -> float:
    """Return the time in s at which the layers above begin: after the last patch."""
    assert network.convolution
    return len(network.convolution.patches) * slot(network)


def held_names(network: Network) -> list[str]:
    """Return the nodes of the latches, region by region."""
    assert network.convolution
    places = np.ndindex(network.convolution.regions**2, network.layers[0].neurons)
    return [f"held_{region}_{m}" for region, m in places]


def patches_circuit(
    network: Network,
    image: np.ndarray,
    title: str = "convolution",
    cells: ModelCells | None = None,
    noise: Sequence[np.ndarray] = (),
) -> Circuit:
    """Return the circuit that reads an image (inputs, levels 0 to 1) with a convolution and the
    layers above it. The other arguments are those of `netlists.layered_network`.

    Raises ParameterError if the network has no convolution or the image does not fit.
    """
    of, design = network.convolution, network.design
    if of is None:
        raise ParameterError("patches in turn are for a convolution; the network has none")
    image = as_image(image, of.inputs)
    circuit, layers, period = layers_circuit(network, title, cells), network.layers, slot(network)
    starts, end = period * np.arange(len(of.patches)), replay_start(network)
    levels = read_voltages(network, image, cells)

    def pulses(heights: np.ndarray, begin: np.ndarray = starts) -> Points:
        found = [(0.0, 0.0)]
        for start, height in zip(begin.tolist(), heights.tolist(), strict=True):
            if height:
                found += edges(start, design.window, design.rise, height)
        return found[1:] if found[1:2] == [(0.0, 0.0)] else found

    for k, pixels in enumerate(of.patches[:, 1:-1].T):
        add_source(circuit, f"row_0_{k}", pulses(levels[pixels]))
    add_source(circuit, "pulse", pulses(np.ones(len(starts))))
    add_source(circuit, "replay", pulses(np.ones(1), np.array([end])))
    ramp = [(0.0, 0.0)]
    for start in [*starts.tolist(), end]:
        top = start + design.window
        ramp += [(start, 0.0), (top, 1.0), (top + GUARD, 1.0), (top + 2 * GUARD, 0.0)]
    add_source(circuit, "ramp", ramp[1:])
    for region in range(of.regions**2):
        own = starts[of.patches[:, 0] == region]
        shown = [
            corner
            for start in own.tolist()
            for corner in edges(start, design.window, GUARD / 2, 1.0)
        ]
        add_source(circuit, f"region_{region}", shown if own[0] == 0 else [(0.0, 0.0), *shown])
    kernels, held = layers[0].neurons, held_names(network)
    circuit.subcircuit(SpikeLatch(design.row_voltage))
    for j, (region, m) in enumerate(np.ndindex(of.regions**2, kernels)):
        nodes = f"region_{region}", "ramp", "replay", held[j], f"row_1_{j}"
        circuit.X(f"latch_{region}_{m}", "spike_latch", f"spike_{m}", *nodes)
    for k, layer in enumerate(layers):
        ends = names("output", layer.neurons) if k == len(layers) - 1 else []
        outputs = (
            names("spike", kernels) if k == 0 else ends or names(f"row_{k + 1}", layer.neurons)
        )
        add_layer(circuit, network, k, layer, outputs, cells, "replay" if k else "pulse")
        if noise and k:
            add_noise(circuit, layer, k, noise[k])
    for c, node in enumerate(stage_nodes(layers[0], 0) if noise else []):
        # 1 V for 1 A: PySpice's sources of current give a unit that ngspice reads as 1e-18
        name = f"noise_0_{c}"
        add_source(circuit, name, pulses(noise[0][:, c]))
        circuit.VCCS(name, circuit.gnd, node, name, circuit.gnd, transconductance=1.0)
    return circuit
