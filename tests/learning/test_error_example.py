"""The error that figures of multilayer networks show."""

import numpy as np

from memristive.commands.train import find_error
from memristive.learning.rule import LayeredRule
from tests.network.networks import random_network


def test_the_example_is_the_first_image_that_the_rule_writes_for():
    network = random_network((4, 6, 3), seed=1, spread=1.5)
    images = np.random.default_rng(4).random((200, 4))
    times = network.first_spikes(images)
    fired = (~np.isnan(times)).sum(axis=1) >= 2
    images, ordered = images[fired], np.sort(times[fired], axis=1)
    first, second = np.argsort(times[fired], axis=1)[:, :2].T
    leads = ordered[:, 1] - ordered[:, 0]
    short = int(np.argmin(leads))
    image, *neurons = find_error(network, LayeredRule(margin=leads[short] * 1.0001), images, first)
    assert neurons == [first[short], second[short]] and np.array_equal(image, images[short])
    assert find_error(network, LayeredRule(margin=0.0), images, first) is None
