"""Writes of networks in closed form, compiled by numba: of emulators for a time, and of measured
devices by pulses.
"""

import math
from typing import NamedTuple

import numpy as np

import memristor
from memristive.closed_form.kernel_arrays import (
    EMPTY,
    LEAK,
    NOISE,
    RATE,
    SAFE_MATH,
    Arrays,
    LayerArrays,
    Timing,
    current,
    loaded,
    raised_state,
    row_of,
    values_of,
)
from memristive.compiled import compiled
from memristive.writing import gate_cell

drawn_number = compiled(memristor.drawn_number)
due_pulses = compiled(memristor.due_pulses, inline="always")
leaked = compiled(memristor.leaked, inline="always")
level_at = compiled(gate_cell.level_at)
moved_gate = compiled(gate_cell.moved_gate, inline="always")
set_level = compiled(gate_cell.set_level, inline="always")
moved = compiled(memristor.moved)
noise_factor = compiled(memristor.noise_factor, inline="always")
written = compiled(memristor.written, inline="always")


class Pulses(NamedTuple):
    """Pulses that write a measured device. If `step` is 0, writes have no pulses but last in
    proportion to their dose.
    """

    step: float  # V, mean change of X by one pulse
    width: float  # s
    whole: bool  # True: whole pulses, fractions are rounded at random
    noise: float  # V, standard deviation of what one pulse adds
    # step of a half-selected cell over the full step, downwards and upwards
    disturb: tuple[float, float]
    # True: V/3, unselected cells see a third of the voltage backwards; False: V/2, they see nothing
    thirds: bool
    noise_curve: np.ndarray  # factors on `noise` over the range; empty: 1 everywhere


NO_PULSES = Pulses(0.0, 0.0, False, 0.0, (0.0, 0.0), False, np.zeros(0))


class Late(NamedTuple):
    """Synapses that write late: each adds up its doses until pulses are due.

    If `gate` has levels, each cell instead holds its gate voltage, and is written at this voltage
    once it is due. If `pulses` is 0 and there are no levels, all cells are written at once.
    """

    pulses: float  # of a synapse that is due
    forget: float  # share of the held doses that is lost with each presentation
    keeps: bool  # the remainder of a dose after its pulses
    # rows x neurons, V: doses that did not yet lead to a pulse; with a gate rows x columns, V: X
    held: Arrays
    # 2 x rows x neurons (with a gate columns), V: lower and upper limit of the held dose, at which
    # pulses are due
    limits: Arrays
    gate: "Gate"


class Gate(NamedTuple):
    """1T1R cells whose gate voltage sets the state."""

    levels: np.ndarray  # V, states on an even grid of gate voltages; empty: no gate
    low: float  # V, of the gate
    high: float
    rest: float  # V, to which gates leak
    always: bool  # RESET before each SET; otherwise only where the gate voltage has fallen
    committed: Arrays  # rows x columns, V: gate voltage at the last write of each device
    gain: Arrays  # rows x columns: dose that a gate gets over the nominal dose


class Counts(NamedTuple):
    """Numbers of pulses that writes have used: one array for each layer."""

    pulses: Arrays  # rows x columns
    # 2 x rows x columns, sum of pulses x conductance in S at the read voltage, downwards and
    # upwards
    conducted: Arrays
    writes: Arrays  # columns, writes of at least one pulse


class Plan(NamedTuple):
    """Doses of one layer after an error, in their order: one for each output with an error."""

    neurons: np.ndarray  # of the layer; the outputs of a convolution are its kernels in each region
    doses: np.ndarray  # V, signed
    shares: np.ndarray  # of the dose, doses x rows; 1 x rows if they are equal


class Due(NamedTuple):
    """Writes of one layer that are due, in their order."""

    columns: np.ndarray
    doses: np.ndarray  # V, signed; of late synapses the step of a pulse
    shares: np.ndarray  # of the dose, writes x rows; 1 x rows if they are equal
    gates: np.ndarray  # V, writes x rows; nan: the cell is not due; without gates no writes
    reset: np.ndarray  # writes x rows, True where RESET comes before SET; without gates no writes


@compiled
def due_writes(
    step: float,
    late: Late,
    k: int,
    pairs: int,
    neurons: int,
    done: int,
    plan: Plan,
) -> Due:
    """Return the writes of layer `k`, of some `neurons`, that are due after the doses of a `plan`;
    `late` changes in place.

    A dose writes one of the `pairs`, which take turns over the presentations: `done` of them came
    before. `step`: of a pulse, in V.
    """
    sides, pair, rows = 2 if pairs else 1, done % max(1, pairs), plan.shares.shape[1]
    number, equal = sides * len(plan.neurons), len(plan.shares) == 1 and late.pulses == 0.0
    gated = number if len(late.gate.levels) else 0
    due = Due(
        np.empty(number, np.int64),
        np.empty(number),
        plan.shares if equal else np.empty((number, rows)),
        np.empty((gated, rows)),
        np.zeros((gated, rows), np.bool_),
    )
    for n in range(number):
        m, side = n // sides, n % sides
        own, dose, high = (
            plan.neurons[m],
            plan.doses[m],
            plan.shares[m if len(plan.shares) > 1 else 0],
        )
        if late.pulses > 0.0:
            # both cells of a pair get the pulses of one dose
            high = due.shares[n - 1] if side else commit(late, k, own, high, dose)
            dose = math.copysign(step, dose)
        c = (side * pairs + pair) * neurons + own
        due.columns[n], due.doses[n] = c, -dose if side else dose
        if gated:
            due.gates[n], due.reset[n] = move_gates(late, k, c, high, due.doses[n])
        if not equal:
            due.shares[n] = high
    return due


@compiled
def write_due(
    layer: LayerArrays,
    timing: Timing,
    pulses: Pulses,
    late: Late,
    states: np.ndarray,
    due: Due,
    factors: np.ndarray,
    counts: Counts,
    k: int,
    loads: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Make the writes of layer `k` that are `due`, one after the other, and update `states`,
    `counts` and `loads`. `factors`: write gains over the nominal ones, columns x rows, or empty;
    other arguments are those of `write_pulses`.
    """
    for n in range(len(due.columns)):
        c, dose, high = due.columns[n], due.doses[n], due.shares[n if len(due.shares) > 1 else 0]
        if len(due.gates):
            gates, reset = due.gates[n], due.reset[n]
            write_gates(
                layer, timing, pulses, late.gate, states, c, gates, reset, counts, k, loads, rng
            )
        elif pulses.step > 0.0:
            write_pulses(layer, timing, pulses, states, c, high, dose, counts, k, loads, rng)
        else:
            of_rows = factors[c] if len(factors) else EMPTY
            loads[c] = write(layer, timing, states, c, high, dose / layer.nominal_rate, of_rows)


@compiled(error_model="numpy", fastmath=SAFE_MATH)
def write(
    layer: LayerArrays,
    timing: Timing,
    states: np.ndarray,
    c: int,
    high: np.ndarray,
    seconds: float,
    factors: np.ndarray,
) -> float:
    """Write column `c` of `states` (rows x columns, V), and return the conductance in S with which
    its cells load the column afterwards.

    The write lasts `abs(seconds)` s, at the negative voltage if `seconds` is below 0. Row i gets
    the share `high[i]` of the voltage or of the time, since only the product of both counts.
    `factors`: write gain of each row over the nominal gain, or empty.
    """
    load, cells, volts, rows = (
        0.0,
        layer.cells,
        math.copysign(timing.write_voltage, seconds),
        len(high),
    )
    if len(layer.flow.up) > 0:
        for i in range(rows):
            k, factor = row_of(cells, i), factors[i] if len(factors) else 1.0
            charge = cells[RATE, k, c] * factor * volts * high[i] * abs(seconds) * timing.write_area
            states[i, c] = moved(layer.flow, states[i, c], charge)
            load += loaded(cells, k, c, states[i, c])
        return load
    # shares of time: phi is high as long as the longest row
    longest = 1.0 if timing.lifts else high.max()
    window = abs(seconds) * timing.write_window * longest
    if window == 0.0:
        longest, window = 1.0, 1e-300  # s: nothing is written
    # mean of the input over the window, in units of its level
    area = abs(seconds) * timing.write_area / window
    if cells.shape[1] == 1 and len(factors) == 0:  # one law for all rows: vectorised
        cell, leak, charged = (
            values_of(cells, 0, c),
            cells[LEAK, 0, c],
            cells[RATE, 0, c] / cells[LEAK, 0, c] * volts * area,
        )
        share = leaked(window, leak)
        for i in range(rows):
            lift = (
                raised_state(cell, states[i, c], volts * high[i]) - states[i, c]
                if timing.lifts
                else 0.0
            )
            states[i, c] = written(states[i, c], charged * high[i], lift, share)
            load += loaded(cells, 0, c, states[i, c])
        return load
    share, before = 0.0, np.nan
    for i in range(rows):
        k = row_of(cells, i)
        mean = volts * high[i] * area
        leak = cells[LEAK, k, c]
        if leak != before:
            share, before = leaked(window, leak), leak
        gain = cells[RATE, k, c] * (factors[i] if len(factors) else 1.0)
        lift = (
            raised_state(values_of(cells, k, c), states[i, c], volts * high[i]) - states[i, c]
            if timing.lifts
            else 0.0
        )
        if gain != 0.0:  # not a stuck cell; noise may reverse the sign of a write
            states[i, c] = written(states[i, c], gain * mean / leak, lift, share)
        load += loaded(cells, k, c, states[i, c])
    return load


@compiled
def commit(late: Late, k: int, j: int, high: np.ndarray, dose: float) -> np.ndarray:
    """Add a `dose` in V to the doses that the late-writing synapses of neuron `j` in layer `k`
    hold. Row i gets the share `high[i]` of the dose.

    Returns the number of pulses that are now due in each row, in the direction of the dose.
    """
    held, limits, due = late.held[k], late.limits[k], np.zeros(len(high))
    for i in range(len(high)):
        pulses, held[i, j] = due_pulses(
            held[i, j], high[i] * dose, limits[0, i, j], limits[1, i, j], late.pulses, late.keeps
        )
        due[i] = abs(pulses)
    return due


@compiled
def forget(late: Late, presentations: int) -> None:
    """Apply the leak of a number of `presentations`: late-writing synapses lose a part of the doses
    that they hold, and gate voltages move towards their resting voltage.
    """
    rest = late.gate.rest
    if late.forget == 0.0:
        return
    for held in late.held:
        held -= rest
        held *= math.exp(-late.forget * presentations)
        held += rest


@compiled
def move_gates(
    late: Late, k: int, c: int, high: np.ndarray, dose: float
) -> tuple[np.ndarray, np.ndarray]:
    """Move the gate voltages of column `c` in layer `k` by the `dose` in V, of which row i gets the
    share `high[i]`.

    Returns two arrays (rows): the gate voltage in V of each cell that is due, nan for the others;
    and True for each cell that needs RESET.
    """
    gate, held, committed = late.gate, late.held[k], late.gate.committed[k]
    gates, reset = np.full(len(high), np.nan), np.zeros(len(high), np.bool_)
    for i in range(len(high)):
        if high[i] > 0.0:
            held[i, c], due = moved_gate(
                held[i, c],
                committed[i, c],
                high[i] * dose * gate.gain[k][i, c],
                late.limits[k][0, i, c],
                late.limits[k][1, i, c],
                gate.low,
                gate.high,
            )
            if due:
                gates[i], reset[i] = held[i, c], gate.always or held[i, c] < committed[i, c]
                committed[i, c] = held[i, c]
    return gates, reset


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


@compiled
def write_gates(
    layer: LayerArrays,
    timing: Timing,
    pulses: Pulses,
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
    RESET before where `reset` is True, and update `counts` and `loads`. Other arguments are those
    of `write_pulses`.
    """
    cells, flow, load, volts = layer.cells, layer.flow, 0.0, timing.row_voltage
    bounds = flow.low, flow.low + flow.span
    after = set_states(
        gate.levels,
        (gate.low, gate.high),
        states[:, c].copy(),
        gates,
        reset,
        pulses.noise,
        bounds,
        rng,
    )
    for i in range(len(gates)):
        r = row_of(cells, i)
        if not np.isnan(gates[i]):
            counts.pulses[k][i, c] += 1.0
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


@compiled
def write_pulses(
    layer: LayerArrays,
    timing: Timing,
    pulses: Pulses,
    states: np.ndarray,
    c: int,
    high: np.ndarray,
    dose: float,
    counts: Counts,
    k: int,
    loads: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Write column `c` of layer `k` by as many pulses as the `dose` in V asks for, and update
    `counts` and `loads`.

    `states`: rows x columns, V; `loads`: conductances of the columns in S. Row i gets the share
    `high[i]` of the dose. Each pulse adds its noise. For a fraction of a pulse the noise is
    multiplied by the square root of the fraction. States stay in the range of the device.
    """
    up, load, numbers, cells, flow = (
        1 if dose > 0 else 0,
        0.0,
        np.empty(len(high)),
        layer.cells,
        layer.flow,
    )
    counted, conducted = counts.pulses[k], counts.conducted[k][up]
    per_pulse = math.copysign(timing.write_voltage, dose) * pulses.width  # V s
    for i in range(len(high)):
        r = row_of(cells, i)
        number = drawn_number(high[i] * abs(dose) / pulses.step, pulses.whole, rng)
        numbers[i] = number
        if number > 0.0:
            counted[i, c] += number
            conducted[i, c] += (
                number
                * current(values_of(cells, r, c), states[i, c], timing.row_voltage)
                / timing.row_voltage
            )
            charge = cells[RATE, r, c] * per_pulse
            if pulses.noise == 0.0:
                states[i, c] = moved(flow, states[i, c], number * charge)
            while number > 0.0 and pulses.noise > 0.0 and charge != 0.0:  # not a stuck cell
                part = min(number, 1.0)
                noise = pulses.noise * cells[NOISE, r, c]
                noise *= noise_factor(pulses.noise_curve, flow, states[i, c])
                state = (
                    moved(flow, states[i, c], part * charge)
                    + noise * math.sqrt(part) * rng.standard_normal()
                )
                states[i, c] = min(max(state, flow.low), flow.low + flow.span)
                number -= part
        load += loaded(cells, r, c, states[i, c])
    loads[c] = load
    counts.writes[k][c] += numbers.max() > 0.0
    if pulses.disturb[0] > 0.0 or pulses.disturb[1] > 0.0:
        disturb(layer, pulses, states, c, numbers, up, per_pulse, loads)


@compiled
def disturb(
    layer: LayerArrays,
    pulses: Pulses,
    states: np.ndarray,
    c: int,
    numbers: np.ndarray,
    up: int,
    per_pulse: float,
    loads: np.ndarray,
) -> None:
    """Move the cells of a passive array that a write of column `c` disturbs, and update `loads`.

    In an upward write by the V/2 scheme, the written column is at -V/2 and all other columns are at
    0 V. Row i is at +V/2 for `numbers[i]` pulses, and then waits at 0 V until the last row has
    ended. So V/2, in the direction of the write, is across two kinds of cells: those of driven rows
    in other columns, and those of waiting rows in the written column. In the V/3 scheme, waiting
    rows are at -V/6 and other columns at +V/6. Then V/3 is across the same cells, and -V/3 across
    the cells of waiting rows in other columns. In a downward write (`up` is 0) all signs change.
    `per_pulse`: V s of one pulse across a selected cell.
    """
    cells, flow, longest = layer.cells, layer.flow, numbers.max()
    forwards, backwards = (
        pulses.disturb[up] * per_pulse,
        -pulses.disturb[1 - up] * per_pulse if pulses.thirds else 0.0,
    )
    for i in range(len(numbers)):
        r, waits = row_of(cells, i), longest - numbers[i]
        for other in range(states.shape[1]):
            driven, back = (waits, 0.0) if other == c else (numbers[i], backwards * waits)
            if driven > 0.0 or back != 0.0:
                before, rate = states[i, other], cells[RATE, r, other]
                after = moved(flow, before, rate * forwards * driven)
                if back != 0.0:
                    after = moved(flow, after, rate * back)
                states[i, other] = after
                loads[other] += loaded(cells, r, other, after) - loaded(cells, r, other, before)
