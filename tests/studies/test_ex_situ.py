"""Weights from software as states."""

import numpy as np
import pytest

from memristive.datasets import digits, load_dataset
from memristive.io.records import load_results
from memristive.io.voltages import load_voltages
from studies import ex_situ
from tests.helpers import outputs


def test_states_decide_as_the_software_does(tmp_path):
    """No intercepts, and a common shift of all classes: the largest sum of states is the software's
    decision.
    """
    path = tmp_path / "v.json"
    ex_situ.main(["--data", "digits", "--voltages", str(path), *outputs(tmp_path)])
    voltages = load_voltages(path, "digits", 10, 64)
    test, record = digits().test, load_results(tmp_path / "digits_ex_situ_training.json")
    decided = (test.levels @ voltages.states.T).argmax(axis=1)
    assert record["software_accuracy"] == np.mean(decided == test.labels) > 0.9
    away = voltages.states - load_dataset("digits").rule.start_state
    assert np.abs(away).max() == pytest.approx(1.5)
    assert away.sum(axis=0) == pytest.approx(np.zeros(64), abs=1e-9)
