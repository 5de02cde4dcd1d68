"""A classifier fitted again: what is counted, what is drawn anew, and truth values, which are no numbers."""

import numpy as np
import pytest

from learning.classifier import MemristiveClassifier

DATA = np.random.default_rng(1).random((20, 2)), np.arange(20) % 2


def test_presentations_are_those_of_the_network_there_is():
    model = MemristiveClassifier(3, epochs=2, random_state=1).fit(*DATA)
    assert model.n_presentations_ == 40
    assert model.partial_fit(*DATA).n_presentations_ == 60
    assert model.fit(*DATA).n_presentations_ == 40


def test_without_a_random_state_every_start_is_another():
    one, other = (MemristiveClassifier(3, epochs=1, dose=1e-9).fit(*DATA).voltages_[0] for _ in range(2))
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("name", ["epochs", "dose"])
def test_truth_values_are_no_numbers(name):
    with pytest.raises(ValueError, match=f"^{name} must be None or .* got True$"):
        MemristiveClassifier(3, **{name: True}).fit(*DATA)
