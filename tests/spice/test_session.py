"""The session with ngspice: circuits with known solutions, changes, pauses, failures, signals."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from memristive.parameters import ParameterError
from memristive.spice.ngspice import LOOK, MOST_CIRCUITS
from memristive.spice.session import SimulationError, Solver, time_limit
from tests.helpers import ROOT

RC = """RC
v1 in 0 pwl(0 0 1u 1)
r1 in out 1k
c1 out 0 1u ic=0
"""  # time constant 1 ms
FINE = Solver(max_step=5e-6, reltol=1e-6, trtol=1.0)


@pytest.fixture
def load(ngspice):
    """load(text, *save) gives a circuit that is unloaded at the end."""
    circuits = []

    def load(text, *save):
        circuits.append(ngspice.load(text, FINE, save))
        return circuits[-1]

    yield load
    for circuit in circuits:
        circuit.unload()


def saved_netlist(error):
    """Return the netlist that an error names, and remove its file."""
    path = Path(re.search(r"ngspice -b: (\S+)", str(error.value))[1])
    text = path.read_text()
    path.unlink()
    return text


def test_rc_step_response(load):
    waves = load(RC, "V(out)", "in", "i(v1)").run(5e-3)
    late = waves.time > 1e-5
    expected = 1 - np.exp(-(waves.time - 0.5e-6) / 1e-3)
    assert waves["out"][late] == pytest.approx(expected[late], abs=1e-5)
    assert waves["i(v1)"] == pytest.approx(-waves["v(in,out)"] / 1e3, abs=1e-12)


def test_alter_changes_all_later_runs(load):
    circuit = load(RC)
    circuit.alter({"c1": 2e-6, "v1 pwl": [0, 0, 1e-6, 3.0], "c1 ic": 0.5})
    for _ in range(2):
        waves = circuit.run(2e-3)
        assert waves["out"][0] == pytest.approx(0.5, abs=1e-4)
        assert waves["out"][-1] == pytest.approx(3 - 2.5 * np.exp(-1), abs=2e-3)


DIVIDER = "divider\nv1 in 0 1\nr1 in out 1k\nr2 out 0 1k\n"


def test_the_last_change_holds_under_any_name_of_a_value(load):
    circuit = load(DIVIDER)
    for change, out in [
        ({"v1": 2}, 1.0),
        ({"v1 dc": 5}, 2.5),
        ({"v1": 2}, 1.0),
        ({"v1 dc": 5}, 2.5),
        ({"r2": 4e3}, 4.0),
        ({"r2 resistance": 1e3}, 2.5),
        ({"r2": 4e3}, 4.0),
    ]:
        circuit.alter(change)
        assert circuit.run(1e-5)["out"][-1] == pytest.approx(out)
    for _ in range(MOST_CIRCUITS):
        load(RC)
    # loaded again, with all changes in their order
    assert circuit.run(1e-5)["out"][-1] == pytest.approx(4.0)


def test_more_circuits_than_ngspice_holds_keep_their_changes(load):
    circuits = [load(DIVIDER) for _ in range(MOST_CIRCUITS + 5)]
    for volts, circuit in enumerate(circuits):
        circuit.alter({"v1": volts})
    for volts, circuit in reversed(list(enumerate(circuits))):
        assert circuit.run(1e-5)["out"][-1] == pytest.approx(volts / 2)
        circuit.alter({"r2": 3e3})
    assert circuits[-1].run(1e-5)["out"][-1] == pytest.approx(0.75 * (len(circuits) - 1))


def test_pauses_show_the_run_so_far_and_let_it_be_altered(load):
    circuit = load(RC)
    ends = []
    for waves in circuit.run(4e-3, pauses=[1e-3, 2e-3]):
        ends.append(waves.time[-1])
        if len(ends) == 2:
            circuit.alter({"v1 pwl": [0, 0, 1e-6, 0.0]})  # discharges from here on
    assert ends == pytest.approx([1e-3, 2e-3, 4e-3], abs=FINE.max_step)
    assert waves["out"][-1] == pytest.approx((1 - np.exp(-2)) * np.exp(-2), abs=5e-3)


def test_a_new_run_ends_a_paused_one(load):
    circuit = load(RC)
    paused = circuit.run(4e-3, pauses=[1e-3])
    next(paused)
    circuit.run(1e-3)
    with pytest.raises(SimulationError, match="paused"):
        next(paused)


@pytest.mark.parametrize("line", ["x1 in out missing", "m1 in out 0 0 nomodel", "foo"])
def test_refused_netlist_quotes_ngspice_and_leaves_the_others_alone(ngspice, load, line):
    circuit = load(RC)
    with pytest.raises(SimulationError) as error:
        ngspice.load(RC + line + "\n", FINE, [])
    assert line in saved_netlist(error)
    assert circuit.run(1e-3)["out"][-1] == pytest.approx(1 - np.exp(-1), abs=1e-3)


def test_a_run_that_stops_early_is_an_error_with_its_netlist(load):
    # b has no solution
    circuit = load("late\nv1 a 0 pwl(0 0 1m 1)\nb1 b 0 v=(v(a)>0.5)?1-2*(v(b)>0):0\nr1 b 0 1\n")
    circuit.alter({"r1": 2.0})
    with pytest.raises(SimulationError, match=r"stopped at 0\.0005") as error:
        circuit.run(2e-3)
    text = saved_netlist(error)
    assert "alter r1 = 2.0" in text and "tran " in text


def test_a_run_whose_steps_are_too_short_to_end_is_an_error(ngspice, load):
    # 5 GHz for a second: 1e11 time points
    text = "fast resonance\ni1 0 out pwl(0 0 1p 1m)\nc1 out 0 1p\nl1 out 0 1n\n"
    circuit = ngspice.load(text, Solver(max_step=1e-6, trtol=1.0, chgtol=1e-18), ["out"])
    for _ in range(2):
        with pytest.raises(SimulationError, match=r"stopped at .*fast resonance.*abstol") as error:
            circuit.run(1.0)
        assert "tran 1.0 1.0" in saved_netlist(error)
    circuit.unload()
    assert load(RC).run(5e-3)["out"][-1] == pytest.approx(1 - np.exp(-5), abs=1e-3)


def test_a_run_above_its_time_limit_is_an_error(load):
    """5 s, a million steps, take some seconds. The next run is as usual."""
    circuit = load(RC)
    with time_limit(0.1), pytest.raises(SimulationError, match="longer than") as caught:
        circuit.run(5.0)
    saved_netlist(caught)
    assert circuit.run(5e-3)["out"][-1] == pytest.approx(1 - np.exp(-5), abs=1e-3)


def test_looks_at_the_progress_change_nothing(load):
    circuit, stop = load(RC, "out"), 3.5 * LOOK * FINE.max_step
    waves = circuit.run(stop)
    assert len(waves.time) > 3 * LOOK and waves.time[-1] == pytest.approx(stop)
    assert np.diff(waves.time).max() < 1.01 * FINE.max_step
    parts = [part.time[-1] for part in circuit.run(stop, pauses=[stop / 3, stop / 2])]
    assert parts == pytest.approx([stop / 3, stop / 2, stop], abs=FINE.max_step)


@pytest.mark.parametrize("value", [float("nan"), "1k", None, [1.0, float("inf")]])
def test_values_must_be_finite_numbers(load, value):
    with pytest.raises(ParameterError, match="r1"):
        load(RC).alter({"r1": value})


def test_another_thread_is_refused(load):
    circuit, found = load(RC), []

    def run():
        try:
            circuit.run(1e-4)
        except SimulationError as error:
            found.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(found) == 1 and "thread" in found[0]


def test_memory_stays_flat_over_thousands_of_runs(load):
    circuit = load(RC)
    memory = []
    for k in range(1500):
        circuit.alter({"v1 pwl": [0, 0, 1e-6, k / 1000]})
        circuit.run(1e-4)
        if k in (500, 1499):
            memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    assert memory[1] - memory[0] < 2e6


def python(code, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=options.pop("cwd", ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT)} | options.pop("env", {}),
    )


LONG_RUN = f"""
from memristive.spice import ngspice
from memristive.spice.session import NgspiceSession, Solver
ngspice.SOON = 0.5
circuit = NgspiceSession().load({RC!r}, Solver(max_step=1e-6), ["out"])
print("begin", flush=True)
try:
    circuit.run(1000.0)
except KeyboardInterrupt:
    print("stopped", circuit.run(1e-3)["out"][-1])
"""


def test_ctrl_c_stops_a_run_at_once_and_leaves_ngspice_usable():
    process = python(LONG_RUN)
    assert process.stdout.readline() == "begin\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out.startswith("stopped 0.63"), err


def test_the_users_settings_file_is_not_read(tmp_path):
    (tmp_path / ".spiceinit").write_text(
        "set ngbehavior=invalid\necho settings\nalias tran echo nothing\n"
    )
    process = python(
        LONG_RUN.replace("1000.0", "1e-3").replace('print("begin", flush=True)', "")
        + "\nprint('done')",
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
    )
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("done\n", 0), err
