"""Networks in NIR, the exchange format of neuromorphic frameworks (J. E. Pedersen et al., Nat.
Commun. 15, 8122, 2024), with the package `nir`.

Membranes count in thresholds and times in s. A layer is Affine, whose weights are the drives of its
rows, and LIF, whose reset is so low that a neuron fires once. Between layers the node I, which
integrates, makes a step that stays of each spike. A convolution is Conv2d, LIF, I, SumPool2d, which
adds up the steps of a region, and Threshold, which makes one step of the first. Weights and
thresholds are as on the chip. What NIR does not know is left out: the edges of the inputs, rails of
the stages, noise, and the end of the read.
"""

import itertools
import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from memristive.io.laboratory import conductances
from memristive.io.networks import describe_network
from memristive.network.layer import Layer
from memristive.network.networks import Network
from memristive.parameters import Fields, ParameterError

if TYPE_CHECKING:
    from nir import NIRGraph  # type: ignore[import-untyped]

LAYERS = ("Affine", "Linear", "Conv2d")
ONCE = -1e9  # thresholds, to which a membrane is reset: the neuron does not fire again


def drives(layer: Layer, states: np.ndarray) -> np.ndarray:
    """Return the drive of each neuron by each of its rows at full level, in thresholds (neurons x
    rows), with the bias resistor in the last row. `states`: columns x rows, V.
    """
    siemens = layer.synapses.difference(conductances(layer, states))
    own = layer.devices.neurons or layer.neuron
    gain = layer.neuron.membrane_transconductance * layer.neuron.membrane_resistance
    volts = np.broadcast_to(gain * own.feedback_resistance, layer.neurons) * layer.row_voltage
    if layer.bias:
        siemens[:, -1] += 1 / layer.bias_resistance
    return siemens * (volts / own.threshold)[:, None]


def nir_graph(network: Network) -> "NIRGraph":
    """Return a network as a graph of NIR. Its metadata `memristive` holds all parameters as JSON.

    Raises ParameterError without the package `nir`, or for a convolution whose regions differ in
    size.
    """
    nir, below = _nir(), None
    nodes: Fields = {}
    shape = (1, *network.image_shape) if network.image_shape else (network.sizes[0],)
    nodes["input"] = nir.Input({"input": np.array(shape)})
    for k, (layer, states) in enumerate(zip(network.layers, network.states, strict=True)):
        weights, neurons = drives(layer, states), layer.neurons
        if layer.bias is None:
            weights = np.column_stack([weights, np.zeros(neurons)])
        own = layer.devices.neurons or layer.neuron
        seconds = layer.neuron.membrane_resistance * own.membrane_capacitance
        if below and not layer.kind.image_shape:  # NIR flattens kernel by kernel
            weights = weights[:, [*below.kind.by_neuron(below.neurons), -1]]
            if below.kind.image_shape:
                maps = nodes[f"first_{k - 1}"].threshold.shape
                nodes[f"flatten_{k - 1}"] = nir.Flatten({"input": np.array(maps)}, 0, -1)
        parts, size, kept = layer.kind.nir(nir, weights)
        nodes |= {f"{name}_{k}": node for name, node in parts.items()}
        below = layer
        each = np.broadcast_to(np.asarray(seconds, float), neurons).reshape(
            -1, *[1] * (len(size) - 1)
        )
        ones = np.ones(size)
        nodes[f"lif_{k}"] = nir.LIF(each * ones, ones, 0 * ones, ones, ONCE * ones)
        if k < len(network.layers) - 1:
            nodes[f"step_{k}"] = nir.I(ones)
            nodes |= {f"{name}_{k}": node for name, node in kept.items()}
    nodes["output"] = nir.Output({"output": np.array([network.sizes[-1]])})
    names = list(nodes)
    edges = list(itertools.pairwise(names))
    about = describe_network("", (1, network.sizes[0]), network)
    return nir.NIRGraph(nodes, edges, metadata={"memristive": json.dumps(about, default=list)})


def save_nir(path: str | Path, network: Network) -> None:
    """Write a network as a graph of NIR (HDF5). Raises ParameterError as `nir_graph` does."""
    graph = nir_graph(network)
    _nir().write(path, graph)


def nir_weights(path: Path) -> dict[str, np.ndarray]:
    """Return the weights and biases in a file of NIR by name, as `load_weights` takes them. Raises
    ParameterError for nodes that are no layers of a chain.
    """
    nir = _nir()
    try:
        graph = nir.read(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(f"{path} is no file of NIR: {error}") from error
    known = ("Input", "Output", "LIF", "IF", "I", "Threshold", "SumPool2d", "Flatten", *LAYERS)
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    unknown = [f"{name} ({kind})" for name, kind in kinds.items() if kind not in known]
    if unknown:
        raise ParameterError(f"{path} has nodes that a circuit does not have: {', '.join(unknown)}")
    above = dict(graph.edges)
    if len(above) != len(graph.edges) or len(graph.edges) != len(graph.nodes) - 1:
        raise ParameterError(f"{path} is no chain of nodes: it branches or has a loop")
    name: str | None = (set(graph.nodes) - set(above.values())).pop()
    arrays: dict[str, np.ndarray] = {}
    while name is not None:
        node = graph.nodes[name]
        if kinds[name] in LAYERS:
            arrays[f"{name}.weight"] = np.asarray(node.weight)
            if hasattr(node, "bias"):
                arrays[f"{name}.bias"] = np.asarray(node.bias)
        name = above.get(name)
    return arrays


def _nir() -> ModuleType:
    try:
        import nir
    except ImportError as error:
        raise ParameterError("NIR needs its package: pip install nir") from error
    return nir
