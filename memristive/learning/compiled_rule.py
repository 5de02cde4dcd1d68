"""Error-driven training in closed form, compiled by numba: one presentation after the other, as online learning needs it.

`network.kernel` reads and writes. The functions of the rule are those of learning/rule.py, which trainings in ngspice use, too.
"""

import math
from typing import NamedTuple

import numpy as np

from memristive.compiled import compiled
from memristive.learning import rule
from memristive.network.kernel import (
    EMPTY,
    EMPTY_TABLE,
    Arrays,
    Counts,
    Layer,
    Pulse,
    Pulses,
    Work,
    draw,
    read,
    read_back,
    refresh,
    seconds,
    write,
    write_pulses,
)

first_wrong_neuron, is_right, dose_factor, margin_factor, output_errors, overlap_times, hidden_errors = (
    compiled(part) for part in (rule.first_wrong_neuron, rule.is_right, rule.dose_factor, rule.margin_factor,
                                rule.output_errors, rule.overlap_times, rule.hidden_errors))


class Doses(NamedTuple):
    """Parameters of a `LayeredRule` that the compiled training needs; doses never fall below the share `least_dose`."""

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
    """Cycle-to-cycle noise of a chip, drawn for each presentation; without noise, arrays of length 0."""

    read: np.ndarray  # V, presentations x output neurons: shift of the thresholds
    write: np.ndarray  # presentations x output columns x rows: factors on the doses


NO_NOISE = Noise(np.zeros((0, 0)), np.zeros((0, 0, 0)))


@compiled
def correct(layers: tuple[Layer, ...], pulse: Pulse, doses: Doses, pulses: Pulses, counts: Counts, states: Arrays, work: Work,
            image: np.ndarray, label: int, wrong: int, done: int, factors: np.ndarray, rng: np.random.Generator) -> None:
    """Correct the network after an error: back-read the errors from the last layer to the first, then write all layers.

    `wrong` is the first wrong neuron, or -1. `done` presentations came before. `factors` are the noise of the writes, columns x
    rows, or empty.
    """
    last = len(states) - 1
    share = max(dose_factor(done, doses.presentations, doses.final_dose), doses.least_dose)
    found = [output_errors(len(work.spikes[last]), label, wrong)]
    for k in range(last, 0, -1):
        volts, scale = (pulse.back_voltage, 1.0) if k == last else (pulse.error_voltage, doses.error_scale)
        back = read_back(layers[k], states[k], found[-1], volts, rng)
        found.append(hidden_errors(back, work.drives[k - 1], doses.reach, scale))
    for k in range(last + 1):
        dose = share * (doses.output_dose if k == last else doses.hidden_dose)
        errors, times, layer = found[last - k], seconds(pulse, work.spikes[k]), layers[k]
        rows, high = seconds(pulse, work.spikes[k - 1]), image
        pair = done % max(1, layer.pairs)
        for j in range(len(times)):
            if errors[j] == 0.0:
                continue
            if k:
                steps = np.append(rows, pulse.tau * math.log(pulse.start))
                high = overlap_times(steps, times[j], pulse.window) / pulse.tau
            for polarity in range(2 if layer.pairs else 1):
                c, signed = (polarity * layer.pairs + pair) * len(times) + j, dose * errors[j] * (1 - 2 * polarity)
                if pulses.step > 0.0:
                    write_pulses(layer, pulse, pulses, states[k], c, high, signed, counts, k, work.loads[k], rng)
                else:
                    of_rows = factors[c] if len(factors) else EMPTY
                    work.loads[k][c] = write(layer, pulse, states[k], c, high, signed / layer.nominal_rate, of_rows)
        moved = np.ones(len(times)) if max(pulses.disturb) > 0.0 else errors
        refresh(layer, pulse.row_voltage, states[k], work.loads[k], work.scale[k], work.weights[k], moved)


@compiled
def train(layers: tuple[Layer, ...], pulse: Pulse, doses: Doses, pulses: Pulses, counts: Counts, noise: Noise, states: Arrays,
          work: Work, images: np.ndarray, rows: np.ndarray, labels: np.ndarray, order: np.ndarray, done: int,
          history: np.ndarray, rng: np.random.Generator) -> None:
    """Present the images of the indices `order`, after `done` earlier presentations, and fill `history`.

    `history` is presentations x 2: the answer was right, cells were written. Inputs have the levels `images` in writes, and
    `rows` in reads.
    """
    for n in range(len(order)):
        image, label = images[order[n]], labels[order[n]]
        draw(layers, pulse, work, rows[order[n]], rng)
        read(layers, pulse, states, work, rows[order[n]], label, noise.read[n] if len(noise.read) else EMPTY)
        times = seconds(pulse, work.spikes[-1])
        wrong = first_wrong_neuron(times, label, doses.margin * margin_factor(done + n, doses.presentations, doses.final_margin))
        silent = np.isnan(times[label])
        history[n, 0] = is_right(times, label)
        history[n, 1] = silent or wrong is not None
        if history[n, 1]:
            target = -1 if wrong is None else int(wrong)
            correct(layers, pulse, doses, pulses, counts, states, work, image, label, target, done + n,
                    noise.write[n] if len(noise.write) else EMPTY_TABLE, rng)
