"""Files that a netlist includes: seen however they are named, not taken from elsewhere, the same when loaded again."""


import pytest

from spice.deck import included, remembers, settled_files
from spice.session import SimulationError, Solver


@pytest.mark.parametrize("change", [lambda file: file.write_text(".param gain=7\n"), lambda file: file.unlink()])
def test_file_that_has_changed_since_makes_no_other_circuit_of_it(loaded, tmp_path, change):
    circuits, file = {}, tmp_path / "params.inc"
    for gain in (1, 2):
        file.write_text(f".param gain={gain}\n")
        circuits[gain] = loaded(f"t\n.include {file}\nV1 a 0 {{gain}}\nB1 b 0 V=ddt(v(a))\nR1 b 0 1k\n", "a")
    assert circuits[2].op()["a"] == circuits[2].op()["a"] == 2.0
    change(file)
    assert circuits[1].op()["a"] == 1.0  # as it was loaded
    for _ in range(2):
        with pytest.raises(SimulationError, match=r"params\.inc has changed since|include file .*params\.inc|unloaded"):
            circuits[2].op()


@pytest.mark.parametrize("statement", [".include {}", ".INC '{}'", '.incl "{}"', ".lib {} tt", ".include $MODELS/parts.inc"])
def test_what_files_hold_is_seen_however_they_are_included(tmp_path, monkeypatch, statement):
    monkeypatch.setenv("MODELS", str(tmp_path))
    (tmp_path / "parts.inc").write_text("A1 [a] [b] adc\n")
    found = included(f"t\n{statement.format(tmp_path / 'parts.inc')}\n")
    assert list(found) == [str(tmp_path / "parts.inc")] and remembers(found[str(tmp_path / "parts.inc")])


@pytest.mark.parametrize("statement", [".include nowhere.inc", ".lib nowhere.lib tt"])
def test_file_that_another_circuit_would_lend_is_missing(loaded, tmp_path, statement):
    """ngspice looks in the folder that the circuit loaded before had files from."""
    held = {"nowhere.inc": "R5 a 0 7k\n", "nowhere.lib": ".lib tt\nR5 a 0 7k\n.endl\n", "own.inc": "R9 a 0 1k\n"}
    for name, text in held.items():
        (tmp_path / name).write_text(text)
    loaded(f"t\nV1 a 0 1\n.include {tmp_path / 'own.inc'}\n", "a")
    with pytest.raises(SimulationError, match="Could not find include file nowhere"):
        loaded(f"t\nV1 a 0 1\nR1 a 0 1k\n{statement}\n", "a")


@pytest.mark.parametrize(("text", "words"), [(".save none\n", "a node called 'none' cannot be saved"),
                                             ("R8 \u00e9 0 1k\n", "takes every letter that is not ASCII")])
def test_what_no_file_may_hold_is_refused(loaded, tmp_path, text, words):
    (tmp_path / "own.inc").write_text(text, encoding="utf-8")
    with pytest.raises(SimulationError, match=words):
        loaded(f"t\nV1 a 0 1\nR1 a 0 1k\n.include {tmp_path / 'own.inc'};with a comment\n", "a")


def test_library_may_refer_to_a_section_of_itself(loaded, tmp_path):
    library = tmp_path / "self.lib"
    library.write_text(f"* l\n.lib tt\n.param rv=2k\n.lib '{library}' core\n.endl tt\n.lib core\n.subckt div a b\nR1 a b {{rv}}\n"
                       "R2 b 0 1k\n.ends\n.endl core\n")
    assert loaded(f"t\n.lib '{library}' tt\nV1 in 0 3\nX1 in out div\n", "out").op()["out"] == pytest.approx(1.0)


def test_control_section_of_an_included_file_is_refused(loaded, tmp_path):
    (tmp_path / "m.inc").write_text("R7 a 0 1k\n.control\nquit\n.endc\n")
    with pytest.raises(SimulationError, match=r"a \.control section"):
        loaded(f"t\nV1 a 0 1\n.include '{tmp_path / 'm.inc'}'\n", "a")


def test_file_that_includes_itself_is_refused(loaded, tmp_path):
    """ngspice would end the process. A file that is included twice, or that is not there, is none of these."""
    for one, other in ("ab", "ba"):
        (tmp_path / one).write_text(f"* {one}\n.include {other}\n")
    with pytest.raises(SimulationError, match="a includes itself, by way of 2 files"):
        loaded(f"t\nV1 a 0 1\nR1 a 0 1k\n.include {tmp_path / 'a'}\n", "a")
    (tmp_path / "c").write_text("R2 a 0 1k\n")
    found = included(f"t\n.include {tmp_path / 'c'}\n.INC '{tmp_path / 'c'}'\n.lib tt\n")
    assert found == {str(tmp_path / "c"): "R2 a 0 1k\n"}


def test_circuits_outlive_a_change_of_the_working_folder(ngspice, tmp_path, monkeypatch):
    """Whatever is loaded again, and the netlist to rerun by hand, have the files that they had."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "parts.lib").write_text(".lib tt\n.include more.inc\n.endl\n")
    (tmp_path / "models" / "more.inc").write_text("R2 b 0 1k\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    text = "t\nV1 a 0 2\nT1 a 0 b 0 z0=1k td=1n\n  .LIB 'models/parts.lib' tt ; the corner\n"
    circuit = ngspice.load(text, Solver(max_step=1e-10), ["b"])
    first = circuit.run(5e-9)["b"][-1]
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert circuit.run(5e-9)["b"][-1] == first == pytest.approx(2.0)  # a line is loaded again for each run
    with pytest.raises(SimulationError, match="r9") as refused:
        circuit.alter({"R9": 1.0})
    assert "include" not in str(refused.value) and circuit.op()["b"] == pytest.approx(2.0)
    assert f'.LIB "{tmp_path}/models/parts.lib" tt' in circuit.text
    circuit.unload()


@pytest.mark.parametrize("line", ["* .include parts", ".include nowhere", ".lib tt", ".include /dev/null", ".options parts"])
def test_lines_that_name_no_file_of_the_working_folder_stay_as_they_are(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").write_text("")
    assert settled_files(f"t\n{line}\nR1 a 0 1\n") == f"t\n{line}\nR1 a 0 1\n"
    for name in ("parts", "'parts'", '"parts"'):
        assert settled_files(f"t\n.inc {name}\n{line}\n") == f't\n.inc "{tmp_path}/parts"\n{line}\n'


@pytest.mark.parametrize("folder", ["my circuits", "it's", "Copy (1)", "$HOME", 'a"b'])
@pytest.mark.parametrize("line", [".lib parts.lib tt", '.lib "parts.lib" tt', ".include parts.inc"])
def test_files_are_found_in_folders_of_any_name(loaded, tmp_path, monkeypatch, folder, line):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "parts.lib").write_text(".lib tt\nR1 a 0 2k\n.endl\n")
    (tmp_path / folder / "parts.inc").write_text("R1 a 0 2k\n")
    monkeypatch.chdir(tmp_path / folder)
    assert loaded(f"t\nI1 0 a 1m\n{line}\n", "a").op()["a"] == pytest.approx(2)


def test_another_folders_file_of_the_same_name_is_not_taken(loaded, tmp_path, monkeypatch):
    """Where ngspice cannot be told the folder, and a line must be loaded again for each run."""
    for folder, ohms in (("a $b", 1000), ("other", 3000)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "parts.inc").write_text(f"R2 b 0 {ohms}\n")
    monkeypatch.chdir(tmp_path / "a $b")
    circuit = loaded("t\nV1 a 0 2\nT1 a 0 b 0 z0=1k td=1n\n.include parts.inc\n", "b", solver=Solver(max_step=1e-10))
    assert circuit.run(5e-9)["b"][-1] == pytest.approx(2.0)
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(SimulationError, match=r"parts\.inc"):
        circuit.run(5e-9)
