"""First spikes from waveforms, decisions and scores (accuracies, confidence intervals), for all
engines and datasets.
"""

from collections.abc import Sequence

import numpy as np

from memristive.network.design import Schedule
from memristive.parameters import Fields
from snn_circuit import NeuronParameters

LATE = 1e-9  # s: ngspice's time point for the end of a pulse may lie this much after the end
SILENT, TIED = -1, -2  # undecided: no neuron fired; the first two fired too close together
# s, leads below which two spikes count as simultaneous (docs/circuit.md has the measurements).
RESOLUTION = 0.02e-6  # of networks that learned from errors: reads in ngspice are off by 2 to 15 ns
# of Hebbian networks: neurons whose templates overlap an image equally fire within 0.22 us
HEBBIAN_RESOLUTION = 0.5e-6
# s, of the membranes with which both resolutions were measured
MEASURED_AT = NeuronParameters().time_constant


def resolution_of(rule: str, neuron: NeuronParameters) -> float:
    """Return the resolution in s, the longest lead that counts as a tie, of a network of these
    neurons that was trained by `rule` ("hebbian" or another).

    Neurons whose Hebbian templates overlap an image equally should fire together. The scatter of
    the writes moves their spikes apart, so smaller leads count as ties. This Hebbian resolution
    grows with the membranes' time constant, as all spike times do.
    """
    return (
        HEBBIAN_RESOLUTION * neuron.time_constant / MEASURED_AT if rule == "hebbian" else RESOLUTION
    )


def first_spikes(
    time: np.ndarray,
    membranes: np.ndarray,
    outputs: np.ndarray | None,
    neuron: NeuronParameters,
    start: float,
    duration: float,
    thresholds: np.ndarray | None = None,
) -> np.ndarray:
    """Return the first spike of each neuron.

    A neuron fires when its output goes high, between two of the simulator's time points. Its spike
    time is the time at which the membrane crosses the threshold between these points. The membrane
    is a smooth curve, so interpolation finds this time precisely. After a rejected step ngspice's
    switch can go high too early, within its hysteresis, so a spike also needs a membrane that has
    crossed.

    Parameters
    ----------
    time : array, points, s
    membranes : array, classes x points, V
    outputs : array, classes x points, V, or None
        None if the circuit has no triggers, so that the membrane alone counts.
    neuron : NeuronParameters
    start, duration : float
        Window of the pulse in s.
    thresholds : array, classes, V, optional
        Thresholds of a chip's neurons.

    Returns
    -------
    array, classes, s
        Times after `start`; nan for a neuron that does not fire within `duration`.
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
        result[j] = (
            _crossing(time[pulse], membranes[j, pulse], k - first, thresholds[j]) - start
            if k > first
            else 0.0
        )
    return result


def _crossing(time: np.ndarray, membrane: np.ndarray, k: int, threshold: float) -> float:
    """Return the time at which `membrane` crosses `threshold` between the points k - 1 and k.

    A cubic through four points gives it, or a straight line where the membrane does not rise.

    All four points lie within the pulse, because the membrane has kinks at the ends of the pulse.
    """
    low = max(0, min(k - 2, len(time) - 4))
    t, v = time[low : low + 4] - time[k], membrane[low : low + 4]
    # Inverse interpolation: time as a cubic in the rising membrane voltage gives the crossing
    # without a search.
    if len(v) == 4 and np.all(np.diff(v) > 0):
        others = ~np.eye(4, dtype=bool)
        lagrange = np.divide(threshold - v, v[:, None] - v, out=np.ones((4, 4)), where=others).prod(
            axis=1
        )
        estimate = time[k] + float(t @ lagrange)
        if time[k - 1] <= estimate <= time[k]:
            return estimate
    share = (threshold - membrane[k - 1]) / (membrane[k] - membrane[k - 1])
    return time[k - 1] + share * (time[k] - time[k - 1])


def first_two(spikes: np.ndarray, window: float) -> np.ndarray:
    """Return the first two spike times in s (... x 2) of `spikes` (... x neurons; nan: silent).

    A missing spike, as the second one of a single neuron, counts as one at `window` s.
    """
    none = np.full((*np.shape(spikes)[:-1], 1), window)
    times = np.concatenate([np.where(np.isnan(spikes), window, spikes), none], axis=-1)
    return np.sort(times)[..., :2]


def lead(spikes: np.ndarray) -> float:
    """Return the time in s from the first to the second of one image's `spikes` (classes, s; nan:
    silent); inf if one neuron fires alone, nan if none fires.
    """
    first, second = first_two(spikes, np.inf)
    return np.nan if np.isinf(first) else second - first


UNDECIDED = {TIED: "tied", SILENT: "silent"}


def decide(
    spikes: np.ndarray, resolution: float, sampling_step: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays with a decision for each image: strictly, and by the paper's rule. A
    decision is a class number; a strict one may also be TIED or SILENT.

    `spikes`: first spike times, images x classes, s; nan: silent. Leads up to the `resolution` (s)
    are ties. The paper's rule samples the outputs every `sampling_step` s. If several classes fire
    within the same step, the lowest of them wins; if no neuron fires, class 0 wins. Without a
    sampling step its decisions are all -1.
    """
    times, order = np.where(np.isnan(spikes), np.inf, spikes), first_two(spikes, np.inf)
    fires = np.isfinite(order[:, 0])
    leads = np.subtract(order[:, 1], order[:, 0], out=np.zeros(len(order)), where=fires)
    first = np.where(leads > resolution, times.argmin(axis=1), TIED)
    strict = np.where(fires, first, SILENT)
    if sampling_step is None:
        return strict, np.full(len(spikes), -1)
    return strict, np.ceil(times / sampling_step).argmin(axis=1)


def confusion(labels: np.ndarray, decisions: np.ndarray, classes: int) -> np.ndarray:
    """Return the confusion matrix: numbers of images, true classes x (classes + 2). The columns are
    the decided classes, then tied and silent. `labels`, `decisions`: true and decided class number
    of each image.
    """
    counts = np.zeros((classes, classes + len(UNDECIDED)), int)
    place = {decision: classes + k for k, decision in enumerate(UNDECIDED)}
    np.add.at(counts, (labels, [place.get(decision, decision) for decision in decisions]), 1)
    return counts


def summary(
    labels: np.ndarray, spikes: np.ndarray, resolution: float, schedule: Schedule | None = None
) -> Fields:
    """Return a dict with the scores of a set of images: accuracies, their interval, numbers of
    silent and tied images, and the recall of each class (nan: none).

    Parameters
    ----------
    labels : array, images
    spikes : array, images x classes, s
        First spike times, nan for silent neurons.
    resolution : float
        Leads up to this time, in s, are ties. Tied and silent images count as wrong.
    schedule : Schedule, optional
        Adds the scores of the paper's rule, which samples with this schedule's step.
    """
    from sklearn.metrics import accuracy_score, recall_score  # here: the import takes half a second

    strict, paper = decide(spikes, resolution, schedule.sampling_step if schedule else None)
    classes = spikes.shape[1]
    right = int(accuracy_score(labels, strict, normalize=False))
    among = np.argsort(spikes, axis=1, kind="stable")[:, :3] == np.asarray(labels)[:, None]
    top3 = np.mean(among.any(axis=1) & ~np.isnan(spikes[np.arange(len(labels)), labels]))
    recall = recall_score(
        labels, strict, labels=list(range(classes)), average=None, zero_division=np.nan
    )
    of_the_paper = (
        {
            "paper_rule_accuracy": accuracy_score(labels, paper),
            "paper_rule_first_100": accuracy_score(labels[:100], paper[:100]),
        }
        if schedule
        else {}
    )
    return {
        "samples": len(labels),
        "strict_accuracy": right / len(labels),
        "resolution": resolution,
        "strict_interval_95": interval(right, len(labels)),
        **of_the_paper,
        "strict_first_100": accuracy_score(labels[:100], strict[:100]),
        "top3_accuracy": float(top3),
        "silent": int(np.sum(strict == SILENT)),
        "tied": int(np.sum(strict == TIED)),
        "recall": recall,
    }


def strict_scores(labels: np.ndarray, decisions: np.ndarray) -> Fields:
    """Return a dict with the strict accuracy, the ends of its 95 % interval, and the numbers of
    silent and tied images. `labels`, `decisions`: true and decided class number of each image.
    """
    right = int(np.sum(decisions == labels))
    low, high = interval(right, len(labels))
    return {
        "strict_accuracy": right / len(labels),
        "interval_95_low": low,
        "interval_95_high": high,
        "silent": int(np.sum(decisions == SILENT)),
        "tied": int(np.sum(decisions == TIED)),
    }


def score_row(labels: np.ndarray, spikes: np.ndarray) -> Fields:
    """Return a dict with the number of images and their `strict_scores`. `labels`: class number of
    each image; `spikes`: first spikes, images x classes, s.
    """
    return {"samples": len(labels), **strict_scores(labels, decide(spikes, RESOLUTION)[0])}


def equal_templates(patterns: np.ndarray, images: np.ndarray) -> float:
    """Return the share of `images` (n x inputs) that overlap two of the binary `patterns` (classes
    x inputs) equally, and all other patterns less or equally.
    """
    overlaps = np.sort(images @ patterns.T, axis=1)
    return float(np.mean(overlaps[:, -1] == overlaps[:, -2]))


def end_of_read(spikes: np.ndarray, window: float) -> np.ndarray:
    """Return the time in s up to which a read has recorded all spikes: the time of its second
    spike, or the end of the `window`.

    `spikes`: ... x neurons, s; nan: no spike.
    """
    return first_two(spikes, window)[..., 1]


def interval(right: int, count: int) -> list[float]:
    """Return the 95 % confidence interval, [low, high], of the accuracy `right` / `count` (E. B.
    Wilson, J. Am. Stat. Assoc. 22, 1927).
    """
    from scipy.stats import binomtest  # here: the import takes half a second

    bounds = binomtest(right, count).proportion_ci(0.95, method="wilson")
    return [bounds.low, bounds.high]


def decision_name(decision: int, labels: Sequence[object]) -> str:
    """Return the text of a `decision`: the name of the class in `labels`, or "tied" or "silent"."""
    return UNDECIDED.get(decision) or str(labels[decision])
