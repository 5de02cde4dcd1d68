"""Measure the times of reads, writes and learning in both engines.

`python -m tools.performance` writes results/performance.json in a minute, on a machine that does
nothing else. tools/tables.py makes the tables of docs/setup.md from this record.
"""

import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from memristive.cli.script import make_parser, print_rows, progress, run
from memristive.datasets import mnist
from memristive.engines.engine import make_engine
from memristive.io.records import write_results
from memristive.learning.build import paper_network
from memristive.learning.training import learn
from memristive.network.design import CLOSED_FORM, ENGINES, NGSPICE
from memristive.spice.session import temporary_circuits
from memristive.writing.at_once import ColumnDose

SIZES = (10, 28)  # pixels in a row of an image
READS = 30  # images read and written one by one
PRESENTATIONS = {NGSPICE: 100, CLOSED_FORM: 20_000}
WANTED = 3  # spikes that a read waits for, as in MNIST_memristor_test.py


def main(arguments: list[str] | None = None) -> None:
    """Measure everything, save, print."""
    options = make_parser(__doc__, parameters=False).parse_args(arguments)
    cases = [(size, engine) for size in SIZES for engine in ENGINES]
    rows = [engine_row(*case) for case in progress(cases, len(cases), "engines", "case")]
    write_results(
        options.results / "performance.json", {"cores": os.cpu_count()}, {"engines": rows}
    )
    print_rows(rows)


def cpu_seconds(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> float:
    """Return the median CPU time in s of some calls of a function, each with its arguments."""
    seconds = []
    for arguments in calls:
        start = time.process_time()
        function(*arguments)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def engine_row(size: int, name: str) -> dict[str, Any]:
    """Return a row of results: CPU times of a read and a write in ms, and presentations a second
    while learning from errors, by the engine `name` with grey images of `size` x `size` pixels.
    """
    dataset, inputs = mnist(size, "grey"), size**2
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
        "images": f"{size}x{size} grey",
        "engine": name,
        "read_ms": read * 1e3,
        "write_ms": write * 1e3,
        "presentations_per_s": rule.presentations / seconds,
    }


if __name__ == "__main__":
    run(main)
