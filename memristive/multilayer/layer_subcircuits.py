"""Circuits of one layer alone, or of a part of it: what is read, read back and written where layers are simulated one by one.

A read is cut where nothing flows back: at a neuron's output, an ideal switch that drives the next layer's row, and at what drives
a membrane, the output of an op-amp that only a transconductance senses. Nodes: row_0_k, column_0_j, drive_0_j, membrane_0_j; the
last row is the bias, the last column the reference. Pure builders, nothing runs here.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.multilayer.layer_netlist import LayerDesign, ReferenceStage, add_amplifiers
from memristor import Memristor, MemristorParameters, ReadMemristor
from snn_circuit import OFF, NetworkParameters, NeuronParameters, add_membrane, add_stages, channel_size, state_changes

NEVER = 1.0  # s, the step of a row whose neuron stays silent: after every read


class NeuronStages(SubCircuit):
    """A neuron up to the voltage that drives its membrane. Nodes: column, negative, drive."""

    def __init__(self, parameters: NeuronParameters) -> None:
        super().__init__("neuron_stages", "column", "negative", "drive")
        add_stages(self, parameters, parameters.feedback_resistance)


class Membrane(SubCircuit):
    """A neuron's membrane alone. Nodes: drive, membrane."""

    def __init__(self, parameters: NeuronParameters) -> None:
        super().__init__("neuron_membrane", "drive", "membrane")
        add_membrane(self, parameters, parameters.membrane_capacitance)


class StepSource(SubCircuit):
    """A neuron's output: `volts` from its spike on, when the source Vat says (V for s). Node: row.

    It rises over `edge` s, centred on the spike, and is no source with corners: at each of those ngspice would cut its steps to
    a tenth and start its integration anew, ten points for a spike. With time points `edge` apart the membranes get exactly the
    charge that a step would give them: the trapezoidal rule integrates between two points what is straight between them.
    """

    def __init__(self, volts: float, edge: float) -> None:
        super().__init__("step_source", "row")
        self.V("at", "at", self.gnd, NEVER)
        self.B("step", "row", self.gnd, voltage_expression=f"{volts!r}*min(max((time-v(at))/{edge!r}+0.5,0),1)")


def image_circuit(parameters: NetworkParameters, design: LayerDesign, columns: int, rows: int, fan_in: int) -> Circuit:
    """A crossbar up to its neurons' drives, for an image: row k follows the edge of `pulse` with the gain of Erow_0_k.

    `columns` without the reference; `rows` with the bias, of the layer's `fan_in` (which sets the stages' feedback). All cells
    are at X_ref, all gains 0.
    """
    circuit = Circuit("image")
    _add_pulse(circuit, design)
    for k in range(rows):
        circuit.VCVS(f"row_0_{k}", f"row_0_{k}", circuit.gnd, "pulse", circuit.gnd, voltage_gain=0.0)
    _add_crossbar(circuit, parameters, design, columns, rows, fan_in)
    return circuit


def membrane_circuit(parameters: NetworkParameters, design: LayerDesign, columns: int, fan_in: int) -> Circuit:
    """The membranes of `columns` neurons: drive j follows the edge of `pulse` with the gain of Edrive_0_j (0 at first)."""
    circuit = Circuit("membranes")
    circuit.subcircuit(Membrane(design.neuron(parameters.neuron, parameters.memristor, fan_in)))
    _add_pulse(circuit, design)
    for j in range(columns):
        circuit.VCVS(f"drive_0_{j}", f"drive_0_{j}", circuit.gnd, "pulse", circuit.gnd, voltage_gain=0.0)
        circuit.X(f"membrane_0_{j}", "neuron_membrane", f"drive_0_{j}", f"membrane_0_{j}")
    return circuit


def spike_circuit(parameters: NetworkParameters, design: LayerDesign, columns: int, rows: int, fan_in: int,
                  edge: float) -> Circuit:
    """A crossbar with its neurons' membranes, driven by spikes: a `StepSource` a row; the bias follows the edge of `pulse`.

    Arguments as for `image_circuit`; the source of row k is v.xrow_0_k.vat.
    """
    circuit = Circuit("spikes")
    circuit.subcircuit(StepSource(design.row_voltage, edge))
    circuit.subcircuit(Membrane(design.neuron(parameters.neuron, parameters.memristor, fan_in)))
    _add_pulse(circuit, design)
    for k in range(rows - 1):
        circuit.X(f"row_0_{k}", "step_source", f"row_0_{k}")
    circuit.VCVS(f"row_0_{rows - 1}", f"row_0_{rows - 1}", circuit.gnd, "pulse", circuit.gnd, voltage_gain=design.row_voltage)
    _add_crossbar(circuit, parameters, design, columns, rows, fan_in)
    for j in range(columns):
        circuit.X(f"membrane_0_{j}", "neuron_membrane", f"drive_0_{j}", f"membrane_0_{j}")
    return circuit


def _add_pulse(circuit: Circuit, design: LayerDesign) -> None:
    circuit.PieceWiseLinearVoltageSource("pulse", "pulse", circuit.gnd, values=[(0.0, 0.0), (design.rise, 1.0), (1.0, 1.0)])


def _add_crossbar(circuit: Circuit, parameters: NetworkParameters, design: LayerDesign, columns: int, rows: int,
                  fan_in: int) -> None:
    neuron = design.neuron(parameters.neuron, parameters.memristor, fan_in)
    ReadMemristor(parameters.memristor).add_to(circuit)
    add_amplifiers(circuit, neuron)
    circuit.subcircuit(NeuronStages(neuron))
    circuit.subcircuit(ReferenceStage(neuron, name="reference_stage"))
    circuit.X("reference_0", "reference_stage", f"column_0_{columns}", "negative_0")
    for j in range(columns):
        circuit.X(f"neuron_0_{j}", "neuron_stages", f"column_0_{j}", "negative_0", f"drive_0_{j}")
    for j, k in np.ndindex(columns + 1, rows):
        circuit.X(f"cell_0_{j}_{k}", "read_memristor", f"column_0_{j}", f"row_0_{k}", x0=design.reference_state)


def back_circuit(parameters: NetworkParameters, design: LayerDesign, states: np.ndarray) -> Circuit:
    """One layer for a back-read: columns driven (the reference column too, the last), rows without the bias held at 0 V.

    The columns follow `pulse`, scaled by the gain of Ecolumn_0_j (0 at first); a row's current is that of its source Vrow_0_k.
    """
    circuit = Circuit("back-read")
    ReadMemristor(parameters.memristor).add_to(circuit)
    circuit.PieceWiseLinearVoltageSource("pulse", "pulse", circuit.gnd, values=OFF)
    columns, rows = states.shape
    for j in range(columns + 1):
        circuit.VCVS(f"column_0_{j}", f"column_0_{j}", circuit.gnd, "pulse", circuit.gnd, voltage_gain=0.0)
    for k in range(rows - 1):
        circuit.V(f"row_0_{k}", f"row_0_{k}", circuit.gnd, 0)
        for j in range(columns + 1):
            state = design.reference_state if j == columns else states[j, k]
            circuit.X(f"cell_0_{j}_{k}", "read_memristor", f"column_0_{j}", f"row_0_{k}", x0=float(state))
    return circuit


def column_circuit(parameters: NetworkParameters, rows: int, together: bool) -> Circuit:
    """One column of whole cells for writing, held at 0 V, with a source for its phi.

    A source for each row, Vrow_0_k; or, if rows rise `together`, the gain of Erow_0_k on one source `pulse`, quicker to alter.
    """
    circuit = Circuit("write")
    Memristor(parameters.memristor).add_to(circuit)
    circuit.PieceWiseLinearVoltageSource("phi", "phi", circuit.gnd, values=OFF)
    circuit.V("column_0_0", "column_0_0", circuit.gnd, 0)
    if together:
        circuit.PieceWiseLinearVoltageSource("pulse", "pulse", circuit.gnd, values=OFF)
    for k in range(rows):
        if together:
            circuit.VCVS(f"row_0_{k}", f"row_0_{k}", circuit.gnd, "pulse", circuit.gnd, voltage_gain=0.0)
        else:
            circuit.PieceWiseLinearVoltageSource(f"row_0_{k}", f"row_0_{k}", circuit.gnd, values=OFF)
        circuit.X(f"cell_0_0_{k}", "memristor", "column_0_0", f"row_0_{k}", "phi", x0=0.0)
    return circuit


def layer_state_changes(cells: Iterable[Sequence[int]], states: Iterable[float]) -> dict[str, float]:
    """The `alter` changes that give cells, as (column, row) pairs, new `states` in V at t = 0."""
    return state_changes(cells, states, "cell_0")


def layer_gain_changes(memristor: MemristorParameters, rows: Iterable[int], channel: np.ndarray) -> dict[str, float]:
    """The `alter` changes that give the channels of the cells in some `rows` their gains (columns x rows, relative to 1)."""
    changes: dict[str, float] = {}
    width, length = channel_size(memristor, channel)
    for place, k in enumerate(rows):
        for j in range(len(channel)):
            changes[f"m.xcell_0_{j}_{k}.mchannel w"] = float(width[j, place])
            changes[f"m.xcell_0_{j}_{k}.mchannel l"] = float(length[j, place])
    return changes
