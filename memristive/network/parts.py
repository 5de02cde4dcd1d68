"""Netlists of one layer, or of parts of it, for reads, back-reads and writes that simulate layer by layer.

A read is divided where nothing flows back: at the neurons' outputs, and at the op-amp outputs that drive the membranes through a
transconductance. Nodes: row_0_k, column_0_j, drive_0_j, membrane_0_j. The last row is the bias; without pairs, the last column
is the reference. These functions build netlists and do not run them.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.network.netlists import (
    LayerDesign,
    ReferenceStage,
    add_amplifiers,
    add_bias,
    add_negative_stages,
    column_nodes,
)
from memristor import Memristor, ReadMemristor
from snn_circuit import OFF, NetworkParameters, NeuronParameters, add_membrane, add_stages, names, state_changes

NEVER = 1.0  # s, time at which a row steps up whose neuron is silent: after the end of every read


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

    The voltage of the source Vat is the time of the spike (1 V for 1 s). The rise takes `edge` s and is centred on the spike.
    This source is an expression of time, because a piecewise-linear source costs ten time points for each spike: at its corners
    ngspice cuts its steps to a tenth and restarts its integration. If time points are `edge` apart, membranes get exactly the
    charge of an ideal step, because the trapezoidal rule is exact for a current that is straight between two points.
    """

    def __init__(self, volts: float, edge: float) -> None:
        super().__init__("step_source", "row")
        self.V("at", "at", self.gnd, NEVER)
        self.B("step", "row", self.gnd, voltage_expression=f"{volts!r}*min(max((time-v(at))/{edge!r}+0.5,0),1)")


@dataclasses.dataclass(frozen=True)
class LayerPart:
    """Part of a layer that one circuit simulates: all or some of its neurons, with their columns.

    Parameters
    ----------
    parameters : NetworkParameters
    design : LayerDesign
    neuron : NeuronParameters
        Parameters that `LayerDesign.neuron` returns for the layer.
    neurons : int
        Number of neurons in this part.
    rows : int
        Number of rows, including the bias row.
    last : bool
        True if the neurons belong to the last layer.
    noise : bool
        True adds current sources for the read noise.
    """

    parameters: NetworkParameters
    design: LayerDesign
    neuron: NeuronParameters
    neurons: int
    rows: int
    last: bool
    noise: bool = False

    @property
    def inputs(self) -> list[str]:
        """Nodes at the inputs of the stages: positive columns first, then the negative ones or the reference column."""
        return list(dict.fromkeys(column_nodes(self.design, 0, self.neurons)))


def image_circuit(part: LayerPart) -> Circuit:
    """Return a circuit that an image drives: the crossbar and the stages up to the nodes drive_0_j.

    The voltage of row k is that of the source `pulse` times the gain of Erow_0_k. At first all cells are at X_ref and all gains
    are 0. The read noise is a current into input c of the stages: `pulse` times the gain of Gnoise_0_c.
    """
    circuit = Circuit("image")
    _add_pulse(circuit, part.design)
    for k in range(part.rows):
        circuit.VCVS(f"row_0_{k}", f"row_0_{k}", circuit.gnd, "pulse", circuit.gnd, voltage_gain=0.0)
    add_drives(circuit, part)
    _add_cells(circuit, part)
    for c, node in enumerate(part.inputs if part.noise else []):
        circuit.VCCS(f"noise_0_{c}", circuit.gnd, node, "pulse", circuit.gnd, transconductance=0.0)
    return circuit


def membrane_circuit(part: LayerPart) -> Circuit:
    """Return a circuit of the membranes alone. The voltage drive_0_j is `pulse` times the gain of Edrive_0_j, 0 at first."""
    circuit = Circuit("membranes")
    circuit.subcircuit(Membrane(part.neuron))
    _add_pulse(circuit, part.design)
    for j in range(part.neurons):
        circuit.VCVS(f"drive_0_{j}", f"drive_0_{j}", circuit.gnd, "pulse", circuit.gnd, voltage_gain=0.0)
        circuit.X(f"membrane_0_{j}", "neuron_membrane", f"drive_0_{j}", f"membrane_0_{j}")
    return circuit


def driven_membranes(part: LayerPart) -> Circuit:
    """Return the membranes alone. The PWL source Vdrive_0_j drives membrane j."""
    circuit = Circuit("membranes")
    circuit.subcircuit(Membrane(part.neuron))
    for j in range(part.neurons):
        circuit.PieceWiseLinearVoltageSource(f"drive_0_{j}", f"drive_0_{j}", circuit.gnd, values=OFF)
        circuit.X(f"membrane_0_{j}", "neuron_membrane", f"drive_0_{j}", f"membrane_0_{j}")
    return circuit


def spike_circuit(part: LayerPart, edge: float) -> Circuit:
    """Return a circuit that spikes drive: the crossbar, the stages and the membranes.

    A `StepSource` drives row k. It rises within `edge` s at the time that the source v.xrow_0_k.vat gives. The bias row follows
    `pulse`.
    The read noise is a current into input c of the stages: the voltage of row k times the gain of Gnoise_0_c_k.
    """
    circuit, volts = Circuit("spikes"), part.design.row_voltage
    circuit.subcircuit(StepSource(volts, edge))
    circuit.subcircuit(Membrane(part.neuron))
    _add_pulse(circuit, part.design)
    for k in range(part.rows - 1):
        circuit.X(f"row_0_{k}", "step_source", f"row_0_{k}")
    bias = f"row_0_{part.rows - 1}"
    circuit.VCVS(bias, bias, circuit.gnd, "pulse", circuit.gnd, voltage_gain=volts)
    add_drives(circuit, part)
    _add_cells(circuit, part)
    for j in range(part.neurons):
        circuit.X(f"membrane_0_{j}", "neuron_membrane", f"drive_0_{j}", f"membrane_0_{j}")
    for (c, node), k in itertools.product(enumerate(part.inputs if part.noise else []), range(part.rows)):
        circuit.VCCS(f"noise_0_{c}_{k}", circuit.gnd, node, f"row_0_{k}", circuit.gnd, transconductance=0.0)
    return circuit


def _add_pulse(circuit: Circuit, design: LayerDesign) -> None:
    circuit.PieceWiseLinearVoltageSource("pulse", "pulse", circuit.gnd, values=[(0.0, 0.0), (design.rise, 1.0), (1.0, 1.0)])


def add_drives(circuit: Circuit, part: LayerPart) -> None:
    """Add the stages from the columns (and the bias row) to drive_0_j, without cells."""
    design, neuron, bias = part.design, part.neuron, f"row_0_{part.rows - 1}"
    add_amplifiers(circuit, neuron)
    circuit.subcircuit(NeuronStages(neuron))
    circuit.subcircuit(ReferenceStage(neuron, name="reference_stage"))
    negatives = add_negative_stages(circuit, design, 0, part.neurons, "reference_stage")
    add_bias(circuit, neuron, design.row_voltage, design.bias(part.last), names("column_0", part.neurons), bias)
    for j in range(part.neurons):
        circuit.X(f"neuron_0_{j}", "neuron_stages", f"column_0_{j}", negatives[j], f"drive_0_{j}")


def _add_cells(circuit: Circuit, part: LayerPart) -> None:
    ReadMemristor(part.parameters.memristor).add_to(circuit)
    for (c, node), k in itertools.product(enumerate(column_nodes(part.design, 0, part.neurons)), range(part.rows)):
        circuit.X(f"cell_0_{c}_{k}", "read_memristor", node, f"row_0_{k}", x0=part.design.reference_state)


def back_circuit(parameters: NetworkParameters, design: LayerDesign, states: np.ndarray) -> Circuit:
    """Return the circuit of one layer for a back-read: columns are driven, and rows are held at 0 V.

    The reference column, if there is one, is the last; the bias row is left out. The voltage of column c is `pulse` times the
    gain of Ecolumn_0_c, which is 0 at first. The source Vrow_0_k measures the current of row k. `states`: V, columns x rows,
    including the bias row.
    """
    circuit = Circuit("back-read")
    ReadMemristor(parameters.memristor).add_to(circuit)
    circuit.PieceWiseLinearVoltageSource("pulse", "pulse", circuit.gnd, values=OFF)
    columns, rows = len(states) + (design.pairs == 0), states.shape[1]
    for c in range(columns):
        circuit.VCVS(f"column_0_{c}", f"column_0_{c}", circuit.gnd, "pulse", circuit.gnd, voltage_gain=0.0)
    for k in range(rows - 1):
        circuit.V(f"row_0_{k}", f"row_0_{k}", circuit.gnd, 0)
        for c in range(columns):
            state = design.reference_state if c == len(states) else states[c, k]
            circuit.X(f"cell_0_{c}_{k}", "read_memristor", f"column_0_{c}", f"row_0_{k}", x0=float(state))
    return circuit


def column_circuit(parameters: NetworkParameters, rows: int, together: bool) -> Circuit:
    """Return the circuit that writes one column of complete cells: the column is held at 0 V, and a source drives its phi.

    If the rows rise `together`, the voltage of row k is that of one source `pulse` times the gain of Erow_0_k, because a gain
    is quick to alter. Otherwise each row has a source Vrow_0_k.
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
    """Return the `alter` changes that give cells, as (column, row) pairs, new `states` in V at t = 0."""
    return state_changes(cells, states, "cell_0")
