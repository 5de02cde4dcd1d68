"""The circuit that learns by itself: its netlist in ngspice against the closed form, and each of its three additions alone."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import brentq

from datasets import xpue
from memristive.single_layer.pulses import Schedule
from memristive.spice.parameters import ParameterError
from memristive.stdp.stdp_circuit import (
    LEARNING,
    SILENT,
    SelfLearningCircuit,
    SelfLearningParameters,
    self_learning_network,
    winners,
)
from memristive.stdp.stdp_closed_form import (
    first_neurons,
    lifted,
    lowered,
    memory_capacitance,
    numbers,
    present_all,
    settled_membrane,
    spike_times,
    written,
)
from memristive.variability.chip import Chip
from memristor import MemristorParameters, raised_state, read_current
from snn_circuit import NetworkParameters, NeuronParameters, names, state_names

DEVICE = MemristorParameters(leak_resistance=1e9)
DESIGN = SelfLearningCircuit(NetworkParameters(DEVICE, NeuronParameters(feedback_resistance=5e3)))
PATTERNS = xpue().patterns
K = numbers(DESIGN)


def run(simulate, design, states, images, homeostasis=None, extra=(), chip=None):
    """Waveforms of a whole transient, and its winners."""
    neurons, inputs = np.shape(states)
    kinds = [name for kind in ("output", "membrane", "homeostasis") for name in names(kind, neurons)]
    circuit = self_learning_network(design, states, images, homeostasis, chip)
    waves = simulate(circuit, [*state_names(neurons, inputs), *kinds, *extra], design.schedule.stop(len(images)),
                     **dataclasses.asdict(LEARNING))
    return waves, winners(waves, design, neurons, len(images))


@pytest.fixture(scope="module")
def start():
    """States and order of 60 presentations of XPUE to four neurons."""
    generator = np.random.default_rng(7)
    return generator.uniform(1.5, 2.5, (4, 9)), generator.integers(0, 4, 60)


@pytest.fixture(scope="module")
def learned(simulate, start):
    """Waveforms and winners of these presentations in ngspice."""
    return run(simulate, DESIGN, start[0], PATTERNS[start[1]])


def test_closed_form_has_the_winners_states_and_thresholds_of_the_circuit(start, learned):
    states, homeostasis = start[0].copy(), np.zeros(4)
    found = present_all(states, homeostasis, PATTERNS, start[1], K)
    waves, winner = learned
    assert np.array_equal(found, winner)
    assert len(set(found)) == 4
    # Switches flip at time points, some us late; a us of writing moves X by 1.4 mV.
    assert np.abs(waves.stack(state_names(4, 9))[:, -1].reshape(4, 9) - states).max() < 0.06
    assert np.abs(waves.stack(names("homeostasis", 4))[:, -1] - homeostasis).max() < 1.2e-3 * homeostasis.max()


def test_a_neuron_that_has_fired_holds_all_others_down_until_the_input_ends(start, learned):
    waves, winner = learned
    outputs = waves.stack(names("output", 4)) > 0.5
    for k in range(60):
        during = (waves.time > DESIGN.schedule.start(k)) & (waves.time < DESIGN.schedule.start(k + 1) - 1e-3)
        assert np.flatnonzero(outputs[:, during].any(axis=1)).tolist() == [winner[k]]
    assert not outputs[:, waves.time > DESIGN.schedule.stop(60) - 1e-3].any()


def test_without_inhibition_several_neurons_fire(simulate, start):
    loose = dataclasses.replace(DESIGN, learning=SelfLearningParameters(inhibition_resistance=1e3))
    waves, _ = run(simulate, loose, np.array([np.full(9, 4.0), np.full(9, 3.9)]), PATTERNS[:1])
    assert (waves.stack(names("output", 2)) > 0.5).any(axis=1).all()


def test_only_the_column_of_the_neuron_that_fired_is_written(start, simulate):
    waves, winner = run(simulate, DESIGN, start[0], PATTERNS[start[1][:1]])
    moved = np.abs(waves.stack(state_names(4, 9))[:, -1].reshape(4, 9) - start[0]).max(axis=1)
    assert moved[winner[0]] > 0.1
    assert np.delete(moved, winner[0]).max() < 5e-3


def test_homeostatic_voltage_grows_while_the_neuron_is_high_and_leaks(start, simulate):
    waves, winner = run(simulate, DESIGN, start[0], PATTERNS[start[1][:1]])
    high = np.trapezoid(waves[f"output_{winner[0]}"], waves.time)
    voltage = waves[f"homeostasis_{winner[0]}"]
    assert voltage.max() == pytest.approx(DESIGN.learning.homeostasis_rate * high, rel=0.01)
    since = waves.time[-1] - waves.time[np.argmax(voltage)]
    assert voltage[-1] / voltage.max() == pytest.approx(np.exp(-since / DESIGN.learning.homeostasis_time_constant), rel=1e-3)


@pytest.mark.parametrize(("siemens", "ohms"), [(1.0, 1.0), (1.0, 2.0), (0.5, 1.0)])
def test_homeostasis_delays_a_neuron_as_a_higher_threshold_does(simulate, siemens, ohms):
    """A neuron raised by 1 V loses against one with slightly weaker synapses; its own spike comes when the closed form says.

    Whatever the membrane makes of a volt before it: it counted that many times, and a run had 43 of 160 winners of the form's.
    """
    states, gain = np.array([np.full(9, 4.0), np.full(9, 3.9)]), siemens * ohms
    neuron = dataclasses.replace(DESIGN.network.neuron, membrane_transconductance=siemens, membrane_resistance=ohms,
                                 membrane_capacitance=150e-6 / ohms, feedback_resistance=5e3 / gain)
    design = dataclasses.replace(DESIGN, network=dataclasses.replace(DESIGN.network, neuron=neuron))
    for homeostasis, first in ((np.zeros(2), 0), (np.array([1.0, 0.0]), 1), (np.ones(2), 0)):
        waves, winner = run(simulate, design, states, [np.zeros(9), PATTERNS[0]], homeostasis)  # first they come to rest
        start = design.schedule.start(1)
        left = homeostasis * np.exp(-start / design.learning.homeostasis_time_constant)
        expected = spike_times(states, left, PATTERNS[0], numbers(design))
        assert winner[1] == first == np.argmin(expected)
        spike = waves.time[np.argmax(waves[f"output_{first}"] > 0.5)] - start
        assert spike == pytest.approx(expected[first], abs=2e-6)


def crossing(row, volts, raised, k, step=50e-9):
    """When a membrane at rest crosses its threshold, by plain integration; `raised`: homeostatic voltage in V at the start."""
    membrane = -raised / (1 - k.tau / k.forget)  # follows what leaks
    for time in np.arange(0.0, k.pulse + k.rise, step) + step / 2:
        drive = settled_membrane(row, volts, min(time / k.rise, 1.0), k) - raised * np.exp(-time / k.forget)
        before, membrane = membrane, drive + (membrane - drive) * np.exp(-step / k.tau)
        if membrane > k.threshold:
            return time + step * ((k.threshold - before) / (membrane - before) - 0.5)
    return np.inf


def test_rivals_spikes_are_those_of_a_plain_integration_over_the_edge():
    """Two neurons 0.3 us apart, one with a single strong cell: by an edge of straight currents they are 19 and 41 ns late."""
    states = np.full((2, 9), 4.0)
    states[1, PATTERNS[0] > 0] = [14.875, 1.3, 1.3, 1.3, 1.3]
    found = spike_times(states, np.zeros(2), PATTERNS[0], K)
    assert found == pytest.approx([crossing(row, PATTERNS[0], 0.0, K) for row in states], abs=4e-9)
    assert 0.2e-6 < found[1] - found[0] < 0.4e-6


def test_a_raised_threshold_leaks_until_the_spike():
    """Within 5 ms: without a leak it would come 0.45 us earlier."""
    leaky = K._replace(forget=5e-3)
    found = spike_times(np.full((1, 9), 4.0), np.full(1, 3.0), PATTERNS[0], leaky)
    assert found == pytest.approx([crossing(np.full(9, 4.0), PATTERNS[0], 3.0, leaky)], abs=60e-9)


@pytest.mark.parametrize(("raised", "fires"), [(8.652, True), (8.664, False)])
def test_a_membrane_that_crosses_after_the_pulse_is_silent(raised, fires):
    """By 2 us before its end, and 5 us after it, while the input has not fallen."""
    for pulse, seen in ((K.pulse, fires), (2 * K.pulse, True)):
        found = spike_times(np.full((1, 9), 4.0), np.full(1, raised), PATTERNS[0], K._replace(pulse=pulse))
        assert np.isfinite(found[0]) == seen


def test_on_a_chip_the_neuron_with_the_lowest_threshold_of_its_own_fires_first(simulate):
    """Cells and states are alike; to the closed form, a threshold that is off is a homeostatic voltage."""
    chip = Chip(4, 9, seed=1, neuron_threshold=0.1)
    off = chip.neurons(DESIGN.network.neuron).threshold - DESIGN.network.neuron.threshold
    states = np.full((4, 9), 4.0)
    waves, winner = run(simulate, DESIGN, states, PATTERNS[:1], chip=chip)
    assert winner[0] == np.argmin(off) > 0  # of neurons alike, the first would be named
    spike = waves.time[np.argmax(waves[f"output_{winner[0]}"] > 0.5)]
    assert spike == pytest.approx(spike_times(states, off, PATTERNS[0], K)[winner[0]], abs=2e-6)


def test_on_a_chip_cells_conduct_and_are_written_by_gains_of_their_own(simulate):
    chip, states, volts = Chip(4, 9, seed=2, cell_gain=0.3, cell_write_gain=0.3), np.full((4, 9), 4.0), PATTERNS[0]
    waves, (winner,) = run(simulate, DESIGN, states, PATTERNS[:1], chip=chip)
    spikes = chip.crossbar(DESIGN.network, DESIGN.schedule).read(states, volts).spikes
    high = waves.time[waves[f"output_{winner}"] > 0.5]
    assert winner == np.nanargmin(spikes) and high[0] == pytest.approx(spikes[winner], abs=2e-6)
    pumps, after = chip.cells(DEVICE).transconductance[winner], waves.stack(state_names(4, 9))[:, -1].reshape(4, 9)[winner]
    lift, end = lifted(4.0 - K.vto, 1.0, K.c, K.cox) + K.vto, K.pulse + K.rise / 2
    for i in np.flatnonzero(volts):
        x = written(lift, 1.0, end - high[0], K._replace(pump=pumps[i]))
        fallen = written(lowered(x - K.vto, 1.0, K.c, K.cox) + K.vto, 0.0, high[-1] - end, K)  # it leaks until the output falls
        assert after[i] == pytest.approx(fallen, abs=0.02)
    assert np.ptp(after[volts > 0]) > 0.1


def test_an_image_that_fires_no_neuron_writes_nothing(simulate):
    states = np.full((4, 9), 0.5)
    _, winner = run(simulate, DESIGN, states, PATTERNS[:2])
    assert winner.tolist() == [SILENT, SILENT]
    after, homeostasis = states.copy(), np.zeros(4)
    assert present_all(after, homeostasis, PATTERNS, np.array([0, 1]), K).tolist() == [SILENT, SILENT]
    assert np.array_equal(after, states)
    assert first_neurons(states, homeostasis, PATTERNS[:1], K).tolist() == [SILENT]


@pytest.mark.parametrize(("crossing", "first"), [(0.5e-3, 0), (0.7e-3, SILENT)])
def test_a_membrane_that_would_cross_after_the_pulse_fires_no_neuron(simulate, crossing, first):
    """The pulse lasts 0.6 ms; the state is that of a membrane which crosses the threshold so long after the input's edge."""
    settled = K.threshold / -np.expm1(-(crossing - K.rise / 2) / K.tau)
    state = brentq(lambda volts: settled_membrane(np.full(9, volts), PATTERNS[0], 1.0, K) - settled, 1.0, 5.0)
    states = np.array([np.full(9, state), np.full(9, 0.5)])
    assert first_neurons(states, np.zeros(2), PATTERNS[:1], K).tolist() == [first]
    after = states.copy()
    assert present_all(after, np.zeros(2), PATTERNS, np.array([0]), K).tolist() == [first]
    assert np.array_equal(after, states) is (first == SILENT)
    assert run(simulate, DESIGN, states, PATTERNS[:1])[1].tolist() == [first]


@pytest.mark.parametrize("vto", [-0.4, 0.0, 0.7])
def test_a_membrane_settles_where_the_cells_own_threshold_says(vto):
    device = dataclasses.replace(DEVICE, threshold_voltage=vto)
    k = numbers(dataclasses.replace(DESIGN, network=NetworkParameters(device, DESIGN.network.neuron)))
    row = np.linspace(0.9, 2.6, 9)
    for share in (0.5, 1.0):
        expected = DESIGN.network.neuron.transresistance * read_current(device, row, share * PATTERNS[0]).sum()
        assert settled_membrane(row, PATTERNS[0], share, k) == pytest.approx(expected, rel=1e-9) and expected < k.rail


def test_a_membrane_at_the_rail_falls_from_there_when_the_input_ends(simulate):
    """Cells of 6 V would drive it to 16 V, whence it would take 0.15 ms longer to the release than from a rail of 6 V."""
    neuron = dataclasses.replace(DESIGN.network.neuron, inverting_rail_high=6.0)
    design = dataclasses.replace(DESIGN, network=NetworkParameters(DEVICE, neuron))
    states = np.array([np.full(9, 6.0), np.full(9, 0.5)])
    k, after, homeostasis = numbers(design), states.copy(), np.zeros(2)
    assert settled_membrane(states[0], PATTERNS[0], 1.0, k._replace(rail=100.0)) > 15.0
    present_all(after, homeostasis, PATTERNS, np.array([0]), k)
    waves, winner = run(simulate, design, states, PATTERNS[:1])
    assert winner.tolist() == [0]
    assert waves["homeostasis_0"][-1] == pytest.approx(homeostasis[0], rel=0.03)  # switches flip some us late
    assert waves.stack(state_names(2, 9))[:9, -1] == pytest.approx(after[0], abs=0.03)


@pytest.mark.parametrize("volts", [0.2, 1.0])
def test_compiled_lift_is_the_devices_and_comes_back(volts):
    for state in np.linspace(0.05, 6, 30):
        up = lifted(state, volts, K.c, K.cox)
        assert up == pytest.approx(float(raised_state(DEVICE, state, volts)), rel=1e-9)
        assert lowered(up, volts, K.c, K.cox) == pytest.approx(state, rel=1e-9)
        charge = [(K.c + K.cox) * lowered(up + d, volts, K.c, K.cox) for d in (-1e-6, 1e-6)]
        for state, share in ((1e-160, 1.0), (1e-300, 1.0), (1.0, 1.0)):  # faded until its square is nothing
            assert memory_capacitance(state, 0.0, K.c, K.cox) == pytest.approx(K.c + share * K.cox, rel=1e-6, abs=0)
            assert memory_capacitance(state, 2.0, K.c, K.cox) == pytest.approx(K.c + 2 / 3 * K.cox, rel=1e-6, abs=0)
        assert memory_capacitance(up, volts, K.c, K.cox) == pytest.approx((charge[1] - charge[0]) / 2e-6, rel=1e-3, abs=0)


@pytest.mark.parametrize(("s", "share"), [(-5, 1), (-0.6, 1), (-0.45, 0.75), (-0.3, 0.5), (-0.15, 1 / 4 + 1 / 3), (0.0, 2 / 3)])
def test_below_the_threshold_the_bulk_takes_over_as_in_meyers_model(s, share):
    assert memory_capacitance(s, 1.0, K.c, K.cox) == pytest.approx(K.c + share * K.cox, rel=1e-6, abs=0)  # of 1e-12 F


@pytest.mark.parametrize("vto", [0.5, 1.0])
def test_cells_that_do_not_conduct_are_written_as_in_ngspice(simulate, vto):
    """They were written up to 35 times too fast, as if they had C alone: 0.4 and 0.8 V in one presentation, in silence."""
    design = dataclasses.replace(DESIGN, network=dataclasses.replace(DESIGN.network, memristor=dataclasses.replace(
        DEVICE, threshold_voltage=vto)))
    states, volts = np.full((1, 9), vto + 3.5), np.array([1.0, 0, 1, 0, 1, 0, 1, 0, 1])
    states[0, 1:8:2] = vto + np.array([0.1, -0.05, -0.25, -0.45])  # at inputs of 0: they leak
    states[0, 8] = vto - 0.2  # is written up
    waves, winner = run(simulate, design, states, volts[None])
    found, after = waves.stack(state_names(1, 9))[:, -1], states.copy()
    assert winner[0] == present_all(after, np.zeros(1), volts[None], np.array([0]), numbers(design))[0] == 0
    assert after[0] == pytest.approx(found, abs=0.06) and abs(found - states[0])[[1, 8]].min() > 0.05


def test_a_cell_written_for_ever_tends_to_the_leak_times_the_pumped_current():
    for volts in (0.0, 0.3, 1.0):
        assert written(2.0, volts, 1.0, K) == pytest.approx(DESIGN.target * volts, abs=1e-9)
    late = written(2.0, 1.0, 1e-3, K)  # the lifted gate's capacitance is C + C_gate to 2 %
    assert late == pytest.approx(5 + (2 - 5) * np.exp(-1e-3 / DESIGN.write_time_constant), abs=0.03)


def test_circuits_that_could_not_learn_are_refused_in_clear_words():
    with pytest.raises(ParameterError, match="forgets within a pulse"):
        dataclasses.replace(DESIGN, network=NetworkParameters(MemristorParameters(leak_resistance=1e8)))
    with pytest.raises(ParameterError, match="holds the others down"):
        dataclasses.replace(DESIGN, learning=SelfLearningParameters(inhibition_threshold=1.5))
    with pytest.raises(ParameterError, match="nothing is ever written"):
        dataclasses.replace(DESIGN, schedule=Schedule(phi_voltage=0.4))
    with pytest.raises(ParameterError, match="at least one image"):
        self_learning_network(DESIGN, np.ones((4, 9)), np.zeros((0, 9)))
    with pytest.raises(ParameterError, match="4 x 8"):
        self_learning_network(DESIGN, np.ones((4, 9)), np.ones((1, 9)), chip=Chip(4, 8))
    with pytest.raises(ParameterError, match="images of 9 pixels"):
        self_learning_network(DESIGN, np.ones((4, 9)), np.zeros((1, 8)))


@pytest.mark.parametrize("high", [5.0, 0.4])
def test_a_neuron_has_fired_where_its_output_is_more_than_half_high(high):
    """Of three presentations: neuron 1 before 0, neither by more than half, 0 alone."""
    design = dataclasses.replace(DESIGN, network=dataclasses.replace(DESIGN.network, neuron=NeuronParameters(output_high=high)),
                                 learning=dataclasses.replace(DESIGN.learning, inhibition_threshold=high / 10))
    start = design.schedule.start
    time = np.array([at + after for at in map(start, range(3)) for after in (1e-5, 2e-5, 3e-5)])
    outputs = high * np.array([[0, 0, 0.6, 0, 0.4, 0, 0, 0, 1], [0, 0.6, 1, 0, 0, 0.49, 0, 0, 0.4]])
    waves = SimpleNamespace(time=time, stack=lambda names: outputs)
    assert winners(waves, design, 2, 3).tolist() == [1, SILENT, 0]


@pytest.mark.parametrize("high", [0.8, 2.0])
def test_spikes_of_any_height_open_phi_and_raise_thresholds_alike(simulate, high):
    neuron = dataclasses.replace(DESIGN.network.neuron, output_high=high)
    tall = dataclasses.replace(DESIGN, network=dataclasses.replace(DESIGN.network, neuron=neuron))
    states = np.array([np.full(9, 3.0), np.full(9, 2.5)])
    waves, winner = run(simulate, tall, states, PATTERNS[:1], extra=("phi_0",))
    usual, _ = run(simulate, DESIGN, states, PATTERNS[:1])
    assert winner.tolist() == [0]
    assert waves["phi_0"].max() == pytest.approx(DESIGN.schedule.phi_voltage, rel=1e-2)
    assert waves["homeostasis_0"].max() == pytest.approx(usual["homeostasis_0"].max(), rel=1e-2)


def test_homeostasis_and_a_sure_inhibition_are_what_their_parts_say():
    """0.5 uA on 1 nF, which 320 Mohm discharge; a shunt that divides what the stages give at most, 19.94 V, down to 4 V."""
    usual = SelfLearningParameters()
    assert (usual.homeostasis_rate, usual.homeostasis_time_constant) == pytest.approx((500.0, 0.32))
    assert DESIGN.sure_inhibition == pytest.approx(4 / (19.94 - 4), rel=1e-3)
    neuron = dataclasses.replace(DESIGN.network.neuron, membrane_resistance=2.0)
    doubled = dataclasses.replace(DESIGN, network=dataclasses.replace(DESIGN.network, neuron=neuron))
    assert doubled.sure_inhibition == pytest.approx(4 / (39.88 - 4) * 2, rel=1e-3)


def test_an_inhibition_that_low_outputs_do_not_reach_is_refused():
    low = NetworkParameters(DEVICE, dataclasses.replace(DESIGN.network.neuron, output_high=0.4))
    with pytest.raises(ParameterError, match=r"below output_high, .* got 0\.45 V for 0\.4 V"):
        dataclasses.replace(DESIGN, network=low, learning=SelfLearningParameters(inhibition_threshold=0.45))
