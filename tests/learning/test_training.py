"""Training on any engine: against the closed form, on noisy chips, resumed, and with given
spikes.
"""

import dataclasses

import numpy as np
import pytest

from memristive.datasets import encode
from memristive.learning.build import initial_network, paper_network
from memristive.learning.rule import ErrorDrivenRule
from memristive.learning.training import Learning, learn, train
from memristive.network.chip import Chip
from memristive.network.design import ENGINES, LayerDesign, Setup
from memristive.network.networks import Network, network_on_chip
from memristor import MemristorParameters
from tests.network.networks import PULSED_IMAGES, PULSED_RULE, XOR, measured_network, on_a_chip
from tests.network.networks import RULE as HIDDEN_RULE

CHIP = Chip(
    seed=3, read_noise=0.05, write_noise=0.5, stuck_off=0.05, stuck_on=0.05, cell_threshold=0.05
)
RULE = ErrorDrivenRule(presentations=60, start_state=4.5, dose=0.1, margin=1e-6, seed=4)

pytestmark = pytest.mark.usefixtures("ngspice")


@pytest.fixture(scope="module")
def training_set(mnist):
    """Sixty grey training images and their labels."""
    return encode(mnist["x_train"][:60], 10, "grey"), mnist["y_train"][:60].astype(int)


def learned(engine, setup, chip, rule, training_set):
    """A training of the paper's layer."""
    images, labels = training_set
    start = network_on_chip(paper_network(setup, rule, max(labels) + 1, images.shape[1]), chip)
    return learn(start, rule, images, labels, engine=engine)


def test_both_engines_learn_the_same_on_a_leaky_chip_with_noise(mnist_setup, training_set):
    rule, chip = (
        dataclasses.replace(RULE, presentations=12),
        dataclasses.replace(CHIP, cell_capacitance=0.4),
    )
    leaky = mnist_setup.replace(
        memristor=MemristorParameters(leak_resistance=1e9, capacitance=1e-12)
    )
    simulated, computed = (learned(name, leaky, chip, rule, training_set) for name in ENGINES)
    assert (simulated.history == computed.history).all() and simulated.history[:, 1].sum() >= 8
    # writes of 0.1 V
    assert simulated.network.states[0] == pytest.approx(computed.network.states[0], abs=3e-3)


@pytest.mark.parametrize("name", ENGINES)
def test_a_resumed_training_meets_the_same_noise(name):
    """A closed-form training reports, and can be interrupted, after a block of presentations."""
    count, stop = (6, 2) if name == "ngspice" else (1200, 1000)
    rule, labels = dataclasses.replace(RULE, presentations=count), np.arange(2)
    images = np.array([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])
    whole = learned(name, Setup(), CHIP, rule, (images, labels))
    start = network_on_chip(paper_network(Setup(), rule, 2, 3), CHIP)
    stopped = Learning.start(start, rule)
    for done, _ in train(stopped, rule, images, labels, engine=name):
        if done == stop:
            break
    resumed = Learning.start(start, rule).restored(stopped.arrays())
    assert resumed.done == stop
    list(train(resumed, rule, images, labels, engine=name))
    assert (whole.network.states[0] == resumed.network.states[0]).all() and (
        whole.history == resumed.history
    ).all()


def test_a_resumed_training_draws_the_same_pulses():
    """Equal images of different classes bring errors until the end."""
    start, images, labels = measured_network("epiram", (), 1), np.ones((8, 6)), np.arange(8) % 3
    rule = dataclasses.replace(PULSED_RULE, presentations=1100)
    whole, stopped = (Learning.start(start, rule) for _ in range(2))
    list(train(whole, rule, images, labels))
    next(train(stopped, rule, images, labels))
    resumed = Learning.start(start, rule).restored(stopped.arrays())
    assert resumed.done == 1000
    list(train(resumed, rule, images, labels))
    assert whole.history[1000:, 1].sum() > 10
    assert np.array_equal(whole.network.states[0], resumed.network.states[0])


@pytest.mark.parametrize("device", [None, "epiram", "li-1t1r"])
def test_a_training_learns_the_same_however_often_it_reports(device):
    """Noise of a chip, whole pulses that wait, and gates leak or are drawn in blocks."""
    if device:
        start, rule = measured_network(device, (), 1, late=device == "epiram"), PULSED_RULE
    else:
        start, rule = network_on_chip(paper_network(Setup(), RULE, 3, 6), CHIP), RULE
    rule, labels = dataclasses.replace(rule, presentations=1100), np.arange(8) % 3
    whole, parts = (Learning.start(start, rule) for _ in range(2))
    list(train(whole, rule, PULSED_IMAGES, labels))
    reports = [done for done, _ in train(parts, rule, PULSED_IMAGES, labels, block=7)]
    assert len(reports) >= 11 and whole.history[:, 1].sum() > 100
    for name, values in whole.arrays().items():
        assert np.array_equal(values, parts.arrays()[name]), name


def test_doses_of_a_silent_neuron_fall_to_a_hundredth():
    """No neuron fires: the right column gains (1 - k/300) x 1 mV a presentation, at least 10 uV
    (edges take 2 %).
    """
    rule = ErrorDrivenRule(presentations=300, dose=1e-3)
    (found,) = learn(
        Network.of(Setup(), np.zeros((2, 3))), rule, np.ones((1, 3)), np.zeros(1, int)
    ).network.states
    expected = 1e-3 * np.maximum(1 - np.arange(300) / 300, 0.01).sum()
    assert found == pytest.approx(np.array([[expected] * 3, [0.0] * 3]), rel=0.03)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("label", range(3))
def test_of_a_tie_the_lower_class_counts_as_first_and_the_right_and_one_wrong_column_are_written(
    engine, label
):
    rule = ErrorDrivenRule(presentations=1, start_state=7.0, dose=0.2)
    start = paper_network(Setup(), rule, 3, 9)
    learning = learn(start, rule, np.ones((1, 9)), np.array([label]), engine=engine)
    assert learning.history.tolist() == [[label == 0, True]]
    moved = np.delete(learning.network.states[0] - start.states[0], label, 0).mean(axis=1)
    assert learning.network.states[0][label] - 7.0 == pytest.approx(np.full(9, 0.2), rel=0.03)
    assert sorted(moved) == pytest.approx([-0.2, 0.0], rel=0.03, abs=1e-4)


def test_writes_of_a_chip_have_other_noise_in_each_thousand_presentations():
    """No neuron fires, so each presentation adds the same dose to the right column, times a factor
    with a mean of 1 and the spread of the chip. The factors of presentations k and k + 1000 have
    nothing in common.
    """
    rule, chip = ErrorDrivenRule(presentations=2000, dose=1e-3), Chip(write_noise=0.2, seed=1)
    start = network_on_chip(Network.of(Setup(), np.zeros((2, 1))), chip)
    learning, found = Learning.start(start, rule), [0.0]
    for _ in train(learning, rule, np.ones((1, 1)), np.zeros(1, int), block=1):
        found.append(learning.network.states[0][0, 0])
    doses = 1e-3 * np.maximum(1 - np.arange(2000) / 2000, 0.01)
    first, second = (np.diff(found) / doses).reshape(2, -1)
    assert first.mean() == pytest.approx(1, abs=0.05)
    assert first.std() == pytest.approx(0.2, rel=0.1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15


# Several layers


@pytest.mark.parametrize(
    ("hidden", "chip", "scale", "volts"),
    [
        ((6,), False, 1, 1.0),
        ((6,), True, 1, 1.0),
        ((6, 5), False, 3, 1.0),
        ((6, 5), True, 1, 0.5),
        ((6,), False, 1, 2.0),
    ],
)
def test_training_in_ngspice_finds_the_errors_and_makes_the_writes_of_the_closed_form(
    hidden, chip, scale, volts
):
    images, labels = XOR
    rule = dataclasses.replace(
        HIDDEN_RULE, presentations=12, error_scale=scale * HIDDEN_RULE.error_scale
    )
    start = initial_network(
        hidden, 2, images, rule, LayerDesign(row_voltage=volts, transresistance=20e3 / volts)
    )
    start = on_a_chip(start) if chip else start
    closed, circuit = learn(start, rule, images, labels), Learning.start(start, rule)
    steps = list(train(circuit, rule, images, labels, engine="ngspice"))
    assert circuit.history[:, 1].sum() >= 2
    assert np.array_equal(circuit.history, closed.history)
    assert steps[-1] == (12, closed.history[:, 0].mean())
    for ours, theirs, before in zip(
        circuit.network.states, closed.network.states, start.states, strict=True
    ):
        assert ours == pytest.approx(theirs, abs=3e-3)
        assert np.abs(theirs - before).max() > 0.05
