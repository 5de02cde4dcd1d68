"""Reading layers on several processes: the reads of one, in the order of the images.

They are not the same to the last bit: the first run of a circuit chooses the order in which ngspice solves its equations.
"""

import itertools
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from memristive.cli import layer_reads
from memristive.cli.layer_reads import RANGE, read_layers
from memristive.multilayer.layer_network import LayeredLearning, begin, train
from memristive.multilayer.layer_rule import LayeredRule
from memristive.spice.errors import SimulationError
from memristive.variability.chip import Chip
from studies.layer_experiments import on_chip


@pytest.fixture(scope="module")
def network():
    """Six inputs, four hidden neurons, and three classes: which of three inputs is strongest."""
    images, rule = np.random.default_rng(1).random((200, 6)), LayeredRule(presentations=3000)
    learning = LayeredLearning.begin(begin((4,), 3, images, rule), rule)
    next(train(learning, rule, images, images[:, :3].argmax(axis=1), block=rule.presentations))
    return learning.network


@pytest.fixture(scope="module")
def images():
    """Two full ranges and a rest, of which half the pixels are dark: their rows are lent to others."""
    rng = np.random.default_rng(2)
    return rng.random((2 * RANGE + 3, 6)) * rng.integers(0, 2, (2 * RANGE + 3, 6))


def test_two_processes_read_what_one_reads_in_the_same_order(network, images):
    one, two = list(read_layers(network, images, 1)), list(read_layers(network, images, 2))
    assert len(one) == len(two) == len(images)
    for alone, shared, exact in zip(one, two, network.forward(images)[-1], strict=True):
        for layer, same in zip(alone.layers, shared.layers, strict=True):
            assert np.allclose(layer, same, rtol=1e-10, atol=0, equal_nan=True)
        seen = ~np.isnan(shared.layers[-1])
        assert seen.sum() >= min(2, np.sum(~np.isnan(exact)))
        assert np.allclose(shared.layers[-1][seen], exact[seen], rtol=0, atol=0.5e-6)
    assert [read.number for read in one] == list(range(1, len(images) + 1))
    assert max(read.number for read in two) < len(images)  # none read all
    assert all(read.cpu_seconds > 0 for read in two)


@pytest.mark.skipif(not layer_reads.STATM.exists(), reason="Linux counts a process's pages")
def test_a_process_is_as_large_as_the_system_says(network, images):
    read = list(read_layers(network, images[:2]))[-1]
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[1])
    assert read.megabytes == pytest.approx(resident * 1024 / 1e6, rel=0.2)


def test_each_read_takes_its_own_time_alone(network, images, monkeypatch):
    """The clock is played: it goes on by a second whenever somebody looks."""
    monkeypatch.setattr(layer_reads, "time", SimpleNamespace(process_time=itertools.count().__next__))
    assert [read.cpu_seconds for read in read_layers(network, images[:3])] == [1, 1, 1]


@pytest.mark.filterwarnings("error")  # joblib's advice to somebody who asked for work and does not want it
@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_a_range_is_read_the_same_without_those_before_it(network, images, spread):
    """On a chip a row has its tenant's gains as well."""
    if spread:
        network = on_chip(network, Chip(cell_gain=spread, neuron_threshold=spread))
    whole, rest = list(read_layers(network, images)), list(read_layers(network, images[RANGE:]))
    for before, alone in zip(whole[RANGE:], rest, strict=True):
        for layer, same in zip(before.layers, alone.layers, strict=True):
            assert np.allclose(layer, same, rtol=1e-10, atol=0, equal_nan=True)


def test_another_network_gets_circuits_of_its_own(network, images):
    """The first run's circuits would give the first network's spikes, or have no room for the second's hidden neurons."""
    other = begin((5,), 3, images, LayeredRule(seed=2))
    assert len(next(read_layers(network, images, 2)).layers[0]) == 4
    found = next(read_layers(other, images, 2)).layers
    assert np.allclose(found[0], other.forward(images[:1])[0][0], rtol=0, atol=0.5e-6, equal_nan=True)


def test_a_worker_that_dies_is_one_message(network, images, monkeypatch):
    monkeypatch.setattr(layer_reads, "_read_range", _dies)
    with pytest.raises(SimulationError, match="a worker process died"):
        list(read_layers(network, images, 2))


def _dies(work):
    os._exit(1)
