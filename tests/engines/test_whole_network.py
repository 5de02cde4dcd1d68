"""Both engines against whole networks in one fine transient, in which every row and every cell
takes part.
"""

import dataclasses

import numpy as np
import pytest

from memristive.datasets import matching_dataset, xpue
from memristive.engines.engine import NgspiceNetwork
from memristive.engines.solvers import READING_LAYERS
from memristive.io.voltages import load_voltages
from memristive.network.chip import Chip, on_chip
from memristive.network.crossbar import Crossbar
from memristive.network.design import LayerDesign
from memristive.network.networks import Network, network_on_chip
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters
from tests.engines.whole_network import STEPPED, WholeNetwork
from tests.helpers import ROOT
from tests.network.networks import measured_network, paper_layer, random_network, with_gain

pytestmark = pytest.mark.usefixtures("ngspice")

CHIP = Chip(
    cell_gain=0.1,
    cell_threshold=0.05,
    neuron_threshold=0.05,
    neuron_gain=0.05,
    neuron_time_constant=0.05,
    seed=3,
)
# s: membranes that cross the threshold later settle less than 1.24 thresholds high, so the few nA
# of ngspice's cells at Vto move them more
CLEAR = 250e-6
STOP = 1.1 * CLEAR
BOUND = 10e-9  # s


def assert_equal_spikes(found, whole):
    """Compare the spikes before `CLEAR` with the whole network; return their number."""
    found, whole = np.concatenate(found), np.concatenate(whole)
    clear = whole < CLEAR
    assert found[clear] == pytest.approx(whole[clear], abs=BOUND)
    assert not (found[~clear] < CLEAR - BOUND).any()
    return clear.sum()


@pytest.mark.parametrize(
    ("name", "chip"),
    [("xpue", False), ("xpue", True), ("mnist", False), ("mnist_error_driven_grey", True)],
)
def test_the_papers_layer(name, chip):
    dataset = (
        xpue()
        if name == "xpue"
        else matching_dataset("mnist", encoding="grey" if "grey" in name else "binary")
    )
    states = load_voltages(ROOT / "voltages" / f"{name}.json").states
    images = dataset.patterns if name == "xpue" else dataset.test.levels[[0, 2]]
    setup, chosen = dataset.setup, None
    if chip:
        setup = setup.replace(schedule=dataclasses.replace(setup.schedule, input_voltage=1.1))
        chosen = dataclasses.replace(CHIP, classes=len(states), inputs=states.shape[1])
    network = network_on_chip(Network.of(setup, states), chosen)
    setup = on_chip(setup, chosen)
    whole, layer, crossbar = (
        WholeNetwork(network, dataclasses.replace(STEPPED, max_step=1e-6)),
        paper_layer(setup, *states.shape),
        Crossbar.of(setup),
    )
    compared = 0
    for image in images:
        expected = whole.read(image, STOP)
        compared += assert_equal_spikes([layer.read(states, image, len(states))[0]], expected)
        assert_equal_spikes([crossbar.read(states, image).spikes], expected)
    assert compared


NETWORKS = {
    "two layers": lambda: random_network((9, 12, 4), seed=5, spread=1.0),
    "other voltages": lambda: dataclasses.replace(
        random_network((9, 12, 4), seed=5, spread=1.0),
        design=LayerDesign(row_voltage=2.0, transresistance=10e3),
        parameters=NetworkParameters(neuron=NeuronParameters(threshold=4.0)),
    ),
    "pairs": lambda: measured_network("epiram", (), 2),
    "bias resistors at small gains": lambda: with_gain(measured_network("epiram", (), 2), 1e5),
    "pairs, two layers": lambda: measured_network("ag-si", (5,), 1),
    "measured cells and a reference": lambda: measured_network("taox-tio2", (5,), 0),
    "currents that bend": lambda: measured_network("noisy", (5,), 2, noise=False),
}


@pytest.mark.parametrize(
    ("name", "chip"),
    [*((name, False) for name in NETWORKS), ("two layers", True), ("pairs, two layers", True)],
)
def test_layers_with_a_reference_or_pairs(name, chip):
    network = network_on_chip(NETWORKS[name](), CHIP if chip else None)
    rng = np.random.default_rng(7)
    # some rows are dark
    images = rng.random((2, network.sizes[0])) * (rng.random((2, network.sizes[0])) < 0.7)
    # At a step of a row the membrane has a kink, which a crossing of the threshold in the same step
    # of 1 us would miss by 20 ns.
    whole, circuits = (
        WholeNetwork(network),
        NgspiceNetwork(network, dataclasses.replace(READING_LAYERS, max_step=0.25e-6)),
    )
    for image in images:
        expected = whole.read(image, min(STOP, network.design.window))
        assert assert_equal_spikes(circuits.forward(network, image)[0], expected)
        assert_equal_spikes([layer[0] for layer in network.forward(image[None])], expected)


@pytest.mark.parametrize(
    ("values", "doubted"),
    [
        ({"amplifier_gain": 1e3}, False),
        ({"amplifier_gain": 1e2}, True),
        ({"amplifier_output_resistance": 1e3}, False),
        ({"stage_resistance": 1e2}, False),
        ({"capacitance": 1e-14}, False),
        ({"junction_current": 1e-3}, True),
        ({"rise": 1e-7}, False),
        ({"row_voltage": 0.3, "transresistance": 66e3}, False),
    ],
)
def test_spikes_far_from_the_default_parameters_agree_within_10_ns_or_are_doubted(values, doubted):
    network, image = random_network((9, 6, 4), 7, spread=1.0), np.linspace(0.1, 1.0, 9)

    def changed(part):
        own = {field.name for field in dataclasses.fields(part)} & set(values)
        return dataclasses.replace(part, **{name: values[name] for name in own})

    parameters = NetworkParameters(changed(MemristorParameters()), changed(NeuronParameters()))
    network = dataclasses.replace(network, parameters=parameters, design=changed(network.design))
    found = [layer[0] for layer in network.forward(image[None])]
    whole = WholeNetwork(network).read(image, STOP)
    early = np.concatenate(found) < CLEAR
    assert early.sum() > 3 and bool(network.doubts) == doubted
    off = np.abs(np.concatenate(found) - np.concatenate(whole))[early]
    assert (np.nan_to_num(off, nan=CLEAR).max() > BOUND) == doubted


def test_late_spikes_agree_once_no_driven_cell_is_at_its_threshold_voltage():
    # ngspice takes 25 mV for each smaller saturation voltage, so its cells at Vto conduct
    setup, states = (
        matching_dataset("mnist").setup,
        load_voltages(ROOT / "voltages" / "mnist.json").states,
    )
    image = matching_dataset("mnist").patterns[2].astype(float)
    off = {}
    for below in (0.0, 0.02):
        moved = np.where(states < 0.03, states - below, states)
        found = Crossbar.of(setup).read(moved, image).spikes
        spiking = found > CLEAR
        whole = WholeNetwork(Network.of(setup, moved), dataclasses.replace(STEPPED, max_step=1e-6))
        off[below] = np.abs(whole.read(image, 800e-6)[0] - found)[spiking]
        assert spiking.sum() == 6 and found[spiking].max() > 700e-6
    assert off[0.02].max() < BOUND < 0.5e-6 < off[0.0].max()
