"""What stands in a netlist and in the files that it includes, without ngspice."""

import pytest

from spice.deck import drawn_at_random, included, malformed, remembers, unheard, untitled
from spice.errors import SimulationError


def test_title_goes_and_nothing_else():
    assert untitled("An error\nR1 a b 1\n .title another error\nR2 a b 2\n") == "* untitled\nR1 a b 1\n*\nR2 a b 2\n"
    assert untitled("alone") == "* untitled\n"


@pytest.mark.parametrize(("text", "names"), [
    ('.include "a b.inc"', ["a b.inc"]), (".INC 'a b.inc'", ["a b.inc"]), ("  .incl c.inc;note", ["c.inc"]),
    (".include c.inc $ note", ["c.inc"]), (".lib 'c.inc' tt", ["c.inc"]), (".lib tt", []), ("* .include c.inc", []),
    (".include c.inc\n.include 'a b.inc'", ["c.inc", "a b.inc"]), (".include $PLACE/c.inc", ["c.inc"]),
    (".include ~/c.inc", ["c.inc"]), (".include deep/d.inc", ["deep/d.inc", "deep/e.inc"])])
def test_files_are_found_as_ngspice_finds_them(tmp_path, monkeypatch, text, names):
    """From the working folder, with the environment's names, and those that a file includes from the file's own folder."""
    (tmp_path / "deep").mkdir()
    for name in ("a b.inc", "c.inc", "deep/e.inc"):
        (tmp_path / name).write_text(f"* {name}\n")
    (tmp_path / "deep" / "d.inc").write_text(".include e.inc\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    found = included(f"title\n{text}\n")
    assert list(found) == [str(tmp_path / name) for name in names]
    assert found == {str(tmp_path / name): (tmp_path / name).read_text() for name in names}


def test_file_may_name_one_of_the_working_folder_and_hold_letters_of_any_encoding(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "d.inc").write_text(".include here.inc\n")
    (tmp_path / "here.inc").write_bytes(b"* Gr\xf6sse\nA1 [a] [b] adc\n")
    monkeypatch.chdir(tmp_path)
    found = included("title\n.include deep/d.inc\n")
    assert list(found) == [str(tmp_path / "deep" / "d.inc"), str(tmp_path / "here.inc")] and remembers("\n".join(found.values()))


@pytest.mark.parametrize("text", [".include nowhere", ".lib nowhere tt", ".include ."])
def test_file_that_is_not_there_is_named(text):
    with pytest.raises(SimulationError, match=r"^Could not find include file (nowhere|\.)$"):
        included(f"title\n{text}\n")


def test_circle_of_files_is_named_with_its_length(tmp_path):
    for one, other in ("ab", "ba"):
        (tmp_path / one).write_text(f".include {tmp_path / other}\n")
    with pytest.raises(SimulationError, match=rf"^{tmp_path / 'a'} includes itself, by way of 2 files$"):
        included(f"title\n.include {tmp_path / 'a'}\n")
    (tmp_path / "self").write_text(f".lib {tmp_path / 'self'} tt\n")
    assert len(included(f"title\n.lib {tmp_path / 'self'} ss\n")) == 1


@pytest.mark.parametrize(("text", "expected"), [
    ("A1 [a] [b] adc", True), ("  u1 a b c", True), ("B1 a 0 v=ddt(v(b))", True), ("B1 a 0 v=IDT (v(b))", True),
    ("R1 a b r='hertz'", True), (".meas tran x param='y'", True), (".meas tran x max v(a)", False), ("R1 a b 1", False),
    ("* a comment about A1", False), ("R1 add dtt 1", False), ("E1 a 0 b 0 1 $ hertzian", False)])
def test_what_remembers_is_told(text, expected):
    assert remembers(f"* untitled\n{text}\n") is expected


def test_what_is_drawn_is_told():
    assert drawn_at_random(".param x=GAUSS (1, 0.1, 3)") is True and drawn_at_random(".param gauss=1") is False


@pytest.mark.parametrize(("file", "said"), [
    ("R1 a temper 1", "'r1 a temper 1': no node can be called 'temper', which is ngspice's own; rename it"),
    ("X1 temper b half", "'x1 temper b half': no node can be called 'temper', which is ngspice's own; rename it"),
    ("X1 a Time half", "'x1 a time half': no node can be called 'time', which is ngspice's own; rename it"),
    ("X1 a b time", ""), ("X1 a b half time=3", ""), ("R1 a b temper", ""), ("B1 a 0 v=temper", ""),
    (".save none", "a node called 'none' cannot be saved: to ngspice it means no points, of every circuit here; rename it"),
    (".control\nquit\n.endc", "a .control section is a script of its own, which changes other circuits too: use alter, run, op, "
     "dc, ac"),
    ("R1 \u00e9 b 1", "'r1 \u00e9 b 1' cannot be told apart from others: ngspice takes every letter that is not ASCII for '_'"),
    ("R1 a b 1 ; \u00e9", "")])
def test_what_no_file_may_hold(file, said):
    assert malformed("title\nR9 a b 1\n", [file + "\n"]) == malformed("title\nR9 a b 1\n", ["R8 a b 1\n", file + "\n"]) == said


SUBCIRCUITS = (".subckt cell p q x0=0 w = 1u\nR1 p q {x0}\n.ends\n.SUBCKT bare p q\n.ends\n"
               ".subckt other p q PARAMS: gain={2 * 3}\n.ends\n")


@pytest.mark.parametrize(("line", "said"), [
    ("X1 a b cell x0=1", []), ("X1 a b CELL X0 = 1 W=2u m=3", []), ("X1 a b cell", []), ("X1 a b other params: gain=1", []),
    ("X1 a b cell x0={a + b = c} w='2 * x'", []), ("X1 a b elsewhere y=1", []), ("R1 a b 1k tc1=2", []),
    ("* X1 a b bare y=1", []), ("X", []), (".subckt", []),
    ("X1 a b cell x_0=1", ["subcircuit cell has no parameter x_0, which x1 gives it"]),
    ("X1 a b cell x0=1\n+ width = {2 * 3} height=1", ["subcircuit cell has no parameter width, height, which x1 gives it"]),
    ("X1 a b bare x0=1\nXtwo a b other params: w=1", ["subcircuit bare has no parameter x0, which x1 gives it",
                                                     "subcircuit other has no parameter w, which xtwo gives it"])])
def test_parameters_that_no_subcircuit_hears_are_found(line, said):
    """Its own and in a file, which has no title."""
    assert unheard(f"title\n{SUBCIRCUITS}{line}\n") == said
    assert unheard(f"title\n{line}\n", [SUBCIRCUITS]) == said
    assert unheard("title\n", [SUBCIRCUITS, line]) == said
