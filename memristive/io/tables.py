"""Tables and images from users' files: CSV as instruments and programs write it, .npz and .npy."""

import codecs
import csv
import io
import itertools
import re
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from memristive.io.records import report
from memristive.parameters import ParameterError

LEAST_MEMBERS = 3  # rows of each class
# of damaged files of NumPy: among others of headers that are no Python, or larger than the memory
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    SyntaxError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
ENDINGS = (".npz", ".npy")  # of NumPy's files; all others are read as CSV
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # first bytes of .xlsx and .xls
SPACES = r"\s+"
SEPARATORS = ("\t", ";", "|", ",", SPACES)  # of columns
COMMENT = re.compile(r"\s*(#|%|!|//) *(?![\s,;|])")  # begins a line that is no row
SAMPLE = 1000  # lines that show the separator and the header
BELOW = 3  # most lines from the header to the first number: units, comments
NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?|[-+]?(nan|inf)|n/?a|\?", re.I)
MARKED = re.compile(
    r"[-+]?(\d+)([.,])(\d+)(e[-+]?\d+)?", re.I
)  # with a mark of decimals or thousands
LARGEST = float(np.finfo(np.float32).max)  # beyond it classifiers overflow


class FileTable(NamedTuple):
    """Table as it stands in a file.

    Parameters
    ----------
    header : list of str
        Names of the columns. Columns without a name are left out.
    near : list of list of str
        Rows between the header and the first row with a number, such as units, and the row above
        the header.
    rows : DataFrame
        The values. The index counts the lines of the file from 1.
    comments : dict
        Lines above the header and comments, by their number from 1.
    """

    header: list[str]
    near: list[list[str]]
    rows: pd.DataFrame
    comments: dict[int, str]


def read_cells(
    source: str | Path, numeric: Callable[[list[str]], Sequence[int]], decimal: str = ""
) -> FileTable:
    """Return the table in a text file; print a line for each conversion.

    Most lines with numbers are rows of the table, which gives the separator. Lines above the
    header, comments, empty lines, repeated headers and separators at the end of rows are left out.

    Parameters
    ----------
    source : path
        A text in UTF-8, UTF-16 or Windows-1252 with tabs, semicolons, bars, commas or spaces
        between columns. Decimals have points, or commas if no comma separates columns.
    numeric : callable
        Takes the cells of a line, and returns the places of columns that hold numbers if this line
        is the header; nothing if it cannot be the header.
    decimal : str
        Mark of decimals, "," or "."; "": the one that the cells show.

    Raises
    ------
    ParameterError
        The file is no text, has no header, or has rows longer than the header. Or its marks may
        divide thousands.
    """
    lines, notes = _lines(source)
    separator, width = _separator(lines[:SAMPLE])
    cells = [_split(line, separator) for line in lines]
    first = _header(cells[:SAMPLE], width, numeric)
    if first is None or not any(cells[first + 1 :]):
        raise ParameterError(f"{source} cannot be read as a table: it has no header with rows")
    header, filled = cells[first], [k for k in range(first + 1, len(lines)) if cells[k]]
    marked = [k for k in filled if COMMENT.match(lines[k])]
    repeated = [k for k in filled if cells[k] == header]
    rows = sorted({*filled} - {*marked, *repeated})
    start = next((n for n, k in enumerate(rows) if any(map(NUMBER.fullmatch, cells[k]))), 0)
    near, rows = (
        [*(cells[k] for k in rows[:start]), *cells[max(first - 1, 0) : first]],
        rows[start:],
    )
    comments = {k + 1: lines[k].strip() for k in (*range(first), *marked) if lines[k].strip()}
    hidden = sum(len(cells[k]) == width for k in marked)
    notes += [f"header found in line {first + 1}"] * bool(first)
    notes += [f"rows that begin with # or % left out: {hidden}"] * bool(hidden)
    notes += [f"repeated headers left out: {len(repeated)}"] * bool(repeated)
    notes += [f"rows of units or comments below the header: {start}"] * bool(start)

    widest = max((len(cells[k]) for k in rows), default=0)
    if widest == len(header) + 1 and (separator != "," or lines[rows[0]].startswith('"')):
        header = ["", *header]  # R gives the names of rows no name
    elif widest > len(header):
        row = next(k for k in rows if len(cells[k]) > len(header))
        raise ParameterError(
            f"{source}: row {row + 1} has {len(cells[row])} values, the header has {len(header)} "
            "names: write all names into one line, and decimals with points, or put semicolons "
            "between columns"
        )
    if not decimal:
        _check_thousands(source, {k + 1: cells[k] for k in rows}, separator)
    text = "\n".join(lines[k].rstrip(f"{separator} " * (separator != SPACES)) for k in rows)
    commas = decimal == "," or (
        not decimal
        and separator != ","
        and _has_decimals(text, ",")
        and not _has_decimals(text, r"\.")
    )
    notes += ["decimal commas read"] * commas
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            names=range(len(header)),
            index_col=False,
            decimal="," if commas else ".",
            skipinitialspace=True,
            na_values="?",
            low_memory=False,
        ).set_axis(np.array(rows, int) + 1)
    except ValueError as error:
        raise ParameterError(
            f"{source} cannot be read as a table: {str(error).splitlines()[0]}"
        ) from None
    if commas:  # pandas reads no comma in a column with other texts
        texts = table.select_dtypes(exclude="number").columns
        table[texts] = table[texts].map(
            lambda cell: (
                cell.replace(",", ".") if isinstance(cell, str) and MARKED.fullmatch(cell) else cell
            )
        )
    for note in notes:
        report(f"{source}: {note}")
    named = [k for k, name in enumerate(header) if name]
    near = [[[*row, *[""] * len(header)][k] for k in named] for row in near]
    return FileTable([header[k] for k in named], near, table[named], comments)


def _check_thousands(source: str | Path, rows: Mapping[int, Sequence[str]], separator: str) -> None:
    """Raise ParameterError if each number with a mark has one to three digits before it and three
    behind: then the mark may divide thousands. Commas between columns, or points with spaces
    between columns, show that points are decimal.
    """
    first, marks = None, ".," if separator != SPACES else ","
    for row, cells in rows.items() if separator != "," else ():
        for match in filter(None, map(MARKED.fullmatch, cells)):
            before, mark, behind, exponent = match.groups()
            if mark not in marks or exponent or len(behind) != 3 or not 0 < len(before) < 4:
                return
            if before.startswith("0"):
                return
            first = first or (row, match[0])
    if first:
        row, cell = first
        raise ParameterError(
            f"{source}: row {row} has {cell!r}, and all numbers with a mark have three digits "
            f"behind it, so it may divide thousands: write {re.sub('[.,]', '', cell)} without a "
            f"mark; if it is decimal, give --decimal {re.sub('[^.,]', '', cell)} to fit "
            f"or report, or write one more digit, {cell}0"
        )


def check_file(source: str | Path) -> None:
    """Raise ParameterError for pipes and devices, which may never end."""
    if Path(source).exists() and not Path(source).is_file():
        raise ParameterError(f"{source} is no file: write the table into one, and give its name")


def _lines(source: str | Path) -> tuple[list[str], list[str]]:
    """Return the lines of a text file, and a note on its encoding. Raises ParameterError for files
    that are no text.
    """
    check_file(source)
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise ParameterError(
            f"{source}: {error.strerror}; expected a CSV, .npz or .npy file"
        ) from None
    if data.startswith(WORKBOOKS):
        raise ParameterError(
            f"{source} is an archive, such as an Excel workbook or an .npz file: save its table as "
            "CSV"
        )
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    halves = [data[k:SAMPLE:2].count(0) > SAMPLE // 4 for k in (0, 1)]  # UTF-16 without a mark
    encodings = ("utf-16-be",) * halves[0] + ("utf-16-le",) * halves[1]
    for encoding in ("utf-16",) if wide else (*encodings, "utf-8-sig", "cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return re.split(r"\r\n?|\n", text), [f"read as {encoding}"] * (encoding != "utf-8-sig")
    raise ParameterError(f"{source} is no text: export the table as CSV")


def _split(line: str, separator: str) -> list[str]:
    """Return the cells of a line without empty ones at its end, and without the mark of a comment,
    with which some programs begin the header.
    """
    line = COMMENT.sub("", line, count=1) if COMMENT.match(line) else line.strip(" ")
    separator = " " if separator == SPACES else separator
    try:
        (row,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
    except csv.Error as error:
        raise ParameterError(f"a line cannot be divided into cells: {error}") from None
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _separator(lines: list[str]) -> tuple[str, int]:
    """Return the separator of most lines with numbers, and their usual number of cells. In a line
    the first of `SEPARATORS` counts that makes a cell a number; others stand in decimals and texts.
    """
    votes = Counter[tuple[str, int]]()
    for line in lines:
        for separator in SEPARATORS:
            cells = _split(line, separator)
            if len(cells) > 1 and any(map(NUMBER.fullmatch, cells)):
                votes[separator, len(cells)] += 1
                break
    return max(votes, key=votes.__getitem__, default=(",", 1))


def _header(
    lines: list[list[str]], width: int, numeric: Callable[[list[str]], Sequence[int]]
) -> int | None:
    """Return the index of the header among the cells of lines.

    It is the first line of texts, as wide as the table, with a number just below a name of a
    `numeric` column; else the first line as wide as the table. The header of R is one cell shorter.
    """
    filled = [(k, cells) for k, cells in enumerate(lines) if cells]
    depths = range(1, 1 + BELOW)
    for least, depth in (*itertools.product((width, width - 1), depths), (1, 1)):
        for (k, cells), (_, below) in zip(filled, filled[depth:], strict=False):
            if len(cells) >= least and not any(map(NUMBER.fullmatch, cells)):
                for place in numeric(cells):
                    if any(map(NUMBER.fullmatch, below[place : place + 2])):
                        return k
    return next((k for k, cells in filled if len(cells) >= width), None)


def _has_decimals(text: str, mark: str) -> bool:
    """Return True if a cell of a text is a number with a decimal `mark`, a regular expression."""
    number = rf'(^|[\s;|"])[-+]?\d*{mark}\d+(e[-+]?\d+)?($|[\s;|"])'
    return bool(re.search(number, text, re.IGNORECASE | re.MULTILINE))


def read_table(
    source: str | Path, label: str | None = None, drop: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples in a file, and their classes.

    Parameters
    ----------
    source : path
        A CSV file of numbers with a header, as `read_cells` takes it: columns without a name are
        left out. An .npz file with an array of images or features and an array of labels; if it
        has x_train, y_train, x_test and y_test, both sets together. Or an .npy file whose last
        column is the class.
    label : str, optional
        Name of the class column of a CSV file, or of the array of labels. Default: the last column,
        or the array of one value for each sample.
    drop : sequence of str
        Names of columns to leave out.

    Returns
    -------
    samples : array, n x features, or n x height x width
    labels : array, n
        Integers, booleans or strings.

    Raises
    ------
    ParameterError
        The file is no table of numbers with two or more classes.
    """
    if Path(source).suffix in ENDINGS:
        parts = read_arrays(source, label)
        values, given = (np.concatenate(part) for part in zip(*parts, strict=True))
        check_classes(source, pd.Series(given, name=label or "labels"))
        wrong = np.argwhere(~(np.abs(values) <= LARGEST))
        if len(wrong):
            raise ParameterError(
                f"{source}: sample {wrong[0][0]} has a value that is no number up to {LARGEST:.2g}"
            )
        return values, given if given.dtype.kind in "iub" else given.astype(str)
    cells = read_cells(
        source, lambda names: range(len(names)) if label is None or label in names else ()
    )
    names = pd.Series(cells.header, dtype=str)
    again = names.groupby(names).cumcount()
    frame = cells.rows.set_axis(names.where(again == 0, names + "." + again.astype(str)), axis=1)
    if frame.columns.str.fullmatch(r"-?\d+(\.\d+)*").mean() > 0.5:  # pandas numbers equal names
        warnings.warn(
            f"{source}: the first row holds numbers and was read as the header", stacklevel=2
        )
    unknown = {*drop, *([label] if label else [])} - set(frame.columns)
    if unknown:
        raise ParameterError(
            f"{source} has no column {min(unknown)!r}, it has {', '.join(frame.columns)}"
        )
    frame = frame.drop(columns=list(drop))
    if label in drop or frame.shape[1] < 2:
        raise ParameterError(
            f"{source} needs a class column and one column beside it; --drop left "
            f"{', '.join(frame.columns)}"
        )
    labels = frame.pop(label or frame.columns[-1])
    labels = labels.map(lambda one: one.strip() if isinstance(one, str) else one)
    check_classes(source, labels)
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    for line, place in np.argwhere(~(np.abs(values) <= LARGEST))[:1]:
        name = frame.columns[place]
        raise ParameterError(
            f"{source}: column {name!r} must hold numbers up to {LARGEST:.2g}, got "
            f"{str(frame.iloc[line, place])!r} in row {frame.index[line]}; write decimal points, "
            "fill gaps in, encode text (pandas.get_dummies), leave the column out with --drop "
            f"{name!r}, or "
            "name the class column with --label"
        )
    return values, labels.to_numpy() if labels.dtype.kind in "iub" else labels.to_numpy(str)


def checksum(samples: np.ndarray, labels: np.ndarray) -> int:
    """Return a checksum of the samples in a file and their labels, as `read_table` returns them."""
    return zlib.crc32("\n".join(map(str, labels)).encode(), zlib.crc32(samples.tobytes()))


def check_classes(source: str | Path, labels: pd.Series) -> None:
    """Raise ParameterError unless there are two or more classes with enough members."""
    members = labels.value_counts()
    if labels.isna().any() or len(members) < 2 or members.min() < LEAST_MEMBERS:
        smallest = ", ".join(f"{count} of {name!r}" for name, count in members.tail(1).items())
        raise ParameterError(
            f"{source}: the class column {labels.name!r} must have two or more classes of "
            f"{LEAST_MEMBERS} or more rows each and no gaps; gaps: {labels.isna().sum()}, classes: "
            f"{len(members)}, fewest rows: {smallest}; name another column with --label, divide "
            "numbers into classes, or leave these rows out"
        )


def read_arrays(
    source: str | Path, label: str | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of samples (n x features or n x height x width) and labels (n) of a file of
    NumPy. There are two pairs, of the training and of the test, if the file separates them, else
    one. `label` is the name of the array of labels. Raises ParameterError for other files.
    """
    check_file(source)
    try:
        file = np.load(source, allow_pickle=False)
        if isinstance(file, np.ndarray):  # of an .npy file
            arrays = {"samples": file[:, :-1], "labels": file[:, -1]} if file.ndim == 2 else {}
        else:
            with file:
                arrays = {name: file[name] for name in file.files}
    except UNREADABLE as error:
        raise ParameterError(f"{source} is no file of NumPy arrays: {error}") from error
    sets = [(f"x_{part}", f"y_{part}") for part in ("train", "test")]
    if not arrays.keys() >= {name for pair in sets for name in pair}:
        sets = [_names(source, arrays, label)]
    parts = []
    for samples, labels in sets:
        try:
            values, classes = np.asarray(arrays[samples], float), arrays[labels].ravel()
        except (TypeError, ValueError):
            raise ParameterError(
                f"{source}: {samples} must be numbers, got {arrays[samples].dtype}"
            ) from None
        if classes.dtype.kind == "S":
            classes = np.char.decode(classes, "latin-1")
        if classes.dtype.kind == "f" and np.all(classes == np.floor(classes)):
            classes = classes.astype(int)
        if values.ndim not in (2, 3) or len(values) != len(classes):
            raise ParameterError(
                f"{source} must have samples of n x features or n x height x width and n labels, "
                f"got shapes {values.shape} and {classes.shape}"
            )
        parts.append((values, classes))
    shapes = {values.shape[1:] for values, _ in parts}
    if len(shapes) > 1:
        raise ParameterError(
            f"{source}: x_train and x_test must have samples of one shape, got {min(shapes)} and "
            f"{max(shapes)}"
        )
    return parts


def _names(
    source: str | Path, arrays: Mapping[str, np.ndarray], label: str | None
) -> tuple[str, str]:
    """Return the names of the samples and of the labels among the `arrays` of a file."""
    samples = [name for name, array in arrays.items() if array.ndim > 1 and name != label]
    labels = [name for name, array in arrays.items() if array.ndim == 1]
    if len(samples) != 1 or (label not in arrays and len(labels) != 1):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ParameterError(
            f"{source} must have one array of samples and one of labels (or x_train, y_train, "
            f"x_test and y_test; an .npy file: n x features with the class last), got {shapes}"
        )
    return samples[0], label or labels[0]
