"""From waveforms to first spikes, from first spikes to decisions: one decoder for all engines and data sets."""

import numpy as np

from snn_circuit import NeuronParameters

LATE = 1e-9  # s: so far from the pulse's end ngspice's time point for it may lie
SILENT, TIED = -1, -2  # decisions that are none: no neuron fired; two fired too close together to tell
# s, leads below which two spikes count as simultaneous (docs/reliability.md says how each was measured).
RESOLUTION = 0.02e-6  # of networks that learned from errors: the reads' own error, 2 to 15 ns
HEBBIAN_RESOLUTION = 0.5e-6  # of Hebbian ones: templates that overlap an image alike fire within 0.22 us, others 12 us apart
MEASURED_AT = NeuronParameters().time_constant  # s, of the membranes of both


def resolution_of(rule: str, neuron: NeuronParameters) -> float:
    """The resolution in s of a network trained by `rule` ("" for the paper's own file, which is Hebbian) with such neurons.

    What comes between the spikes of Hebbian templates that overlap alike is the scatter of their writes: it grows with the
    membranes' time constant, as spikes do.
    """
    return HEBBIAN_RESOLUTION * neuron.time_constant / MEASURED_AT if rule in ("", "hebbian") else RESOLUTION


def first_spikes(time: np.ndarray, membranes: np.ndarray, outputs: np.ndarray | None, neuron: NeuronParameters, start: float,
                 duration: float, thresholds: np.ndarray | None = None) -> np.ndarray:
    """First spike of each neuron in s after `start`, nan if it does not fire within `duration` s (array of classes).

    `thresholds` in V (classes): those of a chip's neurons, where they differ from the parameters'.

    A spike is the output going high. It falls between two of the simulator's own, unequal time points; within that step
    its time is where the membrane (a smooth curve, unlike the output) crosses the trigger's threshold. ngspice's switch can
    go high early, within its hysteresis, after a rejected step: therefore the membrane must have crossed as well. `outputs`
    None: there are no triggers, and the membrane alone counts.
    """
    first, last = np.searchsorted(time, [start, start + duration + LATE])
    result = np.full(len(membranes), np.nan)
    thresholds = np.full(len(membranes), neuron.threshold) if thresholds is None else thresholds
    fired = membranes[:, first:last] >= thresholds[:, None]
    if outputs is not None:
        fired &= outputs[:, first:last] > neuron.output_high / 2
    pulse = slice(first, last)
    for j in np.flatnonzero(fired.any(axis=1)):
        k = first + int(np.argmax(fired[j]))
        result[j] = _crossing(time[pulse], membranes[j, pulse], k - first, thresholds[j]) - start if k > first else 0.0
    return result


def _crossing(time: np.ndarray, membrane: np.ndarray, k: int, threshold: float) -> float:
    """Where `membrane` rises through `threshold` between the time points k - 1 and k, by the cubic through four points.

    All of them lie within the pulse: at its ends the membrane has kinks.
    """
    low = max(0, min(k - 2, len(time) - 4))
    t, v = time[low:low + 4] - time[k], membrane[low:low + 4]
    # Inverse interpolation: time as a cubic in the rising membrane voltage gives the crossing without a search.
    if len(v) == 4 and np.all(np.diff(v) > 0):
        others = ~np.eye(4, dtype=bool)
        lagrange = np.divide(threshold - v, v[:, None] - v, out=np.ones((4, 4)), where=others).prod(axis=1)
        estimate = time[k] + float(t @ lagrange)
        if time[k - 1] <= estimate <= time[k]:
            return estimate
    share = (threshold - membrane[k - 1]) / (membrane[k] - membrane[k - 1])
    return time[k - 1] + share * (time[k] - time[k - 1])


def _in_order(spikes: np.ndarray) -> np.ndarray:
    """Spike times in s in their order, inf for those that never come; and inf once more, since one class alone has no second."""
    return np.sort(np.append(np.where(np.isnan(spikes), np.inf, spikes), np.inf))


def strict_decision(spikes: np.ndarray, resolution: float = RESOLUTION) -> int:
    """The class that fires first, if it leads by more than `resolution` s; else TIED, or SILENT if none fires."""
    order = _in_order(spikes)
    if np.isinf(order[0]):
        return SILENT
    return int(np.nanargmin(spikes)) if order[1] - order[0] > resolution else TIED


def lead(spikes: np.ndarray) -> float:
    """How long in s the first neuron fires before the second; inf if it fires alone, nan if none fires."""
    order = _in_order(spikes)
    return np.nan if np.isinf(order[0]) else order[1] - order[0]


def first_two(spikes: np.ndarray, window: float) -> np.ndarray:
    """Of first spikes in s (... x neurons, nan: none) the two with which a read ends; the end of its `window` (s) for none."""
    return np.sort(np.where(np.isnan(spikes), window, spikes), axis=-1)[..., :2]


def paper_decision(spikes: np.ndarray, step: float) -> int:
    """Jurj's rule on waveforms sampled every `step` s: the earliest spike, ties to the lower class, silence is class 0."""
    samples = np.ceil(np.where(np.isnan(spikes), np.inf, spikes) / step)
    return int(np.argmin(samples))


def ranking(spikes: np.ndarray) -> list[int]:
    """Classes in the order in which they fired; those that stayed silent are not in it."""
    return [int(j) for j in np.argsort(spikes, kind="stable") if not np.isnan(spikes[j])]
