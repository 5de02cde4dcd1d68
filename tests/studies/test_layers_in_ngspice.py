"""The study that reads trained layers in ngspice beside the closed form: what it counts, and what it writes."""

import json

import numpy as np
import pytest

from learning.layers import LayeredLearning, LayeredNetwork, train
from records.voltages import Voltages, save_layers
from studies import layers_in_ngspice
from studies.layers_in_ngspice import Compared
from workflow.layered import TASKS, LayeredPlan


def test_what_differs_is_counted():
    found = Compared()
    found.add([np.array([1e-5, np.nan]), np.array([3e-5, 2e-5])], [np.array([1.2e-5, 5e-5]), np.array([3e-5, 2.1e-5])])
    found.add([np.array([1e-5, 2e-5]), np.array([3e-5, 2e-5])], [np.array([1e-5, 2e-5]), np.array([2.9e-5, 2.901e-5])])
    assert found.as_dict()["largest_error_of_layers"] == pytest.approx([2e-6, 9.01e-6])
    assert found.as_dict()["decided_otherwise"] == [{"image": 1, "lead": pytest.approx(10e-9)}]  # a tie, in closed form


@pytest.fixture
def saved(tmp_path):
    """A network of 12 hidden neurons that has seen digits, in a voltages file."""
    plan = LayeredPlan(TASKS["digits"], TASKS["digits"].rule, (12,))
    data = plan.data()
    learning = LayeredLearning.begin(plan.begin(data), plan.rule)
    next(train(learning, plan.rule, data.images, data.labels, block=3000))
    network: LayeredNetwork = learning.network
    origin = {**plan.as_dict(), "network": network.parameters.as_dict(), "design": network.design.as_dict()}
    path = tmp_path / "layers_few.json"
    save_layers(path, network.states, Voltages(network.states[-1], "digits", "grey", "layers", origin))
    return path


def test_both_ways_of_ngspice_decide_as_the_closed_form(saved, tmp_path, capsys):
    layers_in_ngspice.main(["--data", "digits", "--voltages", str(saved), "--samples", "6", "--whole", "1", "--figures",
                            str(tmp_path)])
    found = json.loads((tmp_path / "layers_in_ngspice_few_results.json").read_text(encoding="utf-8"))
    for kind, images in (("layer_by_layer_beside_closed_form", 6), ("whole_beside_closed_form", 1),
                         ("layer_by_layer_beside_whole", 1)):
        assert found[kind]["images"] == images and found[kind]["decided_otherwise"] == []
        assert 0 < max(found[kind]["largest_error_of_layers"]) < 0.8e-6
    assert found["ngspice"] == found["closed_form"] and found["ngspice"]["samples"] == 6
    assert found["ngspice"]["strict_accuracy"] > 0.5
    assert "layer by layer beside whole             1                 0" in capsys.readouterr().out


def test_interrupted_it_keeps_what_is_read_apart_from_what_was_finished(saved, tmp_path, monkeypatch):
    arguments = ["--data", "digits", "--voltages", str(saved), "--samples", "5", "--figures", str(tmp_path)]
    layers_in_ngspice.main(arguments)
    whole = tmp_path / "layers_in_ngspice_few_results.json"
    before, add = whole.read_bytes(), Compared.add

    def stopped(self, *reads):
        if len(self.spikes) == 2:
            raise KeyboardInterrupt
        add(self, *reads)
    monkeypatch.setattr(Compared, "add", stopped)
    with pytest.raises(KeyboardInterrupt):
        layers_in_ngspice.main(arguments)
    assert whole.read_bytes() == before
    monkeypatch.setattr(Compared, "add", add)
    partial = json.loads((tmp_path / "layers_in_ngspice_few_partial_results.json").read_text(encoding="utf-8"))
    assert partial["ngspice"]["samples"] == partial["layer_by_layer_beside_closed_form"]["images"] == 2
    layers_in_ngspice.main(arguments)
    assert not (tmp_path / "layers_in_ngspice_few_partial_results.json").exists()
