"""Chips of layers: what is drawn, and what layers do not know."""

import dataclasses

import numpy as np
import pytest

from learning.chips import Chip
from learning.layer_chips import layer_chips
from spice.parameters import ParameterError

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


@pytest.mark.parametrize("name", ["write_noise", "stuck_off", "cell_threshold", "row_resistance", "decay_rate"])
def test_what_layers_do_not_have_is_refused(name):
    with pytest.raises(ParameterError, match=f"layers know .* not its {name}"):
        layer_chips(Chip(**{name: 0.1}), SIZES)
