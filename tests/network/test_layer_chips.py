"""Chips of networks of several layers: distributions, seeds, stuck cells, and ngspice with every deviation."""

import dataclasses

import numpy as np
import pytest

from memristive.network.chip import Chip
from memristive.network.networks import network_on_chip
from memristive.network.ngspice_network import NgspiceNetwork
from tests.network.networks import layer_of, random_network

TEN_PERCENT = Chip(cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1, seed=3)
EVERYTHING = Chip(cell_gain=0.1, cell_threshold=0.1, cell_write_gain=0.1, cell_capacitance=0.3, neuron_threshold=0.1,
                  neuron_gain=0.1, neuron_time_constant=0.1, seed=5)


def test_deviations_have_the_spreads_of_the_chip_and_are_independent():
    network = random_network((200, 200, 200))
    memristor, neuron = network.parameters.memristor, network.parameters.neuron

    def drawn(chip):
        devices = network_on_chip(network, chip).devices
        return [(of.cells.gain / memristor.gain, of.cells.transconductance / memristor.transconductance,
                 of.neurons.threshold / neuron.threshold) for of in devices]

    big = drawn(TEN_PERCENT)
    for channel, write, threshold in big:
        assert channel.shape == write.shape == (201, 201) and threshold.shape == (200,)
        for values in (channel, write):
            assert values.mean() == pytest.approx(1, abs=3e-3) and values.std() == pytest.approx(0.1, rel=0.02)
        assert threshold.std() == pytest.approx(0.1, rel=0.2)
    other = drawn(dataclasses.replace(TEN_PERCENT, seed=4))
    for one, two in ((big[0][0], big[1][0]), (big[0][0], other[0][0]), (big[0][0], big[0][1])):
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.02
    less = drawn(dataclasses.replace(TEN_PERCENT, cell_gain=0.0))
    assert np.all(less[0][0] == 1) and np.array_equal(less[0][2], big[0][2])


def test_ngspice_reads_back_reads_and_writes_a_chip_with_every_deviation_as_the_closed_form(ngspice):
    network = network_on_chip(random_network((12, 9, 4), seed=2), EVERYTHING)
    image, errors = np.linspace(0.3, 1.0, 12), np.array([1.0, -1.0, 0.0, 0.0])
    found, exact = NgspiceNetwork(network).read(network, image, 4, label=0)[0], network.forward(image[None])
    for spikes, expected in zip(found, exact, strict=True):
        assert np.isfinite(expected).sum() >= 3
        assert spikes == pytest.approx(expected[0], abs=0.05e-6, nan_ok=True)
    back = layer_of(network, 1).read_back(network.states[1], errors)
    assert back == pytest.approx(network.read_back(1, errors), abs=5e-3)
    cells, column, ones = network.devices[0].cells, network.states[0][1], np.ones(13)
    moved = layer_of(network, 0).write_column(network.states[0], 1, ones, ones, 60e-6) - column
    gained = cells.transconductance[1] / (cells.capacitance[1] + network.parameters.memristor.gate_capacitance) * 60e-6
    assert moved == pytest.approx(gained, rel=0.01, abs=1e-4)
