"""Pairs that are refreshed: ngspice follows the law, and each pair decides by itself."""

import pytest

from memristive.io.records import load_results
from studies.refresh_cell import main
from tests.helpers import outputs


@pytest.mark.parametrize("device", ["generic-pcm", "taox"])
def test_pairs_in_ngspice_follow_the_law(device, tmp_path):
    size = ["--set", "experiment.writes=70", "experiment.cells=2"]
    main([*size, "--device", device, *outputs(tmp_path)])
    found = load_results(tmp_path / "refresh_cell.json")
    assert found["refreshes"] >= 2 and found["trims"] >= 2 and found["pulses_otherwise"] == 0
    assert found["x_deviation"] < 2e-3
