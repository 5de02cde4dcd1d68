"""One layer as data, and the netlists that read it, read it back and write it. Nothing runs here.

Nodes: row_0_k, column_0_j, drive_0_j, membrane_0_j. The last row is the bias row, if there is one.
The last column is the reference column, if there is one.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from memristive.devices.cells import IDEAL_DEVICES, Cells, Devices, Wires, add_wires
from memristive.network.crossbar import Neurons
from memristive.network.design import write_window
from memristive.writing.base import Way
from memristive.writing.ways import PulseWrites, way_of
from memristor import Memristor, MemristorParameters, ReadMemristor, conductance, state_rate
from snn_circuit import (
    NeuronParameters,
    add_amplifiers,
    add_membrane,
    add_scaled,
    add_source,
    add_stages,
    names,
)

NEVER = 1.0  # s, time at which a row steps up whose neuron is silent: after the end of every read
NO_LOAD = 1e12  # ohm


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """A crossbar with its neurons: everything but its states (columns x rows, V), which change.

    The defaults are those of the paper's layer: single cells, no reference column, no bias row.

    Parameters
    ----------
    columns : int
        Number of columns that can be written.
    rows : int
        Number of rows, with the bias row if there is one.
    memristor : MemristorParameters
    neuron : NeuronParameters
    devices : Devices
        Values of a chip's cells (the reference column last) and neurons, and its wires.
    pairs : int
        Differential pairs of a synapse; 0: one cell.
    reference : bool
        True adds a column of cells at the state `rest`, whose current is subtracted from that of
        every column.
    bias : float, optional
        Drive in thresholds that a resistor at the bias row gives each neuron; None: there is no
        bias row.
    rest : float, V
        X_ref.
    row_voltage, write_voltage, back_voltage : float, V
        Of a full row in a read and in a write, and of a column with an error of 1.
    rise, window : float, s
        Edge of the input, longest read.
    after : float, s
        Shortest time from the first spike to the end of a read.
    timed : bool
        True if spikes drive the rows: shares of a dose are then times. False if an image drives
        them: shares are then levels.
    pulses : PulseWrites, optional
        Pulses of a measured device; None: the duration of a write is in proportion to its dose.
    phi_share : float, optional
        Threshold of the write switch as a share of phi, for writes whose rows and phi rise and fall
        together (`design.write_window`). None: phi is high exactly as long as the row with the
        longest pulse.
    """

    columns: int
    rows: int
    memristor: MemristorParameters
    neuron: NeuronParameters
    devices: Devices = IDEAL_DEVICES
    pairs: int = 0
    reference: bool = False
    bias: float | None = None
    rest: float = 0.0
    row_voltage: float = 1.0
    write_voltage: float = 1.0
    back_voltage: float = 0.1
    rise: float = 1e-6
    window: float = 150e-6
    after: float = 0.0
    timed: bool = False
    pulses: PulseWrites | None = None
    phi_share: float | None = None

    @property
    def neurons(self) -> int:
        """Number of neurons, each with one column, or with a column for each cell of its pairs."""
        return self.columns // (2 * self.pairs or 1)

    @property
    def inputs(self) -> int:
        """Number of rows without the bias row."""
        return self.rows - (self.bias is not None)

    @property
    def bias_resistance(self) -> float:
        """Resistance in ohm from the bias row to the column of each neuron; inf: no resistor."""
        if not self.bias:
            return np.inf
        return self.row_voltage * self.neuron.transresistance / (self.bias * self.neuron.threshold)

    @property
    def write_rate(self) -> float:
        """Rate in V/s at which a row at full level moves X in a write."""
        return float(state_rate(self.memristor, self.write_voltage))

    @property
    def write_gains(self) -> np.ndarray:
        """Write gain of each cell (columns x rows) over the nominal one; 0 for a stuck cell."""
        cells, shape = self.devices.cells, (self.columns, self.rows)
        if cells is None:
            return np.ones(shape)
        nominal = self.memristor.transconductance / self.memristor.memory_capacitance
        rates = np.asarray(cells.transconductance / cells.memory_capacitance)
        return np.broadcast_to(rates / nominal, cells.gain.shape)[: self.columns]

    def write_law(self, seconds: float) -> tuple[float, float]:
        """Return two times in s for a write with a pulse of `seconds`: the duration of the write,
        and the time at full level that gives the same dose.
        """
        if self.phi_share is None:
            return seconds, seconds
        window, area = write_window(seconds, self.phi_share)
        return float(window), float(area)

    @property
    def way(self) -> Way:
        """Way of writing of the cells."""
        return way_of(self.pulses)

    @property
    def read_noise(self) -> float:
        """Standard deviation, in V, of one reading of a cell's X."""
        return self.pulses.read_noise if self.pulses else 0.0

    def back_noise(self, errors: np.ndarray, rng: np.random.Generator) -> np.ndarray | float:
        """Return random noise (inputs, V times the unit of the errors) to add to a back-read of
        `errors`, with the same distribution as in the compiled kernel; 0.0 without noise.
        """
        if not self.read_noise:
            return 0.0
        carried = self.column_errors(errors)
        return (
            self.read_noise
            * np.sqrt(carried @ carried)
            / max(1, self.pairs)
            * rng.standard_normal(self.inputs)
        )

    @property
    def circuits(self) -> Neurons:
        """Stages, thresholds and time constants of the neurons, as `Neurons`."""
        return Neurons.of(
            self.neuron, self.devices.neurons, 1 if self.pairs else self.neurons * self.reference
        )

    def columns_of(self, neurons: np.ndarray) -> np.ndarray:
        """Return the indices of the columns that belong to some `neurons` (indices): one for each
        neuron, or with pairs all positive ones and then all negative ones.
        """
        return (np.arange(2 * self.pairs or 1)[:, None] * self.neurons + neurons).ravel()

    def with_reference(self, states: np.ndarray) -> np.ndarray:
        """Return `states` (columns x rows, V), and after them those of the reference column if
        there is one.
        """
        return np.vstack([states, np.full((int(self.reference), self.rows), self.rest)])

    def column_errors(self, errors: np.ndarray) -> np.ndarray:
        """Return the error of each column in a back-read of `errors` (neurons). Negative columns of
        pairs get minus their neuron's error. A reference column, the last, gets minus the sum of
        all errors.
        """
        if self.pairs:
            return np.concatenate([np.tile(errors, self.pairs), np.tile(-errors, self.pairs)])
        return np.append(errors, -errors.sum()) if self.reference else np.asarray(errors, float)

    def stage_loads(self, states: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        """Return the conductance in S with which the cells of some `rows` (mask or slice) load the
        input of each stage: one for each neuron, and then one for the reference column, or with
        pairs for each neuron's negative columns. `states`: columns x rows, V.
        """
        cells = Cells.of(self.memristor, self.devices.cells)
        siemens = conductance(cells, self.with_reference(states))[:, rows].sum(axis=1)
        return siemens.reshape(2, self.pairs, -1).sum(axis=1).ravel() if self.pairs else siemens

    @property
    def wired(self) -> bool:
        """True if wires have resistance, so that each cell affects all others."""
        return self.devices.wires != Wires()


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


def column_nodes(of: Layer, layer: int, neurons: int) -> list[str]:
    """Return the name of each column's node in a layer of some `neurons`, whose number is `layer`.
    That of the reference column comes last, if there is one.

    Node column_l_j of layer l leads to neuron j. With pairs, the neuron's positive columns share
    this node, and its negative columns share opposite_l_j.
    """
    if not of.pairs:
        return names(f"column_{layer}", neurons + of.reference)
    return (
        names(f"column_{layer}", neurons) * of.pairs
        + names(f"opposite_{layer}", neurons) * of.pairs
    )


def add_negative_stages(
    circuit: Circuit, of: Layer, layer: int, neurons: int, stage: str
) -> list[str]:
    """Add the stage of the reference column, or those of the negative columns. `stage`: name of the
    subcircuit of a `ReferenceStage`; `layer`: its number in the nodes' names. Return the name of
    the node `negative` for each neuron (ground if there are no such columns).
    """
    if not of.pairs and not of.reference:
        return [circuit.gnd] * neurons
    if not of.pairs:
        circuit.X(f"reference_{layer}", stage, f"column_{layer}_{neurons}", f"negative_{layer}")
        return [f"negative_{layer}"] * neurons
    negatives = names(f"negative_{layer}", neurons)
    for j, node in enumerate(negatives):
        circuit.X(f"reference_{layer}_{j}", stage, f"opposite_{layer}_{j}", node)
    return negatives


def add_bias(circuit: Circuit, of: Layer, columns: Iterable[str], row: str) -> None:
    """Add the resistors of a layer from its bias `row` to each of the neurons' `columns`, if it has
    any.
    """
    if of.bias:
        for node in columns:
            circuit.R(f"bias_{node}", row, node, of.bias_resistance)


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
    source costs ten time points for each spike: at its corners ngspice cuts its steps to a tenth
    and restarts its integration. If time points are `edge` apart, membranes get exactly the charge
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

    Without `edge` an image drives the rows: the voltage of row k is that of the source `pulse`
    times the gain of Erow_0_k, 0 at first. With an `edge` in s, spikes drive them: a `StepSource`
    at each row but the bias row rises at the time that the source v.xrow_0_k.vat gives. The read
    noise is a current into input c of the stages: the voltage of row k times the gain of
    Gnoise_0_c_k. If an image drives the rows, all noise is at the bias row.
    """
    circuit, steps = _circuit("crossbar", layer), rows - (layer.bias is not None) if edge else 0
    inputs = list(dict.fromkeys(column_nodes(layer, 0, neurons)))
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
        circuit, layer, ReadMemristor(layer.memristor), column_nodes(layer, 0, neurons), rows
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
        names("column_0", layer.columns + layer.reference),
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
    negatives = add_negative_stages(circuit, layer, 0, neurons, "reference_stage")
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
