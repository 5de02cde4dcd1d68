"""A memristor of one's own, and the model file that describes it. It is a SPICE subcircuit with two
pins, or three with the pin of a gate, or a module of Verilog-A.

A model file is JSON::

    {"file": "my.lib", "subcircuit": "mydevice", "row_pin": 1, "state_node": "x",
    "initial_parameter": "x0",
     "up": {"voltage": 0.8, "width": 1e-6}, "down": {"voltage": -0.9, "width": 1e-6},
     "read_voltage": 0.1}

A cell of a memristor and a transistor adds ``"gate_pin": 3, "gate": {"low": 0.7, "high": 1.6,
"open": 3.0}``. Then the gate voltage of SET, from low to high, chooses the level
(docs/writes_gate.md).

A cell that a third pin opens to pulses, as phi opens the paper's, has ``"gate_pin": 3, "select":
{"off": 0, "on": 1, "settle": 2e-6}`` instead. Reads leave it shut. With ``"foundry"`` its
subcircuit may use the transistors of `foundry.py` (docs/silicon.md).

ngspice executes commands that it finds in a netlist, in a `.control` block, after `*#`, or as a
program that a code model starts. So ngspice never reads a stranger's library itself. This module
reads it and lets only harmless statements pass. ngspice loads their text, without comments and with
all includes in place.
"""

import codecs
import contextlib
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import ClassVar

from memristive.devices.faster import compiled_library
from memristive.devices.foundry import Process
from memristive.devices.spice_dialect import (
    DROPPED,
    Statement,
    fitted,
    header_of,
    pins_of,
    translated,
)
from memristive.devices.verilog_a import ENDINGS, CompilerMissing, as_subcircuit, loading
from memristive.files import FileProblem, read_json, restored
from memristive.parameters import Fields, ParameterError, Parameters, SimulationError, quantity
from memristive.spice.pyspice import Circuit

PRESETS = Path(str(resources.files("memristive.devices") / "models"))
CARDS = (".subckt", ".ends", ".model", ".param", ".params", ".func", ".ic")
# not A, N, P, U and Y: code models run programs and load libraries, or read files
ELEMENTS = "rclkvibegfhdmqjzswxt"
MODEL_TYPES = (
    "r",
    "c",
    "l",
    "sw",
    "csw",
    "d",
    "npn",
    "pnp",
    "nmos",
    "pmos",
    "njf",
    "pjf",
    "nmf",
    "pmf",
    "vdmos",
    "vdmosn",
    "vdmosp",
    "ltra",
)
COMMENT = re.compile(r";.*|//.*|(^|[\s,])\$.*")
INCLUDE = re.compile(
    r"""\.(inc|include|lib)\s+(?:"([^"]+)"|'([^']+)'|(\S+))\s*(\S*)""", re.IGNORECASE
)
MODEL = re.compile(r"\.model\s+[\w.]+\s+(\w+)(?![\w.:{'])", re.IGNORECASE)
# no quotation marks, backslashes, dollars, backquotes
PLAIN = re.compile(r"[ \tµμ!%&'()*+,\-./0-9:<=>?@A-Z\[\]^_a-z{|}~#]*")
# libraries of other languages
FOREIGN = (
    (
        re.compile(r"^\s*(`include|module\s+\w+\s*\(|analog\s+begin)", re.MULTILINE),
        "is Verilog-A: let its name end in .va, and name it in the model file",
    ),
    (
        re.compile(
            r"^\s*(simulator\s+lang|(inline\s+)?subckt\s|parameters\s)", re.MULTILINE | re.I
        ),
        "is in the language of Spectre: write '.subckt NAME PINS PARAMETER=VALUE', '.ends' and "
        "'.param' as SPICE does, and bsource as 'B1 a b i=...'",
    ),
    (
        re.compile(r"^\s*\.prot", re.MULTILINE | re.IGNORECASE),
        "is encrypted for another simulator: ask its author for the equations",
    ),
)
# of what ngspice has to say about a cause
END = re.compile(
    r"; from file|; (?:Error: ngspice.dll|Warning: Dynamic|tran simul)|\. Netlist to rerun"
)
# by words of ngspice
CURES = (
    ("unknown parameter", ": ngspice lacks it; Rpar is a resistor beside the element"),
    ("singular", ": no element sets the voltage of this node"),
    (
        "range for (?!exp|.?sinh|.?cosh)",
        ": keep the argument in its range, for example sqrt(max(x, 0))",
    ),
    ("takes longer", ": rates far above 1/width need short time steps; try a lower voltage"),
    (
        "too small|range for",
        ": let the rate become 0 where the state ends, and bound arguments of exp and sinh, for "
        "example exp(min(max(x, -30), 30))",
    ),
)
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NAME = re.compile(r"\w+", re.ASCII)
CELL = ("selects", "select_on", "settle", "foundry", "mismatch")  # fields of cells of transistors
# ngspice's default of 1e-12 S empties a storage capacitor of 200 fF in 0.2 s
NO_LEAK = ".options gmin=1e-18\n"


@dataclass(frozen=True)
class Pulse(Parameters):
    """Entries `up` and `down` of a model file, in V and s."""

    voltage: float
    width: float


@dataclass(frozen=True)
class GateEntry(Parameters):
    """Entry `gate` of a model file, in V."""

    low: float
    high: float
    open: float


@dataclass(frozen=True)
class Select(Parameters):
    """Entry `select` of a model file: levels in V, and time in s."""

    off: float
    on: float
    settle: float


@dataclass(frozen=True)
class SpiceModel(Parameters):
    """Memristor, or memristor with its transistor, as a SPICE subcircuit.

    Parameters
    ----------
    name : str
    text : str
        Checked library that ngspice loads.
    subcircuit : str
    state_node : str
        Node of the subcircuit whose voltage is the state.
    initial_parameter : str
        Parameter of the subcircuit that is the state at t = 0. A model file may leave it out if a
        capacitor from `state_node` to 0 holds the state.
    row_pin : int
        Pin that faces the row of a crossbar. Voltages count from the row to the column.
    voltage_up, width_up, voltage_down, width_down : float
        Pulse in V and s that raises the conductance by one step, and pulse that lowers it.
    read_voltage : float
        Voltage in V at which the conductance is read.
    parameters : mapping
        Values for parameters of the subcircuit that replace the defaults of the library.
    gate_pin : int
        Pin of the transistor's gate; 0: the subcircuit has two pins.
    gate_low, gate_high : float
        Lowest and highest gate voltage in V of a pulse up (SET), which chooses the level.
    gate_open : float
        Gate voltage in V of reads and of pulses down (RESET), and of cells that are not selected.
    selects : bool
        True if the gate lets pulses in, and False if it chooses the level or there is none.
    select_on : float
        Gate voltage in V that lets pulses in.
    settle : float
        Time in s that the circuit of a cell needs before the first pulse and after the last.
    foundry : str
        Process of the transistors nfet and pfet that the library uses; "": none.
    mismatch : int
        Seed of the foundry's mismatch, in which all transistors differ; 0: they are alike.
    verilog_a : str
        Source of the compiled module in the subcircuit; "": the library is SPICE.
    notes : tuple of str
        What ngspice gets in other words than the user's file.
    places : tuple of str
        File and line of each line of `text`.
    """

    name: str
    text: str = field(repr=False)
    subcircuit: str
    state_node: str
    initial_parameter: str = ""
    row_pin: int = quantity(1, 1, 3, "", "pin that faces the row")
    voltage_up: float = quantity(
        1.0, 1e-3, 100.0, "V", "raises the conductance; row_pin chooses the sign"
    )
    width_up: float = quantity(1e-3, 1e-12, 1e3, "s", "its width")
    voltage_down: float = quantity(-1.0, -100.0, -1e-3, "V", "lowers the conductance")
    width_down: float = quantity(1e-3, 1e-12, 1e3, "s", "its width")
    read_voltage: float = quantity(0.1, 1e-3, 10.0, "V", "at which the conductance is read")
    parameters: dict[str, float] = field(default_factory=dict, hash=False)
    gate_pin: int = quantity(0, 0, 3, "", "pin of the gate; 0: none")
    gate_low: float = quantity(0.0, -100.0, 100.0, "V", "lowest gate voltage of a pulse up")
    gate_high: float = quantity(0.0, -100.0, 100.0, "V", "highest gate voltage of a pulse up")
    gate_open: float = quantity(0.0, -100.0, 100.0, "V", "gate voltage of reads and pulses down")
    selects: bool = False
    select_on: float = quantity(0.0, -100.0, 100.0, "V", "gate voltage of selected cells")
    settle: float = quantity(0.0, 0.0, 1.0, "s", "before the first pulse and after the last")
    foundry: str = ""
    mismatch: int = 0
    verilog_a: str = field(default="", repr=False, compare=False)
    notes: tuple[str, ...] = field(default=(), repr=False, compare=False)
    places: tuple[str, ...] = field(default=(), repr=False, compare=False)

    newer: ClassVar = (
        *("initial_parameter", "row_pin", "read_voltage", "parameters", "notes", "places"),
        "verilog_a",
        *("gate_pin", "gate_low", "gate_high", "gate_open", "selects"),
        *("select_on", "settle", "foundry", "mismatch"),
    )

    @property
    def has_levels(self) -> bool:
        """True if the gate chooses the level of a write."""
        return self.gate_pin > 0 and not self.selects

    @property
    def sha256(self) -> str:
        """SHA-256 of the library, without comments and with its includes in place, and of the model
        file's other entries.
        """
        return hashlib.sha256(
            json.dumps(
                {
                    key: value
                    for key, value in (self.as_dict() | {"name": ""}).items()
                    if key not in ("notes", "places", "verilog_a")
                    and (self.gate_pin or not key.startswith("gate_"))
                    and (value or key not in CELL)
                },
                sort_keys=True,
            ).encode()
        ).hexdigest()

    def check(self) -> None:
        """Raise ParameterError unless the library has the subcircuit, with its pins, the state's
        node and all parameters.
        """
        if not self.initial_parameter:
            raise ParameterError(
                f"initial_parameter is missing, which sets {self.state_node} at t = 0; a "
                f"capacitor 'C1 {self.state_node} 0 1' in {self.subcircuit} needs none"
            )
        for name in (
            self.subcircuit,
            self.initial_parameter,
            *self.state_node.split("."),
            *self.parameters,
        ):
            if not NAME.fullmatch(name):
                raise ParameterError(f"{name!r} is no name of a subcircuit, node or parameter")
        words = header_of(self.text, self.subcircuit)
        pins = pins_of(words)
        wanted = 3 if self.gate_pin else 2
        if len(pins) != wanted:
            extra = (pins[2:] or ["pin"])[0]
            raise ParameterError(
                f"subcircuit {self.subcircuit} must have {wanted} pins, has {len(pins)}: "
                f"{' '.join(pins)}; gate_pin is for a transistor's gate, and any other pin needs a "
                f"subcircuit 'two' around this one, with initial_parameter 'x0' and state_node "
                f"'x1.{self.state_node}': '.subckt two row column x0=0', 'X1 row column {extra} "
                f"{self.subcircuit} {self.initial_parameter}={{x0}}', 'R1 {extra} 0 1G', '.ends'"
            )
        if self.row_pin > wanted or self.row_pin == self.gate_pin:
            raise ParameterError(
                f"row_pin must be a pin from 1 to {wanted} and not gate_pin, got {self.row_pin}"
            )
        if self.selects and not self.gate_pin:
            raise ParameterError("select needs gate_pin, the pin that lets pulses in")
        if self.foundry:
            Process(self.foundry)
        if self.gate_pin and not self.selects and not self.gate_low < self.gate_high:
            raise ParameterError(
                f"gate: low must be below high, got {self.gate_low:g} and {self.gate_high:g} V"
            )
        known = [word.partition("=")[0] for word in words if "=" in word]
        for name in (self.initial_parameter, *self.parameters):
            if name.lower() not in known:
                raise ParameterError(
                    f"parameter {name} is not on the line .subckt {self.subcircuit}, which has "
                    f"{', '.join(known) or 'none'}"
                )
        node = self.state_node.lower().rpartition(".")[2]
        if node not in re.split(r"[^\w]+", self.text.lower()):
            inside = "." in self.state_node  # of another subcircuit
            block = re.search(
                rf"(?ms)^\s*\.subckt\s+{'' if inside else re.escape(words[1])}\b.*"
                rf"{'' if inside else '?'}^\s*\.ends",
                self.text.lower(),
            )
            pairs = re.findall(r"(?m)^\s*[a-z]\S*\s+(\w+)\s+(\w+)", block[0] if block else "")
            nodes = sorted({name for pair in pairs for name in pair} - {"0"})
            raise ParameterError(
                f"node {self.state_node} is missing in subcircuit {self.subcircuit}, whose nodes "
                f"are {', '.join(nodes)}"
            )

    def add_to(self, circuit: Circuit, compiled: bool = False) -> None:
        """Add the subcircuit's definition to a circuit, and for a cell with a gate the source of
        the node gate_open, at `gate_open` V. `compiled`: let ngspice run a compiled module of the
        same equations if it can.
        """
        if self.foundry:
            circuit.raw_spice += Process(self.foundry, mismatch=self.mismatch).header()
        if self.selects:
            circuit.raw_spice += NO_LEAK
        if compiled and not (self.verilog_a or self.foundry):
            module = compiled_library(self.text, self.subcircuit, self.state_node)
            circuit.faster = (self.text, module)
        if self.verilog_a:
            circuit.raw_spice += loading(self.verilog_a)
        circuit.raw_spice += self.text
        if self.gate_pin:
            circuit.V("gate_open", "gate_open", circuit.gnd, self.gate_open)

    def add_cell(
        self,
        circuit: Circuit,
        name: str,
        row: str,
        column: str,
        state: float | None,
        gate: str = "gate_open",
    ) -> None:
        """Add a memristor between the nodes `row` and `column`, with its `state` at t = 0; None:
        the subcircuit's default. Its gate, if it has one, is the node `gate`.
        """
        pins = [row if pin == self.row_pin else column for pin in (1, 2)]
        if self.gate_pin:
            order = {self.row_pin: row, self.gate_pin: gate}
            pins = [order.get(pin, column) for pin in (1, 2, 3)]
        initial = {} if state is None else {self.initial_parameter: float(state)}
        circuit.X(name, self.subcircuit, *pins, **self.parameters, **initial)

    def explained(self, error: SimulationError) -> str:
        """Return ngspice's complaint about a circuit of `add_cell`, with the line of the user's
        file that it is about, and a remedy.
        """
        cause, lines = END.split(str(error))[0], self.text.lower().splitlines()
        number = re.search(r"\bline (?:no\. )?(\d+)", cause)
        name = re.search(r"\bxcell\d*\.(?:\w+\.)*?(\w+?)(?:_int\d+)?\b", cause)
        k = int(number[1]) - 2 if number else len(lines)  # the netlist begins with a title
        if name and not number:
            part = rf"\b{name[1]}\b"
            uses = (k for k, one in enumerate(lines) if one[0] not in ".c" and re.search(part, one))
            k = next(uses, k)
        where = f"; see {self.places[k]}" if k < len(lines) else ""
        cure = next((cure for sign, cure in CURES if re.search(sign, cause)), "")
        return f"{cause[:300]}{where}{cure}"

    def state_vector(self, name: str) -> str:
        """Return ngspice's name of the node whose voltage is the state of the memristor `name`."""
        return f"x{name}.{self.state_node}".lower()


def preset_or_file(folder: Path, name: str, kind: str) -> tuple[Path, Fields]:
    """Return the path and the content of a preset in a `folder`, given its name, or of a file.
    Raises ParameterError, which names the `kind`, if there is none.
    """
    presets = sorted(path.stem for path in folder.glob("*.json"))
    path = folder / f"{name}.json" if name in presets else Path(name)
    try:
        return path, read_json(path, f"a {kind} file")
    except FileProblem as error:
        raise ParameterError(f"{kind} {name!r} is none of {', '.join(presets)}: {error}") from None


def has_entry(folder: Path, name: str, entry: str) -> bool:
    """Return True if `name` is a preset in a `folder` or a file, and has an `entry`."""
    try:
        return entry in preset_or_file(folder, name, "model")[1]
    except ParameterError:
        return False


def load_model(name: str) -> SpiceModel:
    """Return the model in a model file, given its path, or a model that comes with the project,
    given its name.

    Raises ParameterError, which names the file, for anything that is missing, damaged or not
    allowed.
    """
    path, content = preset_or_file(PRESETS, name, "model")
    try:
        given: Fields = {}
        for way in ("up", "down"):
            pulse = restored(Pulse, content.pop(way, None), way)
            given |= {f"voltage_{way}": pulse.voltage, f"width_{way}": pulse.width}
        if "gate" in content:
            gate = restored(GateEntry, content.pop("gate"), "gate")
            given |= {f"gate_{name}": volts for name, volts in vars(gate).items()}
        if "select" in content:
            select = restored(Select, content.pop("select"), "select")
            given |= {"gate_open": select.off, "select_on": select.on, "settle": select.settle}
            given["selects"] = True
        if given["voltage_up"] < 0 < given["voltage_down"]:
            raise ParameterError(
                f"up is {given['voltage_up']:g} V: voltages count from the row to the column, so "
                f"that up is positive; turn the device with the other row_pin, and both signs"
            )
        library = path.parent / restored(str, content.pop("file", None), "file")
        notes: dict[str, None] = {}
        if library.suffix in ENDINGS:
            lines, given["verilog_a"] = as_subcircuit(library, content, notes)
            places = [str(library)] * len(lines)
        else:
            statements = fitted(checked_library(library, notes), content, notes)
            lines = [one.text for one in statements]
            places = [f"{one.path}, line {one.line}" for one in statements]
        given |= {
            "name": path.stem,
            "text": "".join(f"{line}\n" for line in lines),
            "notes": list(notes),
            "places": places,
        }
        return restored(SpiceModel, content | given)
    except ParameterError as error:
        raise type(error)(f"{path}: {error}") from None


def unchanged_model(name: str, sha256: str) -> SpiceModel:
    """Return the model `name`. Raises ParameterError if it has changed since the measurement, when
    its hash was `sha256` ("": unknown).
    """
    model = load_model(name)
    if sha256 and sha256 != model.sha256:
        raise ParameterError(
            f"SPICE model {name} has changed since its device was measured: measure it again with "
            f"python -m memristive measure {shlex.quote(name)}, and train again"
        )
    return model


def check_model(name: str, sha256: str) -> None:
    """Raise ParameterError if the SPICE model of a device that is loaded has changed since the
    measurement. Devices without a model or a hash, or whose model file or compiler is not found,
    pass.
    """
    if sha256 and (not Path(name).suffix or os.path.isfile(name)):
        with contextlib.suppress(CompilerMissing):
            unchanged_model(name, sha256)


def checked_library(path: Path, notes: dict[str, None]) -> list[Statement]:
    """Return the statements of a SPICE library in the words of ngspice, without comments and with
    included files in place. Adds a line to `notes` for each kind of change.

    Raises ParameterError, which names file and line, if the library or an included file has any
    statement but a subcircuit, a model, a parameter, a function, an initial condition, or an
    element within a subcircuit.
    """
    statements, depth = list(translated(_statements(path), notes)), 0
    for statement in statements:
        word = statement.text.split()[0].lower()
        depth += (word == ".subckt") - (word == ".ends")
        if depth < 0:
            raise statement.refused("has no .subckt")
        if depth == 0 and word[0] != ".":
            raise statement.refused(
                "is outside of a subcircuit: leave the device alone in the file, and begin a "
                "comment with *"
            )
    if depth:
        raise ParameterError(f"{path}: a .subckt has no .ends")
    return statements


def _statements(path: Path, section: str = "", above: tuple[Path, ...] = ()) -> Iterator[Statement]:
    """Yield the allowed statements of a file, or of its `section`, and of the files that it
    includes. `above` are the files that include this one.
    """
    inside = ""
    joined, taken = _joined(path), {section}
    if not above:  # no .lib chooses a section of the model file's own library
        sections = {name: one for one in joined if (name := _section(one))}
        if len(sections) > 1:
            one = next(iter(sections.values()))
            raise one.refused(
                f"is one of the sections {', '.join(sections)}: choose it in a file of two lines, "
                f"'.include {path.name}' and '.lib {path.name} {next(iter(sections))}', and name "
                "that file in the model file"
            )
        taken |= set(sections)
    for statement in joined:
        word = statement.text.split()[0].lower()
        if name := _section(statement):
            inside = name
        elif word == ".endl":
            inside = ""
        elif inside not in taken:
            continue
        elif include := INCLUDE.fullmatch(statement.text.strip()):
            target = path.parent / (include[2] or include[3] or include[4])
            if target.resolve() in (path.resolve(), *above):
                raise statement.refused("includes itself")
            yield from _statements(target, include[5].lower(), (*above, path.resolve()))
        else:
            model = MODEL.match(statement.text)
            if DROPPED.fullmatch(word):
                yield statement
                continue
            if not PLAIN.fullmatch(statement.text):
                raise statement.refused("has a character that device files do not need")
            if (word not in CARDS and word[0] not in ELEMENTS) or re.search(
                r"file\s*=", statement.text, re.IGNORECASE
            ):
                raise statement.refused("is not allowed in a device file")
            if word == ".model" and not (model and model[1].lower() in MODEL_TYPES):
                raise statement.refused(f"must be .model NAME and one of {' '.join(MODEL_TYPES)}")
            yield statement


def _section(statement: Statement) -> str:
    """Return the name of the section that a statement begins, in lower case; "" for other
    statements. `.lib NAME` begins a section, `.lib FILE` and `.lib FILE NAME` include.
    """
    words = statement.text.split()
    if len(words) != 2 or words[0].lower() != ".lib":
        return ""
    is_file = os.path.isfile(statement.path.parent / words[1].strip("\"'"))
    return "" if is_file else words[1].lower()


def _joined(path: Path) -> list[Statement]:
    """Return all statements of a file, without comments. A line that begins with + continues the
    statement before.
    """
    if not os.path.isfile(path):
        raise ParameterError(f"{path} does not exist")
    statements: list[Statement] = []
    data = path.read_bytes()
    try:
        content = data.decode("utf-16" if data[:2] in UTF_16 else "utf-8-sig")
    except UnicodeDecodeError:
        content = data.decode("latin-1")
    for sign, words in FOREIGN:
        if sign.search(content):
            raise ParameterError(f"{path} {words}")
    for number, line in enumerate(content.split("\n"), 1):
        text = (
            ""
            if line.lstrip().startswith("*")
            else re.sub(r"\s*=\s*", "=", COMMENT.sub("", line).strip())
        )
        if text.startswith("+") and statements:
            statements[-1] = statements[-1]._replace(
                text=re.sub(r"\s*=\s*", "=", f"{statements[-1].text} {text[1:].strip()}")
            )
        elif text:
            statements.append(Statement(path, number, text))
    return statements
