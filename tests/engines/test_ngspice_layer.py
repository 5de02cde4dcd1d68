"""Layers in ngspice, through circuits that stay loaded: against formulas and the closed form."""

import dataclasses

import numpy as np
import pytest

from memristive.datasets import xpue
from memristive.engines.engine import NgspiceNetwork
from memristive.engines.ngspice_layer import LAST_WAIT
from memristive.learning.build import initial_network
from memristive.learning.hebbian import infer
from memristive.learning.rule import LayeredRule
from memristive.network.chip import Chip, on_chip
from memristive.network.crossbar import Crossbar
from memristive.network.design import LayerDesign, Setup
from memristive.network.networks import Network
from memristive.parameters import ParameterError
from memristive.scores.checks import fit_feedback_resistor
from memristive.scores.decisions import RESOLUTION, decide
from memristive.writing.at_once import ColumnDose
from memristor import (
    MemristorParameters,
    channel_current,
    raised_state,
    trained_state,
)
from snn_circuit import NetworkParameters, NeuronParameters
from tests.network.networks import (
    after_a_write,
    deviations,
    layer_of,
    on_a_chip,
    paper_layer,
    random_network,
)

pytestmark = pytest.mark.usefixtures("ngspice")


@pytest.mark.parametrize(("step", "last"), [(11e-6, 97.5e-6), (60e-6, 118e-6)])
def test_a_read_waits_for_all_spikes_of_the_papers_sample(mnist_setup, step, last):
    """All neurons fire in one sample, the lowest class last: it wins by the paper's rule."""
    setup = mnist_setup.replace(
        schedule=dataclasses.replace(mnist_setup.schedule, sampling_step=step)
    )
    times, image = np.linspace(last, 89e-6, 10), (np.arange(100) < 20).astype(float)
    settled = setup.neuron.threshold / -np.expm1(-(times - 5e-6) / setup.neuron.time_constant)
    # V, states; the closed form of the settled membrane is inverted
    grid = np.linspace(2.0, 6.0, 4001)
    current = channel_current(setup.memristor, raised_state(setup.memristor, grid, 1.0), 1.0)
    states = np.interp(settled, setup.neuron.transresistance * 20 * current, grid)[
        :, None
    ] * np.ones(100)
    spikes = paper_layer(setup).read(states, image)[0]
    # 0.1 % of the gates' lift, and the read's error of 0.3 us
    assert spikes == pytest.approx(times, abs=0.7e-6)
    assert [rule.item() for rule in decide(spikes[None], RESOLUTION, step)] == [9, 0]


def test_failed_read_changes_no_later_one(mnist_setup, digit_images):
    layer, image = paper_layer(mnist_setup), digit_images["binary"][0]
    states = np.random.default_rng(11).normal(3.0, 0.02, (10, 100))
    good, broken = layer.read(states, image, 3)[0], states + 0.5
    broken[5, np.flatnonzero(image)[3]] = np.nan
    with pytest.raises(ParameterError, match="xcell_0_5_"):
        layer.read(broken, image, 3)
    for levels in (image, digit_images["binary"][7], image):
        layer.reset()
        again = layer.read(states, levels, 3)[0]
    assert again == pytest.approx(good, rel=1e-9, nan_ok=True) and not np.isnan(good).all()


@pytest.mark.parametrize("changes", [{"width": 1e-2}, {"oxide_thickness": 1e-8}, {"width": 1e-3}])
def test_large_gates_keep_their_charge_in_a_read(changes):
    """Membranes would fade from pattern to pattern with the tolerance of charges (chgtol) of usual
    reads.
    """
    memristor, patterns = MemristorParameters(**changes), xpue().patterns
    setup = fit_feedback_resistor(Setup(memristor), patterns)
    states = trained_state(memristor, setup.schedule.input_voltage * patterns, setup.schedule.pulse)
    exact = Crossbar.of(setup).first_spikes(states, patterns)
    for found in (
        infer(setup, states, patterns).spikes,
        np.array([paper_layer(setup, 4, 9).read(states, image, 5)[0] for image in patterns]),
    ):
        both = np.isfinite(found) & np.isfinite(exact)
        assert both.sum() >= 4 and found[both] == pytest.approx(
            exact[both], abs=3e-6 if "width" in changes else 0.6e-6
        )


# Writes of the paper's layer


@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_writes_of_cells_below_their_input_are_those_of_the_closed_form(spread):
    """The usual time steps would be off by up to 0.8 mV a write. On a chip the cells' thresholds
    decide about the steps.
    """
    setup = Setup()
    cells = Chip(1, 6, cell_threshold=spread).cells(setup.memristor)
    start, image = cells.threshold_voltage[0] + np.array([0.1, 0.2, 0.3, 0.5, 0.7, 1.2]), np.ones(6)
    chip = Chip(1, 6, cell_threshold=spread)
    layer, states = paper_layer(on_chip(setup, chip), 1, 6), start
    for sign in 5 * [1, -1]:
        exact = after_a_write(setup, cells.at(0), states, image, sign * 0.005)
        states = layer.write(
            states[None], [ColumnDose(0, sign * 0.005, image)], np.random.default_rng(0)
        )[0]
        assert states == pytest.approx(exact, abs=0.05e-3)
    assert states == pytest.approx(start, abs=0.5e-3)


# Networks of layers

SIZES = (9, 12, 8, 4)


@pytest.fixture(scope="module")
def network():
    return random_network(SIZES, seed=5, spread=1.0)


@pytest.fixture(scope="module")
def images():
    """Grey levels, some rows dark."""
    rng = np.random.default_rng(7)
    return rng.random((5, SIZES[0])) * (rng.random((5, SIZES[0])) < 0.7)


def test_a_read_goes_on_if_a_spike_comes_later_than_predicted():
    """Op-amps of low gain and large output resistance delay the spike of a membrane that settles
    little above its threshold.
    """
    neuron = NeuronParameters(threshold=5.7, amplifier_gain=100, amplifier_output_resistance=3e3)
    network = Network(
        (np.full((1, 3), 6.0),), NetworkParameters(neuron=neuron), LayerDesign(window=2e-3)
    )
    predicted, found = (
        network.first_spikes(np.ones((1, 2)))[0, 0],
        NgspiceNetwork(network).read(network, np.ones(2))[0][-1][0],
    )
    assert found > predicted + LAST_WAIT


@pytest.mark.parametrize("chip", [False, True])
def test_rows_assigned_to_many_images_and_columns_in_blocks_read_as_the_closed_form(chip):
    """70 columns are read in one block with up to 30 rows, in two with 40; states change as after
    writes.
    """
    network = random_network((36, 70, 4), seed=2, spread=1.0)
    network = on_a_chip(network) if chip else network
    rng, reader = np.random.default_rng(1), NgspiceNetwork(network)
    for driven in (6, 33, 7):
        image = np.zeros(36)
        image[rng.permutation(36)[:driven]] = rng.uniform(0.3, 1.0, driven)
        times, _, _ = reader.read(network, image)
        assert max(deviations(times, [layer[0] for layer in network.forward(image[None])])) < 0.1e-6
        network = dataclasses.replace(
            network,
            states=tuple(
                states + rng.normal(0, 0.2, states.shape) * (rng.random(states.shape) < 0.3)
                for states in network.states
            ),
        )


@pytest.mark.parametrize(("window", "fires"), [(150e-6, False), (300e-6, True)])
@pytest.mark.parametrize("layers", [1, 2])
def test_reads_last_as_long_as_the_window(layers, window, fires):
    """A bias of 2.09 V above X_ref settles the membrane at 1.36 thresholds of 4 V and fires after
    about 200 us.
    """
    parameters = NetworkParameters(neuron=NeuronParameters(threshold=4.0))
    design = LayerDesign(window=window)
    network = Network((np.array([[5.0, 7.09]]),) * layers, parameters, design)
    for spike in (
        NgspiceNetwork(network).read(network, np.zeros(1))[0][-1][0],
        network.first_spikes(np.zeros((1, 1)))[0, 0],
    ):
        assert spike == pytest.approx(200e-6 if fires else np.nan, abs=5e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("design", "vto", "off"), [({"row_voltage": 7.0}, 0.0, 0.3e-6), ({}, 3.8, 0.15e-6)]
)
def test_cells_that_are_not_well_above_their_rows_are_read_with_finer_steps(design, vto, off):
    """The usual time steps would be off by microseconds, because cells at X_ref are little above
    their rows.
    """
    images = np.random.default_rng(1).random((2, 6))
    parameters = NetworkParameters(memristor=MemristorParameters(threshold_voltage=vto))
    rule = LayeredRule(start_drive=3.0, start_weight=0.6)
    network = initial_network((8,), 2, images, rule, LayerDesign(**design), parameters)
    found = np.array(
        [NgspiceNetwork(network).read(network, image, label=0)[0][-1] for image in images]
    )
    exact = network.first_spikes(images)
    assert np.isfinite(exact).all() and found == pytest.approx(exact, abs=off)


@pytest.mark.parametrize("chip", [False, True])
@pytest.mark.parametrize(
    ("k", "errors"),
    [(2, [0.0, 1, 0, 0]), (2, [0.4, -0.2, 1.0, -0.7]), (1, np.linspace(-2.0, 4.0, SIZES[2]))],
)
def test_back_reads_agree_with_the_closed_form(network, chip, k, errors):
    """The reference column carries the negative sum of the errors."""
    network = on_a_chip(network) if chip else network
    found = layer_of(network, k).read_back(network.states[k], np.array(errors))
    assert found == pytest.approx(network.read_back(k, np.array(errors)), abs=2e-3)


def one_column(network):
    return dataclasses.replace(network, states=(np.zeros((1, 65)),))


def written(network, column, levels, high, pulse):
    """States after a write by the formula: K V t / (C + C_gate) less the leak."""
    memristor = network.parameters.memristor
    leak = (
        abs(pulse)
        * high.max()
        * column
        / (memristor.leak_resistance * memristor.memory_capacitance)
    )
    return (
        column
        + memristor.transconductance / memristor.memory_capacitance * pulse * levels * high
        - leak
    )


# a phi of 1.2 V does not cross 1.3 V
@pytest.mark.parametrize(("sign", "switch_threshold"), [(1, 0.5), (-1, 0.5), (1, 1.3)])
def test_a_write_is_the_overlap_of_row_and_window(sign, switch_threshold):
    memristor = MemristorParameters(switch_threshold=switch_threshold)
    network = Network((np.full((2, 5), 5.0),), NetworkParameters(memristor=memristor))
    column = np.array([3.0, 4.0, 5.0, 6.0, 7.0])
    levels, high = np.array([1.0, 0.5, 1.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.3, 0.0, 0.7])
    found = layer_of(network, 0).write_column(
        np.tile(column, (2, 1)), 1, levels, high, sign * 60e-6
    )
    assert found == pytest.approx(written(network, column, levels, high, sign * 60e-6), abs=2e-4)


@pytest.mark.parametrize("alike", [True, False])
def test_short_writes_give_their_dose_at_a_lower_voltage(network, alike):
    """Pulses of 0.4 ns at 1 V make ngspice stop, so such writes get a lower voltage and a longer
    pulse.
    """
    rng, layer = np.random.default_rng(2), layer_of(one_column(network), 0)
    levels, column = rng.random(65) * (rng.random(65) < 0.6), 5 + rng.normal(0, 0.2, 65)
    high = np.ones(65) if alike else rng.random(65)
    for pulse in (-1e-16, -0.4e-9, 3e-9, -20e-9):
        dose = written(network, column, levels, high, pulse) - column
        assert layer.write_column(column[None], 0, levels, high, pulse) - column == pytest.approx(
            dose, rel=1e-2, abs=5e-6
        )
