"""What reads leave out of a cell, pump and leak behind an open switch, must not be seen for any switch that may be asked for."""

import dataclasses

import numpy as np
import pytest

from datasets import xpue
from learning.closed_form import Crossbar
from learning.decoding import first_spikes
from learning.hebbian import infer
from learning.membrane_range import fitted
from learning.pulses import READING, Schedule, edges, suited
from learning.readout import Reader
from memristor import MemristorParameters, trained_state
from records.files import ROOT
from records.voltages import load_voltages
from snn_circuit import OFF, NetworkParameters, names, network


@pytest.mark.parametrize(("switch_off", "seen"), [("low", False), ("default", False), (1e12, True)])
def test_open_switch_is_open_to_a_read(ngspice, switch_off, seen):
    """Whole cells with phi at 0 spike as the read's cells do; at 1e12 ohm, which is refused, they would not."""
    field = {field.name: field for field in dataclasses.fields(MemristorParameters)}["switch_off"]
    ohms = {"low": field.metadata["low"], "default": field.default}.get(switch_off, switch_off)
    memristor = MemristorParameters()
    object.__setattr__(memristor, "switch_off", ohms)  # whatever is allowed
    parameters, schedule, solver = NetworkParameters(memristor=memristor), Schedule(), READING.tightened()
    states, image = load_voltages(ROOT / "voltages" / "xpue.json", "xpue", 4, 9).states, xpue().patterns[2]
    rows = [edges(0, schedule.pulse, schedule.rise, level) if level else OFF for level in image]
    nodes = names("membrane", 4), names("output", 4)
    circuit = ngspice.load(network(parameters, states, rows, [OFF] * 4), solver, [*nodes[0], *nodes[1]])
    waves = circuit.run(4e-4)
    circuit.unload()
    whole = first_spikes(waves.time, waves.stack(nodes[0]), waves.stack(nodes[1]), parameters.neuron, 0.0, 4e-4)
    read = Reader(ngspice, parameters, schedule, 4, solver).spikes(states, image, 5)
    assert (abs(whole - read)[2:] > 0.5e-6).any() == seen
    if not seen:
        assert whole[2:] == pytest.approx(read[2:], abs=5e-8)


@pytest.mark.parametrize(("changes", "off"), [({"width": 1e-2}, 3e-6), ({"oxide_thickness": 1e-8}, 0.6e-6),
                                              ({"width": 1e-3}, 0.6e-6), ({}, 0.6e-6)])
def test_large_gates_keep_their_charge_in_a_read(ngspice, changes, off):
    """With the charge floor of usual reads membranes would fade from pattern to pattern."""
    memristor = MemristorParameters(**changes)
    patterns, schedule = xpue().patterns, Schedule()
    network = fitted(NetworkParameters(memristor), schedule, patterns)
    states = trained_state(memristor, schedule.input_voltage * patterns, schedule.pulse)
    exact = Crossbar.of(network, schedule).first_spikes(states, patterns)
    for found in (infer(ngspice, network, schedule, states, patterns).spikes,
                  np.array([Reader(ngspice, network, schedule, 4).spikes(states, image, 5) for image in patterns])):
        both = np.isfinite(found) & np.isfinite(exact)
        assert both.sum() >= 4 and found[both] == pytest.approx(exact[both], abs=off)
    assert (suited(READING, memristor) == READING) == (not changes)
    assert suited(READING.tightened(), memristor) == READING.tightened()
