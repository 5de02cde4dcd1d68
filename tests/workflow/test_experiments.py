"""The experiments' parameters: what scales with the size of the images, what is the paper's, what is recorded of them."""

import argparse
import dataclasses

import numpy as np
import pytest

from datasets import encode
from memristive.cli.experiments import (
    VOLTAGES,
    add_engine,
    add_size_and_encoding,
    describe,
    digits_experiment,
    mnist_experiment,
    network_of,
    say_of_cells_that_are_off,
    trained_by,
    with_room,
    xpue_experiment,
)
from memristive.cli.training import chosen_experiment
from memristive.io.voltages import Voltages, VoltagesError
from memristive.single_layer.pulses import Schedule
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip
from memristor import MemristorParameters
from snn_circuit import ALIKE, NetworkParameters, NeuronParameters


@pytest.mark.parametrize(("size", "ohms"), [(5, 4000.0), (10, 1000.0), (20, 250.0), (28, 127.55)])
def test_feedback_keeps_membranes_in_range_at_any_size(size, ohms):
    """A fifth of the pixels is on at any size: the column's current grows with the pixels, and the feedback falls."""
    network = mnist_experiment(size).network
    assert network.neuron.feedback_resistance == pytest.approx(ohms, rel=1e-4)
    assert network == NetworkParameters(neuron=NeuronParameters(feedback_resistance=network.neuron.feedback_resistance))


def test_files_are_named_for_data_rule_encoding_engine_and_size():
    assert mnist_experiment().voltages_path("hebbian") == VOLTAGES / "mnist.json"
    assert mnist_experiment(14, "grey").voltages_path("error-driven").name == "mnist_error_driven_grey_14x14.json"
    assert mnist_experiment(encoding="grey").voltages_path("error-driven", "closed-form").name == "mnist_closed_form_grey.json"
    assert xpue_experiment().stem("error-driven") == "xpue_error_driven" and xpue_experiment().name == "xpue"
    assert xpue_experiment().stem("hebbian") == "xpue"  # 3 x 3 is the only size it has
    on_chip = dataclasses.replace(mnist_experiment(14, "grey"), chip=Chip())
    assert on_chip.stem("ex-situ") == "mnist_ex_situ_grey_14x14_chip" and on_chip.name == "mnist_grey_14x14_chip"


def test_pulses_are_the_papers():
    for experiment, pulse, period, step in ((xpue_experiment(), 5e-3, 15e-3, 10e-6), (digits_experiment(), 5e-3, 15e-3, 10e-6),
                                            (mnist_experiment(), 2e-3, 6e-3, 11e-6)):
        schedule = experiment.schedule
        assert (schedule.pulse, schedule.period, schedule.sampling_step) == (pulse, period, step)
        assert (schedule.input_voltage, schedule.phi_voltage) == (1.0, 1.2)


def test_datasets_are_the_ones_that_they_are_named_for():
    assert [make().dataset.name for make in (xpue_experiment, digits_experiment, mnist_experiment)] == ["xpue", "012345", "mnist"]
    assert mnist_experiment().encoding == "binary" and set(np.unique(mnist_experiment().dataset.patterns)) == {0.0, 1.0}
    grey = mnist_experiment(encoding="grey")
    assert grey.encoding == "grey" and len(np.unique(grey.dataset.patterns)) > 50


def test_rule_starts_where_the_paper_rule_ends_and_grey_images_have_their_own():
    """Small networks learn from errors around the on-state of 7 V, which leaves the off-cells something to lose."""
    assert [(e.rule.presentations, e.rule.start_state, e.rule.dose, e.rule.margin, e.rule.seed) for e in (
        xpue_experiment(), digits_experiment(), mnist_experiment(), mnist_experiment(encoding="grey"))] == [
            (200, 7.0, 50e-3, 10e-6, 1), (600, 7.0, 50e-3, 5e-6, 1), (60000, 3.0, 20e-3, 1e-6, 1), (36000, 4.5, 0.1, 1e-6, 1)]


@pytest.mark.parametrize(("experiment", "classes"), [(xpue_experiment(), 4), (digits_experiment(), 6)])
def test_small_networks_learn_from_their_own_patterns(experiment, classes):
    images, labels = experiment.training_images()
    assert images is experiment.dataset.patterns and experiment.encoding == "binary"
    assert labels.tolist() == list(range(classes))


def test_mnist_learns_from_the_training_set_in_the_size_and_encoding_at_hand(mnist):
    images, labels = mnist_experiment(4, "grey").training_images()
    assert images.shape == (60000, 16) and np.array_equal(labels, mnist["y_train"])
    assert np.array_equal(images[:20], encode(mnist["x_train"][:20], 4, "grey"))


def test_experiment_has_the_devices_and_the_stuck_cells_of_its_chip():
    ideal, chip = xpue_experiment(), Chip(classes=4, inputs=9, cell_gain=0.1, stuck_off=1.0)
    states = np.linspace(3.0, 4.0, 36).reshape(4, 9)
    assert ideal.devices is ALIKE and ideal.held(states) is states
    on_chip = dataclasses.replace(ideal, chip=chip)
    assert np.array_equal(on_chip.devices.cells.gain, chip.cells(MemristorParameters()).gain)
    assert not on_chip.held(states).any()
    sound = dataclasses.replace(ideal, chip=Chip(classes=4, inputs=9, cell_gain=0.1))
    assert np.array_equal(sound.held(states), states)


def test_record_of_a_run_has_every_parameter_and_a_chip_only_where_there_is_one():
    experiment = mnist_experiment(4, "grey")
    said = describe(experiment, engine="ngspice", rule="hebbian")
    assert said == {"dataset": "mnist", "shape": [4, 4], "encoding": "grey", "network": experiment.network.as_dict(),
                    "schedule": dataclasses.asdict(experiment.schedule), "engine": "ngspice", "rule": "hebbian"}
    chip = Chip(classes=10, inputs=16, cell_gain=0.1)
    assert describe(dataclasses.replace(experiment, chip=chip)) == {
        **{key: said[key] for key in ("dataset", "shape", "encoding", "network", "schedule")}, "chip": chip.as_dict()}


def test_network_is_that_of_the_voltages_file():
    trained = NetworkParameters(MemristorParameters(width=60e-6), NeuronParameters(threshold=3.0))
    default = NetworkParameters()
    assert network_of(Voltages(np.zeros((4, 9)), origin={"network": trained.as_dict()}), default, "v.json") == trained
    assert network_of(Voltages(np.zeros((4, 9))), default, "v.json") is default  # the paper's own layout says nothing


@pytest.mark.parametrize("network", [{}, {"memristor": {}}, {"memristor": {"width": -1.0}, "neuron": {}}, [1],
                                     {"memristor": {"breadth": 1.0}, "neuron": {}}])
def test_network_parameters_that_make_no_sense_are_refused_with_their_file(network):
    with pytest.raises(VoltagesError, match=r"^some/v\.json: its network parameters cannot be used: "):
        network_of(Voltages(np.zeros((4, 9)), origin={"network": network}), NetworkParameters(), "some/v.json")
    with pytest.raises(VoltagesError, match="'network'"):
        network_of(Voltages(np.zeros((4, 9)), origin={"seed": 1}), NetworkParameters(), "some/v.json")


@pytest.mark.parametrize(("origin", "engine"), [({}, "ngspice"), ({"engine": "ngspice"}, "ngspice"),
                                                ({"engine": "closed-form"}, "closed-form")])
def test_voltages_say_which_engine_trained_them(origin, engine):
    assert trained_by(Voltages(np.zeros((4, 9)), origin=origin)) == engine


def test_engine_size_and_encoding_are_the_papers_unless_given(capsys):
    parser = argparse.ArgumentParser()
    add_engine(parser, "reads the images")
    add_size_and_encoding(parser)
    assert vars(parser.parse_args([])) == {"engine": "ngspice", "size": 10, "encoding": "binary"}
    assert vars(parser.parse_args(["--engine", "closed-form", "--size", "28", "--encoding", "grey"])) == {
        "engine": "closed-form", "size": 28, "encoding": "grey"}
    assert parser.parse_args(["--size", "4"]).size == 4
    for wrong in (["--size", "3"], ["--size", "29"], ["--size", "ten"], ["--engine", "hspice"], ["--encoding", "colour"]):
        with pytest.raises(SystemExit):
            parser.parse_args(wrong)
        assert wrong[0] in capsys.readouterr().err
    said = " ".join(parser.format_help().split())
    for words in ("what reads the images: the simulator, or the formula", "default: ngspice", "4 to 28 (default: 10)",
                  "(default: binary)", "--size N"):
        assert words in said


def test_schedules_default_is_that_of_small_networks():
    assert xpue_experiment().schedule == digits_experiment().schedule == Schedule()


def test_pulse_that_is_too_long_for_the_usual_period_has_a_longer_one():
    """Where no period has a bearing there is no option for it either."""
    usual = Schedule(pulse=2e-3, period=6e-3)
    for given in ({}, {"pulse": 5e-3}, {"pulse": 5.98e-3, "phi_voltage": 2.0}, {"rise": 1e-3}):
        assert with_room(given, usual) == given
    assert with_room({"pulse": 6e-3}, usual) == {"pulse": 6e-3, "period": pytest.approx(18.03e-3)}
    assert with_room({"pulse": 5e-3, "rise": 1e-3}, usual)["period"] == pytest.approx(18e-3)
    assert dataclasses.replace(usual, **with_room({"pulse": 10.0, "rise": 1e-2}, usual)).pulse == 10.0


def test_learning_from_errors_takes_any_pulse_and_the_papers_rule_its_own_period():
    given = {"pulse": 20e-3, "resume": False}
    learned = chosen_experiment(mnist_experiment, argparse.Namespace(rule="error-driven", **given))
    assert learned.schedule.pulse == 20e-3 < learned.schedule.period
    with pytest.raises(ParameterError, match="period must exceed pulse"):
        chosen_experiment(mnist_experiment, argparse.Namespace(rule="hebbian", **given))


@pytest.mark.parametrize(("engine", "states", "said"), [
    ("closed-form", [[-0.1, 0.0, 0.1, 5.0]], "25.00% of the cells are below Vto"), ("ngspice", [[-0.1, 1.0]], ""),
    ("closed-form", [[-1.0] * 3, [1.0] * 7], "30.00% of"), ("closed-form", [[0.0, 3.0]], "")])
def test_cells_below_the_threshold_are_said_where_the_closed_form_wrote_them(engine, states, said, capsys):
    say_of_cells_that_are_off(engine, MemristorParameters(), *map(np.array, states))
    out = capsys.readouterr().out
    assert out.startswith(said) and bool(out) is bool(said)


def test_threshold_of_cells_that_are_off_is_the_memristors_own(capsys):
    say_of_cells_that_are_off("closed-form", MemristorParameters(threshold_voltage=0.7), np.array([0.6, 0.8]))
    said = capsys.readouterr().out
    assert said.startswith("50.00% of") and said.endswith("the closed form did (docs/closed_form.md)\n")
