"""Layers as netlists: crossbars whose neurons drive the rows of the next, with a reference column and a bias row each.

Nodes of layer l (counted from 0): row_l_k, column_l_j, membrane_l_j; a neuron's output is the next layer's row, row_(l+1)_j; the
reference column's negative_l goes to every neuron of its layer. Pure builders, nothing runs here.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristor import Cell, MemristorParameters, ReadMemristor
from snn_circuit import OFF, LapicqueNeuron, NetworkParameters, NeuronParameters, OpAmp, Points, channel_size


@dataclass(frozen=True)
class LayerDesign(Parameters):
    """What turns crossbars into layers: signed weights by a reference column, scales, and the timing of a read.

    A synapse's weight is its current less that of the reference column's cell of the same row, proportional to X - X_ref.
    """

    reference_state: float = quantity(5.0, 0.1, 100.0, "V", "X_ref of the reference column's cells")
    transresistance: float = quantity(20e3, 1.0, 1e9, "V/A", "settled membrane voltage per ampere of difference")
    stage_swing: float = quantity(10.0, 0.1, 100.0, "V", "of the summing stages while every row is high and every cell at X_ref")
    row_voltage: float = quantity(1.0, 1e-3, 10.0, "V", "of a full pixel, of the bias row, of a hidden neuron's output")
    rise: float = quantity(1e-6, 1e-9, 1e-3, "s", "edge of the input")
    window: float = quantity(150e-6, 1e-6, 1.0, "s", "longest read: who has not fired by then is silent")
    back_voltage: float = quantity(0.1, 1e-4, 1.0, "V", "column voltage of a back-read, of the label's and offender's columns")
    error_voltage: float = quantity(1e-3, 1e-6, 1.0, "", "column voltage of a back-read for each volt of a hidden neuron's error")

    def check(self) -> None:
        """Raise ParameterError if a read would be over before its input has risen."""
        if not self.rise < self.window:
            raise ParameterError(f"rise must be below the window, got {self.rise:g} s for {self.window:g} s")

    def column_voltage(self, last: bool) -> float:
        """In V, of a column that carries an error of 1: in the `last` layer, or in a hidden one."""
        return self.back_voltage if last else self.error_voltage

    def neuron(self, base: NeuronParameters, memristor: MemristorParameters, rows: int) -> NeuronParameters:
        """The neurons of a layer of `rows` rows (bias included): a feedback that keeps their stages off the rails."""
        current = rows * memristor.gain * self.reference_state * self.row_voltage
        feedback = self.stage_swing / current
        return dataclasses.replace(self.driving(base), feedback_resistance=feedback,
                                   membrane_transconductance=self.transresistance / feedback / base.membrane_resistance)

    def driving(self, base: NeuronParameters) -> NeuronParameters:
        """Neurons whose outputs are the next layer's rows."""
        return dataclasses.replace(base, output_high=self.row_voltage)


@dataclass(frozen=True, eq=False)
class LayerChip:
    """What differs from device to device on one layer of a chip, relative to 1 and fixed for its life."""

    channel: np.ndarray  # gains of the channels, (neurons + 1) x rows; the last neuron is the reference column
    write: np.ndarray  # gains of the writes, neurons x rows
    threshold: np.ndarray  # of the neurons

    def cell(self, memristor: MemristorParameters, j: int, k: int) -> dict[str, float]:
        """Instance parameters of the cell of column `j` and row `k`."""
        width, length = channel_size(memristor, self.channel[j, k])
        return {"w": float(width), "l": float(length)}


class LatchingTrigger(Cell):
    """Output high once the membrane has exceeded the threshold, until the read ends. Nodes: membrane, output.

    The trigger charges a capacitor that nothing discharges: otherwise a later layer's neuron, whose membrane may fall again when
    an inhibiting row steps up, would take its spike back. (A trigger that held itself by feedback would be quicker drawn, but
    ngspice's switches would then close themselves on the mere guess of an iteration.) `own`: the threshold is an instance
    parameter.
    """

    RESISTANCE, CAPACITANCE = 100.0, 1e-9  # ohm, F: the output rises within 0.1 us

    def __init__(self, parameters: NeuronParameters, own: bool = False) -> None:
        switch = {"vt": parameters.threshold - parameters.hysteresis / 2, "vh": parameters.hysteresis / 2,
                  "ron": 1e-3, "roff": 1e15}
        super().__init__("schmitt_trigger", ("membrane", "output"), {"switch": ("sw", switch)})
        self.V("high", "high", self.gnd, parameters.output_high)
        reference = self.gnd
        if own:
            self.parameters["threshold"] = parameters.threshold
            self.V("reference", "reference", self.gnd, f"{{threshold-{parameters.threshold!r}}}")
            reference = "reference"
        self.S("spike", "high", "charge", "membrane", reference, model="schmitt_trigger_switch")
        self.R("charge", "charge", "store", self.RESISTANCE)
        self.C("store", "store", self.gnd, self.CAPACITANCE, raw_spice="ic=0")
        self.VCVS("output", "output", self.gnd, "store", self.gnd, voltage_gain=1.0)
        self.R("load", "output", self.gnd, parameters.load_resistance)


class ReferenceStage(SubCircuit):
    """Turns the reference column's current into the voltage that every neuron of the layer subtracts. Nodes: column, negative."""

    def __init__(self, parameters: NeuronParameters, name: str) -> None:
        super().__init__(name, "column", "negative")
        stage = parameters.stage_resistance
        self.X("sum", "summing_amplifier", self.gnd, "column", "sum")
        self.R("feedback", "column", "sum", parameters.feedback_resistance)
        self.X("invert", "inverting_amplifier", self.gnd, "inverting", "negative")
        self.R("positive", "sum", "inverting", stage)
        self.R("inverse", "inverting", "negative", stage)


def layered_network(parameters: NetworkParameters, design: LayerDesign, states: Sequence[np.ndarray], rows: Sequence[Points],
                    title: str = "layers", chip: Sequence[LayerChip] | None = None) -> Circuit:
    """The netlist of layers in series, for reading: every phi is low.

    `states`: neurons x rows of each layer, in V, the last row being the bias, which follows the source `pulse` (0 at first).
    `rows`: the first layer's sources without the bias, as (s, V) points. `chip`: what differs in each layer.
    """
    circuit = Circuit(title)
    ReadMemristor(parameters.memristor, own=chip is not None).add_to(circuit)
    add_amplifiers(circuit, parameters.neuron)
    LatchingTrigger(design.driving(parameters.neuron), own=chip is not None).add_to(circuit)
    circuit.PieceWiseLinearVoltageSource("pulse", "pulse", circuit.gnd, values=OFF)
    for k, points in enumerate(rows):
        circuit.PieceWiseLinearVoltageSource(f"row_0_{k}", f"row_0_{k}", circuit.gnd, values=points)
    for layer, cells in enumerate(states):
        neuron = design.neuron(parameters.neuron, parameters.memristor, cells.shape[1])
        _add_layer(circuit, neuron, design, layer, cells, parameters.memristor, None if chip is None else chip[layer])
    return circuit


def add_amplifiers(circuit: Circuit, neuron: NeuronParameters) -> None:
    """Define the op-amps of the neurons' stages in the PySpice `circuit`."""
    circuit.subcircuit(OpAmp("summing_amplifier", neuron, neuron.rail_low, neuron.rail_high))
    circuit.subcircuit(OpAmp("inverting_amplifier", neuron, neuron.inverting_rail_low, neuron.inverting_rail_high))


def _add_layer(circuit: Circuit, neuron: NeuronParameters, design: LayerDesign, layer: int, states: np.ndarray,
               memristor: MemristorParameters, chip: LayerChip | None) -> None:
    columns, rows = states.shape
    circuit.subcircuit(LapicqueNeuron(neuron, name=f"neuron_of_{layer}", own=chip is not None))
    circuit.subcircuit(ReferenceStage(neuron, name=f"reference_of_{layer}"))
    # The bias row is up whenever an image is: the pulse at a full pixel's level.
    circuit.VCVS(f"row_{layer}_{rows - 1}", f"row_{layer}_{rows - 1}", circuit.gnd, "pulse", circuit.gnd,
                 voltage_gain=design.row_voltage)
    circuit.X(f"reference_{layer}", f"reference_of_{layer}", f"column_{layer}_{columns}", f"negative_{layer}")
    for j in range(columns):
        circuit.X(f"neuron_{layer}_{j}", f"neuron_of_{layer}", f"column_{layer}_{j}", f"negative_{layer}",
                  f"membrane_{layer}_{j}", f"row_{layer + 1}_{j}",
                  **({} if chip is None else {"threshold": float(neuron.threshold * chip.threshold[j])}))
    for j, k in np.ndindex(columns + 1, rows):
        state = design.reference_state if j == columns else states[j, k]
        circuit.X(f"cell_{layer}_{j}_{k}", "read_memristor", f"column_{layer}_{j}", f"row_{layer}_{k}", x0=float(state),
                  **({} if chip is None else chip.cell(memristor, j, k)))


def layer_names(kind: str, layer: int, count: int) -> list[str]:
    """The vectors kind_layer_0, kind_layer_1, ... of a network."""
    return [f"{kind}_{layer}_{k}" for k in range(count)]
