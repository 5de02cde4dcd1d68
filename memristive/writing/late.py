"""Synapses that write late: each has a poor capacitor in front of its devices, the paper's
emulator, which adds up doses until whole pulses are due (docs/writes_late.md).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memristive.closed_form.kernel_arrays import Arrays
from memristive.compiled import compiled
from memristive.devices.measured_device import MeasuredDevice
from memristive.ledger import ASSUMED, Ledger, Line, Technology, wire_lines
from memristive.parameters import Fields, ParameterError, quantity
from memristive.writing.at_once import ColumnDose
from memristive.writing.base import Due, Laboratory, WrittenLayer, WrittenNetwork
from memristive.writing.pulses import PulseSettings, RoundedPulses
from memristor import MemristorParameters

LIMIT_STREAM = 7  # of random numbers: limits of synapses that write late
LEAST_REACH = 0.05  # of the dose at which a synapse is due: no window is narrower on either side
EMULATOR = MemristorParameters()  # of a synapse that writes late
# The poor capacitor of a synapse that writes late: most pulses because of noise, change that pulses
# make together if steps are fine, as a share of the range, share that it forgets with each
# presentation, spread of the dose at which it is due (gain and threshold differ by 20 % each).
LATE_PULSES, LATE_STEP, LATE_FORGET, LATE_SPREAD = 4, 1e-2, 1e-4, 0.28


@dataclass(frozen=True)
class LateSettings(PulseSettings):
    """Windows of the capacitors."""

    late: float = quantity(
        0.0,
        0.0,
        1e3,
        "",
        "dose, in pulses, at which a synapse that writes late is due; 0: writes at once",
    )
    late_pulses: int = quantity(1, 1, 1000, "", "pulses that a synapse then gets")
    late_forget: float = quantity(
        0.0, 0.0, 1.0, "", "share of the waiting dose that is lost with each presentation"
    )
    late_spread: float = quantity(
        0.0, 0.0, 1.0, "", "relative spread of the dose at which synapses are due"
    )
    late_offset: float = quantity(
        0.0, 0.0, 1.0, "", "shift of a synapse's window, as a share of `late` (standard deviation)"
    )


def late_settings(device: MeasuredDevice) -> Fields:
    """Return the fields of `PulseWrites` for synapses of a `device` that write late.

    A synapse waits until several pulses are due in two cases: if the noise of a pulse is several
    times its step, and if steps are fine. Raises ParameterError as `check_late` does.
    """
    check_late(device)
    noisy, fine = device.write_noise / device.mean_step, LATE_STEP / device.mean_step
    pulses = max(1, min(round(noisy), LATE_PULSES), round(fine))
    return {
        "late": pulses,
        "late_pulses": pulses,
        "late_forget": LATE_FORGET,
        "late_spread": LATE_SPREAD,
    }


def check_late(device: MeasuredDevice) -> None:
    """Raise ParameterError if synapses of a device cannot write late."""
    if device.levels:
        raise ParameterError(
            f"late is not for {device.name}: its cells are written at the gate, where doses wait "
            "already (docs/writes_gate.md); leave late out"
        )


class Late(NamedTuple):
    """Synapses that write late: each adds up its doses until pulses are due."""

    step: float  # V, mean change of X by one pulse
    pulses: float  # of a synapse that is due
    forget: float  # share of the waiting doses that is lost with each presentation
    doses: Arrays  # rows x neurons, V: those that did not yet lead to a pulse
    # 2 x rows x neurons, V: lower and upper limit of a waiting dose, at which pulses are due
    limits: Arrays


class LatePulses(RoundedPulses):
    """Pulses of the synapses whose doses have left their window."""

    @property
    def rounds(self) -> bool:
        return False

    def arrays(self, network: WrittenNetwork) -> Fields:
        """Add the doses that synapses hold, and the limits at which pulses are due."""
        settings, shapes = self.settings, [(layer.rows, layer.neurons) for layer in network.layers]
        waiting = network.waiting or tuple(np.zeros(shape) for shape in shapes)
        late = Late(
            settings.step,
            float(settings.late_pulses),
            settings.late_forget,
            tuple(of_layer.copy() for of_layer in waiting),
            drawn_limits(network, shapes),
        )
        return super().arrays(network) | {"late": late}

    def writes(self, due: Due, factors: np.ndarray | None = None) -> list[ColumnDose]:
        """Leave out columns without a pulse."""
        return [write for write in super().writes(due, factors) if write.shares.any()]

    def capacitors(self, layer: WrittenLayer) -> int:
        return int(layer.rows * layer.neurons)

    def ledgers(
        self,
        technology: Technology,
        laboratory: Laboratory,
        layer: WrittenLayer,
        states: np.ndarray,
        writes: list[ColumnDose],
        doses: list[tuple[float, np.ndarray]],
    ) -> list[Ledger]:
        """All columns are written at once: two pulses and a reset for all cells of the layer. Each
        cell has an access switch.
        """
        settings, widths = self.settings, laboratory.widths
        switched = laboratory._replace(half=0.0)
        ledger = self.pulse_ledger(technology, switched, layer, states, writes)
        commit = settings.late_pulses * (sum(widths) + max(widths)) if writes else 0.0
        # of the capacitor's voltage over the dose
        scale = technology.late_window / (settings.late * settings.step)
        return [
            Ledger(ledger.lines, {"commit": commit}),
            capacitor_ledger(technology, layer, doses, scale),
        ]


def capacitor_ledger(
    technology: Technology, layer: WrittenLayer, doses: list[tuple[float, np.ndarray]], scale: float
) -> Ledger:
    """Return the ledger of `doses` on capacitors of a `layer`: each is a size in
    V, of which a row gets its share. Pumps charge the capacitors, then the limits are compared.
    `scale`: change of the capacitors' voltages over the doses.
    """
    charge, lines, seconds = 0.0, 0.0, 0.0
    for dose, shares in doses:
        moved = shares * dose * scale * technology.late_capacitance
        charge += float(moved.sum())
        seconds += float(moved.max()) / (EMULATOR.transconductance * layer.write_voltage)
        width = layer.width
        lines += technology.line_capacitance * (
            width * float(np.sum(shares > 0)) * layer.write_voltage**2
            + layer.rows * technology.supply**2
        )
    return Ledger.of(
        [
            *wire_lines("write", lines, 0.0),
            Line("write: late capacitors", charge * technology.supply, ASSUMED, False),
            Line(
                "write: late comparators",
                2 * len(doses) * layer.rows * technology.comparator_energy,
                ASSUMED,
                False,
                "two limits for each synapse of a written column",
            ),
        ],
        {"write": seconds + len(doses) * technology.driver_step},
    )


def drawn_limits(network: WrittenNetwork, shapes: list[tuple[int, int]]) -> Arrays:
    """Return the lower and upper limits (2 x shape) in V of the doses in each layer, at which
    pulses are due. The limits are random and follow from the seed of the network's chip.
    """
    settings, limits = network.way.settings, []
    dose = settings.late * settings.step
    for k, shape in enumerate(shapes):
        rng = np.random.default_rng([network.chip.seed if network.chip else 0, LIMIT_STREAM, k])
        reach = np.maximum(1 + settings.late_spread * rng.standard_normal(shape), LEAST_REACH)
        shift = settings.late_offset * rng.standard_normal(shape)
        limits.append(
            dose
            * np.stack(
                [np.minimum(shift - reach, -LEAST_REACH), np.maximum(shift + reach, LEAST_REACH)]
            )
        )
    return tuple(limits)


@compiled(inline="always")
def due_pulses(
    held: float, dose: float, lower: float, upper: float, pulses: float
) -> tuple[float, float]:
    """Return the pulses of a synapse that writes late after one more dose: their number with its
    sign, and the dose that the synapse holds afterwards.

    Its emulator adds `dose` to the doses `held`. If the sum leaves the window between `lower` and
    `upper`, the devices get `pulses`, and the emulator is reset, which loses the remainder of the
    sum. All doses have the same unit: V of X, or pulses.
    """
    held += dose
    if lower < held < upper:
        return 0.0, held
    return math.copysign(pulses, held), 0.0


@compiled(inline="always")
def commit(late: Late, k: int, j: int, high: np.ndarray, dose: float) -> np.ndarray:
    """Add a `dose` in V to the doses that the late-writing synapses of neuron `j` in layer `k`
    hold. Row i gets the share `high[i]` of the dose.

    Returns the number of pulses that are now due in each row, in the direction of the dose.
    """
    doses, limits, due = late.doses[k], late.limits[k], np.zeros(len(high))
    for i in range(len(high)):
        pulses, doses[i, j] = due_pulses(
            doses[i, j], high[i] * dose, limits[0, i, j], limits[1, i, j], late.pulses
        )
        due[i] = abs(pulses)
    return due


@compiled
def leak(voltages: Arrays, rest: float, share: float, presentations: int) -> None:
    """Move the `voltages` of capacitors by a `share` of their way to `rest` in each of a number of
    `presentations`.
    """
    if share > 0.0:
        for of_layer in voltages:
            of_layer -= rest
            of_layer *= math.exp(-share * presentations)
            of_layer += rest
