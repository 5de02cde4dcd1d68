"""A kind of layer that the library does not have: a subclass of `Kind` is all that it takes."""

import dataclasses

import numpy as np
import pytest

from memristive.engines.read_netlist import netlist
from memristive.learning.build import initial_network
from memristive.learning.training import learn
from memristive.network.design import ENGINES, LayerDesign
from memristive.network.kinds import Kind
from tests.network.networks import FEW_RULE as RULE

ORDER = np.random.default_rng(5).permutation(6)
IMAGES = np.random.default_rng(6).random((8, 6)).round(1)
LABELS = np.arange(8) % 2
DESIGN = LayerDesign(hidden_bias=1.2, output_bias=1.3, window=400e-6)


class Shuffled(Kind):
    """Layer whose rows are the pixels in the order `ORDER`: one patch, and one region."""

    patches = np.array([[0, *ORDER, len(ORDER)]])

    def windows(self, levels):
        return levels[..., self.patches[:, 1 : 1 + levels.shape[-1]]]

    def kept(self, times, settled):
        return times[..., 0, :], settled[..., 0, :], np.zeros(settled.shape[-1], np.int64)

    def circuit(self, dense, network, volts, *more):
        return super().circuit(dense, network, volts[ORDER], *more)


def test_a_kind_of_ones_own_reads_and_learns_as_a_dense_layer_of_shuffled_images(ngspice):
    shuffled = IMAGES[:, ORDER]
    dense = initial_network((3,), 2, shuffled, RULE, DESIGN)
    own = dataclasses.replace(dense, kinds=(Shuffled(),))
    start = initial_network((3,), 2, IMAGES, RULE, DESIGN, kinds=own.kinds)
    assert own.sizes == dense.sizes and start.states[0] == pytest.approx(own.states[0])
    for engine in ENGINES:
        found, expected = (
            learn(network, RULE, images, LABELS, engine=engine)
            for network, images in ((own, IMAGES), (dense, shuffled))
        )
        assert np.array_equal(found.history, expected.history) and found.history[:, 1].sum() >= 2
        for before, one, other in zip(
            own.states, found.network.states, expected.network.states, strict=True
        ):
            assert one == pytest.approx(other, abs=1e-6) and np.abs(one - before).max() > 0.01
    assert netlist(own, IMAGES[0]) == netlist(dense, shuffled[0])
