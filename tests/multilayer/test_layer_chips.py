"""Chips of multilayer networks: distributions, seeds, unsupported deviations."""

import dataclasses

import numpy as np
import pytest

from memristive.multilayer.layer_chips import NOMINAL, layer_chips
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip

SIZES = (9, 12, 4)
TEN_PERCENT = Chip(cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1, seed=3)


def test_deviations_have_the_spreads_of_the_chip_and_are_independent():
    big = layer_chips(TEN_PERCENT, (200, 200, 200))
    for layer in big:
        assert layer.channel.shape == (201, 201) and layer.write.shape == (200, 201) and layer.threshold.shape == (200,)
        for values in (layer.channel, layer.write):
            assert values.mean() == pytest.approx(1, abs=3e-3) and values.std() == pytest.approx(0.1, rel=0.02)
        assert layer.threshold.std() == pytest.approx(0.1, rel=0.2)
    other = layer_chips(dataclasses.replace(TEN_PERCENT, seed=4), (200, 200, 200))
    for one, two in ((big[0].channel, big[1].channel), (big[0].channel, other[0].channel), (big[0].channel[:-1], big[0].write)):
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.02
    less = layer_chips(dataclasses.replace(TEN_PERCENT, cell_gain=0.0), (200, 200, 200))
    assert np.all(less[0].channel == 1) and np.array_equal(less[0].threshold, big[0].threshold)


def test_each_layer_is_a_chip_with_another_seed():
    layers = layer_chips(dataclasses.replace(TEN_PERCENT, seed=2**32 - 1), SIZES)
    for layer, (seed, rows, columns) in enumerate(((2**32 - 1, 10, 13), (7918, 13, 5))):
        part = dataclasses.replace(TEN_PERCENT, seed=seed, classes=columns, inputs=rows)
        cells, nominal = part.cells(NOMINAL.memristor), NOMINAL.memristor
        assert layers[layer].channel == pytest.approx(cells.gain / nominal.gain, rel=1e-12)
        assert layers[layer].write == pytest.approx((cells.transconductance / nominal.transconductance)[:-1], rel=1e-12)
        assert layers[layer].threshold == pytest.approx(part.neurons(NOMINAL.neuron).threshold[:-1] / NOMINAL.neuron.threshold)


def test_unsupported_deviations_are_refused():
    with pytest.raises(ParameterError, match="stuck_off, write_noise"):
        layer_chips(Chip(stuck_off=0.1, write_noise=0.1, cell_gain=0.1), SIZES)
