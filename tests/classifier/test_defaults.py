"""Dose, margin and initial states without given values."""

import numpy as np
import pytest
from memristive.classifier.defaults import (
    learning_rule,
    single_layer_start,
    start_in_parts,
    untrained_network,
)
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.model_selection import train_test_split

from memristive.classifier import MemristiveClassifier
from memristive.classifier.feature_encoding import FeatureEncoding
from memristive.network.networks import with_bias
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters

# settled membrane, in thresholds, for each volt of a weight in a row at 1 V; 20 kV/A
PER_VOLT = 20e3 * MemristorParameters().gain / NeuronParameters().threshold


@pytest.mark.parametrize(
    ("features", "neurons"), [(1, 3), (1, 100), (4, 30), (64, 100), (2000, 50)]
)
def test_enough_hidden_neurons_start_plastic_for_any_number_of_features(features, neurons):
    values = np.random.default_rng(1).random((200, features))
    levels, settled = FeatureEncoding.of(values).levels(values), []
    for seed in range(20):
        rule = learning_rule(0.1, 4e-6, seed, (neurons,))
        weights = (
            untrained_network(
                rule, levels, (neurons,), 2, {"parameters": NetworkParameters()}
            ).states[0]
            - 5.0
        )
        settled.append(PER_VOLT * with_bias(levels) @ weights.T)
    plastic, expected = np.mean(np.array(settled) > rule.reach), min(0.5, 12 / neurons)
    assert plastic == pytest.approx(expected, rel=0.2) if features <= 4 else plastic > 3 * expected
    start = single_layer_start(rule, levels, neurons)
    assert np.mean(settled) == pytest.approx(start.start_drive, abs=0.25 * start.start_drive_spread)


@pytest.mark.filterwarnings("ignore::memristive.scores.checks.OperatingRangeWarning")
def test_several_hidden_layers_learn():
    features, labels = load_iris(return_X_y=True)
    model = MemristiveClassifier((20, 20), random_state=1).fit(features[::2], labels[::2])
    assert model.score(features[1::2], labels[1::2]) > 0.9


def test_few_hidden_neurons_do_not_diverge_on_many_samples():
    features, labels = load_digits(return_X_y=True)
    model = MemristiveClassifier(10, random_state=1).fit(features, labels)
    assert model.score(features, labels) > 0.97
    assert max(np.abs(states).max() for states in model.voltages_) < 20


@pytest.mark.parametrize("device", ["alox-hfo2", "taox-hfox"])
def test_noisy_devices_learn_digits_with_the_defaults(device):
    """Train the two presets with the largest noise."""
    features, labels = load_digits(return_X_y=True)
    train, test, known, truth = train_test_split(
        features, labels, test_size=0.2, random_state=0, stratify=labels
    )
    assert (
        MemristiveClassifier(device=device, pairs=2, random_state=0)
        .fit(train, known)
        .score(test, truth)
        > 0.88
    )


def test_four_hidden_layers_learn_because_they_fire_one_after_the_other():
    (features, labels), scores = load_wine(return_X_y=True), []
    for seed in (1, 2, 4):
        model = MemristiveClassifier((15,) * 4, pairs=1, epochs=20, random_state=seed)
        model.fit(features[::2], labels[::2])
        scores.append(model.score(features[1::2], labels[1::2]))
    assert np.mean(scores) > 0.75
    levels = model.encoding_.levels(features)
    network = start_in_parts(model.network_, levels, 1)
    medians = [np.nanmedian(spikes) for spikes in network.forward(levels)]
    assert np.all(np.diff(medians) > 0.05 * network.design.window)
