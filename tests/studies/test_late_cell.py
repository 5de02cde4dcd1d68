"""A column of cells that write late: ngspice follows the law, and each cell selects itself."""

from memristive.io.records import load_results
from studies.late_cell import main
from tests.helpers import ROOT, outputs

SMALL = ["--set", "experiment.writes=40", "experiment.cells=2"]  # of docs/writes_late.cir


def test_a_column_in_ngspice_follows_the_law(tmp_path):
    netlist = tmp_path / "late.cir"
    main([*SMALL, *outputs(tmp_path), "--netlist", str(netlist)])
    found = load_results(tmp_path / "late_cell.json")
    assert found["pulses"] == 9 and found["pulses_otherwise"] == 0
    assert found["x_deviation_V"] < 0.3e-3 and found["device_deviation"] < 1e-5
    assert netlist.read_text() == (ROOT / "docs/writes_late.cir").read_text()
