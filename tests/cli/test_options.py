"""Settings, parameter lists, tables, exit codes, warnings and netlists of scripts."""

import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from memristive.cli import script
from memristive.cli.script import NETWORKS, OWN, RESULTS, exit_code, make_parser
from memristive.learning.rule import ErrorDrivenRule
from memristive.network.design import Schedule
from memristive.parameters import ParameterError, SimulationError
from memristor import MemristorParameters
from tests.helpers import ROOT, one_line

CHIPS = RESULTS / "chips"
GROUPS = {"memristor": MemristorParameters(), "schedule": Schedule(), "rule": ErrorDrivenRule()}


def applied(*arguments):
    return script.apply_settings(make_parser("").parse_args(list(arguments)), **GROUPS)


def test_settings_change_the_parameters_that_they_name():
    assert applied() == tuple(GROUPS.values())
    memristor, schedule, rule = applied(
        "--set", "memristor.width=50e-6", "schedule.pulse=2e-3", "--set", "rule.seed=7"
    )
    assert (memristor.width, schedule.pulse, rule.seed) == (50e-6, 2e-3, 7)
    assert (
        memristor.length == GROUPS["memristor"].length
        and schedule.period == GROUPS["schedule"].period
    )


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("schedule.pulse=11", "schedule.pulse"),
        ("rule.seed=0.5", "rule.seed"),
        ("schedule.puls=1", r"schedule\.pulse"),
        ("zzz=1", "--parameters"),
    ],
)
def test_wrong_settings_are_named_with_near_names(setting, word):
    with pytest.raises(ParameterError, match=word):
        applied("--set", setting)


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["--count", "0"], ["--count", "1.5"], ["--for"]]
)
def test_wrong_options_are_one_line_and_exit_code_2(arguments, capsys):
    parser = make_parser("")
    parser.add_argument("--count", type=script.whole_number(1, 9))
    assert parser.parse_args(["--count", "9", "--force"]).count == 9
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(arguments)
    assert ended.value.code == 2 and arguments[0] in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("source", "given", "results", "networks"),
    [
        ("mine.csv", [], OWN, OWN),
        ("epiram", [], CHIPS, NETWORKS),
        ("results/devices/vteam_device.json", [], CHIPS, NETWORKS),
        ("mine.csv", ["--results", "there"], "there", "there"),
    ],
)
def test_outputs_about_own_files_stay_apart_from_the_projects(
    source, given, results, networks, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/devices").mkdir(parents=True)
    for name in ("mine.csv", "results/devices/vteam_device.json"):
        (tmp_path / name).touch()
    options = make_parser("", "chips").parse_args(given)
    assert script.keep_apart(options, source) == Path(networks) and options.results == Path(results)
    assert options.figures == (OWN if source == "mine.csv" else Path("figures"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParameterError("x"), 2),
        (SimulationError("x"), 1),
        (None, 0),
    ],
)
def test_expected_errors_are_one_line_and_an_exit_code(error, code, capsys):
    def main(arguments):
        warnings.warn("beware", stacklevel=1)
        if error:
            raise error

    with warnings.catch_warnings():
        assert exit_code(main) == code
    lines = capsys.readouterr().err.splitlines()
    assert (
        lines[0] == "warning: beware"
        and len(lines) == 1 + bool(code)
        and lines[-1].endswith("x" if code else "beware")
    )
    assert exit_code(lambda arguments: len(arguments), ["--one", "--two"]) == 2
    with pytest.raises(ZeroDivisionError):  # a bug is not hidden
        exit_code(lambda arguments: 1 // 0)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_run_with_one_line(sent, code):
    program = (
        "import os, time\nfrom memristive.cli.script import run\n"
        f"run(lambda arguments: (os.kill(os.getpid(), {int(sent)}), time.sleep(60)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert process.returncode == code and "stopped by" in one_line(process.stderr)
