"""Cells, neurons and wires that a chip has instead of the nominal ones, in netlists and in `alter`
changes.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.devices.write_curve import WriteCurve
from memristive.parameters import Fields
from memristive.spice.pyspice import Circuit
from memristor import Memory, MemristorParameters

Index = int | slice | np.ndarray
PerCell = Any  # a float, or an array


@dataclass(frozen=True, eq=False)
class Cells(Memory):
    """Parameters of a crossbar's cells: floats, or arrays that broadcast with the states (columns x
    rows), as on a chip.
    """

    gain: PerCell  # A/V^2, Kp W/L of the channel
    threshold_voltage: PerCell  # V, Vto of the channel
    transconductance: PerCell  # S, K, the write gain
    capacitance: PerCell  # F, the explicit memory capacitor C
    gate_capacitance: PerCell  # F, of the channel's gate
    leak_resistance: PerCell  # ohm
    curve: WriteCurve | None  # of a measured device: write gain over X; None: constant
    write_noise: PerCell = 1.0  # over the nominal noise of a pulse

    @classmethod
    def of(cls, parameters: MemristorParameters, chip: "Cells | None" = None) -> "Cells":
        """Return the cells of a `chip`; None: cells that are all alike, with these `parameters`."""
        return chip or cls(
            **{
                name: getattr(parameters, name)
                for name in cls.__dataclass_fields__
                if name != "write_noise"
            }
        )

    def at(self, columns: Index, rows: Index = slice(None)) -> "Cells":
        """Return the cells of some columns and rows, given as indices or slices."""
        arrays: Fields = {
            key: value[columns, rows]
            for key, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        return dataclasses.replace(self, **arrays) if arrays else self

    def geometry(self, memristor: MemristorParameters) -> tuple[np.ndarray, np.ndarray]:
        """Return two arrays, widths and lengths in m, with which the channels have the gains of
        these cells. Gates keep their area and capacitance.
        """
        stretch = np.sqrt(self.gain / memristor.gain)
        return memristor.width * stretch, memristor.length / stretch

    def shift(self, memristor: MemristorParameters) -> Any:
        """Return the deviations of Vto in V. A cell conducts like a nominal cell whose state is
        lower by the deviation.
        """
        return self.threshold_voltage - memristor.threshold_voltage

    @property
    def leak(self) -> Any:
        """Rate in 1/s at which X leaks in a write."""
        return 1 / (self.leak_resistance * self.memory_capacitance)


@dataclass(frozen=True, eq=False)
class NeuronValues:
    """Parameters of each neuron of a chip: arrays with a value for each neuron."""

    threshold: np.ndarray  # V, membrane voltage of a spike
    feedback_resistance: np.ndarray  # ohm, of the summing stage
    membrane_capacitance: np.ndarray  # F


@dataclass(frozen=True)
class Wires:
    """Resistance in ohm of the wire of a row between two columns, and of the wire of a column
    between two rows.

    Inputs drive their rows at column 0; neurons hold their columns beyond the last row.
    """

    row: float = 0.0
    column: float = 0.0


@dataclass(frozen=True, eq=False)
class Devices:
    """Values of all cells and neurons of a chip, and its wires. None: all cells or all neurons have
    the nominal values.
    """

    cells: Cells | None = None
    neurons: NeuronValues | None = None
    wires: Wires = Wires()

    def of_rows(self, rows: Index) -> "Devices":
        """Return the devices of a crossbar that has only the rows `rows` (indices or a slice)."""
        return dataclasses.replace(self, cells=self.cells and self.cells.at(slice(None), rows))


IDEAL_DEVICES: Devices = Devices()
# the instance parameters of cell (column, row)
Arguments = Callable[[int, int], dict[str, float]]


def cell_arguments(memristor: MemristorParameters, cells: Cells | None, write: bool) -> Arguments:
    """Return a function that gives the instance parameters of cell (column j, row i); `write`
    includes the write gain. Without `cells` there are none.
    """
    if cells is None:
        return lambda j, i: {}
    width, length = cells.geometry(memristor)
    arrays = {"w": width, "l": length, "vto": cells.threshold_voltage, "c": cells.capacitance}
    if write:
        arrays["k"] = cells.transconductance
    return lambda j, i: {key: float(values[j, i]) for key, values in arrays.items()}


def neuron_arguments(neurons: NeuronValues | None) -> Callable[[int], dict[str, float]]:
    """Return a function that gives the instance parameters of neuron j; none without `neurons`."""
    if neurons is None:
        return lambda j: {}
    arrays = {
        "threshold": neurons.threshold,
        "feedback": neurons.feedback_resistance,
        "capacitance": neurons.membrane_capacitance,
    }
    return lambda j: {key: float(values[j]) for key, values in arrays.items()}


def add_wires(
    circuit: Circuit,
    wires: Wires,
    cell: tuple[int, int],
    rows: int,
    column: str,
    row: str,
    kinds: tuple[str, str] = ("row", "wire"),
) -> tuple[str, str]:
    """Add the pieces of wire that lead to a `cell` (column, row) of a crossbar with a number of
    `rows`; return the nodes of the cell on column and row.

    `column` and `row` are the nodes at the neuron and at the input, `kinds` the names of nodes on
    wires of rows and of columns.
    """
    (j, i), (of_row, of_column) = cell, kinds
    if wires.row:
        before, row = row if j == 0 else f"{of_row}_{j - 1}_{i}", f"{of_row}_{j}_{i}"
        circuit.R(row, before, row, wires.row)
    if wires.column:
        after = column if i == rows - 1 else f"{of_column}_{j}_{i + 1}"
        column = f"{of_column}_{j}_{i}"
        circuit.R(column, column, after, wires.column)
    return column, row


def cell_changes(
    cells: Cells,
    memristor: MemristorParameters,
    write: bool = False,
    name: str = "cell",
    places: Sequence[int] | None = None,
) -> dict[str, float]:
    """Return the `alter` changes that give cells of a netlist the values of `cells` (columns x
    rows).

    Vto belongs to a model and cannot be altered, so shift the states instead (`Cells.shift`).

    Parameters
    ----------
    cells : Cells
    memristor : MemristorParameters
    write : bool
        Include the write gain.
    name : str
        Cells are called xNAME_column_row.
    places : sequence of int, optional
        Rows of the netlist that get the values; None: the first rows.
    """
    width, length = cells.geometry(memristor)
    changes: dict[str, float] = {}
    rows = range(width.shape[1]) if places is None else places
    for j, (i, k) in itertools.product(range(len(width)), enumerate(rows)):
        element = f"x{name}_{j}_{k}"
        changes[f"m.{element}.mchannel w"] = float(width[j, i])
        changes[f"m.{element}.mchannel l"] = float(length[j, i])
        changes[f"c.{element}.cmemory"] = float(cells.capacitance[j, i])
        if write:
            changes[f"g.{element}.gcharge gain"] = float(cells.transconductance[j, i])
    return changes


def neuron_changes(neurons: NeuronValues, which: Iterable[int], kind: str) -> dict[str, float]:
    """Return the `alter` changes that give the first neurons of a netlist the values of the chip's
    neurons `which`.

    `kind` is "stages" for the feedback of the elements xneuron_0_j, or "membrane" for the capacitor
    of the elements xmembrane_0_j.
    """
    if kind == "stages":
        return {
            f"r.xneuron_0_{j}.rfeedback": float(neurons.feedback_resistance[n])
            for j, n in enumerate(which)
        }
    return {
        f"c.xmembrane_0_{j}.cmembrane": float(neurons.membrane_capacitance[n])
        for j, n in enumerate(which)
    }
