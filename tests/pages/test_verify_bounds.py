"""verify.py against docs/reliability.md: its bounds are those of the table there, and what it calls tightened is tighter."""

import argparse
import inspect
import re
from types import SimpleNamespace

import numpy as np
import pytest

import verify
from memristive.cli.experiments import mnist_experiment, xpue_experiment
from memristive.single_layer.pulses import READING
from memristor import state_rate
from studies import engine_agreement as engines
from studies.engine_agreement import compare_leads, compare_writes, networks
from tests.helpers import ROOT

ON = 7.0  # V, of the cells that "training" leaves on
UNITS = {"": 1.0, "us": 1.0, "ns": 1e-9, "points": 1.0, "mV": 1e-3, "%": 1.0}


@pytest.fixture(scope="module")
def table():
    """The page's table: comparison to bound, as text."""
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    section = page.partition("## Convergence is checked")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+) \| (.+) \|$", section, re.MULTILINE)
    return dict(rows[2:])  # behind the heading and the rule


def bound(table, begins):
    """Text, and numbers in the units of `UNITS`, of the one row whose comparison `begins` so."""
    text, = [limit for comparison, limit in table.items() if comparison.startswith(begins)]
    numbers = re.findall(r"([\d.]+) ?(us|ns|points|mV|%)?", text)
    return text, [float(number) * UNITS[unit] for number, unit in numbers]


@pytest.fixture
def compared(monkeypatch):
    """compared(comparison): the rows of a comparison, and what solved its circuits, by the function; nothing is simulated."""
    monkeypatch.setattr(verify, "experiments", lambda: [xpue_experiment()])
    monkeypatch.setattr(verify, "networks", lambda: networks()[:1])
    solvers = {}

    def instead(name, give):
        signature = inspect.signature(getattr(verify, name))

        def called(*arguments, **more):
            given = signature.bind(*arguments, **more)
            given.apply_defaults()
            solvers.setdefault(name, []).append(given.arguments["solver"])
            return give(given.arguments)
        monkeypatch.setattr(verify, name, called)
    times = np.arange(1, 11) * 1e-4
    instead("train_hebbian", lambda given: SimpleNamespace(states=ON * given["patterns"]))
    instead("infer", lambda given: SimpleNamespace(spikes=times[None]))
    instead("Reader", lambda given: SimpleNamespace(spikes=lambda *image: times))
    instead("read_all", lambda given: np.tile(times, (len(given["images"]), 1)))
    monkeypatch.setattr(verify, "netlist_text", lambda circuit, solver, *rest: "")
    monkeypatch.setattr(verify, "run_program", lambda text, nodes: np.zeros(len(nodes)))
    monkeypatch.setattr(verify, "compare_writes", lambda *given: (0.0, 0.0))
    monkeypatch.setattr(verify, "compare_training", lambda *given: {"decided_alike": 1, "states_differ_by_at_most": 0.0})
    asked = argparse.Namespace(images=2, decisions=2, writes=1, presentations=1)
    return lambda comparison: (list(comparison(None, asked)), solvers)


def tolerances(solver):
    """All that bounds a solver's errors, absolute tolerances included, by name."""
    options = dict(pair.split("=") for pair in solver.options().split() if "=" in pair and "method" not in pair)
    return {"max_step": solver.max_step, **{name: float(value) for name, value in options.items()}}


@pytest.mark.parametrize(("comparison", "function", "times"), [
    (verify.experiments_converge, "train_hebbian", 2), (verify.experiments_converge, "infer", 10),
    (verify.reads_converge, "Reader", 10), (verify.accuracies_converge, "read_all", 10)])
def test_tightened_is_tighter_in_every_tolerance(compared, comparison, function, times):
    """By what the page says: a tenth, of the training a half; currents no further than ngspice can follow, 0.1 pA."""
    usual, tight = map(tolerances, compared(comparison)[1][function])
    assert set(usual) == {"max_step", "reltol", "trtol", "chgtol", "vntol", "abstol"}
    for name in usual:
        assert tight[name] == pytest.approx(max(usual[name] / times, 1e-13 * (name == "abstol"))), name


def test_accuracies_are_those_of_a_training_as_tight_as_the_voltages(compared):
    trained = compared(verify.accuracies_converge)[1]["train_hebbian"]
    usual, tight = compared(verify.experiments_converge)[1]["train_hebbian"][-2:]
    assert trained[0] == tight != usual


@pytest.mark.parametrize(("ahead", "changed"), [(0.4e-6, 0.0), (0.6e-6, 100.0)])
def test_decisions_are_by_the_resolution_of_the_network(compared, monkeypatch, ahead, changed):
    """Of the Hebbian one 0.5 us: neurons that change places within it are tied before and after."""
    spikes = np.array([100e-6, 100e-6 + ahead])
    monkeypatch.setattr(verify, "read", lambda network, states, images, solver: np.tile(
        spikes if solver == READING else spikes[::-1], (len(images), 1)))
    decisions, = [row for row in compared(verify.accuracies_converge)[0] if "decisions on" in row.name]
    assert decisions.change == changed


@pytest.mark.parametrize(("comparison", "row", "begins", "unit"), [
    (verify.experiments_converge, "trained voltages", "trained voltages of XPUE", "V"),
    (verify.experiments_converge, "spike times", "spike times of their inference", "us"),
    (verify.reads_converge, "spikes of 2 test images", "spike times of their inference", "us"),
    (verify.accuracies_converge, "accuracy on", "accuracy of three networks", "points"),
    (verify.accuracies_converge, "decisions on", "decisions on these images", "%"),
    (verify.engines_decide_alike, "right, silent or tied", "images right, silent or tied", ""),
    (verify.engines_learn_alike, "decided differently", "a training of 200 presentations", ""),
    (verify.engines_learn_alike, "states after each", "the same: states after each presentation", "V"),
    (verify.program_agrees, "against the ngspice program", "trained voltages, session", "V")])
def test_bounds_are_those_of_the_page(compared, table, comparison, row, begins, unit):
    found, = [one for one in compared(comparison)[0] if row in one.name]
    text, (limit,) = bound(table, begins)
    if begins == "trained voltages of XPUE":
        limit *= ON
    share = 0.01 if "%" in text and unit != "%" else 1.0  # of voltages, of presentations
    assert (found.bound, found.unit) == (pytest.approx(limit * share), unit)


def test_leads_may_be_off_by_what_the_page_and_the_row_say(compared, table):
    """Ten images, each of whose first neurons fires earlier by so much, are at the bound of their row."""
    text, (seconds, percent) = bound(table, "the closed form's leads")
    row, = [one for one in compared(verify.reads_converge)[0] if "closed form's leads" in one.name]
    assert row.name.endswith(f"/ ({text})") and row.bound == 1.0
    network = networks()[1]
    spikes = network.crossbar.first_spikes(network.states, network.images(10))
    first, second = np.argsort(spikes, axis=1)[:, :2].T
    images = np.arange(len(spikes))
    allowed = seconds + percent / 100 * (spikes[images, second] - spikes[images, first])
    spikes[images, first] -= allowed
    assert compare_leads(network, spikes) == pytest.approx((np.nanmax(allowed), 1.0))


def test_writes_may_be_off_by_what_the_page_and_the_row_say(compared, table, monkeypatch):
    """A writer that is off by so much in one of a hundred cells is at the bound of its row."""
    text, (volts, percent) = bound(table, "1,000 random writes")
    row, = compared(verify.engines_write_alike)[0]
    assert row.name.endswith(f"/ ({text})") and row.bound == 1.0
    experiment = mnist_experiment()
    rate = float(state_rate(experiment.network.memristor, experiment.schedule.input_voltage))
    crossbar = networks()[0].crossbar

    def write(column, image, sign, pulse):
        written = crossbar.write(column, image, sign, pulse)
        written[7] += volts + percent / 100 * pulse * rate
        return written
    monkeypatch.setattr(engines, "Writer", lambda *given: SimpleNamespace(write=write))
    assert compare_writes(None, 5)[1] == pytest.approx(1.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_changes_count_in_their_rows_units_whichever_sign_they_have(compared, monkeypatch, sign):
    """What is tightened, or the other side, is off by so much up or down in one cell or neuron alone, and right for two images
    where the usual is wrong.
    """
    patterns, times = xpue_experiment().dataset.patterns, np.arange(1, 11) * 1e-4
    late, labels, asked, courses = sign * 0.5e-6 * (np.arange(10) == 3), np.array([7, 2]), [], []

    def off(patterns, volts):
        states = ON * patterns
        states[1, 5] += sign * volts
        return states

    def trained(session, parameters, schedule, patterns, solver=verify.TRAINING, watch=None, whole=False):
        asked.append(whole)
        return SimpleNamespace(states=off(patterns, 0.02 * (solver != verify.TRAINING)))

    def read(network, schedule, states, images, jobs, watch, report, solver):
        right = (solver == verify.READING) == (sign > 0)
        return np.where(np.arange(10) == (labels if right else 9 - labels)[:, None], 50e-6, times)
    for name, instead in (
            ("train_hebbian", trained), ("read_all", read),
            ("infer", lambda session, parameters, schedule, states, patterns, solver=verify.READING, watch=None: SimpleNamespace(
                spikes=times[None] + late * (solver != verify.READING))),
            ("Reader", lambda *given: SimpleNamespace(spikes=lambda *image: times + late * (given[-1] != verify.READING))),
            ("run_program", lambda text, nodes: off(patterns, 3e-4).ravel()),
            ("compare_training", lambda session, presentations, course: courses.append(course) or {
                "decided_alike": 0, "states_differ_by_at_most": 1e-4})):
        monkeypatch.setattr(verify, name, instead)
    rows = [row for comparison in (verify.experiments_converge, verify.reads_converge, verify.accuracies_converge,
                                   verify.engines_learn_alike, verify.program_agrees) for row in compared(comparison)[0]]
    found = {row.name.partition(": ")[2]: row.change for row in rows if "leads" not in row.name}
    assert asked[-1] and not any(asked[:-1])  # ngspice's program runs the whole netlist, neurons and all
    assert list(found.values()) == pytest.approx([0.02, 0.5, 0.5, 100, 100, 1, 1e-4, 3e-4])
    assert verify.largest(times[None], times[None] + late) == pytest.approx(0.5e-6)
    assert [course.name for course in courses] == ["in step"]  # each presentation from the same states, as the page says


def test_each_network_is_held_against_its_own_results_and_read_in_the_states_given(monkeypatch):
    """Usual reads wait for as many neurons as the test script's, tightened ones for all."""
    names, read, wanted = [], [], set()
    monkeypatch.setattr(verify, "load_results", lambda folder, name: names.append(name) or {"samples": 2})
    monkeypatch.setattr(verify, "compare_scores", lambda *given: 0)
    assert len(list(verify.engines_decide_alike(None, None))) == len(networks())
    assert names == [engines.tested(network.name) for network in networks()] and len(set(names)) > 1

    monkeypatch.setattr(verify, "read_all", lambda network, schedule, states, *given, **more: read.append(states))
    states = networks()[0].states + 1
    verify.read(networks()[0], states, np.zeros((2, 100)), verify.READING)
    assert read[0] is states

    monkeypatch.setattr(verify, "Reader", lambda *given: SimpleNamespace(spikes=lambda states, image, count: wanted.add(
        (given[-1] == verify.READING, count)) or np.arange(1, 11) * 1e-4))
    list(verify.reads_converge(None, argparse.Namespace(images=1)))
    assert wanted == {(True, verify.WANTED), (False, verify.ALL_SPIKES)}


def test_the_closed_forms_leads_are_held_against_the_tightened_reads(compared, monkeypatch):
    """Usual reads end before the last spikes come, and are less exact."""
    held, times = [], np.arange(1, 11) * 1e-4
    monkeypatch.setattr(verify, "Reader", lambda *given: SimpleNamespace(
        spikes=lambda *image: times + 0.1e-6 * (given[-1] != READING)))
    monkeypatch.setattr(verify, "compare_leads", lambda network, spikes: (held.append(spikes), 0.0))
    compared(verify.reads_converge)
    assert held[0] == pytest.approx(np.tile(times + 0.1e-6, (2, 1)), rel=1e-9)
