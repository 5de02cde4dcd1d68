"""Designs of layers: voltages, durations, and the scale and sign of weights. `Setup` joins device,
neuron and pulses of an experiment in one object.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from memristive.devices.cells import IDEAL_DEVICES, Devices
from memristive.network.synapses import Synapses
from memristive.network.two_terminal import ARRAY_EDGE, REST, DeviceArray, array_network
from memristive.parameters import FloatOrArray, ParameterError, Parameters, curve, quantity
from memristive.spice.pyspice import Circuit
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters, Points, edges, network, state_names

NGSPICE = "ngspice"
CLOSED_FORM = "closed-form"
ENGINES = (NGSPICE, CLOSED_FORM)

FEEDBACK = NeuronParameters.__dataclass_fields__["feedback_resistance"].metadata  # its range
PULSE_EDGES = 0.1  # edge of a write as a share of its pulse, so that a short pulse keeps its shape


class Design(Parameters):
    """Voltages, durations, and the scale and sign of weights that the layers of a network have in
    common. The values of this class belong to the paper's layer.

    The class is no dataclass. Otherwise its values would be fields of its subclasses and be stored
    in their files.
    """

    rise: float  # s, edge of the input
    pairs: int = 0  # differential pairs of a synapse; 0: one cell
    reference_state: float = 0.0  # V, X_ref: where pairs start, and where a reference column stays

    @property
    def window(self) -> float:
        """Duration of the longest read in s."""
        raise NotImplementedError

    @property
    def row_voltage(self) -> float:
        """Voltage in V of a row at level 1 in a read."""
        raise NotImplementedError

    @property
    def writing(self) -> float:
        """Voltage in V of a row at level 1 in a write."""
        return self.row_voltage

    @property
    def after(self) -> float:
        """Shortest time in s for which a read in ngspice goes on after the first spike."""
        return 0.0

    @property
    def synapses(self) -> Synapses:
        """Columns of a neuron, and their signs."""
        return Synapses()

    def bias(self, last: bool) -> float | None:
        """Return the drive, in thresholds, that the bias row gives each neuron of a layer; None:
        there is no bias row. `last`: True for the last layer.
        """
        return None

    def neuron(
        self, base: NeuronParameters, memristor: MemristorParameters, rows: int, last: bool
    ) -> NeuronParameters:
        """Return the parameters of a layer's neurons. This class returns `base` unchanged; a
        subclass may adapt it to the number of `rows` (bias included), the cells of `memristor`, and
        whether this is the `last` layer.
        """
        return base

    def column_voltage(self, last: bool) -> float:
        """Return the voltage in V that a back-read puts on a column for each unit of its error. The
        unit is 1 in the `last` layer, where errors are +-1, and 1 V in a hidden layer.
        """
        return 0.1

    def read_levels(self, levels: np.ndarray) -> np.ndarray:
        """Return the levels at which rows are read for inputs at `levels` (both of any shape). This
        class returns `levels` unchanged.
        """
        return levels

    def phi_share(self, memristor: MemristorParameters) -> float | None:
        """Return the threshold of the write switch as a share of phi, for writes whose rows and phi
        rise and fall together. None: phi is high exactly as long as the row with the longest pulse.
        """
        return None


@dataclass(frozen=True)
class Schedule(Design):
    """Pulses of training and inference (Jurj 2024, section 3): class after class, input and phi
    start together.
    """

    pulse: float = quantity(5e-3, 1e-6, 10.0, "s", "length of a pulse")
    period: float = quantity(15e-3, 1e-6, 100.0, "s", "from one class's pulse to the next")
    rise: float = quantity(10e-6, 1e-9, 1e-2, "s", "duration of each edge")
    input_voltage: float = quantity(1.0, 1e-3, 100.0, "V", "input pulse of a full pixel")
    phi_voltage: float = quantity(1.2, 1e-3, 100.0, "V", "phi pulse")
    sampling_step: float = quantity(
        10e-6, 1e-9, 1e-1, "s", "the paper's time step; only its decision rule uses it"
    )

    @property
    def window(self) -> float:
        return self.pulse

    @property
    def row_voltage(self) -> float:
        return self.input_voltage

    @property
    def after(self) -> float:
        return self.sampling_step

    def phi_share(self, memristor: MemristorParameters) -> float:
        return memristor.switch_threshold / self.phi_voltage

    def check(self) -> None:
        if not self.pulse + self.rise < self.period:
            raise ParameterError(
                f"period must exceed pulse + rise, got {self.period:g} s for {self.pulse:g} + "
                f"{self.rise:g} s"
            )
        if not self.rise < self.pulse:
            raise ParameterError(
                f"rise must be below the pulse, got {self.rise:g} s for {self.pulse:g} s"
            )
        if not self.sampling_step < self.pulse:
            raise ParameterError(
                f"sampling_step must be below the pulse, got {self.sampling_step:g} s for "
                f"{self.pulse:g} s"
            )

    def start(self, k: int) -> float:
        """Return the start of pulse k in s."""
        return k * self.period

    def stop(self, count: int) -> float:
        """Return the end of the last of `count` periods in s."""
        return count * self.period

    def train(self, levels: Sequence[float] | np.ndarray) -> Points:
        """Return the corners (s, V) of a source with a pulse in each period. `levels` are the
        heights of the pulses in V; 0 V leaves a pulse out.
        """
        points = [(0.0, 0.0)]
        for k, level in enumerate(levels):
            if level:
                points += edges(self.start(k), self.pulse, self.rise, level)
        return points if points[1:2] != [(0.0, 0.0)] else points[1:]


@dataclass(frozen=True)
class DevicePulses(Schedule):
    """Pulses that train two-terminal devices, which may last nanoseconds or minutes."""

    pulse: float = quantity(1e-3, 1e-12, 1e12, "s", "length of a pulse")
    period: float = quantity(2e-3, 1e-12, 1e12, "s", "from one class's pulse to the next")
    rise: float = quantity(1e-6, 1e-15, 1e12, "s", "duration of each edge")
    sampling_step: float = quantity(1e-6, 1e-15, 1e12, "s", "not used")

    @classmethod
    def of(cls, array: DeviceArray, phi_voltage: float) -> Self:
        """Return the pulses that train the devices of an `array`; `phi_voltage` in V."""
        width = array.model.width_up
        pulse, edge = array.pulses * width, ARRAY_EDGE * width
        return cls(pulse, (1 + REST) * pulse, edge, array.row_voltage(), phi_voltage, edge)


@dataclass(frozen=True)
class LayerDesign(Design):
    """Scale and sign of the weights, and the durations of a read.

    The weight of a synapse is its current minus the current of the reference cell in the same row.
    This weight is in proportion to X - X_ref. Differential pairs need no reference column: the
    weight is the current of the positive minus the current of the negative cells. The columns of a
    layer are then ordered by polarity (positive first), then by pair, then by neuron.
    """

    reference_state: float = quantity(5.0, -1e3, 1e3, "V", "X_ref of the reference column's cells")
    transresistance: float = quantity(
        20e3, 1.0, 1e14, "V/A", "settled membrane voltage per ampere of difference"
    )
    stage_swing: float = quantity(
        10.0,
        0.1,
        100.0,
        "V",
        "of the summing stages while every row is high and every cell at X_ref",
    )
    row_voltage: float = quantity(
        1.0, 1e-3, 10.0, "V", "of a full pixel, of the bias row, of a hidden neuron's output"
    )
    write_voltage: float = quantity(
        0.0, 0.0, 10.0, "V", "of the same rows in a write; 0: as in a read"
    )
    pairs: int = quantity(
        0, 0, 64, "", "differential pairs of a synapse; 0: one cell, and a reference column"
    )
    hidden_bias: float = quantity(
        0.0, 0.0, 100.0, "", "drive of hidden neurons by a resistor at the bias row, in thresholds"
    )
    output_bias: float = quantity(0.0, 0.0, 100.0, "", "the same in the last layer")
    output_gain: float = quantity(
        1.0, 1e-3, 1e3, "", "transresistance of the last layer, relative to the others"
    )
    rise: float = quantity(1e-6, 1e-9, 1e-3, "s", "edge of the input")
    window: float = quantity(
        150e-6, 1e-6, 1.0, "s", "longest read; neurons that have not fired by then are silent"
    )
    back_voltage: float = quantity(
        0.1, 1e-4, 1.0, "V", "column voltage of a back-read of the last layer"
    )
    error_voltage: float = quantity(
        1e-3,
        1e-6,
        1.0,
        "",
        "column voltage of a back-read for each volt of a hidden neuron's error",
    )
    read_curve: tuple[float, ...] = curve((1.0, 1.0), "`MeasuredDevice.read_curve`")

    newer: ClassVar = (
        *("write_voltage", "pairs", "hidden_bias", "output_bias", "output_gain"),
        *("error_voltage", "read_curve"),
    )

    def check(self) -> None:
        """Raise ParameterError if a read ends before its input has risen."""
        if not self.rise < self.window:
            raise ParameterError(
                f"rise must be below the window, got {self.rise:g} s for {self.window:g} s"
            )

    @property
    def writing(self) -> float:
        """Voltage in V of a row at level 1 in a write."""
        return self.write_voltage or self.row_voltage

    def read_levels(self, levels: np.ndarray) -> np.ndarray:
        """Return the levels at which rows are read for inputs at `levels` (both of any shape).

        The current of a measured cell of conductance G may bend with the voltage: i = G V c(V).
        `read_curve` holds c on an even grid of levels from 0 to 1. Columns are at virtual ground,
        so an ohmic cell whose row carries V c(V) has the same current.
        """
        if set(self.read_curve) == {1.0}:
            return levels
        return levels * np.interp(levels, np.linspace(0, 1, len(self.read_curve)), self.read_curve)

    def column_voltage(self, last: bool) -> float:
        """Return the voltage in V that a back-read puts on a column for each unit of its error. The
        unit is 1 in the `last` layer, where errors are +-1, and 1 V in a hidden layer.
        """
        return self.back_voltage if last else self.error_voltage

    def neuron(
        self, base: NeuronParameters, memristor: MemristorParameters, rows: int, last: bool
    ) -> NeuronParameters:
        """Return the neurons of `base`, adapted to a layer of `rows` rows (bias included) with
        cells of `memristor`.

        Their feedback resistor lets the summing stages swing by `stage_swing` V if every row is
        high and every cell at X_ref. The current of the bias resistor flows into the same stage and
        does not fall with the number of rows. With few rows it would take the stage to its rail, so
        that neurons fire late or never. Then the feedback resistor is smaller: with the bias the
        stage stays within its rails even if every row is high and the column conducts more than
        usual. Cells may lie anywhere in the range of their device, so this is three standard
        deviations of their mean above the middle (for up to three cells the upper end). The states
        of emulators have no range, and count at X_ref. Membranes settle at the same voltages with
        any feedback resistor, because their transconductance changes in return. `last`: True for
        the last layer.
        """
        cells, curve = rows * self.synapses.cells, memristor.curve

        def current(state: float) -> float:
            """Return the current in A of a column if all rows are high and all cells at a state."""
            return cells * memristor.gain * (state - memristor.threshold_voltage) * self.row_voltage

        transresistance = self.transresistance * (self.output_gain if last else 1.0)
        feedback = self.stage_swing / current(self.reference_state)
        bias = self.bias(last) * base.threshold / transresistance  # A
        if bias:
            usual = self.reference_state
            if curve:  # standard deviation of an even distribution: its width over the root of 12
                spread = min(1.0, 3 / math.sqrt(3 * cells))
                usual = (curve.low + curve.high + spread * (curve.high - curve.low)) / 2
            feedback = min(feedback, base.highest_feedback(current(usual) + bias))
        feedback = min(feedback, FEEDBACK["high"])
        return dataclasses.replace(
            base,
            output_high=self.row_voltage,
            feedback_resistance=feedback,
            membrane_transconductance=transresistance / feedback / base.membrane_resistance,
        )

    def bias(self, last: bool) -> float:
        """Return the drive, in thresholds, that the bias row gives each neuron of a layer. `last`:
        True for the last layer.
        """
        return self.output_bias if last else self.hidden_bias

    @property
    def synapses(self) -> Synapses:
        return Synapses(self.pairs, not self.pairs)


def check_states(states: np.ndarray) -> None:
    """Raise ParameterError unless all `states` are finite: ngspice gives up at nan, and spikes of
    the closed form would be nan without a reason.
    """
    wrong = np.argwhere(~np.isfinite(np.asarray(states, float)))
    if len(wrong):
        place = tuple(map(int, wrong[0]))
        raise ParameterError(
            f"states must be finite, got {np.asarray(states)[place]:g} in cell {place} (class or "
            f"column, row) and {len(wrong) - 1} others"
        )


@dataclass(frozen=True)
class Setup:
    """Device, neuron and pulses of an experiment: everything but the states and the images.

    Parameters
    ----------
    memristor : MemristorParameters
    neuron : NeuronParameters
    schedule : Schedule
    devices : Devices
        Values of a chip's cells, neurons and wires; by default all are alike.
    array : DeviceArray, optional
        Two-terminal devices in the place of emulators. Then `schedule` has the pulses of reads, and
        `writing` the pulses of training.

    Raises
    ------
    ParameterError
        The phi pulse does not cross the write switch's threshold, so that nothing could be written.
    """

    memristor: MemristorParameters = MemristorParameters()
    neuron: NeuronParameters = NeuronParameters()
    schedule: Schedule = Schedule()
    devices: Devices = IDEAL_DEVICES
    array: DeviceArray | None = None

    def __post_init__(self) -> None:
        if not self.schedule.phi_voltage > self.memristor.switch_threshold:
            raise ParameterError(
                "phi_voltage must exceed switch_threshold, or nothing is ever written, got "
                f"{self.schedule.phi_voltage:g} V for {self.memristor.switch_threshold:g} V"
            )

    @property
    def parameters(self) -> NetworkParameters:
        """Device and neuron as `NetworkParameters`, which netlists take."""
        return NetworkParameters(self.memristor, self.neuron)

    @property
    def writing(self) -> Schedule:
        """Pulses of Hebbian training; for emulators they are also the pulses of reads."""
        phi = self.schedule.phi_voltage
        return DevicePulses.of(self.array, phi) if self.array else self.schedule

    @property
    def suffix(self) -> str:
        """Ending of file names: device and scheme of two-terminal devices, "" for emulators."""
        array = self.array
        return f"_{array.device.name}_{array.scheme}".replace("/", "") if array else ""

    @property
    def state_quantity(self) -> str:
        """Name and unit of a cell's state, for figures."""
        return f"{self.array.model.state_node}, the model's state" if self.array else "state X (V)"

    def crossbar(
        self,
        states: np.ndarray,
        inputs: Sequence[Points],
        controls: Sequence[Points] | None = None,
        neurons: bool = True,
        title: str = "memristive spiking network",
    ) -> Circuit:
        """Return the netlist of a crossbar of the setup's cells. `states`: classes x inputs.
        `inputs`, `controls`: sources of the rows and of each phi as (s, V) points; without
        `controls` a read. Without `neurons` the columns are at 0 V.
        """
        check_states(states)
        if self.array is None:
            return network(self.parameters, states, inputs, controls, neurons, title, self.devices)
        return array_network(
            self.array,
            self.neuron,
            states,
            inputs,
            controls,
            self.schedule.phi_voltage,
            neurons,
            title,
        )

    def start_states(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the states of untrained cells (array of this `shape`): X = 0 V, or the model's
        state of erased two-terminal devices.
        """
        return np.full(shape, self.array.erased if self.array else 0.0)

    def state_names(self, classes: int, inputs: int) -> list[str]:
        """Return ngspice's names of the cells' states, for each class and all inputs."""
        return (
            self.array.state_names(classes, inputs) if self.array else state_names(classes, inputs)
        )

    @property
    def thresholds(self) -> np.ndarray | None:
        """Firing thresholds of a chip's neurons (array, classes) in V; None if all are alike."""
        return self.devices.neurons.threshold if self.devices.neurons else None

    def replace(self, **changes: Any) -> Self:
        """Return a copy of the setup with some fields replaced."""
        return dataclasses.replace(self, **changes)


def write_window(pulse: FloatOrArray, phi_share: float) -> tuple[FloatOrArray, FloatOrArray]:
    """Return two times in s for a `pulse` of this width in s. The first is the duration of the
    write; the second is the time for which the full level would give the same dose. Both have the
    shape of `pulse`.

    The write lasts while phi is above the share `phi_share` of its level. Input and phi rise and
    fall together, with edges of the share `PULSE_EDGES` of the pulse.
    """
    edge = PULSE_EDGES * pulse
    return pulse + edge * (1 - 2 * phi_share), pulse - edge * phi_share**2
