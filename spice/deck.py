"""What stands in a netlist: its lines, those of the files that it includes, and what of them ngspice must not be sent."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator

from spice.errors import SimulationError

NOTHING_SAVED = re.compile(r"\.save\b.*(\s|v\()none\b", re.IGNORECASE)
INTERPOLATION = re.compile(r"\.opt\w*\b.*\binterp\b", re.IGNORECASE)
FIELDS = dict.fromkeys("akx", 2) | dict.fromkeys("bcdefghilrv", 3) | dict.fromkeys("qjzmsw", 4) | dict.fromkeys("ot", 5)
STATEMENTS = {".model": 3, ".csparam": 2}
CONTROL = re.compile(r"^\s*\.control\b", re.IGNORECASE | re.MULTILINE)
INCLUSION = re.compile(r"^\s*\.(inc\w*|lib)\s+(?:\"([^\"]+)\"|'([^']+)'|([^\s;]+))([^\n;]*)", re.IGNORECASE | re.MULTILINE)
TAKEN = {"time", "temper", "hertz"}  # what expressions call the time, the temperature, the frequency
DIGITAL = re.compile(r"^[ \t]*[au]", re.IGNORECASE | re.MULTILINE)
COUPLED = re.compile(r"^[ \t]*k", re.IGNORECASE | re.MULTILINE)
LINGERING = re.compile(r"^[ \t]*p", re.IGNORECASE | re.MULTILINE)
REMEMBERING = re.compile(r"^[ \t]*[aut]|\b[di]dt\s*\(|\bhertz\b|^[ \t]*\.meas\w*\b.*\bparam\b", re.IGNORECASE | re.MULTILINE)
RANDOM = re.compile(r"\b(a?gauss|a?unif|limit)\s*\(", re.IGNORECASE)
EXPRESSION = re.compile(r"\{[^}]*\}|'[^']*'|\"[^\"]*\"")
PARAMETER = re.compile(r"\s+([^\s=]+)\s*=\s*\S+")
KINDS = {"r": "resistor", "c": "capacitor", "l": "inductor", "d": "diode", "v": "voltage source", "i": "current source",
         "q": "bipolar transistor", "m": "MOSFET", "j": "JFET", "x": "subcircuit"}


def whole_lines(text: str) -> Iterator[str]:
    """The lines of a netlist behind its title, continuations joined, without comments and control sections."""
    joined = re.sub(r"\n\s*\+", " ", "\n".join(re.sub(r";.*|\s\$\s.*", "", line) for line in text.splitlines()[1:]
                                               if not line.lstrip().startswith("*")))
    control = False
    for line in map(str.strip, joined.splitlines()):
        control = control or line.lower() == ".control"
        if line and not control:
            yield line
        control = control and line.lower() != ".endc"


def untitled(text: str) -> str:
    """A netlist without its title, which ngspice would repeat among what it says."""
    return re.sub(r"^\s*\.title\b.*$", "*", "* untitled\n" + text.partition("\n")[2], flags=re.IGNORECASE | re.MULTILINE)


def included(text: str, folder: str = "", above: tuple[str, ...] = ()) -> dict[str, str]:
    """All files that a netlist includes, as far as they can be read: contents by path; `folder` is the netlist's own.

    Raises SimulationError if one is not there, or includes itself, but for sections of a library: it would end the process.
    """
    found: dict[str, str] = {}
    for kind, *names, section in INCLUSION.findall(text):
        name = os.path.expanduser(os.path.expandvars(next(filter(None, names))))
        places = dict.fromkeys(os.path.abspath(os.path.join(place, name)) for place in (folder, ""))
        paths = list(filter(os.path.isfile, places))
        if not paths and (kind.lower() != "lib" or section.strip()):
            # ngspice would look where the circuit loaded before this one had files.
            raise SimulationError(f"Could not find include file {name}")
        for path in paths:
            if path in above and kind.lower() == "lib":
                continue
            if path in above:
                raise SimulationError(f"{path} includes itself, by way of {len(above)} files")
            with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
                found[path] = file.read()
                found |= included(found[path], os.path.dirname(path), (*above, path))
    return found


def settled_files(text: str) -> str:
    """A netlist that includes the same files wherever the process goes: those named from the working folder by whole paths.

    But for folders whose names ngspice reads otherwise: it ends the file of a .lib at the first blank or quote, any file at a
    double quote, and fills in variables ($).
    """
    def whole(found: re.Match[str]) -> str:
        name = next(filter(None, found.group(2, 3, 4)))
        path = os.path.abspath(name)
        unsayable = re.search(r"[\"$]|[\s']" if found[1].lower() == "lib" else r"[\"$]", path)
        return found[0] if os.path.isabs(name) or not os.path.isfile(path) or unsayable else f'.{found[1]} "{path}"{found[5]}'
    return INCLUSION.sub(whole, text)


def remembers(whole: str) -> bool:
    """Whether a netlist without its title, with all that it includes, may hold what ngspice runs right but once after loading.

    Digital models of XSPICE are dead and B sources' ddt() constant in the second run, hertz stays where an AC analysis left it,
    a measurement of a parameter fails; a lossless line (T) forgets how long its memory of the last transient was when it gets a
    new one, and may write beyond its end (measured: ngspice 44).
    """
    return bool(REMEMBERING.search(whole))


def digital(whole: str) -> bool:
    """Whether there may be digital models: another circuit loaded during their paused run would crash ngspice."""
    return bool(DIGITAL.search(whole))


def coupled(whole: str) -> bool:
    """Whether there are coupled inductors: an operating point after a transient would couple them as in its last step."""
    return bool(COUPLED.search(whole))


def lingers(whole: str) -> bool:
    """Whether there are coupled lines (P): ngspice has one list of their nodes for all circuits and runs, whatever is freed."""
    return bool(LINGERING.search(whole))


def drawn_at_random(whole: str) -> bool:
    """Whether a netlist with all that it includes has values that ngspice draws when it loads it."""
    return bool(RANDOM.search(whole))


def malformed(text: str, files: Iterable[str] = ()) -> str:
    """What a netlist, or the `files` that it includes, must not hold, as a message ("": nothing): a line that cannot be
    an element, what changes other circuits, what ends the process.

    Which elements ngspice itself refuses hangs on its version: 44 most, 39 few.
    """
    if any(CONTROL.search(part) for part in (text, *files)):
        return "a .control section is a script of its own, which changes other circuits too: use alter, run, op, dc, ac"
    for line in whole_lines(text):
        kind, fields = line[0].lower(), len(line.split())
        if fields < STATEMENTS.get(line.split()[0].lower(), 0):  # ngspice 39 crashes
            return f"{line.lower()!r} is not a valid line: it lacks a name or what is said of it"
        if INTERPOLATION.match(line):
            return "option interp leaves one point of a transient, of every circuit here: waveforms are as ngspice computes them"
        if not (kind.isalpha() or kind in ".#/$"):
            return f"{line!r} is no element: its name must begin with a letter"
        if kind.isalpha() and not line.isascii():  # two nodes would become one without a word
            return f"{line!r} cannot be told apart from others: ngspice takes every letter that is not ASCII for '_'"
        if kind in FIELDS and fields < FIELDS[kind]:
            return f"{line.lower()!r} is not a valid {KINDS.get(kind, 'element')} line: it lacks nodes"
    return next(filter(None, map(_unsafe, (text, *(f"\n{part}" for part in files)))), "")


def unheard(text: str, files: Iterable[str] = ()) -> list[str]:
    """Warnings of parameters that a netlist gives to subcircuits, its own or of the `files` it includes, which do not have them:
    ngspice ignores them without a word.
    """
    lines = [PARAMETER.sub(r" \1=", EXPRESSION.sub("0", line.lower())).split()
             for part in (text, *(f"\n{file}" for file in files)) for line in whole_lines(part)]
    known: dict[str, set[str]] = {}
    for _, name, *words in (words for words in lines if words[0] == ".subckt" and len(words) > 1):
        known.setdefault(name, {"m="}).update(words)
    said = []
    for element, *words in (words for words in lines if words[0].startswith("x")):
        given = [word for word in words if word.endswith("=")]
        name = next((word for word in reversed(words) if word not in given and word != "params:"), "")
        unknown = [word[:-1] for word in given if word not in known.get(name, given)]
        said += [f"subcircuit {name} has no parameter {', '.join(unknown)}, which {element} gives it"] if unknown else []
    return said


def _unsafe(text: str) -> str:
    """The complaint about what no file may hold either: nodes of names that are ngspice's own or that it takes for one, and what
    empties all circuits: "temper" crashes it, "time" is taken for the axis.
    """
    for line in map(str.lower, whole_lines(text)):
        words = [word for word in line.split() if "=" not in word]
        nodes = words[1:-1] if line[0] == "x" else words[1:FIELDS.get(line[0], 1)]
        if NOTHING_SAVED.match(line):
            return "a node called 'none' cannot be saved: to ngspice it means no points, of every circuit here; rename it"
        if TAKEN & set(nodes):
            return f"{line!r}: no node can be called {(TAKEN & set(nodes)).pop()!r}, which is ngspice's own; rename it"
        if not all(map(str.isascii, nodes)):  # two nodes would become one without a word
            return f"{line!r} cannot be told apart from others: ngspice takes every letter that is not ASCII for '_'"
    return ""
