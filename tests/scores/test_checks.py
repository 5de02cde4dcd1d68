"""Operating range: each problem against ngspice or the network that has it, and advice that cures
it.
"""

import dataclasses
import re
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris

from memristive.classifier.feature_encoding import FeatureEncoding
from memristive.datasets import digits_012345, mnist, xpue
from memristive.engines.engine import read
from memristive.learning.build import built
from memristive.learning.hebbian import infer
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.network.chip import Chip, on_chip
from memristive.network.design import LayerDesign, Schedule, Setup
from memristive.network.networks import Network
from memristive.network.recipe import Recipe
from memristive.parameters import ParameterError
from memristive.scores import checks
from memristive.scores.checks import (
    OperatingRangeWarning,
    fit_feedback_resistor,
    layered_problems,
    range_problems,
)
from memristor import MemristorParameters, trained_state
from snn_circuit import NetworkParameters, NeuronParameters
from tests.network.networks import on_a_chip

# Several layers

IMAGES = np.array([[1.0, 1.0], [1.0, 0.5]])


def neurons(**changes):
    return NetworkParameters(neuron=NeuronParameters(**changes))


def summing(share):
    return Network((share * np.array([[10.0, 9.0, 11.0], [8.0, 9.0, 10.5]]),))


def summing_above(share):
    """Return a network whose second layer reaches a `share` of the summing stage's swing after the
    first layer has fired.
    """
    outputs = np.array([[-55.0, 15.5, 28.0], [6.0, 7.0, 8.0]])
    return Network((np.array([[8.0, 6.0, 6.0], [6.0, 7.0, 7.0]]), share * outputs))


def inverting(share):
    return Network((np.array([[share * 15.3] * 3, [6.0, 7.5, 7.0]]),), neurons(rail_low=-60.0))


def reference(share):
    return Network(
        (np.array([[7.5, 7.5, 7.5], [6.0, 7.5, 7.0]]),), neurons(inverting_rail_high=10 / share)
    )


def loaded_reference(share):
    """All inverting stages of the layer load its output resistance."""
    states = 6 + 0.01 * np.arange(36)[:, None] * np.ones(3)
    return Network((states,), neurons(amplifier_output_resistance=285.0 * share))


def spread_on_chip(share):
    rng = np.random.default_rng(1)
    return on_a_chip(Network((5 + 10 * share * rng.normal(0, 1, (6, 3)), np.full((3, 7), 6.0))))


def apart(network, expected):
    """Largest difference in s of a last layer's spikes in ngspice from those `expected`."""
    found = read(network, IMAGES, "ngspice", wanted=len(network.states[-1]))
    assert np.array_equal(np.isnan(found), np.isnan(expected[-1]))
    return np.nanmax(np.abs(found - expected[-1]))


@pytest.mark.parametrize(
    ("network", "beyond", "layer"),
    [
        (summing, 1.05, 1),
        (summing_above, 1.2, 2),
        (inverting, 1.1, 1),
        (reference, 1.05, 1),
        (loaded_reference, 1.1, 1),
        (spread_on_chip, 1.3, 1),
    ],
)
def test_ngspice_leaves_the_closed_form_at_the_rail(ngspice, network, beyond, layer):
    below, above = network(0.98), network(beyond)
    assert apart(below, below.forward(IMAGES)) < 0.1e-6
    for free, railed in zip(below.forward(IMAGES, rails=False), below.forward(IMAGES), strict=True):
        assert railed == pytest.approx(free, nan_ok=True)
    assert apart(above, above.forward(IMAGES, rails=False)) > 0.5e-6
    assert apart(above, above.forward(IMAGES)) < 0.2e-6
    assert layered_problems(below, IMAGES) == []
    (problem,) = layered_problems(above, IMAGES)
    assert f"stages of layer {layer} clip" in problem
    # the remedy that the message names
    smaller = dataclasses.replace(above, design=LayerDesign(stage_swing=7.5))
    assert layered_problems(smaller, IMAGES) == []


def test_clipping_after_the_spike_has_no_effect(ngspice):
    """The bias makes both outputs fire before the hidden neurons, which would take the stages far
    beyond their rails.
    """
    late = Network((np.full((2, 3), 6.2), np.array([[69.0, 69.0, 11.0], [69.0, 69.0, 10.0]])))
    hidden, outputs = late.forward(IMAGES)
    assert np.nanmin(hidden) > outputs.max()
    assert layered_problems(late, IMAGES) == []
    assert apart(late, [hidden, outputs]) < 0.13e-6


@pytest.mark.parametrize(
    ("firing", "dark", "reported"), [(8, 2, 0), (8, 3, 1), (4, 0, 0), (3, 0, 1)]
)
def test_silent_hidden_neurons_are_reported(firing, dark, reported):
    """Two of 40 images may be dark, and 4 of 8 hidden neurons must fire."""
    hidden = np.array([[8.0, 5.0]] * firing + [[5.0, 5.0]] * (8 - firing))
    network = Network((hidden, np.full((4, 9), 9.0)))
    images, labels = (np.arange(40) >= dark)[:, None].astype(float), np.arange(40) % 4
    problems = layered_problems(network, images, hidden_dose="dose", labels=labels)
    problems = [problem for problem in problems if "layer 1" in problem]
    assert ["dose" in problem for problem in problems] == [True] * reported


@pytest.mark.parametrize(
    ("second", "labels", "word"),
    [
        ([5.0, 9.0], [0] * 20 + [1] * 20, None),  # each neuron wins the images of its class
        ([9.0, 9.5], [0] * 20 + [1] * 20, "neuron 1 wins 100%"),
        ([9.0, 9.5], [0] * 6 + [1] * 34, "neurons 0 win none"),
        ([9.0, 9.5], [0] * 4 + [1] * 36, None),
    ],
)
def test_a_class_neuron_that_wins_nearly_all_images_is_reported(second, labels, word):
    """Neuron 0 has a large weight of pixel 0, neuron 1 one of pixel 1, and in a collapsed network
    of both pixels.
    """
    network = Network((np.array([[9.0, 5.0, 6.0], [*second, 6.0]]),))
    images = (
        np.array([[1.0, 0.0]] * 20 + [[0.0, 1.0]] * 20) if second[0] < 9 else np.full((40, 2), 0.5)
    )
    problems = layered_problems(network, images, labels=np.array(labels))
    assert problems == [] if word is None else word in problems[0]


COLUMNS = np.array([[1.0, 0.0]] * 20 + [[0.0, 1.0]] * 20)
PAPER = Network((np.full((2, 2), 1.0),), design=Schedule())  # X of 1 V conducts too little to fire


@pytest.mark.parametrize(
    ("network", "images", "word"),
    [
        (Network((np.array([[9.0, 5.0, 6.0], [5.0, 9.0, 6.0]]),)), COLUMNS, None),
        (summing(1.05), IMAGES, "stages of layer 1 clip"),
        (PAPER, COLUMNS, "no spike"),
    ],
)
def test_learn_and_read_warn_of_networks_that_fail(network, images, word):
    """Once, in one line. Without doses a training changes nothing."""
    rule = LayeredRule(presentations=1, hidden_dose=0.0, output_dose=0.0)
    labels = np.repeat([0, 1], len(images) // 2)
    for call in (lambda: learn(network, rule, images, labels), lambda: read(network, images)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert len(caught) == (word is not None)
        for one in caught:
            assert one.category is OperatingRangeWarning and re.search(word, str(one.message))
            assert "\n" not in str(one.message)


# what each advice changes in a recipe, from its settings
CURES = {
    "design.stage_swing to half": lambda recipe, network, _: recipe.changed(
        {"design.stage_swing": network.design.stage_swing / 2}
    ),
    "to a tenth": lambda recipe, _, rule: recipe.changed(
        {
            "rule.hidden_dose": rule.hidden_dose / 10,
            "rule.output_dose": rule.output_dose / 10,
        }
    ),
    "write late": lambda recipe, *_: recipe.replace(write="late"),
    "five times as long": lambda recipe, _, rule: recipe.changed(
        {"rule.presentations": 5 * rule.presentations}
    ),
}


@pytest.mark.parametrize(
    ("recipe", "field", "factor", "word", "advised"),
    [
        (Recipe(()), "dose", 20, "diverge", ["a tenth"]),
        (Recipe(()), "design.stage_swing", 4, "clip", ["stage_swing to half"]),
        (Recipe(50, "ideal"), "dose", 20, "fires for", ["write late", "a tenth"]),
        (Recipe((), "ag-si"), "rule.presentations", 0.5, "win none", ["write late"]),
        (Recipe((), "li-1t1r"), "dose", 0.05, "win", ["five times"]),
    ],
)
@pytest.mark.filterwarnings("ignore::memristive.scores.checks.OperatingRangeWarning")
def test_each_cure_that_a_warning_names_removes_it(recipe, field, factor, word, advised):
    features, labels = load_iris(return_X_y=True)
    levels = FeatureEncoding.of(features, True).levels(features)

    def found(recipe):
        network, rule = built(recipe, levels, labels)
        trained = learn(network, rule, levels, labels).network
        return network, rule, layered_problems(trained, levels, labels=labels)

    network, rule = built(recipe, levels, labels)
    given = {"rule": rule, "design": network.design}
    fields = ["rule.hidden_dose", "rule.output_dose"] if field == "dose" else [field]
    changes = {name: getattr(given[(of := name.split("."))[0]], of[1]) * factor for name in fields}
    ill = recipe.changed({"rule.presentations": 3000} | changes)
    *settings, (problem,) = found(ill)
    assert word in problem
    named = [cure for text, cure in CURES.items() if text in problem]
    assert len(named) == len(advised) and all(part in problem for part in advised)
    for cure in named:
        assert found(cure(ill, *settings))[-1] == []


# The paper's layer

GENERATOR = np.random.default_rng(4)
# large for 1 kohm
PATTERNS = np.array([GENERATOR.permutation(np.arange(64) < count) for count in (32, 24, 20)], float)
UNEVEN = np.array([[1.0] * 24 + [0.0] * 8, [0.0] * 26 + [1.0] * 6, [0.0] * 20 + [1.0] * 12])
FIT = fit_feedback_resistor(Setup(), PATTERNS)


def with_neuron(setup=FIT, **changes):
    return setup.replace(neuron=dataclasses.replace(setup.neuron, **changes))


def hebbian(setup, patterns):
    """Return the states that a training leaves, by the formula."""
    return trained_state(
        setup.memristor, setup.schedule.input_voltage * patterns, setup.schedule.pulse
    )


def problems(setup, patterns=PATTERNS, **kind):
    return range_problems(setup, hebbian(setup, patterns), patterns, **kind)


@pytest.mark.parametrize("dataset", [xpue, digits_012345, mnist])
def test_the_papers_networks_have_no_problem(dataset):
    setup, patterns = dataset().setup, dataset().patterns
    assert (
        problems(setup, patterns, by_class=True, consecutive=True, write=setup.schedule.pulse) == []
    )


@pytest.mark.parametrize(
    ("ohms", "patterns", "by_class", "word"),
    [
        (1e3, PATTERNS, True, "clip"),
        (100.0, PATTERNS, True, "no spike on 3"),
        (250.0, UNEVEN, True, "no spike on 2 of 3"),
        (250.0, UNEVEN, False, ""),
        (250.0, PATTERNS, True, ""),
    ],
)
@pytest.mark.parametrize("chip", [None, Chip(3, 64, cell_gain=0.05, neuron_threshold=0.02)])
def test_the_advised_resistor_cures(ohms, patterns, by_class, word, chip):
    chip = chip and dataclasses.replace(chip, inputs=patterns.shape[1])
    setup = on_chip(with_neuron(Setup(), feedback_resistance=ohms), chip)
    found = problems(setup, patterns, by_class=by_class)
    assert bool(found) == bool(word) and all(word in problem for problem in found)
    if found:
        (better,) = re.search(r"neuron.feedback_resistance to ([\d.e+]+) ohm", found[0]).groups()
        cured = on_chip(with_neuron(Setup(), feedback_resistance=float(better)), chip)
        assert problems(cured, patterns, by_class=by_class) == []


@pytest.mark.parametrize(
    ("setup", "patterns"),
    [
        (Setup(schedule=Schedule(input_voltage=100.0)), PATTERNS),  # would take less than an ohm
        (with_neuron(rail_low=-3.0), PATTERNS),  # the rail is below the threshold
        # currents differ by a factor of 60
        (Setup(), np.array([[1.0] * 60 + [0.0], [0.0] * 60 + [1.0]])),
    ],
)
def test_if_no_resistor_helps_no_value_is_advised(setup, patterns):
    assert "no feedback resistor alone" in problems(setup, patterns, by_class=True)[0]
    with pytest.raises(ParameterError, match="no feedback resistor fits"):
        fit_feedback_resistor(setup, patterns)


# 1.76 thresholds to a thousandth: 7.47
@pytest.mark.parametrize(("pause", "left"), [(1.0, True), (7.4, True), (7.5, False)])
def test_membranes_that_have_not_settled_move_the_next_spikes(ngspice, pause, left):
    tau = FIT.neuron.time_constant
    quick = FIT.replace(schedule=Schedule(period=5e-3 + 1e-5 + pause * tau))
    assert any("not settled" in problem for problem in problems(quick, consecutive=True)) is left
    assert problems(quick, by_class=True) == []  # images that are read apart
    if pause == 1.0:
        states = hebbian(quick, PATTERNS)
        with pytest.warns(OperatingRangeWarning, match="not settled"):
            early = infer(quick, states, PATTERNS).spikes
        assert np.nanmax(np.abs(early - infer(FIT, states, PATTERNS).spikes)) > 5e-6


def test_rounding_of_long_writes_is_named_and_cured_by_a_larger_switch():
    assert "switch_on" in problems(FIT, write=5.0)[0] and problems(FIT, write=5e-3) == []
    assert problems(FIT.replace(memristor=MemristorParameters(switch_on=1e3)), write=5.0) == []


# The resistor for own patterns


@pytest.mark.parametrize(("pixels", "kept"), [((9, 9), 0), ((16, 6), 1), ((13, 3), 2)])
def test_fitted_membranes_lie_between_threshold_and_rail(pixels, kept):
    """The largest at 1.7 thresholds, higher if the smallest needs it, but below 0.9 of the rail."""
    patterns = np.eye(2).repeat(pixels, axis=1)
    setup = Setup(neuron=NeuronParameters(threshold=4.0), schedule=Schedule(input_voltage=2.0))
    setup = fit_feedback_resistor(setup, patterns)
    # 2 V x 5 nA/V x 5 ms / 3.5531 pF
    settled = np.diag(checks.settled_membranes(setup, 14.0720 * patterns, patterns))
    highest = settled.max() / (0.9 * checks.rail(setup.neuron))
    shares = [settled.max() / 6.8, settled.min() / 4.4, highest]
    assert shares[kept] == pytest.approx(1, rel=1e-4)
    assert settled.min() > 4.0 and highest < 1.0001
    with pytest.raises(ParameterError, match="pattern 1"):
        fit_feedback_resistor(Setup(), [[1, 0], [0, 0]])
