"""Saved networks of several layers."""

import numpy as np
import pytest

from datasets import matching_dataset
from memristive.devices.measured_device import DEVICES, emulator
from memristive.io.networks import describe_network, load_network
from memristive.io.voltages import VoltagesError, load_voltages, save_voltages
from memristive.learning.rule import LayeredRule
from memristive.learning.start import initial_network
from memristive.network.measured_layers import measured_design, measured_parameters, measured_pulses
from memristive.network.netlists import LayerDesign
from memristive.network.setup import Setup
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


def test_a_network_of_measured_devices_is_loaded_with_curves_and_pulses(tmp_path):
    emulated, rule = emulator(DEVICES["linear"]), LayeredRule()
    network = initial_network((), 2, np.ones((1, 3)), rule, measured_design(emulated, 1, 1.0), measured_parameters(emulated),
                              measured_pulses(emulated))
    save_voltages(tmp_path / "v.json", network.states, **describe_network("own", (1, 3), network, rule))
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
