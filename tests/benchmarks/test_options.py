"""Benchmarks measure for minutes and write into docs/ and figures/: what is asked or mistyped must not set them off."""

import importlib
import os
import runpy
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from benchmarks import scripts, soak
from tests.helpers import ROOT

BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if "def main" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize(("argument", "code", "said"), [("--help", 0, "usage: "), ("--nonsense", 2, "unrecognized arguments")])
def test_help_and_mistyped_options_run_nothing(name, argument, code, said, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [name, argument])
    benchmark = importlib.import_module(f"benchmarks.{name}")
    for worker in ("NgspiceSession", "load_mnist", "measure", "measure_layers", "put"):
        monkeypatch.setattr(benchmark, worker, lambda *_: pytest.fail("it ran"), raising=False)
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    assert ended.value.code == code and said in "".join(capsys.readouterr())


@pytest.mark.parametrize("name", BENCHMARKS)
def test_they_are_run_as_pages_are(name, monkeypatch):
    """So a signal is one line and its exit code, and a reader of the output that left costs no figure."""
    ran = []
    monkeypatch.setitem(sys.modules, "memristive.cli.loading", SimpleNamespace(run=lambda main: ran.append(main) or 7))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"), run_name="__main__")
    assert ended.value.code == 7 and [main.__name__ for main in ran] == ["main"]


@pytest.mark.parametrize("rounds", ["0", "-1", "x"])
def test_no_rounds_have_no_median(rounds, monkeypatch, capsys):
    monkeypatch.setattr(scripts, "measure", lambda *_: pytest.fail("it ran"))
    with pytest.raises(SystemExit) as ended:
        scripts.main(["--rounds", rounds])
    assert ended.value.code == 2 and f"must be a whole number, 1 to 1000, got {rounds}" in capsys.readouterr().err


def test_so_few_reads_that_a_tenth_of_the_writes_is_none_are_refused(monkeypatch, capsys):
    """They were judged to be flat, by a ratio that is no number."""
    monkeypatch.setattr(soak, "soak", lambda reads: pytest.fail("it ran"))
    with pytest.raises(SystemExit) as ended:
        soak.main(["--reads", "90"])
    assert ended.value.code == 2 and "must be a whole number, 100 to 1e+06, got 90" in capsys.readouterr().err


def test_a_benchmark_that_is_stopped_takes_its_script_with_it(monkeypatch, tmp_path):
    """The script would sleep for ten minutes; the signal comes while it is waited for."""
    (tmp_path / "asleep.py").write_text("import time; time.sleep(600)")
    begun, popen = [], subprocess.Popen

    def start(*given, **more):
        begun.append(popen(*given, **more))
        return begun[-1]

    def stop(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(os, "wait4", stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            scripts.measure([str(tmp_path / "asleep.py")], str(tmp_path))
        process, = begun
        assert process.returncode == -signal.SIGTERM
    finally:
        begun[0].kill()
