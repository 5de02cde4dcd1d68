"""Transmission lines and coupled inductors: what ngspice keeps of a run neither changes a later one nor ends the process."""

import subprocess
import sys

import pytest

from spice.deck import coupled, digital, lingers
from spice.session import Solver
from tests.helpers import ROOT

LINE = "a line\nV1 in 0 dc 1 ac 1 pulse(0 -5 0 1u 1u 3u 10u)\nR1 in a 1k\nT1 a 0 o 0 z0=50 td=1u\nR2 o 0 75\n"
LINES = """two coupled lines
V1 in 0 dc 1 pulse(0 5 0 1u 1u 3u 10u)
Rs in a 50
P1 a c 0 b e 0 pl
R2 c 0 50
R3 e 0 50
R4 b 0 50
.model pl cpl R=0.1 0 0.1 L=0.3u 0.05u 0.3u G=0 0 0 C=100p -10p 100p length=10
"""
FLYBACK = """flyback
V1 vcc 0 12
V2 g 0 pulse(0 5 0 10n 10n 5u 10u)
L1 vcc x 100u
L2 0 b 25u
K1 L1 L2 -0.98
R1 vcc x 10k
S1 x 0 g 0 sw
D1 b o d
R2 o 0 20
C2 o 0 1u
.model sw sw vt=2.5 vh=0.1 ron=0.1 roff=1meg
.model d d
"""


def alone(tmp_path, lines):
    """Run lines of Python in a process of their own; what they print."""
    given = f"from spice.session import NgspiceSession, Solver\nsession = NgspiceSession()\n{lines}"
    done = subprocess.run([sys.executable, "-c", given], cwd=ROOT, capture_output=True, text=True,
                          env={"TMPDIR": str(tmp_path)}, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def test_a_line_may_be_run_as_often_as_one_likes(tmp_path):
    """ngspice writes beyond the memory of a line's transient where the last was longer: it crashed within some hundred runs."""
    found = alone(tmp_path, f"line = session.load({LINE!r}, Solver(max_step=1e-7), ['o'])\n"
                            "print(*{line.run((2e-5, 5e-6, 4e-5)[k % 3])['o'].min() for k in range(1500)})")
    assert [float(value) for value in found] == pytest.approx([-0.338] * 2, abs=0.001)


def test_coupled_lines_may_be_run_swept_and_loaded_again(tmp_path):
    """ngspice has one list of their nodes for all, and looks for names in it that were freed: most of these crashed."""
    found = alone(tmp_path, f"""
for k in range(8):
    lines = session.load({LINES!r}, Solver(max_step=1e-7), ['b'])
    lines.alter({{"R4": 75}})
    print(lines.run(3e-5)['b'].max(), lines.op()['b'], lines.dc('V1', 0, 5, 5)['b'][-1])
""")
    assert [float(value) for value in found[::3]] == pytest.approx([3.0007] * 8, abs=1e-4)
    assert [float(value) for value in found[1::3]] == pytest.approx([75 / 126] * 8)
    assert [float(value) for value in found[2::3]] == pytest.approx([5 * 75 / 126] * 8)


def test_runs_of_coupled_lines_do_not_meet(ngspice, loaded):
    """Each in a fresh ngspice: in one, what the first has left would be taken for the other's."""
    first, second = (loaded(LINES.replace("R4 b 0 50", f"R4 b 0 {ohms}"), "b", solver=Solver(max_step=1e-7))
                     for ohms in (50, 200))
    before, started = None, set()
    for _ in range(2):
        found = []
        for lines in (first, second):
            found.append(lines.run(3e-5)["b"].max())
            started.add(ngspice._engine.ngspice)
        assert before is None or found == before
        before = found
    assert len(started) == 4 and before == pytest.approx([2.5, 4.01], abs=0.01)
    second.unload()
    assert first.run(3e-5)["b"].max() == before[0] and ngspice._engine.ngspice not in started


def test_coupled_inductors_are_not_coupled_in_an_operating_point_after_a_run(loaded):
    """An inductor to 12 V is a short there; ngspice said 17 V."""
    def all_of(circuit):
        runs = [circuit.run(1e-4, uic=uic)["o"][[0, -1]].tolist() for uic in (False, True, False)]
        assert runs[2] == runs[0]
        return [circuit.op()[node] for node in "xbo"], abs(circuit.ac(1e3, 1e5, 1)["o"]).tolist(), *runs
    fresh = loaded(FLYBACK, "x", "b", "o", solver=Solver(max_step=1e-7))
    first = all_of(fresh)
    assert first[0] == pytest.approx([12, 0, 0], abs=1e-6)
    assert all_of(fresh) == all_of(fresh) == first


def test_runs_from_initial_conditions_of_coupled_inductors_load_nothing_again(ngspice, loaded, monkeypatch):
    circuit = loaded(FLYBACK, "o", solver=Solver(max_step=1e-7))
    circuit.op()
    first = circuit.run(2e-5)["o"]
    monkeypatch.setattr(ngspice._engine.ngspice, "load_circuit", lambda text: pytest.fail("loaded again"))
    assert (circuit.run(2e-5)["o"] == first).all()


def test_paused_run_of_a_line_goes_on_when_another_circuit_is_loaded(loaded):
    line = loaded(LINE, "o", solver=Solver(max_step=1e-7))
    whole = line.run(2e-5)["o"]
    run = line.run(2e-5, pauses=[5e-6])
    next(run)
    loaded("other\nV1 a 0 1\nR1 a 0 1k\n", "a").unload()
    assert next(run)["o"].min() == pytest.approx(whole.min(), rel=1e-3)


@pytest.mark.parametrize(("told", "kind"), [(digital, "a"), (digital, "U"), (coupled, "K"), (lingers, "p")])
def test_elements_are_told_by_their_letter(told, kind):
    assert told(f"* untitled\n  {kind}1 x y z\n") and not told(f"* untitled\nr1 {kind}1 y 1\n* {kind}1\n")
