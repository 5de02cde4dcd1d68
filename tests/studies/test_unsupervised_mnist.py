"""MNIST without labels, as the study runs it."""

import numpy as np

from memristive.io.records import load_results, load_table
from memristive.io.voltages import load_voltages
from memristive.learning.stdp_learning import (
    MnistLearning,
    NetworkState,
    draw_start,
    read_in_closed_form,
)
from studies.unsupervised_mnist import main

LEARNING = MnistLearning(neurons=10, epochs=1, seed=3)


def test_ten_neurons_learn_the_training_set_once(tmp_path, digit_images, mnist):
    main(
        [
            "--neurons",
            "10",
            "--seed",
            "3",
            "--set",
            "learning.epochs=1",
            "--samples",
            "3",
            "--results",
            str(tmp_path),
            "--voltages",
            str(tmp_path / "v.json"),
            "--figures",
            str(tmp_path),
        ]
    )
    record, rows = (
        load(tmp_path / "mnist_stdp_grey_10_seed_3.json") for load in (load_results, load_table)
    )
    learned = load_voltages(tmp_path / "v.json", "mnist", 10, 100)
    network = NetworkState(learned.states, np.array(learned.origin["homeostasis"]))
    assert (
        network.homeostasis.max() > 0.1
        and np.abs(network.states - draw_start(LEARNING, 100, 1)[0].states).max() > 1.0
    )
    spikes = read_in_closed_form(
        LEARNING, network, digit_images["grey"], np.array(learned.origin["digits"])
    )
    assert (
        np.mean(np.nanargmin(np.nan_to_num(spikes, nan=1.0), axis=1) == mnist["y_test"][:40]) > 0.5
    )
    assert rows.engine.tolist() == ["closed-form", "ngspice"] and rows.images.tolist() == [
        10_000,
        3,
    ]
    assert 0.6 < rows.strict_accuracy[0] < 0.7 and record["different_decisions"] == []
    assert len(list(tmp_path.glob("*.png"))) == 3
