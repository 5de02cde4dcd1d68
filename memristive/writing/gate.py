"""1T1R cells whose level is set by the gate of their transistor (docs/writes_gate.md).

The SET of a filament is abrupt, and the transistor in series ends it by limiting the current. So
the gate voltage X chooses the conductance, whatever it was before, and RESET comes first if the
conductance must fall. X is the voltage of a capacitor, which the learning rule moves. The device is
written only when X has moved far enough since the last write of the device. Trainings in closed
form and in ngspice call these functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from memristive.closed_form.kernel_arrays import (
    RATE,
    Arrays,
    LayerArrays,
    Timing,
    current,
    loaded,
    row_of,
    values_of,
)
from memristive.compiled import compiled
from memristive.devices.cells import Cells
from memristive.devices.measured_device import Emulator
from memristive.ledger import ASSUMED, SELECTED, Ledger, Line, Technology, wire_lines
from memristive.parameters import Fields, curve, quantity
from memristive.writing.base import Due, Laboratory, Way, WrittenCells, WrittenLayer, WrittenNetwork
from memristive.writing.late import capacitor_ledger
from memristive.writing.pulses import Counts, PulseSettings
from memristor import read_current

# move of a gate at which its device is due, as a share of the range of gate voltages
GATE_STEP = 0.036
# Share of X that a gate loses with each presentation. The paper's cell leaks only while it is
# written, in a dose of 6 us by a share of 2e-6.
GATE_FORGET = 1e-6


@dataclass(frozen=True)
class GateSettings(PulseSettings):
    """Levels and gate voltages of the cells."""

    levels: tuple[float, ...] = curve((), "X over the gate voltage, in V", -1e6, rising=True)
    gate_low: float = quantity(0.0, -100.0, 100.0, "V", "lowest gate voltage of SET")
    gate_high: float = quantity(0.0, -100.0, 100.0, "V", "highest gate voltage of SET")
    gate_step: float = quantity(
        0.0, 0.0, 100.0, "V", "move of a gate voltage at which its device is due; 0: at each dose"
    )
    gate_rest: float = quantity(
        0.0, -100.0, 100.0, "V", "voltage to which gates leak, a share `gate_forget` of the way"
    )
    gate_forget: float = quantity(
        0.0, 0.0, 1.0, "", "share of the way to `gate_rest` that a gate leaks in a presentation"
    )
    gate_reset: int = quantity(
        0, 0, 1, "", "1: RESET before each SET; 0: only where the gate voltage has fallen"
    )


def gate_settings(emulator: Emulator) -> Fields:
    """Return the fields of `PulseWrites` for 1T1R cells whose gates set the levels of a device, for
    which the `emulator` stands.

    Gate voltages leak to the voltage of the weight 0.
    """
    device, window = emulator.device, emulator.high - emulator.low
    grid = np.linspace(device.gate_low, device.gate_high, len(device.levels))
    return {
        "step": device.mean_step * window,
        "width": emulator.pulse,
        "write_noise": device.write_noise * window,
        "read_noise": device.read_noise * window,
        "whole": 0,
        "levels": tuple(emulator.state(device.levels).tolist()),
        "gate_low": device.gate_low,
        "gate_high": device.gate_high,
        "gate_step": GATE_STEP * (device.gate_high - device.gate_low),
        "gate_rest": float(np.interp(device.balance, device.levels, grid)),
        "gate_forget": GATE_FORGET,
        # a SET without RESET goes beyond the level of a simulated filament
        "gate_reset": int(bool(device.model_sha256)),
        "model": device.model,
        "model_sha256": device.model_sha256,
    }


class GateWrite(NamedTuple):
    """Write of 1T1R cells in one column.

    `gates` (rows, V): gate voltage of each cell; nan: the cell is not due. `reset` (rows): True
    where RESET comes before SET.
    """

    column: int
    gates: np.ndarray
    reset: np.ndarray


class Gate(NamedTuple):
    """1T1R cells whose gate voltage sets the state."""

    levels: np.ndarray  # V, states on an even grid of gate voltages
    low: float  # V, of the gate
    high: float
    step: float  # V, change since the last write of a device at which it is due
    rest: float  # V, to which gates leak
    forget: float  # share of the way to `rest` with each presentation
    always: bool  # RESET before each SET; otherwise only where the gate voltage has fallen
    noise: float  # V, standard deviation of the state after a write
    voltages: Arrays  # rows x columns, V: gate voltages
    committed: Arrays  # rows x columns, V: gate voltage at the last write of each device
    gain: Arrays  # rows x columns: dose that a gate gets over the nominal dose


class GateWrites(Way):
    """Writes of the cells whose gate voltages have moved far enough."""

    kind = ASSUMED

    def arrays(self, network: WrittenNetwork) -> Fields:
        """Return the arrays; without gate voltages in the network they follow from its states."""
        settings = self.settings
        waiting = network.waiting or gate_voltages(settings, network.states)
        gains = [layer.write_gains.T for layer in network.layers]
        gate = Gate(
            np.array(settings.levels),
            settings.gate_low,
            settings.gate_high,
            settings.gate_step,
            settings.gate_rest,
            settings.gate_forget,
            bool(settings.gate_reset),
            settings.write_noise,
            tuple(of_layer[0].copy() for of_layer in waiting),
            tuple(of_layer[1].copy() for of_layer in waiting),
            # the gate of a stuck cell moves
            tuple(np.where(gain == 0.0, 1.0, gain) for gain in gains),
        )
        return {"gate": gate}

    def writes(self, due: Due, factors: np.ndarray | None = None) -> list[GateWrite]:
        """Leave out columns in which no cell is due."""
        every = zip(due.columns.tolist(), due.gates, due.reset, strict=True)
        return [GateWrite(*write) for write in every if not np.isnan(write[1]).all()]

    def in_ngspice(
        self,
        layer: WrittenLayer,
        write_column: Callable[..., np.ndarray],
        states: np.ndarray,
        write: GateWrite,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Let emulators move to the levels of the gates: downwards, then upwards."""
        before, noise = states[write.column], self.settings.write_noise
        after = set_column(layer, before, write, noise, rng)
        return self.emulated(layer, write_column, states, write.column, after)

    def in_model(
        self,
        cells: WrittenCells,
        states: np.ndarray,
        writes: list[GateWrite],
        rng: np.random.Generator,
    ) -> np.ndarray:
        return np.asarray(cells.set_at_gates(states, writes))

    def started(
        self, states: tuple[np.ndarray, ...], curve: Any, rng: np.random.Generator
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Write each cell once, at the gate voltage that belongs to its state. The scatter of these
        writes is drawn from `rng`.
        """
        noise = self.settings.write_noise
        scattered = tuple(
            np.clip(wanted + noise * rng.standard_normal(wanted.shape), curve.low, curve.high)
            for wanted in states
        )
        return scattered, gate_voltages(self.settings, states)

    def capacitors(self, layer: WrittenLayer) -> int:
        """Return the number of capacitors: a cell holds X now, and X at its last write."""
        return int(2 * layer.rows * layer.width)

    def ledgers(
        self,
        technology: Technology,
        laboratory: Laboratory,
        layer: WrittenLayer,
        states: np.ndarray,
        writes: list[GateWrite],
        doses: list[tuple[float, np.ndarray]],
    ) -> list[Ledger]:
        """One RESET and one SET go to all cells that are due."""
        # each cell of a pair has a gate of its own
        moved = [dose for dose in doses for _ in range(layer.synapses.sides)]
        of_gates = capacitor_ledger(technology, layer, moved, 1.0)
        if not writes:
            return [of_gates]
        joules, volts, widths, *_ = laboratory
        selected = sum(gate_energies(layer, states, write, joules) for write in writes)
        gates = np.concatenate([write.gates for write in writes])
        reset = np.concatenate([write.reset for write in writes]) & ~np.isnan(gates)
        opened = technology.gate_open**2
        # all gates are open in reads: they fall before the pulses, and rise again after them
        squares = layer.rows * layer.columns * opened + reset.sum() * opened + np.nansum(gates**2)
        lines = layer.rows * layer.width * technology.line_capacitance
        lines *= volts[1] ** 2 + volts[0] ** 2 * bool(reset.any())
        ledger = Ledger.of(
            [
                Line(SELECTED, selected, ASSUMED, True, "V^2 G t, at most, if filaments are ohmic"),
                *wire_lines("write", lines, 0.0),
                Line(
                    "write: gate lines",
                    squares * technology.gate_capacitance,
                    ASSUMED,
                    False,
                    "C V^2, in gate and driver",
                ),
            ],
            {"commit": widths[1] + widths[0] * bool(reset.any())},
        )
        return [ledger, of_gates]


def gate_energies(
    layer: WrittenLayer, states: np.ndarray, write: GateWrite, joules: tuple[float, float]
) -> float:
    """Return an upper bound in J of the energy that one column of ohmic cells takes in a write at
    its gates. `states`: of the `layer`, columns x rows, V.

    `joules` is V^2 t in J/S of RESET and of SET. RESET takes at most `joules[0]` times the
    conductance before it, because the filament breaks early. SET takes at most `joules[1]` times
    the conductance after it, because the transistor limits the current. For a filament whose
    current bends upwards this is no bound.
    """
    before, due = states[write.column], ~np.isnan(write.gates)
    after = set_column(layer, before, write, 0.0, np.random.default_rng())
    after = np.where(layer.write_gains[write.column] == 0, before, after)  # stuck cells stay
    cells = Cells.of(layer.memristor, layer.devices.cells).at(write.column)
    siemens = [
        read_current(cells, column, np.full(layer.rows, layer.row_voltage)) / layer.row_voltage
        for column in (before, after)
    ]
    return float(joules[0] * siemens[0] @ (due & write.reset) + joules[1] * siemens[1] @ due)


def set_column(
    layer: WrittenLayer,
    states: np.ndarray,
    write: GateWrite,
    noise: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the states in V (rows) of a column of a `layer` after a `write` at its gates.

    `states`: before the write. `noise`: standard deviation in V of the random part of each write,
    which is drawn from `rng`. Stuck cells are not considered.
    """
    settings, curve = layer.way.settings, layer.memristor.curve
    return np.asarray(
        set_states(
            np.array(settings.levels),
            (settings.gate_low, settings.gate_high),
            states,
            write.gates,
            write.reset,
            noise,
            (curve.low, curve.high),
            rng,
        )
    )


def gate_voltages(settings: GateSettings, states: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Return the gate voltages that belong to the `states` of all layers, twice (2 x rows x
    columns): now, and at the last writes.
    """
    grid = np.linspace(settings.gate_low, settings.gate_high, len(settings.levels))
    volts = [np.interp(layer.T, settings.levels, grid) for layer in states]
    return tuple(np.stack([of_layer, of_layer]) for of_layer in volts)


@compiled(inline="always")
def moved_gate(
    gate: float, committed: float, dose: float, step: float, low: float, high: float
) -> tuple[float, bool]:
    """Return the gate voltage X of a cell after a dose, and True if its device is due (must be
    written now).

    Parameters
    ----------
    gate, committed : float, V
        X before the dose, and X at the last write of the device.
    dose : float, V
    step : float, V
        A device is due when X differs from `committed` by this or more; 0: at each dose.
    low, high : float, V
        Range of X.
    """
    gate = min(max(gate + dose, low), high)
    moved = gate - committed
    return gate, moved != 0.0 and abs(moved) >= step


@compiled
def level_at(levels: np.ndarray, share: float) -> float:
    """Return the level (conductance or state) at a `share` of the range of gate voltages, 0 to 1.

    `levels` are given on an even grid of that range, with straight lines between its points.
    """
    place = share * (len(levels) - 1)
    k = min(int(place), len(levels) - 2)
    return float(levels[k] + (levels[k + 1] - levels[k]) * (place - k))


@compiled(inline="always")
def set_level(state: float, level: float, reset: bool, scatter: float) -> float:
    """Return the state of a cell after a write at a `level`.

    SET raises the state to the level, and never lowers it. `reset`: RESET comes first, because X
    has fallen since the last write. `scatter` is the random part of the write. All values have one
    unit.

    References
    ----------
    C. Li et al., Nat. Commun. 9, 2385 (2018), with the authors' code.
    """
    return (level if reset else max(state, level)) + scatter


@compiled(inline="always")
def move_gates(
    gate: Gate,
    k: int,
    c: int,
    high: np.ndarray,
    dose: float,
    gates: np.ndarray,
    reset: np.ndarray,
) -> None:
    """Move the gate voltages of column `c` in layer `k` by the `dose` in V, of which row i gets the
    share `high[i]`.

    Fills two arrays (rows): `gates` with the gate voltage in V of each cell that is due, nan for
    the others; and `reset` with True for each cell that needs RESET.
    """
    voltages, committed = gate.voltages[k], gate.committed[k]
    gates.fill(np.nan)
    for i in range(len(high)):
        if high[i] > 0.0:
            voltages[i, c], due = moved_gate(
                voltages[i, c],
                committed[i, c],
                high[i] * dose * gate.gain[k][i, c],
                gate.step,
                gate.low,
                gate.high,
            )
            if due:
                gates[i], reset[i] = voltages[i, c], gate.always or voltages[i, c] < committed[i, c]
                committed[i, c] = voltages[i, c]


@compiled
def set_states(
    levels: np.ndarray,
    span: tuple[float, float],
    states: np.ndarray,
    gates: np.ndarray,
    reset: np.ndarray,
    noise: float,
    bounds: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the states of a column (rows, V), now `states`, after writes at its `gates` (rows, V;
    nan: none), with RESET where `reset` is True.

    `levels`: states in V on an even grid of gate voltages, whose ends in V are `span`. `noise`:
    standard deviation in V of a write. `bounds`: range of the states in V.
    """
    result = states.copy()
    for i in range(len(gates)):
        if not np.isnan(gates[i]):
            level = level_at(levels, (gates[i] - span[0]) / (span[1] - span[0]))
            scatter = noise * rng.standard_normal() if noise > 0.0 else 0.0
            state = set_level(states[i], level, reset[i], scatter)
            result[i] = min(max(state, bounds[0]), bounds[1])
    return result


@compiled(inline="always")
def write_gates(
    layer: LayerArrays,
    timing: Timing,
    gate: Gate,
    states: np.ndarray,
    c: int,
    gates: np.ndarray,
    reset: np.ndarray,
    counts: Counts,
    k: int,
    loads: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Write the devices of column `c` of layer `k` at their `gates` (rows, V; nan: not due), with
    RESET before where `reset` is True, and update `counts` and `loads`. Other arguments: see
    `write_pulses`.
    """
    cells, flow, load, volts = layer.cells, layer.flow, 0.0, timing.row_voltage
    bounds = flow.low, flow.low + flow.span
    after = set_states(
        gate.levels,
        (gate.low, gate.high),
        states[:, c].copy(),
        gates,
        reset,
        gate.noise,
        bounds,
        rng,
    )
    for i in range(len(gates)):
        r = row_of(cells, i)
        if not np.isnan(gates[i]):
            counts.pulses[k][1, i, c] += 1.0
            if reset[i]:
                counts.conducted[k][0, i, c] += (
                    current(values_of(cells, r, c), states[i, c], volts) / volts
                )
            if cells[RATE, r, c] != 0.0:  # not a stuck cell
                states[i, c] = after[i]
            counts.conducted[k][1, i, c] += (
                current(values_of(cells, r, c), states[i, c], volts) / volts
            )
        load += loaded(cells, r, c, states[i, c])
    loads[c] = load
    counts.writes[k][c] += not np.isnan(gates).all()
