"""Energies of multilayer networks: against what the channels dissipate by the square law."""

import dataclasses

import numpy as np
import pytest

from memristive.network.chip import Chip
from memristive.network.design import LayerDesign
from memristive.network.energy import back_read_energy, layer_write_energy, layers_read_energy
from memristive.network.networks import Network, network_on_chip, with_bias
from memristor import read_current
from tests.network.networks import random_network

pytestmark = pytest.mark.usefixtures("ngspice")

SIZES = (9, 12, 8, 4)
IMAGE = np.random.default_rng(7).random(SIZES[0])
WIDER = 1 + 3.5 * 0.02  # rows rise before phi and fall after it


@pytest.fixture(params=["ideal", "chip", "half a volt"])
def network(request):
    """Alike; with channels of a fifth to five times their gain; with rows at another voltage."""
    network = random_network(SIZES, seed=5, spread=1.0)
    if request.param == "chip":
        return network_on_chip(network, Chip(cell_gain=0.8, seed=27))
    if request.param == "half a volt":
        return dataclasses.replace(network, design=LayerDesign(row_voltage=0.5, transresistance=40e3))
    return network


@pytest.fixture
def ideal():
    return random_network(SIZES, seed=5, spread=1.0)


def power(network, layer, levels):
    """Power in W that rows at `levels` (rows) put into all columns of a layer, with the reference column."""
    volts = network.design.row_voltage * levels
    states = np.vstack([network.states[layer], np.full(len(volts), network.design.reference_state)])
    memristor, cells = network.parameters.memristor, network.layers[layer].devices.cells
    gains = 1.0 if cells is None else cells.gain / memristor.gain
    return volts * (gains * read_current(memristor, states, volts)).sum(axis=0)


def test_a_read_costs_what_the_channels_dissipate_from_their_rows_spikes_on(network):
    energies, stop = layers_read_energy(network, IMAGE)
    times = [layer[0] for layer in network.forward(IMAGE[None])]
    assert stop == pytest.approx(np.sort(times[-1])[1])
    expected = [power(network, 0, with_bias(IMAGE[None])[0]).sum() * (stop - 0.5e-6)]
    for layer in (1, 2):
        high = np.append(np.maximum(stop - np.nan_to_num(times[layer - 1], nan=1.0), 0.0), stop - 0.5e-6)
        expected.append((power(network, layer, np.ones(len(high))) * high).sum())
    assert energies == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("states", "fire"), [([[5.0] * 4, [5.0] * 4], 0), ([[5.0, 5, 5, 8]], 1)])
def test_a_read_without_a_second_spike_lasts_as_long_as_the_window(states, fire):
    network, image = Network((np.array(states),)), np.ones(3)
    assert np.isfinite(network.first_spikes(image[None])).sum() == fire
    energies, stop = layers_read_energy(network, image)
    assert stop == 150e-6 and energies == pytest.approx([power(network, 0, np.ones(4)).sum() * 149.5e-6], rel=0.01)


@pytest.mark.parametrize(("layer", "errors", "volts"), [(2, [0.0, 1, 0, -0.5], 0.1), (1, [0, 2.0, 0, 0, -0.7, 0, 0, 0], 1e-3)])
def test_a_back_read_costs_a_thousandth_of_a_read(network, layer, errors, volts):
    errors = np.array(errors)
    found = back_read_energy(network, layer, errors)
    seconds = 3e-6 - 2e-6 / 3  # the first 1 us is an edge: a third of its V^2
    conductances = np.vstack([network.states[layer], np.full(SIZES[layer] + 1, 5.0)])[:, :-1]  # no bias row
    cells = network.layers[layer].devices.cells
    conductances *= network.parameters.memristor.gain if cells is None else cells.gain[:, :-1]
    driven = volts * np.append(errors, -errors.sum())
    assert found == pytest.approx(conductances.sum(axis=1) @ driven**2 * seconds, rel=2e-3, abs=0)
    assert found < 5e-3 * layers_read_energy(network, IMAGE)[0][layer]


def test_a_write_costs_what_all_columns_dissipate_while_their_rows_are_high(network):
    levels, high, pulse = np.append(IMAGE, 1.0), np.linspace(0.0, 1.0, SIZES[0] + 1), 40e-6
    seconds = high * pulse + np.where(high < 1, 2.5, 3.5) * 0.02 * pulse * (high > 0)
    expected = (power(network, 0, levels) * seconds).sum()
    assert layer_write_energy(network, 0, levels, high, pulse) == pytest.approx(expected, rel=0.02)


def test_a_depression_costs_as_much_with_drain_and_source_exchanged(ideal):
    levels, pulse = np.append(IMAGE, 1.0), 40e-6
    states = np.vstack([ideal.states[0], np.full(len(levels), 5.0)])
    expected = ideal.parameters.memristor.gain * ((states + levels) * levels**2 - levels**3 / 2).sum() * pulse * WIDER
    # The lift of the gates, which the formula neglects, is large here.
    assert layer_write_energy(ideal, 0, levels, np.ones(len(levels)), -pulse) == pytest.approx(expected, rel=0.2)


def test_a_short_write_costs_what_its_dose_costs_over_a_microsecond_at_a_lower_voltage(ideal):
    levels, high = np.append(IMAGE, 1.0), np.ones(SIZES[0] + 1)
    expected = power(ideal, 0, 0.1 * levels).sum() * 1e-6 * WIDER
    assert layer_write_energy(ideal, 0, levels, high, 0.1e-6) == pytest.approx(expected, rel=0.02, abs=0)
    assert layer_write_energy(ideal, 0, levels, high, 0.0) == layer_write_energy(ideal, 0, levels, 0 * high, 1e-6) == 0
