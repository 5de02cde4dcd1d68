"""A circuit gives the same result the second time, whatever its elements remember, and whatever it is called."""

import signal

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from spice.deck import with_included
from spice.engine import MOST_CIRCUITS
from spice.parameters import ParameterError
from spice.session import SimulationError, Solver
from tests.spice.test_sessions import FAST

DIGITAL = """V1 in 0 PULSE(0 5 0.1u 1n 1n 0.5u 1u)
A1 [in] [clk] adc
A2 [clk] [a] dac
R2 a 0 1k
.model adc adc_bridge(in_low=1 in_high=4)
.model dac dac_bridge(out_low=0 out_high=5 t_rise=1n t_fall=1n)
"""
DERIVATIVE = "V1 in 0 sin(0 1 1meg 0 0 90)\nB1 a 0 V=ddt(v(in))*1e-6\nR2 a 0 1k\n"
RANDOM = "Monte Carlo\n.param x=agauss(1,0.1,1)\nV1 a 0 {x}\nR1 a 0 1k\n"


@pytest.fixture
def loaded(ngspice):
    """loaded(text, save) gives a circuit of a few steps of 50 ns, unloaded at the end."""
    circuits = []

    def load(text, *save, solver=None):
        circuits.append(ngspice.load(text, solver or Solver(max_step=5e-8), save))
        return circuits[-1]
    yield load
    for circuit in circuits:
        circuit.unload()


@pytest.mark.parametrize(("lines", "high"), [(DIGITAL, 5.0), (DERIVATIVE, 6.28)])
@pytest.mark.parametrize("included", [False, True])
def test_what_runs_right_but_once_in_ngspice_runs_right_again(loaded, tmp_path, lines, high, included):
    if included:
        (tmp_path / "library").mkdir()
        (tmp_path / "library" / "parts.cir").write_text(lines)
        (tmp_path / "library" / "all.lib").write_text(".include parts.cir\n")  # found beside the file that names it
        lines = f'.include "{tmp_path / "library" / "all.lib"}"\n'
    circuit = loaded(f"again\n{lines}", "a")
    circuit.alter({"R2": 2e3})
    runs = [circuit.run(2.3e-6)["a"] for _ in range(3)]
    assert [wave.max() for wave in runs] == pytest.approx([high] * 3, rel=0.02)
    circuit.op()
    last = list(circuit.run(2.3e-6, pauses=[1e-6]))[-1]["a"]
    assert last.max() == pytest.approx(high, rel=0.02)
    assert "alter r2 = 2000.0" in circuit.netlist_with_changes(1e-6)


def test_values_drawn_at_random_stay_those_of_their_circuit(ngspice, loaded):
    """Also when more circuits are loaded than ngspice has room for, and when a fresh one takes over."""
    drawn = [loaded(RANDOM, "a") for _ in range(3)]
    before = [circuit.op()["a"] for circuit in drawn]
    assert len(set(before)) == 3
    for _ in [loaded("other\nV1 a 0 1\nR1 a 0 1k\n", "a") for _ in range(MOST_CIRCUITS)]:
        _.op()
    assert [circuit.op()["a"] for circuit in drawn] == before
    ngspice._engine._lost = True
    assert [circuit.op()["a"] for circuit in drawn] == before
    drawn += [loaded(RANDOM, "a") for _ in range(3)]
    assert len({circuit.op()["a"] for circuit in drawn}) == 6


def test_sweep_that_ends_early_leaves_its_source_as_it_was(loaded):
    steep = loaded("""steep
Vin in 0 1
Ven en 0 1
R1 in b 1k
B1 b 0 I=v(en)*(v(b)>3.2 ? exp(700*v(b)) : 0)
R2 b 0 1k
""", "in", "b")
    steep.alter({"Vin": 1.0})
    with pytest.raises(SimulationError):
        steep.dc("Vin", 0, 10, 0.5)
    steep.alter({"Ven": 0.0, "Vin": 1.0})
    assert (steep.op()["in"], steep.op()["b"]) == pytest.approx((1.0, 0.5))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers of that kind")
def test_sweep_that_is_interrupted_leaves_its_source_as_it_was(loaded, monkeypatch):
    circuit = loaded("divider\nVin in 0 1\nR1 in out 1k\nR2 out 0 1k\n", "out")
    circuit.alter({"Vin": 2.0})
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            circuit.dc("Vin", -5, 5, 1e-6)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert circuit.op()["out"] == circuit.run(1e-6)["out"][-1] == pytest.approx(1.0)


def source(volts, title):
    circuit = Circuit(title)
    circuit.V("1", "a", circuit.gnd, volts)
    circuit.R("1", "a", circuit.gnd, 1e3)
    return circuit


def test_title_may_speak_of_errors(loaded):
    kept = [loaded(source(volts, f"{volts} volts"), "a") for volts in (1, 2)]
    kept.insert(0, loaded(source(7, "Error amplifier: no error"), "a"))
    kept.insert(1, loaded("t\nV1 a 0 8\nR1 a 0 1\n.title fatal error\n", "a"))
    with pytest.raises(SimulationError, match="r9 a"):
        loaded("error\nR9 a\n", "a")
    with pytest.raises(SimulationError, match=r"no such|unknown|find"):
        loaded("another error\nV1 a 0 1\nX1 a nowhere\n", "a").op()
    assert [circuit.op()["a"] for circuit in kept] == [7.0, 8.0, 1.0, 2.0]


def test_names_may_speak_of_errors(loaded):
    circuit = loaded("t\nV1 error 0 1\nRerror error 0 1k\n.meas tran error_peak max v(error)\n", "error", "i(V1)")
    for _ in range(2):
        first, last = circuit.run(1e-6, pauses=[5e-7])
        assert 5e-7 <= first.time[-1] < last.time[-1] == pytest.approx(1e-6)
        assert last["error"][-1] == circuit.op()["error"] == 1.0


@pytest.mark.parametrize("level", [8, 49])
def test_what_a_model_says_of_its_parameters_is_no_failure(loaded, level):
    """ngspice -b: -13.1198 uA at level 8."""
    circuit = loaded(f"t\nVd d 0 3\nVg g 0 2\nM1 d g 0 0 nm w=10u l=1u\n.model nm nmos(level={level})\n", "i(Vd)")
    assert circuit.op()["i(Vd)"] == pytest.approx(circuit.run(1e-6)["i(Vd)"][-1]) == pytest.approx(-1.31198e-5, rel=1e-4)


def test_nodes_may_be_numbers(loaded):
    circuit = Circuit("numbers")
    circuit.V(1, 1, circuit.gnd, 1)
    circuit.R(1, 1, 2, 1e3)
    circuit.R(2, 2, circuit.gnd, 3e3)
    point = loaded(circuit, "1", "2").op()
    assert [point[name] for name in ("1", "v(1)", "V(2)", "v(1,2)", "v(2)")] == pytest.approx([1, 1, 0.75, 0.25, 0.75])


@pytest.mark.parametrize("place", ["Vt {} 0 1", "R1 a {} 1k", "C2 {} 0 1n", "Q1 a b {} npn", "E1 {} 0 a 0 1"])
@pytest.mark.parametrize("name", ["temper", "Time", "hertz"])
def test_node_of_a_name_that_is_ngspices_own_is_refused(loaded, place, name):
    """"temper" would end the process with a segmentation fault, a node "time" would be taken for the axis."""
    with pytest.raises(SimulationError, match=f"no node can be called '{name.lower()}'"):
        loaded(f"t\nV1 a 0 1\n{place.format(name)}\n", "a")


def test_too_long_a_list_is_refused_and_changes_nothing(loaded):
    circuit = loaded("t\nV1 a 0 1\nR1 a b 1k\nR2 b 0 1k\n", "b")
    points = [x for k in range(200) for x in (k * 1e-7, 1.0)]
    with pytest.raises(SimulationError, match="ngspice takes no more than 1023 in an alter"):
        circuit.alter({"R1": 3e3, "V1 pwl": points})
    assert circuit.op()["b"] == pytest.approx(0.5) and "alter" not in circuit.netlist_with_changes(1e-6)
    circuit.alter({"R1": 3e3, "V1 pwl": points[:40]})
    assert circuit.op()["b"] == pytest.approx(0.25)


def test_list_for_one_number_is_refused(loaded):
    circuit = loaded("t\nV1 a 0 1\nR1 a b 1k\nR2 b 0 1k\n", "b")
    with pytest.raises(ParameterError, match="R1 takes one number"):
        circuit.alter({"R1": [1e3, 2e3]})


@pytest.mark.parametrize("analyse", [lambda circuit: circuit.run(1e-6), lambda circuit: circuit.op()])
def test_parameter_that_a_device_does_not_have_is_named(loaded, analyse):
    found = analyse(loaded("t\nV1 a 0 1\nR1 a 0 1k\n", "a", "@r1[powr]", "@r1[p]"))
    assert np.atleast_1d(found["@r1[p]"])[-1] == pytest.approx(1e-3)
    with pytest.raises(SimulationError, match=r"no values of '@r1\[powr\]'"):
        found["@r1[powr]"]


@pytest.mark.parametrize("end", ["", ".end\n", ".END ; it is\nV2 a 0 7\n", "  .end $ x\n.options interp\n", ".end no more\n"])
def test_nothing_behind_the_end_counts(loaded, end):
    waves = loaded(f"t\nV1 a 0 sin(0 1 1meg)\nR1 a b 1k\nC1 b 0 1n\n{end}", "b", solver=FAST).run(1e-6)
    assert waves.names == ["b", "time"] and len(waves.time) > 1e-6 / FAST.max_step


@pytest.mark.parametrize("start", ["", "\n", "  \n\n"])
def test_text_without_a_title_keeps_its_first_element(loaded, start):
    assert loaded(f"{start}\nV1 a 0 1\nR1 a b 1k\nR2 b 0 1k\n", "b").op()["b"] == pytest.approx(0.5)


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
    whole = with_included(f"t\n.include {tmp_path / 'c'}\n.include nowhere\n.INC '{tmp_path / 'c'}'\n.lib {tmp_path} tt\n")
    assert whole.count("R2") == 2


def test_pause_before_the_start_is_refused(loaded):
    with pytest.raises(ParameterError, match="pauses must be a list of times"):
        loaded("t\nV1 a 0 1\nR1 a 0 1k\n", "a").run(1e-6, pauses=[-1e-7])


def test_handler_that_a_signals_handler_sets_stays(loaded):
    """As programs do for which Ctrl-C asks once and kills the second time."""
    def once(number, frame):
        signal.signal(number, signal.default_int_handler)
    before = signal.signal(signal.SIGTERM, once)
    try:
        circuit = loaded("t\nV1 a 0 1\nR1 a 0 1k\n", "a")
        with_signal = circuit._engine.ngspice.exec_command

        def heard(command):
            signal.raise_signal(signal.SIGTERM)
            return with_signal(command)
        circuit._engine.ngspice.exec_command = heard
        try:
            circuit.alter({"V1": 2.0})
        finally:
            del circuit._engine.ngspice.exec_command
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
