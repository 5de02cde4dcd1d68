"""Files of whole networks: layers of any kind, their rule and their chip. The format is as in
`memristive.io.voltages`.
"""

from pathlib import Path

from memristive.devices.spice_model import check_model
from memristive.io.records import as_read, describe, report, write_json
from memristive.io.voltages import (
    UNNAMED,
    Voltages,
    VoltagesError,
    content_of,
    read_voltages,
    shape_of,
    voltages_of,
)
from memristive.learning.rule import Rule
from memristive.network.design import CLOSED_FORM, NGSPICE, Setup
from memristive.network.networks import Network, network_on_chip
from memristive.parameters import Fields, ParameterError, check_kind


def describe_network(
    dataset: str,
    shape: tuple[int, int],
    network: Network,
    rule: Rule | None = None,
    engine: str = CLOSED_FORM,
    encoding: str = "grey",
) -> Fields:
    """Return the parameters that determine a trained network, for records, checkpoints and voltages
    files.

    Arguments are as in `save`.
    """
    data, learning = (
        {"dataset": dataset, "shape": shape, "encoding": encoding},
        {"learning": rule.as_dict()} if rule else {},
    )
    if network.paper:
        return {
            **data,
            "rule": "error-driven",
            "engine": engine,
            **learning,
            **describe(network.setup, network.chip),
            **({"recipe": network.recipe.as_dict()} if network.recipe and network.neuron else {}),
        }
    entries: dict[str, list[Fields]] = {}
    for kind in (layer.kind for layer in network.layers if layer.kind.entry):
        entries.setdefault(kind.entry, []).append(kind.as_dict())  # type: ignore[attr-defined]
    return {
        **data,
        "rule": "layers",
        "engine": engine,
        "hidden": network.neurons[:-1],
        **learning,
        "network": network.parameters.as_dict(),
        "design": network.design.as_dict(),
        **{name: found if len(found) > 1 else found[0] for name, found in entries.items()},
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
        Rows and columns of an image; None: a square, or a single row. A convolution knows its own.
    engine : str
        Engine that trained the network.
    encoding : str
        "grey" or "binary".
    overwrite : bool
        Replace a file with other content. Otherwise the earlier file is kept as NAME.1.json.

    Raises
    ------
    VoltagesError
        A value could not be read back, such as a state that is nan. Nothing is written.
    """
    check_kind("network", network, Network)
    content = network_content(network, rule, dataset, shape, engine=engine, encoding=encoding)
    voltages_of(path, as_read(content))
    write_json(path, content, overwrite)
    report(f"wrote {path}")


def network_content(
    network: Network,
    rule: Rule | None = None,
    dataset: str = UNNAMED,
    shape: tuple[int, int] | None = None,
    **made_with: str,
) -> Fields:
    """Return the content of the file of a network. Arguments are as in `save`; `made_with`: engine
    and encoding.
    """
    states = network.states[0] if network.paper else network.states
    shape = network.image_shape or shape or shape_of(network.sizes[0])
    content = describe_network(dataset, shape, network, rule, **made_with)
    content |= {name: arrays for name in ("past", "wear") if (arrays := getattr(network, name))}
    if network.recipe:
        content["recipe"] = network.recipe.as_dict()
    return content_of(states, content, content["engine"] == NGSPICE)


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
        is no `setup`. Or the SPICE model of its device has changed since the training.
    """
    voltages = read_voltages(path)
    return network_on_chip(network_of(voltages, setup)[0], voltages.chip)


def network_of(voltages: Voltages, default: Setup | None = None) -> tuple[Network, Rule | None]:
    """Return the network in a file's content, on an ideal chip, and the rule that trained it (None
    if the file has none). `default` is the setup of a file without one.

    Raises VoltagesError for two-terminal devices, and for a setup that is missing or cannot be
    used.
    """
    setup, pulses, states = voltages.setup(default), voltages.pulses, voltages.states
    if setup.array:
        raise VoltagesError(
            f"{voltages.file} holds the voltages of two-terminal devices, which only the scripts "
            "for XPUE and 012345 read"
        )
    layered = isinstance(states, tuple)
    if layered != (voltages.design is not None):
        raise VoltagesError(f"{voltages.file}: layers need a design, and voltages have none")
    if pulses:
        try:
            check_model(pulses.model, pulses.model_sha256)
        except ParameterError as error:
            raise VoltagesError(f"{voltages.file}: {error}") from error
    try:
        network = Network(
            states if layered else (states,),
            setup.parameters,
            voltages.design or setup.schedule,
            pulses=pulses,
            kinds=voltages.kinds,
            past=voltages.past,
            wear=voltages.wear,
            recipe=voltages.recipe,
        )
        network.check_range()
    except ParameterError as error:
        raise VoltagesError(
            f"{voltages.file}: layers and design do not suit each other: {error}"
        ) from error
    learning = voltages.learning
    return network, None if isinstance(learning, dict) else learning
