"""Behavioural law of the circuit of transistors that learns: its closed form with level-1
transistors, compiled by numba.

Only the weights are integrated over time. All other nodes are assumed to have settled; only the
currents of error lines and mirrors are delayed, by the charge of these nodes. A training of 4800
images takes less than a second, where ngspice takes twenty minutes, so searches for parameters use
this law. Conductances and currents of a column are in units of a read transistor's gain, those of
an error in units of the error current.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from memristive.compiled import compiled
from transistors.circuit import (
    BALANCE_GATE,
    BALANCE_WINDOW,
    BIAS,
    EDGE,
    GAINS,
    HIGH,
    LOW,
    ROW_INVERTER,
    ROW_SOURCE,
    SETTLING,
    SLOT,
    SMALLEST,
    TARGET,
    THRESHOLDS,
    LearnerParameters,
    margin_gain,
    named,
)

# steps of an image while the error current is full; fewer later. With 6, weights differ by 5 % from
# ngspice
STEPS = 60
MIRROR_GAIN = 4 * GAINS["pch"]  # A/V^2
WRITES = 1 - EDGE / SLOT  # share of a slot in which inputs and labels are still
# charge of an error line per volt, over the charge that the error current brings in a slot
LINE_CHARGE = SETTLING / SLOT
MIRROR_CHARGE = 10 * SETTLING / SLOT  # the same for the gates of a mirror
ANNEAL_CAPACITOR, FLOOR_RESISTOR = 1e-6, 1e5  # F, ohm


@dataclass(frozen=True, eq=False)
class Law:
    """The circuit in closed form: scores of images, and the weights after a training.

    Parameters
    ----------
    parameters : LearnerParameters
    classes : sequence of int
        Class numbers, in the order of the weights' rows.
    inputs : int
        Number of pixels.
    thresholds : mapping, optional
        Deviation of the threshold in V by the name of a transistor, as `circuit.draw_thresholds`
        returns; none for an ideal chip.
    """

    parameters: LearnerParameters
    classes: Sequence[int]
    inputs: int = 16
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def start(self) -> np.ndarray:
        """Return the weights in V (classes x inputs) after the reset."""
        return np.full((len(self.classes), self.inputs), BIAS[self.parameters.start_rail])

    def scores(self, weights: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Return the outputs in V (images x classes) for `images` (images x inputs, 0 to 1), with
        `weights` (classes x inputs, V).
        """
        volts = LOW + (HIGH - LOW) * images
        return _scores(weights - THRESHOLDS["syn"] - self._cells("read"), volts, self._load)

    def decided(self, weights: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Return the number of the class with the highest output for each of the `images` (images x
        inputs, 0 to 1), with `weights` (classes x inputs, V); `circuit.TIED` for a tie.
        """
        return named(self.classes, self.scores(weights, images))

    def train(
        self, images: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the weights in V (classes x inputs) after `images` (presentations x inputs) are
        shown with their `labels`.

        `weights` are those before; None: those after the reset. Raises ValueError for a label that
        is no class.
        """
        p, found = self.parameters, (self.start() if weights is None else weights.copy())
        volts = LOW + (HIGH - LOW) * images
        drive = np.maximum(volts - THRESHOLDS["syn"] - self._named("inv", range(self.inputs)), 0)
        # the source follows its gate but for an overdrive
        unit = 1 / np.sqrt(ROW_INVERTER * GAINS["syn"] / 2 * ROW_SOURCE)
        root = (-unit + np.sqrt(unit**2 + 4 * drive)) / 2
        up, down = self._gates_of_rows(volts, root**2)
        rows = np.searchsorted(self.classes, labels)
        if not (np.asarray(self.classes)[rows] == labels).all():
            raise ValueError("labels must be among the law's classes")
        read = THRESHOLDS["syn"] + self._cells("read")
        tails = self._named("", ("score", "label", "balance", "level", "mean"))
        mirrors = self._named("diode", self.classes) - self._named("copy", self.classes)
        # A mirror that carries nothing rests at the threshold of its diode; a lower threshold of
        # the copy then conducts.
        idle = MIRROR_GAIN / 2 * np.maximum(mirrors, 0) ** 2 / p.error_current
        _train(
            found,
            volts,
            up,
            down,
            rows,
            self._gates(len(images)),
            read,
            self._cells("up"),
            self._cells("down"),
            self._named("pair", self.classes),
            mirrors,
            idle,
            tails,
            self._load,
            margin_gain(p) * p.read_length / (GAINS["syn"] * SMALLEST),
            TARGET - THRESHOLDS["syn"] - self._named("margin", self.classes),
            p.window,
            np.sqrt(2 * p.error_current / MIRROR_GAIN),
            1 / p.charge_overdrive**2,
            1 / p.discharge_overdrive**2,
            p.step * WRITES,
            p.balance,
            p.level,
            BIAS[p.start_rail],
        )
        return found

    def _gates_of_rows(self, volts: np.ndarray, drops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return two arrays, each with the shape of `volts`: the gate voltages of the charging and
        of the discharging transistors in V, each less its threshold.

        `volts` are the voltages of the pixels in V, `drops` the voltages in V across the source
        resistors of the rows' inverters.
        """
        p = self.parameters
        return (
            BIAS[p.charge_rail] - p.charge_swing * drops + abs(THRESHOLDS["pch"]),
            p.discharge_swing * volts
            + (1 - p.discharge_swing) * BIAS[p.discharge_rail]
            - THRESHOLDS["nch"],
        )

    @property
    def _load(self) -> float:
        return self.parameters.read_length / (GAINS["syn"] * SMALLEST * self.parameters.load)

    def _gates(self, count: int) -> np.ndarray:
        """Return the overdrive in V of the current sources during each of `count` images
        (array).
        """
        p = self.parameters
        floor = FLOOR_RESISTOR * (1 - p.anneal_floor)
        decay = np.exp(
            -((np.arange(count) + 0.5) * SLOT + EDGE) / (p.anneal_time + ANNEAL_CAPACITOR * floor)
        )
        return BIAS["vref"] * (p.anneal_floor + (1 - p.anneal_floor) * decay) - THRESHOLDS["syn"]

    def _named(self, kind: str, names: Iterable[object]) -> np.ndarray:
        return np.array([self.thresholds.get(f"m{kind}{name}", 0.0) for name in names])

    def _cells(self, kind: str) -> np.ndarray:
        return np.array(
            [self._named(kind, [f"{c}_{i}" for i in range(self.inputs)]) for c in self.classes]
        )


@compiled
def _square(x: float) -> float:
    return x * x if x > 0 else 0.0


@compiled
def _read(
    gates: np.ndarray, volts: np.ndarray, load: float, margin: float, pull: float, guess: float
) -> float:
    """Return the output of a column in V, at which the read currents equal those of the load and of
    the margin.

    `gates` are the weights less the thresholds in V, `volts` the inputs in V, `load` the load's
    conductance and `margin` the gain of the margin's transistor, both over the gain of a read
    transistor; `pull` is the overdrive in V of the margin's transistor. Newton's method starts at
    `guess` and finds the output from below, because the sum of the currents is convex.
    """
    given = 0.0
    for i in range(len(gates)):
        given += 0.5 * _square(gates[i] - volts[i])
    out = guess
    for _ in range(30):
        balance = -given - load * out - 0.5 * margin * (_square(pull) - _square(pull - out))
        slope = load + margin * max(pull - out, 0.0)
        for i in range(len(gates)):
            balance += 0.5 * _square(gates[i] - out)
            slope += max(gates[i] - out, 0.0)
        change = balance / slope
        out += change
        if abs(change) < 1e-9:
            break
    return out


@compiled
def _scores(gates: np.ndarray, volts: np.ndarray, load: float) -> np.ndarray:
    found = np.empty((len(volts), len(gates)))
    for k in range(len(volts)):
        for c in range(len(gates)):
            found[k, c] = _read(gates[c], volts[k], load, 0.0, 1.0, 0.8)
    return found


@compiled
def _train(
    weights: np.ndarray,
    volts: np.ndarray,
    up: np.ndarray,
    down: np.ndarray,
    rows: np.ndarray,
    gates: np.ndarray,
    read: np.ndarray,
    up_shift: np.ndarray,
    down_shift: np.ndarray,
    pair: np.ndarray,
    mirrors: np.ndarray,
    idle: np.ndarray,
    tails: np.ndarray,
    load: float,
    margin: float,
    pull: np.ndarray,
    window: float,
    mirror_overdrive: float,
    up_gain: float,
    down_gain: float,
    step: float,
    balance: float,
    level: float,
    rest: float,
) -> None:
    """Write `weights` (V, classes x inputs) in place, image after image. `Law.train` computes all
    arguments.
    """
    classes, inputs = weights.shape
    out, error, cell = np.full(classes, 0.8), np.zeros(classes), np.empty(inputs)
    high, low, lines = np.empty(inputs), np.empty(inputs), np.full(classes, rest)
    for k in range(len(volts)):
        score_drive, label_drive = max(gates[k] - tails[0], 1e-6), max(gates[k] - tails[1], 1e-6)
        current, label_current = (score_drive / 0.3) ** 2, (label_drive / 0.3) ** 2
        steps = 1 + int(STEPS * max(current, label_current))
        y, before = rows[k], rows[max(k - 1, 0)]
        # A mirror's capacitor delays the label's current, and what it holds goes to the label
        # before.
        late = (
            min(MIRROR_CHARGE * mirror_overdrive / (label_drive / 0.3), 0.5) if y != before else 0.0
        )
        overdrive = mirror_overdrive * label_drive / 0.3
        mirror = _square(1 + mirrors[y] / overdrive)
        label_current *= mirror * (1 - balance)
        balance_drive = max(gates[k] - tails[2], 1e-6)
        balance_current, balance_width = (
            mirror * 2 * balance * (balance_drive / 0.3) ** 2,
            BALANCE_WINDOW * balance_drive / 0.3,
        )
        for _ in range(steps):
            top = -1e9
            for c in range(classes):
                for i in range(inputs):
                    cell[i] = weights[c, i] - read[c, i]
                out[c] = _read(cell, volts[k], load, margin if c == y else 0.0, pull[c], out[c])
                top = max(top, out[c] - pair[c])
            # the stage's current is that of overdrives whose squares add up to this
            width = window * score_drive / 0.3
            foot = top - width
            for _ in range(30):
                excess, slope = -width * width, 0.0
                for c in range(classes):
                    lead = out[c] - pair[c] - foot
                    if lead > 0:
                        excess += lead * lead
                        slope += 2 * lead
                foot += excess / slope
                if excess < 1e-9 * width * width:
                    break
            tail_voltage = max(foot - 0.5, 0.0)
            # below its overdrive a source gives less
            drawn = current * (1 - _square(1 - tail_voltage / score_drive))
            lead = BALANCE_GATE * (1 - out.mean() / level) - tails[3] + tails[4]
            lead = min(max(lead, -balance_width), balance_width)
            steered = (
                balance_current
                * ((lead + math.sqrt(2 * balance_width**2 - lead**2)) / (2 * balance_width)) ** 2
            )
            for c in range(classes):
                share = _square(out[c] - pair[c] - foot) / (width * width)
                error[c] = (1 - late if c == y else late if c == before else 0.0) * (
                    label_current + steered
                ) - drawn * share
                if c != y:
                    error[c] += idle[c]
            for c in range(classes):
                if abs(error[c]) < 1e-4:
                    continue
                for i in range(inputs):
                    high[i], low[i] = up[k, i] + up_shift[c, i], down[k, i] - down_shift[c, i]
                line = _line(weights[c], high, low, error[c], up_gain, down_gain)
                # The error current charges the line first. That matters when the current has become
                # small.
                share = 1 - LINE_CHARGE * (line - lines[c]) * steps / error[c]
                if share <= 0:
                    lines[c] += error[c] / steps / LINE_CHARGE
                    continue
                lines[c] = line
                for i in range(inputs):
                    weights[c, i] += (
                        share
                        * step
                        / steps
                        * (
                            up_gain * (_square(line - high[i]) - _square(weights[c, i] - high[i]))
                            - down_gain * (_square(low[i] - line) - _square(low[i] - weights[c, i]))
                        )
                    )


@compiled
def _line(
    weights: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    error: float,
    up_gain: float,
    down_gain: float,
) -> float:
    """Return the voltage in V of an error line at which its cells take the error current, between
    ground and the supply.

    `high` and `low` are gates of `_gates_of_rows`. Newton's method finds the voltage. Where a step
    would leave the bracket, the bracket is halved, because the slope vanishes between the voltages
    at which the charging and the discharging transistors conduct.
    """
    lowest, highest = 0.0, 3.0
    line = highest if error > 0 else lowest
    for _ in range(60):
        balance, slope = -error, 1e-12
        for i in range(len(weights)):
            balance += up_gain * (_square(line - high[i]) - _square(weights[i] - high[i]))
            balance -= down_gain * (_square(low[i] - line) - _square(low[i] - weights[i]))
            slope += 2 * up_gain * max(line - high[i], 0.0) + 2 * down_gain * max(
                low[i] - line, 0.0
            )
        if balance > 0:
            highest = line
        else:
            lowest = line
        wanted = line - balance / slope
        if not lowest < wanted < highest:
            wanted = (lowest + highest) / 2
        if abs(wanted - line) < 1e-7:
            break
        line = wanted
    return line
