"""Reading many images on all cores, or on a cluster: one ngspice per process, ranges of images as the unit of work."""

import contextlib
import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from in_situ_learning import Schedule
from readout import Reader
from simulation import NgspiceSession, SimulationError
from snn_circuit import NetworkParameters

RANGE = 50  # images a worker takes at a time: a second's work
WANTED = 3  # neurons to see fire, for the top-3 accuracy


class WorkerDied(SimulationError):
    """A worker process died twice over the same images; `spikes` holds what the others finished (nan rows elsewhere)."""

    def __init__(self, message, spikes, finished):
        super().__init__(message)
        self.spikes, self.finished = spikes, finished


@dataclass(frozen=True)
class Task:
    """What a worker needs for one range: all parameters, states, the range's images, and where to note that it began."""

    network: NetworkParameters
    schedule: Schedule
    states: np.ndarray
    images: np.ndarray
    first: int
    notes: str

    @property
    def name(self):
        """The range as text."""
        return f"{self.first}-{self.first + len(self.images) - 1}"


_readers = {}  # of this process: ngspice is one per process, its circuits stay loaded from range to range


def read_range(task):
    """First spike times of a task's images: (first index, images x classes in s). Runs in a worker."""
    if task.notes:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
        Path(task.notes, f"{task.first}.began").touch()
    key = (task.network, task.schedule, len(task.states))
    if key not in _readers:
        _readers.clear()
        _readers[key] = Reader(_session(), task.network, task.schedule, len(task.states))
    spikes = np.array([_readers[key].spikes(task.states, image, WANTED) for image in task.images])
    return task.first, spikes


_sessions = []


def _session():
    if not _sessions:
        _sessions.append(NgspiceSession())
    return _sessions[0]


def read_all(network, schedule, states, images, jobs=1, scheduler=None, watch=lambda index, spikes: None, report=print):
    """First spike times in s of all `images` (n x inputs, 0 to 1): n x classes, nan where a neuron was not seen to fire.

    `jobs` worker processes, or the Dask `scheduler` at tcp://host:port. `watch(indices, spikes)` is called for each
    finished range. A range whose worker dies is run again, alone; raises WorkerDied if it dies again.
    """
    spikes = np.full((len(images), len(states)), np.nan)
    finished = np.zeros(len(images), bool)

    def keep(first, part):
        spikes[first:first + len(part)] = part
        finished[first:first + len(part)] = True
        watch(range(first, first + len(part)), part)

    with tempfile.TemporaryDirectory() as folder:
        notes = "" if jobs == 1 and scheduler is None else folder
        tasks = [Task(network, schedule, states, images[k:k + RANGE], k, notes if scheduler is None else "")
                 for k in range(0, len(images), RANGE)]
        while tasks:
            try:
                _run(tasks, jobs, scheduler, keep)
            except BrokenProcessPool:
                _run_lost_again(tasks, folder, finished, spikes, keep, report)
            tasks = [task for task in tasks if not finished[task.first]]
    return spikes


def _run(tasks, jobs, scheduler, keep):
    with _backend(jobs, scheduler):
        results = Parallel(return_as="generator_unordered", batch_size=1)(delayed(read_range)(task) for task in tasks)
        try:
            for first, part in results:
                keep(first, part)
        except BaseException:
            results.close()
            end_workers()
            raise


def _run_lost_again(tasks, folder, finished, spikes, keep, report):
    """Run each range that was in work when a worker died in a process of its own, so that a second death has one name."""
    lost = [task for task in tasks if not finished[task.first] and Path(folder, f"{task.first}.began").exists()]
    if not lost:
        raise WorkerDied("a worker process died before it began its first images", spikes, finished)
    report(f"a worker process died while images {', '.join(task.name for task in lost)} were in work; running them again")
    for task in lost:
        try:
            keep(*get_reusable_executor(max_workers=1, kill_workers=True).submit(read_range, task).result())
        except BrokenProcessPool as error:
            raise WorkerDied(f"a worker process died a second time on images {task.name}", spikes, finished) from error
        finally:
            end_workers()


def _backend(jobs, scheduler):
    if scheduler is None:
        return parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1)
    from dask.distributed import Client  # optional: requirements-cluster.txt

    stack = contextlib.ExitStack()
    stack.enter_context(Client(scheduler, timeout=10))
    stack.enter_context(parallel_config(backend="dask", n_jobs=-1))
    return stack


def end_workers():
    """End this process's workers at once; used when a run is given up."""
    get_reusable_executor(max_workers=1).shutdown(wait=True, kill_workers=True)


def worker_count():
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
