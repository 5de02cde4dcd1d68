"""Networks of layers in ngspice, layer by layer: reads, back-reads and writes against formulas and the closed form."""

import dataclasses

import numpy as np
import pytest

from memristive.devices.channel import read_current
from memristive.learning.rule import LayeredRule
from memristive.learning.start import initial_network
from memristive.network.netlists import LayerDesign
from memristive.network.networks import Network
from memristive.network.ngspice_layer import MARGIN
from memristive.network.ngspice_network import NgspiceNetwork
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters
from tests.network.networks import deviations, layer_of, on_a_chip, random_network

pytestmark = pytest.mark.usefixtures("ngspice")

SIZES = (9, 12, 8, 4)


@pytest.fixture(scope="module")
def network():
    return random_network(SIZES, seed=5, spread=1.0)


@pytest.fixture(scope="module")
def images():
    """Grey levels, some rows dark."""
    rng = np.random.default_rng(7)
    return rng.random((5, SIZES[0])) * (rng.random((5, SIZES[0])) < 0.7)


def settled_membranes(network, rows, layer):
    """Settled membranes of a layer, in thresholds, with its `rows` (without the bias) at these levels."""
    rows, memristor = np.append(rows, 1.0), network.parameters.memristor
    currents = read_current(memristor, network.states[layer], rows)
    reference = read_current(memristor, network.design.reference_state, rows)
    thresholds = network.parameters.neuron.threshold
    if network.devices:
        gains = network.devices[layer].cells.gain / memristor.gain
        currents, reference, thresholds = currents * gains[:-1], reference * gains[-1], network.devices[layer].neurons.threshold
    return network.design.transresistance * (currents - reference).sum(axis=1) / thresholds


@pytest.mark.parametrize("chip", [False, True])
def test_hidden_neurons_are_read_for_the_whole_window_while_learning(network, images, chip):
    network = on_a_chip(network) if chip else network
    exact = [layer[0] for layer in network.forward(images[:1])]
    first = int(np.nanargmin(exact[-1]))
    decided = np.nanmin(exact[-1]) + MARGIN  # end of a read for the first spike alone
    assert np.nanmax(exact[0]) > decided
    for label, end in ((None, decided), (first, np.inf)):
        times, settled = NgspiceNetwork(network).read(network, images[0], 1, label)
        for found, spikes in zip(times[:-1], exact[:-1], strict=True):
            assert np.array_equal(~np.isnan(found), spikes < end)
        for layer, rows in enumerate((images[0], exact[0] < end)):
            assert settled[layer] == pytest.approx(settled_membranes(network, rows, layer), abs=5e-3)


def test_a_read_goes_on_if_a_spike_comes_later_than_predicted():
    """Op-amps of low gain and large output resistance, far beyond the first order of the closed form, delay it."""
    neuron = NeuronParameters(amplifier_gain=100, amplifier_output_resistance=1e3)
    network = Network((np.full((1, 3), 6.0),), NetworkParameters(neuron=neuron))
    predicted, found = network.first_spikes(np.ones((1, 2)))[0, 0], NgspiceNetwork(network).read(network, np.ones(2))[0][-1][0]
    assert found > predicted + MARGIN


@pytest.mark.parametrize("chip", [False, True])
def test_rows_assigned_to_many_images_and_columns_in_blocks_read_as_the_closed_form(chip):
    """70 columns are read in one block with up to 30 rows, in two with 40; states change as after writes."""
    network = random_network((36, 70, 4), seed=2, spread=1.0)
    network = on_a_chip(network) if chip else network
    rng, reader = np.random.default_rng(1), NgspiceNetwork(network)
    for driven in (6, 33, 7):
        image = np.zeros(36)
        image[rng.permutation(36)[:driven]] = rng.uniform(0.3, 1.0, driven)
        times, _ = reader.read(network, image)
        assert max(deviations(times, [layer[0] for layer in network.forward(image[None])])) < 0.1e-6
        network = dataclasses.replace(network, states=tuple(states + rng.normal(0, 0.2, states.shape) * (rng.random(
            states.shape) < 0.3) for states in network.states))


@pytest.mark.parametrize(("window", "fires"), [(150e-6, False), (300e-6, True)])
@pytest.mark.parametrize("layers", [1, 2])
def test_reads_last_as_long_as_the_window(layers, window, fires):
    """A bias of 2.09 V above X_ref settles the membrane at 1.36 thresholds and fires after about 200 us."""
    network = Network((np.array([[5.0, 7.09]]),) * layers, design=LayerDesign(window=window))
    for spike in (NgspiceNetwork(network).read(network, np.zeros(1))[0][-1][0], network.first_spikes(np.zeros((1, 1)))[0, 0]):
        assert spike == pytest.approx(200e-6 if fires else np.nan, abs=5e-6, nan_ok=True)


@pytest.mark.parametrize(("design", "vto", "off"), [
    ({"row_voltage": 7.0}, 0.0, 0.3e-6), ({}, 3.8, 0.15e-6)])
def test_cells_that_are_not_well_above_their_rows_are_read_with_finer_steps(design, vto, off):
    """The usual time steps would be off by microseconds, because cells at X_ref are little above their rows."""
    images = np.random.default_rng(1).random((2, 6))
    parameters = NetworkParameters(memristor=MemristorParameters(threshold_voltage=vto))
    rule = LayeredRule(start_drive=3.0, start_weight=0.6)
    network = initial_network((8,), 2, images, rule, LayerDesign(**design), parameters)
    found = np.array([NgspiceNetwork(network).read(network, image, label=0)[0][-1] for image in images])
    exact = network.first_spikes(images)
    assert np.isfinite(exact).all() and found == pytest.approx(exact, abs=off)


@pytest.mark.parametrize("chip", [False, True])
def test_back_reads_of_the_last_layer_agree_with_the_closed_form(network, chip):
    network = on_a_chip(network) if chip else network
    layer = layer_of(network, 2)
    for errors in (np.array([1.0, 0, -1, 0]), np.array([0.0, 1, 0, 0]), np.array([0.4, -0.2, 1.0, -0.7])):
        assert layer.read_back(network.states[2], errors) == pytest.approx(network.read_back(2, errors), abs=1e-3)
    changed, errors = network.states[2] + 0.25, np.array([1.0, 0, 0, 0])
    rise = layer.read_back(changed, errors) - layer.read_back(network.states[2], errors)
    gains = network.devices[2].cells.gain[0, :-1] / network.parameters.memristor.gain if chip else 1.0
    assert rise == pytest.approx(0.25 * gains, abs=2e-3)


def test_back_reads_of_a_hidden_layer_agree_with_the_closed_form(network):
    errors = np.random.default_rng(5).normal(1.0, 1.5, SIZES[2])  # V
    assert abs(errors.sum()) > 2.0  # carried by the reference column
    assert layer_of(network, 1).read_back(network.states[1], errors) == pytest.approx(network.read_back(1, errors), abs=2e-3)


def one_column(network):
    return dataclasses.replace(network, states=(np.zeros((1, 65)),))


def written(network, column, levels, high, pulse):
    """States after a write by the formula: K V t / (C + C_gate) less the leak."""
    memristor = network.parameters.memristor
    leak = abs(pulse) * high.max() * column / (memristor.leak_resistance * memristor.memory_capacitance)
    return column + memristor.transconductance / memristor.memory_capacitance * pulse * levels * high - leak


@pytest.mark.parametrize(("sign", "switch_threshold"), [(1, 0.5), (-1, 0.5), (1, 1.3)])  # a phi of 1.2 V does not cross 1.3 V
def test_a_write_is_the_overlap_of_row_and_window(sign, switch_threshold):
    memristor = MemristorParameters(switch_threshold=switch_threshold)
    network = Network((np.full((2, 5), 5.0),), NetworkParameters(memristor=memristor))
    column = np.array([3.0, 4.0, 5.0, 6.0, 7.0])
    levels, high = np.array([1.0, 0.5, 1.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.3, 0.0, 0.7])
    found = layer_of(network, 0).write_column(np.tile(column, (2, 1)), 1, levels, high, sign * 60e-6)
    assert found == pytest.approx(written(network, column, levels, high, sign * 60e-6), abs=2e-4)


@pytest.mark.parametrize("alike", [True, False])
def test_short_writes_give_their_dose_at_a_lower_voltage(network, alike):
    """Pulses of 0.4 ns at 1 V make ngspice stop, so such writes get a lower voltage and a longer pulse."""
    rng, layer = np.random.default_rng(2), layer_of(one_column(network), 0)
    levels, column = rng.random(65) * (rng.random(65) < 0.6), 5 + rng.normal(0, 0.2, 65)
    high = np.ones(65) if alike else rng.random(65)
    for pulse in (-1e-16, -0.4e-9, 3e-9, -20e-9):
        dose = written(network, column, levels, high, pulse) - column
        assert layer.write_column(column[None], 0, levels, high, pulse) - column == pytest.approx(dose, rel=1e-2, abs=5e-6)
