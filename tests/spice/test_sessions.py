"""One ngspice, several sessions, circuits, threads and users: each result is right, or the use is refused."""

import math
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from spice.deck import malformed
from spice.netlist import Solver, vector_name
from spice.parameters import ParameterError
from spice.session import NgspiceSession, SimulationError
from tests.helpers import ROOT

FAST = Solver(max_step=1e-5)


def divider(lower=1e3, *extra):
    """1 V over 1 kohm and `lower`; more netlist lines."""
    circuit = Circuit("divider")
    circuit.raw_spice = "\n".join(["Vin top 0 1", "R1 top out 1k", f"R2 out 0 {lower}", *extra]) + "\n"
    return circuit


def out(circuit):
    """The divider's voltage in V after a run."""
    return circuit.run(1e-4)["out"][-1]


def alone(code, folder, **environment):
    """What a Python of its own prints in `folder`; the wing, and nothing else, has been copied there."""
    shutil.copytree(ROOT / "spice", folder / "spice", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60,
                          env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    assert re.sub(r"Unsupported Ngspice version \d+\n", "", done.stderr) == ""  # what PySpice's own simulator says
    return done.stdout


HEAD = """
from PySpice.Spice.Netlist import Circuit
from spice.session import NgspiceSession, SimulationError, Solver

def divider(lower=1e3, *extra):
    circuit = Circuit("divider")
    circuit.raw_spice = "\\n".join(["Vin top 0 1", "R1 top out 1k", f"R2 out 0 {lower}", *extra]) + "\\n"
    return circuit

def out(circuit):
    return circuit.run(1e-4)["out"][-1]
"""


def test_wing_alone_drives_a_circuit(tmp_path):
    said = alone(HEAD + """
circuit = NgspiceSession().load(divider(), Solver(), ["out"])
circuit.alter({"R2": 3e3})
print(f"{out(circuit):.6f} {circuit.op()['out']:.6f}")
""", tmp_path)
    assert said.split() == ["0.750000"] * 2


def test_example_of_the_wings_readme_runs(tmp_path):
    code = re.search(r"```python\n(.*?)```", (ROOT / "spice" / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    values = np.array([line.split() for line in alone(code, tmp_path).splitlines()], float)
    assert values[:, 1] == pytest.approx(1 - np.exp(-1 / values[:, 0]), rel=1e-3)


# Several sessions and circuits

def test_sessions_share_one_ngspice_and_each_result_is_its_own(ngspice):
    other = NgspiceSession()
    mine, theirs, late = (session.load(divider(lower), FAST, ["out"])
                          for session, lower in ((ngspice, 1e3), (other, 3e3), (NgspiceSession(), 9e3)))
    for circuit, expected in [(mine, 0.5), (theirs, 0.75), (late, 0.9), (theirs, 0.75), (mine, 0.5)]:
        assert out(circuit) == pytest.approx(expected)
    theirs.alter({"r2": 1e3 / 3})
    ngspice.unload(theirs)
    assert [out(mine), out(late)] == pytest.approx([0.5, 0.9])
    with pytest.raises(SimulationError, match="unloaded"):
        out(theirs)
    with pytest.raises(SimulationError, match="unloaded"):
        other.unload(theirs)
    for circuit in (mine, late):
        circuit.unload()


def test_paused_run_ends_when_another_begins_and_survives_what_does_not_disturb_it(ngspice):
    paused = ngspice.load(divider(1e3, "Cout out 0 1u"), FAST, ["out"])
    runs = paused.run(4e-3, pauses=[1e-3, 2e-3])
    first = next(runs)
    other = ngspice.load(divider(3e3), FAST, ["out"])
    other.alter({"r2": 9e3})
    second = next(runs)
    assert first.time[-1] < second.time[-1]
    assert second["out"] == pytest.approx(0.5 * -np.expm1(-second.time / 0.5e-3), abs=2e-3)
    assert out(other) == pytest.approx(0.9)
    with pytest.raises(SimulationError, match="paused"):
        next(runs)
    assert paused.run(1e-2)["out"][-1] == pytest.approx(0.5)
    for circuit in (paused, other):
        circuit.unload()


def test_pause_goes_on_where_it_was(ngspice, monkeypatch):
    """Run again from the start to each pause, the waveforms would be the same and the time many times as long."""
    sent, library = [], ngspice._engine.ngspice
    run = library.run_in_background
    monkeypatch.setattr(library, "run_in_background",
                        lambda command, *more: sent.append(command.split()[0]) or run(command, *more))
    circuit = ngspice.load(divider(1e3), FAST, ["out"])
    assert len(list(circuit.run(4e-3, pauses=[1e-3, 2e-3]))) == 3
    assert sent == ["tran", "resume", "resume"]
    circuit.unload()


def test_no_results_are_left_in_ngspice_behind_a_run(ngspice):
    """Read already, they would fill its memory, run by run."""
    circuit = ngspice.load(divider(), FAST, ["out"])
    for _ in range(3):
        circuit.run(1e-7)
        circuit.op()
    assert ngspice._engine.ngspice.plot_names == ["const"]
    circuit.unload()


@pytest.mark.parametrize("pauses", [[1e-3, math.nan], [-math.inf], 1e-3, 0, ["soon"], [None], np.array([math.inf]),
                                    [True], ["1e-3"], [b"1"], [np.True_], [2e-3, 1e-3]])
def test_pauses_at_no_time_are_refused_at_once(ngspice, pauses):
    with pytest.raises(ParameterError, match="pauses must be a list of times in s, in their order, got"):
        ngspice.load(divider(), FAST, ["out"]).run(4e-3, pauses=pauses)


@pytest.mark.parametrize("save", [[3], ["out", None], [b"out"], 3, None])
def test_what_is_no_name_of_a_vector_is_refused(ngspice, save):
    with pytest.raises(ParameterError, match="save must be names of vectors, got"):
        ngspice.load(divider(), FAST, save)


def test_pauses_of_numpy_are_times(ngspice):
    circuit = ngspice.load(divider(), FAST, ["out"])
    assert len(list(circuit.run(1e-3, pauses=np.array([2e-4, 4e-4])))) == 3
    assert len(list(circuit.run(1e-3, pauses=np.array([])))) == 1


def test_a_step_that_passes_pauses_and_the_end_at_once_is_the_last(ngspice):
    """Behind it ngspice has nothing to resume, and said "No job"."""
    circuit = ngspice.load(divider(1e3), FAST, ["out"])
    pauses = [4e-3 - 3e-9, 4e-3 - 2e-9, 4e-3 - 1e-9]
    times = [waves.time[-1] for waves in circuit.run(4e-3, pauses=pauses)]
    assert times == pytest.approx([4e-3] * 4)
    circuit.unload()


def test_another_thread_is_refused_while_the_first_one_lives(ngspice):
    circuit = ngspice.load(divider(), FAST, ["out"])
    found = []

    def use(action):
        try:
            found.append(action())
        except SimulationError as error:
            found.append(str(error))
    for action in (lambda: out(circuit), lambda: circuit.alter({"r2": 1.0}), NgspiceSession,
                   lambda: ngspice.load(divider(), FAST, []), circuit.unload):
        thread = threading.Thread(target=use, args=(action,), name="stranger")
        thread.start()
        thread.join()
    assert len(found) == 5
    assert all("'MainThread'" in words and "'stranger'" in words for words in found), found
    assert out(circuit) == pytest.approx(0.5)
    circuit.unload()


def test_session_made_in_a_thread_works_there_and_passes_on_when_it_has_ended(tmp_path):
    said = alone(HEAD + """
import threading
kept = []
def work():
    kept.append(NgspiceSession().load(divider(), Solver(), ["out"]))
    print(f"{out(kept[0]):.3f}")
    met.wait(), met.wait()
met = threading.Barrier(2)
thread = threading.Thread(target=work, name="worker")
thread.start()
met.wait()
try:
    out(kept[0])
except SimulationError as error:
    print("refused" if "'worker'" in str(error) else error)
met.wait()
thread.join()
print(f"{out(kept[0]):.3f}")
""", tmp_path)
    assert said.split() == ["0.500", "refused", "0.500"]


@pytest.mark.parametrize("first", ["session", "simulator"])
def test_pyspices_own_simulator_in_the_same_process_disturbs_nothing(first, tmp_path):
    said = alone(HEAD + f"""
from PySpice.Spice.NgSpice.Shared import NgSpiceShared
from spice.session import find_library
NgSpiceShared.LIBRARY_PATH = find_library()
def theirs(lower):
    return float(divider(lower).simulator().operating_point()["out"][0])
if {first == "simulator"}:
    theirs(1e3)
mine = NgspiceSession().load(divider(3e3), Solver(), ["out"])
for lower in (1e3, 9e3):
    print(f"{{theirs(lower):.3f}} {{out(mine):.3f}} {{mine.op()['out']:.3f}}")
""", tmp_path)
    assert said.split() == ["0.500", "0.750", "0.750", "0.900", "0.750", "0.750"]


@pytest.mark.parametrize("stop", [0, -1e-3, float("nan"), float("inf"), "long", True])
def test_length_of_a_run_is_checked(ngspice, stop):
    circuit = ngspice.load(divider(), FAST, ["out"])
    with pytest.raises(ParameterError, match="stop must be above 0 s"):
        circuit.run(stop)
    circuit.unload()


# Errors after which ngspice says that it cannot recover

FATAL = {
    "undefined parameter": (["R3 out 0 {nowhere}"], r"Undefined parameter \[nowhere\]"),
    "missing include": ([".include /nowhere/models.lib"], "/nowhere/models.lib"),
    "unbalanced subcircuit": ([".subckt half a b", "R9 a b 1k"], r"\.subckt half a b"),
    "end without a subcircuit": ([".ends"], r"\.ends"),
    "bad expression": (["Bx x 0 v=v(top)+*3"], "(?i)parsing stopped at"),
    "unknown function": (["Bx x 0 v=nonsense(v(top))"], "no such function 'nonsense'"),
    "half an expression": (["Bx x 0 v=(v(top)"], "(?i)parsing stopped at"),
}


@pytest.mark.parametrize("fault", FATAL)
def test_session_goes_on_after_an_error_that_ngspice_does_not_survive(ngspice, fault):
    lines, words = FATAL[fault]
    circuit = ngspice.load(divider(), FAST, ["out"])
    circuit.alter({"r2": 3e3, "vin pwl": [0, 2, 1, 2]})
    other = ngspice.load(divider(9e3), FAST, ["out"])
    for _ in range(2):
        with pytest.raises(SimulationError, match=words) as refused:
            ngspice.load(divider(1e3, *lines), FAST, ["out"])
        Path(re.search(r"ngspice -b: (\S+)", str(refused.value))[1]).unlink()
        assert [out(other), out(circuit)] == pytest.approx([0.9, 1.5])
    circuit.alter({"r2": 3e3})
    assert out(circuit) == pytest.approx(1.5)
    for loaded in (circuit, other):
        loaded.unload()


def test_settings_survive_a_new_start_in_the_order_they_were_made(ngspice):
    circuit = ngspice.load(divider("1k tc1=0.01"), FAST, ["out"])
    circuit.set_temperature(127)
    for name, volts in (("vin", 1.0), ("vin dc", 4.0), ("vin", 6.0)):
        circuit.alter({name: volts})
    before = circuit.op()["out"]
    assert before == pytest.approx(4.0)
    with pytest.raises(SimulationError):
        ngspice.load(divider(1e3, "R3 out 0 {nowhere}"), FAST, ["out"])
    assert circuit.op()["out"] == before
    circuit.unload()


@pytest.mark.parametrize("line", ["Rbad top", "&&& nonsense", "X", "M1 a b", "Q1 a b", "D1 a", "T1 a 0 b", "1R a b 1k",
                                  "Rlong a\n+ "])
def test_line_that_is_no_element_is_refused_whatever_the_version(ngspice, line):
    with pytest.raises(SimulationError, match=r"is no element|is not a valid .* line"):
        ngspice.load(divider(1e3, line), FAST, ["out"])


@pytest.mark.parametrize("line", ["* a comment", "R3 out 0\n+ 1k ; behind it", "Cx out 0 1n ic=0 $ a note", ".options gmin=1e-12",
                                  "Bx x 0 v=v(top)", ".options temp=20 interpolate=1", ".subckt a b\nR1 b 0 1k\n.ends\nXa out a",
                                  "", "   "])
def test_line_that_may_be_is_not_refused(line):
    assert malformed(str(divider(1e3, line))) == ""


def test_names_of_vectors():
    expected = {"out": "out", "V(Out)": "out", "i(Vin)": "vin#branch", "vin#branch": "vin#branch", " v( x.y ) ": "x.y",
                "@r1[i]": "@r1[i]", "c.xcell.cmem": "c.xcell.cmem"}
    assert {name: vector_name(name) for name in expected} == expected


# Settings files

SETTINGS = {"rshunt": "option rshunt=1e3", "temp": "option temp=100", "klu": "option klu", "quit": "quit",
            "script": "echo read > read.txt"}


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_files_are_not_read(settings, tmp_path):
    """In the working folder, the home and the folder that ngspice's own variable names; results and report as without."""
    code = HEAD + """
import math
import os
circuit = NgspiceSession().load(divider("1k tc1=0.01"), Solver(), ["out"])
reported = []
circuit._engine.ngspice.send_char = lambda message, number: reported.append(message) or 0
print(out(circuit), any("KLU" in line for line in reported), any("27.0" in line for line in reported))
try:
    NgspiceSession().load(divider(1e3, "R3 out 0 {nowhere}"), Solver(), ["out"])
except SimulationError:
    print(out(circuit))
print(os.environ.get("SPICE_USERINIT_DIR", ""), os.getcwd())
"""
    said = {}
    for name in ("with", "without"):
        folder = tmp_path / name / "x"
        for place in (folder, folder / "home", folder / "named"):
            place.mkdir(parents=True, exist_ok=True)
            if name == "with":
                for file in (".spiceinit", "spice.rc"):
                    (place / file).write_text(SETTINGS[settings] + "\n")
        said[name] = alone(code, folder, HOME=str(folder / "home"), USERPROFILE=str(folder / "home"),
                           SPICE_USERINIT_DIR=str(folder / "named"), TMPDIR=str(folder)).replace(str(folder), "")
        assert not list(folder.rglob("read.txt")) and not list(folder.glob("ngspice_*"))
    assert said["with"] == said["without"]
    assert said["with"].split() == ["0.5", "False", "True", "0.5", "/named"]
