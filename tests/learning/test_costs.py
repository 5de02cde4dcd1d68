"""Ledgers: the engines agree line by line; a training costs the sum of its presentations."""

import dataclasses

import numpy as np
import pytest

from memristive.devices.measured_device import DEVICES
from memristive.learning import costs
from memristive.learning.costs import Accounts
from memristive.learning.training import learn
from memristive.network.design import NGSPICE
from memristive.network.dissipation import joules_per_siemens
from memristive.network.ledger import COMPUTED, SIMULATED, Ledger, Line, Technology
from tests.network.networks import (
    PULSED_IMAGES,
    PULSED_RULE,
    RULE,
    measured_network,
    random_network,
)

IMAGE = np.random.default_rng(7).random(9)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def test_lines_of_one_part_add_up_and_boundaries_stay_apart():
    line = Line("read: array", 1.0, COMPUTED, True)
    ledger = (Ledger.of([line, line]) + Ledger.of([line._replace(pins=False)])) * 3
    assert ledger.sum(pins=True) == 6 and ledger.sum(pins=False) == 3 and ledger.sum() == 9


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("sizes", [(9, 4), (9, 12, 4)])
def test_the_ledgers_of_both_engines_agree_line_by_line(sizes):
    network = random_network(sizes, seed=5, spread=1.0)
    times, settled = costs.present(network, IMAGE)
    order = np.argsort(times[-1]).tolist()
    found = costs.correction(network, RULE, IMAGE, order[1], order[0], times, settled)
    closed, simulated = (
        costs.inference(network, IMAGE, one)[0] + one.correct(network, found)[0]
        for one in (Accounts(), Accounts(engine=NGSPICE))
    )
    assert [line.name for line in closed.lines] == [line.name for line in simulated.lines]
    for one, other in zip(closed.lines, simulated.lines, strict=True):
        assert other.joules == pytest.approx(one.joules, rel=0.01, abs=0), one.name
    assert simulated.sum(kind=SIMULATED) == pytest.approx(closed.sum(kind=COMPUTED), rel=0.01)


@pytest.mark.parametrize("late", [False, True])
def test_a_training_costs_the_reads_of_its_presentations_and_its_counted_pulses(late):
    """Doses of 0 leave the network as it is, so each read of the training is a read of it."""
    network = measured_network("epiram", (), 1, noise=False, late=late)
    device, still = DEVICES["epiram"], dataclasses.replace(PULSED_RULE, output_dose=0.0)
    accounts = Accounts(device=device)
    found = costs.training(network, still, PULSED_IMAGES, LABELS, accounts)
    spikes = np.nan_to_num(network.first_spikes(PULSED_IMAGES), nan=network.design.window)
    stops = [
        max(np.sort(times)[1], times[label]) for times, label in zip(spikes, LABELS, strict=True)
    ]
    assert found.times["read"] == pytest.approx(sum(stops), rel=1e-6)
    assert sum(line.joules for line in found.ledger.lines if "selected" in line.name) == 0

    found = costs.training(network, PULSED_RULE, PULSED_IMAGES, LABELS, accounts)
    trained = learn(network, PULSED_RULE, PULSED_IMAGES, LABELS)
    assert found.errors == trained.history[:, 1].sum() > 0
    assert np.array_equal(found.network.states[0], trained.network.states[0])
    written = sum(line.joules for line in found.ledger.lines if line.name == costs.SELECTED)
    joules, (conducted,) = joules_per_siemens(device), found.counts.conducted
    assert written == pytest.approx(conducted[0].sum() * joules[0] + conducted[1].sum() * joules[1])


def test_late_writes_wait_and_charge_capacitors_meanwhile():
    """Half of the dose at which a synapse is due: no pulse, but half of the window on each
    capacitor.
    """
    network = measured_network("epiram", (), 1, noise=False, late=True)
    pulses = dataclasses.replace(network.pulses, late_spread=0.0)
    network = dataclasses.replace(network, pulses=pulses)
    rule = dataclasses.replace(PULSED_RULE, output_dose=pulses.late * pulses.step / 2)
    ones = np.ones(PULSED_IMAGES.shape[1])
    times, settled = costs.present(network, ones)
    found = costs.correction(network, rule, ones, 0, 1, times, settled)
    ledger, seconds = Accounts(device=DEVICES["epiram"]).correct(network, found)
    lines = {line.name: line.joules for line in ledger.lines}
    t = Technology()
    cells = 2 * (len(ones) + 1)  # of the right and of the wrong neuron, with the bias row
    assert lines["write: late capacitors"] == pytest.approx(
        cells * t.late_capacitance * t.late_window / 2 * t.supply
    )
    assert lines["write: late comparators"] == pytest.approx(2 * cells * t.comparator_energy)
    assert costs.SELECTED not in lines or lines[costs.SELECTED] == 0
    assert seconds["commit"] == 0 and seconds["write"] > 2 * 50e-6


def test_a_faster_network_learns_the_same_with_a_margin_that_is_shorter_as_well():
    network = random_network((9, 12, 4), seed=5, spread=1.0)
    images = np.random.default_rng(1).random((20, 9))
    rule = dataclasses.replace(RULE, presentations=40)
    shorter = dataclasses.replace(rule, margin=rule.margin / 10)
    labels = np.arange(20) % 4
    slow = learn(network, rule, images, labels)
    fast = learn(network.faster(10), shorter, images, labels)
    assert slow.history[:, 1].sum() > 10
    for one, other in zip(slow.network.states, fast.network.states, strict=True):
        assert other == pytest.approx(one, abs=1e-6)
