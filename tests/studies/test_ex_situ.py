"""Weights from software as states: how far from the centre they reach, whichever sign the largest has."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from datasets import encode
from memristive.cli.experiments import Experiment, mnist_experiment
from memristive.io.voltages import as_trained
from studies import ex_situ


class Learned:
    """A logistic regression that knows what it will have learned."""

    def __init__(self, coefficients):
        self.coef_, self.n_iter_ = coefficients, np.array([17])

    def fit(self, images, labels):
        return self

    def predict(self, images):
        return np.zeros(len(images), int)


@pytest.mark.parametrize(("swing", "off"), [("2.9", 0), ("3.1", 1), ("20", 2)])
def test_weights_whose_cells_do_not_conduct_are_spoken_of(swing, off, tmp_path, monkeypatch, capsys):
    """Around 3 V: the largest weight goes a swing down, another a fifth of that."""
    coefficients = np.zeros((10, 16))
    coefficients[:, 5], coefficients[:, 6] = [-9, *[1] * 9], [-1.8, *[0.2] * 9]
    monkeypatch.setattr(ex_situ, "LogisticRegression", lambda **_: Learned(coefficients))
    ex_situ.main(["--size", "4", "--swing", swing, "--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)])
    said = f"warning: {off} of 160 states are at or below the channels' threshold, where no cell conducts: those weights are " \
           "lost; a smaller --swing keeps them\n"
    assert capsys.readouterr().err == said * bool(off)


@pytest.mark.parametrize(("iterations", "ended"), [("17", False), ("18", True)])
def test_a_regression_that_has_not_ended_is_one_line(iterations, ended, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ex_situ, "LogisticRegression", lambda **_: Learned(np.eye(10, 16)))
    ex_situ.main(["--size", "4", "--iterations", iterations, "--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)])
    said = "warning: the logistic regression has not converged in 17 iterations (a higher --iterations)\n"
    assert capsys.readouterr().err == said * (not ended)


@pytest.mark.parametrize("sign", [1, -1])
def test_largest_weight_lies_the_swing_from_the_centre_whatever_its_sign(sign, tmp_path, monkeypatch):
    """One cell inhibits, or excites, twice as much as any other."""
    coefficients = np.random.default_rng(1).uniform(-1, 1, (10, 16))
    coefficients[3, 5] = sign * 3.0
    monkeypatch.setattr(ex_situ, "LogisticRegression", lambda **_: Learned(coefficients))
    path = tmp_path / "v.json"
    ex_situ.main(["--size", "4", "--swing", "0.7", "--voltages", str(path), "--figures", str(tmp_path)])
    content = json.loads(path.read_text())
    assert "states" in content and as_trained(content)
    away = np.array(content["voltages"]) - mnist_experiment(4).rule.start_state
    assert away[3, 5] == pytest.approx(sign * 0.7) and np.abs(away).max() == pytest.approx(0.7)
    assert away.sum(axis=0) == pytest.approx(np.zeros(16), abs=1e-9)  # every class is shifted alike


def test_weights_alone_decide_as_the_software_does(tmp_path, monkeypatch, mnist):
    """Nothing of the software is lost on the way: the largest sum of states decides as it did. The network has no intercepts."""
    images, labels = encode(mnist["x_train"][:400], 4, "grey"), mnist["y_train"][:400].astype(int)
    fits = {("grey", (10, 16)): (images, labels)}
    monkeypatch.setattr(Experiment, "training_images",
                        lambda experiment: fits[experiment.encoding, experiment.dataset.patterns.shape])
    asked, test = [], {name: mnist[name][:500] for name in ("x_test", "y_test")}
    monkeypatch.setattr(ex_situ, "load_mnist", lambda *_: test)
    monkeypatch.setattr(ex_situ, "LogisticRegression", lambda **given: asked.append(given) or LogisticRegression(**given))
    path = tmp_path / "v.json"
    ex_situ.main(["--size", "4", "--encoding", "grey", "--iterations", "30", "--voltages", str(path), "--figures", str(tmp_path)])
    content = json.loads(path.read_text())
    decided = (encode(test["x_test"], 4, "grey") @ np.array(content["voltages"]).T).argmax(axis=1)
    found, = tmp_path.glob("*_training_results.json")
    results = json.loads(found.read_text())
    assert results["samples"] == 500 and results["software_accuracy"] == np.mean(decided == test["y_test"]) > 0.4
    low, high = results["software_interval_95"]
    assert low < results["software_accuracy"] < high < low + 0.1
    assert content["encoding"] == "grey" and content["mapping"]["iterations"] == asked[0]["max_iter"] == 30
