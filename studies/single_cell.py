"""What the experiments on a single memristor share: the cell between input and neuron, and its state's vector."""

from PySpice.Spice.Netlist import Circuit

from memristor import Memristor, MemristorParameters, check_phi

STATE = "xcell.gate"  # the vector that holds the state of the one cell in these experiments


def one_cell(parameters: MemristorParameters, phi_voltage: float, initial_state: float, title: str) -> Circuit:
    check_phi(phi_voltage, parameters)
    circuit = Circuit(title)
    Memristor(parameters).add_to(circuit)
    circuit.X("cell", "memristor", "neuron", "input", "phi", x0=initial_state)
    circuit.V("neuron", "neuron", circuit.gnd, 0)
    return circuit
