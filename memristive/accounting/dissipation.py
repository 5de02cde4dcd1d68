"""Energies of reads, back-reads and writes in closed form: the channels' currents times their
voltages.

Tests measure the same energies in ngspice. Rows rise and fall in straight lines. Over such a line a
Gauss-Legendre quadrature with three points (`NODES` and `WEIGHTS` of
`memristive.closed_form.neuron`) integrates the power. A measured device is written by the
laboratory's pulses, not by the pulses of the emulator that stands for it in ngspice.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from memristive.closed_form.kernel_arrays import Arrays
from memristive.closed_form.neuron import NODES, WEIGHTS
from memristive.devices.cells import Cells
from memristive.devices.measured_device import PRESETS, MeasuredDevice, emulator
from memristive.engines.ngspice_layer import BACK_RISE, BACK_STOP, WRITE_EDGE, lengthened
from memristive.ledger import Technology
from memristive.network.design import PULSE_EDGES
from memristive.network.layer import Layer
from memristive.network.networks import Network
from memristive.parameters import FloatOrArray
from memristive.writing.at_once import ColumnDose
from memristive.writing.pulses import Counts
from memristor import Channel, channel_current, raised_state, read_current

OUTPUT_EDGE = 0.5e-6  # s, of a hidden neuron's output
PATH = np.polynomial.legendre.leggauss(8)  # over the way of X during a write, from -1 to 1


class Drawn(NamedTuple):
    """Energies in J that the rows of a layer deliver, and the charge in C that flows into its
    columns.
    """

    rows: float  # without the bias row
    bias: float
    charge: float = 0.0


def current(cells: Channel, states: np.ndarray, volts: np.ndarray) -> np.ndarray:
    """Return the absolute value of the currents in A through the channels of `cells`. States are
    `states` (V), rows are at `volts` (of any sign), columns at 0 V; all broadcast.

    At negative voltages the channel's terminal at the row is its source.
    """
    low = np.minimum(volts, 0.0)
    return np.where(
        volts < 0,
        channel_current(cells, raised_state(cells, states, low) - low, -low),
        read_current(cells, states, np.maximum(volts, 0.0)),
    )


def _held(
    cells: Channel,
    states: np.ndarray,
    volts: np.ndarray,
    seconds: FloatOrArray,
    ramps: FloatOrArray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the energies in J and the charges in C of cells at `volts` for `seconds`, and on
    straight ramps from or to 0 V that take `ramps` s together. All arguments broadcast, and the
    results have their common shape.
    """
    energy, charge = np.zeros(()), np.zeros(())
    for share, time in (
        (1.0, seconds),
        *((s, w * ramps) for s, w in zip(NODES, WEIGHTS, strict=True)),
    ):
        amperes = current(cells, states, share * volts) * time
        energy, charge = energy + np.abs(share * volts) * amperes, charge + amperes
    return energy, charge


def _drawn(
    layer: Layer, states: np.ndarray, volts: np.ndarray, seconds: FloatOrArray, ramps: FloatOrArray
) -> Drawn:
    """Return the energies and the charge (`Drawn`) of rows at `volts` (rows) in a layer with these
    `states` (columns x rows, V); `seconds` and `ramps` (s) as in `_held`.
    """
    cells = Cells.of(layer.memristor, layer.devices.cells)
    energy, charge = (values.sum(axis=0) for values in _held(cells, states, volts, seconds, ramps))
    if layer.bias is None:
        return Drawn(float(energy.sum()), 0.0, float(charge.sum()))
    last = [float(np.broadcast_to(value, len(volts))[-1]) for value in (volts, seconds, ramps)]
    siemens = layer.neurons * layer.bias * layer.neuron.threshold
    siemens /= layer.neuron.transresistance * layer.row_voltage
    resistors = siemens * last[0] ** 2 * (last[1] + last[2] / 3)
    through = siemens * abs(last[0]) * (last[1] + last[2] / 2)
    return Drawn(
        float(energy[:-1].sum()), float(energy[-1]) + resistors, float(charge.sum()) + through
    )


def shown(network: Network, image: np.ndarray, times: Arrays, stop: float) -> list[np.ndarray]:
    """Return the levels of each layer's rows, without a bias row, in each of its reads.

    The arrays are reads x rows: pixels, above the first layer 1 for a row that rises before the end
    of the read. Arguments are as in `read_energies`.
    """
    result = [network.design.read_levels(image)]
    result += [
        1.0 * (below < read_end(layer, stop))
        for layer, below in zip(network.layers[1:], times, strict=False)
    ]
    each = zip(network.layers, result, strict=True)
    return [np.atleast_2d(layer.kind.windows(levels)) for layer, levels in each]


def read_end(layer: Layer, stop: float) -> float:
    """Return the end in s of each read of a layer: the window if it reads patches, else `stop`."""
    return layer.window if len(layer.kind.patches) else stop


def read_energies(network: Network, image: np.ndarray, times: Arrays, stop: float) -> list[Drawn]:
    """Return a list with the energies and the charge (`Drawn`) of each layer in a read.

    Parameters
    ----------
    network : Network
    image : array, inputs, levels 0 to 1
    times : tuple of arrays, neurons, s
        First spikes of each layer.
    stop : float, s
        End of the read. The rows of the paper's layer then fall, because the image ends. The
        patches of a convolution are read earlier, each for the window. Afterwards the layers above
        read the spikes that the latches have kept, up to `stop`.
    """
    design, result = network.design, []
    levels_of = shown(network, image, times, stop)
    for k, (layer, states) in enumerate(zip(network.layers, network.states, strict=True)):
        # Only rows at a level above 0 count, as if the rows of all reads were in one crossbar.
        levels, end = levels_of[k], read_end(layer, stop)
        read, row = np.nonzero(levels)
        volts = levels[read, row]
        rise = design.rise * (1 + (network.paper or len(levels) > 1))
        seconds, ramps = np.full(len(row), end - design.rise), np.full(len(row), rise)
        if k:
            on = layer.kind.windows(end - np.where(times[k - 1] < end, times[k - 1], end))
            seconds = np.maximum(np.atleast_2d(on)[read, row] - OUTPUT_EDGE / 2, 0.0)
            ramps = np.full(len(row), OUTPUT_EDGE)
        if layer.bias is not None:  # its row is high in every read
            row, volts = np.append(row, layer.rows - 1), np.append(volts, 1.0)
            seconds = np.append(seconds, len(levels) * (end - design.rise))
            ramps = np.append(ramps, len(levels) * rise)
        states = layer.with_reference(states)[:, row]
        layer = dataclasses.replace(layer, devices=layer.devices.of_rows(row))
        result.append(_drawn(layer, states, layer.row_voltage * volts, seconds, ramps))
    return result


def write_energies(network: Network, layer: int, dose: ColumnDose) -> tuple[Drawn, float]:
    """Return energies and charges (`Drawn`) of a layer of emulators in the write of one column, and
    the duration of the write in s.

    Writes of the paper's layer change X by volts, so power is integrated while X changes. Other
    writes are so small that the change of X is neglected.
    """
    own, states = network.layers[layer], network.layers[layer].with_reference(network.states[layer])
    seconds = dose.dose / own.write_rate
    if network.paper:
        sign, pulse = float(np.sign(seconds)), abs(seconds)
        rise = min(network.design.rise, PULSE_EDGES * pulse)
        volts = sign * own.write_voltage * dose.shares
        path, parts = sign * own.write_law(pulse)[1] * own.write_rate * dose.shares, []
        for node in PATH[0]:
            moved = states.copy()
            moved[dose.column] += (1 + node) / 2 * path
            parts.append(_drawn(own, moved, volts, pulse - rise, 2 * rise))
        return Drawn(*(PATH[1] / 2 @ np.array(parts))), pulse + 2 * rise
    ones = np.ones(own.rows)
    levels, high = (ones, dose.shares) if own.timed else (dose.shares, ones)
    pulse, levels, window = lengthened(seconds, levels, high)
    if window == 0:
        return Drawn(0.0, 0.0), 0.0
    edge = WRITE_EDGE * window
    up = np.where(high < high.max(), 1.5 * edge, 2.5 * edge) + abs(pulse) * high
    on = (high > 0) * 1.0
    volts = np.sign(pulse) * levels * own.write_voltage
    return _drawn(own, states, volts, on * up, on * 2 * edge), 7 * edge + window


def back_read_energy(network: Network, layer: int, errors: np.ndarray) -> float:
    """Return the energy in J that the drivers of a layer's columns deliver in a back-read of
    `errors` (neurons).
    """
    own = network.layers[layer]
    cells = Cells.of(own.memristor, own.devices.cells).at(slice(None), slice(-1))
    volts = (own.back_voltage * own.synapses.errors(errors))[:, None]
    states = own.with_reference(network.states[layer])[:, :-1]
    return float(_held(cells, states, volts, BACK_STOP - BACK_RISE, BACK_RISE)[0].sum())


# Measured devices


def device_of(network: Network) -> MeasuredDevice | None:
    """Return the measured device, one of the presets, whose emulator is in the cells of a network.
    None if no preset fits.
    """
    if not network.pulses:
        return None
    return next(
        (
            device
            for device in PRESETS.values()
            if emulator(device).memristor == network.parameters.memristor
        ),
        None,
    )


def joules_per_siemens(device: MeasuredDevice) -> tuple[float, float]:
    """Return V^2 t in J/S of a pulse of the laboratory, first downwards, then upwards."""
    return (
        device.voltage_down**2 * device.width_down,
        device.voltage_up**2 * device.width_up,
    )


def write_costs(device: MeasuredDevice, counts: Counts) -> dict[str, float]:
    """Return a dict with the costs of all writes in a training.

    It holds the mean and the largest number of pulses of a cell, the energy in J, and the number of
    column writes. It also holds the share of cells with more pulses than a device endures
    (`Technology`). Devices with one gradual direction also have their refreshes.

    A pulse takes the energy V^2 G t, and the energy of supplies within the cell. V and t are
    voltage and width of the pulses with which the device was measured. G is the conductance of the
    cell before the write, at the read voltage.
    """
    pulses = np.concatenate([layer.sum(axis=0).ravel() for layer in counts.pulses])
    per_siemens = joules_per_siemens(device)
    energy = device.supply_energy * float(pulses.sum()) + sum(
        float(siemens.sum()) * factor
        for layer in counts.conducted
        for siemens, factor in zip(layer, per_siemens, strict=True)
    )
    refreshes = {}
    if device.one_sided:  # an abrupt pulse each
        abrupt = [
            counted[0 if device.one_sided.sign > 0 else 1].ravel() for counted in counts.pulses
        ]
        refreshes = {"refreshes_per_cell": float(np.concatenate(abrupt).mean())}
    return {
        **refreshes,
        "pulses_per_cell": float(pulses.mean()),
        "most_pulses": float(pulses.max()),
        "write_energy_J": energy,
        "column_writes": sum(float(layer.sum()) for layer in counts.writes),
        "share_beyond_endurance": float((pulses > Technology().endurance).mean()),
    }
