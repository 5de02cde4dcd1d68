"""Networks before their training, from recipes: random states, or the paper's layer."""

import dataclasses
import inspect
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from memristive.devices.measured_device import MeasuredDevice, emulator
from memristive.devices.neuron_model import EDGE, MeasuredNeuron
from memristive.learning.rule import ErrorDrivenRule, LayeredRule, Rule
from memristive.learning.settings import settings_of
from memristive.network.chip import OF_DEVICE, Chip, chosen_chip
from memristive.network.convolution import Convolution
from memristive.network.design import LayerDesign, Schedule, Setup
from memristive.network.inputs import MOST_NEURONS, as_images, layer_sizes
from memristive.network.kinds import DENSE, Kind
from memristive.network.networks import (
    Network,
    network_on_chip,
    states_of_weights,
    thresholds_per_volt,
    with_bias,
)
from memristive.network.recipe import AT_ONCE, LATE, Conv, Dense, Recipe
from memristive.parameters import (
    Fields,
    ParameterError,
    Values,
    as_whole,
    check_range,
    did_you_mean,
)
from memristive.scores.checks import USUAL, settled_membranes
from memristive.writing.ways import PulseWrites
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters

Convolutions = Convolution | Conv | Values | Sequence[Convolution | Conv | Values]
START_STATE = 4.5  # V, for grey images
# hidden layers of emulators from which a network starts in equal parts of the window; standard
# deviations over neurons of the membrane at the end of a part, in thresholds: hidden and output
DEEP_LAYERS, PARTS_SPREAD, LAST_SPREAD = 4, 0.75, 0.3
# on silicon 80 mV/us at 0.2 V
SMALL_CELL = MemristorParameters(
    transconductance=8e-8, capacitance=2e-13, width=1e-6, length=1e-6, kp=1e-7
)


def stuck_cells(device: MeasuredDevice, seed: int) -> Chip | None:
    """Return a chip whose only deviation is the share of stuck cells of a `device`, at states
    anywhere in its range; None if no cell is stuck.
    """
    emulated = emulator(device)
    return (
        Chip(
            stuck_anywhere=device.stuck,
            stuck_lowest=emulated.low,
            stuck_state=emulated.high,
            seed=seed,
        )
        if device.stuck
        else None
    )


@overload
def build(images: Recipe, classes: ArrayLike, hidden: ArrayLike | int) -> tuple[Network, Rule]: ...


@overload
def build(
    images: ArrayLike,
    classes: int,
    hidden: int | Sequence[int] | None = None,
    device: str | Path | MeasuredDevice | None = None,
    pairs: int = 1,
    late: bool = False,
    convolution: Convolutions | None = None,
    chip: str | Chip | None = None,
    epochs: int | None = None,
    **learning: object,
) -> tuple[Network, Rule]: ...


def build(
    images: Any,
    classes: Any,
    hidden: Any = None,
    device: str | Path | MeasuredDevice | None = None,
    pairs: int = 1,
    late: bool = False,
    convolution: Convolutions | None = None,
    chip: str | Chip | None = None,
    epochs: int | None = None,
    **learning: object,
) -> tuple[Network, Rule]:
    """Return an untrained network for images, and the rule that suits it.

    ``build(recipe, images, labels)`` makes the network of a `Recipe`. The number of classes may
    stand in the place of the labels. ``build(images, classes, ...)`` is a short form, whose options
    become a recipe.

    Parameters
    ----------
    images : array_like, n x inputs or n x height x width, levels 0 to 1
        Training images, from which the settings follow.
    classes : int
        Two or more.
    hidden : int or sequence of int, optional
        Neurons of each hidden layer. None without a `device`: the paper's layer. With a
        `convolution`: kernels of each, then the neurons of further hidden layers; None: as many
        kernels as `Conv` chooses.
    device : str, path or MeasuredDevice, optional
        Device in every cell: a preset, a device file, or a device. None: the paper's emulator.
    pairs : int
        With a `device`: differential pairs of a synapse; 0: single cells, and a reference column.
    late : bool
        With a `device`: each synapse adds up doses on a capacitor until whole pulses are due.
    convolution : Convolution, Conv or dict of its fields, or a sequence of them; optional
        The first layer reads the image window by window, each further one the layer below. Fields
        that a dict lacks follow from the images (`Conv`).
    chip : str or Chip, optional
        Deviations of the cells and neurons: a preset, a chip file, or a chip. "device": each cell
        is drawn from the spreads of the device, and wires have resistance if the chip gives one.
        None: all are alike.
    epochs : int, optional
        Presentations of each image, in the place of the rule's `presentations`.
    **learning
        Fields of the rule, such as presentations and seed.

    Raises
    ------
    ParameterError
        The images are not levels from 0 to 1, or are all 0, a number or an option is wrong, the
        device is unknown, or the network cannot have the chip's deviations.
    """
    if isinstance(images, Recipe):
        return built(images, classes, hidden)
    if late and device is None:
        raise ParameterError("late is for measured devices: give a device")
    if epochs is not None and "presentations" in learning:
        raise ParameterError("give epochs or presentations, not both")
    rules = ErrorDrivenRule.__dataclass_fields__ | LayeredRule.__dataclass_fields__
    for name in learning.keys() - rules:
        near = did_you_mean(name, [*inspect.signature(build).parameters, *rules])
        raise ParameterError(f"{name} is no option of build{near}")
    if epochs is not None:
        learning["presentations"] = as_whole("epochs", epochs, 1, 10**6) * len(images)
    rule: Fields = dict(learning)
    pairs = check_range("pairs", pairs, Recipe.__dataclass_fields__["pairs"].metadata)
    recipe = Recipe(
        layers_of(hidden, convolution, device),
        device,
        LATE if late else AT_ONCE,
        pairs if device is not None else None,
        chip,
        rule.pop("seed", 1),
        {f"rule.{name}": value for name, value in rule.items()},
    )
    return built(recipe, images, classes)


def layers_of(
    hidden: int | Sequence[int] | None,
    convolution: Convolutions | None = None,
    device: object = None,
) -> tuple[Conv | Dense, ...] | None:
    """Return the layers of a recipe from the options of `build`."""
    sizes = layer_sizes(hidden)
    if convolution is not None:
        several = convolution if isinstance(convolution, list | tuple) else [convolution]
        kernels = [*sizes, *[None] * len(several)]
        return (*map(Conv.of, several, kernels), *map(Dense, sizes[len(several) :]))
    return None if hidden is None and device is None else tuple(map(Dense, sizes))


def built(recipe: Recipe, given: ArrayLike, labels: ArrayLike | int) -> tuple[Network, Rule]:
    """Return the untrained network of a `recipe` for images, and its rule. `given` are the images
    and `labels` their labels or the number of classes, as in `build`.
    """
    images = as_images(given, empty=False)
    if not images.any():
        raise ParameterError("images must have levels above 0, got 0 for all: no row has a voltage")
    classes = (
        as_whole("classes", labels, 2, MOST_NEURONS)
        if np.ndim(labels) == 0
        else len(np.unique(labels))
    )
    shape = (classes, images.shape[1])
    device = recipe.device and recipe.applied("device", recipe.device)
    chip = chosen_chip(recipe.chip, device, shape, recipe.seed, recipe.neuron)
    if recipe.of_group("chip"):
        chip = recipe.applied("chip", chip or Chip(*shape, seed=recipe.seed))
    if chip is None and device and device.stuck:
        chip = stuck_cells(device, recipe.seed)
    if recipe.layers is None:
        setup = neuron_setup(images, recipe.neuron) if recipe.neuron else paper_setup(images)
        setup = setup.replace(
            memristor=recipe.applied("memristor", setup.memristor),
            neuron=recipe.applied("neuron", setup.neuron),
            schedule=recipe.applied("design", setup.schedule),
        )
        paper = ErrorDrivenRule(**grey_settings(images), seed=recipe.seed)
        rule: Rule = (paper := recipe.applied("rule", paper))
        network = paper_network(setup, paper, *shape)
    else:
        settings = settings_of(recipe, device, np.shape(given), images)
        rule = settings.rule
        network = initial_network(
            settings.hidden,
            classes,
            images,
            rule,
            settings.design,
            settings.parameters,
            settings.pulses,
            settings.kinds,
        )
    if isinstance(recipe.chip, str) and recipe.chip != OF_DEVICE:
        recipe = recipe.replace(chip=chip)  # the file may change
    return dataclasses.replace(network_on_chip(network, chip), recipe=recipe), rule


def grey_settings(images: np.ndarray) -> Fields:
    """Return a dict of the fields of an `ErrorDrivenRule` that suit grey `images` (n x inputs)."""
    return {"presentations": min(60_000, 40 * len(images)), "start_state": START_STATE, "dose": 0.1}


def paper_setup(images: np.ndarray) -> Setup:
    """Return the setup of the paper's layer for grey `images` (n x inputs, levels 0 to 1).

    The feedback resistor lets the membranes of an untrained network settle at 1.7 thresholds, as in
    the paper's networks (mean over the first 1,000 images). Pulses last 2 ms.
    """
    images = as_images(images)
    setup = Setup(schedule=Schedule(pulse=2e-3, period=6e-3, sampling_step=11e-6))
    settled = settled_membranes(
        setup, np.full((1, images.shape[1]), START_STATE), images[:1000]
    ).mean()
    feedback = USUAL * setup.neuron.threshold / float(settled) * setup.neuron.feedback_resistance
    return setup.replace(neuron=NeuronParameters(feedback_resistance=feedback))


def neuron_setup(images: np.ndarray, neuron: MeasuredNeuron) -> Setup:
    """Return the setup of the paper's layer for grey `images` (n x inputs, levels 0 to 1) with a
    measured `neuron`.

    Its cells are small, so that their gates bring the columns little charge. Their Kp replaces the
    feedback resistor of `paper_setup`: currents of an untrained network are 1.7 times I_th.
    """
    schedule = Schedule(
        pulse=neuron.window,
        period=3 * neuron.window,
        rise=EDGE,
        input_voltage=neuron.row_voltage,
        sampling_step=neuron.window / 100,
    )
    setup = Setup(SMALL_CELL, neuron.parameters(), schedule)
    settled = settled_membranes(
        setup, np.full((1, images.shape[1]), START_STATE), images[:1000]
    ).mean()
    kp = USUAL / float(settled) * SMALL_CELL.kp
    return setup.replace(memristor=dataclasses.replace(SMALL_CELL, kp=kp))


def paper_network(setup: Setup, rule: ErrorDrivenRule, classes: int, inputs: int) -> Network:
    """Return the paper's layer of a `setup` with all cells at the rule's start state."""
    return Network.of(setup, np.full((classes, inputs), rule.start_state))


def committed(network: Network, rng: np.random.Generator) -> Network:
    """Return a network whose 1T1R cells have been written once, at the gate voltages that belong to
    its states. The scatter of these writes is drawn from `rng`. A network without gates is returned
    unchanged.
    """
    states, waiting = network.way.started(network.states, network.parameters.memristor.curve, rng)
    return dataclasses.replace(network, states=states, waiting=waiting)


def initial_network(
    hidden: tuple[int, ...],
    classes: int,
    images: np.ndarray,
    rule: LayeredRule,
    design: LayerDesign | None = None,
    parameters: NetworkParameters | None = None,
    pulses: PulseWrites | None = None,
    kinds: tuple[Kind, ...] = (),
) -> Network:
    """Return an untrained network with random states.

    The two cells of a differential pair start equally far above and below `design.reference_state`.

    Parameters
    ----------
    hidden : tuple of int
        Neurons of each hidden layer; kernels of a convolution.
    classes : int
    images : array, n x inputs, levels 0 to 1
        Images over which the membranes of the first layer settle with the mean and the spread that
        the rule gives. A convolution settles over their patches.
    rule : LayeredRule
        Distribution of the start and its seed.
    design : LayerDesign, optional
    parameters : NetworkParameters, optional
    pulses : PulseWrites, optional
    kinds : tuple of Kind
        Of each layer; dense layers may be left out at the end.

    Raises
    ------
    ParameterError
        The images are not levels from 0 to 1, or have another size than the convolution reads.
    """
    images, first = as_images(images), kinds[0] if kinds else DENSE
    if first.inputs_of(images.shape[1]) != images.shape[1]:
        raise ParameterError(
            f"the first layer reads {first.inputs_of(0)} pixels, the images have {images.shape[1]}"
        )
    design, parameters = design or LayerDesign(), parameters or NetworkParameters()
    rng = np.random.default_rng([rule.seed, 1])
    seen = images[: first.start_images]
    levels = first.windows(with_bias(design.read_levels(seen)))
    levels = levels.reshape(-1, levels.shape[-1])
    per_volt = thresholds_per_volt(parameters, design)
    sizes, alike = (*hidden, classes), not any(len(kind.patches) for kind in kinds)

    def driven(rows: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return random states of a layer whose settled membranes have the mean and the spread of
        the rule for `rows` (n x rows, bias included).
        """
        mean, power = rows.sum(axis=1).mean(), (rows**2).sum(axis=1).mean()
        weights = rng.normal(
            rule.start_drive / mean / per_volt,
            rule.start_drive_spread / math.sqrt(power) / per_volt,
            shape,
        )
        if hidden and alike and not rule.start_drive:  # else some neurons fire for all images
            common = rows.mean(axis=0)
            weights -= np.outer(weights @ common, common) / (common @ common)
        return states_of_weights(weights, design, parameters.memristor)

    states = [driven(levels, (sizes[0], levels.shape[1]))]
    of_layers = [*kinds, *[DENSE] * (len(sizes) - len(kinds))]
    below = of_layers[0].outputs_of(sizes[0])
    for neurons, kind in zip(sizes[1:], of_layers[1:], strict=True):
        shape = neurons, kind.rows_on(below) + 1
        weights = rng.normal(rule.start_weight, rule.start_weight_spread, shape)
        states.append(states_of_weights(weights, design, parameters.memristor))
        below = kind.outputs_of(neurons)
    network = Network(tuple(states), parameters, design, pulses=pulses, kinds=kinds)
    if in_parts := len(hidden) >= DEEP_LAYERS and not pulses and alike:
        network = start_in_parts(network, seen, rule.seed)
    for k in range(1, len(hidden)):  # neurons that fire drive later hidden layers as images do
        if len(of_layers[k].patches) or (rule.start_drive and alike and not in_parts):
            fires = of_layers[k].windows(with_bias(~np.isnan(network.forward(seen)[k - 1])))
            fires = fires.reshape(-1, fires.shape[-1])
            states[k] = driven(fires, (network.layers[k].neurons, network.layers[k].rows))
            network = dataclasses.replace(network, states=tuple(states))
    return committed(network, rng)


def start_in_parts(network: Network, levels: np.ndarray, seed: int) -> Network:
    """Return a network whose layers fire one after the other, in equal parts of the window. The
    mean membrane of layer k reaches the threshold at the end of the k-th part. A last part is left
    for later output neurons.

    `levels` are the training samples (samples x rows, without the bias). The states of `network`
    are replaced.
    """
    design = network.design
    assert isinstance(design, LayerDesign)
    rng, states = np.random.default_rng([seed, 7]), list(network.states)
    tau = network.parameters.neuron.time_constant
    per_volt = thresholds_per_volt(network.parameters, design)
    for k in range(len(states)):
        end = (k + 1) / (len(states) + 1) * design.window
        network = dataclasses.replace(network, states=tuple(states))
        start = network.start_time
        heights = np.ones((len(levels), states[k].shape[1])) if k else with_bias(levels)
        rises = (
            with_bias(network.forward(levels)[k - 1], start) if k else np.full_like(heights, start)
        )
        # what a weight of one threshold adds to the membrane until the end of the part
        reached = heights * np.where(rises < end, -np.expm1((rises - end) / tau), 0.0)
        spread = LAST_SPREAD if k == len(states) - 1 else PARTS_SPREAD
        weights = rng.normal(
            1 / reached.sum(axis=1).mean(),
            spread / math.sqrt((reached**2).sum(axis=1).mean()),
            (network.layers[k].neurons, states[k].shape[1]),
        )
        states[k] = states_of_weights(weights / per_volt, design, network.parameters.memristor)
    return dataclasses.replace(network, states=tuple(states))
