"""Files that are whole or not there: atomic writes, and the one way in which numbers become JSON."""

import contextlib
import errno
import json
import math
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]  # the project's folder


class FileProblem(RuntimeError):
    """A file or folder cannot be written; the message names it and the reason."""


def atomic_write(path: str | Path, content: str | bytes) -> None:
    """Write `content` so that at any moment the old or the new file is there, whole. Raises FileProblem.

    A link's target is replaced, not the link; what is no file (/dev/stdout, a pipe) is written to as it is.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        if _device(path):
            path.write_bytes(data)
            return
        target = _target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(target) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except BaseException as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            raise _unwritten(path, error) from error
        raise
    _sync_folder(target.parent)


def _unwritten(path: str | Path, error: OSError) -> FileProblem:
    reason = f"{error.filename} is a file, no folder" if isinstance(error, FileExistsError) else error.strerror
    return FileProblem(f"{path} cannot be written: {reason}")


def check_working_folder() -> None:
    """Raise FileProblem if the working folder was removed: no relative path means anything there."""
    try:
        os.getcwd()
    except OSError as error:
        raise FileProblem("the working folder is not there any more: go to one that is") from error


def _mode(target: Path) -> int:
    """The permissions of the file that is there, or those that the umask leaves a new one."""
    with contextlib.suppress(OSError):
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What a JSON object holds, for json's object_pairs_hook. Raises ValueError where a key stands twice: which counts?"""
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice!r} stands there twice, expected each cell and key once")
    return content


def check_writable(path: str | Path) -> None:
    """Raise FileProblem now if `atomic_write` could not write to `path`; makes its folder."""
    path = Path(path)
    try:
        target = _target(path)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not target.stat().st_mode & 0o222:  # root may write it, but its owner has said no
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not _device(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            with _temporary(target) as file:
                os.unlink(file.name)
    except OSError as error:
        raise _unwritten(path, error) from error


def _target(path: Path) -> Path:
    """What `path` leads to. Raises OSError for links in a circle, of which Path.resolve says nothing from Python 3.13 on."""
    try:
        target = path.resolve()
    except RuntimeError:
        target = path
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _device(path: Path) -> bool:
    # Not of the resolved path: that of /dev/stdout, where it is a pipe, is no path at all.
    return path.exists() and not path.is_file() and not path.is_dir()


def _temporary(path: Path) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False)


def _sync_folder(folder: Path) -> None:
    # Without it a power cut may still forget the rename; where folders cannot be opened (Windows) there is nothing to do.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def to_json(data: Any) -> str:
    """`data` as indented JSON text; what is not a finite number (a silent neuron's time) becomes null."""
    return json.dumps(_plain(data), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
