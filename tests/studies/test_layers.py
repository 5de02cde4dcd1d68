"""The study of layers on XOR: trained, kept, tested again from its file, interrupted, never overwritten unasked."""

import argparse
import csv
import dataclasses
import gzip
import json
import re

import numpy as np
import pytest

import verify
from memristive.cli.command_line import run
from memristive.io.claims import differences
from memristive.io.voltages import load_layers
from studies import layer_experiments as layered
from studies import layers
from tests.helpers import one_line, script


@pytest.fixture
def study(tmp_path, capsys, monkeypatch):
    """Run the study in this process, its files in a folder of the test's own: (exit code, output, error output).

    Drawing takes most of a small run's time: figures are left to the test of figures.
    """
    monkeypatch.setattr(layers, "draw", lambda *arguments: None)
    def call(*options, voltages=tmp_path / "xor.json"):
        places = ["--data", "xor", "--figures", tmp_path, "--voltages", voltages]
        try:
            code = run(layers.main, [str(word) for word in (*places, *options)])
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return code, said.out, said.err
    return call


def results(folder, name="layers_xor"):
    return json.loads((folder / f"{name}_results.json").read_text(encoding="utf-8"))


def test_what_is_trained_is_kept_and_tested_again_from_its_file_by_both_engines(study, tmp_path, monkeypatch):
    code, said, _ = study()
    assert code == 0 and "trained 2 - 16 - 2 neurons by closed-form" in said
    assert "strict accuracy 100.00% on 4 test images by closed-form" in said
    states, voltages = load_layers(tmp_path / "xor.json", "xor", 2, 2)
    assert [layer.shape for layer in states] == [(16, 3), (2, 17)]
    assert voltages.origin["engine"] == "closed-form" and results(tmp_path)["parameters"]["test_engine"] == "closed-form"
    for engine, name in (("ngspice", "layers_xor_test"), ("closed-form", "layers_xor_test_by_closed_form")):
        code, said, _ = study("--test-only", "--test-engine", engine)
        assert code == 0 and f"strict accuracy 100.00% on 4 test images by {engine}" in said
        with gzip.open(tmp_path / f"{name}_decisions.csv.gz", "rt", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["decision"] for row in rows] == [row["label"] for row in rows] == list("0110")
        assert all(float(row[f"spike_{row['decision']}_us"]) > 0 for row in rows)
        assert results(tmp_path, name)["parameters"]["learning"]["presentations"] == 240
    drawn = []
    monkeypatch.setattr(layers, "draw", lambda options, name, *_, **__: drawn.append(name))
    code, said, _ = study("--test-only", "--samples", 3, "--force")
    assert code == 0 and "on 3 test images" in said
    # Those of the training stay as they are.
    assert drawn == [f"layers_xor_test_by_closed_form_{name}" for name in ("confusion", "raster", "back_read")]


def test_reads_are_kept_before_a_minute_of_energies(study, tmp_path, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt
    monkeypatch.setattr(layers, "energies", stopped)
    code, _, said = study("--test-engine", "ngspice")
    assert code == 130 and results(tmp_path)["strict_accuracy"] == 1.0 and (tmp_path / "xor.json").exists(), said
    assert study("--test-only", "--test-engine", "ngspice")[0] == 130
    with gzip.open(tmp_path / "layers_xor_test_decisions.csv.gz", "rt", newline="") as file:
        assert len(list(csv.DictReader(file))) == 4
    assert study("--test-only", "--test-engine", "ngspice", "--samples", 3)[0] == 2  # which has fewer


def test_figures_and_energies_of_a_run_in_ngspice(tmp_path):
    said = script("-m", "studies.layers", "--data", "xor", "--engine", "ngspice", "--presentations", 100, "--figures", tmp_path,
                  "--voltages", tmp_path / "v.json")
    assert "energy of a read of" in said and "a back-read:" in said
    energy = results(tmp_path)["energy"]
    assert energy["read_layer_0"] > energy["read_layer_1"] > 100 * energy["back_read"] > 0
    for name in ("learning", "raster", "back_read"):
        assert (tmp_path / f"layers_xor_{name}.png").stat().st_size > 5000


def test_several_seeds_are_counted_and_the_voltages_are_the_firsts(study, tmp_path):
    assert study("--seed", 3)[0] == 0
    alone, counted = (tmp_path / "xor.json").read_bytes(), results(tmp_path)
    code, said, _ = study("--seed", 3, "--seeds", 2, "--force")
    assert code == 0 and "seed 4: strict accuracy" in said
    found = results(tmp_path)
    assert (tmp_path / "xor.json").read_bytes() == alone
    assert [row["seed"] for row in found["all_seeds"]] == [3, 4] and found["all_seeds"][0]["writes"] == counted["writes"]
    assert found["mean_strict_accuracy"] == np.mean([row["strict_accuracy"] for row in found["all_seeds"]])
    assert found["all_right"] == sum(row["strict_accuracy"] == 1 for row in found["all_seeds"])


def test_only_networks_without_any_mistake_count_as_all_right():
    rows = [{"seed": seed, "strict_accuracy": share} for seed, share in enumerate((1.0, 0.75, 1.0, 0.9999), 1)]
    found = layers.results(rows)
    assert found["all_right"] == 2 and found["mean_strict_accuracy"] == pytest.approx(3.7499 / 4)


def test_writes_are_the_presentations_that_moved_a_cell(tmp_path):
    task = dataclasses.replace(layered.TASKS["xor"], rule=dataclasses.replace(layered.TASKS["xor"].rule, seed=3))
    plan = layered.LayeredPlan(task, task.rule, (16,))
    training, data = layered.LayeredTraining(plan, plan.data(), tmp_path / "checkpoint"), plan.data()
    moved, before = 0, training.network.states
    for _ in layered.train(training.learning, plan.rule, data.images, data.labels, block=1):
        after = training.network.states
        moved += not all(map(np.array_equal, before, after))
        before = after
    options = argparse.Namespace(figures=tmp_path, test_engine="closed-form", jobs=None, seeds=None)
    row = layers.judge(training, options, 4, "layers_xor")
    assert 0 < moved < 240 and row["writes"] == moved != training.learning.history[:, 0].sum()


def test_each_seed_of_digits_has_a_split_of_its_own(tmp_path):
    """What one seed holds back the next one learns: the mean is over splits as well as over starts."""
    task = layered.TASKS["digits"]
    plan = layered.LayeredPlan(task, dataclasses.replace(task.rule, seed=5), (4,))
    asked = argparse.Namespace(seeds=2, resume=False, force=False)
    first, second = (one.data for one in layers.begun(asked, plan, plan.data(), tmp_path / "v.json", 0))
    for seed, data in ((5, first), (6, second)):
        assert np.array_equal(data.test_images, task.data(8, seed).test_images)
        assert np.array_equal(data.images, task.data(8, seed).images)
    learned = {image.tobytes() for image in second.images}
    assert np.mean([image.tobytes() in learned for image in first.test_images]) > 0.5


def test_networks_for_images_of_other_sizes_are_made_otherwise():
    """With one voltages file and one name of results for both, nothing else would tell them apart."""
    small, large = (layered.LayeredPlan(layered.TASKS["mnist"], layered.TASKS["mnist"].rule, (5,), size) for size in (8, 12))
    assert differences(small.as_dict(), large.as_dict()) == ["--size (8 there, 12 now)"]


def test_nothing_is_overwritten_unasked(study, tmp_path):
    assert study()[0] == study()[0] == 0  # the same again is welcome
    before = (tmp_path / "xor.json").read_bytes()
    for option, value, words in (("--seed", 2, "--seed (1 there, 2 now)"), ("--hidden", 8, "--hidden ([16] there, [8] now)")):
        code, _, said = study(option, value)
        assert code == 2 and words in one_line(said) and "--force" in said
    assert (tmp_path / "xor.json").read_bytes() == before
    code, _, said = study("--test-engine", "ngspice")
    assert code == 2 and "--test-engine (closed-form there, ngspice now)" in one_line(said)
    assert study("--seed", 2, "--force")[0] == 0 and (tmp_path / "xor.json").read_bytes() != before


def test_an_interrupted_training_goes_on_to_the_same_voltages(study, tmp_path, monkeypatch):
    whole, train = tmp_path / "whole.json", layered.train
    assert study("--presentations", 3000, voltages=whole)[0] == 0

    def stopped(*arguments):
        yield next(train(*arguments))
        raise KeyboardInterrupt
    monkeypatch.setattr(layered, "train", stopped)
    places = ("--presentations", 3000, "--force")
    code, said, _ = study(*places)
    assert code == 130 and "1000 presentations are saved" in said and not (tmp_path / "xor.json").exists()
    monkeypatch.setattr(layered, "train", train)
    code, _, said = study("--presentations", 3000)
    assert code == 2 and "holds 1000 presentations" in one_line(said) and "--resume" in said and "--force" in said
    code, _, said = study("--presentations", 3000, "--seed", 2, "--resume")
    assert code == 2 and "--seed (1 there, 2 now)" in one_line(said)
    code, said, _ = study("--presentations", 3000, "--resume")
    assert code == 0 and "3000 presentations" in said
    assert (tmp_path / "xor.json").read_bytes() == whole.read_bytes()
    assert not (tmp_path / "xor.json.checkpoint").exists()


def stopped_in(number):
    """A `layered.train` that is stopped in the training with this number, after its first thousand presentations."""
    begun, train = [], layered.train

    def stopped(*arguments):
        begun.append(True)
        for found in train(*arguments):
            yield found
            if len(begun) == number:
                raise KeyboardInterrupt
    return stopped


@pytest.mark.parametrize("ends_in", [1, 2, 3])
def test_an_interrupted_run_of_several_networks_goes_on_to_the_same_results(study, tmp_path, monkeypatch, ends_in):
    places = ("--presentations", 3000, "--seeds", 3)
    assert study(*places)[0] == 0
    whole, expected, train = (tmp_path / "xor.json").read_bytes(), results(tmp_path), layered.train
    assert not list(tmp_path.glob("*.checkpoint"))
    monkeypatch.setattr(layered, "train", stopped_in(ends_in))
    code, said, _ = study(*places, "--force")
    assert code == 130 and "1000 presentations are saved" in said and said.endswith("; go on with --resume --force\n")
    monkeypatch.setattr(layered, "train", train)
    code, _, said = study(*places)
    assert code == 2 and "holds 1000 presentations" in one_line(said)
    code, said, _ = study(*places, "--resume")
    assert code == 0 and said.count("networks are finished") == (ends_in > 1) and f"{ends_in - 1} of 3" * (ends_in > 1) in said
    assert (tmp_path / "xor.json").read_bytes() == whole and not list(tmp_path.glob("*.checkpoint"))
    found = results(tmp_path)
    for rows in (found["all_seeds"], expected["all_seeds"], [found], [expected]):
        for row in rows:
            del row["seconds"]
    assert found == expected
    code, said, _ = study(*places, "--resume")
    assert code == 0 and "3 of 3 networks are finished" in said


def test_networks_go_on_also_where_the_results_of_those_before_are_gone(study, tmp_path, monkeypatch):
    """Other --figures: the first is trained again, and the second goes on."""
    interrupted, train = tmp_path / "xor_2.json.checkpoint", layered.train
    monkeypatch.setattr(layered, "train", stopped_in(2))
    assert study("--presentations", 3000, "--seeds", 2)[0] == 130 and interrupted.exists()
    monkeypatch.setattr(layered, "train", train)
    for path in tmp_path.glob("*_results.json"):
        path.unlink()
    assert study("--presentations", 3000, "--seeds", 2, "--resume")[0] == 0
    assert not interrupted.exists() and len(results(tmp_path)["all_seeds"]) == 2


def test_a_network_interrupted_in_its_test_is_not_trained_again(study, tmp_path, monkeypatch):
    judge = layers.judge

    def stopped(*arguments):
        raise KeyboardInterrupt
    monkeypatch.setattr(layers, "judge", stopped)
    assert study("--presentations", 3000)[0] == 130
    monkeypatch.setattr(layers, "judge", judge)
    voltages = (tmp_path / "xor.json").read_bytes()
    monkeypatch.setattr(layered, "train", lambda *arguments: iter(()))  # nothing is left to learn
    assert study("--presentations", 3000, "--resume")[0] == 0
    assert (tmp_path / "xor.json").read_bytes() == voltages and not list(tmp_path.glob("*.checkpoint"))
    assert results(tmp_path)["samples"] == 4


def test_more_networks_are_added_to_finished_ones(study, tmp_path):
    assert study("--seeds", 3)[0] == 0
    expected = results(tmp_path)
    assert study("--force")[0] == 0
    for seeds in (2, 3):
        code, said, _ = study("--seeds", seeds, "--resume")
        assert code == 0 and f"{seeds - 1} of {seeds} networks are finished" in said
    whole, path = (tmp_path / "xor.json").read_text(), tmp_path / "xor.json"
    for key, value, what in (("seed", 7, "--seed (7 there, 1 now)"), ("states", 3, "its voltages (changed since)")):
        path.write_text(re.sub(rf'"{key}": \d+', f'"{key}": {value}', whole))
        code, _, said = study("--seeds", 3, "--resume", "--force")
        assert code == 2 and "is not the first of the finished networks" in one_line(said) and what in said
    path.write_text(whole)
    found = results(tmp_path)
    for rows in (found["all_seeds"], expected["all_seeds"], [found], [expected]):
        for row in rows:
            del row["seconds"]
    assert found == expected
    code, _, said = study("--seeds", 2, "--resume")  # would take one away
    assert code == 2 and "no such checkpoint" in one_line(said)


def test_finished_networks_outlive_an_interrupted_repetition(study, tmp_path, monkeypatch):
    places = ("--presentations", 3000, "--seeds", 3)
    assert study(*places)[0] == 0
    expected, train = results(tmp_path), layered.train
    monkeypatch.setattr(layered, "train", stopped_in(2))
    assert study(*places)[0] == 130
    assert results(tmp_path) == expected
    monkeypatch.setattr(layered, "train", train)
    assert study(*places, "--resume")[0] == 0 and len(results(tmp_path)["all_seeds"]) == 3


@pytest.mark.parametrize("crafted", [
    {"all_seeds": 5}, {"all_seeds": [{}]}, {"all_seeds": [{"seed": 1}]}, {"all_seeds": [{"seed": 9, "strict_accuracy": 1.0}]},
    {"parameters": {"seeds": "4"}}])
def test_crafted_results_hold_no_finished_networks(study, tmp_path, crafted):
    assert study("--seeds", 2)[0] == 0
    path = tmp_path / "layers_xor_results.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(crafted.get("parameters"), dict):
        crafted = {"parameters": {**stored["parameters"], **crafted["parameters"]}}
    path.write_text(json.dumps({**stored, **crafted}), encoding="utf-8")
    code, _, said = study("--seeds", 3, "--resume")
    assert code == 2 and "no such checkpoint" in one_line(said)


def test_resumed_it_overwrites_no_results_of_another_network_unasked(study, tmp_path, monkeypatch):
    train = layered.train

    def stopped(*arguments):
        yield next(train(*arguments))
        raise KeyboardInterrupt
    monkeypatch.setattr(layered, "train", stopped)
    assert study("--presentations", 3000, "--force")[0] == 130
    monkeypatch.setattr(layered, "train", train)
    assert study("--seed", 7, voltages=tmp_path / "other.json")[0] == 0
    code, _, said = study("--presentations", 3000, "--resume")
    assert code == 2 and "--seed (7 there, 1 now)" in one_line(said) and results(tmp_path)["seed"] == 7
    assert study("--presentations", 3000, "--resume", "--force")[0] == 0 and results(tmp_path)["seed"] == 1


def test_finished_networks_are_not_taken_for_others(study, tmp_path):
    assert study("--seeds", 2)[0] == 0 and study("--hidden", 5, "--force", voltages=tmp_path / "other.json")[0] == 0
    assert study("--seeds", 2, "--force")[0] == 0
    code, _, said = study("--seeds", 2, "--resume", voltages=tmp_path / "other.json")
    assert code == 2 and "other.json was made with other parameters: --hidden ([5] there" in one_line(said)


def test_a_network_learns_on_its_chip_and_another_one_has_to_be_asked_for(study, tmp_path):
    spread = ("--chip", "ten-percent")
    assert study(*spread, "--presentations", 800)[0] == 0
    code, said, _ = study("--test-only")
    assert code == 0 and results(tmp_path, "layers_xor_test_by_closed_form")["parameters"]["chip"]["cell_gain"] == 0.1
    code, _, said = study("--test-only", *spread, "--chip-seed", 2)
    assert code == 2 and "--carry-over" in one_line(said)
    code, said, warned = study("--test-only", *spread, "--chip-seed", 2, "--carry-over", "--force")
    assert code == 0 and "the ex-situ case" in one_line(warned)


@pytest.mark.parametrize(("options", "words"), [
    (["--samples", 5], "--samples: xor has 4 test images, got 5"), (["--size", 12], "--size is of MNIST's images"),
    (["--test-only", "--hidden", 8], "--hidden has no bearing"), (["--test-only", "--margin", 1e-6], "--margin has no bearing"),
    (["--test-only", "--engine", "ngspice"], "--engine has no bearing"), (["--carry-over"], "--carry-over needs --test-only"),
    (["--test-only", "--seed", 0], "--seed has no bearing"), (["--test-only", "--hidden-dose", 0], "--hidden-dose has no"),
    (["--jobs", 2], "--jobs has no bearing"), (["--error-scale", 2], "--error-scale has no bearing on a network of one hidden"),
    (["--resume", "--seeds", 2], "no such checkpoint"), (["--resume"], "no such checkpoint"),
    (["--chip", "li-2018"], "layers know a chip's cell_gain"), (["--test-only"], "no such file")])
def test_mistakes_are_one_line(study, options, words):
    code, _, said = study(*options)
    assert code == 2 and words in one_line(said)


def test_voltages_of_other_data_are_refused(study, tmp_path):
    assert study()[0] == 0
    code, _, said = study("--data", "digits", "--test-only")
    assert code == 2 and "trained for dataset 'xor', expected 'digits'" in one_line(said)


@pytest.mark.parametrize("hidden", [[], [3], [4, 3]])
def test_written_netlist_of_any_number_of_layers_runs_in_ngspices_program(study, tmp_path, hidden):
    netlist = tmp_path / "whole.cir"
    code, said, _ = study("--hidden", *hidden, "--presentations", 1, "--netlist", netlist)
    assert code == 0 and "whole.cir (the network before this training" in said
    plan = layered.LayeredPlan(layered.TASKS["xor"], layered.TASKS["xor"].rule, tuple(hidden))
    network = plan.begin(plan.data())
    nodes = [f"membrane_{len(hidden)}_{j}" for j in range(2)]
    found = verify.run_program(netlist.read_text(), nodes)
    times = [layer[0] for layer in network.forward(plan.data().images[:1])]
    steps = times[-2] if hidden else np.full(2, np.nan)  # the first image is 00
    grown = np.append(np.where(np.isnan(steps), 0.0, -np.expm1(-(150e-6 - steps) / 150e-6)), -np.expm1(-149.5 / 150))
    assert found == pytest.approx(0.65 * 4.0 * (network.states[-1] - 5.0) @ grown, rel=0.02, abs=0.03)
