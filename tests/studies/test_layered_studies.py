"""The studies of hidden neurons and of chips with multilayer networks, small."""

from datasets import matching_dataset
from memristive.io.results import load_results, load_table
from memristive.learning.layered_training import initial_network, learn_layers
from memristive.learning.rule import LayeredRule
from memristive.network.chip import Chip
from memristive.network.layers import network_on_chip
from memristive.network.scores import score_row
from studies import device_variability, hidden_neurons

RULE = LayeredRule(presentations=300)
SETTINGS = ["--jobs", "1", "--samples", "500", "--set", "rule.presentations=300"]


def trained(hidden, chip=None, rule=RULE):
    """A training, and the accuracy of its network."""
    data = matching_dataset("mnist")
    network = initial_network(hidden, 10, data.training.levels, rule)
    network = network_on_chip(network, chip)
    learning = learn_layers(network, rule, data.training.levels, data.training.labels)
    return learning, accuracy(learning.network)


def accuracy(network):
    test = matching_dataset("mnist").test
    return score_row(test.labels[:500], network.first_spikes(test.levels[:500]))["strict_accuracy"]


def test_each_size_and_seed_has_its_accuracy(tmp_path):
    hidden_neurons.main(["--seeds", "1", *SETTINGS, "--results", str(tmp_path), "--figures", str(tmp_path)])
    rows = load_table(tmp_path / "hidden_neurons.json")
    assert list(zip(rows.hidden, rows.seed, strict=True)) == [(hidden, 1) for hidden in hidden_neurons.HIDDEN]
    for k, hidden in ((0, ()), (1, (25,))):
        learning, expected = trained(hidden)
        assert rows.strict_accuracy[k] == expected and rows.presentations_that_wrote[k] == learning.history[:, 1].sum()


def test_networks_learn_on_their_chip_or_are_carried_to_it(tmp_path):
    device_variability.main(["--hidden", "8", "--short", *SETTINGS, "--results", str(tmp_path), "--figures", str(tmp_path)])
    rows = load_table(tmp_path / "imperfect_layers_short.json").set_index(["spread", "route"]).accuracies
    ideal, expected = trained((8,))
    assert load_results(tmp_path / "imperfect_layers_short.json")["ideal"] == {"grey": expected}
    chip = Chip(cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1, seed=2)
    assert rows[0.1, "in situ"][1] == trained((8,), chip)[1]
    assert rows[0.1, "ex situ"][1] == accuracy(network_on_chip(ideal.network, chip))
