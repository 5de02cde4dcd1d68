"""The study that teaches layers in ngspice beside the closed form: the same errors, the same writes."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from memristive.multilayer import layer_ngspice as layer_readout
from memristive.spice.parameters import ParameterError
from studies import layer_training_agreement as layers_in_step

SHORT = ["--data", "digits", "--hidden", "10", "--after", "100", "--stretch", "8"]


def test_ngspice_finds_the_errors_and_makes_the_writes_of_the_closed_form(tmp_path):
    layers_in_step.main([*SHORT, "--figures", str(tmp_path)])
    found = json.loads((tmp_path / "layers_in_step_digits_results.json").read_text(encoding="utf-8"))
    assert found["wrote"] >= 3 and found["presentations"] == 8
    assert found["in_step_otherwise"] == [] and found["free_otherwise"] == 0
    assert max(found["in_step_volts_apart"]) < 1e-3 < 0.03 < min(found["volts_moved"])
    assert max(found["free_volts_apart"]) < 3e-3


def test_a_weaker_write_in_ngspice_is_seen(tmp_path, monkeypatch):
    write = layer_readout.ColumnWriter.write
    monkeypatch.setattr(layer_readout.ColumnWriter, "write",
                        lambda self, column, levels, high, pulse, place=0: write(self, column, levels, high, 0.9 * pulse, place))
    layers_in_step.main([*SHORT, "--figures", str(tmp_path)])
    found = json.loads((tmp_path / "layers_in_step_digits_results.json").read_text(encoding="utf-8"))
    assert min(found["in_step_volts_apart"]) > 3e-3


def test_the_closed_form_goes_on_from_any_presentation_as_if_it_had_not_stopped():
    rule = dataclasses.replace(layers_in_step.TASKS["digits"].rule, presentations=40)
    plan = layers_in_step.LayeredPlan(layers_in_step.TASKS["digits"], rule, (10,))
    data = plan.data()
    start = layers_in_step.LayeredLearning.begin(plan.begin(data), rule)
    whole = layers_in_step.advance(start, rule, data, 40)
    parts = layers_in_step.advance(layers_in_step.advance(start, rule, data, 13), rule, data, 40)
    assert start.done == 0 and whole.done == 40
    assert layers_in_step.apart(whole.network, parts.network, start.network) == [0.0, 0.0]
    assert np.array_equal(whole.history, parts.history)


def test_how_far_a_lead_is_from_the_margin():
    task = layers_in_step.TASKS["digits"]
    plan = layers_in_step.LayeredPlan(task, dataclasses.replace(task.rule, margin=3e-6), (10,))
    data = plan.data()
    start = layers_in_step.LayeredLearning.begin(plan.begin(data), plan.rule)
    network = layers_in_step.advance(start, plan.rule, data, 999).network
    for done in range(20):
        learning = layers_in_step.LayeredLearning(network, np.zeros((plan.rule.presentations, 2), bool), done)
        wrote = layers_in_step.advance(learning, plan.rule, data, done + 1).history[done, 1]
        assert wrote == (layers_in_step.beyond_margin(network, plan.rule, data, done) < 0)


def taught():
    """The rule of 120 presentations, the digits, and what ten hidden neurons have learned in closed form after 100 of them."""
    task = layers_in_step.TASKS["digits"]
    rule = dataclasses.replace(task.rule, presentations=120)
    plan = layers_in_step.LayeredPlan(task, rule, (10,))
    data = plan.data()
    return rule, data, layers_in_step.advance(layers_in_step.LayeredLearning.begin(plan.begin(data), rule), rule, data, 100)


def test_what_was_answered_or_written_otherwise_is_counted(monkeypatch):
    """ngspice's part is played: all is answered rightly, nothing is written, but another network is there afterwards."""
    rule, data, start = taught()
    free = layers_in_step.advance(start, rule, data, 120).history[100:]
    networks = [dataclasses.replace(start.network, states=tuple(states + 0.01 * k for states in start.network.states))
                for k in range(21)]

    def present(learning):
        learning.history[learning.done] = True, False
        learning.done += 1
        learning.network = networks[learning.done - 100]
    monkeypatch.setattr(layers_in_step, "LayeredTeacher", lambda *_: SimpleNamespace(present=present))
    found = layers_in_step.compare(start, rule, data, 20, None)
    assert (found["answered_right"], found["wrote"]) == (20, 0)
    assert found["free_otherwise"] == np.sum(~free[:, 0] | free[:, 1]) > np.sum(~free[:, 0] & free[:, 1])
    leads = {case["presentation"]: case["beyond_margin"] for case in found["in_step_otherwise"]}
    before = {done: layers_in_step.beyond_margin(networks[done - 100], rule, data, done) for done in leads}
    assert leads == pytest.approx(before, nan_ok=True) and np.isfinite(list(leads.values())).any()


def test_cells_that_do_not_conduct_are_told_apart(monkeypatch):
    """ngspice's part is played: it does as the closed form, and all drifts by 1 mV, the rest by 4 mV, once by twice that."""
    rule, data, start = taught()
    states = tuple(layer.copy() for layer in start.network.states)
    for layer in states:
        layer[0, 0] = -9.0
    start.network = dataclasses.replace(start.network, states=states)

    def present(learning):
        told = layers_in_step.advance(learning, rule, data, learning.done + 1)
        most = 2 if learning.done == 102 else 1  # in the third of five
        drifted = tuple(layer + most * np.where(layer < 0, 4e-3, 1e-3) for layer in told.network.states)
        learning.network = dataclasses.replace(told.network, states=drifted)
        learning.history, learning.done = told.history, told.done
    monkeypatch.setattr(layers_in_step, "LayeredTeacher", lambda *_: SimpleNamespace(present=present))
    found = layers_in_step.compare(start, rule, data, 5, None)
    assert found["in_step_volts_apart"] == pytest.approx([2e-3, 2e-3])
    assert found["in_step_volts_apart_off"] == pytest.approx([8e-3, 8e-3])
    assert found["free_otherwise"] == 0 and max(found["free_volts_apart"]) < 15e-3
    assert found["free_volts_apart_off"] == pytest.approx([24e-3, 24e-3], rel=0.1)


def test_a_stretch_beyond_the_end_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="within --presentations, got 20000 and 500 of 20100"):
        layers_in_step.main(["--presentations", "20100", "--figures", str(tmp_path)])


@pytest.mark.parametrize(("otherwise", "said"), [(0, True), (1, True), (2, False)])
def test_how_far_states_were_apart_is_said_of_presentations_that_were_alike(otherwise, said, capsys):
    found = {"presentations": 2, "answered_right": 0, "wrote": 2, "volts_moved": [0.1], "in_step_volts_apart": [0.0],
             "in_step_volts_apart_off": [0.0], "free_otherwise": 0, "free_volts_apart": [0.0],
             "in_step_otherwise": [{"presentation": k, "beyond_margin": 1e-9} for k in range(otherwise)]}
    layers_in_step.report(found)
    assert ("after the others states were at most" in capsys.readouterr().out) is said


@pytest.mark.parametrize(("spikes", "label", "beyond"), [
    ([50, 62, np.nan], 0, 9), ([50, 62, 53.5], 0, 0.5), ([50, 62, np.nan], 1, -15), ([np.nan, 62, np.nan], 1, np.inf),
    ([50, 62, np.nan], 2, np.nan)])
def test_what_a_lead_is_beyond_the_margin_of_3_us(spikes, label, beyond):
    network = SimpleNamespace(first_spikes=lambda images: 1e-6 * np.array([spikes]))
    rule = dataclasses.replace(layers_in_step.TASKS["xor"].rule, margin=3e-6)
    data = SimpleNamespace(images=np.zeros((4, 2)), labels=np.full(4, label))
    found = layers_in_step.beyond_margin(network, rule, data, 5)
    assert 1e6 * found == pytest.approx(beyond, nan_ok=True)


FOUND = {"presentations": 4, "answered_right": 1, "wrote": 2, "volts_moved": [0.1], "in_step_volts_apart": [0.0],
         "in_step_volts_apart_off": [0.0], "free_otherwise": 0, "free_volts_apart": [0.0], "in_step_otherwise": []}


def test_ngspice_goes_on_where_it_is_asked_to_in_a_run_of_60000_presentations(tmp_path, monkeypatch):
    """Of which the first doses are the largest: XOR's own run of 240 would be at its smallest by then."""
    asked, warned = [], []
    monkeypatch.setattr(layers_in_step, "compare", lambda *given: asked.append(given) or FOUND)
    monkeypatch.setattr(layers_in_step, "warn_of_layers", lambda *given: warned.append(given))
    layers_in_step.main(["--data", "xor", "--hidden", "3", "--after", "30", "--stretch", "4", "--figures", str(tmp_path)])
    (start, rule, data, stretch, _), = asked
    assert (start.done, rule.presentations, stretch, start.network.sizes) == (30, 60_000, 4, (2, 3, 2))
    (network, images), = warned  # of what is taught
    assert network is start.network and images is data.images


def test_options_that_a_network_of_one_hidden_layer_has_no_use_for_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        layers_in_step.main(["--data", "xor", "--hidden", "3", "--error-scale", "2", "--figures", str(tmp_path)])
    assert "--error-scale has no bearing on a network of one hidden layer" in capsys.readouterr().err
