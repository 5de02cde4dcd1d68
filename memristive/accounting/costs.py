"""Costs of a network: the ledger of an inference, of an error and of a training, with latency, wear
and area (docs/costs.md).

All energies are computed in closed form. In tests with small networks totals agree with ngspice
within 1 %, single parts within 3 %.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from memristive.accounting import dissipation
from memristive.closed_form.kernel_arrays import Arrays, Seen
from memristive.devices.measured_device import MeasuredDevice
from memristive.engines.ngspice_layer import BACK_STOP
from memristive.learning import rule as rules
from memristive.learning.rule import Rule
from memristive.learning.training import Learning, corrected_layers, train
from memristive.ledger import (
    ASSUMED,
    COMPUTED,
    SELECTED,
    Ledger,
    Line,
    Technology,
    mean,
    stage_load,
    wire_lines,
)
from memristive.network.layer import Layer
from memristive.network.networks import KernelArrays, Network, read_generator
from memristive.scores.decisions import RESOLUTION, end_of_read, first_two
from memristive.writing.at_once import ColumnDose
from memristive.writing.base import Due, Laboratory, Plan, Write
from memristive.writing.pulses import Counts, no_counts
from memristive.writing.ways import kernel_ways

SEGMENTS, SAMPLES = 20, 12  # of a training, and images in each of them whose costs are computed
SEARCHED = 500  # images among which errors are looked for
NO_AMPLIFIER = np.zeros(2)  # number, bias current in A


@dataclass(frozen=True)
class Correction:
    """Consequences of one error. Each is a list with an entry for each layer.

    `errors` holds the errors of the neurons, or of the outputs of a convolution. `back_reads` holds
    the errors of the columns in each back-read, and `writes` the writes of the columns.

    If synapses write late or if gates set the levels, `doses` holds the doses of the capacitors:
    the size of each dose in V, with the shares of the rows. `writes` then holds the pulses of the
    devices, or the writes at their gates.
    """

    errors: list[np.ndarray]
    back_reads: list[list[np.ndarray]]
    writes: list[list[Write]]
    doses: list[list[tuple[float, np.ndarray]]]


@dataclass(frozen=True)
class Accounts:
    """Values that a ledger needs beside the network.

    Parameters
    ----------
    technology : Technology
    device : MeasuredDevice, optional
        Device whose pulses in the laboratory write the cells; None: the emulator's pulses.
    """

    technology: Technology = Technology()
    device: MeasuredDevice | None = None

    # Reads

    def read(self, network: Network, image: np.ndarray, times: Arrays, stop: float) -> Ledger:
        """Return the ledger of a read up to `stop` s. Its times are those until the decision (the
        first output spike) and until the end; both include the reads of all patches.

        `times`: first spikes of each layer in s.
        """
        technology, layers = self.technology, network.layers
        drawn = dissipation.read_energies(network, image, times, stop)
        tau = network.parameters.neuron.time_constant
        kept = [len(layer.kind.patches) * layer.neurons for layer in layers]
        before = [layer.kind.before(network.design.window, tau) for layer in layers]
        charged = technology.line_capacitance * layers[0].row_voltage ** 2
        lines, *hidden = (
            charged * layer.width * float(np.square(levels).sum())
            for layer, levels in zip(
                layers, dissipation.shown(network, image, times, stop), strict=True
            )
        )
        biased = charged * sum(
            layer.width * max(1, len(layer.kind.patches))
            for layer in layers
            if layer.bias is not None
        )
        amplifiers = [self.amplifiers(network, k) for k in range(len(layers))]
        membranes = 0.0
        capacitance = technology.neuron_capacitance / tau
        for layer, of_neurons in zip(layers, times, strict=True):
            # the current into a membrane that settles twice above the threshold, or not at all
            fired = np.sum(of_neurons < stop)
            membranes += 2 * layer.neuron.threshold * capacitance * stop * float(fired)
        seconds = float(np.nanmin(np.append(times[-1], stop)))
        return Ledger.of(
            [
                Line("read: array, rows of the image", drawn[0].rows, COMPUTED, True),
                Line("read: array, bias rows", sum(d.bias for d in drawn), COMPUTED, True),
                Line(
                    "read: array, rows of hidden neurons",
                    sum(d.rows for d in drawn[1:]),
                    COMPUTED,
                    False,
                    "the neurons' outputs drive these rows",
                ),
                *wire_lines("read", lines + biased, sum(hidden)),
                self._bias("read", sum(amplifiers, NO_AMPLIFIER), stop),
                *(
                    self._bias("patches", own, seconds)
                    for own, seconds in zip(amplifiers, before, strict=True)
                    if seconds
                ),
                Line(
                    "patches: kept spikes",
                    sum(kept) * technology.comparator_energy,
                    ASSUMED,
                    False,
                    "one comparison of each kernel with the earliest spike of its region",
                ),
                Line(
                    "patches: kept positions",
                    sum(
                        count * layer.kind.position_bits
                        for count, layer in zip(kept, layers, strict=True)
                    )
                    * technology.memory_energy,
                    ASSUMED,
                    False,
                    "at most one for each comparison; only learning needs them",
                ),
                self._currents("read", sum(d.charge for d in drawn)),
                Line(
                    "read: membranes",
                    membranes * technology.supply,
                    ASSUMED,
                    False,
                    "twice the current of the threshold, for each neuron that fires",
                ),
            ],
            {"decision": sum(before) + seconds, "read": sum(before) + stop},
        )

    def amplifiers(self, network: Network, k: int) -> np.ndarray:
        """Return two numbers: the op-amps that read layer `k`, and the sum of their bias currents
        in A.

        The output stage of a summing stage must outweigh all cells of its column. A trigger drives
        nothing.
        """
        layer, technology = network.layers[k], self.technology
        stage, loads = 1 / technology.stage_resistance, layer.stage_loads(network.states[k])
        loads[: layer.neurons] += 1 / layer.bias_resistance
        summing = stage_load(loads, 1 / layer.neuron.feedback_resistance, stage)
        inverting = layer.neurons * stage_load(2 * stage, stage)
        inverting += layer.stages * stage_load(stage, stage, layer.fed * stage)
        number = _amplifiers(layer)
        output = technology.output_stage_current(float(summing.sum()) + inverting)
        return np.array([number, number * technology.first_stage_current + output])

    def _bias(self, phase: str, amplifiers: np.ndarray, seconds: float) -> Line:
        number, amperes = amplifiers.tolist()
        return Line(
            f"{phase}: amplifiers, bias",
            amperes * self.technology.supply * seconds,
            ASSUMED,
            False,
            f"bias current of {number:g} amplifiers, ideal in the circuit",
        )

    def _currents(self, phase: str, charge: float) -> Line:
        return Line(
            f"{phase}: amplifiers, column currents",
            charge * self.technology.supply,
            ASSUMED,
            False,
            "an op-amp takes its column's current from its supply",
        )

    # Errors

    def correct(self, network: Network, correction: Correction) -> Ledger:
        """Return the ledger of the back-reads and writes of an error."""
        parts = [self._back_reads(network, correction.back_reads)]
        for k, (writes, doses) in enumerate(zip(correction.writes, correction.doses, strict=True)):
            layer = network.layers[k]
            if network.pulses is None:
                groups = _with_equal_rows(writes, not layer.timed)
                parts += [self._write(network, k, group) for group in groups]
            else:
                parts += network.way.ledgers(
                    self.technology, self.pulse_of(network), layer, network.states[k], writes, doses
                )
            bits = layer.kind.position_bits * np.count_nonzero(correction.errors[k])
            joules, note = (
                bits * self.technology.memory_energy,
                "of the patches that are played again",
            )
            parts.append(Ledger.of([Line("write: positions", joules, ASSUMED, False, note)]))
        return sum(parts, Ledger())

    def _back_reads(self, network: Network, errors: list[list[np.ndarray]]) -> Ledger:
        """Return the ledger of the back-reads of an error. `errors`: as `Correction.back_reads`."""
        parts = []
        for k, of_layer in enumerate(errors):
            layer, technology = network.layers[k], self.technology
            # a stage at each row, which all cells of the row load
            loads = float(layer.stage_loads(network.states[k], slice(layer.inputs)).sum())
            output = technology.output_stage_current(loads)
            amperes = layer.inputs * technology.first_stage_current + output
            for own in of_layer:
                volts = layer.back_voltage * layer.synapses.errors(own)
                lines = technology.line_capacitance * layer.rows * float(volts @ volts)
                joules = dissipation.back_read_energy(network, k, own)
                parts.append(
                    Ledger.of(
                        [
                            Line("back-read: array", joules, COMPUTED, True),
                            *wire_lines("back-read", lines, 0.0),
                            self._bias("back-read", np.array([layer.inputs, amperes]), BACK_STOP),
                        ],
                        {"back-read": BACK_STOP},
                    )
                )
        return sum(parts, Ledger())

    def _write(self, network: Network, k: int, doses: list[ColumnDose]) -> Ledger:
        """Return the ledger of one write of emulators' columns with equal rows. The channels of all
        columns conduct, and the longest dose ends the write.
        """
        layer, technology = network.layers[k], self.technology
        dose = max(doses, key=lambda dose: abs(dose.dose))
        drawn, seconds = dissipation.write_energies(network, k, dose)
        high = dose.shares[: layer.inputs]
        volts = layer.write_voltage * (high > 0 if layer.timed else high)
        charged = technology.line_capacitance * layer.width * float(volts @ volts)
        phi = len(doses) * technology.line_capacitance * layer.rows * technology.supply**2
        where = "write: array, rows of " + ("hidden neurons" if layer.timed else "the image")
        return Ledger.of(
            [
                Line(where, drawn.rows, COMPUTED, not layer.timed, "all columns conduct"),
                Line("write: array, bias rows", drawn.bias, COMPUTED, True),
                *wire_lines("write", phi + charged * (not layer.timed), charged * layer.timed),
                self._bias("write", self.amplifiers(network, k), seconds),
                self._currents("write", drawn.charge),
            ],
            {"write": seconds + technology.driver_step},
        )

    def pulse_of(self, network: Network) -> Laboratory:
        """Return the device's pulses."""
        half = network.way.half
        if self.device:
            device = self.device
            if device.levels:
                width = self.technology.gate_pulse
                device = dataclasses.replace(device, width_up=width, width_down=width)
            return Laboratory(
                dissipation.joules_per_siemens(device),
                (device.voltage_down, device.voltage_up),
                (device.width_down, device.width_up),
                half,
                device.supply_energy,
            )
        volts, width = network.design.writing, network.way.settings.width
        return Laboratory((volts**2 * width,) * 2, (-volts, volts), (width, width), half)


Steps = Iterator[tuple[int, float]]  # of `train`


def _with_equal_rows(writes: list[ColumnDose], shared: bool) -> list[list[ColumnDose]]:
    """Return groups of writes of emulators that are made together. Unless `shared`, each write is a
    group.

    They have one sign and equal rows, as of an image, or of a patch that several kernels have won.
    Rows stay high for the longest dose, and phi of a column ends after the dose of this column. All
    channels conduct during a write, so it takes the energy of its longest dose.
    """
    groups: dict[object, list[ColumnDose]] = {}
    for k, dose in enumerate(writes):
        key = (dose.dose > 0, dose.shares.tobytes()) if shared else k
        groups.setdefault(key, []).append(dose)
    return list(groups.values())


def _amplifiers(layer: Layer) -> int:
    """Return the number of op-amps of a layer: two stages and a trigger for each neuron, and two
    stages for each negative input.
    """
    return 3 * layer.neurons + 2 * layer.stages


def read_in_closed_form(network: Network, image: np.ndarray, seed: int = 0) -> Seen:
    """Return what a read of an `image` (inputs) in closed form shows."""
    arrays, levels = KernelArrays(network), network.read_levels(image[None])
    arrays.read(levels, network.jitter("test", 0, 1), read_generator(seed))
    return network.seen(arrays.work.times, arrays.work.drives, arrays.work.winners)


def inference(
    network: Network, image: np.ndarray, accounts: Accounts, wait: float | None = RESOLUTION
) -> Ledger:
    """Return the ledger of one read of an image (inputs).

    The read ends `wait` s after the first spike of the last layer, when no later spike can tie with
    the first. With `wait` None it ends at the second spike. Without this spike it lasts for the
    window.
    """
    times = read_in_closed_form(network, image).times
    first, second = first_two(times[-1], network.design.window)
    stop = second if wait is None else min(first + wait, network.design.window)
    return accounts.read(network, image, times, float(stop))


def corrected(
    network: Network, rule: Rule, image: np.ndarray, label: int, done: int = 0
) -> tuple[Arrays, Correction | None]:
    """Present an `image` (inputs) after `done` presentations. Return the first spikes in s of each
    layer, and the `Correction` that follows; None if the right neuron, `label`, leads by the
    margin.
    """
    seen = read_in_closed_form(network, image, done)
    _, error, wrong = rules.judged(rules.doses_of(rule), seen.times[-1], label, done)
    due = correction(network, rule, image, label, wrong, seen, done) if error else None
    return seen.times, due


def correction(
    network: Network,
    rule: Rule,
    image: np.ndarray,
    label: int,
    wrong: int,
    seen: Seen,
    done: int = 0,
) -> Correction:
    """Return the `Correction` after an `image` (inputs) for which the neuron `wrong` fires too
    early (-1: no wrong neuron fires). `seen`: as `read_in_closed_form` returns it.
    """
    rng = read_generator(done)
    result = Correction([], [[] for _ in network.layers], [], [])

    def read_back(network: Network, k: int, errors: np.ndarray) -> np.ndarray:
        result.back_reads[k].append(errors)
        return network.read_back(k, errors) + network.layers[k].back_noise(errors, rng)

    def write(network: Network, k: int, planned: Plan, due: Due) -> None:
        shares = np.broadcast_to(planned.shares, (len(planned.doses), planned.shares.shape[1]))
        result.doses.append(list(zip(np.abs(planned.doses).tolist(), shares, strict=True)))
        result.writes.append(network.way.writes(due))

    given = rules.doses_of(rule), kernel_ways(network), seen, image, label, wrong, done
    result.errors.extend(corrected_layers(network, network, read_back, write, *given))
    return result


@dataclass
class TrainingCosts:
    """Costs of a whole training: ledger, number of errors, pulses of each cell (`counts`), and the
    trained network.

    `curve` has the energies in J of a read and of an error at several moments of the training.
    """

    ledger: Ledger = Ledger()
    errors: int = 0
    counts: Counts | None = None
    curve: list[dict[str, float]] = field(default_factory=list)
    network: Network | None = None


def training(
    network: Network,
    rule: Rule,
    images: np.ndarray,
    labels: np.ndarray,
    accounts: Accounts,
    segments: int = SEGMENTS,
    samples: int = SAMPLES,
    watch: Callable[[Steps], Steps] = lambda steps: steps,
) -> TrainingCosts:
    """Train a network in closed form, and return the costs of its training.

    The number of errors and the pulses of measured devices are counted. The energies of a read and
    of an error are means over some images, from time to time.

    Parameters
    ----------
    network : Network
        Untrained.
    rule, images, labels
        As for `train`.
    accounts : Accounts
    segments, samples : int
        Number of moments of the training at which costs are computed, and number of images at each
        moment.
    watch : callable
        Wraps the iterator that `train` returns.
    """
    learning, counts, costs = Learning.start(network, rule), no_counts(network), TrainingCosts()
    marks = np.linspace(0, rule.presentations, segments + 1)[1:]
    sampled, begin = _sampled(network, rule, images, labels, accounts, 0, samples), 0
    for done, _ in watch(train(learning, rule, images, labels, counts=counts)):
        if done < marks[0] - 0.5:
            continue
        marks = marks[marks > done + 0.5]
        errors = int(learning.history[begin:done, 1].sum())
        read, error = sampled
        costs.ledger += read * (done - begin)
        row = {"presentations": begin, "read_J": read.sum(), "errors": errors}
        if error:
            costs.ledger += error * errors
            row["error_J"] = error.sum()
        costs.errors += errors
        costs.curve.append(row)
        before, begin = error, done
        if len(marks):
            sampled = _sampled(
                learning.network, rule, images, labels, accounts, done, samples, before
            )
    costs.counts, costs.network = counts, learning.network
    if network.pulses:
        joules = accounts.pulse_of(network).joules
        exact = sum(
            float(np.dot(joules, conducted.sum(axis=(1, 2)))) for conducted in counts.conducted
        )
        costs.ledger = Ledger.of(
            [
                *(line for line in costs.ledger.lines if line.name != SELECTED),
                Line(SELECTED, exact, network.way.kind, True, "of all pulses, counted"),
            ],
            costs.ledger.times,
        )
    return costs


def _sampled(
    network: Network,
    rule: Rule,
    images: np.ndarray,
    labels: np.ndarray,
    accounts: Accounts,
    done: int,
    samples: int,
    before: Ledger | None = None,
) -> tuple[Ledger, Ledger | None]:
    """Return the mean ledger of the next reads, and the mean ledger of the next errors. Without an
    error among the next `SEARCHED` images the second is `before`.
    """
    order = rule.order(len(images), done, min(done + SEARCHED, rule.presentations)).tolist()
    reads, errors = list[Ledger](), list[Ledger]()
    for k in order:
        if len(reads) >= samples and len(errors) >= samples:
            break
        label = int(labels[k])
        times, due = corrected(network, rule, images[k], label, done)
        if len(reads) < samples:
            reads.append(read_in_training(network, images[k], label, times, accounts))
        if due and len(errors) < samples:
            errors.append(accounts.correct(network, due))
    return mean(reads), mean(errors) if errors else before


def read_in_training(
    network: Network, image: np.ndarray, label: int, times: Arrays, accounts: Accounts
) -> Ledger:
    """Return the ledger of a read that also waits for the neuron of the `label`."""
    own, window = float(times[-1][label]), network.design.window
    stop = max(float(end_of_read(times[-1], window)), window if math.isnan(own) else own)
    return accounts.read(network, image, times, stop)


def wear(counts: Counts, endurance: float) -> dict[str, float]:
    """Return a dict with the mean, quantiles and maximum over cells of the number of pulses, and
    the share of cells with more pulses than the `endurance`.
    """
    pulses = np.concatenate([layer.sum(axis=0).ravel() for layer in counts.pulses])
    return {
        "mean": float(pulses.mean()),
        **{f"quantile_{q}": float(np.quantile(pulses, q / 100)) for q in (50, 90, 99)},
        "most": float(pulses.max()),
        "share_beyond_endurance": float((pulses > endurance).mean()),
    }


def area(network: Network, technology: Technology) -> dict[str, float]:
    """Return the areas in m^2 by part: cells, neurons, amplifiers, capacitors of late writes and
    gates, memory for the positions of patches.

    Wires run over the cells. An emulator has the area of its channel and of its capacitor. A cell
    that is written at its gate holds two gate voltages, X and the X of its last write.
    """
    memristor, layers = network.parameters.memristor, network.layers
    cells = sum(layer.rows * layer.width for layer in layers)
    if network.pulses:
        cell = (
            technology.passive_cell if network.way.half else technology.selected_cell
        ) * technology.feature_size**2
    else:
        cell = memristor.width * memristor.length
        cell += memristor.capacitance / technology.capacitor_density
    capacitors = sum(network.way.capacitors(layer) for layer in layers)
    bits = sum(layer.kind.position_bits * layer.outputs for layer in layers)
    return {
        "cells": cells * cell,
        "neurons": 1e-12 * technology.neuron_area * sum(layer.neurons for layer in layers),
        "amplifiers": 1e-12
        * technology.amplifier_area
        * sum(_amplifiers(layer) for layer in layers),
        "late_capacitors": capacitors * technology.late_capacitance / technology.capacitor_density,
        "positions": bits * technology.memory_cell * technology.feature_size**2,
    }
