"""What a MemristiveClassifier takes where no dose is given: for features, classes, and hidden neurons."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from memristive.classifier import estimator as classifier
from memristive.classifier.defaults import started
from memristive.classifier.estimator import MemristiveClassifier
from memristive.multilayer.layer_rule import LayeredRule


@pytest.mark.parametrize(("features", "classes", "given", "expected"), [
    (4, 2, None, 0.1), (12, 5, None, 0.1), (30, 2, None, 0.08), (64, 10, None, 0.0375), (64, 20, None, 0.01875),
    (12, 40, None, 0.0125), (12, 10, None, 0.05), (4, 40, 0.05, 0.05), (4, 2, 0.2, 0.2), (3, 2, None, 0.1), (1, 20, None, 0.025)])
def test_dose_falls_with_the_numbers_of_features_and_classes(monkeypatch, features, classes, given, expected):
    rules, rng = [], np.random.default_rng(1)
    monkeypatch.setattr(classifier, "train", lambda learning, rule, *data: rules.append(rule) or iter([]))
    MemristiveClassifier(50, dose=given, random_state=1).fit(rng.random((80, features)), np.arange(80) % classes)
    assert (rules[0].output_dose, rules[0].hidden_dose) == pytest.approx((expected, 2 * expected))
    MemristiveClassifier((3, 3), dose=given, random_state=1).fit(rng.random((80, features)), np.arange(80) % classes)
    deep = expected if given else min(expected, 0.03)
    assert (rules[1].output_dose, rules[1].hidden_dose) == pytest.approx((deep, 2 * deep))
    assert [rule.error_scale for rule in rules] == pytest.approx([LayeredRule.error_scale, max(130 * deep, 10)])


@pytest.mark.parametrize(("hidden", "classes", "given", "share"), [
    (3, 3, None, 0.2), (10, 3, None, 2 / 3), (15, 3, None, 1.0), (10, 10, None, 0.2), (49, 10, None, 0.98), (50, 10, None, 1.0),
    (50, 20, None, 1.0), (25, 20, None, 0.5), (10, 2, None, 1.0), (3, 3, 0.05, 1.0), ((), 10, None, 1.0),
    ((3, 3), 10, None, 1.0)])
def test_few_hidden_neurons_are_given_less_of_their_dose_by_fit(monkeypatch, hidden, classes, given, share):
    """Not if a dose is given, nor online, where a fifth is given anyway."""
    rules, rng = [], np.random.default_rng(1)
    data = rng.random((100, 4)), np.arange(100) % classes
    monkeypatch.setattr(classifier, "train", lambda learning, rule, *data: rules.append(rule) or iter([]))
    MemristiveClassifier(hidden, dose=given, random_state=1).fit(*data)
    assert rules[0].hidden_dose == pytest.approx(share * 2 * rules[0].output_dose)
    MemristiveClassifier(hidden, dose=given, random_state=1).partial_fit(*data, classes=np.arange(classes))
    assert rules[1].hidden_dose == 2 * rules[1].output_dose == pytest.approx(0.2 * 2 * rules[0].output_dose)


def test_of_several_hidden_layers_each_starts_driven_alike(monkeypatch):
    """2.0 thresholds, spread by 1.5: 0.65 a volt for each cell whose row is driven. Driven by more, all of a layer fired."""
    monkeypatch.setattr(classifier, "train", lambda *given: iter([]))
    features = np.random.default_rng(1).random((60, 8))
    model = MemristiveClassifier((120, 300, 300), dose=0.03, random_state=1).fit(features, np.arange(60) % 2)
    below = model.encoding_.levels(features)
    for states, spikes in zip(model.voltages_[:-1], model.network_.forward(below)[:-1], strict=True):
        rows = np.hstack([below, np.ones((60, 1))])
        drives = 0.65 * (states - 5.0) @ rows.T / (rows.sum(axis=1) / rows.sum(axis=1).mean())
        assert drives.mean() == pytest.approx(2.0, abs=0.3)
        assert drives.std() == pytest.approx(1.5, abs=0.3)
        below = ~np.isnan(spikes)


def test_every_layers_start_is_drawn_anew_for_each_random_state(monkeypatch):
    """Those behind the first have a start of their own, which is no part of what `begin` draws."""
    monkeypatch.setattr(classifier, "train", lambda *given: iter([]))
    data = np.random.default_rng(1).random((60, 8)), np.arange(60) % 2
    one, other, again = (MemristiveClassifier((12, 10, 10), dose=0.03, random_state=seed).fit(*data).voltages_
                         for seed in (1, 2, 1))
    for ours, theirs, same in zip(one, other, again, strict=True):
        assert abs(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]) < 0.5 and np.array_equal(ours, same)


@pytest.mark.parametrize(("rows", "level", "spread"), [(624, 1.0, 5.0), (96, 0.5, 1.0), (2499, 1.0, 10.0), (3999, 1.0, 10.0)])
def test_hidden_drives_spread_with_the_rows_that_are_driven_up_to_ten_thresholds(rows, level, spread):
    """A fifth of the root of the sum of their levels' squares, the bias row's, 1, among them."""
    assert started(LayeredRule(), np.full((5, rows), level), (50,)).start_drive_spread == pytest.approx(spread)


@pytest.mark.parametrize("seed", [0, 1])
def test_few_hidden_neurons_do_not_run_away_from_many_samples(seed):
    """With all of the dose these two learned 65 % of the ten digits, at 149 and 88 V."""
    features, labels = load_digits(return_X_y=True)
    model = MemristiveClassifier(10, random_state=seed).fit(features, labels)
    assert model.score(features, labels) > 0.97
    assert max(np.abs(states).max() for states in model.voltages_) < 20
