"""The memristor emulator: its parameters, its SPICE subcircuits, its closed form, and the IV and STDP experiments.

Run by itself it simulates the emulator in ngspice and writes figures/memristor_iv.png (pinched hysteresis loop, state
over time), figures/memristor_fingerprints.png (loops at several frequencies) and figures/memristor_results.json.
With --stdp it measures the STDP window instead and writes figures/memristor_stdp.png and
figures/memristor_stdp_results.json. About 3 s each.
"""

import argparse
import dataclasses
import sys
from dataclasses import dataclass

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from parameters import ParameterError, Parameters, quantity
from simulation import NgspiceSession, Solver, netlist_text

OXIDE_PERMITTIVITY = 3.9 * 8.854214871e-12  # F/m, silicon dioxide; the constant of ngspice's MOSFET models


@dataclass(frozen=True)
class MemristorParameters(Parameters):
    """The emulator of V. Saxena (arXiv:1711.06819) as Jurj (Electronics 2024, 13, 4665) uses it in the networks.

    A transconductance charges the memory capacitor with the time integral of the voltage across the synapse while phi
    is high; the capacitor's voltage X gates an NMOS transistor whose channel is the synapse.
    """

    transconductance: float = quantity(5e-9, 1e-15, 1.0, "S", "K, charges the memory per volt across the synapse")
    leak_resistance: float = quantity(1e12, 1e6, 1e18, "ohm", "from the transconductance's output to ground")
    capacitance: float = quantity(1e-13, 1e-18, 1e-3, "F", "the explicit memory capacitor C")
    width: float = quantity(100e-6, 1e-8, 1e-1, "m", "channel width W (ngspice's default)")
    length: float = quantity(100e-6, 1e-8, 1e-1, "m", "channel length L (ngspice's default)")
    oxide_thickness: float = quantity(100e-9, 1e-10, 1e-5, "m", "gate oxide tox (ngspice's default)")
    kp: float = quantity(1.3e-4, 1e-9, 1.0, "A/V^2", "transconductance parameter Kp of the channel")
    threshold_voltage: float = quantity(0.0, -10.0, 10.0, "V", "Vto of the channel")
    junction_current: float = quantity(1e-14, 1e-100, 1e-3, "A", "saturation current Is of the drain-bulk junction")
    switch_threshold: float = quantity(0.5, 1e-3, 100.0, "V", "phi above this writes, below it remembers")
    switch_on: float = quantity(1e-3, 1e-9, 1e6, "ohm", "closed switch")
    switch_off: float = quantity(1e20, 1e6, 1e30, "ohm", "open switch")

    def check(self):
        if not self.switch_on < self.switch_off:
            raise ParameterError(f"switch_on must be below switch_off, got {self.switch_on:g} and {self.switch_off:g}")

    @property
    def gate_capacitance(self):
        """Capacitance of the transistor's own gate, eps_ox * W * L / tox, in F: it dwarfs the explicit capacitor."""
        return OXIDE_PERMITTIVITY * self.width * self.length / self.oxide_thickness

    @property
    def memory_capacitance(self):
        """All that the transconductance charges, C + C_gate, in F."""
        return self.capacitance + self.gate_capacitance

    @property
    def gain(self):
        """Kp * W / L in A/V^2."""
        return self.kp * self.width / self.length

    def channel_model(self):
        """Keyword arguments of the NMOS model."""
        return {"level": 3, "vto": self.threshold_voltage, "kp": self.kp, "tox": self.oxide_thickness,
                "is": self.junction_current}


def check_phi(phi_voltage, parameters):
    """Raise ParameterError if phi never crosses the write switch, so that the state could not change."""
    if not phi_voltage > parameters.switch_threshold:
        raise ParameterError(f"phi_voltage must exceed switch_threshold, or nothing is ever written, got "
                             f"{phi_voltage:g} V for {parameters.switch_threshold:g} V")


def state_rate(parameters, voltage):
    """dX/dt in V/s while phi is high: K * V / (C + C_gate), for `voltage` V across the synapse (any shape)."""
    return parameters.transconductance * np.asarray(voltage, float) / parameters.memory_capacitance


def trained_state(parameters, voltage, duration):
    """Closed form of a cell's state in V after a pulse of `voltage` V for `duration` s, from X = 0 (any shape)."""
    return state_rate(parameters, voltage) * duration


def channel_current(parameters, state, voltage):
    """Channel current in A from the input to a neuron at 0 V: Shichman and Hodges' square law, as level 3 reduces to.

    `state` X (V) and `voltage` V >= 0 (V) broadcast. Off for X below Vto, saturated for X - Vto below V, else linear.
    """
    overdrive = np.maximum(np.asarray(state, float) - parameters.threshold_voltage, 0.0)
    drop = np.minimum(np.asarray(voltage, float), overdrive)
    return parameters.gain * (overdrive * drop - drop**2 / 2)


def raised_state(parameters, state, voltage, steps=200):
    """The floating gate's voltage in V while the input is at `voltage` V: the channel lifts the gate it is coupled to.

    Integrates (C + C_gs + C_gd) dX = C_gd dV with the gate capacitances of J. E. Meyer (RCA Review 32, 1971) from
    V = 0, X = `state`, for a conducting channel. Shapes broadcast.
    """
    x = np.array(np.broadcast_arrays(np.asarray(state, float), voltage)[0])
    step = np.asarray(voltage, float) / steps
    for k in range(steps):
        v = (k + 0.5) * step
        source, drain = x - parameters.threshold_voltage, np.maximum(x - parameters.threshold_voltage - v, 0.0)
        both = np.maximum(source + drain, 1e-12)
        to_drain = 2 / 3 * parameters.gate_capacitance * (1 - (source / both) ** 2)
        to_source = 2 / 3 * parameters.gate_capacitance * (1 - (drain / both) ** 2)
        x = x + to_drain * step / (parameters.capacitance + to_drain + to_source)
    return x


def closed_form_iv(parameters, time, amplitude, frequency, initial_state):
    """Closed form of the IV experiment: state X in V and channel current in A at `time` (s, any shape), S at 0 V.

    Solves (C + C_gate) dX/dt = K A sin(2 pi f t) - X / R_leak; below 0 V the channel's drain and source change places.
    Leaves out what the gate's capacitances to D and S do, so it holds where X swings by far more than A.
    """
    leak, omega = 1 / (parameters.leak_resistance * parameters.memory_capacitance), 2 * np.pi * frequency
    decay, angle = np.exp(-leak * time), omega * np.asarray(time, float)
    swing = state_rate(parameters, amplitude) / (omega**2 + leak**2)
    state = initial_state * decay + swing * (omega * decay + leak * np.sin(angle) - omega * np.cos(angle))
    voltage = amplitude * np.sin(angle)
    forward = channel_current(parameters, state - np.minimum(voltage, 0), np.abs(voltage))
    return state, np.sign(voltage) * forward


def state_swing(parameters, amplitude, frequency):
    """Amplitude in V by which a sine of `amplitude` V moves X about its mean: K A / (2 pi f (C + C_gate))."""
    return state_rate(parameters, amplitude) / (2 * np.pi * frequency)


def stdp_state_change(parameters, spike, phi_window, difference):
    """Closed form of the STDP window in V: what a pre spike adds to X while a post spike, `difference` s later, writes.

    `spike` is the pre spike's shape as (times in s, voltages in V), 0 V before and after; `phi_window` in s,
    `difference` t_post - t_pre in s (any shape). Integrates the piecewise-linear spike exactly, for a state that stays
    above Vto (the gate's capacitance falls below); leaves out the leak, which takes 0.06 % of X in 2 ms.
    """
    times, voltages = np.asarray(spike, float)

    def charge(until):
        inside = np.clip(np.asarray(until)[..., None], times[:-1], times[1:])
        return ((inside - times[:-1]) * (voltages[:-1] + np.interp(inside, times, voltages)) / 2).sum(axis=-1)

    start = np.asarray(difference, float)
    return state_rate(parameters, 1.0) * (charge(start + phi_window) - charge(start))


class Cell(SubCircuit):
    """A subcircuit with device models. Models stand beside, not inside, it: one for all instances loads 3.5x faster."""

    def __init__(self, name, nodes, device_models):
        super().__init__(name, *nodes, x0=0)
        self.device_models = {f"{name}_{key}": model for key, model in device_models.items()}

    def add_to(self, circuit):
        """Define this subcircuit and its device models in the PySpice `circuit`."""
        circuit.subcircuit(self)
        for name, (kind, values) in self.device_models.items():
            circuit.model(name, kind, **values)


class ReadMemristor(Cell):
    """The emulator while phi is low: memory capacitor and channel, both starting at the instance parameter x0 (V).

    Nodes: neuron (S), input (D). The open switch cuts pump and leak off, so they are left out.
    """

    def __init__(self, parameters, name="read_memristor", nodes=("neuron", "input"), device_models=None):
        channel = {"channel": ("nmos", parameters.channel_model())}
        super().__init__(name, nodes, channel | (device_models or {}))
        self.C("memory", "gate", self.gnd, parameters.capacitance, raw_spice="ic={x0}")
        # The gate's own charge must start at X too: without ic here the channel would drain the memory at t = 0.
        self.MOSFET("channel", "input", "gate", "neuron", self.gnd, model=f"{name}_channel", w=parameters.width,
                    l=parameters.length, raw_spice="ic=0,{x0},0")


class Memristor(ReadMemristor):
    """The whole emulator. Nodes: neuron (S), input (D), phi. Instance parameter x0: the state at t = 0 in V."""

    def __init__(self, parameters, name="memristor"):
        write = {"vt": parameters.switch_threshold, "vh": 0, "ron": parameters.switch_on, "roff": parameters.switch_off}
        super().__init__(parameters, name, ("neuron", "input", "phi"), {"write": ("sw", write)})
        self.VCCS("charge", self.gnd, "pump", "input", "neuron", transconductance=parameters.transconductance)
        self.R("leak", "pump", self.gnd, parameters.leak_resistance)
        self.S("write", "pump", "gate", "phi", self.gnd, model=f"{name}_write")


class MemristorChain(SubCircuit):
    """`count` memristors in series between neuron and input, sharing phi. Add its `Memristor` to the circuit as well."""

    def __init__(self, count, memristor="memristor", name="memristor_chain"):
        if not count >= 1:
            raise ParameterError(f"a chain needs at least 1 memristor, got {count}")
        super().__init__(name, "neuron", "input", "phi", x0=0)
        nodes = ["neuron", *(f"joint_{k}" for k in range(1, count)), "input"]
        for k in range(count):
            self.X(k, memristor, nodes[k], nodes[k + 1], "phi", x0="{x0}")


IV_TRANSCONDUCTANCE = 2e-4  # S, K of the IV experiment (Jurj 2024); that of the networks is the parameter's default
STEPS_PER_PERIOD = 500  # at least so many time points per period of the IV experiment
MULTIPLES = (1, 2, 5, 20, 100, 1000)  # frequencies of the fingerprint sweep, in units of the IV experiment's
STDP_SOLVER = Solver(max_step=200e-6)
STATE = "xcell.gate"  # the vector that holds the state of the one cell in these experiments


@dataclass(frozen=True)
class IvExperiment(Parameters):
    """The IV experiment (Jurj 2024): S at 0 V, a sine at D, phi high all the time."""

    amplitude: float = quantity(1.0, 1e-3, 100.0, "V", "amplitude of the sine at D")
    frequency: float = quantity(1e3, 1e-2, 1e6, "Hz", "frequency of the sine at D")
    phi_voltage: float = quantity(1.2, 1e-3, 100.0, "V", "constant control voltage phi")
    initial_state: float = quantity(0.0, -1e6, 1e6, "V", "X at t = 0")
    periods: int = quantity(10, 1, 1000, "", "periods of the sine to simulate")

    @property
    def duration(self):
        """Length of the transient in s."""
        return self.periods / self.frequency


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

    def check(self):
        shortest = min(self.pre_duration, self.tail_duration, self.phi_window)
        if not self.rise < shortest:
            raise ParameterError(f"rise must be below every duration, got {self.rise:g} s and {shortest:g} s")

    @property
    def differences(self):
        """The time differences t_post - t_pre in s."""
        return np.linspace(-self.largest_difference, self.largest_difference, self.pairings)

    @property
    def pre_time(self):
        """When the pre pulse starts, in s: late enough for the earliest window."""
        return self.largest_difference + 2 * self.rise

    @property
    def duration(self):
        """Length of each transient in s: until after the latest window and the tail."""
        return self.pre_time + self.largest_difference + max(
            self.phi_window, self.pre_duration + self.tail_duration) + 2 * self.rise

    def pre_pulse(self):
        """Corners of the pre pulse, as (times in s after t_pre, voltages in V)."""
        change, end = self.pre_duration, self.pre_duration + self.tail_duration
        times = [0.0, self.rise, change, change + self.rise, end, end + self.rise]
        return times, [0.0, self.pre_voltage, self.pre_voltage, self.tail_voltage, self.tail_voltage, 0.0]

    def post_window(self, difference, threshold):
        """Corners (s, V) of phi: above the switch's `threshold` (V) from t_post on for exactly `phi_window`."""
        opens = self.pre_time + difference
        closes = opens + self.phi_window
        before = self.rise * threshold / self.phi_voltage
        after = self.rise - before
        return [(opens - before, 0.0), (opens + after, self.phi_voltage),
                (closes - after, self.phi_voltage), (closes + before, 0.0)]


def _one_cell(parameters, phi_voltage, initial_state, title):
    check_phi(phi_voltage, parameters)
    circuit = Circuit(title)
    Memristor(parameters).add_to(circuit)
    circuit.X("cell", "memristor", "neuron", "input", "phi", x0=initial_state)
    circuit.V("neuron", "neuron", circuit.gnd, 0)
    return circuit


def iv_circuit(parameters, amplitude, frequency, phi_voltage, initial_state):
    """Netlist of the IV experiment: a sine of `amplitude` V and `frequency` Hz at D, S at 0 V, phi constant (V)."""
    circuit = _one_cell(parameters, phi_voltage, initial_state, "memristor IV experiment")
    circuit.V("input", "input", circuit.gnd, f"sin(0 {amplitude!r} {frequency!r})")
    circuit.V("phi", "phi", circuit.gnd, phi_voltage)
    return circuit


def iv_solver(frequency):
    """Solver with `STEPS_PER_PERIOD` steps to a period of `frequency` Hz."""
    return Solver(max_step=1 / (STEPS_PER_PERIOD * frequency))


def iv_experiment(session, parameters, amplitude, frequency, phi_voltage, initial_state, periods):
    """Run the IV experiment; return arrays time (s), voltage D to S (V), current (A), state X (V).

    The current is what reaches the neuron at S: at D, ngspice adds the NMOS's bulk diode, which conducts below 0 V.
    Raises SimulationError.
    """
    circuit = iv_circuit(parameters, amplitude, frequency, phi_voltage, initial_state)
    loaded = session.load(circuit, iv_solver(frequency), ["input", STATE, "i(vneuron)"])
    waves = loaded.run(periods / frequency)
    session.unload(loaded)
    return waves.time, waves["input"], waves["vneuron#branch"], waves[STATE]


@dataclass(frozen=True)
class Loop:
    """One loop of the fingerprint sweep; currents are shares of the loop's peak current."""

    frequency: float  # Hz
    voltage: np.ndarray  # V
    current: np.ndarray  # array as long as voltage
    lobe_area: float  # V, area of the lobe at positive voltages
    width: float  # between the two branches at half the amplitude
    residue: float  # largest current where the voltage crosses 0


def fingerprints(session, parameters, experiment):
    """The three fingerprints of a memristor (Adhikari, Sah, Kim, Chua 2013) over frequency: a list of `Loop`.

    All loops start with X at the state swing of the lowest frequency. From X = 0 they would all look alike: the state
    would swing between 0 and twice its mean at any frequency. (Above about 1e4 times the default frequency, the current
    that charges the gate opens the loop again.) Raises SimulationError.
    """
    start = float(state_swing(parameters, experiment.amplitude, experiment.frequency))
    return [_loop(session, parameters, experiment, multiple * experiment.frequency, start) for multiple in MULTIPLES]


def _loop(session, parameters, experiment, frequency, start):
    time, voltage, current, _ = iv_experiment(session, parameters, experiment.amplitude, frequency,
                                              experiment.phi_voltage, start, periods=2)
    phase, current = time * frequency - 1, current / np.abs(current).max()  # the first period holds the solver's start
    positive, last = (phase >= 0) & (phase <= 0.5), phase >= 0
    rising, falling = np.interp([1 / 12, 5 / 12], phase, current)  # where the sine is at half its amplitude
    return Loop(frequency, voltage[last], current[last], float(abs(np.trapezoid(current[positive], voltage[positive]))),
                float(abs(rising - falling)), float(np.abs(np.interp([0, 0.5, 1], phase, current)).max()))


def stdp_circuit(parameters, experiment, difference):
    """Netlist that pairs the pre pulse with a post spike `difference` s later (t_post - t_pre)."""
    circuit = _one_cell(parameters, experiment.phi_voltage, experiment.initial_state,
                        f"memristor STDP experiment, t_post - t_pre = {difference:g} s")
    times, voltages = experiment.pre_pulse()
    pre = [(0.0, 0.0), *((experiment.pre_time + t, v) for t, v in zip(times, voltages, strict=True))]
    phi = [(0.0, 0.0), *experiment.post_window(difference, parameters.switch_threshold)]
    circuit.PieceWiseLinearVoltageSource("input", "input", circuit.gnd, values=pre)
    circuit.PieceWiseLinearVoltageSource("phi", "phi", circuit.gnd, values=phi)
    return circuit


def stdp_experiment(session, parameters, experiment):
    """Measure the change of X in V for each of `experiment.differences` (array). Raises SimulationError."""
    loaded = session.load(stdp_circuit(parameters, experiment, 0.0), STDP_SOLVER, [STATE])
    changes = []
    for difference in experiment.differences:
        window = experiment.post_window(difference, parameters.switch_threshold)
        loaded.alter({"vphi pwl": np.ravel([(0.0, 0.0), *window])})
        changes.append(loaded.run(experiment.duration)[STATE][-1] - experiment.initial_state)
    session.unload(loaded)
    return np.array(changes)


# What only the script needs (options, files, figures) is imported by the functions below: the networks import this
# module for the device, and should not have to load all that.

def _parser(stdp):
    import command_line
    parser = command_line.make_parser(__doc__, {"--voltages": "one memristor has no trained voltages"})
    parser.add_argument("--stdp", action="store_true", help="measure the STDP window (its options: --stdp --help)")
    iv = dataclasses.replace(MemristorParameters(), transconductance=IV_TRANSCONDUCTANCE)
    command_line.add_quantities(parser, MemristorParameters() if stdp else iv)
    command_line.add_quantities(parser, StdpExperiment() if stdp else IvExperiment())
    return parser


def _run_iv(arguments, parameters, experiment):
    import command_line
    import files
    import plotting
    setting = (experiment.amplitude, experiment.frequency, experiment.phi_voltage, experiment.initial_state)
    command_line.write_netlist(arguments.netlist, lambda: netlist_text(
        iv_circuit(parameters, *setting), iv_solver(experiment.frequency), experiment.duration,
        print_nodes=["v(input)", f"v({STATE})", "i(vneuron)"]))
    session = NgspiceSession()
    time, voltage, current, state = iv_experiment(session, parameters, *setting, experiment.periods)
    loops = fingerprints(session, parameters, experiment)
    results = _iv_results(parameters, experiment, time, current, state, loops)
    _print_iv(parameters, experiment, results)
    command_line.draw(arguments, "memristor_iv", plotting.memristor_iv, time, voltage, current, state)
    command_line.draw(arguments, "memristor_fingerprints", plotting.fingerprints,
                      [(loop.frequency, loop.voltage, loop.current, loop.lobe_area) for loop in loops])
    made_with = {"memristor": parameters.as_dict(), "experiment": experiment.as_dict()}
    print(f"wrote {files.write_results(arguments.figures, 'memristor', session, made_with, results)}")


def _iv_results(parameters, experiment, time, current, state, loops):
    exact_state, exact_current = closed_form_iv(parameters, time, experiment.amplitude, experiment.frequency,
                                                experiment.initial_state)
    return {
        "peak_state_V": state.max(), "peak_current_A": np.abs(current).max(),
        "closed_form_peak_state_V": exact_state.max(), "closed_form_peak_current_A": np.abs(exact_current).max(),
        "state_deviation": np.abs(state - exact_state).max() / np.ptp(exact_state),
        "current_deviation": np.abs(current - exact_current).max() / max(np.abs(exact_current).max(), 1e-30),
        "fingerprints": [{"frequency_Hz": loop.frequency, "lobe_area_V": loop.lobe_area, "width": loop.width,
                          "residue": loop.residue} for loop in loops]}


def _print_iv(parameters, experiment, results):
    print(f"IV: {experiment.amplitude:g} V at {experiment.frequency:g} Hz, K = {parameters.transconductance:g} S, "
          f"C + C_gate = {parameters.memory_capacitance * 1e12:.4g} pF")
    print("                 ngspice   closed form   largest deviation")
    for name, unit in (("state", "V"), ("current", "A")):
        key = f"peak_{name}_{unit}"
        print(f"peak {name:<8}{results[key]:>9.4g} {unit}{results[f'closed_form_{key}']:>11.4g} {unit}"
              f"{results[f'{name}_deviation']:>16.2e}")
    print("fingerprints, currents as shares of the peak:")
    print("frequency (Hz)   lobe area (V)   width at half amplitude   current at 0 V")
    for loop in results["fingerprints"]:
        print(f"{loop['frequency_Hz']:>14g}{loop['lobe_area_V']:>16.3e}{loop['width']:>26.3e}{loop['residue']:>17.1e}")


def _run_stdp(arguments, parameters, experiment):
    import command_line
    import files
    import plotting
    command_line.write_netlist(arguments.netlist, lambda: netlist_text(
        stdp_circuit(parameters, experiment, 0.0), STDP_SOLVER, experiment.duration,
        print_nodes=["v(input)", "v(phi)", f"v({STATE})"]))
    session = NgspiceSession()
    differences, measured = experiment.differences, stdp_experiment(session, parameters, experiment)
    exact = stdp_state_change(parameters, experiment.pre_pulse(), experiment.phi_window, differences)
    results = {"differences_s": differences, "measured_V": measured, "closed_form_V": exact,
               "deviation_V": np.abs(measured - exact).max()}
    print(f"STDP: {experiment.pairings} pairings from X = {experiment.initial_state:g} V, "
          f"K = {parameters.transconductance:g} S")
    for name, k in (("highest", np.argmax(measured)), ("lowest", np.argmin(measured))):
        print(f"{name:<8}change of X {measured[k]:+8.4f} V at t_post - t_pre = {differences[k] * 1e3:+.3g} ms, "
              f"closed form {exact[k]:+8.4f} V")
    print(f"largest deviation from the closed form {results['deviation_V'] * 1e3:.2g} mV")
    fine = np.linspace(differences[0], differences[-1], 2001)
    command_line.draw(arguments, "memristor_stdp", plotting.stdp_window, differences, measured, fine,
                      stdp_state_change(parameters, experiment.pre_pulse(), experiment.phi_window, fine))
    made_with = {"memristor": parameters.as_dict(), "experiment": experiment.as_dict()}
    print(f"wrote {files.write_results(arguments.figures, 'memristor_stdp', session, made_with, results)}")


def main(arguments=None):
    """Run the IV experiment and the fingerprint sweep, or the STDP experiment."""
    import command_line
    # Which experiment it is decides the options there are and their defaults, so this is looked up first.
    mode = argparse.ArgumentParser(add_help=False)
    mode.add_argument("--stdp", action="store_true")
    stdp = mode.parse_known_args(arguments)[0].stdp
    arguments = _parser(stdp).parse_args(arguments)
    parameters = command_line.quantities(MemristorParameters(), vars(arguments))
    experiment = command_line.quantities(StdpExperiment() if stdp else IvExperiment(), vars(arguments))
    (_run_stdp if stdp else _run_iv)(arguments, parameters, experiment)


if __name__ == "__main__":
    import command_line
    sys.exit(command_line.run(main))
