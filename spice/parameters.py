"""Physical parameters that carry their unit, their allowed range and their meaning, and refuse what lies outside."""

import dataclasses
from collections.abc import Mapping
from numbers import Number
from typing import Any


class ParameterError(ValueError):
    """A parameter lies outside its allowed range; the message names it, the value and the range."""


def quantity(default: float, low: float, high: float, unit: str, meaning: str) -> Any:
    """Dataclass field for one physical quantity.

    `low` and `high` (both allowed) bound it, `unit` is its SI unit ("" for a pure number), `meaning` the help text.
    """
    metadata = {"low": low, "high": high, "unit": unit, "meaning": meaning, "whole": isinstance(default, int)}
    return dataclasses.field(default=default, metadata=metadata)


def allowed_range(metadata: Mapping[str, Any]) -> str:
    """The allowed range of a `quantity` as text, for messages and --help."""
    unit = f" {metadata['unit']}" if metadata["unit"] else ""
    digits = ".10g" if metadata.get("whole") else "g"  # of a count, the last one counts
    return f"{metadata['low']:{digits}} to {metadata['high']:{digits}}{unit}"


def check_range(name: str, value: Any, metadata: Mapping[str, Any]) -> Any:
    """Return `value`; raise ParameterError if it is no finite number within the range of `metadata`."""
    kinds = int if metadata.get("whole") else (int, float)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not (number and metadata["low"] <= value <= metadata["high"]):
        raise ParameterError(f"{name} must be {allowed_range(metadata)}, got {value!r}")
    return value


SUFFIXES = {"ohm": "Ω", "degrees Celsius": "°C"} | {unit: unit for unit in ("s", "V", "A", "F", "H", "S", "C", "Hz", "m", "K")}


def unit_of(value: Any) -> str:
    """The unit of a PySpice value, as PySpice writes it; "" if it has none."""
    return str(value.prefixed_unit.unit.unit_suffix) if hasattr(value, "prefixed_unit") else ""


def check_unit(name: str, value: Any, unit: str) -> None:
    """Raise ParameterError for a PySpice value in another unit than `unit`; what has none, or units not in `SUFFIXES`, pass."""
    own = unit_of(value)
    if own and own != SUFFIXES.get(unit, own):
        raise ParameterError(f"{name} must be in {unit}, got {value}")


def plain(value: Any) -> Any:
    """`value`, a PySpice value with unit (1@u_us) as a plain number in SI units, a NumPy number as Python's."""
    if hasattr(value, "prefixed_unit"):
        return value if hasattr(value, "shape") else float(value)
    return value.item() if isinstance(value, Number) and hasattr(value, "item") else value


class Parameters:
    """Base of the frozen parameter dataclasses: every `quantity` is checked when an instance is made.

    PySpice's values with units are taken too, and kept as plain numbers in SI units. What is no count is kept as a float: of an
    array of 7 NumPy makes one of whole numbers, and cuts off what is added to it.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            if "unit" in field.metadata:
                check_unit(field.name, getattr(self, field.name), field.metadata["unit"])
                value = plain(getattr(self, field.name))
                check_range(field.name, value, field.metadata)
                object.__setattr__(self, field.name, value if field.metadata["whole"] else float(value))
        self.check()

    def check(self) -> None:
        """Raise ParameterError for combinations that make no sense; subclasses override it."""

    def as_dict(self) -> dict[str, Any]:
        """The parameters as plain numbers, for the files that record how a result was made."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]
