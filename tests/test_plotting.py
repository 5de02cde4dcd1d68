"""Figures show their data where they belong: units, scales, positions."""

import numpy as np
import pytest

from memristive import plotting


def test_non_uniform_time_is_drawn_where_it_belongs():
    # most points lie within 3 us of 10 ms
    time = np.array([0, 1e-3, 1.001e-3, 1.002e-3, 1.003e-3, 10e-3])
    rows = np.tile([0, 0, 1.0, 1.0, 0, 0], (30, 1))
    image = plotting.pulses(time, rows, "input").axes[0].images[0].get_array()
    assert image[0].argmax() / image.shape[1] == pytest.approx(0.1, abs=0.01)
