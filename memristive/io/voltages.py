"""Voltages files: trained states and networks as JSON, with all parameters of their training. The
paper's own files, a flat layout of states alone, are read, too.

Loading returns states that fit the network, or raises VoltagesError, which names the file, the
value found and the value expected.
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np

from memristive.files import FileProblem, States, read_json, restored
from memristive.io.records import (
    as_read,
    describe,
    report,
    versions,
    write_json,
)
from memristive.network.design import (
    LayerDesign,
    Schedule,
    Setup,
)
from memristive.network.two_terminal import DeviceArray
from memristive.parameters import Fields, ParameterError, Parameters, Values
from snn_circuit import NetworkParameters

if TYPE_CHECKING:
    from memristive.network.chip import Chip
    from memristive.network.convolution import Convolution
    from memristive.network.recipe import Recipe
    from memristive.writing.ways import PulseWrites
else:  # the paper's files have none of them, and `_classes` loads them for other files
    Chip = Convolution = Recipe = PulseWrites = dict

FORMAT, VERSION = "in-situ memristive voltages", 1
CLASSIFIER = "in-situ memristive classifier"  # format of the files of `MemristiveClassifier.save`
PAPER_NODE = re.compile(r"^xsnn\.xmemristor_p(\d{1,9})_(\d{1,9})\.cmem$")
# entries that `voltages_of` restores last
LATER = ("chip", "convolution", "pulses", "recipe", "learning")
UNNAMED = "own"  # dataset of a network that was saved without the name of its data


class VoltagesError(RuntimeError):
    """A voltages file cannot be used."""


@dataclass(frozen=True)
class StoredArray(Parameters):
    """Two-terminal devices in a voltages file: what `DeviceArray` needs."""

    device: Fields
    scheme: str
    pulses: float


@dataclass(frozen=True)
class Voltages(Parameters):
    """Trained states and how they were made: the format of voltages files.

    Parameters
    ----------
    states : array, classes x inputs, V, or a tuple of such arrays for several layers
    origin : dict
        All other entries of the file, as JSON.
    file : str
        Path of the file, for errors.
    dataset : str
        Name of the dataset; "own" if the file names none.
    shape : tuple of int
        Rows and columns of an image; from `shape_of` if the file does not record them.
    encoding : str
        Encoding of the images, "binary" or "grey".
    rule : str
        Name of the learning rule; the paper's files are Hebbian.
    engine : str
        Engine that trained the states, "ngspice" or "closed-form".
    learning : ErrorDrivenRule, LayeredRule or dict, optional
        Parameters of the learning rule.
    network, schedule, design, pulses, convolution, array : optional
        Parameters of the network; None if the file does not hold them.
    chip : Chip, optional
        Chip that the states were trained on; None: an ideal one.
    scale : tuple of float, optional
        Values that are the levels 0 and 1 of the training images; None: the file does not record
        them, because they came as levels or it is an old file.
    recipe, past, wear : Recipe and tuples of arrays
        As in `Network`.
    labels, patterns : tuples of str and of arrays (inputs)
        Names and levels of a user's own patterns, one for each class; () for other datasets.
    """

    states: Any
    origin: Fields = field(default_factory=dict)
    file: str = "the voltages file"
    dataset: str = UNNAMED
    shape: tuple[int, int] = (0, 0)
    encoding: Literal["binary", "grey"] = "binary"
    rule: str = "hebbian"
    engine: Literal["ngspice", "closed-form"] = "ngspice"
    learning: Any = None
    network: NetworkParameters | None = None
    schedule: Schedule | None = None
    design: LayerDesign | None = None
    pulses: PulseWrites | None = None
    convolution: Convolution | tuple[Convolution, ...] | None = None
    array: StoredArray | None = None
    chip: Chip | None = None
    recipe: Recipe | None = None
    scale: tuple[float, float] | None = None
    past: tuple[Annotated[np.ndarray, 3, 1e12], ...] = ()
    wear: tuple[Annotated[np.ndarray, 2, 1e18], ...] = ()
    labels: tuple[str, ...] = ()
    patterns: tuple[Annotated[np.ndarray, 1, 1.0], ...] = ()

    # every entry may be missing; a network without parameters needs a `setup`
    newer: ClassVar = (
        *("dataset", "shape", "encoding", "rule", "engine", "learning", "network", "schedule"),
        *("design", "pulses", "convolution", "array", "chip", "recipe", "scale", "past", "wear"),
        *("labels", "patterns"),
    )

    def check(self) -> None:
        pixels = {len(pattern) for pattern in self.patterns} | {math.prod(self.shape)}
        if self.patterns and (len(self.labels) != len(self.patterns) or len(pixels) > 1):
            raise ParameterError(
                f"patterns must be one for each of {len(self.labels)} labels, of shape "
                f"{self.shape}, got {len(self.patterns)} of {min(pixels)} to {max(pixels)} pixels"
            )

    @property
    def kinds(self) -> tuple[Convolution, ...]:
        """Convolutions, from the first layer on."""
        given = self.convolution
        return given if isinstance(given, tuple) else (given,) if given else ()

    def setup(self, default: Setup | None = None) -> Setup:
        """Return device, neuron, pulses and chip of the training; for a file without them, the
        setup `default`.

        Raises VoltagesError if the file has no setup and `default` is None, or if its parameters
        cannot be used. A wrong guess would go unnoticed, because spikes of a wrong circuit look
        just as plausible.
        """
        # layers have pulses of their own
        wanted = ("network",) if isinstance(self.states, tuple) else ("network", "schedule")
        missing = [name for name in wanted if getattr(self, name) is None]
        if missing and default is None:
            raise VoltagesError(
                f"{self.file} does not hold {' and '.join(missing)} of the training: give "
                "the setup, as setup(Setup(...)), or save it with save_voltages(..., setup=...)"
            )
        default = default or Setup()
        network = self.network or default.parameters
        try:
            nominal = Setup(network.memristor, network.neuron, self.schedule or default.schedule)
            if self.array:
                from memristive.devices.measured_device import device_of_record, model_of

                device = device_of_record(self.array.device)
                return nominal.replace(
                    array=DeviceArray(
                        model_of(device), device, self.array.scheme, self.array.pulses
                    )
                )
        except ParameterError as error:
            raise VoltagesError(f"{self.file}: {error}") from error
        return (
            nominal.replace(devices=self.chip.devices(nominal.parameters)) if self.chip else nominal
        )


def save_voltages(
    path: str | Path,
    states: np.ndarray | Sequence[np.ndarray],
    setup: Setup | None = None,
    *,
    ngspice: bool = True,
    overwrite: bool = False,
    **origin: object,
) -> None:
    """Write trained states and print the path.

    Parameters
    ----------
    path : path
    states : array, classes x inputs, V, or a sequence of arrays, one for each layer
        Finite, each up to 1e6 V.
    setup : Setup, optional
        Device, neuron and pulses, which `Voltages.setup` returns; add ``chip=chip.as_dict()`` for
        states of a chip. None if `origin` has the parameters that `records.describe` returns.
    ngspice : bool
        True if ngspice had a part in the training, so that its version is recorded.
    overwrite : bool
        Replace a file with other content, as scripts do after their own check (--force).
    **origin
        How the states were made: dataset, rule, and the like.

    Raises
    ------
    VoltagesError
        The states or another value could not be read back, such as nan. Nothing is written.
    """
    origin = {**(describe(setup) if setup else {}), **origin}
    content = content_of(states, origin, ngspice)
    voltages_of(path, as_read(content))
    write_json(path, content, overwrite)
    report(f"wrote {path}")


def content_of(states: np.ndarray | Sequence[np.ndarray], origin: Values, ngspice: bool) -> Fields:
    """Return the content of a voltages file. Arguments are as in `save_voltages`."""
    name = "voltages" if isinstance(states, np.ndarray) else "layers"
    return {
        "format": FORMAT,
        "version": VERSION,
        **origin,
        "versions": versions(ngspice),
        name: states,
    }


def read_voltages(path: str | Path, dataset: str = "") -> Voltages:
    """Return the content of a voltages file in any layout. States of several layers are a tuple of
    arrays.

    `dataset` is the name of the expected dataset; "" accepts any. A file that names no dataset, as
    in the paper's flat layout, is accepted, too. Raises VoltagesError if the file is missing,
    damaged, or made for another dataset.
    """
    return voltages_of(path, _read(path, dataset))


def voltages_of(path: str | Path, content: Fields) -> Voltages:
    """Return the checked content of a voltages file; raise VoltagesError, which names the file and
    the entry.
    """
    try:
        if "format" not in content:
            cells = restored(States, _paper_states(path, content), "voltages")
            return Voltages(cells, file=str(path), shape=shape_of(cells.shape[1]))
        layered = "layers" in content
        name = "layers" if layered else "voltages"
        if name not in content:
            raise ParameterError("voltages (of several layers: layers) are missing")
        states = restored(tuple[States, ...] if layered else States, content.pop(name, None), name)
        known = {entry: content[entry] for entry in Voltages.newer if entry in content}
        # of the first files of error-driven learning
        if known.get("rule") and isinstance(known["rule"], dict):
            known |= {"rule": "error-driven", "learning": known["rule"]}
        voltages: Voltages = restored(
            Voltages, {"states": states, "origin": content, "file": str(path), **known}
        )
        if voltages.scale and not voltages.scale[0] < voltages.scale[1]:
            raise ParameterError(f"scale must be two rising values, got {voltages.scale}")
        given = [name for name in LATER if getattr(voltages, name) is not None]
        classes = _classes(voltages) if given else {}
        later = {name: restored(classes[name], known[name], name) for name in given}
    except ParameterError as error:
        raise VoltagesError(f"{path}: {error}") from error
    voltages = dataclasses.replace(voltages, **later)
    rows = states[0].shape[1] - 1 if layered else states.shape[1]
    inputs = voltages.kinds[0].inputs if voltages.kinds else rows
    shape = voltages.shape if "shape" in content else shape_of(inputs)
    if math.prod(shape) != inputs or min(shape) < 1:
        raise VoltagesError(
            f"{path}: {name} and convolution read {inputs} pixels, but shape is {shape}"
        )
    return dataclasses.replace(voltages, shape=shape)


def _classes(voltages: Voltages) -> Fields:
    """Return the classes of the entries `LATER` of a file. Their import loads all kinds of layers,
    of which the paper's files have none.
    """
    from memristive.learning.rule import ErrorDrivenRule, LayeredRule
    from memristive.network.chip import Chip
    from memristive.network.convolution import Convolution
    from memristive.network.recipe import Recipe
    from memristive.writing.ways import PulseWrites

    rules: dict[str, type] = {"error-driven": ErrorDrivenRule}  # of networks without a design
    learning = LayeredRule if voltages.design else rules.get(voltages.rule, dict)
    return {
        "chip": Chip,
        "convolution": Convolution | tuple[Convolution, ...],
        "pulses": PulseWrites,
        "recipe": Recipe,
        "learning": learning,
    }


def shape_of(inputs: int) -> tuple[int, int]:
    """Return rows and columns of an image without a known shape: a square, or a single row."""
    side = math.isqrt(inputs)
    return (side, side) if side**2 == inputs else (1, inputs)


def is_voltages(path: str | Path) -> bool:
    """Return True if a file holds trained states, in any layout."""
    try:
        content = read_json(path, "a voltages file")
    except FileProblem:
        return False
    return content.get("format") == FORMAT or any(map(PAPER_NODE.match, content))


def load_voltages(
    path: str | Path, dataset: str = "", classes: int | None = None, inputs: int | None = None
) -> Voltages:
    """Return the content of a voltages file that holds a single layer.

    Parameters
    ----------
    path : path
    dataset : str
        Name of the expected dataset; "" accepts any.
    classes, inputs : int, optional
        Expected shape of the states; None accepts any.

    Raises
    ------
    VoltagesError
        The file is missing, damaged, or made for another network.
    """
    voltages = read_voltages(path, dataset)
    if isinstance(voltages.states, tuple):
        raise VoltagesError(
            f"{path} holds pairs, devices or several layers, expected the paper's layer"
        )
    shape, expected = (
        voltages.states.shape,
        (classes or len(voltages.states), inputs or voltages.states.shape[1]),
    )
    if shape != expected:
        raise VoltagesError(
            f"{path} holds {shape[0]} x {shape[1]} voltages, expected {expected[0]} x {expected[1]}"
        )
    return voltages


def _read(path: str | Path, dataset: str) -> Fields:
    try:
        content = read_json(path, "a voltages file; the training scripts write it")
    except FileProblem as error:
        raise VoltagesError(str(error)) from error
    if content.get("format") == CLASSIFIER:
        raise VoltagesError(
            f"{path} holds a classifier, which MemristiveClassifier.load reads: its methods costs, "
            "netlist and spike_times do what commands do with networks"
        )
    for key, expected in (
        ("format", FORMAT),
        ("version", VERSION),
        ("dataset", dataset if content.get("dataset", UNNAMED) != UNNAMED else ""),
    ):
        if "format" in content and expected and content.get(key) != expected:
            raise VoltagesError(f"{path} has the {key} {content.get(key)!r}, not {expected!r}")
    return content


def _paper_states(path: str | Path, content: Values) -> list[list[float]]:
    cells = {
        (int(match[1]), int(match[2])): value
        for key, value in content.items()
        if (match := PAPER_NODE.match(key))
    }
    classes, inputs = (1 + max(place) for place in zip(*cells, strict=True)) if cells else (0, 0)
    if not cells or len(cells) != classes * inputs:
        raise VoltagesError(
            f"{path} has no 'format' and {len(cells)} of {classes} x {inputs} cells "
            "xsnn.xmemristor_p<class>_<input>.cmem: it is no file of a network"
        )
    return [[cells[j, i] for i in range(inputs)] for j in range(classes)]
