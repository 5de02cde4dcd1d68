"""Files are whole or not there, whatever happens to the process that writes them."""

import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from memristive.io import files
from memristive.io.files import FileProblem, atomic_write, check_working_folder, check_writable, to_json
from memristive.io.results import load_results, path_in_project, results_path, versions, write_results
from tests.helpers import ROOT


def in_process(script, *arguments):
    """Run a script in a process of its own, from the project's folder; return what it printed, as a list of words."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.suffix == ".tmp"]


KILL = r"""
import os, random, signal, sys, time
from pathlib import Path
from memristive.io.files import atomic_write

path = Path(sys.argv[1])
texts = [letter * 3_000_000 for letter in "ab"]
atomic_write(path, texts[0])
start = time.perf_counter()
atomic_write(path, texts[1])
usual = time.perf_counter() - start
generator = random.Random(5)
seen = {"a": 0, "b": 0, "torn": 0, "killed_while_writing": 0}
rounds = 0
while rounds < 40 or (rounds < 1000 and not (seen["a"] and seen["b"] and seen["killed_while_writing"] >= 5)):
    rounds += 1
    child = os.fork()
    if child == 0:
        while True:
            for text in texts:
                atomic_write(path, text)
    time.sleep(generator.uniform(0.2, 3) * usual)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    content = path.read_text()
    seen[content[:1] if content in texts else "torn"] += 1
    rest = [other for other in path.parent.iterdir() if other != path]
    seen["killed_while_writing"] += bool(rest)
    for other in rest:
        other.unlink()
print(*seen.values(), rounds)
"""


def test_results_name_the_projects_files_from_its_folder(tmp_path, monkeypatch):
    root = ROOT
    monkeypatch.chdir(root / "tests")
    for path in (root / "voltages" / "xpue.json", "../voltages/xpue.json"):
        assert path_in_project(path) == "voltages/xpue.json"
    assert path_in_project(tmp_path / "x.json") == str(tmp_path / "x.json")


@pytest.mark.process
def test_file_is_old_or_new_but_whole_when_its_writer_is_killed_at_any_moment(tmp_path):
    old, new, torn, while_writing, rounds = map(int, in_process(KILL, tmp_path / "some.json"))
    assert torn == 0
    assert old + new == rounds
    assert min(old, new) >= 1  # writers got on with their work ...
    assert while_writing >= 5  # ... and were killed in the middle of it, not beside it


@pytest.mark.parametrize("content", ["text \u00b5\n", b"\x00\xff bytes"])
def test_content_arrives_and_replaces_what_was_there(tmp_path, content):
    path = tmp_path / "new" / "folder" / "some.json"
    for data in (b"before", content):
        atomic_write(str(path), data)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [other.name for other in path.parent.iterdir()] == ["some.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # others may read it, as any file; temporary files are private


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    atomic_write(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


def test_a_device_is_written_not_replaced(tmp_path):
    """Whoever may write to /dev could otherwise turn /dev/null into a file; a pipe stands in for it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        try:
            atomic_write(pipe, "text")
            assert reader.communicate(timeout=120)[0] == "text"
        finally:
            reader.kill()  # it would wait for a writer for ever
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_write_that_is_interrupted_leaves_the_old_file_and_no_leftover(tmp_path, monkeypatch):
    path = tmp_path / "some.json"
    atomic_write(path, "old")

    def ctrl_c(*arguments):
        raise KeyboardInterrupt
    monkeypatch.setattr(files.os, "fsync", ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, "new")
    assert path.read_text() == "old" and leftovers(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file_and_no_leftover(tmp_path, monkeypatch, step):
    path = tmp_path / "some.json"
    atomic_write(path, "old")

    def full(*arguments):
        raise OSError(28, os.strerror(28))
    monkeypatch.setattr(files.os, step, full)
    with pytest.raises(FileProblem, match=r"some\.json cannot be written: No space left on device"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_temporary_lies_hidden_beside_its_file_and_may_be_gone_when_it_is_taken_away(tmp_path, monkeypatch):
    """A rename is atomic within one disk alone; which file a leftover belonged to is in its name."""
    seen = []

    def lose(source, target):
        seen.append((os.path.dirname(source), os.path.basename(source), target))
        os.unlink(source)
        raise OSError(5, os.strerror(5))
    monkeypatch.setattr(files.os, "replace", lose)
    with pytest.raises(FileProblem, match="cannot be written: Input/output error"):
        atomic_write(tmp_path / "some.json", "text")
    (folder, name, target), = seen
    assert folder == str(tmp_path) and target == tmp_path / "some.json"
    assert name.startswith(".some.json.") and name.endswith(".tmp")


def test_the_folder_is_synced_after_the_rename_where_folders_can_be_opened(tmp_path, monkeypatch):
    """The text before the rename, the folder after it, and no descriptor stays open; Windows opens no folders."""
    path, said = tmp_path / "some.json", []
    originals = {name: getattr(os, name) for name in ("open", "fsync")}

    def fsync(descriptor):
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        said.append(("folder" if folder else "file", path.exists()))
        originals["fsync"](descriptor)

    def refuse(place, *arguments, **more):
        if os.path.isdir(place):
            raise PermissionError(13, os.strerror(13))
        return originals["open"](place, *arguments, **more)
    monkeypatch.setattr(files.os, "fsync", fsync)
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else None
    atomic_write(path, "old")
    assert said == [("file", False), ("folder", True)]
    assert before is None or len(os.listdir("/proc/self/fd")) == len(before)
    monkeypatch.setattr(files.os, "open", refuse)
    atomic_write(path, "new")
    assert path.read_text() == "new" and said[2:] == [("file", True)]


LIMIT = r"""
import resource, sys
from pathlib import Path
from memristive.io.files import FileProblem, atomic_write
path = Path(sys.argv[1])
atomic_write(path, "o" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    atomic_write(path, "n" * 1_000_000)
except FileProblem as problem:
    print("problem" if "some.json cannot be written: File too large" in str(problem) else problem)
print(len(path.read_text()), len(list(path.parent.iterdir())))
"""


@pytest.mark.process
def test_write_that_breaks_off_half_way_leaves_the_old_file(tmp_path):
    assert in_process(LIMIT, tmp_path / "some.json") == ["problem", "1000", "1"]


UNWRITABLE = r"""
import os, sys
from memristive.io.files import FileProblem, atomic_write
os.chdir(sys.argv[1])  # relative paths need no permission for the folders above
if os.geteuid() == 0:  # permissions do not hold root back
    os.seteuid(65534)
for name in ("locked/some.json", "locked/new/some.json"):
    try:
        atomic_write(name, "text")
    except FileProblem as problem:
        print("problem" if "some.json cannot be written: Permission denied" in str(problem) else problem)
"""


@pytest.mark.process
def test_folder_without_permission_is_a_file_problem(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    tmp_path.chmod(0o755)  # pytest keeps it private, but whoever runs the script must get into it
    assert in_process(UNWRITABLE, tmp_path) == ["problem", "problem"]
    assert list((tmp_path / "locked").iterdir()) == []


@pytest.mark.parametrize(("name", "reason"), [
    ("file/some.json", "/file is a file, no folder$"), ("folder", "[Ii]s a directory"),
    ("x" * 300, "File name too long")])
def test_path_that_cannot_be_written_is_named_with_the_reason(tmp_path, name, reason):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileProblem, match=reason) as caught:
        atomic_write(tmp_path / name, "text")
    assert name in str(caught.value)
    assert leftovers(tmp_path) == []


def test_numbers_become_json_and_what_is_none_becomes_null():
    data = {"array": np.array([[1.5, np.nan], [np.inf, -2.0]]), 3: np.float64(0.1), "flag": np.bool_(True),
            "whole": np.int64(7), "pair": (1, -np.inf), "text": "\u00b5", "none": None}
    plain = json.loads(to_json(data))
    assert plain == {"array": [[1.5, None], [None, -2.0]], "3": 0.1, "flag": True, "whole": 7, "pair": [1, None],
                     "text": "\u00b5", "none": None}
    assert "NaN" not in to_json(data)
    assert to_json({"a": [1]}) == '{\n "a": [\n  1\n ]\n}\n'  # a value a line: differences of committed files can be read


def test_results_carry_parameters_and_versions(tmp_path, ngspice, parameters):
    path = write_results(tmp_path / "figures", "some", ngspice, parameters.as_dict(), {"accuracy": 0.5, "lead": np.nan})
    assert path == tmp_path / "figures" / "some_results.json"
    content = json.loads(path.read_text())
    assert (content["accuracy"], content["lead"]) == (0.5, None)
    assert content["parameters"]["memristor"]["transconductance"] == 5e-9
    assert content["versions"] == versions(ngspice)
    assert content["versions"]["ngspice"] == ngspice.version >= 34
    assert content["versions"]["numpy"] == np.__version__
    assert {"PySpice", "scipy"} <= set(content["versions"])


def test_place_that_could_not_be_written_is_named_with_the_systems_reason(tmp_path):
    """Nested folders are made; nothing else is left."""
    check_writable(tmp_path / "new" / "folder" / "some.json")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["new", "new/folder"]
    with pytest.raises(FileProblem, match=r"new cannot be written: Is a directory$"):
        check_writable(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(FileProblem, match=rf"some\.json cannot be written: {tmp_path / 'file'} is a file, no folder$"):
        check_writable(tmp_path / "file" / "some.json")
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")
    with pytest.raises(FileProblem, match="one cannot be written: Too many levels"):
        check_writable(tmp_path / "one")
    with pytest.raises(FileProblem, match="one cannot be written: Too many levels"):
        atomic_write(tmp_path / "one", "text")
    assert (tmp_path / "one").is_symlink() and (tmp_path / "other").is_symlink()


class Session:
    """What results need of an ngspice session."""

    version = 44


def test_results_are_kept_and_read_back_with_what_made_them(tmp_path):
    """Where ngspice had no part, its version is not claimed."""
    path = write_results(tmp_path, "some", Session(), {"seed": 1}, {"accuracy": 0.5})
    assert path == results_path(str(tmp_path), "some") == tmp_path / "some_results.json"
    packages = {"PySpice", "numpy", "scipy", "scikit-learn", "pillow"}
    assert versions(None).keys() == packages and versions(Session()) == {"ngspice": 44} | versions(None)
    assert versions(None)["numpy"] == np.__version__
    assert load_results(str(tmp_path), "some") == {"accuracy": 0.5, "parameters": {"seed": 1}, "versions": versions(Session())}


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), ("{", "Expecting"), (b"\xff", "decode")])
def test_results_that_cannot_be_read_are_named(tmp_path, content, words):
    if content is not None:
        results_path(tmp_path, "some").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FileProblem, match=rf"some_results\.json cannot be read: .*{words}"):
        load_results(tmp_path, "some")


def test_working_folder_that_was_removed_is_told(tmp_path, monkeypatch):
    check_working_folder()
    (folder := tmp_path / "gone").mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(FileProblem, match=r"^the working folder is not there any more: go to one that is$"):
        check_working_folder()
