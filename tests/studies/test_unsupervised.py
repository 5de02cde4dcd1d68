"""Learning patterns without a teacher, as the study runs it."""

import numpy as np

from memristive.io.records import load_results, load_table
from memristive.stdp.stdp_learning import draw_trial, learn_patterns
from studies.unsupervised import RUNS, main
from tests.helpers import outputs

XPUE = RUNS["xpue"]


def test_a_row_for_each_seed_and_the_states_of_the_first(tmp_path):
    netlist = ["--netlist", str(tmp_path / "n.cir")]
    main(["--presentations", "3", "--seeds", "2", *netlist, *outputs(tmp_path)])
    path = tmp_path / "stdp_xpue.json"
    rows, record = load_table(path), load_results(path)
    runs = [
        learn_patterns(draw_trial(XPUE.setup, XPUE.dataset.patterns, 3, 4, seed)) for seed in (1, 2)
    ]
    assert rows.winners_as_closed_form.tolist() == [3, 3]
    assert rows.purity.tolist() == [run.purity for run in runs]
    assert np.array_equal(record["states_V"], runs[0].states[-1])
    assert {"n.cir", "stdp_xpue_winners.png"} <= {path.name for path in tmp_path.iterdir()}
