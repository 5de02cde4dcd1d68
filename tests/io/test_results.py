"""Records and decisions: what is written is read back, as tables."""

import math

import numpy as np
import pytest

from memristive.io.records import FileProblem, load_decisions, load_results, load_table, save_decisions, versions, write_results
from memristive.network.design import Schedule


def test_rows_of_a_record_are_a_table(tmp_path):
    rows = [{"spread": 0.1, "accuracy": 0.9}, {"spread": 0.2, "accuracy": math.nan}]
    write_results(tmp_path / "some.json", {"seed": 1}, {"rows": rows, "best": np.float64(0.9)}, ngspice=False)
    record, table = load_results(tmp_path / "some.json"), load_table(tmp_path / "some.json")
    assert record["parameters"] == {"seed": 1} and record["best"] == 0.9 and record["versions"] == versions(ngspice=False)
    assert "ngspice" not in record["versions"]
    assert table["accuracy"][0] == 0.9 and np.isnan(table["accuracy"][1]) and table["spread"].tolist() == [0.1, 0.2]
    with pytest.raises(FileProblem, match="none"):
        load_results(tmp_path / "none.json")


def test_decisions_are_read_back(tmp_path):
    nan = math.nan
    spikes = 1e-6 * np.array([[100, 140.25], [nan, 90], [nan, nan], [50, 50.01]])
    save_decisions(tmp_path / "d.csv.gz", np.array([0, 1, 1, 0]), spikes, 0.5e-6, Schedule(sampling_step=11e-6))
    table = load_decisions(tmp_path / "d.csv.gz")
    assert table["decision"].tolist() == ["0", "1", "silent", "tied"] and table["paper_decision"].tolist() == [0, 1, 0, 0]
    assert table["image"].tolist() == [0, 1, 2, 3] and table["label"].tolist() == [0, 1, 1, 0]
    assert table["lead_us"].tolist() == pytest.approx([40.25, nan, nan, 0.01], nan_ok=True)
    assert table[["spike_0_us", "spike_1_us"]].to_numpy() == pytest.approx(spikes * 1e6, nan_ok=True)
    before = (tmp_path / "d.csv.gz").read_bytes()
    save_decisions(tmp_path / "d.csv.gz", np.array([0, 1, 1, 0]), spikes, 0.5e-6, Schedule(sampling_step=11e-6))
    assert (tmp_path / "d.csv.gz").read_bytes() == before  # the same bytes from the same run
