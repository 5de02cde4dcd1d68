"""Recipes: all that makes a network, apart from the images that it learns.

A recipe is data. `memristive.build` makes the network from a recipe and images, and chooses each
setting that the recipe leaves open. So the same recipe and the same images give the same network,
in a script, an estimator or a command.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from memristive.devices.measured_device import MeasuredDevice, load_device
from memristive.devices.neuron_model import MeasuredNeuron, load_neuron
from memristive.network.chip import OF_DEVICE, Chip, device_chip
from memristive.network.convolution import Convolution
from memristive.network.inputs import MOST_NEURONS
from memristive.parameters import (
    Fields,
    ParameterError,
    Parameters,
    Values,
    as_whole,
    check_kind,
    did_you_mean,
    quantity,
)
from memristive.writing.late import check_late

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

AT_ONCE, LATE = WRITES = "at once", "late"
# what `Recipe.changes` may name: "rule.margin"
GROUPS = ("device", "memristor", "neuron", "design", "rule", "pulses", "chip")


P = TypeVar("P", bound="DataclassInstance")


@dataclass(frozen=True)
class Dense(Parameters):
    """Hidden layer in which each neuron has a synapse from each neuron, or pixel, below."""

    neurons: int = quantity(100, 1, MOST_NEURONS, "", "of the layer")


@dataclass(frozen=True)
class Conv(Parameters):
    """Layer that reads an image, or the convolution below, window by window (docs/convolution.md).
    What is None follows from the images.

    Parameters
    ----------
    kernels : int, optional
        Columns of the crossbar. None: one and a half times the pixels of a window; above another
        convolution twice as many as there.
    window : int, optional
        Pixels a side of the window. None: 3, from images of 12 pixels on 5, from 20 on 7.
    regions : int, optional
        Regions a side, each with the first spike of a kernel. None: two, from 20 pixels on three;
        below another convolution as many as patches, from 20 pixels on half as many.
    stride : int
        Pixels from one patch to the next.
    height, width : int, optional
        Pixels of an image. None: as in the images.
    overlap : int
        Patches by which each region reaches into its neighbours.
    """

    kernels: int | None = None
    window: int | None = None
    regions: int | None = None
    stride: int = 1
    height: int | None = None
    width: int | None = None
    bias_level: float = Convolution.bias_level
    overlap: int = Convolution.overlap

    newer: ClassVar = ("overlap",)

    def check(self) -> None:
        """Raise ParameterError for a field that is no whole number above 0."""
        for name, value in vars(self).items():
            if name != "bias_level" and value is not None:
                least = int(name != "overlap")
                checked = as_whole(f"convolution's {name}", value, least, MOST_NEURONS)
                object.__setattr__(self, name, checked)

    @classmethod
    def of(cls, given: "Conv | Convolution | Values", kernels: int | None = None) -> "Conv":
        """Return the layer of a convolution, or of its fields in a dict, with its `kernels`."""
        if isinstance(given, Conv):
            return dataclasses.replace(given, kernels=kernels or given.kernels)
        fields = [field.name for field in dataclasses.fields(cls)]
        if isinstance(given, Convolution):
            given = {name: getattr(given, name) for name in fields[1:]}
        if not isinstance(given, Mapping):
            raise ParameterError(
                f"convolution must be a Convolution or a dict of its fields, got {given!r}"
            )
        for name in given.keys() - fields:
            raise ParameterError(
                f"{name} is no field of a convolution, which has {', '.join(fields)}"
                f"{did_you_mean(str(name), fields)}"
            )
        return cls(**{"kernels": kernels} | dict(given))

    def on(
        self, shape: tuple[int, ...], channels: int = 0, below: bool = False
    ) -> tuple[Convolution, int]:
        """Return the convolution of images of this `shape` (n x height x width, or n x inputs if
        they are squares) and its number of kernels. `channels`: kernels of the convolution below
        this one. `below`: it is below another one.
        """
        side = math.isqrt(math.prod(shape[1:]))
        known = shape[1:] if len(shape) == 3 else (side, side)
        height, width = self.height or known[0], self.width or known[1]
        if len(shape) != 3 and not (self.height and self.width) and side**2 != shape[-1]:
            raise ParameterError(
                f"convolution needs height and width for images of {shape[-1]} pixels: give "
                "dict(height=..., width=...), or images of n x height x width"
            )
        small = min(height, width)
        window = self.window or min(small, 3 if small < 12 else 5 if small < 20 else 7)
        places = (small - window) // self.stride + 1
        most = places // (1 + (small >= 20)) if below else 2 if small < 20 else 3
        regions = self.regions or max(1, min(places, most))
        sizes = height, width, window, self.stride, regions
        kernels = self.kernels or 2 * channels or round(1.5 * window**2)
        return Convolution(*sizes, self.bias_level, channels or 1, self.overlap), kernels


@dataclass(frozen=True, init=False)
class Recipe(Parameters):
    """All that makes a network, apart from its images.

    Parameters
    ----------
    layers : sequence of Conv and Dense, or numbers of neurons
        Hidden layers, from the image to the output. The output layer, a neuron for each class, is
        not listed. (): a single layer. None: the paper's layer, without reference and bias.
    device : MeasuredDevice, or the name of a preset or file; optional
        Device in every cell. None: the paper's emulator.
    write : {"at once", "late"}
        Way of writing a device. "at once": fractions of a pulse are rounded at random. "late": each
        synapse adds up doses on a capacitor until whole pulses are due (docs/writes_late.md).
    pairs : int, optional
        Differential pairs of a synapse; 0: single cells and a reference column. None: 1 with a
        device, 0 with emulators.
    chip : Chip, name of a preset or file, or "device"; optional
        Deviations of cells and neurons. "device": each cell is drawn from the spreads of the
        device, or each neuron from the spreads of the `neuron`, with the `seed`. None: all are
        alike.
    seed : int
        Of the start, of the order of images and of the chip "device".
    neuron : MeasuredNeuron, or a file of `memristive measure`; optional
        Neuron of one's own, for the paper's layer. None: the paper's neuron.
    changes : mapping
        Values in place of those that `build` chooses, by names such as "rule.presentations",
        "neuron.threshold", "design.window", "device.write_noise", "pulses.late_forget".

    Raises
    ------
    ParameterError
        The network cannot be built; the message names the field.
    """

    layers: tuple[Conv | Dense, ...] | None = ()
    device: MeasuredDevice | None = None
    write: Literal["at once", "late"] = "at once"
    pairs: int = quantity(1, 0, 64, "", "differential pairs of a synapse; 0: single cells")
    chip: Chip | str | None = None
    seed: int = quantity(1, 0, 2**32 - 1, "", "of the start and of the order of images")
    neuron: MeasuredNeuron | None = None
    changes: Fields = dataclasses.field(default_factory=dict)

    newer: ClassVar = ("changes", "neuron")

    def __init__(
        self,
        layers: int | Conv | Dense | Sequence[int | Conv | Dense] | None = (),
        device: str | Path | MeasuredDevice | None = None,
        write: str = AT_ONCE,
        pairs: int | None = None,
        chip: str | Chip | None = None,
        seed: int = 1,
        changes: Values | None = None,
        neuron: str | Path | MeasuredNeuron | None = None,
    ) -> None:
        values = {
            "layers": _layers(layers),
            "device": load_device(str(device)) if isinstance(device, str | Path) else device,
            "write": write,
            "pairs": int(device is not None) if pairs is None else pairs,
            "chip": chip,
            "seed": seed,
            "neuron": load_neuron(neuron) if isinstance(neuron, str | Path) else neuron,
            "changes": dict(changes or {}),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    def check(self) -> None:
        """Raise ParameterError, which names the field, if no network can be built."""
        layers, device = self.layers, self.device
        if device is not None:
            check_kind("device", device, MeasuredDevice)
        if layers is None and device:
            raise ParameterError(
                "layers: None is the paper's layer of emulators, for a device give layers=()"
            )
        if self.neuron and layers is not None:
            raise ParameterError(
                "neuron: a neuron of one's own is for the paper's layer: give layers=None"
            )
        for k, (below, layer) in enumerate(itertools.pairwise(layers or ()), 2):
            if isinstance(layer, Conv) and isinstance(below, Dense):
                raise ParameterError(
                    f"layers: convolutions must come before dense layers, got one as layer {k}"
                )
        if self.write not in WRITES:
            raise ParameterError(f"write must be one of {', '.join(WRITES)}, got {self.write!r}")
        of_devices = [f"write: {self.write}"] * (self.write != AT_ONCE)
        of_devices += [
            f"changes: {name}" for name in self.changes if name.startswith(("device.", "pulses."))
        ]
        if of_devices and device is None:
            raise ParameterError(f"{of_devices[0]} is for measured devices: give a device")
        if self.write == LATE and device:
            check_late(device)
        if not isinstance(self.chip, str | Chip | None):
            raise ParameterError(
                f"chip must be a Chip, or the name of a preset or file, got {self.chip!r}"
            )
        groups = [name for name in self.changes if name.partition(".")[0] not in GROUPS]
        if groups:
            raise ParameterError(
                f"changes: {groups[0]} must begin with one of {', '.join(GROUPS)} and a point"
                f"{did_you_mean(groups[0], GROUPS)}"
            )

    @property
    def convolutions(self) -> tuple[Conv, ...]:
        """First layers, as far as they are convolutions."""
        return tuple(layer for layer in self.layers or () if isinstance(layer, Conv))

    def replace(self, **changes: Any) -> "Recipe":
        """Return this recipe with other values of some fields."""
        return dataclasses.replace(self, **changes)

    def changed(self, changes: Values) -> "Recipe":
        """Return this recipe with further `changes`."""
        return self.replace(changes=self.changes | dict(changes))

    def spread(self) -> "Recipe":
        """Return this recipe on the chip of the device's own spreads, if it has no chip and the
        device states spreads.
        """
        device = self.device and self.applied("device", self.device)
        own = self.chip is None and device and device_chip(device)
        return self.replace(chip=OF_DEVICE) if own else self

    def of_group(self, group: str) -> Fields:
        """Return the changes of a group by field."""
        start = f"{group}."
        return {
            name.removeprefix(start): value
            for name, value in self.changes.items()
            if name.startswith(start)
        }

    def applied(self, group: str, chosen: P) -> P:
        """Return the parameters `chosen` for a group with the recipe's changes. Raises
        ParameterError for a field that they do not have.
        """
        changes, fields = self.of_group(group), [one.name for one in dataclasses.fields(chosen)]
        for name in changes.keys() - fields:
            raise ParameterError(
                f"{group}.{name} is no setting of this network, which has {', '.join(fields)}"
                f"{did_you_mean(name, fields)}"
            )
        return dataclasses.replace(chosen, **changes)

    def as_dict(self) -> Fields:
        """Return the recipe for JSON files."""
        content = super().as_dict() | {"device": self.device and self.device.as_dict()}
        own = content.pop("neuron")
        return content | ({"neuron": own} if own else {})


def _layers(given: Any) -> Any:
    """Return layers as a tuple of `Conv` and `Dense`; a number stands for a dense layer."""
    if given is None:
        return None
    several = isinstance(given, Iterable) and not isinstance(given, str)
    return tuple(
        layer if isinstance(layer, Conv | Dense) else Dense(layer)
        for layer in (given if several else [given])
    )
