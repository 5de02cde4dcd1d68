"""Results as files: what `--resume` goes on with is what an earlier run wrote."""

import json

import pytest

from records.files import FileProblem
from records.results import kept_results, more_rows_kept

ROWS = {"ideal": 0.5, "rows": [{"seed": 1, "accuracy": 0.5}]}


def kept(folder, content):
    (folder / "some_results.json").write_text(json.dumps(content), encoding="utf-8")
    return kept_results(folder, "some", {"ideal": float, "rows": ("seed", "accuracy")})


def test_results_that_an_earlier_run_wrote_are_gone_on_with(tmp_path):
    assert kept(tmp_path, ROWS | {"more": 1}) == ROWS
    assert kept(tmp_path, ROWS | {"rows": []}) == ROWS | {"rows": []}


@pytest.mark.parametrize(("before", "since", "left"), [(3, 1, 3), (1, 3, 3), (0, 1, 1), (None, 1, 1), (2, 2, 2), (3, None, 3)])
def test_a_run_that_ends_early_leaves_the_more_rows_of_two(tmp_path, before, since, left):
    """The same study again, stopped at its first row, is no reason to lose those of a whole run."""
    path = tmp_path / "some_results.json"
    if before is not None:
        path.write_text(json.dumps({"rows": [0] * before}))
    with pytest.raises(KeyboardInterrupt), more_rows_kept(tmp_path, "some"):
        if since is not None:
            path.write_text(json.dumps({"rows": [0] * since}))
        raise KeyboardInterrupt
    assert len(json.loads(path.read_text())["rows"]) == left
    with more_rows_kept(tmp_path, "some"):
        path.write_text(json.dumps({"rows": []}))
    assert path.read_text() == '{"rows": []}'


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
