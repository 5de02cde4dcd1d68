"""Agreement of both engines: differences are found and have the right size."""

import dataclasses

import numpy as np
import pytest

from datasets import digits_012345, matching_dataset, xpue
from memristive.engines.solvers import READING, TRAINING
from memristive.io.records import NotOverwritten, load_results, load_table, save_decisions
from memristive.io.voltages import describe_network, save_voltages
from memristive.learning.build import initial_network
from memristive.learning.hebbian import infer, train_hebbian
from memristive.learning.training import Learning, learn, train
from memristive.scores.decisions import RESOLUTION
from studies.agreement import (
    compare_layers,
    compare_training,
    main,
    networks,
    ngspice_spikes,
)
from tests.helpers import outputs

DIGITS = matching_dataset("digits")
WINDOW = 150e-6


@pytest.mark.parametrize("dataset", [xpue(), digits_012345()], ids=["xpue", "012345"])
def test_tightened_tolerances_change_no_trained_voltage_and_no_spike(ngspice, dataset):
    """Changes above 0.1 % of a voltage, or 1 us, would fail."""
    usual, tight = (
        train_hebbian(dataset.setup, dataset.patterns, solver).states
        for solver in (TRAINING, TRAINING.tightened(2))
    )
    assert tight == pytest.approx(usual, abs=1e-3 * usual.max())
    spikes, exact = (
        infer(dataset.setup, usual, dataset.patterns, solver).spikes
        for solver in (READING, READING.tightened())
    )
    assert spikes == pytest.approx(exact, abs=1e-6, nan_ok=True)


def test_study_compares_the_tests_of_all_networks(ngspice, tmp_path):
    for network in networks():
        spikes = network.exact[:30]
        save_decisions(
            tmp_path / f"{network.name.replace('mnist', 'mnist_test')}_decisions.csv.gz",
            network.dataset.test.labels[:30],
            spikes,
            RESOLUTION,
            network.setup.schedule,
        )
        assert ngspice_spikes(network, tmp_path) == pytest.approx(spikes, abs=0.06e-9, nan_ok=True)
    main(["reads", "--samples", "1", "--writes", "3", *outputs(tmp_path)])
    record = load_results(tmp_path / "engines.json")
    assert [row["network"] for row in record["rows"]] == [network.name for network in networks()]
    for row in record["rows"]:
        assert (
            row["leads_differ_max_ns"] < 0.2
            and row["decisions_that_differ"] == row["decisions_that_tolerances_change"] == 0
        )
        assert 0 < row["spikes_that_tolerances_change_max_ns"] < 1000
    errors = np.array([step["rms_difference_ns"] for step in record["steps"]]).reshape(3, -1)
    assert (errors[:, -1] < errors[:, 0] / 10).all() and record["writes"]["share_of_bound"] < 1


def by_layer(*reads):
    """First spikes in s of each layer (images x neurons), from the layers in us of each image."""
    return [1e-6 * np.array(layer) for layer in zip(*reads, strict=True)]


def test_differences_are_counted_by_layer():
    found = by_layer(([10, np.nan], [30, 20]), ([10, 20], [30, 20]), ([10, 20], [20, 30]))
    exact = by_layer(([12, 50], [30, 21]), ([10, 20], [29, 29.01]), ([11, 20], [20, 30]))
    rows, differing = compare_layers(found, exact, WINDOW)
    assert [row["largest_difference_s"] for row in rows] == pytest.approx([2e-6, 9.01e-6])
    assert [row["mean_largest_difference_s"] for row in rows] == pytest.approx(
        [1e-6, (1e-6 + 9.01e-6) / 3]
    )
    # tied, in closed form
    assert [(case["image"], case["lead_s"]) for case in differing] == [(1, pytest.approx(10e-9))]
    assert {row["decided_differently"] for row in rows} == {1}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network of 12 hidden neurons, and its voltages file."""
    path = tmp_path_factory.mktemp("layers") / "layers_few.json"
    rule = dataclasses.replace(DIGITS.layer_rule, presentations=3000)
    network = learn(
        initial_network((12,), 10, DIGITS.training.levels, rule),
        rule,
        DIGITS.training.levels,
        DIGITS.training.labels,
    ).network
    save_voltages(path, network.states, **describe_network("digits", DIGITS.shape, network, rule))
    return network, path


def study(saved, folder, *options):
    main(
        [
            "layers",
            "--data",
            "digits",
            "--voltages",
            str(saved[1]),
            "--results",
            str(folder),
            "--jobs",
            "1",
            *map(str, options),
        ]
    )
    return folder / "layers_in_ngspice_few.json"


def test_ngspice_reads_as_the_closed_form(saved, tmp_path, ngspice):
    record = study(saved, tmp_path, "--samples", 6)
    rows, found = load_table(record), load_results(record)
    assert rows.images.tolist() == [6, 6] and (rows.decided_differently == 0).all()
    assert rows.largest_difference_s.between(0, 0.8e-6).all()
    test = DIGITS.test
    right = np.nanargmin(saved[0].first_spikes(test.levels[:6]), axis=1) == test.labels[:6]
    assert (
        found["ngspice"] == found["closed_form"]
        and found["ngspice"]["strict_accuracy"] == right.mean() > 0.5
    )
    with pytest.raises(NotOverwritten, match="samples"):
        study(saved, tmp_path, "--samples", 5)


def test_trainings_that_differ_are_counted_and_listed():
    """In the place of ngspice, the closed form with a larger margin: it writes after more
    images.
    """
    rule, training = dataclasses.replace(DIGITS.layer_rule, presentations=100), DIGITS.training
    other = dataclasses.replace(rule, margin=3 * rule.margin)
    start = Learning.start(initial_network((), 10, training.levels, rule), rule)

    def present(learning):
        next(train(learning, other, training.levels, training.labels, block=1))

    results = compare_training(start, present, rule, training, 100)
    in_step, free = results["rows"]
    courses = [case["course"] for case in results["different"]]
    assert (
        courses.count("in step") == 100 - in_step["decided_alike"] > 0
        and in_step["states_differ_max_V"] < 1e-9
    )
    assert (
        courses.count("free") == 1
        and free["decided_alike"] < 100
        and free["states_differ_max_V"] > 1e-3
    )


def test_both_engines_train_several_layers_alike(tmp_path, ngspice):
    main(
        [
            "layers-training",
            "--data",
            "digits",
            "--hidden",
            "10",
            "--after",
            "100",
            "--stretch",
            "8",
            "--results",
            str(tmp_path),
        ]
    )
    record, layers = (
        load_results(tmp_path / "layers_in_step_digits.json"),
        load_table(tmp_path / "layers_in_step_digits.json"),
    )
    assert (
        record["wrote"] >= 3
        and record["different"] == []
        and (layers.decided_alike == 8).all()
        and len(layers) == 4
    )
    assert (layers.states_differ_max_V < 3e-3).all() and (layers.states_moved_max_V > 0.03).all()
