"""Fits recover known parameters from noisy data."""

import dataclasses

import numpy as np
import pytest

from memristive.devices.curve_fit import fit_loop, fit_pulses, loop_current
from memristive.devices.measured_device import DEVICES
from memristive.spice.parameters import ParameterError
from memristor import Memristor, MemristorParameters


def sweep(device, up, noise, rng):
    """Return one measured sweep with cycle-to-cycle noise."""
    share = [0.0 if up else 1.0]
    for _ in range(device.pulses_up if up else device.pulses_down):
        share.append(np.clip(device.after(share[-1], 1, up) + noise * rng.standard_normal(), 0, 1))
    return device.conductance(np.array(share))


@pytest.mark.parametrize("name", ["alox-hfo2", "pcmo"])
def test_fit_recovers_the_device(name):
    device, rng = DEVICES[name], np.random.default_rng(2)
    fit = fit_pulses(*([sweep(device, up, 0.005, rng) for _ in range(8)] for up in (True, False)), name)
    tolerances = {"curvature_up": 0.1, "curvature_down": 0.3, "highest_conductance": 0.02, "lowest_conductance": 0.1}
    for field, share in tolerances.items():
        assert getattr(fit.device, field) == pytest.approx(getattr(device, field), rel=share)
        assert 0 < fit.errors[field] < share * getattr(device, field)
    assert fit.device.cycle_noise == pytest.approx(0.005, rel=0.15)
    assert (fit.device.pulses_up, fit.device.pulses_down) == (device.pulses_up, device.pulses_down)
    assert 0 < fit.rms < fit.largest < 0.02


def test_a_curve_that_bends_the_other_way_is_fitted():
    device = dataclasses.replace(DEVICES["pcmo"], curvature_up=-0.6)
    fit = fit_pulses(*([sweep(device, up, 0.0, np.random.default_rng(0))] for up in (True, False)))
    assert fit.device.curvature_up == pytest.approx(-0.6, rel=0.01)
    assert fit.largest < 1e-3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("curvature", [-0.05, 0.02])
def test_a_strong_bend_is_fitted_without_a_warning(curvature):
    device = dataclasses.replace(DEVICES["pcmo"], curvature_up=curvature, curvature_down=-0.4)
    rng = np.random.default_rng(0)
    curves = [device.curve(np.linspace(0, 1, 51), up) + 0.005 * rng.standard_normal(51) for up in (True, False)]
    assert fit_pulses(*([device.conductance(curve)] for curve in curves)).device.curvature_up == pytest.approx(curvature, rel=0.3)


GOOD = np.linspace(1e-6, 2e-6, 20)


def test_unequal_sweeps_are_refused():
    with pytest.raises(ParameterError, match="sweeps"):
        fit_pulses([GOOD], [GOOD, GOOD[:10]])


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
