"""Letters z, v, n: signs of both rules by hand."""

import numpy as np
import pytest

from studies.trained_in_situ import SLOPE, output_signal, spike_signal


def test_outputs_that_are_too_low_rise_and_saturated_ones_count_little():
    signal = output_signal(np.array([[0.0, 0.0, 50.0]]), np.array([0]))
    slope = 1 - np.tanh(50 * SLOPE)**2
    assert signal[0] == pytest.approx([0.85, -0.85, (-0.85 - np.tanh(50 * SLOPE)) * slope])


def test_only_wrong_images_count_for_the_first_spike_rule():
    spikes = np.array([[1e-4, 2e-4, np.nan], [1e-4, 2e-4, np.nan], [np.nan, np.nan, np.nan]])
    signal = spike_signal(spikes, np.array([0, 1, 2]))
    assert signal.tolist() == [[0, 0, 0], [-1, 1, 0], [0, 0, 1]]
