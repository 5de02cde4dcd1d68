"""The parts that layers are built of, each alone in ngspice."""

import dataclasses

import pytest
from PySpice.Spice.Netlist import Circuit

from memristive.multilayer.layer_netlist import add_amplifiers
from memristive.spice.session import Solver
from snn_circuit import NeuronParameters


@pytest.mark.parametrize(("volts", "summed", "inverted"), [(1.0, -11.0, -12.0), (-1.0, 13.0, 14.0)])
def test_each_stage_has_rails_of_its_own(ngspice, volts, summed, inverted):
    neuron = dataclasses.replace(NeuronParameters(), rail_low=-11.0, rail_high=13.0, inverting_rail_low=-12.0,
                                 inverting_rail_high=14.0)
    circuit = Circuit("two op-amps, overdriven")
    add_amplifiers(circuit, neuron)
    circuit.V("in", "in", circuit.gnd, volts)
    for kind in ("summing", "inverting"):
        circuit.X(kind, f"{kind}_amplifier", circuit.gnd, "in", kind)
    loaded = ngspice.load(circuit, Solver(), ["summing", "inverting"])
    found = loaded.op()
    loaded.unload()
    assert (found["summing"], found["inverting"]) == pytest.approx((summed, inverted), abs=0.5)
