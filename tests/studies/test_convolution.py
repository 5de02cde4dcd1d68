"""Studies of convolutions: digits, and choices compared seed by seed."""

import pytest

from memristive.commands import train
from memristive.io.records import load_results
from studies.convolution_choices import comparisons


def test_kernels_learn_digits_with_fewer_weights_than_pixels(tmp_path):
    outputs = ["--results", str(tmp_path), "--figures", str(tmp_path)]
    network = ["--voltages", str(tmp_path / "network.json"), "--kernels", "16"]
    train.main(
        [
            "--convolution",
            "--data",
            "digits",
            "--held-out",
            "--set",
            "rule.presentations=20000",
            *network,
            *outputs,
        ]
    )
    found = load_results(tmp_path / "convolution_digits.json")
    assert found["rows"][0]["samples"] == 240 and found["mean_strict_accuracy"] > 0.85
    assert found["parameters"]["weights"] == 16 * 10 + 10 * (4 * 16 + 1)


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
