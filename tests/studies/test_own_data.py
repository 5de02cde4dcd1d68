"""The study of one's own data, on a small table: what it says, what it writes, and its one-line errors."""

import json
import re

import numpy as np
import pytest
from sklearn.datasets import load_iris

from learning.classifier import MemristiveClassifier
from tests.helpers import script


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Every fifth flower, as a CSV file with semicolons and the species first."""
    features, labels = load_iris(return_X_y=True)
    rows = [";".join(["abc"[label], *map(str, row)]) for row, label in zip(features[::5], labels[::5], strict=True)]
    path = tmp_path_factory.mktemp("table") / "flowers.csv"
    path.write_text("\n".join(["species;a;b;c;d", *rows]) + "\n", encoding="utf-8")
    return path


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


def test_what_it_leaves_behind(ran):
    folder, _ = ran
    assert {path.name for path in folder.iterdir()} == {
        "flowers.csv", "flowers.json", "own_data_flowers_results.json", "own_data_flowers_read.cir",
        "own_data_flowers_confusion.png", "own_data_flowers_raster.png"}
    model = MemristiveClassifier.load(folder / "flowers.json")
    features = load_iris().data[::5]
    assert np.mean(model.predict(features) == np.repeat(["a", "b", "c"], 10)) > 0.8


@pytest.mark.parametrize(("arguments", "said"), [
    (["nowhere.csv"], "nowhere.csv: No such file or directory; give a CSV file or one of iris"),
    (["iris", "--netlist", "x"], "refused|always written"),
    (["iris", "--in-situ"], "--in-situ trains in ngspice: it needs --engine ngspice")])
def test_mistakes_are_one_line(tmp_path, arguments, said):
    error = script("-m", "studies.own_data", *arguments, "--figures", tmp_path, "--voltages", tmp_path / "v.json", code=2)
    assert re.search(said, error) and error.count("\n") == 1
