"""Figures that only the pages draw: membranes of an inference, a training's course, leads of a test."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from plotting import GREY, SKY, VERMILLION, WIDTH, line_style, stack


def membranes_figure(time: np.ndarray, membranes: np.ndarray, outputs: np.ndarray, threshold: float, labels: Sequence[str],
                     starts: Sequence[float], high: float = 1.0, window: float = 1e-3) -> Figure:
    """Membranes and outputs (neurons x time points, V) over `time` (s): a panel for each pulse, from its start.

    `threshold` in V, `labels` of the classes, `starts` of the pulses in s; shows the first `window` s of each. An output
    that fires is at `high` V: a silent one is low, whatever its nanovolts.
    """
    columns = 2 if len(starts) <= 4 else 3 if len(starts) <= 6 else 5
    columns = min(columns, len(starts))
    rows = -(-len(starts) // columns)
    heights = [1.6, max(0.45 + 0.14 * len(labels), 1.25)]
    figure, axes = plt.subplots(2 * rows, columns, figsize=(WIDTH, 0.7 + rows * (0.5 + sum(heights))), squeeze=False,
                                sharex=True, sharey="row", height_ratios=heights * rows)
    peak = max(np.max(membranes), threshold)
    for k in range(rows * columns):
        upper, lower = axes[2 * (k // columns):2 * (k // columns) + 2, k % columns]
        if k < len(starts):
            _membrane_panel(upper, time, membranes, threshold, starts[k], window)
            _output_panel(lower, time, outputs, labels, starts[k], window, high)
            upper.set(title=f"{labels[k]} presented" if len(starts) == len(labels) else f"image {k + 1}",
                      ylim=(-0.05 * peak, 1.08 * peak))
        else:
            upper.set_axis_off()
            lower.set_axis_off()
    for row in range(rows):
        axes[2 * row, 0].set_ylabel("membrane (V)")
        axes[2 * row + 1, 0].set_ylabel(f"output ({high:g} V high)")
    axes[0, 0].set_xticks(np.linspace(0, window * 1e6, 3))  # of all panels; where to put more of them takes time
    for axis in axes[-1]:
        axis.set_xlabel("time (µs)")
    handles = [Line2D([], [], label=label, **line_style(j, len(labels))) for j, label in enumerate(labels)]
    handles.append(Line2D([], [], color=GREY, linestyle=":", label=f"threshold {threshold:g} V"))
    figure.legend(handles=handles, loc="outside upper center", title="neuron",
                  ncols=len(handles) if len(handles) <= 8 else 6)
    return figure


def _window(time: np.ndarray, start: float, window: float) -> tuple[slice, np.ndarray]:
    """Slice of `time` (s) that covers `window` s from `start`, and those times in µs from `start`."""
    part = slice(max(np.searchsorted(time, start) - 1, 0), np.searchsorted(time, start + window) + 1)
    return part, (time[part] - start) * 1e6


def _membrane_panel(axis: Axes, time: np.ndarray, membranes: np.ndarray, threshold: float, start: float, window: float) -> None:
    part, microseconds = _window(time, start, window)
    for j, membrane in enumerate(membranes):
        axis.plot(microseconds, membrane[part], **line_style(j, len(membranes)))
    axis.axhline(threshold, color=GREY, linestyle=":", linewidth=1.2)
    axis.set_xlim(0, window * 1e6)


def _output_panel(axis: Axes, time: np.ndarray, outputs: np.ndarray, labels: Sequence[str], start: float, window: float,
                  high: float) -> None:
    part, microseconds = _window(time, start, window)
    stack(axis, microseconds, outputs[:, part], [line_style(j, len(outputs)) for j in range(len(outputs))], labels, high)


def learning_figure(accuracy: np.ndarray, writes: np.ndarray, count: np.ndarray | None = None) -> Figure:
    """Running accuracy (share) and cumulative writes after each presentation, or after those that `count` numbers."""
    count = np.arange(1, len(accuracy) + 1) if count is None else count
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 4.5), sharex=True)
    top.plot(count, 100 * np.asarray(accuracy))
    top.set(ylabel="running accuracy (%)", title="Learning from errors")
    top.grid(alpha=0.3)
    bottom.plot(count, writes, color=VERMILLION)
    bottom.set(xlabel="presentations (images)", ylabel="presentations that wrote")
    bottom.grid(alpha=0.3)
    bottom.set_ylim(bottom=0)
    return figure


def lead_histogram(leads: np.ndarray) -> Figure:
    """Histogram of how long (s) the first neuron of each decided image leads the second; inf: it fired alone."""
    leads = np.asarray(leads) * 1e6
    finite = leads[np.isfinite(leads) & (leads > 0)]
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    axis.set(xlabel="lead of the first spike over the second (µs)", ylabel="images")
    alone = int(np.isinf(leads).sum())
    axis.set_title(f"How clearly images are decided ({alone} more: one neuron fired alone)" if alone else
                   "How clearly images are decided")
    if len(finite):
        _histogram(axis, finite)
    return figure


def _histogram(axis: Axes, values: np.ndarray) -> None:
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    wide = values.max() > 20 * values.min()
    bins: Any = np.geomspace(values.min(), values.max(), 41) if wide else 40
    axis.hist(values, bins, color=SKY, edgecolor="white")
    if wide:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
    median = np.median(values)
    axis.axvline(median, color=VERMILLION, label=f"median {median:.3g} µs")
    axis.legend()
