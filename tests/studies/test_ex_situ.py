"""Weights from software as states."""

import numpy as np
import pytest

from memristive.datasets import digits, load_dataset
from memristive.io.records import load_results
from memristive.io.voltages import load_voltages
from studies import ex_situ


def map_weights(folder, *settings):
    ex_situ.main(
        [
            "--data",
            "digits",
            "--voltages",
            str(folder / "v.json"),
            "--results",
            str(folder),
            "--set",
            *settings,
        ]
    )
    return load_voltages(folder / "v.json", "digits", 10, 64)


def test_states_decide_as_the_software_does(tmp_path):
    """No intercepts, and a common shift of all classes: the largest sum of states is the software's
    decision.
    """
    voltages = map_weights(tmp_path, "mapping.swing=0.7")
    test, record = digits().test, load_results(tmp_path / "digits_ex_situ_training.json")
    decided = (test.levels @ voltages.states.T).argmax(axis=1)
    assert record["software_accuracy"] == np.mean(decided == test.labels) > 0.9
    assert voltages.rule == "ex-situ" and voltages.origin["mapping"]["swing"] == 0.7
    away = voltages.states - load_dataset("digits").rule.start_state
    assert np.abs(away).max() == pytest.approx(0.7)
    assert away.sum(axis=0) == pytest.approx(np.zeros(64), abs=1e-9)


def test_lost_weights_and_missing_convergence_are_warned_of(tmp_path):
    with pytest.warns(UserWarning) as caught:
        map_weights(tmp_path, "mapping.swing=20", "mapping.iterations=5")
    assert {"mapping.swing", "mapping.iterations"} <= {
        str(one.message).split()[-1].rstrip(".") for one in caught
    }
