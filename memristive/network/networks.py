"""Networks as data, and their reads in closed form (docs/layers.md).

A network has one or more layers. The output of a neuron is a step that stays high until the read
ends, and it drives a row of the next crossbar. The paper's network is one layer whose design is a
`Schedule`.
"""

import copy
import dataclasses
import math
import warnings
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from memristive.closed_form import kernel, kernel_arrays
from memristive.closed_form.neuron import start_delay
from memristive.devices.cells import IDEAL_DEVICES, Cells, Devices, NeuronValues, Wires
from memristive.devices.neuron_model import MeasuredNeuron
from memristive.network.chip import Chip
from memristive.network.crossbar import NO_CLOSED_FORM, ClosedFormWarning, Crossbar
from memristive.network.design import (
    Design,
    LayerDesign,
    Schedule,
    Setup,
    check_states,
)
from memristive.network.exactness import doubts_of
from memristive.network.inputs import as_images
from memristive.network.kinds import DENSE, Kind
from memristive.network.layer import Layer
from memristive.network.recipe import Recipe
from memristive.parameters import ParameterError, check_range, quantity
from memristive.writing.base import Way
from memristive.writing.ways import PulseWrites, forget, kernel_ways, waiting_of, way_of
from memristor import MemristorParameters
from snn_circuit import NetworkParameters

UNSUPPORTED = ("read_noise", "write_noise", "decay_rate", "row_resistance", "column_resistance")
SEED_STEP = 7919  # between the seeds of two layers
# images whose reads share a stream of random numbers, so that processes can read different blocks
READ_BLOCK = 25
AT_ONCE = 2000  # images whose levels are in memory together in a read
AGE = quantity(0.0, 0.0, 1e12, "s", "time without a write")
# share of a device's range: a cell that has moved by less has not been written
UNWRITTEN = 1e-5
# share of a device's range by which a solver may leave it
BEYOND_RANGE = 0.01


@dataclass(frozen=True)
class Network:
    """Crossbars in series, each with its neurons.

    Parameters
    ----------
    states : tuple of arrays, V
        One array for each layer, columns x rows. Without pairs there is one column for each neuron.
        With a `LayerDesign`, the last row is the bias, which is high in every read.
    parameters : NetworkParameters
    design : LayerDesign or Schedule
        Signs, scales and times. A `Schedule` belongs to the paper's layer.
    devices : tuple of Devices, optional
        Values of the cells and neurons of each layer; None: all alike. A reference column is the
        last column of the cells.
    pulses : PulseWrites, optional
        Pulses of a measured device; None: the duration of a write is in proportion to its dose.
    chip : Chip, optional
        Chip that gave the `devices`, and gives the noise of reads and writes. `network_on_chip`
        sets both.
    waiting : tuple of arrays, V
        What waits on capacitors to be written. Synapses that write late: their doses, rows x
        neurons for each layer. Cells with a gate: the gate voltages now and at the last write, 2 x
        rows x columns. (): nothing waits.
    kinds : tuple of Kind
        Of each layer; dense layers may be left out at the end. A `Convolution` has a window of the
        image as rows, and kernels as columns. Layers above get its pooled spikes.
    past : tuple of arrays, 2 x columns x rows
        Of cells that have aged, a reference column included: their age in s, and their state in V
        at this age. A cell in another state has been written since then, and its age is 0. ():
        all cells have just been written.
    wear : tuple of arrays, columns x rows
        Pulses that each cell of a device with an endurance has had. (): none so far.
    recipe : Recipe, optional
        From which `build` made the network.

    Attributes
    ----------
    layers : tuple of Layer
        All that engines need of each layer but its states; they follow from the other fields.

    Raises
    ------
    ParameterError
        The shapes of layers and chip do not fit, or the design, kinds or pulses do not.
    """

    states: tuple[np.ndarray, ...]
    parameters: NetworkParameters = NetworkParameters()
    design: Design = LayerDesign()
    devices: tuple[Devices, ...] | None = None
    pulses: PulseWrites | None = None
    chip: Chip | None = None
    waiting: tuple[np.ndarray, ...] = ()
    kinds: tuple[Kind, ...] = ()
    past: tuple[np.ndarray, ...] = ()
    wear: tuple[np.ndarray, ...] = ()
    recipe: Recipe | None = field(default=None, repr=False, compare=False)
    layers: tuple[Layer, ...] = field(init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        pairs = self.design.pairs
        cells = f"{pairs} pairs a synapse" if pairs else "single cells"
        chip = f", chip of seed {self.chip.seed}" if self.chip else ""
        return f"<Network {'-'.join(map(str, self.sizes))}, {cells}{chip}>"

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "states", tuple(np.asarray(states, float) for states in self.states)
        )
        for states in self.states:
            check_states(states)
        if len(self.states) > 1 and self.paper:
            raise ParameterError(
                "several layers need a LayerDesign, a Schedule is the design of a single one"
            )
        more = self.design.synapses.reference
        shapes = [(len(states) + more, states.shape[1]) for states in self.states]
        given = (
            shapes
            if self.devices is None
            else [
                own.cells.gain.shape if own.cells else shape
                for own, shape in zip(self.devices, shapes, strict=False)
            ]
        )
        if given != shapes:
            raise ParameterError(
                f"the chip's layers must have {shapes} cells, reference columns and bias rows "
                f"included, got {given}"
            )
        of_states = [states.shape for states in self.states]
        if self.wears and not self.wear:
            object.__setattr__(self, "wear", tuple(map(np.zeros, of_states)))
        for name, wanted in (("past", [(2, *shape) for shape in shapes]), ("wear", of_states)):
            kept = [array.shape for array in getattr(self, name)]
            if kept and kept != wanted:
                raise ParameterError(f"{name} must have arrays of {wanted}, got {kept}")
        object.__setattr__(self, "layers", self._layers())
        if len(self.layers[-1].kind.patches):
            raise ParameterError("a convolution needs a layer above it, which its spikes drive")
        for k, (layer, below) in enumerate(zip(self.layers, self.sizes, strict=False), 1):
            needed = layer.kind.rows_on(below) + layer.rows - layer.inputs
            if layer.rows != needed:
                raise ParameterError(
                    f"layer {k} needs {needed} rows, bias included, for {below} inputs, got "
                    f"{layer.rows}"
                )
            if layer.kind.inputs_of(below) != below:
                raise ParameterError(
                    f"layer {k} reads {layer.kind.inputs_of(below)} outputs of the layer below, "
                    f"which has {below}"
                )
        if self.pulses and not self.parameters.memristor.curve:
            raise ParameterError(
                "pulses need a memristor with a curve, as `emulator` makes it for a measured device"
            )

    def check_range(self) -> None:
        """Raise ParameterError if a state is outside the range of the measured device, which no
        pulse can leave, but drift can.
        """
        curve = self.parameters.memristor.curve
        if curve is None or self.past:
            return
        beyond = BEYOND_RANGE * (curve.high - curve.low)
        for layer, states in enumerate(self.states, 1):
            wrong = np.argwhere((states < curve.low - beyond) | (states > curve.high + beyond))
            if len(wrong):
                place = tuple(map(int, wrong[0]))
                raise ParameterError(
                    f"layer {layer} must be in the range of network.memristor.curve, "
                    f"{curve.low:.3g} to {curve.high:.3g} V, got {states[place]:.3g} V in cell "
                    f"{place} (column, row)"
                )

    def _layers(self) -> tuple[Layer, ...]:
        design, memristor, result = self.design, self.parameters.memristor, []
        kinds = [*self.kinds, *[DENSE] * (len(self.states) - len(self.kinds))]
        for k, states in enumerate(self.states):
            last, devices = (
                k == len(self.states) - 1,
                self.devices[k] if self.devices else IDEAL_DEVICES,
            )
            neuron = design.neuron(self.parameters.neuron, memristor, states.shape[1], last)
            result.append(
                Layer(
                    len(states),
                    states.shape[1],
                    memristor,
                    neuron,
                    kinds[k],
                    devices,
                    design.synapses,
                    design.bias(last),
                    design.reference_state,
                    design.row_voltage,
                    design.writing,
                    design.column_voltage(last),
                    design.rise,
                    design.window,
                    design.after,
                    k > 0,
                    self.pulses,
                    design.phi_share(memristor),
                )
            )
        return tuple(result)

    @property
    def neuron(self) -> MeasuredNeuron | None:
        """Neuron of one's own in the place of the paper's."""
        return self.recipe.neuron if self.recipe else None

    @property
    def paper(self) -> bool:
        """True for the paper's layer, whose design is a `Schedule`."""
        return isinstance(self.design, Schedule)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of inputs, then the number of outputs of each layer: one for each neuron, or in a
        convolution one for each kernel in each region.
        """
        first = self.layers[0]
        inputs = first.kind.inputs_of(first.inputs)
        return (inputs, *(layer.outputs for layer in self.layers))

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """Height and width in pixels of the images of a convolution; None for other networks."""
        return self.layers[0].kind.image_shape

    @property
    def neurons(self) -> tuple[int, ...]:
        """Number of neurons of each layer; of a convolution, of its kernels."""
        return tuple(layer.neurons for layer in self.layers)

    @property
    def patches(self) -> tuple[np.ndarray, ...] | None:
        """Patches of each layer, as `Convolution.patches`, empty for a dense layer; None if all
        layers are dense.
        """
        patches = tuple(layer.kind.patches for layer in self.layers)
        return patches if any(map(len, patches)) else None

    @classmethod
    def of(cls, setup: Setup, states: np.ndarray) -> Self:
        """Return the paper's layer with the parameters of a `setup` and `states` (classes x inputs,
        V).
        """
        return cls((states,), setup.parameters, setup.schedule, (setup.devices,))

    @property
    def setup(self) -> Setup:
        """Parameters of the paper's layer with the chip's devices; raise ParameterError for other
        networks.
        """
        if not isinstance(self.design, Schedule):
            raise ParameterError("only the paper's layer, whose design is a Schedule, has a Setup")
        return Setup(
            self.parameters.memristor,
            self.parameters.neuron,
            self.design,
            self.devices[0] if self.devices else IDEAL_DEVICES,
        )

    @property
    def way(self) -> Way:
        """Way of writing of the cells."""
        return way_of(self.pulses)

    @property
    def crossbar(self) -> Crossbar:
        """The paper's layer in NumPy, as a `Crossbar`."""
        return Crossbar.of(self.setup)

    @property
    def wired(self) -> bool:
        """True if wires have resistance: columns then depend on each other, and only ngspice reads
        them.
        """
        return any(devices.wires != Wires() for devices in self.devices or ())

    @property
    def doubts(self) -> list[str]:
        """Reasons why spike times of the closed form may be wrong by more than nanoseconds; each
        reason names a parameter.
        """
        own = self.neuron.doubts if self.neuron else []
        return own + doubts_of(self.layers, self.states)

    def warn_of_doubts(self) -> None:
        """Issue a `ClosedFormWarning` for each of the `doubts`."""
        for doubt in self.doubts:
            warnings.warn(
                f"the closed form is not exact here: {doubt}; compare with ngspice",
                ClosedFormWarning,
                stacklevel=3,
            )

    def jitter(self, stream: str, first: int, stop: int) -> np.ndarray:
        """Return the chip's threshold noise in the reads `first` to `stop` - 1 of a named `stream`:
        shifts of the thresholds, reads x classes, V; empty without noise.
        """
        if not self.chip or not self.chip.read_noise:
            return kernel_arrays.EMPTY_TABLE
        return np.array([self.chip.threshold_noise(stream, k) for k in range(first, stop)]).reshape(
            -1, self.sizes[-1]
        )

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
        images = as_images(images, self.sizes[0])
        if self.neuron:
            currents = self.crossbar.currents(self.states[0], images)
            own, nominal = self.setup.devices.neurons, self.parameters.neuron
            if own is None:
                return [self.neuron.spikes(currents)]
            threshold = own.threshold / nominal.threshold
            threshold = threshold * nominal.feedback_resistance / own.feedback_resistance
            slower = own.membrane_capacitance / nominal.membrane_capacitance
            return [self.neuron.spikes(currents, threshold, slower)]
        jitter = self.jitter("test", 0, len(images))
        step = READ_BLOCK if self.layers[0].read_noise else AT_ONCE
        blocks = [
            self.drawn(images[k : k + step], read_generator(seed, k), rails, jitter[k : k + step])[
                0
            ]
            for k in range(0, len(images) or 1, step)
        ]
        return [np.concatenate(layer) for layer in zip(*blocks, strict=True)]

    def drawn(
        self,
        images: np.ndarray,
        rng: np.random.Generator,
        rails: bool = True,
        jitter: np.ndarray = kernel_arrays.EMPTY_TABLE,
    ) -> tuple[list[np.ndarray], tuple[np.ndarray, ...]]:
        """Return the first spike times as `forward` does, and the noise currents in A of the last
        image.

        The noise is drawn from `rng`; `jitter` is the threshold noise as `Network.jitter` returns
        it. The currents are as in `kernel_arrays.Work.noise`: an array for each layer.
        """
        arrays = KernelArrays(self, rails)
        return arrays.read(self.read_levels(images), jitter, rng), arrays.work.noise

    def seen(
        self,
        times: kernel_arrays.Arrays,
        settled: kernel_arrays.Arrays,
        winners: kernel_arrays.Arrays,
    ) -> kernel_arrays.Seen:
        """Return what a read has shown, as the learning rule takes it; arguments as in `Seen`."""
        window, tau = self.design.window, self.parameters.neuron.time_constant
        return kernel_arrays.Seen(times, settled, winners, window, tau, self.start_time)

    def first_spikes(self, images: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return the first spike times of the last layer in s (images x classes; nan: silent);
        arguments are as in `forward`.
        """
        return self.forward(images, seed=seed)[-1]

    def read_levels(self, images: np.ndarray) -> np.ndarray:
        """Return the levels (n x rows) at which the first layer's rows are read; the bias row is at
        1.
        """
        return self._with_bias(self.design.read_levels(images), 1.0)

    def rows(self, images: np.ndarray) -> np.ndarray:
        """Return the levels (n x rows) at which the first layer's rows are written. The bias row is
        at 1, or at the bias level of the convolution.
        """
        return self._with_bias(images, self.layers[0].kind.bias_level)

    def _with_bias(self, levels: np.ndarray, level: float) -> np.ndarray:
        if self.layers[0].bias is None:
            return np.ascontiguousarray(levels, float)
        return with_bias(levels, level)

    def read_back(self, layer: int, errors: np.ndarray) -> np.ndarray:
        """Return the sum of error x (X - X_ref) over the neurons, for each row, read while the
        columns carry `errors`.

        With pairs the result is the sum of error x (X+ - X-), averaged over the pairs. It is free
        of noise.

        Parameters
        ----------
        layer : int
            Counted from 0.
        errors : array, neurons
            +-1 in the last layer, V in a hidden one.

        Returns
        -------
        array, rows without the bias
            In V times the unit of the errors. The lifted gates change the sums slightly (3 mV in
            the last layer).

        Raises
        ------
        ParameterError
            There is not one error for each neuron.
        """
        neurons = self.layers[layer].neurons
        if np.shape(errors) != (neurons,):
            raise ParameterError(
                f"layer {layer + 1} has {neurons} neurons, got errors of shape {np.shape(errors)}"
            )
        arrays = KernelArrays(self)
        volts, errors = self.layers[layer].back_voltage, np.asarray(errors, float)
        return kernel.read_back(arrays.layers[layer], arrays.states[layer], errors, volts, None)

    def faster(self, factor: float) -> Self:
        """Return a network whose membranes, edges and window are faster by a `factor`.

        All spikes are earlier by this factor, so decisions stay the same up to ties, and the rows
        deliver less energy by the same factor. On a chip the op-amps must be faster, too
        (docs/costs.md). Divide the margin of a rule by `factor`, too.
        """
        neuron, devices = self.parameters.neuron, self.devices
        parameters = dataclasses.replace(
            self.parameters,
            neuron=dataclasses.replace(
                neuron, membrane_capacitance=neuron.membrane_capacitance / factor
            ),
        )
        times = ("pulse", "period", "sampling_step", "rise", "window")
        design = dataclasses.replace(
            self.design,  # type: ignore[type-var]  # every design is a dataclass
            **{
                field.name: getattr(self.design, field.name) / factor
                for field in dataclasses.fields(self.design)  # type: ignore[arg-type]
                if field.name in times
            },
        )
        if devices:
            devices = tuple(
                own
                if own.neurons is None
                else dataclasses.replace(
                    own,
                    neurons=dataclasses.replace(
                        own.neurons, membrane_capacitance=own.neurons.membrane_capacitance / factor
                    ),
                )
                for own in devices
            )
        return dataclasses.replace(self, parameters=parameters, design=design, devices=devices)

    @property
    def wears(self) -> bool:
        """True if cells stick after a number of pulses."""
        law = self.parameters.memristor.aging
        return law is not None and law.endurance > 0

    def worn(self, pulses: tuple[np.ndarray, ...]) -> "Network":
        """Return this network after more `pulses` of each cell (rows x columns of each layer).
        Cells that have had their number of pulses stick; the numbers follow from the chip's seed.
        """
        wear = tuple(before + more.T for before, more in zip(self.wear, pulses, strict=True))
        return network_on_chip(dataclasses.replace(self, wear=wear), self.chip)

    @property
    def ages(self) -> tuple[np.ndarray, ...]:
        """Time in s since the last write of each cell, columns x rows of each layer, a reference
        column last. The duration of trainings does not count.
        """
        curve = self.parameters.memristor.curve
        if not self.past or curve is None:
            return tuple(np.zeros((layer.width, layer.rows)) for layer in self.layers)
        ages = []
        for (age, state), states in zip(self.past, self.states, strict=True):
            written = np.zeros(age.shape, bool)
            written[: len(states)] = np.abs(states - state[: len(states)]) > UNWRITTEN * curve.span
            ages.append(np.where(written, 0.0, age))
        return tuple(ages)

    def aged(self, seconds: float, follow: bool = False) -> "Network":
        """Return this network after some `seconds` without a write (docs/drift.md).

        Each cell drifts or relaxes as its device does, or loses charge on a chip with decay. Drift
        exponents follow from the seed of the chip. Stuck cells keep their states. Doses on late
        capacitors are lost, gate voltages stay.

        Parameters
        ----------
        seconds : float
        follow : bool
            The gain of all neurons follows one more column, which drifts and is never written: it
            is divided by the share of its conductance that this column keeps.

        Raises
        ------
        ParameterError
            The time is negative, or neither device nor chip has a law.
        """
        seconds = check_range("seconds", seconds, AGE.metadata)
        memristor, chip = self.parameters.memristor, self.chip
        law, curve = memristor.aging, memristor.curve
        if chip and chip.decay_rate:
            return dataclasses.replace(self, states=(chip.after_decay(self.states[0], seconds),))
        if law is None or curve is None or not (law.drifts or law.retention):
            raise ParameterError(
                "cells keep their states: the device has neither drift nor retention, which "
                "`memristive fit` finds in readings over time, and the chip no decay"
            )
        fresh = network_on_chip(dataclasses.replace(self, past=()), chip)
        states, past, seed = list(fresh.states), [], chip.seed if chip else 0
        for k, (layer, ages) in enumerate(zip(fresh.layers, self.ages, strict=True)):
            before = layer.with_reference(states[k])
            if self.past and layer.synapses.reference:
                before[-1] = self.past[k][1, -1]
            cells = Cells.of(memristor, layer.devices.cells)
            share, zero = (
                (volts - curve.low) / curve.span
                for volts in (before, cells.threshold_voltage + layer.row_voltage / 2)
            )
            exponents = law.exponents(before.shape, seed, k)
            after = curve.low + curve.span * law.aged(share, zero, exponents, ages, seconds)
            stuck = layer.write_gains == 0
            after[: layer.columns][stuck] = states[k][stuck]
            states[k] = after[: layer.columns]
            past.append(np.stack([ages + seconds, after]))
        kept = self.waiting if self.pulses and self.pulses.levels else ()
        aged = dataclasses.replace(self, states=tuple(states), past=tuple(past), waiting=kept)
        if follow and law.drifts and isinstance(self.design, LayerDesign):
            column = law.exponents((1, self.layers[0].rows), seed + 1, 0)
            oldest = float(max(ages.max() for ages in self.ages))
            young, old = (
                law.aged(1.0, 0.0, column, 0.0, age).mean() for age in (oldest, oldest + seconds)
            )
            gain = self.design.transresistance * young / old
            design = dataclasses.replace(self.design, transresistance=float(gain))
            aged = dataclasses.replace(aged, design=design)
        return network_on_chip(aged, chip)

    @property
    def start_time(self) -> float:
        """Time in s of an ideal step that has the same effect on membranes as the image's edge."""
        return start_delay(self.design.rise, self.parameters.neuron.time_constant)


def with_bias(images: np.ndarray, level: float = 1.0) -> np.ndarray:
    """Return `images` (n x inputs) with the bias row as last column, by default at full level."""
    return np.ascontiguousarray(np.hstack([images, np.full((len(images), 1), level)]), float)


def read_generator(seed: int, start: int = 0) -> np.random.Generator:
    """Return the generator of the read noise for `READ_BLOCK` images from image `start` on."""
    return np.random.default_rng([seed, 5, start])


def states_of_weights(
    weights: np.ndarray, design: Design, memristor: MemristorParameters
) -> np.ndarray:
    """Return the states in V (columns x rows) of synapses that have these `weights` in V (neurons x
    rows).

    A weight is X - X_ref, or with pairs X+ - X- of each pair. The range of a measured device limits
    the states.
    """
    states = design.reference_state + design.synapses.parts(weights)
    return np.clip(states, memristor.curve.low, memristor.curve.high) if memristor.curve else states


def thresholds_per_volt(parameters: NetworkParameters, design: LayerDesign) -> float:
    """Return the drive in thresholds that a synapse whose row is high adds per volt of its weight,
    X - X_ref.
    """
    return (
        design.synapses.cells
        * design.transresistance
        * parameters.memristor.gain
        * design.row_voltage
        / parameters.neuron.threshold
    )


class KernelArrays:
    """Arguments of the kernel's functions for a network: `layers`, `timing`, `ways`, `states`,
    `work` and `patches`. `quiet`: reads have no noise. Without `rails`, stages never clip.
    """

    def __init__(self, network: Network, rails: bool = True) -> None:
        if network.wired:
            raise ParameterError(NO_CLOSED_FORM)
        design, first, tau = (
            network.design,
            network.layers[0],
            network.parameters.neuron.time_constant,
        )
        self.layers = tuple(kernel_layer(layer, rails) for layer in network.layers)
        self.quiet = all(layer.noise == 0.0 for layer in self.layers)
        self.patches = network.patches
        self.timing = kernel_arrays.Timing(
            design.rise,
            design.window,
            tau,
            math.exp(network.start_time / tau),
            design.row_voltage,
            design.writing,
            design.column_voltage(True),
            design.column_voltage(False),
            *first.write_law(1.0),
            first.phi_share is not None,
        )
        self.ways = kernel_ways(network)
        self.states = tuple(
            np.array(layer.with_reference(states).T, float, order="C")
            for layer, states in zip(network.layers, network.states, strict=True)
        )
        each = (_work_of(layer, k > 0) for k, layer in enumerate(network.layers))
        self.work = kernel_arrays.Work(*zip(*each, strict=True))
        kernel.prepare(self.layers, self.timing, self.states, self.work, self.patches)

    def read(
        self, levels: np.ndarray, jitter: np.ndarray, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Return the first spikes in s for each layer (images x neurons) of images, whose rows are
        at `levels` (images x rows). `jitter`: as `Network.jitter` returns it. `rng`: of the read
        noise.
        """
        times = tuple(np.empty((len(levels), len(spikes))) for spikes in self.work.spikes)
        kernel.read_images(
            *(self.layers, self.timing, self.states, self.work, levels, self.patches, jitter),
            *(times, None if self.quiet else rng),
        )
        return list(times)

    def trained(self, network: Network, waiting: int = 0) -> Network:
        """Return `network` with the states and waiting doses that the kernel has written, the doses
        after the leak of `waiting` more presentations.
        """
        ways = self.ways
        if waiting:
            ways = copy.deepcopy(ways)
            forget(ways.late, ways.gate, waiting)
        states = tuple(
            states[:, : len(before)].T.copy()
            for states, before in zip(self.states, network.states, strict=True)
        )
        return dataclasses.replace(
            network,
            states=states,
            waiting=waiting_of(ways),
        )


def _work_of(layer: Layer, later: bool) -> tuple[np.ndarray, ...]:
    """Return the arrays of one layer in `kernel_arrays.Work`. `later`: it is not the first one."""
    neurons, rows, reads = layer.neurons, layer.rows, len(layer.kind.patches)
    spikes, drives, times = np.empty((3, layer.outputs))
    return (
        np.zeros(layer.width),
        np.zeros((2, neurons)),
        np.zeros((2, rows if later or reads else 0, neurons)),
        spikes,
        drives,
        np.zeros(((reads or 1) * (rows if later else 1), neurons + layer.stages)),
        np.zeros(layer.outputs if reads else 0, np.int64),
        np.zeros((3, neurons if reads and not later else 0)),
        times,
    )


def kernel_layer(layer: Layer, rails: bool = True) -> kernel_arrays.LayerArrays:
    """Return a layer as the kernel takes it. Without `rails`, stages never clip."""
    memristor, neuron, devices, neurons = (
        layer.memristor,
        layer.neuron,
        layer.devices,
        layer.circuits,
    )
    columns, rows = layer.width, layer.rows if devices.cells else 1
    cells = Cells.of(memristor, devices.cells)
    written = np.where(np.arange(columns) < layer.columns, 1.0, 0.0)[:, None]
    rate = cells.transconductance / cells.memory_capacitance * written
    of_cells = [
        *(cells.gain, cells.threshold_voltage, cells.share, cells.pinch),
        *(rate, cells.leak, cells.write_noise),
    ]
    bias = (layer.bias or 0.0) * neuron.threshold / neuron.transresistance
    of_neurons = [
        *(neurons if rails else neurons.without_rails()).stages,
        neurons.threshold,
        neurons.time_constant,
        bias,
    ]
    return kernel_arrays.LayerArrays(
        np.array([np.broadcast_to(value, (columns, rows)).T for value in of_cells], float),
        np.array([np.broadcast_to(value, layer.neurons) for value in of_neurons], float),
        memristor.gain,
        layer.write_rate,
        layer.synapses.pairs,
        layer.synapses.reference,
        memristor.curve.flow if memristor.curve else None,
        layer.read_noise,
    )


def network_on_chip(network: Network, chip: Chip | None) -> Network:
    """Return `network` with the devices of a chip, each layer with a seed of its own; None: all
    devices alike.

    Each layer has as many rows and columns as its states, whatever the chip's numbers are. Stuck
    cells get their fixed states. Raises ParameterError for deviations that layers with a reference
    or pairs cannot have.
    """
    paper = network.paper
    other = (
        [] if paper or chip is None else [name for name in chip.deviations if name in UNSUPPORTED]
    )
    if other:
        raise ParameterError(
            f"layers with a reference or pairs cannot have a chip's {' and '.join(other)}; set "
            f"{'it' if len(other) == 1 else 'them'} to 0"
        )
    if chip is None or (paper and chip.ideal):
        return dataclasses.replace(network, devices=_aged_devices(network, None), chip=None)
    devices, stuck = [], []
    for k, (states, layer) in enumerate(zip(network.states, network.layers, strict=True)):
        part = dataclasses.replace(
            chip,
            classes=layer.width,
            inputs=layer.rows,
            seed=(chip.seed + k * SEED_STEP) % 2**32,
        )
        own = NeuronValues(
            *(values[: layer.neurons] for values in vars(part.neurons(layer.neuron)).values())
        )
        devices.append(
            Devices(
                part.cells(layer.memristor), own, Wires(chip.row_resistance, chip.column_resistance)
            )
        )
        stuck.append(part.with_stuck_cells(layer.with_reference(states))[: layer.columns])
    return dataclasses.replace(
        network,
        states=tuple(stuck),
        devices=_aged_devices(network, tuple(devices)),
        chip=part if paper else chip,
    )


def _aged_devices(
    network: Network, devices: tuple[Devices, ...] | None
) -> tuple[Devices, ...] | None:
    """Return `devices` without write gain in worn cells, and with the conductances of aged
    reference cells, for which a lower state is a higher Vto.
    """
    aged, law = (
        network.past and network.design.synapses.reference,
        network.parameters.memristor.aging,
    )
    if not (aged or network.wears):
        return devices
    aged_devices, seed = [], network.chip.seed if network.chip else 0
    for k, layer in enumerate(network.layers):
        own = devices[k] if devices else IDEAL_DEVICES
        cells = own.cells or Chip(layer.width, layer.rows).cells(layer.memristor)
        threshold, gain = cells.threshold_voltage.copy(), cells.transconductance.copy()
        if aged:
            threshold[-1] += layer.rest - network.past[k][1, -1]
        if network.wears and law:
            wear = network.wear[k]
            gain[: layer.columns][wear >= law.limits(wear.shape, seed, k)] = 0.0
        cells = dataclasses.replace(cells, threshold_voltage=threshold, transconductance=gain)
        aged_devices.append(dataclasses.replace(own, cells=cells))
    return tuple(aged_devices)
