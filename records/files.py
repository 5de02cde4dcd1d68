"""Files that are whole or not there: atomic writes, and the one way in which numbers become JSON."""

import contextlib
import json
import math
import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # the project's folder


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
