"""A classifier fitted again: what is counted, what is drawn anew, and truth values, which are no numbers."""

import dataclasses

import numpy as np
import pytest

from memristive.classifier.estimator import MemristiveClassifier

DATA = np.random.default_rng(1).random((20, 2)), np.arange(20) % 2


def test_presentations_are_those_of_the_network_there_is():
    model = MemristiveClassifier(3, epochs=2, random_state=1).fit(*DATA)
    assert model.n_presentations_ == 40
    assert model.partial_fit(*DATA).n_presentations_ == 60
    assert model.fit(*DATA).n_presentations_ == 40


@pytest.mark.filterwarnings("ignore::memristive.multilayer.clipping.StagesClip")  # three neurons may all be silent
def test_without_a_random_state_every_start_is_another():
    one, other = (MemristiveClassifier(3, epochs=1, dose=1e-9).fit(*DATA).voltages_[0] for _ in range(2))
    assert np.abs(one - other).max() > 0.1


def test_of_two_classes_the_first_is_predicted_where_no_neuron_fires():
    model = MemristiveClassifier(3, epochs=1, random_state=1).fit(*DATA)
    silent = tuple(np.full_like(states, 5.0) for states in model.voltages_)  # as the reference column's
    model.network_ = dataclasses.replace(model.network_, states=silent)
    assert not model.decision_function(DATA[0]).any() and not model.predict(DATA[0]).any()


@pytest.mark.parametrize("name", ["epochs", "dose"])
def test_truth_values_are_no_numbers(name):
    with pytest.raises(ValueError, match=f"^{name} must be None or .* got True$"):
        MemristiveClassifier(3, **{name: True}).fit(*DATA)
