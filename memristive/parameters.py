"""Physical parameters with unit, allowed range and meaning; values outside the range are refused.
Also the exceptions of this folder.
"""

import dataclasses
import difflib
import itertools
import math
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any, ClassVar

import numpy as np

FloatOrArray = np.ndarray | float
Fields = dict[str, Any]  # values by name: a JSON object, or arguments of a class
Values = Mapping[str, Any]  # the same, to read only


class ParameterError(ValueError):
    """A parameter lies outside its allowed range, or does not suit the others."""


class NgspiceMissing(RuntimeError):
    """The shared library of ngspice is missing or unusable."""


class SimulationError(RuntimeError):
    """ngspice refused a netlist or stopped early. The message quotes ngspice and names the saved
    netlist.
    """


def quantity(default: float, low: float, high: float, unit: str, meaning: str) -> Any:
    """Return a dataclass field for one physical quantity.

    Parameters
    ----------
    default : float or int
        Default value; an int makes the quantity a whole number.
    low, high : float
        Allowed range, both ends included.
    unit : str
        SI unit, "" for a pure number.
    meaning : str
        Help text.
    """
    metadata = {
        "low": low,
        "high": high,
        "unit": unit,
        "meaning": meaning,
        "whole": isinstance(default, int),
    }
    return dataclasses.field(default=default, metadata=metadata)


def allowed_range(metadata: Values) -> str:
    """Return the allowed range and unit in the `metadata` of a `quantity` as text."""
    unit = f" {metadata['unit']}" if metadata["unit"] else ""
    return f"{metadata['low']:.10g} to {metadata['high']:.10g}{unit}"


def check_range(name: str, value: Any, metadata: Values) -> Any:
    """Return `value` as a float, or as an int if the quantity is a whole number, which may be given
    as 1e4. Raise ParameterError unless `value` is a number within the range of `metadata`, the
    metadata of a `quantity`. `name` stands in the message.
    """
    if isinstance(value, Number) and hasattr(value, "item"):
        value = value.item()  # a NumPy scalar
    whole = metadata.get("whole")
    if whole and isinstance(value, float) and value.is_integer():
        value = int(value)
    kinds = int if whole else (int, float)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not (number and metadata["low"] <= value <= metadata["high"]):
        kind = "a whole number, " if whole else ""
        raise ParameterError(f"{name} must be {kind}{allowed_range(metadata)}, got {value!r}")
    return value if whole else float(value)


def as_whole(name: str, value: object, low: int, high: int) -> int:
    """Return `value` as an int. Raise ParameterError, which names `name`, unless it is a whole
    number from `low` to `high`.
    """
    return int(check_range(name, value, quantity(low, low, high, "", "").metadata))


def check_kind(name: str, value: object, *kinds: type) -> None:
    """Raise ParameterError, which names `name`, unless `value` is of one of some `kinds`, and the
    attribute of `value` that is, if there is one.
    """
    if not isinstance(value, kinds):
        parts = getattr(value, "__dict__", {}).items()
        meant = next((f": give its {key}" for key, part in parts if isinstance(part, kinds)), "")
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ParameterError(f"{name} must be a {wanted}, got a {type(value).__name__}{meant}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return, as the end of a message, the `known` name that is closest to `name`; "" if none is
    close.
    """
    near = difflib.get_close_matches(name.lower(), list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def curve(default: tuple[float, ...], meaning: str, low: float = 0.0, rising: bool = False) -> Any:
    """Return a dataclass field for a curve: the values at two or more points of an even grid.

    Parameters
    ----------
    default : tuple of float
        Default; if it is (), the curve may be empty.
    meaning : str
        Help text.
    low : float
        Lowest value allowed.
    rising : bool
        The values must not fall.
    """
    metadata = {"lowest": low, "meaning": meaning, "rising": rising, "empty": not default}
    return dataclasses.field(default=default, metadata=metadata)


def check_curve(name: str, values: Any, metadata: Values) -> tuple[float, ...]:
    """Return the points of a curve as a tuple. Raise ParameterError unless `values` suit the
    `metadata` of a `curve`. `name` stands in the message.
    """
    several = isinstance(values, Iterable) and not isinstance(values, str | Mapping)
    points = list(values) if several else None
    if points is None or not all(
        isinstance(point, Number) and not isinstance(point, bool) for point in points
    ):
        raise ParameterError(f"{name} must be a list of numbers, got {values!r:.60}")
    if not points and metadata["empty"]:
        return ()
    if len(points) < 2:
        raise ParameterError(f"{name} must have at least two points, got {len(points)}")
    wrong = [point for point in points if not metadata["lowest"] <= point < math.inf]
    if wrong:
        raise ParameterError(
            f"{name} must be numbers of {metadata['lowest']:g} or above, got {wrong[0]}"
        )
    if metadata["rising"] and any(next_one < one for one, next_one in itertools.pairwise(points)):
        raise ParameterError(f"{name} must not fall, got {tuple(points)!r:.60}")
    return tuple(map(float, points))


class Parameters:
    """Base of the frozen parameter dataclasses; checks every `quantity` and every `curve` when an
    instance is made. The fields describe the format of files, too (`memristive.files`).
    """

    newer: ClassVar[tuple[str, ...]] = ()  # fields that files of earlier versions lack
    unwritten: ClassVar[tuple[str, ...]] = ()  # those that files lack where they are empty

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            check = (
                check_range
                if "unit" in field.metadata
                else check_curve
                if "rising" in field.metadata
                else None
            )
            if check:
                value = check(field.name, getattr(self, field.name), field.metadata)
                object.__setattr__(self, field.name, value)
        self.check()

    def check(self) -> None:
        """Raise ParameterError for combinations that make no sense; subclasses override this
        method.
        """

    def as_dict(self) -> Fields:
        """Return the parameters by name, with nested parameters as a dict, for JSON records."""
        values = dataclasses.asdict(self)  # type: ignore[call-overload]
        for name in values:
            if isinstance(nested := getattr(self, name), Parameters):
                values[name] = nested.as_dict()
        return {
            name: value for name, value in values.items() if value or name not in self.unwritten
        }
