"""The study of one's own data, on a small table: what it says, what it writes, and its one-line errors."""

import argparse
import dataclasses
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from memristive.classifier.estimator import MemristiveClassifier
from memristive.cli.tables import Table, load_table
from memristive.io.claims import NotOverwritten
from memristive.io.files import FileProblem
from memristive.io.results import write_results
from memristive.io.voltages import VoltagesError
from studies import own_data
from tests.helpers import ROOT, flowers_in, script


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return flowers_in(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def ran(table):
    """The folder with what the study wrote of the table, and what it said."""
    said = script("-m", "studies.own_data", table, "--label", "species", "--hidden", "5", "--epochs", "40",
                  "--figures", table.parent,
                  "--voltages", table.parent / "flowers.json", "--engine", "ngspice")
    return table.parent, said


def test_table_beside_its_baselines(ran):
    folder, said = ran
    results = json.loads((folder / "own_data_flowers_results.json").read_text(encoding="utf-8"))
    assert "30 samples, 4 features, 3 classes; 10 folds" in said
    for name in ("memristors", "logistic regression", "MLP"):
        found = results["accuracy"][name]
        assert found["mean"] > 0.7
        assert found["interval_95"][0] < found["mean"] <= found["interval_95"][1]
        assert f"{found['mean']:.2%}" in said
    assert results["accuracy"]["memristors"]["strict_accuracy"] <= results["accuracy"]["memristors"]["mean"] + 1e-12
    assert results["ngspice"]["tested_by"] == "ngspice" and results["ngspice"]["trained_by"] == "closed-form"
    assert results["ngspice"]["largest_spike_deviation"] < 0.5e-6


@pytest.mark.usefixtures("ngspice")
def test_dose_that_is_given_is_every_networks(table, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(own_data, "ROUNDS", 20)  # the MLP is beside the point
    own_data.main([str(table), "--label", "species", "--hidden", "5", "--epochs", "1", "--dose", "0.25",
                   "--figures", str(tmp_path), "--voltages", str(tmp_path / "v.json")])
    assert MemristiveClassifier.load(tmp_path / "v.json").dose == 0.25
    assert json.loads((tmp_path / "own_data_flowers_results.json").read_text())["parameters"]["dose"] == 0.25
    with pytest.raises(SystemExit):
        own_data.main([str(table), "--dose", "0"])
    assert "--dose: must be 1e-06 to 5 V, got 0" in capsys.readouterr().err


def test_what_it_leaves_behind(ran):
    folder, _ = ran
    assert {path.name for path in folder.iterdir()} == {
        "flowers.csv", "flowers.json", "own_data_flowers_results.json", "own_data_flowers_read.cir",
        "own_data_flowers_confusion.png", "own_data_flowers_raster.png"}
    model = MemristiveClassifier.load(folder / "flowers.json")
    features = load_iris().data[::5]
    assert np.mean(model.predict(features) == np.repeat(["a", "b", "c"], 10)) > 0.8


@pytest.mark.parametrize("name", own_data.MODELS)
def test_no_model_minds_a_features_unit(name):
    """Those beside the memristors see standardised features: else they would be made weaker than they are."""
    features, labels = load_iris(return_X_y=True)
    features, labels, units = features[::5], labels[::5], [1e3, 1e3, 1e-3, 1e-3]
    model = own_data._models(MemristiveClassifier((), epochs=20, random_state=1), 1)[name]
    assert np.array_equal(*(model.fit(scaled, labels).predict(scaled) for scaled in (features, features * units)))


def test_each_repeat_has_folds_of_its_own(tmp_path, table, monkeypatch):
    flowers, tests = load_table(str(table), "species"), []

    def one_fold(table, models, repeat, train, test):
        tests.append((repeat, tuple(test)))
        return np.ones((len(own_data.MODELS), len(test)), bool), np.zeros(len(test), int), 0.0
    monkeypatch.setattr(own_data, "_one_fold", one_fold)
    own_data.cross_validated(flowers, MemristiveClassifier(()), argparse.Namespace(repeats=3, seed=5, resume=False, force=False),
                             tmp_path / "checkpoint", {})
    assert [repeat for repeat, _ in tests] == [k for k in range(3) for _ in range(10)]
    assert len({test for _, test in tests}) == 30
    for k in range(3):
        assert sorted(sample for repeat, test in tests for sample in test if repeat == k) == list(range(30))


def test_interrupted_it_goes_on_to_the_same_decisions(tmp_path, capsys, table, monkeypatch):
    flowers, model = load_table(str(table), "species"), MemristiveClassifier((), epochs=3, random_state=1)
    quick = (model, LogisticRegression(), GaussianNB())
    monkeypatch.setattr(own_data, "_models", lambda model, seed: dict(zip(own_data.MODELS, quick, strict=True)))
    options = argparse.Namespace(repeats=2, seed=1, resume=False, force=False)

    def study(**given):
        return own_data.cross_validated(flowers, model, argparse.Namespace(**{**vars(options), **given}), tmp_path / "checkpoint",
                                        {"seed": 1})
    whole = study()
    one_fold, count = own_data._one_fold, itertools.count()

    def stopped(*arguments):
        if next(count) == 13:
            raise KeyboardInterrupt
        return one_fold(*arguments)
    monkeypatch.setattr(own_data, "_one_fold", stopped)
    with pytest.raises(KeyboardInterrupt):
        study(force=True)
    assert "13 of 20 folds are saved" in capsys.readouterr().out
    with pytest.raises(NotOverwritten, match="--resume goes on with it"):
        study()
    saved = dict(np.load(tmp_path / "checkpoint"))
    for wrong in ({"done": 1000}, {"done": 12}, {"done": 14}, {"done": 0}, {"done": -3}, {"seconds": np.nan}):
        with open(tmp_path / "checkpoint", "wb") as file:
            wrong_one = {name: np.asarray(value, saved[name].dtype) for name, value in wrong.items()}
            np.savez_compressed(file, **{**saved, **wrong_one})
        with pytest.raises(VoltagesError):
            study(resume=True)
    with open(tmp_path / "checkpoint", "wb") as file:
        np.savez_compressed(file, **saved)
    ran = study(resume=True)
    assert next(count) == 21 and ran.done == 20  # seven folds more after the thirteen and the one that was stopped
    assert np.array_equal(ran.right, whole.right) and np.array_equal(ran.strict, whole.strict)
    assert 0.5 < ran.results(np.repeat([0, 1, 2], 10))["accuracy"]["logistic regression"]["mean"] <= 1
    other = dataclasses.replace(flowers, features=flowers.features + 1e-3)
    assert other.checksum != flowers.checksum


@pytest.mark.parametrize("which", range(3))
def test_stopped_within_a_fold_it_goes_on_with_those_before_it(tmp_path, table, monkeypatch, which):
    """Whichever model is at it: the fold is done again."""
    flowers, model = load_table(str(table), "species"), MemristiveClassifier((), epochs=3, random_state=1)
    quick = (model, LogisticRegression(), GaussianNB())
    monkeypatch.setattr(own_data, "_models", lambda model, seed: dict(zip(own_data.MODELS, quick, strict=True)))
    options, fit, count = argparse.Namespace(repeats=1, seed=1, resume=False, force=False), own_data._fit, itertools.count()

    def stopped(*arguments):
        if next(count) == 3 * 4 + which:
            raise KeyboardInterrupt
        fit(*arguments)
    monkeypatch.setattr(own_data, "_fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        own_data.cross_validated(flowers, model, options, tmp_path / "checkpoint", {})
    options.resume = True
    assert own_data.cross_validated(flowers, model, options, tmp_path / "checkpoint", {}).done == 10
    assert next(count) == 3 * 10 + which + 1


@pytest.fixture
def chance():
    """Sixty samples whose classes are drawn, so that a network decides about half of them wrongly."""
    rng = np.random.default_rng(1)
    return Table("chance", rng.random((60, 3)), rng.permutation(["a", "b"] * 30), ["x", "y", "z"])


def test_no_model_has_seen_what_it_is_tested_on(chance, tmp_path, monkeypatch):
    """Classes by chance cannot be learned: one that knows its training data by heart is right for half of the others."""
    model = MemristiveClassifier((), epochs=1, random_state=1)
    models = (model, LogisticRegression(), KNeighborsClassifier(1))
    monkeypatch.setattr(own_data, "_models", lambda model, seed: dict(zip(own_data.MODELS, models, strict=True)))
    options = argparse.Namespace(repeats=1, seed=1, resume=False, force=False)
    right = own_data.cross_validated(chance, model, options, tmp_path / "checkpoint", {}).right
    assert 0.25 < right[2].mean() < 0.75


def test_the_mlp_counts_by_the_one_repeat_that_it_had():
    """It is fitted in the first repeat alone; what it never did is no mistake. The other two count by all repeats."""
    found = own_data.Found.nothing(repeats=2, folds=2, samples=4)
    found.right[:, 0] = True  # everything right in the first repeat; in the second nothing, but for one of the memristors
    found.right[0, 1, 0] = True
    found.strict[:] = [[0, 1, 0, 1], [0, 0, -1, -2]]
    accuracy = found.results(np.array([0, 1, 0, 1]))["accuracy"]
    assert {name: (one["mean"], one["repeats"]) for name, one in accuracy.items()} == {
        "memristors": (0.625, [1.0, 0.25]), "logistic regression": (0.5, [1.0, 0.0]), "MLP": (1.0, [1.0])}
    assert accuracy["memristors"]["strict_accuracy"] == 0.625 and accuracy["memristors"]["undecided"] == 0.25


def test_each_repeat_starts_the_memristors_from_a_seed_of_its_own(chance, monkeypatch):
    """Of the same samples, so that nothing but the seed can make a difference."""
    fitted, fit = [], own_data._fit
    monkeypatch.setattr(own_data, "_fit", lambda estimator, *data: fitted.append(estimator) or fit(estimator, *data))
    model = MemristiveClassifier((), epochs=1, random_state=4)
    for repeat in (0, 0, 1, 2):
        own_data._one_fold(chance, {"memristors": model}, repeat, np.arange(40), np.arange(40, 60))
    first, again, second, third = (one.network_.states[-1] for one in fitted)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second) and not np.array_equal(second, third) and not np.array_equal(first, third)


@pytest.mark.parametrize("hidden", [(20,), (20, 20, 20)])
def test_the_mlp_beside_learns_until_it_has_learned(hidden):
    """Stopped at a tenth of scikit-learn's tolerance, one of 20 neurons knew 79 % of the flowers that it had seen."""
    mlp = own_data._models(MemristiveClassifier(hidden), seed=1)["MLP"]
    features, labels = load_iris(return_X_y=True)
    own_data._fit(mlp, features, labels)
    assert mlp[-1].hidden_layer_sizes == hidden and mlp[-1].n_iter_ < own_data.ROUNDS and mlp.score(features, labels) > 0.97


def test_what_is_said_to_be_clipped_is_what_lies_outside_in_the_test():
    """Of the three features of ten samples to test, five lie outside the range of those to train on, which has none."""
    features = np.tile(np.linspace(0, 1, 30)[:, None], 3)
    features[20:] = 0.5
    features[20:25, 1] = 2.0
    table = Table("outside", features, np.array(["a", "b"] * 15), ["x", "y", "z"])
    *_, clipped = own_data._one_fold(table, {"memristors": MemristiveClassifier((), epochs=1, random_state=1)}, 0, np.arange(20),
                                     np.arange(20, 30))
    assert clipped == pytest.approx(5 / 30)


def test_repeats_do_not_narrow_the_interval():
    """They use the same samples again: Wilson's interval of 27 of 30, however often."""
    for values in ([0.9], [0.8, 1.0], [0.9] * 10):
        found = own_data._accuracy(np.array(values), 30)
        assert found["mean"] == pytest.approx(0.9) and found["interval_95"] == pytest.approx((0.7438, 0.9654), abs=1e-4)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_folds_outlive_a_stop_of_the_split_in_ngspice_and_it_says_so(table, tmp_path, capsys, monkeypatch, force):
    def stopped(*given):
        raise KeyboardInterrupt
    monkeypatch.setattr(own_data, "split_in_ngspice", stopped)
    monkeypatch.setattr(own_data, "draw", lambda *given: None)
    given = [str(table), "--label", "species", "--hidden", "--epochs", "1", "--engine", "ngspice", "--figures", str(tmp_path),
             "--voltages", str(tmp_path / "v.json")]
    with pytest.raises(KeyboardInterrupt):
        own_data.main([*given, *force])
    assert "; ".join([f"all folds are saved in {tmp_path / 'v.json.checkpoint'}",
                      " ".join(["go on with --resume", *force])]) + "\n" in capsys.readouterr().out
    monkeypatch.setattr(own_data, "split_in_ngspice", lambda *given: None)
    monkeypatch.setattr(own_data, "_one_fold", stopped)
    monkeypatch.setattr(own_data, "_print", lambda *given: None)
    own_data.main([*given, "--resume"])
    assert not (tmp_path / "v.json.checkpoint").exists()


def test_engines_that_decide_wrongly_alike_decide_alike(chance, monkeypatch):
    """ngspice's part is played: as the closed form, but for one sample that it sees the other way round and 3 us later."""
    def read(network, images):
        times = network.first_spikes(images)
        times[0] = times[0, ::-1] + 3e-6
        return iter(times)
    monkeypatch.setattr(own_data, "read_in_ngspice", read)
    model = MemristiveClassifier((), epochs=1, random_state=1)
    found = own_data.split_in_ngspice(chance, model, seed=1, in_situ=False)
    assert (found["samples"], found["same_decision"]) == (6, 5)
    assert abs(found["right"] - found["right_by_closed_form"]) == 1 and 0 < found["right"] < 5
    assert found["largest_spike_deviation"] > 3e-6


def test_ctrl_c_in_a_baseline_stops_the_study(tmp_path, capsys, table, monkeypatch):
    """scikit-learn's MLP only warns of it, and half trained it would be one of the results."""
    flowers, count, backprop = load_table(str(table), "species"), itertools.count(), MLPClassifier._backprop

    def interrupted(self, *arguments):
        if next(count) == 3:
            signal.raise_signal(signal.SIGINT)
        return backprop(self, *arguments)
    monkeypatch.setattr(MLPClassifier, "_backprop", interrupted)
    options, model = argparse.Namespace(repeats=1, seed=1, resume=False, force=False), MemristiveClassifier((), random_state=1)
    with pytest.raises(KeyboardInterrupt):
        own_data.cross_validated(flowers, model, options, tmp_path / "checkpoint", {})
    assert next(count) == 4 and not list(tmp_path.iterdir())  # not one fold was done


def test_names_that_no_figure_has_room_or_letters_for_say_nothing(tmp_path):
    path = tmp_path / "my data (1).csv"
    rows = [f"{k % 7},{k},{('🙂' if k % 2 else 'long ' * 80)}" for k in range(8)]
    path.write_text("\n".join(["a,b,class", *rows]) + "\n", encoding="utf-8")
    places = ["--figures", tmp_path, "--voltages", tmp_path / "v.json"]
    done = subprocess.run([sys.executable, "-m", "studies.own_data", path, "--epochs", "1", "--hidden", "3", *places], cwd=ROOT,
                          capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    netlist = tmp_path / "own_data_my data (1)_read.cir"
    assert f"ngspice -b '{netlist}'" in done.stdout and netlist.exists()


def test_ngspice_that_sees_no_spike_to_compare_is_told(tmp_path):
    said = script("-m", "studies.own_data", "iris", "--engine", "ngspice", "--rows", "6", "--epochs", "1", "--figures", tmp_path,
                  "--voltages", tmp_path / "v.json")
    assert "no spikes to compare" in said and (tmp_path / "own_data_iris_results.json").exists()


@pytest.mark.parametrize(("arguments", "said"), [
    (["nowhere.csv"], "nowhere.csv: No such file or directory; give a CSV file or one of iris"),
    (["iris", "--netlist", "x"], "refused|always written"), (["iris", "--hidden", "0"], "--hidden"),
    (["iris", "--label", ""], "--label names a column of a CSV file; iris has its own"),
    (["iris", "--in-situ"], "--in-situ trains in ngspice: it needs --engine ngspice")])
def test_mistakes_are_one_line(tmp_path, arguments, said):
    error = script("-m", "studies.own_data", *arguments, "--figures", tmp_path, "--voltages", tmp_path / "v.json", code=2)
    assert re.search(said, error) and error.count("\n") == 1


def test_neither_a_table_nor_another_classifier_is_overwritten_unasked(tmp_path, table):
    copy, saved = tmp_path / "flowers.csv", tmp_path / "flowers.json"
    copy.write_bytes(table.read_bytes())
    given = [str(copy), "--label", "species", "--figures", str(tmp_path)]
    with pytest.raises(NotOverwritten, match="nothing that this script wrote"):
        own_data.main([*given, "--voltages", str(copy)])
    MemristiveClassifier((5,), epochs=1, random_state=2).fit(np.eye(3), ["a", "b", "c"]).save(saved)
    with pytest.raises(NotOverwritten, match=r"--epochs .*--hidden .*--seed \(2 there, 1 now\)"):
        own_data.main([*given, "--voltages", str(saved), "--epochs", "3"])
    MemristiveClassifier(random_state=1).fit(np.arange(40.0).reshape(10, 4), list("abcab") * 2).save(saved)
    with pytest.raises(NotOverwritten, match="the features' lowest values"):  # made with equal parameters
        own_data.main([*given, "--voltages", str(saved)])
    lowest = load_table(str(copy), "species").features.min(axis=0).tolist()
    same = json.loads(saved.read_text(encoding="utf-8")) | {"low": lowest, "table": 7}
    saved.write_text(json.dumps(same), encoding="utf-8")
    with pytest.raises(NotOverwritten, match="the table's values"):  # of equal lowest values
        own_data.main([*given, "--voltages", str(saved)])
    mine = tmp_path / "own_data_flowers_read.cir"
    mine.write_text("my own netlist")
    with pytest.raises(NotOverwritten, match="no netlist of this project's"):
        own_data.main([*given, "--voltages", str(tmp_path / "new.json")])
    mine.unlink()
    model = {name: getattr(MemristiveClassifier(), name) for name in ("hidden", "epochs", "dose", "margin", "encoding")}
    other = {"source": copy.name, "label": "species", "repeats": 1, "seed": 1, "rows": 30,
             "table": 7, "engine": "closed-form", "in_situ": False, **model}
    write_results(tmp_path / "before", "own_data_flowers", None, other, {})
    with pytest.raises(NotOverwritten, match=r"the table's values \(7 there, \d+ now\)"):  # another table of that name and size
        own_data.main([*given[:-1], str(tmp_path / "before"), "--voltages", str(tmp_path / "v.json")])
    shutil.rmtree(tmp_path / "before")
    assert copy.read_bytes() == table.read_bytes()
    assert MemristiveClassifier.load(saved).n_presentations_ == 3000
    assert {path.name for path in tmp_path.iterdir()} == {"flowers.csv", "flowers.json"}


def test_netlist_that_cannot_be_written_is_found_before_any_work(tmp_path, table, monkeypatch):
    monkeypatch.setattr(own_data, "cross_validated", lambda *_: pytest.fail("the folds were run"))
    (tmp_path / "own_data_flowers_read.cir").mkdir()
    with pytest.raises(FileProblem, match=r"own_data_flowers_read.cir cannot be written"):
        own_data.main([str(table), "--label", "species", "--figures", str(tmp_path), "--voltages", str(tmp_path / "v.json")])
