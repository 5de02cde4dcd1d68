"""A circuit gives the same result the second time, whatever its elements remember, and whatever it is called."""

import signal
import subprocess

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from spice.deck import drawn_at_random
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


def test_more_digital_circuits_than_ngspice_has_room_for_run_again(ngspice, loaded):
    """Those that wait are loaded for their run anyway: once more would crash ngspice."""
    circuits = [loaded(f"ddt\n{DERIVATIVE}", "a") for _ in range(MOST_CIRCUITS + 2)]
    for _ in range(2):
        for circuit in circuits:
            assert circuit.run(1e-6)["a"].max() == pytest.approx(6.28, rel=0.02)
            assert len(ngspice._engine._circuits) <= MOST_CIRCUITS


def test_paused_run_of_digital_models_ends_when_another_circuit_is_loaded(loaded):
    """ngspice would crash; of other circuits a paused run goes on."""
    digital, plain = loaded(f"t\n{DIGITAL}", "a"), loaded("t\nV1 a 0 1\nR1 a b 1k\nC1 b 0 1n\n", "b")
    for circuit, goes_on in ((digital, False), (plain, True)):
        run = circuit.run(2e-6, pauses=[1e-6])
        next(run)
        loaded("other\nV1 a 0 1\nR1 a 0 1k\n", "a")
        if goes_on:
            assert next(run).time[-1] == pytest.approx(2e-6)
        else:
            with pytest.raises(SimulationError, match="of digital models, another circuit was loaded"):
                next(run)
            assert digital.run(2.3e-6)["a"].max() == pytest.approx(5.0)


def test_frequency_of_an_ac_analysis_stays_in_it(loaded):
    circuit = loaded("skin effect\nV1 in 0 dc 1 ac 1\nR1 in out r='1k*(1+sqrt(hertz/1e4))'\nR2 out 0 1k\n", "out")
    for _ in range(2):
        assert circuit.op()["out"] == circuit.run(1e-4)["out"][-1] == circuit.dc("V1", 1, 1, 1)["out"][0] == pytest.approx(0.5)
        circuit.ac(1e3, 1e6, 3)


@pytest.mark.parametrize("parameter", ["vmax*2", "3*2"])
def test_measurement_of_a_parameter_fails_no_later_run(loaded, parameter):
    circuit = loaded(f"rc\nV1 a 0 1\nR1 a b 1k\nC1 b 0 1n\n.meas tran vmax max v(b)\n.meas tran two param='{parameter}'\n", "b")
    assert len({len(circuit.run(1e-6).time) for _ in range(3)}) == 1


def test_circuit_with_an_error_that_ngspice_calls_fatal_may_be_run_again(loaded):
    """It would crash in the second run."""
    line = loaded("line\nV1 in 0 1\nP1 in 0 x 0 pl\n.model pl cpl(R=1)\nR9 x 0 1\n")
    for _ in range(2):
        with pytest.raises(SimulationError, match="lossy line parallel conductance not given"):
            line.op()


def test_complaint_of_a_refused_netlist_is_not_the_next_ones(ngspice, loaded):
    good = "t\nV1 in 0 1\nR1 in out 1k\nR2 out 0 1k\n"
    for circuit in [kept for kept in ngspice._engine._circuits + ngspice._engine._waiting if kept.owner() is None]:
        ngspice._engine.unload(circuit)
    with pytest.raises(SimulationError, match="Scalar connection expected"):
        loaded(f"{good}A1 [in] x g\n.model g gain(gain=2)\nR9 x 0 1\n", "out")
    assert loaded(good, "out").op()["out"] == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["gauss", "agauss", "unif", "AUNIF", "limit"])
def test_every_random_function_is_known(name):
    assert drawn_at_random(f".param x={name}(1, 0.1)") and not drawn_at_random(f".param {name}=1 y={{2*{name}}}")


@pytest.mark.parametrize("title", ["An RC ladder", "U-shaped", ".title amplifier"])
def test_title_makes_no_circuit_one_that_is_loaded_again(ngspice, loaded, monkeypatch, title):
    circuit = loaded(f"{title}\nV1 a 0 1\nR1 a b 1k\nC1 b 0 1n\n", "b")
    circuit.run(1e-6)
    monkeypatch.setattr(ngspice._engine.ngspice, "load_circuit", lambda text: pytest.fail("loaded again"))
    circuit.run(1e-6)


def test_circuit_drawn_at_random_is_the_same_when_it_is_run_by_hand(loaded, tmp_path):
    circuit = loaded(RANDOM, "a")
    (tmp_path / "again.cir").write_text(circuit._netlist.with_changes("op").replace(".endc", "print v(a)\n.endc"))
    said = subprocess.run(["ngspice", "-n", "-b", "again.cir"], cwd=tmp_path, capture_output=True, text=True).stdout
    assert float(said.split("v(a) =")[1].split()[0]) == pytest.approx(circuit.op()["a"], rel=1e-6)


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


def test_noise_does_not_come_once_more_with_a_circuit_drawn_at_random(loaded):
    noise = loaded("noise\nV1 a 0 trrandom(2 1u 0 0.1)\nR1 a 0 1k\n", "a", solver=Solver(max_step=1e-7))
    drawn, seen = loaded(RANDOM, "a"), []
    for _ in range(6):
        drawn.run(1e-6)
        drawn.op()  # loaded again, with the seed that it was drawn with
        seen.append(float(noise.run(1e-5)["a"][-1]))
    assert len(set(seen)) == 6


DIODE = "diode\n.model d1 d(is=1e-14 cjo=4p tt=5n rs=1)\nV1 a 0 0 sin(0 1 100k)\nR1 a b 1k\nD1 b 0 d1\n"
LATCH = """CMOS NAND latch
Vdd vdd 0 3.3
Vs sb 0 0
Vr rb 0 0
Map1 q sb vdd vdd pm l=1u w=5u
Map2 q qb vdd vdd pm l=1u w=5u
Man1 q sb xa 0 nm l=1u w=4u
Man2 xa qb 0 0 nm l=1u w=4u
Mbp1 qb rb vdd vdd pm l=1u w=5u
Mbp2 qb q vdd vdd pm l=1u w=5u
Mbn1 qb rb xb 0 nm l=1u w=4u
Mbn2 xb q 0 0 nm l=1u w=4u
.model nm nmos(level=1 kp=100u vto=0.7)
.model pm pmos(level=1 kp=40u vto=-0.7)
"""


def test_sweep_of_a_junction_after_a_transient_is_the_sweep_before_it(loaded):
    """ngspice would go on integrating the junction's charge, with the last step of the transient."""
    diode = loaded(DIODE, "b", solver=Solver(max_step=1e-8))
    before = diode.dc("V1", -2, 1, 1)["b"]
    diode.run(2e-5)
    assert np.array_equal(diode.dc("V1", -2, 1, 1)["b"], before) and before[0] == pytest.approx(-2.0, abs=1e-3)


def test_what_did_not_converge_in_a_sweep_ends_no_run_of_another_circuit(loaded):
    """ngspice says it once more at the next pause of whatever runs."""
    rc = loaded("rc\nV1 in 0 1\nR1 in out 1k\nC1 out 0 1u ic=0\n", "out", solver=Solver(max_step=1e-5))
    latch = loaded(LATCH, "q", solver=Solver(max_step=2e-10))
    latch.set_temperature(50)
    assert len(latch.dc("Vdd", 0, 5, 0.5)["q"]) == 11
    assert [wave.time[-1] for wave in rc.run(2e-3, pauses=[1e-3])] == pytest.approx([1e-3, 2e-3], rel=0.02)
    assert [wave.time[-1] for wave in rc.run(2e-3, pauses=[2e-3, 3e-3])] == pytest.approx([2e-3])  # a pause at the end is the end


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
        assert last["error"][-1] == circuit.op()["error"] == circuit.run(1e-6, uic=False)["error"][-1] == 1.0


@pytest.mark.parametrize("level", [8, 49])
def test_what_a_model_says_of_its_parameters_is_no_failure(loaded, level, tmp_path, monkeypatch):
    """ngspice -b: -13.1198 uA at level 8."""
    monkeypatch.chdir(tmp_path)  # where ngspice leaves its log of this
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


@pytest.mark.parametrize("lines", ["X2 a temper half\n.subckt half a b\nR1 a b 1k\n.ends", ".include {}"])
def test_node_of_such_a_name_is_found_wherever_it_is(loaded, tmp_path, lines):
    (tmp_path / "node.inc").write_text("R1 a temper 1k\nR2 temper 0 1k\n")
    with pytest.raises(SimulationError, match="no node can be called 'temper'"):
        loaded(f"t\nV1 a 0 1\n{lines.format(tmp_path / 'node.inc')}\n", "a")


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
