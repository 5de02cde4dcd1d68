"""What the studies of layers learn from."""

import numpy as np
import pytest

from workflow.layered import TASKS


def test_shifted_digits_are_the_same_split_with_copies_half_a_pixel_away():
    plain, shifted = TASKS["digits"].data(8, 3), TASKS["digits_shifted"].data(8, 3)
    count = len(plain.labels)
    assert np.array_equal(shifted.test_images, plain.test_images) and np.array_equal(shifted.images[:count], plain.images)
    assert np.array_equal(shifted.labels, np.tile(plain.labels, 5))
    copies = shifted.images.reshape(5, count, 8, 8)
    assert copies[1][:, 1:] == pytest.approx((copies[0][:, 1:] + copies[0][:, :-1]) / 2)  # down
    assert copies[4][:, :, :-1] == pytest.approx((copies[0][:, :, :-1] + copies[0][:, :, 1:]) / 2)  # left
    assert copies.min() >= 0 and copies.max() <= 1
