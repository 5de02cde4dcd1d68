"""Work that is stopped is kept: whole checkpoints, what is saved and said at a stop, and no place where one passes by."""

import ast
import dis
import signal
import sys
import zipfile
from types import CodeType

import numpy as np
import pytest

import XPUE_memristive_training
from memristive.cli import training_runs
from memristive.cli.command_line import run
from memristive.cli.kept import kept_if_stopped, save_whole, way_on
from memristive.io.checkpoints import checkpoint_path, load_checkpoint
from memristive.io.files import ROOT

PROGRESS = {"done": 3, "states": np.arange(6.0).reshape(2, 3)}


def test_signal_waits_until_a_checkpoint_is_whole(tmp_path, monkeypatch):
    """In the middle of its archive, where zipfile makes a ValueError of what a handler raises."""
    close = zipfile.ZipFile._write_end_record

    def interrupted(archive):
        signal.raise_signal(signal.SIGINT)
        close(archive)
    monkeypatch.setattr(zipfile.ZipFile, "_write_end_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_whole(tmp_path / "some.checkpoint", PROGRESS, {"seed": 1})
    assert load_checkpoint(tmp_path / "some.checkpoint", {"seed": 1}, PROGRESS)["states"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, SystemExit])
def test_whatever_ends_work_early_it_is_saved_undisturbed_and_said(error, capsys):
    saved = []

    def save():
        signal.raise_signal(signal.SIGINT)
        saved.append(True)
        return "3 steps are saved"
    with pytest.raises(error), kept_if_stopped(save):
        raise error
    assert saved == [True] and capsys.readouterr().out == "3 steps are saved\n"


def test_where_nothing_is_to_be_saved_nothing_is_said(capsys):
    with pytest.raises(KeyboardInterrupt), kept_if_stopped(str):
        raise KeyboardInterrupt
    assert capsys.readouterr().out == ""


def test_work_that_ends_as_it_should_saves_for_itself():
    with kept_if_stopped(pytest.fail):
        pass


@pytest.fixture
def stopped_at(tmp_path, monkeypatch, capsys):
    """stopped_at(k): a training stopped at the k-th step of Python's in what presents the images, after the second of three:
    where that was (None: it ended before), its exit code, and what it said.
    """
    monkeypatch.setattr(training_runs, "CHECKPOINT_EVERY", 2)
    monkeypatch.setattr(training_runs, "draw", lambda *arguments, **more: None)
    frames = {training_runs.ErrorDrivenRun.train.__code__, training_runs.ErrorDrivenRun._present.__code__}
    count, place = 0, None

    def stop(frame, event, argument):
        nonlocal count, place
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_locals["self"]._learning.done > 1:
            count -= 1
            if count == 0:
                place = frame.f_code.co_name, frame.f_lineno
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return stop

    def run_to(step):
        nonlocal count, place
        count, place = step, None
        checkpoint_path(tmp_path / "v.json").unlink(missing_ok=True)
        sys.settrace(lambda frame, event, argument: stop if frame.f_code in frames else None)
        try:
            code = run(XPUE_memristive_training.main, ["--rule", "error-driven", "--presentations", "3", "--force",
                                                       "--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)])
        finally:
            sys.settrace(None)
        return place, code, capsys.readouterr()
    return run_to


@pytest.mark.usefixtures("ngspice")
def test_wherever_a_training_is_stopped_what_it_learned_is_kept(stopped_at, tmp_path):
    """Also between two presentations: there, Python 3.13 would pass by a handler that stands around the loop itself."""
    for step in range(1, 1000):
        place, code, said = stopped_at(step)
        if place is None:
            break
        assert code == 130 and checkpoint_path(tmp_path / "v.json").exists(), (step, place, said)
        assert "go on with --resume" in said.out or place[0] == "train", (step, place, said)
        assert said.err.endswith(": stopped by Ctrl-C\n") and said.err.count("\n") == 1, (step, place, said)
    assert 50 < step < 1000 and code == 0


# Where a stop passes by

def _passes_by(code):
    """Lines of jumps back that belong to no handler, though the loop does that they go on with; what stops there is not seen by
    the `with` or `try` around.
    """
    entries = dis.Bytecode(code).exception_entries

    def handler(offset):
        return next((entry.target for entry in entries if entry.start <= offset < entry.end), None)
    return {at.positions.lineno for at in dis.get_instructions(code)
            if at.opname == "JUMP_BACKWARD" and handler(at.offset) is None and handler(at.argval) is not None}


def _functions(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and not constant.co_name.startswith("<"):  # no comprehensions
            yield from _functions(constant)


def _loops(node, around=None):
    """(loop, the `with` or `try` of the same function right around it)."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.For, ast.While)) and around is not None:
            yield child, around
        inside = child if isinstance(child, (ast.With, ast.Try)) else around
        yield from _loops(child, None if isinstance(child, (ast.FunctionDef, ast.Lambda)) else inside)


def passed_by(source):
    """Lines of the loops of a module whose `with` or `try` does not see every stop, compiled by this Python."""
    jumps = {line for code in _functions(compile(source, "module", "exec")) for line in _passes_by(code)}
    return [loop.lineno for loop, _ in _loops(ast.parse(source)) if jumps & set(range(loop.lineno, loop.end_lineno + 1))]


LOOP = """
def work(steps):
    try:
        for step in steps:
            if step % 2:
                print(step)
    finally:
        print("saved")
"""


def test_python_passes_by_what_stands_around_some_loops():
    """Else there would be nothing to look for: 3.11 does not, 3.13 does."""
    assert passed_by(LOOP) == [4] * (sys.version_info[:2] == (3, 13)) or sys.version_info[:2] not in {(3, 11), (3, 13)}


WINGS = (".", "records", "spice", "learning", "workflow", "studies")
HELD = {"spice/engine.py", "spice/library.py"}  # signals are held back there, and delivered by calls


@pytest.mark.parametrize("path", sorted(str(path.relative_to(ROOT)) for wing in WINGS for path in ROOT.glob(f"{wing}/*.py")))
def test_no_stop_passes_by_what_stands_around_a_loop(path):
    """What `kept_if_stopped` says of loops."""
    assert passed_by((ROOT / path).read_text(encoding="utf-8")) == [] or path in HELD


def test_the_way_on_is_one_that_is_not_refused():
    assert (way_on(False), way_on(True)) == ("go on with --resume", "go on with --resume --force")
