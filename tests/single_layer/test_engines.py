"""Both engines and those of a chip, as what learns gets them: by name, at any presentation, with solvers of its own."""

import dataclasses

import numpy as np
import pytest

from memristive.single_layer import engines
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.engines import CLOSED_FORM, NGSPICE, NgspiceEngine
from memristive.single_layer.pulses import READING, WRITING, Schedule
from memristive.variability.chip import Chip
from memristive.variability.chip_engines import chip_engine

STATES, IMAGE = np.array([[15.0, 15.0, 15.0], [14.0, 15.0, 16.0]]), np.ones(3)


@pytest.mark.parametrize("name", [CLOSED_FORM, NGSPICE])
def test_an_engine_begun_at_a_presentation_has_the_noise_of_it_and_of_those_that_follow(ngspice, parameters, name):
    """A threshold that is off by j is crossed at -tau ln(1 - (4 V + j) / V), of a membrane that settles at V."""
    chip = Chip(2, 3, seed=4, read_noise=0.2)
    tau, edge = 150e-6, 5e-6  # s; the input's edge counts as a step in its middle
    quiet = Crossbar.of(parameters, Schedule()).read(STATES, IMAGE).spikes
    settled = 4 / -np.expm1(-(quiet - edge) / tau)
    engine = chip_engine(name, ngspice, parameters, Schedule(), chip, 7)
    for presentation in (7, 8):
        jitter = chip.jitter("learning", presentation)
        expected = edge - tau * np.log(1 - (4 + jitter) / settled)
        assert engine.spikes(STATES, IMAGE, 2) == pytest.approx(expected, abs=1e-6)
        assert np.abs(expected - quiet).max() > 5e-6


@pytest.mark.parametrize("name", [CLOSED_FORM, NGSPICE])
def test_a_write_has_the_noise_of_its_presentation_and_column(ngspice, parameters, name):
    """The dose of each cell is that many times what it is without noise; 28 mV."""
    noisy, quiet = Chip(2, 3, seed=4, write_noise=0.3), Chip(2, 3, seed=4)
    moved = []
    for chip in (noisy, quiet):
        engine = chip_engine(name, ngspice, parameters, Schedule(), chip, 7)
        engine.spikes(STATES, IMAGE, 2)
        moved.append(engine.write(STATES, 1, IMAGE, 1, 20e-6) - STATES[1])
    factors = noisy.write_factors(7, 1)
    assert moved[0] / moved[1] == pytest.approx(factors, abs=0.01) and np.ptp(factors) > 0.05
    assert moved[1] == pytest.approx(np.full(3, 0.028), abs=1e-3)


@pytest.mark.parametrize("name", [CLOSED_FORM, NGSPICE])
def test_cells_that_are_stuck_stand_there_after_a_write_wherever_they_were_said_to_be(ngspice, parameters, name):
    engine = chip_engine(name, ngspice, parameters, Schedule(), Chip(2, 3, stuck_on=1.0))
    assert engine.write(STATES, 1, IMAGE, 1, 20e-6).tolist() == [7.0, 7.0, 7.0]


def test_ngspice_solves_reads_and_writes_as_its_engine_is_told(monkeypatch, ngspice, parameters):
    solvers = []
    for kind in ("Reader", "Writer"):
        usual = getattr(engines, kind)
        monkeypatch.setattr(engines, kind, lambda *given, usual=usual: solvers.append(given[-1]) or usual(*given))
    reading, writing = dataclasses.replace(READING, reltol=1e-7), dataclasses.replace(WRITING, reltol=1e-8)
    NgspiceEngine(ngspice, parameters, Schedule(), 2, 3, reading, writing)
    NgspiceEngine(ngspice, parameters, Schedule(), 2, 3)
    assert solvers == [reading, writing, READING, WRITING]
