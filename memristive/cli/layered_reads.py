"""Many images read by a multilayer network in ngspice, on all cores."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memristive.cli.parallel import run_tasks
from memristive.network.layers import READ_BLOCK, LayeredNetwork, read_generator
from memristive.network.ngspice_layers import LayeredReader
from memristive.network.setup import CLOSED_FORM

RANGE = READ_BLOCK  # images in a task: seconds of work
STATM = Path("/proc/self/statm")  # pages of this process (Linux)

_processes: dict[float, "_Process"] = {}  # of this process, by run; circuits stay loaded from task to task


@dataclass(frozen=True, eq=False)
class LayeredRead:
    """One image read by a multilayer network in ngspice, with the process's cost."""

    layers: list[np.ndarray]  # s, first spikes of each layer's neurons; nan: silent, or later than the read's end
    cpu_seconds: float
    number: int  # of this process's reads, from 1
    megabytes: float | None  # resident memory; None where the system does not report it


class _Process:
    """The reader of one process and the number of its reads."""

    def __init__(self, network: LayeredNetwork) -> None:
        self.network, self.reader, self._number = network, LayeredReader(network), 0

    def read(self, images: np.ndarray, first: int) -> Iterator[LayeredRead]:
        """Read a range of images, of which `first` is the number of the first one."""
        start, rng = time.process_time(), read_generator(0, first)
        self.reader.reset()  # the result does not depend on earlier ranges
        for image in images:
            layers = self.reader.read(self.network, image, rng=rng)[0]
            self._number += 1
            megabytes = int(STATM.read_text(encoding="ascii").split()[1]) * 4096 / 1e6 if STATM.exists() else None
            yield LayeredRead(layers, time.process_time() - start, self._number, megabytes)
            start = time.process_time()


def _read_range(task: tuple[float, LayeredNetwork, np.ndarray, int]) -> list[LayeredRead]:
    run, network, images, first = task
    if run not in _processes:
        for process in _processes.values():
            process.reader.unload()
        _processes.clear()
        _processes[run] = _Process(network)
    return list(_processes[run].read(images, first))


def read_layers(network: LayeredNetwork, images: np.ndarray, jobs: int | None = None) -> list[LayeredRead]:
    """Read `images` (n x inputs, levels 0 to 1) layer by layer in ngspice. Raises SimulationError."""
    found = dict(read_ranges(network, images, range(0, len(images), RANGE), jobs))
    return list(itertools.chain.from_iterable(found[k] for k in sorted(found)))


def first_spikes(network: LayeredNetwork, images: np.ndarray, engine: str, jobs: int | None = None) -> np.ndarray:
    """Return the outputs' first spikes (images x classes, s; nan: silent) by an engine; ngspice reads on `jobs` processes."""
    if engine == CLOSED_FORM:
        return network.first_spikes(images)
    return np.array([read.layers[-1] for read in read_layers(network, images, jobs)])


def read_ranges(network: LayeredNetwork, images: np.ndarray, starts: Sequence[int],
                jobs: int | None = None) -> Iterator[tuple[int, list[LayeredRead]]]:
    """Yield (start, reads) for ranges of `RANGE` images, as they complete; the order of the ranges may change.

    Parameters
    ----------
    network : LayeredNetwork
    images : array, n x inputs, levels 0 to 1
    starts : sequence of int
        First images of the ranges to read.
    jobs : int, optional
        Worker processes; by default one for each core.

    Raises
    ------
    SimulationError
        ngspice failed, or a worker died twice.
    """
    run = time.time()
    tasks = [(run, network, images[k:k + RANGE], k) for k in starts]
    for k, reads in run_tasks(_read_range, tasks, jobs, None, [len(task[2]) for task in tasks], "reading"):
        yield starts[k], reads
