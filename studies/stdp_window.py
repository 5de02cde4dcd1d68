"""STDP window of one memristor: the change of its state against the time between a pre and a post spike.

A pre spike is a pulse at the input, positive with a negative tail. A post spike opens phi for a window, in which the memristor
integrates the pulse. `python memristor.py --stdp` measures the window in ngspice, beside the closed form. It takes about 2 s
and writes results/memristor_stdp.json and figures/memristor_stdp.png.
"""

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PySpice.Spice.Netlist import Circuit

import plotting
from memristive.cli.options import apply_settings, table
from memristive.cli.progress import write_netlist
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.single_layer.operating_range import OperatingRangeWarning
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristive.spice.session import NgspiceSession, Solver, netlist_text
from memristor import MemristorParameters, state_rate
from studies.single_cell import STATE, one_cell

STDP_SOLVER = Solver(max_step=200e-6)
STEEP = 1e-2  # edges of phi up to this share of the window need no shorter steps
FINE, MOST_STEPS = 1e-3, 20_000  # step at slower edges as a share of the window, and the most steps of a transient
LEAKED = 5e-3  # share of the largest change that may leak within a window


@dataclass(frozen=True)
class StdpExperiment(Parameters):
    """One pre pulse at D, positive with a negative tail, and a phi window that a post spike opens; S at 0 V.

    With these defaults a post spike at the pre pulse potentiates, and one in its tail depresses. One after the tail changes
    nothing, nor does one whose window closes before the pulse. In the order of Bi and Poo (J. Neurosci. 18, 1998) early post
    spikes depress and later ones potentiate: a pulse of -1 V with a tail of 0.5 V does so.
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
        shortest = min(self.pre_duration, self.tail_duration, self.phi_window / 2)
        if not self.rise < shortest:
            raise ParameterError(f"rise must be below both parts of the pulse and half the phi_window, got {self.rise:g} s, "
                                 f"must be below {shortest:g} s")

    @property
    def differences(self) -> np.ndarray:
        """Time differences t_post - t_pre in s."""
        return np.linspace(-self.largest_difference, self.largest_difference, self.pairings)

    @property
    def pre_time(self) -> float:
        """Start of the pre pulse in s, late enough for the earliest window."""
        return self.largest_difference + 2 * self.rise

    @property
    def duration(self) -> float:
        """Length of each transient in s: until after the latest window and the tail."""
        return self.pre_time + self.largest_difference + max(
            self.phi_window, self.pre_duration + self.tail_duration) + 2 * self.rise

    def pre_pulse(self) -> tuple[list[float], list[float]]:
        """Return the corners of the pre pulse: times in s after t_pre, voltages in V."""
        change, end = self.pre_duration, self.pre_duration + self.tail_duration
        times = [0.0, self.rise, change, change + self.rise, end, end + self.rise]
        return times, [0.0, self.pre_voltage, self.pre_voltage, self.tail_voltage, self.tail_voltage, 0.0]

    def post_window(self, difference: float, threshold: float) -> list[tuple[float, float]]:
        """Return the corners (s, V) of phi, which is above the switch's `threshold` (V) from t_post on for `phi_window`."""
        opens = self.pre_time + difference
        closes = opens + self.phi_window
        before = self.rise * threshold / self.phi_voltage
        after = self.rise - before
        return [(opens - before, 0.0), (opens + after, self.phi_voltage),
                (closes - after, self.phi_voltage), (closes + before, 0.0)]


def run_stdp(options: argparse.Namespace) -> None:
    """Run the STDP experiment of `python memristor.py --stdp`: measure the window, compare it with the closed form, draw it."""
    memristor, experiment = apply_settings(options, memristor=MemristorParameters(), stdp=StdpExperiment())
    record = options.results / "memristor_stdp.json"
    parameters = {"memristor": memristor.as_dict(), "stdp": experiment.as_dict()}
    check_overwriting(record, parameters, options.force)
    netlist = netlist_text(stdp_circuit(memristor, experiment, 0.0), stdp_solver(experiment), experiment.duration,
                           print_nodes=["v(input)", "v(phi)", f"v({STATE})"])
    write_netlist(options.netlist, netlist, options.force)

    # 1. Measure in ngspice, one transient for each time difference.
    differences, measured = experiment.differences, stdp_experiment(memristor, experiment)

    # 2. Compare with the closed form.
    def closed_form(seconds: np.ndarray) -> np.ndarray:
        return stdp_state_change(memristor, experiment.pre_pulse(), experiment.phi_window, seconds)

    exact = closed_form(differences)
    deviation = np.abs(measured - exact).max()
    _warn_of_limits(memristor, experiment, exact)

    # 3. Save, print, plot.
    rows = [{"difference_s": difference, "measured_V": change, "closed_form_V": expected}
            for difference, change, expected in zip(differences, measured, exact, strict=True)]
    write_results(record, parameters, {"deviation_V": deviation, "rows": rows})
    print(table(("change of X", "at t_post - t_pre", "ngspice", "closed form"), [
        (name, f"{differences[k] * 1e3:+.3g} ms", f"{measured[k]:+.4f} V", f"{exact[k]:+.4f} V")
        for name, k in (("highest", measured.argmax()), ("lowest", measured.argmin()))]))
    print(f"largest deviation from the closed form: {deviation * 1e3:.2g} mV")
    fine = np.linspace(differences[0], differences[-1], 2001)
    plotting.save(window_figure(differences, measured, fine, closed_form(fine)), options.figures / "memristor_stdp.png")


def stdp_circuit(memristor: MemristorParameters, experiment: StdpExperiment, difference: float) -> Circuit:
    """Return the netlist that pairs the pre pulse with a post spike `difference` s later (t_post - t_pre)."""
    circuit = one_cell(memristor, experiment.phi_voltage, experiment.initial_state,
                       f"memristor STDP experiment, t_post - t_pre = {difference:g} s")
    times, voltages = experiment.pre_pulse()
    pre = [(0.0, 0.0), *((experiment.pre_time + t, v) for t, v in zip(times, voltages, strict=True))]
    phi = [(0.0, 0.0), *experiment.post_window(difference, memristor.switch_threshold)]
    circuit.PieceWiseLinearVoltageSource("input", "input", circuit.gnd, values=pre)
    circuit.PieceWiseLinearVoltageSource("phi", "phi", circuit.gnd, values=phi)
    return circuit


def stdp_solver(experiment: StdpExperiment) -> Solver:
    """Return a solver for the window's edges: at slow ones, with long steps, the switch closes up to a step late."""
    if experiment.rise <= STEEP * experiment.phi_window:
        return STDP_SOLVER
    step = max(FINE * experiment.phi_window, experiment.duration / MOST_STEPS)
    return Solver(max_step=min(STDP_SOLVER.max_step, step), method="gear")


def stdp_experiment(memristor: MemristorParameters, experiment: StdpExperiment) -> np.ndarray:
    """Return the change of X in V for each of `experiment.differences`, measured in ngspice. Raises SimulationError."""
    loaded = NgspiceSession().load(stdp_circuit(memristor, experiment, 0.0), stdp_solver(experiment), [STATE])
    changes = []
    for difference in experiment.differences:
        window = experiment.post_window(difference, memristor.switch_threshold)
        loaded.alter({"vphi pwl": np.ravel([(0.0, 0.0), *window])})
        changes.append(loaded.run(experiment.duration)[STATE][-1] - experiment.initial_state)
    loaded.unload()
    return np.array(changes)


def stdp_state_change(memristor: MemristorParameters, spike: tuple[Sequence[float], Sequence[float]], phi_window: float,
                      difference: ArrayLike) -> np.ndarray:
    """Return the closed form of the STDP window: the change of X in V by a pre spike within the window of a post spike.

    Integrates the piecewise-linear spike exactly, for a state above Vto. Leaves out the leak, which takes 0.06 % of X in 2 ms.

    Parameters
    ----------
    memristor : MemristorParameters
    spike : tuple of sequences
        Shape of the pre spike: times in s, voltages in V; 0 V before and after.
    phi_window : float, s
    difference : array_like, s
        t_post - t_pre, any shape.
    """
    times, voltages = np.asarray(spike, float)

    def charge(until: np.ndarray) -> np.ndarray:
        inside = np.clip(np.asarray(until)[..., None], times[:-1], times[1:])
        return ((inside - times[:-1]) * (voltages[:-1] + np.interp(inside, times, voltages)) / 2).sum(axis=-1)

    start = np.asarray(difference, float)
    return state_rate(memristor, 1.0) * (charge(start + phi_window) - charge(start))


def _warn_of_limits(memristor: MemristorParameters, experiment: StdpExperiment, exact: np.ndarray) -> None:
    """Warn where the closed form's changes `exact` (V) leave out too much."""
    highest = experiment.initial_state + max(0.0, exact.max())
    leaked = -highest * np.expm1(-experiment.phi_window / memristor.write_time_constant)
    found = []
    if leaked > LEAKED * np.abs(exact).max():
        found.append(f"the closed form leaves out the leak, {leaked:.2g} V in a window; raise memristor.leak_resistance")
    if experiment.initial_state + min(0.0, exact.min()) < memristor.threshold_voltage:
        found.append("X falls below Vto, where the closed form does not hold; raise stdp.initial_state")
    for message in found:
        warnings.warn(message, OperatingRangeWarning, stacklevel=2)


def window_figure(differences: np.ndarray, measured: np.ndarray, closed_form_differences: np.ndarray,
                  closed_form: np.ndarray) -> Figure:
    """Draw the STDP window: change of X (V) against t_post - t_pre (s), measured points and the closed form's curve."""
    figure, axis = plt.subplots(figsize=(plotting.WIDTH, 3.8))
    axis.plot(np.asarray(closed_form_differences) * 1e3, closed_form, label="closed form")
    axis.plot(np.asarray(differences) * 1e3, measured, "o", color=plotting.VERMILLION, markersize=4.5, label="ngspice")
    plotting.cross(axis)
    axis.set(xlabel="t_post − t_pre (ms): right of 0 the post spike comes later", ylabel="change of the state X (V)",
             title="STDP window of one memristor")
    axis.legend()
    return figure
