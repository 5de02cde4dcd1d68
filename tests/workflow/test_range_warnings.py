"""What is said of membranes that clip or cannot fire, on standard error."""

import dataclasses

import numpy as np
import pytest

from datasets import encode, load_mnist
from memristive.cli import inference, testing, training, training_runs
from memristive.cli.command_line import warn_of_range
from memristive.cli.experiments import xpue_experiment
from memristive.single_layer.operating_range import fitted, rail, settled_membranes
from memristive.single_layer.pulses import Schedule
from memristive.variability.chip import Chip
from memristor import MemristorParameters, trained_state
from snn_circuit import NetworkParameters
from tests.helpers import ROOT, page


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
          "--feedback-resistance may help"),
    (9.0, "membranes clip on 2 of 2 images on this chip, and neurons that clip fire together; a training with a lower "
          "--feedback-resistance may help")])
@pytest.mark.parametrize("wire", [0.0, 1.0])
def test_of_a_chip_it_is_said_of_all_its_devices(state, words, wire, capsys):
    """Wires take little, and no closed form knows of them: they are left out."""
    network, images = NetworkParameters(MemristorParameters()), np.ones((2, 100))
    images[1, 50:] = 0
    chip = Chip(classes=2, inputs=100, cell_gain=0.1, row_resistance=wire, column_resistance=wire)
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


@pytest.fixture
def three():
    """A network that fits three patterns of nine pixels each, the patterns, and the states that they trained."""
    network, patterns = NetworkParameters(MemristorParameters()), np.eye(3).repeat(9, axis=1)
    return fitted(network, Schedule(), patterns), patterns, trained_state(network.memristor, patterns, 5e-3)


@pytest.mark.parametrize(("pause", "pulse", "words"), [
    (20.0, 5e-3, []), (1.0, 5e-3, ["membranes have not come to rest on this chip when the next pattern comes: up to "]),
    (20.0, 5e-5, ["all neurons stay silent on this chip: membranes that settle at up to ", "longer --pulse would help"]),
    (1.0, 5e-5, ["not come to rest", "; from rest, all neurons stay silent on this chip: membranes that settle"])])
def test_patterns_that_follow_each_other_on_a_chip_are_told_as_elsewhere(three, pause, pulse, words):
    """On an ideal network they were; on a chip two of six patterns were tied without a word."""
    (network, patterns, states), chip = three, Chip(3, 27, cell_gain=0.05)
    schedule = Schedule(pulse=pulse, period=pulse + 1e-5 + pause * network.neuron.time_constant)
    said = warn_of_range(network, schedule, states, patterns, chip, own=True)
    assert all(part in said for part in words) and bool(said) == bool(words)
    if pause == 1.0 and pulse == 5e-3:
        top = chip.crossbar(network, schedule).race(states, patterns).settled.max()
        assert f"up to {top * np.exp(-1):.2g} V are left" in said
        for more, told in ((-0.1, True), (0.1, False)):  # a thousandth of the threshold of 4 V moves no spike
            after = (np.log(top / 4e-3) + more) * network.neuron.time_constant
            rested = Schedule(pulse=pulse, period=pulse + 1e-5 + after)
            assert ("not come to rest" in warn_of_range(network, rested, states, patterns, chip, own=True)) == told


def test_a_pattern_that_its_own_neuron_does_not_hear_on_a_chip_is_told(three):
    network, patterns, states = three
    for seed in range(30):
        chip = Chip(3, 27, seed, neuron_threshold=0.6)
        race = chip.crossbar(network, Schedule()).race(states, patterns)
        silent = np.flatnonzero(np.isnan(np.diag(race.spikes)))
        said = warn_of_range(network, Schedule(), states, patterns, chip, own=True)
        if 0 < len(silent) < 3:
            break
    assert said == (f"neurons that stay silent on the patterns they learned, on this chip: {len(silent)} of 3, the first is "
                    f"neuron {silent[0]}; a training with a higher --feedback-resistance may help")
    assert warn_of_range(network, Schedule(), states, patterns, chip) == ""


def test_neurons_of_a_chip_that_are_too_slow_for_their_patterns_are_told_of_the_pulse(three):
    network, patterns, states = three
    for seed in range(30):
        chip = Chip(3, 27, seed, neuron_time_constant=1.0)
        schedule = Schedule(pulse=2e-4, period=0.1)
        silent = np.isnan(np.diag(chip.crossbar(network, schedule).race(states, patterns).spikes))
        if 0 < silent.sum() < 3:
            break
    said = warn_of_range(network, schedule, states, patterns, chip, own=True)
    assert said.endswith(f"is neuron {np.argmax(silent)}; a longer --pulse or a training with a higher --feedback-resistance "
                         "may help")


def test_of_neurons_that_a_pulse_does_not_lift_in_time_one_is_enough_to_name_it(three):
    """Beside others that would not reach their thresholds in any time."""
    network, patterns, states = three
    schedule = Schedule(pulse=2e-4, period=0.1)
    for seed in range(60):
        chip = Chip(3, 27, seed, neuron_time_constant=1.0, neuron_threshold=0.6)
        race = chip.crossbar(network, schedule).race(states, patterns)
        silent, low = np.isnan(np.diag(race.spikes)), np.diag(race.settled) < chip.neurons(network.neuron).threshold
        if 0 < (silent & low).sum() < silent.sum() < 3:
            break
    said = warn_of_range(network, schedule, states, patterns, chip, own=True)
    assert f"on this chip: {silent.sum()} of 3" in said and "; a longer --pulse or a training with a higher" in said


def test_what_is_left_is_too_much_where_the_lowest_threshold_of_a_chip_says_so(three):
    """A thousandth of it; and of images that are read one by one nothing is left."""
    (network, patterns, states), chip = three, Chip(3, 27, 1, neuron_threshold=0.5)
    own = chip.neurons(network.neuron).threshold
    top = chip.crossbar(network, Schedule()).race(states, patterns).settled.max()
    after = np.log(top / (1.1e-3 * own.min())) * network.neuron.time_constant
    schedule = Schedule(period=5e-3 + 1e-5 + after)
    assert own.max() > 1.2 * own.min()
    assert "not come to rest" in warn_of_range(network, schedule, states, patterns, chip, own=True)
    assert "not come to rest" not in warn_of_range(network, schedule, states, patterns, chip)


def test_what_is_left_of_one_pattern_is_said_beside_what_is_wrong_with_each_alone(three):
    """Of patterns that clip, or are too slow, it was left out, and was what decided them."""
    network, patterns, states = three
    tau = network.neuron.time_constant
    slow = warn_of_range(network, Schedule(pulse=5e-5, period=6e-5 + tau), states, patterns, own=True)
    clips = warn_of_range(network, Schedule(input_voltage=9.0, period=5e-3 + 1e-5 + tau), 3 * states, patterns, own=True)
    for said, other in ((slow, "membranes are too slow"), (clips, "membranes clip on 3 of 3")):
        assert said.startswith("membranes have not come to rest when the next pattern comes: of ")
        assert f"; from rest, {other}" in said
    assert f"of {rail(network.neuron):.3g} V up to {rail(network.neuron) * np.exp(-1):.2g} V are left" in clips


def test_what_made_the_states_is_handed_on_to_what_is_said_of_them(tmp_path, monkeypatch, ngspice):
    """Of states learned from errors no feedback resistor can be promised to help; pages promised it."""
    rules = []
    for module in (training_runs, inference, testing):
        monkeypatch.setattr(module, "warn_of_range", lambda *given, rule=None, **more: rules.append(rule) or "")
        monkeypatch.setattr(module, "draw", lambda *given, **more: None)
    saved = ["--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)]
    page("XPUE_memristive_training.py").main(["--rule", "error-driven", "--engine", "closed-form", "--presentations", "2",
                                              *saved])
    assert rules == ["error-driven"] * 2  # before and after
    page("XPUE_memristive_inference.py").main(saved)
    for name, rule in (("mnist_error_driven", "error-driven"), ("mnist_ex_situ", "ex-situ"), ("mnist", "hebbian")):
        page("MNIST_memristor_test.py").main(["--engine", "closed-form", "--samples", "3", "--figures", str(tmp_path),
                                              "--voltages", str(ROOT / "voltages" / f"{name}.json"), "--force"])
        assert rules.pop() == rule
    assert rules == ["error-driven"] * 3


def test_a_test_looks_at_its_first_hundred_images(tmp_path, monkeypatch):
    """The first one alone may be dark where the others clip."""
    looked = []
    monkeypatch.setattr(testing, "warn_of_range", lambda network, schedule, states, images, *given, **more: looked.append(images))
    monkeypatch.setattr(testing, "draw", lambda *given, **more: None)
    page("MNIST_memristor_test.py").main(["--engine", "closed-form", "--samples", "120", "--figures", str(tmp_path)])
    images = encode(load_mnist("x_test", first=120)["x_test"], 10, "binary")
    assert len(looked) == 1 and np.array_equal(looked[0], images[:100])
