"""Closed form of the circuit in `circuit.py`, one presentation after another, compiled by numba.

A presentation has four steps; none integrates over time.
1. The edge of the input lifts each gate by its channel's charge (J. E. Meyer, RCA Review 32, 1971). This settles the currents.
2. The membranes are exponentials. The first one to cross its threshold, raised by its homeostatic voltage, wins.
3. While the winner's output is high, its cells follow dX/dt = (K V - X / R_leak) / (C + C_gate), the instar rule (S. Grossberg,
   Biol. Cybern. 23, 1976): X tends to K R_leak V with the time constant R_leak (C + C_gate). After the end of the input they
   only leak, until the membrane has left the threshold.
4. The winner's homeostatic voltage has grown for as long as its output was high. All leak until the next presentation.
"""

import math
from typing import NamedTuple

import numpy as np

from memristive import neuron
from memristive.compiled import compiled
from memristive.devices import channel
from memristive.devices.channel import ChannelValues
from memristive.learning.stdp.circuit import SelfLearningSetup
from memristive.network.checks import rail
from memristive.network.spike_decoding import SILENT
from memristive.neuron import NODES, WEIGHTS

WRITE_STEPS = 4  # parts of a write, each an exponential; after each, the gate's capacitance is that of the new X
CONTEST = 1e-6  # s: spikes this close to the first are computed with the exact edge, the others with a straight one
SURFACE = 0.6  # V, surface potential of ngspice's channels (default of PHI)
TINY = 1e-150  # V: after ten thousand writes cells are this low, and the square of anything lower is 0

current, channel_current, raised_state, lowered_state, edge_gain, first_spike, leaked, written = (
    compiled(law, error_model="numpy") for law in (
        channel.read_current, channel.channel_current, channel.raised_state, channel.lowered_state, neuron.edge_gain,
        neuron.spike_time, channel.leaked, channel.written))


class Constants(NamedTuple):
    """All parameters that a presentation depends on, in SI units."""

    channel: ChannelValues  # with a gain of 1: currents are in units of Kp W/L
    c: float  # F, explicit memory capacitor
    cox: float  # F, gate
    pump: float  # A/V, K
    leak: float  # ohm, R_leak
    gain: float  # V of settled membrane for each V^2 of s v - v^2/2, with the overdrive s and the input v
    rail: float  # V, highest voltage at which a membrane can settle
    tau: float  # s, of the membrane
    threshold: float  # V, the output goes high above it
    release: float  # V, the output goes low again below it
    rise: float  # s, of the input's edge
    pulse: float  # s
    period: float  # s
    charge: float  # V/s, growth of the homeostatic voltage while the output is high
    forget: float  # s, time constant of the homeostatic voltage


def constants(setup: SelfLearningSetup) -> Constants:
    """Return the `Constants` of a setup whose devices are all alike."""
    memristor, neuron, schedule, learning = setup.memristor, setup.neuron, setup.schedule, setup.learning
    channel_values = ChannelValues(1.0, memristor.threshold_voltage, memristor.share, memristor.pinch)
    return Constants(channel_values, memristor.capacitance, memristor.gate_capacitance, memristor.transconductance,
                     memristor.leak_resistance, neuron.transresistance * memristor.gain, rail(neuron), neuron.time_constant,
                     neuron.threshold, neuron.threshold - neuron.hysteresis, schedule.rise, schedule.pulse, schedule.period,
                     learning.homeostasis_rate, learning.homeostasis_time_constant)


@compiled
def memory_capacitance(s: float, v: float, c: float, cox: float) -> float:
    """Return the capacitance in F of a cell's gate, C + C_gs + C_gd + C_gb, at the overdrive `s` and the input `v` in V.

    C is the explicit capacitor `c`, and the others are Meyer's shares of `cox`. Below an overdrive of 0 V, C_gb to the bulk
    takes over.
    """
    if s <= -SURFACE:
        return c + cox
    if s <= 0.0:
        return c - s / SURFACE * cox + max(2 / 3 + s / (0.75 * SURFACE), 0.0) * cox
    d = max(s - v, 0.0)
    if s < TINY:
        return c + 2 / 3 * cox * (1.5 if d else 1.0)
    return c + 2 / 3 * cox * (2.0 - (s * s + d * d) / (s + d) ** 2)


@compiled
def settled_membrane(row: np.ndarray, volts: np.ndarray, share: float, k: Constants) -> float:
    """Return the voltage at which a membrane settles with all inputs at `share` of `volts`, without homeostasis.

    `row` holds the states in V of the neuron's cells.
    """
    total = 0.0
    for i in range(len(volts)):
        if volts[i] > 0.0:
            total += current(k.channel, row[i], share * volts[i])
    return min(k.gain * total, k.rail)


@compiled
def risen_membrane(row: np.ndarray, volts: np.ndarray, k: Constants) -> float:
    """Return the membrane in V at the end of the input's edge, without homeostasis: an integral of the currents in the edge."""
    total = 0.0
    for s in range(3):
        total += edge_gain(NODES[s], WEIGHTS[s], k.rise, k.tau) * settled_membrane(row, volts, NODES[s], k)
    return total


@compiled
def spike_time(settled: float, risen: float, homeostasis: float, k: Constants) -> float:
    """Return the time in s at which a membrane crosses its threshold; inf if it does not.

    `settled`, `risen`: membrane in V at the end, and at the end of the input's edge. `homeostasis` (V at the start) raises the
    threshold.
    """
    time = k.tau
    for _ in range(2):  # until then the homeostatic voltage leaks a little, and the membrane follows it tau later
        level = k.threshold + homeostasis * math.exp(-(time - k.tau) / k.forget)
        if not settled > level:
            return np.inf
        time = first_spike(settled, risen, level, k.rise, k.tau)
    return time


@compiled
def spike_times(states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, k: Constants) -> np.ndarray:
    """Return the first spikes of all neurons in one presentation, without inhibition.

    Parameters
    ----------
    states : array, neurons x inputs, V
    homeostasis : array, neurons, V
    volts : array, inputs, V
    k : Constants

    Returns
    -------
    array, neurons, s
        inf for neurons that are silent until the end of the pulse. Times up to `CONTEST` after the first spike are exact. For
        later times, currents are assumed to rise in a straight line during the input's edge.
    """
    settled, times = np.empty(len(states)), np.empty(len(states))
    straight = 1 - k.tau / k.rise * (1 - math.exp(-k.rise / k.tau))
    for j in range(len(states)):
        settled[j] = settled_membrane(states[j], volts, 1.0, k)
        times[j] = spike_time(settled[j], straight * settled[j], homeostasis[j], k)
    contest = times.min() + CONTEST
    for j in range(len(states)):
        if times[j] <= contest and times[j] < np.inf:
            times[j] = spike_time(settled[j], risen_membrane(states[j], volts, k), homeostasis[j], k)
        if times[j] > k.pulse:
            times[j] = np.inf
    return times


@compiled
def charged(x: float, v: float, duration: float, k: Constants) -> float:
    """Return the lifted X of a cell in V after `duration` s with phi high and the input at `v` V; before, it is `x`."""
    rate = 1.0 / (k.leak * memory_capacitance(x - k.channel.threshold_voltage, v, k.c, k.cox))
    return written(x, k.pump * k.leak * v, 0.0, leaked(duration, rate))


@compiled
def write(row: np.ndarray, volts: np.ndarray, spike: float, homeostasis: float, k: Constants) -> float:
    """Write the states `row` (V) of the winner's cells in place, from its `spike` (s) on.

    `homeostasis` is the winner's voltage in V. Return the time in s for which the winner's output was high.
    """
    for i in range(len(row)):
        row[i] = raised_state(k.channel, row[i], volts[i])
    end = k.pulse + k.rise / 2
    step = (end - spike) / WRITE_STEPS
    membrane, raised = k.threshold, homeostasis
    for n in range(WRITE_STEPS):
        total = 0.0
        for i in range(len(row)):
            row[i] = charged(row[i], volts[i], step, k)
            total += channel_current(k.channel, row[i], volts[i])
        raised = homeostasis + k.charge * step * (n + 1)
        settled = min(k.gain * total, k.rail) - raised
        membrane = settled + (membrane - settled) * math.exp(-step / k.tau)
    falling = k.tau * math.log(max((membrane + raised) / (k.release + raised), 1.0))
    for i in range(len(row)):
        row[i] = charged(lowered_state(k.channel, row[i], volts[i]), 0.0, falling, k)
    return end - spike + falling


@compiled
def present(states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, k: Constants) -> int:
    """Present one image and learn from it, in place.

    Parameters
    ----------
    states : array of float, neurons x inputs, V
        Changed in place, as `homeostasis` is.
    homeostasis : array of float, neurons, V
    volts : array, inputs, V
    k : Constants

    Returns
    -------
    int
        Neuron that fires first; SILENT if none fires.
    """
    times = spike_times(states, homeostasis, volts, k)
    winner = int(np.argmin(times))
    spike = times[winner]
    high = 0.0 if spike == np.inf else write(states[winner], volts, spike, homeostasis[winner], k)
    homeostasis *= math.exp(-k.period / k.forget)
    if spike == np.inf:
        return SILENT
    gained = k.charge * k.forget * (1 - math.exp(-high / k.forget))
    homeostasis[winner] += gained * math.exp(-(k.period - spike - high) / k.forget)
    return winner


@compiled
def present_all(states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, order: np.ndarray, k: Constants) -> np.ndarray:
    """Present the images `volts[order]` (images x inputs, V) as `present` does; return the winners, an array of presentations."""
    found = np.empty(len(order), np.int64)
    for n in range(len(order)):
        found[n] = present(states, homeostasis, volts[order[n]], k)
    return found
