"""What an analysis has computed: vectors by the names they were saved by."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from spice.errors import SimulationError
from spice.netlist import DIFFERENCE, vector_name

GROUND = ("0", "gnd")  # ngspice's names of the node that has no vector


class Vectors:
    """Saved vectors as NumPy arrays, by name: `vectors["out"]` or `["V(out)"]` in V, `["i(vin)"]` or `["vin#branch"]` in A,
    `["v(a,b)"]` for the difference of two saved ones.
    """

    def __init__(self, plot: Mapping[str, Any]) -> None:
        self._plot = {name: vector._data for name, vector in plot.items()}  # to_waveform() would wrap units: ten times slower

    @property
    def names(self) -> list[str]:
        """ngspice's names of all vectors."""
        return list(self._plot)

    def __getitem__(self, name: str) -> np.ndarray:
        vector = self._plot.get(name)
        if vector is None and isinstance(name, str):
            pair = DIFFERENCE.fullmatch(name.strip().lower())
            if pair and not (pair[1] in GROUND and pair[2] in GROUND):
                plus, minus = (np.float64(0) if node in GROUND else self[node] for node in pair.groups())
                return np.asarray(plus - minus)
            vector = self._plot.get(vector_name(name), self._plot.get(f"V({vector_name(name)})"))  # of a node called "2"
        if vector is None:
            raise SimulationError(f"ngspice saved no vector {name!r}, only {', '.join(self._plot)}")
        if name.startswith("@") and not len(vector):
            raise SimulationError(f"ngspice has no values of {name!r}: the device has no such parameter, or not in this analysis")
        return np.array(vector)

    def __contains__(self, name: object) -> bool:
        try:
            self[name]  # type: ignore[index]  # whatever it is
        except (SimulationError, TypeError):  # TypeError: a list, say, which is no key
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def stack(self, names: Iterable[str]) -> np.ndarray:
        """The vectors `names` as one array, vectors x points."""
        return np.array([self[name] for name in names])


class Waveforms(Vectors):
    """What a transient has computed so far: `time` in s, and any saved vector (arrays)."""

    def __init__(self, plot: Mapping[str, Any]) -> None:
        super().__init__(plot)
        self.time = self["time"]


class OperatingPoint(Vectors):
    """One operating point: `point["out"]` is a float."""

    def __getitem__(self, name: str) -> Any:
        return float(np.atleast_1d(super().__getitem__(name))[0])


class Sweep(Vectors):
    """What a DC sweep has computed: `swept`, the source's values (V or A; ohm of a resistor, degrees Celsius of the
    temperature), and any saved vector along them.
    """

    def __init__(self, plot: Mapping[str, Any]) -> None:
        super().__init__(plot)
        self.swept = self[next(name for name in plot if name.endswith("-sweep"))]


class Spectrum(Vectors):
    """What an AC analysis has computed: `frequency` in Hz, and any saved vector as complex amplitudes along it."""

    def __init__(self, plot: Mapping[str, Any]) -> None:
        super().__init__(plot)
        self.frequency = self["frequency"].real

    def __getitem__(self, name: str) -> np.ndarray:
        if isinstance(name, str) and name.strip().startswith("@"):
            raise SimulationError(f"{name!r} has no amplitude: in an AC analysis ngspice gives a device's own parameters at the "
                                  "operating point, or not at all; op() has them")
        return super().__getitem__(name)
