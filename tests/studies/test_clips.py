"""Studies of layers say in one line when stages clip, where the closed form is not what ngspice will say."""

import dataclasses
import functools
import sys
import warnings

import numpy as np
import pytest

from memristive.io.voltages import Voltages, save_layers
from memristive.multilayer.clipping import StagesClip
from memristive.multilayer.layer_network import LayeredNetwork
from studies import hidden_neurons, layers, own_data
from studies import layer_experiments as layered
from studies import layer_training_agreement as layers_in_step
from studies import layer_variability as imperfect_layers
from studies import ngspice_layers as layers_in_ngspice
from studies.layer_experiments import TASKS, LayeredPlan


def the_line(said):
    """What one line of warning says."""
    lines = said.splitlines()
    assert len(lines) == 1 and lines[0].startswith("warning: stages clip, which ngspice knows and the closed form does not: ")
    return lines[0]


def test_layers_say_it_after_training_and_when_tested_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(layers, "draw", lambda *arguments, **more: None)
    places = ["--data", "digits", "--samples", "50", "--figures", str(tmp_path), "--voltages", str(tmp_path / "digits.json")]
    train = [*places, "--hidden", "--presentations", "10000", "--force"]
    layers.main([*train, "--output-dose", "2"])
    assert the_line(capsys.readouterr().err).endswith("a smaller --output-dose would help")
    layers.main([*places, "--test-only"])
    assert "of 50 images are decided otherwise" in the_line(capsys.readouterr().err)
    layers.main(train)
    layers.main([*places, "--test-only", "--force"])
    assert capsys.readouterr().err == ""


def test_reads_in_ngspice_say_it_before_they_begin(tmp_path, capsys, monkeypatch):
    plan = LayeredPlan(TASKS["digits"], TASKS["digits"].rule, ())
    start: LayeredNetwork = plan.begin(plan.data())
    origin = {**plan.as_dict(), "network": start.parameters.as_dict(), "design": start.design.as_dict()}
    path = tmp_path / "layers_few.json"
    arguments = ["--data", "digits", "--voltages", str(path), "--samples", "2", "--figures", str(tmp_path), "--force"]
    monkeypatch.setattr(layers_in_ngspice.Reading, "read", lambda reading, jobs: sys.exit("begun"))
    for states in (start.states[0], start.states[0] + 10 * np.arange(10)[:, None]):
        save_layers(path, (states,), Voltages(states, "digits", "grey", "layers", origin))
        with pytest.raises(SystemExit):
            layers_in_ngspice.main(arguments)
        said = capsys.readouterr().err
        if states is start.states[0]:
            assert said == ""
        else:
            assert the_line(said).endswith("a smaller --output-dose would help")


def test_own_data_say_it_once_for_all_folds(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(own_data, "draw", lambda *arguments, **more: None)
    monkeypatch.setattr(own_data, "_models", lambda model, seed: {"memristors": model})
    arguments = ["wine", "--hidden", "--figures", str(tmp_path), "--voltages", str(tmp_path / "wine.json")]
    own_data.main([*arguments, "--dose", "2"])
    said = the_line(capsys.readouterr().err)
    assert said.endswith("a smaller dose (it is 2 V) would help (and so in 10 more of the networks trained)")
    own_data.main([*arguments, "--force"])
    assert capsys.readouterr().err == ""


def test_own_data_hand_on_what_else_is_warned_of():
    with pytest.warns(UserWarning, match="else") as warned, own_data._clips_in_a_line():
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert len(warned) == 1


def test_own_data_say_it_also_where_python_shows_no_warnings(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with own_data._clips_in_a_line():
            warnings.warn("they clip", StagesClip, stacklevel=1)
    assert capsys.readouterr().err == "warning: they clip\n"


@pytest.mark.parametrize(("dose", "says"), [("3", True), ("0.05", False)])
def test_a_stretch_in_ngspice_says_it_before_it_begins(tmp_path, capsys, monkeypatch, dose, says):
    monkeypatch.setattr(layers_in_step, "compare", lambda start, *more: sys.exit("begun"))
    with pytest.raises(SystemExit):
        layers_in_step.main(["--data", "digits", "--hidden", "30", "--presentations", "8001", "--after", "8000", "--stretch", "1",
                             "--figures", str(tmp_path), "--hidden-dose", dose])
    said = capsys.readouterr().err
    assert the_line(said).endswith("a smaller --hidden-dose would help") if says else said == ""


@pytest.mark.parametrize(("dose", "says"), [(3.0, True), (0.05, False)])
def test_studies_without_options_for_doses_name_the_rules(tmp_path, capsys, monkeypatch, dose, says):
    rule = dataclasses.replace(TASKS["digits"].rule, presentations=8000, hidden_dose=dose)
    task = dataclasses.replace(TASKS["digits"], rule=rule)
    monkeypatch.setattr(layered, "TASKS", {"mnist": task})
    for study in (hidden_neurons, imperfect_layers):
        monkeypatch.setattr(study, "TASKS", {"mnist": task})
        monkeypatch.setattr(study, "images", functools.cache(lambda: task.data(8, 1)))
    hidden_neurons.judge(hidden_neurons.Case(30, rule))
    first = capsys.readouterr().err
    monkeypatch.setattr(imperfect_layers, "run_everywhere", lambda *arguments, **more: sys.exit("begun"))
    with pytest.raises(SystemExit):
        imperfect_layers.main(["--presentations", "8000", "--hidden", "30", "--chips", "1", "--figures", str(tmp_path)])
    for said in (first, capsys.readouterr().err):
        assert the_line(said).endswith("a smaller hidden_dose would help") if says else said == ""
