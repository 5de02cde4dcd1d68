"""Evidence for docs/devices.md: the circuit of a pair that is refreshed obeys its law.

Pairs of devices with one gradual direction: pulses and refreshes of a column in one transient of
ngspice.

Each write gives the cells that are due a gradual pulse, on G+ or on G-. Then the circuit decides by
itself, cell by cell. Comparators look whether a device has run out of room. If one has, a capacitor
holds the difference of the pair's currents, both devices get the abrupt pulse, and a number of
trimming phases follows. Each of these reads the difference again, and switches connect one of the
devices to the gradual pulse if the difference is off by more than the tolerance. The phases go to
all cells, so nothing outside a cell reads its state.

The law of the closed form (memristive.writing.one_sided) draws the random steps first. Each device
in ngspice gets the same numbers, and makes them of its own state and by its own switches: where the
law has no pulse, a wrong decision would add the mean step. Writes results/devices/refresh_cell.json
and figures/refresh_cell.png in a minute.
"""

from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PySpice.Spice.Netlist import Circuit

from memristive.cli.script import Record, make_parser, print_rows, run
from memristive.devices.measured_device import MeasuredDevice, emulator, load_device
from memristive.learning.settings import measured_pulses
from memristive.network.design import edges
from memristive.plotting import BLUE, GREY, VERMILLION, WIDTH
from memristive.spice.session import Solver, Waveforms, run_once
from memristive.writing.one_sided import ABRUPT, GRADUAL, phases, sided_arrays
from studies.late_cell import at

PHASE, EDGE = 1e-6, 1e-8  # s: of a pulse or a read, and its edges
TRIMS = 20  # trimming phases of a write, as many as the law's
# s, time constants of an abrupt pulse, and of a capacitor that takes a voltage
ABRUPT_TIME, HOLD_TIME = PHASE / 40, PHASE / 40
MEMORY = 1e-12  # F, of all held voltages; 1 V stands for x = 1
SIDES = ("plus", "minus")
SOLVER = Solver(max_step=2e-7, reltol=1e-5, chgtol=1e-20, abstol=1e-16, method="gear")


@dataclass(frozen=True)
class Course:
    """Course of all writes by the law.

    `due` (writes x cells): True if a cell is due. `signs`: of the writes. `kinds` (writes x phases
    x 2 x cells): of the pulses in each phase, which are that of the dose, the abrupt pulse, and the
    trims. `values`: change of x by a gradual pulse, x after an abrupt one. `states` (writes x 2 x
    cells): after each write.
    """

    due: np.ndarray
    signs: np.ndarray
    kinds: np.ndarray
    values: np.ndarray
    states: np.ndarray


def main(arguments: list[str] | None = None) -> None:
    """Write by the law and in ngspice, compare, save, print, plot."""
    options = make_parser(__doc__, "devices", parameters=False).parse_args(arguments)
    device, solver = load_device("generic-pcm"), SOLVER.as_dict()
    size = {"cells": 3, "writes": 160, "seed": 1}
    known = {"experiment": size, "device": device.name, "solver": solver}
    record = Record(options, "refresh_cell", known)
    course = by_law(device, **size)
    results, waves = compared(device, course)
    record.write(results)
    print_rows([results])
    record.plot(course_figure(waves, course))


def compared(device: MeasuredDevice, course: Course) -> tuple[dict[str, Any], Waveforms]:
    """Run the circuit in ngspice, with the steps of the law, while it decides by itself. Return the
    numbers of pulses, refreshes and trims by the law, the number of pulses that are otherwise, and
    the largest deviation of a state; and the waveforms.
    """
    writes, cells = course.due.shape
    nodes, chosen = (
        [f"{kind}_{side}_{i}" for side in SIDES for i in range(cells)] for kind in ("x", "chosen")
    )
    waves = run_once(netlist(device, course), SOLVER, nodes + chosen, period() * writes)
    ends = period() * (np.arange(writes) + 1) - PHASE / 2
    states = at(waves, nodes, ends).reshape(course.states.shape)
    middles = period() * np.arange(writes)[:, None] + pulse_times()
    found = at(waves, chosen, middles.ravel()).reshape(course.kinds.shape) > 0.5
    return {
        "pulses": int((course.kinds > 0).sum()),
        "refreshes": int((course.kinds == ABRUPT).sum() // 2),
        "trims": int((course.kinds[:, 2:] == GRADUAL).sum()),
        "pulses_otherwise": int((found != (course.kinds > 0)).sum()),
        "x_deviation": float(np.abs(states - course.states).max()),
    }, waves


def settings_of(device: MeasuredDevice) -> Any:
    """Return the pulses of a device with one gradual direction."""
    return measured_pulses(emulator(device), late=True)


def by_law(device: MeasuredDevice, cells: int, writes: int, seed: int) -> Course:
    """Return the course of the writes by the functions of the closed form. All pairs start with the
    state of an abrupt pulse.
    """
    sided, rng = sided_arrays(settings_of(device)), np.random.default_rng(seed)
    signs = np.where(rng.random(writes) < 0.6, 1, -1)
    due = rng.random((writes, cells)) < 0.7
    shape = (writes, 2 + TRIMS, 2, cells)
    kinds, values, states = np.zeros(shape, int), np.zeros(shape), []
    x, ones = np.full((2, cells), start(device)), np.ones((2, cells))
    for k, sign in enumerate(signs):
        order = [0, 1] if sign * sided.sign > 0 else [1, 0]
        own, numbers = x[order], due[k].astype(float)
        before = own.copy()
        course = phases(sided, own, numbers, ones, rng, np.copy)
        for phase, (of_phase, after) in enumerate(course):
            kinds[k, phase][order] = of_phase
            values[k, phase][order] = after if phase == 1 else after - before
            before = after.copy()
        x[order] = own
        states.append(x.copy())
    return Course(due, signs, kinds, values, np.array(states))


def start(device: MeasuredDevice) -> float:
    """Return the state after a typical abrupt pulse."""
    assert device.one_sided
    return float(np.median(device.one_sided.abrupt))


def begins() -> dict[str, np.ndarray]:
    """Return the times in s at which the phases of a write begin, by name: one dose, check and
    abrupt pulse, then a read and a pulse for each trim.
    """
    names = ["dose", "check", "abrupt", *(name for _ in range(TRIMS) for name in ("read", "trim"))]
    times = PHASE * (0.5 + 1.5 * np.arange(len(names)))
    return {name: times[[k for k, of in enumerate(names) if of == name]] for name in set(names)}


def period() -> float:
    """Return the time in s from one write to the next."""
    return PHASE * 1.5 * (3 + 2 * TRIMS + 1)


def pulse_times() -> np.ndarray:
    """Return the middles in s of the phases with pulses, in the order of `Course`."""
    of = begins()
    return np.concatenate([of["dose"], of["abrupt"], of["trim"]]) + PHASE / 2


def netlist(device: MeasuredDevice, course: Course) -> Circuit:
    """Return the circuit of a column of pairs.

    Nodes of pair i: x_plus_i, x_minus_i (states), chosen_plus_i, chosen_minus_i (1 V: connected to
    the pulse of this phase), refresh_i (1 V: the pair is being refreshed), kept_i (difference
    before), low_plus_i, low_minus_i (1 V: the device needs a further pulse, as read last).
    """
    settings, circuit, of = settings_of(device), Circuit("pairs that are refreshed"), begins()
    sign = settings.one_sided.sign
    writes, cells = course.due.shape
    offsets = period() * np.arange(writes)

    def source(name: str, times: Any, width: float = PHASE) -> None:
        """Add a source that is at 1 V for a `width` from each of the `times` in s on."""
        points = [(0.0, 0.0)]
        for time in times:
            points += edges(float(time), width - EDGE, EDGE, 1.0)
        circuit.PieceWiseLinearVoltageSource(name, name, circuit.gnd, values=points)

    def held(node: str, phase: str, value: str) -> None:
        """Add a capacitor at `node` that takes the `value` while `phase` is high."""
        current = f"{MEMORY / HOLD_TIME!r}*v({phase})*({value}-v({node}))"
        circuit.B(node, circuit.gnd, node, current_expression=current)
        circuit.C(node, node, circuit.gnd, MEMORY)

    for name, times in of.items():
        source(name, np.add.outer(offsets, times).ravel())
    limit, tolerance = settings.refresh_at, settings.tolerance
    for i in range(cells):
        room = [f"(1-v(x_{side}_{i}))" if sign > 0 else f"v(x_{side}_{i})" for side in SIDES]
        difference = f"(v(x_plus_{i})-v(x_minus_{i}))"
        written = f"(v(due_plus_{i})+v(due_minus_{i}))"
        held(f"refresh_{i}", "check", f"{written}*u({limit!r}-min({room[0]},{room[1]}))")
        held(f"kept_{i}", "check", difference)
        # G+ gets the pulses of writes of one sign, G- those of the other
        for side, way, own in zip(SIDES, (sign, -sign), room, strict=True):
            times = offsets[course.due[:, i] & (course.signs == way)] + of["dose"] - PHASE / 4
            source(f"due_{side}_{i}", times, 3 * PHASE)
            low = f"u({way}*(v(kept_{i})-{difference})-{tolerance!r})*u({own}-{limit!r})"
            held(f"low_{side}_{i}", "read", low)
            pulses = f"v(abrupt)*v(refresh_{i})+v(trim)*v(refresh_{i})*v(low_{side}_{i})"
            node = f"chosen_{side}_{i}"
            expression = f"v(dose)*v(due_{side}_{i})+{pulses}"
            circuit.B(node, node, circuit.gnd, voltage_expression=expression)
            add_device(circuit, device, course, side, i)
    return circuit


def add_device(circuit: Circuit, device: MeasuredDevice, course: Course, side: str, i: int) -> None:
    """Add a device of a pair. While it is chosen, x moves by the step that is prescribed for this
    phase, or, in the abrupt pulse, to the prescribed state. Where the law has no pulse, these are
    the mean step and the state of a typical abrupt pulse.
    """
    k, name = SIDES.index(side), f"{side}_{i}"
    assert device.one_sided
    usual = np.full(2 + TRIMS, device.one_sided.sign * device.one_sided.mean_step)
    usual[1] = start(device)
    values = np.where(course.kinds > 0, course.values, usual[:, None, None])[:, :, k, i]
    points = [(0.0, 0.0)]
    for write, of_write in enumerate(values):
        for time, value in zip(pulse_times() - 0.6 * PHASE, of_write, strict=True):
            points += edges(write * period() + time, 1.2 * PHASE - EDGE, EDGE, float(value))
    circuit.PieceWiseLinearVoltageSource(f"next_{name}", f"next_{name}", circuit.gnd, values=points)
    circuit.B(
        f"x_{name}",
        circuit.gnd,
        f"x_{name}",
        current_expression=f"v(chosen_{name})*({MEMORY / (PHASE - EDGE)!r}*v(next_{name})"
        f"*(1-v(abrupt))+{MEMORY / ABRUPT_TIME!r}*v(abrupt)*(v(next_{name})-v(x_{name})))",
    )
    circuit.C(f"x_{name}", f"x_{name}", circuit.gnd, MEMORY, initial_condition=start(device))


def course_figure(waves: Waveforms, course: Course) -> Figure:
    """Draw both states of the first pair over the writes, and their difference with that of the
    law.
    """
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 4.4), sharex=True)
    plus, minus = (waves[f"x_{side}_0"] for side in SIDES)
    time = waves.time / period()
    for x, side, colour in ((plus, "+", VERMILLION), (minus, "-", BLUE)):
        upper.plot(time, x, color=colour, label=f"G{side}", linewidth=1.0)
    upper.set(ylabel="x", title="Both devices of a pair move one way until they are refreshed")
    upper.legend()
    lower.plot(time, plus - minus, color=GREY, linewidth=1.0, label="ngspice")
    ends = np.arange(len(course.states)) + 1
    lower.plot(ends, course.states[:, 0, 0] - course.states[:, 1, 0], "k.", label="law")
    lower.set(xlabel="write", ylabel="difference of x", title="The weight goes both ways")
    lower.legend()
    return figure


if __name__ == "__main__":
    run(main)
