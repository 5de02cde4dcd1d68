"""Check of the contest's grammar: flat lists of resistors, capacitors, diodes and MOSFETs of given models, nothing else.

The rules are those of mnist4-circuit-learning-v0 (github.com/thomasnormal/spicenn2, competition/RULES.md, November 2026).
"""

import re
from collections.abc import Collection

from memristive.spice.parameters import ParameterError

MOST_COMPONENTS = 20_000
MOST_BYTES = 2_000_000
NODES = {"r": 2, "c": 2, "d": 2, "m": 4}
BOUNDS = {"r": (1.0, 1e12), "c": (1e-16, 1e-3), "m": (1e-6, 1e-2)}  # ohm, F, m
TRANSISTORS = ("nch", "pch", "syn")
SUFFIXES = {"": 1.0, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "meg": 1e6, "g": 1e9, "t": 1e12}
NUMBER = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(meg|[fpnumkgt])?")
NAME = re.compile(r"[rcdm][a-z0-9_]+")
INTERNAL = re.compile(r"n_[a-z0-9_]+")


def count_components(text: str, pins: Collection[str]) -> dict[str, int]:
    """Return the numbers of resistors "r", capacitors "c", diodes "d" and transistors "m" of an allowed circuit.

    Parameters
    ----------
    text : str
        Lines of elements and comments.
    pins : collection of str
        Names of the outer nodes without "0". All other nodes must begin with n_.

    Raises
    ------
    ParameterError
        An element, node, model or value is not allowed, a name occurs twice, or the circuit is too large.
    """
    counts, names = dict.fromkeys(NODES, 0), set[str]()
    for number, line in enumerate(text.lower().splitlines(), 1):
        fields = line.split(";")[0].split()
        if not fields or fields[0].startswith("*"):
            continue
        problem = _problem(fields, pins) or ("has the name of an element above" if fields[0] in names else "")
        if problem:
            raise ParameterError(f"line {number} of the circuit, {line.strip()[:60]!r}, {problem}")
        names.add(fields[0])
        counts[fields[0][0]] += 1
    if not 0 < len(names) <= MOST_COMPONENTS or len(text.encode()) > MOST_BYTES:
        raise ParameterError(f"a circuit must have 1 to {MOST_COMPONENTS} components and at most {MOST_BYTES} bytes, got "
                             f"{len(names)} and {len(text.encode())}")
    return counts


def _problem(fields: list[str], pins: Collection[str]) -> str:
    """Return a description of the fault of one element, "" if there is none."""
    name, kind = fields[0], fields[0][0]
    if not NAME.fullmatch(name):
        return "is no resistor, capacitor, diode or MOSFET"
    nodes = NODES[kind]
    if len(fields) != nodes + (4 if kind == "m" else 2):
        return "has too few or too many fields"
    allowed = {*pins, "0", "gnd"}
    outside = [node for node in fields[1:nodes + 1] if node not in allowed and not INTERNAL.fullmatch(node)]
    if outside:
        return f"uses the node {outside[0]!r}, which is neither a pin nor begins with n_"
    model, *sizes = fields[nodes + 1:]
    if kind in "md" and model not in (TRANSISTORS if kind == "m" else ("diode",)):
        return f"uses the model {model!r}, which is not among the given ones"
    if kind == "m" and [size[:2] for size in sizes] != ["w=", "l="]:
        return "must end with W= and L="
    values = [size[2:] for size in sizes] if kind == "m" else [model] if kind != "d" else []
    low, high = BOUNDS.get(kind, (0.0, 0.0))
    wrong = [text for text in values if not low * (1 - 1e-12) <= _value(text) <= high * (1 + 1e-12)]
    return f"has the value {wrong[0]!r}, which is no number from {low:g} to {high:g}" if wrong else ""


def _value(text: str) -> float:
    found = NUMBER.fullmatch(text)
    return float(found[1]) * SUFFIXES[found[2] or ""] if found else -1.0
