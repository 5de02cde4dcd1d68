"""Atomic writes, JSON, and the check before anything is overwritten."""

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


class FileProblem(RuntimeError):
    """A file cannot be read, written or used."""


class NotOverwritten(RuntimeError):
    """A file exists that was made with other parameters."""


def write_file(path: str | Path, content: str | bytes, own: Callable[[bytes], bool] | None = None) -> None:
    """Write `content` to a temporary file and rename it, so that `path` always holds complete content, old or new.

    A symbolic link stays, because its target is replaced. A device or a pipe is written into, as a shell does.

    `own` protects files that hold no parameters, such as figures: if it returns False for the content of an existing file,
    NotOverwritten is raised.
    """
    path, data = Path(path), content.encode() if isinstance(content, str) else content
    if own and path.is_file() and not own(path.read_bytes()):
        raise NotOverwritten(f"{path} exists and was not written by this script: move it, or choose another folder (see --help).")
    try:
        if _is_special(path):
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise FileProblem(f"{path} cannot be written: {error.strerror}") from error


def _is_special(path: Path) -> bool:
    """Return True for a device, a pipe or a socket: what is written there replaces nothing."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def report(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def to_json(data: Any) -> str:
    """Return `data` as indented JSON; NumPy values become lists and numbers, values that are not finite become null."""
    return json.dumps(_plain(data), indent=1, allow_nan=False) + "\n"


def _plain(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, np.ndarray | np.generic):
        data = data.tolist()
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return str(data) if isinstance(data, Path) else data


def read_json(path: str | Path, what: str) -> dict[str, Any]:
    """Return the JSON object in a file. Raises FileProblem, which names the file and the expected content, `what`."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileProblem(f"{path} does not exist, expected {what}") from None
    except OSError as error:
        raise FileProblem(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FileProblem(f"{path} is not valid JSON, expected {what}: {error}") from error
    if not isinstance(content, dict):
        raise FileProblem(f"{path} holds a {type(content).__name__}, expected {what}")
    return content


def check_overwriting(path: str | Path, parameters: Mapping[str, Any] | None, force: bool,
                      others: Iterable[str | Path | None] = ()) -> None:
    """Raise NotOverwritten if a file would be lost, or FileProblem if it could not be written.

    A file is lost if it exists and was made with other parameters, or if it is one of the `others`. Devices and pipes lose
    nothing.

    Parameters
    ----------
    path : path
        JSON file with a "parameters" object, or with the parameters beside its data.
    parameters : mapping, or None
        Parameters of this run. None: any existing file is protected.
    force : bool
        Overwrite a file of other parameters.
    others : sequence of paths
        Further files that the run reads or writes, or names of presets. `force` does not overwrite these, because a run needs
        all of its files. None stands for a file that is not given.
    """
    path = Path(path)
    if _is_special(path):
        return
    if any(path.resolve() == Path(other).resolve() for other in others if other is not None):
        raise NotOverwritten(f"{path} would replace a file that this run reads or writes: choose another folder or file for it "
                             "(see --help).")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not os.access(path if path.exists() else folder, os.W_OK) or path.is_dir() or not folder.is_dir():
        raise FileProblem(f"{path} cannot be written")
    if force or not path.exists():
        return
    if parameters is None:
        raise NotOverwritten(f"{path} exists. Use --force to overwrite it.")
    wanted = json.loads(to_json(parameters))
    try:
        content = read_json(path, "JSON")
        stored = content.get("parameters", content)
        shared = wanted.keys() & stored.keys()
    except (FileProblem, AttributeError):
        shared = set()
    if not shared:
        raise NotOverwritten(f"{path} exists and was not written by this script. Use --force to overwrite it.")
    changed = differences(stored, wanted)
    if changed:
        raise NotOverwritten(f"{path} was made with other parameters: {', '.join(changed[:3])}"
                             f"{' and more' * (len(changed) > 3)}. Use --force to overwrite it, or write elsewhere (see --help).")


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the names and both values of the parameters in `wanted` that differ from those in `stored`.

    A parameter that is missing in `stored` is newer than the file, so it does not count. A missing group of parameters does.
    """
    found = []
    for key, value in wanted.items():
        before = stored.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            found += differences(before, value, f"{prefix}{key}.")
        elif before != value and (key in stored or isinstance(value, Mapping)):
            found.append(f"{prefix}{key} ({_short(before)} there, {_short(value)} now)")
    return found


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
