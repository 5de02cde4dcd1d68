"""Layers whose rows are not driven at 1 V: every way of reading and teaching them heeds the design."""

import dataclasses
import itertools

import numpy as np
import pytest

from memristive.multilayer.full_transient import WholeNetwork
from memristive.multilayer.layer_netlist import LayerDesign
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, begin, train
from memristive.multilayer.layer_ngspice import READING_LAYERS, LayeredReader
from memristive.multilayer.layer_sessions import read_netlist
from memristive.multilayer.ngspice_trainer import LayeredTeacher
from tests.learning.test_layers import RULE, XOR, random_network

SIZES = (9, 10, 6, 3)


@pytest.fixture(params=[0.5, 2.0])
def design(request):
    """Drives as far above the threshold as at 1 V."""
    return LayerDesign(row_voltage=request.param, transresistance=20e3 / request.param)


@pytest.fixture
def network(design):
    return dataclasses.replace(random_network(SIZES, seed=5, spread=1.0), design=design)


@pytest.fixture(params=["all neurons alike", "outputs of 5 V as they come"])
def image(request, network):
    """Levels; what a lone neuron's output would be has no bearing on a layer's."""
    if "5 V" in request.param:
        neuron = dataclasses.replace(network.parameters.neuron, output_high=5.0)
        object.__setattr__(network, "parameters", dataclasses.replace(network.parameters, neuron=neuron))
    return np.random.default_rng(7).random(SIZES[0])


def test_reads_layer_by_layer_and_of_the_whole_network_agree_with_the_closed_form(ngspice, network, image):
    exact = [layer[0] for layer in network.forward(image[None])]
    stop = 1.1 * np.nanmax(exact[-1])
    assert all((np.isfinite(layer) & (layer < stop - 1e-6)).sum() >= 2 for layer in exact)
    for found in (WholeNetwork(ngspice, network).read(image, stop), LayeredReader(ngspice, network).read(network, image)[0]):
        for layer, (times, wanted) in enumerate(zip(found, exact, strict=True)):
            assert np.nanargmin(times) == np.nanargmin(wanted)
            assert np.nanmax(np.abs(times - wanted)) < 0.3e-6 * (layer + 1)


def test_netlist_of_a_read_is_that_read(ngspice, network, image):
    """Its outputs are the rows that a next layer would have, at their voltage."""
    outputs = [f"row_3_{k}" for k in range(3)]
    circuit = ngspice.load(read_netlist(network, image), dataclasses.replace(READING_LAYERS, max_step=0.2e-6), outputs)
    waves = circuit.run(network.design.window)
    ngspice.unload(circuit)
    exact = network.first_spikes(image[None])[0]
    for name, spike in zip(outputs, exact, strict=True):
        high = waves[name] > network.design.row_voltage / 2
        assert high.any() == np.isfinite(spike)
        if high.any():
            assert waves.time[high.argmax()] == pytest.approx(spike, abs=1e-6)
            assert waves[name][-1] == pytest.approx(network.design.row_voltage, rel=1e-3)


@pytest.mark.parametrize(("window", "fires"), [(150e-6, False), (300e-6, True)])
@pytest.mark.parametrize("layers", [1, 2])
def test_reads_in_ngspice_last_as_long_as_the_designs_window(ngspice, layers, window, fires):
    """A bias of 2.09 V above X_ref, by which a membrane settles at 1.36 thresholds, fires after some 200 us."""
    states = (np.array([[5.0, 7.09]]), np.array([[5.0, 7.09]]))[:layers]
    network = LayeredNetwork(states, design=LayerDesign(window=window))
    spike, = LayeredReader(ngspice, network).read(network, np.zeros(1))[0][-1]
    assert spike == pytest.approx(200e-6 if fires else np.nan, abs=5e-6, nan_ok=True)


@pytest.mark.parametrize("window", [60e-6, 200e-6])
def test_netlist_of_a_read_lasts_as_long_as_the_designs_window(window):
    """With steps of 0.1 us at most, as `export_netlist` says."""
    network = dataclasses.replace(random_network((2, 3, 2)), design=LayerDesign(window=window))
    tran, = [line.split() for line in read_netlist(network, np.ones(2)).splitlines() if line.startswith(".tran ")]
    assert float(tran[2]) == pytest.approx(window) and float(tran[4]) == pytest.approx(0.1e-6)


@pytest.mark.parametrize("hidden", [(6,), (6, 5)])
def test_teaching_in_ngspice_makes_the_writes_of_the_closed_form(ngspice, design, hidden):
    images, labels = XOR
    rule = dataclasses.replace(RULE, presentations=8)
    start = begin(hidden, 2, images, rule, design)
    closed, circuit = LayeredLearning.begin(start, rule), LayeredLearning.begin(start, rule)
    for _ in train(closed, rule, images, labels):
        pass
    for _ in LayeredTeacher(ngspice, start, rule, images, labels).presentations(circuit):
        pass
    assert circuit.history[:, 1].sum() >= 2 and np.array_equal(circuit.history, closed.history)
    for ours, theirs, before in zip(circuit.network.states, closed.network.states, start.states, strict=True):
        assert ours == pytest.approx(theirs, abs=3e-3) and np.abs(theirs - before).max() > 0.05


def test_a_write_has_its_dose_at_any_row_voltage(design):
    """In a single layer, of the first error: the bias row is as high as a full pixel, for as long as the pulse."""
    images, labels = XOR
    rule = dataclasses.replace(RULE, presentations=1)
    moved = []
    for seed, one in itertools.product(range(5), (design, LayerDesign())):
        start = begin((), 2, images, dataclasses.replace(rule, seed=seed), one)
        learning = LayeredLearning.begin(start, rule)
        for _ in train(learning, rule, images, labels):
            pass
        moved.append(np.abs(learning.network.states[0][:, -1] - start.states[0][:, -1]).max())
    assert max(moved) == pytest.approx(rule.output_dose, rel=0.02)
    assert moved[::2] == pytest.approx(moved[1::2], abs=1e-3)
