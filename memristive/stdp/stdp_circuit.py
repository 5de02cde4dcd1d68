"""Crossbar that learns without a teacher, by spike-timing-dependent plasticity (STDP): netlist,
transient, closed form.

Three additions to the network close the loop. A neuron's output opens the phi of its own column. A
neuron that has fired shunts the membranes of all other neurons until the input ends (inhibition).
Each neuron has a homeostatic voltage, which grows while the neuron fires, leaks at all times, and
raises the threshold of the neuron. The leak of the emulator makes the weights an average of the
images that the neuron won (the closed form below).

Nodes: input_i, column_j, membrane_j, output_j, phi_j, homeostasis_j, threshold_j, fired (the sum of
all outputs in V), and xcell_j_i.gate, the state of cell (neuron j, input i).

The closed form computes one presentation after another, compiled by numba, in four steps; none
integrates over time.

1. The edge of the input lifts each gate by its channel's charge (J. E. Meyer, RCA Review 32, 1971).
   This determines the currents.
2. The membranes are exponentials. The first one to cross its threshold, raised by its homeostatic
   voltage, wins.
3. While the winner's output is high, its cells follow dX/dt = (K V - X / R_leak) / (C + C_gate),
   the instar rule (S. Grossberg, Biol. Cybern. 23, 1976): X tends to K R_leak V with the time
   constant R_leak (C + C_gate). After the end of the input they only leak, until the membrane has
   left the threshold.
4. The winner's homeostatic voltage has grown for as long as its output was high. All leak until the
   next presentation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import memristor
from memristive.closed_form import neuron
from memristive.closed_form.neuron import NODES, WEIGHTS
from memristive.compiled import compiled
from memristive.devices.cells import cell_arguments, neuron_arguments
from memristive.network.design import Schedule, Setup
from memristive.network.inputs import as_images
from memristive.parameters import ParameterError, Parameters, quantity
from memristive.scores.checks import rail
from memristive.scores.decisions import SILENT
from memristive.spice.pyspice import Circuit
from memristive.spice.session import Solver, Watch, Waveforms, run_once
from memristor import ChannelValues, Memristor, MemristorParameters
from snn_circuit import NeuronParameters, add_neuron, add_source, names, state_names

# Tighter tolerances change no winner; looser ones lose gate charge.
LEARNING = Solver(max_step=200e-6, reltol=1e-4, trtol=20.0, method="trap")


@dataclass(frozen=True)
class SelfLearningParameters(Parameters):
    """Inhibition and homeostasis: the elements between a neuron's output, the other neurons and its
    threshold.
    """

    inhibition_threshold: float = quantity(
        0.5, 1e-3, 100.0, "V", "sum of the other outputs above which a membrane is shunted"
    )
    inhibition_resistance: float = quantity(
        1e-3, 1e-9, 1e3, "ohm", "closed shunt across a membrane"
    )
    homeostasis_current: float = quantity(
        0.5e-6, 0.0, 1.0, "A", "charges a neuron's homeostatic capacitor while it fires"
    )
    homeostasis_capacitance: float = quantity(
        1e-9, 1e-15, 1.0, "F", "its voltage is added to the neuron's threshold"
    )
    homeostasis_resistance: float = quantity(
        320e6, 1.0, 1e15, "ohm", "leak of the homeostatic capacitor"
    )

    @property
    def homeostasis_rate(self) -> float:
        """Growth of the threshold while the neuron fires, in V/s."""
        return self.homeostasis_current / self.homeostasis_capacitance

    @property
    def homeostasis_time_constant(self) -> float:
        """Time constant in s with which a raised threshold falls back."""
        return self.homeostasis_resistance * self.homeostasis_capacitance


@dataclass(frozen=True)
class SelfLearningSetup(Setup):
    """Device, neuron, pulses, inhibition and homeostasis of a crossbar that learns by itself; the
    defaults suit the symbols X, +, U and =.

    Parameters
    ----------
    memristor, neuron, schedule, devices
        As in `Setup`. The leak makes a cell forget while it is written: X tends to K R_leak V, 5 V
        for each V of its input.
    learning : SelfLearningParameters

    Raises
    ------
    ParameterError
        A cell forgets within one pulse, or no output reaches the inhibition's threshold: nothing
        could be learned.
    """

    memristor: MemristorParameters = MemristorParameters(leak_resistance=1e9)
    neuron: NeuronParameters = NeuronParameters(feedback_resistance=5e3, threshold=4.0)
    schedule: Schedule = Schedule(pulse=0.6e-3, period=3e-3)
    learning: SelfLearningParameters = SelfLearningParameters()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.memristor.write_time_constant > self.schedule.pulse:
            raise ParameterError(
                f"leak_resistance of {self.memristor.leak_resistance:g} ohm forgets within a "
                f"pulse: its time constant is {self.memristor.write_time_constant:.3g} s, the "
                f"pulse {self.schedule.pulse:g} s"
            )
        if not self.learning.inhibition_threshold < self.neuron.output_high:
            raise ParameterError(
                "inhibition_threshold must be below output_high, or no neuron inhibits another, "
                f"got {self.learning.inhibition_threshold:g} V for {self.neuron.output_high:g} V"
            )


def self_learning_network(
    setup: SelfLearningSetup,
    states: np.ndarray,
    images: np.ndarray | Sequence[np.ndarray],
    homeostasis: np.ndarray | None = None,
) -> Circuit:
    """Return the netlist that presents one image in each period; membranes start at 0 V.

    Parameters
    ----------
    setup : SelfLearningSetup
        Devices may differ from cell to cell; resistances of wires are left out.
    states : array, neurons x inputs, V
        X of the cells at t = 0.
    images : array, presentations x inputs
        Levels from 0 to 1.
    homeostasis : array, neurons, V, optional
        Homeostatic voltages at t = 0, by default 0.

    Raises
    ------
    ParameterError
        The images do not fit the states, or a level is outside 0 to 1.
    """
    neurons, inputs = np.shape(states)
    images = as_images(images, inputs)
    devices, schedule = setup.devices, setup.schedule
    circuit = Circuit("crossbar that learns by itself: STDP without a teacher")
    cell = Memristor(setup.memristor, per_instance=devices.cells is not None)
    cell.add_to(circuit)
    add_neuron(circuit, setup.neuron, per_instance=devices.neurons is not None)
    circuit.model(
        "inhibition",
        "sw",
        vt=setup.learning.inhibition_threshold,
        vh=0,
        ron=setup.learning.inhibition_resistance,
        roff=1e12,
    )
    circuit.R("fired", "fired", circuit.gnd, 1.0)
    for i, levels in enumerate(np.transpose(images)):
        add_source(circuit, f"input_{i}", schedule.train(schedule.input_voltage * levels))
    cell_values, neuron_values = (
        cell_arguments(setup.memristor, devices.cells, True),
        neuron_arguments(devices.neurons),
    )
    for j in range(neurons):
        circuit.X(
            f"neuron_{j}",
            "lapicque_neuron",
            f"column_{j}",
            f"threshold_{j}",
            f"membrane_{j}",
            f"output_{j}",
            **neuron_values(j),
        )
        _add_feedback(circuit, setup, j, 0.0 if homeostasis is None else float(homeostasis[j]))
        for i in range(inputs):
            circuit.X(
                f"cell_{j}_{i}",
                cell.name,
                f"column_{j}",
                f"input_{i}",
                f"phi_{j}",
                x0=float(states[j][i]),
                **cell_values(j, i),
            )
    return circuit


def _add_feedback(circuit: Circuit, setup: SelfLearningSetup, j: int, start: float) -> None:
    """Connect output j with its phi, the inhibition of the other neurons, and its homeostatic
    voltage (`start` V at t = 0).

    The homeostatic voltage enters the neuron where a negative column would, divided by the gain
    that follows. The membrane then settles, and rests, lower by this voltage, which has the same
    effect on its crossing as a higher threshold.
    """
    high, learning = setup.neuron.output_high, setup.learning
    output, homeostasis = f"output_{j}", f"homeostasis_{j}"
    circuit.VCVS(
        f"phi_{j}",
        f"phi_{j}",
        circuit.gnd,
        output,
        circuit.gnd,
        voltage_gain=setup.schedule.phi_voltage / high,
    )
    circuit.VCCS(f"fired_{j}", circuit.gnd, "fired", output, circuit.gnd, transconductance=1.0)
    circuit.S(f"inhibit_{j}", f"membrane_{j}", circuit.gnd, "fired", output, model="inhibition")
    circuit.VCCS(
        homeostasis,
        circuit.gnd,
        homeostasis,
        output,
        circuit.gnd,
        transconductance=learning.homeostasis_current / high,
    )
    circuit.C(
        homeostasis,
        homeostasis,
        circuit.gnd,
        learning.homeostasis_capacitance,
        raw_spice=f"ic={start!r}",
    )
    circuit.R(homeostasis, homeostasis, circuit.gnd, learning.homeostasis_resistance)
    circuit.VCVS(
        f"threshold_{j}",
        f"threshold_{j}",
        circuit.gnd,
        homeostasis,
        circuit.gnd,
        voltage_gain=1 / setup.neuron.membrane_gain,
    )


def winners(
    waves: Waveforms, setup: SelfLearningSetup, neurons: int, presentations: int
) -> np.ndarray:
    """Return the index of the neuron that fired first in each of the `presentations` of a transient
    `waves`; SILENT if none fired.
    """
    outputs = waves.stack(names("output", neurons)) > setup.neuron.output_high / 2
    first = np.full(presentations, SILENT)
    for k in range(presentations):
        start = setup.schedule.start(k)
        low, high = np.searchsorted(waves.time, [start, start + setup.schedule.pulse])
        fired = outputs[:, low:high]
        if fired.any():
            first[k] = np.argmax(fired[:, np.argmax(fired.any(axis=0))])
    return first


def simulate(
    setup: SelfLearningSetup,
    states: np.ndarray,
    images: np.ndarray,
    parts: int = 1,
    watch: Watch = lambda waves: waves,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Present images one after the other in one ngspice transient, in which the circuit learns by
    itself.

    Parameters
    ----------
    setup, states, images
        As in `self_learning_network`.
    parts : int
        Number of parts of the transient that `watch` counts.
    watch : callable
        Wraps the iterator over the parts, e.g. with a progress bar.

    Returns
    -------
    winners : array, presentations
        Index of the neuron that fired first; SILENT if none fired.
    states : array, (1 + presentations) x neurons x inputs, V
        X before each presentation and at the end.
    homeostasis : array, (1 + presentations) x neurons, V
        Homeostatic voltages at the same times.

    Raises
    ------
    SimulationError
        ngspice cannot complete the transient.
    """
    (neurons, inputs), schedule, stop = (
        states.shape,
        setup.schedule,
        setup.schedule.stop(len(images)),
    )
    gates, voltages = state_names(neurons, inputs), names("homeostasis", neurons)
    waves = run_once(
        self_learning_network(setup, states, images),
        LEARNING,
        gates + voltages + names("output", neurons),
        stop,
        pauses=np.linspace(0, stop, parts + 1)[1:-1],
        watch=watch,
    )
    times = schedule.period * np.arange(len(images) + 1)
    at_times = [
        np.array([np.interp(times, waves.time, waves[name]) for name in kind]).T
        for kind in (gates, voltages)
    ]
    return (
        winners(waves, setup, neurons, len(images)),
        at_times[0].reshape(-1, neurons, inputs),
        at_times[1],
    )


# parts of a write, each an exponential; after each, the gate's capacitance follows the new X
WRITE_STEPS = 4
# s: spikes this close to the first are computed with the exact edge, the others with a straight one
EXACT_WITHIN = 1e-6
SURFACE = 0.6  # V, surface potential of ngspice's channels (default of PHI)
# V: after ten thousand writes cells are this low, and the square of anything lower is 0
TINY = 1e-150

current, channel_current, raised_state, lowered_state, edge_gain, first_spike, leaked, written = (
    compiled(law)
    for law in (
        memristor.read_current,
        memristor.channel_current,
        memristor.raised_state,
        memristor.lowered_state,
        neuron.edge_gain,
        neuron.spike_time,
        memristor.leaked,
        memristor.written,
    )
)


class Constants(NamedTuple):
    """All parameters that a presentation depends on, in SI units."""

    channel: ChannelValues  # with a gain of 1: currents are in units of Kp W/L
    c: float  # F, explicit memory capacitor
    cox: float  # F, gate
    pump: float  # A/V, K
    leak: float  # ohm, R_leak
    # V of settled membrane for each V^2 of s v - v^2/2, with the overdrive s and the input v
    gain: float
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
    memristor, neuron, schedule, learning = (
        setup.memristor,
        setup.neuron,
        setup.schedule,
        setup.learning,
    )
    channel_values = ChannelValues(
        1.0, memristor.threshold_voltage, memristor.share, memristor.pinch
    )
    return Constants(
        channel_values,
        memristor.capacitance,
        memristor.gate_capacitance,
        memristor.transconductance,
        memristor.leak_resistance,
        neuron.transresistance * memristor.gain,
        rail(neuron),
        neuron.time_constant,
        neuron.threshold,
        neuron.threshold - neuron.hysteresis,
        schedule.rise,
        schedule.pulse,
        schedule.period,
        learning.homeostasis_rate,
        learning.homeostasis_time_constant,
    )


@compiled
def memory_capacitance(s: float, v: float, c: float, cox: float) -> float:
    """Return the capacitance in F of a cell's gate, C + C_gs + C_gd + C_gb, at the overdrive `s`
    and the input `v` in V.

    C is the explicit capacitor `c` in F. The others are Meyer's shares of `cox`, the capacitance of
    the gate's oxide in F. Below an overdrive of 0 V, C_gb to the bulk takes over.
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
    """Return the voltage in V at which a membrane settles with all inputs at `share` of `volts`,
    without homeostasis.

    `row` holds the states in V of the neuron's cells; `k` has the `Constants`.
    """
    total = 0.0
    for i in range(len(volts)):
        if volts[i] > 0.0:
            total += current(k.channel, row[i], share * volts[i])
    return min(k.gain * total, k.rail)


@compiled
def risen_membrane(row: np.ndarray, volts: np.ndarray, k: Constants) -> float:
    """Return the membrane in V at the end of the input's edge, without homeostasis: an integral of
    the currents in the edge. `row` holds the states in V of the neuron's cells, `volts` the inputs
    in V.
    """
    total = 0.0
    for s in range(3):
        total += edge_gain(NODES[s], WEIGHTS[s], k.rise, k.tau) * settled_membrane(
            row, volts, NODES[s], k
        )
    return total


@compiled
def spike_time(settled: float, risen: float, homeostasis: float, k: Constants) -> float:
    """Return the time in s at which a membrane crosses its threshold; inf if it does not.

    `settled`, `risen`: membrane in V once it has settled, and at the end of the input's edge.
    `homeostasis` (V at the start) raises the threshold.
    """
    time = k.tau
    # until then the homeostatic voltage leaks a little, and the membrane follows it tau later
    for _ in range(2):
        level = k.threshold + homeostasis * math.exp(-(time - k.tau) / k.forget)
        if not settled > level:
            return np.inf
        time = first_spike(settled, risen, level, k.rise, k.tau)
    return time


@compiled
def spike_times(
    states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, k: Constants
) -> np.ndarray:
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
        inf for neurons that are silent until the end of the pulse. Times up to `EXACT_WITHIN` after
        the first spike are exact. For later times, currents are assumed to rise in a straight line
        during the input's edge.
    """
    settled, times = np.empty(len(states)), np.empty(len(states))
    straight = 1 - k.tau / k.rise * (1 - math.exp(-k.rise / k.tau))
    for j in range(len(states)):
        settled[j] = settled_membrane(states[j], volts, 1.0, k)
        times[j] = spike_time(settled[j], straight * settled[j], homeostasis[j], k)
    contest = times.min() + EXACT_WITHIN
    for j in range(len(states)):
        if times[j] <= contest and times[j] < np.inf:
            times[j] = spike_time(
                settled[j], risen_membrane(states[j], volts, k), homeostasis[j], k
            )
        if times[j] > k.pulse:
            times[j] = np.inf
    return times


@compiled
def charged(x: float, v: float, duration: float, k: Constants) -> float:
    """Return the gate voltage of a cell in V, lift included, after `duration` s with phi high and
    the input at `v` V. `x` is this voltage before.
    """
    rate = 1.0 / (k.leak * memory_capacitance(x - k.channel.threshold_voltage, v, k.c, k.cox))
    return written(x, k.pump * k.leak * v, 0.0, leaked(duration, rate))


@compiled
def write_winner(
    row: np.ndarray, volts: np.ndarray, spike: float, homeostasis: float, k: Constants
) -> float:
    """Write the states `row` (V) of the winner's cells in place, from its `spike` (s) on. Return
    the time in s for which the winner's output was high.

    `volts`: inputs in V. `homeostasis`: the winner's homeostatic voltage in V.
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
def learn_image(
    states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, k: Constants
) -> int:
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
        Index of the neuron that fires first; SILENT if none fires.
    """
    times = spike_times(states, homeostasis, volts, k)
    winner = int(np.argmin(times))
    spike = times[winner]
    high = (
        0.0
        if spike == np.inf
        else write_winner(states[winner], volts, spike, homeostasis[winner], k)
    )
    homeostasis *= math.exp(-k.period / k.forget)
    if spike == np.inf:
        return SILENT
    gained = k.charge * k.forget * (1 - math.exp(-high / k.forget))
    homeostasis[winner] += gained * math.exp(-(k.period - spike - high) / k.forget)
    return winner


@compiled
def learn_images(
    states: np.ndarray, homeostasis: np.ndarray, volts: np.ndarray, order: np.ndarray, k: Constants
) -> np.ndarray:
    """Present the images `volts[order]` (images x inputs, V) one after the other and learn from
    them, as `learn_image` does: `states` and `homeostasis` change in place. Return the index of
    each presentation's winner, or SILENT.
    """
    winner = np.empty(len(order), np.int64)
    for n in range(len(order)):
        winner[n] = learn_image(states, homeostasis, volts[order[n]], k)
    return winner
