"""Numbers that studies print stand under their own name and in their own unit: no two of a made-up result are alike.

What runs around a print function is played: simulations, trainings, files of results.
"""

import argparse
from types import SimpleNamespace

import numpy as np
import pytest

from memristive.cli.experiments import Experiment
from memristive.cli.tables import Table
from memristive.single_layer.spike_decoding import SILENT, TIED
from memristive.stdp.mnist_learning import MnistLearning, Network
from memristor import MemristorParameters
from studies import (
    dose_and_margin,
    engines,
    engines_training,
    ex_situ,
    hidden_neurons,
    imperfect_chips,
    imperfect_layers,
    instar,
    iv,
    layer_gradient,
    layers_in_ngspice,
    layers_in_step,
    own_data,
    stdp_mnist,
    stdp_window,
)
from studies.stdp_window import StdpExperiment


@pytest.fixture
def printed(capsys):
    """printed(): the lines on stdout, with their columns one space apart, but for those that name a file only."""
    return lambda: [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if not line.startswith("wrote /")]


@pytest.fixture
def play(monkeypatch):
    """play(study, name=part, ...): put parts in the place of a study's own; ngspice and figures are played in any case."""
    def replace(study, **parts):
        for name, part in ({"NgspiceSession": lambda: SimpleNamespace(version=44), "draw": lambda *_: None} | parts).items():
            monkeypatch.setattr(study, name, part, raising=name in parts)
    return replace


def test_layers_reads_beside_each_other(printed):
    def compared(images, errors, otherwise=()):
        return {"images": images, "decided_otherwise": [{"image": k, "lead": lead} for k, lead in otherwise],
                "largest_error_of_layers": errors}
    layers_in_ngspice.report({
        "layer_by_layer_beside_closed_form": compared(200, [3e-9, 4.56e-7], [(17, 1.9e-8), (23, 2.13e-8)]),
        "whole_beside_closed_form": compared(30, [5e-9, 6e-9], [(4, 1.1e-8)]),
        "layer_by_layer_beside_whole": compared(40, [7e-9, 8e-9], [(5, 1e-9), (6, 2e-9), (7, 3e-9)]),
        "ngspice": {"strict_accuracy": 0.91, "strict_interval_95": [0.87, 0.94], "samples": 201},
        "closed_form": {"strict_accuracy": 0.82, "strict_interval_95": [0.78, 0.85], "samples": 202},
        "cpu_seconds_an_image": 0.345, "megabytes_after_1000_reads": 123.0, "megabytes_at_the_end": 456.0})
    assert printed() == [
        "reads images decided otherwise largest error of each layer / us",
        "layer by layer beside closed form 200 2 0.003 0.456",
        "whole beside closed form 30 1 0.005 0.006",
        "layer by layer beside whole 40 3 0.007 0.008",
        "image 17 is decided otherwise: in closed form the first spike leads by 19.0 ns (below 20 ns nothing is decided)",
        "image 23 is decided otherwise: in closed form the first spike leads by 21.3 ns (below 20 ns nothing is decided)",
        "strict accuracy by ngspice: 91.00% of 201 (95 % interval 87.00% to 94.00%)",
        "strict accuracy by closed form: 82.00% of 202 (95 % interval 78.00% to 85.00%)",
        "0.345 s of CPU an image",
        "memory: 123 MB after 1000 reads, 456 MB at the end"]


def test_layers_on_chips(printed):
    rows = [{"spread": spread, "route": route, "seed": seed, "strict_accuracy": accuracy}
            for spread, route, *accuracies in ((0.02, "ex situ", 0.71, 0.72, 0.79), (0.1, "in situ", 0.61, 0.68, 0.69, 0.66))
            for seed, accuracy in enumerate(accuracies, 1)]
    judged = {"seed": 4, "spread": 0.05, "route": "in situ", "strict_accuracy": 0.51, "samples": 300, "decided_otherwise": 7,
              "closed_form_accuracy": 0.42, "largest_deviation": 8.3e-7}
    imperfect_layers.print_rows({"rows": rows, "judged": [judged]})
    assert printed() == [
        "spread route mean lowest highest chips",
        "2% ex situ 74.00% 71.00% 79.00% 3",
        "10% in situ 66.00% 61.00% 69.00% 4",
        "chip 4 at 5%, in situ: 51.00% of 300 images in ngspice, 42.00% in closed form; 7 decided otherwise, spikes within "
        "0.83 us"]


def test_one_layer_on_chips(printed):
    imperfect_chips.print_summary([{"section": "spread", "encoding": "grey", "kind": "both", "route": "ex situ", "key": 0.05,
                                    "mean": 0.74, "low": 0.71, "high": 0.79}])
    assert printed() == ["section images kind route varied mean low high", "spread grey both ex situ 0.05 74.00% 71.00% 79.00%"]


def test_hidden_neurons_by_their_number(printed, play, tmp_path):
    rows = [{"hidden": hidden, "seed": seed, "strict_accuracy": base + extra}
            for hidden, base in ((0, 0.6), (25, 0.8)) for seed, extra in enumerate((0.01, 0.09, 0.02), 1)]
    play(hidden_neurons, run_everywhere=lambda *_: rows)
    hidden_neurons.main(["--figures", str(tmp_path)])
    assert printed() == ["hidden mean lowest highest seeds", "0 64.00% 61.00% 69.00% 3", "25 84.00% 81.00% 89.00% 3"]


def test_own_data(printed):
    accuracy = {name: {"mean": mean, "interval_95": [mean - 0.02, mean + 0.01]}
                for name, mean in (("memristors", 0.93), ("logistic regression", 0.84), ("MLP", 0.75))}
    accuracy["memristors"] |= {"strict_accuracy": 0.91, "undecided": 0.013}
    one = {"trained_by": "closed form", "samples": 17, "right": 12, "right_by_closed_form": 13, "same_decision": 15,
           "largest_spike_deviation": 4.1e-7}
    table = Table("leaves", np.zeros((60, 4)), np.repeat([*"abc"], 20), [*"wxyz"])
    own_data._print(table, {"samples": 59, "folds": 8, "accuracy": accuracy, "clipped_in_test_folds": 0.0021, "ngspice": one})
    assert printed() == [
        "leaves: 59 samples, 4 features, 3 classes; 8 folds, trained and tested in closed form",
        "accuracy 95 % interval",
        "memristors 93.00% 91.0% to 94.0%",
        "logistic regression 84.00% 82.0% to 85.0%",
        "MLP 75.00% 73.0% to 76.0%",
        "strictly, undecided as wrong: 91.00% (1.30% undecided); 0.21% of the features in test folds were clipped",
        "one split trained by closed form, tested in ngspice: 12 of 17 right; the closed form decides 15 alike, spikes within "
        "0.41 us"]


def test_mnist_without_labels_by_both_engines(printed, play, tmp_path):
    """Twenty images of class 0; the two engines decide seven of ten alike."""
    closed = np.repeat([0, 1, SILENT, TIED], [9, 4, 5, 2])
    by_ngspice = {0: [1e-6, 2e-6], 1: [2e-6, 1e-6], SILENT: [np.nan, np.nan], TIED: [1e-6, 1e-6]}
    decided = np.repeat([0, 1, SILENT, TIED], [7, 0, 1, 2])
    play(stdp_mnist, mnist_images=lambda *_: (np.zeros((20, 3)), np.zeros(20, int)), closed_form_decisions=lambda *_: closed,
         NgspiceReader=lambda *_: None, digit_leads=lambda *_: np.array([1.2e-7, 3.4e-6, 5.6e-6]),
         read_in_ngspice=lambda reader, digits, images, labels, found: found.extend(np.array(by_ngspice[k]) for k in decided))
    options = argparse.Namespace(samples=10, contenders=3, figures=tmp_path, encoding="grey")
    stdp_mnist.report(options, None, None, np.array([0, 1]), "mnist_stdp", {}, stdp_mnist.Partial.of(tmp_path, "mnist_stdp", {}))
    first, second, third = printed()
    assert first == "closed form, strict: 45.00% of 20 test images, 5 silent, 2 tied"
    assert second == "ngspice, strict: 70.00% of 10 test images (95 % interval 39.68% to 89.22%), 1 silent, 2 tied"
    assert third == "decided as by the closed form: 7 of 10 (the others led by 0.12, 3.4, 5.6 us)"


def test_a_stretch_of_mnist_without_labels(printed, play, tmp_path):
    in_step = {"same_winners": 6, "leads_where_different_s": [5.1e-6], "largest_deviation_V": 0.0033}
    found = {"same_winners": 5, "rms_deviation_V": 0.0011, "largest_deviation_V": 0.0022, "in_step": in_step}
    play(stdp_mnist, begin=lambda *_: (Network(np.zeros((11, 3)), np.zeros(11)), 1), presentation_order=lambda *_: np.arange(8),
         stretches_in_ngspice=lambda *_: iter([np.zeros(3, int), np.zeros(4, int)]),
         Comparison=lambda *_: SimpleNamespace(add=lambda *_: None, results=lambda: found))
    options = argparse.Namespace(stretch=7, figures=tmp_path)
    stdp_mnist.compare_stretch(options, MnistLearning(neurons=11), np.zeros((8, 3)), "stretch", {})
    assert printed() == [
        "11 neurons, 7 presentations in ngspice and by the closed form: the same winner in 5; states differ by 1.1 mV (root of "
        "mean square), at most 2.2 mV",
        "the closed form anew from ngspice's states before each transient: the same winner in 6 (the others led by 5.1 us); "
        "states at most 3.3 mV apart where all winners were the same"]


def test_reads_of_both_engines(printed):
    engines.print_network({
        "network": "mnist", "spikes": 900, "images": 100, "largest_difference_of_leads_ns": 41.5, "tight_images": 12,
        "leads_in_one_engine_alone": 6,
        "ngspice_later_by_ns": {"0": -31.0, "0.01": -22.0, "0.5": 3.0, "0.99": 14.0, "1": 25.0},
        "strict_decisions_that_differ": [{"image": 71, "ngspice": 3, "closed_form": -1, "lead_ngspice_ns": 20.51,
                                          "lead_closed_form_ns": 19.62}],
        "largest_difference_of_tight_leads_ns": 1.23, "of_what_is_allowed": 0.45, "steps_us": [40.0, 2.0],
        "rms_difference_ns": [81.5, 6.7]})
    assert printed() == [
        "mnist: 900 spikes of 100 images: ngspice later by -22 to 14 ns (98 % of them), -31 to 25 ns (all); leads differ by up "
        "to 41.5 ns; 6 leads in one engine alone",
        "1 strict decisions differ",
        "image 71: leads 20.51 ns in ngspice, 19.62 ns in the closed form",
        "tightened, 12 images: leads differ by up to 1.23 ns, 0.45 of what is allowed",
        "spikes differ by (rms) 81.5 ns at 40 us, 6.7 ns at 2 us"]


def test_trainings_on_both_engines(printed):
    case = {"presentation": 321, "ngspice": {"lead": 1.01e-9, "beyond_margin": 2.02e-9, "among_others": 3.03e-9},
            "closed_form": {"lead": 4.04e-9, "beyond_margin": 5.05e-9, "among_others": 6.06e-9}}
    engines_training.print_training({
        "course": "in step", "presentations": 2000, "decided_alike": 1999, "nearest_to_otherwise": 1.23e-9, "wrote": 456,
        "states_differ_by_at_most": 78.9e-6, "states_differ_by_mean": 3.21e-6, "states_moved_by": 65.4e-3, "otherwise": [case]})
    assert printed() == [
        "in step: 1999 of 2000 presentations decided alike (nearest: 1.23 ns from otherwise), 456 wrote; states differ by up to "
        "78.9 uV, in the mean by 3.21 uV of 65.4 mV moved",
        "otherwise in presentation 321: in ngspice lead 1.01 ns, beyond_margin 2.02 ns, among_others 3.03 ns; in the closed form "
        "lead 4.04 ns, beyond_margin 5.05 ns, among_others 6.06 ns"]


def test_layers_taught_beside_the_closed_form(printed):
    layers_in_step.report({
        "presentations": 500, "answered_right": 450, "wrote": 120, "volts_moved": [0.011, 0.022], "free_otherwise": 7,
        "in_step_otherwise": [{"presentation": 20_017, "beyond_margin": -1.3e-8}], "in_step_volts_apart": [0.033, 0.044],
        "in_step_volts_apart_off": [0.055, 0.066], "free_volts_apart": [0.077, 0.088], "free_volts_apart_off": [0.091, 0.092]})
    assert printed() == [
        "500 presentations: 450 answered right, 120 wrote; states moved by up to 11, 22 mV layer by layer",
        "in step: 1 answered or wrote otherwise than the closed form from the same states; after the others states were at most "
        "33, 44 mV layer by layer apart",
        "but for cells that do not conduct, which ngspice writes otherwise (docs/closed_form.md): at most 55, 66 mV layer by "
        "layer apart",
        "presentation 20017: in closed form the right neuron's lead is -13 ns beyond the margin",
        "both free: 7 otherwise; at the end states were at most 77, 88 mV layer by layer apart"]


def test_doses_and_margins(printed, play, tmp_path, monkeypatch):
    """Each training takes seven seconds; gains are in per cent, as accuracies are, and so are their errors."""
    accuracies, seconds = iter([[0.5] * 6, [0.51, 0.53, 0.52, 0.56, 0.50, 0.57]]), iter(range(0, 700, 7))
    monkeypatch.setattr(Experiment, "training_images", lambda _: (np.eye(2, 100), np.arange(2)))
    play(dose_and_margin, TRIED={"grey": [(300, 30e-3, 1e-6, 5.2), (500, 100e-3, 2e-6, 4.5)]},
         held_out_accuracies=lambda *_: np.array(next(accuracies)),
         time=SimpleNamespace(perf_counter=lambda: next(seconds)))
    dose_and_margin.main(["--encoding", "grey", "--figures", str(tmp_path)])
    assert printed() == ["images presentations dose/V margin/us start/V held-out against the first time/s",
                         "grey 300 0.030 1.0 5.2 50.00% +0.00 +- 0.00 7", "grey 500 0.100 2.0 4.5 53.17% +3.17 +- 1.14 7"]


def test_angles_to_the_gradient(printed):
    def measured(base, errors, silent, grew):
        names = ("hidden", "hidden_with_gradient", "output", "output_column", "without_gradient", "same_sign")
        quartiles = {name: [base + 3 * k, base + 3 * k + 1, base + 3 * k + 2] for k, name in enumerate(names)}
        return {"quartiles": quartiles, "errors": errors, "right_neuron_silent": silent, "lead_grew": grew}
    layer_gradient.print_angles({"before learning": measured(10, 500, 41, 0.91), "after learning": measured(50, 320, 7, 0.82)})
    assert printed() == [
        "median (quartiles) before learning after learning",
        "hidden layer (degrees) 11 (10 to 12) 51 (50 to 52)",
        "its neurons that have a gradient (degrees) 14 (13 to 15) 54 (53 to 55)",
        "output layer (degrees) 17 (16 to 18) 57 (56 to 58)",
        "one output column (degrees) 20 (19 to 21) 60 (59 to 61)",
        "share of the hidden write without gradient 23 (22 to 24) 63 (62 to 64)",
        "hidden neurons written with its sign 26 (25 to 27) 66 (65 to 67)",
        "errors measured; right neuron silent 500; 41 320; 7",
        "writes after which the right neuron leads more 91.0% 82.0%"]


def test_a_loop_and_loops_over_frequency(printed):
    loops = [{"frequency_Hz": 1e3, "lobe_area_V": 0.31, "width": 0.42, "residue": 1e-3},
             {"frequency_Hz": 2e3, "lobe_area_V": 0.16, "width": 0.27, "residue": 2e-3}]
    iv._print_iv(MemristorParameters(transconductance=3e-4), iv.IvExperiment(amplitude=1.5, frequency=2e3), {
        "peak_state_V": 11.1, "closed_form_peak_state_V": 12.2, "state_deviation": 1.3e-3, "peak_current_A": 14.0,
        "closed_form_peak_current_A": 15.0, "current_deviation": 1.6e-3, "residue": 1.7e-3, "fingerprints": loops})
    assert printed() == [
        "IV: 1.5 V at 2000 Hz, K = 0.0003 S, C + C_gate = 3.553 pF",
        "ngspice closed form largest deviation",
        "peak state 11.1 V 12.2 V 1.30e-03",
        "peak current 14 A 15 A 1.60e-03",
        "this loop's current at 0 V: 0.17% of its peak",
        "fingerprints, all from X = 1.01e+04 V, currents as shares of the peak:",
        "frequency (Hz) lobe area (V) width at half amplitude current at 0 V",
        "1000 3.100e-01 4.200e-01 1.0e-03",
        "2000 1.600e-01 2.700e-01 2.0e-03"]


def test_a_window(printed, play):
    """The highest and the lowest change are neither the first nor the last, and the closed form's are others."""
    play(stdp_window)
    stdp_window._report_stdp(argparse.Namespace(), MemristorParameters(), StdpExperiment(pairings=4), {
        "differences_s": np.array([-3e-3, -1e-3, 2e-3, 4e-3]), "measured_V": np.array([0.1, 0.7, -0.6, 0.2]),
        "closed_form_V": np.array([0.11, 0.72, -0.63, 0.24]), "deviation_V": 0.045})
    assert printed()[1:] == ["highest change of X +0.7000 V at t_post - t_pre = -1 ms, closed form +0.7200 V",
                             "lowest change of X -0.6000 V at t_post - t_pre = +2 ms, closed form -0.6300 V",
                             "largest deviation from the closed form 45 mV"]


def test_the_rule_of_a_synapse_that_learns_by_itself(printed, play, tmp_path):
    exact, changes = np.full((3, 3, 4), 2.0), np.array([-0.1, 0.32, -0.41, 0.2, 0.0])
    play(instar, measure_rule=lambda *_: (np.arange(4.0), exact + 0.003, exact),
         measure_window=lambda *_: (np.arange(5.0), changes, changes + 0.006, np.ones(5)),
         foretold_rule=lambda *_: (None, None, np.array([0.1, 1.2, 3.4])), foretold_change=lambda *_: 0.0)
    instar.main(["--figures", str(tmp_path)])
    assert printed() == [
        "instar rule: 36 writes; at an input of 1 V the lifted gate tends to 5 V, X at rest to 3.4 V; largest deviation from the "
        "closed form 3 mV",
        "the neuron's own spike as post event: 5 pairings, -0.410 to +0.320 V; largest deviation 6 mV"]


def test_weights_from_software(printed, play, tmp_path, monkeypatch):
    """Of ten images six are decided rightly; around 3 V the largest weight goes 1.5 V up, the lowest two ninths of that down."""
    weights = np.zeros((10, 16))
    weights[:, 0], weights[:, 1] = [2.0, -2.0, *[0.0] * 8], [9.0, *[-1.0] * 9]
    model = SimpleNamespace(coef_=weights, n_iter_=np.array([5]), predict=lambda images: np.zeros(len(images), int))
    monkeypatch.setattr(Experiment, "training_images", lambda _: (np.eye(2, 16), np.arange(2)))
    play(ex_situ, LogisticRegression=lambda **_: SimpleNamespace(fit=lambda *_: model),
         load_mnist=lambda *_: {"x_test": np.zeros((10, 28, 28), np.uint8), "y_test": np.repeat([0, 1], [6, 4])})
    ex_situ.main(["--size", "4", "--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)])
    assert printed() == ["logistic regression in software: 60.00% on 10 test images (95 % interval 31.27% to 83.18%)",
                         f"wrote 10 x 16 states, 2.667 to 4.500 V -> {tmp_path / 'v.json'}"]
