"""Results by the names they were saved by, from vectors as ngspice hands them over: a name and an array."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from spice.errors import SimulationError
from spice.session import Solver
from spice.waveforms import OperatingPoint, Spectrum, Sweep, Vectors, Waveforms


def plot(**vectors):
    return {name.replace("_branch", "#branch"): SimpleNamespace(_data=np.array(values)) for name, values in vectors.items()}


PLOT = plot(time=[0.0, 1.0, 2.0], out=[1.0, 2.0, 4.0], top=[5.0, 5.0, 6.0], vin_branch=[-1e-3, -2e-3, -3e-3])


@pytest.mark.parametrize(("name", "values"), [
    ("out", [1.0, 2.0, 4.0]), ("V(Out)", [1.0, 2.0, 4.0]),
    ("i(Vin)", [-1e-3, -2e-3, -3e-3]), ("vin#branch", [-1e-3, -2e-3, -3e-3]),
    ("V(top, OUT)", [4.0, 3.0, 2.0]), (" v(out,top) ", [-4.0, -3.0, -2.0]),
    ("v(out,0)", [1.0, 2.0, 4.0]), ("v(GND,out)", [-1.0, -2.0, -4.0])])
def test_vector_is_found_under_any_of_its_names(name, values):
    assert Vectors(PLOT)[name].tolist() == values


def test_vector_that_was_not_saved_is_named_with_those_that_were():
    for name in ("middle", "v(out,middle)"):
        with pytest.raises(SimulationError, match=r"ngspice saved no vector '.*middle', only time, out, top, vin#branch$"):
            Vectors(PLOT)[name]


def test_no_name_is_no_vector():
    with pytest.raises(SimulationError, match="ngspice saved no vector 0, only time"):
        Vectors(PLOT)[0]
    assert [name in Vectors(PLOT) for name in ("V(OUT)", "v(out,top)", "middle", 0, "v(0,0)", [])] == [True, True, *[False] * 4]
    assert list(Vectors(PLOT)) == ["time", "out", "top", "vin#branch"]


def test_vectors_outlive_ngspices_own_memory():
    own = plot(time=[0.0, 1.0], out=[1.0, 2.0])
    waves = Waveforms(own)
    kept = waves["out"]
    own["out"]._data[:] = 9.0
    assert kept.tolist() == [1.0, 2.0] and waves.time.tolist() == [0.0, 1.0] and waves.names == ["time", "out"]


def test_results_can_be_sent_to_other_processes(ngspice):
    """As a pool's worker returns them."""
    circuit = ngspice.load("t\nV1 a 0 1 ac 1\nR1 a b 1k\nC1 b 0 1n\n", Solver(max_step=1e-7), ["b", "i(V1)"])
    point, waves, sweep, spectrum = circuit.op(), circuit.run(1e-6), circuit.dc("V1", 0, 2, 1), circuit.ac(1e3, 1e6)
    circuit.unload()
    for result, axis in ((point, None), (waves, "time"), (sweep, "swept"), (spectrum, "frequency")):
        sent = pickle.loads(pickle.dumps(result))
        assert type(sent) is type(result) and sent.names == result.names
        assert all(np.array_equal(sent[name], result[name]) for name in ("b", "i(V1)"))
        assert axis is None or np.array_equal(getattr(sent, axis), getattr(result, axis))


def test_circuits_and_sessions_stay_in_their_process_and_say_so(ngspice):
    """joblib's own error is twenty lines, of which this is the cause."""
    circuit = ngspice.load("t\nV1 a 0 1\nR1 a 0 1k\n", Solver(), ["a"])
    for thing in (circuit, ngspice):
        for send in (pickle.dumps, copy.deepcopy, copy.copy):
            with pytest.raises(TypeError, match=r"cannot be copied or sent to another: .* in the function that the worker runs"):
                send(thing)
    assert circuit.op()["a"] == 1.0
    circuit.unload()


@pytest.mark.parametrize("name", ["@q1[ic]", " @Q1[ic]"])
def test_a_spectrum_has_no_parameters_of_devices(name):
    values = plot(frequency=[10 + 0j], out=[1j]) | {"@q1[ic]": SimpleNamespace(_data=np.array([8e-6 + 0j]))}
    with pytest.raises(SimulationError) as failure:
        Spectrum(values)[name]
    assert str(failure.value) == (f"{name!r} has no amplitude: in an AC analysis ngspice gives a device's own parameters at the "
                                  "operating point, or not at all; op() has them")
    assert Vectors(values)["@q1[ic]"] == 8e-6 and "out" in Spectrum(values) and 5 not in Spectrum(values)


@pytest.mark.parametrize("name", ["@q1[ic]", "@d1[id]", "@rc[i]"])
def test_a_devices_parameters_are_no_amplitudes(ngspice, name):
    """ngspice 44 gives the collector's 8.2 uA of bias at every frequency, where 0.32 uA of signal flow."""
    circuit = ngspice.load("t\nVcc vcc 0 5\nV1 in 0 dc 0.65 ac 1m\nR1 in b 1k\nQ1 c b 0 qn\nD1 b 0 dn\n.model qn npn\n"
                           ".model dn d\nRC vcc c 1k\n", Solver(), ["c", name])
    spectrum = circuit.ac(1e3, 1e5, 1)
    with pytest.raises(SimulationError, match=r"has no amplitude: in an AC analysis .*; op\(\) has them"):
        spectrum[name]
    assert name not in spectrum and "c" in spectrum and circuit.op()[name] > 0
    circuit.unload()


def test_several_vectors_are_rows():
    assert Vectors(PLOT).stack(iter(["top", "out"])).tolist() == [[5.0, 5.0, 6.0], [1.0, 2.0, 4.0]]


@pytest.mark.parametrize("value", [3.0, [3.0], [3.0, 4.0]])
def test_operating_point_is_a_float(value):
    point = OperatingPoint(plot(out=value, top=1.0))
    assert type(point["v(out)"]) is float and point["out"] == 3.0 and point["v(out,top)"] == 2.0


def test_sweep_and_spectrum_have_their_axis():
    values = plot(out=[1.0, 2.0]) | {"temp-sweep": SimpleNamespace(_data=np.array([-40.0, 125.0]))}
    assert Sweep(values).swept.tolist() == [-40.0, 125.0]
    spectrum = Spectrum(plot(frequency=[10 + 0j, 100 + 0j], out=[1j, 2 + 1j]))
    assert spectrum.frequency.tolist() == [10.0, 100.0] and spectrum.frequency.dtype == float
    assert spectrum["out"].tolist() == [1j, 2 + 1j]
