"""Networks of one or more layers in closed form: reading without a simulator (docs/layers.md).

The output of a neuron is a step that stays high until the read ends, and it drives a row of the next crossbar.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from memristive.network import kernel
from memristive.network.chip import Chip
from memristive.network.closed_form import Cells
from memristive.network.netlists import LayerDesign
from memristive.network.setup import check_levels
from memristive.neuron import Stages, stages, start_delay
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristor import MemristorParameters, state_rate
from snn_circuit import Devices, NetworkParameters, NeuronParameters, NeuronValues

UNSUPPORTED = ("read_noise", "write_noise", "decay_rate", "row_resistance", "column_resistance")
SEED_STEP = 7919  # between the seeds of two layers
READ_BLOCK = 25  # images whose reads share a stream of random numbers, so that processes can read different blocks


@dataclass(frozen=True)
class PulseWrites(Parameters):
    """Identical pulses that write a measured device, at the write voltage of +1 V or -1 V, and the noises of the device.

    In either direction, a dose in V takes dose / `step` pulses.
    """

    step: float = quantity(0.05, 1e-9, 100.0, "V", "mean change of X by one pulse")
    width: float = quantity(1e-5, 1e-15, 10.0, "s", "of a pulse")
    write_noise: float = quantity(0.0, 0.0, 100.0, "V", "standard deviation of X after one pulse")
    read_noise: float = quantity(0.0, 0.0, 100.0, "V", "the same of one reading of a cell, drawn anew for each read")
    whole: int = quantity(1, 0, 1, "", "1: whole pulses, fractions rounded at random; 0: pulses of any width")
    disturb_up: float = quantity(0.0, 0.0, 1.0, "", "step of a half-selected cell over the full step, upwards; 0: none moves")
    disturb_down: float = quantity(0.0, 0.0, 1.0, "", "the same downwards")
    thirds: int = quantity(0, 0, 1, "", "1: V/3, unselected cells see a third of the voltage, backwards; 0: V/2, they see none")


@dataclass(frozen=True)
class LayeredNetwork:
    """Crossbars in series, each with its neurons.

    Parameters
    ----------
    states : tuple of arrays, V
        One array for each layer, columns x rows; the last row is the bias, which is high in every read. Without pairs there is
        one column for each neuron.
    parameters : NetworkParameters
    design : LayerDesign
    devices : tuple of Devices, optional
        Values of the cells and neurons of each layer; None: all alike. Without pairs, the last column of the cells is the
        reference column.
    pulses : PulseWrites, optional
        Pulses of a measured device; None: the duration of a write is in proportion to its dose.

    Raises
    ------
    ParameterError
        The shapes of two layers, or of network and chip, do not fit.
    """

    states: tuple[np.ndarray, ...]
    parameters: NetworkParameters = NetworkParameters()
    design: LayerDesign = LayerDesign()
    devices: tuple[Devices, ...] | None = None
    pulses: PulseWrites | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", tuple(np.asarray(states, float) for states in self.states))
        for neurons, above in zip(self.sizes[1:], self.states[1:], strict=False):
            if above.shape[1] != neurons + 1:
                raise ParameterError(f"a layer on {neurons} neurons needs {neurons + 1} rows, bias included, got "
                                     f"{above.shape[1]}")
        shapes = [(len(states) + (self.design.pairs == 0), states.shape[1]) for states in self.states]
        found = shapes if self.devices is None else [of.cells.gain.shape for of in self.devices if of.cells is not None]
        if found != shapes:
            raise ParameterError(f"the chip's layers must have {shapes} cells, reference columns and bias rows included, "
                                 f"got {found}")
        if self.pulses and not self.parameters.memristor.curve:
            raise ParameterError("pulses need a memristor with a curve, as `emulator` makes it for a measured device")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of inputs, then the number of neurons in each layer."""
        return (self.states[0].shape[1] - 1, *(self.design.neuron_count(states) for states in self.states))

    def forward(self, images: np.ndarray, rails: bool = True, seed: int = 0) -> list[np.ndarray]:
        """Return the first spike times of all layers.

        Parameters
        ----------
        images : array, n x inputs, levels 0 to 1
        rails : bool
            False: stages never clip.
        seed : int
            Seed of the read noise, if the devices have any.

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
        step = READ_BLOCK if self.read_noise else max(1, len(images))
        blocks = [self.drawn(images[k:k + step], read_generator(seed, k), rails)[0] for k in range(0, len(images) or 1, step)]
        return [np.concatenate(layer) for layer in zip(*blocks, strict=True)]

    def drawn(self, images: np.ndarray, rng: np.random.Generator,
              rails: bool = True) -> tuple[list[np.ndarray], tuple[np.ndarray, ...]]:
        """Return the first spike times that `forward` returns, and the noise currents in A of the last image.

        The noise is drawn from `rng`. The currents have the shapes of `noise` in `kernel.Work`.
        """
        arrays = KernelArrays(self, rails)
        times = tuple(np.empty((len(images), neurons)) for neurons in self.sizes[1:])
        kernel.present(arrays.layers, arrays.pulse, arrays.states, arrays.work, self.read_levels(images), kernel.EMPTY_TABLE,
                       times, rng)
        return list(times), arrays.work.noise

    def first_spikes(self, images: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return the first spike times of the last layer in s (images x classes; nan: silent); see `forward`."""
        return self.forward(images, seed=seed)[-1]

    def drives(self, images: np.ndarray) -> np.ndarray:
        """Return the settled membranes of the first layer in thresholds (n x neurons), for `images` as in `forward`."""
        check_levels("images", images, self.sizes[0])
        arrays, rng, found = KernelArrays(self), read_generator(0), []
        work, everyone = arrays.work, np.ones(self.sizes[1])
        for image in self.read_levels(images):
            kernel.draw(arrays.layers[:1], arrays.pulse, work, image, rng)
            kernel.read_first(arrays.layers[0], arrays.pulse, arrays.states[0], work.scale[0], image, work.noise[0], everyone,
                              work.spikes[0], work.drives[0])
            found.append(work.drives[0].copy())
        return np.array(found)

    def read_levels(self, images: np.ndarray) -> np.ndarray:
        """Return the levels of the first layer's rows (n x rows) in a read; the bias row is at full level."""
        return with_bias(self.design.read_levels(images))

    @property
    def read_noise(self) -> float:
        """Standard deviation, in V, of one reading of a cell's X."""
        return self.pulses.read_noise if self.pulses else 0.0

    def back_noise(self, errors: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray | float:
        """Return random noise (rows) to add to the result of `read_back`, with the kernel's distribution; 0.0 without noise."""
        if not self.read_noise:
            return 0.0
        carried = self.design.column_errors(errors)
        return self.read_noise * np.sqrt(carried @ carried) / max(1, self.design.pairs) * rng.standard_normal(rows)

    def read_back(self, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the sum of error x (X - X_ref) over the neurons, for each row, read while the columns carry `errors`.

        With pairs the result is the sum of error x (X+ - X-), averaged over the pairs. It is free of noise.

        Parameters
        ----------
        layer : int
            Counted from 0.
        errors : array, neurons
            +-1 in the last layer, V in a hidden one.

        Returns
        -------
        array, rows without the bias
            In V times the unit of the errors. The lifted gates change the sums slightly (3 mV in the last layer).

        Raises
        ------
        ParameterError
            There is not one error for each neuron.
        """
        if np.shape(errors) != (self.sizes[layer + 1],):
            raise ParameterError(f"layer {layer} has {self.sizes[layer + 1]} neurons, got errors of shape {np.shape(errors)}")
        arrays, volts = KernelArrays(self), self.design.column_voltage(layer == len(self.states) - 1)
        quiet = arrays.layers[layer]._replace(noise=0.0)
        return kernel.read_back(quiet, arrays.states[layer], np.asarray(errors, float), volts, read_generator(0))

    def neuron(self, layer: int) -> NeuronParameters:
        """Return the parameters of a layer's neurons, whose feedback depends on the number of rows."""
        last = layer == len(self.states) - 1
        return self.design.neuron(self.parameters.neuron, self.parameters.memristor, self.states[layer].shape[1], last)

    def of_layer(self, layer: int) -> Devices:
        """Return the values of a layer's cells and neurons."""
        return Devices() if self.devices is None else self.devices[layer]

    @property
    def write_rate(self) -> float:
        """Rate in V/s at which a row at full level moves X in a write: a dose in V takes dose / `write_rate` s."""
        return float(state_rate(self.parameters.memristor, self.design.writing))

    @property
    def start_time(self) -> float:
        """Time in s of the ideal step that replaces the image's edge."""
        return start_delay(self.design.rise, self.parameters.neuron.time_constant)


def with_bias(images: np.ndarray) -> np.ndarray:
    """Return images (n x inputs) with the bias row at full level."""
    return np.ascontiguousarray(np.hstack([images, np.ones((len(images), 1))]), float)


def read_generator(seed: int, start: int = 0) -> np.random.Generator:
    """Return the generator of the read noise for the block of `READ_BLOCK` images that begins with image `start`."""
    return np.random.default_rng([seed, 5, start])


def states_of_weights(weights: np.ndarray, design: LayerDesign, memristor: MemristorParameters) -> np.ndarray:
    """Return the states in V (columns x rows) of synapses that have these `weights` in V (neurons x rows).

    A weight is X - X_ref, or with pairs X+ - X- of each pair. The range of a measured device limits the states.
    """
    if design.pairs:
        weights = np.repeat([weights / 2, -weights / 2], design.pairs, axis=0).reshape(-1, weights.shape[1])
    states = design.reference_state + weights
    return np.clip(states, memristor.curve.low, memristor.curve.high) if memristor.curve else states


def thresholds_per_volt(parameters: NetworkParameters, design: LayerDesign) -> float:
    """Return the drive in thresholds that a synapse whose row is high adds per volt of its weight, X - X_ref."""
    cells = max(1, design.pairs)
    return cells * design.transresistance * parameters.memristor.gain * design.row_voltage / parameters.neuron.threshold


def no_counts(network: LayeredNetwork) -> kernel.Counts:
    """Return counts of pulses, all 0, for `train_layers`."""
    shapes = [states.T.shape for states in network.states]
    return kernel.Counts(tuple(np.zeros(shape) for shape in shapes), tuple(np.zeros((2, *shape)) for shape in shapes),
                               tuple(np.zeros(columns) for _, columns in shapes))


class KernelArrays:
    """Arguments of the kernel's functions for a network: its layers, voltages and times, states, and work space.

    Without `rails`, stages never clip.
    """

    def __init__(self, network: LayeredNetwork, rails: bool = True) -> None:
        design = network.design
        self.layers = tuple(kernel_layer(network, k, rails) for k in range(len(network.states)))
        self.pulse = kernel_pulse(network)
        references = [np.full((0 if design.pairs else 1, states.shape[1]), design.reference_state) for states in network.states]
        self.states = tuple(np.array(np.vstack([states, reference]).T, float, order="C")
                            for states, reference in zip(network.states, references, strict=True))
        sizes = network.sizes[1:]
        self.work = kernel.Work(tuple(np.zeros(states.shape[1]) for states in self.states),
                                tuple(np.zeros((2, count)) for count in sizes),
                                tuple(np.zeros((2, len(states) if k else 0, count))
                                      for k, (states, count) in enumerate(zip(self.states, sizes, strict=True))),
                                tuple(np.empty(count) for count in sizes), tuple(np.empty(count) for count in sizes),
                                tuple(np.zeros((len(states) if k else 1, 2 * count if design.pairs else count + 1))
                                      for k, (states, count) in enumerate(zip(self.states, sizes, strict=True))))
        kernel.prepare(self.layers, self.pulse, self.states, self.work)

    def trained(self, network: LayeredNetwork) -> LayeredNetwork:
        """Return `network` with the states that the kernel has written into these arrays."""
        states = tuple(states[:, :len(before)].T.copy() for states, before in zip(self.states, network.states, strict=True))
        return dataclasses.replace(network, states=states)


def kernel_pulse(network: LayeredNetwork) -> kernel.Pulse:
    """Return the voltages and times of a network for the kernel."""
    design, tau = network.design, network.parameters.neuron.time_constant
    start = math.exp(network.start_time / tau)
    return kernel.Pulse(design.rise, design.window, tau, start, design.row_voltage, design.writing, design.back_voltage,
                        design.error_voltage, 1.0, 1.0, False)


def stages_of_layer(network: LayeredNetwork, k: int, rails: bool = True) -> Stages:
    """Return the stages of the neurons of layer `k`; without `rails` they never clip."""
    neuron, devices = network.neuron(k), network.of_layer(k)
    found = stages(neuron, 1 if network.design.pairs else network.sizes[k + 1])
    if devices.neurons is not None:
        feedback = devices.neurons.feedback_resistance
        found = found._replace(feedback=feedback, highest_sum=neuron.highest_sum(feedback))
    return found if rails else found._replace(highest_sum=np.inf, highest_negative=np.inf, highest_inverse=np.inf)


def kernel_layer(network: LayeredNetwork, k: int, rails: bool = True) -> kernel.Layer:
    """Return the cells and neurons of layer `k` for the kernel; a reference column cannot be written."""
    memristor, neuron, design, devices = network.parameters.memristor, network.neuron(k), network.design, network.of_layer(k)
    count, reference = network.sizes[k + 1], design.pairs == 0
    columns, rows = len(network.states[k]) + reference, network.states[k].shape[1] if devices.cells else 1
    cells, values = Cells.of(memristor, devices.cells), devices.neurons
    written = np.where(np.arange(columns) < len(network.states[k]), 1.0, 0.0)[:, None]
    rate = cells.transconductance / cells.memory_capacitance * written
    of_cells = [cells.gain, cells.threshold_voltage, cells.share, cells.pinch, rate, cells.leak]
    bias = design.bias(k == len(network.states) - 1) * neuron.threshold / neuron.transresistance
    of_neurons = [*stages_of_layer(network, k, rails), neuron.threshold if values is None else values.threshold,
                  neuron.time_constant if values is None else neuron.membrane_resistance * values.membrane_capacitance, bias]
    return kernel.Layer(np.array([np.broadcast_to(value, (columns, rows)).T for value in of_cells], float),
                        np.array([np.broadcast_to(value, count) for value in of_neurons], float), memristor.gain,
                        network.write_rate, design.pairs, reference,
                        memristor.curve.flow if memristor.curve else kernel.NO_FLOW, network.read_noise)


def network_on_chip(network: LayeredNetwork, chip: Chip | None) -> LayeredNetwork:
    """Return `network` with the devices of a chip, each layer with a seed of its own; None: all devices alike.

    Stuck cells get their fixed states. Raises ParameterError for deviations that layers cannot have.
    """
    other = [name for name in (chip.deviations if chip else []) if name in UNSUPPORTED]
    if other:
        raise ParameterError(f"layers with a reference or pairs cannot have a chip's {' and '.join(other)}; set "
                             f"{'it' if len(other) == 1 else 'them'} to 0")
    if chip is None:
        return dataclasses.replace(network, devices=None)
    devices, found = [], []
    for k, states in enumerate(network.states):
        columns = len(states) + (network.design.pairs == 0)
        part = dataclasses.replace(chip, classes=columns, inputs=states.shape[1], seed=(chip.seed + k * SEED_STEP) % 2**32)
        neurons = part.neurons(network.neuron(k))
        own = NeuronValues(*(values[:network.sizes[k + 1]] for values in vars(neurons).values()))
        devices.append(Devices(part.cells(network.parameters.memristor), own))
        reference = np.full((columns - len(states), states.shape[1]), network.design.reference_state)
        found.append(part.with_stuck_cells(np.vstack([states, reference]))[:len(states)])
    return dataclasses.replace(network, states=tuple(found), devices=tuple(devices))


def pulse_values(pulses: PulseWrites | None) -> kernel.Pulses:
    """Return the pulses in the kernel's form; None gives `NO_PULSES`."""
    if pulses is None:
        return kernel.NO_PULSES
    return kernel.Pulses(pulses.step, pulses.width, bool(pulses.whole), pulses.write_noise,
                         (float(pulses.disturb_down), float(pulses.disturb_up)), bool(pulses.thirds))
