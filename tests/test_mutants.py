"""The runner behind `make mutants`: a mutant that a test notices is told from one that none does."""

import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT

TESTS = """
import pytest


@pytest.fixture
def mnist():
    pass


def test_of_images(mnist):
    pass


def test_slow():
    pass


def test_quick():
    pass


def test_wrong():
    assert False
"""
# With usual settings the first failure ends a run; with others all tests run, and failures are there to be counted.
RUNS = """
from types import SimpleNamespace
from tools import mutants

durations = {"test_it.py::test_slow": 2.0, "test_it.py::test_quick": 1.0}
mutants.state = lambda: SimpleNamespace(duration_by_test=durations)
for more in ([], ["--maxfail=0"]):
    settings = SimpleNamespace(pytest_add_cli_args_test_selection=["test_it.py"], pytest_add_cli_args=more)
    mutants.config = lambda: settings
    runner = mutants.CollectedTests()
    for tests in ("quick", "wrong", "quick slow of_images", "quick wrong slow", "quick", ""):
        found = runner.run_tests(mutant_name=None, tests=[f"test_it.py::test_{name}" for name in tests.split()])
        print("\\nran", found, *(item.name.removeprefix("test_") for item in runner._session.items))
"""


@pytest.mark.process
def test_a_mutant_is_killed_by_one_test_that_fails_and_lives_where_none_does(tmp_path):
    """In a process of its own: mutmut decides for all of it how processes are started. MNIST's tests come last."""
    (tmp_path / "mutants").mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.mutmut]\nsource_paths = ['.']\n")  # mutmut asks for it when it is loaded
    (tmp_path / "mutants" / "test_it.py").write_text(TESTS)
    done = subprocess.run([sys.executable, "-c", RUNS], cwd=tmp_path, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    ran = [line.removeprefix("ran ") for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ran == 2 * ["0 quick", "1 wrong", "0 quick slow of_images", "1 wrong quick slow", "0 quick",
                       "1 wrong quick slow of_images"], done.stdout + done.stderr
