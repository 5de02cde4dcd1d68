"""Images, labels and sizes of layers from users, each converted and checked in one place.

These functions convert whatever NumPy converts exactly: lists, DataFrames, whole numbers as floats
or as text. They raise ParameterError, which names the argument, for all else. NumPy checks enough
here, because scikit-learn's validators take seconds to import.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from memristive.parameters import ParameterError, as_whole

MOST_NEURONS = 10_000  # of a layer


def scaled(values: np.ndarray, scale: tuple[float, float], name: object = "images") -> np.ndarray:
    """Return the levels of raw `values`, 0 at the lowest and 1 at the highest value of a `scale`.
    Values beyond it are clipped, with a warning (`warn_of_clipped`).
    """
    low, high = scale
    warn_of_clipped(values, scale, name)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def warn_of_clipped(
    values: np.ndarray, scale: tuple[float, float], name: object = "images"
) -> None:
    """Warn, with the `name` of the `values`, of those beyond the lowest and highest of a scale."""
    low, high = scale
    beyond = int(np.count_nonzero((values < low) | (values > high)))
    if beyond:
        warnings.warn(
            f"{name}: {beyond:,} of {values.size:,} values lie beyond {low:g} to {high:g}, the "
            "range of the training images, and are clipped",
            stacklevel=2,
        )


def as_images(
    images: ArrayLike,
    inputs: int | None = None,
    name: str = "images",
    empty: bool = True,
    shape: tuple[int, int] | None = None,
) -> np.ndarray:
    """Return images as an array of float, n x inputs.

    Parameters
    ----------
    images : array_like, n x inputs or n x height x width, levels 0 to 1
    inputs : int, optional
        Expected number of inputs; None: any.
    name : str
        Name of the argument, for messages.
    empty : bool
        False: refuse n = 0.
    shape : tuple of int, optional
        Expected height and width of images; None: any.

    Raises
    ------
    ParameterError
        The images have another shape, or a value is no level.
    """
    try:
        levels = _floats(images)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"{name} must be rows of real numbers, all of equal length: {error}"
        ) from None
    if levels.ndim > 3 or (levels.ndim == 3 and shape and levels.shape[1:] != shape):
        wanted = "n x height x width" if shape is None else f"n x {shape[0]} x {shape[1]}"
        raise ParameterError(f"{name} must be {wanted}, in grey levels, got shape {levels.shape}")
    if levels.ndim == 3:
        levels = levels.reshape(len(levels), -1) if len(levels) else levels.reshape(0, inputs or 0)
    size = levels.shape[-1] if levels.ndim and inputs is None else inputs
    if levels.ndim != 2 or levels.shape[1] != size or not size or not (empty or len(levels)):
        one = levels.ndim == 1 or (levels.ndim == 2 and levels.size == inputs)
        remedy = f": for one image use np.reshape({name}, (1, -1))" if one else ""
        raise ParameterError(
            f"{name} must be {'n' if empty else 'one or more'} x {inputs or 'inputs'}, got shape "
            f"{levels.shape}{remedy}"
        )
    if levels.size and not (levels.min() >= 0 and levels.max() <= 1):
        if not np.isfinite(levels).all():
            row, column = np.argwhere(~np.isfinite(levels))[0]
            raise ParameterError(
                f"{name} must be levels from 0 to 1, got {levels[row, column]:g} at row {row}, "
                f"column {column}, counted from 0: replace missing values, or leave the row out"
            )
        raise ParameterError(
            f"{name} must be levels from 0 to 1, got {levels.min():g} to {levels.max():g}: scale "
            "them"
        )
    return levels


def as_image(image: ArrayLike, inputs: int) -> np.ndarray:
    """Return one image as an array of float, inputs. Its rows of pixels may stand in a table.

    Raises
    ------
    ParameterError
        The image does not have `inputs` values, or a value is no level.
    """
    return as_images(np.ravel(np.asarray(image))[None], inputs, "image")[0]


def as_labels(labels: ArrayLike, count: int, classes: int) -> np.ndarray:
    """Return labels as an array of int.

    Parameters
    ----------
    labels : array_like, `count` or `count` x 1
        Whole numbers from 0 to `classes` - 1, of any type that converts exactly: 3, 3.0, True, "3".
    count : int
        Number of images.
    classes : int

    Raises
    ------
    ParameterError
        There is not one label for each image, or a label is no number of a class, as names are.
    """
    given = np.asarray(labels)
    if given.shape not in ((count,), (count, 1)):
        raise ParameterError(
            f"labels must be one an image, {count} in all, got shape {given.shape}"
        )
    given = given.ravel()
    try:
        numbers = _floats(given)
        wrong = ~np.isin(numbers, np.arange(classes))
    except (TypeError, ValueError):
        wrong = np.array([not _is_number(label) for label in given.tolist()])
    if wrong.any():
        raise ParameterError(
            f"labels must be whole numbers from 0 to {classes - 1}, one for each class, got "
            f"{given[wrong].tolist()[0]!r}: number them by np.unique(labels, return_inverse=True)"
            "[1], or use MemristiveClassifier, which takes any labels"
        )
    return numbers.astype(np.int64)


def layer_sizes(hidden: Any) -> tuple[int, ...]:
    """Return the sizes of the hidden layers: of None no layer, of a number one, of several numbers
    one each. Raises ParameterError for other values.
    """
    several = isinstance(hidden, Iterable) and np.ndim(hidden) > 0  # type: ignore[arg-type]
    sizes = [] if hidden is None else hidden if several else [hidden]
    return tuple(as_whole("hidden", size, 1, MOST_NEURONS) for size in sizes)


def _floats(values: ArrayLike) -> np.ndarray:
    """Return `values` as an array of float. Raises TypeError or ValueError for what does not
    convert.
    """
    array = np.asarray(values)
    if np.iscomplexobj(array):
        raise TypeError("they are complex")
    return np.asarray(array, float)


def _is_number(label: str | float) -> bool:
    try:
        float(label)
    except (TypeError, ValueError):
        return False
    return True
