"""First spikes of waveforms, decisions and scores, against analytic crossings and counts by
hand.
"""

import math

import numpy as np
import pytest

from memristive.network.design import Schedule
from memristive.scores import decisions
from memristive.scores.decisions import (
    RESOLUTION,
    SILENT,
    TIED,
    first_spikes,
    lead,
    resolution_of,
    summary,
)
from snn_circuit import NeuronParameters

NAN = math.nan
TAU, THRESHOLD = 150e-6, 4.0
NEURON = NeuronParameters(threshold=THRESHOLD, membrane_capacitance=150e-6)


def synthetic(settled, start=0.0, longest_step=20e-6, seed=3, stop=1e-3):
    """Membranes on a non-uniform time axis that rise exponentially to `settled` from `start` s on;
    their outputs.
    """
    steps = np.random.default_rng(seed).uniform(0.05, 1.0, 4000) * longest_step
    time = np.cumsum(steps)
    time = np.concatenate([[0.0], time[time < stop]])
    membranes = np.array(
        [volt * -np.expm1(-np.maximum(time - start, 0) / TAU) for volt in np.atleast_1d(settled)]
    )
    return time, membranes, (membranes >= THRESHOLD).astype(float)


def analytic(settled, threshold=THRESHOLD):
    return TAU * np.log(settled / (settled - threshold))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("settled", [4.3, 5.0, 7.7, 30.0])
def test_spike_time_is_the_analytic_crossing_on_unequal_steps(settled, seed):
    time, membranes, outputs = synthetic(settled, seed=seed)
    spike = first_spikes(time, membranes, outputs, NEURON, 0.0, 1e-3)[0]
    # A cubic through steps h of at most 20 us errs by about (h / tau)^4 * tau / 20, 2 ns; a
    # straight line by 300 ns.
    assert spike == pytest.approx(analytic(settled), abs=5e-9)


@pytest.mark.parametrize("membrane", [[3.9, 3.5, 3.7, 4.1, 4.05], [3.7, 3.7, 3.7, 4.1, 4.2]])
def test_crossing_of_a_membrane_that_does_not_rise_all_along_is_on_the_straight_line(membrane):
    with np.errstate(all="raise"):
        spike = first_spikes(
            10e-6 * np.arange(5), np.array([membrane]), np.ones((1, 5)), NEURON, 0.0, 1e-3
        )[0]
    assert spike == pytest.approx(20e-6 + 10e-6 * 0.75, rel=1e-9)


def test_spike_times_count_from_the_pulses_start():
    time, membranes, outputs = synthetic([5.0, 3.9, 8.0], start=300e-6)
    spikes = first_spikes(time, membranes, outputs, NEURON, 300e-6, 600e-6)
    assert spikes[[0, 2]] == pytest.approx(analytic(np.array([5.0, 8.0])), abs=5e-9) and np.isnan(
        spikes[1]
    )
    # 5 V is still above the threshold when the pulse starts
    time, membranes, outputs = synthetic([5.0, 4.4])
    spikes = first_spikes(time, membranes, outputs, NEURON, 300e-6, 500e-6)
    assert spikes == pytest.approx([0.0, analytic(4.4) - 300e-6], abs=5e-9)


def test_spike_needs_both_output_and_membrane_within_the_window():
    time, membranes, outputs = synthetic([5.0, 6.0])
    # 5 V crosses at 241 us, 6 V at 165 us
    late = first_spikes(time, membranes, outputs, NEURON, 0.0, 200e-6)
    assert np.isnan(late[0]) and late[1] == pytest.approx(analytic(6.0), abs=5e-9)
    early = (membranes >= THRESHOLD - 0.1).astype(float)  # the switch closed within its hysteresis
    for given in (early, None):
        spikes = first_spikes(time, membranes, given, NEURON, 0.0, 1e-3)
        assert spikes == pytest.approx(analytic(np.array([5.0, 6.0])), abs=5e-9)
    assert np.isnan(first_spikes(time, membranes, 0.5 * outputs, NEURON, 0.0, 1e-3)).all()
    assert np.isfinite(first_spikes(time, membranes, 0.51 * outputs, NEURON, 0.0, 1e-3)).all()


@pytest.mark.parametrize("settled", [4.6, 5.0, 7.7])
@pytest.mark.parametrize("after", [0, 3])
def test_spike_in_the_last_step_of_a_pulse_counts_and_ignores_later_points(settled, after):
    """The pulse ends 1 us after the crossing, on a time point; the membrane falls from there on."""
    time, membranes, outputs = synthetic(settled, seed=6)
    end = analytic(settled) + 1e-6
    shown = time < end - 8e-6
    time = np.concatenate([time[shown], [end], end + 10e-6 * np.arange(1, after + 1)])
    rising = settled * -np.expm1(-time[: len(time) - after] / TAU)
    membranes = np.concatenate(
        [rising, rising[-1] * np.exp(-10e-6 * np.arange(1, after + 1) / TAU)]
    )[None]
    outputs = (membranes >= THRESHOLD).astype(float)
    spike = first_spikes(time, membranes, outputs, NEURON, 0.0, end)[0]
    assert spike == pytest.approx(analytic(settled), abs=2e-8)
    for rounded in (end + 1e-10, end - 1e-10):
        assert first_spikes(time, membranes, outputs, NEURON, 0.0, rounded)[0] == spike
    assert np.isnan(first_spikes(time, membranes, outputs, NEURON, 0.0, end - 2e-6)[0])


@pytest.mark.parametrize(
    ("spikes", "decision"),
    [
        ([NAN, NAN, NAN], SILENT),
        ([NAN, 3e-4, NAN], 1),
        ([2e-4, 3e-4, 1e-4], 2),
        ([0.0, 0.0, NAN], TIED),
        ([2e-4, NAN, 2e-4 + 0.9 * RESOLUTION], TIED),
        ([2e-4 + 1.1 * RESOLUTION, NAN, 2e-4], 2),
        ([0.0, RESOLUTION], TIED),
        ([1e-4, 1e-4, 5e-5], 2),
    ],
)  # a tie for the second place does not count
def test_strict_decision_is_the_first_spike_if_it_leads_by_more_than_the_resolution(
    spikes, decision
):
    assert decisions.decide(np.array([spikes]), RESOLUTION)[0] == decision


def test_lead_is_the_time_to_the_second_spike():
    assert lead(np.array([3e-4, NAN, 1.2e-4, 5e-4])) == pytest.approx(1.8e-4)
    assert lead(np.array([NAN, 1e-4])) == math.inf and math.isnan(lead(np.array([NAN, NAN])))


@pytest.mark.parametrize(
    ("spikes", "step", "decision"),
    [
        ([NAN, NAN], 11e-6, 0),  # silence counts as class 0
        ([21.5e-6, 21e-6, 12e-6], 11e-6, 0),  # all in the sample at 22 us: the lower class
        ([NAN, NAN, 5e-4], 11e-6, 2),
        ([23e-6, 21e-6, 12e-6], 11e-6, 1),
        ([23e-6, 21e-6, 10e-6], 11e-6, 2),
        ([0.5, 0.3], 0.25, 0),
    ],
)  # a spike right at a sample belongs to it
def test_papers_decision_is_the_earliest_sampled_spike_with_ties_to_the_lower_class(
    spikes, step, decision
):
    assert decisions.decide(np.array([spikes]), 0.0, step)[1] == decision


def test_resolution_of_templates_grows_with_the_time_constant():
    slow = NeuronParameters(membrane_capacitance=15e-3)
    assert resolution_of("hebbian", NEURON) == decisions.HEBBIAN_RESOLUTION
    assert resolution_of("hebbian", slow) == pytest.approx(100 * decisions.HEBBIAN_RESOLUTION)
    assert resolution_of("error-driven", slow) == resolution_of("ex-situ", NEURON) == RESOLUTION


SPIKES = 1e-6 * np.array(
    [
        [100, 140, 180, NAN],  # class 0 by 40 us
        [100.3, 100, 150, 190],  # class 1 by 0.3 us: a tie at a resolution of 0.5 us
        [NAN, NAN, NAN, NAN],  # silent
        [130, 120, 110, 140],  # class 2, label 3 comes fourth
        [160, 120, 150, 140],  # class 1, label 3 comes second
        [125, 120, 110, 140],  # class 2, label 0 comes third
    ]
)
LABELS = np.array([0, 1, 0, 3, 3, 0])
SCHEDULE = Schedule(sampling_step=11e-6)


def test_summary_counts_undecided_as_wrong_and_the_third_as_among_three():
    scores = summary(LABELS, SPIKES, 0.5e-6, SCHEDULE)
    assert scores["samples"] == 6
    assert scores["strict_accuracy"] == scores["strict_first_100"] == pytest.approx(1 / 6)
    assert scores["top3_accuracy"] == pytest.approx(4 / 6)  # images 0, 1, 4 and 5
    assert (scores["silent"], scores["tied"], scores["resolution"]) == (1, 1, 0.5e-6)
    assert scores["recall"].tolist() == pytest.approx([1 / 3, 0, NAN, 0], nan_ok=True)
    assert scores["strict_interval_95"] == decisions.interval(1, 6)
    assert scores["paper_rule_accuracy"] == scores["paper_rule_first_100"] == pytest.approx(2 / 6)
    assert summary(LABELS, SPIKES, 0.5e-6).keys() == scores.keys() - {
        "paper_rule_accuracy",
        "paper_rule_first_100",
    }


def test_interval_is_wilsons():
    """Wilson 1927: centre (p + z^2 / 2n) / (1 + z^2 / n)."""
    low, high = decisions.interval(60, 100)
    z2 = 1.959964**2
    assert (low + high) / 2 == pytest.approx((0.6 + z2 / 200) / (1 + z2 / 100), rel=1e-6)
    assert low == pytest.approx(0.5020, abs=1e-4)


def test_a_read_ends_at_its_second_spike():
    spikes = np.array([[50, 60, NAN, NAN], [50, NAN, 70, NAN], [50, NAN, NAN, NAN]])
    assert decisions.end_of_read(spikes, 150.0).tolist() == [60, 70, 150]
