"""The study of imperfect chips, small."""

import numpy as np
import pytest

from datasets import mnist
from memristive.io.records import (
    load_table,
)
from memristive.io.voltages import load_voltages
from memristive.network.chip import Chip, on_chip
from memristive.network.crossbar import Crossbar
from memristive.network.design import Setup
from memristive.scores.decisions import strict_decision
from memristor import read_current
from studies.device_variability import main, programmed
from tests.helpers import outputs


def test_weights_are_carried_to_chips_of_these_seeds(tmp_path):
    options = ["--short", "--samples", "40", "--set", "rule.presentations=30", "--jobs", "1"]
    main([*options, *outputs(tmp_path)])
    rows = load_table(tmp_path / "imperfect_chips_short.json")
    row = rows.set_index(["deviation", "spread", "route"]).loc[("cells", 0.1, "software")]
    states = load_voltages("voltages/mnist_ex_situ_grey.json").states
    dataset, expected = mnist(encoding="grey"), []
    for seed in (1, 2, 3):
        setup = on_chip(dataset.setup, Chip(seed=seed, cell_gain=0.1, cell_write_gain=0.1))
        spikes = Crossbar.of(setup).first_spikes(states, dataset.test.levels[:40])
        decided = [strict_decision(times) for times in spikes]
        expected.append(np.mean(decided == dataset.test.labels[:40]))
    assert row.accuracies == expected and row.accuracy_mean == pytest.approx(np.mean(expected))


def test_programmed_cells_carry_the_ideal_current_and_calibrated_columns_fire_on_time(
    mnist_setup, digit_images
):
    nominal, states = (
        Crossbar.of(mnist_setup),
        np.random.default_rng(2).uniform(2.5, 4.5, (10, 100)),
    )
    images = digit_images["binary"][:5]  # drive the cells at the voltage of the reference
    ideal = nominal.first_spikes(states, images)
    for seed in (1, 2):
        chip = Chip(
            seed=seed, cell_gain=0.1, cell_threshold=0.1, neuron_threshold=0.1, neuron_gain=0.1
        )
        crossbar = Crossbar.of(on_chip(mnist_setup, chip))
        verified, calibrated = (
            programmed(mnist_setup, chip, states, calibrated=flag) for flag in (False, True)
        )
        assert read_current(crossbar.cells, verified, 1.0) == pytest.approx(
            read_current(nominal.cells, states, 1.0), rel=1e-9
        )
        assert crossbar.first_spikes(calibrated, images) == pytest.approx(ideal, abs=0.3e-6)
        assert np.nanmax(np.abs(crossbar.first_spikes(verified, images) - ideal)) > 5e-6


def test_stuck_cells_cannot_be_programmed():
    chip = Chip(classes=2, inputs=50, seed=6, stuck_on=0.3, stuck_off=0.3)
    found = programmed(Setup(), chip, np.full((2, 50), 3.0), calibrated=False)
    assert set(np.round(found.ravel(), 6)) == {0.0, 3.0, 7.0}
