"""The paper's method: pulses, training in situ, inference, and how first spikes become decisions."""

import dataclasses
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import digits_012345, xpue
from learning.decoding import (
    HEBBIAN_RESOLUTION,
    RESOLUTION,
    SILENT,
    TIED,
    first_spikes,
    lead,
    paper_decision,
    ranking,
    strict_decision,
)
from learning.hebbian import hebbian_network, infer, train_hebbian
from learning.pulses import READING, Schedule, edges
from memristor import raised_state
from snn_circuit import OFF, NetworkParameters, NeuronParameters, names, network
from spice.parameters import ParameterError

NAN = math.nan
levels = st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=8)
schedules = st.builds(
    lambda pulse, gap, rise: Schedule(pulse=pulse, period=pulse * (1 + rise) + gap, rise=pulse * rise),
    st.floats(1e-4, 1e-2), st.floats(1e-4, 1e-2), st.floats(0.001, 0.9))


@given(schedules, levels)
def test_each_pulse_has_the_area_of_level_times_length_and_starts_with_its_period(schedule, voltages):
    points = np.array(schedule.train(voltages))
    times, volts = points.T
    assert (np.diff(times) > 0).all()  # ngspice wants increasing times
    assert points[0].tolist() == [0.0, 0.0]
    for k, level in enumerate(voltages):
        inside = (times >= k * schedule.period) & (times < (k + 1) * schedule.period)
        if level:
            pulse = points[inside]
            assert pulse[0] == pytest.approx([k * schedule.period, 0.0])
            assert pulse[1] == pytest.approx([k * schedule.period + schedule.rise, level])
            assert pulse[-1] == pytest.approx([k * schedule.period + schedule.pulse + schedule.rise, 0.0])
            assert np.trapezoid(pulse[:, 1], pulse[:, 0]) == pytest.approx(level * schedule.pulse)
        else:
            assert not volts[inside].any()
    assert schedule.stop(len(voltages)) == pytest.approx(len(voltages) * schedule.period)


def test_edges_end_where_the_next_level_begins():
    assert edges(3.0, 5.0, 0.5, -0.7) == [(3.0, 0.0), (3.5, -0.7), (8.0, -0.7), (8.5, 0.0)]


def test_class_is_trained_by_its_own_pattern_and_phi(parameters):
    patterns = np.array([[0.25, 0.0, 1.0], [0.5, 0.75, 0.0]])
    schedule = Schedule(input_voltage=1.1, phi_voltage=1.3)
    text = str(hebbian_network(parameters, schedule, patterns)).lower()
    sources = dict(re.findall(r"^v(input_\d|phi_\d) .*pwl\((.*)\)", text, re.MULTILINE))
    during = {}  # volts in the middle of each class's pulse
    for name, points in sources.items():
        numbers = [float(word.rstrip("sv")) for word in points.split()]
        during[name] = np.interp([2.5e-3, 17.5e-3], numbers[::2], numbers[1::2]).tolist()
    assert during == {
        "input_0": pytest.approx([0.275, 0.55]), "input_1": pytest.approx([0.0, 0.825]),
        "input_2": pytest.approx([1.1, 0.0]), "phi_0": pytest.approx([1.3, 0.0]), "phi_1": pytest.approx([0.0, 1.3])}


def test_phi_that_cannot_close_the_switch_is_refused(parameters):
    message = "phi_voltage must exceed switch_threshold, or nothing is ever written, got 0.4 V for 0.5 V"
    with pytest.raises(ParameterError, match=message):
        hebbian_network(parameters, Schedule(phi_voltage=0.4), xpue().patterns)


@pytest.fixture(scope="module", params=["xpue", "012345", "mnist"])
def trained(request, ngspice, parameters, mnist_schedule, templates):
    """A dataset, its schedule, the `Training` of it, and how many presentations were watched."""
    dataset, schedule = {"xpue": (xpue(), Schedule()), "012345": (digits_012345(), Schedule()),
                         "mnist": (templates, mnist_schedule)}[request.param]
    watched = []

    def watch(steps):
        for step in steps:
            watched.append(step.time[-1])
            yield step
    return dataset, schedule, train_hebbian(ngspice, parameters, schedule, dataset.patterns, watch=watch), watched


def test_training_writes_the_closed_form_into_on_cells_and_leaves_off_cells(trained):
    dataset, schedule, training, watched = trained
    on = dataset.patterns > 0
    # K * 1 V * pulse / (C + C_gate), in numbers: 5e-9 A for 5 or 2 ms into 3.553 pF.
    expected = 5e-9 * schedule.pulse / 3.5532e-12
    assert training.states.shape == dataset.patterns.shape
    # At most 1 % is the solver's error of charge, see TRAINING.
    assert training.states[on] == pytest.approx(np.full(on.sum(), expected), rel=0.01)
    assert np.abs(training.states[~on]).max() < 0.1  # 1.5 to 4 % of an on-cell
    assert len(watched) == len(dataset.patterns)
    assert watched[:-1] == pytest.approx([schedule.start(k) for k in range(1, len(watched))], rel=0.02)  # within a step
    assert training.states_over_time.shape == (on.size, len(training.time))
    assert training.inputs.max() == pytest.approx(1.0)
    assert training.controls.max() == pytest.approx(1.2)


def test_classes_are_trained_alike_to_0_02_percent(trained):
    """Between classes that an image overlaps alike, nothing but this scatter decides."""
    dataset, _, training, _ = trained
    on = [row[pattern > 0].mean() for row, pattern in zip(training.states, dataset.patterns, strict=True)]
    assert np.ptp(on) < 2e-4 * np.mean(on)


def test_identical_patterns_tie(ngspice, parameters):
    """Two classes of the same pattern: neither training order nor the solver may prefer one."""
    patterns = np.array([[1, 1, 1, 0, 1, 0, 0, 1, 0]] * 2, float)
    states = train_hebbian(ngspice, parameters, Schedule(), patterns).states
    spikes = infer(ngspice, parameters, Schedule(), states, patterns).spikes
    assert [strict_decision(times, HEBBIAN_RESOLUTION) for times in spikes] == [TIED, TIED]
    assert max(lead(times) for times in spikes) < HEBBIAN_RESOLUTION / 2


def test_every_trained_pattern_wins_by_more_than_the_resolution(ngspice, parameters, trained):
    dataset, schedule, training, _ = trained
    result = infer(ngspice, parameters, schedule, training.states, dataset.patterns)
    classes = len(dataset.patterns)
    assert result.spikes.shape == (classes, classes)
    assert [strict_decision(spikes) for spikes in result.spikes] == list(range(classes))
    assert [paper_decision(spikes, schedule.sampling_step) for spikes in result.spikes] == list(range(classes))
    assert min(lead(spikes) for spikes in result.spikes) > 10 * HEBBIAN_RESOLUTION  # wins that no solver setting can turn
    for k, spikes in enumerate(result.spikes):  # the class's own neuron is high in its own period
        since = result.time - schedule.start(k)
        during = (since > spikes[k] + 1e-5) & (since < schedule.pulse)
        assert (result.outputs[k, during] > 0.99).all()


TAU, THRESHOLD = 150e-6, 4.0


def synthetic(settled, start=0.0, longest_step=20e-6, seed=3, stop=1e-3):
    """A membrane on a non-uniform time axis that rises exponentially to `settled` from `start` s on; its output."""
    steps = np.random.default_rng(seed).uniform(0.05, 1.0, 4000) * longest_step
    time = np.cumsum(steps)
    time = np.concatenate([[0.0], time[time < stop]])
    membranes = np.array([volt * -np.expm1(-np.maximum(time - start, 0) / TAU) for volt in np.atleast_1d(settled)])
    return time, membranes, (membranes >= THRESHOLD).astype(float)


def analytic(settled):
    return TAU * np.log(settled / (settled - THRESHOLD))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("settled", [4.3, 5.0, 7.7, 30.0])
def test_spike_time_is_the_analytic_crossing_on_unequal_steps(settled, seed):
    time, membranes, outputs = synthetic(settled, seed=seed)
    spike = first_spikes(time, membranes, outputs, NeuronParameters(), 0.0, 1e-3)[0]
    # A cubic through steps h of at most 20 us errs by about (h / tau)^4 * tau / 20, 2 ns; a straight line by 300 ns.
    assert spike == pytest.approx(analytic(settled), abs=5e-9)


def test_crossing_between_points_that_do_not_rise_all_along_is_on_the_straight_line():
    """A membrane that dipped before has no inverse to interpolate: the crossing lies on the line between two points."""
    time = np.array([0.0, 10e-6, 20e-6, 30e-6, 40e-6])
    membranes = np.array([[3.9, 3.5, 3.7, 4.1, 4.05]])
    spike = first_spikes(time, membranes, (membranes >= 4.0).astype(float), NeuronParameters(), 0.0, 1e-3)[0]
    assert spike == pytest.approx(20e-6 + 10e-6 * 0.75, rel=1e-9)


def test_spike_times_count_from_the_pulse_and_keep_to_their_neurons():
    time, membranes, outputs = synthetic([5.0, 3.9, 8.0], start=300e-6)
    spikes = first_spikes(time, membranes, outputs, NeuronParameters(), 300e-6, 600e-6)
    assert spikes[[0, 2]] == pytest.approx(analytic(np.array([5.0, 8.0])), abs=5e-9)
    assert np.isnan(spikes[1])


def test_spike_after_the_window_or_before_the_crossing_does_not_count():
    time, membranes, outputs = synthetic([5.0, 6.0])
    # 5 V crosses at 241 us, 6 V at 165 us.
    late = first_spikes(time, membranes, outputs, NeuronParameters(), 0.0, 200e-6)
    assert np.isnan(late[0])
    assert late[1] == pytest.approx(analytic(6.0), abs=5e-9)
    early = (membranes >= THRESHOLD - 0.1).astype(float)  # the switch tripped within its hysteresis band
    spikes = first_spikes(time, membranes, early, NeuronParameters(), 0.0, 1e-3)
    assert spikes == pytest.approx(analytic(np.array([5.0, 6.0])), abs=5e-9)
    without_output = first_spikes(time, membranes, 0 * outputs, NeuronParameters(), 0.0, 1e-3)
    assert np.isnan(without_output).all()


def test_neuron_that_is_still_high_when_the_pulse_starts_fires_at_once():
    time, membranes, outputs = synthetic([5.0, 4.4])
    spikes = first_spikes(time, membranes, outputs, NeuronParameters(), 300e-6, 500e-6)
    assert spikes[0] == 0.0
    assert spikes[1] == pytest.approx(analytic(4.4) - 300e-6, abs=5e-9)


@pytest.mark.parametrize(("spikes", "decision"), [
    ([NAN, NAN, NAN], SILENT),
    ([NAN, 3e-4, NAN], 1),
    ([2e-4, 3e-4, 1e-4], 2),
    ([2e-4, NAN, 2e-4 + 0.9 * RESOLUTION], TIED),
    ([2e-4 + 1.1 * RESOLUTION, NAN, 2e-4], 2),
    ([1e-4, 1e-4, 5e-5], 2),  # a tie for the second place is none
    ([NAN, 1e-4, 1e-4], TIED),
    ([0.0, 0.0, NAN], TIED),
])
def test_strict_decision_is_the_first_spike_if_it_leads_by_more_than_the_resolution(spikes, decision):
    assert strict_decision(np.array(spikes)) == decision


def test_undecided_is_no_class():
    assert SILENT < 0
    assert TIED < 0
    assert SILENT != TIED
    assert strict_decision(np.array([1e-4, 1e-4 + 3e-6]), resolution=2e-6) == 0
    assert strict_decision(np.array([1e-4, 1e-4 + 3e-6]), resolution=4e-6) == TIED


def test_lead_is_the_time_to_the_second_spike():
    assert lead(np.array([3e-4, NAN, 1.2e-4, 5e-4])) == pytest.approx(1.8e-4)
    assert lead(np.array([NAN, 1e-4])) == math.inf
    assert math.isnan(lead(np.array([NAN, NAN])))


@pytest.mark.parametrize(("spikes", "step", "decision"), [
    ([NAN, NAN], 11e-6, 0),  # silence counts as class 0
    ([NAN, NAN, 5e-4], 11e-6, 2),
    ([21.5e-6, 21e-6, 12e-6], 11e-6, 0),  # all seen at the sample at 22 us: the lower class
    ([23e-6, 21e-6, 12e-6], 11e-6, 1),
    ([23e-6, 21e-6, 10e-6], 11e-6, 2),
    ([23e-6, 21e-6, 10e-6], 24e-6, 0),
    ([0.5, 0.3], 0.25, 0),  # a spike right at a sample is seen there
])
def test_papers_decision_is_the_earliest_sampled_spike_with_ties_to_the_lower_class(spikes, step, decision):
    assert paper_decision(np.array(spikes), step) == decision


def test_ranking_leaves_silent_neurons_out():
    assert ranking(np.array([3e-4, NAN, 1e-4, 2e-4])) == [2, 3, 0]
    assert ranking(np.array([NAN, NAN])) == []


@pytest.mark.parametrize(("threshold", "spiking"), [(2.0, True), (9.0, False)])
def test_spike_time_of_inference_is_that_of_the_neurons_threshold(ngspice, parameters, threshold, spiking):
    # One cell whose current takes the membrane to 7.7 V: the closed form of the whole way from state to spike.
    state, resistance = 3.0, 20e3
    neuron = NeuronParameters(feedback_resistance=resistance, threshold=threshold)
    network = NetworkParameters(parameters.memristor, neuron)
    schedule = Schedule(pulse=1e-3, period=3e-3, rise=1e-6)
    spikes = infer(ngspice, network, schedule, np.array([[state, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])).spikes
    settled = resistance * 1.3e-4 * (float(raised_state(network.memristor, state, 1.0)) - 0.5)
    if spiking:
        # 0.5 us: the edge of 1 us counts as a step in its middle; the solver and the gate's lift add to 0.2 %.
        assert spikes[0, 0] == pytest.approx(0.5e-6 + TAU * np.log(settled / (settled - threshold)), rel=5e-3)
    else:
        assert np.isnan(spikes[0, 0])
    assert np.isnan(spikes[1, 0])  # the second image drives the cell at 0 V alone


def test_schedule_knows_its_limits():
    with pytest.raises(ParameterError, match=r"period must exceed pulse \+ rise, got 0.005 s for 0.005 \+ 1e-05 s"):
        Schedule(period=5e-3)
    with pytest.raises(ParameterError, match=r"period must exceed pulse \+ rise"):
        Schedule(period=4e-3)
    with pytest.raises(ParameterError, match=r"rise must be below the pulse, got 0\.005 s for 0.005 s"):
        Schedule(rise=5e-3)
    with pytest.raises(ParameterError, match=r"step must be below the pulse, got 0\.006 s for 0.005 s"):
        Schedule(sampling_step=6e-3)
    assert dataclasses.replace(Schedule(), period=5.02e-3).period == 5.02e-3


def test_inference_with_read_mode_cells_is_that_of_whole_cells(ngspice, parameters):
    """The open switch of a whole cell (1e20 ohm) is what read-mode cells leave out."""
    dataset, schedule = xpue(), Schedule()
    states = 7.04 * dataset.patterns + 0.01
    quick = infer(ngspice, parameters, schedule, states, dataset.patterns)
    sources = [schedule.train(schedule.input_voltage * dataset.patterns[:, i]) for i in range(9)]
    saved = names("membrane", 4) + names("output", 4)
    circuit = ngspice.load(network(parameters, states, sources, [OFF] * 4), READING, saved)
    waves = circuit.run(schedule.stop(4))
    ngspice.unload(circuit)
    whole = [first_spikes(waves.time, waves.stack(saved[:4]), waves.stack(saved[4:]), parameters.neuron, schedule.start(k),
                          schedule.period) for k in range(4)]
    assert quick.spikes == pytest.approx(np.array(whole), abs=1e-9, nan_ok=True)
