"""How training and reading grow from 5x5 to 28x28 inputs (250 to 7,840 cells). About 3 minutes.

Writes figures/growth.png and the table into docs/performance.md.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

import plotting
from benchmarks.report import markdown, options_of, put
from datasets import encode, load_mnist
from memristive.cli.evaluation import WANTED
from memristive.cli.experiments import Experiment, mnist_experiment
from memristive.io.files import ROOT
from memristive.single_layer.hebbian import read_network, train_hebbian
from memristive.single_layer.ngspice_crossbar import Reader
from memristive.single_layer.pulses import READING
from memristive.spice.session import NgspiceSession
from plotting import WIDTH
from snn_circuit import names

SIZES = (5, 7, 10, 14, 20, 28)
IMAGES = 30

T = TypeVar("T")


def timed(action: Callable[[], T]) -> tuple[float, T]:
    """Seconds that `action()` takes, and what it returns."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def whole_network_read(session: NgspiceSession, experiment: Experiment, states: np.ndarray, image: np.ndarray) -> float:
    """Seconds of ngspice for reading an image with every cell in the circuit, to the end of the pulse."""
    circuit = session.load(read_network(experiment.network, experiment.schedule, states, image), READING,
                           names("membrane", len(states)))
    seconds, _ = timed(lambda: circuit.run(experiment.schedule.pulse))
    session.unload(circuit)
    return seconds


def growth_figure(rows: Sequence[tuple[float, float, float]]) -> Figure:
    """How run time grows with the network; `rows`: (cells, training in s, reading in s an image)."""
    cells, training, reading = np.array(rows, float).T
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.6))
    for axis, seconds, title, unit in ((axes[0], training, "Training", "time (s)"),
                                       (axes[1], reading, "Reading", "time per image (s)")):
        axis.loglog(cells, seconds, "o-")
        axis.grid(alpha=0.3)
        for scale in (axis.xaxis, axis.yaxis):
            scale.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_locator=NullLocator())
        axis.set(xlabel="cells (number)", ylabel=unit, title=title)
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Measure all sizes and write table and figure."""
    options_of(__doc__).parse_args(arguments)
    session = NgspiceSession()
    digits = load_mnist("x_test", first=IMAGES)["x_test"]
    rows, points = [], []
    for size in SIZES:
        experiment = mnist_experiment(size)
        images = encode(digits, size)
        network, schedule, patterns = experiment.network, experiment.schedule, experiment.dataset.patterns
        train, trained = timed(partial(train_hebbian, session, network, schedule, patterns))
        reader = Reader(session, network, schedule, 10)
        reads = [timed(partial(reader.spikes, trained.states, image, WANTED))[0] for image in images]
        read = statistics.median(reads)
        whole = whole_network_read(session, experiment, trained.states, images[0])
        cells = 10 * size * size
        points.append((cells, train, read))
        rows.append((f"{size}x{size}", f"{cells}", f"{train:.2f}", f"{train / cells * 1e3:.2f}", f"{read * 1e3:.1f}",
                     f"{read / cells * 1e6:.1f}", f"{whole * 1e3:.0f}", f"{whole / cells * 1e6:.0f}"))
        print(*rows[-1])
    table = markdown(("inputs", "cells", "train/s", "train/cell/ms", "read/image/ms", "read/image/cell/us",
                      "whole network/ms", "whole/cell/us"), rows)
    print(table)
    put("growth", f"Training of ten classes; reading: median of {IMAGES} test images as the test script reads them; whole\n"
        f"network: one image with every cell, to the end of the 2 ms pulse.\n\n{table}")
    print(f"wrote {plotting.save(growth_figure(points), ROOT / 'figures', 'growth')}")


if __name__ == "__main__":
    sys.exit(run(main))
