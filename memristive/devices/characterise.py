"""Measure a cell in ngspice as a laboratory measures a device: pulses, half pulses, reads, I-V
loops. The cell is an emulator or a SPICE model.

Writes may last nanoseconds and reads milliseconds, or the other way round, so each write and each
read is a transient with its own longest step. The state at the end of one transient, read at the
state node, becomes the start of the next one by the initial parameter.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from memristive.devices.measured_device import TURNING_WINDOW, MeasuredDevice
from memristive.devices.spice_model import SpiceModel
from memristive.parameters import Fields, ParameterError
from memristive.spice.pyspice import Circuit
from memristive.spice.session import Solver, run_once
from memristor import Memristor, MemristorParameters
from snn_circuit import Points, add_source, edges

PULSE_EDGE = 1e-3  # rise and fall time of a pulse, as a share of its width
PERIOD = 1.1  # from one pulse of a train to the next, in widths
# pulses between two tests of a sweep for its bound, and most of these tests
BLOCK, MOST_BLOCKS = 100, 10
# a sweep ends when a block moves the conductance by less than this share of all that the sweep has
# moved
ARRIVED = 0.01
# change by a block, as a share of the conductance or of its range, below which pulses have no
# effect
LEAST_CHANGE = 1e-3
GRID = np.linspace(0, 1, 33)
# an interval of states with a larger share of the conductance range is halved, so often at most
JUMP, HALVINGS = 0.01, 6
STARTS = (0.0, 1 / 3, 2 / 3, 1.0)  # x before the sweeps
READS = 1000  # reads whose drift is measured
# x is watched without voltage for so many presentations, of 1 ms or a pulse, as in a short training
PRESENTATIONS, PRESENTATION = 1000, 1e-3
BOUND_STATE = (
    "bound the state in the subcircuit: k*(uramp(low - v({0})) - uramp(v({0}) - high)) in its "
    "rate, with k of 1e5 rates over the range, holds it from low to high"
)
FORGOTTEN = 0.05  # of the range: a device that loses more within them forgets
# a decay is watched for so many times as long, and so many time constants are tried
LONGER, FITS = 100, 4001
BOUND = 1e-3  # of the range: a step that ends nearer to a bound counts as cut off by the bound


# C: currents that bring less than this charge to a state in a pulse are not resolved. Two large
# currents that cancel hold a state at an end of its range. Their rounding, 40 pA for a filament
# that moves in 100 ns, stops Newton's method if it exceeds `abstol`.
LEAST_CHARGE = 1e-16


@dataclass(frozen=True)
class StateMap:
    """States of a model, from x = 0 to x = 1, and the conductance in S at each.

    A state may fall while the conductance rises, as the width of a filament's gap does.
    """

    states: np.ndarray
    conductances: np.ndarray

    def state(self, x: np.ndarray) -> np.ndarray:
        """Return the model's states (any shape) at the shares `x` of the conductance range."""
        low, high = self.conductances[[0, -1]]
        return np.interp(low + x * (high - low), self.conductances, self.states)

    def conductance(self, states: np.ndarray) -> np.ndarray:
        """Return the conductance in S at each of the model's `states` (any shape)."""
        rising = np.argsort(self.states)
        return np.interp(states, self.states[rising], self.conductances[rising])

    def share(self, states: np.ndarray) -> np.ndarray:
        """Return the share of the conductance range at each of the model's `states` (any shape)."""
        low, high = self.conductances[[0, -1]]
        return (self.conductance(states) - low) / (high - low)


@dataclass(frozen=True)
class Characterisation:
    """Measured curves of a SPICE model.

    Parameters
    ----------
    device : MeasuredDevice
    map : StateMap
    reach : tuple of int
        Numbers of pulses of two sweeps: down to x = 0, then up to x = 1.
    arrived : bool
        True if both sweeps ended where further pulses hardly changed the state.
    steps : dict
        Change of x by one pulse at each point of `GRID`, with its sign. The keys are (up, part):
        the direction of the pulse, True or False, and its voltage V/part with part 1, 2 or 3.
    disturb : dict
        r, the step at V/part over the step at V. The keys are (up, part) with part 2 or 3.
    sweeps : array, starts x (2 `BLOCK` + 1), S
        Conductance over 100 pulses up and then 100 down, from each x in `STARTS`.
    drift : array, points of `GRID`
        Change of x by `READS` reads, each as long as a pulse up.
    loops : list of (period in s, array of V, array of A)
        I-V loops at two frequencies: voltage and current over a period of a sine.
    """

    device: MeasuredDevice
    map: StateMap
    reach: tuple[int, int]
    arrived: bool
    steps: dict[tuple[bool, int], np.ndarray]
    disturb: dict[tuple[bool, int], float]
    sweeps: np.ndarray
    drift: np.ndarray
    loops: list[tuple[float, np.ndarray, np.ndarray]]


def check_rise(model: SpiceModel, states: StateMap) -> None:
    """Raise ParameterError unless the conductance rises from 0 S or more over a model's states."""
    siemens, (bottom, top), node = states.conductances, states.states[[0, -1]], model.state_node
    if siemens[0] < 0 or not (np.diff(siemens) > 0).all():
        raise ParameterError(
            f"{model.name}: the conductance must rise over node {node}, from 0 S or more, got "
            f"{siemens[0]:.3g} to {siemens[-1]:.3g} S from {node} = {bottom:.3g} to {top:.3g}: "
            + BOUND_STATE.format(node)
        )


def model_solver(model: SpiceModel, max_step: float) -> Solver:
    """Return the solver, with steps of at most `max_step` s, for cells of a SPICE model.

    Gear, because the trapezoidal rule rings on the currents that hold a state within its bounds.
    """
    return Solver(
        max_step=min(max_step, 1.0),
        reltol=1e-5,
        trtol=7.0,
        chgtol=1e-18,
        abstol=LEAST_CHARGE / min(model.width_up, model.width_down),
        method="gear",
    )


def transient(
    model: SpiceModel,
    states: Sequence[float] | np.ndarray | None,
    drives: Sequence[Sequence[tuple[float, float]]],
    stop: float,
    max_step: float,
    gate: Points | None = None,
    source: str = "",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run memristors side by side, each with a source of its own.

    Parameters
    ----------
    model : SpiceModel
    states : array, cells, or None
        State at t = 0; None: one cell in the subcircuit's default state.
    drives : sequence of points
        Corners (time in s, V) of the source of each cell, or of a single source for all cells.
    stop, max_step : float
        End and longest step in s.
    gate : points, optional
        Corners of the source of all gates; None: a gate conducts.
    source : str
        Voltage source within the subcircuit.

    Returns
    -------
    tuple
        Time in s, states (cells x times), currents in A from row to column (cells x times), or
        those that the `source` gives.

    Raises
    ------
    SimulationError
        ngspice refuses the subcircuit or stops early.
    """
    circuit = Circuit(f"memristors of {model.name}")
    model.add_to(circuit)
    given: list[float | None] = [None] if states is None else [float(state) for state in states]
    for k, state in enumerate(given):
        node = "gate" if gate else "gate_open"
        model.add_cell(circuit, f"cell{k}", f"row{k}", circuit.gnd, state, node)
        add_source(circuit, f"row{k}", drives[k % len(drives)])
    if gate:
        add_source(circuit, "gate", gate)
    nodes = [f"v({model.state_vector(f'cell{k}')})" for k in range(len(given))]
    currents = [f"i(v.xcell{k}.{source})" if source else f"i(vrow{k})" for k in range(len(given))]
    waves = run_once(circuit, model_solver(model, max_step), nodes + currents, stop)
    return waves.time, waves.stack(nodes), -waves.stack(currents)


def write_cells(
    model: SpiceModel,
    states: Sequence[float] | np.ndarray | None,
    up: bool,
    count: int = 1,
    share: float = 1.0,
) -> np.ndarray:
    """Return the states after 0, 1 ... `count` pulses (cells x (`count` + 1)). The pulses go `up`
    or down, with a `share` of the model's voltage.

    `states` are the states before the first pulse. None: one cell in the subcircuit's default
    state.
    """
    at, time, moved, _ = _written(model, states, up, count, share)
    return np.array([np.interp(at, time, state) for state in moved])


def supply_energy(model: SpiceModel, states: np.ndarray) -> float:
    """Return the energy in J that constant sources to ground within a subcircuit give while a pulse
    lasts: mean of both directions over `states`.
    """
    block = model.text.lower().partition(f".subckt {model.subcircuit.lower()} ")[2]
    sources = re.findall(r"(?m)^(v\w+)\s+\w+\s+0\s+([\d.e+-]+)$", block.partition(".ends")[0])
    joules = 0.0
    for (source, volts), up in itertools.product(sources, (True, False)):
        at, time, _, amperes = _written(model, states, up, source=source)
        pulse = (time >= at[0]) & (time <= at[-1] - model.settle)
        joules += float(volts) * np.trapezoid(amperes[:, pulse].mean(axis=0), time[pulse]) / 2
    return joules


def step_spread(model: SpiceModel, state: float, draws: int) -> tuple[float, ...]:
    """Return the relative spread of the steps of `draws` cells whose transistors differ, from one
    `state`, and the spread of what a write in either direction adds, over a step.
    """
    drawn, states = dataclasses.replace(model, mismatch=1), np.full(draws, state)
    up, down = (write_cells(drawn, states, way)[:, -1] - state for way in (True, False))
    mean = np.mean(up - down)
    return tuple(float(np.std(one, ddof=1) / mean) for one in (up - down, up + down))


def _written(
    model: SpiceModel,
    states: Sequence[float] | np.ndarray | None,
    up: bool,
    count: int = 1,
    share: float = 1.0,
    source: str = "",
) -> tuple[np.ndarray, ...]:
    """Return the times in s before and after each pulse of `write_cells`, and the result of
    `transient`.
    """
    volts, width = (
        (model.voltage_up, model.width_up) if up else (model.voltage_down, model.width_down)
    )
    period, settle = PERIOD * width, model.settle
    points = [(0.0, 0.0), *pulse_train(share * volts, width, count, settle)]
    at = settle + period * np.arange(count + 1)
    at[-1] += settle  # what the last pulse still moves
    gate = None
    if model.selects:
        span = model.select_on - model.gate_open
        opened = edges(settle, at[-1] - settle, PULSE_EDGE * width, span)
        gate = [(t, model.gate_open + volt) for t, volt in [(0.0, 0.0), *opened]]
    return at, *transient(model, states, [points], at[-1], width / 10, gate, source)


def pulse_train(volts: float, width: float, count: int, begin: float = 0.0) -> Points:
    """Return the corners (s, V) of `count` equal pulses from `begin` s on, one in each period of
    `PERIOD` widths.

    Edges last `PULSE_EDGE` widths, and at half of its height each pulse is `width` s long.
    """
    points: Points = []
    for k in range(count):
        at = begin + k * (PERIOD * width) + 0.05 * width
        points += edges(at, width, PULSE_EDGE * width, volts)
    return points


def read_cells(
    model: SpiceModel, states: Sequence[float] | np.ndarray, volts: Sequence[float] = ()
) -> np.ndarray:
    """Return the conductance i/V in S (array, cells) of a cell in each of the `states` (cells). V
    is the model's read voltage; `volts` gives each state a voltage of its own, so it has as many
    values as `states`.
    """
    levels = np.array(volts or [model.read_voltage])
    stop = max(0.1 * min(model.width_up, model.width_down), model.settle)
    return (
        transient(model, states, [[(0.0, volt), (stop, volt)] for volt in levels], stop, stop / 5)[
            2
        ][:, -1]
        / levels
    )


def ends(model: SpiceModel) -> tuple[list[float], list[int], bool]:
    """Return the states at the ends of a sweep down and a sweep up, the numbers of pulses of both
    sweeps, and True if further pulses hardly change these states.

    Raises ParameterError if pulses change nothing or the wrong way, or the initial parameter does
    not set the state.
    """
    default = state = write_cells(model, None, up=True)[0, 0]
    ends, counts, changes, all_arrived = [], [], [], True
    wanted = 0.9 * state or 0.1
    if abs((started := write_cells(model, [wanted], up=True)[0, 0]) - wanted) > 0.1 * abs(wanted):
        cure = "; ngspice resolves 1 uV, so let the state be about 1, in nm for example"
        raise ParameterError(
            f"{model.name}: parameter {model.initial_parameter} does not set node "
            f"{model.state_node} at t = 0: {wanted:g} gives {started:g}"
            f"{cure if abs(wanted) < 1e-4 else ''}"
        )
    for up in (False, True):
        begin, arrived = read_cells(model, [state])[0], False
        last = begin
        for block in range(1, MOST_BLOCKS + 1):
            state = write_cells(model, [state], up, BLOCK)[0, -1]
            now = read_cells(model, [state])[0]
            arrived = abs(now - last) <= ARRIVED * abs(now - begin)
            if arrived or (block == 1 and abs(now - last) < LEAST_CHANGE * abs(last)):
                break
            last = now
        ends.append(float(state))
        counts.append(block * BLOCK)
        all_arrived &= arrived
        changes.append((now - begin) / abs(begin))

    def rise(start: float) -> float:
        first, last = read_cells(model, write_cells(model, [start], True, BLOCK)[0, [0, -1]])
        return float((last - first) / abs(first))

    (down, change), volts, width = changes, model.voltage_up, model.width_up
    both = "lower" if max(changes) < -LEAST_CHANGE else ""
    if down > LEAST_CHANGE and rise(default) > LEAST_CHANGE:
        both = "raise"
    if both:
        raise ParameterError(
            f"{model.name}: pulses of {volts:g} V and of {model.voltage_down:g} V both {both} the "
            f"conductance: multiply the rate of {model.state_node} by sgn(v(row,column)) if the "
            "device is bipolar; others cannot learn here"
        )
    if abs(change) < LEAST_CHANGE:
        middle, node = (default + ends[0]) / 2, model.state_node
        idle = write_cells(model, [middle], True, share=0.0)[0, -1]
        cure = "give the model file other voltages or widths"
        if abs(idle - middle) > 0.1 * abs(middle):
            cure = (
                f"the device forgets: without voltage {node} goes from {middle:.2g} to {idle:.2g} "
                f"in {PERIOD * width:.2g} s"
            )
        elif abs(ends[1] - ends[0]) > 0.01 * abs(default - ends[0]):
            cure = (
                f"{node} has gone to {ends[0]:.2g}, beyond the end of the conductance: "
                + BOUND_STATE.format(node)
            )
        elif abs(rise(middle)) >= LEAST_CHANGE:
            cure = (
                f"{node} moves from {middle:.2g}, but is stuck at its bound "
                f"{ends[0]:.2g} (boundary lock); give the state {TURNING_WINDOW}"
            )
        raise ParameterError(
            f"{model.name}: {counts[-1]} pulses of {volts:g} V and {width:g} s change the "
            f"conductance by {abs(change):.1g} of itself: {cure}"
        )
    if change < 0:
        raise ParameterError(
            f"{model.name}: pulses of {volts:g} V lower the conductance: give the model file the "
            "other row_pin"
        )
    return ends, counts, all_arrived


def retention(model: SpiceModel, states: StateMap) -> Fields:
    """Return the time constant `retention` in s and the `rest` with which x relaxes without voltage
    (`Aging.aged`), both 0.0 if x loses less than `FORGOTTEN` in a short training.
    `states` converts states to x.

    The law is fitted to reads over times from `LONGER` trainings down to those in which x hardly
    changes, so that decays of any speed have many points.
    """
    stop = PRESENTATIONS * max(model.width_up, model.width_down, PRESENTATION)
    shortest, starts = min(model.width_up, model.width_down), np.array(STARTS)[:, None]

    def lose(stop: float) -> tuple[np.ndarray, np.ndarray]:
        grid = np.linspace(0, stop, 51)[1:]
        time, moved, _ = transient(
            model, states.state(np.array(STARTS)), [[(0.0, 0.0)]], stop, stop / 50
        )
        return grid, np.array([np.interp(grid, time, row) for row in states.share(moved)])

    if np.abs(lose(stop)[1] - starts).max() < FORGOTTEN:
        return {"retention": 0.0, "rest": 0.0}
    longest = stop = LONGER * stop
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    while stop > shortest and not (
        parts and np.abs(parts[-1][1][:, -1:] - starts).max() < FORGOTTEN
    ):
        parts.append(lose(stop))
        stop /= 10
    seconds, x = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))

    def fit(tau: float) -> tuple[float, float, float]:
        kept = np.exp(-seconds / tau)
        changed = x - starts * kept
        rest = np.clip((changed * (1 - kept)).sum() / (len(x) * ((1 - kept) ** 2).sum()), 0, 1)
        return float(((changed - rest * (1 - kept)) ** 2).sum()), tau, float(rest)

    _, tau, rest = min(map(fit, np.geomspace(shortest, longest, FITS).tolist()))
    return {"retention": tau, "rest": rest}


def characterise(
    model: SpiceModel, source: str = "", path: str = "", phase: Callable[[str], object] = str
) -> Characterisation:
    """Return the curves of a SPICE model, measured in ngspice.

    A sweep of pulses goes from the subcircuit's default state down to a bound, which is x = 0. A
    sweep up from there ends at x = 1.

    Parameters
    ----------
    model : SpiceModel
    source : str
        Origin of the device, for its file.
    path : str
        Path of the model file, which the device's file names.
    phase : callable
        Called with the name of each phase when it begins, e.g. for a progress bar.

    Raises
    ------
    ParameterError
        Pulses change nothing or the wrong way, the state leaves its range, or the initial parameter
        does not set the state.
    SimulationError
        ngspice refuses the subcircuit or stops early.
    """
    phase("ends of the range")
    (bottom, top), reach, arrived = ends(model)
    phase("conductance of each state")
    fine = np.linspace(bottom, top, 129)
    states = StateMap(fine, read_cells(model, fine))
    for _ in range(HALVINGS):
        jumps = np.flatnonzero(np.diff(states.conductances) > JUMP * np.ptp(states.conductances))
        if not jumps.size:
            break
        fine = np.insert(fine, jumps + 1, (fine[jumps] + fine[jumps + 1]) / 2)
        states = StateMap(fine, read_cells(model, fine))
    low, high = states.conductances[[0, -1]]
    check_rise(model, states)
    grid = states.state(GRID)
    steps, cut = {}, {}
    phase("steps of each state")
    for up in (True, False):
        for part in (1, 2, 3):
            after = write_cells(model, grid, up, share=1 / part)[:, -1]
            before_x, after_x = (
                (read_cells(model, np.concatenate([grid, after])) - low) / (high - low)
            ).reshape(2, -1)
            steps[up, part] = np.interp(GRID, before_x, after_x - before_x)
            if part == 1:
                cut[up] = after_x > 1 - BOUND if up else after_x < BOUND
                # if one pulse goes the whole way from any x, its steps are right
                cut[up] &= not cut[up].all()
    curves = {up: _uncut(steps[up, 1] * (1 if up else -1), cut[up], up) for up in (True, False)}
    if BLOCK * max(curves[False]) < LEAST_CHANGE:
        raise ParameterError(
            f"{model.name}: pulses of {model.voltage_down:g} V and {model.width_down:g} s do not "
            "lower the conductance: give the model file another voltage or width for 'down'"
        )
    disturb = {
        (up, part): float(steps[up, part][~cut[up]].sum() / steps[up, 1][~cut[up]].sum())
        for up in (True, False)
        for part in (2, 3)
    }
    selected: Fields = {
        f"{part}_{side}": float(np.clip(disturb[up, share], 0, 1))
        for side, up in (("up", True), ("down", False))
        for part, share in (("half", 2), ("third", 3))
    }
    device = MeasuredDevice(
        lowest_conductance=low,
        highest_conductance=high,
        up=curves[True],
        down=curves[False],
        **described(model, float(grid[0]), float(grid[-1]), source, path),
        **selected,
        supply_energy=supply_energy(model, grid[4::8]) if model.selects else 0.0,
    )

    phase("sweeps of pulses")
    potentiated = write_cells(model, np.interp(STARTS, GRID, grid), True, BLOCK)
    depressed = write_cells(model, potentiated[:, -1], False, BLOCK)
    moved, pulses = np.hstack([potentiated, depressed[:, 1:]]), np.arange(BLOCK + 1)
    x = states.share(moved)
    misfit = max(
        np.abs(device.after(x[:, :1], pulses) - x[:, : BLOCK + 1]).max(),
        np.abs(device.after(x[:, BLOCK : BLOCK + 1], pulses, False) - x[:, BLOCK:]).max(),
    )

    phase("reads, I-V loops and time without voltage")
    stop = READS * model.width_up
    _, held, _ = transient(
        model, grid, [[(0.0, model.read_voltage), (stop, model.read_voltage)]], stop, stop / 50
    )
    drift = states.share(held[:, -1]) - GRID
    loops = [
        (period, *loop(model, float(grid[len(grid) // 2]), period, period / 200))
        for period in np.array([1.0, 0.1]) * BLOCK * (model.width_up + model.width_down)
    ]
    return Characterisation(
        dataclasses.replace(device, misfit=min(float(misfit), 1.0), **retention(model, states)),
        states,
        (reach[0], reach[1]),
        arrived,
        steps,
        disturb,
        states.conductance(moved),
        drift,
        loops,
    )


def described(model: SpiceModel, low: float, high: float, source: str, path: str) -> Fields:
    """Return the fields that devices with and without a gate share: name, pulses, read curve and
    origin. `low`, `high`: its
    states at the ends of the range; other arguments are as in `characterise`.
    """
    volts = [*(model.read_voltage * np.maximum(np.linspace(0, 1, 9), 0.01))]
    # Differences of cells make weights, so the range counts: what all states have in common
    # cancels.
    bend = read_cells(model, [high] * 9, volts) - read_cells(model, [low] * 9, volts)
    pulses = ("name", "read_voltage", "voltage_up", "width_up", "voltage_down", "width_down")
    return {
        **{name: getattr(model, name) for name in pulses},
        "read_curve": tuple((bend / bend[-1]).tolist()),
        "source": source,
        "model": path,
        "model_sha256": model.sha256,
    }


def loop(
    model: SpiceModel, state: float, period: float, max_step: float, gate: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return an I-V loop of a cell that starts at `state`, under a sine of this `period` in s. The
    arrays have the voltage in V and the current in A during the second period.

    The sine's amplitudes are the voltages of the pulses. `max_step`: longest step in s. `gate`:
    voltage in V of the cell's gate while the row is positive; otherwise it is the gate's voltage of
    reads.
    """
    time = np.linspace(0, 2 * period, 401)
    sine = np.sin(2 * np.pi * time / period)
    volts = sine * np.where(sine > 0, model.voltage_up, -model.voltage_down)
    drives = [list(zip(time.tolist(), volts.tolist(), strict=True))]
    opened = [(0.0, model.select_on), (period, model.select_on)] if model.selects else None
    if gate is not None:
        gates = np.where(volts > 0, gate, model.gate_open)
        opened = list(zip(time.tolist(), gates.tolist(), strict=True))
    at, _, current = transient(model, [state], drives, 2 * period, max_step, opened)
    second = time >= period
    return volts[second], np.interp(time[second], at, current[0])


def _uncut(steps: np.ndarray, cut: np.ndarray, up: bool) -> tuple[float, ...]:
    """Return `steps` (points of `GRID`) as a tuple. Steps that the bound cuts off (True in `cut`)
    get new values: on the straight line through the last two whole steps, but not below 0. `up`:
    direction of the pulses.
    """
    whole = np.flatnonzero(~cut)
    if len(whole) >= 2 and cut.any():
        a, b = whole[-2:] if up else whole[1::-1]
        steps = np.where(
            cut, steps[b] + (np.arange(len(steps)) - b) * (steps[b] - steps[a]) / (b - a), steps
        )
    return tuple(np.maximum(steps, 0.0).tolist())


STATE = "xcell.gate"  # ngspice's name of the cell's state


def one_cell(
    parameters: MemristorParameters, phi_voltage: float, initial_state: float, title: str
) -> Circuit:
    """Return a netlist with one cell between the nodes `input` and `neuron`; `neuron` is at 0 V.

    The caller adds the sources at `input` and `phi`.

    Parameters
    ----------
    parameters : MemristorParameters
    phi_voltage : float
        Highest phi in V.
    initial_state : float
        X at t = 0 in V.
    title : str

    Raises
    ------
    ParameterError
        `phi_voltage` is too low to close the write switch.
    """
    if not phi_voltage > parameters.switch_threshold:
        raise ParameterError(
            f"phi_voltage must exceed switch_threshold, got {phi_voltage:g} V and "
            f"{parameters.switch_threshold:g} V"
        )
    circuit = Circuit(title)
    Memristor(parameters).add_to(circuit)
    circuit.X("cell", "memristor", "neuron", "input", "phi", x0=initial_state)
    circuit.V("neuron", "neuron", circuit.gnd, 0)
    return circuit
