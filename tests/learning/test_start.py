"""Building networks for images, and all that is done with them: learn, read, save, load."""

import numpy as np
import pytest

from datasets import matching_dataset
from memristive import Chip, build, learn, load, network_on_chip, read, save
from memristive.learning.training import Learning, train
from memristive.network.decisions import score_row
from memristive.network.networks import no_counts

CHIP = Chip(seed=2, cell_gain=0.05, cell_write_gain=0.05, neuron_threshold=0.05)
RNG = np.random.default_rng(1)
IMAGES, LABELS = RNG.random((40, 100)), np.arange(40) % 10


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"hidden": (50,), "device": "epiram"}, (100, 50, 10)),
        ({"device": "pcmo", "pairs": 0}, (100, 10)),
        ({"hidden": (20,)}, (100, 20, 10)),
        ({}, (100, 10)),
    ],
)
def test_a_network_learns_and_comes_back_from_its_file_on_its_chip(
    tmp_path, ngspice, options, sizes
):
    network, rule = build(IMAGES, 10, chip=CHIP, presentations=30, **options)
    assert network.sizes == sizes and rule.presentations == 30
    learning = learn(network, rule, IMAGES, LABELS)
    assert (
        learning.history[:, 1].any() and (learning.network.states[-1] != network.states[-1]).any()
    )
    save(tmp_path / "network.json", learning.network, rule)
    loaded, images = load(tmp_path / "network.json"), IMAGES[:3]
    spikes = read(learning.network, images)
    assert np.array_equal(read(loaded, images), spikes, equal_nan=True)
    assert not np.array_equal(read(network_on_chip(loaded, None), images), spikes, equal_nan=True)
    simulated = read(loaded, images, engine="ngspice")
    seen = ~np.isnan(simulated)
    assert simulated[seen] == pytest.approx(spikes[seen], abs=0.5e-6) and seen.any()


def test_synapses_that_write_late_learn_more_with_fewer_pulses():
    """PCMO's curves bend most, and rounding at random wastes most of its pulses."""
    dataset = matching_dataset("digits")
    for seed in (1, 2, 3):
        accuracies, pulses = [], []
        for late in (False, True):
            network, rule = build(
                dataset.training.levels,
                10,
                device="pcmo",
                late=late,
                presentations=5000,
                seed=seed,
            )
            counts, learning = no_counts(network), Learning.start(network, rule)
            for _ in train(learning, rule, *dataset.training, counts=counts):
                pass
            spikes = learning.network.first_spikes(dataset.test.levels)
            accuracies.append(score_row(dataset.test.labels, spikes)["strict_accuracy"])
            pulses.append(counts.pulses[0].mean())
        assert accuracies[1] > accuracies[0] + 0.02 and pulses[1] < pulses[0]
