"""Ctrl-C, SIGTERM and SIGKILL: finished work is kept, nothing is left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import ROOT, one_line, wait_until

READ = "MNIST_memristor_test.py"


def stopped(arguments, ready, folder, sent=signal.SIGINT, send=os.kill):
    """Start a script, send it the signal (to it alone, as a service manager does, or with os.killpg to its whole group, as a
    terminal does) once `ready()` is true; what it said.
    """
    process = subprocess.Popen([sys.executable, str(ROOT / arguments[0]), *map(str, arguments[1:]), "--figures", str(folder)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                               preexec_fn=_heed_interrupts if sent == signal.SIGINT else _ignore_interrupts)
    try:
        wait_until(lambda: ready(process.pid) or process.poll() is not None)
        assert process.poll() is None, process.communicate()  # before anybody has stopped it
        send(process.pid, sent)
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + sent, errors
        own = one_line(errors.strip().rpartition("\n")[2] if arguments[0] == "reproduce.py" else errors)  # its scripts say so too
        assert "Traceback" not in errors, errors
        assert own.endswith(f"stopped by {'Ctrl-C' if sent == signal.SIGINT else 'SIGTERM'}"), errors
        wait_until(lambda: not _left_behind(process.pid))  # the last are just ending
        return out
    finally:
        for left in _left_behind(process.pid):
            os.kill(left, signal.SIGKILL)


def _ignore_interrupts():
    # As a shell starts background jobs: SIGTERM must end them all the same.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _heed_interrupts():
    # A shell starts background jobs with Ctrl-C ignored, and their children inherit that: not what is tested here.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _left_behind(session):
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(folder.name))
    return found


PROGRAMS = [path.relative_to(ROOT) for pattern in ("*.py", "studies/*.py") for path in sorted(ROOT.glob(pattern))
            if "sys.exit(run(main))" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(("sent", "code", "said"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
@pytest.mark.parametrize("path", PROGRAMS, ids=str)
def test_stopped_while_python_loads_its_libraries(path, sent, code, said, tmp_path):
    """The signal comes in the middle of the first library's import: NumPy, or what stands here in its place."""
    (tmp_path / "numpy.py").write_text(f"import os, time; os.kill(os.getpid(), {int(sent)}); time.sleep(60)")
    start = [str(path)] if path.parent == Path() else ["-m", f"studies.{path.stem}"]
    process = subprocess.run([sys.executable, *start], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path)},
                             capture_output=True, text=True, timeout=60, preexec_fn=_heed_interrupts)
    assert (process.returncode, process.stdout, process.stderr) == (code, "", f"{path.name}: stopped by {said}\n")


@pytest.mark.parametrize(("error", "said"), [
    ("ImportError('some.so: no segment')", "ImportError: some.so: no segment"), ("MemoryError", "MemoryError"),
    ("RuntimeError('no new thread')", "RuntimeError: no new thread"), ("OSError('no\\nroom')", "OSError: no room")])
def test_library_that_cannot_be_loaded_is_one_line(error, said, tmp_path):
    """Where memory is short."""
    (tmp_path / "numpy.py").write_text(f"raise {error}")
    done = subprocess.run([sys.executable, "XPUE_memristive_training.py"], cwd=ROOT, capture_output=True, text=True, timeout=60,
                          env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"XPUE_memristive_training.py: a library cannot be loaded, or memory is short ({said})\n"


BOTH = pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])


@BOTH
def test_stopped_learning_saves_where_it_was(tmp_path, sent):
    voltages = tmp_path / "xpue.json"
    checkpoint = Path(f"{voltages}.checkpoint")
    arguments = ["XPUE_memristive_training.py", "--rule", "error-driven", "--presentations", 100000, "--voltages", voltages]
    said = stopped(arguments, lambda pid: checkpoint.exists(), tmp_path, sent)
    assert "--resume" in said, (said, sorted(tmp_path.iterdir()))
    with np.load(checkpoint) as arrays:
        assert 500 <= arrays["done"] < 100000


@BOTH
def test_stopped_long_transient_stops(tmp_path, sent):
    """One transient of half a minute (20x20): the run is left long before its end."""
    netlist = tmp_path / "started.cir"
    arguments = ["MNIST_memristive_training.py", "--size", 20, "--voltages", tmp_path / "v.json", "--netlist", netlist]
    stopped(arguments, lambda pid: netlist.exists(), tmp_path, sent)
    assert not (tmp_path / "v.json").exists()


@BOTH
def test_stopped_workers_leave_nothing_behind(tmp_path, temporary, sent):
    """Two workers at work; what they finished is kept if a range was done."""
    arguments = [READ, "--jobs", 2, "--voltages", ROOT / "voltages" / "mnist.json"]
    stopped(arguments, lambda pid: list(temporary.glob("*/*.began")), tmp_path / "figures", sent)
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} <= {".gz"}  # no lock, no half file


def test_ctrl_c_while_workers_load_their_libraries_is_one_line(tmp_path, temporary):
    """It reaches the whole group, and these workers are a few milliseconds old."""
    stopped([READ, "--jobs", 2], lambda pid: len(_commands(pid, "popen_loky")) == 2, tmp_path / "figures", send=os.killpg)


# As studies and reads of layers do: two workers with work that nobody will ever ask for.
STUDY = """
import os, pathlib, time
from memristive.cli.monte_carlo import on_cores
def work(k):
    note = pathlib.Path(os.environ["TMPDIR"], "work", f"{k}.new")
    note.write_text(str(os.getpid()))
    note.rename(note.with_suffix(".began"))
    time.sleep(600)
list(on_cores(work, [1, 2], 2))
"""


@pytest.mark.parametrize("command", [[READ, "--jobs", "2"], ["-c", STUDY]], ids=["test", "study"])
def test_killed_test_takes_its_workers_with_it(command, tmp_path, temporary):
    """Or a killed study: SIGKILL leaves no time for clearing up, the workers notice."""
    (temporary / "work").mkdir()
    killed([*command, "--figures", str(tmp_path / "figures")],
           lambda _: len({note.read_text() for note in temporary.glob("*/*.began")} - {""}) == 2)  # both at work


def killed(command, ready):
    """Kill what python runs of a `command` once it is ready(pid), and wait for all that it started to end."""
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    try:
        wait_until(lambda: ready(process.pid))
        process.kill()
        process.wait()
        wait_until(lambda: not _left_behind(process.pid))
    finally:
        for left in _left_behind(process.pid):
            os.kill(left, signal.SIGKILL)


# Work that its workers take seconds to load.
LATE = """
import os, pathlib, time
def late(k):
    pathlib.Path(os.environ["TMPDIR"], "work", f"{k}.loading").touch()
    time.sleep(3)
    return k
class Late:
    def __init__(self, k): self.k = k
    def __reduce__(self): return late, (self.k,)
"""


def test_study_that_is_killed_while_its_workers_load_their_libraries_takes_them_with_it(temporary):
    """They are adopted before they look who their parent is."""
    (temporary / "work").mkdir()
    killed(["-c", LATE + STUDY.replace("[1, 2], 2", "[Late(1), Late(2)], 2")],
           lambda _: len(list(temporary.glob("work/*.loading"))) == 2)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where the scripts that a test starts keep temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.mark.parametrize(("name", "sent"), [("reproduce.py", signal.SIGINT), ("reproduce.py", signal.SIGTERM),
                                            ("verify.py", signal.SIGTERM)])
def test_stopped_series_ends_with_the_script_at_work(name, sent, tmp_path):
    """reproduce.py once its first script is at work; verify.py in the middle of its own."""
    ready = (lambda pid: _commands(pid, "memristor")) if name == "reproduce.py" else _simulates
    stopped([name], ready, tmp_path, sent)


def _simulates(pid):
    """Whether ngspice is loaded and the process has used the processor for more than all imports take."""
    ticks = sum(map(int, _read(Path("/proc") / str(pid) / "stat").rpartition(")")[2].split()[11:13]))
    return "libngspice" in _read(Path("/proc") / str(pid) / "maps") and ticks > 6 * os.sysconf("SC_CLK_TCK")


def _commands(session, words):
    """Processes of a session whose command line holds `words`."""
    return [pid for pid in _left_behind(session) if words in _read(Path("/proc") / str(pid) / "cmdline")]


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return ""
