"""The notebook runs from its first cell to its last, and its outputs are committed with it."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from memristive.io.files import ROOT

TOUR = ROOT / "docs" / "tour.ipynb"


def test_tour_runs_and_says_what_it_shows():
    kept = nbformat.read(TOUR, as_version=4)
    ran = nbformat.read(TOUR, as_version=4)
    for cell in ran.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(ran, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(TOUR.parent)}}).execute()
    for now, before in zip(ran.cells, kept.cells, strict=True):
        assert kinds(now) == kinds(before)
    said = text(ran)
    assert "the same neuron first: 6 of 6" in said
    assert text(kept).count("% right") == said.count("% right") == 1
    ours, theirs = ([float(share) for share in re.findall(r"([\d.]+)%", each)] for each in (said, text(kept)))
    assert ours == pytest.approx(theirs, abs=5.0)  # to what another machine's last digits make of a training
    netlists = [[line for line in each.splitlines() if line.startswith(".")] for each in (said, text(kept))]
    assert netlists[0] == netlists[1] and len(netlists[0]) > 4
    assert sum("image/png" in kind for cell in kept.cells for kind in kinds(cell)) >= 4


def kinds(cell):
    """What a cell shows: kinds of output."""
    return [sorted(output.get("data", {"stream": ""})) for output in cell.get("outputs", []) if output.get("name") != "stderr"]


def text(notebook):
    """All that the cells print."""
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
