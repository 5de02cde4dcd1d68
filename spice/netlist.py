"""Netlists as text: how a transient is integrated, what ngspice is sent, the names of what it saves."""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spice.circuit_text import text_of
from spice.deck import whole_lines
from spice.parameters import ParameterError, Parameters, check_unit, plain, quantity

METHODS = ("trap", "gear")


@dataclass(frozen=True)
class Solver(Parameters):
    """How a transient is integrated: ngspice's tolerances, method and longest step.

    The step is to resolve what the circuit's sources do: the usual one is that of networks with pulses of milliseconds.
    """

    max_step: float = quantity(20e-6, 1e-15, 1.0, "s", "longest time step")
    reltol: float = quantity(1e-5, 1e-12, 1e-2, "", "relative tolerance of voltages and currents")
    trtol: float = quantity(70.0, 0.1, 1e7, "", "factor on the truncation error that a step may make")
    chgtol: float = quantity(1e-14, 1e-20, 1.0, "C", "charges below this do not govern the time step")
    abstol: float = quantity(1e-13, 1e-20, 1e-3, "A", "currents are solved no further than this")
    method: str = "trap"

    def check(self) -> None:
        """Raise ParameterError for a method that ngspice does not have."""
        if self.method not in METHODS:
            raise ParameterError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")

    def tightened(self, factor: float = 10.0) -> "Solver":
        """The same solver with the step and every tolerance but `abstol` divided by `factor`, for convergence checks."""
        return dataclasses.replace(self, max_step=self.max_step / factor, reltol=self.reltol / factor,
                                   trtol=self.trtol / factor, chgtol=self.chgtol / factor)

    def options(self) -> str:
        """The netlist's .options line; absolute tolerances follow reltol from ngspice's defaults at 1e-3.

        Currents no further than `abstol`: below it the rounding of a gate's charge over a short step keeps Newton from its end.
        """
        scale = min(1, 100 * self.reltol / 1e-3)
        return (f".options method={self.method} reltol={self.reltol:g} trtol={self.trtol:g} "
                f"chgtol={self.chgtol:g} vntol={1e-6 * scale:g} abstol={max(self.abstol, 1e-12 * scale):g}")


def netlist_text(circuit: Any, solver: Solver, stop: float, save: Sequence[str] = (),
                 print_nodes: Sequence[str] | None = None) -> str:
    """The netlist of a PySpice `circuit`, or a text, with options, .tran and .save, as `ngspice -b` runs it unchanged.

    What stands behind a text's .end, ngspice does not read, and so it is left out. Where its first line is empty, "untitled"
    stands for it: ngspice would take the first element for the title. The solver's options come last, and win over the text's.
    `print_nodes` adds a .print line, without which ngspice's batch mode does not start.
    """
    text = re.split(r"^\s*\.end(?![a-z]).*$", text_of(circuit), maxsplit=1, flags=re.IGNORECASE | re.MULTILINE)[0].rstrip()
    if not text.split("\n", 1)[0].strip():
        text = f"untitled\n{text.lstrip()}"
    lines = [text, solver.options()]
    vectors = [part for name in save for part in _single(name)]
    lines += [f".save {' '.join(vectors[k:k + 20])}" for k in range(0, len(vectors), 20)]
    if print_nodes:
        lines += [f".{tran_command(text, solver, stop)}", f".print tran {' '.join(print_nodes)}"]
    return "\n".join([*lines, ".end", ""])


def tran_command(text: str, solver: Solver, stop: float, uic: bool = True, altered: str = "") -> str:
    """ngspice's command for a transient of the netlist `text` to `stop` s; `uic`: from initial conditions as given.

    `altered`: the sources that have another shape since (`altered_shapes`).
    """
    step = print_step(text, solver, stop, altered)
    return f"tran {step!r} {float(stop)!r} 0 {float(solver.max_step)!r}{' uic' * uic}"


# What ngspice saves

DIFFERENCE = re.compile(r"v\(\s*([^\s,()]+)\s*,\s*([^\s,()]+)\s*\)")
FUNCTION = re.compile(r"([vi])\(\s*([^\s,()]+)\s*\)")


def _single(name: str) -> Iterable[str]:
    pair = DIFFERENCE.fullmatch(name.lower())
    return (f"v({pair[1]})", f"v({pair[2]})") if pair else (name,)


@functools.lru_cache(maxsize=100_000)
def vector_name(name: str) -> str:
    """What ngspice calls a saved vector: "out" for "V(out)", "vsupply#branch" for "i(Vsupply)"."""
    found = FUNCTION.fullmatch(name.strip().lower())
    if not found:
        return name.strip().lower()
    return f"{found[2]}#branch" if found[1] == "i" else found[2]


# What ngspice is sent

MOST_POINTS = 10_000_000  # of a sweep

@functools.lru_cache(maxsize=100_000)
def altered_name(name: str) -> tuple[str, str]:
    """What `name` ("Vin", "Vin DC", "@vin[dc]") alters: the element, and the command but for the value ("alter vin dc")."""
    form = r"@?([^\s\[\]=;,@<>$`&\"\\]+)(?:\[\s*(\w+)\s*\]|\s+(\w+))?"
    found = isinstance(name, str) and re.fullmatch(form, name.strip().lower())
    if not found or not name.isascii():
        raise ParameterError(f'{name!r} cannot be altered or swept: it must be "element" or "element parameter", without what '
                             "ngspice's command line takes for its own, as < > $ ` & do: rename it")
    return found[1], " ".join(["alter", *filter(None, found.groups())])


OWN_UNITS = {"r": "ohm", "c": "F", "l": "H", "v": "V", "i": "A"}  # of the value that an element of this letter has
OWN_NAMES = ("", "dc", "resistance", "capacitance", "inductance")  # of that value, which needs none
NEEDED = {**dict.fromkeys("efgh", "gain"), "m": "w", **dict.fromkeys("dqjz", "area")}  # of what has no value of its own
NUMBERED, OTHERS = (" sin", " pulse", " exp"), (" pwl", " sffm", " am")  # waveforms, by whether their numbers are looked at
SHAPES = (*NUMBERED, *OTHERS, " trnoise", " trrandom")


def _parameter(command: str) -> str:
    return command.partition(" ")[2].partition(" ")[2]


def alters_own_value(command: str) -> bool:
    """Whether a command of `altered_name` alters what an element has as its value."""
    return _parameter(command) in OWN_NAMES


def unalterable(element: str, command: str, value: str) -> str:
    """What ngspice would crash at (a transistor without a parameter), or take otherwise than it reads without a word; or ""."""
    parameter, listed = _parameter(command), value.startswith("[")
    if not parameter and element[0] in NEEDED:
        return f"needs a parameter to be altered, as in '{element} {NEEDED[element[0]]}'"
    if element[0] in "vi" and command.endswith(SHAPES):
        if not listed:
            return "takes a list of numbers"
        return "takes pairs of a time and a value" if parameter == "pwl" and len(value.split()) % 2 else ""
    if listed and parameter in OWN_NAMES:
        return "takes one number" + "; a list needs a parameter too, as in 'v1 pwl'" * (not parameter)
    return ""


def own_unit(element: str) -> str:
    """The unit of what an element has as its value, or what is swept of it; "" if that is unknown."""
    return "degrees Celsius" if element == "temp" else OWN_UNITS.get(element[0], "")


def value_text(name: str, value: Any, unit: str = "") -> str:
    """A finite number, PySpice value (in `unit`, if given), or list of them as ngspice takes it; else raise ParameterError."""
    if isinstance(value, float) and value - value == 0:  # finite; most are floats, of the hundreds that an image changes
        return repr(float(value))
    if unit:
        check_unit(name, value, unit)
    try:
        numbers = [float(v) for v in value] if np.ndim(value) else [float(value)]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if not numbers or isinstance(value, (bool, str)) or not np.isfinite(numbers).all():
        raise ParameterError(f"{name} must be a finite number or a list of them, got {value!r}")
    return f"[ {' '.join(map(repr, numbers))} ]" if np.ndim(value) else repr(numbers[0])


def positive(name: str, value: Any, unit: str) -> float:
    """`value`, with or without PySpice unit, as a float; raise ParameterError unless it is finite and above 0."""
    check_unit(name, value, unit)
    number = plain(value)
    if not isinstance(number, (int, float, np.integer, np.floating)) or isinstance(number, bool) or not 0 < number < 1e300:
        raise ParameterError(f"{name} must be above 0 {unit}, got {value!r}")
    return float(number)


def swept_values(start: Any, stop: Any, step: Any, unit: str = "") -> str:
    """The values of a sweep as ngspice takes them; raise ParameterError for a `step` that never arrives (ngspice goes on)."""
    texts = [value_text(name, value, unit) for name, value in (("start", start), ("stop", stop), ("step", step))]
    first, last, by = (float(value) for value in (start, stop, step))
    if not (by and 0 <= (last - first) / by <= MOST_POINTS):
        raise ParameterError(f"a sweep from {first:g} to {last:g} must take 1 to {MOST_POINTS:,} steps, its step is {by:g}")
    return " ".join(texts)


# Edges of pulses

SHAPED = re.compile(r"^[vi]\S*\s+\S+\s+\S+\s.*?\b(pulse|exp)\b[\s(]*([^)]*)", re.IGNORECASE)
SUFFIXES = {"t": 1e12, "g": 1e9, "meg": 1e6, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(meg|[tgkmunpf])?[a-z]*", re.IGNORECASE)
EDGE = 1e-3  # an edge that is not given, as a share of the pulse's width


@functools.lru_cache(maxsize=1000)
def _edges_needed(text: str) -> tuple[bool, float]:
    """Whether a source of a netlist may leave its edges to ngspice, and the shortest width or period of such in s (inf: unknown).

    What is not a plain number, a parameter or an expression, may be 0.
    """
    needed, shortest = False, math.inf
    for line in whole_lines(text):
        found = SHAPED.search(re.sub(r"\{[^}]*\}|'[^']*'", "?", line))
        if found and found[1].lower() == "exp":
            needed = True
        elif found:
            numbers = [_number(field) for field in found[2].replace(",", " ").split()]
            if not all(number > 0 for number in [*numbers[3:5], 0.0, 0.0][:2]):
                needed = True
                shortest = min([shortest, *(number for number in numbers[5:7] if number > 0)])
        elif re.match(r"\.(include|inc|lib)\b", line, re.IGNORECASE):
            needed = True
    return needed, shortest


def _number(field: str) -> float:
    found = NUMBER.fullmatch(field)
    return float(found[1]) * SUFFIXES.get((found[2] or "").lower(), 1) if found else math.nan


SINE = re.compile(r"^([vi]\S*)\s.*?\bsin\b[\s(]*\S+[\s,]+\S+[\s,]+([^\s,)]+)", re.IGNORECASE)
LEAST_STEPS = 10  # of a period that is to be seen; ngspice looks at no wave between two steps


@functools.lru_cache(maxsize=1000)
def too_coarse(text: str, longest: float, altered: str = "") -> str:
    """The warning that steps of `longest` s do not resolve a sine of the netlist `text`; "" if they do.

    `altered`: the sources that were altered since (`altered_shapes`), of which the last waveform counts.
    """
    since = {line.split()[0].lower(): line for line in whole_lines(altered)}
    lines = [line for line in whole_lines(text) if line.split()[0].lower() not in since]
    for found in filter(None, map(SINE.match, [*lines, *since.values()])):
        hertz = _number(found[2])
        if hertz * longest * LEAST_STEPS > 1:
            return (f"steps of up to {longest:g} s do not resolve the {hertz:g} Hz of {found[1]}: take "
                    f"Solver(max_step={0.1 / LEAST_STEPS / hertz:.1g}) or so")
    return ""


def altered_shapes(sent: Mapping[str, str]) -> str:
    """The sources that `sent`, value by command, altered to a waveform, as a netlist.

    Without the numbers that nobody looks at: a PWL changes with every run.
    """
    shapes = [(command.split(), f"({value.strip('[ ]')})" * command.endswith(NUMBERED))
              for command, value in sent.items() if command.endswith(NUMBERED + OTHERS)]
    return "".join(f"\n{element} 0 0 {shape}{numbers}" for (_, element, shape), numbers in shapes)


def print_step(text: str, solver: Solver, stop: float, altered: str = "") -> float:
    """ngspice's print step in s for a transient of the netlist `text`. Results do not hang on it, with two exceptions.

    It adds a time point, so that it is the whole run as a rule. And edges of PULSE sources that are not given last as long:
    they get a thousandth of the shortest width or period, at most of `solver.max_step`.
    """
    found = [_edges_needed(part) for part in (text, altered)]
    if not any(needed for needed, _ in found):
        return float(stop)
    shortest = min(shortest for _, shortest in found)
    # ngspice takes breakpoints nearer than 5e-5 of the longest step for one.
    return max(EDGE * min(shortest, solver.max_step, stop), 1e-4 * min(solver.max_step, stop))
