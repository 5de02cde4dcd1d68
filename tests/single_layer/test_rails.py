"""What the stages give at most: a rail, less what an op-amp's output resistance drops; both engines and warnings agree."""

import dataclasses

import numpy as np
import pytest

from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.hebbian import infer
from memristive.single_layer.ngspice_crossbar import Reader
from memristive.single_layer.operating_range import complaint, fitted, left_over, rail, settled_membranes
from memristive.single_layer.pulses import READING, Schedule
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip
from memristor import trained_state
from snn_circuit import NetworkParameters, NeuronParameters


@pytest.mark.parametrize("changes", [{}, {"inverting_rail_high": 15.0}, {"stage_resistance": 20.0}, {"stage_resistance": 5.0},
                                     {"amplifier_output_resistance": 300.0}])
def test_membranes_at_the_rail_spike_as_in_ngspice(ngspice, mnist_schedule, changes):
    """A stage's output falls short of its rail by what its op-amp's output resistance drops; also without one that is low."""
    parameters = NetworkParameters(neuron=NeuronParameters(**changes))
    states = np.linspace(9.0, 12.0, 10)[:, None] * np.ones(100)
    image = np.where(np.arange(100) < 20, 1.0, 0.0)
    race = Crossbar.of(parameters, mnist_schedule).read(states, image)
    assert race.railed.all()
    reader = Reader(ngspice, parameters, mnist_schedule, 10, READING.tightened())
    # The clamps give way by 10 mV per volt of overdrive.
    assert reader.spikes(states, image, 10) == pytest.approx(race.spikes, abs=0.7e-6)


def test_neurons_of_a_chip_have_rails_of_their_own(parameters, mnist_schedule):
    """Each drops what its own feedback takes."""
    chip = Chip(classes=10, inputs=100, neuron_gain=0.3, seed=2)
    neurons = chip.crossbar(parameters, mnist_schedule).neurons
    assert neurons.rail == pytest.approx(20 / (1 + 10 / neurons.feedback_resistance + 1e-3)) and np.ptp(neurons.rail) > 0.05


@pytest.mark.parametrize("changes", [{"amplifier_output_resistance": 3000.0}, {"stage_resistance": 2.0}])
def test_rails_that_an_output_resistance_lowers_are_seen(ngspice, mnist_schedule, templates, changes):
    """Membranes clip, or no neuron can fire, where 20 V would do: the complaint's way out is one, and ngspice says the same."""
    network = NetworkParameters(neuron=NeuronParameters(**changes))
    states = trained_state(network.memristor, templates.patterns, mnist_schedule.pulse)
    said = complaint(network, mnist_schedule, states, templates.patterns)
    top = infer(ngspice, network, mnist_schedule, states, templates.patterns).membranes.max()
    assert ("silent" in said) == (top < network.neuron.threshold)
    if "silent" in said:
        assert f"the stages give {rail(network.neuron):.3g} V at most" in said
    else:
        assert "membranes clip" in said
        assert top == pytest.approx(rail(network.neuron), rel=0.3) and top < settled_membranes(
            network, mnist_schedule, states, templates.patterns).max()


def test_output_resistance_that_no_feedback_makes_good_is_named(mnist_schedule, templates):
    neuron = NeuronParameters(amplifier_output_resistance=3000.0, rail_low=-30.0)
    network = NetworkParameters(neuron=neuron)
    states = trained_state(network.memristor, templates.patterns, 10 * mnist_schedule.pulse)
    said = complaint(network, mnist_schedule, states, templates.patterns)
    assert "membranes clip" in said and said.endswith("training with a lower --amplifier-output-resistance would help")
    with pytest.raises(ParameterError, match=r"^no .*: amplifier_output_resistance is too high for currents like these$"):
        fitted(NetworkParameters(neuron=dataclasses.replace(neuron, rail_low=-1.0)), mnist_schedule, templates.patterns)


@pytest.mark.parametrize("tau", [150e-6, 400e-6])
def test_what_the_next_pattern_finds_of_a_membrane_is_what_the_pause_has_left(tau):
    """From the end of the pulse's fall to the next rise; below a thousandth of the threshold it moves no spike."""
    neuron = NeuronParameters(membrane_capacitance=tau)
    for pause in (1.0, 3.0, 6.8, 7.0):  # in time constants: exp(-6.9) is a thousandth
        schedule = Schedule(pulse=1e-3, rise=1e-5, period=1e-3 + 1e-5 + pause * tau)
        left = 4.0 * np.exp(-pause)
        assert left_over(neuron, schedule, 4.0) == (pytest.approx(left) if pause < 6.9 else 0.0)
    network, states = NetworkParameters(neuron=neuron), np.full((1, 9), 8.0)
    schedule = Schedule(pulse=3e-3, period=3e-3 + 1e-5 + 2 * tau)
    top = settled_membranes(network, schedule, states, np.ones((1, 9)))[0, 0]
    network = dataclasses.replace(network, neuron=dataclasses.replace(
        neuron, feedback_resistance=float(neuron.feedback_resistance * 6.0 / top)))
    said = complaint(network, schedule, states, np.ones((1, 9)), own=True)
    assert said == (f"membranes have not come to rest when the next pattern comes: of 6 V up to {6 * np.exp(-2):.2g} V are left "
                    f"after {1e-5 + 2 * tau:.3g} s, with a time constant of {tau:.3g} s; a longer --period or a training with "
                    "a lower --membrane-capacitance would help")
