"""Reads of multilayer networks in several processes.

They are not the same to the last bit: the first run of a circuit determines the order in which
ngspice solves its equations.
"""

import numpy as np
import pytest

from memristive.cli.reading import ranges, read_images, read_range
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning, train
from memristive.network.chip import Chip
from memristive.network.networks import READ_BLOCK, network_on_chip

pytestmark = pytest.mark.usefixtures("ngspice")


@pytest.fixture(scope="module")
def network():
    """Six inputs, four hidden neurons, three classes: the strongest of three inputs."""
    images, rule = np.random.default_rng(1).random((200, 6)), LayeredRule(presentations=3000)
    learning = Learning.start(initial_network((4,), 3, images, rule), rule)
    list(train(learning, rule, images, images[:, :3].argmax(axis=1)))
    return learning.network


@pytest.fixture(scope="module")
def images():
    """Images for one full range of reads and three more. Half of the pixels are dark, so that rows
    change their inputs.
    """
    rng = np.random.default_rng(2)
    return rng.random((READ_BLOCK + 3, 6)) * rng.integers(0, 2, (READ_BLOCK + 3, 6))


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_a_range_is_read_the_same_without_those_before_it(network, images, spread):
    if spread:
        network = network_on_chip(network, Chip(cell_gain=spread, neuron_threshold=spread))
    rest = read_range(ranges(network, images)[1])
    assert np.allclose(
        read_images(network, images, jobs=1)[READ_BLOCK:],
        rest[-1],
        rtol=1e-10,
        atol=0,
        equal_nan=True,
    )
