"""Energies of a transient, counted twice: at the sources that drive a circuit, and in its parts.

Every part of the circuit's top level (subcircuits, resistors, capacitors, switches) gets a source
of 0 V in series with each of its pins, which measures the current. The power that flows into a part
is the sum of voltage times current over its pins. By Tellegen's theorem the sources deliver what
all parts take.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.spice.session import Solver, run_once

GROUND = ("0", "gnd")
SOURCES = "veb"  # first letters of elements that hold a voltage
TWO_PINS = "rcs"  # resistors, capacitors, switches: one probe measures the current
PROBE = "probe_"


def positive_energy(times: np.ndarray, power: np.ndarray, begin: float, end: float) -> float:
    """Return the energy in J that a source delivers from `begin` to `end` (s), if its `power` (W)
    is linear between `times`.

    Negative power flows back into the source and counts as 0.
    """
    inside = (times > begin) & (times < end)
    t = np.r_[begin, times[inside], end]
    p = np.r_[np.interp(begin, times, power), power[inside], np.interp(end, times, power)]
    first, second, dt = p[:-1], p[1:], np.diff(t)
    above = np.maximum(first, 0) + np.maximum(second, 0)
    # Where the line crosses zero, only the share of the time above it counts.
    total = np.abs(first) + np.abs(second)
    share = np.where(
        first * second < 0, np.divide(above, total, out=np.ones_like(total), where=total > 0), 1.0
    )
    return float(np.sum(above * share * dt) / 2)


@dataclass(frozen=True)
class Balance:
    """Energies in J of a transient, by name: in `pins` those of the sources, in `parts` those of
    all other elements.

    `fed` names the parts that get their energy from the pins. All other parts have a supply of
    their own: ideal amplifiers, and the parts that their outputs drive.
    """

    pins: dict[str, float]
    parts: dict[str, float]
    fed: frozenset[str]

    @property
    def at_pins(self) -> float:
        """Energy in J that all sources deliver."""
        return sum(self.pins.values())

    @property
    def in_parts(self) -> float:
        """Energy in J of all parts that get their energy from the pins."""
        return sum(self.parts[name] for name in self.fed)

    def of(self, prefix: str) -> float:
        """Return the energy in J of all fed parts whose names begin with `prefix`."""
        return sum(self.parts[name] for name in self.fed if name.startswith(prefix))


def balance(
    circuit: Any,
    solver: Solver,
    stop: float,
    changes: Mapping[str, Any] | None = None,
    behind: Sequence[str] = (),
) -> Balance:
    """Return the energies (`Balance`) that sources deliver and that parts take up to `stop` s.

    Only positive power counts, as in the public contest of transistor circuits: what flows back
    into a source is lost.

    Parameters
    ----------
    circuit : PySpice circuit or str
    solver : Solver
    stop : float
        End of the transient in s.
    changes : mapping, optional
        Changes before the run, as for `LoadedCircuit.alter`.
    behind : sequence of str
        Nodes that a switch joins to a pin, as those between an access switch and its device, given
        by the beginnings of their names. Parts at such a node count as fed by the pins, as do parts
        at a pin.

    Raises
    ------
    SimulationError
        ngspice cannot complete the transient.
    """
    text, sources, parts = _probed(str(circuit))
    driven = {node for nodes in sources.values() for node in nodes if node not in GROUND}
    pins = {node for taps in parts.values() for node, _ in taps} | driven
    currents = [f"i({name})" for name in [*sources, *(p for t in parts.values() for _, p in t)]]
    waves = run_once(
        text, solver, [*(node for node in pins if node not in GROUND), *currents], stop, changes
    )
    volts = {node: waves[node] if node not in GROUND else 0.0 * waves.time for node in pins}
    volts |= {node: 0.0 * waves.time for node in GROUND}

    def energy(power: np.ndarray) -> float:
        return positive_energy(waves.time, power, float(waves.time[0]), stop)

    return Balance(
        {
            name: energy(-(volts[plus] - volts[minus]) * waves[f"i({name})"])
            for name, (plus, minus) in sources.items()
        },
        {
            name: energy(sum(volts[node] * waves[f"i({probe})"] for node, probe in taps))
            for name, taps in parts.items()
        },
        frozenset(
            name
            for name, taps in parts.items()
            if any(node in driven or node.startswith(tuple(behind)) for node, _ in taps)
        ),
    )


def _probed(text: str) -> tuple[str, dict[str, list[str]], dict[str, list[tuple[str, str]]]]:
    """Return a netlist with a source of 0 V at each pin of each part of its top level; the nodes of
    each source; the pins of each part as (node, name of the source of 0 V).
    """
    sources: dict[str, list[str]] = {}
    parts: dict[str, list[tuple[str, str]]] = {}
    lines, depth = [], 0
    for line in text.replace("\n+", " ").splitlines():
        depth += bool(re.match(r"\.subckt\b", line, re.IGNORECASE))
        depth -= bool(re.match(r"\.ends\b", line, re.IGNORECASE))
        name, *words = line.split() or [""]
        name, kind = name.lower(), name[:1].lower()
        if depth or kind not in f"x{SOURCES}{TWO_PINS}" or not words:
            lines.append(line)
        elif kind in SOURCES:
            sources[name] = [word.lower() for word in words[:2]]
            lines.append(line)
        else:
            count = next((k for k, word in enumerate(words) if "=" in word), len(words)) - 1
            count = 2 if kind in TWO_PINS else count  # of a subcircuit all words before its name
            parts[name] = []
            for k in range(count):
                probe, node = f"v{PROBE}{name}_{k}", words[k].lower()
                lines.append(f"{probe} {node} {PROBE}{name}_{k} 0")
                words[k] = f"{PROBE}{name}_{k}"
                parts[name].append((node, probe))
            lines.append(" ".join([name, *words]))
    return "\n".join(lines) + "\n", sources, parts
