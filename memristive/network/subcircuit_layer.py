"""One layer of differential pairs in ngspice whose cells are a SPICE model's subcircuit: reads and V/2 writes.

A parameter sets a subcircuit's state at t = 0, and it cannot be altered in a loaded circuit. So a circuit lives as long as its
states, and one transient makes many reads, or all writes of a presentation.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.devices.characterise import EDGE, Characterisation
from memristive.devices.measured_device import emulator
from memristive.devices.spice_model import SpiceModel
from memristive.network.layers import LayeredNetwork, with_bias
from memristive.network.netlists import column_nodes
from memristive.network.ngspice_layers import MEMBRANE_STEP, READING_LAYERS
from memristive.network.parts import LayerPart, add_drives, membrane_circuit
from memristive.network.setup import edges
from memristive.network.spike_decoding import first_spikes
from memristive.network.two_terminal import REST, DeviceArray, array_network
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import NeuronParameters, Points, names

BATCH = 50  # images of a transient
IMAGE = 1e-9  # s: while a crossbar without capacitances shows one image, which no state notices
MEMBRANES = dataclasses.replace(READING_LAYERS, max_step=MEMBRANE_STEP * READING_LAYERS.max_step, trtol=1e6)
# One or two time points in each image: only max_step governs. Gear, because the trapezoidal rule rings on the currents that hold
# a state within its bounds.
CROSSBAR = Solver(max_step=IMAGE / 2, reltol=1e-5, trtol=1e6, chgtol=1e-18, abstol=1e-15, method="gear")


class Write(NamedTuple):
    """Write of one column: its direction, and the number of pulses of each row."""

    column: int
    up: bool
    numbers: np.ndarray


def model_states(network: LayeredNetwork, found: Characterisation) -> tuple[np.ndarray, ...]:
    """Return states of the characterised model that conduct as the cells of each layer do (columns x rows)."""
    emulated = emulator(found.device)
    return tuple(found.map.state(emulated.share(states)) for states in network.states)


def read_subcircuits(network: LayeredNetwork, model: SpiceModel, states: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the first spikes in s (images x neurons; nan: silent) of a layer of pairs.

    Parameters
    ----------
    network : LayeredNetwork
        One layer; gives the neurons and the voltages, not the states.
    model : SpiceModel
    states : array, columns x rows with the bias
        States of the model.
    images : array, n x inputs, levels 0 to 1

    Raises
    ------
    SimulationError
        ngspice cannot complete a transient.
    """
    neurons, neuron = network.sizes[-1], network.parameters.neuron
    part = LayerPart(network.parameters, network.design, network.neuron(0), neurons, states.shape[1], True)
    membranes = NgspiceSession().load(membrane_circuit(part), MEMBRANES, names("membrane_0", neurons))
    found = []
    try:
        for begin in range(0, len(images), BATCH):
            for drives in _drives(part, model, states, images[begin:begin + BATCH]):
                membranes.alter({f"edrive_0_{j} gain": volts for j, volts in enumerate(drives.tolist())})
                waves = membranes.run(network.design.window)
                found.append(first_spikes(waves.time, waves.stack(names("membrane_0", neurons)), None, neuron, 0.0,
                                          network.design.window))
    finally:
        membranes.unload()
    return np.array(found)


def _drives(part: LayerPart, model: SpiceModel, states: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the neurons' drives in V (images x neurons): one image after the other, without rows that are never driven."""
    levels = with_bias(images)
    used = np.flatnonzero(levels.any(axis=0))
    circuit = Circuit("images")
    model.add_to(circuit)
    add_drives(circuit, dataclasses.replace(part, rows=len(used)))
    times = IMAGE * (np.arange(len(images))[:, None] + [0.1, 0.9]).ravel()
    for k, row in enumerate(used):  # sources of time: at the corners of PWL sources ngspice would cut its steps
        corners = np.stack([times, np.repeat(part.design.row_voltage * levels[:, row], 2)], axis=1)
        table = ",".join(map(repr, corners.ravel().tolist()))
        circuit.B(f"row_0_{k}", f"row_0_{k}", circuit.gnd, voltage_expression=f"pwl(time,{table})")
    for c, node in enumerate(column_nodes(part.design, 0, part.neurons)):
        for k, row in enumerate(used):
            model.add_cell(circuit, f"cell_0_{c}_{k}", f"row_0_{k}", node, float(states[c, row]))
    drives = names("drive_0", part.neurons)
    loaded = NgspiceSession().load(circuit, CROSSBAR, drives)
    try:
        waves = loaded.run(len(images) * IMAGE)
        middle = IMAGE * (np.arange(len(images)) + 0.5)
        nearest = np.abs(waves.time[:, None] - middle).argmin(axis=0)  # within a quarter of an image
        return waves.stack(drives)[:, nearest].T
    finally:
        loaded.unload()


def write_half_selected(array: DeviceArray, states: np.ndarray, writes: Sequence[Write]) -> np.ndarray:
    """Return the states (columns x rows) of a passive crossbar after writes one after the other, in one transient.

    The pulses of a row are joined to one, and the written column is selected for the longest of these. Raises SimulationError.
    """
    rows: list[Points] = [[(0.0, 0.0)] for _ in states.T]
    controls: list[Points] = [[(0.0, 0.0)] for _ in states]
    time, model = 0.0, array.model
    for column, up, numbers in writes:
        if not numbers.any():  # a selected column without rows would only disturb
            continue
        volts, width = array.row_voltage(up), model.width_up if up else model.width_down
        begin = time + REST * width / 2
        driven = [(rows[i], volts, numbers[i]) for i in np.flatnonzero(numbers)]
        for points, level, count in [*driven, (controls[column], volts / array.row_voltage(), numbers.max())]:
            points += edges(begin, count * width, EDGE * width, level)
        time = begin + (numbers.max() + REST / 2) * width
    if not time:
        return states
    circuit = array_network(array, NeuronParameters(), states, rows, controls, 1.0, neurons=False, title="writes of columns")
    vectors = array.state_names(*states.shape)
    loaded = NgspiceSession().load(circuit, array.writing(5 * min(model.width_up, model.width_down)), vectors)
    try:
        return loaded.run(time).stack(vectors)[:, -1].reshape(states.shape)
    finally:
        loaded.unload()
