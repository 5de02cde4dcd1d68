"""The commands: their list, and the answers of compare, chips and report beside the verbs."""

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

from memristive.__main__ import COMMANDS
from memristive.__main__ import main as memristive
from memristive.accounting.dissipation import write_costs
from memristive.datasets import matching_dataset
from memristive.devices.measured_device import DEVICES
from memristive.io.records import load_results, load_table
from memristive.io.voltages import load
from memristive.learning.build import build
from memristive.learning.training import Learning, train
from memristive.scores.decisions import score_row
from memristive.writing.pulses import no_counts
from tests.helpers import ROOT, one_line, outputs

DIGITS = matching_dataset("digits")


def test_commands_are_listed_and_each_has_a_short_help(capsys):
    assert memristive([]) == 0
    listed = capsys.readouterr().out
    assert len(COMMANDS) <= 10 and all(f"\n{name} " in listed for name in COMMANDS)
    for name in COMMANDS:
        with pytest.raises(SystemExit) as end:
            importlib.import_module(f"memristive.commands.{name}").main(["--help"])
        assert end.value.code == 0
        assert len(capsys.readouterr().out.splitlines()) < 100  # two screens
    assert memristive(["fitt"]) == 2
    assert "'fitt'" in one_line(capsys.readouterr().err)


def test_compare_has_the_accuracy_and_the_pulses_of_the_verbs(tmp_path):
    words = ["--device", "epiram", "--write", "late", "--vary", "write_noise", "0", "0.05"]
    shown = ["--presentations", "2000", "--seeds", "1"]
    assert memristive(["compare", *words, *shown, *outputs(tmp_path), "--jobs", "1"]) == 0
    found = load_table(tmp_path / "compare_digits_write_noise_epiram.json")
    quiet, noisy = found.to_dict("records")
    assert quiet["strict_accuracy"] > noisy["strict_accuracy"]

    device = dataclasses.replace(DEVICES["epiram"], write_noise=0.0)
    network, rule = build(DIGITS.training.levels, 10, None, device, late=True, presentations=2000)
    learning, counts = Learning.start(network, rule), no_counts(network)
    for _ in train(learning, rule, *DIGITS.training, counts=counts):
        pass
    scores = score_row(DIGITS.test.labels, learning.network.first_spikes(DIGITS.test.levels))
    assert quiet["strict_accuracy"] == scores["strict_accuracy"]
    assert quiet["pulses_per_cell"] == write_costs(device, counts)["pulses_per_cell"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--vary", "writenoise", "1"], "device.write_noise"),
        (["--vary", "write_noise", "much"], "much"),
        (["--vary", "write_noise"], "write_noise"),
        (["--vary", "write_noise", "-1"], "write_noise"),
        (["--device", "epirm"], "epiram"),
    ],
)
def test_wrong_words_of_compare_are_one_line(words, named, tmp_path, capsys):
    assert memristive(["compare", *words, *outputs(tmp_path), "--jobs", "1"]) == 2
    assert named in one_line(capsys.readouterr().err)


def test_a_network_is_carried_to_chips_and_repaired_there(tmp_path, capsys):
    path = ROOT / "voltages" / "convolution_digits.json"
    words = [str(path), "--spread", "0", "0.05", "--chips", "2", "--repair", "1000"]
    assert memristive(["chips", *words, *outputs(tmp_path), "--jobs", "1"]) == 0
    rows = load_table(tmp_path / "chips_convolution_digits.json")
    scores = score_row(DIGITS.test.labels, load(path).first_spikes(DIGITS.test.levels))
    ideal = rows[rows["spread"] == 0]
    assert (ideal["carried"] == scores["strict_accuracy"]).all() and len(ideal) == 2
    cells = rows[rows["deviation"] == "cells"]
    assert (cells["carried"] < ideal["carried"].min()).all()
    assert (cells["repaired"] > cells["carried"] + 0.1).all()
    assert memristive(["chips", str(ROOT / "voltages" / "xpue.json"), *outputs(tmp_path)]) == 2
    assert "--repair 0" in one_line(capsys.readouterr().err)


def test_a_network_of_own_images_is_saved_beside_its_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, labels = DIGITS.training
    np.savez("mine.npz", images=images[:200].reshape(-1, 8, 8), labels=labels[:200])
    words = ["--data", "mine.npz", "--hidden", "--set", "rule.presentations=500"]
    assert memristive(["train", *words]) == 0
    (row,) = load_results("own/layers_mine.json")["rows"]
    assert 0.3 < row["strict_accuracy"] <= 1
    assert load("own/layers_mine_network.json").sizes == (64, 10)
    # the images that the training left out; of a file with another name all
    words = ["--voltages", "own/layers_mine_network.json", "--engine", "closed-form", "--data"]
    assert memristive(["test", *words, "mine.npz"]) == 0
    scores = load_results("own/layers_mine_network_read_by_closed_form.json")
    assert scores["strict_accuracy"] == row["strict_accuracy"] and scores["samples"] == 40
    Path("mine.npz").rename("others.npz")
    assert memristive(["test", *words, "others.npz", "--results", "others"]) == 0
    scores = load_results("others/layers_mine_network_read_by_closed_form.json")
    assert scores["samples"] == 200
