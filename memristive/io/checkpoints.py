"""Checkpoints of a long training: all arrays and numbers that it needs to continue."""

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from memristive.io.files import FileProblem, NotOverwritten, differences, report, to_json, write_file


def checkpoint_path(path: str | Path) -> Path:
    """Return the path of the checkpoint of a run whose result goes to `path`."""
    return Path(f"{path}.checkpoint")


def save_checkpoint(path: Path, progress: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Write `progress` (arrays and numbers by name) and the parameters of its run."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **progress, parameters=to_json(parameters))
    write_file(path, buffer.getvalue())


def load_checkpoint(path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the progress of a run with the same parameters. Raises FileProblem."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            progress = {name: arrays[name] for name in arrays.files}
        stored = json.loads(str(progress.pop("parameters")))
    except FileNotFoundError:
        raise FileProblem(f"{path} does not exist; leave --resume out to start afresh") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FileProblem(f"{path} is not a usable checkpoint: {error}") from error
    changed = differences(stored, json.loads(to_json(parameters)))
    if changed:
        raise FileProblem(f"{path} was made with other parameters: {', '.join(changed)}; leave --resume out to start afresh")
    return progress


def resumed(path: Path, parameters: Mapping[str, Any], resume: bool, force: bool) -> dict[str, Any] | None:
    """Return the progress to resume from, or None for a run that starts afresh.

    Raises FileProblem if `resume` finds no usable checkpoint, NotOverwritten if a checkpoint exists and neither `resume` nor
    `force` is given.
    """
    if resume:
        return load_checkpoint(path, parameters)
    if path.exists() and not force:
        raise NotOverwritten(f"{path} exists: use --resume to go on from it, or --force to start afresh.")
    return None


@contextmanager
def checkpoint_at_interrupt(path: Path, progress: Callable[[], Mapping[str, Any]],
                            parameters: Mapping[str, Any]) -> Iterator[None]:
    """Save a checkpoint when the block ends early, by Ctrl-C or by an error; `progress` is called then."""
    try:
        yield
    except BaseException:
        save_checkpoint(path, progress(), parameters)
        report(f"saved {path}; go on with --resume")
        raise
