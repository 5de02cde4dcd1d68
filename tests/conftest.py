"""Fixtures of all tests: the one ngspice of the process, default parameters, MNIST.

Without ngspice the tests that need it fail; nothing is skipped.
"""

import dataclasses
import signal

import pytest
from hypothesis import settings

from memristive import datasets
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import NetworkParameters, NeuronParameters

# The same examples every time: a red test means a change in the code. Slow examples are slow
# machines, not bugs.
settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
settings.load_profile("reproducible")

TIGHT = Solver(max_step=1e-6, reltol=1e-6)

# A shell starts its background jobs with Ctrl-C ignored, and children inherit that: tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def ngspice():
    """The one ngspice session of the test run."""
    return NgspiceSession()


@pytest.fixture(scope="session")
def simulate(ngspice):
    """Run a circuit once: simulate(circuit, save, stop, **solver settings) gives its waveforms."""

    def run(circuit, save, stop, **settings):
        loaded = ngspice.load(circuit, dataclasses.replace(TIGHT, **settings), save)
        try:
            return loaded.run(stop)
        finally:
            loaded.unload()

    return run


@pytest.fixture(scope="session")
def step():
    """Points of a source that goes to a voltage within 10 us and stays there."""
    return lambda volts: [(0.0, 0.0), (10e-6, volts)]


@pytest.fixture(scope="session")
def parameters():
    """The networks' default parameters."""
    return NetworkParameters()


@pytest.fixture(scope="session")
def mnist():
    """MNIST's canonical arrays."""
    return datasets.load_mnist()


@pytest.fixture(scope="session")
def templates():
    """The paper's MNIST dataset: binary 10x10 images, and ten templates as patterns."""
    return datasets.mnist()


@pytest.fixture(scope="session")
def mnist_setup(templates):
    """Device, neuron and pulses of the paper's MNIST network, at its threshold."""
    return templates.setup.replace(neuron=NeuronParameters(threshold=4.0))


@pytest.fixture(scope="session")
def digit_images(mnist):
    """The first 40 MNIST test images by encoding, each 40 x 100."""
    return {
        encoding: datasets.encode(mnist["x_test"][:40], 10, encoding)
        for encoding in ("binary", "grey")
    }
