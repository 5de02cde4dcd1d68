"""Saved networks of one or more layers."""

import json

import numpy as np
import pytest

from datasets import matching_dataset
from memristive.io.voltages import FORMAT, VoltagesError, describe_network, load, load_network, load_voltages, save, save_voltages
from memristive.learning.build import initial_network
from memristive.learning.rule import ErrorDrivenRule, LayeredRule
from memristive.network.chip import Chip
from memristive.network.design import LayerDesign, Schedule, Setup
from memristive.network.engines import read
from memristive.network.networks import Network, network_on_chip
from snn_circuit import NetworkParameters, NeuronParameters
from tests.helpers import ROOT
from tests.network.networks import measured_network


def test_a_network_is_loaded_with_what_it_was_trained_with(tmp_path):
    rule, design = LayeredRule(margin=7e-6, seed=5), LayerDesign(window=200e-6, row_voltage=0.8)
    parameters, dataset = NetworkParameters(neuron=NeuronParameters(threshold=3.5)), matching_dataset("digits", seed=5)
    network = initial_network((3,), 10, dataset.training.levels, rule, design, parameters)
    save_voltages(tmp_path / "v.json", network.states, **describe_network(dataset.name, dataset.shape, network, rule))
    loaded, loaded_rule, voltages = load_network(tmp_path / "v.json", "digits")
    assert all(map(np.array_equal, loaded.states, network.states)) and voltages.engine == "closed-form"
    assert (loaded.design, loaded.parameters, loaded_rule) == (design, parameters, rule)
    assert voltages.origin["shape"] == [8, 8]
    with pytest.raises(VoltagesError, match="xor"):
        load_network(tmp_path / "v.json", "xor")


def test_a_network_of_measured_devices_is_loaded_with_curves_and_pulses(tmp_path):
    network = measured_network("linear", (), 1)
    save_voltages(tmp_path / "v.json", network.states, **describe_network("own", (2, 3), network, LayeredRule()))
    loaded = load_network(tmp_path / "v.json")[0]
    assert (loaded.design, loaded.parameters, loaded.pulses) == (network.design, network.parameters, network.pulses)


def test_a_parameter_that_is_gone_matters_only_if_it_was_used(tmp_path):
    path = tmp_path / "v.json"
    for leak in (0.0, 1e-6):
        memristor = {"transconductance": 7e-9, "leak_per_volt": leak}
        save_voltages(path, np.ones((1, 1)), network={"memristor": memristor})
        if leak:
            with pytest.raises(VoltagesError, match="leak_per_volt"):
                load_voltages(path).setup(Setup())
        else:
            assert load_voltages(path).setup(Setup()).memristor.transconductance == 7e-9


NETWORKS = [path for path in sorted((ROOT / "voltages").glob("*.json")) if FORMAT in path.read_text(encoding="utf-8")[:200]]


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_every_network_of_the_repository_is_loaded_and_read(path):
    network = load(path)
    images = np.random.default_rng(1).random((3, network.sizes[0]))
    assert read(network, images).shape == (3, network.sizes[-1])
    assert (network.chip is not None) == bool(json.loads(path.read_text()).get("chip"))


def test_the_papers_layer_comes_back_with_its_rule_and_its_chip(tmp_path):
    rule, chip = ErrorDrivenRule(presentations=7), Chip(seed=3, cell_gain=0.1, stuck_on=0.2)
    network = network_on_chip(Network.of(Setup(), np.random.default_rng(2).uniform(3, 5, (2, 4))), chip)
    save(tmp_path / "v.json", network, rule, shape=(2, 2))
    found, loaded_rule, voltages = load_network(tmp_path / "v.json")
    assert loaded_rule == rule and voltages.shape == (2, 2) and found.chip is None
    loaded = load(tmp_path / "v.json")
    assert np.array_equal(loaded.states[0], network.states[0]) and loaded.chip == network.chip
    assert np.array_equal(loaded.devices[0].cells.gain, network.devices[0].cells.gain)
    assert load_voltages(tmp_path / "v.json").setup().schedule == Schedule()
