"""The spiking network as netlists: op-amp, Schmitt trigger, Lapicque neuron, crossbar. Nothing is
simulated here.

Nodes of a network: input_i, phi_j, column_j, membrane_j, output_j; the state of cell (class j,
input i) is the node xcell_j_i.gate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from memristive.devices.cells import (
    IDEAL_DEVICES,
    Cells,  # noqa: F401  # pickles of version 1.2 find it and the next one here
    Devices,
    NeuronValues,  # noqa: F401
    Wires,
    add_wires,
    cell_arguments,
    neuron_arguments,
)
from memristive.parameters import FloatOrArray, ParameterError, Parameters, quantity
from memristive.spice.pyspice import Circuit, SubCircuit
from memristor import (
    Cell,
    Memristor,
    MemristorParameters,
    ReadMemristor,
    altered_state,
)


@dataclass(frozen=True)
class NeuronParameters(Parameters):
    """Lapicque neuron (Jurj 2024, section 2): summing stage, inverting stage, leaky membrane,
    Schmitt trigger.
    """

    feedback_resistance: float = quantity(
        1e3, 1.0, 1e9, "ohm", "of the summing stage: volts per column ampere"
    )
    stage_resistance: float = quantity(
        1e4, 1.0, 1e9, "ohm", "input and feedback of the inverting stage"
    )
    membrane_transconductance: float = quantity(1.0, 1e-9, 1e6, "S", "drives the membrane")
    membrane_resistance: float = quantity(1.0, 1e-6, 1e9, "ohm", "membrane leak")
    membrane_capacitance: float = quantity(150e-6, 1e-15, 1.0, "F", "membrane capacitor")
    threshold: float = quantity(
        4.0, 1e-3, 100.0, "V", "membrane voltage at which the output goes high"
    )
    hysteresis: float = quantity(
        0.1, 1e-4, 10.0, "V", "the output goes low again this far below the threshold"
    )
    output_high: float = quantity(1.0, 1e-3, 100.0, "V", "output voltage of a spike")
    load_resistance: float = quantity(1e3, 1.0, 1e9, "ohm", "at the output")
    amplifier_gain: float = quantity(1e5, 1e2, 1e8, "", "open-loop gain of the op-amps")
    amplifier_output_resistance: float = quantity(10.0, 1e-3, 1e4, "ohm", "of the op-amps")
    rail_low: float = quantity(-20.0, -1e3, -1e-3, "V", "negative rail of the summing stage")
    rail_high: float = quantity(20.0, 1e-3, 1e3, "V", "positive rail of the summing stage")
    inverting_rail_low: float = quantity(
        -19.5, -1e3, -1e-3, "V", "negative rail of the inverting stage"
    )
    inverting_rail_high: float = quantity(
        20.5, 1e-3, 1e3, "V", "positive rail of the inverting stage"
    )

    def check(self) -> None:
        if not self.hysteresis < self.threshold:
            raise ParameterError(
                f"hysteresis must be below the threshold, got {self.hysteresis:g} and "
                f"{self.threshold:g} V"
            )

    @property
    def time_constant(self) -> float:
        """Membrane time constant R * C in s."""
        return self.membrane_resistance * self.membrane_capacitance

    @property
    def membrane_gain(self) -> float:
        """Settled membrane voltage per volt of the stage that drives it."""
        return self.membrane_transconductance * self.membrane_resistance

    @property
    def transresistance(self) -> float:
        """Settled membrane voltage per ampere of column current, in V/A."""
        return self.feedback_resistance * self.membrane_gain

    def highest_drive(self, feedback_resistance: FloatOrArray) -> FloatOrArray:
        """Return the largest voltage in V that drives the membrane before a stage clips.
        `feedback_resistance`: ohm, number or array.
        """
        return np.minimum(self.highest_sum(feedback_resistance), self.highest_inverse())

    def highest_sum(self, feedback_resistance: FloatOrArray) -> FloatOrArray:
        """Return the largest magnitude in V of the summing stage's output, which is negative: the
        rail less the op-amp's voltage drop. `feedback_resistance`: ohm.
        """
        drop, stage = self.amplifier_output_resistance, self.stage_resistance
        return -self.rail_low / (1 + drop / feedback_resistance + drop / stage)

    def highest_feedback(self, current: float, share: float = 1.0) -> float:
        """Return the feedback resistor in ohm with which a column's `current` (A) brings the first
        of the two stages to a `share` of its rail: the inverse of `highest_drive`.
        """
        drop = self.amplifier_output_resistance
        load = 1 + drop / self.stage_resistance
        summing, inverting = (
            -share * self.rail_low / current - drop,
            share * self.inverting_rail_high / current,
        )
        return min(summing / load, inverting / load)

    def highest_inverse(self, loads: int = 0) -> float:
        """Return the highest output of the inverting stage in V, with `loads` other inverting
        stages at its output.
        """
        return self.inverting_rail_high / (
            1 + (1 + loads) * self.amplifier_output_resistance / self.stage_resistance
        )


class OpAmp(SubCircuit):
    """Rail-limited amplifier without an internal pole. Nodes: plus, minus, out.

    The pole of a macromodel (nanoseconds) would hardly change a membrane of 150 us, but cost
    ngspice iterations. The rails are clamps on a linear stage, not a saturating function. The
    reason is Newton's method: after a rejected step ngspice starts from the failed iterate, and
    from a saturated iterate the method does not return.
    """

    # S, transconductance of the gain stage; only its ratio to the load, the gain, matters
    STAGE = 1.0
    CLAMP = 100.0  # S, so that an input overdriven by 1 V passes the rail by 10 mV

    def __init__(self, name: str, parameters: NeuronParameters, low: float, high: float) -> None:
        super().__init__(name, "plus", "minus", "out")
        self.VCCS("gain", self.gnd, "stage", "plus", "minus", transconductance=self.STAGE)
        self.R("gain", "stage", self.gnd, parameters.amplifier_gain / self.STAGE)
        beyond = f"uramp(v(stage)-({high!r}))-uramp(({low!r})-v(stage))"
        self.B("rails", "stage", self.gnd, current_expression=f"{self.CLAMP!r}*({beyond})")
        self.VCVS("buffer", "buffer", self.gnd, "stage", self.gnd, voltage_gain=1.0)
        self.R("out", "buffer", "out", parameters.amplifier_output_resistance)


class SchmittTrigger(Cell):
    """Trigger whose output goes high above the threshold, and low below threshold - hysteresis.
    Nodes: membrane, output.

    With `per_instance` the threshold is an instance parameter. The source `reference` then shifts
    the threshold and may be altered.
    """

    def __init__(self, parameters: NeuronParameters, per_instance: bool = False) -> None:
        # ngspice's switch closes at vt + vh and opens at vt - vh.
        switch = {
            "vt": parameters.threshold - parameters.hysteresis / 2,
            "vh": parameters.hysteresis / 2,
            "ron": 1e-3,
            "roff": 1e12,
        }
        super().__init__("schmitt_trigger", ("membrane", "output"), {"switch": ("sw", switch)})
        self.V("high", "high", self.gnd, parameters.output_high)
        reference = self.gnd
        if per_instance:
            self.parameters["threshold"] = parameters.threshold
            self.V("reference", "reference", self.gnd, f"{{threshold-{parameters.threshold!r}}}")
            reference = "reference"
        self.S("spike", "high", "output", "membrane", reference, model="schmitt_trigger_switch")
        self.R("load", "output", self.gnd, parameters.load_resistance)


def add_stages(
    cell: SubCircuit,
    parameters: NeuronParameters,
    feedback: float | str,
    plus: str | None = None,
    negative: str | None = "negative",
    drive: str = "drive",
) -> None:
    """Add a summing and an inverting stage to a subcircuit with the node column and those called
    `negative` and `drive`.

    The summing stage holds the column at the node `plus`; None: at ground. The inverting stage
    subtracts the voltage at `negative`; None: nothing. `feedback`: resistor of the summing stage in
    ohm, or the name of a parameter in braces.
    """
    stage = parameters.stage_resistance
    cell.X("sum", "summing_amplifier", plus or cell.gnd, "column", "sum")
    cell.R("feedback", "column", "sum", feedback)
    cell.X("invert", "inverting_amplifier", cell.gnd, "inverting", drive)
    cell.R("positive", "sum", "inverting", stage)
    if negative:
        cell.R("negative", negative, "inverting", stage)
    cell.R("inverse", "inverting", drive, stage)


def add_membrane(cell: SubCircuit, parameters: NeuronParameters, capacitance: float | str) -> None:
    """Add a neuron's leaky membrane to a subcircuit with the nodes drive and membrane.
    `capacitance`: in F, or the name of a parameter in braces.
    """
    cell.VCCS(
        "membrane",
        cell.gnd,
        "membrane",
        "drive",
        cell.gnd,
        transconductance=parameters.membrane_transconductance,
    )
    cell.R("membrane", "membrane", cell.gnd, parameters.membrane_resistance)
    cell.C("membrane", "membrane", cell.gnd, capacitance, raw_spice="ic=0")


class LapicqueNeuron(SubCircuit):
    """Leaky integrate-and-fire neuron of a column. Nodes: column, negative, membrane, output.

    `column` is held at virtual ground. `negative` is the second summing input of the inverting
    stage (in V; tie it to ground when unused). The neuron has no reset. With `per_instance` (the
    neurons of a chip) threshold, feedback and membrane capacitance are instance parameters
    (threshold, feedback, capacitance). `trigger`: name of the trigger's subcircuit.
    """

    def __init__(
        self,
        parameters: NeuronParameters,
        name: str = "lapicque_neuron",
        per_instance: bool = False,
        trigger: str = "schmitt_trigger",
    ) -> None:
        values: dict[str, float | str] = {
            "threshold": parameters.threshold,
            "feedback": parameters.feedback_resistance,
            "capacitance": parameters.membrane_capacitance,
        }
        super().__init__(
            name, "column", "negative", "membrane", "output", **(values if per_instance else {})
        )
        of_trigger: dict[str, float | str] = {}
        if per_instance:
            values = {key: f"{{{key}}}" for key in values}
            of_trigger = {"threshold": values["threshold"]}
        add_stages(self, parameters, values["feedback"])
        add_membrane(self, parameters, values["capacitance"])
        self.X("trigger", trigger, "membrane", "output", **of_trigger)


def add_amplifiers(circuit: Circuit, neuron: NeuronParameters) -> None:
    """Define the op-amps of the neurons' stages in the PySpice `circuit`."""
    circuit.subcircuit(OpAmp("summing_amplifier", neuron, neuron.rail_low, neuron.rail_high))
    circuit.subcircuit(
        OpAmp("inverting_amplifier", neuron, neuron.inverting_rail_low, neuron.inverting_rail_high)
    )


def add_neuron(circuit: Circuit, parameters: NeuronParameters, per_instance: bool = False) -> None:
    """Define the neuron and its parts in the PySpice `circuit`; with `per_instance`, they take
    instance parameters.
    """
    add_amplifiers(circuit, parameters)
    SchmittTrigger(parameters, per_instance=per_instance).add_to(circuit)
    circuit.subcircuit(LapicqueNeuron(parameters, per_instance=per_instance))


@dataclass(frozen=True)
class NetworkParameters(Parameters):
    """Device and neuron of a network."""

    memristor: MemristorParameters = MemristorParameters()
    neuron: NeuronParameters = NeuronParameters()


Points = list[tuple[float, float]]  # corners of a piecewise-linear source, (s, V)
OFF: Points = [(0.0, 0.0), (1.0, 0.0)]  # a source that stays at 0 V


def edges(start: float, pulse: float, rise: float, level: float) -> Points:
    """Return the four corners (s, V) of a trapezoidal pulse that begins at `start` s and whose
    edges last `rise` s. Its area is exactly `level` (V) x `pulse` (s).
    """
    return [
        (start, 0.0),
        (start + rise, level),
        (start + pulse, level),
        (start + pulse + rise, 0.0),
    ]


def add_source(circuit: Circuit, node: str, points: Sequence[tuple[float, float]] = OFF) -> None:
    """Add a piecewise-linear source at `node`, with the node's name and the corners `points` (s,
    V).
    """
    circuit.PieceWiseLinearVoltageSource(node, node, circuit.gnd, values=points)


def add_scaled(circuit: Circuit, node: str, gain: float = 0.0) -> None:
    """Add a source at `node`, with the same name, that gives `gain` times the voltage of the source
    `pulse`.
    """
    circuit.VCVS(node, node, circuit.gnd, "pulse", circuit.gnd, voltage_gain=gain)


def network(
    parameters: NetworkParameters,
    states: np.ndarray,
    inputs: Sequence[Points] | None,
    controls: Sequence[Points] | None = None,
    neurons: bool = True,
    title: str = "memristive spiking network",
    devices: Devices = IDEAL_DEVICES,
) -> Circuit:
    """Return the netlist of a crossbar of memristors with one neuron for each class.

    Parameters
    ----------
    parameters : NetworkParameters
    states : array, classes x inputs, V
        X of the cells at t = 0.
    inputs : sequence of points, or None
        One source for each input, as (s, V) points. None: one source `pulse` shared by all, scaled
        for input i by the gain of Einput_i (0 at first), which is quicker to alter.
    controls : sequence of points, or None
        One source for the phi of each class. None leaves out everything that only writing needs
        (`ReadMemristor`).
    neurons : bool
        Without neurons the columns are held at 0 V, as the neurons' virtual grounds hold them.
    title : str
    devices : Devices
        Values of the cells and neurons of a chip, and its wires.
    """
    classes, input_count = len(states), len(states[0])
    circuit = Circuit(title)
    wired = devices.wires != Wires()
    if wired:
        # up to 20 times faster with wires, no gain without; ngspice before 42 ignores it
        circuit.raw_spice = ".options klu"
    kind = ReadMemristor if controls is None else Memristor
    cell = kind(parameters.memristor, per_instance=devices.cells is not None)
    cell.add_to(circuit)
    if neurons:
        add_neuron(circuit, parameters.neuron, per_instance=devices.neurons is not None)
    if inputs is None:
        add_source(circuit, "pulse")
        for i in range(input_count):
            add_scaled(circuit, f"input_{i}")
    for i, points in enumerate(inputs or []):
        add_source(circuit, f"input_{i}", points)
    for j, points in enumerate(controls or []):
        add_source(circuit, f"phi_{j}", points)
    cell_values = cell_arguments(parameters.memristor, devices.cells, controls is not None)
    neuron_values = neuron_arguments(devices.neurons)
    for j in range(classes):
        if neurons:
            circuit.X(
                f"neuron_{j}",
                "lapicque_neuron",
                f"column_{j}",
                circuit.gnd,
                f"membrane_{j}",
                f"output_{j}",
                **neuron_values(j),
            )
        else:
            circuit.V(f"column_{j}", f"column_{j}", circuit.gnd, 0)
        phi = [] if controls is None else [f"phi_{j}"]
        for i in range(input_count):
            ends = f"column_{j}", f"input_{i}"
            if wired:
                ends = add_wires(circuit, devices.wires, (j, i), input_count, *ends)
            circuit.X(
                f"cell_{j}_{i}",
                cell.name,
                *ends,
                *phi,
                x0=float(states[j][i]),
                **cell_values(j, i),
            )
    return circuit


def state_changes(
    cells: Iterable[Sequence[int]], states: Iterable[float], name: str = "cell"
) -> dict[str, float]:
    """Return the `alter` changes that set, at t = 0 s, the `states` in V of `cells`, which are
    pairs (class, input). Their names are xNAME_class_input.
    """
    changes: dict[str, float] = {}
    for (j, i), state in zip(cells, states, strict=True):
        changes |= altered_state(f"x{name}_{j}_{i}", state)
    return changes


def names(kind: str, count: int) -> list[str]:
    """Return the names kind_0, kind_1, ... of `count` vectors of a network."""
    return [f"{kind}_{k}" for k in range(count)]


def state_names(classes: int, inputs: int) -> list[str]:
    """Return ngspice's names of the cells' states, for each class and all inputs."""
    return [f"xcell_{j}_{i}.gate" for j in range(classes) for i in range(inputs)]
