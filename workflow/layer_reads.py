"""Reading layers in ngspice on all cores: ranges of images, each process with circuits of its own that stay loaded."""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from learning.layer_readout import LayeredReader
from learning.layers import LayeredNetwork
from learning.layers_in_ngspice import borrowed_session
from spice.session import NgspiceSession
from workflow.monte_carlo import on_cores

RANGE = 20  # images a process takes at a time: seconds of work
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

    def read(self, image: np.ndarray) -> LayeredRead:
        """Another image."""
        start = time.process_time()
        layers = self._reader.read(self._network, image)[0]
        self._number += 1
        megabytes = int(STATM.read_text(encoding="ascii").split()[1]) * 4096 / 1e6 if STATM.exists() else None
        return LayeredRead(layers, time.process_time() - start, self._number, megabytes)


_runs = itertools.count()
_here: dict[str, _Process] = {}  # of this process: the run that it works for


def _read_range(work: _Range) -> list[LayeredRead]:
    if work.run not in _here:
        _here.clear()
        _here[work.run] = _Process(NgspiceSession(), work.network)
    return [_here[work.run].read(image) for image in work.images]


def read_layers(network: LayeredNetwork, images: np.ndarray, jobs: int = 1) -> Iterator[LayeredRead]:
    """Read `images` (n x inputs, levels 0 to 1) layer by layer in ngspice on `jobs` processes; yields their reads in order.

    Raises SimulationError, also for a worker that dies, and NgspiceMissing.
    """
    if jobs == 1 or len(images) <= RANGE:
        with borrowed_session() as session:
            process = _Process(session, network)
            yield from map(process.read, images)
        return
    run = f"{os.getpid()}-{next(_runs)}"
    work = [_Range(run, network, images[k:k + RANGE]) for k in range(0, len(images), RANGE)]
    waiting: dict[int, list[LayeredRead]] = {}
    following = 0
    with contextlib.closing(on_cores(_read_range, work, min(jobs, len(work)))) as ended:
        for k, reads in ended:
            waiting[k] = reads
            while following in waiting:
                yield from waiting.pop(following)
                following += 1
