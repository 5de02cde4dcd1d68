"""Measure the times of reads, writes and learning in both engines, and time and memory of every
script.

`python -m tools.performance` writes results/performance.json in about eight minutes, on a machine
that does nothing else. tools/tables.py makes the tables of docs/performance.md from this record.
"""

import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from datasets import mnist
from memristive.cli.script import make_parser, print_rows, progress, run
from memristive.engines.engine import make_engine
from memristive.io.records import write_results
from memristive.learning.build import paper_network
from memristive.learning.training import learn
from memristive.network.design import CLOSED_FORM, ENGINES, NGSPICE
from memristive.spice.session import temporary_circuits
from memristive.writing.at_once import ColumnDose

ROOT = Path(__file__).parents[1]
IMAGES = ((10, "binary"), (10, "grey"), (28, "binary"), (28, "grey"))  # size, encoding
READS = 30  # images read and written one by one
PRESENTATIONS = {NGSPICE: 100, CLOSED_FORM: 20_000}
WANTED = 3  # spikes that a read waits for, as in MNIST_memristor_test.py
TEST = ["MNIST_memristor_test.py", "--samples", "200"]
SCRIPTS = [
    ["memristor.py"],
    *(
        [f"{name}_memristive_{part}.py"]
        for name in ("XPUE", "012345", "MNIST")
        for part in ("training", "inference")
    ),
    [*TEST, "--jobs", "1"],
    [*TEST, "--jobs", "2"],
    [*TEST, "--jobs", "2", "--voltages", "voltages/mnist_error_driven.json"],
]

# A small process starts each script, because a child's peak memory is at least that of its parent
# at the fork.
MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def main(arguments: list[str] | None = None) -> None:
    """Measure everything, save, print."""
    parser = make_parser(__doc__, parameters=False)
    parser.add_number("--rounds", 1, 1000, 5, "runs of each script")
    options = parser.parse_args(arguments)
    cases = [(size, encoding, engine) for size, encoding in IMAGES for engine in ENGINES]
    results = {
        "engines": [engine_row(*case) for case in progress(cases, len(cases), "engines", "case")],
        "scripts": script_rows(options.rounds),
    }
    write_results(
        options.results / "performance.json",
        {"rounds": options.rounds, "cores": os.cpu_count()},
        results,
    )
    for rows in results.values():
        print_rows(rows)


def cpu_seconds(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> float:
    """Return the median CPU time in s of some calls of a function, each with its arguments."""
    seconds = []
    for arguments in calls:
        start = time.process_time()
        function(*arguments)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def engine_row(size: int, encoding: str, name: str) -> dict[str, Any]:
    """Return a row of results: CPU times of a read and a write in ms, and presentations a second
    while learning from errors, by the engine `name` with images of `size` x `size` pixels.
    """
    dataset, inputs = mnist(size, encoding), size**2
    images, labels = dataset.test
    rule, rng = (
        dataclasses.replace(dataset.rule, presentations=PRESENTATIONS[name]),
        np.random.default_rng(1),
    )
    start = paper_network(dataset.setup, rule, 10, inputs)
    network = dataclasses.replace(
        start, states=(start.states[0] + rng.normal(0, 0.02, (10, inputs)),)
    )
    with temporary_circuits():
        engine = make_engine(name, network)
        engine.read(network, images[0], WANTED)  # the first call compiles
        if name == NGSPICE:
            read = cpu_seconds(engine.read, ((network, image, WANTED) for image in images[:READS]))
        else:  # all images at once
            read = cpu_seconds(network.first_spikes, [(images,)] * 3) / len(images)
        write = cpu_seconds(
            engine.write,
            ((network, 0, [ColumnDose(0, rule.dose, image)], rng) for image in images[:READS]),
        )
        seconds = cpu_seconds(lambda: learn(start, rule, images, labels, engine=name), [()])
    return {
        "images": f"{size}x{size} {encoding}",
        "engine": name,
        "read_ms": read * 1e3,
        "write_ms": write * 1e3,
        "presentations_per_s": rule.presentations / seconds,
    }


def script_rows(rounds: int) -> list[dict[str, Any]]:
    """Run every script `rounds` times, in turn so that drifts of a shared machine affect all.
    Return a row for each script with its medians: times in s, peak memory in MB.
    """
    with tempfile.TemporaryDirectory() as folder:
        cases = progress(SCRIPTS * rounds, rounds * len(SCRIPTS), "scripts", "run")
        runs = np.array([script_cost(command, folder) for command in cases]).reshape(
            rounds, len(SCRIPTS), 3
        )
    medians = np.median(runs, axis=0)
    return [
        {"script": " ".join(command), "wall_s": wall, "cpu_s": cpu, "peak_MB": peak}
        for command, (wall, cpu, peak) in zip(SCRIPTS, medians.tolist(), strict=True)
    ]


def script_cost(command: list[str], folder: str) -> list[float]:
    """Run a script and return its wall time in s, its CPU time in s including workers, and the peak
    memory in MB of its largest process.

    `command`: file of the script and its options; `folder`: where the run writes its files.
    """
    voltages = ["--voltages", f"{folder}/{command[0]}.json"] if "training" in command[0] else []
    run_once = [
        sys.executable,
        *command,
        *voltages,
        "--figures",
        folder,
        "--results",
        folder,
        "--force",
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *run_once],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float(word) for word in done.stdout.split()]


if __name__ == "__main__":
    run(main)
