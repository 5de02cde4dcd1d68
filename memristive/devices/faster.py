"""A subcircuit of B sources as a module of Verilog-A, which ngspice computes ten times as fast."""

import functools
import hashlib
import re

from memristive.devices.spice_dialect import arguments, pins_of
from memristive.devices.verilog_a import INSTANCE, find_compiler, kept_variables, loading
from memristive.parameters import ParameterError

SCALES = dict(zip(("t", "g", "meg", "k", "", *"munpf"), range(12, -18, -3), strict=True))
NUMBER = re.compile(r"(?<![\w.])((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(t|g|meg|k|m|u|n|p|f|)(?![\w.])")
PAIR = re.compile(r"(\w+)=(\{[^{}]*\}|'[^']*'|\S+)")
FUNCTION = re.compile(r"\.func\s+(\w+)\s*\(([^)]*)\)\s*=?\s*(.*)")
# what Verilog-A lacks or defines otherwise
FUNCTIONS = {
    "pow": (["x", "y"], "POW(abs(x), y)"),
    "uramp": (["x"], "max(x, 0)"),
    "u": (["x"], "(x > 0 ? 1 : 0)"),
}
OTHERWISE = re.compile(r"\^|\*\*|\b(time|temper|log|i)\b")


@functools.lru_cache
def compiled_library(text: str, name: str, state: str) -> str:
    """Return statements that replace a library's `text`: they load its subcircuit `name`, whose
    node `state` is the state, as a compiled module. "": there is no compiler, or the library holds
    more than sources with formulas, resistors and capacitors.
    """
    try:
        return _translated(text.lower(), name.lower(), state.lower()) if find_compiler() else ""
    except (ValueError, ParameterError):
        return ""


def _translated(text: str, name: str, state: str) -> str:
    """Raise ValueError or ParameterError for what has no translation."""
    functions, lines = dict(FUNCTIONS), text.splitlines()
    for line in lines:
        if match := FUNCTION.match(line):
            functions[match[1]] = [one.strip() for one in match[2].split(",")], match[3]
    call_of = re.compile(rf"\b({'|'.join(functions)})\s*\(")

    def formula(text: str) -> str:
        text = re.sub(r"'([^']*)'", r"(\1)", text).replace("{", "(").replace("}", ")")
        text = re.sub(r"\bv\(\s*(\w+)\s*\)", r"v(\1,0)", text)
        text = re.sub(r"\bv\(\s*(\w+)\s*,\s*(\w+)\s*\)", r"V(N_\1,N_\2)", text)
        while call := call_of.search(text):
            names, form = functions[call[1]]
            given, end = arguments(text, call.end())
            values = dict(zip(names, (f"({one})" for one in given), strict=True))
            form = "".join(values.get(word, word) for word in re.split(r"\b", form))
            text = f"{text[: call.start()]}({formula(form)}){text[end:]}"
        if OTHERWISE.search(text):
            raise ValueError
        return NUMBER.sub(lambda one: repr(float(one[1]) * 10.0 ** SCALES[one[2]]), text)

    begin = next(k for k, line in enumerate(lines) if line.split()[:2] == [".subckt", name])
    end = next(k for k, line in enumerate(lines) if k > begin and line.startswith(".ends"))
    ports = [*pins_of(lines[begin].split()), state]
    nodes, initial, laws, inner = dict.fromkeys(ports), "", [""], [""]
    parameters = [lines[begin], *(line for line in lines if line.startswith(".param"))]
    for line in lines[begin + 1 : end]:
        if line.startswith((".func", ".param")):
            continue
        kind, (_, a, b, rest) = line[0], line.split(None, 3)
        nodes |= {a: None, b: None}
        across = f"V(N_{a},N_{b})"
        target = f"I(N_{a},N_{b}) <+"
        if match := re.fullmatch(r"(i|v|value)=(.*)", rest):
            law = formula(match[2])
            if match[1] == "v" or kind == "e":
                target = f"{across} <+"
                if b == "0" and a not in ports:  # a variable needs no unknown
                    inner.append(a)
                    target = f"S_{a} ="
        elif kind == "i" and rest[0] == "{":
            law = formula(rest)
        elif kind == "r":
            law = f"{across}/({formula(rest)})"
        elif kind == "c":
            value, _, start = rest.partition(" ic=")
            if start:
                if (a, b) != (state, "0"):
                    raise ValueError
                initial = f".ic v({state})={start}\n"
            law = f"ddt(({formula(value)})*{across})"
        elif kind == "g" and rest.startswith("poly(2)"):
            p, q, r, s, *factors = re.findall(r"\{[^{}]*\}|\S+", rest.removeprefix("poly(2)"))
            x, y = f"v({p},{q})", f"v({r},{s})"
            terms = zip(factors, ("1", x, y, f"{x}*{x}", f"{x}*{y}", f"{y}*{y}"), strict=False)
            law = formula("+".join(f"{factor}*{term}" for factor, term in terms))
        else:
            raise ValueError
        laws.insert(len(inner) if "S_" in target[:2] else len(laws), f"{target} {law};")
    unique = f"faster_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    pins = ", ".join(f"N_{node}" for node in ports)
    module = "\n".join(
        [
            '`include "disciplines.vams"',
            f"module {unique}({pins}); inout {pins};",
            f"electrical {', '.join(f'N_{node}' for node in {**nodes, '0': None})}; ground N_0;",
            *(
                f"{INSTANCE} parameter real {key} = {formula(value)};"
                for key, value in PAIR.findall(" ".join(parameters))
            ),
            *(f"real S_{node};" for node in inner[1:]),
            "analog begin",
            *laws,
            "end endmodule\n",
        ]
    ).replace("POW(", "pow(")
    for node in inner[1:]:
        module = module.replace(f"V(N_{node},N_0)", f"S_{node}")
    if kept_variables(module):
        raise ValueError
    given = " ".join(f"{key}={{{key}}}" for key, _ in PAIR.findall(lines[begin]))
    return (
        f"{loading(module)}{lines[begin]}\nN1 {' '.join(ports)} of_{unique} {given}\n"
        f"{initial}.ends\n.model of_{unique} {unique}\n"
    )
