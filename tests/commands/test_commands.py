"""The commands: their list, and the answers of compare, chips and report beside the verbs."""

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from memristive.__main__ import COMMANDS
from memristive.__main__ import main as memristive
from memristive.accounting.dissipation import write_costs
from memristive.datasets import matching_dataset
from memristive.devices.measured_device import DEVICES
from memristive.io.networks import load
from memristive.io.records import load_results, load_table, to_json
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
    shown = ["--set", "rule.presentations=2000", "--seeds", "1"]
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


def test_weights_are_carried_to_chips_with_the_spread_of_a_measured_neuron(tmp_path):
    path = ROOT / "voltages" / "mnist_error_driven_grey.json"
    neuron = ROOT / "results" / "devices" / "gf180mcu_neuron.json"
    words = ["--neuron", str(neuron), "--spread", "0", "0.01", "1", "--chips", "1", "--repair", "0"]
    assert memristive(["chips", str(path), *words, *outputs(tmp_path), "--jobs", "1"]) == 0
    rows = load_table(tmp_path / "chips_mnist_error_driven_grey.json").sort_values("spread")
    assert set(rows["deviation"]) == {"neurons"}
    ideal, near, far = rows["carried"]
    assert ideal == pytest.approx(0.91, abs=0.01) and near == pytest.approx(ideal, abs=0.03)
    assert far < ideal - 0.2


def test_a_network_of_own_images_is_saved_beside_its_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, labels = DIGITS.training
    np.savez("mine.npz", images=images[:200].reshape(-1, 8, 8), labels=labels[:200])
    words = ["--data", "mine.npz", "--hidden", "--set", "rule.presentations=500"]
    assert memristive(["train", *words]) == 0
    (row,) = load_results("own/layers_mine.json")["rows"]
    assert 0.3 < row["strict_accuracy"] <= 1
    assert load("own/layers_mine_network.json").sizes == (64, 10)
    # the images that the training left out, also if the file has another name; of other files all
    words = ["--voltages", "own/layers_mine_network.json", "--engine", "closed-form", "--data"]
    assert memristive(["test", *words, "mine.npz"]) == 0
    scores = load_results("own/layers_mine_network_read_by_closed_form.json")
    assert scores["strict_accuracy"] == row["strict_accuracy"] and scores["samples"] == 40
    Path("mine.npz").rename("renamed.npz")
    np.savez("others.npz", images=images[:150].reshape(-1, 8, 8), labels=labels[:150])
    for name, samples in (("renamed", 40), ("others", 150)):
        assert memristive(["test", *words, f"{name}.npz", "--results", name]) == 0
        scores = load_results(f"{name}/layers_mine_network_read_by_closed_form.json")
        assert scores["samples"] == samples


def test_all_doors_scale_images_as_the_training_did(tmp_path, monkeypatch, capsys):
    """A fifth of the light of raw pixels from 0 to 16 is dark, and an outlier is clipped."""
    monkeypatch.chdir(tmp_path)
    pixels, labels = 16 * DIGITS.training.levels[:300], DIGITS.training.labels[:300]
    bright = pixels.copy()
    bright[0, 0] = 1000.0
    for name, values in (("mine", pixels), ("dark", pixels / 5), ("outlier", bright)):
        np.savez(f"{name}.npz", images=values, labels=labels)
    words = ["--data", "mine.npz", "--hidden", "--set", "rule.presentations=3000"]
    assert memristive(["train", *words, "--voltages", "v.json"]) == 0
    assert load_results("v.json")["scale"] == [0, 16]
    expected = load("v.json").first_spikes(pixels / 16)
    capsys.readouterr()
    for name, least, most in (("dark", 0.0, 0.5), ("outlier", 0.9, 1.0)):
        words = ["--data", f"{name}.npz", "--results", name, "--figures", name]
        test = ["test", "--voltages", "v.json", "--engine", "closed-form"]
        assert memristive([*test, *words]) == 0
        shown = capsys.readouterr().err
        assert ("1 of 19,200" in shown) == (name == "outlier")
        found = load_results(f"{name}/v_read_by_closed_form.json")["strict_accuracy"]
        right = score_row(labels, expected)["strict_accuracy"]
        assert least <= found <= most
        assert name == "dark" or found == pytest.approx(right, abs=0.01)
        chips = ["chips", "v.json", "--spread", "0", "--chips", "1", "--repair", "0"]
        assert memristive([*chips, "--jobs", "1", *words]) == 0
        assert load_table(f"{name}/chips_v.json")["carried"][0] == found
    assert memristive(["export", "v.json", "--results", "own"]) == 0
    assert pd.read_csv("own/v/scale.csv")["value"].tolist() == [0, 16]
    content = load_results("v.json")
    del content["scale"]  # as files before
    Path("v.json").write_text(to_json(content), encoding="utf-8")
    capsys.readouterr()
    assert memristive([*test, "--data", "dark.npz", "--results", "old", "--figures", "old"]) == 0
    assert "scale" in capsys.readouterr().err
    assert load_results("old/v_read_by_closed_form.json")["strict_accuracy"] > 0.9


def test_a_training_notices_that_its_file_has_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images, labels = DIGITS.training
    np.savez("mine.npz", images=images[:100], labels=labels[:100])
    words = ["train", "--data", "mine.npz", "--hidden", "--set", "rule.presentations=200"]
    (tmp_path / "file").touch()
    broken = [*words, "--figures", "file/folder", "--voltages", "new.json"]
    assert memristive(broken) == 1  # leaves a checkpoint
    assert memristive(words) == 0
    files = sorted(Path("own").rglob("*.json"))
    before = [path.read_bytes() for path in files]
    np.savez("mine.npz", images=images[:100], labels=labels[1:101])
    Path("new.json").unlink()  # of the run that failed later, which leaves its checkpoint
    capsys.readouterr()
    assert memristive([*words, "--voltages", "new.json", "--results", "new", "--resume"]) == 1
    assert "data_checksum" in one_line(capsys.readouterr().err)
    assert memristive(words) == 2
    assert "data_checksum" in one_line(capsys.readouterr().err)
    assert [path.read_bytes() for path in files] == before
    test = ["test", "--voltages", "own/layers_mine_network.json", "--engine", "closed-form"]
    assert memristive([*test, "--data", "mine.npz", "--results", "new"]) == 0
    assert "changed" in capsys.readouterr().err  # learned images are among all 100
