"""What the studies of layers learn from."""

import dataclasses
import re

import numpy as np
import pytest

from datasets import load_mnist
from learning.chips import PRESETS
from workflow import layered
from workflow.layered import TASKS, LayeredPlan, first_read


def test_shifted_digits_are_the_same_split_with_copies_half_a_pixel_away():
    plain, shifted = TASKS["digits"].data(8, 3), TASKS["digits_shifted"].data(8, 3)
    count = len(plain.labels)
    assert np.array_equal(shifted.test_images, plain.test_images) and np.array_equal(shifted.images[:count], plain.images)
    assert np.array_equal(shifted.labels, np.tile(plain.labels, 5))
    copies = shifted.images.reshape(5, count, 8, 8)
    assert copies[1][:, 1:] == pytest.approx((copies[0][:, 1:] + copies[0][:, :-1]) / 2)  # down
    assert copies[4][:, :, :-1] == pytest.approx((copies[0][:, :, :-1] + copies[0][:, :, 1:]) / 2)  # left
    assert copies.min() >= 0 and copies.max() <= 1


def test_shifted_mnist_is_mnist_with_copies_a_pixel_away_and_the_same_test_images(monkeypatch):
    few = load_mnist("x_train", "y_train", "x_test", "y_test", first=20)
    few["x_train"] = np.maximum(few["x_train"], np.eye(28, dtype=np.uint8))  # something at the edges, too
    monkeypatch.setattr(layered, "load_mnist", lambda: few)
    plain, shifted = TASKS["mnist"].data(28, 1), TASKS["mnist_shifted"].data(28, 1)
    assert np.array_equal(shifted.test_images, plain.test_images) and len(plain.labels) == 20
    assert np.array_equal(shifted.labels, np.tile(plain.labels, 5))
    copies = shifted.images.reshape(5, 20, 28, 28)
    for copy, (down, right) in enumerate(((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))):
        moved = np.roll(plain.images.reshape(20, 28, 28), (down, right), axis=(1, 2))
        moved[:, {1: slice(0, 1), -1: slice(-1, None), 0: slice(0)}[down]] = 0  # dark where nothing was
        moved[:, :, {1: slice(0, 1), -1: slice(-1, None), 0: slice(0)}[right]] = 0
        assert copies[copy] == pytest.approx(moved)


def test_netlist_of_layers_on_a_chip_shows_each_device_with_its_own_values():
    task = TASKS["xor"]
    plan = LayeredPlan(task, task.rule, (3,), chip=dataclasses.replace(PRESETS["ten-percent"], seed=4))
    data = plan.data()
    network = plan.begin(data)
    memristor, neuron = network.parameters.memristor, network.parameters.neuron
    text = first_read(network, data.images[1])

    def shown(name):
        line = re.search(rf"(?im)^{name} (.*)$", text)[1]
        return {key.lower(): float(value) for key, value in re.findall(r"(\w+)=(\S+)", line)}
    for layer, chip in enumerate(network.chip):
        for (j, k), gain in np.ndenumerate(chip.channel):
            cell = shown(f"xcell_{layer}_{j}_{k}")
            assert cell["w"] / cell["l"] * memristor.length / memristor.width == pytest.approx(gain, rel=1e-6)
        for j, threshold in enumerate(chip.threshold):
            assert shown(f"xneuron_{layer}_{j}") == pytest.approx({"threshold": neuron.threshold * threshold})
