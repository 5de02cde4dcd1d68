"""What is said of membranes that clip or cannot fire, on standard error."""

import dataclasses

import numpy as np
import pytest

from learning.chips import Chip
from learning.membrane_range import settled_membranes
from learning.pulses import Schedule
from memristor import MemristorParameters
from snn_circuit import NetworkParameters
from workflow import training, training_runs
from workflow.command_line import warn_of_range
from workflow.experiments import xpue_experiment


@pytest.mark.parametrize(("state", "words"), [(0.0, "warning: no cell conducts"), (3.0, "")])
def test_membranes_out_of_range_are_warned_of_on_standard_error(state, words, capsys):
    images = np.where(np.arange(100) < 20, 1.0, 0.0)[None]
    warn_of_range(NetworkParameters(MemristorParameters()), Schedule(), np.full((2, 100), state), images)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(words) and err.count("\n") == bool(words)


def test_neurons_silent_on_their_own_patterns_are_warned_of_where_the_images_are_these(capsys):
    images = np.array([[1.0] * 20 + [0.0] * 80, [0.0] * 20 + [1.0] * 5 + [0.0] * 75])
    for own, words in ((True, "neurons that stay silent on the patterns they learned: 1 of 2"), (False, "")):
        said = warn_of_range(NetworkParameters(MemristorParameters()), Schedule(), 3.0 * images, images, own=own)
        assert said.startswith(words) and bool(said) is own
        assert capsys.readouterr().err == f"warning: {said}\n" * own


@pytest.mark.parametrize(("before", "says"), [
    ("", True), ("no cell conducts, all neurons stay silent: X is 0", False),
    ("all neurons stay silent: the highest membrane", True)])
def test_what_was_said_before_a_training_is_not_said_again(before, says, capsys):
    network = NetworkParameters(MemristorParameters())
    said = warn_of_range(network, Schedule(), np.zeros((2, 100)), np.ones((1, 100)), before=before)
    assert said.startswith("no cell conducts") and capsys.readouterr().err == f"warning: {said}\n" * says


@pytest.mark.parametrize(("state", "words"), [
    (0.0, "all neurons stay silent on this chip; a training with a higher --feedback-resistance may help"), (0.6, ""),
    (2.0, "membranes clip on 1 of 2 images on this chip, and neurons that clip fire together; a training with a lower "
          "--feedback-resistance may help")])
@pytest.mark.parametrize("wire", [0.0, 1.0])
def test_of_a_chip_it_is_said_of_all_its_devices(state, words, wire, capsys):
    """Wires take little, and no closed form knows of them: they are left out."""
    network, images = NetworkParameters(MemristorParameters()), np.ones((2, 100))
    images[1, 50:] = 0
    chip = Chip(classes=2, inputs=100, cell_gain=0.1, row_resistance=wire)
    assert warn_of_range(network, Schedule(), np.full((2, 100), state), images, chip) == words
    assert capsys.readouterr().err == f"warning: {words}\n" * bool(words)


def test_of_a_chip_whose_neurons_differ_one_that_clips_is_enough():
    network, images = NetworkParameters(MemristorParameters()), np.ones((1, 100))
    chip = Chip(classes=9, inputs=100, neuron_gain=0.5)
    states = np.full((9, 100), 1.0)
    gains = np.sort(chip.neurons(network.neuron).feedback_resistance)
    top = network.neuron.feedback_resistance * 20 / gains[-2:]  # V with the nominal resistor at which each would be at 20 V
    ideal = settled_membranes(network, Schedule(), states, images).max()
    for share, clips in ((0.95 * top[1] / ideal, False), (1.05 * top[1] / ideal, True)):
        scaled = dataclasses.replace(network, neuron=dataclasses.replace(
            network.neuron, feedback_resistance=share * network.neuron.feedback_resistance))
        assert ("clip on 1 of 1" in warn_of_range(scaled, Schedule(), states, images, chip)) is clips


@pytest.mark.parametrize("seed", range(4))
def test_of_a_chip_silence_is_told_by_its_own_thresholds(seed):
    network, images, states = NetworkParameters(MemristorParameters()), np.ones((1, 100)), np.full((1, 100), 1.0)
    chip = Chip(classes=1, inputs=100, seed=seed, neuron_threshold=0.5)
    own = float(chip.neurons(network.neuron).threshold[0])
    ideal = settled_membranes(network, Schedule(), states, images).max()
    for share, silent in ((0.95, True), (1.05, False)):
        scaled = dataclasses.replace(network, neuron=dataclasses.replace(
            network.neuron, feedback_resistance=share * own / ideal * network.neuron.feedback_resistance))
        assert ("stay silent" in warn_of_range(scaled, Schedule(), states, images, chip)) is silent


@pytest.mark.parametrize(("seconds", "switch", "words"), [
    (5e-3, 1e-3, ""), (5.0, 1e3, ""),
    (5.0, 1e-3, "warning: in writes of 5 s ngspice may be off by 31.25% of X, which it rounds over a switch of 0.001 ohm; "
                "--switch-on 1e3 keeps it\n")])
def test_writes_so_slow_that_rounding_counts_are_said(seconds, switch, words, capsys):
    experiment = xpue_experiment()
    network = dataclasses.replace(experiment.network, memristor=MemristorParameters(switch_on=switch))
    training._warn_of_rounding(dataclasses.replace(experiment, network=network), seconds)
    assert capsys.readouterr().err == words


@pytest.mark.parametrize(("rule", "engine", "seconds"), [("hebbian", "ngspice", 4.0), ("error-driven", "ngspice", 2.0),
                                                         ("error-driven", "closed-form", None)])
def test_the_longest_write_of_a_training_in_ngspice_is_looked_at(rule, engine, seconds, tmp_path, monkeypatch):
    """The closed form rounds nothing."""
    looked = []

    def stopped(run):
        raise KeyboardInterrupt
    monkeypatch.setattr(training, "_warn_of_rounding", lambda experiment, seconds: looked.append(seconds))
    monkeypatch.setattr(training_runs.HebbianRun, "train", stopped)
    monkeypatch.setattr(training_runs.ErrorDrivenRun, "train", stopped)
    rate = 5e-12 / MemristorParameters().memory_capacitance * 0.5  # V/s at half a volt
    options = ["--dose", str(2 * rate)] if rule == "error-driven" else ["--pulse", "4", "--period", "12", "--rise", "1e-2"]
    with pytest.raises(KeyboardInterrupt):
        training.training_script("", xpue_experiment, [
            "--rule", rule, "--engine", engine, *options, "--transconductance", "5e-12", "--input-voltage", "0.5", "--voltages",
            str(tmp_path / "v.json"), "--figures", str(tmp_path)])
    assert looked == ([] if seconds is None else [pytest.approx(seconds)])
