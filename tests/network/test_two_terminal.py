"""Crossbars of two-terminal devices: both schemes in ngspice, against the device's curves, the program, and whole neurons."""

import numpy as np
import pytest

from datasets import xpue
from memristive.devices.measured_device import load_device
from memristive.learning.hebbian import array_setup, hebbian_netlist, infer, train_hebbian
from memristive.network.setup import Setup
from memristive.network.solvers import training_solver
from memristive.network.spike_decoding import resolution_of, strict_decision
from memristive.network.two_terminal import SCHEMES
from memristive.spice.parameters import ParameterError
from tests.helpers import ROOT, printed

PATTERNS = xpue().patterns


def setup_of(model, scheme):
    return array_setup(Setup(), load_device(str(ROOT / "results" / f"{model}_device.json")), scheme, PATTERNS)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("model", ["wox", "molecular"])  # half-selected cells take 2 % of a step, and 17 %
def test_symbols_are_learned_and_read_and_cells_end_where_the_curves_predict(model, scheme, ngspice):
    setup = setup_of(model, scheme)
    states = train_hebbian(setup, PATTERNS).states
    # Both models' state is their share of the conductance range.
    assert states == pytest.approx(setup.array.trained(PATTERNS), abs=0.012)
    spikes = infer(setup, states, PATTERNS).spikes
    resolution = resolution_of("hebbian", setup.neuron)
    assert [strict_decision(times, resolution) for times in spikes] == [0, 1, 2, 3]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_neurons_hold_their_columns_as_the_sources_of_training_do(scheme, ngspice):
    setup = setup_of("wox", scheme)
    schedule, names = setup.writing, setup.state_names(*PATTERNS.shape)
    inputs = [schedule.train(schedule.input_voltage * row) for row in PATTERNS.T]
    circuit = setup.crossbar(setup.start_states(PATTERNS.shape), inputs,
                             [schedule.train(schedule.phi_voltage * row) for row in np.eye(4)])
    loaded = ngspice.load(circuit, training_solver(setup), names)
    states = loaded.run(schedule.stop(4)).stack(names)[:, -1]
    loaded.unload()
    # A column's 0.5 mA through the op-amp's 10 ohm move its virtual ground by nanovolts, V/2 over the gain by 3 uV.
    assert states == pytest.approx(train_hebbian(setup, PATTERNS).states.ravel(), abs=3e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_exported_training_runs_in_the_program(scheme, ngspice, tmp_path):
    setup, netlist = setup_of("wox", scheme), tmp_path / "training.cir"
    netlist.write_text(hebbian_netlist(setup, PATTERNS), encoding="utf-8")
    waves = printed(netlist)
    states = [waves[name][-1] for name in setup.state_names(*PATTERNS.shape)]
    assert states == pytest.approx(train_hebbian(setup, PATTERNS).states.ravel(), abs=1e-4)


def test_a_device_without_a_model_is_refused():
    with pytest.raises(ParameterError, match="epiram"):
        array_setup(Setup(), load_device("epiram"), "v/2", PATTERNS)
