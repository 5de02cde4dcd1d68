"""Agreement of both engines: differences are found and have the right size."""

import numpy as np
import pytest

from memristive.datasets import digits_012345, matching_dataset, xpue
from memristive.engines.solvers import READING, TRAINING
from memristive.io.networks import describe_network
from memristive.io.records import NotOverwritten, load_results, load_table
from memristive.io.voltages import save_voltages
from memristive.learning.build import initial_network
from memristive.learning.hebbian import infer, train_hebbian
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.scores.decisions import RESOLUTION
from studies.agreement import compare_layers, main

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


def by_layer(*reads):
    """First spikes in s of each layer (images x neurons), from the layers in us of each image."""
    return [1e-6 * np.array(layer) for layer in zip(*reads, strict=True)]


def test_differences_are_counted_by_layer():
    found = by_layer(([10, np.nan], [30, 20]), ([10, 20], [30, 20]), ([10, 20], [20, 30]))
    exact = by_layer(([12, 50], [30, 21]), ([10, 20], [29, 29.01]), ([11, 20], [20, 30]))
    rows, differing = compare_layers(found, exact, WINDOW, RESOLUTION)
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
    rule = LayeredRule(presentations=3000, start_drive_spread=0.5)
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


def test_spikes_of_the_papers_layer_come_closer_with_tightened_tolerances(tmp_path, ngspice):
    differences = []
    for ending in ("", "_tightened"):
        options = ["--tightened"] * bool(ending)
        network = ["--voltages", "voltages/mnist_error_driven_grey.json", "--samples", "10"]
        main([*network, *options, "--results", str(tmp_path), "--jobs", "1"])
        rows = load_table(tmp_path / f"layer_in_ngspice_mnist_error_driven_grey{ending}.json")
        differences.append(rows.largest_difference_s[0])
    assert differences[1] < 1.5e-9 < differences[0] < 20e-9
