"""Reading the test images: the same spikes in batches of any size, and after an interruption each under its own number."""

import argparse
import contextlib
import csv
import dataclasses
import gzip
import json
import signal

import numpy as np
import pytest

from datasets import encode, load_mnist
from memristive.cli import testing
from memristive.cli.command_line import run
from memristive.cli.experiments import describe, mnist_experiment
from memristive.io.claims import NotOverwritten
from memristive.io.files import ROOT, FileProblem
from memristive.io.predictions import Partial
from memristive.io.voltages import Voltages, save_voltages
from memristive.single_layer.closed_form import Cells
from memristive.single_layer.pulses import READING, suited
from memristive.single_layer.spike_decoding import strict_decision
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip
from memristor import MemristorParameters, read_current
from verify import run_program


@pytest.fixture
def read(tmp_path):
    """read(engine, chip) gives the first spikes of eight images of 16 pixels."""
    rng = np.random.default_rng(1)
    voltages, images, labels = Voltages(rng.uniform(3, 5, (10, 16)), rule="error-driven"), rng.random((8, 16)), np.arange(8)

    def read(engine, chip=None):
        options = argparse.Namespace(engine=engine, jobs=2, scheduler=None)
        experiment = dataclasses.replace(mnist_experiment(4), chip=chip)
        return testing._read(options, experiment, voltages, images, labels, Partial(tmp_path / "partial.csv.gz", {"of": 1}))
    return read


def test_every_image_has_read_noise_of_its_own_in_whatever_batch_it_comes(read, monkeypatch):
    noisy, quiet = (read("closed-form", Chip(inputs=16, read_noise=noise)) for noise in (0.5, 0.0))
    assert np.nanmax(np.abs(noisy - quiet)) > 1e-6
    monkeypatch.setattr(testing, "BATCH", 3)
    assert np.array_equal(read("closed-form", Chip(inputs=16, read_noise=0.5)), noisy, equal_nan=True)


def test_what_is_kept_of_an_interrupted_test_keeps_its_numbers(read, tmp_path, monkeypatch, capsys):
    """Of several processes the one with later images may be done first."""
    spikes = read("closed-form")

    def interrupted(*arguments):
        watch = arguments[6]
        watch(range(6, 8), spikes[6:8])
        watch(range(2, 4), spikes[2:4])
        raise KeyboardInterrupt
    monkeypatch.setattr(testing, "read_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read("ngspice")
    assert "4 finished images are kept" in capsys.readouterr().out
    with gzip.open(tmp_path / "partial.csv.gz", "rt", newline="") as file:
        assert file.readline() == '# {"of": 1}\n'
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [row["label"] for row in rows] == ["2", "3", "6", "7"]
    assert [row["decision"] for row in rows] == [str(strict_decision(spikes[k])) for k in (2, 3, 6, 7)]


def test_images_that_are_read_are_kept_before_they_are_counted(tmp_path, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt
    options, computed = ["--engine", "closed-form", "--samples", "20", "--figures", str(tmp_path)], testing._computed
    with monkeypatch.context() as earlier, pytest.raises(KeyboardInterrupt):
        earlier.setattr(testing, "BATCH", 8)
        earlier.setattr(testing, "_computed", lambda *given: stopped() if given[3] else computed(*given))
        testing.testing_script("", options)
    assert list(tmp_path.glob("*partial*"))
    monkeypatch.setattr(testing, "summary", stopped)
    with pytest.raises(KeyboardInterrupt):
        testing.testing_script("", options)
    with gzip.open(tmp_path / "mnist_test_by_closed_form_decisions.csv.gz", "rt", newline="") as file:
        assert len(list(csv.DictReader(file))) == 20
    monkeypatch.undo()
    testing.testing_script("", options)
    assert not list(tmp_path.glob("*partial*"))


@pytest.mark.parametrize(("options", "words"), [([], ""), (["--rise", "5e-4"], "warning: the closed form is not exact here")])
def test_closed_form_that_is_not_exact_is_said(tmp_path, capsys, options, words):
    testing.testing_script("", ["--engine", "closed-form", "--samples", "3", "--figures", str(tmp_path), *options])
    said = capsys.readouterr().err
    assert (words in said and "--rise" in said) if words else "exact" not in said


def test_a_read_may_last_longer_than_the_usual_period(tmp_path):
    testing.testing_script("", ["--engine", "closed-form", "--samples", "2", "--pulse", "7e-3", "--figures", str(tmp_path)])
    results = json.loads((tmp_path / "mnist_test_by_closed_form_results.json").read_text(encoding="utf-8"))
    assert results["parameters"]["schedule"]["pulse"] == 7e-3


def test_decisions_without_results_are_not_replaced_by_fewer(tmp_path, monkeypatch):
    """A stop between the two had left them."""
    def page(*more):
        testing.testing_script("", ["--engine", "closed-form", "--figures", str(tmp_path), "--samples", *more])
    page("30")
    results, table = (tmp_path / f"mnist_test_by_closed_form_{what}" for what in ("results.json", "decisions.csv.gz"))
    results.unlink()
    before = table.read_bytes()
    with pytest.raises(NotOverwritten, match="holds the decisions of 30 images, without their results"):
        page("20")
    assert table.read_bytes() == before
    page("30")
    assert table.read_bytes() == before and results.exists()
    results.unlink()
    page("20", "--force")
    assert table.read_bytes() != before


@pytest.mark.parametrize("name", ["decisions", "partial_decisions"])
def test_table_that_cannot_be_written_is_found_before_any_image_is_read(tmp_path, monkeypatch, name):
    (tmp_path / f"mnist_test_by_closed_form_{name}.csv.gz").mkdir()
    monkeypatch.setattr(testing, "_read", lambda *_: pytest.fail("images were read"))
    with pytest.raises(FileProblem, match=f"{name}.csv.gz cannot be written: Is a directory"):
        testing.testing_script("", ["--engine", "closed-form", "--samples", "20", "--figures", str(tmp_path)])


def test_signal_while_decisions_are_written_is_heeded_once_they_are(tmp_path, monkeypatch):
    write = testing.decisions_table

    def signalled(*arguments):
        signal.raise_signal(signal.SIGTERM)
        return write(*arguments)
    monkeypatch.setattr(testing, "decisions_table", signalled)
    monkeypatch.setattr("sys.argv", ["test"])
    code = run(lambda arguments: testing.testing_script("", arguments),
               ["--engine", "closed-form", "--samples", "20", "--figures", str(tmp_path)])
    assert code == 143 and (tmp_path / "mnist_test_by_closed_form_decisions.csv.gz").exists()
    assert not (tmp_path / "mnist_test_by_closed_form_results.json").exists()


def test_first_images_energy_is_what_the_chips_own_channels_dissipate(tmp_path, monkeypatch, ngspice):
    """Channels of a tenth to ten times their gain: the sum is another one than on paper."""
    monkeypatch.setattr(testing, "draw", lambda *arguments: None)
    experiment, states = mnist_experiment(4), np.random.default_rng(2).uniform(1.0, 1.5, (10, 16))  # none clips
    chip = Chip(classes=10, inputs=16, cell_gain=2.0)
    save_voltages(tmp_path / "v.json", Voltages(states, "mnist", "binary", "error-driven",
                                                describe(dataclasses.replace(experiment, chip=chip))))
    testing.testing_script("", ["--size", "4", "--samples", "1", "--jobs", "1", "--voltages", str(tmp_path / "v.json"),
                                "--figures", str(tmp_path)])
    path, = tmp_path.glob("*_results.json")
    image = encode(load_mnist("x_test", first=1)["x_test"], 4, "binary")[0]
    volts = experiment.schedule.input_voltage * image
    memristor = experiment.network.memristor

    def dissipated(cells):
        return (volts * read_current(cells, states, volts)).sum() * experiment.schedule.pulse
    found, own = json.loads(path.read_text())["read_energy"]["inputs"], dissipated(Cells.of(memristor))
    gains = dataclasses.replace(Cells.of(memristor), gain=chip.cells(memristor).gain)
    assert found == pytest.approx(dissipated(gains), rel=0.02)
    assert abs(found / own - 1) > 0.1


@pytest.mark.parametrize(("options", "words"), [
    ([], ""), (["--input-voltage", "0.3"], "warning: all neurons stay silent: the highest membrane settles at "),
    (["--input-voltage", "0.3", "--chip-cell-gain", "0.1", "--carry-over"], "warning: all neurons stay silent on this chip"),
    (["--chip-cell-gain", "0.1", "--carry-over"], "")])
def test_membranes_out_of_range_are_said(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.setattr(testing, "draw", lambda *arguments: None)
    testing.testing_script("", ["--engine", "closed-form", "--samples", "3", "--figures", str(tmp_path), *options])
    said = capsys.readouterr().err
    assert words in said and ("silent" in said) == bool(words)


@pytest.mark.parametrize(("count", "network", "beside"), [
    (99, [], ""), (100, [], " (paper: 60%)"), (100, ["--voltages", str(ROOT / "voltages" / "mnist_error_driven.json")], "")])
def test_the_papers_accuracy_stands_beside_a_hundred_images_of_its_network(tmp_path, monkeypatch, capsys, count, network, beside):
    monkeypatch.setattr(testing, "draw", lambda *arguments: None)
    testing.testing_script("", ["--engine", "closed-form", "--samples", str(count), "--figures", str(tmp_path), *network])
    line, = (line for line in capsys.readouterr().out.splitlines() if f"paper's rule, first {count}" in line)
    assert line.partition("%")[2] == beside


@pytest.fixture
def tests_of(tmp_path, monkeypatch):
    """tests_of(voltages, options) writes voltages of sixteen pixels and tests them on twenty images."""
    monkeypatch.setattr(testing, "draw", lambda *arguments: None)

    def tests_of(voltages, *options):
        save_voltages(tmp_path / "v.json", voltages)
        testing.testing_script("", ["--engine", "closed-form", "--size", "4", "--samples", "20", "--voltages",
                                    str(tmp_path / "v.json"), "--figures", str(tmp_path), *options])
    return tests_of


def test_fresh_and_aged_chips_results_do_not_replace_each_other(tests_of):
    chip = Chip(classes=10, inputs=16, decay_rate=0.1)
    forgets = Voltages(np.full((10, 16), 3.0), "mnist", "binary", "error-driven",
                       describe(dataclasses.replace(mnist_experiment(4), chip=chip)))
    tests_of(forgets)
    tests_of(forgets)
    with pytest.raises(NotOverwritten, match=r"--age \(0 there, 1 now\)"):
        tests_of(forgets, "--age", "1")
    tests_of(forgets, "--age", "1", "--force")
    with pytest.raises(NotOverwritten, match=r"--age \(1 there, 0 now\)"):
        tests_of(forgets)


@pytest.mark.parametrize(("change", "words"), [({"schedule": {"pulse": 3e-3}}, r"--pulse \(0.002 there, 0.003 now\)"),
                                               ({"mapping": {"swing": 3.0}}, r"--swing \(1.5 there, 3 now\)"),
                                               ({"learning": {"seed": 2}}, r"--seed \(1 there, 2 now\)")])
def test_results_of_voltages_written_otherwise_are_not_replaced(tests_of, change, words):
    described = {**describe(mnist_experiment(4)), "schedule": {"pulse": 2e-3}, "mapping": {"swing": 1.5}, "learning": {"seed": 1}}
    one, other = (Voltages(np.full((10, 16), 3.0), "mnist", "binary", "hebbian", {**described, **changed})
                  for changed in ({}, change))
    tests_of(one)
    with pytest.raises(NotOverwritten, match=words):
        tests_of(other)


def test_age_of_a_chip_that_does_not_forget_asks_for_the_whole_chip(tests_of):
    with pytest.raises(ParameterError, match="give the whole chip that does: --chip-decay-rate beside its other --chip options"):
        tests_of(Voltages(np.full((10, 16), 3.0), "mnist", "binary", "hebbian", describe(mnist_experiment(4))), "--age", "1")


def test_leads_that_are_drawn_are_those_of_all_decided_images(tests_of, tmp_path, monkeypatch):
    """Of class 0 as well; not of those that are silent or tied."""
    drawn = {}
    monkeypatch.setattr(testing, "draw", lambda options, name, figure, *given: drawn.update({name: given}))
    spikes = np.full((20, 10), 90e-6)
    spikes[:15, 0], spikes[:12, 1] = np.arange(15) * 1e-6, 50e-6  # 15 decided as class 0, by as much as is known
    spikes[15:] = np.nan
    spikes[18, 4], spikes[19, 5] = 80e-6, 70e-6
    spikes[17, 2:4] = 60e-6
    monkeypatch.setattr(testing, "_read", lambda *given: spikes)
    tests_of(Voltages(np.full((10, 16), 3.0), "mnist", "binary", "hebbian", describe(mnist_experiment(4))))
    (leads,), = (given for name, given in drawn.items() if name.endswith("_leads"))
    assert len(leads) == 17 and leads[:12] == pytest.approx(50e-6 - np.arange(12) * 1e-6)


@pytest.mark.parametrize(("rule", "ties"), [("error-driven", False), ("hebbian", True)])
def test_ties_are_those_of_the_rule_that_wrote_the_voltages(tests_of, tmp_path, monkeypatch, rule, ties):
    """Leads of 0.3 us: a tie of a Hebbian network, whose classes agree to 0.5 us; not of one that learned a margin of 1 us."""
    spikes = np.full((20, 10), 50e-6)
    spikes[:, 3] -= 0.3e-6
    monkeypatch.setattr(testing, "_read", lambda *given: spikes)
    tests_of(Voltages(np.full((10, 16), 3.0), "mnist", "binary", rule, describe(mnist_experiment(4))))
    path, = tmp_path.glob("*_results.json")
    found = json.loads(path.read_text(encoding="utf-8"))
    labels = load_mnist("y_test", first=20)["y_test"]
    assert found["tied"] == 20 * ties and found["strict_accuracy"] == (0 if ties else (labels == 3).mean())


def test_decisions_that_are_drawn_are_the_strict_ones_by_true_class(tests_of, monkeypatch):
    """The paper's rule decides ties within a step, and so all of these images but the silent ones."""
    drawn, spikes = {}, np.full((20, 10), 90e-6)
    monkeypatch.setattr(testing, "draw", lambda options, name, figure, *given: drawn.update({name: given}))
    spikes[:9, 3], spikes[9:13, 7:9], spikes[13:] = 40e-6, 50e-6, np.nan
    monkeypatch.setattr(testing, "_read", lambda *given: spikes)
    tests_of(Voltages(np.full((10, 16), 3.0), "mnist", "binary", "hebbian", describe(mnist_experiment(4))))
    (counts, digits, undecided), = (given for name, given in drawn.items() if name.endswith("_confusion"))
    expected = np.zeros((10, 12), int)
    np.add.at(expected, (load_mnist("y_test", first=20)["y_test"], [3] * 9 + [10] * 4 + [11] * 7), 1)
    assert np.array_equal(counts, expected) and (*digits, *undecided) == (*"0123456789", "tied", "silent")


def test_every_score_is_printed_under_its_own_name(capsys):
    testing.print_scores({
        "samples": 200, "strict_accuracy": 0.51, "strict_interval_95": [0.43, 0.57], "paper_rule_accuracy": 0.62,
        "paper_rule_first_100": 0.73, "top3_accuracy": 0.84, "silent": 7, "tied": 9, "resolution": 2e-6, "seconds": 3.0,
        "recall": [*(k / 10 for k in range(9)), np.nan], "equal_templates": 0.11}, of_the_paper=True)
    said = {line[:24].strip(): line[25:] for line in capsys.readouterr().out.splitlines()}
    assert said == {
        "images": "200", "strict accuracy": "51.00% (95 % interval 43.00% to 57.00%)", "paper's rule": "62.00%",
        "paper's rule, first 100": "73% (paper: 60%)", "top-3 accuracy": "84.00%",
        "silent, tied": "7, 9 (a lead below 2 us is a tie)",
        "two best templates equal": "11.00% of the images: tied, or silent, by construction",
        "recall by class": "  ".join([*(f"{k}: {10 * k}.0%" for k in range(9)), "9: -"]), "time": "3.0 s, 15.0 ms an image"}


def test_equal_templates_are_counted_of_binary_templates_alone(tests_of, tmp_path):
    """Grey ones overlap no image alike."""
    tests_of(Voltages(np.full((10, 16), 3.0), "mnist", "grey", "hebbian", describe(mnist_experiment(4, "grey"))),
             "--encoding", "grey")
    testing.testing_script("", ["--engine", "closed-form", "--samples", "200", "--figures", str(tmp_path)])
    grey, binary = (json.loads((tmp_path / f"{stem}_by_closed_form_results.json").read_text())
                    for stem in ("mnist_test_grey_4x4", "mnist_test"))
    images = encode(load_mnist("x_test", first=200)["x_test"], 10, "binary")
    best = [sorted(sum(image * pattern) for pattern in mnist_experiment().dataset.patterns)[-2:] for image in images]
    assert 0 < binary["equal_templates"] == np.mean([low == high for low, high in best]) < 1 and "equal_templates" not in grey


def test_accuracy_beside_the_bar_is_strict_and_of_the_images_read_so_far(tmp_path, monkeypatch):
    """Of eight images, three at a time, the first are right, the next tied by a third of a microsecond, the last wrong."""
    shown, counted = [], []

    class Bar(contextlib.AbstractContextManager):
        def __init__(self, total, **more):
            assert total == 8

        def set_postfix(self, accuracy, refresh):
            shown.append(accuracy)

        def update(self, count):
            counted.append(count)

        def __exit__(self, *error):
            pass
    spikes = np.full((8, 10), 90e-6)
    spikes[range(3), range(3)] = spikes[range(3, 6), range(3, 6)] = 50e-6
    spikes[range(3, 6), 9] = 50.3e-6
    spikes[6:, 0] = 50e-6
    monkeypatch.setattr(testing, "BATCH", 3)
    monkeypatch.setattr(testing, "tqdm", Bar)
    monkeypatch.setattr(testing, "_computed", lambda experiment, states, images, first: spikes[first:first + len(images)])
    testing._read(argparse.Namespace(engine="closed-form"), mnist_experiment(4), Voltages(np.ones((10, 16)), rule="hebbian"),
                  np.zeros((8, 16)), np.arange(8), Partial(tmp_path / "partial.csv.gz", {}))
    assert shown == ["100.0%", "50.0%", "37.5%"] and counted == [3, 3, 2]


def test_the_closed_form_reads_on_the_chip(read):
    """Also on one without read noise."""
    chip = Chip(inputs=16, cell_gain=0.5)
    alike, own = read("closed-form"), read("closed-form", chip)
    assert np.nanmax(np.abs(own - alike)) > 1e-6


def test_netlist_is_of_the_first_image_on_the_chip_to_the_end_of_its_pulse(tmp_path, monkeypatch):
    """ngspice's program comes to membranes of transresistance times current, by then within an edge of the settled voltages."""
    monkeypatch.setattr(testing, "draw", lambda *arguments: None)
    experiment, states = mnist_experiment(4), np.random.default_rng(2).uniform(1.0, 1.5, (10, 16))  # none clips
    large = dataclasses.replace(experiment.network, memristor=MemristorParameters(oxide_thickness=50e-9))
    experiment, chip = dataclasses.replace(experiment, network=large), Chip(classes=10, inputs=16, cell_gain=1.0)
    path = tmp_path / "first.cir"
    save_voltages(tmp_path / "v.json", Voltages(states, "mnist", "binary", "error-driven",
                                                describe(dataclasses.replace(experiment, chip=chip))))
    testing.testing_script("", ["--size", "4", "--samples", "3", "--engine", "closed-form", "--netlist", str(path),
                                "--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)])
    image = encode(load_mnist("x_test", first=1)["x_test"], 4, "binary")[0]
    volts, network = experiment.schedule.input_voltage * image, experiment.network
    gains = dataclasses.replace(Cells.of(network.memristor), gain=chip.cells(network.memristor).gain)
    settled = network.neuron.transresistance * read_current(gains, states, volts).sum(axis=1)
    found = run_program(path.read_text(), [f"membrane_{j}" for j in range(10)])
    assert found == pytest.approx(settled, rel=0.01)
    assert suited(READING, network.memristor).options() in path.read_text()  # as the test reads gates that large
