"""SPICE as others write it: statements of LTspice, PSpice and HSPICE in the words of ngspice.

The translation works on checked statements that ngspice gets, never on the user's file. Each change
leaves a note, which `memristive measure` prints.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from memristive.files import restored
from memristive.parameters import Fields, ParameterError

# no part of a device: analyses, output, settings of another simulator
DROPPED = re.compile(
    r"\.(options?|probe\w*|backanno|tran|op|dc|ac|print|plot|save|meas\w*|step|temp|title|end|global)",
    re.IGNORECASE,
)
# the temperature, which ngspice takes from .temp
TEMPERATURE = re.compile(r"\.(?:temp\s+(.*)|options?\s.*?\btemp=(\S+).*)", re.IGNORECASE)
GLOBAL = re.compile(r"\.global(\s+(0|gnd!?))+", re.IGNORECASE)
WORDS = (
    (re.compile("[µμ]"), "u", "µ read as u"),
    (re.compile(r"(?<!&)&(?!&)"), "&&", "& written as &&"),
    (re.compile(r"(?<!\|)\|(?!\|)"), "||", "| written as ||"),
    (re.compile(r"\bgnd!", re.IGNORECASE), "0", "gnd! read as 0"),
    (re.compile("~"), "!", "~ written as !"),
    (re.compile(r"\s+tripd[vt]=\S+", re.IGNORECASE), "", "tripdv and tripdt dropped"),
    (
        re.compile(r"^(r\S*(?:\s+\S+){2}\s+r=)([^{'].*\b[vi]\(.*)", re.IGNORECASE),
        r"\1{\2}",
        "the formula of a resistor written in braces",
    ),
)
# of LTspice, in SI units
CONSTANTS = {
    "boltz": "1.380649e-23",
    "echarge": "1.602176634e-19",
    "planck": "6.62607015e-34",
    "kelvin": "(-273.15)",
}
# functions that ngspice lacks or computes differently, by name and number of arguments
FORMS = {
    ("if", 3): "(({0}) ? ({1}) : ({2}))",
    ("stp", 1): "(({0}) > 0 ? 1 : 0)",
    # the middle one of three values, as LTspice defines it
    ("limit", 3): "min(max({0}, min({1}, {2})), max({1}, {2}))",
    ("pwr", 2): "pow(abs({0}), {1})",
    ("pwrs", 2): "(sgn({0}) * pow(abs({0}), {1}))",
    # LTspice gives no formula of these two: its minimum and maximum, rounded by an exponential
    ("uplim", 3): "(min({0}, ({1})-({2})) + ({2})*(1 - exp(-max(({0})-({1})+({2}), 0)/({2}))))",
    ("dnlim", 3): "(max({0}, ({1})+({2})) - ({2})*(1 - exp(-max(({1})+({2})-({0}), 0)/({2}))))",
    ("buf", 1): "(({0}) > 0.5 ? 1 : 0)",
    ("inv", 1): "(({0}) > 0.5 ? 0 : 1)",
    ("int", 1): "(sgn({0}) * floor(abs({0})))",
    ("round", 1): "(sgn({0}) * floor(abs({0}) + 0.5))",
    ("fabs", 1): "abs({0})",
    ("square", 1): "(({0})*({0}))",
    ("hypot", 2): "sqrt(({0})*({0}) + ({1})*({1}))",
    ("atan2", 2): "((({0}) < 0 ? -1 : 1) * (({1}) < 0 ? 3.141592653589793"
    " - atan(abs({0})/max(abs({1}), 1e-30)) : atan(abs({0})/max(abs({1}), 1e-30))))",
}
# ngspice's pwl goes on beyond its ends
TABLE = "pwl(min(max({0}, {1}), {2}), {3})"
RANDOM = (
    "is a random number in ngspice, another one in each circuit: write its mean {} in its place"
)
INTEGRAL = (
    "is an integral, which ngspice lacks; a capacitor makes v(x) the integral of RATE: "
    "'Cx x 0 1 ic={{x0}}' and 'Gx 0 x value={{RATE}}'"
)
NOISE = "is another noise in each run: leave it out, and give the device file a write_noise"
REFUSED = dict.fromkeys(("gauss", "agauss", "unif", "aunif"), RANDOM) | {
    **dict.fromkeys(("trnoise", "trrandom"), NOISE),
    "limit": RANDOM + ", or give limit(x, low, high) three values",
    **dict.fromkeys(("idt", "sdt"), INTEGRAL),
}
CALL = re.compile(
    rf"(?<![\w.])({'|'.join({*REFUSED, 'table', *(name for name, _ in FORMS)})})\s*\(", re.I
)
CHARGE = re.compile(r"^c.*\sq=", re.IGNORECASE)
DEFINED = re.compile(r"\.func\s+(\w+)", re.IGNORECASE)
# what ngspice and other simulators compute differently, without a translation
REMARKS = (
    (
        re.compile(r"\bpow\(|(\*\*|\^)(?!\s*[246]\b)", re.IGNORECASE),
        "in ngspice pow, ** and ^ take the magnitude of a negative base; pwrs keeps its sign",
    ),
    (
        re.compile(r"\btemper\b(?!\s*\+)", re.IGNORECASE),
        "temper is in degrees Celsius, 27 without .temp: laws in kelvin need temper + 273.15",
    ),
    (re.compile(r"=\{?[\d.]+M\b"), "M is milli in SPICE, and Meg is 1e6"),
)
VALUE = r"\{[^{}]*\}|'[^']*'|\S+"
DEFAULT = "9e99"  # a start that no model has: the subcircuit's own


class Statement(NamedTuple):
    """One statement of a library, with its continuation lines joined, and the file and line where
    it begins.
    """

    path: Path
    line: int
    text: str

    def refused(self, reason: str) -> ParameterError:
        return ParameterError(f"{self.path}, line {self.line}: {self.text.strip()[:40]!r} {reason}")


def translated(statements: Iterable[Statement], notes: dict[str, None]) -> Iterator[Statement]:
    """Yield `statements` in the words of ngspice, and add a line to `notes` for each kind of
    change. Raises ParameterError, which names file and line, for functions that ngspice lacks or
    takes for random numbers.
    """
    statements = list(statements)
    own = {match[1].lower() for one in statements if (match := DEFINED.match(one.text))}
    given = {word.lower() for one in statements for word in re.findall(r"(\w+)=", one.text)}
    constants = {name: value for name, value in CONSTANTS.items() if name not in given}
    for statement in statements:
        text = statement.text
        if match := TEMPERATURE.fullmatch(text):
            try:
                celsius = float(match[1] or match[2])
            except ValueError:
                raise statement.refused("must give one number, in degrees Celsius") from None
            notes[f"measured at {celsius:g} degrees Celsius"] = None
            yield statement._replace(text=f".temp {celsius!r}")
            continue
        if DROPPED.fullmatch(word := text.split()[0]):
            if word.lower() == ".global" and not GLOBAL.fullmatch(text):
                raise statement.refused("joins nodes of all subcircuits: make them pins")
            notes[f"{word} dropped"] = None
            continue
        if CHARGE.match(text):
            raise statement.refused(
                "has a charge, which ngspice does not follow: write its derivative, 'C='"
            )
        for pattern, new, note in WORDS:
            text, count = pattern.subn(new, text)
            if count:
                notes[note] = None
        for constant, value in constants.items():
            word = rf"(?<![\w.]){constant}(?![\w.(])"
            text, count = re.subn(word, value, text, flags=re.IGNORECASE)
            if count:
                notes[f"{constant} written as {value}"] = None
        while call := next((one for one in CALL.finditer(text) if one[1].lower() not in own), None):
            name, (values, end) = call[1].lower(), arguments(text, call.end())
            form = FORMS.get((name, len(values)))
            if name == "table" and len(values) % 2 and len(values) > 4:
                form = TABLE
                values = [values[0], values[1], values[-2], ", ".join(values[1:])]
            if not form:
                reason = REFUSED.get(name, f"has {len(values)} values").format(values[0])
                raise statement.refused(f"{name}() {reason}")
            text = text[: call.start()] + form.format(*values) + text[end:]
            notes[f"{name}() written as {form.format('x', 'a', 'b', '...')}"] = None
        if own and re.search("[{']", text):  # within them, ngspice misses a function behind ? or :
            text = re.sub(rf"(?<=[?:])\s*(?=(?:{'|'.join(own)})\s*\()", " 0+", text, flags=re.I)
        notes |= {remark: None for pattern, remark in REMARKS if pattern.search(statement.text)}
        yield statement._replace(text=text)


def arguments(text: str, begin: int) -> tuple[list[str], int]:
    """Return the arguments of a call whose parenthesis opens before `begin`, and where it ends."""
    depth, values = 1, [""]
    for k, letter in enumerate(text[begin:], begin + 1):
        depth += (letter in "([{") - (letter in ")]}")
        if not depth:
            return [value.strip() for value in values], k
        if letter == "," and depth == 1:
            values.append("")
        else:
            values[-1] += letter
    return values, len(text)


def header_of(text: str, subcircuit: str) -> list[str]:
    """Return the words of the line .subckt of a `subcircuit`, in lower case. Raises ParameterError
    if the library's `text` lacks it.
    """
    lines = map(str.split, text.lower().splitlines())
    headers = {words[1]: words for words in lines if words[0] == ".subckt"}
    if subcircuit.lower() not in headers:
        raise ParameterError(
            f"subcircuit {subcircuit} is missing; name one of the file's: "
            f"{', '.join(headers) or 'it has none'}"
        )
    return headers[subcircuit.lower()]


def pins_of(words: list[str]) -> list[str]:
    """Return the pins on a .subckt line, given its `words`."""
    return list(
        itertools.takewhile(lambda word: "=" not in word and word.lower() != "params:", words[2:])
    )


def fitted(statements: list[Statement], content: Fields, notes: dict[str, None]) -> list[Statement]:
    """Return a library's `statements`, changed such that a circuit can set the subcircuit's values.

    The state has no pin, its value at t = 0 is a parameter, and the model file's `parameters` also
    replace values in .param.

    Changes the model file's `content` accordingly, and adds a line to `notes` for each change.
    """
    texts = [one.text for one in statements]
    name, node = (re.escape(str(content.get(key))) for key in ("subcircuit", "state_node"))

    def find(pattern: str, within: range) -> tuple[int, re.Match[str]] | None:
        hits = ((k, re.search(pattern, texts[k], re.IGNORECASE)) for k in within)
        return next(((k, hit) for k, hit in hits if hit), None)

    def put(place: tuple[int, re.Match[str]], text: str) -> None:
        k, hit = place
        texts[k] = texts[k][: hit.start(1)] + text + texts[k][hit.end(1) :]

    everywhere = range(len(texts))
    if not (header := find(rf"^\.subckt\s+{name}()(\s|$)", everywhere)):
        return statements
    body = range(header[0], (find(r"^\.ends", range(header[0], len(texts))) or header)[0])
    given = restored(dict[str, float], content.get("parameters", {}), "parameters")
    wanted = str(content.get("initial_parameter", ""))
    known = rf"\b{re.escape(wanted)}="
    for key in list(given):
        entry = rf"\b{re.escape(key)}=(.*?)(?=\s+\w+(?:\(.*?\))?=(?!=)|$)"
        if not find(entry, body[:1]) and (place := find(r"^\.param.*?" + entry, everywhere)):
            put(place, repr(given.pop(key)))
    content["parameters"] = given

    if place := find(rf"^\.subckt(?:\s+[^\s=]+)+?(\s+{node})(?=\s|$)", body[:1]):
        put(place, "")
        notes[f"pin {node} is the state and stays open; row_pin counts the other pins"] = None

    memory = find(rf"^c\S*\s+{node}\s.*?()$", body)
    begin = find(rf"^c\S*\s+{node}\s.*(\sic=({VALUE}))", body) or find(
        rf"^\.ic\b.*(\bv\(\s*{node}\s*\)=({VALUE}))", body
    )
    start = begin[1][2].strip("{}'") if begin else "0"
    if (
        memory
        and not (start == wanted and find(known, body[:1]))
        and (not wanted or find(known, body[:1]) or find(r"^\.param.*" + known, everywhere))
    ):
        content["initial_parameter"] = own = f"start_{node}"
        if begin:
            put(begin, "")
        texts[memory[0]] += f" ic={{({own} == {DEFAULT}) ? ({start}) : ({own})}}"
        texts[header[0]] += f" {own}={DEFAULT}"
        notes[f"{node} starts at any value, by default at {start}: no initial_parameter needed"] = (
            None
        )
    return [
        one._replace(text=text)
        for one, text in zip(statements, texts, strict=True)
        if text.strip().lower() != ".ic"
    ]
