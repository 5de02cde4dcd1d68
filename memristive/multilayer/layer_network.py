"""Networks of one or more layers in closed form: reading and learning without a simulator (docs/layers.md).

The output of a neuron is a step that stays high until the read ends, and it drives a row of the next crossbar.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.multilayer import layer_kernel
from memristive.multilayer.layer_netlist import LayerChip, LayerDesign
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.error_rule import RUNNING, check_labels
from memristive.single_layer.setup import check_levels
from memristive.spice.parameters import ParameterError
from memristor import state_rate
from snn_circuit import NetworkParameters, NeuronParameters

BLOCK = 1000  # presentations between two reports of a training


@dataclass(frozen=True)
class LayeredNetwork:
    """Crossbars in series.

    Parameters
    ----------
    states : tuple of arrays, V
        One array for each layer, neurons x rows; the last row is the bias, which is high in every read.
    parameters : NetworkParameters
    design : LayerDesign
    chip : tuple of LayerChip, optional
        Single devices of each layer; None: all alike.

    Raises
    ------
    ParameterError
        The shapes of two layers, or of network and chip, do not fit.
    """

    states: tuple[np.ndarray, ...]
    parameters: NetworkParameters = NetworkParameters()
    design: LayerDesign = LayerDesign()
    chip: tuple[LayerChip, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", tuple(np.asarray(states, float) for states in self.states))
        for below, above in itertools.pairwise(self.states):
            if above.shape[1] != below.shape[0] + 1:
                raise ParameterError(f"a layer on {below.shape[0]} neurons needs {below.shape[0] + 1} rows, bias included, got "
                                     f"{above.shape[1]}")
        shapes = [(neurons + 1, rows + 1) for rows, neurons in itertools.pairwise(self.sizes)]
        if self.chip is not None and [layer.channel.shape for layer in self.chip] != shapes:
            raise ParameterError(f"the chip's layers must have {shapes} cells, reference columns and bias rows included, got "
                                 f"{[layer.channel.shape for layer in self.chip]}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of inputs, then of neurons in each layer."""
        return (self.states[0].shape[1] - 1, *(len(states) for states in self.states))

    def forward(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the first spike times of all layers.

        Parameters
        ----------
        images : array, n x inputs, levels 0 to 1

        Returns
        -------
        list of arrays, n x neurons, s
            nan for a neuron that is silent within the window.

        Raises
        ------
        ParameterError
            The images have another shape or other levels.
        """
        check_levels("images", images, self.sizes[0])
        kernel = _KernelArrays(self)
        times = tuple(np.empty((len(images), neurons)) for neurons in self.sizes[1:])
        layer_kernel.present(*kernel.network, with_bias(images), kernel.spikes, kernel.drives, times)
        return list(times)

    def first_spikes(self, images: np.ndarray) -> np.ndarray:
        """Return the first spike times of the last layer in s (images x classes; nan: silent); see `forward`."""
        return self.forward(images)[-1]

    def read_back(self, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the sum of error x (X - X_ref) over the columns, as the rows show it while the columns carry `errors`.

        Parameters
        ----------
        layer : int
            Counted from 0.
        errors : array, columns
            +-1 in the last layer, V in a hidden one.

        Returns
        -------
        array, rows without the bias
            In V times the unit of the errors. The lifted gates change it slightly (3 mV in the last layer).

        Raises
        ------
        ParameterError
            There is not one error for each column.
        """
        if np.shape(errors) != (len(self.states[layer]),):
            raise ParameterError(f"layer {layer} has {len(self.states[layer])} columns, got errors of shape {np.shape(errors)}")
        device, chip, states, _ = _KernelArrays(self).network
        volts = self.design.column_voltage(layer == len(self.states) - 1)
        return layer_kernel.read_back(device, states[layer], chip.channel[layer], np.asarray(errors, float), volts)

    def neuron(self, layer: int) -> NeuronParameters:
        """Return the parameters of a layer's neurons, whose feedback depends on the number of rows."""
        return self.design.neuron(self.parameters.neuron, self.parameters.memristor, self.states[layer].shape[1])

    @property
    def start_time(self) -> float:
        """Time in s of the ideal step that replaces the image's edge."""
        return start_delay(self.design.rise, self.parameters.neuron.time_constant)


def with_bias(images: np.ndarray) -> np.ndarray:
    """Return images (n x inputs) with the bias row at full level."""
    return np.ascontiguousarray(np.hstack([images, np.ones((len(images), 1))]), float)


def start_delay(rise: float, tau: float) -> float:
    """Return the time in s of the ideal step that leaves membranes in the same state as a linear edge of `rise` s."""
    return rise + tau * math.log(-math.expm1(-rise / tau) * tau / rise)


def initial_network(hidden: tuple[int, ...], classes: int, images: np.ndarray, rule: LayeredRule,
                    design: LayerDesign | None = None, parameters: NetworkParameters | None = None) -> LayeredNetwork:
    """Return an untrained network with random states.

    Parameters
    ----------
    hidden : tuple of int
        Neurons of each hidden layer.
    classes : int
    images : array, n x inputs, levels 0 to 1
        The first layer's states are scaled so that its membranes settle over these images as the rule requires.
    rule : LayeredRule
        Distribution of the start and its seed.
    design : LayerDesign, optional
    parameters : NetworkParameters, optional
    """
    check_levels("images", images, np.shape(images)[-1])
    design, parameters = design or LayerDesign(), parameters or NetworkParameters()
    rng = np.random.default_rng([rule.seed, 1])
    levels = with_bias(images)
    mean, power = levels.sum(axis=1).mean(), (levels**2).sum(axis=1).mean()
    per_volt = thresholds_per_volt(parameters, design)
    sizes = (levels.shape[1] - 1, *hidden, classes)
    states = [rng.normal(rule.start_drive / mean / per_volt, rule.start_drive_spread / math.sqrt(power) / per_volt,
                         (sizes[1], sizes[0] + 1))]
    states += [rng.normal(rule.start_weight, rule.start_weight_spread, (above, below + 1))
               for below, above in itertools.pairwise(sizes[1:])]
    return LayeredNetwork(tuple(design.reference_state + start for start in states), parameters, design)


def thresholds_per_volt(parameters: NetworkParameters, design: LayerDesign) -> float:
    """Return the settled membrane, in thresholds, per volt of X - X_ref of a cell whose row is high."""
    return design.transresistance * parameters.memristor.gain * design.row_voltage / parameters.neuron.threshold


@dataclass
class LayeredLearning:
    """State of a training, as checkpoints keep it.

    Parameters
    ----------
    network : LayeredNetwork
    history : array of bool, presentations x 2
        Right before the write; written.
    done : int
        Presentations done.
    """

    network: LayeredNetwork
    history: np.ndarray
    done: int = 0

    @classmethod
    def start(cls, network: LayeredNetwork, rule: LayeredRule) -> LayeredLearning:
        """Return a training before its first presentation."""
        return cls(network, np.zeros((rule.presentations, 2), bool))

    def arrays(self) -> dict[str, Any]:
        """Return everything that changes, by name, for a checkpoint."""
        layers = {f"states_{k}": states for k, states in enumerate(self.network.states)}
        return {**layers, "history": self.history, "done": self.done}

    @classmethod
    def restored(cls, network: LayeredNetwork, arrays: dict[str, np.ndarray]) -> LayeredLearning:
        """Return the training of a checkpoint's `arrays`; `network` gives everything but the states."""
        states = tuple(arrays[f"states_{k}"] for k in range(len(network.states)))
        return cls(dataclasses.replace(network, states=states), arrays["history"].copy(), int(arrays["done"]))

    @property
    def running_accuracy(self) -> float:
        """Share of right answers among the last `RUNNING` presentations."""
        return float(self.history[max(0, self.done - RUNNING):self.done, 0].mean())


def epoch_order(rule: LayeredRule, count: int, done: int, stop: int) -> np.ndarray:
    """Return the indices of the images for presentations `done` to `stop`.

    Each epoch is a permutation of all `count` images, which depends on the rule's seed and the epoch's number only.
    """
    epochs = range(done // count, -(-stop // count))
    order = np.concatenate([np.random.default_rng([rule.seed, 2, epoch]).permutation(count) for epoch in epochs])
    return order[done - epochs[0] * count:stop - epochs[0] * count]


def train_layers(learning: LayeredLearning, rule: LayeredRule, images: np.ndarray, labels: np.ndarray,
                 block: int = BLOCK) -> Iterator[tuple[int, float]]:
    """Present the remaining images in closed form and update `learning`.

    Parameters
    ----------
    learning : LayeredLearning
        Complete whenever this function yields.
    rule : LayeredRule
    images : array, n x inputs, levels 0 to 1
    labels : array of int, n
    block : int
        Presentations between two yields.

    Yields
    ------
    (int, float)
        Presentations done, running accuracy.

    Raises
    ------
    ParameterError
        Images or labels do not fit the network, or the rule has more presentations than `learning`.
    """
    check_levels("images", images, learning.network.sizes[0])
    check_labels(labels, len(images), learning.network.sizes[-1])
    if rule.presentations > len(learning.history):
        raise ParameterError(f"presentations must be at most {len(learning.history)}, as at the start of this training, got "
                             f"{rule.presentations}")
    kernel = _KernelArrays(learning.network)
    doses = layer_kernel.Doses(rule.presentations, rule.hidden_dose, rule.output_dose, rule.margin, rule.error_scale, rule.reach)
    levels, classes = with_bias(images), np.asarray(labels, np.int64)
    device, chip, states, weights = kernel.network
    while learning.done < rule.presentations:
        stop = min((learning.done // block + 1) * block, rule.presentations)
        order = epoch_order(rule, len(images), learning.done, stop)
        history = np.zeros((len(order), 2), np.bool_)
        layer_kernel.train(device, chip, doses, states, weights, levels, classes, order, learning.done, kernel.spikes,
                           kernel.drives, history)
        learning.network = dataclasses.replace(learning.network, states=tuple(layer.T.copy() for layer in states))
        learning.history[learning.done:stop], learning.done = history, stop
        yield stop, learning.running_accuracy


class _KernelArrays:
    """Arguments of the kernel's functions: device, chip, states and weights of a network (rows x neurons), and work space."""

    def __init__(self, network: LayeredNetwork) -> None:
        states = tuple(np.array(layer.T, float, order="C") for layer in network.states)
        weights = tuple(np.zeros_like(layer) for layer in states)
        self.network = device_values(network), chip_values(network), states, weights
        layer_kernel.all_weights(*self.network)
        self.spikes = tuple(np.empty(neurons) for neurons in network.sizes[1:])
        self.drives = tuple(np.empty(neurons) for neurons in network.sizes[1:])


def device_values(network: LayeredNetwork) -> layer_kernel.Device:
    """Return the parameters of cells and neurons for the kernel."""
    memristor, neuron, design = network.parameters.memristor, network.parameters.neuron, network.design
    share, tau = memristor.capacitance / memristor.memory_capacitance, neuron.time_constant
    return layer_kernel.Device(
        half_gain=memristor.gain / 2, threshold_voltage=memristor.threshold_voltage, half_share=share / 2,
        third=(1 - share) / 3, pinch=3 / (2 + share), scale=design.transresistance / neuron.threshold,
        reference_state=design.reference_state, row_voltage=design.row_voltage, back_voltage=design.back_voltage,
        error_voltage=design.error_voltage, start=math.exp(network.start_time / tau), window=design.window, tau=tau,
        rate=float(state_rate(memristor, design.row_voltage)), leak=1 / memristor.write_time_constant)


def chip_values(network: LayeredNetwork) -> layer_kernel.Chip:
    """Return the deviations of the devices for the kernel; all are 1 without a chip."""
    layers = network.chip or [LayerChip(np.ones((len(states) + 1, states.shape[1])), np.ones(states.shape), np.ones(len(states)))
                              for states in network.states]
    channel, write = (tuple(np.array(array.T, float, order="C") for array in arrays)
                      for arrays in zip(*((layer.channel, layer.write) for layer in layers), strict=True))
    return layer_kernel.Chip(channel, write, tuple(np.array(layer.threshold, float) for layer in layers))
