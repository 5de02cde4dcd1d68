"""Membranes between silence and the rail: what is foretold is what ngspice shows, and own patterns get a resistor that fits."""

import dataclasses
import re

import numpy as np
import pytest

from memristive.single_layer.hebbian import infer, train_hebbian
from memristive.single_layer.operating_range import complaint, fitted, rail, settled_membranes
from memristive.single_layer.pulses import Schedule
from memristive.single_layer.spike_decoding import strict_decision
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters, read_current, trained_state
from snn_circuit import NetworkParameters, NeuronParameters


def with_feedback(ohms):
    return NetworkParameters(neuron=NeuronParameters(feedback_resistance=ohms))


@pytest.fixture(scope="module")
def patterns():
    """Three 8x8 patterns of 32, 24 and 20 pixels: far too large for the resistor of 3x3 patterns."""
    generator = np.random.default_rng(4)
    rows = np.zeros((3, 64))
    for row, count in zip(rows, (32, 24, 20), strict=True):
        row[generator.permutation(64)[:count]] = 1
    return rows


@pytest.fixture(scope="module")
def states(patterns):
    return trained_state(NetworkParameters().memristor, patterns, Schedule().pulse)


def test_settled_membranes_are_those_of_ngspice(ngspice, patterns, states):
    """Below the rail, 20 time constants after the edge, to 0.2 %: the op-amps' gain is finite."""
    network, schedule = fitted(NetworkParameters(), Schedule(), patterns), Schedule()
    result = infer(ngspice, network, schedule, states, patterns)
    for k in range(len(patterns)):
        late = np.searchsorted(result.time, schedule.start(k) + 20 * network.neuron.time_constant)
        assert settled_membranes(network, schedule, states, patterns)[k] == pytest.approx(result.membranes[:, late], rel=2e-3)


def test_clipped_membranes_stand_at_the_rail_in_ngspice(ngspice, patterns, states):
    network, schedule = NetworkParameters(), Schedule()
    wanted = settled_membranes(network, schedule, states, patterns).max()
    assert wanted > 20
    assert rail(network.neuron) == pytest.approx(20 / 1.011)  # the op-amp's 10 ohm drop what feedback and next stage draw
    highest = infer(ngspice, network, schedule, states, patterns).membranes.max()
    assert highest == pytest.approx(rail(network.neuron), rel=2e-3)


@pytest.mark.parametrize(("ohms", "words"), [(1e3, "membranes clip on 2 of 3 images"), (100.0, "all neurons stay silent"),
                                             (250.0, "")])
def test_complaint_names_the_parameter_and_a_value_that_helps(ohms, words, patterns, states):
    said = complaint(with_feedback(ohms), Schedule(), states, patterns)
    assert words in said and bool(said) == bool(words)
    if said:
        better = float(said.partition("--feedback-resistance ")[2].split()[0])
        assert complaint(with_feedback(better), Schedule(), states, patterns) == ""


@pytest.mark.parametrize("changes", [
    {}, {"membrane_transconductance": 2.0}, {"amplifier_output_resistance": 200.0},
    {"inverting_rail_high": 12.0, "stage_resistance": 50.0}])
def test_proposed_resistor_puts_the_highest_membrane_at_nine_tenths_of_the_rail(changes, patterns, states):
    """Of the rail as it is with that resistor, whichever stage is the first to clip; three digits of it are said."""
    neuron = NeuronParameters(**changes)
    said = complaint(NetworkParameters(neuron=neuron), Schedule(), states, patterns)
    assert "membranes clip" in said
    ohms = float(said.partition("--feedback-resistance ")[2].split()[0])
    better = NetworkParameters(neuron=dataclasses.replace(neuron, feedback_resistance=ohms))
    top = settled_membranes(better, Schedule(), states, patterns).max()
    assert top == pytest.approx(0.9 * rail(better.neuron), rel=5e-3)


def test_membranes_far_below_the_threshold_are_lifted_not_taken_for_cells_that_do_not_conduct(patterns, states):
    said = complaint(with_feedback(5.0), Schedule(), states, patterns)
    top = settled_membranes(with_feedback(5.0), Schedule(), states, patterns).max()
    assert 0 < top < 1 and "all neurons stay silent" in said and f"settles at {top:.3g} V" in said


@pytest.mark.parametrize(("share", "fires"), [(0.98, True), (1.02, False)])
def test_membranes_too_slow_for_the_pulse_are_foretold_as_ngspice_shows_them(ngspice, patterns, share, fires):
    """The neuron that settles lowest on its own pattern, with a time constant around that at which it just fires."""
    network, schedule = fitted(NetworkParameters(), Schedule(), patterns), Schedule(period=0.2)  # long enough to come to rest
    states = trained_state(network.memristor, patterns, Schedule().pulse)
    own = np.diag(settled_membranes(network, Schedule(), states, patterns))
    tau = share * (5e-3 - 5e-6) / -np.log(1 - 4 / own.min())  # the edge of 10 us costs half of it
    slow = dataclasses.replace(network, neuron=dataclasses.replace(network.neuron, membrane_capacitance=tau))
    said = complaint(slow, schedule, states, patterns, own=True)
    assert (said == "") is fires
    if said:
        reached = own.min() * (1 - np.exp(-5e-3 / tau))
        assert said == (f"membranes are too slow for the pulse: with a time constant of {tau:.3g} s, in 0.005 s one reaches "
                        f"{reached:.3g} V of {own.min():.3g} V, below the threshold of 4 V; a longer --pulse, or a training with "
                        "a lower --membrane-capacitance, would help")
        assert complaint(slow, dataclasses.replace(schedule, pulse=6e-3), states, patterns, own=True) == ""
        assert complaint(slow, Schedule(), states, patterns) == ""  # the largest pattern makes its neuron fire
    lowest = int(own.argmin())
    spike = infer(ngspice, slow, Schedule(), states, patterns[lowest:][:1]).spikes[0, lowest]
    assert np.isfinite(spike) == fires


def test_all_membranes_too_slow_are_said_of_the_highest_and_no_resistor_is_fitted_to_them(patterns, states):
    neuron = NeuronParameters(membrane_capacitance=1.0, feedback_resistance=250.0)
    top = settled_membranes(with_feedback(250.0), Schedule(), states, patterns).max()
    said = complaint(NetworkParameters(neuron=neuron), Schedule(), states, patterns)
    assert f"one reaches {top * (1 - np.exp(-5e-3)):.3g} V of {top:.3g} V" in said
    with pytest.raises(ParameterError, match=r"a time constant of 1 s, membranes are too slow for a pulse of 0\.005 s"):
        fitted(NetworkParameters(neuron=neuron), Schedule(), patterns)


@pytest.mark.parametrize(("pause", "said"), [(7.4, True), (7.5, False)])  # 1.76 thresholds fall to a thousandth in 7.47
def test_patterns_that_follow_each_other_too_quickly_are_foretold(ngspice, patterns, states, pause, said):
    """What is left of one pattern moves the next one's spikes: of a pause of one time constant, by microseconds."""
    network = fitted(NetworkParameters(), Schedule(), patterns)
    tau = network.neuron.time_constant
    quick = Schedule(period=5e-3 + 1e-5 + pause * tau)
    words = complaint(network, quick, states, patterns, own=True)
    assert ("membranes have not come to rest when the next pattern comes" in words) is said
    assert complaint(network, quick, states, patterns) == ""  # images of a test are read one by one
    if said:
        top = settled_membranes(network, quick, states, patterns).max()
        assert f"of {top:.3g} V up to {top * np.exp(-pause):.2g} V are left after {pause * tau + 1e-5:.3g} s" in words
        close = Schedule(period=5e-3 + 1e-5 + tau)
        usual, early = (infer(ngspice, network, schedule, states, patterns).spikes for schedule in (Schedule(), close))
        assert np.nanmax(np.abs(early - usual)) > 5e-6


def test_cells_that_do_not_conduct_are_named(patterns):
    assert "no cell conducts" in complaint(NetworkParameters(), Schedule(), np.zeros_like(patterns), patterns)


def test_own_patterns_of_any_size_are_recognised_with_the_fitted_resistor(ngspice, patterns):
    """8x8 patterns, where the default resistor makes all neurons clip and fire together."""
    for network, answers in ((NetworkParameters(), False), (fitted(NetworkParameters(), Schedule(), patterns), True)):
        states = train_hebbian(ngspice, network, Schedule(), patterns).states
        spikes = infer(ngspice, network, Schedule(), states, patterns).spikes
        assert (complaint(network, Schedule(), states, patterns) == "") is answers
        if answers:
            assert [strict_decision(times) for times in spikes] == [0, 1, 2]


def test_the_papers_own_patterns_keep_about_their_resistor(templates, mnist_schedule):
    """MNIST's 19 pixels at 2.8 V and XPUE's 7 at 7 V settle at 1.6 to 1.7 thresholds with 1 kohm."""
    fits = fitted(NetworkParameters(), mnist_schedule, templates.patterns).neuron.feedback_resistance
    assert fits == pytest.approx(1e3, rel=0.1)


def test_fitted_resistor_is_for_cells_written_and_read_at_the_schedules_input_voltage(patterns):
    """At 2 V a pulse of 5 ms leaves 2 V x 5 nA/V x 5 ms / 3.5531 pF; read at 2 V, the smallest reaches 1.1 thresholds."""
    schedule = Schedule(input_voltage=2.0)
    network = fitted(NetworkParameters(), schedule, patterns)
    settled = settled_membranes(network, schedule, 14.0720 * patterns, patterns)
    assert np.diag(settled) == pytest.approx(np.array([32, 24, 20]) / 20 * 1.1 * 4.0, rel=1e-4)


def test_a_small_pattern_beside_a_large_one_fires_as_well():
    """24 pixels and 6: at 1.7 thresholds for the large one, the small one would stay at 0.4."""
    patterns = np.array([[1.0] * 24 + [0.0] * 8, [0.0] * 26 + [1.0] * 6])
    network, schedule = fitted(NetworkParameters(), Schedule(), patterns), Schedule()
    own = np.diag(settled_membranes(network, schedule, trained_state(network.memristor, patterns, schedule.pulse), patterns))
    assert own.min() == pytest.approx(1.1 * network.neuron.threshold) and own.max() < rail(network.neuron)


def test_the_rail_is_the_nearer_of_both_stages_and_scales_with_the_membrane():
    neuron = NeuronParameters(rail_low=-15.0, membrane_transconductance=2.0, membrane_resistance=3.0)
    assert rail(neuron) == pytest.approx(90.0 / 1.011)
    assert rail(dataclasses.replace(neuron, inverting_rail_high=10.0)) == pytest.approx(60.0 / 1.001)


@pytest.mark.parametrize(("changes", "words"), [
    ({"leak_resistance": 1e9}, "cells forget within 0.00355 s"),
    ({"leak_resistance": 1.35e10}, "cells forget within 0.048 s"),  # a tenth of a state within its pulse
    ({"capacitance": 1e-3}, "^no feedback .*: trained cells carry next to no current$"),
    ({"threshold_voltage": 8.0}, "^no feedback .*: trained cells carry no current$")])
def test_patterns_that_no_resistor_makes_readable_are_refused(patterns, changes, words):
    network = NetworkParameters(MemristorParameters(**changes))
    with pytest.raises(ParameterError, match=words):
        fitted(network, Schedule(), patterns)


def test_resistor_that_is_not_allowed_is_not_proposed(patterns, states):
    said = complaint(NetworkParameters(), Schedule(), np.full_like(states, 1e-9), patterns)
    assert said.startswith("all neurons stay silent") and said.endswith(
        "; no feedback resistor makes up for that: train with a longer --pulse, a higher --input-voltage or --transconductance")


def test_a_pattern_without_pixels_is_refused():
    with pytest.raises(ParameterError, match="pattern 1 has no pixel"):
        fitted(NetworkParameters(), Schedule(), np.array([[1.0, 0.0], [0.0, 0.0]]))


def test_one_class_alone_is_learned_and_named(ngspice, parameters):
    """Nothing else can fire: it leads without end."""
    patterns = np.array([[1.0, 0, 1, 0, 1, 0, 1, 0, 1]])
    states = train_hebbian(ngspice, parameters, Schedule(), patterns).states
    assert strict_decision(infer(ngspice, parameters, Schedule(), states, patterns).spikes[0]) == 0


def test_settled_membrane_is_the_column_current_times_the_transresistance():
    """Of two neurons and two images, at levels between 0 and 1 and an input voltage of its own."""
    network = NetworkParameters(neuron=NeuronParameters(feedback_resistance=700.0, membrane_transconductance=2.0))
    schedule, states = Schedule(input_voltage=1.5), np.array([[3.0, 4.0, 5.0], [2.0, 6.0, 0.0]])
    images = np.array([[1.0, 0.5, 0.0], [0.2, 0.0, 1.0]])
    found = settled_membranes(network, schedule, states, images)
    assert found == pytest.approx(np.array([[1400.0 * read_current(network.memristor, own, 1.5 * image).sum() for own in states]
                                            for image in images]))


def test_complaint_says_how_high_how_low_and_what_would_help(patterns, states):
    """The value proposed puts the highest membrane at 1.7 thresholds, or at 0.9 of the rail."""
    highest = settled_membranes(with_feedback(1e3), Schedule(), states, patterns).max(axis=1)
    low, high = complaint(with_feedback(100.0), Schedule(), states, patterns), complaint(with_feedback(1e3), Schedule(), states,
                                                                                         patterns)
    top = highest.max()
    assert low == (f"all neurons stay silent: the highest membrane settles at {top / 10:.3g} V, below the threshold of 4 V; "
                   f"training with --feedback-resistance {float(f'{1e3 * 6.8 / top:.3g}'):g} would lift it")
    within = (18 / (top / 1e3) - 10) / 1.001
    assert high == (f"membranes clip on {(highest >= 20).sum()} of 3 images: {top:.3g} V wanted, the rail is at 19.8 V, and "
                    f"neurons that clip fire together; training with --feedback-resistance {float(f'{within:.3g}'):g} "
                    "keeps them below it")
    silent = complaint(NetworkParameters(), Schedule(), np.zeros_like(patterns), patterns)
    assert silent == ("no cell conducts, all neurons stay silent: train with a longer --pulse, a higher --input-voltage or a "
                      "higher --transconductance, or test a chip that forgets at a shorter --age")


def test_membrane_right_at_the_threshold_fires_and_right_at_the_rail_clips(patterns, states):
    top = settled_membranes(with_feedback(1e3), Schedule(), states, patterns).max()
    for threshold, said in ((top / 10, False), (top / 10 * (1 + 1e-9), True)):
        network = NetworkParameters(neuron=NeuronParameters(feedback_resistance=100.0, threshold=threshold))
        assert ("stay silent" in complaint(network, Schedule(), states, patterns)) is said
    for limit, said in ((top, True), (top * (1 + 1e-6), False)):
        network = NetworkParameters(neuron=NeuronParameters(inverting_rail_high=limit * 1.001, rail_low=-100.0))
        assert ("clip" in complaint(network, Schedule(), states, patterns)) is said


def test_resistor_of_very_different_patterns_is_that_of_the_rail():
    """3 pixels beside 13: 1.1 thresholds for the ones would drive the others too near to the rail, of which 0.9 is the most."""
    patterns = np.zeros((2, 16))
    patterns[0, :13], patterns[1, 13:] = 1, 1
    network = fitted(NetworkParameters(), Schedule(), patterns)
    own = settled_membranes(network, Schedule(), trained_state(network.memristor, patterns, Schedule().pulse), patterns)
    assert own[0, 0] == pytest.approx(0.9 * rail(network.neuron)) and own[1, 1] > network.neuron.threshold
    assert network.neuron == dataclasses.replace(NeuronParameters(), feedback_resistance=network.neuron.feedback_resistance)


UNEVEN = np.array([[1.0] * 24 + [0.0] * 8, [0.0] * 26 + [1.0] * 6, [0.0] * 20 + [1.0] * 12])


def uneven(ohms):
    """A network with a feedback of `ohms` that has learned three patterns, and their settled membranes in V."""
    network, schedule = with_feedback(ohms), Schedule()
    states = trained_state(network.memristor, UNEVEN, schedule.pulse)
    return network, states, np.diag(settled_membranes(network, schedule, states, UNEVEN))


def test_a_neuron_that_stays_silent_on_its_own_pattern_is_named_with_what_lifts_it():
    network, states, own = uneven(250.0)
    assert own[1] < own[2] < 4 < own[0]
    assert complaint(network, Schedule(), states, UNEVEN) == ""  # images of any kind may leave neurons silent
    needed = float(f"{250 * 1.1 * 4 / own[1]:.3g}")
    assert complaint(network, Schedule(), states, UNEVEN, own=True) == (
        f"neurons that stay silent on the patterns they learned: 2 of 3; the membrane of neuron 1 settles at {own[1]:.3g} V, "
        f"below the threshold of 4 V; training with --feedback-resistance {needed:g} would lift it")
    better, states, own = uneven(needed)
    assert own[1] == pytest.approx(4.4, rel=0.01) and complaint(better, Schedule(), states, UNEVEN, own=True) == ""


@pytest.mark.parametrize("low", [0.5, 0.0])  # of the second neuron's states; at 0 its cells carry nothing
def test_a_neuron_that_no_resistor_lifts_below_the_rail_is_said_to_be_one(low):
    network, states, _ = uneven(250.0)
    states = states * [[1.0], [low], [1.0]]
    said = complaint(network, Schedule(), states, UNEVEN, own=True)
    assert "the membrane of neuron 1" in said
    assert said.endswith("no feedback resistor lifts it and keeps the others below the rail")


def test_neurons_right_at_the_threshold_on_their_own_patterns_fire():
    network, states, own = uneven(250.0)
    neuron = dataclasses.replace(network.neuron, membrane_capacitance=1e-6)  # settled to the last digit within the pulse
    for threshold, said in ((own.min(), ""), (own.min() * (1 + 1e-9), "1 of 3;")):
        here = dataclasses.replace(network, neuron=dataclasses.replace(neuron, threshold=float(threshold)))
        assert said in (words := complaint(here, Schedule(), states, UNEVEN, own=True)) and bool(said) is bool(words)


def test_patterns_too_unlike_for_one_resistor_are_refused():
    """A pixel beside thirty: between the threshold of 4 V and 0.9 of the rail there is room for 4.5 times the current."""
    patterns = np.array([[1.0] * 30 + [0.0], [0.0] * 30 + [1.0]])
    for order in (1, -1):
        few, many = (1, 0)[::order]
        words = f"pattern {few} would not reach the threshold beside pattern {many}, which carries 30 times its current$"
        with pytest.raises(ParameterError, match=f"^no feedback resistor fits: below the rail, {words}"):
            fitted(NetworkParameters(), Schedule(), patterns[::order])


def first_ohms(said):
    return float(said.partition("--feedback-resistance ")[2].removeprefix("near ").split()[0].rstrip(","))


@pytest.mark.parametrize("rail_volts", [20.0, 6.0, 5.2])
def test_silent_membranes_are_lifted_no_higher_than_the_rail(rail_volts, patterns, states):
    neuron = NeuronParameters(feedback_resistance=100.0, rail_low=-rail_volts, inverting_rail_high=rail_volts)
    said = complaint(NetworkParameters(neuron=neuron), Schedule(), states, patterns)
    better = NetworkParameters(neuron=dataclasses.replace(neuron, feedback_resistance=first_ohms(said)))
    top = settled_membranes(better, Schedule(), states, patterns).max()
    assert "stay silent" in said and complaint(better, Schedule(), states, patterns) == ""
    assert top == pytest.approx(min(6.8, 0.9 * rail(better.neuron)), rel=5e-3)


def test_rail_that_leaves_no_room_above_the_threshold_is_named(patterns, states):
    neuron = NeuronParameters(feedback_resistance=100.0, rail_low=-4.2)
    said = complaint(NetworkParameters(neuron=neuron), Schedule(), states, patterns)
    assert said.endswith(f"the stages give {rail(neuron):.3g} V at most: training with a lower --threshold or "
                         "--amplifier-output-resistance would help")


def test_silent_patterns_are_lifted_so_that_the_smallest_fires_too(patterns, states):
    said = complaint(with_feedback(100.0), Schedule(), states, patterns, own=True)
    better = with_feedback(first_ohms(said))
    own = np.diag(settled_membranes(better, Schedule(), states, patterns))
    assert own.min() == pytest.approx(4.4, rel=5e-3) or own.max() == pytest.approx(6.8, rel=5e-3)
    assert complaint(better, Schedule(), states, patterns, own=True) == ""


def test_lift_of_very_different_patterns_is_that_of_the_smallest():
    """4 pixels beside 10: 1.1 thresholds for the ones are more than 1.7 for the others, and below the rail."""
    patterns = np.zeros((2, 14))
    patterns[0, :10], patterns[1, 10:] = 1, 1
    states = trained_state(NetworkParameters().memristor, patterns, Schedule().pulse)
    better = with_feedback(first_ohms(complaint(with_feedback(100.0), Schedule(), states, patterns, own=True)))
    assert np.diag(settled_membranes(better, Schedule(), states, patterns)) == pytest.approx([11.0, 4.4], rel=5e-3)


@pytest.mark.parametrize(("rule", "silent", "clipped"), [
    ("hebbian", r"; training with --feedback-resistance [0-9.]+ would lift it",
     r"; training with --feedback-resistance [0-9.]+ keeps them below it"),
    ("error-driven", r"; a higher --start-state or training with --feedback-resistance [0-9.]+ would lift it",
     r"; training with --feedback-resistance near [0-9.]+ may help, and a lower --threshold where it silences"),
    ("ex-situ", r"; studies\.ex_situ with a larger --swing would lift it",
     r"; studies\.ex_situ with a smaller --swing would help")])
def test_what_would_help_hangs_on_what_made_the_states(rule, silent, clipped, patterns, states):
    for ohms, words in ((100.0, silent), (1e3, clipped)):
        assert re.search(words + "$", complaint(with_feedback(ohms), Schedule(), states, patterns, rule=rule))
