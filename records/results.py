"""Results as files: numbers with all parameters, the seed and the versions that made them."""

from importlib.metadata import version
from pathlib import Path

from records.files import ROOT, atomic_write, to_json


def versions(session):
    """Versions of everything that a number depends on; `session` is None where ngspice had no part in it."""
    packages = ("PySpice", "numpy", "scipy", "scikit-learn", "pillow")
    return ({"ngspice": session.version} if session else {}) | {name: version(name) for name in packages}


def path_in_project(path):
    """A path as results record it: from the project's folder where it lies in there, so that it holds on any machine."""
    path = Path(path).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def write_results(folder, name, session, parameters, results):
    """Write `results` with `parameters` and versions to folder/name_results.json; return the path. Raises FileProblem."""
    path = Path(folder) / f"{name}_results.json"
    atomic_write(path, to_json({**results, "parameters": parameters, "versions": versions(session)}))
    return path
