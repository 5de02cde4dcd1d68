"""Evidence for docs/writes_late.md: the circuit of a late synapse obeys its law.

A synapse that writes late: the paper's cell adds up small doses, and a pair of devices gets a
pulse when one is due.

The emulator's X rests at 0 V and moves by the paper's own write: phi is high while the row has a
voltage. When X leaves the window of ±theta, a pulse is due. After each write, two global pulses and
a reset go to all cells, and each cell selects itself: switches that follow the window connect its
devices to the global pulse of the right sign. Nothing outside the cell reads X.

The whole column runs in one transient of ngspice, with a SPICE model's subcircuit as device. The
closed form's law, `memristor.due_pulses`, predicts X before each commit (the two pulses and the
reset) and the pulses of each commit. The conductances are compared with those of a single device in
ngspice that gets the same pulses alone. Writes results/devices/late_cell.json and
figures/late_cell.png in 10 s. --netlist writes the circuit for `ngspice -b`.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PySpice.Spice.Netlist import Circuit

from memristive.cli.script import Record, apply_settings, make_parser, print_rows, run
from memristive.devices import characterise
from memristive.devices.spice_model import SpiceModel, load_model
from memristive.network.design import edges
from memristive.parameters import Parameters, quantity
from memristive.plotting import BLACK, BLUE, GREY, VERMILLION, WIDTH
from memristive.spice.session import Solver, Waveforms, netlist_text, run_once
from memristor import ISOLATED, Memristor, MemristorParameters, due_pulses, leaked, state_rate
from snn_circuit import Points

# The channel stays off, also at negative rows, so that its gate is a linear capacitor.
EMULATOR = MemristorParameters(threshold_voltage=3.0, junction_current=ISOLATED)
PHI, RISE = 1.2, 1e-6  # V, s: level of phi; edges of rows and phi
PHASE, GAP = 20e-6, 5e-6  # s: duration of each phase of a commit, pause between two phases
LOGIC = 1e-6  # s, edges of the phases' signals
START = 0.3  # state of the devices at first
# ohm, of a closed access switch: with 1 ohm the Stanford filament, of some mS, would be off by 8 %
ACCESS = 1e-3
SHUT = 5e-4  # of theta: the window switches off when the reset has brought X back so far
SIDES = ("plus", "minus")  # devices of a pair
COMMENTS = [
    "xemulator_i.gate: X of cell i. When it leaves the window, the next global pulses go to its "
    "devices plus_i, minus_i."
]
SOLVER = Solver(max_step=20e-6, reltol=1e-5, chgtol=1e-18, abstol=1e-16, method="gear")


@dataclass(frozen=True)
class LateCellExperiment(Parameters):
    """Size of the experiment, the dose of its random writes, and the X at which a pulse is due."""

    cells: int = quantity(4, 1, 100, "", "cells of the column")
    writes: int = quantity(150, 1, 10_000, "", "writes")
    theta: float = quantity(0.2, 1e-3, 0.4, "V", "X at which a pulse is due")
    dose: float = quantity(0.12, 1e-4, 10.0, "V", "change of X by a write of a full row")
    seed: int = quantity(3, 0, 2**32 - 1, "", "of the rows' levels and of the writes' signs")

    def draw(self) -> np.ndarray:
        """Return the voltages of the rows, writes x cells, -1 to 1 V.

        Three rows in ten are off. In the middle third most writes have the same sign, as at the
        beginning of a training.
        """
        rng, third = np.random.default_rng(self.seed), self.writes // 3
        levels = rng.random((self.writes, self.cells)) * (
            rng.random((self.writes, self.cells)) < 0.7
        )
        up = np.full(self.writes, 0.5)
        up[third : 2 * third] = 0.8
        return levels * np.where(rng.random(self.writes) < up, 1.0, -1.0)[:, None]


@dataclass(frozen=True)
class LateColumn:
    """Column of cells that write late, with devices of a SPICE `model`, and the times of a write
    and its commit.
    """

    experiment: LateCellExperiment
    model: SpiceModel

    @property
    def window(self) -> float:
        """Time in s for which the write switch is closed."""
        return self.experiment.dose / float(state_rate(EMULATOR, 1.0))

    @property
    def phase(self) -> float:
        """Duration in s of each of the three phases of a commit."""
        return max(PHASE, 2 * self.model.width_up, 2 * self.model.width_down)

    @property
    def begin_of_commit(self) -> float:
        """Time in s from the start of a write to the first phase of its commit."""
        return self.window + 6 * RISE + GAP

    @property
    def period(self) -> float:
        """Time in s from one write to the next."""
        return self.begin_of_commit + 3 * (self.phase + GAP)

    @property
    def starts(self) -> np.ndarray:
        """Times in s at which the writes start."""
        return GAP + self.period * np.arange(self.experiment.writes)


def main(arguments: list[str] | None = None) -> None:
    """Write in ngspice, compare with the law, plot."""
    parser = make_parser(__doc__, "devices", netlist=True)
    parser.add_argument(
        "--model",
        default="vteam",
        metavar="NAME",
        help="SPICE model of the devices: preset or model file",
    )
    options = parser.parse_args(arguments)
    (experiment,) = apply_settings(options, experiment=LateCellExperiment())
    model = load_model(options.model)
    record = Record(
        options,
        "late_cell",
        {
            "experiment": experiment.as_dict(),
            "emulator": EMULATOR.as_dict(),
            "model": model.name,
            "model_sha256": model.sha256,
            "solver": SOLVER.as_dict(),
        },
        [options.model],
    )

    # 1. The column in ngspice: X before each commit, and the states of the devices after it.
    column, volts = LateColumn(experiment, model), experiment.draw()
    circuit, stop = netlist(column, volts), float(column.starts[-1]) + column.period
    gates = [f"xemulator{i}.gate" for i in range(experiment.cells)]
    devices = [model.state_vector(f"{side}{i}") for side in SIDES for i in range(experiment.cells)]
    record.write_netlist(
        lambda: netlist_text(circuit, SOLVER, stop, gates + devices, gates + devices, COMMENTS)
    )
    waves = run_once(circuit, SOLVER, gates + devices, stop)
    before = at(waves, gates, column.starts + column.begin_of_commit)
    states = at(waves, devices, column.starts + column.period).reshape(
        experiment.writes, len(SIDES), experiment.cells
    )

    # 2. The law: the emulator adds up doses until a pulse is due, and each device gets its pulse.
    held, pulses = by_law(column, volts)
    expected = by_single_pulses(model, pulses)
    fired = np.where(np.abs(before) >= experiment.theta, np.sign(before), 0.0)
    conductances = np.array(
        [characterise.read_cells(model, side.ravel()) for side in (states, expected)]
    )
    span = np.ptp(characterise.read_cells(model, [0.0, 1.0]))
    results = {
        "pulses": int(np.abs(pulses).sum()),
        "pulses_otherwise": int((fired != pulses).sum()),
        "x_deviation_V": float(np.abs(before - held).max()),
        "device_deviation": float(np.abs(np.subtract(*conductances)).max() / span),
    }
    record.write(results)
    print_rows([results])

    # 3. Plot.
    record.plot(sawtooth(waves, gates[0], column, conductances[0].reshape(states.shape)[:, :, 0]))


def netlist(column: LateColumn, volts: np.ndarray) -> Circuit:
    """Return the netlist of a column of cells whose rows get `volts` (writes x cells) one write
    after the other.

    Nodes: row_i, phi, one and two (high in the pulses at +V and at -V), clear (the reset), write
    (the global pulses); xemulator_i.gate is X.
    """
    experiment, model, starts = column.experiment, column.model, column.starts
    circuit = Circuit("cells that write late")
    Memristor(EMULATOR, "emulator").add_to(circuit)
    model.add_to(circuit)
    on, off = experiment.theta, SHUT * experiment.theta
    circuit.model("window", "sw", vt=(on + off) / 2, vh=(on - off) / 2, ron=1, roff=1e9)
    circuit.model("access", "sw", vt=0.5, vh=0.1, ron=ACCESS, roff=1e12)
    circuit.model("reset", "sw", vt=0.5, vh=0.1, ron=1e5, roff=1e18)

    def source(name: str, pulses: list[Points]) -> None:
        points = [(0.0, 0.0), *(corner for pulse in pulses for corner in pulse)]
        circuit.PieceWiseLinearVoltageSource(name, name, circuit.gnd, values=points)

    phases = [starts + column.begin_of_commit + k * (column.phase + GAP) for k in range(3)]
    # Rows rise before the switch closes and fall after it has opened, so that the switch alone sets
    # the dose.
    share = EMULATOR.switch_threshold / PHI
    source(
        "phi",
        [
            edges(start + 2 * RISE, column.window - RISE * (1 - 2 * share), RISE, PHI)
            for start in starts
        ],
    )
    for name, begins in zip(("one", "two", "clear"), phases, strict=True):
        source(name, [edges(begin, column.phase - LOGIC, LOGIC, 1.0) for begin in begins])
    ways = [(model.voltage_up, model.width_up), (model.voltage_down, model.width_down)]
    source(
        "write",
        [
            edges(begins[k] + column.phase / 4, width, characterise.PULSE_EDGE * width, level)
            for k in range(experiment.writes)
            for begins, (level, width) in zip(phases, ways, strict=False)
        ],
    )
    circuit.V("logic", "high", circuit.gnd, 1)
    for i in range(experiment.cells):
        source(
            f"row_{i}",
            [
                edges(start, column.window + 4 * RISE, RISE, level)
                for start, level in zip(starts, volts[:, i], strict=True)
                if level
            ],
        )
        circuit.X(f"emulator{i}", "emulator", circuit.gnd, f"row_{i}", "phi", x0=0)
        gate = f"xemulator{i}.gate"
        for name, pins in (("up", (gate, circuit.gnd)), ("down", (circuit.gnd, gate))):
            circuit.S(f"{name}{i}", "high", f"{name}_{i}", *pins, model="window")
            circuit.R(f"{name}{i}", f"{name}_{i}", circuit.gnd, 1e3)
        up, down = f"v(up_{i})", f"v(down_{i})"
        for side, first, second in (("plus", up, down), ("minus", down, up)):
            circuit.B(
                f"{side}{i}",
                f"chosen_{side}_{i}",
                circuit.gnd,
                voltage_expression=f"v(one)*{first}+v(two)*{second}",
            )
            circuit.S(
                f"{side}{i}",
                "write",
                f"{side}_{i}",
                f"chosen_{side}_{i}",
                circuit.gnd,
                model="access",
            )
            model.add_cell(circuit, f"{side}{i}", f"{side}_{i}", circuit.gnd, START)
        circuit.B(
            f"clear{i}", f"clear_{i}", circuit.gnd, voltage_expression=f"v(clear)*({up}+{down})"
        )
        circuit.S(f"clear{i}", gate, circuit.gnd, f"clear_{i}", circuit.gnd, model="reset")
    return circuit


def at(waves: Waveforms, nodes: list[str], times: np.ndarray) -> np.ndarray:
    """Return the voltages of `nodes` at `times` in s: times x nodes, V."""
    return np.array([np.interp(times, waves.time, waves[node]) for node in nodes]).T


def by_law(column: LateColumn, volts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the closed form predicts for rows at `volts` (writes x cells): X in V before each
    commit, and the pulses of each commit with their sign (both writes x cells).
    """
    x, pulses, held = np.zeros(volts.shape), np.zeros(volts.shape), np.zeros(volts.shape[1])
    theta, lost = column.experiment.theta, leaked(column.window, 1 / EMULATOR.write_time_constant)
    for k, row in enumerate(volts):
        dose = column.experiment.dose * row - lost * held
        x[k] = held + dose
        for i in range(len(held)):
            pulses[k, i], held[i] = due_pulses(held[i], dose[i], -theta, theta, 1.0, False)
    return x, pulses


def by_single_pulses(model: SpiceModel, pulses: np.ndarray) -> np.ndarray:
    """Return the states of both devices of each cell after each commit (writes x 2 x cells), for
    comparison: each device is simulated alone and gets the same `pulses`.
    """
    states, found = np.full((len(SIDES), pulses.shape[1]), START), []
    for row in pulses:
        for up in (True, False):
            chosen = np.array([row, -row]) == (1 if up else -1)
            if chosen.any():
                states[chosen] = characterise.write_cells(model, states[chosen], up)[:, -1]
        found.append(states.copy())
    return np.array(found)


def sawtooth(waves: Waveforms, gate: str, column: LateColumn, conductances: np.ndarray) -> Figure:
    """Draw X of a cell over time, and below it the `conductances` of its two devices (writes x 2,
    S).
    """
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 4.4), sharex=True)
    upper.plot((waves.time - GAP) / column.period, 1e3 * waves[gate], color=BLUE, linewidth=1.0)
    theta = column.experiment.theta
    for level in (-theta, theta):
        upper.axhline(1e3 * level, color=GREY, linestyle="--", linewidth=1.0)
    upper.text(0, 1e3 * theta, " a pulse is due", color=GREY, va="bottom")
    upper.set(ylabel="X of the emulator (mV)", title="The emulator adds up what is not yet a pulse")
    for side, colour, style in zip(range(2), (VERMILLION, BLACK), ("-", "--"), strict=True):
        lower.stairs(
            1e6 * conductances[:, side],
            np.arange(len(conductances) + 1) + 1,
            color=colour,
            linestyle=style,
            label=f"G{'+-'[side]}",
            baseline=None,
        )
    lower.set(
        xlabel="write", ylabel="conductance (µS)", title="The pair of devices gets whole pulses"
    )
    lower.legend()
    return figure


if __name__ == "__main__":
    run(main)
