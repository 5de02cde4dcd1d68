"""I-V experiment: the hysteresis loop of one emulator under a sine in ngspice, and its three
fingerprints.

A memristor has three fingerprints (Adhikari, Sah, Kim, Chua, IEEE TCAS I 60, 3008, 2013): its loop
is pinched at the origin, the lobes of the loop shrink with frequency, and at high frequency the
loop is a line. Writes results/devices/memristor.json and figures/memristor_iv.png in about 2 s.
With --stdp it measures the STDP window (memristive.commands.stdp_window).
"""

import argparse
import dataclasses
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.script import (
    Record,
    apply_settings,
    make_parser,
    print_rows,
    run,
)
from memristive.commands.stdp_window import run_stdp
from memristive.devices.characterise import STATE, one_cell
from memristive.parameters import Parameters, quantity
from memristive.spice.pyspice import Circuit
from memristive.spice.session import NgspiceSession, Solver, netlist_text
from memristor import MemristorParameters, channel_current, state_rate

# K of the I-V experiment (Jurj 2024); networks have 5e-9 S
IV_MEMRISTOR = MemristorParameters(transconductance=2e-4)
STEPS_PER_PERIOD = 1000
# frequencies of the fingerprints over the frequency of the I-V experiment
MULTIPLES = (1, 2, 5, 20, 100, 1000)


def main(arguments: list[str] | None = None) -> None:
    """Run the I-V experiment, or measure the STDP window."""
    parser = make_parser(__doc__, "devices", netlist=True)
    parser.add_argument(
        "--stdp", action="store_true", help="measure the STDP window instead of the I-V loop"
    )
    options = parser.parse_args(arguments)
    (run_stdp if options.stdp else run_iv)(options)


@dataclass(frozen=True)
class IvExperiment(Parameters):
    """I-V experiment (Jurj 2024): source S at 0 V, a sine at drain D, phi high all the time."""

    amplitude: float = quantity(1.0, 1e-3, 100.0, "V", "amplitude of the sine at D")
    frequency: float = quantity(1e3, 1e-2, 1e9, "Hz", "frequency of the sine at D")
    phi_voltage: float = quantity(1.2, 1e-3, 100.0, "V", "constant control voltage phi")
    initial_state: float = quantity(
        0.0, -1e9, 1e9, "V", "X at t = 0 of the loop, not of those over frequency"
    )
    periods: int = quantity(10, 1, 1000, "", "periods of the sine to simulate")

    @property
    def duration(self) -> float:
        """Length of the transient in s."""
        return self.periods / self.frequency


def run_iv(options: argparse.Namespace) -> None:
    """Run the I-V experiment: compare one loop with its closed form, and measure the
    fingerprints.
    """
    memristor, experiment = apply_settings(options, memristor=IV_MEMRISTOR, iv=IvExperiment())
    record = Record(
        options, "memristor", {"memristor": memristor.as_dict(), "iv": experiment.as_dict()}
    )
    nodes = ["v(input)", f"v({STATE})", "i(vneuron)"]
    record.write_netlist(
        lambda: netlist_text(
            iv_circuit(memristor, experiment),
            iv_solver(experiment),
            experiment.duration,
            print_nodes=nodes,
        )
    )

    # 1. One loop, and its distance from the closed form.
    time, voltage, current, state = iv_experiment(memristor, experiment)
    exact_state, exact_current = closed_form_iv(memristor, experiment, time)
    results = {
        "peak_state_V": state.max(),
        "peak_current_A": np.abs(current).max(),
        "closed_form_peak_state_V": exact_state.max(),
        "closed_form_peak_current_A": np.abs(exact_current).max(),
        "state_deviation": np.abs(state - exact_state).max() / np.ptp(exact_state),
        "current_deviation": np.abs(current - exact_current).max()
        / max(np.abs(exact_current).max(), 1e-30),
    }

    # 2. The fingerprints: loops over frequency, currents as shares of their peak.
    rows = fingerprints(memristor, experiment)

    # 3. Save, print, plot.
    record.write(results | {"rows": rows})
    print_rows([results])
    print_rows(rows)
    record.plot(loop_figure(time, voltage, current, state), "iv")


def iv_circuit(memristor: MemristorParameters, experiment: IvExperiment) -> Circuit:
    """Return the netlist of the I-V experiment."""
    circuit = one_cell(
        memristor, experiment.phi_voltage, experiment.initial_state, "memristor I-V experiment"
    )
    circuit.V(
        "input", "input", circuit.gnd, f"sin(0 {experiment.amplitude!r} {experiment.frequency!r})"
    )
    circuit.V("phi", "phi", circuit.gnd, experiment.phi_voltage)
    return circuit


def iv_solver(experiment: IvExperiment) -> Solver:
    """Return ngspice's settings: Gear's method, because with the trapezoidal rule the current that
    charges the gate rings.
    """
    return Solver(max_step=1 / (STEPS_PER_PERIOD * experiment.frequency), method="gear")


def iv_experiment(
    memristor: MemristorParameters, experiment: IvExperiment
) -> tuple[np.ndarray, ...]:
    """Run the I-V experiment in ngspice.

    Returns
    -------
    time, voltage, current, state : arrays over time
        Time in s, voltage from D to S in V, current in A, state X in V. The current is taken at S,
        because the current at D includes the bulk diode of the NMOS, which conducts below 0 V.

    Raises
    ------
    SimulationError
        ngspice cannot complete the transient.
    """
    loaded = NgspiceSession().load(
        iv_circuit(memristor, experiment), iv_solver(experiment), ["input", STATE, "i(vneuron)"]
    )
    waves = loaded.run(experiment.duration)
    loaded.unload()
    return waves.time, waves["input"], waves["vneuron#branch"], waves[STATE]


def closed_form_iv(
    memristor: MemristorParameters, experiment: IvExperiment, time: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the closed form of the I-V experiment: state X in V and channel current in A at `time`
    in s (any shape).

    Solves (C + C_gate) dX/dt = K A sin(2 pi f t) - X / R_leak, with the amplitude A and the
    frequency f of the sine. Below 0 V drain and source of the channel change places. The gate's
    capacitances to D and S are left out, so the current is right only if the swing of X is much
    larger than A.
    """
    amplitude, frequency = experiment.amplitude, experiment.frequency
    leak, omega = 1 / memristor.write_time_constant, 2 * np.pi * frequency
    decay, angle = np.exp(-leak * time), omega * np.asarray(time, float)
    swing = state_rate(memristor, amplitude) / (omega**2 + leak**2)
    state = experiment.initial_state * decay + swing * (
        omega * decay + leak * np.sin(angle) - omega * np.cos(angle)
    )
    voltage = amplitude * np.sin(angle)
    forward = channel_current(memristor, state - np.minimum(voltage, 0), np.abs(voltage))
    return state, np.sign(voltage) * forward


def state_swing(memristor: MemristorParameters, experiment: IvExperiment) -> float:
    """Return the amplitude of X in V under a sine of amplitude A and frequency f: K A / (2 pi f (C
    + C_gate)).
    """
    return float(state_rate(memristor, experiment.amplitude) / (2 * np.pi * experiment.frequency))


def measured_loop(
    frequency: float, time: np.ndarray, voltage: np.ndarray, current: np.ndarray
) -> dict[str, float]:
    """Return measures of the second period of an I-V loop, with currents as shares of their peak.

    They are frequency, area of the lobe at positive voltages, and residue, the largest current at
    0 V. `frequency`: Hz. `time` (s), `voltage` (V) and `current` (A) cover two periods.
    """
    phase = time * frequency - 1  # the first period holds the solver's start
    positive, last = (phase >= 0) & (phase <= 0.5), phase >= 0
    current = current / max(np.abs(current[last]).max(), 1e-30)
    return {
        "frequency_Hz": frequency,
        "lobe_area_V": float(abs(np.trapezoid(current[positive], voltage[positive]))),
        "residue": float(np.abs(np.interp([0, 0.5, 1], phase, current)).max()),
    }


def fingerprints(
    memristor: MemristorParameters, experiment: IvExperiment
) -> list[dict[str, float]]:
    """Return measures of loops at `MULTIPLES` of the experiment's frequency, simulated in ngspice.

    All loops start with X at the `state_swing` of the lowest frequency. If they started from X = 0,
    loops of all frequencies would look alike, because X would swing between 0 and twice its mean at
    any frequency. Raises SimulationError.
    """
    start = state_swing(memristor, experiment)
    loops = []
    for multiple in MULTIPLES:
        faster = dataclasses.replace(
            experiment, frequency=multiple * experiment.frequency, initial_state=start, periods=2
        )
        loops.append(measured_loop(faster.frequency, *iv_experiment(memristor, faster)[:3]))
    return loops


def loop_figure(
    time: np.ndarray, voltage: np.ndarray, current: np.ndarray, state: np.ndarray
) -> Figure:
    """Draw the I-V experiment: `current` (A) against `voltage` (V), state X (V) and voltage over
    `time` (s).
    """
    figure, axes = plt.subplot_mosaic(
        [["loop", "state"], ["loop", "voltage"]], figsize=(plotting.WIDTH, 4.0)
    )
    amperes, current_unit = plotting.prefixed(current, "A")
    volts, state_unit = plotting.prefixed(state, "V")
    seconds, time_unit = plotting.prefixed(time[-1], "s")
    axes["loop"].plot(voltage, current * amperes)
    plotting.cross(axes["loop"])
    axes["loop"].set(
        xlabel="voltage D to S (V)",
        ylabel=f"current to the neuron ({current_unit})",
        title="Hysteresis loop",
    )
    axes["state"].plot(time * seconds, state * volts, color=plotting.GREEN)
    axes["state"].set(ylabel=f"state X ({state_unit})", title="State and voltage over time")
    axes["voltage"].plot(time * seconds, voltage, color=plotting.VERMILLION)
    axes["voltage"].set(xlabel=f"time ({time_unit})", ylabel="voltage D to S (V)")
    axes["state"].sharex(axes["voltage"])
    axes["state"].tick_params(labelbottom=False)
    return figure


if __name__ == "__main__":
    run(main)
