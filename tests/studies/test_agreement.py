"""Agreement of both engines: differences are found and have the right size."""

import numpy as np
import pytest

from memristive.datasets import matching_dataset, xpue
from memristive.engines.solvers import READING, TRAINING
from memristive.io.networks import describe_network
from memristive.io.records import NotOverwritten, load_results, load_table
from memristive.io.voltages import save_voltages
from memristive.learning.build import initial_network
from memristive.learning.hebbian import infer, train_hebbian
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from studies.agreement import main

DIGITS = matching_dataset("digits")


def test_tightened_tolerances_change_no_trained_voltage_and_no_spike(ngspice):
    dataset = xpue()
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
    words = ["--data", "digits", "--voltages", str(saved[1]), "--results", str(folder)]
    main([*words, "--jobs", "1", *map(str, options)])
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
