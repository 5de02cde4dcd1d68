"""Independent tasks on all cores with joblib, or on a Dask cluster."""

import contextlib
import importlib
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config

from memristive.parameters import ParameterError, SimulationError
from memristive.progress import progress

Task = TypeVar("Task")
Result = TypeVar("Result")
CONNECT_WITHIN = 10  # s, to a Dask scheduler
Results = Generator[tuple[int, Result], None, None]  # number of a task, and its result


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    jobs: int | None = None,
    scheduler: str | None = None,
    sizes: Sequence[int] | None = None,
    description: str = "",
) -> Results[Result]:
    """Yield (k, function(tasks[k])) as the tasks complete, with a progress bar. Warnings of workers
    are issued in this process.

    Parameters
    ----------
    function : callable
        Defined in a module, so that workers can import it.
    tasks : sequence
    jobs : int, optional
        Number of worker processes; by default one for each core.
    scheduler : str, optional
        Address of a Dask scheduler, `tcp://host:port`, instead of processes on this machine.
    sizes : sequence of int, optional
        Images of each task, for the progress bar.
    description : str
        Text in front of the progress bar.

    Raises
    ------
    SimulationError
        A worker died twice.
    ParameterError
        The scheduler cannot be reached, has no suitable workers, or lacks this project.
    """
    unit, sizes = "image" if sizes else "task", sizes or [1] * len(tasks)
    results = (
        _on_cluster(function, tasks, scheduler)
        if scheduler
        else _on_cores(function, tasks, jobs or cpu_count())
    )
    with (
        contextlib.closing(results),
        progress(range(0), sum(sizes), description, unit) as bar,
    ):
        for k, result in results:
            bar.update(sizes[k])
            yield k, result


def _numbered(
    function: Callable[[Task], Result], k: int, task: Task
) -> tuple[int, Result, list[Warning | str]]:
    """Return k, the task's result, and its warnings, which a worker cannot show to the user as the
    main process does.
    """
    with warnings.catch_warnings(record=True) as caught:
        return k, function(task), [one.message for one in caught]


def _warned(k: int, result: Result, messages: Sequence[Warning | str]) -> tuple[int, Result]:
    """Issue the warnings of a task, and return k and its result."""
    for message in messages:
        warnings.warn(message, stacklevel=2)
    return k, result


@contextlib.contextmanager
def _interrupts_blocked() -> Generator[None, None, None]:
    """Block Ctrl-C while workers start. They inherit the block, so that only this process gets
    Ctrl-C and ends its workers.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Joblib's tracker would warn of the semaphores of workers that Ctrl-C ends.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    # starts Python's resource tracker now: its start unblocks Ctrl-C
    multiprocessing.get_context("spawn").Lock()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)  # a Ctrl-C since then is raised here


def _results(function: Callable[[Task], Result], tasks: Mapping[int, Task]) -> Any:
    """Start the tasks in joblib's workers, and return the generator of what `_numbered` returns, as
    the tasks complete.
    """
    return Parallel(return_as="generator_unordered", batch_size=1)(
        delayed(_numbered)(function, k, task) for k, task in tasks.items()
    )


def _on_cores(
    function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Results[Result]:
    if jobs == 1 or len(tasks) <= 1:
        yield from ((k, function(task)) for k, task in enumerate(tasks))
        return
    left = dict(enumerate(tasks))
    for attempt in (1, 2):
        try:
            # Two workers at least: joblib would run a single job in this process, which a crash
            # would end.
            # loky replaces a worker whose memory has grown, and resumes its task
            warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
            with (
                _interrupts_blocked(),
                parallel_config(
                    backend="loky", n_jobs=max(2, min(jobs, len(left))), inner_max_num_threads=1
                ),
            ):
                results = _results(function, left.copy())
            try:
                for result in results:
                    del left[result[0]]
                    yield _warned(*result)
            finally:
                with warnings.catch_warnings():
                    # joblib's warning of tasks that Ctrl-C leaves unfinished
                    warnings.simplefilter("ignore")
                    results.close()
            return
        except BrokenProcessPool as error:
            if attempt == 2:
                raise SimulationError(
                    "a worker process died twice; with fewer --jobs there is more memory for each"
                ) from error


def _on_cluster(
    function: Callable[[Task], Result], tasks: Sequence[Task], scheduler: str
) -> Results[Result]:
    try:
        from dask.distributed import Client, KilledWorker
    except ImportError as error:
        raise ParameterError(
            "--scheduler needs Dask: pip install -r requirements/cluster.txt"
        ) from error
    try:
        client = Client(scheduler, timeout=CONNECT_WITHIN)
    except (OSError, ValueError, TypeError) as error:
        raise ParameterError(
            f"--scheduler {scheduler} cannot be reached, expected tcp://HOST:PORT: {error}"
        ) from error
    with client:
        threads = client.nthreads()
        if not threads or max(threads.values()) > 1:
            raise ParameterError(
                f"--scheduler {scheduler} needs workers of one thread each, since there is one "
                f"ngspice in a process: PYTHONPATH=. dask worker --nthreads 1 {scheduler}"
            )
        try:
            client.run_on_scheduler(importlib.import_module, function.__module__)
            client.run(importlib.import_module, function.__module__)
        except ImportError as error:
            raise ParameterError(
                f"--scheduler {scheduler}: {error} there; start scheduler and workers in the "
                "project's folder with PYTHONPATH=."
            ) from error
        try:
            with parallel_config(backend="dask", client=client):
                results = _results(function, dict(enumerate(tasks)))
            for result in results:
                yield _warned(*result)
        except KilledWorker as error:
            raise SimulationError(f"workers of --scheduler died repeatedly: {error}") from error
