"""Helpers of several test modules: the project's folder, running a script as a user does."""

import importlib
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]


def script(*arguments, code=0, folder=ROOT, **options):
    """Run a script of the project, or with "-m" a module; return its standard output.

    If it should end with another exit `code` than 0, return its standard error.
    """
    start = ["-m", arguments[1]] if arguments[0] == "-m" else [str(ROOT / arguments[0])]
    rest = arguments[2:] if arguments[0] == "-m" else arguments[1:]
    process = subprocess.run(
        [sys.executable, *start, *map(str, rest)],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        **options,
    )
    assert process.returncode == code, process.stderr
    return process.stdout if code == 0 else process.stderr


def page(name):
    """Return the module whose `main` a script runs."""
    return importlib.import_module(name.removesuffix(".py"))


def outputs(folder):
    """Return the options that lead a record and its figures into a folder."""
    return ["--results", str(folder), "--figures", str(folder)]


def flowers_in(folder):
    """Write every fifth iris as CSV with semicolons, the species first; return its path."""
    from sklearn.datasets import load_iris  # a second, which few of the tests need

    features, labels = load_iris(return_X_y=True)
    rows = [
        ";".join(["abc"[label], *map(str, row)])
        for row, label in zip(features[::5], labels[::5], strict=True)
    ]
    path = folder / "flowers.csv"
    path.write_text("\n".join(["species;a;b;c;d", *rows]) + "\n", encoding="utf-8")
    return path


def measured_spikes(netlist, count):
    """Run a netlist in ngspice's program; return the first spikes of `count` outputs in s, nan for
    those that ngspice could not measure.
    """
    done = subprocess.run(
        ["ngspice", "-n", "-b", netlist], capture_output=True, text=True, check=True
    )
    assert "singular" not in done.stdout + done.stderr
    found = dict(re.findall(r"^spike_(\d+)\s*=\s*(\S+)", done.stdout, re.MULTILINE))
    return np.array([float(found.get(str(k), "nan")) for k in range(count)])


def printed(netlist):
    """Run a netlist in ngspice's program; return the arrays that it prints, by name."""
    done = subprocess.run(
        ["ngspice", "-n", "-b", netlist], capture_output=True, text=True, check=True
    )
    columns, found = [], {}
    for words in map(str.split, done.stdout.splitlines()):
        if words[:1] == ["Index"]:
            columns = words[1:]
        elif columns and len(words) == len(columns) + 1 and words[0].isdigit():
            for column, word in zip(columns, words[1:], strict=True):
                found.setdefault(column, {})[int(words[0])] = float(word)
    return {name: np.array(list(values.values())) for name, values in found.items()}


def wait_until(condition, seconds=120):
    """Wait until `condition()` is true; fail after many `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not become true"
        time.sleep(0.02)


def one_line(text):
    """Return a message after asserting that it is one line and no traceback, beside the word of a
    first compilation.
    """
    lines = [line for line in text.strip().splitlines() if not line.startswith("compiling:")]
    assert len(lines) == 1 and "Traceback" not in text, text
    return lines[0]
