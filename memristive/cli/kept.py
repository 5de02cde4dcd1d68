"""Work that is stopped is kept: checkpoints that are whole, and what a run that ends early saves and says."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from memristive.cli.process import undisturbed
from memristive.io.checkpoints import save_checkpoint
from memristive.spice.ngspice import signals_deferred as signals_held


def way_on(force: bool) -> str:
    """How a run that ended early goes on; after `force` what is there may be another's, where `--resume` alone is refused."""
    return "go on with --resume --force" if force else "go on with --resume"


def save_whole(path: Path, progress: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """As `memristive.io.checkpoints.save_checkpoint`; a signal that comes meanwhile is delivered once the file is whole.

    While NumPy writes an archive, zipfile would make an error of its own of what a handler raises. Raises FileProblem.
    """
    with signals_held():
        save_checkpoint(path, progress, parameters)


@contextlib.contextmanager
def kept_if_stopped(save: Callable[[], str]) -> Iterator[None]:
    """If what is within it ends early, for whatever reason, `save()` is called and what it returns is printed (unless it is
    ""), and nothing disturbs that.

    A loop must not stand there itself, but in a function that is called there: between two rounds, where a `while` or `for`
    jumps back behind an `if`, Python 3.13 passes by what stands around it, be it a `with`, an `except`, or a `finally`.
    """
    try:
        yield
    except BaseException:
        with undisturbed():
            said = save()
            if said:
                print(said)
        raise
