"""Op-amps with a pole: the closed form of their delays agrees with ngspice."""

import numpy as np
import pytest

from memristive.network.design import Schedule
from memristive.network.networks import Network
from snn_circuit import NetworkParameters, NeuronParameters
from studies.amplifier_speed import forward, spice_spikes
from tests.network.networks import random_network

IDEAL = 1e15  # Hz
IMAGE = np.random.default_rng(7).random(9)


def test_a_column_of_two_cells_delays_its_neuron_by_hand():
    """0.52 mS at 1 kohm, and an inverting stage of noise gain 3: (1.52 + 3) / (2 pi 1 MHz)."""
    parameters = NetworkParameters(neuron=NeuronParameters(threshold=0.3))
    network = Network((np.array([[2.0, 2.0]]),), parameters, Schedule(pulse=1e-3))
    ideal, slow = forward(network, np.ones(2), np.array([IDEAL, 1e6]))[0][:, 0]
    assert slow - ideal == pytest.approx(0.7195e-6, rel=0.005)  # drops at outputs are 0.1 %


@pytest.mark.usefixtures("ngspice")
def test_delays_agree_with_ngspice_where_currents_are_subtracted():
    network, bandwidths = random_network((9, 4), seed=5, spread=1.0), np.array([IDEAL, 1e6])
    of, level = network.layers[0], network.read_levels(IMAGE[None])[0]
    ideal, slow = forward(network, IMAGE, bandwidths)[0]
    simulated = spice_spikes(of, network.states[0], of.row_voltage * level, None, 1e6)
    assert np.nanmax(np.abs(slow - ideal)) > 1e-6 and np.array_equal(
        np.isnan(slow), np.isnan(simulated)
    )
    assert np.nanmax(np.abs(simulated - slow)) < 0.03 * np.nanmax(np.abs(slow - ideal))
