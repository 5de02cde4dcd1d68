"""Learning that goes on, batch by batch, as data come."""

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_iris

from memristive.classifier.estimator import MemristiveClassifier
from memristive.multilayer.layer_chips import layer_chips
from memristive.variability.chip import Chip


@pytest.mark.parametrize("names", [(0, 1, 2), (30, 10, 20), ("setosa", "versicolor", "virginica"), ("c", "a", "b")])
def test_a_batch_that_lacks_classes_teaches_those_that_it_has(names):
    """Whatever they are called: what is learned of samples of one class alone is that class."""
    features, labels = load_iris(return_X_y=True)
    labels = np.array(names)[labels]
    model = MemristiveClassifier(20, random_state=1).partial_fit(features, labels, classes=np.unique(labels))
    for name in names:
        batch = features[labels == name]
        for _ in range(10):
            model.partial_fit(batch, [name] * len(batch))
        assert (model.predict(batch) == name).mean() > 0.95


@pytest.mark.parametrize("use", ["predict", "spike_times", "export_netlist"])
def test_a_chip_set_after_the_training_is_not_ignored(use, tmp_path):
    """The score would be the ideal chip's; what the message says carries the voltages over."""
    features, labels = load_iris(return_X_y=True)
    chip = Chip(cell_gain=0.5, neuron_threshold=0.5, seed=3)
    model = MemristiveClassifier(20, random_state=1).fit(features, labels).set_params(chip=chip)
    with pytest.raises(ValueError, match=r"^chip was set after the training"):
        getattr(model, use)(*{"export_netlist": (tmp_path / "x.cir", features[0])}.get(use, (features,)))
    assert not list(tmp_path.iterdir())
    carried = dataclasses.replace(model.network_, chip=layer_chips(chip, model.network_.sizes))
    ideal = model.set_params(chip=None).spike_times(features)
    assert not np.array_equal(carried.first_spikes(model.encoding_.levels(features)), ideal)


def test_learning_goes_on_by_the_margin_that_fit_chose():
    """Of few samples `fit` learns by a wide one, where batches alone take that of many."""
    features, labels = np.random.default_rng(1).random((100, 2)), np.arange(100) % 2
    usual, given, other = (MemristiveClassifier(3, epochs=1, random_state=1, margin=margin).fit(features, labels).partial_fit(
        features, labels).voltages_[1] for margin in (None, 12e-6, 4e-6))
    assert np.array_equal(usual, given) and not np.array_equal(usual, other)


def test_a_margin_taken_back_between_two_calls_is_the_usual_one_again():
    features, labels = load_iris(return_X_y=True)
    model = MemristiveClassifier(3, margin=1e-6, random_state=1).partial_fit(features, labels, classes=[0, 1, 2])
    assert model._rule.margin == 1e-6
    assert model.set_params(margin=None).partial_fit(features, labels)._rule.margin == pytest.approx(4e-6)


def test_classes_may_be_named_in_any_order():
    """A label's place among them is sought as in a sorted list: in theirs it would be another class, or none."""
    features, labels = load_iris(return_X_y=True)
    names = np.array(["c", "a", "b"])
    model = MemristiveClassifier(20, random_state=1).partial_fit(features, names[labels], classes=["c", "a", "b", "a"])
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert (model.partial_fit(features, names[labels], classes=names).predict(features) == names[labels]).mean() > 0.6
