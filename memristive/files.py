"""JSON files of parameters: read whole, and each value checked by the class whose fields it fills.

The dataclasses of parameters describe the format: their fields give name, type and range of each
value, and `Parameters.newer` names the fields that older files lack.
"""

import dataclasses
import functools
import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from memristive.parameters import Fields, ParameterError, Parameters, Values, did_you_mean

LARGEST = 1e300  # of a number without a range of its own
Vector = Annotated[np.ndarray, 1, LARGEST]  # dimensions, and largest magnitude
States = Annotated[np.ndarray, 2, 1e6]  # V
TYPE_NAMES = {str: "text", int: "a whole number", bool: "true or false", dict: "an object"}
# Parameters that files of earlier versions hold, with the values at which they have no effect.
REMOVED = {
    "leak_per_volt": 0.0,
    "lowest_state": -1e9,
    "highest_state": 1e9,
    "cell_leak": 0.0,
    "pooling": "earliest",
    "late_keeps": 0,
}


class FileProblem(RuntimeError):
    """A file cannot be read, written or used."""


def read_json(path: str | Path, what: str) -> Fields:
    """Return the JSON object in a file. Raises FileProblem, which names the file and the expected
    content, `what`.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileProblem(f"{path} does not exist, expected {what}") from None
    except OSError as error:
        raise FileProblem(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise FileProblem(f"{path} is not valid JSON, expected {what}: {error}") from error
    if not isinstance(content, dict):
        raise FileProblem(f"{path} holds a {type(content).__name__}, expected {what}")
    return content


def restored(kind: Any, content: Any, name: str = "", partial: bool = False) -> Any:
    """Return a value of a JSON file as an object of the type `kind`.

    Parameters
    ----------
    kind : type
        A class of `Parameters`, a basic type, or a Literal, union, tuple or array of them.
    content : Any
        The value, as `json` returns it.
    name : str
        Name of the value for errors, such as "network.memristor"; "": the whole file.
    partial : bool
        Fields that are missing have their default values.

    Raises
    ------
    ParameterError
        The value has another type or range, a field is missing or unknown, or the file uses a
        parameter that no longer exists. The message names the field.
    """
    form, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return content
    if form is types.UnionType:
        if content is None and types.NoneType in arguments:
            return None
        others = [one for one in arguments if one not in (str, types.NoneType)] or [str]
        several = type(content) is list
        others = [one for one in others if (get_origin(one) is tuple) == several] or others
        if len(others) > 1 and isinstance(content, Mapping):  # the class that has these fields
            others.sort(key=lambda one: len(content.keys() - _hints(one)))
        chosen = str if type(content) is str and str in arguments else others[0]
        return restored(chosen, content, name, partial)
    if form is Annotated:
        return _array(content, name, *arguments[1:])
    if form is Literal:
        if content not in arguments:
            raise ParameterError(f"{name} must be {' or '.join(arguments)}, got {content!r:.60}")
        return content
    if form is tuple:
        count = None if arguments[-1] is ... else len(arguments)
        empty = content == [] and get_origin(arguments[0]) is Annotated  # a network without layers
        if type(content) is not list or count not in (None, len(content)) or empty:
            values = f"a list of {count} values" if count else "a list"
            raise ParameterError(f"{name} must be {values}, got {content!r:.60}")
        return tuple(restored(arguments[0], one, f"{name}[{k}]") for k, one in enumerate(content))
    if form is dict:
        return {
            key: restored(arguments[1], one, f"{name}.{key}")
            for key, one in restored(dict, content, name).items()
        }
    if kind is float:
        if type(content) not in (float, int) or not abs(content) <= LARGEST:
            raise ParameterError(f"{name} must be a number, got {content!r:.60}")
        return float(content)
    if issubclass(kind, Parameters):
        return _parameters(kind, content, name, partial)
    if type(content) is not kind:
        raise ParameterError(f"{name} must be {TYPE_NAMES[kind]}, got {content!r:.60}")
    return content


def _parameters(kind: Any, content: object, name: str, partial: bool) -> Parameters:
    if not isinstance(content, Mapping):
        raise ParameterError(f"{name} must be the fields of {kind.__name__}, got {content!r:.60}")
    within = f"{name}." if name else ""
    used = [one for one in content if one in REMOVED and content[one] != REMOVED[one]]
    if used:
        raise ParameterError(
            f"{within}{used[0]} no longer exists: devices are described by curves; make the file "
            "again"
        )
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values = {key: value for key, value in content.items() if key not in REMOVED}
    for unknown in values.keys() - fields:
        raise ParameterError(f"{within}{unknown:.60} is unknown{did_you_mean(unknown, fields)}")
    missing = [one for one in fields if one not in values and one not in kind.newer]
    if missing and not partial:
        raise ParameterError(f"{within}{missing[0]} is missing")
    types_of = _hints(kind)
    # the class itself checks fields with a range
    checked = {
        key: value if fields[key].metadata else restored(types_of[key], value, f"{within}{key}")
        for key, value in values.items()
    }
    try:
        return kind(**checked)
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}" if name else str(error)) from None


@functools.cache
def _hints(kind: type) -> Fields:
    return get_type_hints(kind, include_extras=True)


def _array(content: object, name: str, dimensions: int, largest: float) -> np.ndarray:
    try:
        array = np.array(content)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.ndim != dimensions or not array.size or array.dtype.kind not in "iuf":
        form = "rows of equal length, each of numbers" if dimensions == 2 else "a list of numbers"
        raise ParameterError(f"{name} must be {form}, got {content!r:.60}")
    wrong = array[~(np.abs(array) <= largest)]  # also nan
    if wrong.size:
        raise ParameterError(
            f"{name} must be numbers of up to {largest:g}, got {wrong[0]:g} and {wrong.size - 1} "
            "other values out of range"
        )
    return array.astype(float)


def restored_progress(stored: Values, start: Values, file: object) -> Fields:
    """Return the arrays `stored` in the checkpoint `file` that a run has by the names in `start`,
    its values at the start. Raises FileProblem, which names file and entry, if one is missing, has
    another shape or type, or is not finite.

    Texts are JSON objects or lists, as in `start`.
    """
    for name, value in start.items():
        if name not in stored:
            raise FileProblem(f"{file}: {name} is missing")
        expected, array = np.asarray(value), np.asarray(stored[name])
        if array.shape != expected.shape or array.dtype.kind != expected.dtype.kind:
            raise FileProblem(
                f"{file}: {name} must be {expected.dtype} of shape {expected.shape}, got "
                f"{array.dtype} of shape {array.shape}"
            )
        if expected.dtype.kind == "f" and not np.isfinite(array).all():
            raise FileProblem(f"{file}: {name} must be finite numbers, got nan or inf")
        if expected.dtype.kind == "U":
            try:
                content = json.loads(str(array))
            except (ValueError, RecursionError) as error:
                raise FileProblem(f"{file}: {name} is not valid JSON: {error}") from None
            if type(content) is not type(json.loads(str(value))):
                raise FileProblem(f"{file}: {name} must be like {value}, got {content!r:.60}")
    return {name: stored[name] for name in start}
