"""Engines by name, with solvers that are given, on states and images of their shape."""

import dataclasses

import numpy as np
import pytest

from memristive.single_layer.engines import ENGINES, NgspiceEngine, make_engine
from memristive.single_layer.ngspice_crossbar import Reader, Writer
from memristive.single_layer.setup import Setup
from memristive.single_layer.solvers import READING, WRITING
from memristive.spice.parameters import ParameterError
from memristor import state_rate

STATES, IMAGE = np.array([[15.0, 15.0, 15.0], [14.0, 15.0, 16.0]]), np.ones(3)


@pytest.mark.parametrize("name", ["closed_form", "Closed-form", "", None])
def test_unknown_engines_are_refused(name):
    with pytest.raises(ParameterError, match="engine"):
        make_engine(name, Setup(), 3, 6)


@pytest.mark.parametrize(("states", "levels"), [((3, 6), 5), ((3, 6), 7), ((4, 6), 6), ((3, 7), 7)])
def test_compiled_reads_check_shapes(states, levels):
    engine = make_engine("closed-form", Setup(), 3, 6)
    with pytest.raises(ParameterError, match="states"):
        engine.spikes(np.full(states, 7.0), np.ones(levels), 3)


def test_engines_agree_in_reads_writes_and_rate(ngspice):
    one, other = (make_engine(name, Setup(), 2, 3) for name in ENGINES)
    assert one.rate == other.rate == pytest.approx(float(state_rate(Setup().memristor, 1.0)))
    assert one.spikes(STATES, IMAGE, 2) == pytest.approx(other.spikes(STATES, IMAGE, 2), abs=0.3e-6)
    for sign in (1, -1):
        first, second = (engine.write(STATES, 1, IMAGE, sign, 20e-6) for engine in (one, other))
        assert first == pytest.approx(second, abs=1e-3) and np.abs(first - STATES[1]).min() > 0.02


def test_ngspice_engine_takes_the_given_solvers(ngspice):
    reading, writing = READING.tightened(), dataclasses.replace(WRITING, reltol=1e-7, trtol=1.0)
    engine, usual = NgspiceEngine(Setup(), 2, 3, reading, writing), NgspiceEngine(Setup(), 2, 3)
    read, written = engine.spikes(STATES, IMAGE, 2), engine.write(STATES, 1, IMAGE, 1, 20e-6)
    assert np.array_equal(read, Reader(Setup(), 2, reading).spikes(STATES, IMAGE, 2))
    assert np.array_equal(written, Writer(Setup(), 3, writing).write(STATES[1], IMAGE, 1, 20e-6))
    assert (read != usual.spikes(STATES, IMAGE, 2)).all() and (written != usual.write(STATES, 1, IMAGE, 1, 20e-6)).any()
