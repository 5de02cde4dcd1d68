"""MNIST without labels, as the study runs it."""

import numpy as np

from memristive.io.records import load_results, load_table
from memristive.io.voltages import load_voltages
from memristive.scores.decisions import RESOLUTION, decide
from memristive.stdp.stdp_learning import (
    MnistLearning,
    NetworkState,
    read_in_closed_form,
)
from studies.unsupervised_mnist import main
from tests.helpers import outputs


def test_ten_neurons_learn_the_training_set_once(tmp_path, digit_images, mnist):
    options = ["--neurons", "10", "--seed", "3", "--set", "learning.epochs=1", "--samples", "3"]
    main([*options, "--voltages", str(tmp_path / "v.json"), *outputs(tmp_path)])
    path = tmp_path / "mnist_stdp_grey_10_seed_3.json"
    record, rows = load_results(path), load_table(path)
    assert rows.images.tolist() == [10_000, 3] and record["different_decisions"] == []
    assert 0.6 < rows.strict_accuracy[0] < 0.7
    learned = load_voltages(tmp_path / "v.json", "mnist", 10, 100)
    spikes = read_in_closed_form(
        MnistLearning(neurons=10, epochs=1, seed=3),
        NetworkState(learned.states, np.array(learned.origin["homeostasis"])),
        digit_images["grey"],
        np.array(learned.origin["digits"]),
    )
    assert np.mean(decide(spikes, RESOLUTION)[0] == mnist["y_test"][:40]) > 0.5
