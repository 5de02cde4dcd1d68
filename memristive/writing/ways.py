"""All ways of writing together: their settings, the choice among them, their compiled writes."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from memristive.closed_form.kernel_arrays import LayerArrays, Timing
from memristive.compiled import compiled
from memristive.writing.at_once import AtOnce, write_at_once
from memristive.writing.base import Due, Plan, Way, WrittenNetwork
from memristive.writing.gate import (
    Gate,
    GateSettings,
    GateWrites,
    move_gates,
    write_gates,
)
from memristive.writing.late import Late, LatePulses, LateSettings, commit, leak
from memristive.writing.one_sided import (
    OneSidedSettings,
    OneSidedWrites,
    Sided,
    write_pair,
)
from memristive.writing.pulses import (
    Counts,
    Pulses,
    PulseSettings,
    RoundedPulses,
    write_pulses,
)


@dataclass(frozen=True)
class PulseWrites(OneSidedSettings, GateSettings, LateSettings, PulseSettings):
    """Identical pulses that write a measured device, at the write voltage of +1 V or -1 V, and the
    noises of the device.

    In either direction, a dose in V takes dose / `step` pulses. `noise_curve` holds factors on the
    write noise on an even grid of the range of X; (): 1 everywhere. If there are `levels`, which
    are the states in V at gate voltages from `gate_low` to `gate_high`, the gate sets the state,
    and doses are changes of the gate's voltage (docs/writes_gate.md). If there is `one_sided`, it
    has the steps in the place of the means and noises (docs/devices.md). `model` and `model_sha256`
    are the SPICE model of the device and its hash, as in `MeasuredDevice`.
    """

    model: str = ""
    model_sha256: str = ""

    newer: ClassVar = (
        *("disturb_up", "disturb_down", "thirds", "noise_curve", "late", "late_pulses"),
        *("late_forget", "late_spread", "late_offset", "levels", "gate_low"),
        *("gate_high", "gate_step", "gate_rest", "gate_reset", "gate_forget"),
        *("model", "model_sha256"),
        *("one_sided", "refresh_at", "tolerance"),
    )
    unwritten: ClassVar = ("model", "model_sha256", "one_sided", "refresh_at", "tolerance")

    def check(self) -> None:
        super().check()
        if self.levels and self.late_forget:  # so files of version 1.1 call the leak of gates
            object.__setattr__(self, "gate_forget", self.late_forget)
            object.__setattr__(self, "late_forget", 0.0)


class Ways(NamedTuple):
    """Values that the compiled writes of a network need. The settings of other ways are None, so
    that their code is not compiled.
    """

    pulses: Pulses | None = None
    late: Late | None = None
    gate: Gate | None = None
    sided: Sided | None = None


def way_of(settings: PulseWrites | None) -> Way:
    """Return the way of writing of a network with these `settings`."""
    if settings is None:
        return AtOnce()
    if settings.levels:
        return GateWrites(settings)
    if settings.one_sided:
        return OneSidedWrites(settings)
    return LatePulses(settings) if settings.late else RoundedPulses(settings)


def kernel_ways(network: WrittenNetwork) -> Ways:
    """Return the `Ways` of a `Network`."""
    return Ways(**network.way.arrays(network))


def waiting_of(ways: Ways) -> tuple[np.ndarray, ...]:
    """Return the doses of late synapses, or the gate voltages, in the form of `Network.waiting`."""
    late, gate = ways.late, ways.gate
    if gate is not None:
        return tuple(np.stack(both) for both in zip(gate.voltages, gate.committed, strict=True))
    return () if late is None else tuple(doses.copy() for doses in late.doses)


@compiled
def forget(late: Late | None, gate: Gate | None, presentations: int) -> None:
    """Apply the leak of a number of `presentations`: late-writing synapses lose a part of the doses
    that they hold, and gate voltages move towards their resting voltage.
    """
    if late is not None:
        leak(late.doses, 0.0, late.forget, presentations)
    if gate is not None:
        leak(gate.voltages, gate.rest, gate.forget, presentations)


@compiled
def due_writes(
    late: Late | None,
    gate: Gate | None,
    k: int,
    pairs: int,
    neurons: int,
    done: int,
    plan: Plan,
) -> Due:
    """Return the writes of layer `k`, of some `neurons`, that are due after the doses of a `plan`;
    `late` and `gate` change in place.

    A dose writes one of the `pairs`, which take turns over the presentations: `done` of them came
    before.
    """
    sides, pair, rows = 2 if pairs else 1, done % max(1, pairs), plan.shares.shape[1]
    number, equal, gated = sides * len(plan.neurons), len(plan.shares) == 1, 0
    if late is not None:
        equal = False
    if gate is not None:
        gated = number
    due = Due(
        np.empty(number, np.int64),
        np.empty(number),
        plan.shares if equal else np.empty((number, rows)),
        np.empty((gated, rows)),
        np.zeros((gated, rows), np.bool_),
    )
    for n in range(number):
        m, side = n // sides, n % sides
        own, dose, high = (
            plan.neurons[m],
            plan.doses[m],
            plan.shares[m if len(plan.shares) > 1 else 0],
        )
        if late is not None:
            # both cells of a pair get the pulses of one dose
            high = due.shares[n - 1] if side else commit(late, k, own, high, dose)
            dose = math.copysign(late.step, dose)
        c = (side * pairs + pair) * neurons + own
        due.columns[n], due.doses[n] = c, -dose if side else dose
        if gate is not None:
            move_gates(gate, k, c, high, due.doses[n], due.gates[n], due.reset[n])
        if not equal:
            for i in range(rows):
                due.shares[n, i] = high[i]
    return due


@compiled
def write_due(
    layer: LayerArrays,
    timing: Timing,
    pulses: Pulses | None,
    gate: Gate | None,
    sided: Sided | None,
    states: np.ndarray,
    due: Due,
    factors: np.ndarray | None,
    presentation: int,
    counts: Counts | None,
    k: int,
    loads: np.ndarray,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Make the writes of layer `k` that are `due`, one after the other, and update `states`,
    `counts` and `loads`. Return for each neuron whether its cells may have changed: 1 or 0.

    `factors`: write gains of emulators over the nominal ones, presentations x columns x rows, of
    which the `presentation` selects one; without noise, empty; None for measured devices. Other
    arguments are as in `write_pulses`.
    """
    neurons = layer.neurons.shape[1]
    changed = np.zeros(neurons)
    if pulses is not None and max(pulses.disturb) > 0.0:
        changed.fill(1.0)
    for n in range(len(due.columns)):
        c, dose, high = due.columns[n], due.doses[n], due.shares[n if len(due.shares) > 1 else 0]
        changed[c % neurons] = 1.0
        if factors is not None:
            of_rows = factors[presentation, c] if len(factors) else high[:0]
            seconds = dose / layer.nominal_rate
            loads[c] = write_at_once(layer, layer.flow, timing, states, c, high, seconds, of_rows)
        if pulses is not None:
            write_pulses(layer, timing, pulses, states, c, high, dose, counts, k, loads, rng)
        if gate is not None:
            gates, reset = due.gates[n], due.reset[n]
            write_gates(layer, timing, gate, states, c, gates, reset, counts, k, loads, rng)
        if sided is not None:
            write_pair(layer, timing, sided, states, c, high, dose, counts, k, loads, rng)
    return changed
