"""Inference in ngspice: on the chip that the voltages were trained on, with the resolution of the rule that trained them."""

import dataclasses
import json
import re

import numpy as np
import pytest

from memristive.cli import inference
from memristive.cli.experiments import describe, schedule_of, xpue_experiment
from memristive.cli.inference import inference_script
from memristive.io.voltages import Voltages, VoltagesError, save_voltages
from memristive.single_layer.closed_form import Cells, Crossbar
from memristive.single_layer.spike_decoding import SILENT, TIED
from memristive.variability.chip import Chip
from memristor import read_current

EXPERIMENT = xpue_experiment()
CHIP = Chip(classes=4, inputs=9, seed=3, cell_gain=0.1, neuron_threshold=0.1, stuck_on=0.2)


def read(folder, states, rule="hebbian", options=(), **origin):
    """The results of reading XPUE's patterns in `states`, in a file that tells of its `rule` and `origin`."""
    save_voltages(folder / "v.json", Voltages(states, "xpue", "binary", rule, describe(EXPERIMENT, **origin)))
    inference_script("", xpue_experiment, ["--voltages", str(folder / "v.json"), "--figures", str(folder), *options])
    path, = folder.glob("*_inference_results.json")
    return json.loads(path.read_text())


def test_voltages_are_read_in_the_network_that_they_were_trained_in(tmp_path, ngspice):
    states, own = 7.0 * EXPERIMENT.dataset.patterns, EXPERIMENT.network.as_dict()
    own["neuron"] |= {"threshold": 3.0}
    found = read(tmp_path, states, network=own)
    network = dataclasses.replace(EXPERIMENT.network, neuron=dataclasses.replace(EXPERIMENT.network.neuron, threshold=3.0))
    expected = Crossbar.of(network, EXPERIMENT.schedule).first_spikes(states, EXPERIMENT.dataset.patterns)
    assert np.diag(np.array(found["first_spike_times"], float)) == pytest.approx(np.diag(expected), abs=0.5e-6)
    assert found["parameters"]["network"] == own and not np.isnan(np.diag(expected)).any()


def test_voltages_trained_on_a_chip_are_read_on_that_chip(tmp_path, ngspice):
    states = 7.0 * EXPERIMENT.dataset.patterns
    found = read(tmp_path, states, chip=CHIP.as_dict())
    crossbar = CHIP.crossbar(EXPERIMENT.network, EXPERIMENT.schedule)
    expected = crossbar.first_spikes(CHIP.held(states), EXPERIMENT.dataset.patterns)
    spikes = np.array(found["first_spike_times"], float)
    assert np.isfinite(np.diag(expected)).all()
    assert spikes == pytest.approx(expected, rel=2e-3, nan_ok=True)  # leak and edges: 0.14 %; the chip: 1 to 125 %
    assert found["parameters"]["chip"] == CHIP.as_dict()


@pytest.mark.parametrize(("rule", "decision"), [("hebbian", "tied"), ("error-driven", "X")])
def test_a_lead_of_a_third_of_a_microsecond_is_a_tie_after_the_hebbian_rule_alone(tmp_path, ngspice, rule, decision):
    """Both neurons have the pattern of X, the second 10 mV less in one cell."""
    states = 7.0 * EXPERIMENT.dataset.patterns
    states[1] = states[0]
    states[1, 0] -= 10e-3
    found = read(tmp_path, states, rule)
    assert 0.2e-6 < found["leads"][0] < 0.45e-6 and found["decisions"][0] == decision


@pytest.mark.parametrize(("given", "volts"), [((), 2.0), (("--input-voltage", "1"), 1.0)])
def test_patterns_are_presented_at_the_voltage_of_the_training_unless_another_is_given(tmp_path, ngspice, given, volts):
    """At another one all neurons may stay silent, or clip."""
    schedule = dataclasses.asdict(EXPERIMENT.schedule) | {"input_voltage": 2.0}
    origin = describe(EXPERIMENT) | {"schedule": schedule}
    save_voltages(tmp_path / "v.json", Voltages(7.0 * EXPERIMENT.dataset.patterns, "xpue", "binary", "hebbian", origin))
    inference_script("", xpue_experiment, ["--voltages", str(tmp_path / "v.json"), "--figures", str(tmp_path), *given])
    path, = tmp_path.glob("*_inference_results.json")
    assert json.loads(path.read_text())["parameters"]["schedule"]["input_voltage"] == volts


@pytest.mark.parametrize("stored", [{"input_voltage": -1}, {"input_voltage": "x"}, {"input_voltage": None}])
def test_an_input_voltage_that_cannot_be_one_is_named(stored):
    voltages = Voltages(np.ones((4, 9)), "xpue", "binary", "hebbian", {"schedule": stored})
    with pytest.raises(VoltagesError, match=r"v\.json: its input voltage cannot be used"):
        schedule_of(voltages, EXPERIMENT.schedule, {}, "v.json")
    for origin in ({}, {"schedule": 3}, {"schedule": {}}):
        assert schedule_of(Voltages(np.ones((4, 9)), "xpue", "binary", "hebbian", origin), EXPERIMENT.schedule, {}, "v.json") \
            == EXPERIMENT.schedule


@pytest.mark.parametrize(("origin", "volts", "words"), [
    ({}, 7.0, ""), ({}, 3.0, "warning: all neurons stay silent: the highest membrane settles at "),
    ({}, 6.0, "warning: neurons that stay silent on the patterns they learned: "),
    ({"chip": CHIP.as_dict()}, 3.0, "warning: all neurons stay silent on this chip"), ({"chip": CHIP.as_dict()}, 7.0, ""),
    ({"chip": {**CHIP.as_dict(), "read_noise": 0.1}}, 7.0, "warning: the chip's read noise is left out")])
def test_membranes_out_of_range_are_said(tmp_path, monkeypatch, capsys, ngspice, origin, volts, words):
    monkeypatch.setattr(inference, "draw", lambda *arguments: None)
    read(tmp_path, volts * EXPERIMENT.dataset.patterns, **origin)
    said = capsys.readouterr().err
    assert said.startswith(words) and said.count("warning") == bool(words)


def test_first_patterns_energy_is_what_the_chips_own_channels_dissipate(tmp_path, monkeypatch, ngspice):
    """Channels of a tenth to ten times their gain, in states in which no membrane clips."""
    monkeypatch.setattr(inference, "draw", lambda *arguments: None)
    chip, states = Chip(classes=4, inputs=9, seed=3, cell_gain=2.0), np.full((4, 9), 1.2)
    found = read(tmp_path, states, chip=chip.as_dict())["read_energy"]["inputs"]
    volts, memristor = EXPERIMENT.schedule.input_voltage * EXPERIMENT.dataset.patterns[0], EXPERIMENT.network.memristor

    def dissipated(cells):
        return (volts * read_current(cells, states, volts)).sum() * EXPERIMENT.schedule.pulse
    alike = Cells.of(memristor)
    assert found == pytest.approx(dissipated(dataclasses.replace(alike, gain=chip.cells(memristor).gain)), rel=0.01)
    assert abs(found / dissipated(alike) - 1) > 0.1


def test_decisions_are_printed_with_first_spikes_and_leads_in_microseconds(capsys):
    nan = np.nan
    spikes = 1e-6 * np.array([[50, 62.5, nan], [nan, 70, nan], [nan, nan, nan], [80, 80.1, 90]])
    inference.print_decisions("abcd", spikes, np.array([0, 1, SILENT, TIED]), 5e-7)
    _, *rows, last = capsys.readouterr().out.splitlines()
    assert [" ".join(row.split()) for row in rows] == ["a a 50.000 us 12.500 us", "b b 70.000 us fires alone", "c silent - -",
                                                       "d tied 80.000 us 0.100 us"]
    assert last == "a lead below 0.5 us counts as a tie"


def test_what_is_drawn_told_and_written_is_of_the_patterns_as_they_were_read(tmp_path, monkeypatch, capsys, ngspice):
    """The neuron of + has the pattern of X: they tie, which the paper's rule decides, and + is answered by none."""
    drawn, states, netlist = {}, 7.0 * EXPERIMENT.dataset.patterns, tmp_path / "n.cir"
    monkeypatch.setattr(inference, "draw", lambda options, name, figure, *given: drawn.update({name: given}))
    states[1] = states[0]
    found = read(tmp_path, states, "hebbian", ("--netlist", str(netlist)))
    assert (found["strict_accuracy"], found["paper_rule_accuracy"]) == (0.5, 0.75)
    assert found["parameters"]["voltages"] == str(tmp_path / "v.json")
    assert found["decisions"] == ["tied", "silent", "U", "="]
    assert "train accuracy: strict 2/4, by the paper's rule 3/4\n" in capsys.readouterr().out
    counts, labels, undecided = drawn["xpue_train_confusion"]
    assert [*labels, *undecided] == ["X", "+", "U", "=", "tied", "silent"]
    assert counts.tolist() == [[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0]]
    time, membranes, outputs, threshold, _, starts, high, window = drawn["xpue_membranes"]
    assert (high, window) == (EXPERIMENT.network.neuron.output_high, 1e-3)
    spikes, labels = drawn["xpue_raster"]
    assert np.array_equal(spikes, np.array(found["first_spike_times"], float), equal_nan=True) and len(labels) == 4
    for k, (start, times) in enumerate(zip(starts, spikes, strict=True)):
        during = (time > start) & (time < start + EXPERIMENT.schedule.period)
        highest, fired = membranes[:, during].max(axis=1), np.isfinite(times)
        assert k != 2 or fired.tolist() == [False, False, True, True]
        assert np.array_equal(highest > threshold, fired)
        assert outputs[:, during].max(axis=1) == pytest.approx(1.0 * fired, abs=1e-3)
    tran, = re.findall(r"(?m)^\.tran \S+ (\S+)", netlist.read_text())
    assert float(tran) == EXPERIMENT.schedule.stop(4)


def test_threshold_and_height_of_an_output_are_drawn_as_the_network_has_them(tmp_path, monkeypatch, ngspice):
    drawn, own = {}, EXPERIMENT.network.as_dict()
    own["neuron"] |= {"threshold": 3.0, "output_high": 2.0}
    monkeypatch.setattr(inference, "draw", lambda options, name, figure, *given: drawn.update({name: given}))
    read(tmp_path, 7.0 * EXPERIMENT.dataset.patterns, network=own)
    _, _, outputs, threshold, _, _, high, _ = drawn["xpue_membranes"]
    assert (threshold, high) == (3.0, 2.0) and outputs.max() == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(("volts", "tolerance"), [("1", 1e-5), ("3", 1e-6)])
def test_the_netlist_that_is_written_takes_the_careful_steps_that_its_volts_ask_for(tmp_path, ngspice, volts, tolerance):
    """Cells at 2.5 V are well above an input of 1 V, not of 3 V."""
    netlist = tmp_path / "n.cir"
    read(tmp_path, 2.5 * EXPERIMENT.dataset.patterns, "hebbian", ("--netlist", str(netlist), "--input-voltage", volts))
    found, = set(re.findall(r"(?i)\breltol\s*=\s*(\S+)", netlist.read_text()))
    assert float(found) == tolerance
