"""Compiled loops of the fits: recursions from reading to reading, for millions of readings."""

import numpy as np

from memristive.compiled import compiled

BLOCK = 4096  # readings whose whitened rows are in memory together


def whitened_squares(noise: np.ndarray, design: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the products W' W of the whitened columns W = L^-1 [design, target], which is an array
    columns x columns.

    Parameters
    ----------
    noise : array, 2 x readings
        Cholesky factor L of the noise's covariance: its diagonal, and the entries below (as
        `scipy.linalg.cholesky_banded` returns them).
    design : array, readings x columns
    target : array, readings
    """
    size = design.shape[1] + 1
    total, last = np.zeros((size, size)), np.zeros(size)
    below = np.append(0.0, noise[1, :-1])
    for first in range(0, len(target), BLOCK):
        part = slice(first, first + BLOCK)
        white = _whitened(noise[0, part], below[part], design[part], target[part], last)
        total, last = total + white.T @ white, white[-1]
    return total


@compiled
def _whitened(
    diagonal: np.ndarray,
    below: np.ndarray,
    design: np.ndarray,
    target: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """Return the rows of W (readings x columns) that follow the row `last`."""
    count, columns = design.shape
    rows = np.empty((count, columns + 1))
    for n in range(count):
        before = rows[n - 1] if n else last
        for column in range(columns):
            rows[n, column] = (design[n, column] - below[n] * before[column]) / diagonal[n]
        rows[n, columns] = (target[n] - below[n] * before[columns]) / diagonal[n]
    return rows


@compiled
def _at(curve: np.ndarray, x: float) -> float:
    """Return the value of a curve on an even grid from 0 to 1 at `x`, as `np.interp` does."""
    place = min(max(x, 0.0), 1.0) * (len(curve) - 1)
    left = min(int(place), len(curve) - 2)
    return float(curve[left] + (place - left) * (curve[left + 1] - curve[left]))


@compiled
def replayed(
    state: np.ndarray,
    direction: np.ndarray,
    pulses: np.ndarray,
    curves: np.ndarray,
    noise: float,
    widest: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays (readings): x if each pulse since the start of the sweep makes its mean
    step, and the variance of x by write noise.

    Parameters
    ----------
    state : array, readings
        x, of which the values at the starts of sweeps are used.
    direction, pulses : arrays, readings
        Direction of the pulses before each reading (1 up, -1 down, 0 at the start of a sweep), and
        their number.
    curves : array, 2 x points
        Steps up and down, as positive numbers, on an even grid of x from 0 to 1.
    noise : float
        Standard deviation of a step.
    widest : float
        Largest variance.
    """
    mean, variance, near = state.copy(), np.zeros(len(state)), 0.5 / (curves.shape[1] - 1)
    for n in range(len(state)):
        if direction[n] == 0:
            continue
        x, spread, curve = mean[n - 1], variance[n - 1], curves[0 if direction[n] > 0 else 1]
        for _ in range(pulses[n]):
            slope = direction[n] * (_at(curve, x + near) - _at(curve, x - near)) / (2 * near)
            x = min(max(x + direction[n] * _at(curve, x), 0.0), 1.0)
            spread = min((1 + slope) ** 2 * spread + noise**2, widest)
        mean[n], variance[n] = x, spread
    return mean, variance
