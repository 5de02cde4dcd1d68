"""MNIST without labels as the study runs it, on forty made-up images: what is drawn, kept and told is of all that was done."""

import dataclasses
import gzip
import json
from types import SimpleNamespace

import numpy as np
import pytest

from memristive.io.claims import NotOverwritten
from memristive.single_layer.spike_decoding import SILENT, TIED
from memristive.stdp import mnist_learning as unsupervised_mnist
from memristive.stdp.mnist_learning import (
    MnistLearning,
    Network,
    begin,
    closed_form_decisions,
    first_to_fire,
    name_neurons,
    presentation_order,
    stretch_by_closed_form,
    stretches,
)
from studies import unsupervised as stdp
from studies import unsupervised_mnist as stdp_mnist

LEARNING = MnistLearning(neurons=10, epochs=2, seed=3)


def images_of(part, encoding="grey"):
    """Twenty images of thirty pixels for each part; of those that are trained on the second ten bear other labels."""
    generator = np.random.default_rng(len(part))
    labels = np.arange(20) % 10
    clean = generator.random((10, 30)) < 0.5
    images = np.clip(clean[labels] * generator.uniform(0.7, 1.0, (20, 30)), 0, 1)
    return images, np.where(np.arange(20) < 10, labels, labels // 2)


@pytest.mark.parametrize(("part", "count"), [("train", 60_000), ("test", 10_000)])
@pytest.mark.parametrize(("encoding", "grey"), [("binary", False), ("grey", True)])
def test_images_are_of_the_part_and_the_encoding_asked_for(part, count, encoding, grey):
    images, labels = stdp_mnist.mnist_images(part, encoding)
    assert images.shape == (count, 100) and labels.shape == (count,) and (len(np.unique(images[:20])) > 2) is grey


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """ran(*options): the drawings' data by name, and the results."""
    monkeypatch.setattr(stdp_mnist, "mnist_images", images_of)
    for module in (stdp_mnist, unsupervised_mnist):
        monkeypatch.setattr(module, "STRETCH", 20)
    drawn = {}
    monkeypatch.setattr(stdp_mnist, "draw", lambda options, name, plot, *data: drawn.update({name: data}))

    def call(*options):
        stdp.main(["--data", "mnist", "--neurons", "10", "--seed", "3", "--figures", str(tmp_path), *options])
        found, = tmp_path.glob("*_results.json")
        return drawn, json.loads(found.read_text(encoding="utf-8"))
    return call


def test_what_is_kept_and_drawn_of_a_run_is_what_it_was_at_each_stretch(ran, tmp_path, capsys):
    path = tmp_path / "v.json"
    drawn, results = ran("--epochs", "2", "--samples", "3", "--voltages", str(path))
    (images, labels), (tested, truth) = images_of("train"), images_of("test")
    network, seed = begin(LEARNING, 30)
    moments, winners = [network.copy()], []
    for found in stretches(LEARNING, network, images, presentation_order(LEARNING, 20, seed)):
        moments.append(network.copy())
        winners.append(found)
    name = "mnist_stdp_grey_10_seed_3"
    states, every, _ = drawn[f"{name}_weights"]
    assert every == 20 and np.array_equal(states, [moment.states[:8] for moment in moments])
    assert np.array_equal(drawn[f"{name}_thresholds"][0], [1.0 + moment.homeostasis for moment in moments])
    assert drawn[f"{name}_thresholds"][1].tolist() == [*winners[0], *winners[1]] != [*winners[1], *winners[0]]
    digits = name_neurons(first_to_fire(LEARNING, network, images), labels, 10)
    assert (digits != name_neurons(first_to_fire(LEARNING, network, images[:10]), labels[:10], 10)).any()
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["voltages"] == network.states.tolist() and content["digits"] == digits.tolist()
    fields, named, _ = drawn[f"{name}_fields"]
    assert np.array_equal(fields, network.states) and np.array_equal(named, digits)
    right = closed_form_decisions(LEARNING, Network(network.states, network.homeostasis), tested, digits) == truth
    assert results["closed_form_accuracy"] == right.mean() != right[:3].mean()
    assert f"closed form, strict: {right.mean():.2%} of 20 test images" in capsys.readouterr().out


def test_silent_images_are_not_right(ran, tmp_path, monkeypatch):
    """Of the twenty, half are silent, of the others all are right."""
    truth = images_of("test")[1]
    monkeypatch.setattr(stdp_mnist, "closed_form_decisions", lambda *_: np.where(np.arange(20) % 2, SILENT, truth))
    _, results = ran("--samples", "0", "--voltages", str(tmp_path / "v.json"))
    assert (results["closed_form_accuracy"], results["closed_form_silent"]) == (0.5, 10)


def test_a_stretch_is_of_the_first_images_of_its_seeds_order_in_both_engines(ran, monkeypatch):
    """ngspice's part is played: nobody fires."""
    order, asked, foretold = presentation_order(LEARNING, 20, begin(LEARNING, 30)[1]), [], stdp_mnist.stretch_by_closed_form

    def simulated(session, learning, network, images):
        asked.append(images)
        yield from (np.full(2, SILENT), np.array([SILENT]))
    monkeypatch.setattr(stdp_mnist, "NgspiceSession", lambda: SimpleNamespace(version=44))
    monkeypatch.setattr(stdp_mnist, "stretches_in_ngspice", simulated)
    monkeypatch.setattr(stdp_mnist, "stretch_by_closed_form", lambda learning, network, images: asked.append(images) or foretold(
        learning, network, images))
    _, results = ran("--stretch", "3")
    images = images_of("train")[0]
    for seen, places in zip(asked, (order[:3], order[:2], order[:2], order[2:3], order[2:3]), strict=True):
        assert np.array_equal(seen, images[places])
    assert results["presentations"] == 3


def test_images_that_ngspice_has_read_outlive_a_stop(ran, tmp_path, capsys, monkeypatch):
    """And the next run to its end removes them, but neither a shorter one nor another's does."""
    spikes, left = unsupervised_mnist.NgspiceReader.spikes, [2]

    def stopped(reader, image):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return spikes(reader, image)
    monkeypatch.setattr(unsupervised_mnist.NgspiceReader, "spikes", stopped)
    given = ("--epochs", "1", "--voltages", str(tmp_path / "v.json"))
    with pytest.raises(KeyboardInterrupt):
        ran(*given, "--samples", "5")
    kept = tmp_path / "mnist_stdp_grey_10_seed_3_partial_decisions.csv.gz"
    assert f"2 finished images are kept in {kept}" in capsys.readouterr().out
    lines = gzip.decompress(kept.read_bytes()).decode().splitlines()
    assert len(lines) == 4 and [line.split(",")[0] for line in lines[2:]] == ["0", "1"]
    monkeypatch.setattr(unsupervised_mnist.NgspiceReader, "spikes", spikes)
    with pytest.raises(NotOverwritten, match="holds decisions of another network or with other options"):
        ran(*given, "--samples", "5", "--contenders", "3")
    _, results = ran(*given, "--samples", "5")
    assert not kept.exists()
    content = json.loads((tmp_path / "v.json").read_text(encoding="utf-8"))
    network = Network(np.array(content["voltages"]), np.array(content["homeostasis"]))
    learning = dataclasses.replace(LEARNING, epochs=1)
    closed = closed_form_decisions(learning, network, images_of("test")[0][:2], np.array(content["digits"]))
    read = [{"silent": SILENT, "tied": TIED}.get(name) or int(name) for name in (line.split(",")[2] for line in lines[2:])]
    assert [k for k in results["different_at"] if k < 2] == np.flatnonzero(read != closed).tolist()


def test_a_winner_that_differs_is_counted_with_its_lead():
    """ngspice's part is played: it finds what the closed form does, but for the first winner of the second transient."""
    learning, images = MnistLearning(neurons=10), np.eye(10, 30) + 0.5
    start, _ = begin(learning, 30)
    start.states += 2.0
    alone, circuit = stdp_mnist.Comparison(learning, start), start.copy()
    alone.add(images[:1], stretch_by_closed_form(learning, circuit, images[:1])[0] + 1, circuit)
    assert alone.results()["in_step"]["largest_deviation_V"] is None  # no transient of which all winners were the same
    comparison, circuit = stdp_mnist.Comparison(learning, start), start.copy()
    leads = []
    for part in (images[:2], images[2:5]):
        found, leads = stretch_by_closed_form(learning, circuit, part)
        if len(part) == 3:
            found[0] += 1
        comparison.add(part, found, circuit)
    results = comparison.results()
    assert (results["presentations"], results["same_winners"], results["different_at"].tolist()) == (5, 4, [2])
    assert results["leads_where_different_s"] == [leads[0]] and 0 < leads[0] < 600e-6
    assert results["in_step"]["different_at"].tolist() == [2] and results["largest_deviation_V"] == 0.0
    assert results["in_step"]["largest_deviation_V"] == 0.0  # of the first transient: that is not none
    assert f"led by {leads[0] * 1e6:.2g} us" in stdp_mnist._leads(results)
    circuit.states[0, 0] += 0.5  # a write that the closed form does not know of, but which it goes on from in step
    comparison.add(images[:1], stretch_by_closed_form(learning, circuit, images[:1])[0], circuit)
    circuit.states[0, 0] += 0.5
    comparison.add(images[1:2], stretch_by_closed_form(learning, circuit, images[1:2])[0], circuit)
    results = comparison.results()
    assert results["in_step"]["largest_deviation_V"] == pytest.approx(0.5, abs=0.1) and results["largest_deviation_V"] > 0.8
