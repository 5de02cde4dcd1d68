"""Netlists as text, without ngspice: its options, what it is sent, the names of what it saves, what it should refuse."""

import math

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit
from PySpice.Unit import u_kOhm, u_kΩ, u_mV, u_us, u_V

from spice import netlist
from spice.deck import FIELDS, malformed, whole_lines
from spice.netlist import (
    Solver,
    altered_name,
    altered_shapes,
    netlist_text,
    own_unit,
    positive,
    print_step,
    swept_values,
    too_coarse,
    tran_command,
    value_text,
    vector_name,
)
from spice.parameters import ParameterError


@pytest.fixture
def divider():
    circuit = Circuit("divider")
    circuit.V("in", "top", circuit.gnd, 1.0)
    circuit.R(1, "top", "middle", 1e3)
    circuit.R(2, "middle", circuit.gnd, 1e3)
    return circuit


# Solver

@pytest.mark.parametrize("factor", [None, 2.0])
def test_tightened_solver_has_all_tolerances_and_the_step_divided(factor):
    usual = Solver(max_step=1e-5, reltol=1e-4, trtol=50.0, chgtol=1e-13, method="gear")
    tight, by = (usual.tightened(), 10.0) if factor is None else (usual.tightened(factor), factor)
    for name in ("max_step", "reltol", "trtol", "chgtol"):
        assert getattr(usual, name) / getattr(tight, name) == pytest.approx(by)
    assert tight.method == "gear"


@pytest.mark.parametrize(("reltol", "vntol", "abstol"), [
    (1e-3, 1e-6, 1e-12), (1e-5, 1e-6, 1e-12), (5e-6, 5e-7, 5e-13), (1e-6, 1e-7, 1e-13), (1e-7, 1e-8, 1e-13)])
def test_absolute_tolerances_follow_the_relative_one_down_to_a_tenth_of_a_picoampere(reltol, vntol, abstol):
    """ngspice's own at reltol 1e-5 and above, where they are no looser than the relative tolerance on volts and amperes here."""
    options = Solver(reltol=reltol, trtol=7.0, chgtol=1e-15, method="gear").options()
    assert options == f".options method=gear reltol={reltol:g} trtol=7 chgtol=1e-15 vntol={vntol:g} abstol={abstol:g}"


def test_currents_are_solved_no_further_than_asked():
    assert Solver(reltol=1e-6, abstol=1e-11).options().endswith(" vntol=1e-07 abstol=1e-11")
    assert Solver(reltol=1e-3, abstol=1e-14).options().endswith(" vntol=1e-06 abstol=1e-12")
    assert Solver(reltol=1e-7, abstol=1e-14).options().endswith(" vntol=1e-08 abstol=1e-14")


# The text

def test_netlist_is_circuit_options_and_saves_and_ends(divider):
    lines = netlist_text(divider, Solver(), 1e-3, ["middle", "i(Vin)"]).split("\n")
    assert lines[:4] == [".title divider", "Vin top 0 1.0", "R1 top middle 1000.0", "R2 middle 0 1000.0"]
    usual = ".options method=trap reltol=1e-05 trtol=70 chgtol=1e-14 vntol=1e-06 abstol=1e-12"
    assert lines[4:] == [usual, ".save middle i(Vin)", ".end", ""] and Solver().max_step == 20e-6
    assert ".save" not in netlist_text(divider, Solver(), 1e-3)


def test_long_lists_of_saved_vectors_are_cut_into_lines_of_twenty(divider):
    names = [f"n{k}" for k in range(45)]
    saves = [line.split() for line in netlist_text(divider, Solver(), 1e-3, names).splitlines() if line.startswith(".save")]
    assert [len(words) - 1 for words in saves] == [20, 20, 5]
    assert [name for words in saves for name in words[1:]] == names


def test_difference_of_two_nodes_is_saved_as_both(divider):
    assert ".save v(a) v(b) out" in netlist_text(divider, Solver(), 1e-3, ["V( A , b )", "out"])


def test_printed_nodes_bring_the_transient_that_batch_mode_needs(divider):
    lines = netlist_text(divider, Solver(max_step=1e-5), 2e-3, ["top"], ["top", "middle"]).splitlines()
    assert lines[0] == ".title divider" and lines[-3:] == [".tran 0.002 0.002 0 1e-05 uic", ".print tran top middle", ".end"]


def test_transient_starts_from_given_conditions_or_from_the_operating_point(divider):
    text = str(divider)
    assert tran_command(text, Solver(max_step=1e-5), 1) == "tran 1.0 1.0 0 1e-05 uic"
    assert tran_command(text, Solver(max_step=1e-5), 1, uic=False) == "tran 1.0 1.0 0 1e-05"
    assert tran_command(f"{text}\nV2 a 0 PULSE(0 1)", Solver(max_step=1e-5), 1) == f"tran {1e-3 * 1e-5!r} 1.0 0 1e-05 uic"


# Names

@pytest.mark.parametrize(("name", "vector"), [
    ("out", "out"), (" Out ", "out"), ("V(Out)", "out"), ("v( x1.a )", "x1.a"), ("I(Vsupply)", "vsupply#branch"),
    ("i(v1)", "v1#branch"), ("v(a,b)", "v(a,b)"), ("@M1[id]", "@m1[id]")])
def test_saved_vector_is_found_under_the_name_it_was_saved_by(name, vector):
    assert vector_name(name) == vector


@pytest.mark.parametrize(("name", "element", "command"), [
    ("Vin", "vin", "alter vin"), ("Vin DC", "vin", "alter vin dc"), ("@vin[dc]", "vin", "alter vin dc"),
    ("@vin[ DC ]", "vin", "alter vin dc"), ("  r1   Resistance ", "r1", "alter r1 resistance"), ("e.x1.e1 gain", "e.x1.e1",
                                                                                           "alter e.x1.e1 gain")])
def test_one_element_has_one_name_however_it_is_written(name, element, command):
    assert altered_name(name) == (element, command)


@pytest.mark.parametrize("name", ["", "vin dc 3", "vin; quit", "vin=3", "vin,", "v[in", "vµ", "vin dc ac", "@vin[]", 5, None,
                                  "v<0>", "vr>b", "v`q`", "v$z", "va&b", 'v"q'])
def test_name_that_could_be_another_command_is_refused(name):
    with pytest.raises(ParameterError, match=r'cannot be altered or swept: it must be "element" or "element parameter", '):
        altered_name(name)


@pytest.mark.parametrize(("value", "text"), [
    (0.1, "0.1"), (np.float64(1e-12), "1e-12"), (3, "3.0"), (np.float32(0.5), "0.5"), (u_kΩ(2), "2000.0"), (u_mV(5), "0.005"),
    ([0, 1e-5, 2], "[ 0.0 1e-05 2.0 ]"), (np.array([1.5, -2]), "[ 1.5 -2.0 ]"), ((u_mV(1), 2), "[ 0.001 2.0 ]")])
def test_value_is_sent_with_every_digit_and_without_unit(value, text):
    assert value_text("vin", value) == text


@pytest.mark.parametrize("value", ["much", "5", None, [1, "a"], [[1.0, 2.0]], {}, [], True, float("nan"), -float("inf"),
                                   [1.0, float("nan")], 10**400])
def test_value_that_is_no_number_is_refused(value):
    with pytest.raises(ParameterError, match=r"^vin must be a finite number or a list of them, got "):
        value_text("vin", value)


@pytest.mark.parametrize("value", [1e-9, 5, np.float64(2.0), u_us(3)])
def test_positive_quantity_becomes_a_float(value):
    found = positive("stop", value, "s")
    assert type(found) is float and found == pytest.approx(float(value))


@pytest.mark.parametrize("value", [0, -1e-9, math.inf, math.nan, True, "1", None, 10**400])
def test_time_that_is_none_is_refused_with_its_unit(value):
    with pytest.raises(ParameterError, match=rf"^stop must be above 0 s, got {value!r}$"):
        positive("stop", value, "s")


# What ngspice should refuse

def test_whole_lines_are_joined_and_free_of_comments_and_control_sections():
    text = """title R1 is no line
* comment
R1 a b 1k ; a resistor
+ tc=1
C1 a 0 $ a capacitor
  + 1n
   * indented comment

.CONTROL
run
.endc
  L1 a 0 1u
.end"""
    words = [line.split() for line in whole_lines(text)]
    assert words == [["R1", "a", "b", "1k", "tc=1"], ["C1", "a", "0", "1n"], ["L1", "a", "0", "1u"], [".end"]]


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_element_with_its_fewest_fields_passes_and_with_one_less_does_not(kind):
    fewest = {"a": 2, "k": 2, "x": 2, "q": 4, "m": 4, "j": 4, "z": 4, "s": 4, "w": 4, "o": 5, "t": 5}.get(kind, 3)
    words = [f"{kind}1", "a", "b", "c", "d", "e"][:fewest]
    for line in (words, [words[0].upper(), *words[1:]]):
        assert malformed(f"title\n{' '.join(line)}\n.end") == ""
    said = malformed(f"title\n{' '.join(words[:-1]).upper()}\n.end")
    assert said.startswith(f"{' '.join(words[:-1])!r} is not a valid ") and said.endswith(" line: it lacks nodes")


def test_malformed_element_is_called_by_its_kind():
    for line, kind in (("r1 a", "resistor"), ("m1 a b", "MOSFET"), ("x1", "subcircuit"), ("e1 a", "element")):
        assert f"valid {kind} line" in malformed(f"title\n{line}")


def test_line_that_begins_with_no_letter_is_no_element_but_commands_and_comments_are_none_either():
    assert malformed("title\nR1 a b 1\n5 a b 1") == "'5 a b 1' is no element: its name must begin with a letter"
    assert malformed("title\n.model d d\n#include\n$ comment\n/ something\nR1 a b 1") == ""


def test_element_with_letters_that_ngspice_takes_for_one_is_refused():
    assert "takes every letter that is not ASCII for '_'" in malformed("title\nR1 ä ö 1k")
    assert malformed("Größe\n* ä\n.include /home/jörg/models\nR1 a o 1k ; Ω") == ""


@pytest.mark.parametrize("values", [(0, 5, 0), (0, 5, -1), (1, 1, 0), (0, 5, 1e-7), (1, 2, 1e-20)])
def test_sweep_that_never_arrives_is_refused(values):
    with pytest.raises(ParameterError, match=rf"^a sweep from .* must take 1 to 10,000,000 steps, its step is {values[2]:g}$"):
        swept_values(*values)
    with pytest.raises(ParameterError, match=r"^stop must be a finite number"):
        swept_values(0, float("nan"), 1)


@pytest.mark.parametrize(("values", "text"), [((0, 5, 1), "0.0 5.0 1.0"), ((5, 0, -0.5), "5.0 0.0 -0.5"),
                                              ((1, 1, 1), "1.0 1.0 1.0")])
def test_sweep_up_down_or_of_one_point_is_sent(values, text):
    assert swept_values(*values) == text


CONTROL = "a .control section is a script of its own, which changes other circuits too: use alter, run, op, dc, ac"
INTERP = "option interp leaves one point of a transient, of every circuit here: waveforms are as ngspice computes them"
NONE = "a node called 'none' cannot be saved: to ngspice it means no points, of every circuit here; rename it"


@pytest.mark.parametrize(("lines", "said"), [
    (".control\nset interp\n.endc", CONTROL), ("R1 a 0 1k\n  .Control\n.endc", CONTROL), (".options interp", INTERP),
    (".OPTION reltol=1e-4 INTERP", INTERP), (".opt\n+ interp=1", INTERP), (".save none", NONE), (".SAVE all None", NONE),
    (".save v(none)", NONE), (".save out\n+ none", NONE)])
def test_what_would_change_other_circuits_is_named(lines, said):
    assert malformed(f"title\n{lines}\n") == said


@pytest.mark.parametrize("line", [".model", ".model x", ".MODEL x", ".csparam"])
def test_statement_that_says_nothing_is_refused(line):
    """ngspice 39 crashes at it."""
    assert malformed(f"title\n{line}") == f"{line.lower()!r} is not a valid line: it lacks a name or what is said of it"
    assert malformed(f"title\n{line}\n+ y z") == ""


@pytest.mark.parametrize("lines", [".save nonesuch v(nones) all", ".options interpolate=1", "Rnone none 0 1k", "* .control",
                                   ".save v(a)\nR1 a none 1"])
def test_what_only_resembles_that_is_fine(lines):
    assert malformed(f"title\n{lines}\n") == ""


def test_a_texts_own_end_is_left_out_with_what_stands_behind_it():
    text = netlist_text("title\nR1 a 0 1k\n .End \nR2 a 0 1k\n", Solver(), 0, ["a"])
    assert text == f"title\nR1 a 0 1k\n{Solver().options()}\n.save a\n.end\n"
    assert netlist_text("title\n.ends\nXend a .endx", Solver(), 0).startswith("title\n.ends\nXend a .endx\n.options")


@pytest.mark.parametrize(("values", "name"), [((True, 1, 1), "start"), ((0, "x", 1), "stop"), ((0, 1, None), "step")])
def test_value_of_a_sweep_that_is_none_is_named(values, name):
    with pytest.raises(ParameterError, match=f"^{name} must be a finite number"):
        swept_values(*values)


# Edges of pulses that are not given

def step(lines, stop=1e-2, max_step=1e-3):
    netlist._edges_needed.cache_clear()  # each time computed anew
    return print_step("title\n" + lines, Solver(max_step=max_step), stop)


@pytest.mark.parametrize("line", [
    "R1 a b 1k", "V1 a 0 PULSE(0 1 0 1u 1u 1m 2m)", "V1 a 0 dc 0 pulse 0 1 0 1n 1n 1m", "V1 a 0 SIN(0 1 1k)",
    "V1 a 0 PWL(0 0 1 1)", "* V1 a 0 PULSE(0 1)", "R1 pulse exp 1k"])
def test_print_step_is_the_whole_run_where_every_edge_is_given(line):
    assert step(line) == 1e-2


@pytest.mark.parametrize(("line", "shortest"), [
    ("V1 a 0 PULSE(0 1 0 0 1u 0.1m 2m)", 1e-4), ("V1 a 0 PULSE(0 1 0 1u 0 0.1m 2m)", 1e-4),
    ("I1 a 0 PULSE ( 0 1 0 0 0 900u 0.2m )", 2e-4), ("V1 a 0 dc 0 pulse 0,1,0,0,0,0.5m", 5e-4),
    ("V1 a 0 PULSE(0 1 0 0 0 9 8)", 1e-3), ("V1 a 0 PULSE(0 1)", 1e-3), ("V1 a 0 PULSE(0 1 0)", 1e-3),
    ("V1 a 0 PULSE(0 1 0 1u)", 1e-3), ("V1 a 0 EXP(0 1 0 1u)", 1e-3), ("V1 a 0 exp(0 1)", 1e-3),
    (".include other.cir", 1e-3), (".inc other.cir", 1e-3), (".LIB models tt", 1e-3)])
def test_edge_that_is_not_given_lasts_a_thousandth_of_the_shortest_width_period_or_step(line, shortest):
    assert step(line) == pytest.approx(1e-3 * shortest)


def test_shortest_of_several_pulses_counts_with_suffixes_of_spice():
    both = "V1 a 0 PULSE(0 1 0 0 0 0.3MS 1)\nV2 b 0 PULSE(0 1 0 0 0 200us 0)\nV3 c 0 PULSE(0 1 0 1u 1u 1n)"
    assert step(both) == pytest.approx(1e-3 * 200e-6)
    for text, seconds in (("2e-4", 2e-4), ("0.2e-3", 2e-4), (".2m", 2e-4), ("200u", 2e-4), ("200000ns", 2e-4), ("2e8p", 2e-4),
                          ("2e11f", 2e-4), ("1e-7k", 1e-4), ("2e-10Meg", 2e-4), ("2e-13g", 2e-4), ("2e-16T", 2e-4)):
        assert step(f"V1 a 0 PULSE(0 1 0 0 0 {text})") == pytest.approx(1e-3 * seconds)


@pytest.mark.parametrize("line", [
    "V1 a 0 PULSE(0 1 0 0 0 {width})", "V1 a 0 PULSE(0 1 0 {edge} 1u 2 3)", "V1 a 0 PULSE(0 1 0 1u 'edge*2' 2 3)",
    "V1 a 0 PULSE({max(low, 0)} {high} 0 {max(edge, 0)} {edge + edge} {2 * width} 3)", "V1 a 0 pulse(0 1 0 edge edge width 3)",
    "V1 a 0 PULSE(0 1 0 -1u 1u 2 3)"])
def test_pulse_given_by_parameters_takes_the_longest_step(line):
    assert step(line) == pytest.approx(1e-6)


def test_parameters_elsewhere_leave_the_edges_that_are_given():
    assert step("V1 a 0 PULSE({max(low, 0)} 'high' {delay} 1u 1u {width} {period})") == 1e-2


def test_altered_sources_count_with_their_new_shape():
    sent = {"alter vin pulse": "[ 0.0 1.0 0.0 0.0 0.0 0.0002 0.001 ]", "alter r1": "3.0", "alter vb dc": "1.0"}
    for given, expected in ((sent, 1e-3 * 2e-4), ({"alter vin pulse": "[ 0.0 1.0 0.0 1e-06 1e-06 0.0002 ]"}, 1e-2), ({}, 1e-2),
                            ({"alter i.x1.i1 exp": "[ 0.0 1.0 ]"}, 1e-6)):
        assert print_step("title\nV1 a 0 1", Solver(max_step=1e-3), 1e-2, altered_shapes(given)) == pytest.approx(expected)
    two = altered_shapes({"alter v1 pulse": "[ 0.0 1.0 0.0 1e-06 1e-06 0.1 ]",
                          "alter v2 pulse": "[ 0.0 1.0 0.0 0.0 0.0 0.0003 ]"})
    assert print_step("title", Solver(max_step=1e-3), 1e-2, two) == pytest.approx(1e-3 * 3e-4)
    assert tran_command("title", Solver(max_step=1e-3), 1e-2, altered=two) == f"tran {1e-3 * 3e-4!r} 0.01 0 0.001 uic"
    both = print_step("title\nV1 a 0 PULSE(0 1 0 0 0 100u)", Solver(max_step=1e-3), 1e-2, altered_shapes(sent))
    assert both == pytest.approx(1e-3 * 1e-4)


def test_print_step_is_never_so_short_that_ngspice_takes_two_breakpoints_for_one():
    assert step("V1 a 0 PULSE(0 1 0 0 0 10n)") == pytest.approx(1e-4 * 1e-3)
    assert step("V1 a 0 PULSE(0 1 0 0 0 10n)", stop=1e-5) == pytest.approx(1e-4 * 1e-5)
    assert step("V1 a 0 PULSE(0 1)", stop=1e-5) == pytest.approx(1e-3 * 1e-5)


@pytest.mark.parametrize(("source", "step", "said"), [
    ("V1 a 0 sin(0 1 10k)", 20e-6, "steps of up to 2e-05 s do not resolve the 10000 Hz of V1: take Solver(max_step=1e-06) or so"),
    ("V1 a 0 dc 0 ac 1 SIN ( 0, 1, 1Meg, 0 )", 1e-6, "steps of up to 1e-06 s do not resolve the 1e+06 Hz of V1: take "
                                                    "Solver(max_step=1e-08) or so"),
    ("Iin 0 a sin 0 1m 60", 20e-6, ""), ("V1 a 0 sin(0 1 10k)", 10e-6, ""), ("V1 a 0 sin(0 1 {f})", 1.0, ""),
    ("* V1 a 0 sin(0 1 1G)", 1.0, ""),
    ("V1 a 0 pulse(0 1 0 1n 1n 1u 2u)", 1.0, ""), ("V1 a 0 sin(0 1)", 1.0, ""), ("B1 a 0 v=sin(6.28e6*time)", 1.0, ""),
    ("V1 a 0 sin(0 0 0)", 1.0, "")])
def test_steps_that_do_not_resolve_a_sine_are_too_coarse(source, step, said):
    assert too_coarse(f"title\n{source}\nR1 a 0 1k\n", step) == said


@pytest.mark.parametrize(("sent", "said"), [
    ({"alter v1 sin": "[ 0 1 700000 ]"}, "700000 Hz of v1"), ({"alter v1 sin": "[ 0 1 60 ]"}, ""),
    ({"alter v1 dc": "3"}, "10000 Hz of V1"), ({"alter v1 pwl": "[ 0 0 1e-3 1 ]"}, ""),
    ({"alter v2 sin": "[ 0 1 700000 ]"}, "10000 Hz of V1")])
def test_sine_that_a_source_was_altered_to_is_the_one_to_be_resolved(sent, said):
    found = too_coarse("title\nV1 a 0 sin(0 1 10k)\nR1 a 0 1k\n", 20e-6, altered_shapes(sent))
    assert said in found and bool(found) == bool(said)


@pytest.mark.parametrize(("element", "unit"), [("r1", "ohm"), ("cload", "F"), ("l2", "H"), ("vin", "V"), ("iref", "A"),
                                               ("temp", "degrees Celsius"), ("q1", ""), ("tline", "")])
def test_elements_have_units_of_their_own(element, unit):
    assert own_unit(element) == unit


def test_values_are_in_the_unit_that_they_are_given_for():
    assert value_text("R1", 2@u_kOhm, "ohm") == "2000.0" == value_text("R1", 2e3, "ohm") == value_text("R1", 2@u_kOhm)
    assert positive("stop", 3@u_us, "s") == pytest.approx(3e-6) and swept_values(0@u_V, 2@u_V, 1, "V") == "0.0 2.0 1.0"
    assert value_text("V1 pwl", [0, 1@u_us, 1@u_V], "") == "[ 0.0 1e-06 1.0 ]"
    for wrong, words in ((lambda: value_text("R1", 2@u_us, "ohm"), "R1 must be in ohm, got 2 us"),
                         (lambda: positive("stop", 3@u_V, "s"), "stop must be in s, got 3 V"),
                         (lambda: swept_values(0, 2@u_us, 1, "V"), "stop must be in V, got 2 us")):
        with pytest.raises(ParameterError) as refused:
            wrong()
        assert str(refused.value).replace("μ", "u") == words


def test_methods_are_those_of_ngspice():
    assert [Solver(method=method).method for method in ("trap", "gear")] == ["trap", "gear"]
    with pytest.raises(ParameterError, match=r"^method must be one of trap, gear, got 'euler'$"):
        Solver(method="euler")
