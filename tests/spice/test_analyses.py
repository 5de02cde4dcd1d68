"""Operating points, sweeps, small signals and transients of other people's circuits: PySpice's own simulator says the same."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit
from PySpice.Unit import u_kOhm, u_ms, u_Ohm, u_us, u_V

from spice.parameters import ParameterError
from spice.session import SimulationError, Solver
from tests.helpers import ROOT
from tests.spice import circuits

CLOSE = Solver(max_step=1e-6, trtol=7)


@pytest.fixture(scope="module")
def second_opinion(tmp_path_factory):
    """What PySpice's own simulator says, from a process of its own."""
    path = tmp_path_factory.mktemp("second_opinion") / "arrays.npz"
    done = subprocess.run([sys.executable, "-m", "tests.spice.circuits", str(path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.load(path)


@pytest.fixture
def loaded(ngspice):
    """Load a circuit for the time of a test."""
    kept = []

    def load(circuit, save=(), solver=CLOSE):
        kept.append(ngspice.load(circuit, solver, save))
        return kept[-1]
    yield load
    for circuit in kept:
        ngspice.unload(circuit)


def raw(*lines):
    """A circuit of netlist lines."""
    circuit = Circuit("raw")
    circuit.raw_spice = "\n".join(lines) + "\n"
    return circuit


@pytest.mark.parametrize("name", circuits.TRANSIENTS)
def test_transient_is_the_one_of_pyspices_simulator(name, loaded, second_opinion):
    make, node, stop, step, uic = circuits.TRANSIENTS[name]
    waves = loaded(make(), [f"V({node})"], dataclasses.replace(CLOSE, max_step=step)).run(stop, uic=uic)
    times = np.linspace(0, stop, 2000)
    ours = np.interp(times, waves.time, waves[f"V({node})"])
    theirs = np.interp(times, second_opinion[f"{name} time"], second_opinion[name])
    # Edges that are not given last a print step with them, a thousandth of the pulse here.
    allowed = 2e-3 if name == "divider" else 1e-4
    assert np.ptp(theirs) > 0.05
    assert np.abs(ours - theirs).max() < allowed * np.abs(theirs).max()


def test_operating_point_and_gain_of_an_amplifier(loaded, second_opinion):
    stage = loaded(circuits.amplifier())
    point = stage.op()
    assert [point[node] for node in ("out", "base", "emitter")] == pytest.approx(second_opinion["bias"], rel=1e-6)
    gain = stage.ac(10, 1e8, points=5)
    assert gain.frequency == pytest.approx(second_opinion["gain frequency"])
    assert np.abs(gain["out"] - second_opinion["gain"]).max() < 1e-6 * np.abs(second_opinion["gain"]).max()
    # The collector's current through 5 kohm; its share of the emitter's is bf / (bf + 1) or so.
    assert point["i(Vsupply)"] == pytest.approx(-(12 - point["out"]) / 5e3 - (12 - point["base"]) / 1e5, rel=1e-3)


def test_resonance_of_a_filter(loaded, second_opinion):
    """R over R + jwL + 1/jwC."""
    spectrum = loaded(circuits.filter_(), ["out"]).ac(1e3, 1e6, points=20, variation="dec")
    s = 2j * np.pi * spectrum.frequency
    assert spectrum["out"] == pytest.approx(100 / (100 + s * 1e-3 + 1 / (s * 10e-9)), rel=1e-6)
    assert np.abs(spectrum["out"] - second_opinion["filter"]).max() < 1e-9


def test_temperature_is_a_circuits_own_and_can_be_swept(loaded, second_opinion):
    """10 kohm (1 + 2e-3/K) in series with a diode."""
    hot, cold = loaded(circuits.thermometer()), loaded(circuits.thermometer())
    found = []
    for celsius in (0, 27, 85):
        hot.set_temperature(celsius)
        point = hot.op()
        found.append(point["out"])
        current = -point["i(vsupply)"]
        assert (point["top"] - point["out"]) / current == pytest.approx(10e3 * (1 + 2e-3 * (celsius - 27)), rel=1e-4)
        assert cold.op()["out"] == pytest.approx(second_opinion["thermometer"][1], rel=1e-6)
    assert found == pytest.approx(second_opinion["thermometer"], rel=1e-6)
    for colder in (-273.15, -300, float("nan"), [27], None):
        with pytest.raises(ParameterError, match="temperature must be"):
            cold.set_temperature(colder)
    sweep = cold.dc("temp", 0, 85, 1)
    assert sweep.swept[[0, -1]] == pytest.approx([0, 85])
    assert sweep["out"][[0, 27, 85]] == pytest.approx(second_opinion["thermometer"], rel=1e-4)
    assert cold.op()["out"] == pytest.approx(found[1], rel=1e-6)  # a sweep leaves the temperature as it was
    assert hot.run(1e-5)["out"][-1] == pytest.approx(found[2], rel=1e-4)


def test_dc_sweep_of_a_transistor(loaded, second_opinion):
    device = loaded(circuits.transistor(), ["i(Vdrain)"])
    sweep = device.dc("Vdrain", 0, 5, 0.1)
    assert sweep.swept == pytest.approx(np.arange(51) / 10)
    assert np.abs(sweep["i(Vdrain)"] - second_opinion["transistor"]).max() < 1e-12
    device.alter({"vgate": 3 @ u_V})
    assert (device.dc("Vdrain", 1, 5, 1)["i(Vdrain)"] < sweep["i(Vdrain)"][10::10]).all()


def test_sweep_of_a_resistor_says_nothing(loaded, caplog):
    sweep = loaded(raw("Vin top 0 1", "Rup top out 1k", "Rdown out 0 1k"), "out").dc("Rup", 1e3, 3e3, 1e3)
    assert sweep["out"] == pytest.approx([1 / 2, 1 / 3, 1 / 4])
    assert set(sweep.names) == {"res-sweep", "out"}  # one name is no list of letters
    assert not caplog.records


def test_tank_keeps_its_frequency_and_amplitude(loaded):
    waves = loaded(circuits.tank(), ["top"], Solver(max_step=0.2e-6)).run(1e-3)
    assert waves["top"] == pytest.approx(np.cos(waves.time / np.sqrt(1e-3 * 1e-6)), abs=3e-4)


@pytest.mark.parametrize("max_step", [20e-6, 1e-6, 20e-9])
def test_pulse_without_edges_has_the_right_average(loaded, max_step):
    """3 of 10 us high, whatever the longest step and the length of the run."""
    for stop in (50e-6, 500e-6):
        waves = loaded(circuits.divider(), ["input"], Solver(max_step=max_step)).run(stop)
        assert np.trapezoid(waves["input"], waves.time) / stop == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize("lines", [
    (".param edge=0", "Vin input 0 PULSE(0 1 0 {edge} {edge} 3u 10u)"),
    (".param edge=0 width=3u", "Vin input 0 PULSE(0 1 0 'edge' 'edge*2' {width} 10u)"),
    (".subckt driver out edge=1n", "Vin out 0 PULSE(0 1 0 {edge} {edge} 3u 10u)", ".ends", "Xdriver input driver edge=0")])
def test_pulse_whose_edges_are_parameters_of_0_has_the_right_average(loaded, lines):
    waves = loaded(raw(*lines, "R1 input 0 1k"), ["input"], Solver(max_step=1e-6)).run(50e-6)
    assert np.trapezoid(waves["input"], waves.time) / 50e-6 == pytest.approx(0.3, abs=2e-3)


@pytest.mark.parametrize("source", ["0", "PULSE(0 5 0 1u 1u 1u 20u)"])
def test_source_altered_to_a_pulse_without_edges_has_the_right_average(loaded, source):
    circuit = loaded(raw(f"Vin input 0 {source}", "R1 input 0 1k"), ["input"], Solver(max_step=1e-6))
    for shape in ([0, 1, 0, 0, 0, 3e-6, 10e-6], [0, 1, 0, 1e-9, 1e-9, 3e-6, 10e-6]):
        circuit.alter({"Vin pulse": shape})
        waves = circuit.run(50e-6)
        assert np.trapezoid(waves["input"], waves.time) / 50e-6 == pytest.approx(0.3, abs=2e-3)


def test_altered_pulse_has_the_edges_it_is_given(loaded):
    circuit = loaded(circuits.divider(), ["input"], Solver(max_step=1e-6))
    circuit.alter({"vin pulse": [0, 2, 0, 1e-6, 1e-6, 3e-6, 10e-6]})
    waves = circuit.run(20e-6)
    assert np.trapezoid(waves["input"], waves.time) / 20e-6 == pytest.approx(2 * 0.4, rel=1e-3)


def test_run_starts_from_initial_conditions_or_the_operating_point(loaded):
    circuit = loaded(raw("Vin top 0 1", "Rup top out 1k", "Cout out 0 1n ic=0.25"), ["out"])
    for uic, start in ((True, 0.25), (False, 1.0)):
        waves = circuit.run(1e-6, uic=uic)
        assert waves["out"][0] == pytest.approx(start, abs=1e-3)
        assert waves["out"] == pytest.approx(1 + (start - 1) * np.exp(-waves.time / 1e-6), abs=1e-3)


def test_values_with_units_are_their_numbers(loaded):
    circuit = loaded(raw("Vin top 0 1", "Rup top out 1k", "Rdown out 0 1k", "Cout out 0 1n"), ["out"],
                     Solver(max_step=1 @ u_us))
    circuit.alter({"Rup": 3 @ u_kOhm, "Rdown resistance": 500 @ u_Ohm, "vin pwl": [0, 2, 1 @ u_us, 2 @ u_V]})
    waves = circuit.run(1 @ u_ms)
    assert waves.time[-1] == pytest.approx(1e-3)
    assert waves["out"][-1] == pytest.approx(2 / 7)
    assert Solver(max_step=1 @ u_us).as_dict() == Solver(max_step=1e-6).as_dict()


@pytest.mark.parametrize("save", [["out", "vin#branch", "top"], ["V(out)", "I(Vin)", "v(top)"],
                                  ["v(top,out)", "out", "i(vin)"], []])
def test_waveforms_go_by_the_names_they_were_saved_by_and_by_ngspices(loaded, save):
    point = loaded(raw("Vin top 0 1", "Rup top out 1k", "Rdown out 0 1k"), save).op()
    for name in [*save, "out", "V(OUT)", " v( out ) "]:
        expected = -0.5e-3 if "vin" in name.lower() else 1.0 if name.lower() in ("top", "v(top)") else 0.5
        assert point[name] == pytest.approx(expected)
    with pytest.raises(SimulationError, match="saved no vector 'i\\(r9\\)'"):
        point["i(r9)"]


@pytest.mark.parametrize("points", [0, -1, 2.7, float("nan"), True, "10"])
def test_points_of_a_spectrum_that_cannot_be_counted_are_refused(loaded, points):
    with pytest.raises(ParameterError, match="points must be a whole number above 0, got"):
        loaded(raw("Vin top 0 AC 1", "Rup top 0 1k")).ac(1, 10, points)


@pytest.mark.parametrize("variation", ["cubic", "decade", None, ""])
def test_variations_that_there_are_not_are_refused(loaded, variation):
    circuit = loaded(raw("Vin top 0 AC 1", "Rup top 0 1k"))
    with pytest.raises(ParameterError, match=f"variation must be one of dec, oct, lin, got {variation!r}"):
        circuit.ac(1, 10, variation=variation)
    assert circuit.ac(1, 10, 3, "LIN").frequency.tolist() == [1.0, 5.5, 10.0]
    assert len(circuit.ac(1, 10).frequency) == 11  # ten a decade as a rule, and its end
    ends = circuit.ac(1.2345, 12345.678, 3, "lin").frequency[[0, -1]]
    assert ends.tolist() == pytest.approx([1.2345, 12345.678], rel=1e-9)
    with pytest.raises(ParameterError, match="points must be 1, or 3 and more, of a lin variation"):
        circuit.ac(1, 10, 2, "LIN")


def test_spectrum_that_ends_below_its_start_is_refused(loaded):
    circuit = loaded(raw("Vin top 0 AC 1", "Rup top 0 1k"))
    with pytest.raises(ParameterError, match=r"start must not be above stop, got 1e\+06 Hz and 1 Hz"):
        circuit.ac(1e6, 1)
    assert circuit.ac(1e3, 1e3, 1, "lin").frequency.tolist() == [1e3]


def test_analysis_that_cannot_be_is_one_exception(loaded):
    circuit = loaded(raw("Vin top 0 1", "Rup top 0 1k"))
    with pytest.raises(SimulationError, match="vnone"):
        circuit.dc("Vnone", 0, 1, 0.1)
    assert circuit.op()["top"] == 1.0


@pytest.mark.parametrize("solver", [Solver(max_step=1e-13), Solver(max_step=1e-13).tightened()], ids=["usual", "tightened"])
def test_picoseconds_are_resolved(loaded, solver):
    """Of 1 kOhm and 1 fF."""
    waves = loaded("fast\nV1 in 0 1\nR1 in out 1k\nC1 out 0 1f ic=0\n", "out", solver=solver).run(3e-12)
    assert np.abs(waves["out"] - (1 - np.exp(-waves.time / 1e-12))).max() < 1e-3
