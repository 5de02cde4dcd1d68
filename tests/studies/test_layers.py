"""The study of multilayer networks on XOR: trained, saved, tested again, resumed, never
overwritten.
"""

import dataclasses

import numpy as np
import pytest

from datasets import xor
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
from memristive.io.voltages import load
from memristive.learning.build import initial_network
from memristive.learning.training import Learning, learn, train
from memristive.network.chip import PRESETS
from memristive.network.networks import network_on_chip
from studies import read_test
from studies.layers import main

DATA = xor()
XOR, RULE, HIDDEN = DATA.training, DATA.layer_rule, DATA.hidden


def study(folder, *options):
    main(
        [
            "--data",
            "xor",
            "--voltages",
            str(folder / "v.json"),
            "--results",
            str(folder),
            "--figures",
            str(folder),
            "--jobs",
            "1",
            *map(str, options),
        ]
    )


def read_again(folder, *options):
    """Return the decisions of a test of the saved network."""
    read_test.main(
        [
            "--voltages",
            str(folder / "v.json"),
            "--results",
            str(folder),
            "--figures",
            str(folder),
            "--jobs",
            "1",
            "--force",
            *options,
        ]
    )
    on, engine = "_on_ideal" * ("ideal" in options), "_by_closed_form" * ("closed-form" in options)
    return load_decisions(folder / f"v_read{on}{engine}_decisions.csv.gz")


def learned(rule=RULE, chip=None):
    network = initial_network(HIDDEN, 2, XOR.levels, rule)
    return learn(network_on_chip(network, chip), rule, XOR.levels, XOR.labels)


def saved_states(folder):
    return load(folder / "v.json").states


def test_a_saved_network_is_the_learned_one_and_both_engines_read_it_alike(tmp_path):
    study(tmp_path, "--seeds", 2)
    learning, second = learned(), learned(dataclasses.replace(RULE, seed=2))
    assert all(map(np.array_equal, saved_states(tmp_path), learning.network.states))
    table, record = (
        load_table(tmp_path / "layers_xor.json"),
        load_results(tmp_path / "layers_xor.json"),
    )
    assert table.seed.tolist() == [1, 2] and table.strict_accuracy[0] == 1
    assert table.presentations_that_wrote.tolist() == [
        one.history[:, 1].sum() for one in (learning, second)
    ]
    right = np.nanargmin(second.network.first_spikes(XOR.levels), axis=1) == XOR.labels
    assert table.strict_accuracy[1] == np.mean(right)
    assert record["mean_strict_accuracy"] == table.strict_accuracy.mean()
    assert record["networks_without_mistakes"] == (table.strict_accuracy == 1).sum()
    for engine in ("ngspice", "closed-form"):
        decisions = read_again(tmp_path, "--engine", engine)
        assert decisions.decision.tolist() == decisions.label.astype(str).tolist() == list("0110")
        first = np.nanmin(learning.network.first_spikes(XOR.levels), axis=1) * 1e6
        assert np.nanmin(decisions[["spike_0_us", "spike_1_us"]], axis=1) == pytest.approx(
            first, abs=0.3
        )


def test_a_training_in_ngspice_is_saved_and_its_energies_are_recorded(tmp_path):
    study(tmp_path, "--engine", "ngspice", "--set", "rule.presentations=16")
    exact = learned(dataclasses.replace(RULE, presentations=16))
    assert saved_states(tmp_path)[1] == pytest.approx(exact.network.states[1], abs=5e-3)
    record = load_results(tmp_path / "layers_xor.json")
    assert record["rows"][0]["presentations_that_wrote"] == exact.history[:, 1].sum()
    energy = record["energy"]
    assert energy["read_layer_1_J"] > energy["read_layer_2_J"] > 100 * energy["back_read_J"] > 0


def test_a_network_is_trained_on_its_chip_and_may_be_carried_to_another(tmp_path):
    study(tmp_path, "--chip", "ten-percent", "--set", "chip.seed=3")
    chip = dataclasses.replace(PRESETS["ten-percent"], classes=2, inputs=17, seed=3)
    network = learned(chip=chip).network
    assert all(map(np.array_equal, saved_states(tmp_path), network.states))
    assert not np.array_equal(network.states[0], learned().network.states[0])
    for options, devices in (([], chip), (["--chip", "ideal"], None)):
        decisions = read_again(tmp_path, "--engine", "closed-form", *options)
        network = network_on_chip(network, devices)
        assert decisions[["spike_0_us", "spike_1_us"]].to_numpy() == pytest.approx(
            network.first_spikes(XOR.levels) * 1e6, abs=1e-4, nan_ok=True
        )


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    """The second of two networks has made 1,000 of 3,000 presentations."""
    setting = ("--seeds", 2, "--set", "rule.presentations=3000")
    study(tmp_path, *setting)
    whole = load_results(tmp_path / "layers_xor.json")
    rule = dataclasses.replace(RULE, presentations=3000, seed=2)
    learning = Learning.start(initial_network(HIDDEN, 2, XOR.levels, rule), rule)
    next(train(learning, rule, XOR.levels, XOR.labels))
    assert learning.done == 1000
    checkpoint, rows = checkpoint_path(tmp_path / "v.json"), [whole["rows"][0] | {"silent": 3}]
    save_checkpoint(checkpoint, {**learning.arrays(), "rows": to_json(rows)}, whole["parameters"])
    with pytest.raises(NotOverwritten, match="--resume"):
        study(tmp_path, *setting)
    study(tmp_path, *setting, "--resume")
    found = load_results(tmp_path / "layers_xor.json")["rows"]
    assert found == [rows[0], whole["rows"][1]]  # the first one is not trained again
    assert not checkpoint.exists()
    with pytest.raises(FileProblem, match="--resume"):
        study(tmp_path, *setting, "--resume")


def test_an_error_after_the_training_leaves_a_checkpoint(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileProblem, match="file"):
        study(tmp_path, "--figures", tmp_path / "file" / "folder")
    assert checkpoint_path(tmp_path / "v.json").exists()
    study(tmp_path, "--resume")
    assert all(map(np.array_equal, saved_states(tmp_path), learned().network.states))


def test_nothing_is_overwritten_without_force(tmp_path):
    study(tmp_path)
    before = (tmp_path / "v.json").read_bytes()
    for options, name in (
        (["--set", "rule.seed=2"], "seed"),
        (["--hidden", 8], "hidden"),
        (["--samples", 3], "samples"),
    ):
        with pytest.raises(NotOverwritten, match=name):
            study(tmp_path, *options)
    assert (tmp_path / "v.json").read_bytes() == before
    study(tmp_path, "--hidden", "--force", "--set", "rule.presentations=5")  # a single layer
    assert [states.shape for states in saved_states(tmp_path)] == [(2, 3)]
