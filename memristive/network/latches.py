"""Netlist of a convolution that reads one image: all patches in turn, latches, and then the layers
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

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.network.design import edges
from memristive.network.inputs import as_images
from memristive.network.netlists import add_layer, layers_circuit
from memristive.network.networks import Network
from memristive.spice.parameters import ParameterError
from memristive.spice.session import Solver
from snn_circuit import Points, add_source, names

REST = 8.0  # time constants of the membranes between two patches, in which they fall to 0
GUARD = 1e-6  # s: a region's signal ends so long before its ramp
EMPTY = 1.2  # V of a latch without a spike; the ramp ends at 1 V
LATCH_FARAD, LATCH_SIEMENS = 1e-9, 1e-2  # a latch follows the ramp within 0.1 us
SHARP = 1e-3  # V of the ramp over which a row of the next layer rises
# A comparator flips at a time point, so spikes are late by up to a step.
PATCHES = Solver(max_step=0.5e-6, reltol=1e-5, trtol=100.0, chgtol=1e-10, method="gear")


class SpikeLatch(SubCircuit):
    """Latch of the earliest spike. Nodes: membrane, region, ramp, replay, held, row.

    Parameters
    ----------
    threshold : float, V
        Of the kernel's neuron.
    volts : float, V
        Of the row in the replay, once the ramp has passed the held voltage.
    """

    def __init__(self, threshold: float, volts: float) -> None:
        super().__init__("spike_latch", "membrane", "region", "ramp", "replay", "held", "row")
        self.C("held", "held", self.gnd, LATCH_FARAD, raw_spice=f"ic={EMPTY}")
        self.B(
            "pull",
            "held",
            self.gnd,
            current_expression=f"{LATCH_SIEMENS}*v(region)*(v(membrane)>{threshold!r})"
            "*max(v(held)-v(ramp),0)",
        )
        self.B(
            "row",
            "row",
            self.gnd,
            voltage_expression=f"{volts!r}*v(replay)*min(max((v(ramp)-v(held))/{SHARP!r}+0.5,0),1)",
        )


def slot(network: Network) -> float:
    """Return the time in s from one patch to the next."""
    return network.design.window + REST * network.parameters.neuron.time_constant


def replay_start(network: Network) -> float:
    """Return the time in s at which the layers above begin: after the last patch."""
    assert network.convolution
    return len(network.convolution.patches) * slot(network)


def patches_circuit(network: Network, image: np.ndarray) -> Circuit:
    """Return the netlist that reads an image (inputs, levels 0 to 1) with a convolution and the
    layers above it.

    Raises ParameterError if the network has no convolution or the image does not fit.
    """
    of, design = network.convolution, network.design
    if of is None:
        raise ParameterError("patches in turn are for a convolution; the network has none")
    of.check_circuit()
    images = as_images(np.asarray(image)[None], of.inputs, "image")
    circuit, layers, period = layers_circuit(network, "convolution"), network.layers, slot(network)
    starts, end = period * np.arange(len(of.patches)), replay_start(network)
    levels = design.row_voltage * network.read_levels(images)[0]

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
            for corner in edges(start, design.window - GUARD, GUARD / 2, 1.0)
        ]
        add_source(circuit, f"region_{region}", shown if own[0] == 0 else [(0.0, 0.0), *shown])
    kernels = layers[0].neurons
    circuit.subcircuit(SpikeLatch(layers[0].neuron.threshold, design.row_voltage))
    for j, (region, m) in enumerate(np.ndindex(of.regions**2, kernels)):
        nodes = f"region_{region}", "ramp", "replay", f"held_{region}_{m}", f"row_1_{j}"
        circuit.X(f"latch_{region}_{m}", "spike_latch", f"membrane_0_{m}", *nodes)
    for k, layer in enumerate(layers):
        ends = names("output", layer.neurons) if k == len(layers) - 1 else []
        outputs = (
            names("spike", kernels) if k == 0 else ends or names(f"row_{k + 1}", layer.neurons)
        )
        add_layer(circuit, network, k, layer, outputs, pulse="replay" if k else "pulse")
    return circuit
