"""The closed form of reading and writing a crossbar: exact to nanoseconds, without a simulator (docs/closed_form.md).

A column's current stands still once the input has risen: the channels' square law at gate voltages that the input has lifted.
Membranes are then exponentials, and spikes are logarithms. All shapes may have leading axes for chips that differ from each
other: states are ... x classes x inputs, and so may be the arrays of `Cells`; those of `Neurons` are ... x classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from memristive.single_layer.setup import Schedule, Setup, Values, check_levels, check_write, write_window
from memristive.spice.parameters import ParameterError
from memristor import MemristorParameters, first_write_offset, raised_state, read_current, trained_state
from snn_circuit import CellValues, NeuronParameters, NeuronValues, Wires

# Column currents are needed while the input is at these shares of its level (Gauss and Legendre's nodes for its edge), at the
# level, and a little below it: for the column's conductance.
NODES, WEIGHTS = (values / 2 for values in np.polynomial.legendre.leggauss(3))
SHARES = np.array([*(0.5 + NODES), 1.0, 1.0])
BELOW = np.array([0.0, 0.0, 0.0, 0.0, 1e-3])  # V
GRAZING = 2e-3  # a membrane that settles within this share of its threshold: the spike time hangs on the last digit of it
SLOWEST_EDGE = 1.0  # of the time constant: the longest edge for which the nodes are good for nanoseconds
LEAST_GAIN = 1e4  # of the op-amps, whose errors are kept to first order: leads are off by 0.1 us at 1e3
LARGEST_DROP = 0.3e-5  # (Rout/Rf + Rout/Rstage) / gain, left out of the column's voltage: spikes are off by tens of ns
SLOWEST_GATE = 1e-6  # V s, C_gate / (Kp W/L): spikes are off by 50 ns, for the charge that gates push into columns
LARGEST_CAPACITOR = 3.0  # of C_gate: at 20 spikes are off by 5 to 40 ns, near the threshold by 2 us
MANY = 50  # images from which a table of all currents pays
BATCH = 2000  # images at a time, so that memory stays flat
LEVELS = 1024  # different pixel levels up to which cells' currents are tabulated


@dataclass(frozen=True)
class Arrays:
    """Base of frozen dataclasses whose fields are floats or arrays."""

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> Self:
        """A copy with `change` made to every array; floats, which broadcast anyway, stay."""
        arrays = {name: change(value) for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return dataclasses.replace(self, **arrays) if arrays else self


@dataclass(frozen=True)
class Cells(Arrays):
    """What a crossbar's cells are: floats, or arrays that broadcast against its states (... x classes x inputs)."""

    gain: Values  # A/V^2, Kp W/L of the channel
    threshold_voltage: Values  # V, Vto of the channel
    transconductance: Values  # S, K, the write gain
    capacitance: Values  # F, the explicit memory capacitor C
    gate_capacitance: Values  # F, of the channel's own gate
    leak_resistance: Values  # ohm

    @classmethod
    def of(cls, parameters: MemristorParameters, own: CellValues | None = None) -> Cells:
        """Cells that are all alike, but for what those of a chip have of their `own`."""
        alike = cls(*(getattr(parameters, field.name) for field in dataclasses.fields(cls)))
        return dataclasses.replace(alike, **vars(own)) if own else alike

    @property
    def memory_capacitance(self) -> Values:
        """All that the transconductance charges, C + C_gate, in F."""
        return self.capacitance + self.gate_capacitance

    @property
    def write_time_constant(self) -> Values:
        """R_leak (C + C_gate) in s: how fast a cell that is written forgets."""
        return self.leak_resistance * self.memory_capacitance


@dataclass(frozen=True)
class Neurons(Arrays):
    """What a crossbar's neurons are: floats, or arrays that broadcast against ... x classes."""

    feedback_resistance: Values  # ohm, of the summing stage: volts per column ampere
    membrane_gain: Values  # settled membrane voltage per volt of the summing stage
    amplifier_gain: Values  # of the summing stage's op-amp, which leaves the column at 1 / gain of its output
    rail: Values  # V, the most that the two stages give
    threshold: Values  # V, of the membrane
    time_constant: Values  # s, of the membrane
    dropped: Values = 0.0  # of a stage's output, by its op-amp's output resistance

    @classmethod
    def of(cls, parameters: NeuronParameters, own: NeuronValues | None = None) -> Neurons:
        """Return neurons that are all alike, except for the values in `own`."""
        p = parameters
        # An inverting op-amp of finite gain lacks its noise gain / gain: 1 in the summing, 3 in the inverting stage; its output
        # resistance adds what it drops.
        lacking = (4 * (1 + p.amplifier_output_resistance / p.stage_resistance)
                   + p.amplifier_output_resistance / p.feedback_resistance) / p.amplifier_gain
        alike = cls(p.feedback_resistance, p.membrane_gain / (1 + lacking), p.amplifier_gain,
                    float(p.highest_drive(p.feedback_resistance)), p.threshold, p.time_constant,
                    p.amplifier_output_resistance * (1 / p.feedback_resistance + 1 / p.stage_resistance))
        return dataclasses.replace(
            alike, threshold=own.threshold, feedback_resistance=own.feedback_resistance,
            rail=p.highest_drive(own.feedback_resistance),
            time_constant=p.membrane_resistance * own.membrane_capacitance) if own else alike


@dataclass(frozen=True)
class Race(Arrays):
    """What the neurons do while images are presented; every array is ... x images x classes."""

    settled: np.ndarray  # V, where the membrane would settle
    risen: np.ndarray  # V, the membrane at the end of the input's edge
    spikes: np.ndarray  # s after the pulse's start, nan for silent neurons
    railed: np.ndarray  # the stages are at their rail: the spike is good to 1 % of the threshold's distance, no better
    grazing: np.ndarray  # settles so near to its threshold that its spike, or silence, is not to be relied on
    early: np.ndarray  # fires within the input's edge: a rough time

    @property
    def doubtful(self) -> np.ndarray:
        """Where the form does not hold to nanoseconds."""
        return self.railed | self.grazing | self.early


@dataclass(frozen=True)
class Crossbar:
    """A crossbar with its neurons and pulses in closed form."""

    cells: Cells
    neurons: Neurons
    schedule: Schedule
    phi_share: float  # the write switch's threshold as a share of phi

    @classmethod
    def of(cls, setup: Setup) -> Crossbar:
        """Return the crossbar of a `setup`; raise ParameterError if its wires have resistance.

        Then columns depend on each other, and there is no closed form.
        """
        if setup.devices.wires != Wires():
            raise ParameterError("row_resistance and column_resistance have no closed form; use ngspice")
        return cls(Cells.of(setup.memristor, setup.devices.cells), Neurons.of(setup.neuron, setup.devices.neurons),
                   setup.schedule, setup.memristor.switch_threshold / setup.schedule.phi_voltage)

    @cached_property
    def for_images(self) -> tuple[Neurons, np.ndarray]:
        """The neurons with an axis for images, and what the drive at each of `NODES` adds to the membrane by the edge's end."""
        neurons, rise = self.neurons.map(lambda values: values[..., None, :]), self.schedule.rise
        shares = (rise / np.asarray(neurons.time_constant))[None]
        nodes, weights = (values.reshape(-1, *[1] * (shares.ndim - 1)) for values in (NODES, WEIGHTS))
        edge = weights * shares * np.exp(-shares * (0.5 - nodes))
        return neurons, edge if edge.ndim > 1 else edge[:, None, None]

    @property
    def holds(self) -> bool:
        """Whether parameters are such that it is good for nanoseconds."""
        return not self.doubts

    @property
    def doubts(self) -> list[str]:
        """What keeps it from being good for nanoseconds, whatever the images, with the options that would have to change."""
        gate, gain = np.asarray(self.cells.gate_capacitance), np.min(self.neurons.amplifier_gain)
        return [doubt for doubt, applies in (
            ("the input's edge (schedule.rise) is longer than the membranes' time constant",
             np.any(self.schedule.rise > SLOWEST_EDGE * np.asarray(self.neurons.time_constant))),
            (f"the op-amps' gain (neuron.amplifier_gain) is below {LEAST_GAIN:g}", gain < LEAST_GAIN),
            ("the op-amps' output resistance (neuron.amplifier_output_resistance) lifts the columns",
             np.max(self.neurons.dropped) / gain > LARGEST_DROP),
            ("the channels take long to charge their own gates (memristor.length, kp, oxide_thickness)",
             np.max(gate / self.cells.gain) > SLOWEST_GATE),
            ("the memory capacitor (memristor.capacitance) holds the gates where they are, though their columns move",
             np.max(self.cells.capacitance / gate) > LARGEST_CAPACITOR),
        ) if applies]

    def first_spikes(self, states: np.ndarray, images: np.ndarray) -> np.ndarray:
        """First spike times in s (... x images x classes), nan for silent neurons; arguments as in `race`."""
        return self.race(states, images).spikes

    def race(self, states: np.ndarray, images: np.ndarray, jitter: Values = 0.0) -> Race:
        """Present `images` (n x inputs, levels 0 to 1) to cells in `states` (... x classes x inputs, V).

        `jitter` in V (... x images x classes) moves the thresholds: read noise. Raises ParameterError for images that do not
        fit the states, or with other levels.
        """
        check_levels("images", images, np.shape(states)[-1])
        return self._race(np.concatenate(list(self._currents(states, images)), axis=-2), jitter)

    def read(self, states: np.ndarray, image: np.ndarray) -> Race:
        """As `race`, for one image (inputs). The arrays are ... x classes."""
        return self.race(states, image[None]).map(lambda values: values[..., 0, :])

    def with_jitter(self, jitter: np.ndarray) -> Crossbar:
        """The crossbar for one read with noise: its thresholds are off by `jitter` in V (... x classes)."""
        return dataclasses.replace(self, neurons=dataclasses.replace(self.neurons, threshold=self.neurons.threshold + jitter))

    def _driven_currents(self, states: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Column currents in A (SHARES x ... x classes) while the input is at each of `SHARES` of its level, less `BELOW`."""
        driven = image.nonzero()[0]
        cells = self.cells.map(lambda values: values[..., driven] if np.shape(values)[-1] > 1 else values)
        axes = (-1, *[1] * states.ndim)
        volts = np.maximum(SHARES.reshape(axes) * (self.schedule.input_voltage * image[driven]) - BELOW.reshape(axes), 0.0)
        return read_current(cells, states[..., driven], volts).sum(axis=-1)

    def _currents(self, states: np.ndarray, images: np.ndarray) -> Iterator[np.ndarray]:
        """As `_driven_currents` for batches of `images`: SHARES x ... x images x classes.

        Few pixel levels, as in 8-bit images: every cell's current at every level is tabulated, and a batch is one product
        of a sparse matrix (which pixel has which level) with the table.
        """
        levels = np.unique(images) if len(images) >= MANY else np.array([])
        levels = levels[levels != 0]
        if not 0 < len(levels) <= LEVELS:
            for image in images:
                yield self._driven_currents(states, image)[..., None, :]
            return
        from scipy.sparse import csr_array  # here, since loading it takes longer than a page's few reads
        cells = self.cells.map(lambda values: values[..., None])
        tables = [read_current(cells, states[..., None], np.maximum(share * self.schedule.input_voltage * levels - below, 0.0))
                  for share, below in zip(SHARES, BELOW, strict=True)]
        *leading, classes, inputs, _ = tables[0].shape
        flat = np.concatenate([table.reshape(-1, inputs * len(levels)) for table in tables]).T
        for first in range(0, len(images), BATCH):
            batch = images[first:first + BATCH]
            image, pixel = np.nonzero(batch)
            place = pixel * len(levels) + np.searchsorted(levels, batch[image, pixel])
            which = csr_array((np.ones(len(place)), (image, place)), shape=(len(batch), inputs * len(levels)))
            yield np.moveaxis((which @ flat).reshape(len(batch), len(SHARES), *leading, classes), 0, -2)

    def _race(self, currents: np.ndarray, jitter: Values = 0.0) -> Race:
        """From column currents (SHARES x ... x images x classes) to spikes."""
        neurons, edge = self.for_images
        tau, threshold = neurons.time_constant, neurons.threshold + jitter
        # The column is not quite at ground: its conductance takes some of its current.
        conductance = (currents[-2] - currents[-1]) / BELOW[-1]
        resistance = neurons.feedback_resistance / (1 + neurons.feedback_resistance * conductance / neurons.amplifier_gain)
        stages = resistance * currents[:-1]
        drive = neurons.membrane_gain * np.minimum(stages, neurons.rail)
        settled = drive[-1]
        # Neurons may have fewer axes than cells, whose chips differ: the axis of NODES stays the first.
        risen = (edge.reshape(len(edge), *[1] * (drive.ndim - edge.ndim), *edge.shape[1:]) * drive[:-1]).sum(axis=0)
        early, over = risen > threshold, settled - threshold
        with np.errstate(divide="ignore", invalid="ignore"):
            spikes = self.schedule.rise + tau * np.log((settled - risen) / over)
            if early.any():  # currents grow about linearly over the edge, membranes with the square of time
                spikes = np.where(early, self.schedule.rise * np.sqrt(threshold / risen), spikes)
        spikes[~((over > 0) & (spikes <= self.schedule.pulse))] = np.nan
        return Race(settled, risen, spikes, stages[-1] >= neurons.rail, np.abs(over) < GRAZING * threshold, early)

    def column(self, j: int) -> Cells:
        """The cells of class j."""
        return self.cells.map(lambda values: values[..., j if values.shape[-2] > 1 else 0, :] if values.ndim > 1 else values)

    def write(self, states: np.ndarray, image: np.ndarray, sign: int, pulse: Values, cells: Cells | None = None) -> np.ndarray:
        """`states` (... x inputs, V) after one write of `image` (... x inputs, 0 to 1): up, or down if `sign` is -1.

        dX/dt = (K V - X' / R_leak) / (C + C_gate) while phi is above the switch's threshold, with X' the lifted gate and V the
        mean input over that window: exact for a channel that conducts, as the gate's charge is then (C + C_gate) X. `pulse` in
        s (broadcasts). `cells`: those of the written columns, needed where cells differ (`column`). Raises ParameterError for an
        image or a pulse that is none.
        """
        check_write(states, image, pulse)
        cells = cells or self.cells
        window, area = write_window(pulse, self.phi_share)
        volts = sign * self.schedule.input_voltage * np.asarray(image, float)
        lift = raised_state(cells, states, volts) - states
        charged = cells.transconductance * cells.leak_resistance * volts * (area / window) - lift
        return states + (charged - states) * self.forgotten(cells, window)

    @staticmethod
    def forgotten(cells: Cells, window: Values) -> np.ndarray:
        """The share of X that `cells` lose to their leak while they are written for a `window` in s."""
        return -np.expm1(-window / np.asarray(cells.write_time_constant))


def hebbian_state(setup: Setup) -> float:
    """Return X in V of a full pixel after a Hebbian write from X = 0, with edges, leak, lifted gate and first-write offset."""
    memristor, schedule = setup.memristor, setup.schedule
    share = memristor.switch_threshold / schedule.phi_voltage
    window, area = schedule.pulse + schedule.rise * (1 - 2 * share), schedule.pulse - schedule.rise * share**2
    final = float(trained_state(memristor, schedule.input_voltage, area))
    lift = float(raised_state(memristor, final / 2, schedule.input_voltage)) - final / 2
    tau = memristor.write_time_constant
    return -(final * tau / window - lift) * float(np.expm1(-window / tau)) + first_write_offset(memristor)
