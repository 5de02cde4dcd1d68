"""Convolutions before their training: circuits and rules that suit them.

The starts, doses and margin of MNIST come from a study in software, those of digits were chosen on
held-out training images. The gain of a kernel's weights is ten times that of an output cell's,
because a window has few rows and the layer above has many. Neurons have up to five time constants
for their spikes, because a patch that fits a kernel only partly also counts.
"""

import dataclasses
from typing import Any

from memristive.devices.measured_device import MeasuredDevice, emulator, load_device
from memristive.learning.build import (
    BACK_VOLTAGE,
    DEEP_GATE_DOSE,
    Values,
    measured_pulses,
    of_values,
)
from memristive.learning.rule import LayeredRule
from memristive.network.design import LayerDesign
from memristive.parameters import ParameterError

WINDOW = 750e-6  # s, longest read of a patch, and of the layers above
EMULATORS = LayerDesign(hidden_bias=0.5, output_bias=1.3, window=WINDOW, back_voltage=BACK_VOLTAGE)
RULE = LayeredRule(
    presentations=600_000,
    hidden_dose=50e-3,
    output_dose=4.6e-3,
    margin=7.5e-6,
    start_drive=0.0,
    start_drive_spread=0.5,
    start_weight=0.0,
    start_weight_spread=0.03,
)
# Fields of the rule that differ for other images, chosen on held-out training images.
CHANGES: dict[str, dict[str, Any]] = {
    "mnist": {},
    "digits": {
        "presentations": 40_000,
        "output_dose": 30e-3,
        "margin": 20e-6,
        "start_drive_spread": 0.8,
        "start_weight_spread": 0.1,
    },
    "mnist_shifted": {"presentations": 1_200_000},
    "fashion": {"presentations": 1_000_000, "output_dose": 3e-3, "margin": 12e-6},
}
# of these, what measured devices take: their doses and weights follow from their pulses
OF_DEVICES = ("presentations", "margin", "start_drive_spread")
# Doses in units of the dose at which a synapse is due, if it writes late, otherwise of a pulse.
DEVICES = Values(
    gain=1.5,
    output_bias=1.3,
    margin=7.5e-6,
    final_margin=1.0,
    final_dose=0.02,
    hidden_bias=0.5,
    output_gain=0.3,
    hidden_dose=0.18,
    start_drive_spread=0.5,
    start_weight_spread=0.06,
)
LATE_DOSE, DOSE = 1.0, 1.0


def settings(
    device: str | MeasuredDevice | None = None,
    pairs: int = 1,
    late: bool = False,
    data: str = "mnist",
) -> tuple[dict[str, Any], LayeredRule]:
    """Return the arguments that make a network with a convolution, for `build.initial_network`, and
    its learning rule.

    Parameters
    ----------
    device : str or MeasuredDevice, optional
        None: emulators and a reference column.
    pairs : int
        With a `device`: differential pairs of a synapse; 0: single cells.
    late : bool
        With a `device`: synapses write late.
    data : str
        Images that the rule suits: "mnist", "mnist_shifted", "fashion" or "digits".

    Raises
    ------
    ParameterError
        The device or the data are unknown, or synapses of the device cannot write late.
    """
    if data not in CHANGES:
        raise ParameterError(f"data must be one of {', '.join(CHANGES)}, got {data!r}")
    changes = CHANGES[data]
    if device is None:
        return {"design": EMULATORS}, dataclasses.replace(RULE, **changes)
    emulated = emulator(load_device(device) if isinstance(device, str) else device)
    pulses = measured_pulses(emulated, late=late)
    dose = max(1, pairs) * (
        DEEP_GATE_DOSE * (pulses.gate_high - pulses.gate_low)
        if pulses.levels
        else pulses.step * (pulses.late * LATE_DOSE if late else DOSE)
    )
    circuit = {"window": WINDOW, "back_voltage": BACK_VOLTAGE}
    made, rule = of_values(emulated, pairs, DEVICES, pulses, dose, **circuit)
    few = {name: value for name, value in changes.items() if name in OF_DEVICES}
    return made, dataclasses.replace(rule, **{"presentations": RULE.presentations, **few})
