"""The study of chips with measured devices and multilayer networks, small."""

import dataclasses

import numpy as np
import pytest

from memristive.datasets import matching_dataset
from memristive.devices.measured_device import load_device
from memristive.io.records import load_table
from memristive.learning.build import initial_network, learning_of
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.network.chip import Chip
from memristive.network.design import LayerDesign
from memristive.network.networks import network_on_chip
from memristive.scores.decisions import score_row
from snn_circuit import NeuronParameters
from studies import device_variability
from tests.helpers import outputs

RULE = LayeredRule(presentations=300)
SETTINGS = ["--jobs", "1", "--samples", "500", "--set", "rule.presentations=300"]


def accuracy(network):
    test = matching_dataset("mnist").test
    return score_row(test.labels[:500], network.first_spikes(test.levels[:500]))["strict_accuracy"]


def test_a_measured_device_learns_on_its_chip_or_is_carried_to_it(tmp_path):
    arguments = ["--short", *SETTINGS, *outputs(tmp_path)]
    device_variability.main(["--device", "epiram", *arguments])
    made, rule = learning_of(load_device("epiram"), 1, 1)
    data, rule = matching_dataset("mnist"), dataclasses.replace(rule, presentations=300)
    start = initial_network((), 10, data.training.levels, rule, **made)

    def learned(network):
        return learn(network, rule, data.training.levels, data.training.labels).network

    rows = (
        load_table(tmp_path / "imperfect_device_epiram_short.json")
        .set_index(["deviation", "spread", "route"])
        .accuracies
    )
    chip = Chip(cell_gain=0.1, cell_write_gain=0.1, seed=2)
    assert rows["cells", 0.1, "in situ"][1] == accuracy(learned(network_on_chip(start, chip)))
    assert rows["cells", 0.1, "ex situ"][1] == accuracy(network_on_chip(learned(start), chip))


def task(network):
    return device_variability.ChipRun(
        {"encoding": "grey"}, "ex situ", [Chip()], RULE, 500, network=network
    )


def test_carried_weights_do_not_replace_stuck_cells():
    network = initial_network((8,), 10, matching_dataset("mnist").training.levels, RULE)
    # every weight is -X_ref
    assert np.isnan(task(network).first_spikes(Chip(stuck_off=1.0), network.states)).all()


def test_the_race_explains_what_a_spread_moves():
    """The lead moves as the law of the membrane, V = D (1 - exp(-t / tau)), says for the thresholds
    of the same chips.
    """
    levels, tau = matching_dataset("mnist").training.levels, NeuronParameters().time_constant
    for design in (LayerDesign(), LayerDesign(pairs=1)):
        drawn = initial_network((), 10, levels, dataclasses.replace(RULE, start_drive=3.0), design)
        spikes = drawn.first_spikes(matching_dataset("mnist").test.levels[:500])
        order = np.argsort(spikes, axis=1)[:, :2]
        first, second = np.take_along_axis(spikes, order, 1).T
        moved = []
        for seed in range(1, 6):
            (devices,) = network_on_chip(drawn, Chip(seed=seed, neuron_threshold=0.01)).devices
            share = (
                devices.neurons.threshold
                / NeuronParameters().threshold
                * (1 - np.exp(-spikes / tau))
            )
            one, other = np.take_along_axis(-tau * np.log(1 - share), order, 1).T
            moved.append(np.abs(other - one - (second - first)) / first)
        found = device_variability.race_of(task(drawn), drawn.states, 5)
        assert found["lead"] == pytest.approx(np.median((second - first) / first))
        assert found["moved_by_neurons"] == pytest.approx(np.nanmedian(moved), rel=0.03)

        # Weights of +-0.4 V, cells of about 5 V.
        even = np.where(np.arange(10) % 2, 0.2, -0.2)[:, None] * np.ones(101)
        states = 5 + np.concatenate([even, -even]) if design.pairs else 5 + 2 * even
        assert device_variability.weight_share(task(drawn), (states,)) == pytest.approx(
            0.4 / 5, rel=0.01
        )
