"""Energy that the input and phi sources deliver, from ngspice's own branch currents.

The op-amps and transconductances are ideal and draw nothing: these are the synapses' and the stimuli's energies alone.
phi drives ideal switches and draws nothing either. A depressing pulse of -1 V turns the drain-bulk junctions on (hundreds of
amperes each from an ideal source, without a bearing on the state): depression is measured with those junctions isolated, which a
chip would have to do. What is said of such an energy says so (`UNCOUNTED`).
Inputs at 0 V deliver nothing, whatever current they carry: only the rows that the image drives are simulated.
"""

import dataclasses
import math

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.single_layer.hebbian import driven_rows, reading
from memristive.single_layer.pulses import WRITING, Schedule, edges
from memristive.spice.session import NgspiceSession, Solver, Waveforms
from memristor import MemristorParameters
from snn_circuit import ALIKE, OFF, Devices, NetworkParameters, names, network

ISOLATED = 1e-300  # A, saturation current of a junction that does not conduct
UNCOUNTED = ", nor are the channels' bulk junctions, which conduct hundreds of amperes at -1 V"
STEPS = 1000  # of a write, at least: power bends as X rises; chords over the usual steps were up to 5 % off, over these 0.1 %
HIGHEST = 15.0  # V, up to which it does not: no smaller number is at hand


def _delivered(session: NgspiceSession, circuit: Circuit, solver: Solver, stop: float, rows: int,
               classes: int) -> dict[str, float]:
    """Energy in J that a network's sources, `rows` inputs and `classes` phi, deliver up to `stop` s."""
    sources = {"inputs": names("input", rows), "phi": names("phi", classes)}
    vectors = [vector for members in sources.values() for name in members for vector in (name, f"i(v{name})")]
    loaded = session.load(circuit, solver, vectors)
    waves = loaded.run(stop)
    session.unload(loaded)
    return {kind: sum(delivered(waves, name, f"v{name}") for name in members) for kind, members in sources.items()}


def delivered(waves: Waveforms, node: str, source: str) -> float:
    """Energy in J that a grounded `source` has delivered into its `node`."""
    # ngspice counts a source's current from + to - through the source: delivered power is -V * I.
    return float(-np.trapezoid(waves[node] * waves[f"{source}#branch"], waves.time))


def isolated(memristor: MemristorParameters) -> MemristorParameters:
    """The same device with a drain-bulk junction that does not conduct, for rows at negative voltages."""
    return dataclasses.replace(memristor, junction_current=ISOLATED)


def read_energy(session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, states: np.ndarray,
                image: np.ndarray, devices: Devices = ALIKE) -> dict[str, float]:
    """Energy in J, of inputs and of phi, for presenting one `image` (levels 0 to 1) for a whole pulse, every phi at 0.

    `devices`: those of a chip.
    """
    driven = driven_rows(image[None], devices)
    points = [edges(0.0, schedule.pulse, schedule.rise, schedule.input_voltage * level) for level in image[driven]]
    stop = schedule.pulse + 2 * schedule.rise
    circuit = network(parameters, states[:, driven], points, [OFF] * len(states), devices=devices.of_rows(driven))
    solver = reading(parameters, states, schedule.input_voltage * image, devices=devices)
    return _delivered(session, circuit, solver, stop, len(driven), len(states))


def write_energy(session: NgspiceSession, parameters: NetworkParameters, schedule: Schedule, states: np.ndarray,
                 image: np.ndarray, column: int, pulse: float, sign: int = 1, devices: Devices = ALIKE) -> dict[str, float]:
    """Energy in J, of inputs and of phi, for one write of `pulse` s to one `column`; all columns see the inputs.

    `sign` -1 depresses: then the drain-bulk junction is isolated, which it can be up to 15 V (nan above). `devices`: of a chip.
    """
    if sign < 0 and schedule.input_voltage > HIGHEST:
        return {"inputs": math.nan, "phi": math.nan}
    if sign < 0:
        parameters = dataclasses.replace(parameters, memristor=isolated(parameters.memristor))
    rise, driven = min(schedule.rise, pulse / 10), driven_rows(image[None], devices)
    points = [edges(0.0, pulse, rise, sign * schedule.input_voltage * level) for level in image[driven]]
    controls = [edges(0.0, pulse, rise, schedule.phi_voltage * (j == column)) for j in range(len(states))]
    circuit = network(parameters, states[:, driven], points, controls, neurons=False, devices=devices.of_rows(driven))
    stop = pulse + 2 * rise
    solver = dataclasses.replace(WRITING, max_step=min(WRITING.max_step, stop / STEPS))
    return _delivered(session, circuit, solver, stop, len(driven), len(states))
