"""Scores of decisions: accuracies, confusion matrices and confidence intervals, computed by scikit-learn and SciPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from memristive.network.setup import Schedule
from memristive.network.spike_decoding import RESOLUTION, SILENT, TIED, first_two, paper_decision, ranking, strict_decision

UNDECIDED = {TIED: "tied", SILENT: "silent"}


def decide(spikes: np.ndarray, resolution: float, sampling_step: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the strict and the paper's decisions (images) for first spike times (images x classes, s).

    `resolution` and `sampling_step` in s; without a sampling step the paper's decisions are all -1.
    """
    strict = np.array([strict_decision(times, resolution) for times in spikes])
    if sampling_step is None:
        return strict, np.full(len(spikes), -1)
    return strict, np.array([paper_decision(times, sampling_step) for times in spikes])


def confusion(labels: np.ndarray, decisions: np.ndarray, classes: int) -> np.ndarray:
    """Return the numbers of images, true classes x decisions: one column for each class, then tied and silent."""
    counts = np.zeros((classes, classes + len(UNDECIDED)), int)
    place = {decision: classes + k for k, decision in enumerate(UNDECIDED)}
    np.add.at(counts, (labels, [place.get(decision, decision) for decision in decisions]), 1)
    return counts


def summary(labels: np.ndarray, spikes: np.ndarray, resolution: float, schedule: Schedule | None = None) -> dict[str, Any]:
    """Return the scores of a set of images as plain numbers.

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
    top3 = np.mean([label in ranking(times)[:3] for label, times in zip(labels, spikes, strict=True)])
    recall = recall_score(labels, strict, labels=list(range(classes)), average=None, zero_division=np.nan)
    of_the_paper = {"paper_rule_accuracy": accuracy_score(labels, paper),
                    "paper_rule_first_100": accuracy_score(labels[:100], paper[:100])} if schedule else {}
    return {"samples": len(labels), "strict_accuracy": right / len(labels), "resolution": resolution,
            "strict_interval_95": interval(right, len(labels)), **of_the_paper,
            "strict_first_100": accuracy_score(labels[:100], strict[:100]), "top3_accuracy": float(top3),
            "silent": int(np.sum(strict == SILENT)), "tied": int(np.sum(strict == TIED)), "recall": recall}


def strict_scores(labels: np.ndarray, decisions: np.ndarray) -> dict[str, Any]:
    """Return strict accuracy, its 95 % interval, and numbers of silent and tied images, as columns of a table."""
    right = int(np.sum(decisions == labels))
    low, high = interval(right, len(labels))
    return {"strict_accuracy": right / len(labels), "interval_95_low": low, "interval_95_high": high,
            "silent": int(np.sum(decisions == SILENT)), "tied": int(np.sum(decisions == TIED))}


def score_row(labels: np.ndarray, spikes: np.ndarray) -> dict[str, Any]:
    """Return `strict_scores` for first spikes (images x classes, s), with the number of images."""
    return {"samples": len(labels), **strict_scores(labels, decide(spikes, RESOLUTION)[0])}


def equal_templates(patterns: np.ndarray, images: np.ndarray) -> float:
    """Return the share of `images` (n x inputs) whose two best binary `patterns` (classes x inputs) overlap them equally."""
    overlaps = np.sort(images @ patterns.T, axis=1)
    return float(np.mean(overlaps[:, -1] == overlaps[:, -2]))


def end_of_read(spikes: np.ndarray, window: float) -> np.ndarray:
    """Return the time in s up to which a read contains all spikes: its second spike, or the end of the `window`.

    `spikes`: ... x neurons, s; nan: no spike.
    """
    return first_two(spikes, window)[..., 1]


def deviations(spikes: np.ndarray, others: np.ndarray, end: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """Return lower bounds in s of the differences between first spikes of two reads (... x neurons, nan: none).

    `end` and `other_end` are the times in s at which the reads end (`end_of_read`). A spike that a read lacks comes after its
    end, if at all, so that only a lower bound is known. The result is nan where neither read has a spike.
    """
    one = np.where(np.isnan(spikes), np.fmax(end[..., None], others), spikes)
    other = np.where(np.isnan(others), np.fmax(other_end[..., None], spikes), others)
    return np.where(np.isnan(spikes) & np.isnan(others), np.nan, np.abs(one - other))


def largest_deviation(spikes: np.ndarray, others: np.ndarray, window: float) -> float | None:
    """Return the largest of the `deviations` in s of two reads (images x neurons, s); None if no neuron fires."""
    found = deviations(spikes, others, end_of_read(spikes, window), end_of_read(others, window))
    return None if np.isnan(found).all() else float(np.nanmax(found))


def interval(right: int, count: int) -> list[float]:
    """Return the 95 % confidence interval of the accuracy `right` / `count` (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    from scipy.stats import binomtest  # here: the import takes half a second

    bounds = binomtest(right, count).proportion_ci(0.95, method="wilson")
    return [bounds.low, bounds.high]


def decision_name(decision: int, labels: Sequence[Any]) -> str:
    """Return the label of a decision, or "tied" or "silent"."""
    return UNDECIDED.get(decision) or str(labels[decision])
