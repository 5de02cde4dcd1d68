"""Energy that a source delivers in a transient."""

import numpy as np


def positive_energy(times: np.ndarray, power: np.ndarray, begin: float, end: float) -> float:
    """Return the energy in J that a source delivers from `begin` to `end` (s), if its `power` (W)
    is linear between `times`.

    Negative power flows back into the source and counts as 0.
    """
    inside = (times > begin) & (times < end)
    t = np.r_[begin, times[inside], end]
    p = np.r_[np.interp(begin, times, power), power[inside], np.interp(end, times, power)]
    first, second, dt = p[:-1], p[1:], np.diff(t)
    above = np.maximum(first, 0) + np.maximum(second, 0)
    # Where the line crosses zero, only the share of the time above it counts.
    total = np.abs(first) + np.abs(second)
    share = np.where(
        first * second < 0, np.divide(above, total, out=np.ones_like(total), where=total > 0), 1.0
    )
    return float(np.sum(above * share * dt) / 2)
