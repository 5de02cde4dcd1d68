"""Exact gradient of first spike times with respect to the states, from the closed form: a reference for the local rule.

Let z = exp(t / tau), with the time t and the membrane's time constant tau. Row k steps up at z_k and has the weight w_k in
thresholds. The neuron fires at z = sum(w_k z_k) / (sum(w_k) - 1), with sums over the rows that step up before z. So
dz/dw_k = (z_k - z) / (sum(w_k) - 1) and dz/dz_k = w_k / (sum(w_k) - 1). A neuron of the first layer has a constant drive u in
thresholds from the start z_start on. It fires at z = z_start u / (u - 1), so dz/du = -z_start / (u - 1)^2. The chain rule gives
the rest.
"""

import math

import numpy as np

from memristive.network import kernel
from memristive.network.networks import KernelArrays, Network
from memristor import ChannelValues, read_current

STATE_STEP = 1e-4  # V, of the central difference that approximates a channel's dI/dX


def lag_gradient(network: Network, image: np.ndarray, label: int, wrong: int) -> tuple[np.ndarray, ...]:
    """Return the derivatives of t_label - t_wrong, the lag between two output neurons, with respect to all states.

    Parameters
    ----------
    network : Network
    image : array, inputs, levels 0 to 1
    label, wrong : int
        Output neurons.

    Returns
    -------
    tuple of arrays, s/V
        One for each layer, neurons x rows with the bias.

    Raises
    ------
    ValueError
        One of the two neurons is silent and has no gradient, or the network has differential pairs.
    """
    if network.design.pairs:
        raise ValueError("the gradient is written for single columns, not for differential pairs")
    tau = network.parameters.neuron.time_constant
    z = [np.exp(np.nan_to_num(times[0], nan=np.inf) / tau) for times in network.forward(image[None])]
    if not np.isfinite(z[-1][[label, wrong]]).all():
        raise ValueError(f"neurons {label} and {wrong} must both fire")
    start = math.exp(network.start_time / tau)
    by_spike = np.zeros(len(z[-1]))  # derivative of the lag with respect to each neuron's z
    by_spike[label], by_spike[wrong] = tau / z[-1][label], -tau / z[-1][wrong]
    result: list[np.ndarray] = []
    for layer in range(len(z) - 1, 0, -1):
        rows = np.append(z[layer - 1], start)
        weights, slopes = weights_and_slopes(network, layer, np.full(len(rows), network.design.row_voltage))
        spikes = np.where(by_spike != 0, z[layer], -np.inf)[:, None]  # -inf: no influence on the lag, as silent neurons
        before = rows < spikes
        by_sum = (by_spike / ((weights * before).sum(axis=1) - 1))[:, None]
        result.insert(0, by_sum * np.where(before, rows - spikes, 0.0) * slopes)
        by_spike = (by_sum * np.where(before, weights, 0.0)).sum(axis=0)[:-1]
    weights, slopes = weights_and_slopes(network, 0, np.append(image, 1.0) * network.design.row_voltage)
    drives = weights.sum(axis=1)
    by_drive = np.where(np.isfinite(z[0]), by_spike * -start / (drives - 1) ** 2, 0.0)
    return by_drive[:, None] * slopes, *result


def weights_and_slopes(network: Network, layer: int, volts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the contribution of each cell to the settled membrane of its neuron, and its derivative by the cell's state.

    Parameters
    ----------
    network : Network
    layer : int
        Counted from 0.
    volts : array, rows, V
        Voltages of the rows, the bias last.

    Returns
    -------
    weights : array, neurons x rows
        Contributions in thresholds.
    slopes : array, neurons x rows, 1/V
        Derivatives.
    """
    arrays = KernelArrays(network)
    channel, states = ChannelValues(*arrays.layers[layer].cells[:4]), arrays.states[layer]
    stages, threshold = network.layers[layer].circuits.stages, arrays.layers[layer].neurons[kernel.THRESHOLD]
    scale = stages.membrane_gain * arrays.work.scale[layer] / threshold
    low, middle, high = (read_current(channel, states + change, volts[:, None]) for change in (-STATE_STEP, 0.0, STATE_STEP))
    weights = scale[0] * middle[:, :-1] - scale[1] * middle[:, -1:]
    return weights.T, (scale[0] * (high - low)[:, :-1]).T / (2 * STATE_STEP)


def angle(one: np.ndarray, other: np.ndarray) -> float:
    """Return the angle in degrees between two arrays, taken as vectors; nan if one of them is 0."""
    size = math.sqrt(float((one**2).sum() * (other**2).sum()))
    return math.degrees(math.acos(max(-1.0, min(1.0, float((one * other).sum()) / size)))) if size else math.nan
