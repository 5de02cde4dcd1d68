"""What studies of layers hand on: whose images are read on which chip, what is drawn of them, and what is kept.

Reads, energies and drawing are played; of the images those that are learned and those that are tested are made up.
"""

import csv
import gzip
import json
import time

import numpy as np
import pytest

from memristive.cli.command_line import run
from memristive.io.voltages import checksum, load_layers
from memristive.single_layer.error_rule import learning_curve
from studies import gradient_angle as layer_gradient
from studies import layers
from studies.layer_experiments import LayeredData, LayeredTask

LABELS = np.array([3, 1, 4, 0, 2])  # of the test images


def images_of(seed):
    generator = np.random.default_rng(seed)
    return LayeredData(generator.random((12, 64)), np.arange(12) % 10, generator.random((5, 64)), LABELS)


def results(folder, name):
    return json.loads((folder / f"{name}_results.json").read_text(encoding="utf-8"))


def played(network, images, *rest):
    """The first test image is decided rightly, the second by nobody, the third and fourth by two at once or nearly so."""
    spikes = np.full((len(images), 10), 90e-6)
    spikes[0, 3], spikes[1], spikes[2, :2], spikes[3, 7:9] = 50e-6, np.nan, 50e-6, [50e-6, 50.01e-6]
    return spikes


@pytest.fixture
def told(tmp_path, monkeypatch):
    """told(*options): what the study gave to each of these functions, by the function's name; drawings by their own names."""
    monkeypatch.setattr(LayeredTask, "data", lambda task, size, seed: images_of(seed))

    def call(*options):
        given = {"drawn": {}}
        for name, instead in (("read_tests", played), ("first_read", lambda *_: "* a netlist\n"), ("energies", lambda *_: {}),
                              ("print_energies", lambda *_: None), ("warn_of_layers", lambda *_, **start: None),
                              ("judge", layers.judge), ("read_back", lambda *_: ("simulated", "computed", "settled")),
                              ("an_error", layers.an_error)):
            monkeypatch.setattr(layers, name, lambda *arguments, name=name, instead=instead, **more: given.setdefault(
                name, []).append((*arguments, *more.values())) or instead(*arguments, **more))
        monkeypatch.setattr(layers, "draw", lambda options, name, plot, *data: given["drawn"].update({name: data}))
        places = ["--data", "digits", "--figures", tmp_path, "--voltages", tmp_path / "v.json", "--netlist", tmp_path / "n.cir"]
        with monkeypatch.context() as patch:
            made, of = [], layers.Partial.of
            patch.setattr(layers.Partial, "of", staticmethod(lambda *arguments: made.append(arguments[2]) or of(*arguments)))
            assert run(layers.main, [str(word) for word in (*places, *options)]) == 0
        return given | {"partial": made}
    return call


TRAINED = ["--hidden", 6, 4, "--presentations", 40, "--seed", 5, "--margin", 7e-6, "--chip", "ten-percent"]


def same_pictures(given, stem, rule, data, states):
    """The hidden neurons' pictures are of this network, the first test image, and this rule's error."""
    network, image, shape, label, names = given["drawn"][f"{stem}_raster"]
    assert all(map(np.array_equal, network.states, states))
    assert np.array_equal(image, data.test_images[0]) and (shape, label, names) == ((8, 8), 3, list("0123456789"))
    assert given["drawn"][f"{stem}_hidden"][1:] == ((8, 8), names)
    *_, error = given["read_back"][-1]
    assert given["drawn"][f"{stem}_back_read"] == ("simulated", "computed", "settled", rule, str(error))
    assert all((asked[1], asked[2].images.tobytes()) == (rule, data.images.tobytes()) for asked in given["an_error"])


def test_what_is_trained_is_read_and_drawn_as_it_was_learned(told, tmp_path, capsys):
    given, data = told(*TRAINED, "--test-engine", "ngspice", "--jobs", 3, "--samples", 4), images_of(5)
    states, voltages = load_layers(tmp_path / "v.json", "digits", 64, 10)
    assert (voltages.origin["chip"]["classes"], voltages.origin["chip"]["inputs"]) == (10, 5)  # of the last layer, with its bias
    (network, images, labels, engine, _, jobs), = given["read_tests"]
    assert np.array_equal(images, data.test_images[:4]) and labels.tolist() == [3, 1, 4, 0] and (engine, jobs) == ("ngspice", 3)
    (warned, seen, start), = given["warn_of_layers"]
    training = given["judge"][0][0]
    assert warned is network and np.array_equal(seen, images) and start is training.start
    (_, first), = given["first_read"]
    assert np.array_equal(first, data.images[0])
    accuracy, writes = learning_curve(training.learning.history)
    for found, expected in zip(given["drawn"]["layers_digits_learning"], (accuracy, writes, np.arange(1, 41)), strict=True):
        assert np.array_equal(found, expected)
    rule = training.plan.rule
    assert rule.margin == 7e-6 and given["energies"][0][1:3] == (network, rule)
    assert results(tmp_path, "layers_digits")["seconds"] == training.seconds > 0
    same_pictures(given, "layers_digits", rule, data, states)
    assert "25.00% on 4 test images by ngspice" in (said := capsys.readouterr().out) and "1 silent, 2 tied" in said


def test_what_is_read_from_a_file_is_read_on_its_chip_and_drawn_by_its_rule(told, tmp_path, capsys):
    told(*TRAINED)
    capsys.readouterr()
    began = time.perf_counter()
    given, data = told("--test-only", "--test-engine", "ngspice", "--jobs", 3, "--samples", 4, "--force"), images_of(5)
    states, _ = load_layers(tmp_path / "v.json", "digits", 64, 10)
    (network, images, labels, engine, _, jobs), = given["read_tests"]
    chip = given["drawn"]["layers_digits_test_raster"][0].chip
    assert network.chip is chip and chip[0].threshold.std() > 0.03
    assert np.array_equal(images, data.test_images[:4]) and labels.tolist() == [3, 1, 4, 0] and (engine, jobs) == ("ngspice", 3)
    (warned, seen), = given["warn_of_layers"]
    assert warned is network and np.array_equal(seen, images)
    (_, first), = given["first_read"]
    assert np.array_equal(first, data.test_images[0])
    assert given["partial"][0]["states"] == checksum(*states)  # other states, other decisions
    counts, names, undecided = given["drawn"]["layers_digits_test_confusion"]
    assert np.argwhere(counts).tolist() == [[0, 10], [1, 11], [3, 3], [4, 10]] and counts.sum() == 4
    assert (names, undecided) == (list("0123456789"), ["tied", "silent"])
    with gzip.open(tmp_path / "layers_digits_test_decisions.csv.gz", "rt", newline="") as file:
        assert [row["decision"] for row in csv.DictReader(file)] == ["3", "silent", "tied", "tied"]
    assert 0 < results(tmp_path, "layers_digits_test")["seconds"] < time.perf_counter() - began
    _, read, rule, _ = given["energies"][0]
    assert read is network and (rule.margin, rule.seed) == (7e-6, 5)
    same_pictures(given, "layers_digits_test", rule, data, states)
    assert "25.00% on 4 test images by ngspice" in (said := capsys.readouterr().out) and "1 silent, 2 tied" in said


def test_networks_without_an_error_to_measure_are_one_line(tmp_path, capsys):
    assert run(layer_gradient.main, ["--presentations", "1", "--hidden", "1", "--figures", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.endswith(": before learning there is no error to measure: of 20000 training images 20000 leave the right neuron "
                         "silent, the others are right (1 hidden neurons: try more)\n") and said.count("\n") == 1


def test_finished_networks_are_gone_on_with_on_their_chip(told):
    """A voltages file knows states alone: what is drawn and written of the first network is of ten per cent's devices."""
    told(*TRAINED)
    given = told(*TRAINED, "--seeds", 2, "--resume", "--force")
    assert len(given["judge"]) == 1  # the first was finished
    for network in (given["first_read"][0][0], given["drawn"]["layers_digits_raster"][0]):
        assert [0.03 < chip.threshold.std() < 0.3 for chip in network.chip] == [True] * 3
