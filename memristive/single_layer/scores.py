"""Scores of decisions: accuracies, confusion matrices and confidence intervals, computed by scikit-learn and SciPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from memristive.single_layer.setup import Schedule
from memristive.single_layer.spike_decoding import SILENT, TIED, first_two, paper_decision, ranking, strict_decision

UNDECIDED = {TIED: "tied", SILENT: "silent"}


def decide(spikes: np.ndarray, schedule: Schedule, resolution: float) -> tuple[np.ndarray, np.ndarray]:
    """Strict and paper's decisions for first spike times (images x classes, s): two arrays of images; `resolution` in s."""
    strict = np.array([strict_decision(times, resolution) for times in spikes])
    paper = np.array([paper_decision(times, schedule.sampling_step) for times in spikes])
    return strict, paper


def confusion(labels: np.ndarray, decisions: np.ndarray, classes: int) -> np.ndarray:
    """Counts, true classes x decisions: one column a class, then tied and silent, which are never right."""
    counts = np.zeros((classes, classes + len(UNDECIDED)), int)
    place = {decision: classes + k for k, decision in enumerate(UNDECIDED)}
    np.add.at(counts, (labels, [place.get(decision, decision) for decision in decisions]), 1)
    return counts


def summary(labels: np.ndarray, spikes: np.ndarray, schedule: Schedule, resolution: float) -> dict[str, Any]:
    """All scores of a set of images: a dictionary of plain numbers; leads below `resolution` s are ties.

    The recall of a class of which there is no image is nan.
    """
    from sklearn.metrics import accuracy_score, recall_score  # here, since loading it takes half a second

    strict, paper = decide(spikes, schedule, resolution)
    classes = spikes.shape[1]
    right = int(accuracy_score(labels, strict, normalize=False))
    top3 = np.mean([label in ranking(times)[:3] for label, times in zip(labels, spikes, strict=True)])
    recall = recall_score(labels, strict, labels=list(range(classes)), average=None, zero_division=np.nan)
    return {"samples": len(labels), "strict_accuracy": right / len(labels),
            "resolution": resolution, "strict_interval_95": interval(right, len(labels)),
            "paper_rule_accuracy": accuracy_score(labels, paper),
            "paper_rule_first_100": accuracy_score(labels[:100], paper[:100]),
            "strict_first_100": accuracy_score(labels[:100], strict[:100]), "top3_accuracy": float(top3),
            "silent": int(np.sum(strict == SILENT)), "tied": int(np.sum(strict == TIED)), "recall": recall}


def equal_templates(patterns: np.ndarray, images: np.ndarray) -> float:
    """Share of `images` (n x inputs) that overlap their two best binary `patterns` (classes x inputs) alike."""
    overlaps = np.sort(images @ patterns.T, axis=1)
    return float(np.mean(overlaps[:, -1] == overlaps[:, -2]))


def end_of_read(spikes: np.ndarray, window: float) -> np.ndarray:
    """Until when in s a read with these first `spikes` (... x neurons, nan: none) saw all: the second one, or the `window`."""
    return first_two(spikes, window)[..., 1]


def deviations(spikes: np.ndarray, others: np.ndarray, end: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """By how much in s first spikes of two reads (... x neurons, nan: none) lie apart, at least; nan where neither has one.

    What a read has not seen came after its end (`end_of_read`), if at all: of a spike lost or made up, that is how far it is off.
    """
    one = np.where(np.isnan(spikes), np.fmax(end[..., None], others), spikes)
    other = np.where(np.isnan(others), np.fmax(other_end[..., None], spikes), others)
    return np.where(np.isnan(spikes) & np.isnan(others), np.nan, np.abs(one - other))


def largest_deviation(spikes: np.ndarray, others: np.ndarray, window: float) -> float | None:
    """The largest of the `deviations` of two reads of the same images (images x neurons); None where no neuron fires."""
    found = deviations(spikes, others, end_of_read(spikes, window), end_of_read(others, window))
    return None if np.isnan(found).all() else float(np.nanmax(found))


def spikes_within(apart: float | None) -> str:
    """A `largest_deviation` in words."""
    return "no spikes to compare" if apart is None else f"spikes within {apart * 1e6:.2g} us"


def interval(right: int, count: int) -> list[float]:
    """95 % confidence interval of an accuracy (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    from scipy.stats import binomtest  # here, since loading it takes half a second and only tests need it

    bounds = binomtest(right, count).proportion_ci(0.95, method="wilson")
    return [bounds.low, bounds.high]


def decision_name(decision: int, labels: Sequence[str]) -> str:
    """A decision as the user reads it: the class's label, or tied or silent."""
    return UNDECIDED.get(decision) or labels[decision]
