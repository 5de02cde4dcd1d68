"""What a page or study is asked for reaches who does the work: an option that is parsed, recorded and ignored is a lie.

The work itself is left out: whoever would do it says what it was given.
"""

import argparse
import dataclasses
import inspect
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from memristive.cli import inference, testing, training_runs
from memristive.cli.command_line import OURS
from memristive.cli.evaluation import worker_count
from memristive.cli.experiments import describe, mnist_experiment, xpue_experiment
from memristive.cli.inference import inference_script
from memristive.cli.tables import load_table
from memristive.io.voltages import Voltages, save_voltages
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.energy import read_energy, write_energy
from memristive.single_layer.ngspice_crossbar import Reader
from memristive.stdp import mnist_learning as unsupervised_mnist
from memristive.stdp import pattern_learning as unsupervised
from memristive.variability.chip import Chip
from memristor import state_rate
from studies import (
    device,
    engines,
    hidden_neurons,
    imperfect_chips,
    imperfect_layers,
    instar,
    layer_gradient,
    layers,
    layers_in_ngspice,
    own_data,
    stdp,
    stdp_mnist,
)
from studies.layer_experiments import LayeredData, LayeredPlan, LayeredTask
from tests.helpers import ROOT, page


class Asked(Exception):
    """Someone was about to work."""


@pytest.fixture
def given(monkeypatch, tmp_path):
    """given(place, name, main, *words): the arguments that `place.name` is called with once `main` is started so."""
    def call(place, name, main, *words):
        signature = inspect.signature(getattr(place, name))

        def stopped(*arguments, **more):
            bound = signature.bind(*arguments, **more)
            bound.apply_defaults()
            raise Asked(bound.arguments)
        with monkeypatch.context() as patch, pytest.raises(Asked) as caught:
            patch.setattr(place, name, stopped)
            main([str(word) for word in (*words, "--figures", tmp_path)])
        return caught.value.args[0]
    return call


TEST = page("MNIST_memristor_test.py").main


def test_the_test_script_reads_what_where_and_as_it_is_asked(given):
    chip = ["--chip-cell-gain", 0.1, "--chip-seed", 4, "--carry-over"]
    asked = given(testing, "read_all", TEST, "--encoding", "grey", "--voltages", "voltages/mnist_error_driven_grey.json",
                  "--jobs", 37, "--samples", 5, "--input-voltage", 0.9, "--pulse", 1e-3, *chip)
    assert asked["jobs"] == 37 and asked["scheduler"] is None and asked["chip"] == Chip(cell_gain=0.1, seed=4)
    assert (asked["schedule"].input_voltage, asked["schedule"].pulse) == (0.9, 1e-3)
    assert len(asked["images"]) == 5 and len(np.unique(asked["images"])) > 50  # grey levels


def test_the_test_script_takes_every_core_or_the_scheduler_and_binary_images_unasked(given):
    assert given(testing, "read_all", TEST, "--samples", 5)["jobs"] == worker_count()
    asked = given(testing, "read_all", TEST, "--samples", 5, "--scheduler", "tcp://there:1")
    assert asked["scheduler"] == "tcp://there:1" and asked["chip"] is None and set(np.unique(asked["images"])) == {0, 1}


# Energies are those of the chip: with cells of many gains they are others than with nominal ones.

UNEVEN = Chip(classes=4, inputs=9, seed=3, cell_gain=1.0)


@pytest.fixture
def no_figures(monkeypatch):
    """Drawing takes most of a small run's time."""
    for module in (inference, testing, training_runs, stdp_mnist):
        monkeypatch.setattr(module, "draw", lambda *_, **more: None)


def differs(one, other):
    return abs(one["inputs"] / other["inputs"] - 1) > 0.02


def test_inference_tells_the_energy_and_writes_the_netlist_of_the_chip(tmp_path, ngspice, no_figures):
    experiment, states = xpue_experiment(), 7.0 * xpue_experiment().dataset.patterns
    save_voltages(tmp_path / "v.json", Voltages(states, "xpue", "binary", "hebbian", describe(experiment, chip=UNEVEN.as_dict())))
    inference_script("", xpue_experiment, ["--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path), "--netlist",
                                           str(tmp_path / "n.cir")])
    found = json.loads((tmp_path / "xpue_chip_inference_results.json").read_text())["read_energy"]
    nominal, own = (read_energy(ngspice, experiment.network, experiment.schedule, states, experiment.dataset.patterns[0],
                                *devices) for devices in ((), (UNEVEN.devices(experiment.network),)))
    assert found == pytest.approx(own, rel=1e-3) and differs(own, nominal)
    widths = {word for line in (tmp_path / "n.cir").read_text().splitlines() if line.lower().startswith("xcell")
              for word in line.split() if word.startswith("w=")}
    assert len(widths) == 36  # each cell has its own


def test_the_test_script_tells_the_energy_of_the_chip(tmp_path, ngspice, no_figures, monkeypatch):
    experiment, chip = mnist_experiment(4), dataclasses.replace(UNEVEN, classes=10, inputs=16)
    states, images = np.random.default_rng(1).uniform(3, 5, (10, 16)), []
    save_voltages(tmp_path / "v.json", Voltages(states, "mnist", "binary", "hebbian", describe(experiment, chip=chip.as_dict())))
    monkeypatch.setattr(testing, "read_all", lambda network, schedule, states, seen, *_: images.extend(seen) or
                        chip.crossbar(network, schedule).first_spikes(states, seen))
    TEST(["--size", "4", "--samples", "2", "--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)])
    found = json.loads((tmp_path / "mnist_test_4x4_chip_results.json").read_text())["read_energy"]
    nominal, own = (read_energy(ngspice, experiment.network, experiment.schedule, states, images[0], *devices)
                    for devices in ((), (chip.devices(experiment.network),)))
    assert found == pytest.approx(own, rel=1e-3) and differs(own, nominal)


@pytest.mark.parametrize("rule", ["hebbian", "error-driven"])
def test_training_tells_the_energy_of_a_write_to_the_chip(rule, tmp_path, ngspice, no_figures):
    experiment, options = xpue_experiment(), ["--rule", rule, "--chip-cell-gain", "1", "--chip-seed", "3"]
    if rule == "error-driven":
        options += ["--engine", "closed-form", "--presentations", "1", "--dose", "1"]
    page("XPUE_memristive_training.py").main([*options, "--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)])
    path, = tmp_path.glob("*_training_results.json")
    results = json.loads(path.read_text())
    states = np.array(results["voltages"]) if rule == "error-driven" else np.zeros((4, 9))
    pulse = experiment.schedule.pulse if rule == "hebbian" else 1.0 / state_rate(experiment.network.memristor, 1.0)
    found = results["write_energy"] if rule == "hebbian" else results["write_energy"]["potentiation"]
    nominal, own = (write_energy(ngspice, experiment.network, experiment.schedule, states, experiment.dataset.patterns[0], 0,
                                 float(pulse), 1, *devices) for devices in ((), (UNEVEN.devices(experiment.network),)))
    assert found == pytest.approx(own, rel=1e-3) and differs(own, nominal)


def test_a_chip_learns_by_the_engine_that_is_named(tmp_path, no_figures, monkeypatch):
    """The closed form trains a chip without one read by ngspice."""
    monkeypatch.setattr(Reader, "spikes", lambda *_: pytest.fail("ngspice has read"))
    page("XPUE_memristive_training.py").main([
        "--rule", "error-driven", "--engine", "closed-form", "--presentations", "20", "--chip-cell-gain", "0.1",
        "--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)])
    assert json.loads((tmp_path / "v.json").read_text())["engine"] == "closed-form"


# Learning without a teacher


def test_netlist_that_learns_by_itself_is_written_where_asked(given, tmp_path):
    given(stdp, "_runs", stdp.main, "--netlist", tmp_path / "learns.cir")
    title, ours, rest = (tmp_path / "learns.cir").read_text().split("\n", 2)
    assert ours == OURS and f"{title}\n{rest}" == (ROOT / "docs" / "learns_by_itself.cir").read_text()


def test_the_circuit_that_learns_by_itself_is_the_one_asked_for(given):
    words = ["--seed", 5, "--seeds", 2, "--neurons", 6, "--presentations", 400, "--spread", 0.1, "--flipped", 0.2,
             "--threshold", 4.5, "--pulse", 5e-4, "--homeostasis-current", 3e-7]
    asked = given(stdp, "_runs", stdp.main, *words)
    task, drawn = asked["task"], asked["drawn"]
    assert [one.chip for one in drawn] == [Chip(6, 9, seed, cell_gain=0.1, cell_write_gain=0.1, neuron_threshold=0.1)
                                           for seed in (5, 6)]
    for one in drawn:
        assert one.states.shape == (6, 9) and len(one.order) == 400
        assert np.mean(one.images != task.patterns[one.order]) == pytest.approx(0.2, abs=0.03)
    assert not np.array_equal(drawn[0].states, drawn[1].states)
    design = task.design
    assert (design.network.neuron.threshold, design.schedule.pulse, design.learning.homeostasis_current) == (4.5, 5e-4, 3e-7)


def test_devices_that_differ_stand_in_the_netlist_that_learns():
    task = unsupervised.unsupervised_xpue()
    drawn = unsupervised.trial(task, 4, 7, spread=0.1)
    uneven, even = (str(unsupervised.netlist(task, one)) for one in (drawn, dataclasses.replace(drawn, chip=None)))
    thresholds = drawn.chip.neurons(task.design.network.neuron).threshold
    assert all(repr(float(volts)) in uneven and repr(float(volts)) not in even for volts in thresholds)


@pytest.fixture
def few_images(no_figures, monkeypatch):
    """Twenty images of thirty pixels in place of MNIST."""
    images = np.random.default_rng(5).uniform(0.5, 1.0, (20, 30))
    monkeypatch.setattr(stdp_mnist, "mnist_images", lambda part, encoding: (images, np.arange(20) % 10))


def test_as_many_neurons_contend_in_ngspice_as_are_asked_for(few_images, tmp_path, monkeypatch):
    read, contended = unsupervised_mnist.NgspiceReader.spikes, []

    def spikes(reader, image):
        chosen, times = read(reader, image)
        contended.append((len(chosen), len(times)))
        return chosen, times
    monkeypatch.setattr(unsupervised_mnist.NgspiceReader, "spikes", spikes)
    stdp.main(["--data", "mnist", "--neurons", "12", "--epochs", "1", "--samples", "2", "--contenders", "3",
               "--figures", str(tmp_path), "--voltages", str(tmp_path / "v.json")])
    assert contended == [(3, 3), (3, 3)]


def test_start_and_order_follow_from_the_seed_alone():
    def begun(seed):
        learning = unsupervised_mnist.MnistLearning(neurons=10, epochs=2, seed=seed)
        network, own = unsupervised_mnist.begin(learning, 30)
        return network.states, unsupervised_mnist.presentation_order(learning, 50, own)
    one, same, other = begun(1), begun(1), begun(2)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    first, second = one[1].reshape(2, 50)
    assert sorted(first) == sorted(second) == list(range(50)) and not np.array_equal(first, second)


# Studies


@pytest.fixture
def four_images(monkeypatch):
    """In place of what networks of layers learn and are tested on."""
    few = LayeredData(np.ones((4, 100)), np.arange(4), np.ones((4, 100)), np.arange(4))
    monkeypatch.setattr(LayeredTask, "data", lambda *_: few)


@pytest.mark.parametrize("study", [imperfect_chips, imperfect_layers, hidden_neurons])
def test_cases_run_on_as_many_processes_as_are_asked_for(study, given, monkeypatch):
    ideal = argparse.Namespace(states=None, first_spikes=lambda images: np.zeros((1, 10)))
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: (np.zeros((10, 100)), 0.9))
    monkeypatch.setattr(imperfect_layers, "network_of", lambda case: ideal)
    monkeypatch.setattr(imperfect_layers, "warn_of_layers", lambda *given, **more: None)
    monkeypatch.setattr(imperfect_layers, "images", lambda: argparse.Namespace(test_labels=np.zeros(1, int), test_images=None))
    asked = given(study, "run_everywhere", study.main, "--jobs", 37)
    assert asked["jobs"] == 37 and asked["scheduler"] is None and len(asked["tasks"]) == len(asked["sizes"]) > 1


def test_results_of_chips_say_what_taught_them(given):
    (_, made_with), = given(imperfect_chips, "claimed", imperfect_chips.main)["made_with"]
    for encoding in ("binary", "grey"):
        assert made_with[encoding]["learning"] == mnist_experiment(encoding=encoding).rule.as_dict()


def test_chips_are_judged_on_the_cluster_asked_for(given, monkeypatch):
    monkeypatch.setattr(imperfect_chips, "check_scheduler", lambda scheduler: None)
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: (np.zeros((10, 100)), 0.9))
    asked = given(imperfect_chips, "run_everywhere", imperfect_chips.main, "--short", "--scheduler", "tcp://there:1")
    assert asked["scheduler"] == "tcp://there:1"


def test_layers_are_read_on_as_many_processes_as_are_asked_for(given, monkeypatch, tmp_path):
    options = argparse.Namespace(jobs=37)
    monkeypatch.setattr(imperfect_layers, "network_of", lambda case: None)
    monkeypatch.setattr(imperfect_layers, "images", lambda: argparse.Namespace(test_labels=np.zeros(9), test_images=np.eye(9)))

    def judge(words):
        case = imperfect_layers.Case(0.1, 1, LayeredRule(), 8)
        imperfect_layers.judge_in_ngspice(case, 5, argparse.Namespace(**vars(options), figures=tmp_path))
    asked = given(imperfect_layers, "read_tests", judge)
    assert asked["jobs"] == 37 and len(asked["images"]) == len(asked["labels"]) == 5
    places = ["--data", "xor", "--voltages", tmp_path / "xor.json"]
    asked = given(layers, "read_tests", layers.main, *places, "--test-engine", "ngspice", "--jobs", 37)
    assert (asked["jobs"], asked["engine"]) == (37, "ngspice")


def test_a_networks_reads_run_on_as_many_processes_as_are_asked_for(given, four_images):
    asked = given(layers_in_ngspice.Reading, "read", layers_in_ngspice.main, "--samples", 3, "--jobs", 37)
    assert asked["jobs"] == 37


def test_layers_of_another_size_learn_images_of_that_size(given):
    plan = given(LayeredPlan, "data", layers.main, "--data", "mnist", "--size", 5, "--hidden", 7, "--engine", "ngspice",
                 "--seed", 4)["self"]
    assert (plan.size, plan.hidden, plan.engine, plan.rule.seed) == (5, (7,), "ngspice", 4)


def test_the_gradient_is_asked_of_a_network_of_the_size_asked_for(given, four_images, monkeypatch):
    monkeypatch.setattr(layer_gradient, "errors_of", lambda *_: ([(0, 0, 1)], 0))
    monkeypatch.setattr(layer_gradient, "measure", lambda *_: {"gain": 1.0, "hidden": 50.0, "output": 5.0})
    asked = given(layer_gradient, "learn", layer_gradient.main, "--hidden", 7, "--presentations", 30)
    assert asked["learning"].network.sizes[1:-1] == (7,) and asked["rule"].presentations == 30


def test_own_data_are_drawn_split_and_learned_as_asked(given, monkeypatch, tmp_path):
    monkeypatch.setattr(own_data, "cross_validated", lambda table, *_: own_data.Found.nothing(1, 10, len(table.labels)))
    asked = given(own_data, "split_in_ngspice", own_data.main, "iris", "--engine", "ngspice", "--in-situ", "--seed", 5,
                  "--rows", 60, "--epochs", 1, "--hidden", 3, "--voltages", tmp_path / "v.json")
    whole = load_table("iris", None)
    assert (asked["seed"], asked["in_situ"], asked["model"].hidden, asked["model"].epochs) == (5, True, [3], 1)
    assert asked["table"].checksum == whole.sampled(60, 5).checksum != whole.sampled(60, 1).checksum


def test_one_device_is_measured_as_asked(given):
    asked = given(instar, "measure_rule", instar.main, "--doses", 2, "--longest-dose", 1e-3)
    assert (asked["study"].doses, asked["study"].longest_dose) == (2, 1e-3)
    asked = given(device, "run_iv", device.main, "--transconductance", 1e-4, "--amplitude", 0.7)
    assert (asked["parameters"].transconductance, asked["experiment"].amplitude) == (1e-4, 0.7)
    asked = given(device, "run_stdp", device.main, "--stdp", "--transconductance", 1e-9, "--pairings", 5)
    assert (asked["parameters"].transconductance, asked["experiment"].pairings) == (1e-9, 5)


def test_engines_are_compared_on_as_many_images_as_are_asked_for(given, monkeypatch, tmp_path):
    """And what comes of it lies where --figures says."""
    counts, network = [], argparse.Namespace(name="one", images=lambda count: counts.append(count), states=None,
                                             crossbar=argparse.Namespace(first_spikes=lambda *_: None))
    for name, result in (("networks", [network]), ("ngspice_spikes", None), ("compare_decisions", {}), ("compare_leads", (0, 0)),
                         ("compare_steps", []), ("compare_writes", (0, 0)), ("print_network", None)):
        monkeypatch.setattr(engines, name, lambda *_, result=result: result)
    monkeypatch.setattr(engines, "engines_figure", lambda *_: plt.subplots()[0])
    monkeypatch.setattr(engines, "read_images", lambda session, network, count, *_: counts.append(count) or [0] * count)
    engines.main(["--part", "reads", "--images", "7", "--figures", str(tmp_path)])
    assert counts == [7, 7] and {path.name for path in tmp_path.iterdir()} == {"engines.png", "engines_results.json"}
    assert given(engines, "compare_training", engines.main, "--part", "training", "--presentations", 9)["presentations"] == 9
