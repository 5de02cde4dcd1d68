"""ngspice as a library, through PySpice: load a circuit once, then alter, run and read it for ever.

`spice/` can be lifted out: it needs nothing else of this project. It keeps circuits loaded between runs, changes sources
and initial conditions with `alter`, reads waveforms as NumPy arrays, frees every run's memory, stops at Ctrl-C, and turns
each way in which ngspice fails into one exception.
"""

import contextlib
import math
import numbers
import weakref
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from spice.circuits import Netlist, failure
from spice.engine import Engine, shared_engine
from spice.errors import NgspiceMissing, SimulationError
from spice.library import find_library
from spice.netlist import (
    Solver,
    altered_name,
    altered_shapes,
    alters_own_value,
    netlist_text,
    own_unit,
    positive,
    swept_values,
    too_coarse,
    tran_command,
    unalterable,
    value_text,
)
from spice.parameters import ParameterError, check_unit, plain, unit_of
from spice.waveforms import OperatingPoint, Spectrum, Sweep, Waveforms
from spice.words import say_once

__all__ = ["LoadedCircuit", "NgspiceMissing", "NgspiceSession", "SimulationError", "Solver", "Waveforms", "find_library",
           "netlist_text"]

ABSOLUTE_ZERO = -273.15  # degrees Celsius
VARIATIONS = ("dec", "oct", "lin")


def _times(pauses: Iterable[float]) -> list[float]:
    try:
        pauses = list(pauses)
        for pause in pauses:
            check_unit("pauses", pause, "s")
        times = [plain(pause) for pause in pauses]
    except TypeError:
        times = [math.nan]
    known = all(isinstance(time, numbers.Real) and not isinstance(time, bool) and 0 <= float(time) < math.inf for time in times)
    if not known or times != sorted(times):
        raise ParameterError(f"pauses must be a list of times in s, in their order, got {pauses!r}")
    return [float(time) for time in times]


class LoadedCircuit:
    """One circuit kept in ngspice. Made by `NgspiceSession.load`."""

    def __init__(self, engine: Engine, text: str, solver: Solver) -> None:
        self._engine, self._netlist = engine, Netlist(text, weakref.ref(self))
        self.solver = solver
        self._known: dict[str, str] = {}  # element: the command that altered it last
        engine.load(self._netlist)

    def __reduce__(self) -> Any:
        raise TypeError("a loaded circuit belongs to the ngspice of its process and cannot be copied or sent to another: load it "
                        "in the function that the worker runs")

    @property
    def text(self) -> str:
        """The netlist as it was loaded."""
        return self._netlist.text

    def unload(self) -> None:
        """Remove the circuit from ngspice and free its memory."""
        self._engine.unload(self._netlist)

    def alter(self, changes: Mapping[str, Any]) -> None:
        """Change element values for all that is yet to come, also of a run that is paused: `changes` maps "element" or "element
        parameter" to a number or list.

        For example {"vinput_3 pwl": [0, 0, 1e-6, 1], "m.xamplifier.m1 w": 2e-6, "Rload": 2@u_kOhm}. What has not changed
        is not sent. The number of a source is its DC value: a waveform (PULSE, SIN) hides it from transients, as in all of SPICE;
        "V1 pwl" [0, 5] gives another. Raises ParameterError for what is no number, SimulationError for what ngspice refuses.
        """
        if not isinstance(changes, Mapping):
            raise ParameterError(f"changes must map names of elements to values, got {changes!r}")
        fresh: dict[str, str] = {}
        known, before, sent = dict[str, str](), self._known, self._netlist.sent
        for name, value in changes.items():
            element, command = altered_name(name)
            text = value_text(name, value, own_unit(element) if alters_own_value(command) else "")
            if trouble := unalterable(element, command, text):
                raise ParameterError(f"{name} {trouble}, got {value!r}")
            # Two names of one value ("vin", "vin dc") are told from two values by nobody: what an element had is forgotten
            # as soon as anything else of it is altered.
            last = known.get(element)
            if (last or before.get(element)) != command or (fresh if last else sent).get(command) != text:
                fresh.pop(command, None)
                fresh[command] = text
            known[element] = command
        self._known = {}  # until ngspice has taken them all, nobody knows what it has
        self._engine.set(self._netlist, fresh)
        self._known = before | known

    def set_temperature(self, celsius: float) -> None:
        """Set the circuit's temperature in degrees Celsius (27 by default), or as 300@u_K, for the runs to come.

        Raises ParameterError.
        """
        if unit_of(celsius) == "K":
            celsius = float(celsius) + ABSOLUTE_ZERO
        text = value_text("temperature", celsius, "degrees Celsius")
        if text.startswith("[") or not float(celsius) > ABSOLUTE_ZERO:
            raise ParameterError(f"temperature must be above {ABSOLUTE_ZERO} degrees Celsius, got {celsius!r}")
        self._engine.set(self._netlist, {"option temp": text})

    @overload
    def run(self, stop: float, pauses: None = None, uic: bool = True) -> Waveforms: ...

    @overload
    def run(self, stop: float, pauses: Iterable[float], uic: bool = True) -> Iterator[Waveforms]: ...

    def run(self, stop: float, pauses: Iterable[float] | None = None, uic: bool = True) -> Waveforms | Iterator[Waveforms]:
        """Run a transient from t = 0 to `stop` s; return its `Waveforms`.

        It starts from the initial conditions as given (`uic`), or from the operating point. `pauses` are times in s, in their
        order, at which the run may be looked at: with them, the return value is an iterator that yields the waveforms so far at
        each pause and at the end; a pause within the solver's longest step of `stop` is reached with the end, a later one never.
        What is altered meanwhile acts as if it went to its new value within the step that follows (`Solver.max_step`), not at
        once. Closing it early ends the run there, but ngspice 44 never frees 2 kB of such a run: thousands of runs are better
        given a shorter `stop`. Edges of PULSE sources that are not given last a thousandth of the pulse (`netlist.print_step`).
        Raises SimulationError if ngspice stops before `stop`.
        """
        runs = self._transient(positive("stop", stop, "s"), _times(() if pauses is None else pauses), uic)
        if pauses is not None:
            return runs
        with contextlib.closing(runs):  # left to the garbage collector, what its end raises would be lost
            return next(runs)

    def op(self) -> OperatingPoint:
        """The operating point."""
        return OperatingPoint(self._analysis("op"))

    def dc(self, source: str, start: float, stop: float, step: float) -> Sweep:
        """Operating points for values of `source` (a voltage or current source or a resistor; "temp" for the temperature in
        degrees Celsius) from `start` to `stop` by `step`.
        """
        element = altered_name(source)[0]
        return Sweep(self._analysis(f"dc {element} {swept_values(start, stop, step, own_unit(element))}"))

    def ac(self, start: float, stop: float, points: int = 10, variation: str = "dec") -> Spectrum:
        """Small signals about the operating point, driven by the sources' AC values, from `start` to `stop` Hz:
        `points` a decade ("dec"), an octave ("oct"), or in all ("lin").
        """
        first, last = positive("start", start, "Hz"), positive("stop", stop, "Hz")
        if not isinstance(points, numbers.Integral) or isinstance(points, bool) or points < 1:
            raise ParameterError(f"points must be a whole number above 0, got {points!r}")
        if first > last:
            raise ParameterError(f"start must not be above stop, got {first:g} Hz and {last:g} Hz")
        kind = str(variation).lower()
        if kind not in VARIATIONS:
            raise ParameterError(f"variation must be one of {', '.join(VARIATIONS)}, got {variation!r}")
        if kind == "lin" and points == 2 and first < last:
            raise ParameterError("points must be 1, or 3 and more, of a lin variation: of two ngspice gives the first alone")
        return Spectrum(self._analysis(f"ac {kind} {points} {first!r} {last!r}"))

    def netlist_with_changes(self, stop: float) -> str:
        """The netlist with all changes so far, to rerun a transient by hand."""
        return self._netlist.with_changes(tran_command(self.text, self.solver, stop, True, altered_shapes(self._netlist.sent)))

    def _analysis(self, command: str) -> Any:
        run = object()
        self._engine.begin(run, self._netlist, command)
        try:
            try:
                self._engine.advance(self._netlist, command, command, lambda: f"refused {command!r}")
            except BaseException:
                if command.startswith("dc"):  # what it sweeps stays where it was left
                    self._engine.restore(self._netlist)
                raise
            results = self._engine.results(command.split()[0])
            if not results:
                raise failure(f"computed nothing for {command!r}", self._netlist, command, "")
            return results
        finally:
            self._engine.end(run)

    def _transient(self, stop: float, pauses: Sequence[float], uic: bool) -> Generator[Waveforms, None, None]:
        altered = altered_shapes(self._netlist.sent)
        run, whole, reached = object(), tran_command(self.text, self.solver, stop, uic, altered), -1.0
        command, coarse = whole, too_coarse(self._netlist.whole, self.solver.max_step, altered)
        if coarse:
            say_once(f"Warning: {coarse}")

        def advance() -> None:
            self._engine.advance(self._netlist, command, whole, lambda: f"stopped at {self._reached():g} s of {stop:g} s")
        self._engine.begin(run, self._netlist, command)
        try:
            for pause in [*(p for p in pauses if p < stop), stop]:
                self._engine.check(run)
                # A step that passes a pause and the end leaves ngspice nothing to resume, and stops the next run at its start.
                to_the_end = pause >= stop - self.solver.max_step
                if to_the_end:
                    if not reached >= stop * (1 - 1e-9):
                        advance()
                elif pause >= reached:
                    self._engine.pause_at(self._netlist, f"time > {pause!r}", advance)
                    command = "resume"
                waveforms = Waveforms(self._engine.results("tran"))
                reached = float(waveforms.time[-1]) if len(waveforms.time) else 0.0
                if to_the_end and not reached >= stop * (1 - 1e-9):
                    raise failure(f"stopped at {reached:g} s of {stop:g} s", self._netlist, whole, "")
                yield waveforms
        finally:
            self._engine.end(run)

    def _reached(self) -> float:
        results = self._engine.results("tran")
        return float(max(Waveforms(results).time, default=0.0)) if results else 0.0


class NgspiceSession:
    """ngspice in this process, driven through PySpice. Raises NgspiceMissing.

    There is one ngspice in a process: every session is a view of it, and circuits of all sessions are kept apart. It belongs
    to the thread that uses it: as long as that lives, use from another one raises SimulationError.
    """

    def __init__(self) -> None:
        self._engine = shared_engine()

    def __reduce__(self) -> Any:
        raise TypeError("a session belongs to its process and cannot be copied or sent to another: make one in the function that "
                        "the worker runs")

    @property
    def version(self) -> int:
        """Version number of the ngspice in use."""
        return int(self._engine.ngspice.ngspice_version)

    def load(self, circuit: Any, solver: Solver, save: Sequence[str]) -> LoadedCircuit:
        """Load a PySpice `circuit`, keeping the vectors `save` of its runs ("out", "V(out)", "i(Vsupply)"); none: all nodes.

        Raises SimulationError if ngspice refuses it, ParameterError for what is no circuit or no name.
        """
        if not isinstance(solver, Solver):
            raise ParameterError(f"solver must be a Solver, as in Solver(max_step=1e-6), got {solver!r:.80}")
        names = [save] if isinstance(save, str) else list(save) if isinstance(save, Iterable) else [None]
        if not all(isinstance(name, str) for name in names):
            raise ParameterError(f"save must be names of vectors, got {save!r}")
        return LoadedCircuit(self._engine, netlist_text(circuit, solver, 0, names), solver)

    def unload(self, circuit: LoadedCircuit) -> None:
        """Remove a loaded circuit and free its memory."""
        circuit.unload()
