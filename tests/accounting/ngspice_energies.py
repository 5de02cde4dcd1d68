"""Energies that the rows and columns of layers take in ngspice, an oracle for the closed form.

Each layer of a network is simulated by itself, with all its columns. The spikes that drive its rows
come from the closed form.
"""

import dataclasses

import numpy as np

from memristive.accounting.dissipation import OUTPUT_EDGE
from memristive.devices.cells import cell_changes
from memristive.engines.ngspice_layer import BACK_RISE, BACK_STOP, WRITE_EDGE, lengthened
from memristive.engines.solvers import READING, WRITING, WRITING_LAYERS, read_solver
from memristive.network.design import LayerDesign, Schedule, edges
from memristive.network.netlists import back_circuit, layered_network
from memristive.parameters import SimulationError
from memristive.spice.session import run_once
from memristor import ISOLATED
from snn_circuit import OFF, names, state_changes

UNREACHED = 100.0  # V, a threshold that no membrane reaches


def delivered(circuit, solver, stop, sources, changes=None):
    """Energies in J that grounded sources, each given as (node, source), deliver up to `stop` s.

    ngspice counts a source's current from + to - through the source.
    """
    vectors = [name for node, source in sources for name in (node, f"i({source})")]
    waves = run_once(circuit, solver, vectors, stop, changes)
    return [
        float(-np.trapezoid(waves[node] * waves[f"i({source})"], waves.time))
        for node, source in sources
    ]


def isolated(memristor):
    """The device with a junction to bulk that does not conduct at negative voltages."""
    return dataclasses.replace(memristor, junction_current=ISOLATED)


def read_energies(network, image, times, stop):
    """Energies in J of each layer's rows and of its bias row, in a read up to `stop` s with these
    first spikes (s).
    """
    design = network.design
    if isinstance(design, Schedule):
        rows = [
            edges(0.0, stop, design.rise, design.input_voltage * level) for level in image.tolist()
        ]
        setup, states = network.setup, network.states[0]
        circuit = setup.crossbar(states, rows, [OFF] * len(states))
        solver = read_solver(setup, states, image)
        sources = [(name, f"v{name}") for name in names("input", len(image))]
        return [(sum(delivered(circuit, solver, stop + 2 * design.rise, sources)), 0.0)]
    bias, energies = step(network.start_time, 1.0, design.rise), []
    rows = [
        step(design.rise / 2, design.row_voltage * level, design.rise)
        for level in design.read_levels(image).tolist()
    ]
    for layer in range(len(network.states)):
        if layer:
            rows = [
                step(spike, design.row_voltage, OUTPUT_EDGE) if spike < stop else OFF
                for spike in times[layer - 1].tolist()
            ]
        energies.append(_rows_energy(network, layer, rows, bias, READING, stop))
    return energies


def step(time, volts, edge):
    """Points of a source that rises to `volts` V over an `edge` (s) centred on `time` (s)."""
    begins = time - edge / 2
    return [
        (0.0, 0.0),
        *([(begins, 0.0)] if begins > 0 else []),
        (max(begins, 0.0) + edge, volts),
        (1.0, volts),
    ]


def write_energies(network, layer, dose):
    """Energies in J of a layer's rows and of its bias row in the write of one column."""
    of = network.layers[layer]
    seconds = dose.dose / of.write_rate
    if isinstance(network.design, Schedule):
        setup, states, schedule = network.setup, network.states[0], network.design
        setup = setup.replace(memristor=isolated(setup.memristor))
        pulse, rise = abs(seconds), min(schedule.rise, abs(seconds) / 10)
        volts = np.sign(seconds) * schedule.input_voltage * dose.shares
        rows = [edges(0.0, pulse, rise, level) for level in volts.tolist()]
        controls = [
            edges(0.0, pulse, rise, schedule.phi_voltage * (j == dose.column))
            for j in range(len(states))
        ]
        circuit = setup.crossbar(states, rows, controls, neurons=False)
        stop = pulse + 2 * rise
        solver = dataclasses.replace(WRITING, max_step=min(WRITING.max_step, stop / 1000))
        sources = [(name, f"v{name}") for name in names("input", len(rows))]
        return sum(delivered(circuit, solver, stop, sources)), 0.0
    ones = np.ones(of.rows)
    levels, high = (ones, dose.shares) if of.timed else (dose.shares, ones)
    pulse, levels, window = lengthened(seconds, levels, high)
    edge = WRITE_EDGE * window
    end = 3 * edge + window
    ups = np.where(high < high.max(), end - abs(pulse) * high, 2 * edge).tolist()
    volts = np.sign(pulse) * levels * network.design.writing
    volts[-1] /= network.design.row_voltage  # the source of the bias row multiplies by it
    rows = [
        [
            (0.0, 0.0),
            (up - edge / 2, 0.0),
            (up + edge / 2, level),
            (end + 2 * edge, level),
            (end + 3 * edge, 0.0),
        ]
        if level and share > 0
        else OFF
        for level, share, up in zip(volts.tolist(), high.tolist(), ups, strict=True)
    ]
    if pulse < 0:
        parameters = dataclasses.replace(
            network.parameters, memristor=isolated(network.parameters.memristor)
        )
        network = dataclasses.replace(network, parameters=parameters)
    try:
        return _rows_energy(network, layer, rows[:-1], rows[-1], WRITING, end + 4 * edge)
    except SimulationError:  # short edges at low levels, whose currents WRITING does not resolve
        return _rows_energy(network, layer, rows[:-1], rows[-1], WRITING_LAYERS, end + 4 * edge)


def back_read_energy(network, layer, errors):
    """Energy in J of the drivers of a layer's columns in a back-read of `errors` (neurons)."""
    of = network.layers[layer]
    volts, circuit = of.back_voltage * of.synapses.errors(errors), back_circuit(of)
    circuit["Vpulse"].values = [(0.0, 0.0), (BACK_RISE, 1.0), (1.0, 1.0)]
    used = np.flatnonzero(volts).tolist()
    for j in used:
        circuit[f"Ecolumn_0_{j}"].voltage_gain = float(volts[j])
    # the edge is a third of the read
    solver = dataclasses.replace(WRITING, max_step=BACK_STOP / 100)
    states, cells = network.states[layer][:, :-1], of.devices.cells
    changes = state_changes(np.ndindex(states.shape), states.ravel().tolist(), "cell_0")
    if cells is not None:
        changes |= cell_changes(
            cells.at(slice(None), slice(-1)), network.parameters.memristor, name="cell_0"
        )
    return sum(
        delivered(
            circuit, solver, BACK_STOP, [(f"column_0_{j}", f"ecolumn_0_{j}") for j in used], changes
        )
    )


def _rows_energy(network, layer, rows, bias, solver, stop):
    """Energies in J of a layer's rows and of its bias row up to `stop` s. Sources are points (s,
    V), that of the bias row (s, multiple of the row voltage).
    """
    # No neuron fires here: outputs do not act on their layer, but every trigger that switches
    # shortens ngspice's steps.
    neuron, of, design = network.parameters.neuron, network.layers[layer], network.design
    quiet = dataclasses.replace(neuron, threshold=UNREACHED)
    # The layer alone is a last layer. Its bias resistors carry the same current at this threshold.
    bias_drive = (of.bias or 0.0) * neuron.threshold / UNREACHED
    bias_drive *= network.layers[-1].neuron.transresistance / of.neuron.transresistance
    if isinstance(design, LayerDesign):
        design = dataclasses.replace(design, output_bias=bias_drive)
    circuit = layered_network(
        dataclasses.replace(
            network,
            states=(network.states[layer],),
            kinds=(),
            design=design,
            parameters=dataclasses.replace(network.parameters, neuron=quiet),
            devices=network.devices and (network.devices[layer],),
        ),
        rows,
    )
    circuit["Vpulse"].values = bias
    sources = [(f"row_0_{k}", f"vrow_0_{k}") for k, points in enumerate(rows) if points is not OFF]
    sources.append((f"row_0_{len(rows)}", f"erow_0_{len(rows)}"))
    *of_rows, of_bias = delivered(circuit, solver, stop, sources)
    return sum(of_rows), of_bias
