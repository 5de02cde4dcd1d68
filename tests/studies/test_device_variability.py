"""The study of imperfect chips, small."""

import dataclasses

import numpy as np
import pytest

from datasets import mnist
from memristive.io.records import load_table
from memristive.learning.build import paper_network
from memristive.learning.training import learn
from memristive.network.chip import Chip, on_chip
from memristive.network.crossbar import Crossbar
from memristive.scores.decisions import strict_decision
from studies.device_variability import main
from tests.helpers import outputs


def test_weights_are_carried_to_chips_of_these_seeds(tmp_path):
    options = ["--short", "--samples", "40", "--set", "rule.presentations=30", "--jobs", "1"]
    main([*options, *outputs(tmp_path)])
    rows = load_table(tmp_path / "imperfect_chips_short.json")
    row = rows.set_index(["deviation", "spread", "route"]).loc[("cells", 0.1, "ex situ")]
    dataset, expected = mnist(encoding="grey"), []
    rule = dataclasses.replace(dataset.rule, presentations=30)
    start = paper_network(dataset.setup, rule, *dataset.patterns.shape)
    states = learn(start, rule, *dataset.training).network.states[0]
    for seed in (1, 2, 3):
        setup = on_chip(dataset.setup, Chip(seed=seed, cell_gain=0.1, cell_write_gain=0.1))
        spikes = Crossbar.of(setup).first_spikes(states, dataset.test.levels[:40])
        decided = [strict_decision(times) for times in spikes]
        expected.append(np.mean(decided == dataset.test.labels[:40]))
    assert row.accuracies == expected and row.accuracy_mean == pytest.approx(np.mean(expected))
