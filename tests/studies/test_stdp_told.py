"""What the study of the circuit that learns by itself tells, draws and keeps of several seeds; the transients are played."""

from types import SimpleNamespace

import numpy as np
import pytest

from memristive.io.claims import NotOverwritten
from memristive.single_layer.spike_decoding import SILENT
from memristive.stdp.pattern_learning import Learned, unsupervised_xpue
from studies import unsupervised as stdp
from studies import unsupervised_mnist as stdp_mnist


@pytest.fixture
def told(tmp_path, monkeypatch):
    """told(*options): the trials, what was learned of each, and the drawings' data by name. Neuron 0 wins all there is."""
    trials, learned, drawn = [], [], {}

    def learn(session, task, trial, watch):
        trials.append(trial)
        count = len(trial.order)
        learned.append(Learned(4, trial.order, np.zeros(count, int), np.zeros((1 + count, 4, 9)), np.zeros((1 + count, 4))))
        return learned[-1]
    monkeypatch.setattr(stdp, "learn", learn)
    monkeypatch.setattr(stdp, "NgspiceSession", lambda: SimpleNamespace(version=44))
    monkeypatch.setattr(stdp, "draw", lambda options, name, plot, *data: drawn.update({name: data}))
    monkeypatch.setattr(stdp, "save_animation", lambda run, *rest: drawn.update(moving=run) or tmp_path)
    monkeypatch.setattr(stdp, "doubts", lambda *_: "")
    monkeypatch.setattr(stdp, "foretold", lambda *_: None)

    def call(*options):
        stdp.main(["--presentations", "3", "--figures", str(tmp_path), *options])
        return trials, learned, drawn
    return call


def test_winners_and_thresholds_that_are_drawn_are_the_first_seeds(told):
    trials, learned, drawn = told("--seeds", "2", "--spread", "0.2")
    assert drawn["stdp_xpue_spread_weights"][0] is drawn["stdp_xpue_spread_winners"][0] is learned[0]
    first, second = (trial.chip.neurons(unsupervised_xpue().design.network.neuron).threshold for trial in trials)
    assert np.array_equal(drawn["stdp_xpue_spread_winners"][2], first) and not np.isclose(first, second).any()
    *_, drawn = told("--seeds", "2")
    assert drawn["moving"] is learned[2] and drawn["stdp_xpue_winners"][2].tolist() == [4.0] * 4  # V, of every neuron


def test_a_doubt_about_a_later_seed_is_said_as_well(told, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(stdp, "doubts", lambda task, images, run: asked.append((images, run)) or "clipped" * (len(asked) == 2))
    trials, learned, _ = told("--seeds", "3", "--spread", "0.1")
    assert capsys.readouterr().err == "warning: clipped\n"  # once
    for (images, run), trial, one in zip(asked, trials, learned, strict=False):
        assert images is trial.images and run is one


@pytest.mark.parametrize(("option", "first", "second"), [
    ("--spread", "0.1", "0.2"), ("--flipped", "0.1", "0.2"), ("--pulse", "0.5e-3", "0.4e-3"), ("--seeds", "2", "1")])
def test_results_of_another_spread_or_circuit_are_not_overwritten_unasked(told, option, first, second):
    told(option, first)
    with pytest.raises(NotOverwritten, match=f"{option} .*{first.replace('0.5e-3', '0.0005')} there"):
        told(option, second)


def test_patterns_that_were_never_shown_are_not_called_shared(told, capsys):
    """Three presentations of four patterns: that not each has a neuron does not tell anything of the circuit."""
    told("--spread", "0.1")
    said = capsys.readouterr().out
    assert "not shown" in said and "shared" not in said
    everything = Learned(4, np.arange(4), np.zeros(4, int), np.zeros((5, 4, 9)), np.zeros((5, 4)))
    silent = Learned(4, np.arange(4), np.full(4, SILENT), np.zeros((5, 4, 9)), np.zeros((5, 4)))
    each = Learned(4, np.arange(4), np.arange(4), np.zeros((5, 4, 9)), np.zeros((5, 4)))
    assert [stdp._whose(one) for one in (everything, silent, each)] == ["shared", "silent", "each"]


def test_the_interval_of_ngspices_accuracy_is_that_of_the_images_it_read():
    """One of four is right: by Wilson's formula 4.6 to 69.9 %, though five images were there."""
    reads = iter([50e-6, np.nan, np.nan, np.nan])
    reader = SimpleNamespace(spikes=lambda image: (np.array([0]), np.array([next(reads)])))
    found = stdp_mnist.test_in_ngspice(SimpleNamespace(samples=4), reader, np.array([7]), np.zeros((5, 4)), np.full(5, 7),
                                       np.full(5, 7), None)
    assert found["strict_interval_95"] == pytest.approx([0.0456, 0.6994], abs=2e-4)
