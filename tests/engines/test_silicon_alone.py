"""A chip that learns alone. Needs the models that `make silicon` installs."""

import subprocess

import numpy as np
import pytest

import XPUE_memristive_training
from datasets import xpue
from memristive.cli.script import exit_code
from memristive.devices.foundry import Process
from memristive.engines.silicon_alone import AloneLayer
from memristive.parameters import ParameterError


def layer(passes=1, foundry="gf180mcu"):
    process = Process(foundry)
    try:
        process.header()
    except ParameterError as error:
        pytest.skip(str(error))
    return AloneLayer(process, xpue().patterns[:2], passes)


def test_latches_follow_the_spikes_and_write_what_python_would():
    """Python's rule from the spikes alone: a second spike before the first one and the margin is
    an error, as in the latches.
    """
    learned = layer(2).train()
    own = np.eye(2, dtype=bool)[learned.order]
    first = np.nanmin(learned.spikes, axis=1, keepdims=True)
    racing = learned.spikes < first + 0.1e-6
    error = (racing != own).any(axis=1, keepdims=True)
    np.testing.assert_array_equal(learned.up, own & error)
    np.testing.assert_array_equal(learned.down, racing & ~own)
    assert learned.up.any() and learned.down.any()
    on = xpue().patterns[:2] > 0
    # a flat start at 1.9 V parts where the patterns differ
    assert all(learned.states[j][on[j] & ~on[1 - j]].min() > 1.9 for j in (0, 1))
    assert all(learned.states[j][on[1 - j] & ~on[j]].max() < 1.9 for j in (0, 1))


def test_deck_runs_in_ngspice_alone(tmp_path):
    made = layer()
    deck = tmp_path / "alone.cir"
    deck.write_text(made.netlist())
    done = subprocess.run(
        ["ngspice", "-b", "-r", str(tmp_path / "run.raw"), str(deck)], capture_output=True
    )
    assert done.returncode == 0
    assert (tmp_path / "run.raw").stat().st_size > 10_000


@pytest.mark.parametrize(
    "patterns, word",
    [(np.array([[1, 1, 0], [1, 1, 1]]), "contains"), (np.eye(15), "cells")],
)
def test_patterns_that_no_transient_can_learn_are_refused(patterns, word):
    with pytest.raises(ParameterError, match=word):
        AloneLayer(Process(), patterns)


def test_script_refuses_an_unknown_corner(capsys):
    arguments = ["--silicon", "gf180mcu", "--alone", "--corner", "tt"]
    with pytest.raises(SystemExit):
        exit_code(XPUE_memristive_training.main, arguments)
    assert "corner" in capsys.readouterr().err
