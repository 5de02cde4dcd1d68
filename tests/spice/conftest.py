"""What the tests of ngspice's room share."""

import contextlib

import pytest

from spice.session import SimulationError, Solver


@pytest.fixture
def loaded(ngspice):
    """loaded(text, save) gives a circuit of a few steps of 50 ns, unloaded at the end."""
    circuits = []

    def load(text, *save, solver=None):
        circuits.append(ngspice.load(text, solver or Solver(max_step=5e-8), save))
        return circuits[-1]
    yield load
    for circuit in circuits:
        with contextlib.suppress(SimulationError):  # one that could not be loaded again
            circuit.unload()
