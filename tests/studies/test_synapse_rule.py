"""The rule of one synapse, and the STDP window with the neuron's own spike."""

import numpy as np
import pytest

from memristive.io.results import load_results, load_table
from memristive.learning.stdp.circuit import SelfLearningSetup
from memristive.learning.stdp.closed_form import constants
from memristive.spice.parameters import ParameterError
from studies.synapse_rule import closed_form, main

K = constants(SelfLearningSetup())
TAU = K.leak * (K.c + K.cox)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """record(*settings) runs a short study; returns its file."""
    folder = tmp_path_factory.mktemp("synapse")

    def run(*settings):
        settings = [f"experiment.{setting}" for setting in ("doses=3", "pairings=7", *settings)]
        main(["--set", *settings, "--results", str(folder), "--figures", str(folder), "--force"])
        return folder / "instar.json"
    return run


def test_writes_and_spikes_follow_the_closed_form(record):
    path = record()
    content, writes = load_results(path), load_table(path)
    # 1. A write moves the state towards the leak times the input.
    assert len(writes) == 27 and np.abs(writes.measured_V - writes.closed_form_V).max() == content["deviation_V"] < 6e-3
    leaking = writes[writes.input_V == 0]  # without an input the gate is C + C_gate at any X
    assert leaking.measured_V.to_numpy() == pytest.approx(leaking.state_V * np.exp(-leaking.dose_s / TAU), abs=6e-3)
    # 2. Overlap with the neuron's spike potentiates, a spike without a pre pulse depresses.
    window = {key: np.array([row[key] for row in content["window_rows"]]) for key in content["window_rows"][0]}
    assert np.abs(window["measured_V"] - window["closed_form_V"]).max() == content["window_deviation_V"] < 10e-3
    assert window["difference_s"] == pytest.approx(np.linspace(-1.5e-3, 1.5e-3, 7), abs=0.2e-3)
    together = np.argmin(np.abs(window["difference_s"]))
    assert together == np.argmax(window["spike_duration_s"]) and window["measured_V"][together] > 0.15
    assert np.all(window["measured_V"][np.abs(window["difference_s"]) > 1e-3] < -0.2)
    # 3. A shorter pre pulse overlaps less.
    shorter = load_results(record("pre_duration=0.2e-3", "pairings=3"))["window_rows"][1]["measured_V"]
    assert shorter < window["measured_V"][3] - 0.1


def test_closed_form_tends_to_its_limit_and_adds_up():
    assert closed_form(K, 2.0, [(1e-3, 1.0), (1e-3, 1.0)]) == pytest.approx(closed_form(K, 2.0, [(2e-3, 1.0)]), abs=1e-3)
    assert closed_form(K, 2.0, [(0.0, 1.0)]) == pytest.approx(2.0)
    for volts, lift in ((0.0, 0.0), (0.5, 0.23), (1.0, 0.45)):  # at rest X is lower than the gate that the input lifts
        assert closed_form(K, 1.0, [(30 * TAU, volts)]) == pytest.approx(5.0 * volts - lift, abs=0.05)


def test_a_synapse_that_makes_the_neuron_fire_is_refused(record):
    with pytest.raises(ParameterError, match="state"):
        record("state=6", "pairings=9")
