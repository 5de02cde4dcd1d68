"""Checkpoints of a long training: arrays and numbers, all that is needed to go on."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memristive.io.claims import NotOverwritten, differences
from memristive.io.files import atomic_write, to_json
from memristive.io.voltages import LIMIT, VoltagesError

AFRESH = "--force instead of --resume starts afresh"


def checkpoint_path(voltages: str | Path) -> Path:
    """Where the checkpoint of a training that will write the file `voltages` is kept."""
    return Path(f"{voltages}.checkpoint")


def save_checkpoint(path: Path, progress: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Write `progress` (name -> array or number) and the `parameters` (plain numbers) of its run atomically.

    Raises FileProblem.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **progress, parameters=to_json(parameters))
    atomic_write(path, buffer.getvalue())


def load_checkpoint(path: Path, parameters: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """What `save_checkpoint` kept of a run with the same `parameters`: name -> array. Raises VoltagesError.

    `like` is a progress of the same run: its names, shapes and types are those that are expected.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            progress = {name: arrays[name] for name in arrays.files}
            stored = json.loads(str(progress.pop("parameters")))
    except FileNotFoundError as error:
        raise VoltagesError(f"{path}: no such checkpoint; leave --resume out to start afresh") from error
    except Exception as error:  # bytes that are no archive of arrays make NumPy and zipfile raise nearly anything
        said = ["no archive of arrays"] if "pickle" in str(error) else str(error).splitlines() or [type(error).__name__]
        raise VoltagesError(f"{path}: is not a usable checkpoint ({said[0]}); {AFRESH}") from error
    expected = json.loads(to_json(parameters))
    if stored != expected:
        different = differences(stored, expected) if isinstance(stored, dict) else []
        raise VoltagesError(f"{path}: was made with other parameters: {', '.join(different) or 'of another version'}; give the "
                            f"same; {AFRESH}")
    for name, value in like.items():
        _check(path, name, progress.get(name), np.asarray(value))
    return {name: progress[name] for name in like}


def refuse_progress(path: Path, load: Callable[[], int], what: str) -> None:
    """Raise NotOverwritten if there is a checkpoint that neither --resume nor --force spoke of.

    `load()`: reads it, and says how many of `what` it holds, or raises VoltagesError.
    """
    if not path.exists():
        return
    try:
        done = load()
    except VoltagesError as error:
        raise NotOverwritten(f"{str(error).rpartition(';')[0]}; --force overwrites it, or write elsewhere") from error
    raise NotOverwritten(f"{path} holds {done} {what}; --resume goes on with them, --force starts afresh")


def _check(path: Path, name: str, found: np.ndarray | None, expected: np.ndarray) -> None:
    if found is None:
        raise VoltagesError(f"{path}: has no {name!r}; {AFRESH}")
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise VoltagesError(f"{path}: {name!r} is {found.dtype} of shape {found.shape}, expected {expected.dtype} of shape "
                            f"{expected.shape}; {AFRESH}")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise VoltagesError(f"{path}: {name!r} holds values that are not finite; {AFRESH}")
    if name.startswith("states") and (np.abs(found) > LIMIT).any():
        raise VoltagesError(f"{path}: {name!r} holds {found.flat[np.argmax(np.abs(found))]:g}, expected voltages; {AFRESH}")
