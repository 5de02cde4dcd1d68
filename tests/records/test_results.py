"""Results as files: what `--resume` goes on with is what an earlier run wrote."""

import json

import pytest

from records.files import FileProblem
from records.results import kept_results

ROWS = {"ideal": 0.5, "rows": [{"seed": 1, "accuracy": 0.5}]}


def kept(folder, content):
    (folder / "some_results.json").write_text(json.dumps(content), encoding="utf-8")
    return kept_results(folder, "some", {"ideal": float, "rows": ("seed", "accuracy")})


def test_results_that_an_earlier_run_wrote_are_gone_on_with(tmp_path):
    assert kept(tmp_path, ROWS | {"more": 1}) == ROWS
    assert kept(tmp_path, ROWS | {"rows": []}) == ROWS | {"rows": []}


@pytest.mark.parametrize("changes", [
    {"rows": None}, {"rows": "abc"}, {"rows": [{}]}, {"rows": [3]}, {"rows": {"seed": 1}},
    {"rows": [{"seed": None, "accuracy": 0.5}]},
    {"rows": [{"seed": 1}]}, {"rows": [{"seed": 1, "accuracy": "x"}]}, {"rows": [{"seed": 1, "accuracy": 17.0}]}, {"ideal": 5},
    {"ideal": None}])
def test_results_that_no_run_wrote_are_refused_in_one_line(tmp_path, changes):
    with pytest.raises(FileProblem, match=rf"some_results.json cannot be gone on with: its '{next(iter(changes))}' are none"):
        kept(tmp_path, ROWS | changes)
    with pytest.raises(FileProblem, match="cannot be gone on with"):
        kept(tmp_path, [1, 2])
