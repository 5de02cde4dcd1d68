"""Settings with which networks of a measured device learn: gain, biases, doses and margin from the device's curves and noise.

Three numbers of a device decide (docs/device_learning.md). If steps depend on x, pulses pull all cells to one state. *Memory* M
is the number of pulses after which a cell has forgotten its earlier writes. *Balance* is the state to which cells are pulled. It
stands for a weight of 0, because with another reference the pull itself would be a weight. *Pulse noise* is the random part of
one pulse, as a share of the range: write noise, and the rounding to whole pulses. `FINE` suits pulses without noise, `COARSE`
noisy pulses; settings between them are geometric means. `python -m studies.device_settings` shows how the constants were chosen,
on held-out training images of MNIST.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.devices.measured_device import MeasuredDevice, emulator
from memristive.learning.rule import LayeredRule
from memristive.network.measured_layers import measured_design, measured_parameters, measured_pulses
from snn_circuit import NeuronParameters

NOISE = 6e-4  # share of the range, at which FINE and COARSE count alike
FINE_DOSE = 1e-3  # of M: a network writes a cell some hundred times, so that all writes together stay below the memory
GROWING = 0.3  # of FINE_DOSE where steps up grow with x: later pulses multiply a write there, and wrong ones as well
FINE_WRITE = 0.0017  # share of the range, of steps that are equal: small against the weights
COARSE_DOSE = 7e-3  # of M and of step over noise: over M pulses a cell forgets noise as it forgets the weight
COARSE_PULSES, COARSE_WRITE = 2.4, 0.024  # at most; share of the range: a cell of large steps has few levels
DEEP_MEMORY = 110.0  # pulses, at which DEEP_FINE and DEEP_BENT count alike
DEEP_NOISE, DEEP_RATIO = 2e-3, 2.7  # share of the range and of a step, at which the coarse dose and DEEP_COARSE count half
DEEP_FINE_DOSE, DEEP_FINE_WRITE = 4e-3, 0.0104  # of M; share of the range
DEEP_COARSE_DOSE = 0.35  # pulses: an output cell of two layers sees few errors, and each should have a chance to write
DEEP_EXACT_GAIN = 1.5  # of pulses of any width over whole ones: weights without noise may count more


@dataclass(frozen=True)
class Values:
    """Settings of a network that depend only on the device's pulse noise.

    Parameters
    ----------
    gain : float
        Drive, in thresholds, of a row at level 1 with the largest weight. Small for noisy pulses: each cell then counts less,
        and the sum over many rows averages the noise.
    output_bias, hidden_bias : float
        Constant drives in thresholds, because weights start at 0 and neurons must fire without them.
    margin : float
        Lead in s that the right neuron needs at first. Large for noisy pulses, because a lead has to survive the noise of later
        writes.
    final_margin : float
        Last margin over the first one.
    final_dose : float
        Last dose over the first one.
    output_gain : float
        Gain of the last layer over the first.
    hidden_dose : float
        Dose of hidden cells over that of output cells.
    reach : float
        Hidden neurons whose membranes settle above this share of the threshold are written.
    start_drive_spread, start_weight_spread : float
        Spreads at the start: of the hidden neurons' drives in thresholds, of output weights as a share of the range.
    """

    gain: float
    output_bias: float
    margin: float
    final_margin: float
    final_dose: float
    hidden_bias: float = 0.0
    output_gain: float = 1.0
    hidden_dose: float = 0.0
    reach: float = 0.9
    start_drive_spread: float = 0.0
    start_weight_spread: float = 0.0

    def towards(self, other: "Values", weight: float) -> "Values":
        """Return the geometric means of these values and those of `other`, which has the `weight` 0 to 1."""
        return Values(**{name: float(value ** (1 - weight) * vars(other)[name]**weight) for name, value in vars(self).items()})


FINE = Values(gain=1.0, output_bias=1.8, margin=4e-6, final_margin=0.7, final_dose=0.09)
COARSE = Values(gain=0.2, output_bias=2.2, margin=90e-6, final_margin=0.05, final_dose=0.045)
DEEP_FINE = Values(gain=0.27, output_bias=1.85, margin=9e-6, final_margin=0.26, final_dose=0.167, hidden_bias=1.6,
                   output_gain=0.25, hidden_dose=0.47, reach=0.9, start_drive_spread=0.63, start_weight_spread=0.42)
DEEP_COARSE = Values(gain=0.6, output_bias=1.85, margin=45e-6, final_margin=0.22, final_dose=0.03, hidden_bias=2.5,
                     output_gain=0.6, hidden_dose=1.3, reach=0.85, start_drive_spread=0.8, start_weight_spread=0.15)

# Weights that forget fall to 0: then hidden neurons fire by their bias, and a large gain makes much of small weights.
DEEP_BENT = Values(gain=0.9, output_bias=2.0, margin=50e-6, final_margin=0.24, final_dose=0.03, hidden_bias=2.8, output_gain=0.7,
                   hidden_dose=2.0, reach=0.85, start_drive_spread=0.8, start_weight_spread=0.15)


def memory(device: MeasuredDevice) -> float:
    """Return the number of pulses after which a cell has forgotten a write: 1 over the mean slope of its two curves."""
    slopes = sum(float(np.abs(np.diff(curve)).sum()) for curve in (device.up, device.down))
    return 2 / slopes if slopes else np.inf


def pulse_noise(device: MeasuredDevice, whole: bool) -> float:
    """Return the standard deviation of the random part of one pulse, as a share of the range.

    If pulses must be `whole`, half a pulse becomes one pulse with the probability 1/2: a standard deviation of half a step.
    """
    return float(np.hypot(device.write_noise, device.mean_step / 2)) if whole else 0.0


def half_at(middle: float, value: float) -> float:
    """Return a weight from 0 to 1 that grows with a value and is 1/2 at its `middle`."""
    return 1 - middle**2 / (middle**2 + value**2)


def learning_of(device: MeasuredDevice, layers: int, pairs: int, whole: bool = True,
                neuron: NeuronParameters | None = None) -> tuple[dict[str, Any], LayeredRule]:
    """Return the arguments that make a network of a measured device, and its learning rule.

    Parameters
    ----------
    device : MeasuredDevice
    layers : int
        1, or more.
    pairs : int
        Differential pairs of a synapse; 0: single cells.
    whole : bool
        True: whole pulses with the device's noises. False: pulses of any width without noise.
    neuron : NeuronParameters, optional

    Returns
    -------
    devices : dict
        Parameters, design and pulses, as arguments of `initial_network`.
    rule : LayeredRule
        Rule whose presentations and seed are still the defaults.
    """
    emulated, step, forgotten, noise = emulator(device), device.mean_step, memory(device), pulse_noise(device, whole)
    if layers == 1:
        weight = half_at(NOISE, noise)
        values = FINE.towards(COARSE, weight)
        grows = device.up[-1] - device.up[0] > device.down[-1] - device.down[0]
        fine = min(FINE_WRITE / step, FINE_DOSE * forgotten * (GROWING if grows else 1.0))
        averaged = max(noise, 1e-12) / math.sqrt(max(1, pairs))  # of the sum of all pairs
        coarse = min(COARSE_PULSES, COARSE_WRITE / step, COARSE_DOSE * forgotten * step / averaged)
    else:
        weight = half_at(DEEP_NOISE, noise)
        values = DEEP_FINE.towards(DEEP_BENT, 1 - half_at(DEEP_MEMORY, forgotten))
        values = values.towards(DEEP_COARSE, half_at(DEEP_RATIO**2, (noise / step) ** 2))
        if not whole:
            values = dataclasses.replace(values, gain=DEEP_EXACT_GAIN * values.gain)
        fine, coarse = min(DEEP_FINE_WRITE / step, DEEP_FINE_DOSE * forgotten), DEEP_COARSE_DOSE
    pulses = measured_pulses(emulated, whole, noise=whole)
    # Of several pairs each write changes one, which is a share of the weight, so it takes as many times the dose.
    dose = max(1, pairs) * fine ** (1 - weight) * coarse**weight * pulses.step
    design = measured_design(emulated, pairs, values.gain, neuron, device.balance, hidden_bias=values.hidden_bias,
                             output_bias=values.output_bias, output_gain=values.output_gain)
    rule = LayeredRule(hidden_dose=values.hidden_dose * dose, output_dose=dose, final_dose=values.final_dose,
                       margin=values.margin, final_margin=values.final_margin, reach=values.reach, start_drive=0.0,
                       start_drive_spread=values.start_drive_spread, start_weight=0.0,
                       start_weight_spread=values.start_weight_spread * (emulated.high - emulated.low))
    return {"parameters": measured_parameters(emulated, neuron), "design": design, "pulses": pulses}, rule
