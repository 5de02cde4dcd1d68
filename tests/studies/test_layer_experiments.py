"""What the studies of layers learn from."""

import csv
import dataclasses
import gzip
import re
from types import SimpleNamespace

import numpy as np
import pytest

from datasets import load_mnist
from memristive.io.predictions import Partial
from memristive.io.voltages import Voltages, VoltagesError, save_layers
from memristive.multilayer.clipping import MOST
from memristive.multilayer.layer_netlist import LayerDesign
from memristive.multilayer.layer_network import begin
from memristive.single_layer.engines import CLOSED_FORM, NGSPICE
from memristive.variability.chip import PRESETS
from snn_circuit import NetworkParameters, NeuronParameters
from studies import layer_experiments as layered
from studies.layer_experiments import TASKS, LayeredPlan, LayeredTraining, first_read, load_network, rule_of


def test_shifted_digits_are_the_same_split_with_copies_half_a_pixel_away():
    plain, shifted = TASKS["digits"].data(8, 3), TASKS["digits_shifted"].data(8, 3)
    count = len(plain.labels)
    assert np.array_equal(shifted.test_images, plain.test_images) and np.array_equal(shifted.images[:count], plain.images)
    assert np.array_equal(shifted.labels, np.tile(plain.labels, 5))
    each = np.bincount(plain.labels) + np.bincount(plain.test_labels)
    assert np.bincount(plain.test_labels) == pytest.approx(each * 360 / 1797, abs=1)  # of every digit the same share is tested
    copies = shifted.images.reshape(5, count, *TASKS["digits_shifted"].shape(10))
    assert copies[1][:, 1:] == pytest.approx((copies[0][:, 1:] + copies[0][:, :-1]) / 2)  # down
    assert copies[2][:, :-1] == pytest.approx((copies[0][:, :-1] + copies[0][:, 1:]) / 2)  # up
    assert copies[3][:, :, 1:] == pytest.approx((copies[0][:, :, 1:] + copies[0][:, :, :-1]) / 2)  # right
    assert copies[4][:, :, :-1] == pytest.approx((copies[0][:, :, :-1] + copies[0][:, :, 1:]) / 2)  # left
    assert copies.min() >= 0 and copies.max() <= 1


def test_shifted_mnist_is_mnist_with_copies_a_pixel_away_and_the_same_test_images(monkeypatch):
    few = load_mnist("x_train", "y_train", "x_test", "y_test", first=20)
    few["x_train"] = np.maximum(few["x_train"], np.eye(28, dtype=np.uint8))  # something at the edges, too
    monkeypatch.setattr(layered, "load_mnist", lambda: few)
    plain, shifted = TASKS["mnist"].data(28, 1), TASKS["mnist_shifted"].data(28, 1)
    assert np.array_equal(shifted.test_images, plain.test_images) and len(plain.labels) == 20
    assert np.array_equal(shifted.labels, np.tile(plain.labels, 5))
    for found, part in ((plain.images, "x_train"), (plain.test_images, "x_test")):
        assert found == pytest.approx(few[part].reshape(20, -1) / 255, abs=0.01)  # grey
    assert np.array_equal(plain.labels, few["y_train"]) and np.array_equal(plain.test_labels, few["y_test"])
    copies = shifted.images.reshape(5, 20, 28, 28)
    for copy, (down, right) in enumerate(((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))):
        moved = np.roll(plain.images.reshape(20, 28, 28), (down, right), axis=(1, 2))
        moved[:, {1: slice(0, 1), -1: slice(-1, None), 0: slice(0)}[down]] = 0  # dark where nothing was
        moved[:, :, {1: slice(0, 1), -1: slice(-1, None), 0: slice(0)}[right]] = 0
        assert copies[copy] == pytest.approx(moved)


def test_netlist_of_layers_on_a_chip_shows_each_device_with_its_own_values():
    task = TASKS["xor"]
    plan = LayeredPlan(task, task.rule, (3,), chip=dataclasses.replace(PRESETS["ten-percent"], seed=4))
    data = plan.data()
    network = plan.begin(data)
    memristor, neuron = network.parameters.memristor, network.parameters.neuron
    text = first_read(network, data.images[1])

    def shown(name):
        line = re.search(rf"(?im)^{name} (.*)$", text)[1]
        return {key.lower(): float(value) for key, value in re.findall(r"(\w+)=(\S+)", line)}
    for layer, chip in enumerate(network.chip):
        for (j, k), gain in np.ndenumerate(chip.channel):
            cell = shown(f"xcell_{layer}_{j}_{k}")
            assert cell["w"] / cell["l"] * memristor.length / memristor.width == pytest.approx(gain, rel=1e-6)
        for j, threshold in enumerate(chip.threshold):
            assert shown(f"xneuron_{layer}_{j}") == pytest.approx({"threshold": neuron.threshold * threshold})


def test_a_file_of_layers_is_loaded_with_what_it_was_trained_with(tmp_path):
    task, path = TASKS["xor"], tmp_path / "v.json"
    rule, design = dataclasses.replace(task.rule, margin=7e-6), LayerDesign(window=200e-6, row_voltage=0.8)
    parameters = NetworkParameters(neuron=NeuronParameters(threshold=3.5))
    network = begin((3,), 2, layered.XOR_IMAGES, rule, design, parameters)
    origin = {"learning": rule.as_dict(), "design": design.as_dict(), "network": parameters.as_dict(), "sizes": [2, 3, 2]}
    save_layers(path, network.states, Voltages(network.states[-1], "xor", "grey", "layers", origin))
    found, voltages = load_network(path, task, 10)
    assert (found.design, found.parameters, rule_of(voltages, path)) == (design, parameters, rule)
    assert all(np.array_equal(one, other) for one, other in zip(found.states, network.states, strict=True))
    rows = re.findall(r"^Vrow_0_\d \S+ 0 PWL\((.*)\)", first_read(found, np.array([0.5, 1])), re.MULTILINE)
    assert [row.split()[1::2] for row in rows] == [["0.0V", "0.4V", "0.4V", "0.0V"], ["0.0V", "0.8V", "0.8V", "0.0V"]]


def test_scores_count_what_is_right_silent_and_tied():
    spikes = np.full((7, 3), 90e-6)
    spikes[[0, 1, 2, 3], [0, 1, 2, 0]] = 50e-6  # the last of them wrong
    spikes[4] = np.nan
    found = layered.scores(np.array([0, 1, 2, 1, 0, 1, 2]), spikes)
    middle, half = (3 / 7 + 1.96**2 / 14) / (1 + 1.96**2 / 7), 1.96 * np.sqrt(12 / 49 / 7 + 1.96**2 / 196) / (1 + 1.96**2 / 7)
    assert found == {"samples": 7, "strict_accuracy": 3 / 7, "silent": 1, "tied": 2,
                     "strict_interval_95": pytest.approx([middle - half, middle + half], abs=1e-4)}


def test_the_dose_that_should_be_smaller_is_that_of_the_layer_that_clips(monkeypatch, capsys):
    monkeypatch.setattr(layered, "complaint", lambda network, images, hidden, output: f"of hidden {hidden}, of outputs {output}")
    layered.warn_of_layers(None, [])
    layered.warn_of_layers(None, [], options=False)
    assert capsys.readouterr().err.splitlines() == ["warning: of hidden --hidden-dose, of outputs --output-dose",
                                                    "warning: of hidden hidden_dose, of outputs output_dose"]


@pytest.mark.parametrize(("at_first", "told"), [("clips", "--start-drive"), ("", "--hidden-dose")])
def test_a_start_that_did_not_clip_need_not_be_lower(monkeypatch, capsys, at_first, told):
    monkeypatch.setattr(layered, "complaint", lambda network, images, hidden="", output="": network and f"{network}, {hidden}")
    layered.warn_of_layers("clips", [], start=at_first)
    assert capsys.readouterr().err == f"warning: clips, {told}\n"


def test_a_resumed_training_took_the_seconds_before_as_well(tmp_path, monkeypatch):
    task, train = TASKS["xor"], layered.train
    plan = LayeredPlan(task, task.rule, (3,))

    def stopped(*given):
        yield next(train(*given, block=100))
        raise KeyboardInterrupt
    first, second = (LayeredTraining(plan, plan.data(), tmp_path / "checkpoint") for _ in range(2))
    first.seconds = 1000.0
    monkeypatch.setattr(layered, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    monkeypatch.undo()
    second.begin(resume=True, force=False)
    second.train()
    assert 1000 < first.seconds < second.seconds and second.learning.done == task.rule.presentations


def test_what_is_kept_of_interrupted_reads_has_its_own_labels(tmp_path, monkeypatch):
    def stopped(network, images, jobs):
        assert jobs == 37
        for k in (0, 1):
            yield SimpleNamespace(layers=[np.where(np.arange(3) == k, 50e-6, np.nan)])
        raise KeyboardInterrupt
    monkeypatch.setattr(layered, "read_layers", stopped)
    with pytest.raises(KeyboardInterrupt):
        layered.read_tests(None, np.zeros((4, 2)), np.array([0, 2, 1, 1]), "ngspice", Partial(tmp_path / "kept.csv.gz", {}), 37)
    with gzip.open(tmp_path / "kept.csv.gz", "rt", newline="") as file:
        file.readline()
        rows = [(row["image"], row["label"], row["decision"]) for row in csv.DictReader(file)]
    assert rows == [("0", "0", "0"), ("1", "2", "1")]


def test_layers_learn_by_the_engine_of_their_plan(tmp_path, monkeypatch):
    asked, task = [], TASKS["xor"]
    monkeypatch.setattr(layered, "train", lambda *given: asked.append(CLOSED_FORM) or [])
    monkeypatch.setattr(layered, "train_in_ngspice", lambda *given: asked.append(NGSPICE) or [])
    for engine in (NGSPICE, CLOSED_FORM):
        plan = LayeredPlan(task, task.rule, (3,), engine=engine)
        LayeredTraining(plan, plan.data(), tmp_path / "checkpoint").train()
    assert asked == [NGSPICE, CLOSED_FORM]


class Bar:
    """A progress bar that remembers what it showed."""

    shown: list["Bar"]

    def __init__(self, runs, total, *names, **more):
        self.runs, self.total, self.n, self.accuracies = runs, total, 0, []
        self.shown.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __iter__(self):
        return iter(self.runs)

    def update(self, count):
        self.n += count

    def set_postfix(self, accuracy, refresh):
        self.accuracies.append(accuracy)


def test_bars_show_how_much_is_done_and_how_much_of_it_was_right(tmp_path, monkeypatch):
    """Of three reads the second is tied between its own neuron and another one."""
    train, task = layered.train, TASKS["xor"]
    monkeypatch.setattr(Bar, "shown", [], raising=False)
    monkeypatch.setattr(layered, "progress", Bar)
    monkeypatch.setattr(layered, "train", lambda *given: train(*given, block=100))
    plan = LayeredPlan(task, task.rule, (3,))
    LayeredTraining(plan, plan.data(), tmp_path / "checkpoint").train()
    reads = [SimpleNamespace(layers=[np.array(times)]) for times in ([50e-6, np.nan], [60e-6, 60e-6], [70e-6, np.nan])]
    monkeypatch.setattr(layered, "read_layers", lambda *given: iter(reads))
    layered.read_tests(None, np.zeros((3, 2)), np.array([0, 0, 1]), "ngspice", Partial(tmp_path / "kept.csv.gz", {}))
    learning, reading = Bar.shown
    assert learning.n == learning.total == task.rule.presentations
    assert reading.total == 3 and reading.accuracies == ["100.0%", "50.0%", "33.3%"]


@pytest.mark.parametrize(("every", "at"), [(-1.0, [100, 200, 240, 240]), (1e9, [240])])  # and at the end
def test_checkpoints_are_saved_on_the_way_each_time_that_so_many_seconds_are_over(tmp_path, monkeypatch, every, at):
    saved, train, task = [], layered.train, TASKS["xor"]
    monkeypatch.setattr(layered, "CHECKPOINT_EVERY", every)
    monkeypatch.setattr(layered, "train", lambda *given: train(*given, block=100))
    monkeypatch.setattr(LayeredTraining, "save", lambda training: saved.append(training.learning.done))
    plan = LayeredPlan(task, task.rule, (3,))
    LayeredTraining(plan, plan.data(), tmp_path / "checkpoint").train()
    assert saved == at


def test_a_checkpoint_that_took_less_than_no_time_is_refused(tmp_path):
    task = TASKS["xor"]
    plan = LayeredPlan(task, task.rule, (3,))
    training = LayeredTraining(plan, plan.data(), tmp_path / "checkpoint")
    next(layered.train(training.learning, plan.rule, training.data.images, training.data.labels, block=100))
    training.seconds = -1.0
    training.save()
    with pytest.raises(VoltagesError, match="which its history does not show"):
        LayeredTraining(plan, plan.data(), tmp_path / "checkpoint").begin(resume=True, force=False)


def test_an_output_that_fires_for_a_late_image_is_no_silent_layer(monkeypatch, capsys):
    network = SimpleNamespace(first_spikes=lambda images: np.where(images[:, :1] > 0, 1e-6, np.nan))
    monkeypatch.setattr(layered, "complaint", lambda *_: "")
    images = np.zeros((MOST + 2, 3))
    images[-1] = 1
    layered.warn_of_layers(network, images)
    assert capsys.readouterr().err == ""
    layered.warn_of_layers(network, images[:-1])
    assert f"fires for any of {MOST + 1} images" in capsys.readouterr().err


def test_images_of_mnist_have_the_size_that_was_asked_for():
    assert [TASKS[name].shape(7) for name in ("mnist", "mnist_shifted", "digits", "xor")] == [(7, 7), (7, 7), (8, 8), (1, 2)]
