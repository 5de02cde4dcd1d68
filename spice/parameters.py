"""Physical parameters that carry their unit, their allowed range and their meaning, and refuse what lies outside."""

import dataclasses


class ParameterError(ValueError):
    """A parameter lies outside its allowed range; the message names it, the value and the range."""


def quantity(default, low, high, unit, meaning):
    """Dataclass field for one physical quantity.

    `low` and `high` (both allowed) bound it, `unit` is its SI unit ("" for a pure number), `meaning` the help text.
    """
    metadata = {"low": low, "high": high, "unit": unit, "meaning": meaning, "whole": isinstance(default, int)}
    return dataclasses.field(default=default, metadata=metadata)


def allowed_range(metadata):
    """The allowed range of a `quantity` as text, for messages and --help."""
    unit = f" {metadata['unit']}" if metadata["unit"] else ""
    return f"{metadata['low']:g} to {metadata['high']:g}{unit}"


def check_range(name, value, metadata):
    """Return `value`; raise ParameterError if it is no finite number within the range of `metadata`."""
    kinds = int if metadata.get("whole") else (int, float)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not (number and metadata["low"] <= value <= metadata["high"]):
        raise ParameterError(f"{name} must be {allowed_range(metadata)}, got {value!r}")
    return value


class Parameters:
    """Base of the frozen parameter dataclasses: every `quantity` is checked when an instance is made."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if "unit" in field.metadata:
                check_range(field.name, getattr(self, field.name), field.metadata)
        self.check()

    def check(self):
        """Raise ParameterError for combinations that make no sense; subclasses override it."""

    def as_dict(self):
        """The parameters as plain numbers, for the files that record how a result was made."""
        return dataclasses.asdict(self)
