"""Figures of `studies.device_variability`: accuracy of chips against spread, stuck cells, noise,
decay and recovery.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import plotting
from memristive.io.records import load_results
from plotting import BLUE, COLOURS, GREEN, GREY, ORANGE, PURPLE, VERMILLION, WIDTH

# Colour, line and label of each route by which a chip gets its weights. "Verified" cells are
# written until each carries the current that it has on the ideal chip.
ROUTES = {
    "in situ": (BLUE, "-", "learned on the chip (in situ)"),
    "ex situ": (VERMILLION, "--", "carried to the chip (ex situ)"),
    "software": (ORANGE, ":", "logistic regression, carried to the chip"),
    "verified": (PURPLE, "-.", "verified: each cell written and checked"),
    "calibrated": (GREEN, (0, (1, 1)), "calibrated: verified, and every neuron measured"),
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
    several = table.deviation.nunique() > 1
    parts = {
        "in_situ": (in_situ_figure, ["spread"]),
        "spread": (spread_figure, ["spread"]),
        "stuck": (stuck_figure, ["stuck"]),
        "noise": (noise_figure, ["read noise", "write noise"]),
        "retention": (retention_figure, ["retention"]),
        "recovery": (recovery_figure, ["recovery"]),
    }
    found = {
        name: (draw, table[table.section.isin(sections)])
        for name, (draw, sections) in parts.items()
        if {"in_situ": not several or table.route.nunique() > 2, "spread": several}.get(name, True)
    }
    return {name: draw(part, ideal) for name, (draw, part) in found.items() if len(part)}


def in_situ_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy against the spread of cells and thresholds, in situ and ex situ, for grey
    images.
    """
    rows = rows[(rows.encoding == "grey") & (rows.deviation == "both")]
    figure, axis = plt.subplots(figsize=(0.8 * WIDTH, 3.9))
    routes(axis, rows, "spread", ideal["grey"], ("in situ", "ex situ"))
    finish(
        axis,
        ideal["grey"],
        f"MNIST, {rows.chips.iloc[0]} chips for each spread",
        "spread of cells and thresholds (%)",
        "test accuracy (%)",
    )
    figure.legend(handles=handles(axis), loc="outside lower center", ncols=2)
    return figure


def spread_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy against spread in a grid of panels: a column each for neurons, cells and both,
    a row for each encoding.
    """
    titles = {
        "neurons": "neurons: thresholds",
        "cells": "cells: gains and write gains",
        "both": "both",
    }
    encodings = sorted(ideal, reverse=True)
    figure, axes = plt.subplots(
        len(encodings),
        3,
        figsize=(WIDTH, 2.4 * len(encodings) + 1.3),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for line, encoding in zip(axes, encodings, strict=True):
        for axis, deviation in zip(line, titles, strict=True):
            routes(
                axis,
                rows[(rows.encoding == encoding) & (rows.deviation == deviation)],
                "spread",
                ideal[encoding],
                [route for route in ROUTES if route in set(rows.route)],
            )
            finish(
                axis,
                ideal[encoding],
                titles[deviation] if encoding == encodings[0] else "",
                "spread (%)" if encoding == encodings[-1] else "",
                f"test accuracy (%), {encoding}" if deviation == "neurons" else "",
            )
    figure.legend(handles=handles(axes[0, 0]), loc="outside lower center", ncols=2)
    return figure


def stuck_figure(rows: pd.DataFrame, ideal: Mapping[str, float]) -> Figure:
    """Draw accuracy against the share of stuck cells."""
    encodings = sorted(set(rows.encoding), reverse=True)
    figure, axes = plt.subplots(1, len(encodings), figsize=(WIDTH, 3.0), sharey=True, squeeze=False)
    for axis, encoding in zip(axes[0], encodings, strict=True):
        routes(
            axis,
            rows[rows.encoding == encoding],
            "stuck_share",
            ideal[encoding],
            ("in situ", "ex situ"),
        )
        finish(
            axis,
            ideal[encoding],
            f"stuck cells, half off, half on ({encoding} images)",
            "stuck cells (%)",
            "test accuracy (%)" if axis is axes[0, 0] else "",
        )
    figure.legend(handles=handles(axes[0, 0]), loc="outside lower center", ncols=4)
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


def routes(axis: Axes, rows: pd.DataFrame, x: str, ideal: float, shown: Collection[str]) -> None:
    """Draw the accuracies of `rows` (of the record) over their column `x`, a line for each route in
    `shown` (how a chip got its weights). At x = 0 all routes but "software" start at the accuracy
    `ideal`.
    """
    for route in shown:
        colour, dashes, label = ROUTES[route]
        found = rows[rows.route == route]
        if route != "software":  # the regression's weights are not the ideal chip's
            start = {x: 0.0, "accuracy_mean": ideal, "accuracy_low": ideal, "accuracy_high": ideal}
            found = pd.concat([pd.DataFrame([start]), found[list(start)]])
        band(
            axis,
            found,
            x,
            100,
            color=colour,
            linestyle=dashes,
            label=label,
            # wide: others lie on them
            linewidth=2.6 if route in ("in situ", "ex situ") and len(shown) > 2 else 1.4,
        )


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
