"""Energy that the sources of rows, columns and phi deliver, from ngspice's own branch currents.

The op-amps and transconductances are ideal and draw nothing, and phi drives ideal switches. So the
energies are those of synapses and stimuli only. A depressing pulse of -1 V turns the channels'
drain-bulk junctions on. Each then draws hundreds of amperes from an ideal source, without an effect
on the state. A chip would isolate these junctions, so depression is measured with junctions that do
not conduct. Inputs at 0 V deliver no energy, so only the rows that the image drives are simulated.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.engines.solvers import (
    WRITING,
    driven_rows,
    read_solver,
    training_solver,
)
from memristive.network.design import Setup, edges
from memristive.network.two_terminal import HALF
from memristive.spice.session import Solver, run_once
from memristor import ISOLATED, MemristorParameters
from snn_circuit import OFF, Points, names

# least number in a write, because power bends as X rises: energies are 0.1 % off, with longer steps
# up to 5 %
STEPS = 1000
OUTPUT_EDGE = 0.5e-6  # s, of a hidden neuron's output
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
