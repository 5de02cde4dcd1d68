"""Small layers of tungsten oxide in ngspice, the subcircuit in each cell: reads and V/2 writes as in closed form."""

import itertools

import numpy as np
import pytest

from memristive.devices.characterise import characterise
from memristive.devices.measured_device import emulator
from memristive.devices.spice_model import load_model
from memristive.network import kernel
from memristive.network.layers import KernelArrays, LayeredNetwork, no_counts, pulse_values
from memristive.network.measured_layers import measured_design, measured_parameters, measured_pulses
from memristive.network.netlists import EXPORTED, layered_read_netlist
from memristive.network.subcircuit_layer import Write, model_states, read_subcircuits, write_half_selected
from memristive.network.two_terminal import DeviceArray
from snn_circuit import names


def test_subcircuits_read_and_write_as_the_closed_form(ngspice):
    rng, model = np.random.default_rng(1), load_model("wox")
    found = characterise(model)
    emulated, shares, images = emulator(found.device), 0.3 + 0.4 * rng.random((4, 4)), rng.random((3, 3))
    pulses = measured_pulses(emulated, whole=False, scheme="v/2")
    net = LayeredNetwork((emulated.state(shares),), measured_parameters(emulated), pulses=pulses,
                         design=measured_design(emulated, 1, 1.0, output_bias=1.8))
    states = found.map.state(shares)
    assert read_subcircuits(net, model, states, images) == pytest.approx(net.first_spikes(images), abs=30e-9)

    writes = [Write(1, True, np.array([2.0, 0.0, 1.0, 1.0])), Write(3, False, np.array([0.0, 5.0, 0.0, 1.0]))]
    written = found.map.share(write_half_selected(DeviceArray(model, found.device, "v/2"), states, writes))
    arrays, counts = KernelArrays(net), no_counts(net)
    for column, up, numbers in writes:
        kernel.write_pulses(arrays.layers[0], arrays.pulse, pulse_values(pulses), arrays.states[0], column, numbers,
                            pulses.step if up else -pulses.step, counts, 0, arrays.work.loads[0], rng)
    step = np.mean(found.device.up)
    assert written == pytest.approx(emulated.share(arrays.states[0].T), abs=0.01 * step)
    assert np.abs(written - shares)[[0, 2]].max() > 0.02 * step  # half-selected cells of other columns have moved


def test_a_hidden_network_of_subcircuits_reads_as_the_closed_form(ngspice):
    rng, model = np.random.default_rng(2), load_model("wox")
    found = characterise(model)
    emulated, sizes = emulator(found.device), (4, 3, 2)
    states = tuple(emulated.state(0.2 + 0.6 * rng.random((2 * above, below + 1))) for below, above in itertools.pairwise(sizes))
    network = LayeredNetwork(states, measured_parameters(emulated),
                             design=measured_design(emulated, 1, 1.0, hidden_bias=1.8, output_bias=1.8))
    image = rng.random(sizes[0])
    text, outputs = layered_read_netlist(network, image, model=model, states=model_states(network, found)), names("output", 2)
    waves = ngspice.load(text, EXPORTED, outputs).run(network.design.window)
    high = waves.stack(outputs) > network.design.row_voltage / 2
    assert high.any(axis=1).all()
    assert waves.time[high.argmax(axis=1)] == pytest.approx(network.first_spikes(image[None])[0], abs=0.5e-6)
