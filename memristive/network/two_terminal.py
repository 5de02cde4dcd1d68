"""Crossbars of two-terminal devices: the subcircuit of a SPICE model in each cell, and the scheme
that selects a column.

The paper's cell has a third terminal, phi, which lets one column learn while all see the inputs. A
device with two pins has no third terminal, so something else must protect the other columns:

- ``1t1r``: phi_j closes an access switch in series with each device of column j. Rows carry the
  pulse's voltage V. Reads close all switches.
  A cell that selects itself (`SpiceModel.selects`) has no switch: phi_j drives its gate in writes.
- ``v/2``: nothing in series. Rows carry V/2, and phi_j moves the virtual ground of column j to
  -V/2, because the plus input of the summing op-amp goes there. Selected cells see V. Half-selected
  ones, in the other columns and in rows without a pixel, see V/2.

In writes the node `write` closes a switch across the feedback of each summing op-amp. Otherwise the
write current of the selected column, or the half-selected current of another column, would drive
the op-amp of this column to its rail, and the column would float up. V is negative in writes that
lower the conductance. The node `half` carries V/2, so that one source chooses the direction.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memristive.parameters import ParameterError, Parameters, quantity
from memristive.spice.pyspice import Circuit, SubCircuit
from memristive.spice.session import Solver
from snn_circuit import NeuronParameters, Points, add_membrane, add_neuron, add_source, add_stages

if TYPE_CHECKING:  # networks of emulators load nothing that measures devices
    from memristive.devices.measured_device import MeasuredDevice
    from memristive.devices.spice_model import SpiceModel

ONE_TRANSISTOR, HALF = SCHEMES = ("1t1r", "v/2")
FULL = 0.9  # share of the conductance range at which the most written cell of a training ends
# ohm: a column's write current moves the virtual ground by its volts over the op-amp's gain
FEEDBACK_SWITCH = 1.0
# share of the read voltage across a closed access switch, for a device at its highest conductance
ACCESS = 1e-3
# V, phi above which the switches are closed: so little that the voltage of a device rises with its
# row and does not jump. After a jump amid an edge, the steps of a device that heats itself vanish.
SELECTED = 1e-3
ARRAY_EDGE = 0.01  # of one pulse's width
# of a class's pulse, until the next class: short, because devices whose rate jumps at 0 V creep in
# between
REST = 0.1


@dataclass(frozen=True)
class DeviceArray(Parameters):
    """Two-terminal devices of a crossbar and their scheme.

    Parameters
    ----------
    model : SpiceModel
        Subcircuit, which ngspice simulates.
    device : MeasuredDevice
        Measured curves of the same device, from which pulses and feedback follow.
    scheme : str
        One of `SCHEMES`.
    pulses : float
        Number of pulses (as the device file describes them) that write one class. A single pulse,
        longer by this factor, replaces them.
    """

    model: "SpiceModel"
    device: "MeasuredDevice"
    scheme: str
    pulses: float = quantity(1.0, 1.0, 1e9, "", "pulses that write one class")

    def check(self) -> None:
        if self.scheme not in SCHEMES:
            raise ParameterError(f"scheme must be one of {', '.join(SCHEMES)}, got {self.scheme!r}")
        if self.scheme == HALF and self.model.selects:
            raise ParameterError(
                f"scheme must be {ONE_TRANSISTOR}, because cells of {self.model.name} select "
                f"themselves, got {HALF!r}"
            )

    @property
    def disturb(self) -> float:
        """r: step of a half-selected over a selected cell; 0 with access switches."""
        return self.device.half_up if self.scheme == HALF else 0.0

    def row_voltage(self, up: bool = True) -> float:
        """Return the voltage in V of a selected row in a write that raises the conductance (`up`),
        or in one that lowers it.
        """
        return (self.model.voltage_up if up else self.model.voltage_down) * (
            0.5 if self.scheme == HALF else 1.0
        )

    @functools.cached_property
    def erased(self) -> float:
        """State of the model at x = 0, its lowest level: depressing pulses, starting at the default
        state, bring it there. The Hebbian rule starts here.
        """
        from memristive.devices.characterise import write_cells

        return float(
            write_cells(self.model, None, up=False, count=int(np.ceil(self.device.pulses(False))))[
                0, -1
            ]
        )

    def trained(self, patterns: np.ndarray) -> np.ndarray:
        """Return x, the shares of the conductance range (classes x inputs), after Hebbian training
        of `patterns`, by the device's curves.
        """
        x = np.zeros(patterns.shape)
        for column, pattern in zip(np.eye(len(patterns), dtype=bool), patterns, strict=True):
            selected, driven = column[:, None], pattern > 0
            x = self.device.after(
                x, self.pulses * ((selected & driven) + self.disturb * (selected ^ driven))
            )
        return x

    def shares(self, states: np.ndarray) -> np.ndarray:
        """Return the shares of the conductance range (any shape) at `states` of the model, read in
        ngspice.
        """
        from memristive.devices.characterise import read_cells

        low, high = self.device.lowest_conductance, self.device.highest_conductance
        return (read_cells(self.model, np.ravel(states)).reshape(np.shape(states)) - low) / (
            high - low
        )

    def currents(self, x: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Return the column currents in A (images x columns) of reads of `images` (n x rows, 0 to
        1). `x`: states of the cells as shares of the conductance range, columns x rows.
        """
        return self.device.read_voltage * np.asarray(images) @ self.device.conductance(x).T

    def state_names(self, classes: int, inputs: int) -> list[str]:
        """Return ngspice's names of the cells' states, for each class and all inputs."""
        return [
            self.model.state_vector(f"cell_{j}_{i}") for j in range(classes) for i in range(inputs)
        ]

    def writing(self, pulse: float) -> Solver:
        """Return the solver for writes with pulses of `pulse` s."""
        from memristive.devices.characterise import model_solver

        return model_solver(self.model, pulse / 50)


# The membranes (1e-3 C) govern the steps of a read. Spikes are off by up to 0.7 us, with
# `method="gear"` by up to 3 us.
ARRAY_READING = Solver(max_step=20e-6, reltol=1e-5, trtol=10.0, chgtol=1e-9, method="trap")


def pulses_of_a_class(device: "MeasuredDevice", scheme: str, classes: int) -> float:
    """Return the number of pulses that write each of the `classes`.

    With this number the most written cell, which also gets the half pulses of all other classes,
    reaches the share `FULL` of the range. Beyond this share the device saturates: cells of pixels
    that are on would no longer differ from cells that half pulses have moved.
    """
    from scipy.optimize import brentq  # here: the import takes long

    most = device.pulses()
    needed = brentq(
        lambda n: float(device.after(0.0, n) - FULL * device.after(0.0, most)), 0.0, most
    )
    return float(
        np.ceil(needed / (1 + (device.half_up * (classes - 1) if scheme == HALF else 0.0)))
    )


class HeldNeuron(SubCircuit):
    """Lapicque neuron that can hold its column in a write. Nodes: column, negative, membrane,
    output, plus, hold.

    The column follows `plus`. While `hold` is high, a switch bridges the feedback. With `hold` low
    and `plus` at 0 V this circuit is the paper's neuron.
    """

    def __init__(self, parameters: NeuronParameters) -> None:
        super().__init__("held_neuron", "column", "negative", "membrane", "output", "plus", "hold")
        add_stages(self, parameters, parameters.feedback_resistance, plus="plus")
        self.S("hold", "column", "sum", "hold", self.gnd, model="hold")
        add_membrane(self, parameters, parameters.membrane_capacitance)
        self.X("trigger", "schmitt_trigger", "membrane", "output")


def array_network(
    array: DeviceArray,
    neuron: NeuronParameters,
    states: np.ndarray,
    inputs: Sequence[Points],
    controls: Sequence[Points] | None,
    phi_voltage: float,
    neurons: bool = True,
    title: str = "two-terminal devices",
) -> Circuit:
    """Return the netlist of a crossbar of two-terminal devices.

    With `v/2`, rows and phi of the opposite sign write in the opposite direction.

    Parameters
    ----------
    array : DeviceArray
    neuron : NeuronParameters
    states : array, columns x inputs
        State variable of each cell's model at t = 0.
    inputs : sequence of points
        One source for each row, as (s, V) points.
    controls : sequence of points, or None
        The same for each column's phi, to write. None: a read, with phi high for `1t1r` and low for
        `v/2`.
    phi_voltage : float
        High phi in V.
    neurons : bool
        Without neurons, sources hold the columns where the neurons' op-amps would: at 0 V, or at
        -V/2 while phi is high. An op-amp's virtual ground differs from its plus input by its output
        over its gain, some microvolts, which only a model notices whose rate jumps at 0 V.
    title : str
    """
    circuit = Circuit(title)
    array.model.add_to(circuit, compiled=True)
    half, selects = array.scheme == HALF, array.model.selects
    if neurons:
        add_neuron(circuit, neuron)
        circuit.model("hold", "sw", vt=SELECTED, vh=0, ron=FEEDBACK_SWITCH, roff=1e12)
        circuit.subcircuit(HeldNeuron(neuron))
        circuit.V("write", "write", circuit.gnd, 0.0 if controls is None else phi_voltage)
    if half:
        circuit.V("half", "half", circuit.gnd, array.row_voltage())
    elif not selects:
        circuit.model(
            "access",
            "sw",
            vt=SELECTED,
            vh=0,
            ron=ACCESS / array.device.highest_conductance,
            roff=1e12,
        )
    for i, points in enumerate(inputs):
        add_source(circuit, f"input_{i}", points)
    level = 0.0 if half or selects else phi_voltage
    for j, points in enumerate(
        [[(0.0, level), (1.0, level)]] * len(states) if controls is None else controls
    ):
        add_source(circuit, f"phi_{j}", points)
        column, plus, phi = f"column_{j}", f"plus_{j}" if neurons else f"column_{j}", f"phi_{j}"
        circuit.B(
            plus,
            plus,
            circuit.gnd,
            voltage_expression=f"-v(half)*v({phi})/{phi_voltage!r}" if half else "0",
        )
        if neurons:
            circuit.X(
                f"neuron_{j}",
                "held_neuron",
                column,
                circuit.gnd,
                f"membrane_{j}",
                f"output_{j}",
                plus,
                "write",
            )
        gate = "gate_open"
        if selects:
            gate, span = f"gate_{j}", array.model.select_on - array.model.gate_open
            circuit.B(
                gate,
                gate,
                circuit.gnd,
                voltage_expression=f"{array.model.gate_open!r}+{span / phi_voltage!r}*v({phi})",
            )
        for i, state in enumerate(states[j]):
            row = f"input_{i}"
            if not half and not selects:
                circuit.S(f"cell_{j}_{i}", row, f"device_{j}_{i}", phi, circuit.gnd, model="access")
                row = f"device_{j}_{i}"
            array.model.add_cell(circuit, f"cell_{j}_{i}", row, column, float(state), gate)
    return circuit
