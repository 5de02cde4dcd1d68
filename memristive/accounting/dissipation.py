"""Energies of reads, back-reads and writes in closed form: the channels' currents times their
voltages.

Tests measure the same energies in ngspice. Rows rise and fall in straight lines. Over such a
line a Gauss-Legendre quadrature with three points (`NODES` and `WEIGHTS` of
`memristive.closed_form.neuron`) integrates the power. A measured device is written by the pulses of
the laboratory, not by those of the emulator that stands for it in ngspice.
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
    """Return the absolute value of the currents in A through the channels of `cells` at `states`
    (V), with rows at `volts` (of any sign) and columns at 0 V; all broadcast.

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
    of: Layer, states: np.ndarray, volts: np.ndarray, seconds: FloatOrArray, ramps: FloatOrArray
) -> Drawn:
    """Return the energies and the charge (`Drawn`) of rows at `volts` (rows) in a layer with these
    `states` (columns x rows, V); `seconds` and `ramps` (s) as in `_held`.
    """
    cells = Cells.of(of.memristor, of.devices.cells)
    energy, charge = (found.sum(axis=0) for found in _held(cells, states, volts, seconds, ramps))
    if of.bias is None:
        return Drawn(float(energy.sum()), 0.0, float(charge.sum()))
    last = [float(np.broadcast_to(value, len(volts))[-1]) for value in (volts, seconds, ramps)]
    siemens = of.neurons * of.bias * of.neuron.threshold
    siemens /= of.neuron.transresistance * of.row_voltage
    resistors = siemens * last[0] ** 2 * (last[1] + last[2] / 3)
    through = siemens * abs(last[0]) * (last[1] + last[2] / 2)
    return Drawn(
        float(energy[:-1].sum()), float(energy[-1]) + resistors, float(charge.sum()) + through
    )


def shown(network: Network, image: np.ndarray) -> np.ndarray:
    """Return the levels of the first layer's rows in each read of an image (reads x rows)."""
    levels = network.layers[0].kind.windows(network.read_levels(image[None])[0])
    return np.atleast_2d(levels)


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
    for k, (of, states) in enumerate(zip(network.layers, network.states, strict=True)):
        # the image, and the bias row of every layer
        seconds = np.full(of.rows, stop - design.rise)
        ramps = np.full(of.rows, design.rise * (1 + network.paper))
        levels, states = np.ones(of.rows), of.with_reference(states)
        if k:
            on = stop - np.where(times[k - 1] < stop, times[k - 1], stop)
            seconds[:-1], ramps[:-1] = np.maximum(on - OUTPUT_EDGE / 2, 0.0), OUTPUT_EDGE * (on > 0)
        elif len(of.kind.patches):
            # Each patch lasts for the window. Only rows at a level above 0 count, as if those of
            # all patches were rows of one crossbar. The bias row is high in every patch.
            patches = shown(network, image)
            patch, row = np.nonzero(patches[:, :-1])
            rows, levels = np.append(row, of.rows - 1), np.append(patches[patch, row], 1.0)
            high = np.append(np.ones(len(row)), len(patches))
            seconds, ramps = high * (of.window - of.rise), high * 2 * of.rise
            states, of = states[:, rows], dataclasses.replace(of, devices=of.devices.of_rows(rows))
        else:
            levels = shown(network, image)[0]
        result.append(_drawn(of, states, of.row_voltage * levels, seconds, ramps))
    return result


def write_energies(network: Network, layer: int, dose: ColumnDose) -> tuple[Drawn, float]:
    """Return energies and charges (`Drawn`) of a layer of emulators in the write of one column, and
    the duration of the write in s.

    Writes of the paper's layer change X by volts, so power is integrated while X changes. Other
    writes are so small that the change of X is neglected.
    """
    of, states = network.layers[layer], network.layers[layer].with_reference(network.states[layer])
    seconds = dose.dose / of.write_rate
    if network.paper:
        sign, pulse = float(np.sign(seconds)), abs(seconds)
        rise = min(network.design.rise, PULSE_EDGES * pulse)
        volts = sign * of.write_voltage * dose.shares
        path, found = sign * of.write_law(pulse)[1] * of.write_rate * dose.shares, []
        for node in PATH[0]:
            moved = states.copy()
            moved[dose.column] += (1 + node) / 2 * path
            found.append(_drawn(of, moved, volts, pulse - rise, 2 * rise))
        return Drawn(*(PATH[1] / 2 @ np.array(found))), pulse + 2 * rise
    ones = np.ones(of.rows)
    levels, high = (ones, dose.shares) if of.timed else (dose.shares, ones)
    pulse, levels, window = lengthened(seconds, levels, high)
    if window == 0:
        return Drawn(0.0, 0.0), 0.0
    edge = WRITE_EDGE * window
    up = np.where(high < high.max(), 1.5 * edge, 2.5 * edge) + abs(pulse) * high
    on = (high > 0) * 1.0
    volts = np.sign(pulse) * levels * of.write_voltage
    return _drawn(of, states, volts, on * up, on * 2 * edge), 7 * edge + window


def back_read_energy(network: Network, layer: int, errors: np.ndarray) -> float:
    """Return the energy in J that the drivers of a layer's columns deliver in a back-read of
    `errors` (neurons).
    """
    of = network.layers[layer]
    cells = Cells.of(of.memristor, of.devices.cells).at(slice(None), slice(-1))
    volts = (of.back_voltage * of.synapses.errors(errors))[:, None]
    states = of.with_reference(network.states[layer])[:, :-1]
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
    """Return a dict with the costs of all writes in a training: mean and largest number of pulses
    of a cell, energy in J, number of column writes, and the share of cells with more pulses than a
    device endures (`Technology`); of devices with one gradual direction also the refreshes.

    A pulse takes the energy V^2 G t. V and t are voltage and width of the pulses with which the
    device was measured. G is the conductance of the cell before the write, at the read voltage.
    """
    pulses = np.concatenate([layer.sum(axis=0).ravel() for layer in counts.pulses])
    per_siemens = joules_per_siemens(device)
    energy = sum(
        float(siemens.sum()) * factor
        for layer in counts.conducted
        for siemens, factor in zip(layer, per_siemens, strict=True)
    )
    refreshes = {}
    if device.one_sided:  # an abrupt pulse each
        abrupt = [of[0 if device.one_sided.sign > 0 else 1].ravel() for of in counts.pulses]
        refreshes = {"refreshes_per_cell": float(np.concatenate(abrupt).mean())}
    return {
        **refreshes,
        "pulses_per_cell": float(pulses.mean()),
        "most_pulses": float(pulses.max()),
        "write_energy_J": energy,
        "column_writes": sum(float(layer.sum()) for layer in counts.writes),
        "share_beyond_endurance": float((pulses > Technology().endurance).mean()),
    }
