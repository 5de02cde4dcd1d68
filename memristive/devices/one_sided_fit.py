"""Devices with one gradual direction, from readings after pulses, or from CrossSim's lookup tables.

The distributions are kept as they were measured: no law is fitted. Noise of the readings counts as
part of the steps.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from memristive.devices.measured_device import MeasuredDevice
from memristive.devices.one_sided import OneSided, Table
from memristive.parameters import ParameterError

QUANTILES, STATES = 21, 21  # of the tables
EDGE = 0.005  # share of a device's readings that may lie beyond its range at either end
WINDOW, LEAST = 0.03, 20  # around a state, share of the range, and fewest steps, of its quantiles
FEWEST = 100  # steps of a direction
# A pulse from the far half covers most of its way to the end of the range if it is abrupt. Today's
# two kinds are far apart: 0.9 to 1 and 0.1 to 0.2 for CrossSim's TaOx cells.
ABRUPT = 0.6


def fit_one_sided(
    readings: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], name: str, **more: Any
) -> MeasuredDevice:
    """Return the device of one or several cells with one gradual direction.

    Parameters
    ----------
    readings : sequence of tuples of arrays
        For each cell its conductances in S in the order of measurement, the direction of the pulses
        before each of them (1 up, -1 down, 0 at the start of a sweep), and their number. The steps
        of all cells, each in shares of its own range, become one distribution.
    name : str
    **more
        Other fields of the device.

    Raises
    ------
    ParameterError
        A direction has too few steps, or not exactly one direction is abrupt.
    """
    ranges = np.array([np.quantile(cell[0], [EDGE, 1 - EDGE]) for cell in readings])
    spans, steps = np.diff(ranges)[:, 0], dict[int, np.ndarray]()
    for sign in (1, -1):
        found = []
        for (siemens, direction, pulses), (low, _), span in zip(
            readings, ranges, spans, strict=True
        ):
            after = np.flatnonzero((np.asarray(direction) == sign) & (np.asarray(pulses) == 1))
            x = np.clip((np.asarray(siemens) - low) / span, 0.0, 1.0)
            after = after[after > 0]
            found.append(np.stack([x[after - 1], x[after]]))
        steps[sign] = np.hstack(found)
        if steps[sign].shape[1] < FEWEST:
            raise ParameterError(
                f"one gradual direction needs {FEWEST} or more single pulses of each direction, "
                f"got {steps[sign].shape[1]} {'up' if sign > 0 else 'down'}"
            )
    ways = {sign: _way(of[0], of[1], sign) for sign, of in steps.items()}
    abrupt = [sign for sign, share in ways.items() if share > ABRUPT]
    if len(abrupt) != 1:
        raise ParameterError(
            "one direction must be abrupt and the other gradual, but a pulse covers "
            f"{ways[1]:.0%} of its way up and {ways[-1]:.0%} of its way down"
        )
    (sign,) = abrupt
    (before, after), (start, end) = steps[-sign], steps[sign]
    tables = OneSided(_quantiles(before, after - before), _quantiles(start, end))
    spread = {"range_spread": spans.std() / spans.mean(), "lowest_spread": ranges[:, 0].std()}
    spread["lowest_spread"] /= spans.mean()
    if len(readings) > 1:
        more = {name: float(value) for name, value in spread.items()} | more
    low, high = ranges.mean(axis=0).tolist()
    return one_sided_device(name, tables, lowest_conductance=low, highest_conductance=high, **more)


def one_sided_device(name: str, tables: OneSided, **more: Any) -> MeasuredDevice:
    """Return the device with these `tables`. `more`: other fields of the device."""
    step = (tables.mean_step,) * 2
    return MeasuredDevice(
        name, up=step, down=step, write_noise=tables.noise, one_sided=tables, **more
    )


def from_crosssim(increasing: str, decreasing: str, name: str, **more: Any) -> MeasuredDevice:
    """Return the device of two lookup tables of CrossSim, given as text, one of whose directions is
    abrupt. `more`: other fields of the device.

    References
    ----------
    github.com/sandialabs/cross-sim; `devices.export` describes the form of the tables.

    Raises
    ------
    ParameterError
        A text is no table, or not exactly one direction is abrupt.
    """
    changes, ways = {}, {}
    for sign, text in ((1, increasing), (-1, decreasing)):
        try:
            rows = [np.array(line.split(","), float) for line in text.strip().splitlines()[1:]]
            siemens, shares, table = rows[0], rows[1], np.array(rows[2:])
            wanted, places = (
                np.linspace(0, 1, QUANTILES),
                np.linspace(siemens[0], siemens[-1], STATES),
            )
            at_wanted = [np.interp(wanted, shares, of_state) for of_state in table.T]
            found = np.array([np.interp(places, siemens, row) for row in np.transpose(at_wanted)])
        except (ValueError, IndexError):
            raise ParameterError(
                f"the table of pulses {'up' if sign > 0 else 'down'} must hold a line of text, "
                "conductances, probabilities, and a row of changes for each probability"
            ) from None
        changes[sign] = found / (siemens[-1] - siemens[0])
        x = np.broadcast_to(np.linspace(0, 1, STATES), found.shape).ravel()
        ways[sign] = _way(x, np.clip(x + changes[sign].ravel(), 0, 1), sign)
        low, high = float(siemens[0]), float(siemens[-1])
    up = ways[1] > ways[-1]
    if not min(ways.values()) <= ABRUPT < max(ways.values()):
        raise ParameterError(
            "one direction must be abrupt and the other gradual, but a pulse covers "
            f"{ways[1]:.0%} of its way up and {ways[-1]:.0%} of its way down"
        )
    ends = np.clip(np.linspace(0, 1, STATES) + changes[1 if up else -1], 0, 1)
    tables = OneSided(_table(changes[-1 if up else 1]), _table(ends))
    return one_sided_device(name, tables, lowest_conductance=low, highest_conductance=high, **more)


def _way(before: np.ndarray, after: np.ndarray, sign: int) -> float:
    """Return the share of the way to the end of the range that pulses of a direction cover on
    average, from the far half of the range.
    """
    left, moved = (1 - before, after - before) if sign > 0 else (before, before - after)
    far = left > 1 / 2
    return float((moved[far] / left[far]).mean()) if far.any() else 0.0


def _quantiles(x: np.ndarray, values: np.ndarray) -> Table:
    """Return the table of quantiles of `values` at the states `x`: those of the steps within
    `WINDOW` of each state of the table, but at least of the `LEAST` nearest.
    """
    found = []
    for state in np.linspace(0, 1, STATES):
        away = np.abs(x - state)
        near = away <= max(WINDOW, np.partition(away, LEAST - 1)[LEAST - 1])
        found.append(np.quantile(values[near], np.linspace(0, 1, QUANTILES)))
    return _table(np.array(found).T)


def _table(values: np.ndarray) -> Table:
    return tuple(tuple(row) for row in np.round(values, 4).tolist())
