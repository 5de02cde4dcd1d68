"""Accuracies are of test images: each study is given tests that are its training images misnamed, and must fail at them."""

import argparse
import dataclasses
import json

import numpy as np
import pytest

from datasets import encode
from memristive.cli.command_line import run
from memristive.cli.experiments import mnist_experiment
from memristive.multilayer.layer_rule import LayeredRule
from studies import device_variability as imperfect_chips
from studies import hidden_neurons, layers
from studies import layer_variability as imperfect_layers
from studies import ngspice_layers as layers_in_ngspice
from studies.layer_experiments import LayeredData, LayeredTask

RULE = LayeredRule(presentations=1500)


def misnamed(images, labels):
    """What is learned is wrong for all test images."""
    classes = labels.max() + 1
    return LayeredData(images, labels, images, (labels + 1) % classes)


@pytest.fixture
def few(monkeypatch):
    """Twenty images of whatever a study asks for, or XOR's four."""
    data = LayeredTask.data

    def misnamed_data(*arguments):
        known = data(*arguments)
        return misnamed(known.images[:20], known.labels[:20])
    monkeypatch.setattr(LayeredTask, "data", misnamed_data)


@pytest.fixture
def digits(monkeypatch, mnist):
    """Twenty images, which fifty hidden neurons know by heart after 1,500 presentations."""
    few = misnamed(encode(mnist["x_train"][:20], 10, "grey"), mnist["y_train"][:20].astype(int))
    for study in (hidden_neurons, imperfect_layers):
        monkeypatch.setattr(study, "images", lambda: few)
    return few


def results(folder, name):
    return json.loads((folder / f"{name}_results.json").read_text(encoding="utf-8"))


def test_layers_are_judged_by_their_test_images_trained_or_from_a_file(few, tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "draw", lambda *arguments, **more: None)
    places = ["--data", "digits", "--figures", str(tmp_path), "--voltages", str(tmp_path / "layers_digits.json")]
    assert run(layers.main, [*places, "--hidden", "50", "--presentations", "1500"]) == 0
    assert run(layers.main, [*places, "--test-only"]) == 0
    assert run(layers_in_ngspice.main, [*places, "--samples", "4", "--whole", "1", "--jobs", "1"]) == 0
    trained, read, judged = (results(tmp_path, name) for name in (
        "layers_digits", "layers_digits_test_by_closed_form", "layers_in_ngspice_digits"))
    for found in (trained, read, judged["ngspice"], judged["closed_form"]):
        assert found["strict_accuracy"] == 0 and found["samples"] in (4, 20)


def test_networks_of_any_size_are_judged_by_their_test_images(digits):
    row = hidden_neurons.judge(hidden_neurons.Case(50, RULE))
    assert row["running_accuracy"][-1] > 0.9 and row["strict_accuracy"] == 0


def test_networks_of_each_seed_learn_in_an_order_of_their_own(digits, monkeypatch):
    """Of the same start, so that nothing but the order makes a difference."""
    begin = hidden_neurons.LayeredPlan.begin
    monkeypatch.setattr(hidden_neurons.LayeredPlan, "begin", lambda plan, data: begin(
        dataclasses.replace(plan, rule=dataclasses.replace(plan.rule, seed=1)), data))
    first, again, second = (hidden_neurons.judge(hidden_neurons.Case(5, dataclasses.replace(RULE, seed=seed)))
                            for seed in (1, 1, 2))
    assert np.array_equal(first["running_accuracy"], again["running_accuracy"])
    assert not np.array_equal(first["running_accuracy"], second["running_accuracy"])


def test_layers_on_chips_are_judged_by_their_test_images_in_both_engines(digits, tmp_path):
    case = imperfect_layers.Case(0.02, 1, RULE, 50)
    network = imperfect_layers.network_of(case)
    assert (np.nanargmin(network.first_spikes(digits.images), axis=1) == digits.labels).mean() > 0.9
    assert imperfect_layers.judge(case)["strict_accuracy"] == 0
    options = argparse.Namespace(figures=tmp_path, jobs=1, force=False)
    judged = imperfect_layers.judge_in_ngspice(case, 2, options)
    assert judged["strict_accuracy"] == judged["closed_form_accuracy"] == 0


def test_the_ideal_network_is_judged_by_its_test_images(digits, tmp_path, monkeypatch):
    """The study's other networks are played; this one is the measure of them all."""
    monkeypatch.setattr(imperfect_layers, "draw", lambda *arguments, **more: None)
    monkeypatch.setattr(imperfect_layers, "judge", lambda case: {
        "spread": case.spread, "seed": case.seed, "route": case.route, "strict_accuracy": 0.5})
    assert run(imperfect_layers.main, ["--presentations", "1500", "--hidden", "50", "--chips", "1", "--jobs", "1", "--figures",
                                       str(tmp_path)]) == 0
    assert results(tmp_path, "imperfect_layers")["ideal"] == 0


def test_chips_are_tested_on_images_that_none_of_them_has_learned(mnist):
    imperfect_chips.images_of.cache_clear()
    images, labels, test_images, test_labels = imperfect_chips.images_of("binary")
    assert np.array_equal(test_images, encode(mnist["x_test"], 10, "binary")) and np.array_equal(test_labels, mnist["y_test"])
    assert len(images) == len(labels) == 60000
    assert np.array_equal(images[:100], encode(mnist["x_train"][:100], 10, "binary")) and np.array_equal(labels, mnist["y_train"])


def test_chips_of_one_layer_are_judged_by_their_test_images(mnist, monkeypatch):
    few = misnamed(encode(mnist["x_train"][:10], 10, "grey"), mnist["y_train"][:10].astype(int))
    monkeypatch.setattr(imperfect_chips, "images_of", lambda encoding: tuple(vars(few).values()))
    rule = dataclasses.replace(mnist_experiment(encoding="grey").rule, presentations=3000)
    case = next(imperfect_chips.cases(imperfect_chips.SHORT, "grey", rule, *np.full((2, 10, 100), 4.0)))
    case = dataclasses.replace(case, chips=case.chips[:1], keys=case.keys[:1], routes=("in situ",))
    assert [row["accuracy"] for row in imperfect_chips.judge(case)] == [0]
    monkeypatch.setattr(imperfect_chips, "images_of", lambda encoding: (few.images, few.labels) * 2)
    assert [row["accuracy"] for row in imperfect_chips.judge(case)] == [1]


def test_the_ideal_chip_of_one_layer_is_judged_by_its_test_images(mnist, monkeypatch):
    """And learns from the start of its rule, not from the cells of another one."""
    few, asked = misnamed(encode(mnist["x_train"][:10], 10, "grey"), mnist["y_train"][:10].astype(int)), []
    monkeypatch.setattr(imperfect_chips, "images_of", lambda encoding: tuple(vars(few).values()))
    learned = imperfect_chips.learned
    monkeypatch.setattr(imperfect_chips, "learned", lambda ensemble, states, *rest: asked.append(states.copy()) or learned(
        ensemble, states, *rest))
    experiment = mnist_experiment(encoding="grey")
    rule = dataclasses.replace(experiment.rule, presentations=3000)
    states, accuracy = imperfect_chips.ideal_chip(dataclasses.replace(experiment, rule=rule))
    assert states.shape == (10, 100) and accuracy == 0
    assert np.array_equal(asked[0], np.full((10, 100), 4.5))  # V, of grey images
