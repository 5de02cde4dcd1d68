"""The learning rule of one synapse: what does a write do to X, and what does the neuron's own spike do?

With a leak of 1e9 ohm a written cell tends to K R_leak V, an average of its inputs (the instar rule). First, writes of nine
doses from three states at three inputs. Then the STDP window: the post event is the spike of the neuron itself, the pre pulse
arrives at one synapse before and after it. Overlap potentiates, a spike without a pre pulse depresses. Both are compared with
the closed form. Writes results/instar.json, figures/instar_rule.png and figures/instar_window.png. About 5 s.
"""

import sys
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import plotting
from memristive.cli.main import run
from memristive.cli.options import apply_settings, make_parser
from memristive.cli.progress import progress
from memristive.io.files import check_overwriting
from memristive.io.results import describe, write_results
from memristive.single_layer.setup import Schedule, edges
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristive.spice.session import NgspiceSession, Solver, temporary_circuits
from memristive.stdp.stdp_circuit import LEARNING, SelfLearningSetup, self_learning_network
from memristive.stdp.stdp_closed_form import Constants, constants, lifted, lowered, written
from memristor import MemristorParameters
from plotting import COLOURS, WIDTH, cross
from snn_circuit import NeuronParameters
from studies.single_cell import STATE, one_cell

WRITE = Solver(max_step=50e-6, reltol=1e-5, trtol=7.0)
STATES = (1.0, 2.5, 4.5)  # V
VOLTS = (0.0, 0.5, 1.0)  # V at the input
PHI = 1.2  # V
SHARE = 0.5 / PHI  # of an edge of phi, until the write switch closes
RISE = 1e-6  # s, of the edges in single writes: short, so that the dose is exact
POST = 0.17e-3  # s, approximate time of the spike after the neuron's first input; the exact one is measured
STEPS = 20  # exponentials for each write: the gate's capacitance follows X


@dataclass(frozen=True)
class SynapseExperiment(Parameters):
    """Doses of the single writes, and pulses of the STDP window."""

    longest_dose: float = quantity(8e-3, 1e-5, 1.0, "s", "longest write")
    doses: int = quantity(9, 2, 1000, "", "writes of different lengths, for each of three states and three inputs")
    pre_duration: float = quantity(0.6e-3, 1e-5, 1.0, "s", "pre pulse at the synapse of the STDP window")
    largest_difference: float = quantity(1.5e-3, 1e-5, 1.0, "s", "t_post - t_pre goes from minus this to this")
    pairings: int = quantity(25, 2, 1000, "", "number of time differences")
    state: float = quantity(2.5, 0.1, 100.0, "V", "X before each pairing")


def main(arguments: list[str] | None = None) -> None:
    """Measure single writes and the STDP window, compare with the closed form, plot."""
    options = make_parser(__doc__).parse_args(arguments)
    memristor, experiment = apply_settings(options, memristor=MemristorParameters(leak_resistance=1e9),
                                           experiment=SynapseExperiment())
    # A neuron of two synapses: the first makes it fire, the second is measured.
    setup = SelfLearningSetup(memristor, NeuronParameters(feedback_resistance=10e3), Schedule(pulse=0.6e-3, period=6e-3))
    k = constants(setup)
    parameters = {"experiment": experiment.as_dict(), **describe(setup), "learning": setup.learning.as_dict()}
    check_overwriting(options.results / "instar.json", parameters, options.force)

    # 1. Measure in ngspice.
    writes, pairings = measure_writes(memristor, k, experiment), measure_window(setup, k, experiment)

    # 2. Compare with the closed form.
    deviation, window_deviation = (max(abs(row["measured_V"] - row["closed_form_V"]) for row in rows)
                                   for rows in (writes, pairings))
    write_results(options.results / "instar.json", parameters, {
        "rows": writes, "deviation_V": deviation, "window_rows": pairings, "window_deviation_V": window_deviation})
    print(f"{len(writes)} writes: largest deviation from the closed form {deviation * 1e3:.2g} mV")
    print(f"{len(pairings)} pairings with the neuron's own spike: largest deviation {window_deviation * 1e3:.2g} mV")

    # 3. Plot.
    plotting.save(rule_figure(pd.DataFrame(writes), k, experiment), options.figures / "instar_rule.png")
    plotting.save(window_figure(pd.DataFrame(pairings), k, experiment), options.figures / "instar_window.png")


def closed_form(k: Constants, state: float, pieces: list[tuple[float, float]]) -> float:
    """Return X in V at rest after phi was high for `pieces` of (s, V at the input), from `state` V at rest before."""
    for duration, volts in pieces:
        x = lifted(state - k.vto, volts, k.c, k.cox) + k.vto
        for _ in range(STEPS):
            x = written(x, volts, duration / STEPS, k)
        state = lowered(x - k.vto, volts, k.c, k.cox) + k.vto
    return state


def measure_writes(memristor: MemristorParameters, k: Constants, experiment: SynapseExperiment) -> list[dict[str, Any]]:
    """Write single cells in ngspice; return one row for each state, input and dose."""
    rows = []
    cases = [(state, volts) for state in STATES for volts in VOLTS]
    for state, volts in progress(cases, len(cases), "single writes", "case"):
        circuit = one_cell(memristor, PHI, state, "one write of a cell that leaks")
        for name in ("input", "phi"):
            circuit.PieceWiseLinearVoltageSource(name, name, circuit.gnd, values=[(0.0, 0.0), (1.0, 0.0)])
        with temporary_circuits():
            loaded = NgspiceSession().load(circuit, WRITE, [STATE])
            for dose in experiment.longest_dose * np.linspace(0, 1, experiment.doses + 1)[1:]:
                # The input begins before phi opens and ends after it has closed.
                loaded.alter({"vinput pwl": np.ravel([(0.0, 0.0), *edges(1e-5, dose + 2e-5, RISE, volts)]),
                              "vphi pwl": np.ravel([(0.0, 0.0), *edges(2e-5, dose, RISE, PHI)])})
                rows.append({"state_V": state, "input_V": volts, "dose_s": dose,
                             "measured_V": loaded.run(dose + 6e-5)[STATE][-1],
                             "closed_form_V": closed_form(k, state, [(dose + (1 - 2 * SHARE) * RISE, volts)])})
    return rows


def measure_window(setup: SelfLearningSetup, k: Constants, experiment: SynapseExperiment) -> list[dict[str, Any]]:
    """Pair the neuron's own spike with a pre pulse in ngspice; return one row for each time difference.

    Raises ParameterError if the neuron does not fire exactly once in a pairing.
    """
    rise, begin = setup.schedule.rise, experiment.largest_difference + 0.5e-3
    circuit, cell, rows = self_learning_network(setup, np.array([[5.0, experiment.state]]), np.ones((1, 2))), "xcell_0_1.gate", []
    differences = np.linspace(-experiment.largest_difference, experiment.largest_difference, experiment.pairings)
    with temporary_circuits():
        loaded = NgspiceSession().load(circuit, LEARNING, [cell, "output_0"])
        loaded.alter({"vinput_0 pwl": np.ravel([(0.0, 0.0), *edges(begin, setup.schedule.pulse, rise, 1.0)])})
        for difference in progress(differences, len(differences), "STDP window", "pairing"):
            pre = edges(begin + POST - difference, experiment.pre_duration, rise, 1.0)
            loaded.alter({"vinput_1 pwl": np.ravel([(0.0, 0.0), *pre])})
            waves = loaded.run(2 * begin + experiment.largest_difference + experiment.pre_duration)
            fired = waves["output_0"] > 0.5
            spikes = np.count_nonzero(np.diff(fired.astype(int)) == 1)
            if spikes != 1:
                raise ParameterError(f"the neuron fires {spikes} times in a pairing, expected once: lower experiment.state")
            start, end = waves.time[fired][[0, -1]]
            found = start - pre[0][0] - rise / 2  # a synapse that is in time hastens the spike
            rows.append({"difference_s": found, "spike_duration_s": end - start,
                         "measured_V": waves[cell][-1] - experiment.state,
                         "closed_form_V": change_in_closed_form(k, experiment, found, end - start)})
    return rows


def change_in_closed_form(k: Constants, experiment: SynapseExperiment, difference: float, spike: float) -> float:
    """Return the change of X in V for a spike of `spike` s that begins `difference` s after the pre pulse."""
    corners = np.clip([0.0, -difference, experiment.pre_duration - difference, spike], 0.0, spike)
    before, overlap, after = np.diff(np.sort(corners))
    return closed_form(k, experiment.state, [(before, 0.0), (overlap, 1.0), (after, 0.0)]) - experiment.state


def rule_figure(writes: pd.DataFrame, k: Constants, experiment: SynapseExperiment) -> Figure:
    """Draw X after writes from several states against the dose, a panel for each input; dashed: the limit of long writes."""
    figure, axes = plt.subplots(1, len(VOLTS), figsize=(WIDTH, 3.2), sharey=True)
    fine = np.linspace(0.0, experiment.longest_dose, 100)
    forever = 30 * k.leak * (k.c + k.cox)
    for axis, volts in zip(axes, VOLTS, strict=True):
        axis.axhline(closed_form(k, STATES[0], [(forever, volts)]), color="grey", linewidth=0.8, linestyle="--")
        for state, colour in zip(STATES, COLOURS, strict=False):
            measured = writes[(writes.input_V == volts) & (writes.state_V == state)]
            axis.plot(fine * 1e3, [closed_form(k, state, [(dose, volts)]) for dose in fine], color=colour)
            axis.plot(measured.dose_s * 1e3, measured.measured_V, "o", color=colour, markersize=4.5, label=f"from {state:g} V")
        axis.set(xlabel="dose: time phi is high (ms)", title=f"input at {volts:g} V")
    axes[0].set_ylabel("state X after the write (V)")
    axes[0].legend(title="ngspice (lines: closed form)", fontsize=8, title_fontsize=8)
    return figure


def window_figure(pairings: pd.DataFrame, k: Constants, experiment: SynapseExperiment) -> Figure:
    """Draw the change of X against t_post - t_pre; the post event is the neuron's own spike."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    times = np.linspace(pairings.difference_s.min(), pairings.difference_s.max(), 400)
    spikes = np.interp(times, pairings.difference_s, pairings.spike_duration_s)
    curve = [change_in_closed_form(k, experiment, *pair) for pair in zip(times, spikes, strict=True)]
    axis.plot(times * 1e3, curve, label="closed form")
    axis.plot(pairings.difference_s * 1e3, pairings.measured_V, "o", color=COLOURS[1], markersize=4.5, label="ngspice")
    cross(axis)
    axis.set(xlabel="t_post − t_pre (ms): right of 0 the neuron fires after the pre pulse has begun",
             ylabel="change of the state X (V)")
    axis.legend()
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
