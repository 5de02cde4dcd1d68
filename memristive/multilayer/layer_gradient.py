"""The exact gradient of first spike times by the states, from the closed form of layers: what the local rule is measured against.

With z = exp(t / tau), a neuron driven by steps at z_k with weights w_k (in thresholds) fires at z = sum(w z_k) / (sum(w) - 1)
over the k before it, so dz/dw_k = (z_k - z) / (sum(w) - 1) and dz/dz_k = w_k / (sum(w) - 1); a hidden neuron of the first layer,
whose drive u stands still, at z = z_start u / (u - 1), so dz/du = -z_start / (u - 1)^2. The rest is the chain rule.
"""

import math

import numpy as np

from memristive.multilayer.layer_network import LayeredNetwork, start_delay
from memristor import read_current

STEP = 1e-4  # V, of the central difference that stands for a channel's dI/dX


def lag_gradient(network: LayeredNetwork, image: np.ndarray, label: int, wrong: int) -> tuple[np.ndarray, ...]:
    """Derivatives in s/V of the lag t_label - t_wrong of two output neurons by every state: arrays as `network.states`.

    `image`: inputs, levels 0 to 1. Both neurons must fire (ValueError): a silent one has no gradient.
    """
    tau = network.parameters.neuron.time_constant
    z = [np.exp(np.nan_to_num(times[0], nan=np.inf) / tau) for times in network.forward(image[None])]
    if not np.isfinite(z[-1][[label, wrong]]).all():
        raise ValueError(f"neurons {label} and {wrong} must both fire")
    start = math.exp(start_delay(network.design.rise, tau) / tau)
    by_spike = np.zeros(len(z[-1]))  # of the lag, by each neuron's z
    by_spike[label], by_spike[wrong] = tau / z[-1][label], -tau / z[-1][wrong]
    result: list[np.ndarray] = []
    for layer in range(len(z) - 1, 0, -1):
        rows = np.append(z[layer - 1], start)
        weights, slopes = weights_and_slopes(network, layer, np.full(len(rows), network.design.row_voltage))
        spikes = np.where(by_spike != 0, z[layer], -np.inf)[:, None]  # who has no bearing on the lag, silent ones among them
        before = rows < spikes
        by_sum = (by_spike / ((weights * before).sum(axis=1) - 1))[:, None]
        result.insert(0, by_sum * np.where(before, rows - spikes, 0.0) * slopes)
        by_spike = (by_sum * np.where(before, weights, 0.0)).sum(axis=0)[:-1]
    weights, slopes = weights_and_slopes(network, 0, np.append(image, 1.0) * network.design.row_voltage)
    drives = weights.sum(axis=1)
    by_drive = np.where(np.isfinite(z[0]), by_spike * -start / (drives - 1) ** 2, 0.0)
    return by_drive[:, None] * slopes, *result


def weights_and_slopes(network: LayeredNetwork, layer: int, volts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each cell settles its membrane, in thresholds, with its row at `volts` (rows, V); and that by its state, in 1/V."""
    memristor, states = network.parameters.memristor, network.states[layer]
    threshold, channel = network.parameters.neuron.threshold * np.ones(len(states)), np.ones((len(states) + 1, states.shape[1]))
    if network.chip:
        threshold, channel = threshold * network.chip[layer].threshold, network.chip[layer].channel
    scale = network.design.transresistance / threshold[:, None]
    reference = channel[-1] * read_current(memristor, network.design.reference_state, volts)
    low, middle, high = (channel[:-1] * read_current(memristor, states + change, volts) for change in (-STEP, 0.0, STEP))
    return scale * (middle - reference), scale * (high - low) / (2 * STEP)


def angle(one: np.ndarray, other: np.ndarray) -> float:
    """Angle between two arrays as vectors, in degrees; nan if one of them is 0."""
    size = math.sqrt(float((one**2).sum() * (other**2).sum()))
    return math.degrees(math.acos(max(-1.0, min(1.0, float((one * other).sum()) / size)))) if size else math.nan
