"""Learning of measured devices: the control against its formula, costs against Joule's law, settings for every task."""

import numpy as np
import pytest

from memristive.devices.measured_device import DEVICES, emulator
from memristive.learning.gradient_descent import gradient_accuracy, train_by_gradient
from memristive.learning.layered_training import initial_network
from memristive.learning.rule import LayeredRule
from memristive.network.layers import no_counts
from memristive.network.measured_layers import measured_design, measured_parameters, measured_pulses
from studies.device_learning import all_tasks, load_settings, short_tasks, write_costs

IDEAL = DEVICES["ideal"]
IMAGES, LABELS = np.random.default_rng(0).random((12, 6)), np.arange(12) % 3
GAIN = 3.0  # thresholds for the whole range of a cell


def untrained(device, pairs, rule, **pulses):
    emulated = emulator(device)
    return initial_network((), 3, IMAGES, rule, measured_design(emulated, pairs, GAIN), measured_parameters(emulated),
                           measured_pulses(emulated, **pulses))


@pytest.mark.parametrize("pairs", [0, 1])
def test_the_control_descends_the_gradient_of_the_cross_entropy(pairs):
    rule = LayeredRule(presentations=1, output_dose=0.01, final_dose=1.0, start_drive=0.0, start_drive_spread=0.1)
    before = untrained(IDEAL, pairs, rule, whole=False, noise=False)
    after, _ = train_by_gradient(before, rule, IMAGES[:1], LABELS[:1])
    levels = np.append(IMAGES[0], 1.0)
    weights = before.states[0] - before.design.reference_state
    weights = weights[:3] - weights[3:] if pairs else weights
    drives = GAIN / 3 * weights @ levels
    errors = np.eye(3)[LABELS[0]] - np.exp(drives) / np.exp(drives).sum()
    moved = after.states[0] - before.states[0]
    assert moved[:3] == pytest.approx(0.01 * np.outer(errors, levels), rel=0.02, abs=1e-6)
    if pairs:
        assert moved[3:] == pytest.approx(-moved[:3], rel=0.02, abs=1e-6)


def test_the_control_learns():
    rule = LayeredRule(presentations=6000, output_dose=0.5, final_dose=0.1, start_drive=0.0, start_drive_spread=0.0)
    labels = IMAGES[:, :3].argmax(axis=1)
    network, counts = train_by_gradient(untrained(IDEAL, 1, rule), rule, IMAGES, labels)
    assert gradient_accuracy(network, IMAGES, labels) > 0.9 and counts.pulses[0].sum() > 0


def test_the_energy_of_writes_is_that_of_their_pulses():
    device = DEVICES["ag-si"]
    counts = no_counts(untrained(device, 1, LayeredRule()))
    counts.pulses[0][2, 1] = 7
    counts.conducted[0][1, 2, 1] = 5 * 1e-8  # five pulses up and two down, at 10 nS and 20 nS
    counts.conducted[0][0, 2, 1] = 2 * 2e-8
    costs = write_costs(device, counts)
    assert costs["write_energy_J"] == pytest.approx(5 * 3.2**2 * 1e-8 * 300e-6 + 2 * 2.8**2 * 2e-8 * 300e-6)
    assert costs["most_pulses"] == 7 and costs["share_beyond_endurance"] == 0


def test_every_task_has_settings():
    devices = list(dict.fromkeys(case[2] for case in load_settings()))
    tasks = [*short_tasks(devices), *all_tasks(devices, [1, 2], (1, 1))]
    wanted = {(task.rule, task.aim, task.device, task.layers, task.pairs, int(task.whole)) for task in tasks}
    assert wanted == set(load_settings())
