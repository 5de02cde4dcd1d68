"""A session with ngspice as a library, through PySpice: load a circuit once, then alter, run and
read it as often as needed.

Circuits stay loaded between runs, and waveforms are NumPy arrays. Ctrl-C stops a run. Every failure
of ngspice raises an exception that quotes ngspice's message. The first functions of this module
write the text of netlists and of ngspice's commands.
"""

import contextlib
import dataclasses
import functools
import math
import re
import shlex
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from memristive.parameters import ParameterError, Parameters, SimulationError, Values, quantity
from memristive.spice.ngspice import LOOK, Ngspice, start_ngspice
from memristive.spice.pyspice import Circuit

# A run stalls if it needs `LOOK` time points, and this number more for each word of the netlist,
# for one longest step. Usual are 1 to 30, and about 10 for each corner of a source.
POINTS_PER_WORD = 10
# ngspice's own longest step, as a share of a run
SHARE = 1 / 50
DIFFERENCE = re.compile(r"v\(\s*([^\s,()]+)\s*,\s*([^\s,()]+)\s*\)")
FUNCTION = re.compile(r"([vi])\(\s*([^\s,()]+)\s*\)")
ELEMENT = re.compile(r"@?([^\s\[\]=;,@<>$`&\"\\]+)(?:\[\s*(\w+)\s*\]|\s+(\w+))?")


@dataclass(frozen=True)
class Solver(Parameters):
    """Tolerances, integration method and longest step of ngspice's transient analysis.

    The longest step must resolve the circuit's sources; the default suits networks with pulses of
    milliseconds.
    """

    max_step: float = quantity(20e-6, 1e-15, 1.0, "s", "longest time step")
    reltol: float = quantity(1e-5, 1e-12, 1e-2, "", "relative tolerance of voltages and currents")
    trtol: float = quantity(70.0, 1e-3, 1e7, "", "factor on the allowed truncation error of a step")
    chgtol: float = quantity(
        1e-14, 1e-20, 1.0, "C", "charges below this do not govern the time step"
    )
    abstol: float = quantity(
        1e-13, 1e-20, 1e-3, "A", "lower limit of the absolute current tolerance"
    )
    method: Literal["trap", "gear"] = "trap"

    def tightened(self, factor: float = 10.0) -> "Solver":
        """Return this solver with step and tolerances (except `abstol`) divided by `factor`, for
        convergence checks.
        """
        return dataclasses.replace(
            self,
            max_step=self.max_step / factor,
            reltol=self.reltol / factor,
            trtol=self.trtol / factor,
            chgtol=self.chgtol / factor,
        )

    def options(self) -> str:
        """Return the netlist's .options line. Below a `reltol` of 1e-5, ngspice's absolute
        tolerances shrink in proportion.
        """
        scale = min(1, 100 * self.reltol / 1e-3)
        return (
            f".options method={self.method} reltol={self.reltol:g} trtol={self.trtol:g} "
            f"chgtol={self.chgtol:g} vntol={1e-6 * scale:g} "
            f"abstol={max(self.abstol, 1e-12 * scale):g}"
        )


def netlist_text(
    circuit: Circuit | str,
    solver: Solver,
    stop: float = 0.0,
    save: Sequence[str] = (),
    print_nodes: Sequence[str] = (),
    comments: Sequence[str] = (),
    measurements: Sequence[str] = (),
) -> str:
    """Return the text of a circuit's netlist with options and saved vectors.

    Parameters
    ----------
    circuit : PySpice circuit or str
    solver : Solver
    stop : float
        End of the transient in s.
    save : sequence of str
        Vectors to keep, e.g. "out", "V(out)", "i(vsupply)". If empty, all nodes are kept.
    print_nodes : sequence of str
        Adds .tran and .print lines for these nodes, so that `ngspice -b` runs the netlist
        unchanged.
    comments : sequence of str
        Lines of explanation under the title. Adds lines on the use of the netlist, and commands
        that write a table.
    measurements : sequence of str
        Statements for ``.measure``, whose results ``ngspice -b`` prints before the waveforms.

    Raises
    ------
    ParameterError
        `circuit` is neither a circuit nor the text of a netlist.
    """
    text = str(circuit)
    if isinstance(circuit, Circuit):
        body = text.removeprefix(f".title {circuit.title}").lstrip("\r\n")
        text = f".title {one_line(circuit.title)}\n{body}"
    lines = text.splitlines()
    if len(lines) < 2:
        raise ParameterError(
            f"circuit must be a PySpice circuit or the text of a netlist, got {circuit!r:.80}"
        )
    if lines[-1].strip().lower() == ".end":
        lines.pop()
    if comments:
        usage = [
            "ngspice -b FILE prints the waveforms; ngspice -b -r run.raw FILE saves them, and "
            "`load run.raw` in ngspice",
            "shows them with `plot`. For a table with a row for each time point, remove the "
            "asterisks of the last lines:",
            "ngspice -b FILE then writes table.txt.",
        ]
        lines[1:1] = [f"* {one_line(comment)}" for comment in [*comments, *usage]]
    lines.append(solver.options())
    vectors = [part for name in save for part in _saved(name)]
    lines += [f".save {' '.join(vectors[k : k + 20])}" for k in range(0, len(vectors), 20)]
    if print_nodes:
        lines += [
            f".{tran_command(text, solver, stop)}",
            f".print tran {' '.join(print_nodes)}",
            *(f".measure {measurement}" for measurement in measurements),
        ]
    if comments and print_nodes:
        wrdata = f"wrdata table.txt {' '.join(print_nodes)}"
        lines += [
            f"* {line}"
            for line in (
                ".control",
                "set wr_singlescale wr_vecnames",
                "run",
                wrdata,
                "quit 0",
                ".endc",
            )
        ]
    return "\n".join([*lines, ".end", ""])


def one_line(text: object) -> str:
    """Return a text for a title or a comment of a netlist, with spaces in the place of characters
    that cannot be printed.

    ngspice executes commands that it finds in a netlist, and a line break would end the comment.
    So every name from outside enters a netlist here: classes, samples, devices, files.
    """
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def _saved(name: str) -> Iterable[str]:
    pair = DIFFERENCE.fullmatch(name.lower())
    return (f"v({pair[1]})", f"v({pair[2]})") if pair else (name,)


def tran_command(text: str, solver: Solver, stop: float) -> str:
    """Return ngspice's command for a transient of the netlist `text` to `stop` s, from the given
    initial conditions.

    If a PULSE source gives no edge, ngspice takes the print step of this command as the edge.
    Otherwise the print step only adds a time point.
    """
    step = min(solver.max_step, stop) if re.search(r"\bpulse\s*\(", text, re.IGNORECASE) else stop
    return f"tran {float(step)!r} {float(stop)!r} 0 {float(solver.max_step)!r} uic"


@functools.lru_cache(maxsize=100_000)
def vector_name(name: str) -> str:
    """Return ngspice's name of a saved vector: "out" for "V(out)", "vsupply#branch" for
    "i(Vsupply)".
    """
    match = FUNCTION.fullmatch(name.strip().lower())
    if not match:
        return name.strip().lower()
    return f"{match[2]}#branch" if match[1] == "i" else match[2]


@functools.lru_cache(maxsize=100_000)
def alter_command(name: str) -> str:
    """Return the `alter` command, without a value, for a name such as "Vin" (element) or "Vin pwl"
    (element parameter). Raises ParameterError for any other form.
    """
    match = ELEMENT.fullmatch(name.strip().lower())
    if not match:
        raise ParameterError(
            f'{name!r} cannot be altered: expected "element" or "element parameter"'
        )
    return " ".join(["alter", *filter(None, match.groups())])


def value_text(name: str, value: Any) -> str:
    """Return a finite number or a list of them in ngspice's notation; raise ParameterError for
    anything else.
    """
    # the common case, hundreds of times for each image
    if isinstance(value, float) and math.isfinite(value):
        return repr(float(value))
    try:
        numbers = [float(v) for v in value] if np.ndim(value) else [float(value)]
    except (TypeError, ValueError):
        numbers = []
    if not numbers or not np.isfinite(numbers).all():
        raise ParameterError(f"{name} must be a finite number or a list of them, got {value!r}")
    return f"[ {' '.join(map(repr, numbers))} ]" if np.ndim(value) else repr(numbers[0])


def named_classes(labels: Sequence[object], classes: int) -> str:
    """Return the classes as text for a comment: "0 = X, 1 = +", or without labels "classes 0 to
    1".
    """
    return (
        ", ".join(f"{k} = {label}" for k, label in enumerate(labels))
        or f"classes 0 to {classes - 1}"
    )


class Waveforms:
    """Vectors of a transient, one value for each time point; `time` holds the time points in s.

    `waves["out"]` or `waves["V(out)"]` is the voltage of a node in V, `waves["v(a,b)"]` the voltage
    between two nodes in V, and `waves["i(vin)"]` the current of a source in A.
    """

    def __init__(self, plot: Values) -> None:
        self._plot = plot
        self.time = self["time"]

    def __getitem__(self, name: str) -> np.ndarray:
        pair = DIFFERENCE.fullmatch(name.strip().lower())
        if pair:
            plus, minus = (0.0 if node in ("0", "gnd") else self[node] for node in pair.groups())
            return np.asarray(plus - minus)
        key = vector_name(name)
        # ngspice's name of a node called "2"
        vector = self._plot.get(key, self._plot.get(f"V({key})"))
        if vector is None:
            raise SimulationError(f"ngspice saved no vector {name!r}, only {', '.join(self._plot)}")
        return np.array(vector.to_waveform().view(np.ndarray))

    def stack(self, names: Iterable[str]) -> np.ndarray:
        """Return the vectors `names` as one array, vectors x points."""
        return np.array([self[name] for name in names])


# wraps the iterator over parts of a run, for a progress bar
Watch = Callable[[Iterator[Waveforms]], Iterable[Waveforms]]


class LoadedCircuit:
    """One circuit kept in ngspice, made by `NgspiceSession.load`."""

    def __init__(self, ngspice: Ngspice, text: str, solver: Solver) -> None:
        self._ngspice, self.text, self.solver = ngspice, text, solver
        # alter command -> value, in the order last sent
        self._sent: dict[str, str] = {}
        # last changes of each element ("vin" and "vin dc" are one value)
        self._last: dict[str, list[tuple[str, str]]] = {}
        try:
            ngspice.load(self, text)
        except SimulationError as error:
            raise self._failure("refused the netlist", "op", error) from None

    def unload(self) -> None:
        """Remove the circuit from ngspice and free its memory."""
        self._ngspice.unload(self)

    def _select(self) -> None:
        """Direct ngspice's commands at this circuit. Load it again if it was unloaded to make room
        for others.
        """
        if self in self._ngspice.aside:
            self._ngspice.load(self, self.text)
            self._ngspice.send([f"{command} = {value}" for command, value in self._sent.items()])
        self._ngspice.select(self)

    def alter(self, changes: Values) -> None:
        """Change element values for all later runs. Elements that already have these values are
        skipped.

        Parameters
        ----------
        changes : mapping
            Names, "element" or "element parameter", with a number or a list of numbers each, for
            example ``{"vinput_3 pwl": [0, 0, 1e-6, 1], "m.xcell.mchannel w": 2e-6, "rload": 2e3}``.

        Raises
        ------
        ParameterError
            A value is not a finite number or a list of them.
        SimulationError
            ngspice refuses a change.
        """
        wanted: dict[str, list[tuple[str, str]]] = {}
        for name, value in changes.items():
            command = alter_command(name)
            wanted.setdefault(command.split()[1], []).append((command, value_text(name, value)))
        fresh = {
            element: group for element, group in wanted.items() if self._last.get(element) != group
        }
        self._select()
        try:
            self._ngspice.send(
                [f"{command} = {value}" for group in fresh.values() for command, value in group]
            )
        except SimulationError as error:
            failure = self._failure(f"refused one of {', '.join(fresh)}", "op", error)
            self._last.clear()  # unknown which of them ngspice has taken
            raise failure from None
        self._last.update(fresh)
        for command, value in (change for group in fresh.values() for change in group):
            self._sent.pop(command, None)
            self._sent[command] = value

    @overload
    def run(self, stop: float, pauses: None = None) -> Waveforms: ...

    @overload
    def run(self, stop: float, pauses: Iterable[float]) -> Iterator[Waveforms]: ...

    def run(
        self, stop: float, pauses: Iterable[float] | None = None
    ) -> Waveforms | Iterator[Waveforms]:
        """Run a transient from the initial conditions at t = 0 to `stop` s.

        Parameters
        ----------
        stop : float
            End of the transient in s.
        pauses : iterable of float, optional
            Times in s, in ascending order. The circuit may be altered at a pause.

        Returns
        -------
        Waveforms, or with `pauses` an iterator
            The iterator yields the waveforms so far at each pause and at the end.

        Raises
        ------
        SimulationError
            ngspice stops before `stop`, or its steps become so short that it would not end.
        """
        runs = self._transient(float(stop), () if pauses is None else tuple(map(float, pauses)))
        if pauses is not None:
            return runs
        with contextlib.closing(runs):
            return next(runs)

    def _transient(self, stop: float, pauses: Sequence[float]) -> Generator[Waveforms, None, None]:
        ngspice, run = self._ngspice, object()
        command = tran_command(self.text, self.solver, stop)
        self._select()
        ngspice.free(ngspice.results_of)
        ngspice.results_of = run
        waves: Waveforms | None = None
        points, end = LOOK, stop * (1 - 1e-9)
        try:
            # A step that passes a pause and the end leaves nothing to resume: no pause in the last
            # step.
            for pause in [*(time for time in pauses if time < stop - self.solver.max_step), stop]:
                if ngspice.results_of is not run:
                    raise SimulationError("a paused run cannot go on once another one has begun")
                while waves is None or pause >= waves.time[-1]:
                    ngspice.select(self)
                    try:
                        ngspice.run(command, pause if pause < stop else None, points)
                        waves = self._waveforms()
                    except SimulationError as error:
                        raise self._stopped(self._reached(), stop, error) from None
                    command = "resume"
                    if len(waves.time) < points or waves.time[-1] >= end:
                        break
                    self._check_progress(waves.time, stop)
                    points += LOOK
                if pause == stop and waves.time[-1] < end:
                    raise self._stopped(waves.time[-1], stop, "no reason given")
                yield waves
        finally:
            ngspice.free(run)

    def _check_progress(self, time: np.ndarray, stop: float) -> None:
        """Raise SimulationError if too many of the points `time` (s) lie within one longest step
        before the last one.
        """
        step = min(self.solver.max_step, SHARE * stop)
        near = len(time) - int(np.searchsorted(time, time[-1] - step))
        words = sum(len(text.split()) for text in [self.text, *self._sent.values()])
        if near > LOOK + POINTS_PER_WORD * words:
            raise self._stopped(
                float(time[-1]),
                stop,
                f"its last {near} time points advance by less than the longest step, {step:g} s; "
                "choose larger tolerances (abstol, reltol), or smooth the circuit's functions",
            )

    def _waveforms(self) -> Waveforms:
        name = self._ngspice.last_plot
        if not name.startswith("tran"):
            raise SimulationError("it computed nothing")
        return Waveforms(self._ngspice.plot(None, name))

    def _reached(self) -> float:
        with contextlib.suppress(SimulationError, IndexError):
            return float(self._waveforms().time[-1])
        return 0.0

    def _stopped(self, time: float, stop: float, words: object) -> SimulationError:
        """Return the error of a transient to `stop` s that ended at `time` s."""
        title = self.text.partition("\n")[0].removeprefix(".title").strip()
        command = tran_command(self.text, self.solver, stop)
        return self._failure(f"stopped at {time:g} s of {stop:g} s in {title!r}", command, words)

    def _failure(self, what: str, command: str, words: object) -> SimulationError:
        """Return the error that quotes ngspice and names the saved netlist with all changes and the
        analysis.
        """
        changes = [f"{alter} = {value}" for alter, value in self._sent.items()]
        block = "\n".join([".control", *changes, command, ".endc", ".end", ""])
        with tempfile.NamedTemporaryFile(
            "w", prefix="failed_", suffix=".cir", delete=False
        ) as file:
            file.write(re.sub(r"\.end\s*$", block, self.text))
        return SimulationError(
            f"ngspice {what}: {words}. Netlist to rerun with ngspice -b: {shlex.quote(file.name)}"
        )


class NgspiceSession:
    """ngspice in this process, driven through PySpice. Every session is a view of the same ngspice.

    Raises
    ------
    NgspiceMissing
        There is no usable ngspice.
    SimulationError
        PySpice's own simulator uses ngspice in this process.
    """

    def __init__(self) -> None:
        self._ngspice = start_ngspice()

    @property
    def version(self) -> int:
        """Version number of ngspice."""
        return int(self._ngspice.ngspice_version)

    def load(self, circuit: Circuit | str, solver: Solver, save: Sequence[str]) -> LoadedCircuit:
        """Load a circuit, which stays in ngspice, and return it as a `LoadedCircuit`.

        Parameters
        ----------
        circuit : PySpice circuit or str
        solver : Solver
        save : sequence of str
            Vectors to keep of its runs: "out", "V(out)", "i(vsupply)". If empty, all nodes are
            kept.

        Raises
        ------
        SimulationError
            ngspice refuses the netlist.
        """
        text = netlist_text(circuit, solver, save=save)
        slower, faster = getattr(circuit, "faster", ("", ""))  # statements with the same meaning
        return LoadedCircuit(
            self._ngspice, text.replace(slower, faster, 1) if faster else text, solver
        )


def run_once(
    circuit: Circuit | str,
    solver: Solver,
    save: Sequence[str],
    stop: float,
    changes: Values | None = None,
    pauses: Iterable[float] = (),
    watch: Watch = lambda steps: steps,
) -> Waveforms:
    """Return the waveforms of one transient of a circuit, which is unloaded afterwards, also after
    an error.

    Parameters
    ----------
    circuit, solver, save
        As for `NgspiceSession.load`.
    stop : float
        End of the transient in s.
    changes : mapping, optional
        Changes before the run, as for `LoadedCircuit.alter`.
    pauses : iterable of float
        Times in s at which `watch` counts a step.
    watch : callable
        Wraps the iterator over the parts of the transient, e.g. with a progress bar.

    Raises
    ------
    SimulationError
        ngspice refuses the netlist or a change, or stops before `stop`.
    """
    loaded = NgspiceSession().load(circuit, solver, save)
    try:
        if changes:
            loaded.alter(changes)
        return deque(watch(loaded.run(stop, pauses)), maxlen=1).pop()
    finally:
        loaded.unload()


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let each run within the block end with SimulationError if it takes longer than `seconds` of
    processor time.
    """
    ngspice = start_ngspice()
    ngspice.limit = seconds
    try:
        yield
    finally:
        ngspice.limit = None


@contextlib.contextmanager
def temporary_circuits() -> Iterator[None]:
    """Unload, at the end of the block, all circuits that were loaded within it."""
    ngspice = start_ngspice()
    before = list(ngspice.circuits)
    try:
        yield
    finally:
        if not ngspice.end:
            for circuit in [circuit for circuit in ngspice.circuits if circuit not in before]:
                ngspice.unload(circuit)
