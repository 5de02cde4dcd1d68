"""Files that are whole or not there: atomic writes, and results recorded with the parameters and versions behind them."""

import contextlib
import json
import math
import os
import tempfile
from importlib.metadata import version
from pathlib import Path


class FileProblem(RuntimeError):
    """A file or folder cannot be written; the message names it and the reason."""


def atomic_write(path, content):
    """Write `content` (text or bytes) so that at any moment the old or the new file is there, whole.

    Raises FileProblem.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise FileProblem(f"{path} cannot be written: {error.strerror}") from error
    _sync_folder(path.parent)


def _sync_folder(folder):
    # Without it a power cut may still forget the rename; where folders cannot be opened (Windows) there is nothing to do.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def versions(session):
    """Versions of everything that a number depends on."""
    packages = ("PySpice", "numpy", "scipy", "scikit-learn", "pillow")
    return {"ngspice": session.version, **{name: version(name) for name in packages}}


def to_json(data):
    """`data` as indented JSON text; what is not a finite number (a silent neuron's time) becomes null."""
    return json.dumps(_plain(data), indent=1, allow_nan=False) + "\n"


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def path_in_project(path):
    """A path as results record it: from the project's folder where it lies in there, so that it holds on any machine."""
    path, root = Path(path).resolve(), Path(__file__).parent.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def write_results(folder, name, session, parameters, results):
    """Write `results` with `parameters` and versions to folder/name_results.json; return the path. Raises FileProblem."""
    path = Path(folder) / f"{name}_results.json"
    atomic_write(path, to_json({**results, "parameters": parameters, "versions": versions(session)}))
    return path
