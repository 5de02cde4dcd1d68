"""Trained networks for the laboratory: the conductance of each cell, pulses that bring cells there,
and the circuit around the cells.

Rows and columns have the names of the netlists' nodes: row_0_3 is row 3 of layer 0. With a bias,
its row is the last. With pairs, column_0_j and opposite_0_j lead to the positive and the negative
side of neuron j; without pairs, the last column may be the reference column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from memristive.devices.cells import Cells
from memristive.devices.write_curve import Flow, moved
from memristive.io.records import NotOverwritten, write_file
from memristive.network.design import Schedule
from memristive.network.layer import Layer
from memristive.network.networks import Network
from memristive.parameters import Fields
from memristor import read_current
from snn_circuit import names

if TYPE_CHECKING:
    import pandas as pd

PARTS = 8  # points for each pulse, between which `PulseLaw` interpolates numbers of pulses
MOST = 10_000  # pulses of a cell


@dataclass(frozen=True)
class PulseLaw:
    """Formulas of the pulses of a measured device; x is the share of its conductance range.

    Parameters
    ----------
    lowest, highest : float
        Conductance in S at x = 0 and at x = 1.
    flow : Flow
        Rates of both directions over x.
    step : float
        Size of one pulse; the rates of `flow` are changes of x for a pulse of size 1.
    """

    lowest: float
    highest: float
    flow: Flow
    step: float = 1.0

    def share(self, siemens: ArrayLike) -> np.ndarray:
        """Return x (any shape) at conductances in S."""
        return (np.asarray(siemens, float) - self.lowest) / (self.highest - self.lowest)

    def numbers(self, start: ArrayLike, target: ArrayLike) -> np.ndarray:
        """Return the whole number of pulses that brings each cell nearest to its target. A negative
        number means pulses downwards.

        Parameters
        ----------
        start, target : array_like
            x before the pulses, and the wanted x; shapes broadcast.
        """
        begin, end = np.broadcast_arrays(np.asarray(start, float), np.asarray(target, float))
        numbers = np.zeros(begin.shape, int)
        for sign in (1, -1):
            cells = sign * (end - begin) > 0
            pulses, x = self._sweep(sign)
            elapsed = np.interp(sign * end[cells], x, pulses)
            numbers[cells] = sign * np.rint(elapsed - np.interp(sign * begin[cells], x, pulses))
        return numbers

    def _sweep(self, sign: int) -> tuple[np.ndarray, np.ndarray]:
        """Return two arrays for a sweep over the whole range: the numbers of pulses 0, 1/`PARTS`,
        2/`PARTS` ..., and after each of them `sign` times x, which rises. `sign`: 1 upwards, -1
        downwards.
        """
        x, sweep = 0.0 if sign > 0 else 1.0, list[float]()
        while len(sweep) < MOST * PARTS and (not sweep or sign * x > sweep[-1]):
            sweep.append(sign * x)
            x = moved(self.flow, x, sign * self.step / PARTS)
        return np.arange(len(sweep)) / PARTS, np.array(sweep)


def conductance_tables(network: Network) -> list["pd.DataFrame"]:
    """Return a table of the conductances in S for each layer of a network, rows x columns."""
    import pandas as pd

    return [
        pd.DataFrame(
            conductances(layer, states).T, names(f"row_{k}", layer.rows), column_names(layer, k)
        )
        for k, (layer, states) in enumerate(zip(network.layers, network.states, strict=True))
    ]


def export(network: Network, folder: str | Path, overwrite: bool = False) -> Path:
    """Write what a laboratory needs to build a trained network, and return the folder.

    The folder gets circuit.csv (resistors, voltages, times of each layer), neurons_K.csv,
    conductances_K.csv (S) and, if pulses of a measured device write the cells, pulses.csv
    (docs/export.md). K is the number of a layer, from 0.

    Parameters
    ----------
    network : Network
    folder : path
    overwrite : bool
        Replace files with other content.

    Raises
    ------
    NotOverwritten
        The folder has such a file with other content, and `overwrite` is False.
    """
    texts = laboratory_files(network)
    for name, text in texts.items():
        path = Path(folder) / name
        if not overwrite and path.is_file() and path.read_text(encoding="utf-8") != text:
            raise NotOverwritten(
                f"{path} exists with other content: choose another folder, or give overwrite=True"
            )
    for name, text in texts.items():
        write_file(Path(folder) / name, text)
    return Path(folder)


def laboratory_files(
    network: Network, start: "float | Sequence[pd.DataFrame]" = 0.0
) -> dict[str, str]:
    """Return the content of the files of an exported network, by name. `start`: state before the
    pulses, a share of the conductance range, or conductances in S, a table for each layer as in
    conductances_K.csv.
    """
    tables, law = conductance_tables(network), pulse_law(network)
    files = {"circuit.csv": circuit_table(network).to_csv(float_format="%.9g")}
    for k, table in enumerate(neuron_tables(network)):
        files[f"neurons_{k}.csv"] = table.to_csv(float_format="%.9g")
    for k, table in enumerate(tables):
        files[f"conductances_{k}.csv"] = table.to_csv(index_label="siemens", float_format="%.9g")
    if law:
        files["pulses.csv"] = pulse_table(law, tables, start).to_csv(index=False)
    return files


def circuit_table(network: Network) -> "pd.DataFrame":
    """Return the circuit around the cells: a row for each quantity, with its unit, and a column for
    each layer. docs/export.md describes the circuit. A bias resistor of inf ohm is none.
    """
    import pandas as pd

    schedule = network.design if isinstance(network.design, Schedule) else None
    values: dict[tuple[str, str], Fields] = {}
    tau = network.parameters.neuron.time_constant
    for k, layer in enumerate(network.layers):
        neuron, wires, none = layer.neuron, layer.devices.wires, None
        own = {
            ("read_voltage", "V"): layer.row_voltage,
            ("bias_resistor", "ohm"): layer.bias_resistance,
            ("feedback_resistor", "ohm"): neuron.feedback_resistance,
            ("stage_resistor", "ohm"): neuron.stage_resistance,
            ("amplifier_gain", ""): neuron.amplifier_gain,
            ("amplifier_output_resistor", "ohm"): neuron.amplifier_output_resistance,
            ("summing_rail_low", "V"): neuron.rail_low,
            ("summing_rail_high", "V"): neuron.rail_high,
            ("inverting_rail_low", "V"): neuron.inverting_rail_low,
            ("inverting_rail_high", "V"): neuron.inverting_rail_high,
            ("membrane_transconductance", "S"): neuron.membrane_transconductance,
            ("membrane_resistor", "ohm"): neuron.membrane_resistance,
            ("hysteresis", "V"): neuron.hysteresis,
            ("spike_voltage", "V"): neuron.output_high,
            ("row_wire", "ohm"): wires.row,
            ("column_wire", "ohm"): wires.column,
            ("edge", "s"): layer.rise,
            ("longest_read", "s"): layer.window,
            **layer.kind.values(layer.window, tau),
            ("write_voltage", "V"): layer.write_voltage,
            ("write_pulse", "s"): schedule.pulse if schedule else none,
            ("write_period", "s"): schedule.period if schedule else none,
            ("phi_voltage", "V"): schedule.phi_voltage if schedule else none,
        }
        for quantity, value in own.items():
            values.setdefault(quantity, {})[f"layer_{k}"] = value
    table = pd.DataFrame(values, names("layer", len(network.layers)), dtype=float).T
    table.index.names = ["quantity", "unit"]
    return table.dropna(how="all")


def neuron_tables(network: Network) -> list["pd.DataFrame"]:
    """Return a table for each layer with the values of each neuron: feedback resistor in ohm,
    membrane capacitor in F, threshold in V. On a chip they differ.
    """
    import pandas as pd

    tables = []
    for layer in network.layers:
        own = layer.devices.neurons or layer.neuron
        values = {
            "feedback_resistor_ohm": own.feedback_resistance,
            "membrane_capacitor_F": own.membrane_capacitance,
            "threshold_V": own.threshold,
        }
        table = pd.DataFrame(values, range(layer.neurons))
        table.index.name = "neuron"
        tables.append(table)
    return tables


def conductances(layer: Layer, states: np.ndarray) -> np.ndarray:
    """Return the conductance in S of each cell of a layer in a read (columns x rows), the reference
    column included. `states`: columns x rows, V.
    """
    cells = Cells.of(layer.memristor, layer.devices.cells)
    current = read_current(cells, layer.with_reference(states), layer.row_voltage)
    return np.asarray(current / layer.row_voltage)


def column_names(layer: Layer, k: int) -> list[str]:
    """Return the name of each column's node of layer `k`. If a neuron has several pairs,
    the number of the pair follows, as in column_0_3_pair_1.
    """
    nodes, cells = layer.synapses.nodes(k, layer.neurons), layer.synapses.cells
    pairs = np.arange(len(nodes)) // layer.neurons % cells
    several = cells > 1
    return [
        f"{node}_pair_{pair}" if several else node for node, pair in zip(nodes, pairs, strict=True)
    ]


def pulse_law(network: Network) -> PulseLaw | None:
    """Return the `PulseLaw` of a network of measured devices. None if the cells are not measured
    devices, if gate voltages set their levels, or if they have one gradual direction.
    """
    layer, curve = network.layers[0], network.parameters.memristor.curve
    pulses = network.pulses
    if not pulses or pulses.levels or pulses.one_sided or not curve:
        return None
    ideal = Cells.of(layer.memristor)
    ends = read_current(ideal, np.array([curve.low, curve.high]), layer.row_voltage)
    low, high = (ends / layer.row_voltage).tolist()
    span = curve.high - curve.low
    return PulseLaw(low, high, curve.flow._replace(low=0.0, span=1.0), pulses.step / span)


def pulse_table(
    law: PulseLaw,
    targets: Sequence["pd.DataFrame"],
    starts: Sequence["pd.DataFrame"] | float = 0.0,
) -> "pd.DataFrame":
    """Return the pulses that bring the cells from `starts` to `targets`: a row for each cell that
    needs any, with the columns row, column, direction (up or down) and number.

    `targets` and `starts` are conductances in S, as in `conductance_tables`. `starts` may also be a
    single number: the share of the conductance range from which all cells start.
    """
    import pandas as pd

    parts = []
    for k, target in enumerate(targets):
        start = starts if isinstance(starts, int | float) else law.share(starts[k])
        pulses = law.numbers(start, law.share(target))
        cells = np.nonzero(pulses)
        part = {
            "row": target.index.to_numpy()[cells[0]],
            "column": target.columns.to_numpy()[cells[1]],
            "direction": np.where(pulses[cells] > 0, "up", "down"),
            "number": np.abs(pulses[cells]),
        }
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)
