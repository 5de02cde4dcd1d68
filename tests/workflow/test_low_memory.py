"""Where memory or room for processes is short: one line, or a result all the same."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import plotting
from memristive.cli import command_line, evaluation, monte_carlo
from memristive.cli.command_line import make_parser, run
from tests.helpers import ROOT


@pytest.mark.parametrize("error", [MemoryError(), ImportError("a.so:\ntoo large")])
def test_memory_that_runs_out_is_one_line(error, monkeypatch, capsys):
    def main(arguments):
        raise error
    monkeypatch.setattr("sys.argv", ["page.py"])
    said = "ImportError: a.so: too large" if str(error) else "MemoryError"
    assert run(main) == 1
    assert capsys.readouterr() == ("", f"page.py: a library cannot be loaded, or memory is short ({said})\n")


def test_figures_are_loaded_where_there_is_no_room_for_a_thread(monkeypatch):
    def no_room(thread):
        raise RuntimeError("can't start new thread")
    styled, early = [], []
    monkeypatch.setattr(plotting, "style", styled.append)
    monkeypatch.setattr(command_line.threading.Thread, "start", no_room)
    monkeypatch.setattr(command_line, "_early", early)
    make_parser(None).parse_args([])
    assert styled == [False] and early == []


def test_what_fails_to_be_loaded_early_says_nothing_and_is_waited_for(monkeypatch, capsys):
    """It fails again where it is needed."""
    entered, early = threading.Event(), []

    def fails(show):
        entered.wait(120)
        raise MemoryError
    monkeypatch.setattr(plotting, "style", fails)
    monkeypatch.setattr(command_line, "_early", early)
    make_parser(None).parse_args([])
    assert early[0].is_alive()
    entered.set()
    command_line.figures_loaded()
    assert not early[0].is_alive() and capsys.readouterr() == ("", "")


def test_without_semaphores_all_is_done_in_this_process(monkeypatch):
    """Where /dev/shm is read-only joblib falls back to threads, of which ngspice allows one."""
    monkeypatch.setattr(evaluation, "joblib_multiprocessing", None)
    found = dict(monte_carlo.on_cores(lambda task: (task, os.getpid()), [3, 4, 5], 2))
    assert found == {k: (k + 3, os.getpid()) for k in range(3)}
    ranges = []
    monkeypatch.setattr(evaluation, "read_range", lambda task: (task, np.zeros((1, 2))))
    evaluation._run([5, 6], 2, lambda first, part: ranges.append(first))
    assert ranges == [5, 6]


@pytest.mark.process
@pytest.mark.parametrize(("problem", "said"), [("MemoryError()", "memory is short (MemoryError)"),
                                               ("ImportError('x')", "memory is short (ImportError: x)"),
                                               ("ZeroDivisionError()", "Traceback")])
def test_memory_too_short_for_the_words_on_it_is_one_line(problem, said):
    """While Python loads, before `run` takes over: what is to say it has to be loaded as well."""
    program = f"import memristive.cli.loading, sys; sys.modules['memristive.cli.process'] = None; raise {problem}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and said in done.stderr
    assert said == "Traceback" or done.stderr == f"-c: a library cannot be loaded, or {said}\n"
