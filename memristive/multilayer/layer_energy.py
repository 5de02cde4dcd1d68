"""Energy that rows and columns of layers take from whatever drives them, from ngspice's own branch currents.

As in `energy`: op-amps and transconductances are ideal and draw nothing, phi drives ideal switches; a hidden neuron's output pays
for the row that it drives. Every layer is simulated whole, with its reference column, and with the spikes of the closed form.
"""

import dataclasses

import numpy as np

from memristive.multilayer.layer_netlist import layered_network
from memristive.multilayer.layer_network import LayeredNetwork, start_delay
from memristive.multilayer.layer_ngspice import BackReader, ColumnWriter
from memristive.multilayer.layer_subcircuits import back_circuit, layer_gain_changes
from memristive.single_layer.energy import delivered, isolated
from memristive.single_layer.pulses import READING, WRITING
from memristive.spice.session import NgspiceSession, Solver
from snn_circuit import OFF, Points

EDGE = 0.5e-6  # s, of a hidden neuron's output
NEVER = 100.0  # V, a threshold that hardly any membrane reaches


def layers_read_energy(session: NgspiceSession, network: LayeredNetwork, image: np.ndarray) -> tuple[list[float], float]:
    """Energy in J that each layer's rows take for reading an `image` (inputs, levels 0 to 1), and how long in s the read lasts.

    It ends when the second neuron of the last layer has fired, at the latest with the window: then the decision is known.
    """
    design, times = network.design, [layer[0] for layer in network.forward(image[None])]
    fired = np.sort(times[-1])[1:2]
    stop = float(fired[0]) if len(fired) and not np.isnan(fired[0]) else design.window
    start = start_delay(design.rise, network.parameters.neuron.time_constant)
    rows = [step(design.rise / 2, design.row_voltage * level, design.rise) for level in image.tolist()]
    found = []
    for layer in range(len(network.states)):
        if layer:
            rows = [step(spike, design.row_voltage, EDGE) if spike < stop else OFF for spike in times[layer - 1].tolist()]
        found.append(_rows_energy(session, network, layer, rows, step(start, 1.0, design.rise), READING, stop))
    return found, stop


def step(time: float, volts: float, edge: float) -> Points:
    """The points of a source that steps up at `time` s, the middle of its `edge`, and stays."""
    begins = time - edge / 2
    return [(0.0, 0.0), *([(begins, 0.0)] if begins > 0 else []), (max(begins, 0.0) + edge, volts), (1.0, volts)]


def layer_write_energy(session: NgspiceSession, network: LayeredNetwork, layer: int, levels: np.ndarray, high: np.ndarray,
                       pulse: float) -> float:
    """Energy in J that a layer's rows take for writing one of its columns, as `ColumnWriter.write` writes it.

    Row k is at `levels[k]` (the bias last) of the row voltage for the last `high[k]` of a `pulse` in s (negative: at the opposite
    voltage); all columns see the rows. A written cell's pump draws nothing, and its state moves too little to matter.
    """
    pulse, levels, window = ColumnWriter.lengthened(pulse, levels, high)
    if window == 0:
        return 0.0
    edge = ColumnWriter.EDGE * window
    end = 3 * edge + window
    ups = np.where(high < high.max(), end - abs(pulse) * high, 2 * edge).tolist()
    volts = np.sign(pulse) * levels
    volts[:-1] *= network.design.row_voltage  # the bias row's own source multiplies by it
    rows = [[(0.0, 0.0), (up - edge / 2, 0.0), (up + edge / 2, level), (end + 2 * edge, level), (end + 3 * edge, 0.0)]
            if level and share > 0 else OFF for level, share, up in zip(volts.tolist(), high.tolist(), ups, strict=True)]
    parameters = dataclasses.replace(network.parameters, memristor=isolated(network.parameters.memristor))
    changed = dataclasses.replace(network, parameters=parameters if pulse < 0 else network.parameters)
    return _rows_energy(session, changed, layer, rows[:-1], rows[-1], WRITING, end + 4 * edge)


def back_read_energy(session: NgspiceSession, network: LayeredNetwork, layer: int, errors: np.ndarray) -> float:
    """Energy in J that a layer's columns take for a back-read of `errors`, as `BackReader.read` does it."""
    driven = np.append(errors, -errors.sum())
    volts = network.design.column_voltage(layer == len(network.states) - 1) * driven
    circuit = back_circuit(network.parameters, network.design, network.states[layer])
    circuit["Vpulse"].values = [(0.0, 0.0), (BackReader.RISE, 1.0), (1.0, 1.0)]
    used = np.flatnonzero(volts).tolist()
    for j in used:
        circuit[f"Ecolumn_0_{j}"].voltage_gain = float(volts[j])
    solver = dataclasses.replace(WRITING, max_step=BackReader.STOP / 100)  # an edge is a third of it all
    loaded = session.load(circuit, solver, [name for j in used for name in (f"column_0_{j}", f"i(ecolumn_0_{j})")])
    if network.chip is not None:
        channel = network.chip[layer].channel[:, :-1]
        loaded.alter(layer_gain_changes(network.parameters.memristor, range(channel.shape[1]), channel))
    waves = loaded.run(BackReader.STOP)
    session.unload(loaded)
    return sum(delivered(waves, f"column_0_{j}", f"ecolumn_0_{j}") for j in used)


def _rows_energy(session: NgspiceSession, network: LayeredNetwork, layer: int, rows: list[Points], bias: Points, solver: Solver,
                 stop: float) -> float:
    """Energy in J that the rows of a layer, driven as `rows` (in V) and `bias` (in row voltages) say, take up to `stop` s."""
    # No neuron fires here: its output has no bearing on its own layer, but every trigger that switches cuts ngspice's steps.
    quiet = dataclasses.replace(network.parameters.neuron, threshold=NEVER)
    parameters = dataclasses.replace(network.parameters, neuron=quiet)
    chip = None if network.chip is None else [network.chip[layer]]
    circuit = layered_network(parameters, network.design, [network.states[layer]], rows, chip=chip)
    circuit["Vpulse"].values = bias
    sources = [(f"row_0_{k}", f"vrow_0_{k}") for k, points in enumerate(rows) if points is not OFF]
    sources.append((f"row_0_{len(rows)}", f"erow_0_{len(rows)}"))
    loaded = session.load(circuit, solver, [name for node, source in sources for name in (node, f"i({source})")])
    waves = loaded.run(stop)
    session.unload(loaded)
    return sum(delivered(waves, node, source) for node, source in sources)
