"""A training does what its options say: what is given counts, whatever the defaults of another size are."""

import argparse
import dataclasses
import itertools
import json

import numpy as np
import pytest
from tqdm import tqdm

from memristive.cli import training, training_runs
from memristive.cli.experiments import add_size_and_encoding, digits_experiment, mnist_experiment, xpue_experiment
from memristive.cli.training import chosen_experiment, training_parser
from memristive.io.checkpoints import checkpoint_path
from memristive.io.voltages import VoltagesError
from memristive.single_layer.closed_form import Cells
from memristive.single_layer.engines import ENGINES
from memristive.single_layer.error_rule import Teacher
from memristive.single_layer.pulses import CAREFUL
from memristive.variability.chip import Chip
from memristor import read_current, state_rate
from snn_circuit import names, state_names
from tests.helpers import page
from verify import run_program


def chosen(*arguments):
    """MNIST's experiment as these options choose it."""
    parser = training_parser("MNIST", mnist_experiment(), add_size_and_encoding)
    return chosen_experiment(mnist_experiment, parser.parse_args([str(word) for word in arguments]))


@pytest.mark.parametrize(("options", "ohms"), [((), 510.2), (("--feedback-resistance", 1000), 1000.0),
                                               (("--feedback-resistance", 1001), 1001.0)])
def test_an_option_given_as_another_sizes_default_counts(options, ohms):
    """1000 ohm is the default of 10x10 images; 14x14 images take 510 unless told otherwise."""
    assert chosen("--size", 14, *options).network.neuron.feedback_resistance == pytest.approx(ohms, rel=1e-3)


def test_an_option_given_as_another_encodings_default_counts():
    assert chosen("--encoding", "grey").rule.presentations == 36000
    assert chosen("--encoding", "grey", "--presentations", 60000).rule.presentations == 60000


def trained(folder, *options):
    """The results of a training of XPUE, and its saved voltages."""
    path = folder / "v.json"
    page("XPUE_memristive_training.py").main([*options, "--voltages", str(path), "--figures", str(folder)])
    results, = folder.glob("*_training_results.json")
    return json.loads(results.read_text()), np.array(json.loads(path.read_text())["voltages"])


BRIEFLY = ["--rule", "error-driven", "--engine", "closed-form", "--presentations", "1"]


@pytest.mark.parametrize("options", [[], BRIEFLY], ids=["hebbian", "error-driven"])
def test_saved_voltages_are_what_the_chip_holds(options, tmp_path, ngspice):
    """Stuck cells stand where they are stuck, whether their column was written or not."""
    chip = Chip(classes=4, inputs=9, stuck_off=0.3, stuck_on=0.3, stuck_state=5.5)
    faults = ["--chip-stuck-off", "0.3", "--chip-stuck-on", "0.3", "--chip-stuck-state", "5.5"]
    _, states = trained(tmp_path, *options, *faults)
    assert chip.stuck.any(axis=1).all() and np.array_equal(states, chip.held(states))
    assert len(np.unique(states[~chip.stuck])) > 1


@pytest.mark.parametrize(("options", "start"), [([], 7.0), (["--start-state", "1.25"], 1.25)])
def test_weights_are_drawn_beside_those_that_the_training_began_with(options, start, tmp_path, monkeypatch, ngspice):
    drawn = {}
    monkeypatch.setattr(training_runs, "draw", lambda options, name, figure, *given, **more: drawn.update({name: (given, more)}))
    _, states = trained(tmp_path, *BRIEFLY, *options)
    (after, *_), more = drawn["xpue_closed_form_trained"]
    assert np.array_equal(after, states) and np.array_equal(more["before"], np.full((4, 9), start))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("options", "said"), [([], False), (["--chip-cell-write-gain", "0.1"], False),
                                               (["--rise", "1e-8"], True)])
def test_classes_that_one_pulse_has_not_written_alike_are_said(options, said, tmp_path, capsys, ngspice):
    """On a chip they are not to be alike."""
    trained(tmp_path, *options)
    assert ("more than the 0.02% to which one pulse writes them alike" in capsys.readouterr().err) is said


def test_potentiation_costs_more_than_depression(tmp_path, ngspice):
    """It strengthens the column that it writes while the inputs drive it: 4 columns at 3 V, one going to 5 V, or to 1 V."""
    energy = trained(tmp_path, *BRIEFLY, "--start-state", "3", "--dose", "2")[0]["write_energy"]
    assert energy["potentiation"]["inputs"] / energy["depression"]["inputs"] == pytest.approx(13 / 11, rel=0.1)


def test_checkpoint_stays_until_the_results_are_written(tmp_path, monkeypatch, ngspice):
    """It alone holds the history of the training, which the results tell."""
    def stopped(run):
        raise KeyboardInterrupt
    monkeypatch.setattr(training_runs.ErrorDrivenRun, "measure", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, *BRIEFLY)
    assert checkpoint_path(tmp_path / "v.json").exists() and (tmp_path / "v.json").exists()
    monkeypatch.undo()
    results, _ = trained(tmp_path, *BRIEFLY, "--resume")
    assert results["presentations"] == 1 and not checkpoint_path(tmp_path / "v.json").exists()


@pytest.mark.parametrize("force", [False, True])
def test_the_way_on_from_a_stop_is_one_that_is_not_refused(tmp_path, force):
    """What a run with --force goes over would be refused again."""
    run = training_runs.ErrorDrivenRun(None, xpue_experiment(), "closed-form")
    run.begin(tmp_path / "v.json", argparse.Namespace(resume=False, force=force))
    run._learning.done = 1
    assert run._save_progress().endswith("go on with --resume" + " --force" * force)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("engine", "each"), [("ngspice", 5), ("closed-form", 500)])
def test_checkpoints_are_saved_on_the_way(engine, each, tmp_path, monkeypatch, ngspice):
    """And not at its end alone: a training that is killed has nothing else."""
    saved, save = [], training_runs.save_whole
    monkeypatch.setattr(training_runs, "CHECKPOINT_EVERY", 5)
    monkeypatch.setattr(training_runs, "save_whole",
                        lambda path, learning, parameters: saved.append(learning["done"]) or save(path, learning, parameters))
    trained(tmp_path, "--rule", "error-driven", "--engine", engine, "--presentations", str(2 * each + 2))
    assert saved == [each, 2 * each, 2 * each + 2]


@pytest.fixture
def undrawn(monkeypatch):
    """Figures take most of a small training's time."""
    monkeypatch.setattr(training_runs, "draw", lambda *arguments, **more: None)


@pytest.mark.usefixtures("undrawn")
def test_resumed_on_a_chip_whose_writes_and_reads_are_noisy_it_learns_the_same_to_the_last_bit(tmp_path, monkeypatch, ngspice):
    """Noise is each presentation's own: to go on is to go on with its numbers."""
    noisy = ["--rule", "error-driven", "--engine", "closed-form", "--presentations", "20", "--chip-write-noise", "0.3",
             "--chip-read-noise", "0.01"]
    _, whole = trained(tmp_path, *noisy)
    presentations = Teacher.presentations

    def stopped(teacher, learning):
        yield from itertools.islice(presentations(teacher, learning), 7)
        raise KeyboardInterrupt
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Teacher, "presentations", stopped)
        trained(tmp_path, *noisy, "--force")
    _, resumed = trained(tmp_path, *noisy, "--resume")
    assert np.array_equal(resumed, whole)


@pytest.mark.usefixtures("undrawn")
def test_learning_curve_has_a_point_every_500_presentations_and_ends_with_the_last(tmp_path, ngspice):
    results, _ = trained(tmp_path, "--rule", "error-driven", "--engine", "closed-form", "--presentations", "1000")
    curve = results["learning_curve"]
    assert curve["presentations"] == [500, 1000]
    assert (curve["accuracy"][-1], curve["writes"][-1]) == (results["running_accuracy"], results["writes"])
    assert 0 < curve["accuracy"][0] < curve["accuracy"][1]  # what is wrong is wrong at the beginning


SILENT, CLIPPED = "warning: all neurons stay silent: the highest membrane", "warning: membranes clip on 1 of 4 images"
AT_START = SILENT.replace("warning:", "warning: at the start")
ON_A_CHIP = "warning: at the start all neurons stay silent on this chip; a training with a higher --feedback-resistance may help"
UNHEARD = "warning: neurons that stay silent on the patterns they learned: 3 of 4; the membrane of neuron "  # one of equals


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("options", "words"), [
    (["--feedback-resistance", "100"], [SILENT]), (["--feedback-resistance", "680"], [UNHEARD]),
    ([*BRIEFLY, "--feedback-resistance", "100"], [AT_START]),
    ([*BRIEFLY, "--start-state", "1.6", "--dose", "3"], [AT_START]),
    ([*BRIEFLY, "--start-state", "1.6", "--dose", "10", "--feedback-resistance", "2800"], [AT_START, CLIPPED]),
    ([*BRIEFLY, "--start-state", "3", "--dose", "2", "--feedback-resistance", "5500"], [CLIPPED]),
    ([*BRIEFLY, "--start-state", "3", "--dose", "2", "--feedback-resistance", "5000"], [])])
def test_trained_membranes_out_of_range_are_said_once(tmp_path, capsys, ngspice, options, words):
    """Silent at the start and at the end; at the start alone; clipped by what was written, whatever the start was."""
    trained(tmp_path, *options)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(words) and all(line.startswith(start) for line, start in zip(said, words, strict=True)), said


@pytest.mark.parametrize(("chip", "words"), [([], AT_START), (["--chip-cell-gain", "0.1"], ON_A_CHIP)])
def test_a_range_in_which_nothing_can_be_learned_is_said_before_the_training(tmp_path, monkeypatch, capsys, ngspice, chip, words):
    def stopped(run):
        raise KeyboardInterrupt
    monkeypatch.setattr(training_runs.ErrorDrivenRun, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, *BRIEFLY, "--feedback-resistance", "100", *chip)
    said = capsys.readouterr().err
    assert words in said and said.count("warning") == 1


def dissipated(cells, states, seconds, full=1.0):
    """Energy in J for the first pattern of XPUE: that of all channels between rows at its voltages, a `full` pixel's in V, and
    columns at ground.
    """
    volts = full * xpue_experiment().dataset.patterns[0]
    return (volts * read_current(cells, states, volts)).sum() * seconds


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("rule", ["hebbian", "error-driven"])
def test_a_writes_energy_is_what_the_chips_own_channels_dissipate(tmp_path, ngspice, rule):
    """Channels of a tenth to ten times their gain. The Hebbian write lifts its column from 0 V to where the closed form says."""
    chip, network = Chip(classes=4, inputs=9, seed=10, cell_gain=2.0), xpue_experiment().network
    alike = Cells.of(network.memristor)
    own = dataclasses.replace(alike, gain=chip.cells(network.memristor).gain)
    given = ["--chip-cell-gain", "2", "--chip-seed", "10"]
    if rule == "hebbian":
        results, _ = trained(tmp_path, *given)
        found, seconds = results["write_energy"]["inputs"], xpue_experiment().schedule.pulse

        def expected(cells):
            column = dataclasses.replace(cells, gain=np.broadcast_to(cells.gain, (4, 9))[0])
            return np.mean([dissipated(column, state, seconds) for state in np.linspace(0, results["closed_form_on"], 500)])
    else:
        results, states = trained(tmp_path, *BRIEFLY, "--start-state", "1.2", "--dose", "0.01", "--input-voltage", "0.8", *given)
        pulse = 0.01 / state_rate(network.memristor, 0.8)
        found = results["write_energy"]["potentiation"]["inputs"]

        def expected(cells):
            return dissipated(cells, states, pulse * (1 - 0.1 / 3), 0.8)  # its edges take a tenth of the pulse
    assert found == pytest.approx(expected(own), rel=0.02)
    assert abs(found / expected(alike) - 1) > 0.1


@pytest.mark.usefixtures("undrawn")
def test_netlist_of_a_hebbian_training_is_that_of_the_chip_with_all_its_pulses(tmp_path, capsys, ngspice):
    """ngspice's own program comes to the voltages that were saved. Short edges are stepped along."""
    netlist = tmp_path / "n.cir"
    _, states = trained(tmp_path, "--chip-cell-write-gain", "0.5", "--rise", "1e-6", "--netlist", str(netlist))
    found = run_program(netlist.read_text(), state_names(4, 9)).reshape(4, 9)
    assert found == pytest.approx(states, abs=2e-3) and np.ptp(states[xpue_experiment().dataset.patterns > 0]) > 1
    assert CAREFUL.options() in netlist.read_text() and "before this training" not in capsys.readouterr().out


@pytest.mark.usefixtures("undrawn")
def test_netlist_of_an_error_driven_training_is_its_first_read_on_the_chip(tmp_path, capsys, ngspice):
    """The membranes settle at transresistance times current, none of them clipped."""
    netlist, network = tmp_path / "n.cir", xpue_experiment().network
    trained(tmp_path, *BRIEFLY, "--start-state", "1.5", "--chip-cell-gain", "0.5", "--netlist", str(netlist))
    pattern = xpue_experiment().dataset.patterns[0]
    gain = Chip(classes=4, inputs=9, cell_gain=0.5).cells(network.memristor).gain
    cells = dataclasses.replace(Cells.of(network.memristor), gain=gain)
    settled = network.neuron.transresistance * read_current(cells, np.full((4, 9), 1.5), pattern).sum(axis=1)
    assert run_program(netlist.read_text(), names("membrane", 4)) == pytest.approx(settled, rel=0.01)
    assert np.ptp(settled) > 0.1 and "n.cir (the network before this training" in capsys.readouterr().out


@pytest.mark.usefixtures("undrawn")
def test_a_small_networks_voltages_are_printed_with_the_ranges_of_on_and_off_cells(tmp_path, capsys, ngspice):
    results, states = trained(tmp_path, "--input-voltage", "0.8")
    lines = capsys.readouterr().out.splitlines()
    assert np.array_equal(results["voltages"], states)
    cells = lines.index("trained voltages in V, class by class, input by input:")
    table = next(k for k, line in enumerate(lines) if line.split()[:2] == ["class", "on-cells"])
    patterns, memristor = xpue_experiment().dataset.patterns, xpue_experiment().network.memristor
    for j, label in enumerate("X+U="):
        name, *volts = lines[cells + 1 + j].split()
        assert name == label and np.array(volts, float) == pytest.approx(states[j], abs=1e-3)
        name, *shown = lines[table + 1 + j].split()
        on, off = states[j][patterns[j] > 0], states[j][patterns[j] == 0]
        assert name == label
        assert np.array(shown, float) == pytest.approx([on.size, on.min(), on.max(), off.size, off.min(), off.max()], abs=1e-4)
    charged = memristor.transconductance * 0.8 * xpue_experiment().schedule.pulse / memristor.memory_capacitance
    assert f"{charged:.4f} V" in lines[table + 5] and results["closed_form_on"] == pytest.approx(charged)


def test_what_a_hebbian_training_did_is_drawn_as_it_was(tmp_path, monkeypatch, ngspice):
    """Of six digits of five rows of three pixels: at the end of its pulse each column is written, and inputs are its digit."""
    drawn, dataset, schedule = {}, digits_experiment().dataset, digits_experiment().schedule
    monkeypatch.setattr(training_runs, "draw", lambda options, name, figure, *given, **more: drawn.update({name: given}))
    page("012345_memristive_training.py").main(["--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path)])
    states = np.array(json.loads((tmp_path / "v.json").read_text())["voltages"])
    (time, inputs, kind), (_, controls, other, *labels) = drawn["012345_inputs"], drawn["012345_controls"]
    full = [np.argmax(time >= schedule.start(k) + schedule.pulse / 2) for k in range(6)]
    assert (kind, other, *labels) == ("input", "control", dataset.labels)
    assert inputs[:, full] == pytest.approx(schedule.input_voltage * dataset.patterns.T, abs=1e-6)
    assert controls[:, full] == pytest.approx(schedule.phi_voltage * np.eye(6), abs=1e-6)
    time, course, *rest = drawn["012345_states"]
    assert len(time) == course.shape[1] and course[:, -1] == pytest.approx(states.ravel()) and rest == [6, 15, dataset.labels]
    weights, *rest = drawn["012345_trained"]
    assert np.array_equal(weights, states) and rest == [(5, 3), dataset.labels]


@pytest.mark.usefixtures("undrawn")
def test_the_writes_of_a_training_are_told_beside_its_presentations(tmp_path, capsys, ngspice):
    results, _ = trained(tmp_path, "--rule", "error-driven", "--engine", "closed-form", "--presentations", "300")
    assert 0 < results["writes"] < 300
    said = capsys.readouterr().out
    assert f"presented 300 images, wrote after {results['writes']} of them; last running accuracy " in said
    assert f"trained 4 x 9 cells in {results['seconds']:.2f} s -> " in said


@pytest.mark.parametrize("engine", ENGINES)
def test_voltages_go_where_those_of_their_engine_belong(tmp_path, monkeypatch, engine):
    """What the closed form learns does not replace what ngspice learned."""
    claimed = []

    def stopped(files, *rest):
        claimed.extend(path for path, _ in files)
        raise KeyboardInterrupt
    monkeypatch.setattr(training, "claimed", stopped)
    with pytest.raises(KeyboardInterrupt):
        page("XPUE_memristive_training.py").main(["--rule", "error-driven", "--engine", engine, "--figures", str(tmp_path)])
    assert claimed[0] == xpue_experiment().voltages_path("error-driven", engine)
    assert ("closed_form" in claimed[0].name) is (engine == "closed-form")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("engine", "said"), [("closed-form", True), ("ngspice", False)])
def test_a_closed_form_that_is_not_exact_is_said_of_what_it_trains(engine, said, tmp_path, capsys, ngspice):
    trained(tmp_path, "--rule", "error-driven", "--engine", engine, "--presentations", "1", "--rise", "5e-4")
    assert ("warning: the closed form is not exact here" in capsys.readouterr().err) is said


@pytest.mark.usefixtures("undrawn")
def test_the_writes_that_are_measured_are_those_of_the_first_images_own_class(tmp_path, monkeypatch, ngspice):
    asked, patterns = [], xpue_experiment().dataset.patterns

    def write_energy(session, network, schedule, states, image, label, *rest):
        asked.append((image.tolist(), label))
        return {"inputs": 1e-6, "phi": 1e-12}
    monkeypatch.setattr(training_runs.Experiment, "training_images", lambda experiment: (patterns[::-1], np.arange(4)[::-1]))
    monkeypatch.setattr(training_runs, "write_energy", write_energy)
    trained(tmp_path, *BRIEFLY)
    assert asked == [(patterns[3].tolist(), 3)] * 2


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("before", [1000.0, -1.0])
def test_a_resumed_training_counts_what_is_left_and_the_seconds_before_it(tmp_path, monkeypatch, ngspice, before):
    """A checkpoint that took less than no time is nobody's."""
    briefly = ["--rule", "error-driven", "--engine", "closed-form", "--presentations", "20"]
    presentations, progress, totals, told = Teacher.presentations, training_runs.progress, [], []

    def stopped(teacher, learning):
        yield from itertools.islice(presentations(teacher, learning), 7)
        learning.seconds = before
        raise KeyboardInterrupt
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Teacher, "presentations", stopped)
        trained(tmp_path, *briefly)
    monkeypatch.setattr(training_runs, "progress", lambda runs, total, *names, **more: totals.append(total) or progress(
        runs, total, *names, **more))
    monkeypatch.setattr(tqdm, "set_postfix", lambda bar, accuracy, writes, refresh: told.append((accuracy, writes)))
    if before < 0:
        with pytest.raises(VoltagesError, match="which its history does not show"):
            trained(tmp_path, *briefly, "--resume")
        return
    results, _ = trained(tmp_path, *briefly, "--resume")
    assert totals == [13] and results["seconds"] > before
    assert told[-1] == (f"{results['running_accuracy']:.1%}", results["writes"]) and results["writes"] < 20
