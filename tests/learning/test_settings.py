"""Settings of hidden layers of devices follow from the images, in thresholds."""

import numpy as np
import pytest

from memristive import Recipe, build, learn
from memristive.learning.settings import HIDDEN_MOVE, START_SPREAD
from memristive.network.networks import thresholds_per_volt, with_bias

RNG = np.random.default_rng(2)
LABELS = np.arange(60) % 3
FEW_ROWS = np.clip(0.5 + 0.2 * RNG.standard_normal((60, 8)), 0, 1)
MANY_ROWS = np.clip(0.5 + 0.3 * RNG.standard_normal((60, 150)), 0, 1)


def drives(network, images):
    """Drives of the hidden neurons in thresholds, images x neurons, without the bias resistor."""
    states, pairs = network.states[0], network.design.pairs
    if pairs:
        positive, negative = np.split(states.reshape(2 * pairs, -1, states.shape[1]), 2)
        weights = (positive - negative).mean(axis=0)
    else:
        weights = states - network.design.reference_state
    per_volt = thresholds_per_volt(network.parameters, network.design)
    return with_bias(network.design.read_levels(images)) @ weights.T * per_volt


@pytest.mark.parametrize("pairs", [1, 3])
@pytest.mark.parametrize("images", [FEW_ROWS, 0.5 * FEW_ROWS, MANY_ROWS])
def test_hidden_neurons_tell_images_apart_at_the_start(images, pairs):
    network, _ = build(Recipe(100, "ideal", pairs=pairs), images, LABELS)
    found = drives(network, images)
    assert found.std(axis=0).mean() == pytest.approx(START_SPREAD, rel=0.15)
    fires = np.isfinite(network.forward(images)[0])
    shares = fires.mean(axis=0)  # of images, by neuron
    assert 0.3 < shares.mean() < 0.7 and shares.min() > 0.1 and shares.max() < 0.9


def moved(images, device="ideal", write="at once", **options):
    """Largest move of a hidden drive by the first write, for the image that is presented."""
    found = []
    for seed in range(1, 5):
        changes = {"rule.presentations": 1, "rule.margin": 1e-3, "pulses.whole": 0}
        recipe = Recipe(100, device, write, seed=seed, changes=changes, **options)
        network, rule = build(recipe, images, LABELS)
        shown = images[rule.order(len(images), 0, 1)]
        after = learn(network, rule, images, LABELS).network
        found.append(np.abs(drives(after, shown) - drives(network, shown)).max())
    return np.mean(found)


@pytest.mark.parametrize("images", [FEW_ROWS, 0.5 * FEW_ROWS, MANY_ROWS])
def test_a_first_write_moves_its_own_image_by_some_thresholds_for_any_images(images):
    """Errors differ by a small factor from neuron to neuron; the largest of 100 counts. A write
    moves both cells of a pair, and one cell without pairs.
    """
    assert 2 * HIDDEN_MOVE < moved(images) < 8 * HIDDEN_MOVE
    for pairs in (0, 2):
        assert moved(images, pairs=pairs) == pytest.approx(moved(images), rel=0.4)


def test_cells_that_forget_are_written_less():
    """A device that loses a write within eight pulses keeps its start weights long enough."""
    _, keeps = build(Recipe(50, "linear"), MANY_ROWS, LABELS)
    network, forgets = build(Recipe(50, "pcmo"), MANY_ROWS, LABELS)
    error = forgets.start_weight_spread
    assert forgets.hidden_dose * error / network.pulses.step < 0.05  # pulses of a full pixel
    assert forgets.hidden_dose < 0.5 * keeps.hidden_dose


@pytest.mark.parametrize("hidden", [(), 20])
def test_drives_are_in_thresholds_of_the_given_neuron(hidden):
    usual, high = (
        build(Recipe(hidden, "epiram", changes=changes), FEW_ROWS, LABELS)[0]
        for changes in ({}, {"neuron.threshold": 6.0})
    )
    assert high.parameters.neuron.threshold == 6.0
    found = [thresholds_per_volt(one.parameters, one.design) for one in (usual, high)]
    assert found[1] == pytest.approx(found[0])


@pytest.mark.parametrize(("pixels", "hidden", "pairs"), [(4096, 4, 0), (9, 3000, 0), (900, 4, 4)])
def test_op_amps_can_take_the_current_of_a_column_of_any_length(pixels, hidden, pairs):
    network, _ = build(Recipe(hidden, pairs=pairs), np.ones((4, pixels)), 2)
    for layer in network.layers:
        cells = layer.rows * (pairs or 1)
        current = cells * layer.memristor.gain * network.design.reference_state  # A, rows at 1 V
        ohm = layer.neuron.amplifier_output_resistance + layer.neuron.feedback_resistance
        assert current * ohm < -1.05 * layer.neuron.rail_low  # no image has all rows high
