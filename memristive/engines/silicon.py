"""A layer wholly in a foundry's transistors: cells, pumps of rows and neurons, written and read in
ngspice.

The cell and the pump of a row stand in `devices/models/transistor_cell.lib`. The cell's switches
are cascodes, so that the lines of a row hardly move as they open: with transmission gates the
lines' charge would move every cell of the column. While no column is selected, a dump takes the
pumps' currents.

Ideal are the sources of rows, selection, reset, supplies and bias currents, and wires of 10 fF.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memristive.devices.foundry import Process
from memristive.devices.neuron_model import EDGE, NeuronModel, load_neuron_model
from memristive.devices.spice_model import NO_LEAK, load_model
from memristive.parameters import Parameters, quantity
from memristive.spice.pyspice import Circuit
from memristive.spice.session import Solver, Waveforms, run_once
from snn_circuit import Points, add_source, edges, names

# the bias that all pumps share
BIAS = """Ibias pump_bias 0 20n
Xbias pump_bias pump_bias supply supply pfet w=1u l=4u
"""
SELECT_N, SELECT_P = 1.2, 2.0  # V, gates of selected cascodes
MIDDLE = 1.8  # V, of the dump
LINE = 10e-15  # F, of each line of a row
SETTLE = 4e-6  # s, until biases and columns have settled from the initial conditions
OPEN, CLOSE = 0.2e-6, 0.6e-6  # s, the switches open before a row's pulse and close after it
SOLVER = Solver(max_step=50e-9, reltol=1e-4, trtol=7.0, chgtol=1e-17, method="gear")


@dataclass(frozen=True)
class SiliconPulses(Parameters):
    """Pulses of a layer in transistors; voltages count from the reference."""

    write_voltage: float = quantity(0.3, 0.01, 0.4, "V", "of a row in a write")
    write: float = quantity(18e-6, 1e-7, 1e-3, "s", "pulse of a write")
    read_voltage: float = quantity(0.2, 0.01, 0.4, "V", "of a row in a read")
    window: float = quantity(10e-6, 1e-6, 1e-3, "s", "longest read")
    pause: float = quantity(5e-6, 3e-6, 1e-3, "s", "between two writes or reads")
    start: float = quantity(0.6, 0.0, 3.0, "V", "X of untrained cells")


class SiliconLayer:
    """Layer of a foundry's transistors.

    The netlist of reads and writes is the same but for its sources, so that a seed of `process`
    gives the same chip.

    Parameters
    ----------
    process : Process
    columns, rows : int
    pulses : SiliconPulses, optional
        None: the defaults.
    """

    def __init__(
        self, process: Process, columns: int, rows: int, pulses: SiliconPulses | None = None
    ) -> None:
        self.process, self.columns, self.rows = process, columns, rows
        self.pulses = pulses or SiliconPulses()
        self.neuron: NeuronModel = load_neuron_model(process.foundry)
        self.states = [f"gate_{j}_{i}" for j in range(columns) for i in range(rows)]

    def train(self, patterns: np.ndarray) -> tuple[np.ndarray, Waveforms]:
        """Write one of the `patterns` (columns x rows, 0 to 1) into each column, one after the
        other. Return X in V (columns x rows) and the waveforms.
        """
        return self.write(
            np.full(patterns.shape, self.pulses.start), range(len(patterns)), patterns
        )

    def write(
        self,
        states: np.ndarray,
        columns: Sequence[int],
        levels: np.ndarray,
        width: float | None = None,
    ) -> tuple[np.ndarray, Waveforms]:
        """Write `levels` (writes x rows, -1 to 1) into `columns`, one after the other, by pulses of
        `width` s, from X at `states` (columns x rows, V) on. Return X afterwards and the waveforms.
        """
        p = self.pulses
        width = width or p.write
        starts = self._starts(len(columns), width)
        rows = self._row_pulses(levels, starts, width, p.write_voltage)
        writes = [edges(start - OPEN, width + CLOSE, EDGE, 1.0) for start in starts]
        chosen = list(zip(columns, writes, strict=True))
        waves = self._run(states, rows, chosen, [], starts[-1] + width)
        return waves.stack(self.states)[:, -1].reshape(self.columns, self.rows), waves

    def read(self, states: np.ndarray, patterns: np.ndarray) -> tuple[np.ndarray, Waveforms]:
        """Read `patterns` (images x rows, 0 to 1) one after the other with X at `states` (columns x
        rows, V). Return first spikes in s (images x columns; nan: silent) and the waveforms.
        """
        p, model = self.pulses, self.neuron
        starts = self._starts(len(patterns), p.window)
        rows = self._row_pulses(patterns, starts, p.window, p.read_voltage)
        waves = self._run(states, rows, [], starts, starts[-1] + p.window)
        outputs = waves.stack(names("output", self.columns))
        spikes = np.full((len(patterns), self.columns), np.nan)
        for q, start in enumerate(starts):
            for j, output in enumerate(outputs):
                times = model.spikes(waves.time, output, start)
                if len(times) and times[0] <= p.window:
                    spikes[q, j] = times[0]
        return spikes, waves

    def power(self, waves: Waveforms) -> float:
        """Return the mean power in W that the supply gives once it has settled."""
        settled = waves.time > SETTLE
        time, amperes = waves.time[settled], -waves["i(vsupply)"][settled]
        volts = self.neuron.levels["supply"]
        return float(volts * np.trapezoid(amperes, time) / (time[-1] - time[0]))

    def _starts(self, count: int, pulse: float) -> list[float]:
        return [SETTLE + k * (pulse + self.pulses.pause) for k in range(count)]

    def _row_pulses(
        self, patterns: np.ndarray, starts: Sequence[float], width: float, volts: float
    ) -> list[Points]:
        rest, pulses = self.neuron.levels["reference"], []
        for levels in patterns.T:
            points: Points = [(0.0, rest)]
            for start, level in zip(starts, levels, strict=True):
                if level:
                    points += [
                        (t, rest + v) for t, v in edges(start, width, EDGE, float(volts * level))
                    ]
            pulses.append(points)
        return pulses

    def _run(
        self,
        states: np.ndarray,
        rows: Sequence[Points],
        writes: Sequence[tuple[int, Points]],
        reads: Sequence[float],
        last: float,
    ) -> Waveforms:
        """Return the waveforms of a run up to `last` s, the end of the last pulse.

        Each of `writes` selects a column for a window (s, 0 to 1). Neurons race from each of
        `reads` s on.
        """
        p, model = self.pulses, self.neuron
        supply, rest = model.levels["supply"], model.levels["reference"]
        circuit = Circuit(f"layer in {self.process.foundry}")
        model.add_to(circuit, self.process)
        # with the cells and pumps that `memristive measure` measures
        circuit.raw_spice += NO_LEAK + load_model(f"{self.process.foundry}_cell").text + BIAS
        reset: Points = [(0.0, model.reset_level)]
        for start in reads:
            # neurons are free from 1 us before the image on, when their columns have settled
            free = edges(start - 1e-6, p.window + 1e-6, EDGE, 1.0)
            span = model.reset_idle - model.reset_level
            reset += [(t, model.reset_level + span * share) for t, share in free]
        circuit["Vreset"].detach()
        add_source(circuit, "reset", reset)
        gates = {"dump_n": (SELECT_N, 0.0), "dump_p": (SELECT_P, supply)}
        for name, (idle, taken) in gates.items():
            self._gate(circuit, name, idle, taken, [c for _, window in writes for c in window])
        circuit.V("middle", "middle", circuit.gnd, MIDDLE)
        initial = {"supply": supply, "reference": rest, "pump_bias": supply - 1, "middle": MIDDLE}
        initial |= {"dump_n": SELECT_N, "dump_p": SELECT_P, "threshold": model.levels["threshold"]}
        for j in range(self.columns):
            window = [c for column, window in writes if column == j for c in window]
            self._gate(circuit, f"phi_{j}", 0.0, SELECT_N, window)
            self._gate(circuit, f"phib_{j}", supply, SELECT_P, window)
            model.add_neuron(circuit, j, f"column_{j}")
            initial |= {f"outer_{j}": rest, f"phib_{j}": supply}
        for i, points in enumerate(rows):
            add_source(circuit, f"row_{i}", points)
            lines = [f"up_{i}", f"down_{i}"]
            nodes = ["dump_n", "dump_p", "middle", "pump_bias", "supply"]
            circuit.X(f"pump_{i}", "pump", f"row_{i}", "reference", *lines, *nodes)
            for line in lines:
                circuit.C(line, line, circuit.gnd, LINE)
            initial |= {f"row_{i}": rest, f"up_{i}": MIDDLE, f"down_{i}": MIDDLE}
        for j, i in np.ndindex(self.columns, self.rows):
            nodes = [f"up_{i}", f"down_{i}", f"phi_{j}", f"phib_{j}", "supply", f"gate_{j}_{i}"]
            circuit.X(f"cell_{j}_{i}", "cell", f"row_{i}", f"outer_{j}", *nodes)
            initial[f"gate_{j}_{i}"] = float(states[j][i])
        for node, volts in initial.items():
            circuit.raw_spice += f".ic v({node})={volts!r}\n"
        saved = [*self.states, *names("output", self.columns), *names("row", self.rows)]
        saved += [*names("phi", self.columns), "i(vsupply)"]
        stop = last + p.pause
        return run_once(circuit, SOLVER, saved, stop)

    def _gate(self, circuit: Circuit, name: str, idle: float, taken: float, shape: Points) -> None:
        """Add a source that goes from `idle` to `taken` V in the windows of a `shape` (s, 0 to
        1).
        """
        points = [(0.0, idle), *((t, idle + (taken - idle) * share) for t, share in shape)]
        add_source(circuit, name, points if len(points) > 1 else [*points, (1.0, idle)])
