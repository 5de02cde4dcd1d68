"""Records, decisions and checkpoints: written whole, read back, and never overwritten by other
parameters.
"""

import math

import numpy as np
import pytest

from memristive.io import records
from memristive.io.records import (
    FileProblem,
    NotOverwritten,
    check_overwriting,
    resumed,
    write_file,
    write_json,
)
from memristive.network.design import Schedule

PARAMETERS = {"rule": "hebbian", "network": {"neuron": {"threshold": 4.0}}, "shape": (3, 3)}


def test_written_files_are_whole_and_leave_no_temporary_file(tmp_path):
    path = tmp_path / "new folder" / "file"
    for content in ("text", b"bytes"):
        write_file(path, content)
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(FileProblem, match="below"):
        write_file(path / "below", "text")


def test_a_file_of_the_same_parameters_may_be_overwritten(tmp_path):
    path = tmp_path / "file.json"
    check_overwriting(path, PARAMETERS, force=False)
    # a record, a voltages file
    for content in ({"parameters": PARAMETERS, "seconds": 1.0}, PARAMETERS | {"voltages": [[1.0]]}):
        write_file(path, records.to_json(content))
        check_overwriting(path, PARAMETERS, force=False)
        check_overwriting(path, PARAMETERS | {"newer": 1}, force=False)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"network": {"neuron": {"threshold": 3.0}}}, "network.neuron.threshold"),
        ({"shape": (5, 3)}, "shape"),
        ({"chip": {"seed": 1}}, "chip"),
        ({"rule": None}, "rule"),
    ],
)
def test_a_file_of_other_parameters_is_overwritten_by_force_alone(tmp_path, changes, name):
    path = tmp_path / "file.json"
    write_file(path, records.to_json({"parameters": PARAMETERS}))
    with pytest.raises(NotOverwritten, match=f"{name}.*--voltages"):
        check_overwriting(path, PARAMETERS | changes, force=False, option="--voltages FILE")
    check_overwriting(path, PARAMETERS | changes, force=True)
    assert [
        found.partition(" ")[0] for found in records.differences(PARAMETERS, PARAMETERS | changes)
    ] == [name]


def test_of_two_runs_at_once_both_records_are_kept(tmp_path, capsys):
    path, runs = tmp_path / "file.json", ({"seed": 1}, {"seed": 2})
    path.write_text(records.to_json({"parameters": {"seed": 3}}))
    check_overwriting(path, runs[0], force=True)
    write_json(path, {"parameters": runs[0]}, overwrite=True)  # replaces what it has seen
    assert not (tmp_path / "file.1.json").exists()
    check_overwriting(path, runs[1], force=True)
    path.write_text(records.to_json({"parameters": runs[0], "score": 1}))  # the other run's
    write_json(path, {"parameters": runs[1]}, overwrite=True)
    assert "changed" in capsys.readouterr().out
    kept = [records.load_results(tmp_path / name) for name in ("file.1.json", "file.json")]
    assert [record["parameters"] for record in kept] == [*runs]


@pytest.mark.parametrize("content", ["notes", "{}", '{"parameters": 1}'])
def test_a_foreign_file_is_overwritten_by_force_alone(tmp_path, content):
    (tmp_path / "file").write_text(content)
    for parameters in (PARAMETERS, None):
        with pytest.raises(NotOverwritten, match="file"):
            check_overwriting(tmp_path / "file", parameters, force=False)
    check_overwriting(tmp_path / "file", None, force=True)


def test_a_file_that_the_run_needs_is_never_overwritten(tmp_path):
    path, link = tmp_path / "net.json", tmp_path / "link.json"
    path.write_text("{}")
    link.symlink_to(path)
    for other in (path, link, tmp_path / "folder" / ".." / "net.json"):
        with pytest.raises(NotOverwritten, match="net"):
            check_overwriting(path, PARAMETERS, force=True, others=[None, "epiram", other])
    check_overwriting(path, PARAMETERS, force=True, others=[tmp_path / "other.json"])


def test_links_are_written_through_and_stay(tmp_path):
    target, link = tmp_path / "folder" / "target.json", tmp_path / "link.json"
    link.symlink_to("folder/target.json")
    for content in ("new", "newer"):  # the target is missing, then there
        write_file(link, content)
        assert (
            link.is_symlink()
            and target.read_text() == content
            and list(target.parent.iterdir()) == [target]
        )


def test_places_that_cannot_be_written_are_found_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "below.json"):
        with pytest.raises(FileProblem, match=str(path)):
            check_overwriting(path, PARAMETERS, force=True)


RUN = {"rule": "error-driven", "learning": {"seed": 1, "dose": 0.02}}
PROGRESS = {
    "states": np.arange(12.0).reshape(3, 4),
    "done": 3,
    "history": np.zeros((20, 2), bool),
    "seconds": 1.5,
}


@pytest.fixture
def saved(tmp_path):
    path = records.checkpoint_path(tmp_path / "voltages.json")
    records.save_checkpoint(path, PROGRESS, RUN)
    assert path.parent == tmp_path
    return path


def test_a_checkpoint_is_resumed_or_given_up_explicitly(saved, tmp_path):
    loaded = resumed(saved, RUN, resume=True, force=False)
    assert loaded.keys() == PROGRESS.keys() and all(
        np.array_equal(loaded[name], value) for name, value in PROGRESS.items()
    )
    with pytest.raises(NotOverwritten, match="--resume"):
        resumed(saved, RUN, resume=False, force=False)
    assert resumed(saved, RUN, resume=False, force=True) is None
    assert resumed(tmp_path / "none", RUN, resume=False, force=False) is None
    with pytest.raises(FileProblem, match="none"):
        resumed(tmp_path / "none", RUN, resume=True, force=False)
    with pytest.raises(FileProblem, match=r"learning\.dose"):
        resumed(
            saved,
            {"rule": "error-driven", "learning": {"seed": 1, "dose": 0.05}},
            resume=True,
            force=False,
        )


def test_decisions_are_read_back(tmp_path):
    nan = math.nan
    spikes = 1e-6 * np.array([[100, 140.25], [nan, 90], [nan, nan], [50, 50.01]])
    records.save_decisions(
        tmp_path / "d.csv.gz", np.array([0, 1, 1, 0]), spikes, 0.5e-6, Schedule(sampling_step=11e-6)
    )
    table = records.load_decisions(tmp_path / "d.csv.gz")
    assert table["decision"].tolist() == ["0", "1", "silent", "tied"] and table[
        "paper_decision"
    ].tolist() == [0, 1, 0, 0]
    assert table["label"].tolist() == [0, 1, 1, 0]
    assert table["lead_us"].tolist() == pytest.approx([40.25, nan, nan, 0.01], nan_ok=True)
    assert table[["spike_0_us", "spike_1_us"]].to_numpy() == pytest.approx(
        spikes * 1e6, nan_ok=True
    )
    before = (tmp_path / "d.csv.gz").read_bytes()
    records.save_decisions(
        tmp_path / "d.csv.gz", np.array([0, 1, 1, 0]), spikes, 0.5e-6, Schedule(sampling_step=11e-6)
    )
    assert (tmp_path / "d.csv.gz").read_bytes() == before  # the same bytes from the same run
