"""Ctrl-C, and SIGTERM where a program handles it, end any run within two seconds; the session goes on."""

import contextlib
import functools
import gc
import linecache
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from PySpice.Spice.Netlist import Circuit

from spice.interrupts import HELD, signals_held
from spice.library import start_ngspice
from spice.session import SimulationError, Solver
from tests.helpers import ROOT

SPICE = str(ROOT / "spice")
LATEST = 2.0  # s from the signal to the exception


class Ended(Exception):
    """What a program may raise at SIGTERM."""


def raw(*lines):
    """A circuit of netlist lines."""
    circuit = Circuit("raw")
    circuit.raw_spice = "\n".join(lines) + "\n"
    return circuit


ENDLESS = raw("Vin a 0 sin(0 1 1meg)", "R1 a b 1k", "C1 b 0 1n")
NO_DELAY = raw("Vin a 0 sin(0 1 1meg)", "R1 a b 50", "T1 b 0 c 0 Z0=50", "R2 c 0 50")  # steps of 1e-19 s and less
GRID = raw("Vin n0_0 0 1", "R1 n0_0 b 1k", ".model dm d", *(
    f"R{i}_{j}a n{i}_{j} n{i + 1}_{j} 1k\nR{i}_{j}b n{i}_{j} n{i}_{j + 1} 1k\nD{i}_{j} n{i}_{j} 0 dm"
    for i in range(110) for j in range(110)))  # seconds in one operating point, which ngspice never interrupts

RUNS = {
    "transient": (ENDLESS, lambda circuit: circuit.run(1.0)),
    "transient from the operating point": (ENDLESS, lambda circuit: circuit.run(1.0, uic=False)),
    "transient behind a pause": (ENDLESS, lambda circuit: list(circuit.run(1.0, pauses=[1e-6, 2e-6]))),
    "line without delay": (NO_DELAY, lambda circuit: circuit.run(1e-3)),
    "sweep": (ENDLESS, lambda circuit: circuit.dc("Vin", 0, 100, 1e-5)),
    "spectrum": (ENDLESS, lambda circuit: circuit.ac(1, 1e9, 100_000)),
    "operating point": (GRID, lambda circuit: circuit.op()),
}


@contextlib.contextmanager
def handled(number, handler):
    """A signal's handler for a while."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def sent(number, after=0.3):
    """A signal to this process some time from now; yields a list that gets the time when it was sent."""
    when = []

    def send():
        when.append(time.monotonic())
        os.kill(os.getpid(), number)
    timer = threading.Timer(after, send)
    timer.start()
    try:
        yield when
    finally:
        timer.join()


def raise_ended(number, frame):
    """A program's own handler."""
    raise Ended


@pytest.mark.parametrize(("run", "number", "handler", "expected"), [
    *((run, signal.SIGINT, signal.default_int_handler, KeyboardInterrupt) for run in RUNS),
    ("transient", signal.SIGTERM, raise_ended, Ended), ("line without delay", signal.SIGTERM, raise_ended, Ended)])
def test_signal_ends_any_run_and_the_session_goes_on(ngspice, run, number, handler, expected):
    circuit, start = RUNS[run]
    loaded = ngspice.load(circuit, Solver(max_step=1e-9), ["b"])
    library = ngspice._engine.ngspice
    with handled(number, handler), sent(number) as when, pytest.raises(expected):
        start(loaded)
    assert time.monotonic() - when[0] < LATEST
    short = ngspice.load(raw("Vin b 0 1", "R1 b 0 1k"), Solver(), ["b"])
    assert short.run(1e-5)["b"][-1] == 1.0
    assert (ngspice._engine.ngspice is library) == (circuit is not GRID)  # another copy only where this one cannot be stopped
    if circuit is ENDLESS:
        assert len(loaded.run(1e-6).time) > 1000
    for done in (short, loaded):
        ngspice.unload(done)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handler_that_raises_nothing_lets_the_run_go_on(ngspice):
    seen = []
    loaded = ngspice.load(ENDLESS, Solver(max_step=1e-9), ["b"])
    undisturbed = loaded.run(5e-5)["b"]
    with handled(signal.SIGTERM, lambda *_: seen.append(time.monotonic())), sent(signal.SIGTERM, after=0.02):
        waves = loaded.run(5e-5)["b"]
    with handled(signal.SIGINT, signal.SIG_IGN), sent(signal.SIGINT, after=0.02):
        again = loaded.run(5e-5)["b"]
    ngspice.unload(loaded)
    assert len(seen) == 1
    assert (waves == undisturbed).all() and (again == undisturbed).all()


def test_signal_without_a_handler_ends_the_process_as_ever(tmp_path):
    code = ("import os, signal, threading\nfrom tests.spice.test_interrupts import ENDLESS\n"
            "from spice.session import NgspiceSession, Solver\n"
            "circuit = NgspiceSession().load(ENDLESS, Solver(max_step=1e-9), [])\n"
            "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()\ncircuit.run(1.0)\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGTERM and done.stderr == ""


def test_process_left_by_an_operating_point_that_cannot_be_stopped_ends(tmp_path):
    code = ("import os, signal, threading\nfrom tests.spice.test_interrupts import GRID\n"
            "from spice.session import NgspiceSession, Solver\n"
            "circuit = NgspiceSession().load(GRID, Solver(), [])\n"
            "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
            "try:\n    circuit.op()\nexcept KeyboardInterrupt:\n    print('stopped')\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("stopped\n", "", 0)


def test_thread_that_ngspice_cannot_start_is_told_and_the_session_goes_on(ngspice, monkeypatch):
    """Without memory for one, ngspice says nothing: nobody would ever say that the run has ended."""
    loaded = ngspice.load(ENDLESS, Solver(max_step=1e-9), ["b"])
    library = ngspice._engine.ngspice
    command = library._ngspice_shared.ngSpice_Command
    monkeypatch.setattr("spice.library.BEGINS_WITHIN", 0.2)

    class WithoutThreads:
        def __getattr__(self, name):
            return getattr(shared, name)

        def ngSpice_Command(self, line):  # noqa: N802
            return 0 if line.startswith(b"bg_") else command(line)

        def ngSpice_running(self):  # noqa: N802
            return True
    shared, library._ngspice_shared = library._ngspice_shared, WithoutThreads()
    with pytest.raises(SimulationError, match="could not start a thread: too little memory"):
        loaded.run(1e-6)
    assert len(loaded.run(1e-6).time) > 1000 and ngspice._engine.ngspice is not library  # a fresh copy took over
    loaded.unload()


def test_run_whose_thread_has_begun_takes_as_long_as_it_takes(ngspice, monkeypatch):
    loaded = ngspice.load(ENDLESS, Solver(max_step=1e-9), ["b"])
    loaded.run(1e-6)
    library = ngspice._engine.ngspice
    monkeypatch.setattr("spice.library.BEGINS_WITHIN", 0.0)

    def until_begun():
        latest = time.monotonic() + 10
        while not library._began and time.monotonic() < latest:
            time.sleep(0.01)
    library.run_in_background("tran 1n 300u 0 1n uic", until_begun)  # longer than a look, of which each would end it now
    assert len(loaded.run(1e-6).time) > 1000 and ngspice._engine.ngspice is library
    loaded.unload()


def test_signals_are_held_back_and_delivered_in_order_to_the_handlers_they_had():
    seen = []
    with handled(signal.SIGTERM, lambda *_: seen.append("TERM")), handled(signal.SIGINT, lambda *_: seen.append("INT")):
        with signals_held() as deliver:
            os.kill(os.getpid(), signal.SIGTERM)
            assert seen == []
            deliver()
            assert seen == ["TERM"]
            with signals_held():
                os.kill(os.getpid(), signal.SIGINT)
            assert seen == ["TERM"]
        assert seen == ["TERM", "INT"]
        with pytest.raises(ZeroDivisionError), signals_held():
            os.kill(os.getpid(), signal.SIGTERM)
            raise ZeroDivisionError
        assert seen == ["TERM", "INT", "TERM"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGALRM"])
def test_every_signal_that_programs_turn_into_an_exception_is_held_back(name):
    seen = []
    with handled(signal.Signals[name], lambda *_: seen.append(name)), signals_held() as deliver:
        signal.raise_signal(signal.Signals[name])
        assert seen == []
        deliver()
        assert seen == [name]


def test_session_in_another_thread_leaves_signals_to_the_main_one():
    before = signal.getsignal(signal.SIGINT)
    found = []

    def hold():
        with signals_held() as deliver:
            found.append(signal.getsignal(signal.SIGINT))
            deliver()
    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert found == [before]


# A signal at every line of what changes ngspice and what is known of it

ONE_CELL = ("R1 top out 1k", "C1 out 0 1n ic=0")  # 1 - exp(-1) of Vin after 1 us
CHARGED = 1 - math.exp(-1)


def interrupted_at(line, action):
    """Run `action` with Ctrl-C at the `line`th line that it comes to in spice/; whether it came so far."""
    left, entered = line, set()

    def trace(frame, event, argument):
        nonlocal left
        path, number = frame.f_code.co_filename, frame.f_lineno
        if not path.startswith(SPICE):
            return None
        # Python comes to a `with` again on leaving it, and runs no handler between its body and its end.
        if event == "line" and (frame, number) not in entered:
            if linecache.getline(path, number).lstrip().startswith("with "):
                entered.add((frame, number))
            left -= 1
            if left == 0:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    with handled(signal.SIGINT, signal.default_int_handler), handled(signal.SIGTERM, raise_ended):
        handlers = [signal.getsignal(number) for number in HELD]
        sys.settrace(trace)
        try:
            action()
        except KeyboardInterrupt:
            assert left <= 0
        finally:
            sys.settrace(before)
        assert [signal.getsignal(number) for number in HELD] == handlers
    return left <= 0


def cell(volts):
    """An RC cell charged to `volts`."""
    return raw(f"Vin top 0 {volts}", *ONE_CELL)


def loaded_cells(ngspice, *volts):
    return {v: ngspice.load(cell(v), Solver(max_step=20e-9), ["out"]) for v in volts}


def paused(circuit):
    return list(circuit.run(1e-6, pauses=[0.4e-6]))


def behind_a_pause(runs, circuit):
    with contextlib.closing(runs):
        next(runs)
        circuit.run(1e-6)


ACTIONS = {
    "load": lambda ngspice, cells: cells.update({5: ngspice.load(cell(5), Solver(max_step=20e-9), ["out"])}),
    "unload": lambda ngspice, cells: cells.pop(2).unload(),
    "select": lambda ngspice, cells: cells[1].op(),
    "alter": lambda ngspice, cells: cells[1].alter({"R1": 1e3, "Vin": 1.0}),
    "pause": lambda ngspice, cells: paused(cells[1]),
    "a run behind a pause of another": lambda ngspice, cells: behind_a_pause(cells[2].run(1e-6, pauses=[0.4e-6]), cells[1]),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_ctrl_c_at_any_line_mixes_up_no_circuits(ngspice, action):
    cells, line, reached = loaded_cells(ngspice, 1, 2, 3), 0, True
    before = len(ngspice._engine._circuits)
    while reached:
        line += 1
        reached = interrupted_at(line, functools.partial(ACTIONS[action], ngspice, cells))
        if 2 not in cells:
            cells.update(loaded_cells(ngspice, 2))
        cells.pop(5, None)
        for volts in (3, 1, 2):
            found = cells[volts].run(1e-6)["out"][-1]
            assert found == pytest.approx(volts * CHARGED, rel=1e-3), f"line {line} of {action}"
    assert line > 30
    gc.collect()
    ngspice.load(cell(6), Solver(), ["out"]).unload()
    assert len(ngspice._engine._circuits) == before  # of those whose loading was left at its last line none is kept
    for circuit in cells.values():
        circuit.unload()


def test_ctrl_c_while_the_copy_of_the_library_is_removed_leaves_nothing(tmp_path, monkeypatch):
    """9 MB each time, in 22 of 47 stops at that moment."""
    remove = tempfile.TemporaryDirectory._rmtree

    def interrupted(*given, **more):
        signal.raise_signal(signal.SIGINT)
        remove(*given, **more)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile.TemporaryDirectory, "_rmtree", staticmethod(interrupted))
    with handled(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        start_ngspice()
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_a_fresh_ngspice_takes_over_loses_no_circuit(ngspice):
    cells, reached, line = loaded_cells(ngspice, 1, 2), True, 0
    cells[2].alter({"Vin": 4})
    while reached:
        line += 3 + line // 2  # each start costs 5 MB
        ngspice._engine._lost = True
        reached = interrupted_at(line, cells[1].op)
        assert cells[2].run(1e-6)["out"][-1] == pytest.approx(4 * CHARGED, rel=1e-3)
        assert cells[1].run(1e-6)["out"][-1] == pytest.approx(CHARGED, rel=1e-3)
    assert line > 300
    for circuit in cells.values():
        circuit.unload()
