"""From where on it is said that a circuit that learns by itself was out of its range: in volts that are played.

Every neuron's membrane settles at its first state, the rail is at 10 V, thresholds are at 4 V.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from memristive.stdp import pattern_learning as unsupervised
from memristive.stdp.pattern_learning import Learned, doubts, unsupervised_xpue, weak_inhibition
from memristive.stdp.stdp_circuit import SILENT

NOTHING = "of this the closed form knows nothing"


@pytest.fixture
def said(monkeypatch):
    """said(*volts): what is said where membranes settle at these before each of so many presentations, and after the last."""
    def call(*volts, rail=10.0, left=0.0, winner=0):
        monkeypatch.setattr(unsupervised, "settled_membranes", lambda network, schedule, states, image: states[:, 0] * image)
        monkeypatch.setattr(unsupervised, "rail", lambda neuron: rail)
        monkeypatch.setattr(unsupervised, "left_over", lambda neuron, schedule, top: left * top)
        count = len(volts) - 1
        states = np.stack([np.linspace(0, most, 4)[:, None] for most in volts])
        learned = Learned(4, np.zeros(count, int), np.full(count, winner), states, np.zeros((count + 1, 4)))
        return doubts(unsupervised_xpue(), np.ones((count, 1)), learned)
    return call


@pytest.mark.parametrize(("volts", "clipped"), [
    ((12, 5, 5, 5), 1), ((5, 12, 5, 5), 2), ((5, 5, 5, 12), 1), ((5, 5, 5, 10), 1), ((12, 12, 12, 12), 3)])
def test_stages_clip_in_presentations_before_or_after_which_a_membrane_wants_the_rail(said, volts, clipped):
    words = said(*volts)
    assert words.startswith(f"stages clip in {clipped} of 3 presentations: {max(volts)} V wanted of a membrane, the rail is at ")
    assert words.endswith(f"; {NOTHING}") and "come to rest" not in words


def test_from_the_threshold_to_the_rail_nothing_is_said(said):
    assert said(4.0, 2, 2) == said(2, 2, 9.99) == ""
    assert "the highest membrane settles at 3.99 V, below the threshold of 4 V" in said(3.99, 2, 2)
    assert "the stages give 3.9 V at most, below the threshold of 4 V" in said(5, 5, rail=3.9)


def test_what_is_left_of_the_highest_membrane_is_said(said):
    assert said(5, 8, 5, left=0.01) == (
        "membranes have not come to rest when the next pattern comes: of 8 V up to 0.08 V are left (a longer --period would help)"
        "; " + NOTHING)


def test_silence_has_the_reason_that_it_has(said):
    for volts, more, reason in (((3, 3), {}, "the highest membrane settles at 3 V"),
                                ((5, 5), {"rail": 3.9}, "the stages give 3.9 V"),
                                ((5, 5), {}, "membranes are too slow for the pulse: they settle at up to 5 V")):
        assert said(*volts, winner=SILENT, **more).startswith(f"all neurons stay silent: {reason}")
        assert "silent" not in said(*volts, winner=0, **more)


def test_from_the_sure_resistance_on_inhibition_may_be_too_weak():
    def words(ohms):
        return weak_inhibition(SimpleNamespace(learning=SimpleNamespace(inhibition_resistance=ohms), sure_inhibition=2000.0))
    assert words(1999.0) == "" and words(2000.0).startswith("from --inhibition-resistance 2e+03 on, here 2000 ohm, ")
