"""Interface of a way of writing: each of the files beside this one holds one way."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from memristive.ledger import COMPUTED, Ledger, Technology, Times
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


class Way:
    """Way of writing the cells of a network. Subclasses have the `settings` of their devices.

    Layers are arguments of type `Layer`, which stands above this folder. States are columns x
    rows, in V.
    """

    kind: ClassVar = COMPUTED  # of the energies of written cells in a ledger

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings

    @property
    def rounds(self) -> bool:
        """True if fractions of a pulse are rounded at random."""
        return False

    @property
    def half(self) -> float:
        """Share of a pulse's voltage that moves half-selected cells: 1/2, 1/3, or 0 for none."""
        return 0.0

    def arrays(self, network: Any) -> Fields:
        """Return what the compiled writes of a `Network` need, by its name in `ways.Ways`."""
        return {}

    def writes(self, due: Due, factors: np.ndarray | None = None) -> list[Write]:
        """Return the writes of a layer that are `due`, in the form of this way. `factors`: write
        gains over the nominal ones, columns x rows, of a chip's noise.
        """
        raise NotImplementedError

    def in_ngspice(
        self,
        layer: Any,
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
        layer: Any,
        write_column: Callable[..., np.ndarray],
        states: np.ndarray,
        column: int,
        after: np.ndarray,
    ) -> np.ndarray:
        """Let the emulators of a column move to the states `after` (rows, V) in ngspice, downwards,
        then upwards, and return their states. Other arguments are those of `in_ngspice`.
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
        self, cells: Any, states: np.ndarray, writes: list[Write], rng: np.random.Generator
    ) -> np.ndarray:
        """Return the states of a layer after `writes` of a SPICE model's `cells` (`ModelCells`).
        Numbers of pulses are drawn from `rng`.
        """
        raise NotImplementedError

    def started(
        self, states: tuple[np.ndarray, ...], curve: Any, rng: np.random.Generator
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Return the states of untrained layers and their `Network.waiting`, for wanted `states`.
        `curve`: `WriteCurve` of the device.
        """
        return states, ()

    def capacitors(self, layer: Any) -> int:
        """Return the number of capacitors of a layer that hold doses or gate voltages."""
        return 0

    def ledgers(
        self,
        technology: Technology,
        laboratory: Laboratory,
        layer: Any,
        states: np.ndarray,
        writes: list[Write],
        doses: list[tuple[float, np.ndarray]],
    ) -> list[tuple[Ledger, Times]]:
        """Return ledgers of the `writes` of a layer after an error, each with the durations in s of
        its phases. `doses`: as in `costs.Correction`.
        """
        raise NotImplementedError
