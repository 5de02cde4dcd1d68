"""The text of a circuit: what PySpice writes and ngspice would read otherwise, as PySpice means it."""

import os
import re
from collections.abc import Iterator
from typing import Any

from PySpice.Spice.HighLevelElement import AmplitudeModulatedMixin, RandomMixin, SingleFrequencyFMMixin

from spice.parameters import ParameterError

AMPERES = re.compile(r"(?<![\w.])([-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?)A(?![\w.])")
PREFIXES = {"": "", "T": "T", "G": "G", "M": "Meg", "k": "k", "m": "m", "μ": "u", "n": "n", "p": "p", "f": "f", "a": "a"}
UNITS = "°C|lx|cd|Pa|sr|Sv|kg|lm|Hz|Gy|Bq|Wb|rad|kat|mol|Ω|A|m|J|W|V|N|K|H|S|s|F|C"  # of PySpice 1.5
RANDOM = {"TRRANDOM(2 ": "TRRANDOM(3 ", "TRRANDOM(3 ": "TRRANDOM(2 "}  # exponential and gaussian, as PySpice and ngspice count
APART = re.compile(rf"(=\s*[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?) ({'|'.join(PREFIXES)})({UNITS})(?=\s|$)")


def text_of(circuit: Any) -> str:
    """The netlist of a PySpice `circuit`, or a text as it is.

    Raises ParameterError for what is neither, and for sources of which PySpice and ngspice do not mean the same.
    """
    lines = str(circuit).splitlines()
    if len(lines) < 2:
        raise ParameterError(f"circuit must be a PySpice circuit or the text of a netlist, got {circuit!r:.80}"
                             + ", a file's name perhaps: read it first" * isinstance(circuit, str | os.PathLike))
    if isinstance(circuit, str):
        return circuit
    exchanged = {str(element): _as_ngspice_counts(element) for element in _sources(circuit)}
    return "\n".join(_as_meant(exchanged.get(line, line)) for line in lines)


def _sources(circuit: Any) -> Iterator[Any]:
    """The sources of a circuit and its subcircuits that PySpice writes otherwise than ngspice reads them."""
    kinds = RandomMixin, AmplitudeModulatedMixin, SingleFrequencyFMMixin
    yield from (element for element in getattr(circuit, "elements", ()) if isinstance(element, kinds))
    for inner in getattr(circuit, "subcircuits", ()):
        yield from _sources(inner)


def _as_ngspice_counts(source: Any) -> str:
    """Its line, with ngspice's number for a random source's kind. Raises ParameterError for one of modulation."""
    if not isinstance(source, RandomMixin):
        raise ParameterError(f"{source.name}: PySpice, ngspice and its older versions each have another order of the numbers of "
                             "AM and SFFM; give a BehavioralSource with voltage_expression='sin(...)' of the time")
    return re.sub("|".join(map(re.escape, RANDOM)), lambda found: RANDOM[found[0]], str(source))


def _as_meant(line: str) -> str:
    """A line of PySpice's with its units, prefixes and files as ngspice reads them.

    "A", the unit of currents, reads as atto: it is left out of current sources and behind "=". Default values of a subcircuit and
    parameters have their unit behind a blank, and a prefix with it, which is not read at all. A file with blanks in its name
    wants quotes.
    """
    command, _, rest = line.partition(" ")
    if command.lower() in (".include", ".inc") and " " in rest.strip() and not rest.lstrip().startswith(("'", '"')):
        return f'{command} "{rest.strip()}"'
    if command.lower() in (".subckt", ".param"):
        line = APART.sub(lambda found: found[1] + PREFIXES[found[2]], line)
    if line[:1] in ("I", "i"):
        fields = re.match(r"(\S+\s+){3}", line)
        named = fields.end() if fields else len(line)
        return line[:named] + AMPERES.sub(r"\1", line[named:])
    return re.sub(rf"(=\s*){AMPERES.pattern}", r"\1\2", line)
