"""The STDP window of one memristor: a pre pulse at the input, a phi window that a post spike opens, over their difference."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PySpice.Spice.Netlist import Circuit

from memristive.cli.command_line import draw, netlist_of, write_netlist
from memristive.io.claims import claimed
from memristive.io.results import results_path, write_results
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristive.spice.session import NgspiceSession, Solver, netlist_text
from memristor import MemristorParameters, state_rate
from plotting import VERMILLION, WIDTH, cross
from studies.single_cell import STATE, one_cell

STDP_SOLVER = Solver(max_step=200e-6)
STEEP = 1e-2  # of the window, an edge of phi: ngspice closes the switch within a thousandth of the window, whatever its step
FINE, MOST_STEPS = 1e-3, 20_000  # of the window, the step at slower edges; and the most steps of a transient for it
LEAKED = 5e-3  # of the largest change, what the leak may take of X in a window without being spoken of


@dataclass(frozen=True)
class StdpExperiment(Parameters):
    """One pre pulse at D, positive with a negative tail, and a phi window that a post spike opens; S at 0 V.

    X integrates what of the pre pulse falls into the window. With these defaults a post spike that coincides with the
    pre pulse potentiates, one that falls into the tail depresses, and one that comes after the tail, or so early that
    its window closes before the pulse, changes nothing. In the order of Bi and Poo (J. Neurosci. 18, 1998) early post
    spikes depress and later ones potentiate. No pulse that is positive first gives that: of all windows that meet it,
    the earliest meet its positive part alone. The other polarity, -1 V with a tail of 0.5 V, gives it.
    """

    pre_voltage: float = quantity(1.0, -10.0, 10.0, "V", "first part of the pre pulse")
    pre_duration: float = quantity(2e-3, 1e-6, 1.0, "s", "length of the first part")
    tail_voltage: float = quantity(-0.5, -10.0, 10.0, "V", "tail of the pre pulse")
    tail_duration: float = quantity(4e-3, 1e-6, 1.0, "s", "length of the tail")
    phi_voltage: float = quantity(1.2, 1e-3, 100.0, "V", "control voltage phi in the window of a post spike")
    phi_window: float = quantity(2e-3, 1e-6, 1.0, "s", "length of the window, from the post spike on")
    rise: float = quantity(10e-6, 1e-9, 1e-2, "s", "duration of each edge")
    initial_state: float = quantity(3.0, 0.0, 1e6, "V", "X before the pairing")
    largest_difference: float = quantity(10e-3, 1e-6, 1.0, "s", "t_post - t_pre goes from minus this to this")
    pairings: int = quantity(41, 2, 10001, "", "number of time differences")

    def check(self) -> None:
        shortest = min(self.pre_duration, self.tail_duration, self.phi_window)
        if not self.rise < shortest:
            raise ParameterError(f"rise must be below every duration, got {self.rise:g} s and {shortest:g} s")

    @property
    def differences(self) -> np.ndarray:
        """The time differences t_post - t_pre in s."""
        return np.linspace(-self.largest_difference, self.largest_difference, self.pairings)

    @property
    def pre_time(self) -> float:
        """When the pre pulse starts, in s: late enough for the earliest window."""
        return self.largest_difference + 2 * self.rise

    @property
    def duration(self) -> float:
        """Length of each transient in s: until after the latest window and the tail."""
        return self.pre_time + self.largest_difference + max(
            self.phi_window, self.pre_duration + self.tail_duration) + 2 * self.rise

    def pre_pulse(self) -> tuple[list[float], list[float]]:
        """Corners of the pre pulse, as (times in s after t_pre, voltages in V)."""
        change, end = self.pre_duration, self.pre_duration + self.tail_duration
        times = [0.0, self.rise, change, change + self.rise, end, end + self.rise]
        return times, [0.0, self.pre_voltage, self.pre_voltage, self.tail_voltage, self.tail_voltage, 0.0]

    def post_window(self, difference: float, threshold: float) -> list[tuple[float, float]]:
        """Corners (s, V) of phi: above the switch's `threshold` (V) from t_post on for exactly `phi_window`."""
        opens = self.pre_time + difference
        closes = opens + self.phi_window
        before = self.rise * threshold / self.phi_voltage
        after = self.rise - before
        return [(opens - before, 0.0), (opens + after, self.phi_voltage),
                (closes - after, self.phi_voltage), (closes + before, 0.0)]


def stdp_solver(experiment: StdpExperiment) -> Solver:
    """The solver for a window's edges: at slow ones the switch closes up to a step late, and the trapezoidal rule may not end."""
    if experiment.rise <= STEEP * experiment.phi_window:
        return STDP_SOLVER
    step = max(FINE * experiment.phi_window, experiment.duration / MOST_STEPS)
    return Solver(max_step=min(STDP_SOLVER.max_step, step), method="gear")


def check_edges(experiment: StdpExperiment, parameters: MemristorParameters) -> None:
    """Raise ParameterError if phi's edges are so slow that it would have to fall before it has risen."""
    most = experiment.phi_window / 2 / (1 - parameters.switch_threshold / experiment.phi_voltage)
    if not experiment.rise < most:
        raise ParameterError(f"rise must be below {most:.3g} s, or phi would have to fall before it has risen in a phi_window of "
                             f"{experiment.phi_window:g} s, got {experiment.rise:g} s")


def stdp_state_change(parameters: MemristorParameters, spike: tuple[Sequence[float], Sequence[float]], phi_window: float,
                      difference: ArrayLike) -> np.ndarray:
    """Closed form of the STDP window in V: what a pre spike adds to X while a post spike, `difference` s later, writes.

    `spike` is the pre spike's shape as (times in s, voltages in V), 0 V before and after; `phi_window` in s,
    `difference` t_post - t_pre in s (any shape). Integrates the piecewise-linear spike exactly, for a state that stays
    above Vto (the gate's capacitance falls below); leaves out the leak, which takes 0.06 % of X in 2 ms.
    """
    times, voltages = np.asarray(spike, float)

    def charge(until: np.ndarray) -> np.ndarray:
        inside = np.clip(np.asarray(until)[..., None], times[:-1], times[1:])
        return ((inside - times[:-1]) * (voltages[:-1] + np.interp(inside, times, voltages)) / 2).sum(axis=-1)

    start = np.asarray(difference, float)
    return state_rate(parameters, 1.0) * (charge(start + phi_window) - charge(start))


def stdp_circuit(parameters: MemristorParameters, experiment: StdpExperiment, difference: float) -> Circuit:
    """Netlist that pairs the pre pulse with a post spike `difference` s later (t_post - t_pre)."""
    circuit = one_cell(parameters, experiment.phi_voltage, experiment.initial_state,
                        f"memristor STDP experiment, t_post - t_pre = {difference:g} s")
    times, voltages = experiment.pre_pulse()
    pre = [(0.0, 0.0), *((experiment.pre_time + t, v) for t, v in zip(times, voltages, strict=True))]
    phi = [(0.0, 0.0), *experiment.post_window(difference, parameters.switch_threshold)]
    circuit.PieceWiseLinearVoltageSource("input", "input", circuit.gnd, values=pre)
    circuit.PieceWiseLinearVoltageSource("phi", "phi", circuit.gnd, values=phi)
    return circuit


def stdp_experiment(session: NgspiceSession, parameters: MemristorParameters, experiment: StdpExperiment) -> np.ndarray:
    """Measure the change of X in V for each of `experiment.differences` (array). Raises SimulationError."""
    loaded = session.load(stdp_circuit(parameters, experiment, 0.0), stdp_solver(experiment), [STATE])
    changes = []
    for difference in experiment.differences:
        window = experiment.post_window(difference, parameters.switch_threshold)
        loaded.alter({"vphi pwl": np.ravel([(0.0, 0.0), *window])})
        changes.append(loaded.run(experiment.duration)[STATE][-1] - experiment.initial_state)
    session.unload(loaded)
    return np.array(changes)


def run_stdp(arguments: argparse.Namespace, parameters: MemristorParameters, experiment: StdpExperiment) -> None:
    made_with = {"memristor": parameters.as_dict(), "experiment": experiment.as_dict()}
    with claimed([(results_path(arguments.figures, "memristor_stdp"), made_with)], netlist_of(arguments), arguments.force):
        write_netlist(arguments.netlist, lambda: netlist_text(
            stdp_circuit(parameters, experiment, 0.0), stdp_solver(experiment), experiment.duration,
            print_nodes=["v(input)", "v(phi)", f"v({STATE})"]))
        session = NgspiceSession()
        differences, measured = experiment.differences, stdp_experiment(session, parameters, experiment)
        exact = stdp_state_change(parameters, experiment.pre_pulse(), experiment.phi_window, differences)
        results = {"differences_s": differences, "measured_V": measured, "closed_form_V": exact,
                   "deviation_V": np.abs(measured - exact).max()}
        print(f"wrote {write_results(arguments.figures, 'memristor_stdp', session, made_with, results)}")
        _report_stdp(arguments, parameters, experiment, results)


def _report_stdp(arguments: argparse.Namespace, parameters: MemristorParameters, experiment: StdpExperiment,
                 results: dict[str, Any]) -> None:
    differences, measured, exact = (results[key] for key in ("differences_s", "measured_V", "closed_form_V"))
    print(f"STDP: {experiment.pairings} pairings from X = {experiment.initial_state:g} V, "
          f"K = {parameters.transconductance:g} S")
    for name, k in (("highest", np.argmax(measured)), ("lowest", np.argmin(measured))):
        print(f"{name:<8}change of X {measured[k]:+8.4f} V at t_post - t_pre = {differences[k] * 1e3:+.3g} ms, "
              f"closed form {exact[k]:+8.4f} V")
    left_out = _left_out(parameters, experiment, exact)
    print(f"largest deviation from the closed form {results['deviation_V'] * 1e3:.2g} mV" + f" ({left_out})" * bool(left_out))
    fine = np.linspace(differences[0], differences[-1], 2001)
    draw(arguments, "memristor_stdp", window_figure, differences, measured, fine,
         stdp_state_change(parameters, experiment.pre_pulse(), experiment.phi_window, fine))


def _left_out(parameters: MemristorParameters, experiment: StdpExperiment, exact: np.ndarray) -> str:
    """What the closed form's changes (V) do not know of this cell; "": nothing that matters."""
    forgets = parameters.write_time_constant
    found, highest = [], experiment.initial_state + max(0.0, exact.max())
    leaked = -highest * np.expm1(-experiment.phi_window / forgets)
    if leaked > LEAKED * np.abs(exact).max():
        found.append(f"it leaves the leak out, by which X falls within {forgets:.2g} s: by up to {leaked:.2g} V in a window")
    if experiment.initial_state + min(0.0, exact.min()) < parameters.threshold_voltage:
        found.append("it does not know that below Vto the gate's capacitance is another")
    return "; ".join(found)


def window_figure(differences: np.ndarray, measured: np.ndarray, closed_form_differences: np.ndarray,
                  closed_form: np.ndarray) -> Figure:
    """STDP window: change of X (V) against t_post - t_pre (s), measured points and the closed form's curve."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.8))
    axis.plot(np.asarray(closed_form_differences) * 1e3, closed_form, label="closed form")
    axis.plot(np.asarray(differences) * 1e3, measured, "o", color=VERMILLION, markersize=4.5, label="ngspice")
    cross(axis)
    axis.set(xlabel="t_post − t_pre (ms): right of 0 the post spike comes later", ylabel="change of the state X (V)",
             title="STDP window of one memristor")
    axis.legend()
    return figure
