"""Chips by name or from a file."""

import dataclasses
import json

import pytest

from memristive.network.chip import PRESETS, Chip, load_chip
from memristive.spice.parameters import ParameterError


def test_preset_takes_the_shape_of_the_network():
    assert load_chip("li-2018", 4, 9) == dataclasses.replace(PRESETS["li-2018"], classes=4, inputs=9)
    assert load_chip("ideal", 4, 9).ideal and not load_chip("chen-2015", 4, 9).ideal


def test_chip_file_gives_the_chip_back(tmp_path):
    chip = Chip(seed=7, classes=4, inputs=9, cell_gain=0.1, read_noise=5e-3, stuck_state=6.0)
    (tmp_path / "chip.json").write_text(json.dumps(chip.as_dict()))
    assert load_chip(str(tmp_path / "chip.json"), 4, 9) == chip


@pytest.mark.parametrize(("content", "word"), [
    ('{"cell_gain": -0.1}', "cell_gain"), ('{"gain": 1}', "gain"), ('{"inputs": 784}', "784"), ("{", "chip.json"),
    ("[]", "chip.json"), (None, "chip.json")])
def test_unusable_chip_file_is_refused(tmp_path, content, word):
    path = tmp_path / "chip.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ParameterError, match=word):
        load_chip(str(path), 4, 9)
