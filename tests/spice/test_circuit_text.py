"""What PySpice writes of its units and ngspice reads otherwise; what is no circuit."""

from pathlib import Path

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit, SubCircuit
from PySpice.Unit import u_A, u_Degree, u_F, u_H, u_K, u_kHz, u_kOhm, u_mA, u_MOhm, u_mV, u_nF, u_Ohm, u_pF, u_s, u_uA, u_us, u_V

from spice.circuit_text import text_of
from spice.netlist import netlist_text
from spice.parameters import ParameterError
from spice.session import Solver


class Line:
    """A circuit of one line, as PySpice would write it."""

    def __init__(self, line):
        self.line = line

    def __str__(self):
        return f"title\n{self.line}\n"


@pytest.mark.parametrize(("kind", "least", "mean", "deviation"), [
    ("gaussian", -7.0, 0.0, 1.0), ("exponential", 0.0, 1.0, 1.0), ("uniform", -1.0, 0.0, 0.58)])
def test_random_sources_of_pyspice_are_of_the_kind_that_they_say(kind, least, mean, deviation, ngspice):
    """PySpice counts gaussian and exponential the other way round."""
    circuit, inner = Circuit("noise"), SubCircuit("noisy", "out")
    for place in (circuit, inner):
        place.RandomVoltageSource(1, "out", place.gnd, random_type=kind, duration=1@u_us)
        place.R(1, "out", place.gnd, 1)
    circuit.subcircuit(inner)
    circuit.X(1, "noisy", "inner")
    loaded = ngspice.load(circuit, Solver(max_step=1e-6), ["out", "inner"])
    waves = loaded.run(2e-3)
    for name in ("out", "inner"):
        assert waves[name].min() >= least and abs(waves[name].mean() - mean) < 0.15, (name, waves[name].mean())
        assert waves[name].std() == pytest.approx(deviation, abs=0.15)
    loaded.unload()


@pytest.mark.parametrize(("kind", "number"), [("uniform", 1), ("gaussian", 2), ("exponential", 3), ("poisson", 4)])
def test_random_sources_have_ngspices_number(kind, number):
    circuit = Circuit("noise")
    circuit.RandomVoltageSource(1, "a", circuit.gnd, random_type=kind, duration=3@u_us)
    circuit.RandomCurrentSource(2, "b", circuit.gnd, random_type=kind, duration=3@u_us)
    lines = text_of(circuit).splitlines()
    assert [line for line in lines if "TRRANDOM(" in line] == [
        f"{name} 0 TRRANDOM({number} 3us 0s 1 0)" for name in ("V1 a", "I2 b")]


def test_random_sources_in_a_text_are_as_ngspice_counts_them(ngspice):
    circuit = Circuit("noise")
    circuit.raw_spice = "V1 out 0 TRRANDOM(2 1us 0s 1 0)"
    assert "TRRANDOM(2 1us" in text_of(circuit) and "TRRANDOM(2 1us" in text_of("x\nV1 out 0 TRRANDOM(2 1us 0s 1 0)\n")


def test_modulated_sources_of_pyspice_are_refused():
    """AM gives a constant in ngspice 44, SFFM its carrier for its signal, without a word."""
    circuit = Circuit("radio")
    circuit.SingleFrequencyFMVoltageSource("fm", "a", circuit.gnd, 0, 1, 10@u_kHz, 5, 1@u_kHz)
    with pytest.raises(ParameterError) as refused:
        text_of(circuit)
    assert str(refused.value) == (
        "Vfm: PySpice, ngspice and its older versions each have another order of the numbers of AM and SFFM; give a "
        "BehavioralSource with voltage_expression='sin(...)' of the time")
    inner = SubCircuit("inner", "a")
    inner.AmplitudeModulatedCurrentSource("am", "a", inner.gnd, 1, 1, 1@u_kHz, 10@u_kHz, 0)
    circuit = Circuit("radio")
    circuit.subcircuit(inner)
    with pytest.raises(ParameterError, match=r"^Iam: "):
        text_of(circuit)
    assert text_of("x\nV1 a 0 SFFM(0 1 1k 5 100)\n") == "x\nV1 a 0 SFFM(0 1 1k 5 100)\n"


def test_amperes_of_pyspice_are_amperes(ngspice):
    """PySpice writes its unit behind them, which ngspice reads as atto."""
    circuit = Circuit("currents")
    circuit.I("1", circuit.gnd, "1A", 1@u_A)
    circuit.I("2", circuit.gnd, "1A", 1@u_mA)
    circuit.PulseCurrentSource("3", circuit.gnd, "b", initial_value=0, pulsed_value=-2e-3, pulse_width=1e-6, period=2e-6)
    circuit.SinusoidalCurrentSource("4", circuit.gnd, "c", amplitude=1)
    circuit.PieceWiseLinearCurrentSource("5", circuit.gnd, "d", values=[(0, 0), (1@u_us, 3@u_A)])
    for node in ("1A", "b", "c", "d"):
        circuit.R(node, node, circuit.gnd, 2)
    circuit.L("1", "e", circuit.gnd, 1@u_H, initial_condition=2@u_A)
    circuit.R("e", "e", circuit.gnd, 1e-3)
    loaded = ngspice.load(circuit, Solver(max_step=1e-8), ["1A", "b", "c", "d", "i(L1)"])
    waves = loaded.run(1e-6)
    assert loaded.op()["1A"] == waves["1A"][-1] == pytest.approx(2.002)
    assert waves["b"].min() == pytest.approx(-4e-3) and abs(loaded.ac(1, 10)["c"]) == pytest.approx(2.0)
    assert waves["d"][-1] == pytest.approx(6.0) and waves["i(L1)"][-1] == pytest.approx(2.0, rel=1e-6)
    loaded.alter({"I1": 2@u_A})
    assert loaded.op()["1A"] == pytest.approx(4.002)
    loaded.unload()


@pytest.mark.parametrize("value", [10@u_mA, 1@u_A, 2@u_uA, 3e-3@u_A, 2.5e-6])
def test_defaults_of_a_subcircuit_have_their_units(ngspice, value):
    """PySpice writes a blank before them, and ngspice reads no further."""
    source = SubCircuit("source", "a", i0=value)
    source.I(1, source.gnd, "a", "{i0}")
    circuit = Circuit("source")
    circuit.subcircuit(source)
    circuit.X(1, "source", "a")
    circuit.R(1, "a", circuit.gnd, 1)
    loaded = ngspice.load(circuit, Solver(), ["a"])
    assert loaded.op()["a"] == pytest.approx(float(value))
    loaded.unload()


def test_parameters_have_their_units(ngspice):
    filtered = SubCircuit("filter", "i", "o", r=1@u_kOhm, c=100@u_nF)
    filtered.R(1, "i", "o", "{r}")
    filtered.C(1, "o", filtered.gnd, "{c}")
    circuit = Circuit("filters")
    circuit.parameter("half", 500@u_Ohm)
    circuit.parameter("volts", 2e3@u_mV)
    circuit.subcircuit(filtered)
    circuit.V(1, "i", circuit.gnd, "dc {volts} ac 1")
    for node, values in (("a", {}), ("b", {"r": 1@u_kOhm, "c": 100@u_nF}), ("c", {"r": "{2*half}"})):
        circuit.X(node, "filter", "i", node, **values)
    loaded = ngspice.load(circuit, Solver(), [])
    edge = 1 / (2 * np.pi * 1e-4)
    spectrum = loaded.ac(edge, 10 * edge, 1)
    assert [abs(spectrum[node][0]) for node in "abc"] == pytest.approx([2**-0.5] * 3)
    assert loaded.op()["c"] == pytest.approx(2.0)
    loaded.unload()


def test_file_with_blanks_in_its_name_is_included(ngspice, tmp_path):
    (tmp_path / "my models").mkdir()
    (tmp_path / "my models" / "a diode.lib").write_text(".model d D(IS=1e-12)\n")
    circuit = Circuit("diode")
    circuit.include(str(tmp_path / "my models" / "a diode.lib"))
    circuit.I(1, circuit.gnd, "a", 1@u_mA)
    circuit.D(1, "a", circuit.gnd, model="d")
    loaded = ngspice.load(circuit, Solver(), ["a"])
    assert loaded.op()["a"] == pytest.approx(0.025864 * np.log(1e9), rel=1e-3)
    loaded.unload()


@pytest.mark.parametrize(("line", "sent"), [
    (".include /my models/a b.lib ", '.include "/my models/a b.lib"'), (".INC  a b", '.INC "a b"'), (".inc a b", '.inc "a b"'),
    (".include  'a b'", ".include  'a b'"), (".include /a.lib", ".include /a.lib"), (".include  a", ".include  a")])
def test_files_with_blanks_are_quoted(line, sent):
    assert text_of(Line(line)) == f"title\n{sent}"


UNITS = [1@u_kOhm, 100@u_nF, 2@u_uA, 3@u_MOhm, 1@u_A, 4@u_s, 5@u_V, 6@u_mV, 7@u_kHz, 8@u_F, 9@u_pF, 2@u_H]


@pytest.mark.parametrize(("value", "sent"), [*zip(UNITS, ["1k", "100n", "2u", "3Meg", "1", "4", "5", "6m", "7k", "8", "9p", "2"],
                                                  strict=True)])
def test_unit_behind_a_blank(value, sent):
    circuit = Circuit("units")
    circuit.parameter("p", value)
    circuit.subcircuit(SubCircuit("s", "a", p=value, q=value))
    lines = netlist_text(circuit, Solver(), 0).splitlines()
    assert f".param p={sent}" in lines and f".subckt s a p={sent} q={sent}" in lines


@pytest.mark.parametrize(("line", "sent"), [
    ("I1 0 e DC 0A PULSE(0A -1e-05A 0s)", "I1 0 e DC 0 PULSE(0 -1e-05 0s)"), ("I1 1A 2A 3.5A", "I1 1A 2A 3.5"),
    ("I1 0 e 1mA", "I1 0 e 1mA"), ("i1 0 e 1A", "i1 0 e 1"),
    ("R1A 1A 0 1Ohm", "R1A 1A 0 1Ohm"), ("X1 1A e sub i0=3A w = 2.A", "X1 1A e sub i0=3 w = 2."),
    (".model d D (IS=1e-14A M2A=1)", ".model d D (IS=1e-14 M2A=1)"), ("R1 a=1Ab 0 1", "R1 a=1Ab 0 1"), ("I1 0", "I1 0")])
def test_amperes_in_a_line_of_pyspice(line, sent):
    assert netlist_text(Line(line), Solver(), 0).splitlines()[1] == sent
    assert netlist_text(f"title\n{line}\n", Solver(), 0).splitlines()[1] == line  # a text is ngspice's own


@pytest.mark.parametrize("line", ["R1 a 0 1 k", ".param x=2*y", ".param x=1 kilo", ".param x=1k y=1 + 2", "* x=1 kΩ",
                                  ".include /tmp/d.lib", ".include 'a b.lib'", '.include "a b.lib"', ".lib a b", ".included a b"])
def test_what_is_right_stays_as_it_is(line):
    assert text_of(Line(line)) == f"title\n{line}"


@pytest.mark.parametrize("given", [None, 5, Path("amplifier.cir"), "amplifier.cir", "", [], "one line\n"])
def test_what_is_no_circuit_is_refused(given):
    with pytest.raises(ParameterError) as refused:
        netlist_text(given, Solver(), 0)
    file = ", a file's name perhaps: read it first" * isinstance(given, str | Path)
    assert str(refused.value) == f"circuit must be a PySpice circuit or the text of a netlist, got {given!r}{file}"


@pytest.mark.parametrize(("wrong", "words"), [
    (lambda circuit: circuit.set_temperature(5@u_V), "temperature must be in degrees Celsius, got 5 V"),
    (lambda circuit: circuit.alter({"R1": 2@u_mA}), "R1 must be in ohm, got 2 mA"),
    (lambda circuit: circuit.alter({"V1": 2@u_kOhm}), "V1 must be in V, got 2 kΩ"),
    (lambda circuit: circuit.alter({"V1 pwl": [0, 0, 1@u_us, 1@u_V], "C1": 1@u_H}), "C1 must be in F, got 1 H"),
    (lambda circuit: circuit.run(2@u_mV), "stop must be in s, got 2 mV"),
    (lambda circuit: circuit.run(1e-6, pauses=[1@u_V]), "pauses must be in s, got 1 V"),
    (lambda circuit: circuit.dc("V1", 0, 1@u_A, 1), "stop must be in V, got 1 A"),
    (lambda circuit: circuit.dc("temp", 300@u_K, 310, 1), "start must be in degrees Celsius, got 300 K"),
    (lambda circuit: circuit.ac(1@u_s, 10), "start must be in Hz, got 1 s"),
    (lambda circuit: Solver(max_step=1@u_V), "max_step must be in s, got 1 V"),
    (lambda circuit: Solver(method="gears"), "method must be one of trap, gear, got 'gears'")])
def test_values_in_other_units_are_refused(ngspice, wrong, words):
    """Two milliampere were two milliohm, and 300 K were 300 degrees Celsius: a diode at 0.22 V."""
    circuit = ngspice.load("t\nV1 a 0 1\nR1 a b 1k\nC1 b 0 1n\n", Solver(max_step=1e-7), ["b"])
    with pytest.raises(ParameterError, match=f"^{words}$"):
        wrong(circuit)
    assert circuit.op()["b"] == pytest.approx(1.0)
    circuit.unload()


def test_values_in_their_own_units_and_without_are_taken(ngspice):
    circuit = ngspice.load("t\nV1 a 0 1 ac 1\nR1 a b 1k\nD1 b 0 d\n.model d d(is=1e-14)\n", Solver(max_step=1@u_us), ["b"])
    circuit.set_temperature(300@u_K)
    kelvin = circuit.op()["b"]
    for warm in (26.85@u_Degree, 26.85):
        circuit.set_temperature(warm)
        assert circuit.op()["b"] == pytest.approx(kelvin, abs=1e-9)
    circuit.alter({"R1": 2@u_kOhm, "V1": 1@u_V, "V1 acmag": 2@u_V, "V1 pwl": [0, 0, 1@u_us, 1@u_V]})
    assert len(circuit.dc("R1", 1@u_kOhm, 2e3, 500).swept) == 3 and len(circuit.dc("temp", 0, 10@u_Degree, 5)["b"]) == 3
    assert circuit.ac(1@u_kHz, 1e4, 1).frequency[0] == 1e3 and circuit.run(5@u_us, pauses=[2@u_us])
    circuit.unload()


@pytest.mark.parametrize("solver", [1e-6, Solver, None, ["a"]])
def test_what_is_no_solver_is_refused(ngspice, solver):
    with pytest.raises(ParameterError, match=r"solver must be a Solver, as in Solver\(max_step=1e-6\), got"):
        ngspice.load("t\nV1 a 0 1\nR1 a 0 1k\n", solver, ["a"])
