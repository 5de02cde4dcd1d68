"""The fit of a loop recovers a known emulator from noisy data."""

import numpy as np
import pytest

from memristive.devices.loop_fit import fit_loop, loop_current
from memristive.spice.parameters import ParameterError
from memristor import Memristor, MemristorParameters

LOOP = MemristorParameters(capacitance=1e-9, junction_current=1e-300, transconductance=2e-6, leak_resistance=5e6, kp=1e-5,
                           threshold_voltage=-1.0)


def test_loop_fit_recovers_the_emulator():
    time = np.linspace(0, 20e-3, 400)
    voltage = np.sin(2 * np.pi * 100 * time)
    current = loop_current(LOOP, 0.5, time, voltage) + 1e-7 * np.random.default_rng(3).standard_normal(400)
    fit = fit_loop(time, voltage, current)
    assert fit.memristor.transconductance == pytest.approx(2e-6, rel=0.05)
    assert fit.memristor.kp == pytest.approx(1e-5, rel=0.05)
    assert fit.memristor.threshold_voltage == pytest.approx(-1.0, abs=0.05)
    assert fit.rms < 0.004


@pytest.mark.filterwarnings("error")
def test_the_loop_of_a_resistor_is_fitted_without_a_warning():
    time = np.linspace(0, 1, 100)
    voltage = 3 * np.sin(2 * np.pi * time)
    fit = fit_loop(time, voltage, 1e-6 * voltage)
    assert fit.rms < 1e-3 and fit.errors["threshold_voltage"] > 1.0  # which a straight line does not determine


def test_loop_current_is_that_of_ngspice(simulate):
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit("loop")
    Memristor(LOOP).add_to(circuit)
    circuit.SinusoidalVoltageSource("input", "input", circuit.gnd, amplitude=1.0, frequency=100)
    circuit.V("phi", "phi", circuit.gnd, 1.2)
    circuit.V("neuron", "neuron", circuit.gnd, 0)
    circuit.X("synapse", "memristor", "neuron", "input", "phi", x0=0.5)
    waves = simulate(circuit, ["i(vneuron)", "input"], 20e-3, max_step=20e-6)
    expected = loop_current(LOOP, 0.5, waves.time, waves["input"])
    assert waves["i(vneuron)"] == pytest.approx(expected, abs=0.01 * np.abs(expected).max())


@pytest.mark.parametrize("points, word", [(10, "20 points"), (100, "constant")])
def test_bad_loops_are_refused(points, word):
    with pytest.raises(ParameterError, match=word):
        fit_loop(np.arange(points) * 1e-3, np.ones(points), np.ones(points))
