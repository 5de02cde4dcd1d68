"""Netlist of resistors, capacitors and MOSFETs that read, compare and write their own weights
(docs/transistors.md).

Pins: vdd and five bias voltages, `reset`, `learn`, an input `in0`, `in1`, ... for each pixel, a
target and an output for each class. Internal nodes begin with `n_`. Nothing here reads data: the
netlist depends on the numbers of classes and inputs only.

The elements, voltages and times follow mnist4-circuit-learning-v0
(github.com/thomasnormal/spicenn2, competition/RULES.md, November 2026).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from memristive.parameters import Parameters, quantity

# V, the contest's rails
BIAS = {"vdd": 3.0, "vref": 0.5, "vweight": 1.8, "verror": 1.2, "voffset": 1.9, "vbias": 1.7}
CONTROLS = ("reset", "learn", "clock")
MODELS = """.model nch nmos (level=1 vto=0.5 kp=120u lambda=0.02 gamma=0 phi=0.7
+ tox=20n cgso=0.3n cgdo=0.3n cj=0.2m cjsw=0.3n)
.model pch pmos (level=1 vto=-0.5 kp=40u lambda=0.02 gamma=0 phi=0.7
+ tox=20n cgso=0.3n cgdo=0.3n cj=0.2m cjsw=0.3n)
.model syn nmos (level=1 vto=0.2 kp=50u lambda=0 gamma=0 phi=0.7
+ tox=20n cgso=0.3n cgdo=0.3n)"""  # level-1 transistors that the contest gives
SYN_THRESHOLD = 0.2  # V
GAINS = {"nch": 120e-6, "pch": 40e-6, "syn": 50e-6}  # A/V^2, of a square transistor
SLOT = 1e-3  # s, of one image
EDGE = 0.01 * SLOT  # s, rise or fall time of every source
LOW, HIGH = 0.3, 1.7  # V, of a black and a white pixel
SETTLING = 5e-6  # s, in which the error current moves an error line by 1 V
TAIL_OVERDRIVE = BIAS["vref"] - SYN_THRESHOLD  # V, of the current sources before annealing
TARGET = 1.0  # V, at the label's target pin
ROW_SOURCE = 2e6  # ohm, at the source of a row's inverter, which draws 0.7 uA at most
ROW_INVERTER = 2.0  # width over length of a row's inverter
BALANCE_WINDOW = 50e-3  # V, difference at the gates of the balance that steers its whole current
# V, to which dividers lower mean score and level: the stage must fit below the label's current
# source
BALANCE_GATE = 0.58
MEAN_RESISTOR = 50e6  # ohm, from each score to their mean: it draws a hundredth of a read's current
SMALLEST = 1e-6  # m, the shortest and narrowest transistor that the contest allows


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
    charge_rail: str = "vweight"
    discharge_rail: str = "vweight"
    start_rail: str = "voffset"

    @property
    def capacitance(self) -> float:
        """Capacitance of a weight in F."""
        return self.error_current * SLOT / self.step


# Chosen with a closed form of the circuit, on images of MNIST's training set that the contest does
# not use (docs/transistors.md).
PRESETS = {
    "mnist10": LearnerParameters(),
    "mnist017": LearnerParameters(
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
    ),
    "xpue": LearnerParameters(),
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
    tail = _size(2 * current / TAIL_OVERDRIVE**2, "syn")
    mirror = "W=8u L=2u"
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
        f"{_size((1 - p.balance) * 2 * current / TAIL_OVERDRIVE**2, 'syn')}",
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
    # A/V^2, of the transistor that pulls the label's score down
    overdrive = TARGET - SYN_THRESHOLD
    margin = 2 * p.margin * GAINS["syn"] * SMALLEST / p.read_length / overdrive**2
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
            f"Cline{c} n_line{c} 0 {slow:.6g}",
            f"Cmirror{c} n_mirror{c} 0 {10 * slow:.6g}",
            f"Mstart{c} {p.start_rail} reset n_line{c} 0 syn W=100u L=1u",
        ]
        if p.margin:
            lines.append(f"Mmargin{c} out{c} target{c} 0 0 syn {_size(margin, 'syn')}")
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
    source = _size(2 * p.balance * 2 * p.error_current / TAIL_OVERDRIVE**2, "syn")
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


def _size(gain: float, kind: str) -> str:
    """Return the text "W=...u L=...u" of a transistor of a `kind` (a key of `GAINS`) with this gain
    in A/V^2. The smaller of W and L is 1 um.
    """
    ratio = gain / GAINS[kind]
    return f"W={max(ratio, 1):.6g}u L={max(1 / ratio, 1):.6g}u"
