"""Netlist of resistors, capacitors and MOSFETs that read, compare and write their own weights
(docs/transistors.md).

Pins: vdd and five bias voltages, `reset`, `learn`, an input `in0`, `in1`, ... for each pixel, a
target and an output for each class. Internal nodes begin with `n_`. Nothing here reads data: the
netlist depends on the numbers of classes and inputs only. Chips deviate from it in the thresholds
of their transistors.

References
----------
M. J. M. Pelgrom, A. C. J. Duinmaijer, A. P. G. Welbers: Matching properties of MOS transistors,
IEEE Journal of Solid-State Circuits 24 (5), 1433-1440, 1989: the standard deviation of a threshold
falls with the square root of the gate's area.

The elements, voltages and times are those of mnist4-circuit-learning-v0
(github.com/thomasnormal/spicenn2, competition/RULES.md, November 2026).
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memristive.parameters import Parameters, quantity

# V, the contest's rails
BIAS = {"vdd": 3.0, "vref": 0.5, "vweight": 1.8, "verror": 1.2, "voffset": 1.9, "vbias": 1.7}
CONTROLS = ("reset", "learn", "clock")
MODELS = {
    "nch": (
        "nmos",
        "level=1 vto={vto:.9g} kp=120u lambda=0.02 gamma=0 phi=0.7\n"
        "+ tox=20n cgso=0.3n cgdo=0.3n cj=0.2m cjsw=0.3n",
    ),
    "pch": (
        "pmos",
        "level=1 vto={vto:.9g} kp=40u lambda=0.02 gamma=0 phi=0.7\n"
        "+ tox=20n cgso=0.3n cgdo=0.3n cj=0.2m cjsw=0.3n",
    ),
    "syn": (
        "nmos",
        "level=1 vto={vto:.9g} kp=50u lambda=0 gamma=0 phi=0.7\n"
        # level-1 transistors that the contest gives
        "+ tox=20n cgso=0.3n cgdo=0.3n",
    ),
}
THRESHOLDS = {"nch": 0.5, "pch": -0.5, "syn": 0.2}  # V
GAINS = {"nch": 120e-6, "pch": 40e-6, "syn": 50e-6}  # A/V^2, of a square transistor
SLOT = 1e-3  # s, of one image
EDGE = 0.01 * SLOT  # s, rise or fall time of every source
LOW, HIGH = 0.3, 1.7  # V, of a black and a white pixel
SETTLING = 5e-6  # s, in which the error current moves an error line by 1 V
TAIL_OVERDRIVE = BIAS["vref"] - THRESHOLDS["syn"]  # V, of the current sources before annealing
TARGET = 1.0  # V, at the label's target pin
ROW_SOURCE = 2e6  # ohm, at the source of a row's inverter, which draws 0.7 uA at most
ROW_INVERTER = 2.0  # width over length of a row's inverter
BALANCE_WINDOW = 50e-3  # V, difference at the gates of the balance that steers its whole current
# V, to which dividers lower mean score and level: the stage must fit below the label's current
# source
BALANCE_GATE = 0.58
MEAN_RESISTOR = 50e6  # ohm, from each score to their mean: it draws a hundredth of a read's current
SMALLEST = 1e-6  # m, the shortest and narrowest transistor that the contest allows
RESOLUTION = 1e-6  # V, below which the two highest scores are tied
TIED = -1  # predicted class of a tie
TRANSISTOR = re.compile(
    r"^m\S+(?: \S+){4} (nch|pch|syn) w=(\S+)u l=(\S+)u$", re.IGNORECASE | re.MULTILINE
)
PELGROM = 20e-9  # V m, that is 20 mV um: one mV um for each nm of the models' 20 nm of oxide


@dataclass(frozen=True)
class LearnerParameters(Parameters):
    """Physical quantities that set the sizes of the circuit's elements. The defaults are those for
    ten digits.
    """

    read_length: float = quantity(
        400e-6, 1e-6, 1e-2, "m", "length of a read transistor of 1 um width: longer reads cost less"
    )
    load: float = quantity(3.25e6, 1e3, 1e12, "ohm", "resistor from each score line to ground")
    error_current: float = quantity(
        2e-6, 1e-9, 1e-3, "A", "current that an error moves, before annealing"
    )
    window: float = quantity(
        8.12e-3, 1e-4, 1.0, "V", "lead of a score that takes the whole error current"
    )
    margin: float = quantity(
        0.0294, 0.0, 10.0, "V^2", "pull on the label's score while learning, over a read's gain"
    )
    step: float = quantity(
        1.66, 1e-4, 100.0, "V", "change of one capacitor if it took the error current for one image"
    )
    charge_overdrive: float = quantity(
        1.584, 0.1, 3.0, "V", "overdrive of one charging transistor at the error current"
    )
    discharge_overdrive: float = quantity(
        1.584, 0.1, 3.0, "V", "overdrive of one discharging transistor at the error current"
    )
    charge_swing: float = quantity(0.0497, 0.01, 1.0, "", "gain from a pixel to its charging row")
    discharge_swing: float = quantity(
        0.0317, 0.01, 0.99, "", "gain from a pixel to its discharging row"
    )
    anneal_time: float = quantity(
        1.5, 1e-3, 100.0, "s", "time constant of the error current's gate voltage"
    )
    anneal_floor: float = quantity(0.4, 0.1, 1.0, "", "share of the gate voltage that remains")
    balance: float = quantity(
        0.0,
        0.0,
        0.9,
        "",
        "share of the label's current that holds the mean score at its level; 0: none",
    )
    level: float = quantity(0.77, 0.6, 1.1, "V", "mean score that the balance holds")
    source_scale: float = quantity(
        1.0, 1.0, 100.0, "", "factor on width and length of current sources and mirrors"
    )
    hold: int = quantity(
        0,
        0,
        1,
        "",
        "1: a transistor switches each mirror off in tests, so that none charges the weights",
    )
    charge_rail: str = "vweight"
    discharge_rail: str = "vweight"
    start_rail: str = "voffset"

    @property
    def capacitance(self) -> float:
        """Capacitance of a weight in F."""
        return self.error_current * SLOT / self.step


# Chosen with the closed form (law.py), on images of MNIST's training set that the contest does not
# use. Those for chips were chosen on chips whose thresholds spread by 5 mV (docs/transistors.md).
_THREE_DIGITS = LearnerParameters(
    load=14990000.0,
    window=0.02479,
    margin=0.08216,
    step=1.339,
    charge_overdrive=1.578,
    discharge_overdrive=2.084,
    charge_swing=0.2032,
    discharge_swing=0.2032,
    anneal_time=0.7621,
    anneal_floor=0.5325,
    balance=0.4058,
    level=0.8738,
    charge_rail="voffset",
)
PRESETS = {
    "mnist10": LearnerParameters(),
    "mnist017": _THREE_DIGITS,
    "xpue": LearnerParameters(),
    "mnist017_chips": dataclasses.replace(_THREE_DIGITS, source_scale=5.0, hold=1),
    "mnist10_chips": LearnerParameters(
        load=3896000.0,
        window=0.00758,
        margin=0.151,
        step=0.589,
        charge_overdrive=1.392,
        discharge_overdrive=1.475,
        charge_swing=0.1782,
        discharge_swing=0.1114,
        anneal_time=1.455,
        anneal_floor=0.5909,
        balance=0.4524,
        level=0.7684,
        discharge_rail="vbias",
        start_rail="vweight",
        source_scale=5.0,
        hold=1,
    ),
}


def netlist(parameters: LearnerParameters, classes: Sequence[int], inputs: int = 16) -> str:
    """Return the circuit as lines of R, C and M elements, without title, models and sources.

    Parameters
    ----------
    parameters : LearnerParameters
    classes : sequence of int
        Class numbers: the circuit uses the target and output pins with these numbers.
    inputs : int
        Number of input pins.
    """
    p, current = parameters, parameters.error_current
    slow = SETTLING * current  # F, moves 1 V in SETTLING
    tail = _size(2 * current / TAIL_OVERDRIVE**2, "syn", p.source_scale)
    mirror = f"W={8 * p.source_scale:g}u L={2 * p.source_scale:g}u"
    lines = [
        f"* learns {len(classes)} classes of {inputs} pixels from its errors",
        "* current sources: their gate voltage decays on an RC, so that late images write little "
        "(annealing)",
        "Canneal n_gate 0 1u",
        f"Ranneal n_gate n_floor {p.anneal_time / 1e-6:.6g}",
        f"Rfloor0 n_floor 0 {1e5:.6g}",
        f"Rfloor1 vref n_floor {1e5 * (1 - p.anneal_floor) / p.anneal_floor + 1:.6g}",
        "Manneal vref reset n_gate 0 syn W=20u L=1u",
        f"Mscore n_score n_gate n_learn 0 syn {tail}",
        "Mlabel n_label n_gate n_learn 0 syn "
        f"{_size((1 - p.balance) * 2 * current / TAIL_OVERDRIVE**2, 'syn', p.source_scale)}",
        *_balance(p, classes),
        "Mlearn n_learn learn 0 0 nch W=20u L=1u",
        "Mrows n_rows learn 0 0 nch W=20u L=1u",
        "* slow nodes need fewer time steps: without these capacitors every change of the image "
        "takes a hundred",
        f"Clabel n_label 0 {20 * slow:.6g}",
    ]
    # ohm, of the row's divider: its time constant with the gates it drives stays far below a slot
    high = 2e6
    for i in range(inputs):
        lines += [
            f"* pixel {i}: row for discharging transistors (bright is high), inverted row for "
            "charging ones (bright is low)",
            f"Rdown{i} in{i} n_down{i} {high * (1 - p.discharge_swing) / p.discharge_swing:.6g}",
            f"Rrail{i} n_down{i} {p.discharge_rail} {high:.6g}",
            f"Minv{i} n_up{i} in{i} n_follow{i} 0 syn W={ROW_INVERTER:g}u L=1u",
            f"Rfollow{i} n_follow{i} n_rows {ROW_SOURCE:.6g}",
            f"Rup{i} n_up{i} {p.charge_rail} {ROW_SOURCE * p.charge_swing:.6g}",
            f"Mopen{i} n_up{i} reset 0 0 nch W=4u L=1u",
        ]
    pair = _size(2 * current / p.window**2, "nch")
    charge, discharge = (
        _size(2 * current / overdrive**2, kind)
        for overdrive, kind in ((p.charge_overdrive, "pch"), (p.discharge_overdrive, "nch"))
    )
    read = f"W=1u L={p.read_length * 1e6:.6g}u"
    for c in classes:
        lines += [
            f"* class {c}: load of the score, arm of the differential stage with cascode, label's "
            "current by a mirror, start",
            f"Rload{c} out{c} 0 {p.load:.6g}",
            f"Mpair{c} n_arm{c} out{c} n_score 0 nch {pair}",
            f"Mcasc{c} n_line{c} verror n_arm{c} 0 nch W=10u L=1u",
            f"Mtarget{c} n_mirror{c} target{c} n_label 0 nch W=4u L=1u",
            f"Mdiode{c} n_mirror{c} n_mirror{c} vdd vdd pch {mirror}",
            f"Mcopy{c} n_line{c} n_mirror{c} vdd vdd pch {mirror}",
            *([f"Mhold{c} n_mirror{c} learn vdd vdd pch W=1u L=1u"] if p.hold else []),
            f"Cline{c} n_line{c} 0 {slow:.6g}",
            f"Cmirror{c} n_mirror{c} 0 {10 * slow:.6g}",
            f"Mstart{c} {p.start_rail} reset n_line{c} 0 syn W=100u L=1u",
        ]
        if p.margin:
            lines.append(f"Mmargin{c} out{c} target{c} 0 0 syn {_size(margin_gain(p), 'syn')}")
        for i in range(inputs):
            cell = f"{c}_{i}"
            lines += [
                f"Cw{cell} n_w{cell} 0 {p.capacitance:.6g}",
                f"Mread{cell} in{i} n_w{cell} out{c} 0 syn {read}",
                f"Mdown{cell} n_w{cell} n_down{i} n_line{c} 0 nch {discharge}",
                f"Mup{cell} n_w{cell} n_up{i} n_line{c} vdd pch {charge}",
            ]
    return "\n".join(lines) + "\n"


def _balance(p: LearnerParameters, classes: Sequence[int]) -> list[str]:
    """Return the lines of a differential stage that lowers the label's current while the mean of
    all scores is above its level; none if `balance` is 0.

    Without this stage, two current sources that differ by a percent would charge or discharge all
    cells, image after image.
    """
    if not p.balance:
        return []
    pair = _size(2 * 2 * p.balance * p.error_current / BALANCE_WINDOW**2, "syn")
    source = _size(2 * p.balance * 2 * p.error_current / TAIL_OVERDRIVE**2, "syn", p.source_scale)
    return [
        "* balance: the mean score, a reference, and a stage that steers a part of the label's "
        "current",
        *(f"Rmean{c} out{c} n_mean {MEAN_RESISTOR:.6g}" for c in classes),
        f"Rmean n_mean 0 {MEAN_RESISTOR / len(classes) / (p.level / BALANCE_GATE - 1):.6g}",
        f"Rlevel1 verror n_level {1e6 * (BIAS['verror'] / BALANCE_GATE - 1):.6g}",
        f"Rlevel0 n_level 0 {1e6:.6g}",
        f"Mbalance n_split n_gate n_learn 0 syn {source}",
        f"Mlevel n_label n_level n_split 0 syn {pair}",
        f"Mmean vdd n_mean n_split 0 syn {pair}",
    ]


def margin_gain(parameters: LearnerParameters) -> float:
    """Return the gain in A/V^2 of the transistor that pulls the label's score down."""
    overdrive = TARGET - THRESHOLDS["syn"]
    return 2 * parameters.margin * GAINS["syn"] * SMALLEST / parameters.read_length / overdrive**2


def models(kinds: Mapping[str, tuple[str, float]] | None = None) -> str:
    """Return a .model line for each entry of `kinds`. An entry has the model's name as key, the
    kind of transistor (a key of `MODELS`) and the deviation of its threshold in V as value. None:
    one model for each kind, without deviation.
    """
    kinds = kinds or {kind: (kind, 0.0) for kind in MODELS}
    return "\n".join(
        f".model {name} {MODELS[kind][0]} "
        f"({MODELS[kind][1].format(vto=THRESHOLDS[kind] + deviation)})"
        for name, (kind, deviation) in kinds.items()
    )


def _size(gain: float, kind: str, scale: float = 1.0) -> str:
    """Return the text "W=...u L=...u" of a transistor of a `kind` (a key of `GAINS`) with this gain
    in A/V^2. The smaller of W and L is `scale` um.
    """
    ratio = gain / GAINS[kind]
    return f"W={scale * max(ratio, 1):.6g}u L={scale * max(1 / ratio, 1):.6g}u"


def named(classes: Sequence[int], scores: np.ndarray) -> np.ndarray:
    """Return the class with the highest score for each image, `TIED` where another score is within
    1 uV. `scores`: images x classes, V; `classes`: the class number of each column.
    """
    first_two = np.sort(scores, axis=1)[:, -2:]
    return np.where(
        first_two[:, 1] - first_two[:, 0] <= RESOLUTION,
        TIED,
        np.array(classes)[scores.argmax(axis=1)],
    )


def draw_thresholds(circuit: str, seed: int, deviation: float | None = None) -> dict[str, float]:
    """Return a random deviation in V of each transistor's threshold, by the transistor's name in
    lower case.

    Parameters
    ----------
    circuit : str
        From `netlist`.
    seed : int
    deviation : float, optional
        Standard deviation in V of every transistor; by default it follows from the area of the
        transistor's gate.
    """
    rng, found = np.random.default_rng(seed), {}
    for transistor in TRANSISTOR.finditer(circuit):
        area = float(transistor[2]) * float(transistor[3]) * 1e-12  # m^2
        spread = PELGROM / area**0.5 if deviation is None else deviation
        found[transistor[0].split()[0].lower()] = float(rng.standard_normal() * spread)
    return found


def on_chip(circuit: str, thresholds: Mapping[str, float]) -> tuple[str, str]:
    """Return the circuit with a model of its own for each transistor, and the .model lines.
    `thresholds`: deviation of each transistor's threshold in V, by its name in lower case, as from
    `draw_thresholds`.

    A positive deviation makes any transistor conduct less, so a PMOS gets a more negative
    threshold.
    """
    kinds: dict[str, tuple[str, float]] = {}

    def renamed(transistor: re.Match[str]) -> str:
        name = transistor[0].split()[0].lower()
        kinds[f"model_{name}"] = (
            transistor[1],
            thresholds[name] * (-1 if transistor[1] == "pch" else 1),
        )
        return transistor[0].replace(f" {transistor[1]} ", f" model_{name} ", 1)

    return TRANSISTOR.sub(renamed, circuit), models(kinds)
