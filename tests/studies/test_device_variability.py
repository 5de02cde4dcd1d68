"""The study of imperfect chips: its cases, its rows, its figures and its hand-over to many processes."""

import argparse
import contextlib
import dataclasses
import json
import zlib

import numpy as np
import pytest

from datasets import encode
from memristive.cli import monte_carlo
from memristive.cli.command_line import run
from memristive.cli.experiments import mnist_experiment
from memristive.cli.monte_carlo import run_everywhere
from memristive.io.claims import NotOverwritten
from memristive.io.files import FileProblem
from memristive.io.voltages import checksum, states_of
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.closed_form import Crossbar
from memristive.spice.parameters import ParameterError
from memristive.variability.chip import Chip
from memristive.variability.chip_batch import Ensemble
from studies import device_variability as imperfect_chips
from studies import layer_variability as imperfect_layers
from studies.device_variability import LONG, SHORT, cases, judge, left_of, summary
from studies.device_variability_figures import FIGURES
from tests.helpers import one_line, script


@pytest.fixture
def few_images(monkeypatch, mnist):
    """Sixty training and forty test images, so that a case takes a moment."""
    images = (encode(mnist["x_train"][:60], 10, "grey"), mnist["y_train"][:60].astype(int),
              encode(mnist["x_test"][:40], 10, "grey"), mnist["y_test"][:40].astype(int))
    monkeypatch.setattr(imperfect_chips, "images_of", lambda encoding: images)


@pytest.fixture
def planned():
    """All cases of grey images, with a rule of 30 presentations, from ideal states that are just numbers."""
    rule = dataclasses.replace(mnist_experiment(encoding="grey").rule, presentations=30)
    return list(cases(LONG, "grey", rule, *np.random.default_rng(0).uniform(3, 5, (2, 10, 100))))


@pytest.mark.parametrize(("encoding", "grey"), [("binary", False), ("grey", True)])
def test_chips_learn_and_are_tested_on_images_of_the_encoding_asked_for(encoding, grey):
    for images in imperfect_chips.images_of(encoding)[::2]:
        assert (len(np.unique(images[:20])) > 2) is grey and images.shape[1:] == (100,)


def test_all_that_is_asked_is_planned(planned):
    spreads = [case for case in planned if case.section == "spread"]
    assert {case.kind for case in spreads} == {"neurons", "cells", "both"}
    for case in spreads:
        assert {key: case.keys.count(key) for key in case.keys} == dict.fromkeys((0.01, 0.02, 0.05, 0.1, 0.2, 0.3), 10)
        assert [chip.neuron_threshold for chip in case.chips] == [key * (case.kind != "cells") for key in case.keys]
        assert [chip.cell_gain for chip in case.chips] == [key * (case.kind != "neurons") for key in case.keys]
        assert len(set(case.chips)) == 60
        assert case.routes == ("in situ", "ex situ", "software", "verified", "calibrated")
    stuck = next(case for case in planned if case.section == "stuck")
    assert [chip.stuck_off + chip.stuck_on for chip in stuck.chips] == pytest.approx(list(stuck.keys))
    assert stuck.routes == ("in situ", "ex situ")
    assert {case.section for case in planned} == set(LONG.sections)
    of = {name: [case for case in planned if case.section == name] for name in LONG.sections}
    for case in of["recovery"]:
        assert set(case.keys) == {case.rule.presentations}
    assert {case.rule.presentations for case in of["recovery"]} == set(imperfect_chips.RECOVERY)
    assert all(case.fresh == case.kind.endswith("fresh cells") for case in of["recovery"])
    noisy, = of["write noise"]
    assert [chip.write_noise for chip in noisy.chips] == list(noisy.keys)
    for case in of["read noise"]:
        assert [chip.read_noise for chip in case.chips] == list(case.keys) and set(case.keys) == {0, *imperfect_chips.READ_NOISE}
        assert float(case.kind) == pytest.approx(case.rule.margin * 1e6)
    assert {case.rule.margin for case in of["read noise"]} == set(imperfect_chips.MARGINS)
    identities = [(case.section, case.kind, key, chip.seed)
                  for case in planned for key, chip in zip(case.keys, case.chips, strict=True)]
    assert len(set(identities)) == len(identities)  # by which --resume knows what is done
    assert sum(len(case.chips) for case in cases(SHORT, "grey", planned[0].rule, planned[0].ideal, planned[0].software)
               if case.section in SHORT.sections) == 18


def test_rows_of_a_case_name_chip_route_and_accuracy(planned, few_images):
    case = next(case for case in planned if case.section == "spread")
    case = dataclasses.replace(case, chips=case.chips[::20], keys=case.keys[::20])
    rows = judge(case)
    assert {row["route"] for row in rows} == set(case.routes)
    assert len(rows) == len(case.chips) * len(case.routes)
    assert all(0 <= row["accuracy"] <= 1 for row in rows)
    found = summary(rows + [row | {"accuracy": row["accuracy"] + 0.1} for row in rows])
    assert all(row["chips"] == 2 and row["high"] - row["low"] == pytest.approx(0.1) for row in found)
    old = next(case for case in planned if case.section == "retention")
    rows = judge(dataclasses.replace(old, chips=old.chips[:1], keys=old.keys[:1]))
    by_age = {(row["kind"], row["key"]): row["accuracy"] for row in rows}
    assert by_age["0", 0.0] == by_age["0.3", 0.0]


def test_states_grow_as_old_as_their_row_says(planned):
    """Alike cells keep exp(-age) of their states, whatever the chip; rates that spread by 30 % keep more here and less there."""
    case, seen = next(case for case in planned if case.section == "retention"), []

    class Ensemble:
        """Takes note of the states that are tested."""

        def accuracies(self, states, images, labels):
            seen.append(states)
            return np.full(len(states), 0.5)
    states = np.stack([case.ideal + k for k in range(len(case.chips))])
    rows = imperfect_chips._ages(case, Ensemble(), states, None, None)
    tested = [(float(row["kind"]), row["key"]) for row in rows[::len(case.chips)]]
    assert tested == [(spread, age) for spread in (0.0, 0.1, 0.3) for age in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)]
    for (spread, age), left in zip(tested, seen, strict=True):
        lost = -np.log(left / states)
        assert lost.mean() == pytest.approx(age, rel=0.02) and lost.std() == pytest.approx(spread * age, rel=0.05, abs=1e-12)


@pytest.fixture
def decided(monkeypatch, planned, digit_images):
    """A case of uneven neurons and no margin; its images' labels are what an ideal chip in its ideal states decides."""
    case = next(case for case in planned if (case.section, case.kind) == ("spread", "neurons"))
    experiment, images = mnist_experiment(encoding="grey"), digit_images["binary"]
    labels = np.nanargmin(Crossbar.of(experiment.network, experiment.schedule).first_spikes(case.ideal, images), axis=1)
    monkeypatch.setattr(imperfect_chips, "images_of", lambda encoding: (images, labels, images, labels))
    return dataclasses.replace(case, chips=case.chips[40:43], keys=case.keys[40:43],
                               rule=dataclasses.replace(case.rule, presentations=1, margin=0.0))


def test_measured_neurons_decide_as_an_ideal_chip_and_unmeasured_ones_do_not(decided):
    routes = ("verified", "calibrated")
    rows = judge(dataclasses.replace(decided, routes=routes))
    accuracy = {route: [row["accuracy"] for row in rows if row["route"] == route] for route in routes}
    assert min(accuracy["calibrated"]) > 0.95 and max(accuracy["verified"]) < 0.9


def test_recovery_starts_from_the_weights_it_is_named_for(decided):
    """An ideal chip with the ideal weights has nothing left to learn; from cells that are all alike one image is not enough."""
    ideal = dataclasses.replace(decided, chips=(Chip(),), keys=(0.0,), routes=("in situ",))
    kept, fresh = (judge(dataclasses.replace(ideal, fresh=fresh))[0]["accuracy"] for fresh in (False, True))
    assert kept > 0.95 and fresh < 0.7


def test_going_on_runs_the_chips_that_have_no_row_yet(planned):
    case = next(case for case in planned if case.section == "spread")
    made = [{"section": "spread", "encoding": "grey", "kind": case.kind, "key": key, "seed": chip.seed, "route": "in situ"}
            for key, chip in zip(case.keys, case.chips, strict=True)]
    whole, = left_of(case, [])
    assert (whole.keys, whole.chips) == (case.keys, case.chips)
    assert left_of(case, made) == []
    left, = left_of(case, made[:5] + made[7:] + [made[6] | {"encoding": "binary"}])
    assert left.keys == case.keys[5:7]
    assert left.chips == case.chips[5:7]


def test_figures_show_what_there_is(planned, few_images):
    some = [dataclasses.replace(case, chips=case.chips[::13], keys=case.keys[::13]) for case in planned
            if case.section not in ("recovery", "read noise") or case.keys[0] in (0.0, 100.0, 300.0)]
    found = summary([row for case in some for row in judge(case)])
    for figure in FIGURES.values():
        drawn = figure.draw(found, {"grey": 0.9})
        for axis in drawn.axes:
            assert axis.lines and axis.get_title()
            assert axis.get_xlabel() or not axis.get_subplotspec().is_last_row()


def double(number):
    return 2 * number


def test_tasks_run_in_other_processes_and_come_back_whole(planned):
    assert sorted(run_everywhere(double, [3, 1, 2], [1, 1, 1], 2, None, "task")) == [2, 4, 6]
    assert list(run_everywhere(double, [3], [1], 1, None, "task")) == [6]
    with pytest.raises(ParameterError, match=r"cannot be reached"):
        list(run_everywhere(double, [1], [1], 1, "nonsense", "task"))


def test_a_cluster_is_looked_at_before_it_is_given_work(monkeypatch):
    def refuse(client, scheduler):
        raise ParameterError(f"{client} at {scheduler} has other versions")
    monkeypatch.setattr(monte_carlo, "cluster_client", lambda scheduler: contextlib.nullcontext("a cluster"))
    monkeypatch.setattr(monte_carlo, "check_cluster", refuse)
    with pytest.raises(ParameterError, match="a cluster at tcp://there:1 has other versions"):
        list(run_everywhere(double, [1], [1], 1, "tcp://there:1", "task"))


def test_scheduler_is_asked_before_anything_is_trained(tmp_path, monkeypatch):
    def refuse(scheduler):
        raise ParameterError(f"{scheduler} is not there")
    monkeypatch.setattr(imperfect_chips, "check_scheduler", refuse)
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: pytest.fail("trained"))
    with pytest.raises(ParameterError, match="tcp://nowhere:1 is not there"):
        imperfect_chips.main(["--short", "--scheduler", "tcp://nowhere:1", "--figures", str(tmp_path)])
    assert not list(tmp_path.iterdir())


def test_study_that_cannot_go_on_says_so_in_one_line(tmp_path):
    path = tmp_path / "imperfect_chips_short_results.json"
    path.write_text(json.dumps({"rows": [], "parameters": {"engine": "closed-form"}}))
    said = script("-m", "studies.device_variability", "--short", "--resume", "--figures", tmp_path, code=1)
    assert "cannot be gone on with: its 'ideal'" in said and said.count("\n") == 1


@pytest.mark.parametrize("changes", [{"key": [1]}, {"key": "x"}, {"seed": [1]}, {"section": ["spread"]}, {"section": "stuck"},
                                     {"encoding": "binary"}, {"route": "x"}, {"kind": {}}, {"kind": "1"}, {"key": float("nan")}])
def test_rows_of_no_case_are_not_gone_on_with(changes, tmp_path, monkeypatch, capsys):
    """They would end the study in a traceback: where rows are sorted or looked for, or in a figure."""
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: pytest.fail("trained"))
    row = {"section": "spread", "encoding": "grey", "kind": "both", "key": 0.1, "route": "in situ", "seed": 1, "accuracy": 0.9}
    content = {"rows": [row | changes], "ideal": {}, "parameters": {"engine": "closed-form"}}
    (tmp_path / "imperfect_chips_short_results.json").write_text(json.dumps(content))
    assert run(imperfect_chips.main, ["--short", "--resume", "--figures", str(tmp_path)]) == 1
    assert "cannot be gone on with: its 'rows' are none of an earlier run" in one_line(capsys.readouterr().err)


def test_rows_that_stand_there_twice_are_not_gone_on_with(tmp_path, monkeypatch, capsys):
    """The mean would count one chip twice; of layers also those of chips that are not asked for."""
    row = {"section": "spread", "encoding": "grey", "kind": "both", "key": 0.1, "route": "in situ", "seed": 1, "accuracy": 0.9}
    content = {"rows": [row, row | {"accuracy": 0.1}], "ideal": {}, "parameters": {"engine": "closed-form"}}
    (tmp_path / "imperfect_chips_short_results.json").write_text(json.dumps(content))
    assert run(imperfect_chips.main, ["--short", "--resume", "--figures", str(tmp_path)]) == 1
    assert "cannot be gone on with: its 'rows' are none of an earlier run" in one_line(capsys.readouterr().err)
    found = {"rows": [{"spread": 0.1, "seed": 6, "route": "in situ", "strict_accuracy": 0.9}]}
    monkeypatch.setattr(imperfect_layers, "run_everywhere", lambda *_: pytest.fail("trained"))
    case = imperfect_layers.Case(0.1, 1, LayeredRule(), 100)
    with pytest.raises(FileProblem, match="'rows' are none of an earlier run"):
        imperfect_layers._spread(argparse.Namespace(figures=tmp_path, jobs=1), found, {}, [case])


def test_rows_whose_names_another_program_has_sorted_are_gone_on_with(tmp_path, monkeypatch):
    """They are told by what stands in them, not by its order; what an ideal chip came to is found again."""
    made = {"section": "spread", "encoding": "grey", "kind": "both", "key": 0.1, "route": "in situ", "seed": 1, "accuracy": 0.9}
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: (np.zeros((10, 100)), 0.92))
    monkeypatch.setattr(imperfect_chips, "run_everywhere", lambda *_: [[made | {"accuracy": 0.8}, made | {"seed": 2}]])
    monkeypatch.setattr(imperfect_chips, "draw", lambda *_: None)
    path = tmp_path / "imperfect_chips_short_results.json"
    content = {"rows": [made], "ideal": {"grey": 0.1, "x": {}}, "parameters": {"engine": "closed-form"}}
    path.write_text(json.dumps(content, sort_keys=True))
    imperfect_chips.main(["--short", "--resume", "--figures", str(tmp_path)])
    found = json.loads(path.read_text())
    assert [(row["seed"], row["accuracy"]) for row in found["rows"]] == [(1, 0.8), (2, 0.9)] and found["ideal"] == {"grey": 0.92}


@pytest.mark.parametrize(("route", "checksum", "fine"), [("software", 5, False), ("software", None, False), ("ex situ", 5, True)])
def test_weights_from_software_are_those_that_earlier_rows_had(tmp_path, monkeypatch, capsys, route, checksum, fine):
    """Else one ensemble would be of two networks: trained again, the weights have become others."""
    made = {"section": "spread", "encoding": "grey", "kind": "both", "key": 0.1, "route": route, "seed": 1, "accuracy": 0.9}
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: (np.zeros((10, 100)), 0.92))
    monkeypatch.setattr(imperfect_chips, "run_everywhere", lambda *_: [])
    monkeypatch.setattr(imperfect_chips, "draw", lambda *_: None)
    path, options = tmp_path / "imperfect_chips_short_results.json", ["--short", "--resume", "--figures", str(tmp_path)]
    content = {"rows": [made], "ideal": {}, "software_states": {"grey": checksum}, "parameters": {"engine": "closed-form"}}
    path.write_text(json.dumps(content))
    assert run(imperfect_chips.main, options) == (0 if fine else 1)
    if not fine:
        assert "its rows of 'software' are of other voltages than those" in one_line(capsys.readouterr().err)
        now = zlib.crc32(imperfect_chips.software("grey").states.tobytes())
        path.write_text(json.dumps(content | {"software_states": {"grey": now}}))
        assert run(imperfect_chips.main, options) == 0


def test_results_of_weights_mapped_otherwise_are_not_overwritten_unasked(tmp_path, monkeypatch):
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: pytest.fail("trained"))
    content = {"rows": [], "ideal": {}, "parameters": {"software": {"grey": {"iterations": 3}}}}
    (tmp_path / "imperfect_chips_short_results.json").write_text(json.dumps(content))
    with pytest.raises(NotOverwritten, match=r"iterations \(3 there, 300 now\)"):
        imperfect_chips.main(["--short", "--figures", str(tmp_path)])


@pytest.mark.parametrize(("changed", "refused"), [(1.0, False), (0.97, True)])
def test_results_of_weights_that_have_been_changed_since_are_not_overwritten(tmp_path, monkeypatch, changed, refused):
    class Began(Exception):
        """What is claimed may be written."""

    def begun(experiment):
        raise Began
    known = imperfect_chips.software("grey")
    number = checksum(known.states)
    content = {"rows": [], "ideal": {}, "parameters": {"engine": "closed-form", "software_voltages": {"grey": states_of(known)}}}
    (tmp_path / "imperfect_chips_short_results.json").write_text(json.dumps(content))
    monkeypatch.setattr(imperfect_chips, "ideal_chip", begun)
    monkeypatch.setattr(imperfect_chips, "software", lambda encoding: dataclasses.replace(known, states=changed * known.states))
    with pytest.raises(NotOverwritten if refused else Began, match=rf"voltages \({number} there, \d+ now\)" if refused else None):
        imperfect_chips.main(["--short", "--figures", str(tmp_path)])


def test_each_ensemble_gets_the_weights_from_software_as_they_are(planned, few_images):
    case = next(case for case in planned if case.section == "spread")
    case = dataclasses.replace(case, chips=(Chip(),), keys=(0.0,), routes=("ex situ", "software"))
    ex_situ, software = (row["accuracy"] for row in judge(case))
    swapped = judge(dataclasses.replace(case, ideal=case.software, software=case.ideal))
    assert [row["accuracy"] for row in swapped] == [software, ex_situ] and software != ex_situ


def test_every_case_has_the_ideal_chips_weights_and_those_from_software(few_images, tmp_path, monkeypatch):
    """An ideal chip's accuracy is that of its states after learning."""
    experiment = mnist_experiment(encoding="grey")
    experiment = dataclasses.replace(experiment, rule=dataclasses.replace(experiment.rule, presentations=60))
    states, accuracy = imperfect_chips.ideal_chip(experiment)
    learned = Ensemble([Chip()], experiment.network, experiment.schedule)
    assert accuracy == learned.accuracies(states[None], *imperfect_chips.images_of("grey")[2:])[0] > 0.2
    planned = []

    def stop(judge, work, *_):
        planned.extend(work)
        raise KeyboardInterrupt
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: (states, accuracy))
    monkeypatch.setattr(imperfect_chips, "run_everywhere", stop)
    with pytest.raises(KeyboardInterrupt):
        imperfect_chips.main(["--short", "--figures", str(tmp_path)])
    software = imperfect_chips.software("grey").states
    assert planned and all(np.array_equal(case.ideal, states) and np.array_equal(case.software, software) for case in planned)


def test_results_made_with_other_parameters_are_not_gone_on_with(tmp_path, monkeypatch, capsys):
    """They would stand beside new ones, as if made alike."""
    monkeypatch.setattr(imperfect_chips, "ideal_chip", lambda experiment: pytest.fail("trained"))
    content = {"rows": [], "ideal": {}, "parameters": {"engine": "ngspice"}}
    (tmp_path / "imperfect_chips_short_results.json").write_text(json.dumps(content))
    with pytest.raises(NotOverwritten, match=r"--engine \(ngspice there, closed-form now\)"):
        imperfect_chips.main(["--short", "--resume", "--figures", str(tmp_path)])
    with pytest.raises(SystemExit):
        imperfect_chips.main(["--short", "--resume", "--force", "--figures", str(tmp_path)])
    assert "give one of them" in capsys.readouterr().err


