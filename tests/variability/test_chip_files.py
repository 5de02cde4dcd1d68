"""Chips as users give them: files, presets, options; voltages that know their chip."""

import argparse
import dataclasses
import json

import numpy as np
import pytest

from memristive.cli.chip_options import (
    FIELDS,
    FORMAT,
    add_carry_options,
    add_chip_options,
    aged,
    chip_to_test,
    chosen_chip,
    load_chip,
    save_chip,
)
from memristive.io.voltages import Voltages, VoltagesError, load_voltages
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import PRESETS, Chip
from tests.helpers import page, script


def options(chip=None, carry_over=False, **given):
    return argparse.Namespace(chip=chip, carry_over=carry_over,
                              **{f"chip_{field.name}": given.get(field.name) for field in FIELDS})


def test_chip_file_gives_the_chip_back(tmp_path):
    chip = Chip(seed=7, classes=4, inputs=9, cell_gain=0.1, read_noise=5e-3, stuck_state=6.0)
    save_chip(tmp_path / "chip.json", chip)
    assert load_chip(tmp_path / "chip.json", 4, 9) == chip
    assert chosen_chip(options(str(tmp_path / "chip.json"), cell_gain=0.2), 4, 9) == dataclasses.replace(chip, cell_gain=0.2)


@pytest.mark.parametrize(("change", "words"), [
    ({"version": 2}, "chip file version 2, expected 1"), ({"version": True}, "version True"),
    ({"format": "else"}, "is no chip file"), ({"cell_gain": -0.1}, "cell_gain must be 0 to 2, got -0.1"),
    ({"cell_gain": float("nan")}, "cell_gain must be 0 to 2, got nan"), ({"gain": 1}, "a chip has no 'gain'"),
    ({"inputs": 784}, "4 x 784 cells, the network needs 4 x 9"), ({"seed": 1.5}, "seed must be")])
def test_chip_file_that_cannot_be_used_is_named_with_its_fault(tmp_path, change, words):
    path = tmp_path / "chip.json"
    path.write_text(json.dumps({"format": FORMAT, "version": 1, **Chip(classes=4, inputs=9).as_dict(), **change}))
    with pytest.raises(ParameterError, match=words) as caught:
        load_chip(path, 4, 9)
    assert str(path) in str(caught.value)


def test_no_file_garbled_file_and_unknown_name_are_one_line(tmp_path):
    (tmp_path / "garbled").write_text("{")
    for name, words in (("nothing", "No such file.*; a chip is one of ideal, li-2018, "), ("garbled", "not usable JSON")):
        with pytest.raises(ParameterError, match=f"{name}: .*{words}") as caught:
            load_chip(tmp_path / name, 4, 9)
        assert "\n" not in str(caught.value)
    for content, words in (({}, "is no chip file"), ({"format": FORMAT}, "version None, expected 1"), ([], "is no chip file")):
        (tmp_path / "other").write_text(json.dumps(content))
        with pytest.raises(ParameterError, match=f"other: .*{words}"):
            load_chip(tmp_path / "other", 4, 9)
    (tmp_path / "twice").write_text('{"format": "in-situ memristive chip", "version": 1, "cell_gain": 0.1, "cell_gain": 0.2}')
    with pytest.raises(ParameterError, match=r"twice: .*'cell_gain' stands there twice"):
        load_chip(tmp_path / "twice", 4, 9)


def test_presets_take_the_shape_of_the_network_and_ideal_says_nothing():
    assert chosen_chip(options(), 4, 9) is None
    assert chosen_chip(options("li-2018", seed=5), 4, 9) == dataclasses.replace(PRESETS["li-2018"], seed=5, classes=4, inputs=9)
    assert chosen_chip(options(cell_gain=0.1), 4, 9) == Chip(classes=4, inputs=9, cell_gain=0.1)


def test_voltages_on_another_chip_must_be_asked_for(capsys):
    here, there = Chip(seed=1, classes=4, inputs=9, cell_gain=0.1), Chip(seed=2, classes=4, inputs=9, cell_gain=0.1)
    trained = Voltages(np.zeros((4, 9)), origin={"chip": here.as_dict()})
    assert chip_to_test(options(), trained, "v.json") == here
    assert chip_to_test(options(cell_gain=0.1), trained, "v.json") == here
    with pytest.raises(ParameterError, match=r"trained on chip 1 \(cell_gain 0.1\), not on chip 2 .* --carry-over"):
        chip_to_test(options(seed=2, cell_gain=0.1), trained, "v.json")
    assert not capsys.readouterr().err
    assert chip_to_test(options(carry_over=True, seed=2, cell_gain=0.1), trained, "v.json") == there
    said = capsys.readouterr().err
    assert "v.json was trained on chip 1 (cell_gain 0.1) and is carried over to chip 2 (cell_gain 0.1)" in said
    untouched = Voltages(np.zeros((4, 9)))
    assert chip_to_test(options(), untouched, "v.json") is None
    assert chip_to_test(options("ideal"), untouched, "v.json") is None
    with pytest.raises(ParameterError, match=r"trained on an ideal chip, not on chip 3 \(cell_gain 0.1, read_noise 0.01\); "):
        chip_to_test(options(cell_gain=0.1, read_noise=0.01, seed=3), untouched, "v.json")
    with pytest.raises(VoltagesError, match=r"v.json: a chip has no 7; it has cell_capacitance, cell_gain, "):
        chip_to_test(options(), Voltages(np.zeros((4, 9)), origin={"chip": 7}), "v.json")
    with pytest.raises(VoltagesError, match=r"v.json: .*cell_gain"):
        chip_to_test(options(), Voltages(np.zeros((4, 9)), origin={"chip": {"cell_gain": "much"}}), "v.json")


@pytest.mark.parametrize(("given", "words"), [
    ({"seed": 2}, "--chip-seed has no bearing on a chip without a spread"),
    ({"chip": "ideal", "seed": 2}, "--chip-seed"),
    ({"seed": 2, "cell_gain": 0.0}, "--chip-seed"), ({"seed": 2, "row_resistance": 2.0}, "--chip-seed"),
    ({"seed": 2, "decay_rate": 1.0}, "--chip-seed"),
    ({"seed": 2, "stuck_off": 0.1, "stuck_state": 5.0}, "--chip-stuck-state has no bearing on a chip without --chip-stuck-on"),
    ({"chip": "ten-percent", "decay_spread": 0.2}, "--chip-decay-spread has no bearing on a chip without --chip-decay-rate")])
def test_option_that_changes_nothing_about_a_chip_is_refused(given, words):
    with pytest.raises(ParameterError, match=words):
        chosen_chip(options(**given), 4, 9)


def test_option_that_bears_on_its_chip_is_taken():
    chip = chosen_chip(options("ten-percent", seed=2, stuck_on=0.1, stuck_state=5.0, decay_rate=1.0, decay_spread=0.2), 4, 9)
    assert (chip.seed, chip.stuck_state, chip.decay_spread, chip.cell_gain) == (2, 5.0, 0.2, 0.1)


def test_carrying_over_to_no_chip_is_refused():
    trained = Voltages(np.zeros((4, 9)), origin={"chip": Chip(classes=4, inputs=9, cell_gain=0.1).as_dict()})
    for voltages in (trained, Voltages(np.zeros((4, 9)))):
        with pytest.raises(ParameterError, match=r"^--carry-over has no bearing .* give --chip or a --chip- option$"):
            chip_to_test(options(carry_over=True), voltages, "v.json")
    with pytest.raises(ParameterError, match=r"^--carry-over has no bearing on chip 1 \(cell_gain 0.1\), which v.json was"):
        chip_to_test(options(cell_gain=0.1, carry_over=True), trained, "v.json")
    ideal = chip_to_test(options("ideal", carry_over=True), trained, "v.json")
    assert ideal is not None and ideal.ideal


def test_voltages_grow_old_on_a_chip_that_forgets():
    states, forgetful = np.full((4, 9), 4.0), Chip(classes=4, inputs=9, decay_rate=0.1)
    assert aged(argparse.Namespace(age=10.0), forgetful, states) == pytest.approx(4.0 * np.exp(-1))
    assert aged(argparse.Namespace(age=None), forgetful, states) == pytest.approx(states)
    assert aged(argparse.Namespace(age=None), None, states) is states
    with pytest.raises(ParameterError, match=r"^--age .* not forget; give the whole .* --chip-decay-rate beside its other .*$"):
        aged(argparse.Namespace(age=10.0), Chip(classes=4, inputs=9), states)


def test_every_deviation_has_an_option_that_says_its_meaning_and_default():
    parser = argparse.ArgumentParser()
    add_chip_options(parser)
    add_carry_options(parser)
    given = ["--chip", "li-2018", "--chip-cell-gain", "0.2", "--chip-seed", "7"]
    found = parser.parse_args([*given, "--age", "3.5", "--carry-over"])
    assert (found.chip, found.chip_cell_gain, found.chip_seed, found.age, found.carry_over) == ("li-2018", 0.2, 7, 3.5, True)
    assert chosen_chip(found, 4, 9) == dataclasses.replace(PRESETS["li-2018"], seed=7, cell_gain=0.2, classes=4, inputs=9)
    assert set(vars(parser.parse_args([])).values()) == {None, False}
    said = "".join(parser.format_help().split())  # lines break anywhere
    assert f"--chipFILEachipfile(docs/imperfect_chips.md),oroneof{','.join(PRESETS)}--chip-seed" in said
    for field in FIELDS:
        default = f"(default: the chip's, {field.default:g} {field.metadata['unit']} if ideal)"
        expected = f"--chip-{field.name.replace('_', '-')} X {field.metadata['meaning']} {default}"
        assert "".join(expected.split()) in said
    assert "Chip(anidealonebydefault):d2d:fromdevicetodevice;c2c:fromcycletocycle--chipFILE" in said
    assert "--ageXtimeinssincethetraining" in said
    assert "--carry-overtestthevoltagesonanotherchipthantheonetheyweretrainedon:theex-situcase" in said


@pytest.mark.process
def test_training_and_test_script_hand_the_chip_over(tmp_path):
    voltages = tmp_path / "chip.json"
    common = ["--figures", tmp_path, "--voltages", voltages]
    chip = ["--chip", "ten-percent", "--chip-seed", "5", "--chip-read-noise", "0.01"]
    script("MNIST_memristive_training.py", "--rule", "error-driven", "--size", "4", "--presentations", "5", *chip, *common)
    stored = load_voltages(voltages, "mnist", 10, 16).origin["chip"]
    assert stored["seed"] == 5 and stored["cell_gain"] == 0.1 and stored["inputs"] == 16
    test = ["MNIST_memristor_test.py", "--size", "4", "--samples", "3", "--jobs", "1", *common]
    script(*test, "--netlist", tmp_path / "read.cir")
    results = json.loads((tmp_path / "mnist_test_error_driven_4x4_chip_results.json").read_text())
    assert results["parameters"]["chip"] == stored
    assert "threshold=" in (tmp_path / "read.cir").read_text()
    assert "does not forget" in script(*test, "--age", "5", code=2)
    refused = script(*test, "--chip-cell-gain", "0.3", code=2)
    assert "--carry-over" in refused and refused.count("\n") == 1
    assert "must be 0 to 2" in script(*test, "--chip-cell-gain", "-0.1", code=2)


def test_write_noise_is_refused_by_the_rule_that_writes_in_one_transient(tmp_path, ngspice):
    """It would be left out, and the results would speak of a chip that has it."""
    with pytest.raises(ParameterError, match=r"write_noise is drawn for each presentation .* or give --rule error-driven"):
        page("XPUE_memristive_training.py").main(["--chip-write-noise", "0.1", "--voltages", str(tmp_path / "v.json"),
                                                  "--figures", str(tmp_path)])
    assert not list(tmp_path.iterdir())
