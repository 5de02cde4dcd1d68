"""Chips of layers: what is drawn, and what layers do not know."""

import dataclasses

import numpy as np
import pytest

from memristive.multilayer.layer_chips import NOMINAL, layer_chips
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import PRESETS, Chip

SIZES = (9, 12, 4)
TEN_PERCENT = Chip(cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1, seed=3)


def test_spreads_are_those_asked_for_and_layers_draw_their_own():
    big = layer_chips(TEN_PERCENT, (200, 200, 200))
    for own in big:
        assert own.channel.shape == (201, 201) and own.write.shape == (200, 201) and own.threshold.shape == (200,)
        for values in (own.channel, own.write):
            assert values.mean() == pytest.approx(1, abs=3e-3) and values.std() == pytest.approx(0.1, rel=0.02)
        assert own.threshold.std() == pytest.approx(0.1, rel=0.2)
    assert abs(np.corrcoef(big[0].channel.ravel(), big[1].channel.ravel())[0, 1]) < 0.02
    less = layer_chips(dataclasses.replace(TEN_PERCENT, cell_gain=0.0), (200, 200, 200))
    assert np.all(less[0].channel == 1) and np.array_equal(less[0].threshold, big[0].threshold)  # a stream for each deviation
    other = layer_chips(dataclasses.replace(TEN_PERCENT, seed=4), (200, 200, 200))
    assert abs(np.corrcoef(big[0].channel.ravel(), other[0].channel.ravel())[0, 1]) < 0.02


def test_gains_of_writes_have_their_own_spread_and_those_of_the_reference_column_are_left_out():
    """A reference is read but never written: the last column drawn has a channel, and no write gain in use."""
    own = layer_chips(Chip(cell_write_gain=0.2, seed=3), (200, 200))[0]
    assert np.all(own.channel == 1) and own.write.std() == pytest.approx(0.2, rel=0.02)
    drawn = Chip(cell_write_gain=0.2, seed=3, classes=201, inputs=201).cells(NOMINAL.memristor).transconductance
    assert own.write == pytest.approx(drawn[:200] / NOMINAL.memristor.transconductance, rel=1e-12)


def test_each_layer_is_a_chip_with_a_seed_of_its_own():
    layers = layer_chips(dataclasses.replace(TEN_PERCENT, seed=2**32 - 1), SIZES)
    for layer, (seed, rows, columns) in enumerate(((2**32 - 1, 10, 13), (7918, 13, 5))):  # 7919 apart, within 32 bits
        own = dataclasses.replace(TEN_PERCENT, seed=seed, classes=columns, inputs=rows)
        assert layers[layer].channel == pytest.approx(own.cells(NOMINAL.memristor).gain / NOMINAL.memristor.gain, rel=1e-12)
        assert layers[layer].threshold == pytest.approx(own.neurons(NOMINAL.neuron).threshold[:-1] / NOMINAL.neuron.threshold)


def test_spread_of_a_decay_that_there_is_not_changes_nothing():
    assert np.all(layer_chips(Chip(decay_spread=0.3), SIZES)[0].channel == 1)


def test_deviations_that_layers_do_not_have_are_named_with_those_that_they_have():
    with pytest.raises(ParameterError, match=r"cell_gain, cell_write_gain, neuron_threshold, as ten-percent has, not its "
                                             r"stuck_off, write_noise$"):
        layer_chips(Chip(stuck_off=0.1, write_noise=0.1, cell_gain=0.1), SIZES)
    assert layer_chips(PRESETS["ten-percent"], SIZES)[0].channel.std() > 0.05


@pytest.mark.parametrize("name", ["write_noise", "stuck_off", "cell_threshold", "row_resistance", "decay_rate"])
def test_what_layers_do_not_have_is_refused(name):
    with pytest.raises(ParameterError, match=f"layers know .* not its {name}"):
        layer_chips(Chip(**{name: 0.1}), SIZES)
