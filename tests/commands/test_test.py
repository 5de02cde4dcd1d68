"""Tests of a trained network on its own chip, on another one, and long after the training."""

import dataclasses

import numpy as np
import pytest

from memristive import build
from memristive.commands import test as read_test
from memristive.datasets import mnist
from memristive.devices.measured_device import load_device
from memristive.io.networks import save
from memristive.io.records import load_decisions, load_results
from memristive.io.voltages import load_voltages
from memristive.network.chip import on_chip
from memristive.network.crossbar import Crossbar
from memristive.parameters import ParameterError
from memristive.scores.decisions import decide
from tests.helpers import ROOT, outputs

VOLTAGES = ROOT / "voltages" / "mnist_error_driven_grey_chip.json"


@pytest.fixture(scope="module")
def grey():
    return mnist(encoding="grey")


def read(folder, *more, engine="closed-form"):
    """Return the record and the decisions of a test of 15 images."""
    words = [str(VOLTAGES), "--samples", "15", "--engine", engine]
    read_test.main([*words, *outputs(folder), *more])
    on = f"_on_{more[more.index('--chip') + 1]}" if "--chip" in more else ""
    after = f"_after_{more[more.index('--age') + 1]}_s" if "--age" in more else ""
    name = f"{VOLTAGES.stem}_read{on}{after}{'_by_closed_form' * (engine != 'ngspice')}"
    return load_results(folder / f"{name}.json"), load_decisions(
        folder / f"{name}_decisions.csv.gz"
    ).decision.tolist()


def saved(folder, images, labels, classes=3, **options):
    """Save a network and images; return the network and the words of a test that reads them."""
    network, rule = build(images, classes, presentations=30, **options)
    save(folder / "net.json", network, rule)
    np.savez(folder / "images.npz", images=images, labels=labels)
    files = ("--voltages", folder / "net.json", "--data", folder / "images.npz")
    return network, [*map(str, files), *outputs(folder)]


@pytest.mark.parametrize(
    ("more", "changes", "age"),
    [
        ([], {}, 0),
        (["--set", "chip.seed=2", "chip.cell_gain=0.3"], {"seed": 2, "cell_gain": 0.3}, 0),
        (["--set", "chip.decay_rate=1", "--age", "0.4"], {"decay_rate": 1.0}, 0.4),
    ],
)
def test_images_are_read_on_the_chip_asked_for(tmp_path, capsys, grey, more, changes, age):
    record, decisions = read(tmp_path, *more)
    voltages = load_voltages(VOLTAGES)
    chip = dataclasses.replace(voltages.chip, **changes)
    crossbar = Crossbar.of(on_chip(grey.setup, chip))
    noise = np.array([chip.threshold_noise("test", k) for k in range(15)])
    race = crossbar.race(chip.after_decay(voltages.states, age), grey.test.levels[:15], noise)
    names = {-1: "silent", -2: "tied"}
    assert decisions == [names.get(k, str(k)) for k in decide(race.spikes, 0.02e-6)[0]]
    assert (
        bool(record["parameters"]["ex_situ"])
        == bool(changes)
        == ("ex situ" in capsys.readouterr().out)
    )


def test_both_engines_read_alike_on_another_chip(ngspice, tmp_path):
    netlist = tmp_path / "read.cir"
    words = ["--chip", "ten-percent", "--jobs", "1", "--netlist"]
    simulated = read(tmp_path, *words, str(netlist), engine="ngspice")[1]
    assert read(tmp_path, "--chip", "ten-percent")[1] == simulated
    assert "threshold=" in netlist.read_text()


def test_cells_of_a_device_drift_until_the_test(tmp_path):
    device = dataclasses.replace(load_device("epiram"), drift=0.1, drift_spread=0.05)
    images, labels = np.random.default_rng(1).random((40, 9)), np.arange(40) % 3
    network, words = saved(tmp_path, images, labels, device=device)
    read_test.main([*words, "--engine", "closed-form", "--age", "1e8"])
    decisions = load_decisions(
        tmp_path / "net_read_after_1e+08_s_by_closed_form_decisions.csv.gz"
    ).decision
    spikes = network.aged(1e8).first_spikes(images)
    assert decisions.tolist() == [str(k) for k in np.nanargmin(spikes, axis=1)]
    assert not np.array_equal(
        np.nanargmin(spikes, axis=1), np.nanargmin(network.first_spikes(images), axis=1)
    )


def test_a_network_saved_without_the_name_of_its_data_is_read_with_data(tmp_path, grey):
    network, rule = build(grey.training.levels, 10, hidden=5, chip="ten-percent", presentations=20)
    save(tmp_path / "own.json", network, rule)
    options = ["--voltages", str(tmp_path / "own.json"), *outputs(tmp_path)]
    options += ["--engine", "closed-form", "--samples", "4"]
    with pytest.raises(ParameterError, match="--data"):
        read_test.main(options)
    read_test.main([*options, "--data", "mnist"])
    assert load_results(tmp_path / "own_read_by_closed_form.json")["samples"] == 4


@pytest.mark.parametrize("classes", [2, 4])
def test_a_file_of_images_has_the_classes_of_the_network(classes, tmp_path):
    images = np.random.default_rng(1).random((24, 9))
    _, words = saved(tmp_path, images, np.arange(24) % classes)
    with pytest.raises(ParameterError, match=f"3 classes.* {classes}"):
        read_test.main(words)
    assert not list(tmp_path.glob("*_read*"))


def test_a_convolution_is_read_in_closed_form_and_in_ngspice_one_image_a_class(tmp_path, ngspice):
    images, labels = np.random.default_rng(1).random((24, 5, 5)), np.repeat([0, 1], 12)
    network, options = saved(tmp_path, images, labels, 2, hidden=3, convolution={})
    options += ["--jobs", "1"]
    with pytest.warns(UserWarning, match="have learned"):
        read_test.main(options)
    assert load_results(tmp_path / "net_read_by_closed_form.json")["samples"] == 24
    read_test.main([*options, "--engine", "ngspice"])
    found = load_decisions(tmp_path / "net_read_decisions.csv.gz")
    assert found.label.tolist() == [0, 1]
    first = np.nanmin(network.first_spikes(images[[0, 12]].reshape(2, -1)), axis=1) * 1e6
    assert np.nanmin(found[["spike_0_us", "spike_1_us"]], axis=1) == pytest.approx(first, abs=1)
