"""One layer as data."""

import dataclasses

import numpy as np

from memristive.devices.cells import IDEAL_DEVICES, Cells, Devices, Wires
from memristive.network.crossbar import Neurons
from memristive.network.design import write_window
from memristive.network.kinds import Kind
from memristive.network.synapses import Synapses
from memristive.writing.base import Way
from memristive.writing.ways import PulseWrites, way_of
from memristor import MemristorParameters, conductance, state_rate
from snn_circuit import NeuronParameters


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """A crossbar with its neurons: everything but its states (columns x rows, V), which change.

    The defaults make the paper's layer: single cells, no reference column, no bias row.

    Parameters
    ----------
    columns : int
        Number of columns that can be written.
    rows : int
        Number of rows, with the bias row if there is one.
    memristor : MemristorParameters
    neuron : NeuronParameters
    kind : Kind
    devices : Devices
        Values of a chip's cells (the reference column last) and neurons, and its wires.
    synapses : Synapses
        Columns of a neuron; the cells of a reference column are at the state `rest`.
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
    kind: Kind
    devices: Devices = IDEAL_DEVICES
    synapses: Synapses = Synapses()
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
        return self.columns // (self.synapses.sides * self.synapses.cells)

    @property
    def width(self) -> int:
        """Number of cells at a row, in all columns, a reference column included."""
        return self.columns + self.synapses.reference

    @property
    def inputs(self) -> int:
        """Number of rows without the bias row."""
        return self.rows - (self.bias is not None)

    @property
    def outputs(self) -> int:
        """Number of outputs, which the layer above sees."""
        return self.kind.outputs_of(self.neurons)

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
        carried = self.synapses.errors(errors)
        return (
            self.read_noise
            * np.sqrt(carried @ carried)
            / self.synapses.cells
            * rng.standard_normal(self.inputs)
        )

    @property
    def circuits(self) -> Neurons:
        """Stages, thresholds and time constants of the neurons, as `Neurons`."""
        return Neurons.of(self.neuron, self.devices.neurons, self.fed)

    @property
    def stages(self) -> int:
        """Number of stages for columns that subtract."""
        return self.synapses.stages(self.neurons)

    @property
    def fed(self) -> int:
        """Number of neurons that each of these `stages` feeds."""
        return self.neurons // self.stages if self.stages else 0

    def with_reference(self, states: np.ndarray) -> np.ndarray:
        """Return `states` (columns x rows, V), with the reference column last if there is one."""
        return np.vstack([states, np.full((self.width - self.columns, self.rows), self.rest)])

    def stage_loads(self, states: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the conductance in S with which the cells of some `rows` (mask or slice) load the
        input of each stage.

        Stages of the neurons come first, then the stage of the reference column, or with pairs of
        each neuron's negative columns. `states`: columns x rows, V.
        """
        cells = Cells.of(self.memristor, self.devices.cells)
        siemens = conductance(cells, self.with_reference(states))[:, rows].sum(axis=1)
        return self.synapses.sums(siemens)

    @property
    def wired(self) -> bool:
        """True if wires have resistance, so that each cell affects all others."""
        return self.devices.wires != Wires()
