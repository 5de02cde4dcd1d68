"""The circuit that learns by itself: ngspice against the closed form, and each of its three
additions alone.
"""

import dataclasses

import numpy as np
import pytest

from memristive.datasets import xpue
from memristive.network.design import Schedule
from memristive.parameters import ParameterError
from memristive.scores.decisions import SILENT
from memristive.stdp import stdp_circuit
from memristive.stdp.stdp_circuit import constants, learn_images, spike_times
from memristor import MemristorParameters
from snn_circuit import names, state_names

SETUP = stdp_circuit.SelfLearningSetup()
PATTERNS = xpue().patterns
K = constants(SETUP)


def with_neuron(**changes):
    return SETUP.replace(neuron=dataclasses.replace(SETUP.neuron, **changes))


@pytest.fixture(scope="module")
def transient(ngspice):
    """transient(setup, states, images, homeostasis) gives the waveforms of a transient, and its
    winners.
    """

    def run(setup, states, images, homeostasis=None):
        neurons, inputs = np.shape(states)
        saved = [name for kind in ("output", "homeostasis", "phi") for name in names(kind, neurons)]
        loaded = ngspice.load(
            stdp_circuit.self_learning_network(setup, states, images, homeostasis),
            stdp_circuit.LEARNING,
            [*state_names(neurons, inputs), *saved],
        )
        waves = loaded.run(setup.schedule.stop(len(images)))
        loaded.unload()
        return waves, stdp_circuit.winners(waves, setup, neurons, len(images))

    return run


@pytest.fixture(scope="module")
def start():
    """States and order of 60 presentations of XPUE to four neurons."""
    generator = np.random.default_rng(7)
    return generator.uniform(1.5, 2.5, (4, 9)), generator.integers(0, 4, 60)


@pytest.fixture(scope="module")
def learned(transient, start):
    """Waveforms and winners of the presentations of `start` in ngspice."""
    return transient(SETUP, start[0], PATTERNS[start[1]])


def test_closed_form_has_the_circuits_winners_states_and_thresholds(start, learned):
    states, homeostasis = start[0].copy(), np.zeros(4)
    found = learn_images(states, homeostasis, PATTERNS, start[1], K)
    waves, winner = learned
    assert np.array_equal(found, winner) and len(set(found)) == 4
    # ngspice's switches close at time points, some us late; a us of writing moves X by 1.4 mV.
    assert np.abs(waves.stack(state_names(4, 9))[:, -1].reshape(4, 9) - states).max() < 0.06
    assert (
        np.abs(waves.stack(names("homeostasis", 4))[:, -1] - homeostasis).max()
        < 1.2e-3 * homeostasis.max()
    )


@pytest.mark.parametrize(("siemens", "ohms"), [(1.0, 1.0), (1.0, 2.0), (0.5, 1.0)])
def test_homeostasis_delays_a_neuron_as_a_higher_threshold_does(transient, siemens, ohms):
    """A neuron raised by 1 V loses against one with slightly weaker synapses, at any gain of the
    membrane.
    """
    states = np.array([np.full(9, 4.0), np.full(9, 3.9)])
    setup = with_neuron(
        membrane_transconductance=siemens,
        membrane_resistance=ohms,
        membrane_capacitance=150e-6 / ohms,
        feedback_resistance=5e3 / siemens / ohms,
    )
    for homeostasis, first in ((np.zeros(2), 0), (np.array([1.0, 0.0]), 1), (np.ones(2), 0)):
        # at first, membranes settle
        waves, winner = transient(setup, states, [np.zeros(9), PATTERNS[0]], homeostasis)
        start = setup.schedule.start(1)
        left = homeostasis * np.exp(-start / setup.learning.homeostasis_time_constant)
        expected = spike_times(states, left, PATTERNS[0], constants(setup))
        assert winner[1] == first == np.argmin(expected)
        assert waves.time[np.argmax(waves[f"output_{first}"] > 0.5)] - start == pytest.approx(
            expected[first], abs=2e-6
        )


def crossing(row, volts, raised, k, step=50e-9):
    """Time of the crossing of the threshold, by plain integration; `raised`: homeostatic voltage in
    V at the start.
    """
    membrane = -raised / (1 - k.tau / k.forget)
    for time in np.arange(0.0, k.pulse + k.rise, step) + step / 2:
        drive = stdp_circuit.settled_membrane(
            row, volts, min(time / k.rise, 1.0), k
        ) - raised * np.exp(-time / k.forget)
        before, membrane = membrane, drive + (membrane - drive) * np.exp(-step / k.tau)
        if membrane > k.threshold:
            return time + step * ((k.threshold - before) / (membrane - before) - 0.5)
    return np.inf


def test_spikes_of_rivals_are_those_of_a_plain_integration_over_the_edge():
    """Two neurons 0.3 us apart; with a straight edge they would be 19 and 41 ns late."""
    states = np.full((2, 9), 4.0)
    states[1, PATTERNS[0] > 0] = [14.875, 1.3, 1.3, 1.3, 1.3]
    found = spike_times(states, np.zeros(2), PATTERNS[0], K)
    assert found == pytest.approx([crossing(row, PATTERNS[0], 0.0, K) for row in states], abs=4e-9)
    assert 0.2e-6 < found[1] - found[0] < 0.4e-6


def test_a_raised_threshold_leaks_until_the_spike():
    leaky = K._replace(forget=5e-3)  # without a leak the spike would be 0.45 us earlier
    found = spike_times(np.full((1, 9), 4.0), np.full(1, 3.0), PATTERNS[0], leaky)
    assert found == pytest.approx([crossing(np.full(9, 4.0), PATTERNS[0], 3.0, leaky)], abs=60e-9)


def test_neurons_whose_membrane_would_cross_after_the_pulse_are_silent():
    for raised, fires in ((8.652, True), (8.664, False)):  # 2 us before its end, 5 us after it
        assert (
            np.isfinite(spike_times(np.full((1, 9), 4.0), np.full(1, raised), PATTERNS[0], K)[0])
            == fires
        )


def test_an_image_on_which_no_neuron_fires_writes_nothing(transient):
    states = np.full((4, 9), 0.5)
    after, homeostasis = states.copy(), np.zeros(4)
    assert learn_images(after, homeostasis, PATTERNS, np.arange(2), K).tolist() == [SILENT, SILENT]
    assert np.array_equal(after, states)
    assert transient(SETUP, states, PATTERNS[:2])[1].tolist() == [SILENT, SILENT]


def test_a_membrane_at_the_rail_falls_from_there_when_the_input_ends(transient):
    """Without the rail of 6 V, these cells would drive it to 16 V, and it would be high for 0.15 ms
    longer.
    """
    setup, states = (
        with_neuron(inverting_rail_high=6.0),
        np.array([np.full(9, 6.0), np.full(9, 0.5)]),
    )
    after, homeostasis = states.copy(), np.zeros(2)
    learn_images(after, homeostasis, PATTERNS, np.array([0]), constants(setup))
    waves, winner = transient(setup, states, PATTERNS[:1])
    assert winner.tolist() == [0] and waves["homeostasis_0"][-1] == pytest.approx(
        homeostasis[0], rel=0.03
    )
    assert waves.stack(state_names(2, 9))[:9, -1] == pytest.approx(after[0], abs=0.03)


@pytest.mark.parametrize(
    ("s", "volts", "share"),
    [
        (-5, 1, 1),
        (-0.45, 1, 0.75),
        (-0.15, 1, 1 / 4 + 1 / 3),
        (0.0, 1, 2 / 3),
        (1e-300, 2, 2 / 3),
        (1e-300, 0, 1),
        (1, 0, 1),
    ],
)
def test_gate_capacitance_is_meyers(s, volts, share):
    assert stdp_circuit.memory_capacitance(s, volts, K.c, K.cox) == pytest.approx(
        K.c + share * K.cox, rel=1e-6, abs=0
    )


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"memristor": MemristorParameters(leak_resistance=1e8)}, "leak_resistance"),
        (
            {"learning": stdp_circuit.SelfLearningParameters(inhibition_threshold=1.5)},
            "inhibition_threshold",
        ),
        ({"schedule": Schedule(phi_voltage=0.4)}, "phi_voltage"),
    ],
)
def test_circuits_that_could_not_learn_are_refused(changes, name):
    with pytest.raises(ParameterError, match=name):
        SETUP.replace(**changes)
