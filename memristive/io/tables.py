"""Tables and images from users' files: CSV, .npz and .npy."""

import csv
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from memristive.parameters import ParameterError

LEAST_MEMBERS = 3  # rows of each class
ENDINGS = (".npz", ".npy")  # of NumPy's files; all others are read as CSV


def read_table(
    source: str | Path, label: str | None = None, drop: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples in a file, and their classes.

    Parameters
    ----------
    source : path
        A CSV file of numbers with a header: pandas detects the separator, columns without a name
        are left out. An .npz file with an array of images or features and an array of labels; if it
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
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            raise ParameterError(f"{source}: sample {wrong[0][0]} has a value that is no number")
        return values, given if given.dtype.kind in "iub" else given.astype(str)
    try:
        frame = pd.read_csv(source, sep=None, engine="python", skipinitialspace=True, na_values="?")
    except OSError as error:
        raise ParameterError(
            f"{source}: {error.strerror}; expected a CSV, .npz or .npy file"
        ) from error
    except (ValueError, csv.Error) as error:
        raise ParameterError(f"{source} is not a CSV file: {str(error).splitlines()[0]}") from error
    frame = frame.loc[:, ~frame.columns.str.startswith("Unnamed: ")]
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
    check_classes(source, labels)
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    for line, place in np.argwhere(~np.isfinite(values))[:1]:
        name = frame.columns[place]
        raise ParameterError(
            f"{source}: column {name!r} must hold finite numbers, got "
            f"{str(frame.iloc[line, place])!r} in row {line + 1}; write decimal points, fill gaps "
            f"in, encode text (pandas.get_dummies), leave the column out with --drop {name!r}, or "
            "name the class column with --label"
        )
    return values, labels.to_numpy() if labels.dtype.kind in "iub" else labels.to_numpy(str)


def check_classes(source: str | Path, labels: pd.Series) -> None:
    """Raise ParameterError unless there are two or more classes with enough members."""
    members = labels.value_counts()
    if labels.isna().any() or len(members) < 2 or members.min() < LEAST_MEMBERS:
        raise ParameterError(
            f"{source}: the class column {labels.name!r} must have two or more classes of "
            f"{LEAST_MEMBERS} or more rows each and no gaps; gaps: {labels.isna().sum()}, classes: "
            f"{len(members)}, rows of the smallest: {members.tail(1).to_dict()}; name another "
            "column with --label, divide numbers into classes, or leave these rows out"
        )


def read_arrays(
    source: str | Path, label: str | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of samples (n x features or n x height x width) and labels (n) of a file of
    NumPy. There are two pairs, of the training and of the test, if the file separates them, else
    one. `label` is the name of the array of labels. Raises ParameterError for other files.
    """
    try:
        with np.load(source, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except AttributeError:  # np.load has returned the array of an .npy file
        table = np.load(source, allow_pickle=False)
        arrays = {"samples": table[:, :-1], "labels": table[:, -1]} if table.ndim == 2 else {}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ParameterError(f"{source} is no file of NumPy arrays: {error}") from error
    sets = [(f"x_{part}", f"y_{part}") for part in ("train", "test")]
    if not arrays.keys() >= {name for pair in sets for name in pair}:
        sets = [_names(source, arrays, label)]
    found = []
    for samples, labels in sets:
        values, classes = np.asarray(arrays[samples], float), arrays[labels].ravel()
        if classes.dtype.kind == "f" and np.all(classes == np.floor(classes)):
            classes = classes.astype(int)
        if values.ndim not in (2, 3) or len(values) != len(classes):
            raise ParameterError(
                f"{source} must have samples of n x features or n x height x width and n labels, "
                f"got shapes {values.shape} and {classes.shape}"
            )
        found.append((values, classes))
    return found


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
