"""Energies of an error: each write is of its own column, for as long as its rows are high, by its layer's dose."""

import numpy as np
import pytest

from learning.layer_rule import LayeredRule
from learning.layers import start_delay
from memristor import state_rate
from tests.learning.test_layer_energy import power
from tests.learning.test_layers import random_network
from workflow.layered_example import Example, energies

RULE = LayeredRule(hidden_dose=0.3, output_dose=0.06)
IMAGE = np.array([1.0, 0.2, 0.7, 0.4])
EDGES = 1 + 3.5 * 0.02  # rows rise before phi and fall after it


@pytest.fixture(scope="module", params=[(4, 6, 3), (4, 3)], ids=["hidden", "single"])
def network(request):
    return random_network(request.param, seed=1, spread=1.5)


@pytest.fixture(scope="module")
def found(network, ngspice):
    """An example whose wrong neuron is the first to fire and whose right one is the last, with its energies."""
    order = np.argsort(network.first_spikes(IMAGE[None])[0])
    example = Example(IMAGE, int(order[-1]), int(order[0]))
    return example, energies(ngspice, network, RULE, example)


def overlap(network, column):
    """For how long in s a write of the whole dose drives each row of the last layer, and at which voltages."""
    rate, levels = float(state_rate(network.parameters.memristor, 1.0)), np.append(IMAGE, 1.0)
    if len(network.states) == 1:
        return np.full(len(levels), RULE.output_dose / rate), levels
    tau = network.parameters.neuron.time_constant
    hidden, outputs = (layer[0] for layer in network.forward(IMAGE[None]))
    rows = np.append(hidden, start_delay(network.design.rise, tau))
    high = np.maximum(np.nan_to_num(outputs[column], nan=network.design.window) - np.nan_to_num(rows, nan=1.0), 0.0)
    return high / tau * RULE.output_dose / rate, np.ones(len(rows))


def test_writes_of_the_outputs_last_as_long_as_their_own_columns_overlaps(network, found):
    example, energy = found
    seconds, volts = overlap(network, example.label)
    edges = np.where(seconds == seconds.max(), 3.5, 2.5) * 0.02 * seconds.max() * (seconds > 0)
    right = (power(network, -1, volts) * (seconds + edges)).sum()
    assert energy["write_right_output"] == pytest.approx(right, rel=0.02)
    seconds, volts = overlap(network, example.wrong)
    edges = np.where(seconds == seconds.max(), 3.5, 2.5) * 0.02 * seconds.max() * (seconds > 0)
    states = np.vstack([network.states[-1], np.full(len(volts), 5.0)])  # drain and source change places
    lost = (network.parameters.memristor.gain * ((states + volts) * volts**2 - volts**3 / 2)).sum(axis=0)
    assert energy["write_wrong_output"] == pytest.approx((lost * (seconds + edges)).sum(), rel=0.2)


def test_a_hidden_columns_write_is_of_the_hidden_dose(network, found):
    _, energy = found
    assert ("write_hidden" in energy) == (len(network.states) == 2)
    if "write_hidden" in energy:
        seconds = RULE.hidden_dose / float(state_rate(network.parameters.memristor, 1.0))
        expected = power(network, 0, np.append(IMAGE, 1.0)).sum() * seconds * EDGES
        assert energy["write_hidden"] == pytest.approx(expected, rel=0.02)
