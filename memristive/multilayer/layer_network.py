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
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristor import MemristorParameters, state_rate
from snn_circuit import NetworkParameters, NeuronParameters

BLOCK = 1000  # presentations between two reports of a training


@dataclass(frozen=True)
class PulseWrites(Parameters):
    """Identical pulses that write a measured device, at the write voltage of +1 V or -1 V.

    A dose in V becomes dose / `step` pulses, upwards and downwards.
    """

    step: float = quantity(0.05, 1e-9, 100.0, "V", "mean change of X by one pulse")
    width_up: float = quantity(1e-5, 1e-15, 10.0, "s", "of a pulse that raises X")
    width_down: float = quantity(1e-5, 1e-15, 10.0, "s", "of a pulse that lowers X")
    cycle_noise: float = quantity(0.0, 0.0, 100.0, "V", "standard deviation of X after one pulse")
    whole: int = quantity(1, 0, 1, "", "1: whole pulses, fractions rounded at random; 0: pulses of any width")
    random_pair: int = quantity(0, 0, 1, "", "which pair of a synapse is written; 1: one at random, 0: in turn")


@dataclass(frozen=True)
class LayeredNetwork:
    """Crossbars in series.

    Parameters
    ----------
    states : tuple of arrays, V
        One array for each layer, columns x rows; the last row is the bias, which is high in every read. Without pairs there is
        one column for each neuron.
    parameters : NetworkParameters
    design : LayerDesign
    chip : tuple of LayerChip, optional
        Single devices of each layer; None: all alike.
    pulses : PulseWrites, optional
        Pulses of a measured device; None: a write lasts as long as its dose.

    Raises
    ------
    ParameterError
        The shapes of two layers, or of network and chip, do not fit.
    """

    states: tuple[np.ndarray, ...]
    parameters: NetworkParameters = NetworkParameters()
    design: LayerDesign = LayerDesign()
    chip: tuple[LayerChip, ...] | None = None
    pulses: PulseWrites | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", tuple(np.asarray(states, float) for states in self.states))
        for neurons, above in zip(self.sizes[1:], self.states[1:], strict=False):
            if above.shape[1] != neurons + 1:
                raise ParameterError(f"a layer on {neurons} neurons needs {neurons + 1} rows, bias included, got "
                                     f"{above.shape[1]}")
        shapes = [(len(states) + (self.design.pairs == 0), states.shape[1]) for states in self.states]
        if self.chip is not None and [layer.channel.shape for layer in self.chip] != shapes:
            raise ParameterError(f"the chip's layers must have {shapes} cells, reference columns and bias rows included, got "
                                 f"{[layer.channel.shape for layer in self.chip]}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of inputs, then of neurons in each layer."""
        return (self.states[0].shape[1] - 1, *(self.design.neuron_count(states) for states in self.states))

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
        """Return the sum of error x (X - X_ref) over the neurons, as the rows show it while the columns carry `errors`.

        With pairs it is the mean over them of the sum of error x (X+ - X-).

        Parameters
        ----------
        layer : int
            Counted from 0.
        errors : array, neurons
            +-1 in the last layer, V in a hidden one.

        Returns
        -------
        array, rows without the bias
            In V times the unit of the errors. The lifted gates change it slightly (3 mV in the last layer).

        Raises
        ------
        ParameterError
            There is not one error for each neuron.
        """
        if np.shape(errors) != (self.sizes[layer + 1],):
            raise ParameterError(f"layer {layer} has {self.sizes[layer + 1]} neurons, got errors of shape {np.shape(errors)}")
        device, chip, states, _ = _KernelArrays(self).network
        volts = self.design.column_voltage(layer == len(self.states) - 1)
        return layer_kernel.read_back(device, states[layer], chip.channel[layer], np.asarray(errors, float), volts)

    def neuron(self, layer: int) -> NeuronParameters:
        """Return the parameters of a layer's neurons, whose feedback depends on the number of rows."""
        last = layer == len(self.states) - 1
        return self.design.neuron(self.parameters.neuron, self.parameters.memristor, self.states[layer].shape[1], last)

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
                    design: LayerDesign | None = None, parameters: NetworkParameters | None = None,
                    pulses: PulseWrites | None = None) -> LayeredNetwork:
    """Return an untrained network with random states; the cells of a pair start at equal distances from X_ref.

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
    pulses : PulseWrites, optional
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
    return LayeredNetwork(tuple(states_of_weights(start, design, parameters.memristor) for start in states), parameters, design,
                          pulses=pulses)


def states_of_weights(weights: np.ndarray, design: LayerDesign, memristor: MemristorParameters) -> np.ndarray:
    """Return states in V (columns x rows) that give synapses the `weights` (neurons x rows), in V of X - X_ref or X+ - X-."""
    if design.pairs:
        weights = np.repeat([weights / 2, -weights / 2], design.pairs, axis=0).reshape(-1, weights.shape[1])
    return np.clip(design.reference_state + weights, memristor.lowest_state, memristor.highest_state)


def thresholds_per_volt(parameters: NetworkParameters, design: LayerDesign) -> float:
    """Return the settled membrane, in thresholds, per volt of X - X_ref of a synapse whose row is high; hidden layers."""
    cells = max(1, design.pairs)
    return cells * design.transresistance * parameters.memristor.gain * design.row_voltage / parameters.neuron.threshold


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
                 block: int = BLOCK, counts: layer_kernel.Counts | None = None) -> Iterator[tuple[int, float]]:
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
    counts : Counts, optional
        From `no_counts`; gathers the pulses of each cell.

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
    doses = layer_kernel.Doses(*(getattr(rule, name) for name in layer_kernel.Doses._fields))
    pulses = pulse_values(learning.network.pulses)
    counts = counts or no_counts(learning.network)
    levels, classes = with_bias(images), np.asarray(labels, np.int64)
    device, chip, states, weights = kernel.network
    while learning.done < rule.presentations:
        stop = min((learning.done // block + 1) * block, rule.presentations)
        order = epoch_order(rule, len(images), learning.done, stop)
        history = np.zeros((len(order), 2), np.bool_)
        layer_kernel.train(device, chip, doses, pulses, counts, states, weights, levels, classes, order, learning.done,
                           kernel.spikes, kernel.drives, history, write_generator(rule, learning.done))
        learning.network = dataclasses.replace(learning.network, states=tuple(layer.T.copy() for layer in states))
        learning.history[learning.done:stop], learning.done = history, stop
        yield stop, learning.running_accuracy


def write_generator(rule: LayeredRule, done: int) -> np.random.Generator:
    """Return the random numbers of the writes from presentation `done` on."""
    return np.random.default_rng([rule.seed, 3, done])


def no_counts(network: LayeredNetwork) -> layer_kernel.Counts:
    """Return counts of pulses, all 0, for `train_layers`."""
    shapes = [states.T.shape for states in network.states]
    return layer_kernel.Counts(tuple(np.zeros(shape) for shape in shapes), tuple(np.zeros((2, *shape)) for shape in shapes),
                               tuple(np.zeros(columns) for _, columns in shapes))


class _KernelArrays:
    """Arguments of the kernel's functions: device, chip, states and weights (rows x neurons) of a network, and work space."""

    def __init__(self, network: LayeredNetwork) -> None:
        states = tuple(np.array(layer.T, float, order="C") for layer in network.states)
        weights = tuple(np.zeros((len(layer), neurons)) for layer, neurons in zip(states, network.sizes[1:], strict=True))
        self.network = device_values(network), chip_values(network), states, weights
        layer_kernel.all_weights(*self.network)
        self.spikes = tuple(np.empty(neurons) for neurons in network.sizes[1:])
        self.drives = tuple(np.empty(neurons) for neurons in network.sizes[1:])


def device_values(network: LayeredNetwork) -> layer_kernel.Device:
    """Return the parameters of cells and neurons for the kernel."""
    memristor, neuron, design = network.parameters.memristor, network.parameters.neuron, network.design
    share, tau = memristor.capacitance / memristor.memory_capacitance, neuron.time_constant
    per_volt = memristor.leak_per_volt
    return layer_kernel.Device(
        half_gain=memristor.gain / 2, threshold_voltage=memristor.threshold_voltage, half_share=share / 2,
        third=(1 - share) / 3, pinch=3 / (2 + share), scale=design.transresistance / neuron.threshold,
        reference_state=design.reference_state, row_voltage=design.row_voltage, back_voltage=design.back_voltage,
        error_voltage=design.error_voltage, start=math.exp(network.start_time / tau), window=design.window, tau=tau,
        rate=float(state_rate(memristor, design.writing)), leak=1 / memristor.write_time_constant, pairs=design.pairs,
        bound=memristor.transconductance / per_volt if per_volt else 0.0,
        decay=per_volt * design.writing / memristor.memory_capacitance,
        lowest=memristor.lowest_state, highest=memristor.highest_state)


def chip_values(network: LayeredNetwork) -> layer_kernel.Chip:
    """Return the deviations of the devices for the kernel; all are 1 without a chip."""
    design = network.design
    chip = network.chip or [LayerChip(np.ones((len(states) + 1, states.shape[1])), np.ones(states.shape), np.ones(states.shape),
                                      np.ones(neurons))
                            for states, neurons in zip(network.states, network.sizes[1:], strict=True)]
    channel, write, leak = (tuple(np.array(array.T, float, order="C") for array in arrays)
                            for arrays in zip(*((layer.channel, layer.write, layer.leak) for layer in chip), strict=True))
    last = len(chip) - 1
    thresholds = tuple(np.array(layer.threshold, float) / (design.output_gain if k == last else 1.0)
                       for k, layer in enumerate(chip))
    bias = tuple(design.bias(k == last) / np.array(layer.threshold, float) for k, layer in enumerate(chip))
    return layer_kernel.Chip(channel, write, leak, thresholds, bias)


def pulse_values(pulses: PulseWrites | None) -> layer_kernel.Pulses:
    """Return the pulses for the kernel."""
    if pulses is None:
        return layer_kernel.Pulses(0.0, (0.0, 0.0), False, 0.0, False)
    return layer_kernel.Pulses(pulses.step, (pulses.width_down, pulses.width_up), bool(pulses.whole), pulses.cycle_noise,
                               bool(pulses.random_pair))
