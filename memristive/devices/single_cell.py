"""One memristor alone: the circuit that the experiments on a single cell share."""

from PySpice.Spice.Netlist import Circuit

from memristive.spice.parameters import ParameterError
from memristor import Memristor, MemristorParameters

STATE = "xcell.gate"  # ngspice's name of the cell's state


def one_cell(parameters: MemristorParameters, phi_voltage: float, initial_state: float, title: str) -> Circuit:
    """Return a netlist with one cell between the nodes `input` and `neuron`; `neuron` is at 0 V.

    The caller adds the sources at `input` and `phi`.

    Parameters
    ----------
    parameters : MemristorParameters
    phi_voltage : float
        Highest phi in V.
    initial_state : float
        X at t = 0 in V.
    title : str

    Raises
    ------
    ParameterError
        `phi_voltage` is too low to close the write switch.
    """
    if not phi_voltage > parameters.switch_threshold:
        raise ParameterError(f"phi_voltage must exceed switch_threshold, got {phi_voltage:g} V and "
                             f"{parameters.switch_threshold:g} V")
    circuit = Circuit(title)
    Memristor(parameters).add_to(circuit)
    circuit.X("cell", "memristor", "neuron", "input", "phi", x0=initial_state)
    circuit.V("neuron", "neuron", circuit.gnd, 0)
    return circuit
