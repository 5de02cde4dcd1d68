"""A layer in a foundry's transistors that learns alone, in one transient of ngspice.

From outside come images, labels, four clocks and biases. The first spikes set latches
(`devices/models/alone.lib`), and these open the cells of the columns that are wrong. A slot of the
schedule: reset, read, write up, write down. The pumps' bias falls over the run, so writes shrink.
"""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from memristive.devices.foundry import Process
from memristive.devices.neuron_model import EDGE, load_neuron_model
from memristive.devices.spice_model import NO_LEAK, PRESETS, load_model
from memristive.engines.silicon import LINE, MIDDLE, SELECT_N, SELECT_P
from memristive.parameters import ParameterError, Parameters, quantity
from memristive.spice.pyspice import Circuit
from memristive.spice.session import NgspiceSession, Solver, Waveforms, netlist_text
from snn_circuit import Points, add_source, edges, names

LIMIT = 200  # cells in a transient
SOLVER = Solver(max_step=100e-9, reltol=1e-3, trtol=7.0, chgtol=1e-16, abstol=1e-13, method="gear")
SETTLE = 4e-6  # s, until biases and columns have settled from the initial conditions
RESET = 2e-6  # s
PAUSES = 0.8e-6, 1.5e-6  # s, before the write up, and before the write down


@dataclass(frozen=True)
class AlonePulses(Parameters):
    """Pulses of a layer that learns alone."""

    window: float = quantity(10e-6, 1e-6, 1e-3, "s", "of a read")
    dose: float = quantity(1e-6, 1e-7, 1e-4, "s", "of a write")
    voltage: float = quantity(0.2, 0.01, 0.4, "V", "of a row over the reference")
    first: float = quantity(20e-9, 1e-9, 1e-6, "A", "bias of the pumps at the start")
    last: float = quantity(4e-9, 1e-9, 1e-6, "A", "bias of the pumps at the end")
    margin: float = quantity(200e3, 1e3, 1e7, "ohm", "delays the race's end over 300 fF")
    start: float = quantity(1.9, 0.0, 3.0, "V", "X of untrained cells")
    seed: int = quantity(1, 0, 2**31 - 1, "", "of the order of images")


@dataclass(frozen=True)
class Learned:
    """What a transient did, an entry for each presentation.

    Attributes
    ----------
    order : array of int
        Class of each image.
    spikes : array, presentations x columns
        First spikes in s from the image on; nan: silent.
    latched, up, down : array of bool, presentations x columns
        Columns whose latch was set, and columns that were written.
    error : array of bool
        The referee's signal at the end of the read.
    states : array, columns x rows
        X in V at the end.
    energy : dict
        J of the analog circuit and of the logic.
    waves : Waveforms
    """

    order: np.ndarray
    spikes: np.ndarray
    latched: np.ndarray
    up: np.ndarray
    down: np.ndarray
    error: np.ndarray
    states: np.ndarray
    energy: dict[str, float]
    waves: Waveforms

    @property
    def wrong(self) -> np.ndarray:
        """True where another column than the class's fired first, or none did."""
        return np.nan_to_num(self.spikes, nan=np.inf).argmin(axis=1) != self.order


class AloneLayer:
    """Layer of a foundry's transistors with the circuit that decides on its writes.

    Raises ParameterError if a pattern contains another one, or if there are too many cells.
    """

    def __init__(
        self,
        process: Process,
        patterns: np.ndarray,
        passes: int = 8,
        pulses: AlonePulses | None = None,
    ) -> None:
        self.process, self.patterns = process, patterns
        self.pulses = p = pulses or AlonePulses()
        columns, rows = patterns.shape
        rng = np.random.default_rng(p.seed)
        self.order = np.concatenate([rng.permutation(columns) for _ in range(passes)])
        self.slot = RESET + p.window + 2 * p.dose + sum(PAUSES) + 0.7e-6
        self.starts = SETTLE + self.slot * np.arange(len(self.order))
        self.stop = float(self.starts[-1] + self.slot)
        if patterns.size > LIMIT:
            hours = self.stop * 1e6 * (patterns.size / 36) / 2.5 / 3600
            raise ParameterError(
                f"patterns have {patterns.size} cells, over {LIMIT} for a transient, which would "
                f"take about {hours:.1g} hours; leave out pixels or classes"
            )
        on = patterns > 0
        for j, k in np.argwhere(~(on[:, None] & ~on[None]).any(axis=2)):
            if j != k:
                raise ParameterError(
                    f"patterns: number {k} contains number {j}, so both fire together; draw one of "
                    "them differently"
                )
        self.model = load_neuron_model(process.foundry)
        self.states = [f"gate_{j}_{i}" for j in range(columns) for i in range(rows)]
        self.saved = [
            *self.states,
            *(name for kind in ("output", "q", "phi") for name in names(kind, columns)),
            *("error", "open", "row_0", "i(vsupply)", "i(vlogic)"),
        ]

    def netlist(self) -> str:
        """Return the deck that `ngspice -b` runs."""
        shown = [*self.states, *names("q", len(self.patterns)), "error"]
        note = ["A layer of transistors that learns alone; X are the voltages of gate_COLUMN_ROW"]
        return netlist_text(self.circuit(), SOLVER, self.stop, self.saved, shown, note)

    def train(self, watch: Callable[[Iterable[Waveforms]], Iterable[Waveforms]] = iter) -> Learned:
        """Run the transient; `watch` wraps its parts, one a presentation. An interruption by
        Ctrl-C returns the presentations so far.
        """
        loaded = NgspiceSession().load(self.circuit(), SOLVER, self.saved)
        waves: Waveforms | None = None
        try:
            with contextlib.suppress(KeyboardInterrupt):
                for part in watch(loaded.run(self.stop, self.starts[1:])):
                    waves = part
        finally:
            loaded.unload()
        if waves is None:
            raise KeyboardInterrupt
        return self.evaluate(waves)

    def evaluate(self, waves: Waveforms) -> Learned:
        """Return what the waveforms hold, up to the last whole presentation."""
        done = int(np.sum(self.starts + self.slot <= waves.time[-1] + self.slot / 50))
        columns, time = len(self.patterns), waves.time
        read = self.starts[:done] + RESET
        end = read + self.pulses.window

        def at(kind: str, when: np.ndarray) -> np.ndarray:
            return np.array([np.interp(when, time, waves[n]) for n in names(kind, columns)]).T

        spikes = np.full((done, columns), np.nan)
        for j, output in enumerate(waves.stack(names("output", columns))):
            for k, start in enumerate(read):
                times = self.model.spikes(time, output, start)
                if len(times) and times[0] <= self.pulses.window:
                    spikes[k, j] = times[0]
        up = end + PAUSES[0]
        down = up + self.pulses.dose + PAUSES[1]
        half = self.pulses.dose / 2
        volts = self.model.levels["supply"]
        return Learned(
            self.order[:done],
            spikes,
            at("q", end) > volts / 2,
            at("phi", up + half) > SELECT_N / 2,
            at("phi", down + half) > SELECT_N / 2,
            np.interp(end, time, waves["error"]) > volts / 2,
            waves.stack(self.states)[:, -1].reshape(self.patterns.shape),
            {
                part: float(-volts * np.trapezoid(waves[f"i({source})"], time))
                for part, source in (("analog", "vsupply"), ("logic", "vlogic"))
            },
            waves,
        )

    def circuit(self) -> Circuit:
        """Return the circuit with its sources."""
        p, model = self.pulses, self.model
        supply, rest = model.levels["supply"], model.levels["reference"]
        circuit = Circuit(f"layer in {self.process.foundry} that learns alone")
        model.add_to(circuit, self.process)
        library = (PRESETS / "alone.lib").read_text(encoding="utf-8")
        circuit.raw_spice += NO_LEAK + load_model(f"{self.process.foundry}_cell").text + library
        circuit.raw_spice += (
            f"Ibias pump_bias 0 pwl(0 {p.first!r} {self.stop!r} {p.last!r})\n"
            "Xbias pump_bias pump_bias supply supply pfet w=1u l=4u\n"
        )
        read = self.starts + RESET
        up = read + p.window + PAUSES[0]
        down = up + p.dose + PAUSES[1]
        circuit["Vreset"].detach()
        free = [(t, RESET - 0.1e-6) for t in self.starts]
        # neurons are reset from the start on
        free[0] = (0.0, SETTLE + RESET - 0.1e-6)
        self._clock(circuit, "reset", free, supply)
        self._clock(circuit, "resetb", [(t, w - 0.4e-6) for t, w in free], 0.0, supply)
        self._clock(circuit, "read", [(t, p.window) for t in read], supply)
        for name, begins in (("cup", up), ("cdn", down)):
            self._clock(circuit, name, [(t - 0.15e-6, p.dose + 0.3e-6) for t in begins], supply)
        for name, volts in {
            "logic": supply,
            "middle": MIDDLE,
            "select_n": SELECT_N,
            "select_p": SELECT_P,
        }.items():
            circuit.V(name, name, circuit.gnd, volts)
        wired = ["anyb", "wrongb", "rightb", "idle"]
        levels = ["select_n", "select_p", "logic"]
        circuit.raw_spice += (
            f"Xreferee {' '.join(wired)} open error dump_n dump_p {' '.join(levels)} referee "
            f"rc={p.margin!r}\n"
        )
        initial = dict.fromkeys([*wired, "open", "logic", "supply"], supply)
        initial |= {"reference": rest, "threshold": model.levels["threshold"], "middle": MIDDLE}
        initial |= {"pump_bias": supply - 1, "select_n": SELECT_N, "select_p": SELECT_P}
        initial |= {"dump_n": SELECT_N, "dump_p": SELECT_P}
        for j in range(len(self.patterns)):
            mine = [(t + 0.2e-6, self.slot - 0.4e-6) for t in self.starts[self.order == j]]
            self._clock(circuit, f"label_{j}", mine, supply)
            model.add_neuron(circuit, j, f"column_{j}")
            clocks = ["open", "read", "resetb", "error", "cup", "cdn"]
            own = [f"phi_{j}", f"phib_{j}", f"q_{j}"]
            circuit.X(
                f"decide_{j}", "decide", f"output_{j}", f"label_{j}", *clocks, *wired, *own, *levels
            )
            initial |= {f"outer_{j}": rest, f"phib_{j}": supply}
        for i, pixels in enumerate(self.patterns.T):
            points: Points = [(0.0, rest)]
            for k, j in enumerate(self.order):
                for start, width, sign in (
                    (read[k], p.window, 1),
                    (up[k], p.dose, 1),
                    (down[k], p.dose, -1),
                ):
                    if pixels[j]:
                        shape = edges(float(start), width, EDGE, sign * p.voltage * pixels[j])
                        points += [(t, rest + float(v)) for t, v in shape]
            add_source(circuit, f"row_{i}", points if len(points) > 1 else [*points, (1.0, rest)])
            lines = [f"up_{i}", f"down_{i}"]
            nodes = ["dump_n", "dump_p", "middle", "pump_bias", "supply"]
            circuit.X(f"pump_{i}", "pump", f"row_{i}", "reference", *lines, *nodes)
            for line in lines:
                circuit.C(line, line, circuit.gnd, LINE)
            initial |= {f"row_{i}": rest, f"up_{i}": MIDDLE, f"down_{i}": MIDDLE}
        for j, i in np.ndindex(*self.patterns.shape):
            nodes = [f"up_{i}", f"down_{i}", f"phi_{j}", f"phib_{j}", "supply", f"gate_{j}_{i}"]
            circuit.X(f"cell_{j}_{i}", "cell", f"row_{i}", f"outer_{j}", *nodes)
            initial[f"gate_{j}_{i}"] = p.start
        for node, volts in initial.items():
            circuit.raw_spice += f".ic v({node})={volts!r}\n"
        return circuit

    def _clock(
        self,
        circuit: Circuit,
        name: str,
        pulses: Iterable[tuple[float, float]],
        high: float,
        low: float = 0.0,
    ) -> None:
        """Add a source that is at `high` V in each of the `pulses` (start, width in s)."""
        points: Points = []
        for start, width in pulses:
            points += [
                (float(t), low + (high - low) * share)
                for t, share in edges(float(start), float(width), EDGE, 1.0)
            ]
        if points[0][0] > 0:
            points.insert(0, (0.0, low))
        add_source(circuit, name, points)
