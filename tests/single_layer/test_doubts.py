"""Parameters with which the closed form is not good for nanoseconds: it says so, and where it says nothing, it is."""

import dataclasses

import numpy as np
import pytest

from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.ngspice_crossbar import Reader
from memristive.single_layer.operating_range import settled_membranes
from memristive.single_layer.pulses import READING, Schedule
from memristive.spice.session import Solver
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters

STATES, IMAGE = np.array([[5.0] * 9, [5.2] * 9, [4.8] * 9]), np.array([1.0, 1, 1, 0, 1, 0, 0, 1, 0])


def off(ngspice, network, schedule):
    """What ngspice's tight spikes are off the closed form's, in s, and how much of it is not common to all (leads)."""
    wanted = Reader(ngspice, network, schedule, 3, Solver(max_step=1e-6, reltol=1e-6)).spikes(STATES, IMAGE, 4)
    differences = wanted - Crossbar.of(network, schedule).read(STATES, IMAGE).spikes
    assert np.isfinite(differences).all()
    return np.abs(differences).max()


def with_feedback(memristor, neuron=None, schedule=None):
    """A network whose largest membrane settles at 7 V."""
    schedule, neuron = schedule or Schedule(), neuron or NeuronParameters()
    network = NetworkParameters(memristor=memristor, neuron=neuron)
    top = settled_membranes(network, schedule, STATES, IMAGE[None]).max()
    ohms = neuron.feedback_resistance * 7 / top
    return NetworkParameters(memristor=memristor, neuron=NeuronParameters(
        feedback_resistance=float(ohms), amplifier_gain=neuron.amplifier_gain))


@pytest.mark.parametrize(("parameters", "words"), [
    ({}, ""), ({"length": 5e-4}, ""), ({"length": 3e-3}, "--length"), ({"kp": 1e-7}, "--kp"),
    ({"oxide_thickness": 2e-10}, "--oxide-thickness"), ({"oxide_thickness": 5e-9}, "")])
def test_channels_that_take_long_to_charge_their_gates_are_named(ngspice, parameters, words):
    network = with_feedback(MemristorParameters(**parameters))
    doubts = Crossbar.of(network, Schedule()).doubts
    assert len(doubts) == bool(words) and all(words in doubt for doubt in doubts)
    assert Crossbar.of(network, Schedule()).holds is not bool(words)
    error = off(ngspice, network, Schedule())
    assert error > 1e-7 if words else error < 8e-8


def test_one_slow_device_of_a_chip_is_doubt_enough(parameters):
    """A cell of a hundredth of the others' gain, or a membrane that is quicker than the edge."""
    crossbar = Crossbar.of(parameters, Schedule())
    gains = np.full((3, 9), crossbar.cells.gain)
    taus = np.full(3, crossbar.neurons.time_constant)
    assert dataclasses.replace(crossbar, cells=dataclasses.replace(crossbar.cells, gain=gains),
                               neurons=dataclasses.replace(crossbar.neurons, time_constant=taus)).holds
    gains[1, 2] /= 100
    taus[2] = 5e-6
    slow = dataclasses.replace(crossbar, cells=dataclasses.replace(crossbar.cells, gain=gains))
    quick = dataclasses.replace(crossbar, neurons=dataclasses.replace(crossbar.neurons, time_constant=taus))
    assert ["--kp" in doubt for doubt in slow.doubts] == ["--rise" in doubt for doubt in quick.doubts] == [True]


@pytest.mark.parametrize(("gain", "doubted"), [(1e5, False), (1e4, False), (9e3, True)])
def test_op_amps_of_too_little_gain_are_named(gain, doubted):
    doubts = Crossbar.of(NetworkParameters(neuron=NeuronParameters(amplifier_gain=gain)), Schedule()).doubts
    assert bool(doubts) == doubted and all("--amplifier-gain" in doubt for doubt in doubts)


@pytest.mark.parametrize(("ohms", "gain", "doubted"), [(10.0, 1e5, False), (270.0, 1e5, False), (275.0, 1e5, True),
                                                       (100.0, 1e4, True)])
def test_op_amps_of_too_much_output_resistance_are_named(ohms, gain, doubted):
    neuron = NeuronParameters(amplifier_output_resistance=ohms, amplifier_gain=gain)
    doubts = Crossbar.of(NetworkParameters(neuron=neuron), Schedule()).doubts
    assert bool(doubts) == doubted and all("--amplifier-output-resistance" in doubt for doubt in doubts)


@pytest.mark.parametrize(("farads", "doubted"), [(1e-13, False), (1e-11, False), (1.1e-11, True)])
def test_memory_capacitors_that_hold_their_gates_are_named(farads, doubted):
    doubts = Crossbar.of(NetworkParameters(memristor=MemristorParameters(capacitance=farads)), Schedule()).doubts
    assert bool(doubts) == doubted and all("--capacitance" in doubt for doubt in doubts)


@pytest.mark.parametrize("volts", [0.3, 3.0])
def test_gates_are_as_slow_at_any_input_voltage(volts):
    schedule = Schedule(input_voltage=volts)
    assert Crossbar.of(NetworkParameters(memristor=MemristorParameters(length=6.1e-4)), schedule).holds
    assert not Crossbar.of(NetworkParameters(memristor=MemristorParameters(length=6.2e-4)), schedule).holds


@pytest.mark.parametrize(("rise", "doubted"), [(10e-6, False), (150e-6, False), (151e-6, True)])
def test_edges_longer_than_the_membranes_time_constant_are_named(rise, doubted):
    doubts = Crossbar.of(NetworkParameters(), Schedule(rise=rise)).doubts
    assert bool(doubts) == doubted and all("--rise" in doubt for doubt in doubts)


def test_usual_reads_are_near_tight_ones(ngspice):
    """The reading solver of the pages, against which the others were measured."""
    network = with_feedback(MemristorParameters())
    tight = Reader(ngspice, network, Schedule(), 3, READING.tightened()).spikes(STATES, IMAGE, 4)
    assert Crossbar.of(network, Schedule()).read(STATES, IMAGE).spikes == pytest.approx(tight, abs=5e-8)
