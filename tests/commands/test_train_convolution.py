"""Training of convolutions from the command line."""

from memristive.commands import train
from memristive.io.records import load_results
from tests.helpers import outputs


def test_kernels_learn_digits_with_fewer_weights_than_pixels(tmp_path):
    words = "--convolution --data digits --held-out --kernels 16 --set rule.presentations=20000"
    voltages = ["--voltages", str(tmp_path / "network.json")]
    train.main([*words.split(), *voltages, *outputs(tmp_path)])
    found = load_results(tmp_path / "convolution_digits.json")
    assert found["rows"][0]["samples"] == 240 and found["mean_strict_accuracy"] > 0.85
    assert found["parameters"]["weights"] == 16 * 10 + 10 * (4 * 16 + 1)
