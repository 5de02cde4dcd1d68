"""Circuits in one ngspice keep apart: what one of them sets changes no other, and none is mixed up when one is lost."""

import gc
import locale

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from spice.engine import MOST_CIRCUITS
from spice.session import SimulationError, Solver

FAST = Solver(max_step=10e-9)


def cell(*extra):
    """1 V that charges 1 nF through 1 kohm; more netlist lines."""
    circuit = Circuit("cell")
    circuit.raw_spice = "\n".join(["Vin top 0 1", "R1 top out 1k", "C1 out 0 1n ic=0", *extra]) + "\n"
    return circuit


def charged(circuit):
    """Number of points of a run of 1 us, and the voltage at its end."""
    waves = circuit.run(1e-6)
    return len(waves.time), float(waves["out"][-1])


@pytest.fixture
def plain(ngspice):
    circuit = ngspice.load(cell(), FAST, ["out"])
    yield circuit
    circuit.unload()


def test_ngspice_reads_and_writes_numbers_in_cs_locale_whatever_the_processs_own_is(ngspice, monkeypatch):
    """With a decimal comma, {r/4} would be another value or an error. C.UTF-8 stands for such a locale: every machine has it."""
    seen, library = [], ngspice._engine.ngspice

    def watched(name):
        call = getattr(library._ngspice_shared, name)
        return lambda *arguments: seen.append(locale.setlocale(locale.LC_NUMERIC)) or call(*arguments)

    class Watched:
        def __init__(self):
            self.ngSpice_Circ, self.ngSpice_Command = watched("ngSpice_Circ"), watched("ngSpice_Command")

        def __getattr__(self, name):
            return getattr(shared, name)
    shared, before = library._ngspice_shared, locale.setlocale(locale.LC_NUMERIC)
    monkeypatch.setattr(library, "_ngspice_shared", Watched())
    try:
        locale.setlocale(locale.LC_NUMERIC, "C.UTF-8")
        circuit = ngspice.load(cell(".param r=2", "R2 out 0 {r*1000/4}"), FAST, ["out"])
        circuit.alter({"Vin": 1.5})
        assert circuit.run(1e-5)["out"][-1] == pytest.approx(0.5)
        list(circuit.run(1e-6, pauses=[5e-7]))
        circuit.unload()
        ngspice._engine._lost = True  # a fresh ngspice is started
        ngspice.load(cell(), FAST, ["out"]).unload()
        assert locale.setlocale(locale.LC_NUMERIC) == "C.UTF-8"
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
    assert len(seen) > 6 and set(seen) == {"C"}


@pytest.mark.parametrize("refused", [
    "D1 out 0 nowhere", "X1 out 0 nowhere", "R1 out 0 1k", ".model", "R3 out 0 {nowhere}", "Bx out 0 v=sin(", "M1 out out 0 0"])
def test_refused_netlist_takes_no_other_circuit_with_it(ngspice, plain, refused):
    """Some of those that ngspice refuses it keeps, some not."""
    before = charged(plain)
    others = [ngspice.load(cell(), FAST, ["out"]) for _ in range(2)]
    for volts, circuit in enumerate(others, 2):
        circuit.alter({"Vin": volts})
    with pytest.raises(SimulationError):
        ngspice.load(cell(refused), FAST, ["out"])
    for volts, circuit in enumerate(others, 2):
        assert charged(circuit)[1] == pytest.approx(volts * before[1])
    assert charged(plain)[1] == pytest.approx(before[1])
    for circuit in others:
        circuit.unload()


@pytest.mark.parametrize("steps", [0.01, 0.3, 0.9, 1.0, 1.1, 2.5])
def test_run_behind_one_that_paused_near_its_end_is_whole(ngspice, plain, steps):
    """A step that passes the pause and the end leaves ngspice waiting, and would stop the next run at its start."""
    before = charged(plain)
    for stop in (1e-6, 1.003e-6, 2.5e-7):
        *_, last = plain.run(stop, pauses=[stop / 3, stop - steps * FAST.max_step])
        assert last.time[-1] == pytest.approx(stop, rel=1e-9) and charged(plain) == before


@pytest.mark.parametrize("steps", [0.51, 0.7, 0.9, 0.99])
def test_run_behind_one_that_paused_within_a_whole_step_of_its_end_is_whole(ngspice, steps):
    """Of a circuit whose edges let ngspice take its longest steps up to the end."""
    solver, stop = Solver(max_step=5e-8), 1.825e-6
    circuit = ngspice.load("t\nV1 a 0 pulse(0 1 0.2u 1n 1n 0.5u 10u)\nR1 a b 1k\nC1 b 0 10p\n", solver, ["b"])
    before = circuit.run(1e-6)["b"]
    *_, last = circuit.run(stop, pauses=[stop / 3, stop - steps * solver.max_step])
    assert last.time[-1] == pytest.approx(stop, rel=1e-9)
    assert np.array_equal(circuit.run(1e-6)["b"], before)
    circuit.unload()


@pytest.mark.parametrize(("line", "changes"), [
    (".options cshunt=1n", True), (".options rshunt=1k", True), (".options temp=100 method=gear maxord=2", False),
    (".temp 100", False), (".param x=3", False), (".options seed=3 gmin=1e-6 chgtol=1e-10", False), (".ic v(out)=0.5", False)])
def test_options_of_a_circuit_are_its_own(ngspice, plain, line, changes):
    before = charged(plain)
    other = ngspice.load(cell(line), FAST, ["out"])
    own, later = charged(other), ngspice.load(cell(), FAST, ["out"])
    assert changes == (own[1] != pytest.approx(before[1], rel=1e-2))
    assert charged(plain) == charged(later) == before
    for circuit in (other, later):
        circuit.unload()
    assert charged(plain) == before


def test_interpolation_of_an_included_file_reaches_no_circuit(ngspice, plain, tmp_path):
    before, file = charged(plain), tmp_path / "options.cir"
    file.write_text("* included\n.options interp\n", encoding="ascii")
    other = ngspice.load(cell(f".include {file}"), FAST, ["out"])
    assert charged(other)[0] > 100 and charged(plain) == before
    other.unload()


@pytest.mark.parametrize(("lines", "said"), [((".options interp",), "option interp"),
                                             ((".OPTION reltol=1e-4 INTERP",), "option interp"),
                                             ((".save none",), "called 'none'"),
                                             (("Rnone out none 1k", ".save V(none)"), "called 'none'"),
                                             ((".control", "set cshunt_value=1n", ".endc"), "control section")])
def test_what_would_change_other_circuits_is_refused(ngspice, plain, lines, said):
    before = charged(plain)
    with pytest.raises(SimulationError, match=said):
        ngspice.load(cell(*lines), FAST, ["out"])
    assert charged(plain) == before


def test_more_circuits_than_ngspice_has_room_for_are_all_kept(ngspice, plain):
    """It takes them, and crashes at an unload later."""
    before, engine = charged(plain)[1], ngspice._engine
    others = [ngspice.load(cell(), FAST, ["out"]) for _ in range(MOST_CIRCUITS + 30)]
    for volts, circuit in enumerate(others, 1):
        circuit.alter({"Vin": volts})
    assert len(engine._circuits) == MOST_CIRCUITS and len(engine._waiting) >= 31
    runs = others[7].run(1e-6, pauses=[0.5e-6])
    paused = next(runs)
    for volts in (1, 2, MOST_CIRCUITS + 30, 60, 3):  # altered in ngspice, or loaded again
        others[volts - 1].alter({"R1": 1e3})
    more = [ngspice.load(cell(), FAST, ["out"]) for _ in range(MOST_CIRCUITS)]
    assert paused.time[-1] < next(runs).time[-1]  # its circuit has stayed
    for volts in (1, 2, MOST_CIRCUITS + 30, 60, 3, 1):
        assert charged(others[volts - 1])[1] == pytest.approx(volts * before)
    assert charged(plain)[1] == before == charged(more[0])[1]
    for circuit in (*others[::2], *more, *others[1::2]):
        circuit.unload()
    gone = {circuit._netlist.text for circuit in others}
    assert not gone & {netlist.text for netlist in engine._waiting} and charged(plain)[1] == before
    with pytest.raises(SimulationError, match="unloaded"):
        others[0].run(1e-6)


def test_circuit_that_was_just_loaded_is_not_the_first_to_wait(ngspice, plain):
    """Which was not chosen yet, but is about to be."""
    engine, loaded = ngspice._engine, []
    for _ in range(MOST_CIRCUITS):
        loaded.append(ngspice.load(cell(), FAST, ["out"]))
        charged(loaded[-1])
    new, newer = (ngspice.load(cell(), FAST, ["out"]) for _ in range(2))
    assert len(engine._circuits) == MOST_CIRCUITS and loaded[0]._netlist in engine._waiting
    assert new._netlist in engine._circuits and newer._netlist in engine._circuits


def test_circuit_that_nobody_holds_is_unloaded(ngspice, plain):
    engine = ngspice._engine
    kept = ngspice.load(cell(), FAST, ["out"])
    before = len(engine._circuits)
    for _ in range(5):
        ngspice.load(cell(), FAST, ["out"])
    gc.collect()
    last = ngspice.load(cell(), FAST, ["out"])
    assert len(engine._circuits) <= before + 1 and charged(kept) == charged(last) == charged(plain)
    for circuit in (kept, last):
        circuit.unload()


def test_run_whose_circuit_nobody_else_holds_goes_on(ngspice, plain):
    runs = ngspice.load(cell(), FAST, ["out"]).run(1e-6, pauses=[0.5e-6])
    next(runs)
    gc.collect()
    other = ngspice.load(cell(), FAST, ["out"])
    assert float(next(runs)["out"][-1]) == pytest.approx(charged(plain)[1], rel=1e-4)
    other.unload()


def test_circuit_that_cannot_be_loaded_again_is_named_and_the_others_are_kept(ngspice, plain, tmp_path):
    before, file = charged(plain), tmp_path / "gone.cir"
    file.write_text("* included\nR2 out 0 1k\n", encoding="ascii")
    gone, late = ngspice.load(cell(f".include {file}"), FAST, ["out"]), ngspice.load(cell(), FAST, ["out"])
    late.alter({"Vin": 2})
    file.unlink()
    with pytest.raises(SimulationError, match="nowhere"):  # ngspice does not survive it
        ngspice.load(cell("R3 out 0 {nowhere}"), FAST, ["out"])
    assert charged(late)[1] == pytest.approx(2 * before[1]) and charged(plain) == before
    with pytest.raises(SimulationError, match="could not be loaded again"):
        gone.run(1e-6)
    late.unload()
