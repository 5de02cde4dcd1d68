"""Netlists of multilayer networks, and the parts that they consist of."""

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from memristive.network.netlists import layered_network
from memristive.network.networks import Network
from snn_circuit import NeuronParameters, add_amplifiers


@pytest.mark.parametrize(("volts", "summed", "inverted"), [(1.0, -11.0, -12.0), (-1.0, 13.0, 14.0)])
def test_both_op_amps_have_the_rails_of_their_stage(simulate, volts, summed, inverted):
    neuron = NeuronParameters(
        rail_low=-11.0, rail_high=13.0, inverting_rail_low=-12.0, inverting_rail_high=14.0
    )
    circuit = Circuit("two op-amps, overdriven")
    add_amplifiers(circuit, neuron)
    circuit.V("in", "in", circuit.gnd, volts)
    for kind in ("summing", "inverting"):
        circuit.X(kind, f"{kind}_amplifier", circuit.gnd, "in", kind)
    waves = simulate(circuit, ["summing", "inverting"], 1e-6)
    assert waves["summing"][-1] == pytest.approx(summed, abs=0.5)
    assert waves["inverting"][-1] == pytest.approx(inverted, abs=0.5)


def test_an_output_stays_high_when_the_membrane_falls(simulate):
    # the bias excites, the row inhibits from 100 us on
    network = Network((np.array([[1.0, 9.0]]),))
    late = [(0.0, 0.0), (100e-6, 0.0), (100.1e-6, 1.0), (1.0, 1.0)]
    circuit = layered_network(network, [late])
    circuit["Vpulse"].values = [(0.0, 0.0), (1e-6, 1.0), (1.0, 1.0)]
    waves = simulate(circuit, ["membrane_0_0", "output_0"], 300e-6)
    assert (
        waves["membrane_0_0"].max()
        > network.parameters.neuron.threshold
        > waves["membrane_0_0"][-1] + 0.2
    )
    assert waves["output_0"][-1] == pytest.approx(1.0, abs=1e-3)
