"""Energies of an error: each write is of its own column, for as long as its rows are high, by its layer's dose."""

from types import SimpleNamespace

import numpy as np
import pytest

from memristive.multilayer.layer_network import start_delay
from memristive.multilayer.layer_rule import LayeredRule
from memristor import state_rate
from studies import error_example as layered_example
from studies.error_example import Example, an_error, energies, print_energies
from studies.layer_experiments import LayeredData
from tests.learning.test_layer_energy import power
from tests.learning.test_layers import random_network

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


def test_the_example_is_the_first_image_that_the_rule_would_write_for(network):
    """Its right neuron has fired, too late or by too short a lead; where there is none, the first image and its runner-up."""
    images = np.random.default_rng(4).random((40, 4))
    times = network.first_spikes(images)
    images, times = (all_of[(~np.isnan(times)).sum(axis=1) >= 2][:3] for all_of in (images, times))
    assert len(images) == 3
    ranks, ordered = np.argsort(times, axis=1), np.sort(times, axis=1)  # the silent ones last
    leads = ordered[:, 1] - ordered[:, 0]
    order = np.argsort(-leads)  # the shortest lead comes last
    images, ranks, leads, silent = images[order], ranks[order], leads[order], np.isnan(ordered[order, 2])

    def example(labels, margin, images=images):
        data = LayeredData(images, np.array(labels), images, np.array(labels))
        found = an_error(network, LayeredRule(margin=margin), data)
        assert str(found) == (f"Back-read for a {found.label}, where the neuron of {found.wrong} " + (
            "was too early" if found.written else "comes next (no image is left to write for)"))
        return int(np.flatnonzero((images == found.image).all(axis=1))[0]), found.label, found.wrong, found.written
    first, second, last = ranks.T
    assert example(first, (leads[1] + leads[2]) / 2) == (2, first[2], second[2], True)
    assert example([first[0], second[1], first[2]], leads[2] / 2) == (1, second[1], first[1], True)
    assert example(first, leads[2] / 2) == (0, first[0], second[0], False)
    if silent[0]:  # a right neuron that stays silent has no column to write for so long
        assert example([last[0], first[1], second[2]], leads[2] / 2) == (2, second[2], first[2], True)


def test_energies_are_printed_under_their_own_names_in_microjoules(capsys):
    print_energies({"read_layer_0": 1e-6, "read_layer_1": 2e-6, "read_seconds": 3e-6, "write_right_output": 4e-6,
                    "write_wrong_output": 5e-6, "back_read": 6e-6, "write_hidden": 7e-6})
    read, hidden, uncounted = capsys.readouterr().out.splitlines()
    assert read == ("energy of a read of 3.0 us: 1 + 2 uJ, layer by layer; first writes: right output 4 uJ, wrong output 5 uJ")
    assert hidden == "a hidden column, read back at 1 V: 7 uJ; a back-read: 6 uJ"
    assert "not counted, nor are the channels' bulk junctions, which conduct hundreds of amperes at -1 V: those of" in uncounted


def test_the_right_column_is_strengthened_and_the_wrong_one_weakened(network, monkeypatch):
    """And read back with the right column above ground."""
    written, back = [], []
    monkeypatch.setattr(layered_example, "layers_read_energy", lambda *given: ([0.0] * len(network.states), 1e-4))
    monkeypatch.setattr(layered_example, "layer_write_energy", lambda session, network, layer, volts, high, pulse:
                        written.append((layer, float(np.sign(pulse)))) or 0.0)
    monkeypatch.setattr(layered_example, "back_read_energy", lambda session, network, layer, at: back.append(at.tolist()) or 0.0)
    energies(None, network, RULE, Example(IMAGE, 2, 0))
    last = len(network.states) - 1
    assert written[:2] == [(last, 1.0), (last, -1.0)]
    assert (written[2:], back) == (([(0, 1.0)], [[-1.0, 0.0, 1.0]]) if last else ([], []))


def test_who_is_written_goes_by_the_membranes_of_the_last_hidden_layer(monkeypatch):
    network, settled = random_network((4, 6, 5, 3), seed=1, spread=1.5), [np.zeros(6), np.ones(5)]
    monkeypatch.setattr(layered_example, "LayeredReader", lambda *_: SimpleNamespace(read=lambda *_, label: (None, settled)))
    monkeypatch.setattr(layered_example, "BackReader", lambda *_: SimpleNamespace(read=lambda *_: np.zeros(5)))
    assert layered_example.read_back(None, network, Example(np.ones(4), 2, 0))[2] is settled[1]
