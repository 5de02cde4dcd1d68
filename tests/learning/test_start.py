"""Building networks for images, and all that is done with them: learn, read, save, load."""

import dataclasses

import numpy as np
import pytest

from memristive import build, learn, read
from memristive.datasets import matching_dataset
from memristive.learning.training import Learning, train
from memristive.network.design import ENGINES
from memristive.network.recipe import Conv, Recipe
from memristive.parameters import ParameterError
from memristive.scores.decisions import score_row
from memristive.writing.pulses import no_counts
from tests.helpers import one_line

RNG = np.random.default_rng(1)
IMAGES = RNG.random((40, 100))


def test_synapses_that_write_late_learn_more_with_fewer_pulses():
    """PCMO's curves bend most, and rounding at random wastes most of its pulses."""
    dataset = matching_dataset("digits")
    for seed in (1, 2):
        accuracies, pulses = [], []
        for late in (False, True):
            network, rule = build(
                dataset.training.levels,
                10,
                device="pcmo",
                late=late,
                presentations=60_000,
                seed=seed,
            )
            counts, learning = no_counts(network), Learning.start(network, rule)
            for _ in train(learning, rule, *dataset.training, counts=counts):
                pass
            spikes = learning.network.first_spikes(dataset.test.levels)
            accuracies.append(score_row(dataset.test.labels, spikes)["strict_accuracy"])
            pulses.append(counts.pulses[0].mean())
        assert accuracies[1] > accuracies[0] + 0.02 and pulses[1] < pulses[0]


def test_wrong_kinds_are_refused_with_what_was_meant():
    network, rule = build(IMAGES, 2, presentations=1)
    trained = learn(network, rule, IMAGES, np.arange(40) % 2)
    for use, words in (
        (lambda: read(trained, IMAGES), "network.* give its network"),
        (lambda: learn(network, IMAGES, IMAGES, np.zeros(40)), "rule"),
    ):
        with pytest.raises(ParameterError, match=words):
            use()
    assert "100-2" in one_line(repr(trained))
    with pytest.raises(ParameterError, match=r"hiden .*hidden"):
        build(IMAGES, 2, hiden=(5,))


@pytest.mark.parametrize(("shape", "many", "few"), [(None, 100_000, 25_000), ({}, 40_000, 2500)])
def test_doses_of_late_writes_grow_with_the_presentations_that_are_missing(shape, many, few):
    """Double the dose by the root of one layer, by the fourth root of a convolution."""
    hidden = () if shape is None else 2
    long, short = (
        build(IMAGES, 2, hidden, "epiram", late=True, convolution=shape, presentations=shown)[1]
        for shown in (many, few)
    )
    assert short.hidden_dose == pytest.approx(2 * long.hidden_dose)
    assert short.output_dose == pytest.approx(2 * long.output_dose)


FEW = RNG.random((5, 2))  # images of two pixels


@pytest.mark.parametrize(
    "made",
    [
        lambda: build(FEW, 2, device="taox-tio2", late=True)[0],
        lambda: build(FEW, 2, hidden=2, device="pcmo", late=True)[0],
        lambda: build(FEW, 2, hidden=6, device="epiram", pairs=0)[0],
        lambda: build(FEW, 2, hidden=4, device="ideal", pairs=2)[0],
        lambda: build(Recipe([Conv(1, window=2, regions=1)], "epiram"), IMAGES, 2)[0],
    ],
)
def test_the_bias_fires_the_neurons_of_few_rows_in_both_engines(ngspice, made):
    """Cells at the weight 0 leave the bias b alone, so spikes come after tau ln(b / (b - 1))."""
    network = made()
    at_rest = dataclasses.replace(
        network,
        states=tuple(np.full_like(of, network.design.reference_state) for of in network.states),
        pulses=dataclasses.replace(network.pulses, read_noise=0.0),
    )
    bias, tau = network.design.output_bias, network.parameters.neuron.time_constant
    expected = at_rest.start_time + tau * np.log(bias / (bias - 1))
    for engine in ENGINES:
        spikes = read(at_rest, np.ones((1, network.sizes[0])), engine)
        assert spikes == pytest.approx(np.full((1, 2), expected), abs=0.1e-6)


@pytest.mark.parametrize(
    ("device", "hidden", "late"),
    [("epiram", 2, True), ("ideal", 4, False)],
)
def test_networks_of_few_hidden_neurons_fire_and_learn(device, hidden, late):
    dataset = matching_dataset("digits")
    (images, labels), (test, truth) = (
        (part.levels[np.isin(part.labels, (3, 8))], part.labels[np.isin(part.labels, (3, 8))] // 8)
        for part in (dataset.training, dataset.test)
    )
    for seed in range(1, 6):
        network, rule = build(
            images, 2, hidden=hidden, device=device, late=late, presentations=2000, seed=seed
        )
        spikes = learn(network, rule, images, labels).network.first_spikes(test)
        assert np.isfinite(spikes).any(axis=1).mean() >= 0.99
        assert score_row(truth, spikes)["strict_accuracy"] > 0.85
