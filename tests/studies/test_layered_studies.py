"""The studies about layers on a few presentations: their rows, their summaries, what going on keeps, and their figures."""

import argparse
import dataclasses
import json

import numpy as np
import pytest

from datasets import encode
from learning.layer_rule import LayeredRule
from learning.layers import LayeredNetwork
from records.claims import NotOverwritten
from studies import hidden_neurons, imperfect_layers, layer_gradient
from tests.helpers import one_line
from tests.learning.test_layers import random_network
from workflow.command_line import run
from workflow.layered import LayeredData, LayeredTask


@pytest.fixture(autouse=True)
def few_images(monkeypatch, mnist):
    """Two hundred training and forty test images, so that a case takes a moment."""
    train, test = (encode(mnist[name][:count], 10, "grey") for name, count in (("x_train", 200), ("x_test", 40)))
    labels = mnist["y_train"][:200].astype(int), mnist["y_test"][:40].astype(int)
    few = LayeredData(train, labels[0], test, labels[1])
    for study in (hidden_neurons, imperfect_layers):
        monkeypatch.setattr(study, "images", lambda: few)
    monkeypatch.setattr(LayeredTask, "data", lambda *arguments: few)


def results(folder, name):
    return json.loads((folder / f"{name}_results.json").read_text(encoding="utf-8"))


def test_hidden_neurons_has_a_row_for_each_size_and_seed_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hidden_neurons, "HIDDEN", (0, 5, 25, 100, 400))
    options = ["--presentations", "600", "--seeds", "2", "--jobs", "1", "--figures", str(tmp_path)]
    assert run(hidden_neurons.main, options) == 0
    found = results(tmp_path, "hidden_neurons")
    assert [(row["hidden"], row["seed"]) for row in found["rows"]] == [(h, s) for h in (0, 5, 25, 100, 400) for s in (1, 2)]
    for row in found["rows"]:
        assert row["presentations"][-1] == 600 and len(row["running_accuracy"]) == len(row["presentations"])
    for size in found["summary"]:
        own = [row["strict_accuracy"] for row in found["rows"] if row["hidden"] == size["hidden"]]
        assert (size["mean"], size["low"], size["high"], size["seeds"]) == (pytest.approx(np.mean(own)), min(own), max(own), 2)
    assert {path.name for path in tmp_path.glob("*.png")} == {"hidden_neurons_accuracy.png", "hidden_neurons_learning.png"}
    monkeypatch.setattr(hidden_neurons, "judge", lambda case: pytest.fail("was there already"))
    assert run(hidden_neurons.main, [*options, "--resume"]) == 0
    capsys.readouterr()
    assert run(hidden_neurons.main, [*options[2:]]) == 2
    assert "--presentations (600 there, 600000 now)" in one_line(capsys.readouterr().err)


def test_ex_situ_weights_are_the_ideal_chips_and_in_situ_ones_are_learned_there(tmp_path, ngspice):
    options = ["--presentations", "300", "--hidden", "8", "--chips", "2", "--jobs", "1", "--ngspice", "2", "--figures"]
    options.append(str(tmp_path))
    assert run(imperfect_layers.main, options) == 0
    found = results(tmp_path, "imperfect_layers")
    assert {(row["spread"], row["seed"], row["route"]) for row in found["rows"]} == {
        (spread, seed, route) for spread in imperfect_layers.SPREADS for seed in (1, 2) for route in ("in situ", "ex situ")}
    assert all(row["chips"] == 2 and row["low"] <= row["mean"] <= row["high"] for row in found["summary"])
    assert [(row["spread"], row["route"]) for row in found["judged"]] == [
        (spread, route) for spread in (0.02, 0.1) for route in ("in situ", "ex situ")]
    for row in found["judged"]:
        assert row["samples"] == 2 and row["decided_otherwise"] == 0 and row["largest_deviation"] < 0.5e-6
    rule = LayeredRule(presentations=300)
    ideal = imperfect_layers.network_of(imperfect_layers.Case(0.0, 0, rule, 8))
    carried = imperfect_layers.network_of(imperfect_layers.Case(0.1, 1, rule, 8, ideal.states))
    assert ideal.chip is None and carried.states is ideal.states and carried.chip[0].threshold.std() > 0.03
    learned = imperfect_layers.network_of(imperfect_layers.Case(0.1, 1, rule, 8))
    assert np.array_equal(learned.chip[1].channel, carried.chip[1].channel)
    assert np.abs(learned.states[1] - ideal.states[1]).max() > 0.01


def test_the_rules_write_goes_downhill(tmp_path, capsys):
    options = ["--presentations", "2000", "--hidden", "30", "--errors", "20", "--figures", str(tmp_path)]
    assert run(layer_gradient.main, options) == 0
    said = capsys.readouterr().out
    for when in ("before learning", "after learning"):
        found = results(tmp_path, "layer_gradient")[when]
        assert when in said and found["errors"] == len(found["degrees"]["hidden"]) > 5
        assert found["quartiles"]["output"][1] < 30 and found["quartiles"]["hidden"][1] < 80
        assert found["lead_grew"] > 0.8


def test_a_lone_driven_hidden_neuron_is_written_along_its_gradient():
    """With one hidden neuron that has a gradient, the hidden write points along it: the rule leaves only factors out."""
    network = random_network((6, 1, 2), seed=3)
    image = np.linspace(0.2, 1.0, 6)
    states = (np.full((1, 7), 6.0), np.array([[7.0, 7.2], [5.5, 8.0]]))
    network = LayeredNetwork(states, network.parameters, network.design)
    times = network.first_spikes(image[None])[0]
    wrong = int(np.argmin(times))
    found = layer_gradient.measure(network, dataclasses.replace(LayeredRule(), presentations=1), image, 1 - wrong, wrong)
    assert found["hidden"] < 3 and found["without_gradient"] == 0 and found["same_sign"] == 1
    assert found["output_column"] < 15 and found["gain"] > 0


@pytest.mark.parametrize("study", [hidden_neurons, imperfect_layers])
def test_going_on_and_starting_afresh_are_not_one(study, tmp_path, capsys):
    """Together they would put networks of different parameters under one heading."""
    with pytest.raises(SystemExit) as ended:
        study.main(["--resume", "--force", "--figures", str(tmp_path)])
    assert ended.value.code == 2 and "give one of them" in capsys.readouterr().err


def test_images_that_ngspice_has_read_are_not_left_out_unasked(tmp_path):
    options = argparse.Namespace(figures=tmp_path, resume=False, force=False, ngspice=0)
    imperfect_layers.refuse_to_forget(options)
    (tmp_path / "imperfect_layers_results.json").write_text(json.dumps({"judged": [{"samples": 100}]}))
    with pytest.raises(NotOverwritten, match="reads of 100 images by ngspice; --resume keeps them"):
        imperfect_layers.refuse_to_forget(options)
    for name, value in (("resume", True), ("force", True), ("ngspice", 100)):
        imperfect_layers.refuse_to_forget(argparse.Namespace(**vars(options) | {name: value}))
