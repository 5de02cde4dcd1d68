"""Readers and writers of layers in ngspice that are used again and again: nothing is left of what came before."""

import numpy as np
import pytest

from memristive.multilayer.layer_ngspice import ColumnWriter, LayeredReader
from tests.learning.test_layers import random_network
from tests.learning.test_layers_in_ngspice import on_a_chip


@pytest.mark.parametrize("chip", [False, True])
def test_a_reader_that_has_forgotten_reads_as_a_new_one(ngspice, chip):
    """What it had read would move spikes by 1.4 ns; on a chip, cells move in again with their gains, to the last bits."""
    rng, network = np.random.default_rng(7), random_network((9, 12, 8, 4), seed=5, spread=1.0)
    images, network = rng.random((5, 9)) * (rng.random((5, 9)) < 0.7), on_a_chip(network) if chip else network
    used, new = LayeredReader(ngspice, network), LayeredReader(ngspice, network)
    for image in images[:3]:
        used.read(network, image)
    used.forget()
    (spikes, settled), (exact_spikes, exact_settled) = used.read(network, images[1]), new.read(network, images[1])
    for layer in range(3):
        assert spikes[layer] == pytest.approx(exact_spikes[layer], abs=1e-15, rel=0, nan_ok=True)
        assert settled[layer] == pytest.approx(exact_settled[layer], abs=1e-11, rel=0)


def test_rows_that_are_not_high_are_not_written(ngspice):
    """Those of hidden neurons that are silent: an edge where phi closes would give them a four-hundredth of the dose."""
    network, column, pulse = random_network((4, 2)), np.full(5, 5.0), 60e-6
    high = np.array([0.0, 0.5, 0.0, 1.0, 0.0])
    written = ColumnWriter(ngspice, network, 5).write(column, np.ones(5), high, pulse)
    leak = 5.0 * pulse / 3.55  # R_leak (C + C_gate) is 3.55 s
    assert written[high == 0] == pytest.approx(5.0 - leak, abs=5e-5)
    assert written[3] - 5.0 + leak == pytest.approx(0.0845, abs=3e-4)  # K V t / (C + C_gate)
