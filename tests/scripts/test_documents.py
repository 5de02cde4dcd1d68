"""README and documents: code runs, tables are those of the records."""

import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from tests.helpers import ROOT
from tools.tables import TABLES, write_tables

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPETS = [(page.name, k, code) for page in PAGES
            for k, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))]


@pytest.mark.parametrize(("page", "k", "code"), SNIPPETS, ids=[f"{page}-{k}" for page, k, _ in SNIPPETS])
def test_snippet_runs(page, k, code):
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, timeout=300)


def test_tour_runs():
    tour = nbformat.read(ROOT / "docs" / "tour.ipynb", as_version=4)
    NotebookClient(tour, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT / "docs")}}).execute()


def test_writing_the_tables_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    names = []
    for page in PAGES:
        names += re.findall(r"<!-- table: (\w+) -->", page.read_text(encoding="utf-8"))
        (tmp_path / page.name).write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
        assert not write_tables(tmp_path / page.name), page.name
    assert set(names) <= set(TABLES)
