"""The rule of a synapse that learns by itself: what a write does to X over dose and state, and the neuron's own STDP window.

With a leak of 1e9 ohm a cell that is written moves towards K R_leak V, an average of its inputs (the instar rule); the study
measures it in ngspice against the closed form. Then the post event is the neuron's own spike, in the circuit: a pre pulse at
one synapse, at all times before and after it; overlap potentiates, a spike without a pre pulse depresses. Writes
figures/instar_rule.png, figures/instar_window.png and figures/instar_results.json. About 5 s.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from memristive.cli.command_line import add_quantities, draw, make_parser, quantities
from memristive.io.claims import claimed
from memristive.single_layer.pulses import Schedule, edges

from memristive.io.results import results_path, write_results
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristive.spice.session import NgspiceSession, Solver
from memristive.stdp.stdp_circuit import LEARNING, SelfLearningCircuit, self_learning_network
from memristor import MemristorParameters
from plotting import COLOURS, WIDTH, cross
from snn_circuit import NetworkParameters, NeuronParameters
from studies.single_cell import STATE, one_cell

WRITE = Solver(max_step=50e-6, reltol=1e-5, trtol=7.0)
PHI = 1.2  # V
SHARE = 0.5 / PHI  # of an edge of phi until the write switch closes
POST = 0.17e-3  # s, about when the neuron fires after its first input; the exact time is measured
RISE = 1e-6  # s, of the edges in the measurement of the rule: short, so that a dose is what it says
VOLTS = (0.0, 0.5, 1.0)
STATES = (1.0, 2.5, 4.5)  # V


@dataclass(frozen=True)
class Instar(Parameters):
    """What is measured."""

    leak_resistance: float = quantity(1e9, 1e6, 1e18, "ohm", "R_leak of the cell")
    longest_dose: float = quantity(8e-3, 1e-5, 1.0, "s", "longest write")
    doses: int = quantity(9, 2, 1000, "", "writes of different lengths, for each of three states and three inputs")
    pre_duration: float = quantity(0.6e-3, 1e-5, 1.0, "s", "pre pulse at the synapse looked at")
    largest_difference: float = quantity(1.5e-3, 1e-5, 1.0, "s", "t_post - t_pre goes from minus this to this")
    pairings: int = quantity(25, 2, 1000, "", "number of time differences")
    state: float = quantity(2.5, 0.1, 100.0, "V", "X before each pairing")

    @property
    def device(self) -> MemristorParameters:
        """The cell."""
        return MemristorParameters(leak_resistance=self.leak_resistance)


def closed_form(device: MemristorParameters, state: float, pieces: list[tuple[float, float]]) -> float:
    """X in V at rest after phi was high for `pieces` of (s, V at the input), from `state` V at rest before."""
    from memristive.stdp.stdp_closed_form import lifted, lowered, numbers, written  # loads numba

    k = numbers(SelfLearningCircuit(NetworkParameters(device), schedule=Schedule(pulse=1e-5, period=1.0, rise=1e-6,
                                                                                 sampling_step=1e-6)))
    for duration, volts in pieces:
        x = lifted(state - k.vto, volts, k.c, k.cox) + k.vto
        for _ in range(20):  # as many exponentials: the gate's capacitance follows X
            x = written(x, volts, duration / 20, k)
        state = lowered(x - k.vto, volts, k.c, k.cox) + k.vto
    return state


def measure_rule(session: NgspiceSession, study: Instar) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Doses (s), and X after them measured and by the closed form (V, states x inputs x doses)."""
    doses = study.longest_dose * np.linspace(0, 1, study.doses + 1)[1:]
    measured, exact = (np.zeros((len(STATES), len(VOLTS), len(doses))) for _ in range(2))
    for s, state in enumerate(STATES):
        circuit = one_cell(study.device, PHI, state, "one write of a cell that leaks")
        for name in ("input", "phi"):
            circuit.PieceWiseLinearVoltageSource(name, name, circuit.gnd, values=[(0.0, 0.0), (1.0, 0.0)])
        loaded = session.load(circuit, WRITE, [STATE])
        for v, volts in enumerate(VOLTS):
            for d, dose in enumerate(doses):
                # The input is there before phi opens and after it has closed.
                loaded.alter({"vinput pwl": np.ravel([(0.0, 0.0), *edges(1e-5, dose + 2e-5, RISE, volts)]),
                              "vphi pwl": np.ravel([(0.0, 0.0), *edges(2e-5, dose, RISE, PHI)])})
                measured[s, v, d] = loaded.run(dose + 6e-5)[STATE][-1]
                exact[s, v, d] = closed_form(study.device, state, [(dose + (1 - 2 * SHARE) * RISE, volts)])
        session.unload(loaded)
    return doses, measured, exact


def foretold_rule(study: Instar, points: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By the closed form: doses (s, `points`), X after them (V, states x inputs x doses), and where X tends to (V, inputs)."""
    doses = np.linspace(0.0, study.longest_dose, points)
    after = [[[closed_form(study.device, state, [(dose, volts)]) for dose in doses] for volts in VOLTS] for state in STATES]
    for_good = 30 * study.device.write_time_constant
    return doses, np.array(after), np.array([closed_form(study.device, STATES[0], [(for_good, volts)]) for volts in VOLTS])


def own_spike_circuit(study: Instar) -> SelfLearningCircuit:
    """One neuron with two synapses: the first makes it fire, the second is looked at."""
    neuron = NeuronParameters(feedback_resistance=10e3)
    return SelfLearningCircuit(NetworkParameters(study.device, neuron), schedule=Schedule(pulse=0.6e-3, period=6e-3))


def foretold_change(study: Instar, difference: float, spike: float) -> float:
    """The change of X in V by the closed form, if a spike of `spike` s begins `difference` s after the pre pulse."""
    corners = np.clip([0.0, -difference, study.pre_duration - difference, spike], 0.0, spike)
    before, overlap, after = np.diff(np.sort(corners))
    return closed_form(study.device, study.state, [(before, 0.0), (overlap, 1.0), (after, 0.0)]) - study.state


def measure_window(session: NgspiceSession, study: Instar) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Measured t_post - t_pre (s), the change of X of the synapse looked at, measured and by the closed form (V), and how long
    the neuron's spike is (s), which a synapse in time makes longer.

    Raises ParameterError if the neuron does not fire once in each pairing.
    """
    design, begin = own_spike_circuit(study), study.largest_difference + 0.5e-3
    circuit = self_learning_network(design, np.array([[5.0, study.state]]), np.ones((1, 2)))
    cell = "xcell_0_1.gate"
    loaded = session.load(circuit, LEARNING, [cell, "output_0"])
    loaded.alter({"vinput_0 pwl": np.ravel([(0.0, 0.0), *edges(begin, design.schedule.pulse, design.schedule.rise, 1.0)])})
    found = []
    for difference in np.linspace(-study.largest_difference, study.largest_difference, study.pairings):
        pre = edges(begin + POST - difference, study.pre_duration, design.schedule.rise, 1.0)
        loaded.alter({"vinput_1 pwl": np.ravel([(0.0, 0.0), *pre])})
        waves = loaded.run(2 * begin + study.largest_difference + study.pre_duration)
        spikes = np.count_nonzero(np.diff((waves["output_0"] > 0.5).astype(int)) == 1)
        if spikes != 1:
            raise ParameterError(f"the neuron fires {spikes} times, not once, where t_post - t_pre should be "
                                 f"{difference * 1e3:.3g} ms: the synapse looked at, from {study.state:g} V, must not make it "
                                 "fire; choose a lower --state")
        high = waves.time[waves["output_0"] > 0.5]
        apart, spike = high[0] - pre[0][0] - design.schedule.rise / 2, high[-1] - high[0]
        found.append((apart, waves[cell][-1] - study.state, foretold_change(study, apart, spike), spike))
    session.unload(loaded)
    differences, changes, exact_changes, spikes = np.transpose(found)
    return differences, changes, exact_changes, spikes


def rule_figure(doses: np.ndarray, measured: np.ndarray, fine: np.ndarray, curves: np.ndarray, limits: np.ndarray) -> Figure:
    """X (V, states x inputs x doses) after writes of `doses` (s) in ngspice, on the closed form's `curves` over `fine` doses.

    `limits`: where X tends to for each input (V).
    """
    figure, axes = plt.subplots(1, len(VOLTS), figsize=(WIDTH, 3.2), sharey=True)
    for v, (axis, volts) in enumerate(zip(axes, VOLTS, strict=True)):
        axis.axhline(limits[v], color="grey", linewidth=0.8, linestyle="--")
        for s, state in enumerate(STATES):
            axis.plot(fine * 1e3, curves[s, v], color=COLOURS[s])
            axis.plot(doses * 1e3, measured[s, v], "o", color=COLOURS[s], markersize=4.5, label=f"from {state:g} V")
        axis.set(xlabel="dose: time phi is high (ms)", title=f"input at {volts:g} V")
    axes[0].set_ylabel("state X after the write (V)")
    axes[0].legend(title="ngspice (lines: closed form)", fontsize=8, title_fontsize=8)
    return figure


def own_window_figure(differences: np.ndarray, measured: np.ndarray, fine: np.ndarray, curve: np.ndarray) -> Figure:
    """The change of X (V) over t_post - t_pre (s), the post event being the neuron's own spike; `curve` over `fine`."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    axis.plot(fine * 1e3, curve, label="closed form")
    axis.plot(differences * 1e3, measured, "o", color=COLOURS[1], markersize=4.5, label="ngspice")
    cross(axis)
    axis.set(xlabel="t_post − t_pre (ms): right of 0 the neuron fires after the pre pulse has begun",
             ylabel="change of the state X (V)")
    axis.legend()
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Run the script with the given command-line arguments."""
    parser = make_parser(__doc__, {"--voltages": "two synapses have no trained voltages",
                                   "--netlist": "each point has its own; the circuit that learns: python -m studies.unsupervised"})
    add_quantities(parser, Instar())
    options = parser.parse_args(arguments)
    study = quantities(Instar(), vars(options))
    made_with = {"study": study.as_dict(), "circuit": own_spike_circuit(study).as_dict()}
    target = study.device.transconductance * study.leak_resistance
    with claimed([(results_path(options.figures, "instar"), made_with)], (), options.force):
        session = NgspiceSession()
        doses, measured, exact = measure_rule(session, study)
        differences, changes, foretold, spikes = measure_window(session, study)
        results = {"doses_s": doses, "states_V": STATES, "inputs_V": VOLTS, "measured_V": measured, "closed_form_V": exact,
                   "deviation_V": np.abs(measured - exact).max(), "differences_s": differences, "window_measured_V": changes,
                   "window_closed_form_V": foretold, "window_deviation_V": np.abs(changes - foretold).max()}
        print(f"wrote {write_results(options.figures, 'instar', session, made_with, results)}")
    fine, curves, limits = foretold_rule(study)
    print(f"instar rule: {measured.size} writes; at an input of {VOLTS[-1]:g} V the lifted gate tends to "
          f"{target * VOLTS[-1]:g} V, X at rest to {limits[-1]:.3g} V; largest deviation from the closed form "
          f"{results['deviation_V'] * 1e3:.2g} mV")
    print(f"the neuron's own spike as post event: {len(changes)} pairings, {changes.min():+.3f} to {changes.max():+.3f} V; "
          f"largest deviation {results['window_deviation_V'] * 1e3:.2g} mV")
    draw(options, "instar_rule", rule_figure, doses, measured, fine, curves, limits)
    times = np.linspace(differences.min(), differences.max(), 400)
    draw(options, "instar_window", own_window_figure, differences, changes, times,
         np.array([foretold_change(study, time, np.interp(time, differences, spikes)) for time in times]))


if __name__ == "__main__":
    sys.exit(run(main))
