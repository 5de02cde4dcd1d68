"""verify.py can fail: for each of its comparisons one side is falsified, and the exit code is 1."""

import dataclasses
import json
import os
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import verify
from memristive.cli.experiments import xpue_experiment
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.engines import ClosedFormEngine
from memristive.single_layer.ngspice_crossbar import Reader, Writer
from memristive.single_layer.pulses import READING
from studies.engine_agreement import Network, networks

NAN = np.nan


@pytest.fixture
def verified(ngspice, monkeypatch, tmp_path):
    """verified(comparison): exit code of verify.py with this comparison alone, small, and the names of its broken rows."""
    monkeypatch.setattr(verify, "experiments", lambda: [xpue_experiment()])
    monkeypatch.setattr(verify, "networks", lambda: networks()[1:2])
    monkeypatch.setattr(verify, "NgspiceSession", lambda: ngspice)

    def run(comparison):
        monkeypatch.setattr(verify, "COMPARISONS", [getattr(verify, comparison)])
        small = ["--images", "2", "--writes", "5", "--decisions", "3", "--presentations", "12", "--figures", str(tmp_path)]
        code = verify.main(small)
        rows = json.loads((tmp_path / "verify_results.json").read_text())["rows"]
        # Infinity is null in JSON.
        return code, [row["experiment"] for row in rows if row["largest_change"] is None or row["largest_change"] > row["bound"]]
    return run


def changed(monkeypatch, owner, name, change):
    """Replace owner.name by a function that gives `change(result, *arguments)`."""
    original = getattr(owner, name)

    def wrapper(*arguments, **more):
        return change(original(*arguments, **more), *arguments, **more)
    monkeypatch.setattr(owner, name, wrapper)


def tightened_training_ends_elsewhere(monkeypatch):
    def change(training, session, parameters, schedule, patterns, solver=None, watch=None):
        return training if solver is None else dataclasses.replace(training, states=1.011 * training.states)
    changed(monkeypatch, verify, "train_hebbian", change)


def tightened_inference_fires_late(monkeypatch):
    def change(inference, session, parameters, schedule, states, patterns, solver=READING, watch=None):
        late = 1.7e-6 if solver != READING else 0.0
        return dataclasses.replace(inference, spikes=inference.spikes + late)
    changed(monkeypatch, verify, "infer", change)


def tightened_reads_fire_late(monkeypatch):
    changed(monkeypatch, Reader, "spikes", lambda spikes, reader, *rest, **more: spikes + 1.2e-6 * (reader._solver != READING))


def tightened_reads_miss_a_spike(monkeypatch):
    changed(monkeypatch, Reader, "spikes", lambda spikes, reader, *rest, **more: np.where(
        (reader._solver != READING) & (spikes == np.nanmin(spikes)), np.nan, spikes))


def usual_reads_miss_the_first_spike(monkeypatch):
    changed(monkeypatch, Reader, "spikes", lambda spikes, reader, *rest, **more: np.where(
        (reader._solver == READING) & (spikes == np.nanmin(spikes)), np.nan, spikes))


def usual_reads_see_nothing(monkeypatch):
    changed(monkeypatch, Reader, "spikes", lambda spikes, reader, *rest, **more: np.where(
        reader._solver == READING, np.nan, spikes))


def closed_form_takes_other_thresholds(monkeypatch):
    def crossbar(network):
        right = Crossbar.of(network.experiment.network, network.experiment.schedule)
        return dataclasses.replace(right, neurons=dataclasses.replace(right.neurons, threshold=4.1))
    monkeypatch.setattr(Network, "crossbar", property(crossbar))


def one_neuron_fires_alone_in_the_closed_form(monkeypatch):
    """On one of the images: the other one's leads stay as they are."""
    changed(monkeypatch, Crossbar, "first_spikes", lambda spikes, *given: np.where(
        (np.arange(len(spikes)) == 1)[:, None] & (spikes > spikes.min()), np.nan, spikes))


def tightened_reads_decide_otherwise(monkeypatch):
    changed(monkeypatch, verify, "read", lambda spikes, network, states, images, solver: np.where(
        (solver != READING) & (np.arange(10) == 7), 1e-6, spikes))


def tightened_hebbian_training_gives_each_class_anothers_states(monkeypatch):
    """The other networks are not trained again: here the Hebbian one stands alone, read in closed form."""
    hebbian = networks()[0]
    monkeypatch.setattr(verify, "networks", lambda: [hebbian])
    monkeypatch.setattr(verify, "read", lambda network, states, images, solver: network.crossbar.first_spikes(states, images))

    def trained(session, parameters, schedule, patterns, solver):
        found = np.roll(hebbian.states, 1, axis=0) if solver == verify.TIGHT_TRAINING else hebbian.states
        return SimpleNamespace(states=found)
    monkeypatch.setattr(verify, "train_hebbian", trained)


def eleven_images_more_were_silent(monkeypatch):
    changed(monkeypatch, verify, "load_results", lambda scores, *rest: scores | {"silent": scores["silent"] + 11})


def accuracy_was_a_fifth_of_a_percent_higher(monkeypatch):
    changed(monkeypatch, verify, "load_results", lambda scores, *rest: scores | {
        "strict_accuracy": scores["strict_accuracy"] + 0.002})


def simulated_writes_are_a_hundredth_too_strong(monkeypatch):
    changed(monkeypatch, Writer, "write", lambda written, writer, column, *rest: column + 1.01 * (written - column))


def closed_form_depresses_where_it_should_potentiate(monkeypatch):
    changed(monkeypatch, ClosedFormEngine, "write", lambda written, engine, states, column, *rest: 2 * states[column] - written)


def program_ends_elsewhere(monkeypatch):
    changed(monkeypatch, verify, "run_program", lambda states, *rest: states + 1.1e-3)


FALSIFICATIONS = [
    ("experiments_converge", "trained voltages", tightened_training_ends_elsewhere),
    ("experiments_converge", "spike times", tightened_inference_fires_late),
    ("reads_converge", "spikes of 2 test images", tightened_reads_fire_late),
    ("reads_converge", "spikes of 2 test images", tightened_reads_miss_a_spike),
    ("reads_converge", "spikes of 2 test images", usual_reads_miss_the_first_spike),
    ("reads_converge", "spikes of 2 test images", usual_reads_see_nothing),
    ("reads_converge", "the closed form's leads", closed_form_takes_other_thresholds),
    ("reads_converge", "the closed form's leads", one_neuron_fires_alone_in_the_closed_form),
    ("accuracies_converge", "accuracy on 3 test images", tightened_reads_decide_otherwise),
    ("accuracies_converge", "decisions on 3 test images", tightened_reads_decide_otherwise),
    ("accuracies_converge", "decisions on 3 test images", tightened_hebbian_training_gives_each_class_anothers_states),
    ("engines_decide_alike", "images right, silent or tied", eleven_images_more_were_silent),
    ("engines_decide_alike", "images right, silent or tied", accuracy_was_a_fifth_of_a_percent_higher),
    ("engines_write_alike", "writes on both engines", simulated_writes_are_a_hundredth_too_strong),
    ("engines_learn_alike", "presentations on both engines", closed_form_depresses_where_it_should_potentiate),
    ("program_agrees", "against the ngspice program", program_ends_elsewhere),
]


@pytest.mark.parametrize(("comparison", "row", "falsify"), FALSIFICATIONS)
def test_falsified_side_breaks_its_bound(verified, monkeypatch, capsys, comparison, row, falsify):
    falsify(monkeypatch)
    code, broken = verified(comparison)
    assert code == 1
    assert any(row in name for name in broken)
    assert "BROKEN" in capsys.readouterr().out


@pytest.mark.parametrize("comparison", [comparison.__name__ for comparison in verify.COMPARISONS])
def test_honest_comparison_holds(verified, capsys, comparison):
    assert verified(comparison) == (0, [])
    assert "BROKEN" not in capsys.readouterr().out


def test_every_comparison_is_falsified():
    assert {name for name, _, _ in FALSIFICATIONS} == {comparison.__name__ for comparison in verify.COMPARISONS}


@pytest.mark.parametrize("change", [1.01, np.inf, np.nan])
def test_change_beyond_its_bound_or_no_number_is_broken(change):
    row = partial(verify.Row, "a comparison", bound=1.0, unit="V")
    assert row(change=change).broken
    assert not row(change=1.0).broken


def test_images_that_have_no_lead_to_compare_break_the_comparison_without_a_traceback():
    """All neurons silent, or only one that fires."""
    assert np.isnan(verify.largest(np.full((2, 3), np.nan), np.full((2, 3), np.nan)))
    assert verify.largest(np.array([[1e-4, np.nan]]), np.array([[1.5e-4, np.nan]])) == pytest.approx(5e-5)
    assert verify.largest(np.array([[1e-4, np.nan]]), np.array([[1e-4, 2e-4]])) == np.inf
    dark = dataclasses.replace(networks()[0], states=np.zeros((10, 100)))
    assert np.isnan(verify.compare_leads(dark, np.full((1, 10), np.nan))).all()


@pytest.mark.parametrize(("usual", "change"), [
    ([100.0, 200, 300, NAN], 0), ([100.0, 200, 400, NAN], 100), ([100.0, NAN, 300, 400], np.inf),
    ([NAN, 200.0, 300, 400], np.inf), ([100.0, 200, NAN, NAN], np.inf), ([100.0, NAN, NAN, NAN], np.inf), ([NAN] * 4, np.inf)])
def test_what_a_usual_read_had_to_see(usual, change):
    """Three spikes end it, and the fourth comes later, or not at all; with fewer it goes on."""
    exact = 1e-6 * np.array([[100.0, 200, 300, 400]])
    found = verify.largest(1e-6 * np.array([usual]), verify.waited_for(1e-6 * np.array([usual]), exact))
    assert found == pytest.approx(1e-6 * change, abs=1e-12)


def test_stopped_it_keeps_what_it_has_compared_unless_more_was_there(verified, monkeypatch, tmp_path, capsys):
    results = tmp_path / "verify_results.json"
    assert verified("engines_write_alike") == (0, [])
    whole = results.read_bytes()

    def stopped(session, options):
        yield verify.Row("first of two", 0.5, 1.0, "V")
        assert [row["experiment"] for row in json.loads(results.read_text())["rows"]] == ["first of two"]
        assert "first of two" in capsys.readouterr().out
        yield verify.Row("second of two", 0.5, 1.0, "V")
        raise KeyboardInterrupt
    monkeypatch.setattr(verify, "stopped", stopped, raising=False)
    with pytest.raises(KeyboardInterrupt):
        verified("stopped")
    assert len(json.loads(results.read_text())["rows"]) == 2
    results.write_bytes(whole.replace(b'"rows": [', b'"rows": [{}, {}, {}, '))
    before = results.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        verified("stopped")
    assert results.read_bytes() == before


def test_program_that_is_missing_is_told_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(verify, "NgspiceSession", lambda: pytest.fail("work had begun"))
    with pytest.raises(verify.NgspiceMissing, match="apt-get install ngspice"):
        verify.main(["--figures", str(tmp_path / "figures")])
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("program", ["echo it broke >&2; exit 3", "echo Index a b"])
def test_program_that_fails_or_prints_something_else_is_one_line(tmp_path, monkeypatch, program):
    (tmp_path / "ngspice").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "ngspice").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(verify.SimulationError, match=r"the program ngspice ended with (3|0) or without the states") as told:
        verify.run_program("title\n.end\n", ["xcell_0_0.gate"])
    assert "\n" not in str(told.value)


def test_neurons_that_the_usual_read_did_not_wait_for_are_not_compared(verified, monkeypatch):
    """Of grey images some neurons fire long after the decision."""
    grey = next(network for network in networks() if network.name == "mnist_error_driven_grey")
    monkeypatch.setattr(verify, "networks", lambda: [grey])
    read, missed = Reader.spikes, []
    monkeypatch.setattr(Reader, "spikes", lambda *given, **more: missed.append(read(*given, **more)) or missed[-1])
    assert verified("reads_converge") == (0, [])
    usual, tight = np.array(missed).reshape(2, -1, 10)
    assert (np.isnan(usual) & ~np.isnan(tight)).any()
