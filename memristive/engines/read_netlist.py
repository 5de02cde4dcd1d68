"""Netlist of the read of an image by any network, as text for the program ngspice."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from memristive.engines.engine import ModelCells
from memristive.engines.solvers import read_solver
from memristive.network.inputs import as_image
from memristive.network.netlists import dense_circuit, rising
from memristive.network.networks import Network, read_generator
from memristive.parameters import ParameterError
from memristive.spice.pyspice import Circuit
from memristive.spice.session import Solver, named_classes, netlist_text
from snn_circuit import names

STEPS = 30  # in a time constant of the membranes
# The membranes (1e-4 C) govern the steps, not the gates of the cells.
SOLVER = Solver(reltol=1e-5, trtol=7.0, chgtol=1e-7, method="trap")


def netlist(
    network: Network,
    image: np.ndarray,
    labels: Iterable[object] = (),
    sample: str = "image",
    cells: ModelCells | None = None,
    seed: int = 0,
) -> str:
    """Return the netlist with which the program ngspice reads one image with the whole network.

    ``ngspice -b FILE`` prints the first spikes of the output neurons in s, as spike_0, spike_1, and
    so on, and then the waveforms. Where a neuron does not fire, ngspice prints "failed". The spikes
    are as in ``read(network, image[None], seed=seed)`` and include the read noise of the
    devices. Spikes before 250 us agree within 0.1 us; later ones belong to membranes that settle
    little above their threshold. In a convolution the patches come one after the other, and spikes
    count from the end of the last one (docs/convolution.md).

    Parameters
    ----------
    network : Network
    image : array, inputs, levels 0 to 1
    labels : iterable, optional
        Names of the classes, for the comments.
    sample : str
        Name of the image, for the comments.
    cells : ModelCells, optional
        SPICE model whose subcircuit stands in each cell, without noise. None: emulators.
    seed : int
        Seed of the read noise.

    Raises
    ------
    ParameterError
        The image does not fit the network, a level is outside 0 to 1, or there is no circuit for
        the network's `cells`.
    """
    image = as_image(image, network.sizes[0])
    if cells and (network.devices is not None or network.paper):
        raise ParameterError(
            "the subcircuits of a SPICE model are all alike, and need layers with a reference "
            "column or pairs: leave out cells or the chip"
        )
    network, title, classes = _shifted(network), f"read of {sample}", network.sizes[-1]
    outputs, inner = names("output", classes), list[str]()
    comments = [
        f"One read of {sample}; the neurons stand for {named_classes(list(labels), classes)}."
    ]
    begin, tau = 0.0, network.parameters.neuron.time_constant
    if network.paper:
        setup, solver = network.setup, read_solver(network.setup, network.states[0], image)
        rows = [
            rising(network.layers[0], volts) for volts in read_voltages(network, image).tolist()
        ]
        circuit = setup.crossbar(network.states[0], rows, title=title)
        membranes = names("membrane", classes)
    else:
        # the trapezoidal rule rings on the currents that hold a model's state within its bounds
        solver = dataclasses.replace(SOLVER, method="gear") if cells else SOLVER
        circuit = _layers(network, image, title, cells, seed)
        membranes = names(f"membrane_{len(network.layers) - 1}", classes)
        inner = _inner_nodes(network)
    comments.append(
        f"Saved: {membranes[0][:-1]}j, output_j (high: neuron j has fired). The first spike names "
        "the class."
    )
    if inner:
        comments.append(
            "Hidden layer l, counted from 0: membrane_l_j, and the neurons' outputs row_(l+1)_j."
        )
    for layer in network.layers:
        begin += layer.kind.before(network.design.window, tau)
        comments += layer.kind.comments(begin)
    thresholds = np.broadcast_to(network.layers[-1].circuits.threshold, classes).tolist()
    return netlist_text(
        circuit,
        with_steps(solver, network),
        begin + network.design.window,
        [*membranes, *outputs, *inner],
        [*membranes, *outputs],
        comments,
        [
            f"tran spike_{j} trig at={begin!r} targ v({node}) val={volts!r} rise=1 td={begin!r}"
            for j, (node, volts) in enumerate(zip(membranes, thresholds, strict=True))
        ],
    )


def _layers(
    network: Network, image: np.ndarray, title: str, cells: ModelCells | None, seed: int
) -> Circuit:
    """Return the circuit that reads an image, layer by layer, with noise sources.

    Arguments are as in `netlist`.
    """
    noise: tuple[np.ndarray, ...] = ()
    if network.layers[0].read_noise and not cells:
        noise = network.drawn(image[None], read_generator(seed))[1]
    volts = read_voltages(network, image, cells)
    return network.layers[0].kind.circuit(dense_circuit, network, volts, title, cells, noise)


def read_voltages(
    network: Network, image: np.ndarray, cells: ModelCells | None = None
) -> np.ndarray:
    """Return the voltages in V at which the rows are read for an `image` (inputs, levels)."""
    levels = np.asarray(image, float)
    # subcircuits bend by themselves
    return network.design.row_voltage * (levels if cells else network.design.read_levels(levels))


def _inner_nodes(network: Network) -> list[str]:
    """Return the nodes of hidden layers: membranes, latches, and rows that neurons drive."""
    nodes, above = list[str](), network.layers[1:]
    for k, layer in enumerate(network.layers[:-1]):
        nodes += layer.kind.kept_nodes(k, layer.neurons)
        nodes += names(f"membrane_{k}", layer.neurons)
        nodes += names(f"row_{k + 1}", above[k].inputs)
    return nodes


def with_steps(solver: Solver, network: Network) -> Solver:
    """Return a `solver` whose steps resolve the membranes of a network."""
    longest = network.parameters.neuron.time_constant / STEPS
    return dataclasses.replace(solver, max_step=min(solver.max_step, longest))


def _shifted(network: Network) -> Network:
    """Return the paper's layer with the thresholds of its chip's first read; others unchanged."""
    jitter = network.jitter("test", 0, 1)
    if not jitter.size or not network.devices:
        return network
    devices = network.devices[0]
    assert devices.neurons
    neurons = dataclasses.replace(devices.neurons, threshold=devices.neurons.threshold + jitter[0])
    return dataclasses.replace(network, devices=(dataclasses.replace(devices, neurons=neurons),))
