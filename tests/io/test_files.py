"""Atomic writes, JSON, and no overwriting of files that were made with other parameters."""

import gzip
import json
import math
import os
import stat
import threading
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import plotting
from memristive.io.records import FileProblem, NotOverwritten, check_overwriting, differences, save_decisions, to_json, write_file

PARAMETERS = {"rule": "hebbian", "network": {"neuron": {"threshold": 4.0}}, "shape": (3, 3)}


def test_json_is_plain_numbers():
    data = {"array": np.array([[1.0, np.nan]]), "number": np.float64(0.1), "count": np.int64(3), "path": Path("a/b"), 1: math.inf}
    assert json.loads(to_json(data)) == {"array": [[1.0, None]], "number": 0.1, "count": 3, "path": "a/b", "1": None}


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
    for content in ({"parameters": PARAMETERS, "seconds": 1.0}, PARAMETERS | {"voltages": [[1.0]]}):  # a record, a voltages file
        write_file(path, to_json(content))
        check_overwriting(path, PARAMETERS, force=False)
        check_overwriting(path, PARAMETERS | {"newer": 1}, force=False)


@pytest.mark.parametrize(("changes", "name"), [
    ({"network": {"neuron": {"threshold": 3.0}}}, "network.neuron.threshold"), ({"shape": (5, 3)}, "shape"),
    ({"chip": {"seed": 1}}, "chip"), ({"rule": None}, "rule")])
def test_a_file_of_other_parameters_is_overwritten_by_force_alone(tmp_path, changes, name):
    path = tmp_path / "file.json"
    write_file(path, to_json({"parameters": PARAMETERS}))
    with pytest.raises(NotOverwritten, match=name):
        check_overwriting(path, PARAMETERS | changes, force=False)
    check_overwriting(path, PARAMETERS | changes, force=True)
    assert [found.partition(" ")[0] for found in differences(PARAMETERS, PARAMETERS | changes)] == [name]


@pytest.mark.parametrize("content", ["notes", "{}", '{"parameters": 1}'])
def test_a_foreign_file_is_overwritten_by_force_alone(tmp_path, content):
    (tmp_path / "file").write_text(content)
    for parameters in (PARAMETERS, None):
        with pytest.raises(NotOverwritten, match="file"):
            check_overwriting(tmp_path / "file", parameters, force=False)
    check_overwriting(tmp_path / "file", None, force=True)


def test_figures_and_decisions_replace_their_own_kind_alone(tmp_path):
    figure, decisions = tmp_path / "a.png", tmp_path / "a.csv.gz"

    def save():
        plotting.save(plt.figure(), figure)
        save_decisions(decisions, np.array([0]), np.array([[1e-4, 2e-4]]), 1e-6)
    save()
    save()
    for path in (figure, decisions):
        for foreign in (b"notes", gzip.compress(b"my,own,table"), b"\x89PNG Software Matplotlib"):
            mine = path.read_bytes()
            path.write_bytes(foreign)
            with pytest.raises(NotOverwritten, match=path.name):
                save()
            assert path.read_bytes() == foreign
            path.write_bytes(mine)


def test_a_file_that_the_run_needs_is_never_overwritten(tmp_path):
    path, link = tmp_path / "net.json", tmp_path / "link.json"
    path.write_text("{}")
    link.symlink_to(path)
    for other in (path, link, tmp_path / "folder" / ".." / "net.json"):
        with pytest.raises(NotOverwritten, match="net"):
            check_overwriting(path, PARAMETERS, force=True, others=[None, "epiram", other])
    check_overwriting(path, PARAMETERS, force=True, others=[tmp_path / "other.json"])


def test_links_devices_and_pipes_are_written_through_and_stay(tmp_path):
    target, link, fifo = tmp_path / "folder" / "target.json", tmp_path / "link.json", tmp_path / "fifo"
    link.symlink_to("folder/target.json")
    for content in ("new", "newer"):  # the target is missing, then there
        write_file(link, content)
        assert link.is_symlink() and target.read_text() == content and list(target.parent.iterdir()) == [target]
    os.mkfifo(fifo)
    received = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()), daemon=True)
    reader.start()
    check_overwriting(fifo, PARAMETERS, force=False)  # does not read, and so does not wait
    write_file(fifo, "text")
    reader.join(timeout=60)
    assert received == [b"text"] and stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_device_stays_a_device(tmp_path):
    null, full = tmp_path / "null", tmp_path / "full"
    try:
        for path, number in ((null, 3), (full, 7)):
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, number))
        null.write_text("")
    except PermissionError:
        pytest.skip("only root may make devices")
    for path in (null, full):
        check_overwriting(path, None, force=False)
    write_file(null, "text")
    with pytest.raises(FileProblem, match="full"):
        write_file(full, "text")
    assert stat.S_ISCHR(null.stat().st_mode) and stat.S_ISCHR(full.stat().st_mode)


def test_places_that_cannot_be_written_are_found_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "below.json"):
        with pytest.raises(FileProblem, match=str(path)):
            check_overwriting(path, PARAMETERS, force=True)
