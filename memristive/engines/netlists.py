"""Circuits of multilayer networks: crossbars in series, each with a bias row, and a reference
column or pairs.

Nodes of layer l (counted from 0): row_l_k, column_l_j, membrane_l_j. The output of a hidden neuron
is row_(l+1)_j, that of a neuron in the last layer output_j. The reference column's voltage
negative_l goes to all neurons of its layer. These functions build circuits and do not run them.
"""

from collections.abc import Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.engines.engine import ModelCells
from memristive.network.layer import (
    Layer,
    ReferenceStage,
    add_bias,
    add_negative_stages,
    column_nodes,
)
from memristive.network.networks import Network
from memristor import Cell, ReadMemristor
from snn_circuit import (
    LapicqueNeuron,
    NeuronParameters,
    Points,
    add_amplifiers,
    add_source,
    cell_arguments,
    names,
    neuron_arguments,
)

KERNEL_TRIGGER = "kernel_trigger"  # does not latch: a kernel fires on many patches


class SharpTrigger(Cell):
    """Trigger whose time of switching does not depend on ngspice's time steps. Nodes: membrane,
    output.

    ngspice lets the control voltage of a switch pass its threshold by 50 mV at most. An amplifier
    in front of the switch therefore makes a time point meet the spike. With `per_instance` the
    threshold is an instance parameter.

    If `latching`, the output stays high once it is high, because the trigger charges a capacitor
    that nothing discharges. In later layers a membrane may fall again when an inhibiting row steps
    up. (A trigger with feedback would be simpler, but its switch in ngspice would close on an
    intermediate value of Newton's method.)
    """

    GAIN = 1e4  # of the amplifier: the switch closes within 5 uV of the threshold
    RESISTANCE, CAPACITANCE = 100.0, 1e-10  # ohm, F: the capacitor is charged within 10 ns
    FULL = 0.05  # of the capacitor's charge, at which the output is high

    def __init__(
        self,
        parameters: NeuronParameters,
        per_instance: bool = False,
        latching: bool = True,
        name: str = "schmitt_trigger",
    ) -> None:
        switch = {"vt": 0.0, "vh": 0.0, "ron": 1e-3, "roff": 1e15 if latching else 1e12}
        super().__init__(name, ("membrane", "output"), {"switch": ("sw", switch)})
        high, threshold = parameters.output_high, parameters.threshold
        if per_instance:
            self.parameters["threshold"] = threshold
        self.V("threshold", "level", self.gnd, "{threshold}" if per_instance else threshold)
        self.VCVS("over", "over", self.gnd, "membrane", "level", voltage_gain=self.GAIN)
        self.V("high", "high", self.gnd, high)
        closed = "charge" if latching else "output"
        self.S("spike", "high", closed, "over", self.gnd, model=f"{name}_switch")
        if latching:
            self.R("charge", "charge", "store", self.RESISTANCE)
            self.C("store", "store", self.gnd, self.CAPACITANCE, raw_spice="ic=0")
            stored = f"min(v(store)/{self.FULL * high!r},1)"
            self.B("output", "output", self.gnd, voltage_expression=f"{high!r}*{stored}")
        self.R("load", "output", self.gnd, parameters.load_resistance)


def layered_network(
    network: Network,
    rows: Sequence[Points],
    title: str = "layers",
    cells: ModelCells | None = None,
    noise: Sequence[np.ndarray] = (),
) -> Circuit:
    """Return the circuit of layers in series for a read, in which every phi is low.

    Parameters
    ----------
    network : Network
        Its bias rows follow the source `pulse` (0 V at first).
    rows : sequence of points
        Sources of the first layer's rows without the bias row, as (s, V) points.
    title : str
    cells : ModelCells, optional
        SPICE model whose subcircuit stands in each cell instead of the emulator.
    noise : sequence of arrays, A
        Noise currents of one read, as `Network.drawn` returns them; (): none.
    """
    circuit, layers = layers_circuit(network, title, cells), network.layers
    add_source(circuit, "pulse")
    for k, points in enumerate(rows):
        add_source(circuit, f"row_0_{k}", points)
    for k, layer in enumerate(layers):
        outputs = names("output" if k == len(layers) - 1 else f"row_{k + 1}", layer.neurons)
        add_layer(circuit, network, k, layer, outputs, cells)
        if noise:
            add_noise(circuit, layer, k, noise[k])
    return circuit


def layers_circuit(network: Network, title: str, cells: ModelCells | None = None) -> Circuit:
    """Return a circuit that has the subcircuits and models of layers but no cell or neuron;
    `add_layer` adds these.
    """
    circuit, own = Circuit(title), network.devices is not None
    if cells:
        cells.model.add_to(circuit, compiled=True)
    ReadMemristor(network.parameters.memristor, per_instance=own).add_to(circuit)
    add_amplifiers(circuit, network.parameters.neuron)
    SharpTrigger(network.layers[-1].neuron, own).add_to(circuit)
    if network.convolution:
        SharpTrigger(network.layers[0].neuron, own, False, KERNEL_TRIGGER).add_to(circuit)
    return circuit


def add_layer(
    circuit: Circuit,
    network: Network,
    layer: int,
    of: Layer,
    outputs: list[str],
    cells: ModelCells | None = None,
    pulse: str = "pulse",
) -> None:
    """Add layer number `layer` (counted from 0), whose description is `of`, with its cells and
    neurons. `outputs`: nodes of the neurons' outputs. The bias row follows the source `pulse`.
    """
    neurons, last_row, devices, states = (
        of.neurons,
        f"row_{layer}_{of.rows - 1}",
        of.devices,
        network.states[layer],
    )
    circuit.subcircuit(
        LapicqueNeuron(
            of.neuron,
            f"neuron_of_{layer}",
            devices.neurons is not None,
            KERNEL_TRIGGER if network.convolution and not layer else "schmitt_trigger",
        )
    )
    circuit.subcircuit(ReferenceStage(of.neuron, name=f"reference_of_{layer}"))
    if of.bias is not None:  # the bias row follows the pulse at a full pixel's level
        circuit.VCVS(
            last_row, last_row, circuit.gnd, pulse, circuit.gnd, voltage_gain=of.row_voltage
        )
    negatives = add_negative_stages(circuit, of, layer, neurons, f"reference_of_{layer}")
    cell_values, neuron_values = (
        cell_arguments(network.parameters, devices.cells, False),
        neuron_arguments(devices.neurons),
    )
    add_bias(circuit, of, names(f"column_{layer}", neurons), last_row)
    for j in range(neurons):
        circuit.X(
            f"neuron_{layer}_{j}",
            f"neuron_of_{layer}",
            f"column_{layer}_{j}",
            negatives[j],
            f"membrane_{layer}_{j}",
            outputs[j],
            **neuron_values(j),
        )
    for c, node in enumerate(column_nodes(of, layer, neurons)):
        for k in range(of.rows):
            name, row = f"cell_{layer}_{c}_{k}", f"row_{layer}_{k}"
            state = of.rest if c == of.columns else states[c, k]
            if cells:
                cells.model.add_cell(circuit, name, row, node, float(cells.states(state)))
            else:
                circuit.X(name, "read_memristor", node, row, x0=float(state), **cell_values(c, k))


def add_noise(circuit: Circuit, of: Layer, layer: int, noise: np.ndarray) -> None:
    """Add the noise currents of a read to the columns of layer number `layer`, whose description is
    `of`.

    `noise`: currents in A at full rows, as `kernel_arrays.Work.noise` has them: a row for each row
    of the crossbar, or a single one, whose currents then follow the bias row.
    """
    first = of.rows - len(noise)
    for c, node in enumerate(stage_nodes(of, layer)):
        for k, ampere in enumerate(noise[:, c].tolist(), first):
            circuit.VCCS(
                f"noise_{layer}_{c}_{k}",
                circuit.gnd,
                node,
                f"row_{layer}_{k}",
                circuit.gnd,
                transconductance=ampere / of.row_voltage,
            )


def stage_nodes(of: Layer, layer: int) -> list[str]:
    """Return the nodes of a layer's columns without repetition, in the order of noise currents:
    those of the neurons, then the reference column or the negative columns.
    """
    return list(dict.fromkeys(column_nodes(of, layer, of.neurons)))


def read_voltages(
    network: Network, image: np.ndarray, cells: ModelCells | None = None
) -> np.ndarray:
    """Return the voltages in V at which the rows are read for an `image` (inputs, levels)."""
    levels = np.asarray(image, float)
    # subcircuits bend by themselves
    return network.design.row_voltage * (levels if cells else network.design.read_levels(levels))
