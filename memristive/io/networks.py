"""Networks of several layers in voltages files: their description and their loading."""

from pathlib import Path
from typing import Any

from memristive.io.voltages import Voltages, load_layers
from memristive.learning.rule import LayeredRule
from memristive.network.chip import Chip
from memristive.network.layers import LayeredNetwork, PulseWrites
from memristive.network.netlists import LayerDesign
from memristive.network.setup import CLOSED_FORM


def describe_network(dataset: str, shape: tuple[int, int], network: LayeredNetwork, rule: LayeredRule, engine: str = CLOSED_FORM,
                     chip: Chip | None = None) -> dict[str, Any]:
    """Return everything that determines a trained network, for records, checkpoints and voltages files.

    Parameters
    ----------
    dataset : str
        Name of the dataset.
    shape : tuple of int
        Rows and columns of its images.
    network : LayeredNetwork
    rule : LayeredRule
    engine : str
        Engine that trains the network.
    chip : Chip, optional
        Chip that learns; None: an ideal one.
    """
    return {"dataset": dataset, "shape": shape, "encoding": "grey", "rule": "layers", "engine": engine,
            "hidden": network.sizes[1:-1], "learning": rule.as_dict(), "network": network.parameters.as_dict(),
            "design": network.design.as_dict(), **({"pulses": network.pulses.as_dict()} if network.pulses else {}),
            **({"chip": chip.as_dict()} if chip else {})}


def load_network(path: Path, dataset: str = "") -> tuple[LayeredNetwork, LayeredRule, Voltages]:
    """Return the network of a voltages file (on an ideal chip), the rule that trained it, and the content of the file.

    Raises VoltagesError if the file is missing, damaged, or of another `dataset`.
    """
    voltages = load_layers(path, dataset)
    design, rule = LayerDesign(**voltages.origin["design"]), LayeredRule(**voltages.origin["learning"])
    parameters, pulses = voltages.setup().network, voltages.origin.get("pulses")
    return LayeredNetwork(voltages.states, parameters, design, pulses=pulses and PulseWrites(**pulses)), rule, voltages
