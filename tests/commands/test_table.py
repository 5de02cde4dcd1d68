"""The study of a user's own table: end to end, tables of all kinds, and one error for each kind of
bad input.
"""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from memristive.classifier import MemristiveClassifier
from memristive.commands import table as own_data
from memristive.io.records import load_results
from memristive.io.records import load_table as load_rows
from memristive.parameters import ParameterError
from tests.helpers import flowers_in, outputs


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return flowers_in(tmp_path_factory.mktemp("table"))


def study(table, folder, *arguments, record="own_data_flowers"):
    """Run the study on a table and return its record."""
    words = [
        "--label",
        "species",
        "--hidden",
        "5",
        "--epochs",
        "40",
        "--folds",
        "3",
        "--jobs",
        "1",
        "--voltages",
    ]
    voltages = str(folder / "model.json")
    own_data.main([str(table), *outputs(folder), *words, voltages, *arguments])
    return load_results(folder / f"{record}.json")


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """Folder with the results of a complete run."""
    folder = tmp_path_factory.mktemp("results")
    study(table, folder, "--netlist", str(folder / "read.cir"))
    return folder


def test_a_table_end_to_end(folder):
    record, rows = (
        load_results(folder / "own_data_flowers.json"),
        load_rows(folder / "own_data_flowers.json"),
    )
    assert (record["samples"], record["features"], record["classes"]) == (30, 4, ["a", "b", "c"])
    assert len(rows) == 4 and (rows.accuracy > 0.8).all()
    model = MemristiveClassifier.load(folder / "model.json")
    assert np.mean(model.predict(load_iris().data[::5]) == np.repeat(["a", "b", "c"], 10)) > 0.8
    assert {"read.cir", "own_data_flowers_confusion.png"} <= {
        path.name for path in folder.iterdir()
    }
    assert not list(folder.glob("*.checkpoint"))


def test_no_method_has_seen_its_test_samples(tmp_path):
    """Random classes cannot be learned: a random forest, perfect on its training samples, is right
    by chance.
    """
    rng, lines = np.random.default_rng(1), ["x,y,class"]
    lines += [f"{x},{y},{'ab'[k % 2]}" for k, (x, y) in enumerate(rng.random((60, 2)))]
    (tmp_path / "chance.csv").write_text("\n".join(lines))
    words = ["--hidden", "--epochs", "1", "--folds", "3", "--jobs", "1", "--voltages"]
    table, voltages = str(tmp_path / "chance.csv"), str(tmp_path / "v.json")
    own_data.main([table, *outputs(tmp_path), *words, voltages])
    assert load_rows(tmp_path / "own_data_chance.json").accuracy.between(0.25, 0.75).all()


# Tables

ROWS = [["1", "10", "x"], ["2", "20", "y"]] * 3


@pytest.mark.parametrize(
    ("label", "drop", "shape", "classes"),
    [(None, [], 2, ["x", "y"]), ("class", ["b"], 1, ["x", "y"]), ("a", ["class"], 1, [1, 2])],
)
def test_columns_are_chosen_by_name(tmp_path, label, drop, shape, classes):
    # with row numbers, as pandas writes them
    lines = [",a,b,class", *(",".join([str(k), *row]) for k, row in enumerate(ROWS))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    features, labels = own_data.samples_of(str(tmp_path / "t.csv"), label, drop)
    assert features.shape == (6, shape) and np.unique(labels).tolist() == classes


@pytest.mark.parametrize(
    ("changed", "arguments", "named"),
    [
        ({"2,20,y": "2,,y"}, [], "'b'"),
        ({",y": ",x"}, [], "classes: 1"),
        ({}, ["class", "d"], "'d'"),
    ],
)
def test_bad_tables_and_columns(tmp_path, changed, arguments, named):
    text = "\n".join(map(",".join, [["a", "b", "class"], *ROWS]))
    for old, new in changed.items():
        text = text.replace(old, new)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ParameterError, match=named):
        own_data.samples_of(str(tmp_path / "t.csv"), *arguments[:1], drop=arguments[1:])
