"""Datasets of the studies of multilayer networks, saved networks."""

import numpy as np
import pytest

from datasets import DatasetError, digits, mnist
from memristive.io.voltages import VoltagesError, save_voltages
from memristive.multilayer.layer_netlist import LayerDesign
from memristive.multilayer.layer_network import initial_network
from memristive.multilayer.layer_rule import LayeredRule
from snn_circuit import NetworkParameters, NeuronParameters
from studies.layer_experiments import (
    describe_network,
    file_stem,
    layered_dataset,
    load_network,
    moved_by_a_pixel,
    score_row,
)


def test_shifted_digits_have_copies_half_a_pixel_away():
    plain, shifted = layered_dataset("digits", seed=3), layered_dataset("digits_shifted", seed=3)
    assert np.array_equal(shifted.test.levels, plain.test.levels)
    assert np.array_equal(shifted.training.labels, np.tile(plain.training.labels, 5))
    images, down, up, right, left = shifted.training.levels.reshape(5, -1, 8, 8)
    assert np.array_equal(images.reshape(-1, 64), plain.training.levels)
    assert down[:, 1:] == pytest.approx((images[:, 1:] + images[:, :-1]) / 2)
    assert up[:, :-1] == pytest.approx((images[:, :-1] + images[:, 1:]) / 2)
    assert right[:, :, 1:] == pytest.approx((images[:, :, 1:] + images[:, :, :-1]) / 2)
    assert left[:, :, :-1] == pytest.approx((images[:, :, :-1] + images[:, :, 1:]) / 2)


def test_copies_of_mnist_are_a_pixel_away():
    images = np.random.default_rng(1).random((4, 6, 6))
    same, down, up, right, left = moved_by_a_pixel(images).reshape(5, 4, 6, 6)
    assert np.array_equal(same, images)
    for moved, before in ((down[:, 1:], images[:, :-1]), (up[:, :-1], images[:, 1:]), (right[:, :, 1:], images[:, :, :-1]),
                          (left[:, :, :-1], images[:, :, 1:])):
        assert np.array_equal(moved, before)
    assert not np.any(down[:, 0]) and not np.any(up[:, -1]) and not np.any(right[:, :, 0]) and not np.any(left[:, :, -1])


def test_datasets_come_in_grey_in_their_size_and_split():
    assert np.array_equal(layered_dataset("mnist", 7).patterns, mnist(7, "grey").patterns)
    assert file_stem(layered_dataset("mnist", 7)) == "layers_mnist_7x7" and file_stem(layered_dataset("mnist")) == "layers_mnist"
    assert np.array_equal(layered_dataset("digits").test.levels, digits().test.levels)
    assert not np.array_equal(layered_dataset("digits", seed=2).test.labels, digits().test.labels)
    assert file_stem(layered_dataset("digits", 8)) == "layers_digits"
    for wrong in (lambda: layered_dataset("digits", 10), lambda: layered_dataset("xpue").test):
        with pytest.raises(DatasetError):
            wrong()


def test_a_network_is_loaded_with_what_it_was_trained_with(tmp_path):
    rule, design = LayeredRule(margin=7e-6, seed=5), LayerDesign(window=200e-6, row_voltage=0.8)
    parameters, dataset = NetworkParameters(neuron=NeuronParameters(threshold=3.5)), layered_dataset("digits", seed=5)
    network = initial_network((3,), 10, dataset.training.levels, rule, design, parameters)
    save_voltages(tmp_path / "v.json", network.states, **describe_network(dataset, network, rule))
    loaded, loaded_rule, loaded_dataset, voltages = load_network(tmp_path / "v.json", "digits")
    assert all(map(np.array_equal, loaded.states, network.states)) and voltages.engine == "closed-form"
    assert (loaded.design, loaded.parameters, loaded_rule) == (design, parameters, rule)
    assert np.array_equal(loaded_dataset.test.labels, dataset.test.labels)
    with pytest.raises(VoltagesError, match="xor"):
        load_network(tmp_path / "v.json", "xor")


def test_scores_count_right_silent_and_tied_images():
    spikes = np.full((7, 3), 90e-6)
    spikes[[0, 1, 2, 3], [0, 1, 2, 0]] = 50e-6  # the last of them wrong
    spikes[4] = np.nan
    found = score_row(np.array([0, 1, 2, 1, 0, 1, 2]), spikes)
    middle, half = (3 / 7 + 1.96**2 / 14) / (1 + 1.96**2 / 7), 1.96 * np.sqrt(12 / 49 / 7 + 1.96**2 / 196) / (1 + 1.96**2 / 7)
    assert found == {"samples": 7, "strict_accuracy": 3 / 7, "silent": 1, "tied": 2, "interval_95_low": pytest.approx(
        middle - half, abs=1e-4), "interval_95_high": pytest.approx(middle + half, abs=1e-4)}
