"""Results as files: numbers with all parameters, the seed and the versions that made them."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from records.files import ROOT, FileProblem, atomic_write, to_json

SHARES = ("accuracy", "strict_accuracy")


class HasVersion(Protocol):
    """An ngspice session, as far as results need it."""

    @property
    def version(self) -> Any:
        """Of ngspice."""


def versions(session: HasVersion | None) -> dict[str, Any]:
    """Versions of everything that a number depends on; `session` is None where ngspice had no part in it."""
    packages = ("PySpice", "numpy", "scipy", "scikit-learn", "pillow")
    return ({"ngspice": session.version} if session else {}) | {name: version(name) for name in packages}


def path_in_project(path: str | Path) -> str:
    """A path as results record it: from the project's folder where it lies in there, so that it holds on any machine."""
    path = Path(path).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def results_path(folder: str | Path, name: str) -> Path:
    """Where `write_results` writes."""
    return Path(folder) / f"{name}_results.json"


def write_results(folder: str | Path, name: str, session: HasVersion | None, parameters: Mapping[str, Any],
                  results: Mapping[str, Any]) -> Path:
    """Write `results` with `parameters` and versions to folder/name_results.json; return the path. Raises FileProblem."""
    path = results_path(folder, name)
    atomic_write(path, to_json({**results, "parameters": parameters, "versions": versions(session)}))
    return path


@contextlib.contextmanager
def more_rows_kept(folder: str | Path, name: str) -> Iterator[None]:
    """Should what it surrounds end early, the results that were there come back if they had more "rows" than those since."""
    path = results_path(folder, name)
    before = path.read_bytes() if path.is_file() else b""
    try:
        yield
    except BaseException:
        if path.is_file() and _rows(before) > _rows(path.read_bytes()):
            atomic_write(path, before)
        raise


def _rows(content: bytes) -> int:
    try:
        return len(json.loads(content)["rows"])
    except (ValueError, KeyError, TypeError):
        return 0


def kept_results(folder: str | Path, name: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What `--resume` goes on with: of the results of `load_results`, those that `kept` names.

    It maps each name to the type of its value, or to what each row of a list of such has. Raises FileProblem for anything else.
    """
    results, path = load_results(folder, name), results_path(folder, name)
    for key, wanted in kept.items():
        value = results.get(key) if isinstance(results, dict) else None
        if isinstance(wanted, tuple):
            rows = value if isinstance(value, list) else [None]
            fine = all(isinstance(row, dict) and all(_fine(row, name) for name in wanted) for row in rows)
        else:
            fine = isinstance(value, wanted)
        if not fine:
            raise FileProblem(f"{path} cannot be gone on with: its {key!r} are none of an earlier run; --force starts afresh")
    return {key: results[key] for key in kept}


def _fine(row: Mapping[str, Any], name: str) -> bool:
    value = row.get(name)
    return isinstance(value, float) and 0 <= value <= 1 if name in SHARES else isinstance(value, (str, int, float, list))


def load_results(folder: str | Path, name: str) -> dict[str, Any]:
    """The results that `write_results` wrote. Raises FileProblem."""
    path = results_path(folder, name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileProblem(f"{path} cannot be read: {error}") from error
