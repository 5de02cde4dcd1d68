"""Engines by name: they agree, shift thresholds, multiply doses, and leave stuck cells where they are."""

import dataclasses

import numpy as np
import pytest

from memristive.network.chip import Chip
from memristive.network.closed_form import Crossbar
from memristive.network.design import ENGINES, Setup
from memristive.network.engines import make_engine
from memristive.network.layer import ColumnDose
from memristive.network.networks import Network, network_on_chip
from memristor import state_rate

STATES, IMAGE = np.array([[15.0, 15.0, 15.0], [14.0, 15.0, 16.0]]), np.ones(3)
NETWORK = Network.of(Setup(), STATES)
DOSE = 20e-6 * float(state_rate(Setup().memristor, 1.0))  # V, of a write of 20 us

pytestmark = pytest.mark.usefixtures("ngspice")


def written(name, network, dose=DOSE, factors=1.0):
    """The states of column 1 after a write."""
    return make_engine(name, network).write(network, 0, [ColumnDose(1, dose, IMAGE, factors)], np.random.default_rng(0))[1]


@pytest.mark.parametrize("name", ENGINES)
def test_jitter_shifts_the_thresholds(name):
    """A threshold that is off by j is crossed at -tau ln(1 - (4 V + j) / V), by a membrane that settles at V."""
    tau, edge = 150e-6, 5e-6  # s; the input's edge counts as a step at its middle
    quiet = Crossbar.of(Setup()).read(STATES, IMAGE).spikes
    settled = 4 / -np.expm1(-(quiet - edge) / tau)
    engine = make_engine(name, NETWORK)
    for jitter in np.array([[0.2, -0.1], [-0.3, 0.3]]):
        expected = edge - tau * np.log(1 - (4 + jitter) / settled)
        assert engine.read(NETWORK, IMAGE, jitter=jitter)[0][0] == pytest.approx(expected, abs=1e-6)
        assert np.abs(expected - quiet).max() > 5e-6


@pytest.mark.parametrize("name", ENGINES)
def test_each_cells_dose_is_multiplied_by_its_factor(name):
    network, factors = network_on_chip(NETWORK, Chip(write_noise=0.3)), np.array([0.5, 1.0, 1.7])
    noisy, quiet = (written(name, network, factors=factor) - STATES[1] for factor in (factors, 1.0))
    assert noisy / quiet == pytest.approx(factors, abs=0.01)
    assert quiet == pytest.approx(np.full(3, 0.028), abs=1e-3)


@pytest.mark.parametrize("name", ENGINES)
def test_stuck_cells_keep_their_state_in_a_write(name):
    assert written(name, network_on_chip(NETWORK, Chip(stuck_on=1.0))).tolist() == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("name", ENGINES)
def test_states_of_whole_numbers_are_written_as_floats(name):
    networks = [network_on_chip(dataclasses.replace(NETWORK, states=(np.full((2, 3), start),)), Chip(cell_write_gain=0.1))
                for start in (5, 5.0)]
    found, expected = (written(name, network) for network in networks)
    assert np.array_equal(found, expected) and (found % 1 > 0.02).any()
