"""One memristor alone: its circuit, and pulse trains on an emulated device, written and read as in a laboratory."""

from collections.abc import Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.devices.measured_device import Emulator
from memristive.spice.parameters import ParameterError
from memristive.spice.session import Solver, run_once
from memristor import Memristor, MemristorParameters

STATE = "xcell.gate"  # ngspice's name of the cell's state
EDGE = 1e-3  # rise and fall time of a pulse, as a share of its width
PHI = 1.2  # V, of a pulse train


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


def apply_pulses(emulator: Emulator, directions: Sequence[int], start: float = 0.0) -> np.ndarray:
    """Apply identical pulses to one emulated device in ngspice and read it after each.

    Parameters
    ----------
    emulator : Emulator
    directions : sequence of int
        1 for a potentiating pulse, -1 for a depressing one.
    start : float
        Share of the conductance range before the first pulse.

    Returns
    -------
    array, pulses + 1, S
        Conductance at the device's read voltage, before any pulse and after each.

    Raises
    ------
    SimulationError
        ngspice cannot complete the transient.
    """
    width, slot = emulator.pulse, 2 * emulator.pulse
    volts, phi, reads = [(0.0, 0.0)], [(0.0, 0.0)], []
    for k, direction in enumerate([0, *directions]):
        begin = k * slot
        if direction:
            volts += _pulse(begin, width, float(np.sign(direction)))
            phi += _pulse(begin, width, PHI)
        volts += _pulse(begin + 0.7 * slot, 0.25 * slot, emulator.device.read_voltage)
        reads.append(begin + 0.85 * slot)
    circuit = one_cell(emulator.memristor, PHI, float(emulator.state(start)), "pulse train")
    circuit.PieceWiseLinearVoltageSource("input", "input", circuit.gnd, values=volts)
    circuit.PieceWiseLinearVoltageSource("phi", "phi", circuit.gnd, values=phi)
    solver = Solver(max_step=slot / 20, reltol=1e-5, trtol=7.0, chgtol=1e-18, abstol=1e-16)
    waves = run_once(circuit, solver, ["i(vneuron)"], (len(directions) + 1) * slot)
    current = np.interp(reads, waves.time, waves["i(vneuron)"])
    return np.asarray(current / emulator.device.read_voltage)


def _pulse(begin: float, width: float, level: float) -> list[tuple[float, float]]:
    edge = EDGE * width
    return [(begin + edge, 0.0), (begin + 2 * edge, level), (begin + edge + width, level), (begin + 2 * edge + width, 0.0)]
