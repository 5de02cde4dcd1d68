"""Reads of saved multilayer networks in ngspice beside the closed form."""

import dataclasses

import numpy as np
import pytest

from memristive.cli.layered_reads import RANGE
from memristive.io.checkpoints import checkpoint_path, save_checkpoint
from memristive.io.files import NotOverwritten
from memristive.io.results import load_results, load_table
from memristive.io.voltages import save_voltages
from memristive.multilayer.layer_network import initial_network
from memristive.spice.parameters import ParameterError
from memristive.spice.session import temporary_circuits
from studies.layer_experiments import DEFAULTS, describe_network, layered_dataset, learn
from studies.ngspice_layers import compare, main, read_whole

RULE = dataclasses.replace(DEFAULTS["digits"][0], presentations=3000)
WINDOW = 150e-6


def by_layer(*reads):
    """First spikes in s of each layer (images x neurons), from the layers in us of each image."""
    return [1e-6 * np.array(layer) for layer in zip(*reads, strict=True)]


def test_differences_are_counted_by_layer():
    found = by_layer(([10, np.nan], [30, 20]), ([10, 20], [30, 20]), ([10, 20], [20, 30]))
    exact = by_layer(([12, 50], [30, 21]), ([10, 20], [29, 29.01]), ([11, 20], [20, 30]))
    rows, differing = compare("one", found, "other", exact, WINDOW)
    assert [row["largest_difference_s"] for row in rows] == pytest.approx([2e-6, 9.01e-6])
    assert [row["mean_largest_difference_s"] for row in rows] == pytest.approx([1e-6, (1e-6 + 9.01e-6) / 3])
    assert [(case["image"], case["lead_s"]) for case in differing] == [(1, pytest.approx(10e-9))]  # tied, in closed form
    assert {row["decided_differently"] for row in rows} == {1}


@pytest.mark.parametrize(("found", "exact", "stop", "differences"), [
    (([30, 40], [50, np.nan, 90.1]), ([30, 40], [50, 60, 90]), np.inf, [0, 30.1]),  # the second output's spike is missing
    (([30, 40], [50, 55, 60.1]), ([30, 40], [50, np.nan, 60]), np.inf, [0, 5]),  # an extra spike
    (([30, np.nan], [50, 60, np.nan]), ([30, 40], [50, 60, 90]), np.inf, [20, 0]),  # the third output came after the end
    (([30, 40], [50, np.nan, np.nan]), ([30, 40], [50, 60, 90]), np.inf, [0, 90]),  # read to the end of the window
    (([30, 40], [50, np.nan, np.nan]), ([30, 40], [50, 60, 90]), 63e-6, [0, 3])])  # stopped
def test_a_spike_of_one_read_alone_came_after_the_others_end(found, exact, stop, differences):
    rows, _ = compare("one", by_layer(found), "other", by_layer(exact), WINDOW, stop)
    assert [row["largest_difference_s"] for row in rows] == pytest.approx(1e-6 * np.array(differences), abs=1e-12)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network of 12 hidden neurons, and its voltages file."""
    dataset, path = layered_dataset("digits"), tmp_path_factory.mktemp("layers") / "layers_few.json"
    network = learn(initial_network((12,), 10, dataset.training.levels, RULE), RULE, dataset.training).network
    save_voltages(path, network.states, **describe_network(dataset, network, RULE))
    return network, path


def study(saved, folder, *options):
    main(["--data", "digits", "--voltages", str(saved[1]), "--results", str(folder), "--jobs", "1", *map(str, options)])
    return folder / "layers_in_ngspice_few.json"


def test_ngspice_reads_as_the_closed_form(saved, tmp_path, ngspice):
    record = study(saved, tmp_path, "--samples", 6, "--whole", 1)
    rows, found = load_table(record), load_results(record)
    assert rows["read"].tolist() == ["layer by layer"] * 2 + ["whole network"] * 2 + ["layer by layer"] * 2
    assert rows.images.tolist() == [6, 6, 1, 1, 1, 1] and (rows.decided_differently == 0).all()
    assert rows.largest_difference_s.between(0, 0.8e-6).all()
    test = layered_dataset("digits").test
    right = np.nanargmin(saved[0].first_spikes(test.levels[:6]), axis=1) == test.labels[:6]
    assert found["ngspice"] == found["closed_form"] and found["ngspice"]["strict_accuracy"] == right.mean() > 0.5
    with pytest.raises(NotOverwritten, match="samples"):
        study(saved, tmp_path, "--samples", 5)
    with pytest.raises(ParameterError, match="whole"):
        study(saved, tmp_path, "--samples", 2, "--whole", 3)


def test_a_run_goes_on_from_its_checkpoint(saved, tmp_path, ngspice):
    """The first range of images has been read, 1 us late."""
    record = study(saved, tmp_path, "--samples", RANGE + 2)
    whole = load_results(record)
    exact = saved[0].forward(layered_dataset("digits").test.levels[:RANGE + 2])
    done = np.arange(RANGE + 2) < RANGE
    late = {f"layer_{k}": np.where(done[:, None], times + 1e-6, np.nan) for k, times in enumerate(exact)}
    save_checkpoint(checkpoint_path(record), {"seconds": np.where(done, 2.0, 0.0), **late}, whole["parameters"])
    study(saved, tmp_path, "--samples", RANGE + 2, "--resume")
    found = load_results(record)
    assert [row["largest_difference_s"] for row in found["rows"]] == pytest.approx([1e-6, 1e-6])
    assert not checkpoint_path(record).exists()


def test_silent_networks_are_read_to_the_end_of_the_window(saved, ngspice):
    with temporary_circuits():
        whole, layered, stops = read_whole(saved[0], np.zeros((1, 64)))
    exact = saved[0].forward(np.zeros((1, 64)))
    for read in (whole, layered):
        rows, differing = compare("one", read, "closed form", exact, WINDOW, stops)
        assert differing == [] and max(row["largest_difference_s"] for row in rows) < 0.8e-6
