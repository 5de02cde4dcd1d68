"""Measure a SPICE model of a 1T1R cell in ngspice: its level over the gate voltage, the influence
of earlier writes (history), half-selected cells.

A write is RESET with a conducting transistor ("open" gate), and then SET at a gate voltage. RESET
raises the column while the row stays at 0 V, so no terminal is below 0 V. A gate at 0 V therefore
blocks both pulses, and the gates of all cells that are not written stay at 0 V.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memristive.devices.characterise import (
    PULSE_EDGE,
    READS,
    StateMap,
    check_rise,
    described,
    loop,
    model_solver,
    read_cells,
    retention,
    transient,
)
from memristive.devices.measured_device import ABRUPT, MeasuredDevice
from memristive.devices.spice_model import SpiceModel
from memristive.parameters import ParameterError
from memristive.spice.pyspice import Circuit
from memristive.spice.session import Solver, run_once
from snn_circuit import Points, add_source, edges

LEVELS = 33  # gate voltages of the level curve
STATES = 257  # states of the map from the lowest to the highest level
HISTORY = 40  # random levels, one after the other
PASSES = 100  # pulses that pass a half-selected cell
SIDES = ("after RESET, from below", "after RESET, from above", "without RESET, from below")
# part of a pulse in which the gate is already open before it, and still after it
MARGIN = 0.05


@dataclass(frozen=True)
class GateCharacterisation:
    """Measured levels of a 1T1R cell.

    Parameters
    ----------
    device : MeasuredDevice
        Its `levels` are means of those after RESET from below and from above.
    map : StateMap
    gates : array, V
        Gate voltages of the level curve.
    levels : dict of arrays, S
        Conductance after a write at each of the `gates`, for each of `SIDES`.
    history : array, 2 x `HISTORY`, S
        One cell is written at random gate voltages, with RESET only where the gate voltage falls:
        the conductances that the level curve predicts, and the measured ones.
    disturb : dict of float
        Largest change of x, at any level, by `PASSES` pulses up and down whose gate is at 0 V, and
        by `READS` reads.
    loops : list of (gate voltage in V, array of V, array of A)
        I-V loops. The gate has this voltage while the row is positive, otherwise the gate's voltage
        of reads.
    """

    device: MeasuredDevice
    map: StateMap
    gates: np.ndarray
    levels: dict[str, np.ndarray]
    history: np.ndarray
    disturb: dict[str, float]
    loops: list[tuple[float, np.ndarray, np.ndarray]]


def pulse(begin: float, width: float, level: float) -> Points:
    """Return the corners (s, V) of a pulse at a row or column: from `begin` s on, `width` s long,
    `level` V high.
    """
    return edges(begin, width, PULSE_EDGE * width, level)


def gate_pulse(begin: float, width: float, level: float) -> Points:
    """Return the corners (s, V) of a pulse at a gate, `level` V high. It begins before and ends
    after the `pulse` of the same `begin` and `width` (s).
    """
    return pulse(begin - MARGIN * width, (1 + 2 * MARGIN) * width, level)


def gate_solver(model: SpiceModel) -> Solver:
    """Return the solver for pulses of a 1T1R cell."""
    return model_solver(model, min(model.width_up, model.width_down) / 50)


def set_cells(
    model: SpiceModel, states: Sequence[float] | np.ndarray, gates: np.ndarray, reset: np.ndarray
) -> np.ndarray:
    """Return the states of cells (n) after writes at their `gates` (n, V), with RESET where `reset`
    (n) is True.

    Both pulses, RESET and SET, are applied to all cells. A gate stays at 0 V in SET if its voltage
    in `gates` is nan, and in RESET if its entry in `reset` is False. Raises SimulationError.
    """
    circuit, stop = gates_circuit(model, states, gates, reset)
    vectors = [f"v({model.state_vector(f'cell{k}')})" for k in range(len(states))]
    return run_once(circuit, gate_solver(model), vectors, stop).stack(vectors)[:, -1]


def gates_circuit(
    model: SpiceModel, states: Sequence[float] | np.ndarray, gates: np.ndarray, reset: np.ndarray
) -> tuple[Circuit, float]:
    """Return the netlist in which `set_cells` writes cells, and the time in s at which the writes
    end; arguments are as in `set_cells`.

    Nodes: row, column, gate{k}; cell k is Xcell{k}.
    """
    circuit, down, up = Circuit(f"cells of {model.name}"), model.width_down, model.width_up
    model.add_to(circuit)
    begin = 2 * MARGIN * down
    later = begin + (1 + 2 * MARGIN) * down + 2 * MARGIN * up
    add_source(circuit, "row", [(0.0, 0.0), *pulse(later, up, model.voltage_up)])
    add_source(circuit, "column", [(0.0, 0.0), *pulse(begin, down, -model.voltage_down)])
    for k, (state, gate) in enumerate(zip(states, gates.tolist(), strict=True)):
        opened = [(0.0, 0.0)]
        if reset[k]:
            opened += gate_pulse(begin, down, model.gate_open)
        if not np.isnan(gate):
            opened += gate_pulse(later, up, gate)
        add_source(circuit, f"gate{k}", opened)
        model.add_cell(circuit, f"cell{k}", "row", "column", float(state), f"gate{k}")
    return circuit, later + (1 + 2 * MARGIN) * up


class Levels(NamedTuple):
    """Level curve of a 1T1R cell: device, map of states, and for each of `SIDES` the conductances
    in S after a write at each of `LEVELS` gate voltages.
    """

    device: MeasuredDevice
    map: StateMap
    levels: dict[str, np.ndarray]


def measure_levels(model: SpiceModel, source: str = "", path: str = "") -> Levels:
    """Measure the levels of a 1T1R cell in ngspice. The levels at the ends of the range of gate
    voltages are x = 0 and x = 1.

    Parameters
    ----------
    model : SpiceModel
        With a gate.
    source : str
        Origin of the device, for its file.
    path : str
        Path of the model file, which the device's file names.

    Raises
    ------
    ParameterError
        Levels do not rise with the gate voltage, or leave the range of conductances.
    SimulationError
        ngspice refuses the subcircuit or stops early.
    """
    gates = np.linspace(model.gate_low, model.gate_high, LEVELS)
    every, never = np.ones(LEVELS, bool), np.zeros(LEVELS, bool)
    default = transient(model, None, [[(0.0, 0.0)]], 1e-3 * model.width_up, model.width_up)[1][0, 0]
    first = set_cells(model, np.full(LEVELS, default), gates, every)
    # the lowest level after the highest one, and the other way round
    low, high = (set_cells(model, first[[end]], gates[[-1 - end]], every[:1])[0] for end in (-1, 0))
    by_side = {
        SIDES[0]: set_cells(model, np.full(LEVELS, low), gates, every),
        SIDES[1]: set_cells(model, np.full(LEVELS, high), gates, every),
        SIDES[2]: set_cells(model, np.full(LEVELS, low), gates, never),
    }
    levels = {side: read_cells(model, states) for side, states in by_side.items()}
    curve = (levels[SIDES[0]] + levels[SIDES[1]]) / 2
    if not curve[0] < curve[-1] or not (np.diff(curve) >= 0).all():
        raise ParameterError(
            f"{model.name}: levels must rise with the gate voltage, got {curve[0]:.3g} S at "
            f"{gates[0]:g} V and {curve[-1]:.3g} S at {gates[-1]:g} V: give the model file other "
            "gate voltages"
        )
    fine = np.linspace(by_side[SIDES[0]][0], by_side[SIDES[0]][-1], STATES)
    mapped = StateMap(fine, read_cells(model, fine))
    check_rise(model, mapped)
    x = (curve - curve[0]) / (curve[-1] - curve[0])
    device = MeasuredDevice(
        lowest_conductance=float(curve[0]),
        highest_conductance=float(curve[-1]),
        up=ABRUPT,
        down=ABRUPT,
        levels=tuple(x.tolist()),
        gate_low=model.gate_low,
        gate_high=model.gate_high,
        **described(model, float(fine[0]), float(fine[-1]), source, path),
    )
    return Levels(device, mapped, levels)


def characterise_gate(
    model: SpiceModel, source: str = "", path: str = "", phase: Callable[[str], object] = str
) -> GateCharacterisation:
    """Measure a 1T1R cell in ngspice: levels, the influence of earlier writes (history),
    half-selected cells and I-V loops. Arguments and exceptions are as in `measure_levels`;
    `phase` is called with the name of each phase.
    """
    phase("levels")
    device, mapped, levels = measure_levels(model, source, path)
    phase("random levels, half-selected cells, loops, time without voltage")
    gates = np.linspace(model.gate_low, model.gate_high, LEVELS)
    states = mapped.state(np.array(device.levels))
    curve, lowest = device.conductance(device.levels), float(states[0])
    period, step = 20 * max(model.width_up, model.width_down), gate_solver(model).max_step
    return GateCharacterisation(
        dataclasses.replace(device, **retention(model, mapped)),
        mapped,
        gates,
        levels,
        history(model, gates, curve, lowest),
        disturb(model, mapped, states[:: LEVELS // 8]),
        [
            (gate, *loop(model, lowest, period, step, gate))
            for gate in gates[[LEVELS // 4, LEVELS // 2, -1]].tolist()
        ],
    )


def history(model: SpiceModel, gates: np.ndarray, curve: np.ndarray, state: float) -> np.ndarray:
    """Write one cell at random gate voltages; return the conductances in S that the level curve
    predicts, and the measured ones (2 x `HISTORY`).

    `curve` holds the conductances in S at the voltages `gates`. The cell starts in `state`, the
    lowest level.
    """
    wanted = np.random.default_rng(1).uniform(gates[0], gates[-1], HISTORY)
    expected, reached, last = np.interp(wanted, gates, curve), [], gates[0]
    for gate in wanted:
        state = set_cells(model, [state], np.array([gate]), np.array([gate < last]))[0]
        last = gate
        reached.append(state)
    return np.array([expected, read_cells(model, reached)])


def disturb(model: SpiceModel, mapped: StateMap, states: np.ndarray) -> dict[str, float]:
    """Return the largest change of x from any of the `states`, by the name of the test: pulses up
    and down while the gate is at 0 V, and reads. `mapped` converts states to x.
    """
    result = {}
    for name, volts, width in (
        ("up", model.voltage_up, model.width_up),
        ("down", model.voltage_down, model.width_down),
    ):
        circuit, stop = Circuit("half-selected cells"), PASSES * width
        model.add_to(circuit)
        # all pulses in one: a train would only add edges
        shown = [(0.0, 0.0), *pulse(0.01 * stop, 0.98 * stop, abs(volts))]
        add_source(circuit, "driven", shown)
        row, column = ("driven", circuit.gnd) if volts > 0 else (circuit.gnd, "driven")
        for k, state in enumerate(states):
            model.add_cell(circuit, f"cell{k}", row, column, float(state), circuit.gnd)
        vectors = [f"v({model.state_vector(f'cell{k}')})" for k in range(len(states))]
        after = run_once(circuit, gate_solver(model), vectors, stop).stack(vectors)[:, -1]
        result[f"{PASSES} pulses {name}, gate at 0 V"] = _largest(mapped, states, after)
    stop = READS * model.width_up
    level = [(0.0, model.read_voltage), (stop, model.read_voltage)]
    after = transient(model, states, [level], stop, stop / 50)[1][:, -1]
    result[f"{READS} reads"] = _largest(mapped, states, after)
    return result


def _largest(mapped: StateMap, before: np.ndarray, after: np.ndarray) -> float:
    return float(np.abs(mapped.share(after) - mapped.share(before)).max())
