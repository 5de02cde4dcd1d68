"""Rules of gradients: the local one is that of the package, the exact one follows differences of
the closed form.
"""

import dataclasses
import math

import numpy as np
import pytest

from memristive.datasets import Images, matching_dataset
from memristive.io.records import load_results
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.network.networks import Network
from studies.gradient_rules import (
    RULES,
    Case,
    main,
    narrow_start,
    start_in_parts,
    train_with,
    usual_start,
)
from tests.helpers import outputs
from tests.network.networks import random_network, with_gain

ONCE = LayeredRule(presentations=1, margin=100e-6)


def changes(rule, network, image, label):
    """Change of each layer's states by one presentation."""
    training = Images(image[None], np.array([label]))
    written, counts = train_with(RULES[rule], network, ONCE, training)
    assert counts.tolist() == [1, 0]
    return [after - before for after, before in zip(written.states, network.states, strict=True)]


def differences(network, image, label, wrong):
    """Derivatives of the lag by all states, from central differences of the closed form."""

    def lag(layer, cell, change):
        states = [array.copy() for array in network.states]
        states[layer].flat[cell] += change
        times = dataclasses.replace(network, states=tuple(states)).first_spikes(image[None])[0]
        return times[label] - times[wrong]

    return [
        np.array(
            [(lag(k, cell, 1e-5) - lag(k, cell, -1e-5)) / 2e-5 for cell in range(states.size)]
        ).reshape(states.shape)
        for k, states in enumerate(network.states)
    ]


@pytest.fixture(scope="module", params=[(6, 5, 3), (5, 6, 5, 3)], ids=str)
def example(request):
    """A network whose neurons all fire, an image, its label and the neuron that fires first."""
    image = np.linspace(0.2, 1.0, request.param[0])
    for seed in range(100):
        network = with_gain(random_network(request.param, seed), 1e8)
        if not any(np.isnan(times).any() for times in network.forward(image[None])[1:]):
            wrong, label = np.argsort(network.first_spikes(image[None])[0])[:2]
            return network, image, int(label), int(wrong)
    raise AssertionError("no network fires")


def test_the_exact_rule_writes_along_central_differences(example):
    network, *rest = example
    gradient = differences(network, *rest)
    exact, local = (changes(rule, network, *rest[:2]) for rule in ("exact", "local"))
    for k, down in enumerate(gradient):
        assert np.linalg.norm(exact[k]) == pytest.approx(np.linalg.norm(local[k]), rel=1e-3)
        scaled = -down * np.linalg.norm(exact[k]) / np.linalg.norm(down)
        assert exact[k] == pytest.approx(scaled, rel=1e-2, abs=2e-3 * np.abs(scaled).max())


def test_exact_signs_turn_the_local_write(example):
    network, *rest = example
    local, turned = (changes(rule, network, *rest[:2]) for rule in ("local", "exact signs"))
    for k, gradient in enumerate(differences(network, *rest)):
        down, able = -gradient.sum(axis=1), (gradient != 0).any(axis=1)
        assert np.abs(turned[k]) == pytest.approx(np.abs(local[k]), rel=0.03)
        assert (np.sign(turned[k].sum(axis=1)) == np.sign(down))[able & local[k].any(axis=1)].all()


def test_the_local_rule_is_that_of_the_package():
    training = matching_dataset("digits").training
    rule = LayeredRule(presentations=1000, error_scale=10.0, seed=5)
    network = usual_start(rule, training.levels, (12, 12))
    written = learn(network, rule, *training).network
    found, counts = train_with(RULES["local"], network, rule, training)
    assert counts[0] > 300
    for one, other in zip(found.states, written.states, strict=True):
        assert np.array_equal(one, other)


def test_two_factors_scale_the_local_write_if_both_outputs_fire_together():
    """Two hidden neurons alike, whose weights both outputs have in turn: A is equal in both."""
    network = Network((np.full((2, 7), 6.0), np.array([[7.0, 6.0, 7.2], [6.0, 7.0, 7.2]])))
    image, neuron = np.linspace(0.2, 1.0, 6), network.parameters.neuron
    spike = network.first_spikes(image[None])[0, 0]
    factor, end = (
        -math.expm1(-time / neuron.time_constant) for time in (spike, network.design.window)
    )
    local, scaled = (changes(rule, network, image, 0) for rule in ("local", "two factors"))
    for one, other in zip(local, scaled, strict=True):
        assert np.abs(one).max() > 1e-3
        assert other == pytest.approx(one * factor / end, rel=0.02, abs=1e-6)


def test_without_a_lag_all_rules_write_alike():
    """The label's neuron is silent, as all its weights are negative."""
    network = Network((np.full((2, 7), 6.0), np.array([[4.0, 4.0, 4.0], [7.0, 7.0, 7.2]])))
    training = Images(np.linspace(0.2, 1.0, 6)[None], np.array([0]))
    local, exact = (train_with(RULES[rule], network, ONCE, training) for rule in ("local", "exact"))
    assert local[1].tolist() == exact[1].tolist() == [1, 1]
    for one, other in zip(local[0].states, exact[0].states, strict=True):
        assert np.array_equal(one, other)


def test_starts_differ_in_the_layers_that_fire():
    """Few neurons of deep layers fire at the usual start. In equal parts most fire, one layer after
    the other. The narrow start changes the spikes above the last hidden layer only.
    """
    levels, hidden = matching_dataset("digits").training.levels[:200], (40,) * 4
    starts = [start(ONCE, levels, hidden) for start in (usual_start, narrow_start, start_in_parts)]
    usual, narrow, parts = (network.forward(levels) for network in starts)
    shares = [[np.mean(~np.isnan(of)) for of in one] for one in (usual, parts)]
    assert min(shares[0]) < 0.2 and min(shares[1]) > 0.5
    assert (np.diff([np.nanmedian(of) for of in parts]) > 7e-6).all()
    assert all(np.array_equal(*of, equal_nan=True) for of in zip(usual[:3], narrow, strict=False))
    assert np.mean(~np.isnan(narrow[3])) < np.mean(~np.isnan(usual[3]))
    third, fourth = (states.std() for states in starts[0].states[2:4])
    assert fourth > 2 * third


def test_the_dose_is_chosen_on_images_that_are_not_tested(tmp_path):
    sizes = ["--most", "1", "--neurons", "10", "--presentations", "300", "--seeds", "2"]
    main([*sizes, "--jobs", "1", *outputs(tmp_path)])
    record = load_results(tmp_path / "gradient_rules.json")
    rows = [row for row in record["rows"] if (row["rule"], row["start"]) == ("local", "usual")]
    case = Case((10,), "usual", "local", 2, 300)
    chosen = matching_dataset("digits").test
    tried = {of: case.accuracy(case.network(101, of)[1], chosen) for of in (0.5, 1.0, 2.0)}
    assert {row["dose_factor"] for row in rows} == {max(tried, key=tried.get)}
    assert len({row["strict_accuracy"] for row in rows}) == 2
    better = next(
        row["better_by"]
        for row in record["comparisons"]
        if row["rule"] == "exact" and row["start"] == row["than_start"] == "usual"
    )
    exact = [
        row["strict_accuracy"]
        for row in record["rows"]
        if (row["rule"], row["start"]) == ("exact", "usual")
    ]
    assert better == pytest.approx(np.mean(exact) - np.mean([r["strict_accuracy"] for r in rows]))
