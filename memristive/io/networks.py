"""Networks in voltages files: their description, saving and loading. All files have one format, for any number of layers."""

from pathlib import Path
from typing import Any

from memristive.io.results import describe
from memristive.io.voltages import Voltages, VoltagesError, read_voltages, save_voltages
from memristive.learning.rule import ErrorDrivenRule, LayeredRule, Rule
from memristive.network.layer import PulseWrites
from memristive.network.networks import Network, network_on_chip
from memristive.network.setup import CLOSED_FORM, NGSPICE, LayerDesign, Schedule, Setup


def describe_network(dataset: str, shape: tuple[int, int], network: Network, rule: Rule | None = None, engine: str = CLOSED_FORM,
                     encoding: str = "grey") -> dict[str, Any]:
    """Return everything that determines a trained network, for records, checkpoints and voltages files.

    Arguments are those of `save`.
    """
    data, learning = {"dataset": dataset, "shape": shape, "encoding": encoding}, {"learning": rule.as_dict()} if rule else {}
    if isinstance(network.design, Schedule):
        return {**data, "rule": "error-driven", "engine": engine, **learning, **describe(network.setup, network.chip)}
    return {**data, "rule": "layers", "engine": engine, "hidden": network.sizes[1:-1], **learning,
            "network": network.parameters.as_dict(), "design": network.design.as_dict(),
            **({"pulses": network.pulses.as_dict()} if network.pulses else {}),
            **({"chip": network.chip.as_dict()} if network.chip else {})}


def save(path: str | Path, network: Network, rule: Rule | None = None, dataset: str = "own", shape: tuple[int, int] | None = None,
         engine: str = CLOSED_FORM, encoding: str = "grey") -> None:
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
        Rows and columns of an image; None: a single row.
    engine : str
        Engine that trained the network.
    encoding : str
        "grey" or "binary".
    """
    states = network.states[0] if isinstance(network.design, Schedule) else network.states
    made = describe_network(dataset, shape or (1, network.sizes[0]), network, rule, engine, encoding)
    save_voltages(path, states, ngspice=engine == NGSPICE, **made)


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
        The file is missing or damaged, holds two-terminal devices, or has no parameters and there is no `setup`.
    """
    voltages = read_voltages(path)
    return network_on_chip(network_of(voltages, setup)[0], voltages.chip)


def load_network(path: str | Path, dataset: str = "") -> tuple[Network, Rule | None, Voltages]:
    """Return the network of a voltages file on an ideal chip, the rule that trained it, and the content of the file.

    The rule is None if the file has none. Raises VoltagesError as `load` does, also for a file of another `dataset`.
    """
    voltages = read_voltages(path, dataset)
    return *network_of(voltages), voltages


def network_of(voltages: Voltages, default: Setup | None = None) -> tuple[Network, Rule | None]:
    """Return the network in a file's content, on an ideal chip, and the rule that trained it; `default` as in `load`."""
    origin, setup = voltages.origin, voltages.setup(default)
    if setup.array:
        raise VoltagesError("the voltages are those of two-terminal devices, which only the scripts for XPUE and 012345 read")
    if "design" not in origin:
        learning = origin.get("learning") if voltages.rule == "error-driven" else None
        return Network((voltages.states,), setup.network, setup.schedule), ErrorDrivenRule(**learning) if learning else None
    pulses, learning = origin.get("pulses"), origin.get("learning")
    network = Network(voltages.states, setup.network, LayerDesign(**origin["design"]), pulses=pulses and PulseWrites(**pulses))
    return network, LayeredRule(**learning) if learning else None
