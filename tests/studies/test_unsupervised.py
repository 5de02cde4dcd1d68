"""Learning patterns without a teacher, as the study runs it."""

import numpy as np
import pytest

from memristive.io.records import NotOverwritten, load_results, load_table
from memristive.learning.stdp_learning import draw_trial, learn_patterns
from studies.unsupervised import RUNS, main

XPUE = RUNS["xpue"]


def test_a_row_for_each_seed_and_figures_of_the_first(tmp_path):
    options = ["--figures", str(tmp_path), "--results", str(tmp_path)]
    main(["--presentations", "3", "--seeds", "2", "--netlist", str(tmp_path / "n.cir"), *options])
    rows, record = (
        load_table(tmp_path / "stdp_xpue.json"),
        load_results(tmp_path / "stdp_xpue.json"),
    )
    runs = [
        learn_patterns(draw_trial(XPUE.setup, XPUE.dataset.patterns, 3, 4, seed)) for seed in (1, 2)
    ]
    assert (
        rows.seed.tolist() == [1, 2]
        and rows.winners_as_closed_form.tolist() == [3, 3]
        and not rows.one_to_one.any()
    )
    assert rows.purity.tolist() == [run.purity for run in runs]
    assert rows["neuron_of_+"].tolist() == [run.neurons[1] for run in runs]
    assert np.array_equal(record["states_V"], runs[0].states[-1])
    assert np.array_equal(record["homeostasis_V"], runs[0].homeostasis[-1])
    assert {path.name for path in tmp_path.iterdir()} == {
        "n.cir",
        "stdp_xpue.json",
        "stdp_xpue.gif",
        "stdp_xpue_winners.png",
    }
    with pytest.raises(NotOverwritten, match="presentations"):
        main(options)


def test_spread_is_of_the_devices_and_flipped_of_the_pixels(tmp_path):
    main(
        [
            "--presentations",
            "3",
            "--spread",
            "0.2",
            "--flipped",
            "0.3",
            "--figures",
            str(tmp_path),
            "--results",
            str(tmp_path),
        ]
    )
    record = load_results(tmp_path / "stdp_xpue_spread_flipped.json")
    trial = draw_trial(XPUE.setup, XPUE.dataset.patterns, 3, 4, 1, spread=0.2, flipped=0.3)
    assert np.array_equal(record["states_V"], learn_patterns(trial).states[-1])
