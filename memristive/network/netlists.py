"""Netlists of multilayer networks: crossbars in series, each with a bias row, and a reference column or pairs.

Nodes of layer l (counted from 0): row_l_k, column_l_j, membrane_l_j. The output of a hidden neuron is row_(l+1)_j, that of a
neuron in the last layer output_j. The reference column's voltage negative_l goes to all neurons of its layer. These functions
build netlists and do not run them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.network.setup import Design, check_levels, edges
from memristive.spice.netlist import Solver, named_classes, netlist_text
from memristive.spice.parameters import ParameterError, quantity
from memristor import MemristorParameters, ReadMemristor
from snn_circuit import (
    OFF,
    LapicqueNeuron,
    NeuronParameters,
    Points,
    SchmittTrigger,
    add_amplifiers,
    add_stages,
    cell_arguments,
    names,
    neuron_arguments,
)

if TYPE_CHECKING:
    from memristive.network.layer import Layer
    from memristive.network.networks import Network
    from memristive.network.subcircuit_layers import ModelCells

# A switch flips at a time point, up to one step late. So spikes of an exported read are late by up to a step for each layer.
EXPORTED = Solver(max_step=0.1e-6, reltol=1e-5, trtol=100.0, chgtol=1e-7, method="trap")


@dataclass(frozen=True)
class LayerDesign(Design):
    """Signs and scales of the weights, and the timing of a read.

    The weight of a synapse is its current minus the current of the reference cell in the same row. It is in proportion to
    X - X_ref. Differential pairs need no reference column: the weight is the current of the positive cells minus that of the
    negative ones. The columns of a layer are then ordered by polarity (positive first), then by pair, then by neuron.
    """

    reference_state: float = quantity(5.0, -1e3, 1e3, "V", "X_ref of the reference column's cells")
    transresistance: float = quantity(20e3, 1.0, 1e14, "V/A", "settled membrane voltage per ampere of difference")
    stage_swing: float = quantity(10.0, 0.1, 100.0, "V", "of the summing stages while every row is high and every cell at X_ref")
    row_voltage: float = quantity(1.0, 1e-3, 10.0, "V", "of a full pixel, of the bias row, of a hidden neuron's output")
    write_voltage: float = quantity(0.0, 0.0, 10.0, "V", "of the same rows in a write; 0: as in a read")
    pairs: int = quantity(0, 0, 64, "", "differential pairs of a synapse; 0: one cell, and a reference column")
    hidden_bias: float = quantity(0.0, 0.0, 100.0, "", "drive of hidden neurons by a resistor at the bias row, in thresholds")
    output_bias: float = quantity(0.0, 0.0, 100.0, "", "the same in the last layer")
    output_gain: float = quantity(1.0, 1e-3, 1e3, "", "transresistance of the last layer, relative to the others")
    rise: float = quantity(1e-6, 1e-9, 1e-3, "s", "edge of the input")
    window: float = quantity(150e-6, 1e-6, 1.0, "s", "longest read; neurons that have not fired by then are silent")
    back_voltage: float = quantity(0.1, 1e-4, 1.0, "V", "column voltage of a back-read of the last layer")
    error_voltage: float = quantity(1e-3, 1e-6, 1.0, "", "column voltage of a back-read for each volt of a hidden neuron's error")
    read_curve: tuple[float, ...] = (1.0, 1.0)  # `MeasuredDevice.read_curve`

    def check(self) -> None:
        """Raise ParameterError if a read ends before its input has risen."""
        object.__setattr__(self, "read_curve", tuple(self.read_curve))  # a list in files
        if not self.rise < self.window:
            raise ParameterError(f"rise must be below the window, got {self.rise:g} s for {self.window:g} s")

    @property
    def writing(self) -> float:
        """Voltage in V of a full row in a write."""
        return self.write_voltage or self.row_voltage

    def read_levels(self, levels: np.ndarray) -> np.ndarray:
        """Return the levels at which rows stand in a read of inputs at `levels` (any shape).

        The current of a measured cell of conductance G may bend with the voltage: i = G V c(V), where `read_curve` holds c.
        Columns are at virtual ground, so an ohmic cell whose row carries V c(V) has the same current.
        """
        if set(self.read_curve) == {1.0}:
            return levels
        return levels * np.interp(levels, np.linspace(0, 1, len(self.read_curve)), self.read_curve)

    def column_voltage(self, last: bool) -> float:
        """Return the voltage in V of a column with an error of 1, in the `last` layer or in a hidden one."""
        return self.back_voltage if last else self.error_voltage

    def neuron(self, base: NeuronParameters, memristor: MemristorParameters, rows: int, last: bool) -> NeuronParameters:
        """Return the parameters of the neurons of a layer of `rows` rows (bias included), whose feedback prevents clipping.

        `last`: True for the last layer.
        """
        cells = rows * max(1, self.pairs)
        current = cells * memristor.gain * (self.reference_state - memristor.threshold_voltage) * self.row_voltage
        feedback, transresistance = self.stage_swing / current, self.transresistance * (self.output_gain if last else 1.0)
        return dataclasses.replace(base, output_high=self.row_voltage, feedback_resistance=feedback,
                                   membrane_transconductance=transresistance / feedback / base.membrane_resistance)

    def bias(self, last: bool) -> float:
        """Return the drive, in thresholds, that the bias row gives the neurons of a layer."""
        return self.output_bias if last else self.hidden_bias

    @property
    def reference(self) -> bool:
        """True if a layer has a reference column."""
        return self.pairs == 0


class ReferenceStage(SubCircuit):
    """Stage that turns a column's current into the voltage that neurons subtract. Nodes: column, negative.

    One stage at the reference column serves all neurons of the layer. With pairs, each neuron has a stage for its negative
    columns.
    """

    def __init__(self, parameters: NeuronParameters, name: str) -> None:
        super().__init__(name, "column", "negative")
        add_stages(self, parameters, parameters.feedback_resistance, negative=None, drive="negative")


def layered_network(network: Network, rows: Sequence[Points], title: str = "layers", cells: ModelCells | None = None) -> Circuit:
    """Return the netlist of layers in series for a read, in which every phi is low.

    Parameters
    ----------
    network : Network
        Its bias rows follow the source `pulse` (0 V at first).
    rows : sequence of points
        Sources of the first layer's rows without the bias row, as (s, V) points.
    title : str
    cells : ModelCells, optional
        SPICE model whose subcircuit stands in each cell instead of the emulator.
    """
    circuit, layers, own = Circuit(title), network.layers, network.devices is not None
    if cells:
        cells.model.add_to(circuit)
    ReadMemristor(network.parameters.memristor, per_instance=own).add_to(circuit)
    add_amplifiers(circuit, network.parameters.neuron)
    SchmittTrigger(layers[-1].neuron, own, latching=True).add_to(circuit)
    circuit.PieceWiseLinearVoltageSource("pulse", "pulse", circuit.gnd, values=OFF)
    for k, points in enumerate(rows):
        circuit.PieceWiseLinearVoltageSource(f"row_0_{k}", f"row_0_{k}", circuit.gnd, values=points)
    for k, layer in enumerate(layers):
        outputs = names("output" if k == len(layers) - 1 else f"row_{k + 1}", layer.neurons)
        _add_layer(circuit, network, k, layer, outputs, cells)
    return circuit


def _add_layer(circuit: Circuit, network: Network, layer: int, of: Layer, outputs: list[str], cells: ModelCells | None) -> None:
    neurons, last_row, devices, states = of.neurons, f"row_{layer}_{of.rows - 1}", of.devices, network.states[layer]
    circuit.subcircuit(LapicqueNeuron(of.neuron, name=f"neuron_of_{layer}", per_instance=devices.neurons is not None))
    circuit.subcircuit(ReferenceStage(of.neuron, name=f"reference_of_{layer}"))
    # The bias row follows the pulse at a full pixel's level.
    circuit.VCVS(last_row, last_row, circuit.gnd, "pulse", circuit.gnd, voltage_gain=of.row_voltage)
    negatives = add_negative_stages(circuit, of, layer, neurons, f"reference_of_{layer}")
    cell_values, neuron_values = cell_arguments(network.parameters, devices.cells, False), neuron_arguments(devices.neurons)
    add_bias(circuit, of.neuron, of.row_voltage, of.bias or 0.0, names(f"column_{layer}", neurons), last_row)
    for j in range(neurons):
        circuit.X(f"neuron_{layer}_{j}", f"neuron_of_{layer}", f"column_{layer}_{j}", negatives[j],
                  f"membrane_{layer}_{j}", outputs[j],
                  **neuron_values(j))
    for c, node in enumerate(column_nodes(of, layer, neurons)):
        for k in range(of.rows):
            name, row = f"cell_{layer}_{c}_{k}", f"row_{layer}_{k}"
            state = of.rest if c == of.columns else states[c, k]
            if cells:
                cells.model.add_cell(circuit, name, row, node, float(cells.states(state)))
            else:
                circuit.X(name, "read_memristor", node, row, x0=float(state), **cell_values(c, k))


def column_nodes(of: Layer, layer: int, neurons: int) -> list[str]:
    """Return the node of each column, and of the reference column after them if there are no pairs.

    Node column_l_j leads to neuron j. With pairs, the neuron's positive columns share this node, and its negative columns share
    opposite_l_j.
    """
    if not of.pairs:
        return names(f"column_{layer}", neurons + of.reference)
    return names(f"column_{layer}", neurons) * of.pairs + names(f"opposite_{layer}", neurons) * of.pairs


def add_negative_stages(circuit: Circuit, of: Layer, layer: int, neurons: int, stage: str) -> list[str]:
    """Add the stage of the reference column, or those of the negative columns; return the node `negative` of each neuron."""
    if not of.pairs and not of.reference:
        return [circuit.gnd] * neurons
    if not of.pairs:
        circuit.X(f"reference_{layer}", stage, f"column_{layer}_{neurons}", f"negative_{layer}")
        return [f"negative_{layer}"] * neurons
    negatives = names(f"negative_{layer}", neurons)
    for j, node in enumerate(negatives):
        circuit.X(f"reference_{layer}_{j}", stage, f"opposite_{layer}_{j}", node)
    return negatives


def add_bias(circuit: Circuit, neuron: NeuronParameters, volts: float, bias: float, columns: Iterable[str], row: str) -> None:
    """Add a resistor from the bias row to each of the `columns`, so that each neuron has a drive of `bias` thresholds.

    `volts` is the voltage of the bias `row` in a read.
    """
    if bias:
        resistance = volts * neuron.transresistance / (bias * neuron.threshold)
        for node in columns:
            circuit.R(f"bias_{node}", row, node, resistance)


def layered_read_netlist(network: Network, image: np.ndarray, labels: Iterable[object] = (),
                         sample: str = "image", cells: ModelCells | None = None) -> str:
    """Return the netlist that reads one image with the whole network in one transient, for the program `ngspice`.

    Parameters
    ----------
    network : Network
    image : array, inputs, levels 0 to 1
    labels : iterable, optional
        Names of the classes, for the comments.
    sample : str
        Name of the image, for the comments.
    cells : ModelCells, optional
        SPICE model whose subcircuit stands in each cell.

    Raises
    ------
    ParameterError
        The image does not fit the network, or a level is outside 0 to 1.
    """
    check_levels("image", np.asarray(image)[None], network.sizes[0])
    design, last, classes = network.design, len(network.states) - 1, network.sizes[-1]
    volts = design.row_voltage * design.read_levels(np.asarray(image, float))
    rows = [edges(0.0, 1.0, design.rise, level)[:3] for level in volts.tolist()]
    circuit = layered_network(network, rows, f"read of {sample}", cells)
    circuit["Vpulse"].values = edges(0.0, 1.0, design.rise, 1.0)[:3]
    nodes = names(f"membrane_{last}", classes) + names("output", classes)
    hidden = [name for layer, count in enumerate(network.sizes[1:-1])
              for name in names(f"membrane_{layer}", count) + names(f"row_{layer + 1}", count)]
    comments = [f"One read of {sample}; the last layer's neurons stand for {named_classes(list(labels), classes)}.",
                f"Saved: membrane_{last}_j, output_j (high: neuron j has fired). The first spike names the class."]
    if hidden:
        comments.append("Hidden layer l, counted from 0: membrane_l_j, and the neurons' outputs row_(l+1)_j.")
    return netlist_text(circuit, EXPORTED, design.window, nodes + hidden, nodes, comments)
