"""What ngspice says and what is made of it: complaints, warnings, nothing."""

import logging
import re
import tempfile

import pytest

from spice import words
from spice.netlist import altered_name, unalterable
from spice.session import SimulationError, Solver
from spice.words import understood

DIODE = "Warning: Model issue on line 5 :\n.model d1n750 d(is=880.5e-18 ...\nunrecognized parameter (ibvl) - ignored"
BLINKER = """a switch that opens itself, and a filtered supply
Vcc p 0 5 ac 1
R9 p s 10k
C9 s 0 10n ic=0
R1 p c 10k
C1 c 0 10n ic=0
S1 c d c 0 sw
Rd d 0 100
.model sw SW(vt=2.5 vh=1 ron=10 roff=100meg)
"""
NO_POINT = "ngspice found no operating point; this is where a transient of its own (optran) has come"


@pytest.fixture
def said(caplog):
    """Warnings that reached the user."""
    words.say_once.cache_clear()
    caplog.set_level(logging.WARNING)
    return lambda: [record.getMessage() for record in caplog.records if record.name == "spice.words"]


@pytest.mark.parametrize("stdout", ["unrecognized parameter (nbvl) - ignored", ""])
def test_parameters_that_others_know_are_a_warning(said, stdout):
    """ngspice 39 writes all but the first elsewhere. A circuit that is loaded again has nothing new to say."""
    for _ in range(3):
        assert understood(DIODE, stdout) == words.Said("", False)
    names = "ibvl, nbvl" if stdout else "ibvl"
    assert said() == [f"Warning: ngspice ignores parameters that it does not know ({names}) of .model d1n750 d(is=880.5e-18 "
                      "..."]


def test_beside_a_complaint_they_are_part_of_it(said):
    found = understood(f"{DIODE}\nunable to find definition of model q", "")
    assert found.complaints.endswith("unrecognized parameter (ibvl) - ignored; unable to find definition of model q")
    assert said() == []


@pytest.mark.parametrize("line", ["Warning: vin: no DC value, transient time 0 value used - ignored", "Error: no such thing",
                                  "Warning: R7 is ignored", "unrecognized parameter (x)"])
def test_what_is_ignored_otherwise_is_a_complaint(said, line):
    assert understood(line, "").complaints == line and said() == []


@pytest.mark.parametrize(("stderr", "stdout", "lost"), [("Fatal error: x", "", True), ("cannot recover", "", True),
                                                        ("", "ERROR: fatal error in ngspice, cannot recover", True),
                                                        ("x: fatal error", "", False), ("", "cannot recover", False)])
def test_an_ngspice_that_cannot_go_on_is_lost(stderr, stdout, lost):
    assert understood(stderr, stdout).lost is lost


@pytest.mark.parametrize(("stderr", "stdout", "complaints"), [
    ("doAnalyses: timestep too small", "", "doAnalyses: timestep too small"),
    ("condition met: stop at 1\ndoAnalyses: timestep too small", "", ""),  # of an earlier sweep; this run is paused
    ("condition met: stop at 1\nno such vector", "", "no such vector"),
    ("Note: x\nUsing SPARSE\n\n  a  \ncannot recover\na", "out = 1\nError: b\nerror = 3\n", "a; Error: b"),
    ("Warning: something", "", ""), ("Warning: something\na", "", "Warning: something; a")])
def test_complaints_are_what_is_left_when_all_that_is_harmless_is_gone(said, stderr, stdout, complaints):
    """Once each, those of stdout last; what is known to be wrong keeps the warnings beside it."""
    assert understood(stderr, stdout).complaints == complaints and said() == []


def test_two_models_are_named_both(said):
    understood(f"{DIODE}\n{DIODE}\n.model j2n njf ...\nunrecognized parameter (vk) - ignored", "")
    assert said()[0].endswith("(ibvl, vk) of .model d1n750 d(is=880.5e-18 ...; .model j2n njf ...")


def test_the_last_resort_of_an_operating_point_is_said_each_time(said):
    for _ in range(2):
        assert understood("Note: Transient op started\nNote: Transient op finished successfully", "").complaints == ""
    understood("Note: Transient op started", "")
    assert said() == ["Warning: ngspice found no operating point; this is where a transient of its own (optran) has come, which "
                      "need not have settled"] * 2


def test_models_of_other_simulators_are_taken(loaded, said):
    """1 mA through a Zener diode of PSpice's library, against ngspice's own program: 4.67731 V."""
    circuit = loaded("t\nV1 s 0 10\nR1 s a 470\nD1 0 a D1N750\n.model D1N750 D(Is=880.5E-18 Rs=.25 Ikf=0 N=1 Xti=3 Eg=1.11 "
                     "Cjo=175p M=.5516 Vj=.75 Fc=.5 Isr=1.859n Nr=2 Bv=4.7 Ibv=20.245m Nbv=1.6989 Ibvl=1.9556m Nbvl=14.976 "
                     "Tbv1=-21.277u)\n", "a")
    assert circuit.op()["a"] == pytest.approx(4.67731, abs=1e-5)
    assert len(said()) == 1 and "(ibvl, nbvl, tbv1) of .model d1n750" in said()[0]


def test_steps_too_long_for_a_sine_are_said_once(loaded, said):
    """A rectifier's mean of 9.18 V was 8.06 V with the longest step as it comes."""
    circuit = loaded("t\nV1 a 0 sin(0 10 10k)\nD1 a b d\n.model d d\nC1 b 0 10u\nR1 b 0 1k\n", "b", solver=Solver())
    for _ in range(2):
        circuit.run(1e-3)
    circuit.op()
    assert said() == ["Warning: steps of up to 2e-05 s do not resolve the 10000 Hz of V1: take Solver(max_step=1e-06) or so"]


def test_steps_too_long_for_an_altered_or_included_sine_are_said(loaded, said, tmp_path):
    (tmp_path / "source.inc").write_text("V2 b 0 sin(0 1 30k)\n")
    circuit = loaded(f"t\nV1 a 0 sin(0 1 100)\nR1 a b 1k\n.include {tmp_path}/source.inc\n", "a", solver=Solver())
    circuit.run(1e-4)
    circuit.alter({"V1 sin": [0, 1, 7e5]})
    circuit.run(1e-4)
    assert [re.findall(r"the (\S+ Hz of \w+)", line) for line in said()] == [["30000 Hz of V2"]]
    circuit.alter({"V2 dc": 1, "V2 pwl": [0, 0]})
    circuit.run(1e-4)
    assert re.findall(r"the (\S+ Hz of \w+)", said()[-1]) == ["700000 Hz of v1"]


def test_failure_is_told_where_its_netlist_cannot_be_saved(ngspice, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(SimulationError, match=r"lacks nodes.*Its netlist could not be saved: No such file or directory$"):
        ngspice.load("x\nR1 a 0 1k\nQ1 a\n", Solver(), ["a"])


def test_parameters_that_a_subcircuit_does_not_have_are_said(loaded, said, tmp_path):
    """ngspice takes the default without a word; the circuit is what the user did not mean."""
    circuit = loaded("t\nV1 a 0 1\n.subckt cell p q r=1k\nR1 p q {r}\n.ends\nX1 a 0 cell rr=2k\n", "i(V1)")
    assert circuit.op()["i(V1)"] == pytest.approx(-1e-3)
    assert said() == ["Warning: subcircuit cell has no parameter rr, which x1 gives it: ngspice ignores it"]
    (tmp_path / "cell.inc").write_text(".subckt other p q r=1k\nR1 p q {r}\n.ends\n")
    loaded(f"t\nV1 a 0 1\n.include {tmp_path}/cell.inc\nX2 a 0 other rr=2k\n", "i(V1)")
    assert said()[-1] == "Warning: subcircuit other has no parameter rr, which x2 gives it: ngspice ignores it"


def test_without_an_operating_point_every_analysis_is_as_the_first_and_says_so(ngspice, said):
    """ngspice takes where a transient from zero has come; after a transient of the user's it began at initial conditions."""
    circuit = ngspice.load(BLINKER, Solver(max_step=1e-6), ["s"])
    point, small = circuit.op()["s"], abs(circuit.ac(1e3, 1e4, 1)["s"])
    assert 0.5 < point < 4.9 and [NO_POINT in line for line in said()] == [True, True]
    for _ in range(2):
        circuit.run(1e-3)
        assert circuit.op()["s"] == point
        circuit.run(1e-4)
        assert abs(circuit.ac(1e3, 1e4, 1)["s"]).tolist() == small.tolist()
        circuit.run(1e-4)
        assert circuit.run(1e-5, uic=False)["s"][0] == point
    assert len(said()) == 8
    circuit.unload()


def test_what_was_to_be_saved_and_is_not_there_is_named(loaded):
    circuit = loaded("t\nV1 a 0 1\nR1 a 0 1k\n", "i(R1)", "nowhere")
    for analysis in (circuit.op, lambda: circuit.run(1e-6)):
        with pytest.raises(SimulationError, match=r"no data saved .* \(none of i\(R1\) nowhere is there\)\. Netlist"):
            analysis()


@pytest.mark.parametrize(("name", "value", "trouble"), [
    ("m1", "2.0", "needs a parameter to be altered, as in 'm1 w'"), ("m1 w", "2.0", ""), ("b1", "2.0", ""),
    ("e1", "2.0", "needs a parameter to be altered, as in 'e1 gain'"), ("v1 pwl", "3.0", "takes a list of numbers"),
    ("i1 pwl", "[ 0 1 2 ]", "takes pairs of a time and a value"), ("v1 pwl", "[ 0 1 ]", ""), ("v1 sin", "[ 0 1 2 ]", ""),
    ("r1", "[ 1 2 ]", "takes one number; a list needs a parameter too, as in 'v1 pwl'"), ("v1 dc", "[ 1 2 ]", "takes one number"),
    ("r1 tc", "[ 1 2 ]", "")])
def test_what_cannot_be_altered_so_is_said(name, value, trouble):
    assert unalterable(*altered_name(name), value) == trouble
