"""Netlist text: solver options, the transient command, `alter` commands, vector names."""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.spice.parameters import ParameterError, Parameters, quantity

METHODS = ("trap", "gear")
DIFFERENCE = re.compile(r"v\(\s*([^\s,()]+)\s*,\s*([^\s,()]+)\s*\)")
FUNCTION = re.compile(r"([vi])\(\s*([^\s,()]+)\s*\)")
ELEMENT = re.compile(r"@?([^\s\[\]=;,@<>$`&\"\\]+)(?:\[\s*(\w+)\s*\]|\s+(\w+))?")


@dataclass(frozen=True)
class Solver(Parameters):
    """Tolerances, integration method and longest step of ngspice's transient analysis.

    The longest step must resolve the circuit's sources; the default suits networks with pulses of milliseconds.
    """

    max_step: float = quantity(20e-6, 1e-15, 1.0, "s", "longest time step")
    reltol: float = quantity(1e-5, 1e-12, 1e-2, "", "relative tolerance of voltages and currents")
    trtol: float = quantity(70.0, 0.1, 1e7, "", "factor on the allowed truncation error of a step")
    chgtol: float = quantity(1e-14, 1e-20, 1.0, "C", "charges below this do not govern the time step")
    abstol: float = quantity(1e-13, 1e-20, 1e-3, "A", "lower limit of the absolute current tolerance")
    method: str = "trap"

    def check(self) -> None:
        """Raise ParameterError for an integration method that ngspice does not have."""
        if self.method not in METHODS:
            raise ParameterError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")

    def tightened(self, factor: float = 10.0) -> "Solver":
        """Return this solver with step and tolerances (except `abstol`) divided by `factor`, for convergence checks."""
        return dataclasses.replace(self, max_step=self.max_step / factor, reltol=self.reltol / factor,
                                   trtol=self.trtol / factor, chgtol=self.chgtol / factor)

    def options(self) -> str:
        """Return the netlist's .options line. Below a `reltol` of 1e-5, ngspice's absolute tolerances shrink in proportion."""
        scale = min(1, 100 * self.reltol / 1e-3)
        return (f".options method={self.method} reltol={self.reltol:g} trtol={self.trtol:g} "
                f"chgtol={self.chgtol:g} vntol={1e-6 * scale:g} abstol={max(self.abstol, 1e-12 * scale):g}")


def netlist_text(circuit: Any, solver: Solver, stop: float = 0.0, save: Sequence[str] = (),
                 print_nodes: Sequence[str] = (), comments: Sequence[str] = ()) -> str:
    """Return the netlist of a circuit with options and saved vectors.

    Parameters
    ----------
    circuit : PySpice circuit or str
    solver : Solver
    stop : float
        End of the transient in s.
    save : sequence of str
        Vectors to keep, e.g. "out", "V(out)", "i(vsupply)". If empty, all nodes are kept.
    print_nodes : sequence of str
        Adds .tran and .print lines for these nodes, so that `ngspice -b` runs the netlist unchanged.
    comments : sequence of str
        Lines of explanation under the title. Adds lines on the use of the netlist, and commands that write a table.

    Raises
    ------
    ParameterError
        `circuit` is neither a circuit nor the text of a netlist.
    """
    lines = str(circuit).splitlines()
    if len(lines) < 2:
        raise ParameterError(f"circuit must be a PySpice circuit or the text of a netlist, got {circuit!r:.80}")
    if lines[-1].strip().lower() == ".end":
        lines.pop()
    if comments:
        usage = ["ngspice -b FILE prints the waveforms; ngspice -b -r run.raw FILE saves them, and `load run.raw` in ngspice",
                 "shows them with `plot`. For a table with a row for each time point, remove the asterisks of the last lines:",
                 "ngspice -b FILE then writes table.txt."]
        lines[1:1] = [f"* {comment}" for comment in [*comments, *usage]]
    lines.append(solver.options())
    vectors = [part for name in save for part in _saved(name)]
    lines += [f".save {' '.join(vectors[k:k + 20])}" for k in range(0, len(vectors), 20)]
    if print_nodes:
        lines += [f".{tran_command(str(circuit), solver, stop)}", f".print tran {' '.join(print_nodes)}"]
    if comments and print_nodes:
        wrdata = f"wrdata table.txt {' '.join(print_nodes)}"
        lines += [f"* {line}" for line in (".control", "set wr_singlescale wr_vecnames", "run", wrdata, "quit 0", ".endc")]
    return "\n".join([*lines, ".end", ""])


def _saved(name: str) -> Iterable[str]:
    pair = DIFFERENCE.fullmatch(name.lower())
    return (f"v({pair[1]})", f"v({pair[2]})") if pair else (name,)


def tran_command(text: str, solver: Solver, stop: float) -> str:
    """Return ngspice's command for a transient of the netlist `text` to `stop` s, from the given initial conditions.

    ngspice takes the print step as the edge of PULSE sources that give none. Otherwise the print step only adds a time point.
    """
    step = min(solver.max_step, stop) if re.search(r"\bpulse\s*\(", text, re.IGNORECASE) else stop
    return f"tran {float(step)!r} {float(stop)!r} 0 {float(solver.max_step)!r} uic"


@functools.lru_cache(maxsize=100_000)
def vector_name(name: str) -> str:
    """Return ngspice's name of a saved vector: "out" for "V(out)", "vsupply#branch" for "i(Vsupply)"."""
    found = FUNCTION.fullmatch(name.strip().lower())
    if not found:
        return name.strip().lower()
    return f"{found[2]}#branch" if found[1] == "i" else found[2]


@functools.lru_cache(maxsize=100_000)
def alter_command(name: str) -> str:
    """Return the `alter` command, without a value, for a name such as "Vin" (element) or "Vin pwl" (element parameter)."""
    found = ELEMENT.fullmatch(name.strip().lower())
    if not found:
        raise ParameterError(f'{name!r} cannot be altered: expected "element" or "element parameter"')
    return " ".join(["alter", *filter(None, found.groups())])


def value_text(name: str, value: Any) -> str:
    """Return a finite number or a list of them in ngspice's notation; raise ParameterError for anything else."""
    if isinstance(value, float) and math.isfinite(value):  # the common case, hundreds of times for each image
        return repr(float(value))
    try:
        numbers = [float(v) for v in value] if np.ndim(value) else [float(value)]
    except (TypeError, ValueError):
        numbers = []
    if not numbers or not np.isfinite(numbers).all():
        raise ParameterError(f"{name} must be a finite number or a list of them, got {value!r}")
    return f"[ {' '.join(map(repr, numbers))} ]" if np.ndim(value) else repr(numbers[0])


def named_classes(labels: Sequence[object], classes: int) -> str:
    """Return the classes as text for a comment: "0 = X, 1 = +"."""
    return ", ".join(f"{k} = {label}" for k, label in enumerate(labels)) or f"classes 0 to {classes - 1}"
