"""What README and docs show works, each snippet alone in an empty file, and says what the results say."""

import os
import re
import subprocess
import sys

import pytest

from tests.helpers import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "spice" / "README.md"]
SNIPPETS = [(f"{page.relative_to(ROOT)} {k + 1}", code) for page in PAGES
            for k, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))]
# What a snippet prints, where a closed form or its own comment says it.
CHARGED = 0.5 + 2e-9 * 10e-3 / (1e-13 + 0.5 * 3.453e-12)


def run_alone(code, folder):
    """What a snippet prints in an empty file, from a folder that holds nothing else."""
    (folder / "snippet.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, "snippet.py"], cwd=folder, capture_output=True, text=True, timeout=300,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("name", "code"), SNIPPETS, ids=[name for name, _ in SNIPPETS])
def test_snippet_runs_alone(name, code, tmp_path):
    said = run_alone(code, tmp_path)
    for line in code.splitlines():  # a comment after a print says what is printed
        expected = re.match(r"\s*print\(.*\)\s+# (\[.*\]|\d\S*)$", line)
        assert expected is None or expected[1] in said, f"{name} says {expected and expected[1]}, printed {said!r}"
    if "xsynapse.gate" in code:
        assert float(said.split()[-1]) == pytest.approx(CHARGED, rel=0.01)
        assert float(said.split()[-1]) - 0.5 == pytest.approx(float(re.search(r"grown by (\S+) V", code)[1]), abs=0.05)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_figures_and_pages_it_links_are_there(page):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_table_of_results_is_the_one_reproduce_wrote():
    cells = {tuple(cell.strip() for cell in line.split("|"))
             for line in (ROOT / "figures" / "results.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")}
    shown = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").split("## Results")[1].splitlines()
             if line.startswith("|")]
    assert len(shown) > 6
    for line in shown:
        assert tuple(cell.strip() for cell in line.split("|")) in cells, line
