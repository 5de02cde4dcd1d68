"""STDP without a teacher in closed form: the circuit of memristive/stdp/stdp_circuit.py, presentation by presentation.

A presentation is four steps, none of them an integration over time:
1. the input's edge lifts each gate by its channel's charge (J. E. Meyer, RCA Review 32, 1971), which settles the currents;
2. the membranes are exponentials; the first to cross its threshold, raised by its homeostatic voltage, wins;
3. while the winner is high, its cells follow dX/dt = (K V - X / R_leak) / (C + C_gate): the instar rule (S. Grossberg,
   Biol. Cybern. 23, 1976), X on its way to K R_leak V with the time constant R_leak (C + C_gate); once the input has
   ended they leak alone, until the membrane has left the threshold;
4. the winner's homeostatic voltage has grown for as long as it was high, and all leak until the next presentation.

Compiled by numba, which this module loads: import it where it is needed.
"""

import math
from typing import NamedTuple

import numpy as np

from memristive.single_layer.compiled import compiled
from memristive.single_layer.operating_range import rail
from memristive.stdp.stdp_circuit import SILENT, SelfLearningCircuit

WRITE_STEPS = 4  # of a write: the gate's capacitance and the membrane follow X in as many exponentials
CONTEST = 1e-6  # s: neurons this near to the first by an edge of straight currents are decided by the exact edge
SURFACE = 0.6  # V, surface potential of ngspice's channels (PHI where a model has none)
TINY = 1e-150  # V: cells fade so far in some ten thousand writes, and squares of less are 0
NODES = ((0.1127016653792583, 5 / 18), (0.5, 8 / 18), (0.8872983346207417, 5 / 18))  # Gauss and Legendre's on 0 to 1, weights


class Numbers(NamedTuple):
    """All that a presentation depends on, in SI units."""

    c: float  # F, explicit memory capacitor
    cox: float  # F, gate
    vto: float  # V, threshold of the channel
    pump: float  # A/V, K
    leak: float  # ohm, R_leak
    gain: float  # V of settled membrane for each V^2 of s v - v^2/2
    rail: float  # V, the most that the membrane can settle at
    tau: float  # s, of the membrane
    threshold: float  # V, the neuron fires above it
    release: float  # V, and is high until below this
    rise: float  # s, of the input's edge
    pulse: float  # s
    period: float  # s
    charge: float  # V/s, growth of the homeostatic voltage while the neuron is high
    forget: float  # s, time constant of the homeostatic voltage


def numbers(design: SelfLearningCircuit) -> Numbers:
    """The `Numbers` of a circuit."""
    memristor, neuron, schedule = design.network.memristor, design.network.neuron, design.schedule
    return Numbers(memristor.capacitance, memristor.gate_capacitance, memristor.threshold_voltage, memristor.transconductance,
                   memristor.leak_resistance, neuron.transresistance * memristor.gain,
                   rail(neuron), neuron.time_constant,
                   neuron.threshold, neuron.threshold - neuron.hysteresis, schedule.rise, schedule.pulse, schedule.period,
                   design.learning.homeostasis_rate, design.learning.homeostasis_time_constant)


@compiled
def lifted(s: float, v: float, c: float, cox: float) -> float:
    """Overdrive in V of a floating gate that is at `s` V while the input is at 0 V, once it is at `v` V: C s + Q is kept."""
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
    """The inverse of `lifted`: overdrive in V once the input has left `v` V for 0 V."""
    if s <= 0.0 or v <= 0.0:
        return s
    d = max(s - v, 0.0)
    return (c * s + 2 / 3 * cox * (s * s + s * d + d * d) / (s + d)) / (c + cox)


@compiled
def memory_capacitance(s: float, v: float, c: float, cox: float) -> float:
    """C + C_gs + C_gd + C_gb in F at overdrive `s` and input `v` V (Meyer): the bulk's share grows as the channel goes off."""
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
    """Channel current over Kp W / L in V^2 at a lifted overdrive `s` and input `v` V (square law)."""
    if s <= 0.0:
        return 0.0
    drop = min(v, s)
    return s * drop - drop * drop / 2


@compiled
def settled_membrane(row: np.ndarray, volts: np.ndarray, share: float, k: Numbers) -> float:
    """Where a membrane would settle in V with all inputs at `share` of `volts`, without homeostasis."""
    total = 0.0
    for i in range(len(volts)):
        if volts[i] > 0.0:
            v = share * volts[i]
            total += conducted(lifted(row[i] - k.vto, v, k.c, k.cox), v)
    return min(k.gain * total, k.rail)


@compiled
def risen_membrane(row: np.ndarray, volts: np.ndarray, k: Numbers) -> float:
    """The membrane in V at the end of the input's edge, without homeostasis: what it remembers of the currents so far."""
    total = 0.0
    for node, weight in NODES:
        total += weight * settled_membrane(row, volts, node, k) * math.exp(-k.rise * (1 - node) / k.tau)
    return total * k.rise / k.tau


@compiled
def spike_time(settled: float, risen: float, homeostasis: float, k: Numbers) -> float:
    """When the membrane crosses the threshold, raised by `homeostasis` (V at the start), in s; inf if it never does."""
    time = k.tau
    for _ in range(2):  # the homeostatic voltage leaks a little meanwhile, and the membrane follows it tau later
        level = k.threshold + homeostasis * math.exp(-(time - k.tau) / k.forget)
        if not settled > level:
            return np.inf
        time = k.rise + k.tau * math.log((settled - risen) / (settled - level))
    return time


@compiled
def spike_times(states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, k: Numbers) -> np.ndarray:
    """First spikes in s as if no neuron inhibited another: array of neurons, inf for those silent to the pulse's end.

    `states` neurons x inputs, `homeostasis` neurons, `volts` inputs, all in V. Only the edges of those that may be the first
    are exact; the others' currents are taken to rise in a straight line.
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
def written(x: float, v: float, duration: float, k: Numbers) -> float:
    """A cell's X in V, lifted as it is, after `duration` s with phi high and the input at `v` V."""
    target = k.pump * k.leak * v
    return target + (x - target) * math.exp(-duration / (k.leak * memory_capacitance(x - k.vto, v, k.c, k.cox)))


@compiled
def write(row: np.ndarray, volts: np.ndarray, spike: float, homeostasis: float, k: Numbers) -> float:
    """Write the winner's `row` (V, in place) from its `spike` (s) on; return for how long its output was high (s)."""
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
def present(states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, k: Numbers) -> int:
    """Present one image, the inputs' `volts`; changes `states` (neurons x inputs) and `homeostasis` (neurons), V, in place.

    Both must be arrays of floats. Returns the winner, SILENT if no neuron fires.
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
def present_all(states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, order: np.ndarray, k: Numbers) -> np.ndarray:
    """Present the images `volts[order]` (V) one after the other, as `present` does; return the winners."""
    found = np.empty(len(order), np.int64)
    for n in range(len(order)):
        found[n] = present(states, homeostasis, volts[order[n]], k)
    return found


@compiled
def first_neurons(states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, k: Numbers) -> np.ndarray:
    """Who fires first at each of the images `volts` (images x inputs, V) while nothing is written; SILENT where none does."""
    found = np.empty(len(volts), np.int64)
    for n in range(len(volts)):
        times = spike_times(states, homeostasis, volts[n], k)
        winner = int(np.argmin(times))
        found[n] = SILENT if times[winner] == np.inf else winner
    return found
