"""A neuron of one's own: a SPICE subcircuit, the file that describes it, and its measured curve.

A neuron is its curve t(I): the time from the step of the rows to its spike, over the current of its
column. This is true as far as the neuron holds its column: other cells conduct as soon as it moves.

A neuron file is JSON::

    {"file": "my.lib", "subcircuit": "neuron", "pins": ["column", "reference", "reset", "output"],
     "levels": {"reference": 0.6}, "reset_level": 3.3, "reset_time": 2e-6, "output_level": 1.65,
     "lowest_current": 0.4e-6, "highest_current": 12e-6, "row_voltage": 0.2, "window": 30e-6}

`pins` lists the subcircuit's pins in their order. Each is column, reset or output, or a name in
`levels` (sources in V) or `biases` (ideal currents into the pin in A).
"""

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from memristive.devices.cells import NeuronValues
from memristive.devices.foundry import Process
from memristive.devices.spice_dialect import header_of, pins_of
from memristive.devices.spice_model import checked_library, preset_or_file
from memristive.files import FileProblem, read_json, restored
from memristive.parameters import ParameterError, Parameters, curve, quantity
from memristive.spice.pyspice import Circuit
from memristive.spice.session import NgspiceSession, Solver, Waveforms, temporary_circuits
from snn_circuit import NeuronParameters, Points, add_source

PRESETS = Path(str(resources.files("memristive.devices") / "neurons"))
FORMAT = "memristive neuron"
EDGE = 20e-9  # s, of the rows
SOLVER = Solver(max_step=20e-9, reltol=1e-4, trtol=7.0, chgtol=1e-16, method="gear")
POINTS = 24  # currents of a curve
HELD = 3e-3  # V: a column that is farther from its reference lets other cells conduct
FOLLOWED = 0.01  # largest relative error of the three numbers where they hold
DRAWN = (1.3, 2.0, 4.0, 8.0, 16.0)  # currents at which drawn neurons are measured, in I_th
LIFT = 0.01  # relative change of t by the conductance of other cells that is worth a doubt


@dataclass(frozen=True)
class NeuronModel(Parameters):
    """Neuron as a SPICE subcircuit.

    Parameters
    ----------
    name, text : str
        Name of the file, and the checked library that ngspice loads.
    subcircuit : str
    pins : tuple of str
        Pins of the subcircuit in their order.
    levels, biases : mapping
        Voltage in V of each supply or reference, and current in A into each bias pin, by pins.
        "reference" is the voltage at which the neuron holds its column.
    reset_level, reset_idle, reset_time : float
        Voltage in V of an active and of an idle reset, and the least time in s that it is active.
    output_level : float
        Voltage in V that the output crosses at a spike.
    output_rises : bool
        Direction of the crossing.
    lowest_current, highest_current : float
        Range of the column's currents in A.
    row_voltage : float
        Voltage in V of a row above the column.
    window : float
        Longest read in s.
    foundry : str
        Process of the transistors nfet and pfet that the library uses; "": none.
    time_parameter : str
        Parameter of the subcircuit that is a factor on tau; "": none.
    """

    name: str
    text: str = field(repr=False)
    subcircuit: str
    pins: tuple[str, ...]
    levels: dict[str, float] = field(hash=False)
    biases: dict[str, float] = field(default_factory=dict, hash=False)
    reset_level: float = quantity(3.3, -100.0, 100.0, "V", "active reset")
    reset_idle: float = quantity(0.0, -100.0, 100.0, "V", "idle reset")
    reset_time: float = quantity(2e-6, 1e-9, 1.0, "s", "least duration of a reset")
    output_level: float = quantity(1.65, -100.0, 100.0, "V", "crossed by the output at a spike")
    output_rises: bool = True
    lowest_current: float = quantity(1e-7, 1e-15, 1.0, "A", "of the column")
    highest_current: float = quantity(1e-5, 1e-15, 1.0, "A", "of the column")
    row_voltage: float = quantity(0.2, 1e-3, 100.0, "V", "of a row above the column")
    window: float = quantity(30e-6, 1e-6, 1.0, "s", "longest read")
    foundry: str = ""
    time_parameter: str = ""

    newer: ClassVar = (
        *("biases", "reset_level", "reset_idle", "reset_time", "output_level", "output_rises"),
        *("lowest_current", "highest_current", "row_voltage", "window", "foundry"),
        "time_parameter",
    )

    def check(self) -> None:
        """Raise ParameterError unless the library has the subcircuit with these pins."""
        words = header_of(self.text, self.subcircuit)
        own, scale = pins_of(words), self.time_parameter
        if len(own) != len(self.pins):
            raise ParameterError(
                f"pins must name the {len(own)} pins of {self.subcircuit}, {' '.join(own)}, got "
                f"{len(self.pins)}"
            )
        known = {"column", "reset", "output", *self.levels, *self.biases}
        for pin in self.pins:
            if pin not in known:
                raise ParameterError(
                    f"pin {pin} must be column, reset, output, or have a voltage in levels or a "
                    "current in biases"
                )
        for name, pins in (("pins", self.pins), ("levels", self.levels)):
            for pin in ("column", "output") if name == "pins" else ("reference",):
                if pin not in pins:
                    raise ParameterError(f"{name}: {pin} is missing")
        if scale and f" {scale.lower()}=" not in " ".join(words):
            raise ParameterError(f"time_parameter {scale} is no parameter of {self.subcircuit}")
        if not self.lowest_current < self.highest_current:
            raise ParameterError(
                f"lowest_current must be below highest_current, got {self.lowest_current:g} and "
                f"{self.highest_current:g} A"
            )
        if self.foundry:
            Process(self.foundry)

    @property
    def sha256(self) -> str:
        """SHA-256 of the library and of the file's other entries."""
        content = self.as_dict() | {"name": ""}
        if not self.time_parameter:
            del content["time_parameter"]  # as neurons measured before it existed
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def start(self) -> float:
        """Time in s at which the rows step up in a read: a reset, and as long a rest."""
        return 2 * self.reset_time

    def reset(self) -> Points:
        """Return the corners (s, V) of the reset of a read."""
        end = self.reset_time
        return [(0.0, self.reset_level), (end, self.reset_level), (end + EDGE, self.reset_idle)]

    def add_to(self, circuit: Circuit, process: Process | None = None) -> None:
        """Add the definition and the sources that all neurons share to a circuit. `process`:
        conditions of the foundry's transistors; None: typical, 27 C.
        """
        if self.foundry:
            circuit.raw_spice += (process or Process(self.foundry)).header()
        circuit.raw_spice += self.text
        for pin, volts in self.levels.items():
            circuit.V(pin, pin, circuit.gnd, volts)
        add_source(circuit, "reset", self.reset())

    def add_neuron(
        self,
        circuit: Circuit,
        number: int,
        column: str,
        threshold: float = 1.0,
        slower: float = 1.0,
    ) -> None:
        """Add a neuron with the nodes column, output_NUMBER and outer_NUMBER. `threshold` and
        `slower`: factors on I_th, by the neuron's share of the current, and on tau.

        A battery joins the node `column`, whose voltage counts from the reference, and outer_NUMBER
        at the neuron. So a crossbar whose columns are at 0 V suits neurons of any reference.
        """
        own = {"column": f"outer_{number}", "output": f"output_{number}"}
        own |= {pin: f"{pin}_{number}" for pin in self.biases}
        for pin, amperes in self.biases.items():
            circuit.I(f"{pin}_{number}", circuit.gnd, own[pin], amperes)
        circuit.V(f"battery_{number}", f"outer_{number}", column, self.levels["reference"])
        nodes = [own.get(pin, pin) for pin in self.pins]
        if threshold != 1:
            share = f"Fshare_{number} 0 outer_{number} Vbattery_{number} {1 - 1 / threshold!r}\n"
            circuit.raw_spice += share
        if slower != 1 and not self.time_parameter:
            raise ParameterError(
                f"neurons {self.name} of a chip differ in tau: let time_parameter in the neuron "
                "file name a parameter of its subcircuit that is a factor on tau (default 1), or "
                "use the closed form"
            )
        own_time = {self.time_parameter: slower} if slower != 1 else {}
        circuit.X(f"neuron_{number}", self.subcircuit, *nodes, **own_time)

    def spikes(self, time: np.ndarray, output: np.ndarray, start: float) -> np.ndarray:
        """Return the times in s after `start` at which the `output` (V) crosses its level."""
        sign = 1 if self.output_rises else -1
        above = sign * (output - self.output_level)
        k = np.flatnonzero((above[1:] > 0) & (above[:-1] <= 0) & (time[1:] > start))
        return time[k] + (time[k + 1] - time[k]) * -above[k] / (above[k + 1] - above[k]) - start


@dataclass(frozen=True)
class MeasuredNeuron(Parameters):
    """Neuron as `measure_neuron` found it in ngspice.

    Parameters
    ----------
    name, model, model_sha256 : str
        Its name, and the neuron file with the hash that it had.
    current, time : tuple of float
        Curve: times in s from the step of the rows to the spike, at currents in A.
    delay, time_constant, threshold_current : float
        t0, tau and I_th of the law t = t0 + tau ln(I / (I - I_th)).
    law_low, law_high : float
        Currents in A between which the law follows the curve within `FOLLOWED`.
    row_voltage, window : float
        Voltage in V of a row above its column, and longest read in s.
    rest, offset : float
        Distance in V of the column from its reference without current, and the largest while
        currents flow, at the end of reads.
    lift : float
        Relative change of t at the middle of the range if other cells conduct as much as the
        driven ones.
    repeats : bool
        True if the neuron fires again while its current lasts.
    energy, power : float
        Energy in J that its sources give from the step to a spike in the middle of the range, and
        power in W at rest.
    draws : int
        Draws of the foundry's mismatch behind the spreads; 0: they are unknown.
    threshold_spread, time_constant_spread, leak_spread : float
        Relative spreads of I_th, tau, and of the membrane's resistance, which raises tau and
        lowers I_th by the same factor.
    """

    name: str
    current: tuple[float, ...] = curve((1e-6, 2e-6), "currents of the curve in A", rising=True)
    time: tuple[float, ...] = curve((1e-6, 5e-7), "times of the curve in s")
    delay: float = quantity(0.0, -1.0, 1.0, "s", "t0")
    time_constant: float = quantity(1e-5, 1e-12, 1e3, "s", "tau")
    threshold_current: float = quantity(1e-6, 1e-15, 1e3, "A", "I_th")
    law_low: float = quantity(1e-6, 1e-15, 1e3, "A", "the law holds from here")
    law_high: float = quantity(1e-6, 1e-15, 1e3, "A", "to here")
    row_voltage: float = quantity(0.2, 1e-3, 100.0, "V", "of a row above its column")
    window: float = quantity(30e-6, 1e-6, 1.0, "s", "longest read")
    rest: float = quantity(0.0, -100.0, 100.0, "V", "column over reference without current")
    offset: float = quantity(0.0, 0.0, 100.0, "V", "largest distance from the reference")
    lift: float = quantity(0.0, -100.0, 100.0, "", "relative change of t by other cells")
    repeats: bool = False
    energy: float = quantity(0.0, -1.0, 1.0, "J", "of a read")
    power: float = quantity(0.0, -1e3, 1e3, "W", "at rest")
    model: str = ""
    model_sha256: str = ""

    draws: int = quantity(0, 0, 10**4, "", "draws of mismatch")
    threshold_spread: float = quantity(0.0, 0.0, 2.0, "", "relative spread of I_th")
    time_constant_spread: float = quantity(0.0, 0.0, 2.0, "", "relative spread of tau")
    leak_spread: float = quantity(0.0, 0.0, 2.0, "", "relative spread of the membrane's resistance")

    newer: ClassVar = (
        *("model", "model_sha256", "draws", "threshold_spread", "time_constant_spread"),
        "leak_spread",
    )

    @property
    def law(self) -> tuple[float, float, float]:
        """t0 in s, tau in s and I_th in A."""
        return self.delay, self.time_constant, self.threshold_current

    @property
    def doubts(self) -> list[str]:
        """Reasons why a network may differ from what the curve predicts."""
        doubts = []
        worst = max(abs(self.rest), self.offset)
        if worst > HELD:
            doubts.append(
                f"neuron {self.name} holds its column only within {1e3 * worst:.2g} mV, so that "
                "other cells conduct"
            )
        if abs(self.lift) > LIFT:
            doubts.append(
                f"neuron {self.name} fires {self.lift:+.1%} later if other cells conduct as much "
                "as the driven ones"
            )
        return doubts

    def warn(self) -> None:
        """Warn of the doubts, once in a process."""
        for doubt in self.doubts:
            warnings.warn(f"{doubt}: compare with ngspice", stacklevel=1)

    def spikes(
        self,
        currents: np.ndarray,
        threshold: np.ndarray | float = 1.0,
        slower: np.ndarray | float = 1.0,
    ) -> np.ndarray:
        """Return the first spikes in s (nan: silent) at the `currents` in A of columns: the law
        times the ratio of the curve to the law. This ratio hardly depends on the current.
        `threshold` and `slower`: factors on I_th and tau of each column.
        """
        at, scaled = np.array(self.current), currents / threshold
        ratio = np.interp(scaled, at, np.array(self.time) / law(at, *self.law))
        fires = scaled > self.threshold_current
        delay, tau, least = self.law
        times = ratio * law(np.where(fires, scaled, at[-1]), delay, tau * slower, least)
        return np.where(fires & (times <= self.window), times, np.nan)

    def parameters(self) -> NeuronParameters:
        """Return ideal neurons of the same tau and I_th, with which compiled trainings learn. They
        lack only the constant delay t0.
        """
        return NeuronParameters(
            feedback_resistance=1 / self.threshold_current,
            membrane_resistance=1.0,
            membrane_capacitance=self.time_constant,
            threshold=1.0,
            hysteresis=0.1,
            amplifier_gain=1e8,
            amplifier_output_resistance=1e-3,
            rail_low=-1e3,
            rail_high=1e3,
            inverting_rail_low=-1e3,
            inverting_rail_high=1e3,
        )

    def spice(self) -> NeuronModel:
        """Return the subcircuit; raise ParameterError if it has changed since the measurement."""
        if not self.model:
            raise ParameterError(f"neuron {self.name} names no neuron file, so ngspice lacks it")
        model = load_neuron_model(self.model)
        if model.sha256 != self.model_sha256:
            raise ParameterError(
                f"neuron file {self.model} has changed since it was measured: measure it again "
                f"with python -m memristive measure {self.model}"
            )
        return model


def load_neuron_model(name: str) -> NeuronModel:
    """Return the neuron of a neuron file, given its path, or one that comes with the project, given
    its name. Raises ParameterError, which names the file, for anything missing or not allowed.
    """
    path, content = preset_or_file(PRESETS, name, "neuron")
    try:
        library = path.parent / restored(str, content.pop("file", None), "file")
        text = "".join(f"{one.text}\n" for one in checked_library(library, {}))
        return restored(NeuronModel, content | {"name": path.stem, "text": text})
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None


def load_neuron(name: str | Path) -> MeasuredNeuron:
    """Return the measured neuron of a file that ``python -m memristive measure`` has written. Warns
    of its doubts.
    """
    way = f"; write one with python -m memristive measure {name}"
    try:
        content = read_json(name, "a measured neuron")
    except FileProblem as error:
        raise ParameterError(f"neuron {str(name)!r}: {error}{way}") from None
    if content.pop("format", None) != FORMAT:
        raise ParameterError(f"{name}: no measured neuron{way}")
    try:
        neuron: MeasuredNeuron = restored(MeasuredNeuron, content)
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}") from None
    neuron.warn()
    return neuron


def law(
    currents: np.ndarray, delay: float, tau: np.ndarray | float, threshold: float
) -> np.ndarray:
    """Return t0 + tau ln(I / (I - I_th)) in s."""
    return delay - tau * np.log1p(-threshold / currents)


def factors(own: NeuronValues | None, nominal: NeuronParameters) -> tuple[Any, Any]:
    """Return the factors on I_th and on tau (arrays, classes) of the `own` neurons of a chip over
    `nominal` ones; None: 1.
    """
    if own is None:
        return 1.0, 1.0
    threshold = own.threshold / nominal.threshold
    return (
        threshold * nominal.feedback_resistance / own.feedback_resistance,
        own.membrane_capacitance / nominal.membrane_capacitance,
    )


def fit_law(currents: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return t0, tau and I_th of the law, and which currents (True) it follows within `FOLLOWED`.

    Ends of the curve are left out one after the other, the worse one first, until it does.
    """
    from scipy.optimize import least_squares  # here: the import takes long

    used = np.ones(len(currents), bool)
    while True:
        amperes, seconds = currents[used], times[used]
        scale = np.array([seconds[-1], seconds[0], amperes[0]])

        def error(
            x: np.ndarray, a: np.ndarray = amperes, s: np.ndarray = seconds, k: np.ndarray = scale
        ) -> np.ndarray:
            return law(a, *(x * k)) / s - 1

        bounds = ([-1.0, 1e-3, 1e-6], [1.0, 1e3, 1 - 1e-9])
        optimum = least_squares(error, [0.1, 0.5, 0.9], bounds=bounds, xtol=1e-14, ftol=1e-14)
        if np.abs(optimum.fun).max() <= FOLLOWED or used.sum() <= 4:
            return optimum.x * scale, used
        first, last = np.flatnonzero(used)[[0, -1]]
        used[first if abs(optimum.fun[0]) > abs(optimum.fun[-1]) else last] = False


class _Bench:
    """Circuit of one neuron whose column a resistor drives, as cells do."""

    def __init__(self, model: NeuronModel, process: Process | None) -> None:
        circuit = Circuit(f"neuron {model.name}")
        model.add_to(circuit, process)
        start = model.start
        add_source(circuit, "row", [(0.0, 0.0), (start, 0.0), (start + EDGE, model.row_voltage)])
        circuit.R("drive", "row", "column", 1e12)
        circuit.R("other", "column", circuit.gnd, 1e12)  # cells of undriven rows
        model.add_neuron(circuit, 0, "column")
        self._sources = [*model.levels, *(f"{pin}_0" for pin in model.biases)]
        self._biases, self._model = [f"{pin}_0" for pin in model.biases], model
        saved = ["column", "output_0", *model.levels, *self._biases]
        saved += [f"i(v{pin})" for pin in model.levels]
        self._circuit = NgspiceSession().load(circuit, SOLVER, saved)

    def run(self, current: float, other: float = 0.0, guess: float = np.inf) -> Waveforms:
        """Return the waveforms of a read at a `current` in A, for `guess` s, or for the window if
        there is no spike before. `other`: conductance in S of other cells.
        """
        model = self._model
        self._circuit.alter(
            {
                "rdrive": min(model.row_voltage / max(current, 1e-30), 1e15),
                "rother": min(1 / max(other, 1e-30), 1e15),
            }
        )
        for stop in sorted({min(guess, model.window), model.window}):
            waves = self._circuit.run(model.start + stop)
            if len(self.spikes(waves)):
                break
        return waves

    def spikes(self, waves: Waveforms) -> np.ndarray:
        """Return the spikes of a read in s."""
        return self._model.spikes(waves.time, waves["output_0"], self._model.start)

    def power(self, waves: Waveforms) -> np.ndarray:
        """Return the power in W that the sources give, at each time point."""
        volts = {pin: waves[pin] for pin in self._model.levels}
        given = sum(-waves[f"i(v{pin})"] * volts[pin] for pin in volts)
        for pin, amperes in self._model.biases.items():
            given = given + amperes * waves[f"{pin}_0"] * (amperes > 0)
        return np.asarray(given)


@temporary_circuits()
def measure_neuron(
    model: NeuronModel,
    source: str = "",
    process: Process | None = None,
    phase: Callable[[str], object] = str,
) -> MeasuredNeuron:
    """Measure a neuron in ngspice: its column, its curve t(I) through resistors, its energy.

    A resistor of row_voltage / I drives the column, and not a current source, because cells lose
    current while the column overshoots.

    Parameters
    ----------
    model : NeuronModel
    source : str
        Neuron file, by which the measured neuron finds its subcircuit.
    process : Process, optional
        Conditions of a foundry's transistors; None: typical, 27 C.
    phase : callable
        Called with the name of each phase.

    Raises
    ------
    ParameterError
        The neuron fires without current, never fires, oscillates, or its output has the other
        polarity.
    SimulationError
        ngspice cannot simulate the neuron.
    """
    bench = _Bench(model, process)
    phase("rest")
    rest = bench.run(0.0)
    _check_rest(model, bench, rest)
    phase("curve")
    currents = np.geomspace(model.highest_current, model.lowest_current, POINTS)
    times, ends = [], []
    guess = model.window / 10
    for current in currents:
        waves = bench.run(float(current), guess=guess)
        spikes = bench.spikes(waves)
        if not len(spikes):
            break
        times.append(spikes[0])
        guess = 2 * spikes[0]
        ends.append(float(np.interp(model.start + spikes[0], waves.time, waves["column"])))
    if len(times) < 4:
        output = bench.run(model.highest_current)["output_0"]
        raise ParameterError(
            f"{model.name} never fires, or only at {len(times)} of {POINTS} currents, up to "
            f"{model.highest_current:g} A within {model.window:g} s: its output goes from "
            f"{output.min():.3g} to {output.max():.3g} V and must cross {model.output_level:g} V; "
            "raise highest_current or window, or set output_level"
        )
    amperes, seconds = currents[: len(times)][::-1], np.array(times)[::-1]
    rising = np.flatnonzero(np.diff(seconds) >= 0)
    if len(rising):
        at = amperes[rising[-1] + 1]
        raise ParameterError(
            f"{model.name} is no faster at {at:.3g} A than below: lower highest_current"
        )
    phase("other cells")
    (delay, tau, threshold), used = fit_law(amperes, seconds)
    middle = float(np.sqrt(amperes[used][0] * amperes[used][-1]))
    waves = bench.run(middle, guess=guess)
    loaded = bench.run(middle, middle / model.row_voltage, guess)
    alone, shifted = bench.spikes(waves)[0], bench.spikes(loaded)
    lift = float(shifted[0] / alone - 1) if len(shifted) else 10.0
    begin = np.searchsorted(waves.time, model.start)
    end = np.searchsorted(waves.time, model.start + alone)
    quiet = rest.time > rest.time[-1] - model.window / 10
    return MeasuredNeuron(
        model.name,
        tuple(map(float, amperes)),
        tuple(map(float, seconds)),
        float(delay),
        float(tau),
        float(threshold),
        float(amperes[used][0]),
        float(amperes[used][-1]),
        model.row_voltage,
        model.window,
        float(rest["column"][-1]),
        float(np.abs(ends).max()),
        lift,
        len(bench.spikes(bench.run(model.highest_current, guess=5 * seconds[-1]))) > 1,
        float(np.trapezoid(bench.power(waves)[begin:end], waves.time[begin:end])),
        float(bench.power(rest)[quiet].mean()),
        source or model.name,
        model.sha256,
    )


def with_spreads(
    neuron: MeasuredNeuron,
    model: NeuronModel,
    process: Process,
    draws: int,
    phase: Callable[[str], object] = str,
) -> MeasuredNeuron:
    """Return `neuron` with its spreads over `draws` neurons whose transistors differ.

    The membrane's resistance takes the share of the spreads of I_th and tau with opposite signs.

    Raises
    ------
    ParameterError
        The foundry's models know no mismatch, or a drawn neuron does not fire.
    """
    currents = np.array(DRAWN) * neuron.threshold_current
    laws = []
    for seed in range(1, draws + 1):
        phase("mismatch")
        with temporary_circuits():
            bench = _Bench(model, process.replace(mismatch=seed))
            spikes = [bench.spikes(bench.run(float(current))) for current in currents]
        if not all(len(times) for times in spikes):
            raise ParameterError(
                f"{model.name} is silent at {DRAWN[0]:g} I_th or more on chip {seed} within "
                f"{model.window:g} s: raise window"
            )
        laws.append(fit_law(currents, np.array([times[0] for times in spikes]))[0][1:])
    (tau, both), (_, threshold) = np.cov(np.log(laws).T)
    leak = min(max(-both, 0.0), tau, threshold)
    spreads = np.sqrt(np.expm1([threshold - leak, tau - leak, leak]))
    return dataclasses.replace(
        neuron,
        draws=draws,
        threshold_spread=float(spreads[0]),
        time_constant_spread=float(spreads[1]),
        leak_spread=float(spreads[2]),
    )


def _check_rest(model: NeuronModel, bench: _Bench, rest: Waveforms) -> None:
    """Raise ParameterError unless a neuron without current is quiet."""
    after = rest.time > model.start - model.reset_time / 2
    fired = bench.spikes(rest)
    if len(fired) > 1:
        raise ParameterError(
            f"{model.name} oscillates without current: it fires {len(fired)} times in "
            f"{model.window:g} s"
        )
    sign = 1 if model.output_rises else -1
    output = rest["output_0"][after]
    if sign * (output[0] - model.output_level) > 0:
        raise ParameterError(
            f"{model.name} has the other polarity, or its reset fails: at rest its output is "
            f"{output[0]:.3g} V, beyond output_level {model.output_level:g} V; set output_rises "
            f"to {str(not model.output_rises).lower()}, or exchange reset_level and reset_idle"
        )
    if len(fired):
        raise ParameterError(
            f"{model.name} fires without current, {fired[0]:.3g} s after its reset: give its "
            "membrane a leak, or a shorter window"
        )
    column = rest["column"][rest.time > rest.time[-1] - model.window / 10]
    if np.ptp(column) > HELD:
        raise ParameterError(
            f"{model.name} oscillates: its column swings by {1e3 * np.ptp(column):.2g} mV at rest"
        )
