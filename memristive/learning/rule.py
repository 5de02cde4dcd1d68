"""The learning rules: which columns are written, for how long, and in which direction. All engines
and networks share them.

The rule needs only spike times, membranes and back-read currents. Each of these quantities belongs
to one row or one column and can be measured there (docs/layers.md). Trainings in ngspice call these
functions for each presentation. In closed form, `train_compiled` calls them and `network.kernel`
for one presentation after the other, as online learning needs it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np

from memristive.closed_form import kernel, kernel_arrays
from memristive.closed_form.kernel_arrays import Arrays, Seen
from memristive.compiled import compiled
from memristive.parameters import Parameters, quantity
from memristive.writing.base import Due, Plan
from memristive.writing.pulses import Counts
from memristive.writing.ways import Ways, due_writes, forget, write_due

# s; spikes of equal columns are closer than this: then the lower class counts as first, on any
# engine
SIMULTANEOUS = 1e-12


@dataclass(frozen=True)
class LayeredRule(Parameters):
    """Parameters of the learning rule for networks of one or more layers.

    The defaults were chosen on held-out training images of MNIST (grey, 10x10 pixels, 200 hidden
    neurons). Doses fall over the run: linearly to 0, or exponentially to `final_dose`. The start is
    random, with normal distributions. For the first layer, the rule gives mean and spread of the
    settled membranes. For later layers, it gives mean and spread of X - X_ref, the difference
    between the states of a cell and of the reference column.
    """

    presentations: int = quantity(1_500_000, 1, 10**9, "", "training images presented in all")
    hidden_dose: float = quantity(
        60e-3, 0.0, 10.0, "", "change of X of a hidden cell at a full pixel, per volt read back"
    )
    output_dose: float = quantity(
        120e-3, 0.0, 10.0, "V", "change of X of an output cell, per time constant of overlap"
    )
    final_dose: float = quantity(
        0.0, 0.0, 1.0, "", "share of the first dose at the end, exponentially; 0: linearly to 0"
    )
    margin: float = quantity(4.5e-6, 0.0, 1e-2, "s", "time by which the right neuron has to lead")
    final_margin: float = quantity(
        1.0, 1e-6, 1.0, "", "share of this margin at the end, exponentially"
    )
    error_scale: float = quantity(
        3.0, 1e-3, 1e6, "V", "divisor of back-reads through hidden columns (V^2)"
    )
    reach: float = quantity(
        0.9,
        0.0,
        10.0,
        "",
        "hidden neurons are written if they settle above this share of the threshold",
    )
    start_drive: float = quantity(
        1.0,
        -100.0,
        100.0,
        "",
        "mean settled membrane of hidden neurons, in thresholds; 0: of each of them",
    )
    start_drive_spread: float = quantity(
        1.5, 0.0, 100.0, "", "standard deviation of the same, over neurons"
    )
    start_weight: float = quantity(0.23, -10.0, 10.0, "V", "mean of X - X_ref in later layers")
    start_weight_spread: float = quantity(
        0.46, 0.0, 10.0, "V", "standard deviation of the same, over cells"
    )
    seed: int = quantity(1, 0, 2**32 - 1, "", "of the start and of the order of presentation")

    newer: ClassVar = ("final_dose", "final_margin", "error_scale")
    least_dose: ClassVar = 0.0

    def order(self, count: int, done: int, stop: int) -> np.ndarray:
        """Return the indices of the images for the presentations number `done` to `stop` - 1.

        Each epoch is a permutation of all `count` images, which depends on the seed and the epoch's
        number only.
        """
        epochs = range(done // count, -(-stop // count))
        order = np.concatenate([permuted(self.seed, epoch, count) for epoch in epochs])
        return order[done - epochs[0] * count : stop - epochs[0] * count]


@dataclass(frozen=True)
class ErrorDrivenRule(Parameters):
    """Parameters of error-driven learning in the paper's layer; the defaults suit MNIST's binary
    images.
    """

    presentations: int = quantity(60000, 1, 10**8, "", "training images presented in all")
    start_state: float = quantity(3.0, -1e3, 1e3, "V", "X of every cell at the start")
    dose: float = quantity(
        20e-3,
        1e-6,
        10.0,
        "V",
        "change of X by a first write; falls linearly to a hundredth over the run",
    )
    margin: float = quantity(1e-6, 0.0, 1e-2, "s", "time by which the right neuron has to lead")
    seed: int = quantity(1, 0, 2**32 - 1, "", "of the order of presentation")

    # share of the first dose: smaller writes take as long to simulate and change next to nothing
    least_dose: ClassVar = 0.01
    # As a `LayeredRule`: doses fall linearly, the margin stays, and there is no hidden layer.
    hidden_dose: ClassVar = 0.0
    final_dose: ClassVar = 0.0
    final_margin: ClassVar = 1.0
    error_scale: ClassVar = 1.0
    reach: ClassVar = 0.0

    @property
    def output_dose(self) -> float:
        """First dose in V, under the name of the same field in a `LayeredRule`."""
        return self.dose

    def order(self, count: int, done: int, stop: int) -> np.ndarray:
        """Return the indices of the images for the presentations number `done` to `stop` - 1: one
        permutation of all `count` after another.
        """
        generator = np.random.default_rng(self.seed)
        return np.concatenate([generator.permutation(count) for _ in range(-(-stop // count))])[
            done:stop
        ]


Rule = LayeredRule | ErrorDrivenRule


@lru_cache(maxsize=2)  # a training asks for each epoch in many parts
def permuted(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return the order of `count` images in an epoch."""
    return np.random.default_rng([seed, 2, epoch]).permutation(count)


@compiled
def dose_factor(done: int, presentations: int, final: float) -> float:
    """Return the share of the first dose that is left after `done` presentations. At the end of the
    training this share is `final`.
    """
    return 1.0 - done / presentations if final == 0.0 else final ** (done / presentations)


@compiled
def margin_factor(done: int, presentations: int, final: float) -> float:
    """Return the share of the first margin that is required after `done` presentations. At the end
    of the training this share is `final`.
    """
    return final ** (done / presentations)


@compiled
def first_neuron(spikes: np.ndarray, but: int) -> int:
    """Return the index of the neuron that fires first, without the neuron `but`; -1 if none fires.
    Of simultaneous spikes the lower class counts as first.
    """
    earliest = np.inf
    for j in range(len(spikes)):
        if j != but and spikes[j] < earliest:  # comparisons with nan are false
            earliest = spikes[j]
    for j in range(len(spikes)):
        if j != but and spikes[j] <= earliest + SIMULTANEOUS:
            return j
    return -1


@compiled
def first_wrong_neuron(spikes: np.ndarray, label: int, margin: float) -> int | None:
    """Return the index of the wrong neuron that fires first. None if the right neuron, `label`,
    leads this neuron by `margin` s or more, or if no wrong neuron fires.

    `spikes` are first spike times in s, nan for silent neurons. Ties count as errors at any margin.
    Otherwise cells that start equal would never be written at a margin of 0.
    """
    first = first_neuron(spikes, label)
    if first < 0:
        return None
    lead = spikes[first] - spikes[label]  # nan if the right neuron is silent
    return None if lead >= max(margin, SIMULTANEOUS) else first


@compiled
def is_right(spikes: np.ndarray, label: int) -> bool:
    """Return True if neuron `label` fires first; of simultaneous spikes the lower class counts as
    first.
    """
    return first_neuron(spikes, len(spikes)) == label


@compiled
def output_errors(count: int, label: int, wrong: int) -> np.ndarray:
    """Return the errors of `count` output columns: 1 for `label`, -1 for `wrong`, the first wrong
    neuron (below 0: none).
    """
    result = np.zeros(count)
    result[label] = 1.0
    if wrong >= 0:
        result[wrong] = -1.0
    return result


@compiled
def overlap_times(rows: np.ndarray, spike: float, window: float) -> np.ndarray:
    """Return the time for which each row is high before a neuron fires.

    The earlier a row rises, the longer this time and the larger the row's influence on the spike.
    So the times rank the rows as the exact gradient does.

    Parameters
    ----------
    rows : array, rows, s
        Times at which the rows step up; nan for silent rows, which are not written.
    spike : float, s
        First spike of the column's neuron. If the neuron is silent (nan), times count to the end of
        the read.
    window : float, s
        Duration of a read.

    Returns
    -------
    array, rows, s
    """
    until = window if np.isnan(spike) else spike
    result = np.zeros(len(rows))
    for i in range(len(rows)):
        if rows[i] < until:  # comparisons with nan are false
            result[i] = until - rows[i]
    return result


@compiled
def hidden_errors(
    read_back: np.ndarray, settled: np.ndarray, reach: float, scale: float
) -> np.ndarray:
    """Return the errors of hidden neurons. Neurons whose membrane settles below `reach` have an
    error of 0, so that they are not written.

    Parameters
    ----------
    read_back : array, neurons
        Back-read of the layer above: the sum of error x (X - X_ref) over its neurons. In V if the
        layer above is the last one, otherwise in V^2.
    settled : array, neurons
        Settled membranes in thresholds.
    reach : float
        Settled membrane, in thresholds, from which a neuron is written.
    scale : float
        Divisor of `read_back`: 1 if the layer above is the last one, otherwise the rule's
        `error_scale`.

    Returns
    -------
    array, neurons, V
    """
    result = np.zeros(len(settled))
    for j in range(len(settled)):
        if settled[j] >= reach:
            result[j] = read_back[j] / scale
    return result


@compiled
def won_errors(errors: np.ndarray, winners: np.ndarray, p: int, kernels: int) -> np.ndarray:
    """Return the errors of a convolution's columns in the back-read of patch `p`: only outputs
    whose spike came from this patch have one. `errors`, `winners`: outputs.
    """
    result = np.zeros(kernels)
    for j in range(len(errors)):
        if winners[j] == p:
            result[j % kernels] = errors[j]
    return result


class Doses(NamedTuple):
    """Parameters of a `LayeredRule` that the compiled training needs; doses never fall below the
    share `least_dose`.
    """

    presentations: int
    hidden_dose: float
    output_dose: float
    final_dose: float
    least_dose: float
    margin: float
    final_margin: float
    error_scale: float
    reach: float


class Noise(NamedTuple):
    """Cycle-to-cycle noise of a chip, drawn for each presentation; without noise, arrays of length
    0.
    """

    read: np.ndarray  # V, presentations x output neurons: threshold noise
    # presentations x output columns x rows: factors on the doses of emulators; None for measured
    # devices
    write: np.ndarray | None


def doses_of(rule: Rule) -> Doses:
    """Return the parameters of a `rule` that `plan` and the compiled training need."""
    return Doses(*(getattr(rule, name) for name in Doses._fields))


@compiled
def judged(doses: Doses, times: np.ndarray, label: int, done: int) -> tuple[bool, bool, int]:
    """Return True if the neuron of the `label` fires first, True if the answer is an error, and the
    first wrong neuron (-1 if none is too early).

    An answer is an error if the label's neuron is silent or leads by less than the margin. `times`:
    classes, s; `done` presentations came before.
    """
    margin = doses.margin * margin_factor(done, doses.presentations, doses.final_margin)
    wrong = first_wrong_neuron(times, label, margin)
    error = bool(np.isnan(times[label])) or wrong is not None
    return is_right(times, label), error, -1 if wrong is None else int(wrong)


@compiled
def plan(
    doses: Doses,
    k: int,
    neurons: int,
    errors: np.ndarray,
    seen: Seen,
    image: np.ndarray,
    patches: Arrays | None,
    done: int,
) -> Plan:
    """Return the doses of layer `k`, of some `neurons`, for the `errors` of its outputs.

    Parameters
    ----------
    doses : Doses
    k, neurons : int
    errors : array, outputs
        As `output_errors` and `hidden_errors` return them; outputs with an error of 0 get no dose.
    seen : Seen
    image : array, rows
        Levels of the first layer's rows in a write.
    patches : tuple of arrays, optional
        As in `kernel.read_image`.
    done : int
        Presentations that came before.
    """
    share = max(dose_factor(done, doses.presentations, doses.final_dose), doses.least_dose)
    dose = share * (doses.output_dose if k == len(seen.times) - 1 else doses.hidden_dose)
    rows = image  # levels; in later layers times, the bias row last
    if k > 0:
        below = seen.times[k - 1]
        rows = np.full(len(below) + 1, seen.start)
        for i in range(len(below)):
            rows[i] = below[i]
    count, columns, equal = 0, len(rows), k == 0
    for j in range(len(errors)):
        count += errors[j] != 0.0
    if patches is not None and len(patches[k]):
        columns, equal = patches[k].shape[1] - 1, False
    shares = image.reshape(1, -1) if equal else np.empty((count, columns))
    plan = Plan(np.empty(count, np.int64), np.empty(count), shares)
    n = 0
    for j in range(len(errors)):
        if errors[j] != 0.0:
            plan.neurons[n], plan.doses[n] = j % neurons, dose * errors[j]
            own = rows
            if patches is not None and len(patches[k]):  # the patch that gave the pooled spike
                own = rows[patches[k][seen.winners[k][j], 1:]]
            if k > 0:
                own = overlap_times(own, seen.times[k][j], seen.window) / seen.tau
            if not equal:
                for i in range(columns):
                    shares[n, i] = own[i]
            n += 1
    return plan


M = TypeVar("M")


def correct(
    machine: M,
    read_back: Callable[[M, int, np.ndarray], np.ndarray],
    write: Callable[[M, int, Plan, Due], None],
    neurons: tuple[int, ...],
    pairs: int,
    doses: Doses,
    ways: Ways,
    seen: Seen,
    image: np.ndarray,
    patches: Arrays | None,
    label: int,
    wrong: int,
    done: int,
) -> list[np.ndarray]:
    """Correct a network after an error: read the errors back from the last layer to the first, then
    write all layers. Return the errors of the outputs, from the last layer to the first.

    Each engine, and the ledger of costs, calls this function with a `machine` of its own.

    Parameters
    ----------
    machine : object
        First argument of the next two.
    read_back : callable
        Returns the back-read of a layer (its number) for the errors of its outputs.
    write : callable
        Writes a layer (its number): takes its `Plan`, and the writes that are `Due` after it.
    neurons : tuple of int
        Of each layer.
    pairs : int
        Differential pairs of a synapse.
    doses, seen, image, patches, done
        As for `plan`.
    ways : Ways
        Doses that must wait are added to the doses in it.
    label, wrong : int
        Right neuron; first wrong neuron, or -1.
    """
    last = len(neurons) - 1
    errors = [output_errors(len(seen.times[last]), label, wrong)]
    for k in range(last, 0, -1):
        scale = 1.0 if k == last else doses.error_scale
        if patches is not None and len(patches[k]):
            back = np.zeros(len(seen.times[k - 1]))
            for p in range(len(patches[k])):  # each that has won: errors meet where patches overlap
                own = won_errors(errors[-1], seen.winners[k], p, neurons[k])
                if own.any():
                    rows = read_back(machine, k, own)
                    for i in range(len(rows)):
                        back[patches[k][p, 1 + i]] += rows[i]
        else:
            back = read_back(machine, k, errors[-1])
        errors.append(hidden_errors(back, seen.settled[k - 1], doses.reach, scale))
    for k in range(last + 1):
        planned = plan(doses, k, neurons[k], errors[last - k], seen, image, patches, done)
        due = due_writes(ways.late, ways.gate, k, pairs, neurons[k], done, planned)
        write(machine, k, planned, due)
    return errors


compiled_correct = compiled(correct, inline="always")


class Machine(NamedTuple):
    """Network in closed form in one presentation: the `machine` of `correct`."""

    layers: tuple[kernel_arrays.LayerArrays, ...]
    timing: kernel_arrays.Timing
    ways: Ways
    counts: Counts | None
    states: Arrays
    work: kernel_arrays.Work
    patches: Arrays | None
    factors: np.ndarray | None  # `Noise.write`
    presentation: np.ndarray  # 1: of which the factors count
    neurons: tuple[int, ...]  # of each layer
    rng: np.random.Generator | None


@compiled
def read_back(machine: Machine, k: int, errors: np.ndarray) -> np.ndarray:
    """Return the back-read of layer `k`, with its noise."""
    timing, volts = machine.timing, machine.timing.error_voltage
    if k == len(machine.states) - 1:
        volts = timing.back_voltage
    return kernel.read_back(machine.layers[k], machine.states[k], errors, volts, machine.rng)


@compiled
def write(machine: Machine, k: int, planned: Plan, due: Due) -> None:
    """Make the writes of layer `k` that are `due`, and update what follows from the states."""
    layer, states, work, ways = machine.layers[k], machine.states[k], machine.work, machine.ways
    changed = write_due(
        layer,
        machine.timing,
        ways.pulses,
        ways.gate,
        ways.sided,
        states,
        due,
        machine.factors,
        machine.presentation[0],
        machine.counts,
        k,
        work.loads[k],
        machine.rng,
    )
    kernel.refresh(layer, machine.timing.row_voltage, states, work, k, machine.patches, changed)


@compiled
def train_compiled(
    machine: Machine,
    patches: Arrays | None,
    doses: Doses,
    noise: np.ndarray,
    images: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    done: int,
    history: np.ndarray,
    waiting: int,
    rng: np.random.Generator | None,
) -> int:
    """Train with all `images`, after `done` earlier presentations, and fill `history`.

    The leak of late-writing synapses and gates is applied at each error. Since the last one there
    were `waiting` presentations; returns the same number for the next call.

    `images` and `rows` hold the levels of the first layer's rows (n x rows), `images` in writes,
    `rows` in reads. `labels`: n. `noise`: `Noise.read`. `history`: presentations x 2, True if the
    answer was right, and True if cells were written. What the `machine` holds changes in place;
    `patches` and `rng` are its own, because only arguments that are None are left out.
    """
    layers, timing, work, before = machine.layers, machine.timing, machine.work, -waiting
    for n in range(len(images)):
        if rng is not None:
            kernel.draw(layers, timing, work, rows[n], patches, rng)
        now = noise[n : n + 1]
        kernel.read_image(layers, timing, machine.states, work, rows[n], patches, labels[n], now)
        kernel.keep_times(timing, work, len(layers) - 1)
        history[n, 0], history[n, 1], wrong = judged(doses, work.times[-1], labels[n], done + n)
        if history[n, 1]:
            forget(machine.ways.late, machine.ways.gate, n - before)
            before, machine.presentation[0] = n, n
            kernel.keep_times(timing, work, 0)
            start = timing.tau * math.log(timing.start)
            compiled_correct(
                machine,
                read_back,
                write,
                machine.neurons,
                layers[0].pairs,
                doses,
                machine.ways,
                Seen(work.times, work.drives, work.winners, timing.window, timing.tau, start),
                images[n],
                patches,
                labels[n],
                wrong,
                done + n,
            )
    return len(images) - before
