"""The studies of hidden neurons and of chips with multilayer networks, small."""

import dataclasses

import numpy as np
import pytest

from memristive.io.results import load_results, load_table
from memristive.multilayer.layer_chips import layer_chips
from memristive.multilayer.layer_network import initial_network
from memristive.multilayer.layer_rule import LayeredRule
from memristive.variability.chip import Chip
from studies import hidden_neurons, layer_variability
from studies.layer_experiments import layered_dataset, learn, score_row

RULE = LayeredRule(presentations=300)
SETTINGS = ["--jobs", "1", "--samples", "500", "--set", "rule.presentations=300"]


def trained(hidden, chip=None, rule=RULE):
    """A training, and the accuracy of its network."""
    data = layered_dataset("mnist")
    network = initial_network(hidden, 10, data.training.levels, rule)
    network = dataclasses.replace(network, chip=layer_chips(chip, network.sizes) if chip else None)
    learning = learn(network, rule, data.training)
    return learning, accuracy(learning.network)


def accuracy(network):
    test = layered_dataset("mnist").test
    return score_row(test.labels[:500], network.first_spikes(test.levels[:500]))["strict_accuracy"]


def test_each_size_and_seed_has_its_accuracy_and_learning_curve(tmp_path):
    hidden_neurons.main(["--seeds", "1", *SETTINGS, "--results", str(tmp_path), "--figures", str(tmp_path)])
    rows, record = load_table(tmp_path / "hidden_neurons.json"), load_results(tmp_path / "hidden_neurons.json")
    assert list(zip(rows.hidden, rows.seed, strict=True)) == [(hidden, 1) for hidden in hidden_neurons.HIDDEN]
    for k, hidden in ((0, ()), (1, (25,))):
        learning, expected = trained(hidden)
        curve = record["learning_curves"][k]
        assert rows.strict_accuracy[k] == record["summary"][k]["mean"] == expected
        assert rows.presentations_that_wrote[k] == learning.history[:, 1].sum()
        assert (curve["presentations"][0], curve["presentations"][-1]) == (100, 300)
        assert curve["running_accuracy"][-1] == learning.history[:, 0].mean()


def test_networks_learn_on_their_chip_or_are_carried_to_it(tmp_path, ngspice):
    layer_variability.main(["--hidden", "8", "--chips", "2", "--ngspice", "2", *SETTINGS, "--results", str(tmp_path), "--figures",
                            str(tmp_path)])
    record = load_results(tmp_path / "imperfect_layers.json")
    rows = load_table(tmp_path / "imperfect_layers.json").set_index(["spread", "route", "seed"]).strict_accuracy
    assert len(rows) == len(layer_variability.SPREADS) * 2 * 2
    ideal, expected = trained((8,))
    assert record["ideal_strict_accuracy"] == expected
    chip = Chip(cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1, seed=2)
    assert rows[0.1, "in situ", 2] == trained((8,), chip)[1]
    carried = dataclasses.replace(ideal.network, chip=layer_chips(chip, (100, 8, 10)))
    assert rows[0.1, "ex situ", 2] == accuracy(carried)
    summary = next(one for one in record["summary"] if (one["spread"], one["route"]) == (0.1, "ex situ"))
    assert summary["mean"] == pytest.approx(np.mean(rows[0.1, "ex situ"])) and summary["highest"] == max(rows[0.1, "ex situ"])
    read = [(one["spread"], one["route"], one["seed"]) for one in record["in_ngspice"]]
    assert read == [(spread, route, 1) for spread in (0.02, 0.1) for route in ("ex situ", "in situ")]
    assert all(one["samples"] == 2 and one["decided_differently"] == 0 and one["largest_deviation_s"] < 0.5e-6
               for one in record["in_ngspice"])
