"""One training on both engines: what is counted as decided otherwise, and that a falsified engine is seen."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from memristive.cli.experiments import mnist_experiment
from memristive.cli.testing import decisions_table
from memristive.io.claims import NotOverwritten
from memristive.io.files import FileProblem
from memristive.io.voltages import load_voltages, states_of
from memristive.single_layer.engines import ClosedFormEngine
from memristive.single_layer.error_rule import ErrorDrivenRule
from memristive.single_layer.ngspice_crossbar import Writer
from memristive.single_layer.pulses import READING, WRITING
from memristive.single_layer.spike_decoding import TIED
from memristor import MemristorParameters
from studies import engine_agreement as engines
from studies import training_agreement as engines_training
from studies.training_agreement import APART, COURSES, TIGHT_WRITING, Choice, Course, compare_training, start_of

IN_STEP, FREE = Course("in step", True), Course("free", False)
US = 1e-6


@pytest.mark.parametrize(("spikes", "label", "decision", "edges"), [
    ([10.0, 13.0, 20.0], 0, (True, None, False), (3, 2, 7)),  # leads by more than the margin of 1 us
    ([10.0, 10.4, 20.0], 0, (True, 1, True), (0.4, -0.6, 9.6)),  # by less
    ([10.0, 13.0, 20.0], 2, (False, 0, True), (-10, -11, 3)),
    ([10.0, 10.0, 10.0], 1, (False, 0, True), (0, -1, 0)),  # all alike: the lower class counts as first
    ([np.nan, 13.0, np.nan], 0, (False, 1, True), (-np.inf, -np.inf, np.inf)),
    ([np.nan, 13.0, np.nan], 1, (True, None, False), (np.inf, np.inf, np.inf)),
    ([np.nan, np.nan, np.nan], 1, (False, None, True), (np.nan, np.nan, np.inf)),
])
def test_what_a_read_decides_and_how_far_it_is_from_deciding_otherwise(spikes, label, decision, edges):
    choice = Choice.of(np.array(spikes) * US, label, 1 * US)
    assert choice.decision == decision
    assert [choice.lead, choice.beyond_margin, choice.among_others] == pytest.approx([edge * US for edge in edges], nan_ok=True)


def test_the_nearest_edge_counts_unless_it_is_a_tie_or_decides_nothing():
    assert Choice(True, None, False, 3e-9, 2e-9, 1e-9).nearest == 2e-9  # no other neuron is written
    assert Choice(True, 1, True, 3e-9, -2e-9, 1e-9).nearest == 1e-9
    assert Choice(False, 1, True, 0.0, -1e-6, 0.0).nearest == 1e-6
    assert Choice(False, None, True, np.nan, np.nan, np.inf).nearest == np.inf


def test_an_offender_of_another_class_is_another_decision(ngspice, monkeypatch):
    """Right and written alike, but the second and third neuron change places."""
    spikes = ClosedFormEngine.spikes

    def swapped(engine, states, image, wanted=0):
        times = spikes(engine, states, image)
        _, second, third = np.argsort(times, kind="stable")[:3]
        times[[second, third]] = times[[third, second]]
        return times
    monkeypatch.setattr(ClosedFormEngine, "spikes", swapped)
    found = compare_training(ngspice, 12, IN_STEP)
    assert found["decided_alike"] < 12 == len(found["otherwise"]) + found["decided_alike"]
    assert {"lead", "beyond_margin", "offender"} <= set(found["otherwise"][0]["ngspice"])
    assert found["states_differ_by_at_most"] < 1e-3  # after those that were decided alike: the others part by a dose of 20 mV
    free = compare_training(ngspice, 12, FREE)
    assert free["decided_alike"] < 11 and len(free["otherwise"]) == 1  # the first: what follows is another training


def test_answers_and_writes_that_are_alike_are_counted_apart(ngspice, monkeypatch):
    """The closed form's part is played: it sees the first neuron alone, which is never too near, but for the wrong one."""
    spikes = ClosedFormEngine.spikes

    def first_alone(engine, states, image, wanted=0):
        times = spikes(engine, states, image)
        return np.where(np.arange(len(times)) == np.argmin(times), times, np.nan)
    monkeypatch.setattr(ClosedFormEngine, "spikes", first_alone)
    found = compare_training(ngspice, 12, IN_STEP)
    assert found["answered_alike"] == 1 > found["wrote_alike"] and found["nearest_to_otherwise"] == np.inf
    nearest = iter([5e-9, 3e-9, 4e-9])
    monkeypatch.setattr(Choice, "nearest", property(lambda choice: next(nearest)))
    assert compare_training(ngspice, 3, IN_STEP)["nearest_to_otherwise"] == 3e-9


def test_both_engines_decide_alike_in_step_and_free(ngspice):
    for course in (IN_STEP, FREE):
        found = compare_training(ngspice, 12, course)
        assert (found["decided_alike"], found["answered_alike"], found["wrote_alike"], found["otherwise"]) == (12, 1, 1, [])
        assert found["wrote"] > 6 and found["nearest_to_otherwise"] > 1e-9
        assert 0 < 2 * found["states_differ_by_mean"] < found["states_differ_by_at_most"] < 1e-3 < found["states_moved_by"] < 9e-3


def test_a_weaker_write_adds_up_when_free_and_stays_one_write_in_step(ngspice, monkeypatch):
    write = Writer.write
    monkeypatch.setattr(Writer, "write", lambda self, column, image, sign, pulse: write(self, column, image, sign, 0.9 * pulse))
    in_step, free = (compare_training(ngspice, 12, course)["states_differ_by_at_most"] for course in (IN_STEP, FREE))
    assert in_step == pytest.approx(2e-3, rel=0.05)  # a tenth of the first dose
    assert free > 1.4 * in_step


@pytest.mark.parametrize("wrong", [1, -1])
def test_writes_too_strong_up_alone_or_down_alone_are_seen(ngspice, monkeypatch, wrong):
    write = Writer.write

    def falsified(self, column, image, sign, pulse):
        return column + (1.01 if sign == wrong else 1.0) * (write(self, column, image, sign, pulse) - column)
    assert engines.compare_writes(ngspice, 10)[1] < 1
    monkeypatch.setattr(Writer, "write", falsified)
    assert engines.compare_writes(ngspice, 10)[1] > 1


def test_of_many_writes_the_worst_is_told(ngspice, monkeypatch):
    """The first of three is 3 mV off, which is the largest difference as well as the largest share of what is allowed."""
    write, off = Writer.write, iter([3e-3, 0.0, 0.0])
    monkeypatch.setattr(Writer, "write", lambda self, *given: write(self, *given) + next(off))
    worst, share = engines.compare_writes(ngspice, 3)
    assert worst == pytest.approx(3e-3, rel=0.2) and share > 2


def test_tightened_writes_come_nearer(ngspice):
    usual, tight = (compare_training(ngspice, 6, Course("", True, tightened=tightened))["states_differ_by_at_most"]
                    for tightened in (False, True))
    assert tight < usual / 3


@pytest.mark.parametrize("tightened", [False, True])
def test_only_a_tightened_course_is_read_and_written_tighter(monkeypatch, tightened):
    """ngspice's part is played by the closed form."""
    solvers = []
    monkeypatch.setattr(engines_training, "NgspiceEngine", lambda session, *given: solvers.extend(given[4:]) or ClosedFormEngine(
        *given[:4]))
    compare_training(None, 1, Course("", True, tightened=tightened))
    assert solvers == ([READING.tightened(), TIGHT_WRITING] if tightened else [READING, WRITING])


def test_starts(ngspice):
    experiment, rule = mnist_experiment(), ErrorDrivenRule(presentations=1)
    alike, apart, trained = (start_of(Course("", False, start), experiment, rule).states
                             for start in ("alike", "apart", "trained"))
    assert np.ptp(alike) == 0 and alike[0, 0] == rule.start_state
    assert (apart - alike).std() == pytest.approx(APART, rel=0.1)
    committed = load_voltages(experiment.voltages_path("error-driven"), "mnist", 10, 100)
    assert np.array_equal(trained, committed.states)


def test_the_training_alone_is_a_part_of_the_study(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(engines, "COURSES", COURSES[:2])
    engines.main(["--part", "training", "--presentations", "3", "--figures", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["engines_training_results.json"]
    found = json.loads((tmp_path / "engines_training_results.json").read_text())["courses"]
    assert [course["course"] for course in found] == [course.name for course in COURSES[:2]]
    assert all(course["decided_alike"] == course["presentations"] == 3 for course in found)
    assert "3 of 3 presentations decided alike" in capsys.readouterr().out


def test_what_was_decided_otherwise_is_printed_with_its_distances(capsys):
    case = {"lead": -1e-9, "beyond_margin": -1.001e-6, "among_others": 2e-9}
    engines_training.print_training({
        "course": "free", "presentations": 10, "decided_alike": 9, "nearest_to_otherwise": 1e-9, "wrote": 5,
        "states_differ_by_at_most": 1e-6, "states_differ_by_mean": 1e-7, "states_moved_by": 1e-3,
        "otherwise": [{"presentation": 7, "ngspice": case, "closed_form": case | {"lead": 1e-9}}]})
    said = capsys.readouterr().out
    assert "presentation 7: in ngspice lead -1.00 ns" in said and "in the closed form lead 1.00 ns" in said


def test_spikes_and_decisions_of_both_engines_are_told_apart(monkeypatch):
    """Made-up spikes of three neurons. ngspice is later by 30 ns, but for two; two images it decides otherwise."""
    exact = np.array([[50.0, 60.0, 90.0], [50.0, 50.1, np.nan], [70.0, 80.0, 90.0], [40.0, np.nan, np.nan]]) * US
    doubtful = np.array([[0, 0, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0]], bool)
    found = exact + 30e-9
    found[1, 0] += 0.2 * US  # second now, where it was first by 100 ns
    found[2, 0] -= 4e-9
    found[2, 2] = np.nan
    found[3, 1] = 40.04 * US  # 10 ns behind the first one, which is a tie
    race = SimpleNamespace(spikes=exact, doubtful=doubtful)
    monkeypatch.setattr(engines.Network, "images", lambda network, count: np.zeros((count, 9)))
    monkeypatch.setattr(engines.Network, "crossbar", SimpleNamespace(race=lambda states, images: race))
    network = engines.Network("made up", mnist_experiment(), np.zeros((3, 9)), "error-driven")
    result = engines.compare_decisions(network, found)
    assert (result["network"], result["images"]) == ("made up", 4)
    assert result["spikes"] == 8  # seen by both: of the closed form's nine ngspice lacks one, and has one that is not there
    late = result["ngspice_later_by_ns"]
    assert list(late) == ["0", "0.01", "0.5", "0.99", "1"]
    assert [late[share] for share in ("0", "0.5", "1")] == pytest.approx([26, 30, 230])
    assert 26 < late["0.01"] < 27 and 200 < late["0.99"] < 230
    assert result["largest_difference_of_leads_ns"] == pytest.approx(4)
    assert result["leads_in_one_engine_alone"] == 1
    different = result["strict_decisions_that_differ"]
    assert [(row["image"], row["ngspice"], row["closed_form"]) for row in different] == [(1, 1, 0), (3, TIED, 0)]
    assert [row["lead_ngspice_ns"] for row in different] == pytest.approx([100, 10])
    assert [row["lead_closed_form_ns"] for row in different] == pytest.approx([100, np.inf])
    assert result["doubtful_by_its_own_account"] == 2  # of the spikes that both have
    hebbian = engines.compare_decisions(dataclasses.replace(network, rule="hebbian"), found)  # where 100 ns are a tie
    assert [row["image"] for row in hebbian["strict_decisions_that_differ"]] == [3]


def test_spikes_come_back_from_the_test_scripts_table_in_seconds(tmp_path):
    """For error-driven networks the test script names its files mnist_test_error_driven_..."""
    spikes = np.random.default_rng(1).uniform(50e-6, 900e-6, (4, 10))
    spikes[1, 3] = np.nan
    experiment = mnist_experiment()
    table = decisions_table(range(4), np.arange(4), spikes, experiment.schedule, 20e-9)
    (tmp_path / "mnist_test_error_driven_decisions.csv.gz").write_bytes(table)
    found = engines.ngspice_spikes(tmp_path, experiment.stem("error-driven"))
    assert found == pytest.approx(spikes, abs=0.1e-9, nan_ok=True)  # the table has four decimals of a microsecond
    with pytest.raises(FileProblem, match=r"MNIST_memristor_test.py writes it"):
        engines.ngspice_spikes(tmp_path, "mnist")


def test_smaller_steps_are_told_in_microseconds_and_their_differences_in_nanoseconds(monkeypatch, tmp_path):
    """Reads are played: late by as many ns as the step has us, and after 300 us by much more, which does not count."""
    exact = np.array([[50.0, 60.0, np.nan], [70.0, 400.0, 80.0]]) * US
    crossbar = SimpleNamespace(race=lambda *_: SimpleNamespace(spikes=exact), first_spikes=lambda *_: exact)
    monkeypatch.setattr(engines.Network, "images", lambda network, count: np.zeros((count, 9)))
    monkeypatch.setattr(engines.Network, "crossbar", crossbar)
    network = engines.Network("made up", mnist_experiment(), np.zeros((3, 9)), "error-driven")

    solvers, drawn = [], []

    def read(session, network, count, solver, what):
        solvers.append(solver)
        return exact + np.where(exact > 300 * US, 1.0, solver.max_step / 1000)
    for name, result in (("networks", [network]), ("ngspice_spikes", exact), ("compare_decisions", {}), ("save", None),
                         ("compare_leads", (2e-9, 0.5)), ("print_network", None)):
        monkeypatch.setattr(engines, name, lambda *_, result=result: result)
    counted = []
    monkeypatch.setattr(engines, "compare_writes", lambda session, count: counted.append(count) or (1e-6, 0.1))
    for name, played in (("read_images", read), ("engines_figure", lambda *given: drawn.append(given))):
        monkeypatch.setattr(engines, name, played)
    engines.main(["--part", "reads", "--images", "2", "--figures", str(tmp_path)])
    found, = json.loads((tmp_path / "engines_results.json").read_text())["networks"]
    for key in ("steps_us", "rms_difference_ns"):
        assert found[key] == pytest.approx([40, 20, 10, 5, 2, 1])
    assert (found["largest_difference_of_tight_leads_ns"], found["of_what_is_allowed"]) == (pytest.approx(2), 0.5)
    ((name, form, ngspice),), steps, errors = drawn[0]
    assert name == "made up" and form is exact and ngspice[0, 0] > exact[0, 0]  # the closed form, then ngspice
    assert list(steps) == list(engines.STEPS) and errors == [found["rms_difference_ns"]]
    assert solvers[0] == READING.tightened()  # whose leads are held against the closed form's
    assert {(solver.reltol, solver.chgtol) for solver in solvers[1:]} == {(1e-6, 1e-16)}  # so that the step alone counts
    assert counted == [1000]  # writes, as the results say


def test_scores_of_ngspice_are_held_against_the_closed_forms_kind_by_kind(monkeypatch):
    """Spikes are played: of four images one is right, two are silent, one is tied; of a Hebbian network two are: 0.4 us tie."""
    spikes = np.array([[50.0, 50.4, 90.0], [np.nan] * 3, [np.nan] * 3, [70.0, 70.0, 80.0]]) * US
    monkeypatch.setattr(engines, "load_mnist", lambda *_, first: {"y_test": np.array([0, 1, 1, 1])[:first]})
    monkeypatch.setattr(engines.Network, "images", lambda network, count: None)
    monkeypatch.setattr(engines.Network, "crossbar", SimpleNamespace(first_spikes=lambda *_: spikes))
    network, same = engines.Network("made up", mnist_experiment(), np.zeros((3, 9)), "error-driven"), {
        "samples": 4, "strict_accuracy": 0.25, "silent": 2, "tied": 1}
    assert engines.compare_scores(network, same) == 0
    for other in ({"silent": 1, "tied": 1}, {"silent": 2, "tied": 0}, {"strict_accuracy": 0.5}):
        assert engines.compare_scores(network, same | other) == 1
    assert engines.compare_scores(dataclasses.replace(network, rule="hebbian"), same | {"strict_accuracy": 0.0, "tied": 2}) == 0


@pytest.mark.parametrize(("changed", "refused"), [(1.0, False), (0.97, True)])
def test_comparisons_of_networks_that_have_been_changed_since_are_not_overwritten(tmp_path, monkeypatch, changed, refused):
    class Began(Exception):
        """What is claimed may be written."""

    def begun(*given):
        raise Began
    path, was = tmp_path / "engines_results.json", list(engines.committed())
    known = {experiment.stem(rule): states_of(voltages) for experiment, rule, voltages in was}
    assert len(known) == 3
    path.write_text(json.dumps({"networks": [], "parameters": {"images": 200, "voltages": known}}))
    monkeypatch.setattr(engines, "NgspiceSession", begun)
    monkeypatch.setattr(engines, "committed", lambda: [
        (*of, dataclasses.replace(voltages, states=changed * voltages.states)) for *of, voltages in was])
    with pytest.raises(NotOverwritten if refused else Began, match="the network's voltages" if refused else None):
        engines.main(["--part", "reads", "--figures", str(tmp_path)])


def test_writes_are_drawn_as_the_page_says(monkeypatch):
    """States of 2 to 5 V, doses of 0.2 to 200 mV up and down, and of half of the pixels some grey. ngspice's part is played."""
    asked, rate = [], 5e-9 / MemristorParameters().memory_capacitance  # V/s at 1 V

    def write(column, image, sign, pulse):
        asked.append((column, image, sign, pulse * rate))
        return column
    monkeypatch.setattr(engines, "Writer", lambda *given: SimpleNamespace(write=write))
    engines.compare_writes(None, 200)
    columns, images, signs, doses = (np.array(part) for part in zip(*asked, strict=True))
    assert (columns.min(), columns.max(), columns.mean()) == pytest.approx((2.0, 5.0, 3.5), abs=0.02)
    assert np.mean(images == 0) == pytest.approx(0.5, abs=0.02) and len(np.unique(images)) > 5000
    assert np.abs(signs).tolist() == [1] * 200 and abs(signs.mean()) < 0.2
    assert 0.2e-3 < doses.min() < 0.3e-3 and 0.13 < doses.max() < 0.2
    assert np.exp(np.log(doses).mean()) == pytest.approx(6.3e-3, rel=0.5)  # as many in each decade


def test_images_are_read_by_the_solver_asked_for_to_the_third_spike(monkeypatch):
    made, wanted = [], []
    reader = SimpleNamespace(spikes=lambda states, image, count: wanted.append(count) or np.zeros(10))
    monkeypatch.setattr(engines, "Reader", lambda *given: made.append(given) or reader)
    network, tight = engines.networks()[0], READING.tightened()
    assert engines.read_images(None, network, 3, tight, "tightened").shape == (3, 10)
    assert made == [(None, network.experiment.network, network.experiment.schedule, 10, tight)] and wanted == [3, 3, 3]


def test_only_the_last_three_courses_are_tightened_and_only_the_first_is_in_step():
    assert [(course.in_step, course.start, course.tightened) for course in COURSES] == [
        (True, "alike", False), (False, "alike", False), (False, "alike", True), (False, "apart", True), (False, "trained", True)]
