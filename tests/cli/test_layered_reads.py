"""Reads of multilayer networks in several processes.

They are not the same to the last bit: the first run of a circuit determines the order in which ngspice solves its equations.
"""


import numpy as np
import pytest

from memristive.cli.layered_reads import RANGE, read_layers, read_ranges
from memristive.learning.layered_training import LayeredLearning, initial_network, train_layers
from memristive.learning.rule import LayeredRule
from memristive.network.chip import Chip
from memristive.network.layers import network_on_chip

pytestmark = pytest.mark.usefixtures("ngspice")


@pytest.fixture(scope="module")
def network():
    """Six inputs, four hidden neurons, three classes: the strongest of three inputs."""
    images, rule = np.random.default_rng(1).random((200, 6)), LayeredRule(presentations=3000)
    learning = LayeredLearning.start(initial_network((4,), 3, images, rule), rule)
    list(train_layers(learning, rule, images, images[:, :3].argmax(axis=1)))
    return learning.network


@pytest.fixture(scope="module")
def images():
    """A range and a rest; half of the pixels are dark, so that rows change their inputs."""
    rng = np.random.default_rng(2)
    return rng.random((RANGE + 3, 6)) * rng.integers(0, 2, (RANGE + 3, 6))


def same(one, other):
    return all(np.allclose(a, b, rtol=1e-10, atol=0, equal_nan=True) for a, b in zip(one.layers, other.layers, strict=True))


def test_two_processes_read_what_one_reads_in_the_same_order(network, images):
    one, two = read_layers(network, images, 1), read_layers(network, images, 2)
    assert len(one) == len(two) == len(images) and all(map(same, one, two))
    for read, exact in zip(two, network.forward(images)[-1], strict=True):
        seen = ~np.isnan(read.layers[-1])
        assert seen.sum() >= min(2, np.sum(~np.isnan(exact)))
        assert np.allclose(read.layers[-1][seen], exact[seen], rtol=0, atol=0.5e-6)
    assert [read.number for read in one] == list(range(1, len(images) + 1))
    assert all(read.cpu_seconds > 0 for read in two)


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_a_range_is_read_the_same_without_those_before_it(network, images, spread):
    if spread:
        network = network_on_chip(network, Chip(cell_gain=spread, neuron_threshold=spread))
    (start, rest), = read_ranges(network, images, [RANGE], 1)
    assert start == RANGE and all(map(same, read_layers(network, images, 1)[RANGE:], rest))
