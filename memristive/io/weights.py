"""Weights of networks that were trained in software, as conductances of a circuit.

A ReLU network becomes a network of first spikes. The bias row gives each hidden neuron a drive of
one threshold, so the threshold is the zero of ReLU: with weights w / s and a bias b / s, a neuron
with the sum z settles at 1 + z / s thresholds. If z is positive it fires, and the larger z is, the
earlier. If z is negative it stays silent. A convolution keeps the earliest spike of each region,
which is the largest sum: max pooling. In an ideal circuit this much is exact, except for a small z
whose spike would come after the end of the read. Layers above add up steps that begin at the
spikes, not values, so they are an approximation. Its scales are chosen on training images, so that
the circuit decides as the software does.
"""

import dataclasses
import itertools
import json
import math
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from memristive.devices.measured_device import MeasuredDevice
from memristive.io.nir_graph import nir_weights
from memristive.learning.build import build
from memristive.learning.rule import LayeredRule
from memristive.learning.settings import CONVOLUTION_WINDOW
from memristive.network.chip import Chip
from memristive.network.convolution import Convolution
from memristive.network.design import LayerDesign
from memristive.network.inputs import as_images, as_labels
from memristive.network.kinds import DENSE, Kind
from memristive.network.networks import (
    Network,
    network_on_chip,
    states_of_weights,
    thresholds_per_volt,
)
from memristive.parameters import ParameterError

Weights = Sequence[tuple[np.ndarray, np.ndarray]]  # of each layer: outputs x inputs, outputs

TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}  # of .safetensors
JUDGED = 1000  # training images on which scales are compared
FILLED = 0.999  # quantile of the weights of a layer that fills the range of the cells
SWING = 4.0  # V by which X of an emulator leaves X_ref at most
# drives that the 90 % quantile of a layer's sums takes, in thresholds; output bias in thresholds;
# share of the software's output bias that is kept
HIDDEN_SCALES, OUTPUT_SCALES = (0.5, 1.0, 1.5, 2.0, 3.0), (0.5, 1.0, 2.0, 4.0)
OUTPUT_BIASES, KEPT = (1.1, 1.3, 1.6), (0.0, 0.5, 1.0)
# Doses and margin of a tuning over the same of a training from the start, and its presentations.
# Hidden cells hardly move and output cells much: chosen on held-out images of MNIST and digits, for
# emulators and epiram on chips with a spread of 5 %.
TUNED, REPAIR = {"hidden_dose": 1 / 16, "output_dose": 2.0, "margin": 0.5}, 3000
AGREEING = 0.9  # share of images decided alike, below which a warning is due


def load_weights(
    source: str | Path | Mapping[str, ArrayLike] | Sequence[tuple[ArrayLike, ArrayLike]],
    images: ArrayLike,
    device: str | Path | MeasuredDevice | None = None,
    pairs: int = 1,
    late: bool = False,
    chip: str | Chip | None = None,
    labels: ArrayLike | None = None,
    **learning: Any,
) -> tuple[Network, LayeredRule]:
    """Return a network with the weights of a ReLU network, and the rule that tunes it in situ.

    Parameters
    ----------
    source : path, mapping or sequence
        Weights and biases of the layers, from the first to the last: (outputs x inputs, outputs)
        pairs; a mapping such as PyTorch's state_dict with names that end in "weight" and "bias";
        or a .npz, .safetensors or NIR (.nir) file of them. A first layer of kernels x 1 x window x
        window is a convolution with max pooling over equal regions, followed by dense layers on its
        outputs in the order of PyTorch's flatten. Weights belong to images at levels from 0 to 1.
    images : array_like, n x inputs or n x height x width, levels 0 to 1
        Training images, on which the scales are chosen.
    device : str, path or MeasuredDevice, optional
        As in `build`; None: the paper's emulators and a reference column.
    pairs : int
        With a `device`: differential pairs of a synapse; 0: single cells.
    late : bool
        With a `device`: the tuning writes late.
    chip : str or Chip, optional
        Chip that carries the weights, as in `build`. Scales are chosen without its deviations.
    labels : array_like, n, optional
        Numbers of the classes of the images, or those that the software decides. They check, apart
        from the circuit, that the weights are read as the software means them.
    **learning
        Fields of the rule. The default is 3,000 presentations that hardly move hidden cells.

    Returns
    -------
    network : Network
    rule : LayeredRule

    Raises
    ------
    ParameterError
        The weights are no chain of layers with finite values, or do not fit the images.

    Warns
    -----
    UserWarning
        Weights beyond the range of the cells were clipped, the circuit decides more than a tenth of
        the images otherwise than the software, or the weights as they are read are nearer to chance
        than to the `labels`.
    """
    layers, window = weights_of(source)
    convolution = _convolution(layers, window, np.shape(images)) if window else None
    kind: Kind = convolution or DENSE
    inputs = kind.inputs_of(layers[0][0].shape[1])
    pixels = math.prod(np.shape(images)[1:])
    if inputs != pixels and pixels in (len(layers[0][1]), len(layers[-1][1])):
        raise ParameterError(
            f"images have {pixels} pixels, the first layer {inputs} inputs: transpose the weights?"
        )
    levels = as_images(images, inputs, empty=False)
    if len(layers) > 1:
        order = np.argsort(kind.by_neuron(len(layers[0][1])))
        layers[1] = layers[1][0][:, order], layers[1][1]
    sizes = [len(bias) for _, bias in layers]
    base, rule = build(
        levels,
        sizes[-1],
        sizes[:-1],
        device,
        pairs,
        late,
        convolution,
        chip,
        **{"presentations": REPAIR} | learning,
    )
    alike = dataclasses.replace(base, devices=None, chip=None)
    chosen = np.linspace(0, len(levels) - 1, min(JUDGED, len(levels))).astype(int)
    judged = levels[chosen]
    sums = software_sums(layers, judged, kind)
    wanted = sums[-1].argmax(axis=1)
    if labels is not None:
        right = np.mean(wanted == as_labels(labels, len(levels), sizes[-1])[chosen])
        if right < (1 + 1 / sizes[-1]) / 2:
            warnings.warn(
                f"in software these weights decide {right:.0%} of {len(judged)} training images as "
                "labelled: are layers, transposition and levels of the inputs those of the "
                "software?",
                stacklevel=2,
            )
    hidden = HIDDEN_SCALES if sizes[1:] else (1.0,)
    best, agreed, clipped = alike, -1.0, 0
    for scales in itertools.product(hidden, OUTPUT_SCALES, OUTPUT_BIASES, KEPT):
        network, beyond = _converted(alike, layers, sums, *scales)
        first = np.nan_to_num(network.first_spikes(judged), nan=np.inf)
        same = (first.argmin(axis=1) == wanted) & np.isfinite(first).any(axis=1)
        if same.mean() > agreed:
            best, agreed, clipped = network, float(same.mean()), beyond
    if clipped:
        cells = sum(weights.size for weights, _ in layers)
        warnings.warn(
            f"{clipped} of {cells} weights exceed the range of the cells and are clipped",
            stacklevel=2,
        )
    if agreed < AGREEING:
        warnings.warn(
            f"the circuit decides {1 - agreed:.0%} of {len(judged)} training images otherwise than "
            "the software: tune it in situ with learn(network, rule, images, labels)",
            stacklevel=2,
        )
    tuned = {
        name: factor * getattr(rule, name) for name, factor in TUNED.items() if name not in learning
    }
    assert isinstance(rule, LayeredRule)
    return network_on_chip(best, base.chip), dataclasses.replace(rule, **tuned)


def weights_of(source: Any) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
    """Return the (weights, bias) of each layer, outputs x inputs and outputs, and the pixels a side
    of the window if the first layer is a convolution, else 0. Raises ParameterError for other
    arrays.
    """
    name = "weights"
    in_order = False
    if isinstance(source, str | Path):
        name = str(source)
        in_order = Path(source).suffix == ".nir"  # a graph has the order of its edges
        source = _read(Path(source))
    if isinstance(source, Mapping):
        given = {key: np.shape(array) for key, array in source.items() if key.endswith("weight")}
        if not given:
            raise ParameterError(
                f"{name} has no array whose name ends in 'weight' (its bias: the same with "
                f"'bias'), it has {', '.join(source)}"
            )
        biases = {key: f"{key.removesuffix('weight')}bias" for key in given}
        left = [key for key in source if key not in {*given, *biases.values()}]
        if left:
            raise ParameterError(
                f"{name}: {', '.join(left)} belong to no layer: name a layer's arrays alike, with "
                "'weight' and 'bias' at the end, and leave other arrays out"
            )
        keys = list(given) if in_order else _order(given, name)
        pairs = [(source[key], source.get(biases[key], np.zeros(0))) for key in keys]
    else:
        pairs = list(source)
        odd = [pair for pair in pairs if not isinstance(pair, tuple | list) or len(pair) != 2]
        if odd:
            raise ParameterError(
                f"{name} must be a pair (weights, bias) for each layer, got {type(odd[0]).__name__}"
                ": without biases give (weights, [])"
            )
    if not pairs:
        raise ParameterError(f"{name} must be one layer or more, got none")
    layers: list[tuple[np.ndarray, np.ndarray]] = []
    window = 0
    for k, (given_weights, given_bias) in enumerate(pairs):
        weights, bias = np.asarray(given_weights, float), np.asarray(given_bias, float)
        shape = weights.shape
        if k == 0 and len(shape) == 4 and shape[1] == 1 and shape[2] == shape[3]:
            weights, window = weights.reshape(shape[0], -1), shape[2]
        if not bias.size:
            bias = np.zeros(shape[0])
        finite = np.isfinite(weights).all() and np.isfinite(bias).all()
        if weights.ndim != 2 or bias.shape != shape[:1] or not finite:
            raise ParameterError(
                f"{name}: layer {k + 1} must have finite weights of outputs x inputs (the first "
                f"also kernels x 1 x window x window) and a bias for each output, got {shape} and "
                f"{bias.shape}" + ": transpose the weights?" * (bias.shape == shape[1:])
            )
        pooled = k == 1 and window
        below = len(layers[-1][1]) if layers else shape[1]
        if layers and (shape[1] % below if pooled else shape[1] != below):
            raise ParameterError(
                f"{name}: layer {k + 1} takes {shape[1]} inputs, the layer below has {below} "
                "outputs; weights are outputs x inputs, so transpose those of scikit-learn"
            )
        layers.append((weights, bias))
    if window and len(layers) < 2:
        raise ParameterError(f"{name}: a convolution needs a dense layer above it")
    return layers, window


def _order(shapes: Mapping[str, tuple[int, ...]], name: str) -> list[str]:
    """Return the names of weights from the first layer to the last. In this order each layer takes
    the outputs of the layer below, and equal names have rising numbers.

    Formats sort arrays by name, so their order counts for nothing. Raises ParameterError if there
    are several orders. If there is none, return the order of `shapes`, whose check finds why.
    """

    def takes(above: tuple[int, ...], below: tuple[int, ...]) -> bool:
        if len(above) != 2 or len(below) < 2:
            return False
        return above[1] == below[0] if len(below) == 2 else above[1] % max(1, below[0]) == 0

    def chains(chain: list[str], numbers: bool) -> Iterator[list[str]]:
        left = [key for key in shapes if key not in chain]
        if not left:
            yield chain
        for key in left:
            word = re.sub(r"\d+", "#", key)
            alike = [one for one in left if re.sub(r"\d+", "#", one) == word]
            least = min(alike, key=lambda one: list(map(int, re.findall(r"\d+", one))))
            if (not numbers or key == least) and (
                not chain or takes(shapes[key], shapes[chain[-1]])
            ):
                yield from chains([*chain, key], numbers)

    for numbers in (True, False):
        orders = list(itertools.islice(chains([], numbers), 2))
        if len(orders) > 1:
            one, other = next(pair for pair in zip(*orders, strict=True) if pair[0] != pair[1])
            raise ParameterError(
                f"{name}: shapes and names leave open whether {one} or {other} comes first: number "
                "the names, or give a list of (weights, bias) in order"
            )
        if orders:
            return orders[0]
    return list(shapes)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a .npz or .safetensors file by name."""
    try:
        if path.suffix == ".nir":
            return nir_weights(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        arrays = {}
        for name, about in header.items():
            if name != "__metadata__":
                first, last = about["data_offsets"]
                values = np.frombuffer(
                    data[8 + size + first : 8 + size + last], TYPES[about["dtype"]]
                )
                arrays[name] = values.reshape(about["shape"])
        return arrays
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError),
        *(MemoryError, NotImplementedError, SyntaxError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise ParameterError(
            f"{path} is no .npz file of plain arrays and no .safetensors file of "
            f"{', '.join(TYPES)}: {error}"
        ) from error


def _convolution(layers: Weights, window: int, shape: tuple[int, ...]) -> Convolution:
    """Return the convolution of the first layer, for images of this `shape`."""
    side = math.isqrt(shape[-1])
    height, width = shape[1:] if len(shape) == 3 else (side, side)
    regions = math.isqrt(layers[1][0].shape[1] // len(layers[0][1]))
    convolution = Convolution(height, width, window, 1, max(1, regions))
    if regions**2 * len(layers[0][1]) != layers[1][0].shape[1] or any(
        places % regions for places in convolution.places
    ):
        raise ParameterError(
            f"the layer above the convolution must take kernels x regions x regions inputs, with "
            f"equal regions of the {convolution.places[0]} x {convolution.places[1]} places, got "
            f"{layers[1][0].shape[1]} inputs for {len(layers[0][1])} kernels"
        )
    return convolution


def software_sums(layers: Weights, images: np.ndarray, first: Kind = DENSE) -> list[np.ndarray]:
    """Return the sums before ReLU of each layer of the network in software, images x outputs.
    `first`: kind of the first layer.
    """
    values, sums = images, []
    for k, (weights, bias) in enumerate(layers):
        sums.append((DENSE if k else first).software_sums(values, weights, bias))
        values = np.maximum(sums[-1], 0.0)
    return sums


def _converted(
    base: Network,
    layers: Weights,
    sums: Sequence[np.ndarray],
    hidden: float,
    output: float,
    output_bias: float,
    kept: float,
) -> tuple[Network, int]:
    """Return the network with the weights of the software at these scales, and how many weights
    the range of the cells clips.
    """
    design, memristor = base.design, base.parameters.memristor
    assert isinstance(design, LayerDesign)
    drives, unit = [], 1.0  # of a full row, in thresholds; value of a row's unit
    for k, (weights, bias) in enumerate(layers):
        last = k == len(layers) - 1
        typical = float(np.quantile(np.abs(sums[k] / unit), 0.9)) or 1.0
        scale = (output if last else hidden) / typical / unit
        wanted = np.column_stack([unit * weights, (kept if last else 1.0) * bias]) * scale
        drives.append(wanted)
        unit = 1.0 / scale
    curve, rest = memristor.curve, design.reference_state
    swing = min(curve.high - rest, rest - curve.low) if curve else SWING
    span = swing * design.synapses.sides
    largest = [max(1e-12, float(np.quantile(np.abs(drive), FILLED))) for drive in drives]
    per_volt = thresholds_per_volt(base.parameters, design) / design.transresistance
    transresistance = max(largest[:-1] or largest) / span / per_volt
    gain = largest[-1] / max(largest[:-1] or largest)
    design = dataclasses.replace(
        design,
        hidden_bias=1.0,
        output_bias=output_bias,
        output_gain=gain,
        transresistance=transresistance,
        window=CONVOLUTION_WINDOW,
    )
    states, clipped = [], 0
    for k, drive in enumerate(drives):
        volts = drive / (per_volt * transresistance * (gain if k == len(drives) - 1 else 1.0))
        clipped += int(np.count_nonzero(np.abs(volts) > span * (1 + 1e-9)))
        states.append(states_of_weights(np.clip(volts, -span, span), design, memristor))
    return dataclasses.replace(base, states=tuple(states), design=design, waiting=()), clipped
