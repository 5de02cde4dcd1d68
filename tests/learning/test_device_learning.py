"""Learning of measured devices: settings by formula, costs against Joule's law, a user's device."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from memristive import build
from memristive.accounting.dissipation import write_costs
from memristive.cli.runs import Run, evaluate
from memristive.datasets import matching_dataset
from memristive.devices.measured_device import DEVICES, MeasuredDevice, emulator
from memristive.io.networks import describe_network
from memristive.io.records import check_overwriting
from memristive.learning.build import stuck_cells
from memristive.learning.settings import memory
from memristive.learning.training import learn
from memristive.network.networks import network_on_chip
from memristive.network.recipe import AT_ONCE, LATE, Recipe
from memristive.scores.checks import OperatingRangeWarning
from memristive.scores.decisions import score_row
from memristive.writing.pulses import no_counts
from tests.devices.law import device_by_law


def test_the_energy_of_writes_is_that_of_their_pulses():
    device = DEVICES["ag-si"]
    counts = no_counts(build(Recipe((), device), [[0.5] * 6], 3)[0])
    counts.pulses[0][:, 2, 1] = 2, 5
    counts.conducted[0][1, 2, 1] = 5 * 1e-8  # five pulses up and two down, at 10 nS and 20 nS
    counts.conducted[0][0, 2, 1] = 2 * 2e-8
    costs = write_costs(device, counts)
    assert costs["write_energy_J"] == pytest.approx(
        5 * 3.2**2 * 1e-8 * 300e-6 + 2 * 2.8**2 * 2e-8 * 300e-6
    )
    assert costs["most_pulses"] == 7 and costs["share_beyond_endurance"] == 0


def test_a_cell_forgets_its_start_to_one_over_e_in_memory_pulses():
    """Steps of soft bounds bring two states together by 1 - slope in each pulse; half of the pulses
    go up.
    """
    device = MeasuredDevice("soft", up=(0.01, 0.0), down=(0.0, 0.02))
    states = np.array([0.2, 0.9])
    for k in range(round(memory(device))):
        states += device.step(states) if k % 2 else -device.step(states, up=False)
    assert np.ptp(states) / 0.7 == pytest.approx(math.exp(-1), rel=0.03)


@pytest.mark.parametrize("write", [AT_ONCE, LATE])
def test_a_write_to_one_of_several_pairs_changes_the_drive_as_to_a_single_pair(write):
    """A pair of four carries a quarter of the current of a weight, so its dose is four times as
    large.
    """
    images = matching_dataset("digits").training.levels
    (one, rule), (four, other) = (
        build(Recipe((9,), "epiram", write, pairs), images, 10) for pairs in (1, 4)
    )
    assert other.output_dose == pytest.approx(4 * rule.output_dose)
    assert other.hidden_dose == pytest.approx(4 * rule.hidden_dose)
    assert four.design.transresistance * other.output_dose == pytest.approx(
        one.design.transresistance * rule.output_dose
    )


def test_noisy_pulses_allow_larger_doses_if_several_pairs_average_them():
    """The dose is in proportion to the signal-to-noise ratio of a weight, which grows with the root
    of the number of pairs.
    """
    # nearly all weight on the noisy settings
    device = device_by_law(100, 0.5, write_noise=0.2)
    doses = [
        build(Recipe((), device, pairs=pairs), np.ones((2, 4)), 2)[1].output_dose / pairs
        for pairs in (1, 4)
    ]
    assert doses[1] / doses[0] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(
    ("device", "accuracy", "late"),
    [
        (device_by_law(100, -0.5), 0.89, True),
        (MeasuredDevice("abrupt increase", up=(0.85, 0.0), down=(0.01, 0.01)), 0.7, False),
    ],
)
def test_a_device_of_any_shape_learns(device, accuracy, late):
    """Late by whole pulses, otherwise by pulses of any width, which have no noise."""
    (levels, labels), test = matching_dataset("mnist").training, matching_dataset("mnist").test
    changes = {"rule.presentations": 100_000} | ({} if late else {"pulses.whole": 0})
    recipe = Recipe((), device, LATE if late else AT_ONCE, changes=changes)
    network = learn(*build(recipe, levels, labels), levels, labels).network
    assert score_row(test.labels, network.first_spikes(test.levels))["strict_accuracy"] > accuracy


def test_a_network_that_collapses_is_named():
    """Pulses that switch a device nearly as a whole, in both directions, leave no neuron of the
    hidden layer to fire.
    """
    device = MeasuredDevice("abrupt", up=(0.85, 0.0), down=(0.0, 0.85))
    recipe = Recipe(100, device, changes={"rule.presentations": 10_000, "rule.hidden_dose": 5.0})
    run = Run(recipe, columns={"layers": 2})
    with pytest.warns(OperatingRangeWarning, match="abrupt.*layers: 2.*layer 1"):
        row = evaluate(run)
    assert row["strict_accuracy"] < 0.3


@pytest.mark.parametrize("name", DEVICES)
def test_committed_networks_have_the_settings_of_now(name):
    run = Run(Recipe((), name), "mnist")
    network, rule = run.prepared()
    network = network_on_chip(network, None)
    described = describe_network("mnist", run.dataset.shape, network, rule)
    check_overwriting(Path(f"voltages/device_{name}_1.json"), described, False)


def test_cells_are_stuck_anywhere_in_the_range_of_their_device():
    device = MeasuredDevice(name="stuck", stuck=0.5)
    emulated = emulator(device)
    chip = dataclasses.replace(stuck_cells(device, 1), classes=40, inputs=40)
    states = chip.with_stuck_cells(np.full((40, 40), np.nan))
    stuck = (states[np.isfinite(states)] - emulated.low) / (emulated.high - emulated.low)
    assert np.quantile(stuck, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1], abs=0.06
    )
