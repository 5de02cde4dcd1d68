"""Where memory is short: one line, and figures that are drawn as ever or not at all."""

import threading

import pytest

import plotting
from workflow import command_line
from workflow.command_line import make_parser, run


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
        entered.wait(10)
        raise MemoryError
    monkeypatch.setattr(plotting, "style", fails)
    monkeypatch.setattr(command_line, "_early", early)
    make_parser(None).parse_args([])
    assert early[0].is_alive()
    entered.set()
    command_line.figures_loaded()
    assert not early[0].is_alive() and capsys.readouterr() == ("", "")
