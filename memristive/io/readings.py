"""Readings of devices after pulses, from tables as laboratories write them (docs/your_files.md).

Names and units of columns stand in one table, `NAMES`. Each layout is brought into one form: a row
for each reading, with the direction of the pulse before it. From this form follow the pulses
between two readings.
"""

import itertools
import re
import warnings
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from memristive.devices.curve_fit import LARGEST, merged, order_losses
from memristive.devices.device_spread import Readings
from memristive.devices.one_sided_fit import is_one_sided
from memristive.io.records import report
from memristive.io.tables import NUMBER, read_cells
from memristive.parameters import ParameterError

NUMBERED = r"(?: ?(?:#|no|nr|num|number|index|idx|count|id))?"
MEAN = r"(?:(?:read|mean|average|avg|measured) ?)?"
PULSE = r"(?:pulse|write|program|prog)"
# kinds of columns: unit, and names in lower case with spaces between words
NAMES = {
    "conductance": ("S", rf"{MEAN}(?:g|cond|conductance)|g read"),
    "resistance": ("ohm", rf"{MEAN}(?:r|res|resistance)|r read"),
    "current": ("A", rf"{MEAN}(?:i|current)|i ?read"),
    "voltage": ("V", r"v|voltage"),
    "amplitude": (
        "V",
        rf"(?:{PULSE} ?)?(?:amplitude|amp)|{PULSE} ?(?:voltage|v|height)|v ?(?:{PULSE}|amp)",
    ),
    "read voltage": ("V", r"read ?(?:voltage|v)|v ?read"),
    "width": ("s", r"(?:pulse ?)?(?:width|duration|length)|[tw] ?pulse|pw"),
    "direction": ("", r"(?:pulse ?)?(?:direction|polarity|type)|operation|op|phase"),
    "sweep": ("", rf"(?:sweep|cycle){NUMBERED}"),
    "pulse": ("", rf"pulses?{NUMBERED}|index|(?:#|number) of pulses|n ?pulses?"),
    "device": ("", rf"(?:device|cell|dut)(?: ?name)?{NUMBERED}"),
    # of a device on a wafer or in an array
    "place": (
        "",
        r"(?:die|chip|sample|row|col|column|wl|bl|word ?line|bit ?line)(?: ?[xy])?" + NUMBERED,
    ),
}
READ = ("conductance", "resistance", "current")  # what is read; the first of them counts
# words for directions, in names of columns; a column direction has some more
WORDS = dict.fromkeys(("up", "ltp", "potentiation", "pot", "increase"), 1)
WORDS |= dict.fromkeys(("down", "ltd", "depression", "dep", "decrease"), -1)
SIGNS = WORDS | {"set": 1, "positive": 1, "p": 1, "+": 1}
SIGNS |= {"reset": -1, "negative": -1, "d": -1, "-": -1}
# a device at the end or the beginning of a name, as in "g 1" and "device a 3"
WHICH = re.compile(
    r"\b(?:(?:device|dev|cell|dut|d) )?(?:[a-fhj-qsuw-z] )?\d+$"
    r"|^(?:device|dev|cell|dut|d) (?:[a-z] )?\d+\b"
)
PREFIXES = {"": 0, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "k": 3, "K": 3, "M": 6}
UNITS = dict.fromkeys(("S", "siemens", "Siemens"), "S") | {"A": "A", "V": "V", "s": "s", "sec": "s"}
UNITS |= dict.fromkeys(("ohm", "Ohm", "ohms", "Ohms", "Ω", "\N{OHM SIGN}"), "ohm")
EDGE = r"[\s_.,/()\[\]{}]"  # around a unit in a header
UNIT = re.compile(rf"{EDGE}*([{''.join(PREFIXES)}]?)({'|'.join(UNITS)}){EDGE}*")
TIME = re.compile(r"(?i)(?:t|time|elapsed ?time|delay)(?![a-z])")  # of readings without pulses
# factor of ten in a header, which may mean that values are to be multiplied or were multiplied
FACTOR = re.compile(
    r"(?:(?<![A-Za-z])x|[×*·⋅]) *1(?:0|[eE])|(?<!\d)10 *(?:\^|\*\*|[-−])|\b1[eE][-+−]?\d"
    rf"|[(\[{{/] *\d[\d.]* *[{''.join(PREFIXES)}]?(?:{'|'.join(UNITS)}){EDGE}*$"
)
POWERS = str.maketrans(dict.fromkeys("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "^"))
# lines beside the table, and what they may tell
READ_AT = re.compile(
    r"(?i)(?:\bv[ _.-]?read|\bread[ _.-]?(?:voltage|bias|v)\b|\bbias\b)[^\d\n]{0,30}?"
    r"(\d*\.?\d+) *(m?)(?:V\b)?|\bread\b[^\d\n]{0,20}(\d*\.?\d+) *(m?)V\b"
)
EVERY = re.compile(r"(?i)\b(?:every|each|after|per)\W+(\d+)(?:st|nd|rd|th)?\W+pulses?\b")
RISING = re.compile(r"(?i)\bispp\b|\bincremental step")
# columns that are not used and may change the pulses: with V, K, C or s, named so, or of texts
CONDITION = re.compile(
    r".*[\s_(\[/][pnuµμmk]?(V|K|°? ?C|s|sec)[)\]]*$"
    r"|(?i:.*\b(?:v ?g|gate|temp|temperature|status|flag|compliance)\b)"
)
STEPS = re.compile(r"(?i)\bv[ _]?(?:step|incr)|(?:step|incr\w*)[ _]v")  # of rising voltages
UNUSED = "unused "  # before the header of a column that is not used, in tables by kind
REMARK = re.compile(r"(?i).*(?:time|date|stamp|note|comment|remark|file|user|operator|name)")
# s, of the units of times that are no power of ten of a second
LONG_TIMES = {r"min(?:ute)?s?": 60.0, r"h(?:our|r)?s?": 3600.0, r"d(?:ay)?s?": 86400.0}
# other columns, and why they do not do
OTHERS = {
    r"\b(lrs|hrs|r ?on|r ?off|set|reset)\b": "one LRS and one HRS a cycle: steps between them are "
    "missing; measure the conductance after each pulse, or name curves of pulses 'up' and 'down'",
    r"^(log|lg|ln)": "logarithms: write 10 (or e) to their power into a column 'conductance (S)'",
    r"norm|g ?max|weight": "shares of a range: multiply them by the range in S, in a column "
    "'conductance (S)'",
}
OVERFLOW = 9e36  # instruments write 9.9e37 for a value beyond their range
NOISY = 0.1  # readings below 0 by this share of the highest may be noise
NEAR = 0.1  # relative: a voltage so near the read voltage is a read
ALIKE = 0.03  # relative: pulses that differ by less are identical
ZERO_C = 273.15  # K
UNUSUAL = 1e-3  # S: above it, a unit in the header must say so
SWEEP = 10  # voltages of an I-V sweep
SORTED = 0.8  # share of rows with another sweep than the row before, in a table sorted by pulse
SAME = 0.5  # correlation of neighbouring pulses, of what repeated reads differ by
STUCK = 5  # equal readings of a meter at its limit
LEAP = 10  # times the pulses before any other reading, which only a wrong number or row leaps
COARSE = 10  # least steps of a reading's last digit from there to the readings around
SURE = 5.0  # difference of the logs of likelihoods
SHORT = 5  # most readings between turns of which each turn counts
# reads of one pulse: how many, steps that are tested, and standard errors by which steps of pulses
# must stand out
REPEATS, TESTED, CLEAR = range(2, 7), 600, 5.0


class Column(NamedTuple):
    """Column of a table: what its header says.

    In order: the header, its kind in `NAMES` or "", its unit and power of ten, the direction of the
    pulses before its readings (1 up, -1 down, 0 if the header has none), the device, and if the
    header has a unit.
    """

    header: str
    kind: str = ""
    unit: str = ""
    power: int = 0
    up: int = 0
    device: str = ""
    stated: bool = False


class Table(NamedTuple):
    """Columns of a file, its rows as texts, and lines beside the table by their number."""

    columns: list[Column]
    rows: pd.DataFrame
    comments: dict[int, str]


class Ordered(NamedTuple):
    """Readings of one device in the order of measurement.

    Each has its conductance in S, the direction of the pulses before it (1 up, -1 down, 0 at the
    start of a sweep), their number, its row in the file, and its cell.

    If rows hold directions and no numbers of pulses, `before` has the directions for readings that
    precede the pulse of their row.
    """

    conductance: np.ndarray
    direction: np.ndarray
    pulses: np.ndarray
    rows: np.ndarray
    given: np.ndarray
    before: np.ndarray | None = None


def read_readings(
    path: Path, read_voltage: float, file: Table | None = None
) -> tuple[list[Readings], int]:
    """Return the readings of each device in a file, and a checksum of the file's values; print a
    line for each conversion. A device that has no name in the file is called "".

    Parameters
    ----------
    path : Path
        Table in one of the layouts of docs/your_files.md.
    read_voltage : float
        V, of the measurement. Currents are divided by it, and in a column of voltages rows near it
        are reads.
    file : Table, optional
        What `read_file` has returned for this path.

    Raises
    ------
    ParameterError
        A column is missing or ambiguous, or values cannot be used. The message names the row of the
        file.
    """
    table = file or read_file(path)
    checksum = zlib.crc32(table.rows.reset_index(drop=True).to_csv().encode())
    notes, devices = list[str](), dict[str, Ordered]()
    _check_comments(table, read_voltage)
    for device, one in _tables(*table[:2], read_voltage, notes):
        try:
            devices[device] = pulse_columns(one, read_voltage, notes)
        except ParameterError as error:
            raise ParameterError(f"device {device}: {error}" if device else str(error)) from None
    ordered = [
        _without_stuck(one, f"device {device}: " if device else "")
        for device, one in zip(
            devices, _in_likeliest_order(list(devices.values()), notes), strict=True
        )
    ]
    for note in dict.fromkeys(notes):
        report(f"{path}: {note}")
    return [
        Readings(device, *one[:3], seed, one.rows)
        for seed, (device, one) in enumerate(zip(devices, ordered, strict=True))
    ], checksum


def read_file(path: Path, decimal: str = "") -> Table:
    """Return the table in a file, for `read_readings` and `read_over_time`; `decimal` as in
    `read_cells`.
    """
    if path.suffix in (".lib", ".va"):
        raise ParameterError(f"{path} holds no readings: measure it by a model file NAME.json")
    cells = read_cells(
        path,
        lambda names: [k for k, name in enumerate(names) if column_of(name).kind in READ],
        decimal,
    )
    no_units = [""] * len(cells.header)
    units = next((row for row in cells.near if _are_units(row)), no_units)
    columns = [
        column_of(f"{name} ({unit})" if unit else name)
        for name, unit in zip(cells.header, units, strict=True)
    ]
    return Table(columns, cells.rows.set_axis(cells.header, axis=1), cells.comments)


def _are_units(row: list[str]) -> bool:
    """Return True if most cells of a row are units or empty."""
    units = [bool(UNIT.fullmatch(cell) or FACTOR.search(_plain(cell))) for cell in row if cell]
    return any(units) and sum(units) >= len(units) / 2


def _plain(header: str) -> str:
    """Return a header with superscripts as powers."""
    return header.translate(POWERS)


def read_over_time(
    path: Path, read_voltage: float, file: Table
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the times in s, the conductances in S and the devices of readings without pulses, from
    a `file` with a column time; None for one of other readings. Raises ParameterError as
    `read_readings` does, and for times in other units.
    """
    columns, rows, _ = file
    times = [k for k, column in enumerate(columns) if TIME.match(column.header)]
    kinds = {column.kind for column in columns if column.kind}
    directed = any(column.up for column in columns)
    if not times or directed or not kinds <= {*READ, "device", "place", "read voltage"}:
        return None
    _check_comments(file, read_voltage)
    header, notes = columns[times[0]].header, list[str]()
    long = [
        factor
        for unit, factor in LONG_TIMES.items()
        if re.search(f"(?i){EDGE}{unit}{EDGE}*$", header)
    ]
    match = re.fullmatch(f"(.+?)(?={EDGE}){UNIT.pattern}", header)
    if (match and UNITS[match[3]] != "s") or not (
        match or long or not re.search(r"[\[(/]", header)
    ):
        raise ParameterError(
            f"column {header!r} must be in s: convert the times, name it 'time (s)'"
        )
    power = PREFIXES[match[2]] if match else 0
    seconds = _numbers(Column(header, "time", "s", power), rows.iloc[:, times[0]])
    if long:
        seconds, notes = seconds * long[0], [f"column {header!r} converted to s"]
    if begin := int((seconds == 0).sum()):
        notes.append(f"readings at 0 s left out, at which no time has passed: {begin}")
        rows, seconds = rows[seconds != 0], seconds[seconds != 0]
    others = [k for k in range(len(columns)) if k not in times]
    tables = list(_tables([columns[k] for k in others], rows.iloc[:, others], read_voltage, notes))
    for note in dict.fromkeys(notes):
        report(f"{path}: {note}")
    for _, table in tables:
        _check_unused(table, "readings over time")
    siemens = pd.concat([table["conductance"] for _, table in tables])
    names = np.repeat([name for name, _ in tables], [len(table) for _, table in tables])
    return seconds.loc[siemens.index].to_numpy(float), siemens.to_numpy(float), names


def column_of(header: str) -> Column:
    """Return what a column with this header holds. Its unit is "?" if it cannot be read."""
    name, unit, power = header, "", 0
    if match := re.fullmatch(f"(.+?)(?={EDGE}){UNIT.pattern}", header):
        name, unit, power = match[1], UNITS[match[3]], PREFIXES[match[2]]
    # brackets hold a direction, a device, a note, or a unit that is none
    texts = name, re.split(r"[\[({]", name)[0]
    named, plain = (" ".join(re.findall(r"[a-z]+|\d+|#", text.lower())) for text in texts)
    for words in (named, plain):
        stated = "?" if words == plain and texts[0] != texts[1] else unit
        which, left = WHICH.search(words), WHICH.sub("", words).split()
        signs = {WORDS[word] for word in left if word in WORDS}
        rest = " ".join(word for word in left if word not in WORDS)
        if len(signs) > 1 or (which and "read" in left):  # reads are no devices
            continue
        for kind, (own, names) in NAMES.items():
            implied = not rest and (unit == own if unit else signs) and (signs or which)
            if (kind in READ and implied) or (
                re.fullmatch(names, rest) and (kind in READ or not signs)
            ):
                device = which[0].replace(" ", "") if which else ""
                stated = stated if own else unit
                return Column(header, kind, stated or own, power, sum(signs), device, bool(stated))
    return Column(header)


def _check_columns(columns: list[Column]) -> None:
    """Raise ParameterError for columns that are missing, appear twice or have a wrong unit."""
    headers = ", ".join(column.header for column in columns)
    if any(NUMBER.fullmatch(column.header) for column in columns):
        raise ParameterError(
            f"there is no header above numbers ({headers}): write one, such as "
            "pulse,conductance,direction"
        )
    for column in columns:
        for names, meaning in OTHERS.items():
            other = re.search(names, column.header.lower().replace("_", " "))
            if other and not any(one.kind in READ and one.unit != "?" for one in columns):
                raise ParameterError(f"column {column.header!r} has {meaning}")
    if not any(column.kind in READ for column in columns):
        raise ParameterError(
            f"column 'conductance (S)' is missing, or 'resistance (ohm)' or 'current (A)', found "
            f"{headers}: name it so, or name two such columns 'up' and 'down'"
            + "; if letters are wrong, save the file as UTF-8"
            * (not headers.isascii())
        )
    seen = dict[tuple[str, int, str], str]()
    for header, kind, unit, _, up, device, _ in columns:
        if kind and FACTOR.search(_plain(header)):
            raise ParameterError(
                f"column {header!r} has a factor, which may mean either way: convert the values, "
                f"and name it '{kind} ({unit if unit in NAMES[kind][0] else NAMES[kind][0]})'"
            )
        if kind and unit != NAMES[kind][0]:
            right = f"{kind} ({NAMES[kind][0]})".removesuffix(" ()")
            raise ParameterError(
                f"column {header!r} has no unit of {right!r}: convert the values and name it so, "
                "or name it for what it holds, such as 'pulse voltage (V)'"
            )
        key = (kind, up, device)
        if kind and key in seen:
            raise ParameterError(
                f"columns {seen[key]!r} and {header!r} both hold {kind}: leave one out; if one "
                "belongs to each direction, keep one of the pulses, and name the readings 'up' and "
                "'down'; if to each device, write them below each other, with a column 'device'"
            )
        seen[key] = header


def _tables(
    columns: list[Column], rows: pd.DataFrame, read_voltage: float, notes: list[str]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name of each device, and its readings: a table with the columns conductance in S,
    given (the cell of the file), and others by kind.
    """
    places = [
        column.header
        for k, column in enumerate(columns)
        if column.kind == "place" and rows.iloc[:, k].nunique() > 1
    ]
    if places:
        raise ParameterError(
            f"columns that change: {', '.join(places)}. If they name devices, name each device in "
            "a column 'device'; else leave them out, or name the column 'pulse' if it numbers "
            "pulses"
        )
    columns = [one if one.kind != "place" else Column(one.header) for one in columns]
    names = list(dict.fromkeys(column.device for column in columns if column.kind in READ))
    if len(names) < 2:
        columns, names = [column._replace(device="") for column in columns], [""]
    else:
        notes.append(f"columns of readings taken as devices {', '.join(names)}")
    _check_columns(columns)
    if unused := ", ".join(column.header for column in columns if not column.kind):
        notes.append(f"columns that are not used: {unused}")
        doubtful = [
            column.header
            for k, column in enumerate(columns)
            if not column.kind and not REMARK.match(column.header) and _is_number(rows.iloc[:, k])
        ]
        if doubtful and not {column.kind for column in columns} & {"pulse", "voltage"}:
            warnings.warn(
                f"columns that are not used: {', '.join(doubtful)}; without a column 'pulse' each "
                "reading counts as a pulse",
                stacklevel=2,
            )
    for name in names:
        own = {
            (column.kind, column.up): (column, rows.iloc[:, k])
            for k, column in enumerate(columns)
            if column.kind and column.device in ("", name)
        }
        other = {kind: _numbers(*one) for (kind, _), one in own.items() if kind not in READ}
        if "amplitude" in other and "voltage" in other:  # of the pulses, and of the reads
            other.setdefault("read voltage", other.pop("voltage"))
        common, parts = pd.DataFrame(other, rows.index), []
        for k, column in enumerate(columns):
            if not column.kind and not REMARK.match(column.header):
                common[UNUSED + column.header] = rows.iloc[:, k]
        for up in (0,) if {(kind, 0) for kind in READ} & own.keys() else (1, -1):
            for column, given in [own[kind, up] for kind in READ if (kind, up) in own][:1]:
                conductance = _conductance(column, given, common, read_voltage, notes)
                part = common.assign(given=given, conductance=conductance)
                if up or name:  # a column may end earlier than others
                    part = part.loc[: given.last_valid_index()]
                parts.append(_during(part, up) if up else part)
        table = pd.concat(parts)
        if "device" not in table.columns:
            yield name, table
            continue
        for row in table.index[table["device"].isna()][:1]:
            raise ParameterError(f"column 'device' is empty in row {row}: name the device")
        for device, part in table.groupby("device", sort=False):
            yield f"{name} {device}".strip(), part


def _check_comments(table: Table, read_voltage: float) -> None:
    """Raise ParameterError for lines beside the table that name a unit that the header lacks,
    pulses that no column numbers, or another voltage of reads.
    """
    columns = table.columns
    kinds = {column.kind for column in columns}
    read = next((one for kind in READ for one in columns if one.kind == kind), Column(""))
    units = {"S": "[pnuµμm]S", "A": "[pnuµμm]A", "ohm": "[kKM](?:[oO]hms?|Ω)"}
    unit = re.compile(rf"(?<![A-Za-z])(?:{units.get(read.unit, '$^')})(?![A-Za-z])")
    for line, text in table.comments.items():
        told = f"line {line} is {text[:60]!r}"
        if not read.stated and (match := unit.search(text)):
            raise ParameterError(
                f"{told}, and column {read.header!r} has no unit: name it "
                f"'{read.header} ({match[0]})', or with the unit that is right"
            )
        if (every := EVERY.search(text)) and int(every[1]) > 1 and not kinds & {"pulse", "voltage"}:
            raise ParameterError(f"{told}: number the pulses in a column 'pulse'")
        if RISING.search(text):
            raise ParameterError(
                f"{told}: the fit needs identical pulses; leave the line out if they are"
            )
        at = READ_AT.search(text)
        if at and read.kind == "current" and not kinds & {"read voltage", "voltage"}:
            volts = float(at[1] or at[3]) * (1e-3 if at[2] or at[4] else 1.0)
            if not _near(pd.Series([volts]), read_voltage)[0]:
                raise ParameterError(
                    f"{told}, but currents would be divided by {read_voltage:g} V: give "
                    f"--read-voltage {volts:g}, or leave the line out"
                )


def _numbers(column: Column, given: pd.Series) -> pd.Series:
    """Return numbers in SI units, nan for empty cells and inf for an overflow of the instrument;
    the cells of kinds without a unit. Raises ParameterError for texts, naming the row.
    """
    if not column.unit and column.kind != "pulse":
        return given
    values = pd.to_numeric(given, errors="coerce")
    texts = given[(values.isna() & given.notna()).to_numpy()]
    for row, text in texts[:1].items():
        raise ParameterError(
            f"column {column.header!r} must hold numbers, got {text!r} in row {row}"
            + f" and texts in {len(texts) - 1} more" * (len(texts) > 1)
            + ": write decimals with points, thousands without marks, units into the header, or "
            "leave the rows out"
        )
    values = values.mask(values.abs() > OVERFLOW, np.inf)
    return values * 10.0**column.power if column.power else values


def _conductance(
    column: Column, given: pd.Series, table: pd.DataFrame, read_voltage: float, notes: list[str]
) -> pd.Series:
    """Return conductances in S: nan for empty cells, inf for an overflow of the instrument."""
    values = _numbers(column, given)
    if not column.stated:
        notes.append(f"column {column.header!r} has no unit: taken as {column.unit}")
    if column.power or column.kind != "conductance":
        notes.append(f"column {column.header!r} converted to S")
    if column.kind == "resistance":
        values = (1 / values).mask(values == np.inf, np.inf)
    if column.kind == "current":
        volts = table.get("read voltage", table.get("voltage"))
        if volts is None:
            volts = pd.Series(read_voltage, table.index)
        reads = _near(volts, read_voltage)
        for row in table.index[~reads][: int(reads.any() and "read voltage" in table)]:
            raise ParameterError(
                f"row {row} was read at {volts[row]:g} V, others at {read_voltage:g} V: keep the "
                "rows of one read voltage"
            )
        if not reads.any() and "read voltage" in table:
            raise ParameterError(
                f"the table says that readings were made at {volts.median():g} V: give "
                f"--read-voltage {volts.median():g}"
            )
        if not reads.any():
            raise ParameterError(
                f"no voltage is near {read_voltage:g} V, at which currents are read, the lowest is "
                f"{volts.abs().min():g} V: give the voltage of the reads with --read-voltage, or "
                "name a column with voltages of pulses 'pulse voltage'"
            )
        notes[-1] += f", read at {read_voltage:g} V"
        values = values / volts.where(reads)
    if not column.stated and (highest := values[values < OVERFLOW].max()) > UNUSUAL:
        raise ParameterError(
            f"column {column.header!r} has no unit, and in {column.unit} conductances would reach "
            f"{highest:.2g} S: write the unit into the header, as in 'conductance (uS)', or "
            "multiply shares of a range, 0 to 1, by the range in S"
        )
    return values


def _near(volts: pd.Series, read_voltage: float) -> pd.Series:
    """Return a mask of the voltages that are near the read voltage."""
    return (volts.abs() - abs(read_voltage)).abs() <= NEAR * abs(read_voltage)


def _during(table: pd.DataFrame, up: int) -> pd.DataFrame:
    """Return readings of one direction, from a table with a column for each direction. Each column
    begins with a reading before any pulse, unless pulses are numbered.
    """
    sweep = table.get("sweep", pd.Series(0, table.index)).ffill()
    pulse = table.get("pulse", sweep.groupby(sweep, dropna=False).cumcount())
    return table.assign(direction=up, sweep=f"{up} " + sweep.astype(str), pulse=pulse)


def pulse_columns(table: pd.DataFrame, read_voltage: float, notes: list[str]) -> Ordered:
    """Return the readings of a device in the order of measurement, without a meter's limit.

    Raises ParameterError if a column is missing or its values cannot be used.
    """
    rows, table = len(table), _reads(table, read_voltage, notes)
    # rows do not say if pulses were before or after
    unclear = len(table) == rows and "pulse" not in table.columns
    if "pulse" not in table.columns:
        notes.append("without a column 'pulse' each reading counts as one pulse")
    pulse = table.get("pulse", pd.Series(range(len(table)))).to_numpy(float)
    number = table.get("sweep", pd.Series(0, table.index)).ffill()
    changed = number.ne(number.shift()).to_numpy(copy=True)
    if len(table) > 1 and changed.mean() > SORTED:
        raise ParameterError(
            "the number of the sweep changes in almost every row: name the column 'pulse' if it "
            "numbers pulses, or sort the rows by sweep, in the order of measurement"
        )
    if "sweep" in table.columns and "pulse" not in table.columns:
        first = np.flatnonzero(changed[:-1] & ~changed[1:])[1:]
        words = _directions(table, np.arange(len(table)) == 0)
        if len(first) and (words[first] != words[first + 1]).all():
            changed[1:] = False
            notes.append("each cycle begins with a pulse of the other direction: no new sweep")
    sweep = changed | (pulse == 0)
    direction = words = _directions(table, sweep)
    for sign, word in ((1, "up"), (-1, "down")):
        if sweep[own := words == sign].all() and own.sum() > 1 and not changed[own].all():
            raise ParameterError(
                f"pulses {word} stand at pulse 0 only, which is a reading before any pulse: number "
                "the pulses of a cycle from 1 on"
            )
    _check_alike(table, direction)
    _check_conductance(table)
    new = changed.copy()
    new[1:] |= (np.diff(pulse) != 0) | (np.diff(direction) != 0)
    if not new.all():
        notes.append("reads of the same pulse averaged")
        _check_repeats(table["conductance"], np.cumsum(new))
        mean = table["conductance"].groupby(np.cumsum(new)).mean()
        table = table[new].assign(conductance=mean.to_numpy())
        pulse, direction, sweep = pulse[new], direction[new], sweep[new]
    count = np.diff(pulse, prepend=pulse[:1])
    turned = np.diff(direction, prepend=direction[:1]) != 0
    # a sweep begins without a reading before its first pulse
    again = (count <= 0) & ~turned & ~sweep
    wrong = ~((pulse >= 0) & (pulse % 1 == 0))
    wrong |= again & (pulse > pulse[pulse > 0].min(initial=1e9))
    for place in np.flatnonzero(wrong)[:1]:
        raise ParameterError(
            "column 'pulse' must hold whole numbers that rise within a sweep, got "
            f"{pulse[place]:g} in row {table.index[place]}; count the pulses of each direction "
            "upwards, in the order of measurement, or number the sweeps in a column 'sweep'"
        )
    sweep |= again
    count = np.where(count > 0, count, pulse)  # numbers begin again where the direction turns
    after = np.flatnonzero(~sweep)
    *others, last = after[np.argsort(count[after], kind="stable")] if len(after) > 1 else (0, 0)
    if count[last] > LEAP * count[others[-1]]:
        warnings.warn(
            f"row {table.index[last]} is {count[last]:g} pulses after the reading before, others "
            f"are {count[others[-1]]:g} at most: leave it out if it is no reading, or correct its "
            "number",
            stacklevel=2,
        )
    before = None
    if (count[~sweep] == 1).all():
        _check_single(table, direction)
        if unclear and direction[sweep].all():
            before = np.where(sweep, 0, np.roll(direction, 1))
    read = table["conductance"].to_numpy(float), np.where(sweep, 0, direction), count
    return Ordered(*read, table.index.to_numpy(), table["given"].to_numpy(), before)


def _in_likeliest_order(devices: list[Ordered], notes: list[str]) -> list[Ordered]:
    """Return readings with the likeliest directions. Readings after the pulse of their row, before
    it, and with no pulse where rows turn the direction differ at turns only. So sweeps begin at
    turns unless readings follow their pulses, or turns are so many that each counts.
    """
    turning = [np.append(False, one.direction[1:] * one.direction[:-1] < 0) for one in devices]
    several, losses = dict[int, list[np.ndarray]](), np.zeros(3)
    for k, (one, turns) in enumerate(zip(devices, turning, strict=True)):
        if one.before is not None and turns.any():
            several[k] = [one.direction, one.before, np.where(turns, 0, one.direction)]
            losses += order_losses(one.conductance, several[k])
    if not several:
        return devices
    best, second = np.argsort(losses)[:2]
    sure = losses[second] - losses[best] > SURE
    turns = sum(turning[k].sum() for k in several)
    rows = [sum(np.sum(devices[k].direction == sign) for k in several) for sign in (1, -1)]
    if best and 2 * min(rows) > SHORT * turns:
        best, sure = 2, losses[0] - losses[best] > SURE
    elif best == 2 or not sure:  # as docs/your_files.md says
        best = 0
    notes.append(
        (
            "readings are taken as made after the pulse of their row",
            "readings are taken as made before the pulse of their row",
            "readings do not follow the pulse of their row where the direction turns: sweeps begin "
            "there",
        )[best]
        + (", as the steps at turns show" if sure else "; the steps at turns hardly show it")
    )
    return [
        one._replace(direction=several[k][best]) if k in several else one
        for k, one in enumerate(devices)
    ]


def _without_stuck(one: Ordered, name: str) -> Ordered:
    """Return the readings that no meter at its limit, or that hangs, has made; warn of the others.

    Such a meter gives exactly equal readings, one after the other, or at an end of the range of
    readings that hardly repeat, though the digits would show a difference.
    """
    given = pd.to_numeric(pd.Series(one.given), errors="coerce").to_numpy(float)
    ends = [given.min(), given.max()] if 2 * len(np.unique(given)) > len(given) else []
    begins = np.flatnonzero(np.diff(given, prepend=np.nan) != 0)
    kept = np.ones(len(given), bool)
    for begin, end in itertools.pairwise([*begins.tolist(), len(given)]):
        value, size = given[begin], np.abs(given)
        around = given[[k for k in (begin - 1, end) if 0 <= k < len(given)]]
        equal = np.sum(given == value) if value in ends else end - begin
        if equal < STUCK or not len(around):
            continue
        alike = given[(size <= 2 * abs(value)) & (2 * size >= abs(value)) | (value == 0)]
        digit = 10.0 ** min(
            int(Decimal(repr(float(number))).as_tuple().exponent) for number in alike
        )
        kept &= (np.abs(around - value).min() <= COARSE * digit) | (given != value)
    if kept.all() or is_one_sided([one[:3]]):  # abrupt pulses start or end there
        return one
    rows = one.rows[~kept]
    warnings.warn(
        f"{name}{len(rows)} readings from row {rows[0]} to {rows[-1]} equal each other in "
        f"each digit, such as {given[~kept][0]:g}, as of a meter at its limit: they are left out. "
        "The range of the device may be larger",
        stacklevel=2,
    )
    return Ordered(one.conductance[kept], *merged(kept, *one[1:3]), one.rows[kept], given[kept])


def _check_repeats(values: pd.Series, pulse: np.ndarray) -> None:
    """Raise ParameterError if repeated reads of a pulse differ alike from pulse to pulse. Then they
    are reads of several sweeps, sorted by pulse.
    """
    groups = [part.to_numpy(float) for _, part in values.groupby(pulse)]
    number = int(np.median([len(part) for part in groups]))
    reads = np.array([part for part in groups if len(part) == number])
    away = reads / reads.mean(axis=1, keepdims=True) - 1
    away -= away.mean(axis=0)
    if number > 1 and len(reads) > SWEEP and np.sum(away[1:] * away[:-1]) > SAME * np.sum(away**2):
        raise ParameterError(
            f"the {number} readings of each pulse differ alike from pulse to pulse, as in a table "
            "that was sorted by pulse: sort it by sweep, in a column 'sweep'. If they are reads of "
            "one pulse, leave their means"
        )


def _reads(table: pd.DataFrame, read_voltage: float, notes: list[str]) -> pd.DataFrame:
    """Return the rows that read a device, with the pulses before them, if a table has rows for
    pulses, too. Reads have a voltage near the read voltage, or "read" in place of a direction.
    """
    none = pd.Series(np.nan, table.index)
    volts, words = table.get("voltage", none), table.get("direction", none).astype(str)
    read = (_near(volts, read_voltage) | words.str.fullmatch("read", case=False)).to_numpy()
    pulse = ~read & (volts != 0).to_numpy()
    if not read.any() or not pulse.any():
        return table.drop(columns="voltage", errors="ignore") if read.any() else table
    steps = volts[pulse].map("{:.3g}".format).nunique()
    if steps > SWEEP and (np.diff(volts[pulse]) != 0).mean() > 0.5:
        raise ParameterError(
            f"column 'voltage' has {steps} voltages, as an I-V sweep: the fit needs readings after "
            "identical pulses"
        )
    sign = _signs(words)
    sign = np.where(np.isnan(sign), np.sign(volts), sign)
    ups = np.array([(pulse & (sign == way)).cumsum()[read] for way in (1, -1)])
    rows = table.index[read]
    for place in np.flatnonzero((np.diff(ups) > 0).all(axis=0))[:1]:
        raise ParameterError(
            f"between the reads in rows {rows[place]} and {rows[place + 1]} are pulses up and "
            "down: leave out the rows between, and begin a sweep there, with another number in a "
            "column 'sweep'"
        )
    number = table.get("pulse", none).to_numpy(float)
    if np.isnan(number).all() or (np.diff(number) == 1).all():  # no numbers, or numbers of rows
        number = pulse.cumsum()
        for place in np.flatnonzero(pulse[1:] & pulse[:-1])[:1]:
            raise ParameterError(
                f"rows {table.index[place]} and {table.index[place + 1]} are both pulses: keep one "
                "row of each pulse, or number the pulses in a column 'pulse', also at the reads"
            )
    last = np.maximum.accumulate(np.where(pulse, np.arange(len(table)), 0))[read]
    notes.append(f"rows at the read voltage of {read_voltage:g} V are reads, others pulses")
    before = {
        name: table[name].to_numpy()[last]
        for name in map(str, table.columns)
        if name in ("voltage", "width") or (name.startswith(UNUSED) and _is_number(table[name]))
    }
    direction = np.where(ups.any(axis=0), sign[last], 0)
    return table[read].assign(direction=direction, pulse=number[read], **before)


def _signs(given: pd.Series) -> np.ndarray:
    """Return the directions of pulses, 1 up and -1 down, from words or numbers with a sign; 0 for
    the number 0, nan for other values.
    """
    codes, kinds = pd.factorize(given)  # few different ones, in up to millions of rows
    texts = pd.Series(kinds).astype(str).str.strip(" '\"").str.lower()
    words = texts.map(lambda text: SIGNS.get(text, text))
    return np.append(np.sign(pd.to_numeric(words, errors="coerce").to_numpy(float)), np.nan)[codes]


def _directions(table: pd.DataFrame, start: np.ndarray) -> np.ndarray:
    """Return the direction of the pulses before each reading from a column direction or the sign of
    voltages, 0 if a reading at the `start` of a sweep names none.
    """
    named = [name for name in ("direction", "amplitude", "voltage") if name in table.columns]
    if not named:
        raise ParameterError(
            "no pulses, so no steps: a column 'direction' (up or down) of the pulses is missing, "
            "or 'voltage' with their sign; readings over time have none"
        )
    direction, *others = (_signs(table[name]) for name in named)
    for place in np.flatnonzero(np.isnan(direction) & ~start)[:1]:
        raise ParameterError(
            f"{named[0]} must be up, down or a number with a sign, got "
            f"{str(table[named[0]].iloc[place])!r} in row {table.index[place]}"
        )
    direction = np.nan_to_num(direction)
    ways = {*direction[~start]}
    codes = sorted(pd.to_numeric(table[named[0]], errors="coerce").dropna().unique())
    if named[0] == "direction" and ways <= {0, 1} and len(codes) == 2:
        raise ParameterError(
            f"column 'direction' has {codes[0]:g} and {codes[1]:g}: write 1 for up and -1 for down"
        )
    if named[0] != "direction" and len(ways - {0}) == 1:
        raise ParameterError(
            f"{named[0]}s of all pulses have the same sign: give pulses down a minus, or write up "
            "and down into a column 'direction'"
        )
    for name, other in zip(named[1:], others, strict=True):
        if {-1, 1} <= {*other}:  # else a voltage without sign
            same = direction * other
            for place in np.flatnonzero(same == (1 if np.nansum(same) < 0 else -1))[:1]:
                raise ParameterError(
                    f"columns 'direction' and '{name}' contradict each other in row "
                    f"{table.index[place]}: {table['direction'].iloc[place]} and "
                    f"{table[name].iloc[place]:g}; correct the table, or leave out the wrong column"
                )
    return direction


def _check_alike(table: pd.DataFrame, direction: np.ndarray) -> None:
    """Raise ParameterError if pulses of one direction differ in voltage or width."""
    for sign, word in ((1, "up"), (-1, "down")):
        _check_unused(table[direction == sign], f"pulses {word}")
    for name, unit in (("amplitude", "V"), ("voltage", "V"), ("width", "s")):
        for sign, word in ((1, "up"), (-1, "down")) if name in table.columns else ():
            values = table[name][direction == sign].abs().dropna()
            low, high = values.min(), values.max()
            if high - low > ALIKE * high:
                count = values.map("{:.3g}".format).nunique()
                raise ParameterError(
                    f"pulses {word} have {count} {name}s ({low:g} to {high:g} {unit}): the fit "
                    f"needs identical pulses; keep rows of one {name} that follow each other, or "
                    "measure with one"
                    + f"; if {low:g} V is the read voltage, give --read-voltage {low:g}"
                    * (name == "voltage" and count == 2)
                )


def _is_number(values: pd.Series) -> bool:
    """Return True if all cells hold numbers or nothing."""
    return bool((pd.to_numeric(values, errors="coerce").notna() | values.isna()).all())


def _check_unused(table: pd.DataFrame, where: str) -> None:
    """Raise ParameterError if a column that is not used changes, and may change the pulses."""
    for name in (name for name in map(str, table.columns) if name.startswith(UNUSED)):
        header, given = name.removeprefix(UNUSED), table[name].dropna()
        condition = CONDITION.match(header)
        if not _is_number(given):
            few = given.astype(str).str.strip().unique()
            changes = 1 < len(few) <= len(given) / 2
        elif condition:
            values, zero = pd.to_numeric(given), ZERO_C * (condition[1] or "").endswith("C")
            low, high = values.min(), values.max()
            few = np.array([f"{low:g}", f"{high:g}"])
            timed = condition[1] in ("s", "sec") and values.is_monotonic_increasing
            changes = not timed and high - low > ALIKE * max(abs(low + zero), abs(high + zero))
            if STEPS.search(header) and values.any():
                raise ParameterError(
                    f"column {header!r} is a step of the voltage, {high:g}: the fit needs "
                    "identical pulses; keep the rows of one voltage"
                )
        else:
            continue
        if changes:
            raise ParameterError(
                f"column {header!r} changes within {where} ({few[0]} to {few[-1]}), and is not "
                "used: keep the rows of one value, or leave the column out if pulses and readings "
                "do not depend on it; if it names sweeps or devices, name it 'sweep' or 'device'"
            )


def _check_conductance(table: pd.DataFrame) -> None:
    """Raise ParameterError for readings that are missing, too large for the instrument, or below 0,
    with a remedy that keeps count of the pulses.
    """
    values = table["conductance"]
    if values.max() <= 0:
        raise ParameterError(
            f"conductances are not positive ({values.min():g} to {values.max():g} S): if they are "
            "logarithms, write 10 to their power; if currents, leave out the minus"
        )
    beyond = (values > LARGEST) & (values.median() <= LARGEST)  # an overflow
    for wrong, kind in (
        (~np.isfinite(values) | beyond, "no"),
        (values < -NOISY * values.max(), "a negative"),
    ):
        for row, text in table["given"][wrong][:1].items():
            more = f", and so have {wrong.sum() - 1} more" if wrong.sum() > 1 else ""
            raise ParameterError(
                f"row {row} has {kind} conductance, got {text!r}{more}: correct it, or leave it "
                "out and number the pulses in a column 'pulse'"
            )


def _check_single(table: pd.DataFrame, direction: np.ndarray) -> None:
    """Raise ParameterError if pulses are read more than once: if only each second, third or later
    step between readings is large or goes in the direction of the pulses. Ranks decide (H. B. Mann
    and D. R. Whitney, Ann. Math. Statist. 18, 50, 1947), so few abrupt steps do not count much.
    """
    steps = (np.diff(table["conductance"]) * direction[1:])[:TESTED]
    for number, sizes in itertools.product(REPEATS, (steps, np.abs(steps))):
        for first in range(number if len(steps) >= 2 * number else 0):
            large, small = sizes[first::number], np.delete(sizes, slice(first, None, number))
            error = np.sqrt((len(steps) + 1) / (3 * len(large) * len(small)))
            if np.sign(large[:, None] - small).mean() > CLEAR * error:
                rows = table.index[[first + 1, first + number]]
                raise ParameterError(
                    f"rows {rows[0]} to {rows[1]} read the device {number} times after one pulse, "
                    "and so on: number the pulses in a column 'pulse', then reads are averaged"
                )
