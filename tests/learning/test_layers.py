"""Multilayer networks in closed form: against integrated membranes, the cell's equations, and the
aims of learning.
"""

import dataclasses

import numpy as np
import pytest

from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning, train
from memristive.network.design import LayerDesign
from memristive.network.networks import Network, thresholds_per_volt, with_bias
from memristive.parameters import ParameterError
from memristor import MemristorParameters, read_current, state_rate
from snn_circuit import NetworkParameters, NeuronParameters
from tests.network.networks import (
    RULE,
    XOR,
    random_network,
    with_gain,
)


def learn(rule, hidden=(16,), **more):
    """Train XOR; return the training."""
    learning = Learning.start(initial_network(hidden, 2, XOR[0], rule), rule)
    for _ in train(learning, rule, *XOR, **more):
        pass
    return learning


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
        (
            lambda: next(train(Learning.start(random_network((2, 2)), RULE), LayeredRule(), *XOR)),
            "presentations",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, word):
    with pytest.raises(ParameterError, match=word):
        call()


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
