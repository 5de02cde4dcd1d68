"""Chains of scripts, several at a time: their order, what they say, and that one which fails stops the others."""

import os
import re
import signal
import subprocess
import sys

import pytest

from memristive.cli.side_by_side import run_alone, run_side_by_side

WAIT = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
written = folder / f"{sys.argv[2]}.new"
written.write_text(str(os.getpid()))
written.rename(folder / sys.argv[2])
until = time.monotonic() + 60
while not (folder / sys.argv[3]).exists():
    if time.monotonic() > until:
        sys.exit("nobody came")
    time.sleep(0.02)
print(sys.argv[2], "met", sys.argv[3])
"""


def says(text, code=0):
    return ["-c", f"import sys; print({text!r}); print('and {text}', file=sys.stderr); sys.exit({code})"]


def test_chain_runs_in_its_order_and_each_output_is_whole(capsys):
    assert run_side_by_side([[says("one"), says("two")], [says("three")]], 1) == 0
    out, errors = capsys.readouterr()
    assert re.findall(r"^(one|two|three)$", out, re.MULTILINE) == ["one", "two", "three"]
    assert re.search(r"^\$ python -c .*'one'.*  # \d+\.\d s\none\n", out, re.MULTILINE)
    assert errors == "and one\nand two\nand three\n"


def test_lanes_run_at_the_same_time(tmp_path, capsys):
    """Each waits for the other: one after the other the first would wait in vain."""
    meeting = [[["-c", WAIT, str(tmp_path), *names]] for names in (("a", "b"), ("b", "a"))]
    assert run_side_by_side(meeting, 2) == 0
    out = capsys.readouterr().out
    assert "a met b" in out and "b met a" in out


def test_one_that_fails_is_named_and_stops_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["somewhere/reproduce.py"])
    never = ["-c", f"print('waiting', flush=True)\n{WAIT}", str(tmp_path), "a", "never"]
    bad = ["-c", f"{WAIT}\nsys.exit(3)", str(tmp_path), "bad", "a"]
    assert run_side_by_side([[never], [bad, says("not reached")], [says("nor this")]], 2) == 3
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "a").read_text()), 0)
    out, errors = capsys.readouterr()
    assert "not reached" not in out and "nor this" not in out and "bad met a\n" in out and "\nwaiting\n" in out
    assert "reproduce.py: -c ended with exit code 3; what ran before is kept\n" in errors


def test_alone(capfd):
    assert run_alone(says("by itself")) == 0
    assert run_alone(says("badly", 2)) == 2
    out, errors = capfd.readouterr()
    assert "by itself\n" in out and "ended with exit code 2" in errors


@pytest.mark.parametrize("way", ["first", "second", "alone"])
def test_ctrl_c_while_a_script_is_started_stops_it(way, tmp_path, monkeypatch, capsys):
    """Between its start and the moment from which it is known."""
    began = []

    class Started(subprocess.Popen):
        def __init__(self, command, **options):
            super().__init__(command, **options)
            if "never" in command:
                began.append(self)
                signal.raise_signal(signal.SIGINT)
    monkeypatch.setattr(subprocess, "Popen", Started)
    waits = ["-c", WAIT, str(tmp_path), "a", "never"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            run_alone(waits) if way == "alone" else run_side_by_side([[says("one"), waits][way == "first":]], 1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(began) == 1 and began[0].returncode is not None
