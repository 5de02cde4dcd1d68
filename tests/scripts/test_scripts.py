"""Every script on a small case, as a user runs it: in a process of its own, its output and files asserted."""

import argparse
import contextlib
import csv
import gzip
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from memristive.cli.evaluation import worker_count
from memristive.cli.experiments import mnist_experiment

import reproduce
import verify
from memristive.io import claims
from tests.helpers import ROOT, page, script
from tools.results_table import FEW, FEW_LAYERED, NETWORKS

SCRIPTS = [*sorted(path.name for path in ROOT.glob("*_memristive_*.py")), "MNIST_memristor_test.py",
           "memristor.py", "memristor_figures.py", "reproduce.py", "verify.py"]
STUDIES = ["studies.unsupervised", "studies.synapse_rule", "studies.ex_situ", "studies.device_variability", "studies.layers",
           "studies.ngspice_layers"]
# Who asks for leave to write.
CLAIMING = [*STUDIES, "studies.iv", "studies.stdp_window", "studies.engine_agreement", "studies.hidden_neurons",
            "studies.layer_variability", "studies.gradient_angle", "memristive.cli.training", "memristive.cli.inference", "memristive.cli.testing"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder for the trainings, inferences and tests of this module."""
    return tmp_path_factory.mktemp("scripts")


@pytest.mark.parametrize("name", [*SCRIPTS, *STUDIES])
def test_help_names_every_common_option(name, capsys):
    with pytest.raises(SystemExit) as ended:
        page(name).main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    for option in ("--figures", "--show", "--netlist"):
        assert option in text


def test_no_window_is_opened_unasked_and_no_backend_needed(monkeypatch, tmp_path):
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    assert "wrote" in script("memristor_figures.py", "--figures", tmp_path)
    command = [sys.executable, "memristor_figures.py", "--show", "--figures", tmp_path]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr.startswith("memristor_figures.py: MPLBACKEND: ") and said.stderr.count("\n") == 1


@pytest.mark.parametrize(("name", "stem", "shape", "lowest"), [("XPUE", "xpue", (4, 9), 7.0), ("012345", "012345", (6, 15), 7.0)])
def test_training_and_inference_recognise_every_pattern(work, name, stem, shape, lowest):
    voltages = work / f"{stem}.json"
    netlist = work / f"{stem}.cir"
    said = script(f"{name}_memristive_training.py", "--voltages", voltages, "--figures", work, "--netlist", netlist)
    assert f"trained {shape[0]} x {shape[1]} cells" in said and "closed form" in said
    states = np.array(json.loads(voltages.read_text())["voltages"])
    assert states.shape == shape
    assert states[states > 1].min() > lowest
    for figure in ("images", "inputs", "controls", "states", "trained"):
        assert (work / f"{stem}_{figure}.png").stat().st_size > 5000

    said = script(f"{name}_memristive_inference.py", "--voltages", voltages, "--figures", work)
    assert f"strict {shape[0]}/{shape[0]}, by the paper's rule {shape[0]}/{shape[0]}" in said
    results = json.loads((work / f"{stem}_inference_results.json").read_text())
    assert results["strict_accuracy"] == 1.0
    assert all(lead is None or lead > results["resolution"] for lead in results["leads"])
    assert results["versions"]["ngspice"] and results["parameters"]["network"]["memristor"]["transconductance"] == 5e-9


def test_written_netlist_runs_unchanged_and_agrees(work):
    """ngspice's own program gives the voltages that the training script saved (7 printed digits)."""
    voltages, netlist = work / "agree.json", work / "agree.cir"
    script("XPUE_memristive_training.py", "--voltages", voltages, "--figures", work, "--netlist", netlist)
    content = json.loads(voltages.read_text())
    states = np.array(content["voltages"])
    nodes = [f"xcell_{j}_{i}.gate" for j in range(4) for i in range(9)]
    program = verify.run_program(netlist.read_text(), nodes).reshape(4, 9)
    # ngspice 39 takes other steps after the session's pauses between classes: 0.14 mV of 7 V.
    bound = 1e-5 if content["versions"]["ngspice"] >= 44 else verify.PROGRAM_BOUND
    assert np.abs(program - states).max() < bound


@pytest.fixture(scope="module")
def small_mnist(work):
    """Voltages of a 5x5 MNIST network trained by its script."""
    voltages = work / "mnist_5x5.json"
    said = script("MNIST_memristive_training.py", "--size", 5, "--voltages", voltages, "--figures", work)
    assert "trained 10 x 25 cells" in said
    return voltages


def test_mnist_inference_at_another_size(work, small_mnist):
    said = script("MNIST_memristive_inference.py", "--size", 5, "--voltages", small_mnist, "--figures", work)
    assert re.search(r"train accuracy: strict \d+/10", said)
    assert (work / "mnist_5x5_raster.png").exists()


def test_test_script_counts_every_image_once(work):
    """The committed Hebbian voltages on 20 images: counts, CSV and JSON say the same."""
    said = script("MNIST_memristor_test.py", "--samples", 20, "--jobs", 1, "--figures", work)
    results = json.loads((work / "mnist_test_results.json").read_text())
    with gzip.open(work / "mnist_test_decisions.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == results["samples"] == 20
    right = sum(row["decision"] == row["label"] for row in rows)
    assert results["strict_accuracy"] == right / 20
    assert results["silent"] == sum(row["decision"] == "silent" for row in rows)
    assert results["tied"] == sum(row["decision"] == "tied" for row in rows)
    assert results["paper_rule_accuracy"] == sum(row["paper_decision"] == row["label"] for row in rows) / 20
    assert f"{right / 20:.2%}" in said
    assert {"paper_rule_first_100", "top3_accuracy", "seconds", "recall"} <= set(results)
    for row in rows:
        times = [float(row[f"spike_{d}_us"]) for d in range(10) if row[f"spike_{d}_us"]]
        if row["decision"].isdigit():
            assert float(row[f"spike_{row['decision']}_us"]) == min(times)


def test_paper_layout_gives_the_same_decisions(work):
    """The same states in the paper's flat layout, which names no parameters: identical decisions."""
    own = ROOT / "voltages" / "mnist.json"
    states = json.loads(own.read_text())["voltages"]
    flat = {f"xsnn.xmemristor_p{j}_{i}.cmem": v for j, row in enumerate(states) for i, v in enumerate(row)}
    paper = work / "paper.json"
    paper.write_text(json.dumps({"xsnn.something_else": 1.0, **flat}))
    tables = []
    for voltages in (own, paper):
        folder = work / voltages.stem
        script("MNIST_memristor_test.py", "--samples", 10, "--jobs", 1, "--voltages", voltages, "--figures", folder)
        tables.append((folder / "mnist_test_decisions.csv.gz").read_bytes())
    assert tables[0] == tables[1]


def test_error_driven_training_learns_xpue(work):
    """From equal states, where all neurons tie, to every pattern's own neuron leading."""
    voltages = work / "xpue_error_driven.json"
    script("XPUE_memristive_training.py", "--rule", "error-driven", "--presentations", 120, "--voltages", voltages,
           "--figures", work)
    said = script("XPUE_memristive_inference.py", "--voltages", voltages, "--figures", work)
    assert "strict 4/4" in said
    assert (work / "xpue_error_driven_learning.png").exists()


def test_resumed_training_is_bit_identical(work):
    """A run killed (SIGKILL) at its first checkpoint and resumed: the same voltages as one that never stopped."""
    options = ("XPUE_memristive_training.py", "--rule", "error-driven", "--presentations", 700, "--figures", work / "resumed")
    whole, parts = work / "whole.json", work / "parts.json"
    script(*options, "--voltages", whole)
    process = subprocess.Popen([sys.executable, str(ROOT / options[0]), *map(str, options[1:]), "--voltages", str(parts)],
                               cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = Path(f"{parts}.checkpoint")
    while not checkpoint.exists():
        assert process.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    process.kill()
    process.wait()
    assert not parts.exists()
    script(*options, "--voltages", parts, "--resume")
    assert json.loads(whole.read_text())["voltages"] == json.loads(parts.read_text())["voltages"]
    assert not checkpoint.exists()


def reproduced(samples):
    """All that reproduce.py --full runs."""
    return [*itertools.chain.from_iterable(reproduce.chains(full=True, samples=samples)), reproduce.last(full=True)]


@pytest.mark.parametrize("force", [True, False])
def test_reproduce_gives_every_script_only_what_it_takes(force, tmp_path, capsys):
    options = argparse.Namespace(figures=tmp_path, show=False, force=force)
    for step in reproduced(10):
        name, *own = step.command[1:] if step.command[0] == "-m" else step.command
        with pytest.raises(SystemExit) as ended:
            page(name).main([*own, *reproduce.passed_on(step, options), "--help"])  # --help ends it, unless an error does first
        assert ended.value.code == 0, capsys.readouterr().err
        assert ("--force" in reproduce.passed_on(step, options)) == (force and name != "memristor_figures.py")


def test_reproduce_hands_on_one_folder_from_wherever_it_is_started(tmp_path, monkeypatch):
    """Scripts run in the project's folder, this one where the user is."""
    class Asked(Exception):
        pass

    def asked(options):
        raise Asked(reproduce.passed_on(reproduce.Step(["memristor.py"], "first"), options)[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reproduce, "run_steps", asked)
    with pytest.raises(Asked, match=f"^{re.escape(str(tmp_path / 'out' / 'first'))}$"):
        reproduce.main(["--samples", "20", "--figures", "out"])
    assert (tmp_path / "out" / "circuit_memristor.png").exists()


@pytest.mark.parametrize(("side_by_side", "last", "code"), [(0, 0, 0), (3, 0, 3), (0, 4, 4)])
def test_reproduce_ends_with_the_first_script_that_fails(side_by_side, last, code, tmp_path, monkeypatch):
    """The last step needs all before it, and a table is made of what was all made by this run."""
    ran, shown, table = [], [], tmp_path / "results.md"
    monkeypatch.setattr(reproduce.schematics, "draw_circuits", lambda figures, show: shown.append(show) or [])
    monkeypatch.setattr(reproduce, "run_side_by_side", lambda chains, lanes: ran.append("all") or side_by_side)
    monkeypatch.setattr(reproduce, "run_alone", lambda command: ran.append(command[1]) or last)
    monkeypatch.setattr(reproduce, "write_agreement", lambda figures: ran.append("agreement"))
    monkeypatch.setattr(reproduce, "results_table", lambda figures: "the table")
    assert reproduce.main(["--samples", "20", "--figures", str(tmp_path)]) == code
    assert ran == ["all", "studies.device_variability", "agreement"][:1 if side_by_side else 2 if last else None]
    assert table.exists() == (code == 0) and shown == [False]
    monkeypatch.setattr("plotting.style", lambda show: None)  # no display is needed where nothing is drawn
    reproduce.main(["--samples", "20", "--figures", str(tmp_path), "--force", "--show"])
    assert shown == [False, True]


def test_reproduce_runs_every_script():
    """The executable table of contents leaves none of the paper's scripts out."""
    commands = [step.command for step in reproduced(10)]
    run = {command[1] if command[0] == "-m" else command[0] for command in commands}
    assert run == {*SCRIPTS, *STUDIES} - {"reproduce.py", "verify.py"}


class Allowed(Exception):
    """A script was allowed to write what it is going to write."""


@pytest.fixture
def allowed(monkeypatch):
    """Scripts raise Allowed once they may write."""
    @contextlib.contextmanager
    def only_claimed(*arguments):
        with claims.claimed(*arguments):
            raise Allowed
        yield
    for module in CLAIMING:
        monkeypatch.setattr(f"{module}.claimed", only_claimed)


@pytest.mark.parametrize("command", [
    "engines", "layer_gradient --errors 400", "hidden_neurons --presentations 300000 --seeds 2",
    "imperfect_layers --ngspice 100"])
def test_committed_files_of_other_studies_are_those_of_the_commands_that_the_page_gives(command, allowed):
    assert f"`python -m studies.{command}`" in (ROOT / "docs" / "reproducing.md").read_text(encoding="utf-8")
    name, *options = command.split()
    assert (ROOT / "figures" / f"{name}_results.json").exists()
    with pytest.raises(Allowed):
        page(f"studies.{name}").main([*options, "--figures", str(ROOT / "figures")])


@pytest.mark.parametrize("step", [step for step in reproduced(10000) if step.command != ["memristor_figures.py"]],
                         ids=lambda step: " ".join(step.command))
def test_committed_files_are_those_of_reproduce(step, allowed):
    """make reproduce overwrites them without asking: they were made with the same parameters."""
    name, *options = step.command[1:] if step.command[0] == "-m" else step.command
    with pytest.raises(Allowed):
        page(name).main([*options, "--figures", str(ROOT / "figures" / step.folder)])


def test_committed_results_make_the_table():
    table = reproduce.results_table(ROOT / "figures")
    assert "60 % (of 100)" in table
    assert table == (ROOT / "figures" / "results.md").read_text()


def test_committed_voltages_are_there_for_inference():
    for name in ("xpue", "012345", "mnist", "mnist_error_driven", "mnist_error_driven_grey"):
        assert (ROOT / "voltages" / f"{name}.json").exists()
    assert mnist_experiment().voltages_path("error-driven").name == "mnist_error_driven.json"


@pytest.mark.parametrize(("full", "samples", "few"), [(False, 10000, 2000), (False, 300, 300), (True, 10000, 10000)])
def test_reproduce_reads_each_network_by_both_engines_once_it_is_there(full, samples, few):
    """In the closed form all images, in ngspice the first alone and beside the results of all, unless it is to do all."""
    chains = list(reproduce.chains(full, samples))
    for network in NETWORKS:
        chain, = (chain for chain in chains if chain[-1].command[0] == "MNIST_memristor_test.py"
                  and f"voltages/{network.voltages}.json" in chain[-1].command and network.folder == chain[-2].folder)
        *made, computed, simulated = chain
        options = ["MNIST_memristor_test.py", "--encoding", network.encoding, "--voltages", f"voltages/{network.voltages}.json"]
        assert computed.command == [*options, "--samples", str(samples), "--engine", "closed-form"]
        assert simulated.command == [*options, "--samples", str(few), "--jobs", "1"]
        assert simulated.folder == (network.folder if full else network.first) and network.folder != network.first
        trained = [step.command[step.command.index("--seed") + 1] for step in made if "--seed" in step.command]
        assert trained == [str(network.seed)] * (full and network.voltages != "mnist" and network.engine != "")
    assert ("--short" in reproduce.last(full).command) is not full
    layered, = (step for chain in chains for step in chain if "studies.ngspice_layers" in step.command)
    read = int(layered.command[layered.command.index("--samples") + 1])
    assert (read, layered.folder) == ((samples, "") if full else (min(samples, FEW), FEW_LAYERED))


@pytest.mark.parametrize("full", [False, True])
def test_reproduce_runs_as_much_as_is_asked_for_on_every_core(full, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(reproduce, "run_side_by_side", lambda chains, lanes: asked.append((chains, lanes)) or 0)
    monkeypatch.setattr(reproduce, "run_alone", lambda command: asked.append(command) or 0)
    options = argparse.Namespace(full=full, samples=20, figures=tmp_path, show=True, force=False)
    assert reproduce.run_steps(options) == 0
    (ran, lanes), last = asked
    steps = [*itertools.chain.from_iterable(reproduce.chains(full, 20)), reproduce.last(full)]
    commands = [*itertools.chain.from_iterable(ran), last]
    assert lanes == worker_count()
    assert commands == [[*step.command, "--figures", str(tmp_path / step.folder), "--show"] for step in steps]


@pytest.mark.parametrize(("full", "name", "engine"), [(False, "mnist_test_by_closed_form", "closed-form"),
                                                      (True, "mnist_test", "ngspice")])
def test_reproduce_looks_first_at_the_results_that_its_tests_would_refuse_to_replace(full, name, engine, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(reproduce, "refuse_overwriting", lambda path, made: asked.append((path.name, made)))
    monkeypatch.setattr(reproduce.schematics, "draw_circuits", lambda *_: [])
    monkeypatch.setattr(reproduce, "run_steps", lambda options: 3)
    assert reproduce.main(["--samples", "20", "--figures", str(tmp_path), *["--full"] * full]) == 3
    assert asked == [(f"{name}_results.json", {"samples": 20, "engine": engine})]


@pytest.mark.parametrize("name", ["XPUE_memristive_inference", "MNIST_memristor_test"])
def test_help_says_whose_input_voltage_is_the_default(name):
    said = " ".join(script(f"{name}.py", "--help").split())
    assert "input pulse of a full pixel (default: that of the training, or 1 V if its file does not say)" in said
    assert "duration of each edge (default: 1e-05 s)" in said
