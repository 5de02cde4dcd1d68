"""Multilayer networks in closed form: against integrated membranes, the cell's equations, and the
aims of learning.
"""

import dataclasses

import numpy as np
import pytest

from memristive.engines.engine import NgspiceNetwork
from memristive.engines.solvers import READING_LAYERS
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule, overlap_times
from memristive.learning.training import Learning, train
from memristive.network.design import LayerDesign
from memristive.network.networks import Network, thresholds_per_volt, with_bias
from memristive.parameters import ParameterError
from memristor import MemristorParameters, read_current, state_rate
from snn_circuit import NetworkParameters, NeuronParameters
from tests.network.networks import (
    RULE,
    XOR,
    deviations,
    random_network,
    with_gain,
)


def learn(rule, hidden=(16,), **more):
    """Train XOR; return the training."""
    learning = Learning.start(initial_network(hidden, 2, XOR[0], rule), rule)
    for _ in train(learning, rule, *XOR, **more):
        pass
    return learning


@pytest.mark.parametrize("sizes", [(6, 5, 3), (5, 6, 5, 3)])
def test_op_amps_of_a_low_gain_load_columns_as_in_ngspice(ngspice, sizes):
    """Each column takes some of its current, and that of all its cells; without these losses spikes
    come too early.
    """
    images = np.array([np.linspace(0.2, 1.0, sizes[0]), np.linspace(1.0, 0.4, sizes[0])])
    network, ideal = (with_gain(random_network(sizes), gain) for gain in (1e4, 1e8))
    reader = NgspiceNetwork(network, READING_LAYERS.tightened(4))
    for image in images:
        found = reader.read(network, image, wanted=sizes[-1])[0]
        closed, free = (
            [times[0] for times in each.forward(image[None])] for each in (network, ideal)
        )
        assert max(deviations(found, closed)) < 0.2e-6 and max(deviations(found, free)) > 0.18e-6


def test_back_read_of_a_hidden_layer_is_the_weighted_sum_for_errors_of_any_size():
    network = random_network((30, 40, 25, 4), spread=1.0)
    errors = np.random.default_rng(4).normal(0.1, 1.0, 25)
    expected = (errors @ (network.states[1] - network.design.reference_state))[:-1]
    for size in (0.1, 1.0, 5.0):
        assert network.read_back(1, size * errors) / size == pytest.approx(
            expected, abs=20e-3 * max(1.0, size)
        )
    assert np.abs(expected).max() > 3.0


def test_a_silent_network_is_silent_and_a_driven_one_fires_at_the_logarithm():
    quiet = Network((np.full((2, 3), 5),))
    assert np.isnan(quiet.first_spikes(np.ones((1, 2)))).all()
    # the bias alone; whole numbers are floats
    network = with_gain(Network((np.array([[5, 5, 8]]),)), 1e8)
    current = read_current(MemristorParameters(), 8.0, 1.0) - read_current(
        MemristorParameters(), 5.0, 1.0
    )
    drive = network.design.transresistance * current / network.parameters.neuron.threshold
    assert drive == pytest.approx(
        3 * thresholds_per_volt(network.parameters, network.design), rel=3e-3
    )
    spike = network.first_spikes(np.zeros((1, 2)))[0, 0]
    assert spike == pytest.approx(150e-6 * np.log(drive / (drive - 1)) + 0.5e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: Network((np.ones((3, 5)), np.ones((2, 3)))), "rows"),
        (lambda: random_network((2, 3, 2)).forward(np.ones((1, 3))), "images"),
        (lambda: random_network((2, 3, 2)).read_back(1, np.ones(3)), "errors"),
        (
            lambda: next(train(Learning.start(random_network((2, 2)), RULE), LayeredRule(), *XOR)),
            "presentations",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, word):
    with pytest.raises(ParameterError, match=word):
        call()


def test_first_write_moves_label_up_wrong_neuron_down_and_hidden_columns_by_their_back_reads():
    rule = dataclasses.replace(RULE, presentations=1, margin=1e-4)
    before = initial_network((16,), 2, XOR[0], rule)
    image, label = XOR[0][k := rule.order(4, 0, 1)[0]], XOR[1][k]
    times = before.forward(image[None])
    after = learn(rule).network
    change = after.states[1] - before.states[1]
    high = overlap_times(np.append(times[0][0], 0.5e-6), times[1][0, label], 150e-6) / 150e-6
    # Less the leak: window x X / 3.55 s, with windows up to a pulse of 0.2 ms.
    assert change[label] == pytest.approx(rule.output_dose * high, abs=6e-4)
    assert (change[1 - label] <= 1e-12).all() and change[1 - label].min() < -0.01
    written = np.abs(after.states[0] - before.states[0]).max(axis=1) > 0
    back = before.read_back(1, np.array([1.0, -1.0]) * (1 if label == 0 else -1))
    expected = rule.hidden_dose * back[:, None] * np.append(image, 1.0)
    assert (after.states[0] - before.states[0])[written] == pytest.approx(
        expected[written], abs=6e-4
    )
    assert written.sum() >= np.sum(~np.isnan(times[0]))


@pytest.mark.parametrize("volts", [0.5, 1.0, 2.0])
def test_a_write_has_its_dose_at_any_row_voltage(volts):
    rule, design = (
        dataclasses.replace(RULE, presentations=1),
        LayerDesign(row_voltage=volts, transresistance=20e3 / volts),
    )
    moved = []
    for seed in range(5):  # also images without an error
        start = initial_network((), 2, XOR[0], dataclasses.replace(rule, seed=seed), design)
        learning = Learning.start(start, rule)
        list(train(learning, rule, *XOR))
        moved.append(np.abs(learning.network.states[0][:, -1] - start.states[0][:, -1]).max())
    assert max(moved) == pytest.approx(rule.output_dose, rel=0.02)


def test_a_written_column_leaks_where_its_rows_are_dark_and_no_other_does():
    """dX/dt = -X / (R_leak (C + C_gate)) during the write, whose duration the bright rows
    determine.
    """
    memristor, rule = (
        MemristorParameters(leak_resistance=1e9),
        LayeredRule(presentations=1, output_dose=0.1),
    )
    start = np.array([[5.0, 6.0, 5.5], [5.0, 6.0, 5.5]])
    learning = Learning.start(Network((start,), NetworkParameters(memristor=memristor)), rule)
    list(train(learning, rule, np.array([[1.0, 0.0]]), np.array([0])))
    written, other = learning.network.states[0]
    seconds = 0.1 / float(state_rate(memristor, 1.0))
    left = np.exp(-seconds / (memristor.leak_resistance * memristor.memory_capacitance))
    assert left < 0.99 and written[1] == pytest.approx(6.0 * left, rel=3e-4)
    assert written[0] == pytest.approx(5.0 * left + 0.1, rel=1e-3) and np.array_equal(
        other, start[1]
    )


@pytest.mark.parametrize("hidden", [(16,), (16, 12)])
def test_hidden_layers_learn_xor(hidden):
    for seed in range(4):
        times = learn(
            dataclasses.replace(RULE, presentations=2000, seed=seed), hidden
        ).network.first_spikes(XOR[0])
        assert np.array_equal(np.nan_to_num(times, nan=1).argmin(axis=1), XOR[1])


@pytest.mark.parametrize(
    ("design", "neuron", "per_volt"),
    [
        # thresholds a volt: 20 kV/A x 0.13 mA/V^2 x 0.5 V / 2 V
        (LayerDesign(row_voltage=0.5, reference_state=7.0), NeuronParameters(threshold=2.0), 0.65),
    ],
)
def test_start_has_the_distributions_of_the_rule(design, neuron, per_volt):
    images = np.random.default_rng(3).random((300, 50))
    rule = LayeredRule(
        start_drive=2.0, start_drive_spread=0.5, start_weight=0.4, start_weight_spread=1.1
    )
    network = initial_network(
        (400, 200), 10, images, rule, design, NetworkParameters(neuron=neuron)
    )
    drives = with_bias(images) @ (network.states[0] - design.reference_state).T * per_volt
    assert drives.mean() == pytest.approx(2.0, abs=0.2) and drives.std(
        axis=1
    ).mean() == pytest.approx(0.5, rel=0.15)
    last = network.states[-1]
    assert (last.mean() - design.reference_state, last.std()) == pytest.approx((0.4, 1.1), abs=0.05)
    fires = with_bias(~np.isnan(network.forward(images)[0]))
    drives = fires @ (network.states[1] - design.reference_state).T * per_volt
    assert drives.mean() == pytest.approx(2.0, abs=0.3)
