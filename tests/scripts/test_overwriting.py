"""Nothing is overwritten unasked, and output that nobody takes costs no results."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memristive.cli import training_runs
from memristive.cli.command_line import run
from memristive.cli.experiments import xpue_experiment
from memristive.cli.training import chosen_experiment
from memristive.io.checkpoints import checkpoint_path, save_checkpoint
from memristive.io.claims import NotOverwritten, locked
from memristive.io.voltages import as_trained
from memristive.single_layer.error_rule import begin
from tests.helpers import ROOT, one_line, page, script

READ = "MNIST_memristor_test.py"



LEARN = ["XPUE_memristive_training.py", "--rule", "error-driven", "--presentations", "60"]


@pytest.mark.parametrize(("redirection", "words"), [
    ("| head -1", ""), ("| true", ""), ("> /dev/full", "standard output cannot be written: "), (">&-", ""), ("2>&- >&-", ""),
    ("2> /dev/full > /dev/full", "")])
def test_output_that_nobody_takes_costs_no_results(redirection, words, tmp_path):
    """Voltages, results and every figure are there; at most one line is said."""
    command = f"{sys.executable} {ROOT / LEARN[0]} --voltages {tmp_path / 'v.json'} --figures {tmp_path} {redirection}"
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60).stderr
    assert words in one_line(said) if words else said == ""
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"v.json", "xpue_training_results.json",
                     *(f"xpue_{name}.png" for name in ("images", "inputs", "controls", "states", "trained"))}


# Nothing is overwritten unasked

def training(capsys, *options):
    """Exit code and error output of an XPUE training in this process."""
    try:
        code = run(page("XPUE_memristive_training.py").main, [str(word) for word in options])
    except SystemExit as ended:
        code = ended.code
    return code, capsys.readouterr().err


def test_voltages_made_with_other_parameters_are_not_overwritten(tmp_path, capsys):
    """The same training again is welcome; another asks for --force, and names what differs."""
    voltages = tmp_path / "xpue.json"
    places = ["--voltages", voltages, "--figures", tmp_path]
    assert training(capsys, *places) == training(capsys, *places) == (0, "")
    before = voltages.read_bytes()
    code, said = training(capsys, "--voltages", voltages, "--figures", tmp_path / "other", "--threshold", 4.5)
    assert code == 2 and "--threshold (4 there, 4.5 now)" in one_line(said) and "--force" in said and str(voltages) in said
    assert voltages.read_bytes() == before
    code, said = training(capsys, "--voltages", tmp_path / "other.json", "--figures", tmp_path, "--threshold", 4.5)
    assert code == 2 and "xpue_training_results.json" in one_line(said)
    assert training(capsys, *places, "--threshold", 4.5, "--force") == (0, "")
    assert voltages.read_bytes() != before


@pytest.mark.parametrize("content", ['{"my": "notes"}', '{"xsnn.xmemristor_p0_0.cmem": 7.0}', '{"parameters": {"seed": 1}}'])
def test_json_that_no_script_wrote_is_not_overwritten_by_voltages(tmp_path, capsys, content):
    path = tmp_path / "mine.json"
    path.write_text(content)
    code, said = training(capsys, "--voltages", path, "--figures", tmp_path)
    assert code == 2 and "nothing that this script wrote" in one_line(said) and path.read_text() == content


def test_voltages_that_would_be_the_results_file_are_refused(tmp_path, capsys):
    code, said = training(capsys, "--voltages", tmp_path / "xpue_training_results.json", "--figures", tmp_path)
    assert code == 2 and "two of the files to write are the same" in one_line(said) and not list(tmp_path.iterdir())


def test_results_of_more_images_are_not_overwritten_by_a_quick_look(capsys):
    """The committed results hold 10,000 images."""
    code = run(page(READ).main, ["--samples", "20"])
    assert code == 2 and "--samples (10000 there, 20 now)" in one_line(capsys.readouterr().err)
    code = run(page("reproduce.py").main, ["--samples", "20"])
    assert code == 2 and "--samples (10000 there, 20 now)" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(("there", "options", "refused"), [
    ("mnist_test_by_closed_form", [], True), ("mnist_test", ["--full"], True), ("mnist_test", [], False)])
def test_a_series_looks_before_it_begins_for_the_test_that_it_will_make(there, options, refused, tmp_path, capsys, monkeypatch):
    """Without --full by the closed form, with it in ngspice: found at its turn, it would cost the minutes before."""
    reproduce = page("reproduce.py")
    monkeypatch.setattr(reproduce.schematics, "draw_circuits", lambda *_: [])
    monkeypatch.setattr(reproduce, "run_steps", lambda *_: 7)
    content = json.loads((ROOT / "figures" / f"{there}_results.json").read_text())
    (tmp_path / f"{there}_results.json").write_text(json.dumps(content))
    code = run(reproduce.main, ["--figures", str(tmp_path), "--samples", "20", *options])
    assert code == (2 if refused else 7)
    assert ("--samples (10000 there, 20 now)" in capsys.readouterr().err) == refused


def test_notes_are_not_overwritten_by_the_table_of_results(capsys, tmp_path, monkeypatch):
    reproduce = page("reproduce.py")
    for name, result in (("run_steps", 0), ("write_agreement", None), ("results_table", reproduce.TABLE.decode())):
        monkeypatch.setattr(reproduce, name, lambda *_, result=result: result)
    monkeypatch.setattr(reproduce.schematics, "draw_circuits", lambda *_: [])
    (tmp_path / "results.md").write_text("my own notes")
    code = run(reproduce.main, ["--figures", str(tmp_path)])
    assert code == 2 and "results.md is there, and not of this script" in one_line(capsys.readouterr().err)
    assert (tmp_path / "results.md").read_text() == "my own notes"
    assert run(reproduce.main, ["--figures", str(tmp_path), "--force"]) == 0
    assert run(reproduce.main, ["--figures", str(tmp_path)]) == 0  # over its own
    assert (ROOT / "figures" / "results.md").read_bytes().startswith(reproduce.TABLE)
    with locked(tmp_path / "results.md"):
        assert run(reproduce.main, ["--figures", str(tmp_path)]) == 1
    assert "results.md is being written by another run" in one_line(capsys.readouterr().err)


def test_checkpoint_with_progress_is_not_overwritten(tmp_path, capsys):
    voltages = tmp_path / "xpue.json"
    places = ["--rule", "error-driven", "--presentations", 20, "--voltages", voltages, "--figures", tmp_path]
    experiment = chosen_experiment(xpue_experiment, argparse.Namespace(presentations=20))
    learning = begin(experiment.rule, 4, 9)
    learning.done = 3
    parameters = training_runs.ErrorDrivenRun(None, experiment, "ngspice").parameters
    save_checkpoint(checkpoint_path(voltages), vars(learning), parameters)
    code, said = training(capsys, *places)
    assert code == 2 and "holds 3 presentations" in one_line(said) and "--resume" in said and "--force" in said
    code, said = training(capsys, *places, "--seed", 2)
    assert code == 2 and "--seed (1 there, 2 now)" in one_line(said) and "--force" in said
    code, said = training(capsys, *places, "--seed", 2, "--resume")
    assert code == 2 and "--seed (1 there, 2 now)" in one_line(said)
    assert training(capsys, *places, "--resume") == (0, "")


def test_notes_are_not_overwritten_by_a_netlist(tmp_path, capsys):
    """A netlist by another one, yes."""
    netlist = tmp_path / "some.cir"
    places = ["--voltages", tmp_path / "v.json", "--figures", tmp_path, "--netlist", netlist]
    netlist.write_text("my notes")
    code, said = training(capsys, *places)
    assert code == 2 and str(netlist) in one_line(said) and "--force" in said and netlist.read_text() == "my notes"
    assert training(capsys, *places, "--force") == training(capsys, *places) == (0, "")


def test_netlist_goes_to_standard_output_as_well(tmp_path):
    said = script("XPUE_memristive_training.py", "--voltages", tmp_path / "v.json", "--figures", tmp_path, "--netlist",
                  "/dev/stdout")
    assert ".title in-situ Hebbian training" in said and "trained 4 x 9 cells" in said


def test_two_runs_on_one_checkpoint_exclude_each_other(tmp_path, capsys):
    checkpoint = checkpoint_path(tmp_path / "xpue.json")
    with locked(checkpoint):
        code, said = training(capsys, "--rule", "error-driven", "--voltages", tmp_path / "xpue.json", "--figures", tmp_path)
        assert code == 1 and f"{checkpoint} is being written by another run" in one_line(said)
        code, said = run(page("studies.layers").main, ["--data", "xor", "--seeds", "3", "--voltages", str(tmp_path / "xpue.json"),
                                               "--figures", str(tmp_path)]), capsys.readouterr().err
        assert code == 1 and f"{checkpoint} is being written by another run" in one_line(said)
    checkpoint.mkdir()
    code, said = training(capsys, "--rule", "error-driven", "--voltages", tmp_path / "xpue.json", "--figures", tmp_path)
    assert code == 1 and f"{checkpoint} cannot be written: Is a directory" in one_line(said)


def test_two_runs_on_one_file_exclude_each_other(tmp_path, capsys):
    voltages = tmp_path / "xpue.json"
    with locked(voltages):
        code, said = training(capsys, "--voltages", voltages, "--figures", tmp_path)
    assert code == 1 and f"{voltages} is being written by another run (process {os.getpid()})" in one_line(said)
    assert training(capsys, "--voltages", voltages, "--figures", tmp_path) == (0, "")


@pytest.mark.parametrize("option", ["--resume", "--presentations", "--dose", "--margin", "--seed", "--start-state"])
def test_options_that_the_rule_would_ignore_are_refused(option, tmp_path, capsys):
    value, places = [] if option == "--resume" else [1], ["--voltages", tmp_path / "v.json", "--figures", tmp_path]
    code, said = training(capsys, *places, option, *value)
    assert code == 2 and option in one_line(said)
    code, said = training(capsys, *places, "--rule", "error-driven", "--period", 0.02)
    assert code == 2 and "--period" in one_line(said)
    code, said = training(capsys, *places, "--sampling-step", 1e-5)  # of the paper's decisions: there is none in a training
    assert code == 2 and "unrecognized arguments: --sampling-step" in one_line(said)


def scaled(path):
    """What somebody's own code does to the states of a file, whose other words it keeps."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if "format" in content:
        name = "layers" if "layers" in content else "voltages"
        content[name] = [[(0.97 * np.array(cells)).tolist() for cells in row] for row in content[name]]
    else:
        content = {cell: 0.97 * volts for cell, volts in content.items()}
    path.write_text(json.dumps(content), encoding="utf-8")


def flat(path):
    """The paper's layout of a file's states."""
    states = json.loads(path.read_text(encoding="utf-8"))["voltages"]
    return json.dumps({f"xsnn.xmemristor_p{j}_{i}.cmem": volts for j, row in enumerate(states) for i, volts in enumerate(row)})


@pytest.mark.parametrize(("name", "layout", "arguments"), [
    ("mnist", flat, [READ, "--engine", "closed-form", "--samples", "20"]), ("xpue", flat, ["XPUE_memristive_inference.py"]),
    ("mnist", Path.read_text, [READ, "--engine", "closed-form", "--samples", "20"]),
    ("xpue", Path.read_text, ["XPUE_memristive_inference.py"]),
    ("layers_xor", Path.read_text, ["studies.layers", "--data", "xor", "--test-only"])])
def test_results_of_a_network_that_has_been_changed_since_are_not_overwritten(tmp_path, capsys, name, layout, arguments):
    """The same file again needs nothing."""
    mine = tmp_path / "mine.json"
    mine.write_text(layout(ROOT / "voltages" / f"{name}.json"))
    program, *options = [*arguments, "--voltages", str(mine), "--figures", str(tmp_path / "figures")]
    assert [run(page(program).main, options) for _ in range(2)] == [0, 0]
    before = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    capsys.readouterr()
    scaled(mine)
    assert run(page(program).main, options) == 2
    assert "the network's voltages (" in one_line(capsys.readouterr().err)
    assert {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()} == before
    assert run(page(program).main, [*options, "--force"]) == run(page(program).main, options) == 0


@pytest.mark.parametrize("arguments", [["XPUE_memristive_training.py"], [*LEARN, "--engine", "closed-form"], [
    "studies.layers", "--data", "xor", "--presentations", "40"]])
def test_voltages_that_have_been_changed_since_are_not_trained_over(tmp_path, capsys, arguments):
    mine = tmp_path / "mine.json"
    program, *options = [*arguments, "--voltages", str(mine), "--figures", str(tmp_path / "figures")]
    assert [run(page(program).main, options) for _ in range(2)] == [0, 0]
    capsys.readouterr()
    scaled(mine)
    before = mine.read_bytes()
    assert run(page(program).main, options) == 2
    assert "the network's voltages (changed since)" in one_line(capsys.readouterr().err)
    assert mine.read_bytes() == before
    assert run(page(program).main, [*options, "--force"]) == run(page(program).main, options) == 0


def test_trainings_say_what_states_they_left(tmp_path):
    """Committed files, and of older ones nothing is known."""
    for path in (ROOT / "voltages").glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert "states" in content and as_trained(content), path
        del content["states"]
        assert as_trained(content)


def test_voltages_of_the_other_rule_are_not_replaced_unasked(tmp_path, ngspice):
    """Nothing but the rule tells the two apart: without it the file was replaced."""
    places = ["--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)]
    page("XPUE_memristive_training.py").main(places)
    before = (tmp_path / "v.json").read_bytes()
    with pytest.raises(NotOverwritten, match=r"--rule \(hebbian there, error-driven now\)"):
        page("XPUE_memristive_training.py").main(["--rule", "error-driven", "--presentations", "1", *places])
    assert (tmp_path / "v.json").read_bytes() == before
