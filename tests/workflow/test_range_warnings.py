"""What is said of membranes that clip or cannot fire, on standard error."""

import numpy as np
import pytest

from learning.chips import Chip
from learning.pulses import Schedule
from memristor import MemristorParameters
from snn_circuit import NetworkParameters
from workflow.command_line import warn_of_range


@pytest.mark.parametrize(("state", "words"), [(0.0, "warning: no cell conducts"), (3.0, "")])
def test_membranes_out_of_range_are_warned_of_on_standard_error(state, words, capsys):
    images = np.where(np.arange(100) < 20, 1.0, 0.0)[None]
    warn_of_range(NetworkParameters(MemristorParameters()), Schedule(), np.full((2, 100), state), images)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(words) and err.count("\n") == bool(words)


def test_neurons_silent_on_their_own_patterns_are_warned_of_where_the_images_are_these(capsys):
    images = np.array([[1.0] * 20 + [0.0] * 80, [0.0] * 20 + [1.0] * 5 + [0.0] * 75])
    for own, words in ((True, "neurons that stay silent on the patterns they learned: 1 of 2"), (False, "")):
        said = warn_of_range(NetworkParameters(MemristorParameters()), Schedule(), 3.0 * images, images, own=own)
        assert said.startswith(words) and bool(said) is own
        assert capsys.readouterr().err == f"warning: {said}\n" * own


@pytest.mark.parametrize(("before", "says"), [
    ("", True), ("no cell conducts, all neurons stay silent: X is 0", False),
    ("all neurons stay silent: the highest membrane", True)])
def test_what_was_said_before_a_training_is_not_said_again(before, says, capsys):
    network = NetworkParameters(MemristorParameters())
    said = warn_of_range(network, Schedule(), np.zeros((2, 100)), np.ones((1, 100)), before=before)
    assert said.startswith("no cell conducts") and capsys.readouterr().err == f"warning: {said}\n" * says


NONE = np.full((1, 2), np.nan)


@pytest.mark.parametrize(("spikes", "silent"), [(NONE, True), (np.array([[np.nan, 1e-5]]), False), (None, False)])
def test_of_a_chip_only_that_no_spike_came_is_said(spikes, silent, capsys):
    """Cells without conductance, of which it would be said without a chip."""
    network, images = NetworkParameters(MemristorParameters()), np.ones((1, 100))
    chip = Chip(classes=2, inputs=100, cell_gain=0.1)
    assert bool(warn_of_range(network, Schedule(), np.zeros((2, 100)), images, chip, spikes)) is silent
    assert capsys.readouterr().err == (
        "warning: all neurons stay silent on this chip; a training with a higher --feedback-resistance may help\n" * silent)
