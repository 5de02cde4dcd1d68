"""STDP window of one cell without leak: the change of X over the time between a pre pulse and a
post spike.

`python -m memristive.commands.loop --stdp` measures the window. The pre pulse has a negative tail,
and the post spike opens phi. Writes results/devices/memristor_stdp.json and
figures/memristor_stdp.png. About 2 s.
"""

import argparse
import dataclasses
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from memristive.cli.script import Record, apply_settings
from memristive.devices.characterise import STATE, one_cell
from memristive.network.design import edges
from memristive.plotting import COLOURS, WIDTH, cross
from memristive.spice.pyspice import Circuit
from memristive.spice.session import NgspiceSession, Solver, netlist_text, temporary_circuits
from memristor import MemristorParameters, state_rate

PHI = 1.2  # V
# s, length of the edges of pre pulse and phi
STDP_SOLVER, STDP_RISE = Solver(max_step=200e-6), 10e-6


@dataclass(frozen=True)
class StdpExperiment:
    """One pre pulse at D, positive with a negative tail, and a phi window that a post spike opens;
    S at 0 V.

    With these defaults a post spike during the pre pulse potentiates, and a post spike during the
    tail depresses. A post spike after the tail changes nothing, and neither does one whose window
    closes before the pulse. In the neurons of Bi and Poo (J. Neurosci. 18, 1998) early post spikes
    depress, and later ones potentiate. A pulse of -1 V with a tail of 0.5 V gives this order.
    """

    pre_voltage: float = 1.0  # V, first part of the pre pulse
    pre_duration: float = 2e-3  # s
    tail_voltage: float = -0.5  # V
    tail_duration: float = 4e-3  # s
    phi_window: float = 2e-3  # s, from the post spike on
    initial_state: float = 3.0  # V, X before the pairing
    largest_difference: float = 10e-3  # s: t_post - t_pre goes from minus this to this
    pairings: int = 41  # number of time differences

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
    """Run the STDP experiment: measure the window, compare it with the closed form, draw it."""
    (memristor,) = apply_settings(options, memristor=MemristorParameters())
    experiment = StdpExperiment()
    parameters = {"memristor": memristor.as_dict(), "stdp": dataclasses.asdict(experiment)}
    record = Record(options, "memristor_stdp", parameters)
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
    computed = stdp_in_closed_form(memristor, experiment, fine)
    figure, axis = plt.subplots(figsize=(WIDTH, 3.7))
    axis.plot(fine * 1e3, computed, label="closed form")
    axis.plot(differences * 1e3, measured, "o", color=COLOURS[1], markersize=4.5, label="ngspice")
    cross(axis)
    axis.set(
        xlabel="t_post − t_pre (ms): right of 0 the post spike comes later",
        ylabel="change of the state X (V)",
        title="STDP window of one memristor",
    )
    axis.legend()
    record.plot(figure)


def stdp_circuit(memristor: MemristorParameters, experiment: StdpExperiment) -> Circuit:
    """Return the netlist that pairs the pre pulse with a post spike at the same time."""
    circuit = one_cell(
        memristor,
        PHI,
        experiment.initial_state,
        "memristor STDP experiment, t_post - t_pre = 0 s",
    )
    begin, pre = experiment.pre_time, [(0.0, 0.0), (experiment.pre_time, 0.0)]
    for duration, volts in experiment.pre_pulse:
        pre += [(begin + STDP_RISE, volts), (begin + duration, volts)]
        begin += duration
    phi = experiment.phi(0.0, memristor.switch_threshold / PHI)
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
    durations, volts = np.transpose(experiment.pre_pulse)
    corners = np.cumsum([0.0, *durations])
    # the window opens `begin` after the start of the pulse; rows: time differences
    begin = np.reshape(differences, (-1, 1)) - STDP_RISE / 2
    seconds = np.diff(np.clip(corners - begin, 0.0, experiment.phi_window))
    return state_rate(memristor, 1.0) * (seconds @ volts)
