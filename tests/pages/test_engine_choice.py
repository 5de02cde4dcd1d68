"""--engine: both engines train and test through the same scripts, and results say which did what."""

import json

import numpy as np
import pytest

from memristive.cli.command_line import run
from memristive.io.results import load_results
from memristive.io.voltages import load_voltages
from tests.helpers import page


def script(name, *arguments):
    """Run a script in this process; return its exit code."""
    try:
        return run(page(name).main, list(map(str, arguments)))
    except SystemExit as end:
        return end.code



XPUE = ["XPUE_memristive_training.py", "--rule", "error-driven"]


def test_closed_form_trains_what_ngspice_and_it_test_alike(tmp_path):
    places = ["--figures", tmp_path, "--voltages", tmp_path / "xpue.json"]
    assert script(*XPUE, "--engine", "closed-form", *places) == 0
    content = json.loads((tmp_path / "xpue.json").read_text())
    assert (content["engine"], content["rule"]) == ("closed-form", "error-driven")
    assert load_results(tmp_path, "xpue_closed_form_training")["parameters"]["engine"] == "closed-form"
    states = load_voltages(tmp_path / "xpue.json", "xpue", 4, 9).states
    assert np.abs(states - 7.0).max() > 0.05
    assert script("XPUE_memristive_inference.py", *places) == 0  # in ngspice
    assert load_results(tmp_path, "xpue_closed_form_inference")["strict_accuracy"] == 1.0


def test_hebbian_trainings_say_who_trained_too(tmp_path):
    assert script(XPUE[0], "--figures", tmp_path, "--voltages", tmp_path / "xpue.json") == 0
    assert json.loads((tmp_path / "xpue.json").read_text())["engine"] == "ngspice"
    assert load_results(tmp_path, "xpue_training")["parameters"]["engine"] == "ngspice"


def test_same_command_gives_the_same_voltages_and_another_engine_is_not_overwritten(tmp_path, capsys):
    places = ["--figures", tmp_path, "--voltages", tmp_path / "xpue.json"]
    script(*XPUE, "--engine", "closed-form", *places)
    first = load_voltages(tmp_path / "xpue.json", "xpue", 4, 9).states
    script(*XPUE, "--engine", "closed-form", *places)
    assert np.array_equal(load_voltages(tmp_path / "xpue.json", "xpue", 4, 9).states, first)
    assert script(*XPUE, *places) == 2
    assert "--engine (closed-form there, ngspice now)" in capsys.readouterr().err


def test_both_engines_test_a_network_alike_and_say_who_did(tmp_path):
    test = ["MNIST_memristor_test.py", "--samples", "30", "--voltages", "voltages/mnist_error_driven.json", "--figures", tmp_path]
    script(*test, "--jobs", "1")
    script(*test, "--engine", "closed-form")
    simulated, computed = (load_results(tmp_path, f"mnist_test_error_driven{ending}") for ending in ("", "_by_closed_form"))
    for key in ("samples", "strict_accuracy", "silent", "tied", "top3_accuracy", "recall"):
        assert simulated[key] == computed[key]
    assert (simulated["parameters"]["engine"], computed["parameters"]["engine"]) == ("ngspice", "closed-form")
    assert simulated["parameters"]["trained_by"] == computed["parameters"]["trained_by"] == "ngspice"
    assert "ngspice" not in computed["versions"]  # it had no part


@pytest.mark.parametrize(("arguments", "words"), [
    (["XPUE_memristive_training.py", "--engine", "closed-form"], "needs --rule error-driven"),
    (["MNIST_memristor_test.py", "--engine", "closed-form", "--jobs", "2"], "--jobs has no bearing"),
    (["MNIST_memristor_test.py", "--engine", "closed-form", "--scheduler", "tcp://127.0.0.1:1"], "--scheduler has no bearing"),
    (["MNIST_memristor_test.py", "--engine", "spectre"], "invalid choice: 'spectre'")])
def test_engine_that_cannot_be_is_one_line(capsys, arguments, words):
    assert script(*arguments) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
