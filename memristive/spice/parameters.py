"""Physical parameters with unit, allowed range and meaning; values outside the range are refused.
Also the exceptions of this folder.
"""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any


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


def allowed_range(metadata: Mapping[str, Any]) -> str:
    """Return the allowed range and unit in the `metadata` of a `quantity` as text."""
    unit = f" {metadata['unit']}" if metadata["unit"] else ""
    return f"{metadata['low']:.10g} to {metadata['high']:.10g}{unit}"


def check_range(name: str, value: Any, metadata: Mapping[str, Any]) -> Any:
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


def as_whole(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an int. Raise ParameterError, which names `name`, unless it is a whole
    number from `low` to `high`.
    """
    return int(check_range(name, value, quantity(low, low, high, "", "").metadata))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return, as the end of a message, the `known` name that is closest to `name`; "" if none is
    close.
    """
    near = difflib.get_close_matches(name.lower(), list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


# Parameters that files of earlier versions hold, with the values at which they have no effect.
REMOVED = {"leak_per_volt": 0.0, "lowest_state": -1e9, "highest_state": 1e9, "cell_leak": 0.0}


def restored(kind: Any, values: Mapping[str, Any]) -> Any:
    """Return the parameters of class `kind` from a file's `values`.

    Raises ParameterError if the file uses a parameter that no longer exists, and TypeError if a
    parameter is unknown.
    """
    used = [name for name in values if name in REMOVED and values[name] != REMOVED[name]]
    if used:
        raise ParameterError(
            f"{used[0]} no longer exists: devices are described by curves; make the file again"
        )
    return kind(**{name: value for name, value in values.items() if name not in REMOVED})


class Parameters:
    """Base of the frozen parameter dataclasses; checks every `quantity` when an instance is
    made.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            if "unit" in field.metadata:
                object.__setattr__(
                    self,
                    field.name,
                    check_range(field.name, getattr(self, field.name), field.metadata),
                )
        self.check()

    def check(self) -> None:
        """Raise ParameterError for combinations that make no sense; subclasses override this
        method.
        """

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters by name, those of nested parameters as a dict, for JSON records."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]
