"""The IV experiment: a sine across one memristor; pinched hysteresis loop, state over time, loops at several frequencies."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PySpice.Spice.Netlist import Circuit

from memristive.cli.command_line import draw, netlist_of, write_netlist
from memristive.io.claims import claimed
from memristive.io.results import results_path, write_results
from memristive.spice.parameters import Parameters, quantity
from memristive.spice.session import NgspiceSession, Solver, netlist_text
from memristor import ROUNDED, MemristorParameters, channel_current, rounding, state_rate
from plotting import GREEN, VERMILLION, WIDTH, cross, line_style, prefixed, time_scale
from studies.single_cell import STATE, one_cell

IV_TRANSCONDUCTANCE = 2e-4  # S, K of the IV experiment (Jurj 2024); that of the networks is the parameter's default
STEPS_PER_PERIOD = 1000  # at least so many time points per period of the IV experiment
FAR = 10  # times the amplitude: by as much X must swing for the closed form of the current
PINCHED = 1e-2  # of the peak current, at 0 V
LOBED = 1e-2  # of a loop's width, the current at 0 V: of more, the lobe is the gate's as well
CHARGED = 2e-3  # of the peak current, what charges the gate: of more, the closed form's current leaves out too much
FORGOTTEN = 1e-2  # of X, in the loops over frequency: of more, loops do not repeat
MULTIPLES = (1, 2, 5, 20, 100, 1000)  # frequencies of the fingerprint sweep, in units of the IV experiment's


@dataclass(frozen=True)
class IvExperiment(Parameters):
    """The IV experiment (Jurj 2024): S at 0 V, a sine at D, phi high all the time."""

    amplitude: float = quantity(1.0, 1e-3, 100.0, "V", "amplitude of the sine at D")
    frequency: float = quantity(1e3, 1e-2, 1e6, "Hz", "frequency of the sine at D")
    phi_voltage: float = quantity(1.2, 1e-3, 100.0, "V", "constant control voltage phi")
    initial_state: float = quantity(0.0, -1e6, 1e6, "V", "X at t = 0 of the loop, not of those over frequency")
    periods: int = quantity(10, 1, 1000, "", "periods of the sine to simulate")

    @property
    def duration(self) -> float:
        """Length of the transient in s."""
        return self.periods / self.frequency


def closed_form_iv(parameters: MemristorParameters, time: np.ndarray, amplitude: float, frequency: float,
                   initial_state: float) -> tuple[np.ndarray, np.ndarray]:
    """Closed form of the IV experiment: state X in V and channel current in A at `time` (s, any shape), S at 0 V.

    Solves (C + C_gate) dX/dt = K A sin(2 pi f t) - X / R_leak; below 0 V the channel's drain and source change places.
    Leaves out what the gate's capacitances to D and S do, so it holds where X swings by far more than A.
    """
    leak, omega = 1 / parameters.write_time_constant, 2 * np.pi * frequency
    decay, angle = np.exp(-leak * time), omega * np.asarray(time, float)
    swing = state_rate(parameters, amplitude) / (omega**2 + leak**2)
    state = initial_state * decay + swing * (omega * decay + leak * np.sin(angle) - omega * np.cos(angle))
    voltage = amplitude * np.sin(angle)
    forward = channel_current(parameters, state - np.minimum(voltage, 0), np.abs(voltage))
    return state, np.sign(voltage) * forward


def state_swing(parameters: MemristorParameters, amplitude: float, frequency: float) -> np.ndarray:
    """Amplitude in V by which a sine of `amplitude` V moves X about its mean: K A / (2 pi f (C + C_gate))."""
    return state_rate(parameters, amplitude) / (2 * np.pi * frequency)


def iv_circuit(parameters: MemristorParameters, amplitude: float, frequency: float, phi_voltage: float,
               initial_state: float) -> Circuit:
    """Netlist of the IV experiment: a sine of `amplitude` V and `frequency` Hz at D, S at 0 V, phi constant (V)."""
    circuit = one_cell(parameters, phi_voltage, initial_state, "memristor IV experiment")
    circuit.V("input", "input", circuit.gnd, f"sin(0 {amplitude!r} {frequency!r})")
    circuit.V("phi", "phi", circuit.gnd, phi_voltage)
    return circuit


def iv_solver(frequency: float) -> Solver:
    """Solver with `STEPS_PER_PERIOD` steps to a period of `frequency` Hz.

    Gear's method: where the current that charges the gate matters, the trapezoidal rule rings, and one sees nothing else.
    """
    return Solver(max_step=1 / (STEPS_PER_PERIOD * frequency), method="gear")


def iv_experiment(session: NgspiceSession, parameters: MemristorParameters, amplitude: float, frequency: float,
                  phi_voltage: float, initial_state: float, periods: int) -> tuple[np.ndarray, np.ndarray, np.ndarray,
                  np.ndarray]:
    """Run the IV experiment; return arrays time (s), voltage D to S (V), current (A), state X (V).

    The current is what reaches the neuron at S: at D, ngspice adds the NMOS's bulk diode, which conducts below 0 V.
    Raises SimulationError.
    """
    circuit = iv_circuit(parameters, amplitude, frequency, phi_voltage, initial_state)
    loaded = session.load(circuit, iv_solver(frequency), ["input", STATE, "i(vneuron)"])
    waves = loaded.run(periods / frequency)
    session.unload(loaded)
    return waves.time, waves["input"], waves["vneuron#branch"], waves[STATE]


def residue(voltage: np.ndarray, current: np.ndarray) -> float:
    """Largest current where the voltage crosses 0, as a share of the peak current (arrays over time)."""
    before = np.flatnonzero(np.sign(voltage[:-1]) * np.sign(voltage[1:]) < 0)
    share = voltage[before] / (voltage[before] - voltage[before + 1])
    crossing = current[before] + share * (current[before + 1] - current[before])
    return float(np.abs(crossing).max(initial=0.0) / max(np.abs(current).max(), 1e-30))


@dataclass(frozen=True)
class Loop:
    """One loop of the fingerprint sweep; currents are shares of the loop's peak current."""

    frequency: float  # Hz
    voltage: np.ndarray  # V
    current: np.ndarray  # array as long as voltage
    lobe_area: float  # V, area of the lobe at positive voltages
    width: float  # between the two branches at half the amplitude
    residue: float  # largest current where the voltage crosses 0


def sweep_start(parameters: MemristorParameters, experiment: IvExperiment) -> float:
    """X in V at which the loops over frequency start."""
    return float(state_swing(parameters, experiment.amplitude, experiment.frequency))


def fingerprints(session: NgspiceSession, parameters: MemristorParameters, experiment: IvExperiment) -> list[Loop]:
    """The three fingerprints of a memristor (Adhikari, Sah, Kim, Chua 2013) over frequency: a list of `Loop`.

    All loops start at `sweep_start`, the state swing of the lowest frequency. From X = 0 they would all look alike: the state
    would swing between 0 and twice its mean at any frequency. (Above about 1e4 times the default frequency, the current
    that charges the gate opens the loop again.) Raises SimulationError.
    """
    start = sweep_start(parameters, experiment)
    return [_loop(session, parameters, experiment, multiple * experiment.frequency, start) for multiple in MULTIPLES]


def _loop(session: NgspiceSession, parameters: MemristorParameters, experiment: IvExperiment, frequency: float,
          start: float) -> Loop:
    time, voltage, current, _ = iv_experiment(session, parameters, experiment.amplitude, frequency,
                                              experiment.phi_voltage, start, periods=2)
    phase = time * frequency - 1  # the first period holds the solver's start
    positive, last = (phase >= 0) & (phase <= 0.5), phase >= 0
    current = current / max(np.abs(current[last]).max(), 1e-30)
    rising, falling = np.interp([1 / 12, 5 / 12], phase, current)  # where the sine is at half its amplitude
    return Loop(frequency, voltage[last], current[last], float(abs(np.trapezoid(current[positive], voltage[positive]))),
                float(abs(rising - falling)), float(np.abs(np.interp([0, 0.5, 1], phase, current)).max()))


def _lobed(residue: float, width: float) -> bool:
    """Whether a loop's lobe is the channel's alone, and not that of the current that charges the gate as well."""
    return residue <= LOBED * width


def run_iv(arguments: argparse.Namespace, parameters: MemristorParameters, experiment: IvExperiment) -> None:
    setting = (experiment.amplitude, experiment.frequency, experiment.phi_voltage, experiment.initial_state)
    made_with = {"memristor": parameters.as_dict(), "experiment": experiment.as_dict()}
    with claimed([(results_path(arguments.figures, "memristor"), made_with)], netlist_of(arguments), arguments.force):
        write_netlist(arguments.netlist, lambda: netlist_text(
            iv_circuit(parameters, *setting), iv_solver(experiment.frequency), experiment.duration,
            print_nodes=["v(input)", f"v({STATE})", "i(vneuron)"]))
        session = NgspiceSession()
        time, voltage, current, state = iv_experiment(session, parameters, *setting, experiment.periods)
        loops = fingerprints(session, parameters, experiment)
        results = _iv_results(parameters, experiment, time, current, state, loops) | {"residue": residue(voltage, current)}
        print(f"wrote {write_results(arguments.figures, 'memristor', session, made_with, results)}")
        _print_iv(parameters, experiment, results)
        draw(arguments, "memristor_iv", loop_figure, time, voltage, current, state, results["residue"] <= PINCHED)
        draw(arguments, "memristor_fingerprints", fingerprints_figure,
             [(loop.frequency, loop.voltage, loop.current, loop.lobe_area) for loop in loops],
             max(loop.residue for loop in loops) <= PINCHED, [_lobed(loop.residue, loop.width) for loop in loops])


def _iv_results(parameters: MemristorParameters, experiment: IvExperiment, time: np.ndarray, current: np.ndarray,
                state: np.ndarray, loops: list[Loop]) -> dict[str, Any]:
    exact_state, exact_current = closed_form_iv(parameters, time, experiment.amplitude, experiment.frequency,
                                                experiment.initial_state)
    return {
        "peak_state_V": state.max(), "peak_current_A": np.abs(current).max(),
        "closed_form_peak_state_V": exact_state.max(), "closed_form_peak_current_A": np.abs(exact_current).max(),
        "state_deviation": np.abs(state - exact_state).max() / np.ptp(exact_state),
        "current_deviation": np.abs(current - exact_current).max() / max(np.abs(exact_current).max(), 1e-30),
        "fingerprints": [{"frequency_Hz": loop.frequency, "lobe_area_V": loop.lobe_area, "width": loop.width,
                          "residue": loop.residue} for loop in loops]}


def _print_iv(parameters: MemristorParameters, experiment: IvExperiment, results: dict[str, Any]) -> None:
    print(f"IV: {experiment.amplitude:g} V at {experiment.frequency:g} Hz, K = {parameters.transconductance:g} S, "
          f"C + C_gate = {parameters.memory_capacitance * 1e12:.4g} pF")
    print("                 ngspice   closed form   largest deviation")
    for name, unit in (("state", "V"), ("current", "A")):
        key = f"peak_{name}_{unit}"
        print(f"peak {name:<8}{results[key]:>9.4g} {unit}{results[f'closed_form_{key}']:>11.4g} {unit}"
              f"{results[f'{name}_deviation']:>16.2e}")
    print(f"this loop's current at 0 V: {results['residue']:.2%} of its peak")
    swing = sweep_start(parameters, experiment)
    print(f"fingerprints, all from X = {swing:.3g} V, currents as shares of the peak:")
    print("frequency (Hz)   lobe area (V)   width at half amplitude   current at 0 V")
    for loop in results["fingerprints"]:
        print(f"{loop['frequency_Hz']:>14g}{loop['lobe_area_V']:>16.3e}{loop['width']:>26.3e}{loop['residue']:>17.1e}")
    lost = -np.expm1(-2 / experiment.frequency / parameters.write_time_constant)
    if lost > FORGOTTEN:
        print(f"these loops do not repeat: through the leak X falls by {lost:.0%} of where it starts in the two periods of the "
              "lowest frequency, which they show as well (a higher --leak-resistance or --frequency)")
    if (share := rounding(parameters, experiment.duration)) > ROUNDED:
        print(f"ngspice's X may be off by {share:.1%}: so much it rounds in "
              f"{experiment.duration:g} s over a switch of {parameters.switch_on:g} ohm (--switch-on 1e3)")
    if swing < FAR * experiment.amplitude:
        print(f"the closed form holds where X swings by far more than the amplitude: here by {swing:.3g} V to either "
              f"side for {experiment.amplitude:g} V (a higher --transconductance or a lower --frequency)")
    charging = state_rate(parameters, experiment.amplitude) * parameters.gate_capacitance / 2 / results["peak_current_A"]
    if swing >= FAR * experiment.amplitude and charging > CHARGED:
        print(f"the closed form's current leaves out what charges the gate, up to {charging:.1%} of the peak (a lower "
              "--frequency or a shorter --length)")
    gates = [loop["frequency_Hz"] for loop in results["fingerprints"] if not _lobed(loop["residue"], loop["width"])]
    if gates:
        print(f"from {min(gates):g} Hz on, lobe area and width are those of the current that charges the gate as well (a lower "
              "--frequency or a higher --transconductance)")
    worst = max(results["residue"], *(loop["residue"] for loop in results["fingerprints"]))
    if worst > PINCHED:
        print(f"not all loops are pinched: at 0 V up to {worst:.0%} of the peak current flows, which charges the gate")


def loop_figure(time: np.ndarray, voltage: np.ndarray, current: np.ndarray, state: np.ndarray, pinched: bool = True) -> Figure:
    """The IV experiment: loop of `current` (A) against `voltage` (V), state X (V) and voltage over `time` (s)."""
    figure, axes = plt.subplot_mosaic([["loop", "state"], ["loop", "voltage"]], figsize=(WIDTH, 4.0))
    amperes, current_unit = prefixed(current, "A")
    volts, state_unit = prefixed(state, "V")
    seconds, time_unit = time_scale(time[-1])
    axes["loop"].plot(voltage, current * amperes)
    cross(axes["loop"])
    axes["loop"].set(xlabel="voltage D to S (V)", ylabel=f"current to the neuron ({current_unit})",
                     title="Pinched hysteresis loop" if pinched else "Hysteresis loop, open at 0 V")
    axes["state"].plot(time * seconds, state * volts, color=GREEN)
    axes["state"].set(ylabel=f"state X ({state_unit})", title="State and voltage over time")
    axes["voltage"].plot(time * seconds, voltage, color=VERMILLION)
    axes["voltage"].set(xlabel=f"time ({time_unit})", ylabel="voltage D to S (V)")
    axes["state"].sharex(axes["voltage"])
    axes["state"].tick_params(labelbottom=False)
    return figure


def fingerprints_figure(loops: Sequence[tuple[float, np.ndarray, np.ndarray, float]], pinched: bool = True,
                        lobed: Sequence[bool] | None = None) -> Figure:
    """Loops at several frequencies. `loops`: (frequency in Hz, voltage in V, current over its peak, lobe area in V); `lobed`:
    whose lobes are the channel's alone (default: all).
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.0), width_ratios=(1.25, 1))
    for k, (frequency, voltage, current, _) in enumerate(loops):
        left.plot(voltage, current, label=_frequency(frequency), **line_style(k, len(loops)))
    cross(left)
    left.locator_params(nbins=5)
    left.set(xlabel="voltage D to S (V)", ylabel="current / peak current", title="Loops" + ", pinched at the origin" * pinched)
    left.legend(title="frequency", loc="upper left")
    frequencies, areas = np.array([loop[0] for loop in loops]), np.array([loop[3] for loop in loops])
    right.loglog(frequencies, areas, "o-")
    gates = ~np.array([True] * len(loops) if lobed is None else lobed)
    if gates.any():
        right.loglog(frequencies[gates], areas[gates], "o", color=VERMILLION, markerfacecolor="white",
                     label="with the gate's current")
        right.legend(loc="best")  # areas fall with the frequency, or rise where the gate conducts
    right.set(xlabel="frequency (Hz)", ylabel="lobe area (V × peak current)", title="Area of the loop's positive lobe")
    return figure


def _frequency(hertz: float) -> str:
    factor, unit = prefixed([hertz], "Hz")
    return f"{hertz * factor:g} {unit}"
