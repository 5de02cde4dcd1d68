"""verify.py: honest comparisons hold, false ones are broken, and ngspice's program is read."""

import dataclasses
import os

import numpy as np
import pytest

import verify
from datasets import xpue
from memristive.spice.errors import NgspiceMissing, SimulationError
from studies.agreement import networks

NAN = np.nan


@pytest.fixture(scope="module")
def error_driven():
    return networks()[1]


def broken(comparison):
    return [row["comparison"] for row in verify.check(comparison) if row["broken"]]


def test_honest_comparisons_hold(ngspice, error_driven):
    for comparison in (verify.experiment_converges(xpue()), verify.reads_converge(error_driven, 2),
                       verify.accuracy_converges(error_driven, 3), verify.engines_decide_alike(error_driven),
                       verify.engines_write_alike(3), verify.engines_learn_alike(6), verify.program_agrees(xpue())):
        assert not broken(comparison)


def test_changed_states_break_the_comparison_with_committed_scores(error_driven):
    changed = dataclasses.replace(error_driven, states=error_driven.states + 0.01 * np.arange(10)[:, None])
    assert broken(verify.engines_decide_alike(changed))


@pytest.mark.parametrize("change", [1.01, np.inf, np.nan])
def test_a_change_beyond_its_bound_or_without_a_number_is_broken(change):
    assert broken([("a comparison", change, 1.0, "V")]) and not broken([("a comparison", 1.0, 1.0, "V")])


def test_largest_change_of_spikes():
    assert np.isnan(verify.largest_change(np.full((2, 3), NAN), np.full((2, 3), NAN), 1e-3))
    assert verify.largest_change(np.array([[1e-4, NAN, NAN]]), np.array([[1.5e-4, NAN, NAN]]), 1e-3) == pytest.approx(5e-5)


@pytest.mark.parametrize(("usual", "change"), [
    ([100.0, 200, 300, NAN], 0), ([100.0, 200, 400, NAN], 100), ([100.0, NAN, 300, 400], 200),
    ([NAN, 200.0, 300, 400], 300), ([100.0, 200, NAN, NAN], 700), ([NAN] * 4, 900)])
def test_spikes_that_a_usual_read_had_to_see(usual, change):
    """Three spikes end it, and the fourth comes later; with fewer it goes on to the end of the pulse at 1 ms."""
    exact, usual = 1e-6 * np.array([[100.0, 200, 300, 400]]), 1e-6 * np.array([usual])
    assert verify.largest_change(usual, exact, 1e-3) == pytest.approx(1e-6 * change, abs=1e-12)


def test_missing_program_is_reported_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NgspiceMissing):
        verify.main(["--results", str(tmp_path)])


@pytest.mark.parametrize("program", ["echo it broke >&2; exit 3", "echo Index a b"])
def test_failing_program_is_an_error(tmp_path, monkeypatch, program):
    (tmp_path / "ngspice").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "ngspice").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SimulationError):
        verify.run_program("title\n.end\n", ["xcell_0_0.gate"])
