"""What studies try, on which chips and from which seeds: written out, since a study's own constants agree with themselves."""

import numpy as np
import pytest

from memristive.classifier.estimator import MemristiveClassifier
from memristive.cli.experiments import mnist_experiment
from memristive.cli.tables import load_table
from memristive.multilayer.layer_rule import LayeredRule
from memristive.stdp import mnist_learning as unsupervised_mnist
from memristive.stdp.mnist_learning import MnistLearning
from memristive.variability.chip import Chip
from memristor import MemristorParameters
from studies import (
    dose_and_margin,
    engines_training,
    ex_situ,
    hidden_neurons,
    imperfect_chips,
    imperfect_layers,
    iv,
    layers_in_ngspice,
    layers_in_step,
    own_data,
    stdp_mnist,
)
from studies.device_variability import LONG, SHORT, cases
from studies.layer_experiments import TASKS

BOTH = ("neuron_threshold", "cell_gain", "cell_write_gain")


def deviations(chip):
    """What of a chip is not ideal."""
    return {name: getattr(chip, name) for name in chip.deviations}


def test_every_chip_has_the_deviations_that_its_row_names():
    of = {}
    for case in cases(LONG, "grey", mnist_experiment(encoding="grey").rule, *np.zeros((2, 10, 100))):
        of.setdefault(case.section, []).append(case)
    names = {"both": BOTH, "neurons": BOTH[:1], "cells": BOTH[1:]}
    for case in of["spread"]:
        assert [deviations(chip) for chip in case.chips] == [dict.fromkeys(names[case.kind], key) for key in case.keys]
        assert sorted({chip.seed for chip in case.chips}) == list(range(1, 11))
    for case in of["stuck"]:
        assert [deviations(chip) for chip in case.chips] == [{"stuck_off": key / 2, "stuck_on": key / 2} for key in case.keys]
        assert sorted(set(case.keys)) == [0.01, 0.02, 0.05, 0.1, 0.2]
    for case in of["recovery"]:
        spread = float(case.kind.split("%")[0]) / 100
        assert [deviations(chip) for chip in case.chips] == [dict.fromkeys(BOTH, spread)] * 5
    assert {case.rule.presentations for case in of["recovery"]} == {100, 300, 1000, 3000, 10000}
    old, = of["retention"]
    assert [deviations(chip) for chip in old.chips] == [dict.fromkeys(BOTH, 0.1)] * 5
    assert [float(case.kind) for case in of["read noise"]] == [0, 0.5, 1, 2, 4, 8]
    for case in of["read noise"]:
        assert sorted((key, chip.seed) for key, chip in zip(case.keys, case.chips, strict=True)) == [
            (volts, seed) for volts in (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) for seed in (1, 2, 3)]
    assert sorted({key for case in of["write noise"] for key in case.keys}) == [0.1, 0.3, 1.0, 3.0]


def test_a_chip_of_layers_deviates_by_its_spread():
    assert imperfect_layers.Case(0.1, 3, LayeredRule(), 8).plan.chip == Chip(seed=3, **dict.fromkeys(BOTH, 0.1))
    assert imperfect_layers.SPREADS == (0.01, 0.02, 0.05, 0.1, 0.2)


def test_what_is_tried_and_compared_is_what_the_pages_speak_of():
    assert all(tried[0][0] == 600_000 for tried in dose_and_margin.TRIED.values())
    assert engines_training.APART == 0.1  # V, as the courses are called
    assert {name: TASKS[name].hidden for name in ("mnist", "mnist_shifted", "digits", "digits_shifted", "xor")} == {
        "mnist": (200,), "mnist_shifted": (300,), "digits": (100,), "digits_shifted": (200,), "xor": (16,)}
    assert {name: (TASKS[name].rule.presentations, TASKS[name].rule.start_drive_spread) for name in ("digits", "digits_shifted")
            } == {"digits": (60_000, 0.5), "digits_shifted": (150_000, 0.5)}
    assert TASKS["mnist"].rule == TASKS["mnist_shifted"].rule == LayeredRule()
    assert stdp_mnist.PUBLISHED == (("Diehl, Cook 2015, 28x28", 100, 0.829), ("Diehl, Cook 2015, 28x28", 400, 0.870),
                                    ("Querlioz et al. 2013, 28x28", 300, 0.935))


class Enough(Exception):
    """The study need not go on."""


@pytest.fixture
def fitted(monkeypatch):
    """The (seed, samples) that classifiers were fitted to; each of them stops there."""
    found = []

    def fit(self, features, labels):
        found.append((self.random_state, np.array(features)))
        raise Enough
    monkeypatch.setattr(MemristiveClassifier, "fit", fit)
    return found


def test_own_datas_split_for_ngspice_and_its_classifier_follow_from_the_seed(fitted):
    table = load_table("iris", None)
    for seed in (5, 6):
        with pytest.raises(Enough):
            own_data.split_in_ngspice(table, MemristiveClassifier((), epochs=1, random_state=1), seed, False)
    (one, first), (other, second) = fitted
    assert (one, other) == (5, 6)
    assert first.shape == (135, 4) and not np.array_equal(first, second)


def test_own_datas_models_follow_from_the_seed():
    assert own_data._models(MemristiveClassifier(random_state=1), 7)["MLP"][-1].random_state == 7
    assert own_data.MOST_ROWS == 20_000


def said_of(capsys, parameters, experiment, peak):
    """What is said of a loop whose peak current is `peak` in A; the rest of its results does not matter."""
    results = dict.fromkeys(("peak_state_V", "closed_form_peak_state_V", "closed_form_peak_current_A", "state_deviation",
                             "current_deviation", "residue"), 1.0) | {
        "peak_current_A": peak, "fingerprints": [dict.fromkeys(("frequency_Hz", "lobe_area_V", "width", "residue"), 1.0)]}
    iv._print_iv(parameters, experiment, results)
    return capsys.readouterr().out


@pytest.mark.parametrize(("leak", "told"), [(6e10, False), (5e10, True)])
def test_from_a_hundredth_of_x_that_the_leak_takes_a_loop_does_not_repeat(capsys, leak, told):
    """In two periods of 1 ms, of 0.213 and of 0.178 s that the leak has for it: 0.94 and 1.12 %."""
    device = MemristorParameters(transconductance=2e-4, leak_resistance=leak)
    assert ("these loops do not repeat" in said_of(capsys, device, iv.IvExperiment(), 1.0)) is told


@pytest.mark.parametrize(("share", "told"), [(0.0019, False), (0.0021, True)])
def test_from_a_five_hundredth_of_the_current_what_charges_the_gate_is_said(capsys, share, told):
    device = MemristorParameters(transconductance=2e-4)
    charging = 2e-4 * 1.0 / device.memory_capacitance * device.gate_capacitance / 2
    assert ("leaves out what charges the gate" in said_of(capsys, device, iv.IvExperiment(), charging / share)) is told


def test_own_datas_share_of_what_is_clipped_is_the_mean_of_all_folds():
    found = own_data.Found.nothing(1, 3, 4)
    found.clipped[:] = [0.0, 0.0, 0.3]
    assert found.results(np.array([0, 1, 0, 1]))["clipped_in_test_folds"] == pytest.approx(0.1)


def test_binary_images_have_spreads_and_stuck_cells_alone_and_a_short_run_spreads_of_grey_ones():
    rule = mnist_experiment().rule
    planned = [case.section for case in cases(LONG, "binary", rule, *np.zeros((2, 10, 100)))]
    assert planned == ["spread", "spread", "spread", "stuck"]
    assert (SHORT.chips, SHORT.few, SHORT.encodings, SHORT.spreads, SHORT.sections) == (3, 3, ("grey",), (0.02, 0.1), ("spread",))


def test_a_short_run_of_chips_judges_its_own_section_alone(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: (np.zeros((10, 100)), 0.9))
    monkeypatch.setattr(imperfect_chips, "run_everywhere", lambda judge, work, *given: asked.extend(work) or [])
    monkeypatch.setattr(imperfect_chips, "print_summary", lambda found: None)
    with pytest.raises(KeyError):  # there are no rows to sum up
        imperfect_chips.main(["--short", "--figures", str(tmp_path)])
    assert [(case.section, case.kind, case.encoding) for case in asked] == [
        ("spread", "both", "grey"), ("spread", "neurons", "grey"), ("spread", "cells", "grey")]


def test_hidden_neurons_of_all_sizes_are_trained_and_some_of_their_curves_drawn():
    assert hidden_neurons.HIDDEN == (0, 25, 50, 100, 200, 400) and set(hidden_neurons.DRAWN) <= set(hidden_neurons.HIDDEN)


def test_weights_from_software_lie_one_and_a_half_volts_about_their_centre_unasked():
    assert (ex_situ.Mapping().swing, ex_situ.Mapping().iterations) == (1.5, 300)


def test_xor_is_learned_by_the_rule_that_was_chosen_for_it():
    rule = TASKS["xor"].rule
    assert (rule.presentations, rule.hidden_dose, rule.output_dose, rule.margin, rule.start_weight, rule.start_weight_spread) == (
        240, 0.3, 0.6, 10e-6, 0.5, 1.0)


def test_mnist_without_labels_is_learned_by_the_circuit_that_was_chosen_for_it():
    """R_leak (C + C_gate) is 8.7 ms at first, K R_leak 5 V per V; a membrane of 1 ohm and 150 uF, at 1,500 ohm of feedback."""
    learning, circuit = MnistLearning(), MnistLearning().circuit()
    memristor, neuron, schedule = circuit.network.memristor, circuit.network.neuron, circuit.schedule
    assert (learning.neurons, learning.last_time_constant, unsupervised_mnist.STRETCH) == (100, 1.3, 1000)
    assert memristor.leak_resistance * memristor.memory_capacitance == pytest.approx(8.7e-3, rel=1e-9)
    assert memristor.transconductance * memristor.leak_resistance == pytest.approx(5.0, rel=1e-9)
    assert (neuron.feedback_resistance, neuron.threshold, neuron.hysteresis) == (1.5e3, 1.0, 0.025)
    assert (schedule.pulse, schedule.period, schedule.sampling_step) == (0.6e-3, 1.5e-3, 11e-6)
    assert circuit.learning.homeostasis_current == pytest.approx(84 * 10e-9, rel=1e-9, abs=0)  # 84 V/s on 10 nF
    assert circuit.learning.homeostasis_capacitance == 10e-9
    assert circuit.learning.homeostasis_resistance == pytest.approx(0.11 * 100 / 10e-9, rel=1e-9)  # 0.11 s for each neuron
    assert unsupervised_mnist.CONTENDERS == 10


def test_own_datas_decisions_that_are_drawn_and_its_netlist_are_of_the_first(tmp_path, monkeypatch):
    """Of two repeats, which decide all as the first class, then all as the last; and of 150 samples."""
    found, drawn, images = own_data.Found.nothing(2, 10, 150), {}, []
    found.strict[:] = np.array([[0], [2]])
    monkeypatch.setattr(own_data, "cross_validated", lambda *_: found)
    monkeypatch.setattr(own_data, "draw", lambda options, name, plot, *data: drawn.update({name: data}))
    monkeypatch.setattr(own_data, "read_netlist", lambda network, image: images.append(image) or "* a netlist\n.end\n")
    own_data.main(["iris", "--repeats", "2", "--hidden", "--epochs", "1", "--figures", str(tmp_path), "--voltages",
                   str(tmp_path / "v.json")])
    counts, *_ = drawn["own_data_iris_confusion"]
    assert counts[:, 0].tolist() == [50, 50, 50] and counts.sum() == 150
    model, features = MemristiveClassifier.load(tmp_path / "v.json"), load_table("iris", None).features
    assert len(images) == 1 and np.array_equal(images[0], model.encoding_.levels(features[:1])[0])


def test_sizes_of_the_studies_of_layers_are_those_that_the_pages_speak_of(monkeypatch, tmp_path):
    """Five chips a spread, 100 hidden neurons, 300,000 presentations; 500 in ngspice behind 20,000; 200 images in both."""
    made = []

    def claimed(made_with, *_):
        made.extend(made_with)
        raise KeyboardInterrupt
    monkeypatch.setattr(imperfect_layers, "claimed", claimed)
    with pytest.raises(KeyboardInterrupt):
        imperfect_layers.main(["--figures", str(tmp_path)])
    (_, found), = made
    assert (found["chips"], found["hidden"], found["learning"]["presentations"]) == (5, 100, 300_000)
    step = layers_in_step.make_step_parser().parse_args([])
    assert (step.data, step.hidden, step.after, step.stretch) == ("mnist", [100], 20_000, 500)
    read = layers_in_ngspice.make_study_parser().parse_args([])
    assert (read.data, read.samples, read.whole) == ("mnist", 200, 0)
