"""Energy that the sources of rows, columns and phi deliver, from ngspice's own branch currents.

The op-amps and transconductances are ideal and draw nothing, and phi drives ideal switches. So the
energies are those of synapses and stimuli only. A depressing pulse of -1 V turns the channels'
drain-bulk junctions on. Each then draws hundreds of amperes from an ideal source, without an effect
on the state. A chip would isolate these junctions, so depression is measured with junctions that do
not conduct. Inputs at 0 V deliver no energy, so only the rows that the image drives are simulated.

The output of a hidden neuron delivers the energy of the row that it drives. Each layer of a network
is simulated by itself, with all its columns. The spikes that drive its rows come from the closed
form.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.engines.netlists import layered_network
from memristive.engines.ngspice_layer import BACK_RISE, BACK_STOP, WRITE_EDGE, lengthened
from memristive.engines.solvers import (
    READING,
    WRITING,
    WRITING_LAYERS,
    driven_rows,
    read_solver,
    training_solver,
)
from memristive.network.design import LayerDesign, Schedule, Setup, edges
from memristive.network.layer import back_circuit
from memristive.network.networks import Network
from memristive.network.two_terminal import HALF
from memristive.scores.decisions import end_of_read
from memristive.spice.session import SimulationError, Solver, run_once
from memristive.writing.at_once import ColumnDose
from memristor import ISOLATED, MemristorParameters
from snn_circuit import OFF, Points, cell_changes, names, state_changes

UNCOUNTED = ", nor are the channels' bulk junctions, which conduct hundreds of amperes at -1 V"
# least number in a write, because power bends as X rises: energies are 0.1 % off, with longer steps
# up to 5 %
STEPS = 1000
OUTPUT_EDGE = 0.5e-6  # s, of a hidden neuron's output
UNREACHED = 100.0  # V, a threshold that no membrane reaches
ISOLATED_UP_TO = 15.0  # V: above it even isolated junctions conduct in ngspice


def _delivered(
    setup: Setup,
    states: np.ndarray,
    driven: np.ndarray,
    points: list[Points],
    controls: list[Points] | None,
    neurons: bool,
    solver: Solver,
    stop: float,
) -> dict[str, float]:
    """Return the energy in J that each kind of source delivers up to `stop` s to a crossbar of the
    rows `driven`: by name, "inputs", "phi", and "columns" if `controls` move columns.

    `points` and `controls` are the corners (s, V) of the sources of these rows and of each phi.
    """
    part, rows, classes = (
        setup.replace(devices=setup.devices.of_rows(driven)),
        len(driven),
        len(states),
    )
    circuit = part.crossbar(states[:, driven], points, controls, neurons=neurons)
    columns = bool(setup.array and setup.array.scheme == HALF and controls)
    found = delivered(
        circuit,
        solver,
        stop,
        [(name, f"v{name}") for name in names("input", rows) + names("phi", classes)]
        + [(name, f"b{name}") for name in names("column", classes * columns)],
    )
    energies = {"inputs": sum(found[:rows]), "phi": sum(found[rows : rows + classes])}
    return energies | {"columns": sum(found[rows + classes :])} if columns else energies


def delivered(
    circuit: Circuit,
    solver: Solver,
    stop: float,
    sources: Sequence[tuple[str, str]],
    changes: Mapping[str, float] | None = None,
) -> list[float]:
    """Return the energies in J that the grounded `sources`, each given as (node, source), deliver
    up to `stop` s.

    `changes` are made to the loaded circuit before the run (`LoadedCircuit.alter`).
    """
    waves = run_once(
        circuit,
        solver,
        [name for node, source in sources for name in (node, f"i({source})")],
        stop,
        changes,
    )
    # ngspice counts a source's current from + to - through the source: delivered power is -V * I.
    return [
        float(-np.trapezoid(waves[node] * waves[f"i({source})"], waves.time))
        for node, source in sources
    ]


def isolated(memristor: MemristorParameters) -> MemristorParameters:
    """Return the device with a drain-bulk junction that does not conduct, for rows at negative
    voltages.
    """
    return dataclasses.replace(memristor, junction_current=ISOLATED)


def read_energy(setup: Setup, states: np.ndarray, image: np.ndarray) -> dict[str, float]:
    """Return the energy of a read in which one image is at the rows for a whole pulse, with every
    phi at 0 V.

    Parameters
    ----------
    setup : Setup
    states : array, classes x inputs, V
    image : array, inputs, levels 0 to 1

    Returns
    -------
    dict
        "inputs" and "phi": energy in J that these sources deliver.
    """
    schedule, driven = setup.schedule, driven_rows(image[None], setup.devices)
    points = [
        edges(0.0, schedule.pulse, schedule.rise, schedule.input_voltage * level)
        for level in image[driven]
    ]
    return _delivered(
        setup,
        states,
        driven,
        points,
        None if setup.array else [OFF] * len(states),
        True,
        read_solver(setup, states, image),
        schedule.pulse + 2 * schedule.rise,
    )


def write_energy(
    setup: Setup, states: np.ndarray, image: np.ndarray, column: int, pulse: float, sign: int = 1
) -> dict[str, float]:
    """Return the energy of one write of `pulse` s to one column; all columns see the inputs.

    Parameters
    ----------
    setup : Setup
    states : array, classes x inputs, V
    image : array, inputs, levels 0 to 1
    column : int
    pulse : float
        Width in s.
    sign : int
        1 potentiates; -1 depresses, with isolated drain-bulk junctions (nan for inputs above 15 V).

    Returns
    -------
    dict
        "inputs" and "phi": energy in J that these sources deliver. "columns": energy of the
        columns' sources, if the scheme moves the voltage of columns.
    """
    schedule = setup.writing
    if sign < 0 and schedule.input_voltage > ISOLATED_UP_TO:
        return {"inputs": math.nan, "phi": math.nan}
    if sign < 0:
        setup = setup.replace(memristor=isolated(setup.memristor))
    driven = np.arange(len(image)) if setup.array else driven_rows(image[None], setup.devices)
    rise = min(schedule.rise, pulse / 10)
    points = [
        edges(0.0, pulse, rise, sign * schedule.input_voltage * level) for level in image[driven]
    ]
    controls = [
        edges(0.0, pulse, rise, schedule.phi_voltage * (j == column)) for j in range(len(states))
    ]
    stop = pulse + 2 * rise
    solver = (
        training_solver(setup)
        if setup.array
        else dataclasses.replace(WRITING, max_step=min(WRITING.max_step, stop / STEPS))
    )
    return _delivered(setup, states, driven, points, controls, False, solver, stop)


def layers_read_energy(network: Network, image: np.ndarray) -> tuple[list[float], float]:
    """Return the energy of one read and its duration.

    The read ends when the second neuron of the last layer has fired, because the decision is then
    known, or at the window's end.

    Parameters
    ----------
    network : Network
    image : array, inputs, levels 0 to 1

    Returns
    -------
    energies : list of float
        Energy in J that each layer's rows deliver.
    stop : float
        Duration in s.

    Raises
    ------
    SimulationError
        ngspice cannot complete a transient.
    """
    times = [layer[0] for layer in network.forward(image[None])]
    stop = float(end_of_read(times[-1], network.design.window))
    return [sum(of_layer) for of_layer in read_energies(network, image, times, stop)], stop


def read_energies(
    network: Network, image: np.ndarray, times: list[np.ndarray], stop: float
) -> list[tuple[float, float]]:
    """Return for each layer a tuple of the energies in J that its rows and its bias row deliver in
    a read of an `image` (inputs, levels).

    `times`: first spikes of each layer in s. `stop`: end of the read in s. Raises SimulationError.
    """
    design = network.design
    if isinstance(design, Schedule):
        setup = network.setup.replace(schedule=dataclasses.replace(design, pulse=stop))
        return [(read_energy(setup, network.states[0], image)["inputs"], 0.0)]
    bias = step(network.start_time, 1.0, design.rise)
    rows = [
        step(design.rise / 2, design.row_voltage * level, design.rise)
        for level in design.read_levels(image).tolist()
    ]
    energies = []
    for layer in range(len(network.states)):
        if network.convolution and not layer:
            energies.append(_patches_energy(network, image))
            continue
        if layer:
            rows = [
                step(spike, design.row_voltage, OUTPUT_EDGE) if spike < stop else OFF
                for spike in times[layer - 1].tolist()
            ]
        energies.append(_rows_energy(network, layer, rows, bias, READING, stop))
    return energies


def _patches_energy(network: Network, image: np.ndarray) -> tuple[float, float]:
    """Return the energies in J that the rows and the bias row of a convolution deliver for all
    patches of an `image` (inputs, levels), one after the other: each lasts for the window, and then
    its rows fall.
    """
    assert network.convolution
    levels, design = network.read_levels(image[None])[0], network.design
    shape, stop = (0.0, design.window, design.rise), design.window + design.rise
    found = [
        _rows_energy(
            network,
            0,
            [edges(*shape, design.row_voltage * level) if level else OFF for level in of_patch],
            edges(*shape, 1.0),
            READING,
            stop,
        )
        for of_patch in levels[network.convolution.patches[:, 1:-1]].tolist()
    ]
    rows, bias = np.sum(found, axis=0).tolist()
    return rows, bias


def step(time: float, volts: float, edge: float) -> Points:
    """Return the points of a source that rises to `volts` V over an `edge` (s) centred on `time`
    (s), and stays there.
    """
    begins = time - edge / 2
    return [
        (0.0, 0.0),
        *([(begins, 0.0)] if begins > 0 else []),
        (max(begins, 0.0) + edge, volts),
        (1.0, volts),
    ]


def layer_write_energy(
    network: Network, layer: int, levels: np.ndarray, high: np.ndarray, pulse: float
) -> float:
    """Return the energy in J that a layer's rows deliver while `NgspiceLayer.write` writes one of
    its columns.

    The channels of all columns conduct. The transconductance that charges a written cell draws
    nothing, and the change of the cell's state is neglected.

    Parameters
    ----------
    network : Network
    layer : int
        Counted from 0.
    levels : array, rows
        Levels from 0 to 1, the bias last.
    high : array, rows
        Share of the pulse for which each row is high.
    pulse : float
        Width in s. A negative one writes at the negative voltage, with isolated drain-bulk
        junctions.

    Raises
    ------
    SimulationError
        ngspice cannot complete the transient.
    """
    return sum(_layer_write(network, layer, levels, high, pulse))


def _layer_write(
    network: Network, layer: int, levels: np.ndarray, high: np.ndarray, pulse: float
) -> tuple[float, float]:
    pulse, levels, window = lengthened(pulse, levels, high)
    if window == 0:
        return 0.0, 0.0
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


def write_energies(network: Network, layer: int, dose: ColumnDose) -> tuple[float, float]:
    """Return the energies in J that the rows of a layer of emulators and its bias row deliver in
    the write of one column.

    Raises SimulationError.
    """
    of = network.layers[layer]
    seconds = dose.dose / of.write_rate
    if isinstance(network.design, Schedule):
        sign = 1 if seconds > 0 else -1
        found = write_energy(
            network.setup, network.states[0], dose.shares, dose.column, abs(seconds), sign
        )
        return found["inputs"], 0.0
    ones = np.ones(of.rows)
    levels, high = (ones, dose.shares) if of.timed else (dose.shares, ones)
    return _layer_write(network, layer, levels, high, seconds)


def back_read_energy(network: Network, layer: int, errors: np.ndarray) -> float:
    """Return the energy in J that the drivers of a layer's columns deliver in a back-read of
    `errors` (neurons).

    Raises SimulationError.
    """
    of = network.layers[layer]
    volts, circuit = of.back_voltage * of.column_errors(errors), back_circuit(of)
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


def _rows_energy(
    network: Network, layer: int, rows: list[Points], bias: Points, solver: Solver, stop: float
) -> tuple[float, float]:
    """Return the energies in J that the rows of a layer and its bias row deliver up to `stop` s.

    `rows`: sources of the rows as points (s, V). `bias`: source of the bias row as points (s,
    multiple of the row voltage).
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
            convolution=None,
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
