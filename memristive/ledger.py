"""Ledger of costs: energies of the parts of a chip, and values that the circuit does not fix and
the ledger must assume (docs/costs.md).
"""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from memristive.parameters import Fields, FloatOrArray, Parameters, quantity

COMPUTED, ASSUMED = "computed", "assumed"
SELECTED = "write: array, selected cells"
Times = dict[str, float]  # s of each phase


class Line(NamedTuple):
    """Energy of one part.

    `kind`: "computed" from the states and laws of the circuit, or "assumed" because it depends on a
    value of `Technology`. `pins`: True if the sources outside the chip deliver this energy, at the
    pins of rows, columns and phi.
    """

    name: str
    joules: float
    kind: str
    pins: bool
    note: str = ""


@dataclass(frozen=True)
class Ledger:
    """Energies of the parts, a `Line` for each, and the duration in s of each phase. Ledgers can be
    added; lines of the same part and durations of the same phase then become one.
    """

    lines: tuple[Line, ...] = ()
    times: Times = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Iterable[Line], times: Times | None = None) -> "Ledger":
        """Return a ledger of `lines` and `times`. Lines that agree in `name`, `kind` and `pins`
        become one, and lines of 0 J are left out.
        """
        sums: dict[tuple[str, str, bool], Line] = {}
        for line in lines:
            key = line.name, line.kind, line.pins
            before = sums[key].joules if key in sums else 0.0
            sums[key] = line._replace(joules=before + float(line.joules))
        return cls(tuple(line for line in sums.values() if line.joules), times or {})

    def __add__(self, other: "Ledger") -> "Ledger":
        times = dict(self.times)
        for phase, seconds in other.times.items():
            times[phase] = times.get(phase, 0.0) + seconds
        return Ledger.of([*self.lines, *other.lines], times)

    def __mul__(self, factor: float) -> "Ledger":
        return Ledger(
            tuple(line._replace(joules=factor * line.joules) for line in self.lines),
            {phase: factor * seconds for phase, seconds in self.times.items()},
        )

    @property
    def duration(self) -> float:
        """Duration of all phases in s, without the decision, which the read contains."""
        return float(sum(time for phase, time in self.times.items() if phase != "decision"))

    def sum(self, **wanted: object) -> float:
        """Return the energy in J of all lines whose fields have the `wanted` values, as
        sum(pins=True).
        """
        return sum(
            line.joules
            for line in self.lines
            if all(getattr(line, field) == value for field, value in wanted.items())
        )

    def rows(self) -> list[Fields]:
        """Return the lines as rows of a record."""
        return [line._asdict() for line in self.lines]


def wire_lines(phase: str, at_pins: float, inside: float) -> list[Line]:
    """Return the ledger's lines of wires and of their drivers.

    `at_pins`: C V^2 in J of the wires that pins drive. The pins deliver the half in the wire, the
    driver takes the other. `inside`: C V^2 in J of the wires that the chip's own neurons drive; all
    of it counts with the drivers.
    """
    note = "C V^2 / 2"
    return [
        Line(f"{phase}: wires", at_pins / 2, ASSUMED, True, note),
        Line(f"{phase}: drivers of wires", at_pins / 2 + inside, ASSUMED, False, note),
    ]


def mean(ledgers: list[Ledger]) -> Ledger:
    """Return the mean of several ledgers. A part that a ledger lacks counts as 0 J there."""
    return sum(ledgers, Ledger()) * (1 / max(1, len(ledgers)))


@dataclass(frozen=True)
class Technology(Parameters):
    """Values of a chip that the circuit does not fix. `SOURCES` has the origin of each default."""

    supply: float = quantity(1.2, 0.1, 100.0, "V", "of amplifiers, comparators and neurons")
    amplifier_bandwidth: float = quantity(
        10e6, 0.0, 1e12, "Hz", "gain-bandwidth product of the op-amps"
    )
    amplifier_load: float = quantity(
        1e-12, 0.0, 1.0, "F", "capacitor that the first stage of an op-amp charges"
    )
    gm_over_current: float = quantity(
        15.0, 1e-3, 40.0, "1/V", "transconductance of an op-amp's transistors over their current"
    )
    loop_gain: float = quantity(
        100.0, 0.0, 1e9, "", "of each stage; a column's output is too small by its inverse"
    )
    first_stage_gain: float = quantity(
        30.0, 1.0, 1e9, "", "part of the loop gain that an op-amp has before its output stage"
    )
    stage_resistance: float = quantity(
        1e6, 1.0, 1e12, "ohm", "input and feedback of the inverting stages on a chip"
    )
    amplifier_area: float = quantity(1000.0, 0.0, 1e9, "um^2", "of one op-amp")
    neuron_capacitance: float = quantity(
        1e-12, 0.0, 1.0, "F", "membrane of a chip; its leak keeps the time constant"
    )
    neuron_area: float = quantity(34.0, 0.0, 1e9, "um^2", "of a neuron without its op-amps")
    line_capacitance: float = quantity(
        0.1e-15, 0.0, 1e-6, "F", "of a row or a column for each cell, wire and junction"
    )
    feature_size: float = quantity(65e-9, 1e-9, 1e-3, "m", "F")
    selected_cell: float = quantity(
        16.0, 1.0, 1e6, "", "area in F^2 of a device and its transistor"
    )
    passive_cell: float = quantity(4.0, 1.0, 1e6, "", "area in F^2 of a device in a passive array")
    late_capacitance: float = quantity(
        3.55e-12, 0.0, 1.0, "F", "capacitor of a synapse that writes late"
    )
    late_window: float = quantity(
        0.2, 0.0, 100.0, "V", "change of its voltage until a pulse is due"
    )
    comparator_energy: float = quantity(67e-15, 0.0, 1.0, "J", "of one comparison with a limit")
    gate_capacitance: float = quantity(
        1e-15, 0.0, 1e-6, "F", "gate of a 1T1R cell that is written at its gate, with its line"
    )
    gate_open: float = quantity(5.0, 0.0, 100.0, "V", "at the same gate in RESET and in reads")
    gate_pulse: float = quantity(1e-6, 0.0, 1.0, "s", "RESET, and SET, of the same cell")
    memory_energy: float = quantity(1.6e-13, 0.0, 1.0, "J", "of a bit that is kept or read")
    memory_cell: float = quantity(160.0, 1.0, 1e6, "", "area in F^2 of a bit")
    capacitor_density: float = quantity(2e-3, 1e-9, 10.0, "F/m^2", "of a capacitor on the chip")
    endurance: float = quantity(1e5, 1.0, 1e30, "", "pulses that a device survives")
    driver_step: float = quantity(
        1e-8, 0.0, 1.0, "s", "pause between two columns that are written one after the other"
    )

    @property
    def first_stage_current(self) -> float:
        """Current in A of an op-amp's first stage: two branches, and 20 % for the bias. Their
        transconductance gives the bandwidth.
        """
        transconductance = 2 * math.pi * self.amplifier_bandwidth * self.amplifier_load
        return 2.4 * transconductance / self.gm_over_current

    def output_stage_current(self, load: float) -> float:
        """Return the current in A of an op-amp's output stage, whose transconductance gives the
        loop gain with a `load` in S (`stage_load`).
        """
        return self.loop_gain / self.first_stage_gain * load / self.gm_over_current


def stage_load(inputs: FloatOrArray, feedback: FloatOrArray, output: FloatOrArray = 0.0) -> Any:
    """Return the transconductance in S with which an inverting stage has a loop gain of 1.

    The transconductance drives the conductances `feedback`, back to the input, and `output`. All
    `inputs` together are the conductance from the stage's input to sources or to ground. With A
    times this transconductance, the output is too small by about the share 1 / (A + 1).

    Parameters
    ----------
    inputs, feedback, output : array_like, S
    """
    return (feedback + output) * (1 + inputs / feedback)


SOURCES = {
    "supply": "of 65 nm logic, as in the source of comparator_energy",
    "amplifier_bandwidth": "docs/costs.md",
    "amplifier_load": "estimate: a row of gates, or the compensation of two stages",
    "gm_over_current": "moderate inversion (P. Jespers, B. Murmann, Systematic Design of Analog "
    "CMOS Circuits, 2017)",
    "loop_gain": "docs/costs.md: frozen networks lose at most 0.1 points",
    "first_stage_gain": "estimate: gain of a transistor in 65 nm, no source; 1: one stage",
    "stage_resistance": "estimate, no source; only the ratio of the two resistors matters",
    "amplifier_area": "estimate, no source",
    "neuron_capacitance": "estimate: of the size of amplifier_load",
    "neuron_area": "M. Besrour et al., arXiv:2408.07734 (28 nm)",
    "line_capacitance": "0.2 fF/um (NeuroSim 3.0, Array.cpp) and a pitch of about 0.5 um",
    "feature_size": "node of the comparator's source",
    "selected_cell": "4F x 4F (NeuroSim 3.0, Cell.cpp)",
    "passive_cell": "2F x 2F (NeuroSim 3.0, Cell.cpp)",
    "late_capacitance": "memory of the paper's emulator, C + C_gate (docs/circuit.md)",
    "late_window": "docs/writes_late.md",
    "comparator_energy": "B. Satapathy, A. Kaur, Circuits Syst. Signal Process. 42, 5108, 2023",
    "gate_capacitance": "1 fF/um of gate width (N. Weste, D. Harris, CMOS VLSI Design, 2010), and "
    "1 um for some 0.3 mA",
    "gate_open": "C. Li et al., Nat. Commun. 9, 2385, 2018",
    "gate_pulse": "estimate, no source: filaments need less, drivers of laboratories more",
    "memory_energy": "10 pJ for 64 bits of 8 kB (M. Horowitz, ISSCC 2014, 45 nm)",
    "memory_cell": "8F x 20F (DNN+NeuroSim, Param.cpp)",
    "capacitor_density": "usual for metal-insulator-metal capacitors, no source",
    "endurance": "lower end of what resistive memories reach; no preset states its own",
    "driver_step": "estimate, no source",
}


def assumptions(technology: Technology) -> list[Fields]:
    """Return the values of a `technology` as rows of a record: name, value, unit, meaning,
    source.
    """
    default = Technology()
    return [
        {
            "name": field.name,
            "value": getattr(technology, field.name),
            "unit": field.metadata["unit"],
            "meaning": field.metadata["meaning"],
            "source": SOURCES[field.name]
            if getattr(technology, field.name) == getattr(default, field.name)
            else "chosen by the user",
        }
        for field in dataclasses.fields(technology)
    ]
