"""Energies of layers against what the channels dissipate by the square law: who pays, for how long, with which sign."""

import dataclasses

import numpy as np
import pytest

from memristive.multilayer.layer_chips import layer_chips
from memristive.multilayer.layer_energy import back_read_energy, layer_write_energy, layers_read_energy
from memristive.multilayer.layer_netlist import LayerDesign
from memristive.multilayer.layer_network import LayeredNetwork, device, with_bias
from memristive.variability.chip import Chip
from memristor import read_current
from tests.learning.test_layers import random_network

SIZES = (9, 12, 8, 4)
IMAGE = np.random.default_rng(7).random(SIZES[0])


@pytest.fixture(scope="module")
def network():
    return random_network(SIZES, seed=5, spread=1.0)


@pytest.fixture(scope="module")
def on_chip(network):
    """The network on a chip whose channels have a fifth to five times their gain."""
    return dataclasses.replace(network, chip=layer_chips(Chip(cell_gain=0.8, seed=27), SIZES))


def power(network, layer, volts):
    """W that rows at `volts` (rows) put into all columns of a layer, the reference column included."""
    states = np.vstack([network.states[layer], np.full(len(volts), network.design.reference_state)])
    gains = 1.0 if network.chip is None else network.chip[layer].channel
    return volts * (gains * read_current(network.parameters.memristor, states, volts)).sum(axis=0)


def test_a_read_costs_what_the_channels_of_each_layer_dissipate_from_their_rows_spikes_on(ngspice, network):
    energies, stop = layers_read_energy(ngspice, network, IMAGE)
    times = [layer[0] for layer in network.forward(IMAGE[None])]
    assert stop == pytest.approx(np.sort(times[-1])[1])
    expected = [power(network, 0, with_bias(IMAGE[None])[0]).sum() * (stop - 0.5e-6)]
    for layer in (1, 2):
        up = np.append(np.maximum(stop - np.nan_to_num(times[layer - 1], nan=1.0), 0.0), stop - 0.5e-6)
        expected.append((power(network, layer, np.ones(len(up))) * up).sum())
    assert energies == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("states", "fire"), [
    ([[5.0] * 4, [5.0] * 4], 0), ([[5.0, 5, 5, 8], [5.0] * 4], 1), ([[5.0, 5, 5, 8]], 1)])
def test_a_read_whose_second_spike_does_not_come_lasts_as_long_as_the_window(ngspice, states, fire):
    """150 us: nothing decides it before."""
    network, image = LayeredNetwork((np.array(states),)), np.ones(3)
    assert np.isfinite(network.first_spikes(image[None])).sum() == fire
    energies, stop = layers_read_energy(ngspice, network, image)
    assert stop == 150e-6 and energies == pytest.approx([power(network, 0, np.ones(4)).sum() * 149.5e-6], rel=0.01)


@pytest.mark.parametrize(("layer", "errors", "volts"), [(2, [0.0, 1, 0, -0.5], 0.1), (1, [0, 2.0, 0, 0, -0.7, 0, 0, 0], 1e-3)])
def test_a_back_read_costs_a_thousandth_of_a_read(ngspice, network, layer, errors, volts):
    errors = np.array(errors)
    found = back_read_energy(ngspice, network, layer, errors)
    gain, seconds = 2 * device(network).half_gain, 3e-6 - 2e-6 / 3  # the first 1 us is an edge: a third of its V^2
    states = np.vstack([network.states[layer], np.full(SIZES[layer] + 1, 5.0)])[:, :-1]  # the bias row is not read
    driven = volts * np.append(errors, -errors.sum())
    assert found == pytest.approx(gain * states.sum(axis=1) @ driven**2 * seconds, rel=2e-3, abs=0)  # of 1e-14 J in layer 1
    assert found < 1e-3 * layers_read_energy(ngspice, network, IMAGE)[0][layer]


@pytest.mark.parametrize(("sign", "within"), [(1, 0.02), (-1, 0.2)])  # a depression moves the gates by what is left out here
def test_a_write_costs_what_all_columns_dissipate_while_their_rows_are_high(ngspice, network, sign, within):
    levels, high, pulse = np.append(IMAGE, 1.0), np.linspace(0.1, 1.0, SIZES[0] + 1), 40e-6
    found = layer_write_energy(ngspice, network, 0, levels, high, sign * pulse)
    seconds = high * pulse + np.where(high < 1, 2.5, 3.5) * 0.02 * pulse  # rows rise before phi and fall after it
    if sign > 0:
        expected = (power(network, 0, levels) * seconds).sum()
    else:  # drain and source change places
        states = np.vstack([network.states[0], np.full(len(levels), 5.0)])
        gain = network.parameters.memristor.gain
        expected = (gain * ((states + levels) * levels**2 - levels**3 / 2) * seconds).sum()
    assert found == pytest.approx(expected, rel=within)
    assert found > 0


def test_on_a_chip_rows_pay_for_its_own_channels(ngspice, network, on_chip):
    """Reads of all layers, with the chip's spikes, and a write."""
    energies, stop = layers_read_energy(ngspice, on_chip, IMAGE)
    times = [layer[0] for layer in on_chip.forward(IMAGE[None])]
    highs = [stop - 0.5e-6, *(np.append(np.maximum(stop - np.nan_to_num(layer, nan=1.0), 0.0), stop - 0.5e-6)
                              for layer in times[:-1])]
    rows = [with_bias(IMAGE[None])[0], *(np.ones(len(layer) + 1) for layer in times[:-1])]
    for layer, (volts, high) in enumerate(zip(rows, highs, strict=True)):
        own, alike = ((power(one, layer, volts) * high).sum() for one in (on_chip, network))
        assert energies[layer] == pytest.approx(own, rel=0.01) and abs(own / alike - 1) > 0.05
    found = layer_write_energy(ngspice, on_chip, 1, rows[1], np.ones(len(rows[1])), 40e-6)
    assert found == pytest.approx(power(on_chip, 1, rows[1]).sum() * 40e-6 * (1 + 3.5 * 0.02), rel=0.02)


def test_on_a_chip_columns_pay_for_its_own_channels_in_a_back_read(ngspice, network, on_chip):
    errors = np.array([0.0, 1.0, 0.0, -0.5])
    states = np.vstack([network.states[2], np.full(SIZES[2] + 1, 5.0)])[:, :-1]
    driven, seconds = 0.1 * np.append(errors, -errors.sum()), 3e-6 - 2e-6 / 3

    def expected(gains):
        return network.parameters.memristor.gain * (gains * states).sum(axis=1) @ driven**2 * seconds
    own = expected(on_chip.chip[2].channel[:, :-1])
    assert back_read_energy(ngspice, on_chip, 2, errors) == pytest.approx(own, rel=2e-3, abs=0)
    assert abs(own / expected(1.0) - 1) > 0.1


def test_a_short_write_costs_what_its_dose_costs_over_a_microsecond_at_a_lower_voltage(ngspice, network):
    levels, high = np.append(IMAGE, 1.0), np.ones(SIZES[0] + 1)
    short = layer_write_energy(ngspice, network, 0, levels, high, 0.1e-6)
    assert short == pytest.approx(layer_write_energy(ngspice, network, 0, 0.1 * levels, high, 1e-6), rel=1e-6, abs=0)
    assert short == pytest.approx(power(network, 0, 0.1 * levels).sum() * 1.07e-6, rel=0.02, abs=0)
    assert layer_write_energy(ngspice, network, 0, levels, high, 0.0) == 0
    assert layer_write_energy(ngspice, network, 0, levels, 0 * high, 1e-6) == 0


def test_rows_pay_by_the_row_voltage_of_the_design(ngspice, network):
    """At half a volt a bit more than a quarter: a channel that is far from pinch-off is a resistance."""
    half = dataclasses.replace(network, design=LayerDesign(row_voltage=0.5, transresistance=40e3))
    energies, stop = layers_read_energy(ngspice, half, IMAGE)
    hidden = half.forward(IMAGE[None])[0][0]
    up = np.append(np.maximum(stop - np.nan_to_num(hidden, nan=1.0), 0.0), stop - 0.5e-6)
    assert energies[:2] == pytest.approx([power(half, 0, 0.5 * with_bias(IMAGE[None])[0]).sum() * (stop - 0.5e-6),
                                          (power(half, 1, np.full(len(up), 0.5)) * up).sum()], rel=0.01)
    levels = np.append(IMAGE, 1.0)  # the bias row among them
    found = layer_write_energy(ngspice, half, 0, levels, np.ones(len(levels)), 40e-6)
    assert found == pytest.approx(power(half, 0, 0.5 * levels).sum() * 40e-6 * (1 + 3.5 * 0.02), rel=0.02)


def test_rows_that_are_not_high_pay_nothing_for_a_write(ngspice, network):
    """Those of hidden neurons that do not fire while the written one is high: they stay at 0 V, edges and all."""
    levels, high, pulse = np.ones(SIZES[0] + 1), np.append(np.zeros(SIZES[0]), 1.0), 40e-6
    found = layer_write_energy(ngspice, network, 0, levels, high, pulse)
    assert found == pytest.approx(power(network, 0, levels)[-1] * pulse * (1 + 3.5 * 0.02), rel=0.02)


def test_a_row_that_is_high_for_an_instant_is_no_trouble(ngspice, network):
    assert layer_write_energy(ngspice, network, 0, np.ones(SIZES[0] + 1), np.append(np.full(SIZES[0], 1e-4), 1.0), 40e-6) > 0
