"""What pages say beside a number, without which it could be taken for another: a chip's own devices, what is not counted."""

import dataclasses
import json
import re

import numpy as np
import pytest

from datasets import encode, load_mnist
from memristive.cli import inference, testing, training_runs
from memristive.cli.command_line import print_energy
from memristive.cli.experiments import describe, mnist_experiment
from memristive.io.voltages import Voltages, save_voltages
from memristive.single_layer.hebbian import reading
from memristive.single_layer.pulses import Schedule
from memristive.stdp.pattern_learning import Learned, doubts, netlist, thresholds, trial, unsupervised_xpue
from memristive.variability.chip import Chip, complaint_on
from snn_circuit import ALIKE, NetworkParameters
from studies import unsupervised as stdp
from tests.helpers import page


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_thresholds_of_a_circuit_that_learns_are_those_of_its_netlist(spread):
    """The figure of a chip's thresholds began at the nominal 4 V for all neurons."""
    task = unsupervised_xpue()
    drawn = trial(task, 5, seed=2, spread=spread)
    written = re.findall(r"^Xneuron_\d.* threshold=([0-9.]+)", str(netlist(task, drawn)), re.MULTILINE)
    assert thresholds(task, drawn) == pytest.approx(np.array(written or [4.0] * 5, float)) and bool(written) == bool(spread)


def test_the_runs_own_thresholds_are_drawn(tmp_path, monkeypatch, ngspice):
    drawn = {}
    monkeypatch.setattr(stdp, "draw", lambda options, name, figure, *given: drawn.update({name: given}))
    monkeypatch.setattr(stdp, "save_animation", lambda *arguments: "")
    stdp.main(["--data", "xpue", "--spread", "0.3", "--presentations", "3", "--seed", "4", "--figures", str(tmp_path)])
    *_, own = drawn["stdp_xpue_spread_winners"]
    task = dataclasses.replace(unsupervised_xpue(), presentations=3)
    assert own == pytest.approx(thresholds(task, trial(task, 4, seed=4, spread=0.3))) and np.ptp(own) > 0.1


@pytest.mark.parametrize(("order", "winners", "said"), [
    ([0, 1, 0], [2, 1, 2], "each"), ([0, 1, 1], [1, 1, 1], "shared"), ([1, 1, 1], [0, 0, 0], "not shown"),
    ([0, 1, 0], [-1, -1, -1], "silent")])
def test_a_run_that_has_not_shown_every_pattern_is_not_said_to_share(order, winners, said):
    learned = Learned(2, np.array(order), np.array(winners), np.zeros((4, 3, 2)), np.zeros((4, 3)))
    assert stdp._whose(learned) == said


def test_states_before_a_training_are_those_that_the_chip_holds(tmp_path, monkeypatch, ngspice):
    """Stuck cells were drawn at the start state, as if the training had moved them to where they stick."""
    drawn = {}
    monkeypatch.setattr(training_runs, "draw", lambda options, name, figure, *given, **more: drawn.update({name: (given, more)}))
    page("XPUE_memristive_training.py").main([
        "--rule", "error-driven", "--engine", "closed-form", "--presentations", "2", "--chip", "ideal", "--chip-stuck-off", "0.3",
        "--start-state", "2.5", "--figures", str(tmp_path), "--voltages", str(tmp_path / "v.json")])
    (given, more), = (found for name, found in drawn.items() if name.endswith("_trained"))
    chip = Chip(classes=4, inputs=9, stuck_off=0.3)
    assert np.array_equal(more["before"], np.where(chip.stuck, 0.0, 2.5)) and chip.stuck.any()
    assert np.array_equal(more["before"][chip.stuck], given[0][chip.stuck])


def test_an_energy_of_a_depression_says_what_it_leaves_out(tmp_path, capsys, monkeypatch, ngspice):
    monkeypatch.setattr(training_runs, "draw", lambda *arguments, **more: None)
    page("XPUE_memristive_training.py").main([
        "--rule", "error-driven", "--engine", "closed-form", "--presentations", "2", "--figures", str(tmp_path),
        "--voltages", str(tmp_path / "v.json")])
    up, down = (line for line in capsys.readouterr().out.splitlines() if line.startswith("energy of a write"))
    assert "potentiation" in up and up.endswith("are ideal and not counted)")
    assert "depression" in down and down.endswith("not counted, nor are the channels' bulk junctions, which conduct hundreds of "
                                                  "amperes at -1 V)")
    print_energy("it", {"inputs": float("nan"), "phi": 0.0}, ", nor")
    assert "nor" not in capsys.readouterr().out


def test_a_chip_that_forgets_is_told_of_its_age():
    images, states = np.ones((1, 4)), np.zeros((2, 4))
    for rate, said in ((0.0, False), (1e-5, True)):
        chip = Chip(classes=2, inputs=4, decay_rate=rate)
        complaint = complaint_on(chip, NetworkParameters(), Schedule(), states, images, own=False)
        assert ("a shorter --age, or a training" in complaint) == said


@pytest.mark.parametrize(("chip", "said"), [([], True), (["--chip", "ten-percent", "--carry-over"], False)])
def test_what_an_ideal_crossbar_cannot_tell_is_not_said_of_a_chip(chip, said, tmp_path, capsys):
    """A quarter of the images was said to be undecided by construction, beside 7 % that were; and the paper has no chip."""
    page("MNIST_memristor_test.py").main(["--engine", "closed-form", "--samples", "120", "--figures", str(tmp_path), *chip])
    out, (results,) = capsys.readouterr().out, tmp_path.glob("*_results.json")
    assert ("two best templates equal" in out) == ("(paper: 60%)" in out) == said
    found = json.loads(results.read_text())
    assert ("equal_templates" in found) == said and found["parameters"]["voltages"] == "voltages/mnist.json"


def test_currents_after_a_presentation_count_as_those_before_it():
    """Of two presentations the cells conduct too much after the last alone."""
    task = unsupervised_xpue()
    states, images = np.full((3, 4, 9), 1.5), task.patterns[:2]
    states[2] = 20.0
    learned = Learned(4, np.array([0, 1]), np.array([0, 1]), states, np.zeros((3, 4)))
    assert doubts(task, images, learned).startswith("stages clip in 1 of 2 presentations: ")


@pytest.fixture
def read_with(monkeypatch):
    """read_with(room): the devices for which that room has asked how a read is to be solved, as it goes on."""
    def watched(room):
        seen = []

        def read(*given, devices=ALIKE):
            seen.append(devices)
            return reading(*given, devices=devices)
        monkeypatch.setattr(room, "reading", read)
        return seen
    monkeypatch.setattr(training_runs, "draw", lambda *given, **more: None)
    return watched


def test_steps_of_a_written_netlist_are_those_of_the_chips_own_cells(tmp_path, read_with, ngspice):
    seen = read_with(inference)
    saved = ["--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)]
    page("XPUE_memristive_training.py").main(["--chip-cell-threshold", "0.1", *saved])
    page("XPUE_memristive_inference.py").main([*saved, "--netlist", str(tmp_path / "n.cir")])
    devices, = seen
    assert np.array_equal(devices.cells.threshold_voltage,
                          Chip(4, 9, cell_threshold=0.1).cells(NetworkParameters().memristor).threshold_voltage)


def test_steps_of_the_tests_netlist_are_those_of_the_chips_own_cells(read_with):
    seen, experiment = read_with(testing), dataclasses.replace(mnist_experiment(), chip=Chip(cell_threshold=0.1))
    testing._first_read(experiment, np.full((10, 100), 4.0), np.ones(100))
    assert np.array_equal(seen[0].cells.threshold_voltage, experiment.devices.cells.threshold_voltage)


def test_steps_of_a_trainings_netlist_are_those_of_the_chips_own_cells(tmp_path, read_with):
    seen = read_with(training_runs)
    page("XPUE_memristive_training.py").main([
        "--rule", "error-driven", "--engine", "closed-form", "--presentations", "1", "--chip-cell-threshold", "0.1",
        "--figures", str(tmp_path), "--voltages", str(tmp_path / "v.json"), "--netlist", str(tmp_path / "n.cir")])
    assert np.array_equal(seen[0].cells.threshold_voltage,
                          Chip(4, 9, cell_threshold=0.1).cells(NetworkParameters().memristor).threshold_voltage)


def test_the_energy_that_is_told_is_of_the_first_image(tmp_path, monkeypatch):
    presented = []
    monkeypatch.setattr(testing, "draw", lambda *_: None)
    monkeypatch.setattr(testing, "read_energy", lambda session, network, schedule, states, image, devices: presented.append(
        image) or {"inputs": 1e-6, "phi": 1e-9})
    states, path = np.random.default_rng(2).uniform(1.0, 1.5, (10, 16)), tmp_path / "v.json"
    save_voltages(path, Voltages(states, "mnist", "binary", "error-driven", describe(mnist_experiment(4))))
    testing.testing_script("", ["--size", "4", "--samples", "2", "--jobs", "1", "--voltages", str(path), "--figures",
                                str(tmp_path)])
    first, = encode(load_mnist("x_test", first=1)["x_test"], 4, "binary")
    assert len(presented) == 1 and np.array_equal(presented[0], first)


def test_the_papers_number_is_of_its_ten_by_ten_images_alone(tmp_path, monkeypatch, capsys):
    """A Hebbian network of sixteen pixels is none of the paper's, though its templates are binary and its chip is ideal."""
    monkeypatch.setattr(testing, "draw", lambda *_: None)
    path = tmp_path / "v.json"
    save_voltages(path, Voltages(7.0 * mnist_experiment(4).dataset.patterns, "mnist", "binary", "hebbian",
                                 describe(mnist_experiment(4))))
    testing.testing_script("", ["--engine", "closed-form", "--size", "4", "--samples", "100", "--voltages", str(path),
                                "--figures", str(tmp_path)])
    out = capsys.readouterr().out
    assert "paper's rule, first 100" in out and "two best templates equal" in out and "(paper:" not in out
