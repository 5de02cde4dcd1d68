"""README and documents: code runs, tables agree with the records."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest

from memristive.devices.characterise import characterise
from memristive.devices.spice_model import load_model
from tests.helpers import ROOT
from tools.tables import write_tables
from tools.tour import TOUR, executed

PAGES = [
    ROOT / "README.md",
    ROOT / "transistors/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
SNIPPETS = [
    (page.name, k, code)
    for page in PAGES
    for k, code in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    )
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of the snippets, with the project's files but without networks of earlier runs, which
    `save` does not replace.
    """
    path = tmp_path_factory.mktemp("snippets")
    for name in ("data", "figures", "results", "voltages"):
        (path / name).symlink_to(ROOT / name)
    return path


@pytest.mark.parametrize(
    ("page", "k", "code"), SNIPPETS, ids=[f"{page}-{k}" for page, k, _ in SNIPPETS]
)
def test_snippet_runs(folder, page, k, code, monkeypatch):
    monkeypatch.chdir(folder)
    exec(compile(code, f"{page}, snippet {k}", "exec"), {"__name__": "__main__"})


def test_the_ten_lines_of_a_model_are_a_device(tmp_path, ngspice):
    page = (ROOT / "docs/own_model.md").read_text(encoding="utf-8")
    for name, kind in (("my_model.lib", "spice"), ("my_model.json", "json")):
        (tmp_path / name).write_text(
            re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8"
        )
    device = characterise(load_model(str(tmp_path / "my_model.json"))).device
    assert device.mean_step == pytest.approx(2 / (1 / 0.0099 + 1 / 0.0132), rel=0.01)
    assert max(device.half_up, device.half_down) < 1e-9  # V/2 is below the threshold


def quantities(notebook):
    """Return the numbers with a unit that the cells print."""
    text = "".join(
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "text" in output
    )
    return re.findall(r"([\d.]+) ?(%|ns)", text)


def test_the_tour_prints_what_it_stores():
    """Another processor may decide a near tie differently: 4 % is one of 30 flowers, 20 ns the
    resolution of a read.
    """
    stored, found = quantities(nbformat.read(TOUR, as_version=4)), quantities(executed())
    assert [unit for _, unit in found] == [unit for _, unit in stored]
    for (number, unit), (before, _) in zip(found, stored, strict=True):
        assert float(number) == pytest.approx(float(before), abs={"%": 4, "ns": 20}[unit]), (
            "python -m tools.tour"
        )


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "<!-- table:" in page.read_text(encoding="utf-8")],
    ids=lambda page: page.name,
)
def test_tables_are_current(page, tmp_path, monkeypatch):
    """Compare rows, so that a failure names the page and the parameter or result that changed."""
    monkeypatch.chdir(ROOT)
    written = Path(shutil.copy(page, tmp_path))
    write_tables(written)
    before, after = (set(path.read_text(encoding="utf-8").splitlines()) for path in (page, written))
    changed = sorted(before ^ after)
    assert not changed, "run `make tables`"
