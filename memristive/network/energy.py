"""Energy that the input and phi sources deliver, from ngspice's own branch currents.

The op-amps and transconductances are ideal and draw nothing, and phi drives ideal switches. So the energies are those of
synapses and stimuli only. A depressing pulse of -1 V turns the channels' drain-bulk junctions on. Each then draws hundreds of
amperes from an ideal source, without an effect on the state. A chip would isolate these junctions, so depression is measured
with junctions that do not conduct. Inputs at 0 V deliver no energy, so only the rows that the image drives are simulated.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.network.setup import Setup, edges
from memristive.network.solvers import WRITING, driven_rows, read_solver, training_solver
from memristive.network.two_terminal import HALF
from memristive.spice.session import Solver, run_once
from memristor import MemristorParameters
from snn_circuit import OFF, names

ISOLATED = 1e-300  # A, saturation current of a junction that does not conduct
UNCOUNTED = ", nor are the channels' bulk junctions, which conduct hundreds of amperes at -1 V"
STEPS = 1000  # least number in a write, because power bends as X rises: energies are 0.1 % off, with longer steps up to 5 %
HIGHEST = 15.0  # V: above it even isolated junctions conduct in ngspice


def _delivered(circuit: Circuit, solver: Solver, stop: float, rows: int, classes: int, columns: bool = False) -> dict[str, float]:
    """Return the energy in J that each kind of source delivers up to `stop` s: `rows` inputs and `classes` phi.

    With `columns` the result includes the sources that hold the columns.
    """
    found = delivered(circuit, solver, stop, [(name, f"v{name}") for name in names("input", rows) + names("phi", classes)]
                      + [(name, f"b{name}") for name in names("column", classes * columns)])
    energies = {"inputs": sum(found[:rows]), "phi": sum(found[rows:rows + classes])}
    return energies | {"columns": sum(found[rows + classes:])} if columns else energies


def delivered(circuit: Circuit, solver: Solver, stop: float, sources: Sequence[tuple[str, str]],
              changes: Mapping[str, float] | None = None) -> list[float]:
    """Return the energy in J that each of the grounded `sources`, as (node, source), delivers up to `stop` s.

    `changes` of the loaded circuit come before the run.
    """
    waves = run_once(circuit, solver, [name for node, source in sources for name in (node, f"i({source})")], stop, changes)
    # ngspice counts a source's current from + to - through the source: delivered power is -V * I.
    return [float(-np.trapezoid(waves[node] * waves[f"i({source})"], waves.time)) for node, source in sources]


def isolated(memristor: MemristorParameters) -> MemristorParameters:
    """Return the device with a drain-bulk junction that does not conduct, for rows at negative voltages."""
    return dataclasses.replace(memristor, junction_current=ISOLATED)


def read_energy(setup: Setup, states: np.ndarray, image: np.ndarray) -> dict[str, float]:
    """Return the energy of presenting one image for a whole pulse, with every phi at 0 V.

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
    points = [edges(0.0, schedule.pulse, schedule.rise, schedule.input_voltage * level) for level in image[driven]]
    stop = schedule.pulse + 2 * schedule.rise
    part = setup.replace(devices=setup.devices.of_rows(driven))
    circuit = part.crossbar(states[:, driven], points, None if setup.array else [OFF] * len(states))
    return _delivered(circuit, read_solver(setup, states, image), stop, len(driven), len(states))


def write_energy(setup: Setup, states: np.ndarray, image: np.ndarray, column: int, pulse: float,
                 sign: int = 1) -> dict[str, float]:
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
        "inputs" and "phi": energy in J that these sources deliver. "columns": the same, if the scheme moves the columns.
    """
    schedule = setup.writing
    if sign < 0 and schedule.input_voltage > HIGHEST:
        return {"inputs": math.nan, "phi": math.nan}
    if sign < 0:
        setup = setup.replace(memristor=isolated(setup.memristor))
    driven = np.arange(len(image)) if setup.array else driven_rows(image[None], setup.devices)
    rise = min(schedule.rise, pulse / 10)
    points = [edges(0.0, pulse, rise, sign * schedule.input_voltage * level) for level in image[driven]]
    controls = [edges(0.0, pulse, rise, schedule.phi_voltage * (j == column)) for j in range(len(states))]
    part = setup.replace(devices=setup.devices.of_rows(driven))
    circuit = part.crossbar(states[:, driven], points, controls, neurons=False)
    stop = pulse + 2 * rise
    solver = training_solver(setup) if setup.array else dataclasses.replace(WRITING, max_step=min(WRITING.max_step, stop / STEPS))
    columns = setup.array is not None and setup.array.scheme == HALF
    return _delivered(circuit, solver, stop, len(driven), len(states), columns)
