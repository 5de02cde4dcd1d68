"""Interface of a way of writing: each of the files beside this one holds one way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from memristive.closed_form.kernel_arrays import Arrays
from memristive.devices.cells import Devices
from memristive.devices.write_curve import WriteCurve
from memristive.ledger import COMPUTED, Ledger, Technology
from memristive.parameters import Fields

# Write of one column in the form of its way: `ColumnDose`, or `GateWrite`.
Write = Any


class Plan(NamedTuple):
    """Doses of one layer after an error, in their order: one for each output with an error."""

    neurons: np.ndarray  # of the layer; the outputs of a convolution are its kernels in each region
    doses: np.ndarray  # V, signed
    shares: np.ndarray  # of the dose, doses x rows; 1 x rows if they are equal


class Due(NamedTuple):
    """Writes of one layer that are due, in their order."""

    columns: np.ndarray
    doses: np.ndarray  # V, signed; of late synapses the step of a pulse
    shares: np.ndarray  # of the dose, writes x rows; 1 x rows if they are equal
    gates: np.ndarray  # V, writes x rows; nan: the cell is not due; without gates no writes
    reset: np.ndarray  # writes x rows, True where RESET comes before SET; without gates no writes


class Laboratory(NamedTuple):
    """Pulses of a device's laboratory, each value as (downwards, upwards), and the share `half` of
    their voltage that is across half-selected cells.
    """

    joules: tuple[float, float]  # V^2 t, J/S
    volts: tuple[float, float]
    widths: tuple[float, float]  # s
    half: float
    supplies: float = 0.0  # J of a pulse, from supplies within the cell


@dataclass(frozen=True, match_args=False)  # frozen: its fields are only read
class WrittenLayer(Protocol):
    """Layer as ways of writing see it: `network.layer.Layer` stands above this folder."""

    columns: int
    rows: int
    memristor: Any  # `MemristorParameters`
    devices: Devices
    synapses: Any  # `Synapses`
    row_voltage: float
    write_voltage: float
    timed: bool

    @property
    def neurons(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def write_rate(self) -> float: ...
    @property
    def write_gains(self) -> np.ndarray: ...
    @property
    def way(self) -> "Way": ...
    def write_law(self, seconds: float) -> tuple[float, float]: ...
    def with_reference(self, states: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, match_args=False)
class WrittenNetwork(Protocol):
    """Network as ways of writing see it."""

    states: Arrays
    waiting: Arrays
    chip: Any  # `Chip`, or None

    @property
    def layers(self) -> Sequence[WrittenLayer]: ...
    @property
    def way(self) -> "Way": ...


class WrittenCells(Protocol):
    """Cells of a SPICE model, `ModelCells`, as ways of writing see them."""

    def written(self, emulated: np.ndarray, writes: list[Any]) -> np.ndarray: ...
    def set_at_gates(self, emulated: np.ndarray, writes: list[Any]) -> np.ndarray: ...


class Way:
    """Way of writing the cells of a network. Subclasses have the `settings` of their devices.

    States are columns x rows, in V.
    """

    kind: ClassVar = COMPUTED  # of the energies of written cells in a ledger

    settings: Any  # `ways.PulseWrites` of measured devices; emulators have none

    def __init__(self, settings: Any = None) -> None:
        if settings is not None:
            self.settings = settings

    @property
    def rounds(self) -> bool:
        """True if fractions of a pulse are rounded at random."""
        return False

    @property
    def half(self) -> float:
        """Share of a pulse's voltage that moves half-selected cells: 1/2, 1/3, or 0 for none."""
        return 0.0

    def arrays(self, network: WrittenNetwork) -> Fields:
        """Return what the compiled writes of a `Network` need, by its name in `ways.Ways`."""
        return {}

    def writes(self, due: Due, factors: np.ndarray | None = None) -> list[Write]:
        """Return the writes of a layer that are `due`, in the form of this way. `factors`: write
        gains over the nominal ones, columns x rows, of a chip's noise.
        """
        raise NotImplementedError

    def in_ngspice(
        self,
        layer: WrittenLayer,
        write_column: Callable[..., np.ndarray],
        states: np.ndarray,
        write: Write,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Return the states (rows, V) of a layer's column after one `write` in ngspice, in which
        emulators stand for the devices.

        `write_column`: method of `NgspiceLayer`. `states`: of the layer. `rng` draws the numbers
        and the noise of pulses.
        """
        raise NotImplementedError

    def emulated(
        self,
        layer: WrittenLayer,
        write_column: Callable[..., np.ndarray],
        states: np.ndarray,
        column: int,
        after: np.ndarray,
    ) -> np.ndarray:
        """Let the emulators of a column move to the states `after` (rows, V) in ngspice, downwards,
        then upwards, and return their states. Other arguments are as in `in_ngspice`.
        """
        pulses, ones, gains = self.settings, np.ones(layer.rows), layer.write_gains[column]
        moves, states = after - states[column], states.copy()
        for sign in (-1, 1):
            wanted = np.maximum(sign * moves, 0.0) / pulses.step
            shares = np.divide(wanted, gains, out=0 * wanted, where=gains > 0)
            if most := shares.max():
                states[column] = write_column(
                    states, column, shares / most, ones, sign * most * pulses.width
                )
        return states[column]

    def in_model(
        self, cells: WrittenCells, states: np.ndarray, writes: list[Write], rng: np.random.Generator
    ) -> np.ndarray:
        """Return the states of a layer after `writes` of a SPICE model's `cells` (`ModelCells`).
        Numbers of pulses are drawn from `rng`.
        """
        raise NotImplementedError

    def started(
        self, states: tuple[np.ndarray, ...], curve: WriteCurve | None, rng: np.random.Generator
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Return the states of untrained layers and their `Network.waiting`, for wanted `states`.
        `curve`: `WriteCurve` of the device.
        """
        return states, ()

    def capacitors(self, layer: WrittenLayer) -> int:
        """Return the number of capacitors of a layer that hold doses or gate voltages."""
        return 0

    def ledgers(
        self,
        technology: Technology,
        laboratory: Laboratory,
        layer: WrittenLayer,
        states: np.ndarray,
        writes: list[Write],
        doses: list[tuple[float, np.ndarray]],
    ) -> list[Ledger]:
        """Return ledgers of the `writes` of a layer after an error. `doses`: as in
        `costs.Correction`.
        """
        raise NotImplementedError
