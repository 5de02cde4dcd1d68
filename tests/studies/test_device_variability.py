"""The study of imperfect chips, small."""

import dataclasses

import numpy as np
import pytest

from datasets import mnist
from memristive.io.records import (
    checkpoint_path,
    load_results,
    load_table,
    save_checkpoint,
    to_json,
)
from memristive.io.voltages import load_voltages
from memristive.learning.build import paper_network
from memristive.learning.training import learn
from memristive.network.chip import Chip, on_chip
from memristive.network.closed_form import Crossbar
from memristive.network.decisions import strict_decision
from memristive.network.design import Setup
from memristor import read_current
from studies.chip_figures import figures
from studies.device_variability import main, programmed
from tests.helpers import ROOT


def run_small(folder, *more):
    main(
        [
            "--short",
            "--samples",
            "40",
            "--set",
            "rule.presentations=30",
            "--jobs",
            "1",
            "--results",
            str(folder),
            "--figures",
            str(folder),
            *more,
        ]
    )
    return folder / "imperfect_chips_short.json"


def test_record_holds_the_accuracies_of_each_chip_and_route(tmp_path):
    record = run_small(tmp_path)
    dataset = mnist(encoding="grey")
    rule, (images, labels) = dataclasses.replace(dataset.rule, presentations=30), dataset.training
    (learned,) = learn(
        paper_network(dataset.setup, rule, 10, 100), rule, images, labels
    ).network.states

    def accuracy(states, **chip):
        spikes = Crossbar.of(on_chip(dataset.setup, Chip(**chip))).first_spikes(
            states, dataset.test.levels[:40]
        )
        return np.mean([strict_decision(times) for times in spikes] == dataset.test.labels[:40])

    assert load_results(record)["ideal"]["grey"] == accuracy(learned)
    rows = load_table(record).set_index(["deviation", "spread", "route"])
    assert len(rows) == 3 * 2 * 5 and (rows.chips == 3).all()
    software = load_voltages("voltages/mnist_ex_situ_grey.json").states
    for route, states in (("ex situ", learned), ("software", software)):
        row = rows.loc[("cells", 0.1, route)]
        expected = [
            accuracy(states, seed=seed, cell_gain=0.1, cell_write_gain=0.1) for seed in (1, 2, 3)
        ]
        assert row.accuracies == expected
        assert (row.accuracy_mean, row.accuracy_low, row.accuracy_high) == pytest.approx(
            (np.mean(expected), min(expected), max(expected))
        )

    # Resumed, finished tasks are taken from the checkpoint and the others run again.
    whole = load_results(record)
    done = [row | {"accuracy_mean": 0.5} for row in whole["rows"][:2]]
    save_checkpoint(
        checkpoint_path(record), {"found": to_json({0: done[:1], 1: done[1:]})}, whole["parameters"]
    )
    resumed = load_results(run_small(tmp_path, "--resume"))
    assert resumed["rows"] == done + whole["rows"][2:]
    assert not checkpoint_path(record).exists()


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


def test_all_sections_of_the_committed_record_are_drawn():
    record = load_results(ROOT / "results/chips/imperfect_chips.json")
    assert set(figures(record["rows"], record["ideal"])) == {
        "in_situ",
        "spread",
        "stuck",
        "noise",
        "retention",
        "recovery",
    }
    layers = load_results(ROOT / "results/chips/imperfect_layers.json")
    assert set(figures(layers["rows"], layers["ideal"])) == {"in_situ"}


def test_the_lead_and_the_weight_explain_which_deviation_ruins_each_circuit():
    path = ROOT / "results/chips/imperfect_circuits.json"
    rows = load_table(path).set_index(["circuit", "deviation", "route", "spread"]).accuracy_mean
    record = load_results(path)
    race, circuits = record["race"], list(record["race"])

    def ranked(value):
        return sorted(circuits, key=value)

    for deviation in ("neurons", "cells"):
        assert ranked(lambda name, kind=deviation: rows[name, kind, "ex situ", 0.1]) == ranked(
            lambda name, kind=deviation: race[name]["lead"] / race[name][f"moved_by_{kind}"]
        )
    assert ranked(lambda name: rows[name, "cells", "ex situ", 0.1]) == ranked(
        lambda name: race[name]["weight"]
    )

    # What README says.
    for name in circuits:
        assert rows[name, "both", "ex situ", 0.1] < 2 / 3 * record["ideal"][name]
        assert rows[name, "both", "in situ", 0.1] > record["ideal"][name] - 0.02
