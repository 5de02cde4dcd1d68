"""The learning rule of one synapse: the change of X by a write, and by the time between a pre pulse
and a post spike.

With a leak of 1e9 ohm, writes at the input voltage V pull X towards K R_leak V, so X averages its
inputs (the instar rule). First, the study makes writes of nine doses from three states at three
inputs. Then it measures the STDP window: the change of X over the time between the pre pulse at one
synapse and the spike of the neuron itself. Overlap potentiates, a spike without a pre pulse
depresses. Both are compared with the closed form. Writes results/devices/instar.json,
figures/instar_rule.png and figures/instar_window.png. About 5 s.

`python memristor.py --stdp` measures the window of a cell without leak, whose pre pulse has a
negative tail and whose post spike opens phi. Writes results/devices/memristor_stdp.json and
figures/memristor_stdp.png. About 2 s.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PySpice.Spice.Netlist import Circuit

from memristive.cli.script import Record, apply_settings, make_parser, progress, run
from memristive.devices.characterise import STATE, one_cell
from memristive.io.records import describe
from memristive.network.design import Schedule, edges
from memristive.parameters import ParameterError, Parameters, quantity
from memristive.spice.session import NgspiceSession, Solver, netlist_text, temporary_circuits
from memristive.stdp.stdp_circuit import (
    LEARNING,
    Constants,
    SelfLearningSetup,
    charged,
    constants,
    self_learning_network,
)
from memristor import MemristorParameters, lowered_state, raised_state, state_rate
from plotting import COLOURS, WIDTH, cross
from snn_circuit import NeuronParameters

WRITE = Solver(max_step=50e-6, reltol=1e-5, trtol=7.0)
STATES = (1.0, 2.5, 4.5)  # V
VOLTS = (0.0, 0.5, 1.0)  # V at the input
PHI = 1.2  # V
SHARE = 0.5 / PHI  # of phi's rise, after which the write switch closes (at 0.5 V)
RISE = 1e-6  # s, length of the edges in single writes: short, so that the dose is exact
# s, approximate time of the spike after the neuron's first input; the exact one is measured
POST = 0.17e-3
DOSES = 8e-3 * np.linspace(0, 1, 10)[1:]  # s, durations of a high phi
PRE = 0.6e-3  # s, length of the pre pulse for the STDP window
STATE_BEFORE = 2.5  # V, X before each pairing
DIFFERENCES = np.linspace(-1.5e-3, 1.5e-3, 25)  # s, t_post - t_pre
STEPS = 20  # parts of a write, each an exponential, because the gate's capacitance changes with X
# s, length of the edges of pre pulse and phi
STDP_SOLVER, STDP_RISE = Solver(max_step=200e-6), 10e-6


def main(arguments: list[str] | None = None) -> None:
    """Measure single writes and the STDP window, compare with the closed form, plot."""
    options = make_parser(__doc__, "devices").parse_args(arguments)
    (memristor,) = apply_settings(options, memristor=MemristorParameters(leak_resistance=1e9))
    # A neuron of two synapses: the first makes it fire, the second is measured.
    setup = SelfLearningSetup(
        memristor, NeuronParameters(feedback_resistance=10e3), Schedule(pulse=0.6e-3, period=6e-3)
    )
    k = constants(setup)
    record = Record(options, "instar", {**describe(setup), "learning": setup.learning.as_dict()})

    # 1. Measure in ngspice.
    writes, pairings = measure_writes(memristor, k), measure_window(setup, k)

    # 2. Compare with the closed form.
    deviation, window_deviation = (
        max(abs(row["measured_V"] - row["closed_form_V"]) for row in rows)
        for rows in (writes, pairings)
    )
    record.write(
        {
            "rows": writes,
            "deviation_V": deviation,
            "window_rows": pairings,
            "window_deviation_V": window_deviation,
        }
    )
    print(f"{len(writes)} writes: largest deviation from the closed form {deviation * 1e3:.2g} mV")
    print(
        f"{len(pairings)} pairings with the neuron's own spike: largest deviation "
        f"{window_deviation * 1e3:.2g} mV"
    )

    # 3. Plot.
    record.plot(rule_figure(pd.DataFrame(writes), k), "rule")
    window = pd.DataFrame(pairings)
    fine = np.linspace(window.difference_s.min(), window.difference_s.max(), 400)
    spikes = np.interp(fine, window.difference_s, window.spike_duration_s)
    curve = [
        closed_form(k, STATE_BEFORE, within(spike, difference, [(PRE, 1.0)])) - STATE_BEFORE
        for difference, spike in zip(fine, spikes, strict=True)
    ]
    figure = window_figure(
        window.difference_s.to_numpy(),
        window.measured_V.to_numpy(),
        fine,
        curve,
        "STDP window of one synapse",
        "the neuron fires after the pre pulse has begun",
    )
    record.plot(figure, "window")


def closed_form(k: Constants, state: float, pieces: Sequence[tuple[float, float]]) -> float:
    """Return X in V after a write, in closed form.

    phi is high during all `pieces` of the input, each a pair of duration in s and voltage in V.
    `state` is X in V before the write. Before and after the write the input is at 0 V, so it does
    not lift the gate.
    """
    for duration, volts in pieces:
        x = raised_state(k.channel, state, volts)
        for _ in range(STEPS):
            x = charged(x, volts, duration / STEPS, k)
        state = float(lowered_state(k.channel, x, volts))
    return state


def within(
    window: float, difference: float, pulse: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return the part of the input `pulse` that falls into a window of `window` s. The window opens
    `difference` s after the start of the pulse.

    The input is 0 V outside the pulse. Pulse and result are lists of pieces: (duration in s, V).
    """
    durations, volts = np.transpose(pulse)
    corners = np.clip(np.cumsum([0.0, *durations]) - difference, 0.0, window)
    return list(zip(np.diff([0.0, *corners, window]), [0.0, *volts, 0.0], strict=True))


def measure_writes(
    memristor: MemristorParameters, k: Constants, doses: Iterable[float] = DOSES
) -> list[dict[str, Any]]:
    """Write single cells in ngspice; return a row for each state, input and dose (time in s with
    phi high), with X in V as measured and in closed form.
    """
    rows = []
    cases = [(state, volts) for state in STATES for volts in VOLTS]
    for state, volts in progress(cases, len(cases), "single writes", "case"):
        circuit = one_cell(memristor, PHI, state, "one write of a cell that leaks")
        for name in ("input", "phi"):
            circuit.PieceWiseLinearVoltageSource(
                name, name, circuit.gnd, values=[(0.0, 0.0), (1.0, 0.0)]
            )
        with temporary_circuits():
            loaded = NgspiceSession().load(circuit, WRITE, [STATE])
            for dose in doses:
                # The input begins before phi opens and ends after it has closed.
                loaded.alter(
                    {
                        "vinput pwl": np.ravel(
                            [(0.0, 0.0), *edges(1e-5, dose + 2e-5, RISE, volts)]
                        ),
                        "vphi pwl": np.ravel([(0.0, 0.0), *edges(2e-5, dose, RISE, PHI)]),
                    }
                )
                rows.append(
                    {
                        "state_V": state,
                        "input_V": volts,
                        "dose_s": dose,
                        "measured_V": loaded.run(dose + 6e-5)[STATE][-1],
                        "closed_form_V": closed_form(
                            k, state, [(dose + (1 - 2 * SHARE) * RISE, volts)]
                        ),
                    }
                )
    return rows


def measure_window(
    setup: SelfLearningSetup,
    k: Constants,
    differences: np.ndarray = DIFFERENCES,
    pre: float = PRE,
    state: float = STATE_BEFORE,
) -> list[dict[str, Any]]:
    """Pair the neuron's own spike with a pre pulse in ngspice; return a row for each time
    difference.

    `differences`: t_post - t_pre in s; `pre`: length of the pre pulse in s; `state`: X in V before
    each pairing. Raises ParameterError if the neuron does not fire exactly once in a pairing.
    """
    rise, begin, cell, rows = (
        setup.schedule.rise,
        float(max(differences)) + 0.5e-3,
        "xcell_0_1.gate",
        [],
    )
    circuit = self_learning_network(setup, np.array([[5.0, state]]), np.ones((1, 2)))
    with temporary_circuits():
        loaded = NgspiceSession().load(circuit, LEARNING, [cell, "output_0"])
        loaded.alter(
            {"vinput_0 pwl": np.ravel([(0.0, 0.0), *edges(begin, setup.schedule.pulse, rise, 1.0)])}
        )
        for difference in progress(differences, len(differences), "STDP window", "pairing"):
            pulse = edges(begin + POST - difference, pre, rise, 1.0)
            loaded.alter({"vinput_1 pwl": np.ravel([(0.0, 0.0), *pulse])})
            waves = loaded.run(3 * begin - 0.5e-3 + pre)
            fired = waves["output_0"] > 0.5
            spikes = np.count_nonzero(np.diff(fired.astype(int)) == 1)
            if spikes != 1:
                raise ParameterError(
                    f"the neuron fires {spikes} times in a pairing, expected once: lower the state"
                )
            start, end = waves.time[fired][[0, -1]]
            # not `difference`, because an early pre pulse hastens the spike
            found = start - pulse[0][0] - rise / 2
            computed = closed_form(k, state, within(end - start, found, [(pre, 1.0)]))
            rows.append(
                {
                    "difference_s": found,
                    "spike_duration_s": end - start,
                    "measured_V": waves[cell][-1] - state,
                    "closed_form_V": computed - state,
                }
            )
    return rows


def rule_figure(writes: pd.DataFrame, k: Constants) -> Figure:
    """Draw X after writes from several states against the dose, a panel for each input; dashed: the
    limit of long writes.
    """
    figure, axes = plt.subplots(1, len(VOLTS), figsize=(WIDTH, 3.2), sharey=True)
    fine = np.linspace(0.0, DOSES[-1], 100)
    forever = 30 * k.leak * (k.c + k.cox)
    for axis, volts in zip(axes, VOLTS, strict=True):
        axis.axhline(
            closed_form(k, STATES[0], [(forever, volts)]),
            color="grey",
            linewidth=0.8,
            linestyle="--",
        )
        for state, colour in zip(STATES, COLOURS, strict=False):
            measured = writes[(writes.input_V == volts) & (writes.state_V == state)]
            axis.plot(
                fine * 1e3, [closed_form(k, state, [(dose, volts)]) for dose in fine], color=colour
            )
            axis.plot(
                measured.dose_s * 1e3,
                measured.measured_V,
                "o",
                color=colour,
                markersize=4.5,
                label=f"from {state:g} V",
            )
        axis.set(xlabel="dose: time phi is high (ms)", title=f"input at {volts:g} V")
    axes[0].set_ylabel("state X after the write (V)")
    axes[0].legend(title="ngspice (lines: closed form)", fontsize=8, title_fontsize=8)
    return figure


def window_figure(
    differences: np.ndarray,
    measured: np.ndarray,
    fine: np.ndarray,
    computed: np.ndarray | list[float],
    title: str,
    post: str,
) -> Figure:
    """Draw the change of X (V) against t_post - t_pre (s): ngspice's as points, the closed form's
    as a curve over `fine` (s).

    `post` completes the label of the time axis.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.7))
    axis.plot(fine * 1e3, computed, label="closed form")
    axis.plot(differences * 1e3, measured, "o", color=COLOURS[1], markersize=4.5, label="ngspice")
    cross(axis)
    axis.set(
        xlabel=f"t_post − t_pre (ms): right of 0 {post}",
        ylabel="change of the state X (V)",
        title=title,
    )
    axis.legend()
    return figure


# The window of a cell without leak


@dataclass(frozen=True)
class StdpExperiment(Parameters):
    """One pre pulse at D, positive with a negative tail, and a phi window that a post spike opens;
    S at 0 V.

    With these defaults a post spike during the pre pulse potentiates, and a post spike during the
    tail depresses. A post spike after the tail changes nothing, and neither does one whose window
    closes before the pulse. In the neurons of Bi and Poo (J. Neurosci. 18, 1998) early post spikes
    depress, and later ones potentiate. A pulse of -1 V with a tail of 0.5 V gives this order.
    """

    pre_voltage: float = quantity(1.0, -10.0, 10.0, "V", "first part of the pre pulse")
    pre_duration: float = quantity(2e-3, 1e-6, 1.0, "s", "length of the first part")
    tail_voltage: float = quantity(-0.5, -10.0, 10.0, "V", "tail of the pre pulse")
    tail_duration: float = quantity(4e-3, 1e-6, 1.0, "s", "length of the tail")
    phi_window: float = quantity(
        2e-3, 1e-6, 1.0, "s", "length of the window, from the post spike on"
    )
    initial_state: float = quantity(3.0, 0.0, 1e6, "V", "X before the pairing")
    largest_difference: float = quantity(
        10e-3, 1e-6, 1.0, "s", "t_post - t_pre goes from minus this to this"
    )
    pairings: int = quantity(41, 2, 10001, "", "number of time differences")

    @property
    def differences(self) -> np.ndarray:
        """Time differences t_post - t_pre in s."""
        return np.linspace(-self.largest_difference, self.largest_difference, self.pairings)

    @property
    def pre_time(self) -> float:
        """Start of the pre pulse in s, late enough for the earliest window."""
        return self.largest_difference + 2 * STDP_RISE

    @property
    def duration(self) -> float:
        """Length of each transient in s: until after the latest window and the tail."""
        return (
            self.pre_time
            + self.largest_difference
            + max(self.phi_window, self.pre_duration + self.tail_duration)
            + 2 * STDP_RISE
        )

    @property
    def pre_pulse(self) -> list[tuple[float, float]]:
        """Pieces of the pre pulse: (duration in s, V)."""
        return [(self.pre_duration, self.pre_voltage), (self.tail_duration, self.tail_voltage)]

    def phi(self, difference: float, share: float) -> list[tuple[float, float]]:
        """Return the corners (s, V) of phi for a post spike `difference` s after the pre pulse.

        The write switch closes at a `share` of phi's edge. The edges are placed such that it is
        closed exactly in the window after the post spike.
        """
        return [
            (0.0, 0.0),
            *edges(
                self.pre_time + difference - share * STDP_RISE,
                self.phi_window - (1 - 2 * share) * STDP_RISE,
                STDP_RISE,
                PHI,
            ),
        ]


def run_stdp(options: argparse.Namespace) -> None:
    """Run the STDP experiment of `python memristor.py --stdp`: measure the window, compare it with
    the closed form, draw it.
    """
    memristor, experiment = apply_settings(
        options, memristor=MemristorParameters(), stdp=StdpExperiment()
    )
    record = Record(
        options, "memristor_stdp", {"memristor": memristor.as_dict(), "stdp": experiment.as_dict()}
    )
    nodes = ["v(input)", "v(phi)", f"v({STATE})"]
    record.write_netlist(
        lambda: netlist_text(
            stdp_circuit(memristor, experiment), STDP_SOLVER, experiment.duration, print_nodes=nodes
        )
    )

    # 1. Measure in ngspice, one transient for each time difference; compare with the closed form.
    differences, measured = experiment.differences, stdp_experiment(memristor, experiment)
    exact = stdp_in_closed_form(memristor, experiment, differences)
    deviation = np.abs(measured - exact).max()

    # 2. Save, print, plot.
    rows = [
        {"difference_s": difference, "measured_V": change, "closed_form_V": expected}
        for difference, change, expected in zip(differences, measured, exact, strict=True)
    ]
    record.write({"deviation_V": deviation, "rows": rows})
    print(
        f"X changes by {measured.min():+.4f} to {measured.max():+.4f} V; largest deviation from "
        f"the closed form: {deviation * 1e3:.2g} mV"
    )
    fine = np.linspace(differences[0], differences[-1], 401)
    figure = window_figure(
        differences,
        measured,
        fine,
        stdp_in_closed_form(memristor, experiment, fine),
        "STDP window of one memristor",
        "the post spike comes later",
    )
    record.plot(figure)


def stdp_circuit(
    memristor: MemristorParameters, experiment: StdpExperiment, difference: float = 0.0
) -> Circuit:
    """Return the netlist that pairs the pre pulse with a post spike `difference` s later (t_post -
    t_pre).
    """
    circuit = one_cell(
        memristor,
        PHI,
        experiment.initial_state,
        f"memristor STDP experiment, t_post - t_pre = {difference:g} s",
    )
    begin, pre = experiment.pre_time, [(0.0, 0.0), (experiment.pre_time, 0.0)]
    for duration, volts in experiment.pre_pulse:
        pre += [(begin + STDP_RISE, volts), (begin + duration, volts)]
        begin += duration
    phi = experiment.phi(difference, memristor.switch_threshold / PHI)
    circuit.PieceWiseLinearVoltageSource(
        "input", "input", circuit.gnd, values=[*pre, (begin + STDP_RISE, 0.0)]
    )
    circuit.PieceWiseLinearVoltageSource("phi", "phi", circuit.gnd, values=phi)
    return circuit


def stdp_experiment(memristor: MemristorParameters, experiment: StdpExperiment) -> np.ndarray:
    """Return the change of X in V for each of `experiment.differences`, measured in ngspice. Raises
    SimulationError.
    """
    changes = []
    with temporary_circuits():
        loaded = NgspiceSession().load(stdp_circuit(memristor, experiment), STDP_SOLVER, [STATE])
        for difference in experiment.differences:
            loaded.alter(
                {"vphi pwl": np.ravel(experiment.phi(difference, memristor.switch_threshold / PHI))}
            )
            changes.append(loaded.run(experiment.duration)[STATE][-1] - experiment.initial_state)
    return np.array(changes)


def stdp_in_closed_form(
    memristor: MemristorParameters, experiment: StdpExperiment, differences: np.ndarray
) -> np.ndarray:
    """Return the change of X in V for each of the `differences` t_post - t_pre (s).

    X changes in proportion to the volt-seconds at the input during the window. Edges count as steps
    in their middle. The leak is left out, because it takes only 0.06 % of X in 2 ms.
    """
    found = [
        within(experiment.phi_window, difference - STDP_RISE / 2, experiment.pre_pulse)
        for difference in differences
    ]
    return state_rate(memristor, 1.0) * np.array(
        [sum(seconds * volts for seconds, volts in pieces) for pieces in found]
    )


if __name__ == "__main__":
    run(main)
