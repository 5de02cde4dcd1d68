"""STDP without a teacher: whole runs of XPUE, the committed netlist in ngspice's own program, the script's words."""

import json
import re
import subprocess

import numpy as np
import pytest

from learning.self_learning import SILENT
from records.files import ROOT
from spice.parameters import ParameterError
from studies import stdp
from tests.helpers import script
from workflow.unsupervised import Learned, batch_netlist, learn, trial, unsupervised_digits, unsupervised_xpue


@pytest.fixture(scope="module")
def xpue_run(ngspice):
    """The transient of seed 2."""
    task = unsupervised_xpue()
    return learn(ngspice, task, trial(task, 4, 2))


def test_every_pattern_of_xpue_gets_a_neuron_of_its_own(xpue_run):
    task = unsupervised_xpue()
    assert xpue_run.each_its_own and xpue_run.purity == 1.0
    for pattern, owner in zip(task.patterns, xpue_run.owners, strict=True):
        weights = xpue_run.states[-1, owner]
        assert weights[pattern == 1].min() > 3.0 > 0.5 > weights[pattern == 0].max()


def test_committed_netlist_learns_in_ngspice_alone():
    """docs/learns_by_itself.cir needs no Python: the program prints another neuron for each pattern, and its states."""
    path = ROOT / "docs" / "learns_by_itself.cir"
    done = subprocess.run(["ngspice", "-b", str(path)], capture_output=True, text=True, timeout=120, check=True)
    owners = dict(re.findall(r"^pattern (.) has neuron (\d+)", done.stdout, re.MULTILINE))
    assert list(owners) == list("X+U=") and sorted(owners.values()) == list("0123")
    task = unsupervised_xpue()
    for pattern, label in zip(task.patterns, task.dataset.labels, strict=True):
        printed = re.search(rf"^neuron {owners[label]}: (.*)$", done.stdout, re.MULTILINE)
        weights = np.array(printed[1].split(), float)
        assert np.all((weights > 2) == (pattern == 1))


def test_committed_netlist_is_what_the_script_writes():
    task = unsupervised_xpue()
    assert (ROOT / "docs" / "learns_by_itself.cir").read_text() == batch_netlist(task, trial(task, 4, 1))


def test_a_pattern_whose_neuron_is_shared_or_silent_has_none_of_its_own():
    order = np.array([0, 1] * 3)
    states, homeostasis = np.zeros((7, 2, 4)), np.zeros((7, 2))
    for winners, each, purity in (([0, 1] * 3, True, 1.0), ([0, 0] * 3, False, 1.0), ([0, SILENT] * 3, False, 0.5),
                                  ([0, 1, 0, 1, 0, 0], True, 5 / 6)):
        learned = Learned(order, np.array(winners), states, homeostasis)
        assert learned.each_its_own is each
        assert learned.purity == pytest.approx(purity)


def test_a_trial_follows_from_its_seed_alone():
    task = unsupervised_digits()
    one, same, other = trial(task, 6, 3, 0.1, 0.1), trial(task, 6, 3, 0.1, 0.1), trial(task, 6, 4, 0.1, 0.1)
    assert np.array_equal(one.states, same.states) and np.array_equal(one.images, same.images) and one.chip == same.chip
    assert not np.array_equal(one.states, other.states)
    pixels, complements = one.images[:, :15], one.images[:, 15:]
    assert np.array_equal(pixels + complements, np.ones_like(pixels))
    assert np.mean(pixels != task.dataset.patterns[one.order]) == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(trial(task, 6, 3).images, task.patterns[one.order])


def test_more_patterns_than_neurons_and_no_images_are_refused():
    with pytest.raises(ParameterError, match="4 patterns cannot each have a neuron of their own among 3"):
        trial(unsupervised_xpue(), 3, 1)
    assert "--presentations: must be 1 to" in script("-m", "studies.stdp", "--presentations", 0, code=2)
    assert "forgets within a pulse" in script("-m", "studies.stdp", "--leak-resistance", 1e7, code=2)
    assert "must be 0 to 1, got 2" in script("-m", "studies.stdp", "--spread", 2, code=2)


def test_script_prints_the_owners_and_draws_its_figures(tmp_path, capsys):
    stdp.main(["--seeds", "2", "--presentations", "12", "--figures", str(tmp_path)])
    said = capsys.readouterr().out
    assert re.search(r"every pattern owned by a neuron of its own: \d of 2 seeds", said)
    results = json.loads((tmp_path / "stdp_xpue_results.json").read_text())
    assert results["all_seeds"] == [1, 2] and results["runs"] == 2 and np.shape(results["states_V"]) == (4, 9)
    for figure in ("stdp_xpue_weights.png", "stdp_xpue_winners.png", "stdp_xpue.gif"):
        assert 3000 < (tmp_path / figure).stat().st_size < 1_000_000
