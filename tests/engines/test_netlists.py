"""Netlists of multilayer networks, and the parts that they consist of."""

import dataclasses

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from memristive.engines.read_netlist import netlist
from memristive.network.design import LayerDesign
from memristive.network.netlists import layered_network
from memristive.network.networks import Network
from snn_circuit import NeuronParameters, add_amplifiers
from tests.helpers import printed
from tests.network.networks import on_a_chip, random_network


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


@pytest.mark.parametrize(
    ("volts", "window", "chip"), [(1.0, 150e-6, False), (1.0, 120e-6, True), (2.0, 150e-6, False)]
)
def test_the_exported_netlist_has_the_window_and_the_voltages_of_the_read(
    tmp_path, volts, window, chip
):
    network = random_network((9, 10, 6, 3), seed=5, spread=1.0)
    image = np.random.default_rng(7).random(9)
    design = LayerDesign(row_voltage=volts, transresistance=20e3 / volts, window=window)
    network = dataclasses.replace(on_a_chip(network) if chip else network, design=design)
    (tmp_path / "read.cir").write_text(netlist(network, image, ["a", "b", "c"]), encoding="utf-8")
    waves, expected = printed(tmp_path / "read.cir"), network.first_spikes(image[None])[0]
    assert waves["time"][-1] == pytest.approx(window) and np.isfinite(expected).any()
    for k, spike in enumerate(expected):
        high = waves[f"output_{k}"] > volts / 2
        assert high.any() == np.isfinite(spike)
        if high.any():
            assert waves["time"][high.argmax()] == pytest.approx(spike, abs=50e-9)
            assert waves[f"output_{k}"][-1] == pytest.approx(volts, rel=1e-3)
