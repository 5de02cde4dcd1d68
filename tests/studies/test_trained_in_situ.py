"""Letters z, v, n: signs of both rules by hand."""

import numpy as np

from studies.trained_in_situ import spike_signal


def test_only_wrong_images_count_for_the_first_spike_rule():
    spikes = np.array([[1e-4, 2e-4, np.nan], [1e-4, 2e-4, np.nan], [np.nan, np.nan, np.nan]])
    signal = spike_signal(spikes, np.array([0, 1, 2]))
    assert signal.tolist() == [[0, 0, 0], [-1, 1, 0], [0, 0, 1]]
