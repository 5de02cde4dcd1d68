"""Many independent computations on all cores, or on a cluster, with a progress bar that knows how large each of them is."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm import tqdm

from memristive.cli.evaluation import check_cluster, cluster_client, give_up, manager_may_miss_work, no_processes, serve_parent
from memristive.cli.process import children_kept_apart
from memristive.spice.errors import SimulationError

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_everywhere(function: Callable[[Task], Result], tasks: Sequence[Task], sizes: Sequence[int], jobs: int,
                   scheduler: str | None, unit: str) -> Iterator[Result]:
    """Yield function(task) of all `tasks` as they end, on `jobs` processes or the Dask `scheduler` at tcp://host:port.

    `sizes`: how much of the progress bar each is, in `unit`s. Raises SimulationError if a worker dies,
    ParameterError for a scheduler that is not there.
    """
    results = on_cores(function, tasks, jobs) if scheduler is None else _on_cluster(function, tasks, scheduler)
    with tqdm(total=sum(sizes), desc="Monte Carlo", unit=unit, unit_scale=True, dynamic_ncols=True, leave=False,
              disable=None) as bar:
        for k, result in results:
            yield result
            bar.update(sizes[k])


def _numbered(function: Callable[[Task], Result], k: int, task: Task, parent: int) -> tuple[int, Result]:
    """`parent`: the process that asks, if it is one of this machine; else 0."""
    if parent:
        serve_parent(parent)
    return k, function(task)


def on_cores(function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Generator[tuple[int, Result], None, None]:
    """Yield (k, function(tasks[k])) as they end, on `jobs` processes. Raises SimulationError if a worker dies."""
    if no_processes():
        yield from ((k, function(task)) for k, task in enumerate(tasks))
        return
    with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1), manager_may_miss_work():
        results = None
        try:
            with children_kept_apart():
                results = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=jobs)(
                    delayed(_numbered)(function, k, task, os.getpid()) for k, task in enumerate(tasks))
            for result in results:  # noqa: UP028 (`yield from` would close `results` itself, with joblib's advice)
                yield result
        except BrokenProcessPool as error:
            raise SimulationError("a worker process died; with fewer --jobs there is more memory for each") from error
        finally:
            give_up(results)


def _on_cluster(function: Callable[[Task], Result], tasks: Sequence[Task],
                scheduler: str) -> Iterator[tuple[int, Result]]:
    with cluster_client(scheduler) as client:
        check_cluster(client, scheduler)
        from dask.distributed import KilledWorker, as_completed

        futures = [client.submit(_numbered, function, k, task, 0, pure=False) for k, task in enumerate(tasks)]
        try:
            for _, result in as_completed(futures, with_results=True):
                yield result
        except KilledWorker as error:
            raise SimulationError(f"workers of --scheduler died again and again: {error}") from error
