"""Results as files: what `--resume` goes on with is what an earlier run wrote."""

import json
from types import SimpleNamespace

import pytest

from memristive.io.files import FileProblem
from memristive.io.results import holds, kept_results, path_in_project, refuse_other_rows, versions
from tests.helpers import ROOT

ROWS = {"ideal": 0.5, "rows": [{"seed": 1, "accuracy": 0.5}]}


def kept(folder, content):
    (folder / "some_results.json").write_text(json.dumps(content), encoding="utf-8")
    return kept_results(folder, "some", {"ideal": float, "rows": {"seed": int, "accuracy": float}})


def test_results_that_an_earlier_run_wrote_are_gone_on_with(tmp_path):
    assert kept(tmp_path, ROWS | {"more": 1}) == ROWS
    assert kept(tmp_path, ROWS | {"rows": []}) == ROWS | {"rows": []}


@pytest.mark.parametrize("changes", [
    {"rows": None}, {"rows": "abc"}, {"rows": [{}]}, {"rows": [3]}, {"rows": {"seed": 1}},
    {"rows": [{"seed": None, "accuracy": 0.5}]}, {"rows": [{"seed": [1], "accuracy": 0.5}]},
    {"rows": [{"seed": "x", "accuracy": 0.5}]}, {"rows": [{"seed": 1.5, "accuracy": 0.5}]},
    {"rows": [{"seed": True, "accuracy": 0.5}]}, {"rows": [{"seed": 1, "accuracy": float("nan")}]},
    {"rows": [{"seed": 1}]}, {"rows": [{"seed": 1, "accuracy": "x"}]}, {"rows": [{"seed": 1, "accuracy": 17.0}]}, {"ideal": 5},
    {"ideal": None}])
def test_results_that_no_run_wrote_are_refused_in_one_line(tmp_path, changes):
    with pytest.raises(FileProblem, match=rf"some_results.json cannot be gone on with: its '{next(iter(changes))}' are none"):
        kept(tmp_path, ROWS | changes)
    with pytest.raises(FileProblem, match="cannot be gone on with"):
        kept(tmp_path, [1, 2])


@pytest.mark.parametrize(("kind", "fine", "not_fine"), [
    (int, (0, -3, 10**15), (1.0, True, "1", None, [1], 10**16, -10**16)),
    (float, (0, 1.5, -1e15), (True, "1", None, [1], float("nan"), float("inf"), 10**400)),
    (str, ("", "x"), (1, None, ["x"])), (("a", "b"), ("a",), ("c", 1, None, ["a"], {"a": 1})),
    (list, ([], [1, 2.5]), (["x"], [None], [[1]], "12", {"1": 2}, [float("nan")]))])
def test_a_row_holds_what_is_of_the_kind_that_is_asked_for(kind, fine, not_fine):
    """Of another kind it would end a study in a traceback, after minutes: as a key, in an order, in a figure."""
    assert all(holds({"name": value}, {"name": kind}) for value in fine)
    assert not any(holds({"name": value}, {"name": kind}) for value in not_fine)
    assert not holds({}, {"name": kind}) and not holds([], {"name": kind}) and holds({}, {})


def test_lists_of_a_row_belong_together_and_shares_are_from_0_to_1():
    curve = {"presentations": list, "running_accuracy": list}
    assert holds({"presentations": [100, 200], "running_accuracy": [0, 1.0]}, curve)
    assert not holds({"presentations": [100, 200], "running_accuracy": [0.5]}, curve)
    assert not holds({"presentations": [100], "running_accuracy": [1.1]}, curve)


@pytest.mark.parametrize(("names", "fine"), [([], True), ([("a", 1)], True), ([("a", 1), ("a", 2)], True), ([("b", 1)], False),
                                             ([("a", 2), ("a", 2)], False), ([("a", 1), ("a", -1)], False)])
def test_rows_that_were_not_asked_for_or_stand_there_twice_are_refused(tmp_path, names, fine):
    """A study averaged them with its own."""
    try:
        refuse_other_rows(tmp_path / "r.json", names, [("a", 1), ("a", 2)])
    except FileProblem as error:
        assert not fine and "r.json cannot be gone on with: its 'rows' are none of an earlier run" in str(error)
    else:
        assert fine


@pytest.mark.parametrize("name", ["accuracy", "strict_accuracy", "closed_form_accuracy", "running_accuracy", "ideal"])
def test_no_share_is_more_than_all(name):
    assert [holds({name: value}, {name: float}) for value in (-0.01, 0, 1.0, 1.01)] == [False, True, True, False]
    assert holds({"margin": 1.01}, {"margin": float})


def test_versions_name_ngspice_only_where_it_had_a_part():
    packages = {"PySpice", "numpy", "scipy", "scikit-learn", "pillow"}
    assert versions(None).keys() == packages
    assert versions(SimpleNamespace(version=44)).keys() == packages | {"ngspice"}
    assert versions(SimpleNamespace(version=44))["ngspice"] == 44


def test_paths_within_the_project_are_the_same_on_any_machine(tmp_path):
    assert path_in_project(ROOT / "voltages" / "mnist.json") == "voltages/mnist.json"
    assert path_in_project(tmp_path / "v.json") == str(tmp_path.resolve() / "v.json")
