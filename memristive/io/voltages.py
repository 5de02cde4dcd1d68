"""The voltages file: trained states with all that made them, as JSON; also reads the paper's flat layout.

A reader gets an array that fits its network, or one VoltagesError that names the file, what was found and what expected.
"""

import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from memristive.io.files import atomic_write, to_json, unique_keys

FORMAT, VERSION = "in-situ memristive voltages", 1
PAPER_NODE = re.compile(r"^xsnn\.xmemristor_p(\d{1,9})_(\d{1,9})\.cmem$")
LIMIT = 1e6  # V, beyond which no emulated state is believable


class VoltagesError(RuntimeError):
    """A voltages file cannot be used; the message says which, what was found and what was expected."""


@dataclass(frozen=True)
class Voltages:
    """Trained states in V, classes x inputs, and how they were made; `origin` is empty for the paper's flat layout.

    A training leaves the states' `checksum` there, by which they are known from states that somebody has changed since.
    """

    states: np.ndarray
    dataset: str = ""
    encoding: str = "binary"
    rule: str = ""
    origin: dict[str, Any] = field(default_factory=dict)


def checksum(*states: np.ndarray) -> int:
    """A number that other states hardly have."""
    return zlib.crc32(b"".join(layer.tobytes() for layer in states))


def states_of(voltages: Voltages, *layers: np.ndarray) -> dict[str, dict[str, Any]]:
    """What results say of the states that they are of: their checksum, and whether they are what a training left in the file.

    `layers`: of a network of several. A file older than that is taken for one that nobody has changed; the paper's flat layout,
    which says nothing, is known by its states alone.
    """
    number = checksum(*(layers or (voltages.states,)))
    return {"states": {"number": number, "as_trained": bool(voltages.origin) and voltages.origin.get("states", number) == number}}


def as_trained(content: Mapping[str, Any]) -> bool:
    """Whether the content of a file of voltages, or of a classifier, is what a training left there, as far as it says so.

    Raises ValueError, TypeError or KeyError for what are no voltages.
    """
    if "states" not in content:
        return True
    parts = content["layers"] if "layers" in content else content["voltages"]  # layers, or rows: the same bytes
    return checksum(*(np.array(part, float) for part in parts)) == content["states"]


def save_voltages(path: str | Path, voltages: Voltages) -> None:
    """Write a `Voltages` atomically. Raises FileProblem."""
    atomic_write(path, to_json({"format": FORMAT, "version": VERSION, "dataset": voltages.dataset,
                                **voltages.origin, "encoding": voltages.encoding, "rule": voltages.rule,
                                "voltages": voltages.states}))


def load_voltages(path: str | Path, dataset: str, classes: int, inputs: int,
                  encodings: Collection[str] = ("binary",)) -> Voltages:
    """Read a voltages file trained for `dataset` with classes x inputs cells; return `Voltages`. Raises VoltagesError."""
    path = Path(path)
    content = _parse(path)
    if "format" not in content:
        return Voltages(_paper_states(path, content, classes, inputs))
    _check(path, content, dataset, encodings, "voltages")
    return _voltages(content, _array(path, content.get("voltages"), classes, inputs))


def save_layers(path: str | Path, layers: Sequence[np.ndarray], voltages: Voltages) -> None:
    """Write a network of layers (neurons x rows each, V) atomically; `voltages` says how it was made. Raises FileProblem."""
    atomic_write(path, to_json({"format": FORMAT, "version": VERSION, "dataset": voltages.dataset, **voltages.origin,
                                "encoding": voltages.encoding, "rule": voltages.rule, "layers": list(layers)}))


def load_layers(path: str | Path, dataset: str, inputs: int, classes: int,
                encodings: Collection[str] = ("grey",)) -> tuple[tuple[np.ndarray, ...], Voltages]:
    """Read a network of layers from `inputs` (and a bias row a layer) to `classes`: its states in V, and how they were made.

    Raises VoltagesError.
    """
    path = Path(path)
    content = _parse(path)
    _check(path, content, dataset, encodings, "layers")
    found = content.get("layers")
    if not isinstance(found, list) or not found or not all(isinstance(rows, list) and rows for rows in found):
        raise VoltagesError(f"{path}: 'layers' is {_kind(found)}, expected a list of layers")
    sizes = [inputs, *(len(rows) for rows in found)]
    if sizes[-1] != classes:
        raise VoltagesError(f"{path}: the last layer has {sizes[-1]} neurons, expected {classes}")
    layers = [_array(path, rows, above, below + 1) for rows, below, above in zip(found, sizes, sizes[1:], strict=False)]
    return tuple(layers), _voltages(content, layers[-1])


READERS = {"voltages": "a single layer, which MNIST_memristor_test.py and the inference scripts read",
           "layers": "a network of layers, which studies.layers --test-only and studies.ngspice_layers read"}


def _check(path: Path, content: dict[str, Any], dataset: str, encodings: Collection[str], wanted: str) -> None:
    if content.get("format") != FORMAT:
        raise VoltagesError(f"{path}: format is {_kind(content.get('format'))}, expected {FORMAT!r}")
    if content.get("version") != VERSION or type(content["version"]) is not int:  # to Python, true and 1.0 equal 1
        raise VoltagesError(f"{path}: format version {_kind(content.get('version'))}, expected {VERSION}")
    if content.get("dataset") != dataset:
        raise VoltagesError(f"{path}: trained for dataset {_kind(content.get('dataset'))}, expected {dataset!r}")
    if wanted not in content:
        for other in filter(content.__contains__, READERS):
            raise VoltagesError(f"{path}: holds {READERS[other]}")
    encoding = content.get("encoding")
    if encoding not in encodings:
        way_out = f"; give --encoding {encoding}" if encoding in ("binary", "grey") else ""
        raise VoltagesError(f"{path}: trained for encoding {_kind(encoding)}, expected {' or '.join(encodings)}{way_out}")


def _voltages(content: dict[str, Any], states: np.ndarray) -> Voltages:
    known = ("format", "version", "dataset", "encoding", "rule", "voltages", "layers")
    origin = {key: value for key, value in content.items() if key not in known}
    return Voltages(states, content["dataset"], content["encoding"], str(content.get("rule", "")), origin)


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except IsADirectoryError as error:
        raise VoltagesError(f"{path}: is a folder, expected a voltages file") from error
    except FileNotFoundError as error:
        raise VoltagesError(f"{path}: no such file; the training scripts write it") from error
    except OSError as error:
        raise VoltagesError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VoltagesError(f"{path}: is not text, expected JSON") from error
    if not text.strip():
        raise VoltagesError(f"{path}: is empty, expected JSON")
    try:
        content = json.loads(text, object_pairs_hook=unique_keys, parse_constant=_not_finite(path))
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        kind = "is truncated" if cut else "is not JSON"
        raise VoltagesError(f"{path}: {kind} at line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise VoltagesError(f"{path}: is not usable JSON: {error}") from error
    if not isinstance(content, dict):
        raise VoltagesError(f"{path}: holds a {type(content).__name__}, expected an object with voltages")
    return content


def _not_finite(path: Path) -> Callable[[str], NoReturn]:
    def refuse(word: str) -> NoReturn:
        raise VoltagesError(f"{path}: holds {word}, expected finite voltages")
    return refuse


def _array(path: Path, rows: Any, classes: int, inputs: int) -> np.ndarray:
    if not isinstance(rows, list):
        raise VoltagesError(f"{path}: 'voltages' is {_kind(rows)}, expected {classes} rows of {inputs} voltages")
    if len(rows) != classes:
        raise VoltagesError(f"{path}: {len(rows)} rows of voltages, expected {classes} classes")
    for j, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != inputs:
            found = f"{len(row)} voltages" if isinstance(row, list) else _kind(row)
            raise VoltagesError(f"{path}: class {j} has {found}, expected {inputs} inputs")
    return np.array([[_volt(path, value, j, i) for i, value in enumerate(row)] for j, row in enumerate(rows)])


def _paper_states(path: Path, content: dict[str, Any], classes: int, inputs: int) -> np.ndarray:
    cells: dict[tuple[int, int], float] = {}
    for key, value in content.items():
        match = PAPER_NODE.match(key)
        if match:
            j, i = int(match[1]), int(match[2])
            if (j, i) in cells:
                raise VoltagesError(f"{path}: cell (class {j}, input {i}) stands there twice, expected once")
            cells[j, i] = _volt(path, value, j, i)
    if not cells:
        raise VoltagesError(f"{path}: has neither 'format' nor a cell xsnn.xmemristor_p<class>_<input>.cmem, expected "
                            "a voltages file or the paper's layout")
    expected = {(j, i) for j in range(classes) for i in range(inputs)}
    for kind, odd in (("lacks", expected - set(cells)), ("has an unexpected", set(cells) - expected)):
        if odd:
            j, i = min(odd)
            raise VoltagesError(f"{path}: {kind} cell (class {j}, input {i}), one of {len(odd)}; expected {classes} classes "
                                f"x {inputs} inputs")
    return np.array([[cells[j, i] for i in range(inputs)] for j in range(classes)])


def _volt(path: Path, value: Any, j: int, i: int) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and abs(value) <= LIMIT):  # false for nan too; an int too large for a float must not reach isfinite
        raise VoltagesError(f"{path}: cell (class {j}, input {i}) is {_kind(value)}, expected a voltage")
    return float(value)


def _kind(value: Any) -> str:
    text = repr(value)
    return "missing" if value is None else text if len(text) <= 40 else text[:37] + "..."
