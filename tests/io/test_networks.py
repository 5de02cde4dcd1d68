"""Saved networks of several layers."""

import numpy as np
import pytest

from datasets import matching_dataset
from memristive.io.networks import describe_network, load_network
from memristive.io.voltages import VoltagesError, save_voltages
from memristive.learning.layered_training import initial_network
from memristive.learning.rule import LayeredRule
from memristive.network.netlists import LayerDesign
from snn_circuit import NetworkParameters, NeuronParameters


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
