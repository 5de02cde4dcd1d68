"""1T1R cells whose level is set by the gate of their transistor: the law of a write
(docs/writes_gate.md).

The SET of a filament is abrupt, and the transistor in series ends it by limiting the current. So
the gate voltage X chooses the conductance, whatever it was before, and RESET comes first if the
conductance must fall. X is the voltage of a capacitor, which the learning rule moves. The device is
written only when X has moved far enough since the last write of the device. Trainings in closed
form and in ngspice call these functions.
"""

import numpy as np


def moved_gate(
    gate: float, committed: float, dose: float, lower: float, upper: float, low: float, high: float
) -> tuple[float, bool]:
    """Return the gate voltage X of a cell after a dose, and True if its device is due (must be
    written now).

    Parameters
    ----------
    gate, committed : float, V
        X before the dose, and X at the last write of the device.
    dose : float, V
    lower, upper : float, V
        Window of X - `committed`. A device is due when this difference is outside of the window. If
        both are 0, it is due at each dose.
    low, high : float, V
        Range of X.
    """
    gate = min(max(gate + dose, low), high)
    moved = gate - committed
    return gate, moved != 0.0 and not lower < moved < upper


def level_at(levels: np.ndarray, share: float) -> float:
    """Return the level (conductance or state) at a `share` of the range of gate voltages, 0 to 1.

    `levels` are given on an even grid of that range, with straight lines between its points.
    """
    place = share * (len(levels) - 1)
    k = min(int(place), len(levels) - 2)
    return float(levels[k] + (levels[k + 1] - levels[k]) * (place - k))


def set_level(state: float, level: float, reset: bool, scatter: float) -> float:
    """Return the state of a cell after a write at a `level`.

    SET raises the state to the level, and never lowers it. `reset`: RESET comes first, because X
    has fallen since the last write. `scatter` is the random part of the write. All values have one
    unit.

    References
    ----------
    C. Li et al., Nat. Commun. 9, 2385 (2018), with the authors' code.
    """
    return (level if reset else max(state, level)) + scatter
