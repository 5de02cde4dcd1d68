"""A user's table as features and labels: a built-in data set by name, or a CSV file; whatever is wrong is one line."""

import csv
import itertools
import re
import shlex
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from datasets import DatasetError

BUILT_IN = ("iris", "wine", "breast_cancer", "digits")
SNIFFED = 2**16  # characters of a file by which its separator is known
LOOKED_AT = 20  # lines by which its separator and its columns are known
BEFORE = re.compile(r"\s*(?:[#%].*|sep=.)?\s*$", re.IGNORECASE)  # a line that is no part of a table, before it
NAMELESS = "Unnamed: "  # a header's empty names get this and a number, as in pandas
MOST_CLASSES = 100
LARGEST = 1e100  # of a table's numbers, so that sums of their squares are numbers too
FEW_ROWS = 10  # of so few, a measured column may well be 1, 2, 3
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "-nan", "null", "NULL",
           "?")  # but not "None", a name that classes have
COMMA = r"(?:^|{0}) *\"?[+-]?(\d+),(\d+)(?:[eE][+-]?\d+)?\"? *(?={0}|$)"  # a number with a decimal comma, between separators
SWAPPED = str.maketrans(",.", ".,")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # characters that no text has


@dataclass(frozen=True)
class Table:
    """What is learnt: `features` (samples x features), `labels` (samples) and the names of the features."""

    name: str
    features: np.ndarray
    labels: np.ndarray
    names: list[str]

    @property
    def classes(self) -> list[str]:
        """The classes' names, in scikit-learn's order."""
        return [str(label) for label in np.unique(self.labels)]

    @property
    def checksum(self) -> int:
        """A number that another table hardly has."""
        return zlib.crc32("\n".join(map(str, self.labels)).encode(), zlib.crc32(self.features.tobytes()))

    def sampled(self, rows: int, seed: int) -> "Table":
        """About `rows` of its samples, each class by its share, but no class with fewer than two."""
        if len(self.labels) <= rows:
            return self
        rng, keep = np.random.default_rng(seed), []
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels == label)
            count = min(len(members), max(2, round(rows * len(members) / len(self.labels))))
            keep.append(rng.choice(members, count, replace=False))
        chosen = np.sort(np.concatenate(keep))
        return Table(self.name, self.features[chosen], self.labels[chosen], self.names)


def load_table(source: str, label: str | None = None) -> Table:
    """The data set called `source`, or the CSV file; `label`: name or number of its class column (default: the last).

    Raises DatasetError.
    """
    table = _built_in(source) if source in BUILT_IN else _from_csv(Path(source), label)
    _check_classes(table)
    return table


def _built_in(name: str) -> Table:
    import sklearn.datasets

    data = getattr(sklearn.datasets, f"load_{name}")()
    names = np.asarray(data.target_names).astype(str)
    return Table(name, data.data, names[data.target], [str(feature) for feature in data.feature_names])


def _from_csv(path: Path, label: str | None) -> Table:
    if path.exists() and not path.is_file() and not path.is_dir():  # it is read more than once
        raise DatasetError(f"{path}: is a pipe or a device; save the table in a file first")
    frame, untitled, decimal, as_written = _read(path)
    columns = list(frame.columns)
    chosen = columns[-1] if label is None else _column(path, columns, label)
    missing = frame.isna()
    if missing.to_numpy().any():
        row, column = (int(found[0]) for found in np.nonzero(missing.to_numpy()))
        raise DatasetError(f"{path}: {int(missing.to_numpy().sum())} values are missing (empty, NA or ?), the first in data row "
                           f"{row + 1}, column {columns[column]!r}; fill them in, or leave those rows out{untitled * (row == 0)}")
    features = frame.drop(columns=chosen)
    while kind := _tells_rows(features):
        print(f"note: {path}: the first column has no name and {kind} that all differ: it tells the rows apart, and is left out",
              file=sys.stderr)
        features = features.drop(columns=features.columns[0])
    _warn_of_counts(path, features)
    for name in features.columns:
        said = "" if features[name].dtype.kind in "iufb" else _no_number(features[name], decimal)
        if said:
            raise DatasetError(f"{path}: column {name!r} holds {said}; if it is the class, say --label "
                               f"{shlex.quote(name)}{untitled}")
    if not len(features.columns):
        raise DatasetError(f"{path}: has one column, {chosen!r}: there is nothing to learn from")
    values = np.column_stack([_numbers(features[name], decimal) for name in features.columns])
    if not np.isfinite(values).all():
        raise DatasetError(f"{path}: column {features.columns[np.argwhere(~np.isfinite(values))[0][1]]!r} holds infinite values")
    if (np.abs(values) > LARGEST).any():
        row, column = np.argwhere(np.abs(values) > LARGEST)[0]
        raise DatasetError(f"{path}: data row {row + 1}, column {features.columns[column]!r}: {values[row, column]:g} is beyond "
                           f"{LARGEST:g}, too large to be reckoned with; if it stands for a missing value, leave the row out")
    labels = frame[chosen] if frame[chosen].dtype.kind in "Ob" else as_written(chosen)
    labels = labels.to_numpy() if labels.dtype.kind == "b" else _classes(labels.astype(str).str.strip().to_numpy(dtype=str))
    if untitled and np.count_nonzero(labels == labels[0]) == 1:
        raise DatasetError(f"{path}: the class of row 1, {str(labels[0])!r}, occurs once{untitled}")
    return Table(path.stem, values, labels, list(features.columns))


def _classes(texts: np.ndarray) -> np.ndarray:
    """Classes as integers if that is what they are: 01 is a code, and no other 1."""
    if not all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) for text in np.unique(texts)):
        return texts
    return texts.astype(np.int64)


def _read(path: Path) -> tuple[Any, str, str, Callable[[str], Any]]:
    """The file as a DataFrame whose columns have names that differ, what to say of a first row that was no header, the decimal
    mark of its numbers, and what gives a column's texts as they stand there.

    Encoding, separator, what stands before the table and whether there is a header are found out.
    """
    import pandas as pd  # here, since it takes a second and built-in data sets do without

    try:
        text, encoding = _text(path)
        if not text.strip():
            raise DatasetError(f"{path}: is empty")
        skipped, separator, rows = _layout(text[:SNIFFED])
        decimal = _decimal(text, separator)
        first, rest = rows[0], rows[1:]
        headed = _is_header(path, first, rest)
        if headed and _counts(first):  # these are no names: --label 1 is the first column's number, not a second one's name
            first = [piece and f"column {k + 1}" for k, piece in enumerate(first)]
        names, row_names = _names(path, first, rest, headed)
        read: Callable[..., Any] = partial(pd.read_csv, path, sep=separator, encoding=encoding, header=0 if headed else None,
                                          names=names, index_col=False, skiprows=skipped, skipinitialspace=True,
                                          low_memory=False, keep_default_na=False, na_values=MISSING, decimal=decimal)
        frame = read()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}; give a CSV file or one of {', '.join(BUILT_IN)}") from error
    except (ValueError, csv.Error) as error:
        raise DatasetError(f"{path}: is no table of comma-separated values ({str(error).splitlines()[0]})") from error
    if not len(frame):
        raise DatasetError(f"{path}: has a header and no rows")
    while len(frame.columns) > 1 and (not headed or frame.columns[-1].startswith(NAMELESS)) and frame.iloc[:, -1].isna().all():
        frame = frame.iloc[:, :-1]  # separators at the ends of lines
    if row_names:
        frame = _without_row_names(path, frame)
    return frame, "" if headed else "; its first row has numbers, so it was taken as data, not as a header", decimal, (
        lambda column: read(dtype={column: str})[column])


def _is_header(path: Path, first: list[str], rest: list[list[str]]) -> bool:
    """Whether the first row is of names, with the first rows of the `rest` beside it; raises DatasetError where none can tell."""
    if _counts(first):
        if not first[0]:  # a header if the rows are counted as well
            return [row[0] for row in rest] == [str(k) for k in range(len(rest))]
        if any(not any(map(_is_any_number, column)) for column in zip(*rest, strict=False)):  # over texts: no sample
            return True
        raise DatasetError(f"{path}: its first row, {','.join(first)[:20]}, may be a sample or what pandas writes for columns "
                           "without names; if it is a sample, give each column a name, if not, leave it out (header=False)")
    # Markers of missing values are no names; one empty name is: that of a column of row numbers.
    nameless = sum(name in MISSING for name in first)
    return not any(map(_is_any_number, first)) and not 1 < nameless >= len(first) - 1


def _counts(first: list[str]) -> bool:
    """Whether a first row is 0, 1, 2, as pandas writes it over columns without names, or has that after an empty name."""
    counted = [str(k) for k in range(len(first))]
    return len(first) > 1 and first in (counted, ["", *counted[:-1]])


def _decimal(text: str, separator: str) -> str:
    """The decimal mark of a table. Between tabs 1,000 may be a thousand: there it takes a number that is none."""
    found = re.findall(COMMA.format(separator), text, re.MULTILINE) if separator in ";\t" else []
    return "," if any(separator == ";" or len(digits) != 3 or whole[0] == "0" for whole, digits in found) else "."


def _layout(text: str) -> tuple[int, str, list[list[str]]]:
    """How many lines stand before the table (comments, blank ones, Excel's "sep=;"), its separator, and its first rows."""
    lines = text.split("\n")
    skipped = sum(1 for _ in itertools.takewhile(BEFORE.match, lines))
    separator = _separator(lines[skipped:])
    rows = _cut(lines[skipped:], separator)
    above = _cut([line.lstrip("#% ") for line in lines[:skipped][-1:]], separator)
    if above and rows and len(above[0]) == len(rows[0]) > 1 and any(map(_is_any_number, rows[0])):  # "#a,b,class" is a header
        return skipped - 1, separator, above + rows
    if not rows:
        raise ValueError("it has comments alone")
    return skipped, separator, rows


def _cut(lines: list[str], separator: str) -> list[list[str]]:
    """The pieces of the first lines that are not blank; the last line may be cut off."""
    lines = list(itertools.islice(filter(str.strip, lines), LOOKED_AT))
    lines = lines[:-1] if len(lines) > 2 else lines
    return [[piece.strip() for piece in row] for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if row]


def _names(path: Path, first: list[str], rest: list[list[str]], headed: bool) -> tuple[list[str], bool]:
    """A name for each column, and whether the first is of names of rows, for which the header of R's write.table has none."""
    filled = [max((k + 1 for k, piece in enumerate(row) if piece), default=0) for row in rest]
    if headed and rest and all(len(row) == count == len(first) + 1 for row, count in zip(rest, filled, strict=True)):
        return _named(path, ["", *first]), True
    for k, count in enumerate(filled):
        if count > len(first):
            raise DatasetError(f"{path}: row {k + 2} has {count} values, the first row {len(first)} ({' '.join(first)[:30]!r}); "
                               "leave out what is no table, and give each column a name")
    width = max(map(len, [first, *rest]))
    if not headed:
        return [f"column {k + 1}" for k in range(width)], False
    return _named(path, first + [""] * (width - len(first))), False


def _named(path: Path, header: list[str]) -> list[str]:
    names = [name or f"{NAMELESS}{k}" + ".1" * (f"{NAMELESS}{k}" in header) for k, name in enumerate(header)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DatasetError(f"{path}: has two columns {twice[0]!r}; give each a name of its own")
    return names


def _without_row_names(path: Path, frame: Any) -> Any:
    values = frame.iloc[:, 0]
    if not values.is_unique or values.dtype.kind == "f":
        count = len(frame.columns)
        raise DatasetError(f"{path}: its header has {count - 1} names, its rows have {count} values, and the first are no names "
                           "of rows; give each column a name")
    return frame.iloc[:, 1:]


def _text(path: Path) -> tuple[str, str]:
    """What stands in a file and its encoding; raises ValueError for bytes that are no text."""
    raw = path.read_bytes()
    for encoding in ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            text = raw.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            continue
        if not CONTROLS.search(text[:SNIFFED]):
            return text, encoding
    raise ValueError("its bytes are no text; save it as CSV in UTF-8")


def _separator(lines: list[str]) -> str:
    """Of the usual separators, the one that cuts the first lines into equally many, and the most, pieces.

    If there is none, a first line of its own, of other many pieces than the rows, may be a header without a name for them all.
    """
    for behind in (0, 1):
        pieces = {separator: {len(row) for row in _cut(lines, separator)[behind:]} for separator in ";\t,| "}
        equal = {separator: counts.pop() for separator, counts in pieces.items() if len(counts) == 1}
        if equal and max(equal.values()) > 1:
            for mark in ";\t":  # where all are numbers with decimal commas, these would cut into more
                if equal.get(mark, 1) > 1 and _decimal("\n".join(lines), mark) == ",":
                    return mark
            marks = {mark: count for mark, count in equal.items() if mark != " " and count > 1} or equal  # texts have spaces too
            return max(marks, key=lambda separator: marks[separator])
    return ","


def _tells_rows(features: Any) -> str:
    """What the first column holds if it is what pandas' to_csv and R's write.csv write unasked: no name, and the rows' numbers,
    in any order, or names.

    Numbers would tell where a row stood, and so, of rows sorted by class, its class.
    """
    if not len(features.columns) or not features.columns[0].startswith(NAMELESS) or not features.iloc[:, 0].is_unique:
        return ""
    return {"i": "whole numbers", "u": "whole numbers", "f": "", "b": ""}.get(features.iloc[:, 0].dtype.kind, "names")


def _warn_of_counts(path: Path, features: Any) -> None:
    """Say on standard error if a column numbers the rows: 1, 2, 3 in any order, or whole numbers that only rise or only fall."""
    for name in features.columns if len(features) > FEW_ROWS else ():
        values = features[name].to_numpy()
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or (values % 1).any():
            continue
        steps, apart = np.diff(values), np.diff(np.sort(values))
        if (apart == 1).all() or (steps > 0).all() or (steps < 0).all():
            print(f"warning: {path}: column {name!r} numbers the rows, and is used as a feature; where rows are sorted by class "
                  "it tells the class: better leave it out", file=sys.stderr)


def _float(text: Any, decimal: str) -> float:
    if "_" in str(text):  # a code; Python would take 1_20 for 120
        raise ValueError(text)
    return float(text if decimal == "." else str(text).translate(SWAPPED))


def _is_number(text: Any, decimal: str = ".") -> bool:
    try:
        _float(text, decimal)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _numbers(column: Any, decimal: str) -> np.ndarray:
    """A column that has numbers alone; some of them pandas does not know for such (with a no-break space behind them)."""
    if column.dtype.kind in "iufb":
        return column.to_numpy(float)
    return np.array([_float(value, decimal) for value in column])


def _no_number(column: Any, decimal: str) -> str:
    """What is wrong with the first value that is no number, if there is one."""
    text = next((str(value) for value in column if not _is_number(value, decimal)), "")
    if decimal == "," and _is_number(text):  # 1.001 may be a thousand
        return f"{text!r}, where other numbers have a decimal comma; write all of them in one way"
    return text and f"text ({text[:30]!r}), features must be numbers"


def _is_any_number(text: str) -> bool:
    return any(map(str.isdigit, text)) and (_is_number(text) or _is_number(text, ","))  # inf and nan may be names


def _column(path: Path, columns: list[str], label: str) -> str:
    if label in columns:
        return label
    if re.fullmatch(r"-?[0-9]{1,9}", label) and -len(columns) <= int(label) <= len(columns) and int(label):
        return columns[int(label) - (int(label) > 0)]
    raise DatasetError(f"{path}: has no column {label!r}; it has {', '.join(columns[:12])}{' and more' * (len(columns) > 12)}")


def _check_classes(table: Table) -> None:
    classes, counts = np.unique(table.labels, return_counts=True)
    if len(classes) < 2:
        raise DatasetError(f"{table.name}: all {len(table.labels)} rows are of one class, {classes[0]}; there is nothing to tell "
                           "apart (--label names the class column)")
    if len(classes) > MOST_CLASSES or counts.max() < 2:
        raise DatasetError(f"{table.name}: the class column has {len(classes)} different values in {len(table.labels)} rows; is "
                           "it the right one? --label names another")
    if counts.min() < 2:
        raise DatasetError(f"{table.name}: class {classes[counts.argmin()]} has one member; cross-validation needs two or more: "
                           "leave it out, or join it with another")
