"""Circuits of layers: single layers for reads, back-reads and writes, and layers in series. Nothing
runs here.

Nodes of layer l (counted from 0): row_l_k, column_l_j, drive_l_j, membrane_l_j. The last row is the
bias row, if there is one, the last column the reference column. The output of a hidden neuron is
row_(l+1)_j, in the last layer output_j. The reference column's voltage negative_l
goes to all neurons of its layer.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from memristive.devices.cells import IDEAL_DEVICES, add_wires, cell_arguments, neuron_arguments
from memristive.network.kinds import TRIGGER, ModelStates, Stack
from memristive.network.layer import Layer
from memristive.spice.pyspice import Circuit, SubCircuit
from memristor import Cell, Memristor, ReadMemristor
from snn_circuit import (
    LapicqueNeuron,
    NeuronParameters,
    Points,
    add_amplifiers,
    add_membrane,
    add_scaled,
    add_source,
    add_stages,
    edges,
    names,
)

NEVER = 1.0  # s, time at which a row steps up whose neuron is silent: after the end of every read
NO_LOAD = 1e12  # ohm


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
        name: str = TRIGGER,
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
    network: Stack,
    rows: Sequence[Points],
    title: str = "layers",
    cells: ModelStates | None = None,
    noise: Sequence[np.ndarray] = (),
) -> Circuit:
    """Return the circuit of dense layers in series for a read, in which every phi is low.

    Parameters
    ----------
    network : Stack
        Its bias rows follow the source `pulse` (0 V at first).
    rows : sequence of points
        Sources of the first layer's rows without the bias row, as (s, V) points.
    title : str
    cells : ModelStates, optional
        SPICE model whose subcircuit stands in each cell instead of the emulator.
    noise : sequence of arrays, A
        Noise currents of one read, as `Network.drawn` returns them; (): none.
    """
    circuit = layers_circuit(network, title, cells)
    add_source(circuit, "pulse")
    for k, points in enumerate(rows):
        add_source(circuit, f"row_0_{k}", points)
    add_layers(circuit, network, cells, noise)
    return circuit


def add_layers(
    circuit: Circuit,
    network: Stack,
    cells: ModelStates | None,
    noise: Sequence[np.ndarray | None],
    spikes: Sequence[Sequence[str]] = (),
    pulses: Sequence[str] = (),
) -> None:
    """Add all layers. `cells`, `noise`: as in `layered_network`. `spikes`: nodes of the neurons of
    the first layers, if parts of their own drive the layers above. `pulses`: sources that the bias
    rows follow; (): all follow `pulse`.
    """
    for k, layer in enumerate(network.layers):
        last = k == len(network.layers) - 1
        outputs = names("output" if last else f"row_{k + 1}", layer.neurons)
        if k < len(spikes):
            outputs = list(spikes[k])
        pulse = pulses[k] if pulses else "pulse"
        add_layer(circuit, network, k, layer, outputs, cells, pulse)
        of_layer = noise[k] if noise else None
        if of_layer is not None:
            add_noise(circuit, layer, k, of_layer)


def layers_circuit(network: Stack, title: str, cells: ModelStates | None = None) -> Circuit:
    """Return a circuit that has the subcircuits and models of layers but no cell or neuron;
    `add_layer` adds these.
    """
    circuit, first = Circuit(title), network.layers[0]
    own = any(layer.devices is not IDEAL_DEVICES for layer in network.layers)
    if cells:
        cells.model.add_to(circuit, compiled=True)
    ReadMemristor(first.memristor, per_instance=own).add_to(circuit)
    add_amplifiers(circuit, first.neuron)
    SharpTrigger(network.layers[-1].neuron, own).add_to(circuit)
    for name, neuron in {one.kind.trigger: one.neuron for one in network.layers}.items():
        if name != TRIGGER:
            SharpTrigger(neuron, own, False, name).add_to(circuit)
    return circuit


def add_layer(
    circuit: Circuit,
    network: Stack,
    layer: int,
    own: Layer,
    outputs: list[str],
    cells: ModelStates | None = None,
    pulse: str = "pulse",
) -> None:
    """Add layer number `layer` (counted from 0), whose description is `own`, with its cells and
    neurons. `outputs`: nodes of the neurons' outputs. The bias row follows the source `pulse`.
    """
    neurons, last_row, devices, states = (
        own.neurons,
        f"row_{layer}_{own.rows - 1}",
        own.devices,
        network.states[layer],
    )
    circuit.subcircuit(
        LapicqueNeuron(
            own.neuron,
            f"neuron_of_{layer}",
            devices.neurons is not None,
            own.kind.trigger,
        )
    )
    circuit.subcircuit(ReferenceStage(own.neuron, name=f"reference_of_{layer}"))
    if own.bias is not None:  # the bias row follows the pulse at a full pixel's level
        circuit.VCVS(
            last_row, last_row, circuit.gnd, pulse, circuit.gnd, voltage_gain=own.row_voltage
        )
    negatives = own.synapses.add_stages(circuit, layer, neurons, f"reference_of_{layer}")
    cell_values, neuron_values = (
        cell_arguments(own.memristor, devices.cells, False),
        neuron_arguments(devices.neurons),
    )
    add_bias(circuit, own, names(f"column_{layer}", neurons), last_row)
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
    for c, node in enumerate(own.synapses.nodes(layer, neurons)):
        for k in range(own.rows):
            name, row = f"cell_{layer}_{c}_{k}", f"row_{layer}_{k}"
            state = own.rest if c == own.columns else states[c, k]
            if cells:
                cells.model.add_cell(circuit, name, row, node, float(cells.states(state)))
            else:
                circuit.X(name, "read_memristor", node, row, x0=float(state), **cell_values(c, k))


def add_noise(circuit: Circuit, own: Layer, layer: int, noise: np.ndarray) -> None:
    """Add the noise currents of a read to the columns of layer number `layer`, whose description is
    `own`.

    `noise`: currents in A at full rows, as `kernel_arrays.Work.noise` has them: a row for each row
    of the crossbar, or a single one, whose currents then follow the bias row.
    """
    first = own.rows - len(noise)
    for c, node in enumerate(stage_nodes(own, layer)):
        for k, ampere in enumerate(noise[:, c].tolist(), first):
            circuit.VCCS(
                f"noise_{layer}_{c}_{k}",
                circuit.gnd,
                node,
                f"row_{layer}_{k}",
                circuit.gnd,
                transconductance=ampere / own.row_voltage,
            )


def stage_nodes(own: Layer, layer: int) -> list[str]:
    """Return the nodes of a layer's columns without repetition, in the order of noise currents: the
    neurons, then the reference column or the negative columns.
    """
    return list(dict.fromkeys(own.synapses.nodes(layer, own.neurons)))


def dense_circuit(
    network: Stack,
    volts: np.ndarray,
    title: str,
    cells: ModelStates | None,
    noise: Sequence[np.ndarray],
) -> Circuit:
    """Return the circuit of dense layers that reads an image whose rows are at `volts`. Other
    arguments are as in `layered_network`.
    """
    first = network.layers[0]
    rows = [rising(first, level) for level in volts.tolist()]
    circuit = layered_network(network, rows, title, cells, noise)
    circuit["Vpulse"].values = rising(first, 1.0)
    return circuit


def rising(layer: Layer, level: float) -> Points:
    """Return the points of a source that rises to `level` V and stays there for the read."""
    return edges(0.0, layer.window + layer.rise, layer.rise, level)[:3]


class ReferenceStage(SubCircuit):
    """Stage that turns a column's current into the voltage that neurons subtract. Nodes: column,
    negative.

    One stage at the reference column serves all neurons of the layer. With pairs, each neuron has a
    stage for its negative columns.
    """

    def __init__(self, parameters: NeuronParameters, name: str) -> None:
        super().__init__(name, "column", "negative")
        add_stages(
            self, parameters, parameters.feedback_resistance, negative=None, drive="negative"
        )


def add_bias(circuit: Circuit, own: Layer, columns: Iterable[str], row: str) -> None:
    """Add the resistors of a layer from its bias `row` to each of the neurons' `columns`, if it has
    any.
    """
    if own.bias:
        for node in columns:
            circuit.R(f"bias_{node}", row, node, own.bias_resistance)


class NeuronStages(SubCircuit):
    """Neuron up to the voltage that drives its membrane. Nodes: column, negative, drive."""

    def __init__(self, parameters: NeuronParameters) -> None:
        super().__init__("neuron_stages", "column", "negative", "drive")
        add_stages(self, parameters, parameters.feedback_resistance)


class Membrane(SubCircuit):
    """Membrane of a neuron. Nodes: drive, membrane."""

    def __init__(self, parameters: NeuronParameters) -> None:
        super().__init__("neuron_membrane", "drive", "membrane")
        add_membrane(self, parameters, parameters.membrane_capacitance)


class StepSource(SubCircuit):
    """Output of a neuron, which rises to `volts` at its spike. Node: row.

    The voltage of the source Vat is the time of the spike (1 V for 1 s). The rise takes `edge` s
    and is centred on the spike. This source is an expression of time, because a piecewise-linear
    source costs more time points: at its corners ngspice cuts its steps and restarts its
    integration. If time points are `edge` apart, membranes get exactly the charge
    of an ideal step, because the trapezoidal rule is exact for a current that changes linearly
    between two points.
    """

    def __init__(self, volts: float, edge: float) -> None:
        super().__init__("step_source", "row")
        self.V("at", "at", self.gnd, NEVER)
        self.B(
            "step",
            "row",
            self.gnd,
            voltage_expression=f"{volts!r}*min(max((time-v(at))/{edge!r}+0.5,0),1)",
        )


def crossbar_circuit(layer: Layer, neurons: int, rows: int, edge: float = 0.0) -> Circuit:
    """Return a circuit of some `neurons` and `rows` of a layer for a read.

    Rows at 0 V are left out. Their cells load the columns; the resistor Rload_0_c at input c of the
    stages replaces these cells (1e12 ohm at first).

    Without `edge` an image drives the rows: row k has the voltage of the source `pulse`
    times the gain of Erow_0_k, 0 at first. With an `edge` in s, spikes drive them: a `StepSource`
    at each row but the bias row rises at the time that the source v.xrow_0_k.vat gives. The read
    noise is a current into input c of the stages: the voltage of row k times the gain of
    Gnoise_0_c_k. If an image drives the rows, all noise is at the bias row.
    """
    circuit, steps = _circuit("crossbar", layer), rows - (layer.bias is not None) if edge else 0
    inputs = list(dict.fromkeys(layer.synapses.nodes(0, neurons)))
    add_source(circuit, "pulse", [(0.0, 0.0), (layer.rise, 1.0), (1.0, 1.0)])
    if edge:
        circuit.subcircuit(StepSource(layer.row_voltage, edge))
    for k in range(rows):
        node = f"row_0_{k}"
        if k < steps:
            circuit.X(node, "step_source", node)
        else:
            add_scaled(circuit, node, layer.row_voltage if edge else 0.0)
    add_drives(circuit, layer, neurons, rows)
    _add_cells(
        circuit, layer, ReadMemristor(layer.memristor), layer.synapses.nodes(0, neurons), rows
    )
    _add_membranes(circuit, layer, neurons)
    for c, node in enumerate(inputs):
        circuit.R(f"load_0_{c}", node, circuit.gnd, NO_LOAD)
    for (c, node), k in itertools.product(
        enumerate(inputs if layer.read_noise else []), range(0 if edge else rows - 1, rows)
    ):
        circuit.VCCS(
            f"noise_0_{c}_{k}", circuit.gnd, node, f"row_0_{k}", circuit.gnd, transconductance=0.0
        )
    return circuit


def membrane_circuit(layer: Layer) -> Circuit:
    """Return a circuit of the membranes alone. The PWL source Vdrive_0_j drives membrane j."""
    circuit = Circuit("membranes")
    for j in range(layer.neurons):
        add_source(circuit, f"drive_0_{j}")
    _add_membranes(circuit, layer, layer.neurons)
    return circuit


def back_circuit(layer: Layer) -> Circuit:
    """Return the circuit of a layer for a back-read: columns are driven, and rows are held at 0 V.

    The reference column, if there is one, is the last; the bias row is left out. The voltage of
    column c is `pulse` times the gain of Ecolumn_0_c, which is 0 at first. The source Vrow_0_k
    measures the current of row k.
    """
    circuit, nodes = (
        _circuit("back-read", layer),
        names("column_0", layer.width),
    )
    add_source(circuit, "pulse")
    for node in nodes:
        add_scaled(circuit, node)
    for k in range(layer.inputs):
        circuit.V(f"row_0_{k}", f"row_0_{k}", circuit.gnd, 0)
    _add_cells(circuit, layer, ReadMemristor(layer.memristor), nodes, layer.inputs)
    return circuit


def column_circuit(layer: Layer, together: bool) -> Circuit:
    """Return the circuit of complete cells that writes one column: columns are held at 0 V, and a
    source drives each phi.

    Without wires the column stands alone. If the rows rise `together`, the voltage of row k is that
    of one source `pulse` times the gain of Erow_0_k, because a gain is quick to alter. Otherwise
    each row has a source Vrow_0_k.
    """
    circuit, nodes = (
        _circuit("write", layer),
        names("column_0", layer.columns if layer.wired else 1),
    )
    for c, node in enumerate(nodes):
        add_source(circuit, f"phi_{c}")
        circuit.V(node, node, circuit.gnd, 0)
    if together:
        add_source(circuit, "pulse")
    for k in range(layer.rows):
        node = f"row_0_{k}"
        if together:
            add_scaled(circuit, node)
        else:
            add_source(circuit, node)
    _add_cells(circuit, layer, Memristor(layer.memristor), nodes, layer.rows, True)
    return circuit


def _circuit(title: str, layer: Layer) -> Circuit:
    circuit = Circuit(title)
    if layer.wired:
        circuit.raw_spice = ".options klu"
    return circuit


def _add_membranes(circuit: Circuit, layer: Layer, neurons: int) -> None:
    circuit.subcircuit(Membrane(layer.neuron))
    for j in range(neurons):
        circuit.X(f"membrane_0_{j}", "neuron_membrane", f"drive_0_{j}", f"membrane_0_{j}")


def add_drives(circuit: Circuit, layer: Layer, neurons: int, rows: int) -> None:
    """Add the stages from the columns (and the bias row, the last of `rows`) to drive_0_j, without
    cells.
    """
    add_amplifiers(circuit, layer.neuron)
    circuit.subcircuit(NeuronStages(layer.neuron))
    circuit.subcircuit(ReferenceStage(layer.neuron, name="reference_stage"))
    negatives = layer.synapses.add_stages(circuit, 0, neurons, "reference_stage")
    add_bias(circuit, layer, names("column_0", neurons), f"row_0_{rows - 1}")
    for j in range(neurons):
        circuit.X(f"neuron_0_{j}", "neuron_stages", f"column_0_{j}", negatives[j], f"drive_0_{j}")


def _add_cells(
    circuit: Circuit,
    layer: Layer,
    cell: ReadMemristor,
    nodes: Sequence[str],
    rows: int,
    phi: bool = False,
) -> None:
    """Add cells, all at `rest`, between `nodes` of columns and rows, with the wires that lead to
    them.
    """
    cell.add_to(circuit)
    for (c, node), k in itertools.product(enumerate(nodes), range(rows)):
        column, row = add_wires(
            circuit, layer.devices.wires, (c, k), rows, node, f"row_0_{k}", ("right", "down")
        )
        circuit.X(
            f"cell_0_{c}_{k}", cell.name, column, row, *([f"phi_{c}"] if phi else []), x0=layer.rest
        )
