"""A classifier's file: what was saved is what is loaded, and what holds something else is refused."""

import copy
import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from memristive.classifier.estimator import MemristiveClassifier
from memristive.variability.chip import PRESETS


@pytest.fixture(scope="module")
def frame():
    features, labels = load_iris(return_X_y=True)
    return pd.DataFrame(features, columns=["a", "b", "c", "d"]), labels


@pytest.fixture(scope="module")
def fitted(frame):
    return MemristiveClassifier((6,), epochs=20, random_state=1).fit(*frame)


@pytest.fixture
def content(fitted, tmp_path):
    return json.loads(fitted.save(tmp_path / "some.json").read_text(encoding="utf-8"))


def refused(tmp_path, content):
    """Whether the file with this `content` is refused in one line that names it."""
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"changed\.json: is no classifier file of version 1 \(") as error:
        MemristiveClassifier.load(path)
    assert "\n" not in str(error.value)
    return True


def test_what_was_saved_is_loaded(fitted, frame, content, tmp_path):
    (tmp_path / "again.json").write_text(json.dumps(content), encoding="utf-8")
    assert np.array_equal(MemristiveClassifier.load(tmp_path / "again.json").predict(frame[0]), fitted.predict(frame[0]))


def test_what_learned_on_a_chip_is_loaded_onto_the_same_chip(frame, tmp_path):
    model = MemristiveClassifier((6,), epochs=1, random_state=1, chip=PRESETS["ten-percent"]).fit(*frame)
    loaded = MemristiveClassifier.load(model.save(tmp_path / "some.json"))
    times = model.spike_times(frame[0])
    assert np.isfinite(times).any() and np.array_equal(loaded.spike_times(frame[0]), times, equal_nan=True)


def test_a_file_that_cannot_be_written_leaves_no_part_of_it(fitted, tmp_path):
    (folder := tmp_path / "some.json").mkdir()  # a folder is there, which no file replaces
    with pytest.raises(OSError, match=r"some\.json"):
        fitted.save(folder)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(("key", "wrong"), [
    ("low", [math.nan, 0, 0, 0]), ("low", [math.inf, 0, 0, 0]), ("low", [[1, 2, 3, 4]]), ("low", ["x"] * 4),
    ("span", [math.nan, 1, 1, 1]), ("span", [-1, 1, 1, 1]), ("span", [1, 1, 1]), ("features", 9), ("features", None),
    ("feature_names", ["a"]), ("feature_names", ["a", "a", "b", "c"]), ("feature_names", [1, 2, 3, 4]), ("classes", [0, 1, 1]),
    ("classes", [2, 1, 0]), ("classes", [[0, 1, 2]]), ("classes", [0, 1, None]), ("classes", [0, 1, math.nan]),
    ("classes", [0]), ("classes", "abc"), ("trained_by", 7), ("trained_by", "spice"), ("presentations", "x"),
    ("presentations", -1), ("presentations", 2.5), ("presentations", True), ("seed", -1), ("seed", "x"), ("margin", math.nan),
    ("voltages", []), ("voltages", [[[1.0]]]), ("format", "x"), ("version", 2)])
def test_what_no_save_wrote_is_refused(content, tmp_path, key, wrong):
    assert refused(tmp_path, content | {key: wrong})


@pytest.mark.parametrize(("name", "wrong"), [
    ("engine", "spice"), ("encoding", "x"), ("random_state", "x"), ("random_state", -1), ("random_state", 1.5), ("hidden", [5]),
    ("hidden", [True]), ("dose", "x"), ("chip", {"shape": 1}), ("unknown", 1), ("epochs", "x"), ("epochs", -1),
    ("margin", "much"), ("verbose", "x")])
def test_parameters_that_no_save_wrote_are_refused(content, tmp_path, name, wrong):
    assert refused(tmp_path, content | {"parameters": content["parameters"] | {name: wrong}})


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 1e308, -2e6])
def test_voltages_that_no_training_reaches_are_refused(content, tmp_path, wrong):
    content["voltages"][1][0][0] = wrong
    assert refused(tmp_path, content)


@pytest.mark.parametrize("classes", [
    np.array([2**63 - 1, 2**63, 2**63 + 1], np.uint64), np.array([-(2**63), 0, 2**63 - 1]), np.array([1.0, 2.0, 4e15]),
    np.array(["a", "b", "ü"]), np.array([3, 10, 200], np.uint8)])
def test_classes_come_back_as_they_were(frame, tmp_path, classes):
    model = MemristiveClassifier((), epochs=1, random_state=1).fit(frame[0], classes[frame[1]])
    loaded = MemristiveClassifier.load(model.save(tmp_path / "some.json"))
    assert loaded.classes_.tolist() == classes.tolist() and loaded.classes_.dtype.kind in {classes.dtype.kind, "i"}
    assert np.array_equal(loaded.predict(frame[0]), model.predict(frame[0]))


def test_a_span_beyond_the_largest_float_is_one(tmp_path):
    features = np.array([[-1.5e308, 0.0], [1.5e308, 1.0]] * 4)
    with np.errstate(over="ignore", invalid="ignore"):
        model = MemristiveClassifier((), epochs=1, random_state=1).fit(features, [0, 1] * 4)
        loaded = MemristiveClassifier.load(model.save(tmp_path / "some.json"))
        assert np.isinf(loaded.encoding_.span[0]) and np.array_equal(loaded.predict(features), model.predict(features))


def test_engine_of_the_last_training_is_saved(fitted, frame, tmp_path, ngspice):
    model = MemristiveClassifier((2,), epochs=1, random_state=1).fit(*frame)
    model.set_params(engine="ngspice").partial_fit(frame[0][49:51], frame[1][49:51])
    loaded = MemristiveClassifier.load(model.save(tmp_path / "some.json"))
    assert (loaded.engine, loaded.engine_) == (model.engine, model.engine_) == ("ngspice", "ngspice")


# A sample's netlist

def test_netlist_is_of_the_features_that_are_named(fitted, frame, tmp_path):
    def netlist(x):
        return fitted.export_netlist(tmp_path / "some.cir", x).read_text(encoding="utf-8")
    row = frame[0].iloc[[120]]
    expected = netlist(row)
    assert netlist(row.iloc[0]) == expected
    with pytest.warns(UserWarning, match="valid feature names"):
        assert netlist(row.to_numpy()[0]) == netlist(row.to_numpy()) == expected
    for wrong, said in ((row[list("dcba")], "feature names"), (row.iloc[0][list("dcba")], "feature names"),
                        (frame[0][:2], "one sample, got 2"), (row[["a", "b"]], "feature names")):
        with pytest.raises(ValueError, match=said):
            fitted.export_netlist(tmp_path / "other.cir", wrong)
    assert not (tmp_path / "other.cir").exists()


# What is set after a fit

def test_plain_encoding_has_a_row_a_feature_and_outlives_a_file(tmp_path, frame):
    model = MemristiveClassifier((6,), encoding="plain", epochs=2, random_state=1).fit(*frame)
    assert model.network_.sizes == (4, 6, 3)
    again = MemristiveClassifier.load(model.save(tmp_path / "plain.json"))
    assert np.array_equal(again.spike_times(frame[0]), model.spike_times(frame[0]), equal_nan=True)


def test_a_generator_as_random_state_is_no_obstacle_to_a_file(tmp_path, frame):
    model = MemristiveClassifier((6,), epochs=2, random_state=np.random.RandomState(3)).fit(*frame)
    again = MemristiveClassifier.load(model.save(tmp_path / "drawn.json"))
    assert again.random_state is None  # the generator has moved on since
    assert np.array_equal(again.spike_times(frame[0]), model.spike_times(frame[0]), equal_nan=True)


@pytest.mark.parametrize(("name", "value"), [("hidden", (5,)), ("hidden", 0), ("encoding", "plain"), ("encoding", "x"),
                                             ("random_state", 2), ("chip", "x")])
def test_partial_fit_refuses_what_the_network_cannot_become(fitted, frame, name, value):
    model = MemristiveClassifier((6,), random_state=1).partial_fit(*frame, classes=[0, 1, 2])
    before = [states.copy() for states in model.voltages_]
    with pytest.raises(ValueError, match=name):
        model.set_params(**{name: value}).partial_fit(*frame)
    assert all(np.array_equal(now, then) for now, then in zip(model.voltages_, before, strict=True))
    model.set_params(**{name: {"hidden": 6, "encoding": "complement", "random_state": 1, "chip": None}[name]}).partial_fit(*frame)


@pytest.mark.parametrize(("name", "value"), [("dose", 0.01), ("margin", 1e-6), ("dose", "x"), ("margin", -1),
                                             ("engine", "NGSPICE")])
def test_partial_fit_heeds_dose_margin_and_engine(frame, name, value):
    plain = MemristiveClassifier((6,), dose=0.3, random_state=1).partial_fit(*frame, classes=[0, 1, 2])
    changed = copy.deepcopy(plain)
    changed.set_params(**{name: value})
    if value in ("x", -1, "NGSPICE"):
        with pytest.raises(ValueError, match=name):
            changed.partial_fit(*frame)
        return
    for model in (plain, changed):
        model.partial_fit(*frame)
    assert not np.array_equal(plain.voltages_[0], changed.voltages_[0])


def test_margin_of_a_fit_is_kept_by_partial_fit(frame):
    model = MemristiveClassifier((6,), epochs=1, random_state=1).fit(*frame)
    margin = model._rule.margin
    assert model.partial_fit(*frame)._rule.margin == margin > 4e-6


def test_reads_by_an_engine_that_there_is_not_are_refused(fitted, frame):
    engine = fitted.engine
    try:
        for method in (fitted.predict, fitted.spike_times):
            with pytest.raises(ValueError, match="engine must be 'ngspice' or 'closed-form', got 'NGSPICE'"):
                fitted.set_params(engine="NGSPICE") and method(frame[0])
    finally:
        fitted.set_params(engine=engine)


def test_links_and_permissions_of_a_file_stay_and_what_its_owner_locked_is_not_replaced(fitted, tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    fitted.save(link)
    assert link.is_symlink() and real.stat().st_mode & 0o777 == 0o600 and real.read_text() != "old"
    real.chmod(0o444)
    with pytest.raises(PermissionError, match=r"link\.json"):
        fitted.save(link)
