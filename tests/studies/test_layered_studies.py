"""The studies about layers on a few presentations: their rows, their summaries, what going on keeps, and their figures."""

import argparse
import dataclasses
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from datasets import encode
from memristive.cli.command_line import run
from memristive.io.claims import NotOverwritten, locked
from memristive.io.results import holds
from memristive.multilayer.layer_netlist import LayerDesign
from memristive.multilayer.layer_rule import LayeredRule
from studies import device_variability as imperfect_chips
from studies import gradient_angle as layer_gradient
from studies import hidden_neurons
from studies import layer_variability as imperfect_layers
from studies.layer_experiments import TASKS, LayeredData, LayeredTask
from tests.helpers import one_line


@pytest.fixture(autouse=True)
def few_images(monkeypatch, mnist):
    """Two hundred training and forty test images, so that a case takes a moment."""
    train, test = (encode(mnist[name][:count], 10, "grey") for name, count in (("x_train", 200), ("x_test", 40)))
    labels = mnist["y_train"][:200].astype(int), mnist["y_test"][:40].astype(int)
    few = LayeredData(train, labels[0], test, labels[1])
    for study in (hidden_neurons, imperfect_layers):
        monkeypatch.setattr(study, "images", lambda: few)
    monkeypatch.setattr(LayeredTask, "data", lambda *arguments: few)


def results(folder, name):
    return json.loads((folder / f"{name}_results.json").read_text(encoding="utf-8"))


def test_hidden_neurons_has_a_row_for_each_size_and_seed_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hidden_neurons, "HIDDEN", (0, 5, 25, 100, 400))
    options = ["--presentations", "600", "--seeds", "2", "--jobs", "1", "--figures", str(tmp_path)]
    assert run(hidden_neurons.main, options) == 0
    found = results(tmp_path, "hidden_neurons")
    assert [(row["hidden"], row["seed"]) for row in found["rows"]] == [(h, s) for h in (0, 5, 25, 100, 400) for s in (1, 2)]
    for row in found["rows"]:
        assert row["presentations"][-1] == 600 and len(row["running_accuracy"]) == len(row["presentations"])
    for size in found["summary"]:
        own = [row["strict_accuracy"] for row in found["rows"] if row["hidden"] == size["hidden"]]
        assert (size["mean"], size["low"], size["high"], size["seeds"]) == (pytest.approx(np.mean(own)), min(own), max(own), 2)
    assert {path.name for path in tmp_path.glob("*.png")} == {"hidden_neurons_accuracy.png", "hidden_neurons_learning.png"}
    monkeypatch.setattr(hidden_neurons, "judge", lambda case: pytest.fail("was there already"))
    assert run(hidden_neurons.main, [*options, "--resume"]) == 0
    lacking, last = found | {"rows": found["rows"][:-1]}, found["rows"][-1]
    (tmp_path / "hidden_neurons_results.json").write_text(json.dumps(lacking), encoding="utf-8")
    monkeypatch.setattr(hidden_neurons, "judge", lambda case: last if case.name == (400, 2) else pytest.fail("was there already"))
    assert run(hidden_neurons.main, [*options, "--resume"]) == 0 and results(tmp_path, "hidden_neurons")["rows"][-1] == last
    capsys.readouterr()
    assert run(hidden_neurons.main, [*options[2:]]) == 2
    assert "--presentations (600 there, 600000 now)" in one_line(capsys.readouterr().err)


def test_a_learning_curve_is_the_share_answered_rightly(monkeypatch):
    """A history is played in which every fourth answer is right, of the last thousand presentations nine of ten."""
    history = np.zeros((12000, 2), bool)
    history[::4, 0] = history[1::3, 1] = True
    history[-1000:, 0] = np.arange(1000) % 10 > 0
    learn, sizes = hidden_neurons.learn, []
    monkeypatch.setattr(hidden_neurons, "learn", lambda start, *given: sizes.append(start.network.sizes) or dataclasses.replace(
        learn(start, *given), history=history))
    row = [hidden_neurons.judge(hidden_neurons.Case(hidden, LayeredRule(presentations=100))) for hidden in (0, 5)][-1]
    assert sizes == [(100, 10), (100, 5, 10)]
    curve = dict(zip(row["presentations"].tolist(), row["running_accuracy"].tolist(), strict=True))
    assert min(curve) == 100 and curve[100] == 0.25 and curve[12000] == pytest.approx((1000 + 900) / 5000)
    assert row["writes"] == 4000
    drawn = [row | {"hidden": hidden} for hidden in hidden_neurons.DRAWN]
    line = hidden_neurons.learning_figure(drawn).axes[0].lines[0]
    assert line.get_xdata()[-1] == 12000 and line.get_ydata()[-1] == pytest.approx(100 - 38)  # % wrong
    plt.close("all")


def test_ex_situ_weights_are_the_ideal_chips_and_in_situ_ones_are_learned_there(tmp_path, monkeypatch, ngspice):
    options = ["--presentations", "300", "--hidden", "8", "--chips", "2", "--jobs", "1", "--ngspice", "2", "--figures"]
    options.append(str(tmp_path))
    network_of, asked = imperfect_layers.network_of, []
    monkeypatch.setattr(imperfect_layers, "network_of", lambda case: asked.append(case) or network_of(case))
    assert run(imperfect_layers.main, options) == 0
    assert asked[0].plan.chip is None and all(case.plan.chip for case in asked[1:])  # first the ideal one
    found = results(tmp_path, "imperfect_layers")
    assert {(row["spread"], row["seed"], row["route"]) for row in found["rows"]} == {
        (spread, seed, route) for spread in imperfect_layers.SPREADS for seed in (1, 2) for route in ("in situ", "ex situ")}
    assert all(row["chips"] == 2 and row["low"] <= row["mean"] <= row["high"] for row in found["summary"])
    assert [(row["spread"], row["route"]) for row in found["judged"]] == [
        (spread, route) for spread in (0.02, 0.1) for route in ("in situ", "ex situ")]
    for row in found["judged"]:
        assert row["samples"] == 2 and row["decided_otherwise"] == 0 and row["largest_deviation"] < 0.5e-6
    rule = LayeredRule(presentations=300)
    ideal = imperfect_layers.network_of(imperfect_layers.Case(0.0, 0, rule, 8))
    carried = imperfect_layers.network_of(imperfect_layers.Case(0.1, 1, rule, 8, ideal.states))
    assert ideal.chip is None and carried.states is ideal.states and carried.chip[0].threshold.std() > 0.03
    learned = imperfect_layers.network_of(imperfect_layers.Case(0.1, 1, rule, 8))
    assert np.array_equal(learned.chip[1].channel, carried.chip[1].channel)
    second = imperfect_layers.network_of(imperfect_layers.Case(0.1, 2, rule, 8, ideal.states))  # another chip in all that differs
    for name in ("channel", "write", "threshold"):
        assert not np.isclose(getattr(second.chip[0], name), getattr(carried.chip[0], name)).any()
    assert np.abs(learned.states[1] - ideal.states[1]).max() > 0.01


def test_the_rules_write_goes_downhill(tmp_path, capsys):
    options = ["--presentations", "2000", "--hidden", "30", "--errors", "20", "--figures", str(tmp_path)]
    assert run(layer_gradient.main, options) == 0
    said = capsys.readouterr().out
    for when in ("before learning", "after learning"):
        found = results(tmp_path, "layer_gradient")[when]
        assert when in said and found["errors"] == len(found["degrees"]["hidden"]) > 5
        assert found["quartiles"]["output"][1] < 30 and found["quartiles"]["hidden"][1] < 80
        assert found["lead_grew"] > 0.8
    assert len({str(results(tmp_path, "layer_gradient")[when]["degrees"]) for when in ("before learning", "after learning")}) == 2


def test_what_ngspice_says_of_a_chip_stands_beside_what_the_closed_form_says(tmp_path, monkeypatch, capsys):
    """Spikes are played: of the second image ngspice sees another neuron first, by 50 us; a silent one has no deviation."""
    labels = imperfect_layers.images().test_labels[:2]
    exact = np.full((2, 10), 90e-6)
    exact[[0, 1], labels] = 50e-6
    exact[0, (labels[0] + 1) % 10] = np.nan
    late = exact + 1e-9
    late[1, (labels[1] + 1) % 10] = 40e-6
    monkeypatch.setattr(imperfect_layers, "read_tests", lambda network, images, labels, engine, *_: {
        "ngspice": late, "closed-form": exact}[engine])
    monkeypatch.setattr(imperfect_layers, "network_of", lambda case: argparse.Namespace(design=LayerDesign()))
    def judged():
        return imperfect_layers.judge_in_ngspice(imperfect_layers.Case(0.1, 1, LayeredRule(), 8), 2,
                                                 argparse.Namespace(jobs=1, figures=tmp_path))
    row = judged()
    assert (row["strict_accuracy"], row["closed_form_accuracy"], row["decided_otherwise"]) == (0.5, 1.0, 1)
    assert row["largest_deviation"] == pytest.approx(50e-6)
    exact[0, labels[0]] = np.nan  # and so the second one there, 40 us before the closed form's read ends
    exact[1] = late[1]
    assert judged()["largest_deviation"] == pytest.approx(40e-6, abs=1e-8)
    exact[:] = late[:] = np.nan  # nobody fires: the row says so, and can be gone on with
    assert judged()["largest_deviation"] is None and holds(judged(), imperfect_layers.JUDGED_ROW)
    imperfect_layers.print_rows({"rows": [], "judged": [judged()]})
    assert "no spikes to compare" in capsys.readouterr().out


def test_quartiles_are_quarters_and_a_lead_that_shrank_has_not_grown(tmp_path, monkeypatch):
    """Gains are played: of eleven errors, the right neuron gets earlier after eight writes, stays in two, gets later in one."""
    gains = [-1e-7, 0.0, 0.0, *[1e-7] * 8]
    rows = [{"hidden": 8.0 * k, "output": 2.0, "gain": gain} for k, gain in enumerate(gains)]
    assert layer_gradient.quartiles(rows)["hidden"] == [20.0, 40.0, 60.0]
    played, rules = iter(rows * 2), []
    monkeypatch.setattr(layer_gradient, "errors_of", lambda *_: ([(0, 0, 1)] * len(rows), 0))
    monkeypatch.setattr(layer_gradient, "measure", lambda network, rule, *_: rules.append(rule) or next(played))
    monkeypatch.setattr(layer_gradient, "print_angles", lambda measured: None)
    monkeypatch.setattr(layer_gradient, "draw", lambda *_: None)
    assert run(layer_gradient.main, ["--presentations", "1", "--hidden", "2", "--figures", str(tmp_path)]) == 0
    assert results(tmp_path, "layer_gradient")["after learning"]["lead_grew"] == pytest.approx(8 / 11)
    assert len(rules) == 22 and {rule.presentations for rule in rules} == {1}  # of which each write has the whole first dose


@pytest.mark.parametrize("study", [hidden_neurons, imperfect_layers])
def test_going_on_and_starting_afresh_are_not_one(study, tmp_path, capsys):
    """Together they would put networks of different parameters under one heading."""
    with pytest.raises(SystemExit) as ended:
        study.main(["--resume", "--force", "--figures", str(tmp_path)])
    assert ended.value.code == 2 and "give one of them" in capsys.readouterr().err


@pytest.mark.parametrize("study", [hidden_neurons, imperfect_layers, imperfect_chips])
def test_going_on_with_nothing_is_one_line(study, tmp_path, capsys):
    assert run(study.main, ["--resume", "--figures", str(tmp_path)]) == 1
    assert "_results.json: no results to go on with; leave --resume out to start afresh" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize("study", ["hidden_neurons", "imperfect_layers", "imperfect_chips"])
def test_a_stop_says_that_there_is_something_to_go_on_with(study, tmp_path, monkeypatch, capsys):
    """Work is played: two networks, then the user has had enough."""
    module = {"hidden_neurons": hidden_neurons, "imperfect_layers": imperfect_layers, "imperfect_chips": imperfect_chips}[study]
    row = {"hidden": 0, "seed": 1, "strict_accuracy": 0.9, "presentations": [1], "running_accuracy": [1], "spread": 0.02,
           "route": "in situ", "section": "spread", "encoding": "grey", "kind": "both", "key": 0.1, "accuracy": 0.9}

    def stopped(*given):
        yield [row] if study == "imperfect_chips" else row
        raise KeyboardInterrupt
    monkeypatch.setattr(module, "run_everywhere", stopped)
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: (np.zeros((10, 100)), 0.9))
    assert run(module.main, ["--presentations", "100", "--figures", str(tmp_path)][2 * (study == "imperfect_chips"):]) == 130
    path, = tmp_path.glob("*_results.json")
    assert f"what is done is kept in {path}; go on with --resume" in capsys.readouterr().out


def test_images_that_ngspice_has_read_are_not_left_out_unasked(tmp_path):
    options = argparse.Namespace(figures=tmp_path, resume=False, force=False, ngspice=0)
    imperfect_layers.refuse_to_forget(options)
    (tmp_path / "imperfect_layers_results.json").write_text(json.dumps({"judged": [{"samples": 100}, {"samples": 3}]}))
    with pytest.raises(NotOverwritten, match="reads of 100 images by ngspice; --resume keeps them"):
        imperfect_layers.refuse_to_forget(options)
    for name, value in (("resume", True), ("force", True), ("ngspice", 100)):
        imperfect_layers.refuse_to_forget(argparse.Namespace(**vars(options) | {name: value}))


@pytest.mark.parametrize("resume", [[], ["--resume"]])
@pytest.mark.parametrize("judged", [[{}], 5, [{"samples": "x"}], [{"samples": None}], [{"samples": 1.5}], ["x"], None,
                                    {"samples": 3}])
def test_reads_that_no_run_left_behind_are_one_line(judged, resume, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(imperfect_layers, "network_of", lambda case: pytest.fail("trained"))
    row = {"spread": 0.02, "seed": 1, "route": "in situ", "strict_accuracy": 0.9, "decided_otherwise": 0}
    if isinstance(judged, list):
        judged = [row | one if isinstance(one, dict) and one else one for one in judged]
    path, content = tmp_path / "imperfect_layers_results.json", {"ideal": 0.9, "rows": [], "judged": judged}
    path.write_text(json.dumps(content | {"parameters": {"engine": "closed-form"}}))
    assert run(imperfect_layers.main, ["--figures", str(tmp_path), *resume]) == 1
    said = one_line(capsys.readouterr().err)
    assert f"{path}: its 'judged' are none of an earlier run; --force starts afresh" in said


@pytest.mark.parametrize("lost", ["strict_accuracy", "closed_form_accuracy", "largest_deviation"])
def test_reads_without_what_is_printed_of_them_are_not_gone_on_with(lost, tmp_path, capsys, monkeypatch):
    """Else the study would learn for minutes, and end in a traceback."""
    monkeypatch.setattr(imperfect_layers, "network_of", lambda case: pytest.fail("trained"))
    row = {"spread": 0.02, "seed": 1, "route": "in situ", "strict_accuracy": 0.9, "samples": 10, "closed_form_accuracy": 0.9,
           "decided_otherwise": 0, "largest_deviation": 1e-7}
    del row[lost]
    content = {"ideal": 0.9, "rows": [], "judged": [row], "parameters": {"engine": "closed-form"}}
    (tmp_path / "imperfect_layers_results.json").write_text(json.dumps(content))
    assert run(imperfect_layers.main, ["--figures", str(tmp_path), "--resume"]) == 1
    assert "cannot be gone on with: its 'judged' are none of an earlier run" in one_line(capsys.readouterr().err)


def test_ngspice_reads_anew_only_what_it_has_read_of_fewer_images(tmp_path, monkeypatch):
    rule, options = LayeredRule(presentations=1), argparse.Namespace(figures=tmp_path, ngspice=5)
    work = [imperfect_layers.Case(spread, 1, rule, 8) for spread in (0.02, 0.1, 0.2)]

    def row(case, samples, said):
        return {"spread": case.spread, "seed": 1, "route": "in situ", "samples": samples, "said": said}
    monkeypatch.setattr(imperfect_layers, "NgspiceSession", object)
    monkeypatch.setattr(imperfect_layers, "judge_in_ngspice", lambda case, count, options: row(case, count, "now"))
    monkeypatch.setattr(imperfect_layers, "write_results", lambda *_: None)
    before = [row(case, samples, "before") for case, samples in zip(work, (10, 5, 4), strict=True)]
    found = {"judged": before}
    imperfect_layers._judged(options, found, {}, work)
    assert [(one["spread"], one["samples"], one["said"]) for one in found["judged"]] == [
        (0.02, 10, "before"), (0.1, 5, "before"), (0.2, 5, "now")]


@pytest.fixture
def played(monkeypatch):
    """Networks that are nothing but names; at the stroke of `stop` the user has had enough. The function runs the study."""
    state = {"left": 0}

    def step(row, **more):
        state["left"] -= 1
        if state["left"] < 0:
            raise KeyboardInterrupt
        return row | {"strict_accuracy": 0.5} | more

    def row(case):
        return {"spread": case.spread, "seed": case.seed, "route": case.route}
    network = argparse.Namespace(states=(), first_spikes=lambda images: np.full((len(images), 10), np.nan))
    monkeypatch.setattr(imperfect_layers, "network_of", lambda case: network)
    monkeypatch.setattr(imperfect_layers, "judge", lambda case: step(row(case)))
    monkeypatch.setattr(imperfect_layers, "judge_in_ngspice", lambda case, count, options: step(
        row(case), samples=count, closed_form_accuracy=0.5, decided_otherwise=0, largest_deviation=0.0))
    monkeypatch.setattr(imperfect_layers, "NgspiceSession", lambda: argparse.Namespace(version=44))
    for name in ("draw", "warn_of_layers"):
        monkeypatch.setattr(imperfect_layers, name, lambda *_, **more: None)

    def run_study(stop, *options):
        state["left"] = stop
        return run(imperfect_layers.main, ["--chips", "1", "--jobs", "1", *options])
    return run_study


def test_reads_of_an_earlier_run_outlive_a_stop_among_more_of_them(played, tmp_path):
    """Ten networks, then four reads: a run that is stopped among the reads has all rows, and none of the earlier reads."""
    folder = ("--figures", str(tmp_path))
    assert played(14, "--ngspice", "100", *folder) == 0
    for stop, rows, reads in ((10, 10, [100] * 4), (11, 10, [100] * 4), (13, 10, [200] * 3)):
        assert played(stop, "--ngspice", "200", *folder) == 130
        found = results(tmp_path, "imperfect_layers")
        assert (len(found["rows"]), [row["samples"] for row in found["judged"]]) == (rows, reads)
    assert played(1, "--ngspice", "200", "--resume", *folder) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["imperfect_layers_results.json"]


def test_ngspice_reads_the_first_chip_of_several(played, tmp_path, monkeypatch):
    """Twenty networks, four reads; and a warning, if there is one, of the ideal network at the images that are tested."""
    warned = []
    monkeypatch.setattr(imperfect_layers, "warn_of_layers", lambda network, images, options: warned.append((images, options)))
    assert played(24, "--chips", "2", "--ngspice", "5", "--figures", str(tmp_path)) == 0
    found = results(tmp_path, "imperfect_layers")
    assert [row["seed"] for row in found["judged"]] == [1] * 4 and len(found["rows"]) == 20
    assert [(len(images), options) for images, options in warned] == [(40, False)]  # the doses are no options of this study


def test_rows_of_another_network_that_were_asked_for_by_force_are_not_lost(played, tmp_path):
    assert played(10, "--figures", str(tmp_path)) == 0
    assert played(3, "--hidden", "7", "--force", "--figures", str(tmp_path)) == 130
    found = results(tmp_path, "imperfect_layers")
    assert (found["parameters"]["hidden"], len(found["rows"])) == (7, 3)


def test_decisions_of_a_stopped_run_are_claimed_and_go_when_all_is_read(played, tmp_path, capsys):
    partial, folder = tmp_path / "imperfect_layers_0.1_in_situ_partial_decisions.csv.gz", ("--figures", str(tmp_path))
    partial.write_bytes(b"")
    with locked(partial):
        assert played(0, "--ngspice", "5", *folder) == 1
        assert "is being written by another run" in one_line(capsys.readouterr().err)
    assert played(12, "--ngspice", "5", *folder) == 130
    case = imperfect_layers.Case(0.1, 1, dataclasses.replace(TASKS["mnist"].rule, presentations=300_000), 100)
    stopped = imperfect_layers.partial_of(case, argparse.Namespace(figures=tmp_path))
    stopped.keep(range(3), np.arange(3), np.ones((3, 10)), None, 2e-8)
    assert stopped.path == partial and '"route": "in situ"' in stopped.heading and '"neuron_threshold": 0.1' in stopped.heading
    assert played(14, *folder) == 2 and partial.exists()  # reads nothing, and would forget what is read
    assert played(14, "--ngspice", "5", *folder) == 0 and not partial.exists()
    stopped.keep(range(3), np.arange(3), np.ones((3, 10)), None, 2e-8)  # a stop between the last results and their removal
    assert played(0, "--ngspice", "5", "--resume", *folder) == 0 and not partial.exists()
    (tmp_path / "imperfect_layers_results.json").unlink()
    stopped.keep(range(3), np.arange(3), np.ones((3, 10)), None, 2e-8)
    capsys.readouterr()
    assert played(14, "--ngspice", "5", "--hidden", "7", *folder) == 2 and partial.exists()
    assert "holds decisions of another network" in one_line(capsys.readouterr().err)
    assert played(14, "--ngspice", "5", "--hidden", "7", "--force", *folder) == 0 and not partial.exists()


@pytest.mark.parametrize("changes", [{"running_accuracy": [0.5]}, {"presentations": "x"}, {"running_accuracy": [0.5, None]},
                                     {"hidden": "5"}, {"seed": [1]}, {"hidden": 7}, {"seed": 4}, {"seed": -5}])
def test_rows_that_could_not_be_drawn_are_not_gone_on_with(changes, tmp_path, capsys, monkeypatch):
    """They would end the study, after minutes, in a traceback."""
    monkeypatch.setattr(hidden_neurons, "judge", lambda case: pytest.fail("trained"))
    row = {"hidden": 0, "seed": 1, "strict_accuracy": 0.9, "presentations": [100, 600], "running_accuracy": [0.5, 0.9]}
    content = {"rows": [row | changes], "parameters": {"engine": "closed-form"}}
    (tmp_path / "hidden_neurons_results.json").write_text(json.dumps(content))
    assert run(hidden_neurons.main, ["--figures", str(tmp_path), "--resume", "--jobs", "1"]) == 1
    assert "cannot be gone on with: its 'rows' are none of an earlier run" in one_line(capsys.readouterr().err)
