"""Devices with one gradual direction, from readings after pulses.

The distributions are kept as they were measured: no law is fitted. Noise of the readings counts as
part of the steps.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from memristive.devices.measured_device import MeasuredDevice
from memristive.devices.one_sided import OneSided, Quantiles
from memristive.parameters import ParameterError

QUANTILES, STATES = 21, 21  # of the tables
EDGE = 0.005  # share of a device's readings that may lie beyond its range at either end
WINDOW, LEAST = 0.03, 20  # around a state, share of the range, and fewest steps, of its quantiles
FEWEST = 5  # steps of a direction
# share of the way to the end of the range: an abrupt pulse covers more. A gradual one of 35 % of
# the range covers half of the way on average.
ABRUPT = 0.7


CellReadings = tuple[np.ndarray, np.ndarray, np.ndarray]
# state before and state after each pulse, two rows; by the direction, 1 or -1
Steps = dict[int, np.ndarray]


def is_one_sided(cells: Sequence[CellReadings]) -> bool:
    """Return True if exactly one direction of some `cells`, as in `fit_one_sided`, is abrupt."""
    steps = _steps(cells)[0] if all(len(siemens) for siemens, *_ in cells) else Steps()
    enough = all(pairs.shape[1] >= FEWEST for pairs in steps.values())
    return enough and len(_abrupt(steps)) == 1


def fit_one_sided(cells: Sequence[CellReadings], name: str, **more: Any) -> MeasuredDevice:
    """Return the device of one or several cells with one gradual direction.

    Parameters
    ----------
    cells : sequence of tuples of arrays
        For each cell its conductances in S in the order of measurement, the direction of the pulses
        before each of them (1 up, -1 down, 0 at the start of a sweep), and their number. The steps
        of all cells, each in shares of its own range, become one distribution.
    name : str
    **more
        Other fields of the device.

    Raises
    ------
    ParameterError
        A direction has too few single pulses, or not exactly one direction is abrupt.
    """
    steps, ranges = _steps(cells)
    for sign, word in ((1, "up"), (-1, "down")):
        if steps[sign].shape[1] < FEWEST:
            raise ParameterError(
                f"a device with one gradual direction needs {FEWEST} single pulses each way, got "
                f"{steps[sign].shape[1]} {word}; measure more sweeps, with a reading after each "
                "pulse"
            )
    abrupt = _abrupt(steps)
    if len(abrupt) != 1:
        raise ParameterError(
            f"one direction must be abrupt and the other gradual, got {len(abrupt)} abrupt ones"
        )
    (before, after), (start, end) = steps[-abrupt[0]], steps[abrupt[0]]
    tables = OneSided(_quantiles(before, after - before), _quantiles(start, end))
    spans, lows = ranges[:, 1] - ranges[:, 0], ranges[:, 0]
    if len(cells) > 1:
        spread, shift = (float(bounds.std() / spans.mean()) for bounds in (spans, lows))
        more = {"range_spread": spread, "lowest_spread": shift} | more
    low, high = ranges.mean(axis=0).tolist()
    return one_sided_device(name, tables, lowest_conductance=low, highest_conductance=high, **more)


def one_sided_device(name: str, tables: OneSided, **more: Any) -> MeasuredDevice:
    """Return the device with these `tables`. `more`: other fields of the device."""
    step = (tables.mean_step,) * 2
    return MeasuredDevice(
        name, up=step, down=step, write_noise=tables.noise, one_sided=tables, **more
    )


def _steps(cells: Sequence[CellReadings]) -> tuple[Steps, np.ndarray]:
    """Return the steps of all single pulses, and the lowest and highest conductance of each cell in
    S (cells x 2).
    """
    ranges = np.array([np.quantile(siemens, [EDGE, 1 - EDGE]) for siemens, _, _ in cells])
    by_sign: dict[int, list[np.ndarray]] = {1: [], -1: []}
    for (siemens, direction, pulses), (low, high) in zip(cells, ranges, strict=True):
        x = np.clip((siemens - low) / max(high - low, 1e-300), 0.0, 1.0)
        for sign, steps in by_sign.items():
            after = np.flatnonzero((direction[1:] == sign) & (pulses[1:] == 1)) + 1
            steps.append(np.stack([x[after - 1], x[after]]))
    return {sign: np.hstack(steps) for sign, steps in by_sign.items()}, ranges


def _abrupt(steps: Steps) -> list[int]:
    """Return the abrupt directions: from the far half of the range a pulse covers on average more
    than the share `ABRUPT` of the distance to its end.
    """
    signs = []
    for sign, (before, after) in steps.items():
        left, moved = (1 - before, after - before) if sign > 0 else (before, before - after)
        far = left > 1 / 2
        if far.any() and (moved[far] / left[far]).mean() > ABRUPT:
            signs.append(sign)
    return signs


def _quantiles(x: np.ndarray, values: np.ndarray) -> Quantiles:
    """Return the table of quantiles of `values` at the states `x`. Each state of the table takes
    the steps within `WINDOW` of it, but at least the `LEAST` nearest.
    """
    rows = []
    for state in np.linspace(0, 1, STATES):
        away = np.abs(x - state)
        near = away <= max(WINDOW, np.sort(away)[:LEAST][-1])
        rows.append(np.quantile(values[near], np.linspace(0, 1, QUANTILES)))
    return tuple(map(tuple, np.round(np.array(rows).T, 4).tolist()))
