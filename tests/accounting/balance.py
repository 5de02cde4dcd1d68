"""Energies of a transient, counted twice: at the sources that drive a circuit, and in its parts.

Every part of the circuit's top level (subcircuits, resistors, capacitors, switches) gets a source
of 0 V in series with each of its pins, which measures the current. The power that flows into a part
is the sum of voltage times current over its pins. By Tellegen's theorem the sources deliver what
all parts take.
"""

import re
from dataclasses import dataclass

from memristive.spice.power import positive_energy
from memristive.spice.session import run_once

GROUND = ("0", "gnd")
SOURCES = "veb"  # first letters of elements that hold a voltage
TWO_PINS = "rcs"  # resistors, capacitors, switches: one probe measures the current
PROBE = "probe_"


@dataclass(frozen=True)
class Balance:
    """Energies in J of a transient, by name: of the sources in `pins`, of all other elements in
    `parts`.

    `fed` names the parts that get their energy from the pins. All other parts have a supply of
    their own: ideal amplifiers, and the parts that their outputs drive.
    """

    pins: dict[str, float]
    parts: dict[str, float]
    fed: frozenset[str]

    @property
    def at_pins(self):
        """Energy in J that all sources deliver."""
        return sum(self.pins.values())

    @property
    def in_parts(self):
        """Energy in J of all parts that get their energy from the pins."""
        return sum(self.parts[name] for name in self.fed)

    def of(self, prefix):
        """Return the energy in J of all fed parts whose names begin with `prefix`."""
        return sum(self.parts[name] for name in self.fed if name.startswith(prefix))


def balance(circuit, solver, stop, behind=(), changes=None):
    """Return the energies (`Balance`) that sources deliver and that parts take up to `stop` s.

    Only positive power counts, as in the public contest of transistor circuits: what flows back
    into a source is lost.

    `behind` has the beginnings of the names of nodes that a switch joins to a pin, as those between
    an access switch and its device. Parts at such a node count as fed by the pins, as do parts at a
    pin.
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

    def energy(power):
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


def _probed(text):
    """Return a netlist with a source of 0 V at each pin of each part of its top level. Also return
    the nodes of each source, and the pins of each part as (node, name of the source of 0 V).
    """
    sources, parts, lines, depth = {}, {}, [], 0
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
