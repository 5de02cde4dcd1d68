"""Pairs of devices with one gradual direction: laws, counts, refreshes, both engines."""

import dataclasses

import numpy as np
import pytest

from memristive.accounting.costs import Accounts
from memristive.devices.measured_device import emulator
from memristive.devices.one_sided import OneSided
from memristive.devices.one_sided_fit import one_sided_device
from memristive.learning.build import build
from memristive.learning.training import Learning, train
from memristive.ledger import SELECTED
from memristive.network.chip import Chip
from memristive.parameters import ParameterError
from memristive.writing.at_once import ColumnDose
from memristive.writing.one_sided import drawn_entry, read_difference, sided_arrays
from memristive.writing.pulses import no_counts

IMAGES = np.random.default_rng(0).random((8, 6))
LABELS = np.arange(8) % 3


def device(step, end, noise=0.0, **more):
    """A device whose gradual pulses are uniformly distributed around `step` at all x."""
    gradual = tuple((step + noise * q,) * 2 for q in (-1, 1))
    tables = OneSided(gradual, ((end,) * 2, (end + 1e-9,) * 2))
    return one_sided_device("sided", tables, lowest_conductance=1e-6, **more)


def states_of(network, of):
    """Shares of the range of the positive and of the negative cells, neurons x rows each."""
    return emulator(of).share(network.states[0]).reshape(2, 3, -1)


def after_a_dose(of, wanted, **changes):
    """Network of one layer whose differences are `wanted`, and the same after a dose of one pulse
    upwards on all rows of neuron 0 in closed form, with its counts.
    """
    network, rule = build(IMAGES, 3, device=of, presentations=1, margin=1e-2)
    network = dataclasses.replace(network, pulses=dataclasses.replace(network.pulses, **changes))
    window = np.ptp(emulator(of).state([0.0, 1.0]))
    rng, half = np.random.default_rng(2), wanted * window / 2
    middle = emulator(of).state(0.5)
    wish = middle + np.concatenate([np.full((3, 7), half), np.full((3, 7), -half)])
    states, _ = network.way.started((wish,), network.parameters.memristor.curve, rng)
    network = dataclasses.replace(network, states=states)
    counts = no_counts(network)
    rule = dataclasses.replace(rule, output_dose=network.pulses.step, final_dose=1.0)
    learning = Learning.start(network, rule)
    full = np.ones((1, 6))
    for _ in train(learning, rule, full, np.array([0]), counts=counts):
        pass
    return network, learning.network, counts


@pytest.mark.parametrize(("step", "end"), [(0.1, 0.0), (-0.1, 1.0)])
def test_an_increase_pulses_one_side_and_a_decrease_the_other(step, end):
    """Neuron 0 is right, so its weights rise. Up: G+ rises; down: G- falls. No other cell moves."""
    of = device(step, end)
    before, after, _ = after_a_dose(of, 0.0, refresh_at=0.0)
    moved = states_of(after, of) - states_of(before, of)
    chosen = 0 if step > 0 else 1
    assert moved[chosen, 0] == pytest.approx(step) and np.all(moved[1 - chosen, 0] == 0)
    # the wrong neuron falls
    assert np.all(moved[chosen, 1:] == 0)
    wrong = moved[1 - chosen, 1:]
    assert wrong[wrong != 0] == pytest.approx(np.full(7, step))


def test_steps_have_the_distribution_of_the_table():
    """Quantiles of a normal distribution whose mean and width are straight lines over x."""
    normal = np.random.default_rng(0).standard_normal(100_000)
    rows = np.quantile(normal, np.linspace(0.0005, 0.9995, 201))
    table = tuple((0.1 + 0.01 * z, 0.3 + 0.05 * z) for z in rows)
    found = sided_arrays(
        dataclasses.replace(
            build(IMAGES, 3, device=device(0.1, 0.0))[0].pulses,
            one_sided=OneSided(table, ((0.0, 0.0), (0.1, 0.1))),
        )
    )
    rng = np.random.default_rng(1)
    for x in (0.0, 0.25, 1.0):
        steps = np.array([drawn_entry(found.gradual, x, rng) for _ in range(20_000)])
        assert steps.mean() == pytest.approx(0.1 + 0.2 * x, abs=2e-3)
        assert steps.std() == pytest.approx(0.01 + 0.04 * x, rel=0.03)


@pytest.mark.parametrize(("step", "end"), [(0.02, 0.0), (-0.02, 1.0)])
@pytest.mark.parametrize(("wanted", "refresh_at"), [(0.5, 0.9), (-0.5, 0.6)])
def test_a_refresh_keeps_the_difference_and_makes_room(step, end, wanted, refresh_at):
    """Steps are smaller than the tolerance, so the difference comes back within it. The pair gets
    one abrupt pulse on each side, and as many gradual ones as the difference has steps. Of the
    negative difference, the cell that is not written has run out of room.
    """
    of, tolerance = device(step, end), 0.03
    before, after, counts = after_a_dose(of, wanted, refresh_at=refresh_at, tolerance=tolerance)
    (plus, minus), (first, second) = states_of(after, of)[:, 0], states_of(before, of)[:, 0]
    expected = first - second + abs(step)
    assert np.abs(plus - minus - expected).max() <= tolerance + 1e-9
    # one of both stays where the abrupt pulse left it
    assert np.abs((minus if step * wanted > 0 else plus) - end).max() < 1e-6
    abrupt = counts.pulses[0][0 if step > 0 else 1].T.reshape(2, 3, -1)[:, 0]
    assert np.all(abrupt == 1)
    trims = counts.pulses[0].sum() - abrupt.sum() * 1.0
    assert trims > 0


def test_pulses_and_refreshes_are_counted_with_their_conductance():
    """V^2 G t of the ledger, by hand: each cell of neuron 0 is read at its state before a pulse."""
    of = device(0.25, 0.0, voltage_up=2.0, width_up=1e-6, voltage_down=-3.0, width_down=1e-7)
    network, _ = build(IMAGES, 3, device=of)
    network = dataclasses.replace(
        network, pulses=dataclasses.replace(network.pulses, refresh_at=0.4, tolerance=0.2)
    )
    x = np.full((6, 7), 0.5)
    network = dataclasses.replace(network, states=(emulator(of).state(x),))
    write = ColumnDose(0, network.pulses.step, np.eye(7)[2])
    accounts = Accounts(device=of)
    ledger, *_ = network.way.ledgers(
        accounts.technology,
        accounts.pulse_of(network),
        network.layers[0],
        network.states[0],
        [write],
        [],
    )
    # up from 0.5 to 0.75, where the room of 0.25 is below 0.4: abrupt pulses on 0.75 and 0.5, then
    # one gradual pulse from 0 to 0.25 restores the difference
    siemens = of.conductance(np.array([0.5, 0.0, 0.75, 0.5]))
    expected = 4.0 * 1e-6 * siemens[:2].sum() + 9.0 * 1e-7 * siemens[2:].sum()
    assert ledger.sum(name=SELECTED) == pytest.approx(expected, rel=0.02, abs=0)
    # reads before the abrupt pulses, after them, and after the gradual one, at 0.1 V
    reads = of.conductance(np.array([0.75, 0.5, 0.0, 0.0, 0.25, 0.0])).sum() * 0.01 * 1e-6
    assert ledger.sum(name="write: array, reads of refreshes") == pytest.approx(
        reads, rel=0.02, abs=0
    )
    assert ledger.times["write"] == pytest.approx(2e-6 + 1e-7 + 3e-6, rel=0.02)
    # two limits for each of these three reads of the pair
    comparators = ledger.sum(name="write: comparators of refreshes")
    assert comparators == pytest.approx(6 * accounts.technology.comparator_energy, abs=0)


def test_a_refresh_reads_a_difference_with_the_noise_of_two_reads():
    of = sided_arrays(build(IMAGES, 3, device=device(0.1, 0.0, read_noise=0.02))[0].pulses)
    rng = np.random.default_rng(1)
    found = [read_difference(of, np.array([0.7, 0.3]), rng) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(0.4, abs=2e-3)
    assert np.std(found) == pytest.approx(0.02 * np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(("step", "end"), [(0.15, 0.0), (-0.15, 1.0)])
def test_both_engines_write_and_refresh_alike(step, end, ngspice):
    """One presentation after the other, with noise, stuck cells and cells of several gains."""
    of = device(step, end, noise=0.05, read_noise=0.01)
    chip = Chip(cell_write_gain=0.1, cell_gain=0.1, stuck_on=0.05, stuck_state=0.3, seed=2)
    network, rule = build(IMAGES, 3, device=of, margin=1e-3, chip=chip, seed=2)
    step = network.pulses.step
    network = dataclasses.replace(
        network, pulses=dataclasses.replace(network.pulses, refresh_at=0.5, tolerance=0.05)
    )
    rule = dataclasses.replace(rule, presentations=12, output_dose=1.5 * step, final_dose=1.0)
    circuit, closed, counts = (
        Learning.start(network, rule),
        Learning.start(network, rule),
        no_counts(network),
    )
    training = train(circuit, rule, IMAGES, LABELS, engine="ngspice")
    exact = train(closed, rule, IMAGES, LABELS, block=1, counts=counts)
    for _ in range(rule.presentations):
        next(training)
        next(exact)
        found, expected = circuit.network.states[0], closed.network.states[0]
        assert found == pytest.approx(expected, abs=2e-3)
    assert np.array_equal(circuit.history, closed.history)
    abrupt = counts.pulses[0][0 if of.one_sided.sign > 0 else 1]
    assert abrupt.sum() >= 4


def test_single_cells_are_refused():
    with pytest.raises(ParameterError, match="pairs"):
        build(IMAGES, 3, device=device(0.1, 0.0), pairs=0)
