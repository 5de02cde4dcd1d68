"""Figures of decisions, in the look of `plotting`: membranes, first spikes, confusions, leads."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from memristive.single_layer.hebbian import Inference
from memristive.single_layer.scores import UNDECIDED
from memristive.single_layer.setup import Setup
from plotting import BLACK, BLUE, GREY, SKY, VERMILLION, WIDTH, line_style, stack


def membranes(result: Inference, setup: Setup, labels: Sequence[str]) -> Figure:
    """Draw membranes and outputs of an inference: a panel for each pulse, from its start to a little after its first spike."""
    count, threshold, high = len(result.spikes), setup.neuron.threshold, setup.neuron.output_high
    latest = float(np.nanmax(np.fmin.reduce(result.spikes, axis=1), initial=0.0))
    window = max(1e-3, 0.5e-3 * np.ceil(1.1 * latest / 0.5e-3))  # whole half milliseconds, for round numbers on the axis
    styles = [line_style(j, len(labels)) for j in range(len(labels))]
    columns = min(count, 2 if count <= 4 else 3 if count <= 6 else 5)
    rows = -(-count // columns)
    heights = [1.6, max(0.45 + 0.14 * len(labels), 1.25)]
    figure, axes = plt.subplots(2 * rows, columns, figsize=(WIDTH, 0.7 + rows * (0.5 + sum(heights))), squeeze=False,
                                sharex=True, sharey="row", height_ratios=heights * rows)
    peak = max(np.max(result.membranes), threshold)
    for k in range(rows * columns):
        upper, lower = axes[2 * (k // columns):2 * (k // columns) + 2, k % columns]
        if k >= count:
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        start = setup.schedule.start(k)
        part = slice(max(np.searchsorted(result.time, start) - 1, 0), np.searchsorted(result.time, start + window) + 1)
        microseconds = (result.time[part] - start) * 1e6
        for membrane, style in zip(result.membranes, styles, strict=True):
            upper.plot(microseconds, membrane[part], **style)
        upper.axhline(threshold, color=GREY, linestyle=":", linewidth=1.2)
        upper.set(title=f"{labels[k]} presented", xlim=(0, window * 1e6), ylim=(-0.05 * peak, 1.08 * peak))
        stack(lower, microseconds, result.outputs[:, part], styles, labels, high)
    for row in range(rows):
        axes[2 * row, 0].set_ylabel("membrane (V)")
        axes[2 * row + 1, 0].set_ylabel(f"output ({high:g} V high)")
    axes[0, 0].set_xticks(np.linspace(0, window * 1e6, 3))  # of all panels; to search for more takes time
    for axis in axes[-1]:
        axis.set_xlabel("time (µs)")
    handles = [Line2D([], [], label=label, **style) for label, style in zip(labels, styles, strict=True)]
    handles.append(Line2D([], [], color=GREY, linestyle=":", label=f"threshold {threshold:g} V"))
    figure.legend(handles=handles, loc="outside upper center", title="neuron",
                  ncols=len(handles) if len(handles) <= 8 else 6)
    return figure


def spike_raster(spikes: np.ndarray, labels: Sequence[str]) -> Figure:
    """Draw first spikes (images x classes, s, nan if silent): one row for each image, each neuron that fired as its label.

    Image k is of class k: its neuron is filled. Marks too close to stand side by side stand one above the other.
    """
    spikes = np.asarray(spikes) * 1e6
    fired = spikes[np.isfinite(spikes)]
    low, high = (fired.min(), fired.max()) if len(fired) else (0.0, 1.0)
    margin = max(0.05 * (high - low), 0.5)
    lanes = [_lanes(times, 0.6 * margin) for times in spikes]
    heights = [max(row.values(), default=0) + 1 for row in lanes]
    tops = np.cumsum([0, *heights]) + 0.4 * np.arange(len(heights) + 1)  # with a gap between images
    figure, axis = plt.subplots(figsize=(WIDTH, 1.1 + 0.25 * tops[-1]))
    for k, row in enumerate(lanes):
        for j, lane in row.items():
            ink, fill, edge = ("white", BLUE, BLUE) if j == k else (BLACK, "white", GREY)
            axis.text(spikes[k, j], tops[k] + lane, labels[j], ha="center", va="center_baseline", fontsize=9, color=ink,
                      bbox={"boxstyle": "circle,pad=0.15", "facecolor": fill, "edgecolor": edge})
    for top in tops[1:-1]:
        axis.axhline(top - 0.7, color=GREY, linewidth=0.4)
    axis.set(xlim=(low - margin, high + margin), ylim=(tops[-1] - 0.7, -0.7), ylabel="image presented",
             xlabel="first spike (µs after the pulse starts)", title="First spike of each neuron (blue: the right one)")
    axis.set_yticks(tops[:-1] + (np.array(heights) - 1) / 2, labels)
    if not len(fired):
        axis.text(0.5, 0.5, "no neuron fires", transform=axis.transAxes, ha="center", va="center",
                  bbox={"facecolor": "white", "edgecolor": "none"})
        axis.set_xticks([])
    return figure


def _lanes(times: np.ndarray, gap: float) -> dict[int, int]:
    """Return the lane of each neuron that fired: the lowest one free, so that marks in a lane are `gap` apart."""
    lanes: dict[int, int] = {}
    ends: list[float] = []
    for j in np.argsort(times)[:np.isfinite(times).sum()]:
        lane = next((k for k, end in enumerate(ends) if times[j] - end >= gap), len(ends))
        ends[lane:lane + 1] = [times[j]]
        lanes[int(j)] = lane
    return lanes


# Tests

def confusion(matrix: ArrayLike, labels: Sequence[str], undecided: Sequence[str] = tuple(UNDECIDED.values()),
              unit: str = "images") -> Figure:
    """Draw a confusion matrix of `unit`: rows are true classes, columns decisions, the last ones those in `undecided`."""
    matrix = np.asarray(matrix)
    columns = [*labels, *undecided]
    longest = max(map(len, columns))
    tilted = 0.08 * longest * len(columns) > 0.75 * WIDTH  # names would run into each other
    height = 1.4 + 0.42 * max(3, len(labels)) + 0.06 * longest * tilted  # as high as the bar's label
    figure, axis = plt.subplots(figsize=(WIDTH, height))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # Drawn as rectangles: an image of the figure's size would take 30 MB for a moment.
    image = axis.pcolormesh(np.arange(len(columns) + 1) - 0.5, np.arange(len(labels) + 1) - 0.5, 100 * shares,
                            cmap="cividis", vmin=0, vmax=100)
    axis.invert_yaxis()
    for (j, k), count in np.ndenumerate(matrix):
        ink = BLACK if shares[j, k] > 0.5 else "white"
        axis.text(k, j, str(count), ha="center", va="center", fontsize=9, color=ink)
    axis.axvline(len(labels) - 0.5, color="white", linewidth=3)
    tilt: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if tilted else {}
    axis.set_xticks(range(len(columns)), columns, **tilt)
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(length=0)
    axis.set(xlabel="decision", ylabel="true class", title=f"Decisions (number of {unit})")
    figure.colorbar(image, label=f"share of the class's {unit} (%)")
    return figure


def lead_histogram(leads: Sequence[float]) -> Figure:
    """Draw the histogram of the leads (s) of the first spike over the second; inf: one neuron fired alone."""
    microseconds = np.array(leads) * 1e6
    finite = microseconds[np.isfinite(microseconds) & (microseconds > 0)]
    alone = int(np.isinf(microseconds).sum())
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    axis.set(xlabel="lead of the first spike over the second (µs)", ylabel="images",
             title="How clearly images are decided" + f" ({alone} more: one neuron fired alone)" * bool(alone))
    if len(finite):
        wide = finite.max() > 20 * finite.min()
        bins: Any = np.geomspace(finite.min(), finite.max(), 41) if wide else 40
        axis.hist(finite, bins, color=SKY, edgecolor="white")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        if wide:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter("{x:g}")
        median = np.median(finite)
        axis.axvline(median, color=VERMILLION, label=f"median {median:.3g} µs")
        axis.legend()
    return figure
