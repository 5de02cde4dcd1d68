"""Reading layers in ngspice on all cores: ranges of images, each process with circuits of its own that stay loaded.

Before each range they are taken back to where they began, so that a read is the same whoever reads the ranges before.
"""

import contextlib
import itertools
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memristive.cli.monte_carlo import on_cores
from memristive.multilayer.layer_network import LayeredNetwork
from memristive.multilayer.layer_ngspice import LayeredReader
from memristive.multilayer.layer_sessions import borrowed_session
from memristive.spice.session import NgspiceSession

# joblib starts a process anew whose circuits have grown by 300 MB, and takes them for a leak.
warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given", category=UserWarning)
RANGE = 25  # images a process takes at a time: seconds of work
STATM = Path("/proc/self/statm")  # Linux's count of a process's pages


@dataclass(frozen=True, eq=False)
class LayeredRead:
    """The read of one image, and the process that did it: how many that were its, and how large it has become."""

    layers: list[np.ndarray]  # s, first spikes of each layer's neurons; nan: silent, or later than the read's end
    cpu_seconds: float
    number: int  # 1: the process's first
    megabytes: float | None  # resident; None where the system does not say


@dataclass(frozen=True, eq=False)
class _Range:
    """Images for a process, and whose they are: it keeps the circuits of one `run`."""

    run: str
    network: LayeredNetwork
    images: np.ndarray


class _Process:
    """A process's circuits, and how much they were used."""

    def __init__(self, session: NgspiceSession, network: LayeredNetwork) -> None:
        self._network, self._reader, self._number = network, LayeredReader(session, network), 0

    def read(self, images: np.ndarray) -> Iterator[LayeredRead]:
        """A range's images, one by one."""
        start = time.process_time()
        self._reader.forget()
        for image in images:
            layers = self._reader.read(self._network, image)[0]
            self._number += 1
            megabytes = int(STATM.read_text(encoding="ascii").split()[1]) * 4096 / 1e6 if STATM.exists() else None
            yield LayeredRead(layers, time.process_time() - start, self._number, megabytes)
            start = time.process_time()


_runs = itertools.count()
_here: dict[str, _Process] = {}  # of this process: the run that it works for


def _read_range(work: _Range) -> list[LayeredRead]:
    if work.run not in _here:
        _here.clear()
        _here[work.run] = _Process(NgspiceSession(), work.network)
    return list(_here[work.run].read(work.images))


def read_layers(network: LayeredNetwork, images: np.ndarray, jobs: int = 1) -> Iterator[LayeredRead]:
    """Read `images` (n x inputs, levels 0 to 1) layer by layer in ngspice on `jobs` processes; yields their reads in order.

    The same, but for rounding, on any number of processes, and of images from a multiple of `RANGE` on without those before.
    Raises SimulationError, also for a worker that dies, and NgspiceMissing.
    """
    ranges = [images[k:k + RANGE] for k in range(0, len(images), RANGE)]
    if jobs == 1 or len(ranges) <= 1:
        with borrowed_session() as session:
            yield from itertools.chain.from_iterable(map(_Process(session, network).read, ranges))
        return
    run = f"{os.getpid()}-{next(_runs)}"
    work = [_Range(run, network, part) for part in ranges]
    with contextlib.closing(on_cores(_read_range, work, min(jobs, len(work)))) as ended:
        yield from _in_order(ended)


def _in_order(ended: Iterable[tuple[int, list[LayeredRead]]]) -> Iterator[LayeredRead]:
    waiting: dict[int, list[LayeredRead]] = {}
    following = 0
    for k, reads in ended:
        waiting[k] = reads
        while following in waiting:
            yield from waiting.pop(following)
            following += 1
