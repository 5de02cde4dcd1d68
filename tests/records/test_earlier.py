"""Results of an earlier run and those of one that ended early: the ones that are worth more are left, alone."""

import errno
import json
import os
import shutil

import pytest

from memristive.io.earlier import earlier_kept
from memristive.io.files import FileProblem, atomic_write
from memristive.io.results import write_results

ASIDE = ".some_results.json.earlier"


def written(folder, rows, seed=1, **more):
    write_results(folder, "some", None, {"seed": seed}, {"rows": [0] * rows, **more})


def left(folder):
    """Rows and seed of the results, which are all that is there."""
    assert [path.name for path in folder.iterdir()] == ["some_results.json"]
    found = json.loads((folder / "some_results.json").read_text(encoding="utf-8"))
    return len(found["rows"]), found["parameters"]["seed"]


@pytest.mark.parametrize(("before", "since", "rows"), [(3, 1, 3), (1, 3, 3), (0, 1, 1), (None, 1, 1), (2, 2, 2), (3, None, 3)])
def test_a_run_that_ends_early_leaves_the_more_rows_of_two(tmp_path, before, since, rows):
    """The same study again, stopped at its first row, is no reason to lose those of a whole run."""
    if before is not None:
        written(tmp_path, before)
    with pytest.raises(KeyboardInterrupt), earlier_kept(tmp_path, "some"):
        if since is not None:
            written(tmp_path, since)
        raise KeyboardInterrupt
    assert left(tmp_path) == (rows, 1)
    with earlier_kept(tmp_path, "some"):
        written(tmp_path, 0)
    assert left(tmp_path) == (0, 1)  # a whole run has the last word


@pytest.mark.parametrize(("resumable", "rows", "ended", "says"), [
    (True, 2, KeyboardInterrupt, True), (True, 2, SystemExit, True), (True, 0, KeyboardInterrupt, False),
    (True, None, KeyboardInterrupt, False), (True, 2, ValueError, False), (False, 2, KeyboardInterrupt, False)])
def test_a_stop_says_what_can_be_gone_on_with(tmp_path, capsys, resumable, rows, ended, says):
    with pytest.raises(ended), earlier_kept(tmp_path, "some", resumable=resumable):
        if rows is not None:
            written(tmp_path, rows)
        raise ended
    said = capsys.readouterr().out
    assert said == (f"what is done is kept in {tmp_path / 'some_results.json'}; go on with --resume\n" if says else "")


@pytest.mark.parametrize(("since", "rows", "seed"), [(1, 1, 2), (0, 3, 1), (None, 3, 1)])
def test_rows_of_other_parameters_do_not_replace_those_that_were_forced(tmp_path, since, rows, seed):
    """Unless there are none: then nothing is lost by them."""
    written(tmp_path, 3)
    with pytest.raises(KeyboardInterrupt), earlier_kept(tmp_path, "some"):
        if since is None:
            (tmp_path / "some_results.json").unlink()
        else:
            written(tmp_path, since, seed=2)
        raise KeyboardInterrupt
    assert left(tmp_path) == (rows, seed)


def test_what_is_worth_more_is_for_a_study_to_say(tmp_path):
    def reads(results):
        return sum(results["judged"])
    written(tmp_path, 3, judged=[5, 5])
    for since, rows in (([9], 3), ([10, 1], 4)):
        with pytest.raises(KeyboardInterrupt), earlier_kept(tmp_path, "some", reads):
            written(tmp_path, 4, judged=since)
            raise KeyboardInterrupt
        assert left(tmp_path) == (rows, 1)


def test_a_disk_that_is_full_has_room_for_what_comes_back(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    written(tmp_path, 3)
    with pytest.raises(FileProblem, match="No space"), earlier_kept(tmp_path, "some"):
        written(tmp_path, 1)
        monkeypatch.setattr("memristive.io.files.tempfile.NamedTemporaryFile", full)
        written(tmp_path, 2)
    assert left(tmp_path) == (3, 1)


@pytest.mark.parametrize(("since", "seed", "rows"), [(1, 1, 3), (5, 1, 5), (0, 1, 3), (1, 2, 1), (0, 2, 0)])
def test_rows_of_a_run_that_was_killed_are_found_by_the_next(tmp_path, since, seed, rows):
    written(tmp_path, 3)
    os.link(tmp_path / "some_results.json", tmp_path / ASIDE)  # as a kill leaves it
    written(tmp_path, since, seed)
    with pytest.raises(KeyboardInterrupt), earlier_kept(tmp_path, "some"):  # --resume would read them here
        assert len(json.loads((tmp_path / "some_results.json").read_text())["rows"]) == rows
        raise KeyboardInterrupt
    assert left(tmp_path) == (rows, seed)


def test_results_that_the_user_removed_after_a_kill_stay_removed(tmp_path):
    """Nobody has looked with which parameters they were made: --resume would go on with them."""
    written(tmp_path, 3)
    (tmp_path / "some_results.json").rename(tmp_path / ASIDE)
    with earlier_kept(tmp_path, "some"):
        assert not list(tmp_path.iterdir())


def test_file_systems_without_links_have_a_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    monkeypatch.setattr(os, "link", refuse)
    written(tmp_path, 3)
    with pytest.raises(KeyboardInterrupt), earlier_kept(tmp_path, "some"):
        written(tmp_path, 1)
        raise KeyboardInterrupt
    assert left(tmp_path) == (3, 1)

    def half(path, copy):
        atomic_write(copy, path.read_bytes()[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(shutil, "copy2", half)
    with pytest.raises(FileProblem, match=f"{ASIDE}, where the results of an earlier run wait, cannot be used: No space"), \
            earlier_kept(tmp_path, "some"):
        pytest.fail("work had begun")
    assert left(tmp_path) == (3, 1)
    monkeypatch.undo()
    (tmp_path / ASIDE).write_bytes(b'{"rows"')  # killed in the copy
    with earlier_kept(tmp_path, "some"):
        assert json.loads((tmp_path / "some_results.json").read_text())["rows"]
    assert left(tmp_path) == (3, 1)


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b'{"rows": 5}', b'{"rows": [0, 0], "parameters": 5}', b"\xff"])
def test_what_no_study_wrote_stands_in_nobodys_way(tmp_path, content):
    path = tmp_path / "some_results.json"
    path.write_bytes(content)
    with pytest.raises(KeyboardInterrupt), earlier_kept(tmp_path, "some"):
        written(tmp_path, 1)
        raise KeyboardInterrupt
    assert left(tmp_path) == (1, 1)
    (tmp_path / ASIDE).mkdir()
    with pytest.raises(FileProblem, match="cannot be used"), earlier_kept(tmp_path, "some"):
        pytest.fail("work had begun")


def test_results_behind_a_link_stay_behind_it(tmp_path):
    (tmp_path / "far").mkdir()
    written(tmp_path / "far", 3)
    (tmp_path / "near").mkdir()
    link = tmp_path / "near" / "some_results.json"
    link.symlink_to(tmp_path / "far" / "some_results.json")
    with pytest.raises(KeyboardInterrupt), earlier_kept(tmp_path / "near", "some"):
        written(tmp_path / "near", 1)
        raise KeyboardInterrupt
    assert link.is_symlink() and left(tmp_path / "far") == (3, 1) == left(tmp_path / "near")
