"""Neurons of one's own: an ideal one against its formula, one line for those that cannot learn."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from memristive.devices import neuron_model
from memristive.devices.foundry import Process
from memristive.devices.neuron_model import (
    SOLVER,
    MeasuredNeuron,
    factors,
    law,
    load_neuron,
    load_neuron_model,
    measure_neuron,
    with_spreads,
)
from memristive.parameters import ParameterError
from memristive.spice.session import run_once
from snn_circuit import NeuronParameters, add_source

TAU, THRESHOLD = 1e-12 * 10e6, 1.0 / 10e6  # s, A: of the neuron below
IDEAL = """.subckt neuron col ref reset out offset=0 extra=0
Vhold col held 0
Bheld held 0 V=v(ref)+{offset}
Fcopy 0 mem Vhold 1
Iextra 0 mem {extra}
Cm mem 0 1p
Rm mem 0 10meg
Sr mem 0 reset 0 close
.model close sw vt=0.5 ron=100 roff=1e15
Bout out 0 V=min(max(5*(v(mem)-1)+0.5,0),1)
.ends
"""
NEURON = {
    "file": "neuron.lib",
    "subcircuit": "neuron",
    "pins": ["column", "reference", "reset", "output"],
    "levels": {"reference": 0.6},
    "reset_level": 1.0,
    "output_level": 0.5,
    "lowest_current": 0.11e-6,
    "highest_current": 2e-6,
    "window": 50e-6,
}


def made(folder, text=IDEAL, **changes):
    (folder / "neuron.lib").write_text(text, encoding="utf-8")
    (folder / "neuron.json").write_text(json.dumps(NEURON | changes), encoding="utf-8")
    return load_neuron_model(str(folder / "neuron.json"))


def test_an_ideal_neuron_follows_its_formula(tmp_path):
    found = measure_neuron(made(tmp_path))
    currents = np.array(found.current)
    edge = 10e-9  # half the edge of the rows
    expected = edge - TAU * np.log1p(-THRESHOLD / currents)
    np.testing.assert_allclose(found.time, expected, rtol=4e-3, atol=2e-9)
    assert found.time_constant == pytest.approx(TAU, rel=5e-3)
    assert found.threshold_current == pytest.approx(THRESHOLD, rel=5e-3)
    assert found.law_low == pytest.approx(currents[0])
    assert not found.doubts and not found.repeats
    between = np.array([0.13e-6, 0.5e-6, 5e-6])
    np.testing.assert_allclose(
        found.spikes(between), edge - TAU * np.log1p(-THRESHOLD / between), rtol=0.01
    )
    assert np.isnan(found.spikes(np.array([0.05e-6]))).all()


def test_a_column_that_is_not_held_is_a_doubt(tmp_path):
    found = measure_neuron(made(tmp_path, IDEAL.replace("offset=0", "offset=5m")))
    assert found.rest == pytest.approx(5e-3, rel=0.01)
    assert "5 mV" in found.doubts[0]
    # other cells that conduct as much take 5 of the 195 mV that are left of the current
    assert found.lift > 0.02


def test_sources_give_the_energy_and_currents_move_the_column(tmp_path):
    """2 uA through 100 kohm and 3 V at 1 Mohm, from the step to the spike; 1 kohm in the column."""
    text = IDEAL.replace("reset out", "reset out bias supply").replace(
        "Vhold col held 0", "Rb bias 0 100k\nRs supply 0 1meg\nRc col c 1k\nVhold c held 0"
    )
    changes = {"pins": [*NEURON["pins"], "bias", "supply"], "biases": {"bias": 2e-6}}
    changes["levels"] = {"reference": 0.6, "supply": 3.0}
    found = measure_neuron(made(tmp_path, text, **changes))
    watts = 2e-6**2 * 100e3 + 3.0**2 / 1e6
    middle = np.sqrt(found.law_low * found.law_high)
    assert found.power == pytest.approx(watts, rel=1e-3, abs=0)
    spike = found.spikes(np.array([middle]))[0]
    assert found.energy == pytest.approx(watts * spike, rel=0.01, abs=0)
    assert found.offset == pytest.approx(2e-6 * 1e3, rel=0.02)


@pytest.mark.parametrize(
    "text, changes, words",
    [
        (IDEAL, {"highest_current": 0.09e-6, "lowest_current": 0.01e-6}, "never fires"),
        (IDEAL.replace("extra=0", "extra=0.2u"), {}, "fires without current"),
        (IDEAL, {"output_rises": False}, "output_rises"),
        (IDEAL, {"output_level": -0.5}, "output_rises"),
        (IDEAL.replace("V=min", "V=0.5+0.5*sin(1e6*time)+0*min"), {}, "oscillates"),
        (IDEAL, {"levels": {"ref": 0.6}}, "reference"),
        (IDEAL, {"time_parameter": "slower"}, "time_parameter"),
        (IDEAL, {"foundry": "gf"}, "foundry"),
        (".control\nshell true\n.endc\n" + IDEAL, {}, "neuron.lib, line 1"),
    ],
)
def test_neurons_that_cannot_learn_get_one_line(tmp_path, text, changes, words):
    with pytest.raises(ParameterError, match=words) as error:
        measure_neuron(made(tmp_path, text, **changes))
    assert "\n" not in str(error.value)


def test_a_foundry_without_its_package_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(ParameterError, match="make silicon"):
        Process("gf180mcu").header()


def test_a_neuron_file_that_is_not_measured_is_refused(tmp_path):
    made(tmp_path)
    with pytest.raises(ParameterError, match="measure"):
        load_neuron(tmp_path / "neuron.json")
    with pytest.raises(ParameterError, match="memristive measure opamp"):
        load_neuron("opamp")


def test_a_larger_feedback_resistor_needs_less_current():
    nominal = NeuronParameters()
    own = dataclasses.replace(nominal, feedback_resistance=2 * nominal.feedback_resistance)
    assert factors(own, nominal) == (0.5, 1.0)


def test_a_neuron_of_twice_the_threshold_spikes_as_at_half_the_current(tmp_path):
    model = made(tmp_path)
    circuit = Circuit("a chip's neuron")
    model.add_to(circuit)
    start = model.start
    add_source(circuit, "row", [(0.0, 0.0), (start, 0.0), (start + 1e-9, 1.0)])
    circuit.R("cell", "row", "column", 1 / (4 * THRESHOLD))
    model.add_neuron(circuit, 0, "column", threshold=2.0)
    waves = run_once(circuit, SOLVER, ["v(output_0)"], start + TAU)
    spikes = model.spikes(waves.time, waves["v(output_0)"], start)
    assert spikes[0] == pytest.approx(TAU * np.log(2), rel=0.01)


def test_spreads_of_resistance_capacitance_and_threshold_are_told_apart(tmp_path, monkeypatch):
    """tau = R C and I_th = V / R of eight neurons with each combination of signs."""
    sizes = np.array([0.1, 0.05, 0.03])
    signs = itertools.product((-1, 1), repeat=3)
    drawn = [np.exp(sizes * sign) for sign in signs]

    class Bench:
        def __init__(self, model, process):
            self.r, self.c, self.v = drawn[process.mismatch - 1]

        def run(self, current):
            return current

        def spikes(self, current):
            return [law(current, 0.0, TAU * self.r * self.c, THRESHOLD * self.v / self.r)]

    monkeypatch.setattr(neuron_model, "_Bench", Bench)
    neuron = MeasuredNeuron("ideal", time_constant=TAU, threshold_current=THRESHOLD)
    found = with_spreads(neuron, made(tmp_path), Process("gf180mcu"), 8)
    spreads = found.leak_spread, found.time_constant_spread, found.threshold_spread
    assert spreads == pytest.approx(np.sqrt(np.expm1(8 / 7 * sizes**2)), rel=1e-3)
