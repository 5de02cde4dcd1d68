"""Circuits that nobody here needs, and PySpice's own simulator on them: the second opinion on what the session computes.

`python -m tests.spice.circuits FILE` writes what that simulator says as arrays, in a process of its own.
"""

import sys

import numpy as np
from PySpice.Spice.Netlist import Circuit
from PySpice.Spice.NgSpice.Shared import NgSpiceShared
from PySpice.Unit import u_Degree, u_F, u_H, u_Hz, u_kOhm, u_mH, u_MHz, u_mV, u_nF, u_ns, u_Ohm, u_pF, u_us, u_V

from spice.session import find_library


def rectifier():
    """A diode bridge charging a capacitor, 50 Hz."""
    circuit = Circuit("rectifier")
    circuit.SinusoidalVoltageSource("line", "hot", "cold", amplitude=10 @ u_V, frequency=50 @ u_Hz)
    circuit.R("ground", "cold", circuit.gnd, 1e6)
    bridge = [("hot", "out"), ("cold", "out"), (circuit.gnd, "hot"), (circuit.gnd, "cold")]
    for k, (anode, cathode) in enumerate(bridge):
        circuit.D(f"{k}", anode, cathode, model="rectifying")
    circuit.model("rectifying", "D", IS=1e-9, RS=0.1, CJO=20e-12)
    circuit.C("smoothing", "out", circuit.gnd, 100e-6 @ u_F)
    circuit.R("load", "out", circuit.gnd, 1 @ u_kOhm)
    return circuit


def ring_oscillator():
    """Five CMOS inverters in a ring, kicked off by one initial condition."""
    circuit = Circuit("ring oscillator")
    circuit.V("supply", "vdd", circuit.gnd, 3 @ u_V)
    circuit.model("nch", "nmos", level=1, vto=0.7, kp=100e-6)
    circuit.model("pch", "pmos", level=1, vto=-0.7, kp=40e-6)
    for k in range(5):
        circuit.M(f"n{k}", f"s{(k + 1) % 5}", f"s{k}", circuit.gnd, circuit.gnd, model="nch", w=2e-6, l=1e-6)
        circuit.M(f"p{k}", f"s{(k + 1) % 5}", f"s{k}", "vdd", "vdd", model="pch", w=5e-6, l=1e-6)
        circuit.C(f"{k}", f"s{k}", circuit.gnd, 1 @ u_pF)
    circuit.raw_spice = ".ic v(s0)=3 v(s1)=0 v(s2)=3 v(s3)=0 v(s4)=3 v(vdd)=3\n"
    return circuit


def amplifier():
    """A bipolar common-emitter stage, 1 mV at its input."""
    circuit = Circuit("amplifier")
    circuit.V("supply", "vcc", circuit.gnd, 12 @ u_V)
    circuit.SinusoidalVoltageSource("in", "input", circuit.gnd, amplitude=1 @ u_mV, frequency=1e4 @ u_Hz, ac_magnitude=1 @ u_V)
    circuit.C("in", "input", "base", 10e-6 @ u_F)
    circuit.R("1", "vcc", "base", 100 @ u_kOhm)
    circuit.R("2", "base", circuit.gnd, 20 @ u_kOhm)
    circuit.R("c", "vcc", "out", 5 @ u_kOhm)
    circuit.R("e", "emitter", circuit.gnd, 1 @ u_kOhm)
    circuit.C("e", "emitter", circuit.gnd, 100e-6 @ u_F)
    circuit.BJT("1", "out", "base", "emitter", model="bipolar")
    circuit.model("bipolar", "npn", bf=150, vaf=100, cje=10e-12, cjc=5e-12, tf=0.3e-9)
    return circuit


def tank():
    """An inductor and a charged capacitor: 5.03 kHz for ever."""
    circuit = Circuit("tank")
    circuit.raw_spice = "Cstore top 0 1u ic=1\n"
    circuit.L("store", "top", circuit.gnd, 1 @ u_mH)
    circuit.R("loss", "top", circuit.gnd, 1e9)
    return circuit


def line():
    """50 ohm of 100 ns, left open: the step comes back doubled."""
    circuit = Circuit("line")
    circuit.PulseVoltageSource("in", "source", circuit.gnd, initial_value=0 @ u_V, pulsed_value=1 @ u_V, delay_time=10 @ u_ns,
                               rise_time=1 @ u_ns, fall_time=1 @ u_ns, pulse_width=400 @ u_ns, period=2 @ u_us)
    circuit.R("source", "source", "near", 50 @ u_Ohm)
    circuit.LosslessTransmissionLine("1", "near", circuit.gnd, "far", circuit.gnd, impedance=50, time_delay=100e-9)
    circuit.R("far", "far", circuit.gnd, 1e6)
    return circuit


def divider():
    """An RC divider under a square wave whose edges are left to the simulator."""
    circuit = Circuit("divider")
    circuit.PulseVoltageSource("in", "input", circuit.gnd, initial_value=0 @ u_V, pulsed_value=1 @ u_V, pulse_width=3 @ u_us,
                               period=10 @ u_us)
    circuit.R("upper", "input", "out", 1 @ u_kOhm)
    circuit.R("lower", "out", circuit.gnd, 3 @ u_kOhm)
    circuit.C("lower", "out", circuit.gnd, 1 @ u_nF)
    return circuit


def thermometer():
    """A diode and a resistor that know the temperature."""
    circuit = Circuit("thermometer")
    circuit.V("supply", "top", circuit.gnd, 5 @ u_V)
    circuit.raw_spice = "Rtop top out 10k tc1=2m\nDsense out 0 sensing\n.model sensing d is=1e-14\n"
    return circuit


def transistor():
    """A MOSFET's output characteristic, by a DC sweep."""
    circuit = Circuit("transistor")
    circuit.V("gate", "gate", circuit.gnd, 2 @ u_V)
    circuit.V("drain", "drain", circuit.gnd, 0 @ u_V)
    circuit.M("1", "drain", "gate", circuit.gnd, circuit.gnd, model="nch", w=10e-6, l=1e-6)
    circuit.model("nch", "nmos", level=3, vto=0.7, kp=100e-6, theta=0.1)
    return circuit


def filter_():
    """A series resonance, 50.3 kHz, seen over a resistor."""
    circuit = Circuit("filter")
    circuit.SinusoidalVoltageSource("in", "input", circuit.gnd, ac_magnitude=1 @ u_V, amplitude=0 @ u_V, frequency=1 @ u_MHz)
    circuit.L("1", "input", "middle", 1e-3 @ u_H)
    circuit.C("1", "middle", "out", 10 @ u_nF)
    circuit.R("1", "out", circuit.gnd, 100 @ u_Ohm)
    return circuit


# name: (circuit, node, end in s, longest step in s, from initial conditions)
TRANSIENTS = {
    "rectifier": (rectifier, "out", 0.06, 20e-6, True),
    "ring oscillator": (ring_oscillator, "s2", 200e-9, 0.1e-9, True),
    "amplifier": (amplifier, "out", 300e-6, 0.5e-6, False),
    "tank": (tank, "top", 1e-3, 0.5e-6, True),
    "line": (line, "far", 800e-9, 1e-9, False),
    "divider": (divider, "out", 50e-6, 20e-9, True),
}


def own_simulator(circuit, celsius=27):
    """PySpice's own simulator of a circuit, with the session's tolerances."""
    simulator = circuit.simulator(temperature=celsius @ u_Degree, nominal_temperature=27 @ u_Degree)
    simulator.options(reltol=1e-5, method="trap")
    return simulator


def second_opinion():
    """What PySpice's own simulator says: arrays by name."""
    NgSpiceShared.LIBRARY_PATH = find_library()
    said = {}
    for name, (circuit, node, stop, step, uic) in TRANSIENTS.items():
        simulator = own_simulator(circuit())
        found = simulator.transient(step_time=step / 20, end_time=stop, max_time=step, use_initial_condition=uic)
        said[f"{name} time"], said[name] = np.array(found.time), np.array(found[node])
    said["bias"] = np.array([float(own_simulator(amplifier()).operating_point()[node][0]) for node in ("out", "base", "emitter")])
    gain = own_simulator(amplifier()).ac(start_frequency=10, stop_frequency=1e8, number_of_points=5, variation="dec")
    said["gain frequency"], said["gain"] = np.array(gain.frequency), np.array(gain["out"])
    said["filter"] = np.array(own_simulator(filter_()).ac(start_frequency=1e3, stop_frequency=1e6,
                                                               number_of_points=20, variation="dec")["out"])
    said["thermometer"] = np.array([float(own_simulator(thermometer(), celsius).operating_point()["out"][0])
                                    for celsius in (0, 27, 85)])
    said["transistor"] = np.array(own_simulator(transistor()).dc(Vdrain=slice(0, 5, 0.1)).vdrain)
    return said


if __name__ == "__main__":
    np.savez(sys.argv[1], **second_opinion())
