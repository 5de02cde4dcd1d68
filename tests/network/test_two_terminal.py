"""Crossbars of two-terminal devices: both schemes in ngspice, against the device's curves, the
program, and whole neurons.
"""

import dataclasses
import json
import math

import numpy as np
import pytest

from memristive.datasets import xpue
from memristive.devices.characterise import write_cells
from memristive.devices.measured_device import MeasuredDevice, load_device
from memristive.devices.spice_model import load_model
from memristive.engines.engine import write_columns
from memristive.engines.solvers import training_solver
from memristive.learning.hebbian import array_setup, infer, train_hebbian
from memristive.network.crossbar import predicted_spikes
from memristive.network.design import Setup
from memristive.network.two_terminal import SCHEMES, DeviceArray, pulses_of_a_class
from memristive.scores.checks import OperatingRangeWarning
from memristive.scores.decisions import decide, resolution_of
from memristive.writing.pulses import ModelWrite
from tests.devices.law import device_by_law
from tests.helpers import ROOT

PATTERNS = xpue().patterns


def setup_of(model, scheme, too_large=1):
    """Return the setup for a device whose curves promise `too_large` times its steps."""
    device = load_device(str(ROOT / "results" / "devices" / f"{model}_device.json"))
    device = dataclasses.replace(device, up=tuple(too_large * step for step in device.up))
    return array_setup(Setup(), device, scheme, PATTERNS)


@pytest.mark.parametrize("scheme", SCHEMES)
# half-selected cells take 2 % of a step, and 17 %
@pytest.mark.parametrize("model", ["wox", "molecular"])
def test_symbols_are_learned_and_read_and_cells_end_where_the_curves_predict(
    model, scheme, ngspice
):
    setup = setup_of(model, scheme)
    states = train_hebbian(setup, PATTERNS).states
    # Both models' state is their share of the conductance range.
    assert states == pytest.approx(setup.array.trained(PATTERNS), abs=0.012)
    spikes = infer(setup, states, PATTERNS).spikes
    if model == "wox":  # reads move the molecular memristor
        assert predicted_spikes(setup, setup.array.shares(states), PATTERNS) == pytest.approx(
            spikes, abs=2e-6, nan_ok=True
        )
    resolution = resolution_of("hebbian", setup.neuron)
    assert decide(spikes, resolution)[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_feedback_resistor_follows_from_the_states_that_a_training_reaches(scheme, ngspice):
    """Pulses bring tungsten oxide to a third of what its curves promise. The membrane of U, with
    the most pixels, still settles at 1.7 thresholds, by the current of the model's equation.
    """
    setup = setup_of("wox", scheme, too_large=3)
    training = train_hebbian(setup, PATTERNS)
    assert training.states[PATTERNS > 0] == pytest.approx(0.3, abs=0.03)
    x = training.states[2][PATTERNS[2] > 0]
    amperes = ((1 - x) * 1e-6 * (1 - math.exp(-0.05)) + x * 8e-5 * math.sinh(0.17)).sum()
    assert training.setup.neuron.feedback_resistance * amperes == pytest.approx(1.7 * 4, rel=1e-3)
    spikes = infer(training.setup, training.states, PATTERNS).spikes
    resolution = resolution_of("hebbian", setup.neuron)
    assert decide(spikes, resolution)[0].tolist() == [0, 1, 2, 3]


def test_a_training_whose_reads_name_another_class_warns(ngspice):
    """Both neurons of a pattern that another one contains fire together."""
    setup, patterns = setup_of("wox", "1t1r"), np.array([[1.0] * 6, [1.0] * 5 + [0.0]])
    with pytest.warns(OperatingRangeWarning, match="1 of 2 patterns"):
        train_hebbian(setup, patterns)


HEATED = """.subckt heated row column f0=4.75
Cf f 0 1n ic={f0}
Bf 0 f i = 150 * exp(min(11600 * (0.7 * v(row,column) - 1.5) / (300 + v(t)), 8)) * (v(f) < 4.9)
Ct t 0 1n ic=0
Bt 0 t i = 1n * (min(abs(v(row,column) * v(amperes)) / 3e-16, 2e13) - v(t) / 0.2n)
Bi amperes 0 v = 6e-5 * exp((v(f) - 5) / 0.28) * sinh(min(max(v(row,column) / 0.43, -15), 15))
Bd row column i = v(amperes)
.ends
"""


def test_a_device_that_heats_itself_is_written_behind_an_access_switch(ngspice, tmp_path):
    """Its current rises within 0.2 ns, as that of a resistive memory in a foundry's model."""
    (tmp_path / "heated.lib").write_text(HEATED, encoding="utf-8")
    pulse = {"voltage": 1.2, "width": 20e-9}
    model = {"file": "heated.lib", "subcircuit": "heated", "state_node": "f", "up": pulse}
    model |= {"initial_parameter": "f0", "down": pulse | {"voltage": -1.2}}
    (tmp_path / "heated.json").write_text(json.dumps(model), encoding="utf-8")
    device = MeasuredDevice("heated", highest_conductance=1e-4)
    array = DeviceArray(load_model(str(tmp_path / "heated.json")), device, "1t1r", 2.0)
    states = np.array([[4.75, 4.5], [4.75, 4.5]])
    after = write_columns(array, states, [ModelWrite(0, True, np.array([2.0, 0.0]))])
    alone = write_cells(array.model, [4.75], True, 2)[0, -1]
    assert after[0, 0] - 4.75 == pytest.approx(alone - 4.75, rel=0.1) and alone > 4.7501
    assert after[[0, 1, 1], [1, 0, 1]] == pytest.approx([4.5, 4.75, 4.5], abs=1e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_neurons_hold_their_columns_as_the_sources_of_training_do(scheme, ngspice):
    setup = setup_of("wox", scheme)
    schedule, names = setup.writing, setup.state_names(*PATTERNS.shape)
    inputs = [schedule.train(schedule.input_voltage * row) for row in PATTERNS.T]
    circuit = setup.crossbar(
        setup.start_states(PATTERNS.shape),
        inputs,
        [schedule.train(schedule.phi_voltage * row) for row in np.eye(4)],
    )
    loaded = ngspice.load(circuit, training_solver(setup), names)
    states = loaded.run(schedule.stop(4)).stack(names)[:, -1]
    loaded.unload()
    # A column's 0.5 mA through the op-amp's 10 ohm move its virtual ground by nanovolts, V/2 over
    # the gain by 3 uV.
    assert states == pytest.approx(train_hebbian(setup, PATTERNS).states.ravel(), abs=3e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("up", [True, False])
def test_a_write_disturbs_half_selected_cells_by_r_or_nothing_behind_access_switches(
    up, scheme, ngspice
):
    device = load_device(str(ROOT / "results" / "devices" / "wox_device.json"))
    array = DeviceArray(load_model("wox"), device, scheme, 3.0)
    # the model's state is the share of the conductance range
    x = np.array([[0.6, 0.5], [0.3, 0.7], [0.4, 0.5], [0.4, 0.2]])
    written = write_columns(array, x, [ModelWrite(1, up, np.array([3.0, 0.0]))])
    full = 0.006 * math.sinh(12.5 * 0.65) * 3e-3 * (1 if up else -1)  # three pulses of 1 ms
    half = full * math.sinh(12.5 * 0.325) / math.sinh(12.5 * 0.65) * (scheme == "v/2")
    expected = x + np.array([[half, 0], [full, half], [half, 0], [half, 0]])
    assert written == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("classes", [1, 4, 10])
def test_the_most_written_cell_ends_at_nine_tenths_of_the_range(classes):
    """A pixel of all patterns gets one whole write, and r of a write from each other class: 17 %
    here.
    """
    device = device_by_law(500, 0.5, half_up=0.17, half_down=0.17)
    array = DeviceArray(load_model("wox"), device, "v/2", pulses_of_a_class(device, "v/2", classes))
    assert array.trained(np.ones((classes, 3))).max() == pytest.approx(0.9, abs=0.005)
