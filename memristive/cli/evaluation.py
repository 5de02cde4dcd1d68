"""Reading many images on all cores, or on a cluster: one ngspice per process, ranges of images as the unit of work."""

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed, parallel_config
from joblib._multiprocessing_helpers import mp as joblib_multiprocessing
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from memristive.cli.process import children_kept_apart, undisturbed
from memristive.single_layer.ngspice_crossbar import Reader
from memristive.single_layer.pulses import READING, Schedule
from memristive.spice.parameters import ParameterError
from memristive.spice.session import NgspiceSession, SimulationError, Solver
from memristive.variability.chip import Chip
from snn_circuit import NetworkParameters

if TYPE_CHECKING:
    from dask.distributed import Client

Watch = Callable[[Sequence[int], np.ndarray], object]  # of a range: indices, spikes
Keep = Callable[[int, np.ndarray], None]  # of a range: its first index, spikes

RANGE = 50  # images a worker takes at a time: a second's work
CONNECT_WITHIN = 10  # s, to a Dask scheduler
WANTED = 3  # neurons to see fire, for the top-3 accuracy


class WorkerDied(SimulationError):
    """A worker process died twice over the same images; `spikes` holds what the others finished (nan rows elsewhere)."""

    def __init__(self, message: str, spikes: np.ndarray, finished: np.ndarray) -> None:
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
    chip: Chip | None = None
    solver: Solver = READING
    parent: int = field(default_factory=os.getpid)

    @property
    def name(self) -> str:
        """The range as text."""
        return f"{self.first}-{self.first + len(self.images) - 1}"


_readers: dict[tuple, Reader] = {}  # of this process: ngspice is one per process, its circuits stay loaded from range to range


def read_range(task: Task) -> tuple[int, np.ndarray]:
    """First spike times of a task's images: (first index, images x classes in s). Runs in a worker."""
    if task.notes:
        serve_parent(task.parent)
        Path(task.notes, f"{task.first}.began").write_text(str(os.getpid()))
    key = (task.network, task.schedule, len(task.states), task.chip, task.solver)
    if key not in _readers:
        _readers.clear()
        _readers[key] = Reader(_session(), task.network, task.schedule, len(task.states), task.solver, task.chip)
    spikes = np.array([_readers[key].spikes(task.states, image, WANTED, task.chip.jitter("test", k) if task.chip else None)
                       for k, image in enumerate(task.images, start=task.first)])
    return task.first, spikes


_parents: list[int] = []


def serve_parent(parent: int) -> None:
    """Ctrl-C reaches a whole group of processes, and a service manager sends SIGTERM to all: the parent ends its workers.

    If the parent is killed, it cannot: then they end themselves. Its number comes with the work: asked for here it may be that
    of who adopted this process, for the parent may be dead before a worker has loaded its libraries.
    """
    if parent == os.getpid():  # joblib may do what is for a single worker in this very process
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if not _parents:
        _parents.append(parent)
        threading.Thread(target=_end_with, args=_parents, daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


_sessions: list[NgspiceSession] = []


def _session() -> NgspiceSession:
    if not _sessions:
        _sessions.append(NgspiceSession())
    return _sessions[0]


def read_all(network: NetworkParameters, schedule: Schedule, states: np.ndarray, images: np.ndarray, jobs: int = 1,
             scheduler: str | None = None, watch: Watch = lambda indices, spikes: None,
             report: Callable[[str], object] = print, chip: Chip | None = None, solver: Solver = READING) -> np.ndarray:
    """First spike times in s of all `images` (n x inputs, 0 to 1): n x classes, nan where a neuron was not seen to fire.

    `jobs` worker processes, or the Dask `scheduler` at tcp://host:port. `watch(indices, spikes)` is called for each
    finished range. `chip`: whose devices differ, and whose read noise is each image's own. `solver`: how exactly ngspice
    reads. A range whose worker dies is run again, alone; raises WorkerDied if it dies again, and ParameterError for a
    scheduler that is not there.
    """
    spikes = np.full((len(images), len(states)), np.nan)
    finished = np.zeros(len(images), bool)

    def keep(first: int, part: np.ndarray) -> None:
        spikes[first:first + len(part)] = part
        finished[first:first + len(part)] = True
        watch(range(first, first + len(part)), part)

    def tasks(notes: str = "") -> list[Task]:
        return [Task(network, schedule, states, images[k:k + RANGE], k, notes, chip, solver)
                for k in range(0, len(images), RANGE)]

    if scheduler is not None:
        _run_on_cluster(tasks(), scheduler, finished, spikes, keep)
        return spikes

    def run_all(folder: str) -> None:
        left = tasks(folder if jobs > 1 else "")
        while left:
            try:
                _run(left, jobs, keep)
            except BrokenProcessPool:
                _run_lost_again(left, folder, finished, spikes, keep, report)
            left = [task for task in left if not finished[task.first]]

    with tempfile.TemporaryDirectory() as folder:
        run_all(folder)
    return spikes


def no_processes() -> bool:
    """Whether this machine lets nobody start worker processes: joblib finds no semaphores (a read-only /dev/shm)."""
    return joblib_multiprocessing is None


def _run(tasks: list[Task], jobs: int, keep: Keep) -> None:
    if no_processes():
        for task in tasks:
            keep(*read_range(task))
        return
    with parallel_config(backend="loky", n_jobs=min(jobs, len(tasks)), inner_max_num_threads=1), manager_may_miss_work():
        results = None
        try:
            with children_kept_apart():
                results = Parallel(return_as="generator_unordered", batch_size=1)(delayed(read_range)(task) for task in tasks)
            for first, part in results:
                keep(first, part)
        except BaseException:
            give_up(results)
            raise


def _run_lost_again(tasks: list[Task], folder: str, finished: np.ndarray, spikes: np.ndarray, keep: Keep,
                    report: Callable[[str], object]) -> None:
    """Run each range that was in work when a worker died in a process of its own, so that a second death has one name."""
    lost = [task for task in tasks if not finished[task.first] and Path(folder, f"{task.first}.began").exists()]
    if not lost:
        raise WorkerDied("a worker process died before it began its first images", spikes, finished)
    report(f"a worker process died while images {', '.join(task.name for task in lost)} were in work; running them again")
    for task in lost:
        try:
            with children_kept_apart():
                running = get_reusable_executor(max_workers=1, kill_workers=True).submit(read_range, task)
            keep(*running.result())
        except BrokenProcessPool as error:
            raise WorkerDied(f"a worker process died a second time on images {task.name}", spikes, finished) from error
        finally:
            end_workers()


def _run_on_cluster(tasks: list[Task], scheduler: str, finished: np.ndarray, spikes: np.ndarray, keep: Keep) -> None:
    """Not through joblib's Dask backend: joblib 1.6 waits for ever once Dask gives up a task that kills its workers."""
    with cluster_client(scheduler) as client:
        check_cluster(client, scheduler)
        from dask.distributed import KilledWorker, as_completed

        try:
            for _, (first, part) in as_completed([client.submit(read_range, task, pure=False) for task in tasks],
                                                 with_results=True):
                keep(first, part)
        except KilledWorker as error:
            raise WorkerDied(f"workers of --scheduler died again and again: {error}", spikes, finished) from error


def cluster_client(scheduler: str) -> "Client":
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise ParameterError("--scheduler needs Dask: pip install -r requirements/cluster.txt") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its attempts to connect; what fails is said below
    try:
        with ThreadPoolExecutor(1) as thread:  # of its own, since a notebook's has an event loop already
            thread.submit(asyncio.run, asyncio.wait_for(_shake_hands(scheduler), CONNECT_WITHIN + 2)).result()
        return Client(scheduler, timeout=CONNECT_WITHIN)
    except (OSError, ValueError, TypeError) as error:  # TypeError: tls:// without certificates in Dask's configuration
        said = str(error) or f"no answer within {CONNECT_WITHIN:g} s"
        raise ParameterError(f"--scheduler {scheduler} cannot be reached: {said}; expected tcp://HOST:PORT") from error


async def _shake_hands(scheduler: str) -> None:
    """Connect as a client would, before there is one: a client that meets something else than a scheduler waits for ever."""
    from distributed.comm import connect
    from distributed.security import Security

    try:
        connection = await connect(scheduler, timeout=CONNECT_WITHIN, **Security().get_connection_args("client"))
    except (OSError, ValueError, TypeError):
        raise
    except Exception as error:  # of another protocol's words Dask takes the first for a length, of exabytes as a rule
        raise OSError(f"what answers there is no Dask scheduler ({type(error).__name__})") from error
    await connection.close()


def check_scheduler(scheduler: str) -> None:
    """Raise ParameterError now if the Dask scheduler at tcp://host:port could not do the work."""
    with cluster_client(scheduler) as client:
        check_cluster(client, scheduler)


def check_cluster(client: "Client", scheduler: str) -> None:
    """Raise ParameterError if there are no workers, or if one of the cluster's processes lacks this project: Dask would wait."""
    if not client.nthreads():
        raise ParameterError(f"--scheduler {scheduler} has no workers; start some: "
                             f"PYTHONPATH=. dask worker --nthreads 1 {scheduler}")
    try:
        client.run_on_scheduler(importlib.import_module, __name__)
        client.run(importlib.import_module, __name__)
    except ImportError as error:
        raise ParameterError(f"--scheduler {scheduler}: a process of the cluster cannot load this project ({error}); start "
                             "scheduler and workers in its folder, with PYTHONPATH=.") from error
    if max(client.nthreads().values()) > 1:
        raise ParameterError(f"--scheduler {scheduler} has workers of several threads, and there is one ngspice in a process; "
                             "start them with --nworkers auto --nthreads 1")


def give_up(results: Generator[Any, None, None] | None) -> None:
    """Close joblib's `results`, without its advice to use all of them, and end this process's workers at once."""
    if results:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()
    end_workers()


@contextlib.contextmanager
def manager_may_miss_work() -> Iterator[None]:
    """Nothing is printed within it of a KeyError in joblib's thread that deals out work: it may look for what was given up."""
    usual = threading.excepthook

    def told(problem: threading.ExceptHookArgs) -> None:
        if problem.exc_type is not KeyError or problem.thread is None or problem.thread.name != "ExecutorManagerThread":
            usual(problem)

    threading.excepthook = told
    try:
        yield
    finally:
        threading.excepthook = usual


def end_workers() -> None:
    """End this process's workers at once."""
    with undisturbed():
        get_reusable_executor(max_workers=1).shutdown(wait=True, kill_workers=True)


def worker_count() -> int:
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
