"""Studies of convolutions: digits, a pattern anywhere, and a whole image in one transient."""

import numpy as np
import pytest

from memristive.io.records import load_results
from studies import convolution, convolution_anywhere, convolution_circuit
from studies.convolution_anywhere import scenes
from studies.convolution_choices import comparisons


def test_kernels_learn_digits_with_fewer_weights_than_pixels(tmp_path):
    outputs = ["--results", str(tmp_path), "--figures", str(tmp_path)]
    network = ["--voltages", str(tmp_path / "network.json"), "--kernels", "16"]
    convolution.main(
        ["--data", "digits", "--held-out", "--set", "rule.presentations=20000", *network, *outputs]
    )
    found = load_results(tmp_path / "convolution_digits.json")
    assert found["rows"][0]["samples"] == 240 and found["mean_strict_accuracy"] > 0.85
    assert found["parameters"]["weights"] == 16 * 10 + 10 * (4 * 16 + 1)


def test_a_kernel_knows_a_pattern_at_places_that_it_has_not_seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    convolution_anywhere.main(["--seeds", "2", "--results", str(tmp_path), "--force"])
    rows = load_results(tmp_path / "convolution_anywhere.json")["rows"]
    kernels = [row["new"] for row in rows if "kernels" in row["network"]]
    dense = [row["new"] for row in rows if "dense" in row["network"]]
    assert min(kernels) > 0.9 and max(dense) < 0.6
    images, labels, seen = scenes(8)
    assert len(images) == 4 * 36 and seen.sum() == 72 and np.bincount(labels).tolist() == [36] * 4


def test_a_whole_image_in_one_transient_fires_as_the_closed_form(ngspice, tmp_path):
    netlist = tmp_path / "convolution.cir"
    outputs = ["--results", str(tmp_path), "--figures", str(tmp_path), "--netlist", str(netlist)]
    convolution_circuit.main(outputs)
    found = load_results(tmp_path / "convolution_circuit.json")
    for part, fired in (("pooled", 6), ("outputs", 2)):
        assert found[part]["differ_in_silence"] == 0 and found[part]["deviation_s"] < 1e-6
        assert sum(time is not None for time in found[part]["ngspice_s"]) >= fired
    assert "held_3_2" in netlist.read_text()


def test_choices_are_compared_seed_by_seed():
    accuracies = {
        ("base", None): [0.90, 0.80, 0.70, 0.60],
        ("better in each seed", "base"): [0.92, 0.81, 0.72, 0.61],
        ("better in the mean", "base"): [0.60, 0.90, 0.80, 0.76],
        ("worse", "better in each seed"): [0.90, 0.81, 0.71, 0.60],
    }
    rows = [
        {"change": change, "against": against, "seed": seed, "strict_accuracy": accuracy}
        for (change, against), found in accuracies.items()
        for seed, accuracy in enumerate(found)
    ]
    first, second, third = comparisons(rows[::-1])[::-1]
    assert first["difference"] == pytest.approx(second["difference"]) == pytest.approx(0.015)
    assert first["p"] == pytest.approx(2 / 2**4)  # all four signs are equal
    assert first["p_holm"] == pytest.approx(3 * first["p"])
    assert third["p_holm"] == pytest.approx(2 * third["p"]) == pytest.approx(2 * 2 / 2**3)
    assert second["p_holm"] == second["p"] > 0.5
