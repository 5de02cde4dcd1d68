"""Closed form of the circuit in stdp_circuit.py, one presentation after another, compiled by numba.

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

from memristive.compiled import compiled
from memristive.single_layer.operating_range import rail
from memristive.single_layer.spike_decoding import SILENT
from memristive.stdp.stdp_circuit import SelfLearningSetup

WRITE_STEPS = 4  # exponentials in a write: the gate's capacitance and the membrane follow X
CONTEST = 1e-6  # s: spikes this close to the first are computed with the exact edge, the others with a straight one
SURFACE = 0.6  # V, surface potential of ngspice's channels (PHI, if a model has none)
TINY = 1e-150  # V: after ten thousand writes cells are this low, and the square of anything lower is 0
NODES = ((0.1127016653792583, 5 / 18), (0.5, 8 / 18), (0.8872983346207417, 5 / 18))  # Gauss-Legendre on 0 to 1: node, weight


class Constants(NamedTuple):
    """All parameters that a presentation depends on, in SI units."""

    c: float  # F, explicit memory capacitor
    cox: float  # F, gate
    vto: float  # V, threshold of the channel
    pump: float  # A/V, K
    leak: float  # ohm, R_leak
    gain: float  # V of settled membrane for each V^2 of s v - v^2/2
    rail: float  # V, highest voltage at which a membrane can settle
    tau: float  # s, of the membrane
    threshold: float  # V, the output goes high above it
    release: float  # V, and low below this
    rise: float  # s, of the input's edge
    pulse: float  # s
    period: float  # s
    charge: float  # V/s, growth of the homeostatic voltage while the output is high
    forget: float  # s, time constant of the homeostatic voltage


def constants(setup: SelfLearningSetup) -> Constants:
    """Return the `Constants` of a setup whose devices are all alike."""
    memristor, neuron, schedule, learning = setup.memristor, setup.neuron, setup.schedule, setup.learning
    return Constants(memristor.capacitance, memristor.gate_capacitance, memristor.threshold_voltage, memristor.transconductance,
                     memristor.leak_resistance, neuron.transresistance * memristor.gain, rail(neuron), neuron.time_constant,
                     neuron.threshold, neuron.threshold - neuron.hysteresis, schedule.rise, schedule.pulse, schedule.period,
                     learning.homeostasis_rate, learning.homeostasis_time_constant)


@compiled
def lifted(s: float, v: float, c: float, cox: float) -> float:
    """Return the overdrive in V of a floating gate after the input has gone from 0 V, at overdrive `s`, to `v`: C s + Q stays."""
    if s <= 0.0 or v <= 0.0:
        return s
    total = (c + cox) * s
    saturated = total / (c + 2 / 3 * cox)
    if saturated <= v:
        return saturated
    a, b = 2 * (c + cox), c * v + 2 * cox * v + 2 * total
    return (b + math.sqrt(max(b * b - 4 * a * (2 / 3 * cox * v * v + total * v), 0.0))) / (2 * a)


@compiled
def lowered(s: float, v: float, c: float, cox: float) -> float:
    """Return the overdrive in V after the input has gone from `v`, with overdrive `s`, to 0 V: the inverse of `lifted`."""
    if s <= 0.0 or v <= 0.0:
        return s
    d = max(s - v, 0.0)
    return (c * s + 2 / 3 * cox * (s * s + s * d + d * d) / (s + d)) / (c + cox)


@compiled
def memory_capacitance(s: float, v: float, c: float, cox: float) -> float:
    """Return C + C_gs + C_gd + C_gb in F at overdrive `s` and input `v` in V (Meyer): below 0 V the bulk takes over."""
    if s <= -SURFACE:
        return c + cox
    if s <= 0.0:
        return c - s / SURFACE * cox + max(2 / 3 + s / (0.75 * SURFACE), 0.0) * cox
    d = max(s - v, 0.0)
    if s < TINY:
        return c + 2 / 3 * cox * (1.5 if d else 1.0)
    return c + 2 / 3 * cox * (2.0 - (s * s + d * d) / (s + d) ** 2)


@compiled
def conducted(s: float, v: float) -> float:
    """Return the channel current over Kp W / L in V^2 at a lifted overdrive `s` and input `v` in V (square law)."""
    if s <= 0.0:
        return 0.0
    drop = min(v, s)
    return s * drop - drop * drop / 2


@compiled
def settled_membrane(row: np.ndarray, volts: np.ndarray, share: float, k: Constants) -> float:
    """Return the voltage at which a membrane settles with all inputs at `share` of `volts`, without homeostasis."""
    total = 0.0
    for i in range(len(volts)):
        if volts[i] > 0.0:
            v = share * volts[i]
            total += conducted(lifted(row[i] - k.vto, v, k.c, k.cox), v)
    return min(k.gain * total, k.rail)


@compiled
def risen_membrane(row: np.ndarray, volts: np.ndarray, k: Constants) -> float:
    """Return the membrane in V at the end of the input's edge, without homeostasis: an integral over the currents so far."""
    total = 0.0
    for node, weight in NODES:
        total += weight * settled_membrane(row, volts, node, k) * math.exp(-k.rise * (1 - node) / k.tau)
    return total * k.rise / k.tau


@compiled
def spike_time(settled: float, risen: float, homeostasis: float, k: Constants) -> float:
    """Return the time in s of the crossing of the threshold, raised by `homeostasis` (V at the start); inf if there is none."""
    time = k.tau
    for _ in range(2):  # until then the homeostatic voltage leaks a little, and the membrane follows it tau later
        level = k.threshold + homeostasis * math.exp(-(time - k.tau) / k.forget)
        if not settled > level:
            return np.inf
        time = k.rise + k.tau * math.log((settled - risen) / (settled - level))
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
        inf for neurons that are silent until the end of the pulse. Exact only within `CONTEST` of the first: the currents of
        later neurons are assumed to rise in a straight line.
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
def written(x: float, v: float, duration: float, k: Constants) -> float:
    """Return a cell's lifted X in V, from `x` before, after `duration` s with phi high and the input at `v` V."""
    target = k.pump * k.leak * v
    return target + (x - target) * math.exp(-duration / (k.leak * memory_capacitance(x - k.vto, v, k.c, k.cox)))


@compiled
def write(row: np.ndarray, volts: np.ndarray, spike: float, homeostasis: float, k: Constants) -> float:
    """Write the winner's cells `row` (V) in place from its `spike` (s) on; return how long in s its output was high."""
    for i in range(len(row)):
        row[i] = lifted(row[i] - k.vto, volts[i], k.c, k.cox) + k.vto
    end = k.pulse + k.rise / 2
    step = (end - spike) / WRITE_STEPS
    membrane, raised = k.threshold, homeostasis
    for n in range(WRITE_STEPS):
        total = 0.0
        for i in range(len(row)):
            row[i] = written(row[i], volts[i], step, k)
            total += conducted(row[i] - k.vto, volts[i])
        raised = homeostasis + k.charge * step * (n + 1)
        settled = min(k.gain * total, k.rail) - raised
        membrane = settled + (membrane - settled) * math.exp(-step / k.tau)
    falling = k.tau * math.log(max((membrane + raised) / (k.release + raised), 1.0))
    for i in range(len(row)):
        row[i] = written(lowered(row[i] - k.vto, volts[i], k.c, k.cox) + k.vto, 0.0, falling, k)
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
        The winner; SILENT if no neuron fires.
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
