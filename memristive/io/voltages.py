"""Voltages files: trained states and networks as JSON, with all parameters of their training. The
paper's own files, a flat layout of states alone, are read, too.

Loading returns states that fit the network, or raises VoltagesError, which names the file, the
value found and the value expected.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memristive.devices.measured_device import device_of_record
from memristive.devices.spice_model import model_of
from memristive.io.records import (
    FileProblem,
    describe,
    read_json,
    report,
    versions,
    write_json,
)
from memristive.learning.rule import ErrorDrivenRule, LayeredRule, Rule
from memristive.network.chip import Chip
from memristive.network.design import (
    CLOSED_FORM,
    NGSPICE,
    Convolution,
    LayerDesign,
    Schedule,
    Setup,
)
from memristive.network.layer import PulseWrites
from memristive.network.networks import Network, network_on_chip
from memristive.network.two_terminal import DeviceArray
from memristive.spice.parameters import restored
from memristor import MemristorParameters
from snn_circuit import NeuronParameters

FORMAT, VERSION = "in-situ memristive voltages", 1
PAPER_NODE = re.compile(r"^xsnn\.xmemristor_p(\d{1,9})_(\d{1,9})\.cmem$")
LIMIT = 1e6  # V, largest state that a file may hold
UNNAMED = "own"  # dataset of a network that was saved without the name of its data


class VoltagesError(RuntimeError):
    """A voltages file cannot be used."""


@dataclass(frozen=True)
class Voltages:
    """Trained states and how they were made.

    Parameters
    ----------
    states : array, classes x inputs, V, or a tuple of such arrays for several layers
    origin : dict
        All other entries of the file: dataset, shape, encoding, rule, engine, network, schedule,
        chip, learning, versions.
    """

    states: Any
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> str:
        """Learning rule; the paper's files are Hebbian."""
        return str(self.origin.get("rule") or "hebbian")

    @property
    def encoding(self) -> str:
        """Encoding of the images, "binary" or "grey"."""
        return str(self.origin.get("encoding", "binary"))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image; those of a square if the file does not record them."""
        rows, columns = self.origin.get("shape") or 2 * (round(self.states.shape[1] ** 0.5),)
        return int(rows), int(columns)

    @property
    def engine(self) -> str:
        """Engine that trained the states, "ngspice" or "closed-form"."""
        return str(self.origin.get("engine", NGSPICE))

    @property
    def chip(self) -> Chip | None:
        """Chip that the states were trained on; None: an ideal one."""
        return restored(Chip, self.origin["chip"]) if self.origin.get("chip") else None

    def setup(self, default: Setup | None = None) -> Setup:
        """Return device, neuron, pulses and chip of the training; for a file without them, the
        setup `default`.

        Raises VoltagesError if the file has no setup and `default` is None, or if its parameters
        cannot be used. A wrong guess would go unnoticed, because spikes of a wrong circuit look
        just as plausible.
        """
        # layers have pulses of their own
        wanted = {"network"} if isinstance(self.states, tuple) else {"network", "schedule"}
        missing = sorted(wanted - self.origin.keys())
        if missing and default is None:
            raise VoltagesError(
                f"the voltages file does not hold {' and '.join(missing)} of the training: give "
                "the setup, as setup(Setup(...)), or save it with save_voltages(..., setup=...)"
            )
        default = default or Setup()
        try:
            network = self.origin.get("network", {})
            nominal = Setup(
                _stored(MemristorParameters, network.get("memristor"), default.memristor),
                _stored(NeuronParameters, network.get("neuron"), default.neuron),
                _stored(Schedule, self.origin.get("schedule"), default.schedule),
            )
            if self.origin.get("array"):
                device = device_of_record(self.origin["array"]["device"])
                array = DeviceArray(
                    model_of(device),
                    device,
                    self.origin["array"]["scheme"],
                    self.origin["array"]["pulses"],
                )
                return nominal.replace(array=array)
            return (
                nominal.replace(devices=self.chip.devices(nominal.network))
                if self.chip
                else nominal
            )
        # ParameterError is a ValueError
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            raise VoltagesError(
                f"the parameters in the voltages file cannot be used: {error}"
            ) from error


def _stored(kind: type, values: Mapping[str, Any] | None, default: Any) -> Any:
    return default if values is None else restored(kind, values)


def save_voltages(
    path: str | Path,
    states: np.ndarray | Sequence[np.ndarray],
    setup: Setup | None = None,
    *,
    ngspice: bool = True,
    overwrite: bool = False,
    **origin: Any,
) -> None:
    """Write trained states and print the path.

    Parameters
    ----------
    path : path
    states : array, classes x inputs, V, or a sequence of arrays, one for each layer
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
    NotOverwritten
        The file exists with other content, and `overwrite` is False.
    """
    origin = {**(describe(setup) if setup else {}), **origin}
    name = "voltages" if isinstance(states, np.ndarray) else "layers"
    content = {
        "format": FORMAT,
        "version": VERSION,
        **origin,
        "versions": versions(ngspice),
        name: states,
    }
    write_json(path, content, overwrite)
    report(f"wrote {path}")


def read_voltages(path: str | Path, dataset: str = "") -> Voltages:
    """Return the content of a voltages file in any layout. States of several layers are a tuple of
    arrays.

    `dataset` is the name of the expected dataset; "" accepts any. A file that names no dataset, as
    in the paper's flat layout, is accepted, too. Raises VoltagesError if the file is missing,
    damaged, or made for another dataset.
    """
    content = _read(path, dataset)
    if "format" not in content:
        return Voltages(_paper_states(path, content))
    layers = content.pop("layers", None)
    if layers is None:
        return Voltages(_array(path, content.pop("voltages", None)), content)
    if not isinstance(layers, list) or not layers:
        raise VoltagesError(f"{path}: the layers must be a list of arrays of voltages")
    return Voltages(tuple(_array(path, layer) for layer in layers), content)


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
    found = read_voltages(path, dataset)
    if isinstance(found.states, tuple):
        raise VoltagesError(
            f"{path} holds pairs, devices or several layers, expected the paper's layer"
        )
    shape, expected = (
        found.states.shape,
        (classes or len(found.states), inputs or found.states.shape[1]),
    )
    if shape != expected:
        raise VoltagesError(
            f"{path} holds {shape[0]} x {shape[1]} voltages, expected {expected[0]} x {expected[1]}"
        )
    return found


def _read(path: str | Path, dataset: str) -> dict[str, Any]:
    try:
        content = read_json(path, "a voltages file; the training scripts write it")
    except FileProblem as error:
        raise VoltagesError(str(error)) from error
    for key, expected in (
        ("format", FORMAT),
        ("version", VERSION),
        ("dataset", dataset if content.get("dataset", UNNAMED) != UNNAMED else ""),
    ):
        if "format" in content and expected and content.get(key) != expected:
            raise VoltagesError(f"{path}: {key} is {content.get(key)!r}, expected {expected!r}")
    return content


def _array(path: str | Path, rows: Any) -> np.ndarray:
    try:
        states = np.array(rows, float)
    except (TypeError, ValueError) as error:
        raise VoltagesError(
            f"{path}: the voltages are not rows of numbers of equal length"
        ) from error
    wrong = ~(np.abs(states) <= LIMIT)  # also nan
    if states.ndim != 2 or wrong.any() or not states.size:
        raise VoltagesError(
            f"{path}: the voltages must be classes x inputs, each up to {LIMIT:g} V, got shape "
            f"{states.shape} with {wrong.sum()} other values"
        )
    return states


def _paper_states(path: str | Path, content: Mapping[str, Any]) -> np.ndarray:
    cells = {
        (int(match[1]), int(match[2])): value
        for key, value in content.items()
        if (match := PAPER_NODE.match(key))
    }
    classes, inputs = (1 + max(place) for place in zip(*cells, strict=True)) if cells else (0, 0)
    if not cells or len(cells) != classes * inputs:
        raise VoltagesError(
            f"{path} has no 'format' and {len(cells)} of {classes} x {inputs} cells "
            "xsnn.xmemristor_p<class>_<input>.cmem, expected a voltages file or the paper's layout"
        )
    return _array(path, [[cells[j, i] for i in range(inputs)] for j in range(classes)])


def describe_network(
    dataset: str,
    shape: tuple[int, int],
    network: Network,
    rule: Rule | None = None,
    engine: str = CLOSED_FORM,
    encoding: str = "grey",
) -> dict[str, Any]:
    """Return the parameters that determine a trained network, for records, checkpoints and voltages
    files.

    Arguments are those of `save`.
    """
    data, learning = (
        {"dataset": dataset, "shape": shape, "encoding": encoding},
        {"learning": rule.as_dict()} if rule else {},
    )
    if isinstance(network.design, Schedule):
        return {
            **data,
            "rule": "error-driven",
            "engine": engine,
            **learning,
            **describe(network.setup, network.chip),
        }
    return {
        **data,
        "rule": "layers",
        "engine": engine,
        "hidden": [layer.neurons for layer in network.layers[:-1]],
        **learning,
        "network": network.parameters.as_dict(),
        "design": network.design.as_dict(),
        **({"convolution": network.convolution.as_dict()} if network.convolution else {}),
        **({"pulses": network.pulses.as_dict()} if network.pulses else {}),
        **({"chip": network.chip.as_dict()} if network.chip else {}),
    }


def save(
    path: str | Path,
    network: Network,
    rule: Rule | None = None,
    dataset: str = UNNAMED,
    shape: tuple[int, int] | None = None,
    engine: str = CLOSED_FORM,
    encoding: str = "grey",
    overwrite: bool = False,
) -> None:
    """Write a trained network with everything that made it, and print the path.

    Parameters
    ----------
    path : path
    network : Network
    rule : LayeredRule or ErrorDrivenRule, optional
        Rule that trained the network; None: it is not recorded.
    dataset : str
        Name of the dataset.
    shape : tuple of int, optional
        Rows and columns of an image; None: those of a square, or a single row.
    engine : str
        Engine that trained the network.
    encoding : str
        "grey" or "binary".
    overwrite : bool
        Replace a file with other content.

    Raises
    ------
    NotOverwritten
        The file exists with other content, and `overwrite` is False. The same network can be saved
        again.
    """
    states = network.states[0] if isinstance(network.design, Schedule) else network.states
    inputs = network.sizes[0]
    side = math.isqrt(inputs)
    shape = shape or ((side, side) if side**2 == inputs else (1, inputs))
    made = describe_network(dataset, shape, network, rule, engine, encoding)
    save_voltages(path, states, ngspice=engine == NGSPICE, overwrite=overwrite, **made)


def load(path: str | Path, setup: Setup | None = None) -> Network:
    """Return the network of a voltages file of any version, on the chip that it was trained on.

    Parameters
    ----------
    path : path
    setup : Setup, optional
        Device, neuron and pulses of a file without them, as in the paper's flat layout.

    Raises
    ------
    VoltagesError
        The file is missing or damaged, holds two-terminal devices, or has no parameters and there
        is no `setup`.
    """
    voltages = read_voltages(path)
    return network_on_chip(network_of(voltages, setup)[0], voltages.chip)


def load_network(path: str | Path, dataset: str = "") -> tuple[Network, Rule | None, Voltages]:
    """Return the network of a voltages file on an ideal chip, the rule that trained it, and the
    content of the file.

    The rule is None if the file has none. Raises VoltagesError if the file is missing, damaged, of
    another `dataset`, without parameters, or holds two-terminal devices.
    """
    voltages = read_voltages(path, dataset)
    return *network_of(voltages), voltages


def network_of(voltages: Voltages, default: Setup | None = None) -> tuple[Network, Rule | None]:
    """Return the network in a file's content, on an ideal chip, and the rule that trained it (None
    if the file has none). `default` is the setup of a file without one.

    Raises VoltagesError for two-terminal devices, and for a setup that is missing or cannot be
    used.
    """
    origin, setup = voltages.origin, voltages.setup(default)
    if setup.array:
        raise VoltagesError(
            "the voltages are those of two-terminal devices, which only the scripts for XPUE and "
            "012345 read"
        )
    if "design" not in origin:
        learning = origin.get("learning") if voltages.rule == "error-driven" else None
        return Network((voltages.states,), setup.network, setup.schedule), ErrorDrivenRule(
            **learning
        ) if learning else None
    pulses, learning = origin.get("pulses"), origin.get("learning")
    convolution = origin.get("convolution")
    network = Network(
        voltages.states,
        setup.network,
        LayerDesign(**origin["design"]),
        pulses=pulses and PulseWrites(**pulses),
        convolution=convolution and Convolution(**convolution),
    )
    return network, LayeredRule(**learning) if learning else None
