"""The figures of the study of imperfect chips: means as lines, lowest to highest chip as bands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from plotting import BLUE, COLOURS, GREEN, GREY, ORANGE, PURPLE, VERMILLION, WIDTH

Rows = list[dict[str, Any]]
ROUTES = {"in situ": (BLUE, "-", "learned on the chip (in situ)"), "ex situ": (VERMILLION, "--", "carried to the chip (ex situ)"),
          "software": (ORANGE, ":", "logistic regression, carried to the chip"),
          "verified": (PURPLE, "-.", "written and verified cell by cell"),
          "calibrated": (GREEN, (0, (1, 1)), "... and every neuron measured, too")}


def _chosen(rows: Rows, **what: str) -> Rows:
    return sorted((row for row in rows if all(row[key] == value for key, value in what.items())), key=lambda row: row["key"])


def _from_ideal(rows: Rows, accuracy: float) -> Rows:
    """The rows with one more in front: no deviation at all."""
    return [{"key": 0.0, "mean": accuracy, "low": accuracy, "high": accuracy}, *rows]


def _band(axis: Axes, rows: Rows, scale: float = 100.0, **style: Any) -> None:
    """Mean over the chips as a line over the varied quantity, and a band from the lowest to the highest."""
    keys = scale * np.array([row["key"] for row in rows])
    axis.plot(keys, [100 * row["mean"] for row in rows], marker="o", markersize=3, **style)
    axis.fill_between(keys, [100 * row["low"] for row in rows], [100 * row["high"] for row in rows], color=style["color"],
                      alpha=0.2, linewidth=0)


def _ideal(axis: Axes, accuracy: float) -> None:
    axis.axhline(100 * accuracy, color=GREY, linewidth=0.8, zorder=0, label="an ideal chip")


def _handles(axis: Axes) -> list[Any]:
    """What a legend shows of an axis, and of the bands."""
    return [*axis.get_legend_handles_labels()[0], Patch(color=GREY, alpha=0.25, linewidth=0, label="lowest to highest chip")]


def _finish(axis: Axes, title: str, x: str = "", y: str = "") -> None:
    axis.set(title=title, xlabel=x, ylabel=y, ylim=(0, 100))
    axis.grid(alpha=0.3)


def _encodings(rows: Rows) -> list[str]:
    return sorted({row["encoding"] for row in rows}, reverse=True)


def spread_figure(rows: Rows, ideal: dict[str, float]) -> Figure:
    """Accuracy against spread: a column of panels for neurons, cells and both, a row for each kind of images."""
    rows = _chosen(rows, section="spread")
    encodings, kinds = sorted(ideal, key=lambda name: name != "grey"), ("neurons", "cells", "both")
    figure, axes = plt.subplots(len(encodings), 3, figsize=(WIDTH, 2.4 * len(encodings) + 1.3), sharex=True, sharey=True,
                                squeeze=False)
    titles = {"neurons": "neurons: thresholds", "cells": "cells: gains and write gains", "both": "both"}
    for line, encoding in zip(axes, encodings, strict=True):
        for axis, kind in zip(line, kinds, strict=True):
            for route, (colour, dashes, label) in ROUTES.items():
                found = _chosen(rows, encoding=encoding, kind=kind, route=route)
                if found:  # the regression's weights are not the ideal chip's
                    found = found if route == "software" else _from_ideal(found, ideal[encoding])
                    _band(axis, found, color=colour, linestyle=dashes, label=label, linewidth=2.6 if route == "in situ" else 1.4)
            _ideal(axis, ideal[encoding])
            _finish(axis, titles[kind] if encoding == encodings[0] else "", "spread (%)" if encoding == encodings[-1] else "",
                    f"test accuracy (%), {encoding}" if kind == "neurons" else "")
    figure.legend(handles=_handles(axes[0, 0]), loc="outside lower center", ncols=2)
    return figure


def stuck_figure(rows: Rows, ideal: dict[str, float]) -> Figure:
    """Accuracy against the share of stuck cells."""
    encodings = _encodings(_chosen(rows, section="stuck"))[::-1]
    figure, axes = plt.subplots(1, len(encodings), figsize=(WIDTH, 3.0), sharey=True, squeeze=False)
    for axis, encoding in zip(axes[0], sorted(encodings, key=lambda name: name != "grey"), strict=True):
        for route in ("in situ", "ex situ"):
            colour, dashes, label = ROUTES[route]
            found = _chosen(rows, section="stuck", encoding=encoding, route=route)
            _band(axis, _from_ideal(found, ideal[encoding]), color=colour, linestyle=dashes, label=label)
        _ideal(axis, ideal[encoding])
        _finish(axis, f"stuck cells, half off, half on ({encoding} images)", "stuck cells (%)",
                "test accuracy (%)" if axis is axes[0, 0] else "")
    figure.legend(handles=_handles(axes[0, 0]), loc="outside lower center", ncols=4)
    return figure


def noise_figure(rows: Rows, ideal: dict[str, float]) -> Figure:
    """Accuracy against read noise for several margins of the rule, and against write noise."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharey=True)
    reads = _chosen(rows, section="read noise")
    margins = sorted({row["kind"] for row in reads}, key=float)
    for k, margin in enumerate(margins):
        noisy = [row for row in _chosen(reads, kind=margin) if row["key"] > 0]
        _band(left, noisy, 1e3, color=plt.get_cmap("viridis")(k / len(margins)), label=f"{margin} µs")
    left.set_xscale("log")
    left.legend(title="margin of the rule", loc="lower left")  # before the ideal chip's line, which the other panel names
    _finish(left, "read noise", "jitter of the threshold (mV)", "test accuracy (%)")
    _band(right, _chosen(rows, section="write noise"), color=BLUE)
    right.set_xscale("log")
    _finish(right, "write noise", "spread of each write, relative to its dose (%)")
    for axis in (left, right):
        axis.xaxis.set_major_formatter("{x:g}")
        _ideal(axis, ideal["grey"])
    right.legend(handles=_handles(right), loc="lower left")
    lowest = min(row["low"] for row in rows if row["section"] in ("read noise", "write noise"))
    left.set_ylim(10 * np.floor(10 * lowest), 100)
    return figure


def retention_figure(rows: Rows, ideal: dict[str, float]) -> Figure:
    """Accuracy against time since training, for cells that forget at different rates."""
    rows = _chosen(rows, section="retention")
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    for k, spread in enumerate(sorted({row["kind"] for row in rows}, key=float)):
        _band(axis, _chosen(rows, kind=spread), 1.0, color=COLOURS[k], label=f"rates spread by {100 * float(spread):g} %")
    _ideal(axis, ideal["grey"])
    axis.legend(handles=_handles(axis), loc="lower left")
    _finish(axis, "Forgetting: chips of 10 % spread, trained in situ, grey images", "time since training (mean time constants)",
            "test accuracy (%)")
    return figure


def recovery_figure(rows: Rows, ideal: dict[str, float]) -> Figure:
    """Accuracy after some presentations on the chip, from ex-situ weights and from fresh cells."""
    rows = _chosen(rows, section="recovery")
    figure, axis = plt.subplots(figsize=(WIDTH, 3.4))
    for k, kind in enumerate(sorted({row["kind"] for row in rows})):
        _band(axis, _chosen(rows, kind=kind), 1.0, color=COLOURS[k], label=kind.replace("% ", " % "),
              linestyle="-" if "ex-situ" in kind else "--")
    _ideal(axis, ideal["grey"])
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.legend(handles=_handles(axis), loc="lower right")
    _finish(axis, "How soon a chip recovers: grey images", "presentations on the chip (images)", "test accuracy (%)")
    return figure


@dataclass(frozen=True)
class StudyFigure:
    """A figure, and the sections that it needs."""

    sections: tuple[str, ...]
    draw: Callable[[Rows, dict[str, float]], Figure]


FIGURES = {"spread": StudyFigure(("spread",), spread_figure), "stuck": StudyFigure(("stuck",), stuck_figure),
           "noise": StudyFigure(("read noise", "write noise"), noise_figure),
           "retention": StudyFigure(("retention",), retention_figure), "recovery": StudyFigure(("recovery",), recovery_figure)}
