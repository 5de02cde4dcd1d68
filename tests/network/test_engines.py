"""Engines by name: on one chip both meet the noise of each presentation, and stuck cells."""


import numpy as np
import pytest

from memristive.network.chip import Chip
from memristive.network.closed_form import Crossbar
from memristive.network.engines import make_engine
from memristive.network.setup import ENGINES, Setup
from memristor import state_rate

STATES, IMAGE = np.array([[15.0, 15.0, 15.0], [14.0, 15.0, 16.0]]), np.ones(3)

pytestmark = pytest.mark.usefixtures("ngspice")


def test_engines_agree_in_reads_writes_and_rate():
    one, other = (make_engine(name, Setup(), Chip(2, 3)) for name in ENGINES)
    assert one.rate == other.rate == pytest.approx(float(state_rate(Setup().memristor, 1.0)))
    assert one.spikes(STATES, IMAGE, 2) == pytest.approx(other.spikes(STATES, IMAGE, 2), abs=0.3e-6)
    for sign in (1, -1):
        first, second = (engine.write(STATES, 1, IMAGE, sign, 20e-6) for engine in (one, other))
        assert first == pytest.approx(second, abs=1e-3) and np.abs(first - STATES[1]).min() > 0.02


@pytest.mark.parametrize("name", ENGINES)
def test_reads_have_the_noise_of_their_presentation(name):
    """A threshold that is off by j is crossed at -tau ln(1 - (4 V + j) / V), by a membrane that settles at V."""
    chip = Chip(2, 3, seed=4, read_noise=0.2)
    tau, edge = 150e-6, 5e-6  # s; the input's edge counts as a step at its middle
    quiet = Crossbar.of(Setup()).read(STATES, IMAGE).spikes
    settled = 4 / -np.expm1(-(quiet - edge) / tau)
    engine = make_engine(name, Setup(), chip, 7)
    for presentation in (7, 8):
        expected = edge - tau * np.log(1 - (4 + chip.threshold_noise("learning", presentation)) / settled)
        assert engine.spikes(STATES, IMAGE, 2) == pytest.approx(expected, abs=1e-6)
        assert np.abs(expected - quiet).max() > 5e-6


@pytest.mark.parametrize("name", ENGINES)
def test_writes_have_the_noise_of_their_presentation_and_column(name):
    """Each cell's dose, 28 mV, is multiplied by its factor."""
    noisy, quiet = Chip(2, 3, seed=4, write_noise=0.3), Chip(2, 3, seed=4)
    moved = []
    for chip in (noisy, quiet):
        engine = make_engine(name, Setup(), chip, 7)
        engine.spikes(STATES, IMAGE, 2)
        moved.append(engine.write(STATES, 1, IMAGE, 1, 20e-6) - STATES[1])
    factors = noisy.write_factors(7, 1)
    assert moved[0] / moved[1] == pytest.approx(factors, abs=0.01) and np.ptp(factors) > 0.05
    assert moved[1] == pytest.approx(np.full(3, 0.028), abs=1e-3)


@pytest.mark.parametrize("name", ENGINES)
def test_stuck_cells_keep_their_state_in_a_write(name):
    engine = make_engine(name, Setup(), Chip(2, 3, stuck_on=1.0))
    assert engine.write(STATES, 1, IMAGE, 1, 20e-6).tolist() == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("name", ENGINES)
def test_states_of_whole_numbers_are_written_as_floats(name):
    engine = make_engine(name, Setup(), Chip(2, 3, cell_write_gain=0.1))
    found, expected = (engine.write(np.full((2, 3), start), 1, IMAGE, 1, 1e-4) for start in (5, 5.0))
    assert np.array_equal(found, expected) and (found % 1 > 0.05).any()
