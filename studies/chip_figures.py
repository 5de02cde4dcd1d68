"""Figures of `studies.device_variability`: accuracy of chips against spread, noise, decay and
recovery.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from memristive import plotting
from memristive.io.records import load_results
from memristive.plotting import BLUE, COLOURS, GREY, VERMILLION, WIDTH

# Colour, line and label of each route by which a chip gets its weights.
ROUTES = {
    "in situ": (BLUE, "-", "learned on the chip (in situ)"),
    "ex situ": (VERMILLION, "--", "carried to the chip (ex situ)"),
}


def draw(record: str | Path, folder: str | Path) -> None:
    """Write the figures of a record to a folder."""
    found = load_results(record)
    drawn = figures(found["rows"], found["ideal"])
    for part, figure in drawn.items():
        plotting.save(
            figure, Path(folder) / f"{Path(record).stem}{f'_{part}' * (len(drawn) > 1)}.png"
        )


def figures(rows: Sequence[Mapping[str, Any]], ideal: Mapping[str, float]) -> dict[str, Figure]:
    """Return the figures of a record by name. Lines are means over chips, bands go from the lowest
    to the highest chip.

    Parameters
    ----------
    rows : sequence of dict
        Rows of `device_variability.evaluate`.
    ideal : dict
        Accuracy of an ideal chip by encoding.
    """
    table = pd.DataFrame(rows)
    parts = {
        "in_situ": (in_situ_figure, ["spread"]),
        "noise": (noise_figure, ["read noise", "write noise"]),
        "retention": (retention_figure, ["retention"]),
        "recovery": (recovery_figure, ["recovery"]),
    }
    found = {
        name: (draw, table[table.section.isin(sections)])
        for name, (draw, sections) in parts.items()
    }
    return {name: draw(part, ideal) for name, (draw, part) in found.items() if len(part)}


def in_situ_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy against the spread of cells and thresholds, in situ and ex situ, for grey
    images.
    """
    rows = rows[(rows.encoding == "grey") & (rows.deviation == "both")]
    figure, axis = plt.subplots(figsize=(0.8 * WIDTH, 3.9))
    for route, (colour, dashes, label) in ROUTES.items():
        # at a spread of 0 both routes have the accuracy of the ideal chip
        start = dict.fromkeys(("accuracy_mean", "accuracy_low", "accuracy_high"), ideal["grey"])
        start["spread"] = 0.0
        found = pd.concat([pd.DataFrame([start]), rows.loc[rows.route == route, list(start)]])
        band(axis, found, "spread", 100, color=colour, linestyle=dashes, label=label)
    finish(
        axis,
        ideal["grey"],
        f"MNIST, {rows.chips.iloc[0]} chips for each spread",
        "spread of cells and thresholds (%)",
        "test accuracy (%)",
    )
    figure.legend(handles=handles(axis), loc="outside lower center", ncols=2)
    return figure


def noise_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy against threshold noise for several margins of the rule, and against write
    noise.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharey=True)
    margins = sorted(rows.margin_us.dropna().unique())
    for k, margin in enumerate(margins):
        band(
            left,
            rows[(rows.margin_us == margin) & (rows.read_noise_V > 0)],
            "read_noise_V",
            1e3,
            color=plt.get_cmap("viridis")(k / len(margins)),
            label=f"{margin:g} µs",
        )
    left.legend(title="margin of the rule", loc="lower left")
    band(right, rows[rows.section == "write noise"], "write_noise", 100, color=BLUE)
    finish(
        left,
        ideal["grey"],
        "threshold noise",
        "spread of a threshold over reads (mV)",
        "test accuracy (%)",
    )
    finish(right, ideal["grey"], "write noise", "spread of each write, relative to its dose (%)")
    for axis in (left, right):
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
    right.legend(handles=handles(right), loc="lower left")
    left.set_ylim(10 * np.floor(10 * rows.accuracy_low.min()), 100)
    return figure


def retention_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy against the time since the training, for cells that decay at different
    rates.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    for spread, colour in zip(sorted(rows.decay_spread.unique()), COLOURS, strict=False):
        band(
            axis,
            rows[rows.decay_spread == spread],
            "age_time_constants",
            color=colour,
            label=f"rates spread by {100 * spread:g} %",
        )
    finish(
        axis,
        ideal["grey"],
        "Forgetting: chips of 10 % spread, trained in situ, grey images",
        "time since training (mean time constants)",
        "test accuracy (%)",
    )
    axis.legend(handles=handles(axis), loc="lower left")
    return figure


def recovery_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy after a short training on the chip, which starts from ex-situ weights or from
    untrained cells.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.4))
    lines = [
        (spread, start)
        for spread in sorted(rows.spread.unique(), reverse=True)
        for start in sorted(rows.start.unique())
    ]
    for (spread, start), colour in zip(lines, COLOURS, strict=False):
        band(
            axis,
            rows[(rows.spread == spread) & (rows.start == start)],
            "presentations",
            color=colour,
            label=f"{100 * spread:g} % spread, from {start}",
            linestyle="-" if start == "ex-situ weights" else "--",
        )
    finish(
        axis,
        ideal["grey"],
        "How soon a chip recovers: grey images",
        "presentations on the chip (images)",
        "test accuracy (%)",
    )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.legend(handles=handles(axis), loc="lower right")
    return figure


def band(axis: Axes, rows: pd.DataFrame, x: str, scale: float = 1.0, **style: Any) -> None:
    """Draw the mean of the chips over the column `x`, times `scale`, as a line, and a band from the
    lowest to the highest chip.
    """
    axis.plot(
        scale * rows[x], 100 * rows.accuracy_mean, **{"marker": "o", "markersize": 3, **style}
    )
    axis.fill_between(
        scale * rows[x],
        100 * rows.accuracy_low,
        100 * rows.accuracy_high,
        color=style["color"],
        alpha=0.2,
        linewidth=0,
    )


def handles(axis: Axes) -> list[Any]:
    """Return the entries of a legend: those of the axis, and one for the bands."""
    return [
        *axis.get_legend_handles_labels()[0],
        Patch(color=GREY, alpha=0.25, linewidth=0, label="lowest to highest chip"),
    ]


def finish(axis: Axes, ideal: float, title: str, x: str, y: str = "") -> None:
    """Draw the `ideal` chip's accuracy (a share) as a line; set title and the labels `x`, `y` of
    the axes.
    """
    axis.axhline(100 * ideal, color=GREY, linewidth=0.8, zorder=0, label="an ideal chip")
    axis.set(title=title, xlabel=x, ylabel=y, ylim=(0, 100))
    axis.grid(alpha=0.3)
