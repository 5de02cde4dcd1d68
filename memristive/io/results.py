"""Results as files: numbers with all parameters, the seed and the versions that made them."""

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from memristive.io.files import ROOT, FileProblem, atomic_write, to_json

SHARES = ("accuracy", "strict_accuracy", "closed_form_accuracy", "running_accuracy", "ideal")
LARGEST = 1e15  # what else is no number of a run, and some are too large for a float


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


def kept_results(folder: str | Path, name: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What `--resume` goes on with: of the results of `load_results`, those that `kept` names.

    It maps each name to the kind of its value, or, of a list of rows, to the kinds of what each row has (see `holds`). Raises
    FileProblem for anything else.
    """
    path = results_path(folder, name)
    if not path.exists():
        raise FileProblem(f"{path}: no results to go on with; leave --resume out to start afresh")
    results = load_results(folder, name)
    for key, wanted in kept.items():
        value = results.get(key) if isinstance(results, dict) else None
        if isinstance(wanted, Mapping):
            fine = isinstance(value, list) and all(holds(row, wanted) for row in value)
        else:
            fine = _fine(key, value, wanted)
        if not fine:
            raise not_of_a_run(path, key)
    return {key: results[key] for key in kept}


def refuse_other_rows(path: Path, names: Sequence[Hashable], asked: Iterable[Hashable]) -> None:
    """Raise FileProblem if rows to go on with, by their `names`, are not among those `asked` for, or stand there twice.

    Means would be of them all.
    """
    if len(set(names)) < len(names) or not set(names) <= set(asked):
        raise not_of_a_run(path, "rows")


def not_of_a_run(path: Path, key: str) -> FileProblem:
    """What is to be raised where `--resume` cannot use what the results have as `key`."""
    return FileProblem(f"{path} cannot be gone on with: its {key!r} are none of an earlier run; --force starts afresh")


def holds(row: Any, kinds: Mapping[str, Any]) -> bool:
    """Whether a JSON object has a value of each of the `kinds`: dict, str, int, float (or None), list, or a tuple's words.

    A list is of numbers, as many as the row's other lists have; what `SHARES` names is from 0 to 1.
    """
    if not isinstance(row, dict) or not all(name in row and _fine(name, row[name], kind) for name, kind in kinds.items()):
        return False
    return len({len(row[name]) for name, kind in kinds.items() if kind is list}) <= 1


def _fine(name: str, value: Any, kind: Any) -> bool:
    if isinstance(kind, tuple):
        return isinstance(value, str) and value in kind
    if kind == float | None:
        return value is None or _fine(name, value, float)
    if kind is list:
        return isinstance(value, list) and all(_fine(name, one, float) for one in value)
    if kind not in (int, float):
        return isinstance(value, kind)
    number = type(value) is int or (kind is float and isinstance(value, float))
    return number and (0 <= value <= 1 if name in SHARES else abs(value) <= LARGEST)  # neither is true of nan


def load_results(folder: str | Path, name: str) -> dict[str, Any]:
    """The results that `write_results` wrote. Raises FileProblem."""
    path = results_path(folder, name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileProblem(f"{path} cannot be read: {error}") from error
