"""Energies of one error: each write is of its own column, for as long as its rows are high, with
the dose of its layer.
"""

import dataclasses

import numpy as np
import pytest

from memristive.learning.rule import LayeredRule
from memristive.network.design import LayerDesign
from memristive.spice.session import temporary_circuits
from memristor import read_current
from studies.layers import ErrorExample, back_read, error_energies, find_error
from tests.network.networks import random_network

RULE = LayeredRule(hidden_dose=0.3, output_dose=0.06)
IMAGE = np.array([1.0, 0.2, 0.7, 0.4])


def write_energy(network, layer, volts, seconds, sign=1):
    """Energy in J of the channels while rows (V) are high for `seconds` (rows) and two or three
    edges of 2 %.
    """
    states = np.vstack([network.states[layer], np.full(len(volts), network.design.reference_state)])
    memristor = network.parameters.memristor
    if sign > 0:
        power = volts * read_current(memristor, states, volts)
    else:  # drain and source change places
        power = memristor.gain * ((states + volts) * volts**2 - volts**3 / 2)
    edges = np.where(seconds == seconds.max(), 3.5, 2.5) * 0.02 * seconds.max() * (seconds > 0)
    return (power.sum(axis=0) * (seconds + edges)).sum()


@pytest.mark.parametrize(
    ("sizes", "voltage"), [((4, 6, 3), 1.0), ((4, 3), 1.0), ((4, 6, 3), 2.0), ((4, 3), 2.0)]
)
def test_writes_take_what_their_rows_deliver(sizes, voltage, ngspice):
    """At twice the voltage a write takes half the time, so it delivers about twice the energy."""
    network = random_network(sizes, seed=1, spread=1.5)
    network = dataclasses.replace(network, design=LayerDesign(write_voltage=voltage))
    times = [layer[0] for layer in network.forward(IMAGE[None])]
    label, wrong = int(np.argmax(np.nan_to_num(times[-1], nan=1.0))), int(np.nanargmin(times[-1]))
    with temporary_circuits():
        energy = error_energies(network, RULE, ErrorExample(IMAGE, label, wrong))
    # the charge K V t on C + C_gate
    rate, levels, tau = 5e-9 * voltage / 3.55e-12, np.append(IMAGE, 1.0), 150e-6
    for name, column, sign, error in (("right", label, 1, 0.02), ("wrong", wrong, -1, 0.2)):
        seconds, volts = np.full(len(levels), RULE.output_dose / rate), levels * voltage
        if len(sizes) == 3:
            rows = np.append(np.nan_to_num(times[0], nan=1.0), network.start_time)
            high = np.maximum(
                np.nan_to_num(times[1][column], nan=network.design.window) - rows, 0.0
            )
            seconds, volts = high / tau * RULE.output_dose / rate, np.full(len(rows), voltage)
        assert energy[f"write_{name}_output_J"] == pytest.approx(
            write_energy(network, -1, volts, seconds, sign), rel=error
        )
    assert ("write_hidden_J" in energy) == (len(sizes) == 3)
    if "write_hidden_J" in energy:
        expected = write_energy(
            network, 0, levels * voltage, np.full(len(levels), RULE.hidden_dose / rate)
        )
        assert energy["write_hidden_J"] == pytest.approx(expected, rel=0.02)


def test_the_example_is_the_first_image_that_the_rule_writes_for():
    network = random_network((4, 6, 3), seed=1, spread=1.5)
    images = np.random.default_rng(4).random((200, 4))
    times = network.first_spikes(images)
    fired = (~np.isnan(times)).sum(axis=1) >= 2
    images, times = images[fired], times[fired]
    first, second = np.argsort(times, axis=1)[:, :2].T
    leads = np.diff(np.sort(times, axis=1)[:, :2], axis=1)[:, 0]
    short = int(np.argmin(leads))
    found = find_error(network, LayeredRule(margin=leads[short] * 1.0001), images, first)
    assert (found.label, found.wrong, found.written) == (first[short], second[short], True)
    assert np.array_equal(found.image, images[short])
    found = find_error(network, LayeredRule(margin=0.0), images, first)  # no errors
    assert (found.label, found.wrong, found.written) == (first[0], second[0], False)
    # the wrong neuron fires before the right one
    labels = np.where(np.arange(len(first)) == 5, second, first)
    found = find_error(network, LayeredRule(margin=0.0), images, labels)
    assert np.array_equal(found.image, images[5]) and (found.label, found.wrong) == (
        second[5],
        first[5],
    )


def test_both_engines_read_the_same_back(ngspice):
    network = random_network((4, 6, 5, 3), seed=1, spread=1.5)
    simulated, computed, settled = back_read(network, ErrorExample(IMAGE, 2, 0))
    assert simulated == pytest.approx(computed, abs=5e-3) and np.abs(computed).max() > 0.5
    fires = ~np.isnan(network.forward(IMAGE[None])[1][0])
    assert len(settled) == 5 and (settled[fires] > 1).all()
