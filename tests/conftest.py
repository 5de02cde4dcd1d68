"""What the tests share: one ngspice (there is one per process), the default parameters, MNIST.

Without ngspice the tests that need it fail: `ngspice` raises, nothing is skipped.
"""

import dataclasses
import signal

import numpy as np
import pytest
from hypothesis import Phase, settings

from datasets import encode, load_mnist, mnist_templates
from memristive.single_layer.pulses import Schedule
from memristive.single_layer.spike_decoding import first_spikes
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import OFF, NetworkParameters, names, network, state_changes

# The same examples every time: a red test means a change in the code. Slow examples are slow machines, not bugs.
settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
settings.load_profile("reproducible")
# For `make mutants`: a mutant that fails is killed, how simply it could have failed does not matter.
settings.register_profile("mutants", derandomize=True, deadline=None, database=None, max_examples=30,
                          phases=[Phase.explicit, Phase.generate])

TIGHT = Solver(max_step=1e-6, reltol=1e-6)


# A shell starts what runs in its background with Ctrl-C ignored, nohup with SIGHUP, and children inherit that: tests send both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items):
    """Mark the tests that simulate: `-m "not ngspice"` is what a search for surviving mutants can afford."""
    for item in items:
        if "ngspice" in item.fixturenames:
            item.add_marker("ngspice")


@pytest.fixture(scope="session")
def ngspice():
    """The one ngspice session of the test run."""
    return NgspiceSession()


@pytest.fixture(scope="session")
def simulate(ngspice):
    """Run a circuit once and forget it: simulate(circuit, save, stop, **solver settings) gives its waveforms."""
    def run(circuit, save, stop, **settings):
        loaded = ngspice.load(circuit, dataclasses.replace(TIGHT, **settings), save)
        try:
            return loaded.run(stop)
        finally:
            ngspice.unload(loaded)
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
    """The canonical MNIST arrays."""
    return load_mnist()


@pytest.fixture(scope="session")
def mnist_schedule():
    """The paper's pulses for MNIST."""
    return Schedule(pulse=2e-3, period=6e-3, sampling_step=11e-6)


@pytest.fixture(scope="session")
def templates():
    """The paper's ten binary 10x10 MNIST templates, a `Dataset`."""
    return mnist_templates()


@pytest.fixture(scope="session")
def digit_images(mnist):
    """The first 40 MNIST test images by encoding, each 40 x 100."""
    return {encoding: encode(mnist["x_test"][:40], 10, encoding) for encoding in ("binary", "grey")}


@pytest.fixture(scope="session")
def whole_network(ngspice, parameters):
    """All 1,000 full cells of the MNIST network, every phi at 0, read tightly: the reference for quicker ways to read.

    whole_network(states, volts, stop) gives (first spike times in s, waveforms) for inputs at `volts` from 10 us on.
    """
    classes, inputs = 10, 100
    membranes, outputs = names("membrane", classes), names("output", classes)
    cells = [(j, i) for j in range(classes) for i in range(inputs)]
    circuit = network(parameters, np.zeros((classes, inputs)), None, [OFF] * classes)
    loaded = ngspice.load(circuit, TIGHT, membranes + outputs)

    def read(states, volts, stop):
        gains = {f"einput_{i} gain": volt for i, volt in enumerate(volts)}
        loaded.alter(gains | {"vpulse pwl": [0.0, 0.0, 10e-6, 1.0]} | state_changes(cells, states.ravel()))
        waves = loaded.run(stop)
        spikes = first_spikes(waves.time, waves.stack(membranes), waves.stack(outputs), parameters.neuron, 0.0, stop)
        return spikes, waves
    return read
