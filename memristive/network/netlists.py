"""Netlists of multilayer networks: crossbars in series, each with a bias row, and a reference
column or pairs.

Nodes of layer l (counted from 0): row_l_k, column_l_j, membrane_l_j. The output of a hidden neuron
is row_(l+1)_j, that of a neuron in the last layer output_j. The reference column's voltage
negative_l goes to all neurons of its layer. These functions build netlists and do not run them.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.network.design import edges
from memristive.network.engines import ModelCells
from memristive.network.inputs import as_images
from memristive.network.layer import (
    Layer,
    ReferenceStage,
    add_bias,
    add_negative_stages,
    column_nodes,
)
from memristive.network.networks import Network
from memristive.spice.session import Solver, named_classes, netlist_text
from memristor import ReadMemristor
from snn_circuit import (
    LapicqueNeuron,
    Points,
    SchmittTrigger,
    add_amplifiers,
    add_source,
    cell_arguments,
    names,
    neuron_arguments,
)

# A switch flips at a time point, up to one step late. So spikes of an exported read are late by up
# to a step for each layer.
EXPORTED = Solver(max_step=0.1e-6, reltol=1e-5, trtol=100.0, chgtol=1e-7, method="trap")


def layered_network(
    network: Network, rows: Sequence[Points], title: str = "layers", cells: ModelCells | None = None
) -> Circuit:
    """Return the netlist of layers in series for a read, in which every phi is low.

    Parameters
    ----------
    network : Network
        Its bias rows follow the source `pulse` (0 V at first).
    rows : sequence of points
        Sources of the first layer's rows without the bias row, as (s, V) points.
    title : str
    cells : ModelCells, optional
        SPICE model whose subcircuit stands in each cell instead of the emulator.
    """
    circuit, layers = layers_circuit(network, title, cells), network.layers
    add_source(circuit, "pulse")
    for k, points in enumerate(rows):
        add_source(circuit, f"row_0_{k}", points)
    for k, layer in enumerate(layers):
        outputs = names("output" if k == len(layers) - 1 else f"row_{k + 1}", layer.neurons)
        add_layer(circuit, network, k, layer, outputs, cells)
    return circuit


def layers_circuit(network: Network, title: str, cells: ModelCells | None = None) -> Circuit:
    """Return a circuit that has the subcircuits and models of layers but no cell or neuron;
    `add_layer` adds these.
    """
    circuit, own = Circuit(title), network.devices is not None
    if cells:
        cells.model.add_to(circuit)
    ReadMemristor(network.parameters.memristor, per_instance=own).add_to(circuit)
    add_amplifiers(circuit, network.parameters.neuron)
    SchmittTrigger(network.layers[-1].neuron, own, latching=True).add_to(circuit)
    return circuit


def add_layer(
    circuit: Circuit,
    network: Network,
    layer: int,
    of: Layer,
    outputs: list[str],
    cells: ModelCells | None = None,
    pulse: str = "pulse",
) -> None:
    """Add layer number `layer` (counted from 0), whose description is `of`, with its cells and
    neurons. `outputs`: nodes of the neurons' outputs. The bias row follows the source `pulse`.
    """
    neurons, last_row, devices, states = (
        of.neurons,
        f"row_{layer}_{of.rows - 1}",
        of.devices,
        network.states[layer],
    )
    circuit.subcircuit(
        LapicqueNeuron(
            of.neuron, name=f"neuron_of_{layer}", per_instance=devices.neurons is not None
        )
    )
    circuit.subcircuit(ReferenceStage(of.neuron, name=f"reference_of_{layer}"))
    # The bias row follows the pulse at a full pixel's level.
    circuit.VCVS(last_row, last_row, circuit.gnd, pulse, circuit.gnd, voltage_gain=of.row_voltage)
    negatives = add_negative_stages(circuit, of, layer, neurons, f"reference_of_{layer}")
    cell_values, neuron_values = (
        cell_arguments(network.parameters, devices.cells, False),
        neuron_arguments(devices.neurons),
    )
    add_bias(
        circuit,
        of.neuron,
        of.row_voltage,
        of.bias or 0.0,
        names(f"column_{layer}", neurons),
        last_row,
    )
    for j in range(neurons):
        circuit.X(
            f"neuron_{layer}_{j}",
            f"neuron_of_{layer}",
            f"column_{layer}_{j}",
            negatives[j],
            f"membrane_{layer}_{j}",
            outputs[j],
            **neuron_values(j),
        )
    for c, node in enumerate(column_nodes(of, layer, neurons)):
        for k in range(of.rows):
            name, row = f"cell_{layer}_{c}_{k}", f"row_{layer}_{k}"
            state = of.rest if c == of.columns else states[c, k]
            if cells:
                cells.model.add_cell(circuit, name, row, node, float(cells.states(state)))
            else:
                circuit.X(name, "read_memristor", node, row, x0=float(state), **cell_values(c, k))


def layered_read_netlist(
    network: Network,
    image: np.ndarray,
    labels: Iterable[object] = (),
    sample: str = "image",
    cells: ModelCells | None = None,
) -> str:
    """Return the netlist that reads one image with the whole network in one transient, for the
    program `ngspice`.

    Parameters
    ----------
    network : Network
    image : array, inputs, levels 0 to 1
    labels : iterable, optional
        Names of the classes, for the comments.
    sample : str
        Name of the image, for the comments.
    cells : ModelCells, optional
        SPICE model whose subcircuit stands in each cell.

    Raises
    ------
    ParameterError
        The image does not fit the network, or a level is outside 0 to 1.
    """
    images = as_images(np.asarray(image)[None], network.sizes[0], "image")
    design, last, classes = network.design, len(network.states) - 1, network.sizes[-1]
    volts = design.row_voltage * design.read_levels(images[0])
    rows = [edges(0.0, 1.0, design.rise, level)[:3] for level in volts.tolist()]
    circuit = layered_network(network, rows, f"read of {sample}", cells)
    circuit["Vpulse"].values = edges(0.0, 1.0, design.rise, 1.0)[:3]
    nodes = names(f"membrane_{last}", classes) + names("output", classes)
    hidden = [
        name
        for layer, count in enumerate(network.sizes[1:-1])
        for name in names(f"membrane_{layer}", count) + names(f"row_{layer + 1}", count)
    ]
    comments = [
        f"One read of {sample}; the last layer's neurons stand for "
        f"{named_classes(list(labels), classes)}.",
        f"Saved: membrane_{last}_j, output_j (high: neuron j has fired). The first spike names the "
        "class.",
    ]
    if hidden:
        comments.append(
            "Hidden layer l, counted from 0: membrane_l_j, and the neurons' outputs row_(l+1)_j."
        )
    return netlist_text(circuit, EXPORTED, design.window, nodes + hidden, nodes, comments)
