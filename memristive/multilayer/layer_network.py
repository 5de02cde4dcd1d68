"""Networks of any number of layers in closed form: reading, learning, nothing simulated (docs/layers.md).

A neuron's output is a step that stays high until the read ends: exactly what drives the next crossbar's row. The arithmetic is
compiled (`layer_kernel`) when it is first needed.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memristive.multilayer.layer_netlist import LayerChip, LayerDesign
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.error_rule import RUNNING, check_labels
from memristive.single_layer.pulses import check_levels
from memristive.spice.parameters import ParameterError
from memristor import state_rate
from snn_circuit import NetworkParameters

if TYPE_CHECKING:
    from memristive.multilayer import layer_kernel

BLOCK = 1000  # presentations between two reports of a training


@dataclass(frozen=True)
class LayeredNetwork:
    """Crossbars in series. `states`: one array a layer, neurons x rows in V; the last row of each is the always-on bias."""

    states: tuple[np.ndarray, ...]
    parameters: NetworkParameters = NetworkParameters()
    design: LayerDesign = LayerDesign()
    chip: tuple[LayerChip, ...] | None = None  # None: all devices alike

    def __post_init__(self) -> None:
        if any(states.dtype != float for states in self.states):  # writes into whole numbers would be cut off
            object.__setattr__(self, "states", tuple(states.astype(float) for states in self.states))
        for below, above in zip(self.states[:-1], self.states[1:], strict=True):
            if above.shape[1] != below.shape[0] + 1:
                raise ParameterError(f"a layer on {below.shape[0]} neurons needs {below.shape[0] + 1} rows, bias included, got "
                                     f"{above.shape[1]}")
        shapes = [(neurons + 1, rows + 1) for rows, neurons in itertools.pairwise(self.sizes)]
        if self.chip is not None and [layer.channel.shape for layer in self.chip] != shapes:
            raise ParameterError(f"the chip's layers must have {shapes} cells, reference columns and bias rows included, got "
                                 f"{[layer.channel.shape for layer in self.chip]}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, then the neurons of each layer."""
        return (self.states[0].shape[1] - 1, *(len(states) for states in self.states))

    def forward(self, images: np.ndarray) -> list[np.ndarray]:
        """First spike times in s of every layer (images x neurons; nan: silent within the window).

        `images`: n x inputs, levels 0 to 1. Raises ParameterError for another shape or other levels.
        """
        check_images(self, images)
        kernel, run = _kernel(), _Run(self)
        times = tuple(np.empty((len(images), neurons)) for neurons in self.sizes[1:])
        kernel.call(kernel.present, run.device, run.chip, run.states, run.weights, with_bias(images), run.spikes, run.drives,
                    times)
        return list(times)

    def first_spikes(self, images: np.ndarray) -> np.ndarray:
        """First spike times in s of the last layer (images x classes; nan: silent)."""
        return self.forward(images)[-1]

    def read_back(self, layer: int, errors: np.ndarray) -> np.ndarray:
        """What the rows of `layer` (counted from 0; without the bias) show in V while its columns carry `errors`.

        sum(error x (X - X_ref)) over the columns, less what the gates' lift changes (3 mV in the last layer). In V x the unit of
        the errors, which are +-1 in the last layer, V in a hidden one. Raises ParameterError if they are not one a column.
        """
        if np.shape(errors) != (len(self.states[layer]),):
            raise ParameterError(f"layer {layer} has {len(self.states[layer])} columns, got errors of shape {np.shape(errors)}")
        run, volts = _Run(self), self.design.column_voltage(layer == len(self.states) - 1)
        return _kernel().read_back(run.device, run.states[layer], run.chip.channel[layer], np.asarray(errors, float), volts)


def check_images(network: LayeredNetwork, images: np.ndarray, labels: np.ndarray | None = None) -> None:
    """Raise ParameterError for `images` of another width, of which compiled loops would read beyond their ends, or with levels
    beyond 0 to 1; and for `labels` that are not one class number an image.
    """
    check_levels("images", images, network.sizes[0])
    if labels is not None:
        check_labels(labels, len(images), network.sizes[-1])


def with_bias(images: np.ndarray) -> np.ndarray:
    """Images (n x inputs) with the bias row at full level."""
    return np.ascontiguousarray(np.hstack([images, np.ones((len(images), 1))]), float)


def start_delay(rise: float, tau: float) -> float:
    """When in s an ideal step would have come whose membranes run as after a linear edge of `rise` s, once that is over."""
    return rise + tau * math.log(-math.expm1(-rise / tau) * tau / rise)


def begin(hidden: tuple[int, ...], classes: int, images: np.ndarray, rule: LayeredRule, design: LayerDesign | None = None,
          parameters: NetworkParameters | None = None) -> LayeredNetwork:
    """An untrained network whose first layer's membranes settle, over `images` (n x inputs), as the rule's start says."""
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
    """How many thresholds a membrane settles higher for each volt of X - X_ref of a cell whose row is high."""
    return design.transresistance * parameters.memristor.gain * design.row_voltage / parameters.neuron.threshold


@dataclass
class LayeredLearning:
    """All that a training needs to go on. `history`: presentations x (right, written)."""

    network: LayeredNetwork
    history: np.ndarray
    done: int = 0

    @classmethod
    def begin(cls, network: LayeredNetwork, rule: LayeredRule) -> LayeredLearning:
        """A training before its first presentation."""
        return cls(network, np.zeros((rule.presentations, 2), bool))

    def arrays(self) -> dict[str, Any]:
        """What changes, by name, for a checkpoint."""
        layers = {f"states_{k}": states for k, states in enumerate(self.network.states)}
        return {**layers, "history": self.history, "done": self.done}

    @classmethod
    def restored(cls, network: LayeredNetwork, arrays: dict[str, np.ndarray]) -> LayeredLearning:
        """The training that `arrays` came from; `network` gives all but the states."""
        states = tuple(arrays[f"states_{k}"] for k in range(len(network.states)))
        return cls(dataclasses.replace(network, states=states), arrays["history"].copy(), int(arrays["done"]))


def presentation_order(rule: LayeredRule, count: int, done: int, stop: int) -> np.ndarray:
    """Indices of the images presented from `done` to `stop`: each epoch a permutation of all `count`, known by its number."""
    epochs = range(done // count, -(-stop // count))
    order = np.concatenate([np.random.default_rng([rule.seed, 2, epoch]).permutation(count) for epoch in epochs])
    return order[done - epochs[0] * count:stop - epochs[0] * count]


def train(learning: LayeredLearning, rule: LayeredRule, images: np.ndarray, labels: np.ndarray,
          block: int = BLOCK) -> Iterator[tuple[int, float]]:
    """Present the images still to come, in closed form; yields (done, running accuracy) after every `block` presentations.

    `images`: n x inputs, levels 0 to 1; `labels`: n class numbers. `learning` is up to date whenever this yields. Raises
    ParameterError for other shapes or labels, and for a rule of more presentations than `learning` has room for.
    """
    check_images(learning.network, images, labels)
    if rule.presentations > len(learning.history):
        raise ParameterError(f"this learning was begun for {len(learning.history)} presentations, got a rule of "
                             f"{rule.presentations}")
    kernel, run = _kernel(), _Run(learning.network)
    doses = kernel.Doses(rule.presentations, rule.hidden_dose, rule.output_dose, rule.margin, rule.error_scale,
                         rule.reach)
    levels, classes = with_bias(images), np.asarray(labels, np.int64)
    while learning.done < rule.presentations:
        stop = min((learning.done // block + 1) * block, rule.presentations)
        order = presentation_order(rule, len(images), learning.done, stop)
        history = np.zeros((len(order), 2), np.bool_)
        kernel.call(kernel.train, run.device, run.chip, doses, run.states, run.weights, levels, classes, order, learning.done,
                    run.spikes, run.drives, history)
        learning.network = dataclasses.replace(learning.network, states=tuple(s.T.copy() for s in run.states))
        learning.history[learning.done:stop], learning.done = history, stop
        yield stop, float(learning.history[max(0, stop - RUNNING):stop, 0].mean())


def _kernel() -> Any:
    """The compiled arithmetic; importing numba takes a second, which who reads no layers need not wait for."""
    from memristive.multilayer import layer_kernel
    return layer_kernel


class _Run:
    """A network as the kernel wants it: rows x neurons, what differs between devices as arrays, and room to work in."""

    def __init__(self, network: LayeredNetwork) -> None:
        kernel = _kernel()
        self.states = tuple(np.array(states.T, float, order="C") for states in network.states)
        self.device = device(network)
        self.chip = chip(network)
        self.weights = tuple(np.zeros_like(states) for states in self.states)
        kernel.all_weights(self.device, self.chip, self.states, self.weights)
        self.spikes = tuple(np.empty(neurons) for neurons in network.sizes[1:])
        self.drives = tuple(np.empty(neurons) for neurons in network.sizes[1:])


def device(network: LayeredNetwork) -> layer_kernel.Device:
    """The numbers of cells and neurons that the kernel needs."""
    memristor, neuron, design = network.parameters.memristor, network.parameters.neuron, network.design
    share, tau = memristor.capacitance / memristor.memory_capacitance, neuron.time_constant
    return _kernel().Device(
        half_gain=memristor.gain / 2, threshold_voltage=memristor.threshold_voltage, half_share=share / 2,
        third=(1 - share) / 3, pinch=3 / (2 + share), scale=design.transresistance / neuron.threshold,
        reference_state=design.reference_state, row_voltage=design.row_voltage, back_voltage=design.back_voltage,
        error_voltage=design.error_voltage,
        start=math.exp(start_delay(design.rise, tau) / tau), window=design.window, tau=tau,
        rate=float(state_rate(memristor, design.row_voltage)),
        leak=1 / memristor.write_time_constant)


def chip(network: LayeredNetwork) -> layer_kernel.Chip:
    """What differs between devices, as the kernel wants it: 1 everywhere where all are alike."""
    layers = network.chip or [LayerChip(np.ones((len(states) + 1, states.shape[1])), np.ones(states.shape), np.ones(len(states)))
                              for states in network.states]
    channel, write = (tuple(np.array(array.T, float, order="C") for array in arrays)
                      for arrays in zip(*((layer.channel, layer.write) for layer in layers), strict=True))
    return _kernel().Chip(channel, write, tuple(np.array(layer.threshold, float) for layer in layers))
