"""The method in plain NumPy is that of the project, up to what it leaves out.

The project's amplifiers have a gain of 1e8 here, and rails that nothing reaches. Edges are short:
`tiny` has steps, at the middle of an edge, from which it counts time. In a write, the lift of the
gate is 0.
"""

import numpy as np
import pytest

import memristor
from memristive import tiny
from memristive.cli.runs import tuned
from memristive.datasets import xor, xpue
from memristive.devices.cells import Cells
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning, train
from memristive.network.crossbar import hebbian_state
from memristive.network.design import LayerDesign, Schedule, Setup
from memristive.network.networks import Network
from snn_circuit import NetworkParameters, NeuronParameters

IDEAL = NeuronParameters(
    amplifier_gain=1e8,
    amplifier_output_resistance=1e-3,
    rail_low=-1e3,
    rail_high=1e3,
    inverting_rail_low=-1e3,
    inverting_rail_high=1e3,
)
DEVICE = memristor.MemristorParameters()
EDGE = 1e-9  # s


def times(spikes):
    """Spikes with nan in the place of inf."""
    return np.where(np.isfinite(spikes), spikes, np.nan)


def test_a_write_is_the_law_without_the_lift_and_close_to_the_papers_write():
    states, seconds = np.linspace(0, 9, 10), np.linspace(-1e-3, 5e-3, 10)
    cells, window = Cells.of(DEVICE), 5e-3
    charged = DEVICE.transconductance * DEVICE.leak_resistance * seconds / window
    expected = memristor.written(states, charged, 0.0, memristor.leaked(window, cells.leak))
    assert tiny.write(states, seconds) == pytest.approx(expected, rel=1e-12)
    # edges, the lift, and the first write's offset make 3 mV of 7 V
    assert tiny.hebbian(np.ones((1, 1))) == pytest.approx(hebbian_state(Setup()), abs=4e-3)


def test_the_papers_layer_fires_as_in_closed_form():
    schedule = Schedule(pulse=tiny.PULSE, rise=EDGE)
    states, patterns = tiny.hebbian(xpue().patterns), xpue().patterns
    network = Network.of(Setup(neuron=IDEAL, schedule=schedule), states.T)
    found = np.array([times(tiny.recall(states, image)) for image in patterns])
    expected = network.first_spikes(patterns) - EDGE / 2
    assert found == pytest.approx(expected, abs=EDGE, nan_ok=True)
    assert np.nanargmin(found, axis=1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_layers_learn_as_in_closed_form(hidden):
    images, labels = xor().training
    rule = LayeredRule(**tuned("xor").of_group("rule"))
    design = LayerDesign(rise=EDGE, window=tiny.WINDOW + EDGE / 2)
    parameters = NetworkParameters(neuron=IDEAL)
    start = initial_network(hidden, 2, images, rule, design, parameters)
    layers, learning = [states.T.copy() for states in start.states], Learning.start(start, rule)
    order = rule.order(len(images), 0, rule.presentations)
    training = train(learning, rule, images, labels, block=1)
    for k, n in enumerate(order):
        spikes = learning.network.forward(images[n : n + 1])
        for found, expected in zip(tiny.read(layers, images[n])[0], spikes, strict=True):
            assert times(found) == pytest.approx(expected[0] - EDGE / 2, abs=EDGE, nan_ok=True)
        written = tiny.learn(layers, images[n], labels[n], 1 - k / rule.presentations)
        next(training)
        assert written == learning.history[k, 1]
    assert learning.history[:, 1].sum() > 20
    for ours, theirs, before in zip(layers, learning.network.states, start.states, strict=True):
        # the rest is what amplifiers lack: it falls in proportion to their gain
        assert theirs == pytest.approx(ours.T, abs=3e-6)
        assert np.abs(theirs - before).max() > 0.5
    winners = [tiny.read(layers, image)[0][-1].argmin() for image in images]
    assert (winners == labels).all() == bool(hidden)  # one layer cannot learn XOR


def test_the_demonstration_runs():
    tiny.main()
