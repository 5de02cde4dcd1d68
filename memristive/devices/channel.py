"""The laws of the emulator's cell: current of its channel, lift of its floating gate, writes (docs/closed_form.md).

Each law stands here once, in NumPy's functions, and the kernels compile it. It takes numbers or arrays of any shape that
broadcast.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

Values = np.ndarray | float


class Channel(Protocol):
    """Parameters of a channel: numbers, or arrays of many cells' values (any shape)."""

    @property
    def gain(self) -> Any:
        """Gain Kp W/L of the channel in A/V^2."""
    @property
    def threshold_voltage(self) -> Any:
        """Threshold voltage Vto in V."""
    @property
    def share(self) -> Any:
        """Share C / (C + C_gate) of the explicit capacitor in the memory."""
    @property
    def pinch(self) -> Any:
        """Ratio of the lifted gate's overdrive to the overdrive at rest, for a saturated channel: 3 / (2 + share)."""


class ChannelValues(NamedTuple):
    """A `Channel` as plain values, which kernels pass to the laws."""

    gain: Any
    threshold_voltage: Any
    share: Any
    pinch: Any


def channel_current(channel: Channel, state: Any, voltage: Any) -> Any:
    """Return the channel current in A from the input to a neuron at 0 V: the square law of Shichman and Hodges.

    ngspice's level 3 reduces to it. Off for X below Vto, saturated for X - Vto below V, else linear.

    Parameters
    ----------
    channel : Channel
    state : array_like, V
        Gate voltage X.
    voltage : array_like, V
        Input voltage, 0 or above.
    """
    overdrive = np.maximum(state - channel.threshold_voltage, 0.0)
    drop = np.minimum(voltage, overdrive)
    return channel.gain * (overdrive * drop - drop**2 / 2)


def raised_state(channel: Channel, state: Any, voltage: Any) -> Any:
    """Return the voltage in V of the floating gate while the input is at `voltage` V: the channel lifts its gate.

    The gate keeps its charge C X + Q. Let s = X - Vto be its overdrive at the neuron's side (0 V), d = s - V at the input's.
    The derivatives of Q = 2/3 C_gate (s^2 + s d + d^2) / (s + d) are J. E. Meyer's capacitances (RCA Review 32, 1971); in
    saturation d = 0. So s solves a quadratic equation, in saturation a linear one (docs/closed_form.md). If X is at most Vto, the
    channel is off and does not lift the gate. `state` (V) and `voltage` (V) broadcast; negative voltages lower the gate.
    """
    share = channel.share
    start = state - channel.threshold_voltage
    mean = start - share / 2 * voltage
    root = np.sqrt(np.maximum(mean * mean - (1 - share) / 3 * (voltage * voltage), 0.0))
    linear = (start + (1 - share / 2) * voltage + root) / 2
    pinched = channel.pinch / 3 * (3 * start + 2 * (1 - share) * np.minimum(voltage, 0.0))
    is_linear, conducts = pinched > np.maximum(voltage, 0.0), start > 0  # masks: np.where of two numbers is slow when compiled
    return state + conducts * (is_linear * linear + (1 - is_linear) * pinched - start)


def lowered_state(channel: Channel, state: Any, voltage: Any) -> Any:
    """Return the voltage in V of a gate after the input has fallen from `voltage` (V, 0 or above) to 0 V.

    `state` is the voltage of the lifted gate before, so this function undoes `raised_state`.
    """
    start = state - channel.threshold_voltage
    drain = np.maximum(start - voltage, 0.0)
    charge = 2 / 3 * (start * start + start * drain + drain * drain) / np.maximum(start + drain, TINY)
    lifted = (start > 0) & (voltage > 0)
    return state + lifted * (channel.share * start + (1 - channel.share) * charge - start)


def read_current(channel: Channel, state: Any, voltage: Any) -> Any:
    """Return the channel current in A while the input is at `voltage` V and the gate floats; shapes broadcast.

    It is `channel_current` at `raised_state`, simplified to one square root because reads spend most of their time here.
    `voltage` may be negative where the channel conducts well, as in back-reads.
    """
    start = np.maximum(state - channel.threshold_voltage, 0.0)
    drop = np.minimum(voltage, channel.pinch * start)  # a drain beyond pinch-off changes neither charge nor current
    mean = start - channel.share / 2 * drop
    return channel.gain / 2 * drop * (mean + np.sqrt(np.maximum(mean * mean - (1 - channel.share) / 3 * (drop * drop), 0.0)))


def conductance(channel: Channel, state: Any) -> Any:
    """Return the conductance Kp W/L (X - Vto) in S of a cell, with which it loads its column whatever its input is.

    `state`: X in V (any shape).
    """
    return channel.gain * np.maximum(state - channel.threshold_voltage, 0.0)


def leaked(window: Any, leak: Any) -> Any:
    """Return the share of X that leaks while phi is high for `window` s, at a rate `leak` of 1 / (R_leak (C + C_gate)) in 1/s."""
    return -np.expm1(-window * leak)


def written(state: Any, charged: Any, lift: Any, share: Any) -> Any:
    """Return X in V after a write, in which dX/dt = (K V - X' / R_leak) / (C + C_gate) with the lifted gate X'.

    Parameters
    ----------
    state : array_like, V
        X before.
    charged : array_like, V
        K R_leak V with the mean input V: the value that X' tends to.
    lift : array_like, V
        Mean of X' - X over the write.
    share : array_like
        From `leaked`.
    """
    return state + (charged - lift - state) * share


class Flow(NamedTuple):
    """Write curves of a device: its range, and dX/dq on an even grid of it, where q is the change of X by the nominal gain K."""

    up: Any  # array, for positive voltages, from the lowest X on
    down: Any  # array, for negative voltages, from the highest X on; the numbers are positive
    low: float  # V
    span: float  # V


NO_FLOW = Flow(np.zeros(0), np.zeros(0), 0.0, 1.0)  # a gain K that is the same at any X


def moved(flow: Flow, state: float, charge: float) -> float:
    """Return X in V after a write along the curves of a device, exactly: between grid points, X(t) is an exponential.

    Parameters
    ----------
    flow : Flow
        Curves of the device. Below the range, the upward rate keeps its first value. Above the range it falls to 0 within
        `BEYOND`, so that writes end there. For downward writes the two ends change places.
    state : float
        X in V before.
    charge : float
        Change in V that the nominal gain K makes: K V t / (C + C_gate), negative for negative voltages.
    """
    rates = flow.up if charge > 0.0 else flow.down
    last, left, x = len(rates) - 1, abs(charge) / flow.span, (state - flow.low) / flow.span
    x = x if charge > 0.0 else 1.0 - x
    k = int(np.floor(x * last)) if x < 1.0 else last
    while left > 0.0:
        if k < 0:
            end, rate, slope = 0.0, rates[0], 0.0
        elif k < last:
            end, slope = (k + 1) / last, (rates[k + 1] - rates[k]) * last
            rate = rates[k] + slope * (x - k / last)
        else:
            end, slope = 1.0 + BEYOND, -rates[last] / BEYOND
            rate = rates[last] + slope * (x - 1.0)
        if rate <= 0.0:
            break
        bend = slope * left
        x_after = x + rate * left * (np.expm1(min(bend, 700.0)) / bend if abs(bend) > 1e-12 else 1.0)
        if x_after <= end or k == last:
            x = min(x_after, end)
            break
        ratio = slope * (end - x) / rate
        left -= (np.log1p(max(ratio, -1.0 + 1e-16)) / slope if abs(ratio) > 1e-12 else (end - x) / rate)
        x, k = end, max(k + 1, 0)
    return flow.low + flow.span * (x if charge > 0.0 else 1.0 - x)


move = np.vectorize(moved, excluded={0}, otypes=[float])  # `moved` for arrays of states and charges that broadcast


def drawn_number(wanted: float, whole: bool, rng: np.random.Generator) -> float:
    """Return the number of pulses that a cell gets. If `whole`, the fraction of `wanted` is the probability of rounding up."""
    if wanted <= 0.0 or not whole:
        return max(wanted, 0.0)
    return np.floor(wanted) + (rng.random() < wanted - np.floor(wanted))


BEYOND = 1e-3  # of the range, within which writes end beyond its bounds
TINY = 1e-300  # V, keeps the quotient of a gate at rest finite
