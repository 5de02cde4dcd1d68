"""The study of multilayer networks on XOR: trained, saved, tested again, resumed, never
overwritten.
"""

import dataclasses

import numpy as np
import pytest

from memristive.cli.runs import tuned
from memristive.commands import test as read_test
from memristive.commands.train import main
from memristive.datasets import xor
from memristive.io.networks import load
from memristive.io.records import (
    FileProblem,
    NotOverwritten,
    checkpoint_path,
    load_decisions,
    load_results,
    load_table,
    save_checkpoint,
    to_json,
)
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.training import Learning, learn, train
from tests.helpers import outputs

DATA = xor()
XOR, RULE, HIDDEN = DATA.training, LayeredRule(**tuned("xor").of_group("rule")), (16,)


def study(folder, *options):
    words = ["--data", "xor", "--voltages", str(folder / "v.json"), "--jobs", "1"]
    main([*words, *outputs(folder), *map(str, options)])


def read_again(folder, *options):
    """Return the decisions of a test of the saved network."""
    read_test.main(
        ["--voltages", str(folder / "v.json"), *outputs(folder), "--jobs", "1", "--force", *options]
    )
    engine = "_by_closed_form" * ("closed-form" in options)
    return load_decisions(folder / f"v_read{engine}_decisions.csv.gz")


def learned(rule=RULE):
    network = initial_network(HIDDEN, 2, XOR.levels, rule)
    return learn(network, rule, XOR.levels, XOR.labels)


def saved_states(folder):
    return load(folder / "v.json").states


def test_a_saved_network_is_the_learned_one_and_both_engines_read_it_alike(tmp_path):
    study(tmp_path, "--seeds", 2, "--jobs", 2)
    learning = learned()
    assert all(map(np.array_equal, saved_states(tmp_path), learning.network.states))
    table = load_table(tmp_path / "layers_xor.json")
    assert table.seed.tolist() == [1, 2] and table.strict_accuracy[0] == 1
    assert table.presentations_that_wrote[0] == learning.history[:, 1].sum()
    for engine in ("ngspice", "closed-form"):
        decisions = read_again(tmp_path, "--engine", engine)
        assert decisions.decision.tolist() == decisions.label.astype(str).tolist() == list("0110")
        first = np.nanmin(learning.network.first_spikes(XOR.levels), axis=1) * 1e6
        assert np.nanmin(decisions[["spike_0_us", "spike_1_us"]], axis=1) == pytest.approx(
            first, abs=0.3
        )


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    """The second of three networks has made 1,000 of 3,000 presentations, the third none."""
    setting = ("--seeds", 3, "--set", "rule.presentations=3000")
    study(tmp_path, *setting)
    whole = load_results(tmp_path / "layers_xor.json")
    rule = dataclasses.replace(RULE, presentations=3000, seed=2)
    learning = Learning.start(initial_network(HIDDEN, 2, XOR.levels, rule), rule)
    next(train(learning, rule, XOR.levels, XOR.labels))
    assert learning.done == 1000
    names = ("v.json", "v_2.json", "v_3.json")
    first, second, third = checkpoints = [checkpoint_path(tmp_path / name) for name in names]
    row = whole["rows"][0] | {"silent": 3}
    save_checkpoint(first, {"row": to_json(row)}, whole["parameters"])
    save_checkpoint(second, learning.arrays(), whole["parameters"])
    save_checkpoint(third, {}, whole["parameters"])
    with pytest.raises(NotOverwritten, match="--resume"):
        study(tmp_path, *setting)
    study(tmp_path, *setting, "--resume")
    found = load_results(tmp_path / "layers_xor.json")["rows"]
    assert found == [row, *whole["rows"][1:]]  # the first one is not trained again
    assert not any(checkpoint.exists() for checkpoint in checkpoints)
    with pytest.raises(FileProblem, match="--resume"):
        study(tmp_path, *setting, "--resume")
