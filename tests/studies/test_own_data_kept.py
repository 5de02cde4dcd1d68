"""What a study of one's own table leaves and says: a classifier of all of it, which nobody's later work is lost to; ties."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from memristive.classifier.estimator import MemristiveClassifier
from memristive.cli.tables import Table, load_table
from memristive.io.claims import NotOverwritten
from memristive.single_layer.spike_decoding import TIED
from studies import own_data
from tests.helpers import flowers_in


@pytest.mark.usefixtures("ngspice")
def test_a_classifier_of_the_whole_table_that_has_learned_on_is_not_overwritten_unasked(tmp_path, monkeypatch):
    monkeypatch.setattr(own_data, "ROUNDS", 20)  # the MLP is beside the point, and would take most of the time
    path, saved = flowers_in(tmp_path), tmp_path / "v.json"
    given = [str(path), "--label", "species", "--hidden", "5", "--epochs", "4", "--figures", str(tmp_path),
             "--voltages", str(saved), "--seed", "2"]
    own_data.main(given)
    own_data.main(given)  # the same again needs nothing
    flowers = load_table(str(path), "species")
    kept, whole = MemristiveClassifier.load(saved), MemristiveClassifier([5], epochs=4, random_state=2)
    whole.fit(flowers.features, flowers.labels)
    assert all(np.array_equal(*states) for states in zip(kept.voltages_, whole.voltages_, strict=True))
    content = json.loads(saved.read_text(encoding="utf-8"))
    content["voltages"][0][0][0] += 0.01  # by somebody's own code, which keeps all other words
    saved.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(NotOverwritten, match=r"the network's voltages \(changed since\)"):
        own_data.main(given)
    for mine in (kept.partial_fit(flowers.features, flowers.labels), whole):
        mine.save(saved)
        with pytest.raises(NotOverwritten, match=r"the table's values \(None there, \d+ now\)"):
            own_data.main(given)
        assert MemristiveClassifier.load(saved).n_presentations_ == mine.n_presentations_
    own_data.main([*given, "--force"])
    own_data.main(given)


def test_what_scikit_learn_says_of_the_other_models_is_not_the_users_to_read(recwarn):
    """Of rounds that did not converge, and of many classes among few rows, of which the table's reader says its own."""
    features, labels = np.random.default_rng(1).random((30, 2)), np.arange(30) % 20
    models = MLPClassifier((3,), max_iter=1), LogisticRegression()
    for model in models:
        own_data._fit(model, features, labels)
    assert not recwarn.list
    for model in models:
        model.fit(features, labels)
    assert [str(one.message)[:20] for one in recwarn] == ["Stochastic Optimizer", "The number of unique"]


@pytest.mark.parametrize(("behind", "decision"), [(19e-9, TIED), (21e-9, 0)])
def test_spikes_closer_than_the_resolution_tie(monkeypatch, behind, decision):
    table = Table("close", np.arange(12.0)[:, None], np.array(["a", "b"] * 6), ["x"])
    monkeypatch.setattr(MemristiveClassifier, "spike_times", lambda self, features: np.array([[50e-6, 50e-6 + behind]] * 2))
    _, strict, _ = own_data._one_fold(table, {"memristors": MemristiveClassifier((), epochs=1, random_state=1)}, 0, np.arange(10),
                                      np.arange(10, 12))
    assert strict == [decision] * 2
