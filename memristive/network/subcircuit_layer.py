"""One layer of differential pairs in ngspice whose cells are a SPICE model's subcircuit: reads and V/2 writes.

A parameter sets a subcircuit's state at t = 0, and it cannot be altered in a loaded circuit. So a circuit lives as long as its
states, and one transient makes many reads, or all writes of a presentation.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.devices.characterise import EDGE
from memristive.devices.spice_model import SpiceModel
from memristive.network.layers import LayeredNetwork, with_bias
from memristive.network.netlists import column_nodes
from memristive.network.ngspice_layers import MEMBRANE_STEP, READING_LAYERS
from memristive.network.parts import LayerPart, add_drives, membrane_circuit
from memristive.network.spike_decoding import first_spikes
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import names

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
    """Return the neurons' drives in V (images x neurons): one image after the other, in a crossbar of the rows that any needs."""
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


def write_half_selected(model: SpiceModel, states: np.ndarray, writes: Sequence[Write]) -> np.ndarray:
    """Return the states (columns x rows) of a passive crossbar after writes one after the other, in one transient.

    The pulses of a row are joined to one pulse of V/2. The written column is at -V/2 for the longest of these, and all other rows
    and columns are at 0 V. Sources hold the columns, where the neurons' op-amps would hold them. Cells of rows and columns that
    stay at 0 V are left out. Raises SimulationError.
    """
    lines: dict[str, list[tuple[float, float]]] = {}
    time = 0.0
    for column, up, numbers in writes:
        volts, width = (model.voltage_up, model.width_up) if up else (model.voltage_down, model.width_down)
        driven = [(f"row_{row}", volts / 2, numbers[row]) for row in np.flatnonzero(numbers)]
        for line, level, count in [*driven, (f"column_{column}", -volts / 2, numbers.max())] if driven else []:
            begin, edge = time + width / 20, EDGE * width
            end = begin + count * width
            lines.setdefault(line, [(0.0, 0.0)]).extend([(begin, 0.0), (begin + edge, level), (end, level), (end + edge, 0.0)])
        time += (numbers.max() + 0.1) * width
    if not lines:
        return states
    circuit = Circuit("write of a passive crossbar")
    model.add_to(circuit)
    cells = [(c, i) for c, i in np.ndindex(states.shape) if f"column_{c}" in lines or f"row_{i}" in lines]
    for line in dict.fromkeys([line for c, i in cells for line in (f"column_{c}", f"row_{i}")]):
        circuit.PieceWiseLinearVoltageSource(line, line, circuit.gnd, values=lines.get(line, [(0.0, 0.0), (time, 0.0)]))
    for c, i in cells:
        model.add_cell(circuit, f"cell_{c}_{i}", f"row_{i}", f"column_{c}", float(states[c, i]))
    nodes = [f"v({model.state_vector(f'cell_{c}_{i}')})" for c, i in cells]
    step = min(1.0, model.width_up / 10, model.width_down / 10)
    solver = Solver(max_step=step, reltol=1e-5, trtol=7.0, chgtol=1e-18, abstol=1e-15, method="gear")
    loaded = NgspiceSession().load(circuit, solver, nodes)
    try:
        result = states.copy()
        result[tuple(np.transpose(cells))] = loaded.run(time).stack(nodes)[:, -1]
        return result
    finally:
        loaded.unload()
