"""Arrays that do not fit each other are refused: compiled loops would read, and write, beyond their ends."""

import dataclasses

import numpy as np
import pytest

from datasets import DatasetError, encode
from memristive.cli.experiments import xpue_experiment
from memristive.multilayer.layer_chips import layer_chips
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, begin, train
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.layer_sessions import read_netlist
from memristive.single_layer import error_rule as error_driven
from memristive.single_layer.engines import make_engine
from memristive.single_layer.error_rule import ErrorDrivenRule, Teacher
from memristive.single_layer.hebbian import infer, train_hebbian
from memristive.single_layer.operating_range import fitted
from memristive.single_layer.pulses import Schedule
from memristive.spice.parameters import ParameterError
from memristive.stdp.pattern_learning import unsupervised_xpue
from memristive.stdp.stdp_circuit import self_learning_network
from memristive.variability.chip import PRESETS, Chip
from memristive.variability.chip_batch import Ensemble
from memristive.variability.chip_engines import chip_engine
from snn_circuit import NetworkParameters

RULE = LayeredRule(presentations=20)
IMAGES, LABELS = np.random.default_rng(1).random((30, 8)), np.arange(30) % 3


@pytest.fixture
def learning():
    return LayeredLearning.begin(begin((12,), 3, IMAGES, RULE), RULE)


@pytest.mark.parametrize(("images", "labels", "words"), [
    (IMAGES, LABELS + 1, "labels must be class numbers from 0 to 2, got 1 to 3"),
    (IMAGES, LABELS - 1, "from 0 to 2, got -1 to 1"), (IMAGES, 10 * LABELS, "got 0 to 20"),
    (IMAGES, LABELS + 0.5, "got 0.5 to 2.5"), (IMAGES, LABELS[:15], "one an image, 30 in all"),
    (IMAGES[:, :4], LABELS, "images must be n x 8, got 30 x 4"), (np.hstack([IMAGES, IMAGES]), LABELS, "n x 8, got 30 x 16"),
    (IMAGES[0], LABELS[:8], "n x 8, got 8")])
def test_images_and_labels_that_do_not_fit_a_network_of_layers(learning, images, labels, words):
    """Labels 1 to 3 of three classes reported 97 % right, of which 65 were; half the labels ended the process."""
    before = learning.network
    with pytest.raises(ParameterError, match=words):
        next(train(learning, RULE, images, labels))
    assert learning.network is before and learning.done == 0
    if "images" in words or "n x" in words:
        with pytest.raises(ParameterError, match=words):
            before.first_spikes(images)
    next(train(learning, RULE, IMAGES, LABELS.astype(float)))  # whole numbers of any type
    assert learning.done == 20


@pytest.mark.parametrize(("labels", "words"), [(LABELS - 1, "numbers from 0 to 2, got -1 to 1"), (LABELS[:15], "30 in all")])
def test_labels_that_do_not_fit_a_single_layer(labels, words):
    """A label of -1 taught the last class."""
    rule, network, start = ErrorDrivenRule(presentations=20), NetworkParameters(), np.full((3, 8), 3.0)
    ensemble = Ensemble([Chip(classes=3, inputs=8)], network, Schedule())
    teacher = Teacher(make_engine("closed-form", None, network, Schedule(), 3, 8), rule, IMAGES, labels)
    for refused in (lambda: next(teacher.presentations(error_driven.begin(rule, 3, 8))),
                    lambda: next(ensemble.learn(start, rule, IMAGES, labels)),
                    lambda: ensemble.accuracies(start[None], IMAGES, labels)):
        with pytest.raises(ParameterError, match=words):
            refused()


def test_a_learning_that_has_ended_has_no_room_for_a_longer_rule(learning):
    for _ in train(learning, RULE, IMAGES, LABELS):
        pass
    states = learning.network.states
    with pytest.raises(ParameterError, match="begun for 20 presentations, got a rule of 30"):
        next(train(learning, dataclasses.replace(RULE, presentations=30), IMAGES, LABELS))
    assert learning.network.states is states


def test_errors_and_chips_that_do_not_fit_a_network_of_layers(learning):
    network = learning.network
    with pytest.raises(ParameterError, match=r"layer 1 has 3 columns, got errors of shape \(5,\)"):
        network.read_back(1, np.ones(5))
    assert network.read_back(1, [1, 0, -1]).shape == (12,)
    dataclasses.replace(network, chip=layer_chips(PRESETS["ten-percent"], (8, 12, 3)))
    for sizes in ((4, 12, 3), (8, 12, 4), (8, 12)):
        with pytest.raises(ParameterError, match="the chip's layers must have"):
            dataclasses.replace(network, chip=layer_chips(PRESETS["ten-percent"], sizes))


@pytest.mark.parametrize(("states", "levels"), [((3, 6), 5), ((3, 6), 7), ((4, 6), 6), ((3, 7), 7), ((3, 7), 6)])
def test_images_that_do_not_fit_a_crossbar(states, levels):
    engine = make_engine("closed-form", None, NetworkParameters(), Schedule(), 3, 6)
    with pytest.raises(ParameterError, match="states must be 3 x 6 and images 6 levels"):
        engine.spikes(np.full(states, 7.0), np.ones(levels), 3)
    assert np.isfinite(engine.spikes(np.full((3, 6), 7.0), np.ones(6), 3)).all()


@pytest.mark.parametrize("name", ["closed_form", "Closed-form", "", None])
def test_names_of_no_engine_and_no_encoding(name):
    """Each was ngspice, or binary, in silence."""
    with pytest.raises(ParameterError, match=f"engine must be one of ngspice, closed-form, got {name!r}"):
        make_engine(name, None, NetworkParameters(), Schedule(), 3, 6)
    with pytest.raises(ParameterError, match=f"engine must be one of ngspice, closed-form, got {name!r}"):
        chip_engine(name, None, NetworkParameters(), Schedule(), Chip(3, 6))
    with pytest.raises(DatasetError, match=f"encoding must be binary or grey, got {name!r}"):
        encode(np.zeros((1, 28, 28), np.uint8), 10, name)


@pytest.mark.parametrize("name", ["ngspice", "closed-form"])
@pytest.mark.parametrize("chip", [None, Chip(3, 6)])
def test_engines_whose_phi_opens_no_cell(ngspice, name, chip):
    """Of a dose of 0.1 V ngspice wrote 0.08 mV, the closed form 72 mV, in silence."""
    given = NetworkParameters(), Schedule(phi_voltage=0.3)
    with pytest.raises(ParameterError, match="phi_voltage must exceed switch_threshold"):
        make_engine(name, ngspice, *given, 3, 6) if chip is None else chip_engine(name, ngspice, *given, chip)


@pytest.mark.parametrize("deviation", [{"stuck_on": 0.3}, {"stuck_off": 0.1}, {"write_noise": 1.0}, {"read_noise": 0.1},
                                       {"decay_rate": 1.0}, {"row_resistance": 5.0}, {"column_resistance": 5.0}])
def test_chips_that_a_circuit_that_learns_by_itself_does_not_know(deviation):
    """Cells stuck at 7 V ended at 0.1 V: nothing held them."""
    task, (name,) = unsupervised_xpue(), deviation
    with pytest.raises(ParameterError, match=f"knows a chip's spreads, not its {name}$"):
        self_learning_network(task.design, np.full((4, 9), 4.0), task.patterns, chip=Chip(4, 9, cell_gain=0.1, **deviation))


@pytest.mark.parametrize(("patterns", "words"), [
    (255 * np.eye(3, 6), "levels from 0 to 1, got 0 to 255: scale them"), (-np.eye(3, 6), "got -1 to"),
    (np.nan * np.eye(3, 6), "got nan"), (np.eye(3, 5), "patterns must be n x 6, got 3 x 5"), (np.ones(6), "n x 6, got 6")])
def test_patterns_that_are_no_levels_of_the_rows_there_are(patterns, words):
    """Pixels of 0 to 255 were trained to 1,792 V; a row that was left out read as dark."""
    parameters, schedule = NetworkParameters(), Schedule()
    with pytest.raises(ParameterError, match=words):
        infer(None, parameters, schedule, np.full((3, 6), 7.0), patterns)
    if "n x" not in words:
        with pytest.raises(ParameterError, match=words):
            train_hebbian(None, parameters, schedule, patterns)
        with pytest.raises(ParameterError, match=words):
            fitted(parameters, schedule, patterns)


@pytest.mark.parametrize("levels", [255 * IMAGES, -IMAGES, np.nan * IMAGES])
def test_a_network_is_neither_begun_on_nor_written_for_what_are_no_levels(levels):
    """Pixels of 0 to 255 gave start states a 255th as far from the reference, and rows of 255 V to the netlist."""
    with pytest.raises(ParameterError, match="images must be levels from 0 to 1"):
        begin((4,), 3, levels, RULE)
    with pytest.raises(ParameterError, match="images must be n x 8, got 8"):
        begin((4,), 3, IMAGES[0], RULE)
    network = begin((4,), 3, IMAGES, RULE)
    with pytest.raises(ParameterError, match="images must be levels from 0 to 1"):
        read_netlist(network, levels[0])
    with pytest.raises(ParameterError, match="images must be n x 8, got 1 x 5"):
        read_netlist(network, IMAGES[0, :5])
    with pytest.raises(ParameterError, match="images must be n x 8, got 1 x 2 x 8"):
        read_netlist(network, IMAGES[:2])


@pytest.mark.parametrize("name", ["ngspice", "closed-form"])
def test_states_of_whole_numbers_are_written_as_others_are(ngspice, name):
    """What was added to them was cut off: 5 V for 5.138."""
    experiment, image = xpue_experiment(), np.arange(9) % 2
    engine = chip_engine(name, ngspice, experiment.network, experiment.schedule, Chip(4, 9, cell_write_gain=0.1))
    found, expected = (engine.write(np.full((4, 9), start), 1, image, 1, 1e-4) for start in (5, 5.0))
    assert np.array_equal(found, expected) and (found % 1 > 0.05).any()
    learned = []
    for start in (5, 5.0):
        rule = ErrorDrivenRule(presentations=6, start_state=start, dose=0.1)
        for states in (error_driven.begin(rule, 4, 9).states, np.full((4, 9), start)):
            learning = error_driven.LearningState(states, 0, np.zeros((6, 2), bool))
            engine = make_engine(name, ngspice, experiment.network, experiment.schedule, 4, 9)
            list(Teacher(engine, rule, experiment.dataset.patterns, np.arange(4)).presentations(learning))
            learned.append(learning.states)
    assert all(states == pytest.approx(learned[0], abs=1e-9) for states in learned) and np.ptp(learned[0]) > 0.1


def test_layers_of_whole_numbers_are_floats():
    states = np.full((3, 5), 5), np.full((2, 4), 5.0)
    network = LayeredNetwork(states)
    assert [layer.dtype for layer in network.states] == [float, float] and LayeredNetwork(states[1:]).states[0] is states[1]
