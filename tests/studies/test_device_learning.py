"""Learning of measured devices: settings by formula, costs against Joule's law, a user's device."""

import dataclasses
import json

import pytest

from memristive.devices.measured_device import DEVICES, MeasuredDevice, device_record
from memristive.io.results import load_table
from memristive.learning.device_settings import learning_of
from memristive.learning.layered_training import initial_network
from memristive.network.layers import no_counts
from studies import device_learning
from studies.device_learning import write_costs
from studies.device_settings import SHAPES, Trial, evaluate


def test_the_energy_of_writes_is_that_of_their_pulses():
    device = DEVICES["ag-si"]
    made, rule = learning_of(device, 1, 1)
    counts = no_counts(initial_network((), 3, [[0.5] * 6], rule, **made))
    counts.pulses[0][2, 1] = 7
    counts.conducted[0][1, 2, 1] = 5 * 1e-8  # five pulses up and two down, at 10 nS and 20 nS
    counts.conducted[0][0, 2, 1] = 2 * 2e-8
    costs = write_costs(device, counts)
    assert costs["write_energy_J"] == pytest.approx(5 * 3.2**2 * 1e-8 * 300e-6 + 2 * 2.8**2 * 2e-8 * 300e-6)
    assert costs["most_pulses"] == 7 and costs["share_beyond_endurance"] == 0


@pytest.mark.parametrize("shape", ["accelerating", "abrupt increase"])
def test_a_device_of_any_shape_learns(shape):
    assert evaluate(Trial(SHAPES[shape], 1, 1, False))["strict_accuracy"] > (0.8 if shape == "abrupt increase" else 0.9)


def test_a_device_of_the_user_is_compared_with_the_presets(tmp_path, capsys):
    mine = MeasuredDevice("mine", up=(0.05, 0.02, 0.01), down=(0.01, 0.02, 0.02), write_noise=0.01, read_noise=0.01, spread=0.1)
    (tmp_path / "mine.json").write_text(json.dumps(device_record(mine)))
    gains = device_learning.Task(str(tmp_path / "mine.json"), data="digits").prepared()[0].devices[0].cells.transconductance
    assert gains.std() / gains.mean() == pytest.approx(0.1, rel=0.1)
    task = device_learning.Task("epiram", data="digits")
    rows = [device_learning.evaluate(dataclasses.replace(task, short=True))]
    (tmp_path / "device_learning.json").write_text(json.dumps({"rows": rows}))
    device_learning.main(["--device", str(tmp_path / "mine.json"), "--data", "digits", "--layers", "1", "--jobs", "1",
                          "--results", str(tmp_path)])
    found = load_table(tmp_path / "device_learning_mine_digits.json")
    assert found.strict_accuracy.min() > 0.85
    printed = capsys.readouterr().out
    assert "mine" in printed and "epiram" in printed
