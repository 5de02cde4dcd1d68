"""Benchmarks measure for minutes and write into docs/ and figures/: what is asked or mistyped must not set them off."""

import importlib

import pytest

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
