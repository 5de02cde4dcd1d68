"""What is altered in a loaded circuit: every name of a value is heeded, what has not changed is not sent."""

import numpy as np
import pytest
from PySpice.Unit import u_mA

from spice.parameters import ParameterError
from spice.session import SimulationError, Solver
from tests.spice.test_sessions import FAST, divider, out

NAMES = ["Vin", "vin", "VIN dc", "vin DC", " vin  dc ", "@vin[dc]"]


@pytest.mark.parametrize("one", NAMES)
@pytest.mark.parametrize("other", NAMES)
def test_every_name_of_a_value_is_heeded(ngspice, one, other):
    circuit = ngspice.load(divider(), FAST, ["out"])
    for name, volts in ((one, 2.0), (other, 4.0), (one, 2.0), (other, 2.0), (one, 6.0), (one, 6.0)):
        circuit.alter({name: volts})
        assert circuit.op()["out"] == pytest.approx(volts / 2)
    for _ in range(2):  # the second time the last of them has been sent already
        circuit.alter({one: 8.0, other: 10.0})
        assert circuit.op()["out"] == pytest.approx(5.0)
    circuit.unload()


@pytest.mark.parametrize(("names", "element"), [(("r2", "R2 resistance", "r2 r"), "r2"), (("c1 capacitance", "C1"), "c1")])
def test_main_parameter_goes_by_its_names(ngspice, names, element):
    circuit = ngspice.load(divider(1e3, "C1 out 0 1n"), FAST, ["out", f"@{element}[{names[0].split()[-1]}]"])
    values = [(name, value) for value in (1e3, 2e3, 1e3) for name in names]
    scale = 1.0 if element == "r2" else 1e-12
    for name, value in values:
        circuit.alter({name: 7e3 * scale})
        circuit.alter({names[0]: value * scale})
        slow = circuit.run(1e-7)["out"][-1]
        fresh = ngspice.load(divider(value if element == "r2" else 1e3,
                                     f"C1 out 0 {value * 1e-12 if element == 'c1' else 1e-9}"), FAST, ["out"])
        assert slow == pytest.approx(fresh.run(1e-7)["out"][-1], rel=1e-3)
        fresh.unload()
    circuit.unload()


def test_what_has_not_changed_is_not_sent(ngspice, monkeypatch):
    circuit = ngspice.load(divider(), FAST, ["out"])
    circuit.alter({"vin": 2.0, "r2": 3e3})
    sent = []
    monkeypatch.setattr(circuit._engine, "_send", sent.append)
    circuit.alter({"Vin": 2.0, "R2": 3e3})
    assert sent == []
    circuit.alter({"Vin": 2.0, "R2": 4e3})
    assert sent == ["alter r2 = 4000.0"]


def test_after_a_refused_change_nothing_is_taken_for_known(ngspice):
    circuit = ngspice.load(divider(), FAST, ["out"])
    circuit.alter({"vin": 2.0})
    with pytest.raises(SimulationError):  # ngspice takes the first of them before it refuses the second
        circuit.alter({"vin": 4.0, "rnowhere": 1e3})
    assert circuit.op()["out"] == pytest.approx(1.0)  # a refused change changes nothing
    assert "alter vin = 2.0" in circuit.netlist_with_changes(1e-4) and "4.0" not in circuit.netlist_with_changes(1e-4)
    circuit.alter({"vin": 2.0})
    assert circuit.op()["out"] == pytest.approx(1.0)
    ngspice._engine._lost = True  # a fresh ngspice gets what is known
    assert circuit.op()["out"] == pytest.approx(1.0)
    circuit.unload()


def test_a_refused_change_ends_a_paused_run_of_its_circuit_alone(ngspice):
    circuit, other = (ngspice.load(divider(1e3, "Cout out 0 1u"), FAST, ["out"]) for _ in range(2))
    runs = other.run(4e-3, pauses=[1e-3])
    next(runs)
    with pytest.raises(SimulationError, match="rnowhere"):
        circuit.alter({"rnowhere": 1e3})
    assert next(runs)["out"][-1] == pytest.approx(0.5, abs=1e-3)
    runs = circuit.run(4e-3, pauses=[1e-3])
    next(runs)
    with pytest.raises(SimulationError, match="rnowhere"):
        circuit.alter({"rnowhere": 1e3})
    with pytest.raises(SimulationError, match="paused run cannot go on"):
        next(runs)
    for one in (circuit, other):
        assert one.run(1e-2)["out"][-1] == pytest.approx(0.5)
        one.unload()


@pytest.mark.parametrize("changes", [{"vin": "high"}, {"vin": None}, {"vin": float("nan")}, {"": 1.0}, {"vin dc high": 1.0},
                                     {"vin; quit": 1.0}, {"vin=3": 1.0}, {"vïn": 1.0}, [3.0], None, "vin", {3: 1.0}])
def test_what_cannot_be_altered_is_refused(ngspice, changes):
    circuit = ngspice.load(divider(), FAST, ["out"])
    with pytest.raises(ParameterError, match=r"alter|finite number|changes must map"):
        circuit.alter(changes)
    assert out(circuit) == pytest.approx(0.5)
    circuit.unload()


@pytest.mark.parametrize("name", ["Vbus<0>", "Vin>kept", "V`touch kept`", "V$in", "Va&b"])
def test_names_that_are_commands_to_ngspice_are_refused(ngspice, tmp_path, monkeypatch, name):
    """ngspice's command line empties files, reads them and starts a shell, whatever the element is called in the netlist."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").write_text("work")
    circuit = ngspice.load(divider(), FAST, ["out"])
    with pytest.raises(ParameterError, match="cannot be altered or swept"):
        circuit.alter({name: 2.0})
    with pytest.raises(ParameterError, match="cannot be altered or swept"):
        circuit.dc(name, 0, 1, 1)
    assert (tmp_path / "kept").read_text() == "work" and len(list(tmp_path.iterdir())) == 1
    circuit.unload()


@pytest.mark.parametrize("name", ["memristor", "M1", "m.xcell.m1", "E1", "f1", "D1"])
def test_what_has_no_value_of_its_own_needs_a_parameter(ngspice, name):
    """ngspice ends the process with a segmentation fault for what begins with an m, there or not."""
    circuit = ngspice.load(divider(), FAST, ["out"])
    with pytest.raises(ParameterError, match=f"{name} needs a parameter to be altered, as in '{name.lower()} "):
        circuit.alter({name: 2.0})
    assert out(circuit) == pytest.approx(0.5)
    circuit.unload()


@pytest.mark.parametrize(("name", "value", "words"), [
    ("Vin pwl", 3.0, "list"), ("Vin pulse", 3.0, "list"), ("Vin pwl", [0, 5, 1e-6], "pairs"), ("Vin dc", [2, 7], "one number"),
    ("R2 resistance", [3e3, 9e3], "one number")])
def test_what_ngspice_would_take_otherwise_is_refused(ngspice, name, value, words):
    circuit = ngspice.load(divider(), FAST, ["out"])
    with pytest.raises(ParameterError, match=f"{name} takes .*{words}"):
        circuit.alter({name: value})
    assert out(circuit) == pytest.approx(0.5)
    circuit.unload()


@pytest.mark.parametrize("name", ["R2", "R2 resistance"])
def test_unit_counts_by_every_name_of_a_value(ngspice, name):
    circuit = ngspice.load(divider(), FAST, ["out"])
    with pytest.raises(ParameterError, match="must be in ohm, got 2 mA"):
        circuit.alter({name: 2 @ u_mA})
    circuit.unload()


def test_dc_value_of_a_source_with_a_waveform_counts_but_in_operating_points(ngspice):
    circuit = ngspice.load("pulse\nV1 out 0 PULSE(0 1 0 1n 1n 1u 2u)\nR1 out 0 1k\n", FAST, ["out"])
    circuit.alter({"V1": 5})
    assert circuit.op()["out"] == pytest.approx(5) and circuit.run(4e-6)["out"].max() == pytest.approx(1)
    circuit.alter({"V1 pwl": [0, 5]})
    assert circuit.op()["out"] == pytest.approx(5) and circuit.run(4e-6)["out"].min() == pytest.approx(5)


def test_what_is_altered_in_a_pause_acts_as_if_it_went_there_within_a_step(ngspice):
    """1 V and then 3 V on 0.5 ms: at the end there is less than of a jump, and more than of a ramp of the longest step."""
    for step in (20e-6, 2e-6):
        loaded = ngspice.load("ramped\nV1 a 0 1\nR1 a b 500\nC1 b 0 1u ic=0\n", Solver(max_step=step), ["b"])
        ends = []
        for waves in loaded.run(2e-3, pauses=[1e-3]):
            ends.append((waves.time[-1], waves["b"][-1]))
            loaded.alter({"v1": 3.0})
        (before, start), (end, found) = ends
        at_once = 3 - (3 - start) * np.exp(-(end - before) / 5e-4)
        ramped = at_once - 2 * step / 2 / 5e-4 * np.exp(-(end - before) / 5e-4)  # to first order
        assert ramped < found < at_once - 0.05 * (at_once - ramped)
