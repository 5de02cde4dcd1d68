"""From waveforms to first spikes, from first spikes to decisions, against analytic crossings."""

import math

import numpy as np
import pytest

from memristive.single_layer.spike_decoding import (
    HEBBIAN_RESOLUTION,
    RESOLUTION,
    SILENT,
    TIED,
    first_spikes,
    first_two,
    lead,
    paper_decision,
    ranking,
    resolution_of,
    strict_decision,
)
from snn_circuit import NeuronParameters

NAN = math.nan
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


@pytest.mark.parametrize("settled", [4.6, 5.0, 7.7])
@pytest.mark.parametrize("after", [0, 3])
def test_spike_in_the_last_step_of_a_pulse_counts_and_ignores_what_comes_after_it(settled, after):
    """The pulse ends 1 us after the crossing, on a time point; the membrane falls from there on, in points of its own."""
    time, membranes, outputs = synthetic(settled, seed=6)
    end = analytic(settled) + 1e-6
    kept = time < end - 8e-6
    time = np.concatenate([time[kept], [end], end + 10e-6 * np.arange(1, after + 1)])
    rising = settled * -np.expm1(-time[:len(time) - after] / TAU)
    membranes = np.concatenate([rising, rising[-1] * np.exp(-10e-6 * np.arange(1, after + 1) / TAU)])[None]
    outputs = (membranes >= THRESHOLD).astype(float)
    spike = first_spikes(time, membranes, outputs, NeuronParameters(), 0.0, end)[0]
    assert spike == pytest.approx(analytic(settled), abs=2e-8)
    assert first_spikes(time, membranes, outputs, NeuronParameters(), 0.0, end + 1e-10)[0] == spike  # rounding changes nothing
    assert first_spikes(time, membranes, outputs, NeuronParameters(), 0.0, end - 1e-10)[0] == spike
    assert np.isnan(first_spikes(time, membranes, outputs, NeuronParameters(), 0.0, end - 2e-6)[0])


def test_crossing_right_behind_the_pulses_start_is_found_without_the_points_before_it():
    time = np.array([0.0, 1e-5, 2e-5, 3e-5, 4e-5])
    membranes = np.array([[3.0, 3.4, 3.5, 4.5, 4.6]])
    spike = first_spikes(time, membranes, (membranes >= 4.0).astype(float), NeuronParameters(), 2e-5, 2e-5)[0]
    assert spike == pytest.approx(0.5e-5)  # on the straight line: of the pulse's points there are three


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


def test_each_rule_has_its_resolution():
    usual, slow = NeuronParameters(), NeuronParameters(membrane_capacitance=15e-3)
    assert resolution_of("hebbian", usual) == resolution_of("", usual) == HEBBIAN_RESOLUTION == 0.5e-6
    assert resolution_of("hebbian", slow) == pytest.approx(50e-6)  # what scatters are the templates, and spikes with them
    assert resolution_of("error-driven", slow) == resolution_of("ex-situ", usual) == RESOLUTION == 20e-9


def test_neurons_may_have_thresholds_of_their_own():
    time, membranes, outputs = synthetic([5.0, 5.0])
    spikes = first_spikes(time, membranes, outputs, NeuronParameters(), 0.0, 1e-3, np.array([4.0, 3.0]))
    outputs[1] = membranes[1] >= 3.0
    spikes = first_spikes(time, membranes, outputs, NeuronParameters(), 0.0, 1e-3, np.array([4.0, 3.0]))
    assert spikes == pytest.approx([analytic(5.0), TAU * np.log(5.0 / 2.0)], abs=5e-9)


def test_half_of_a_spike_is_none():
    """An output is high above half its full height: at 0.4 V of 1 V it is not."""
    time, membranes, outputs = synthetic([5.0])
    assert np.isnan(first_spikes(time, membranes, 0.5 * outputs, NeuronParameters(), 0.0, 1e-3)).all()
    assert np.isfinite(first_spikes(time, membranes, 0.51 * outputs, NeuronParameters(), 0.0, 1e-3)).all()


@pytest.mark.parametrize("points", [4, 5, 6])
@pytest.mark.parametrize("crossing", [1, 2, 3])
def test_cubic_is_exact_for_a_cubic_wherever_the_crossing_lies(points, crossing):
    """Time as a cubic in the membrane's voltage is what is interpolated: at the first and at the last points, too."""
    volts = np.array([3.0, 3.4, 3.7, 4.2, 4.4, 4.9])[:points] + (4.1 - [3.3, 3.6, 4.1][crossing - 1])
    time = 1e-6 * (volts**3 - 5 * volts**2 + 20 * volts)
    spike = first_spikes(time, volts[None], (volts[None] >= 4.0).astype(float), NeuronParameters(), 0.0, 1.0)[0]
    assert spike == pytest.approx(1e-6 * (64 - 80 + 80), rel=1e-12)


def test_lead_equal_to_the_resolution_is_a_tie():
    assert strict_decision(np.array([1.0, 3.0]), resolution=2.0) == TIED
    assert strict_decision(np.array([1.0, 3.0]), resolution=1.999) == 0


def test_membrane_that_reaches_the_threshold_with_the_last_point_of_the_window_fires():
    time, membranes = 1e-6 * np.arange(6.0), np.array([[3.0, 3.2, 3.4, 3.6, 3.8, 4.0]])
    spikes = first_spikes(time, membranes, np.ones((1, 6)), NeuronParameters(), 0.0, 5.5e-6)
    assert spikes[0] == pytest.approx(5e-6)


@pytest.mark.parametrize("after", [0, 1, 2, 3])
@pytest.mark.parametrize("settled", [4.3, 5.0, 8.0])
def test_crossing_near_the_end_of_a_run_is_interpolated_not_extrapolated(settled, after):
    """`after` points follow the crossing; four points of 10 us around an exponential of 150 us err by 0.7 ns at most."""
    time = 1e-5 * np.arange(100.0)
    membranes = settled * -np.expm1(-time / TAU)[None]
    last = int(np.argmax(membranes[0] >= THRESHOLD)) + 1 + after
    spike = first_spikes(time[:last], membranes[:, :last], np.ones((1, last)), NeuronParameters(), 0.0, 1.0)[0]
    assert spike == pytest.approx(analytic(settled), abs=0.7e-9)


def test_flat_membrane_before_the_crossing_is_no_division_by_zero():
    time = np.array([0.0, 1.0, 2.0, 3.0])
    with np.errstate(all="raise"):
        spike = first_spikes(time, np.array([[3.5, 3.5, 3.8, 4.2]]), np.ones((1, 4)), NeuronParameters(), 0.0, 9.0)[0]
    assert spike == pytest.approx(2.5)


def test_ranking_of_many_that_fire_together_is_by_class():
    spikes = np.repeat([2e-4, 1e-4, 2e-4], 40)
    assert ranking(spikes) == [*range(40, 80), *range(40), *range(80, 120)]


def test_a_read_ends_with_two_spikes_or_with_its_window():
    spikes = np.array([[90, NAN, 50, 70], [NAN, 50, NAN, NAN], [NAN] * 4])
    assert first_two(spikes, 150.0).tolist() == [[50, 70], [50, 150], [150, 150]]
    assert first_two(spikes[0], 150.0).tolist() == [50, 70]
